#include "broker/checkpoint.h"

#include <stdlib.h>

#include "broker/everywhere.h"

/* ---- gather -------------------------------------------------------------------------------------------- */

struct gathering {
    struct flow flow;
    struct broker *broker;
    bool closing;
    struct checkpoint_lines *lines;     /* the caller's: the sum */
    struct checkpoint_lines *by_shard;  /* shard_count times dir_count */
};

static void gather_shard(struct broker_shard *shard, void *ctx, struct op *op)
{
    struct gathering *g = ctx;
    const struct broker *b = g->broker;

    for (uint32_t d = 0; d < b->dir_count; d++) {
        struct checkpoint_lines *lines = &g->by_shard[shard->index * b->dir_count + d];
        replicas_checkpoint(shard->replicas, b->dirs[d], g->closing, &lines->recovery_point,
                            &lines->log_start, &lines->high_watermark);
    }
    io_complete(shard->io, op, 0);
}

/* Move all lines of `from` behind those of `to`. */
static void append(struct checkpoint *to, struct checkpoint *from)
{
    if (from->count == 0)
        return;
    to->entries = realloc(to->entries, (to->count + from->count) * sizeof *to->entries);
    ASSERT(to->entries != NULL);
    memcpy(to->entries + to->count, from->entries, from->count * sizeof *to->entries);
    to->count += from->count;
    free(from->entries);
    *from = (struct checkpoint){0};
}

static void gather_run(struct flow *f)
{
    struct gathering *g = container_of(f, struct gathering, flow);
    struct broker *b = g->broker;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "ask the shards", everywhere(b, gather_shard, g, &f->op));
    FLOW_END(f);
    for (uint32_t i = 0; i < b->shard_count * b->dir_count; i++) {
        struct checkpoint_lines *sum = &g->lines[i % b->dir_count];
        append(&sum->recovery_point, &g->by_shard[i].recovery_point);
        append(&sum->log_start, &g->by_shard[i].log_start);
        append(&sum->high_watermark, &g->by_shard[i].high_watermark);
    }
    free(g->by_shard);
    flow_done(f, f->result);
    free(g);
}

void checkpoint_gather(struct broker *b, bool closing, struct checkpoint_lines *lines, struct op *op)
{
    struct gathering *g = calloc(1, sizeof *g);

    ASSERT(g != NULL);
    g->broker = b;
    g->closing = closing;
    g->lines = lines;
    g->by_shard = calloc(b->shard_count * b->dir_count, sizeof *g->by_shard);
    ASSERT(g->by_shard != NULL);
    flow_start(&g->flow, gather_run, op);
}

void checkpoint_lines_free(struct checkpoint_lines *lines)
{
    checkpoint_free(&lines->recovery_point);
    checkpoint_free(&lines->log_start);
    checkpoint_free(&lines->high_watermark);
    *lines = (struct checkpoint_lines){0};
}

/* ---- from time to time ------------------------------------------------------------------------------------- */

struct checkpoints {
    struct flow flow;
    struct broker *broker;
    struct io_timer timer;
    int64_t marks_due_ms, points_due_ms; /* monotonic */
    int64_t marks_every_ms, points_every_ms;
    struct checkpoint_lines *lines;      /* one per directory */
    uint32_t dir;
    bool writing, marks, points;
    struct op done;
    struct op *stopping;
};

static void wind(struct checkpoints *c);

static void write_done(struct op *op, int64_t result)
{
    struct checkpoints *c = container_of(op, struct checkpoints, done);
    struct op *stopping = c->stopping;

    c->writing = false;
    for (uint32_t d = 0; d < c->broker->dir_count; d++)
        checkpoint_lines_free(&c->lines[d]);
    if (stopping == NULL) {
        wind(c);
        return;
    }
    free(c->lines);
    free(c);
    stopping->done(stopping, 0);
}

static void write_run(struct flow *f)
{
    struct checkpoints *c = container_of(f, struct checkpoints, flow);
    struct broker *b = c->broker;
    struct fail why;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "gather", checkpoint_gather(b, false, c->lines, &f->op));
    for (c->dir = 0; c->dir < b->dir_count; c->dir++)
        FLOW_TRY(f, "write", log_dir_checkpoint(b->dirs[c->dir],
                                                c->points ? &c->lines[c->dir].recovery_point : NULL,
                                                c->points ? &c->lines[c->dir].log_start : NULL,
                                                c->marks ? &c->lines[c->dir].high_watermark : NULL,
                                                &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    fail_set(&why, (int)f->result, "cannot write its checkpoints: %s", error_text((int)f->result));
    log_dir_fail(b->dirs[c->dir], b->shards[0].io, b->shards[0].telemetry, &why);
    flow_done(f, f->result);
}

static void due(struct io_timer *t)
{
    struct checkpoints *c = container_of(t, struct checkpoints, timer);
    int64_t now_ms = io_now_ms(c->broker->shards[0].io);

    c->marks = now_ms >= c->marks_due_ms;
    c->points = now_ms >= c->points_due_ms;
    if (c->marks)
        c->marks_due_ms = now_ms + c->marks_every_ms;
    if (c->points)
        c->points_due_ms = now_ms + c->points_every_ms;
    c->writing = true;
    op_init(&c->done, write_done);
    flow_start(&c->flow, write_run, &c->done);
}

static void wind(struct checkpoints *c)
{
    int64_t at_ms = c->marks_due_ms < c->points_due_ms ? c->marks_due_ms : c->points_due_ms;

    io_timer_set(c->broker->shards[0].io, &c->timer, at_ms * 1000000, due);
}

struct checkpoints *checkpoints_start(struct broker *b)
{
    struct checkpoints *c = calloc(1, sizeof *c);
    const struct config *s = b->options.settings;
    int64_t now_ms = io_now_ms(b->shards[0].io);

    ASSERT(c != NULL);
    c->broker = b;
    c->lines = calloc(b->dir_count, sizeof *c->lines);
    ASSERT(c->lines != NULL);
    c->marks_every_ms = config_i64(s, BROKER_REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS);
    c->points_every_ms = config_i64(s, BROKER_LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS);
    c->marks_due_ms = now_ms + c->marks_every_ms;
    c->points_due_ms = now_ms + c->points_every_ms;
    wind(c);
    return c;
}

void checkpoints_stop(struct checkpoints *c, struct op *op)
{
    io_timer_clear(&c->timer);
    c->stopping = op;
    if (c->writing)
        return;
    op_init(&c->done, write_done);
    io_yield(c->broker->shards[0].io, &c->done);
}
