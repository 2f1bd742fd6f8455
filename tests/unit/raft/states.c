/* Which role a node starts in, and what moves it to another one. Rule: KIP-595, KIP-996. */
#include "lab.h"

static struct raft_election election(int32_t epoch, int32_t leader, int32_t voted)
{
    return (struct raft_election){.epoch = epoch,
                                  .leader_id = leader,
                                  .voted_id = voted,
                                  .voted_directory_id = voted == -1 ? UUID_ZERO : lab_directory(voted)};
}

static void check_start(struct raft_election e, const char *expected)
{
    struct raft_options o = lab_options(3, true, e);
    struct lab l = {0};

    o.log_epoch = LAB_LOG_EPOCH;
    l = lab_start(&o);
    CHECK_TEXT(lab_said(&l), expected);
    lab_free(&l);
}

TEST(raft_start, the_file_and_the_log_say_the_role)
{
    check_start(election(3, -1, -1), "persist epoch=4 leader=-1 voted=-1; unattached; \n"); /* the log is newer */
    check_start(election(3, 1, -1), "persist epoch=4 leader=-1 voted=-1; unattached; \n");
    check_start(election(5, 1, -1), "resigned; end 2, 3; \n"); /* F5 */
    check_start(election(5, -1, 1), "candidate; vote 2, 3; \n");
    check_start(election(5, 2, -1), "follower; \n");
    check_start(election(5, 2, 1), "follower; \n");    /* its vote was in vain */
    check_start(election(5, 9, -1), "unattached; \n"); /* a leader that is no voter: nobody knows where it is */
    check_start(election(5, -1, 3), "unattached; \n");
    check_start(election(4, -1, -1), "unattached; \n");
}

TEST(raft_start, an_observer_follows_or_asks_anybody)
{
    struct raft_options o = lab_options(3, true, election(5, 2, -1));
    struct lab l;
    int32_t leader = -1;

    o.directory_id = lab_directory(9); /* the voter 1 is another directory */
    l = lab_start(&o);
    CHECK_TEXT(lab_said(&l), "follower; \n");
    CHECK_EQ(raft_source(l.raft, &leader), RAFT_SOURCE_LEADER);
    CHECK_EQ(leader, 2);
    lab_tick(&l); /* it is silent: an observer does not stand, but asks others */
    CHECK_EQ(l.now, 3000);
    CHECK_TEXT(lab_said(&l), "\n");
    CHECK_EQ(raft_source(l.raft, &leader), RAFT_SOURCE_ANY);
    CHECK_EQ(l.out.deadline_ms, INT64_MAX);
    /* Node 3 has it for the leader, too: so it is asked again. */
    lab_answer_all(&l, (struct raft_answer){.rpc = RAFT_FETCH,
                                            .from = 3,
                                            .sent_epoch = 5,
                                            .error = KERR_NOT_LEADER_OR_FOLLOWER,
                                            .leader_id = 2,
                                            .epoch = 5,
                                            .high_watermark = -1});
    CHECK_EQ(raft_source(l.raft, &leader), RAFT_SOURCE_LEADER);
    lab_free(&l);

    o.election = election(5, -1, -1);
    l = lab_start(&o);
    CHECK_EQ(raft_source(l.raft, &leader), RAFT_SOURCE_ANY);
    CHECK_EQ(l.out.deadline_ms, INT64_MAX);
    lab_free(&l);
}

