#include "rig.h"

TEST(join, a_member_joins_syncs_and_beats)
{
    struct rig r;
    rig_init(&r);

    struct call *a = rig_join(&r, "g", "", 3);
    rig_pass(&r, 2999);
    CHECK(!a->done);
    rig_pass(&r, 1);
    CHECK(a->done);
    CHECK_EQ(join_of(a)->error_code, KERR_NONE);
    CHECK_EQ(join_of(a)->generation_id, 1);
    CHECK_TEXT(join_of(a)->protocol_name, "range");
    CHECK_EQ(join_of(a)->members_count, 1);
    CHECK_TEXT(str_of_bytes(join_of(a)->members[0].metadata), "meta");
    struct str id = join_of(a)->member_id;
    CHECK_EQ(id.n, 4 + 36); /* "app-" and a uuid */
    CHECK(str_equal(join_of(a)->leader, id));
    CHECK_TEXT(rig_state(&r, "g"), "CompletingRebalance ");

    struct call *s = rig_sync(&r, "g", id, 1, rig_assign(&r, id, "all", STR_NULL, NULL));
    CHECK(s->done);
    CHECK_TEXT(str_of_bytes(sync_of(s)->assignment), "all");
    CHECK_TEXT(rig_state(&r, "g"), "Stable range all");
    CHECK_EQ(rig_heartbeat(&r, "g", id, 1), KERR_NONE);
    CHECK_EQ(rig_heartbeat(&r, "g", id, 0), KERR_ILLEGAL_GENERATION);
    CHECK_EQ(rig_heartbeat(&r, "g", STR("nobody"), 1), KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_heartbeat(&r, "h", id, 1), KERR_UNKNOWN_MEMBER_ID);
    rig_end(&r);
}

TEST(join, from_version_4_an_id_is_given_first)
{
    struct rig r;
    rig_init(&r);

    struct call *a = rig_join(&r, "g", "", 4);
    CHECK(a->done);
    CHECK_EQ(join_of(a)->error_code, KERR_MEMBER_ID_REQUIRED);
    const char *id = rig_text(&r, join_of(a)->member_id);
    CHECK_TEXT(rig_state(&r, "g"), "Empty");

    struct call *b = rig_join(&r, "g", id, 4);
    rig_pass(&r, 3000);
    CHECK(b->done);
    CHECK_EQ(join_of(b)->error_code, KERR_NONE);
    CHECK_TEXT(join_of(b)->member_id, id);
    rig_end(&r);
}

TEST(join, an_id_that_nobody_uses_is_forgotten)
{
    struct rig r;
    rig_init(&r);

    const char *id = rig_text(&r, join_of(rig_join(&r, "g", "", 9))->member_id);
    rig_pass(&r, 9999);
    rig_pass(&r, 1);
    struct call *a = rig_join(&r, "g", id, 9);
    CHECK(a->done);
    CHECK_EQ(join_of(a)->error_code, KERR_UNKNOWN_MEMBER_ID);
    rig_end(&r);
}

