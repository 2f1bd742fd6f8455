/* The sparse indexes beside a segment.
 *
 *   .index      8 bytes: i32 last offset of a batch - base | i32 position of that batch
 *   .timeindex 12 bytes: i64 largest timestamp so far | i32 last offset of its batch - base
 *
 * An entry is made for the first batch behind every index.interval.bytes (observed in Kafka 4.3:
 * per batch, and the first batch of a segment never). Entries are written late: the newest are in
 * side[].pending, the others in the file, of which one chunk is kept in memory while it is read.
 */
#include <stdio.h>
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

    if (in_file == 0 || s->index_doubted)
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

/* The last of them that is not behind `offset`. */
static struct index_place run_find(const struct segment *s, struct run run, int64_t offset)
{
    uint32_t n = count_upto(s, run.entries, run.count, offset);

    if (n == 0)
        return (struct index_place){0, -1};
    struct entry e = entry_at(s, run.entries, n - 1);
    return (struct index_place){e.position, e.offset};
}

struct index_place index_find(const struct segment *s, int64_t offset)
{
    struct index_place place = {0, -1};

    if (s->index_doubted)
        return place;
    place = run_find(s, pending_of(s), offset);
    return place.last_offset >= 0 ? place : run_find(s, chunk_of(s), offset);
}

static struct index_place run_find_end(const struct segment *s, struct run run, uint64_t after,
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
    struct entry e = low == 0 ? (struct entry){-1, 0} : entry_at(s, run.entries, low - 1);
    return e.position > after ? (struct index_place){e.position, e.offset} : (struct index_place){0, -1};
}

struct index_place index_find_end(const struct segment *s, uint64_t after, uint64_t at_most, int64_t limit)
{
    struct index_place end = {0, -1};

    if (s->index_doubted)
        return end;
    end = run_find_end(s, pending_of(s), after, at_most, limit);
    return end.last_offset >= 0 ? end : run_find_end(s, chunk_of(s), after, at_most, limit);
}

/* ---- indexes that are wrong ---------------------------------------------------------------- */

void index_doubt_because(struct segment *s, const char *why)
{
    if (s->index_doubted || s->log == NULL)
        return;
    s->index_doubted = true;
    free(s->chunk.bytes);
    s->chunk = (struct index_chunk){0};
    say(s->log->telemetry, LOG_WARN, "log",
        "the indexes of %s are damaged: %s; nothing is lost, reads go through the segment until they are made again",
        s->path, why);
}

void index_doubt(struct segment *s, uint64_t position, int64_t last_offset)
{
    char why[120];

    snprintf(why, sizeof(why), "no batch that ends at offset %lld begins at byte %llu", (long long)last_offset,
             (unsigned long long)position);
    index_doubt_because(s, why);
}

void index_forget(struct segment *s)
{
    for (enum side side = SIDE_INDEX; side <= SIDE_TIME; side++) {
        text_deinit(&s->side[side].pending);
        s->side[side].reset = s->side[side].reset || s->side[side].written_bytes > 0;
        s->side[side].written_bytes = 0;
    }
    s->last_time_entry_ms = -1;
}

/* ---- reading the file ---------------------------------------------------------------------- */

/* Binary search in an index file by small reads, then one run of entries. */
struct probe {
    struct flow flow;
    struct segment *segment;
    struct io_file *file;
    int64_t sought; /* offset */
    uint64_t low, high, middle;
    uint64_t entries;
    uint8_t entry[INDEX_ENTRY_BYTES];
    uint8_t *bytes;
    uint32_t count;
    int64_t rc;
    char path[LOG_PATH_BYTES];
};

static void probe_end(struct probe *p, int64_t result)
{
    segment_unuse(p->segment);
    free(p->bytes);
    flow_done(&p->flow, result);
    free(p);
}

/* What was read has the offset that it was read for between its ends, or the index's. */
static bool chunk_is_around(const struct probe *p)
{
    if (p->low > 0 && entry_at(p->segment, p->bytes, 0).offset > p->sought)
        return false;
    return p->low + p->count == p->entries || entry_at(p->segment, p->bytes, p->count - 1).offset > p->sought;
}

/* Entries ascend and lie in the file. One that does not may never be used, and only make all reads slow. */
static bool chunk_is_sound(const struct probe *p)
{
    const struct segment *s = p->segment;
    struct entry last = {s->base - 1, 0};

    for (uint32_t i = 0; i < p->count; i++) {
        struct entry e = entry_at(s, p->bytes, i);
        if (e.offset <= last.offset || e.position <= last.position || e.position >= s->size_bytes)
            return false;
        last = e;
    }
    return true;
}

static void chunk_replace(struct probe *p)
{
    struct segment *s = p->segment;

    if (s->index_doubted)
        return;
    /* Who looks for an offset that lies outside would load it again and again. */
    if (!chunk_is_sound(p) || !chunk_is_around(p)) {
        index_doubt_because(s, "entries of the offset index do not ascend, or lie behind its end");
        return;
    }
    free(s->chunk.bytes);
    s->chunk = (struct index_chunk){p->bytes, (uint32_t)p->low, p->count};
    p->bytes = NULL;
}

/* Chunks are [k * CHUNK_ENTRIES, ...): find the last one whose first entry is <= sought. The first entry of the
 * next one is read with it: it tells that an offset between the two is covered. */
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
        if (f->result < INDEX_ENTRY_BYTES)
            goto failed;
        if (p->segment->base + get_u32(p->entry) <= p->sought)
            p->low = p->middle;
        else
            p->high = p->middle - 1;
    }
    p->low *= CHUNK_ENTRIES;
    p->count = p->entries - p->low <= CHUNK_ENTRIES ? (uint32_t)(p->entries - p->low) : CHUNK_ENTRIES + 1;
    p->bytes = malloc((size_t)p->count * INDEX_ENTRY_BYTES);
    ASSERT(p->bytes != NULL);
    FLOW_TRY(f, "read an index",
             io_read(p->file, p->low * INDEX_ENTRY_BYTES, p->bytes, p->count * INDEX_ENTRY_BYTES,
                     &f->op));
    if (f->result < (int64_t)p->count * INDEX_ENTRY_BYTES)
        goto failed;
    FLOW_WAIT(f, "close an index", io_close(p->file, &f->op));
    chunk_replace(p);
    probe_end(p, 0);
    return;
failed: /* a file that is gone or was cut is as one that is wrong */
    p->rc = f->result;
    if (p->file != NULL)
        FLOW_WAIT(f, "close an index", io_close(p->file, &f->op));
    FLOW_END(f);
    if (p->rc >= 0 || p->rc == -ENOENT)
        index_doubt_because(p->segment, p->rc < 0 ? "the offset index is gone" : "the offset index was cut");
    probe_end(p, p->rc < 0 && p->rc != -ENOENT ? p->rc : 0);
}

void index_load(struct segment *s, int64_t offset, struct op *op)
{
    struct probe *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    ASSERT(s->side[SIDE_INDEX].written_bytes >= INDEX_ENTRY_BYTES);
    p->segment = s;
    p->sought = offset;
    p->entries = s->side[SIDE_INDEX].written_bytes / INDEX_ENTRY_BYTES;
    log_file_path(s->log, s->base, ".index", p->path);
    s->users++; /* with its file closed this keeps the struct alone */
    if (list_linked(&s->idle))
        list_remove(&s->idle);
    flow_start(&p->flow, index_load_run, op);
}
