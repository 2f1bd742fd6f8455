/* What the machine wants to have sent: one request at a time to each node; of those that come meanwhile the newest. */
#include "quorum/internal.h"

#include <stdlib.h>

#include "protocol/begin_quorum_epoch.h"
#include "protocol/end_quorum_epoch.h"
#include "protocol/vote.h"

struct quorum_send {
    struct list node;
    struct quorum *q;
    struct raft_send send, next;
    bool has_next;
    int64_t result;
    struct client_call call;
    struct quorum_event event; /* its answer */
    struct raft_key successors[RAFT_VOTERS_MAX];
    uint32_t successor_count;
    union {
        struct {
            struct vote_request m;
            struct vote_request_topics topic;
            struct vote_request_topics_partitions partition;
        } vote;
        struct {
            struct begin_quorum_epoch_request m;
            struct begin_quorum_epoch_request_topics topic;
            struct begin_quorum_epoch_request_topics_partitions partition;
            struct begin_quorum_epoch_request_leader_endpoints endpoints[RAFT_ENDPOINTS_MAX];
        } begin;
        struct {
            struct end_quorum_epoch_request m;
            struct end_quorum_epoch_request_topics topic;
            struct end_quorum_epoch_request_topics_partitions partition;
            struct end_quorum_epoch_request_leader_endpoints endpoints[RAFT_ENDPOINTS_MAX];
            struct end_quorum_epoch_request_topics_partitions_preferred_candidates candidates[RAFT_VOTERS_MAX];
            int32_t successors[RAFT_VOTERS_MAX];
        } end;
    } request;
};

/* ---- requests ---------------------------------------------------------------------------- */

/* All three have one shape, under types of their own: the cluster, its one topic and partition; */
#define BEGIN_WHOLE(api, whole, q)                                      \
    do {                                                                \
        api##_request_init(&(whole)->m);                                \
        api##_request_topics_init(&(whole)->topic);                     \
        api##_request_topics_partitions_init(&(whole)->partition);      \
        (whole)->m.cluster_id = str_of((q)->cluster_id);                \
        (whole)->m.topics = &(whole)->topic;                            \
        (whole)->m.topics_count = 1;                                    \
        (whole)->topic.topic_name = STR(METADATA_TOPIC);                \
        (whole)->topic.partitions = &(whole)->partition;                \
        (whole)->topic.partitions_count = 1;                            \
    } while (0)

/* and two of them where their sender listens. */
#define ADD_ENDPOINTS(api, whole, q)                                                            \
    do {                                                                                        \
        (whole)->m.leader_endpoints = (whole)->endpoints;                                       \
        (whole)->m.leader_endpoints_count = (int32_t)(q)->self.endpoint_count;                  \
        for (uint32_t i_ = 0; i_ < (q)->self.endpoint_count; i_++) {                            \
            api##_request_leader_endpoints_init(&(whole)->endpoints[i_]);                       \
            (whole)->endpoints[i_].name = str_of((q)->self.endpoints[i_].name);                 \
            (whole)->endpoints[i_].host = str_of((q)->self.endpoints[i_].host);                 \
            (whole)->endpoints[i_].port = (q)->self.endpoints[i_].port;                         \
        }                                                                                       \
    } while (0)

static void build_vote(struct quorum_send *s)
{
    struct vote_request *m = &s->request.vote.m;
    struct vote_request_topics_partitions *p = &s->request.vote.partition;

    BEGIN_WHOLE(vote, &s->request.vote, s->q);
    m->voter_id = s->send.to.id;
    p->replica_epoch = s->send.epoch;
    p->replica_id = s->q->node_id;
    p->replica_directory_id = s->q->directory_id;
    p->voter_directory_id = s->send.to.directory_id;
    p->last_offset_epoch = s->send.last_epoch;
    p->last_offset = s->send.last_offset;
    p->pre_vote = s->send.pre_vote;
    s->call.api_key = API_VOTE;
    s->call.version_low = s->send.pre_vote ? 2 : 0;
    s->call.request = m;
}

