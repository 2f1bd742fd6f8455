/* Start and stop: what is there afterwards, what trouble leaves behind. */
#include "lab.h"

#include "protocol/fetch.h"

TEST(broker_life, starts_serves_and_stops_cleanly)
{
    for (uint32_t shards = 1; shards <= SIM_SHARDS_MAX; shards++) {
        struct lab lab;
        struct client c;
        struct text marker = {0};

        lab_init(&lab, shards, NULL, shards);
        CHECK_EQ(lab_start(&lab), 0);
        CHECK_TEXT(text_str(&lab.ready), "1 PLAINTEXT://broker:9092");
        client_open(&lab, &c, 9092);
        struct uuid topic = lab_topic(&lab, &c, "t", 5);
        for (int32_t p = 0; p < 5; p++)
            CHECK_EQ(lab_produce(&c, topic, p, 2), 0);
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK_EQ(sim_disk_get(lab.node, "/data/a/.kafka_cleanshutdown", &marker), 0);
        CHECK_TEXT(text_str(&lab.said), "");

        CHECK_EQ(lab_start(&lab), 0);
        client_end(&c);
        client_open(&lab, &c, 9092);
        for (int32_t p = 0; p < 5; p++)
            CHECK_EQ(lab_produce(&c, topic, p, 2), 2);
        text_deinit(&marker);
        client_end(&c);
        lab_deinit(&lab);
    }
}

TEST(broker_life, what_was_acknowledged_is_there_after_a_kill_with_another_number_of_shards)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 7, NULL, 3);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    struct uuid topic = lab_topic(&lab, &c, "t", 4);
    for (int32_t i = 0; i < 12; i++)
        lab_produce(&c, topic, i % 4, 1 + i);
    lab_kill(&lab);
    client_end(&c);

    lab.shards = 2;
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    for (int32_t p = 0; p < 4; p++) {
        const void *m = fetch_of(&c.arena, topic, p, 0, 1, 0);
        CHECK_EQ(records_in(fetched(client_ask(&c, API_FETCH, FETCH_VERSION, m))->records),
                 3 * p + 1 + 5 + 9);
    }
    client_end(&c);
    lab_deinit(&lab);
}

/* Every disk operation of a start fails once: the start ends with words or succeeds, whatever came
 * to be is taken down without a leak, and the next start is as if nothing was. */
static void fail_every_operation(uint32_t shards, bool fresh)
{
    uint64_t n = 1;

    for (bool all = false; !all; n += 1 + n / 24) {
        struct lab lab;
        struct client c;

        lab_init(&lab, 100 + shards, NULL, shards);
        lab_set(&lab, "log.dirs", "/data/a,/data/b");
        if (!fresh) {
            CHECK_EQ(lab_start(&lab), 0);
            client_open(&lab, &c, 9092);
            struct uuid topic = lab_topic(&lab, &c, "t", 3);
            lab_produce(&c, topic, 0, 3);
            client_end(&c);
            lab_kill(&lab);
        }
        sim_fail_at(lab.node, n, -EIO);
        int64_t result = lab_start(&lab);
        sim_fail_at(lab.node, 0, 0);
        uint64_t failures = 0;
        for (int kind = 0; kind < SIM_KINDS; kind++)
            failures += sim_node_counters(lab.node)->failed[kind];
        all = failures == 0;
        CHECK(result == 0 || lab.fail.text[0] != 0);
        if (result == 0 && lab.fatal.error == 0)
            CHECK(lab.ready.n > 0);
        lab_stop(&lab);

        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        lab_produce(&c, lab_topic(&lab, &c, "after", 1), 0, 1);
        client_end(&c);
        CHECK_EQ(lab_stop(&lab), 0);
        lab_deinit(&lab);
    }
    CHECK(n > 30);
}

TEST(broker_life, a_first_start_survives_trouble_at_each_disk_operation)
{
    fail_every_operation(1, true);
    fail_every_operation(3, true);
}

TEST(broker_life, a_later_start_survives_trouble_at_each_disk_operation)
{
    fail_every_operation(1, false);
    fail_every_operation(3, false);
}

/* The process is gone in the middle of a start: its memory can be freed, and the next one starts.
 */
TEST(broker_life, a_start_that_is_killed_at_any_disk_change_can_be_done_again)
{
    for (uint64_t n = 1; n < 60; n += 2) {
        struct lab lab;

        lab_init(&lab, n, NULL, 2);
        sim_node_start(lab.node, 2);
        sim_crash_at_io(lab.node, n, SIM_CRASH_POWER);
        int64_t result = lab_start(&lab);
        sim_crash_at_io(lab.node, 0, SIM_CRASH_POWER);
        CHECK(result == 0 || !sim_node_is_up(lab.node));
        lab_kill(&lab);
        CHECK_EQ(lab_start(&lab), 0);
        CHECK_EQ(lab_stop(&lab), 0);
        lab_deinit(&lab);
    }
}

