/* Opening and closing a log. */
#include <stdio.h>
#include <stdlib.h>

#include "log/journal.h"
#include "log/points_file.h"
#include "log/state.h"

/* The longest name that is made in a log's directory, and what is added to the directory itself. */
#define NAME_ROOM_BYTES 128

/* ---- open ---------------------------------------------------------------------------------- */

struct opening {
    struct flow flow, part;
    const struct log_open *o;
    struct log *log;
    struct log **out;
    struct fail *fail, own_fail;
    struct io_entries entries;
    struct text text;
    bool *missing;  /* per segment: side files are not as they should be */
    uint8_t *modes; /* per segment: enum pass_mode */
    bool clean;
    bool has_point; /* `point` is where the scan begins */
    struct scan_point point;
    bool fresh;   /* the directory was made */
    bool created; /* a segment was */
    bool rebuilds;
    bool epochs_wrong; /* as the pass has found */
    bool has_metadata, has_epochs;
    int64_t recovery_point;
    int64_t snapshots_upto; /* snapshots above it are not to be believed */
    struct pass pass;
    char path[LOG_PATH_BYTES];
};

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

static void note_names(struct opening *x)
{
    for (uint32_t i = 0; i < x->entries.count; i++) {
        const char *name = x->entries.entries[i].name;
        x->has_metadata |= strcmp(name, LOG_METADATA_NAME) == 0;
        x->has_epochs |= strcmp(name, LOG_EPOCHS_NAME) == 0;
    }
}

/* "version: 0\ntopic_id: <22 letters>", as Kafka writes it. */
static int take_metadata(struct opening *x)
{
    struct str rest = text_str(&x->text), line;
    struct uuid id = UUID_ZERO;
    char have[UUID_TEXT_BYTES], want[UUID_TEXT_BYTES];

    while (str_cut(&rest, '\n', &line)) {
        struct str value = line, key;
        if (!str_cut(&value, ':', &key) || !str_equal(str_trim(key), STR("topic_id")))
            continue;
        if (uuid_parse(str_trim(value), &id) < 0)
            return fail_set(x->fail, ERR_CORRUPT, "%s/%s: no topic id can be read from it",
                            x->log->path, LOG_METADATA_NAME);
    }
    if (uuid_is_zero(x->log->topic_id))
        x->log->topic_id = id;
    if (!uuid_is_zero(id) && !uuid_equal(id, x->log->topic_id))
        return fail_set(
            x->fail, ERR_CORRUPT,
            "%s belongs to topic id %s, not to %s: it is of an older topic of that name",
            x->log->path, uuid_text(id, have), uuid_text(x->log->topic_id, want));
    return 0;
}

static struct bytes metadata_content(struct opening *x)
{
    char id[UUID_TEXT_BYTES];

    text_clear(&x->text);
    text_printf(&x->text, "version: 0\ntopic_id: %s", uuid_text(x->log->topic_id, id));
    return bytes_of_str(text_str(&x->text));
}

/* An unreadable file of epochs is not the end: the batches say it all again. */
static void take_epochs(struct opening *x)
{
    struct fail why = {0};

    if (epochs_parse(&x->log->epochs, text_str(&x->text), &why) == 0)
        return;
    say(x->log->telemetry, LOG_WARN, "log", "%s/%s: it is made again from the batches",
        x->log->path, why.text);
}

static void add_first_segment(struct opening *x, int64_t base)
{
    struct segment *s = segment_new(x->log, base);

    s->timestamps_known = true;
    s->named = true; /* the directory is synced before the log is given out */
    log_segments_add(x->log, s);
    x->created = true;
}

/* What the directory knows of the log after a stop that was not clean: that nothing has changed since a clean one; from
 * where on something has; or nothing. Without records the segment of the point need not have its name yet. */
static void find_point(struct opening *x)
{
    struct log *log = x->log;

    if (x->clean || log->is_metadata || uuid_is_zero(log->topic_id))
        return;
    switch (points_file_take(log->dir->points, log->topic_id, log->partition, &x->point)) {
    case POINT_UNKNOWN:
        break;
    case POINT_NONE:
#ifndef MUTANT_LOG_OLD_CHECKPOINT
        x->recovery_point = 0;
#endif
        break;
    case POINT_CLEAN:
        x->clean = true;
        break;
    case POINT_KNOWN:
        x->has_point = log->segment_count > 0 &&
                       log->segments[log_segment_index(log, x->point.base)]->base == x->point.base;
        x->clean = log->segment_count > 0 && x->point.position == 0 && log_last_segment(log)->base < x->point.base;
        break;
    }
}

/* All batches are needed for something, or a segment before the point is to be read anyway. */
static bool point_is_of_no_use(const struct opening *x)
{
    uint32_t at = log_segment_index(x->log, x->point.base);

    for (uint32_t i = 0; i < at; i++) {
        if (x->missing[i])
            return true;
    }
    return x->log->epochs.count == 0 && x->log->size_bytes > 0;
}

