/* Random histories of a partition with three to five brokers, and what must be true after each event. */
#include "cluster.h"

#define EVENTS 1000

/* Which histories: what a broker may lose, and how leaders are found. */
struct kind {
    bool disks_are_lost, unclean, old_fetch;
};

/* ---- what must be true ------------------------------------------------------------------------ */

static bool same(const struct cluster *c, const struct model_log *log, int64_t end)
{
    size_t n = (size_t)(end < c->committed_end ? end : c->committed_end) * sizeof c->committed[0];

    return memcmp(c->committed, log->value, n) == 0;
}

/* The mark never goes back while one leads. */
static void check_marks(struct cluster *c, struct broker *b)
{
    int32_t epoch = b->r.role == REPLICATION_LEADER ? b->r.leader_epoch : -1;

    MUST_BE(c, b->r.high_watermark >= 0 && b->r.high_watermark <= b->log.end);
    if (epoch >= 0 && epoch == b->mark_epoch)
        MUST_BE(c, b->r.high_watermark >= b->mark);
    b->mark = b->r.high_watermark;
    b->mark_epoch = epoch;
}

/* What some leader's mark has passed stays for ever. */
static void check_committed(struct cluster *c)
{
    const struct news *now = controller_now(c);

    for (int32_t id = 1; id <= c->broker_count; id++) {
        const struct broker *b = &c->brokers[id];
        for (int64_t at = c->committed_end; b->up && b->r.role == REPLICATION_LEADER && at < b->r.high_watermark; at++)
            c->committed[c->committed_end++] = b->log.value[at];
    }
    for (int32_t id = 1; id <= c->broker_count; id++) {
        const struct broker *b = &c->brokers[id];
        MUST_BE(c, !b->up || b->r.high_watermark <= c->committed_end);
        MUST_BE(c, !b->up || same(c, &b->log, b->r.high_watermark));
    }
    for (int32_t i = 0; i < now->isr_count; i++) {
        const struct model_log *log = &c->brokers[now->isr[i]].log;
        MUST_BE(c, log->stable >= c->committed_end);
        MUST_BE(c, same(c, log, c->committed_end));
    }
}

static void check(struct cluster *c)
{
    for (int32_t id = 1; id <= c->broker_count; id++) {
        if (c->brokers[id].up)
            check_marks(c, &c->brokers[id]);
    }
    if (!c->unclean)
        check_committed(c);
}

/* Equal offset and epoch: equal bytes. */
static void check_equal(struct cluster *c)
{
    for (int32_t i = 1; i <= c->broker_count; i++) {
        for (int32_t k = i + 1; k <= c->broker_count; k++) {
            const struct model_log *a = &c->brokers[i].log, *b = &c->brokers[k].log;
            for (int64_t at = 0; at < a->end && at < b->end; at++)
                MUST_BE(c, a->epoch[at] != b->epoch[at] || a->value[at] == b->value[at]);
        }
    }
}

/* ---- events ----------------------------------------------------------------------------------- */

/* Not while it alone is in sync: then its records would be gone, whoever replicates. */
static bool may_lose_disk(const struct cluster *c, int32_t id)
{
    const struct news *n = controller_now(c);

    return n->isr_count > 1 || n->isr[0] != id;
}

static void crash_or_start(struct cluster *c, const struct kind *kind, int32_t id)
{
    struct broker *b = &c->brokers[id];

    bool disk_is_lost = kind->disks_are_lost && below(c, 2) == 0 && may_lose_disk(c, id);

    if (!b->up) {
        broker_start(c, id);
        return;
    }
    broker_crash(c, id, disk_is_lost);
    if (below(c, 3) > 0)
        return;
    broker_start(c, id); /* so soon that letters of the process before are still under way */
    controller_unfence(c, id);
    if (controller_now(c)->leader > 0)
        broker_learn(c, controller_now(c)->leader, c->news_count - 1);
}

static void fence_or_unfence(struct cluster *c, int32_t id)
{
    struct broker *b = &c->brokers[id];

    if (controller_now(c)->brokers[id].eligible) {
        if (below(c, 3) == 0)
            controller_fence(c, id);
    } else if (b->up && b->seen >= b->registered) {
        controller_unfence(c, id);
    }
}

static void deliver_some(struct cluster *c)
{
    if (c->letter_count > 0)
        letter_deliver(c, below(c, c->letter_count));
}

static void lose_some(struct cluster *c)
{
    if (c->letter_count == 0 || below(c, 2) == 0)
        return;
    uint32_t i = below(c, c->letter_count);
    c->letters[i] = c->letters[--c->letter_count];
}

static void settle_some(struct cluster *c, int32_t id)
{
    const struct model_log *log = &c->brokers[id].log;
    int64_t unstable = log->end - log->stable;

    broker_settle(c, id, below(c, 2) == 0 ? log->end : log->stable + below(c, (uint32_t)unstable + 1));
}

static void control(struct cluster *c, const struct kind *kind)
{
    if (kind->unclean && controller_now(c)->leader < 0)
        controller_elect_unclean(c);
    else if (below(c, 3) == 0)
        controller_reassign(c);
    else
        controller_elect(c);
}

