/* The sparse indexes beside a segment.
 *
 *   .index      8 bytes: i32 last offset of a batch - base | i32 position of that batch
 *   .timeindex 12 bytes: i64 largest timestamp so far | i32 last offset of its batch - base
 *
 * An entry is made for the first batch behind every index.interval.bytes (observed in Kafka 4.3:
 * per batch, and the first batch of a segment never). Entries are written late: the newest are in
 * side[].pending, the others in the file, of which one chunk is kept in memory while it is read.
 */
#include <stdlib.h>

#include "log/head.h"
#include "log/state.h"

#define CHUNK_ENTRIES 2048U

uint64_t index_entries(const struct segment *s, enum side side)
{
    uint64_t bytes = s->side[side].written_bytes + s->side[side].pending.n;

    switch (side) {
    case SIDE_INDEX:
        return bytes / INDEX_ENTRY_BYTES;
    case SIDE_TIME:
        return bytes / TIME_ENTRY_BYTES;
    default:
        return bytes / TXN_ENTRY_BYTES;
    }
}

/* Full: one place in the time index is kept for the last entry (Kafka: maxEntries - 1). */
bool index_is_full(const struct segment *s, uint32_t index_bytes)
{
    return index_entries(s, SIDE_INDEX) >= index_bytes / INDEX_ENTRY_BYTES ||
           index_entries(s, SIDE_TIME) + 1 >= index_bytes / TIME_ENTRY_BYTES;
}

static void time_entry_add(struct segment *s)
{
    uint8_t entry[TIME_ENTRY_BYTES];

    if (s->max_timestamp_ms <= s->last_time_entry_ms)
        return;
    put_u64(entry, (uint64_t)s->max_timestamp_ms);
    put_u32(entry + 8, (uint32_t)(s->max_timestamp_offset - s->base));
    text_add(&s->side[SIDE_TIME].pending, entry, sizeof(entry));
    s->last_time_entry_ms = s->max_timestamp_ms;
}

void index_apply(struct segment *s, const struct batch *b, uint64_t position,
                 uint32_t interval_bytes)
{
    uint8_t entry[INDEX_ENTRY_BYTES];

    /* one that the cleaner has emptied holds no record of that time */
    if (b->count > 0 && b->max_timestamp_ms > s->max_timestamp_ms) {
        s->max_timestamp_ms = b->max_timestamp_ms;
        s->max_timestamp_offset = b->last_offset;
    }
    if (position == 0)
        s->first_timestamp_ms = b->max_timestamp_ms;
    if (s->bytes_since_entry > interval_bytes) {
        put_u32(entry, (uint32_t)(b->last_offset - s->base));
        put_u32(entry + 4, (uint32_t)position);
        text_add(&s->side[SIDE_INDEX].pending, entry, sizeof(entry));
        time_entry_add(s);
        s->bytes_since_entry = 0;
    }
    s->bytes_since_entry += (uint32_t)b->bytes.n;
}

void index_apply_last(struct segment *s)
{
    time_entry_add(s);
}

/* ---- offset to position -------------------------------------------------------------------- */

struct entry {
    int64_t offset;
    uint64_t position;
};

static struct entry entry_at(const struct segment *s, const uint8_t *entries, uint32_t i)
{
    const uint8_t *e = entries + (size_t)i * INDEX_ENTRY_BYTES;

    return (struct entry){s->base + get_u32(e), get_u32(e + 4)};
}

/* How many entries have an offset <= `offset`. */
static uint32_t count_upto(const struct segment *s, const uint8_t *entries, uint32_t count,
                           int64_t offset)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entry_at(s, entries, middle).offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct run {
    const uint8_t *entries;
    uint32_t count;
};

static struct run pending_of(const struct segment *s)
{
    const struct text *pending = &s->side[SIDE_INDEX].pending;

    return (struct run){(const uint8_t *)pending->p, (uint32_t)(pending->n / INDEX_ENTRY_BYTES)};
}

static struct run chunk_of(const struct segment *s)
{
    return (struct run){s->chunk.bytes, s->chunk.bytes == NULL ? 0 : s->chunk.count};
}

