/* Connections: made, lost, idle, to wrong or dead nodes; bootstrap, and bootstrap again. */
#include "bench.h"

#include <stdio.h>

#include "protocol/api_versions.h"
#include "protocol/describe_cluster.h"
#include "protocol/heartbeat.h"
#include "protocol/metadata.h"

#define MS INT64_C(1000000)

static struct describe_cluster_request describe;

static void to_node(struct ask *a, int32_t node_id)
{
    describe_cluster_request_init(&describe);
    *a =
        (struct ask){.call = {.api_key = API_DESCRIBE_CLUSTER, .request = &describe, .target = {CLIENT_NODE, node_id}}};
}

static int64_t ask_node(struct bench *b, int32_t node_id)
{
    struct ask a;

    to_node(&a, node_id);
    ask_send(b, &a);
    int64_t result = ask_end(&a);
    client_call_release(&a.call);
    return result;
}

static enum client_state state_of(struct bench *b, char reason[256])
{
    struct client_health h;

    client_health(b->client, &h);
    memcpy(reason, h.reason, sizeof h.reason);
    return h.state;
}

/* ---- life ------------------------------------------------------------------------------------------- */

TEST(client_link, nothing_is_connected_before_somebody_asks)
{
    struct bench b;
    char reason[256];

    bench_open(&b, 1);
    bench_start(&b);
    script_pass(b.script, 60000);
    CHECK_EQ(script_connections(b.script, 1), 0);
    CHECK_EQ(state_of(&b, reason), CLIENT_IDLE);
    bench_end(&b);
}

TEST(client_link, idle_connection_is_closed_and_made_again)
{
    struct bench b;

    bench_open(&b, 1);
    b.settings.connections_max_idle_ms = 5000;
    bench_start(&b);
    CHECK_EQ(ask_any(&b), 0);
    script_pass(b.script, 4900);
    CHECK_EQ(ask_any(&b), 0);
    script_pass(b.script, 4900);
    CHECK_EQ(script_open_connections(b.script, 1), 1);
    script_pass(b.script, 200);
    CHECK_EQ(script_open_connections(b.script, 1), 0);
    uint64_t events = sim_events(script_sim(b.script));
    script_pass(b.script, 600000);
    CHECK_EQ(sim_events(script_sim(b.script)), events); /* nothing wakes an idle client */
    CHECK_EQ(ask_any(&b), 0);
    bench_end(&b);
}

TEST(client_link, server_that_answers_is_found_among_those_that_do_not)
{
    struct bench b;

    bench_open(&b, 3);
    script_stop(b.script, 1);
    sim_net_cut(script_machine(b.script), script_node(b.script, 2));
    bench_start(&b);
    CHECK_EQ(ask_any(&b), 0);
    CHECK_EQ(script_count(b.script, 3, API_DESCRIBE_CLUSTER), 1);
    bench_end(&b);
}

TEST(client_link, bootstrap_connection_is_closed_when_brokers_are_known)
{
    struct bench b;

    bench_open(&b, 1);
    bench_start(&b);
    CHECK_EQ(ask_node(&b, 1), 0);
    script_pass(b.script, 100);
    CHECK_EQ(script_connections(b.script, 1), 2);
    CHECK_EQ(script_open_connections(b.script, 1), 1);
    CHECK_EQ(client_version(b.client, 1, API_METADATA), 13);
    CHECK_EQ(client_version(b.client, 1, API_PRODUCE), -1); /* this broker has not got it */
    CHECK_EQ(client_version(b.client, 2, API_METADATA), -1);
    bench_end(&b);
}

TEST(client_link, node_that_is_gone_ends_the_calls_that_wait_for_it)
{
    struct bench b;
    struct ask a;

    bench_open(&b, 2);
    bench_start(&b);
    CHECK_EQ(ask_node(&b, 2), 0);
    sim_net_cut(script_machine(b.script), script_node(b.script, 2));
    sim_net_reset(script_machine(b.script), script_node(b.script, 2));
    script_pass(b.script, 1000);
    to_node(&a, 2); /* connecting hangs */
    ask_send(&b, &a);
    script_pass(b.script, 1000);
    script_hide(b.script, 2, true);
    client_refresh(b.client);
    CHECK_EQ(ask_end(&a), -ENOENT);
    CHECK(!a.call.sent);
    bench_end(&b);
}

