/* Batches become Produce requests: one per node and time, with a batch of each partition that may send one. */
#include <stdlib.h>

#include "producer/sender.h"

/* ---- filling ------------------------------------------------------------------------------------------ */

static struct produce_call *request_new(struct producer *p, struct producer_node *node)
{
    struct produce_call *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->producer = p;
    c->node = node;
    c->deadline_ms = INT64_MAX;
    c->number = ++p->last_call;
    arena_init(&c->arena, 0);
    return c;
}

void produce_call_free(struct produce_call *c)
{
    client_call_release(&c->call);
    arena_deinit(&c->arena);
    free(c->batches);
    free(c);
}

/* Room for one more batch in the node's request that is being filled. */
static struct produce_call *request_for(struct producer *p, struct producer_node *node)
{
    struct produce_call *c = node->filling;
    struct producer_batch **more;

    if (c == NULL) {
        c = request_new(p, node);
        if (c == NULL)
            return NULL;
        node->filling = c;
    }
    if (c->count == c->capacity) {
        more = realloc(c->batches, (c->capacity * 2 + 4) * sizeof *more);
        if (more == NULL)
            return NULL;
        c->batches = more;
        c->capacity = c->capacity * 2 + 4;
    }
    return c;
}

/* The node takes a request now. */
static bool node_is_free(struct producer *p, const struct producer_node *node)
{
    int64_t throttled_until_ns = client_throttled_until_ns(p->client, node->id);

    if (throttled_until_ns > io_now_ns(p->io)) { /* batches go on filling meanwhile */
        producer_again_at(p, (throttled_until_ns + 999999) / 1000000);
        return false;
    }
    return node->calls < p->accumulator.settings.max_in_flight;
}

/* KIP-794: how long has something waited for it that could not be sent? */
static void note_waiting(struct producer *p, struct producer_node *node, int64_t now_ms)
{
    int64_t limit_ms = p->accumulator.settings.availability_timeout_ms;

    if (node->ready_since_ms == 0)
        node->ready_since_ms = now_ms;
    if (limit_ms == 0)
        return;
    node->stalled = now_ms - node->ready_since_ms >= limit_ms;
    if (!node->stalled)
        producer_again_at(p, node->ready_since_ms + limit_ms);
}

static bool has_something(const struct producer_partition *part, bool open_is_due)
{
    return part->queued > 0 || open_is_due || !list_empty(&part->lane.unacked);
}

/* Put the partition's next batch into its node's request. true: one was added. */
static bool fill_from(struct producer *p, struct producer_partition *part, int64_t now_ms)
{
    struct accumulator *a = &p->accumulator;
    struct producer_node *node = part->node;
    bool open_is_due = part->open != NULL && accumulator_is_due(a, part->open, now_ms);
    struct producer_batch *b;
    struct produce_call *c;

    if (part->open != NULL && !open_is_due)
        producer_again_at(p, part->open->created_ms + a->settings.linger_ms);
    if (!has_something(part, open_is_due))
        return false;
    if (node == NULL) {
        client_refresh(p->client);
        return false;
    }
    if (!node_is_free(p, node)) {
        note_waiting(p, node, now_ms);
        return false;
    }
    if (part->lane.retry_at_ms > now_ms)
        producer_again_at(p, part->lane.retry_at_ms);
    b = producer_lane_next(part, &p->identity.who, &p->rules, open_is_due, now_ms);
    if (producer_lane_is_done(part))
        producer_again_at(p, now_ms); /* given up just now: to be told of at once */
    if (b == NULL)
        return false;
    c = request_for(p, node);
    if (c == NULL) {
        producer_again_at(p, now_ms + 100); /* no memory: a little later */
        return false;
    }
    if (c->count > 0 && (part->filled == c->number || c->bytes + b->n > a->settings.max_request_size))
        return false;
    part->filled = c->number;
    if (b->fate.attempts > 0)
        p->batches_retried++;
    producer_lane_sent(part, b, &p->identity.who);
    c->batches[c->count++] = b;
    c->bytes += b->n;
    if (b->created_ms + p->rules.delivery_timeout_ms < c->deadline_ms)
        c->deadline_ms = b->created_ms + p->rules.delivery_timeout_ms;
    return true;
}

/* Each active partition once; those that were served go behind the others. */
static bool fill_once(struct producer *p, int64_t now_ms)
{
    struct list *active = &p->accumulator.active, *last = active->prev;
    bool any = false, at_end = list_empty(active);
    struct list *it = active->next;

    while (!at_end) {
        struct producer_partition *part = container_of(it, struct producer_partition, active);
        struct list *next = it->next;
        at_end = it == last;
        if (fill_from(p, part, now_ms)) {
            any = true;
            list_remove(it);
            list_add_tail(active, it);
        }
        it = next;
    }
    return any;
}

