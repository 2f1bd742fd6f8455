/* Produce (key 0): each partition's batch is validated and appended on its shard; the answer leaves
 * when all of them are as durable as `acks` asks.
 *
 *   acks  0  nothing is answered; trouble closes the connection, so that the producer notices
 *         1  the leader's log is stable past the batch
 *        -1  the high watermark has passed it
 */
#include "broker/api/api.h"
#include "broker/memory.h"
#include "broker/metrics.h"
#include "broker/scatter.h"
#include "broker/view.h"
#include "protocol/produce.h"

/* One partition of the request. */
struct produce_item {
    const struct produce_request_topic_data_partition_data *asked;
    struct produce_response_responses_partition_responses *answer;
    struct str topic; /* of the request's arena: the image may go */
    struct uuid topic_id;
    struct scatter_part *part;
    struct replica_wait wait;
};

/* What one shard still waits for. */
struct produce_part {
    uint32_t waiting;
    struct io_timer timeout;
    struct scatter_part *part;
};

static const struct produce_request *produce_of(const struct request *r)
{
    return r->message;
}

/* ---- on the partition's shard ---------------------------------------------------------------- */

static void part_finish(struct produce_part *p)
{
    io_timer_clear(&p->timeout);
    scatter_part_done(p->part);
}

static void item_ready(struct replica_wait *w, enum kerr error)
{
    struct produce_item *item = container_of(w, struct produce_item, wait);
    struct produce_part *p = item->part->state;

    item->answer->error_code = (int16_t)error;
    if (--p->waiting == 0)
        part_finish(p);
}

/* Indefinite: the batches are in the log and may yet be committed. */
static void part_timed_out(struct io_timer *t)
{
    struct produce_part *p = container_of(t, struct produce_part, timeout);

    for (uint32_t i = 0; i < p->part->count; i++) {
        struct produce_item *item = p->part->items[i];
        if (list_linked(&item->wait.node)) {
            replica_wait_cancel(&item->wait);
            item->answer->error_code = KERR_REQUEST_TIMED_OUT;
        }
    }
    p->waiting = 0;
    part_finish(p);
}

/* The records that were wrong, one by one (KIP-467). */
static void answer_record_errors(struct scatter_part *part, const struct validated *v,
                                 struct produce_response_responses_partition_responses *a)
{
    a->error_message = str_of(v->message);
    if (v->error_count == 0)
        return;
    a->record_errors =
        arena_take_array(&part->arena, (size_t)v->error_count, sizeof *a->record_errors);
    a->record_errors_count = v->error_count;
    for (int32_t i = 0; i < v->error_count; i++) {
        produce_response_responses_partition_responses_record_errors_init(&a->record_errors[i]);
        a->record_errors[i].batch_index = v->errors[i].index;
        a->record_errors[i].batch_index_error_message = str_of(v->errors[i].message);
    }
}

/* Validate and append. KERR_NONE: `appended` says where. */
static enum kerr item_append(struct scatter_part *part, struct produce_item *item,
                             struct replica *r, struct replica_appended *appended)
{
    const struct request *request = part->scatter->request;
    struct validate_rules rules;
    struct validated v = {0};

    replica_validate_rules(r, request->version, &rules);
    if (rules.plain_bytes_max > memory_plain_max(part->shard->broker))
        rules.plain_bytes_max = memory_plain_max(part->shard->broker);
    /* The frame is the request's own memory: validation may correct a batch in place. */
    enum kerr error = records_validate((uint8_t *)(uintptr_t)item->asked->records.p,
                                       item->asked->records.n, &rules, &v);
    if (error == KERR_NONE && batch_is_transactional(&v.batch))
        error = KERR_INVALID_TXN_STATE; /* no transaction can have been begun */
    if (error == KERR_NONE) {
        error = replica_append(r, &v.batch, produce_of(request)->acks, appended);
    } else {
        answer_record_errors(part, &v, item->answer);
    }
    if (error == KERR_NONE) {
        metrics_produced(part->shard, item->topic, (uint64_t)v.batch.bytes.n,
                         (uint64_t)v.batch.count);
    } else {
        metrics_produce_failed(part->shard, item->topic);
    }
    validated_deinit(&v);
    return error;
}

static void item_run(struct scatter_part *part, struct produce_item *item)
{
    struct produce_response_responses_partition_responses *a = item->answer;
    struct produce_part *p = part->state;
    struct replica *r = replica_find(part->shard->replicas, item->topic_id, item->asked->index);
    struct replica_appended appended;
    int16_t acks = produce_of(part->scatter->request)->acks;

    item->part = part;
    if (r == NULL) { /* the image is ahead of this shard's replicas, or the replica is elsewhere, or offline */
        a->error_code =
            (int16_t)replica_absence(part->shard->replicas, item->topic_id, item->asked->index);
        return;
    }
    a->error_code = (int16_t)item_append(part, item, r, &appended);
    if (a->error_code != KERR_NONE)
        return;
    a->base_offset = appended.base_offset;
    a->log_append_time_ms = appended.append_time_ms;
    a->log_start_offset = appended.log_start_offset;
    if (acks == 0)
        return;
    p->waiting++;
    item->wait.ready = item_ready;
#ifdef MUTANT_BROKER_ACKS_ONE_AT_ONCE
    appended.last_offset = acks == 1 ? -1 : appended.last_offset;
#endif
    if (acks == 1)
        replica_wait_stable(r, &item->wait, appended.last_offset + 1);
    else
        replica_wait_committed(r, &item->wait, appended.last_offset + 1);
}

