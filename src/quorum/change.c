/* AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter at the leader (KIP-853): the machine decides; the answer leaves when
 * the new voters have committed the change.
 *
 *   add: ApiVersions of the new voter ─┐
 *   remove ────────────────────────────┼─► RAFT_EVENT_CHANGE ─► voters' batch ─► high watermark ─► answer
 *   update: of this epoch? ────────────┘
 */
#include "quorum/internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/add_raft_voter.h"
#include "protocol/api_versions.h"
#include "protocol/remove_raft_voter.h"
#include "protocol/update_raft_voter.h"

#define PROBE_ID INT32_MIN      /* of the client's node that is looked at */
#define TIMEOUT_MS_MAX 600000   /* nobody is kept longer, whatever it asks for */

/* ---- answers ----------------------------------------------------------------------------- */

static struct str words_of(enum kerr error)
{
    switch (error) {
    case KERR_NONE:
        return STR_NULL;
    case KERR_NOT_LEADER_OR_FOLLOWER:
        return STR("This node does not lead the metadata quorum.");
    case KERR_REQUEST_TIMED_OUT:
        return STR("It cannot be done now: another change is under way, this leader has not committed yet, or the new "
                   "voter has not answered or not caught up. Ask again.");
    case KERR_UNSUPPORTED_VERSION:
        return STR("The quorum is static: its kraft.version is 0.");
    case KERR_DUPLICATE_VOTER:
        return STR("A voter of this id is there already.");
    case KERR_VOTER_NOT_FOUND:
        return STR("There is no such voter, or it is the only one.");
    case KERR_INVALID_REQUEST:
        return STR("The voter's kraft.version does not cover the quorum's, or it lacks the first listener of "
                   "controller.listener.names.");
    case KERR_INCONSISTENT_CLUSTER_ID:
        return STR("This is another cluster.");
    default:
        return str_of(kerr_name((int16_t)error));
    }
}

static void answer_update(struct quorum *q, struct quorum_call *call)
{
    struct update_raft_voter_response *m = call->response;
    const struct raft_endpoint *e;

    quorum_leader(q, &m->current_leader.leader_id, &m->current_leader.leader_epoch);
    e = quorum_call_leader_endpoint(call, m->current_leader.leader_id);
    if (e == NULL)
        return;
    m->current_leader.host = arena_str(call->arena, str_of(e->host));
    m->current_leader.port = e->port;
}

static void answer(struct quorum *q, struct quorum_call *call, enum kerr error)
{
    struct add_raft_voter_response *add = call->response;
    struct remove_raft_voter_response *removed = call->response;
    struct update_raft_voter_response *update = call->response;

    switch (call->api_key) {
    case API_ADD_RAFT_VOTER:
        add->error_code = (int16_t)error;
        add->error_message = words_of(error);
        break;
    case API_REMOVE_RAFT_VOTER:
        removed->error_code = (int16_t)error;
        removed->error_message = words_of(error);
        break;
    default:
        update->error_code = (int16_t)error;
        answer_update(q, call);
        break;
    }
    quorum_call_answer(call);
}

/* ---- the change -------------------------------------------------------------------------- */

static int64_t timeout_ms_of(const struct quorum *q, const struct quorum_call *call)
{
    int64_t ms = q->request_timeout_ms;

    if (call->api_key == API_ADD_RAFT_VOTER)
        ms = ((const struct add_raft_voter_request *)call->request)->timeout_ms;
    return ms < 1 ? 1 : ms > TIMEOUT_MS_MAX ? TIMEOUT_MS_MAX : ms;
}

static void timed_out(struct io_timer *t)
{
    struct quorum_call *call = container_of(t, struct quorum_call, timer);

    answer(call->quorum, call, KERR_REQUEST_TIMED_OUT);
}

static bool waits_for_commit(const struct quorum_call *call)
{
    return call->api_key != API_ADD_RAFT_VOTER ||
           ((const struct add_raft_voter_request *)call->request)->ack_when_committed;
}

static void changed(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    struct quorum_call *call = quorum_call_of(e);

    if (out == NULL) {
        quorum_call_event_over(q, e);
        return;
    }
    if (out->reply.error != KERR_NONE || !out->append_voters || !waits_for_commit(call)) {
        answer(q, call, out->reply.error);
        return;
    }
    call->offset = log_end(q->log);
    list_add_tail(&q->changes, &call->node);
    io_timer_set(q->io, &call->timer, io_now_ns(q->io) + timeout_ms_of(q, call) * 1000000, timed_out);
}

