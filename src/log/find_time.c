/* Offsets by timestamp, and aborted transactions by offset: questions that read segments. */
#include <stdlib.h>

#include "log/scan.h"
#include "log/state.h"

/* A batch that is opened for its records may grow to this much. */
#define PLAIN_BYTES_MAX ((size_t)1 << 30)

struct finding {
    struct flow flow;
    struct log *log;
    struct log_time_found *out;
    void (*run)(struct flow *f); /* where it began */
    int64_t asked_ms;
    int64_t timestamp_ms;
    int64_t limit;
    uint32_t generation, layout;
    uint32_t i;
    struct segment *segment, *held;
    struct segment *kept; /* `segment`, while its file need not be open */
    struct scan scan;
    struct batch batch;
    int rc;
    struct time_place place;
    bool placed;  /* it was held against its batch */
    int64_t from; /* offset where to begin in the segment */
};

static void finding_begin(struct finding *x, struct op *op)
{
    x->timestamp_ms = x->asked_ms;
    x->layout = x->log->layout;
    flow_start(&x->flow, x->run, op);
}

static void finding_end(struct finding *x, int64_t result)
{
    if (x->held != NULL)
        reindex_if_doubted(x->held);
    scan_deinit(&x->scan);
    segment_release(&x->held);
    segment_release(&x->kept);
    /* Segments went or were replaced: some may not have been looked into. */
    if (x->layout != x->log->layout && x->generation == x->log->generation) {
        finding_begin(x, x->flow.parent);
        return;
    }
    if (result < 0 && x->generation != x->log->generation)
        result = -ERANGE;
    gate_leave(&x->log->gate);
    flow_done(&x->flow, result);
    free(x);
}

static bool finding_is_stale(const struct finding *x)
{
    return x->generation != x->log->generation || x->layout != x->log->layout;
}

/* 1 found, 0 not in this batch. Rule: the first record with timestamp >= the asked one. */
static int find_in_batch(struct finding *x)
{
    struct records records;
    struct record record;
    int rc = records_begin(&records, &x->batch, PLAIN_BYTES_MAX);

    if (rc < 0)
        return rc;
    while ((rc = records_next(&records, &record)) == 1) {
        if (record.offset >= x->limit) {
            rc = 0;
            break;
        }
        if (record.timestamp_ms < x->timestamp_ms || record.offset < x->log->start)
            continue;
        *x->out =
            (struct log_time_found){record.offset, record.timestamp_ms, x->batch.leader_epoch};
        break;
    }
    records_end(&records);
    return rc;
}

/* A batch, of which only the header may be there: when it can hold what is sought, the scan goes
 * back for all of it. 1 found, 0 go on. */
static int take_batch(struct finding *x)
{
    struct scan *s = &x->scan;

    if (x->batch.max_timestamp_ms < x->timestamp_ms || x->batch.last_offset < x->log->start)
        return 0;
    if (!s->whole) {
        s->position = s->batch_position;
        s->whole = true;
        return 0;
    }
    s->whole = false;
    return find_in_batch(x);
}

static uint32_t first_index(const struct finding *x)
{
    return log_segment_index(x->log, x->log->start);
}

/* The log may let go of the segment during a wait. */
static void look_at(struct finding *x)
{
    segment_release(&x->kept);
    x->segment = x->kept = x->log->segments[x->i];
    segment_keep(x->kept);
}

static bool next_is_wanted(const struct finding *x)
{
    const struct log *log = x->log;

    return !finding_is_stale(x) && x->i < log->segment_count &&
           log->segments[x->i]->base < x->limit;
}

static void scan_from_index(struct finding *x)
{
    scan_deinit(&x->scan);
    scan_init(&x->scan, x->segment, 0, x->segment->size_bytes, false, SCAN_WINDOW_BYTES);
    scan_jump(&x->scan, index_find(x->segment, x->from), 0);
}

static void take_place(struct finding *x)
{
    x->placed = x->place.offset < x->log->start; /* also when there is none */
    x->from = x->place.offset > x->log->start ? x->place.offset : x->log->start;
}

/* The batch that the time index has sent us to, when `x->batch` is behind it or is it, is not as it says: then the
 * scan begins anew, at the segment's beginning. */
static bool place_is_wrong(struct finding *x)
{
    const struct batch *b = &x->batch;

    if (x->placed || (x->rc == SCAN_BATCH && b->last_offset < x->place.offset))
        return false;
    x->placed = true;
    if (x->rc == SCAN_BATCH && b->base_offset <= x->place.offset && b->max_timestamp_ms == x->place.timestamp_ms)
        return false;
    index_doubt_because(x->segment, "an entry of the time index fits no batch");
    scan_from_index(x);
    return true;
}

