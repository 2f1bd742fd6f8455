/* Vote, BeginQuorumEpoch, EndQuorumEpoch: the machine decides; its answer leaves when what it depends on is durable. */
#include "quorum/internal.h"

#include "protocol/begin_quorum_epoch.h"
#include "protocol/end_quorum_epoch.h"
#include "protocol/vote.h"

/* There is one partition. The three requests name it alike. */
#define IS_METADATA(m)                                                                                      \
    ((m)->topics_count == 1 && str_equal((m)->topics[0].topic_name, STR(METADATA_TOPIC)) &&                 \
     (m)->topics[0].partitions_count == 1 && (m)->topics[0].partitions[0].partition_index == 0)

/* Fill the answer's one topic and partition, and where the leader is. The three answers have the same shape. */
#define FILL(name, reply_, partition_)                                                                         \
    do {                                                                                                       \
        struct name##_response *m_ = call->response;                                                           \
        struct name##_response_topics *topic_ = arena_take(call->arena, sizeof(*topic_));                      \
        const struct raft_endpoint *e_ = quorum_call_leader_endpoint(call, (reply_)->leader_id);                      \
        (partition_) = arena_take(call->arena, sizeof(*(partition_)));                                         \
        if (topic_ == NULL || (partition_) == NULL) {                                                          \
            quorum_call_refuse(call, KERR_UNKNOWN_SERVER_ERROR);                                                      \
            return;                                                                                            \
        }                                                                                                      \
        name##_response_topics_init(topic_);                                                                   \
        name##_response_topics_partitions_init(partition_);                                                    \
        topic_->topic_name = STR(METADATA_TOPIC);                                                              \
        topic_->partitions = (partition_);                                                                     \
        topic_->partitions_count = 1;                                                                          \
        m_->topics = topic_;                                                                                   \
        m_->topics_count = 1;                                                                                  \
        (partition_)->error_code = (int16_t)(reply_)->error;                                                   \
        (partition_)->leader_id = (reply_)->leader_id;                                                         \
        (partition_)->leader_epoch = (reply_)->epoch;                                                          \
        if (e_ != NULL && call->api_version >= 1) {                                                            \
            struct name##_response_node_endpoints *node_ = arena_take(call->arena, sizeof(*node_));            \
            if (node_ != NULL) {                                                                               \
                name##_response_node_endpoints_init(node_);                                                    \
                node_->node_id = (reply_)->leader_id;                                                          \
                node_->host = arena_str(call->arena, str_of(e_->host));                                        \
                node_->port = e_->port;                                                                        \
                m_->node_endpoints = node_;                                                                    \
                m_->node_endpoints_count = 1;                                                                  \
            }                                                                                                  \
        }                                                                                                      \
    } while (0)

static void ask(struct quorum *q, struct quorum_event *e, const struct raft_request *request)
{
    quorum_step(q, e, &(struct raft_event){.type = RAFT_EVENT_REQUEST, .now_ms = io_now_ms(q->io), .request = request});
}

/* ---- Vote -------------------------------------------------------------------------------- */

static void vote_then(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    struct quorum_call *call = quorum_call_of(e);
    struct vote_response_topics_partitions *p;

    if (out == NULL) {
        quorum_call_event_over(q, e);
        return;
    }
    FILL(vote, &out->reply, p);
    p->vote_granted = out->reply.granted;
    quorum_call_answer(call);
}

void quorum_serve_vote(struct quorum *q, struct quorum_event *e)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct vote_request *m = call->request;

    if (!quorum_call_cluster_fits(q, m->cluster_id) || !IS_METADATA(m)) {
        quorum_call_refuse(call, IS_METADATA(m) ? KERR_INCONSISTENT_CLUSTER_ID : KERR_INVALID_REQUEST);
        return;
    }
    const struct vote_request_topics_partitions *p = &m->topics[0].partitions[0];
    struct raft_request request = {
        .rpc = RAFT_VOTE,
        .from = {p->replica_id, p->replica_directory_id},
        .to = {m->voter_id, p->voter_directory_id},
        .epoch = p->replica_epoch,
        .pre_vote = p->pre_vote,
        .last_epoch = p->last_offset_epoch,
        .last_offset = p->last_offset,
    };
    e->then = vote_then;
    ask(q, e, &request);
}

