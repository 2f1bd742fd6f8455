/* simulator/socket.c - sockets: receive, send, close. */
#include "simulator/internal.h"

#include <stdlib.h>

#define POISON 0xdb
#define SEGMENT_BYTES_MAX 65536u

struct socket *sim_socket_new(struct shard *shard, struct end *end)
{
    struct socket *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    s->base.io = &shard->io;
    s->end = end;
    end->socket = s;
    end->shard = shard;
    list_add_tail(&shard->life->sockets, &s->in_life);
    return s;
}

static void socket_free(struct socket *s)
{
    if (s->end != NULL)
        sim_end_detach(s->end);
    list_remove(&s->in_life);
    free(s);
}

void sim_life_free_sockets(struct life *life)
{
    LIST_EACH (it, &life->sockets) {
        struct socket *s = container_of(it, struct socket, in_life);
        s->end = NULL;
        socket_free(s);
    }
    LIST_EACH (it, &life->listeners) {
        list_remove(it);
        free(container_of(it, struct listener, in_life));
    }
}

static struct request *socket_request(struct io_socket *s, enum sim_kind kind, struct op *op,
                                      void (*run)(struct sim *sim, struct event *e))
{
    struct socket *socket = (struct socket *)s;
    struct request *r = sim_net_request(s->io, kind, op, run);

    ASSERT(!socket->closing);
    r->socket = socket;
    return r;
}

/* ---- receive ----------------------------------------------------------------------------- */

/* Take up to `n` arrived bytes. */
static uint32_t pipe_take(struct pipe *p, uint8_t *into, uint32_t n)
{
    uint32_t done = 0;

    while (done < n && p->first != p->coming) {
        struct segment *s = p->first;
        uint32_t part = s->n - s->taken < n - done ? s->n - s->taken : n - done;
        memcpy(into + done, s->bytes + s->taken, part);
        s->taken += part;
        done += part;
        if (s->taken < s->n)
            break;
        p->first = s->next;
        if (p->first == NULL)
            p->last = NULL;
        free(s);
    }
    p->arrived_bytes -= done;
    p->held_bytes -= done;
    return done;
}

/* Arrived bytes in one piece: the first segment as it is, or some of them joined. */
static struct segment *pipe_take_lend(struct sim *sim, struct pipe *p)
{
    struct segment *first = p->first;
    struct segment *joined;
    uint32_t n = p->arrived_bytes < SEGMENT_BYTES_MAX ? p->arrived_bytes : SEGMENT_BYTES_MAX;

    if (first->n - first->taken == p->arrived_bytes || sim_below(sim, 2) == 0) {
        p->arrived_bytes -= first->n - first->taken;
        p->held_bytes -= first->n - first->taken;
        p->first = first->next;
        if (p->first == NULL)
            p->last = NULL;
        return first;
    }
    joined = sim_segment_new(n);
    pipe_take(p, joined->bytes, n);
    return joined;
}

static void recv_bytes(struct request *r)
{
    struct sim *sim = r->event.shard->life->node->sim;
    struct end *e = r->socket->end;
    struct segment *lent = NULL;
    int64_t result;

    if (r->into != NULL) {
        uint32_t n = (uint32_t)(r->n < e->in.arrived_bytes ? r->n : e->in.arrived_bytes);
        if (sim_below(sim, 8) == 0)
            n = 1 + (uint32_t)sim_below(sim, n);
        result = pipe_take(&e->in, r->into, n);
    } else {
        lent = pipe_take_lend(sim, &e->in);
        result = lent->n - lent->taken;
        r->answer.lent = (struct bytes){lent->bytes + lent->taken, (int32_t)result};
    }
    sim_end_wake_sender(e);
    sim_request_done(r, result); /* the socket may be closing now */
    if (lent != NULL) {
        memset(lent->bytes, POISON, lent->n); /* what was not taken out is gone */
        free(lent);
    }
}

/* Something may have arrived. Not for a request that was aborted. */
void sim_recv_complete(struct request *r)
{
    struct end *e = r->socket->end;

    e->recv = NULL;
    if (e->in.arrived_bytes > 0)
        recv_bytes(r);
    else if (e->error != 0)
        sim_request_done(r, e->error);
    else if (e->fin_seen)
        sim_request_done(r, 0);
    else
        e->recv = r;
}

static void recv_run(struct sim *sim, struct event *event)
{
    struct request *r = container_of(event, struct request, event);

    if (!r->aborted) {
        sim_recv_complete(r);
        return;
    }
    if (r->socket->end != NULL)
        r->socket->end->recv = NULL;
    sim_request_done(r, r->result);
}

static void recv_start(struct request *r)
{
    struct end *e = r->socket->end;

    if (r->aborted)
        return;
    ASSERT(e->recv == NULL); /* one at a time */
    e->recv = r;
    if (e->in.arrived_bytes > 0 || e->error != 0 || e->fin_seen)
        sim_request_later(r, 500, 8000);
}

void sim_io_recv_lend(struct io_socket *s, struct bytes *out, struct op *op)
{
    struct request *r = socket_request(s, SIM_RECV, op, recv_run);

    sim_request_out(r, out, sizeof(*out));
    recv_start(r);
}

void sim_io_recv(struct io_socket *s, void *into, uint32_t n, struct op *op)
{
    struct request *r = socket_request(s, SIM_RECV, op, recv_run);

    memset(into, POISON, n < 64 ? n : 64);
    r->into = into;
    r->n = n;
    recv_start(r);
}

/* ---- send -------------------------------------------------------------------------------- */

