/* What leaders propose for the ISRs of their partitions, told to the controller: what waits is sent together, one
 * request at a time (KIP-497, AlterPartition).
 *
 *   waiting ─ sent ─► the partition's own answer ─► done
 *      ▲        └──── no answer, or one of a controller that does not know enough ─┘
 *      └──────────────────────────────────────────────────────────────────────────
 */
#include "node/internal.h"

#include <stdlib.h>

#include "protocol/alter_partition.h"

#define PROPOSALS_MAX 2000 /* in a request: with the largest ISRs it stays below a megabyte */
#define VERSION_BROKER_EPOCHS 3

struct proposals_call {
    struct own_call own;
    struct alter_partition_request request;
    struct alter_partition_response response;
    struct list sent; /* struct node_proposal, as in the request */
    uint32_t count;
};

typedef struct alter_partition_request_topics proposed_topic;
typedef struct alter_partition_request_topics_partitions proposed_partition;
typedef struct alter_partition_response_topics_partitions answered_partition;

static struct node_proposal *proposal_of(struct list *node)
{
    return container_of(node, struct node_proposal, node);
}

/* ---- ends ----------------------------------------------------------------------------------------------------- */

static void end(struct node_proposal *p, enum kerr error, const struct replication_state *state)
{
    list_remove(&p->node);
    p->done(p, error, state);
}

static void end_withdrawn(struct io_timer *t)
{
    struct node *n = container_of(t, struct node, proposals.ending);
    struct list ending = LIST_INIT(ending);

    list_move_all(&ending, &n->proposals.withdrawn);
    while (!list_empty(&ending)) {
        struct node_proposal *p = proposal_of(ending.next);
#ifdef MUTANT_NODE_PROPOSAL_SURE_OF_DOUBT
        p->tried = false;
#endif
        end(p, p->tried ? KERR_REQUEST_TIMED_OUT : KERR_OPERATION_NOT_ATTEMPTED, NULL);
    }
}

static void end_soon(struct node *n, struct node_proposal *p)
{
    list_add_tail(&n->proposals.withdrawn, &p->node);
    io_timer_set(n->io, &n->proposals.ending, io_now_ns(n->io), end_withdrawn);
}

/* ---- the answer ----------------------------------------------------------------------------------------------- */

static void again(struct io_timer *t)
{
    proposals_advance(container_of(t, struct node, proposals.again));
}

/* What the leader of the partition has to hear. The rest says nothing of what was proposed: a controller whose metadata
 * is older than the leader's, or which is in trouble. */
static bool is_answer(const answered_partition *a)
{
    switch (a->error_code) {
    case KERR_NONE:
        return a->isr_count > 0 && (a->leader_recovery_state == REPLICATION_RECOVERED ||
                                    a->leader_recovery_state == REPLICATION_RECOVERING);
    case KERR_UNKNOWN_TOPIC_OR_PARTITION:
    case KERR_UNKNOWN_TOPIC_ID:
    case KERR_FENCED_LEADER_EPOCH:
    case KERR_INVALID_REQUEST:
    case KERR_INVALID_UPDATE_VERSION:
    case KERR_INELIGIBLE_REPLICA:
    case KERR_NEW_LEADER_ELECTED:
    case KERR_OPERATION_NOT_ATTEMPTED:
        return true;
    default:
        return false;
    }
}

static struct node_proposal *find(struct list *sent, struct uuid topic_id, int32_t partition)
{
    LIST_EACH (it, sent) { /* answers come in the order of the request: it is the first one */
        struct node_proposal *p = proposal_of(it);
        if (p->partition == partition && uuid_equal(p->topic_id, topic_id))
            return p;
    }
    return NULL;
}

static void take_one(struct node_proposal *p, const answered_partition *a)
{
    struct replication_state state = {
        .leader = a->leader_id,
        .leader_epoch = a->leader_epoch,
        .partition_epoch = a->partition_epoch,
        .isr = a->isr,
        .isr_count = a->isr_count,
        .recovery = (enum replication_recovery)a->leader_recovery_state,
    };

    end(p, (enum kerr)a->error_code, a->error_code == KERR_NONE ? &state : NULL);
}

/* -> what was said last instead of an answer, or nothing was. */
static enum kerr take_all(struct list *sent, const struct alter_partition_response *m)
{
    enum kerr refusal = KERR_NONE;

    for (int32_t t = 0; t < m->topics_count; t++) {
        for (int32_t i = 0; i < m->topics[t].partitions_count; i++) {
            const answered_partition *a = &m->topics[t].partitions[i];
            struct node_proposal *p = find(sent, m->topics[t].topic_id, a->partition_index);
            if (p == NULL)
                continue;
            if (is_answer(a))
                take_one(p, a);
            else
                refusal = a->error_code == KERR_NONE ? KERR_UNKNOWN_SERVER_ERROR : (enum kerr)a->error_code;
        }
    }
    return refusal == KERR_NONE && !list_empty(sent) ? KERR_UNKNOWN_SERVER_ERROR : refusal;
}

/* Before what has come since. */
static void send_again(struct node *n, struct list *sent)
{
    struct list kept = LIST_INIT(kept);

    while (!list_empty(sent)) {
        struct node_proposal *p = proposal_of(list_take_head(sent));
        if (p->withdrawn || n->proposals.stopped) {
            end_soon(n, p);
        } else {
            p->waits = true;
            list_add_tail(&kept, &p->node);
        }
    }
    list_move_all(&kept, &n->proposals.waiting);
    list_move_all(&n->proposals.waiting, &kept);
}

