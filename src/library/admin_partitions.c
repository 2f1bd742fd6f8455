/* Partitions: who leads them, where they lie, their offsets, their old records. */
#include "library/admin.h"

/* ---- elections ------------------------------------------------------------------------------------------ */

static void take_elected(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct elect_leaders_response *m = response;

    if (answer_is_refused(r, m->error_code, STR_NULL))
        return;
    for (int32_t i = 0; i < m->replica_election_results_count; i++) {
        const struct elect_leaders_response_replica_election_results *t = &m->replica_election_results[i];
        for (int32_t k = 0; k < t->partition_result_count; k++)
            answer_outcome(r, t->topic, t->partition_result[k].partition_id, t->partition_result[k].error_code,
                           t->partition_result[k].error_message);
    }
}

struct mr_answer *mr_elect_leaders(struct mr_admin *a, int32_t election, const struct mr_partition *partitions,
                                   uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_elect_leaders", API_ELECT_LEADERS, ROWS_OUTCOME, take_elected, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct elect_leaders_request *m = r->request;
    m->election_type = (int8_t)election;
    m->timeout_ms = answer_timeout_ms(r);
    if (partitions == NULL) {
        m->topic_partitions_count = -1;
        return answer_ask(r);
    }
    const struct answer_named *topics =
        answer_by_name(r, answer_topics(r, partitions, count), count, &m->topic_partitions_count);
    m->topic_partitions = answer_array(r, count, sizeof *m->topic_partitions);
    for (int32_t i = 0; i < m->topic_partitions_count; i++) {
        struct elect_leaders_request_topic_partitions *t = &m->topic_partitions[i];
        elect_leaders_request_topic_partitions_init(t);
        t->topic = topics[i].name;
        t->partitions = answer_array(r, (size_t)topics[i].count, sizeof *t->partitions);
        t->partitions_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++)
            t->partitions[k] = partitions[topics[i].indexes[k]].partition;
    }
    return answer_ask(r);
}

/* ---- reassignments ---------------------------------------------------------------------------------------- */

static void take_reassigned(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct alter_partition_reassignments_response *m = response;

    if (answer_is_refused(r, m->error_code, m->error_message))
        return;
    for (int32_t i = 0; i < m->responses_count; i++) {
        for (int32_t k = 0; k < m->responses[i].partitions_count; k++)
            answer_outcome(r, m->responses[i].name, m->responses[i].partitions[k].partition_index,
                           m->responses[i].partitions[k].error_code, m->responses[i].partitions[k].error_message);
    }
}

static void ask_reassignments(struct mr_answer *r, const struct mr_reassignment *wanted,
                              const struct answer_named *topic,
                              struct alter_partition_reassignments_request_topics *out)
{
    alter_partition_reassignments_request_topics_init(out);
    out->name = topic->name;
    out->partitions = answer_array(r, (size_t)topic->count, sizeof *out->partitions);
    out->partitions_count = topic->count;
    for (int32_t k = 0; k < topic->count; k++) {
        const struct mr_reassignment *w = &wanted[topic->indexes[k]];
        struct alter_partition_reassignments_request_topics_partitions *p = &out->partitions[k];
        alter_partition_reassignments_request_topics_partitions_init(p); /* replicas null: cancel */
        p->partition_index = w->partition;
        if (w->replicas == NULL)
            continue;
        p->replicas = answer_numbers(r, w->replicas, w->replica_count);
        p->replicas_count = (int32_t)w->replica_count;
    }
}

struct mr_answer *mr_alter_partition_reassignments(struct mr_admin *a, const struct mr_reassignment *wanted,
                                                   uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_alter_partition_reassignments", API_ALTER_PARTITION_REASSIGNMENTS,
                                            ROWS_OUTCOME, take_reassigned, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct alter_partition_reassignments_request *m = r->request;
    struct str *names = answer_array(r, count, sizeof *names);
    for (uint32_t i = 0; i < count; i++)
        names[i] = answer_text(r, wanted[i].topic, "the topic of a reassignment");
    const struct answer_named *topics = answer_by_name(r, names, count, &m->topics_count);
    m->timeout_ms = answer_timeout_ms(r);
    m->topics = answer_array(r, count, sizeof *m->topics);
    for (int32_t i = 0; i < m->topics_count; i++)
        ask_reassignments(r, wanted, &topics[i], &m->topics[i]);
    return answer_ask(r);
}

