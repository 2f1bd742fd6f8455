/* BeginQuorumEpoch, EndQuorumEpoch, Fetch: what follows from them, at both ends. Rule: KIP-595. */
#include "lab.h"

static struct raft_reply begin(struct lab *l, int32_t from, int32_t epoch, struct raft_key to)
{
    return lab_request(l, (struct raft_request){.rpc = RAFT_BEGIN, .from = lab_key(from), .to = to, .epoch = epoch});
}

static struct raft_reply end(struct lab *l, int32_t from, int32_t epoch, const int32_t *preferred, uint32_t count)
{
    return lab_request(l, (struct raft_request){.rpc = RAFT_END,
                                                .from = lab_key(from),
                                                .to = {.id = -1},
                                                .epoch = epoch,
                                                .preferred = preferred,
                                                .preferred_count = count});
}

TEST(raft_begin, names_the_leader_to_every_role)
{
    for (enum raft_role role = RAFT_UNATTACHED; role <= RAFT_RESIGNED; role++) {
        struct lab l = lab_at(role);
        CHECK_EQ(begin(&l, 3, 4, lab_key(1)).error, KERR_FENCED_LEADER_EPOCH);
        CHECK_EQ(begin(&l, 3, 6, lab_key(1)).error, KERR_NONE);
        CHECK_EQ(begin(&l, 3, 6, lab_key(1)).error, KERR_NONE); /* said again */
        CHECK_TEXT(lab_said(&l), "\npersist epoch=6 leader=3 voted=-1; follower; \n\n");
        CHECK_EQ(l.out.deadline_ms, l.now + 2000);
        lab_free(&l);
    }
}

TEST(raft_begin, of_the_own_epoch_ends_an_election)
{
    struct lab l = lab_at(RAFT_CANDIDATE);

    CHECK_EQ(begin(&l, 3, LAB_EPOCH, lab_key(1)).error, KERR_NONE);
    CHECK_TEXT(lab_said(&l), "persist epoch=5 leader=3 voted=1; follower; \n");
    lab_free(&l);
}

/* The leader is known to be right before it is known whom it meant. */
TEST(raft_begin, for_somebody_else_still_tells_who_leads)
{
    struct lab l = lab_at(RAFT_UNATTACHED);

    CHECK_EQ(begin(&l, 3, LAB_EPOCH, lab_key(2)).error, KERR_INVALID_VOTER_KEY);
    CHECK_TEXT(lab_said(&l), "persist epoch=5 leader=3 voted=-1; follower; \n");
    lab_free(&l);
}

/* F1 */
TEST(raft_begin, a_second_leader_of_an_epoch_is_refused)
{
    struct lab l = lab_at(RAFT_FOLLOWER);

    CHECK_EQ(begin(&l, 3, LAB_EPOCH, lab_key(1)).error, KERR_INVALID_REQUEST);
    CHECK_EQ(end(&l, 3, LAB_EPOCH, NULL, 0).error, KERR_INVALID_REQUEST);
    CHECK_EQ(begin(&l, LAB_NODE, 6, lab_key(1)).error, KERR_INVALID_REQUEST);
    CHECK_EQ(begin(&l, -1, 6, lab_key(1)).error, KERR_INVALID_REQUEST);
    CHECK_TEXT(lab_said(&l), "\n\n\n\n");
    lab_free(&l);

    l = lab_at(RAFT_LEADER);
    CHECK_EQ(begin(&l, 3, LAB_EPOCH, lab_key(1)).error, KERR_INVALID_REQUEST);
    CHECK_EQ(raft_role(l.raft), RAFT_LEADER);
    lab_free(&l);
}

TEST(raft_end, the_wait_before_standing_is_by_rank)
{
    static const struct {
        int32_t preferred[4];
        uint32_t count;
        int64_t wait_ms;
    } rows[] = {
        {{1, 3}, 2, 0},         {{3, 1}, 2, 500},       {{3, 4, 1}, 3, 500}, {{3, 1, 4}, 3, 250},
        {{3, 4, 5, 1}, 4, 500}, {{3, 1, 4, 5}, 4, 125}, {{3}, 1, 1000},      {{0}, 0, 1000},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        struct lab l = lab_at(RAFT_FOLLOWER);
        CHECK_EQ(end(&l, LAB_OTHER, LAB_EPOCH, rows[i].preferred, rows[i].count).error, KERR_NONE);
        CHECK_EQ(l.out.deadline_ms, l.now + rows[i].wait_ms);
        lab_tick(&l);
        CHECK_EQ(raft_role(l.raft), RAFT_PROSPECTIVE);
        lab_free(&l);
    }
}

TEST(raft_end, more_successors_than_there_can_be_shift_nothing_out)
{
    struct lab l = lab_at(RAFT_FOLLOWER);
    int32_t preferred[200] = {0};

    preferred[199] = LAB_NODE;
    CHECK_EQ(end(&l, LAB_OTHER, LAB_EPOCH, preferred, 200).error, KERR_NONE);
    CHECK_EQ(l.out.deadline_ms, l.now + 1000);
    lab_free(&l);
}

