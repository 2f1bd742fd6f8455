/* Old records: DeleteRecords, retention, and when checkpoints are written. */
#include "lab.h"

#include "protocol/create_topics.h"
#include "protocol/delete_records.h"
#include "protocol/fetch.h"
#include "protocol/list_offsets.h"

#define DELETE_VERSION 2
#define STARTS "/data/a/log-start-offset-checkpoint"
#define POINTS "/data/a/recovery-point-offset-checkpoint"
#define MARKS "/data/a/replication-offset-checkpoint"

static const void *delete_of(struct arena *arena, const char *topic, int32_t partition, int64_t offset)
{
    struct delete_records_request *m = arena_take(arena, sizeof *m);

    delete_records_request_init(m);
    m->timeout_ms = 30000;
    m->topics = arena_take(arena, sizeof *m->topics);
    m->topics_count = 1;
    delete_records_request_topics_init(m->topics);
    m->topics->name = str_of(topic);
    m->topics->partitions = arena_take(arena, sizeof *m->topics->partitions);
    m->topics->partitions_count = 1;
    delete_records_request_topics_partitions_init(m->topics->partitions);
    m->topics->partitions->partition_index = partition;
    m->topics->partitions->offset = offset;
    return m;
}

static const struct delete_records_response_topics_partitions *deleted(const void *answer)
{
    const struct delete_records_response *a = answer;

    CHECK_EQ(a->topics_count, 1);
    CHECK_EQ(a->topics[0].partitions_count, 1);
    return &a->topics[0].partitions[0];
}

/* The low watermark, or the error made negative. */
static int64_t delete_records(struct client *c, const char *topic, int32_t partition, int64_t offset)
{
    const struct delete_records_response_topics_partitions *p =
        deleted(client_ask(c, API_DELETE_RECORDS, DELETE_VERSION, delete_of(&c->arena, topic, partition, offset)));

    CHECK_EQ(p->partition_index, partition);
    CHECK((p->error_code != KERR_NONE) == (p->low_watermark == -1));
    return p->error_code != KERR_NONE ? -p->error_code : p->low_watermark;
}

static int64_t list_offset(struct client *c, const char *topic, int32_t partition, int64_t timestamp)
{
    struct list_offsets_request m;
    struct list_offsets_request_topics t;
    struct list_offsets_request_topics_partitions p;

    list_offsets_request_init(&m);
    list_offsets_request_topics_init(&t);
    list_offsets_request_topics_partitions_init(&p);
    p.partition_index = partition;
    p.timestamp = timestamp;
    t.name = str_of(topic);
    t.partitions = &p;
    t.partitions_count = 1;
    m.replica_id = -1;
    m.topics = &t;
    m.topics_count = 1;
    const struct list_offsets_response *a = client_ask(c, API_LIST_OFFSETS, 9, &m);
    CHECK_EQ(a->topics[0].partitions[0].error_code, KERR_NONE);
    return a->topics[0].partitions[0].offset;
}

static int64_t earliest(struct client *c, const char *topic, int32_t partition)
{
    return list_offset(c, topic, partition, -2);
}

static struct uuid topic_with(struct client *c, const char *name, const char *key, const char *value)
{
    struct create_topics_request m;
    struct create_topics_request_topics t;
    struct create_topics_request_topics_configs config;

    create_topics_request_init(&m);
    create_topics_request_topics_init(&t);
    create_topics_request_topics_configs_init(&config);
    config.name = str_of(key);
    config.value = str_of(value);
    t.name = str_of(name);
    t.num_partitions = 1;
    t.replication_factor = 1;
    t.configs = &config;
    t.configs_count = 1;
    m.topics = &t;
    m.topics_count = 1;
    const struct create_topics_response *a = client_ask(c, API_CREATE_TOPICS, 7, &m);
    CHECK_EQ(a->topics[0].error_code, KERR_NONE);
    return a->topics[0].topic_id;
}

static struct text file_of(struct lab *lab, const char *path)
{
    struct text out = {0};

    (void)sim_disk_get(lab->node, path, &out);
    return out;
}

#define CHECK_FILE(lab, path, expected)             \
    do {                                            \
        struct text file_ = file_of(lab, path);     \
        CHECK_TEXT(text_str(&file_), expected);     \
        text_deinit(&file_);                        \
    } while (0)

/* ---- DeleteRecords --------------------------------------------------------------------------- */

