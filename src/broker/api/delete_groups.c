/* DeleteGroups (key 42): forget empty groups and their offsets. */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/delete_groups.h"

struct delete_one {
    struct delete_groups_request request;
    struct delete_groups_response response;
};

struct delete_many {
    struct delete_one *ones;
    struct group_ask *asks;
};

static void joined(struct scatter *s)
{
    struct request *r = s->request;
    const struct delete_groups_request *m = r->message;
    struct delete_groups_response *a = r->response;
    const struct delete_many *many = r->batch;

    a->results_count = m->groups_names_count;
    a->results = arena_take_array(&r->arena, (size_t)m->groups_names_count, sizeof *a->results);
    for (int32_t i = 0; i < m->groups_names_count; i++) {
        if (many->asks[i].error == KERR_NONE) {
            ASSERT(many->ones[i].response.results_count == 1);
            a->results[i] = many->ones[i].response.results[0];
            continue;
        }
        delete_groups_response_results_init(&a->results[i]);
        a->results[i].group_id = m->groups_names[i];
        a->results[i].error_code = (int16_t)many->asks[i].error;
    }
    request_answer(r);
}

void delete_groups_handle(struct request *r)
{
    const struct delete_groups_request *m = r->message;
    struct delete_many *many = arena_take(&r->arena, sizeof *many);
    uint32_t n = (uint32_t)m->groups_names_count;

    many->ones = arena_take_array(&r->arena, n, sizeof *many->ones);
    many->asks = arena_take_array(&r->arena, n, sizeof *many->asks);
    for (uint32_t i = 0; i < n; i++) {
        struct delete_one *one = &many->ones[i];
        one->request = *m;
        one->request.groups_names = &m->groups_names[i];
        one->request.groups_names_count = 1;
        delete_groups_response_init(&one->response);
        many->asks[i] = (struct group_ask){
            .group_id = m->groups_names[i],
            .request = &one->request,
            .response = &one->response,
        };
        if (!request_authorize(r, ACL_DELETE, RESOURCE_GROUP, m->groups_names[i]))
            many->asks[i].error = KERR_GROUP_AUTHORIZATION_FAILED;
    }
    r->batch = many;
    groups_ask(r, many->asks, n, joined);
}
