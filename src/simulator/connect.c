/* simulator/connect.c - listen, accept, connect. */
#include "simulator/internal.h"

#include <stdlib.h>
#include <stdio.h>

#define BACKLOG_MAX 128u
#define FIRST_PORT 32768
#define CONNECT_ATTEMPTS_MAX 6u /* 1 + 2 + 4 + ... seconds: about a minute */

struct request *sim_net_request(struct io *io, enum sim_kind kind, struct op *op,
                                void (*run)(struct sim *sim, struct event *e))
{
    struct request *r = sim_request_new(io, kind, op);

    r->event.run = run;
    if (shard_of(io)->life->dead)
        sim_request_end_life(r);
    return r;
}

/* ---- addresses --------------------------------------------------------------------------- */

static bool is_any(const char *host)
{
    return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "127.0.0.1") == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0;
}

/* The node that `from` reaches by `host`; NULL = unknown. `first`: of a name with several addresses. */
static struct sim_node *resolve(struct sim_node *from, const char *host, uint16_t first)
{
    struct sim *sim = from->sim;

    if (is_any(host) || is_loopback(host))
        return from;
    for (uint32_t i = 0; i < sim->node_count; i++) {
        if (strcmp(sim->nodes[i]->name, host) == 0 || strcmp(sim->nodes[i]->host, host) == 0)
            return sim->nodes[i];
    }
    if (sim->shared_name != NULL && strcmp(sim->shared_name, host) == 0)
        return sim->nodes[first % sim->node_count];
    return NULL;
}

void sim_share_name(struct sim *sim, const char *name)
{
    sim->shared_name = name;
}

static void address_set(struct io_address *a, const char *host, uint16_t port)
{
    snprintf(a->host, sizeof(a->host), "%s", host);
    a->port = port;
}

/* May one listener's connections go to the other? */
static bool hosts_overlap(const char *a, const char *b)
{
    return is_any(a) || is_any(b) || strcmp(a, b) == 0;
}

/* ---- listen ------------------------------------------------------------------------------ */

static bool port_is_free(struct sim_node *node, const char *host, uint16_t port, bool shared)
{
    LIST_EACH (it, &node->listeners) {
        struct listener *l = container_of(it, struct listener, in_node);
        if (l->address.port == port && hosts_overlap(l->address.host, host) &&
            !(shared && l->shared))
            return false;
    }
    return true;
}

static uint16_t port_next(struct sim_node *node)
{
    do
        node->next_port = node->next_port == UINT16_MAX ? FIRST_PORT : node->next_port + 1;
    while (!port_is_free(node, "", node->next_port, false));
    return node->next_port;
}

static int listen_bind(struct request *r)
{
    struct shard *shard = r->event.shard;
    struct sim_node *node = shard->life->node;
    struct sim_node *named = resolve(node, r->address.host, 0);
    struct listener *l;

    if (named == NULL)
        return -EHOSTUNREACH;
    if (named != node)
        return -EADDRNOTAVAIL;
    if (r->address.host[0] == '\0')
        address_set(&r->address, "0.0.0.0", r->address.port);
    else if (is_loopback(r->address.host))
        address_set(&r->address, "127.0.0.1", r->address.port);
    else if (!is_any(r->address.host))
        address_set(&r->address, node->host, r->address.port);
    if (r->address.port == 0)
        r->address.port = port_next(node);
    else if (!port_is_free(node, r->address.host, r->address.port, r->flags != 0))
        return -EADDRINUSE;
    l = calloc(1, sizeof(*l));
    ASSERT(l != NULL);
    l->base.io = &shard->io;
    l->node = node;
    l->address = r->address;
    l->shared = r->flags != 0;
    list_init(&l->backlog);
    list_add_tail(&node->listeners, &l->in_node);
    list_add_tail(&shard->life->listeners, &l->in_life);
    r->answer.listener = &l->base;
    return 0;
}

static void listen_run(struct sim *sim, struct event *event)
{
    struct request *r = container_of(event, struct request, event);
    int64_t result = r->aborted ? r->result : listen_bind(r);

    sim_request_done(r, result);
}

