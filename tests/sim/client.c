/* A client's machine, its pauses, and one request of it. */
#include "client.h"

#include <stdlib.h>

#define FRAME_BYTES_MAX (16u << 20)

static uint64_t seed_of(const struct world *w, const char *name)
{
    return w->seed * UINT64_C(0x9e3779b97f4a7c15) ^ str_hash(str_of(name));
}

void client_init(struct client *c, struct world *w, const char *name, bool cuttable)
{
    c->world = w;
    snprintf(c->name, sizeof c->name, "%s", name);
    c->node = sim_node_new(w->sim, name);
    sim_node_start(c->node, 1);
    c->io = sim_node_io(c->node, 0);
    c->telemetry = telemetry_new(NULL);
    prng_init(&c->prng, seed_of(w, name));
    if (cuttable)
        w->clients[w->client_count++] = c;
}

void client_deinit(struct client *c)
{
    telemetry_free(c->telemetry);
}

static const struct server *any_broker(struct client *c)
{
    const struct world *w = c->world;
    const struct server *s = &w->servers[0];

    if (!world_is_cluster(w))
        return s;
    do
        s = &w->servers[client_below(c, w->plan.node_count)];
    while (!server_is_broker(s));
    return s;
}

struct peer *client_connect(struct client *c, int64_t timeout_ms, uint32_t in_flight_max)
{
    struct peer_settings s = {
        .address.port = 9092,
        .client_id = str_of(c->name),
        .backoff_ms = 10,
        .backoff_max_ms = 200,
        .request_timeout_ms = timeout_ms,
        .frame_bytes_max = FRAME_BYTES_MAX,
        .in_flight_max = in_flight_max,
    };

    snprintf(s.address.host, sizeof s.address.host, "%s", sim_node_host(any_broker(c)->node));
    return peer_new(c->io, c->telemetry, &s);
}

void client_turn_to(struct peer *peer, const struct server *s)
{
    struct io_address address = {.port = 9092};

    snprintf(address.host, sizeof address.host, "%s", sim_node_host(s->node));
    peer_set_address(peer, &address);
    peer_drop(peer, -ECONNRESET);
}

void client_turn(struct client *c, struct peer *peer)
{
    if (world_is_cluster(c->world))
        client_turn_to(peer, any_broker(c));
}

static void sleep_over(struct io_timer *t)
{
    struct client *c = container_of(t, struct client, timer);
    struct op *op = c->sleeper;

    c->sleeper = NULL;
    op->done(op, 0);
}

void client_sleep(struct client *c, int64_t ns, struct op *op)
{
    ASSERT(c->sleeper == NULL);
    c->sleeper = op;
    io_timer_set(c->io, &c->timer, io_now_ns(c->io) + ns, sleep_over);
}

uint64_t client_below(struct client *c, uint64_t bound)
{
    return prng_below(&c->prng, bound);
}

int16_t client_draw_version(struct client *c, int16_t key, int16_t low, int16_t high)
{
    const struct api *api = api_find(key);

    if (low < api->offered_low)
        low = api->offered_low;
    if (high > api->offered_high)
        high = api->offered_high;
    return (int16_t)(low + (int16_t)client_below(c, (uint64_t)(high - low + 1)));
}

/* ---- requests --------------------------------------------------------------------------------- */

static void read_answer(struct rpc *r)
{
    const struct api *api = api_find(r->call.api_key);
    struct world *w = r->client->world;
    int used;

    arena_deinit(&r->arena);
    arena_init(&r->arena, 0);
    r->answer = arena_take(&r->arena, message_struct_bytes(api->response));
    used = message_read(api->response, r->call.body, r->call.api_version, &r->arena, r->answer);
    if (used != r->call.body.n)
        broken(w, "%s: the answer to %s v%d cannot be read: %s", r->client->name, api->name,
               r->call.api_version, used < 0 ? error_text(used) : "bytes are left over");
}

/* Nothing is wrong, so the node may neither be silent nor hang up. */
static void judge_trouble(struct rpc *r, int64_t result)
{
    struct world *w = r->client->world;

    if (world_is_calm(w) && r->began_ns >= w->steady_ns && result != ERR_CLOSED)
        broken(w, "%s: %s v%d was not answered (%s), although nothing is wrong", r->client->name,
               api_name(r->call.api_key), r->call.api_version, error_text((int)result));
}

static void rpc_done(struct op *op, int64_t result)
{
    struct rpc *r = container_of(op, struct rpc, call.op);
    struct op *waiter = r->waiter;

    r->busy = false;
    if (result == 0)
        read_answer(r);
    else
        judge_trouble(r, result);
    note(r->client->world, "%s: %s v%d -> %d", r->client->name, api_name(r->call.api_key),
         r->call.api_version, (int)result);
    waiter->done(waiter, result);
}

static void drop_frame(struct rpc *r)
{
    buf_unref(r->call.answer);
    r->call.answer = NULL;
    r->answer = NULL;
}

void rpc_begin(struct rpc *r, struct client *c, struct peer *peer, int16_t key, int16_t version,
               const void *request, struct op *op)
{
    const struct api *api = api_find(key);
    uint8_t *body;
    int64_t n = message_size(api->request, version, request);

    ASSERT(!r->busy);
    if (n < 0)
        broken(c->world, "%s: %s v%d cannot be written: %s", c->name, api->name, version,
               message_obstacle(api->request, version, request));
    drop_frame(r);
    r->client = c;
    r->waiter = op;
    r->busy = true;
    r->began_ns = world_now_ns(c->world);
    r->life = c->world->lives;
    r->call.api_key = key;
    r->call.api_version = version;
    op_init(&r->call.op, rpc_done);
    body = malloc((size_t)n + 1);
    ASSERT(body != NULL);
    message_write(api->request, version, request, body);
    peer_send(peer, &r->call, (struct bytes){body, (int32_t)n});
    free(body);
}

void rpc_deinit(struct rpc *r)
{
    ASSERT(!r->busy);
    drop_frame(r);
    arena_deinit(&r->arena);
}

bool error_is_passing(int16_t error)
{
    switch (error) {
    case KERR_LEADER_NOT_AVAILABLE:
    case KERR_NOT_LEADER_OR_FOLLOWER:
    case KERR_REQUEST_TIMED_OUT:
    case KERR_COORDINATOR_LOAD_IN_PROGRESS:
    case KERR_COORDINATOR_NOT_AVAILABLE:
    case KERR_NOT_COORDINATOR:
    case KERR_NOT_CONTROLLER:
    case KERR_KAFKA_STORAGE_ERROR:
    case KERR_NOT_ENOUGH_REPLICAS:
    case KERR_BROKER_NOT_AVAILABLE:
        return true;
    default:
        return false;
    }
}

void expect_passing(struct client *c, const char *what, int16_t error)
{
    if (!error_is_passing(error))
        broken(c->world, "%s: %s was answered %s", c->name, what, kerr_name(error));
    if (world_is_calm(c->world))
        broken(c->world, "%s: %s was answered %s, although nothing is wrong", c->name, what,
               kerr_name(error));
}
