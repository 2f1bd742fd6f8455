/* A response that says nothing but an error, in the shape of each API. */
#include "group/internal.h"

static void fail_leave(struct group_call *call, enum kerr error)
{
    struct leave_group_response *r = call->response;

    leave_group_response_init(r);
    r->error_code = (int16_t)error;
}

/* Every partition that was asked for, with its error. */
static void fail_commit(struct group_call *call, enum kerr error)
{
    const struct offset_commit_request *asked = call->request;
    struct offset_commit_response *r = call->response;

    offset_commit_response_init(r);
    r->topics = arena_take_array(call->arena, (size_t)asked->topics_count, sizeof(*r->topics));
    r->topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const struct offset_commit_request_topics *from = &asked->topics[i];
        struct offset_commit_response_topics *to = &r->topics[i];

        offset_commit_response_topics_init(to);
        to->name = from->name;
        to->topic_id = from->topic_id;
        to->partitions =
            arena_take_array(call->arena, (size_t)from->partitions_count, sizeof(*to->partitions));
        to->partitions_count = from->partitions_count;
        for (int32_t k = 0; k < from->partitions_count; k++) {
            offset_commit_response_topics_partitions_init(&to->partitions[k]);
            to->partitions[k].partition_index = from->partitions[k].partition_index;
            to->partitions[k].error_code = (int16_t)error;
        }
    }
}

static void fail_txn_commit(struct group_call *call, enum kerr error)
{
    const struct txn_offset_commit_request *asked = call->request;
    struct txn_offset_commit_response *r = call->response;

    txn_offset_commit_response_init(r);
    r->topics = arena_take_array(call->arena, (size_t)asked->topics_count, sizeof(*r->topics));
    r->topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const struct txn_offset_commit_request_topics *from = &asked->topics[i];
        struct txn_offset_commit_response_topics *to = &r->topics[i];

        txn_offset_commit_response_topics_init(to);
        to->name = from->name;
        to->topic_id = from->topic_id;
        to->partitions =
            arena_take_array(call->arena, (size_t)from->partitions_count, sizeof(*to->partitions));
        to->partitions_count = from->partitions_count;
        for (int32_t k = 0; k < from->partitions_count; k++) {
            txn_offset_commit_response_topics_partitions_init(&to->partitions[k]);
            to->partitions[k].partition_index = from->partitions[k].partition_index;
            to->partitions[k].error_code = (int16_t)error;
        }
    }
}

/* Before version 2 there is no error for the whole: each partition has it. */
static void fail_fetch_old(struct group_call *call, enum kerr error)
{
    const struct offset_fetch_request *asked = call->request;
    struct offset_fetch_response *r = call->response;

    r->topics = arena_take_array(call->arena, (size_t)asked->topics_count, sizeof(*r->topics));
    r->topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++) {
        const struct offset_fetch_request_topics *from = &asked->topics[i];
        struct offset_fetch_response_topics *to = &r->topics[i];

        offset_fetch_response_topics_init(to);
        to->name = from->name;
        to->partitions = arena_take_array(call->arena, (size_t)from->partition_indexes_count,
                                          sizeof(*to->partitions));
        to->partitions_count = from->partition_indexes_count;
        for (int32_t k = 0; k < from->partition_indexes_count; k++) {
            offset_fetch_response_topics_partitions_init(&to->partitions[k]);
            to->partitions[k].partition_index = from->partition_indexes[k];
            to->partitions[k].committed_offset = -1;
            to->partitions[k].metadata = STR("");
            to->partitions[k].error_code = (int16_t)error;
        }
    }
}

static void fail_fetch(struct group_call *call, enum kerr error)
{
    const struct offset_fetch_request *asked = call->request;
    struct offset_fetch_response *r = call->response;

    offset_fetch_response_init(r);
    if (call->api_version < 2) {
        fail_fetch_old(call, error);
        return;
    }
    if (call->api_version < 8) {
        r->error_code = (int16_t)error;
        return;
    }
    r->groups = arena_take_array(call->arena, (size_t)asked->groups_count, sizeof(*r->groups));
    r->groups_count = asked->groups_count;
    for (int32_t i = 0; i < asked->groups_count; i++) {
        offset_fetch_response_groups_init(&r->groups[i]);
        r->groups[i].group_id = asked->groups[i].group_id;
        r->groups[i].error_code = (int16_t)error;
    }
}

static void fail_describe(struct group_call *call, enum kerr error)
{
    const struct describe_groups_request *asked = call->request;
    struct describe_groups_response *r = call->response;

    describe_groups_response_init(r);
    r->groups = arena_take_array(call->arena, (size_t)asked->groups_count, sizeof(*r->groups));
    r->groups_count = asked->groups_count;
    for (int32_t i = 0; i < asked->groups_count; i++) {
        describe_groups_response_groups_init(&r->groups[i]);
        r->groups[i].group_id = asked->groups[i];
        r->groups[i].error_code = (int16_t)error;
    }
}

static void fail_delete(struct group_call *call, enum kerr error)
{
    const struct delete_groups_request *asked = call->request;
    struct delete_groups_response *r = call->response;

    delete_groups_response_init(r);
    r->results =
        arena_take_array(call->arena, (size_t)asked->groups_names_count, sizeof(*r->results));
    r->results_count = asked->groups_names_count;
    for (int32_t i = 0; i < asked->groups_names_count; i++) {
        delete_groups_response_results_init(&r->results[i]);
        r->results[i].group_id = asked->groups_names[i];
        r->results[i].error_code = (int16_t)error;
    }
}

void response_fail(struct group_call *call, enum kerr error)
{
    switch (call->api_key) {
    case API_JOIN_GROUP: {
        struct join_group_response *r = call->response;
        const struct join_group_request *asked = call->request;

        join_group_response_init(r);
        r->protocol_name = call->api_version >= 7 ? STR_NULL : STR("");
        r->member_id = asked->member_id;
        r->error_code = (int16_t)error;
        return;
    }
    case API_SYNC_GROUP: {
        struct sync_group_response *r = call->response;

        sync_group_response_init(r);
        r->error_code = (int16_t)error;
        return;
    }
    case API_HEARTBEAT:
        ((struct heartbeat_response *)call->response)->error_code = (int16_t)error;
        return;
    case API_LEAVE_GROUP:
        fail_leave(call, error);
        return;
    case API_OFFSET_COMMIT:
        fail_commit(call, error);
        return;
    case API_TXN_OFFSET_COMMIT:
        fail_txn_commit(call, error);
        return;
    case API_OFFSET_FETCH:
        fail_fetch(call, error);
        return;
    case API_OFFSET_DELETE: {
        struct offset_delete_response *r = call->response;

        offset_delete_response_init(r);
        r->error_code = (int16_t)error;
        return;
    }
    case API_DESCRIBE_GROUPS:
        fail_describe(call, error);
        return;
    case API_LIST_GROUPS: {
        struct list_groups_response *r = call->response;

        list_groups_response_init(r);
        r->error_code = (int16_t)error;
        return;
    }
    case API_DELETE_GROUPS:
        fail_delete(call, error);
        return;
    default:
        UNREACHABLE("an API that group.h does not name");
    }
}
