/* What an image says. */
#include "image/internal.h"

static const struct topic_item *topic_item_of(const struct shared *s)
{
    return container_of(s, struct topic_item, shared);
}

/* ---- order of the sets -------------------------------------------------------------------------
 */

static int compare_i32(int32_t a, int32_t b)
{
    return (a > b) - (a < b);
}

int compare_topic_name(const void *key, const struct shared *item)
{
    return str_compare(*(const struct str *)key, topic_item_of(item)->topic.name);
}

int compare_topic_id(const void *key, const struct shared *item)
{
    return uuid_compare(*(const struct uuid *)key, topic_item_of(item)->topic.id);
}

int compare_broker(const void *key, const struct shared *item)
{
    return compare_i32(*(const int32_t *)key,
                       container_of(item, struct broker_item, shared)->broker.id);
}

int compare_controller(const void *key, const struct shared *item)
{
    return compare_i32(*(const int32_t *)key,
                       container_of(item, struct controller_item, shared)->controller.id);
}

int compare_feature(const void *key, const struct shared *item)
{
    return str_compare(*(const struct str *)key,
                       container_of(item, struct feature_item, shared)->feature.name);
}

int compare_config(const void *key, const struct shared *item)
{
    const struct config_key *a = key;
    const struct config_key *b = &container_of(item, struct config_item, shared)->key;
    int order = compare_i32(a->type, b->type);

    if (order == 0)
        order = str_compare(a->resource, b->resource);
    return order != 0 ? order : str_compare(a->name, b->name);
}

int compare_kept(const void *key, const struct shared *item)
{
    return str_compare(str_of_bytes(*(const struct bytes *)key),
                       str_of_bytes(container_of(item, struct kept_item, shared)->key));
}

/* ---- topics ------------------------------------------------------------------------------------
 */

static const struct image_topic *topic_or_null(const struct shared *s)
{
    return s == NULL ? NULL : &topic_item_of(s)->topic;
}

const struct image_topic *image_topic_find(const struct image *i, struct str name)
{
    return topic_or_null(sorted_find(&i->visible.topics, compare_topic_name, &name));
}

const struct image_topic *image_topic_by_id(const struct image *i, struct uuid id)
{
    return topic_or_null(sorted_find(&i->visible.topic_ids, compare_topic_id, &id));
}

const struct image_partition *image_partition_find(const struct image *i, struct uuid id,
                                                   int32_t partition)
{
    const struct image_topic *topic = image_topic_by_id(i, id);

    if (topic == NULL || partition < 0 || partition >= topic->partition_count)
        return NULL;
    if (topic->partitions[partition].replica_count == 0)
        return NULL;
    return &topic->partitions[partition];
}

uint32_t image_topic_count(const struct image *i)
{
    return sorted_count(&i->visible.topics);
}

const struct image_topic *image_topic_at(const struct image *i, uint32_t index)
{
    return topic_or_null(sorted_at(&i->visible.topics, index));
}

