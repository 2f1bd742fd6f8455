/* JoinGroup (key 11): be a member of the next generation. */
#include "group/internal.h"

#include <stdio.h>

static void join_refuse(struct group_partition *p, struct group_call *call, enum kerr error,
                        struct str member_id)
{
    response_fail(call, error);
    ((struct join_group_response *)call->response)->member_id = arena_str(call->arena, member_id);
    answer(p, call);
}

/* group.max.size. While a rebalance is prepared, those count who are there. */
static bool has_room(const struct group_partition *p, const struct group *g, struct str member_id)
{
    const struct member *m = member_find(g, member_id);
    uint32_t size_max = (uint32_t)p->settings.size_max;

    if (g->state == GROUP_EMPTY)
        return true;
    if (g->state == GROUP_PREPARING)
        return (m != NULL && m->joined) || g->joined < size_max;
    return m != NULL || g->members.count < size_max;
}

/* NAME-xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx, as Kafka's. */
static struct str new_member_id(struct group_partition *p, const struct group_call *call,
                                struct str instance_id)
{
    struct uuid u = uuid_random(p->prng);
    struct str name = str_is_null(instance_id) ? call->client_id : instance_id;

    return arena_printf(call->arena, "%.*s-%08x-%04x-%04x-%04x-%04x%08x", STR_ARG(name),
                        get_u32(u.b), get_u16(u.b + 4), get_u16(u.b + 6), get_u16(u.b + 8),
                        get_u16(u.b + 10), get_u32(u.b + 12));
}

/* What the request says of its member. */
static void member_update(struct group_partition *p, struct member *m, struct group_call *call)
{
    const struct join_group_request *r = call->request;

    /* The same member asks again on another connection: the older question is not answered
     * otherwise. */
    join_answer(p, m, KERR_REBALANCE_IN_PROGRESS, false);
    member_set_protocols(m, r->protocols, r->protocols_count);
    m->session_timeout_ms = r->session_timeout_ms;
    m->rebalance_timeout_ms = call->api_version == 0 || r->rebalance_timeout_ms < 0
                                  ? r->session_timeout_ms
                                  : r->rebalance_timeout_ms;
    m->join = call;
    call->waiter = m;
    member_set_joined(m, true);
}

static void add_member(struct group_partition *p, struct group *g, struct group_call *call,
                       struct str member_id)
{
    const struct join_group_request *r = call->request;
    struct pending_member *pending = pending_find(g, member_id);
    struct member *m;

    if (pending != NULL)
        pending_remove(p, pending);
    if (g->members.count == 0) {
        free_str(&g->protocol_type);
        g->protocol_type = own_str(r->protocol_type);
    }
    m = member_add(g, member_id, r->group_instance_id, call->client_id, call->client_host);
    m->is_new = true;
    if (g->state == GROUP_PREPARING && g->first_rebalance)
        g->member_added = true;
    member_update(p, m, call);
    timer_set(p, &m->session, NEW_MEMBER_TIMEOUT_MS);
    rebalance_prepare(p, g);
}

/* A restarted static member takes the place of its predecessor, if possible without a rebalance
 * (KIP-345, KIP-814). */
static void replace_static(struct group_partition *p, struct group_call *call, struct member *m)
{
    struct group *g = m->group;
    enum kerr error;
    struct str old_id = arena_str(call->arena, m->id);
    struct str old_leader = arena_str(call->arena, g->leader == NULL ? STR("") : g->leader->id);

    join_answer(p, m, KERR_FENCED_INSTANCE_ID, false);
    sync_answer(p, m, KERR_FENCED_INSTANCE_ID);
    member_rename(m, new_member_id(p, call, m->instance_id));
    member_update(p, m, call);
    session_restart(p, m);
    if (g->state != GROUP_STABLE) {
        if (g->state == GROUP_COMPLETING)
            rebalance_prepare(p, g);
        else
            rebalance_maybe_joined(p, g);
        return;
    }
    if (!str_equal(group_select_protocol(g), g->protocol)) {
        rebalance_prepare(p, g);
        return;
    }
    member_set_joined(m, false);
    record_group(p, g, NULL);
    error = records_append(p);
    if (error != KERR_NONE) {
        m->join = NULL;
        member_rename(m, old_id);
        join_refuse(p, call, error, STR(""));
        return;
    }
    m->join = NULL;
    /* A leader that learns that it leads would assign anew. Version 9 can tell it not to; before,
     * it is told the leader's former id. */
    join_answer_to(p, call, m, call->api_version >= 9 && g->leader == m, g->leader == m);
    if (call->api_version < 9)
        ((struct join_group_response *)call->response)->leader = old_leader;
}

