/* CreateTopics (key 19). */
#include "controller/internal.h"

#include "protocol/create_topics.h"
#include "protocol/topic_record.h"

/* Kafka's bound on what one request may make. */
#define PARTITIONS_PER_REQUEST_MAX 10000
#define METADATA_TOPIC STR("__cluster_metadata")

typedef const struct create_topics_request_topics request_topic;
typedef struct create_topics_response_topics response_topic;

/* The plan of one topic: replicas of all partitions, one behind the other. */
struct plan {
    int32_t partitions;
    int32_t factor;
    int32_t *replicas;
};

/* ---- partitions given by hand ------------------------------------------------------------------
 */

static struct verdict check_hand_made(struct decision *d, request_topic *t)
{
    if (t->replication_factor != -1)
        return refuse(d, KERR_INVALID_REQUEST,
                      "A manual partition assignment was specified, but replication factor was not "
                      "set to -1.");
    if (t->num_partitions != -1)
        return refuse(d, KERR_INVALID_REQUEST,
                      "A manual partition assignment was specified, but numPartitions was not set "
                      "to -1.");
    return VERDICT_OK;
}

static bool any_active(const struct decision *d, const int32_t *replicas, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (broker_is_active(d->image, replicas[i]))
            return true;
    }
    return false;
}

static struct verdict plan_hand_made(struct decision *d, request_topic *t, struct plan *plan)
{
    bool *seen = arena_take_array(&d->c->scratch, (size_t)t->assignments_count, sizeof(*seen));
    struct verdict v = check_hand_made(d, t);

    if (v.error != KERR_NONE)
        return v;
    plan->partitions = t->assignments_count;
    for (int32_t i = 0; i < t->assignments_count; i++) {
        const struct create_topics_request_topics_assignments *a = &t->assignments[i];
        bool in_row = a->partition_index >= 0 && a->partition_index < t->assignments_count;
        if (in_row && seen[a->partition_index])
            return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                          "Found multiple manual partition assignments for partition %d",
                          a->partition_index);
        v = check_assignment(d, a->broker_ids, a->broker_ids_count, plan->factor);
        if (v.error != KERR_NONE)
            return v;
        if (!any_active(d, a->broker_ids, a->broker_ids_count))
            return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                          "All brokers specified in the manual partition assignment for partition "
                          "%d are fenced or in controlled shutdown.",
                          a->partition_index);
        if (!in_row)
            return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                          "partitions should be a consecutive 0-based integer sequence");
        if (plan->replicas == NULL) {
            plan->factor = a->broker_ids_count;
            plan->replicas =
                arena_take_array(&d->c->scratch, (size_t)plan->factor * (size_t)plan->partitions,
                                 sizeof(*plan->replicas));
        }
        seen[a->partition_index] = true;
        memcpy(plan->replicas + (size_t)a->partition_index * (size_t)plan->factor, a->broker_ids,
               (size_t)plan->factor * sizeof(*plan->replicas));
    }
    return VERDICT_OK;
}

/* ---- partitions placed by us -------------------------------------------------------------------
 */

static struct verdict plan_placed(struct decision *d, request_topic *t, struct plan *plan)
{
    const struct config *broker = d->c->settings.broker;
    struct verdict v;

    if (t->replication_factor < -1 || t->replication_factor == 0)
        return refuse(d, KERR_INVALID_REPLICATION_FACTOR,
                      "Replication factor must be larger than 0, or -1 to use the default value.");
    if (t->num_partitions < -1 || t->num_partitions == 0)
        return refuse(d, KERR_INVALID_PARTITIONS,
                      "Number of partitions was set to an invalid non-positive value.");
    plan->partitions = t->num_partitions == -1 ? (int32_t)config_i64(broker, BROKER_NUM_PARTITIONS)
                                               : t->num_partitions;
    plan->factor = t->replication_factor == -1
                       ? (int32_t)config_i64(broker, BROKER_DEFAULT_REPLICATION_FACTOR)
                       : t->replication_factor;
    if (plan->partitions > PARTITIONS_PER_REQUEST_MAX)
        return (struct verdict){KERR_POLICY_VIOLATION, STR_NULL};
    v = check_factor(d, plan->factor);
    if (v.error != KERR_NONE)
        return refuse(d, v.error, "Unable to replicate the partition %d time(s): %.*s",
                      plan->factor, STR_ARG(v.message));
    plan->replicas = arena_take_array(
        &d->c->scratch, (size_t)plan->factor * (size_t)plan->partitions, sizeof(*plan->replicas));
    for (int32_t p = 0; p < plan->partitions; p++)
        place_replicas(d, p, plan->factor, plan->replicas + (size_t)p * (size_t)plan->factor);
    return VERDICT_OK;
}

