/* Questions about partitions: offsets by time and ends of epochs, asked of the leaders; committed offsets, asked of
 * the coordinator. Each partition is asked for until it is answered, or the deadline has come.
 *
 *   item  OPEN ─► ASKED ─► DONE
 *          ▲────────┘ not now: after a back-off */
#include "consumer/internal.h"

#include <stdlib.h>

#define NO_LEADER (-1)
#define COORDINATOR (-2)

static int by_place(const void *a, const void *b)
{
    return tp_compare(((const struct query_item *)a)->id, ((const struct query_item *)b)->id);
}

struct query *query_new(struct consumer *c, enum query_kind kind, uint32_t count, int64_t deadline_ns)
{
    struct query *q = calloc(1, sizeof *q);

    ASSERT(q != NULL);
    q->consumer = c;
    q->kind = kind;
    q->count = q->left = count;
    q->deadline_ns = deadline_ns;
    list_init(&q->sends);
    list_init(&q->answers);
    arena_init(&q->arena, 0);
    q->items = arena_take_array(&q->arena, count, sizeof *q->items);
    ASSERT(q->items != NULL);
    return q;
}

void query_begin(struct query *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        struct query_item *item = &q->items[i];
        item->id.topic = arena_str(&q->arena, item->id.topic);
        item->offset = item->timestamp_ms = -1;
        item->epoch = -1;
        item->metadata = STR_NULL;
        client_want(q->consumer->client, item->id.topic);
    }
    qsort(q->items, q->count, sizeof *q->items, by_place);
    list_add_tail(&q->consumer->queries, &q->node);
    consumer_poke(q->consumer);
}

struct query_item *query_item_find(struct query_send *s, struct consumer_partition id)
{
    struct query *q = s->query;
    struct query_item key = {.id = id};
    struct query_item *i = bsearch(&key, q->items, q->count, sizeof key, by_place);

    while (i != NULL && i > q->items && tp_compare(i[-1].id, id) == 0)
        i--;
    for (; i != NULL && i < q->items + q->count && tp_compare(i->id, id) == 0; i++) {
        if (i->send == s && i->state == ITEM_ASKED)
            return i;
    }
    return NULL;
}

void query_item_end(struct query *q, struct query_item *i)
{
    if (i->state == ITEM_DONE)
        return;
    i->state = ITEM_DONE;
    q->left--;
    if (q->call == NULL)
        position_found(q, i);
    consumer_poke(q->consumer);
}

void query_item_again(struct query *q, struct query_item *i)
{
    if (i->state == ITEM_DONE)
        return;
    i->state = ITEM_OPEN;
    i->retry_ns = consumer_after(q->consumer, ++i->attempt);
    consumer_poke(q->consumer);
}

/* ---- its end -------------------------------------------------------------------------------- */

static void tell(struct query *q)
{
    struct consumer_call *call = q->call;
    int64_t result = 0;

    for (uint32_t i = 0; i < q->count; i++) {
        const struct query_item *item = &q->items[i];
        struct consumer_offset *o = &call->offsets[item->place];
        o->error = item->error;
        if (item->error.code != KERR_NONE || item->error.trouble != 0) {
            call->error = item->error;
            result = -EIO;
            continue;
        }
        o->offset = item->offset;
        o->leader_epoch = item->epoch;
        if (q->kind == QUERY_TIMES)
            o->timestamp_ms = item->timestamp_ms;
        if (q->kind == QUERY_COMMITTED)
            o->metadata = item->metadata;
    }
    call->op.done(&call->op, q->end < 0 ? q->end : result);
}

void query_stop(struct query *q, int trouble)
{
    if (q->end == 0)
        q->end = trouble;
    LIST_EACH(n, &q->sends)
        client_cancel(&container_of(n, struct query_send, node)->call);
    consumer_poke(q->consumer);
}

static void time_is_up(struct query *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        struct query_item *item = &q->items[i];
        if (item->state == ITEM_DONE)
            continue;
        if (item->error.code == KERR_NONE && item->error.trouble == 0)
            error_trouble(&item->error, -ETIMEDOUT, CONSUMER_WAIT, "%.*s-%d: nobody has answered",
                          STR_ARG(item->id.topic), item->id.partition);
        query_item_end(q, item);
    }
    query_stop(q, -ETIMEDOUT);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* Those that the answer says nothing of, and all after trouble. */
static void ask_again(struct query_send *s)
{
    for (uint32_t i = 0; i < s->query->count; i++) {
        if (s->query->items[i].send != s)
            continue;
        s->query->items[i].send = NULL;
        if (s->query->items[i].state == ITEM_ASKED)
            query_item_again(s->query, &s->query->items[i]);
    }
}

