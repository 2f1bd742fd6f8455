/* How the voters change. Rule: KIP-853; the order of the refusals is that of 4.3. */
#include "lab.h"

/* Leader of three that has committed its epoch's first offset; 4 has fetched all of it. */
static struct lab settled(bool is_dynamic)
{
    struct raft_election e = {
        .epoch = LAB_EPOCH, .leader_id = -1, .voted_id = LAB_NODE, .voted_directory_id = lab_directory(LAB_NODE)};
    struct raft_options o = lab_options(3, is_dynamic, e);
    struct lab l = lab_start(&o);

    lab_answer(&l, RAFT_VOTE, LAB_OTHER, true);
    lab_append(&l, 11);
    lab_fetched(&l, 2, 11);
    lab_fetched(&l, 4, 11);
    (void)lab_said(&l);
    return l;
}

TEST(raft_changes, a_voter_is_added_and_counts_at_once)
{
    struct lab l = settled(true);

    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, lab_voter(4)), KERR_NONE);
    CHECK_EQ(raft_voters(l.raft)->count, 4);
    lab_append_voters(&l);
    CHECK_TEXT(lab_said(&l), "append Voters; begin 4; \n\n\n\n");
    lab_fetched(&l, 2, 12); /* two of four are no majority */
    lab_fetched(&l, 4, 12);
    CHECK_TEXT(lab_said(&l), "\nwatermark 12; \n");
    CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(2)), KERR_NONE);
    lab_free(&l);
}

/* F7 */
TEST(raft_changes, one_at_a_time_and_none_before_the_epoch_has_committed)
{
    struct lab l = lab_at(RAFT_LEADER);

    CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(3)), KERR_REQUEST_TIMED_OUT);
    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, lab_voter(9)), KERR_REQUEST_TIMED_OUT);
    lab_fetched(&l, 2, 11);
    CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(3)), KERR_NONE);
    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, lab_voter(3)), KERR_REQUEST_TIMED_OUT); /* not appended yet */
    lab_append_voters(&l);
    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, lab_voter(3)), KERR_REQUEST_TIMED_OUT); /* not committed yet */
    lab_fetched(&l, 2, 12);
    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, lab_voter(2)), KERR_DUPLICATE_VOTER);
    lab_free(&l);
}

TEST(raft_changes, only_the_leader_decides)
{
    for (enum raft_role role = RAFT_UNATTACHED; role <= RAFT_RESIGNED; role++) {
        struct lab l = lab_at(role);
        if (role != RAFT_LEADER)
            CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(3)), KERR_NOT_LEADER_OR_FOLLOWER);
        lab_step(&l, (struct raft_event){.type = RAFT_EVENT_STOP});
        CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(3)), KERR_BROKER_NOT_AVAILABLE);
        lab_free(&l);
    }
}

TEST(raft_changes, refusals)
{
    struct lab l = settled(true);
    struct raft_voter v = lab_voter(3);

    v.directory_id = lab_directory(9);
    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, v), KERR_DUPLICATE_VOTER); /* whatever its directory */
    CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, v), KERR_VOTER_NOT_FOUND);
    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, v), KERR_VOTER_NOT_FOUND);
    CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(7)), KERR_VOTER_NOT_FOUND);
    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, lab_voter(5)), KERR_REQUEST_TIMED_OUT); /* it has fetched nothing */
    v = lab_voter(4);
    v.kraft_version_max = 0;
    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, v), KERR_INVALID_REQUEST);
    v = lab_voter(4);
    v.directory_id = UUID_ZERO;
    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, v), KERR_INVALID_REQUEST);
    v = lab_voter(4);
    memcpy(v.endpoints[0].name, "OTHER", 6); /* the others could not reach it */
    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, v), KERR_INVALID_REQUEST);
    v = lab_voter(3);
    v.kraft_version_min = 2;
    v.kraft_version_max = 2;
    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, v), KERR_INVALID_REQUEST);
    l.now += 3600001; /* it was caught up more than an hour ago */
    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, lab_voter(4)), KERR_REQUEST_TIMED_OUT);
    CHECK_EQ(raft_voters(l.raft)->count, 3);
    lab_free(&l);
}

