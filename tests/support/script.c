/* Worlds, connections and faults of script.h; what brokers say by themselves is in script_answers.c. */
#include "script_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define HOUR_NS (3600 * INT64_C(1000000000))
#define ANY_API (-1)

struct connection {
    struct script_broker *broker;
    struct conn *conn;
    struct list node;
    struct list unanswered; /* struct script_request */
    bool closed;
};

struct planned_fault {
    struct list node;
    int32_t broker;
    int16_t api_key;
    enum script_fault fault;
    int64_t argument;
};

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

/* ---- answers -------------------------------------------------------------------------------------- */

static void released(struct answer *a)
{
    struct script_request *r = container_of(a, struct script_request, answer);

    free(r->bytes);
    r->bytes = NULL;
}

/* The whole answer, then what the fault makes of it. */
static void encode(struct script_request *r, enum script_fault fault, int64_t argument)
{
    const struct message *m = api_find(r->api_key)->response;
    uint32_t header = response_header_size(r->api_key, r->version);
    int64_t n = message_size(m, r->version, r->response);

    if (n < 0)
        check_fail(__FILE__, __LINE__, "the answer to %s v%d cannot be written: %s", api_name(r->api_key), r->version,
                   message_obstacle(m, r->version, r->response));
    uint32_t total = header + (uint32_t)n;
    struct request_header asked;
    int used = request_header_read(r->frame.bytes, &asked);
    ASSERT(used > 0);
    r->bytes = malloc(4 + (size_t)total);
    response_header_write(r->api_key, r->version, asked.correlation_id + (fault == SCRIPT_CORRELATION), r->bytes + 4);
    message_write(m, r->version, r->response, r->bytes + 4 + header);
    if (fault == SCRIPT_GARBAGE) {
        for (int64_t i = 0; i < n; i++)
            r->bytes[4 + header + i] = (uint8_t)prng_u64(sim_prng(r->script->sim));
    }
    if (fault == SCRIPT_SHORT)
        total -= argument < n ? (uint32_t)argument : (uint32_t)n;
    put_u32(r->bytes, fault == SCRIPT_LENGTH ? (uint32_t)argument : total);
    r->span = (struct io_span){.p = r->bytes, .n = 4 + total};
    r->answer = (struct answer){.spans = &r->span, .span_count = 1, .total_bytes = 4 + total, .release = released};
}

static void answer_none(struct script_request *r)
{
    io_timer_clear(&r->timer);
    list_remove(&r->node);
    conn_answer(&r->frame, NULL);
}

static void answer_now(struct script_request *r, enum script_fault fault, int64_t argument)
{
    if (r->no_answer) {
        answer_none(r);
        return;
    }
    encode(r, fault, argument);
    list_remove(&r->node);
    conn_answer(&r->frame, &r->answer);
}

static void late_fired(struct io_timer *t)
{
    answer_now(container_of(t, struct script_request, timer), SCRIPT_NONE, 0);
}

static struct planned_fault take_fault(struct script_request *r)
{
    struct script *s = r->script;

    LIST_EACH(node, &s->faults) {
        struct planned_fault *f = container_of(node, struct planned_fault, node);
        bool here = f->broker == 0 || f->broker == r->broker;
        if (here && (f->api_key == ANY_API || f->api_key == r->api_key)) {
            struct planned_fault taken = *f;
            list_remove(node);
            free(f);
            return taken;
        }
    }
    return (struct planned_fault){.fault = SCRIPT_NONE};
}

static void reply(struct script_request *r, const struct planned_fault *f)
{
    switch (f->fault) {
    case SCRIPT_CUT:
    case SCRIPT_CUT_AFTER:
        conn_close(r->frame.conn, "the script says so");
        answer_none(r);
        return;
    case SCRIPT_SILENT:
        r->held = true;
        return;
    case SCRIPT_DELAY:
        r->held = true;
        io_timer_set(r->script->brokers[r->broker].io, &r->timer,
                     io_now_ns(r->script->brokers[r->broker].io) + f->argument * 1000000, late_fired);
        return;
    default:
        answer_now(r, f->fault, f->argument);
    }
}

void script_reply(struct script_request *r)
{
    ASSERT(r->parked);
    r->parked = false;
    answer_now(r, SCRIPT_NONE, 0);
}

/* ---- requests ------------------------------------------------------------------------------------- */

static struct conn_frame *take(void *ctx)
{
    struct script_request *r = calloc(1, sizeof *r);

    ASSERT(r != NULL);
    return &r->frame;
}

