/* The topics that are known, by name and by id. What answers change of them is in taking.c. */
#include "client/internal.h"

#include <stdlib.h>

static bool topic_has_name(const struct map_node *node, const void *key)
{
    return str_equal(container_of(node, const struct topic, by_name)->shown.name, *(const struct str *)key);
}

static bool topic_has_id(const struct map_node *node, const void *key)
{
    return uuid_equal(container_of(node, const struct topic, by_id)->shown.id, *(const struct uuid *)key);
}

void topics_init(struct client *c)
{
    map_init(&c->metadata.topics, topic_has_name);
    map_init(&c->metadata.topics_by_id, topic_has_id);
}

void topics_deinit(struct client *c)
{
    MAP_EACH (node, &c->metadata.topics)
        topic_drop(c, topic_of_node(node));
    map_deinit(&c->metadata.topics);
    map_deinit(&c->metadata.topics_by_id);
}

struct topic *topic_find(const struct client *c, struct str name)
{
    struct map_node *node = map_find(&c->metadata.topics, str_hash(name), &name);

    return node == NULL ? NULL : topic_of_node(node);
}

struct topic *topic_get(struct client *c, struct str name)
{
    struct topic *t = topic_find(c, name);

    if (t != NULL)
        return t;
    t = calloc(1, sizeof *t);
    ASSERT(t != NULL);
    t->shown.name = str_of(str_dup(name));
    t->unwanted_ns = io_now_ns(c->io);
    map_add(&c->metadata.topics, &t->by_name, str_hash(t->shown.name));
    return t;
}

void topic_set_id(struct client *c, struct topic *t, struct uuid id)
{
    struct map *ids = &c->metadata.topics_by_id;

    if (uuid_equal(t->shown.id, id))
        return;
    if (!uuid_is_zero(t->shown.id))
        map_remove(ids, &t->by_id);
    t->shown.id = UUID_ZERO;
    if (uuid_is_zero(id))
        return;
    struct map_node *other = map_find(ids, uuid_hash(id), &id);
    if (other != NULL) /* the same id under another name: what came last counts */
        topic_set_id(c, container_of(other, struct topic, by_id), UUID_ZERO);
    t->shown.id = id;
    map_add(ids, &t->by_id, uuid_hash(id));
}

void topic_drop(struct client *c, struct topic *t)
{
    topic_set_id(c, t, UUID_ZERO);
    map_remove(&c->metadata.topics, &t->by_name);
    free((char *)(uintptr_t)t->shown.name.p);
    free(t->partitions);
    free(t->epochs);
    free(t);
}

static const struct client_topic *shown(const struct topic *t)
{
    return t == NULL || t->shown.updated_ns == 0 ? NULL : &t->shown;
}

const struct client_topic *client_topic(const struct client *c, struct str name)
{
    return shown(topic_find(c, name));
}

const struct client_topic *client_topic_of_id(const struct client *c, struct uuid id)
{
    struct map_node *node = map_find(&c->metadata.topics_by_id, uuid_hash(id), &id);

    return node == NULL ? NULL : shown(container_of(node, struct topic, by_id));
}

const struct client_topic *client_topic_next(const struct client *c, const struct client_topic *before)
{
    const struct map *topics = &c->metadata.topics;
    const struct topic *last = before == NULL ? NULL : container_of(before, const struct topic, shown);
    struct map_node *node = last == NULL ? map_first(topics) : map_next(topics, &last->by_name);

    while (node != NULL && shown(topic_of_node(node)) == NULL)
        node = map_next(topics, node);
    return node == NULL ? NULL : &topic_of_node(node)->shown;
}
