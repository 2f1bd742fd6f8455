/* The member as a pure machine: single walks, then random histories against a model of the coordinator, in which
 * answers are lost, come late, twice or never, members fall asleep, and the coordinator forgets. */
#include "check.h"
#include "consumer/member.h"

#include <stdio.h>
#include <stdlib.h>

#define MS NS_PER_MS
#define PARTITIONS 6
#define MEMBERS 3

static const struct member_settings eager = {
    .session_ms = 3000,
    .rebalance_ms = 10000,
    .heartbeat_ms = 300,
    .retry_ms = 50,
};

static struct tp_set partitions(const int32_t *numbers, uint32_t count)
{
    struct consumer_partition p[PARTITIONS];

    for (uint32_t i = 0; i < count; i++)
        p[i] = (struct consumer_partition){STR("t"), numbers[i]};
    return tp_set_of(p, count);
}

static enum member_act next(struct member *m, int64_t now_ns, struct member_out *out)
{
    member_next(m, now_ns, out);
    return out->act;
}

/* Join and sync alone, with all of `numbers`. */
static void settle(struct member *m, int64_t now_ns, int32_t generation, const int32_t *numbers, uint32_t count)
{
    struct member_joined joined = {.member_id = STR("m-1"), .generation = generation};
    struct tp_set given = partitions(numbers, count);
    struct member_out out;

    CHECK_EQ(next(m, now_ns, &out), MEMBER_SEND_JOIN);
    member_joined(m, now_ns, out.ticket, &joined);
    CHECK_EQ(next(m, now_ns, &out), MEMBER_SEND_SYNC);
    member_synced(m, now_ns, out.ticket, KERR_NONE, &given);
    tp_set_free(&given);
}

static const int32_t some[] = {0, 1, 2, 3};

TEST(consumer_member, eager_member_gives_all_up_before_it_joins_again)
{
    struct member_out out;
    struct member m;

    member_init(&m, &eager);
    CHECK_EQ(next(&m, 0, &out), MEMBER_WAIT);
    member_subscribe(&m, 0);
    settle(&m, 0, 1, some, 3);
    CHECK_EQ(next(&m, 0, &out), MEMBER_TAKE);
    CHECK_EQ(out.parts->count, 3);
    member_took(&m, 0);
    CHECK_EQ(m.state, MEMBER_STABLE);
    member_rejoin(&m);
    CHECK_EQ(next(&m, 0, &out), MEMBER_REVOKE);
    CHECK_EQ(out.parts->count, 3);
    CHECK_EQ(next(&m, 0, &out), MEMBER_WAIT); /* for the caller */
    CHECK_EQ(next(&m, 300 * MS, &out), MEMBER_SEND_HEARTBEAT); /* and keeps its place meanwhile */
    member_gave_up(&m);
    CHECK_EQ(m.owned.count, 0);
    CHECK_EQ(next(&m, 0, &out), MEMBER_SEND_JOIN);
    member_deinit(&m);
}

/* It has not polled and is leaving for that; then the caller wants to leave for good, or to close. */
TEST(consumer_member, who_leaves_in_its_sleep_does_not_come_back)
{
    for (int close = 0; close < 2; close++) {
        struct member_out out;
        struct member m;
        member_init(&m, &eager);
        member_subscribe(&m, 0);
        settle(&m, 0, 1, some, 3);
        CHECK_EQ(next(&m, 0, &out), MEMBER_TAKE);
        member_took(&m, 0);
        int64_t late_ns = (eager.rebalance_ms + 1) * MS;
        while (next(&m, late_ns, &out) != MEMBER_SEND_LEAVE)
            CHECK(out.act == MEMBER_SEND_HEARTBEAT || out.act == MEMBER_LOSE);
        uint32_t ticket = out.ticket;
        if (close)
            member_drop(&m);
        else
            member_leave(&m, late_ns);
        member_left(&m, ticket);
        CHECK_EQ(m.state, MEMBER_OUT);
        member_polled(&m, late_ns);
        CHECK_EQ(next(&m, late_ns, &out), MEMBER_WAIT);
        member_deinit(&m);
    }
}

