/* The place of a segment on the disk. It is allocated ahead, before what lies there is acknowledged, so that a full disk
 * is found in time and drains change bytes and nothing else of the file. So the file of the last segment is longer than
 * what was drained, with zeros there. It gets its exact size when the segment ends and when the log is closed.
 *
 * A file with zeros behind its batches is one where a scan ends, ours and Kafka's; and where a segment may be lost to a
 * power cut, or its end, the next one must not be kept. So a segment is cut, durable and named before the next one gets a
 * file (L7), in a relaxed log too.
 */
#include "log/state.h"

/* ---- cut to size --------------------------------------------------------------------------- */

bool segment_is_final(const struct segment *s)
{
    return s->file_bytes == s->size_bytes && s->durable_bytes == s->size_bytes && s->named;
}

static bool is_to_be_cut(const struct log *log, const struct segment *s)
{
#ifdef MUTANT_LOG_NEXT_BEFORE_CUT
    if (log->drained < log->end)
        return false;
#endif
    if (s->drained_bytes < s->size_bytes)
        return false;
    return s->rolled ? !segment_is_final(s) : log->leaving && s->file_bytes > s->size_bytes;
}

/* The oldest one. */
static struct segment *next_to_cut(const struct log *log)
{
    struct segment *found = NULL;

    for (uint32_t i = log->segment_count; i-- > 0 && !log->segments[i]->closed;) {
        if (is_to_be_cut(log, log->segments[i]))
            found = log->segments[i];
    }
    return found;
}

bool log_cut_is_due(struct log *log)
{
    return !log_is_failed(log) && next_to_cut(log) != NULL;
}

bool log_is_cut(const struct log *log)
{
    for (uint32_t i = log->segment_count - 1; i-- > 0 && !log->segments[i]->closed;) {
        const struct segment *s = log->segments[i];
#ifdef MUTANT_LOG_NEXT_BEFORE_CUT
        return true;
#endif
        if (!segment_is_final(s) || s == log->place_held)
            return false;
    }
    return true;
}

static void use_next_to_cut(struct log *log, struct op *op)
{
    log->cut_held = next_to_cut(log);
    segment_use(log->cut_held, op);
}

static void cut_run(struct flow *f)
{
    struct log *log = container_of(f, struct log, part);
    struct segment *s = log->cut_held;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "open a segment", use_next_to_cut(log, &f->op));
    if (f->result < 0) {
        log->cut_held = NULL;
        goto failed;
    }
    FLOW_TRY(f, "cut a segment", io_truncate(s->file, s->size_bytes, &f->op));
#ifndef MUTANT_JOURNAL_DRAINED_EARLY
    FLOW_WAIT(f, "sync a segment", segment_sync(s, &f->op));
#ifdef MUTANT_LOG_RETRIED_SYNC
    if (f->result < 0)
        FLOW_WAIT(f, "sync again", segment_sync(s, &f->op));
#endif
    if (f->result < 0)
        goto failed;
#endif
    s->file_bytes = s->size_bytes;
    s->durable_bytes = s->size_bytes;
#ifdef MUTANT_LOG_NEXT_BEFORE_NAME
    s->named = true;
#endif
    if (!s->named)
        FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
    s->named = true;
    log_segment_synced(log, s);
    FLOW_END(f);
    segment_release(&log->cut_held);
    flow_done(f, 0);
    return;
failed:
    segment_release(&log->cut_held);
    flow_done(f, f->result);
}

void log_cut(struct log *log, struct op *op)
{
    flow_start(&log->part, cut_run, op);
}

/* ---- allocated ahead ----------------------------------------------------------------------- */

/* An allocation is for more than is needed, in proportion to what the segment has and to how fast it grows, so that
 * there are few of them and so that a small or idle log takes little of the disk that it does not use. */
#define STEP_BYTES_MIN (64U * 1024)
#define STEP_BYTES_MAX (16U << 20)

/* After the disk was full: when to try again. */
#define PLACE_RETRY_MS 1000

static uint64_t step_bytes(const struct segment *s)
{
    uint64_t lack = s->size_bytes > s->file_bytes ? s->size_bytes - s->file_bytes : 0;
    uint64_t step = s->size_bytes / 8;

    if (step < lack * 4)
        step = lack * 4;
    if (step < STEP_BYTES_MIN)
        step = STEP_BYTES_MIN;
    if (step > s->size_bytes)
        step = s->size_bytes;
    return step < STEP_BYTES_MAX ? step : STEP_BYTES_MAX;
}

static uint64_t least_place(const struct segment *s)
{
    return io_align_up(s->size_bytes);
}

/* Up to where the file of `s` should be allocated. */
static uint64_t place_wanted(const struct log *log, const struct segment *s)
{
    uint64_t least = least_place(s), limit = io_align_up(log->settings.segment_bytes);
    uint64_t wanted = log->settings.preallocate ? limit : io_align_up(s->size_bytes + step_bytes(s));

    if (s->rolled || limit < least)
        return least;
    return wanted < limit ? wanted : limit;
}

/* Without an allocation soon, an append has to wait for one. Ahead only while something is appended: a log that was
 * opened is not touched before that. */