/* Which segments must be gone through, and why. */
static void plan(struct opening *x)
{
    struct log *log = x->log;
    uint32_t first = log->segment_count;

    x->has_point = x->has_point && !point_is_of_no_use(x);

    free(x->modes);
    x->modes = calloc(log->segment_count + 1, 1);
    ASSERT(x->modes != NULL);
    if (!x->clean)
        first = log_segment_index(log, x->has_point ? x->point.base : x->recovery_point);
    x->pass.cut_from = x->clean ? INT64_MAX : log->segments[first]->base;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        if (i >= first || (x->missing != NULL && x->missing[i])) {
            x->modes[i] = PASS_REBUILD;
            x->rebuilds = true;
            if (i < first)
                first = i;
        }
    }
    x->pass.modes = x->modes;
    x->pass.epochs_wrong = &x->epochs_wrong;
    x->pass.epochs = log->epochs.count == 0 && log->size_bytes > 0;
    x->pass.point = x->has_point ? &x->point : NULL;
    x->snapshots_upto = first < log->segment_count ? log->segments[first]->base : log->end;
    if (x->has_point)
        x->snapshots_upto = x->point.offset;
}

/* The producers as of the point; false: they are not told, and the scan begins elsewhere. */
static bool take_producers(struct opening *x, int64_t snapshot_offset)
{
    x->pass.producers_from = snapshot_offset;
    if (!x->has_point || snapshot_offset == x->point.offset)
        return true;
    x->has_point = !x->point.has_producers;
    if (!x->has_point)
        return false;
    producers_clear(&x->log->producers);
    x->pass.producers_from = x->point.offset;
    return true;
}

static bool pass_is_needed(const struct opening *x)
{
    const struct log *log = x->log;

    return x->rebuilds || x->pass.epochs || x->pass.producers_from < log->end;
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

/* Everything that is there lies below the start that was promised: begin empty (interop: 1.10). */
static bool is_behind_start(const struct opening *x)
{
    return x->o->start_offset > x->log->end;
}

/* A log that is shorter than its recovery point was cut after that was written; it says nothing
 * about what was appended since: everything has to be looked at. True when the plan has changed. */
static bool forget_old_recovery_point(struct opening *x)
{
    if (x->clean || x->has_point || x->recovery_point <= x->log->end || x->log->segment_count == 1)
        return false;
    x->recovery_point = 0;
    return true;
}

/* Epochs that the batches contradict are learned from all of them. True when the plan has changed. */
static bool forget_wrong_epochs(struct opening *x)
{
    if (!x->epochs_wrong)
        return false;
    x->epochs_wrong = false;
    say(x->log->telemetry, LOG_WARN, "log", "%s/%s: it does not go with the batches, and is made again from them",
        x->log->path, LOG_EPOCHS_NAME);
    epochs_clear(&x->log->epochs);
    return true;
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
    say(log->telemetry, LOG_INFO, "log",
        "%s: read after a stop that was not clean, offsets %lld to %lld", log->path,
        (long long)(x->has_point ? x->point.offset : log->start), (long long)log->end);
}

/* Steps end with the message that says what went wrong. */
static void step_end(struct opening *x, struct flow *f, int64_t result)
{
    if (result < 0 && x->fail->error == 0)
        fail_set(x->fail, (int)result, "%s: cannot %s: %s", x->log->path, f->step,
                 error_text((int)result));
    flow_done(f, result);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct log_found *)a)->name, ((const struct log_found *)b)->name);
}

/* The directory has been looked into, and says what it is to say: names are listed in their order. */
static bool id_is_known(const struct opening *x)
{
    struct log_found key = {.name = strrchr(x->log->path, '/') + 1};
    const struct log_found *found =
        bsearch(&key, x->o->dir->found, x->o->dir->found_count, sizeof(key), by_name);

    return found != NULL && !uuid_is_zero(found->topic_id) && uuid_equal(found->topic_id, x->log->topic_id);
}

