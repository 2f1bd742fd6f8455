/* Brokers, controllers, features, producer ids. */
#include "image/internal.h"

#include <stdlib.h>

#include "protocol/broker_registration_change_record.h"
#include "protocol/feature_level_record.h"
#include "protocol/fence_broker_record.h"
#include "protocol/producer_ids_record.h"
#include "protocol/register_broker_record.h"
#include "protocol/register_controller_record.h"
#include "protocol/unfence_broker_record.h"
#include "protocol/unregister_broker_record.h"
#include "protocol/unregister_controller_record.h"

/* ---- brokers -----------------------------------------------------------------------------------
 */

static void broker_release(struct shared *s)
{
    free(container_of(s, struct broker_item, shared));
}

static size_t endpoints_size(const struct image_endpoint *endpoints, int32_t count)
{
    size_t size = (size_t)count * sizeof(*endpoints);

    for (int32_t i = 0; i < count; i++)
        size += str_size(endpoints[i].name) + str_size(endpoints[i].host);
    return size;
}

static size_t features_size(const struct image_feature *list, int32_t count)
{
    size_t size = (size_t)count * sizeof(*list);

    for (int32_t i = 0; i < count; i++)
        size += str_size(list[i].name);
    return size;
}

/* Move `*at` to where a list of structs may stand. */
static void *take_aligned(char **at, size_t count, size_t element_bytes)
{
    char *p = *at;

    *at += count * element_bytes;
    return p;
}

static void copy_endpoints(struct image_endpoint *to, const struct image_endpoint *from,
                           int32_t count, char **text)
{
    for (int32_t i = 0; i < count; i++) {
        to[i] = from[i];
        to[i].name = copy_str(text, from[i].name);
        to[i].host = copy_str(text, from[i].host);
    }
}

/* A registration's features and directories have no order of their own; sorted, two images that say
 * the same are equal. The lists are short. */
static void sort_features(struct image_feature *list, int32_t count)
{
    for (int32_t i = 1; i < count; i++) {
        for (int32_t j = i; j > 0 && str_compare(list[j].name, list[j - 1].name) < 0; j--) {
            struct image_feature before = list[j - 1];
            list[j - 1] = list[j];
            list[j] = before;
        }
    }
}

static void sort_uuids(struct uuid *list, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t j = i; j > 0 && uuid_compare(list[j], list[j - 1]) < 0; j--) {
            struct uuid before = list[j - 1];
            list[j - 1] = list[j];
            list[j] = before;
        }
    }
}

static void copy_features(struct image_feature *to, const struct image_feature *from, int32_t count,
                          char **text)
{
    for (int32_t i = 0; i < count; i++) {
        to[i] = from[i];
        to[i].name = copy_str(text, from[i].name);
    }
    sort_features(to, count);
}

static size_t count_or_none(int32_t count)
{
    return count > 0 ? (size_t)count : 0;
}

static void copy_uuids(struct uuid *to, const struct uuid *from, size_t count)
{
    if (count > 0)
        memcpy(to, from, count * sizeof(*to));
    sort_uuids(to, count);
}

/* Put a broker, copied into one block: structs first, uuids and text behind them. */
static void broker_put(struct state *s, const struct image_broker *b)
{
    size_t directories = count_or_none(b->directory_count);
    size_t cordoned = count_or_none(b->cordoned_count);
    struct broker_item *item =
        take_memory(sizeof(*item) + endpoints_size(b->endpoints, b->endpoint_count) +
                    features_size(b->features, b->feature_count) +
                    (directories + cordoned) * sizeof(struct uuid) + str_size(b->rack));
    char *at = (char *)(item + 1);
    struct image_endpoint *endpoints =
        take_aligned(&at, (size_t)b->endpoint_count, sizeof(*endpoints));
    struct image_feature *list = take_aligned(&at, (size_t)b->feature_count, sizeof(*list));
    struct uuid *own_directories = take_aligned(&at, directories, sizeof(struct uuid));
    struct uuid *own_cordoned = take_aligned(&at, cordoned, sizeof(struct uuid));

    shared_init(&item->shared, broker_release);
    item->broker = *b;
    copy_endpoints(endpoints, b->endpoints, b->endpoint_count, &at);
    copy_features(list, b->features, b->feature_count, &at);
    copy_uuids(own_directories, b->directories, directories);
    copy_uuids(own_cordoned, b->cordoned, cordoned);
    item->broker.endpoints = endpoints;
    item->broker.features = list;
    item->broker.directories = own_directories;
    item->broker.cordoned = own_cordoned;
    item->broker.rack = copy_str(&at, b->rack);
    sorted_put(&s->brokers, compare_broker, &item->broker.id, &item->shared);
}

