/* simulator/shard.c - operations in flight, timers, messages, offloaded work. */
#include "simulator/internal.h"

#include <stdlib.h>

#define POISON 0xdb
#define AFTERLIFE_DELAY_NS 10000 /* always the same, so that operations end in order */

/* ---- requests ---------------------------------------------------------------------------- */

struct request *sim_request_new(struct io *io, enum sim_kind kind, struct op *op)
{
    struct shard *shard = shard_of(io);
    struct sim *sim = sim_of(io);
    struct request *r = sim->free_requests;

    ASSERT(!shard->life->forgotten);
    if (r != NULL) {
        sim->free_requests = r->next_free;
        memset(r, 0, offsetof(struct request, address));
    } else {
        r = calloc(1, sizeof(*r));
        ASSERT(r != NULL);
    }
    r->event.shard = shard;
    r->kind = kind;
    r->op = op;
    if (op != NULL)
        op->owner = r;
    list_add_tail(&shard->life->requests, &r->in_life);
    shard->life->request_count++;
    return r;
}

void sim_request_free(struct request *r)
{
    struct life *life = r->event.shard->life;
    struct sim *sim = life->node->sim;

    sim_event_stop(sim, &r->event);
    list_remove(&r->in_life);
    life->request_count--;
    r->next_free = sim->free_requests;
    sim->free_requests = r;
}

/* Until it completes, `out` holds what nobody can use: who looks too early finds out. */
void sim_request_out(struct request *r, void *out, uint32_t bytes)
{
    ASSERT(bytes <= sizeof(r->out_saved));
    r->out = out;
    r->out_bytes = bytes;
    memcpy(r->out_saved, out, bytes);
    memset(out, POISON, bytes);
}

void sim_request_path(struct request *r, const char *path, const char *path_to)
{
    size_t n = strlen(path) + 1;
    size_t n_to = path_to == NULL ? 0 : strlen(path_to) + 1;

    if (n + n_to > r->path_capacity) {
        r->path_capacity = (uint32_t)(n + n_to + 64);
        r->path = realloc(r->path, r->path_capacity);
        ASSERT(r->path != NULL);
    }
    memcpy(r->path, path, n);
    if (path_to != NULL)
        memcpy(r->path + n, path_to, n_to);
    r->path_to = r->path + n;
    r->has_path = true;
}

void sim_request_later(struct request *r, int64_t base_ns, int64_t spread_ns)
{
    struct sim *sim = r->event.shard->life->node->sim;

    sim_event_at(sim, &r->event, sim->now_ns + sim_delay(sim, base_ns, spread_ns));
}

void sim_request_abort(struct request *r, int64_t result)
{
    struct life *life = r->event.shard->life;
    struct sim *sim = life->node->sim;

    r->aborted = true;
    r->result = result;
    if (life->dead)
        sim_event_at(sim, &r->event, sim->now_ns + AFTERLIFE_DELAY_NS);
    else
        sim_request_later(r, 200, 3000);
}

void sim_request_done(struct request *r, int64_t result)
{
    struct shard *shard = r->event.shard;
    struct sim_node *node = shard->life->node;
    struct op *op = r->op;
    uint64_t number = r->file != NULL && r->file->inode != NULL ? r->file->inode->number : 0;

    if (r->out != NULL)
        memcpy(r->out, result >= 0 ? (void *)&r->answer : (void *)r->out_saved, r->out_bytes);
    if (r->address_out != NULL && result >= 0)
        *r->address_out = r->address;
    if (r->file != NULL)
        r->file->in_flight--;
    if (result >= 0)
        node->counters.done[r->kind]++;
    if (result >= 0 && r->kind == SIM_READ)
        node->counters.read_bytes += (uint64_t)result;
    sim_trace(node->sim, r->kind, node, shard->io.shard, result, r->has_path ? r->path : NULL,
              number);
    op->owner = NULL;
    sim_request_free(r);
    sim_enter(node->sim, shard);
    op->done(op, result);
}

static bool is_internal(enum sim_kind kind)
{
    return kind == SIM_COMPLETE || kind == SIM_OFFLOAD || kind == SIM_POST;
}

static bool is_closing(enum sim_kind kind)
{
    return kind == SIM_CLOSE || kind == SIM_SOCKET_CLOSE || kind == SIM_LISTENER_CLOSE;
}