TEST(raft_states, an_election_from_waiting_to_leading)
{
    struct lab l = lab_at(RAFT_UNATTACHED);
    int32_t leader = -1;

    CHECK_EQ(raft_source(l.raft, &leader), RAFT_SOURCE_ANY);
    CHECK(l.out.deadline_ms >= 2000 && l.out.deadline_ms <= 3000); /* 1x to 2x */
    lab_tick(&l);
    CHECK_EQ(raft_source(l.raft, &leader), RAFT_SOURCE_NOBODY);
    lab_answer(&l, RAFT_VOTE, 2, true);
    lab_answer(&l, RAFT_VOTE, 3, true);
    CHECK_TEXT(lab_said(&l), "prospective; pre-vote 2, 3; \n"
                             "persist epoch=6 leader=-1 voted=1; candidate; vote 2, 3; \n"
                             "persist epoch=6 leader=1 voted=-1; append LeaderChange; leader; begin 2, 3; \n");
    CHECK_EQ(raft_source(l.raft, &leader), RAFT_SOURCE_NOBODY);
    lab_free(&l);
}

TEST(raft_states, a_prospective_that_nobody_wants_waits_again)
{
    struct lab l = lab_at(RAFT_PROSPECTIVE);

    lab_answer(&l, RAFT_VOTE, 2, false);
    lab_answer(&l, RAFT_VOTE, 3, false);
    CHECK_TEXT(lab_said(&l), "\nunattached; \n");
    CHECK_EQ(raft_election(l.raft)->epoch, LAB_EPOCH);
    lab_free(&l);

    l = lab_at(RAFT_PROSPECTIVE); /* nobody answers */
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "unattached; \n");
    lab_free(&l);
}

TEST(raft_states, a_prospective_goes_back_to_the_leader_that_it_knows)
{
    struct lab l = lab_at(RAFT_FOLLOWER);

    lab_tick(&l);
    CHECK_EQ(l.now, 3000); /* the fetch timeout */
    lab_answer(&l, RAFT_VOTE, 2, false);
    lab_answer(&l, RAFT_VOTE, 3, false);
    CHECK_TEXT(lab_said(&l), "prospective; pre-vote 2, 3; \n\nfollower; \n");
    CHECK_EQ(raft_election(l.raft)->epoch, LAB_EPOCH);
    CHECK_EQ(raft_election(l.raft)->leader_id, LAB_OTHER);
    CHECK_EQ(l.out.deadline_ms, l.now + 2000);
    lab_free(&l);
}

/* A voter from before KIP-996 cannot be asked first. */
TEST(raft_states, an_old_peer_makes_a_prospective_a_candidate_at_once)
{
    struct lab l = lab_at(RAFT_PROSPECTIVE);

    lab_answer_all(&l, (struct raft_answer){.rpc = RAFT_VOTE,
                                            .from = 2,
                                            .sent_epoch = LAB_EPOCH,
                                            .pre_vote = true,
                                            .error = KERR_UNSUPPORTED_VERSION,
                                            .leader_id = -1,
                                            .epoch = -1});
    CHECK_TEXT(lab_said(&l), "persist epoch=6 leader=-1 voted=1; candidate; vote 2, 3; \n");
    lab_free(&l);
}

TEST(raft_states, a_candidate_that_has_lost_asks_for_pre_votes_after_a_backoff)
{
    struct lab l = lab_at(RAFT_CANDIDATE);
    int64_t timeout = l.out.deadline_ms;

    lab_answer(&l, RAFT_VOTE, 2, false);
    CHECK_EQ(l.out.deadline_ms, timeout); /* 3 may still say yes */
    lab_answer(&l, RAFT_VOTE, 3, false);
    CHECK(l.out.deadline_ms > l.now && l.out.deadline_ms <= l.now + 1001);
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "\n\nprospective; pre-vote 2, 3; \n");
    CHECK_EQ(raft_election(l.raft)->epoch, LAB_EPOCH);
    CHECK_EQ(raft_election(l.raft)->voted_id, LAB_NODE); /* it keeps its vote */
    lab_free(&l);

    l = lab_at(RAFT_CANDIDATE); /* nobody answers */
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "prospective; pre-vote 2, 3; \n");
    lab_free(&l);
}

