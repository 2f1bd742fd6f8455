/* Groups and commits, with a real coordinator. */
#include "lab.h"

#include <stdio.h>

struct bed {
    struct lab lab;
    struct reader a, b;
    struct consumer_settings s;
    struct text out;
};

static void bed_open(struct bed *b, int32_t partitions)
{
    *b = (struct bed){0};
    lab_open(&b->lab, 1);
    lab_topic(&b->lab, "orders", partitions);
    b->s = reader_settings(&b->lab);
}

static void join(struct bed *b, struct reader *r)
{
    struct str topics[] = {STR("orders")};

    reader_open(r, &b->lab, &b->s);
    CHECK_EQ(consumer_subscribe(r->consumer, topics, 1, NULL), 0);
}

static void bed_end(struct bed *b)
{
    text_deinit(&b->out);
    if (b->a.consumer != NULL)
        CHECK_EQ(reader_close(&b->a), 0);
    if (b->b.consumer != NULL)
        CHECK_EQ(reader_close(&b->b), 0);
    lab_end(&b->lab);
}

static uint32_t assigned(struct reader *r)
{
    uint32_t n;

    consumer_assignment(r->consumer, &n);
    return n;
}

static bool is_joining(struct reader *r)
{
    struct consumer_health h;

    consumer_health(r->consumer, &h);
    return h.state == CONSUMER_JOINING;
}

/* Both poll, so that nobody counts as asleep. */
static void settle(struct bed *b, int64_t ns)
{
    for (int64_t i = 0; i < ns; i += 50 * MS) {
        lab_pass(&b->lab, 50 * MS);
        consumer_polled(b->a.consumer);
        if (b->b.consumer != NULL)
            consumer_polled(b->b.consumer);
    }
}

TEST(consumer_group, one_member_has_all_and_what_is_done_is_committed)
{
    struct bed b;

    bed_open(&b, 2);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    lab_produce(&b.lab, "orders", 1, 10, 2, CODEC_NONE);
    join(&b, &b.a);
    UNTIL(&b.lab, reader_has(&b.a, "assigned orders-0 orders-1\n"));
    reader_read(&b.a, 5, &b.out);
    CHECK_EQ(reader_commit(&b.a, NULL), 0);
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 3);
    CHECK_EQ(reader_place(&b.a, "orders", 1).committed, 2);
    CHECK_EQ(reader_close(&b.a), 0);
    join(&b, &b.a);
    lab_produce(&b.lab, "orders", 0, 3, 1, CODEC_NONE);
    reader_read(&b.a, 1, &b.out);
    CHECK_TEXT(text_str(&b.out), "3");
    bed_end(&b);
}

TEST(consumer_group, what_was_handed_out_and_is_not_done_is_not_committed)
{
    struct consumer_chunk *first, *second;
    struct bed b;

    bed_open(&b, 1);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_GZIP);
    lab_produce(&b.lab, "orders", 0, 3, 3, CODEC_GZIP);
    join(&b, &b.a);
    UNTIL(&b.lab, (first = consumer_take(b.a.consumer)) != NULL);
    UNTIL(&b.lab, (second = consumer_take(b.a.consumer)) != NULL);
    CHECK_EQ(reader_commit(&b.a, NULL), 0);
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 0); /* where it began */
    consumer_chunk_release(second, second->next);
    CHECK_EQ(reader_commit(&b.a, NULL), 0);
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 0); /* the first is not done */
    consumer_chunk_done(first, 2);
    CHECK_EQ(reader_commit(&b.a, NULL), 0);
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 2);
    consumer_chunk_release(first, first->next);
    CHECK_EQ(reader_commit(&b.a, NULL), 0);
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 6);
    bed_end(&b);
}

TEST(consumer_group, released_undone_holds_the_commits_until_a_seek)
{
    struct consumer_chunk *k;
    struct bed b;

    bed_open(&b, 1);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_GZIP);
    lab_produce(&b.lab, "orders", 0, 3, 3, CODEC_GZIP);
    join(&b, &b.a);
    UNTIL(&b.lab, (k = consumer_take(b.a.consumer)) != NULL);
    consumer_chunk_release(k, 1);
    reader_read(&b.a, 3, &b.out);
    CHECK_TEXT(text_str(&b.out), "3 4 5");
    CHECK_EQ(reader_commit(&b.a, NULL), 0);
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 1);
    CHECK_EQ(consumer_seek(b.a.consumer, (struct consumer_partition){STR("orders"), 0}, 1, -1), 0);
    reader_read(&b.a, 5, &b.out);
    CHECK_TEXT(text_str(&b.out), "1 2 3 4 5");
    CHECK_EQ(reader_commit(&b.a, NULL), 0);
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 6);
    bed_end(&b);
}

