/* A partition is followed: stories of fetchers, told by the brokers that they ask. */
#include "leaders.h"

#include <string.h>

static void end(struct rig *g)
{
    CHECK_EQ(lab_stop(&g->lab), 0);
    rig_free(g);
}

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
    end(g);
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
    end(g);
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
    end(g);
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
    end(g);
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
    }
    CHECK(most > 900);
    CHECK(most < 1000);
    CHECK_EQ(replicas_max_lag(g->lab.sets[0]), 0);
    end(g);
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
    end(g);
}

TEST(follow, replica_that_was_away_for_long_begins_anew)
{
    struct rig *g = rig_new(6, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 10, 1);
    rig_start(g);
    rig_settle(g);
    CHECK_EQ(lab_stop(&g->lab), 0);
    leader_append(g, l, 50, 1);
    leader_mark(g, l, 60, 40);
    rig_start(g);
    rig_settle(g);
    CHECK_EQ(log_start(replica_log(rig_replica(g, l))), 40);
    CHECK(strstr(g->lab.said.p, "begins anew at 40") != NULL);
    end(g);
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
    end(g);
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
    end(g);
}

/* ---- other leaders ----------------------------------------------------------------------------- */

TEST(follow, replica_that_diverges_is_cut_epoch_by_epoch)
{
    struct rig *g = rig_new(7, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 10, 1);
    rig_start(g);
    for (int i = 0; i < 3; i++) { /* epochs 1, 2, 3, of ten records each */
        rig_settle(g);
        leader_elect(g, l, 2 + (i + 1) % 2, l->end);
        rig_apply(g);
        leader_append(g, l, 10, 1);
    }
    rig_settle(g);
    CHECK_EQ(rig_end(g, l), 40);
    leader_elect(g, l, 4, 15); /* its log: 0..9 of epoch 0, 10..14 of epoch 1 */
    leader_append(g, l, 7, 2);
    rig_apply(g);
    rig_settle(g);
    CHECK(l->divergences > 0);
    CHECK_EQ(log_epoch_start(replica_log(rig_replica(g, l)), 2), -1);
    CHECK_EQ(log_epoch_start(replica_log(rig_replica(g, l)), 4), 15);
    end(g);
}

TEST(follow, replica_longer_than_a_leader_that_has_lost_records_is_cut)
{
    struct rig *g = rig_new(8, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 10, 2);
    rig_start(g);
    rig_settle(g);
    leader_elect(g, l, 3, 0); /* unclean: it has nothing, and has not even noted its epoch yet */
    l->epoch_count = 0;
    rig_apply(g);
    UNTIL(&g->lab, rig_end(g, l) == 0);
    CHECK_EQ(l->out_of_ranges, 1);
    CHECK(strstr(g->lab.said.p, "is cut from 20 to 0") != NULL);
    l->epochs[l->epoch_count++] = (struct epoch_end){l->epoch, 0};
    leader_append(g, l, 3, 1);
    rig_settle(g);
    end(g);
}

TEST(follow, leader_that_leads_again_is_asked_for_all_of_it_at_once)
{
    struct rig *g = rig_new(19, NULL);
    struct leader_log *l[10];

    for (int32_t i = 0; i < 10; i++)
        l[i] = rig_partition(g, 1, i, 2);
    rig_start(g);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 10; i++)
            leader_elect(g, l[i], 2 + round % 2, l[i]->end);
        leader_append(g, l[(round + 9) % 10], 1, 1); /* the others have nothing to end a long poll with */
        rig_apply(g);
        int64_t began_ns = sim_now_ns(g->lab.sim);
        rig_settle(g);
        CHECK(sim_now_ns(g->lab.sim) - began_ns < 100 * MS);
        lab_pass(&g->lab, 2 * SEC);
    }
    end(g);
}

