/* The producer before brokers that are not well. */
#include "shop.h"

#include <stdio.h>

static void wait_told(struct shop *s, uint32_t records)
{
    SCRIPT_UNTIL(s->script, s->told == records);
}

/* One topic of two partitions on two brokers; "a" is acknowledged in partition 0 already. */
static void begin(struct shop *s)
{
    shop_open(s, 2);
    s->settings.linger_ms = 0;
    script_topic(s->script, "orders", 2);
    shop_start(s);
    shop_add(s, "orders", 0, "a");
    wait_told(s, 1);
    text_clear(&s->acks);
    text_clear(&s->batches);
}

static void end(struct shop *s)
{
    CHECK_EQ(shop_close(s, 1000), 0);
    shop_end(s);
}

TEST(sender_trouble, a_batch_in_doubt_goes_again_under_its_sequence)
{
    struct shop s;

    begin(&s);
    script_fault(s.script, 0, API_PRODUCE, SCRIPT_CUT_AFTER, 0);
    shop_add(&s, "orders", 0, "b");
    wait_told(&s, 2);
    CHECK_TEXT(s.acks.p, "orders-0 @1 x1\n");
    CHECK_TEXT(s.batches.p, "0:100/0/1 x1\n0:100/0/1 x1\n");
    script_fault(s.script, 0, API_PRODUCE, SCRIPT_CUT, 0);
    shop_add(&s, "orders", 0, "c");
    wait_told(&s, 3);
    CHECK_TEXT(shop_values(&s, "orders", 0), "a b c");
    end(&s);
}

static void try_fault(enum script_fault fault, int64_t argument)
{
    struct shop s;

    begin(&s);
    script_fault(s.script, 0, API_PRODUCE, fault, argument);
    shop_add(&s, "orders", 0, "b");
    wait_told(&s, 2);
    CHECK_TEXT(shop_values(&s, "orders", 0), "a b");
    CHECK_EQ(s.acked, 2);
    end(&s);
}

TEST(sender_trouble, answers_that_make_no_sense_leave_a_batch_in_doubt)
{
    try_fault(SCRIPT_LENGTH, -5);
    try_fault(SCRIPT_CORRELATION, 0);
    try_fault(SCRIPT_SHORT, 3);
    try_fault(SCRIPT_GARBAGE, 0);
    try_fault(SCRIPT_SILENT, 0);
}

/* Errors that pass: the batches behind the refused one are refused for their sequence, and all go again in order. */
TEST(sender_trouble, batches_go_again_in_order)
{
    struct shop s;
    char value[8];

    shop_open(&s, 1);
    s.settings.linger_ms = 0;
    s.settings.batch_size = 75; /* a record each */
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "first");
    wait_told(&s, 1);
    shop_plan(&s, 0, KERR_NOT_ENOUGH_REPLICAS, false);
    for (int i = 0; i < 12; i++) {
        snprintf(value, sizeof value, "%d", i);
        shop_add(&s, "orders", 0, value);
    }
    wait_told(&s, 13);
    CHECK_TEXT(shop_values(&s, "orders", 0), "first 0 1 2 3 4 5 6 7 8 9 10 11");
    CHECK_EQ(s.acked, 13);
    struct producer_stats stats;
    producer_stats(s.producer, &stats);
    CHECK(stats.batches_retried >= 2);
    CHECK_EQ(stats.epochs_bumped, 0);
    CHECK_EQ(stats.memory_bytes, 0);
    end(&s);
}

/* It was appended, but that is not what the broker says. */
TEST(sender_trouble, indefinite_errors_are_asked_for_again)
{
    static const int16_t codes[] = {KERR_REQUEST_TIMED_OUT, KERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                                    KERR_NOT_LEADER_OR_FOLLOWER};

    for (size_t i = 0; i < array_count(codes); i++) {
        struct shop s;
        begin(&s);
        shop_plan(&s, 0, codes[i], true);
        shop_add(&s, "orders", 0, "b");
        wait_told(&s, 2);
        CHECK_TEXT(s.acks.p, "orders-0 @1 x1\n");
        CHECK_TEXT(shop_values(&s, "orders", 0), "a b");
        end(&s);
    }
}

TEST(sender_trouble, a_refused_batch_leaves_no_gap)
{
    struct shop s;

    begin(&s);
    shop_plan(&s, 0, KERR_INVALID_RECORD, false);
    shop_add(&s, "orders", 0, "b");
    wait_told(&s, 2);
    shop_add(&s, "orders", 0, "c");
    wait_told(&s, 3);
    CHECK_TEXT(s.acks.p, "orders-0 x1 INVALID_RECORD definite\norders-0 @1 x1\n");
    CHECK_TEXT(s.batches.p, "0:100/0/1 x1\n0:100/1/0 x1\n");
    CHECK_TEXT(s.errors.p, "1 records for orders-0: INVALID_RECORD, after 1 attempts\n");
    end(&s);
}

