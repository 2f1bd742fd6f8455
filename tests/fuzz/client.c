/* Answers of foreign bytes to a client: ApiVersions, Metadata, FindCoordinator and what it is asked to send. Nothing
 * crashes, and every call ends by its limit.
 *
 *   data[0]   seed of the world
 *   then one piece for each request that comes, over all connections:
 *     c         what to do with it, modulo 4
 *       0, 1    the body of the answer is the n bytes that follow: u16 n, bytes (as many as there are)
 *       2       an answer that is good, where it is ApiVersions; else as 0
 *       3       those bytes instead of the whole answer, length and header too
 *   without a piece, the connection is closed
 */
#include "client/client.h"
#include "simulator/simulator.h"

#include <stdint.h>
#include <stdlib.h>

#include "protocol/api_versions.h"
#include "protocol/describe_cluster.h"
#include "protocol/heartbeat.h"

#define EVENTS_MAX 200000
#define LIMIT_MS 1000
#define LATE_NS (INT64_C(1500) * 1000000) /* to end a connection, and what was sent on it */
#define CALLS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct sim *sim;
    struct io *io, *far_io;
    struct io_listener *listener;
    struct io_socket *accepted;
    struct op accept;
    struct telemetry *telemetry;
    struct bytes rest;
    bool ending;
};

/* ---- the server ------------------------------------------------------------------------------ */

struct line {
    struct conn *conn;
    struct world *world;
};

struct request {
    struct conn_frame frame; /* first */
    struct answer answer;
    struct io_span span;
    struct text bytes;
};

static struct conn_frame *take(void *ctx)
{
    struct request *r = calloc(1, sizeof *r);

    ASSERT(r != NULL);
    return &r->frame;
}

static void released(struct answer *a) {}

static void give(void *ctx, struct conn_frame *frame)
{
    struct request *r = container_of(frame, struct request, frame);

    text_deinit(&r->bytes);
    free(r);
}

static struct bytes next_bytes(struct world *w)
{
    struct bytes piece = {w->rest.p, 0};

    if (w->rest.n < 2)
        return piece;
    int32_t n = get_u16(w->rest.p);
    piece.p += 2;
    piece.n = n < w->rest.n - 2 ? n : w->rest.n - 2;
    w->rest.p += 2 + piece.n;
    w->rest.n -= 2 + piece.n;
    return piece;
}

/* All APIs, in all versions. */
static void add_versions(struct text *out, int16_t version)
{
    struct api_versions_response_api_keys keys[API_KEY_COUNT];
    struct api_versions_response m;

    api_versions_response_init(&m);
    m.api_keys = keys;
    m.api_keys_count = 0;
    for (int16_t key = 0; key < API_KEY_COUNT; key++) {
        if (api_find(key) == NULL)
            continue;
        struct api_versions_response_api_keys *k = &keys[m.api_keys_count++];
        api_versions_response_api_keys_init(k);
        k->api_key = key;
        k->min_version = api_find(key)->low;
        k->max_version = api_find(key)->high;
    }
    int64_t n = api_versions_response_size(&m, version);
    uint8_t *body = malloc((size_t)n);
    api_versions_response_write(&m, version, body);
    text_add(out, body, (size_t)n);
    free(body);
}

static void make_answer(struct request *r, struct world *w)
{
    struct request_header h;
    uint8_t head[16], how = w->rest.p[0] % 4;

    w->rest.p++;
    w->rest.n--;
    if (how == 3) {
        struct bytes raw = next_bytes(w);
        text_add(&r->bytes, raw.p, (size_t)raw.n);
        text_add(&r->bytes, "", 1);
        return;
    }
    int used = request_header_read(r->frame.bytes, &h);
    ASSERT(used > 0);
    uint32_t header = response_header_size(h.request_api_key, h.request_api_version);
    response_header_write(h.request_api_key, h.request_api_version, h.correlation_id, head + 4);
    text_add(&r->bytes, head, 4 + header);
    if (how == 2 && h.request_api_key == API_API_VERSIONS) {
        add_versions(&r->bytes, h.request_api_version);
    } else {
        struct bytes body = next_bytes(w);
        text_add(&r->bytes, body.p, (size_t)body.n);
    }
    put_u32(r->bytes.p, (uint32_t)r->bytes.n - 4);
}

static void asked(void *ctx, struct conn_frame *frame)
{
    struct line *line = ctx;
    struct request *r = container_of(frame, struct request, frame);

    if (line->world->rest.n == 0) {
        conn_close(line->conn, "nothing is left to say");
        conn_answer(frame, NULL);
        return;
    }
    make_answer(r, line->world);
    r->span = (struct io_span){.p = (uint8_t *)r->bytes.p, .n = (uint32_t)r->bytes.n};
    r->answer = (struct answer){&r->span, 1, r->bytes.n, released};
    conn_answer(frame, &r->answer);
}

static void closed(void *ctx, const char *why) {}

static void gone(void *ctx)
{
    free(ctx);
}

static const struct conn_handler handler = {take, asked, give, closed, gone};

static void accept_next(struct world *w);