/* ---- BeginQuorumEpoch -------------------------------------------------------------------- */

static void begin_then(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    struct quorum_call *call = quorum_call_of(e);
    struct begin_quorum_epoch_response_topics_partitions *p;

    if (out == NULL) {
        quorum_call_event_over(q, e);
        return;
    }
    FILL(begin_quorum_epoch, &out->reply, p);
    quorum_call_answer(call);
}

/* The leader tells where it listens; the first of the names that we know. */
static void take_endpoints(struct quorum *q, const struct begin_quorum_epoch_request *m)
{
    const struct begin_quorum_epoch_request_topics_partitions *p = &m->topics[0].partitions[0];
    int32_t found = 0;

    for (int32_t i = m->leader_endpoints_count; i-- > 0;) {
        if (q->self.endpoint_count > 0 && str_equal(m->leader_endpoints[i].name, str_of(q->self.endpoints[0].name)))
            found = i;
    }
    if (m->leader_endpoints_count > 0)
        quorum_nodes_hint(q, p->leader_id, p->leader_epoch, m->leader_endpoints[found].host,
                          m->leader_endpoints[found].port);
}

void quorum_serve_begin(struct quorum *q, struct quorum_event *e)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct begin_quorum_epoch_request *m = call->request;

    if (!quorum_call_cluster_fits(q, m->cluster_id) || !IS_METADATA(m)) {
        quorum_call_refuse(call, IS_METADATA(m) ? KERR_INCONSISTENT_CLUSTER_ID : KERR_INVALID_REQUEST);
        return;
    }
    const struct begin_quorum_epoch_request_topics_partitions *p = &m->topics[0].partitions[0];
    struct raft_request request = {
        .rpc = RAFT_BEGIN,
        .from = {.id = p->leader_id},
        .to = {m->voter_id, p->voter_directory_id},
        .epoch = p->leader_epoch,
    };
    take_endpoints(q, m);
    e->then = begin_then;
    ask(q, e, &request);
}

/* ---- EndQuorumEpoch ---------------------------------------------------------------------- */

static void end_then(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    struct quorum_call *call = quorum_call_of(e);
    struct end_quorum_epoch_response_topics_partitions *p;

    if (out == NULL) {
        quorum_call_event_over(q, e);
        return;
    }
    FILL(end_quorum_epoch, &out->reply, p);
    quorum_call_answer(call);
}

void quorum_serve_end(struct quorum *q, struct quorum_event *e)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct end_quorum_epoch_request *m = call->request;
    int32_t preferred[RAFT_VOTERS_MAX];

    if (!quorum_call_cluster_fits(q, m->cluster_id) || !IS_METADATA(m)) {
        quorum_call_refuse(call, IS_METADATA(m) ? KERR_INCONSISTENT_CLUSTER_ID : KERR_INVALID_REQUEST);
        return;
    }
    const struct end_quorum_epoch_request_topics_partitions *p = &m->topics[0].partitions[0];
    struct raft_request request = {.rpc = RAFT_END,
                                   .from = {.id = p->leader_id},
                                   .to = {.id = -1},
                                   .epoch = p->leader_epoch,
                                   .preferred = preferred};
    for (int32_t i = 0; i < p->preferred_successors_count && request.preferred_count < RAFT_VOTERS_MAX; i++)
        preferred[request.preferred_count++] = p->preferred_successors[i];
    for (int32_t i = 0; i < p->preferred_candidates_count && request.preferred_count < RAFT_VOTERS_MAX; i++)
        preferred[request.preferred_count++] = p->preferred_candidates[i].candidate_id;
    e->then = end_then;
    ask(q, e, &request);
}
