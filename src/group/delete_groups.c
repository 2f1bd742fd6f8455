/* DeleteGroups (key 42): groups without members, with all their offsets. */
#include "group/internal.h"

static enum kerr delete_check(const struct group *g)
{
    if (g == NULL)
        return KERR_GROUP_ID_NOT_FOUND;
    if (g->kind != GROUP_CLASSIC)
        return raw_has_members(g) ? KERR_NON_EMPTY_GROUP : KERR_GROUP_ID_NOT_FOUND;
    return g->state == GROUP_EMPTY ? KERR_NONE : KERR_NON_EMPTY_GROUP;
}

static struct str delete_message(const struct group_call *call, const struct group *g,
                                 struct str id, enum kerr error)
{
    if (error == KERR_NON_EMPTY_GROUP)
        return arena_printf(call->arena, "Group %.*s is not empty.", STR_ARG(id));
    if (error == KERR_GROUP_ID_NOT_FOUND && g != NULL)
        return arena_printf(call->arena, "Group %.*s is not a classic group.", STR_ARG(id));
    if (error == KERR_GROUP_ID_NOT_FOUND)
        return arena_printf(call->arena, "Group %.*s not found.", STR_ARG(id));
    return STR_NULL;
}

/* Every offset, also where a transaction is still open: what it would commit is withdrawn. */
static void group_tombstones(struct group_partition *p, const struct group *g)
{
    MAP_EACH (topic, &g->topics) {
        const struct offset_topic *t = container_of(topic, struct offset_topic, node);
        MAP_EACH (node, &t->partitions)
            record_offset_tombstone(p, container_of(node, struct committed, node));
    }
    record_group_tombstone(p, g->id);
}

void delete_groups(struct group_partition *p, struct group_call *call)
{
    const struct delete_groups_request *r = call->request;
    struct delete_groups_response *to = call->response;

    to->results =
        arena_take_array(call->arena, (size_t)r->groups_names_count, sizeof(*to->results));
    to->results_count = r->groups_names_count;
    for (int32_t i = 0; i < r->groups_names_count; i++) {
        struct str id = r->groups_names[i];
        const struct group *g = group_find(p, id);
        enum kerr error = str_is_null(id) ? KERR_INVALID_GROUP_ID : delete_check(g);

        delete_groups_response_results_init(&to->results[i]);
        to->results[i].group_id = id;
        if (call->api_version >= 3)
            to->results[i].error_message = delete_message(call, g, id, error);
        if (error == KERR_NONE) {
            /* One batch a group: of a group's deletion all or nothing is in the log. */
            group_tombstones(p, g);
            error = records_append(p);
        }
        to->results[i].error_code = (int16_t)error;
    }
    answer(p, call);
}
