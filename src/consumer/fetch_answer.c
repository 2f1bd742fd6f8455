/* What a Fetch has brought. */
#include "consumer/internal.h"

#include <stdio.h>

#include "protocol/fetch.h"

static const struct fetch_response_node_endpoints *endpoint_of(const struct fetch_response *a, int32_t id)
{
    for (int32_t i = 0; i < a->node_endpoints_count; i++) {
        if (a->node_endpoints[i].node_id == id)
            return &a->node_endpoints[i];
    }
    return NULL;
}

/* KIP-951: the answer may say who leads now; else the metadata does. */
static void leader_moved(struct part *p, const struct fetch_response *a,
                         const struct fetch_response_responses_partitions *one)
{
    const struct fetch_response_node_endpoints *at = endpoint_of(a, one->current_leader.leader_id);

    if (one->current_leader.leader_id >= 0)
        client_hint(p->consumer->client, p->id.topic, p->id.partition, one->current_leader.leader_id,
                    one->current_leader.leader_epoch, at == NULL ? STR_NULL : at->host,
                    at == NULL ? 0 : at->port);
    if (one->current_leader.leader_id < 0 || one->current_leader.leader_epoch <= p->leader_epoch)
        client_refresh(p->consumer->client);
    p->near = -1;
    part_back_off(p);
}

static void no_right(struct part *p, int16_t code)
{
    struct consumer_error e;

    part_refused(p, error_code(&e, code, CONSUMER_REPAIR, "%.*s-%d: cannot be read; it is tried again",
                               STR_ARG(p->id.topic), p->id.partition));
}

static void out_of_range(struct part *p)
{
    char why[96];

    if (p->near >= 0) { /* the leader has more, perhaps */
        p->near = -1;
        part_hang(p);
        return;
    }
#ifndef MUTANT_CONSUMER_RESETS_EARLY
    if (p->fetch_from != p->position) { /* first what is there is handed out; then it is asked again */
        part_back_off(p);
        return;
    }
#endif
    snprintf(why, sizeof why, "offset %" PRId64 " is outside the log", p->fetch_from);
    part_reset(p, why);
}

static void take_error(struct part *p, const struct fetch_response *a,
                       const struct fetch_response_responses_partitions *one)
{
    struct consumer_error e;

    switch (one->error_code) {
    case KERR_NOT_LEADER_OR_FOLLOWER:
    case KERR_LEADER_NOT_AVAILABLE:
    case KERR_REPLICA_NOT_AVAILABLE:
    case KERR_KAFKA_STORAGE_ERROR:
    case KERR_FENCED_LEADER_EPOCH:
    case KERR_OFFSET_NOT_AVAILABLE:
    case KERR_UNKNOWN_TOPIC_OR_PARTITION:
    case KERR_UNKNOWN_TOPIC_ID:
    case KERR_INCONSISTENT_TOPIC_ID:
        leader_moved(p, a, one);
        return;
    case KERR_OFFSET_OUT_OF_RANGE:
        out_of_range(p);
        return;
    case KERR_TOPIC_AUTHORIZATION_FAILED:
        no_right(p, one->error_code);
        return;
    case KERR_CORRUPT_MESSAGE:
        part_stop(p, p->fetch_from,
                  error_code(&e, one->error_code, CONSUMER_SEEK,
                             "%.*s-%d: the node cannot read its batch at offset %" PRId64 "; to go on behind it, seek",
                             STR_ARG(p->id.topic), p->id.partition, p->fetch_from));
        return;
    default: /* UNKNOWN_LEADER_EPOCH: the node lags; UNKNOWN_SERVER_ERROR ... */
        part_back_off(p);
    }
}

/* KIP-392: another replica is nearer. */
static void read_near(struct part *p, int32_t replica)
{
    if (replica == p->near)
        return;
    p->near = replica;
    p->near_until_ns = NEVER_NS; /* until part_hang says how long */
    part_hang(p);
    if (p->near != replica) { /* nobody knows that node: not again at once */
        client_refresh(p->consumer->client);
        part_back_off(p);
    }
}

