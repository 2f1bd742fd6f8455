/* `millrace why partition TOPIC-NUMBER`: where its leader and ISR are, and how it came to that. What is comes from any
 * broker; why, from the nodes that may know: its replicas, which have led it, and the controllers. */
#include "cli/why.h"

#include <errno.h>
#include <stdlib.h>

#define NODE_TIMEOUT_MS 5000 /* of one that does not answer: the others are not to wait for it for long */
#define QUORUM_TIMEOUT_MS 10000 /* while it has no leader, nobody says who the controllers are */
#define RESOURCE_BROKER 4

static const struct arg_option options[WHY_OPTIONS] = {
    [WHY_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                    .help = "The broker to ask; several are tried in turn."},
    [WHY_COMMAND_CONFIG] = {"command-config", .letter = 'c', .has_value = true, .value = "FILE",
                            .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [WHY_JSON] = {"json", .help = "Print JSON."},
    [WHY_NAME] = {"name", .has_value = true, .value = "TOPIC-NUMBER", .help = "The partition: orders-0."},
    [WHY_PARTITION] = {"partition"},
};

static int why_check(struct tool *t)
{
    struct why *x = container_of(t, struct why, tool);
    struct str name = value_of(t, WHY_NAME);
    int32_t dash = name.n - 1;
    int64_t number;

    if (t->found[WHY_NAME].count != 1)
        return wrong_words(t, "one partition is expected, as TOPIC-NUMBER");
    while (dash >= 0 && name.p[dash] != '-')
        dash--;
    if (dash <= 0 || str_to_i64((struct str){name.p + dash + 1, name.n - dash - 1}, 0, INT32_MAX, &number) < 0)
        return wrong_words(t, "\"%.*s\" is no partition: TOPIC-NUMBER is expected, as orders-0", STR_ARG(name));
    x->topic = (struct str){name.p, dash};
    x->partition = (int32_t)number;
    x->key = arena_printf(&t->arena, "millrace.why.%.*s-%d", STR_ARG(x->topic), x->partition);
    return 0;
}

/* ---- what is -------------------------------------------------------------------------------------- */

static void make_asks(struct why *x)
{
    describe_topic_partitions_request_init(&x->ask_partition);
    describe_topic_partitions_request_topics_init(&x->ask_topic);
    describe_topic_partitions_request_cursor_init(&x->ask_from);
    x->ask_topic.name = x->ask_from.topic_name = x->topic;
    x->ask_from.partition_index = x->partition;
    x->ask_partition.topics = &x->ask_topic;
    x->ask_partition.topics_count = 1;
    x->ask_partition.response_partition_limit = 1;
    x->ask_partition.cursor = &x->ask_from;
    describe_cluster_request_init(&x->ask_cluster);
    x->ask_cluster.include_fenced_brokers = true;
    describe_quorum_request_init(&x->ask_quorum);
    describe_quorum_request_topics_init(&x->quorum_topic);
    describe_quorum_request_topics_partitions_init(&x->quorum_partition);
    x->quorum_topic.topic_name = STR("__cluster_metadata");
    x->quorum_topic.partitions = &x->quorum_partition;
    x->quorum_topic.partitions_count = 1;
    x->quorum.timeout_ms = QUORUM_TIMEOUT_MS;
    x->ask_quorum.topics = &x->quorum_topic;
    x->ask_quorum.topics_count = 1;
}

static int take_partition(struct why *x)
{
    const struct describe_topic_partitions_response *r = admin_describe_topic_partitions_answer(&x->topics, 0);
    const struct describe_topic_partitions_response_topics *topic = r->topics_count == 1 ? &r->topics[0] : NULL;

    if (topic != NULL && topic->error_code != KERR_NONE)
        return answer_fails(&x->tool, topic->error_code, STR_NULL);
    for (int32_t i = 0; topic != NULL && i < topic->partitions_count; i++) {
        if (topic->partitions[i].partition_index == x->partition)
            x->p = &topic->partitions[i];
    }
    if (x->p == NULL)
        return answer_fails(&x->tool, KERR_UNKNOWN_TOPIC_OR_PARTITION, STR_NULL);
    return 0;
}

/* NULL: there are too many. */
static struct why_node *node_get(struct why *x, int32_t id)
{
    for (uint32_t i = 0; i < x->count; i++) {
        if (x->nodes[i].id == id)
            return &x->nodes[i];
    }
    if (x->count == WHY_NODES_MAX)
        return NULL;
    x->nodes[x->count] = (struct why_node){.id = id, .at = STR_NULL, .unasked = STR_NULL};
    return &x->nodes[x->count++];
}

static struct str address(struct why *x, struct str host, int32_t port)
{
    bool ipv6 = host.n > 0 && memchr(host.p, ':', (size_t)host.n) != NULL;

    return arena_printf(&x->tool.arena, "%s%.*s%s:%d", ipv6 ? "[" : "", STR_ARG(host), ipv6 ? "]" : "", port);
}

static void take_replicas(struct why *x)
{
    for (int32_t i = 0; i < x->p->replica_nodes_count; i++) {
        struct why_node *n = node_get(x, x->p->replica_nodes[i]);
        if (n != NULL)
            n->is_replica = true;
    }
}

static void take_controllers(struct why *x)
{
    const struct describe_quorum_response *r = admin_describe_quorum_answer(&x->quorum, 0);

    for (int32_t i = 0; i < r->nodes_count; i++) {
        struct why_node *n = node_get(x, r->nodes[i].node_id);
        if (n == NULL || r->nodes[i].listeners_count == 0)
            continue;
        n->is_controller = true;
        n->at = address(x, r->nodes[i].listeners[0].host, r->nodes[i].listeners[0].port);
    }
}

static int take_brokers(struct why *x)
{
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->cluster, 0);

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    for (int32_t i = 0; i < r->brokers_count; i++) {
        for (uint32_t n = 0; n < x->count; n++) {
            if (x->nodes[n].id != r->brokers[i].broker_id)
                continue;
            x->nodes[n].is_broker = true;
            x->nodes[n].is_fenced = r->brokers[i].is_fenced;
            x->nodes[n].at = address(x, r->brokers[i].host, r->brokers[i].port);
        }
    }
    return 0;
}

