/* Bounds: connections, their rate, the time of a start, memory and how shards lend it. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/shard.h"
#include "broker/start.h"
#include "protocol/api_versions.h"
#include "protocol/produce.h"

static void versions(struct client *c)
{
    struct api_versions_request m;

    api_versions_request_init(&m);
    m.client_software_name = STR("lab");
    m.client_software_version = STR("1");
    client_ask(c, API_API_VERSIONS, 3, &m);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* Exactly, however the kernel spreads them over shards. */
TEST(broker_limits, an_address_has_no_more_connections_than_it_may)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        struct lab lab;
        struct client c[4], more, later;

        lab_init(&lab, 7 + shards, NULL, shards);
        lab_set(&lab, "max.connections.per.ip", "4");
        lab_set(&lab, "max.connections.per.ip.overrides", "127.0.0.9:1");
        lab.sink.level = LOG_INFO;
        CHECK_EQ(lab_start(&lab), 0);
        for (int i = 0; i < 4; i++) {
            client_open(&lab, &c[i], 9092);
            versions(&c[i]);
        }
        client_open(&lab, &more, 9092);
        client_until_closed(&more);
        CHECK(strstr(lab.said.p, "address already has the configured maximum of 4 connections") != NULL);
        client_end(&more);
        client_end(&c[2]);
        lab_until_connections(&lab, 3);
        client_open(&lab, &later, 9092);
        versions(&later);
        client_end(&later);
        for (int i = 0; i < 4; i++) {
            if (i != 2)
                client_end(&c[i]);
        }
        CHECK_EQ(lab_stop(&lab), 0);
        lab_deinit(&lab);
    }
}

TEST(broker_limits, an_address_may_have_a_limit_of_its_own)
{
    struct lab lab;
    struct client a, b;
    char overrides[300];

    lab_init(&lab, 7, NULL, 2);
    snprintf(overrides, sizeof overrides, "10.99.0.1:5, %s : 1", sim_node_host(lab.clients));
    lab_set(&lab, "max.connections.per.ip.overrides", overrides);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &a, 9092);
    versions(&a);
    client_open(&lab, &b, 9092);
    client_until_closed(&b);
    client_end(&a);
    client_end(&b);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* A guest that leaves, or a broker that stops, while the home shard is asked. */
TEST(broker_limits, a_guest_may_leave_before_it_is_counted)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct lab lab;
        struct client c, d;

        lab_init(&lab, seed, NULL, 3);
        lab_set(&lab, "max.connections.per.ip", "2");
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        client_end(&c);
        client_open(&lab, &c, 9092);
        client_open(&lab, &d, 9092);
        CHECK_EQ(lab_stop(&lab), 0);
        client_end(&c);
        client_end(&d);
        lab_deinit(&lab);
    }
}

