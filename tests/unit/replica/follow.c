/* A partition is followed: stories of fetchers, told by the brokers that they ask. */
#include "leaders.h"

#include <string.h>

TEST(follow, replica_catches_up_and_then_has_what_comes_at_once)
{
    struct rig *g = rig_new(1, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 500, 3);
    rig_start(g);
    rig_settle(g);
    for (int i = 0; i < 5; i++) {
        int64_t began_ns = sim_now_ns(g->lab.sim);
        leader_append(g, l, 1, 2);
        rig_settle(g);
        CHECK(sim_now_ns(g->lab.sim) - began_ns < 100 * MS); /* it does not wait for the long poll's end */
    }
    CHECK_EQ(g->leaders[2].full, 1);
    CHECK_TEXT(text_str(&g->lab.said), "");
    rig_close(g);
}

TEST(follow, one_fetch_asks_for_all_partitions_and_then_for_those_that_moved)
{
    struct rig *g = rig_new(2, NULL);
    struct leader_log *l[20];

    for (int32_t i = 0; i < 20; i++)
        l[i] = rig_partition(g, (uint8_t)(1 + i / 10), i % 10, 2 + i % 2);
    rig_start(g);
    lab_pass(&g->lab, 5 * SEC);
    CHECK_EQ(g->leaders[2].full + g->leaders[3].full, 2);
    CHECK_EQ(g->leaders[2].mentioned + g->leaders[3].mentioned, 20);
    leader_append(g, l[4], 1, 1);
    rig_settle(g);
    CHECK_EQ(g->leaders[2].mentioned, 11);
    CHECK_EQ(g->leaders[3].mentioned, 10);
    lab_pass(&g->lab, 5 * SEC);
    CHECK_EQ(g->leaders[2].mentioned, 11);
    rig_close(g);
}

TEST(follow, versions_are_those_of_the_metadata_version)
{
    struct rig *g = rig_new(3, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 1, 1);
    rig_start(g);
    rig_settle(g);
    CHECK(strstr(script_log(g->script), "2 Fetch v17\n") != NULL); /* 3.9-IV0, though it knows 18 */
    CHECK(strstr(script_log(g->script), "2 Fetch v18\n") == NULL);
    rig_close(g);
}

TEST(follow, mark_and_start_of_the_leader_are_followed)
{
    struct rig *g = rig_new(4, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 10, 5);
    rig_start(g);
    rig_settle(g);
    CHECK_EQ(replica_high_watermark(rig_replica(g, l)), 50);
    leader_mark(g, l, 50, 23);
    UNTIL(&g->lab, log_start(replica_log(rig_replica(g, l))) == 23);
    lab_pass(&g->lab, SEC);
    CHECK_EQ(g->leaders[2].entries[0].asked.log_start_offset, 23); /* and the leader knows it */
    rig_settle(g);
    rig_close(g);
}

TEST(follow, lag_is_what_is_missing_up_to_the_leaders_mark)
{
    struct rig *g = rig_new(18, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);
    int64_t most = 0;

    g->max_bytes = 1000;
    leader_append(g, l, 200, 5);
    leader_mark(g, l, 1000, 0);
    rig_start(g);
    while (!rig_has_all(g)) {
        CHECK(sim_step(g->lab.sim));
        most = replicas_max_lag(g->lab.sets[0]) > most ? replicas_max_lag(g->lab.sets[0]) : most;
        const struct replica *r = lab_find(&g->lab, 1, 0);
        CHECK(r == NULL || replica_lag(r) == replicas_max_lag(g->lab.sets[0])); /* there is no other */
    }
    CHECK(most > 900);
    CHECK(most < 1000);
    CHECK_EQ(replicas_max_lag(g->lab.sets[0]), 0);
    rig_close(g);
}

TEST(follow, empty_replica_begins_where_the_leader_does_also_within_a_batch)
{
    struct rig *g = rig_new(5, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2), *m = rig_partition(g, 1, 1, 2);

    leader_append(g, l, 10, 5);
    leader_append(g, m, 10, 5);
    leader_mark(g, l, 50, 20);
    leader_mark(g, m, 50, 22);
    rig_start(g);
    rig_settle(g);
    CHECK_EQ(log_start(replica_log(rig_replica(g, l))), 20);
    CHECK_EQ(log_first_segment(replica_log(rig_replica(g, l))), 20);
    CHECK_EQ(log_start(replica_log(rig_replica(g, m))), 22);
    CHECK_EQ(log_first_segment(replica_log(rig_replica(g, m))), 20);
    rig_close(g);
}

/* Ten records are followed; then the node is down until the leader has 40 to 60. */
static struct leader_log *away_for_long(struct rig *g)
{
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 10, 1);
    rig_start(g);
    rig_settle(g);
    CHECK_EQ(lab_stop(&g->lab), 0);
    leader_append(g, l, 50, 1);
    leader_mark(g, l, 60, 40);
    rig_start(g);
    return l;
}

TEST(follow, replica_that_was_away_for_long_begins_anew)
{
    struct rig *g = rig_new(6, NULL);
    struct leader_log *l = away_for_long(g);

    rig_settle(g);
    CHECK_EQ(log_start(replica_log(rig_replica(g, l))), 40);
    CHECK(strstr(g->lab.said.p, "begins anew at 40") != NULL);
    rig_close(g);
}

