/* LeaveGroup (key 13): one member, or from version 3 several, also by instance id alone (an
 * administrator's). */
#include "group/internal.h"

static enum kerr leave_one(struct group_partition *p, struct group *g, struct str member_id,
                           struct str instance_id)
{
    struct pending_member *pending = pending_find(g, member_id);
    struct member *m = member_find(g, member_id);
    enum kerr error = KERR_NONE;

    if (member_id.n == 0) {
        m = str_is_null(instance_id) ? NULL : member_static_find(g, instance_id);
        if (m == NULL)
            error = KERR_UNKNOWN_MEMBER_ID;
    } else if (pending != NULL) {
        pending_remove(p, pending);
        return KERR_NONE;
    } else {
        error = member_check(g, member_id, instance_id);
    }
    if (error == KERR_NONE)
        member_remove(p, m);
    return error;
}

void leave_group(struct group_partition *p, struct group_call *call)
{
    const struct leave_group_request *r = call->request;
    struct leave_group_response *to = call->response;
    struct group *g = group_find(p, r->group_id);
    struct leave_group_request_members single = {.member_id = r->member_id,
                                                 .group_instance_id = STR_NULL};
    const struct leave_group_request_members *members =
        call->api_version >= 3 ? r->members : &single;
    int32_t count = call->api_version >= 3 ? r->members_count : 1;
    bool any = false;

    if (r->group_id.n <= 0) {
        group_refuse(p, call, KERR_INVALID_GROUP_ID);
        return;
    }
    to->members = arena_take_array(call->arena, (size_t)count, sizeof(*to->members));
    to->members_count = count;
    for (int32_t i = 0; i < count; i++) {
        struct leave_group_response_members *answered = &to->members[i];
        enum kerr error = g == NULL || g->kind != GROUP_CLASSIC
                              ? KERR_UNKNOWN_MEMBER_ID
                              : leave_one(p, g, members[i].member_id, members[i].group_instance_id);

        leave_group_response_members_init(answered);
        answered->member_id = members[i].member_id;
        answered->group_instance_id = members[i].group_instance_id;
        answered->error_code = (int16_t)error;
        any = any || error == KERR_NONE;
    }
    if (any)
        rebalance_after_removal(p, g);
    if (call->api_version < 3) {
        to->error_code = to->members[0].error_code;
        to->members_count = 0;
    }
    answer(p, call);
}
