/* The cluster itself: its nodes, its quorum, what lies in log directories, and in which. */
#include <errno.h>

#include "library/admin.h"

/* ---- nodes --------------------------------------------------------------------------------------------- */

#define ENDPOINT_CONTROLLERS 2 /* endpoint_type of DescribeCluster */

static void take_cluster(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_cluster_response *m = response;

    if (answer_is_refused(r, m->error_code, m->error_message))
        return;
    struct mr_cluster *to = answer_row(r);
    struct mr_node *nodes = answer_array(r, (size_t)m->brokers_count, sizeof *nodes);
    for (int32_t i = 0; i < m->brokers_count; i++) {
        nodes[i] = (struct mr_node){
            .id = m->brokers[i].broker_id,
            .port = m->brokers[i].port,
            .host = answer_keep(r, m->brokers[i].host),
            .rack = answer_keep(r, m->brokers[i].rack),
            .fenced = m->brokers[i].is_fenced,
        };
    }
    to->id = answer_keep(r, m->cluster_id);
    to->controller = m->controller_id;
    to->nodes = nodes;
    to->node_count = (uint32_t)m->brokers_count;
}

/* A broker before version 2 cannot tell of fenced ones, and is not told that they are wanted. */
static void prepare_cluster(struct mr_answer *r, bool fenced)
{
    struct describe_cluster_request *m = r->request;

    m->include_fenced_brokers = fenced;
    if (r->admin->asks_controllers)
        m->endpoint_type = ENDPOINT_CONTROLLERS;
}

static const struct answer_verb cluster_old = {"mr_describe_cluster", API_DESCRIBE_CLUSTER, ROWS_CLUSTER, take_cluster,
                                               NULL};

static bool cluster_again(struct mr_answer *r, int64_t result)
{
    if (result != -EINVAL)
        return false;
    answer_renew(r, &cluster_old);
    prepare_cluster(r, false);
    return true;
}

struct mr_answer *mr_describe_cluster(struct mr_admin *a, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_cluster", API_DESCRIBE_CLUSTER, ROWS_CLUSTER, take_cluster,
                                            cluster_again};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    prepare_cluster(r, !a->asks_controllers);
    return answer_ask(r);
}

/* ---- quorum -------------------------------------------------------------------------------------------- */

static void take_replica(const struct describe_quorum_response_replica_state *from, bool voter,
                         struct mr_quorum_replica *to)
{
    *to = (struct mr_quorum_replica){
        .id = from->replica_id,
        .voter = voter,
        .end_offset = from->log_end_offset,
        .last_fetch_ms = from->last_fetch_timestamp,
        .last_caught_up_ms = from->last_caught_up_timestamp,
    };
    memcpy(to->directory_id, &from->replica_directory_id, sizeof to->directory_id);
}

static void take_quorum_partition(struct mr_answer *r, const struct describe_quorum_response_topics_partitions *p)
{
    struct mr_quorum *to = answer_row(r);
    uint32_t voters = (uint32_t)p->current_voters_count, observers = (uint32_t)p->observers_count;
    struct mr_quorum_replica *replicas = answer_array(r, (size_t)voters + observers, sizeof *replicas);

    for (uint32_t i = 0; i < voters; i++)
        take_replica(&p->current_voters[i], true, &replicas[i]);
    for (uint32_t i = 0; i < observers; i++)
        take_replica(&p->observers[i], false, &replicas[voters + i]);
    to->leader = p->leader_id;
    to->leader_epoch = p->leader_epoch;
    to->high_watermark = p->high_watermark;
    to->replicas = replicas;
    to->replica_count = voters + observers;
    answer_row_error(r, &to->error, p->error_code, p->error_message);
}

static void take_quorum(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_quorum_response *m = response;

    if (answer_is_refused(r, m->error_code, m->error_message))
        return;
    for (int32_t i = 0; i < m->topics_count; i++) {
        for (int32_t k = 0; k < m->topics[i].partitions_count; k++)
            take_quorum_partition(r, &m->topics[i].partitions[k]);
    }
}

struct mr_answer *mr_describe_quorum(struct mr_admin *a, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_quorum", API_DESCRIBE_QUORUM, ROWS_QUORUM, take_quorum, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct describe_quorum_request *m = r->request;
    m->topics = answer_array(r, 1, sizeof *m->topics);
    m->topics_count = 1;
    describe_quorum_request_topics_init(m->topics);
    m->topics->topic_name = STR("__cluster_metadata");
    m->topics->partitions = answer_array(r, 1, sizeof *m->topics->partitions);
    m->topics->partitions_count = 1;
    describe_quorum_request_topics_partitions_init(m->topics->partitions);
    return answer_ask(r);
}

/* ---- log directories ------------------------------------------------------------------------------------- */

