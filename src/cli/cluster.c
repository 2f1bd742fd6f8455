/* kafka-cluster.sh and `millrace cluster`: options; the cluster's id, its nodes, and forgetting one
 * of them. */
#include "cli/cluster.h"

#include <errno.h>

/* DescribeCluster's kinds of endpoints. */
enum { ENDPOINT_BROKER = 1, ENDPOINT_CONTROLLER = 2 };

/* The actions are words in both spellings: as options they have no help and so no name for a user.
 */
static const struct arg_option options[CL_OPTIONS] = {
    [CL_CONTROLLER] = {"bootstrap-controller", .letter = 'C', .has_value = true, .value = "HOST:PORT,...",
                       .help = "Ask a controller instead, by its own listener."},
    [CL_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [CL_CLUSTER_ID] = {"cluster-id"},
    [CL_COMMAND_CONFIG] = {"command-config", .letter = 'c', .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [CL_CONFIG] = {"config", .has_value = true, .value = "FILE", .help = "The old name of --command-config."},
    [CL_DRY_RUN] = {"dry-run", .help = "balance, decommission: only say what would move."},
    [CL_ID] = {"id", .letter = 'i', .has_value = true, .value = "ID", .help = "unregister, decommission: the broker."},
    [CL_FENCED] = {"include-fenced-brokers", .help = "list-endpoints: brokers too that do not serve."},
    [CL_JSON] = {"json", .help = "Print JSON."},
    [CL_LIST] = {"list-endpoints"},
    [CL_UNREGISTER] = {"unregister"},
    [CL_STATUS] = {"status"},
    [CL_BALANCE] = {"balance"},
    [CL_DECOMMISSION] = {"decommission"},
    [CL_THROTTLE] = {"throttle", .has_value = true, .value = "BYTES/S",
                     .help = "balance, decommission: how fast partitions move, for each broker, until they have moved. "
                             "Throttles of replication that are left from before are removed then, too."},
};

#define KAFKAS_ACTIONS 3 /* the first ones of `actions` */

static int cluster_check(struct tool *t)
{
    static const int actions[] = {CL_CLUSTER_ID, CL_LIST, CL_UNREGISTER, CL_STATUS, CL_BALANCE, CL_DECOMMISSION, -1};
    struct cluster *x = container_of(t, struct cluster, tool);
    int64_t id = -1;

    for (int i = 0; !t->native && t->word_count > 0 && i < KAFKAS_ACTIONS; i++)
        t->found[actions[i]].count += str_equal(t->words[0], str_of(options[actions[i]].name));
    x->action = only_one(t, actions);
    if (x->action < 0 || (!t->native && t->word_count != 1))
        return wrong_words(t, "one of cluster-id, list-endpoints, unregister is expected");
    if (given(t, CL_SERVER) && given(t, CL_CONTROLLER))
        return wrong_words(t, "argument --bootstrap-controller/-C: not allowed with argument --bootstrap-server/-b");
    if (x->action != CL_LIST && given(t, CL_FENCED))
        return wrong_words(t, "--include-fenced-brokers is for list-endpoints");
    if (given(t, CL_FENCED) && given(t, CL_CONTROLLER))
        return fail_set(&t->fail, -EINVAL,
                        "The option --include-fenced-brokers is only supported with --bootstrap-server option");
    if (x->action >= CL_STATUS && given(t, CL_CONTROLLER))
        return wrong_words(t, "%s asks a broker, not a controller", options[x->action].name);
    if (x->action != CL_BALANCE && x->action != CL_DECOMMISSION && given(t, CL_DRY_RUN))
        return wrong_words(t, "--dry-run is for balance and decommission");
    x->throttle = -1;
    if (given(t, CL_THROTTLE)) {
        if (x->action != CL_BALANCE && x->action != CL_DECOMMISSION)
            return wrong_words(t, "--throttle is for balance and decommission");
        TRY(number_of(t, CL_THROTTLE, 1, INT64_MAX, &x->throttle));
    }
    if (x->action == CL_UNREGISTER || x->action == CL_DECOMMISSION) {
        TRY(needs(t, CL_ID));
        TRY(number_of(t, CL_ID, 0, INT32_MAX, &id));
        if (t->found[CL_ID].count > 1)
            return wrong_words(t, "one broker at a time");
    } else if (t->native && given(t, CL_ID)) {
        return wrong_words(t, "%s takes no broker", options[x->action].name);
    }
    unregister_broker_request_init(&x->forget);
    x->forget.broker_id = (int32_t)id;
    return 0;
}

static void print_endpoints(struct cluster *x, const struct describe_cluster_response *r)
{
    static const struct column all[] = {
        {"ID", .least = 10, .key = "id", .number = true},
        {"HOST", .grows = true, .key = "host"},
        {"PORT", .least = 10, .key = "port", .number = true},
        {"RACK", .least = 10, .grows = true, .key = "rack"},
        {"STATE", .least = 10, .key = "state"},
        {"ENDPOINT_TYPE", .least = 15, .key = "endpoint_type"},
    };
    static const struct column without_state[] = {
        {"ID", .least = 10, .key = "id", .number = true},       {"HOST", .grows = true, .key = "host"},
        {"PORT", .least = 10, .key = "port", .number = true},   {"RACK", .least = 10, .grows = true, .key = "rack"},
        {"ENDPOINT_TYPE", .least = 15, .key = "endpoint_type"},
    };
    struct tool *t = &x->tool;
    bool controllers = given(t, CL_CONTROLLER), json = given(t, CL_JSON);

    if (controllers)
        table_begin(&x->table, &t->arena, without_state, array_count(without_state));
    else
        table_begin(&x->table, &t->arena, all, array_count(all));
    for (int32_t i = 0; i < r->brokers_count; i++) {
        const struct describe_cluster_response_brokers *b = &r->brokers[i];
        struct str kind = controllers ? STR("controller") : STR("broker"),
                   state = b->is_fenced ? STR("fenced") : STR("unfenced");
        table_row(&x->table, (struct str[]){arena_printf(&t->arena, "%d", b->broker_id), b->host,
                                            arena_printf(&t->arena, "%d", b->port),
                                            str_is_null(b->rack) && !json ? STR("null") : b->rack,
                                            controllers ? kind : state, kind});
    }
    table_sort(&x->table);
    if (json)
        table_json(&x->table, &t->cli->out);
    else
        table_print(&x->table, " ", "", true, &t->cli->out);
}

static int describe_answer(struct cluster *x)
{
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->tool.call, 0);
    struct text *out = &x->tool.cli->out;

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    if (x->action == CL_LIST)
        print_endpoints(x, r);
    else if (given(&x->tool, CL_JSON))
        text_printf(out, "{\"cluster_id\": \"%.*s\"}\n", STR_ARG(r->cluster_id)); /* letters of base64 */
    else
        text_printf(out, "Cluster ID: %.*s\n", STR_ARG(r->cluster_id));
    return 0;
}

static int forget_answer(struct cluster *x)
{
    const struct unregister_broker_response *r = admin_unregister_broker_answer(&x->tool.call, 0);

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    text_printf(&x->tool.cli->out, "Broker %d is no longer registered.\n", x->forget.broker_id);
    return 0;
}

static void plain_run(struct flow *f)
{
    struct cluster *x = container_of(f, struct cluster, tool.work);

    FLOW_BEGIN(f);
    describe_cluster_request_init(&x->ask);
    x->ask.endpoint_type = given(&x->tool, CL_CONTROLLER) ? ENDPOINT_CONTROLLER : ENDPOINT_BROKER;
    x->ask.include_fenced_brokers = given(&x->tool, CL_FENCED);
    if (x->action == CL_UNREGISTER) {
        FLOW_WAIT(f, "unregister", admin_unregister_broker(x->tool.admin, &x->tool.call, &x->forget, &f->op));
        if (f->result == ERR_VERSION) { /* Kafka's tool calls this no failure */
            text_printf(&x->tool.cli->out, "The target cluster does not support the broker unregistration API.\n");
            f->result = x->tool.native;
        } else {
            f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : forget_answer(x);
        }
    } else {
        FLOW_WAIT(f, "cluster", admin_describe_cluster(x->tool.admin, &x->tool.call, &x->ask, &f->op));
        f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : describe_answer(x);
    }
    FLOW_END(f);
    flow_done(f, f->result);
}

static void cluster_run(struct flow *f)
{
    struct cluster *x = container_of(f, struct cluster, tool.work);

    f->run = x->action == CL_STATUS         ? cluster_status_run
             : x->action == CL_BALANCE      ? cluster_balance_run
             : x->action == CL_DECOMMISSION ? cluster_decommission_run
                                            : plain_run;
    f->run(f);
}

static void cluster_end(struct tool *t)
{
    struct cluster *x = container_of(t, struct cluster, tool);

    admin_call_release(&x->nodes);
    admin_call_release(&x->topics);
    admin_call_release(&x->moving);
    arena_deinit(&x->looked);
}

#define COMMON                                                                                                  \
    .options = options, .option_count = CL_OPTIONS, .state_bytes = sizeof(struct cluster), .server = CL_SERVER, \
    .controller = CL_CONTROLLER, .config = CL_COMMAND_CONFIG, .old_config = CL_CONFIG, .check = cluster_check,  \
    .run = cluster_run, .end = cluster_end

const struct tool_info kafka_cluster = {
    .program = "kafka-cluster.sh",
    .usage = "cluster-id (-b HOST:PORT | -C HOST:PORT)\n"
             "list-endpoints (-b HOST:PORT | -C HOST:PORT) [--include-fenced-brokers]\n"
             "unregister (-b HOST:PORT | -C HOST:PORT) --id ID",
    .purpose = "The cluster as a whole: its id, its nodes, and forgetting a broker that will not "
               "come back.",
    .commands = "cluster-id list-endpoints unregister",
    .words_max = 1,
    COMMON,
};

static const struct tool_action cluster_actions[] = {
    {"id", CL_CLUSTER_ID, "The cluster's id."},
    {"nodes", CL_LIST, "Brokers, or with --bootstrap-controller controllers."},
    {"status", CL_STATUS, "Each broker: whether it lives, what it leads and holds, what is out of sync."},
    {"balance", CL_BALANCE, "Move few replicas so that all brokers have their share, new ones too."},
    {"decommission", CL_DECOMMISSION, "Move all from broker ID to the others, then unregister it."},
    {"unregister", CL_UNREGISTER, "Forget broker ID, which will not come back."},
};

const struct tool_info millrace_cluster = {
    .program = "millrace cluster",
    .usage = "ACTION [ID] [OPTION]...",
    .purpose = "The cluster as a whole. Without -b the broker on 127.0.0.1:9092 is asked. What "
               "balance and decommission "
               "have begun goes on when they are interrupted, and so does its throttle; called again, they wait for "
               "it and go on.",
    .actions = cluster_actions,
    .action_count = array_count(cluster_actions),
    .names = CL_ID,
    .words_max = ARG_VALUES_MAX,
    COMMON,
};
