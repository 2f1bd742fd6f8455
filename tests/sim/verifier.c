/* Looks at everything that the node says when nothing is wrong, and holds it against the truth. */
#include <stdlib.h>

#include "clients.h"
#include "fetch.h"
#include "member.h"
#include "protocol/describe_configs.h"
#include "protocol/find_coordinator.h"
#include "protocol/metadata.h"
#include "protocol/offset_fetch.h"

#define RESOURCE_TOPIC_TYPE 2

struct verifier {
    struct client client;
    struct peer *peer;
    struct flow flow;
    struct rpc rpc;
    struct fetcher fetch;
    struct part *parts[TOPICS_MAX * PARTITIONS_MAX];
    uint32_t part_count, at;
    uint32_t broker;   /* place of the server whose partitions are read */
    struct topic *topic;
    bool done;
};

struct client *verifier_client(struct verifier *v) { return &v->client; }

static bool exists(const struct topic *t)
{
    return t->state == TOPIC_LIVES;
}

/* ---- topics --------------------------------------------------------------------------------------------- */

static void begin_metadata(struct verifier *v)
{
    struct metadata_request m;

    metadata_request_init(&m);
    m.topics = NULL;
    m.topics_count = -1;
    rpc_begin(&v->rpc, &v->client, v->peer, API_METADATA, client_draw_version(&v->client, API_METADATA, 10, 13), &m,
              &v->flow.op);
}

static void check_metadata(struct verifier *v)
{
    const struct metadata_response *m = v->rpc.answer;
    struct world *w = v->client.world;
    struct truth *t = w->truth;

    truth_metadata(t, &v->client, m);
    for (uint32_t i = 0; i < t->topic_count; i++) {
        const struct metadata_response_topics *found = NULL;
        for (int32_t k = 0; k < m->topics_count; k++) {
            if (uuid_equal(m->topics[k].topic_id, t->topics[i]->id))
                found = &m->topics[k];
        }
        if (found != NULL && t->topics[i]->state == TOPIC_GONE)
            broken(w, "%s was deleted and is there again, with the same id", t->topics[i]->name);
        if (found == NULL && exists(t->topics[i]))
            broken(w, "%s was created and is not there", t->topics[i]->name);
        if (found != NULL && exists(t->topics[i]) && found->partitions_count != t->topics[i]->partition_count)
            broken(w, "%s should have %d partitions, but has %d", t->topics[i]->name,
                   t->topics[i]->partition_count, found->partitions_count);
    }
    v->part_count = 0;
    for (uint32_t i = 0; i < t->topic_count; i++) {
        for (int32_t p = 0; exists(t->topics[i]) && p < t->topics[i]->partition_count; p++) {
            v->parts[v->part_count++] = &t->topics[i]->parts[p];
            if (t->topics[i]->parts[p].leader < 0)
                broken(w, "%s-%d has no leader, although nothing is wrong", t->topics[i]->name, p);
        }
    }
}

static void begin_configs(struct verifier *v)
{
    struct describe_configs_request_resources resource;
    struct describe_configs_request m;
    struct str key = STR("retention.ms");

    describe_configs_request_init(&m);
    describe_configs_request_resources_init(&resource);
    resource.resource_type = RESOURCE_TOPIC_TYPE;
    resource.resource_name = str_of(v->topic->name);
    resource.configuration_keys = &key;
    resource.configuration_keys_count = 1;
    m.resources = &resource;
    m.resources_count = 1;
    rpc_begin(&v->rpc, &v->client, v->peer, API_DESCRIBE_CONFIGS,
              client_draw_version(&v->client, API_DESCRIBE_CONFIGS, 1, 4), &m, &v->flow.op);
}

static void check_configs(struct verifier *v)
{
    const struct describe_configs_response *a = v->rpc.answer;
    struct world *w = v->client.world;
    const struct describe_configs_response_results *r = a->results;
    int64_t expected = v->topic->retention_ms, value;

    if (a->results_count != 1 || r->error_code != KERR_NONE || r->configs_count != 1)
        broken(w, "%s: DescribeConfigs of retention.ms was not answered", v->topic->name);
    if (v->topic->retention_unsure)
        return;
    if ((r->configs[0].config_source == CONFIG_TOPIC) != (expected >= 0))
        broken(w, "%s: retention.ms comes from source %d, but was %s", v->topic->name,
               r->configs[0].config_source, expected >= 0 ? "set" : "not set");
    if (str_to_i64(r->configs[0].value, INT64_MIN, INT64_MAX, &value) < 0 ||
        (expected >= 0 && value != expected))
        broken(w, "%s: retention.ms is %.*s, but was set to %" PRId64, v->topic->name,
               STR_ARG(r->configs[0].value), expected);
}

/* ---- records -------------------------------------------------------------------------------------------- */

static void next_parts(struct verifier *v)
{
    fetch_drop_all(&v->fetch);
    fetch_draw(&v->fetch, &v->client);
    for (; v->at < v->part_count && v->fetch.count < FETCH_PARTITIONS_MAX; v->at++) {
        if (v->parts[v->at]->leader == (int32_t)v->broker + 1)
            v->fetch.slots[v->fetch.count++] = (struct fetch_slot){.part = v->parts[v->at], .high_watermark = -1};
    }
}

static bool all_read(const struct verifier *v)
{
    for (uint32_t i = 0; i < v->fetch.count; i++) {
        const struct fetch_slot *s = &v->fetch.slots[i];
        if (s->position != s->high_watermark || s->position < s->part->floor)
            return false;
    }
    return true;
}

static void check_parts(struct verifier *v)
{
    for (uint32_t i = 0; i < v->fetch.count; i++)
        truth_whole(v->client.world->truth, v->fetch.slots[i].part, v->fetch.slots[i].from,
                    v->fetch.slots[i].high_watermark);
}

