/* The producer before brokers that are well. */
#include "shop.h"

#include <stdio.h>

static void wait_told(struct shop *s, uint32_t records)
{
    SCRIPT_UNTIL(s->script, s->told == records);
}

TEST(sender, records_are_sent_and_told_of_in_order)
{
    struct shop s;

    shop_open(&s, 3);
    script_topic(s.script, "orders", 4);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    shop_add(&s, "orders", 1, "b");
    shop_add(&s, "orders", 0, "c");
    wait_told(&s, 3);
    CHECK_TEXT(shop_values(&s, "orders", 0), "a c");
    CHECK_TEXT(shop_values(&s, "orders", 1), "b");
    CHECK_EQ(script_count(s.script, 0, API_INIT_PRODUCER_ID), 1);
    shop_add(&s, "orders", 0, "d");
    wait_told(&s, 4);
    CHECK_TEXT(shop_values(&s, "orders", 0), "a c d");
    CHECK_EQ(shop_close(&s, 1000), 0);
    CHECK_EQ(s.acked, 4);
    shop_end(&s);
}

/* All partitions of a node go into one request. */
TEST(sender, a_request_has_batches_of_many_partitions)
{
    struct shop s;

    shop_open(&s, 1);
    script_topic(s.script, "orders", 4);
    script_topic(s.script, "logs", 2);
    shop_start(&s);
    for (int i = 0; i < 4; i++)
        shop_add(&s, "orders", i, "o");
    for (int i = 0; i < 2; i++)
        shop_add(&s, "logs", i, "l");
    wait_told(&s, 6);
    CHECK_EQ(script_count(s.script, 1, API_PRODUCE), 1);
    CHECK_EQ(shop_close(&s, 1000), 0);
    CHECK_EQ(s.acked, 6);
    shop_end(&s);
}

