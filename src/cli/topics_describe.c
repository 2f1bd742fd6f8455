/* kafka-topics.sh --describe. */
#include "cli/placements.h"
#include "cli/topics.h"

#include <errno.h>
#include <stdlib.h>

/* DescribeConfigs' sources and types of resources, in the protocol's numbers. */
#define RESOURCE_TOPIC 2

/* ---- what is asked ---------------------------------------------------------------------------- */

static void make_requests(struct topics *x)
{
    struct tool *t = &x->tool;
    size_t n = x->chosen_count;
    int64_t limit;

    list_partition_reassignments_request_init(&x->ask_moving);
    x->ask_moving.topics_count = -1; /* all that move: few, mostly */
    describe_configs_request_init(&x->ask_configs);
    x->ask_configs.resources = arena_take_array(&t->arena, n + 1, sizeof(*x->ask_configs.resources));
    describe_topic_partitions_request_init(&x->page);
    x->page.topics = arena_take_array(&t->arena, n + 1, sizeof(*x->page.topics));
    ASSERT(x->ask_configs.resources != NULL);
    ASSERT(x->page.topics != NULL);
    x->ask_configs.resources_count = x->page.topics_count = (int32_t)n;
    if (given(t, TOPICS_PAGE) && str_to_i64(value_of(t, TOPICS_PAGE), 1, INT32_MAX, &limit) == 0)
        x->page.response_partition_limit = (int32_t)limit;
    for (size_t i = 0; i < n; i++) {
        struct describe_configs_request_resources *r = &x->ask_configs.resources[i];
        describe_configs_request_resources_init(r);
        r->resource_type = RESOURCE_TOPIC;
        r->resource_name = x->chosen[i]->name;
        r->configuration_keys_count = -1;
        describe_topic_partitions_request_topics_init(&x->page.topics[i]);
        x->page.topics[i].name = x->chosen[i]->name;
    }
}

/* ---- what is shown ---------------------------------------------------------------------------- */

/* One partition, from DescribeTopicPartitions or, of an older broker, from Metadata. */
struct shown {
    struct str topic;
    int32_t index, leader;
    const int32_t *replicas, *isr, *elr, *last_elr;
    int32_t replica_count, isr_count, elr_count, last_elr_count; /* -1 = not known */
};

/* Answers come in the order of the questions, which is that of names: the search begins where the last one ended. */
static const struct describe_configs_response_results *configs_of(struct topics *x, struct str topic)
{
    const struct describe_configs_response *r = admin_describe_configs_answer(&x->configs, 0);

    for (int32_t i = 0; r != NULL && i < r->results_count; i++) {
        int32_t at = (x->configs_at + i) % r->results_count;
        if (!str_equal(r->results[at].resource_name, topic))
            continue;
        x->configs_at = at;
        return &r->results[at];
    }
    return NULL;
}

/* "a=1,b=2" of those that are not default; empty when there are none. */
static struct str overrides(struct topics *x, struct str topic)
{
    const struct describe_configs_response_results *r = configs_of(x, topic);
    struct str s = STR("");

    for (int32_t i = 0; r != NULL && i < r->configs_count; i++) {
        if (r->configs[i].config_source == CONFIG_DEFAULT)
            continue;
        struct str value = str_is_null(r->configs[i].value) ? STR("null") : r->configs[i].value;
        s = arena_printf(&x->tool.arena, "%.*s%s%.*s=%.*s", STR_ARG(s), s.n > 0 ? "," : "", STR_ARG(r->configs[i].name),
                         STR_ARG(value));
    }
    return s;
}

static int64_t min_isr(struct topics *x, struct str topic)
{
    const struct describe_configs_response_results *r = configs_of(x, topic);
    int64_t n = 1;

    for (int32_t i = 0; r != NULL && i < r->configs_count; i++) {
        if (str_equal(r->configs[i].name, STR("min.insync.replicas")))
            (void)str_to_i64(r->configs[i].value, 1, INT32_MAX, &n);
    }
    return n;
}

static bool is_live(const struct topics *x, int32_t broker)
{
    const struct metadata_response *m = admin_metadata_answer(&x->names, 0);

    for (int32_t i = 0; i < m->brokers_count; i++) {
        if (m->brokers[i].node_id == broker)
            return true;
    }
    return false;
}

/* How it moves; NULL: it does not, or nobody may say so. */
static moving_ptr moving_of(const struct topics *x, struct str topic, int32_t partition)
{
    const struct list_partition_reassignments_response *r =
        x->moving.part_count == 0 ? NULL : admin_list_partition_reassignments_answer(&x->moving, 0);

    return r == NULL || r->error_code != KERR_NONE ? NULL : moving_find(r, topic, partition);
}

static bool has_any(const int32_t *replicas, int32_t count, const int32_t *of, int32_t of_count)
{
    for (int32_t i = 0; i < count; i++) {
        for (int32_t k = 0; k < of_count; k++) {
            if (replicas[i] == of[k])
                return true;
        }
    }
    return false;
}

