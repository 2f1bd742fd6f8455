/* Any history of leaders, crashes, lost answers and disks: a follower ends with what its leader has, and never loses
 * what a Fetch of it has said to be there. */
#include "leaders.h"

#include <stdlib.h>

#define PARTITIONS 6

struct history {
    struct rig *g;
    struct prng *p;
    struct leader_log *l[PARTITIONS];
    uint8_t next_id;
};

static uint32_t below(struct history *h, uint32_t n)
{
    return (uint32_t)prng_below(h->p, n);
}

/* Another leader, or the same: with all that was acknowledged, mostly. */
static void elect(struct history *h, struct leader_log *l)
{
    int64_t lowest = l->acknowledged < l->start ? l->start : l->acknowledged;
    int64_t end = lowest + (int64_t)prng_below(h->p, (uint64_t)(l->end - lowest) + 1);

    if (below(h, 4) == 0) /* unclean */
        end = l->start + (int64_t)prng_below(h->p, (uint64_t)(l->end - l->start) + 1);
    for (uint32_t i = 0; i < l->count; i++) { /* at a batch's end */
        if (l->batches[i].base < end && end <= l->batches[i].last)
            end = l->batches[i].last + 1;
    }
    if (l->high_watermark > end)
        l->high_watermark = end;
    leader_elect(h->g, l, below(h, 8) == 0 ? 0 : 2 + (int32_t)below(h, 3), end);
}

static void remake(struct history *h, int i)
{
    struct leader_log *l = h->l[i];

    if (h->next_id > 40)
        return;
    rig_delete(h->g, l->id);
    h->l[i] = rig_partition(h->g, h->next_id++, 0, 2 + (int32_t)below(h, 3));
}

static void metadata(struct history *h)
{
    for (uint32_t n = 1 + below(h, 3); n > 0; n--) {
        int i = (int)below(h, PARTITIONS);
        if (below(h, 6) == 0)
            remake(h, i);
        else if (h->l[i]->epoch < 60)
            elect(h, h->l[i]);
    }
    if (below(h, 3) > 0)
        (void)lab_apply(&h->g->lab);
}

static void trouble(struct history *h)
{
    static const enum script_fault faults[] = {SCRIPT_CUT, SCRIPT_CUT_AFTER, SCRIPT_SHORT, SCRIPT_GARBAGE,
                                               SCRIPT_DELAY};
    static const int16_t errors[] = {KERR_UNKNOWN_LEADER_EPOCH, KERR_NOT_LEADER_OR_FOLLOWER, KERR_UNKNOWN_TOPIC_ID};
    struct leader_log *l = h->l[below(h, PARTITIONS)];
    struct leader *b = &h->g->leaders[2 + below(h, 3)];

    switch (below(h, 7)) {
    case 0:
        script_fault(h->g->script, b->id, API_FETCH, faults[below(h, 5)], 1 + below(h, 400));
        return;
    case 1:
        l->error = errors[below(h, 3)];
        l->errors = 1 + below(h, 3);
        return;
    case 2:
        l->damages = 1 + below(h, 2);
        return;
    case 3:
        b->session_id = 0;
        return;
    case 4:
        sim_net_reset(script_node(h->g->script, b->id), h->g->lab.node);
        return;
    case 5:
        h->g->sessionless = below(h, 2) == 0;
        return;
    default: /* its first records go; also such as others have, and this follower not yet */
        if (below(h, 2) == 0)
            l->high_watermark = l->end;
        leader_mark(h->g, l, l->high_watermark,
                    l->start + (int64_t)prng_below(h->p, (uint64_t)(l->high_watermark - l->start) + 1));
    }
}

/* What the process that died had said to be stable is there, but for what its leader has no more: the log may have been
 * about to begin anew. */
static void check_kept(struct history *h)
{
    for (int i = 0; i < PARTITIONS; i++) {
        struct leader_log *l = h->l[i];
        struct replica *r = l->gone ? NULL : lab_find(&h->g->lab, l->id, l->partition);
        if (r != NULL && l->acknowledged > l->start && log_end(replica_log(r)) < l->acknowledged)
            check_fail(__FILE__, __LINE__, "%s-%d ends at %lld, and %lld was acknowledged", l->topic, l->partition,
                       (long long)log_end(replica_log(r)), (long long)l->acknowledged);
    }
}