/* P3: given up in doubt; the epoch is bumped before anything follows. */
TEST(sender_trouble, what_is_in_doubt_too_long_fails_indefinitely)
{
    struct shop s;

    shop_open(&s, 1);
    s.settings.linger_ms = 0;
    s.settings.request_timeout_ms = s.client_settings.request_timeout_ms = 1000;
    s.settings.delivery_timeout_ms = 3000;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    for (int i = 0; i < 3; i++)
        script_fault(s.script, 0, API_PRODUCE, SCRIPT_SILENT, 0);
    text_clear(&s.acks);
    text_clear(&s.batches);
    int64_t began_ms = io_now_ms(script_io(s.script));
    shop_add(&s, "orders", 0, "b");
    wait_told(&s, 2);
    int64_t took_ms = io_now_ms(script_io(s.script)) - began_ms;
    CHECK(took_ms >= 3000 && took_ms < 3050);
    shop_add(&s, "orders", 0, "c");
    wait_told(&s, 3);
    CHECK_TEXT(s.acks.p, "orders-0 x1 REQUEST_TIMED_OUT indefinite\norders-0 @2 x1\n");
    CHECK(str_ends(text_str(&s.batches), STR("0:100/0/1 x1\n0:100/1/0 x1\n")));
    CHECK_TEXT(shop_values(&s, "orders", 0), "a b c");
    CHECK_TEXT(s.errors.p, "1 records for orders-0 (which a broker may have): not delivered within "
                           "delivery.timeout.ms=3000, after 3 attempts: the broker has not acknowledged it\n");
    end(&s);
}

TEST(sender_trouble, what_was_never_sent_fails_definitely)
{
    struct shop s;

    shop_open(&s, 1);
    s.settings.request_timeout_ms = s.client_settings.request_timeout_ms = 1000;
    s.settings.delivery_timeout_ms = 3000;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    script_stop(s.script, 1);
    text_clear(&s.acks);
    int64_t began_ms = io_now_ms(script_io(s.script));
    shop_add(&s, "orders", 0, "b");
    shop_add(&s, "missing", -1, "c");
    wait_told(&s, 3);
    CHECK(io_now_ms(script_io(s.script)) - began_ms < 3050);
    CHECK(strstr(s.acks.p, "orders-0 x1 REQUEST_TIMED_OUT definite\n") != NULL);
    CHECK(strstr(s.acks.p, "missing--1 x1 REQUEST_TIMED_OUT definite\n") != NULL);
    script_start(s.script, 1);
    shop_add(&s, "orders", 0, "d");
    wait_told(&s, 4);
    CHECK_TEXT(shop_values(&s, "orders", 0), "a d");
    end(&s);
}

TEST(sender_trouble, a_new_leader_is_found)
{
    for (int hints = 0; hints < 2; hints++) {
        struct shop s;
        begin(&s);
        s.hints = hints == 1;
        script_move(s.script, "orders", 0, 2);
        script_log_clear(s.script);
        shop_add(&s, "orders", 0, "b");
        wait_told(&s, 2);
        CHECK_TEXT(s.acks.p, "orders-0 @1 x1\n");
        if (s.hints)
            CHECK_TEXT(script_log(s.script), "1 Produce v13\n2 ApiVersions v5\n2 Produce v13\n");
        end(&s);
    }
}

TEST(sender_trouble, a_broker_that_vanishes_is_left_for_the_new_leader)
{
    struct shop s;

    begin(&s);
    sim_net_cut(script_machine(s.script), script_node(s.script, 1));
    shop_add(&s, "orders", 0, "b");
    script_pass(s.script, 1000);
    script_move(s.script, "orders", 0, 2);
    wait_told(&s, 2);
    CHECK_TEXT(shop_values(&s, "orders", 0), "a b");
    end(&s);
}

TEST(sender_trouble, a_batch_that_is_too_large_is_split)
{
    struct shop s;
    char value[8];

    begin(&s);
    s.settings.linger_ms = 0;
    for (int i = 0; i < 5; i++) {
        snprintf(value, sizeof value, "%d", i);
        shop_add(&s, "orders", 0, value);
    }
    shop_plan(&s, 0, KERR_MESSAGE_TOO_LARGE, false);
    shop_plan(&s, 0, KERR_MESSAGE_TOO_LARGE, false);
    wait_told(&s, 6);
    CHECK_TEXT(shop_values(&s, "orders", 0), "a 0 1 2 3 4");
    CHECK_TEXT(s.acks.p, "orders-0 @1 x1\norders-0 @2 x1\norders-0 @3 x3\n");
    text_clear(&s.acks);
    shop_plan(&s, 0, KERR_MESSAGE_TOO_LARGE, false);
    shop_add(&s, "orders", 0, "alone");
    wait_told(&s, 7);
    CHECK_TEXT(s.acks.p, "orders-0 x1 MESSAGE_TOO_LARGE definite\n");
    CHECK_TEXT(s.errors.p, "1 records for orders-0: MESSAGE_TOO_LARGE: larger than max.message.bytes, "
                           "after 1 attempts\n");
    end(&s);
}

