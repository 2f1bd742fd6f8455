#include "rig.h"

/* Two members, stable in generation 1 with assignments "0" and "1". */
struct pair {
    struct str a, b;
};

static struct pair pair_stable(struct rig *r)
{
    struct call *a = rig_join(r, "g", "", 3), *b = rig_join(r, "g", "", 3);
    struct pair pair;

    rig_pass(r, 6000);
    CHECK(a->done && b->done);
    pair = (struct pair){join_of(a)->member_id, join_of(b)->member_id};
    struct call *follower = rig_sync(r, "g", pair.b, 1, NULL);
    CHECK(!follower->done);
    struct call *leader = rig_sync(r, "g", pair.a, 1, rig_assign(r, pair.a, "0", pair.b, "1"));
    CHECK(leader->done && follower->done);
    CHECK_TEXT(str_of_bytes(sync_of(follower)->assignment), "1");
    CHECK_TEXT(rig_state(r, "g"), "Stable range 0 1");
    return pair;
}

TEST(rebalance, a_third_member_makes_the_others_join_again)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);

    struct call *c = rig_join(&r, "g", "", 3);
    CHECK(!c->done);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.a, 1), KERR_REBALANCE_IN_PROGRESS);
    CHECK_EQ(sync_of(rig_sync(&r, "g", pair.a, 1, NULL))->error_code, KERR_REBALANCE_IN_PROGRESS);
    struct call *a = rig_join(&r, "g", rig_text(&r, pair.a), 3);
    CHECK(!a->done);
    struct call *b = rig_join(&r, "g", rig_text(&r, pair.b), 3);
    CHECK(a->done && b->done && c->done); /* no delay: all are there */
    CHECK_EQ(join_of(a)->generation_id, 2);
    CHECK_EQ(join_of(a)->members_count, 3);
    CHECK_EQ(join_of(c)->members_count, 0);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.a, 2), KERR_NONE);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.a, 1), KERR_ILLEGAL_GENERATION);
    rig_end(&r);
}

TEST(rebalance, who_does_not_join_in_time_is_out)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);

    struct call *a =
        rig_join(&r, "g", rig_text(&r, pair.a), 3); /* the leader wants to assign anew */
    for (int i = 0; i < 11; i++) {
        rig_pass(&r, 5000);
        CHECK_EQ(rig_heartbeat(&r, "g", pair.b, 1), KERR_REBALANCE_IN_PROGRESS);
    }
    CHECK(!a->done);
    rig_pass(&r, 5000);
    CHECK(a->done);
    CHECK_EQ(join_of(a)->members_count, 1);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.b, 1), KERR_UNKNOWN_MEMBER_ID);
    rig_end(&r);
}

TEST(rebalance, a_silent_member_is_out_after_its_session)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);

    rig_pass(&r, 6000);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.a, 1), KERR_NONE);
    rig_pass(&r, 3999);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.a, 1), KERR_NONE);
    rig_pass(&r, 1);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.a, 1), KERR_REBALANCE_IN_PROGRESS);
    struct call *a = rig_join(&r, "g", rig_text(&r, pair.a), 3);
    CHECK(a->done);
    CHECK_EQ(join_of(a)->generation_id, 2);
    CHECK_EQ(join_of(a)->members_count, 1);
    rig_end(&r);
}

TEST(rebalance, a_leader_that_leaves_has_a_successor)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);

    CHECK_EQ(rig_leave(&r, "g", pair.a), KERR_NONE);
    CHECK_EQ(rig_leave(&r, "g", pair.a), KERR_UNKNOWN_MEMBER_ID);
    struct call *b = rig_join(&r, "g", rig_text(&r, pair.b), 3);
    CHECK(b->done);
    CHECK(str_equal(join_of(b)->leader, pair.b));
    CHECK_EQ(rig_leave(&r, "g", pair.b), KERR_NONE);
    CHECK_TEXT(rig_state(&r, "g"), "Empty");
    rig_end(&r);
}

TEST(rebalance, a_follower_that_asks_again_disturbs_nobody)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);

    struct call *b = rig_join(&r, "g", rig_text(&r, pair.b), 3);
    CHECK(b->done);
    CHECK_EQ(join_of(b)->generation_id, 1);
    struct call *s = rig_sync(&r, "g", pair.b, 1, NULL);
    CHECK_TEXT(str_of_bytes(sync_of(s)->assignment), "1");
    /* With other metadata it does. */
    b = rig_join_with(&r, "g", rig_text(&r, pair.b), NULL, "range=changed", 3);
    CHECK(!b->done);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.a, 1), KERR_REBALANCE_IN_PROGRESS);
    rig_end(&r);
}

