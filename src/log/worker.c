/* The one flow that changes what is below the tail: it calls for drains and syncs, and runs the jobs that need a log at
 * rest, one after the other.
 */
#include <stdlib.h>

#include "log/journal.h"
#include "log/state.h"

/* ---- what there is to do ------------------------------------------------------------------- */

bool log_is_going(const struct log *log)
{
    if (log->job != NULL)
        return log->job->drops;
    return !list_empty(&log->jobs) && container_of(log->jobs.next, struct job, node)->drops;
}

/* It is about to be deleted, so nothing of it is drained any more; unless the journal waits for that to have room again,
 * for which the deletion itself may wait. */
bool log_is_dropped(const struct log *log)
{
    return log_is_going(log) && (log->job != NULL || !log->user.settling);
}

static bool flush_is_due(const struct log *log)
{
    return !list_empty(&log->flush_waiters) && log->synced < log->drained;
}

bool worker_has_work(struct log *log)
{
    if (!list_empty(&log->jobs))
        return true;
    if (log_is_failed(log))
        return false;
    return epochs_are_dirty(&log->epochs) || scan_point_is_unlisted(log) || log_has_undrained(log) || flush_is_due(log) ||
           log_cut_is_due(log);
}

static void worker_fail_waiters(struct log *log, int64_t error)
{
    struct list keep = LIST_INIT(keep);

    ops_complete_all(log->io, &log->epoch_waiters, error);
    ops_complete_all(log->io, &log->flush_waiters, error);
    ops_complete_all(log->io, &log->start_waiters, error);
    if (!log->siding) /* else `side` tells */
        compact_swap_tell(log, error);
    while (!list_empty(&log->jobs)) {
        struct job *job = container_of(list_take_head(&log->jobs), struct job, node);
        if (job->always) {
            list_add_tail(&keep, &job->node);
            continue;
        }
        if (job->no_appends)
            log->busy--;
        io_complete(log->io, job->op, error);
        free(job);
    }
    list_move_all(&log->jobs, &keep);
}

/* True when the log is gone. */
static bool worker_job_ended(struct log *log, int64_t result)
{
    struct job *job = log->job;
    struct op *op = job->op;
    bool last = job->last;

    log->job = NULL;
    log->alone = false;
    if (job->no_appends)
        log->busy--;
    free(job);
    if (last)
        log_free(log);
    else
        log_settle_sync(log);
    op->done(op, result);
    return last;
}

static void worker_rests(struct log *log)
{
    log->working = false;
    drain_write_end(log);
    flow_done(&log->worker, 0);
    if (log_is_failed(log))
        worker_fail_waiters(log, ERR_OFFLINE);
    side_wake(log); /* a segment that is rolled may have been drained before */
    log_place_soon(log);
    if (!list_empty(&log->jobs))
        worker_wake(log);
    else if (log_uses_journal(log) && log_commit_bytes(log) > 0) /* the epochs had to be saved first */
        journal_add(log->user.journal, log);
}

/* ---- before a job --------------------------------------------------------------------------- */

/* Until all is durable and nobody waits for a sync any more, also one that has failed. */
static bool sync_is_wanted(struct log *log)
{
    return log->syncing || log->sync_op_waits || (log->synced < log->drained && !log_is_failed(log));
}

static void sync_wait(struct log *log, struct op *op)
{
    if (log->syncing || !log_is_failed(log))
        log_sync(log, op);
    else
        io_yield(log->io, op);
}

static bool first_job_is_alone(const struct log *log)
{
    return container_of(log->jobs.next, struct job, node)->no_appends;
}

/* Nothing else is under way, and the journal knows of a job that ends the log or changes what there is; of a deletion
 * once nobody finds the log. */
