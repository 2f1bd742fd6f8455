/* Who can be asked: the voters by their ids, the leader where it says that it is, bootstrap servers as negative ids. */
#include "quorum/internal.h"

#include <stdio.h>

#include "config/config.h"

#define BOOTSTRAP_ID(i) (-2 - (int32_t)(i))
#define IN_FLIGHT_MAX 1         /* as Kafka: a node answers one after the other */
#define BACKOFF_MAX_MS 500      /* of connections: well below the time of an election */
#define FRAME_BYTES_MAX (9 << 20) /* one batch of 8 MiB comes whole, whatever was asked for */

static bool can_be_asked(const struct raft_endpoint *e)
{
    return e->host[0] != '\0' && e->port > 0;
}

const struct raft_endpoint *quorum_voter_endpoint(const struct quorum *q, const struct raft_voter *voter)
{
    const struct raft_endpoint *found = NULL;

    for (uint32_t i = 0; i < voter->endpoint_count; i++) {
        const struct raft_endpoint *e = &voter->endpoints[i];
        if (!can_be_asked(e))
            continue;
        if (found == NULL || (q->self.endpoint_count > 0 && strcmp(e->name, q->self.endpoints[0].name) == 0))
            found = e;
    }
    return found;
}

const struct raft_endpoint *quorum_nodes_endpoint(const struct quorum *q, int32_t node_id, struct str listener)
{
    const struct raft_voter *v = node_id == q->node_id ? &q->self : raft_voter_find(&q->voters, node_id);

    for (uint32_t i = 0; v != NULL && !str_is_null(listener) && i < v->endpoint_count; i++) {
        if (str_equal(str_of(v->endpoints[i].name), listener))
            return &v->endpoints[i];
    }
    if (node_id != q->node_id && q->hint.id == node_id && q->hint.epoch == q->election.epoch)
        return &q->hint.endpoint;
    return v == NULL ? NULL : quorum_voter_endpoint(q, v);
}

bool quorum_leader_endpoint(const struct quorum *q, struct raft_endpoint *out)
{
    int32_t leader_id, epoch;
    const struct raft_endpoint *e;

    quorum_leader(q, &leader_id, &epoch);
    if (leader_id < 0 || leader_id == q->node_id || (e = quorum_nodes_endpoint(q, leader_id, STR_NULL)) == NULL)
        return false;
    *out = *e;
    return true;
}

/* ---- telling the client -------------------------------------------------------------------- */

static void tell(struct quorum *q, int32_t id, const struct raft_endpoint *e)
{
    client_tell_node(q->client, id, str_of(e->host), e->port);
    q->nodes[q->node_count++] = id;
}

static bool is_told(const struct quorum *q, int32_t id)
{
    for (uint32_t i = 0; i < q->node_count; i++) {
        if (q->nodes[i] == id)
            return true;
    }
    return false;
}

void quorum_nodes_update(struct quorum *q)
{
    int32_t old[RAFT_VOTERS_MAX + 1];
    uint32_t old_count = q->node_count;
    bool hinted = q->hint.id >= 0 && q->hint.id != q->node_id && q->hint.epoch == q->election.epoch;

    if (q->client == NULL)
        return;
    memcpy(old, q->nodes, sizeof(old));
    q->node_count = 0;
    if (hinted) /* it says so itself, or who follows it does: newer than what the voters tell */
        tell(q, q->hint.id, &q->hint.endpoint);
    for (uint32_t i = 0; i < q->voters.count; i++) {
        const struct raft_voter *v = &q->voters.voters[i];
        const struct raft_endpoint *e = quorum_voter_endpoint(q, v);
        if (e != NULL && v->id >= 0 && v->id != q->node_id && !is_told(q, v->id))
            tell(q, v->id, e);
    }
    for (uint32_t i = 0; i < old_count; i++) {
        if (!is_told(q, old[i]))
            client_forget_node(q->client, old[i]);
    }
}

void quorum_nodes_hint(struct quorum *q, int32_t leader_id, int32_t epoch, struct str host, int64_t port)
{
    struct leader_hint *h = &q->hint;

    if (leader_id < 0 || leader_id == q->node_id || epoch < q->election.epoch)
        return;
    if (host.n <= 0 || host.n >= (int32_t)sizeof(h->endpoint.host) || port <= 0 || port > UINT16_MAX)
        return;
    if (h->id == leader_id && h->epoch == epoch && h->endpoint.port == port && str_equal(str_of(h->endpoint.host), host))
        return; /* as each answer says */
    h->id = leader_id;
    h->epoch = epoch;
    snprintf(h->endpoint.host, sizeof(h->endpoint.host), "%.*s", STR_ARG(host));
    h->endpoint.port = (uint16_t)port;
    quorum_nodes_update(q);
}

/* ---- nobody is known to lead ---------------------------------------------------------------- */

int32_t quorum_nodes_any(const struct quorum *q, uint32_t turn)
{
    uint32_t count = q->node_count + q->bootstrap_count;

    if (count == 0)
        return -1;
    turn %= count;
    return turn < q->node_count ? q->nodes[turn] : BOOTSTRAP_ID(turn - q->node_count);
}

static int tell_bootstrap(struct quorum *q, struct str servers, struct fail *f)
{
    struct str part;
    char host[256];
    uint16_t port;

    while (servers.n > 0 && str_cut(&servers, ',', &part)) {
        if (host_port_parse(str_trim(part), host, &port) < 0 || port == 0)
            return fail_set(f, -EINVAL, "controller.quorum.bootstrap.servers: \"%.*s\" must be HOST:PORT",
                            STR_ARG(part));
        if (q->bootstrap_count == BOOTSTRAP_SERVERS_MAX)
            return fail_set(f, ERR_LIMIT, "controller.quorum.bootstrap.servers names more than %d servers",
                            BOOTSTRAP_SERVERS_MAX);
        client_tell_node(q->client, BOOTSTRAP_ID(q->bootstrap_count), str_of(host), port);
        q->bootstrap_count++;
    }
    return 0;
}

int quorum_nodes_open(struct quorum *q, struct str bootstrap_servers, struct fail *f)
{
    uint32_t piece = q->fetch_bytes_max > q->snapshot_fetch_bytes_max ? q->fetch_bytes_max : q->snapshot_fetch_bytes_max;
    uint32_t frame = piece + (1 << 20);
    char client_id[32];

    snprintf(client_id, sizeof(client_id), "raft-client-%" PRId32, q->node_id);
    struct client_settings settings = {
        .bootstrap_servers = STR_NULL,
        .client_id = str_of(client_id),
        .client_rack = STR_NULL,
        .request_timeout_ms = q->request_timeout_ms,
        .reconnect_backoff_ms = q->retry_backoff_ms,
        .reconnect_backoff_max_ms = q->retry_backoff_ms > BACKOFF_MAX_MS ? q->retry_backoff_ms : BACKOFF_MAX_MS,
        .retry_backoff_ms = q->retry_backoff_ms,
        .retry_backoff_max_ms = BACKOFF_MAX_MS,
        .connection_setup_timeout_ms = q->request_timeout_ms,
        .connection_setup_timeout_max_ms = q->request_timeout_ms,
        .connections_max_idle_ms = -1,
        .frame_bytes_max = frame > FRAME_BYTES_MAX ? frame : FRAME_BYTES_MAX,
        .in_flight_max = IN_FLIGHT_MAX,
    };
    q->client = client_new(q->io, q->telemetry, &settings, f);
    if (q->client == NULL)
        return f->error;
    TRY(tell_bootstrap(q, bootstrap_servers, f));
    quorum_nodes_update(q);
    return 0;
}