bool index_covers(const struct segment *s, int64_t offset)
{
    struct run pending = pending_of(s), chunk = chunk_of(s);
    uint64_t in_file = s->side[SIDE_INDEX].written_bytes / INDEX_ENTRY_BYTES;

    if (in_file == 0)
        return true;
    if (pending.count > 0 && entry_at(s, pending.entries, 0).offset <= offset)
        return true;
    if (chunk.count == 0)
        return false;
    if (s->chunk.first > 0 && entry_at(s, chunk.entries, 0).offset > offset)
        return false;
    if (s->chunk.first + chunk.count >= in_file)
        return true;
    return entry_at(s, chunk.entries, chunk.count - 1).offset > offset;
}

uint64_t index_find(const struct segment *s, int64_t offset)
{
    struct run pending = pending_of(s), chunk = chunk_of(s);
    uint32_t n = count_upto(s, pending.entries, pending.count, offset);

    if (n > 0)
        return entry_at(s, pending.entries, n - 1).position;
    n = count_upto(s, chunk.entries, chunk.count, offset);
    return n == 0 ? 0 : entry_at(s, chunk.entries, n - 1).position;
}

static uint64_t run_find_end(const struct segment *s, struct run run, uint64_t after,
                             uint64_t at_most, int64_t limit)
{
    uint32_t n = count_upto(s, run.entries, run.count, limit - 1);
    uint32_t low = 0, high = n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entry_at(s, run.entries, middle).position <= at_most)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    uint64_t position = entry_at(s, run.entries, low - 1).position;
    return position > after ? position : 0;
}

uint64_t index_find_end(const struct segment *s, uint64_t after, uint64_t at_most, int64_t limit)
{
    uint64_t end = run_find_end(s, pending_of(s), after, at_most, limit);

    if (end != 0)
        return end;
    return run_find_end(s, chunk_of(s), after, at_most, limit);
}

/* ---- reading the files --------------------------------------------------------------------- */

/* Binary search in an index file by small reads, then one run of entries. */
struct probe {
    struct flow flow;
    struct segment *segment;
    struct io_file *file;
    int64_t sought; /* offset, or timestamp */
    uint64_t low, high, middle;
    uint64_t entries;
    uint8_t entry[TIME_ENTRY_BYTES];
    uint8_t *bytes;
    uint32_t count;
    int64_t result;
    char path[LOG_PATH_BYTES];
};

static struct probe *probe_new(struct segment *s, int64_t sought, void (*run)(struct flow *f),
                               enum side side, struct op *op)
{
    struct probe *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    p->segment = s;
    p->sought = sought;
    p->entries =
        s->side[side].written_bytes / (side == SIDE_INDEX ? INDEX_ENTRY_BYTES : TIME_ENTRY_BYTES);
    log_file_path(s->log, s->base, side == SIDE_INDEX ? ".index" : ".timeindex", p->path);
    s->users++; /* with its file closed this keeps the struct alone */
    if (list_linked(&s->idle))
        list_remove(&s->idle);
    flow_start(&p->flow, run, op);
    return p;
}

static void probe_end(struct probe *p, int64_t result)
{
    segment_unuse(p->segment);
    free(p->bytes);
    flow_done(&p->flow, result);
    free(p);
}

static void chunk_replace(struct probe *p)
{
    struct segment *s = p->segment;

    free(s->chunk.bytes);
    s->chunk = (struct index_chunk){p->bytes, (uint32_t)p->low, p->count};
    p->bytes = NULL;
}

/* Chunks are [k * CHUNK_ENTRIES, ...): find the last one whose first entry is <= sought. */
static void index_load_run(struct flow *f)
{
    struct probe *p = container_of(f, struct probe, flow);
    struct io *io = p->segment->io;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open an index", io_open(io, p->path, IO_READ, &p->file, &f->op));
    p->high = (p->entries - 1) / CHUNK_ENTRIES;
    while (p->low < p->high) {
        p->middle = p->low + (p->high - p->low + 1) / 2;
        FLOW_TRY(f, "probe an index",
                 io_read(p->file, p->middle * CHUNK_ENTRIES * INDEX_ENTRY_BYTES, p->entry,
                         INDEX_ENTRY_BYTES, &f->op));
        if (p->segment->base + get_u32(p->entry) <= p->sought)
            p->low = p->middle;
        else
            p->high = p->middle - 1;
    }
    p->low *= CHUNK_ENTRIES;
    p->count =
        p->entries - p->low < CHUNK_ENTRIES ? (uint32_t)(p->entries - p->low) : CHUNK_ENTRIES;
    p->bytes = malloc((size_t)CHUNK_ENTRIES * INDEX_ENTRY_BYTES);
    ASSERT(p->bytes != NULL);
    FLOW_TRY(f, "read an index",
             io_read(p->file, p->low * INDEX_ENTRY_BYTES, p->bytes, p->count * INDEX_ENTRY_BYTES,
                     &f->op));
    p->count = (uint32_t)f->result / INDEX_ENTRY_BYTES;
    FLOW_WAIT(f, "close an index", io_close(p->file, &f->op));
    chunk_replace(p);
    FLOW_END(f);
    probe_end(p, p->segment->chunk.count == 0 ? ERR_CORRUPT : 0);
    return;
failed:
    probe_end(p, f->result);
}