static bool is_short(const struct log *log, const struct segment *s)
{
    if (s->closed || s->size_bytes == 0)
        return false;
    if (s->file_bytes < s->size_bytes)
        return true;
    return log->stable < log->end && s->file_bytes - s->size_bytes < step_bytes(s) / 4 &&
           s->file_bytes < place_wanted(log, s);
}

/* The one whose file may be written to (L7); NULL: it has what it needs. */
static struct segment *next_to_place(const struct log *log)
{
    struct segment *s = log_last_segment(log);

    for (uint32_t i = log->segment_count; i-- > 0 && !log->segments[i]->closed;) {
        if (log->segments[i]->drained_bytes < log->segments[i]->size_bytes || is_to_be_cut(log, log->segments[i]))
            s = log->segments[i];
    }
    return !is_to_be_cut(log, s) && is_short(log, s) ? s : NULL;
}

static void allocate(struct log *log, uint64_t to, struct op *op)
{
    struct segment *s = log->place_held;

    log->place_to = to;
    io_allocate(s->file, s->file_bytes, to - s->file_bytes, op);
}

static void retry(struct io_timer *t)
{
    log_place_soon(container_of(t, struct log, place_timer));
}

/* Nothing has failed: what is in memory waits there, and new appends are refused. */
static void no_place(struct log *log)
{
    const struct segment *s = log->place_held;

    io_timer_set(log->io, &log->place_timer, io_now_ns(log->io) + PLACE_RETRY_MS * 1000000LL, retry);
    if (s->file_bytes >= s->size_bytes)
        return; /* it was for later */
    if (!log->place_lacks)
        say(log->telemetry, LOG_WARN, "log",
            "%s: there is no space for more of it: appends are refused and acknowledgements wait until there is some",
            s->path);
    log->place_lacks = true;
}

static void place_found(struct log *log)
{
    log->place_held->file_bytes = log->place_to;
    if (log->place_lacks)
        say(log->telemetry, LOG_INFO, "log", "%s: there is space again", log->place_held->path);
    log->place_lacks = false;
}

static void place_ended(struct log *log, int64_t result)
{
    segment_release(&log->place_held);
    log->placing = false;
    flow_done(&log->place, result);
    if (result < 0 || !log->place_lacks || !list_empty(&log->jobs))
        ops_complete_all(log->io, &log->place_waiters, result);
    if (result < 0)
        return;
    log_stabilize(log);
    log_place_soon(log); /* more has come meanwhile */
}

static void use_next_to_place(struct log *log, struct op *op)
{
    log->place_held = next_to_place(log);
    segment_use(log->place_held, op);
}

/* What a failed allocation may have left is given back: nothing is written there yet. */
static void give_back(struct log *log, struct op *op)
{
    io_truncate(log->place_held->file, log->place_held->file_bytes, op);
}

static void place_run(struct flow *f)
{
    struct log *log = container_of(f, struct log, place);
    struct segment *s = log->place_held;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "open a segment", use_next_to_place(log, &f->op));
    if (f->result < 0) {
        log->place_held = NULL;
        goto failed;
    }
    if (!is_short(log, s)) { /* it was rolled meanwhile */
        place_ended(log, 0);
        return;
    }
    FLOW_WAIT(f, "allocate a segment", allocate(log, place_wanted(log, s), &f->op));
    if (f->result == -ENOSPC && log->place_to > least_place(s) && s->file_bytes < s->size_bytes) {
        FLOW_TRY(f, "cut a segment", give_back(log, &f->op));
        FLOW_WAIT(f, "allocate a segment", allocate(log, least_place(s), &f->op));
    }
    if (f->result == -ENOSPC) {
        FLOW_TRY(f, "cut a segment", give_back(log, &f->op));
        no_place(log);
    } else if (f->result < 0) {
        goto failed;
    } else {
        place_found(log);
    }
    FLOW_END(f);
    place_ended(log, 0);
    return;
failed:
    log_fail(log, f->result, f->step);
    place_ended(log, f->result);
}

void log_place_soon(struct log *log)
{
    struct segment *s;

    if (log->placing || log->alone)
        return;
    if (log_is_failed(log)) {
        ops_complete_all(log->io, &log->place_waiters, ERR_OFFLINE);
        return;
    }
    s = next_to_place(log);
    if (s == NULL)
        return;
    if (io_timer_is_set(&log->place_timer) && (log->place_lacks || s->file_bytes >= s->size_bytes))
        return;
    log->placing = true;
    flow_start(&log->place, place_run, NULL);
}

void log_place_wait(struct log *log, struct op *op)
{
    list_add_tail(&log->place_waiters, &op->node);
    log_place_soon(log);
}

bool log_places_old(const struct log *log)
{
    return log->placing && log->place_held != log_last_segment(log);
}

void log_place_tell(struct log *log)
{
    if (!log->placing)
        ops_complete_all(log->io, &log->place_waiters, 0);
}

bool log_has_place(const struct log *log)
{
    const struct segment *s = log_last_segment(log);

#ifdef MUTANT_LOG_ACK_UNPLACED
    return true;
#endif
    return s->file_bytes >= s->size_bytes;
}

bool log_lacks_place(const struct log *log, const struct segment *s, uint64_t to_bytes)
{
#ifdef MUTANT_LOG_ACK_UNPLACED
    return false;
#endif
    if (log->place_lacks && !log->placing && !list_empty(&log->jobs))
        return false;
    return s->file_bytes < to_bytes;
}