TEST(consumer_group, offsets_of_the_callers_choice_are_committed_with_their_text)
{
    struct consumer_offset o = {.partition = {STR("orders"), 0}, .offset = 17, .leader_epoch = 0, .metadata = STR("m")};
    struct consumer_call call = {.offsets = &o, .count = 1};
    struct consumer_partition p = {STR("orders"), 0};
    struct bed b;

    bed_open(&b, 1);
    reader_open(&b.a, &b.lab, &b.s);
    CHECK_EQ(reader_commit(&b.a, &call), 0); /* a group without members */
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 17);
    CHECK_EQ(consumer_assign(b.a.consumer, &p, 1, NULL), 0);
    CHECK_EQ(consumer_subscribe(b.a.consumer, &p.topic, 1, NULL), -EBUSY);
    bed_end(&b);
}

TEST(consumer_group, automatic_commit_is_of_what_is_done_and_comes_at_the_close_too)
{
    struct bed b;

    bed_open(&b, 1);
    b.s.enable_auto_commit = true;
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    join(&b, &b.a);
    reader_read(&b.a, 3, &b.out);
    settle(&b, 2 * SEC);
    CHECK_EQ(reader_place(&b.a, "orders", 0).committed, 3);
    lab_produce(&b.lab, "orders", 0, 3, 4, CODEC_NONE);
    reader_read(&b.a, 4, &b.out);
    CHECK_EQ(reader_close(&b.a), 0);
    reader_open(&b.a, &b.lab, &b.s);
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 7);
    bed_end(&b);
}

/* The second one joins: `given_up` is what the first is told; then the first leaves. */
static void two_members(const char *assignor, const char *given_up)
{
    struct bed b;

    bed_open(&b, 4);
    b.s.assignors[0] = str_of(assignor);
    b.s.enable_auto_commit = true;
    for (int32_t p = 0; p < 4; p++)
        lab_produce(&b.lab, "orders", p, 100 * p, 3, CODEC_NONE);
    join(&b, &b.b);
    reader_read(&b.b, 12, &b.out);
    text_clear(&b.b.events);
    join(&b, &b.a);
    for (int i = 0; i < 200 && (assigned(&b.a) != 2 || assigned(&b.b) != 2); i++)
        settle(&b, 100 * MS);
    CHECK_EQ(assigned(&b.a), 2);
    CHECK_EQ(assigned(&b.b), 2);
    CHECK(reader_has(&b.b, given_up));
    CHECK_EQ(reader_drain(&b.a, SEC), 0); /* all was committed when it was given up */
    CHECK_EQ(reader_close(&b.b), 0);
    for (int i = 0; i < 200 && assigned(&b.a) != 4; i++)
        settle(&b, 100 * MS);
    CHECK_EQ(assigned(&b.a), 4);
    CHECK(!reader_has(&b.a, "lost"));
    CHECK_EQ(reader_drain(&b.a, SEC), 0);
    bed_end(&b);
}

TEST(consumer_group, second_member_gets_its_share_range)
{
    two_members("range", "revoked orders-0 orders-1 orders-2 orders-3\n");
}

TEST(consumer_group, second_member_gets_its_share_roundrobin)
{
    two_members("roundrobin", "revoked orders-0 orders-1 orders-2 orders-3\n");
}

TEST(consumer_group, second_member_gets_its_share_sticky)
{
    two_members("sticky", "revoked orders-0 orders-1 orders-2 orders-3\n");
}

/* KIP-429: only what goes is revoked. */
TEST(consumer_group, second_member_gets_its_share_cooperatively)
{
    two_members("cooperative-sticky", "revoked orders-2 orders-3\n");
}