/* ---- names -------------------------------------------------------------------------------------
 */

static struct verdict check_new_name(struct decision *d, struct str name)
{
    const struct image_topic *other;
    struct verdict v = check_topic_name(d, name);

    if (image_topic_find(d->image, name) != NULL)
        return refuse(d, KERR_TOPIC_ALREADY_EXISTS, "Topic '%.*s' already exists.", STR_ARG(name));
    if (v.error != KERR_NONE)
        return v;
    other = find_colliding_topic(d, name);
    if (other != NULL)
        return refuse(d, KERR_INVALID_TOPIC_EXCEPTION,
                      "Topic '%.*s' collides with existing topic: %.*s", STR_ARG(name),
                      STR_ARG(other->name));
    return VERDICT_OK;
}

static bool may_create(const struct decision *d, struct str name)
{
    return decision_may(d, ACL_CREATE, RESOURCE_CLUSTER, STR("kafka-cluster")) ||
           decision_may(d, ACL_CREATE, RESOURCE_TOPIC, name);
}

/* ---- settings ----------------------------------------------------------------------------------
 */

/* The last one counts where a name comes twice, as in the map that Kafka makes of them. */
static uint32_t collect_changes(struct decision *d, request_topic *t, struct config_change **out)
{
    struct config_change *changes =
        arena_take_array(&d->c->scratch, (size_t)t->configs_count, sizeof(*changes));
    uint32_t *place = arena_take_array(&d->c->scratch, (size_t)t->configs_count, sizeof(*place));
    struct tally names;
    uint32_t count = 0;

    tally_make(&names, &d->c->scratch, t->configs_count);
    for (int32_t i = 0; i < t->configs_count; i++)
        tally_add(&names, (struct named){.name = t->configs[i].name});
    tally_sort(&names);
    for (int32_t i = 0; i < t->configs_count; i++) {
        int32_t first = tally_first(&names, (struct named){.name = t->configs[i].name});
        if (first == i)
            place[i] = count++;
        changes[place[first]] = (struct config_change){t->configs[i].name, t->configs[i].value};
    }
    *out = changes;
    return count;
}

static struct verdict check_null_values(struct decision *d, const struct config_change *changes,
                                        uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_is_null(changes[i].value))
            return refuse(d, KERR_INVALID_CONFIG,
                          "Null value not supported for topic configs: %.*s",
                          STR_ARG(changes[i].name));
    }
    return VERDICT_OK;
}

/* All settings in force, as DescribeConfigs would give them (KIP-525). */
static void fill_configs(struct decision *d, const struct config_change *changes, uint32_t count,
                         response_topic *a)
{
    struct config *own = config_new(&topic_settings), *all;
    struct fail ignored = {0};

    for (uint32_t i = 0; i < count; i++)
        (void)!config_set(own, CONFIG_TOPIC, changes[i].name, changes[i].value, &ignored);
    all = config_topic(effective_broker(d), own);
    a->configs = arena_take_array(d->call->arena, topic_settings.count, sizeof(*a->configs));
    a->configs_count = 0;
    for (uint32_t id = 0; id < topic_settings.count; id++) {
        const struct setting *s = &topic_settings.settings[id];
        struct create_topics_response_topics_configs *c;
        if (s->internal && config_source(all, id) == CONFIG_DEFAULT)
            continue;
        c = &a->configs[a->configs_count++];
        create_topics_response_topics_configs_init(c);
        c->name = str_of(s->name);
        c->value = arena_str(d->call->arena, config_text(all, id));
        c->config_source = (int8_t)config_source(all, id);
    }
    config_free(all);
    config_free(own);
}

/* ---- one topic ---------------------------------------------------------------------------------
 */