void sim_io_listen(struct io *io, const struct io_address *address,
                   const struct io_listen_options *options, struct io_listener **out,
                   struct io_address *bound, struct op *op)
{
    struct request *r = sim_net_request(io, SIM_LISTEN, op, listen_run);

    sim_request_out(r, out, sizeof(*out));
    r->address = *address;
    r->address_out = bound;
    r->flags = options->shared; /* sizes make no difference here */
    if (!r->aborted)
        sim_request_later(r, 5000, 50000);
}

/* Nothing reaches it any more; those that wait in it are reset. */
void sim_listener_unbind(struct listener *l)
{
    if (list_linked(&l->in_node))
        list_remove(&l->in_node);
    while (!list_empty(&l->backlog)) {
        struct end *e = LIST_FIRST(&l->backlog, struct end, in_backlog);
        sim_end_close(e, true);
        sim_end_detach(e);
    }
}

/* ---- accept ------------------------------------------------------------------------------ */

static void accept_wake(struct listener *l)
{
    if (l->accept != NULL && !list_empty(&l->backlog) && !event_is_set(&l->accept->event))
        sim_request_later(l->accept, 2000, 30000);
}

static void accept_next(struct request *r)
{
    struct listener *l = r->listener;
    struct shard *shard = r->event.shard;
    struct sim_node *node = shard->life->node;
    struct end *e;
    struct end *peer;

    if (list_empty(&l->backlog))
        return; /* it stays */
    if (sim_chance(node->sim, node->sim->options.fail_ppm[SIM_ACCEPT])) {
        node->counters.failed[SIM_ACCEPT]++;
        l->accept = NULL;
        sim_request_done(r, -EMFILE);
        return;
    }
    e = LIST_FIRST(&l->backlog, struct end, in_backlog);
    peer = sim_end_peer(e);
    list_remove(&e->in_backlog);
    l->backlog_count--;
    e->backlog = NULL;
    address_set(&r->address, e->connection->loopback ? "127.0.0.1" : peer->node->host, peer->port);
    r->answer.socket = &sim_socket_new(shard, e)->base;
    l->accept = NULL;
    sim_request_done(r, 0);
}

static void accept_run(struct sim *sim, struct event *event)
{
    struct request *r = container_of(event, struct request, event);

    if (!r->aborted) {
        accept_next(r);
        return;
    }
    r->listener->accept = NULL;
    sim_request_done(r, r->result);
}

void sim_io_accept(struct io_listener *listener, struct io_socket **out, struct io_address *peer,
                   struct op *op)
{
    struct listener *l = (struct listener *)listener;
    struct request *r = sim_net_request(listener->io, SIM_ACCEPT, op, accept_run);

    ASSERT(l->accept == NULL); /* one at a time */
    ASSERT(!l->closing);
    sim_request_out(r, out, sizeof(*out));
    r->listener = l;
    r->address_out = peer;
    l->accept = r;
    if (!r->aborted)
        accept_wake(l);
}

static void listener_close_run(struct sim *sim, struct event *event)
{
    struct request *r = container_of(event, struct request, event);
    struct listener *l = r->listener;

    sim_listener_unbind(l);
    list_remove(&l->in_life);
    free(l);
    sim_request_done(r, 0);
}

void sim_io_listener_close(struct io_listener *listener, struct op *op)
{
    struct listener *l = (struct listener *)listener;
    struct request *r = sim_net_request(listener->io, SIM_LISTENER_CLOSE, op, listener_close_run);
    struct sim *sim = sim_of(listener->io);
    int64_t at = sim->now_ns + sim_delay(sim, 1000, 20000);

    ASSERT(!l->closing);
    l->closing = true;
    r->listener = l;
    if (r->aborted)
        return;
    if (l->accept != NULL) {
        sim_request_abort(l->accept, -ECANCELED);
        sim_event_at(sim, &l->accept->event, at);
    }
    sim_event_at(sim, &r->event, at);
}

/* ---- connect ----------------------------------------------------------------------------- */

