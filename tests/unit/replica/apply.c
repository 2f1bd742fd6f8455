/* Images that are applied: replicas come, change, go. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

static const int32_t me[] = {ME}, other[] = {2}, both[] = {ME, 2};

static void begin(struct lab *lab, uint32_t dirs)
{
    lab_init(lab, 1, NULL, 1, dirs);
}

static void end(struct lab *lab, struct text *text)
{
    text_deinit(text);
    lab_deinit(lab);
}

static void restart(struct lab *lab)
{
    CHECK_EQ(lab_stop(lab), 0);
    CHECK_EQ(lab_start(lab), 0);
}

/* ---- come ----------------------------------------------------------------------------------- */

TEST(apply, nothing_is_no_trouble)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 1);
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_EQ(replicas_count(lab.sets[0]), 0);
    restart(&lab);
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab.said.n, 0);
    end(&lab, &text);
}

TEST(apply, new_topic_is_opened_led_and_serves)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 1);
    CHECK_EQ(lab_start(&lab), 0);
    meta_topic(&lab, "orders", 1, 2);
    CHECK(lab_find(&lab, 1, 0) == NULL);
    CHECK_EQ(lab_apply(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 1);
    CHECK_TEXT(replica_topic(r), "orders");
    CHECK_EQ(replica_partition(r), 1);
    CHECK(uuid_equal(replica_topic_id(r), topic_id(1)));
    CHECK_EQ(replica_replication(r)->role, REPLICATION_LEADER);
    CHECK_EQ(log_latest_epoch(replica_log(r)), 0); /* noted, although nothing was appended */
    lab_put(&lab, r, "a");
    lab_put(&lab, r, "b");
    CHECK_TEXT(lab_read(&lab, r, &text), "0:a 1:b ");
    CHECK_EQ(replica_high_watermark(r), 2);
    CHECK_EQ(replica_last_stable_offset(r), 2);
    CHECK_TEXT(lab_names(&lab, 0, &text), "orders-0 orders-1 ");
    CHECK(lab_find(&lab, 1, 2) == NULL);
    CHECK(lab_find(&lab, 2, 0) == NULL);
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab.said.n, 0);
    CHECK_EQ(lab.told.n, 0); /* of internal topics only */
    end(&lab, &text);
}

TEST(apply, topic_grows)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 1);
    meta_topic(&lab, "orders", 1, 1);
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *first = lab_get(&lab, 1, 0);
    lab_put(&lab, first, "a");
    for (int32_t p = 1; p < 70; p++) /* more than work side by side */
        meta_partition(&lab, 1, p, p % 2 == 0 ? me : other, 1, NULL);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK(lab_get(&lab, 1, 0) == first);
    CHECK_TEXT(lab_read(&lab, first, &text), "0:a ");
    CHECK_EQ(replicas_count(lab.sets[0]), 35);
    CHECK(lab_find(&lab, 1, 1) == NULL); /* another node's */
    lab_put(&lab, lab_get(&lab, 1, 68), "b");
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

TEST(apply, what_was_written_is_there_after_a_clean_stop)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 1);
    meta_topic(&lab, "orders", 1, 1);
    CHECK_EQ(lab_start(&lab), 0);
    lab_put(&lab, lab_get(&lab, 1, 0), "a");
    for (int i = 0; i < 3; i++) {
        restart(&lab);
        CHECK(lab.dirs[0]->clean);
        CHECK_EQ(replica_high_watermark(lab_get(&lab, 1, 0)), 1 + i);
        lab_put(&lab, lab_get(&lab, 1, 0), "b");
    }
    CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 0), &text), "0:a 1:b 2:b 3:b ");
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab.said.n, 0);
    end(&lab, &text);
}

/* ---- change --------------------------------------------------------------------------------- */

TEST(apply, settings_of_the_topic_act_at_once)
{
    struct lab lab;
    struct text text = {0};
    struct validate_rules rules;

    begin(&lab, 1);
    meta_topic(&lab, "orders", 1, 1);
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 0);
    replica_validate_rules(r, 9, &rules);
    CHECK_EQ(rules.batch_bytes_max, 1048588);
    CHECK_EQ(rules.codec, -1);
    CHECK_EQ(rules.produce_version, 9);
    CHECK(!rules.keys_required && !rules.log_append_time);
    CHECK_EQ(rules.now_ms, io_wall_ms(lab.io));
    meta_config(&lab, "orders", "max.message.bytes", "77");
    meta_config(&lab, "orders", "compression.type", "zstd");
    meta_config(&lab, "orders", "cleanup.policy", "delete, compact");
    meta_config(&lab, "orders", "message.timestamp.type", "LogAppendTime");
    meta_config(&lab, "orders", "segment.bytes", "1048576");
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK(lab_get(&lab, 1, 0) == r);
    replica_validate_rules(r, 3, &rules);
    CHECK_EQ(rules.batch_bytes_max, 77);
    CHECK_EQ(rules.codec, CODEC_ZSTD);
    CHECK_EQ(rules.level, 3);
    CHECK(rules.keys_required && rules.log_append_time);
    CHECK_EQ(config_i64(replica_settings(r), TOPIC_SEGMENT_BYTES), 1048576);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