/* ---- the group's commits -------------------------------------------------------------------------------- */

static bool is_reading(const struct verifier *v)
{
    const struct plan *p = &v->client.world->plan;

    return p->members > 0 || (p->node_count > 1 && p->subscribers > 0);
}

static void begin_find(struct verifier *v)
{
    struct find_coordinator_request m;

    find_coordinator_request_init(&m);
    m.key = STR(GROUP);
    rpc_begin(&v->rpc, &v->client, v->peer, API_FIND_COORDINATOR,
              client_draw_version(&v->client, API_FIND_COORDINATOR, 0, 3), &m, &v->flow.op);
}

/* From here on the coordinator is asked, where it is known. */
static void take_find(struct verifier *v)
{
    const struct find_coordinator_response *a = v->rpc.answer;
    struct world *w = v->client.world;

    if (a->error_code != KERR_NONE) {
        if (!error_is_passing(a->error_code))
            expect_passing(&v->client, "FindCoordinator", a->error_code);
        return;
    }
    if (a->node_id < 1 || a->node_id > (int32_t)w->plan.node_count)
        broken(w, "FindCoordinator names node %d", a->node_id);
    client_turn_to(v->peer, &w->servers[a->node_id - 1]);
}

static void begin_commits(struct verifier *v)
{
    struct offset_fetch_request m;

    offset_fetch_request_init(&m);
    m.group_id = STR(GROUP);
    m.topics = NULL;
    m.topics_count = -1;
    rpc_begin(&v->rpc, &v->client, v->peer, API_OFFSET_FETCH, client_draw_version(&v->client, API_OFFSET_FETCH, 2, 7),
              &m, &v->flow.op);
}

/* False: the coordinator is not ready yet. */
static bool check_commits(struct verifier *v)
{
    const struct offset_fetch_response *a = v->rpc.answer;
    struct truth *t = v->client.world->truth;
    int64_t told[TOPICS_AT_START_MAX][PARTITIONS_MAX];

    if (a->error_code != KERR_NONE) {
        if (!error_is_passing(a->error_code))
            expect_passing(&v->client, "OffsetFetch", a->error_code);
        return false;
    }
    memset(told, -1, sizeof told);
    for (int32_t i = 0; i < a->topics_count; i++) {
        for (uint32_t k = 0; k < v->client.world->plan.topics; k++) {
            for (int32_t p = 0; str_equal(a->topics[i].name, str_of(t->topics[k]->name)) &&
                                p < a->topics[i].partitions_count; p++)
                told[k][a->topics[i].partitions[p].partition_index] =
                    a->topics[i].partitions[p].committed_offset;
        }
    }
    for (uint32_t k = 0; k < v->client.world->plan.topics; k++) {
        for (int32_t p = 0; p < PARTITIONS_MAX; p++)
            truth_committed(t, &t->topics[k]->parts[p], told[k][p], t->topics[k]->parts[p].committed);
    }
    return true;
}

/* ---- its life --------------------------------------------------------------------------------------------- */

static void verifier_run(struct flow *f)
{
    struct verifier *v = container_of(f, struct verifier, flow);
    struct client *c = &v->client;
    struct truth *t = c->world->truth;

    FLOW_BEGIN(f);
    do {
        client_turn(c, v->peer);
        FLOW_WAIT(f, "metadata", begin_metadata(v));
    } while (f->result < 0);
    check_metadata(v);
    for (v->at = 0; v->at < t->topic_count; v->at++) {
        v->topic = t->topics[v->at];
        if (!exists(v->topic))
            continue;
        FLOW_WAIT(f, "settings", begin_configs(v));
        if (f->result == 0)
            check_configs(v);
    }
    for (v->broker = 0; v->broker < c->world->plan.node_count; v->broker++) {
        if (!server_is_broker(&c->world->servers[v->broker]))
            continue;
        client_turn_to(v->peer, &c->world->servers[v->broker]);
        v->at = 0;
        while (v->at < v->part_count) {
            next_parts(v);
            while (!all_read(v))
                FLOW_WAIT(f, "read", fetch_once(&v->fetch, c, v->peer, &f->op));
            check_parts(v);
        }
    }
    truth_orders(t);
    while (is_reading(v)) {
        FLOW_WAIT(f, "coordinator", begin_find(v));
        if (f->result == 0)
            take_find(v);
        FLOW_WAIT(f, "commits", begin_commits(v));
        if (f->result == 0 && check_commits(v))
            break;
        FLOW_WAIT(f, "back off", client_sleep(c, client_ms(c, 5, 30), &f->op));
    }
    FLOW_WAIT(f, "close", peer_close(v->peer, &f->op));
    FLOW_END(f);
    c->stopped = true;
    v->done = true;
}

struct verifier *verifier_new(struct world *w)
{
    struct verifier *v = calloc(1, sizeof *v);
    char name[16];

    ASSERT(v != NULL);
    snprintf(name, sizeof name, "verifier-%u", (unsigned)w->lives);
    client_init(&v->client, w, name, false);
    v->fetch.max_wait_ms = 0;
    v->fetch.min_bytes = 1;
    v->fetch.partition_bytes_max = 1 << 20;
    v->peer = client_connect(&v->client, 2000, 1);
    return v;
}

void verifier_begin(struct verifier *v)
{
    v->client.world->truth->look++;
    flow_start(&v->flow, verifier_run, NULL);
}

void verifier_free(struct verifier *v)
{
    if (v == NULL)
        return;
    rpc_deinit(&v->rpc);
    rpc_deinit(&v->fetch.rpc);
    client_deinit(&v->client);
    free(v);
}

bool verifier_is_done(const struct verifier *v)
{
    return v->done;
}
