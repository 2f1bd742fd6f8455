/* Asks every broker of a cluster in turn what there is: who leads, and who is in sync. What one of them says may be
 * old; when nothing is wrong, all must come to say that everything is led and in sync. */
#include <stdlib.h>

#include "clients.h"
#include "protocol/metadata.h"

struct seen {
    int64_t asked_ns; /* 0 = it has not answered */
    bool led, in_sync;
};

struct watcher {
    struct client client;
    struct peer *peer;
    struct flow flow;
    struct rpc rpc;
    uint32_t at;
    struct seen seen[NODES_MAX];
};

struct client *watcher_client(struct watcher *o) { return &o->client; }

static void begin_metadata(struct watcher *o)
{
    struct metadata_request m;

    metadata_request_init(&m);
    m.topics = NULL;
    m.topics_count = -1;
    rpc_begin(&o->rpc, &o->client, o->peer, API_METADATA, client_draw_version(&o->client, API_METADATA, 10, 13), &m,
              &o->flow.op);
}

/* Everything that stays is there, as far as this broker knows. */
static bool knows_all(const struct watcher *o, const struct metadata_response *m)
{
    const struct truth *t = o->client.world->truth;

    for (uint32_t i = 0; i < t->topic_count; i++) {
        int32_t found = 0;
        for (int32_t k = 0; k < m->topics_count; k++)
            found += uuid_equal(m->topics[k].topic_id, t->topics[i]->id) &&
                     m->topics[k].partitions_count >= t->topics[i]->partition_count;
        if (t->topics[i]->lasting && found != 1)
            return false;
    }
    return true;
}

static int32_t broker_count(const struct world *w)
{
    int32_t n = 0;

    for (uint32_t i = 0; i < w->plan.node_count; i++)
        n += server_is_broker(&w->servers[i]);
    return n;
}

static void take_metadata(struct watcher *o)
{
    const struct metadata_response *m = o->rpc.answer;
    const struct world *w = o->client.world;
    struct seen *s = &o->seen[o->at];

    truth_metadata(w->truth, &o->client, m);
    s->asked_ns = o->rpc.began_ns;
    s->led = knows_all(o, m);
    s->in_sync = m->brokers_count == broker_count(w);
    for (int32_t i = 0; i < m->topics_count; i++) {
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct metadata_response_topics_partitions *p = &m->topics[i].partitions[k];
            s->led = s->led && p->error_code == KERR_NONE && p->leader_id > 0;
            s->in_sync = s->in_sync && p->replica_nodes_count == w->plan.replicas &&
                         p->isr_nodes_count == w->plan.replicas;
        }
    }
}

static bool sees(const struct watcher *o, size_t what)
{
    const struct world *w = o->client.world;

    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        const struct seen *s = &o->seen[i];
        if (server_is_broker(&w->servers[i]) &&
            (w->ready_ns == 0 || s->asked_ns < w->ready_ns || !*((const bool *)((const char *)s + what))))
            return false;
    }
    return true;
}

bool watcher_sees_leaders(const struct watcher *o) { return sees(o, offsetof(struct seen, led)); }
bool watcher_sees_in_sync(const struct watcher *o) { return sees(o, offsetof(struct seen, in_sync)); }

/* ---- its life ------------------------------------------------------------------------------------- */

static void next_broker(struct watcher *o)
{
    const struct world *w = o->client.world;

    do
        o->at = (o->at + 1) % w->plan.node_count;
    while (!server_is_broker(&w->servers[o->at]));
    client_turn_to(o->peer, &w->servers[o->at]);
}

static void watcher_run(struct flow *f)
{
    struct watcher *o = container_of(f, struct watcher, flow);
    struct client *c = &o->client;

    FLOW_BEGIN(f);
    while (!c->stop) {
        next_broker(o);
        FLOW_WAIT(f, "metadata", begin_metadata(o));
        if (f->result == 0)
            take_metadata(o);
        FLOW_WAIT(f, "pause", client_sleep(c, client_ms(c, 20, c->world->calm_ns != 0 ? 60 : 200), &f->op));
    }
    FLOW_WAIT(f, "close", peer_close(o->peer, &f->op));
    FLOW_END(f);
    c->stopped = true;
}

struct watcher *watcher_new(struct world *w)
{
    struct watcher *o = calloc(1, sizeof *o);

    ASSERT(o != NULL);
    client_init(&o->client, w, "watcher", true);
    o->peer = client_connect(&o->client, 300, 1);
    return o;
}

void watcher_begin(struct watcher *o)
{
    flow_start(&o->flow, watcher_run, NULL);
}

void watcher_free(struct watcher *o)
{
    if (o == NULL)
        return;
    rpc_deinit(&o->rpc);
    client_deinit(&o->client);
    free(o);
}