TEST(apply, settings_of_the_broker_act_at_once)
{
    struct lab lab;
    struct text text = {0};
    struct validate_rules rules;

    begin(&lab, 1);
    meta_topic(&lab, "orders", 1, 1);
    meta_topic(&lab, "own", 2, 1);
    meta_config(&lab, "own", "max.message.bytes", "77");
    CHECK_EQ(lab_start(&lab), 0);
    struct config *next = config_copy(lab.broker);
    CHECK_EQ(config_set(next, CONFIG_DYNAMIC_BROKER, STR("message.max.bytes"), STR("99"), NULL), 0);
    replicas_set_broker(lab.sets[0], next);
    config_free(lab.broker);
    lab.broker = next;
    replica_validate_rules(lab_get(&lab, 1, 0), 9, &rules);
    CHECK_EQ(rules.batch_bytes_max, 99);
    replica_validate_rules(lab_get(&lab, 2, 0), 9, &rules);
    CHECK_EQ(rules.batch_bytes_max, 77);
    meta_topic(&lab, "later", 3, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    replica_validate_rules(lab_get(&lab, 3, 0), 9, &rules);
    CHECK_EQ(rules.batch_bytes_max, 99);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

static void set_min_isr(struct lab *lab, const char *value)
{
    struct config *next = config_copy(lab->broker);

    CHECK_EQ(config_set(next, CONFIG_DYNAMIC_BROKER, STR("min.insync.replicas"), str_of(value),
                        NULL), 0);
    replicas_set_broker(lab->sets[0], next);
    config_free(lab->broker);
    lab->broker = next;
}

/* W2, and where the setting may come from: topic, broker, and more than there are replicas. */
TEST(apply, min_insync_replicas_acts_at_once)
{
    struct lab lab;
    struct text text = {0};
    struct replica_appended a;

    begin(&lab, 1);
    meta_topic(&lab, "orders", 1, 0);
    meta_partition(&lab, 1, 0, both, 2, NULL);
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 0);
    CHECK_EQ(lab_append(r, "a", -1, &a), KERR_NONE);
    lab_pass(&lab, SEC);
    CHECK_EQ(replica_high_watermark(r), 0); /* 2 has not got it */
    set_min_isr(&lab, "2");
    meta_isr(&lab, 1, 0, me, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(lab_append(r, "b", -1, &a), KERR_NOT_ENOUGH_REPLICAS);
    CHECK_EQ(lab_append(r, "b", 1, &a), KERR_NONE);
    lab_pass(&lab, SEC);
    CHECK_EQ(replica_high_watermark(r), 0); /* 1 alone is too few */
    set_min_isr(&lab, "1");
    CHECK_EQ(replica_high_watermark(r), 2); /* and now it is not */
    meta_config(&lab, "orders", "min.insync.replicas", "7");
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(lab_append(r, "c", -1, &a), KERR_NOT_ENOUGH_REPLICAS);
    meta_isr(&lab, 1, 0, both, 2);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(lab_append(r, "c", -1, &a), KERR_NONE); /* all that there are */
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

TEST(apply, answer_tells_the_time_of_the_log_where_the_topic_wants_it)
{
    struct lab lab;
    struct text text = {0}, bytes = {0};
    struct replica_appended a;
    struct batch_builder b;
    struct batch batch;

    begin(&lab, 1);
    meta_topic(&lab, "orders", 1, 1);
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 0);
    CHECK_EQ(lab_append(r, "a", 1, &a), KERR_NONE);
    CHECK_EQ(a.append_time_ms, -1);
    batch_builder_init(&b);
    b.producer_id = 5;
    b.producer_epoch = 0;
    b.base_sequence = 0;
    batch_builder_add(&b, 2000, BYTES_NULL, BYTES_NULL, NULL, 0);
    CHECK_EQ(batch_builder_finish(&b, &bytes), 0);
    batch_builder_deinit(&b);
    CHECK(batch_read(bytes_of_str(text_str(&bytes)), &batch, NULL) > 0);
    CHECK_EQ(replica_append(r, &batch, -1, &a), KERR_NONE);
    CHECK_EQ(a.base_offset, 1);
    CHECK_EQ(a.append_time_ms, -1);
    CHECK(!a.duplicate);
    CHECK_EQ(replica_append(r, &batch, -1, &a), KERR_NONE);
    CHECK(a.duplicate);
    CHECK_EQ(a.base_offset, 1);
    CHECK_EQ(a.append_time_ms, 2000);
    meta_config(&lab, "orders", "message.timestamp.type", "LogAppendTime");
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(lab_append(r, "b", 1, &a), KERR_NONE);
    CHECK_EQ(a.append_time_ms, 1000); /* what validation has stamped into the batch */
    CHECK_EQ(a.base_offset, 2);
    CHECK_EQ(a.log_start_offset, 0);
    CHECK_EQ(lab_stop(&lab), 0);
    text_deinit(&bytes);
    end(&lab, &text);
}

TEST(apply, coordinators_hear_of_leadership_and_commits)
{
    struct lab lab;
    struct text text = {0};
    struct replica_appended a;

    begin(&lab, 1);
    meta_topic(&lab, "__consumer_offsets", 1, 1);
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 0);
    CHECK_TEXT(text_str(&lab.told), "leads __consumer_offsets-0 in 0; ");
    lab_put(&lab, r, "a");
    CHECK_TEXT(text_str(&lab.told), "leads __consumer_offsets-0 in 0; __consumer_offsets-0 to 1; ");
    text_clear(&lab.told);
    meta_leader(&lab, 1, 0, ME); /* the same leader, another epoch: everything is loaded anew */
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_TEXT(text_str(&lab.told),
               "leaves __consumer_offsets-0 in -1; leads __consumer_offsets-0 in 1; ");
    text_clear(&lab.told);
    meta_replicas(&lab, 1, 0, both, 2);
    meta_leader(&lab, 1, 0, 2);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_TEXT(text_str(&lab.told), "leaves __consumer_offsets-0 in -1; ");
    CHECK_EQ(lab_append(r, "b", 1, &a), KERR_NOT_LEADER_OR_FOLLOWER);
    text_clear(&lab.told);
    meta_leader(&lab, 1, 0, ME);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(replica_replication(r)->leader_epoch, 3);
    CHECK_EQ(log_latest_epoch(replica_log(r)), 3);
    CHECK_TEXT(text_str(&lab.told), "leads __consumer_offsets-0 in 3; ");
    text_clear(&lab.told);
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_TEXT(text_str(&lab.told), "leaves __consumer_offsets-0 in -1; ");
    end(&lab, &text);
}

/* ---- go ------------------------------------------------------------------------------------- */

TEST(apply, deleted_topic_is_gone_and_its_files_follow)
{
    struct lab lab;
    struct text text = {0};
    struct replica_appended a;

    begin(&lab, 1);
    meta_topic(&lab, "orders", 1, 2);
    meta_topic(&lab, "stays", 2, 1);
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 0);
    lab_put(&lab, r, "a");
    replica_hold(r);
    meta_remove(&lab, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK(lab_find(&lab, 1, 0) == NULL);
    CHECK_EQ(replicas_count(lab.sets[0]), 1);
    CHECK(replica_log(r) == NULL); /* the struct is still there for who holds it */
    CHECK_TEXT(replica_topic(r), "orders");
    CHECK_EQ(lab_append(r, "b", 1, &a), KERR_NOT_LEADER_OR_FOLLOWER);
    replica_release(r);
    CHECK_TEXT(lab_names(&lab, 0, &text), "orders-0.*-delete orders-1.*-delete stays-0 ");
    lab_pass(&lab, 70 * SEC);
    CHECK_TEXT(lab_names(&lab, 0, &text), "stays-0 ");
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

TEST(apply, partition_that_moves_to_another_node_is_deleted)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 1);
    meta_topic(&lab, "orders", 1, 2);
    CHECK_EQ(lab_start(&lab), 0);
    lab_put(&lab, lab_get(&lab, 1, 0), "a");
    meta_replicas(&lab, 1, 0, other, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK(lab_find(&lab, 1, 0) == NULL);
    lab_put(&lab, lab_get(&lab, 1, 1), "a");
    meta_replicas(&lab, 1, 0, me, 1); /* and comes back, empty */
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 0), &text), "");
    CHECK_EQ(log_start(replica_log(lab_get(&lab, 1, 0))), 0);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