/* Its log is empty and knows no sequences: what was not sent goes there, under a new epoch. */
TEST(sender_trouble, a_topic_that_was_deleted_and_made_again_is_written_to)
{
    struct shop s;

    begin(&s);
    script_topic_gone(s.script, "orders");
    shop_add(&s, "orders", 0, "b");
    script_pass(s.script, 1500);
    CHECK_EQ(s.told, 1);
    script_topic(s.script, "orders", 2);
    wait_told(&s, 2);
    CHECK_EQ(s.acked, 2);
    CHECK(str_ends(text_str(&s.batches), STR("0:100/1/0 x1\n")));
    end(&s);
}

/* KIP-219: the broker has answered, and asks for silence. */
TEST(sender_trouble, a_throttled_producer_is_silent)
{
    struct shop s;

    begin(&s);
    s.throttle_ms = 2000;
    shop_add(&s, "orders", 0, "b");
    wait_told(&s, 2);
    s.throttle_ms = 0;
    shop_add(&s, "orders", 0, "c");
    script_pass(s.script, 1900);
    CHECK_EQ(s.told, 2);
    wait_told(&s, 3);
    end(&s);
}

TEST(sender_trouble, a_producer_id_is_asked_for_until_it_comes)
{
    struct shop s;

    shop_open(&s, 2);
    script_topic(s.script, "orders", 1);
    s.init_error = KERR_COORDINATOR_LOAD_IN_PROGRESS;
    script_fault(s.script, 0, API_INIT_PRODUCER_ID, SCRIPT_CUT, 0);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    CHECK_EQ(s.acked, 1);
    CHECK_EQ(script_count(s.script, 0, API_INIT_PRODUCER_ID), 3);
    end(&s);
}

TEST(sender_trouble, a_fatal_producer_says_so_once_and_refuses)
{
    struct shop s;

    shop_open(&s, 1);
    script_topic(s.script, "orders", 1);
    s.init_error = KERR_CLUSTER_AUTHORIZATION_FAILED;
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    CHECK_EQ(s.fatals, 1);
    CHECK_EQ(shop_append(&s, "orders", 0, "b"), ERR_CLOSED);
    script_pass(s.script, 5000);
    CHECK_EQ(s.fatals, 1);
    CHECK_TEXT(s.acks.p, "orders-0 x1 CLUSTER_AUTHORIZATION_FAILED definite\n");
    CHECK_EQ(shop_close(&s, 1000), ERR_CLOSED);
    shop_end(&s);
}

TEST(sender_trouble, a_topic_that_may_not_be_seen_fails_its_records)
{
    struct shop s;

    shop_open(&s, 1);
    script_topic(s.script, "orders", 1)->error = KERR_TOPIC_AUTHORIZATION_FAILED;
    shop_start(&s);
    shop_add(&s, "orders", -1, "a");
    wait_told(&s, 1);
    CHECK_TEXT(s.acks.p, "orders--1 x1 TOPIC_AUTHORIZATION_FAILED definite\n");
    script_topic(s.script, "orders", 1)->error = KERR_NONE;
    script_pass(s.script, 1000);
    shop_add(&s, "orders", -1, "b");
    wait_told(&s, 2);
    end(&s);
}

/* One that cannot be sent in a version that the broker knows. */
TEST(sender_trouble, brokers_without_the_version_refuse_definitely)
{
    struct shop s;

    shop_open(&s, 1);
    script_topic(s.script, "orders", 1);
    script_versions(s.script, 0, API_PRODUCE, 0, 2);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    CHECK_TEXT(s.acks.p, "orders-0 x1 UNSUPPORTED_VERSION definite\n");
    end(&s);
}

TEST(sender_trouble, thirty_answers_of_noise_do_no_harm)
{
    struct shop s;

    begin(&s);
    for (int i = 0; i < 30; i++)
        script_fault(s.script, 0, API_PRODUCE, SCRIPT_GARBAGE, 0);
    shop_add(&s, "orders", 0, "b");
    shop_add(&s, "orders", 1, "c");
    wait_told(&s, 3);
    CHECK_EQ(s.acked, 3);
    CHECK_TEXT(shop_values(&s, "orders", 0), "a b");
    CHECK_TEXT(shop_values(&s, "orders", 1), "c");
    end(&s);
}

/* retries=0: what never left is no attempt, and goes to the new leader; what was sent is not sent again. */
TEST(sender_trouble, what_never_left_is_no_attempt)
{
    struct shop s;

    shop_open(&s, 2);
    s.settings.idempotence = false;
    s.settings.retries = 0;
    s.settings.linger_ms = 0;
    script_topic(s.script, "orders", 2);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    script_stop(s.script, 1);
    shop_add(&s, "orders", 0, "b");
    script_pass(s.script, 1000);
    CHECK_EQ(s.told, 1);
    script_move(s.script, "orders", 0, 2);
    wait_told(&s, 2);
    CHECK_EQ(s.acked, 2);
    text_clear(&s.acks);
    script_fault(s.script, 2, API_PRODUCE, SCRIPT_CUT, 0);
    shop_add(&s, "orders", 0, "c");
    wait_told(&s, 3);
    CHECK_TEXT(s.acks.p, "orders-0 x1 NETWORK_EXCEPTION indefinite\n");
    CHECK_TEXT(shop_values(&s, "orders", 0), "a b");
    end(&s);
}
