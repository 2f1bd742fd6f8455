/* Metadata (key 3): brokers, topics and who leads their partitions, as the published image has
 * them.
 *
 * A topic that is asked for by name and not there is made where the request and the broker allow
 * it; a client that is told LEADER_NOT_AVAILABLE asks again.
 */
#include "broker/api/api.h"

#include <stdlib.h>

#include "broker/autocreate.h"
#include "broker/view.h"
#include "protocol/metadata.h"

static const struct metadata_request *asked_of(const struct request *r)
{
    return r->message;
}

static void answer_brokers(struct request *r, struct metadata_response *a)
{
    const struct image *image = r->shard->image;
    uint32_t n = image_broker_count(image);

    a->brokers = arena_take_array(&r->arena, n, sizeof *a->brokers);
    for (uint32_t i = 0; i < n; i++) {
        const struct image_broker *b = image_broker_at(image, i);
        const struct image_endpoint *e = view_endpoint(r, b);
        if (!view_is_named(r, b))
            continue;
        struct metadata_response_brokers *out = &a->brokers[a->brokers_count++];
        metadata_response_brokers_init(out);
        out->node_id = b->id;
        out->host = arena_str(&r->arena, e->host);
        out->port = e->port;
        out->rack = arena_str(&r->arena, b->rack);
    }
}

/* Clients before version 6 do not know what LISTENER_NOT_FOUND is. */
static enum kerr partition_error(const struct request *r, const struct image_partition *p)
{
    enum kerr error = view_partition_error(r, p);

    return error == KERR_LISTENER_NOT_FOUND && r->version < 6 ? KERR_LEADER_NOT_AVAILABLE : error;
}

/* To clients of version 0 replicas that cannot be reached are not named: they look for each among the brokers. */
static int32_t *nodes_of(struct request *r, const int32_t *ids, int32_t count, int32_t *kept)
{
    int32_t *nodes = view_ids(r, ids, count);

    *kept = count;
    if (r->version > 0)
        return nodes;
    *kept = 0;
    for (int32_t i = 0; i < count; i++) {
        if (view_is_alive(r, ids[i]))
            nodes[(*kept)++] = ids[i];
    }
    return nodes;
}

static void answer_partition(struct request *r, const struct image_partition *p,
                             struct metadata_response_topics_partitions *out)
{
    metadata_response_topics_partitions_init(out);
    out->error_code = (int16_t)partition_error(r, p);
    out->partition_index = p->partition;
    out->leader_id = out->error_code == KERR_NONE ? p->leader : -1;
    out->leader_epoch = p->leader_epoch;
    out->replica_nodes = nodes_of(r, p->replicas, p->replica_count, &out->replica_nodes_count);
    out->isr_nodes = nodes_of(r, p->isr, p->isr_count, &out->isr_nodes_count);
    out->offline_replicas = view_offline(r, p, &out->offline_replicas_count);
    if (out->error_code == KERR_NONE &&
        (out->replica_nodes_count < p->replica_count || out->isr_nodes_count < p->isr_count))
        out->error_code = KERR_REPLICA_NOT_AVAILABLE;
}

static void answer_topic(struct request *r, const struct image_topic *topic,
                         struct metadata_response_topics *out)
{
    out->error_code = KERR_NONE;
    out->name = arena_str(&r->arena, topic->name);
    out->topic_id = topic->id;
    out->is_internal = view_is_internal(topic->name);
    if (asked_of(r)->include_topic_authorized_operations)
        out->topic_authorized_operations =
            request_authorized_operations(r, RESOURCE_TOPIC, topic->name);
    out->partitions_count = topic->partition_count;
    out->partitions =
        arena_take_array(&r->arena, (size_t)topic->partition_count, sizeof *out->partitions);
    for (int32_t i = 0; i < topic->partition_count; i++)
        answer_partition(r, &topic->partitions[i], &out->partitions[i]);
}

/* Every topic that the principal may see: those that it may not are not mentioned. */
static void answer_all(struct request *r, struct metadata_response *a)
{
    const struct image *image = r->shard->image;
    uint32_t n = image_topic_count(image);

    a->topics = arena_take_array(&r->arena, n, sizeof *a->topics);
    for (uint32_t i = 0; i < n; i++) {
        const struct image_topic *topic = image_topic_at(image, i);
        if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, topic->name))
            continue;
        metadata_response_topics_init(&a->topics[a->topics_count]);
        answer_topic(r, topic, &a->topics[a->topics_count++]);
    }
}

