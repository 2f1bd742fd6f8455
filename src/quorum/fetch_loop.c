/* A follower, an observer, and whoever looks for the leader: one Fetch after the other.
 *
 *   kick ─► stable (F6)? ─► Fetch to the leader, or to anybody ─► fetch_take.c ─► the machine ─► kick
 */
#include "quorum/internal.h"

#include <stdlib.h>

#include "protocol/fetch.h"

#define MAX_WAIT_MS 500 /* as Kafka: well below the fetch timeout */
#define BACKOFF_DOUBLINGS 5

/* A request with its one topic and partition. */
struct fetch_request_whole {
    struct fetch_request m;
    struct fetch_request_topics topic;
    struct fetch_request_topics_partitions partition;
};

bool quorum_fetch_is_followed(const struct quorum *q, int32_t to, int32_t epoch)
{
    int32_t leader = -1;

    return raft_source(q->raft, &leader) == RAFT_SOURCE_LEADER && leader == to && epoch == q->election.epoch;
}

/* ---- the request ------------------------------------------------------------------------- */

/* Whoever is asked knows the replica by one field or the other. */
static void prepare(struct client_call *call)
{
    struct quorum *q = container_of(call, struct quorum, fetch.call);
    struct fetch_request *m = q->fetch.request;

    m->replica_id = call->version >= 15 ? -1 : q->node_id;
    m->replica_state.replica_id = call->version >= 15 ? q->node_id : -1;
}

static void build(struct quorum *q)
{
    struct fetch_request_whole *whole = container_of(q->fetch.request, struct fetch_request_whole, m);
    struct fetch_request *m = &whole->m;
    struct fetch_request_topics_partitions *p = &whole->partition;

    fetch_request_init(m);
    fetch_request_topics_init(&whole->topic);
    fetch_request_topics_partitions_init(p);
    m->cluster_id = str_of(q->cluster_id);
    m->max_wait_ms = MAX_WAIT_MS;
    m->max_bytes = (int32_t)q->fetch_bytes_max;
    m->topics = &whole->topic;
    m->topics_count = 1;
    whole->topic.topic = STR(METADATA_TOPIC);
    whole->topic.topic_id = METADATA_TOPIC_ID;
    whole->topic.partitions = p;
    whole->topic.partitions_count = 1;
    p->current_leader_epoch = q->election.epoch;
    p->fetch_offset = log_end(q->log);
    p->last_fetched_epoch = q->end_epoch;
    p->partition_max_bytes = (int32_t)q->fetch_bytes_max;
    p->replica_directory_id = q->directory_id;
    p->high_watermark = q->high_watermark;
}

static void answered(struct op *op, int64_t result)
{
    struct quorum *q = container_of(op, struct quorum, fetch.call.op);

    q->fetch.result = result;
    quorum_post(q, &q->fetch.event);
}

static void over(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    client_call_release(&q->fetch.call);
    q->fetch.busy = false;
    gate_leave(&q->gate);
}

static void send_fetch(struct quorum *q, int32_t to)
{
    struct fetch_loop *f = &q->fetch;

    if (f->request == NULL) {
        struct fetch_request_whole *whole = calloc(1, sizeof(*whole));
        ASSERT(whole != NULL);
        f->request = &whole->m;
    }
    if (!gate_enter(&q->gate))
        return;
    f->busy = true;
    f->to = to;
    f->epoch = q->election.epoch;
    build(q);
    f->call = (struct client_call){.target = {.kind = CLIENT_NODE, .node_id = to},
                                   .api_key = API_FETCH,
                                   .version_low = 12,
                                   .request = f->request,
                                   .prepare = prepare};
    op_init(&f->call.op, answered);
    f->event = (struct quorum_event){.begin = quorum_fetch_take, .then = over};
    client_send(q->client, &f->call);
}

/* ---- when -------------------------------------------------------------------------------- */

/* The offset that is asked for is this replica's vote for all below it (F6). */
static bool may_fetch(const struct quorum *q)
{
#ifdef MUTANT_QUORUM_FETCH_UNSTABLE
    return true;
#endif
    return !q->can_vote || log_stable(q->log) == log_end(q->log);
}

/* What it asks is of no use to anybody any more: the leader, or the epoch, is another. */
static void drop_outdated(struct quorum *q, enum raft_source source, int32_t leader)
{
    struct fetch_loop *f = &q->fetch;

    if (source == RAFT_SOURCE_NOBODY || f->epoch != q->election.epoch ||
        (source == RAFT_SOURCE_LEADER && leader != f->to))
        client_cancel(&f->call);
}

void quorum_fetch_kick(struct quorum *q)
{
    struct fetch_loop *f = &q->fetch;
    int32_t leader = -1, to;
    enum raft_source source = raft_source(q->raft, &leader);

    if (q->fetching != NULL)
        quorum_snapshot_fetch_kick(q);
    if (f->busy) {
        drop_outdated(q, source, leader);
        return;
    }
    if (source == RAFT_SOURCE_NOBODY || q->held || q->fetching != NULL || io_timer_is_set(&f->timer) || !may_fetch(q))
        return;
    to = source == RAFT_SOURCE_LEADER ? leader : quorum_nodes_any(q, f->turn++);
    if (to != -1)
        send_fetch(q, to);
}

static void back_off_over(struct io_timer *t)
{
    struct quorum *q = container_of(t, struct quorum, fetch.timer);

    if (!quorum_is_over(q) && !q->held)
        quorum_fetch_kick(q);
}

int64_t quorum_fetch_back_off_ms(const struct quorum *q, uint32_t failures)
{
    return q->retry_backoff_ms << (failures < BACKOFF_DOUBLINGS ? failures : BACKOFF_DOUBLINGS);
}

void quorum_fetch_back_off(struct quorum *q)
{
    struct fetch_loop *f = &q->fetch;

    io_timer_set(q->io, &f->timer, io_now_ns(q->io) + quorum_fetch_back_off_ms(q, f->failures) * 1000000,
                 back_off_over);
    f->failures++;
}

void quorum_fetch_cancel(struct quorum *q)
{
    io_timer_clear(&q->fetch.timer);
    if (q->fetch.busy)
        client_cancel(&q->fetch.call);
}

void quorum_fetch_free(struct quorum *q)
{
    if (q->fetch.request != NULL)
        free(container_of(q->fetch.request, struct fetch_request_whole, m));
}

/* ---- what the machine hears --------------------------------------------------------------- */

static void told(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out)
{
    struct fetch_loop *f = &q->fetch;

    if (out != NULL && (f->answer.lost || f->answer.error != KERR_NONE || f->to < 0))
        quorum_fetch_back_off(q);
    else
        f->failures = 0;
    over(q, e, out);
}

static void tell_begin(struct quorum *q, struct quorum_event *e)
{
    e->then = told;
    quorum_step(q, e,
                &(struct raft_event){
                    .type = RAFT_EVENT_ANSWER, .now_ms = io_now_ms(q->io), .answer = &q->fetch.answer});
}

/* It hears first what has become of the log. */
void quorum_fetch_tell(struct quorum *q)
{
    q->fetch.event.begin = tell_begin;
    q->fetch.event.then = over;
    list_add_head(&q->events, &q->fetch.event.node);
    quorum_log_moved_first(q);
}
