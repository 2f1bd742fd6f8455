/* Fetch sessions (KIP-227): a node is told what has changed since the request before.
 *
 *   id 0, epoch 0    a first request: everything; the answer may name a session
 *   id n, epoch e    in the session: what is new or different, and what is to be forgotten
 *   id n, epoch 0    close session n, and begin anew: after trouble nobody knows what the node has heard
 */
#include "consumer/internal.h"

#include <stdlib.h>

#include "protocol/fetch.h"

#define FIRST_VERSION_BY_ID 13

struct entry_key {
    struct consumer_partition id;
    struct uuid topic_id;
};

static bool same_entry(const struct map_node *n, const void *key)
{
    const struct entry *e = container_of(n, struct entry, node);
    const struct entry_key *k = key;

    if (e->id.partition != k->id.partition || !uuid_equal(e->topic_id, k->topic_id))
        return false;
    return !uuid_is_zero(k->topic_id) || str_equal(e->id.topic, k->id.topic);
}

static uint64_t hash_of(struct consumer_partition id, struct uuid topic_id)
{
    return uuid_is_zero(topic_id) ? tp_hash(id) : uuid_hash(topic_id) * 31 + (uint32_t)id.partition;
}

void fetch_session_init(struct fetch_session *s)
{
    map_init(&s->entries, same_entry);
}

static void entry_drop(struct fetch_session *s, struct entry *e)
{
    map_remove(&s->entries, &e->node);
    free(e);
}

void fetch_session_deinit(struct fetch_session *s)
{
    MAP_EACH(n, &s->entries)
        entry_drop(s, container_of(n, struct entry, node));
    map_deinit(&s->entries);
}

struct entry *fetch_entry_find(const struct fetch_session *s, struct consumer_partition id, struct uuid topic_id)
{
    struct entry_key key = {id, topic_id};
    struct map_node *n = map_find(&s->entries, hash_of(id, topic_id), &key);

    return n == NULL ? NULL : container_of(n, struct entry, node);
}

void fetch_session_break(struct fetch_session *s, bool node_forgot)
{
    s->epoch = 0;
    if (node_forgot)
        s->id = 0;
}

static struct entry *entry_get(struct fetch_session *s, const struct part *p)
{
    struct uuid topic_id = s->by_id ? p->topic_id : UUID_ZERO;
    struct entry *e = fetch_entry_find(s, p->id, topic_id);

    if (e != NULL)
        return e;
    e = calloc(1, sizeof *e + (size_t)p->id.topic.n);
    ASSERT(e != NULL);
    memcpy(e + 1, p->id.topic.p, (size_t)p->id.topic.n);
    e->id = (struct consumer_partition){{(const char *)(e + 1), p->id.topic.n}, p->id.partition};
    e->topic_id = topic_id;
    e->from = -1;
    map_add(&s->entries, &e->node, hash_of(e->id, e->topic_id));
    return e;
}

/* ---- a request ------------------------------------------------------------------------------ */

/* Note what the node is to know of the partition; true: it is to be told. */
static bool note(struct fetch_session *s, struct part *p)
{
    struct entry *e = entry_get(s, p);
    int32_t bytes_max = p->consumer->settings.max_partition_fetch_bytes;
    bool same = e->from == p->fetch_from && e->leader_epoch == p->leader_epoch && e->bytes_max == bytes_max;

    e->run = p->run;
    e->mark = s->mark;
    e->from = p->fetch_from;
    e->leader_epoch = p->leader_epoch;
    e->bytes_max = bytes_max;
    return s->epoch <= 0 || !same;
}

static void ask_for(struct fetch_request *q, struct fetch_request_topics_partitions *one, const struct part *p)
{
    struct fetch_request_topics *t = q->topics_count == 0 ? NULL : &q->topics[q->topics_count - 1];

    fetch_request_topics_partitions_init(one);
    one->partition = p->id.partition;
    one->fetch_offset = p->fetch_from;
    one->current_leader_epoch = p->leader_epoch;
    one->partition_max_bytes = p->consumer->settings.max_partition_fetch_bytes;
    if (t == NULL || !str_equal(t->topic, p->id.topic)) {
        t = &q->topics[q->topics_count++];
        fetch_request_topics_init(t);
        t->topic = p->id.topic;
        t->topic_id = p->topic_id;
        t->partitions = one;
    }
    t->partitions_count++;
}

static void ask_for_all(struct node *n, struct fetch *f, struct fetch_request *q)
{
    uint32_t count = 0;
    struct fetch_request_topics_partitions *ones;
    int64_t now_ns = io_now_ns(n->consumer->io);

    LIST_EACH(it, &n->parts)
        count++;
    ones = arena_take_array(&f->arena, count, sizeof *ones);
    q->topics = arena_take_array(&f->arena, count, sizeof *q->topics);
    ASSERT(ones != NULL && q->topics != NULL);
    LIST_EACH(it, &n->parts) {
        struct part *p = container_of(it, struct part, by_node);
        if (part_is_wanted(p, now_ns) && note(&n->session, p))
            ask_for(q, ones++, p);
    }
}

/* What the session has and nobody wants now. Its text must live until the request is encoded. */
static void forget_others(struct fetch_session *s, struct fetch *f, struct fetch_request *q)
{
    uint32_t count = 0;

    MAP_EACH(n, &s->entries)
        count += container_of(n, struct entry, node)->mark != s->mark;
    q->forgotten_topics_data = arena_take_array(&f->arena, count, sizeof *q->forgotten_topics_data);
    ASSERT(q->forgotten_topics_data != NULL);
    MAP_EACH(n, &s->entries) {
        struct entry *e = container_of(n, struct entry, node);
        if (e->mark == s->mark)
            continue;
        if (s->epoch > 0) {
            struct fetch_request_forgotten_topics_data *t =
                &q->forgotten_topics_data[q->forgotten_topics_data_count++];
            int32_t *partition = arena_take(&f->arena, sizeof *partition);
            ASSERT(partition != NULL);
            *partition = e->id.partition;
            fetch_request_forgotten_topics_data_init(t);
            t->topic = arena_str(&f->arena, e->id.topic);
            t->topic_id = e->topic_id;
            t->partitions = partition;
            t->partitions_count = 1;
        }
        entry_drop(s, e);
    }
}

void fetch_session_request(struct node *n, struct fetch *f, int16_t version)
{
    struct fetch_request *q = (struct fetch_request *)(uintptr_t)f->call.request;
    const struct consumer_settings *settings = &n->consumer->settings;
    struct fetch_session *s = &n->session;

    if (s->by_id != (version >= FIRST_VERSION_BY_ID)) {
        fetch_session_break(s, false);
        s->by_id = !s->by_id;
    }
    s->mark++;
    fetch_request_init(q);
    q->max_wait_ms = settings->fetch_max_wait_ms;
    q->min_bytes = settings->fetch_min_bytes;
    q->max_bytes = (int32_t)f->bytes_max;
    q->isolation_level = settings->read_committed;
    q->rack_id = settings->client.client_rack.n > 0 ? settings->client.client_rack : STR("");
    q->session_id = s->id;
    q->session_epoch = s->epoch;
    ask_for_all(n, f, q);
    forget_others(s, f, q);
}