static void take_partition(struct fetch *f, const struct fetch_response *a, struct entry *e,
                           const struct fetch_response_responses_partitions *one)
{
    struct part *p = part_of_run(f->consumer, e->id, e->run);

    /* What was asked for before a seek, or for a partition that is gone, is not what is wanted now. */
#ifdef MUTANT_CONSUMER_STALE_FETCH
    p = part_find(f->consumer, e->id);
    if (p == NULL)
        return;
#else
    if (p == NULL || p->fetch_from != e->from || p->state != PART_READ || p->leaving)
        return;
#endif
    if (one->error_code != KERR_NONE) {
        take_error(p, a, one);
        return;
    }
    p->attempt = 0;
    p->error = (struct consumer_error){0};
    p->high_watermark = one->high_watermark;
    p->last_stable_offset = one->last_stable_offset;
    p->log_start = one->log_start_offset;
    piece_add(p, f, one);
    if (one->preferred_read_replica >= 0)
        read_near(p, one->preferred_read_replica);
}

static int64_t bytes_of(const struct fetch_response *a)
{
    int64_t n = (int64_t)sizeof(struct fetch);

    for (int32_t t = 0; t < a->responses_count; t++) {
        for (int32_t i = 0; i < a->responses[t].partitions_count; i++) {
            const struct fetch_response_responses_partitions *one = &a->responses[t].partitions[i];
            n += (int64_t)sizeof *one + (one->records.n > 0 ? one->records.n : 0);
        }
    }
    return n;
}

static void take_partitions(struct fetch *f, struct fetch_session *s, const struct fetch_response *a)
{
    for (int32_t t = 0; t < a->responses_count; t++) {
        const struct fetch_response_responses *topic = &a->responses[t];
        struct uuid id = s->by_id ? topic->topic_id : UUID_ZERO;
        for (int32_t i = 0; i < topic->partitions_count; i++) {
            struct consumer_partition key = {topic->topic, topic->partitions[i].partition_index};
            struct entry *e = fetch_entry_find(s, key, id);
            if (e != NULL)
                take_partition(f, a, e, &topic->partitions[i]);
        }
    }
}

static void session_goes_on(struct fetch_session *s, const struct fetch_response *a)
{
    if (a->session_id == 0 || (s->epoch > 0 && a->session_id != s->id)) {
        s->id = 0; /* none was made: the next request is full again */
        s->epoch = 0;
        return;
    }
    s->id = a->session_id;
    s->epoch = s->epoch == INT32_MAX ? 1 : s->epoch + 1;
}

static bool is_of_session(int16_t code)
{
    return code == KERR_FETCH_SESSION_ID_NOT_FOUND || code == KERR_INVALID_FETCH_SESSION_EPOCH ||
           code == KERR_FETCH_SESSION_TOPIC_ID_ERROR;
}

static void node_back_off(struct node *n)
{
    n->retry_ns = consumer_after(n->consumer, ++n->attempt);
}

void fetch_answered(struct fetch *f, int64_t result)
{
    struct consumer *c = f->consumer;
    struct node *n = f->node;
    const struct fetch_response *a = f->call.response;

    if (c == NULL)
        return;
    n->fetch = NULL;
    f->node = NULL;
    c->buffered_bytes -= f->bytes;
    f->bytes = result == 0 ? bytes_of(a) : 0;
    c->buffered_bytes += f->bytes;
    if (result != 0 || a->error_code != KERR_NONE) {
        fetch_session_break(&n->session, result == 0 && a->error_code == KERR_FETCH_SESSION_ID_NOT_FOUND);
        if (result != 0 || !is_of_session(a->error_code) || n->attempt > 0)
            node_back_off(n);
        else
            n->attempt = 1; /* a new session at once, but once */
        if (result != 0 || a->error_code == KERR_UNKNOWN_TOPIC_ID || a->error_code == KERR_INCONSISTENT_TOPIC_ID)
            client_refresh(c->client);
    } else {
        n->attempt = 0;
        take_partitions(f, &n->session, a);
        session_goes_on(&n->session, a);
    }
    consumer_poke(c);
}
