/* Reads: long polls over several shards, what wakes them, what ends them. */
#include "lab.h"

#include "protocol/fetch.h"

static struct lab lab;
static struct client reader, writer;
static struct uuid topic;

static void begin(uint32_t shards)
{
    lab_init(&lab, shards, NULL, shards);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &reader, 9092);
    client_open(&lab, &writer, 9092);
    topic = lab_topic(&lab, &writer, "t", 6);
}

static void end(void)
{
    CHECK_EQ(lab_stop(&lab), 0);
    client_close(&reader);
    client_close(&writer);
    lab_deinit(&lab);
}

/* All partitions of the topic from their start. */
static struct fetch_request *fetch_all(int32_t min_bytes, int32_t max_wait_ms)
{
    struct fetch_request *m =
        (struct fetch_request *)(uintptr_t)fetch_of(&reader.arena, topic, 0, 0, min_bytes, max_wait_ms);
    struct fetch_request_topics_partitions *p = arena_take_array(&reader.arena, 6, sizeof *p);

    for (int32_t i = 0; i < 6; i++) {
        p[i] = m->topics->partitions[0];
        p[i].partition = i;
    }
    m->topics->partitions = p;
    m->topics->partitions_count = 6;
    return m;
}

static int32_t all_records(const void *answer)
{
    const struct fetch_response *a = answer;
    int32_t n = 0;

    for (int32_t i = 0; i < a->responses[0].partitions_count; i++) {
        CHECK_EQ(a->responses[0].partitions[i].error_code, KERR_NONE);
        n += records_in(a->responses[0].partitions[i].records);
    }
    return n;
}

static int64_t since(int64_t began_ns)
{
    return (sim_now_ns(lab.sim) - began_ns) / MS;
}

TEST(broker_fetch, an_empty_read_lasts_as_long_as_it_may)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        begin(shards);
        int64_t began = sim_now_ns(lab.sim);
        CHECK_EQ(all_records(client_ask(&reader, API_FETCH, 13, fetch_all(1, 700))), 0);
        CHECK(since(began) >= 700 && since(began) < 750);
        began = sim_now_ns(lab.sim);
        CHECK_EQ(all_records(client_ask(&reader, API_FETCH, 13, fetch_all(1, 0))), 0);
        CHECK_EQ(all_records(client_ask(&reader, API_FETCH, 13, fetch_all(0, 60000))), 0);
        CHECK(since(began) < 50);
        end();
    }
}

TEST(broker_fetch, a_write_to_any_partition_wakes)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        begin(shards);
        for (int32_t p = 0; p < 6; p++) {
            client_send(&reader, API_FETCH, 13, fetch_all(p == 0 ? 1 : p * 70 + 1, 60000));
            lab_pass(&lab, 100 * MS);
            CHECK(!client_has_answer(&reader));
            int64_t began = sim_now_ns(lab.sim);
            lab_produce(&writer, topic, p, 1);
            CHECK_EQ(all_records(client_answer(&reader, API_FETCH, 13, reader.correlation)), p + 1);
            CHECK(since(began) < 100);
        }
        end();
    }
}

/* Less than min_bytes lies in each shard, enough in all of them. */
TEST(broker_fetch, min_bytes_counts_over_shards)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        begin(shards);
        client_send(&reader, API_FETCH, 13, fetch_all(6 * 60, 60000));
        for (int32_t p = 0; p < 6; p++) {
            CHECK(!client_has_answer(&reader));
            lab_produce(&writer, topic, p, 1);
            lab_pass(&lab, 20 * MS);
        }
        CHECK_EQ(all_records(client_answer(&reader, API_FETCH, 13, reader.correlation)), 6);
        end();
    }
}

TEST(broker_fetch, the_first_batch_is_whole_and_the_rest_is_limited)
{
    begin(3);
    for (int32_t p = 0; p < 6; p++)
        lab_produce(&writer, topic, p, 50);
    struct fetch_request *m = fetch_all(1, 1000);
    m->max_bytes = 10;
    CHECK_EQ(all_records(client_ask(&reader, API_FETCH, 13, m)), 50);
    m = fetch_all(1, 1000);
    m->max_bytes = 1100;
    int32_t n = all_records(client_ask(&reader, API_FETCH, 13, m));
    CHECK(n >= 50 && n <= 150);
    end();
}