TEST(rebalance, who_never_syncs_is_out)
{
    struct rig r;
    rig_init(&r);
    struct call *a = rig_join(&r, "g", "", 3), *b = rig_join(&r, "g", "", 3);
    rig_pass(&r, 6000);
    struct str a_id = join_of(a)->member_id, b_id = join_of(b)->member_id;

    struct call *waits = rig_sync(&r, "g", b_id, 1, NULL);
    for (int i = 0; i < 12; i++) {
        CHECK(!waits->done);
        CHECK_EQ(rig_heartbeat(&r, "g", a_id, 1), KERR_NONE); /* it lives, but does not assign */
        rig_pass(&r, 5000);
    }
    CHECK(waits->done);
    CHECK_EQ(sync_of(waits)->error_code, KERR_REBALANCE_IN_PROGRESS);
    CHECK_EQ(rig_heartbeat(&r, "g", a_id, 1), KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_heartbeat(&r, "g", b_id, 1), KERR_REBALANCE_IN_PROGRESS);
    rig_end(&r);
}

TEST(rebalance, waiting_syncs_are_sent_back_when_somebody_joins)
{
    struct rig r;
    rig_init(&r);
    struct call *a = rig_join(&r, "g", "", 3), *b = rig_join(&r, "g", "", 3);
    rig_pass(&r, 6000);

    struct call *waits = rig_sync(&r, "g", join_of(b)->member_id, 1, NULL);
    rig_join(&r, "g", "", 3);
    CHECK(waits->done);
    CHECK_EQ(sync_of(waits)->error_code, KERR_REBALANCE_IN_PROGRESS);
    CHECK_EQ(sync_of(rig_sync(&r, "g", join_of(a)->member_id, 1, NULL))->error_code,
             KERR_REBALANCE_IN_PROGRESS);
    rig_end(&r);
}

TEST(rebalance, a_sync_must_speak_of_the_generation_and_the_protocol)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_member(&r, "g");
    struct sync_group_request *q = rig_take(&r, &sync_group_request_message);

    CHECK_EQ(sync_of(rig_sync(&r, "g", id, 2, NULL))->error_code, KERR_ILLEGAL_GENERATION);
    CHECK_EQ(sync_of(rig_sync(&r, "g", STR("x"), 1, NULL))->error_code, KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(sync_of(rig_sync(&r, "h", id, 1, NULL))->error_code, KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(sync_of(rig_sync(&r, "", id, 1, NULL))->error_code, KERR_INVALID_GROUP_ID);
    q->group_id = STR("g");
    q->member_id = id;
    q->generation_id = 1;
    q->protocol_type = STR("consumer");
    q->protocol_name = STR("sticky");
    CHECK_EQ(sync_of(rig_ask(&r, API_SYNC_GROUP, 5, q))->error_code,
             KERR_INCONSISTENT_GROUP_PROTOCOL);
    q->protocol_name = STR("range");
    struct call *s = rig_ask(&r, API_SYNC_GROUP, 5, q);
    CHECK_EQ(sync_of(s)->error_code, KERR_NONE);
    CHECK_TEXT(sync_of(s)->protocol_type, "consumer");
    CHECK_TEXT(sync_of(s)->protocol_name, "range");
    rig_end(&r);
}

TEST(rebalance, an_assignment_that_cannot_be_written_is_made_anew)
{
    struct rig r;
    rig_init(&r);
    struct call *a = rig_join(&r, "g", "", 3);
    rig_pass(&r, 3000);
    struct str id = join_of(a)->member_id;

    r.refuses = KERR_NOT_ENOUGH_REPLICAS;
    struct call *s = rig_sync(&r, "g", id, 1, rig_assign(&r, id, "x", STR_NULL, NULL));
    CHECK_EQ(sync_of(s)->error_code, KERR_COORDINATOR_NOT_AVAILABLE);
    CHECK_EQ(rig_heartbeat(&r, "g", id, 1), KERR_REBALANCE_IN_PROGRESS);
    r.refuses = KERR_NONE;
    a = rig_join(&r, "g", rig_text(&r, id), 3);
    CHECK(a->done);
    CHECK_EQ(join_of(a)->generation_id, 2);
    s = rig_sync(&r, "g", id, 2, rig_assign(&r, id, "x", STR_NULL, NULL));
    CHECK_TEXT(str_of_bytes(sync_of(s)->assignment), "x");
    rig_end(&r);
}

TEST(rebalance, several_leave_at_once)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);
    struct leave_group_request *q = rig_take(&r, &leave_group_request_message);
    struct leave_group_request_members members[3];

    for (int i = 0; i < 3; i++)
        leave_group_request_members_init(&members[i]);
    members[0].member_id = pair.a;
    members[1].member_id = STR("x");
    members[2].member_id = pair.b;
    q->group_id = STR("g");
    q->members = members;
    q->members_count = 3;
    const struct leave_group_response *left = rig_ask(&r, API_LEAVE_GROUP, 5, q)->response;
    CHECK_EQ(left->error_code, KERR_NONE);
    CHECK_EQ(left->members_count, 3);
    CHECK_EQ(left->members[0].error_code, KERR_NONE);
    CHECK_EQ(left->members[1].error_code, KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(left->members[2].error_code, KERR_NONE);
    CHECK_TEXT(rig_state(&r, "g"), "Empty");
    rig_end(&r);
}
