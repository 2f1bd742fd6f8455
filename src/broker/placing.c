/* What a shard's replicas ask of home when they lie elsewhere than the metadata says, or move.
 */
#include <stdlib.h>

#include "broker/start.h"

/* ---- the controller is told ------------------------------------------------------------------ */

struct placing {
    struct io_message message;
    struct broker *broker;
    struct uuid topic_id, directory;
    int32_t partition;
};

static void placed_home(struct io *io, struct io_message *m)
{
    struct placing *p = container_of(m, struct placing, message);

    if (p->broker->node != NULL && !p->broker->life->stopping)
        node_assign(p->broker->node, p->topic_id, p->partition, p->directory);
    free(p);
}

void replica_placed(void *ctx, struct replica *r, struct uuid directory)
{
    struct broker_shard *shard = ctx;
    struct placing *p = calloc(1, sizeof *p);

    ASSERT(p != NULL);
    *p = (struct placing){
        .message.run = placed_home,
        .broker = shard->broker,
        .topic_id = replica_topic_id(r),
        .directory = directory,
        .partition = replica_partition(r),
    };
    io_post(shard->io, 0, &p->message);
}

/* ---- log starts are made durable ------------------------------------------------------------- */

struct start_saving {
    struct io_message message;
    struct broker *broker;
    struct op op;      /* at home */
    uint32_t shard;
    struct op *waiter; /* on that shard */
    int64_t result;
};

static void saved_back(struct io *io, struct io_message *m)
{
    struct start_saving *s = container_of(m, struct start_saving, message);
    struct op *waiter = s->waiter;
    int64_t result = s->result;

    free(s);
    waiter->done(waiter, result);
}

static void saved_home(struct op *op, int64_t result)
{
    struct start_saving *s = container_of(op, struct start_saving, op);

    s->result = result;
    s->message.run = saved_back;
    io_post(s->broker->shards[0].io, s->shard, &s->message);
}

/* Before the broker runs, and when it stops, there is nobody who writes: the move waits, or ends. */
static void save_home(struct io *io, struct io_message *m)
{
    struct start_saving *s = container_of(m, struct start_saving, message);

    op_init(&s->op, saved_home);
    if (s->broker->checkpoints == NULL)
        io_complete(io, &s->op, -EAGAIN);
    else
        checkpoints_save_starts(s->broker->checkpoints, &s->op);
}

void replica_save_starts(void *ctx, struct op *op)
{
    struct broker_shard *shard = ctx;
    struct start_saving *s = calloc(1, sizeof *s);

    ASSERT(s != NULL);
    *s = (struct start_saving){
        .message.run = save_home,
        .broker = shard->broker,
        .shard = shard->index,
        .waiter = op,
    };
    io_post(shard->io, 0, &s->message);
}
