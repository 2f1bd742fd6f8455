/* The answer to Vote: each role, both kinds of votes, each log. Rule: KIP-595, KIP-853, KIP-996. */
#include "lab.h"

/* Whether it is granted when the candidate's log is behind, as good, and ahead. */
static void check_votes(enum raft_role role, bool fetched, bool pre_vote, const char *expected)
{
    static const struct {
        int32_t epoch;
        int64_t offset;
    } logs[] = {{LAB_LOG_EPOCH - 1, LAB_END + 5},
                {LAB_LOG_EPOCH, LAB_END - 1},
                {LAB_LOG_EPOCH, LAB_END},
                {LAB_LOG_EPOCH, LAB_END + 1}};
    char given[array_count(logs) + 1] = {0};

    for (size_t i = 0; i < array_count(logs); i++) {
        struct lab l = lab_at(role);
        if (fetched)
            lab_fetch_done(&l, -1);
        struct raft_reply r = lab_vote(&l, pre_vote, 3, LAB_EPOCH, logs[i].epoch, logs[i].offset);
        CHECK_EQ(r.error, KERR_NONE);
        given[i] = r.granted ? 'y' : 'n';
        CHECK_EQ(l.out.persist, r.granted && !pre_vote); /* F3: durable first */
        if (l.out.persist)
            CHECK_EQ(l.out.election.voted_id, 3);
        CHECK_EQ(raft_role(l.raft), role); /* to be asked changes nothing */
        lab_free(&l);
    }
    CHECK_TEXT(given, expected);
}

TEST(raft_votes, go_to_candidates_whose_log_is_as_good)
{
    check_votes(RAFT_UNATTACHED, false, false, "nnyy");
    check_votes(RAFT_PROSPECTIVE, false, false, "nnyy");
    check_votes(RAFT_CANDIDATE, false, false, "nnnn"); /* it has voted for itself */
    check_votes(RAFT_FOLLOWER, false, false, "nnnn");
    check_votes(RAFT_FOLLOWER, true, false, "nnnn");
    check_votes(RAFT_LEADER, false, false, "nnnn");
    check_votes(RAFT_RESIGNED, false, false, "nnnn");
}

TEST(raft_votes, pre_votes_go_to_all_such_but_beside_a_leader_that_lives)
{
    check_votes(RAFT_UNATTACHED, false, true, "nnyy");
    check_votes(RAFT_PROSPECTIVE, false, true, "nnyy");
    check_votes(RAFT_CANDIDATE, false, true, "nnyy");
    check_votes(RAFT_FOLLOWER, false, true, "nnyy");
    check_votes(RAFT_FOLLOWER, true, true, "nnnn");
    check_votes(RAFT_LEADER, false, true, "nnnn");
    check_votes(RAFT_RESIGNED, false, true, "nnyy");
}

TEST(raft_votes, one_candidate_an_epoch_however_often_it_asks)
{
    struct lab l = lab_at(RAFT_UNATTACHED);
    struct raft_request again = {.rpc = RAFT_VOTE,
                                 .from = lab_key(3),
                                 .to = {.id = -1},
                                 .epoch = LAB_EPOCH,
                                 .last_epoch = LAB_LOG_EPOCH,
                                 .last_offset = LAB_END};

    CHECK(lab_request(&l, again).granted);
    CHECK(lab_request(&l, again).granted);
    CHECK(!lab_vote(&l, false, 2, LAB_EPOCH, LAB_LOG_EPOCH, 99).granted);
    again.from.directory_id = lab_directory(7); /* another disk in the same node: another candidate */
    CHECK(!lab_request(&l, again).granted);
    CHECK_TEXT(lab_said(&l), "persist epoch=5 leader=-1 voted=3; \n\n\n\n");
    CHECK(lab_vote(&l, true, 2, LAB_EPOCH, LAB_LOG_EPOCH, 99).granted); /* a wish is no promise */
    lab_free(&l);
}

