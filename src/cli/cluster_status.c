/* `millrace cluster status`: what each broker has. */
#include "cli/cluster.h"

#include <errno.h>

#define TIMEOUT_MS 60000

/* ---- a look -----------------------------------------------------------------------------------
 */

/* Metadata names the brokers that a moving partition is to leave, too. */
static void take_targets(struct cluster *x)
{
    const struct list_partition_reassignments_response *r = admin_list_partition_reassignments_answer(&x->moving, 0);

    x->in_flight = 0;
    for (uint32_t i = 0; r->topics_count > 0 && i < x->now.count; i++) {
        struct placement *p = &x->now.all[i];
        moving_ptr m = moving_find(r, p->topic, p->partition);
        if (m == NULL)
            continue;
        int32_t *to = arena_take_array(&x->looked, (size_t)m->replicas_count + 1, sizeof(*to));
        ASSERT(to != NULL);
        x->in_flight++;
        p->replicas = to;
        p->replica_count = 0;
        for (int32_t k = 0; k < m->replicas_count; k++) {
            if (!ids_contain(m->removing_replicas, (uint32_t)m->removing_replicas_count, m->replicas[k]))
                to[p->replica_count++] = m->replicas[k];
        }
    }
}

static int look_answer(struct cluster *x)
{
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->nodes, 0);
    const struct list_partition_reassignments_response *m = admin_list_partition_reassignments_answer(&x->moving, 0);

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    if (m->error_code != KERR_NONE)
        return answer_fails(&x->tool, m->error_code, m->error_message);
    arena_reset(&x->looked);
    x->now = (struct placements){.arena = &x->looked};
    placements_take(&x->now, admin_metadata_answer(&x->topics, 0));
    take_targets(x);
    x->places = arena_take_array(&x->looked, (size_t)r->brokers_count + 1, sizeof(*x->places));
    ASSERT(x->places != NULL);
    x->place_count = 0;
    for (int32_t i = 0; i < r->brokers_count; i++) {
        if (!r->brokers[i].is_fenced)
            x->places[x->place_count++] = (struct place){r->brokers[i].broker_id, r->brokers[i].rack};
    }
    return 0;
}

void cluster_look_run(struct flow *f)
{
    struct cluster *x = container_of(f, struct cluster, look);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    admin_call_release(&x->nodes);
    admin_call_release(&x->topics);
    admin_call_release(&x->moving);
    list_partition_reassignments_request_init(&x->ask_moving);
    x->ask_moving.timeout_ms = TIMEOUT_MS;
    x->ask_moving.topics_count = -1;
    describe_cluster_request_init(&x->ask);
    x->ask.include_fenced_brokers = true;
    metadata_request_init(&x->ask_topics);
    x->ask_topics.topics_count = -1;
    x->ask_topics.allow_auto_topic_creation = false;
    FLOW_WAIT(f, "brokers", admin_describe_cluster(t->admin, &x->nodes, &x->ask, &f->op));
    if (f->result < 0) {
        f->result = call_trouble(t, &x->nodes);
        goto failed;
    }
    FLOW_WAIT(f, "moving", admin_list_partition_reassignments(t->admin, &x->moving, &x->ask_moving, &f->op));
    if (f->result < 0) {
        f->result = call_trouble(t, &x->moving);
        goto failed;
    }
    FLOW_WAIT(f, "topics", admin_metadata(t->admin, &x->topics, &x->ask_topics, &f->op));
    f->result = f->result < 0 ? call_trouble(t, &x->topics) : look_answer(x);
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

const struct describe_cluster_response_brokers *cluster_broker(const struct cluster *x, int32_t id)
{
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->nodes, 0);

    for (int32_t i = 0; i < r->brokers_count; i++) {
        if (r->brokers[i].broker_id == id)
            return &r->brokers[i];
    }
    return NULL;
}

/* ---- status -----------------------------------------------------------------------------------
 */

struct held {
    uint32_t leaders, preferred, replicas, behind;
};

