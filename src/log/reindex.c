/* Indexes that were found wrong are made again from the segment: read aside while reads and appends go on, then put in
 * place at once, in memory; a job writes them. */
#include <stdlib.h>

#include "log/scan.h"
#include "log/state.h"

struct reindex {
    struct flow flow;
    struct log *log;
    struct segment *segment, *held;
    struct segment made; /* its side files only */
    struct scan scan;
    struct batch batch;
    int rc;
    uint32_t generation;
    struct op saved;
};

struct persist {
    struct job job;
    struct segment *segment;
    struct segment_save *save;
};

static void reindex_free(struct reindex *x)
{
    scan_deinit(&x->scan);
    segment_release(&x->held);
    for (int side = 0; side < SIDES; side++)
        text_deinit(&x->made.side[side].pending);
    free(x);
}

static void saved(struct op *op, int64_t result)
{
    reindex_free(container_of(op, struct reindex, saved));
}

static void persist_run(struct flow *f)
{
    struct persist *p = container_of(f, struct persist, job.flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(p->job.log->io, &f->op));
    if (p->segment->log != NULL && !log_is_failed(p->job.log)) {
        if (!p->segment->closed)
            FLOW_TRY(f, "forget its scan point", scan_point_forget(p->job.log, &f->op));
        FLOW_WAIT(f, "save indexes",
                  p->save = segment_save_start(p->segment, p->segment->closed ? SAVE_FINAL : SAVE_READY, &f->op));
        segment_save_free(p->save);
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    log_fail(p->job.log, f->result, f->step);
    flow_done(f, f->result);
}

static void take_made(struct segment *s, struct segment *made, enum side side)
{
    struct side_file *x = &s->side[side];

    text_deinit(&x->pending);
    x->pending = made->side[side].pending;
    made->side[side].pending = (struct text){0};
    x->reset = true;
    x->written_bytes = 0;
}

void reindex_persist(struct segment *s, struct op *op)
{
    struct persist *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    p->segment = s;
    log_job_add(s->log, &p->job, persist_run, op);
}

static void put_in_place(struct reindex *x)
{
    struct segment *s = x->segment;

    if (s->rolled)
        index_apply_last(&x->made);
    take_made(s, &x->made, SIDE_INDEX);
    take_made(s, &x->made, SIDE_TIME);
    s->max_timestamp_ms = x->made.max_timestamp_ms;
    s->max_timestamp_offset = x->made.max_timestamp_offset;
    s->last_time_entry_ms = x->made.last_time_entry_ms;
    s->bytes_since_entry = x->made.bytes_since_entry;
    s->timestamps_known = true;
    s->index_doubted = s->index_remade = false;
    say(x->log->telemetry, LOG_INFO, "log", "the indexes of %s are made again", s->path);
    op_init(&x->saved, saved);
    reindex_persist(s, &x->saved);
}

static bool must_stop(const struct reindex *x)
{
    return x->log->closing || log_is_failed(x->log) || x->generation != x->log->generation ||
           x->segment->log == NULL;
}

/* The end of an active segment runs ahead: caught up with when nothing is left and nobody writes its indexes. */
static void reindex_run(struct flow *f)
{
    struct reindex *x = container_of(f, struct reindex, flow);
    struct log *log = x->log;
    struct segment *s = x->segment;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open a segment", segment_use(s, &f->op));
    x->held = s;
    scan_init(&x->scan, s, 0, s->size_bytes, false, SCAN_WINDOW_BYTES);
    while (!must_stop(x)) {
        x->scan.end = s->size_bytes;
        x->rc = scan_next(&x->scan, &x->batch);
        if (x->rc == SCAN_FILL)
            FLOW_TRY(f, "read a segment", scan_fill(&x->scan, &f->op));
        else if (x->rc == SCAN_BATCH)
            index_apply(&x->made, &x->batch, x->scan.batch_position, log->settings.index_interval_bytes);
        else if (x->rc == SCAN_END && (log->siding || log->job != NULL))
            FLOW_WAIT(f, "side files", log->siding ? side_wait(log, &f->op) : io_yield(log->io, &f->op));
        else
            break;
    }
    FLOW_END(f);
    if (!must_stop(x) && x->rc == SCAN_END)
        put_in_place(x);
    else
        reindex_free(x); /* damage in the segment itself is said by who reads it */
    gate_leave(&log->gate);
    return;
failed:
    reindex_free(x);
    gate_leave(&log->gate);
}

void reindex_if_doubted(struct segment *s)
{
    struct reindex *x;

    if (!s->index_doubted || s->index_remade || s->log == NULL || !gate_enter(&s->log->gate))
        return;
    s->index_remade = true;
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->log = s->log;
    x->segment = s;
    x->generation = s->log->generation;
    x->made = (struct segment){
        .base = s->base,
        .max_timestamp_ms = -1,
        .max_timestamp_offset = -1,
        .first_timestamp_ms = -1,
        .last_time_entry_ms = -1,
    };
    flow_start(&x->flow, reindex_run, NULL);
}