TEST(broker_limits, connections_come_no_faster_than_they_may)
{
    struct lab lab;
    struct client c[8];

    lab_init(&lab, 3, NULL, 1);
    lab_set(&lab, "max.connection.creation.rate", "2");
    CHECK_EQ(lab_start(&lab), 0);
    int64_t began = sim_now_ns(lab.sim);
    for (int i = 0; i < 8; i++) {
        client_open(&lab, &c[i], 9092);
        versions(&c[i]);
    }
    int64_t took = sim_now_ns(lab.sim) - began;
    CHECK(took > 2 * SEC); /* a second's worth and one at once, then two a second */
    CHECK(took < 4 * SEC);
    for (int i = 0; i < 8; i++)
        client_end(&c[i]);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* ---- a start --------------------------------------------------------------------------------- */

TEST(broker_limits, a_start_may_have_a_limit)
{
    struct lab lab;
    struct wait w;

    lab_init(&lab, 3, NULL, 1);
    lab_set(&lab, "server.max.startup.time.ms", "60000");
    CHECK_EQ(lab_start(&lab), 0);
    lab_pass(&lab, 120 * SEC); /* it is over when the start is */
    CHECK_EQ(lab.fatal.error, 0);
    CHECK_EQ(lab_stop(&lab), 0);

    lab_set(&lab, "server.max.startup.time.ms", "300");
    sim_disk_slow(lab.node, 10000, INT64_MAX);
    lab_begin(&lab, &w);
    UNTIL(&lab, lab.fatal.error < 0 || w.done);
    CHECK_EQ(lab.fatal.error, -ETIMEDOUT);
    CHECK(strstr(lab.fatal.text, "server.max.startup.time.ms (300)") != NULL);
    sim_node_kill(lab.node); /* as the process would end itself */
    CHECK(wait_end(&lab, &w) < 0);
    lab_kill(&lab);
    lab_deinit(&lab);
}

/* Two other voters never come. */
TEST(broker_limits, a_start_that_waits_for_others_can_be_canceled)
{
    for (int64_t after_ms = 0; after_ms <= 5000; after_ms = after_ms * 2 + 1) {
        struct lab lab;
        struct wait w;
        lab_init(&lab, 3, NULL, 1);
        lab_set(&lab, "controller.quorum.voters", "1@broker:9093,2@nowhere:9093,3@nowhere:9094");
        lab_begin(&lab, &w);
        lab_pass(&lab, after_ms * 1000000);
        CHECK(!w.done);
        broker_start_cancel(lab.broker);
        CHECK_EQ(wait_end(&lab, &w), -ECANCELED);
        CHECK(strstr(lab.fail.text, "asked to stop while it was starting") != NULL);
        CHECK_EQ(lab.fatal.error, 0);
        CHECK_EQ(lab_stop(&lab), 0);
        lab_deinit(&lab);
    }
}

/* What a clean stop left is as clean after a start that came to nothing: the marker, with its epoch, and the checkpoints. */
TEST(broker_limits, a_start_that_is_canceled_leaves_a_directory_as_clean_as_it_was)
{
    static const char marker[] = "/data/a/.kafka_cleanshutdown";
    uint32_t as_found = 0;

    for (int64_t after_us = 0; after_us < 40000; after_us += 1000) {
        struct lab lab;
        struct wait w;
        struct client c;
        struct text before = {0}, after = {0}, points = {0}, same = {0};
        lab_init(&lab, 3, NULL, 1);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        CHECK_EQ(lab_produce(&c, lab_topic(&lab, &c, "t", 2), 0, 3), 0);
        client_end(&c);
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK_EQ(sim_disk_get(lab.node, marker, &before), 0);
        CHECK_EQ(sim_disk_get(lab.node, "/data/a/recovery-point-offset-checkpoint", &points), 0);
        lab_begin(&lab, &w);
        lab_pass(&lab, after_us * 1000);
        if (!w.done)
            broker_start_cancel(lab.broker);
        bool as_it_was = wait_end(&lab, &w) < 0 && !lab.broker->life->published;
        bool registered = lab.broker->node != NULL && node_broker_epoch(lab.broker->node) >= 0;
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK_EQ(sim_disk_get(lab.node, "/data/a/recovery-point-offset-checkpoint", &same), 0);
        CHECK_TEXT(text_str(&same), points.p);
        if (as_it_was) {
            CHECK_EQ(sim_disk_get(lab.node, marker, &after), 0);
            CHECK(registered || strcmp(after.p, before.p) == 0);
            as_found++;
        }
        text_deinit(&before);
        text_deinit(&after);
        text_deinit(&points);
        text_deinit(&same);
        CHECK_EQ(lab_start(&lab), 0);
        CHECK_EQ(lab_stop(&lab), 0);
        lab_deinit(&lab);
    }
    CHECK(as_found > 5);
}

TEST(broker_limits, a_broker_that_cannot_register_gives_up)
{
    struct lab lab;

    lab_init(&lab, 3, NULL, 1);
    lab_set(&lab, "initial.broker.registration.timeout.ms", "5000");
    CHECK_EQ(lab_start(&lab), 0);
    lab_pass(&lab, 20 * SEC); /* it has registered */
    CHECK_EQ(lab.fatal.error, 0);
    CHECK_EQ(lab_stop(&lab), 0);
    sim_disk_slow(lab.node, 10000, INT64_MAX);
    CHECK_EQ(lab_start(&lab), -ETIMEDOUT);
    CHECK(strstr(lab.fail.text, "initial.broker.registration.timeout.ms (5000)") != NULL);
    lab_stop(&lab);
    lab_deinit(&lab);
}

/* ---- memory ---------------------------------------------------------------------------------- */

#define MIB (UINT64_C(1) << 20)

/* What the shards may use together, and what is on its way between them. */
static uint64_t limits_together(const struct lab *lab)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < lab->shards; i++) {
        const struct broker_shard *s = &lab->broker->shards[i];
        sum += s->ledger.limit_bytes;
    }
    return sum;
}

static uint64_t borrowed_together(const struct lab *lab)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < lab->shards; i++)
        sum += lab->broker->shards[i].loan.borrowed_bytes;
    return sum;
}

struct sending {
    struct client c;
    struct text frame;
    struct io_span span;
    struct wait sent;
};

