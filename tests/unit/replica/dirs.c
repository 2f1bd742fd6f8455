/* Several log directories: where replicas are put, and what is left when one of them fails. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

static const int32_t me[] = {ME};

/* The topic's partitions 0, 1, ... lie in directories 0, 1, ..., as the metadata says. */
static void spread_topic(struct lab *lab, const char *name, uint8_t id)
{
    meta_topic(lab, name, id, 0);
    for (uint32_t d = 0; d < lab->dir_count; d++) {
        struct uuid directory = topic_id((uint8_t)(200 + d));
        meta_partition(lab, id, (int32_t)d, me, 1, &directory);
    }
}

static void begin(struct lab *lab, uint32_t shards, uint32_t dirs)
{
    lab_init(lab, 1, NULL, shards, dirs);
    spread_topic(lab, "orders", 1);
}

static void end(struct lab *lab, struct text *text)
{
    text_deinit(text);
    lab_deinit(lab);
}

struct waiter {
    struct replica_wait wait;
    struct replica_watch watch;
    int error; /* -1 until it is told */
    bool moved;
};

static void ready(struct replica_wait *w, enum kerr error)
{
    container_of(w, struct waiter, wait)->error = (int)error;
}

static void moved(struct replica_watch *w)
{
    container_of(w, struct waiter, watch)->moved = true;
}

static enum kerr absence(struct lab *lab, uint8_t id, int32_t partition)
{
    uint32_t shard = replica_shard(topic_id(id), partition, lab->shard_count);

    return replica_absence(lab->sets[shard], topic_id(id), partition);
}

/* The next disk operation fails: a write of a partition in that directory. */
static void fail_dir(struct lab *lab, uint32_t dir)
{
    struct replica *r = lab_get(lab, 1, (int32_t)dir);
    struct waiter w = {.wait.ready = ready, .watch.moved = moved, .error = -1};
    struct replica_appended a;

    lab_pass(lab, SEC);
    CHECK_EQ(lab_append(r, "lost", -1, &a), KERR_NONE);
    replica_wait_committed(r, &w.wait, a.last_offset + 1);
    replica_watch(r, &w.watch);
    sim_fail_at(lab->node, 1, -EIO);
    UNTIL(lab, w.error >= 0);
    CHECK_EQ(w.error, KERR_KAFKA_STORAGE_ERROR);
    CHECK(w.moved);
    CHECK(!log_dir_is_online(lab->dirs[dir]));
}

TEST(dirs, one_that_fails_takes_only_its_own_replicas_along)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct lab lab;
        struct text text = {0};

        begin(&lab, shards, 3);
        CHECK_EQ(lab_start(&lab), 0);
        for (int32_t p = 0; p < 3; p++)
            lab_put(&lab, lab_get(&lab, 1, p), "a");
        struct replica *held = lab_get(&lab, 1, 1);
        struct replica_appended a;
        replica_hold(held);
        fail_dir(&lab, 1);
        CHECK(lab_find(&lab, 1, 1) == NULL);
        CHECK_EQ(absence(&lab, 1, 1), KERR_KAFKA_STORAGE_ERROR);
        CHECK_EQ(lab_append(held, "b", 1, &a), KERR_KAFKA_STORAGE_ERROR);
        replica_release(held);
        for (int32_t p = 0; p < 3; p += 2)
            lab_put(&lab, lab_get(&lab, 1, p), "b");
        meta_leader(&lab, 1, 1, -1); /* what the controller will say of it */
        CHECK_EQ(lab_apply(&lab), 0);
        CHECK_EQ(absence(&lab, 1, 1), KERR_KAFKA_STORAGE_ERROR);
        CHECK_EQ(lab_stop(&lab), ERR_OFFLINE);

        meta_leader(&lab, 1, 1, ME);
        CHECK_EQ(lab_start(&lab), 0); /* the disk is well again */
        CHECK(lab.dirs[0]->clean && !lab.dirs[1]->clean && lab.dirs[2]->clean);
        CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 0), &text), "0:a 1:b ");
        CHECK(str_starts(lab_read(&lab, lab_get(&lab, 1, 1), &text), STR("0:a ")));
        CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 2), &text), "0:a 1:b ");
        CHECK_EQ(lab_stop(&lab), 0);
        end(&lab, &text);
    }
}

TEST(dirs, coordinators_of_a_failed_one_are_told)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 1, 2);
    meta_topic(&lab, "__consumer_offsets", 2, 0);
    struct uuid second = topic_id(201);
    meta_partition(&lab, 2, 0, me, 1, &second);
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_TEXT(text_str(&lab.told), "leads __consumer_offsets-0 in 0; ");
    fail_dir(&lab, 1);
    CHECK(lab_find(&lab, 2, 0) == NULL);
    CHECK_TEXT(text_str(&lab.told), "leads __consumer_offsets-0 in 0; leaves __consumer_offsets-0 in -1; ");
    CHECK_EQ(lab_stop(&lab), ERR_OFFLINE);
    end(&lab, &text);
}