TEST(broker_delete_records, the_start_is_raised_and_stays_so_after_a_power_cut)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 21, NULL, 3);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", 4);
    for (int32_t p = 0; p < 4; p++) {
        for (int i = 0; i < 5; i++)
            lab_produce(&c, topic, p, 2);
        CHECK_EQ(delete_records(&c, "t", p, 3 + p), 3 + p);
        CHECK_EQ(earliest(&c, "t", p), 3 + p);
    }
    CHECK_EQ(delete_records(&c, "t", 1, 2), 4); /* it never goes back */
    CHECK_EQ(delete_records(&c, "t", 2, -1), 10);
    sim_node_power_cut(lab.node);
    client_end(&c);
    lab_kill(&lab);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    CHECK_EQ(earliest(&c, "t", 0), 3);
    CHECK_EQ(earliest(&c, "t", 1), 4);
    CHECK_EQ(earliest(&c, "t", 2), 10);
    CHECK_EQ(earliest(&c, "t", 3), 6);
    CHECK_EQ(list_offset(&c, "t", 2, -1), 10);
    const struct fetch_response_responses_partitions *f =
        fetched(client_ask(&c, API_FETCH, FETCH_VERSION, fetch_of(&c.arena, topic, 3, 5, 1, 0)));
    CHECK_EQ(f->error_code, KERR_OFFSET_OUT_OF_RANGE);
    f = fetched(client_ask(&c, API_FETCH, FETCH_VERSION, fetch_of(&c.arena, topic, 3, 6, 1, 0)));
    CHECK_EQ(f->error_code, KERR_NONE);
    CHECK_EQ(f->log_start_offset, 6);
    CHECK_EQ(records_in(f->records), 4);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

