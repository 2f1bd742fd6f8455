#include "bench.h"

#include "protocol/describe_cluster.h"

void bench_open(struct bench *b, uint32_t brokers)
{
    struct config *c = config_new(&producer_settings);
    struct fail f = {0};

    *b = (struct bench){.script = script_new(1, brokers)};
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), script_bootstrap(b->script), &f), 0);
    CHECK_EQ(client_settings_read(c, &b->settings, &f), 0);
    b->settings.bootstrap_servers = script_bootstrap(b->script);
    b->settings.client_id = STR("tester");
    config_free(c);
}

void bench_start(struct bench *b)
{
    struct fail f = {0};

    b->client = client_new(script_io(b->script), script_telemetry(b->script), &b->settings, &f);
    if (b->client == NULL)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

void bench_end(struct bench *b)
{
    struct script_wait w;

    client_close(b->client, script_wait_begin(&w));
    CHECK(!w.done);
    CHECK_EQ(script_wait_end(b->script, &w), 0);
    CHECK_EQ(sim_node_in_flight(script_machine(b->script)), 0);
    script_free(b->script);
}

static void ask_done(struct op *op, int64_t result)
{
    struct ask *a = container_of(op, struct ask, call.op);

    CHECK(!a->done);
    CHECK((result == 0) == (a->call.response != NULL) || a->call.no_answer);
    a->done = true;
    a->result = result;
    a->done_ns = sim_now_ns(script_sim(a->bench->script));
}

void ask_send(struct bench *b, struct ask *a)
{
    a->bench = b;
    a->done = false;
    op_init(&a->call.op, ask_done);
    client_send(b->client, &a->call);
    CHECK(!a->done);
}

int64_t ask_end(struct ask *a)
{
    SCRIPT_UNTIL(a->bench->script, a->done);
    return a->result;
}

int64_t ask_any(struct bench *b)
{
    struct describe_cluster_request m;
    struct ask a = {0};

    describe_cluster_request_init(&m);
    a.call.api_key = API_DESCRIBE_CLUSTER;
    a.call.request = &m;
    ask_send(b, &a);
    int64_t result = ask_end(&a);
    client_call_release(&a.call);
    return result;
}
