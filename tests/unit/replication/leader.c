/* The leader's side, told step by step: followers' fetches, proposals, what the controller says to them. */
#include "check.h"

#include "replication/replication.h"

#define ME 1
#define LAG_MS 100

static struct replication r;
static struct replication_outcome out;
static int64_t now_ms, log_end;
static const int32_t all[] = {1, 2, 3};

static struct replication_state state_of(int32_t partition_epoch, const int32_t *isr, int32_t isr_count)
{
    return (struct replication_state){
        .leader = ME,
        .leader_epoch = 5,
        .partition_epoch = partition_epoch,
        .replicas = all,
        .replica_count = 3,
        .isr = isr,
        .isr_count = isr_count,
        .min_isr = 1,
    };
}

static void apply(int32_t partition_epoch, const int32_t *isr, int32_t isr_count)
{
    struct replication_state s = state_of(partition_epoch, isr, isr_count);

    replication_apply(&r, &s, log_end, log_end, now_ms, &out);
}

/* Leads since offset `end`; the first `isr_count` of 1, 2, 3 are in sync. */
static void lead(int64_t end, int32_t isr_count)
{
    now_ms = 1000;
    log_end = end;
    replication_init(&r, ME, 0);
    replication_set_broker_epoch(&r, 71);
    apply(1, all, isr_count);
    replication_tick(&r, log_end, LAG_MS, now_ms, &out);
    CHECK(!out.propose);
}

static void grow(int64_t end)
{
    log_end = end;
    replication_stable(&r, end, &out);
}

static void fetch_as(int32_t id, int64_t offset, int64_t said_epoch, struct replication_broker broker)
{
    struct replication_fetch f = {
        .id = id,
        .broker_epoch = said_epoch,
        .offset = offset,
        .log_end = log_end,
        .now_ms = now_ms,
        .broker = broker,
    };

    replication_fetched(&r, &f, &out);
}

/* By a broker of epoch 70 + id that metadata knows, and lets in. */
static void fetch(int32_t id, int64_t offset)
{
    fetch_as(id, offset, 70 + id, (struct replication_broker){.epoch = 70 + id, .eligible = true});
}

static void tick(void)
{
    replication_tick(&r, log_end, LAG_MS, now_ms, &out);
}

static void answer(enum kerr error, int32_t partition_epoch, const int32_t *isr, int32_t isr_count)
{
    struct replication_proposal p = r.proposal;
    struct replication_state s = state_of(partition_epoch, isr, isr_count);

    s.replicas = NULL;
    s.replica_count = 0;
    replication_answered(&r, &p, error, error == KERR_NONE ? &s : NULL, &out);
}

/* "1@71 2@72 " */
static struct str proposed(void)
{
    static struct text text;

    text_clear(&text);
    for (uint32_t i = 0; i < r.proposal.count; i++)
        text_printf(&text, "%d@%lld ", r.proposal.ids[i], (long long)r.proposal.broker_epochs[i]);
    return text_str(&text);
}

/* W1 */
TEST(replication_leader, mark_follows_the_slowest_fetch_in_sync)
{
    lead(0, 2);
    grow(10);
    CHECK_EQ(r.high_watermark, 0);
    fetch(2, 4);
    CHECK(out.high_watermark_moved);
    CHECK_EQ(r.high_watermark, 4);
    fetch(2, 10);
    CHECK_EQ(r.high_watermark, 10);
    fetch(2, 6); /* it has lost some: the mark does not go back */
    CHECK(!out.high_watermark_moved);
    CHECK_EQ(r.high_watermark, 10);
}

/* W4: the mark, and what leaders before us may have committed. */
TEST(replication_leader, follower_is_proposed_when_it_has_all_that_may_be_committed)
{
    lead(8, 2);
    grow(10);
    fetch(3, 7);
    CHECK(!out.propose);
    fetch(3, 8);
    CHECK(out.propose);
    CHECK_TEXT(proposed(), "1@71 2@-1 3@73 ");
    CHECK_EQ(r.proposal.leader_epoch, 5);
    CHECK_EQ(r.proposal.partition_epoch, 1);
    CHECK_EQ(r.proposal.recovery, REPLICATION_RECOVERED);
    fetch(2, 10);
    CHECK_EQ(r.high_watermark, 8); /* what is proposed counts already */
    fetch(3, 10);
    CHECK(!out.propose); /* W5 */
    CHECK_EQ(r.high_watermark, 10);
    answer(KERR_NONE, 2, all, 3);
    CHECK(out.isr_changed);
    CHECK(replication_in_isr(&r, 3));
    CHECK(!r.proposing);
    apply(2, all, 3); /* the metadata of what the answer has said */
    CHECK(!out.isr_changed);
}

