/* What brokers say to a Produce, and what it means when they say nothing. */
#include "producer/sender.h"

/* The answer may name the new leader (KIP-951). */
static void follow_hint(struct producer *p, const struct producer_batch *b, const struct produce_response *r,
                        const struct produce_response_responses_partition_responses *pr)
{
    struct str host = STR_NULL;
    int32_t port = 0;

    if (pr->current_leader.leader_id < 0)
        return;
    for (int32_t i = 0; i < r->node_endpoints_count; i++) {
        if (r->node_endpoints[i].node_id != pr->current_leader.leader_id)
            continue;
        host = r->node_endpoints[i].host;
        port = r->node_endpoints[i].port;
    }
    client_hint(p->client, b->topic->name, b->part->index, pr->current_leader.leader_id,
                pr->current_leader.leader_epoch, host, port);
}

/* It is told of already: only its request has kept it. */
static void free_if_told(struct producer *p, struct producer_batch *b)
{
    if (b->fate.told)
        accumulator_free(&p->accumulator, b);
}

static void keep_detail(struct producer_batch *b, struct str message)
{
    if (b->fate.done && b->why == WHY_BROKER && b->detail == NULL && message.n > 0)
        b->detail = str_dup(message);
}

static void answered(struct producer *p, struct producer_batch *b, struct lane_answer *a)
{
    struct producer_partition *part = b->part;
    enum lane_verdict verdict;

    a->backoff_ms = a->trouble == -ECANCELED ? 0 : client_backoff_ms(p->client, b->fate.attempts);
    verdict = producer_lane_answered(part, b, &p->rules, a, producer_now_ms(p));
    if (verdict == LANE_SPLIT && accumulator_split(&p->accumulator, b) < 0)
        part->lane.retry_at_ms = producer_now_ms(p) + a->backoff_ms; /* no memory: refused again, and split then */
    if (verdict != LANE_DONE)
        return;
    keep_detail(b, a->message);
    free_if_told(p, b);
}

static void answer_partition(struct producer *p, struct producer_batch *b, const struct produce_response *r,
                             const struct produce_response_responses_partition_responses *pr)
{
    struct lane_answer a = {
        .code = pr->error_code,
        .base_offset = pr->base_offset,
        .append_time_ms = pr->log_append_time_ms,
        .message = pr->error_message,
    };

    if (kerr_needs_metadata(a.code))
        client_refresh(p->client);
    if (a.code == KERR_CLUSTER_AUTHORIZATION_FAILED && p->identity.who.idempotent)
        producer_fail(p, a.code, "the broker does not let this client write idempotently: grant it IdempotentWrite on "
                                 "the cluster, or set enable.idempotence=false");
    follow_hint(p, b, r, pr);
    answered(p, b, &a); /* which may free it */
}

/* The partition's part of the answer; they mostly stand in the order of the request. */
static const struct produce_response_responses_partition_responses *
find_partition(const struct produce_response_responses *t, int32_t at, int32_t index)
{
    if (at < t->partition_responses_count && t->partition_responses[at].index == index)
        return &t->partition_responses[at];
    for (int32_t i = 0; i < t->partition_responses_count; i++) {
        if (t->partition_responses[i].index == index)
            return &t->partition_responses[i];
    }
    return NULL;
}

static bool is_topic(const struct produce_call *c, const struct produce_response_responses *r,
                     const struct produce_request_topic_data *asked)
{
    return c->call.version >= 13 ? uuid_equal(r->topic_id, asked->topic_id) : str_equal(r->name, asked->name);
}

static const struct produce_response_responses *find_topic(const struct produce_call *c,
                                                           const struct produce_response *r, int32_t at)
{
    const struct produce_request_topic_data *asked = &c->request.topic_data[at];

    if (at < r->responses_count && is_topic(c, &r->responses[at], asked))
        return &r->responses[at];
    for (int32_t i = 0; i < r->responses_count; i++) {
        if (is_topic(c, &r->responses[i], asked))
            return &r->responses[i];
    }
    return NULL;
}

static void answer_all(struct producer *p, struct produce_call *c, const struct produce_response *r)
{
    struct lane_answer nothing = {.trouble = ERR_CORRUPT, .sent = true, .message = STR_NULL};
    struct producer_batch **next = c->batches;

    for (int32_t i = 0; i < c->request.topic_data_count; i++) {
        const struct produce_response_responses *t = find_topic(c, r, i);
        int32_t count = c->request.topic_data[i].partition_data_count;
        for (int32_t k = 0; k < count; k++) {
            struct producer_batch *b = *next++;
            const struct produce_response_responses_partition_responses *pr =
                t == NULL ? NULL : find_partition(t, k, b->part->index);
            if (pr != NULL)
                answer_partition(p, b, r, pr);
            else
                answered(p, b, &nothing);
        }
    }
}

/* acks=0: sent is all that will ever be known. */
static void answer_none(struct producer *p, struct produce_call *c)
{
    struct lane_answer a = {.base_offset = -1, .append_time_ms = -1, .message = STR_NULL};

    for (uint32_t i = 0; i < c->count; i++)
        answered(p, c->batches[i], &a);
}

static void answer_trouble(struct producer *p, struct produce_call *c, int trouble)
{
    struct lane_answer a = {.trouble = trouble, .sent = c->call.sent, .message = STR_NULL};

    if ((trouble == ERR_VERSION || trouble == -EINVAL) && !c->call.sent)
        a = (struct lane_answer){.code = KERR_UNSUPPORTED_VERSION, .message = STR_NULL};
    else
        client_refresh(p->client);
    for (uint32_t i = 0; i < c->count; i++)
        answered(p, c->batches[i], &a);
}

void produce_answered(struct op *op, int64_t result)
{
    struct produce_call *c = container_of(op, struct produce_call, call.op);
    struct producer *p = c->producer;
    const struct produce_response *r = c->call.response;

    producer_lock(p);
    c->node->calls--;
    if (result < 0) {
        answer_trouble(p, c, (int)result);
    } else if (c->call.no_answer) {
        answer_none(p, c);
    } else {
        answer_all(p, c, r);
    }
    producer_unlock(p);
    list_remove(&c->link);
    produce_call_free(c);
    producer_soon(p);
}
