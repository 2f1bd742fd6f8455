/* Reads: long polls over several shards, what wakes them, what ends them. */
#include "lab.h"

#include "protocol/create_topics.h"
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
    client_end(&reader);
    client_end(&writer);
    lab_deinit(&lab);
}

/* All partitions of the topic from their start. */
static struct fetch_request *fetch_all(int32_t min_bytes, int32_t max_wait_ms)
{
    struct fetch_request *m = (struct fetch_request *)(uintptr_t)fetch_of(
        &reader.arena, topic, 0, 0, min_bytes, max_wait_ms);
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
            client_post(&reader, API_FETCH, 13, fetch_all(p == 0 ? 1 : p * 70 + 1, 60000));
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
        client_post(&reader, API_FETCH, 13, fetch_all(6 * 60, 60000));
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
        client_post(&reader, API_FETCH, 13, fetch_all(100000, 60000));
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

/* Some operations take 8 to 64 times as long as others. */
static void begin_slowly(uint64_t seed, uint32_t shards)
{
    struct sim_options weather = {.outlier_ppm = 100000};

    lab_init(&lab, seed, &weather, shards);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &reader, 9092);
    client_open(&lab, &writer, 9092);
    topic = lab_topic(&lab, &writer, "t", 6);
}

/* What is read lies in files then, and takes its time. */
static void restart(void)
{
    CHECK_EQ(lab_stop(&lab), 0);
    CHECK_EQ(lab_start(&lab), 0);
    client_end(&reader);
    client_end(&writer);
    client_open(&lab, &reader, 9092);
    client_open(&lab, &writer, 9092);
}

/* Topics are deleted while they, and others beside them, are read, at all distances in time. */
TEST(broker_fetch, deletion_at_any_moment_of_a_read_is_answered)
{
    for (uint32_t i = 0; i < 300; i++) {
        begin_slowly(1 + i, 1 + i % 3);
        struct uuid stays = lab_topic(&lab, &writer, "stays", 6);
        for (int32_t p = 0; p < 6; p++) {
            lab_produce(&writer, topic, p, 3);
            lab_produce(&writer, stays, p, 3);
        }
        restart();
        if (i % 2 == 0) { /* those of the topic that goes are quick to read */
            for (int32_t p = 0; p < 6; p++)
                lab_produce(&writer, topic, p, 3);
        }
        struct fetch_request *m = fetch_all(i % 3 == 0 ? 1 : 100000, 300);
        struct fetch_request_topics both[2] = {m->topics[0], m->topics[0]};
        if (i % 2 == 0) {
            struct fetch_request_topics_partitions *at =
                arena_take_array(&reader.arena, 6, sizeof *at);
            memcpy(at, both[0].partitions, 6 * sizeof *at);
            for (int32_t p = 0; p < 6; p++)
                at[p].fetch_offset = 3;
            both[0].partitions = at;
        }
        both[1].topic_id = stays;
        m->topics = both;
        m->topics_count = 2;
        m->isolation_level = i % 5 == 0;
        struct text frame = {0};
        client_write(&reader, API_FETCH, 13, m, &frame);
        struct client other;
        client_open(&lab, &other, 9092);
        lab_delete_topic_later(&other, "t");
        lab_pass(&lab, (int64_t)(i / 6) * MS / 20);
        client_send_bytes(&reader, bytes_of_str(text_str(&frame)));
        text_deinit(&frame);
        client_answer(&reader, API_FETCH, 13, reader.correlation);
        client_answer(&other, API_DELETE_TOPICS, 6, other.correlation);
        client_end(&other);
        topic = lab_topic(&lab, &writer, "t", 6);
        lab_produce(&writer, topic, 5, 1);
        end();
    }
}

/* A write becomes visible while some partitions are read and others are watched already: the read
 * ends soon, not when its time is up. */
