/* Retention: which segments have outlived retention.bytes or retention.ms.
 *
 *      [ 0 ][ 812 ][ 1650 ][ 2400 ....]        by size, oldest first, while what is left is still enough;
 *       size  time    └ stays               then by time, on from there, while each is too old
 *
 * Rule: Kafka's UnifiedLog.deleteOldSegments (observed in 4.3). A segment goes only when the high watermark has
 * passed its end and it is stable (a follower's mark may be ahead of that); an empty last segment stays; when the last
 * one goes too, another begins at the log's end first.
 */
#include <stdlib.h>

#include "log/state.h"

struct retaining {
    struct flow flow;
    struct log *log;
    int64_t high_watermark;
    int64_t now_ms;
    uint32_t first;              /* segment: those below it lie below the start */
    uint32_t by_size, by_time;   /* how many go, and why */
    struct segment *unknown;     /* its largest timestamp must be read first */
};

static int64_t end_of(const struct log *log, uint32_t i)
{
    return i + 1 < log->segment_count ? log->segments[i + 1]->base : log->end;
}

static bool may_go(const struct retaining *x, uint32_t i)
{
    const struct log *log = x->log;

    if (i >= log->segment_count || end_of(log, i) > x->high_watermark || end_of(log, i) > log->stable)
        return false;
    return i + 1 < log->segment_count || log->segments[i]->size_bytes > 0;
}

static int64_t largest_timestamp_ms(const struct segment *s)
{
    return s->max_timestamp_ms >= 0 ? s->max_timestamp_ms : s->modified_ms;
}

static void count_first(struct retaining *x, uint64_t *size_bytes)
{
    const struct log *log = x->log;

    *size_bytes = log->size_bytes;
    for (x->first = 0; x->first + 1 < log->segment_count; x->first++) {
        if (log->segments[x->first + 1]->base > log->start)
            break;
        *size_bytes -= log->segments[x->first]->size_bytes;
    }
}

static void count_by_size(struct retaining *x, uint64_t size_bytes)
{
    const struct log *log = x->log;
    int64_t limit = log->settings.retention_bytes;

    x->by_size = 0;
    if (limit < 0 || size_bytes < (uint64_t)limit)
        return;
    for (uint64_t excess = size_bytes - (uint64_t)limit; may_go(x, x->first + x->by_size); x->by_size++) {
        uint64_t n = log->segments[x->first + x->by_size]->size_bytes;
        if (n > excess)
            return;
        excess -= n;
    }
}

/* Stops at a segment whose timestamps are not known. */
static void count_by_time(struct retaining *x)
{
    const struct log *log = x->log;
    int64_t limit_ms = log->settings.retention_ms;

    x->by_time = 0;
    x->unknown = NULL;
    if (limit_ms < 0)
        return;
    for (uint32_t i = x->first + x->by_size; may_go(x, i); i++, x->by_time++) {
        struct segment *s = log->segments[i];
        if (!s->timestamps_known) {
            x->unknown = s;
            return;
        }
        if (x->now_ms - largest_timestamp_ms(s) <= limit_ms)
            return;
    }
}

/* True when a time index must be read before it can be told. */
static bool plan_lacks_timestamps(struct retaining *x)
{
    uint64_t size_bytes;

    x->now_ms = io_wall_ms(x->log->io);
    count_first(x, &size_bytes);
    count_by_size(x, size_bytes);
    count_by_time(x);
    return x->unknown != NULL;
}

/* ---- what goes is told, then it goes ------------------------------------------------------- */

static void say_future(const struct retaining *x)
{
    const struct log *log = x->log;
    uint32_t i = x->first + x->by_size + x->by_time;
    char text[SEGMENT_TEXT_BYTES];

    if (log->settings.retention_ms < 0 || !may_go(x, i) || largest_timestamp_ms(log->segments[i]) <= x->now_ms)
        return;
    say(log->telemetry, LOG_WARN, "log",
        "[UnifiedLog partition=%s-%d, dir=%s] %s contains future timestamp(s), making it ineligible to be deleted",
        log->topic, log->partition, log->dir->path, segment_text(log->segments[i], text));
}

static void say_by_size(const struct log *log, const struct segment *s, uint64_t left_bytes)
{
    char text[SEGMENT_TEXT_BYTES];

    say(log->telemetry, LOG_INFO, "log",
        "[UnifiedLog partition=%s-%d, dir=%s] Deleting segment %s due to log retention size %lld breach. Log size "
        "after deletion will be %llu.", log->topic, log->partition, log->dir->path, segment_text(s, text),
        (long long)log->settings.retention_bytes, (unsigned long long)left_bytes);
}

static void say_by_time(const struct log *log, const struct segment *s)
{
    char text[SEGMENT_TEXT_BYTES];

    say(log->telemetry, LOG_INFO, "log",
        "[UnifiedLog partition=%s-%d, dir=%s] Deleting segment %s due to log retention time %lldms breach based on "
        "the %s", log->topic, log->partition, log->dir->path, segment_text(s, text),
        (long long)log->settings.retention_ms,
        s->max_timestamp_ms >= 0 ? "largest record timestamp in the segment" : "last modified time of the segment");
}

/* The new start. */
static int64_t retire(struct retaining *x)
{
    struct log *log = x->log;
    uint32_t end = x->first + x->by_size + x->by_time;
    uint64_t left_bytes;

    count_first(x, &left_bytes);
    for (uint32_t i = x->first; i < end; i++) {
        struct segment *s = log->segments[i];
        left_bytes -= s->size_bytes;
        s->retired = true;
        if (i < x->first + x->by_size)
            say_by_size(log, s, left_bytes);
        else
            say_by_time(log, s);
    }
    if (end == log->segment_count)
        log_roll(log, log->end);
    return log->segments[end]->base;
}

/* Nobody has the log alone, or is about to: else the next check will do. */
static bool is_free(struct log *log)
{
    return !log->closing && !log->alone && log->busy == 0 && !log_is_failed(log);
}

static void retaining_end(struct retaining *x, int64_t result)
{
    gate_leave(&x->log->gate);
    flow_done(&x->flow, result);
    free(x);
}

static void retain_run(struct flow *f)
{
    struct retaining *x = container_of(f, struct retaining, flow);
    struct log *log = x->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    while (is_free(log) && plan_lacks_timestamps(x))
        FLOW_TRY(f, "read a time index", segment_load_timestamps(x->unknown, &f->op));
    if (!is_free(log)) {
        retaining_end(x, 0);
        return;
    }
    say_future(x);
    if (x->by_size + x->by_time > 0)
        FLOW_TRY(f, "remove segments", log_raise_start(log, retire(x), &f->op));
    FLOW_END(f);
    retaining_end(x, x->by_size + x->by_time);
    return;
failed:
    retaining_end(x, f->result);
}

void log_retain(struct log *log, int64_t high_watermark, struct op *op)
{
    struct retaining *x;

    if (!gate_enter(&log->gate)) {
        io_complete(log->io, op, log_shut_error(log));
        return;
    }
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->log = log;
    x->high_watermark = high_watermark;
    flow_start(&x->flow, retain_run, op);
}
