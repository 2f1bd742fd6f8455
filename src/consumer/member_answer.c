/* What the coordinator's answers mean for a member. */
#include "consumer/member_internal.h"

#include <stdio.h>

static bool is_fatal(int16_t code)
{
    enum consumer_advice advice = advice_of(code);

    return advice == CONSUMER_REPAIR || advice == CONSUMER_GIVE_UP;
}

/* An error that JoinGroup, SyncGroup and Heartbeat have in common. */
static void take_error(struct member *m, int64_t now_ns, int16_t code)
{
    if (is_fatal(code)) {
        member_fail(m, code);
        return;
    }
    switch (code) {
    case KERR_UNKNOWN_MEMBER_ID:
        member_forget(m, true);
        member_restart(m, now_ns);
        return;
    case KERR_ILLEGAL_GENERATION:
        member_forget(m, false);
        member_restart(m, now_ns);
        return;
    default: /* the coordinator moves, loads, or cannot be reached: nothing is known to be lost */
        member_retry(m, now_ns);
    }
}

void member_joined(struct member *m, int64_t now_ns, uint32_t ticket, const struct member_joined *a)
{
    if (m->state != MEMBER_JOINING || ticket != m->join_ticket)
        return;
    if (a->member_id.n >= MEMBER_ID_MAX) {
        member_retry(m, now_ns);
        return;
    }
    if (a->code == KERR_MEMBER_ID_REQUIRED && a->member_id.n > 0) { /* KIP-394 */
        snprintf(m->id, sizeof m->id, "%.*s", STR_ARG(a->member_id));
        member_restart(m, now_ns);
        return;
    }
    if (a->code != KERR_NONE) {
        take_error(m, now_ns, a->code);
        return;
    }
    if (a->generation < 0) { /* that is none */
        member_retry(m, now_ns);
        return;
    }
    snprintf(m->id, sizeof m->id, "%.*s", STR_ARG(a->member_id));
    m->generation = a->generation;
    m->leads = a->leads;
    m->heartbeat_in_flight = false;
    m->heartbeat_ticket++;
    member_move(m, a->leads ? MEMBER_ASSIGNING : MEMBER_SYNCING);
}

void member_synced(struct member *m, int64_t now_ns, uint32_t ticket, int16_t code, const struct tp_set *given)
{
    if (m->state != MEMBER_SYNCING || ticket != m->join_ticket)
        return;
    if (code == KERR_REBALANCE_IN_PROGRESS) {
        member_restart(m, now_ns);
        return;
    }
    if (code != KERR_NONE) {
        take_error(m, now_ns, code);
        return;
    }
    tp_set_free(&m->next);
    m->next = tp_set_of(given->items, given->count);
    m->heartbeat_ns = now_ns + m->settings.heartbeat_ms * NS_PER_MS;
    member_move(m, MEMBER_SHEDDING);
}

/* The generation ended behind our back. */
static void thrown_out(struct member *m, int64_t now_ns, int16_t code)
{
    if (is_fatal(code)) {
        member_fail(m, code);
    } else {
        member_forget(m, code == KERR_UNKNOWN_MEMBER_ID);
        member_restart(m, now_ns);
    }
}

void member_heard(struct member *m, int64_t now_ns, uint32_t ticket, int16_t code)
{
#ifndef MUTANT_CONSUMER_OLD_HEARTBEAT
    if (!m->heartbeat_in_flight || ticket != m->heartbeat_ticket)
        return; /* of a generation before, or nobody waits for it any more */
#endif
    m->heartbeat_in_flight = false;
    if (!member_is_in(m))
        return;
    if (is_fatal(code) || code == KERR_UNKNOWN_MEMBER_ID || code == KERR_ILLEGAL_GENERATION) {
        thrown_out(m, now_ns, code);
        return;
    }
    if (code == KERR_REBALANCE_IN_PROGRESS && m->state != MEMBER_GIVING_UP)
        m->rejoin = true;
    if (code != KERR_NONE && code != KERR_REBALANCE_IN_PROGRESS) /* ask again soon: the session runs */
        m->heartbeat_ns = now_ns + m->settings.retry_ms * NS_PER_MS;
}

void member_refused(struct member *m, int64_t now_ns, int32_t generation, int16_t code)
{
    if (generation != m->generation || !member_is_in(m))
        return;
    if (code == KERR_UNKNOWN_MEMBER_ID || code == KERR_ILLEGAL_GENERATION || code == KERR_FENCED_INSTANCE_ID)
        thrown_out(m, now_ns, code);
}
