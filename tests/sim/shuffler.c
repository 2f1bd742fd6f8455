/* Moves replicas between brokers and leaders between replicas, while all else goes on: reassignments, also ones that
 * are taken back, and elections. None is waited for. What is taken back after another one was asked for in its place leaves
 * the replicas of both (as Kafka's controller does). So when all has healed each lasting partition is given replicas once
 * more, and again while that is not seen, because an older request may come late: the watcher must see each partition with
 * all of its replicas in sync, and no others. */
#include <stdlib.h>

#include "clients.h"
#include "protocol/alter_partition_reassignments.h"
#include "protocol/elect_leaders.h"

#define ELECTION_PREFERRED 0
#define ELECTION_UNCLEAN 1
#define ROUND_NS INT64_C(4000000000)

struct shuffler {
    struct client client;
    struct peer *peer;
    struct flow flow;
    struct rpc rpc;
    struct part *part;   /* what it works on; NULL = nothing */
    uint32_t given;      /* lasting partitions of the last round */
    int64_t given_ns;    /* when it has come to its end */
    bool accepted;       /* the last reassignment */
};

struct client *shuffler_client(struct shuffler *s) { return &s->client; }

static struct part *any_part(struct shuffler *s)
{
    struct truth *t = s->client.world->truth;
    struct topic *topic;

    if (t->topic_count == 0)
        return NULL;
    topic = t->topics[client_below(&s->client, t->topic_count)];
    if (!topic->lasting || topic->state != TOPIC_LIVES)
        return NULL;
    return &topic->parts[client_below(&s->client, (uint64_t)topic->partition_count)];
}

static bool is_last_round(const struct shuffler *s)
{
    return s->client.world->calm_ns != 0;
}

/* Of the last round; NULL when that is over, or its topic is not there yet. */
static struct part *next_part(struct shuffler *s)
{
    const struct world *w = s->client.world;
    uint32_t n = s->given;

    for (uint32_t i = 0; i < w->truth->topic_count; i++) {
        struct topic *t = w->truth->topics[i];
        if (!t->lasting)
            continue;
        if (n < (uint32_t)t->partition_count)
            return t->state == TOPIC_LIVES && w->phase == PHASE_SETTLE ? &t->parts[n] : NULL;
        n -= (uint32_t)t->partition_count;
    }
    return NULL;
}

bool shuffler_is_through(const struct shuffler *s)
{
    const struct world *w = s->client.world;
    uint32_t parts = 0;

    for (uint32_t i = 0; i < w->truth->topic_count; i++)
        parts += w->truth->topics[i]->lasting ? (uint32_t)w->truth->topics[i]->partition_count : 0;
    return s->given >= parts;
}

/* As many brokers as a partition has replicas, in any order. */
static int32_t draw_replicas(struct shuffler *s, int32_t out[NODES_MAX])
{
    const struct world *w = s->client.world;
    int32_t brokers[NODES_MAX], n = 0;

    for (uint32_t i = 0; i < w->plan.node_count; i++) {
        if (server_is_broker(&w->servers[i]))
            brokers[n++] = w->servers[i].id;
    }
    for (int32_t i = 0; i < w->plan.replicas; i++) {
        uint64_t at = client_below(&s->client, (uint64_t)n);
        out[i] = brokers[at];
        brokers[at] = brokers[--n];
    }
    return w->plan.replicas;
}

/* ---- reassign ------------------------------------------------------------------------------------- */

static void begin_reassign(struct shuffler *s)
{
    struct alter_partition_reassignments_request_topics_partitions partition;
    struct alter_partition_reassignments_request_topics topic;
    struct alter_partition_reassignments_request m;
    int32_t replicas[NODES_MAX];

    alter_partition_reassignments_request_init(&m);
    alter_partition_reassignments_request_topics_init(&topic);
    alter_partition_reassignments_request_topics_partitions_init(&partition);
    partition.partition_index = s->part->partition;
    if (!is_last_round(s) && client_below(&s->client, 5) == 0) { /* take it back, if there is one */
        partition.replicas = NULL;
        partition.replicas_count = -1;
    } else {
        partition.replicas = replicas;
        partition.replicas_count = draw_replicas(s, replicas);
    }
    topic.name = str_of(s->part->topic->name);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    m.topics = &topic;
    m.topics_count = 1;
    m.timeout_ms = 1000;
    rpc_begin(&s->rpc, &s->client, s->peer, API_ALTER_PARTITION_REASSIGNMENTS,
              client_draw_version(&s->client, API_ALTER_PARTITION_REASSIGNMENTS, 0, 1), &m, &s->flow.op);
}

static bool is_expected(int16_t error)
{
    switch (error) {
    case KERR_NONE:
    case KERR_NO_REASSIGNMENT_IN_PROGRESS:
    case KERR_INVALID_REPLICA_ASSIGNMENT: /* a broker that has not registered yet */
    case KERR_ELECTION_NOT_NEEDED:
    case KERR_PREFERRED_LEADER_NOT_AVAILABLE:
    case KERR_ELIGIBLE_LEADERS_NOT_AVAILABLE:
        return true;
    default:
        return false;
    }
}