TEST(broker_delete_records, what_is_refused_has_kafkas_error)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 22, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    lab_produce(&c, lab_topic(&lab, &c, "t", 1), 0, 2);
    (void)topic_with(&c, "both", "cleanup.policy", "compact,delete");
    (void)topic_with(&c, "compacted", "cleanup.policy", "compact");
    (void)lab_topic(&lab, &c, "__consumer_offsets", 1);
    CHECK_EQ(delete_records(&c, "t", 0, 3), -KERR_OFFSET_OUT_OF_RANGE);
    CHECK_EQ(delete_records(&c, "t", 0, -2), -KERR_OFFSET_OUT_OF_RANGE);
    CHECK_EQ(delete_records(&c, "t", 1, 0), -KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(delete_records(&c, "t", -1, 0), -KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(delete_records(&c, "nowhere", 0, 0), -KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(delete_records(&c, "__consumer_offsets", 0, 0), -KERR_INVALID_TOPIC_EXCEPTION);
    CHECK_EQ(delete_records(&c, "compacted", 0, 0), -KERR_POLICY_VIOLATION);
    CHECK_EQ(delete_records(&c, "both", 0, 0), 0);
    CHECK_EQ(earliest(&c, "t", 0), 0);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

#define MANY 20

/* Those that come while the checkpoint is written share the next write. */
TEST(broker_delete_records, many_at_once_cost_few_writes)
{
    struct lab lab;
    struct client c, many[MANY];

    lab_init(&lab, 23, NULL, 2);
    lab_set(&lab, "replica.high.watermark.checkpoint.interval.ms", "1000000");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", MANY);
    for (int32_t p = 0; p < MANY; p++) {
        lab_produce(&c, topic, p, 3);
        client_open(&lab, &many[p], 9092);
    }
    uint64_t before = sim_node_counters(lab.node)->done[SIM_RENAME];
    for (int32_t p = 0; p < MANY; p++)
        client_post(&many[p], API_DELETE_RECORDS, DELETE_VERSION, delete_of(&many[p].arena, "t", p, 2));
    for (int32_t p = 0; p < MANY; p++) {
        const void *a = client_answer(&many[p], API_DELETE_RECORDS, DELETE_VERSION, many[p].correlation);
        CHECK_EQ(deleted(a)->low_watermark, 2);
        client_end(&many[p]);
    }
    /* Besides, each partition's leader epochs are saved. */
    uint64_t writes = sim_node_counters(lab.node)->done[SIM_RENAME] - before;
    CHECK(writes <= MANY + 6);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* ---- retention ------------------------------------------------------------------------------- */

TEST(broker_retention, records_go_when_they_are_too_old)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 24, NULL, 2);
    lab_set(&lab, "log.retention.check.interval.ms", "60000");
    lab_set(&lab, "connections.max.idle.ms", "10000000");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = topic_with(&c, "short", "retention.ms", "3600000");
    lab_produce(&c, topic, 0, 5);
    lab_produce(&c, lab_topic(&lab, &c, "long", 1), 0, 5);
    lab_pass(&lab, 3500 * SEC);
    CHECK_EQ(earliest(&c, "short", 0), 0);
    lab_pass(&lab, 200 * SEC);
    CHECK_EQ(earliest(&c, "short", 0), 5);
    CHECK_EQ(earliest(&c, "long", 0), 0);
    CHECK_EQ(lab_produce(&c, topic, 0, 1), 5);
    CHECK_EQ(lab_stop(&lab), 0);
    client_end(&c);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    CHECK_EQ(earliest(&c, "short", 0), 5);
    CHECK_EQ(list_offset(&c, "short", 0, -1), 6);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

TEST(broker_retention, the_first_check_comes_after_the_initial_delay)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 25, NULL, 1);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    lab_produce(&c, topic_with(&c, "t", "retention.bytes", "0"), 0, 5);
    lab_pass(&lab, 29 * SEC);
    CHECK_EQ(earliest(&c, "t", 0), 0);
    lab_pass(&lab, 2 * SEC);
    CHECK_EQ(earliest(&c, "t", 0), 5);
    lab_produce(&c, topic_with(&c, "later", "retention.bytes", "0"), 0, 5);
    lab_pass(&lab, 290 * SEC);
    CHECK_EQ(earliest(&c, "later", 0), 0);
    lab_pass(&lab, 20 * SEC);
    CHECK_EQ(earliest(&c, "later", 0), 5);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

TEST(broker_retention, compacted_topics_keep_their_records)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 26, NULL, 1);
    lab_set(&lab, "log.retention.bytes", "0");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", 1);
    (void)topic_with(&c, "compacted", "cleanup.policy", "compact");
    lab_produce(&c, topic, 0, 5);
    lab_pass(&lab, 31 * SEC);
    CHECK_EQ(earliest(&c, "t", 0), 5);
    struct text metrics = {0};
    lab_metrics(&lab, &metrics);
    CHECK(strstr(metrics.p, "kafka_log_log_logstartoffset{topic=\"t\",partition=\"0\"} 5") != NULL);
    CHECK(strstr(metrics.p, "kafka_log_log_numlogsegments{topic=\"t\",partition=\"0\"} 1") != NULL);
    CHECK(strstr(metrics.p, "kafka_log_log_size{topic=\"t\",partition=\"0\"} 0") != NULL);
    text_deinit(&metrics);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* ---- checkpoints ------------------------------------------------------------------------------ */

/* A recovery point lies inside the last segment, not at its end. */

TEST(broker_checkpoints, each_has_its_own_interval)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 27, NULL, 2);
    lab_set(&lab, "millrace.durability", "relaxed"); /* else the journal holds them: segments, and points, follow late */
    lab_set(&lab, "log.initial.task.delay.ms", "10000");
    lab_set(&lab, "log.flush.offset.checkpoint.interval.ms", "7000");
    lab_set(&lab, "replica.high.watermark.checkpoint.interval.ms", "3000");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", 1);
    lab_produce(&c, topic, 0, 5);
    lab_pass(&lab, 4 * SEC);
    CHECK_FILE(&lab, MARKS, "0\n1\nt 0 5\n");
    CHECK_FILE(&lab, POINTS, "");
    CHECK_FILE(&lab, STARTS, "");
    lab_pass(&lab, 7 * SEC); /* 11 */
    CHECK_FILE(&lab, POINTS, "0\n1\nt 0 4\n");
    CHECK_FILE(&lab, STARTS, "0\n0\n");
    lab_produce(&c, topic, 0, 5);
    lab_pass(&lab, 4 * SEC); /* 15 */
    CHECK_FILE(&lab, MARKS, "0\n1\nt 0 10\n");
    CHECK_FILE(&lab, POINTS, "0\n1\nt 0 4\n");
    lab_pass(&lab, 3 * SEC); /* 18 */
    CHECK_FILE(&lab, POINTS, "0\n1\nt 0 9\n");
    CHECK_EQ(delete_records(&c, "t", 0, 4), 4);
    CHECK_FILE(&lab, STARTS, "0\n1\nt 0 4\n");
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* As a task of Kafka's scheduler without a period. */
TEST(broker_checkpoints, an_interval_of_0_is_once)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 28, NULL, 1);
    lab_set(&lab, "log.flush.offset.checkpoint.interval.ms", "0");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", 1);
    lab_produce(&c, topic, 0, 5);
    lab_pass(&lab, 31 * SEC);
    CHECK_FILE(&lab, POINTS, "0\n1\nt 0 4\n");
    lab_produce(&c, topic, 0, 5);
    lab_pass(&lab, 300 * SEC);
    CHECK_FILE(&lab, POINTS, "0\n1\nt 0 4\n");
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}
