#include "broker/retention.h"

#include <stdlib.h>

#include "broker/everywhere.h"

/* Something that every shard does at intervals, never twice at a time. */
struct periodic {
    struct retention *retention;
    struct io_timer timer;
    struct op op;
    int64_t every_ms;
    void (*run)(struct broker_shard *shard, void *ctx, struct op *op);
    bool running;
};

enum { SEGMENTS, PRODUCERS, PERIODICS };

struct retention {
    struct broker *broker;
    struct periodic all[PERIODICS];
    struct op interrupted;
    uint32_t left; /* of a stop: what has not ended yet */
    struct op *stopping;
};

static void remove_segments(struct broker_shard *shard, void *ctx, struct op *op)
{
    replicas_retain(shard->replicas, op);
}

static void expire_producers(struct broker_shard *shard, void *ctx, struct op *op)
{
    replicas_expire_producers(shard->replicas, op);
}

static void stop_passes(struct broker_shard *shard, void *ctx, struct op *op)
{
    replicas_stop_passes(shard->replicas);
    io_complete(shard->io, op, 0);
}

/* One thing that a stop waits for has ended. */
static void stop_step(struct retention *r)
{
    struct op *stopping = r->stopping;

    if (--r->left > 0)
        return;
    free(r);
    stopping->done(stopping, 0);
}

static void wind(struct periodic *p, int64_t in_ms);

static void check_done(struct op *op, int64_t result)
{
    struct periodic *p = container_of(op, struct periodic, op);

    p->running = false;
    if (p->retention->stopping != NULL)
        stop_step(p->retention);
    else
        wind(p, p->every_ms);
}

static void check(struct io_timer *t)
{
    struct periodic *p = container_of(t, struct periodic, timer);

    p->running = true;
    op_init(&p->op, check_done);
    everywhere(p->retention->broker, p->run, NULL, &p->op);
}

static void wind(struct periodic *p, int64_t in_ms)
{
    struct io *io = p->retention->broker->shards[0].io;

    io_timer_set(io, &p->timer, io_now_ns(io) + in_ms * 1000000, check);
}

struct retention *retention_start(struct broker *b)
{
    struct retention *r = calloc(1, sizeof *r);
    const struct config *s = b->options.settings;

    ASSERT(r != NULL);
    r->broker = b;
    r->all[SEGMENTS] = (struct periodic){
        .retention = r,
        .every_ms = config_i64(s, BROKER_LOG_RETENTION_CHECK_INTERVAL_MS),
        .run = remove_segments,
    };
    r->all[PRODUCERS] = (struct periodic){
        .retention = r,
        .every_ms = config_i64(s, BROKER_PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS),
        .run = expire_producers,
    };
    wind(&r->all[SEGMENTS], config_i64(s, BROKER_LOG_INITIAL_TASK_DELAY_MS));
    wind(&r->all[PRODUCERS], r->all[PRODUCERS].every_ms);
    return r;
}

static void interrupted(struct op *op, int64_t result)
{
    stop_step(container_of(op, struct retention, interrupted));
}

void retention_stop(struct retention *r, struct op *op)
{
    r->stopping = op;
    r->left = 1;
    for (int i = 0; i < PERIODICS; i++) {
        io_timer_clear(&r->all[i].timer);
        r->left += r->all[i].running ? 1 : 0;
    }
    op_init(&r->interrupted, interrupted);
    everywhere(r->broker, stop_passes, NULL, &r->interrupted);
}