static void take_dir_topic(struct mr_answer *r, const struct describe_log_dirs_response_results_topics *from,
                           struct mr_log_dir_replica *to)
{
    const char *topic = answer_keep(r, from->name);

    for (int32_t i = 0; i < from->partitions_count; i++) {
        to[i] = (struct mr_log_dir_replica){
            .topic = topic,
            .partition = from->partitions[i].partition_index,
            .future = from->partitions[i].is_future_key,
            .size_bytes = from->partitions[i].partition_size,
            .lag = from->partitions[i].offset_lag,
        };
    }
}

static void take_log_dirs(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct describe_log_dirs_response *m = response;

    if (answer_is_refused(r, m->error_code, STR_NULL))
        return;
    for (int32_t i = 0; i < m->results_count; i++) {
        const struct describe_log_dirs_response_results *from = &m->results[i];
        struct mr_log_dir *to = answer_row(r);
        uint32_t count = 0;
        for (int32_t k = 0; k < from->topics_count; k++)
            count += (uint32_t)from->topics[k].partitions_count;
        struct mr_log_dir_replica *replicas = answer_array(r, count, sizeof *replicas), *next = replicas;
        for (int32_t k = 0; k < from->topics_count; next += from->topics[k++].partitions_count)
            take_dir_topic(r, &from->topics[k], next);
        to->node = part->node_id;
        to->path = answer_keep(r, from->log_dir);
        to->total_bytes = from->total_bytes;
        to->usable_bytes = from->usable_bytes;
        to->replicas = replicas;
        to->replica_count = count;
        answer_row_error(r, &to->error, from->error_code, STR_NULL);
    }
}

struct mr_answer *mr_describe_log_dirs(struct mr_admin *a, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_describe_log_dirs", API_DESCRIBE_LOG_DIRS, ROWS_LOG_DIR, take_log_dirs,
                                            NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    ((struct describe_log_dirs_request *)r->request)->topics_count = -1; /* all */
    return answer_ask(r);
}

/* ---- replicas move between directories ---------------------------------------------------------------------- */

static void take_moved(struct mr_answer *r, const struct admin_part *part, const void *response)
{
    const struct alter_replica_log_dirs_response *m = response;

    for (int32_t i = 0; i < m->results_count; i++) {
        for (int32_t k = 0; k < m->results[i].partitions_count; k++)
            answer_outcome(r, m->results[i].topic_name, m->results[i].partitions[k].partition_index,
                           m->results[i].partitions[k].error_code, STR_NULL);
    }
}

static void ask_dir(struct mr_answer *r, const struct mr_replica_dir *wanted, const struct answer_named *path,
                    struct alter_replica_log_dirs_request_dirs *out)
{
    struct str *names = answer_array(r, (size_t)path->count, sizeof *names);

    alter_replica_log_dirs_request_dirs_init(out);
    out->path = path->name;
    for (int32_t i = 0; i < path->count; i++)
        names[i] = answer_text(r, wanted[path->indexes[i]].topic, "the topic of a partition");
    const struct answer_named *topics = answer_by_name(r, names, (uint32_t)path->count, &out->topics_count);
    out->topics = answer_array(r, (size_t)out->topics_count, sizeof *out->topics);
    for (int32_t i = 0; i < out->topics_count; i++) {
        struct alter_replica_log_dirs_request_dirs_topics *t = &out->topics[i];
        alter_replica_log_dirs_request_dirs_topics_init(t);
        t->name = topics[i].name;
        t->partitions = answer_array(r, (size_t)topics[i].count, sizeof *t->partitions);
        t->partitions_count = topics[i].count;
        for (int32_t k = 0; k < topics[i].count; k++)
            t->partitions[k] = wanted[path->indexes[topics[i].indexes[k]]].partition;
    }
}

struct mr_answer *mr_alter_replica_log_dirs(struct mr_admin *a, int32_t node, const struct mr_replica_dir *wanted,
                                            uint32_t count, const struct mr_how *how)
{
    static const struct answer_verb verb = {"mr_alter_replica_log_dirs", API_ALTER_REPLICA_LOG_DIRS, ROWS_OUTCOME,
                                            take_moved, NULL};
    struct mr_answer *r = answer_new(a, &verb, how);

    if (r == NULL)
        return NULL;
    struct alter_replica_log_dirs_request *m = r->request;
    struct str *paths = answer_array(r, count, sizeof *paths);
    for (uint32_t i = 0; i < count; i++)
        paths[i] = answer_text(r, wanted[i].path, "the path of a directory");
    const struct answer_named *by_path = answer_by_name(r, paths, count, &m->dirs_count);
    m->dirs = answer_array(r, (size_t)m->dirs_count, sizeof *m->dirs);
    for (int32_t i = 0; i < m->dirs_count; i++)
        ask_dir(r, wanted, &by_path[i], &m->dirs[i]);
    r->call.node_id = node;
    r->call.to_node = true;
    return answer_ask(r);
}
