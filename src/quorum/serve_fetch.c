/* Fetch of the metadata log: what this leader has from an offset on, or why not. Who has everything waits.
 *
 *   epoch, leader? ─► does it fit our log? ─ no ─► snapshot id, or where it diverges
 *                                            └ yes ─► its offset counts (F6) ─► records, or parked
 */
#include "quorum/internal.h"

#include <stdlib.h>

#include "protocol/fetch.h"

#define MAX_WAIT_MS_MAX 60000 /* nobody is kept longer, whatever it asks for */

/* Records on their way from the log into an answer. */
struct fetch_read {
    struct quorum *q;
    struct quorum_call *call;
    struct log_read read;
    struct arena arena;
    struct text bytes;
    struct op op;
};

static const struct fetch_request_topics_partitions *asked_partition(const struct quorum_call *call)
{
    const struct fetch_request *m = call->request;

    return &m->topics[0].partitions[0];
}

/* ---- answers ----------------------------------------------------------------------------- */

static void add_leader_endpoint(struct quorum_call *call, int32_t leader_id)
{
    const struct raft_endpoint *e = quorum_call_leader_endpoint(call, leader_id);
    struct fetch_response *m = call->response;

    if (e == NULL || call->api_version < 16)
        return;
    struct fetch_response_node_endpoints *node = arena_take(call->arena, sizeof(*node));
    if (node == NULL)
        return;
    fetch_response_node_endpoints_init(node);
    node->node_id = leader_id;
    node->host = arena_str(call->arena, str_of(e->host));
    node->port = e->port;
    m->node_endpoints = node;
    m->node_endpoints_count = 1;
}

/* The answer's one partition; NULL without memory: then it is answered. */
static struct fetch_response_responses_partitions *fill(struct quorum *q, struct quorum_call *call, enum kerr error)
{
    struct fetch_response *m = call->response;
    const struct fetch_request *asked = call->request;
    struct fetch_response_responses *topic = arena_take(call->arena, sizeof(*topic));
    struct fetch_response_responses_partitions *p = arena_take(call->arena, sizeof(*p));

    if (topic == NULL || p == NULL) {
        quorum_call_refuse(call, KERR_UNKNOWN_SERVER_ERROR);
        return NULL;
    }
    fetch_response_responses_init(topic);
    fetch_response_responses_partitions_init(p);
    m->responses = topic;
    m->responses_count = 1;
    topic->topic = asked->topics[0].topic;
    topic->topic_id = asked->topics[0].topic_id;
    topic->partitions = p;
    topic->partitions_count = 1;
    p->error_code = (int16_t)error;
    p->high_watermark = q->high_watermark;
    p->log_start_offset = log_start(q->log);
    p->records = (struct bytes){(const uint8_t *)"", 0};
    quorum_leader(q, &p->current_leader.leader_id, &p->current_leader.leader_epoch);
    if (error != KERR_NONE) {
        p->high_watermark = -1;
        p->log_start_offset = -1;
    }
    /* Also when all is well, as Kafka's do: a node of theirs that knows no voters and has heard of the epoch by a request for
     * its vote ends itself when it is told who leads and not where. */
    add_leader_endpoint(call, p->current_leader.leader_id);
    return p;
}

static void answer(struct quorum *q, struct quorum_call *call, enum kerr error)
{
    if (fill(q, call, error) != NULL)
        quorum_call_answer(call);
}

/* ---- records ----------------------------------------------------------------------------- */

static void read_done(struct op *op, int64_t result)
{
    struct fetch_read *r = container_of(op, struct fetch_read, op);
    struct quorum *q = r->q;
    struct quorum_call *call = r->call;
    struct fetch_response_responses_partitions *p;
    bool good = result >= 0 && q->accepts;

    p = fill(q, call, good ? KERR_NONE : KERR_NOT_LEADER_OR_FOLLOWER);
    if (p != NULL && good && r->bytes.n > 0) {
        p->records = arena_bytes(call->arena, bytes_of_str(text_str(&r->bytes)));
        if (p->records.p == NULL) {
            quorum_call_refuse(call, KERR_UNKNOWN_SERVER_ERROR);
            p = NULL;
        }
    }
    if (p != NULL)
        quorum_call_answer(call);
    text_deinit(&r->bytes);
    arena_deinit(&r->arena);
    free(r);
}

