/* Worlds of script.h: brokers that come and go, rules, counts. How they serve is in script_serve.c, what they say by
 * themselves in script_answers.c. */
#include "script_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define HEARD_MS 10 /* the other end of a connection has heard that it has ended */
#define HOUR_NS (3600 * INT64_C(1000000000))

/* ---- waiting -------------------------------------------------------------------------------------- */

bool script_turn(struct script *s)
{
    return sim_now_ns(s->sim) < HOUR_NS && sim_step(s->sim);
}

void script_pass(struct script *s, int64_t ms)
{
    sim_run_until(s->sim, sim_now_ns(s->sim) + ms * 1000000);
}

static void wait_done(struct op *op, int64_t result)
{
    struct script_wait *w = container_of(op, struct script_wait, op);

    ASSERT(!w->done);
    w->done = true;
    w->result = result;
}

struct op *script_wait_begin(struct script_wait *w)
{
    *w = (struct script_wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

int64_t script_wait_end(struct script *s, struct script_wait *w)
{
    SCRIPT_UNTIL(s, w->done);
    return w->result;
}

/* ---- connections ---------------------------------------------------------------------------------- */

static void accept_next(struct script_broker *b);

static void accepted(struct op *op, int64_t result)
{
    struct script_broker *b = container_of(op, struct script_broker, accept);

    b->accepting = false;
    if (result == 0)
        script_serve(b, b->accepted);
    if (b->up && result != -ECANCELED)
        accept_next(b);
}

static void accept_next(struct script_broker *b)
{
    b->accepting = true;
    op_init(&b->accept, accepted);
    io_accept(b->listener, &b->accepted, NULL, &b->accept);
}

void script_start(struct script *s, int32_t id)
{
    struct script_broker *b = &s->brokers[id];
    struct io_address any = {.port = SCRIPT_PORT};
    struct script_wait w;

    if (b->up)
        return;
    do {
        io_listen(b->io, &any, NULL, &b->listener, NULL, script_wait_begin(&w));
    } while (script_wait_end(s, &w) < 0);
    b->up = true;
    accept_next(b);
}

void script_stop(struct script *s, int32_t id)
{
    struct script_broker *b = &s->brokers[id];
    struct script_wait w;

    if (!b->up)
        return;
    b->up = false;
    LIST_EACH (node, &b->connections)
        conn_close(container_of(node, struct script_connection, node)->conn, "the broker stops");
    io_listener_close(b->listener, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(s, &w), 0);
    script_pass(s, HEARD_MS);
}

/* ---- rules and faults ------------------------------------------------------------------------------ */

static bool is_meant(int32_t broker, int32_t id)
{
    return broker == 0 || broker == id;
}

void script_on(struct script *s, int32_t broker, int16_t api_key, script_handler *h, void *ctx)
{
    const struct api *api = api_find(api_key);

    for (int32_t id = 1; id <= (int32_t)s->broker_count; id++) {
        if (!is_meant(broker, id))
            continue;
        s->brokers[id].rules[api_key] = (struct script_rule){h, ctx};
        if (h != NULL && s->brokers[id].high[api_key] < s->brokers[id].low[api_key])
            script_versions(s, id, api_key, api->low, api->high - (api->request->unstable ? 1 : 0));
    }
}

void script_versions(struct script *s, int32_t broker, int16_t api_key, int16_t low, int16_t high)
{
    for (int32_t id = 1; id <= (int32_t)s->broker_count; id++) {
        if (!is_meant(broker, id))
            continue;
        s->brokers[id].low[api_key] = low;
        s->brokers[id].high[api_key] = high;
    }
}

void script_fault(struct script *s, int32_t broker, int16_t api_key, enum script_fault fault, int64_t argument)
{
    struct script_planned *f = calloc(1, sizeof *f);

    *f = (struct script_planned){.broker = broker, .api_key = api_key, .fault = fault, .argument = argument};
    list_add_tail(&s->faults, &f->node);
}

void script_faults_clear(struct script *s)
{
    for (struct list *node; (node = list_take_head(&s->faults)) != NULL;)
        free(container_of(node, struct script_planned, node));
}

/* ---- what was asked -------------------------------------------------------------------------------- */

const char *script_log(struct script *s)
{
    return s->log.n == 0 ? "" : s->log.p;
}

void script_log_clear(struct script *s)
{
    text_clear(&s->log);
}

uint32_t script_count(struct script *s, int32_t broker, int16_t api_key)
{
    uint32_t n = 0;

    for (int32_t id = 1; id <= (int32_t)s->broker_count; id++)
        n += is_meant(broker, id) ? s->brokers[id].counts[api_key] : 0;
    return n;
}

uint32_t script_connections(struct script *s, int32_t broker)
{
    return s->brokers[broker].connection_count;
}

uint32_t script_open_connections(struct script *s, int32_t broker)
{
    uint32_t n = 0;

    LIST_EACH (node, &s->brokers[broker].connections)
        n += conn_is_open(container_of(node, struct script_connection, node)->conn);
    return n;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void broker_init(struct script *s, int32_t id)
{
    struct script_broker *b = &s->brokers[id];
    char name[16];

    snprintf(name, sizeof name, "b%d", id);
    b->script = s;
    b->id = id;
    b->node = sim_node_new(s->sim, name);
    sim_node_start(b->node, 1);
    b->io = sim_node_io(b->node, 0);
    list_init(&b->connections);
    for (int16_t key = 0; key < API_KEY_COUNT; key++) {
        const struct api *api = api_find(key);
        bool has = api != NULL && script_default(key) != NULL;
        b->low[key] = has ? api->low : 0;
        b->high[key] = has ? (int16_t)(api->high - (api->request->unstable ? 1 : 0)) : -1;
    }
    text_printf(&s->bootstrap, "%s%s:%d", id == 1 ? "" : ",", name, SCRIPT_PORT);
}

struct script *script_new_with(uint64_t seed, uint32_t brokers, const struct sim_options *options)
{
    struct script *s = calloc(1, sizeof *s);

    ASSERT(s != NULL && brokers > 0 && brokers <= SCRIPT_BROKERS_MAX);
    s->sim = sim_new(seed, options);
    s->telemetry = telemetry_new(NULL);
    s->machine = sim_node_new(s->sim, "machine");
    sim_node_start(s->machine, 1);
    list_init(&s->faults);
    s->broker_count = brokers;
    s->controller = s->coordinator = 1;
    script_cluster_id(s, "scripted-cluster");
    for (uint32_t id = 1; id <= brokers; id++) {
        broker_init(s, (int32_t)id);
        script_start(s, (int32_t)id);
    }
    return s;
}

struct script *script_new(uint64_t seed, uint32_t brokers)
{
    return script_new_with(seed, brokers, NULL);
}

static void drop_connections(struct script *s, struct script_broker *b)
{
    script_stop(s, b->id);
    LIST_EACH (node, &b->connections) {
        struct script_connection *c = container_of(node, struct script_connection, node);
        if (c->closed)
            script_drop_held(c);
    }
    while (!list_empty(&b->connections) && sim_step(s->sim)) {
    }
}

void script_free(struct script *s)
{
    s->ending = true;
    sim_calm(s->sim);
    for (int32_t id = 1; id <= (int32_t)s->broker_count; id++)
        drop_connections(s, &s->brokers[id]);
    sim_free(s->sim);
    script_faults_clear(s);
    while (s->topic_count > 0)
        free(s->topics[--s->topic_count].partitions);
    free(s->topics);
    telemetry_free(s->telemetry);
    text_deinit(&s->log);
    text_deinit(&s->bootstrap);
    free(s);
}

struct sim *script_sim(struct script *s)
{
    return s->sim;
}

struct io *script_io(struct script *s)
{
    return sim_node_io(s->machine, 0);
}

struct telemetry *script_telemetry(struct script *s)
{
    return s->telemetry;
}

struct sim_node *script_machine(struct script *s)
{
    return s->machine;
}

struct sim_node *script_node(struct script *s, int32_t id)
{
    return s->brokers[id].node;
}

struct str script_bootstrap(struct script *s)
{
    return text_str(&s->bootstrap);
}