int apply_register_broker(struct image_edit *e, const void *record, struct fail *f)
{
    const struct register_broker_record *r = record;
    struct image_endpoint *endpoints =
        arena_take_array(&e->scratch, (size_t)r->end_points_count, sizeof(*endpoints));
    struct image_feature *list =
        arena_take_array(&e->scratch, (size_t)r->features_count, sizeof(*list));

    for (int32_t i = 0; i < r->end_points_count; i++) {
        const struct register_broker_record_end_points *p = &r->end_points[i];
        endpoints[i] = (struct image_endpoint){p->name, p->host, p->port, p->security_protocol};
    }
    for (int32_t i = 0; i < r->features_count; i++) {
        const struct register_broker_record_features *p = &r->features[i];
        list[i] =
            (struct image_feature){p->name, p->min_supported_version, p->max_supported_version};
    }
    broker_put(&e->state, &(struct image_broker){
                              .id = r->broker_id,
                              .epoch = r->broker_epoch,
                              .incarnation = r->incarnation_id,
                              .rack = r->rack,
                              .fenced = r->fenced,
                              .in_controlled_shutdown = r->in_controlled_shutdown,
                              .migrating_zk = r->is_migrating_zk_broker,
                              .endpoint_count = r->end_points_count,
                              .feature_count = r->features_count,
                              .directory_count = r->log_dirs_count,
                              .cordoned_count = r->cordoned_log_dirs_count,
                              .endpoints = endpoints,
                              .features = list,
                              .directories = r->log_dirs,
                              .cordoned = r->cordoned_log_dirs,
                          });
    return 0;
}

/* The registration that a record is about; NULL, and `f` says why, when it is another's. */
static const struct image_broker *broker_find(const struct image_edit *e, int32_t id, int64_t epoch,
                                              struct fail *f)
{
    struct shared *s = sorted_find(&e->state.brokers, compare_broker, &id);
    const struct image_broker *b;

    if (s == NULL) {
        fail_set(f, ERR_CORRUPT, "broker %d is not registered", id);
        return NULL;
    }
    b = &container_of(s, struct broker_item, shared)->broker;
    if (b->epoch != epoch) {
        fail_set(f, ERR_CORRUPT, "broker %d has epoch %" PRId64 ", not %" PRId64, id, b->epoch, epoch);
        return NULL;
    }
    return b;
}

int apply_unregister_broker(struct image_edit *e, const void *record, struct fail *f)
{
    const struct unregister_broker_record *r = record;

    if (broker_find(e, r->broker_id, r->broker_epoch, f) == NULL)
        return ERR_CORRUPT;
    sorted_remove(&e->state.brokers, compare_broker, &r->broker_id);
    return 0;
}

static int set_fenced(struct image_edit *e, int32_t id, int64_t epoch, bool fenced, struct fail *f)
{
    const struct image_broker *b = broker_find(e, id, epoch, f);
    struct image_broker changed;

    if (b == NULL)
        return ERR_CORRUPT;
    changed = *b;
    changed.fenced = fenced;
    broker_put(&e->state, &changed);
    return 0;
}

int apply_fence_broker(struct image_edit *e, const void *record, struct fail *f)
{
    const struct fence_broker_record *r = record;

    return set_fenced(e, r->id, r->epoch, true, f);
}

int apply_unfence_broker(struct image_edit *e, const void *record, struct fail *f)
{
    const struct unfence_broker_record *r = record;

    return set_fenced(e, r->id, r->epoch, false, f);
}

int apply_broker_change(struct image_edit *e, const void *record, struct fail *f)
{
    const struct broker_registration_change_record *r = record;
    const struct image_broker *b = broker_find(e, r->broker_id, r->broker_epoch, f);
    struct image_broker changed;

    if (b == NULL)
        return ERR_CORRUPT;
    if (r->fenced < -1 || r->fenced > 1)
        return fail_set(f, ERR_CORRUPT, "fencing change %d is not known", r->fenced);
    if (r->in_controlled_shutdown < 0 || r->in_controlled_shutdown > 1)
        return fail_set(f, ERR_CORRUPT, "controlled shutdown change %d is not known",
                        r->in_controlled_shutdown);
    changed = *b;
    if (r->fenced != 0)
        changed.fenced = r->fenced == 1;
    if (r->in_controlled_shutdown == 1)
        changed.in_controlled_shutdown = true;
    if (r->log_dirs_count > 0) {
        changed.directories = r->log_dirs;
        changed.directory_count = r->log_dirs_count;
    }
    if (r->cordoned_log_dirs_count >= 0) {
        changed.cordoned = r->cordoned_log_dirs;
        changed.cordoned_count = r->cordoned_log_dirs_count;
    }
    broker_put(&e->state, &changed);
    return 0;
}

/* ---- controllers -------------------------------------------------------------------------------
 */

static void controller_release(struct shared *s)
{
    free(container_of(s, struct controller_item, shared));
}

