/* Throttles: what a follower asks for, and how fast replicas move between directories. */
#include "leaders.h"

#include <stdio.h>

#define FOLLOWERS "follower.replication.throttled.replicas"
#define RATE "follower.replication.throttled.rate"

static void set_broker(struct lab *lab, const char *name, const char *value)
{
    struct config *next = config_copy(lab->broker);

    CHECK_EQ(config_set(next, CONFIG_DYNAMIC_BROKER, str_of(name), str_of(value), NULL), 0);
    if (lab->sets[0] != NULL)
        replicas_set_broker(lab->sets[0], next);
    config_free(lab->broker);
    lab->broker = next;
}

/* A partition outside of whose ISR the node is, with so many batches of some 400 bytes. */
static struct leader_log *behind(struct rig *g, int32_t partition, uint32_t batches)
{
    struct leader_log *l = rig_partition(g, 1, partition, 2);

    leader_append(g, l, batches, 20);
    leader_mark(g, l, l->end, 0);
    meta_isr(&g->lab, 1, partition, (int32_t[]){2, 3}, 2);
    return l;
}

static int64_t bytes_of(const struct leader_log *l)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < l->count; i++)
        n += l->batches[i].n;
    return n;
}

static double settle_s(struct rig *g)
{
    int64_t began_ns = sim_now_ns(g->lab.sim);

    rig_settle(g);
    return (double)(sim_now_ns(g->lab.sim) - began_ns) / 1e9;
}

TEST(throttle, follower_takes_what_is_throttled_at_its_rate)
{
    struct rig *g = rig_new(31, NULL);
    struct leader_log *l[3];

    g->max_bytes = 2000;
    for (int32_t i = 0; i < 3; i++)
        l[i] = behind(g, i, 100);
    meta_config(&g->lab, "topic1", FOLLOWERS, "0:1,1:1,2:7"); /* the last one is another broker's */
    set_broker(&g->lab, RATE, "5000");
    rig_start(g);
    UNTIL(&g->lab, rig_end(g, l[2]) == l[2]->end);
    CHECK(sim_now_ns(g->lab.sim) < 2 * SEC);
    double took_s = settle_s(g), rate = (double)(bytes_of(l[0]) + bytes_of(l[1])) / took_s;
    CHECK(rate > 3500);
    CHECK(rate < 6500);
    CHECK_EQ(g->leaders[2].full, 1); /* what is held leaves the session, and comes back */
    CHECK(replicas_copy_rate(g->lab.sets[0], THROTTLE_FOLLOWER) > 2000);
    CHECK_EQ(replicas_copy_rate(g->lab.sets[0], THROTTLE_LEADER), 0);
    CHECK_TEXT(text_str(&g->lab.said), "");
    rig_close(g);
}

/* Nothing else wakes the fetcher. */
TEST(throttle, what_is_held_goes_on_by_itself)
{
    struct rig *g = rig_new(35, NULL);
    struct leader_log *l = behind(g, 0, 100);

    g->max_bytes = 2000;
    meta_config(&g->lab, "topic1", FOLLOWERS, "*");
    set_broker(&g->lab, RATE, "5000");
    rig_start(g);
    double took_s = settle_s(g);
    CHECK(took_s > (double)bytes_of(l) / 6500);
    CHECK(took_s < (double)bytes_of(l) / 3500);
    rig_close(g);
}

TEST(throttle, another_rate_or_list_acts_at_once)
{
    struct rig *g = rig_new(32, NULL);
    struct leader_log *l = behind(g, 0, 300);

    g->max_bytes = 2000;
    meta_config(&g->lab, "topic1", FOLLOWERS, "*");
    set_broker(&g->lab, RATE, "10");
    rig_start(g);
    lab_pass(&g->lab, 10 * SEC);
    CHECK(rig_end(g, l) > 0);
    CHECK(rig_end(g, l) < l->end / 4);
    set_broker(&g->lab, RATE, "9223372036854775807");
    CHECK(settle_s(g) < 2);
    set_broker(&g->lab, RATE, "10");
    leader_append(g, l, 300, 20);
    leader_mark(g, l, l->end, 0);
    lab_pass(&g->lab, 10 * SEC);
    CHECK(rig_end(g, l) < l->end);
    meta_config(&g->lab, "topic1", FOLLOWERS, "");
    rig_apply(g);
    CHECK(settle_s(g) < 2);
    rig_close(g);
}

