/* Reading a log's directory. */
#include <stdio.h>
#include <stdlib.h>

#include "log/head.h"
#include "log/scan.h"
#include "log/state.h"

/* ---- tidy ---------------------------------------------------------------------------------- */

struct tidy {
    struct flow flow;
    struct log *log;
    const struct io_entries *entries;
    uint32_t i;
    int64_t cleaned_low;         /* smallest base of a .cleaned file */
    int64_t swap_low, swap_high; /* offsets that committed replacements cover */
    struct segment *swap;
    struct scan scan;
    struct batch batch;
    int rc;
    int64_t changes;
    char from[LOG_PATH_BYTES], to[LOG_PATH_BYTES];
};

/* "<base>.log.swap" when `ending` is ".swap". */
static bool ends_as(const struct io_entry *e, struct str ending, int64_t *base)
{
    struct str suffix;

    return name_parse(e->name, base, &suffix) && str_ends(suffix, ending) &&
           !str_starts(suffix, STR(".checkpoint"));
}

static bool is_data_suffix(struct str suffix)
{
    return str_equal(suffix, STR(".log")) || str_equal(suffix, STR(".index")) ||
           str_equal(suffix, STR(".timeindex")) || str_equal(suffix, STR(".txnindex"));
}

static void tidy_path(struct tidy *t, char out[LOG_PATH_BYTES])
{
    snprintf(out, LOG_PATH_BYTES, "%s/%s", t->log->path, t->entries->entries[t->i].name);
}

/* Names are sorted: those of one base are neighbours. */
static bool has_log(const struct tidy *t, int64_t base)
{
    const struct io_entries *all = t->entries;
    struct str suffix;
    int64_t other;

    for (uint32_t i = t->i; i < all->count; i++) {
        if (!name_parse(all->entries[i].name, &other, &suffix) || other != base)
            break;
        if (str_equal(suffix, STR(".log")) || str_equal(suffix, STR(".log.swap")))
            return true;
    }
    for (uint32_t i = t->i; i-- > 0;) {
        if (!name_parse(all->entries[i].name, &other, &suffix) || other != base)
            break;
        if (str_equal(suffix, STR(".log")) || str_equal(suffix, STR(".log.swap")))
            return true;
    }
    return false;
}

static bool is_orphan(const struct tidy *t)
{
    struct str suffix;
    int64_t base;

    if (!name_parse(t->entries->entries[t->i].name, &base, &suffix) || !is_data_suffix(suffix))
        return false;
    return !has_log(t, base);
}

/* Whether the entry is only in the way: waits for deletion, or is not committed. */
static bool is_leftover(struct tidy *t)
{
    const struct io_entry *e = &t->entries->entries[t->i];
    int64_t base;

    if (ends_as(e, STR(".deleted"), &base) || ends_as(e, STR(".cleaned"), &base))
        return true;
    if (ends_as(e, STR(".snapshot.tmp"), &base) || is_orphan(t))
        return true;
    /* This swap was a part of a split that did not get to its end. */
    return ends_as(e, STR(".swap"), &base) && base >= t->cleaned_low;
}

static bool is_swap(struct tidy *t, bool log_only)
{
    int64_t base;

    if (is_leftover(t))
        return false;
    return ends_as(&t->entries->entries[t->i], log_only ? STR(".log.swap") : STR(".swap"), &base);
}

static bool is_replaced(struct tidy *t)
{
    struct str suffix;
    int64_t base;

    if (!name_parse(t->entries->entries[t->i].name, &base, &suffix) || !is_data_suffix(suffix))
        return false;
    if (is_leftover(t))
        return false; /* gone already */
    return base >= t->swap_low && base < t->swap_high;
}

