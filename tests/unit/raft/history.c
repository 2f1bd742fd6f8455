/* Random histories: after each event F1 to F7 hold over all nodes (history_check.c), and when nothing goes wrong any
 * more, a leader is elected and commits.
 *
 *     RAFT_SEED=17 unit_raft 'raft_history*'      one history, with a line for each thing that happens
 *     RAFT_SEEDS=100000 unit_raft 'raft_history*' more of them
 */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEDS 3000
#define CALM_MS 40000 /* within this there is a leader, and everybody has what it wrote */

static struct world world;
static bool playing;

/* A check that fails leaves `playing` as it is. */
static void say_seed(void)
{
    if (playing)
        fprintf(stderr, "seed %d; replay it with RAFT_SEED=%d\n", (int)world.seed, (int)world.seed);
}

static void run_until(struct world *w, int64_t until_ms)
{
    while (w->now < until_ms)
        world_step(w);
}

static void calm_down(struct world *w)
{
    w->calm = true;
    w->trouble_at = NEVER;
    memset(w->cut, 0, sizeof(w->cut));
    for (uint32_t id = 1; id <= w->count; id++)
        w->nodes[id].start_at = w->nodes[id].up ? NEVER : w->now;
    world_trace(w, "calm");
}

/* All voters follow one leader, and have all it has, committed. */
static bool is_whole(struct world *w)
{
    const struct node *leader = world_leader(w);

    if (leader == NULL || leader->high_watermark < leader->end)
        return false;
    uint32_t bits = bits_of(raft_voters(leader->raft));
    for (uint32_t id = 1; id <= w->count; id++) {
        const struct node *n = &w->nodes[id];
        if ((bits & 1u << id) == 0 || n == leader)
            continue;
        if (!n->up || n->role != RAFT_FOLLOWER || n->election.epoch != leader->election.epoch ||
            n->high_watermark < leader->end)
            return false;
    }
    return true;
}

static int64_t run_until_whole(struct world *w)
{
    int64_t began = w->now;

    while (!is_whole(w)) {
        CHECK(w->now - began < CALM_MS);
        world_step(w);
    }
    return w->now - began;
}

static void play(struct world *w, uint64_t seed)
{
    struct prng g;

    prng_init(&g, seed);
    uint32_t voters = 3 + (uint32_t)prng_below(&g, 3);
    world_init(w, seed, voters, (uint32_t)prng_below(&g, NODES_MAX - voters + 1), prng_below(&g, 4) != 0);
    if (prng_below(&g, 2) == 0)
        w->bootstrap &= ~4u; /* one of them is to be added */
    w->trouble_at = 3000;
    run_until(w, 5000 + (int64_t)prng_below(&g, 30000));
    calm_down(w);
    (void)run_until_whole(w);
    node_write(w, world_leader(w));
    (void)run_until_whole(w);
    world_free(w);
}

TEST(raft_history, whatever_happens_nothing_committed_is_lost_and_a_leader_comes)
{
    const char *only = getenv("RAFT_SEED"), *count = getenv("RAFT_SEEDS");
    uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;
    uint64_t last = only != NULL ? first : count != NULL ? strtoull(count, NULL, 10) : SEEDS;
    uint64_t elections = 0, commits = 0, changes = 0, upgrades = 0;

    world.trace = only != NULL;
    playing = true;
    assert_hook = say_seed;
    atexit(say_seed);
    for (uint64_t seed = first; seed <= last; seed++) {
        play(&world, seed);
        elections += world.elections;
        commits += world.commits;
        changes += world.changes;
        upgrades += world.upgrades;
    }
    assert_hook = NULL;
    playing = false;
    world.trace = false;
    if (only == NULL) { /* they are about something */
        CHECK(elections > last * 2);
        CHECK(commits > last * 5);
        CHECK(changes > last / 2);
        CHECK(upgrades > last / 20);
    }
}

/* ---- stories: nothing goes wrong but one thing --------------------------------------------- */

static struct node *quiet_cluster(struct world *w, uint64_t seed)
{
    world_init(w, seed, 3 + (uint32_t)(seed % 3), 0, seed % 2 == 0);
    w->calm = true;
    (void)run_until_whole(w);
    return world_leader(w);
}

static struct node *follower_of(struct world *w, const struct node *leader)
{
    int32_t id = 1 + (int32_t)below(w, w->count);

    return &w->nodes[id == leader->id ? 1 + id % (int32_t)w->count : id];
}

/* KIP-996. Both ways, or only what it sends, or only what it is sent. */
TEST(raft_history, a_follower_that_was_cut_off_disturbs_nobody)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct node *leader = quiet_cluster(&world, seed), *cut = follower_of(&world, leader);
        int32_t epoch = leader->election.epoch;

        for (uint32_t id = 1; id <= world.count; id++) {
            world.cut[id][cut->id] = seed % 3 != 1 && id != (uint32_t)cut->id;
            world.cut[cut->id][id] = seed % 3 != 2 && id != (uint32_t)cut->id;
        }
        run_until(&world, world.now + 20000);
        CHECK(cut->role != RAFT_LEADER);
        memset(world.cut, 0, sizeof(world.cut));
        node_write(&world, leader);
        (void)run_until_whole(&world);
        CHECK(world_leader(&world) == leader);
        CHECK_EQ(leader->election.epoch, epoch);
        world_free(&world);
    }
}

TEST(raft_history, a_leader_that_is_cut_off_resigns_and_the_others_go_on)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct node *old = quiet_cluster(&world, seed);
        int32_t epoch = old->election.epoch;

        for (uint32_t id = 1; id <= world.count; id++)
            world.cut[id][old->id] = world.cut[old->id][id] = id != (uint32_t)old->id;
        run_until(&world, world.now + 3300); /* 1.5 x fetch timeout, by the slowest clock */
        CHECK(old->role != RAFT_LEADER);
        run_until(&world, world.now + 12000);
        CHECK(world_leader(&world) != NULL);
        CHECK(world_leader(&world)->election.epoch > epoch);
        memset(world.cut, 0, sizeof(world.cut));
        (void)run_until_whole(&world);
        world_free(&world);
    }
}

/* The successors that the leader names take over by rank, without waiting for a fetch timeout. */
TEST(raft_history, a_leader_that_stops_is_followed_by_another_within_the_backoff)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct node *old = quiet_cluster(&world, seed);
        int64_t began = world.now;

        node_stop(&world, old);
        old->start_at = NEVER;
        while (world_leader(&world) == NULL)
            world_step(&world);
        CHECK(world.now - began < 1000);
        world_free(&world);
    }
}