void index_load(struct segment *s, int64_t offset, struct op *op)
{
    ASSERT(s->side[SIDE_INDEX].written_bytes >= INDEX_ENTRY_BYTES);
    (void)probe_new(s, offset, index_load_run, SIDE_INDEX, op);
}

/* The last entry with a timestamp <= `sought` among those that wait in memory. */
static int64_t time_find_pending(const struct segment *s, int64_t sought)
{
    const struct text *pending = &s->side[SIDE_TIME].pending;

    for (size_t n = pending->n; n > 0; n -= TIME_ENTRY_BYTES) {
        const uint8_t *e = (const uint8_t *)pending->p + n - TIME_ENTRY_BYTES;
        if (get_i64(e) <= sought)
            return s->base + get_u32(e + 8);
    }
    return -1;
}

static void time_find_run(struct flow *f)
{
    struct probe *p = container_of(f, struct probe, flow);
    struct io *io = p->segment->io;

    FLOW_BEGIN(f);
    p->result = time_find_pending(p->segment, p->sought);
    if (p->result >= 0 || p->entries == 0) {
        FLOW_WAIT(f, "turn", io_yield(io, &f->op));
    } else {
        FLOW_TRY(f, "open a time index", io_open(io, p->path, IO_READ, &p->file, &f->op));
        p->high = p->entries;
        while (p->low < p->high) { /* below `low` all are <= sought */
            p->middle = p->low + (p->high - p->low) / 2;
            FLOW_TRY(
                f, "probe a time index",
                io_read(p->file, p->middle * TIME_ENTRY_BYTES, p->entry, TIME_ENTRY_BYTES, &f->op));
            if (get_i64(p->entry) <= p->sought) {
                p->low = p->middle + 1;
                p->result = p->segment->base + get_u32(p->entry + 8);
            } else {
                p->high = p->middle;
            }
        }
        FLOW_WAIT(f, "close a time index", io_close(p->file, &f->op));
    }
    FLOW_END(f);
    probe_end(p, p->result < 0 ? p->segment->base : p->result);
    return;
failed:
    probe_end(p, f->result);
}

void time_index_find(struct segment *s, int64_t timestamp_ms, struct op *op)
{
    (void)probe_new(s, timestamp_ms, time_find_run, SIDE_TIME, op);
}

/* A closed segment's last time index entry says its largest timestamp. */
static void load_timestamps_run(struct flow *f)
{
    struct probe *p = container_of(f, struct probe, flow);
    struct segment *s = p->segment;

    FLOW_BEGIN(f);
    if (s->timestamps_known || p->entries == 0) {
        FLOW_WAIT(f, "turn", io_yield(s->io, &f->op));
    } else {
        FLOW_TRY(f, "open a time index", io_open(s->io, p->path, IO_READ, &p->file, &f->op));
        FLOW_TRY(f, "read a time index",
                 io_read(p->file, (p->entries - 1) * TIME_ENTRY_BYTES, p->entry, TIME_ENTRY_BYTES,
                         &f->op));
        if (get_i64(p->entry) > 0) { /* else zeros of an index that was never cut: nothing is known */
            s->max_timestamp_ms = get_i64(p->entry);
            s->max_timestamp_offset = s->base + get_u32(p->entry + 8);
            s->last_time_entry_ms = s->max_timestamp_ms;
        }
        FLOW_WAIT(f, "close a time index", io_close(p->file, &f->op));
    }
    s->timestamps_known = true;
    FLOW_END(f);
    probe_end(p, 0);
    return;
failed:
    probe_end(p, f->result);
}

void segment_load_timestamps(struct segment *s, struct op *op)
{
    (void)probe_new(s, 0, load_timestamps_run, SIDE_TIME, op);
}
