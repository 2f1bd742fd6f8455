/* Committed offsets: group → topic → partition, and what open transactions want to change there.
 *
 * A transaction's offsets are applied when its marker comes, behind records that were written after
 * them; the youngest record wins, as it does for Kafka. So each partition knows where its youngest
 * stands. */
#include "group/internal.h"

#include <stdlib.h>

static bool partition_equal(const struct map_node *node, const void *key)
{
    return container_of(node, const struct committed, node)->partition == *(const int32_t *)key;
}

bool producer_equal(const struct map_node *node, const void *key)
{
    return container_of(node, const struct pending_producer, node)->producer_id ==
           *(const int64_t *)key;
}

static struct offset_topic *topic_find(const struct group *g, struct str name)
{
    struct map_node *node = map_find(&g->topics, str_hash(name), &name);

    return node == NULL ? NULL : container_of(node, struct offset_topic, node);
}

struct committed *slot_find(const struct group *g, struct str topic, int32_t partition)
{
    const struct offset_topic *t = topic_find(g, topic);
    struct map_node *node =
        t == NULL ? NULL : map_find(&t->partitions, (uint64_t)(uint32_t)partition, &partition);

    return node == NULL ? NULL : container_of(node, struct committed, node);
}

struct committed *offset_find(const struct group *g, struct str topic, int32_t partition)
{
    struct committed *c = slot_find(g, topic, partition);

    return c != NULL && c->present ? c : NULL;
}

static struct committed *slot_get(struct group *g, struct str topic, int32_t partition)
{
    struct committed *c = slot_find(g, topic, partition);
    struct offset_topic *t = topic_find(g, topic);

    if (c != NULL)
        return c;
    if (t == NULL) {
        t = calloc(1, sizeof(*t));
        ASSERT(t != NULL);
        t->group = g;
        t->name = own_str(topic);
        map_init(&t->partitions, partition_equal);
        map_add(&g->topics, &t->node, str_hash(topic));
    }
    c = calloc(1, sizeof(*c));
    ASSERT(c != NULL);
    c->topic = t;
    c->partition = partition;
    c->written_at = -1;
    c->metadata = STR_NULL;
    list_init(&c->pending);
    map_add(&t->partitions, &c->node, (uint64_t)(uint32_t)partition);
    return c;
}

/* Nothing is committed and nothing is pending: nothing is left to know. */
static void slot_tidy(struct committed *c)
{
    struct offset_topic *t = c->topic;

    if (c->present || !list_empty(&c->pending))
        return;
    map_remove(&t->partitions, &c->node);
    free_str(&c->metadata);
    free(c);
    if (t->partitions.count > 0)
        return;
    map_remove(&t->group->topics, &t->node);
    map_deinit(&t->partitions);
    free_str(&t->name);
    free(t);
}

/* ---- records -------------------------------------------------------------------------------- */

static void offset_remove(struct group_partition *p, struct committed *c)
{
    c->present = false;
    c->written_at = p->coordinator.offset;
    LIST_EACH (it, &c->pending) {
        struct pending_offset *o = container_of(it, struct pending_offset, in_offset);

        if (!o->withdrawn)
            c->topic->group->pending_offsets--;
        o->withdrawn = true;
    }
    slot_tidy(c);
}

void offset_apply(struct group_partition *p, const struct offset_commit_key *key,
                  const struct offset_commit_value *value)
{
    struct group *g = value == NULL ? group_find(p, key->group) : group_get(p, key->group);
    struct committed *c;
    struct str metadata;

    if (value == NULL) {
        c = g == NULL ? NULL : slot_find(g, key->topic, key->partition);
        if (c != NULL)
            offset_remove(p, c);
        return;
    }
    c = slot_get(g, key->topic, key->partition);
    if (p->coordinator.offset < c->written_at)
        return;
    metadata = own_str(value->metadata);
    free_str(&c->metadata);
    c->metadata = metadata;
    c->present = true;
    c->written_at = p->coordinator.offset;
    c->offset = value->offset;
    c->leader_epoch = value->leader_epoch;
    c->commit_ms = value->commit_timestamp;
    c->expire_ms = value->expire_timestamp;
    c->topic_id = value->topic_id;
}

/* ---- open transactions ---------------------------------------------------------------------- */

static uint64_t producer_hash(int64_t producer_id)
{
    return (uint64_t)producer_id * 0x9e3779b97f4a7c15u;
}

static struct pending_producer *producer_get(struct group_partition *p, int64_t producer_id)
{
    struct map_node *node = map_find(&p->producers, producer_hash(producer_id), &producer_id);
    struct pending_producer *producer;

    if (node != NULL)
        return container_of(node, struct pending_producer, node);
    producer = calloc(1, sizeof(*producer));
    ASSERT(producer != NULL);
    producer->producer_id = producer_id;
    list_init(&producer->offsets);
    map_add(&p->producers, &producer->node, producer_hash(producer_id));
    return producer;
}

void offset_held(void *state, int64_t producer_id, struct bytes key, struct bytes value)
{
    struct group_partition *p = state;
    struct message_framed k;

    arena_reset(&p->record);
    if (value.n >= 0 && message_key_read(key, MESSAGE_GROUP_KEY, &p->record, &k) >= 0 &&
        k.message == &offset_commit_key_message) {
        const struct offset_commit_key *at = k.value;
        struct pending_offset *o = calloc(1, sizeof(*o));

        ASSERT(o != NULL);
        o->offset = slot_get(group_get(p, at->group), at->topic, at->partition);
        o->offset->topic->group->pending_offsets++;
        list_add_tail(&o->offset->pending, &o->in_offset);
        list_add_tail(&producer_get(p, producer_id)->offsets, &o->in_producer);
    }
}

static void pending_offset_free(struct pending_offset *o)
{
    if (!o->withdrawn)
        o->offset->topic->group->pending_offsets--;
    list_remove(&o->in_offset);
    list_remove(&o->in_producer);
    free(o);
}

static void producer_free(struct group_partition *p, struct pending_producer *producer)
{
    LIST_EACH (it, &producer->offsets) {
        struct pending_offset *o = container_of(it, struct pending_offset, in_producer);
        struct committed *c = o->offset;

        pending_offset_free(o);
        slot_tidy(c);
    }
    map_remove(&p->producers, &producer->node);
    free(producer);
}

void offset_decided(void *state, int64_t producer_id, bool commit)
{
    struct group_partition *p = state;
    struct map_node *node = map_find(&p->producers, producer_hash(producer_id), &producer_id);

    if (node != NULL)
        producer_free(p, container_of(node, struct pending_producer, node));
}

bool offset_is_unstable(const struct committed *c)
{
    LIST_EACH (it, &c->pending) {
        if (!container_of(it, struct pending_offset, in_offset)->withdrawn)
            return true;
    }
    return false;
}

/* ---- the end -------------------------------------------------------------------------------- */

void offsets_free_all(struct group_partition *p, struct group *g)
{
    MAP_EACH (topic, &g->topics) {
        struct offset_topic *t = container_of(topic, struct offset_topic, node);
        struct map_node *next;

        for (struct map_node *node = map_first(&t->partitions); node != NULL; node = next) {
            struct committed *c = container_of(node, struct committed, node);

            next = map_next(&t->partitions, node);
            LIST_EACH (it, &c->pending)
                pending_offset_free(container_of(it, struct pending_offset, in_offset));
            c->present = false;
            slot_tidy(c); /* with the last one goes the topic */
        }
    }
}

void producers_free_all(struct group_partition *p)
{
    MAP_EACH (node, &p->producers)
        producer_free(p, container_of(node, struct pending_producer, node));
}
