/* One Fetch per node at a time, within the memory that there may be. */
#include "consumer/internal.h"

#include <stdlib.h>

#include "protocol/fetch.h"

/* Not worth a request. */
#define FETCH_BYTES_MIN (16 << 10)
/* Versions that we understand: batches of magic 2 since 4. Where a topic's id is not known, by names. */
#define VERSION_LOW 4
#define VERSION_BY_NAME 12

/* ---- nodes ---------------------------------------------------------------------------------- */

struct node *node_get(struct consumer *c, int32_t id)
{
    struct node *n;

    LIST_EACH(it, &c->nodes) {
        n = container_of(it, struct node, list);
        if (n->id == id)
            return n;
    }
    n = calloc(1, sizeof *n);
    ASSERT(n != NULL);
    n->consumer = c;
    n->id = id;
    list_init(&n->parts);
    fetch_session_init(&n->session);
    list_add_tail(&c->nodes, &n->list);
    return n;
}

void nodes_free(struct consumer *c)
{
    LIST_EACH(it, &c->nodes) {
        struct node *n = container_of(it, struct node, list);
        list_remove(&n->list);
        fetch_session_deinit(&n->session);
        free(n);
    }
}

/* ---- a fetch -------------------------------------------------------------------------------- */

void fetch_unref(struct fetch *f)
{
    if (--f->refs > 0)
        return;
    if (f->consumer != NULL) {
        f->consumer->buffered_bytes -= f->bytes;
        list_remove(&f->list);
        consumer_poke(f->consumer); /* there is room again */
    }
    client_call_release(&f->call);
    arena_deinit(&f->arena);
    free(f);
}

bool part_is_wanted(const struct part *p, int64_t now_ns)
{
    return p->state == PART_READ && !p->paused && !p->leaving && p->retry_ns <= now_ns &&
           p->piece_bytes <= p->consumer->settings.max_partition_fetch_bytes / 2;
}

static void prepare(struct client_call *call)
{
    struct fetch *f = container_of(call, struct fetch, call);

    fetch_session_request(f->node, f, call->version);
}

static void fetch_done(struct op *op, int64_t result)
{
    struct fetch *f = container_of(op, struct fetch, call.op);

    fetch_answered(f, result);
    fetch_unref(f);
}

static bool has_nameless(const struct node *n)
{
    LIST_EACH(it, &n->parts) {
        if (uuid_is_zero(container_of(it, struct part, by_node)->topic_id))
            return true;
    }
    return false;
}

static void fetch_begin(struct node *n, int64_t bytes_max, uint32_t wanted)
{
    struct consumer *c = n->consumer;
    struct fetch *f = calloc(1, sizeof *f);
    struct fetch_request *q;

    ASSERT(f != NULL);
    f->refs = 1;
    f->consumer = c;
    f->node = n;
    f->wanted = wanted;
    f->bytes = f->bytes_max = bytes_max;
    c->buffered_bytes += bytes_max;
    list_add_tail(&c->fetches, &f->list);
    arena_init(&f->arena, 0);
    q = arena_take(&f->arena, sizeof *q);
    ASSERT(q != NULL);
    fetch_request_init(q);
    n->fetch = f;
    op_init(&f->call.op, fetch_done);
    f->call.target = (struct client_target){.kind = CLIENT_NODE, .node_id = n->id};
    f->call.api_key = API_FETCH;
    f->call.version_low = VERSION_LOW;
    f->call.version_high = has_nameless(n) ? VERSION_BY_NAME : 0;
    f->call.request = q;
    f->call.prepare = prepare;
    f->call.timeout_ms = c->settings.client.request_timeout_ms + c->settings.fetch_max_wait_ms;
    client_send(c->client, &f->call);
}

/* ---- when ----------------------------------------------------------------------------------- */

/* Where memory is short, what was fetched and nobody takes goes first. */
static void drop_paused(struct consumer *c)
{
    LIST_EACH(it, &c->part_list) {
        struct part *p = container_of(it, struct part, node);
        if (p->paused && !list_empty(&p->pieces))
            pieces_drop(p);
    }
}

/* Partitions of the node that want something; when some do later, the pump is told. */
static uint32_t wanted_of(struct node *n, int64_t now_ns)
{
    uint32_t wanted = 0;

    LIST_EACH(it, &n->parts) {
        struct part *p = container_of(it, struct part, by_node);
        if (part_is_wanted(p, now_ns))
            wanted++;
        else if (p->state == PART_READ && p->retry_ns > now_ns)
            consumer_wake_at(n->consumer, p->retry_ns);
    }
    return wanted;
}

static bool is_idle(struct node *n, int64_t now_ns, uint32_t *wanted)
{
    if (n->fetch != NULL || list_empty(&n->parts))
        return false;
    if (n->retry_ns > now_ns) {
        consumer_wake_at(n->consumer, n->retry_ns);
        return false;
    }
    *wanted = wanted_of(n, now_ns);
    return *wanted > 0;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void fetch_pump(struct consumer *c)
{
    int64_t now_ns = io_now_ns(c->io), room;
    uint32_t idle = 0, wanted;

    LIST_EACH(it, &c->nodes)
        idle += is_idle(container_of(it, struct node, list), now_ns, &wanted);
    if (idle == 0)
        return;
    if (c->settings.buffer_bytes - c->buffered_bytes < FETCH_BYTES_MIN)
        drop_paused(c);
    LIST_EACH(it, &c->nodes) {
        struct node *n = container_of(it, struct node, list);
        if (!is_idle(n, now_ns, &wanted))
            continue;
        room = (c->settings.buffer_bytes - c->buffered_bytes) / idle;
        idle--;
        if (room < FETCH_BYTES_MIN)
            continue; /* a release makes room, and pokes */
        fetch_begin(n, least(least(c->settings.fetch_max_bytes, room),
                             (int64_t)wanted * c->settings.max_partition_fetch_bytes), wanted);
    }
}