/* Those that are no brokers are asked by a listener of their own. */
static int connect_controllers(struct why *x)
{
    struct admin_options o;

    for (uint32_t i = 0; i < x->count; i++) {
        if (x->nodes[i].is_controller && !x->nodes[i].is_broker)
            text_printf(&x->controllers, "%s%.*s", x->controllers.n == 0 ? "" : ",", STR_ARG(x->nodes[i].at));
    }
    if (x->controllers.n == 0)
        return 0;
    TRY(admin_options_read(x->tool.config, &o, &x->tool.fail));
    o.client.bootstrap_servers = text_str(&x->controllers);
    o.client.bootstrap_controllers = true;
    o.unreachable_ms = NODE_TIMEOUT_MS;
    x->controllers_admin = admin_new(x->tool.io, x->tool.telemetry, &o, &x->tool.fail);
    return x->controllers_admin == NULL ? x->tool.fail.error : 0;
}

static int take_answers(struct why *x, int64_t quorum_result)
{
    const struct describe_quorum_response *r =
        quorum_result < 0 ? NULL : admin_describe_quorum_answer(&x->quorum, 0);

    take_replicas(x);
    if (r == NULL)
        x->quorum_trouble = arena_str(&x->tool.arena, str_of(x->quorum.fail.text));
    else if (r->error_code != KERR_NONE)
        x->quorum_trouble = arena_str(&x->tool.arena, answer_words(r->error_code, r->error_message));
    else
        take_controllers(x);
    TRY(take_brokers(x));
    return connect_controllers(x);
}

/* ---- why ------------------------------------------------------------------------------------------ */

/* Who is to be asked; NULL: nobody, and why is said. */
static struct admin *asked_by(struct why *x, struct why_node *n)
{
    if (n->is_broker && !n->is_fenced)
        return x->tool.admin;
    if (n->is_controller && !n->is_broker)
        return x->controllers_admin;
    n->unasked = n->is_broker ? STR("it is fenced: the controller does not hear of it, or holds it back; its own log "
                                    "says more")
                              : STR("it is not registered");
    return NULL;
}

static void make_ask(struct why *x)
{
    describe_configs_request_init(&x->ask_causes);
    describe_configs_request_resources_init(&x->resource);
    x->ask_causes.resources = &x->resource;
    x->ask_causes.resources_count = 1;
    x->resource.resource_type = RESOURCE_BROKER;
    x->resource.resource_name = arena_printf(&x->tool.arena, "%d", x->nodes[x->at].id);
    x->resource.configuration_keys = &x->key;
    x->resource.configuration_keys_count = 1;
    x->tool.call.to_node = true;
    x->tool.call.node_id = x->nodes[x->at].id;
    x->tool.call.timeout_ms = NODE_TIMEOUT_MS;
}

/* "1200 broker 3 leaves ..." */
static void take_cause(struct why *x, struct str line)
{
    struct str ago;
    int64_t ago_ms;

    if (!str_cut(&line, ' ', &ago) || str_to_i64(ago, 0, INT64_MAX, &ago_ms) < 0 || x->cause_count == WHY_CAUSES_MAX)
        return;
    x->causes[x->cause_count++] =
        (struct why_cause){ago_ms, x->nodes[x->at].id, arena_str(&x->tool.arena, line)};
}

