/* The order in which records are told of, where the end of some is known before that of older ones. */
#include "shop.h"

static void wait_told(struct shop *s, uint32_t records)
{
    SCRIPT_UNTIL(s->script, s->told == records);
}

static void end(struct shop *s)
{
    CHECK_EQ(shop_close(s, 1000), 0);
    shop_end(s);
}

/* All memory is taken by records of a topic that is not known yet. -> how many */
static uint32_t begin_full(struct shop *s, uint32_t brokers)
{
    uint32_t appended = 0;

    shop_open(s, brokers);
    s->settings.batch_size = 200;
    s->settings.buffer_memory = 4000;
    s->settings.request_timeout_ms = s->client_settings.request_timeout_ms = 1000;
    s->settings.delivery_timeout_ms = 3000;
    shop_start(s);
    while (shop_append(s, "orders", (int32_t)appended % 6, "a record") == 0)
        appended++;
    return appended;
}

/* Some had their place already, others waited for memory to get theirs: all were told of in order. */
static void check_waiting_last(struct shop *s)
{
    struct str rest = text_str(&s->acks), line;
    uint32_t placed = 0, waiting = 0;

    while (str_cut(&rest, '\n', &line)) {
        bool waits = str_starts(line, STR("orders--1 "));
        CHECK(waits || waiting == 0);
        placed += !waits;
        waiting += waits;
    }
    CHECK(placed > 0 && waiting > 0);
}

TEST(sender_order, records_that_wait_are_told_of_behind_those_with_a_place)
{
    struct shop s;
    uint32_t appended = begin_full(&s, 1);
    struct script_topic *topic = script_topic(s.script, "orders", 6);

    for (int32_t i = 0; i < 6; i++)
        topic->partitions[i].leader = -1;
    wait_told(&s, appended);
    check_waiting_last(&s);
    end(&s);
}

/* A Produce to a broker that cannot be reached ends a little after it is taken back, and only then its records. */
TEST(sender_order, records_that_wait_are_told_of_behind_those_that_are_taken_back)
{
    for (int closes = 0; closes < 2; closes++) {
        struct shop s;
        uint32_t appended = begin_full(&s, 2);
        SCRIPT_UNTIL(s.script, script_count(s.script, 0, API_METADATA) > 0);
        sim_net_cut(script_machine(s.script), script_node(s.script, 1));
        struct script_topic *topic = script_topic(s.script, "orders", 6);
        for (int32_t i = 0; i < 6; i++)
            topic->partitions[i].leader = 1;
        if (closes == 0) {
            wait_told(&s, appended);
            check_waiting_last(&s);
            end(&s);
            continue;
        }
        script_pass(s.script, 2000);
        CHECK_EQ(shop_close(&s, 100), -ETIMEDOUT);
        CHECK_EQ(s.told, appended);
        check_waiting_last(&s);
        shop_end(&s);
    }
}

/* What is in doubt, and unknown to a broker that has started again, is given up as soon as that is known. */
TEST(sender_order, records_that_a_broker_knows_nothing_of_are_told_of_at_once)
{
    struct shop s;

    shop_open(&s, 1);
    s.settings.linger_ms = 0;
    script_topic(s.script, "orders", 1);
    shop_start(&s);
    shop_add(&s, "orders", 0, "a");
    wait_told(&s, 1);
    text_clear(&s.acks);
    shop_plan(&s, 0, KERR_REQUEST_TIMED_OUT, false);
    shop_plan(&s, 0, KERR_OUT_OF_ORDER_SEQUENCE_NUMBER, false);
    int64_t began_ms = io_now_ms(script_io(s.script));
    shop_add(&s, "orders", 0, "b");
    wait_told(&s, 2);
    CHECK(io_now_ms(script_io(s.script)) - began_ms < 2000);
    CHECK_TEXT(s.acks.p, "orders-0 x1 OUT_OF_ORDER_SEQUENCE_NUMBER indefinite\n");
    end(&s);
}