TEST(dirs, nothing_new_is_put_into_a_failed_one)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 1, 3);
    CHECK_EQ(lab_start(&lab), 0);
    fail_dir(&lab, 1);
    struct uuid unassigned = {{[15] = 1}}, second = topic_id(201);
    meta_topic(&lab, "new", 2, 0);
    for (int32_t p = 0; p < 4; p++)
        meta_partition(&lab, 2, p, me, 1, &unassigned);
    meta_partition(&lab, 2, 4, me, 1, &second); /* the controller had not heard of it */
    text_clear(&lab.placed);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_TEXT(lab_names(&lab, 0, &text), "new-0 new-2 orders-0 ");
    CHECK_TEXT(lab_names(&lab, 1, &text), "orders-1 ");
    CHECK_TEXT(lab_names(&lab, 2, &text), "new-1 new-3 orders-2 ");
    CHECK(strstr(lab.placed.p, "new-0 in 0; ") != NULL && strstr(lab.placed.p, "new-2 in 0; ") != NULL);
    CHECK(strstr(lab.placed.p, "new-1 in 2; ") != NULL && strstr(lab.placed.p, "new-3 in 2; ") != NULL);
    CHECK_EQ(absence(&lab, 2, 4), KERR_KAFKA_STORAGE_ERROR);
    CHECK_EQ(lab_stop(&lab), ERR_OFFLINE);
    end(&lab, &text);
}

/* The fewest partitions, counted over all shards. */
TEST(dirs, new_replicas_go_where_the_fewest_are)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        struct lab lab;
        struct text text = {0};

        lab_init(&lab, 1, NULL, shards, 3);
        CHECK_EQ(lab_start(&lab), 0);
        meta_topic(&lab, "orders", 1, 9);
        CHECK_EQ(lab_apply(&lab), 0);
        for (uint32_t d = 0; d < 3; d++)
            CHECK_EQ(log_dir_partitions(lab.dirs[d], 0), 3);
        meta_remove(&lab, 1);
        CHECK_EQ(lab_apply(&lab), 0);
        for (uint32_t d = 0; d < 3; d++)
            CHECK_EQ(log_dir_partitions(lab.dirs[d], 0), 0);
        CHECK_EQ(lab_stop(&lab), 0);
        end(&lab, &text);
    }
}

/* A directory is missing at the start. What may lie in it is not made anew: its records would be hidden. */
TEST(dirs, what_may_lie_in_a_missing_one_is_not_made_elsewhere)
{
    struct lab lab;
    struct text text = {0};
    struct uuid unassigned = {{[15] = 1}}, missing = topic_id(209);

    lab_init(&lab, 1, NULL, 1, 2);
    lab.dirs_missing = true;
    meta_topic(&lab, "orders", 1, 0);
    meta_partition(&lab, 1, 0, me, 1, &missing);
    meta_partition(&lab, 1, 1, me, 1, &unassigned);
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_EQ(absence(&lab, 1, 0), KERR_KAFKA_STORAGE_ERROR);
    CHECK_EQ(absence(&lab, 1, 1), KERR_KAFKA_STORAGE_ERROR);
    CHECK_TEXT(text_str(&lab.placed), "orders-1 in -2; "); /* lost, so that another broker leads it */
    meta_partition(&lab, 1, 2, me, 1, &unassigned); /* created since: it can be nowhere */
    CHECK_EQ(lab_apply(&lab), 0);
    lab_put(&lab, lab_get(&lab, 1, 2), "a");
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

/* Also where an operator would have it somewhere else, and where a move from there has left an unfinished copy in the
 * directory that the metadata names already. */
TEST(dirs, what_lies_in_a_missing_one_is_not_begun_anew_where_it_was_to_go)
{
    for (int copied = 0; copied < 2; copied++) {
        struct lab lab;
        struct text text = {0};
        struct uuid first = topic_id(200);

        lab_init(&lab, 1, NULL, 1, 2);
        meta_topic(&lab, "orders", 1, 0);
        meta_partition(&lab, 1, 0, me, 1, &first);
        CHECK_EQ(lab_start(&lab), 0);
        lab_put(&lab, lab_get(&lab, 1, 0), "a");
        if (copied) {
            CHECK_EQ(replica_move(lab_get(&lab, 1, 0), lab.dirs[1]), KERR_NONE);
            UNTIL(&lab, lab.wish.is_set);
        }
        sim_node_power_cut(lab.node);
        lab_bury(&lab);
        if (copied)
            meta_directory(&lab, 1, 0, topic_id(201));
        lab.first_dir = 1;
        lab.dir_count = 1;
        lab.dirs_missing = true;
        CHECK_EQ(lab_open(&lab), 0);
        if (!copied)
            replicas_prefer(lab.sets[0], STR("orders"), 0, lab.dirs[0]);
        CHECK_EQ(lab_apply(&lab), 0);
        CHECK(lab_find(&lab, 1, 0) == NULL);
        CHECK_EQ(absence(&lab, 1, 0), KERR_KAFKA_STORAGE_ERROR);
        CHECK_TEXT(lab_names(&lab, 1, &text), copied ? "orders-0.*-future " : "");
        CHECK_EQ(lab_stop(&lab), 0);

        lab.first_dir = 0;
        lab.dir_count = 2;
        lab.dirs_missing = false;
        CHECK_EQ(lab_start(&lab), 0); /* it is back, and so are its records */
        CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 0), &text), "0:a ");
        CHECK_EQ(lab_stop(&lab), 0);
        end(&lab, &text);
    }
}

