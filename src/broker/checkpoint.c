#include "broker/checkpoint.h"

#include <stdlib.h>

#include "broker/everywhere.h"

/* ---- gather -------------------------------------------------------------------------------------------- */

struct gathering {
    struct flow flow;
    struct broker *broker;
    bool closing;
    bool points, starts, marks, cleaned; /* which lines are wanted */
    struct checkpoint_lines *lines;     /* the caller's: the sum */
    struct checkpoint_lines *by_shard;  /* shard_count times dir_count */
};

static void gather_shard(struct broker_shard *shard, void *ctx, struct op *op)
{
    struct gathering *g = ctx;
    const struct broker *b = g->broker;

    for (uint32_t d = 0; d < b->dir_count; d++) {
        struct checkpoint_lines *lines = &g->by_shard[shard->index * b->dir_count + d];
        replicas_checkpoint(shard->replicas, b->dirs[d], g->closing,
                            g->points ? &lines->recovery_point : NULL, g->starts ? &lines->log_start : NULL,
                            g->marks ? &lines->high_watermark : NULL);
        if (g->cleaned)
            replicas_cleaner_checkpoint(shard->replicas, b->dirs[d], &lines->cleaner);
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
        append(&sum->cleaner, &g->by_shard[i].cleaner);
    }
    free(g->by_shard);
    flow_done(f, f->result);
    free(g);
}

static struct gathering *gathering_new(struct broker *b, struct checkpoint_lines *lines)
{
    struct gathering *g = calloc(1, sizeof *g);

    ASSERT(g != NULL);
    g->broker = b;
    g->lines = lines;
    g->by_shard = calloc(b->shard_count * b->dir_count, sizeof *g->by_shard);
    ASSERT(g->by_shard != NULL);
    return g;
}

void checkpoint_gather_last(struct broker *b, struct checkpoint_lines *lines, struct op *op)
{
    struct gathering *g = gathering_new(b, lines);

    g->closing = g->points = g->starts = g->marks = g->cleaned = true;
    flow_start(&g->flow, gather_run, op);
}

void checkpoint_lines_free(struct checkpoint_lines *lines)
{
    checkpoint_free(&lines->recovery_point);
    checkpoint_free(&lines->log_start);
    checkpoint_free(&lines->high_watermark);
    checkpoint_free(&lines->cleaner);
    *lines = (struct checkpoint_lines){0};
}

/* ---- from time to time ------------------------------------------------------------------------------------- */

enum kind { POINTS, STARTS, MARKS, CLEANED, KINDS };

struct checkpoints {
    struct flow flow;
    struct broker *broker;
    struct io_timer timer;
    int64_t due_ms[KINDS];               /* monotonic; INT64_MAX: not again */
    int64_t every_ms[KINDS];
    bool wanted[KINDS];                  /* of the write that is under way */
    struct checkpoint_lines *lines;      /* one per directory */
    uint32_t dir;
    bool writing;
    struct list asked;                   /* ops that wait for the next write of log starts */
    struct list served;                  /* by the one that is under way */
    struct op done;
    struct op *stopping;
};

static void write_begin(struct checkpoints *c);
static void wind(struct checkpoints *c);

static void complete_all(struct list *ops, int64_t result)
{
    struct list told = LIST_INIT(told);

    list_move_all(&told, ops);
    for (struct list *node; (node = list_take_head(&told)) != NULL;) {
        struct op *op = container_of(node, struct op, node);
        op->done(op, result);
    }
}

static void checkpoints_end(struct checkpoints *c)
{
    struct op *stopping = c->stopping;

    complete_all(&c->asked, ERR_CLOSED);
    free(c->lines);
    free(c);
    stopping->done(stopping, 0);
}

static void write_done(struct op *op, int64_t result)
{
    struct checkpoints *c = container_of(op, struct checkpoints, done);

    for (uint32_t d = 0; d < c->broker->dir_count; d++)
        checkpoint_lines_free(&c->lines[d]);
    complete_all(&c->served, result);
    c->writing = false;
    if (c->stopping != NULL)
        checkpoints_end(c);
    else if (!list_empty(&c->asked))
        write_begin(c);
    else
        wind(c);
}

static void gather(struct checkpoints *c)
{
    struct gathering *g = gathering_new(c->broker, c->lines);

    g->points = c->wanted[POINTS];
    g->starts = c->wanted[STARTS];
    g->marks = c->wanted[MARKS];
    g->cleaned = c->wanted[CLEANED];
    flow_start(&g->flow, gather_run, &c->flow.op);
}