/* The commit at the revocation is under way, has ended, or the group is joined anew by then: all is committed in each case. */
TEST(consumer_group, close_in_the_middle_of_a_revocation_has_nothing_to_complain_of)
{
    struct bed b;

    bed_open(&b, 1);
    b.s.enable_auto_commit = true;
    b.s.auto_commit_interval_ms = 100000;
    for (int32_t i = 0; i < 40; i++) {
        lab_produce(&b.lab, "orders", 0, i, 1, CODEC_NONE);
        join(&b, &b.a);
        reader_read(&b.a, 1, &b.out);
        join(&b, &b.b);
        UNTIL(&b.lab, reader_has(&b.a, "revoked orders-0\n"));
        for (int32_t k = 0; k < i; k++)
            CHECK(sim_step(b.lab.sim));
        CHECK_EQ(reader_close(&b.a), 0);
        CHECK_EQ(reader_committed(&b.b, "orders", 0), i + 1);
        CHECK_EQ(reader_close(&b.b), 0);
    }
    bed_end(&b);
}

/* Cooperative members read on while the group is joined anew: what is done by then is committed by the close, too. */
TEST(consumer_group, close_in_the_middle_of_a_cooperative_rebalance_commits_what_is_done)
{
    struct bed b;

    bed_open(&b, 2);
    b.s.assignors[0] = STR("cooperative-sticky");
    b.s.enable_auto_commit = true;
    b.s.auto_commit_interval_ms = 100000;
    for (int32_t i = 0; i < 40; i++) {
        lab_produce(&b.lab, "orders", 0, i, 1, CODEC_NONE);
        join(&b, &b.a);
        reader_read(&b.a, 1, &b.out);
        join(&b, &b.b);
        UNTIL(&b.lab, is_joining(&b.a));
        for (int32_t k = 0; k < 3 * i; k++)
            CHECK(sim_step(b.lab.sim));
        CHECK_EQ(reader_close(&b.a), 0);
        CHECK_EQ(reader_committed(&b.b, "orders", 0), i + 1);
        CHECK_EQ(reader_close(&b.b), 0);
    }
    bed_end(&b);
}

TEST(consumer_group, member_that_does_not_poll_leaves_and_comes_back)
{
    struct bed b;

    bed_open(&b, 2);
    b.s.max_poll_interval_ms = 2000;
    join(&b, &b.a);
    UNTIL(&b.lab, reader_has(&b.a, "assigned"));
    text_clear(&b.a.events);
    lab_pass(&b.lab, 5 * SEC);
    CHECK_TEXT(text_str(&b.a.events), "lost orders-0 orders-1\n");
    CHECK_EQ(assigned(&b.a), 0);
    consumer_polled(b.a.consumer);
    UNTIL(&b.lab, reader_has(&b.a, "assigned orders-0 orders-1\n"));
    bed_end(&b);
}

TEST(consumer_group, rebalance_waits_for_consent_and_not_for_ever)
{
    struct bed b;

    bed_open(&b, 2);
    b.s.rebalance_wait = true;
    b.s.max_poll_interval_ms = 4000;
    b.s.enable_auto_commit = true;
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    join(&b, &b.a);
    UNTIL(&b.lab, reader_has(&b.a, "assigned"));
    consumer_consent(b.a.consumer, b.a.consent);
    reader_read(&b.a, 3, &b.out);
    consumer_rejoin(b.a.consumer, STR("test"));
    UNTIL(&b.lab, reader_has(&b.a, "revoked orders-0 orders-1\n"));
    settle(&b, 2 * SEC);
    CHECK_EQ(assigned(&b.a), 2); /* it waits */
    text_clear(&b.a.events);
    consumer_consent(b.a.consumer, b.a.consent);
    UNTIL(&b.lab, reader_has(&b.a, "assigned orders-0 orders-1\n"));
    consumer_consent(b.a.consumer, b.a.consent);
    UNTIL(&b.lab, reader_place(&b.a, "orders", 0).position == 3);
    consumer_rejoin(b.a.consumer, STR("test"));
    UNTIL(&b.lab, reader_has(&b.a, "revoked orders-0 orders-1\n"));
    text_clear(&b.a.events);
    settle(&b, 10 * SEC);
    CHECK(reader_has(&b.a, "assigned orders-0 orders-1\n")); /* it did not wait for ever */
    bed_end(&b);
}

static bool begins_with_o(void *ctx, struct str topic) { return topic.n > 0 && topic.p[0] == 'o'; }