/* The small files: to whom the log belongs, and its epochs. */
static void read_names_run(struct flow *f)
{
    struct opening *x = container_of(f, struct opening, part);
    struct log *log = x->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    if (x->has_metadata && !id_is_known(x)) {
        snprintf(x->path, sizeof(x->path), "%s/%s", log->path, LOG_METADATA_NAME);
        FLOW_TRY(f, "read partition.metadata",
                 file_read_all(log->io, x->path, SMALL_FILE_BYTES_MAX, &x->text, &f->op));
        if (take_metadata(x) < 0) {
            flow_done(f, ERR_CORRUPT);
            return;
        }
    }
    if (x->has_epochs) {
        snprintf(x->path, sizeof(x->path), "%s/%s", log->path, LOG_EPOCHS_NAME);
        text_clear(&x->text);
        FLOW_TRY(f, "read leader epochs",
                 file_read_all(log->io, x->path, SMALL_FILE_BYTES_MAX, &x->text, &f->op));
        take_epochs(x);
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    step_end(x, f, f->result);
}

static struct segment *point_segment(const struct opening *x)
{
    return x->log->segments[log_segment_index(x->log, x->point.base)];
}

/* The batches: after a clean stop only the last one, else all that may have to be cut or rebuilt.
 */
static void read_batches_run(struct flow *f)
{
    struct opening *x = container_of(f, struct opening, part);
    struct log *log = x->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    if (x->clean && !x->missing[log->segment_count - 1]) {
        FLOW_WAIT(f, "read its end", log_check_last(log, &f->op));
        if (f->result < 0 && f->result != ERR_CORRUPT)
            goto failed;
        log->end = f->result < 0 ? 0 : f->result;
        x->missing[log->segment_count - 1] = f->result < 0;
    }
    if (x->has_point) {
        FLOW_WAIT(f, "look at its scan point", log_check_point(log, point_segment(x), &x->point, &f->op));
        if (f->result < 0 && f->result != ERR_CORRUPT)
            goto failed;
        x->has_point = f->result == x->point.offset;
    }
    do {
        do {
            plan(x);
            FLOW_TRY(f, "remove snapshots",
                     snapshot_remove_above(log, &x->entries, x->snapshots_upto, &f->op));
            FLOW_TRY(f, "read producers",
                     snapshot_restore(log, &x->entries, x->snapshots_upto, &f->op));
        } while (!take_producers(x, f->result));
        if (pass_is_needed(x)) {
            FLOW_TRY(f, "read its batches", log_pass(log, &x->pass, x->fail, &f->op));
            log->end = f->result;
        }
        if (!x->pass.epochs)
            FLOW_TRY(f, "check leader epochs", log_check_epochs(log, &x->epochs_wrong, &f->op));
    } while (forget_old_recovery_point(x) || forget_wrong_epochs(x));
    if (log->segment_count > 1 && log_last_segment(log)->size_bytes == 0)
        FLOW_TRY(f, "read its timestamps",
                 segment_load_timestamps(log->segments[log->segment_count - 2], &f->op));
    while (is_behind_start(x) && log->segment_count > 0) {
        FLOW_TRY(f, "remove what lies below its start",
                 segment_remove_files(log, log_last_segment(log)->base, &f->op));
        log_segments_remove(log, log->segment_count - 1);
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    step_end(x, f, f->result);
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
                 file_replace(log->io, log->path, LOG_METADATA_NAME, metadata_content(x), &f->op));
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
    step_end(x, f, f->result);
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
    note_names(x);
    log_collect(log, &x->entries, &x->missing);
    FLOW_TRY(f, "read its names", flow_start(&x->part, read_names_run, &f->op));
    find_point(x);
    if (log->segment_count > 0)
        FLOW_TRY(f, "read its batches", flow_start(&x->part, read_batches_run, &f->op));
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

/* ---- close --------------------------------------------------------------------------------- */

struct closing {
    struct job job;
    struct segment_save *save;
    struct text text;
    uint32_t i;
    int64_t rc;
    char name[40];
};

static void closing_end(struct closing *c, int64_t result)
{
    text_deinit(&c->text);
    flow_done(&c->job.flow, result);
}

static struct bytes snapshot_content(struct closing *c)
{
    snapshot_name(c->job.log->end, c->name);
    producers_print(&c->job.log->producers, &c->text);
    return bytes_of_str(text_str(&c->text));
}

static void readers_left(struct gate *g)
{
    struct log *log = container_of(g, struct log, gate);

    io_complete(log->io, &log->job->flow.op, 0);
}

/* What a clean stop leaves (interop: 1.11). Everything is drained and synced, older segments are
 * closed: a job begins like that. */
static void close_run(struct flow *f)
{
    struct closing *c = container_of(f, struct closing, job.flow);
    struct log *log = c->job.log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "wait for readers", gate_close(&log->gate, readers_left));
    if (!log_is_failed(log)) {
        index_apply_last(log_last_segment(log));
        FLOW_WAIT(f, "save indexes",
                  c->save = segment_save_start(log_last_segment(log), SAVE_FINAL, &f->op));
        segment_save_free(c->save);
        c->rc = f->result;
        if (c->rc >= 0 && log->end > log->snapshot_offset) {
            FLOW_WAIT(f, "save producers",
                      file_replace(log->io, log->path, c->name, snapshot_content(c), &f->op));
            c->rc = f->result;
        }
        if (c->rc < 0)
            log_fail(log, c->rc, f->step);
    }
    for (c->i = 0; c->i < log->segment_count; c->i++) {
        if (log->segments[c->i]->users > 0) /* spans are out: they close it */
            continue;
        FLOW_WAIT(f, "close a segment", segment_close_file(log->segments[c->i], &f->op));
        if (f->result < 0 && c->rc >= 0)
            c->rc = f->result;
    }
    FLOW_END(f);
    if (log->failed && c->rc >= 0)
        c->rc = ERR_OFFLINE;
    closing_end(c, c->rc < 0 ? c->rc : 0);
}

void log_close(struct log *log, struct op *op)
{
    struct closing *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    ASSERT(!log->closing);
    log->closing = log->leaving = true;
    c->job.no_appends = c->job.always = c->job.last = true;
    log_job_add(log, &c->job, close_run, op);
}
