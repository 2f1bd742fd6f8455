/* Records in: made when they are due, taken by the producer while it has room. */
#include "cli/load.h"

#include <errno.h>

/* Records of one turn: then answers are looked at. Some 100 us of work. */
#define TURN_RECORDS 256

static void turn(struct io_timer *timer);

static void soon(struct feed *f)
{
    if (!f->over && !f->stopped && !f->held)
        io_timer_set(f->io, &f->timer, io_now_ns(f->io), turn);
}

/* ---- what comes back ------------------------------------------------------------------------------ */

static void end(struct feed *f, int64_t result)
{
    if (f->over)
        return;
    f->over = true;
    io_timer_clear(&f->timer);
    io_timer_clear(&f->patience);
    io_complete(f->io, f->parent, result);
}

static void acked(void *ctx, const struct producer_ack *ack)
{
    struct feed *f = ctx;

    if (f->over)
        return;
    if (ack->error.code == KERR_NONE)
        f->acknowledged += (uint64_t)ack->count;
    else
        f->failed += (uint64_t)ack->count;
    f->acked(f, ack);
    if (f->in_flight_max > 0 && !io_timer_is_set(&f->timer))
        soon(f);
}

static void room(void *ctx)
{
    soon(ctx);
}

static void fatal(void *ctx, const struct producer_error *error)
{
    struct feed *f = ctx;

    end(f, fail_set(&f->tool->fail, -EPROTO, "%.*s", STR_ARG(error->text)));
}

static void flushed(struct op *op, int64_t result)
{
    struct feed *f = container_of(op, struct feed, flushed);

    if (result < 0)
        fail_set(&f->tool->fail, (int)result, "the producer cannot be flushed: %s", error_text((int)result));
    end(f, result);
}

/* ---- making ----------------------------------------------------------------------------------------- */

/* The last record was made. Whoever is told of it may stop the feed, too. */
static void finish(struct feed *f)
{
    if (f->finishing)
        return;
    f->finishing = f->stopped = true;
    io_timer_clear(&f->timer);
    producer_flush(f->producer, &f->flushed);
}

static int64_t due_ns(const struct feed *f, int64_t now_ns)
{
    return f->rate > 0 ? f->begin_ns + (int64_t)((double)f->made * (1e9 / f->rate)) : now_ns;
}

/* One record. false: not now. */
static bool make_one(struct feed *f, int64_t now_ns, int64_t wall_ms)
{
    int64_t due = due_ns(f, now_ns);
    int rc;

    if (due > now_ns) {
        io_timer_set(f->io, &f->timer, due, turn);
        return false;
    }
    if (f->in_flight_max > 0 && f->made - f->acknowledged - f->failed >= f->in_flight_max)
        return false; /* an acknowledgement goes on */
    if (!f->pending) {
        f->record = (struct producer_record){
            .topic = f->record.topic, .partition = -1, .key = BYTES_NULL, .value = BYTES_NULL, .timestamp_ms = -1};
        f->make(f, f->made, due, &f->record);
        f->pending = true;
    }
    rc = producer_append(f->producer, &f->record, now_ns / NS_PER_MS, wall_ms);
    if (rc == -EAGAIN)
        return false; /* `room` goes on */
    f->pending = false;
    f->made++;
    if (rc < 0) {
        f->failed++;
        f->refused(f, &f->record, rc);
    }
    return true;
}

static void turn(struct io_timer *timer)
{
    struct feed *f = container_of(timer, struct feed, timer);
    int64_t now_ns = io_now_ns(f->io), wall_ms = io_wall_ms(f->io);

    for (uint32_t i = 0; i < TURN_RECORDS && f->made < f->limit; i++) {
        if (f->stopped || f->held || !make_one(f, now_ns, wall_ms))
            return;
    }
    if (f->made < f->limit)
        soon(f);
    else
        finish(f);
}

void feed_hold(struct feed *f, bool held)
{
    bool was = f->held;

    f->held = held;
    if (was && !held)
        soon(f);
}

void feed_stop(struct feed *f)
{
    if (f->stopped || f->over)
        return;
    if (f->parent != NULL)
        finish(f);
    f->stopped = true;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static void patience(struct io_timer *timer)
{
    struct feed *f = container_of(timer, struct feed, patience);
    struct client_health health;

    client_health(f->client, &health);
    if (health.state != CLIENT_UP && f->acknowledged == 0)
        end(f, fail_set(&f->tool->fail, -ETIMEDOUT, "no broker can be reached: %s", health.reason));
}

int feed_open(struct feed *f, struct tool *t, const struct config *config)
{
    static const struct producer_hooks hooks = {.acked = acked, .room = room, .fatal = fatal};
    struct client_settings client;
    struct producer_settings settings;

    *f = (struct feed){.tool = t, .io = t->io};
    op_init(&f->flushed, flushed);
    TRY(client_settings_read(config, &client, &t->fail));
    TRY(producer_settings_read(config, &settings, &t->fail));
    f->client = client_new(f->io, t->telemetry, &client, &t->fail);
    if (f->client == NULL)
        return t->fail.error;
    f->producer = producer_new(f->io, f->client, &settings, &hooks, f, &t->fail);
    return f->producer == NULL ? t->fail.error : 0;
}

void feed_run(struct feed *f, struct op *op)
{
    f->parent = op;
    f->record.topic = producer_topic(f->producer, f->topic);
    ASSERT(f->record.topic != NULL);
    f->begin_ns = io_now_ns(f->io);
    io_timer_set(f->io, &f->patience, f->begin_ns + LOAD_UNREACHABLE_MS * NS_PER_MS, patience);
    if (f->stopped)
        finish(f);
    else
        soon(f);
}

static void close_run(struct flow *flow)
{
    struct feed *f = container_of(flow, struct feed, closing);

    FLOW_BEGIN(flow);
    f->over = true;
    io_timer_clear(&f->timer);
    io_timer_clear(&f->patience);
    if (f->producer != NULL)
        FLOW_WAIT(flow, "producer", producer_close(f->producer, 0, &flow->op));
    if (f->client != NULL)
        FLOW_WAIT(flow, "client", client_close(f->client, &flow->op));
    FLOW_END(flow);
    f->producer = NULL;
    f->client = NULL;
    flow_done(flow, 0);
}

void feed_close(struct feed *f, struct io *io, struct op *op)
{
    if (f->client == NULL)
        io_complete(io, op, 0);
    else
        flow_start(&f->closing, close_run, op);
}