TEST(replication_leader, follower_that_may_not_be_in_sync_is_not_proposed)
{
    static const struct {
        int64_t said, known;
        bool eligible, proposed;
    } rows[] = {
        {73, 73, true, true},
        {-1, 73, true, true},  /* before version 15 nothing is said */
        {73, 73, false, false},
        {73, -1, true, false}, /* not registered, as far as we know */
        {74, 73, true, false}, /* metadata has not come yet */
        {72, 73, true, false}, /* another process of the same id */
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        lead(0, 2);
        fetch_as(3, 0, rows[i].said, (struct replication_broker){rows[i].known, rows[i].eligible});
        CHECK_EQ(out.propose, rows[i].proposed);
    }
}

TEST(replication_leader, mark_waits_for_a_follower_that_is_about_to_join)
{
    lead(0, 1);
    grow(10);
    CHECK_EQ(r.high_watermark, 10);
    fetch(3, 9); /* below the mark */
    CHECK(!out.propose);
    fetch(3, 10);
    CHECK(out.propose);
    answer(KERR_OPERATION_NOT_ATTEMPTED, 0, NULL, 0);
    CHECK(!r.proposing);
    grow(12); /* else it would be behind the mark whenever it fetches */
    CHECK_EQ(r.high_watermark, 10);
    fetch(3, 12);
    CHECK(out.propose);
    CHECK_EQ(r.high_watermark, 12);
}

TEST(replication_leader, mark_waits_no_longer_for_one_that_lags_or_may_not_join)
{
    static const struct replication_broker fenced = {73, false}, anew = {80, true}, same = {73, true};

    for (int how = 0; how < 3; how++) {
        lead(0, 1);
        fetch(3, 0);
        answer(KERR_INELIGIBLE_REPLICA, 0, NULL, 0);
        grow(5);
        CHECK_EQ(r.high_watermark, 0);
        replication_broker_changed(&r, 3, &same, &out);
        CHECK_EQ(r.high_watermark, 0);
        now_ms += how == 2 ? LAG_MS + 1 : 0;
        if (how < 2)
            replication_broker_changed(&r, 3, how == 0 ? &fenced : &anew, &out);
        else
            tick();
        CHECK(out.high_watermark_moved);
        CHECK_EQ(r.high_watermark, 5);
    }
}

/* A partition that does not move is not in the next Fetches: what could not be proposed at the last one is proposed when it
 * can be. */
TEST(replication_leader, who_is_caught_up_is_proposed_when_nothing_hinders_any_more)
{
    static const struct replication_broker fenced = {73, false}, same = {73, true}, anew = {80, true};

    lead(0, 1);
    fetch_as(3, 0, 73, fenced);
    CHECK(!out.propose);
    replication_broker_changed(&r, 3, &anew, &out);
    CHECK(!out.propose);
    replication_broker_changed(&r, 3, &same, &out);
    CHECK(out.propose);
    CHECK_TEXT(proposed(), "1@71 3@73 ");

    lead(0, 1);
    fetch(2, 0);
    CHECK(out.propose);
    fetch(3, 0);
    CHECK(!out.propose);
    answer(KERR_NONE, 2, all, 2);
    CHECK(out.propose);
    CHECK_TEXT(proposed(), "1@71 2@72 3@73 ");

    lead(0, 1);
    fetch(2, 0);
    fetch(3, 0);
    answer(KERR_INELIGIBLE_REPLICA, 0, NULL, 0);
    CHECK(!out.propose); /* not at once: the controller may know better */
    tick();
    CHECK(out.propose);
    CHECK_TEXT(proposed(), "1@71 2@72 3@73 ");
    apply(2, all, 1); /* metadata voids it */
    tick();
    CHECK(out.propose);
    CHECK_TEXT(proposed(), "1@71 2@72 3@73 ");
}

/* All stood still, and it is the leader that goes on first: when it hears of the others they are in sync again, they have
 * nothing more to ask for, and the controller takes them out. */