/* The Fetch of the others, which have nothing new, does not hold it up. */
TEST(follow, replica_that_begins_anew_does_not_wait_for_others)
{
    struct rig *g = rig_new(15, NULL);

    (void)rig_partition(g, 1, 1, 2);
    struct leader_log *l = away_for_long(g);
    int64_t began_ns = sim_now_ns(g->lab.sim);
    UNTIL(&g->lab, rig_end(g, l) == 60);
    CHECK(sim_now_ns(g->lab.sim) - began_ns < 100 * MS);
    rig_close(g);
}

TEST(follow, leader_hears_where_the_log_begins_after_retention)
{
    struct rig *g = rig_new(16, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);
    struct wait w;

    meta_config(&g->lab, "topic1", "segment.bytes", "1048576");
    meta_config(&g->lab, "topic1", "retention.ms", "1000");
    leader_append(g, l, 10, 1);
    rig_start(g);
    rig_settle(g);
    lab_pass(&g->lab, SEC);
    replicas_retain(g->lab.sets[0], wait_begin(&w));
    CHECK_EQ(wait_end(&g->lab, &w), 0);
    CHECK_EQ(log_start(replica_log(rig_replica(g, l))), 10);
    leader_append(g, l, 1, 1);
    rig_settle(g);
    CHECK_EQ(g->leaders[2].entries[0].asked.log_start_offset, 10);
    rig_close(g);
}

TEST(follow, log_without_epochs_keeps_what_is_committed)
{
    struct rig *g = rig_new(17, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    l->epoch = -1; /* as old brokers have written them */
    leader_append(g, l, 10, 1);
    l->epoch = 0;
    rig_start(g);
    UNTIL(&g->lab, rig_end(g, l) == 10);
    sim_node_power_cut(g->lab.node); /* the mark is lost */
    lab_bury(&g->lab);
    leader_elect(g, l, 3, 5);
    leader_append(g, l, 10, 1);
    l->epochs[0] = (struct epoch_end){1, 5}; /* it knows of no other */
    l->epoch_count = 1;
    rig_start(g);
    rig_settle(g);
    rig_close(g);
}

/* ---- sessions ----------------------------------------------------------------------------------- */

TEST(follow, session_that_the_leader_has_lost_begins_anew_with_all_partitions)
{
    struct rig *g = rig_new(12, NULL);
    struct leader_log *l[5];

    for (int32_t i = 0; i < 5; i++)
        l[i] = rig_partition(g, 1, i, 2);
    rig_start(g);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 5; i++)
            leader_append(g, l[i], 2, 1);
        rig_settle(g);
        if (round % 3 == 0)
            g->leaders[2].session_id = 0;
        else if (round % 3 == 1)
            g->leaders[2].session_epoch += 7;
        else
            sim_net_reset(script_node(g->script, 2), g->lab.node);
    }
    CHECK(g->leaders[2].full >= 5);
    rig_close(g);
}

/* F6 */
TEST(follow, session_begins_anew_when_this_node_has_registered_again)
{
    struct rig *g = rig_new(21, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 2, 1);
    rig_start(g);
    rig_settle(g);
    lab_pass(&g->lab, 2 * SEC);
    uint32_t full = g->leaders[2].full, fetches = l->fetches;
    meta_broker(&g->lab, ME, ++g->broker_epoch, "one", SCRIPT_PORT);
    rig_apply(g);
    lab_pass(&g->lab, 2 * SEC);
    CHECK_EQ(g->leaders[2].full, full + 1);
    CHECK_EQ(l->fetches, fetches + 1); /* of a log that does not move it says so once */
    rig_close(g);
}

TEST(follow, leader_without_sessions_is_asked_for_all_each_time_and_no_partition_starves)
{
    struct rig *g = rig_new(13, NULL);
    struct leader_log *l[8];

    g->sessionless = true;
    g->max_bytes = 300; /* two or three partitions in an answer */
    for (int32_t i = 0; i < 8; i++) {
        l[i] = rig_partition(g, 1, i, 2);
        leader_append(g, l[i], 20, 1);
    }
    rig_start(g);
    for (int round = 0; round < 3; round++) {
        rig_settle(g);
        for (int i = 0; i < 8; i++)
            leader_append(g, l[i], 20, 1);
    }
    rig_settle(g);
    CHECK_EQ(g->leaders[2].incremental, 0);
    rig_close(g);
}

TEST(follow, partition_that_goes_is_forgotten_and_the_others_stay)
{
    struct rig *g = rig_new(14, NULL);
    struct leader_log *l[6];

    for (int32_t i = 0; i < 6; i++)
        l[i] = rig_partition(g, (uint8_t)(1 + i % 2), i / 2, 2);
    rig_start(g);
    for (int i = 0; i < 6; i++)
        leader_append(g, l[i], 10, 1);
    lab_pass(&g->lab, 1 * MS); /* in the middle of it */
    rig_delete(g, 2);
    rig_apply(g);
    for (int i = 0; i < 6; i += 2)
        leader_append(g, l[i], 10, 1);
    rig_settle(g);
    struct leader_log *again = rig_partition(g, 3, 0, 2);
    leader_append(g, again, 5, 1);
    rig_apply(g);
    rig_settle(g);
    CHECK_EQ(g->leaders[2].full, 1);
    rig_close(g);
}
