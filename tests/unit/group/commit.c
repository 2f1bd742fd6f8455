#include "rig.h"

static struct offset_commit_request *commit_of(struct rig *r, const char *topic, int32_t partitions)
{
    struct offset_commit_request *q = rig_take(r, &offset_commit_request_message);

    q->group_id = STR("g");
    q->member_id = STR("");
    q->topics_count = 1;
    q->topics = arena_take(&r->arena, sizeof(*q->topics));
    offset_commit_request_topics_init(q->topics);
    q->topics->name = rig_str(r, topic);
    q->topics->partitions_count = partitions;
    q->topics->partitions =
        arena_take_array(&r->arena, (size_t)partitions, sizeof(*q->topics->partitions));
    for (int32_t i = 0; i < partitions; i++) {
        offset_commit_request_topics_partitions_init(&q->topics->partitions[i]);
        q->topics->partitions[i].partition_index = i;
        q->topics->partitions[i].committed_offset = 10 + i;
    }
    return q;
}

static const struct offset_commit_response_topics *committed_of(const struct call *c)
{
    CHECK(c->done);
    return ((struct offset_commit_response *)c->response)->topics;
}

TEST(commit, a_member_of_the_generation_may)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_member(&r, "g");

    CHECK_EQ(rig_commit_offset(&r, "g", id, 1, "orders", 0, 42), KERR_NONE);
    CHECK_EQ(rig_commit_offset(&r, "g", id, 0, "orders", 0, 43), KERR_ILLEGAL_GENERATION);
    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 44), KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_commit_offset(&r, "g", STR("x"), 1, "orders", 0, 45), KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 42);
    CHECK_EQ(rig_offset(&r, "g", "orders", 1, false, NULL), -1);
    rig_reload(&r);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 42);
    rig_end(&r);
}

TEST(commit, anybody_may_when_the_group_is_nobodys)
{
    struct rig r;
    rig_init(&r);

    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 1), KERR_NONE);
    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 2), KERR_NONE);
    CHECK_EQ(rig_commit_offset(&r, "g", STR("x"), 1, "orders", 0, 3), KERR_UNKNOWN_MEMBER_ID);
    CHECK_EQ(rig_commit_offset(&r, "h", STR("x"), 1, "orders", 0, 3), KERR_ILLEGAL_GENERATION);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 2);
    CHECK_TEXT(rig_state(&r, "g"), "Empty");
    CHECK_TEXT(rig_state(&r, "h"), "Dead");

    struct offset_commit_request *q = commit_of(&r, "orders", 1);
    q->group_id = STR("h");
    q->generation_id_or_member_epoch = 1;
    CHECK_EQ(committed_of(rig_ask(&r, API_OFFSET_COMMIT, 9, q))->partitions[0].error_code,
             KERR_GROUP_ID_NOT_FOUND);
    rig_end(&r);
}

/* Its assignment is not known yet: it has to come back with the new one. */
TEST(commit, not_between_join_and_sync)
{
    struct rig r;
    rig_init(&r);
    struct call *a = rig_join(&r, "g", "", 3);
    rig_pass(&r, 3000);

    CHECK_EQ(rig_commit_offset(&r, "g", join_of(a)->member_id, 1, "orders", 0, 1),
             KERR_REBALANCE_IN_PROGRESS);
    rig_end(&r);
}

/* What it has read before, it may still say. */
TEST(commit, while_a_rebalance_is_prepared_it_counts_and_keeps_the_session)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_member(&r, "g");

    rig_join(&r, "g", "", 3);
    for (int i = 0; i < 5; i++) {
        rig_pass(&r, 9000);
        CHECK_EQ(rig_commit_offset(&r, "g", id, 1, "orders", 0, i), KERR_NONE);
    }
    rig_end(&r);
}