/* In one step, so that both are known at once: the old directory has to be out of the way. The two
 * may belong to different shards. */
TEST(apply, topic_is_made_again_under_its_name)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct lab lab;
        struct text text = {0};
        lab_init(&lab, seed, NULL, 1 + (uint32_t)(seed % 4), 1 + (uint32_t)(seed % 3));
        meta_topic(&lab, "orders", 1, 5);
        CHECK_EQ(lab_start(&lab), 0);
        for (uint8_t id = 2; id < 6; id++) {
            lab_put(&lab, lab_get(&lab, id - 1, 4), "old");
            meta_remove(&lab, id - 1);
            meta_topic(&lab, "orders", id, 5);
            CHECK_EQ(lab_apply(&lab), 0);
            CHECK(lab_find(&lab, id - 1, 4) == NULL);
            CHECK_TEXT(lab_read(&lab, lab_get(&lab, id, 4), &text), "");
            lab_put(&lab, lab_get(&lab, id, 4), "new");
            CHECK_TEXT(lab_read(&lab, lab_get(&lab, id, 4), &text), "0:new ");
            meta_remove(&lab, id); /* told to nobody: the next round removes it by the way */
            meta_topic(&lab, "orders", 100 + id, 1);
            CHECK_EQ(lab_apply(&lab), 0);
            meta_remove(&lab, 100 + id);
            meta_topic(&lab, "orders", id, 5);
            CHECK_EQ(lab_apply(&lab), 0);
        }
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK_EQ(lab.said.n, 0);
        end(&lab, &text);
    }
}

