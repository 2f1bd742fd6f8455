/* From memory to the files: drains, syncs, and the jobs that need a log at rest.
 *
 *   append ─► tail ─► worker: epochs saved (L4) ─► write ─► sync ─► `stable` moves    durable and large
 *                                                 write ─► `stable` moves, sync soon  relaxed
 *                                                 write later, sync still later       durable and small: `stable`
 *                                                                                     moves by the journal
 *
 * How a drain is written: write.c. A segment that ends is cut to its size before the next one is drained: place.c.
 * One drain is in flight; what is appended meanwhile goes with the next one.
 */
#include <stdlib.h>

#include "log/journal.h"
#include "log/state.h"

/* ---- drain --------------------------------------------------------------------------------- */

static struct segment *first_undrained(const struct log *log)
{
    struct segment *found = NULL;

    for (uint32_t i = log->segment_count; i-- > 0;) {
        struct segment *s = log->segments[i];
        if (s->closed || (s->drained_bytes == s->size_bytes && s->size_bytes > 0))
            break;
        if (s->drained_bytes < s->size_bytes)
            found = s;
    }
    return found;
}

/* NULL also when what waits may stay in memory. */
static struct segment *next_to_drain(struct log *log, bool *all)
{
    struct segment *s = first_undrained(log);

    *all = false;
    if (s == NULL || log_drain_limit(log, s, all) <= s->drained_bytes)
        return NULL;
    return s;
}

static bool has_undrained(struct log *log)
{
    bool all;

    return !log_is_failed(log) && next_to_drain(log, &all) != NULL;
}

static void choose_drain(struct log *log)
{
    log->drain_segment = log_is_failed(log) ? NULL : next_to_drain(log, &log->drain_all);
}

static void drain_gather(struct log *log)
{
    struct segment *s = log->drain_segment;
    uint64_t limit = log->drain_all ? UINT64_MAX : log_journaled_bytes(log, s);
    const struct log_mark *done = &log->user.done;

    log->piece_count = tail_gather(&log->tail, s, limit, DRAIN_BYTES_MAX, IO_PIECES_MAX - 1, log->pieces,
                                   &log->drain_to_bytes, &log->drain_mark); /* one is for tail_align */
    ASSERT(log->piece_count > 0);
    if (!log->drain_all && s->base == done->base && log->drain_to_bytes == done->position)
        log->drain_mark = (struct tail_mark){done->offset, done->position};
}

static void drain_written(struct log *log)
{
    struct segment *s = log->drain_segment;

    s->drained_bytes = log->drain_to_bytes;
    s->whole_bytes = log->drain_mark.position;
    log->drained = log->drain_mark.offset;
    tail_drained(&log->tail, s, s->drained_bytes);
    if (log->drain_durable)
        log_segment_synced(log, s);
    log_journal_written(log);
    log_memory_shrink(log->memory);
}

static bool sync_is_due(const struct log *log)
{
#ifdef MUTANT_LOG_ACK_BEFORE_SYNC
    return false;
#endif
    return log->settings.durable && !log_is_covered(log);
}

void stable_advance(struct log *log)
{
    int64_t stable = log->settings.durable ? log->synced : log->drained;

    if (log->settings.durable && log->user.done.offset > stable)
        stable = log->user.done.offset;
#ifdef MUTANT_LOG_ACK_BEFORE_SYNC
    stable = log->drained;
#endif
    log_sync_later(log);
    if (stable <= log->stable)
        return;
    log->stable = stable;
    if (log->stable_moved != NULL)
        log->stable_moved(log->ctx);
}

static void epochs_save_done(struct op *op, int64_t result)
{
    struct log *log = container_of(op, struct log, epochs_op);
    struct op *parent = log->epochs_parent;

    if (result >= 0) {
        log->epochs.saved_version = log->epochs_version;
        log_complete_upto(&log->epoch_waiters, log->epochs_version);
    }
    parent->done(parent, result);
}