static void swap_open(struct tidy *t)
{
    const struct io_entry *e = &t->entries->entries[t->i];
    struct str suffix;
    int64_t base = 0;

    (void)name_parse(e->name, &base, &suffix);
    t->swap = segment_new(t->log, base);
    tidy_path(t, t->from);
    free(t->swap->path);
    t->swap->path = str_dup(str_of(t->from));
    t->swap->closed = true; /* only read */
    t->swap->size_bytes = t->swap->drained_bytes = t->swap->whole_bytes = e->size_bytes;
    scan_init(&t->scan, t->swap, 0, e->size_bytes, false, SCAN_WINDOW_BYTES);
    if (base < t->swap_low)
        t->swap_low = base;
    if (base + 1 > t->swap_high) /* an empty one replaces at least the segment of its name */
        t->swap_high = base + 1;
}

static void swap_close(struct tidy *t)
{
    scan_deinit(&t->scan);
    segment_unuse(t->swap);
    segment_drop(t->swap);
    t->swap = NULL;
}

static void tidy_begin(struct tidy *t)
{
    int64_t base;

    t->cleaned_low = INT64_MAX;
    t->swap_low = INT64_MAX;
    t->swap_high = -1;
    for (uint32_t i = 0; i < t->entries->count; i++) {
        if (ends_as(&t->entries->entries[i], STR(".cleaned"), &base) && base < t->cleaned_low)
            t->cleaned_low = base;
    }
}

static void tidy_end(struct tidy *t, int64_t result)
{
    flow_done(&t->flow, result);
    free(t);
}

static void tidy_run(struct flow *f)
{
    struct tidy *t = container_of(f, struct tidy, flow);
    struct io *io = t->log->io;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(io, &f->op));
    tidy_begin(t);
    for (t->i = 0; t->i < t->entries->count; t->i++) {
        if (!is_leftover(t))
            continue;
        tidy_path(t, t->from);
        FLOW_TRY(f, "remove a leftover", io_remove(io, t->from, &f->op));
        t->changes++;
    }
    for (t->i = 0; t->i < t->entries->count; t->i++) {
        if (!is_swap(t, true))
            continue;
        swap_open(t);
        FLOW_TRY(f, "open a replacement", segment_use(t->swap, &f->op));
        while ((t->rc = scan_next(&t->scan, &t->batch)) > 0) {
            if (t->rc == SCAN_FILL)
                FLOW_TRY(f, "read a replacement", scan_fill(&t->scan, &f->op));
            else if (t->batch.last_offset + 1 > t->swap_high)
                t->swap_high = t->batch.last_offset + 1;
        }
        swap_close(t);
    }
    for (t->i = 0; t->i < t->entries->count; t->i++) {
        if (!is_replaced(t))
            continue;
        tidy_path(t, t->from);
        FLOW_TRY(f, "remove what was replaced", io_remove(io, t->from, &f->op));
        t->changes++;
    }
    for (t->i = 0; t->i < t->entries->count; t->i++) {
        if (!is_swap(t, false))
            continue;
        tidy_path(t, t->from);
        tidy_path(t, t->to);
        t->to[strlen(t->to) - strlen(".swap")] = '\0';
        FLOW_TRY(f, "put a replacement in place", io_rename(io, t->from, t->to, &f->op));
        t->changes++;
    }
    if (t->changes > 0)
        FLOW_TRY(f, "sync the directory", io_sync_dir(io, t->log->path, &f->op));
    FLOW_END(f);
    tidy_end(t, t->changes);
    return;
failed:
    if (t->swap != NULL)
        swap_close(t);
    tidy_end(t, f->result);
}

void log_tidy(struct log *log, const struct io_entries *entries, struct op *op)
{
    struct tidy *t = calloc(1, sizeof(*t));

    ASSERT(t != NULL);
    t->log = log;
    t->entries = entries;
    flow_start(&t->flow, tidy_run, op);
}

/* ---- segments ------------------------------------------------------------------------------ */

static const struct {
    struct str suffix;
    uint32_t entry_bytes;
} sides[SIDES] = {
    [SIDE_INDEX] = {{".index", 6}, INDEX_ENTRY_BYTES},
    [SIDE_TIME] = {{".timeindex", 10}, TIME_ENTRY_BYTES},
    [SIDE_TXN] = {{".txnindex", 9}, TXN_ENTRY_BYTES},
};

