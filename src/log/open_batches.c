/* What is read of a log when it is opened: as little as its clean stop, its scan point or its recovery point allow. */
#include <stdlib.h>

#include "log/opening.h"
#include "log/points_file.h"

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

static struct segment *point_segment(const struct opening *x)
{
    return x->log->segments[log_segment_index(x->log, x->point.base)];
}

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
    opening_step_end(x, f, f->result);
}

void opening_read_batches(struct opening *x, struct op *op)
{
    find_point(x);
    flow_start(&x->part, read_batches_run, op);
}