static void send_done(struct request *r, int64_t result)
{
    const struct io_span *spans = r->pieces;

    for (uint32_t i = 0; i < r->count; i++) {
        if (spans[i].p == NULL && spans[i].file != NULL)
            ((struct file *)spans[i].file)->in_flight--;
    }
    if (r->socket->end != NULL)
        r->socket->end->send = NULL;
    sim_request_done(r, result);
}

/* The next `n` bytes of the span; -EIO when its file has fewer. */
static int send_copy_span(const struct request *r, const struct io_span *span, uint8_t *to, uint32_t n)
{
    if (span->p != NULL) {
        memcpy(to, span->p + r->piece_taken, n);
        return 0;
    }
    if (n == 0)
        return 0;
    if (io_is_withdrawn(span->file))
        return -ESTALE;
    return sim_file_read(((struct file *)span->file)->inode, span->position + r->piece_taken, to, n) < n ? -EIO : 0;
}

/* Copy the next `n` bytes of all spans; or trouble. */
static int send_copy(struct request *r, uint8_t *to, uint32_t n)
{
    const struct io_span *spans = r->pieces;

    for (uint32_t done = 0; done < n;) {
        const struct io_span *span = &spans[r->piece];
        uint32_t left = span->n - r->piece_taken;
        uint32_t part = left < n - done ? left : n - done;
        int failed = send_copy_span(r, span, to + done, part);
        if (failed < 0)
            return failed;
        done += part;
        r->piece_taken += part;
        if (r->piece_taken == span->n) {
            r->piece++;
            r->piece_taken = 0;
        }
    }
    return 0;
}

/* How much goes into the next segment; 0 = the window is full. */
static uint32_t send_size(struct sim *sim, const struct request *r, const struct pipe *p)
{
    uint64_t n = r->n - r->position;

    if (p->held_bytes >= p->window_bytes)
        return 0;
    if (n > p->window_bytes - p->held_bytes)
        n = p->window_bytes - p->held_bytes;
    if (n > SEGMENT_BYTES_MAX)
        n = SEGMENT_BYTES_MAX;
    if (sim_below(sim, 8) == 0) /* cut anywhere */
        n = 1 + sim_below(sim, n);
    return (uint32_t)n;
}

/* What lies in a file is nobody's to hear. */
static void overheard(struct sim *sim, const struct request *r)
{
    const struct io_span *first = r->pieces;
    struct end *e = r->socket->end;

    if (sim->heard != NULL && first->p != NULL)
        sim->heard(sim->heard_arg, e->node, sim_end_peer(e)->node, (struct bytes){first->p, (int32_t)first->n});
}

static int64_t send_segments(struct sim *sim, struct request *r)
{
    struct end *e = r->socket->end;
    struct sim_node *node = e->node;

    if (e->error != 0)
        return e->error;
    if (sim_chance(sim, sim->options.fail_ppm[SIM_SEND])) {
        node->counters.failed[SIM_SEND]++;
        sim_end_break(e, -ECONNRESET);
        return -ECONNRESET;
    }
    while (r->position < r->n) {
        uint32_t n = send_size(sim, r, &sim_end_peer(e)->in);
        struct segment *s;
        if (n == 0)
            return -EAGAIN;
        if (r->position == 0)
            overheard(sim, r);
        s = sim_segment_new(n);
        int failed = send_copy(r, s->bytes, n);
        if (failed < 0) {
            free(s);
            sim_end_break(e, failed);
            return failed;
        }
        r->position += n;
        sim_end_send(e, s);
    }
    return (int64_t)r->n;
}

static void send_run(struct sim *sim, struct event *event)
{
    struct request *r = container_of(event, struct request, event);
    int64_t result = r->result;

    if (!r->aborted)
        result = send_segments(sim, r);
    else if (r->socket->end != NULL && r->position > 0)
        sim_end_break(r->socket->end,
                      -ECANCELED); /* half of something: the rest would be nonsense */
    if (result != -EAGAIN)
        send_done(r, result);
}

void sim_io_send(struct io_socket *s, const struct io_span *spans, uint32_t count, struct op *op)
{
    struct request *r = socket_request(s, SIM_SEND, op, send_run);

    r->pieces = spans;
    r->count = count;
    for (uint32_t i = 0; i < count; i++) {
        r->n += spans[i].n;
        if (spans[i].p == NULL && spans[i].file != NULL)
            ((struct file *)spans[i].file)->in_flight++;
    }
    if (r->aborted)
        return;
    ASSERT(r->socket->end->send == NULL); /* one at a time */
    r->socket->end->send = r;
    sim_request_later(r, 1000, 20000);
}

/* ---- close ------------------------------------------------------------------------------- */

static void socket_close_run(struct sim *sim, struct event *event)
{
    struct request *r = container_of(event, struct request, event);
    struct socket *socket = r->socket;

    if (socket->end != NULL)
        sim_end_close(socket->end, false);
    socket_free(socket);
    sim_request_done(r, 0);
}

void sim_io_socket_close(struct io_socket *s, struct op *op)
{
    struct request *r = socket_request(s, SIM_SOCKET_CLOSE, op, socket_close_run);
    struct sim *sim = sim_of(s->io);
    struct end *e = r->socket->end;
    int64_t at = sim->now_ns + sim_delay(sim, 1000, 20000);

    r->socket->closing = true;
    if (r->aborted)
        return;
    if (e->recv != NULL) { /* what is in flight ends first */
        sim_request_abort(e->recv, -ECANCELED);
        sim_event_at(sim, &e->recv->event, at);
    }
    if (e->send != NULL) {
        sim_request_abort(e->send, -ECANCELED);
        sim_event_at(sim, &e->send->event, at);
    }
    sim_event_at(sim, &r->event, at);
}
