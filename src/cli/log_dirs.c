/* kafka-log-dirs.sh and `millrace log-dirs`: what lies in the log directories of brokers. */
#include "cli/tool.h"

#include <errno.h>
#include <stdlib.h>

enum { LD_SERVER, LD_BROKERS, LD_COMMAND_CONFIG, LD_DESCRIBE, LD_JSON, LD_TOPICS, LD_OPTIONS };

static const struct arg_option options[LD_OPTIONS] = {
    [LD_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask first; several are tried in turn."},
    [LD_BROKERS] = {"broker-list", .has_value = true, .value = "ID,...", .help = "Only these brokers."},
    [LD_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [LD_DESCRIBE] = {"describe", .help = "Show directories with their partitions. The only thing to do here."},
    [LD_JSON] = {"json", .help = "Print JSON; Kafka's name prints its own JSON in any case."},
    [LD_TOPICS] = {"topic-list", .has_value = true, .value = "TOPIC,...", .help = "Only partitions of these topics."},
};

struct log_dirs {
    struct tool tool;
    int32_t *brokers; /* that are asked; sorted */
    uint32_t broker_count, at;
    struct admin_call nodes;
    struct describe_cluster_request ask_nodes;
    struct describe_log_dirs_request ask;
    struct text body; /* of Kafka's JSON */
    struct table table;
};

static int log_dirs_check(struct tool *t)
{
    return needs(t, LD_DESCRIBE);
}

/* ---- who -------------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static struct str ids_text(struct log_dirs *x, const int32_t *ids, uint32_t count)
{
    struct str s = STR("");

    for (uint32_t i = 0; i < count; i++)
        s = arena_printf(&x->tool.arena, "%.*s%s%d", STR_ARG(s), i == 0 ? "" : ",", ids[i]);
    return s;
}

static bool exists(const struct describe_cluster_response *r, int64_t id)
{
    for (int32_t i = 0; i < r->brokers_count; i++) {
        if (r->brokers[i].broker_id == id)
            return true;
    }
    return false;
}

static int choose_brokers(struct log_dirs *x)
{
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->nodes, 0);
    struct str rest = value_of(&x->tool, LD_BROKERS), part, missing = STR(""), known;
    int64_t id;

    x->brokers = arena_take_array(&x->tool.arena, (size_t)r->brokers_count + 1, sizeof(*x->brokers));
    ASSERT(x->brokers != NULL);
    for (int32_t i = 0; i < r->brokers_count; i++)
        x->brokers[x->broker_count++] = r->brokers[i].broker_id;
    qsort(x->brokers, x->broker_count, sizeof(*x->brokers), compare_ids);
    if (rest.n <= 0)
        return 0;
    known = ids_text(x, x->brokers, x->broker_count);
    x->broker_count = 0;
    while (str_cut(&rest, ',', &part)) {
        if (str_to_i64(str_trim(part), 0, INT32_MAX, &id) < 0)
            return fail_set(&x->tool.fail, -EINVAL, "ERROR: --broker-list: \"%.*s\" is not a broker's id",
                            STR_ARG(part));
        if (!exists(r, id))
            missing =
                arena_printf(&x->tool.arena, "%.*s%s%lld", STR_ARG(missing), missing.n > 0 ? "," : "", (long long)id);
        else if (x->broker_count < (uint32_t)r->brokers_count)
            x->brokers[x->broker_count++] = (int32_t)id;
    }
    if (missing.n > 0)
        return fail_set(
            &x->tool.fail, -EINVAL,
            "ERROR: The given brokers do not exist from --broker-list: %.*s. Current existent brokers: %.*s",
            STR_ARG(missing), STR_ARG(known));
    return 0;
}

/* ---- what is shown ------------------------------------------------------------------------------ */

static bool is_wanted(const struct log_dirs *x, struct str topic)
{
    struct str rest = value_of(&x->tool, LD_TOPICS), part;

    if (rest.n <= 0)
        return true;
    while (str_cut(&rest, ',', &part)) {
        if (str_equal(str_trim(part), topic))
            return true;
    }
    return false;
}

static void kafka_dir(struct log_dirs *x, const struct describe_log_dirs_response_results *dir)
{
    bool first = true;

    text_printf(&x->body, "{\"partitions\":[");
    for (int32_t t = 0; t < dir->topics_count; t++) {
        if (!is_wanted(x, dir->topics[t].name))
            continue;
        for (int32_t p = 0; p < dir->topics[t].partitions_count; p++) {
            const struct describe_log_dirs_response_results_topics_partitions *part = &dir->topics[t].partitions[p];
            text_printf(&x->body, "%s{\"partition\":\"%.*s-%d\",\"size\":%lld,\"offsetLag\":%lld,\"isFuture\":%s}",
                        first ? "" : ",", STR_ARG(dir->topics[t].name), part->partition_index,
                        (long long)part->partition_size, (long long)part->offset_lag,
                        part->is_future_key ? "true" : "false");
            first = false;
        }
    }
    text_printf(&x->body, "],\"error\":");
    if (dir->error_code == KERR_NONE)
        text_printf(&x->body, "null");
    else
        text_printf(&x->body, "\"%s\"", kerr_name(dir->error_code));
    text_printf(&x->body, ",\"logDir\":");
    text_add_json(&x->body, dir->log_dir);
    text_printf(&x->body, "}");
}

static void table_dir(struct log_dirs *x, const struct describe_log_dirs_response_results *dir)
{
    struct arena *a = &x->tool.arena;
    struct str broker = arena_printf(a, "%d", x->brokers[x->at]), name = arena_str(a, dir->log_dir);

    for (int32_t t = 0; t < dir->topics_count; t++) {
        for (int32_t p = 0; is_wanted(x, dir->topics[t].name) && p < dir->topics[t].partitions_count; p++) {
            const struct describe_log_dirs_response_results_topics_partitions *part = &dir->topics[t].partitions[p];
            table_row(&x->table, (struct str[]){broker, arena_str(a, dir->topics[t].name),
                                                arena_printf(a, "%d", part->partition_index),
                                                arena_printf(a, "%lld", (long long)part->partition_size),
                                                arena_printf(a, "%lld", (long long)part->offset_lag),
                                                part->is_future_key ? STR("true") : STR("false"), name});
        }
    }
    if (dir->error_code != KERR_NONE)
        text_printf(&x->tool.cli->err, "broker %d: %.*s: %s\n", x->brokers[x->at], STR_ARG(dir->log_dir),
                    kerr_name(dir->error_code));
}

static int take_answer(struct log_dirs *x)
{
    const struct describe_log_dirs_response *r = admin_describe_log_dirs_answer(&x->tool.call, 0);
    bool in_table = x->tool.native;

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, STR_NULL);
    if (!in_table)
        text_printf(&x->body, "%s{\"broker\":%d,\"logDirs\":[", x->at == 0 ? "" : ",", x->brokers[x->at]);
    for (int32_t i = 0; i < r->results_count; i++) {
        if (in_table) {
            table_dir(x, &r->results[i]);
            continue;
        }
        text_printf(&x->body, "%s", i == 0 ? "" : ",");
        kafka_dir(x, &r->results[i]);
    }
    if (!in_table)
        text_printf(&x->body, "]}");
    return 0;
}

static void print(struct log_dirs *x)
{
    struct text *out = &x->tool.cli->out;

    if (!x->tool.native) {
        text_printf(out, "{\"brokers\":[%.*s],\"version\":1}\n", STR_ARG(text_str(&x->body)));
        return;
    }
    table_sort(&x->table);
    if (given(&x->tool, LD_JSON))
        table_json(&x->table, out);
    else
        table_show(&x->table, &x->tool);
}

/* ---- the flow ------------------------------------------------------------------------------------- */

static void log_dirs_run(struct flow *f)
{
    static const struct column columns[] = {
        {"BROKER", .least = 6, .key = "broker", .number = true},
        {"TOPIC", .least = 15, .grows = true, .key = "topic"},
        {"PARTITION", .least = 9, .key = "partition", .number = true},
        {"SIZE", .least = 12, .grows = true, .key = "size_bytes", .number = true},
        {"LAG", .least = 6, .grows = true, .key = "offset_lag", .number = true},
        {"FUTURE", .least = 6, .key = "is_future", .number = true},
        {"DIRECTORY", .key = "log_dir"},
    };
    struct log_dirs *x = container_of(f, struct log_dirs, tool.work);

    FLOW_BEGIN(f);
    table_begin(&x->table, &x->tool.arena, columns, array_count(columns));
    describe_cluster_request_init(&x->ask_nodes);
    describe_log_dirs_request_init(&x->ask);
    x->ask.topics_count = -1;
    FLOW_WAIT(f, "brokers", admin_describe_cluster(x->tool.admin, &x->nodes, &x->ask_nodes, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->nodes) : choose_brokers(x);
    if (f->result == 0 && !x->tool.native)
        text_printf(&x->tool.cli->out, "Querying brokers for log directories information\n");
    for (; f->result == 0 && x->at < x->broker_count; x->at++) {
        x->tool.call.to_node = true;
        x->tool.call.node_id = x->brokers[x->at];
        FLOW_WAIT(f, "directories", admin_describe_log_dirs(x->tool.admin, &x->tool.call, &x->ask, &f->op));
        f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : take_answer(x);
        admin_call_release(&x->tool.call);
    }
    if (f->result == 0 && !x->tool.native)
        text_printf(&x->tool.cli->out, "Received log directory information from brokers %.*s\n",
                    STR_ARG(ids_text(x, x->brokers, x->broker_count)));
    if (f->result == 0)
        print(x);
    FLOW_END(f);
    flow_done(f, f->result);
}

static void log_dirs_end(struct tool *t)
{
    struct log_dirs *x = container_of(t, struct log_dirs, tool);

    admin_call_release(&x->nodes);
    text_deinit(&x->body);
}

#define COMMON                                                                                                     \
    .options = options, .option_count = LD_OPTIONS, .state_bytes = sizeof(struct log_dirs), .server = LD_SERVER,   \
    .controller = -1, .config = LD_COMMAND_CONFIG, .old_config = -1, .check = log_dirs_check, .run = log_dirs_run, \
    .end = log_dirs_end

const struct tool_info kafka_log_dirs = {
    .program = "kafka-log-dirs.sh",
    .usage = "-b HOST:PORT --describe [--broker-list ID,...] [--topic-list TOPIC,...]",
    .purpose = "What lies in the log directories of brokers, as one line of JSON.",
    COMMON,
};

static const struct tool_action log_dirs_actions[] = {
    {"list", LD_DESCRIBE, "Partitions in the log directories of brokers."}};

const struct tool_info millrace_log_dirs = {
    .program = "millrace log-dirs",
    .usage = "list [--broker-list ID,...] [--topic-list TOPIC,...] [--json]",
    .purpose = "What lies in the log directories of brokers. Without -b the broker on 127.0.0.1:9092 is asked.",
    .actions = log_dirs_actions,
    .action_count = array_count(log_dirs_actions),
    .names = -1,
    .words_max = ARG_VALUES_MAX,
    COMMON,
};