TEST(replication_leader, who_catches_up_while_it_is_taken_out_is_proposed_then)
{
    lead(0, 3);
    grow(10);
    now_ms += LAG_MS + 1;
    tick();
    CHECK_TEXT(proposed(), "1@71 ");
    fetch(2, 10);
    fetch(3, 10);
    answer(KERR_NONE, 2, all, 1);
    tick();
    CHECK(out.propose);
    CHECK_TEXT(proposed(), "1@71 2@72 3@73 ");
}

TEST(replication_leader, who_has_not_caught_up_for_long_leaves_when_that_is_committed)
{
    static const int32_t left[] = {1, 3};

    lead(0, 3);
    grow(10);
    fetch(2, 4);
    fetch(3, 10);
    CHECK_EQ(r.high_watermark, 4);
    now_ms += LAG_MS;
    fetch(3, 10);
    tick();
    CHECK(!out.propose);
    now_ms++;
    tick();
    CHECK(out.propose);
    CHECK_TEXT(proposed(), "1@71 3@73 ");
    grow(12);
    fetch(3, 12);
    CHECK_EQ(r.high_watermark, 4); /* W5: it counts until it is gone */
    tick();
    CHECK(!out.propose);
    answer(KERR_NONE, 2, left, 2);
    CHECK(out.isr_changed);
    CHECK(out.high_watermark_moved);
    CHECK_EQ(r.high_watermark, 12);
}

TEST(replication_leader, caught_up_is_who_had_what_there_was_at_its_last_fetch)
{
    lead(0, 2);
    grow(10);
    now_ms += 60;
    fetch(2, 5); /* there were 10 */
    now_ms += 60;
    grow(20);
    fetch(2, 10); /* so it was caught up 60 ms ago */
    tick();
    CHECK(!out.propose);
    now_ms += 41;
    tick();
    CHECK(out.propose);
    CHECK_TEXT(proposed(), "1@71 ");
    lead(10, 2);
    fetch(2, 10); /* it has everything, and nothing comes */
    now_ms += 100 * LAG_MS;
    tick();
    CHECK(!out.propose);
    replication_heard(&r, 2, log_end, now_ms - 10);
    grow(11); /* what comes then is not held against it */
    tick();
    CHECK(!out.propose);
    replication_heard(&r, 2, log_end, now_ms); /* but to ask is not to have */
    now_ms += LAG_MS;
    tick();
    CHECK(out.propose);
}

TEST(replication_leader, answer_that_does_not_say_that_nothing_was_done_leaves_it_open)
{
    static const enum kerr errors[] = {KERR_NEW_LEADER_ELECTED, KERR_FENCED_LEADER_EPOCH, KERR_INVALID_UPDATE_VERSION,
                                       KERR_INVALID_REQUEST,    KERR_NOT_CONTROLLER,      KERR_UNKNOWN_TOPIC_ID};

    for (size_t i = 0; i < array_count(errors); i++) {
        lead(0, 1);
        fetch(3, 0);
        CHECK(out.propose);
        grow(5);
        answer(errors[i], 0, NULL, 0);
        CHECK(r.proposing);
        CHECK_EQ(r.high_watermark, 0);
        fetch(2, 5);
        CHECK(!out.propose);
        apply(2, all, 1);
        CHECK(!r.proposing);
        fetch(3, 5);
        CHECK(out.propose);
        CHECK_EQ(r.high_watermark, 5);
    }
}

TEST(replication_leader, answers_to_what_is_void_change_nothing)
{
    struct replication_proposal void_one;
    struct replication_state s = state_of(9, all, 3);

    lead(0, 2);
    fetch(3, 0);
    void_one = r.proposal;
    apply(2, all, 1);
    replication_answered(&r, &void_one, KERR_NONE, &s, &out);
    CHECK(!out.isr_changed);
    CHECK_EQ(r.partition_epoch, 2);
    fetch(3, 0); /* another one, for the new epoch */
    CHECK(out.propose);
    replication_answered(&r, &void_one, KERR_INELIGIBLE_REPLICA, NULL, &out);
    CHECK(r.proposing);
    s.leader_epoch = 6; /* it tells of another leader: metadata will come */
    answer(KERR_NONE, 1, all, 3); /* of an older epoch */
    CHECK(r.proposing);
    replication_answered(&r, &r.proposal, KERR_NONE, &s, &out);
    CHECK(r.proposing);
    s = state_of(9, all + 1, 2); /* without its leader */
    replication_answered(&r, &r.proposal, KERR_NONE, &s, &out);
    CHECK(r.proposing);
    CHECK_EQ(r.partition_epoch, 2);
}