TEST(follow, leadership_goes_to_this_node_and_back)
{
    struct rig *g = rig_new(9, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);
    struct replica_appended a;

    leader_append(g, l, 10, 1);
    rig_start(g);
    rig_settle(g);
    for (int i = 0; i < 4; i++) {
        leader_elect(g, l, ME, l->end);
        rig_apply(g);
        CHECK_EQ(lab_append(rig_replica(g, l), "mine", 1, &a), KERR_NONE);
        CHECK_EQ(a.base_offset, l->end);
        lab_pass(&g->lab, 2 * SEC);
        leader_elect(g, l, 2 + i % 3, l->end); /* without it */
        leader_append(g, l, 3, 1);
        if (i % 2 == 0)
            CHECK_EQ(lab_append(rig_replica(g, l), "not stable yet", 1, &a), KERR_NONE);
        rig_apply(g);
        CHECK_EQ(lab_append(rig_replica(g, l), "no", 1, &a), KERR_NOT_LEADER_OR_FOLLOWER);
        rig_settle(g);
    }
    end(g);
}

TEST(follow, nobody_is_asked_while_nobody_leads_or_the_leader_is_not_known)
{
    struct rig *g = rig_new(10, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);
    uint32_t before;

    rig_start(g);
    leader_append(g, l, 1, 1);
    rig_settle(g);
    leader_elect(g, l, 0, l->end);
    rig_apply(g);
    lab_pass(&g->lab, 2 * SEC);
    before = script_count(g->script, 0, API_FETCH);
    lab_pass(&g->lab, 10 * SEC);
    CHECK_EQ(script_count(g->script, 0, API_FETCH), before);
    meta_broker(&g->lab, 3, 77, "", 0); /* not in this listener */
    leader_elect(g, l, 3, l->end);
    leader_append(g, l, 1, 1);
    rig_apply(g);
    lab_pass(&g->lab, 10 * SEC);
    CHECK_EQ(script_count(g->script, 0, API_FETCH), before);
    meta_broker(&g->lab, 3, 78, "b3", SCRIPT_PORT);
    rig_apply(g);
    rig_settle(g);
    end(g);
}

TEST(follow, leader_at_another_address_is_asked_there_at_once)
{
    struct rig *g = rig_new(11, NULL);
    struct leader_log *l = rig_partition(g, 1, 0, 2);

    leader_append(g, l, 1, 1);
    rig_start(g);
    rig_settle(g);
    sim_net_cut(script_node(g->script, 2), g->lab.node); /* it is gone, and nobody says so */
    lab_pass(&g->lab, SEC);
    g->leaders[4].rig = g;
    meta_broker(&g->lab, 2, 90, "b4", SCRIPT_PORT); /* the machine of broker 4 plays it */
    l->broker = 4;
    leader_append(g, l, 1, 1);
    rig_apply(g);
    int64_t began_ns = sim_now_ns(g->lab.sim);
    rig_settle(g);
    CHECK(sim_now_ns(g->lab.sim) - began_ns < 2 * SEC);
    sim_net_heal_all(g->lab.sim);
    end(g);
}

TEST(follow, move_into_another_directory_begins_again_when_the_log_is_cut)
{
    for (uint64_t seed = 20; seed < 30; seed++) {
        struct rig *g = rig_new_with(seed, NULL, 2);
        struct leader_log *l = rig_partition(g, 1, 0, 2);
        leader_append(g, l, 300, 10);
        rig_start(g);
        rig_settle(g);
        struct replica *r = rig_replica(g, l);
        struct log_dir *to = g->lab.dirs[replica_dir(r) == g->lab.dirs[0] ? 1 : 0];
        CHECK_EQ(replica_move(r, to), KERR_NONE);
        lab_pass(&g->lab, (int64_t)prng_below(sim_prng(g->lab.sim), 20 * MS));
        leader_elect(g, l, 3, l->end - 500);
        leader_append(g, l, 5, 2);
        rig_apply(g);
        UNTIL(&g->lab, l->divergences > 0);
        CHECK_EQ(replica_move(r, to), KERR_NONE); /* also while it is being cut */
        rig_settle(g);
        while (replica_dir(r) != to) {
            lab_pass(&g->lab, 50 * MS);
            (void)lab_grant(&g->lab);
        }
        leader_append(g, l, 5, 2);
        rig_settle(g);
        end(g);
    }
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
    end(g);
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
    end(g);
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
    end(g);
}