/* Without those that are being added. A reassignment that has ended since it was listed counts no more. */
static int32_t replication_of(const struct topics *x, struct str topic, int32_t partition, const int32_t *replicas,
                              int32_t count)
{
    moving_ptr m = moving_of(x, topic, partition);

    if (m == NULL || (!has_any(replicas, count, m->adding_replicas, m->adding_replicas_count) &&
                      !has_any(replicas, count, m->removing_replicas, m->removing_replicas_count)))
        return count;
    return m->replicas_count - m->adding_replicas_count;
}

static bool filters_partitions(const struct tool *t)
{
    return given(t, TOPICS_UNDER_REPLICATED) || given(t, TOPICS_UNAVAILABLE) || given(t, TOPICS_UNDER_MIN_ISR) ||
           given(t, TOPICS_AT_MIN_ISR);
}

static bool is_shown(struct topics *x, const struct shown *p)
{
    const struct tool *t = &x->tool;

    if (!filters_partitions(t))
        return !given(t, TOPICS_OVERRIDES);
    if (given(t, TOPICS_UNDER_REPLICATED) &&
        p->isr_count < replication_of(x, p->topic, p->index, p->replicas, p->replica_count))
        return true;
    if (given(t, TOPICS_UNAVAILABLE) && (p->leader < 0 || !is_live(x, p->leader)))
        return true;
    if (given(t, TOPICS_UNDER_MIN_ISR) && (p->leader < 0 || p->isr_count < min_isr(x, p->topic)))
        return true;
    return given(t, TOPICS_AT_MIN_ISR) && p->isr_count == min_isr(x, p->topic);
}

/* JSON, and what `millrace topic` shows: rows at the end. */
static bool in_table(const struct tool *t)
{
    return t->native || given(t, TOPICS_JSON);
}

static struct str ids(struct topics *x, const int32_t *list, int32_t count)
{
    struct str s = STR("");

    if (count < 0)
        return STR("N/A");
    for (int32_t i = 0; i < count; i++)
        s = arena_printf(&x->tool.arena, "%.*s%s%d", STR_ARG(s), i == 0 ? "" : ",", list[i]);
    return s;
}

static void show_topic(struct topics *x, const struct metadata_response_topics *topic)
{
    struct tool *t = &x->tool;
    struct str configs = overrides(x, topic->name);
    char id[UUID_TEXT_BYTES];
    const struct metadata_response_topics_partitions *first = topic->partitions;
    int32_t replication = 0;

    if (filters_partitions(t) || in_table(t) || (given(t, TOPICS_OVERRIDES) && configs.n == 0))
        return;
    if (topic->partitions_count > 0)
        replication = replication_of(x, topic->name, first->partition_index, first->replica_nodes,
                                     first->replica_nodes_count);
    text_printf(&t->cli->out, "Topic: %.*s\tTopicId: %s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %.*s\n",
                STR_ARG(topic->name), uuid_text(topic->topic_id, id), topic->partitions_count, replication,
                STR_ARG(configs));
}

static const struct column columns[] = {
    {"TOPIC", .grows = true, .key = "topic"},
    {"PARTITION", .grows = true, .key = "partition", .number = true},
    {"LEADER", .grows = true, .key = "leader", .number = true},
    {"REPLICAS", .grows = true, .key = "replicas", .number = true},
    {"ISR", .grows = true, .key = "isr", .number = true},
    {"CONFIGS", .key = "configs"},
};

static void row_partition(struct topics *x, const struct shown *p, struct str leader, struct str replicas,
                          struct str isr)
{
    struct arena *a = &x->tool.arena;
    bool json = given(&x->tool, TOPICS_JSON);

    if (json) {
        replicas = arena_printf(a, "[%.*s]", STR_ARG(replicas));
        isr = arena_printf(a, "[%.*s]", STR_ARG(isr));
    }
    table_row(&x->table,
              (struct str[]){p->topic, arena_printf(a, "%d", p->index), json && p->leader < 0 ? STR_NULL : leader,
                             replicas, isr, overrides(x, p->topic)});
}

static void show_partition(struct topics *x, const struct shown *p)
{
    struct text *out = &x->tool.cli->out;
    struct str leader = p->leader < 0 ? STR("none") : arena_printf(&x->tool.arena, "%d", p->leader);
    struct str replicas = ids(x, p->replicas, p->replica_count), isr = ids(x, p->isr, p->isr_count);
    struct str elr = ids(x, p->elr, p->elr_count), last = ids(x, p->last_elr, p->last_elr_count);
    moving_ptr m = moving_of(x, p->topic, p->index);

    if (!is_shown(x, p))
        return;
    if (in_table(&x->tool)) {
        row_partition(x, p, leader, replicas, isr);
        return;
    }
    text_printf(out, "\tTopic: %.*s\tPartition: %d\tLeader: %.*s\tReplicas: %.*s\tIsr: %.*s", STR_ARG(p->topic),
                p->index, STR_ARG(leader), STR_ARG(replicas), STR_ARG(isr));
    if (m != NULL)
        text_printf(out, "\tAdding Replicas: %.*s\tRemoving Replicas: %.*s",
                    STR_ARG(ids(x, m->adding_replicas, m->adding_replicas_count)),
                    STR_ARG(ids(x, m->removing_replicas, m->removing_replicas_count)));
    text_printf(out, "\tElr: %.*s\tLastKnownElr: %.*s\n", STR_ARG(elr), STR_ARG(last));
}