TEST(consumer_member, cooperative_member_gives_up_what_goes_and_joins_once_more)
{
    static const int32_t fewer[] = {1, 4};
    struct member_settings cooperative = eager;
    struct member_out out;
    struct member m;

    cooperative.cooperative = true;
    member_init(&m, &cooperative);
    member_subscribe(&m, 0);
    settle(&m, 0, 1, some, 3);
    CHECK_EQ(next(&m, 0, &out), MEMBER_TAKE);
    member_took(&m, 0);
    member_rejoin(&m);
    settle(&m, 0, 2, fewer, 2); /* joins with all that it has */
    CHECK_EQ(next(&m, 0, &out), MEMBER_REVOKE);
    CHECK_EQ(out.parts->count, 2);
    CHECK_EQ(out.parts->items[0].partition, 0);
    CHECK_EQ(out.parts->items[1].partition, 2);
    member_gave_up(&m);
    CHECK_EQ(next(&m, 0, &out), MEMBER_TAKE);
    CHECK_EQ(out.parts->count, 1);
    CHECK_EQ(out.parts->items[0].partition, 4);
    CHECK_EQ(m.owned.count, 2);
    member_took(&m, 0);
    CHECK_EQ(next(&m, 0, &out), MEMBER_SEND_JOIN); /* what it gave up is free now */
    member_deinit(&m);
}

TEST(consumer_member, answer_of_an_older_generation_is_not_believed)
{
    struct member_out out;
    uint32_t old;
    struct member m;

    member_init(&m, &eager);
    member_subscribe(&m, 0);
    settle(&m, 0, 1, some, 1);
    CHECK_EQ(next(&m, 0, &out), MEMBER_TAKE);
    member_took(&m, 0);
    CHECK_EQ(next(&m, 300 * MS, &out), MEMBER_SEND_HEARTBEAT);
    old = out.ticket;
    member_rejoin(&m);
    CHECK_EQ(next(&m, 300 * MS, &out), MEMBER_REVOKE);
    member_gave_up(&m);
    settle(&m, 300 * MS, 2, some, 2);
    CHECK_EQ(next(&m, 300 * MS, &out), MEMBER_TAKE);
    member_took(&m, 300 * MS);
    CHECK_EQ(next(&m, 700 * MS, &out), MEMBER_SEND_HEARTBEAT); /* of the new one, in flight */
    member_heard(&m, 700 * MS, old, KERR_ILLEGAL_GENERATION);
    CHECK_EQ(m.state, MEMBER_STABLE);
    CHECK_EQ(m.owned.count, 2);
    member_heard(&m, 700 * MS, out.ticket, KERR_ILLEGAL_GENERATION);
    CHECK_EQ(next(&m, 700 * MS, &out), MEMBER_LOSE);
    CHECK_EQ(out.parts->count, 2);
    member_deinit(&m);
}

TEST(consumer_member, refused_commit_of_an_older_generation_is_not_believed)
{
    struct member_out out;
    struct member m;

    member_init(&m, &eager);
    member_subscribe(&m, 0);
    settle(&m, 0, 5, some, 2);
    CHECK_EQ(next(&m, 0, &out), MEMBER_TAKE);
    member_took(&m, 0);
    member_refused(&m, 0, 4, KERR_ILLEGAL_GENERATION);
    CHECK_EQ(m.owned.count, 2);
    member_refused(&m, 0, 5, KERR_ILLEGAL_GENERATION);
    CHECK_EQ(m.owned.count, 0);
    CHECK_EQ(next(&m, 0, &out), MEMBER_LOSE);
    CHECK_EQ(next(&m, 0, &out), MEMBER_SEND_JOIN);
    CHECK_TEXT(m.id, "m-1"); /* it is known still */
    member_deinit(&m);
}

TEST(consumer_member, fatal_answers_end_the_membership_once)
{
    static const int16_t codes[] = {KERR_FENCED_INSTANCE_ID, KERR_GROUP_AUTHORIZATION_FAILED,
                                    KERR_INCONSISTENT_GROUP_PROTOCOL, KERR_GROUP_MAX_SIZE_REACHED};
    struct member_out out;

    for (uint32_t i = 0; i < array_count(codes); i++) {
        struct member_joined joined = {.code = codes[i], .member_id = STR("")};
        struct member m;
        member_init(&m, &eager);
        member_subscribe(&m, 0);
        CHECK_EQ(next(&m, 0, &out), MEMBER_SEND_JOIN);
        member_joined(&m, 0, out.ticket, &joined);
        CHECK_EQ(next(&m, 0, &out), MEMBER_FAIL);
        CHECK_EQ(m.failure, codes[i]);
        CHECK_EQ(next(&m, 1000000 * MS, &out), MEMBER_WAIT);
        member_deinit(&m);
    }
}

/* ---- random histories -------------------------------------------------------------------------------- */

