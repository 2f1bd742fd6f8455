/* From memory to the files.
 *
 *   append ─► tail ─► worker: epochs saved (L4) ─► write ─► sync ─► `stable` moves    durable and large
 *                                                 write ─► `stable` moves, sync soon  relaxed
 *                                                 write later, sync still later       durable and small: `stable`
 *                                                                                     moves by the journal
 *
 * How a drain is written: write.c. A segment that ends is cut to its size before the next one is drained: place.c.
 * One drain is in flight; what is appended meanwhile goes with the next one. Who calls for it: worker.c.
 */
#include <stdlib.h>

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

/* NULL also when what waits may stay in memory, or goes with the log. */
static struct segment *next_to_drain(struct log *log, bool *all)
{
    struct segment *s = first_undrained(log);

    *all = false;
    if (s == NULL || log_is_dropped(log) || log_drain_limit(log, s, all) <= s->drained_bytes)
        return NULL;
    return s;
}

bool log_has_undrained(struct log *log)
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

    if (log->pieces == NULL)
        log->pieces = malloc(IO_PIECES_MAX * sizeof(*log->pieces));
    ASSERT(log->pieces != NULL);
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
    tail_drained(&log->tail, s, s->whole_bytes);
    if (log->drain_durable)
        log_segment_synced(log, s);
    log_journal_written(log);
    log_memory_shrink(log->memory);
}

bool log_sync_is_due(const struct log *log)
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

/* More is in the files, or durable there. */
void log_files_changed(struct log *log)
{
    log_settle_sync(log);
    stable_advance(log);
    side_wake(log);
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

/* ---- one drain ------------------------------------------------------------------------------ */

/* L4: before the batches that are about to be written. */
static bool epochs_are_due(const struct log *log)
{
#ifdef MUTANT_LOG_EPOCH_AFTER_DATA
    if (log->drain_segment != NULL)
        return false;
#endif
    return epochs_are_dirty(&log->epochs);
}

/* What is to be on the disk before the batches that are about to be written, or when nothing is. */
static bool notes_are_due(const struct log *log)
{
    return !log->failed && !log_is_dropped(log) && (epochs_are_due(log) || scan_point_is_unlisted(log));
}

static void place_wait(struct log *log, struct op *op)
{
    segment_release(&log->drain_held);
    log_place_wait(log, op);
}

static void drain_run(struct flow *f)
{
    struct log *log = container_of(f, struct log, drain);

    FLOW_BEGIN(f);
    if (log->drain_segment != NULL) {
        if (log->drain_segment->file_state == FILE_OPEN)
            segment_hold(log->drain_segment);
        else
            FLOW_TRY(f, "open a segment", segment_use(log->drain_segment, &f->op));
        log->drain_held = log->drain_segment;
    }
    while (!log->failed && epochs_are_due(log))
        FLOW_TRY(f, "save leader epochs", epochs_save(log, &f->op));
    if (!log->failed && scan_point_is_unlisted(log))
        FLOW_TRY(f, "list its scan point", scan_point_list(log, &f->op));
    if (log->drain_segment != NULL && !log_is_dropped(log)) {
        drain_gather(log);
        if (log_lacks_place(log, log->drain_segment, log->drain_to_bytes)) {
            FLOW_TRY(f, "allocate a segment", place_wait(log, &f->op));
            flow_done(f, 0);
            return;
        }
        FLOW_TRY(f, "write a segment", drain_write(log, &f->op));
        drain_written(log);
        if (!log_cut_is_due(log) && log_sync_is_due(log)) /* else the cut is a sync */
            FLOW_TRY(f, "sync a segment", log_sync(log, &f->op));
        log_files_changed(log);
    }
    FLOW_END(f);
    segment_release(&log->drain_held);
    flow_done(f, 0);
    return;
failed:
    log_fail(log, f->result, f->step);
    segment_release(&log->drain_held);
    flow_done(f, f->result);
}

bool drain_is_due(struct log *log)
{
    choose_drain(log);
    return log->drain_segment != NULL || notes_are_due(log);
}

void drain_start(struct log *log, struct op *op)
{
    flow_start(&log->drain, drain_run, op);
}