static struct held held_by(const struct cluster *x, int32_t id)
{
    const struct metadata_response *m = admin_metadata_answer(&x->topics, 0);
    struct held h = {0};

    for (int32_t t = 0; t < m->topics_count; t++) {
        for (int32_t i = 0; i < m->topics[t].partitions_count; i++) {
            const struct metadata_response_topics_partitions *p = &m->topics[t].partitions[i];
            bool has = ids_contain(p->replica_nodes, (uint32_t)p->replica_nodes_count, id);
            h.leaders += p->leader_id == id;
            h.preferred += p->replica_nodes_count > 0 && p->replica_nodes[0] == id;
            h.replicas += has;
            h.behind += has && !ids_contain(p->isr_nodes, (uint32_t)p->isr_nodes_count, id);
        }
    }
    return h;
}

void cluster_ask_quorum(struct cluster *x)
{
    describe_quorum_request_init(&x->ask_quorum);
    describe_quorum_request_topics_init(&x->quorum_topic);
    describe_quorum_request_topics_partitions_init(&x->quorum_partition);
    x->ask_quorum.topics = &x->quorum_topic;
    x->ask_quorum.topics_count = 1;
    x->quorum_topic.topic_name = STR("__cluster_metadata");
    x->quorum_topic.partitions = &x->quorum_partition;
    x->quorum_topic.partitions_count = 1;
}

static int32_t controller_of(const struct cluster *x)
{
    const struct describe_quorum_response *r = admin_describe_quorum_answer(&x->tool.call, 0);

    return r->topics_count == 1 && r->topics[0].partitions_count == 1 ? r->topics[0].partitions[0].leader_id : -1;
}

static void print(struct cluster *x)
{
    static const struct column columns[] = {
        {"BROKER", .grows = true, .key = "broker", .number = true},
        {"ADDRESS", .grows = true, .key = "address"},
        {"RACK", .grows = true, .key = "rack"},
        {"STATE", .grows = true, .key = "state"},
        {"LEADERS", .grows = true, .key = "leaders", .number = true},
        {"PREFERRED", .grows = true, .key = "preferred_leaders", .number = true},
        {"REPLICAS", .grows = true, .key = "replicas", .number = true},
        {"OUT-OF-SYNC", .grows = true, .key = "out_of_sync", .number = true},
        {"CONTROLLER", .grows = true, .key = "controller"},
    };
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->nodes, 0);
    struct tool *t = &x->tool;
    struct arena *a = &t->arena;

    table_begin(&x->table, a, columns, array_count(columns));
    for (int32_t i = 0; i < r->brokers_count; i++) {
        const struct describe_cluster_response_brokers *b = &r->brokers[i];
        struct held h = held_by(x, b->broker_id);
        table_row(&x->table, (struct str[]){arena_printf(a, "%d", b->broker_id),
                                            arena_printf(a, "%.*s:%d", STR_ARG(b->host), b->port), b->rack,
                                            b->is_fenced ? STR("fenced") : STR("alive"),
                                            arena_printf(a, "%u", h.leaders), arena_printf(a, "%u", h.preferred),
                                            arena_printf(a, "%u", h.replicas), arena_printf(a, "%u", h.behind),
                                            b->broker_id == controller_of(x) ? STR("active") : STR("")});
    }
    table_sort(&x->table);
    if (given(t, CL_JSON))
        table_json(&x->table, &t->cli->out);
    else
        table_show(&x->table, t);
}

void cluster_status_run(struct flow *f)
{
    struct cluster *x = container_of(f, struct cluster, tool.work);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "look", flow_start(&x->look, cluster_look_run, &f->op));
    cluster_ask_quorum(x);
    FLOW_WAIT(f, "quorum", admin_describe_quorum(t->admin, &t->call, &x->ask_quorum, &f->op));
    f->result = f->result < 0 ? call_trouble(t, &t->call) : 0;
    if (f->result == 0)
        print(x);
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}
