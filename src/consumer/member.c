/* What a member does next. */
#include "consumer/member_internal.h"

/* The longest wait before a join is tried again: retry_ms times 2 to this. */
#define RETRY_SHIFT_MAX 4
/* Tries of one join that need no wait in between: a member id, a lost generation, a rebalance that began anew. */
#define AT_ONCE_MAX 4

void member_init(struct member *m, const struct member_settings *settings)
{
    *m = (struct member){.settings = *settings, .generation = -1};
}

void member_deinit(struct member *m)
{
    tp_set_free(&m->owned);
    tp_set_free(&m->next);
    tp_set_free(&m->change);
    tp_set_free(&m->lost);
}

void member_move(struct member *m, enum member_state state)
{
    m->state = state;
    m->told = false;
}

bool member_is_in(const struct member *m)
{
    switch (m->state) {
    case MEMBER_GIVING_UP:
    case MEMBER_SHEDDING:
    case MEMBER_TAKING:
    case MEMBER_STABLE:
        return m->generation >= 0;
    default:
        return false;
    }
}

/* ---- giving up ------------------------------------------------------------------------------ */

void member_forget(struct member *m, bool id_too)
{
    m->generation = -1;
    m->heartbeat_in_flight = false;
    m->heartbeat_ticket++;
    if (id_too)
        m->id[0] = 0;
    tp_set_free(&m->next);
    if (m->owned.count == 0)
        return;
    tp_set_free(&m->lost); /* told before anything else can be owned: so there is none that is not told */
    m->lost = m->owned;
    m->lost_told = false;
    m->owned = (struct tp_set){0};
}

void member_restart(struct member *m, int64_t now_ns)
{
    if (m->attempt < AT_ONCE_MAX)
        m->retry_ns = now_ns;
    else
        m->retry_ns = now_ns + m->settings.retry_ms * NS_PER_MS;
    m->attempt++;
    member_move(m, m->leaving ? MEMBER_LEAVING : MEMBER_UNJOINED);
}

void member_fail(struct member *m, int16_t code)
{
    member_forget(m, false);
    m->failure = code;
    member_move(m, MEMBER_FAILED);
}

void member_retry(struct member *m, int64_t now_ns)
{
    int64_t wait_ms = m->settings.retry_ms << (m->attempt < RETRY_SHIFT_MAX ? m->attempt : RETRY_SHIFT_MAX);

    m->attempt++;
    m->retry_ns = now_ns + wait_ms * NS_PER_MS;
    member_move(m, MEMBER_UNJOINED);
}