/* The largest timestamp of segments that lie wholly below the limit, or whose largest does. */
static bool largest_is_known(struct finding *x)
{
    const struct log *log = x->log;
    int64_t end = x->i + 1 < log->segment_count ? log->segments[x->i + 1]->base : log->end;

    if (end > x->limit && x->segment->max_timestamp_offset >= x->limit)
        return false;
    if (x->segment->max_timestamp_ms > x->timestamp_ms)
        x->timestamp_ms = x->segment->max_timestamp_ms;
    return true;
}

static void find_run(struct flow *f)
{
    struct finding *x = container_of(f, struct finding, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(x->log->io, &f->op));
    for (x->i = first_index(x); next_is_wanted(x); x->i++) {
        look_at(x);
        if (!x->segment->timestamps_known)
            FLOW_TRY(f, "read a time index", segment_load_timestamps(x->segment, &f->op));
        if (finding_is_stale(x) || x->segment->max_timestamp_ms < x->timestamp_ms)
            continue;
        FLOW_TRY(f, "look into a time index",
                 time_index_find(x->segment, x->timestamp_ms - 1, &x->place, &f->op));
        take_place(x);
        FLOW_TRY(f, "open a segment", segment_use(x->segment, &f->op));
        x->held = x->segment;
        while (!finding_is_stale(x) && !index_covers(x->segment, x->from))
            FLOW_TRY(f, "read an index", index_load(x->segment, x->from, &f->op));
        if (finding_is_stale(x))
            break;
        scan_from_index(x);
        for (;;) {
            x->rc = scan_next(&x->scan, &x->batch);
            if (x->rc == SCAN_FILL) {
                FLOW_TRY(f, "read a segment", scan_fill(&x->scan, &f->op));
                continue;
            }
            if (x->rc >= 0 && place_is_wrong(x))
                continue;
            if (x->rc == SCAN_BATCH && !x->placed)
                continue; /* it lies before the place, where all is older */
            if (x->rc != SCAN_BATCH || x->batch.base_offset >= x->limit)
                break;
            x->rc = take_batch(x);
            if (x->rc != 0) {
                finding_end(x, x->rc);
                return;
            }
        }
        if (x->rc < 0) {
            finding_end(x, x->rc);
            return;
        }
        reindex_if_doubted(x->segment);
        scan_deinit(&x->scan);
        segment_release(&x->held);
    }
    FLOW_END(f);
    finding_end(x, finding_is_stale(x) ? -ERANGE : 0);
    return;
failed:
    finding_end(x, f->result);
}

/* First the largest timestamp, then who has it first. */
static void find_largest_run(struct flow *f)
{
    struct finding *x = container_of(f, struct finding, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(x->log->io, &f->op));
    for (x->i = first_index(x); next_is_wanted(x); x->i++) {
        look_at(x);
        if (!x->segment->timestamps_known)
            FLOW_TRY(f, "read a time index", segment_load_timestamps(x->segment, &f->op));
        if (finding_is_stale(x) || largest_is_known(x))
            continue;
        FLOW_TRY(f, "open a segment", segment_use(x->segment, &f->op));
        x->held = x->segment;
        scan_init(&x->scan, x->segment, 0, x->segment->size_bytes, false, SCAN_WINDOW_BYTES);
        while ((x->rc = scan_next(&x->scan, &x->batch)) > 0) {
            if (x->rc == SCAN_FILL) {
                FLOW_TRY(f, "read a segment", scan_fill(&x->scan, &f->op));
                continue;
            }
            if (x->batch.last_offset >= x->limit)
                break;
            if (x->batch.count > 0 && x->batch.max_timestamp_ms > x->timestamp_ms)
                x->timestamp_ms = x->batch.max_timestamp_ms;
        }
        scan_deinit(&x->scan);
        segment_release(&x->held);
    }
    FLOW_END(f);
    if (x->timestamp_ms < 0 || finding_is_stale(x)) {
        finding_end(x, x->timestamp_ms < 0 ? 0 : -ERANGE);
        return;
    }
    flow_start(f, find_run, f->parent);
    return;
failed:
    finding_end(x, f->result);
}

static void find_start(struct log *log, int64_t timestamp_ms, int64_t limit,
                       void (*run)(struct flow *f), struct log_time_found *out, struct op *op)
{
    struct finding *x;

    if (!gate_enter(&log->gate)) {
        io_complete(log->io, op, log_shut_error(log));
        return;
    }
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->log = log;
    x->out = out;
    x->run = run;
    x->asked_ms = timestamp_ms;
    x->limit = limit;
    x->generation = log->generation;
    finding_begin(x, op);
}

void log_find_time(struct log *log, int64_t timestamp_ms, int64_t limit, struct log_time_found *out,
                   struct op *op)
{
    find_start(log, timestamp_ms, limit, find_run, out, op);
}

void log_find_max_time(struct log *log, int64_t limit, struct log_time_found *out, struct op *op)
{
    find_start(log, -1, limit, find_largest_run, out, op);
}