int apply_register_controller(struct image_edit *e, const void *record, struct fail *f)
{
    const struct register_controller_record *r = record;
    size_t size = sizeof(struct controller_item) +
                  (size_t)r->end_points_count * sizeof(struct image_endpoint) +
                  (size_t)r->features_count * sizeof(struct image_feature);
    struct controller_item *item;
    struct image_endpoint *endpoints;
    struct image_feature *list;
    char *at;

    for (int32_t i = 0; i < r->end_points_count; i++)
        size += str_size(r->end_points[i].name) + str_size(r->end_points[i].host);
    for (int32_t i = 0; i < r->features_count; i++)
        size += str_size(r->features[i].name);
    item = take_memory(size);
    shared_init(&item->shared, controller_release);
    at = (char *)(item + 1);
    endpoints = take_aligned(&at, (size_t)r->end_points_count, sizeof(*endpoints));
    list = take_aligned(&at, (size_t)r->features_count, sizeof(*list));
    for (int32_t i = 0; i < r->end_points_count; i++) {
        const struct register_controller_record_end_points *p = &r->end_points[i];
        endpoints[i] = (struct image_endpoint){copy_str(&at, p->name), copy_str(&at, p->host),
                                               p->port, p->security_protocol};
    }
    for (int32_t i = 0; i < r->features_count; i++) {
        const struct register_controller_record_features *p = &r->features[i];
        list[i] = (struct image_feature){copy_str(&at, p->name), p->min_supported_version,
                                         p->max_supported_version};
    }
    sort_features(list, r->features_count);
    item->controller = (struct image_controller){.id = r->controller_id,
                                                 .incarnation = r->incarnation_id,
                                                 .zk_migration_ready = r->zk_migration_ready,
                                                 .endpoint_count = r->end_points_count,
                                                 .feature_count = r->features_count,
                                                 .endpoints = endpoints,
                                                 .features = list};
    sorted_put(&e->state.controllers, compare_controller, &item->controller.id, &item->shared);
    return 0;
}

int apply_unregister_controller(struct image_edit *e, const void *record, struct fail *f)
{
    const struct unregister_controller_record *r = record;

    if (!sorted_remove(&e->state.controllers, compare_controller, &r->controller_id))
        return fail_set(f, ERR_CORRUPT, "controller %d is not registered", r->controller_id);
    return 0;
}

/* ---- features ----------------------------------------------------------------------------------
 */

static void feature_release(struct shared *s)
{
    free(container_of(s, struct feature_item, shared));
}

static int check_level(const struct image_edit *e, struct str name, int16_t level, struct fail *f)
{
    enum feature_id id = feature_find(name);

    if (id == FEATURE_COUNT && level != 0)
        return fail_set(f, ERR_VERSION, "feature %.*s is not known", STR_ARG(name));
    if (id != FEATURE_COUNT && (level < features[id].low || level > features[id].latest))
        return fail_set(f, ERR_VERSION, "level %d of feature %.*s is not supported: %d to %d are",
                        level, STR_ARG(name), features[id].low, features[id].latest);
    if (id != FEATURE_METADATA_VERSION && e->state.metadata_version == 0)
        return fail_set(f, ERR_CORRUPT, "feature %.*s comes before metadata.version",
                        STR_ARG(name));
    return 0;
}

/* kraft.version is the raft layer's; old nodes wrote it here by mistake, and it is passed over. */
int apply_feature_level(struct image_edit *e, const void *record, struct fail *f)
{
    const struct feature_level_record *r = record;
    struct feature_item *item;
    char *at;

    if (feature_find(r->name) == FEATURE_KRAFT_VERSION)
        return 0;
    TRY(check_level(e, r->name, r->feature_level, f));
    if (feature_find(r->name) == FEATURE_METADATA_VERSION)
        e->state.metadata_version = r->feature_level;
    if (r->feature_level == 0) {
        sorted_remove(&e->state.features, compare_feature, &r->name);
        return 0;
    }
    item = take_memory(sizeof(*item) + str_size(r->name));
    shared_init(&item->shared, feature_release);
    at = (char *)(item + 1);
    item->feature = (struct image_feature){copy_str(&at, r->name), 0, r->feature_level};
    sorted_put(&e->state.features, compare_feature, &item->feature.name, &item->shared);
    return 0;
}

/* ---- producer ids ------------------------------------------------------------------------------
 */

int apply_producer_ids(struct image_edit *e, const void *record, struct fail *f)
{
    const struct producer_ids_record *r = record;

    if (r->next_producer_id <= e->state.next_producer_id)
        return fail_set(f, ERR_CORRUPT, "next producer id %" PRId64 " is not above %" PRId64,
                        r->next_producer_id, e->state.next_producer_id);
    e->state.next_producer_id = r->next_producer_id;
    return 0;
}