TEST(raft_states, what_is_lost_is_sent_again)
{
    struct lab l = lab_at(RAFT_CANDIDATE);
    struct raft_answer lost = {.rpc = RAFT_VOTE, .from = 3, .sent_epoch = LAB_EPOCH, .lost = true};

    lab_answer_all(&l, lost);
    CHECK_EQ(l.out.deadline_ms, l.now + 20);
    lab_tick(&l);
    lost.from = 2;
    lost.sent_epoch = LAB_EPOCH - 1; /* of another election */
    lab_answer_all(&l, lost);
    CHECK_TEXT(lab_said(&l), "\nvote 3; \n\n");
    CHECK(l.out.deadline_ms > l.now + 20);
    lab_free(&l);
}

TEST(raft_states, answers_of_another_epoch_are_no_votes)
{
    struct lab l = lab_at(RAFT_CANDIDATE);
    struct raft_answer a = {.rpc = RAFT_VOTE,
                            .from = 2,
                            .sent_epoch = LAB_EPOCH - 1,
                            .leader_id = -1,
                            .epoch = LAB_EPOCH - 1,
                            .granted = true};

    lab_answer_all(&l, a);
    a.sent_epoch = a.epoch = LAB_EPOCH;
    a.pre_vote = true; /* that was no vote */
    lab_answer_all(&l, a);
    a.pre_vote = false;
    a.from = 9; /* nor is it a voter */
    lab_answer_all(&l, a);
    CHECK_TEXT(lab_said(&l), "\n\n\n");
    CHECK_EQ(raft_role(l.raft), RAFT_CANDIDATE);
    lab_free(&l);
}

TEST(raft_states, a_resigned_leader_says_so_and_goes_on_to_the_next_epoch)
{
    struct lab l = lab_at(RAFT_LEADER);

    lab_pass(&l, 2999);
    (void)lab_said(&l);
    CHECK_EQ(l.out.deadline_ms, 4000); /* 1.5 x fetch timeout: nobody has fetched */
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "resigned; end 2, 3; \n");
    lab_answer(&l, RAFT_END, 2, false);
    lab_answer_all(&l, (struct raft_answer){.rpc = RAFT_END, .from = 3, .sent_epoch = LAB_EPOCH, .lost = true});
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "\n\nend 3; \n"); /* until it has been heard */
    lab_answer(&l, RAFT_END, 3, false);
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "\npersist epoch=6 leader=-1 voted=-1; unattached; \n");
    lab_free(&l);
}

TEST(raft_states, a_leader_of_the_own_epoch_is_followed_by_who_lacked_it)
{
    for (enum raft_role role = RAFT_UNATTACHED; role <= RAFT_CANDIDATE; role++) {
        struct lab l = lab_at(role);

        lab_answer_all(&l, (struct raft_answer){.rpc = RAFT_VOTE,
                                                .from = 3,
                                                .sent_epoch = LAB_EPOCH,
                                                .pre_vote = role == RAFT_PROSPECTIVE,
                                                .leader_id = 2,
                                                .epoch = LAB_EPOCH});
        CHECK_EQ(raft_role(l.raft), RAFT_FOLLOWER);
        CHECK_EQ(raft_election(l.raft)->leader_id, 2);
        CHECK_EQ(raft_election(l.raft)->voted_id, role == RAFT_CANDIDATE ? LAB_NODE : -1);
        lab_free(&l);
    }
}