static void event(struct cluster *c, const struct kind *kind)
{
    int32_t id = 1 + (int32_t)below(c, (uint32_t)c->broker_count);
    struct broker *b = &c->brokers[id];
    uint32_t unseen = c->news_count - 1 - b->seen, what = below(c, 1000);

    c->now_ms += below(c, 40);
    if (what < 120)
        broker_append(c, below(c, 4) > 0 && controller_now(c)->leader > 0 ? controller_now(c)->leader : id);
    else if (what < 300)
        settle_some(c, id);
    else if (what < 470)
        broker_fetch(c, id);
    else if (what < 800)
        deliver_some(c);
    else if (what < 920)
        broker_learn(c, id, b->seen + (unseen == 0 ? 0 : 1 + below(c, unseen)));
    else if (what < 945)
        broker_tick(c, id);
    else if (what < 965)
        broker_propose(c, id);
    else if (what < 980)
        lose_some(c);
    else if (what < 987)
        fence_or_unfence(c, id);
    else if (what < 992)
        crash_or_start(c, kind, id);
    else if (what < 995)
        control(c, kind);
    else
        b->saved_mark = b->up ? b->r.high_watermark : b->saved_mark;
}

/* ---- a history -------------------------------------------------------------------------------- */

static void begin(struct cluster *c, uint64_t seed, const struct kind *kind)
{
    *c = (struct cluster){.seed = seed, .now_ms = 1, .unclean = kind->unclean, .old_fetch = kind->old_fetch};
    prng_init(&c->g, seed);
    c->broker_count = 3 + (int32_t)below(c, BROKERS - 2);
    controller_begin(c);
    for (int32_t id = 1; id <= c->broker_count; id++)
        broker_start(c, id);
    for (int32_t id = 1; id <= c->broker_count; id++)
        controller_unfence(c, id);
}

static void all_work(struct cluster *c)
{
    for (int32_t id = 1; id <= c->broker_count; id++) {
        struct broker *b = &c->brokers[id];
        broker_learn(c, id, c->news_count - 1);
        broker_settle(c, id, b->log.end);
        broker_propose(c, id);
        if (!b->asked)
            broker_fetch(c, id);
    }
    while (c->letter_count > 0) {
        letter_deliver(c, 0);
        check(c);
    }
}

static bool is_settled(const struct cluster *c)
{
    const struct news *n = controller_now(c);
    const struct broker *leader = &c->brokers[n->leader < 0 ? 0 : n->leader];

    if (n->leader < 0 || n->isr_count < n->replica_count || n->recovery != REPLICATION_RECOVERED)
        return false;
    for (int32_t i = 0; i < n->replica_count; i++) {
        const struct broker *b = &c->brokers[n->replicas[i]];
        if (b->log.end != leader->log.end || b->r.high_watermark != leader->log.end)
            return false;
    }
    return leader->r.role == REPLICATION_LEADER && replication_isr_size(&leader->r) == (uint32_t)n->replica_count;
}

/* Nothing fails any more: soon all are equal, and in sync. */
static void settle(struct cluster *c)
{
    c->letter_count = 0;
    for (int32_t id = 1; id <= c->broker_count; id++) {
        if (!c->brokers[id].up)
            broker_start(c, id);
        c->brokers[id].asked = false;
        if (!controller_now(c)->brokers[id].eligible)
            controller_unfence(c, id);
    }
    for (int round = 0; !is_settled(c); round++) {
        MUST_BE(c, round < 400);
        if (round % 20 == 19)
            c->now_ms += LAG_MS;
        all_work(c);
        for (int32_t id = 1; round % 10 == 9 && id <= c->broker_count; id++)
            broker_tick(c, id);
    }
    check_equal(c);
}

static void play(struct cluster *c, uint64_t seed, const struct kind *kind)
{
    begin(c, seed, kind);
    for (int i = 0; i < EVENTS; i++) {
        event(c, kind);
        check(c);
        if (i % 50 == 0)
            check_equal(c);
    }
    settle(c);
}

static void play_all(uint64_t seeds, const struct kind *kind)
{
    static struct cluster c;
    struct cluster sum = {0};

    for (uint64_t seed = 1; seed <= seeds; seed++) {
        play(&c, seed, kind);
        sum.acked += c.acked;
        sum.elections += c.elections;
        sum.expansions += c.expansions;
        sum.shrinks += c.shrinks;
        sum.cuts += c.cuts;
        sum.unclean_elections += c.unclean_elections;
        sum.refused += c.refused;
        sum.rolled_back += c.rolled_back;
    }
    CHECK(sum.acked > 3 * seeds);
    CHECK(sum.elections > 3 * seeds);
    CHECK(sum.expansions > seeds);
    CHECK(sum.shrinks > seeds / 10);
    CHECK(sum.cuts > seeds / 10);
    CHECK(sum.refused > seeds / 10);
    CHECK(sum.rolled_back > seeds / 10);
    CHECK_EQ(sum.unclean_elections > seeds / 20, kind->unclean);
}

TEST(replication_histories, what_is_committed_survives_crashes_elections_and_lost_letters)
{
    play_all(3000, &(struct kind){0});
}

TEST(replication_histories, what_is_committed_survives_brokers_that_come_back_without_their_disk)
{
    play_all(3000, &(struct kind){.disks_are_lost = true});
}

TEST(replication_histories, fetches_that_say_no_broker_epoch_do_as_long_as_disks_hold)
{
    play_all(500, &(struct kind){.old_fetch = true});
}

TEST(replication_histories, replicas_become_equal_also_after_unclean_elections)
{
    play_all(1500, &(struct kind){.disks_are_lost = true, .unclean = true});
}
