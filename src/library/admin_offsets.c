/* Offsets that groups have committed: told, set, deleted. */
#include "library/admin.h"

static struct mr_offset *offset_row(struct mr_answer *r, const char *topic, int32_t partition, int64_t offset,
                                    int16_t error)
{
    struct mr_offset *o = answer_row(r);

    o->topic = topic;
    o->partition = partition;
    o->offset = offset;
    o->timestamp_ms = -1;
    answer_row_error(r, &o->error, error, STR_NULL);
    return o;
}

/* ---- list ---------------------------------------------------------------------------------------------------- */

static void take_fetched(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct offset_fetch_response *m = response;

    for (int32_t g = 0; g < m->groups_count; g++) {
        const struct offset_fetch_response_groups *from = &m->groups[g];
        if (answer_is_refused(r, from->error_code, STR_NULL))
            return;
        for (int32_t i = 0; i < from->topics_count; i++) {
            const char *topic = answer_keep(r, from->topics[i].name);
            for (int32_t k = 0; k < from->topics[i].partitions_count; k++) {
                const struct offset_fetch_response_groups_topics_partitions *p = &from->topics[i].partitions[k];
                offset_row(r, topic, p->partition_index, p->committed_offset, p->error_code);
            }
        }
    }
}

static void ask_partitions(struct mr_answer *r, const struct mr_partition *partitions, uint32_t count,
                           struct offset_fetch_request_groups *out)
{
    const struct answer_named *topics =
        answer_by_name(r, answer_topics(r, partitions, count), count, &out->topics_count);

    out->topics = answer_array(r, count, sizeof *out->topics);
    for (int32_t i = 0; i < out->topics_count; i++) {
        struct offset_fetch_request_groups_topics *t = &out->topics[i];
        offset_fetch_request_groups_topics_init(t);
        t->name = topics[i].name;
        t->partition_indexes = answer_array(r, (size_t)topics[i].count, sizeof *t->partition_indexes);
        t->partition_indexes_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++)
            t->partition_indexes[k] = partitions[topics[i].indexes[k]].partition;
    }
}

struct mr_answer *mr_list_group_offsets(struct mr_admin *a, const char *group, const struct mr_partition *partitions,
                                        uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_list_group_offsets", API_OFFSET_FETCH, ROWS_OFFSET, take_fetched, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct offset_fetch_request *m = r->request;
    m->groups = answer_array(r, 1, sizeof *m->groups);
    m->groups_count = 1;
    offset_fetch_request_groups_init(m->groups);
    m->groups->group_id = answer_text(r, group, "the group");
    if (partitions == NULL)
        m->groups->topics_count = -1;
    else
        ask_partitions(r, partitions, count, m->groups);
    return answer_ask(r);
}

/* ---- alter ----------------------------------------------------------------------------------------------------- */

static void take_committed(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct offset_commit_request *asked = part->request;
    const struct offset_commit_response *m = response;

    for (int32_t i = 0; i < m->topics_count; i++) {
        const char *topic = answer_keep(r, m->topics[i].name);
        /* Brokers answer in the order of the request; where one does not, the offset is not known. */
        bool same = i < asked->topics_count && str_equal(asked->topics[i].name, m->topics[i].name);
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++) {
            int32_t partition = m->topics[i].partitions[k].partition_index;
            bool known = same && k < asked->topics[i].partitions_count &&
                         asked->topics[i].partitions[k].partition_index == partition;
            offset_row(r, topic, partition, known ? asked->topics[i].partitions[k].committed_offset : -1,
                       m->topics[i].partitions[k].error_code);
        }
    }
}

struct mr_answer *mr_alter_group_offsets(struct mr_admin *a, const char *group, const struct mr_offset *offsets,
                                         uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_alter_group_offsets", API_OFFSET_COMMIT, ROWS_OFFSET, take_committed,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct offset_commit_request *m = r->request;
    const struct answer_named *topics =
        answer_by_name(r, answer_topics_of_offsets(r, offsets, count), count, &m->topics_count);
    m->group_id = answer_text(r, group, "the group");
    m->topics = answer_array(r, count, sizeof *m->topics);
    for (int32_t i = 0; i < m->topics_count; i++) {
        struct offset_commit_request_topics *t = &m->topics[i];
        offset_commit_request_topics_init(t);
        t->name = topics[i].name;
        t->partitions = answer_array(r, (size_t)topics[i].count, sizeof *t->partitions);
        t->partitions_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++) {
            const struct mr_offset *o = &offsets[topics[i].indexes[k]];
            offset_commit_request_topics_partitions_init(&t->partitions[k]);
            t->partitions[k].partition_index = o->partition;
            t->partitions[k].committed_offset = o->offset;
            t->partitions[k].committed_metadata = STR("");
            if (o->offset < 0)
                answer_refuse(r, "partition %d: an offset below 0", o->partition);
        }
    }
    return answer_ask(r);
}

/* ---- delete ----------------------------------------------------------------------------------------------------- */

static void take_deleted(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct offset_delete_request *asked = part->request;
    const struct offset_delete_response *m = response;

    for (int32_t i = 0; m->error_code != KERR_NONE && i < asked->topics_count; i++) {
        for (int32_t k = 0; k < asked->topics[i].partitions_count; k++)
            answer_outcome(r, asked->topics[i].name, asked->topics[i].partitions[k].partition_index, m->error_code,
                           STR_NULL);
    }
    for (int32_t i = 0; m->error_code == KERR_NONE && i < m->topics_count; i++) {
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++)
            answer_outcome(r, m->topics[i].name, m->topics[i].partitions[k].partition_index,
                           m->topics[i].partitions[k].error_code, STR_NULL);
    }
}

struct mr_answer *mr_delete_group_offsets(struct mr_admin *a, const char *group, const struct mr_partition *partitions,
                                          uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_delete_group_offsets", API_OFFSET_DELETE, ROWS_OUTCOME, take_deleted,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct offset_delete_request *m = r->request;
    const struct answer_named *topics = answer_by_name(r, answer_topics(r, partitions, count), count, &m->topics_count);
    m->group_id = answer_text(r, group, "the group");
    m->topics = answer_array(r, count, sizeof *m->topics);
    for (int32_t i = 0; i < m->topics_count; i++) {
        struct offset_delete_request_topics *t = &m->topics[i];
        offset_delete_request_topics_init(t);
        t->name = topics[i].name;
        t->partitions = answer_array(r, (size_t)topics[i].count, sizeof *t->partitions);
        t->partitions_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++) {
            offset_delete_request_topics_partitions_init(&t->partitions[k]);
            t->partitions[k].partition_index = partitions[topics[i].indexes[k]].partition;
        }
    }
    return answer_ask(r);
}
