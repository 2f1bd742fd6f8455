/* Opening a log. */
#include <stdio.h>
#include <stdlib.h>

#include "log/journal.h"
#include "log/opening.h"

/* The longest name that is made in a log's directory, and what is added to the directory itself. */
#define NAME_ROOM_BYTES 128

static struct log *log_new(const struct log_open *o)
{
    struct log *log = calloc(1, sizeof(*log));
    char path[LOG_PATH_BYTES];

    ASSERT(log != NULL);
    if (o->directory != NULL)
        snprintf(path, sizeof(path), "%s/%s", o->dir->path, o->directory);
    else
        snprintf(path, sizeof(path), "%s/%.*s-%d", o->dir->path, STR_ARG(o->topic), o->partition);
    log->io = o->io;
    log->telemetry = o->telemetry;
    log->dir = o->dir;
    log->memory = o->memory;
    log->topic = str_dup(o->topic);
    log->path = str_dup(str_of(path));
    log->partition = o->partition;
    log->topic_id = o->topic_id;
    log->settings = o->settings;
    log->is_metadata = o->is_metadata;
    log->stable_moved = o->stable_moved;
    log->ctx = o->ctx;
    producers_init(&log->producers, o->settings.producer_expiration_ms);
    list_init(&log->epoch_waiters);
    list_init(&log->flush_waiters);
    list_init(&log->jobs);
    list_init(&log->sync_waiters);
    list_init(&log->place_waiters);
    list_init(&log->side_waiters);
    list_init(&log->txn_waiters);
    list_init(&log->start_waiters);
    if (log->memory->cached.next == NULL) {
        list_init(&log->memory->cached);
        list_init(&log->memory->undrained);
        list_init(&log->memory->files);
        list_init(&log->memory->deletions);
        list_init(&log->memory->spare);
    }
    return log;
}

/* The metadata log has its own rules of what is durable when; without an id nobody could find a log again. */
static void join_journal(struct log *log)
{
    if (log->is_metadata || uuid_is_zero(log->topic_id))
        return;
    log_journal_reset(log);
    log->user.journal = journal_of(log->dir, log->io, log->telemetry, log->memory);
}

static void opening_end(struct opening *x, int64_t result)
{
    struct flow *f = &x->flow;

    if (result < 0) {
        if (x->fail->error == 0)
            fail_set(x->fail, (int)result, "%s: cannot %s: %s", x->log->path, f->step,
                     error_text((int)result));
        log_free(x->log);
    } else {
        x->log->opened = true;
        join_journal(x->log);
        *x->out = x->log;
    }
    io_entries_free(&x->entries);
    text_deinit(&x->text);
    free(x->missing);
    free(x->modes);
    flow_done(f, result);
    free(x);
}

void opening_step_end(struct opening *x, struct flow *f, int64_t result)
{
    if (result < 0 && x->fail->error == 0)
        fail_set(x->fail, (int)result, "%s: cannot %s: %s", x->log->path, f->step,
                 error_text((int)result));
    flow_done(f, result);
}

static void add_first_segment(struct opening *x, int64_t base)
{
    struct segment *s = segment_new(x->log, base);

    s->timestamps_known = true;
    s->named = true; /* the directory is synced before the log is given out */
    log_segments_add(x->log, s);
    x->created = true;
}

/* The newest snapshot that is still there. */
static int64_t newest_snapshot(const struct opening *x)
{
    int64_t newest = 0, offset;
    struct str suffix;

    for (uint32_t i = 0; i < x->entries.count; i++) {
        if (!name_parse(x->entries.entries[i].name, &offset, &suffix))
            continue;
        if (!str_equal(suffix, STR(".snapshot")) || offset > x->snapshots_upto)
            continue;
        newest = offset > newest ? offset : newest;
    }
    return newest;
}

static void set_positions(struct opening *x)
{
    struct log *log = x->log;

    log->start = log->segments[0]->base;
    if (x->o->start_offset > log->start)
        log->start = x->o->start_offset;
    log->drained = log->synced = log->stable = log->recovery_point = log->end;
    /* A log that ends below it has lost its end: what will be there is not what was compacted. */
    log->first_dirty = x->o->first_dirty <= log->end ? x->o->first_dirty : log->start;
    epochs_truncate(&log->epochs, log->end);
    epochs_raise_start(&log->epochs, log->start);
    if (newest_snapshot(x) > log->snapshot_offset)
        log->snapshot_offset = newest_snapshot(x);
    scan_point_settle(log);
    log->point.listed = x->has_point;
    if (x->has_point)
        log->point.noted = x->point;
}

