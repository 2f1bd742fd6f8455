/* Clients that move partitions between the log directories of a broker. */
#include "lab.h"

#include <stdio.h>

#include "protocol/alter_replica_log_dirs.h"
#include "protocol/fetch.h"
#include "protocol/produce.h"

static void begin(struct lab *lab, struct client *c, uint32_t shards)
{
    lab_init(lab, 9, NULL, shards);
    lab_set(lab, "log.dirs", "/data/a,/data/b,/data/c");
    CHECK_EQ(lab_start(lab), 0);
    client_open(lab, c, 9092);
}

static void end(struct lab *lab, struct client *c)
{
    CHECK_EQ(lab_stop(lab), 0);
    client_end(c);
    lab_deinit(lab);
}

/* Ask to put one partition into that directory. */
static enum kerr move(struct client *c, const char *topic, int32_t partition, const char *path)
{
    struct alter_replica_log_dirs_request_dirs_topics t;
    struct alter_replica_log_dirs_request_dirs d;
    struct alter_replica_log_dirs_request m;

    alter_replica_log_dirs_request_init(&m);
    alter_replica_log_dirs_request_dirs_init(&d);
    alter_replica_log_dirs_request_dirs_topics_init(&t);
    t.name = str_of(topic);
    t.partitions = &partition;
    t.partitions_count = 1;
    d.path = str_of(path);
    d.topics = &t;
    d.topics_count = 1;
    m.dirs = &d;
    m.dirs_count = 1;
    const struct alter_replica_log_dirs_response *a = client_ask(c, API_ALTER_REPLICA_LOG_DIRS, 2, &m);
    CHECK_EQ(a->results_count, 1);
    CHECK_TEXT(a->results[0].topic_name, topic);
    CHECK_EQ(a->results[0].partitions_count, 1);
    CHECK_EQ(a->results[0].partitions[0].partition_index, partition);
    return (enum kerr)a->results[0].partitions[0].error_code;
}

static const char *path_of(char dir)
{
    static char path[8];

    snprintf(path, sizeof path, "/data/%c", dir);
    return path;
}

TEST(broker_moves, partition_moves_while_it_is_written)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct lab lab;
        struct client c;
        int32_t acknowledged = 0;

        begin(&lab, &c, shards);
        struct uuid topic = lab_topic(&lab, &c, "t", 2);
        char from = lab_dir_of(&lab, "t", 0), to = from == 'a' ? 'c' : 'a';
        for (; acknowledged < 20; acknowledged += 2)
            CHECK_EQ(lab_produce(&c, topic, 0, 2), acknowledged);
        CHECK_EQ(move(&c, "t", 0, path_of(to)), KERR_NONE);
        CHECK_EQ(move(&c, "t", 0, path_of(to)), KERR_NONE);
        for (int i = 0; i < 400 && lab_dir_of(&lab, "t", 0) != to; i++) {
            const void *m = produce_of(&c.arena, topic, 0, -1, batch_of(&c.arena, 2));
            const struct produce_response *a = client_ask(&c, API_PRODUCE, PRODUCE_VERSION, m);
            int16_t error = a->responses[0].partition_responses[0].error_code;
            CHECK(error == KERR_NONE || error == KERR_NOT_LEADER_OR_FOLLOWER);
            acknowledged += error == KERR_NONE ? 2 : 0;
        }
        lab_pass(&lab, SEC);
        CHECK_EQ(lab_dir_of(&lab, "t", 0), to); /* in the one only */
        CHECK(acknowledged > 20);
        CHECK_EQ(lab_produce(&c, topic, 0, 2), acknowledged);
        for (int life = 0; life < 2; life++) {
            const void *m = fetch_of(&c.arena, topic, 0, 0, 1, 0);
            CHECK_EQ(records_in(fetched(client_ask(&c, API_FETCH, FETCH_VERSION, m))->records), acknowledged + 2);
            CHECK_EQ(lab_dir_of(&lab, "t", 0), to);
            if (life == 1)
                break;
            lab_kill(&lab);
            client_end(&c);
            CHECK_EQ(lab_start(&lab), 0);
            client_open(&lab, &c, 9092);
        }
        end(&lab, &c);
    }
}

TEST(broker_moves, what_cannot_be_moved_is_told)
{
    struct lab lab;
    struct client c;

    begin(&lab, &c, 2);
    lab_topic(&lab, &c, "t", 2);
    CHECK_EQ(move(&c, "t", 0, "/data/nowhere"), KERR_LOG_DIR_NOT_FOUND);
    CHECK_EQ(move(&c, "t", 2, "/data/a"), KERR_REPLICA_NOT_AVAILABLE);
    CHECK_EQ(move(&c, "unknown", 0, "/data/a"), KERR_REPLICA_NOT_AVAILABLE);
    CHECK_EQ(move(&c, "unknown", 0, "/data/nowhere"), KERR_LOG_DIR_NOT_FOUND);
    CHECK_EQ(move(&c, "t", 0, path_of(lab_dir_of(&lab, "t", 0))), KERR_NONE); /* it lies there */
    end(&lab, &c);
}

/* As a Kafka broker: what was refused because it is not there yet is made there when it comes. */
TEST(broker_moves, new_topic_is_made_where_it_was_wanted)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct lab lab;
        struct client c;

        begin(&lab, &c, shards);
        for (int32_t p = 0; p < 6; p++)
            CHECK_EQ(move(&c, "wanted", p, "/data/b"), KERR_REPLICA_NOT_AVAILABLE);
        struct uuid topic = lab_topic(&lab, &c, "wanted", 6);
        for (int32_t p = 0; p < 6; p++) {
            CHECK_EQ(lab_dir_of(&lab, "wanted", p), 'b');
            CHECK_EQ(lab_produce(&c, topic, p, 1), 0);
        }
        end(&lab, &c);
    }
}
