#include "bench.h"

void bench_open(struct bench *b, uint32_t brokers, int64_t unreachable_ms)
{
    bench_open_set(b, brokers, unreachable_ms, "client.id", "admin");
}

void bench_open_set(struct bench *b, uint32_t brokers, int64_t unreachable_ms, const char *name, const char *value)
{
    struct config *c = config_new(&admin_settings);
    struct admin_options options;
    struct fail f = {0};

    *b = (struct bench){.script = script_new(1, brokers)};
    arena_init(&b->arena, 0);
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), script_bootstrap(b->script), &f), 0);
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, str_of(name), str_of(value), &f), 0);
    CHECK_EQ(admin_options_read(c, &options, &f), 0);
    CHECK_EQ(options.api_timeout_ms, 60000);
    options.unreachable_ms = unreachable_ms;
    b->admin = admin_new(script_io(b->script), script_telemetry(b->script), &options, &f);
    CHECK(b->admin != NULL);
    config_free(c);
}

void bench_end(struct bench *b)
{
    struct script_wait w;

    admin_call_release(&b->call);
    admin_close(b->admin, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(b->script, &w), 0);
    CHECK_EQ(sim_node_in_flight(script_machine(b->script)), 0);
    script_free(b->script);
    arena_deinit(&b->arena);
}

void bench_begin(struct bench *b, int16_t api_key, const void *request)
{
    admin_send(b->admin, &b->call, api_key, request, script_wait_begin(&b->wait));
    CHECK(!b->wait.done);
}

int64_t bench_ask(struct bench *b, int16_t api_key, const void *request)
{
    bench_begin(b, api_key, request);
    return script_wait_end(b->script, &b->wait);
}

int64_t bench_now_ms(struct bench *b)
{
    return sim_now_ns(script_sim(b->script)) / 1000000;
}
