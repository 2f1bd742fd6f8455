/* OffsetCommit (key 8): a group has read up to here. */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/offset_commit.h"

static void fail_topic(struct request *r, enum kerr error,
                       const struct offset_commit_request_topics *topic,
                       struct offset_commit_response_topics *a)
{
    offset_commit_response_topics_init(a);
    a->name = topic->name;
    a->topic_id = topic->topic_id;
    a->partitions_count = topic->partitions_count;
    a->partitions = arena_take_array(&r->arena, (size_t)topic->partitions_count, sizeof *a->partitions);
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        offset_commit_response_topics_partitions_init(&a->partitions[i]);
        a->partitions[i].partition_index = topic->partitions[i].partition_index;
        a->partitions[i].error_code = (int16_t)error;
    }
}

/* The answer has no error of its own: every partition carries it. */
static void failed(struct request *r, enum kerr error)
{
    const struct offset_commit_request *m = r->message;
    struct offset_commit_response *a = r->response;

    a->topics_count = m->topics_count;
    a->topics = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->topics);
    for (int32_t i = 0; i < m->topics_count; i++)
        fail_topic(r, error, &m->topics[i], &a->topics[i]);
}

void offset_commit_handle(struct request *r)
{
    const struct offset_commit_request *m = r->message;

    groups_ask_one(r, m->group_id, ACL_READ, failed);
}