/* One group as its coordinator has it. Its rules are Kafka's, its assignment is drawn at random. */
struct seat {
    char id[24];               /* "" = free */
    bool joined;               /* waits in this rebalance */
    uint32_t ticket;           /* of its JoinGroup or SyncGroup that waits */
    uint32_t actor;
    int64_t heard_ns;
};
enum phase { EMPTY, PREPARING, COMPLETING, STABLE };
struct coordinator {
    enum phase phase;
    int32_t generation;
    int64_t until_ns;
    struct seat seats[2 * MEMBERS + 4];
    int32_t owner[PARTITIONS]; /* seat; -1 = nobody */
    uint32_t ids;
};

struct reply {
    bool used;
    int64_t at_ns;
    enum member_act act;
    uint32_t actor, ticket;
    int16_t code;
    char id[24];
    int32_t generation;
    bool leads;
    int32_t numbers[PARTITIONS];
    uint32_t count;
};

struct actor {
    struct member m;
    struct tp_set told;        /* what the caller was told that it has */
    enum member_act asked;
    int64_t consent_ns;
    bool asleep;
};

struct world {
    struct prng g;
    uint64_t seed;
    int64_t now_ns;
    struct coordinator c;
    struct actor actors[MEMBERS];
    struct reply answers[64];
    bool calm, cooperative;
    uint32_t takes;
};

#define BROKEN(w, ...)                                                                              \
    do {                                                                                            \
        fprintf(stderr, "seed %" PRIu64 " at %" PRId64 " ms: ", (w)->seed, (w)->now_ns / MS);       \
        check_fail(__FILE__, __LINE__, __VA_ARGS__);                                                \
    } while (0)

static bool chance(struct world *w, uint32_t percent)
{
    return prng_below(&w->g, 100) < percent;
}

static struct reply *answer(struct world *w, uint32_t actor, enum member_act act, uint32_t ticket, int16_t code)
{
    for (uint32_t i = 0; i < array_count(w->answers); i++) {
        struct reply *a = &w->answers[i];
        if (a->used)
            continue;
        *a = (struct reply){.used = true, .at_ns = w->now_ns + (int64_t)(1 + prng_below(&w->g, 20)) * MS, .act = act,
                             .actor = actor, .ticket = ticket, .code = code};
        if (!w->calm && chance(w, 10))
            a->code = KERR_NETWORK_EXCEPTION; /* the answer is lost; what it was about has happened */
        return a;
    }
    BROKEN(w, "too many answers under way");
}

static struct seat *seat_of(struct world *w, const char *id)
{
    for (uint32_t i = 0; id[0] != 0 && i < array_count(w->c.seats); i++) {
        if (strcmp(w->c.seats[i].id, id) == 0)
            return &w->c.seats[i];
    }
    return NULL;
}

static void prepare(struct world *w)
{
    if (w->c.phase == COMPLETING || w->c.phase == STABLE) { /* those who wait for their share join again */
        for (uint32_t i = 0; i < array_count(w->c.seats); i++) {
            struct seat *s = &w->c.seats[i];
            if (s->id[0] != 0 && s->ticket != 0)
                answer(w, s->actor, MEMBER_SEND_SYNC, s->ticket, KERR_REBALANCE_IN_PROGRESS);
            s->ticket = 0;
        }
    }
    if (w->c.phase != PREPARING) {
        w->c.until_ns = w->now_ns + 2000 * MS;
        for (uint32_t i = 0; i < array_count(w->c.seats); i++)
            w->c.seats[i].joined = false;
    }
    w->c.phase = PREPARING;
}

static void leave_seat(struct world *w, struct seat *s)
{
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        if (w->c.owner[p] == s - w->c.seats)
            w->c.owner[p] = -1;
    }
    if (s->ticket != 0)
        answer(w, s->actor, s->joined ? MEMBER_SEND_JOIN : MEMBER_SEND_SYNC, s->ticket, KERR_UNKNOWN_MEMBER_ID);
    s->id[0] = 0;
    s->joined = false;
    s->ticket = 0;
    prepare(w);
}

