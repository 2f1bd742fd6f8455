/* Requests that name partitions. */
#include "cli/placements.h"

void placements_alter(const struct placements *p, struct alter_partition_reassignments_request *out)
{
    alter_partition_reassignments_request_init(out);
    out->topics = arena_take_array(p->arena, p->count + 1, sizeof(*out->topics));
    ASSERT(out->topics != NULL);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct placement *one = &p->all[i];
        struct alter_partition_reassignments_request_topics *topic = &out->topics[out->topics_count];
        if (i > 0 && str_equal(one->topic, one[-1].topic)) {
            topic--;
        } else {
            alter_partition_reassignments_request_topics_init(topic);
            topic->name = one->topic;
            topic->partitions = arena_take_array(p->arena, p->count - i, sizeof(*topic->partitions));
            ASSERT(topic->partitions != NULL);
            out->topics_count++;
        }
        struct alter_partition_reassignments_request_topics_partitions *to =
            &topic->partitions[topic->partitions_count++];
        alter_partition_reassignments_request_topics_partitions_init(to);
        to->partition_index = one->partition;
        to->replicas_count = one->replicas == NULL ? -1 : (int32_t)one->replica_count;
        if (one->replicas == NULL)
            continue;
        to->replicas = arena_take_array(p->arena, one->replica_count, sizeof(*to->replicas));
        ASSERT(to->replicas != NULL);
        memcpy(to->replicas, one->replicas, one->replica_count * sizeof(*to->replicas));
    }
}

void placements_elect(const struct placements *p, struct elect_leaders_request *out)
{
    out->topic_partitions_count = 0;
    out->topic_partitions = arena_take_array(p->arena, p->count + 1, sizeof(*out->topic_partitions));
    ASSERT(out->topic_partitions != NULL);
    for (uint32_t i = 0; i < p->count; i++) {
        const struct placement *one = &p->all[i];
        struct elect_leaders_request_topic_partitions *topic = &out->topic_partitions[out->topic_partitions_count];
        if (i > 0 && str_equal(one->topic, one[-1].topic)) {
            topic--;
        } else {
            elect_leaders_request_topic_partitions_init(topic);
            topic->topic = one->topic;
            topic->partitions = arena_take_array(p->arena, p->count - i, sizeof(*topic->partitions));
            ASSERT(topic->partitions != NULL);
            out->topic_partitions_count++;
        }
        topic->partitions[topic->partitions_count++] = one->partition;
    }
}

moving_ptr moving_find(const struct list_partition_reassignments_response *r, struct str topic, int32_t partition)
{
    for (int32_t t = 0; t < r->topics_count; t++) {
        for (int32_t i = 0; str_equal(r->topics[t].name, topic) && i < r->topics[t].partitions_count; i++) {
            if (r->topics[t].partitions[i].partition_index == partition)
                return &r->topics[t].partitions[i];
        }
    }
    return NULL;
}
