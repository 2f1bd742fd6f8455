/* How much of a log waits for compaction. */
#include <stdlib.h>

#include "log/compact.h"
#include "log/head.h"

struct measuring {
    struct flow flow;
    struct log *log;
    const struct log_dirt_rules *rules;
    struct log_dirt *out;
    struct segment *segment, *held;
    int64_t from; /* offset in the next segment to look at */
    uint8_t head[BATCH_HEADER_BYTES];
};

int64_t log_first_dirty_now(const struct log *log)
{
    return log->first_dirty < log->start ? log->start : log->first_dirty;
}

static void measuring_end(struct measuring *m, int64_t result)
{
    segment_release(&m->held);
    gate_leave(&m->log->gate);
    flow_done(&m->flow, result);
    free(m);
}

int64_t log_first_untouchable(const struct log *log, int64_t end)
{
    uint32_t at = log_segment_index(log, end);

    while (at > 0 && !log->segments[at - 1]->closed)
        at--;
    return log->segments[at]->base;
}

/* The next one from the first dirty offset on that is closed; those behind are not looked at. */
static bool next_segment(struct measuring *m)
{
    const struct log *log = m->log;
    uint32_t at = log_segment_index(log, m->from);

    if (at + 1 >= log->segment_count || !log->segments[at]->closed)
        return false;
    m->segment = log->segments[at];
    m->from = log->segments[at + 1]->base;
    return true;
}

static bool wants_times(const struct measuring *m)
{
    return m->rules->since || m->rules->lag_min_ms > 0;
}

/* The first batch's largest timestamp; a segment that was filled in this life knows it. */
static bool first_time_is_missing(const struct measuring *m)
{
    return m->rules->since && m->segment->first_timestamp_ms < 0 && m->segment->whole_bytes > 0;
}

static int take_first_head(struct measuring *m, int64_t n)
{
    struct batch first;

    if (n < BATCH_HEADER_BYTES)
        return ERR_SHORT;
    TRY(head_read(m->head, &first));
    m->segment->first_timestamp_ms = first.max_timestamp_ms;
    return 0;
}

static void take_times(struct measuring *m)
{
    const struct segment *s = m->segment;
    struct log_dirt *out = m->out;

    if (m->rules->lag_min_ms > 0 && s->base < out->first_uncleanable &&
        s->max_timestamp_ms > m->rules->wall_ms - m->rules->lag_min_ms)
        out->first_uncleanable = s->base;
    if (s->first_timestamp_ms > 0 &&
        (out->dirty_since_ms < 0 || s->first_timestamp_ms < out->dirty_since_ms))
        out->dirty_since_ms = s->first_timestamp_ms;
}

/* A segment that holds the first dirty offset counts on both sides, as in Kafka. */
static void take_sizes(struct measuring *m)
{
    const struct log *log = m->log;
    struct log_dirt *out = m->out;
    uint32_t first = log_segment_index(log, out->first_dirty);

    if (out->first_uncleanable < out->first_dirty)
        out->first_uncleanable = out->first_dirty;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        const struct segment *s = log->segments[i];
        if (s->base < out->first_dirty)
            out->clean_bytes += s->size_bytes;
        if (i >= first && s->base < out->first_uncleanable &&
            out->first_uncleanable > out->first_dirty)
            out->cleanable_bytes += s->size_bytes;
    }
}

static void measure_run(struct flow *f)
{
    struct measuring *m = container_of(f, struct measuring, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(m->log->io, &f->op));
    *m->out = (struct log_dirt){.first_dirty = log_first_dirty_now(m->log),
                                .first_uncleanable = log_first_untouchable(m->log, m->rules->stable_end),
                                .dirty_since_ms = -1};
    for (m->from = m->out->first_dirty; wants_times(m) && next_segment(m);) {
        if (!m->segment->timestamps_known || first_time_is_missing(m)) {
            FLOW_TRY(f, "open a segment", segment_use(m->segment, &f->op));
            m->held = m->segment;
            if (!m->segment->timestamps_known)
                FLOW_TRY(f, "read a time index", segment_load_timestamps(m->segment, &f->op));
            if (first_time_is_missing(m)) {
                FLOW_TRY(f, "read a segment",
                         segment_read(m->segment, 0, m->head, BATCH_HEADER_BYTES, &f->op));
                f->result = take_first_head(m, f->result);
                if (f->result < 0)
                    goto failed;
            }
        }
        take_times(m);
        segment_release(&m->held);
    }
    take_sizes(m);
    FLOW_END(f);
    measuring_end(m, 0);
    return;
failed:
    measuring_end(m, f->result);
}

void log_measure_dirt(struct log *log, const struct log_dirt_rules *rules, struct log_dirt *out,
                      struct op *op)
{
    struct measuring *m;

    if (!gate_enter(&log->gate)) {
        io_complete(log->io, op, log_shut_error(log));
        return;
    }
    m = calloc(1, sizeof(*m));
    ASSERT(m != NULL);
    m->log = log;
    m->rules = rules;
    m->out = out;
    flow_start(&m->flow, measure_run, op);
}
