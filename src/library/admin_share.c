/* Share groups: who is in them, and how far they are (KIP-932). */
#include "library/admin.h"

/* ---- describe ------------------------------------------------------------------------------------------------ */

static void take_member(struct mr_answer *r, const struct share_group_describe_response_groups_members *from,
                        struct mr_group_member *to)
{
    const struct share_group_describe_response_assignment *a = &from->assignment;
    struct mr_partition *partitions;
    uint32_t count = 0;

    to->id = answer_keep(r, from->member_id);
    to->client_id = answer_keep(r, from->client_id);
    to->client_host = answer_keep(r, from->client_host);
    for (int32_t i = 0; i < a->topic_partitions_count; i++)
        count += (uint32_t)a->topic_partitions[i].partitions_count;
    to->partitions = partitions = answer_array(r, count, sizeof *partitions);
    to->partition_count = count;
    for (int32_t i = 0; i < a->topic_partitions_count; i++) {
        const char *topic = answer_keep(r, a->topic_partitions[i].topic_name);
        for (int32_t k = 0; k < a->topic_partitions[i].partitions_count; k++)
            *partitions++ = (struct mr_partition){topic, a->topic_partitions[i].partitions[k]};
    }
}

static void take_described(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct share_group_describe_response *m = response;

    for (int32_t i = 0; i < m->groups_count; i++) {
        const struct share_group_describe_response_groups *from = &m->groups[i];
        struct mr_group *g = answer_row(r);
        struct mr_group_member *members = answer_array(r, (size_t)from->members_count, sizeof *members);
        *g = (struct mr_group){
            .id = answer_keep(r, from->group_id),
            .type = "Share",
            .state = answer_keep_or_empty(r, from->group_state),
            .protocol_type = "share",
            .assignor = answer_keep_or_empty(r, from->assignor_name),
            .node = part->node_id,
            .members = members,
            .member_count = (uint32_t)from->members_count,
        };
        for (int32_t k = 0; k < from->members_count; k++)
            take_member(r, &from->members[k], &members[k]);
        answer_row_error(r, &g->error, from->error_code, from->error_message);
    }
}

struct mr_answer *mr_describe_share_groups(struct mr_admin *a, const char *const *ids, uint32_t count,
                                           const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_share_groups", API_SHARE_GROUP_DESCRIBE, ROWS_GROUP,
                                            take_described, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct share_group_describe_request *m = r->request;
    m->group_ids = answer_texts(r, ids, count, "the id of a group");
    m->group_ids_count = (int32_t)count;
    return answer_ask(r);
}

/* ---- offsets: list ------------------------------------------------------------------------------------------- */

static void take_topic(struct mr_answer *r, const struct describe_share_group_offsets_response_groups_topics *t)
{
    const char *topic = answer_keep(r, t->topic_name);

    for (int32_t k = 0; k < t->partitions_count; k++) {
        struct mr_share_offset *o = answer_row(r);
        o->topic = topic;
        o->partition = t->partitions[k].partition_index;
        o->leader_epoch = t->partitions[k].leader_epoch;
        o->start_offset = t->partitions[k].start_offset;
        o->lag = t->partitions[k].lag;
        answer_row_error(r, &o->error, t->partitions[k].error_code, t->partitions[k].error_message);
    }
}

static void take_offsets(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_share_group_offsets_response *m = response;

    for (int32_t g = 0; g < m->groups_count; g++) {
        if (answer_is_refused(r, m->groups[g].error_code, m->groups[g].error_message))
            return;
        for (int32_t i = 0; i < m->groups[g].topics_count; i++)
            take_topic(r, &m->groups[g].topics[i]);
    }
}

static void ask_partitions(struct mr_answer *r, const struct mr_partition *partitions, uint32_t count,
                           struct describe_share_group_offsets_request_groups *out)
{
    const struct answer_named *topics =
        answer_by_name(r, answer_topics(r, partitions, count), count, &out->topics_count);

