/* Random histories: brokers that fail, calls that come, are cancelled, time out. Whatever happens, each call ends once
 * and by its limit (C2), and no request is carried out more often than it was sent (C3). */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/heartbeat.h"

#define SEEDS 60
#define BROKERS 3
#define CALLS 150
#define SPAN_MS 60000
#define LIMIT_MS_MAX 8000
/* A connection that is to end may be in the middle of something that the world delays. */
#define LATE_NS (INT64_C(3000) * 1000000)

struct history;

struct
try {
    struct client_call call;
    struct heartbeat_request request;
    struct history *history;
    struct io_timer timer; /* when it begins, then when it is cancelled */
    int64_t began_ns;
    uint32_t ends, carried_out;
    bool cancelled;
};

struct history {
    struct script *script;
    struct client *client;
    struct io *io;
    struct prng prng;
    struct try tries[CALLS];
    uint32_t begun, ended;
};

static uint64_t below(struct history *h, uint64_t n)
{
    return prng_below(&h->prng, n);
}

static void try_done(struct op *op, int64_t result)
{
    struct try *y = container_of(op, struct try, call.op);
    int64_t took_ns = io_now_ns(y->history->io) - y->began_ns;

    CHECK_EQ(y->ends, 0);
    y->ends++;
    y->history->ended++;
    CHECK(took_ns <= y->call.timeout_ms * 1000000 + LATE_NS);
    CHECK(result <= 0);
    CHECK((result == 0) == (y->call.response != NULL));
    CHECK(result == 0 || y->call.sent || y->carried_out == 0);
    if (result == 0)
        CHECK_EQ(y->carried_out, 1);
    client_call_release(&y->call);
}

static void cancel(struct io_timer *t)
{
    struct try *y = container_of(t, struct try, timer);

    y->cancelled = true;
    if (y->ends == 0)
        client_cancel(&y->call);
}

static void begin(struct io_timer *t)
{
    struct try *y = container_of(t, struct try, timer);
    struct history *h = y->history;
    static const enum client_target_kind kinds[] = {CLIENT_ANY,        CLIENT_NODE,  CLIENT_NODE,
                                                    CLIENT_CONTROLLER, CLIENT_GROUP, CLIENT_TRANSACTION};

    heartbeat_request_init(&y->request);
    y->request.generation_id = (int32_t)(y - h->tries);
    y->call = (struct client_call){
        .target = {.kind = kinds[below(h, array_count(kinds))],
                   .node_id = 1 + (int32_t)below(h, BROKERS + 1),
                   .key = below(h, 2) == 0 ? STR("one") : STR("other")},
        .api_key = API_HEARTBEAT,
        .request = &y->request,
        .timeout_ms = 1 + (int64_t)below(h, LIMIT_MS_MAX),
    };
    y->began_ns = io_now_ns(h->io);
    h->begun++;
    op_init(&y->call.op, try_done);
    client_send(h->client, &y->call);
    if (below(h, 4) == 0)
        io_timer_set(h->io, &y->timer, y->began_ns + (int64_t)below(h, 200) * 1000000, cancel);
}

static void beat(struct script_request *r, void *ctx)
{
    struct history *h = ctx;
    int32_t i = ((const struct heartbeat_request *)r->message)->generation_id;
    static const int16_t errors[] = {KERR_NONE, KERR_NONE, KERR_NONE, KERR_NOT_COORDINATOR, KERR_NOT_CONTROLLER};

    CHECK(i >= 0 && i < CALLS);
    h->tries[i].carried_out++;
    CHECK_EQ(h->tries[i].carried_out, 1);
    struct heartbeat_response *a = r->response;
    a->error_code = errors[below(h, array_count(errors))];
    a->throttle_time_ms = below(h, 20) == 0 ? (int32_t)below(h, 20000) : 0;
}

