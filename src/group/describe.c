/* DescribeGroups (key 15): the members of classic groups. */
#include "group/internal.h"

/* Metadata and assignment only make sense together, in a stable group. */
static void describe_members(struct group_call *call, const struct group *g,
                             struct describe_groups_response_groups *to)
{
    bool stable = g->state == GROUP_STABLE;

    to->members = arena_take_array(call->arena, g->members.count, sizeof(*to->members));
    LIST_EACH (it, &g->order) {
        const struct member *m = container_of(it, struct member, in_order);
        struct describe_groups_response_groups_members *member = &to->members[to->members_count++];

        describe_groups_response_groups_members_init(member);
        member->member_id = arena_str(call->arena, m->id);
        member->group_instance_id = arena_str(call->arena, m->instance_id);
        member->client_id = m->client_id.n <= 0 ? STR("") : arena_str(call->arena, m->client_id);
        member->client_host =
            m->client_host.n <= 0 ? STR("") : arena_str(call->arena, m->client_host);
        if (stable)
            member->member_metadata = arena_bytes(call->arena, member_metadata(m, g->protocol));
        if (m->assignment.n > 0)
            member->member_assignment = arena_bytes(call->arena, m->assignment);
    }
}

static void describe_absent(struct group_call *call, const struct group *g,
                            struct describe_groups_response_groups *to)
{
    to->group_state = STR("Dead");
    if (call->api_version < 6) /* KIP-1043: before, what is not there is dead */
        return;
    to->error_code = KERR_GROUP_ID_NOT_FOUND;
    to->error_message = arena_printf(
        call->arena, g == NULL ? "Group %.*s not found." : "Group %.*s is not a classic group.",
        STR_ARG(to->group_id));
}

static void describe_one(struct group_partition *p, struct group_call *call, struct str id,
                         struct describe_groups_response_groups *to)
{
    const struct describe_groups_request *r = call->request;
    const struct group *g = group_find(p, id);

    describe_groups_response_groups_init(to);
    to->group_id = id;
    if (str_is_null(id)) {
        to->error_code = KERR_INVALID_GROUP_ID;
        return;
    }
    if (r->include_authorized_operations && call->api_version >= 3)
        to->authorized_operations = call->authorized_operations;
    if (g == NULL || g->kind != GROUP_CLASSIC) {
        describe_absent(call, g, to);
        return;
    }
    to->group_state = str_of(group_state_name(g));
    if (!str_is_null(g->protocol_type))
        to->protocol_type = arena_str(call->arena, g->protocol_type);
    if (g->state == GROUP_STABLE && !str_is_null(g->protocol))
        to->protocol_data = arena_str(call->arena, g->protocol);
    describe_members(call, g, to);
}

void describe_groups(struct group_partition *p, struct group_call *call)
{
    const struct describe_groups_request *r = call->request;
    struct describe_groups_response *to = call->response;

    to->groups = arena_take_array(call->arena, (size_t)r->groups_count, sizeof(*to->groups));
    to->groups_count = r->groups_count;
    for (int32_t i = 0; i < r->groups_count; i++)
        describe_one(p, call, r->groups[i], &to->groups[i]);
    answer(p, call);
}
