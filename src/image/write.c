/* An image as records: the snapshot. */
#include "image/internal.h"

#include "protocol/config_record.h"
#include "protocol/feature_level_record.h"
#include "protocol/partition_record.h"
#include "protocol/producer_ids_record.h"
#include "protocol/register_broker_record.h"
#include "protocol/register_controller_record.h"
#include "protocol/topic_record.h"

/* Levels of metadata.version that brought a kind of record. */
#define METADATA_VERSION_SCRAM 11
#define METADATA_VERSION_TOKENS 14

struct writer {
    const struct state *state;
    const struct metadata_version *version;
    void (*each)(void *ctx, struct bytes framed);
    void *ctx;
    struct arena arena;
};

/* A record that was read can be written: it cannot be too long. */
static void put(struct writer *w, const struct message *message, int16_t version,
                const void *record)
{
    int64_t size = message_metadata_size(message, version, record);
    uint8_t *framed;

    ASSERT(size > 0);
    framed = arena_take_raw(&w->arena, (size_t)size);
    message_metadata_write(message, version, record, framed);
    w->each(w->ctx, (struct bytes){framed, (int32_t)size});
    arena_reset(&w->arena);
}

static void put_kept(struct writer *w, const struct sorted *set)
{
    for (uint32_t i = 0; i < sorted_count(set); i++)
        w->each(w->ctx, container_of(sorted_at(set, i), struct kept_item, shared)->framed);
}

/* ---- features ----------------------------------------------------------------------------------
 */

static void put_feature(struct writer *w, struct str name, int16_t level)
{
    struct feature_level_record r;

    feature_level_record_init(&r);
    r.name = name;
    r.feature_level = level;
    put(w, &feature_level_record_message, 0, &r);
}

static void put_features(struct writer *w)
{
    struct str first = str_of(features[FEATURE_METADATA_VERSION].name);

    if (w->state->metadata_version != 0)
        put_feature(w, first, w->state->metadata_version);
    for (uint32_t i = 0; i < sorted_count(&w->state->features); i++) {
        const struct image_feature *f =
            &container_of(sorted_at(&w->state->features, i), struct feature_item, shared)->feature;
        if (!str_equal(f->name, first))
            put_feature(w, f->name, f->max);
    }
}

/* ---- nodes -------------------------------------------------------------------------------------
 */

/* The record's lists are not const, but writing does not change them. */
#define LIST_OF(type, list) ((type *)(uintptr_t)(list))

static void put_broker(struct writer *w, const struct image_broker *b)
{
    int16_t version = w->version->register_broker_record;
    struct register_broker_record r;

    register_broker_record_init(&r);
    r.broker_id = b->id;
    r.is_migrating_zk_broker = version >= 2 && b->migrating_zk;
    r.incarnation_id = b->incarnation;
    r.broker_epoch = b->epoch;
    r.rack = b->rack;
    r.fenced = b->fenced;
    r.in_controlled_shutdown = version >= 1 && b->in_controlled_shutdown;
    r.end_points_count = b->endpoint_count;
    r.end_points = arena_take_array(&w->arena, (size_t)b->endpoint_count, sizeof(*r.end_points));
    for (int32_t i = 0; i < b->endpoint_count; i++) {
        register_broker_record_end_points_init(&r.end_points[i]);
        r.end_points[i].name = b->endpoints[i].name;
        r.end_points[i].host = b->endpoints[i].host;
        r.end_points[i].port = b->endpoints[i].port;
        r.end_points[i].security_protocol = b->endpoints[i].security_protocol;
    }
    r.features_count = b->feature_count;
    r.features = arena_take_array(&w->arena, (size_t)b->feature_count, sizeof(*r.features));
    for (int32_t i = 0; i < b->feature_count; i++) {
        register_broker_record_features_init(&r.features[i]);
        r.features[i].name = b->features[i].name;
        r.features[i].min_supported_version = b->features[i].min;
        r.features[i].max_supported_version = b->features[i].max;
    }
    if (version >= 3) {
        r.log_dirs = LIST_OF(struct uuid, b->directories);
        r.log_dirs_count = b->directory_count;
    }
    if (version >= 4) {
        r.cordoned_log_dirs = LIST_OF(struct uuid, b->cordoned);
        r.cordoned_log_dirs_count = b->cordoned_count;
    }
    put(w, &register_broker_record_message, version, &r);
}

static void put_controller(struct writer *w, const struct image_controller *c)
{
    struct register_controller_record r;

    register_controller_record_init(&r);
    r.controller_id = c->id;
    r.incarnation_id = c->incarnation;
    r.zk_migration_ready = c->zk_migration_ready;
    r.end_points_count = c->endpoint_count;
    r.end_points = arena_take_array(&w->arena, (size_t)c->endpoint_count, sizeof(*r.end_points));
    for (int32_t i = 0; i < c->endpoint_count; i++) {
        register_controller_record_end_points_init(&r.end_points[i]);
        r.end_points[i].name = c->endpoints[i].name;
        r.end_points[i].host = c->endpoints[i].host;
        r.end_points[i].port = c->endpoints[i].port;
        r.end_points[i].security_protocol = c->endpoints[i].security_protocol;
    }
    r.features_count = c->feature_count;
    r.features = arena_take_array(&w->arena, (size_t)c->feature_count, sizeof(*r.features));
    for (int32_t i = 0; i < c->feature_count; i++) {
        register_controller_record_features_init(&r.features[i]);
        r.features[i].name = c->features[i].name;
        r.features[i].min_supported_version = c->features[i].min;
        r.features[i].max_supported_version = c->features[i].max;
    }
    put(w, &register_controller_record_message, w->version->register_controller_record, &r);
}

