/* Quotas: a broker that wants silence gets it, for so long and on that connection (KIP-219). */
#include "bench.h"

#include <stdio.h>

#include "protocol/api_versions.h"
#include "protocol/describe_cluster.h"
#include "protocol/heartbeat.h"

#define MS INT64_C(1000000)

static void throttled(struct script_request *r, void *ctx)
{
    struct heartbeat_response *a = r->response;
    int32_t *ms = ctx;

    a->throttle_time_ms = r->version >= 1 ? *ms : 0;
    *ms = 0;
}

/* Brokers whose next answer to a Heartbeat asks for `ms`. */
static void begin(struct bench *b, uint32_t brokers, int32_t *ms)
{
    bench_open(b, brokers);
    script_on(b->script, 0, API_HEARTBEAT, throttled, ms);
}

static struct heartbeat_request beat;

static void send_beat(struct bench *b, struct ask *a, int32_t node_id)
{
    heartbeat_request_init(&beat);
    *a = (struct ask){.call = {.api_key = API_HEARTBEAT, .request = &beat, .target = {CLIENT_NODE, node_id}}};
    ask_send(b, a);
}

/* Milliseconds until it was answered. */
static int64_t beat_ms(struct bench *b, int32_t node_id)
{
    struct ask a;
    int64_t began_ns = sim_now_ns(script_sim(b->script));

    send_beat(b, &a, node_id);
    CHECK_EQ(ask_end(&a), 0);
    client_call_release(&a.call);
    return (a.done_ns - began_ns) / MS;
}

static const char *health_reason(struct bench *b)
{
    static struct client_health h;

    client_health(b->client, &h);
    CHECK_EQ(h.state, CLIENT_UP);
    return h.reason;
}

TEST(client_throttle, broker_that_asks_for_silence_gets_it)
{
    struct bench b;
    int32_t ms = 4000;

    begin(&b, 2, &ms);
    bench_start(&b);
    CHECK_EQ(client_throttled_until_ns(b.client, 1), 0);
    CHECK(beat_ms(&b, 1) < 1000);
    CHECK_TEXT(health_reason(&b), "b1:9092 is sent nothing for 4000 ms more: a quota there is exceeded");
    CHECK_EQ(client_throttled_until_ns(b.client, 1), sim_now_ns(script_sim(b.script)) + 4000 * MS);
    CHECK(beat_ms(&b, 2) < 1000); /* it has said nothing */
    int64_t waited_ms = beat_ms(&b, 1);
    CHECK(waited_ms > 3000);
    CHECK(waited_ms < 4500);
    CHECK_TEXT(health_reason(&b), "");
    CHECK(beat_ms(&b, 1) < 1000);
    bench_end(&b);
}

/* As long as nobody knows what came of it, the broker is asked no more often. */
TEST(client_throttle, what_waits_ends_by_its_limit_and_is_never_sent)
{
    struct bench b;
    struct ask a;
    int32_t ms = 20000;

    begin(&b, 1, &ms);
    b.settings.connections_max_idle_ms = 60000;
    bench_start(&b);
    beat_ms(&b, 1);
    heartbeat_request_init(&beat);
    a = (struct ask){
        .call = {.api_key = API_HEARTBEAT, .request = &beat, .target = {CLIENT_NODE, 1}, .timeout_ms = 3000}};
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), -ETIMEDOUT);
    CHECK(!a.call.sent);
    send_beat(&b, &a, 1);
    client_cancel(&a.call);
    CHECK_EQ(ask_end(&a), -ECANCELED);
    script_pass(b.script, 20000);
    CHECK_EQ(script_count(b.script, 1, API_HEARTBEAT), 1);
    CHECK_EQ(script_open_connections(b.script, 1), 1);
    script_pass(b.script, 60000);
    CHECK_EQ(script_open_connections(b.script, 1), 0); /* idle, as any other */
    bench_end(&b);
}