void epochs_save(struct log *log, struct op *op)
{
    text_clear(&log->epochs_text);
    epochs_print(&log->epochs, &log->epochs_text);
    log->epochs_version = log->epochs.version;
    log->epochs_parent = op;
    op_init(&log->epochs_op, epochs_save_done);
    file_replace(log->io, log->path, LOG_EPOCHS_NAME, bytes_of_str(text_str(&log->epochs_text)),
                 &log->epochs_op);
}

/* ---- the worker ---------------------------------------------------------------------------- */

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
    return epochs_are_dirty(&log->epochs) || scan_point_is_unlisted(log) || has_undrained(log) || flush_is_due(log) ||
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

/* L4: before the batches that are about to be written. */
static bool epochs_are_due(const struct log *log)
{
#ifdef MUTANT_LOG_EPOCH_AFTER_DATA
    if (log->drain_segment != NULL)
        return false;
#endif
    return epochs_are_dirty(&log->epochs);
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
            if (sync_is_due(log))
                FLOW_TRY(f, "sync a segment", log_sync(log, &f->op));
            log_settle_sync(log);
            stable_advance(log);
            side_wake(log);
            continue;
        }
        choose_drain(log);
        if (log->drain_segment != NULL) {
            if (log->drain_segment->file_state == FILE_OPEN)
                segment_hold(log->drain_segment);
            else
                FLOW_TRY(f, "open a segment", segment_use(log->drain_segment, &f->op));
            log->drain_held = log->drain_segment;
        }
        while (!log_is_failed(log) && epochs_are_due(log))
            FLOW_TRY(f, "save leader epochs", epochs_save(log, &f->op));
        if (!log_is_failed(log) && scan_point_is_unlisted(log))
            FLOW_TRY(f, "list its scan point", scan_point_list(log, &f->op));
        if (log->drain_segment != NULL) {
            drain_gather(log);
            FLOW_TRY(f, "write a segment", drain_write(log, &f->op));
            drain_written(log);
            if (!log_cut_is_due(log) && sync_is_due(log)) /* else the cut is a sync */
                FLOW_TRY(f, "sync a segment", log_sync(log, &f->op));
            log_settle_sync(log);
            segment_release(&log->drain_held);
            stable_advance(log);
            side_wake(log);
            continue;
        }
        if (!log_is_failed(log) && flush_is_due(log))
            FLOW_TRY(f, "sync a segment", log_sync(log, &f->op));
        /* Batches may have come while epochs were saved or synced: a job finds all of them drained. */
        if (list_empty(&log->jobs) || has_undrained(log))
            continue;
        log->alone = true;
        while (side_wake(log), log->siding)
            FLOW_WAIT(f, "side files", side_wait(log, &f->op));
        while (log->placing)
            FLOW_WAIT(f, "allocation", log_place_wait(log, &f->op));
        while (sync_is_wanted(log))
            FLOW_WAIT(f, "sync", sync_wait(log, &f->op));
        io_timer_clear(&log->sync_timer);
        if (!log_is_failed(log) && first_job_is_alone(log))
            FLOW_WAIT(f, "end its journalling", log_journal_forget(log, &f->op));
        if (log_is_failed(log))
            worker_fail_waiters(log, ERR_OFFLINE);
        if (list_empty(&log->jobs) || log_cut_is_due(log)) { /* it was rolled meanwhile */
            log->alone = false;
            continue;
        }
        log->job = container_of(list_take_head(&log->jobs), struct job, node);
        FLOW_WAIT(f, "job", flow_start(&log->job->flow, log->job->run, &f->op));
        if (worker_job_ended(log, f->result))
            return;
        side_wake(log);
    }
    FLOW_END(f);
    worker_rests(log);
    return;
failed:
    log_fail(log, f->result, f->step);
    segment_release(&log->drain_held);
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
    log_place_tell(log); /* it is not to wait for a disk that is full: then a write fails */
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