TEST(raft_end, frees_pre_votes_and_is_not_undone_by_what_was_fetched_before)
{
    struct lab l = lab_at(RAFT_FOLLOWER);
    int64_t deadline;

    lab_fetch_done(&l, -1);
    CHECK(!lab_vote(&l, true, 3, LAB_EPOCH, LAB_LOG_EPOCH, LAB_END).granted);
    CHECK_EQ(end(&l, LAB_OTHER, LAB_EPOCH, NULL, 0).error, KERR_NONE);
    CHECK(lab_vote(&l, true, 3, LAB_EPOCH, LAB_LOG_EPOCH, LAB_END).granted);
    deadline = l.out.deadline_ms;
    l.now += 100;
    lab_fetch_done(&l, -1); /* an answer that was late */
    CHECK_EQ(l.out.deadline_ms, deadline);
    CHECK(lab_vote(&l, true, 3, LAB_EPOCH, LAB_LOG_EPOCH, LAB_END).granted);
    (void)lab_said(&l);
    lab_tick(&l);
    lab_answer(&l, RAFT_VOTE, 3, false);
    lab_answer(&l, RAFT_VOTE, 2, false);
    CHECK_TEXT(lab_said(&l), "prospective; pre-vote 2, 3; \n\nunattached; \n"); /* it is no leader to go back to */
    lab_free(&l);
}

TEST(raft_end, of_a_newer_epoch_tells_who_led_it)
{
    struct lab l = lab_at(RAFT_CANDIDATE);
    const int32_t preferred[] = {LAB_NODE};

    CHECK_EQ(end(&l, 3, 6, preferred, 1).error, KERR_NONE);
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "persist epoch=6 leader=3 voted=-1; follower; \nprospective; pre-vote 2, 3; \n");
    CHECK_EQ(end(&l, 3, 5, preferred, 1).error, KERR_FENCED_LEADER_EPOCH);
    lab_free(&l);
}

static enum kerr fetch(struct lab *l, int32_t epoch)
{
    return lab_request(l,
                       (struct raft_request){.rpc = RAFT_FETCH, .from = lab_key(3), .to = {.id = -1}, .epoch = epoch})
        .error;
}

/* INVALID_REQUEST is not among them: a JVM peer would end. A Fetch of a newer epoch moves nobody. */
TEST(raft_fetch, is_for_the_leader_of_the_epoch)
{
    for (enum raft_role role = RAFT_UNATTACHED; role <= RAFT_RESIGNED; role++) {
        struct lab l = lab_at(role);
        CHECK_EQ(fetch(&l, 4), KERR_FENCED_LEADER_EPOCH);
        CHECK_EQ(fetch(&l, -7), KERR_FENCED_LEADER_EPOCH);
        CHECK_EQ(fetch(&l, 6), KERR_UNKNOWN_LEADER_EPOCH);
        CHECK_EQ(fetch(&l, 5), role == RAFT_LEADER ? KERR_NONE : KERR_NOT_LEADER_OR_FOLLOWER);
        lab_step(&l, (struct raft_event){.type = RAFT_EVENT_STOP});
        CHECK_EQ(fetch(&l, 5), KERR_BROKER_NOT_AVAILABLE);
        CHECK_EQ(raft_election(l.raft)->epoch, LAB_EPOCH);
        lab_free(&l);
    }
}

TEST(raft_fetch, a_successful_one_restarts_the_time_and_moves_the_watermark)
{
    struct lab l = lab_at(RAFT_FOLLOWER);

    l.now += 1500;
    lab_fetch_done(&l, 8);
    CHECK_EQ(l.out.deadline_ms, l.now + 2000);
    lab_fetch_done(&l, 7);  /* never back */
    lab_fetch_done(&l, 25); /* no further than the own log */
    CHECK_TEXT(lab_said(&l), "watermark 8; \n\nwatermark 10; \n");
    lab_append(&l, 20);
    lab_append(&l, 30);
    CHECK_TEXT(lab_said(&l), "watermark 20; \n\nwatermark 25; \n\n");
    lab_fetch_done(&l, -1);
    CHECK_TEXT(lab_said(&l), "\n");
    lab_free(&l);
}

TEST(raft_fetch, an_answer_of_somebody_else_or_of_another_time_is_none)
{
    struct lab l = lab_at(RAFT_FOLLOWER);
    struct raft_answer a = {
        .rpc = RAFT_FETCH, .from = 3, .sent_epoch = LAB_EPOCH, .leader_id = 2, .epoch = LAB_EPOCH, .high_watermark = 8};
    int64_t deadline = l.out.deadline_ms;

    l.now += 100;
    lab_answer_all(&l, a);
    a.from = 2;
    a.sent_epoch = LAB_EPOCH - 1;
    lab_answer_all(&l, a);
    a.sent_epoch = LAB_EPOCH;
    a.error = KERR_BROKER_NOT_AVAILABLE;
    lab_answer_all(&l, a);
    a.error = KERR_NONE;
    a.lost = true;
    lab_answer_all(&l, a);
    CHECK_TEXT(lab_said(&l), "\n\n\n\n");
    CHECK_EQ(l.out.deadline_ms, deadline);
    lab_free(&l);
}

