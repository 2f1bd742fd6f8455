/* Rebalances: everybody joins, a generation begins, the leader assigns. Kafka's rules for the
 * classic protocol. */
#include "group/internal.h"

/* ---- answers to who waits ------------------------------------------------------------------- */

static void list_members(struct group_call *call, const struct group *g)
{
    struct join_group_response *r = call->response;

    r->members = arena_take_array(call->arena, g->members.count, sizeof(*r->members));
    r->members_count = 0;
    LIST_EACH (it, &g->order) {
        const struct member *m = container_of(it, struct member, in_order);
        struct join_group_response_members *to = &r->members[r->members_count++];

        join_group_response_members_init(to);
        to->member_id = arena_str(call->arena, m->id);
        to->group_instance_id = arena_str(call->arena, m->instance_id);
        to->metadata = arena_bytes(call->arena, member_metadata(m, g->protocol));
    }
}

void join_answer_to(struct group_partition *p, struct group_call *call, struct member *m,
                    bool with_members, bool skip_assignment)
{
    const struct group *g = m->group;
    struct join_group_response *r = call->response;

    join_group_response_init(r);
    r->generation_id = g->generation;
    r->protocol_type = arena_str(call->arena, g->protocol_type);
    r->protocol_name = arena_str(call->arena, g->protocol);
    if (call->api_version < 7 && str_is_null(r->protocol_name))
        r->protocol_name = STR("");
    r->leader = g->leader == NULL ? STR("") : arena_str(call->arena, g->leader->id);
    r->member_id = arena_str(call->arena, m->id);
    r->skip_assignment = call->api_version >= 9 && skip_assignment;
    if (with_members)
        list_members(call, g);
    answer(p, call);
}

void join_answer(struct group_partition *p, struct member *m, enum kerr error, bool skip_assignment)
{
    struct group_call *call = m->join;

    if (call == NULL)
        return;
    m->join = NULL;
    if (error == KERR_NONE) {
        join_answer_to(p, call, m, m->group->leader == m, skip_assignment);
        return;
    }
    response_fail(call, error);
    ((struct join_group_response *)call->response)->member_id =
        error == KERR_UNKNOWN_MEMBER_ID ? STR("") : arena_str(call->arena, m->id);
    answer(p, call);
}

void sync_answer(struct group_partition *p, struct member *m, enum kerr error)
{
    struct group_call *call = m->sync;

    if (call == NULL)
        return;
    m->sync = NULL;
    response_fail(call, error);
    if (error == KERR_NONE) {
        struct sync_group_response *r = call->response;

        r->protocol_type = arena_str(call->arena, m->group->protocol_type);
        r->protocol_name = arena_str(call->arena, m->group->protocol);
        if (m->assignment.n > 0)
            r->assignment = arena_bytes(call->arena, m->assignment);
    }
    answer(p, call);
}

void sync_answer_all(struct group_partition *p, struct group *g, enum kerr error)
{
    LIST_EACH (it, &g->order) {
        struct member *m = container_of(it, struct member, in_order);

        if (m->sync == NULL)
            continue;
        sync_answer(p, m, error);
        /* While it waited, its session was not watched. */
        session_restart(p, m);
    }
}

/* ---- sessions ------------------------------------------------------------------------------- */

void session_restart(struct group_partition *p, struct member *m)
{
    timer_set(p, &m->session, m->session_timeout_ms);
}

void rebalance_after_removal(struct group_partition *p, struct group *g)
{
    if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
        rebalance_prepare(p, g);
    else
        rebalance_maybe_joined(p, g);
}

void session_timer(struct group_partition *p, struct member *m)
{
    struct group *g = m->group;

    /* Who waits for us cannot send heartbeats; its session begins anew with the answer. A new one
     * that waits too long for its first join is dropped: it may be gone, and is to ask again. */
    if (!m->is_new && (m->joined || m->sync != NULL))
        return;
    say(p->telemetry, LOG_INFO, "group",
        "member %.*s of group %.*s sent no heartbeat for %d ms and is removed", STR_ARG(m->id),
        STR_ARG(g->id), m->session_timeout_ms);
    member_remove(p, m);
    rebalance_after_removal(p, g);
}

void pending_timer(struct group_partition *p, struct pending_member *m)
{
    struct group *g = m->group;

    pending_remove(p, m);
    rebalance_maybe_joined(p, g);
}

/* ---- the next generation -------------------------------------------------------------------- */

static void protocol_choose(struct group *g)
{
    struct str chosen = own_str(group_select_protocol(g));

    free_str(&g->protocol);
    g->protocol = chosen;
}

static void generation_begin(struct group_partition *p, struct group *g)
{
#ifndef MUTANT_GENERATION_STAYS
    g->generation = g->generation == INT32_MAX ? 1 : g->generation + 1;
#endif
    protocol_choose(g);
    LIST_EACH (it, &g->order)
        member_set_owes_sync(container_of(it, struct member, in_order), false);
}

/* Nobody is left: the generation that says so is written, so that a new coordinator does not wait
 * for them. */
