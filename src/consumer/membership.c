/* Carries out what the member decides: requests, and what the caller is told and consents to. */
#include "consumer/membership.h"

#include <stdio.h>
#include <stdlib.h>

/* The least time for a last commit. */
#define LAST_COMMIT_MS_MIN 1000

/* ---- what the caller is told ------------------------------------------------------------------ */

static void tell(struct membership *g, enum consumer_event_kind kind, const struct tp_set *parts, bool wants_consent)
{
    struct consumer_event e = {
        .kind = kind,
        .partitions = parts->items,
        .count = parts->count,
        .generation = g->member.generation,
        .consent = wants_consent ? g->asked_number : 0,
        .until_ns = wants_consent ? g->asked_until_ns : NEVER_NS,
        .offset = -1,
    };

    consumer_tell(g->consumer, &e);
}

static void ask_caller(struct membership *g, enum member_act act, const struct member_out *out)
{
    g->asked = act;
    g->asked_number++;
    g->asked_until_ns = out->at_ns;
    g->consented = !g->consumer->settings.rebalance_wait;
    g->committing = false;
    tp_set_free(&g->asked_parts);
    g->asked_parts = tp_set_of(out->parts->items, out->parts->count);
    if (act == MEMBER_REVOKE) {
        for (uint32_t i = 0; i < g->asked_parts.count; i++) {
            struct part *p = part_find(g->consumer, g->asked_parts.items[i]);
#ifdef MUTANT_CONSUMER_READS_REVOKED
            p = NULL;
#endif
            if (p != NULL)
                pieces_drop(p);
            if (p != NULL)
                p->leaving = true;
        }
        tell(g, CONSUMER_REVOKED, &g->asked_parts, g->consumer->settings.rebalance_wait);
        return;
    }
    {
        struct tp_set all = tp_set_of(g->member.owned.items, g->member.owned.count);
        consumer_set_assigned(g->consumer, &all);
    }
    tp_set_free(&g->last);
    g->last = tp_set_of(g->member.owned.items, g->member.owned.count);
    g->last_generation = g->member.generation;
    tell(g, CONSUMER_ASSIGNED, &g->asked_parts, g->consumer->settings.rebalance_wait);
}

static void take_away(struct membership *g, const struct tp_set *parts)
{
    struct tp_set kept = tp_set_cut(&g->consumer->assigned, parts, false);

    consumer_set_assigned(g->consumer, &kept);
}

static void gave_up(struct consumer *c)
{
    struct membership *g = c->group;

    g->asked = MEMBER_WAIT;
    take_away(g, &g->asked_parts);
    member_spare(&g->member, &g->asked_parts);
    member_gave_up(&g->member);
    consumer_poke(c);
}

static void last_commit_ended(struct consumer *c, int64_t result)
{
    if (c->group != NULL && c->group->asked == MEMBER_REVOKE && c->group->committing)
        gave_up(c);
}

/* The caller has consented, or its time is over. */
static void go_on(struct membership *g)
{
    struct consumer *c = g->consumer;
    int64_t left_ms = (g->asked_until_ns - io_now_ns(c->io)) / NS_PER_MS;

    if (g->asked == MEMBER_TAKE) {
        g->asked = MEMBER_WAIT;
        member_took(&g->member, io_now_ns(c->io));
        return;
    }
    g->consented = true; /* also by its time: what was told as REVOKED is not told as LOST any more */
    if (!c->settings.enable_auto_commit || !commit_is_due(c)) {
        gave_up(c);
        return;
    }
    g->committing = true;
    if (left_ms > c->settings.default_api_timeout_ms)
        left_ms = c->settings.default_api_timeout_ms;
    commit_done(c, left_ms < LAST_COMMIT_MS_MIN ? LAST_COMMIT_MS_MIN : left_ms, last_commit_ended);
}

static void asked_pump(struct membership *g)
{
    struct consumer *c = g->consumer;

    if (g->asked == MEMBER_WAIT || g->committing)
        return;
    if (g->consented || io_now_ns(c->io) >= g->asked_until_ns)
        go_on(g);
    else
        consumer_wake_at(c, g->asked_until_ns);
}

/* Whatever was asked is over. What the caller has given up already is not told again. */
static void lose(struct membership *g, const struct tp_set *parts)
{
    struct tp_set nothing = {0}, told;

    told = tp_set_cut(parts, g->asked == MEMBER_REVOKE && g->consented ? &g->asked_parts : &nothing, false);
    g->asked = MEMBER_WAIT;
    g->committing = false;
    take_away(g, parts);
    if (told.count > 0)
        tell(g, CONSUMER_LOST, &told, false);
    tp_set_free(&told);
}

static void fail(struct membership *g)
{
    struct consumer *c = g->consumer;
    struct consumer_event e = {.kind = CONSUMER_GROUP_ERROR, .generation = -1, .offset = -1};

    c->stopped = true;
    error_code(&c->group_error, g->member.failure, advice_of(g->member.failure), "group %.*s: the membership has ended",
               STR_ARG(c->settings.group_id));
    e.error = c->group_error;
    consumer_tell(c, &e);
}

