/* Transactions: which there are, who writes, and their end by force (KIP-664, KIP-360). */
#include "library/admin.h"

#define FENCE_TIMEOUT_MS_MAX 60000 /* of the transaction that nobody will begin; brokers have a limit for it */

/* ---- list, describe -------------------------------------------------------------------------------------------- */

static void take_listed(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct list_transactions_response *m = response;

    if (answer_is_refused(r, m->error_code, STR_NULL))
        return;
    if (m->unknown_state_filters_count > 0)
        answer_refuse(r, "%.*s is no state of a transaction", STR_ARG(m->unknown_state_filters[0]));
    for (int32_t i = 0; i < m->transaction_states_count; i++)
        *(struct mr_transaction *)answer_row(r) = (struct mr_transaction){
            .id = answer_keep(r, m->transaction_states[i].transactional_id),
            .state = answer_keep_or_empty(r, m->transaction_states[i].transaction_state),
            .producer_id = m->transaction_states[i].producer_id,
            .producer_epoch = -1,
            .node = part->node_id,
            .timeout_ms = -1,
            .start_ms = -1,
        };
}

struct mr_answer *mr_list_transactions(struct mr_admin *a, const struct mr_transaction_filter *filter,
                                       const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_list_transactions", API_LIST_TRANSACTIONS, ROWS_TRANSACTION,
                                            take_listed, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    if (filter == NULL)
        return answer_ask(r);
    struct list_transactions_request *m = r->request;
    m->state_filters = answer_texts(r, filter->states, filter->state_count, "a state");
    m->state_filters_count = (int32_t)filter->state_count;
    m->producer_id_filters = answer_array(r, filter->producer_id_count, sizeof *m->producer_id_filters);
    m->producer_id_filters_count = (int32_t)filter->producer_id_count;
    for (uint32_t i = 0; i < filter->producer_id_count; i++)
        m->producer_id_filters[i] = filter->producer_ids[i];
    if (filter->longer_than_ms > 0)
        m->duration_filter = filter->longer_than_ms;
    m->transactional_id_pattern = answer_text_or_null(r, filter->pattern);
    return answer_ask(r);
}

static void take_described(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_transactions_response *m = response;

    for (int32_t i = 0; i < m->transaction_states_count; i++) {
        const struct describe_transactions_response_transaction_states *from = &m->transaction_states[i];
        struct mr_transaction *t = answer_row(r);
        uint32_t count = 0;
        for (int32_t k = 0; k < from->topics_count; k++)
            count += (uint32_t)from->topics[k].partitions_count;
        struct mr_partition *partitions = answer_array(r, count, sizeof *partitions), *next = partitions;
        for (int32_t k = 0; k < from->topics_count; k++) {
            const char *topic = answer_keep(r, from->topics[k].topic);
            for (int32_t p = 0; p < from->topics[k].partitions_count; p++)
                *next++ = (struct mr_partition){topic, from->topics[k].partitions[p]};
        }
        *t = (struct mr_transaction){
            .id = answer_keep(r, from->transactional_id),
            .state = answer_keep_or_empty(r, from->transaction_state),
            .producer_id = from->producer_id,
            .producer_epoch = from->producer_epoch,
            .node = part->node_id,
            .timeout_ms = from->transaction_timeout_ms,
            .start_ms = from->transaction_start_time_ms,
            .partition_count = count,
            .partitions = partitions,
        };
        answer_row_error(r, &t->error, from->error_code, STR_NULL);
    }
}

struct mr_answer *mr_describe_transactions(struct mr_admin *a, const char *const *ids, uint32_t count,
                                           const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_transactions", API_DESCRIBE_TRANSACTIONS, ROWS_TRANSACTION,
                                            take_described, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct describe_transactions_request *m = r->request;
    m->transactional_ids = answer_texts(r, ids, count, "a transactional id");
    m->transactional_ids_count = (int32_t)count;
    return answer_ask(r);
}

/* ---- producers -------------------------------------------------------------------------------------------------- */