static void begin_empty(struct opening *x)
{
    struct log *log = x->log;

    epochs_clear(&log->epochs);
    producers_clear(&log->producers);
    x->snapshots_upto = -1;
    add_first_segment(x, x->o->start_offset > 0 ? x->o->start_offset : 0);
    log->end = log->segments[0]->base;
}

static void say_what_was_done(const struct opening *x)
{
    const struct log *log = x->log;

    if (!x->rebuilds || log->size_bytes == 0 || (x->has_point && log->end == x->point.offset))
        return;
    if (log->is_metadata && x->o->dir->clean) /* it is read at every start */
        return;
    say(log->telemetry, LOG_INFO, "log",
        "%s: read after a stop that was not clean, offsets %lld to %lld", log->path,
        (long long)(x->has_point ? x->point.offset : log->start), (long long)log->end);
}

/* Those of a log that is as a clean stop left it; an empty one may have been made since. The scan from a point has
 * seen to it. */
static bool names_are_durable(const struct opening *x)
{
    return x->o->clean || x->has_point || (x->clean && x->log->size_bytes > 0);
}

/* What a new log needs, and an old one lacks. */
static void write_names_run(struct flow *f)
{
    struct opening *x = container_of(f, struct opening, part);
    struct log *log = x->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    if (log->segment_count == 0) {
        begin_empty(x);
        FLOW_TRY(f, "remove snapshots", snapshot_remove_above(log, &x->entries, -1, &f->op));
        FLOW_TRY(f, "make its first segment", segment_create_files(log_last_segment(log), &f->op));
    }
    set_positions(x);
    if (!x->has_metadata && !uuid_is_zero(log->topic_id))
        FLOW_TRY(f, "write partition.metadata",
                 file_replace(log->io, log->path, LOG_METADATA_NAME, opening_metadata(x), &f->op));
    else if (x->created || !names_are_durable(x)) /* a killed process may not have come to that */
        FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
#ifndef MUTANT_LOG_NAME_NOT_SYNCED
    if (x->fresh)
        FLOW_TRY(f, "sync the log directory", io_sync_dir(log->io, log->dir->path, &f->op));
#endif
    /* Epochs that were dropped or rebuilt are not saved here: the next start would find the same,
     * and before the first batch or at a close they are. */
    FLOW_TRY(f, "remove old snapshots", snapshot_remove_strays(log, &x->entries, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    opening_step_end(x, f, f->result);
}

static void open_run(struct flow *f)
{
    struct opening *x = container_of(f, struct opening, flow);
    struct log *log = x->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "list it", io_list(log->io, log->path, &x->entries, &f->op));
    if (f->result == -ENOENT) {
        x->fresh = true;
        FLOW_TRY(f, "make the directory", io_mkdir(log->io, log->path, &f->op));
    } else if (f->result < 0) {
        goto failed;
    } else {
        FLOW_TRY(f, "tidy it", log_tidy(log, &x->entries, &f->op));
        if (f->result > 0) {
            io_entries_free(&x->entries);
            x->entries = (struct io_entries){0};
            FLOW_TRY(f, "list it", io_list(log->io, log->path, &x->entries, &f->op));
        }
    }
    log_collect(log, &x->entries, &x->missing);
    FLOW_TRY(f, "read its names", opening_read_names(x, &f->op));
    if (log->segment_count > 0)
        FLOW_TRY(f, "read its batches", opening_read_batches(x, &f->op));
    FLOW_TRY(f, "complete it", flow_start(&x->part, write_names_run, &f->op));
    FLOW_END(f);
    say_what_was_done(x);
    opening_end(x, 0);
    return;
failed:
    opening_end(x, f->result);
}

void log_open(const struct log_open *o, struct log **out, struct fail *fail, struct op *op)
{
    struct opening *x;

    if (strlen(o->dir->path) + (size_t)o->topic.n + NAME_ROOM_BYTES > LOG_PATH_BYTES) {
        fail_set(fail, -ENAMETOOLONG, "%s/%.*s-%d: the path is too long", o->dir->path,
                 STR_ARG(o->topic), o->partition);
        io_complete(o->io, op, -ENAMETOOLONG);
        return;
    }
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->o = o;
    x->out = out;
    x->fail = fail == NULL ? &x->own_fail : fail;
    x->clean = o->clean && !o->is_metadata;
    x->recovery_point = o->is_metadata ? 0 : o->recovery_point;
    x->log = log_new(o);
    flow_start(&x->flow, open_run, op);
}
