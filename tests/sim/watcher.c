/* Asks every broker of a cluster in turn what there is: who leads, and who is in sync. What one of them says may be
 * old; when nothing is wrong, all must come to say that everything is led and in sync. */
#include <stdarg.h>
#include <stdlib.h>

#include "clients.h"
#include "protocol/metadata.h"

struct seen {
    int64_t asked_ns; /* 0 = it has not answered */
    bool led, in_sync;
    char lack[160];   /* what is not as it should be */
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

static void lacks(struct seen *s, bool *what, const char *format, ...) PRINTF(3, 4);
static void lacks(struct seen *s, bool *what, const char *format, ...)
{
    va_list args;

    *what = false;
    va_start(args, format);
    vsnprintf(s->lack, sizeof s->lack, format, args);
    va_end(args);
}

static void take_partition(struct watcher *o, struct str topic, const struct metadata_response_topics_partitions *p)
{
    struct seen *s = &o->seen[o->at];
    int32_t replicas = o->client.world->plan.replicas;

    if (p->replica_nodes_count != replicas || p->isr_nodes_count != replicas)
        lacks(s, &s->in_sync, "%.*s-%d has %d replicas, %d of them in sync (leader %d in epoch %d)", STR_ARG(topic),
              p->partition_index, p->replica_nodes_count, p->isr_nodes_count, p->leader_id, p->leader_epoch);
    if (p->error_code != KERR_NONE || p->leader_id <= 0)
        lacks(s, &s->led, "%.*s-%d has the leader %d (%s)", STR_ARG(topic), p->partition_index, p->leader_id,
              kerr_name(p->error_code));
}

static void take_metadata(struct watcher *o)
{
    const struct metadata_response *m = o->rpc.answer;
    const struct world *w = o->client.world;
    struct seen *s = &o->seen[o->at];

    truth_metadata(w->truth, &o->client, m);
    *s = (struct seen){.asked_ns = o->rpc.began_ns, .led = true, .in_sync = true};
    if (m->brokers_count != broker_count(w))
        lacks(s, &s->in_sync, "there are %d brokers", m->brokers_count);
    for (int32_t i = 0; i < m->topics_count; i++) {
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++)
            take_partition(o, m->topics[i].name, &m->topics[i].partitions[k]);
    }
    if (!knows_all(o, m))
        lacks(s, &s->led, "not all topics are there");
}

/* The first broker that has not said so, as an answer to what it was asked since all are ready. */
static const struct seen *first_lack(const struct watcher *o, bool in_sync)
{
    static const struct seen silent = {.lack = "it has not answered"};
    const struct world *w = o->client.world;

    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        const struct seen *s = &o->seen[i];
        if (!server_is_broker(&w->servers[i]))
            continue;
        if (w->ready_ns == 0 || s->asked_ns < w->ready_ns)
            return &silent;
        if (!s->led || (in_sync && !s->in_sync))
            return s;
    }
    return NULL;
}

const char *watcher_lacks_leaders(const struct watcher *o)
{
    const struct seen *s = first_lack(o, false);

    return s == NULL ? NULL : s->lack;
}

const char *watcher_lacks_replicas(const struct watcher *o)
{
    const struct seen *s = first_lack(o, true);

    return s == NULL ? NULL : s->lack;
}

/* ---- its life ------------------------------------------------------------------------------------- */

static void next_broker(struct watcher *o)
{
    const struct world *w = o->client.world;

    do
        o->at = (o->at + 1) % w->plan.node_count;
    while (!server_is_broker(&w->servers[o->at]));
    client_turn_to(o->peer, &w->servers[o->at]);
}

/* In a storm it is to see who leads before that is over. */
static int64_t pause_ns(struct client *c)
{
    if (c->world->plan.storm && c->world->calm_ns == 0)
        return client_ms(c, 2, 20);
    return client_ms(c, 20, c->world->calm_ns != 0 ? 60 : 200);
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
        FLOW_WAIT(f, "pause", client_sleep(c, pause_ns(c), &f->op));
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