static void read_begin(struct quorum *q, struct quorum_call *call)
{
    const struct fetch_request *m = call->request;
    struct fetch_read *r = calloc(1, sizeof(*r));
    uint32_t bytes = m->max_bytes > 0 ? (uint32_t)m->max_bytes : 0;

    ASSERT(r != NULL);
    if (list_linked(&call->node))
        list_remove(&call->node);
    io_timer_clear(&call->timer);
    r->q = q;
    r->call = call;
    arena_init(&r->arena, 0);
    r->read = (struct log_read){.offset = call->offset,
                                .limit = log_end(q->log),
                                .max_bytes = bytes < q->fetch_bytes_max ? bytes : q->fetch_bytes_max,
                                .first_whole = true,
                                .arena = &r->arena};
    op_init(&r->op, read_done);
    log_read_bytes(q->log, &r->read, &r->bytes, &r->op);
}

/* ---- waiting ----------------------------------------------------------------------------- */

/* A peer that does not know of it says the largest number there is. */
static bool lacks_high_watermark(const struct quorum *q, const struct quorum_call *call)
{
    return q->high_watermark > asked_partition(call)->high_watermark;
}

static void waited(struct io_timer *t)
{
    struct quorum_call *call = container_of(t, struct quorum_call, timer);

    answer(call->quorum, call, call->quorum->accepts ? KERR_NONE : KERR_NOT_LEADER_OR_FOLLOWER);
}

static void park(struct quorum *q, struct quorum_call *call)
{
    int64_t wait_ms = ((const struct fetch_request *)call->request)->max_wait_ms;

    if (wait_ms > MAX_WAIT_MS_MAX)
        wait_ms = MAX_WAIT_MS_MAX;
    list_add_tail(&q->parked, &call->node);
    io_timer_set(q->io, &call->timer, io_now_ns(q->io) + wait_ms * 1000000, waited);
}

/* Records, where there are some; the rest of the answer where that is new; else it waits. */
static void go_on(struct quorum *q, struct quorum_call *call)
{
    const struct fetch_request *m = call->request;

    if (!q->accepts)
        answer(q, call, KERR_NOT_LEADER_OR_FOLLOWER);
    else if (log_end(q->log) > call->offset)
        read_begin(q, call);
    else if (m->max_wait_ms == 0 || lacks_high_watermark(q, call))
        answer(q, call, KERR_NONE);
    else
        park(q, call);
}

void quorum_serve_parked(struct quorum *q)
{
    struct list parked = LIST_INIT(parked);
    bool moved = q->served_end != log_end(q->log) || q->served_high_watermark != q->high_watermark;

    if (!moved && q->accepts)
        return;
    q->served_end = log_end(q->log);
    q->served_high_watermark = q->high_watermark;
    list_move_all(&parked, &q->parked);
    for (struct list *node; (node = list_take_head(&parked)) != NULL;) {
        struct quorum_call *call = container_of(node, struct quorum_call, node);
        if (q->accepts && log_end(q->log) <= call->offset && !lacks_high_watermark(q, call))
            list_add_tail(&q->parked, &call->node); /* its timer runs on */
        else
            go_on(q, call);
    }
}

/* ---- does it fit? ------------------------------------------------------------------------ */

static void answer_snapshot(struct quorum *q, struct quorum_call *call)
{
    struct fetch_response_responses_partitions *p = fill(q, call, KERR_NONE);

    if (p == NULL)
        return;
    p->snapshot_id.end_offset = q->snapshots.files[q->snapshots.count - 1].id.end_offset;
    p->snapshot_id.epoch = q->snapshots.files[q->snapshots.count - 1].id.epoch;
    quorum_call_answer(call);
}