/* Of those that listen there, one by lot, as SO_REUSEPORT has it. */
static struct listener *listener_pick(struct sim_node *to, bool loopback, const char *host,
                                      uint16_t port)
{
    struct listener *picked = NULL;
    uint64_t seen = 0;

    LIST_EACH (it, &to->listeners) {
        struct listener *l = container_of(it, struct listener, in_node);
        const char *want = loopback && (is_loopback(host) || is_any(host)) ? "127.0.0.1" : to->host;
        if (l->address.port != port || !hosts_overlap(l->address.host, want))
            continue;
        if (sim_below(to->sim, ++seen) == 0)
            picked = l;
    }
    return picked;
}

static void connect_answer(struct request *r, int64_t result)
{
    struct sim_node *node = r->event.shard->life->node;

    r->applied = result < 0; /* a connection can still be abandoned until it is handed over */
    r->result = result;
    r->answered = true;
    sim_request_later(r, node->sim->latency_ns > 0 ? node->sim->latency_ns : 30000, 100000);
}

/* The first packet, or its answer, was lost: try again, later each time. */
static void connect_again(struct request *r)
{
    struct sim *sim = r->event.shard->life->node->sim;

    if (++r->n > CONNECT_ATTEMPTS_MAX) {
        connect_answer(r, -ETIMEDOUT);
        return;
    }
    sim_event_at(sim, &r->event, sim->now_ns + (1000000000ll << (r->n - 1)));
}

static void connect_reach(struct request *r, struct listener *l)
{
    struct sim_node *from = r->event.shard->life->node;
    struct connection *c = sim_connection_new(from->sim, from, l->node);
    struct end *accepted = &c->ends[1];

    c->ends[0].port = port_next(from);
    accepted->port = l->address.port;
    accepted->shard = shard_of(l->base.io);
    accepted->backlog = l;
    list_add_tail(&l->backlog, &accepted->in_backlog);
    l->backlog_count++;
    r->connected = sim_socket_new(r->event.shard, &c->ends[0]);
    accept_wake(l);
    connect_answer(r, 0);
}

static void connect_try(struct request *r)
{
    struct sim_node *from = r->event.shard->life->node;
    struct sim_node *to = resolve(from, r->address.host, r->address.first);
    struct listener *l;

    if (to == NULL) {
        connect_answer(r, -EHOSTUNREACH);
        return;
    }
    if (sim_chance(from->sim, from->sim->options.fail_ppm[SIM_CONNECT])) {
        from->counters.failed[SIM_CONNECT]++;
        connect_answer(r, sim_below(from->sim, 2) == 0 ? -ECONNREFUSED : -ETIMEDOUT);
        return;
    }
    if (sim_net_is_cut(from, to) || sim_net_is_cut(to, from) || to->state == NODE_OFF) {
        connect_again(r);
        return;
    }
    l = listener_pick(to, to == from, r->address.host, r->address.port);
    if (l == NULL)
        connect_answer(r, -ECONNREFUSED);
    else if (l->backlog_count >= BACKLOG_MAX)
        connect_again(r);
    else
        connect_reach(r, l);
}

static void connect_run(struct sim *sim, struct event *event)
{
    struct request *r = container_of(event, struct request, event);

    if (!r->aborted && !r->answered) {
        connect_try(r);
        return;
    }
    if (!r->aborted && r->result == 0)
        r->answer.socket = &r->connected->base;
    sim_request_done(r, r->result);
}

void sim_connect_abandon(struct request *r)
{
    struct socket *s = r->connected;

    r->connected = NULL;
    if (s == NULL)
        return;
    if (s->end != NULL) {
        sim_end_close(s->end, false);
        sim_end_detach(s->end);
    }
    list_remove(&s->in_life);
    free(s);
}

/* Names are canonical here, and buffers have no size. */
void sim_io_connect(struct io *io, const struct io_address *address, const struct io_connect_options *options,
                    struct io_socket **out, struct op *op)
{
    struct request *r = sim_net_request(io, SIM_CONNECT, op, connect_run);

    sim_request_out(r, out, sizeof(*out));
    r->address = *address;
    if (!r->aborted)
        sim_request_later(r, sim_of(io)->latency_ns > 0 ? sim_of(io)->latency_ns : 30000, 100000);
}
