/* Topics: made, described, deleted. */
#include <stdlib.h>

#include "library/admin.h"

/* ---- create ----------------------------------------------------------------------------------------- */

static void take_created(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct create_topics_response *m = response;

    for (int32_t i = 0; i < m->topics_count; i++) {
        const struct create_topics_response_topics *t = &m->topics[i];
        answer_outcome(r, t->name, -1, t->error_code, t->error_message)->number = t->num_partitions;
    }
}

/* Node ids in rows of `factor`: how many rows. */
static int32_t rows_of_replicas(struct mr_answer *r, const struct mr_new_topic *t)
{
    if (t->replicas == NULL)
        return 0;
    if (t->replication_factor <= 0 || t->replica_count == 0 ||
        t->replica_count % (uint32_t)t->replication_factor != 0) {
        answer_refuse(r, "topic %s: %u replicas are no rows of %d", t->name == NULL ? "" : t->name, t->replica_count,
                      t->replication_factor);
        return 0;
    }
    return (int32_t)(t->replica_count / (uint32_t)t->replication_factor);
}

static void ask_topic(struct mr_answer *r, const struct mr_new_topic *t, struct create_topics_request_topics *out)
{
    int32_t rows = rows_of_replicas(r, t);

    create_topics_request_topics_init(out);
    out->name = answer_text(r, t->name, "the name of a topic");
    /* With replicas the protocol has both numbers -1; -1 otherwise means the brokers' defaults (KIP-464). */
    out->num_partitions = t->partitions <= 0 || rows > 0 ? -1 : t->partitions;
    out->replication_factor = (int16_t)(t->replication_factor <= 0 || rows > 0 ? -1 : t->replication_factor);
    out->assignments = answer_array(r, (size_t)rows, sizeof *out->assignments);
    out->assignments_count = rows;
    for (int32_t i = 0; i < rows; i++) {
        create_topics_request_topics_assignments_init(&out->assignments[i]);
        out->assignments[i].partition_index = i;
        out->assignments[i].broker_ids =
            answer_numbers(r, t->replicas + (size_t)i * (size_t)t->replication_factor, (uint32_t)t->replication_factor);
        out->assignments[i].broker_ids_count = t->replication_factor;
    }
    out->configs = answer_array(r, t->setting_count, sizeof *out->configs);
    out->configs_count = (int32_t)t->setting_count;
    for (uint32_t i = 0; i < t->setting_count; i++) {
        create_topics_request_topics_configs_init(&out->configs[i]);
        out->configs[i].name = answer_text(r, t->settings[i].name, "the name of a setting");
        out->configs[i].value = answer_text_or_null(r, t->settings[i].value);
    }
    if (rows > 0 && t->partitions > 0 && t->partitions != rows)
        answer_refuse(r, "topic %s: %d partitions, but replicas of %d", t->name == NULL ? "" : t->name, t->partitions,
                      rows);
    if (t->replication_factor > INT16_MAX)
        answer_refuse(r, "a replication factor of %d", t->replication_factor);
}

struct mr_answer *mr_create_topics(struct mr_admin *a, const struct mr_new_topic *topics, uint32_t count,
                                   const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_create_topics", API_CREATE_TOPICS, ROWS_OUTCOME, take_created, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct create_topics_request *m = r->request;
    m->timeout_ms = answer_timeout_ms(r);
    m->validate_only = r->how.validate_only != 0;
    m->topics = answer_array(r, count, sizeof *m->topics);
    m->topics_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++)
        ask_topic(r, &topics[i], &m->topics[i]);
    return answer_ask(r);
}

/* ---- more partitions --------------------------------------------------------------------------------- */

static void take_grown(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct create_partitions_response *m = response;

    for (int32_t i = 0; i < m->results_count; i++)
        answer_outcome(r, m->results[i].name, -1, m->results[i].error_code, m->results[i].error_message);
}

static void ask_growth(struct mr_answer *r, const struct mr_new_topic *t, struct create_partitions_request_topics *out)
{
    int32_t rows = rows_of_replicas(r, t);

    create_partitions_request_topics_init(out);
    out->name = answer_text(r, t->name, "the name of a topic");
    out->count = t->partitions;
    out->assignments = rows == 0 ? NULL : answer_array(r, (size_t)rows, sizeof *out->assignments);
    out->assignments_count = rows == 0 ? -1 : rows; /* null: the controller chooses */
    for (int32_t i = 0; i < rows; i++) {
        create_partitions_request_topics_assignments_init(&out->assignments[i]);
        out->assignments[i].broker_ids =
            answer_numbers(r, t->replicas + (size_t)i * (size_t)t->replication_factor, (uint32_t)t->replication_factor);
        out->assignments[i].broker_ids_count = t->replication_factor;
    }
}