static struct verdict add_topic(struct decision *d, request_topic *t, const struct plan *plan,
                                const struct config_change *changes, uint32_t count,
                                response_topic *a)
{
    struct topic_record r;

    topic_record_init(&r);
    r.name = t->name;
    r.topic_id = uuid_random(d->c->prng);
    decision_add(d, &topic_record_message, 0, &r);
    add_configs(d, CONFIG_RESOURCE_TOPIC, t->name, changes, count);
    for (int32_t p = 0; p < plan->partitions; p++) {
        if (!add_partition(d, r.topic_id, p, plan->replicas + (size_t)p * (size_t)plan->factor,
                           plan->factor))
            return refuse(d, KERR_INVALID_REPLICATION_FACTOR,
                          "Unable to replicate the partition %d time(s): All brokers are currently "
                          "fenced or in controlled shutdown.",
                          plan->factor);
    }
    a->topic_id = r.topic_id;
    if (decision_may(d, ACL_DESCRIBE_CONFIGS, RESOURCE_TOPIC, t->name)) {
        a->num_partitions = plan->partitions;
        a->replication_factor = (int16_t)plan->factor;
        if (d->call->api_version >= 5)
            fill_configs(d, changes, count, a);
    } else {
        a->topic_config_error_code = KERR_TOPIC_AUTHORIZATION_FAILED;
    }
    return VERDICT_OK;
}

static struct verdict create_topic(struct decision *d, request_topic *t, response_topic *a)
{
    struct config_change *changes;
    uint32_t count = collect_changes(d, t, &changes);
    struct plan plan = {0};
    struct verdict v;

    if (str_equal(t->name, METADATA_TOPIC)) /* the quorum's own, never a topic */
        return refuse(d, KERR_INVALID_REQUEST,
                      "Creation of internal topic __cluster_metadata is prohibited.");
    if (!may_create(d, t->name))
        return refuse(d, KERR_TOPIC_AUTHORIZATION_FAILED, "Authorization failed.");
    v = check_new_name(d, t->name);
    if (v.error == KERR_NONE)
        v = check_null_values(d, changes, count);
    if (v.error == KERR_NONE)
        v = check_configs(d, CONFIG_RESOURCE_TOPIC, t->name, changes, count, true);
    if (v.error == KERR_NONE)
        v = t->assignments_count > 0 ? plan_hand_made(d, t, &plan) : plan_placed(d, t, &plan);
    return v.error == KERR_NONE ? add_topic(d, t, &plan, changes, count, a) : v;
}

/* ---- the request -------------------------------------------------------------------------------
 */

/* A name that comes twice is refused, and answered once. */
enum kerr decide_create_topics(struct decision *d, const void *request, void *response)
{
    const struct create_topics_request *m = request;
    struct create_topics_response *all = response;
    struct tally names;

    tally_make(&names, &d->c->scratch, m->topics_count);
    for (int32_t i = 0; i < m->topics_count; i++)
        tally_add(&names, (struct named){.name = m->topics[i].name});
    tally_sort(&names);
    all->topics = arena_take_array(d->call->arena, (size_t)m->topics_count, sizeof(*all->topics));
    all->topics_count = 0;
    for (int32_t i = 0; i < m->topics_count; i++) {
        request_topic *t = &m->topics[i];
        response_topic *a = &all->topics[all->topics_count];
        uint32_t before = d->count;
        struct named name = {.name = t->name};
        struct verdict v;

        if (tally_first(&names, name) != i)
            continue;
        create_topics_response_topics_init(a);
        a->name = t->name;
        if (tally_is_repeated(&names, name))
            v = refuse(d, KERR_INVALID_REQUEST, "Duplicate topic name.");
        else
            v = create_topic(d, t, a);
        if (v.error == KERR_POLICY_VIOLATION || d->count > PARTITIONS_PER_REQUEST_MAX)
            return KERR_POLICY_VIOLATION;
        if (v.error != KERR_NONE)
            decision_cut(d, before);
        a->error_code = (int16_t)v.error;
        a->error_message = v.message;
        all->topics_count++;
    }
    if (m->validate_only)
        decision_cut(d, 0);
    return KERR_NONE;
}