TEST(raft_changes, the_last_voter_stays)
{
    struct raft_options o = lab_options(1, true, (struct raft_election){.leader_id = -1, .voted_id = -1});
    struct lab l;

    o.log_epoch = 0;
    l = lab_start(&o);
    lab_append(&l, 1);
    CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(1)), KERR_VOTER_NOT_FOUND);
    lab_free(&l);
}

TEST(raft_changes, endpoints_are_updated_where_they_differ)
{
    struct lab l = settled(true);
    struct raft_voter v = lab_voter(2);

    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, v), KERR_NONE);
    CHECK_TEXT(lab_said(&l), "\n"); /* they are so already */
    v.endpoints[0].port = 1;
    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, v), KERR_NONE);
    CHECK_TEXT(lab_said(&l), "append Voters; \n");
    CHECK_EQ(raft_voter_find(raft_voters(l.raft), 2)->endpoints[0].port, 1);
    lab_free(&l);
}

/* The new majority commits it; the leader is no part of it, and resigns then. */
TEST(raft_changes, a_leader_that_removes_itself_leads_until_that_is_committed)
{
    struct lab l = settled(true);

    CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(LAB_NODE)), KERR_NONE);
    lab_append_voters(&l);
    lab_fetched(&l, 2, 12); /* of two voters both are the majority */
    CHECK_TEXT(lab_said(&l), "append Voters; \n\n\n\n\n");
    lab_fetched(&l, 3, 12);
    CHECK_TEXT(lab_said(&l), "resigned; watermark 12; end 2, 3; \n");
    lab_answer(&l, RAFT_END, 2, false);
    lab_answer(&l, RAFT_END, 3, false);
    lab_tick(&l);
    CHECK_EQ(raft_role(l.raft), RAFT_UNATTACHED);
    CHECK_EQ(l.out.deadline_ms, INT64_MAX); /* an observer now */
    lab_free(&l);
}

/* As long as it may not be committed, it has to stand: it alone may have the longest log. */
TEST(raft_changes, who_is_removed_but_perhaps_not_stands_for_election)
{
    struct lab l = settled(true);

    CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(LAB_NODE)), KERR_NONE);
    lab_append_voters(&l);
    lab_pass(&l, 3000);
    CHECK_EQ(raft_role(l.raft), RAFT_RESIGNED);
    while (raft_role(l.raft) != RAFT_PROSPECTIVE)
        lab_tick(&l);
    (void)lab_said(&l);
    lab_answer(&l, RAFT_VOTE, 2, true); /* its own does not count */
    lab_answer(&l, RAFT_VOTE, 3, true);
    CHECK_TEXT(lab_said(&l), "\npersist epoch=7 leader=-1 voted=1; candidate; vote 2, 3; \n");
    lab_free(&l);
}

TEST(raft_changes, what_was_cut_from_the_log_is_not_in_force)
{
    struct lab l = lab_at(RAFT_FOLLOWER);
    const struct raft_voters three = *raft_voters(l.raft);
    struct raft_voters two = three;

    two.voters[0] = two.voters[2];
    two.count = 2; /* 3, 2 */
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_APPENDED, .end_offset = 12, .end_epoch = LAB_EPOCH});
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_VOTERS, .voters = &two, .voters_end = 12});
    lab_fetch_done(&l, 12); /* committed: an observer */
    lab_tick(&l);
    CHECK_EQ(raft_role(l.raft), RAFT_FOLLOWER);
    lab_free(&l);

    l = lab_at(RAFT_FOLLOWER);
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_APPENDED, .end_offset = 12, .end_epoch = LAB_EPOCH});
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_VOTERS, .voters = &two, .voters_end = 12});
    lab_step(&l, (struct raft_event){
                     .type = RAFT_EVENT_TRUNCATED, .end_offset = 10, .stable_offset = 10, .end_epoch = LAB_LOG_EPOCH});
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_VOTERS, .voters = &three, .voters_end = 0});
    (void)lab_said(&l);
    lab_tick(&l);
    CHECK_TEXT(lab_said(&l), "prospective; pre-vote 2, 3; \n");
    lab_free(&l);
}

