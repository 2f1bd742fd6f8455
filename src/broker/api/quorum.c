/* Requests that the metadata quorum answers: votes and epochs (keys 52 to 54), Fetch of the metadata log (1) and of its
 * snapshots (59), changes of the voters (80 to 82). All of them on the home shard. On a controller's listener this node's
 * quorum is asked, whatever its part in it; on a broker's, where administrators ask, the one that leads.
 */
#include "broker/api/api.h"

#include <stddef.h>

#include "broker/forward.h"
#include "broker/session.h"
#include "protocol/add_raft_voter.h"
#include "protocol/begin_quorum_epoch.h"
#include "protocol/describe_quorum.h"
#include "protocol/end_quorum_epoch.h"
#include "protocol/fetch.h"
#include "protocol/fetch_snapshot.h"
#include "protocol/remove_raft_voter.h"
#include "protocol/update_raft_voter.h"
#include "protocol/vote.h"

/* A Fetch is not waited for longer, so that one whose connection is gone ends soon; voters ask for half a second. */
#define WAIT_MS_MAX 5000

struct quorum_api {
    int16_t key;
    enum acl_operation operation; /* on the cluster */
    size_t error_code;            /* where the response has the error of the whole */
};

static const struct quorum_api apis[] = {
    {API_FETCH, ACL_CLUSTER_ACTION, offsetof(struct fetch_response, error_code)},
    {API_VOTE, ACL_CLUSTER_ACTION, offsetof(struct vote_response, error_code)},
    {API_BEGIN_QUORUM_EPOCH, ACL_CLUSTER_ACTION, offsetof(struct begin_quorum_epoch_response, error_code)},
    {API_END_QUORUM_EPOCH, ACL_CLUSTER_ACTION, offsetof(struct end_quorum_epoch_response, error_code)},
    {API_DESCRIBE_QUORUM, ACL_DESCRIBE, offsetof(struct describe_quorum_response, error_code)},
    {API_FETCH_SNAPSHOT, ACL_CLUSTER_ACTION, offsetof(struct fetch_snapshot_response, error_code)},
    {API_ADD_RAFT_VOTER, ACL_ALTER, offsetof(struct add_raft_voter_response, error_code)},
    {API_REMOVE_RAFT_VOTER, ACL_ALTER, offsetof(struct remove_raft_voter_response, error_code)},
    {API_UPDATE_RAFT_VOTER, ACL_CLUSTER_ACTION, offsetof(struct update_raft_voter_response, error_code)},
};

static const struct quorum_api *quorum_api_get(int16_t key)
{
    for (size_t i = 0; i < array_count(apis); i++) {
        if (apis[i].key == key)
            return &apis[i];
    }
    UNREACHABLE("an API of another room");
}

static void refuse(struct request *r, enum kerr error)
{
    int16_t code = (int16_t)error;

    memcpy((char *)r->response + quorum_api_get(r->key)->error_code, &code, sizeof code);
    request_answer(r);
}

/* ---- on the home shard ------------------------------------------------------------------------- */

struct asking {
    struct quorum_call call;
    struct forward forward; /* where another node is to be asked; its error is that of the whole */
    struct scatter_part *part;
};

static void answered(struct quorum_call *call)
{
    scatter_part_done(container_of(call, struct asking, call)->part);
}

static bool is_asked_here(const struct request *r, const struct quorum *q)
{
    int32_t leader_id, epoch;

    if (request_listener(r)->kind == LISTENER_CONTROLLER)
        return true;
    quorum_leader(q, &leader_id, &epoch);
    return leader_id == r->shard->broker->node_id;
}

static void part_ask(struct scatter_part *part)
{
    struct asking *a = part->items[0];
    const struct request *r = part->scatter->request;
    struct node *node = part->shard->broker->node;
    struct quorum *q = node == NULL ? NULL : node_quorum(node);

    if (q == NULL) { /* the node stops */
        a->forward.error = KERR_BROKER_NOT_AVAILABLE;
        scatter_part_done(part);
        return;
    }
    if (!is_asked_here(r, q)) {
        forward_part(part, &a->forward);
        return;
    }
    a->part = part;
    a->call = (struct quorum_call){
        .api_key = r->key,
        .api_version = r->version,
        .request = r->message,
        .response = r->response,
        .arena = &part->arena,
        .listener = str_of(request_listener(r)->bound->name),
        .ready = answered,
    };
    quorum_handle(q, &a->call);
}

/* ---- on the connection's shard ------------------------------------------------------------------ */

static void joined(struct scatter *s)
{
    const struct asking *a = s->state;

    if (a->forward.error != KERR_NONE)
        refuse(s->request, a->forward.error);
    else
        request_answer(s->request);
}

static void limit_wait(struct request *r)
{
    struct fetch_request *m = r->message;

    if (r->key == API_FETCH && m->max_wait_ms > WAIT_MS_MAX)
        m->max_wait_ms = WAIT_MS_MAX;
}

void quorum_request_handle(struct request *r)
{
    struct asking *a;
    struct scatter *s;

    if (!request_authorize(r, quorum_api_get(r->key)->operation, RESOURCE_CLUSTER, STR("kafka-cluster"))) {
        refuse(r, KERR_CLUSTER_AUTHORIZATION_FAILED);
        return;
    }
    limit_wait(r);
    a = arena_take(&r->arena, sizeof *a);
    a->forward = forward_of(r);
    s = scatter_new(r, part_ask, joined);
    s->state = a;
    scatter_add(s, 0, a);
    scatter_run(s);
}