static void on_join(struct world *w, uint32_t actor, uint32_t ticket)
{
    struct member *m = &w->actors[actor].m;
    struct seat *s = seat_of(w, m->id);

    if (m->id[0] != 0 && s == NULL) {
        answer(w, actor, MEMBER_SEND_JOIN, ticket, KERR_UNKNOWN_MEMBER_ID);
        return;
    }
    if (s == NULL) {
        for (s = w->c.seats; s < w->c.seats + array_count(w->c.seats) && s->id[0] != 0;)
            s++;
        if (s == w->c.seats + array_count(w->c.seats)) {
            answer(w, actor, MEMBER_SEND_JOIN, ticket, KERR_COORDINATOR_NOT_AVAILABLE);
            return;
        }
        snprintf(s->id, sizeof s->id, "m-%u", ++w->c.ids);
        s->actor = actor;
        s->heard_ns = w->now_ns;
        snprintf(answer(w, actor, MEMBER_SEND_JOIN, ticket, KERR_MEMBER_ID_REQUIRED)->id, sizeof s->id, "%s", s->id);
        return;
    }
    if (!w->cooperative && m->owned.count > 0)
        BROKEN(w, "an eager member joins with partitions"); /* B2 */
    prepare(w);
    s->joined = true;
    s->ticket = ticket;
    s->heard_ns = w->now_ns;
}

static void on_sync(struct world *w, uint32_t actor, uint32_t ticket)
{
    struct member *m = &w->actors[actor].m;
    struct seat *s = seat_of(w, m->id);

    if (s == NULL)
        answer(w, actor, MEMBER_SEND_SYNC, ticket, KERR_UNKNOWN_MEMBER_ID);
    else if (m->generation != w->c.generation)
        answer(w, actor, MEMBER_SEND_SYNC, ticket, KERR_ILLEGAL_GENERATION);
    else if (w->c.phase == PREPARING)
        answer(w, actor, MEMBER_SEND_SYNC, ticket, KERR_REBALANCE_IN_PROGRESS);
    else
        s->ticket = ticket;
    if (s != NULL && w->c.phase == COMPLETING && m->leads)
        w->c.phase = STABLE; /* the leader's word: the rest is told by coordinate() */
}

static void on_heartbeat(struct world *w, uint32_t actor, uint32_t ticket)
{
    struct member *m = &w->actors[actor].m;
    struct seat *s = seat_of(w, m->id);
    int16_t code = KERR_NONE;

    if (s == NULL)
        code = KERR_UNKNOWN_MEMBER_ID;
    else if (m->generation != w->c.generation)
        code = KERR_ILLEGAL_GENERATION;
    else if (w->c.phase == PREPARING)
        code = KERR_REBALANCE_IN_PROGRESS;
    if (s != NULL)
        s->heard_ns = w->now_ns;
    answer(w, actor, MEMBER_SEND_HEARTBEAT, ticket, code);
}

/* The leader's choice, a seat; -1 = nobody. Cooperative: a partition goes to nobody while its owner of before has not
 * given it up. */
static int32_t choose(struct world *w, int32_t p)
{
    struct consumer_partition id = {STR("t"), p};
    int32_t owner = -1, to;

    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct seat *s = seat_of(w, w->actors[i].m.id);
        if (s != NULL && tp_set_has(&w->actors[i].m.owned, id))
            owner = (int32_t)(s - w->c.seats);
    }
    if (owner >= 0 && w->cooperative && (w->calm || chance(w, 60)))
        return owner;
    do {
        to = (int32_t)prng_below(&w->g, array_count(w->c.seats));
    } while (w->c.seats[to].id[0] == 0);
    return w->cooperative && owner >= 0 && owner != to ? -1 : to;
}

/* Seats that did not come in time go; the others get a new generation. */
static void complete(struct world *w)
{
    struct seat *leader = NULL;
    uint32_t count = 0;

    for (uint32_t i = 0; i < array_count(w->c.seats); i++) {
        struct seat *s = &w->c.seats[i];
        if (s->id[0] != 0 && !s->joined)
            leave_seat(w, s);
        if (s->id[0] != 0 && leader == NULL)
            leader = s;
        count += s->id[0] != 0;
    }
    w->c.generation++;
    w->c.phase = count == 0 ? EMPTY : COMPLETING;
    w->c.until_ns = w->now_ns + 2000 * MS;
    for (uint32_t i = 0; i < array_count(w->c.seats); i++) {
        struct seat *s = &w->c.seats[i];
        struct reply *a;
        if (s->id[0] == 0)
            continue;
        a = answer(w, s->actor, MEMBER_SEND_JOIN, s->ticket, KERR_NONE);
        snprintf(a->id, sizeof a->id, "%s", s->id);
        a->generation = w->c.generation;
        a->leads = s == leader;
        s->ticket = 0;
        s->heard_ns = w->now_ns;
    }
    for (uint32_t p = 0; p < PARTITIONS && count > 0; p++)
        w->c.owner[p] = choose(w, (int32_t)p);
}