TEST(join, what_cannot_join_is_told_why)
{
    struct rig r;
    rig_init(&r);

    CHECK_EQ(join_of(rig_join(&r, "", "", 9))->error_code, KERR_INVALID_GROUP_ID);
    CHECK_EQ(join_of(rig_join(&r, "g", "stranger", 9))->error_code, KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(join_of(rig_join_with(&r, "g", "", NULL, "", 9))->error_code,
             KERR_INCONSISTENT_GROUP_PROTOCOL);
    r.settings.session_timeout_min_ms = 10001;
    rig_reload(&r);
    CHECK_EQ(join_of(rig_join(&r, "g", "", 9))->error_code, KERR_INVALID_SESSION_TIMEOUT);
    CHECK_TEXT(rig_dump(&r), ""); /* no group came of it */
    rig_end(&r);
}

TEST(join, all_members_need_a_protocol_in_common)
{
    struct rig r;
    rig_init(&r);

    struct call *a = rig_join_with(&r, "g", "", NULL, "range=1,sticky=1", 3);
    struct call *b = rig_join_with(&r, "g", "", NULL, "cooperative=2", 3);
    CHECK(b->done);
    CHECK_EQ(join_of(b)->error_code, KERR_INCONSISTENT_GROUP_PROTOCOL);
    struct call *c = rig_join_with(&r, "g", "", NULL, "sticky=3", 3);
    rig_pass(&r, 6000);
    CHECK_TEXT(join_of(a)->protocol_name, "sticky");
    CHECK_TEXT(join_of(c)->protocol_name, "sticky");
    CHECK_TEXT(str_of_bytes(join_of(a)->members[1].metadata), "3");
    rig_end(&r);
}

TEST(join, the_protocol_with_most_votes_wins)
{
    struct rig r;
    rig_init(&r);

    struct call *a = rig_join_with(&r, "g", "", NULL, "range=1,sticky=1", 3);
    rig_join_with(&r, "g", "", NULL, "sticky=2,range=2", 3);
    rig_join_with(&r, "g", "", NULL, "sticky=3,range=3", 3);
    rig_pass(&r, 9000);
    CHECK_EQ(join_of(a)->members_count, 3);
    CHECK_TEXT(join_of(a)->protocol_name, "sticky");
    rig_end(&r);
}

/* KIP-134: every member that comes in time puts the first rebalance off, up to the rebalance
 * timeout. */
TEST(join, the_first_rebalance_waits_for_others)
{
    struct rig r;
    rig_init(&r);

    struct call *a = rig_join(&r, "g", "", 3);
    rig_pass(&r, 2000);
    struct call *b = rig_join(&r, "g", "", 3);
    rig_pass(&r, 3999);
    CHECK(!a->done && !b->done);
    rig_pass(&r, 1);
    CHECK(a->done && b->done);
    CHECK_EQ(join_of(a)->generation_id, 1);
    CHECK_EQ(join_of(b)->generation_id, 1);
    CHECK_EQ(join_of(a)->members_count, 2);
    CHECK_EQ(join_of(b)->members_count, 0);
    CHECK(str_equal(join_of(b)->leader, join_of(a)->member_id));
    rig_end(&r);
}

TEST(join, a_full_group_turns_away)
{
    struct rig r;
    rig_init(&r);
    r.settings.size_max = 1;
    rig_reload(&r);

    struct str id = rig_member(&r, "g");
    struct call *b = rig_join(&r, "g", "", 3);
    CHECK(b->done);
    CHECK_EQ(join_of(b)->error_code, KERR_GROUP_MAX_SIZE_REACHED);
    CHECK_EQ(rig_heartbeat(&r, "g", id, 1), KERR_NONE);
    rig_end(&r);
}

TEST(join, a_client_that_hangs_up_is_forgotten)
{
    struct rig r;
    rig_init(&r);

    struct call *a = rig_join(&r, "g", "", 3);
    CHECK(group_cancel(r.p, &a->call));
    rig_pass(&r, 3000);
    CHECK(!a->done);
    /* Nobody syncs, so that the group is empty after the session. */
    CHECK_TEXT(rig_state(&r, "g"), "CompletingRebalance ");
    rig_pass(&r, 10000);
    CHECK_TEXT(rig_state(&r, "g"), "Empty");

    struct call *b = rig_join(&r, "h", "", 3);
    rig_pass(&r, 3000);
    CHECK(b->done);
    CHECK(!group_cancel(r.p, &b->call)); /* too late */
    rig_end(&r);
}

/* A member that joins twice gets one place; the older question is answered too. */
TEST(join, asking_again_replaces_the_question)
{
    struct rig r;
    rig_init(&r);

    const char *id = rig_text(&r, join_of(rig_join(&r, "g", "", 4))->member_id);
    struct call *a = rig_join(&r, "g", id, 4);
    struct call *b = rig_join(&r, "g", id, 4);
    CHECK(a->done);
    CHECK_EQ(join_of(a)->error_code, KERR_REBALANCE_IN_PROGRESS);
    rig_pass(&r, 3000);
    CHECK(b->done);
    CHECK_EQ(join_of(b)->members_count, 1);
    rig_end(&r);
}

TEST(join, a_new_member_that_waits_for_ever_is_dropped)
{
    struct rig r;
    rig_init(&r);
    struct join_group_request *q = rig_take(&r, &join_group_request_message);

    /* One that joined, and may take ten minutes to join again; then a new one. */
    q->group_id = STR("g");
    q->member_id = STR("");
    q->protocol_type = STR("consumer");
    q->session_timeout_ms = 1000000;
    q->rebalance_timeout_ms = 600000;
    q->protocols_count = 1;
    q->protocols = arena_take(&r.arena, sizeof(*q->protocols));
    join_group_request_protocols_init(q->protocols);
    q->protocols->name = STR("range");
    struct call *a = rig_ask(&r, API_JOIN_GROUP, 3, q);
    rig_pass(&r, 3000);
    struct str id = join_of(a)->member_id;
    CHECK(rig_sync(&r, "g", id, 1, NULL)->done);
    struct call *b = rig_join(&r, "g", "", 3);
    rig_pass(&r, NEW_MEMBER_TIMEOUT_MS - 1);
    CHECK(!b->done);
    rig_pass(&r, 1);
    CHECK(b->done);
    CHECK_EQ(join_of(b)->error_code, KERR_UNKNOWN_MEMBER_ID);
    rig_end(&r);
}
