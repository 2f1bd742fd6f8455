#include "broker/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/start.h"
#include "client/client.h"

/* ---- connections ------------------------------------------------------------------------------- */

/* A follower has one Fetch with a leader, and seldom a question beside it. */
#define IN_FLIGHT_MAX 5
#define RECONNECT_BACKOFF_MS 50
/* An answer is as large as replica.fetch.response.max.bytes or its first batch, and that as its topic allows. */
#define ANSWER_BYTES_MIN (100ll << 20)

static uint32_t answer_bytes_max(const struct config *c)
{
    int64_t most = 2 * config_i64(c, BROKER_REPLICA_FETCH_RESPONSE_MAX_BYTES);

    if (most < ANSWER_BYTES_MIN)
        most = ANSWER_BYTES_MIN;
    return most > INT32_MAX ? INT32_MAX : (uint32_t)most;
}

void peers_start(struct broker_shard *shard)
{
    const struct config *c = shard->broker->options.settings;
    int64_t backoff_ms = config_i64(c, BROKER_REPLICA_FETCH_BACKOFF_MS);
    struct client_settings s = {
        .bootstrap_servers = STR_NULL, /* the replicas tell which brokers there are */
        .client_rack = STR_NULL,
        .request_timeout_ms = config_i64(c, BROKER_REPLICA_SOCKET_TIMEOUT_MS),
        .reconnect_backoff_ms = backoff_ms < RECONNECT_BACKOFF_MS ? backoff_ms : RECONNECT_BACKOFF_MS,
        .reconnect_backoff_max_ms = backoff_ms,
        .retry_backoff_ms = backoff_ms < RECONNECT_BACKOFF_MS ? backoff_ms : RECONNECT_BACKOFF_MS,
        .retry_backoff_max_ms = backoff_ms,
        .connection_setup_timeout_ms = config_i64(c, BROKER_SOCKET_CONNECTION_SETUP_TIMEOUT_MS),
        .connection_setup_timeout_max_ms = config_i64(c, BROKER_SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS),
        .connections_max_idle_ms = config_i64(c, BROKER_CONNECTIONS_MAX_IDLE_MS),
        .frame_bytes_max = answer_bytes_max(c),
        .in_flight_max = IN_FLIGHT_MAX,
    };
    char name[64];
    struct fail f = {0};

    snprintf(name, sizeof name, "broker-%d-fetcher-%u", shard->broker->node_id, shard->index);
    s.client_id = str_of(name);
    shard->brokers = client_new(shard->io, shard->telemetry, &s, &f);
    ASSERT(shard->brokers != NULL); /* only bootstrap servers can be wrong */
    list_init(&shard->proposals);
}

void peers_stop(struct broker_shard *shard, struct op *op)
{
    struct client *brokers = shard->brokers;

    shard->brokers = NULL;
    if (brokers == NULL)
        io_complete(shard->io, op, 0);
    else
        client_close(brokers, op);
}

/* ---- who has fallen behind ----------------------------------------------------------------------- */

static void watch_fired(struct io_timer *t)
{
    struct broker_shard *shard = container_of(t, struct broker_shard, isr_timer);

    replicas_check_isr(shard->replicas);
    peers_watch(shard);
}

void peers_watch(struct broker_shard *shard)
{
    int64_t lag_ms = config_i64(shard->broker->options.settings, BROKER_REPLICA_LAG_TIME_MAX_MS);

    if (!shard->proposals_refused)
        io_timer_set(shard->io, &shard->isr_timer, io_now_ns(shard->io) + (lag_ms / 2 + 1) * 1000000, watch_fired);
}

/* ---- proposals ----------------------------------------------------------------------------------- */

/* One on its way to the controller and back. */
struct proposing {
    struct list node;              /* in shard->proposals */
    struct io_message message, withdrawal;
    struct broker_shard *shard;
    struct replica *replica;       /* held */
    struct node_proposal ask;      /* at home */
    enum kerr error;
    struct replication_state state;
    int32_t isr[REPLICAS_MAX];
    bool asked;                    /* at home: it is with the node */
    bool withdrawn;                /* on the shard */
    uint32_t messages;             /* that have not come back */
};

