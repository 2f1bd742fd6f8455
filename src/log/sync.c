/* From the page cache to the disk: what was drained becomes durable, one segment after the other. */
#include "log/state.h"

/* ---- a file -------------------------------------------------------------------------------- */

static void file_synced(struct op *op, int64_t result)
{
    struct segment *s = container_of(op, struct segment, sync_op);
    struct op *first = container_of(list_take_head(&s->syncs), struct op, node);

    if (result < 0)
        ops_complete_all(s->io, &s->syncs, result);
    else if (!list_empty(&s->syncs))
        io_sync(s->file, &s->sync_op);
    first->done(first, result);
}

/* One at a time: of two syncs that wait for the same page, the system tells only one that it could not be written, and
 * the other that all is well. And never again after one has failed: the page is clean then, and lost. */
void segment_sync(struct segment *s, struct op *op)
{
#ifdef MUTANT_LOG_SYNCS_AT_ONCE
    io_sync(s->file, op);
    return;
#endif
    list_add_tail(&s->syncs, &op->node);
    if (s->syncs.next != &op->node)
        return;
    op_init(&s->sync_op, file_synced);
    io_sync(s->file, &s->sync_op);
}

/* ---- a log --------------------------------------------------------------------------------- */

void log_complete_upto(struct list *waiters, int64_t reached)
{
    struct list ready = LIST_INIT(ready);

    LIST_EACH (node, waiters) {
        struct op *op = container_of(node, struct op, node);
        if ((int64_t)op->word[0] > reached)
            continue;
        list_remove(node);
        list_add_tail(&ready, node);
    }
    while (!list_empty(&ready)) {
        struct op *op = container_of(list_take_head(&ready), struct op, node);
        op->done(op, 0);
    }
}

void log_recovery_point_advance(struct log *log)
{
    int64_t point = log->synced;

    /* The scan after a crash must still begin in a segment whose side files are not complete. */
    for (uint32_t i = log->segment_count - 1; i-- > 0 && !log->segments[i]->closed;)
        point = log->segments[i + 1]->base - 1 < point ? log->segments[i + 1]->base - 1 : point;
    if (point > log->recovery_point)
        log->recovery_point = point;
    log_complete_upto(&log->flush_waiters, log->recovery_point);
}

static void synced_to(struct log *log, int64_t offset)
{
    if (offset > log->synced) /* else a durable write has been further */
        log->synced = offset;
    log_journal_synced(log);
    log_recovery_point_advance(log);
    log_complete_upto(&log->sync_waiters, log->synced);
}

static void segment_is_durable(struct segment *s, uint64_t to_bytes)
{
    if (to_bytes > s->durable_bytes)
        s->durable_bytes = to_bytes;
}

void log_segment_synced(struct log *log, const struct segment *s)
{
    uint32_t i = log_segment_index(log, log->synced);
    int64_t to = log->drained;

    if (s->durable_bytes < s->drained_bytes || !s->named || log->segments[i] != s)
        return;
    if (i + 1 < log->segment_count && log->segments[i + 1]->base < to)
        to = log->segments[i + 1]->base;
    synced_to(log, to);
}

static void sync_ended(struct log *log, int64_t result)
{
    struct list waiters = LIST_INIT(waiters);

    segment_release(&log->sync_held);
    log->syncing = false;
    flow_done(&log->sync, result);
    if (result >= 0)
        return;
    list_move_all(&waiters, &log->sync_waiters);
    ops_complete_all(log->io, &waiters, result);
}

/* Where the segment after the one that is synced begins, or what was to be reached. */
static int64_t sync_progress(const struct log *log)
{
    uint32_t next = log_segment_index(log, log->sync_segment->base);

    if (log->segments[next]->base <= log->sync_segment->base) /* else it was removed meanwhile */
        next++;
    if (next < log->segment_count && log->segments[next]->base < log->sync_to)
        return log->segments[next]->base;
    return log->sync_to;
}