static void build_begin(struct quorum_send *s)
{
    struct begin_quorum_epoch_request *m = &s->request.begin.m;
    struct begin_quorum_epoch_request_topics_partitions *p = &s->request.begin.partition;

    BEGIN_WHOLE(begin_quorum_epoch, &s->request.begin, s->q);
    ADD_ENDPOINTS(begin_quorum_epoch, &s->request.begin, s->q);
    m->voter_id = s->send.to.id;
    p->voter_directory_id = s->send.to.directory_id;
    p->leader_id = s->q->node_id;
    p->leader_epoch = s->send.epoch;
    s->call.api_key = API_BEGIN_QUORUM_EPOCH;
    s->call.request = m;
}

static void build_candidates(struct quorum_send *s)
{
    struct end_quorum_epoch_request_topics_partitions *p = &s->request.end.partition;

    s->successor_count = raft_successors(s->q->raft, s->successors);
    p->preferred_candidates = s->request.end.candidates;
    p->preferred_successors = s->request.end.successors;
    p->preferred_candidates_count = p->preferred_successors_count = (int32_t)s->successor_count;
    for (uint32_t i = 0; i < s->successor_count; i++) {
        end_quorum_epoch_request_topics_partitions_preferred_candidates_init(&p->preferred_candidates[i]);
        p->preferred_candidates[i].candidate_id = s->successors[i].id;
        p->preferred_candidates[i].candidate_directory_id = s->successors[i].directory_id;
        p->preferred_successors[i] = s->successors[i].id;
    }
}

static void build_end(struct quorum_send *s)
{
    struct end_quorum_epoch_request_topics_partitions *p = &s->request.end.partition;

    BEGIN_WHOLE(end_quorum_epoch, &s->request.end, s->q);
    ADD_ENDPOINTS(end_quorum_epoch, &s->request.end, s->q);
    p->leader_id = s->q->node_id;
    p->leader_epoch = s->send.epoch;
    build_candidates(s);
    s->call.api_key = API_END_QUORUM_EPOCH;
    s->call.request = &s->request.end.m;
}

/* ---- answers ----------------------------------------------------------------------------- */

/* Take the error of the whole request, and of its partition with the leader that it names; false: none is there. */
#define TAKE(name, granted_)                                                                                    \
    do {                                                                                                        \
        const struct name##_response *m_ = s->call.response;                                                    \
        const struct name##_response_topics_partitions *p_;                                                     \
        if (m_->error_code != KERR_NONE) {                                                                      \
            a->error = (enum kerr)m_->error_code;                                                               \
            return false;                                                                                       \
        }                                                                                                       \
        if (m_->topics_count != 1 || m_->topics[0].partitions_count != 1)                                       \
            return false;                                                                                       \
        p_ = &m_->topics[0].partitions[0];                                                                      \
        a->error = (enum kerr)p_->error_code;                                                                   \
        a->leader_id = p_->leader_id;                                                                           \
        a->epoch = p_->leader_epoch;                                                                            \
        a->granted = (granted_);                                                                                \
        for (int32_t i_ = 0; i_ < m_->node_endpoints_count; i_++) {                                             \
            if (m_->node_endpoints[i_].node_id == p_->leader_id)                                                \
                quorum_nodes_hint(s->q, p_->leader_id, p_->leader_epoch, m_->node_endpoints[i_].host,                  \
                           m_->node_endpoints[i_].port);                                                        \
        }                                                                                                       \
    } while (0)

static bool read_answer(struct quorum_send *s, struct raft_answer *a)
{
    switch (s->send.rpc) {
    case RAFT_VOTE:
        TAKE(vote, p_->vote_granted);
        return true;
    case RAFT_BEGIN:
        TAKE(begin_quorum_epoch, false);
        return true;
    default:
        TAKE(end_quorum_epoch, false);
        return true;
    }
}

/* What the machine hears: a node that does not know pre-votes says so by its versions. */
static struct raft_answer answer_of(struct quorum_send *s)
{
    struct raft_answer a = {.rpc = s->send.rpc,
                            .from = s->send.to.id,
                            .sent_epoch = s->send.epoch,
                            .pre_vote = s->send.pre_vote,
                            .leader_id = -1,
                            .high_watermark = -1};

