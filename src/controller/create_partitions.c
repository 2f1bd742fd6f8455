/* CreatePartitions (key 37): more partitions for a topic (KIP-195). */
#include "controller/internal.h"

#include "protocol/create_partitions.h"

#define PARTITIONS_PER_REQUEST_MAX 10000

typedef const struct create_partitions_request_topics request_topic;

static struct verdict check_count(struct decision *d, request_topic *t,
                                  const struct image_topic *topic)
{
    int32_t more = t->count - topic->partition_count;

    if (more == 0)
        return refuse(d, KERR_INVALID_PARTITIONS, "Topic already has %d partition(s).",
                      topic->partition_count);
    if (more < 0)
        return refuse(d, KERR_INVALID_PARTITIONS,
                      "The topic %.*s currently has %d partition(s); %d would not be an increase.",
                      STR_ARG(t->name), topic->partition_count, t->count);
    if (t->assignments_count >= 0 && t->assignments_count != more)
        return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                      "Attempted to add %d additional partition(s), but only %d assignment(s) were "
                      "specified.",
                      more, t->assignments_count);
    if (more > PARTITIONS_PER_REQUEST_MAX)
        return (struct verdict){KERR_POLICY_VIOLATION, STR_NULL};
    return VERDICT_OK;
}

static struct verdict add_one(struct decision *d, request_topic *t, const struct image_topic *topic,
                              int32_t partition)
{
    int32_t factor = replication_factor(&topic->partitions[0]);
    int32_t *replicas = arena_take_array(&d->c->scratch, (size_t)factor, sizeof(*replicas));
    bool by_hand = t->assignments_count >= 0;
    struct verdict v;

    if (by_hand) {
        const struct create_partitions_request_topics_assignments *a =
            &t->assignments[partition - topic->partition_count];
        v = check_assignment(d, a->broker_ids, a->broker_ids_count, factor);
        if (v.error == KERR_NONE)
            memcpy(replicas, a->broker_ids, (size_t)factor * sizeof(*replicas));
    } else {
        v = check_factor(d, factor);
        if (v.error == KERR_NONE)
            place_replicas(d, partition, factor, replicas);
    }
    if (v.error != KERR_NONE || add_partition(d, topic->id, partition, replicas, factor))
        return v;
    if (by_hand)
        return refuse(d, KERR_INVALID_REPLICA_ASSIGNMENT,
                      "All brokers specified in the manual partition assignment for partition %d "
                      "are fenced or in controlled shutdown.",
                      partition);
    return refuse(d, KERR_INVALID_REPLICATION_FACTOR,
                  "Unable to replicate the partition %d time(s): All brokers are currently fenced "
                  "or in controlled shutdown.",
                  factor);
}

static struct verdict grow(struct decision *d, request_topic *t)
{
    const struct image_topic *topic = image_topic_find(d->image, t->name);
    struct verdict v;

    if (!decision_may(d, ACL_ALTER, RESOURCE_TOPIC, t->name))
        return (struct verdict){KERR_TOPIC_AUTHORIZATION_FAILED, STR_NULL};
    if (topic == NULL || topic->partition_count == 0)
        return (struct verdict){KERR_UNKNOWN_TOPIC_OR_PARTITION, STR_NULL};
    v = check_count(d, t, topic);
    for (int32_t p = topic->partition_count; v.error == KERR_NONE && p < t->count; p++)
        v = add_one(d, t, topic, p);
    return v;
}

enum kerr decide_create_partitions(struct decision *d, const void *request, void *response)
{
    const struct create_partitions_request *m = request;
    struct create_partitions_response *all = response;
    struct tally names;

    tally_make(&names, &d->c->scratch, m->topics_count);
    for (int32_t i = 0; i < m->topics_count; i++)
        tally_add(&names, (struct named){.name = m->topics[i].name});
    tally_sort(&names);
    all->results = arena_take_array(d->call->arena, (size_t)m->topics_count, sizeof(*all->results));
    all->results_count = 0;
    for (int32_t i = 0; i < m->topics_count; i++) {
        request_topic *t = &m->topics[i];
        struct create_partitions_response_results *a = &all->results[all->results_count];
        uint32_t before = d->count;
        struct named name = {.name = t->name};
        struct verdict v;

        if (tally_first(&names, name) != i)
            continue;
        create_partitions_response_results_init(a);
        a->name = t->name;
        if (tally_is_repeated(&names, name))
            v = refuse(d, KERR_INVALID_REQUEST, "Duplicate topic name.");
        else
            v = grow(d, t);
        if (v.error == KERR_POLICY_VIOLATION || d->count > PARTITIONS_PER_REQUEST_MAX)
            return KERR_POLICY_VIOLATION;
        if (v.error != KERR_NONE)
            decision_cut(d, before);
        a->error_code = (int16_t)v.error;
        a->error_message = v.message;
        all->results_count++;
    }
    if (m->validate_only)
        decision_cut(d, 0);
    return KERR_NONE;
}