static void send_done(struct op *op, int64_t result)
{
    struct query_send *s = container_of(op, struct query_send, call.op);
    struct query *q = s->query;

    list_remove(&s->node);
    if (result == 0)
        query_answered(s);
    else if (result == ERR_VERSION || result == -EACCES)
        query_refused(s, (int)result);
    else if (q->kind != QUERY_COMMITTED)
        client_refresh(q->consumer->client);
    ask_again(s);
    list_add_tail(&q->answers, &s->node); /* text of the answer is needed until the query's end */
    consumer_poke(q->consumer);
}

static void send_free(struct query_send *s)
{
    list_remove(&s->node);
    client_call_release(&s->call);
    arena_deinit(&s->arena);
    free(s);
}

static int32_t whom_to_ask(const struct query *q, const struct query_item *i)
{
    const struct client_topic *t;

    if (q->kind == QUERY_COMMITTED)
        return COORDINATOR;
    t = client_topic(q->consumer->client, i->id.topic);
    if (t == NULL || t->error != KERR_NONE || i->id.partition >= t->partition_count)
        return NO_LEADER;
    return t->partitions[i->id.partition].leader;
}

static void send_begin(struct query *q, int32_t whom)
{
    static const int16_t keys[] = {API_LIST_OFFSETS, API_OFFSET_FOR_LEADER_EPOCH, API_OFFSET_FETCH};
    struct consumer *c = q->consumer;
    struct query_send *s = calloc(1, sizeof *s);
    const struct query_item *last = NULL;
    int64_t now_ns = io_now_ns(c->io);

    ASSERT(s != NULL);
    s->query = q;
    arena_init(&s->arena, 0);
    for (uint32_t i = 0; i < q->count; i++) {
        struct query_item *item = &q->items[i];
        if (item->state != ITEM_OPEN || item->retry_ns > now_ns || whom_to_ask(q, item) != whom)
            continue;
        if (last != NULL && tp_compare(last->id, item->id) == 0)
            continue; /* brokers refuse a request that names a partition twice */
        item->state = ITEM_ASKED;
        item->send = s;
        last = item;
    }
    list_add_tail(&q->sends, &s->node);
    op_init(&s->call.op, send_done);
    s->call.api_key = keys[q->kind];
    s->call.timeout_ms = c->settings.client.request_timeout_ms;
    if (q->kind == QUERY_COMMITTED)
        s->call.target = (struct client_target){.kind = CLIENT_GROUP, .key = c->settings.group_id};
    else
        s->call.target = (struct client_target){.kind = CLIENT_NODE, .node_id = whom};
    s->call.prepare = query_fill;
    query_limit(s);
    client_send(c->client, &s->call);
}

/* Ask for what is open; what cannot be asked yet waits. */
static void advance(struct query *q)
{
    struct consumer *c = q->consumer;
    int64_t now_ns = io_now_ns(c->io);
    bool leaderless = false;

    for (uint32_t i = 0; i < q->count; i++) {
        struct query_item *item = &q->items[i];
        if (item->state != ITEM_OPEN)
            continue;
        if (q->call == NULL && part_of_run(c, item->id, item->run) == NULL) {
            query_item_end(q, item); /* nobody wants to know any more */
            continue;
        }
        if (item->retry_ns > now_ns) {
            consumer_wake_at(c, item->retry_ns);
            continue;
        }
        if (whom_to_ask(q, item) == NO_LEADER) {
            leaderless = item->leaderless = true;
            query_item_again(q, item);
        } else {
            send_begin(q, whom_to_ask(q, item));
        }
    }
    if (leaderless)
        client_refresh(c->client);
}

void query_metadata(struct consumer *c)
{
    LIST_EACH(it, &c->queries) {
        struct query *q = container_of(it, struct query, node);
        for (uint32_t i = 0; i < q->count; i++) {
            if (q->items[i].leaderless)
                q->items[i].retry_ns = 0;
            q->items[i].leaderless = false;
        }
    }
}

/* The caller's completion is last: text of the answers lives until it returns. */
static void query_free(struct query *q)
{
    struct consumer *c = q->consumer;

    list_remove(&q->node);
    for (uint32_t i = 0; i < q->count; i++)
        client_unwant(c->client, q->items[i].id.topic);
    if (q->call != NULL)
        tell(q);
    LIST_EACH(n, &q->answers)
        send_free(container_of(n, struct query_send, node));
    arena_deinit(&q->arena);
    free(q);
}

void query_pump(struct consumer *c)
{
    LIST_EACH(it, &c->queries) {
        struct query *q = container_of(it, struct query, node);
        if (q->end == 0 && io_now_ns(c->io) >= q->deadline_ns)
            time_is_up(q);
        if (q->end == 0)
            advance(q);
        if ((q->left == 0 || q->end < 0) && list_empty(&q->sends))
            query_free(q);
        else if (q->deadline_ns != NEVER_NS)
            consumer_wake_at(c, q->deadline_ns);
    }
}
