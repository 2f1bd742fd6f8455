#include "broker/everywhere.h"

#include <stdlib.h>

struct visit {
    struct io_message message;
    struct op op;
    struct broker_shard *shard;
    struct everywhere *all;
    int64_t result;
};

struct everywhere {
    struct broker *broker;
    void (*run)(struct broker_shard *shard, void *ctx, struct op *op);
    void *ctx;
    struct op *waiter;
    uint32_t left;
    int64_t result;
    struct visit visits[];
};

/* At home. */
static void visit_returned(struct io *io, struct io_message *m)
{
    struct visit *v = container_of(m, struct visit, message);
    struct everywhere *all = v->all;

    if (v->result < 0 && all->result == 0)
        all->result = v->result;
    if (--all->left > 0)
        return;
    struct op *waiter = all->waiter;
    int64_t result = all->result;
    free(all);
    waiter->done(waiter, result);
}

static void visit_done(struct op *op, int64_t result)
{
    struct visit *v = container_of(op, struct visit, op);

    v->result = result;
    v->message.run = visit_returned;
    io_post(v->shard->io, 0, &v->message);
}

static void visit_arrived(struct io *io, struct io_message *m)
{
    struct visit *v = container_of(m, struct visit, message);

    op_init(&v->op, visit_done);
    v->all->run(v->shard, v->all->ctx, &v->op);
}

void everywhere(struct broker *b,
                void (*run)(struct broker_shard *shard, void *ctx, struct op *op), void *ctx,
                struct op *op)
{
    struct everywhere *all = calloc(1, sizeof *all + b->shard_count * sizeof *all->visits);

    ASSERT(all != NULL);
    *all = (struct everywhere){
        .broker = b, .run = run, .ctx = ctx, .waiter = op, .left = b->shard_count};
    for (uint32_t i = 0; i < b->shard_count; i++) {
        struct visit *v = &all->visits[i];
        v->shard = &b->shards[i];
        v->all = all;
        v->message.run = visit_arrived;
        io_post(b->shards[0].io, i, &v->message);
    }
}