static void coordinate(struct world *w)
{
    bool all = true, any = false;

    for (uint32_t i = 0; i < array_count(w->c.seats); i++) {
        struct seat *s = &w->c.seats[i];
        if (s->id[0] != 0 && s->ticket == 0 && w->now_ns - s->heard_ns > eager.session_ms * MS)
            leave_seat(w, s);
        if (s->id[0] != 0) {
            any = true;
            all = all && s->joined;
        }
        if (w->c.phase == STABLE && s->id[0] != 0 && s->ticket != 0) {
            struct reply *a = answer(w, s->actor, MEMBER_SEND_SYNC, s->ticket, KERR_NONE);
            for (int32_t p = 0; p < PARTITIONS; p++) {
                if (w->c.owner[p] == (int32_t)i)
                    a->numbers[a->count++] = p;
            }
            a->generation = w->c.generation;
            s->ticket = 0;
        }
    }
    if (w->c.phase == PREPARING && ((any && all) || w->now_ns >= w->c.until_ns))
        complete(w);
    if (w->c.phase == COMPLETING && w->now_ns >= w->c.until_ns)
        prepare(w);
}

/* ---- the members, and their callers ------------------------------------------------------------------ */

/* T7: what the callers of two members of one generation have does not overlap. */
static void check_owners(struct world *w)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct actor *a = &w->actors[i];
        for (uint32_t k = i + 1; k < MEMBERS; k++) {
            struct actor *b = &w->actors[k];
            struct tp_set both = tp_set_cut(&a->told, &b->told, true);
            if (both.count > 0 && a->m.generation == b->m.generation && a->m.generation >= 0 && member_is_in(&a->m) &&
                member_is_in(&b->m))
                BROKEN(w, "two members have t-%d in generation %d", both.items[0].partition, a->m.generation);
            tp_set_free(&both);
        }
    }
}

static void take_away(struct actor *a, const struct tp_set *parts)
{
    struct tp_set kept = tp_set_cut(&a->told, parts, false);

    tp_set_free(&a->told);
    a->told = kept;
}

static void add(struct world *w, struct actor *a, const struct tp_set *parts)
{
    struct consumer_partition all[2 * PARTITIONS];
    struct tp_set now;
    uint32_t n = 0;

    for (uint32_t i = 0; i < a->told.count; i++)
        all[n++] = a->told.items[i];
    for (uint32_t i = 0; i < parts->count; i++) {
        if (tp_set_has(&a->told, parts->items[i]))
            BROKEN(w, "t-%d is assigned twice", parts->items[i].partition);
        all[n++] = parts->items[i];
    }
    now = tp_set_of(all, n);
    tp_set_free(&a->told);
    a->told = now;
    w->takes++;
}

static void act(struct world *w, uint32_t i, const struct member_out *out)
{
    struct actor *a = &w->actors[i];
    bool lost = !w->calm && chance(w, 8);

    switch (out->act) {
    case MEMBER_SEND_JOIN:
    case MEMBER_SEND_SYNC:
    case MEMBER_SEND_HEARTBEAT:
        if (lost) { /* the request is: after a while the caller hears so */
            answer(w, i, out->act, out->ticket, KERR_NETWORK_EXCEPTION)->at_ns += 500 * MS;
            return;
        }
        if (out->act == MEMBER_SEND_JOIN)
            on_join(w, i, out->ticket);
        else if (out->act == MEMBER_SEND_SYNC)
            on_sync(w, i, out->ticket);
        else
            on_heartbeat(w, i, out->ticket);
        return;
    case MEMBER_SEND_LEAVE:
        if (!lost && seat_of(w, a->m.id) != NULL)
            leave_seat(w, seat_of(w, a->m.id));
        answer(w, i, out->act, out->ticket, KERR_NONE);
        return;
    case MEMBER_REVOKE:
    case MEMBER_TAKE:
        if (out->act == MEMBER_TAKE)
            add(w, a, out->parts);
        a->asked = out->act;
        a->consent_ns = w->now_ns + (int64_t)prng_below(&w->g, 200) * MS;
        return;
    case MEMBER_ASSIGN:
        member_assigned(&a->m);
        return;
    case MEMBER_LOSE:
        take_away(a, out->parts);
        a->asked = MEMBER_WAIT;
        return;
    default:
        BROKEN(w, "member %u: act %d", i, out->act);
    }
}