/* What was proposed after an answer, before the metadata of that answer has come, is not of an older epoch. */
TEST(replication_leader, metadata_that_an_answer_has_told_before_voids_nothing)
{
    lead(0, 1);
    fetch(2, 0);
    answer(KERR_NONE, 2, all, 2);
    fetch(3, 0);
    CHECK(out.propose);
    apply(2, all, 2);
    CHECK(r.proposing);
    grow(4);
    fetch(2, 4);
    CHECK_EQ(r.high_watermark, 0); /* 3 counts */
}

TEST(replication_leader, one_that_recovers_says_that_it_has)
{
    struct replication_state s = state_of(1, all, 1);

    now_ms = 1000;
    replication_init(&r, ME, 0);
    s.recovery = REPLICATION_RECOVERING;
    replication_apply(&r, &s, 0, 0, now_ms, &out);
    tick();
    CHECK(out.propose);
    CHECK_EQ(r.proposal.recovery, REPLICATION_RECOVERED);
    CHECK_EQ(r.proposal.count, 1);
    tick();
    CHECK(!out.propose);
    answer(KERR_NONE, 2, all, 1);
    CHECK_EQ(r.recovery, REPLICATION_RECOVERED);
    tick();
    CHECK(!out.propose);
}

TEST(replication_leader, only_replicas_with_their_newest_epoch_may_fetch)
{
    static const struct {
        int32_t id, leader_epoch;
        int64_t said, known;
        enum kerr error;
    } rows[] = {
        {2, 5, 72, 72, KERR_NONE},
        {2, 5, 73, 72, KERR_NONE},  /* our metadata is behind */
        {2, 5, -1, 72, KERR_NONE},  /* before version 15 */
        {2, 5, 72, -1, KERR_NONE},
        {2, 5, 71, 72, KERR_NOT_LEADER_OR_FOLLOWER},
        {2, -1, 71, 72, KERR_NOT_LEADER_OR_FOLLOWER},
        {2, 4, 72, 72, KERR_FENCED_LEADER_EPOCH}, /* KIP-320: it may yet cut what it has */
        {2, 6, 72, 72, KERR_UNKNOWN_LEADER_EPOCH},
        {4, 5, 74, 74, KERR_UNKNOWN_LEADER_EPOCH},
        {4, -1, 74, 74, KERR_NOT_LEADER_OR_FOLLOWER},
        {ME, 5, 71, 71, KERR_NOT_LEADER_OR_FOLLOWER},
    };

    lead(0, 2);
    for (size_t i = 0; i < array_count(rows); i++) {
        struct replication_broker b = {rows[i].known, true};
        CHECK_EQ(replication_check_follower(&r, rows[i].id, rows[i].leader_epoch, rows[i].said, &b), rows[i].error);
    }
}

TEST(replication_leader, leader_of_a_new_epoch_knows_nothing_of_its_followers)
{
    struct replication_state s = state_of(2, all, 2);

    lead(0, 2);
    grow(10);
    fetch(2, 10);
    fetch(3, 10);
    s.leader_epoch = 6;
    replication_apply(&r, &s, 10, 10, now_ms, &out);
    CHECK(out.became_leader);
    CHECK(!r.proposing);
    CHECK_EQ(r.replicas[1].stable_end, -1);
    CHECK_EQ(r.replicas[1].caught_up_ms, now_ms); /* it has time to be heard of */
    CHECK_EQ(r.replicas[2].caught_up_ms, -1);
    grow(12);
    CHECK_EQ(r.high_watermark, 10);
    now_ms += LAG_MS + 1;
    tick();
    CHECK_TEXT(proposed(), "1@71 ");
}

TEST(replication_leader, impossible_fetches_are_bugs)
{
    lead(10, 2);
    CHECK_ASSERTS(fetch(2, 11));  /* above our end */
    CHECK_ASSERTS(fetch(2, -1));
    CHECK_ASSERTS(fetch(ME, 0));
    CHECK_ASSERTS(fetch(4, 0));   /* no replica */
}