TEST(client_link, follows_a_node_to_another_address)
{
    struct bench b;

    bench_open(&b, 3);
    script_topic(b.script, "orders", 1);
    bench_start(&b);
    client_want(b.client, STR("orders"));
    CHECK_EQ(ask_node(&b, 2), 0);
    script_stop(b.script, 2);
    client_hint(b.client, STR("orders"), 0, 2, 1, STR("b3"), SCRIPT_PORT);
    CHECK_EQ(ask_node(&b, 2), 0);
    CHECK_EQ(script_count(b.script, 3, API_DESCRIBE_CLUSTER), 1);
    bench_end(&b);
}

/* ---- wrong answers ------------------------------------------------------------------------------------ */

TEST(client_link, answers_that_are_wrong_end_what_was_sent_and_no_more)
{
    static const struct {
        enum script_fault fault;
        int64_t argument, result;
    } cases[] = {
        {SCRIPT_CUT, 0, -ECONNRESET},          {SCRIPT_CUT_AFTER, 0, -ECONNRESET}, {SCRIPT_LENGTH, -1, ERR_LIMIT},
        {SCRIPT_LENGTH, INT32_MAX, ERR_LIMIT}, {SCRIPT_LENGTH, 3, ERR_CORRUPT},    {SCRIPT_CORRELATION, 0, ERR_CORRUPT},
        {SCRIPT_SHORT, 1, ERR_CORRUPT},
    };

    for (size_t i = 0; i < array_count(cases); i++) {
        struct bench b;
        bench_open(&b, 1);
        bench_start(&b);
        CHECK_EQ(ask_node(&b, 1), 0);
        script_fault(b.script, 1, API_DESCRIBE_CLUSTER, cases[i].fault, cases[i].argument);
        CHECK_EQ(ask_node(&b, 1), cases[i].result);
        CHECK_EQ(ask_node(&b, 1), 0);
        bench_end(&b);
    }
}

TEST(client_link, trouble_before_the_versions_are_known_is_a_failed_try)
{
    enum script_fault faults[] = {SCRIPT_CUT, SCRIPT_CORRELATION, SCRIPT_GARBAGE, SCRIPT_SHORT};

    for (size_t i = 0; i < array_count(faults); i++) {
        struct bench b;
        bench_open(&b, 1);
        script_fault(b.script, 1, API_API_VERSIONS, faults[i], 3);
        bench_start(&b);
        CHECK_EQ(ask_any(&b), 0);
        script_pass(b.script, 1000);
        CHECK(script_count(b.script, 1, API_API_VERSIONS) >= 2);
        CHECK_EQ(script_count(b.script, 1, API_DESCRIBE_CLUSTER), 1);
        bench_end(&b);
    }
}

/* ---- order ------------------------------------------------------------------------------------------- */

static void beat(struct script_request *r, void *ctx)
{
    text_printf(ctx, "%d ", ((const struct heartbeat_request *)r->message)->generation_id);
}

/* Of six, two are in flight when the connection ends; the others take the next one, in order. */
TEST(client_link, calls_stay_in_order_when_a_connection_ends)
{
    struct bench b;
    struct heartbeat_request m[6];
    struct ask a[6] = {{{{0}}}};
    struct text seen = {0};

    bench_open(&b, 1);
    b.settings.in_flight_max = 2;
    script_on(b.script, 1, API_HEARTBEAT, beat, &seen);
    bench_start(&b);
    CHECK_EQ(ask_node(&b, 1), 0);
    script_fault(b.script, 1, API_HEARTBEAT, SCRIPT_CUT, 0);
    for (int i = 0; i < 6; i++) {
        heartbeat_request_init(&m[i]);
        m[i].generation_id = i;
        a[i].call = (struct client_call){.api_key = API_HEARTBEAT, .request = &m[i], .target = {CLIENT_NODE, 1}};
        ask_send(&b, &a[i]);
    }
    uint32_t lost = 0;
    for (int i = 0; i < 6; i++) {
        ask_end(&a[i]);
        CHECK_EQ(a[i].result == 0, i >= (int)lost + (a[i].result < 0));
        lost += a[i].result < 0;
        CHECK(a[i].result == 0 || a[i].call.sent);
        client_call_release(&a[i].call);
    }
    CHECK(lost >= 1 && lost <= 2);
    CHECK_TEXT(text_str(&seen), lost == 1 ? "1 2 3 4 5 " : "2 3 4 5 ");
    text_deinit(&seen);
    bench_end(&b);
}

