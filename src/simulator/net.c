/* simulator/net.c - connections: bytes on their way, and what gets in their way.
 *
 *      end 0 ── program's socket           end 1 ── program's socket
 *        in  ◄── segments ── send of end 1   in  ◄── segments ── send of end 0
 *
 * A pipe keeps the order of its bytes (a connection never reorders or loses); different
 * connections overtake each other freely. What cannot get through sticks, is tried again when
 * something heals, and ends the connection when that takes too long. An end whose program has
 * gone answers with a reset; one whose machine has gone does not answer. */
#include "simulator/internal.h"

#include <stdlib.h>

#define TIMEOUT_NS_MIN 60000000000
#define WINDOW_BYTES_MIN 16384u
#define WINDOW_BYTES_MAX 524288u

struct end *sim_end_peer(struct end *e)
{
    return &e->connection->ends[e == &e->connection->ends[0]];
}

bool sim_net_is_cut(const struct sim_node *from, const struct sim_node *to)
{
    return (from->cut_to >> to->number & 1) != 0;
}

/* Nobody will ever look at this end again. */
static bool end_is_gone(const struct end *e)
{
    return e->socket == NULL && e->backlog == NULL;
}

/* ---- pipes ------------------------------------------------------------------------------- */

struct segment *sim_segment_new(uint32_t n)
{
    struct segment *s = malloc(sizeof(*s) + n);

    ASSERT(s != NULL);
    *s = (struct segment){.n = n};
    return s;
}

/* Drop what has not arrived, or everything. */
static void pipe_clear(struct sim *sim, struct pipe *p, bool arrived_too)
{
    struct segment **link = &p->first;
    struct segment *last = NULL;

    while (!arrived_too && *link != p->coming) {
        last = *link;
        link = &last->next;
    }
    for (struct segment *s = *link, *next; s != NULL; s = next) {
        next = s->next;
        p->held_bytes -= s->n - s->taken;
        free(s);
    }
    *link = NULL;
    p->last = last;
    p->coming = NULL;
    if (arrived_too)
        p->arrived_bytes = 0;
    sim_event_stop(sim, &p->arrive);
    if (list_linked(&p->stuck))
        list_remove(&p->stuck);
}

void sim_end_send(struct end *from, struct segment *s)
{
    struct connection *c = from->connection;
    struct sim *sim = from->node->sim;
    struct pipe *p = &sim_end_peer(from)->in;

    s->arrive_ns = sim->now_ns + sim_delay(sim, c->latency_ns, c->latency_ns / 2) + s->n;
    p->held_bytes += s->n;
    s->next = NULL;
    if (p->last == NULL)
        p->first = s;
    else
        p->last->next = s;
    p->last = s;
    if (p->coming != NULL)
        return;
    p->coming = s;
    if (!list_linked(&p->stuck))
        sim_event_at(sim, &p->arrive, s->arrive_ns);
}

static void wake(struct request *r)
{
    if (r != NULL && !event_is_set(&r->event))
        sim_request_later(r, 1000, 10000);
}

void sim_end_wake_sender(struct end *receiver)
{
    struct request *send = sim_end_peer(receiver)->send;

    if (send != NULL && receiver->in.held_bytes < receiver->in.window_bytes)
        wake(send);
}

/* ---- trouble ----------------------------------------------------------------------------- */

static void end_fail(struct end *e, int error)
{
    struct sim *sim = e->node->sim;

    sim_event_stop(sim, &e->trouble);
    if (e->error != 0 || !e->open)
        return;
    e->open = false;
    e->error = error;
    pipe_clear(sim, &e->in, false);
    wake(e->recv);
    wake(e->send);
}

/* A reset is under way to `e`. It is sent once: what eats it, eats it. */
static void end_reset_later(struct end *e)
{
    struct sim *sim = e->node->sim;

    if (!e->open)
        return;
    e->trouble_error = -ECONNRESET;
    sim_event_at(sim, &e->trouble,
                 sim->now_ns +
                     sim_delay(sim, e->connection->latency_ns, e->connection->latency_ns));
}

static void timeout_start(struct sim *sim, struct end *from)
{
    from->trouble_error = -ETIMEDOUT;
    sim_event_at(sim, &from->trouble,
                 sim->now_ns + TIMEOUT_NS_MIN + (int64_t)sim_below(sim, TIMEOUT_NS_MIN));
}