TEST(commit, each_partition_has_its_own_error)
{
    struct rig r;
    rig_init(&r);
    struct offset_commit_request *q = commit_of(&r, "orders", 5);
    char *long_text = arena_take(&r.arena, 5000);

    memset(long_text, 'x', 5000);
    q->topics->partitions[0].committed_metadata = (struct str){long_text, 4096};
    q->topics->partitions[1].committed_metadata = (struct str){long_text, 4097};
    q->topics->partitions[4].partition_index = -1;
    const struct offset_commit_response_topics *to =
        committed_of(rig_ask(&r, API_OFFSET_COMMIT, 8, q));
    CHECK_TEXT(to->name, "orders");
    CHECK_EQ(to->partitions_count, 5);
    CHECK_EQ(to->partitions[0].error_code, KERR_NONE);
    CHECK_EQ(to->partitions[1].error_code, KERR_OFFSET_METADATA_TOO_LARGE);
    CHECK_EQ(to->partitions[2].error_code, KERR_NONE);
    CHECK_EQ(to->partitions[3].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(to->partitions[4].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 10);
    CHECK_EQ(rig_offset(&r, "g", "orders", 1, false, NULL), -1);
    CHECK_EQ(rig_offset(&r, "g", "orders", 2, false, NULL), 12);
    q = commit_of(&r, "nothing", 1);
    to = committed_of(rig_ask(&r, API_OFFSET_COMMIT, 8, q));
    CHECK_EQ(to->partitions[0].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    rig_end(&r);
}

/* The limit counts as Java does: two for a character beyond U+FFFF. */
TEST(commit, metadata_is_measured_in_utf16)
{
    struct rig r;
    rig_init(&r);
    r.settings.offset_metadata_max = 4;
    rig_reload(&r);
    struct offset_commit_request *q = commit_of(&r, "orders", 2);

    q->topics->partitions[0].committed_metadata = STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    q->topics->partitions[1].committed_metadata = STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80x");
    const struct offset_commit_response_topics *to =
        committed_of(rig_ask(&r, API_OFFSET_COMMIT, 8, q));
    CHECK_EQ(to->partitions[0].error_code, KERR_NONE);
    CHECK_EQ(to->partitions[1].error_code, KERR_OFFSET_METADATA_TOO_LARGE);
    rig_end(&r);
}

TEST(commit, from_version_10_topics_have_ids)
{
    struct rig r;
    rig_init(&r);
    struct offset_commit_request *q = commit_of(&r, "", 1);

    q->topics->topic_id = rig_topic_id("orders");
    const struct offset_commit_response_topics *to =
        committed_of(rig_ask(&r, API_OFFSET_COMMIT, 10, q));
    CHECK(uuid_equal(to->topic_id, rig_topic_id("orders")));
    CHECK_EQ(to->partitions[0].error_code, KERR_NONE);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 10);
    q->topics->topic_id = rig_topic_id("nothing");
    to = committed_of(rig_ask(&r, API_OFFSET_COMMIT, 10, q));
    CHECK_EQ(to->partitions[0].error_code, KERR_UNKNOWN_TOPIC_ID);
    rig_end(&r);
}

static bool only_other(const struct group_call *call, struct str topic)
{
    return str_equal(topic, STR("other"));
}

TEST(commit, topics_that_the_asker_may_not_touch_are_refused)
{
    struct rig r;
    rig_init(&r);
    struct offset_commit_request *q = commit_of(&r, "orders", 1);

    r.topic_allowed = only_other;
    CHECK_EQ(committed_of(rig_ask(&r, API_OFFSET_COMMIT, 8, q))->partitions[0].error_code,
             KERR_TOPIC_AUTHORIZATION_FAILED);
    q->topics->name = STR("other");
    CHECK_EQ(committed_of(rig_ask(&r, API_OFFSET_COMMIT, 8, q))->partitions[0].error_code,
             KERR_NONE);
    rig_end(&r);
}

TEST(commit, what_the_log_refuses_is_not_committed)
{
    struct rig r;
    rig_init(&r);

    r.refuses = KERR_NOT_ENOUGH_REPLICAS;
    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 1),
             KERR_COORDINATOR_NOT_AVAILABLE);
    r.refuses = KERR_MESSAGE_TOO_LARGE;
    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 1), KERR_UNKNOWN_SERVER_ERROR);
    r.refuses = KERR_NONE;
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), -1);
    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 1, 1), KERR_NONE);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), -1);
    rig_end(&r);
}