/* Its process is dead: it ends without having an effect any more. */
void sim_request_end_life(struct request *r)
{
    if (!is_internal(r->kind))
        sim_request_abort(r, is_closing(r->kind) ? 0 : -ECANCELED);
}

void sim_io_cancel(struct io *io, struct op *op)
{
    struct request *r = op->owner;
    struct sim_node *node = shard_of(io)->life->node;

    if (r == NULL)
        return; /* it has completed */
    ASSERT(r->op == op);
    ASSERT(r->event.shard == shard_of(io));
    if (r->applied || r->aborted || is_closing(r->kind) || r->kind == SIM_COMPLETE)
        return;
    if (r->kind < SIM_LISTEN && sim_below(node->sim, 2) == 0)
        return; /* the disk has begun with it */
    node->counters.canceled++;
    if (r->kind == SIM_CONNECT)
        sim_connect_abandon(r);
    sim_request_abort(r, -ECANCELED);
}

/* ---- timers ------------------------------------------------------------------------------ */

/* What is due fires in a later turn, and time goes on meanwhile: a program that always has
 * something due must not stop the world's clock. */
void sim_io_timer_set(struct io *io, struct io_timer *t, int64_t at_ns)
{
    struct sim *sim = sim_of(io);
    int64_t world_ns = at_ns - shard_of(io)->life->clock_offset_ns;

    sim_io_timer_clear(io, t);
    if (at_ns < 0 || world_ns <= sim->now_ns)
        world_ns = sim->now_ns + 100 + (int64_t)sim_below(sim, 2000);
    heap_add(&sim->timers, &t->node, world_ns);
}

void sim_io_timer_clear(struct io *io, struct io_timer *t)
{
    if (io_timer_is_set(t))
        heap_remove(&sim_of(io)->timers, &t->node);
}

/* Take out the timers of a process; slow, and rare. */
void sim_shard_drop_timers(struct life *life)
{
    struct heap *h = &life->node->sim->timers;

    for (size_t i = h->count; i >= 1;) {
        struct heap_node *node = h->nodes[i];
        if (shard_of(container_of(node, struct io_timer, node)->io)->life != life) {
            i--;
            continue;
        }
        heap_remove(h, node); /* what takes its place comes from above, unseen, or from below */
        if (i > h->count)
            i = h->count;
    }
}

/* ---- completions, work, messages --------------------------------------------------------- */

static void complete_run(struct sim *sim, struct event *e)
{
    struct request *r = container_of(e, struct request, event);

    sim_request_done(r, r->result);
}

void sim_io_complete(struct io *io, struct op *op, int64_t result)
{
    struct request *r = sim_request_new(io, SIM_COMPLETE, op);

    r->event.run = complete_run;
    r->result = result;
    sim_request_later(r, 100, 2000);
}

static void offload_run(struct sim *sim, struct event *e)
{
    struct request *r = container_of(e, struct request, event);

    if (!r->applied && !r->aborted)
        r->work(r->into);
    sim_request_done(r, r->result);
}

/* The work is done at the start or at the end: a program must not touch its data in between. */
void sim_io_offload(struct io *io, void (*work)(void *arg), void *arg, struct op *op)
{
    struct request *r = sim_request_new(io, SIM_OFFLOAD, op);

    r->event.run = offload_run;
    r->work = work;
    r->into = arg;
    sim_request_later(r, 2000, 200000);
    if (sim_below(sim_of(io), 2) == 0) {
        work(arg);
        r->applied = true;
    }
}

static void post_run(struct sim *sim, struct event *e)
{
    struct request *r = container_of(e, struct request, event);
    struct shard *to = r->event.shard;
    struct list *first = list_take_head(&r->channel->messages);
    struct io_message *m = container_of(first, struct io_message, node);

    sim_trace(sim, SIM_POST, to->life->node, to->io.shard, 0, NULL, r->n);
    sim_request_free(r);
    m->run(&to->io, m);
}

void sim_io_post(struct io *from, uint32_t shard, struct io_message *m)
{
    struct shard *to = &shard_of(from)->life->shards[shard];
    struct request *r = sim_request_new(from, SIM_POST, NULL);
    struct channel *channel = &to->channels[from->shard];

    r->event.run = post_run;
    r->event.shard = to;
    r->channel = channel;
    r->n = from->shard + 1;                      /* for the trace */
    list_add_tail(&channel->messages, &m->node); /* each event delivers the first: in order */
    sim_request_later(r, 200, 10000);
}
