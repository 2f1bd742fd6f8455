/* Records out: chunks as they come, some of them in a turn, so that the next fetch goes out meanwhile. */
#include "cli/load.h"

#include <errno.h>

#define TURN_BYTES (1u << 20) /* as they came */
#define CLOSE_MS 30000

static void turn(struct io_timer *timer);

static void soon(struct drain *d)
{
    if (!d->over && !d->held && d->parent != NULL)
        io_timer_set(d->io, &d->timer, io_now_ns(d->io), turn);
}

static void turn(struct io_timer *timer)
{
    struct drain *d = container_of(timer, struct drain, timer);
    struct consumer_chunk *k;

    for (uint64_t bytes = 0; bytes < TURN_BYTES;) {
        if (d->over || d->held || (k = consumer_take(d->consumer)) == NULL)
            return;
        bytes += k->bytes;
        consumer_chunk_release(k, d->take(d, k));
    }
    soon(d);
}

void drain_hold(struct drain *d, bool held)
{
    d->held = held;
    soon(d);
}

void drain_end(struct drain *d, int64_t result)
{
    if (d->over || d->parent == NULL)
        return;
    d->over = true;
    io_timer_clear(&d->timer);
    io_timer_clear(&d->ticker);
    io_complete(d->io, d->parent, result);
}

/* ---- what the consumer says ------------------------------------------------------------------------- */

static void told_error(struct drain *d, const struct consumer_event *e)
{
    struct fail *f = &d->tool->fail;

    if (e->error.advice == CONSUMER_WAIT || e->error.advice == CONSUMER_REJOINED)
        text_printf(&d->tool->cli->err, "WARNING: %s\n", e->error.text);
    else
        drain_end(d, fail_set(f, -EPROTO, "%s", e->error.text));
}

static void told_event(void *ctx, const struct consumer_event *e)
{
    struct drain *d = ctx;

    if (d->over)
        return;
    if (e->kind == CONSUMER_PARTITION_ERROR || e->kind == CONSUMER_GROUP_ERROR)
        told_error(d, e);
    else if (d->shared != NULL)
        d->shared(d, e);
}

static void told_ready(void *ctx)
{
    soon(ctx);
}

static void tick(struct io_timer *timer)
{
    struct drain *d = container_of(timer, struct drain, ticker);
    int64_t now_ns = io_now_ns(d->io);
    struct consumer_health health;

    consumer_polled(d->consumer);
    if (!d->looked && now_ns - d->begin_ns >= LOAD_UNREACHABLE_MS * NS_PER_MS) {
        d->looked = true;
        consumer_health(d->consumer, &health);
        if (health.cluster.state != CLIENT_UP) {
            fail_set(&d->tool->fail, -ETIMEDOUT, "no broker can be reached: %s", health.cluster.reason);
            drain_end(d, -ETIMEDOUT);
            return;
        }
    }
    io_timer_set(d->io, &d->ticker, now_ns + DRAIN_TICK_MS * NS_PER_MS, tick);
    if (d->tick != NULL)
        d->tick(d);
}

/* ---- life ----------------------------------------------------------------------------------------------- */

int drain_open(struct drain *d, struct tool *t, const struct config *config)
{
    const struct consumer_hooks hooks = {.event = told_event, .ready = told_ready, .ctx = d};
    struct consumer_settings settings;

    *d = (struct drain){.tool = t, .io = t->io};
    TRY(consumer_settings_read(config, &settings, &t->fail));
    d->consumer = consumer_new(d->io, t->telemetry, &settings, &hooks, &t->fail);
    return d->consumer == NULL ? t->fail.error : 0;
}

void drain_run(struct drain *d, struct op *op)
{
    d->parent = op;
    d->begin_ns = io_now_ns(d->io);
    io_timer_set(d->io, &d->ticker, d->begin_ns + DRAIN_TICK_MS * NS_PER_MS, tick);
    soon(d);
}

void drain_close(struct drain *d, struct io *io, struct op *op)
{
    struct consumer *c = d->consumer;

    d->over = true;
    io_timer_clear(&d->timer);
    io_timer_clear(&d->ticker);
    d->consumer = NULL;
    if (c == NULL)
        io_complete(io, op, 0);
    else
        consumer_close(c, CLOSE_MS, op);
}
