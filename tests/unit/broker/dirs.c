/* A broker with two log directories, of which the second one fails. The first holds the metadata log. */
#include "lab.h"

#include <stdio.h>

#include "protocol/describe_log_dirs.h"
#include "protocol/fetch.h"
#include "protocol/metadata.h"
#include "protocol/produce.h"

#define PARTITIONS 4

static void begin(struct lab *lab, uint64_t seed, uint32_t shards)
{
    lab_init(lab, seed, NULL, shards);
    lab_set(lab, "log.dirs", "/data/a,/data/b");
    lab_set(lab, "metadata.max.idle.interval.ms", "3600000"); /* nothing is written but what the test asks for */
    lab_set(lab, "replica.high.watermark.checkpoint.interval.ms", "3600000");
    lab_set(lab, "log.flush.offset.checkpoint.interval.ms", "3600000");
}

static bool is_marked(struct lab *lab, char dir)
{
    struct text content = {0};
    char path[80];

    snprintf(path, sizeof path, "/data/%c/.kafka_cleanshutdown", dir);
    int rc = sim_disk_get(lab->node, path, &content);
    text_deinit(&content);
    return rc == 0;
}

static enum kerr produce(struct client *c, struct uuid topic, int32_t partition)
{
    const void *m = produce_of(&c->arena, topic, partition, -1, batch_of(&c->arena, 2));
    const struct produce_response *a = client_ask(c, API_PRODUCE, PRODUCE_VERSION, m);

    return (enum kerr)a->responses[0].partition_responses[0].error_code;
}

static const struct metadata_response_topics_partitions *look(struct client *c, const char *topic,
                                                              int32_t partition)
{
    struct metadata_request_topics t;
    struct metadata_request m;

    metadata_request_init(&m);
    metadata_request_topics_init(&t);
    t.name = str_of(topic);
    m.topics = &t;
    m.topics_count = 1;
    const struct metadata_response *a = client_ask(c, API_METADATA, 12, &m);
    CHECK_EQ(a->topics[0].error_code, KERR_NONE);
    for (int32_t i = 0; i < a->topics[0].partitions_count; i++) {
        if (a->topics[0].partitions[i].partition_index == partition)
            return &a->topics[0].partitions[i];
    }
    check_fail(__FILE__, __LINE__, "%s has no partition %d", topic, partition);
}

/* Make the disk fail at the write of a partition in the second directory. */
static void fail_second(struct lab *lab, struct client *c, struct uuid topic, const char *name)
{
    int32_t p = 0;

    while (lab_dir_of(lab, name, p) != 'b')
        p++;
    lab_pass(lab, SEC); /* all is quiet */
    sim_fail_at(lab->node, 1, -EIO);
    CHECK_EQ(produce(c, topic, p), KERR_KAFKA_STORAGE_ERROR);
}

static void until_leader_is(struct lab *lab, struct client *c, const char *topic, int32_t partition, int32_t leader)
{
    for (int i = 0; look(c, topic, partition)->leader_id != leader; i++) {
        CHECK(i < 100);
        lab_pass(lab, 10 * MS);
    }
}

/* "a: t[0:71+0 2:71+0 ] " of each directory: partition:size+lag; "offline" where it has failed. */
static struct str describe(struct client *c, const struct describe_log_dirs_request *m, struct text *out)
{
    const struct describe_log_dirs_response *a = client_ask(c, API_DESCRIBE_LOG_DIRS, 4, m);

    text_clear(out);
    CHECK_EQ(a->error_code, KERR_NONE);
    for (int32_t i = 0; i < a->results_count; i++) {
        const struct describe_log_dirs_response_results *d = &a->results[i];
        text_printf(out, "%.*s: ", STR_ARG(d->log_dir));
        if (d->error_code != KERR_NONE) {
            CHECK_EQ(d->error_code, KERR_KAFKA_STORAGE_ERROR);
            CHECK_EQ(d->total_bytes, -1);
            text_printf(out, "offline ");
            continue;
        }
        CHECK(d->total_bytes > 0);
        CHECK(d->usable_bytes > 0 && d->usable_bytes <= d->total_bytes);
        for (int32_t t = 0; t < d->topics_count; t++) {
            text_printf(out, "%.*s[", STR_ARG(d->topics[t].name));
            for (int32_t p = 0; p < d->topics[t].partitions_count; p++) {
                const struct describe_log_dirs_response_results_topics_partitions *x = &d->topics[t].partitions[p];
                text_printf(out, "%d:%d+%d%s ", x->partition_index, (int)x->partition_size, (int)x->offset_lag,
                            x->is_future_key ? "future" : "");
            }
            text_printf(out, "] ");
        }
    }
    return text_str(out);
}