TEST(client_throttle, nobody_silences_it_for_longer_than_half_a_minute)
{
    struct bench b;
    int32_t ms = INT32_MAX;

    begin(&b, 1, &ms);
    b.settings.request_timeout_ms = 60000;
    bench_start(&b);
    beat_ms(&b, 1);
    int64_t waited_ms = beat_ms(&b, 1);
    CHECK(waited_ms > 29000);
    CHECK(waited_ms < 30500);
    ms = -5;
    beat_ms(&b, 1);
    CHECK(beat_ms(&b, 1) < 1000);
    bench_end(&b);
}

/* Before Kafka 2.0 the broker has waited already. */
TEST(client_throttle, old_versions_have_had_their_silence)
{
    struct bench b;
    int32_t ms = 5000;

    begin(&b, 1, &ms);
    script_versions(b.script, 0, API_HEARTBEAT, 0, 1);
    bench_start(&b);
    beat_ms(&b, 1);
    CHECK_EQ(ms, 0);
    CHECK(beat_ms(&b, 1) < 1000);
    bench_end(&b);
}

TEST(client_throttle, any_other_broker_is_asked_meanwhile)
{
    struct bench b;
    int32_t ms = 20000;

    begin(&b, 2, &ms);
    bench_start(&b);
    beat_ms(&b, 1);
    int64_t began_ns = sim_now_ns(script_sim(b.script));
    for (int i = 0; i < 5; i++)
        CHECK_EQ(ask_any(&b), 0);
    CHECK_EQ(script_count(b.script, 2, API_DESCRIBE_CLUSTER), 5);
    CHECK(sim_now_ns(script_sim(b.script)) - began_ns < 5000 * MS);
    bench_end(&b);
}

TEST(client_throttle, new_connection_is_silent_only_when_it_is_told_so)
{
    struct bench b;
    int32_t ms = 20000;

    begin(&b, 1, &ms);
    bench_start(&b);
    beat_ms(&b, 1);
    script_stop(b.script, 1);
    script_start(b.script, 1);
    CHECK(beat_ms(&b, 1) < 2000);
    CHECK_TEXT(health_reason(&b), "");
    bench_end(&b);
}

static void throttled_versions(struct script_request *r, void *ctx)
{
    struct api_versions_response *a = r->response;

    a->throttle_time_ms = 3000;
    a->api_keys = arena_take_array(&r->arena, 1, sizeof *a->api_keys);
    a->api_keys_count = 1;
    api_versions_response_api_keys_init(a->api_keys);
    a->api_keys[0].api_key = API_DESCRIBE_CLUSTER;
    a->api_keys[0].max_version = 2;
}

TEST(client_throttle, first_answer_of_a_connection_counts_as_well)
{
    struct bench b;

    bench_open(&b, 1);
    script_on(b.script, 1, API_API_VERSIONS, throttled_versions, NULL);
    bench_start(&b);
    int64_t began_ns = sim_now_ns(script_sim(b.script));
    CHECK_EQ(ask_any(&b), 0);
    CHECK(sim_now_ns(script_sim(b.script)) - began_ns >= 3000 * MS);
    bench_end(&b);
}

/* Silent or not, a client that is closed is gone at once. */
TEST(client_throttle, does_not_hold_up_the_end)
{
    struct bench b;
    struct ask a;
    int32_t ms = 20000;

    begin(&b, 1, &ms);
    bench_start(&b);
    beat_ms(&b, 1);
    send_beat(&b, &a, 1);
    int64_t began_ns = sim_now_ns(script_sim(b.script));
    struct script_wait w;
    client_close(b.client, script_wait_begin(&w));
    CHECK_EQ(ask_end(&a), ERR_CLOSED);
    CHECK_EQ(script_wait_end(b.script, &w), 0);
    CHECK(sim_now_ns(script_sim(b.script)) - began_ns < 1000 * MS);
    CHECK_EQ(sim_node_in_flight(script_machine(b.script)), 0);
    script_free(b.script);
}