/* A Produce request of so many bytes that mean nothing. */
static void send_large(struct lab *lab, struct sending *s, uint64_t bytes)
{
    uint8_t *records = calloc(1, bytes);

    *s = (struct sending){0};
    client_open(lab, &s->c, 9092);
    client_write(&s->c, API_PRODUCE, PRODUCE_VERSION,
                 produce_of(&s->c.arena, (struct uuid){{1}}, 0, 1, (struct bytes){records, (int32_t)bytes}),
                 &s->frame);
    free(records);
    s->span = (struct io_span){.p = (uint8_t *)s->frame.p, .n = (uint32_t)s->frame.n};
    io_send(s->c.socket, &s->span, 1, wait_begin(&s->sent));
}

static void end_large(struct sending *s)
{
    client_end(&s->c);
    text_deinit(&s->frame);
}

/* 64 MiB for two shards: each has 24 MiB, and at most 12 of the other's. */
TEST(broker_limits, a_shard_lends_what_it_does_not_need)
{
    struct lab lab;
    struct sending s;

    lab_init(&lab, 5, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    uint64_t all = limits_together(&lab);
    CHECK_EQ(all, 48 * MIB);
    send_large(&lab, &s, 30 * MIB);
    UNTIL(&lab, client_has_answer(&s.c) || borrowed_together(&lab) > 0);
    CHECK(borrowed_together(&lab) >= 6 * MIB);
    CHECK_EQ(limits_together(&lab), all);
    client_answer(&s.c, API_PRODUCE, PRODUCE_VERSION, s.c.correlation);
    UNTIL(&lab, borrowed_together(&lab) == 0 && !lab.broker->shards[0].loan.under_way &&
                    !lab.broker->shards[1].loan.under_way);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(lab.broker->shards[i].ledger.limit_bytes, 24 * MIB);
    end_large(&s);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

TEST(broker_limits, a_request_that_can_never_fit_is_refused)
{
    struct lab lab;
    struct sending s;

    lab_init(&lab, 5, NULL, 2);
    CHECK_EQ(lab_start(&lab), 0);
    send_large(&lab, &s, 37 * MIB);
    client_until_closed(&s.c);
    CHECK(strstr(lab.said.p, "millrace.memory.bytes leaves 37748736 bytes for one") != NULL);
    end_large(&s);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

static uint64_t requests_most(const struct lab *lab)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < lab->shards; i++) {
        const struct ledger *l = &lab->broker->shards[i].ledger;
        if (l->uses[LEDGER_REQUESTS] > most)
            most = l->uses[LEDGER_REQUESTS];
        CHECK(l->used_bytes <= l->limit_bytes + MIB); /* small things are not asked for */
    }
    return most;
}

/* Ten producers send 5 MiB each, and there is memory for 24: they take turns, and each is answered. */
TEST(broker_limits, requests_take_turns_where_memory_is_short)
{
    enum { SENDERS = 10 };
    struct lab lab;
    struct sending s[SENDERS];
    uint64_t most = 0;
    int answered = 0;

    lab_init(&lab, 5, NULL, 1);
    lab_set(&lab, "queued.max.request.bytes", "12000000");
    CHECK_EQ(lab_start(&lab), 0);
    for (int i = 0; i < SENDERS; i++)
        send_large(&lab, &s[i], 5 * MIB);
    while (answered < SENDERS) {
        CHECK(sim_step(lab.sim));
        if (requests_most(&lab) > most)
            most = requests_most(&lab);
        answered = 0;
        for (int i = 0; i < SENDERS; i++)
            answered += client_has_answer(&s[i].c);
    }
    CHECK(most > 10 * MIB);
    CHECK(most < 12000000 + 6 * MIB); /* one that has begun may go on (M5) */
    for (int i = 0; i < SENDERS; i++)
        end_large(&s[i]);
    lab_until_connections(&lab, 0);
    CHECK_EQ(lab.broker->shards[0].ledger.uses[LEDGER_REQUESTS], 0);
    CHECK_EQ(lab.broker->shards[0].ledger.uses[LEDGER_ANSWERS], 0);
    CHECK_EQ(lab.broker->shards[0].ledger.uses[LEDGER_WORK], 0);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

/* A connection that ends while it waits for memory, and a stop, at any moment. */
TEST(broker_limits, who_waits_for_memory_may_go)
{
    for (int after_ms = 0; after_ms < 60; after_ms += 3) {
        struct lab lab;
        struct sending s[4];

        lab_init(&lab, 5, NULL, 2);
        CHECK_EQ(lab_start(&lab), 0);
        for (int i = 0; i < 4; i++)
            send_large(&lab, &s[i], 20 * MIB);
        lab_pass(&lab, after_ms * MS);
        end_large(&s[1]);
        lab_pass(&lab, after_ms * MS);
        CHECK_EQ(lab_stop(&lab), 0);
        end_large(&s[0]);
        end_large(&s[2]);
        end_large(&s[3]);
        lab_deinit(&lab);
    }
}