static void take_error(struct shuffler *s, const char *what, int16_t error)
{
    if (is_expected(error))
        return;
    expect_passing(&s->client, what, error);
    client_turn(&s->client, s->peer);
}

static void take_reassign(struct shuffler *s)
{
    const struct alter_partition_reassignments_response *a = s->rpc.answer;

    s->accepted = false;
    if (a->error_code != KERR_NONE)
        take_error(s, "AlterPartitionReassignments", a->error_code);
    else if (a->responses_count != 1 || a->responses[0].partitions_count != 1)
        broken(s->client.world, "AlterPartitionReassignments of one partition was answered with %d topics",
               a->responses_count);
    else if (a->responses[0].partitions[0].error_code == KERR_NONE)
        s->accepted = true;
    else
        take_error(s, "AlterPartitionReassignments", a->responses[0].partitions[0].error_code);
}

/* ---- elect ---------------------------------------------------------------------------------------- */

static void begin_elect(struct shuffler *s)
{
    struct elect_leaders_request_topic_partitions topic;
    struct elect_leaders_request m;
    bool unclean = s->client.world->plan.lossy && client_below(&s->client, 2) == 0;

    elect_leaders_request_init(&m);
    elect_leaders_request_topic_partitions_init(&topic);
    topic.topic = str_of(s->part->topic->name);
    topic.partitions = &s->part->partition;
    topic.partitions_count = 1;
    m.topic_partitions = &topic;
    m.topic_partitions_count = 1;
    m.timeout_ms = 1000;
    m.election_type = unclean ? ELECTION_UNCLEAN : ELECTION_PREFERRED;
    rpc_begin(&s->rpc, &s->client, s->peer, API_ELECT_LEADERS, client_draw_version(&s->client, API_ELECT_LEADERS, 1, 2),
              &m, &s->flow.op);
}

static void take_elect(struct shuffler *s)
{
    const struct elect_leaders_response *a = s->rpc.answer;

    if (a->error_code != KERR_NONE) {
        take_error(s, "ElectLeaders", a->error_code);
        return;
    }
    for (int32_t i = 0; i < a->replica_election_results_count; i++) {
        for (int32_t k = 0; k < a->replica_election_results[i].partition_result_count; k++)
            take_error(s, "ElectLeaders", a->replica_election_results[i].partition_result[k].error_code);
    }
}

/* ---- its life ------------------------------------------------------------------------------------- */

static int64_t pause_ns(struct client *c)
{
    return client_ms(c, c->world->plan.storm ? 1 : 20, c->world->plan.shuffle_ms_max);
}

static void shuffler_run(struct flow *f)
{
    struct shuffler *s = container_of(f, struct shuffler, flow);
    struct client *c = &s->client;

    FLOW_BEGIN(f);
    while (!c->stop) {
        if (c->world->phase == PHASE_SETTLE && world_now_ns(c->world) - s->given_ns > ROUND_NS)
            s->given = 0;
        s->part = is_last_round(s) ? next_part(s) : any_part(s);
        if (s->part != NULL && is_last_round(s)) {
            FLOW_WAIT(f, "reassign", begin_reassign(s));
            if (f->result == 0)
                take_reassign(s);
            s->given += f->result == 0 && s->accepted;
            s->given_ns = world_now_ns(c->world);
        } else if (s->part != NULL && client_below(c, 3) != 0) {
            FLOW_WAIT(f, "reassign", begin_reassign(s));
            if (f->result == 0)
                take_reassign(s);
            if (f->result == 0 && c->world->plan.storm) { /* whoever is the first one now */
                FLOW_WAIT(f, "elect", begin_elect(s));
                if (f->result == 0)
                    take_elect(s);
            }
        } else if (s->part != NULL) {
            FLOW_WAIT(f, "elect", begin_elect(s));
            if (f->result == 0)
                take_elect(s);
        }
        if (f->result < 0)
            client_turn(c, s->peer);
        FLOW_WAIT(f, "pause", client_sleep(c, pause_ns(c), &f->op));
    }
    FLOW_WAIT(f, "close", peer_close(s->peer, &f->op));
    FLOW_END(f);
    c->stopped = true;
}

struct shuffler *shuffler_new(struct world *w)
{
    struct shuffler *s = calloc(1, sizeof *s);

    ASSERT(s != NULL);
    client_init(&s->client, w, "shuffler", false);
    s->peer = client_connect(&s->client, w->plan.storm ? 250 : 1500, 1);
    return s;
}

void shuffler_begin(struct shuffler *s)
{
    flow_start(&s->flow, shuffler_run, NULL);
}

void shuffler_free(struct shuffler *s)
{
    if (s == NULL)
        return;
    rpc_deinit(&s->rpc);
    client_deinit(&s->client);
    free(s);
}