static void take_reassignments(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct list_partition_reassignments_response *m = response;

    if (answer_is_refused(r, m->error_code, m->error_message))
        return;
    for (int32_t i = 0; i < m->topics_count; i++) {
        const char *topic = answer_keep(r, m->topics[i].name);
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct list_partition_reassignments_response_topics_partitions *p = &m->topics[i].partitions[k];
            struct mr_reassignment *to = answer_row(r);
            to->topic = topic;
            to->partition = p->partition_index;
            to->replica_count = (uint32_t)p->replicas_count;
            to->adding_count = (uint32_t)p->adding_replicas_count;
            to->removing_count = (uint32_t)p->removing_replicas_count;
            to->replicas = answer_numbers(r, p->replicas, to->replica_count);
            to->adding = answer_numbers(r, p->adding_replicas, to->adding_count);
            to->removing = answer_numbers(r, p->removing_replicas, to->removing_count);
        }
    }
}

struct mr_answer *mr_list_partition_reassignments(struct mr_admin *a, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_list_partition_reassignments", API_LIST_PARTITION_REASSIGNMENTS,
                                            ROWS_REASSIGNMENT, take_reassignments, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    ((struct list_partition_reassignments_request *)r->request)->timeout_ms = answer_timeout_ms(r);
    return answer_ask(r);
}

/* ---- offsets ------------------------------------------------------------------------------------------------ */

#define ANY_CONSUMER (-1) /* replica_id */

static void take_listed(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct list_offsets_response *m = response;

    for (int32_t i = 0; i < m->topics_count; i++) {
        const char *topic = answer_keep(r, m->topics[i].name);
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct list_offsets_response_topics_partitions *p = &m->topics[i].partitions[k];
            struct mr_offset *to = answer_row(r);
            to->topic = topic;
            to->partition = p->partition_index;
            to->offset = p->offset;
            to->timestamp_ms = p->timestamp;
            answer_row_error(r, &to->error, p->error_code, STR_NULL);
        }
    }
}

/* Kafka's -1 and -2 are ours. */
static int64_t timestamp_of(struct mr_answer *r, const struct mr_offset *o)
{
    if (o->offset == MR_BEGINNING || o->offset == MR_END)
        return o->offset;
    if (o->timestamp_ms < 0)
        answer_refuse(r, "partition %d: neither MR_BEGINNING nor MR_END, nor a time", o->partition);
    return o->timestamp_ms;
}

struct mr_answer *mr_list_offsets(struct mr_admin *a, const struct mr_offset *wanted, uint32_t count,
                                  const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_list_offsets", API_LIST_OFFSETS, ROWS_OFFSET, take_listed, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct list_offsets_request *m = r->request;
    const struct answer_named *topics =
        answer_by_name(r, answer_topics_of_offsets(r, wanted, count), count, &m->topics_count);
    m->replica_id = ANY_CONSUMER;
    m->timeout_ms = answer_timeout_ms(r);
    m->topics = answer_array(r, count, sizeof *m->topics);
    for (int32_t i = 0; i < m->topics_count; i++) {
        struct list_offsets_request_topics *t = &m->topics[i];
        list_offsets_request_topics_init(t);
        t->name = topics[i].name;
        t->partitions = answer_array(r, (size_t)topics[i].count, sizeof *t->partitions);
        t->partitions_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++) {
            const struct mr_offset *o = &wanted[topics[i].indexes[k]];
            list_offsets_request_topics_partitions_init(&t->partitions[k]);
            t->partitions[k].partition_index = o->partition;
            t->partitions[k].timestamp = timestamp_of(r, o);
        }
    }
    return answer_ask(r);
}

/* ---- old records ---------------------------------------------------------------------------------------------- */

static void take_cut(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct delete_records_response *m = response;

    for (int32_t i = 0; i < m->topics_count; i++) {
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            const struct delete_records_response_topics_partitions *p = &m->topics[i].partitions[k];
            answer_outcome(r, m->topics[i].name, p->partition_index, p->error_code, STR_NULL)->number =
                p->low_watermark;
        }
    }
}

struct mr_answer *mr_delete_records(struct mr_admin *a, const struct mr_offset *below, uint32_t count,
                                    const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_delete_records", API_DELETE_RECORDS, ROWS_OUTCOME, take_cut, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct delete_records_request *m = r->request;
    const struct answer_named *topics =
        answer_by_name(r, answer_topics_of_offsets(r, below, count), count, &m->topics_count);
    m->timeout_ms = answer_timeout_ms(r);
    m->topics = answer_array(r, count, sizeof *m->topics);
    for (int32_t i = 0; i < m->topics_count; i++) {
        struct delete_records_request_topics *t = &m->topics[i];
        delete_records_request_topics_init(t);
        t->name = topics[i].name;
        t->partitions = answer_array(r, (size_t)topics[i].count, sizeof *t->partitions);
        t->partitions_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++) {
            delete_records_request_topics_partitions_init(&t->partitions[k]);
            t->partitions[k].partition_index = below[topics[i].indexes[k]].partition;
            t->partitions[k].offset = below[topics[i].indexes[k]].offset; /* -1: the high watermark */
        }
    }
    return answer_ask(r);
}