static void sync_run(struct flow *f)
{
    struct log *log = container_of(f, struct log, sync);

    FLOW_BEGIN(f);
    while (!list_empty(&log->sync_waiters)) {
        log->sync_to = log->drained;
        for (log->sync_next = log->synced; log->sync_next < log->sync_to;
             log->sync_next = sync_progress(log)) {
            log->sync_segment = log->segments[log_segment_index(log, log->sync_next)];
            if (log->sync_segment->file_state == FILE_OPEN)
                segment_hold(log->sync_segment);
            else
                FLOW_TRY(f, "open a segment to sync", segment_use(log->sync_segment, &f->op));
            log->sync_held = log->sync_segment;
            log->sync_bytes = log->sync_segment->drained_bytes;
            FLOW_WAIT(f, "sync a segment", segment_sync(log->sync_segment, &f->op));
#ifdef MUTANT_LOG_RETRIED_SYNC
            if (f->result < 0)
                FLOW_WAIT(f, "sync again", segment_sync(log->sync_segment, &f->op));
#endif
            if (f->result < 0)
                goto failed;
            segment_is_durable(log->sync_segment, log->sync_bytes);
            if (!log->sync_segment->named) {
                FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
                log->sync_segment->named = true;
            }
            segment_release(&log->sync_held);
        }
        synced_to(log, log->sync_to);
    }
    FLOW_END(f);
    sync_ended(log, 0);
    return;
failed:
    log_fail(log, f->result, f->step);
    sync_ended(log, f->result);
}

void log_sync(struct log *log, struct op *op)
{
    if (log->synced >= log->drained) {
        io_complete(log->io, op, 0);
        return;
    }
    op->word[0] = (uint64_t)log->drained;
    list_add_tail(&log->sync_waiters, &op->node);
    if (log->syncing)
        return;
    log->syncing = true;
    flow_start(&log->sync, sync_run, NULL);
}

static void sync_op_done(struct op *op, int64_t result)
{
    struct log *log = container_of(op, struct log, sync_op);

    log->sync_op_waits = false;
    if (result >= 0)
        log_settle_sync(log);
}

void log_sync_soon(struct log *log)
{
    if (log->sync_op_waits || log->synced >= log->drained || log_is_failed(log))
        return;
    log->sync_op_waits = true;
    op_init(&log->sync_op, sync_op_done);
    log_sync(log, &log->sync_op);
}

static void sync_timer_fire(struct io_timer *t)
{
    log_sync_soon(container_of(t, struct log, sync_timer));
}

static int64_t sync_ms(const struct log *log)
{
    int64_t asked = log->settings.sync_ms;

    return asked <= 0 || asked > LOG_SYNC_MS_MAX ? LOG_SYNC_MS_MAX : asked;
}

static bool sync_is_lazy(const struct log *log)
{
    return log->synced < log->drained && !(log->settings.durable && log_is_covered(log));
}

/* Of the segment that is written to: the one before was synced when it was cut, or is by `side`. */
static uint64_t bytes_not_durable(const struct log *log)
{
    const struct segment *s = log_last_segment(log);

    return s->drained_bytes - s->durable_bytes;
}

/* Less and less towards the end of the segment: what comes behind it waits until all of it is durable (L7). */
static uint64_t bytes_to_sync(const struct log *log)
{
    uint64_t drained = log_last_segment(log)->drained_bytes;
    uint64_t left = drained < log->settings.segment_bytes ? log->settings.segment_bytes - drained : 0;

    if (left / 4 > LOG_SYNC_BYTES_MAX)
        return LOG_SYNC_BYTES_MAX;
    return left / 4 > LOG_SYNC_BYTES_MIN ? left / 4 : LOG_SYNC_BYTES_MIN;
}

void log_sync_later(struct log *log)
{
    if (!sync_is_lazy(log))
        return;
    if (bytes_not_durable(log) >= bytes_to_sync(log))
        log_sync_soon(log);
    else if (!io_timer_is_set(&log->sync_timer))
        io_timer_set(log->io, &log->sync_timer,
                     io_now_ns(log->io) + sync_ms(log) * 1000000, sync_timer_fire);
}