/* ---- bootstrap again (KIP-899, KIP-1102) ----------------------------------------------------------------- */

/* Only broker 2 is told of, and it is down; the bootstrap servers know better by now. */
static void lose_all(struct bench *b)
{
    bench_open(b, 2);
    script_hide(b->script, 1, true);
}

static void replace_all(struct bench *b)
{
    CHECK_EQ(ask_node(b, 2), 0);
    script_pass(b->script, 1000);
    script_hide(b->script, 1, false);
    script_hide(b->script, 2, true);
    script_stop(b->script, 2);
}

TEST(client_link, bootstrap_servers_are_asked_again_when_no_known_broker_answers)
{
    struct bench b;

    lose_all(&b);
    bench_start(&b);
    replace_all(&b);
    CHECK_EQ(ask_any(&b), 0);
    CHECK_EQ(ask_node(&b, 1), 0);
    bench_end(&b);
}

TEST(client_link, bootstrap_servers_are_left_alone_with_strategy_none)
{
    struct bench b;
    struct ask a;
    char reason[256];

    lose_all(&b);
    b.settings.rebootstrap = false;
    bench_start(&b);
    replace_all(&b);
    to_node(&a, 0);
    a.call.target.kind = CLIENT_ANY;
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), -ETIMEDOUT);
    CHECK_EQ(state_of(&b, reason), CLIENT_CONNECTING);
    CHECK_TEXT(reason, "cannot connect to b2:9092: Connection refused");
    script_start(b.script, 2);
    CHECK_EQ(ask_any(&b), 0);
    CHECK_EQ(state_of(&b, reason), CLIENT_UP);
    CHECK_TEXT(reason, "");
    bench_end(&b);
}

static void rebootstrap_required(struct script_request *r, void *ctx)
{
    ((struct metadata_response *)r->response)->error_code = KERR_REBOOTSTRAP_REQUIRED;
}

TEST(client_link, bootstrap_servers_are_asked_again_when_a_broker_says_so)
{
    struct bench b;

    lose_all(&b);
    script_topic(b.script, "orders", 1);
    bench_start(&b);
    CHECK_EQ(ask_node(&b, 2), 0);
    script_hide(b.script, 1, false);
    script_on(b.script, 2, API_METADATA, rebootstrap_required, NULL);
    client_want(b.client, STR("orders"));
    SCRIPT_UNTIL(b.script, client_topic(b.client, STR("orders")) != NULL);
    CHECK(client_broker(b.client, 1) != NULL);
    bench_end(&b);
}

static void never(struct script_request *r, void *ctx)
{
    r->parked = true;
}

/* KIP-1102: the connection is good, and yet nothing comes. */
TEST(client_link, bootstrap_servers_are_asked_again_without_metadata_for_long)
{
    struct bench b;

    lose_all(&b);
    b.settings.request_timeout_ms = 2000;
    b.settings.rebootstrap_trigger_ms = 10000;
    script_topic(b.script, "orders", 1);
    bench_start(&b);
    CHECK_EQ(ask_node(&b, 2), 0);
    script_hide(b.script, 1, false);
    script_on(b.script, 2, API_METADATA, never, NULL);
    int64_t began_ns = sim_now_ns(script_sim(b.script));
    client_want(b.client, STR("orders"));
    SCRIPT_UNTIL(b.script, client_topic(b.client, STR("orders")) != NULL);
    CHECK(sim_now_ns(script_sim(b.script)) - began_ns > 9000 * MS);
    bench_end(&b);
}