    if (s->result == 0 && read_answer(s, &a))
        return a;
    if (s->result == ERR_VERSION || a.error == KERR_UNSUPPORTED_VERSION) {
        a.error = KERR_UNSUPPORTED_VERSION;
        a.epoch = s->send.epoch;
        return a;
    }
    if (s->result == 0 && a.error == KERR_INCONSISTENT_CLUSTER_ID)
        quorum_stranger_found(s->q, s->send.to.id);
    else if (s->result == 0)
        say(s->q->telemetry, LOG_INFO, "quorum", "node %" PRId32 " refuses %s: %s%s", s->send.to.id,
            api_name(s->call.api_key), kerr_name((int16_t)a.error),
            a.error == KERR_BROKER_NOT_AVAILABLE ? " (it is stopping)" : "");
    a.lost = true;
    return a;
}

static void send_now(struct quorum_send *s);

static void send_end(struct quorum_send *s)
{
    struct quorum *q = s->q;

    client_call_release(&s->call);
    if (s->has_next) {
        s->send = s->next;
        s->has_next = false;
        send_now(s);
        return;
    }
    list_remove(&s->node);
    free(s);
    if (list_empty(&q->sends) && q->sends_over != NULL)
        io_complete(q->io, q->sends_over, 0);
}

static void then(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    send_end(container_of(e, struct quorum_send, event));
}

static void begin(struct quorum *q, struct quorum_event *e)
{
    struct quorum_send *s = container_of(e, struct quorum_send, event);
    struct raft_answer a = answer_of(s);

    quorum_step(q, e, &(struct raft_event){.type = RAFT_EVENT_ANSWER, .now_ms = io_now_ms(q->io), .answer = &a});
}

static void answered(struct op *op, int64_t result)
{
    struct quorum_send *s = container_of(op, struct quorum_send, call.op);

    s->result = result;
    quorum_post(s->q, &s->event);
}

/* ---- sending ----------------------------------------------------------------------------- */

static void send_now(struct quorum_send *s)
{
    s->call = (struct client_call){.target = {.kind = CLIENT_NODE, .node_id = s->send.to.id}};
    op_init(&s->call.op, answered);
    s->event = (struct quorum_event){.begin = begin, .then = then};
    switch (s->send.rpc) {
    case RAFT_VOTE:
        build_vote(s);
        break;
    case RAFT_BEGIN:
        build_begin(s);
        break;
    default:
        build_end(s);
        break;
    }
    client_send(s->q->client, &s->call);
}

static struct quorum_send *find(struct quorum *q, int32_t id)
{
    LIST_EACH (node, &q->sends) {
        struct quorum_send *s = container_of(node, struct quorum_send, node);
        if (s->send.to.id == id)
            return s;
    }
    return NULL;
}

/* Whether the one on its way is of no use once `next` is to be sent. */
static bool is_outdated(const struct quorum_send *s, const struct raft_send *next)
{
    return s->send.epoch != next->epoch || s->send.rpc != next->rpc || s->send.pre_vote != next->pre_vote;
}

void quorum_sends_go(struct quorum *q, const struct raft_outcome *out)
{
    for (uint32_t i = 0; i < out->send_count; i++) {
        struct quorum_send *s = find(q, out->sends[i].to.id);
        if (s != NULL) {
            s->next = out->sends[i];
            s->has_next = true;
            if (is_outdated(s, &s->next))
                client_cancel(&s->call);
            continue;
        }
        s = calloc(1, sizeof(*s));
        ASSERT(s != NULL);
        s->q = q;
        s->send = out->sends[i];
        list_add_tail(&q->sends, &s->node);
        send_now(s);
    }
}

void quorum_sends_cancel(struct quorum *q)
{
    LIST_EACH (node, &q->sends) {
        struct quorum_send *s = container_of(node, struct quorum_send, node);
        s->has_next = false;
        client_cancel(&s->call);
    }
}
