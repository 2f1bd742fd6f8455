/* movements.c - moves by topic, source and destination. */
#include "assignor/movements.h"

struct pair_key {
    int32_t topic, source, destination;
};

/* A topic's partitions that went from one member to another. */
struct movement_pair {
    struct map_node node;
    struct pair_key key;
    int32_t first, last; /* partitions, in the order in which they went */
    int32_t count, count_max;
};

static bool same_pair(const struct map_node *node, const void *key)
{
    const struct movement_pair *pair = container_of(node, struct movement_pair, node);

    return memcmp(&pair->key, key, sizeof(pair->key)) == 0;
}

static uint64_t hash_of(const struct pair_key *key)
{
    return str_hash((struct str){(const char *)key, sizeof(*key)});
}

int movements_init(struct movements *m, struct view *v)
{
    size_t partitions = (size_t)v->partition_count;

    *m = (struct movements){.v = v};
    map_init(&m->pairs, same_pair);
    m->source = arena_take_array(v->arena, partitions, sizeof(*m->source));
    m->next = arena_take_array(v->arena, partitions, sizeof(*m->next));
    if (m->source == NULL || m->next == NULL)
        return ERR_LIMIT;
    for (int32_t p = 0; p < v->partition_count; p++)
        m->source[p] = NOBODY;
    return 0;
}

void movements_deinit(struct movements *m)
{
    map_deinit(&m->pairs);
}

static struct movement_pair *find_pair(const struct movements *m, struct pair_key key)
{
    struct map_node *node = map_find(&m->pairs, hash_of(&key), &key);

    return node == NULL ? NULL : container_of(node, struct movement_pair, node);
}

/* Which partition of the pair a Java leader takes: the first of its HashSet. */
static int32_t first_of(const struct movements *m, const struct movement_pair *pair)
{
    const struct view_topic *t = &m->v->topics[pair->key.topic];
    uint32_t topic_hash = (uint32_t)str_java_hash(t->name), best = UINT32_MAX;
    int32_t found = pair->first;

    for (int32_t p = pair->first; p != NOBODY; p = m->next[p]) {
        uint32_t number = (uint32_t)(p - t->first);
        uint32_t hash = 31 * (31 + number) + topic_hash; /* as TopicPartition.hashCode */
        uint32_t slot = java_slot((int32_t)hash, pair->count_max);

        if (slot < best) {
            best = slot;
            found = p;
        }
    }
    return found;
}

int32_t movements_choose(const struct movements *m, int32_t partition, int32_t member)
{
    int32_t from = m->source[partition] != NOBODY ? m->source[partition] : m->v->owner[partition];
    struct pair_key back = {m->v->topic_of[partition], member, from};
    const struct movement_pair *pair = find_pair(m, back);

    return pair == NULL ? partition : first_of(m, pair);
}

static int add(struct movements *m, int32_t partition, struct pair_key key)
{
    struct movement_pair *pair = find_pair(m, key);

    if (pair == NULL) {
        pair = arena_take(m->v->arena, sizeof(*pair));
        if (pair == NULL)
            return ERR_LIMIT;
        *pair = (struct movement_pair){.key = key, .first = NOBODY, .last = NOBODY};
        map_add(&m->pairs, &pair->node, hash_of(&key));
    }
    if (pair->last == NOBODY)
        pair->first = partition;
    else
        m->next[pair->last] = partition;
    pair->last = partition;
    m->next[partition] = NOBODY;
    pair->count++;
    if (pair->count > pair->count_max)
        pair->count_max = pair->count;
    m->source[partition] = key.source;
    return 0;
}

static void remove_from(struct movements *m, int32_t partition, struct movement_pair *pair)
{
    int32_t before = NOBODY;

    for (int32_t p = pair->first; p != partition; p = m->next[p])
        before = p;
    if (before == NOBODY)
        pair->first = m->next[partition];
    else
        m->next[before] = m->next[partition];
    if (pair->last == partition)
        pair->last = before;
    if (--pair->count == 0)
        map_remove(&m->pairs, &pair->node);
    m->source[partition] = NOBODY;
}

int movements_move(struct movements *m, int32_t partition, int32_t member)
{
    int32_t topic = m->v->topic_of[partition], owner = m->v->owner[partition];
    int32_t source = m->source[partition];

    view_give(m->v, partition, member);
    if (source == NOBODY)
        return add(m, partition, (struct pair_key){topic, owner, member});
    remove_from(m, partition, find_pair(m, (struct pair_key){topic, source, owner}));
    if (source == member) /* back home */
        return 0;
    return add(m, partition, (struct pair_key){topic, source, member});
}