/* A new topic must not begin where one of its name had come to. */
TEST(apply, checkpoints_of_an_older_topic_say_nothing_about_a_new_one)
{
    struct lab lab;
    struct text text = {0};
    struct wait w;

    begin(&lab, 1);
    meta_topic(&lab, "orders", 1, 1);
    CHECK_EQ(lab_start(&lab), 0);
    struct replica *r = lab_get(&lab, 1, 0);
    for (int i = 0; i < 4; i++)
        lab_put(&lab, r, "old");
    log_raise_start(replica_log(r), 3, wait_begin(&w));
    CHECK_EQ(wait_end(&lab, &w), 0);
    restart(&lab);
    CHECK_EQ(log_start(replica_log(lab_get(&lab, 1, 0))), 3);
    meta_remove(&lab, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    meta_topic(&lab, "orders", 2, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    r = lab_get(&lab, 2, 0);
    CHECK_EQ(log_start(replica_log(r)), 0);
    CHECK_EQ(replica_high_watermark(r), 0);
    lab_put(&lab, r, "new");
    CHECK_TEXT(lab_read(&lab, r, &text), "0:new ");
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

/* ---- directories ---------------------------------------------------------------------------- */

static uint32_t dir_of(struct lab *lab, const char *name)
{
    struct text text = {0};
    uint32_t found = UINT32_MAX;

    for (uint32_t d = 0; d < lab->dir_count; d++) {
        if (strstr(lab_names(lab, d, &text).p, name) != NULL) {
            CHECK_EQ(found, UINT32_MAX);
            found = d;
        }
    }
    text_deinit(&text);
    return found;
}

TEST(apply, new_partitions_go_where_the_fewest_are_or_where_metadata_says)
{
    struct lab lab;
    struct text text = {0};
    struct uuid third = topic_id(202);

    begin(&lab, 3);
    CHECK_EQ(lab_start(&lab), 0);
    meta_topic(&lab, "named", 1, 0);
    for (int32_t p = 0; p < 3; p++)
        meta_partition(&lab, 1, p, me, 1, &third);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_TEXT(lab_names(&lab, 2, &text), "named-0 named-1 named-2 ");
    meta_topic(&lab, "few", 2, 6);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_TEXT(lab_names(&lab, 0, &text), "few-0 few-2 few-4 ");
    CHECK_TEXT(lab_names(&lab, 1, &text), "few-1 few-3 few-5 ");
    meta_remove(&lab, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    meta_topic(&lab, "fewest", 3, 1);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(dir_of(&lab, "fewest-0"), 2);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

TEST(apply, partition_stays_where_it_lies)
{
    struct lab lab;
    struct text text = {0};
    struct uuid first = topic_id(200);

    begin(&lab, 3);
    meta_topic(&lab, "orders", 1, 0);
    for (int32_t p = 0; p < 4; p++)
        meta_partition(&lab, 1, p, me, 1, &first);
    CHECK_EQ(lab_start(&lab), 0);
    for (int32_t p = 0; p < 4; p++)
        lab_put(&lab, lab_get(&lab, 1, p), "a");
    CHECK_EQ(lab_stop(&lab), 0);
    /* The metadata now names no directory, and two others are empty. */
    image_unref(lab.image);
    lab.image = image_empty();
    meta_topic(&lab, "orders", 1, 5);
    CHECK_EQ(lab_start(&lab), 0);
    CHECK_TEXT(lab_names(&lab, 0, &text), "orders-0 orders-1 orders-2 orders-3 ");
    for (int32_t p = 0; p < 4; p++)
        CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, p), &text), "0:a ");
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab.said.n, 0);
    end(&lab, &text);
}

static void put_partition(struct lab *lab, const char *path, uint8_t id)
{
    struct text text = {0};
    char letters[UUID_TEXT_BYTES], file[300];

    snprintf(file, sizeof file, "%s/partition.metadata", path);
    text_printf(&text, "version: 0\ntopic_id: %s", uuid_text(topic_id(id), letters));
    CHECK_EQ(sim_disk_put(lab->node, file, bytes_of_str(text_str(&text))), 0);
    text_deinit(&text);
}

TEST(apply, directories_that_metadata_does_not_give_us_are_set_aside)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct lab lab;
        struct text text = {0};
        lab_init(&lab, 7, NULL, shards, 2);
        meta_topic(&lab, "orders", 1, 3);
        meta_partition(&lab, 1, 3, other, 1, NULL);
        CHECK_EQ(lab_start(&lab), 0);
        lab_put(&lab, lab_get(&lab, 1, 0), "a");
        CHECK_EQ(lab_stop(&lab), 0);
        put_partition(&lab, "/data0/orders-3", 1);   /* another node's */
        put_partition(&lab, "/data0/orders-7", 1);   /* the topic has no such partition */
        put_partition(&lab, "/data1/unknown-0", 9);
        put_partition(&lab, "/data1/old-1", 8);      /* of a topic whose name is in use again */
        CHECK_EQ(sim_disk_mkdir(lab.node, "/data1/orders-9"), 0); /* no metadata in it */
        CHECK_EQ(sim_disk_mkdir(lab.node, "/data1/nothing-9"), 0);
        meta_topic(&lab, "old", 2, 2);
        CHECK_EQ(lab_start(&lab), 0);
        CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 0), &text), "0:a ");
        lab_put(&lab, lab_get(&lab, 2, 1), "new");
        struct text names = {0};
        text_add_str(&names, lab_names(&lab, 0, &text));
        text_add_str(&names, lab_names(&lab, 1, &text));
        CHECK(strstr(names.p, "orders-3.*-stray orders-7.*-stray ") != NULL);
        CHECK(strstr(names.p, "nothing-9.*-stray ") != NULL);
        CHECK(strstr(names.p, "old-1.*-stray ") != NULL);
        CHECK(strstr(names.p, "orders-9.*-stray ") != NULL);
        CHECK(strstr(names.p, "unknown-0.*-stray ") != NULL);
        CHECK(strstr(lab.said.p, "/data1/unknown-0 is not a partition that the metadata gives to "
                                 "this node: it is set aside as unknown-0.") != NULL);
        size_t said = lab.said.n;
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK_EQ(lab_start(&lab), 0); /* once */
        CHECK_EQ(lab.said.n, said);
        CHECK_TEXT(lab_read(&lab, lab_get(&lab, 2, 1), &text), "0:new ");
        CHECK_EQ(lab_stop(&lab), 0);
        text_deinit(&names);
        end(&lab, &text);
    }
}

