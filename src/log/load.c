/* Reading a log's directory. */
#include <stdio.h>
#include <stdlib.h>

#include "log/head.h"
#include "log/recover.h"
#include "log/scan.h"

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
        segment_set_bytes(s, e->size_bytes);
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
    uint64_t end;               /* in its file */
    uint64_t side_bytes[SIDES]; /* of its side files */
    const struct scan_point *point; /* NULL: all of it is looked at, as after a clean stop */
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

    if (c->point != NULL)
        return get_i64(c->entry) == c->point->last_time_entry_ms;
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
    return c->position > 0 && c->position < c->end;
}

static bool take_first_head(struct check *c)
{
    struct batch first;

    if (head_read(c->entry, &first) < 0)
        return false;
    c->segment->first_timestamp_ms = first.max_timestamp_ms;
    return true;
}

static uint64_t last_entry_position(const struct check *c, enum side side)
{
    return c->side_bytes[side] - sides[side].entry_bytes;
}

static bool sides_are_short(const struct check *c)
{
    for (int side = 0; side < SIDES; side++) {
        if (c->segment->side[side].written_bytes < c->side_bytes[side])
            return true;
    }
    return c->segment->size_bytes < c->end;
}

static void check_run(struct flow *f)
{
    struct check *c = container_of(f, struct check, flow);
    struct segment *s = c->segment;
    struct io *io = c->log->io;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open a segment", segment_use(s, &f->op));
    c->held = s;
    if (sides_are_short(c))
        goto bad;
    if (c->end == 0) {
        s->timestamps_known = c->point == NULL;
        if (c->side_bytes[SIDE_INDEX] + c->side_bytes[SIDE_TIME] > 0)
            goto bad;
        check_end(c, s->base);
        return;
    }
    FLOW_TRY(f, "read a segment", io_read(s->file, 0, c->entry, BATCH_HEADER_BYTES, &f->op));
    if (f->result < BATCH_HEADER_BYTES || !take_first_head(c))
        goto bad;
    if (c->side_bytes[SIDE_TIME] > 0 || c->point == NULL) {
        log_file_path(c->log, s->base, ".timeindex", c->path);
        FLOW_TRY(f, "read a time index",
                 file_read_at(io, c->path, last_entry_position(c, SIDE_TIME), c->entry, TIME_ENTRY_BYTES, &f->op));
        if (f->result < TIME_ENTRY_BYTES || !take_time_entry(c))
            goto bad;
    }
    if (c->side_bytes[SIDE_INDEX] > 0) {
        log_file_path(c->log, s->base, ".index", c->path);
        FLOW_TRY(f, "read an index",
                 file_read_at(io, c->path, last_entry_position(c, SIDE_INDEX), c->entry,
                              INDEX_ENTRY_BYTES, &f->op));
        if (f->result < INDEX_ENTRY_BYTES || !take_index_entry(c))
            goto bad;
    }
    scan_init(&c->scan, s, c->position, c->end, false, SCAN_WINDOW_BYTES);
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
        c->point != NULL ? "%s, or a file beside it, is not what was noted of it: it is read from its beginning on"
                         : "%s does not end as after a clean stop: its end is read and rebuilt", s->path);
    check_end(c, ERR_CORRUPT);
    return;
failed:
    check_end(c, f->result);
}

static struct check *check_new(struct log *log, struct segment *s)
{
    struct check *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    c->log = log;
    c->segment = s;
    return c;
}

void log_check_last(struct log *log, struct op *op)
{
    struct check *c = check_new(log, log_last_segment(log));

    c->end = c->segment->size_bytes;
    for (int side = 0; side < SIDES; side++)
        c->side_bytes[side] = c->segment->side[side].written_bytes;
    flow_start(&c->flow, check_run, op);
}

void log_check_point(struct log *log, struct segment *s, const struct scan_point *point, struct op *op)
{
    struct check *c = check_new(log, s);

    c->point = point;
    c->end = point->position;
    for (int side = 0; side < SIDES; side++)
        c->side_bytes[side] = point->side_bytes[side];
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