static void trouble_run(struct sim *sim, struct event *event)
{
    struct end *e = container_of(event, struct end, trouble);

    if (e->trouble_error == -ECONNRESET && sim_net_is_cut(sim_end_peer(e)->node, e->node)) {
        if (list_linked(&sim_end_peer(e)->in.stuck))
            timeout_start(sim, e);
        return;
    }
    sim_trace(sim, SIM_TROUBLE, e->node, e->shard->io.shard, e->trouble_error, NULL, e->port);
    end_fail(e, e->trouble_error);
}

void sim_end_break(struct end *e, int error)
{
    end_reset_later(sim_end_peer(e));
    end_fail(e, error);
}

/* ---- arrival ----------------------------------------------------------------------------- */

static void pipe_stick(struct sim *sim, struct end *e)
{
    struct end *from = sim_end_peer(e);

    list_add_tail(&sim->stuck, &e->in.stuck);
    if (from->open && !event_is_set(&from->trouble))
        timeout_start(sim, from);
}

static void pipe_take_arrived(struct sim *sim, struct end *e)
{
    struct pipe *p = &e->in;

    while (p->coming != NULL && p->coming->arrive_ns <= sim->now_ns) {
        p->arrived_bytes += p->coming->n;
        e->fin_seen = e->fin_seen || p->coming->fin;
        p->coming = p->coming->next;
    }
    if (p->coming != NULL)
        sim_event_at(sim, &p->arrive, p->coming->arrive_ns);
}

static void arrive_run(struct sim *sim, struct event *event)
{
    struct pipe *p = container_of(event, struct pipe, arrive);
    struct end *e = container_of(p, struct end, in);
    struct sim_node *from = sim_end_peer(e)->node;
    struct request *r;
    uint32_t before = p->arrived_bytes;

    if (sim_net_is_cut(from, e->node) || e->node->state == NODE_OFF) {
        pipe_stick(sim, e);
        return;
    }
    if (!e->open) { /* its program has closed it, or its machine does not know it any more */
        bool data = p->coming->n > 0;
        sim_trace(sim, SIM_ARRIVE, e->node, 0, -ECONNRESET, NULL, e->port);
        pipe_clear(sim, p, false);
        if (data || e->silent)
            end_reset_later(sim_end_peer(e));
        return;
    }
    pipe_take_arrived(sim, e);
    sim_trace(sim, SIM_ARRIVE, e->node, e->shard->io.shard, p->arrived_bytes - before, NULL,
              e->port);
    r = e->recv;
    if (r == NULL || event_is_set(&r->event))
        return;
    if (e->shard->busy_until_ns > sim->now_ns)
        wake(r);
    else
        sim_recv_complete(r);
}

void sim_pipes_retry(struct sim *sim)
{
    while (!list_empty(&sim->stuck)) {
        struct pipe *p = LIST_FIRST(&sim->stuck, struct pipe, stuck);
        struct end *from = sim_end_peer(container_of(p, struct end, in));
        list_remove(&p->stuck);
        if (event_is_set(&from->trouble) && from->trouble_error == -ETIMEDOUT)
            sim_event_stop(sim, &from->trouble);
        if (p->coming != NULL) /* the sender tries again, more and more seldom */
            sim_event_at(sim, &p->arrive, sim->now_ns + sim_delay(sim, 1000000, 1000000000));
    }
}

/* ---- connections ------------------------------------------------------------------------- */

static void end_init(struct sim *sim, struct connection *c, struct end *e, struct sim_node *node)
{
    e->connection = c;
    e->node = node;
    e->open = true;
    e->in.arrive.run = arrive_run;
    e->in.window_bytes = WINDOW_BYTES_MIN + sim_below(sim, WINDOW_BYTES_MAX - WINDOW_BYTES_MIN + 1);
    e->trouble.run = trouble_run;
    list_add_tail(&node->ends, &e->in_node);
}

static int64_t good_latency(struct sim *sim)
{
    return 50000 + (int64_t)sim_below(sim, 450000);
}

static void latency_draw(struct sim *sim, struct connection *c)
{
    if (c->loopback)
        c->latency_ns = 5000 + (int64_t)sim_below(sim, 25000);
    else if (sim->latency_ns > 0)
        c->latency_ns = sim->latency_ns;
    else if (sim->options.outlier_ppm > 0 && !sim->calm && sim_below(sim, 8) == 0)
        c->bad_line = true;
    else
        c->latency_ns = good_latency(sim);
    if (c->bad_line)
        c->latency_ns = 1000000 + (int64_t)sim_below(sim, 50000000);
}