    out->topics = answer_array(r, count, sizeof *out->topics);
    for (int32_t i = 0; i < out->topics_count; i++) {
        struct describe_share_group_offsets_request_groups_topics *t = &out->topics[i];
        describe_share_group_offsets_request_groups_topics_init(t);
        t->topic_name = topics[i].name;
        t->partitions = answer_array(r, (size_t)topics[i].count, sizeof *t->partitions);
        t->partitions_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++)
            t->partitions[k] = partitions[topics[i].indexes[k]].partition;
    }
}

struct mr_answer *mr_list_share_group_offsets(struct mr_admin *a, const char *group,
                                              const struct mr_partition *partitions, uint32_t count,
                                              const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_list_share_group_offsets", API_DESCRIBE_SHARE_GROUP_OFFSETS,
                                            ROWS_SHARE_OFFSET, take_offsets, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct describe_share_group_offsets_request *m = r->request;
    m->groups = answer_array(r, 1, sizeof *m->groups);
    m->groups_count = 1;
    describe_share_group_offsets_request_groups_init(m->groups);
    m->groups->group_id = answer_text(r, group, "the group");
    if (partitions == NULL)
        m->groups->topics_count = -1;
    else
        ask_partitions(r, partitions, count, m->groups);
    return answer_ask(r);
}

/* ---- offsets: alter ------------------------------------------------------------------------------------------- */

static void take_altered(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct alter_share_group_offsets_response *m = response;

    if (answer_is_refused(r, m->error_code, m->error_message))
        return;
    for (int32_t i = 0; i < m->responses_count; i++) {
        for (int32_t k = 0; k < m->responses[i].partitions_count; k++)
            answer_outcome(r, m->responses[i].topic_name, m->responses[i].partitions[k].partition_index,
                           m->responses[i].partitions[k].error_code, m->responses[i].partitions[k].error_message);
    }
}

struct mr_answer *mr_alter_share_group_offsets(struct mr_admin *a, const char *group, const struct mr_offset *offsets,
                                               uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_alter_share_group_offsets", API_ALTER_SHARE_GROUP_OFFSETS, ROWS_OUTCOME,
                                            take_altered, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct alter_share_group_offsets_request *m = r->request;
    const struct answer_named *topics =
        answer_by_name(r, answer_topics_of_offsets(r, offsets, count), count, &m->topics_count);
    m->group_id = answer_text(r, group, "the group");
    m->topics = answer_array(r, count, sizeof *m->topics);
    for (int32_t i = 0; i < m->topics_count; i++) {
        struct alter_share_group_offsets_request_topics *t = &m->topics[i];
        alter_share_group_offsets_request_topics_init(t);
        t->topic_name = topics[i].name;
        t->partitions = answer_array(r, (size_t)topics[i].count, sizeof *t->partitions);
        t->partitions_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++) {
            const struct mr_offset *o = &offsets[topics[i].indexes[k]];
            alter_share_group_offsets_request_topics_partitions_init(&t->partitions[k]);
            t->partitions[k].partition_index = o->partition;
            t->partitions[k].start_offset = o->offset;
        }
    }
    return answer_ask(r);
}

/* ---- offsets: delete ------------------------------------------------------------------------------------------ */

static void take_deleted(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct delete_share_group_offsets_response *m = response;

    if (answer_is_refused(r, m->error_code, m->error_message))
        return;
    for (int32_t i = 0; i < m->responses_count; i++)
        answer_outcome(r, m->responses[i].topic_name, -1, m->responses[i].error_code, m->responses[i].error_message);
}

struct mr_answer *mr_delete_share_group_offsets(struct mr_admin *a, const char *group, const char *const *topics,
                                                uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_delete_share_group_offsets", API_DELETE_SHARE_GROUP_OFFSETS,
                                            ROWS_OUTCOME, take_deleted, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct delete_share_group_offsets_request *m = r->request;
    m->group_id = answer_text(r, group, "the group");
    m->topics = answer_array(r, count, sizeof *m->topics);
    m->topics_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        delete_share_group_offsets_request_topics_init(&m->topics[i]);
        m->topics[i].topic_name = answer_text(r, topics[i], "the name of a topic");
    }
    return answer_ask(r);
}
