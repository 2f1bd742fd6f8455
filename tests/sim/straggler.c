/* A follower's Fetch of an older leader epoch, as one that has been on its way for long: whoever leads a newer one must not
 * take it for what that follower has (KIP-320). First it asks as any client does, and names the newest epoch that it knows:
 * who answers that is in this epoch, and goes back to none. */
#include <stdlib.h>

#include "clients.h"
#include "protocol/fetch.h"

struct straggler {
    struct client client;
    struct peer *peer;
    struct flow flow;
    struct rpc rpc;
    struct part *part;
    const struct server *leader;
    int32_t epoch;      /* in which it leads, as clients know; then the one of which the Fetch is */
    int32_t follower;   /* whose Fetch it is; -1 = a client's */
};

struct client *straggler_client(struct straggler *s) { return &s->client; }

/* A partition with a leader that has had another one before. */
static bool choose(struct straggler *s)
{
    const struct world *w = s->client.world;
    const struct truth *t = w->truth;
    struct topic *topic;

    if (t->topic_count == 0 || w->calm_ns != 0)
        return false;
    topic = t->topics[client_below(&s->client, t->topic_count)];
    if (!topic->lasting || topic->state != TOPIC_LIVES || uuid_is_zero(topic->id))
        return false;
    s->part = &topic->parts[client_below(&s->client, (uint64_t)topic->partition_count)];
    if (s->part->leader <= 0 || s->part->leader_epoch <= 0)
        return false;
    s->leader = &w->servers[s->part->leader - 1];
    s->epoch = s->part->leader_epoch;
    s->follower = -1;
    return true;
}

/* Of any other broker, and an epoch that is over. */
static void grow_old(struct straggler *s)
{
    const struct world *w = s->client.world;
    uint32_t at;

    do {
        at = (uint32_t)client_below(&s->client, w->plan.node_count);
    } while (!w->plan.nodes[at].is_broker || &w->servers[at] == s->leader);
    s->follower = w->servers[at].id;
    s->epoch -= 1 + (int32_t)client_below(&s->client, s->epoch < 3 ? (uint64_t)s->epoch : 3);
}

static void begin_fetch(struct straggler *s)
{
    struct fetch_request_topics_partitions partition;
    struct fetch_request_topics topic;
    struct fetch_request m;

    fetch_request_init(&m);
    fetch_request_topics_init(&topic);
    fetch_request_topics_partitions_init(&partition);
    partition.partition = s->part->partition;
    partition.current_leader_epoch = s->epoch;
    partition.fetch_offset = s->part->floor;
    partition.partition_max_bytes = 1;
    topic.topic_id = s->part->topic->id;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    m.replica_state.replica_id = s->follower;
    m.session_epoch = -1;
    m.topics = &topic;
    m.topics_count = 1;
    rpc_begin(&s->rpc, &s->client, s->peer, API_FETCH, client_draw_version(&s->client, API_FETCH, 15, 18), &m,
              &s->flow.op);
}

static bool took(const struct straggler *s)
{
    const struct fetch_response *a = s->rpc.answer;

    if (a->error_code != KERR_NONE || a->responses_count != 1 || a->responses[0].partitions_count != 1)
        return false;
    int16_t error = a->responses[0].partitions[0].error_code;
    return error == KERR_NONE || error == KERR_OFFSET_OUT_OF_RANGE;
}

static void straggler_run(struct flow *f)
{
    struct straggler *s = container_of(f, struct straggler, flow);
    struct client *c = &s->client;

    FLOW_BEGIN(f);
    while (!c->stop) {
        FLOW_WAIT(f, "pause", client_sleep(c, client_ms(c, 10, 150), &f->op));
        if (!choose(s))
            continue;
        client_turn_to(s->peer, s->leader);
        FLOW_WAIT(f, "fetch", begin_fetch(s));
        if (f->result < 0 || !took(s))
            continue;
        grow_old(s);
        FLOW_WAIT(f, "fetch as a follower", begin_fetch(s));
        if (f->result == 0 && took(s))
            broken(c->world, "%s-%d: node %d has answered a Fetch of a newer leader epoch, and then takes one of node %d "
                   "in epoch %d", s->part->topic->name, s->part->partition, s->leader->id, s->follower, s->epoch);
    }
    FLOW_WAIT(f, "close", peer_close(s->peer, &f->op));
    FLOW_END(f);
    c->stopped = true;
}

struct straggler *straggler_new(struct world *w)
{
    struct straggler *s = calloc(1, sizeof *s);

    ASSERT(s != NULL);
    client_init(&s->client, w, "straggler", false);
    s->peer = client_connect(&s->client, 300, 1);
    return s;
}

void straggler_begin(struct straggler *s)
{
    flow_start(&s->flow, straggler_run, NULL);
}

void straggler_free(struct straggler *s)
{
    if (s == NULL)
        return;
    rpc_deinit(&s->rpc);
    client_deinit(&s->client);
    free(s);
}
