/* Streams groups: who works on which tasks of which topology (KIP-1071). */
#include "library/admin.h"

typedef struct streams_group_describe_response_groups group;
typedef struct streams_group_describe_response_task_ids task_ids;

static uint32_t count_tasks(const task_ids *ids, int32_t count)
{
    uint32_t n = 0;

    for (int32_t i = 0; i < count; i++)
        n += (uint32_t)ids[i].partitions_count;
    return n;
}

static struct mr_streams_task *take_tasks(struct mr_answer *r, const task_ids *ids, int32_t count, int32_t role,
                                          struct mr_streams_task *next)
{
    for (int32_t i = 0; i < count; i++) {
        const char *subtopology = answer_keep(r, ids[i].subtopology_id);
        for (int32_t k = 0; k < ids[i].partitions_count; k++)
            *next++ = (struct mr_streams_task){subtopology, ids[i].partitions[k], role};
    }
    return next;
}

static void take_member(struct mr_answer *r, const struct streams_group_describe_response_groups_members *from,
                        struct mr_streams_member *to)
{
    const struct streams_group_describe_response_assignment *a = &from->assignment;
    struct mr_streams_task *tasks, *next;

    *to = (struct mr_streams_member){
        .id = answer_keep(r, from->member_id),
        .instance_id = answer_keep(r, from->instance_id),
        .client_id = answer_keep(r, from->client_id),
        .client_host = answer_keep(r, from->client_host),
        .process_id = answer_keep(r, from->process_id),
        .rack = answer_keep(r, from->rack_id),
        .epoch = from->member_epoch,
        .topology_epoch = from->topology_epoch,
        .task_count = count_tasks(a->active_tasks, a->active_tasks_count) +
                      count_tasks(a->standby_tasks, a->standby_tasks_count) +
                      count_tasks(a->warmup_tasks, a->warmup_tasks_count),
        .classic = from->is_classic,
    };
    to->tasks = next = tasks = answer_array(r, to->task_count, sizeof *tasks);
    next = take_tasks(r, a->active_tasks, a->active_tasks_count, MR_STREAMS_ACTIVE, next);
    next = take_tasks(r, a->standby_tasks, a->standby_tasks_count, MR_STREAMS_STANDBY, next);
    next = take_tasks(r, a->warmup_tasks, a->warmup_tasks_count, MR_STREAMS_WARMUP, next);
    ASSERT(next == tasks + to->task_count);
}

static void take_topology(struct mr_answer *r, const struct streams_group_describe_response_groups_topology *from,
                          struct mr_streams_group *to)
{
    uint32_t count = from->subtopologies_count < 0 ? 0 : (uint32_t)from->subtopologies_count;
    struct mr_streams_subtopology *all = answer_array(r, count, sizeof *all);

    for (uint32_t i = 0; i < count; i++) {
        const struct streams_group_describe_response_groups_topology_subtopologies *s = &from->subtopologies[i];
        int32_t sources = s->source_topics_count, repartitions = s->repartition_source_topics_count;
        const char **topics = answer_array(r, (size_t)sources + (size_t)repartitions, sizeof *topics);
        for (int32_t k = 0; k < sources; k++)
            topics[k] = answer_keep(r, s->source_topics[k]);
        for (int32_t k = 0; k < repartitions; k++)
            topics[sources + k] = answer_keep(r, s->repartition_source_topics[k].name);
        all[i] = (struct mr_streams_subtopology){
            .id = answer_keep(r, s->subtopology_id),
            .topic_count = (uint32_t)(sources + repartitions),
            .topics = topics,
        };
    }
    to->topology_epoch = from->epoch;
    to->subtopologies = all;
    to->subtopology_count = count;
}

static void take_described(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct streams_group_describe_response *m = response;

    for (int32_t i = 0; i < m->groups_count; i++) {
        const group *from = &m->groups[i];
        struct mr_streams_group *g = answer_row(r);
        struct mr_streams_member *members = answer_array(r, (size_t)from->members_count, sizeof *members);
        *g = (struct mr_streams_group){
            .id = answer_keep(r, from->group_id),
            .state = answer_keep_or_empty(r, from->group_state),
            .epoch = from->group_epoch,
            .assignment_epoch = from->assignment_epoch,
            .topology_epoch = -1,
            .node = part->node_id,
            .member_count = (uint32_t)from->members_count,
            .members = members,
        };
        for (int32_t k = 0; k < from->members_count; k++)
            take_member(r, &from->members[k], &members[k]);
        if (from->topology != NULL)
            take_topology(r, from->topology, g);
        answer_row_error(r, &g->error, from->error_code, from->error_message);
    }
}

struct mr_answer *mr_describe_streams_groups(struct mr_admin *a, const char *const *ids, uint32_t count,
                                             const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_streams_groups", API_STREAMS_GROUP_DESCRIBE,
                                            ROWS_STREAMS_GROUP, take_described, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct streams_group_describe_request *m = r->request;
    m->group_ids = answer_texts(r, ids, count, "the id of a group");
    m->group_ids_count = (int32_t)count;
    return answer_ask(r);
}
