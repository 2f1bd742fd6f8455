/* Offsets inside transactions (KIP-98, KIP-447). */
#include "rig.h"

TEST(transaction, offsets_come_with_the_marker)
{
    struct rig r;
    enum kerr error;
    rig_init(&r);

    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 1), KERR_NONE);
    CHECK_EQ(rig_txn_commit(&r, "g", 7, "orders", 0, 5), KERR_NONE);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, false, NULL), 1);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, &error), -1);
    CHECK_EQ(error, KERR_UNSTABLE_OFFSET_COMMIT);
    rig_marker(&r, 7, true);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, &error), 5);
    CHECK_EQ(error, KERR_NONE);
    rig_reload(&r);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, NULL), 5);
    rig_end(&r);
}

TEST(transaction, an_abort_leaves_nothing)
{
    struct rig r;
    enum kerr error;
    rig_init(&r);

    CHECK_EQ(rig_txn_commit(&r, "g", 7, "orders", 0, 5), KERR_NONE);
    rig_marker(&r, 7, false);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, &error), -1);
    CHECK_EQ(error, KERR_NONE);
    rig_end(&r);
}

TEST(transaction, is_still_open_after_a_move)
{
    struct rig r;
    enum kerr error;
    rig_init(&r);

    CHECK_EQ(rig_txn_commit(&r, "g", 7, "orders", 0, 5), KERR_NONE);
    CHECK_EQ(rig_txn_commit(&r, "g", 8, "orders", 1, 6), KERR_NONE);
    rig_reload(&r);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, &error), -1);
    CHECK_EQ(error, KERR_UNSTABLE_OFFSET_COMMIT);
    rig_marker(&r, 7, true);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, NULL), 5);
    CHECK_EQ(rig_offset(&r, "g", "orders", 1, true, &error), -1);
    CHECK_EQ(error, KERR_UNSTABLE_OFFSET_COMMIT);
    rig_end(&r);
}

/* The youngest record wins, whatever the marker's place. */
TEST(transaction, a_commit_behind_it_wins)
{
    struct rig r;
    rig_init(&r);

    CHECK_EQ(rig_txn_commit(&r, "g", 7, "orders", 0, 5), KERR_NONE);
    CHECK_EQ(rig_commit_offset(&r, "g", STR(""), -1, "orders", 0, 9), KERR_NONE);
    rig_marker(&r, 7, true);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, NULL), 9);
    rig_reload(&r);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, NULL), 9);
    rig_end(&r);
}

TEST(transaction, deleting_the_group_withdraws_its_offsets)
{
    struct rig r;
    enum kerr error;
    rig_init(&r);

    CHECK_EQ(rig_txn_commit(&r, "g", 7, "orders", 0, 5), KERR_NONE);
    CHECK_EQ(rig_delete(&r, "g"), KERR_NONE);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, &error), -1);
    CHECK_EQ(error, KERR_NONE);
    rig_marker(&r, 7, true);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, NULL), -1);
    rig_reload(&r);
    CHECK_EQ(rig_offset(&r, "g", "orders", 0, true, NULL), -1);
    rig_end(&r);
}

TEST(transaction, a_producer_need_not_say_who_consumes)
{
    struct rig r;
    rig_init(&r);
    struct str id = rig_member(&r, "g");
    struct txn_offset_commit_request *q = rig_take(&r, &txn_offset_commit_request_message);
    struct txn_offset_commit_request_topics topic;
    struct txn_offset_commit_request_topics_partitions partition;

    CHECK_EQ(rig_txn_commit(&r, "g", 7, "orders", 0, 5), KERR_NONE); /* before KIP-447 */
    txn_offset_commit_request_topics_init(&topic);
    txn_offset_commit_request_topics_partitions_init(&partition);
    topic.name = STR("orders");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    q->group_id = STR("g");
    q->member_id = id;
    q->generation_id_or_member_epoch = 0;
    q->producer_id = 7;
    q->topics = &topic;
    q->topics_count = 1;
    const struct txn_offset_commit_response *a = rig_ask(&r, API_TXN_OFFSET_COMMIT, 3, q)->response;
    CHECK_EQ(a->topics[0].partitions[0].error_code, KERR_ILLEGAL_GENERATION);
    q->generation_id_or_member_epoch = 1;
    a = rig_ask(&r, API_TXN_OFFSET_COMMIT, 5, q)->response;
    CHECK_EQ(a->topics[0].partitions[0].error_code, KERR_NONE);
    topic.name = STR("nothing");
    a = rig_ask(&r, API_TXN_OFFSET_COMMIT, 5, q)->response;
    CHECK_EQ(a->topics[0].partitions[0].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    q->group_id = STR("h");
    a = rig_ask(&r, API_TXN_OFFSET_COMMIT, 5, q)->response;
    CHECK_EQ(a->topics[0].partitions[0].error_code, KERR_ILLEGAL_GENERATION);
    rig_end(&r);
}