static void accepted(struct op *op, int64_t result)
{
    struct world *w = container_of(op, struct world, accept);
    static const struct conn_limits limits = {.frame_bytes_max = 1 << 20, .in_flight_max = 10, .unsent_bytes_max = 1};

    if (result < 0)
        return;
    struct line *line = calloc(1, sizeof *line);
    ASSERT(line != NULL);
    line->world = w;
    line->conn = conn_new(w->io, w->telemetry, w->accepted, &limits, &handler, line);
    conn_start(line->conn);
    accept_next(w);
}

static void accept_next(struct world *w)
{
    op_init(&w->accept, accepted);
    io_accept(w->listener, &w->accepted, NULL, &w->accept);
}

/* ---- the client ------------------------------------------------------------------------------- */

struct wait {
    struct op op;
    bool done;
    int64_t result;
};

static void wait_done(struct op *op, int64_t result)
{
    struct wait *w = container_of(op, struct wait, op);

    ASSERT(!w->done);
    w->done = true;
    w->result = result;
}

static struct op *wait_begin(struct wait *w)
{
    *w = (struct wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

static void run(struct world *w, const bool *flag)
{
    for (uint64_t end = sim_events(w->sim) + EVENTS_MAX; sim_events(w->sim) < end && !*flag;) {
        if (!sim_step(w->sim))
            return;
    }
}

struct ask {
    struct client_call call;
    bool done;
};

static void ask_done(struct op *op, int64_t result)
{
    struct ask *a = container_of(op, struct ask, call.op);

    ASSERT(!a->done);
    ASSERT((result == 0) == (a->call.response != NULL));
    a->done = true;
}

static struct client *client_open(struct world *w, uint8_t choice)
{
    struct client_settings s = {
        .bootstrap_servers = STR("near:9092"),
        .bootstrap_controllers = choice % 8 == 7,
        .client_id = STR("fuzz"),
        .check_cluster = true,
        .request_timeout_ms = LIMIT_MS,
        .reconnect_backoff_ms = 10,
        .reconnect_backoff_max_ms = 100,
        .retry_backoff_ms = 10,
        .retry_backoff_max_ms = 100,
        .connection_setup_timeout_ms = LIMIT_MS,
        .connection_setup_timeout_max_ms = LIMIT_MS,
        .connections_max_idle_ms = 500,
        .metadata_max_age_ms = 200,
        .rebootstrap = true,
        .rebootstrap_trigger_ms = 300,
        .frame_bytes_max = 1 << 20,
        .in_flight_max = 5,
    };

    return client_new(w->far_io, w->telemetry, &s, NULL);
}

static void use(struct world *w, uint8_t choice)
{
    struct client *c = client_open(w, choice);
    struct describe_cluster_request describe;
    struct heartbeat_request beat;
    struct ask asks[CALLS] = {{{{0}}}};
    struct wait update, close;
    static const struct client_target targets[CALLS] = {
        {CLIENT_ANY}, {CLIENT_NODE, .node_id = 1}, {CLIENT_CONTROLLER}, {CLIENT_GROUP, .key = {"g", 1}}};

    ASSERT(c != NULL);
    describe_cluster_request_init(&describe);
    heartbeat_request_init(&beat);
    if (choice % 2 == 1)
        client_want_all(c);
    client_want(c, STR("t"));
    client_update(c, LIMIT_MS, wait_begin(&update));
    for (int i = 0; i < CALLS; i++) {
        bool group = targets[i].kind == CLIENT_GROUP;
        asks[i].call = (struct client_call){
            .api_key = group ? API_HEARTBEAT : API_DESCRIBE_CLUSTER,
            .request = group ? (void *)&beat : (void *)&describe,
            .target = targets[i],
            .timeout_ms = LIMIT_MS,
        };
        op_init(&asks[i].call.op, ask_done);
        client_send(c, &asks[i].call);
    }
    sim_run_until(w->sim, sim_now_ns(w->sim) + LIMIT_MS * INT64_C(1000000) + LATE_NS);
    ASSERT(update.done);
    for (int i = 0; i < CALLS; i++) {
        ASSERT(asks[i].done);
        client_call_release(&asks[i].call);
    }
    for (const struct client_topic *t = NULL; (t = client_topic_next(c, t)) != NULL;)
        ASSERT(t->error != 0 ? t->partition_count == 0 : client_topic(c, t->name) == t);
    client_close(c, wait_begin(&close));
    run(w, &close.done);
    ASSERT(close.done);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct io_address address = {.host = "", .port = 9092};
    struct world w = {0};
    struct wait wait;

    if (size < 2 || size > 65536)
        return 0;
    w.rest = (struct bytes){data + 1, (int32_t)size - 1};
    w.sim = sim_new(data[0], NULL);
    w.telemetry = telemetry_new(NULL);
    struct sim_node *near = sim_node_new(w.sim, "near"), *far = sim_node_new(w.sim, "far");
    sim_node_start(near, 1);
    sim_node_start(far, 1);
    w.io = sim_node_io(near, 0);
    w.far_io = sim_node_io(far, 0);
    io_listen(w.io, &address, NULL, &w.listener, NULL, wait_begin(&wait));
    run(&w, &wait.done);
    accept_next(&w);
    use(&w, data[0]);
    io_listener_close(w.listener, wait_begin(&wait));
    run(&w, &wait.done);
    sim_run_until(w.sim, sim_now_ns(w.sim) + INT64_C(5000000000)); /* connections have heard that they ended */
    telemetry_free(w.telemetry);
    sim_free(w.sim);
    return 0;
}