/* Before JoinGroup (B2): all, where the protocol is eager. Cooperative members keep what they have. */
static void begin_join(struct member *m, int64_t now_ns)
{
    m->rejoin = false;
    m->retry_ns = now_ns;
#ifdef MUTANT_CONSUMER_EAGER_KEEPS
    if (true) {
#else
    if (m->settings.cooperative || m->owned.count == 0) {
#endif
        member_move(m, MEMBER_UNJOINED);
        return;
    }
    m->until_ns = now_ns + m->settings.rebalance_ms * NS_PER_MS;
    member_move(m, MEMBER_GIVING_UP);
}

/* To leave. */
static void give_up_all(struct member *m, int64_t now_ns)
{
    tp_set_free(&m->next);
    m->until_ns = now_ns + m->settings.rebalance_ms * NS_PER_MS;
    member_move(m, m->owned.count == 0 ? MEMBER_LEAVING : MEMBER_GIVING_UP);
}

void member_spare(struct member *m, const struct tp_set *parts)
{
    struct tp_set left;

    if (m->lost_told)
        return;
    left = tp_set_cut(&m->lost, parts, false);
    tp_set_free(&m->lost);
    m->lost = left;
}

void member_gave_up(struct member *m)
{
    if (m->state == MEMBER_GIVING_UP) {
        tp_set_free(&m->owned);
        member_move(m, m->leaving ? MEMBER_LEAVING : MEMBER_UNJOINED);
    } else if (m->state == MEMBER_SHEDDING) {
        struct tp_set kept = tp_set_cut(&m->owned, &m->next, true);
        tp_set_free(&m->owned);
        m->owned = kept;
        m->rejoin = !m->leaving; /* KIP-429: now the leader may give to others what was given up */
        member_move(m, MEMBER_TAKING);
    }
}

void member_took(struct member *m, int64_t now_ns)
{
    if (m->state != MEMBER_TAKING)
        return;
    m->attempt = 0;
    m->polled_ns = now_ns; /* the time for polls begins anew with the assignment */
    member_move(m, MEMBER_STABLE);
}

void member_assigned(struct member *m)
{
    if (m->state == MEMBER_ASSIGNING)
        member_move(m, MEMBER_SYNCING);
}

/* ---- wishes --------------------------------------------------------------------------------- */

void member_subscribe(struct member *m, int64_t now_ns)
{
    bool has_left = m->state == MEMBER_LEAVING && m->told;

    m->polled_ns = now_ns;
    m->leaving = m->away = false;
    if (has_left)
        m->id[0] = 0;
    if (m->state == MEMBER_OUT || m->state == MEMBER_LEAVING || m->state == MEMBER_AWAY ||
        m->state == MEMBER_FAILED)
        begin_join(m, now_ns);
    else
        m->rejoin = true;
}

void member_rejoin(struct member *m)
{
    m->rejoin = true;
}

void member_leave(struct member *m, int64_t now_ns)
{
    m->away = false; /* who is leaving because it sleeps does not come back either */
    if (m->state == MEMBER_OUT || m->state == MEMBER_LEAVING)
        return;
    m->leaving = true;
    m->rejoin = false;
    if (m->state == MEMBER_GIVING_UP || m->state == MEMBER_SHEDDING || m->state == MEMBER_TAKING)
        return; /* when the caller has answered what it was told */
    give_up_all(m, now_ns);
}

void member_drop(struct member *m)
{
    tp_set_free(&m->owned);
    tp_set_free(&m->next);
    tp_set_free(&m->lost);
    m->leaving = true;
    m->away = false;
    if (m->state != MEMBER_OUT && m->state != MEMBER_LEAVING)
        member_move(m, MEMBER_LEAVING);
}

void member_polled(struct member *m, int64_t now_ns)
{
    m->polled_ns = now_ns;
}

/* ---- what is due ---------------------------------------------------------------------------- */

static void wait_until(struct member_out *out, int64_t at_ns)
{
    if (at_ns < out->at_ns)
        out->at_ns = at_ns;
}

static void send(struct member *m, enum member_act act, struct member_out *out)
{
    m->told = true;
    out->act = act;
    out->ticket = ++m->join_ticket;
}

/* Something for the caller of the consumer, who has a time for it. */
static void tell(struct member *m, enum member_act act, const struct tp_set *parts, struct member_out *out)
{
    m->told = true;
    out->act = act;
    out->parts = parts;
    out->at_ns = m->until_ns;
}

/* KIP-62: who does not poll for so long is not alive; others shall have its partitions. */
static bool is_asleep(struct member *m, int64_t now_ns, struct member_out *out)
{
    int64_t at_ns = m->polled_ns + m->settings.rebalance_ms * NS_PER_MS;

    if (now_ns < at_ns)
        wait_until(out, at_ns);
    return now_ns >= at_ns;
}

static void fall_asleep(struct member *m)
{
    member_forget(m, false);
    m->away = true;
    member_move(m, MEMBER_LEAVING);
}

void member_left(struct member *m, uint32_t ticket)
{
    if (m->state != MEMBER_LEAVING || ticket != m->join_ticket)
        return;
    member_forget(m, !m->settings.is_static);
    member_move(m, m->away ? MEMBER_AWAY : MEMBER_OUT);
    m->leaving = m->away = false;
}

/* A static member keeps its place until its session ends (KIP-345). */
static void leave_next(struct member *m, struct member_out *out)
{
    if (m->told)
        return;
    if (m->id[0] != 0 && !m->settings.is_static) {
        send(m, MEMBER_SEND_LEAVE, out);
        return;
    }
    m->told = true;
    member_left(m, m->join_ticket);
}

/* What of the owned is not in the new assignment. */
static void shed_next(struct member *m, int64_t now_ns, struct member_out *out)
{
    if (m->told)
        return;
    tp_set_free(&m->change);
    m->change = tp_set_cut(&m->owned, &m->next, false);
    m->until_ns = now_ns + m->settings.rebalance_ms * NS_PER_MS;
    if (m->change.count == 0)
        member_move(m, MEMBER_TAKING);
    else
        tell(m, MEMBER_REVOKE, &m->change, out);
}

static void take_next(struct member *m, int64_t now_ns, struct member_out *out)
{
    if (m->told)
        return;
    tp_set_free(&m->change);
    m->change = tp_set_cut(&m->next, &m->owned, false);
    tp_set_free(&m->owned);
    m->owned = m->next;
    m->next = (struct tp_set){0};
    m->until_ns = now_ns + m->settings.rebalance_ms * NS_PER_MS;
    tell(m, MEMBER_TAKE, &m->change, out);
}

static void unjoined_next(struct member *m, int64_t now_ns, struct member_out *out)
{
    if (now_ns < m->retry_ns) {
        wait_until(out, m->retry_ns);
        return;
    }
    member_move(m, MEMBER_JOINING);
    send(m, MEMBER_SEND_JOIN, out);
}

static void stable_next(struct member *m, int64_t now_ns, struct member_out *out)
{
    if (m->leaving)
        give_up_all(m, now_ns);
    else if (m->rejoin)
        begin_join(m, now_ns);
    else if (is_asleep(m, now_ns, out))
        fall_asleep(m);
}

static void state_next(struct member *m, int64_t now_ns, struct member_out *out)
{
    switch (m->state) {
    case MEMBER_UNJOINED:
        unjoined_next(m, now_ns, out);
        return;
    case MEMBER_GIVING_UP:
        if (!m->told)
            tell(m, MEMBER_REVOKE, &m->owned, out);
        return;
    case MEMBER_ASSIGNING:
        if (!m->told)
            tell(m, MEMBER_ASSIGN, NULL, out);
        return;
    case MEMBER_SYNCING:
        if (!m->told)
            send(m, MEMBER_SEND_SYNC, out);
        return;
    case MEMBER_SHEDDING:
        shed_next(m, now_ns, out);
        return;
    case MEMBER_TAKING:
        take_next(m, now_ns, out);
        return;
    case MEMBER_STABLE:
        stable_next(m, now_ns, out);
        return;
    case MEMBER_LEAVING:
        leave_next(m, out);
        return;
    case MEMBER_AWAY:
        if (!is_asleep(m, now_ns, out))
            begin_join(m, now_ns);
        return;
    case MEMBER_FAILED:
        if (!m->told)
            tell(m, MEMBER_FAIL, NULL, out);
        return;
    case MEMBER_OUT:
    case MEMBER_JOINING:
        return;
    }
}

/* B4: also while the caller gives up or takes. */
static void heartbeat_next(struct member *m, int64_t now_ns, struct member_out *out)
{
    if (!member_is_in(m) || m->heartbeat_in_flight)
        return;
    if (now_ns < m->heartbeat_ns) {
        wait_until(out, m->heartbeat_ns);
        return;
    }
    m->heartbeat_in_flight = true;
    m->heartbeat_ns = now_ns + m->settings.heartbeat_ms * NS_PER_MS;
    out->act = MEMBER_SEND_HEARTBEAT;
    out->ticket = ++m->heartbeat_ticket;
}

void member_next(struct member *m, int64_t now_ns, struct member_out *out)
{
    enum member_state before;

    *out = (struct member_out){.act = MEMBER_WAIT, .at_ns = NEVER_NS};
    if (m->lost.count > 0 && !m->lost_told) {
        m->lost_told = true;
        out->act = MEMBER_LOSE;
        out->parts = &m->lost;
        return;
    }
    do {
        before = m->state;
        state_next(m, now_ns, out);
    } while (out->act == MEMBER_WAIT && m->state != before && (m->lost.count == 0 || m->lost_told));
    if (out->act == MEMBER_WAIT && m->lost.count > 0 && !m->lost_told) {
        member_next(m, now_ns, out);
        return;
    }
    if (out->act == MEMBER_WAIT)
        heartbeat_next(m, now_ns, out);
}