static void answer_diverging(struct quorum *q, struct quorum_call *call, struct epoch_end end)
{
    struct fetch_response_responses_partitions *p = fill(q, call, KERR_NONE);

    if (p == NULL)
        return;
    p->diverging_epoch.epoch = end.epoch;
    p->diverging_epoch.end_offset = end.end_offset;
    quorum_call_answer(call);
}

/* ---- requests ---------------------------------------------------------------------------- */

static struct raft_key asked_by(const struct quorum_call *call)
{
    const struct fetch_request *m = call->request;

    return (struct raft_key){call->api_version >= 15 ? m->replica_state.replica_id : m->replica_id,
                             asked_partition(call)->replica_directory_id};
}

static void counted(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    if (out == NULL)
        quorum_call_event_over(q, e);
    else
        go_on(q, quorum_call_of(e));
}

static void admitted(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct fetch_request_topics_partitions *p = asked_partition(call);

    if (out == NULL) {
        quorum_call_event_over(q, e);
        return;
    }
    if (out->reply.error != KERR_NONE || !q->accepts) {
        answer(q, call, out->reply.error != KERR_NONE ? out->reply.error : KERR_NOT_LEADER_OR_FOLLOWER);
        return;
    }
    if (q->listener.fetched != NULL)
        q->listener.fetched(q->listener.ctx, asked_by(call).id);
    if (quorum_needs_snapshot(q, p->fetch_offset, p->last_fetched_epoch)) {
        answer_snapshot(q, call);
        return;
    }
    struct epoch_end end = quorum_epoch_end(q, p->last_fetched_epoch);
    if (p->fetch_offset > 0 && (end.epoch != p->last_fetched_epoch || end.end_offset < p->fetch_offset)) {
        answer_diverging(q, call, end);
        return;
    }
    call->offset = p->fetch_offset;
    e->then = counted;
    quorum_step(q, e, &(struct raft_event){.type = RAFT_EVENT_FETCHED,
                                           .now_ms = io_now_ms(q->io),
                                           .from = asked_by(call),
                                           .fetch_offset = p->fetch_offset});
}

/* By its name up to version 12, by its id from then on. */
static bool asks_for_metadata(const struct quorum_call *call)
{
    const struct fetch_request *m = call->request;

    if (m->topics_count != 1 || m->topics[0].partitions_count != 1 || asked_partition(call)->partition != 0)
        return false;
    return call->api_version >= 13 ? uuid_equal(m->topics[0].topic_id, METADATA_TOPIC_ID)
                                   : str_equal(m->topics[0].topic, STR(METADATA_TOPIC));
}

void quorum_serve_fetch(struct quorum *q, struct quorum_event *e)
{
    struct quorum_call *call = quorum_call_of(e);
    const struct fetch_request *m = call->request;

    if (!quorum_call_cluster_fits(q, m->cluster_id)) {
        quorum_call_refuse(call, KERR_INCONSISTENT_CLUSTER_ID);
        return;
    }
    if (!asks_for_metadata(call)) {
        quorum_call_refuse(call, KERR_INVALID_REQUEST);
        return;
    }
    const struct fetch_request_topics_partitions *p = asked_partition(call);
    if (m->max_wait_ms < 0 || p->fetch_offset < 0 || p->last_fetched_epoch < 0 ||
        p->last_fetched_epoch > p->current_leader_epoch) {
        answer(q, call, KERR_INVALID_REQUEST);
        return;
    }
    struct raft_request request = {
        .rpc = RAFT_FETCH, .from = asked_by(call), .to = {.id = -1}, .epoch = p->current_leader_epoch};
    e->then = admitted;
    quorum_step(q, e,
                &(struct raft_event){.type = RAFT_EVENT_REQUEST, .now_ms = io_now_ms(q->io), .request = &request});
}

void quorum_serve_over(struct quorum *q)
{
    struct list waiting = LIST_INIT(waiting);

    list_move_all(&waiting, &q->parked);
    list_move_all(&waiting, &q->changes);
    for (struct list *node; (node = list_take_head(&waiting)) != NULL;)
        quorum_call_refuse(container_of(node, struct quorum_call, node), KERR_BROKER_NOT_AVAILABLE);
}