TEST(broker_fetch, a_topic_that_is_deleted_ends_the_wait)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        begin(shards);
        lab_produce(&writer, topic, 1, 1);
        client_send(&reader, API_FETCH, 13, fetch_all(100000, 60000));
        lab_pass(&lab, 50 * MS);
        int64_t began = sim_now_ns(lab.sim);
        lab_delete_topic(&lab, &writer, "t");
        const struct fetch_response *a = client_answer(&reader, API_FETCH, 13, reader.correlation);
        CHECK(since(began) < 1000);
        int32_t refused = 0;
        for (int32_t i = 0; i < 6; i++)
            refused += a->responses[0].partitions[i].error_code == KERR_NOT_LEADER_OR_FOLLOWER;
        CHECK(refused > 0);
        end();
    }
}

/* Reads come and go, and partitions are deleted and made anew under them, at all distances in time. */
TEST(broker_fetch, deletion_at_any_moment_of_a_read_is_answered)
{
    for (uint32_t i = 0; i < 60; i++) {
        begin(1 + i % 4);
        for (int32_t p = 0; p < 6; p++)
            lab_produce(&writer, topic, p, 3);
        /* Restarted: what is read lies in files, so that reads take their time. */
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK_EQ(lab_start(&lab), 0);
        client_close(&reader);
        client_close(&writer);
        client_open(&lab, &reader, 9092);
        client_open(&lab, &writer, 9092);
        struct fetch_request *m = fetch_all(i % 3 == 0 ? 1 : 100000, 300);
        m->isolation_level = i % 2;
        client_send(&reader, API_FETCH, 13, m);
        lab_pass(&lab, (int64_t)i * MS / 20);
        lab_delete_topic(&lab, &writer, "t");
        topic = lab_topic(&lab, &writer, "t", 6);
        client_answer(&reader, API_FETCH, 13, reader.correlation);
        lab_produce(&writer, topic, 5, 1);
        end();
    }
}

TEST(broker_fetch, a_reader_that_goes_away_is_forgotten)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        for (int64_t after_us = 0; after_us < 3000; after_us += 150) {
            begin(shards);
            lab_produce(&writer, topic, 2, 5);
            client_send(&reader, API_FETCH, 13, fetch_all(100000, 600000));
            lab_pass(&lab, after_us * 1000);
            client_close(&reader);
            lab_produce(&writer, topic, 2, 5);
            client_open(&lab, &reader, 9092);
            CHECK_EQ(all_records(client_ask(&reader, API_FETCH, 13, fetch_all(1, 100))), 10);
            end();
        }
    }
}

TEST(broker_fetch, errors_are_answered_at_once)
{
    begin(2);
    int64_t began = sim_now_ns(lab.sim);
    struct uuid nobody = {{1, 2, 3}};
    const void *m = fetch_of(&reader.arena, nobody, 0, 0, 1, 60000);
    CHECK_EQ(fetched(client_ask(&reader, API_FETCH, 13, m))->error_code, KERR_UNKNOWN_TOPIC_ID);
    m = fetch_of(&reader.arena, topic, 6, 0, 1, 60000);
    CHECK_EQ(fetched(client_ask(&reader, API_FETCH, 13, m))->error_code,
             KERR_UNKNOWN_TOPIC_OR_PARTITION);
    m = fetch_of(&reader.arena, topic, 0, 1, 1, 60000);
    CHECK_EQ(fetched(client_ask(&reader, API_FETCH, 13, m))->error_code, KERR_OFFSET_OUT_OF_RANGE);
    struct fetch_request *epoch = (struct fetch_request *)(uintptr_t)fetch_of(&reader.arena, topic, 0, 0, 1, 60000);
    ((struct fetch_request_topics_partitions *)epoch->topics->partitions)->current_leader_epoch = 9;
    CHECK_EQ(fetched(client_ask(&reader, API_FETCH, 13, epoch))->error_code, KERR_UNKNOWN_LEADER_EPOCH);
    struct fetch_request *session = fetch_all(1, 60000);
    session->session_id = 5;
    session->session_epoch = 1;
    const struct fetch_response *a = client_ask(&reader, API_FETCH, 13, session);
    CHECK_EQ(a->error_code, KERR_FETCH_SESSION_ID_NOT_FOUND);
    CHECK(since(began) < 100);
    end();
}