static bool is_alive(const struct history *h)
{
    return h->g->lab.sets[0] != NULL && sim_node_is_up(h->g->lab.node) && lab_online(&h->g->lab) > 0;
}

static void die(struct history *h)
{
    struct rig *g = h->g;

    if (sim_node_is_up(g->lab.node)) {
        if (is_alive(h) && below(h, 3) == 0)
            (void)lab_stop(&g->lab);
        else if (below(h, 2) == 0)
            sim_node_power_cut(g->lab.node);
        else
            sim_node_kill(g->lab.node);
    }
    lab_bury(&g->lab);
    if (sim_node_is_up(g->lab.node))
        sim_node_kill(g->lab.node);
}

/* A replica as it was opened, before it has followed anybody. */
static void live_again(struct history *h)
{
    struct rig *g = h->g;

    meta_broker(&g->lab, ME, ++g->broker_epoch, "one", SCRIPT_PORT);
    if (lab_start(&g->lab) == 0)
        check_kept(h);
}

static void live(struct history *h)
{
    for (uint32_t n = 10 + below(h, 20); n > 0 && is_alive(h); n--) {
        for (uint32_t k = below(h, 5); k > 0; k--) {
            struct leader_log *l = h->l[below(h, PARTITIONS)];
            if (l->broker >= 2 && l->count < BATCHES_MAX - 20)
                leader_append(h->g, l, 1 + below(h, 5), 1 + below(h, 4));
        }
        if (below(h, 3) == 0)
            metadata(h);
        if (below(h, 2) == 0)
            trouble(h);
        lab_pass(&h->g->lab, (int64_t)prng_below(h->p, below(h, 5) == 0 ? 2 * SEC : 20 * MS));
    }
}

static void come_right(struct history *h)
{
    struct rig *g = h->g;

    sim_calm(g->lab.sim);
    script_faults_clear(g->script);
    for (int i = 0; i < PARTITIONS; i++) {
        h->l[i]->errors = h->l[i]->damages = 0;
        if (h->l[i]->broker < 2)
            leader_elect(g, h->l[i], 2, h->l[i]->end);
        leader_append(g, h->l[i], 1, 1);
    }
    if (!is_alive(h)) {
        die(h);
        live_again(h);
    }
    CHECK_EQ(lab_apply(&g->lab), 0);
    rig_settle(g);
}

/* What happened in all histories: they are to be eventful. */
struct sum {
    uint64_t acknowledged, divergences, out_of_ranges, cuts;
};

static void play(uint64_t seed, struct sum *sum)
{
    struct sim_options options = sim_options_swarm(seed);
    struct history h = {.g = rig_new(seed, &options), .next_id = 10};

    h.p = sim_prng(h.g->lab.sim);
    for (int i = 0; i < PARTITIONS; i++)
        h.l[i] = rig_partition(h.g, (uint8_t)(1 + i), 0, 2 + i % 3);
    for (int lives = 0; lives < 4; lives++) {
        if (lives > 0 && below(&h, 2) == 0) {
            sim_node_start(h.g->lab.node, 1);
            sim_crash_at_io(h.g->lab.node, 1 + below(&h, 300),
                            SIM_CRASH_POWER | (below(&h, 2) == 0 ? SIM_CRASH_AFTER : 0));
        }
        live_again(&h);
        live(&h);
        if (lives < 3)
            die(&h);
        sim_crash_at_io(h.g->lab.node, 0, SIM_CRASH_KILL);
    }
    come_right(&h);
    CHECK_EQ(lab_stop(&h.g->lab), 0);
    for (uint32_t i = 0; i < h.g->log_count; i++) {
        sum->acknowledged += (uint64_t)h.g->logs[i]->acknowledged;
        sum->divergences += h.g->logs[i]->divergences;
        sum->out_of_ranges += h.g->logs[i]->out_of_ranges;
    }
    sum->cuts += sim_node_counters(h.g->lab.node)->power_cuts;
    rig_free(h.g);
}

TEST(follow_history, follower_has_what_its_leader_has_and_keeps_what_it_acknowledged)
{
    struct sum sum = {0};

    for (uint64_t seed = 1; seed <= 30; seed++)
        play(seed, &sum);
    CHECK(sum.acknowledged > 2500);
    CHECK(sum.divergences > 50);
    CHECK(sum.out_of_ranges > 3);
    CHECK(sum.cuts > 15);
}
