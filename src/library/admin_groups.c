/* Groups: which there are, who is in them, and their end. */
#include "library/admin.h"

#include "protocol/consumer_protocol_assignment.h"

/* ---- list ------------------------------------------------------------------------------------------------ */

static void take_listed(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct list_groups_response *m = response;

    if (answer_is_refused(r, m->error_code, STR_NULL))
        return;
    for (int32_t i = 0; i < m->groups_count; i++) {
        struct mr_group *g = answer_row(r);
        g->id = answer_keep(r, m->groups[i].group_id);
        g->type = answer_keep_or_empty(r, m->groups[i].group_type);
        g->state = answer_keep_or_empty(r, m->groups[i].group_state);
        g->protocol_type = answer_keep_or_empty(r, m->groups[i].protocol_type);
        g->assignor = "";
        g->node = part->node_id;
    }
}

struct mr_answer *mr_list_groups(struct mr_admin *a, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_list_groups", API_LIST_GROUPS, ROWS_GROUP, take_listed, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    return r == NULL ? NULL : answer_ask(r);
}

/* ---- describe: the classic protocol ------------------------------------------------------------------------ */

/* What a classic member has is in the consumers' own words: a version, and the message. */
static void take_assignment(struct mr_answer *r, struct bytes b, struct mr_group_member *to)
{
    const struct message *message = &consumer_protocol_assignment_message;
    struct consumer_protocol_assignment m;
    struct mr_partition *partitions;
    uint32_t count = 0;

    if (b.n < 2)
        return;
    int16_t version = (int16_t)(b.p[0] << 8 | b.p[1]);
    if (version > message->high)
        version = message->high;
    if (version < 0 || message_read(message, (struct bytes){b.p + 2, b.n - 2}, version, &r->arena, &m) < 0)
        return; /* not of a consumer */
    for (int32_t i = 0; i < m.assigned_partitions_count; i++)
        count += (uint32_t)m.assigned_partitions[i].partitions_count;
    to->partitions = partitions = answer_array(r, count, sizeof *partitions);
    to->partition_count = count;
    for (int32_t i = 0; i < m.assigned_partitions_count; i++) {
        const char *topic = answer_keep(r, m.assigned_partitions[i].topic);
        for (int32_t k = 0; k < m.assigned_partitions[i].partitions_count; k++)
            *partitions++ = (struct mr_partition){topic, m.assigned_partitions[i].partitions[k]};
    }
}

static void take_classic(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_groups_response *m = response;

    for (int32_t i = 0; i < m->groups_count; i++) {
        const struct describe_groups_response_groups *from = &m->groups[i];
        struct mr_group *g = answer_row(r);
        struct mr_group_member *members = answer_array(r, (size_t)from->members_count, sizeof *members);
        *g = (struct mr_group){
            .id = answer_keep(r, from->group_id),
            .type = "Classic",
            .state = answer_keep_or_empty(r, from->group_state),
            .protocol_type = answer_keep_or_empty(r, from->protocol_type),
            .assignor = answer_keep_or_empty(r, from->protocol_data),
            .node = part->node_id,
            .members = members,
            .member_count = (uint32_t)from->members_count,
        };
        for (int32_t k = 0; k < from->members_count; k++) {
            members[k].id = answer_keep(r, from->members[k].member_id);
            members[k].instance_id = answer_keep(r, from->members[k].group_instance_id);
            members[k].client_id = answer_keep(r, from->members[k].client_id);
            members[k].client_host = answer_keep(r, from->members[k].client_host);
            take_assignment(r, from->members[k].member_assignment, &members[k]);
        }
        answer_row_error(r, &g->error, from->error_code, from->error_message);
    }
}

static const struct answer_verb describe_classic = {"mr_describe_groups", API_DESCRIBE_GROUPS, ROWS_GROUP, take_classic,
                                                    NULL};

/* ---- describe: the new protocol ------------------------------------------------------------------------------ */

static void take_member(struct mr_answer *r, const struct consumer_group_describe_response_groups_members *from,
                        struct mr_group_member *to)
{
    const struct consumer_group_describe_response_assignment *a = &from->assignment;
    struct mr_partition *partitions;
    uint32_t count = 0;

    to->id = answer_keep(r, from->member_id);
    to->instance_id = answer_keep(r, from->instance_id);
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

/* GROUP_ID_NOT_FOUND: it may be there, with the classic protocol. */
static bool is_perhaps_classic(int16_t error)
{
    return error == KERR_GROUP_ID_NOT_FOUND || error == KERR_UNSUPPORTED_VERSION;
}

static void take_new(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct consumer_group_describe_response *m = response;
    const struct consumer_group_describe_response_groups *from = m->groups;

    if (m->groups_count == 0)
        return; /* one part asks for one group */
    if (is_perhaps_classic(from->error_code)) {
        r->more[r->more_count++] = arena_str(&r->arena, from->group_id);
        return;
    }
    struct mr_group *g = answer_row(r);
    struct mr_group_member *members = answer_array(r, (size_t)from->members_count, sizeof *members);
    *g = (struct mr_group){
        .id = answer_keep(r, from->group_id),
        .type = "Consumer",
        .state = answer_keep_or_empty(r, from->group_state),
        .protocol_type = "consumer",
        .assignor = answer_keep_or_empty(r, from->assignor_name),
        .node = part->node_id,
        .members = members,
        .member_count = (uint32_t)from->members_count,
    };
    for (int32_t k = 0; k < from->members_count; k++)
        take_member(r, &from->members[k], &members[k]);
    answer_row_error(r, &g->error, from->error_code, from->error_message);
}

/* Groups that the new protocol does not know, or a broker that does not know the new protocol (before Kafka 3.7). */
static bool ask_classic(struct mr_answer *r, int64_t result)
{
    if (result < 0 && result != ERR_VERSION)
        return false;
    for (uint32_t i = 0; i < r->call.part_count; i++) {
        const struct consumer_group_describe_request *asked = r->call.parts[i]->request;
        if (r->call.parts[i]->trouble == ERR_VERSION)
            r->more[r->more_count++] = asked->group_ids[0]; /* one part has one group */
    }
    if (r->more_count == 0)
        return false;
    answer_renew(r, &describe_classic);
    struct describe_groups_request *m = r->request;
    m->groups = r->more;
    m->groups_count = r->more_count;
    return true;
}

struct mr_answer *mr_describe_groups(struct mr_admin *a, const char *const *ids, uint32_t count,
                                     const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_groups", API_CONSUMER_GROUP_DESCRIBE, ROWS_GROUP, take_new,
                                            ask_classic};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct consumer_group_describe_request *m = r->request;
    m->group_ids = answer_texts(r, ids, count, "the id of a group");
    m->group_ids_count = (int32_t)count;
    r->more = answer_array(r, count, sizeof *r->more);
    return answer_ask(r);
}

/* ---- delete ------------------------------------------------------------------------------------------------- */

static void take_deleted(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct delete_groups_response *m = response;

    for (int32_t i = 0; i < m->results_count; i++)
        answer_outcome(r, m->results[i].group_id, -1, m->results[i].error_code, m->results[i].error_message);
}

struct mr_answer *mr_delete_groups(struct mr_admin *a, const char *const *ids, uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_delete_groups", API_DELETE_GROUPS, ROWS_OUTCOME, take_deleted, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct delete_groups_request *m = r->request;
    m->groups_names = answer_texts(r, ids, count, "the id of a group");
    m->groups_names_count = (int32_t)count;
    return answer_ask(r);
}
