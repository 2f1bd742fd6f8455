/* The consumer's calls, and the pump that carries out what they and the answers bring about. */
#include "consumer/membership.h"

#include <stdlib.h>

/* ---- the pump ------------------------------------------------------------------------------- */

static void pump(struct io_timer *t);

void consumer_wake_at(struct consumer *c, int64_t at_ns)
{
    if (at_ns >= c->wake_ns)
        return;
    c->wake_ns = at_ns;
    if (!c->pumping)
        io_timer_set(c->io, &c->timer, at_ns, pump);
}

void consumer_poke(struct consumer *c)
{
    consumer_wake_at(c, io_now_ns(c->io));
}

int64_t consumer_after(struct consumer *c, uint32_t attempt)
{
    int64_t now_ns = io_now_ns(c->io);

    if (c->drawn_ns != now_ns || c->drawn_attempt != attempt) {
        c->drawn_ns = now_ns;
        c->drawn_attempt = attempt;
        c->drawn_at_ns = now_ns + client_backoff_ms(c->client, attempt) * NS_PER_MS;
    }
    return c->drawn_at_ns;
}

void consumer_tell(struct consumer *c, struct consumer_event *e)
{
    if (!c->closing)
        c->hooks.event(c->hooks.ctx, e);
}

static void tell_error(struct part *p)
{
    struct consumer_event e = {
        .kind = CONSUMER_PARTITION_ERROR,
        .partitions = &p->id,
        .count = 1,
        .generation = -1,
        .until_ns = NEVER_NS,
        .error = p->error,
        .offset = p->error_offset,
    };

    p->tell_error = false;
    consumer_tell(p->consumer, &e);
}

/* An event may change what is assigned: then the rest is told in the next turn. */
static void tell_errors(struct consumer *c)
{
    LIST_EACH(it, &c->part_list) {
        struct part *p = container_of(it, struct part, node);
        if (p->tell_error) {
            tell_error(p);
            consumer_poke(c);
            return;
        }
    }
}

static void tell_ready(struct consumer *c)
{
    if (c->told_ready || list_empty(&c->full) || c->closing)
        return;
    c->told_ready = true;
    c->hooks.ready(c->hooks.ctx);
}

static void take_metadata(struct consumer *c)
{
    if (!c->metadata_changed)
        return;
    c->metadata_changed = false;
    position_metadata(c);
    query_metadata(c);
    membership_metadata(c);
}

static void pump(struct io_timer *t)
{
    struct consumer *c = container_of(t, struct consumer, timer);

    c->wake_ns = NEVER_NS;
    c->pumping = true;
    if (!c->closing) {
        take_metadata(c);
        position_pump(c);
    }
    membership_pump(c);
    commit_pump(c);
    query_pump(c);
    if (!c->closing)
        fetch_pump(c);
    tell_errors(c);
    tell_ready(c);
    c->pumping = false;
    if (c->wake_ns != NEVER_NS)
        io_timer_set(c->io, &c->timer, c->wake_ns, pump);
}

static void metadata_changed(struct client_watch *w)
{
    struct consumer *c = container_of(w, struct consumer, watch);

    c->metadata_changed = true;
    consumer_poke(c);
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool same_part(const struct map_node *n, const void *key)
{
    return tp_compare(container_of(n, struct part, by_name)->id, *(const struct consumer_partition *)key) == 0;
}

static void copy_settings(struct consumer *c, const struct consumer_settings *s)
{
    struct arena *a = &c->texts;

    arena_init(a, 0);
    c->settings = *s;
    c->settings.client.bootstrap_servers = arena_str(a, s->client.bootstrap_servers);
    c->settings.client.client_id = arena_str(a, s->client.client_id);
    c->settings.client.client_rack = arena_str(a, s->client.client_rack);
    c->settings.group_id = arena_str(a, s->group_id);
    c->settings.group_instance_id = arena_str(a, s->group_instance_id);
    for (uint32_t i = 0; i < s->assignor_count; i++)
        c->settings.assignors[i] = arena_str(a, s->assignors[i]);
}

struct consumer *consumer_new(struct io *io, struct telemetry *t, const struct consumer_settings *settings,
                              const struct consumer_hooks *hooks, struct fail *f)
{
    struct consumer *c = calloc(1, sizeof *c);

    ASSERT(c != NULL);
    copy_settings(c, settings);
    c->io = io;
    c->telemetry = t;
    c->hooks = *hooks;
    c->client = client_new(io, t, &c->settings.client, f);
    if (c->client == NULL) {
        arena_deinit(&c->texts);
        free(c);
        return NULL;
    }
    map_init(&c->parts, same_part);
    list_init(&c->part_list);
    list_init(&c->full);
    list_init(&c->nodes);
    list_init(&c->fetches);
    list_init(&c->chunks);
    list_init(&c->queries);
    list_init(&c->commits);
    c->wake_ns = NEVER_NS;
    c->doubt_generation = INT32_MIN;
    c->watch.changed = metadata_changed;
    client_watch(c->client, &c->watch);
    return c;
}

/* ---- records -------------------------------------------------------------------------------- */

struct consumer_chunk *consumer_take(struct consumer *c)
{
    struct part *p;
    struct chunk *k;

    while ((p = LIST_FIRST(&c->full, struct part, full)) != NULL) {
        k = chunk_cut(p);
        if (list_linked(&p->full)) { /* the others come first now */
            list_remove(&p->full);
            list_add_tail(&c->full, &p->full);
        }
        if (p->piece_bytes <= c->settings.max_partition_fetch_bytes / 2)
            consumer_poke(c);
        if (k != NULL)
            return &k->public;
    }
    c->told_ready = false;
    return NULL;
}

void consumer_tell_again(struct consumer *c)
{
    c->told_ready = false;
    consumer_poke(c);
}

/* ---- questions ------------------------------------------------------------------------------ */

static void ask(struct consumer *c, struct consumer_call *call, enum query_kind kind)
{
    int64_t timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : c->settings.default_api_timeout_ms;
    struct query *q = query_new(c, kind, call->count, io_now_ns(c->io) + timeout_ms * NS_PER_MS);

    call->consumer = c;
    q->call = call;
    for (uint32_t i = 0; i < call->count; i++)
        q->items[i] = (struct query_item){
            .id = call->offsets[i].partition,
            .what = call->offsets[i].timestamp_ms,
            .place = i,
        };
    query_begin(q);
    if (c->closing)
        query_stop(q, ERR_CLOSED);
    else if (kind == QUERY_COMMITTED && str_is_null(c->settings.group_id))
        query_stop(q, -EINVAL);
}

void consumer_committed(struct consumer *c, struct consumer_call *call)
{
    ask(c, call, QUERY_COMMITTED);
}

void consumer_offsets_for(struct consumer *c, struct consumer_call *call)
{
    ask(c, call, QUERY_TIMES);
}

void consumer_call_cancel(struct consumer_call *call)
{
    struct consumer *c = call->consumer;

    LIST_EACH(it, &c->queries) {
        struct query *q = container_of(it, struct query, node);
        if (q->call == call)
            query_stop(q, -ECANCELED);
    }
    LIST_EACH(it, &c->commits) {
        struct commit *m = container_of(it, struct commit, node);
        if (m->call == call)
            commit_stop(m, -ECANCELED);
    }
}
