/* ListGroups (key 16): the groups of every coordinator partition that this broker hosts. */
#include "broker/api/api.h"
#include "broker/groups.h"
#include "protocol/list_groups.h"

struct listed {
    bool all; /* the principal may describe the cluster: every group is shown */
    int32_t capacity;
};

static void add(struct request *r, const struct list_groups_response_groups *group)
{
    struct list_groups_response *a = r->response;
    struct listed *l = r->batch;

    if (a->groups_count == l->capacity) {
        int32_t capacity = l->capacity == 0 ? 16 : l->capacity * 2;
        struct list_groups_response_groups *grown =
            arena_take_array(&r->arena, (size_t)capacity, sizeof *grown);
        if (a->groups_count > 0)
            memcpy(grown, a->groups, (size_t)a->groups_count * sizeof *grown);
        a->groups = grown;
        l->capacity = capacity;
    }
    a->groups[a->groups_count++] = *group;
}

static void merge(struct request *r, const void *response)
{
    const struct list_groups_response *one = response;
    const struct listed *l = r->batch;
    struct list_groups_response *a = r->response;

    if (one->error_code != KERR_NONE) /* one that is loading: the list is not complete */
        a->error_code = one->error_code;
    for (int32_t i = 0; i < one->groups_count; i++) {
        if (l->all || request_authorize(r, ACL_DESCRIBE, RESOURCE_GROUP, one->groups[i].group_id))
            add(r, &one->groups[i]);
    }
}

void list_groups_handle(struct request *r)
{
    struct listed *l = arena_take(&r->arena, sizeof *l);

    l->all = request_authorize(r, ACL_DESCRIBE, RESOURCE_CLUSTER, STR("kafka-cluster"));
    r->batch = l;
    groups_ask_all(r, merge, request_answer);
}