TEST(apply, stray_name_fits_a_file_name_and_keeps_its_partition)
{
    struct lab lab;
    struct text text = {0};
    char path[300] = "/data0/";

    begin(&lab, 1);
    memset(path + 7, 'x', 244);
    strcpy(path + 251, "-12345");
    put_partition(&lab, path, 9);
    CHECK_EQ(lab_start(&lab), 0);
    struct str name = lab_names(&lab, 0, &text);
    CHECK_EQ(name.n, 255 - 32 + 1 + 1);
    CHECK(strstr(name.p, "x-12345.*-stray ") != NULL);
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

TEST(apply, one_partition_in_two_directories_is_refused)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 2);
    meta_topic(&lab, "orders", 1, 1);
    put_partition(&lab, "/data0/orders-0", 1);
    put_partition(&lab, "/data1/orders-0", 1);
    CHECK_EQ(lab_start(&lab), -EEXIST);
    CHECK_TEXT(text_str(&lab.said), "/data0/orders-0 and /data1/orders-0 are the same partition: "
                                    "move one of them out of the log directories\n");
    (void)lab_stop(&lab);
    CHECK_TEXT(lab_names(&lab, 1, &text), "orders-0 ");
    end(&lab, &text);
}

/* ---- trouble -------------------------------------------------------------------------------- */