static void refuse_fetch(struct lab *l, int32_t from, int32_t sent_epoch)
{
    lab_answer_all(l, (struct raft_answer){.rpc = RAFT_FETCH,
                                           .from = from,
                                           .sent_epoch = sent_epoch,
                                           .leader_id = -1,
                                           .lost = true,
                                           .refused = true});
}

/* Nobody listens where the leader did. The first voter stands a moment later, with others that have seen it; the fetch
 * timeout is not waited for. */
TEST(raft_fetch, a_leader_that_is_refused_is_waited_for_no_more)
{
    struct lab l = lab_at(RAFT_FOLLOWER);

    lab_fetch_done(&l, 8);
    CHECK(!lab_vote(&l, true, 3, LAB_EPOCH, LAB_LOG_EPOCH, LAB_END).granted);
    refuse_fetch(&l, LAB_OTHER, LAB_EPOCH);
    CHECK_EQ(l.out.deadline_ms, l.now + 50);
    CHECK(lab_vote(&l, true, 3, LAB_EPOCH, LAB_LOG_EPOCH, LAB_END).granted);
    l.now += 40;
    refuse_fetch(&l, LAB_OTHER, LAB_EPOCH); /* once more: its turn is the same */
    CHECK_EQ(l.out.deadline_ms, l.now + 10);
    (void)lab_said(&l);
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "prospective; pre-vote 2, 3; \n");
    lab_free(&l);
}

/* The second one stands when the first has had its time; the leader has no turn. */
TEST(raft_fetch, who_is_refused_stands_by_rank)
{
    struct raft_election election = {.epoch = LAB_EPOCH, .leader_id = 2, .voted_id = -1};
    struct raft_options o = lab_options(3, true, election);
    struct lab l;

    o.node_id = 3;
    o.directory_id = lab_directory(3);
    o.self = lab_voter(3);
    l = lab_start(&o);
    refuse_fetch(&l, LAB_OTHER, LAB_EPOCH);
    CHECK_EQ(l.out.deadline_ms, l.now + 150);
    lab_free(&l);
}

/* A leader that lives, which answers what comes next, is followed as before. */
TEST(raft_fetch, a_refused_leader_that_answers_is_followed)
{
    struct lab l = lab_at(RAFT_FOLLOWER);
    int64_t deadline = l.out.deadline_ms;

    refuse_fetch(&l, 3, LAB_EPOCH);             /* no leader */
    refuse_fetch(&l, LAB_OTHER, LAB_EPOCH - 1); /* of another time */
    CHECK_EQ(l.out.deadline_ms, deadline);
    refuse_fetch(&l, LAB_OTHER, LAB_EPOCH);
    CHECK_EQ(l.out.deadline_ms, l.now + 50);
    lab_fetch_done(&l, 8);
    CHECK_EQ(l.out.deadline_ms, l.now + 2000);
    CHECK(!lab_vote(&l, true, 3, LAB_EPOCH, LAB_LOG_EPOCH, LAB_END).granted);
    lab_free(&l);
}

/* What a new leader's watermark says about its log says nothing of an own log that may not fit it. */
TEST(raft_fetch, a_new_leader_begins_anew)
{
    struct lab l = lab_at(RAFT_FOLLOWER);

    lab_fetch_done(&l, 25);
    (void)begin(&l, 3, 6, lab_key(1));
    (void)lab_said(&l);
    lab_append(&l, 20);
    CHECK_TEXT(lab_said(&l), "\n\n");
    CHECK(lab_vote(&l, true, 2, 6, 6, 99).granted); /* nothing has been fetched from it yet */
    lab_free(&l);
}

TEST(raft_fetch, the_log_is_cut_and_begins_anew_behind_a_snapshot)
{
    struct lab l = lab_at(RAFT_FOLLOWER);
    struct raft_event cut = {.type = RAFT_EVENT_TRUNCATED, .end_offset = 7, .stable_offset = 7, .end_epoch = 3};

    lab_fetch_done(&l, 6);
    lab_step(&l, cut);
    cut = (struct raft_event){.type = RAFT_EVENT_TRUNCATED, .end_offset = 40, .stable_offset = 40, .end_epoch = 5};
    lab_step(&l, cut);
    CHECK_TEXT(lab_said(&l), "watermark 6; \n\nwatermark 40; \n"); /* all of a snapshot is committed */
    cut.end_offset = cut.stable_offset = 39;
    CHECK_ASSERTS(lab_step(&l, cut)); /* what is committed stays */
    lab_free(&l);
}