TEST(raft_states, a_higher_epoch_ends_every_role)
{
    for (enum raft_role role = RAFT_UNATTACHED; role <= RAFT_RESIGNED; role++) {
        struct lab l = lab_at(role);
        struct raft_answer a = {.rpc = RAFT_VOTE,
                                .from = 3,
                                .sent_epoch = LAB_EPOCH,
                                .error = KERR_FENCED_LEADER_EPOCH,
                                .leader_id = -1,
                                .epoch = 7};

        lab_answer_all(&l, a);
        a.epoch = 8;
        a.leader_id = 3;
        lab_answer_all(&l, a);
        CHECK_TEXT(lab_said(&l), "persist epoch=7 leader=-1 voted=-1; unattached; \n"
                                 "persist epoch=8 leader=3 voted=-1; follower; \n");
        a.epoch = 7; /* old news */
        a.leader_id = 2;
        lab_answer_all(&l, a);
        a.epoch = 8; /* F1: a second leader is not believed */
        lab_answer_all(&l, a);
        a.epoch = 99; /* it does not know so much itself */
        a.error = KERR_UNKNOWN_LEADER_EPOCH;
        lab_answer_all(&l, a);
        CHECK_TEXT(lab_said(&l), "\n\n\n");
        lab_free(&l);
    }
}

/* Its directory was lost: it must not vote in an epoch that it has led. */
TEST(raft_states, who_is_told_that_it_led_counts_as_resigned)
{
    struct lab l = lab_at(RAFT_UNATTACHED);

    lab_answer_all(&l, (struct raft_answer){.rpc = RAFT_FETCH,
                                            .from = 3,
                                            .sent_epoch = LAB_EPOCH,
                                            .error = KERR_FENCED_LEADER_EPOCH,
                                            .leader_id = LAB_NODE,
                                            .epoch = 7,
                                            .high_watermark = -1});
    CHECK_TEXT(lab_said(&l), "persist epoch=7 leader=1 voted=-1; resigned; end 2, 3; \n");
    CHECK(!lab_vote(&l, false, 3, 7, 6, 100).granted);
    lab_free(&l);
}

TEST(raft_states, the_last_epoch_of_all_is_the_end_without_a_bug)
{
    struct lab l = lab_at(RAFT_UNATTACHED);

    for (enum raft_rpc rpc = RAFT_VOTE; rpc <= RAFT_END; rpc++) {
        struct raft_request q = {.rpc = rpc, .from = lab_key(3), .to = {.id = -1}, .epoch = INT32_MAX};
        CHECK_EQ(lab_request(&l, q).error, KERR_INVALID_REQUEST);
    }
    CHECK_EQ(lab_request(&l, (struct raft_request){.rpc = RAFT_FETCH, .from = lab_key(3), .epoch = INT32_MAX}).error,
             KERR_UNKNOWN_LEADER_EPOCH);
    lab_answer_all(&l, (struct raft_answer){.rpc = RAFT_FETCH,
                                            .from = 3,
                                            .sent_epoch = LAB_EPOCH,
                                            .error = KERR_FENCED_LEADER_EPOCH,
                                            .leader_id = 3,
                                            .epoch = INT32_MAX,
                                            .high_watermark = -1});
    CHECK_EQ(raft_election(l.raft)->epoch, LAB_EPOCH); /* nobody brings it there */

    (void)lab_vote(&l, true, 3, INT32_MAX - 1, 0, 0);
    CHECK_EQ(raft_election(l.raft)->epoch, INT32_MAX - 1);
    CHECK_EQ(l.out.deadline_ms, INT64_MAX); /* it cannot stand any more */
    lab_free(&l);
}

TEST(raft_states, who_stops_resigns_and_stands_no_more)
{
    for (enum raft_role role = RAFT_UNATTACHED; role <= RAFT_RESIGNED; role++) {
        struct lab l = lab_at(role);
        int32_t leader;

        lab_step(&l, (struct raft_event){.type = RAFT_EVENT_STOP});
        CHECK_TEXT(lab_said(&l), role == RAFT_LEADER ? "resigned; end 2, 3; \n" : "\n");
        CHECK_EQ(l.out.deadline_ms, INT64_MAX);
        CHECK_EQ(raft_source(l.raft, &leader), RAFT_SOURCE_NOBODY);
        l.now += 100000;
        lab_step(&l, (struct raft_event){.type = RAFT_EVENT_TICK});
        CHECK_TEXT(lab_said(&l), "\n");
        lab_free(&l);
    }
}