static void write_dir(struct checkpoints *c)
{
    const struct checkpoint_lines *lines = &c->lines[c->dir];

    log_dir_checkpoint(c->broker->dirs[c->dir], c->wanted[POINTS] ? &lines->recovery_point : NULL,
                       c->wanted[STARTS] ? &lines->log_start : NULL,
                       c->wanted[MARKS] ? &lines->high_watermark : NULL, &c->flow.op);
}

/* Whoever waits looks at the directory that matters to him. */
static void note_result(struct checkpoints *c)
{
    const struct broker_shard *home = &c->broker->shards[0];
    int error = (int)c->flow.result;
    struct fail why;

    if (error >= 0)
        return;
    fail_set(&why, error, "cannot write its checkpoints: %s", error_text(error));
    log_dir_fail(c->broker->dirs[c->dir], home->io, home->telemetry, &why);
}

static void write_run(struct flow *f)
{
    struct checkpoints *c = container_of(f, struct checkpoints, flow);
    struct broker *b = c->broker;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "gather", gather(c));
    for (c->dir = 0; c->dir < b->dir_count; c->dir++) {
        if (!log_dir_is_online(b->dirs[c->dir]))
            continue;
        FLOW_WAIT(f, "write", write_dir(c));
        note_result(c);
        if (!c->wanted[CLEANED] || !log_dir_is_online(b->dirs[c->dir]))
            continue;
        FLOW_WAIT(f, "write", log_dir_checkpoint_cleaner(b->dirs[c->dir], &c->lines[c->dir].cleaner, &f->op));
        note_result(c);
    }
    FLOW_END(f);
    flow_done(f, 0);
}

/* Everything that is due, and what was asked for: who asks while it is under way waits for the next one, which
 * gathers anew. */
static void write_begin(struct checkpoints *c)
{
    int64_t now_ms = io_now_ms(c->broker->shards[0].io);

    for (int k = 0; k < KINDS; k++) {
        c->wanted[k] = now_ms >= c->due_ms[k];
        if (c->wanted[k])
            c->due_ms[k] = c->every_ms[k] > 0 ? now_ms + c->every_ms[k] : INT64_MAX;
    }
    list_move_all(&c->served, &c->asked);
    if (!list_empty(&c->served))
        c->wanted[STARTS] = true;
    io_timer_clear(&c->timer);
    c->writing = true;
    op_init(&c->done, write_done);
    flow_start(&c->flow, write_run, &c->done);
}

static void due(struct io_timer *t)
{
    write_begin(container_of(t, struct checkpoints, timer));
}

static void wind(struct checkpoints *c)
{
    int64_t at_ms = INT64_MAX;

    for (int k = 0; k < KINDS; k++)
        at_ms = c->due_ms[k] < at_ms ? c->due_ms[k] : at_ms;
    if (at_ms < INT64_MAX)
        io_timer_set(c->broker->shards[0].io, &c->timer, at_ms * 1000000, due);
}

struct checkpoints *checkpoints_start(struct broker *b)
{
    struct checkpoints *c = calloc(1, sizeof *c);
    const struct config *s = b->options.settings;
    int64_t now_ms = io_now_ms(b->shards[0].io);
    int64_t delay_ms = config_i64(s, BROKER_LOG_INITIAL_TASK_DELAY_MS);

    ASSERT(c != NULL);
    c->broker = b;
    c->lines = calloc(b->dir_count, sizeof *c->lines);
    ASSERT(c->lines != NULL);
    list_init(&c->asked);
    list_init(&c->served);
    c->every_ms[POINTS] = config_i64(s, BROKER_LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS);
    c->every_ms[STARTS] = config_i64(s, BROKER_LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS);
    c->every_ms[MARKS] = config_i64(s, BROKER_REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS);
    c->due_ms[POINTS] = c->due_ms[STARTS] = now_ms + delay_ms;
    c->due_ms[MARKS] = now_ms;
    c->due_ms[CLEANED] = INT64_MAX; /* when something was */
    wind(c);
    return c;
}

void checkpoints_save_starts(struct checkpoints *c, struct op *op)
{
    if (c->stopping != NULL) {
        io_complete(c->broker->shards[0].io, op, ERR_CLOSED);
        return;
    }
    list_add_tail(&c->asked, &op->node);
    if (!c->writing)
        write_begin(c);
}

void checkpoints_save_cleaned(struct checkpoints *c)
{
    c->due_ms[CLEANED] = io_now_ms(c->broker->shards[0].io);
    if (!c->writing && c->stopping == NULL)
        write_begin(c);
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
