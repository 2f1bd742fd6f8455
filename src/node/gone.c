/* Brokers whose process is gone: a host says so long before their session ends.
 *
 *   a connection with heartbeats ended,  ─► does anybody listen where the broker does?
 *   or the controller has just begun          refused ─► it is gone: fenced now
 *                                             else    ─► asked again a little later, unless it was heard meanwhile
 *
 * Neither is proof, and neither has to be. A broker that is fenced and lives is disturbed, nothing else: others lead in
 * later epochs, which fence it from what it led, and its next heartbeat unfences it. Silence, a host that cannot be
 * reached, an open port change nothing; then the session's end decides, as in Kafka.
 */
#include "node/internal.h"

#include <stdlib.h>

#define TRIES_MAX 6      /* over 620 ms: a process that ends closes connections before its listener, or behind it */
#define PAUSE_MS 20      /* after the first; then twice as long each time */
#define CONNECT_MS 1000  /* a host that is there answers at once */

/* One for each broker at most. */
struct watch {
    struct list node; /* in node.watches */
    struct node *node_of;
    struct flow flow;
    struct op over;
    int32_t id;
    int64_t epoch, heard_ms;
    uint32_t tries;
    struct io_address address;
    struct io_socket *socket;
    struct io_timer timer; /* of connecting, or of the pause */
    bool connecting, stopped;
};

/* Nothing was heard of it, and there is somebody to tell. */
static bool is_silent(const struct watch *w)
{
    return !w->stopped && !w->node_of->failed &&
           controller_broker_heard_ms(w->node_of->controller, w->id, w->epoch) == w->heard_ms;
}

static void connecting_too_long(struct io_timer *t)
{
    struct watch *w = container_of(t, struct watch, timer);

    io_cancel(w->node_of->io, &w->flow.op);
}

static void try_connect(struct watch *w)
{
    struct io *io = w->node_of->io;

    w->connecting = true;
    io_timer_set(io, &w->timer, io_now_ns(io) + CONNECT_MS * INT64_C(1000000), connecting_too_long);
    io_connect(io, &w->address, NULL, &w->socket, &w->flow.op);
}

static void connect_ended(struct watch *w)
{
    w->connecting = false;
    io_timer_clear(&w->timer);
}

static void pause_over(struct io_timer *t)
{
    struct watch *w = container_of(t, struct watch, timer);

    io_complete(w->node_of->io, &w->flow.op, 0);
}

static void pause_watch(struct watch *w)
{
    struct io *io = w->node_of->io;

    io_timer_set(io, &w->timer, io_now_ns(io) + (PAUSE_MS << (w->tries - 1)) * INT64_C(1000000), pause_over);
}

/* No answer, a host that cannot be reached: that may be the way there. */
static bool is_refusal(int64_t result)
{
#ifdef MUTANT_NODE_GONE_BY_SILENCE
    return result < 0;
#endif
    return result == -ECONNREFUSED;
}

static void tell_gone(struct watch *w)
{
    struct node *n = w->node_of;

    say(n->telemetry, LOG_WARN, "node",
        "broker %" PRId32 " is fenced: no heartbeat of it comes, and %s:%u refuses connections", w->id, w->address.host,
        w->address.port);
    controller_broker_gone(n->controller, w->id, w->epoch, io_now_ms(n->io));
    node_wind(n);
}

static void watch_run(struct flow *f)
{
    struct watch *w = container_of(f, struct watch, flow);

    FLOW_BEGIN(f);
    for (w->tries = 0; w->tries < TRIES_MAX && is_silent(w); w->tries++) {
        if (w->tries > 0)
            FLOW_WAIT(f, "wait for a heartbeat", pause_watch(w));
        if (!is_silent(w))
            break;
        FLOW_WAIT(f, "connect", try_connect(w));
        connect_ended(w);
        if (is_refusal(f->result) && is_silent(w)) {
            tell_gone(w);
            break;
        }
        if (f->result == 0)
            FLOW_WAIT(f, "close", io_socket_close(w->socket, &f->op));
    }
    FLOW_WAIT(f, "end", io_yield(w->node_of->io, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
}

static void watch_over(struct op *op, int64_t result)
{
    struct watch *w = container_of(op, struct watch, over);
    struct op *waiter = w->node_of->watches_over;

    list_remove(&w->node);
    if (waiter != NULL && list_empty(&w->node_of->watches)) {
        w->node_of->watches_over = NULL;
        io_complete(w->node_of->io, waiter, 0);
    }
    free(w);
}

const struct image_endpoint *gone_listens_at(const struct node *n, const struct image_broker *b)
{
    for (int32_t i = 0; i < b->endpoint_count; i++) {
        if (str_equal(b->endpoints[i].name, config_inter_broker_listener(n->options.settings)))
            return &b->endpoints[i];
    }
    return b->endpoint_count > 0 ? &b->endpoints[0] : NULL;
}

static bool is_watched(const struct node *n, int32_t id, int64_t epoch, int64_t heard_ms)
{
    LIST_EACH(it, &n->watches) {
        struct watch *w = container_of(it, struct watch, node);
        if (w->id == id && w->epoch == epoch) {
            w->heard_ms = heard_ms;
            w->tries = 0;
            return true;
        }
    }
    return false;
}

static void watch(struct node *n, int32_t id, int64_t epoch)
{
    int64_t heard_ms = controller_broker_heard_ms(n->controller, id, epoch);
    const struct image_endpoint *at;
    struct watch *w;

    if (heard_ms < 0 || is_watched(n, id, epoch, heard_ms))
        return;
    at = gone_listens_at(n, image_broker_find(controller_latest(n->controller), id));
    if (at == NULL || at->host.n >= IO_HOST_MAX)
        return;
    w = calloc(1, sizeof *w);
    ASSERT(w != NULL);
    *w = (struct watch){.node_of = n, .id = id, .epoch = epoch, .heard_ms = heard_ms, .address.port = at->port};
    memcpy(w->address.host, at->host.p, (size_t)at->host.n);
    list_add_tail(&n->watches, &w->node);
    op_init(&w->over, watch_over);
    flow_start(&w->flow, watch_run, &w->over);
}

void node_heartbeats_ended(struct node *n, int32_t broker_id, int64_t broker_epoch)
{
    if (n->controller != NULL && !n->closing && !n->failed)
        watch(n, broker_id, broker_epoch);
}

void gone_look(struct node *n)
{
    const struct image *i = controller_latest(n->controller);

    for (uint32_t k = 0; i != NULL && k < image_broker_count(i); k++) {
        const struct image_broker *b = image_broker_at(i, k);
        if (b->id != n->options.node_id)
            watch(n, b->id, b->epoch);
    }
}

void gone_stop(struct node *n, struct op *op)
{
    if (list_empty(&n->watches)) {
        io_yield(n->io, op);
        return;
    }
    n->watches_over = op;
    LIST_EACH(it, &n->watches) {
        struct watch *w = container_of(it, struct watch, node);
        w->stopped = true;
        if (w->connecting)
            io_cancel(n->io, &w->flow.op);
        else if (io_timer_is_set(&w->timer))
            io_complete(n->io, &w->flow.op, 0);
        io_timer_clear(&w->timer);
    }
}
