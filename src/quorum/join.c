/* This node among the voters: it tells the leader where it listens now, and joins where it is told to (KIP-853, 1186).
 *
 *   a voter, and the voters say otherwise   UpdateRaftVoter; with a static quorum once in each epoch
 *   none, its old directory is one          RemoveRaftVoter of that      \  controller.quorum.auto.join.enable
 *   none at all, and caught up              AddRaftVoter                 /
 */
#include "quorum/internal.h"

#include <stdlib.h>

#include "protocol/add_raft_voter.h"
#include "protocol/remove_raft_voter.h"
#include "protocol/update_raft_voter.h"

struct voter_update {
    struct quorum *q;
    struct client_call call;
    int32_t epoch;
    union {
        struct {
            struct update_raft_voter_request m;
            struct update_raft_voter_request_listeners listeners[RAFT_ENDPOINTS_MAX];
        } update;
        struct {
            struct add_raft_voter_request m;
            struct add_raft_voter_request_listeners listeners[RAFT_ENDPOINTS_MAX];
        } add;
        struct remove_raft_voter_request remove;
    } request;
};

/* ---- requests ---------------------------------------------------------------------------- */

static void build_update(struct voter_update *u)
{
    struct update_raft_voter_request *m = &u->request.update.m;
    const struct raft_voter *self = &u->q->self;

    update_raft_voter_request_init(m);
    m->cluster_id = str_of(u->q->cluster_id);
    m->current_leader_epoch = u->epoch;
    m->voter_id = u->q->node_id;
    m->voter_directory_id = u->q->directory_id;
    m->k_raft_version_feature.min_supported_version = self->kraft_version_min;
    m->k_raft_version_feature.max_supported_version = self->kraft_version_max;
    m->listeners = u->request.update.listeners;
    m->listeners_count = (int32_t)self->endpoint_count;
    for (uint32_t i = 0; i < self->endpoint_count; i++) {
        update_raft_voter_request_listeners_init(&m->listeners[i]);
        m->listeners[i].name = str_of(self->endpoints[i].name);
        m->listeners[i].host = str_of(self->endpoints[i].host);
        m->listeners[i].port = self->endpoints[i].port;
    }
    u->call.api_key = API_UPDATE_RAFT_VOTER;
    u->call.request = m;
}

/* The leader answers when it is in the log, not when it is committed: this node may be needed for that. */
static void build_add(struct voter_update *u)
{
    struct add_raft_voter_request *m = &u->request.add.m;
    const struct raft_voter *self = &u->q->self;

    add_raft_voter_request_init(m);
    m->cluster_id = str_of(u->q->cluster_id);
    m->timeout_ms = (int32_t)u->q->request_timeout_ms;
    m->voter_id = u->q->node_id;
    m->voter_directory_id = u->q->directory_id;
    m->ack_when_committed = false;
    m->listeners = u->request.add.listeners;
    m->listeners_count = (int32_t)self->endpoint_count;
    for (uint32_t i = 0; i < self->endpoint_count; i++) {
        add_raft_voter_request_listeners_init(&m->listeners[i]);
        m->listeners[i].name = str_of(self->endpoints[i].name);
        m->listeners[i].host = str_of(self->endpoints[i].host);
        m->listeners[i].port = self->endpoints[i].port;
    }
    u->call.api_key = API_ADD_RAFT_VOTER;
    u->call.version_low = 1;
    u->call.request = m;
}

static void build_remove(struct voter_update *u, const struct raft_voter *old)
{
    struct remove_raft_voter_request *m = &u->request.remove;

    remove_raft_voter_request_init(m);
    m->cluster_id = str_of(u->q->cluster_id);
    m->voter_id = old->id;
    m->voter_directory_id = old->directory_id;
    u->call.api_key = API_REMOVE_RAFT_VOTER;
    u->call.request = m;
}

/* ---- answers ----------------------------------------------------------------------------- */

