/* Requests of other nodes and of administrators: who serves which, and how each is answered once. */
#include "quorum/internal.h"

#include "protocol/add_raft_voter.h"
#include "protocol/begin_quorum_epoch.h"
#include "protocol/describe_quorum.h"
#include "protocol/end_quorum_epoch.h"
#include "protocol/fetch.h"
#include "protocol/fetch_snapshot.h"
#include "protocol/remove_raft_voter.h"
#include "protocol/update_raft_voter.h"
#include "protocol/vote.h"

static const struct {
    int16_t api_key;
    void (*begin)(struct quorum *q, struct quorum_event *e);
} handlers[] = {
    {API_VOTE, quorum_serve_vote},
    {API_BEGIN_QUORUM_EPOCH, quorum_serve_begin},
    {API_END_QUORUM_EPOCH, quorum_serve_end},
    {API_FETCH, quorum_serve_fetch},
    {API_FETCH_SNAPSHOT, quorum_serve_snapshot},
    {API_DESCRIBE_QUORUM, quorum_serve_describe},
    {API_ADD_RAFT_VOTER, quorum_serve_add_voter},
    {API_REMOVE_RAFT_VOTER, quorum_serve_remove_voter},
    {API_UPDATE_RAFT_VOTER, quorum_serve_update_voter},
};

bool quorum_handles(int16_t api_key)
{
    for (size_t i = 0; i < array_count(handlers); i++) {
        if (handlers[i].api_key == api_key)
            return true;
    }
    return false;
}

/* ---- answers ----------------------------------------------------------------------------- */

static void answered(struct io_timer *t)
{
    struct quorum_call *call = container_of(t, struct quorum_call, timer);
    struct quorum *q = call->quorum;
    bool inside = call->inside;

    if (inside)
        q->calls--;
    call->ready(call);
    if (inside)
        gate_leave(&q->gate);
}

void quorum_call_answer(struct quorum_call *call)
{
    struct io *io = call->quorum->io;

    if (list_linked(&call->node))
        list_remove(&call->node);
    io_timer_set(io, &call->timer, io_now_ns(io), answered);
}

void quorum_call_refuse(struct quorum_call *call, enum kerr error)
{
    const struct message *message = api_find(call->api_key)->response;

    message_init(message, call->response);
    switch (call->api_key) {
    case API_VOTE:
        ((struct vote_response *)call->response)->error_code = (int16_t)error;
        break;
    case API_BEGIN_QUORUM_EPOCH:
        ((struct begin_quorum_epoch_response *)call->response)->error_code = (int16_t)error;
        break;
    case API_END_QUORUM_EPOCH:
        ((struct end_quorum_epoch_response *)call->response)->error_code = (int16_t)error;
        break;
    case API_FETCH:
        ((struct fetch_response *)call->response)->error_code = (int16_t)error;
        break;
    case API_FETCH_SNAPSHOT:
        ((struct fetch_snapshot_response *)call->response)->error_code = (int16_t)error;
        break;
    case API_DESCRIBE_QUORUM:
        ((struct describe_quorum_response *)call->response)->error_code = (int16_t)error;
        break;
    case API_ADD_RAFT_VOTER:
        ((struct add_raft_voter_response *)call->response)->error_code = (int16_t)error;
        break;
    case API_REMOVE_RAFT_VOTER:
        ((struct remove_raft_voter_response *)call->response)->error_code = (int16_t)error;
        break;
    default:
        ((struct update_raft_voter_response *)call->response)->error_code = (int16_t)error;
        break;
    }
    quorum_call_answer(call);
}

/* quorum_event.then of a call that has nothing more to say than whether it is over. */
void quorum_call_event_over(struct quorum *q, struct quorum_event *e)
{
    quorum_call_refuse(quorum_call_of(e), KERR_BROKER_NOT_AVAILABLE);
}

bool quorum_call_cluster_fits(const struct quorum *q, struct str cluster_id)
{
    return str_is_null(cluster_id) || str_equal(cluster_id, str_of(q->cluster_id));
}

const struct raft_endpoint *quorum_call_leader_endpoint(const struct quorum_call *call, int32_t leader_id)
{
    return leader_id < 0 ? NULL : quorum_nodes_endpoint(call->quorum, leader_id, call->listener);
}

/* ---- requests ---------------------------------------------------------------------------- */

static void never_begun(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    quorum_call_event_over(q, e);
}

void quorum_handle(struct quorum *q, struct quorum_call *call)
{
    call->quorum = q;
    call->event = (struct quorum_event){.then = never_begun};
    call->node = (struct list){0};
    call->timer = (struct io_timer){0};
    call->inside = false;
    for (size_t i = 0; i < array_count(handlers); i++) {
        if (handlers[i].api_key == call->api_key)
            call->event.begin = handlers[i].begin;
    }
    ASSERT(call->event.begin != NULL);
    if (q->failed || !q->begun || q->calls >= QUORUM_CALLS_MAX || !gate_enter(&q->gate)) {
        quorum_call_refuse(call, KERR_BROKER_NOT_AVAILABLE);
        return;
    }
    call->inside = true;
    q->calls++;
    quorum_post(q, &call->event);
}
