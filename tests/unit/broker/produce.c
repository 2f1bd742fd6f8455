/* Writes: what each kind of acknowledgement means, and what a producer is told. */
#include "lab.h"

#include "protocol/fetch.h"
#include "protocol/produce.h"

static struct lab lab;
static struct client c;
static struct uuid topic;

static void begin(uint32_t shards)
{
    lab_init(&lab, 40 + shards, NULL, shards);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    topic = lab_topic(&lab, &c, "t", 4);
}

static void end(void)
{
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

static const struct produce_response_responses_partition_responses *ask(const void *m)
{
    const struct produce_response *a = client_ask(&c, API_PRODUCE, PRODUCE_VERSION, m);

    CHECK_EQ(a->responses_count, 1);
    CHECK_EQ(a->responses[0].partition_responses_count, 1);
    return &a->responses[0].partition_responses[0];
}

static int32_t count_records(int32_t partition)
{
    const void *m = fetch_of(&c.arena, topic, partition, 0, 0, 0);

    return records_in(fetched(client_ask(&c, API_FETCH, FETCH_VERSION, m))->records);
}

TEST(broker_produce, every_kind_of_acknowledgement)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        begin(shards);
        for (int32_t p = 0; p < 4; p++) {
            struct bytes batch = batch_of(&c.arena, 2);
            CHECK_EQ(ask(produce_of(&c.arena, topic, p, 1, batch))->base_offset, 0);
            CHECK_EQ(ask(produce_of(&c.arena, topic, p, -1, batch))->base_offset, 2);
            client_post(&c, API_PRODUCE, PRODUCE_VERSION, produce_of(&c.arena, topic, p, 0, batch));
            /* Nothing answers it: the next answer is the next request's. */
            CHECK_EQ(ask(produce_of(&c.arena, topic, p, -1, batch))->base_offset, 6);
            CHECK_EQ(count_records(p), 8);
        }
        end();
    }
}

TEST(broker_produce, an_acknowledged_batch_survives_the_loss_of_power)
{
    for (uint32_t i = 0; i < 8; i++) {
        begin(1 + i % 4);
        struct bytes batch = batch_of(&c.arena, 3);
        CHECK_EQ(ask(produce_of(&c.arena, topic, 3, i % 2 == 0 ? 1 : -1, batch))->base_offset, 0);
        sim_node_power_cut(lab.node);
        lab_kill(&lab);
        client_end(&c);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        CHECK_EQ(count_records(3), 3);
        end();
    }
}

TEST(broker_produce, what_is_wrong_is_told_per_partition)
{
    begin(2);
    struct bytes batch = batch_of(&c.arena, 1);
    struct uuid nobody = {{9}};
    CHECK_EQ(ask(produce_of(&c.arena, nobody, 0, -1, batch))->error_code, KERR_UNKNOWN_TOPIC_ID);
    CHECK_EQ(ask(produce_of(&c.arena, topic, 4, -1, batch))->error_code,
             KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(ask(produce_of(&c.arena, topic, -1, -1, batch))->error_code,
             KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(ask(produce_of(&c.arena, topic, 0, 2, batch))->error_code, KERR_INVALID_REQUIRED_ACKS);
    struct bytes bad = arena_bytes(&c.arena, batch);
    ((uint8_t *)(uintptr_t)bad.p)[bad.n - 1] ^= 1;
    CHECK_EQ(ask(produce_of(&c.arena, topic, 0, -1, bad))->error_code, KERR_CORRUPT_MESSAGE);
    CHECK(ask(produce_of(&c.arena, topic, 0, -1, (struct bytes){0}))->error_code != KERR_NONE);
    CHECK_EQ(count_records(0), 0);
    end();
}

/* There is no answer that could say it: the connection ends, so that the producer looks again. */
TEST(broker_produce, without_acknowledgement_an_error_closes_the_connection)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        begin(shards);
        client_post(&c, API_PRODUCE, PRODUCE_VERSION,
                    produce_of(&c.arena, topic, 77, 0, batch_of(&c.arena, 1)));
        client_until_closed(&c);
        end();
    }
}

/* A slow disk: the time that the producer gave is over before the batch is durable. */
TEST(broker_produce, a_write_that_takes_too_long_is_indefinite)
{
    for (uint32_t shards = 1; shards <= 4; shards += 3) {
        begin(shards);
        struct produce_request *m = (struct produce_request *)(uintptr_t)produce_of(
            &c.arena, topic, 1, -1, batch_of(&c.arena, 1));
        m->timeout_ms = 50;
        sim_disk_slow(lab.node, 100000, sim_now_ns(lab.sim) + 20 * SEC);
        int64_t began = sim_now_ns(lab.sim);
        CHECK_EQ(ask(m)->error_code, KERR_REQUEST_TIMED_OUT);
        CHECK((sim_now_ns(lab.sim) - began) / MS < 100);
        UNTIL(&lab, count_records(1) == 1);
        end();
    }
}

TEST(broker_produce, a_producer_that_goes_away_keeps_nobody_waiting)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        for (int64_t after_us = 0; after_us < 2000; after_us += 200) {
            begin(shards);
            sim_disk_slow(lab.node, 1000, sim_now_ns(lab.sim) + 2 * SEC);
            for (int32_t p = 0; p < 4; p++)
                client_post(&c, API_PRODUCE, PRODUCE_VERSION,
                            produce_of(&c.arena, topic, p, -1, batch_of(&c.arena, 1)));
            lab_pass(&lab, after_us * 1000);
            end();
        }
    }
}

/* Frames pile up while the disk is slow: no more is read than what stands beside the bound. */
TEST(broker_produce, a_producer_is_read_no_faster_than_it_is_answered)
{
    begin(2);
    struct arena arena;
    struct text page = {0};
    arena_init(&arena, 0);
    struct bytes big = batch_of(&arena, 60000);
    CHECK(big.n > 500000 && big.n < 1000000);
    sim_disk_slow(lab.node, 100000, sim_now_ns(lab.sim) + 30 * SEC);
    struct text all = {0};
    for (int i = 0; i < 60; i++)
        client_write(&c, API_PRODUCE, PRODUCE_VERSION,
                     produce_of(&c.arena, topic, i % 4, -1, big), &all);
    struct io_span span = {.p = (uint8_t *)all.p, .n = (uint32_t)all.n};
    struct wait w;
    io_send(c.socket, &span, 1, wait_begin(&w));
    lab_pass(&lab, SEC);
    lab_metrics(&lab, &page);
    const char *at = strstr(page.p, "requests_total{request=\"Produce\"} ");
    CHECK(at != NULL);
    int begun = 0;
    CHECK_EQ(sscanf(strchr(at, ' '), "%d", &begun), 1);
    CHECK(begun > 3 && begun < 25);
    for (int i = 0; i < 60; i++)
        client_answer(&c, API_PRODUCE, PRODUCE_VERSION, c.correlation - 59 + i);
    CHECK_EQ(wait_end(&lab, &w), (int64_t)all.n);
    text_deinit(&all);
    text_deinit(&page);
    arena_deinit(&arena);
    end();
}