static void tell_when_resting(struct broker_shard *shard)
{
    struct op *op = shard->proposals_ended;

    if (op == NULL || !list_empty(&shard->proposals))
        return;
    shard->proposals_ended = NULL;
    io_complete(shard->io, op, 0);
}

static void message_back(struct proposing *p)
{
    struct broker_shard *shard = p->shard;

    if (--p->messages > 0)
        return;
    list_remove(&p->node);
    replica_release(p->replica);
    free(p);
    tell_when_resting(shard);
}

/* On the shard again. */
static void proposed_back(struct io *io, struct io_message *m)
{
    struct proposing *p = container_of(m, struct proposing, message);

    if (!p->withdrawn && replica_log(p->replica) != NULL)
        replica_proposed(p->replica, &p->ask.proposal, p->error, p->error == KERR_NONE ? &p->state : NULL);
    message_back(p);
}

static void withdrawn_back(struct io *io, struct io_message *m)
{
    message_back(container_of(m, struct proposing, withdrawal));
}

static void proposed(struct node_proposal *ask, enum kerr error, const struct replication_state *state)
{
    struct proposing *p = container_of(ask, struct proposing, ask);

    p->asked = false;
    if (error == KERR_NONE && state->isr_count > REPLICAS_MAX) /* what it says the replica will refuse by the metadata */
        error = KERR_UNKNOWN_SERVER_ERROR;
    p->error = error;
    if (error == KERR_NONE) {
        p->state = *state;
        memcpy(p->isr, state->isr, (size_t)state->isr_count * sizeof *p->isr);
        p->state.isr = p->isr;
    }
    p->message.run = proposed_back;
    io_post(p->shard->broker->shards[0].io, p->shard->index, &p->message);
}

static void propose_home(struct io *io, struct io_message *m)
{
    struct proposing *p = container_of(m, struct proposing, message);
    struct broker *b = p->shard->broker;

    p->asked = true;
    node_propose(b->node, &p->ask);
}

static void withdraw_home(struct io *io, struct io_message *m)
{
    struct proposing *p = container_of(m, struct proposing, withdrawal);

    if (p->asked)
        node_withdraw(p->shard->broker->node, &p->ask);
    p->withdrawal.run = withdrawn_back;
    io_post(io, p->shard->index, &p->withdrawal);
}

/* Behind its proposal, so that home knows it. */
static void withdraw(struct proposing *p)
{
    if (p->withdrawn)
        return;
    p->withdrawn = true;
    p->messages++;
    p->withdrawal.run = withdraw_home;
    io_post(p->shard->io, 0, &p->withdrawal);
}

void peers_propose(void *ctx, struct replica *r, const struct replication_proposal *proposal)
{
    struct broker_shard *shard = ctx;
    struct proposing *p;

    LIST_EACH(it, &shard->proposals) {
        struct proposing *older = container_of(it, struct proposing, node);
        if (older->replica == r)
            withdraw(older);
    }
    if (shard->proposals_refused)
        return;
    p = calloc(1, sizeof *p);
    ASSERT(p != NULL);
    p->shard = shard;
    p->replica = r;
    p->ask = (struct node_proposal){
        .topic_id = replica_topic_id(r),
        .partition = replica_partition(r),
        .proposal = *proposal,
        .done = proposed,
    };
    p->messages = 1;
    p->message.run = propose_home;
    replica_hold(r);
    list_add_tail(&shard->proposals, &p->node);
    io_post(shard->io, 0, &p->message);
}

void peers_rest(struct broker_shard *shard, struct op *op)
{
    io_timer_clear(&shard->isr_timer);
    shard->proposals_refused = true;
    shard->proposals_ended = op;
    LIST_EACH(it, &shard->proposals)
        withdraw(container_of(it, struct proposing, node));
    tell_when_resting(shard);
}