/* partitioner.rack.aware: racks are those that metadata tells of. */
TEST(sender, records_without_a_key_stay_in_the_rack)
{
    struct shop s;

    shop_open(&s, 3);
    s.settings.rack = STR("north");
    script_rack(s.script, 1, "south");
    script_rack(s.script, 2, "north");
    script_topic(s.script, "orders", 6);
    shop_start(&s);
    for (uint32_t i = 0; i < 50; i++) {
        shop_add(&s, "orders", -1, "r");
        wait_told(&s, i + 1);
    }
    CHECK(script_count(s.script, 2, API_PRODUCE) > 0);
    CHECK_EQ(script_count(s.script, 1, API_PRODUCE) + script_count(s.script, 3, API_PRODUCE), 0);
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

/* max.request.size: what does not fit goes into the next one. */
TEST(sender, a_request_is_no_larger_than_it_may_be)
{
    struct shop s;

    shop_open(&s, 1);
    s.settings.max_request_size = 200;
    script_topic(s.script, "orders", 6);
    shop_start(&s);
    for (int i = 0; i < 6; i++)
        shop_add(&s, "orders", i, "a batch of 95 bytes: 0123");
    wait_told(&s, 6);
    CHECK_EQ(script_count(s.script, 1, API_PRODUCE), 3);
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

TEST(sender, records_wait_for_linger_unless_they_are_flushed)
{
    struct script_wait w;
    struct shop s;

    shop_open(&s, 1);
    s.settings.linger_ms = 500;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    script_pass(s.script, 400);
    shop_add(&s, "orders", 0, "b");
    CHECK_EQ(s.told, 0);
    script_pass(s.script, 200);
    CHECK_TEXT(s.acks.p, "orders-0 @0 x2\n");
    shop_add(&s, "orders", 0, "c");
    producer_flush(s.producer, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(s.script, &w), 0);
    CHECK_EQ(s.told, 3);
    producer_flush(s.producer, script_wait_begin(&w)); /* nothing is there */
    CHECK(!w.done);
    CHECK_EQ(script_wait_end(s.script, &w), 0);
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

/* S3: the first batch goes alone; then up to five are on their way. */
TEST(sender, batches_are_pipelined_once_the_producer_is_known)
{
    struct shop s;
    char value[8];

    shop_open(&s, 1);
    s.settings.linger_ms = 0;
    s.settings.batch_size = 100;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    for (int i = 0; i < 40; i++) {
        snprintf(value, sizeof value, "%d", i);
        shop_add(&s, "orders", 0, value);
    }
    script_fault(s.script, 1, API_PRODUCE, SCRIPT_DELAY, 100);
    script_fault(s.script, 1, API_PRODUCE, SCRIPT_DELAY, 100);
    SCRIPT_UNTIL(s.script, script_count(s.script, 1, API_PRODUCE) == 1);
    script_pass(s.script, 50);
    CHECK_EQ(script_count(s.script, 1, API_PRODUCE), 1);
    script_pass(s.script, 100);
    CHECK(script_count(s.script, 1, API_PRODUCE) > 1);
    SCRIPT_UNTIL(s.script, s.told == 40);
    CHECK_TEXT(shop_values(&s, "orders", 0),
               "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 "
               "37 38 39");
    CHECK_EQ(shop_close(&s, 1000), 0);
    CHECK_EQ(s.acked, 40);
    shop_end(&s);
}

TEST(sender, without_acknowledgements_sent_is_enough)
{
    struct shop s;

    shop_open(&s, 1);
    s.settings.acks = 0;
    s.settings.idempotence = false;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    CHECK_TEXT(s.acks.p, "orders-0 @-1 x1\n");
    script_pass(s.script, 100);
    CHECK_TEXT(shop_values(&s, "orders", 0), "a");
    CHECK_TEXT(s.batches.p, "0:-1/-1/-1 x1\n");
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

TEST(sender, old_brokers_are_told_topics_by_name)
{
    struct shop s;

    shop_open(&s, 1);
    script_versions(s.script, 0, API_PRODUCE, 3, 7);
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    CHECK_TEXT(s.acks.p, "orders-0 @0 x1\n");
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

TEST(sender, records_wait_for_a_topic_to_come)
{
    struct shop s;

    shop_open(&s, 1);
    shop_start(&s);
    shop_add(&s, "orders", 1, "a");
    shop_add(&s, "orders", 1, "b");
    shop_add(&s, "orders", 9, "c");
    script_pass(s.script, 2000);
    CHECK_EQ(s.told, 0);
    script_topic(s.script, "orders", 2);
    wait_told(&s, 3);
    CHECK_TEXT(shop_values(&s, "orders", 1), "a b");
    CHECK_TEXT(s.errors.p, "1 records for orders: there is no partition 9; the topic has 2\n");
    CHECK_EQ(producer_partitions(producer_topic(s.producer, STR("orders"))), 2);
    CHECK_EQ(shop_append(&s, "orders", 9, "d"), -ERANGE);
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

TEST(sender, it_says_when_there_is_room_again)
{
    struct shop s;
    char value[2000];
    uint32_t appended = 0;

    shop_open(&s, 1);
    s.settings.buffer_memory = 100000;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = 0;
    while (shop_append(&s, "orders", 0, value) == 0)
        appended++;
    CHECK(appended > 30);
    CHECK_EQ(shop_append(&s, "orders", 0, value), -EAGAIN);
    CHECK_EQ(s.rooms, 0);
    SCRIPT_UNTIL(s.script, s.rooms == 1);
    shop_add(&s, "orders", 0, value);
    wait_told(&s, appended + 1);
    CHECK_EQ(s.rooms, 1);
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

/* A close waits for what is there, whatever linger.ms says. */
TEST(sender, a_close_sends_what_is_there)
{
    struct shop s;

    shop_open(&s, 1);
    s.settings.linger_ms = 60000;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    CHECK_EQ(shop_close(&s, 5000), 0);
    CHECK_TEXT(s.acks.p, "orders-0 @0 x1\n");
    shop_end(&s);
}

/* Its deadline is kept, and says what became of each record. */
TEST(sender, a_close_ends_by_its_deadline)
{
    struct shop s;

    shop_open(&s, 1);
    script_topic(s.script, "orders", 2);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    script_fault(s.script, 1, API_PRODUCE, SCRIPT_SILENT, 0);
    shop_add(&s, "orders", 0, "b");
    shop_add(&s, "nowhere", -1, "c");
    script_pass(s.script, 100);
    int64_t began_ms = io_now_ms(script_io(s.script));
    CHECK_EQ(shop_close(&s, 3000), -ETIMEDOUT);
    CHECK(io_now_ms(script_io(s.script)) - began_ms < 3100);
    CHECK_TEXT(s.acks.p, "orders-0 @0 x1\n"
                         "orders-0 x1 REQUEST_TIMED_OUT indefinite\n"
                         "nowhere--1 x1 REQUEST_TIMED_OUT definite\n");
    shop_end(&s);
}

TEST(sender, a_close_without_anything_ends_at_once)
{
    struct shop s;

    shop_open(&s, 1);
    shop_start(&s);
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

/* metadata.max.idle.ms: a topic that nobody writes to is not kept fresh, and is found again. */
TEST(sender, idle_topics_are_let_go)
{
    struct shop s;

    shop_open(&s, 1);
    s.settings.metadata_max_idle_ms = 10000;
    s.client_settings.metadata_max_idle_ms = 10000;
    s.client_settings.metadata_max_age_ms = 1000;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    uint32_t asked = script_count(s.script, 0, API_METADATA);
    script_pass(s.script, 30000);
    CHECK(script_count(s.script, 0, API_METADATA) > asked);
    asked = script_count(s.script, 0, API_METADATA);
    script_pass(s.script, 60000);
    CHECK_EQ(script_count(s.script, 0, API_METADATA), asked);
    shop_add(&s, "orders", 0, "b");
    wait_told(&s, 2);
    CHECK_TEXT(s.acks.p, "orders-0 @0 x1\norders-0 @1 x1\n");
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

static void woken(void *ctx)
{
    struct shop *s = ctx;

    CHECK(s->locked);
    s->wakes++;
}

/* Appends from other threads: they ask for a run once, until it was made. */
TEST(sender, appends_wake_the_producer_once)
{
    struct shop s;

    shop_open(&s, 1);
    s.hooks.wake = woken;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    shop_add(&s, "orders", 0, "b");
    CHECK_EQ(s.wakes, 1);
    script_pass(s.script, 1000);
    CHECK_EQ(script_count(s.script, 0, API_METADATA), 0); /* nobody has run it */
    producer_run(s.producer);
    wait_told(&s, 2);
    script_pass(s.script, 1000); /* nothing is left to be done */
    shop_add(&s, "orders", 0, "c");
    CHECK_EQ(s.wakes, 2);
    producer_run(s.producer);
    shop_add(&s, "orders", 0, "d"); /* linger.ms is waited for already */
    CHECK_EQ(s.wakes, 2);
    wait_told(&s, 4);
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}

/* A large record does not fit though half is free: it is told of room when there is enough. */
TEST(sender, room_is_room_for_what_was_refused)
{
    static char large[70000];
    struct shop s;

    shop_open(&s, 1);
    s.settings.buffer_memory = 100000;
    s.settings.linger_ms = 1000;
    script_topic(s.script, "orders", 3);
    shop_start(&s);
    shop_add(&s, "orders", 0, "first");
    wait_told(&s, 1);
    memset(large, 'x', sizeof large - 1);
    shop_add(&s, "orders", 0, "a");
    shop_add(&s, "orders", 1, "b");
    CHECK_EQ(shop_append(&s, "orders", 2, large), -EAGAIN);
    SCRIPT_UNTIL(s.script, s.rooms == 1);
    CHECK_EQ(s.told, 3);
    shop_add(&s, "orders", 2, large);
    wait_told(&s, 4);
    CHECK_EQ(s.rooms, 1);
    CHECK_EQ(shop_close(&s, 1000), 0);
    shop_end(&s);
}
