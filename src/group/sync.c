/* SyncGroup (key 14): what the leader assigned. */
#include "group/internal.h"

static enum kerr sync_check(const struct group *g, const struct sync_group_request *r)
{
    enum kerr error;

    if (g == NULL || g->kind != GROUP_CLASSIC || g->state == GROUP_EMPTY)
        return KERR_UNKNOWN_MEMBER_ID;
    error = member_check(g, r->member_id, r->group_instance_id);
    if (error != KERR_NONE)
        return error;
    if (r->generation_id != g->generation)
        return KERR_ILLEGAL_GENERATION;
    /* KIP-559; null from who does not know. */
    if ((!str_is_null(r->protocol_type) && !str_equal(r->protocol_type, g->protocol_type)) ||
        (!str_is_null(r->protocol_name) && !str_equal(r->protocol_name, g->protocol)))
        return KERR_INCONSISTENT_GROUP_PROTOCOL;
    return g->state == GROUP_PREPARING ? KERR_REBALANCE_IN_PROGRESS : KERR_NONE;
}

/* The leader has assigned: all who wait are answered when that is committed (G1, G2). */
static void assign(struct group_partition *p, struct group *g, const struct sync_group_request *r)
{
    enum kerr error;

    record_group(p, g, r);
    error = records_append(p);
    if (error != KERR_NONE) {
        sync_answer_all(p, g, error);
        rebalance_prepare(p, g);
        return;
    }
    group_enter(p, g, GROUP_STABLE);
    sync_answer_all(p, g, KERR_NONE);
}

void sync_group(struct group_partition *p, struct group_call *call)
{
    const struct sync_group_request *r = call->request;
    struct group *g = group_find(p, r->group_id);
    enum kerr error = r->group_id.n <= 0 ? KERR_INVALID_GROUP_ID : sync_check(g, r);
    struct member *m;

    if (error != KERR_NONE) {
        group_refuse(p, call, error);
        return;
    }
    m = member_find(g, r->member_id);
    /* The same member asks again on another connection. */
    sync_answer(p, m, KERR_REBALANCE_IN_PROGRESS);
    m->sync = call;
    call->waiter = m;
    sync_arrived(p, m);
    if (g->state == GROUP_STABLE)
        sync_answer(p, m, KERR_NONE);
    else if (g->leader == m)
        assign(p, g, r);
}