TEST(consumer_group, pattern_takes_up_topics_that_come_and_partitions_that_grow)
{
    struct bed b;

    bed_open(&b, 1);
    b.s.client.metadata_max_age_ms = 500;
    reader_open(&b.a, &b.lab, &b.s);
    CHECK_EQ(consumer_subscribe_matching(b.a.consumer, begins_with_o, NULL, NULL), 0);
    UNTIL(&b.lab, reader_has(&b.a, "assigned orders-0\n"));
    lab_topic(&b.lab, "other", 1);
    lab_topic(&b.lab, "nothing", 1);
    UNTIL(&b.lab, reader_has(&b.a, "assigned orders-0 other-0\n"));
    lab_grow_topic(&b.lab, "orders", 3);
    UNTIL(&b.lab, reader_has(&b.a, "assigned orders-0 orders-1 orders-2 other-0\n"));
    bed_end(&b);
}

TEST(consumer_group, static_member_comes_back_without_a_rebalance)
{
    struct consumer_group_metadata m;
    int32_t generation;
    struct bed b;

    bed_open(&b, 2);
    b.s.group_instance_id = STR("one");
    join(&b, &b.a);
    UNTIL(&b.lab, reader_has(&b.a, "assigned orders-0 orders-1\n"));
    consumer_group_metadata(b.a.consumer, &m);
    generation = m.generation;
    CHECK_EQ(reader_close(&b.a), 0);
    join(&b, &b.a);
    UNTIL(&b.lab, reader_has(&b.a, "assigned orders-0 orders-1\n"));
    consumer_group_metadata(b.a.consumer, &m);
    CHECK_EQ(m.generation, generation);
    /* A second one of that name fences the first. */
    join(&b, &b.b);
    UNTIL(&b.lab, reader_has(&b.a, "group error FENCED_INSTANCE_ID\n"));
    CHECK(reader_has(&b.a, "lost orders-0 orders-1\n"));
    bed_end(&b);
}

TEST(consumer_group, coordinator_that_restarts_costs_nobody_his_partitions)
{
    struct bed b;

    bed_open(&b, 2);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    join(&b, &b.a);
    reader_read(&b.a, 3, &b.out);
    lab_kill(&b.lab);
    lab_pass(&b.lab, SEC);
    lab_start(&b.lab);
    settle(&b, 3 * SEC);
    CHECK_EQ(reader_commit(&b.a, NULL), 0);
    CHECK(!reader_has(&b.a, "lost"));
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 3);
    bed_end(&b);
}

struct asking {
    struct consumer_call call;
    bool done;
    int64_t result;
};

static void asking_done(struct op *op, int64_t result)
{
    struct asking *a = container_of(op, struct asking, call.op);

    a->done = true;
    a->result = result;
}

static int32_t generation_of(struct reader *r)
{
    struct consumer_group_metadata m;

    consumer_group_metadata(r->consumer, &m);
    return m.generation;
}

/* The connection breaks `us` after a commit was asked for. Whether its generation ends. */
static bool ends_generation(struct bed *b, int64_t us)
{
    struct asking a = {0};
    int32_t before = generation_of(&b->a);

    lab_produce(&b->lab, "orders", 0, 0, 1, CODEC_NONE);
    reader_read(&b->a, 1, &b->out);
    op_init(&a.call.op, asking_done);
    consumer_commit(b->a.consumer, &a.call);
    lab_pass(&b->lab, us * 1000);
    sim_net_reset(b->lab.machine, b->lab.node);
    UNTIL(&b->lab, a.done);
    CHECK_EQ(a.result, 0); /* it was asked for again until it was answered */
    settle(b, SEC);
    CHECK_EQ(reader_committed(&b->a, "orders", 0), reader_place(&b->a, "orders", 0).done);
    return generation_of(&b->a) != before;
}

/* Its lost copy may still arrive: the coordinator must refuse it then. */
TEST(consumer_group, commit_whose_answer_was_lost_ends_its_generation)
{
    uint32_t ended = 0;
    struct bed b;

    bed_open(&b, 1);
    join(&b, &b.a);
    UNTIL(&b.lab, reader_has(&b.a, "assigned"));
    for (int64_t us = 20; us < 2000; us += 60)
        ended += ends_generation(&b, us);
    CHECK(ended > 0);
    CHECK(!reader_has(&b.a, "lost"));
    bed_end(&b);
}

