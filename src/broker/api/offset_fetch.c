/* OffsetFetch (key 9): how far groups have read. From version 8 on about several groups, which may live
 * with different coordinator partitions: each is asked by itself.
 */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/offset_fetch.h"

/* One group of a batched request. */
struct fetch_one {
    struct offset_fetch_request request;
    struct offset_fetch_response response;
};

struct fetch_many {
    struct fetch_one *ones;
    struct group_ask *asks;
};

static void failed(struct request *r, enum kerr error)
{
    const struct offset_fetch_request *m = r->message;
    struct offset_fetch_response *a = r->response;

    a->error_code = (int16_t)error;
    if (r->version >= 2)
        return;
    /* Before version 2 the partitions carry it. */
    a->topics_count = m->topics_count;
    a->topics = arena_take_array(&r->arena, (size_t)m->topics_count, sizeof *a->topics);
    for (int32_t t = 0; t < m->topics_count; t++) {
        const struct offset_fetch_request_topics *topic = &m->topics[t];
        offset_fetch_response_topics_init(&a->topics[t]);
        a->topics[t].name = topic->name;
        a->topics[t].partitions_count = topic->partition_indexes_count;
        a->topics[t].partitions = arena_take_array(
            &r->arena, (size_t)topic->partition_indexes_count, sizeof *a->topics[t].partitions);
        for (int32_t p = 0; p < topic->partition_indexes_count; p++) {
            struct offset_fetch_response_topics_partitions *out = &a->topics[t].partitions[p];
            offset_fetch_response_topics_partitions_init(out);
            out->partition_index = topic->partition_indexes[p];
            out->committed_offset = -1;
            out->metadata = STR("");
            out->error_code = (int16_t)error;
        }
    }
}

static void joined(struct scatter *s)
{
    struct request *r = s->request;
    const struct offset_fetch_request *m = r->message;
    struct offset_fetch_response *a = r->response;
    struct fetch_many *many = r->batch;

    a->groups_count = m->groups_count;
    a->groups = arena_take_array(&r->arena, (size_t)m->groups_count, sizeof *a->groups);
    for (int32_t i = 0; i < m->groups_count; i++) {
        const struct fetch_one *one = &many->ones[i];
        if (many->asks[i].error == KERR_NONE) {
            ASSERT(one->response.groups_count == 1);
            a->groups[i] = one->response.groups[0];
            continue;
        }
        offset_fetch_response_groups_init(&a->groups[i]);
        a->groups[i].group_id = m->groups[i].group_id;
        a->groups[i].error_code = (int16_t)many->asks[i].error;
    }
    request_answer(r);
}

static void ask_many(struct request *r)
{
    const struct offset_fetch_request *m = r->message;
    struct fetch_many *many = arena_take(&r->arena, sizeof *many);
    uint32_t n = (uint32_t)m->groups_count;

    many->ones = arena_take_array(&r->arena, n, sizeof *many->ones);
    many->asks = arena_take_array(&r->arena, n, sizeof *many->asks);
    for (uint32_t i = 0; i < n; i++) {
        struct fetch_one *one = &many->ones[i];
        one->request = *m;
        one->request.groups = &m->groups[i];
        one->request.groups_count = 1;
        offset_fetch_response_init(&one->response);
        many->asks[i] = (struct group_ask){
            .group_id = m->groups[i].group_id,
            .request = &one->request,
            .response = &one->response,
        };
        if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_GROUP, m->groups[i].group_id))
            many->asks[i].error = KERR_GROUP_AUTHORIZATION_FAILED;
    }
    r->batch = many;
    groups_ask(r, many->asks, n, joined);
}

void offset_fetch_handle(struct request *r)
{
    const struct offset_fetch_request *m = r->message;

    if (r->version >= 8)
        ask_many(r);
    else
        groups_ask_one(r, m->group_id, ACL_DESCRIBE, failed);
}