void image_topics_changed(const struct image *before, const struct image *after,
                          void (*each)(void *ctx, const struct image_topic *before,
                                       const struct image_topic *after),
                          void *ctx)
{
    uint32_t b = 0, a = 0;
    uint32_t before_count = image_topic_count(before), after_count = image_topic_count(after);

    if (before->visible.topics.root == after->visible.topics.root)
        return;
    while (b < before_count || a < after_count) {
        const struct image_topic *old = b < before_count ? image_topic_at(before, b) : NULL;
        const struct image_topic *new = a < after_count ? image_topic_at(after, a) : NULL;
        int order = old == NULL ? 1 : new == NULL ? -1 : str_compare(old->name, new->name);

        if (order == 0 && !uuid_equal(old->id, new->id)) { /* deleted, and made again */
            each(ctx, old, NULL);
            each(ctx, NULL, new);
        } else if (order != 0 || old != new) {
            each(ctx, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
        }
        b += order <= 0;
        a += order >= 0;
    }
}

/* ---- nodes -------------------------------------------------------------------------------------
 */

uint32_t image_broker_count(const struct image *i)
{
    return sorted_count(&i->visible.brokers);
}

const struct image_broker *image_broker_at(const struct image *i, uint32_t index)
{
    return &container_of(sorted_at(&i->visible.brokers, index), struct broker_item, shared)->broker;
}

const struct image_broker *image_broker_find(const struct image *i, int32_t id)
{
    struct shared *s = sorted_find(&i->visible.brokers, compare_broker, &id);

    return s == NULL ? NULL : &container_of(s, struct broker_item, shared)->broker;
}

static const struct uuid directory_lost = {{[15] = 2}};

static bool is_reserved(struct uuid directory)
{
    for (size_t i = 0; i < sizeof(directory.b) - 1; i++) {
        if (directory.b[i] != 0)
            return false;
    }
    return directory.b[15] < 100;
}

bool image_broker_has_online(const struct image_broker *b, struct uuid directory)
{
    if (is_reserved(directory))
        return !uuid_equal(directory, directory_lost);
    for (int32_t i = 0; i < b->directory_count; i++) {
        if (uuid_equal(b->directories[i], directory))
            return true;
    }
    return false;
}

bool image_partition_is_online(const struct image_partition *p, const struct image_broker *b)
{
    for (int32_t i = 0; i < p->replica_count; i++) {
        if (p->replicas[i] == b->id)
            return image_broker_has_online(b, p->directories[i]);
    }
    return false;
}

uint32_t image_controller_count(const struct image *i)
{
    return sorted_count(&i->visible.controllers);
}

const struct image_controller *image_controller_at(const struct image *i, uint32_t index)
{
    return &container_of(sorted_at(&i->visible.controllers, index), struct controller_item, shared)
                ->controller;
}

static const struct image_controller *controller_in(const struct state *state, int32_t id)
{
    struct shared *s = sorted_find(&state->controllers, compare_controller, &id);

    return s == NULL ? NULL : &container_of(s, struct controller_item, shared)->controller;
}

const struct image_controller *image_controller_find(const struct image *i, int32_t id)
{
    return controller_in(&i->visible, id);
}

const struct image_controller *image_edit_controller(const struct image_edit *e, int32_t id)
{
    return controller_in(&e->state, id);
}

/* ---- features, settings ------------------------------------------------------------------------
 */

int16_t image_feature_level(const struct image *i, struct str name)
{
    struct shared *s = sorted_find(&i->visible.features, compare_feature, &name);

    return s == NULL ? 0 : container_of(s, struct feature_item, shared)->feature.max;
}

uint32_t image_feature_count(const struct image *i)
{
    return sorted_count(&i->visible.features);
}

const struct image_feature *image_feature_at(const struct image *i, uint32_t index)
{
    return &container_of(sorted_at(&i->visible.features, index), struct feature_item, shared)
                ->feature;
}

int16_t image_metadata_version(const struct image *i)
{
    return i->visible.metadata_version;
}

bool image_config(const struct image *i, int8_t type, struct str resource, struct str name,
                  struct str *out)
{
    struct config_key key = {type, resource, name};
    struct shared *s = sorted_find(&i->visible.configs, compare_config, &key);

    if (s == NULL)
        return false;
    *out = container_of(s, struct config_item, shared)->value;
    return true;
}

static const struct config_item *config_item_at(const struct image *i, uint32_t index)
{
    return container_of(sorted_at(&i->visible.configs, index), struct config_item, shared);
}

void image_config_each(const struct image *i, int8_t type, struct str resource,
                       void (*each)(void *ctx, struct str name, struct str value), void *ctx)
{
    struct config_key key = {type, resource, STR_NULL};
    uint32_t count = sorted_count(&i->visible.configs);

    for (uint32_t at = sorted_lower(&i->visible.configs, compare_config, &key); at < count; at++) {
        const struct config_item *item = config_item_at(i, at);
        if (item->key.type != type || !str_equal(item->key.resource, resource))
            return;
        each(ctx, item->key.name, item->value);
    }
}

void image_config_resources(const struct image *i, int8_t type,
                            void (*each)(void *ctx, struct str resource), void *ctx)
{
    struct config_key key = {type, STR_NULL, STR_NULL};
    uint32_t count = sorted_count(&i->visible.configs);
    struct str last = STR_NULL;

    for (uint32_t at = sorted_lower(&i->visible.configs, compare_config, &key); at < count; at++) {
        const struct config_item *item = config_item_at(i, at);
        if (item->key.type != type)
            return;
        if (!str_equal(item->key.resource, last))
            each(ctx, item->key.resource);
        last = item->key.resource;
    }
}

int64_t image_next_producer_id(const struct image *i)
{
    return i->visible.next_producer_id;
}