static void collect_segments(struct log *log, const struct io_entries *entries)
{
    struct str suffix;
    int64_t base;

    for (uint32_t i = 0; i < entries->count; i++) {
        const struct io_entry *e = &entries->entries[i];
        if (e->is_dir || !name_parse(e->name, &base, &suffix) || !str_equal(suffix, STR(".log")))
            continue;
        struct segment *s = segment_new(log, base);
        s->size_bytes = s->drained_bytes = s->whole_bytes = e->size_bytes;
        s->modified_ms = e->modified_ms;
        s->rolled = s->closed = s->named = true;
        log->size_bytes += e->size_bytes;
        log_segments_add(log, s);
    }
    if (log->segment_count == 0)
        return;
    log_last_segment(log)->rolled = false;
    log_last_segment(log)->closed = false;
}

/* After a clean stop both indexes are there, whole entries, and the time index of a segment with
 * data has its last entry. */
static bool sides_are_missing(const struct segment *s, const bool seen[SIDES])
{
    for (int side = 0; side < SIDES; side++) {
        if (s->side[side].written_bytes % sides[side].entry_bytes != 0)
            return true;
    }
    if (!seen[SIDE_INDEX] || !seen[SIDE_TIME])
        return true;
    return s->size_bytes > 0 && s->side[SIDE_TIME].written_bytes == 0;
}

void log_collect(struct log *log, const struct io_entries *entries, bool **missing)
{
    bool(*seen)[SIDES];
    struct str suffix;
    int64_t base;

    collect_segments(log, entries);
    seen = calloc(log->segment_count + 1, sizeof(*seen));
    *missing = calloc(log->segment_count + 1, sizeof(**missing));
    ASSERT(seen != NULL && *missing != NULL);
    for (uint32_t i = 0; i < entries->count && log->segment_count > 0; i++) {
        if (!name_parse(entries->entries[i].name, &base, &suffix))
            continue;
        uint32_t at = log_segment_index(log, base);
        struct segment *s = log->segments[at];
        if (s->base != base)
            continue;
        for (int side = 0; side < SIDES; side++) {
            if (!str_equal(suffix, sides[side].suffix))
                continue;
            seen[at][side] = true;
            s->side[side].written_bytes = entries->entries[i].size_bytes;
            if (side == SIDE_TXN && s->side[side].written_bytes > 0)
                log->aborts = true;
        }
    }
    for (uint32_t i = 0; i < log->segment_count; i++)
        (*missing)[i] = sides_are_missing(log->segments[i], seen[i]);
    free(seen);
}

/* ---- the end of a clean log ---------------------------------------------------------------- */

struct check {
    struct flow flow;
    struct log *log;
    struct segment *segment, *held;
    struct scan scan;
    struct batch batch;
    int rc;
    uint64_t position; /* of the last index entry's batch */
    uint8_t entry[BATCH_HEADER_BYTES];
    char path[LOG_PATH_BYTES];
};

static void check_end(struct check *c, int64_t result)
{
    scan_deinit(&c->scan);
    segment_release(&c->held);
    flow_done(&c->flow, result);
    free(c);
}

/* A time index entry that a segment with data can end with. */
static bool take_time_entry(struct check *c)
{
    struct segment *s = c->segment;

    s->last_time_entry_ms = get_i64(c->entry);
    s->max_timestamp_ms = s->last_time_entry_ms;
    s->max_timestamp_offset = s->base + get_u32(c->entry + 8);
    s->timestamps_known = true;
    /* zero bytes at the end of an index that was not cut are no entry */
    return s->max_timestamp_ms > 0 && get_i32(c->entry + 8) >= 0;
}

static bool take_index_entry(struct check *c)
{
    c->position = get_u32(c->entry + 4);
    return c->position > 0 && c->position < c->segment->size_bytes;
}

static bool take_first_head(struct check *c)
{
    struct batch first;

    if (head_read(c->entry, &first) < 0)
        return false;
    c->segment->first_timestamp_ms = first.max_timestamp_ms;
    return true;
}