static void some_trouble(struct history *h)
{
    static const int64_t arguments[] = {-1, 0, 3, 50, 3000, INT32_MAX};
    int32_t broker = 1 + (int32_t)below(h, BROKERS);

    switch (below(h, 8)) {
    case 0:
        script_stop(h->script, broker);
        return;
    case 1:
        sim_net_cut(script_machine(h->script), script_node(h->script, broker));
        return;
    case 2:
        sim_net_reset(script_machine(h->script), script_node(h->script, broker));
        return;
    case 3:
        script_hide(h->script, broker, below(h, 2) == 0);
        return;
    case 4:
        script_move(h->script, "orders", (int32_t)below(h, 4), broker);
        return;
    case 5:
        script_coordinator(h->script, broker, below(h, 2) == 0 ? KERR_COORDINATOR_NOT_AVAILABLE : KERR_NONE);
        return;
    default: /* on any API, ApiVersions and Metadata too */
        script_fault(h->script, broker, -1, 1 + (enum script_fault)below(h, SCRIPT_GARBAGE),
                     arguments[below(h, array_count(arguments))]);
    }
}

static void heal(struct history *h)
{
    sim_net_heal_all(script_sim(h->script));
    for (int32_t id = 1; id <= BROKERS; id++)
        script_start(h->script, id);
}

/* Trouble and healing until `end_ms`. */
static void run(struct history *h, int64_t end_ms)
{
    for (int64_t i = 0; i < CALLS; i++) {
        struct try *y = &h->tries[i];
        y->history = h;
        io_timer_set(h->io, &y->timer, io_now_ns(h->io) + (int64_t)below(h, SPAN_MS) * 1000000, begin);
    }
    while (sim_now_ns(script_sim(h->script)) < end_ms * INT64_C(1000000)) {
        script_pass(h->script, (int64_t)below(h, 1500));
        if (below(h, 3) == 0)
            heal(h);
        else
            some_trouble(h);
    }
}

/* Whatever is under way, and cancelled in this moment. */
static void close_now(struct history *h)
{
    struct script_wait w;

    for (uint32_t i = 0; i < CALLS; i++) {
        struct try *y = &h->tries[i];
        io_timer_clear(&y->timer);
        if (y->began_ns > 0 && y->ends == 0 && below(h, 2) == 0)
            client_cancel(&y->call);
    }
    client_close(h->client, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(h->script, &w), 0);
    CHECK_EQ(h->ended, h->begun);
}

/* And when nothing is wrong any more, everybody can be asked. */
static void must_be_well(struct history *h)
{
    struct script_wait w;

    sim_calm(script_sim(h->script));
    heal(h);
    for (int32_t id = 1; id <= BROKERS; id++)
        script_hide(h->script, id, false);
    script_faults_clear(h->script);
    script_pass(h->script, 70000); /* connections that were cut have ended by now */
    client_update(h->client, 30000, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(h->script, &w), 0);
    const struct client_topic *orders = client_topic(h->client, STR("orders"));
    CHECK(orders != NULL && orders->error == KERR_NONE && orders->partition_count == 4);
    for (int32_t i = 0; i < 4; i++)
        CHECK_EQ(orders->partitions[i].leader, script_topic_find(h->script, STR("orders"))->partitions[i].leader);
}

TEST(client_history, every_call_ends_once_and_by_its_limit)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct history *h = calloc(1, sizeof *h);
        struct sim_options options = sim_options_swarm(seed);
        struct bench b;

        bench_open(&b, 1); /* for the settings of a producer */
        script_free(b.script);
        prng_init(&h->prng, seed);
        h->script = script_new_with(seed, BROKERS, &options);
        h->io = script_io(h->script);
        script_topic(h->script, "orders", 4);
        script_on(h->script, 0, API_HEARTBEAT, beat, h);
        b.settings.bootstrap_servers = script_bootstrap(h->script);
        b.settings.in_flight_max = 1 + (uint32_t)below(h, 5);
        b.settings.connections_max_idle_ms = 2000;
        b.settings.metadata_max_age_ms = 5000;
        b.settings.request_timeout_ms = 3000;
        h->client = client_new(h->io, script_telemetry(h->script), &b.settings, NULL);
        client_want(h->client, STR("orders"));
        run(h, seed % 3 == 0 ? (int64_t)below(h, SPAN_MS) : SPAN_MS);
        if (seed % 3 > 0)
            SCRIPT_UNTIL(h->script, h->ended == CALLS);
        if (seed % 3 == 1)
            must_be_well(h);
        close_now(h);
        script_free(h->script);
        free(h);
    }
}