/* Also what is about to join, for which the leader's high watermark waits. */
TEST(throttle, who_is_in_sync_is_never_held)
{
    struct rig *g = rig_new(33, NULL);
    struct leader_log *l = behind(g, 0, 50), *other = behind(g, 1, 300);

    meta_isr(&g->lab, 1, 0, (int32_t[]){2, 3, ME}, 3);
    g->max_bytes = 2000;
    meta_config(&g->lab, "topic1", FOLLOWERS, "*");
    set_broker(&g->lab, RATE, "10");
    rig_start(g);
    UNTIL(&g->lab, rig_end(g, l) == l->end);
    lab_pass(&g->lab, 5 * SEC);
    CHECK(rig_end(g, other) < other->end);
    for (int i = 0; i < 2; i++) {
        int64_t began_ns = sim_now_ns(g->lab.sim);
        leader_append(g, l, 1, 2);
        leader_mark(g, l, l->end - 2, 0);
        UNTIL(&g->lab, rig_end(g, l) == l->end);
        CHECK(sim_now_ns(g->lab.sim) - began_ns < SEC);
        leader_mark(g, l, l->end, 0);
        lab_pass(&g->lab, SEC);
        meta_isr(&g->lab, 1, 0, (int32_t[]){2, 3}, 2); /* out of it, but with all that is committed */
        rig_apply(g);
    }
    set_broker(&g->lab, RATE, "100000");
    meta_isr(&g->lab, 1, 1, (int32_t[]){2, 3, ME}, 3); /* what is held, and in sync: goes on with the image */
    rig_apply(g);
    rig_settle(g);
    rig_close(g);
}

/* ---- moves ------------------------------------------------------------------------------------ */

static void put(struct lab *lab, uint32_t records)
{
    char value[600];

    for (uint32_t i = 0; i < records; i++) {
        snprintf(value, sizeof value, "%0500u", i);
        lab_put(lab, lab_get(lab, 1, 0), value);
    }
}

TEST(throttle, move_is_as_fast_as_it_may_be_and_does_not_hold_up_producers)
{
    struct uuid first = topic_id(200);
    struct replica_appended a;
    struct lab lab;
    struct replica *r;
    int64_t began_ns, refused_ns = 0;

    lab_init(&lab, 34, NULL, 1, 2);
    meta_topic(&lab, "orders", 1, 0);
    meta_partition(&lab, 1, 0, (int32_t[]){ME}, 1, &first);
    CHECK_EQ(lab_start(&lab), 0);
    put(&lab, 6000); /* some 3.4 MB: pieces of 1 MiB */
    set_broker(&lab, "replica.alter.log.dirs.io.max.bytes.per.second", "500000");
    r = lab_get(&lab, 1, 0);
    began_ns = sim_now_ns(lab.sim);
    CHECK_EQ(replica_move(r, lab.dirs[1]), KERR_NONE);
    lab_pass(&lab, 3 * SEC);
    CHECK(replica_dir(r) == lab.dirs[0]);
    CHECK(replicas_copy_rate(lab.sets[0], THROTTLE_MOVES) > 300000);
    while (replica_dir(r) != lab.dirs[1]) {
        CHECK(sim_now_ns(lab.sim) - began_ns < 20 * SEC);
        (void)lab_grant(&lab);
        refused_ns += lab_append(r, "while it moves", 1, &a) == KERR_NONE ? 0 : MS;
        lab_pass(&lab, MS);
    }
    CHECK(sim_now_ns(lab.sim) - began_ns > 4 * SEC);
    CHECK(refused_ns < 200 * MS);
    set_broker(&lab, "replica.alter.log.dirs.io.max.bytes.per.second", "1");
    CHECK_EQ(replica_move(r, lab.dirs[0]), KERR_NONE);
    lab_pass(&lab, 5 * SEC);
    CHECK(replica_dir(r) == lab.dirs[1]);
    set_broker(&lab, "replica.alter.log.dirs.io.max.bytes.per.second", "9223372036854775807");
    began_ns = sim_now_ns(lab.sim);
    while (replica_dir(r) != lab.dirs[0]) {
        CHECK(sim_now_ns(lab.sim) - began_ns < 2 * SEC);
        (void)lab_grant(&lab);
        lab_pass(&lab, MS);
    }
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}