static void change(struct quorum *q, struct quorum_event *e, enum raft_change_kind kind, const struct raft_voter *voter)
{
    struct raft_change c = {.kind = kind, .voter = *voter};

    e->then = changed;
    quorum_step(q, e, &(struct raft_event){.type = RAFT_EVENT_CHANGE, .now_ms = io_now_ms(q->io), .change = &c});
}

void quorum_serve_changes(struct quorum *q)
{
    LIST_EACH (node, &q->changes) {
        struct quorum_call *call = container_of(node, struct quorum_call, node);
        if (q->high_watermark >= call->offset)
            answer(q, call, KERR_NONE);
        else if (!q->accepts)
            answer(q, call, KERR_NOT_LEADER_OR_FOLLOWER);
    }
}

/* ---- listeners of a request --------------------------------------------------------------- */

static bool take_endpoint(struct raft_voter *v, struct str name, struct str host, uint16_t port)
{
    struct raft_endpoint *e = &v->endpoints[v->endpoint_count];

    if (v->endpoint_count == RAFT_ENDPOINTS_MAX || name.n <= 0 || name.n >= (int32_t)sizeof(e->name) || host.n <= 0 ||
        host.n >= (int32_t)sizeof(e->host) || port == 0)
        return false;
    snprintf(e->name, sizeof(e->name), "%.*s", STR_ARG(name));
    snprintf(e->host, sizeof(e->host), "%.*s", STR_ARG(host));
    e->port = port;
    v->endpoint_count++;
    return true;
}

/* ---- add --------------------------------------------------------------------------------- */

struct voter_probe {
    struct quorum *q;
    struct quorum_call *for_call;
    struct raft_voter voter;
    struct api_versions_request request;
    struct client_call call;
    int64_t result;
};

static void take_range(struct voter_probe *p)
{
    const struct api_versions_response *m = p->call.response;

    for (int32_t i = 0; i < m->supported_features_count; i++) {
        if (!str_equal(m->supported_features[i].name, STR("kraft.version")))
            continue;
        p->voter.kraft_version_min = m->supported_features[i].min_version;
        p->voter.kraft_version_max = m->supported_features[i].max_version;
    }
}

static void probe_take(struct quorum *q, struct quorum_event *e)
{
    struct voter_probe *p = q->probe;
    struct raft_voter voter = p->voter;
    bool good = p->result == 0;

    q->probe = NULL;
    free(p);
    if (good)
        change(q, e, RAFT_ADD_VOTER, &voter);
    else
        answer(q, quorum_call_of(e), KERR_REQUEST_TIMED_OUT);
}

static void probe_over(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    free(q->probe);
    q->probe = NULL;
    quorum_call_event_over(q, e);
}

static void probed(struct op *op, int64_t result)
{
    struct voter_probe *p = container_of(op, struct voter_probe, call.op);
    struct quorum *q = p->q;

    if (result == 0)
        take_range(p);
    else
        say(q->telemetry, LOG_WARN, "quorum",
            "node %" PRId32 ", which is to become a voter, does not answer at %s:%u: %s", p->voter.id,
            p->voter.endpoints[0].host, p->voter.endpoints[0].port, error_text((int)result));
    p->result = result;
    client_call_release(&p->call);
    client_forget_node(q->client, PROBE_ID);
    quorum_post(q, &p->for_call->event);
}

static void probe(struct quorum *q, struct quorum_call *call, const struct raft_voter *voter)
{
    struct voter_probe *p = calloc(1, sizeof(*p));
    const struct raft_endpoint *e = quorum_voter_endpoint(q, voter);

    ASSERT(p != NULL && e != NULL);
    p->q = q;
    p->for_call = call;
    p->voter = *voter;
    api_versions_request_init(&p->request);
    p->request.client_software_name = STR("millrace");
    p->request.client_software_version = STR(MILLRACE_VERSION);
    p->call = (struct client_call){.target = {.kind = CLIENT_NODE, .node_id = PROBE_ID},
                                   .api_key = API_API_VERSIONS,
                                   .request = &p->request,
                                   .timeout_ms = timeout_ms_of(q, call)};
    op_init(&p->call.op, probed);
    call->event.begin = probe_take;
    call->event.then = probe_over;
    q->probe = p;
    client_tell_node(q->client, PROBE_ID, str_of(e->host), e->port);
    client_send(q->client, &p->call);
}