/* ---- the pump ------------------------------------------------------------------------------- */

static void act(struct membership *g, const struct member_out *out)
{
    switch (out->act) {
    case MEMBER_SEND_JOIN:
        membership_assign_end(g);
        membership_send_join(g, out->ticket);
        return;
    case MEMBER_SEND_SYNC:
        membership_send_sync(g, out->ticket);
        return;
    case MEMBER_SEND_HEARTBEAT:
        membership_send_heartbeat(g, out->ticket);
        return;
    case MEMBER_SEND_LEAVE:
        membership_send_leave(g, out->ticket);
        return;
    case MEMBER_REVOKE:
    case MEMBER_TAKE:
        ask_caller(g, out->act, out);
        return;
    case MEMBER_ASSIGN:
        membership_assign_begin(g);
        return;
    case MEMBER_LOSE:
        lose(g, out->parts);
        return;
    case MEMBER_FAIL:
        fail(g);
        return;
    case MEMBER_WAIT:
        return;
    }
}

void membership_pump(struct consumer *c)
{
    struct membership *g = c->group;
    struct member_out out;
    struct op *left;

    if (g == NULL)
        return;
    do {
        asked_pump(g);
        membership_assign_step(g);
        member_next(&g->member, io_now_ns(c->io), &out);
        act(g, &out);
    } while (out.act != MEMBER_WAIT || (g->asked != MEMBER_WAIT && g->consented && !g->committing));
    consumer_wake_at(c, out.at_ns);
    if (g->member.state != MEMBER_OUT)
        return;
    left = g->left;
    g->left = NULL;
    if (left != NULL)
        io_complete(c->io, left, 0);
    else if (list_empty(&g->calls) && !c->closing) { /* it has left: partitions may be assigned by hand now */
        c->group = NULL;
        membership_free(g);
    }
}

/* ---- for the rest of the consumer ------------------------------------------------------------- */

struct membership *membership_new(struct consumer *c)
{
    const struct consumer_settings *s = &c->settings;
    struct membership *g = calloc(1, sizeof *g);
    struct member_settings settings = {
        .session_ms = s->session_timeout_ms,
        .rebalance_ms = s->max_poll_interval_ms,
        .heartbeat_ms = s->heartbeat_interval_ms,
        .retry_ms = s->client.retry_backoff_ms,
        .is_static = !str_is_null(s->group_instance_id),
    };

    ASSERT(g != NULL);
    g->consumer = c;
    g->last_generation = -1;
    g->reason = STR_NULL;
    list_init(&g->calls);
    for (uint32_t i = 0; i < s->assignor_count; i++) {
        if (assignor_find(s->assignors[i], &g->assignors[g->assignor_count]))
            g->assignor_count++;
    }
    settings.cooperative =
        rebalance_protocol_of(g->assignors, (int32_t)g->assignor_count) == REBALANCE_COOPERATIVE;
    member_init(&g->member, &settings);
    return g;
}

void membership_free(struct membership *g)
{
    if (g == NULL)
        return;
    ASSERT(list_empty(&g->calls));
    membership_assign_end(g);
    for (uint32_t i = 0; i < g->all_topics.count; i++)
        client_unwant(g->consumer->client, g->all_topics.items[i].topic);
    membership_subscribe_nothing(g);
    tp_set_free(&g->all_topics);
    tp_set_free(&g->last);
    tp_set_free(&g->asked_parts);
    member_deinit(&g->member);
    free(g);
}

bool membership_generation(const struct consumer *c, int32_t *generation, struct str *member_id)
{
    const struct member *m = c->group == NULL ? NULL : &c->group->member;

    *generation = -1;
    *member_id = STR("");
    if (m == NULL || c->manual)
        return true;
    /* Who closes does not wait for the next generation: until that begins the coordinator takes commits in this one. */
    if (!member_is_in(m) && (!c->closing || m->generation < 0))
        return false;
    *generation = m->generation;
    *member_id = str_of(m->id);
    return true;
}

void membership_commit_refused(struct consumer *c, int32_t generation, int16_t code)
{
    if (c->group != NULL)
        member_refused(&c->group->member, io_now_ns(c->io), generation, code);
}

void membership_rejoin(struct consumer *c, struct str reason)
{
    struct membership *g = c->group;

    if (g == NULL)
        return;
    snprintf(g->reason_text, sizeof g->reason_text, "%.*s", STR_ARG(reason));
    g->reason = str_of(g->reason_text);
    member_rejoin(&g->member);
    consumer_poke(c);
}

void membership_leave(struct consumer *c, struct op *left)
{
    struct membership *g = c->group;

    if (g == NULL || g->member.state == MEMBER_OUT) {
        io_complete(c->io, left, 0);
        return;
    }
    g->asked = MEMBER_WAIT;
    g->left = left;
    member_drop(&g->member);
    consumer_poke(c);
}

bool membership_is_joining(const struct consumer *c)
{
    return c->group != NULL && c->group->member.state != MEMBER_STABLE && c->group->member.state != MEMBER_OUT;
}
