/* The largest timestamp of a closed segment. Its time index ends with it; but no index is believed: the batch that the
 * last entry speaks of is looked at, and the few behind it. */
#include <stdlib.h>

#include "log/scan.h"
#include "log/state.h"

/* Behind the last entry's batch only so much is looked at: batches that are all older may fill the segment. */
#define BEHIND_BYTES_MAX (4U << 20)

#define HEADS_BYTES (16U << 10)

struct loading {
    struct flow flow;
    struct segment *segment, *held;
    struct time_place place;
    struct scan scan;
    struct batch batch;
    int rc;
    int64_t max_ms, max_offset;
    uint64_t found_at; /* position of the last entry's batch + 1; 0: not seen yet */
};

static void loading_end(struct loading *x, int64_t result)
{
    scan_deinit(&x->scan);
    segment_release(&x->held);
    segment_unuse(x->segment);
    flow_done(&x->flow, result);
    free(x);
}

static void begin(struct loading *x)
{
    struct segment *s = x->segment;

    scan_deinit(&x->scan);
    scan_init(&x->scan, s, 0, s->size_bytes, false, HEADS_BYTES);
    x->max_ms = x->max_offset = -1;
    x->found_at = 0;
    if (s->index_doubted)
        x->place = (struct time_place){-1, -1};
    else
        scan_jump(&x->scan, index_find(s, x->place.offset - 1), 0);
}

static void begin_without(struct loading *x)
{
    index_doubt_because(x->segment, "the last entry of the time index fits no batch");
    begin(x);
}

/* The segment has ended before the last entry's offset. */
static bool has_missed(struct loading *x)
{
    if (x->rc != SCAN_END || x->place.offset < 0 || x->found_at > 0 || x->segment->log == NULL)
        return false;
    begin_without(x);
    return true;
}

/* False when no more has to be looked at. */
static bool take(struct loading *x)
{
    const struct batch *b = &x->batch;
    bool holds = b->base_offset <= x->place.offset && b->last_offset >= x->place.offset;

    if (x->place.offset >= 0 && x->found_at == 0 && b->last_offset >= x->place.offset) {
        if (!holds || b->max_timestamp_ms != x->place.timestamp_ms) {
            begin_without(x);
            return true;
        }
        x->found_at = x->scan.batch_position + 1;
    }
    if (b->max_timestamp_ms > x->max_ms) {
        x->max_ms = b->max_timestamp_ms;
        x->max_offset = b->last_offset;
    }
    return x->found_at == 0 || x->scan.position < x->found_at + BEHIND_BYTES_MAX;
}

static void note(struct loading *x)
{
    struct segment *s = x->segment;

    if (x->place.offset >= 0 && x->max_ms > x->place.timestamp_ms)
        index_doubt_because(s, "the last entry of the time index is not its largest");
    if (x->rc < 0 && x->place.timestamp_ms > x->max_ms) {
        x->max_ms = x->place.timestamp_ms; /* what is damaged before it is said by who reads there */
        x->max_offset = x->place.offset;
    }
    s->max_timestamp_ms = s->last_time_entry_ms = x->max_ms;
    s->max_timestamp_offset = x->max_offset;
    s->timestamps_known = true;
}

static void load_run(struct flow *f)
{
    struct loading *x = container_of(f, struct loading, flow);
    struct segment *s = x->segment;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "look into a time index", time_index_find(s, INT64_MAX, &x->place, &f->op));
    FLOW_TRY(f, "open a segment", segment_use(s, &f->op));
    x->held = s;
    while (s->log != NULL && !index_covers(s, x->place.offset - 1))
        FLOW_TRY(f, "read an index", index_load(s, x->place.offset - 1, &f->op));
    begin(x);
    while (!s->timestamps_known) {
        x->rc = scan_next(&x->scan, &x->batch);
        if (x->rc == SCAN_FILL)
            FLOW_TRY(f, "read a segment", scan_fill(&x->scan, &f->op));
        else if (x->rc == SCAN_BATCH ? !take(x) : !has_missed(x))
            break;
    }
    FLOW_END(f);
    if (!s->timestamps_known)
        note(x);
    loading_end(x, 0);
    return;
failed:
    loading_end(x, f->result);
}

void segment_load_timestamps(struct segment *s, struct op *op)
{
    struct loading *x = calloc(1, sizeof(*x));

    ASSERT(x != NULL);
    x->segment = s;
    segment_keep(s);
    flow_start(&x->flow, load_run, op);
}