static void take_states(struct mr_answer *r, const char *topic,
                        const struct describe_producers_response_topics_partitions *from)
{
    if (from->error_code != KERR_NONE) {
        struct mr_producer_state *s = answer_row(r);
        s->topic = topic;
        s->partition = from->partition_index;
        answer_row_error(r, &s->error, from->error_code, from->error_message);
        return;
    }
    for (int32_t i = 0; i < from->active_producers_count; i++) {
        const struct describe_producers_response_topics_partitions_active_producers *p = &from->active_producers[i];
        *(struct mr_producer_state *)answer_row(r) = (struct mr_producer_state){
            .topic = topic,
            .partition = from->partition_index,
            .last_sequence = p->last_sequence,
            .producer_id = p->producer_id,
            .producer_epoch = p->producer_epoch,
            .coordinator_epoch = p->coordinator_epoch,
            .last_timestamp_ms = p->last_timestamp,
            .transaction_start = p->current_txn_start_offset,
        };
    }
}

static void take_producers(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_producers_response *m = response;

    for (int32_t i = 0; i < m->topics_count; i++) {
        const char *topic = answer_keep(r, m->topics[i].name);
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++)
            take_states(r, topic, &m->topics[i].partitions[k]);
    }
}

struct mr_answer *mr_describe_producers(struct mr_admin *a, const struct mr_partition *partitions, uint32_t count,
                                        const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_producers", API_DESCRIBE_PRODUCERS, ROWS_PRODUCER_STATE,
                                            take_producers, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct describe_producers_request *m = r->request;
    const struct answer_named *topics =
        answer_by_name(r, answer_topics(r, partitions, count), count, &m->topics_count);
    m->topics = answer_array(r, count, sizeof *m->topics);
    for (int32_t i = 0; i < m->topics_count; i++) {
        struct describe_producers_request_topics *t = &m->topics[i];
        describe_producers_request_topics_init(t);
        t->name = topics[i].name;
        t->partition_indexes = answer_array(r, (size_t)topics[i].count, sizeof *t->partition_indexes);
        t->partition_indexes_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++)
            t->partition_indexes[k] = partitions[topics[i].indexes[k]].partition;
    }
    return answer_ask(r);
}

/* ---- the end by force --------------------------------------------------------------------------------------------- */

static void take_aborted(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct write_txn_markers_response *m = response;

    for (int32_t i = 0; i < m->markers_count; i++) {
        for (int32_t k = 0; k < m->markers[i].topics_count; k++) {
            const struct write_txn_markers_response_markers_topics *t = &m->markers[i].topics[k];
            for (int32_t p = 0; p < t->partitions_count; p++)
                answer_outcome(r, t->name, t->partitions[p].partition_index, t->partitions[p].error_code, STR_NULL);
        }
    }
}

struct mr_answer *mr_abort_transaction(struct mr_admin *a, const struct mr_producer_state *of,
                                       const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_abort_transaction", API_WRITE_TXN_MARKERS, ROWS_OUTCOME, take_aborted,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct write_txn_markers_request *m = r->request;
    m->markers = answer_array(r, 1, sizeof *m->markers);
    m->markers_count = 1;
    write_txn_markers_request_markers_init(m->markers);
    m->markers->producer_id = of->producer_id;
    m->markers->producer_epoch = (int16_t)of->producer_epoch;
    m->markers->transaction_result = false;
    m->markers->coordinator_epoch = of->coordinator_epoch;
    m->markers->topics = answer_array(r, 1, sizeof *m->markers->topics);
    m->markers->topics_count = 1;
    write_txn_markers_request_markers_topics_init(m->markers->topics);
    m->markers->topics->name = answer_text(r, of->topic, "the topic of a partition");
    m->markers->topics->partition_indexes = answer_numbers(r, &of->partition, 1);
    m->markers->topics->partition_indexes_count = 1;
    return answer_ask(r);
}

static void take_fenced(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct init_producer_id_request *asked = part->request;
    const struct init_producer_id_response *m = response;

    answer_outcome(r, asked->transactional_id, -1, m->error_code, STR_NULL)->number = m->producer_id;
}

struct mr_answer *mr_fence_producer(struct mr_admin *a, const char *transactional_id, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_fence_producer", API_INIT_PRODUCER_ID, ROWS_OUTCOME, take_fenced, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct init_producer_id_request *m = r->request;
    int32_t timeout_ms = answer_timeout_ms(r);
    m->transactional_id = answer_text(r, transactional_id, "the transactional id");
    m->transaction_timeout_ms = timeout_ms < FENCE_TIMEOUT_MS_MAX ? timeout_ms : FENCE_TIMEOUT_MS_MAX;
    return answer_ask(r);
}
