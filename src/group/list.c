/* ListGroups (key 16): all groups, of every protocol, by state and type. */
#include "group/internal.h"

/* An empty filter lets all through. */
static bool fits(const struct str *filter, int32_t count, const char *value)
{
    for (int32_t i = 0; i < count; i++) {
        if (str_equal_nocase(filter[i], str_of(value)))
            return true;
    }
    return count <= 0;
}

static struct str protocol_type_of(const struct group_call *call, const struct group *g)
{
    if (g->kind != GROUP_CLASSIC)
        return str_of(group_kind_name(g)); /* Kafka calls them the same */
    return str_is_null(g->protocol_type) ? STR("") : arena_str(call->arena, g->protocol_type);
}

void list_groups(struct group_partition *p, struct group_call *call)
{
    const struct list_groups_request *r = call->request;
    struct list_groups_response *to = call->response;

    to->groups = arena_take_array(call->arena, p->groups.count, sizeof(*to->groups));
    MAP_EACH (node, &p->groups) {
        const struct group *g = container_of(node, struct group, node);
        const char *state = g->kind == GROUP_CLASSIC ? group_state_name(g) : raw_state_name(p, g);
        struct list_groups_response_groups *listed = &to->groups[to->groups_count];

        if (!fits(r->states_filter, r->states_filter_count, state) ||
            !fits(r->types_filter, r->types_filter_count, group_kind_name(g)))
            continue;
        list_groups_response_groups_init(listed);
        listed->group_id = arena_str(call->arena, g->id);
        listed->protocol_type = protocol_type_of(call, g);
        listed->group_state = str_of(state);
        listed->group_type = str_of(group_kind_name(g));
        to->groups_count++;
    }
    answer(p, call);
}