static uint64_t last_entry_position(const struct segment *s, enum side side)
{
    return s->side[side].written_bytes - sides[side].entry_bytes;
}

static void check_run(struct flow *f)
{
    struct check *c = container_of(f, struct check, flow);
    struct segment *s = c->segment;
    struct io *io = c->log->io;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open a segment", segment_use(s, &f->op));
    c->held = s;
    if (s->size_bytes == 0) {
        s->timestamps_known = true;
        if (s->side[SIDE_INDEX].written_bytes + s->side[SIDE_TIME].written_bytes > 0)
            goto bad;
        check_end(c, s->base);
        return;
    }
    FLOW_TRY(f, "read a segment", io_read(s->file, 0, c->entry, BATCH_HEADER_BYTES, &f->op));
    if (f->result < BATCH_HEADER_BYTES || !take_first_head(c))
        goto bad;
    log_file_path(c->log, s->base, ".timeindex", c->path);
    FLOW_TRY(f, "read a time index",
             file_read_at(io, c->path, last_entry_position(s, SIDE_TIME), c->entry,
                          TIME_ENTRY_BYTES, &f->op));
    if (f->result < TIME_ENTRY_BYTES || !take_time_entry(c))
        goto bad;
    if (s->side[SIDE_INDEX].written_bytes > 0) {
        log_file_path(c->log, s->base, ".index", c->path);
        FLOW_TRY(f, "read an index",
                 file_read_at(io, c->path, last_entry_position(s, SIDE_INDEX), c->entry,
                              INDEX_ENTRY_BYTES, &f->op));
        if (f->result < INDEX_ENTRY_BYTES || !take_index_entry(c))
            goto bad;
    }
    scan_init(&c->scan, s, c->position, s->size_bytes, false, SCAN_WINDOW_BYTES);
    while ((c->rc = scan_next(&c->scan, &c->batch)) > 0) {
        if (c->rc == SCAN_FILL)
            FLOW_TRY(f, "read a segment", scan_fill(&c->scan, &f->op));
    }
    if (c->rc < 0)
        goto bad;
    c->scan.position = c->scan.batch_position;
    c->scan.whole = true;
    while ((c->rc = scan_next(&c->scan, &c->batch)) == SCAN_FILL)
        FLOW_TRY(f, "read a segment", scan_fill(&c->scan, &f->op));
    if (c->rc != SCAN_BATCH || !batch_crc_ok(&c->batch))
        goto bad;
    FLOW_END(f);
    check_end(c, c->batch.last_offset + 1);
    return;
bad:
    say(c->log->telemetry, LOG_WARN, "log",
        "%s does not end as after a clean stop: its end is read and rebuilt", s->path);
    check_end(c, ERR_CORRUPT);
    return;
failed:
    check_end(c, f->result);
}

void log_check_last(struct log *log, struct op *op)
{
    struct check *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    c->log = log;
    c->segment = log_last_segment(log);
    flow_start(&c->flow, check_run, op);
}

/* ---- a new segment's files ----------------------------------------------------------------- */

struct create {
    struct flow flow;
    struct segment *segment;
    struct io_file *file;
    uint32_t i;
    char path[LOG_PATH_BYTES];
};

static const char *const created_suffixes[] = {".log", ".index", ".timeindex"};

static void create_run(struct flow *f)
{
    struct create *c = container_of(f, struct create, flow);
    struct io *io = c->segment->io;

    FLOW_BEGIN(f);
    for (c->i = 0; c->i < array_count(created_suffixes); c->i++) {
        log_file_path(c->segment->log, c->segment->base, created_suffixes[c->i], c->path);
        FLOW_TRY(f, "create a segment",
                 io_open(io, c->path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &c->file, &f->op));
        FLOW_TRY(f, "create a segment", io_close(c->file, &f->op));
    }
    FLOW_END(f);
    flow_done(f, 0);
    free(c);
    return;
failed:
    flow_done(f, f->result);
    free(c);
}

void segment_create_files(struct segment *s, struct op *op)
{
    struct create *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    c->segment = s;
    flow_start(&c->flow, create_run, op);
}
