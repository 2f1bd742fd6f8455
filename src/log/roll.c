/* A full segment ends, the next one begins; what is left to do for the old one is done aside. */
#include "log/state.h"

/* Rule: interop of LogSegment.shouldRoll, one batch at a time. */
static bool roll_is_due(const struct log *log, const struct segment *s, const struct batch *b)
{
    uint64_t size_after = s->size_bytes + (uint64_t)b->bytes.n;
    int64_t waited_ms;

    if (b->last_offset - s->base > INT32_MAX)
        return true;
    if (s->size_bytes == 0)
        return false;
    if (size_after > log->settings.segment_bytes || size_after > SEGMENT_BYTES_LIMIT)
        return true;
    if (index_is_full(s, log->settings.index_bytes))
        return true;
    waited_ms = s->first_timestamp_ms >= 0 ? b->max_timestamp_ms - s->first_timestamp_ms
                                           : io_now_ms(log->io) - s->created_ms;
    return waited_ms > log->settings.segment_ms - s->jitter_ms;
}

void log_roll_if_due(struct log *log, const struct batch *b)
{
    if (roll_is_due(log, log_last_segment(log), b))
        log_roll(log, b->base_offset);
}

void log_roll(struct log *log, int64_t base)
{
    struct segment *old = log_last_segment(log), *s;

    index_apply_last(old);
    old->rolled = true;
    s = segment_new(log, base);
    s->timestamps_known = true;
    producers_print(&log->producers, &s->snapshot);
    log_segments_add(log, s);
    worker_wake(log); /* what the journal alone had of the old one may not stay in memory */
}

/* ---- aside: closing rolled segments, writing index entries --------------------------------- */

/* The oldest segment that is rolled, as its file will stay (L7), and not closed yet. */
static struct segment *next_to_close(const struct log *log)
{
    struct segment *found = NULL;

    for (uint32_t i = log->segment_count - 1; i-- > 0 && !log->segments[i]->closed;)
        found = log->segments[i];
    return found == NULL || !segment_is_final(found) || found == log->place_held ? NULL : found;
}

static struct segment *segment_after(const struct log *log, const struct segment *s)
{
    return log->segments[log_segment_index(log, s->base) + 1];
}

static void segment_closed(struct log *log)
{
    struct segment *s = log->side_segment, *next = segment_after(log, s);

    s->closed = true;
    if (next->base > log->snapshot_offset)
        log->snapshot_offset = next->base;
    text_deinit(&next->snapshot);
    segment_release(&log->side_held);
    log_recovery_point_advance(log);
}

static void side_rests(struct log *log, int64_t result)
{
    struct list waiters = LIST_INIT(waiters);

    segment_release(&log->side_held);
    log->siding = false;
    if (result < 0)
        compact_swap_tell(log, ERR_OFFLINE);
    list_move_all(&waiters, &log->side_waiters);
    flow_done(&log->side, result);
    ops_complete_all(log->io, &waiters, 0);
}

static struct bytes snapshot_bytes(const struct log *log)
{
    const struct segment *next = segment_after(log, log->side_segment);

    return bytes_of_str(text_str(&next->snapshot));
}

static const char *snapshot_file_name(struct log *log)
{
    snapshot_name(segment_after(log, log->side_segment)->base, log->side_name);
    return log->side_name;
}

/* What a JVM broker would have left for a segment when it rolls (interop: 1.9): exact files, all of
 * them durable, the producers as of the next base. */
static void side_run(struct flow *f)
{
    struct log *log = container_of(f, struct log, side);

    FLOW_BEGIN(f);
    for (;;) {
        /* Between two segments, because under load there is always one more to close. */
        if (trim_is_due(log))
            FLOW_TRY(f, "remove what lies below the start", trim_start(log, &f->op));
        log->side_segment = next_to_close(log);
        if (log->side_segment == NULL)
            break;
        FLOW_TRY(f, "open a rolled segment", segment_use(log->side_segment, &f->op));
        log->side_held = log->side_segment;
        if (log->side_segment->direct != NULL)
            FLOW_TRY(f, "close a segment", segment_close_direct(log->side_segment, &f->op));
        FLOW_WAIT(f, "save its indexes",
                  log->side_save = segment_save_start(log->side_segment, SAVE_FINAL, &f->op));
        segment_save_free(log->side_save);
        if (f->result < 0)
            goto failed;
        FLOW_TRY(
            f, "save its producers",
            file_replace(log->io, log->path, snapshot_file_name(log), snapshot_bytes(log), &f->op));
        FLOW_TRY(f, "end its journalling",
                 log_journal_drained(log, segment_after(log, log->side_segment), &f->op));
        segment_closed(log);
        FLOW_TRY(f, "move its scan point",
                 scan_point_pass(log, segment_after(log, log->side_segment), &f->op));
    }
    if (log->swap != NULL)
        FLOW_TRY(f, "replace segments", compact_swap_start(log, &f->op));
    if (scan_point_is_due(log))
        FLOW_TRY(f, "take its scan point", scan_point_take(log, &f->op));
    log->side_segment = log_last_segment(log);
    FLOW_WAIT(f, "save index entries",
              log->side_save = segment_save_start(log->side_segment, SAVE_READY, &f->op));
    segment_save_free(log->side_save);
    if (f->result < 0)
        goto failed;
    FLOW_END(f);
    side_rests(log, 0);
    if (!log->alone)
        side_wake(log);
    return;
failed:
    log_fail(log, f->result, f->step);
    side_rests(log, f->result);
}

void side_wake(struct log *log)
{
    if (log->siding || log_is_failed(log))
        return;
    if (next_to_close(log) == NULL && !trim_is_due(log) && log->swap == NULL && !scan_point_is_due(log) &&
        !segment_save_is_due(log_last_segment(log)))
        return;
    log->siding = true;
    flow_start(&log->side, side_run, NULL);
}

void side_wait(struct log *log, struct op *op)
{
    if (log->siding)
        list_add_tail(&log->side_waiters, &op->node);
    else
        io_complete(log->io, op, 0);
}
