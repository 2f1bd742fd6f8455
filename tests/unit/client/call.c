/* Calls: targets, versions, limits, cancel. */
#include "bench.h"

#include "protocol/describe_cluster.h"
#include "protocol/heartbeat.h"
#include "protocol/produce.h"

TEST(client_call, any_broker_is_asked_after_its_versions)
{
    struct bench b;

    bench_open(&b, 1);
    bench_start(&b);
    CHECK_EQ(ask_any(&b), 0);
    CHECK_TEXT(script_log(b.script), "1 ApiVersions v5\n1 DescribeCluster v2\n");
    CHECK_EQ(ask_any(&b), 0);
    CHECK_EQ(script_connections(b.script, 1), 1);
    bench_end(&b);
}

TEST(client_call, old_broker_is_asked_in_its_versions)
{
    struct bench b;

    bench_open(&b, 1);
    script_versions(b.script, 0, API_API_VERSIONS, 0, 2);
    script_versions(b.script, 0, API_DESCRIBE_CLUSTER, 0, 1);
    bench_start(&b);
    CHECK_EQ(ask_any(&b), 0);
    CHECK_TEXT(script_log(b.script), "1 ApiVersions v5\n1 ApiVersions v2\n1 DescribeCluster v1\n");
    bench_end(&b);
}

TEST(client_call, api_that_the_broker_has_not_got_is_refused)
{
    struct bench b;

    bench_open(&b, 1);
    script_versions(b.script, 0, API_DESCRIBE_CLUSTER, 0, -1);
    bench_start(&b);
    CHECK_EQ(ask_any(&b), ERR_VERSION);
    bench_end(&b);
}

TEST(client_call, node_is_found_by_metadata)
{
    struct bench b;
    struct describe_cluster_request m;
    struct ask a = {.call = {.api_key = API_DESCRIBE_CLUSTER, .request = &m, .target = {CLIENT_NODE, 3}}};

    describe_cluster_request_init(&m);
    bench_open(&b, 3);
    bench_start(&b);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), 0);
    CHECK_EQ(a.call.node_id, 3);
    CHECK_EQ(script_count(b.script, 3, API_DESCRIBE_CLUSTER), 1);
    client_call_release(&a.call);
    a.call.target.node_id = 9;
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), -ENOENT);
    bench_end(&b);
}

TEST(client_call, controller_is_asked_for_anew_when_it_says_that_it_is_not)
{
    struct bench b;
    struct describe_cluster_request m;
    struct ask a = {.call = {.api_key = API_DESCRIBE_CLUSTER, .request = &m, .target = {CLIENT_CONTROLLER}}};

    describe_cluster_request_init(&m);
    bench_open(&b, 2);
    bench_start(&b);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), 0);
    CHECK_EQ(a.call.node_id, 1);
    CHECK_EQ(client_controller_id(b.client), 1);
    client_call_release(&a.call);
    bench_end(&b);
}

static void heartbeat(struct script_request *r, void *ctx)
{
    struct heartbeat_response *a = r->response;

    a->error_code = *(int16_t *)ctx;
}

TEST(client_call, coordinator_is_looked_for_again_when_it_says_that_it_is_not)
{
    struct bench b;
    struct heartbeat_request m;
    struct ask a = {.call = {.api_key = API_HEARTBEAT, .request = &m, .target = {CLIENT_GROUP, .key = {"g", 1}}}};
    int16_t error = KERR_NOT_COORDINATOR;

    heartbeat_request_init(&m);
    m.group_id = STR("g");
    bench_open(&b, 2);
    script_on(b.script, 0, API_HEARTBEAT, heartbeat, &error);
    bench_start(&b);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), 0);
    CHECK_EQ(((struct heartbeat_response *)a.call.response)->error_code, KERR_NOT_COORDINATOR);
    error = KERR_NONE;
    script_coordinator(b.script, 2, KERR_NONE);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), 0);
    CHECK_EQ(a.call.node_id, 2);
    CHECK_EQ(script_count(b.script, 0, API_FIND_COORDINATOR), 2);
    client_call_release(&a.call);
    bench_end(&b);
}

/* Nobody knows what it has said: perhaps just that. */
TEST(client_call, coordinator_is_looked_for_again_when_its_answer_cannot_be_read)
{
    struct bench b;
    struct heartbeat_request m;
    struct ask a = {.call = {.api_key = API_HEARTBEAT, .request = &m, .target = {CLIENT_GROUP, .key = {"g", 1}}}};
    int16_t error = KERR_NONE;

    heartbeat_request_init(&m);
    m.group_id = STR("g");
    bench_open(&b, 2);
    script_on(b.script, 0, API_HEARTBEAT, heartbeat, &error);
    bench_start(&b);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), 0);
    client_call_release(&a.call);
    script_coordinator(b.script, 2, KERR_NONE);
    script_fault(b.script, 1, API_HEARTBEAT, SCRIPT_SHORT, 1);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), ERR_CORRUPT);
    CHECK(a.call.sent);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), 0);
    CHECK_EQ(a.call.node_id, 2);
    client_call_release(&a.call);
    bench_end(&b);
}

/* ---- records ------------------------------------------------------------------------------------ */

static void produced(struct script_request *r, void *ctx)
{
    const struct produce_request *m = r->message;
    struct bytes records = m->topic_data[0].partition_data[0].records;
    uint64_t *sum = ctx;

    for (int32_t i = 0; i < records.n; i++)
        *sum = *sum * 31 + records.p[i];
    r->no_answer = m->acks == 0;
}

