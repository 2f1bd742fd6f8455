/* Leaders change: logs that diverge, leadership that comes here and goes, brokers that move. */
#include "leaders.h"

#include <string.h>

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
    rig_close(g);
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
    rig_close(g);
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
    rig_close(g);
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
    rig_close(g);
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
    rig_close(g);
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
    rig_close(g);
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
        rig_close(g);
    }
}