static int16_t error_of(const struct client_call *call)
{
    switch (call->api_key) {
    case API_UPDATE_RAFT_VOTER:
        return ((const struct update_raft_voter_response *)call->response)->error_code;
    case API_ADD_RAFT_VOTER:
        return ((const struct add_raft_voter_response *)call->response)->error_code;
    default:
        return ((const struct remove_raft_voter_response *)call->response)->error_code;
    }
}

/* What has become of it is seen by the voters, and told with them. */
static void say_answer(const struct quorum *q, int16_t api_key, int16_t error)
{
    if (error == KERR_REQUEST_TIMED_OUT)
        say(q->telemetry, LOG_INFO, "quorum", "the leader does not take %s of this node yet: it is asked again",
            api_name(api_key));
    else if (error != KERR_NONE)
        say(q->telemetry, LOG_WARN, "quorum", "the leader refuses %s of this node: %s; it is asked again",
            api_name(api_key), kerr_name(error));
}

static void answered(struct op *op, int64_t result)
{
    struct voter_update *u = container_of(op, struct voter_update, call.op);
    struct quorum *q = u->q;
    int16_t error = result == 0 ? error_of(&u->call) : KERR_NONE;

    if (result == 0 && error == KERR_NONE && u->call.api_key == API_UPDATE_RAFT_VOTER)
        q->updated_epoch = u->epoch;
    if (result == 0)
        say_answer(q, u->call.api_key, error);
    q->update_due_ms = io_now_ms(q->io) + q->fetch_timeout_ms;
    q->update = NULL;
    client_call_release(&u->call);
    free(u);
    gate_leave(&q->gate);
}

/* ---- when -------------------------------------------------------------------------------- */

static bool is_as_told(const struct raft_voter *self, const struct raft_voter *told)
{
    if (self->kraft_version_min != told->kraft_version_min || self->kraft_version_max != told->kraft_version_max ||
        self->endpoint_count != told->endpoint_count)
        return false;
    for (uint32_t i = 0; i < self->endpoint_count; i++) {
        const struct raft_endpoint *a = &self->endpoints[i], *b = &told->endpoints[i];
        if (strcmp(a->name, b->name) != 0 || strcmp(a->host, b->host) != 0 || a->port != b->port)
            return false;
    }
    return true;
}

/* Which request is due; 0 none. */
static int16_t wanted(const struct quorum *q, const struct raft_voter *me)
{
    bool is_static = q->voters.kraft_version == 0;

    if (raft_is_voter(&q->voters, q->node_id, q->directory_id))
        return (is_static ? q->updated_epoch != q->election.epoch : !is_as_told(&q->self, me)) ? API_UPDATE_RAFT_VOTER
                                                                                               : 0;
    if (!q->auto_join || is_static || log_end(q->log) < q->high_watermark)
        return 0;
    return me != NULL ? API_REMOVE_RAFT_VOTER : API_ADD_RAFT_VOTER;
}

void quorum_join_kick(struct quorum *q)
{
    const struct raft_voter *me = raft_voter_find(&q->voters, q->node_id);
    struct voter_update *u;
    int32_t leader = -1;
    int16_t api_key;

    if (q->update != NULL || !q->can_vote || q->self.endpoint_count == 0 || io_now_ms(q->io) < q->update_due_ms)
        return;
    if (raft_source(q->raft, &leader) != RAFT_SOURCE_LEADER || q->high_watermark < 0)
        return;
    api_key = wanted(q, me);
    if (api_key == 0 || !gate_enter(&q->gate))
        return;
    u = calloc(1, sizeof(*u));
    ASSERT(u != NULL);
    u->q = q;
    u->epoch = q->election.epoch;
    u->call = (struct client_call){.target = {.kind = CLIENT_NODE, .node_id = leader}};
    if (api_key == API_UPDATE_RAFT_VOTER)
        build_update(u);
    else if (api_key == API_ADD_RAFT_VOTER)
        build_add(u);
    else
        build_remove(u, me);
    op_init(&u->call.op, answered);
    q->update = u;
    client_send(q->client, &u->call);
}

void quorum_join_cancel(struct quorum *q)
{
    if (q->update != NULL)
        client_cancel(&q->update->call);
}