/* Kafka's Admin sends an empty name with an id, others a null one (KIP-516). */
static bool asks_by_id(const struct metadata_request_topics *t)
{
    return !uuid_is_zero(t->topic_id) || str_is_null(t->name);
}

/* Before version 12 a name could not be null. */
static struct str no_name(const struct request *r)
{
    return r->version >= 12 ? STR_NULL : STR("");
}

/* One topic of the request, as the image has it now. */
static void answer_one(struct request *r, const struct metadata_request_topics *t,
                       struct metadata_response_topics *out)
{
    const struct image *image = r->shard->image;
    const struct image_topic *topic =
        asks_by_id(t) ? image_topic_by_id(image, t->topic_id) : image_topic_find(image, t->name);

    metadata_response_topics_init(out);
    out->name = asks_by_id(t) ? no_name(r) : t->name;
    out->topic_id = t->topic_id;
    if (topic == NULL && asks_by_id(t)) {
        out->error_code = KERR_UNKNOWN_TOPIC_ID;
        return;
    }
    if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC,
                           topic == NULL ? t->name : topic->name)) {
        /* By id, the name is not told; an id is no secret. */
        out->error_code = KERR_TOPIC_AUTHORIZATION_FAILED;
        return;
    }
    if (topic != NULL) {
        answer_topic(r, topic, out);
        return;
    }
    out->topic_id = UUID_ZERO;
    out->is_internal = view_is_internal(t->name);
    if (!view_topic_name_is_valid(t->name))
        out->error_code = KERR_INVALID_TOPIC_EXCEPTION;
    else if (asked_of(r)->allow_auto_topic_creation && autocreate_allowed(r->shard, t->name))
        out->error_code = KERR_LEADER_NOT_AVAILABLE; /* it is being made: ask again */
    else
        out->error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static void answer_asked(struct request *r, struct metadata_response *a)
{
    const struct metadata_request *m = asked_of(r);

    a->topics_count = m->topics_count;
    a->topics = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->topics);
    for (int32_t i = 0; i < m->topics_count; i++)
        answer_one(r, &m->topics[i], &a->topics[i]);
}

/* Version 0 has no null: its empty list asks for all. */
static bool asks_for_all(const struct request *r)
{
    return asked_of(r)->topics_count < 0 || (r->version == 0 && asked_of(r)->topics_count == 0);
}

static void answer(struct request *r)
{
    struct metadata_response *a = r->response;

    answer_brokers(r, a);
    a->cluster_id = str_of(r->shard->broker->cluster_id);
    a->controller_id = view_controller(r);
    if (asked_of(r)->include_cluster_authorized_operations)
        a->cluster_authorized_operations =
            request_authorized_operations(r, RESOURCE_CLUSTER, STR("kafka-cluster"));
    if (asks_for_all(r))
        answer_all(r, a);
    else
        answer_asked(r, a);
    request_answer(r);
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Each name once: a request to make a topic twice would be refused. */
static uint32_t make_unique(struct str *names, uint32_t count)
{
    uint32_t n = 0;

    qsort(names, count, sizeof *names, compare_names);
    for (uint32_t i = 0; i < count; i++) {
        if (n == 0 || !str_equal(names[n - 1], names[i]))
            names[n++] = names[i];
    }
    return n;
}

/* Topics of the request that are to be made. */
static uint32_t missing(struct request *r, struct str *names)
{
    const struct metadata_request *m = asked_of(r);
    uint32_t n = 0;

    for (int32_t i = 0; i < m->topics_count; i++) {
        struct str name = m->topics[i].name;
        if (asks_by_id(&m->topics[i]) || image_topic_find(r->shard->image, name) != NULL)
            continue;
        if (!view_topic_name_is_valid(name) || !autocreate_allowed(r->shard, name))
            continue;
        if (request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, name) &&
            request_authorize(r, ACL_CREATE, RESOURCE_TOPIC, name))
            names[n++] = name;
    }
    return make_unique(names, n);
}

void metadata_handle(struct request *r)
{
    const struct metadata_request *m = asked_of(r);
    struct str *names;
    uint32_t n;

    if (asks_for_all(r) || !m->allow_auto_topic_creation) {
        answer(r);
        return;
    }
    names = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *names);
    n = missing(r, names);
    if (n == 0)
        answer(r);
    else
        autocreate(r, names, n, answer);
}
