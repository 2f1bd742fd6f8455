/* Heartbeat (key 12): a member lives, and learns that a rebalance has begun. */
#include "group/internal.h"

void heartbeat(struct group_partition *p, struct group_call *call)
{
    const struct heartbeat_request *r = call->request;
    struct group *g = group_find(p, r->group_id);
    enum kerr error;

    if (r->group_id.n <= 0)
        error = KERR_INVALID_GROUP_ID;
    else if (g == NULL || g->kind != GROUP_CLASSIC)
        error = KERR_UNKNOWN_MEMBER_ID;
    else
        error = member_check(g, r->member_id, r->group_instance_id);
    if (error == KERR_NONE && r->generation_id != g->generation)
        error = KERR_ILLEGAL_GENERATION;
    if (error == KERR_NONE) {
        session_restart(p, member_find(g, r->member_id));
        if (g->state == GROUP_PREPARING)
            error = KERR_REBALANCE_IN_PROGRESS;
    }
    ((struct heartbeat_response *)call->response)->error_code = (int16_t)error;
    answer(p, call);
}