/* Votes of other voters are worth nothing. */
TEST(raft_changes, other_voters_end_an_election)
{
    struct lab l = lab_at(RAFT_CANDIDATE);
    struct raft_options five = lab_options(5, true, (struct raft_election){.leader_id = -1, .voted_id = -1});

    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_VOTERS, .voters = &five.voters, .voters_end = 10});
    lab_answer(&l, RAFT_VOTE, 2, true);
    lab_answer(&l, RAFT_VOTE, 3, true);
    CHECK_TEXT(lab_said(&l), "unattached; \n\n\n");
    lab_free(&l);
}

TEST(raft_changes, a_new_leader_writes_its_own_endpoints_where_they_have_changed)
{
    struct raft_election e = {
        .epoch = LAB_EPOCH, .leader_id = -1, .voted_id = LAB_NODE, .voted_directory_id = lab_directory(LAB_NODE)};
    struct raft_options o = lab_options(3, true, e);
    struct lab l;

    o.self.endpoints[0].port = 77;
    l = lab_start(&o);
    lab_answer(&l, RAFT_VOTE, 2, true);
    CHECK(l.out.append_leader_change && l.out.append_voters);
    CHECK_EQ(raft_voter_find(raft_voters(l.raft), 1)->endpoints[0].port, 77);
    lab_free(&l);
}

/* ---- static: kraft.version 0 --------------------------------------------------------------- */

TEST(raft_upgrade, a_static_quorum_does_not_change_but_remembers_what_voters_say)
{
    struct lab l = settled(false);
    struct raft_voter v = lab_voter(3);

    CHECK_EQ(lab_change(&l, RAFT_ADD_VOTER, lab_voter(4)), KERR_UNSUPPORTED_VERSION);
    CHECK_EQ(lab_change(&l, RAFT_REMOVE_VOTER, lab_voter(2)), KERR_UNSUPPORTED_VERSION);
    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, lab_voter(4)), KERR_VOTER_NOT_FOUND);
    v.directory_id = UUID_ZERO;
    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, v), KERR_INVALID_REQUEST);
    CHECK_EQ(lab_change(&l, RAFT_UPGRADE, v), KERR_INVALID_UPDATE_VERSION);
    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, lab_voter(2)), KERR_NONE);
    v = lab_voter(3);
    v.kraft_version_max = 0;
    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, v), KERR_NONE);
    CHECK_EQ(lab_change(&l, RAFT_UPGRADE, v), KERR_INVALID_UPDATE_VERSION); /* 3 does not know it */
    CHECK_EQ(lab_change(&l, RAFT_UPDATE_VOTER, lab_voter(3)), KERR_NONE);
    CHECK_EQ(raft_voters(l.raft)->kraft_version, 0);
    CHECK(uuid_is_zero(raft_voters(l.raft)->voters[1].directory_id));
    (void)lab_said(&l);

    struct raft_change look = {.kind = RAFT_UPGRADE, .validate_only = true};
    lab_step(&l, (struct raft_event){.type = RAFT_EVENT_CHANGE, .change = &look});
    CHECK_EQ(l.out.reply.error, KERR_NONE);
    CHECK_EQ(raft_voters(l.raft)->kraft_version, 0);
    CHECK_TEXT(lab_said(&l), "\n");
    CHECK_EQ(lab_change(&l, RAFT_UPGRADE, v), KERR_NONE);
    CHECK_TEXT(lab_said(&l), "append Voters; \n");
    CHECK_EQ(raft_voters(l.raft)->kraft_version, 1);
    for (int32_t id = 1; id <= 3; id++)
        CHECK(raft_is_voter(raft_voters(l.raft), id, lab_directory(id)));
    lab_append_voters(&l);
    lab_fetched(&l, 2, 12); /* it is known by its directory now */
    CHECK_TEXT(lab_said(&l), "\n\n\nwatermark 12; \n");
    CHECK_EQ(lab_change(&l, RAFT_UPGRADE, v), KERR_NONE); /* it is so already */
    CHECK_TEXT(lab_said(&l), "\n");
    lab_free(&l);
}
