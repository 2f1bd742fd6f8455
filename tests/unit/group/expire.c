/* Retention (KIP-211). */
#include "rig.h"

#define RETENTION_MS (7 * 24 * 3600 * (int64_t)1000)
#define CHECK_MS 600000

TEST(expire, standalone_offsets_go_after_their_last_commit)
{
    struct rig r;
    rig_init(&r);

    rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 5);
    rig_pass(&r, RETENTION_MS / 2);
    rig_commit_offset(&r, "g", STR(""), -1, "orders", 1, 6);
    rig_pass(&r, RETENTION_MS / 2 - CHECK_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 5);
    rig_pass(&r, 2 * CHECK_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), -1);
    CHECK_EQ(rig_offset(&r, "g", "orders", 1, false, NULL), 6);
    CHECK_TEXT(rig_state(&r, "g"), "Empty");
    rig_pass(&r, RETENTION_MS / 2);
    CHECK_TEXT(rig_state(&r, "g"), "Dead");
    rig_reload(&r);
    CHECK_TEXT(rig_state(&r, "g"), "Dead");
    CHECK_EQ(rig_offset(&r, "g", "orders", 1, false, NULL), -1);
    rig_end(&r);
}

TEST(expire, a_group_counts_from_when_it_became_empty)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_reader(&r, "g", "orders");

    rig_commit_offset(&r, "g", id, 1, "orders", 0, 5);
    /* It reads nothing new for more than the retention. */
    rig_live(&r, "g", id, 1, 2 * RETENTION_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 5);
    rig_leave(&r, "g", id);
    rig_pass(&r, RETENTION_MS - CHECK_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 5);
    rig_pass(&r, 2 * CHECK_MS);
    CHECK_TEXT(rig_state(&r, "g"), "Dead");
    rig_end(&r);
}

TEST(expire, a_stable_group_loses_what_it_does_not_read)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_reader(&r, "g", "orders");

    rig_commit_offset(&r, "g", id, 1, "orders", 0, 5);
    rig_commit_offset(&r, "g", id, 1, "other", 0, 6);
    rig_live(&r, "g", id, 1, RETENTION_MS + 2 * CHECK_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 5);
    CHECK_EQ(rig_offset(&r, "g", "other", 0, false, NULL), -1);
    rig_end(&r);
}

TEST(expire, an_open_transaction_keeps_its_offset)
{
    struct rig r;
    rig_init(&r);

    rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 5);
    CHECK_EQ(rig_txn_commit(&r, "g", 7, "orders", 0, 6), KERR_NONE);
    rig_pass(&r, RETENTION_MS + 2 * CHECK_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 5);
    rig_marker(&r, 7, false);
    rig_pass(&r, 2 * CHECK_MS);
    CHECK_TEXT(rig_state(&r, "g"), "Dead");
    rig_end(&r);
}

/* Up to version 4 a commit may bring its own time. */
TEST(expire, an_old_client_sets_its_own_retention)
{
    struct rig r;
    rig_init(&r);
    struct offset_commit_request *q = rig_take(&r, &offset_commit_request_message);
    struct offset_commit_request_topics topic;
    struct offset_commit_request_topics_partitions partition;

    offset_commit_request_topics_init(&topic);
    offset_commit_request_topics_partitions_init(&partition);
    partition.committed_offset = 5;
    topic.name = STR("orders");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    q->group_id = STR("g");
    q->topics = &topic;
    q->topics_count = 1;
    q->retention_time_ms = 3 * CHECK_MS;
    rig_ask(&r, API_OFFSET_COMMIT, 4, q);
    rig_pass(&r, 2 * CHECK_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 5);
    rig_reload(&r);
    rig_pass(&r, 2 * CHECK_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), -1);
    rig_end(&r);
}

TEST(expire, an_empty_group_without_offsets_goes_at_the_next_check)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_member(&r, "g");

    rig_leave(&r, "g", id);
    CHECK_TEXT(rig_state(&r, "g"), "Empty");
    rig_pass(&r, CHECK_MS);
    CHECK_TEXT(rig_state(&r, "g"), "Dead");
    rig_end(&r);
}

TEST(expire, many_offsets_go_in_several_batches)
{
    struct rig r;
    rig_init(&r);
    rig_topic(&r, "wide", 5000);

    for (int32_t i = 0; i < 5000; i++)
        CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "wide", i, i), KERR_NONE);
    rig_pass(&r, RETENTION_MS + CHECK_MS);
    CHECK_TEXT(rig_state(&r, "g"), "Dead");
    CHECK(r.largest_batch < 66000);
    rig_end(&r);
}

TEST(expire, topics_that_are_deleted_take_their_offsets_along)
{
    struct rig r;
    rig_init(&r);
    struct uuid ids[] = {rig_topic_id("orders"), rig_topic_id("nothing")};
    struct str names[] = {STR("orders"), STR("nothing")};

    rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 5);
    rig_commit_offset(&r, "g", STR(""), -1, "other", 0, 6);
    rig_commit_offset(&r, "h", STR(""), -1, "orders", 2, 7);
    group_topics_deleted(r.p, ids, names, 2, r.now_ms, RIG_WALL_MS + r.now_ms);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), -1);
    CHECK_EQ(rig_offset(&r, "g", "other", 0, false, NULL), 6);
    CHECK_EQ(rig_offset(&r, "h", "orders", 2, false, NULL), -1);
    rig_reload(&r);
    CHECK_EQ(rig_offset(&r, "h", "orders", 2, false, NULL), -1);
    /* Not those of a topic that was made anew under the name. */
    rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 8);
    ids[0] = rig_topic_id("former");
    group_topics_deleted(r.p, ids, names, 1, r.now_ms, RIG_WALL_MS + r.now_ms);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 8);
    rig_end(&r);
}

TEST(expire, a_log_that_refuses_is_tried_again)
{
    struct rig r;
    rig_init(&r);

    rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 5);
    r.refuses = KERR_NOT_ENOUGH_REPLICAS;
    rig_pass(&r, RETENTION_MS + 2 * CHECK_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 5);
    r.refuses = KERR_NONE;
    rig_pass(&r, CHECK_MS);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), -1);
    rig_end(&r);
}
