/* ListPartitionReassignments (key 46): which partitions are getting other replicas (KIP-455). */
#include "controller/internal.h"

#include "protocol/list_partition_reassignments.h"

typedef struct list_partition_reassignments_response_topics response_topic;

static int32_t *copy_ids(struct decision *d, const int32_t *ids, int32_t count)
{
    int32_t *copy = arena_take_array(d->call->arena, (size_t)count, sizeof(*copy));

    if (count > 0)
        memcpy(copy, ids, (size_t)count * sizeof(*copy));
    return copy;
}

static void list_partition(struct decision *d, const struct image_partition *p, response_topic *a)
{
    struct list_partition_reassignments_response_topics_partitions *to;

    if (p == NULL || (p->adding_count == 0 && p->removing_count == 0))
        return;
    to = &a->partitions[a->partitions_count++];
    list_partition_reassignments_response_topics_partitions_init(to);
    to->partition_index = p->partition;
    to->replicas = copy_ids(d, p->replicas, p->replica_count);
    to->replicas_count = p->replica_count;
    to->adding_replicas = copy_ids(d, p->adding, p->adding_count);
    to->adding_replicas_count = p->adding_count;
    to->removing_replicas = copy_ids(d, p->removing, p->removing_count);
    to->removing_replicas_count = p->removing_count;
}

/* Those of the topic that are wanted, or all; what is not reassigned is left out. */
static void list_topic(struct decision *d, const struct image_topic *topic, const int32_t *wanted,
                       int32_t count, struct list_partition_reassignments_response *all)
{
    response_topic *a = &all->topics[all->topics_count];

    if (topic == NULL)
        return;
    list_partition_reassignments_response_topics_init(a);
    a->name = arena_str(d->call->arena, topic->name);
    a->partitions = arena_take_array(d->call->arena, (size_t)count, sizeof(*a->partitions));
    a->partitions_count = 0;
    for (int32_t i = 0; i < count; i++)
        list_partition(d, image_partition_find(d->image, topic->id, wanted == NULL ? i : wanted[i]),
                       a);
    all->topics_count += a->partitions_count > 0;
}

enum kerr decide_list_partition_reassignments(struct decision *d, const void *request,
                                              void *response)
{
    const struct list_partition_reassignments_request *m = request;
    struct list_partition_reassignments_response *a = response;
    uint32_t total =
        m->topics_count < 0 ? image_topic_count(d->image) : (uint32_t)m->topics_count;

    if (!decision_may(d, ACL_DESCRIBE, RESOURCE_CLUSTER, STR("kafka-cluster")))
        return KERR_CLUSTER_AUTHORIZATION_FAILED;
    a->topics = arena_take_array(d->call->arena, total, sizeof(*a->topics));
    a->topics_count = 0;
    for (uint32_t i = 0; i < total; i++) {
        const struct image_topic *topic;
        if (m->topics_count >= 0) {
            topic = image_topic_find(d->image, m->topics[i].name);
            list_topic(d, topic, m->topics[i].partition_indexes,
                       m->topics[i].partition_indexes_count, a);
        } else {
            topic = image_topic_at(d->image, i);
            list_topic(d, topic, NULL, topic->partition_count, a);
        }
    }
    return KERR_NONE;
}