static void alone_run(struct flow *f)
{
    struct log *log = container_of(f, struct log, part);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    while (side_wake(log), log->siding && !log_has_undrained(log))
        FLOW_WAIT(f, "side files", side_wait(log, &f->op));
    if (log->siding) { /* they wait for the journal, and that for a drain */
        flow_done(f, 0);
        return;
    }
    while (log->placing)
        FLOW_WAIT(f, "allocation", log_place_wait(log, &f->op));
    while (sync_is_wanted(log))
        FLOW_WAIT(f, "sync", sync_wait(log, &f->op));
#ifndef MUTANT_LOG_FORGETS_UNDRAINED
    if (log_has_undrained(log)) { /* of a log that is dropped: the journal has begun to wait for it */
        flow_done(f, 0);
        return;
    }
#endif
    io_timer_clear(&log->sync_timer);
    if (!log_is_failed(log) && first_job_is_alone(log) && !log_is_dropped(log))
        FLOW_WAIT(f, "end its journalling", log_journal_forget(log, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
}

/* It was rolled meanwhile, or is to drain. */
static bool more_is_due(struct log *log)
{
#ifdef MUTANT_LOG_FORGETS_UNDRAINED
    return log_cut_is_due(log) || log->siding;
#endif
    return log_cut_is_due(log) || log->siding || log_has_undrained(log);
}

static void job_begin(struct log *log, struct op *op)
{
    log->job = container_of(list_take_head(&log->jobs), struct job, node);
    flow_start(&log->job->flow, log->job->run, op);
}

/* ---- the worker ---------------------------------------------------------------------------- */

static void worker_run(struct flow *f)
{
    struct log *log = container_of(f, struct log, worker);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    while (worker_has_work(log)) {
        while (log_places_old(log))
            FLOW_TRY(f, "allocate a segment", log_place_wait(log, &f->op));
        if (log_cut_is_due(log)) {
            FLOW_TRY(f, "cut a segment", log_cut(log, &f->op));
            if (log_sync_is_due(log))
                FLOW_TRY(f, "sync a segment", log_sync(log, &f->op));
            log_files_changed(log);
            continue;
        }
        if (scan_point_lags(log)) {
            FLOW_WAIT(f, "its scan point", side_wait(log, &f->op));
            continue;
        }
        if (drain_is_due(log))
            FLOW_TRY(f, "drain", drain_start(log, &f->op));
        if (log->drain_segment != NULL)
            continue;
        if (!log_is_failed(log) && flush_is_due(log))
            FLOW_TRY(f, "sync a segment", log_sync(log, &f->op));
        /* Batches may have come while epochs were saved or synced: a job finds all of them drained. */
        if (list_empty(&log->jobs) || log_has_undrained(log))
            continue;
        log->alone = true;
        FLOW_TRY(f, "be alone", flow_start(&log->part, alone_run, &f->op));
        if (log_is_failed(log))
            worker_fail_waiters(log, ERR_OFFLINE);
        if (list_empty(&log->jobs) || more_is_due(log)) {
            log->alone = false;
            continue;
        }
        FLOW_WAIT(f, "job", job_begin(log, &f->op));
        if (worker_job_ended(log, f->result))
            return;
        side_wake(log);
    }
    FLOW_END(f);
    worker_rests(log);
    return;
failed:
    log_fail(log, f->result, f->step);
    worker_rests(log);
}

void worker_wake(struct log *log)
{
    if (log->working)
        return;
    log->working = true;
    flow_start(&log->worker, worker_run, NULL);
}

void log_job_add(struct log *log, struct job *job, void (*run)(struct flow *f), struct op *op)
{
    job->log = log;
    job->run = run;
    job->op = op;
    if (job->no_appends)
        log->busy++;
    list_add_tail(&log->jobs, &job->node);
    log_place_tell(log); /* it is not to wait for a disk that is full: then a write fails, where one is needed */
    worker_wake(log);
}

/* ---- the public waits ---------------------------------------------------------------------- */

void log_flush(struct log *log, struct op *op)
{
    if (log_is_failed(log) || log->recovery_point >= log->end) {
        io_complete(log->io, op, log_is_failed(log) ? ERR_OFFLINE : 0);
        return;
    }
    op->word[0] = (uint64_t)log->end;
    list_add_tail(&log->flush_waiters, &op->node);
    worker_wake(log); /* completed in log_recovery_point_advance */
}

void log_note_epoch(struct log *log, int32_t epoch)
{
    if (epoch > epochs_latest(&log->epochs))
        epochs_assign(&log->epochs, epoch, log->end);
}

void log_begin_epoch(struct log *log, int32_t epoch, struct op *op)
{
    ASSERT(!log->busy);
    if (log_is_failed(log)) {
        io_complete(log->io, op, ERR_OFFLINE);
        return;
    }
    if (epoch > epochs_latest(&log->epochs))
        epochs_assign(&log->epochs, epoch, log->end);
    if (!epochs_are_dirty(&log->epochs)) {
        io_complete(log->io, op, 0);
        return;
    }
    op->word[0] = log->epochs.version;
    list_add_tail(&log->epoch_waiters, &op->node);
    worker_wake(log);
}