TEST(dirs, unknown_one_is_taken_for_an_older_name_while_all_are_there)
{
    struct lab lab;
    struct text text = {0};
    struct uuid unknown = topic_id(209);

    lab_init(&lab, 1, NULL, 1, 2);
    meta_topic(&lab, "orders", 1, 0);
    meta_partition(&lab, 1, 0, me, 1, &unknown);
    CHECK_EQ(lab_start(&lab), 0);
    lab_put(&lab, lab_get(&lab, 1, 0), "a");
    CHECK_TEXT(text_str(&lab.placed), "orders-0 in 0; ");
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

/* One short life over three directories. What was acknowledged is counted in `acknowledged`. */
static bool live(struct lab *lab, int32_t acknowledged[3])
{
    if (lab_start(lab) < 0)
        return false;
    for (int round = 0; round < 4; round++) {
        for (int32_t p = 0; p < 3; p++) {
            struct waiter w = {.wait.ready = ready, .error = -1};
            struct replica *r = lab_find(lab, 1, p);
            struct replica_appended a;
            char value[16];
            snprintf(value, sizeof value, "%d", round);
            if (r == NULL) {
                CHECK_EQ(absence(lab, 1, p), KERR_KAFKA_STORAGE_ERROR);
                continue;
            }
            if (lab_append(r, value, -1, &a) != KERR_NONE)
                continue;
            replica_wait_committed(r, &w.wait, a.last_offset + 1);
            UNTIL(lab, w.error >= 0);
            acknowledged[p] += w.error == KERR_NONE ? 1 : 0;
        }
        if (round > 1)
            meta_remove(lab, (uint8_t)round);
        spread_topic(lab, round % 2 == 0 ? "even" : "odd", (uint8_t)(2 + round));
        CHECK_EQ(lab_apply(lab), 0);
    }
    (void)lab_stop(lab);
    return true;
}

static uint64_t failures(const struct lab *lab)
{
    uint64_t n = 0;

    for (int k = 0; k < SIM_KINDS; k++)
        n += sim_node_counters(lab->node)->failed[k];
    return n;
}

TEST(dirs, after_any_single_fault_the_others_serve_on_and_nothing_is_lost)
{
    uint64_t last = 0;

    for (uint64_t n = 1; last == 0; n++) {
        struct lab lab;
        struct text text = {0};
        int32_t acknowledged[3] = {0};
        uint32_t whole = 0;

        begin(&lab, 1 + (uint32_t)(n % 3), 3);
        sim_node_start(lab.node, lab.shard_count);
        sim_fail_at(lab.node, n, -EIO);
        bool lived = live(&lab, acknowledged);
        for (int32_t p = 0; p < 3; p++)
            whole += acknowledged[p] == 4 ? 1 : 0;
        if (failures(&lab) == 0)
            last = n;
        CHECK(!lived || whole >= 2); /* one directory at most was hit */
        sim_node_power_cut(lab.node);
        lab_bury(&lab);
        CHECK_EQ(lab_start(&lab), 0);
        for (int32_t p = 0; p < 3; p++) {
            struct str rest = lab_read(&lab, lab_get(&lab, 1, p), &text), record;
            int32_t found = 0;
            while (str_cut(&rest, ' ', &record) && record.n > 0)
                found++;
            CHECK(found >= acknowledged[p]);
        }
        CHECK_EQ(lab_stop(&lab), 0);
        end(&lab, &text);
        CHECK(n < 3000);
    }
    CHECK(last > 150);
}