static void hear(struct world *w, const struct reply *a)
{
    struct member *m = &w->actors[a->actor].m;
    struct member_joined joined = {a->code, str_of(a->id), a->generation, a->leads};
    struct tp_set given = partitions(a->numbers, a->count);

    switch (a->act) {
    case MEMBER_SEND_JOIN:
        member_joined(m, w->now_ns, a->ticket, &joined);
        break;
    case MEMBER_SEND_SYNC:
        member_synced(m, w->now_ns, a->ticket, a->code, &given);
        break;
    case MEMBER_SEND_HEARTBEAT:
        member_heard(m, w->now_ns, a->ticket, a->code);
        break;
    default:
        member_left(m, a->ticket);
    }
    tp_set_free(&given);
}

static void step(struct world *w)
{
    w->now_ns += 5 * MS;
    coordinate(w);
    for (uint32_t i = 0; i < array_count(w->answers); i++) {
        struct reply a = w->answers[i];
        if (!a.used || a.at_ns > w->now_ns)
            continue;
        w->answers[i].used = !w->calm && chance(w, 3); /* the same answer once more, later */
        w->answers[i].at_ns += 700 * MS;
        hear(w, &a);
    }
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct actor *a = &w->actors[i];
        struct member_out out;
        if (!w->calm && chance(w, 1) && chance(w, 10))
            a->asleep = !a->asleep;
        if (w->calm)
            a->asleep = false;
        if (!a->asleep)
            member_polled(&a->m, w->now_ns);
        if (a->asked != MEMBER_WAIT && !a->asleep && w->now_ns >= a->consent_ns) {
            enum member_act asked = a->asked;
            a->asked = MEMBER_WAIT;
            if (asked == MEMBER_TAKE) {
                member_took(&a->m, w->now_ns);
            } else {
                take_away(a, a->m.state == MEMBER_GIVING_UP ? &a->m.owned : &a->m.change);
                member_gave_up(&a->m);
            }
        }
        if (!w->calm && chance(w, 1) && chance(w, 5))
            member_rejoin(&a->m);
        if (!w->calm && chance(w, 1) && chance(w, 3))
            member_leave(&a->m, w->now_ns);
        if (a->m.state == MEMBER_OUT && chance(w, w->calm ? 100 : 2))
            member_subscribe(&a->m, w->now_ns);
        do {
            member_next(&a->m, w->now_ns, &out);
            if (out.act != MEMBER_WAIT)
                act(w, i, &out);
        } while (out.act != MEMBER_WAIT);
    }
    if (!w->calm && chance(w, 1) && chance(w, 2) && w->c.phase == STABLE) { /* another coordinator knows less */
        for (uint32_t i = 0; i < array_count(w->c.seats); i++) {
            if (w->c.seats[i].id[0] != 0 && chance(w, 50))
                leave_seat(w, &w->c.seats[i]);
        }
    }
    check_owners(w);
}

static bool is_settled(struct world *w)
{
    uint32_t owned = 0;

    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (w->actors[i].m.state != MEMBER_STABLE || w->actors[i].m.rejoin ||
            !tp_set_equal(&w->actors[i].told, &w->actors[i].m.owned))
            return false;
        owned += w->actors[i].m.owned.count;
    }
    return owned == PARTITIONS && w->c.phase == STABLE;
}

static void history(uint64_t seed, bool cooperative)
{
    struct member_settings settings = eager;
    struct world w = {.seed = seed, .cooperative = cooperative};

    prng_init(&w.g, seed);
    settings.cooperative = cooperative;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        w.c.owner[p] = -1;
    for (uint32_t i = 0; i < MEMBERS; i++)
        member_init(&w.actors[i].m, &settings);
    for (int i = 0; i < 8000; i++)
        step(&w);
    w.calm = true;
    for (int i = 0; i < 40000 && !is_settled(&w); i++)
        step(&w);
    if (!is_settled(&w))
        BROKEN(&w, "it does not settle: %d %d %d, coordinator %d", w.actors[0].m.state, w.actors[1].m.state,
               w.actors[2].m.state, w.c.phase);
    CHECK(w.takes > 3);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        tp_set_free(&w.actors[i].told);
        member_deinit(&w.actors[i].m);
    }
}

TEST(consumer_member, eager_members_settle_after_any_history_and_never_share)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        history(seed, false);
}

TEST(consumer_member, cooperative_members_settle_after_any_history_and_never_share)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        history(seed, true);
}