void quorum_probe_cancel(struct quorum *q)
{
    if (q->probe != NULL)
        client_cancel(&q->probe->call);
}

/* What can be said before the voter is looked at. */
static enum kerr check_add(const struct quorum *q, const struct add_raft_voter_request *m)
{
    if (!quorum_call_cluster_fits(q, m->cluster_id))
        return KERR_INCONSISTENT_CLUSTER_ID;
    if (!q->accepts)
        return KERR_NOT_LEADER_OR_FOLLOWER;
    if (q->probe != NULL || !list_empty(&q->changes))
        return KERR_REQUEST_TIMED_OUT;
    if (q->voters.kraft_version == 0)
        return KERR_UNSUPPORTED_VERSION;
    if (raft_voter_find(&q->voters, m->voter_id) != NULL)
        return KERR_DUPLICATE_VOTER;
    return KERR_NONE;
}

void quorum_serve_add_voter(struct quorum *q, struct quorum_event *e)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct add_raft_voter_request *m = call->request;
    struct raft_voter voter = {.id = m->voter_id, .directory_id = m->voter_directory_id};
    enum kerr error = check_add(q, m);

    for (int32_t i = 0; error == KERR_NONE && i < m->listeners_count; i++) {
        if (!take_endpoint(&voter, m->listeners[i].name, m->listeners[i].host, m->listeners[i].port))
            error = KERR_INVALID_REQUEST;
    }
    if (error == KERR_NONE && quorum_voter_endpoint(q, &voter) == NULL)
        error = KERR_INVALID_REQUEST;
    if (error != KERR_NONE)
        answer(q, call, error);
    else
        probe(q, call, &voter);
}

/* ---- remove ------------------------------------------------------------------------------ */

void quorum_serve_remove_voter(struct quorum *q, struct quorum_event *e)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct remove_raft_voter_request *m = call->request;
    struct raft_voter voter = {.id = m->voter_id, .directory_id = m->voter_directory_id};

    if (!quorum_call_cluster_fits(q, m->cluster_id))
        answer(q, call, KERR_INCONSISTENT_CLUSTER_ID);
    else if (!q->accepts)
        answer(q, call, KERR_NOT_LEADER_OR_FOLLOWER);
    else
        change(q, e, RAFT_REMOVE_VOTER, &voter);
}

/* ---- update ------------------------------------------------------------------------------ */

static void update_admitted(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct update_raft_voter_request *m = call->request;
    struct raft_voter voter = {.id = m->voter_id,
                               .directory_id = m->voter_directory_id,
                               .kraft_version_min = m->k_raft_version_feature.min_supported_version,
                               .kraft_version_max = m->k_raft_version_feature.max_supported_version};

    if (out == NULL) {
        quorum_call_event_over(q, e);
        return;
    }
    if (out->reply.error != KERR_NONE) {
        answer(q, call, out->reply.error);
        return;
    }
    for (int32_t i = 0; i < m->listeners_count; i++) {
        if (take_endpoint(&voter, m->listeners[i].name, m->listeners[i].host, m->listeners[i].port))
            continue;
        answer(q, call, KERR_INVALID_REQUEST);
        return;
    }
    change(q, e, RAFT_UPDATE_VOTER, &voter);
}

void quorum_serve_update_voter(struct quorum *q, struct quorum_event *e)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct update_raft_voter_request *m = call->request;
    struct raft_request request = {
        .rpc = RAFT_FETCH, .from = {.id = -1}, .to = {.id = -1}, .epoch = m->current_leader_epoch};

    if (!quorum_call_cluster_fits(q, m->cluster_id)) {
        answer(q, call, KERR_INCONSISTENT_CLUSTER_ID);
        return;
    }
    e->then = update_admitted;
    quorum_step(q, e,
                &(struct raft_event){.type = RAFT_EVENT_REQUEST, .now_ms = io_now_ms(q->io), .request = &request});
}
