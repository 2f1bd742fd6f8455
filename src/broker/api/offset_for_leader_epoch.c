/* OffsetForLeaderEpoch (key 23): where a leader epoch ended, so that a reader finds out whether its last record
 * still is in the log (KIP-101, KIP-320).
 */
#include "broker/api/api.h"
#include "broker/scatter.h"
#include "protocol/offset_for_leader_epoch.h"

struct epoch_item {
    const struct offset_for_leader_epoch_request_topics_partitions *asked;
    struct offset_for_leader_epoch_response_topics_partitions *answer;
    struct uuid topic_id;
};

static void item_run(struct scatter_part *part, struct epoch_item *item)
{
    struct replica *r = replica_find(part->shard->replicas, item->topic_id, item->asked->partition);
    enum kerr error = r == NULL ? replica_absence(part->shard->replicas, item->topic_id,
                                                  item->asked->partition)
                                : replication_check_leader(replica_replication(r),
                                                           item->asked->current_leader_epoch);

    item->answer->error_code = (int16_t)error;
    if (error != KERR_NONE)
        return;
    struct epoch_end end = log_epoch_end(replica_log(r), item->asked->leader_epoch);
    item->answer->leader_epoch = end.epoch;
    item->answer->end_offset = end.end_offset;
}

static void part_run(struct scatter_part *part)
{
    for (uint32_t i = 0; i < part->count; i++)
        item_run(part, part->items[i]);
    scatter_part_done(part);
}

static void joined(struct scatter *s)
{
    request_answer(s->request);
}

static void add_topic(struct scatter *s, const struct offset_for_leader_epoch_request_topics *asked,
                      struct offset_for_leader_epoch_response_topics *a)
{
    struct request *r = s->request;
    const struct image_topic *topic = image_topic_find(r->shard->image, asked->topic);
    enum kerr error = topic == NULL ? KERR_UNKNOWN_TOPIC_OR_PARTITION : KERR_NONE;

    if (!request_authorize(r, ACL_CLUSTER_ACTION, RESOURCE_CLUSTER, STR("kafka-cluster")) &&
        !request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, asked->topic))
        error = KERR_TOPIC_AUTHORIZATION_FAILED;
    offset_for_leader_epoch_response_topics_init(a);
    a->topic = asked->topic;
    a->partitions_count = asked->partitions_count;
    a->partitions = arena_take_array(&r->arena, (size_t)asked->partitions_count, sizeof *a->partitions);
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        int32_t partition = asked->partitions[i].partition;
        offset_for_leader_epoch_response_topics_partitions_init(&a->partitions[i]);
        a->partitions[i].partition = partition;
        a->partitions[i].error_code = (int16_t)error;
        if (error != KERR_NONE)
            continue;
        if (partition < 0 || partition >= topic->partition_count) {
            a->partitions[i].error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
            continue;
        }
        struct epoch_item *item = arena_take(&r->arena, sizeof *item);
        *item = (struct epoch_item){&asked->partitions[i], &a->partitions[i], topic->id};
        scatter_add(s, shard_of(r->shard->broker, topic->id, partition), item);
    }
}

void offset_for_leader_epoch_handle(struct request *r)
{
    const struct offset_for_leader_epoch_request *m = r->message;
    struct offset_for_leader_epoch_response *a = r->response;
    struct scatter *s = scatter_new(r, part_run, joined);

    a->topics_count = m->topics_count;
    a->topics = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->topics);
    for (int32_t i = 0; i < m->topics_count; i++)
        add_topic(s, &m->topics[i], &a->topics[i]);
    scatter_run(s);
}