static void produce_init(struct produce_request *m, struct produce_request_topic_data *t,
                         struct produce_request_topic_data_partition_data *p, struct bytes records)
{
    produce_request_init(m);
    produce_request_topic_data_init(t);
    produce_request_topic_data_partition_data_init(p);
    p->records = records;
    t->name = STR("orders");
    t->partition_data = p;
    t->partition_data_count = 1;
    m->acks = 0;
    m->timeout_ms = 1000;
    m->topic_data = t;
    m->topic_data_count = 1;
}

static uint8_t megabyte[1 << 20];

TEST(client_call, records_go_out_and_no_answer_is_waited_for)
{
    struct bench b;
    struct produce_request m;
    struct produce_request_topic_data topic;
    struct produce_request_topic_data_partition_data p;
    struct ask a = {.call = {.api_key = API_PRODUCE, .version_high = 12, .request = &m, .no_answer = true}};
    uint64_t sum = 0, expected = 0;

    for (uint32_t i = 0; i < sizeof megabyte; i++) {
        megabyte[i] = (uint8_t)(i * 7 + (i >> 9));
        expected = expected * 31 + megabyte[i];
    }
    produce_init(&m, &topic, &p, (struct bytes){megabyte, sizeof megabyte});
    bench_open(&b, 1);
    script_on(b.script, 0, API_PRODUCE, produced, &sum);
    bench_start(&b);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), 0);
    CHECK(a.call.sent);
    script_pass(b.script, 1000);
    CHECK(sum == expected);
    client_call_release(&a.call);
    CHECK_EQ(ask_any(&b), 0); /* the connection is good still */
    CHECK_EQ(script_connections(b.script, 1), 1);
    bench_end(&b);
}

/* ---- limits --------------------------------------------------------------------------------------- */

TEST(client_call, ends_by_its_limit_when_nobody_answers)
{
    struct bench b;
    struct describe_cluster_request m;
    struct ask a = {.call = {.api_key = API_DESCRIBE_CLUSTER, .request = &m, .timeout_ms = 700}};

    describe_cluster_request_init(&m);
    bench_open(&b, 1);
    script_fault(b.script, 0, API_DESCRIBE_CLUSTER, SCRIPT_SILENT, 0);
    bench_start(&b);
    int64_t began_ns = sim_now_ns(script_sim(b.script));
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), -ETIMEDOUT);
    CHECK(a.call.sent);
    CHECK(a.done_ns - began_ns < 750 * INT64_C(1000000));
    CHECK_EQ(ask_any(&b), 0);
    bench_end(&b);
}

TEST(client_call, to_a_broker_that_is_down_ends_with_the_first_try)
{
    struct bench b;
    struct describe_cluster_request m;
    struct ask a = {.call = {.api_key = API_DESCRIBE_CLUSTER, .request = &m, .target = {CLIENT_NODE, 2}}};

    describe_cluster_request_init(&m);
    bench_open(&b, 2);
    script_stop(b.script, 2);
    bench_start(&b);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), -ECONNREFUSED);
    CHECK(!a.call.sent);
    CHECK_EQ(ask_any(&b), 0);
    script_start(b.script, 2);
    ask_send(&b, &a);
    CHECK_EQ(ask_end(&a), 0);
    client_call_release(&a.call);
    bench_end(&b);
}

TEST(client_call, cancelled_call_ends_and_its_late_answer_disturbs_nobody)
{
    struct bench b;
    struct describe_cluster_request m;
    struct ask a = {.call = {.api_key = API_DESCRIBE_CLUSTER, .request = &m}};

    describe_cluster_request_init(&m);
    bench_open(&b, 1);
    script_fault(b.script, 0, API_DESCRIBE_CLUSTER, SCRIPT_DELAY, 2000);
    bench_start(&b);
    ask_send(&b, &a);
    SCRIPT_UNTIL(b.script, script_count(b.script, 1, API_DESCRIBE_CLUSTER) == 1);
    client_cancel(&a.call);
    CHECK(!a.done);
    CHECK_EQ(ask_end(&a), -ECANCELED);
    CHECK_EQ(ask_any(&b), 0);
    CHECK_EQ(script_connections(b.script, 1), 1);
    ask_send(&b, &a); /* and before it is sent */
    client_cancel(&a.call);
    CHECK_EQ(ask_end(&a), -ECANCELED);
    bench_end(&b);
}

TEST(client_call, close_ends_all_calls_wherever_they_wait)
{
    for (int64_t after_us = 0; after_us < 6000; after_us += 100) {
        struct bench b;
        struct describe_cluster_request m;
        struct ask a = {.call = {.api_key = API_DESCRIBE_CLUSTER, .request = &m, .target = {CLIENT_NODE, 2}}};
        struct ask any = {.call = {.api_key = API_DESCRIBE_CLUSTER, .request = &m}};

        describe_cluster_request_init(&m);
        bench_open(&b, 2);
        script_fault(b.script, 2, API_DESCRIBE_CLUSTER, SCRIPT_SILENT, 0);
        bench_start(&b);
        ask_send(&b, &a);
        ask_send(&b, &any);
        sim_run_until(script_sim(b.script), sim_now_ns(script_sim(b.script)) + after_us * 1000);
        bool was_done = any.done;
        bench_end(&b);
        CHECK(a.done && any.done);
        CHECK_EQ(a.result, ERR_CLOSED);
        CHECK(any.result == ERR_CLOSED || (was_done && any.result == 0));
        client_call_release(&a.call);
        client_call_release(&any.call);
    }
}