TEST(broker_fetch, a_write_at_any_moment_of_a_read_wakes)
{
    for (uint32_t i = 0; i < 400; i++) {
        const void *write;
        begin_slowly(1000 + i, 1 + i % 4);
        for (int32_t p = 0; p < 3; p++)
            lab_produce(&writer, topic, p, 1);
        restart();
        struct fetch_request *read = fetch_all(4 * 69, 60000);
        write = produce_of(&writer.arena, topic, 5, -1, batch_of(&writer.arena, 1));
        int64_t began = sim_now_ns(lab.sim);
        if (i % 2 == 0)
            client_post(&reader, API_FETCH, 13, read);
        else
            client_post(&writer, API_PRODUCE, 13, write);
        lab_pass(&lab, (int64_t)(i / 8) * MS / 20);
        if (i % 2 == 0)
            client_post(&writer, API_PRODUCE, 13, write);
        else
            client_post(&reader, API_FETCH, 13, read);
        CHECK_EQ(all_records(client_answer(&reader, API_FETCH, 13, reader.correlation)), 4);
        CHECK(since(began) < 20000); /* what is slow here takes a second or two */
        end();
    }
}

/* The shards see both changes in one image: the new topic's logs have the old one's names. */
TEST(broker_fetch, a_topic_may_be_made_anew_before_the_shards_have_heard_of_its_end)
{
    uint32_t together = 0;

    for (uint32_t i = 0; i < 40; i++) {
        struct client big, gone, anew;
        begin_slowly(2000 + i, 2 + i % 3);
        for (int32_t p = 0; p < 6; p++)
            lab_produce(&writer, topic, p, 3);
        client_open(&lab, &big, 9092);
        client_open(&lab, &gone, 9092);
        client_open(&lab, &anew, 9092);
        sim_disk_slow(lab.node, 20, sim_now_ns(lab.sim) + SEC);
        lab_topic_later(&big, "big", 60); /* a publication that takes long */
        lab_pass(&lab, 10 * MS);
        lab_delete_topic_later(&gone, "t");
        lab_pass(&lab, 6 * MS + i * MS / 4);
        lab_topic_later(&anew, "t", 6);
        const struct create_topics_response *a = client_answer(&anew, API_CREATE_TOPICS, 7, 1);
        if (a->topics[0].error_code == KERR_NONE) {
            topic = a->topics[0].topic_id;
            together += client_has_answer(&gone);
            for (int32_t p = 0; p < 6; p++)
                CHECK_EQ(lab_produce(&writer, topic, p, 1), 0);
            restart();
            CHECK_EQ(all_records(client_ask(&reader, API_FETCH, 13, fetch_all(1, 0))), 6);
        }
        client_end(&big);
        client_end(&gone);
        client_end(&anew);
        end();
    }
    CHECK(together > 0);
}

TEST(broker_fetch, a_reader_that_goes_away_is_forgotten)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        for (int64_t after_us = 0; after_us < 3000; after_us += 150) {
            begin(shards);
            lab_produce(&writer, topic, 2, 5);
            client_post(&reader, API_FETCH, 13, fetch_all(100000, 600000));
            lab_pass(&lab, after_us * 1000);
            client_end(&reader);
            lab_until_connections(&lab, 1);
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
    struct fetch_request *epoch =
        (struct fetch_request *)(uintptr_t)fetch_of(&reader.arena, topic, 0, 0, 1, 60000);
    ((struct fetch_request_topics_partitions *)epoch->topics->partitions)->current_leader_epoch = 9;
    CHECK_EQ(fetched(client_ask(&reader, API_FETCH, 13, epoch))->error_code,
             KERR_UNKNOWN_LEADER_EPOCH);
    struct fetch_request *session = fetch_all(1, 60000);
    session->session_id = 5;
    session->session_epoch = 1;
    const struct fetch_response *a = client_ask(&reader, API_FETCH, 13, session);
    CHECK_EQ(a->error_code, KERR_FETCH_SESSION_ID_NOT_FOUND);
    CHECK(since(began) < 100);
    end();
}