static void decode(struct script_request *r)
{
    struct script_broker *b = &r->script->brokers[r->broker];
    struct request_header h;
    int used = request_header_read(r->frame.bytes, &h);

    if (used < 0)
        check_fail(__FILE__, __LINE__, "a request whose header cannot be read");
    r->api_key = h.request_api_key;
    r->version = h.request_api_version;
    snprintf(r->client_id, sizeof r->client_id, "%.*s", STR_ARG(h.client_id));
    text_printf(&r->script->log, "%d %s v%d\n", r->broker, api_name(r->api_key), r->version);
    b->counts[r->api_key]++;
    arena_init(&r->arena, 0);
    const struct api *api = api_find(r->api_key);
    bool offered = r->version >= b->low[r->api_key] && r->version <= b->high[r->api_key];
    if (!offered && r->api_key != API_API_VERSIONS)
        check_fail(__FILE__, __LINE__, "broker %d was asked %s v%d, which it did not offer", r->broker, api->name,
                   r->version);
    if (offered) {
        void *m = arena_take(&r->arena, message_struct_bytes(api->request));
        struct bytes body = {r->frame.bytes.p + used, r->frame.bytes.n - used};
        if (message_read(api->request, body, r->version, &r->arena, m) != body.n)
            check_fail(__FILE__, __LINE__, "a %s v%d that cannot be read", api->name, r->version);
        r->message = m;
    }
    r->response = arena_take(&r->arena, message_struct_bytes(api->response));
    message_init(api->response, r->response);
}

static void asked(void *ctx, struct conn_frame *frame)
{
    struct connection *c = ctx;
    struct script_request *r = container_of(frame, struct script_request, frame);

    r->script = c->broker->script;
    r->broker = c->broker->id;
    list_add_tail(&c->unanswered, &r->node);
    decode(r);
    struct planned_fault fault = take_fault(r);
    if (fault.fault != SCRIPT_CUT) {
        struct script_rule rule = c->broker->rules[r->api_key];
        if (rule.handler == NULL)
            rule.handler = script_default(r->api_key);
        ASSERT(rule.handler != NULL);
        rule.handler(r, rule.ctx);
    }
    if (!r->parked)
        reply(r, &fault);
}

/* What a fault holds back is never answered now; what the test has parked, when the test says so, or at the end. */
static void drop_held(struct connection *c)
{
    LIST_EACH(node, &c->unanswered) {
        struct script_request *r = container_of(node, struct script_request, node);
        if (r->held || c->broker->script->ending)
            answer_none(r);
    }
}

static void give(void *ctx, struct conn_frame *frame)
{
    struct script_request *r = container_of(frame, struct script_request, frame);

    io_timer_clear(&r->timer);
    arena_deinit(&r->arena);
    free(r);
}

static void closed(void *ctx, const char *why)
{
    struct connection *c = ctx;

    c->closed = true;
    drop_held(c);
}

static void gone(void *ctx)
{
    struct connection *c = ctx;

    list_remove(&c->node);
    free(c);
}

static const struct conn_handler handler = {take, asked, give, closed, gone};

/* ---- connections ---------------------------------------------------------------------------------- */

static void accept_next(struct script_broker *b);

static void accepted(struct op *op, int64_t result)
{
    struct script_broker *b = container_of(op, struct script_broker, accept);
    static const struct conn_limits limits = {
        .frame_bytes_max = 200u << 20, .in_flight_max = 1000, .unsent_bytes_max = 200u << 20};

    b->accepting = false;
    if (result == 0) {
        struct connection *c = calloc(1, sizeof *c);
        c->broker = b;
        list_init(&c->unanswered);
        c->conn = conn_new(b->io, b->script->telemetry, b->accepted, &limits, &handler, c);
        list_add_tail(&b->connections, &c->node);
        b->connection_count++;
        conn_start(c->conn);
    }
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
    LIST_EACH(node, &b->connections)
        conn_close(container_of(node, struct connection, node)->conn, "the broker stops");
    io_listener_close(b->listener, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(s, &w), 0);
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
    struct planned_fault *f = calloc(1, sizeof *f);

    *f = (struct planned_fault){.broker = broker, .api_key = api_key, .fault = fault, .argument = argument};
    list_add_tail(&s->faults, &f->node);
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

    LIST_EACH(node, &s->brokers[broker].connections)
        n += conn_is_open(container_of(node, struct connection, node)->conn);
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
    LIST_EACH(node, &b->connections) {
        struct connection *c = container_of(node, struct connection, node);
        if (c->closed)
            drop_held(c);
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
    for (struct list *node; (node = list_take_head(&s->faults)) != NULL;)
        free(container_of(node, struct planned_fault, node));
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