static void join_new(struct group_partition *p, struct group *g, struct group_call *call)
{
    const struct join_group_request *r = call->request;
    struct str member_id = new_member_id(p, call, r->group_instance_id);
    struct member *holder =
        str_is_null(r->group_instance_id) ? NULL : member_static_find(g, r->group_instance_id);

    if (holder != NULL) {
        replace_static(p, call, holder);
        return;
    }
    if (call->api_version < 4 || !str_is_null(r->group_instance_id)) {
        add_member(p, g, call, member_id);
        return;
    }
    /* KIP-394: the member has to show that it got its id, so that repeated joins do not leave
     * ghosts. */
    timer_set(p, &pending_add(g, member_id)->timer, r->session_timeout_ms);
    join_refuse(p, call, KERR_MEMBER_ID_REQUIRED, member_id);
}

static void rejoin(struct group_partition *p, struct member *m, struct group_call *call)
{
    const struct join_group_request *r = call->request;
    struct group *g = m->group;
    bool same = member_protocols_equal(m, r->protocols, r->protocols_count);

    /* It may not have got its answer: the generation goes on. A leader that joins wants to assign
     * anew. */
    if (same && (g->state == GROUP_COMPLETING || (g->state == GROUP_STABLE && g->leader != m))) {
        join_answer_to(p, call, m, g->state == GROUP_COMPLETING && g->leader == m, false);
        return;
    }
    member_update(p, m, call);
    rebalance_prepare(p, g);
}

static void join_known(struct group_partition *p, struct group *g, struct group_call *call)
{
    const struct join_group_request *r = call->request;
    enum kerr error;

    if (pending_find(g, r->member_id) != NULL && str_is_null(r->group_instance_id)) {
        add_member(p, g, call, r->member_id);
        return;
    }
    error = member_check(g, r->member_id, r->group_instance_id);
    if (error != KERR_NONE)
        join_refuse(p, call, error, r->member_id);
    else
        rejoin(p, member_find(g, r->member_id), call);
}

static void turn_away(struct group_partition *p, struct group *g, struct group_call *call)
{
    const struct join_group_request *r = call->request;
    struct member *m = member_find(g, r->member_id);
    struct pending_member *pending = pending_find(g, r->member_id);

    if (m != NULL)
        member_remove(p, m);
    if (pending != NULL)
        pending_remove(p, pending);
    join_refuse(p, call, KERR_GROUP_MAX_SIZE_REACHED, STR(""));
    rebalance_maybe_joined(p, g);
}

/* A group is in the log before its first member is told of it. */
static struct group *group_create(struct group_partition *p, struct group_call *call)
{
    const struct join_group_request *r = call->request;
    struct group *g = group_get(p, r->group_id);
    enum kerr error;

    record_group(p, g, NULL);
    error = records_append(p);
    if (error == KERR_NONE)
        return g;
    group_free(p, g);
    join_refuse(p, call, error, r->member_id);
    return NULL;
}

void join_group(struct group_partition *p, struct group_call *call)
{
    const struct join_group_request *r = call->request;
    struct group *g = group_find(p, r->group_id);
    bool is_new = r->member_id.n == 0;

    if (r->group_id.n <= 0)
        join_refuse(p, call, KERR_INVALID_GROUP_ID, r->member_id);
    else if (r->session_timeout_ms < p->settings.session_timeout_min_ms ||
             r->session_timeout_ms > p->settings.session_timeout_max_ms)
        join_refuse(p, call, KERR_INVALID_SESSION_TIMEOUT, r->member_id);
    else if (g == NULL && !is_new)
        join_refuse(p, call, KERR_UNKNOWN_MEMBER_ID, r->member_id);
    else if (g == NULL && (r->protocol_type.n <= 0 || r->protocols_count <= 0))
        join_refuse(p, call, KERR_INCONSISTENT_GROUP_PROTOCOL, r->member_id);
    else if (g == NULL && (g = group_create(p, call)) == NULL)
        return;
    else if (g->kind != GROUP_CLASSIC)
        join_refuse(p, call, KERR_INCONSISTENT_GROUP_PROTOCOL, r->member_id);
    else if (!has_room(p, g, r->member_id))
        turn_away(p, g, call);
    else if (!group_accepts_protocols(g, r->protocol_type, r->protocols, r->protocols_count))
        join_refuse(p, call, KERR_INCONSISTENT_GROUP_PROTOCOL, r->member_id);
    else if (is_new)
        join_new(p, g, call);
    else
        join_known(p, g, call);
}
