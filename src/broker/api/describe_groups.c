/* DescribeGroups (key 15): members, assignments and state of groups. */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/describe_groups.h"

struct describe_one {
    struct describe_groups_request request;
    struct describe_groups_response response;
};

struct describe_many {
    struct describe_one *ones;
    struct group_ask *asks;
};

static void joined(struct scatter *s)
{
    struct request *r = s->request;
    const struct describe_groups_request *m = r->message;
    struct describe_groups_response *a = r->response;
    const struct describe_many *many = r->batch;

    a->groups_count = m->groups_count;
    a->groups = arena_take_array(&r->arena, (size_t)m->groups_count, sizeof *a->groups);
    for (int32_t i = 0; i < m->groups_count; i++) {
        if (many->asks[i].error == KERR_NONE) {
            ASSERT(many->ones[i].response.groups_count == 1);
            a->groups[i] = many->ones[i].response.groups[0];
            continue;
        }
        describe_groups_response_groups_init(&a->groups[i]);
        a->groups[i].group_id = m->groups[i];
        a->groups[i].error_code = (int16_t)many->asks[i].error;
    }
    request_answer(r);
}

void describe_groups_handle(struct request *r)
{
    const struct describe_groups_request *m = r->message;
    struct describe_many *many = arena_take(&r->arena, sizeof *many);
    uint32_t n = (uint32_t)m->groups_count;

    many->ones = arena_take_array(&r->arena, n, sizeof *many->ones);
    many->asks = arena_take_array(&r->arena, n, sizeof *many->asks);
    for (uint32_t i = 0; i < n; i++) {
        struct describe_one *one = &many->ones[i];
        one->request = *m;
        one->request.groups = &m->groups[i];
        one->request.groups_count = 1;
        describe_groups_response_init(&one->response);
        many->asks[i] = (struct group_ask){
            .group_id = m->groups[i],
            .request = &one->request,
            .response = &one->response,
            .authorized_operations =
                m->include_authorized_operations
                    ? request_authorized_operations(r, RESOURCE_GROUP, m->groups[i])
                    : INT32_MIN,
        };
        if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_GROUP, m->groups[i]))
            many->asks[i].error = KERR_GROUP_AUTHORIZATION_FAILED;
    }
    r->batch = many;
    groups_ask(r, many->asks, n, joined);
}
