/* Going through all replicas from time to time; raising a start for a client. Records here are of 1970. */
#include "lab.h"

#include <stdio.h>

#include "replica/internal.h"

static int64_t start_of(struct lab *lab, uint8_t id, int32_t partition)
{
    return log_start(replica_log(lab_get(lab, id, partition)));
}

static void begin(struct lab *lab, uint32_t shards)
{
    lab_init(lab, 31, NULL, shards, 1);
    meta_topic(lab, "old", 1, 6);
    meta_topic(lab, "compacted", 2, 2);
    meta_config(lab, "compacted", "cleanup.policy", "compact");
    meta_topic(lab, "kept", 3, 2);
    meta_config(lab, "kept", "retention.ms", "-1");
    meta_topic(lab, "both", 4, 1);
    meta_config(lab, "both", "cleanup.policy", "compact,delete");
    CHECK_EQ(lab_start(lab), 0);
}

static void fill(struct lab *lab, uint8_t id, int32_t partitions)
{
    for (int32_t p = 0; p < partitions; p++) {
        lab_put(lab, lab_get(lab, id, p), "a");
        lab_put(lab, lab_get(lab, id, p), "b");
    }
}

static void retain(struct lab *lab)
{
    for (uint32_t i = 0; i < lab->shard_count; i++) {
        struct wait w;
        replicas_retain(lab->sets[i], wait_begin(&w));
        CHECK_EQ(wait_end(lab, &w), 0);
    }
}

TEST(retention, goes_through_every_replica_with_its_topics_settings)
{
    struct lab lab;

    begin(&lab, 3);
    fill(&lab, 1, 6);
    fill(&lab, 2, 2);
    fill(&lab, 3, 2);
    fill(&lab, 4, 1);
    retain(&lab);
    for (int32_t p = 0; p < 6; p++)
        CHECK_EQ(start_of(&lab, 1, p), 2);
    CHECK_EQ(start_of(&lab, 2, 0), 0);
    CHECK_EQ(start_of(&lab, 3, 1), 0);
    CHECK_EQ(start_of(&lab, 4, 0), 2);
    meta_config(&lab, "kept", "retention.ms", "1000");
    CHECK_EQ(lab_apply(&lab), 0);
    retain(&lab);
    CHECK_EQ(start_of(&lab, 3, 0), 2);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

TEST(retention, a_topic_may_go_meanwhile)
{
    struct lab lab;
    struct wait w;

    begin(&lab, 1);
    fill(&lab, 1, 6);
    replicas_retain(lab.sets[0], wait_begin(&w));
    for (int i = 0; i < 6; i++)
        CHECK(sim_step(lab.sim));
    meta_remove(&lab, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(wait_end(&lab, &w), 0);
    CHECK(lab_find(&lab, 1, 0) == NULL);
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_TEXT(text_str(&lab.said), "");
    lab_deinit(&lab);
}

TEST(retention, ends_soon_when_it_is_stopped)
{
    struct lab lab;
    struct wait w;
    int went = 0;

    begin(&lab, 1);
    fill(&lab, 1, 6);
    replicas_retain(lab.sets[0], wait_begin(&w));
    replicas_stop_passes(lab.sets[0]);
    CHECK_EQ(wait_end(&lab, &w), 0);
    for (int32_t p = 0; p < 6; p++)
        went += start_of(&lab, 1, p) > 0;
    CHECK_EQ(went, 0);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

static void put_with_producer(struct lab *lab, struct replica *r)
{
    struct batch_builder b;
    struct text bytes = {0};
    struct batch batch;
    struct replica_appended appended;

    batch_builder_init(&b);
    b.producer_id = 7;
    b.producer_epoch = 0;
    b.base_sequence = 0;
    batch_builder_add(&b, 1000, BYTES_NULL, bytes_of_str(STR("x")), NULL, 0);
    CHECK_EQ(batch_builder_finish(&b, &bytes), 0);
    CHECK(batch_read(bytes_of_str(text_str(&bytes)), &batch, NULL) > 0);
    CHECK_EQ(replica_append(r, &batch, -1, &appended), KERR_NONE);
    batch_builder_deinit(&b);
    text_deinit(&bytes);
}

/* Also of a partition that nobody writes to any more. */
TEST(retention, silent_producers_are_forgotten)
{
    struct lab lab;
    struct log_producer found;
    struct wait w;

    begin(&lab, 1);
    struct replica *r = lab_get(&lab, 3, 0);
    put_with_producer(&lab, r);
    CHECK_EQ(log_producers(replica_log(r), &found, 1), 1);
    replicas_expire_producers(lab.sets[0], wait_begin(&w));
    CHECK_EQ(wait_end(&lab, &w), 0);
    CHECK_EQ(log_producers(replica_log(r), &found, 1), 0);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

TEST(delete_records, only_by_the_leader_and_not_beyond_the_high_watermark)
{
    struct lab lab;
    int64_t low = -7;

    begin(&lab, 1);
    fill(&lab, 1, 1);
    struct replica *r = lab_get(&lab, 1, 0);
    CHECK_EQ(replica_delete_records(r, 3, &low), KERR_OFFSET_OUT_OF_RANGE);
    CHECK_EQ(replica_delete_records(r, -2, &low), KERR_OFFSET_OUT_OF_RANGE);
    CHECK_EQ(replica_delete_records(lab_get(&lab, 2, 0), 0, &low), KERR_POLICY_VIOLATION);
    CHECK_EQ(low, -7);
    CHECK_EQ(replica_delete_records(r, 1, &low), KERR_NONE);
    CHECK_EQ(low, 1);
    CHECK_EQ(replica_delete_records(r, 0, &low), KERR_NONE);
    CHECK_EQ(low, 1);
    CHECK_EQ(replica_delete_records(r, DELETE_TO_HIGH_WATERMARK, &low), KERR_NONE);
    CHECK_EQ(low, 2);
    meta_leader(&lab, 1, 0, 2);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(replica_delete_records(r, 2, &low), KERR_NOT_LEADER_OR_FOLLOWER);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* Who followed until now may have heard of a high watermark that its own disk has not reached. */
TEST(delete_records, not_beyond_what_is_stable)
{
    struct replica_appended appended;
    struct lab lab;
    int64_t low = -7;

    begin(&lab, 1);
    fill(&lab, 1, 1);
    struct replica *r = lab_get(&lab, 1, 0);
    CHECK_EQ(lab_append(r, "c", 1, &appended), KERR_NONE);
    CHECK_EQ(log_stable(replica_log(r)), 2);
    r->replication.high_watermark = 3;
    CHECK_EQ(replica_delete_records(r, 3, &low), KERR_OFFSET_OUT_OF_RANGE);
    CHECK_EQ(replica_delete_records(r, DELETE_TO_HIGH_WATERMARK, &low), KERR_NONE);
    CHECK_EQ(low, 2);
    UNTIL(&lab, log_stable(replica_log(r)) == 3);
    CHECK_EQ(replica_delete_records(r, 3, &low), KERR_NONE);
    CHECK_EQ(low, 3);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}