/* What nobody can say, because only this node has seen it. */
static struct str lost_with(struct why *x, const struct why_node *n)
{
    return arena_printf(&x->tool.arena,
                        "it keeps no causes, because it is of Kafka, or of an older millrace: %s%s%s, its own log "
                        "may say",
                        n->is_replica ? "why the ISR changed while it led" : "",
                        n->is_replica && n->is_controller ? ", and " : "",
                        n->is_controller ? "why leaders moved while it was the active controller" : "");
}

static void take_causes(struct why *x, int64_t result)
{
    const struct describe_configs_response *r = result < 0 ? NULL : admin_describe_configs_answer(&x->tool.call, 0);
    const struct describe_configs_response_results *own = r != NULL && r->results_count == 1 ? &r->results[0] : NULL;
    struct why_node *n = &x->nodes[x->at];
    struct arena *a = &x->tool.arena;

    if (r == NULL) {
        n->unasked = arena_str(a, str_of(x->tool.call.fail.text));
        return;
    }
    if (own != NULL && own->error_code != KERR_NONE) {
        n->unasked = arena_str(a, answer_words(own->error_code, own->error_message));
        return;
    }
    for (int32_t i = 0; own != NULL && i < own->configs_count; i++) {
        struct str rest = own->configs[i].value, line;
        if (!str_equal(own->configs[i].name, x->key))
            continue;
        while (rest.n > 0 && str_cut(&rest, '\n', &line))
            take_cause(x, line);
        return;
    }
    n->keeps_none = true;
    n->unasked = lost_with(x, n);
}

static int oldest_first(const void *a, const void *b)
{
    const struct why_cause *x = a, *y = b;

    return (x->ago_ms < y->ago_ms) - (x->ago_ms > y->ago_ms);
}

static void why_run(struct flow *f)
{
    struct why *x = container_of(f, struct why, tool.work);
    struct tool *t = &x->tool;
    struct admin *by;

    FLOW_BEGIN(f);
    x->quorum_trouble = STR_NULL;
    make_asks(x);
    FLOW_WAIT(f, "partition", admin_describe_topic_partitions(t->admin, &x->topics, &x->ask_partition, &f->op));
    f->result = f->result < 0 ? call_trouble(t, &x->topics) : take_partition(x);
    if (f->result < 0)
        goto failed;
    FLOW_WAIT(f, "brokers", admin_describe_cluster(t->admin, &x->cluster, &x->ask_cluster, &f->op));
    if (f->result < 0) {
        f->result = call_trouble(t, &x->cluster);
        goto failed;
    }
    FLOW_WAIT(f, "quorum", admin_describe_quorum(t->admin, &x->quorum, &x->ask_quorum, &f->op));
    f->result = take_answers(x, f->result);
    if (f->result < 0)
        goto failed;
    x->causes = arena_take_array(&t->arena, WHY_CAUSES_MAX, sizeof *x->causes);
    for (x->at = 0; x->at < x->count; x->at++) {
        if ((by = asked_by(x, &x->nodes[x->at])) == NULL)
            continue;
        make_ask(x);
        FLOW_WAIT(f, "a node", admin_describe_configs(by, &t->call, &x->ask_causes, &f->op));
        take_causes(x, f->result);
        admin_call_release(&t->call);
    }
    if (x->controllers_admin != NULL)
        FLOW_WAIT(f, "close", admin_close(x->controllers_admin, &f->op));
    if (x->cause_count > 0)
        qsort(x->causes, x->cause_count, sizeof *x->causes, oldest_first);
    why_print(x);
    f->result = 0;
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

static void why_end(struct tool *t)
{
    struct why *x = container_of(t, struct why, tool);

    admin_call_release(&x->topics);
    admin_call_release(&x->cluster);
    admin_call_release(&x->quorum);
    text_deinit(&x->controllers);
}

static const struct tool_action actions[] = {
    {"partition", WHY_PARTITION, "Where a partition's leader and ISR are, and how it came to that."},
};

const struct tool_info millrace_why = {
    .program = "millrace why",
    .usage = "partition TOPIC-NUMBER [OPTION]...",
    .purpose = "Why a partition is as it is: why its leader moved, its ISR shrank or grew, why nobody leads it. Its "
               "replicas and the controllers are asked what they remember; what they have forgotten, or had no part in, "
               "their logs tell. Without -b the broker on 127.0.0.1:9092 is asked first.",
    .actions = actions,
    .action_count = array_count(actions),
    .names = WHY_NAME,
    .words_max = ARG_VALUES_MAX,
    .options = options,
    .option_count = WHY_OPTIONS,
    .state_bytes = sizeof(struct why),
    .server = WHY_SERVER,
    .controller = -1,
    .config = WHY_COMMAND_CONFIG,
    .old_config = -1,
    .check = why_check,
    .run = why_run,
    .end = why_end,
};