TEST(broker_dirs, what_lies_in_each_is_described)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct lab lab;
        struct client c;
        struct text text = {0};
        int32_t partitions[] = {1, 3, 3, 77};
        struct describe_log_dirs_request_topics asked[2];
        struct describe_log_dirs_request all, some;

        begin(&lab, 6, shards);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        describe_log_dirs_request_init(&all);
        all.topics_count = -1;
        CHECK_TEXT(describe(&c, &all, &text), "/data/a: /data/b: ");
        struct uuid topic = lab_topic(&lab, &c, "t", PARTITIONS);
        lab_topic(&lab, &c, "u", 1);
        CHECK_EQ(produce(&c, topic, 1), KERR_NONE);
        struct text expected = {0};
        for (char d = 'a'; d <= 'b'; d++) {
            text_printf(&expected, "/data/%c: t[", d);
            for (int32_t p = 0; p < PARTITIONS; p++) {
                if (lab_dir_of(&lab, "t", p) == d)
                    text_printf(&expected, "%d:%d+0 ", p, p == 1 ? (int)batch_of(&c.arena, 2).n : 0);
            }
            text_printf(&expected, "] %s", lab_dir_of(&lab, "u", 0) == d ? "u[0:0+0 ] " : "");
        }
        CHECK_TEXT(describe(&c, &all, &text), expected.p);

        describe_log_dirs_request_init(&some);
        some.topics = asked;
        some.topics_count = 2;
        for (int i = 0; i < 2; i++)
            describe_log_dirs_request_topics_init(&asked[i]);
        asked[0].topic = STR("t");
        asked[0].partitions = partitions;
        asked[0].partitions_count = array_count(partitions);
        asked[1].topic = STR("nobody knows it");
        asked[1].partitions = partitions;
        asked[1].partitions_count = 1;
        text_clear(&expected);
        for (char d = 'a'; d <= 'b'; d++) {
            text_printf(&expected, "/data/%c: ", d);
            if (lab_dir_of(&lab, "t", 1) == d || lab_dir_of(&lab, "t", 3) == d)
                text_printf(&expected, "t[");
            if (lab_dir_of(&lab, "t", 1) == d)
                text_printf(&expected, "1:%d+0 ", (int)batch_of(&c.arena, 2).n);
            if (lab_dir_of(&lab, "t", 3) == d)
                text_printf(&expected, "3:0+0 ");
            if (lab_dir_of(&lab, "t", 1) == d || lab_dir_of(&lab, "t", 3) == d)
                text_printf(&expected, "] ");
        }
        CHECK_TEXT(describe(&c, &some, &text), expected.p);

        fail_second(&lab, &c, topic, "t");
        CHECK(strstr(describe(&c, &all, &text).p, "/data/b: offline ") != NULL);
        CHECK(str_starts(text_str(&text), STR("/data/a: t[")));
        CHECK_EQ(lab_stop(&lab), ERR_OFFLINE);
        client_end(&c);
        text_deinit(&text);
        text_deinit(&expected);
        lab_deinit(&lab);
    }
}

TEST(broker_dirs, one_that_fails_leaves_the_other_serving)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        struct lab lab;
        struct client c;
        struct text page = {0};

        begin(&lab, shards, shards);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        struct uuid topic = lab_topic(&lab, &c, "t", PARTITIONS);
        for (int32_t p = 0; p < PARTITIONS; p++)
            CHECK_EQ(produce(&c, topic, p), KERR_NONE);
        fail_second(&lab, &c, topic, "t");
        for (int32_t p = 0; p < PARTITIONS; p++) {
            bool well = lab_dir_of(&lab, "t", p) == 'a';
            until_leader_is(&lab, &c, "t", p, well ? 1 : -1);
            const struct metadata_response_topics_partitions *m = look(&c, "t", p);
            CHECK_EQ(m->error_code, well ? KERR_NONE : KERR_LEADER_NOT_AVAILABLE);
            CHECK_EQ(m->offline_replicas_count, well ? 0 : 1);
            CHECK_EQ(produce(&c, topic, p), well ? KERR_NONE : KERR_KAFKA_STORAGE_ERROR);
        }
        struct uuid later = lab_topic(&lab, &c, "later", PARTITIONS);
        for (int32_t p = 0; p < PARTITIONS; p++) {
            CHECK_EQ(produce(&c, later, p), KERR_NONE);
            CHECK_EQ(lab_dir_of(&lab, "later", p), 'a');
        }
        lab_metrics(&lab, &page);
        CHECK(strstr(page.p, "\nkafka_log_logmanager_offlinelogdirectorycount 1\n") != NULL);
        CHECK(strstr(page.p, "kafka_log_logmanager_logdirectoryoffline{logDirectory=\"/data/b\"} 1\n") != NULL);
        CHECK(strstr(page.p, "\nkafka_server_replicamanager_offlinereplicacount 2\n") != NULL);
        CHECK_EQ(lab.fatal.error, 0);
        CHECK_EQ(lab_stop(&lab), ERR_OFFLINE);
        CHECK(is_marked(&lab, 'a'));
        CHECK(!is_marked(&lab, 'b'));
        client_end(&c);

        CHECK_EQ(lab_start(&lab), 0); /* the disk is well again: nothing is lost */
        client_open(&lab, &c, 9092);
        for (int32_t p = 0; p < PARTITIONS; p++) {
            const void *m = fetch_of(&c.arena, topic, p, 0, 1, 0);
            CHECK(records_in(fetched(client_ask(&c, API_FETCH, FETCH_VERSION, m))->records) >= 2);
            CHECK_EQ(produce(&c, topic, p), KERR_NONE);
            CHECK_EQ(produce(&c, later, p), KERR_NONE);
        }
        CHECK_EQ(lab_stop(&lab), 0);
        client_end(&c);
        text_deinit(&page);
        lab_deinit(&lab);
    }
}