struct mr_answer *mr_create_partitions(struct mr_admin *a, const struct mr_new_topic *topics, uint32_t count,
                                       const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_create_partitions", API_CREATE_PARTITIONS, ROWS_OUTCOME, take_grown,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct create_partitions_request *m = r->request;
    m->timeout_ms = answer_timeout_ms(r);
    m->validate_only = r->how.validate_only != 0;
    m->topics = answer_array(r, count, sizeof *m->topics);
    m->topics_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++)
        ask_growth(r, &topics[i], &m->topics[i]);
    return answer_ask(r);
}

/* ---- delete ------------------------------------------------------------------------------------------- */

static void take_deleted(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct delete_topics_response *m = response;

    for (int32_t i = 0; i < m->responses_count; i++)
        answer_outcome(r, m->responses[i].name, -1, m->responses[i].error_code, m->responses[i].error_message);
}

struct mr_answer *mr_delete_topics(struct mr_admin *a, const char *const *names, uint32_t count,
                                   const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_delete_topics", API_DELETE_TOPICS, ROWS_OUTCOME, take_deleted, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct delete_topics_request *m = r->request;
    m->timeout_ms = answer_timeout_ms(r);
    m->topic_names = answer_texts(r, names, count, "the name of a topic"); /* of old versions */
    m->topic_names_count = (int32_t)count;
    m->topics = answer_array(r, count, sizeof *m->topics);
    m->topics_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        delete_topics_request_topics_init(&m->topics[i]);
        m->topics[i].name = m->topic_names[i];
    }
    return answer_ask(r);
}

/* ---- describe ------------------------------------------------------------------------------------------ */

static void take_partition(struct mr_answer *r, const struct metadata_response_topics_partitions *from,
                           struct mr_topic_partition *to)
{
    to->partition = from->partition_index;
    to->leader = from->leader_id;
    to->leader_epoch = from->leader_epoch;
    to->replica_count = (uint32_t)from->replica_nodes_count;
    to->isr_count = (uint32_t)from->isr_nodes_count;
    to->offline_count = (uint32_t)from->offline_replicas_count;
    to->replicas = answer_numbers(r, from->replica_nodes, to->replica_count);
    to->isr = answer_numbers(r, from->isr_nodes, to->isr_count);
    to->offline = answer_numbers(r, from->offline_replicas, to->offline_count);
}

static int compare_partitions(const void *a, const void *b)
{
    const struct mr_topic_partition *x = a, *y = b;

    return (x->partition > y->partition) - (x->partition < y->partition);
}

static void take_topics(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct metadata_response *m = response;

    for (int32_t i = 0; i < m->topics_count; i++) {
        const struct metadata_response_topics *from = &m->topics[i];
        struct mr_topic_description *to = answer_row(r);
        struct mr_topic_partition *partitions =
            answer_array(r, (size_t)from->partitions_count, sizeof *partitions);
        to->name = answer_keep(r, from->name);
        memcpy(to->id, &from->topic_id, sizeof to->id);
        to->internal = from->is_internal;
        for (int32_t k = 0; k < from->partitions_count; k++)
            take_partition(r, &from->partitions[k], &partitions[k]);
        qsort(partitions, (size_t)from->partitions_count, sizeof *partitions, compare_partitions);
        to->partitions = partitions;
        to->partition_count = (uint32_t)from->partitions_count;
        answer_row_error(r, &to->error, from->error_code, STR_NULL);
    }
}

struct mr_answer *mr_describe_topics(struct mr_admin *a, const char *const *names, uint32_t count,
                                     const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_topics", API_METADATA, ROWS_TOPIC, take_topics, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct metadata_request *m = r->request;
    m->allow_auto_topic_creation = false; /* who looks makes nothing */
    m->topics_count = names == NULL ? -1 : (int32_t)count;
    m->topics = names == NULL ? NULL : answer_array(r, count, sizeof *m->topics);
    for (uint32_t i = 0; names != NULL && i < count; i++) {
        metadata_request_topics_init(&m->topics[i]);
        m->topics[i].name = answer_text(r, names[i], "the name of a topic");
    }
    return answer_ask(r);
}