void sim_lines_calm(struct sim *sim)
{
    LIST_EACH (it, &sim->connections) {
        struct connection *c = container_of(it, struct connection, all);
        if (!c->bad_line)
            continue;
        c->bad_line = false;
        c->latency_ns = good_latency(sim);
    }
}

struct connection *sim_connection_new(struct sim *sim, struct sim_node *from, struct sim_node *to)
{
    struct connection *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    c->loopback = from == to;
    latency_draw(sim, c);
    list_add_tail(&sim->connections, &c->all);
    end_init(sim, c, &c->ends[0], from);
    end_init(sim, c, &c->ends[1], to);
    return c;
}

void sim_connection_free(struct connection *c)
{
    struct sim *sim = c->ends[0].node->sim;

    for (int i = 0; i < 2; i++) {
        pipe_clear(sim, &c->ends[i].in, true);
        sim_event_stop(sim, &c->ends[i].trouble);
        if (list_linked(&c->ends[i].in_node))
            list_remove(&c->ends[i].in_node);
    }
    list_remove(&c->all);
    free(c);
}

void sim_end_close(struct end *e, bool reset)
{
    struct sim *sim = e->node->sim;
    struct segment *fin;

    if (!e->open)
        return;
    e->open = false;
    sim_event_stop(sim, &e->trouble);
    if (reset || e->in.arrived_bytes > 0) { /* closing with unread data is a reset */
        end_reset_later(sim_end_peer(e));
        return;
    }
    fin = sim_segment_new(0);
    fin->fin = true;
    sim_end_send(e, fin);
}

void sim_end_detach(struct end *e)
{
    if (e->socket != NULL)
        e->socket->end = NULL;
    e->socket = NULL;
    if (e->backlog != NULL) {
        list_remove(&e->in_backlog);
        e->backlog->backlog_count--;
        e->backlog = NULL;
    }
    e->recv = NULL;
    e->send = NULL;
    if (list_linked(&e->in_node))
        list_remove(&e->in_node);
    if (end_is_gone(sim_end_peer(e)))
        sim_connection_free(e->connection);
}

/* ---- what happens to a node's connections ------------------------------------------------ */

static void end_lose_power(struct sim *sim, struct end *e)
{
    e->silent = true;
    e->open = false;
    sim_event_stop(sim, &e->trouble);
    if (sim_below(sim, 2) == 0) /* what had not left the machine */
        pipe_clear(sim, &sim_end_peer(e)->in, false);
}

void sim_node_net_down(struct sim_node *node, bool power)
{
    LIST_EACH (it, &node->ends) {
        struct end *e = container_of(it, struct end, in_node);
        if (power)
            end_lose_power(node->sim, e);
        else
            sim_end_close(e, e->backlog != NULL || sim_below(node->sim, 8) == 0);
    }
    while (!list_empty(&node->ends))
        sim_end_detach(LIST_FIRST(&node->ends, struct end, in_node));
    while (!list_empty(&node->listeners))
        sim_listener_unbind(LIST_FIRST(&node->listeners, struct listener, in_node));
}

void sim_net_cut(struct sim_node *from, struct sim_node *to)
{
    sim_trace(from->sim, SIM_CUT, from, 0, to->number, NULL, 0);
    from->cut_to |= 1ull << to->number;
}

void sim_net_heal(struct sim_node *from, struct sim_node *to)
{
    sim_trace(from->sim, SIM_HEAL, from, 0, to->number, NULL, 0);
    from->cut_to &= ~(1ull << to->number);
    sim_pipes_retry(from->sim);
}

void sim_net_heal_all(struct sim *sim)
{
    sim_trace(sim, SIM_HEAL, NULL, 0, 0, NULL, 0);
    for (uint32_t i = 0; i < sim->node_count; i++)
        sim->nodes[i]->cut_to = 0;
    sim_pipes_retry(sim);
}

void sim_net_reset(struct sim_node *a, struct sim_node *b)
{
    LIST_EACH (it, &a->ends) {
        struct end *e = container_of(it, struct end, in_node);
        if (sim_end_peer(e)->node != b)
            continue;
        end_fail(sim_end_peer(e), -ECONNRESET);
        end_fail(e, -ECONNRESET);
    }
}

void sim_net_latency(struct sim *sim, int64_t latency_ns)
{
    sim->latency_ns = latency_ns;
}

void sim_net_overhear(struct sim *sim, sim_heard heard, void *arg)
{
    sim->heard = heard;
    sim->heard_arg = arg;
}