static void become_empty(struct group_partition *p, struct group *g)
{
    enum kerr error;

    group_enter(p, g, GROUP_EMPTY);
    record_group(p, g, NULL);
    error = records_append(p);
    if (error != KERR_NONE)
        say(p->telemetry, LOG_WARN, "group",
            "that group %.*s is empty could not be written (%s): its last members would be waited "
            "for after a "
            "move of the coordinator",
            STR_ARG(g->id), kerr_name((int16_t)error));
}

static void become_completing(struct group_partition *p, struct group *g)
{
    group_enter(p, g, GROUP_COMPLETING);
    LIST_EACH (it, &g->order) {
        struct member *m = container_of(it, struct member, in_order);

        join_answer(p, m, KERR_NONE, false);
        member_set_joined(m, false);
        member_set_owes_sync(m, true);
        m->is_new = false;
        session_restart(p, m);
    }
    timer_set(p, &g->sync, group_rebalance_timeout_ms(g));
}

/* A leader that has joined; false when nobody has. */
static bool leader_choose(struct group *g)
{
    if (g->leader != NULL && g->leader->joined)
        return true;
    LIST_EACH (it, &g->order) {
        struct member *m = container_of(it, struct member, in_order);

        if (!m->joined)
            continue;
        g->leader = m;
        return true;
    }
    return false;
}

/* The join phase ends: those who are not there are out, but for static members, whose sessions
 * decide. */
static void join_phase_end(struct group_partition *p, struct group *g)
{
    timer_clear(p, &g->rebalance);
    LIST_EACH (it, &g->order) {
        struct member *m = container_of(it, struct member, in_order);
        if (!m->joined && str_is_null(m->instance_id))
            member_remove(p, m);
    }
    if (!leader_choose(g) && g->members.count > 0) {
        /* Only static members, none of them there: until their sessions end. */
        timer_set(p, &g->rebalance, group_rebalance_timeout_ms(g));
        g->first_rebalance = false;
        return;
    }
    generation_begin(p, g);
    g->first_rebalance = false;
    if (g->members.count == 0)
        become_empty(p, g);
    else
        become_completing(p, g);
}

static bool all_joined(const struct group *g)
{
    return g->joined == g->members.count && g->pending.count == 0;
}

void rebalance_maybe_joined(struct group_partition *p, struct group *g)
{
    if (g->state != GROUP_PREPARING)
        return;
    /* The first rebalance waits its time, unless nobody is left to wait for. */
    if (g->first_rebalance && g->members.count > 0)
        return;
    if (all_joined(g))
        join_phase_end(p, g);
}

static void first_rebalance_begin(struct group_partition *p, struct group *g)
{
    int64_t whole_ms = group_rebalance_timeout_ms(g);

    g->first_rebalance = true;
    g->member_added = false;
    g->delay_ms = p->settings.initial_rebalance_delay_ms;
    g->delay_left_ms = whole_ms > g->delay_ms ? whole_ms - g->delay_ms : 0;
    timer_set(p, &g->rebalance, g->delay_ms);
    group_enter(p, g, GROUP_PREPARING);
}

void rebalance_prepare(struct group_partition *p, struct group *g)
{
    if (g->state == GROUP_PREPARING) {
        rebalance_maybe_joined(p, g);
        return;
    }
    if (g->state == GROUP_COMPLETING) {
        LIST_EACH (it, &g->order)
            free_bytes(&container_of(it, struct member, in_order)->assignment);
        sync_answer_all(p, g, KERR_REBALANCE_IN_PROGRESS);
    }
    LIST_EACH (it, &g->order)
        member_set_owes_sync(container_of(it, struct member, in_order), false);
    timer_clear(p, &g->sync);
    if (g->state == GROUP_EMPTY) {
        first_rebalance_begin(p, g);
        return;
    }
    g->first_rebalance = false;
    group_enter(p, g, GROUP_PREPARING);
    if (all_joined(g))
        join_phase_end(p, g);
    else
        timer_set(p, &g->rebalance, group_rebalance_timeout_ms(g));
}

void rebalance_timer(struct group_partition *p, struct group *g)
{
    if (g->first_rebalance && g->member_added && g->delay_left_ms > 0) {
        int64_t passed_ms = g->delay_ms;

        /* Somebody came: others may follow. */
        g->member_added = false;
        g->delay_ms = p->settings.initial_rebalance_delay_ms < g->delay_left_ms
                          ? p->settings.initial_rebalance_delay_ms
                          : g->delay_left_ms;
        g->delay_left_ms = g->delay_left_ms > passed_ms ? g->delay_left_ms - passed_ms : 0;
        timer_set(p, &g->rebalance, g->delay_ms);
        return;
    }
    join_phase_end(p, g);
}

void rebalance_sync_timer(struct group_partition *p, struct group *g)
{
    ASSERT(g->state == GROUP_COMPLETING || g->state == GROUP_STABLE);
    if (g->owing == 0)
        return;
    LIST_EACH (it, &g->order) {
        struct member *m = container_of(it, struct member, in_order);
        if (m->owes_sync)
            member_remove(p, m);
    }
    rebalance_prepare(p, g);
}

void sync_arrived(struct group_partition *p, struct member *m)
{
    member_set_owes_sync(m, false);
    if (m->group->owing == 0)
        timer_clear(p, &m->group->sync);
}