TEST(broker_life, a_directory_is_used_by_one_broker_at_a_time)
{
    struct lab lab, second;

    lab_init(&lab, 3, NULL, 1);
    CHECK_EQ(lab_start(&lab), 0);
    second = lab; /* another broker in the same process: the lock does not care */
    second.broker = NULL;
    second.said = second.ready = (struct text){0};
    CHECK(lab_start(&second) < 0);
    CHECK(strstr(second.fail.text, "/data/a") != NULL);
    CHECK(strstr(second.fail.text, "use") != NULL);
    struct wait w;
    broker_stop(second.broker, wait_begin(&w));
    wait_end(&lab, &w);
    CHECK_EQ(lab_stop(&lab), 0);
    text_deinit(&second.said);
    text_deinit(&second.ready);
    lab_deinit(&lab);
}

/* Requests of every kind of waiting are under way: the stop ends them, and completes soon. */
TEST(broker_life, a_stop_does_not_wait_for_clients)
{
    for (uint32_t shards = 1; shards <= 4; shards += 3) {
        struct lab lab;
        struct client c, idle, half, reader, producer;

        lab_init(&lab, 11, NULL, shards);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        struct uuid topic = lab_topic(&lab, &c, "t", 4);
        client_open(&lab, &idle, 9092);
        client_open(&lab, &half, 9092);
        client_send_bytes(&half, (struct bytes){(const uint8_t *)"\0\0\4\0abc", 7});
        client_open(&lab, &reader, 9092);
        for (int32_t p = 0; p < 4; p++)
            client_post(&reader, API_FETCH, FETCH_VERSION,
                        fetch_of(&reader.arena, topic, p, 0, 1000000, 600000));
        client_open(&lab, &producer, 9092);
        for (int32_t p = 0; p < 4; p++)
            client_post(&producer, API_PRODUCE, PRODUCE_VERSION,
                        produce_of(&producer.arena, topic, p, -1, batch_of(&producer.arena, 3)));
        int64_t began = sim_now_ns(lab.sim);
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK(sim_now_ns(lab.sim) - began < SEC);
        client_until_closed(&idle);
        client_until_closed(&half);
        UNTIL(&lab, !reader.open && !producer.open);
        client_end(&c);
        client_end(&idle);
        client_end(&half);
        client_end(&reader);
        client_end(&producer);
        lab_deinit(&lab);
    }
}

TEST(broker_life, a_disk_that_fails_while_running_is_fatal_and_leaves_no_clean_marker)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        struct lab lab;
        struct client c;
        struct text marker = {0};

        lab_init(&lab, 5, NULL, shards);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        struct uuid topic = lab_topic(&lab, &c, "t", 4);
        sim_fail_at(lab.node, 1, -EIO);
        for (int32_t p = 0; p < 4; p++)
            client_post(&c, API_PRODUCE, PRODUCE_VERSION,
                        produce_of(&c.arena, topic, p, -1, batch_of(&c.arena, 3)));
        UNTIL(&lab, lab.fatal.error < 0);
        CHECK(strstr(lab.fatal.text, "/data/a") != NULL);
        int64_t began = sim_now_ns(lab.sim);
        CHECK(lab_stop(&lab) < 0);
        CHECK(sim_now_ns(lab.sim) - began < 10 * SEC);
        CHECK(sim_disk_get(lab.node, "/data/a/.kafka_cleanshutdown", &marker) < 0);
        CHECK_EQ(lab_start(&lab), 0);
        client_end(&c);
        lab_deinit(&lab);
    }
}

TEST(broker_life, a_port_that_is_taken_is_told_and_taken_back)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct lab lab;
        struct io_address at = {.port = 9092};
        struct io_listener *other;
        struct wait w;

        lab_init(&lab, 5, NULL, shards);
        sim_node_start(lab.node, shards);
        io_listen(sim_node_io(lab.node, 0), &at, NULL, &other, NULL, wait_begin(&w));
        CHECK_EQ(wait_end(&lab, &w), 0);
        CHECK_EQ(lab_start(&lab), -EADDRINUSE);
        CHECK(strstr(lab.fail.text, "PLAINTEXT://:9092") != NULL);
        CHECK(lab_stop(&lab) <= 0);
        CHECK_EQ(lab_start(&lab), 0);
        lab_deinit(&lab);
    }
}

TEST(broker_life, a_controller_alone_runs_and_stops)
{
    struct lab lab;
    struct client c;

    lab_init(&lab, 5, NULL, 2);
    lab_set(&lab, "process.roles", "controller");
    lab_set(&lab, "listeners", "CONTROLLER://:9093");
    lab_set(&lab, "advertised.listeners", "CONTROLLER://broker:9093");
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9093);
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

TEST(broker_life, too_many_directories_are_refused)
{
    struct lab lab;
    struct text dirs = {0};

    lab_init(&lab, 5, NULL, 1);
    for (int i = 0; i < 70; i++)
        text_printf(&dirs, "%s/d%d", i > 0 ? "," : "", i);
    lab_set(&lab, "log.dirs", dirs.p);
    CHECK_EQ(lab_start(&lab), ERR_LIMIT);
    lab_stop(&lab);
    text_deinit(&dirs);
    lab_deinit(&lab);
}