void produce_calls_fill(struct producer *p, int64_t now_ms, struct list *ready)
{
    while (fill_once(p, now_ms)) {
        for (uint32_t i = 0; i < p->node_count; i++) {
            struct producer_node *node = p->nodes[i];
            if (node->filling == NULL)
                continue;
            list_add_tail(ready, &node->filling->link);
            node->filling = NULL;
            node->calls++;
            node->ready_since_ms = 0;
            node->stalled = false;
        }
    }
}

/* ---- sending ------------------------------------------------------------------------------------------- */

/* Where each topic stands in the request, and how many partitions it has there. -> topics */
static int32_t count_topics(struct produce_call *c, struct produce_request_topic_data *topics)
{
    int32_t count = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        struct producer_topic *t = c->batches[i]->topic;
        if (t->call != c->number) {
            t->call = c->number;
            t->call_entry = (uint32_t)count;
            produce_request_topic_data_init(&topics[count]);
            topics[count].name = t->name;
            topics[count].topic_id = t->id;
            topics[count].partition_data_count = 0;
            if (uuid_is_zero(t->id))
                c->call.version_high = 12; /* 13 knows topics by id only */
            count++;
        }
        topics[t->call_entry].partition_data_count++;
    }
    return count;
}

/* Batches by topic, as they stand in the request. false without memory. */
static bool build_request(struct produce_call *c)
{
    struct produce_request_topic_data *topics = arena_take_array(&c->arena, c->count, sizeof *topics);
    struct produce_request_topic_data_partition_data *parts = arena_take_array(&c->arena, c->count, sizeof *parts);
    struct producer_batch **sorted = arena_take_array(&c->arena, c->count, sizeof *sorted);
    int32_t count, at = 0;

    if (topics == NULL || parts == NULL || sorted == NULL)
        return false;
    count = count_topics(c, topics);
    for (int32_t i = 0; i < count; i++) {
        topics[i].partition_data = parts + at;
        at += topics[i].partition_data_count;
        topics[i].partition_data_count = 0;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        struct producer_batch *b = c->batches[i];
        struct produce_request_topic_data *t = &topics[b->topic->call_entry];
        struct produce_request_topic_data_partition_data *part = &t->partition_data[t->partition_data_count++];
        produce_request_topic_data_partition_data_init(part);
        part->index = b->part->index;
        part->records = (struct bytes){batch_bytes(b), (int32_t)b->n};
        sorted[part - parts] = b;
    }
    memcpy(c->batches, sorted, c->count * sizeof *sorted);
    c->request.topic_data = topics;
    c->request.topic_data_count = count;
    return true;
}

static void request_send(struct producer *p, struct produce_call *c)
{
    const struct producer_settings *s = &p->accumulator.settings;

    for (uint32_t i = 0; i < c->count; i++)
        batch_seal(c->batches[i], c->batches[i]->topic->level, &p->scratch);
    produce_request_init(&c->request);
    c->request.acks = s->acks;
    c->request.timeout_ms = (int32_t)s->request_timeout_ms;
    c->call = (struct client_call){
        .target = {.kind = CLIENT_NODE, .node_id = c->node->id},
        .api_key = API_PRODUCE,
        .version_low = 3, /* the first with batches of magic 2 */
        .request = &c->request,
        .timeout_ms = s->request_timeout_ms,
        .no_answer = s->acks == 0,
    };
    op_init(&c->call.op, produce_answered);
    list_add_tail(&p->calls, &c->link);
    if (build_request(c))
        client_send(p->client, &c->call);
    else
        io_complete(p->io, &c->call.op, -ENOMEM);
}

void produce_calls_send(struct producer *p, struct list *ready)
{
    LIST_EACH(it, ready) {
        list_remove(it);
        request_send(p, container_of(it, struct produce_call, link));
    }
}

void produce_calls_note(struct producer *p, int64_t now_ms)
{
    LIST_EACH(it, &p->calls) {
        struct produce_call *c = container_of(it, struct produce_call, link);
        if (!c->left && client_call_has_left(&c->call)) {
            c->left = true;
            for (uint32_t i = 0; i < c->count; i++)
                c->batches[i]->fate.left = true;
        }
        if (!c->left && now_ms >= c->deadline_ms)
            client_cancel(&c->call);
    }
}

static bool has_moved(const struct produce_call *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->batches[i]->part->node != c->node)
            return true;
    }
    return false;
}

void produce_calls_cancel(struct producer *p, bool all)
{
    LIST_EACH(it, &p->calls) {
        struct produce_call *c = container_of(it, struct produce_call, link);
        if (all || (!client_call_has_left(&c->call) && has_moved(c)))
            client_cancel(&c->call);
    }
}