static void refused(struct node *n, enum kerr error)
{
    struct proposals *ps = &n->proposals;

    if (ps->refusal != error)
        say(n->telemetry, LOG_WARN, "node",
            "the controller does not answer what this broker's leaders propose for their in-sync replicas: %s; "
            "asking on",
            kerr_name((int16_t)error));
    ps->refusal = error;
    io_timer_set(n->io, &ps->again, io_now_ns(n->io) + ask_backoff_ms(n, ++ps->attempts) * 1000000, again);
}

static void answered(struct own_call *own, enum kerr error)
{
    struct proposals_call *c = container_of(own, struct proposals_call, own);
    struct node *n = own->node;
    struct list sent = LIST_INIT(sent);

    n->proposals.sent = NULL;
    list_move_all(&sent, &c->sent);
    if (error == KERR_NONE)
        error = take_all(&sent, &c->response);
    send_again(n, &sent);
    arena_deinit(&own->arena);
    free(c);
    if (n->proposals.stopped || n->failed)
        return;
    if (error != KERR_NONE) {
        refused(n, error);
        return;
    }
    n->proposals.attempts = 0;
    n->proposals.refusal = KERR_NONE;
    proposals_advance(n);
}

/* ---- the request ---------------------------------------------------------------------------------------------- */

static void fill_isr(struct arena *arena, proposed_partition *p, const struct replication_proposal *r)
{
    p->new_isr = arena_take_array(arena, r->count, sizeof *p->new_isr);
    p->new_isr_with_epochs = arena_take_array(arena, r->count, sizeof *p->new_isr_with_epochs);
    for (uint32_t i = 0; i < r->count; i++) {
        alter_partition_request_topics_partitions_new_isr_with_epochs_init(&p->new_isr_with_epochs[i]);
        p->new_isr[i] = r->ids[i];
        p->new_isr_with_epochs[i].broker_id = r->ids[i];
        p->new_isr_with_epochs[i].broker_epoch = r->broker_epochs[i];
    }
}

/* A topic of its own for each partition: what its id costs is a few bytes, and proposals come in no order. */
static void add_one(struct proposals_call *c, struct node_proposal *p)
{
    proposed_topic *t = &c->request.topics[c->request.topics_count++];

    alter_partition_request_topics_init(t);
    t->topic_id = p->topic_id;
    t->partitions = arena_take(&c->own.arena, sizeof *t->partitions);
    t->partitions_count = 1;
    alter_partition_request_topics_partitions_init(t->partitions);
    t->partitions->partition_index = p->partition;
    t->partitions->leader_epoch = p->proposal.leader_epoch;
    t->partitions->partition_epoch = p->proposal.partition_epoch;
    t->partitions->leader_recovery_state = (int8_t)p->proposal.recovery;
    fill_isr(&c->own.arena, t->partitions, &p->proposal);
    p->waits = false;
    p->tried = true;
    list_remove(&p->node);
    list_add_tail(&c->sent, &p->node);
}

/* A controller that knows no broker epochs yet gets the ids alone. */
static void prepare(struct own_call *own)
{
    struct proposals_call *c = container_of(own, struct proposals_call, own);
#ifdef MUTANT_NODE_NO_BROKER_EPOCHS
    bool epochs = own->call.api_version > VERSION_BROKER_EPOCHS;
#else
    bool epochs = own->call.api_version >= VERSION_BROKER_EPOCHS;
#endif
    uint32_t at = 0;

    c->request.broker_epoch = own->node->broker_epoch;
    LIST_EACH (it, &c->sent) {
        proposed_partition *p = c->request.topics[at++].partitions;
        int32_t count = (int32_t)proposal_of(it)->proposal.count;
        p->new_isr_count = epochs ? 0 : count;
        p->new_isr_with_epochs_count = epochs ? count : 0;
    }
}

static void send(struct node *n)
{
    struct proposals_call *c = calloc(1, sizeof *c);

    ASSERT(c != NULL);
    own_call_init(&c->own, n, API_ALTER_PARTITION, &c->request, &c->response, &c->response.error_code);
    c->own.prepare = prepare;
    c->own.done = answered;
    list_init(&c->sent);
    n->proposals.sent = c;
    c->request.broker_id = n->options.node_id;
    c->request.topics = arena_take_array(&c->own.arena, PROPOSALS_MAX, sizeof *c->request.topics);
    while (!list_empty(&n->proposals.waiting) && c->request.topics_count < PROPOSALS_MAX)
        add_one(c, proposal_of(n->proposals.waiting.next));
    own_call_send(&c->own);
}

void proposals_advance(struct node *n)
{
    struct proposals *ps = &n->proposals;

    if (ps->sent != NULL || ps->stopped || n->failed || n->broker_epoch < 0 || list_empty(&ps->waiting) ||
        io_timer_is_set(&ps->again))
        return;
    send(n);
}

void node_propose(struct node *n, struct node_proposal *p)
{
    p->tried = p->withdrawn = false;
    p->waits = !n->proposals.stopped;
    if (!p->waits) {
        end_soon(n, p);
        return;
    }
    list_add_tail(&n->proposals.waiting, &p->node);
    proposals_advance(n);
}

void node_withdraw(struct node *n, struct node_proposal *p)
{
    p->withdrawn = true;
    if (!p->waits)
        return;
    p->waits = false;
    list_remove(&p->node);
    end_soon(n, p);
}

/* ---- begin and end -------------------------------------------------------------------------------------------- */

void proposals_init(struct node *n)
{
    list_init(&n->proposals.waiting);
    list_init(&n->proposals.withdrawn);
}

void proposals_stop(struct node *n)
{
    struct proposals *ps = &n->proposals;

    ps->stopped = true;
    io_timer_clear(&ps->again);
    while (!list_empty(&ps->waiting)) {
        struct node_proposal *p = proposal_of(list_take_head(&ps->waiting));
        p->waits = false;
        end_soon(n, p);
    }
}