TEST(apply, log_that_cannot_be_opened_takes_its_directory_offline)
{
    struct lab lab;
    struct text text = {0};

    begin(&lab, 2);
    meta_topic(&lab, "good", 1, 1);
    meta_topic(&lab, "orders", 2, 1);
    put_partition(&lab, "/data1/good-0", 1);
    put_partition(&lab, "/data0/orders-0", 2);
    CHECK_EQ(sim_disk_mkdir(lab.node, "/data0/orders-0/00000000000000000000.log"), 0);
    CHECK_EQ(lab_start(&lab), 0);
    CHECK(strstr(lab.said.p, "log directory /data0 is offline: cannot open orders-0: ") != NULL);
    CHECK(lab_find(&lab, 2, 0) == NULL);
    CHECK_EQ(replica_absence(lab.sets[0], topic_id(2), 0), KERR_KAFKA_STORAGE_ERROR);
    CHECK_EQ(replica_absence(lab.sets[0], topic_id(3), 0), KERR_NOT_LEADER_OR_FOLLOWER);
    CHECK_EQ(replicas_offline(lab.sets[0]), 1);
    lab_put(&lab, lab_get(&lab, 1, 0), "a");
    meta_config(&lab, "orders", "max.message.bytes", "77"); /* it stays as it is */
    CHECK_EQ(lab_apply(&lab), 0);
    meta_remove(&lab, 2);
    CHECK_EQ(lab_apply(&lab), 0);
    CHECK_EQ(replicas_offline(lab.sets[0]), 0);
    CHECK_EQ(lab_stop(&lab), ERR_OFFLINE);
    CHECK_EQ(lab_start(&lab), 0);
    CHECK(!lab.dirs[0]->clean); /* so that this start has looked at every log there */
    CHECK(lab.dirs[1]->clean);
    CHECK_TEXT(lab_read(&lab, lab_get(&lab, 1, 0), &text), "0:a ");
    CHECK_EQ(lab_stop(&lab), 0);
    end(&lab, &text);
}

/* A short life with every kind of work in it. Returns the first trouble. */
static int64_t live(struct lab *lab)
{
    struct replica_appended a;
    int64_t result = lab_start(lab);

    if (lab->sets[0] == NULL)
        return result;
    for (uint8_t id = 1; result == 0 && id < 4; id++) {
        struct replica *r = lab_find(lab, id, 0);
        if (r == NULL || lab_append(r, "a", -1, &a) != KERR_NONE)
            result = -EIO;
        lab_pass(lab, 200 * MS);
        meta_remove(lab, id);
        meta_topic(lab, "orders", id + 1, 2);
        int64_t applied = lab_apply(lab);
        result = result < 0 ? result : applied;
    }
    int64_t stopped = lab_stop(lab);
    return result < 0 ? result : stopped;
}

TEST(apply, every_single_fault_of_the_disk_is_survived)
{
    uint64_t last = 0;

    for (uint64_t n = 1; n < 2000; n++) {
        struct lab lab;
        struct text text = {0};
        begin(&lab, 2);
        meta_topic(&lab, "orders", 1, 2);
        put_partition(&lab, "/data1/stray-0", 77);
        sim_node_start(lab.node, 1);
        sim_fail_at(lab.node, n, -EIO);
        int64_t result = live(&lab);
        uint64_t failed = 0;
        for (int k = 0; k < SIM_KINDS; k++)
            failed += sim_node_counters(lab.node)->failed[k];
        if (failed == 0) {
            last = n;
            CHECK_EQ(result, 0);
        }
        sim_node_kill(lab.node);
        lab_bury(&lab);
        CHECK_EQ(lab_start(&lab), 0); /* and the next start finds its way */
        CHECK_EQ(lab_stop(&lab), 0);
        end(&lab, &text);
        if (last != 0)
            break;
    }
    CHECK(last > 100);
}