static int compare_name(const void *name, const void *topic)
{
    return str_compare(*(const struct str *)name, (*(struct metadata_response_topics *const *)topic)->name);
}

static const struct metadata_response_topics *chosen_of(const struct topics *x, struct str name)
{
    struct metadata_response_topics **found =
        bsearch(&name, x->chosen, x->chosen_count, sizeof(*x->chosen), compare_name);

    return found == NULL ? NULL : *found;
}

/* ---- pages --------------------------------------------------------------------------------------- */

static int page_answer(struct topics *x)
{
    const struct describe_topic_partitions_response *r = admin_describe_topic_partitions_answer(&x->tool.call, 0);

    for (int32_t i = 0; i < r->topics_count; i++) {
        const struct describe_topic_partitions_response_topics *topic = &r->topics[i];
        const struct metadata_response_topics *known = chosen_of(x, topic->name);
        if (topic->error_code == KERR_UNKNOWN_TOPIC_OR_PARTITION || known == NULL)
            continue; /* it has gone meanwhile */
        if (topic->error_code != KERR_NONE)
            return answer_fails(&x->tool, topic->error_code, topic->name);
        if (!str_equal(x->described, topic->name))
            show_topic(x, known);
        x->described = known->name;
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct describe_topic_partitions_response_topics_partitions *p = &topic->partitions[j];
            show_partition(x, &(struct shown){known->name, p->partition_index, p->leader_id, p->replica_nodes,
                                              p->isr_nodes, p->eligible_leader_replicas, p->last_known_elr,
                                              p->replica_nodes_count, p->isr_nodes_count,
                                              p->eligible_leader_replicas_count, p->last_known_elr_count});
        }
    }
    x->more = r->next_cursor != NULL;
    if (x->more) {
        describe_topic_partitions_request_cursor_init(&x->cursor);
        x->cursor.topic_name = arena_str(&x->tool.arena, r->next_cursor->topic_name);
        x->cursor.partition_index = r->next_cursor->partition_index;
        x->page.cursor = &x->cursor;
    }
    return 0;
}

/* A broker that does not speak DescribeTopicPartitions has told all but the eligible replicas already. */
static void show_from_metadata(struct topics *x)
{
    for (uint32_t i = 0; i < x->chosen_count; i++) {
        const struct metadata_response_topics *topic = x->chosen[i];
        show_topic(x, topic);
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct metadata_response_topics_partitions *p = &topic->partitions[j];
            show_partition(x, &(struct shown){topic->name, p->partition_index, p->leader_id, p->replica_nodes,
                                              p->isr_nodes, NULL, NULL, p->replica_nodes_count, p->isr_nodes_count, -1,
                                              -1});
        }
    }
}

static int flush(struct topics *x)
{
    struct cli *c = x->tool.cli;

    if (c->flush == NULL || c->flush(c) == 0)
        return 0;
    return fail_set(&x->tool.fail, -EPIPE, "nobody reads the output any more");
}

static void print_table(struct topics *x)
{
    if (given(&x->tool, TOPICS_JSON))
        table_json(&x->table, &x->tool.cli->out);
    else if (x->table.row_count > 0)
        table_show(&x->table, &x->tool);
}

void topics_describe_run(struct flow *f)
{
    struct topics *x = container_of(f, struct topics, tool.work);

    FLOW_BEGIN(f);
    table_begin(&x->table, &x->tool.arena, columns, array_count(columns));
    metadata_request_init(&x->all);
    x->all.topics_count = -1;
    x->all.allow_auto_topic_creation = false;
    FLOW_WAIT(f, "names", admin_metadata(x->tool.admin, &x->names, &x->all, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->names) : topics_choose(x);
    x->more = f->result == 0 && x->chosen_count > 0;
    if (x->more) {
        make_requests(x);
        FLOW_WAIT(f, "settings", admin_describe_configs(x->tool.admin, &x->configs, &x->ask_configs, &f->op));
        if (f->result < 0)
            f->result = call_trouble(&x->tool, &x->configs);
    }
    if (f->result == 0 && x->more) {
        FLOW_WAIT(f, "moves", admin_list_partition_reassignments(x->tool.admin, &x->moving, &x->ask_moving, &f->op));
        f->result = f->result == ERR_VERSION ? 0 : f->result < 0 ? call_trouble(&x->tool, &x->moving) : 0;
    }
    while (f->result == 0 && x->more) {
        FLOW_WAIT(f, "partitions", admin_describe_topic_partitions(x->tool.admin, &x->tool.call, &x->page, &f->op));
        if (f->result == ERR_VERSION) {
            show_from_metadata(x);
            x->more = false;
            f->result = 0;
        } else {
            f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : page_answer(x);
        }
        if (f->result == 0)
            f->result = flush(x);
        admin_call_release(&x->tool.call);
    }
    if (f->result == 0 && in_table(&x->tool))
        print_table(x);
    FLOW_END(f);
    flow_done(f, f->result);
}