TEST(broker_dirs, without_the_metadata_log_the_node_ends)
{
    struct lab lab;
    struct client c;

    begin(&lab, 4, 2);
    lab_set(&lab, "metadata.log.dir", "/data/b");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    lab_topic(&lab, &c, "t", PARTITIONS);
    lab_pass(&lab, SEC);
    sim_fail_at(lab.node, 1, -EIO);
    lab_topic_later(&c, "u", 1); /* written to the metadata log first */
    UNTIL(&lab, lab.fatal.error < 0);
    CHECK(strstr(lab.fatal.text, "/data/b is offline") != NULL);
    CHECK(strstr(lab.fatal.text, "it holds the metadata log") != NULL);
    CHECK(lab_stop(&lab) < 0);
    client_end(&c);
    lab_deinit(&lab);
}

/* A disk that is nearly full refuses records before they are written, and takes them when there is room again. */
TEST(broker_dirs, full_disk_refuses_records_until_there_is_room)
{
    struct lab lab;
    struct client c;

    begin(&lab, 8, 2);
    lab_set(&lab, "millrace.log.dir.free.bytes.min", "1000000");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++)
        CHECK_EQ(produce(&c, topic, p), KERR_NONE);
    sim_disk_limit(lab.node, 8000000); /* the floor is a sixteenth of that */
    lab_pass(&lab, 3 * SEC);
    CHECK_EQ(produce(&c, topic, 0), KERR_NONE);
    CHECK_TEXT(text_str(&lab.said), "");
    sim_disk_limit(lab.node, 1000);
    lab_pass(&lab, 3 * SEC);
    for (int round = 0; round < 3; round++) {
        lab_pass(&lab, 3 * SEC);
        bool full = round != 1;
        for (int32_t p = 0; p < PARTITIONS; p++)
            CHECK_EQ(produce(&c, topic, p), full ? KERR_KAFKA_STORAGE_ERROR : KERR_NONE);
        sim_disk_limit(lab.node, full ? 8000000 : 1000);
    }
    CHECK(strstr(lab.said.p, "log directory /data/b has ") != NULL);
    CHECK(strstr(lab.said.p, "records are refused") != NULL);
    CHECK_EQ(lab.fatal.error, 0);
    lab_pass(&lab, 3 * SEC);
    CHECK_EQ(lab_stop(&lab), 0); /* no write has failed */
    client_end(&c);
    lab_deinit(&lab);
}

/* A start at which something of /data/b cannot be read. */
static void start_without_second(struct lab *lab)
{
    for (uint64_t n = 1;; n++) {
        CHECK(n < 40);
        text_clear(&lab->said);
        sim_fail_at(lab->node, n, -EIO);
        int64_t result = lab_start(lab);
        sim_fail_at(lab->node, 0, 0);
        if (result == 0 && lab->said.n > 0 && strstr(lab->said.p, "log directory /data/b is offline: ") != NULL)
            return;
        (void)lab_stop(lab);
    }
}

/* Something in it cannot be read: the node starts without it. */
TEST(broker_dirs, one_that_cannot_be_opened_is_done_without)
{
    struct lab lab;
    struct client c;

    begin(&lab, 5, 2);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++)
        CHECK_EQ(produce(&c, topic, p), KERR_NONE);
    CHECK_EQ(lab_stop(&lab), 0);
    client_end(&c);

    start_without_second(&lab);
    client_open(&lab, &c, 9092);
    struct describe_log_dirs_request all;
    struct text text = {0};
    describe_log_dirs_request_init(&all);
    all.topics_count = -1;
    CHECK(strstr(describe(&c, &all, &text).p, "/data/b: offline ") != NULL);
    text_deinit(&text);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        bool well = lab_dir_of(&lab, "t", p) == 'a';
        until_leader_is(&lab, &c, "t", p, well ? 1 : -1);
        CHECK_EQ(produce(&c, topic, p), well ? KERR_NONE : KERR_KAFKA_STORAGE_ERROR);
    }
    CHECK_EQ(lab_stop(&lab), 0);
    client_end(&c);

    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        until_leader_is(&lab, &c, "t", p, 1);
        const void *m = fetch_of(&c.arena, topic, p, 0, 1, 0);
        CHECK(records_in(fetched(client_ask(&c, API_FETCH, FETCH_VERSION, m))->records) >= 2);
    }
    CHECK_EQ(lab_stop(&lab), 0);
    client_end(&c);
    lab_deinit(&lab);
}
