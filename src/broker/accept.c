/* Who is let in: listening sockets, and how many connections there may be, how fast they come.
 *
 *   accept ─► session_open ─► counted at home (connections.c) ─► read
 *      ▲                            └► more than its address may have ─► closed
 *      └── not while max.connections are open, nor faster than max.connection.creation.rate
 */
#include "broker/session.h"

/* ---- listeners ------------------------------------------------------------------------------- */

/* max.connections, shared equally by the shards. As in Kafka controllers' listeners count for themselves: however many
 * clients there are, the quorum can be reached. */
static bool is_full(const struct broker_listener *l)
{
    int64_t most = config_i64(l->shard->settings, BROKER_MAX_CONNECTIONS);
    uint32_t shards = l->shard->broker->shard_count;

    return l->shard->sessions_of[l->kind] >= (most + shards - 1) / shards;
}

/* max.connection.creation.rate, shared equally by the shards; a second's worth may come at once. How long the
 * next one has to wait; 0 = it may come. */
#define RATE_SPAN_NS INT64_C(1000000000)

static int64_t rate_wait_ns(const struct broker_listener *l)
{
    const struct broker_shard *shard = l->shard;

    if (config_i64(shard->settings, BROKER_MAX_CONNECTION_CREATION_RATE) == 0)
        return RATE_SPAN_NS; /* nobody; the setting may change */
    int64_t wait_ns = shard->accept_due_ns[l->kind] - io_now_ns(shard->io);
    return wait_ns > 0 ? wait_ns : 0;
}

/* One has come: the time at which all so far would have come one by one moves on. */
static void rate_note(const struct broker_listener *l)
{
    struct broker_shard *shard = l->shard;
    int64_t rate = config_i64(shard->settings, BROKER_MAX_CONNECTION_CREATION_RATE);
    int64_t from_ns = io_now_ns(shard->io) - RATE_SPAN_NS;

    if (rate == 0)
        return;
    if (from_ns < shard->accept_due_ns[l->kind])
        from_ns = shard->accept_due_ns[l->kind];
    shard->accept_due_ns[l->kind] = from_ns + RATE_SPAN_NS * shard->broker->shard_count / rate;
}

static void accept_more(struct broker_listener *l);

static void accept_later(struct io_timer *t)
{
    struct broker_listener *l = container_of(t, struct broker_listener, again);

    accept_more(l);
}

/* Out of descriptors or memory, accept fails again at once: wait a little. */
#define ACCEPT_AGAIN_MS 100

static void accept_done(struct op *op, int64_t result)
{
    struct broker_listener *l = container_of(op, struct broker_listener, op);

    l->accepting = false;
    if (result == 0) {
        rate_note(l);
        session_open(l);
    }
    if (l->closing)
        return;
    if (result < 0 && result != -ECONNABORTED) {
        say(l->shard->telemetry, LOG_WARN, "broker",
            "cannot accept a connection on %s:%u: %s; trying again in %d ms", l->bound->host,
            l->bound->port, error_text((int)result), ACCEPT_AGAIN_MS);
        io_timer_set(l->shard->io, &l->again,
                     io_now_ns(l->shard->io) + ACCEPT_AGAIN_MS * INT64_C(1000000), accept_later);
        return;
    }
    accept_more(l);
}

/* When there are too many connections, new ones wait in the kernel until one of the others ends. */
static void accept_more(struct broker_listener *l)
{
    int64_t wait_ns = rate_wait_ns(l);

    if (is_full(l)) {
        l->full = true;
        say(l->shard->telemetry, LOG_WARN, "broker",
            "%u connections are open, as many as max.connections allows: others have to wait",
            l->shard->sessions_of[l->kind]);
        return;
    }
    if (wait_ns > 0) {
        io_timer_set(l->shard->io, &l->again, io_now_ns(l->shard->io) + wait_ns, accept_later);
        return;
    }
    l->accepting = true;
    op_init(&l->op, accept_done);
    io_accept(l->socket, &l->accepted, &l->peer, &l->op);
}

/* What Kafka's defaults say of sockets is small for fast networks, and the system knows better: what is not set
 * is left to it. */
static int32_t size_when_set(const struct config *c, uint32_t id)
{
    int64_t n = config_i64(c, id);

    return config_source(c, id) == CONFIG_DEFAULT || n < 0 ? 0 : (int32_t)n;
}

struct io_listen_options listener_options(const struct broker *b)
{
    const struct config *c = b->options.settings;

    return (struct io_listen_options){
        .shared = b->shard_count > 1,
        .backlog = size_when_set(c, BROKER_SOCKET_LISTEN_BACKLOG_SIZE),
        .send_buffer_bytes = size_when_set(c, BROKER_SOCKET_SEND_BUFFER_BYTES),
        .receive_buffer_bytes = size_when_set(c, BROKER_SOCKET_RECEIVE_BUFFER_BYTES),
    };
}

void listener_open(struct broker_listener *l, const struct io_address *address,
                   struct io_address *bound, struct op *op)
{
    struct io_listen_options options = listener_options(l->shard->broker);

    io_listen(l->shard->io, address, &options, &l->socket, bound, op);
}

void listeners_accept(struct broker_shard *shard, uint8_t kind)
{
    LIST_EACH(it, &shard->listeners) {
        struct broker_listener *l = container_of(it, struct broker_listener, node);
        if (l->kind == kind && !l->closing)
            accept_more(l);
    }
}

void listeners_accept_again(struct broker_shard *shard)
{
    LIST_EACH(it, &shard->listeners) {
        struct broker_listener *l = container_of(it, struct broker_listener, node);
        if (!l->full || l->closing || is_full(l))
            continue;
        l->full = false;
        accept_more(l);
    }
}

static void listener_close_done(struct op *op, int64_t result)
{
    struct broker_listener *l = container_of(op, struct broker_listener, close);
    struct op *waiter = l->waiter;

    ASSERT(!l->accepting); /* io completes the accept before the close */
    waiter->done(waiter, 0);
}

void listener_close(struct broker_listener *l, struct op *op)
{
    l->closing = true;
    l->waiter = op;
    io_timer_clear(&l->again);
    op_init(&l->close, listener_close_done);
    io_listener_close(l->socket, &l->close);
}