static void put_nodes(struct writer *w)
{
    for (uint32_t i = 0; i < sorted_count(&w->state->brokers); i++)
        put_broker(
            w, &container_of(sorted_at(&w->state->brokers, i), struct broker_item, shared)->broker);
    if (w->version->register_controller_record < 0)
        return;
    for (uint32_t i = 0; i < sorted_count(&w->state->controllers); i++)
        put_controller(
            w, &container_of(sorted_at(&w->state->controllers, i), struct controller_item, shared)
                    ->controller);
}

/* ---- topics ------------------------------------------------------------------------------------
 */

static void put_partition(struct writer *w, const struct image_topic *t,
                          const struct image_partition *p)
{
    int16_t version = w->version->partition_record;
    struct partition_record r;

    partition_record_init(&r);
    r.partition_id = p->partition;
    r.topic_id = t->id;
    r.replicas = LIST_OF(int32_t, p->replicas);
    r.replicas_count = p->replica_count;
    r.isr = LIST_OF(int32_t, p->isr);
    r.isr_count = p->isr_count;
    r.removing_replicas = LIST_OF(int32_t, p->removing);
    r.removing_replicas_count = p->removing_count;
    r.adding_replicas = LIST_OF(int32_t, p->adding);
    r.adding_replicas_count = p->adding_count;
    r.leader = p->leader;
    r.leader_recovery_state = p->recovery_state;
    r.leader_epoch = p->leader_epoch;
    r.partition_epoch = p->partition_epoch;
    if (version >= 1) {
        r.directories = LIST_OF(struct uuid, p->directories);
        r.directories_count = p->replica_count;
    }
    if (version >= 2 && p->elr_count > 0) {
        r.eligible_leader_replicas = LIST_OF(int32_t, p->elr);
        r.eligible_leader_replicas_count = p->elr_count;
    }
    if (version >= 2 && p->last_elr_count > 0) {
        r.last_known_elr = LIST_OF(int32_t, p->last_elr);
        r.last_known_elr_count = p->last_elr_count;
    }
    put(w, &partition_record_message, version, &r);
}

static void put_topics(struct writer *w)
{
    for (uint32_t i = 0; i < sorted_count(&w->state->topics); i++) {
        const struct image_topic *t =
            &container_of(sorted_at(&w->state->topics, i), struct topic_item, shared)->topic;
        struct topic_record r;

        topic_record_init(&r);
        r.name = t->name;
        r.topic_id = t->id;
        put(w, &topic_record_message, 0, &r);
        for (int32_t p = 0; p < t->partition_count; p++) {
            if (t->partitions[p].replica_count > 0)
                put_partition(w, t, &t->partitions[p]);
        }
    }
}

static void put_configs(struct writer *w)
{
    for (uint32_t i = 0; i < sorted_count(&w->state->configs); i++) {
        const struct config_item *item =
            container_of(sorted_at(&w->state->configs, i), struct config_item, shared);
        struct config_record r;

        config_record_init(&r);
        r.resource_type = item->key.type;
        r.resource_name = item->key.resource;
        r.name = item->key.name;
        r.value = item->value;
        put(w, &config_record_message, 0, &r);
    }
}

static void put_producer_ids(struct writer *w)
{
    struct producer_ids_record r;

    if (w->state->next_producer_id == 0)
        return;
    producer_ids_record_init(&r);
    r.broker_id = -1;
    r.broker_epoch = -1;
    r.next_producer_id = w->state->next_producer_id;
    put(w, &producer_ids_record_message, 0, &r);
}

/* Without a metadata.version (an empty log) the lowest that there is. */
void image_write(const struct image *i, void (*each)(void *ctx, struct bytes framed), void *ctx)
{
    int16_t level = image_metadata_version(i);
    struct writer w = {.state = &i->visible, .each = each, .ctx = ctx};

    if (level == 0)
        level = features[FEATURE_METADATA_VERSION].low;
    w.version = metadata_version_find(level);
    ASSERT(w.version != NULL);
    arena_init(&w.arena, 0);
    put_features(&w);
    put_nodes(&w);
    put_topics(&w);
    put_configs(&w);
    put_kept(&w, &w.state->quotas);
    put_producer_ids(&w);
    put_kept(&w, &w.state->acls);
    if (level >= METADATA_VERSION_SCRAM)
        put_kept(&w, &w.state->scram);
    if (level >= METADATA_VERSION_TOKENS)
        put_kept(&w, &w.state->tokens);
    arena_deinit(&w.arena);
}
