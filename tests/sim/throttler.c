/* Throttles replication while all else goes on, as an operator who moves partitions does: lists of replicas, and rates that
 * what is in sync may exceed by itself. Then the others get nothing: so the rates go when nothing is done to the nodes any
 * more, and the watcher must see everything in sync as ever. */
#include <stdlib.h>

#include "clients.h"
#include "protocol/incremental_alter_configs.h"

#define TOPIC_TYPE 2
#define BROKER_TYPE 4
#define OPERATION_SET 0
#define OPERATION_DELETE 1
#define RATE_MAX 2000

/* What a node had been asked before may still be under way to the controller. */
#define LATE_NS (3000 * INT64_C(1000000))

struct throttler {
    struct client client;
    struct peer *peer;
    struct flow flow;
    struct rpc rpc;
    struct topic *topic;
    bool removes, done;
};

struct client *throttler_client(struct throttler *t) { return &t->client; }

static struct topic *any_topic(struct throttler *t)
{
    struct truth *truth = t->client.world->truth;
    struct topic *topic;

    if (truth->topic_count == 0)
        return NULL;
    topic = truth->topics[client_below(&t->client, truth->topic_count)];
    return topic->lasting && topic->state == TOPIC_LIVES ? topic : NULL;
}

/* Two settings of one resource; `value` null = removed. */
static void alter(struct incremental_alter_configs_request_resources *r,
                  struct incremental_alter_configs_request_resources_configs configs[2], int8_t type, const char *name,
                  const char *const names[2], struct str value)
{
    incremental_alter_configs_request_resources_init(r);
    r->configs = configs;
    r->resource_type = type;
    r->resource_name = str_of(name);
    r->configs_count = 2;
    for (int i = 0; i < 2; i++) {
        incremental_alter_configs_request_resources_configs_init(&r->configs[i]);
        r->configs[i].name = str_of(names[i]);
        r->configs[i].value = value;
        r->configs[i].config_operation = str_is_null(value) ? OPERATION_DELETE : OPERATION_SET;
    }
}

static void begin_alter(struct throttler *t)
{
    static const char *const lists[] = {"leader.replication.throttled.replicas",
                                        "follower.replication.throttled.replicas"};
    static const char *const rates[] = {"leader.replication.throttled.rate", "follower.replication.throttled.rate"};
    struct incremental_alter_configs_request_resources_configs configs[2][2];
    struct incremental_alter_configs_request_resources resources[2];
    struct incremental_alter_configs_request m;
    char rate[16];

    incremental_alter_configs_request_init(&m);
    snprintf(rate, sizeof rate, "%u", (unsigned)client_below(&t->client, RATE_MAX));
    alter(&resources[0], configs[0], BROKER_TYPE, "", rates, t->removes ? STR_NULL : str_of(rate));
    if (!t->removes)
        alter(&resources[1], configs[1], TOPIC_TYPE, t->topic->name, lists, STR("*"));
    m.resources = resources;
    m.resources_count = t->removes ? 1 : 2;
    rpc_begin(&t->rpc, &t->client, t->peer, API_INCREMENTAL_ALTER_CONFIGS,
              client_draw_version(&t->client, API_INCREMENTAL_ALTER_CONFIGS, 0, 1), &m, &t->flow.op);
}

static void take_alter(struct throttler *t)
{
    const struct incremental_alter_configs_response *a = t->rpc.answer;
    const struct world *w = t->client.world;
    bool failed = false;

    for (int32_t i = 0; i < a->responses_count; i++) {
        if (a->responses[i].error_code == KERR_NONE)
            continue;
        expect_passing(&t->client, "IncrementalAlterConfigs", a->responses[i].error_code);
        failed = true;
    }
    if (failed)
        client_turn(&t->client, t->peer);
    t->done = t->removes && !failed && world_now_ns(w) - w->calm_ns > LATE_NS;
}

static void throttler_run(struct flow *f)
{
    struct throttler *t = container_of(f, struct throttler, flow);
    struct client *c = &t->client;

    FLOW_BEGIN(f);
    while (!c->stop) {
        t->removes = c->world->calm_ns != 0;
        t->topic = t->removes ? NULL : any_topic(t);
        if (t->topic != NULL || (t->removes && !t->done)) {
            FLOW_WAIT(f, "alter", begin_alter(t));
            if (f->result == 0)
                take_alter(t);
            else
                client_turn(c, t->peer);
        }
        FLOW_WAIT(f, "pause", client_sleep(c, client_ms(c, 50, 800), &f->op));
    }
    FLOW_WAIT(f, "close", peer_close(t->peer, &f->op));
    FLOW_END(f);
    c->stopped = true;
}

struct throttler *throttler_new(struct world *w)
{
    struct throttler *t = calloc(1, sizeof *t);

    ASSERT(t != NULL);
    client_init(&t->client, w, "throttler", false);
    t->peer = client_connect(&t->client, 1500, 1);
    return t;
}

void throttler_begin(struct throttler *t)
{
    flow_start(&t->flow, throttler_run, NULL);
}

void throttler_free(struct throttler *t)
{
    if (t == NULL)
        return;
    rpc_deinit(&t->rpc);
    client_deinit(&t->client);
    free(t);
}