/* The file names a leader that cannot be reached: others have voted in this epoch already. */
TEST(raft_votes, not_where_a_leader_is_known)
{
    struct raft_options o =
        lab_options(3, true, (struct raft_election){.epoch = LAB_EPOCH, .leader_id = 9, .voted_id = -1});
    struct lab l = lab_start(&o);

    CHECK_EQ(raft_role(l.raft), RAFT_UNATTACHED);
    CHECK(!lab_vote(&l, false, 2, LAB_EPOCH, LAB_LOG_EPOCH, 99).granted);
    CHECK(lab_vote(&l, true, 2, LAB_EPOCH, LAB_LOG_EPOCH, 99).granted);
    lab_free(&l);
}

TEST(raft_votes, a_higher_epoch_is_adopted_before_it_is_decided)
{
    struct lab l = lab_at(RAFT_LEADER);

    CHECK(lab_vote(&l, false, 3, 6, 5, 11).granted);
    CHECK_TEXT(lab_said(&l), "persist epoch=6 leader=-1 voted=3; unattached; \n");
    lab_free(&l);

    l = lab_at(RAFT_FOLLOWER); /* the log is behind: the epoch is adopted, the vote refused */
    CHECK(!lab_vote(&l, false, 3, 6, 3, 11).granted);
    CHECK_TEXT(lab_said(&l), "persist epoch=6 leader=-1 voted=-1; unattached; \n");
    lab_free(&l);
}

TEST(raft_votes, a_higher_epoch_is_adopted_even_if_somebody_else_was_meant)
{
    struct lab l = lab_at(RAFT_CANDIDATE);
    struct raft_request q = {.rpc = RAFT_VOTE, .from = lab_key(3), .to = lab_key(2), .epoch = 6, .last_offset = 99};

    CHECK_EQ(lab_request(&l, q).error, KERR_INVALID_VOTER_KEY);
    CHECK_TEXT(lab_said(&l), "persist epoch=6 leader=-1 voted=-1; unattached; \n");
    lab_free(&l);
}

TEST(raft_votes, are_given_by_who_is_no_voter_by_its_own_log)
{
    struct raft_options o =
        lab_options(3, true, (struct raft_election){.epoch = LAB_EPOCH, .leader_id = -1, .voted_id = -1});
    struct lab l;

    o.voters.voters[0] = lab_voter(7);
    l = lab_start(&o);
    CHECK(lab_vote(&l, false, 3, LAB_EPOCH, LAB_LOG_EPOCH, LAB_END).granted);
    lab_free(&l);
}

static void check_error(struct raft_request q, enum kerr expected)
{
    struct lab l = lab_at(RAFT_UNATTACHED);

    q.rpc = RAFT_VOTE;
    CHECK_EQ(lab_request(&l, q).error, expected);
    CHECK(expected == KERR_NONE || !l.out.reply.granted);
    lab_free(&l);
}

TEST(raft_votes, refusals_in_the_order_of_their_checks)
{
    const struct raft_key from = lab_key(3), nobody = {.id = -1};

    check_error((struct raft_request){.from = from, .to = nobody, .epoch = 5, .last_offset = -1}, KERR_INVALID_REQUEST);
    check_error((struct raft_request){.from = from, .to = nobody, .epoch = 5, .last_epoch = -1}, KERR_INVALID_REQUEST);
    check_error((struct raft_request){.from = from, .to = nobody, .epoch = 5, .last_epoch = 5}, KERR_INVALID_REQUEST);
    check_error((struct raft_request){.from = from, .to = nobody, .epoch = 5, .last_epoch = 6, .pre_vote = true},
                KERR_INVALID_REQUEST);
    check_error((struct raft_request){.from = from, .to = nobody, .epoch = 5, .last_epoch = 5, .pre_vote = true},
                KERR_NONE);
    check_error((struct raft_request){.from = nobody, .to = nobody, .epoch = 4}, KERR_FENCED_LEADER_EPOCH);
    check_error((struct raft_request){.from = nobody, .to = nobody, .epoch = 5}, KERR_INVALID_REQUEST);
    check_error((struct raft_request){.from = from, .to = lab_key(2), .epoch = 5}, KERR_INVALID_VOTER_KEY);
    check_error((struct raft_request){.from = from, .to = {.id = 1, .directory_id = lab_directory(7)}, .epoch = 5},
                KERR_INVALID_VOTER_KEY);
    check_error((struct raft_request){.from = from, .to = {.id = 1}, .epoch = 5}, KERR_NONE); /* of a static quorum */
}
