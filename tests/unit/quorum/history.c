/* Random lives of several nodes: kills, power cuts, cuts of the network, snapshots, appends; then calm, and all must
 * have come to the same. What must hold on the way is checked by the listeners of cluster.h. */
#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>

static struct cluster c;

static struct member *any_member(void)
{
    return cluster_member(&c, 1 + (int32_t)prng_below(sim_prng(c.sim), c.count));
}

static void snapshot_over(struct member *m)
{
    if (member_snapshot(m))
        CLUSTER_UNTIL(&c, 600000, !m->snapshotting);
}

/* A power cut, or a disk that has failed, may come by itself: the process is started anew. */
static void bring_up(void)
{
    for (uint32_t i = 0; i < c.count; i++) {
        struct member *m = &c.members[i];
        if (m->phase == MEMBER_UP && !member_is_well(m))
            member_kill(m);
        if (m->phase == MEMBER_DOWN)
            member_start(m);
    }
}

static void trouble(struct member *m)
{
    struct prng *g = sim_prng(c.sim);

    switch (prng_below(g, 10)) {
    case 0:
        member_kill(m);
        break;
    case 1:
    case 2:
        member_power_cut(m);
        break;
    case 3:
        member_stop(m);
        break;
    case 4:
        sim_net_cut(m->node, any_member()->node);
        break;
    case 5:
        member_cut_off(m, true);
        break;
    case 6:
    case 7:
        sim_net_heal_all(c.sim);
        break;
    case 8:
        snapshot_over(m);
        break;
    default:
        if (sim_node_is_up(m->node))
            sim_crash_at_io(m->node, 1 + prng_below(g, 30),
                            SIM_CRASH_POWER | (prng_chance(g, 500000) ? SIM_CRASH_AFTER : 0));
        break;
    }
}

static void calm(void)
{
    sim_calm(c.sim);
    sim_net_heal_all(c.sim);
    for (uint32_t i = 0; i < c.count; i++) {
        if (sim_node_is_up(c.members[i].node))
            sim_crash_at_io(c.members[i].node, 0, SIM_CRASH_POWER);
    }
    bring_up();
}

static void story(uint64_t seed, bool faults, bool dynamic, uint64_t *hash)
{
    struct sim_options options = faults ? sim_options_swarm(seed) : (struct sim_options){0};
    struct prng *g;

    cluster_init(&c, seed, &options, 3 + seed % 3, 3, dynamic);
    g = sim_prng(c.sim);
    for (uint32_t i = 0; i < c.count; i++) {
        c.members[i].retention_bytes = (int64_t)prng_below(g, 4000);
        c.members[i].segment_bytes = 400 + (uint32_t)prng_below(g, 4000);
        c.members[i].can_vote = i < 3 || prng_chance(g, 500000);
        if (!dynamic && i >= 3)
            c.members[i].can_vote = false;
    }
    cluster_start(&c);
    for (uint64_t step = 40 + prng_below(g, 40); step > 0; step--) {
        struct member *leader = cluster_leader(&c);
        if (leader != NULL) {
            for (uint64_t n = prng_below(g, 8); n > 0; n--)
                (void)member_append(leader);
        } else {
            (void)member_append(any_member()); /* who leads no more takes nothing, or what is cut */
        }
        cluster_pass(&c, (int64_t)prng_below(g, 10) * (int64_t)prng_below(g, 100));
        if (prng_chance(g, 300000))
            trouble(any_member());
        if (prng_chance(g, 200000))
            bring_up();
    }
    calm();
    uint32_t before = c.truth_count;
    cluster_commit(&c, 3);
    CHECK(c.truth_count >= before + 3);
    *hash = sim_hash(c.sim);
    cluster_end(&c);
}

/* RIG_SEEDS=COUNT plays more of them, RIG_SEED=N one alone. */
static void stories(uint64_t from, uint64_t count, bool faults, bool dynamic)
{
    const char *one = getenv("RIG_SEED"), *more = getenv("RIG_SEEDS");
    uint64_t hash;

    if (more != NULL)
        count = strtoull(more, NULL, 10);
    if (one != NULL) {
        from = strtoull(one, NULL, 10);
        count = 1;
    }
    for (uint64_t seed = from; seed < from + count; seed++) {
        if (getenv("RIG_VERBOSE") != NULL)
            fprintf(stderr, "---- seed %llu\n", (unsigned long long)seed);
        story(seed, faults, dynamic, &hash);
    }
}

TEST(quorum_nodes_history, nothing_delivered_is_lost_by_kills_cuts_and_silence)
{
    stories(1, 25, false, false);
}

TEST(quorum_nodes_history, nor_when_disks_and_connections_fail)
{
    stories(100, 25, true, false);
}

TEST(quorum_nodes_history, nor_with_voters_that_stand_in_the_log)
{
    stories(200, 25, true, true);
}

TEST(quorum_nodes_history, one_seed_is_one_history)
{
    uint64_t first, second;

    story(7, true, true, &first);
    story(7, true, true, &second);
    CHECK(first == second);
}
