#include "rig.h"

/* A leader and a follower, both static, stable in generation 1. */
struct pair {
    struct str a, b;
};

static struct pair pair_stable(struct rig *r)
{
    struct call *a = rig_join_with(r, "g", "", "one", "range=m", 5);
    struct call *b = rig_join_with(r, "g", "", "two", "range=m", 5);
    struct pair pair;

    rig_pass(r, 6000);
    CHECK(a->done && b->done);
    pair = (struct pair){join_of(a)->member_id, join_of(b)->member_id};
    CHECK(rig_sync(r, "g", pair.a, 1, rig_assign(r, pair.a, "0", pair.b, "1"))->done);
    CHECK(rig_sync(r, "g", pair.b, 1, NULL)->done);
    return pair;
}

TEST(static_member, needs_no_second_join_and_is_named_after_its_instance)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);

    CHECK(str_starts(pair.a, STR("one-")));
    CHECK_TEXT(rig_state(&r, "g"), "Stable range 0 1");
    rig_end(&r);
}

TEST(static_member, a_restart_within_the_session_makes_no_rebalance)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);

    struct call *b = rig_join_with(&r, "g", "", "two", "range=m", 5);
    CHECK(b->done);
    CHECK_EQ(join_of(b)->error_code, KERR_NONE);
    CHECK_EQ(join_of(b)->generation_id, 1);
    CHECK(!str_equal(join_of(b)->member_id, pair.b));
    struct call *s = rig_sync(&r, "g", join_of(b)->member_id, 1, NULL);
    CHECK_TEXT(str_of_bytes(sync_of(s)->assignment), "1");
    CHECK_EQ(rig_heartbeat(&r, "g", pair.a, 1), KERR_NONE);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.b, 1), KERR_UNKNOWN_MEMBER_ID);
    /* Its new id is in the log. */
    rig_reload(&r);
    CHECK_EQ(rig_heartbeat(&r, "g", join_of(b)->member_id, 1), KERR_NONE);
    rig_end(&r);
}

/* KIP-814: before version 9 a leader cannot be told not to assign, so it is not told that it leads.
 */
TEST(static_member, a_leader_that_restarts_does_not_assign)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);

    struct call *a = rig_join_with(&r, "g", "", "one", "range=m", 8);
    CHECK(str_equal(join_of(a)->leader, pair.a));
    CHECK_EQ(join_of(a)->members_count, 0);
    a = rig_join_with(&r, "g", "", "one", "range=m", 9);
    CHECK(str_equal(join_of(a)->leader, join_of(a)->member_id));
    CHECK(join_of(a)->skip_assignment);
    CHECK_EQ(join_of(a)->members_count, 2);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.b, 1), KERR_NONE);
    rig_end(&r);
}

TEST(static_member, another_choice_of_protocol_makes_one)
{
    struct rig r;
    rig_init(&r);
    struct call *a = rig_join_with(&r, "g", "", "one", "range=m,sticky=m", 5);
    rig_pass(&r, 3000);
    CHECK(rig_sync(&r, "g", join_of(a)->member_id, 1, NULL)->done);

    a = rig_join_with(&r, "g", "", "one", "sticky=m,range=m", 5);
    CHECK(a->done);
    CHECK_EQ(join_of(a)->generation_id, 2);
    CHECK_TEXT(join_of(a)->protocol_name, "sticky");
    rig_end(&r);
}

TEST(static_member, the_predecessor_is_fenced)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);
    struct heartbeat_request *q = rig_take(&r, &heartbeat_request_message);

    rig_join_with(&r, "g", "", "two", "range=m", 5);
    q->group_id = STR("g");
    q->member_id = pair.b;
    q->group_instance_id = STR("two");
    q->generation_id = 1;
    CHECK_EQ(((struct heartbeat_response *)rig_ask(&r, API_HEARTBEAT, 4, q)->response)->error_code,
             KERR_FENCED_INSTANCE_ID);
    q->group_instance_id = STR("three");
    CHECK_EQ(((struct heartbeat_response *)rig_ask(&r, API_HEARTBEAT, 4, q)->response)->error_code,
             KERR_UNKNOWN_MEMBER_ID);
    /* Also one that waits in a join, and one that joins again. */
    rig_join_with(&r, "g", "", NULL, "range=m", 3);
    struct call *waits = rig_join_with(&r, "g", rig_text(&r, pair.a), "one", "range=m", 5);
    CHECK(!waits->done);
    struct call *successor = rig_join_with(&r, "g", "", "one", "range=m", 5);
    CHECK(!successor->done);
    CHECK(waits->done);
    CHECK_EQ(join_of(waits)->error_code, KERR_FENCED_INSTANCE_ID);
    CHECK_EQ(join_of(rig_join_with(&r, "g", rig_text(&r, pair.a), "one", "range=m", 5))->error_code,
             KERR_FENCED_INSTANCE_ID);
    rig_end(&r);
}

/* In a rebalance a static member that is not there keeps its place until its session ends. */
TEST(static_member, keeps_its_place_in_a_rebalance)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);

    struct call *a = rig_join_with(&r, "g", rig_text(&r, pair.a), "one", "range=m", 5);
    CHECK(!a->done);
    for (int i = 0; i < 12; i++) {
        CHECK_EQ(rig_heartbeat(&r, "g", pair.b, 1), KERR_REBALANCE_IN_PROGRESS);
        rig_pass(&r, 5000);
    }
    CHECK(a->done);
    CHECK_EQ(join_of(a)->members_count, 2);
    rig_end(&r);
}

TEST(static_member, an_administrator_removes_it_by_instance)
{
    struct rig r;
    rig_init(&r);
    struct pair pair = pair_stable(&r);
    struct leave_group_request *q = rig_take(&r, &leave_group_request_message);
    struct leave_group_request_members members[3];

    for (int i = 0; i < 3; i++)
        leave_group_request_members_init(&members[i]);
    members[0].group_instance_id = STR("two");
    members[1].group_instance_id = STR("three");
    members[2].group_instance_id = STR("one");
    members[2].member_id = STR("wrong");
    q->group_id = STR("g");
    q->members = members;
    q->members_count = 3;
    const struct leave_group_response *left = rig_ask(&r, API_LEAVE_GROUP, 3, q)->response;
    CHECK_EQ(left->members[0].error_code, KERR_NONE);
    CHECK_EQ(left->members[1].error_code, KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(left->members[2].error_code, KERR_FENCED_INSTANCE_ID);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.b, 1), KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_heartbeat(&r, "g", pair.a, 1), KERR_REBALANCE_IN_PROGRESS);
    rig_end(&r);
}