/* A commit of less than is done loses its connection after `us`, and is answered in the end: is its generation in doubt? */
static bool comes_into_doubt(struct bed *b, int64_t us)
{
    struct asking lost = {0}, all = {0};
    struct consumer_offset less = {.partition = {STR("orders"), 0}, .leader_epoch = -1, .metadata = STR_NULL};

    lab_produce(&b->lab, "orders", 0, 0, 1, CODEC_NONE);
    reader_read(&b->a, 1, &b->out);
    less.offset = reader_place(&b->a, "orders", 0).done - 1;
    lost.call.offsets = &less;
    lost.call.count = 1;
    op_init(&lost.call.op, asking_done);
    consumer_commit(b->a.consumer, &lost.call);
    lab_pass(&b->lab, us * 1000);
    sim_net_reset(b->lab.machine, b->lab.node);
    UNTIL(&b->lab, lost.done);
    CHECK_EQ(lost.result, 0);
    op_init(&all.call.op, asking_done);
    consumer_commit(b->a.consumer, &all.call);
    int64_t began_ns = sim_now_ns(b->lab.sim);
    UNTIL(&b->lab, all.done);
    if (all.result == 0)
        return false;
    CHECK_EQ(all.result, -EIO);
    CHECK_EQ(all.call.error.advice, CONSUMER_REJOINED);
    CHECK(all.call.error.definite);
    CHECK(sim_now_ns(b->lab.sim) - began_ns < SEC); /* who waits here does not poll, and the next generation waits for that */
    return true;
}

TEST(consumer_group, nobody_waits_for_a_commit_while_its_generation_is_in_doubt)
{
    uint32_t doubts = 0;
    struct bed b;

    bed_open(&b, 1);
    join(&b, &b.a);
    UNTIL(&b.lab, reader_has(&b.a, "assigned"));
    for (int64_t us = 20; us < 2000; us += 60) {
        doubts += comes_into_doubt(&b, us);
        settle(&b, SEC);
        CHECK_EQ(reader_commit(&b.a, NULL), 0);
        CHECK_EQ(reader_committed(&b.a, "orders", 0), reader_place(&b.a, "orders", 0).done);
    }
    CHECK(doubts > 0);
    bed_end(&b);
}

TEST(consumer_group, last_commit_is_left_out_while_its_generation_is_in_doubt)
{
    uint32_t left_out = 0;
    struct bed b;

    bed_open(&b, 1);
    b.s.enable_auto_commit = true;
    b.s.auto_commit_interval_ms = 60000;
    for (int64_t us = 20; us < 2000 && left_out == 0; us += 60) {
        join(&b, &b.a);
        UNTIL(&b.lab, reader_has(&b.a, "assigned"));
        bool in_doubt = comes_into_doubt(&b, us);
        int64_t result = reader_close(&b.a);
        CHECK_EQ(result, in_doubt ? -EIO : 0);
        left_out += in_doubt;
    }
    CHECK(left_out > 0);
    bed_end(&b);
}

TEST(consumer_group, member_that_has_left_may_assign_by_hand)
{
    struct consumer_partition p = {STR("orders"), 0};
    struct bed b;

    bed_open(&b, 1);
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    join(&b, &b.a);
    UNTIL(&b.lab, reader_has(&b.a, "assigned"));
    consumer_unsubscribe(b.a.consumer);
    CHECK_EQ(consumer_assign(b.a.consumer, &p, 1, NULL), -EBUSY);
    settle(&b, SEC);
    CHECK_EQ(consumer_assign(b.a.consumer, &p, 1, NULL), 0);
    reader_read(&b.a, 3, &b.out);
    CHECK_TEXT(text_str(&b.out), "0 1 2");
    bed_end(&b);
}

TEST(consumer_group, unsubscribed_member_gives_up_commits_and_leaves)
{
    struct consumer_health h;
    struct bed b;

    bed_open(&b, 1);
    b.s.enable_auto_commit = true;
    lab_produce(&b.lab, "orders", 0, 0, 3, CODEC_NONE);
    join(&b, &b.a);
    reader_read(&b.a, 3, &b.out);
    consumer_unsubscribe(b.a.consumer);
    UNTIL(&b.lab, reader_has(&b.a, "revoked orders-0\n"));
    UNTIL(&b.lab, assigned(&b.a) == 0);
    settle(&b, SEC);
    consumer_health(b.a.consumer, &h);
    CHECK_EQ(h.state, CONSUMER_IDLE);
    CHECK_EQ(reader_committed(&b.a, "orders", 0), 3);
    bed_end(&b);
}