static void wrong_cluster(struct script_request *r, void *ctx)
{
    const struct api_versions_request *m = r->message;

    text_printf(ctx, "%.*s/%d ", STR_ARG(m->cluster_id), m->node_id);
    ((struct api_versions_response *)r->response)->error_code = KERR_REBOOTSTRAP_REQUIRED;
}

TEST(client_link, broker_is_told_whom_the_connection_is_meant_for)
{
    struct bench b;
    struct text seen = {0};

    bench_open(&b, 2);
    bench_start(&b);
    CHECK_EQ(ask_node(&b, 1), 0);
    script_on(b.script, 2, API_API_VERSIONS, wrong_cluster, &seen);
    CHECK_EQ(ask_node(&b, 2), ERR_FENCED);
    CHECK(str_starts(text_str(&seen), STR("scripted-cluster/2 ")));
    text_deinit(&seen);
    bench_end(&b);
}

/* ---- controllers (KIP-919) ---------------------------------------------------------------------------------- */

TEST(client_link, controllers_are_found_by_describe_cluster)
{
    struct bench b;
    struct ask a;

    bench_open(&b, 3);
    b.settings.bootstrap_controllers = true;
    script_controller(b.script, 3);
    bench_start(&b);
    to_node(&a, 0);
    a.call.target.kind = CLIENT_CONTROLLER;
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), 0);
    CHECK_EQ(a.call.node_id, 3);
    CHECK_EQ(((struct describe_cluster_response *)a.call.response)->endpoint_type, 1);
    CHECK_EQ(script_count(b.script, 0, API_METADATA), 0);
    client_call_release(&a.call);
    bench_end(&b);
}

/* ---- names with several addresses ------------------------------------------------------------------------ */

/* The name's first address is this machine's own, where nobody listens; the second one is silent. */
TEST(client_link, silent_address_of_a_name_is_followed_by_the_next)
{
    struct bench b;

    bench_open(&b, 2);
    sim_share_name(script_sim(b.script), "all");
    sim_net_cut(script_machine(b.script), script_node(b.script, 1));
    b.settings.bootstrap_servers = STR("all:9092");
    b.settings.connection_setup_timeout_ms = b.settings.connection_setup_timeout_max_ms = 3000;
    script_hide(b.script, 1, true);
    bench_start(&b);
    CHECK_EQ(ask_any(&b), 0);
    CHECK_EQ(script_connections(b.script, 1), 0);
    CHECK(script_connections(b.script, 2) > 0);
    bench_end(&b);
}

/* ---- nodes that are told -------------------------------------------------------------------------------- */

static void tell(struct bench *b, int32_t node_id)
{
    char host[IO_HOST_MAX];
    uint16_t port;
    struct str rest = script_bootstrap(b->script), part;

    for (int32_t i = 0; i < node_id; i++)
        CHECK(str_cut(&rest, ',', &part));
    CHECK_EQ(host_port_parse(part, host, &port), 0);
    client_tell_node(b->client, node_id, str_of(host), port);
}

TEST(client_link, told_nodes_are_asked_and_nobody_for_metadata)
{
    struct bench b;

    bench_open(&b, 2);
    b.settings.bootstrap_servers = STR_NULL;
    bench_start(&b);
    CHECK_EQ(ask_node(&b, 1), -ENOENT);
    tell(&b, 1);
    tell(&b, 2);
    tell(&b, 2);
    CHECK_EQ(ask_node(&b, 1), 0);
    CHECK_EQ(ask_node(&b, 2), 0);
    CHECK_EQ(script_count(b.script, 0, API_METADATA), 0);
    client_forget_node(b.client, 1);
    client_forget_node(b.client, 7);
    CHECK_EQ(ask_node(&b, 1), -ENOENT);
    CHECK_EQ(ask_node(&b, 2), 0);
    bench_end(&b);
}