static void part_run(struct scatter_part *part)
{
    struct produce_part *p = arena_take(&part->arena, sizeof *p);
    int32_t timeout_ms = produce_of(part->scatter->request)->timeout_ms;

    part->state = p;
    p->part = part;
    for (uint32_t i = 0; i < part->count; i++)
        item_run(part, part->items[i]);
    if (p->waiting == 0) {
        scatter_part_done(part);
        return;
    }
    io_timer_set(part->shard->io, &p->timeout,
                 io_now_ns(part->shard->io) + (int64_t)timeout_ms * 1000000, part_timed_out);
}

/* The producer is gone: what was appended stays, nobody waits for it. */
static void part_forget(struct scatter_part *part)
{
    struct produce_part *p = part->state;

    if (p->waiting == 0)
        return;
    for (uint32_t i = 0; i < part->count; i++) {
        struct produce_item *item = part->items[i];
        replica_wait_cancel(&item->wait);
    }
    p->waiting = 0;
    part_finish(p);
}

/* ---- on the connection's shard --------------------------------------------------------------- */

void produce_cancel(struct request *r)
{
    scatter_interrupt(r->state, part_forget);
}

static bool any_failed(const struct produce_response *answer)
{
    for (int32_t t = 0; t < answer->responses_count; t++) {
        for (int32_t p = 0; p < answer->responses[t].partition_responses_count; p++) {
            if (answer->responses[t].partition_responses[p].error_code != KERR_NONE)
                return true;
        }
    }
    return false;
}

/* Who was told that the leader is not here hears who it is, and where, and need not ask for metadata (KIP-951). */
static void tell_leaders(struct scatter *s)
{
    struct view_leaders named = {0};

    if (s->request->version < 10)
        return;
    for (uint32_t i = 0; i < s->home->broker->shard_count; i++) {
        for (uint32_t n = 0; n < s->parts[i].count; n++) {
            const struct produce_item *item = s->parts[i].items[n];
            if (item->answer->error_code == KERR_NOT_LEADER_OR_FOLLOWER)
                view_name_leader(s->request, &named, item->topic_id, item->asked->index,
                                 &item->answer->current_leader.leader_id, &item->answer->current_leader.leader_epoch);
        }
    }
    VIEW_ANSWER_ENDPOINTS(produce, s->request, &named);
}

static void joined(struct scatter *s)
{
    struct request *r = s->request;

    if (produce_of(r)->acks != 0) {
        tell_leaders(s);
        request_answer(r);
        return;
    }
    if (any_failed(r->response)) /* the only way to tell a producer that wants no answer */
        request_drop(r, "a produce request with acks=0 failed");
    else
        request_answer_none(r);
}

/* What can be said without the partition's shard. */
static enum kerr check_topic(const struct request *r, const struct produce_request_topic_data *t,
                             const struct image_topic **out)
{
    bool by_id = r->version >= 13;
    const struct image_topic *topic = by_id ? image_topic_by_id(r->shard->image, t->topic_id)
                                            : image_topic_find(r->shard->image, t->name);

    if (by_id && topic == NULL)
        return KERR_UNKNOWN_TOPIC_ID;
    if (!request_authorize(r, ACL_WRITE, RESOURCE_TOPIC, by_id ? topic->name : t->name))
        return KERR_TOPIC_AUTHORIZATION_FAILED;
    if (topic == NULL)
        return KERR_UNKNOWN_TOPIC_OR_PARTITION;
    *out = topic;
    return KERR_NONE;
}

static void add_partition(struct scatter *s, const struct image_topic *topic, struct str name,
                          enum kerr error,
                          const struct produce_request_topic_data_partition_data *asked,
                          struct produce_response_responses_partition_responses *answer)
{
    struct request *r = s->request;

    produce_response_responses_partition_responses_init(answer);
    answer->index = asked->index;
    answer->base_offset = -1;
    answer->error_code = (int16_t)error;
    if (error != KERR_NONE)
        return;
    if (asked->index < 0 || asked->index >= topic->partition_count) {
        answer->error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
        return;
    }
    struct produce_item *item = arena_take(&r->arena, sizeof *item);
    item->asked = asked;
    item->answer = answer;
    item->topic = name;
    item->topic_id = topic->id;
    scatter_add(s, shard_of(r->shard->broker, topic->id, asked->index), item);
}

static void add_topic(struct scatter *s, const struct produce_request_topic_data *asked,
                      struct produce_response_responses *answer)
{
    struct request *r = s->request;
    int16_t acks = produce_of(r)->acks;
    const struct image_topic *topic = NULL;
    enum kerr error = acks < -1 || acks > 1 ? KERR_INVALID_REQUIRED_ACKS
                                            : check_topic(r, asked, &topic);
    struct str name = topic == NULL ? STR("") : arena_str(&r->arena, topic->name);

    produce_response_responses_init(answer);
    answer->name = asked->name;
    answer->topic_id = asked->topic_id;
    answer->partition_responses_count = asked->partition_data_count;
    answer->partition_responses = arena_take_array(&r->arena, (size_t)asked->partition_data_count,
                                                   sizeof *answer->partition_responses);
    for (int32_t i = 0; i < asked->partition_data_count; i++)
        add_partition(s, topic, name, error, &asked->partition_data[i],
                      &answer->partition_responses[i]);
}

void produce_handle(struct request *r)
{
    const struct produce_request *m = r->message;
    struct produce_response *answer = r->response;
    struct scatter *s = scatter_new(r, part_run, joined);

    r->state = s;
    answer->responses_count = m->topic_data_count;
    answer->responses =
        arena_take_array(&r->arena, (size_t)m->topic_data_count, sizeof *answer->responses);
    for (int32_t i = 0; i < m->topic_data_count; i++)
        add_topic(s, &m->topic_data[i], &answer->responses[i]);
    scatter_run(s);
}
