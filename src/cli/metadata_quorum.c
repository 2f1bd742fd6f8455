/* kafka-metadata-quorum.sh and `millrace quorum`: how the controllers' quorum is. */
#include "cli/metadata_quorum.h"

#include <errno.h>
#include <stdlib.h>

/* The actions are words in both spellings, as in cluster.c. */
static const struct arg_option options[MQ_OPTIONS] = {
    [MQ_CONTROLLER] = {"bootstrap-controller", .has_value = true, .value = "HOST:PORT,...",
                       .help = "Ask a controller instead, by its own listener."},
    [MQ_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [MQ_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help =
                               "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ... To add a "
                               "controller: its own settings file, the directories of which are on this machine."},
    [MQ_DIRECTORY] = {"controller-directory-id", .letter = 'd', .has_value = true, .value = "ID",
                      .help = "To remove a controller: the id of its metadata directory, as "
                              "--replication prints it."},
    [MQ_ID] = {"controller-id", .letter = 'i', .has_value = true, .value = "ID",
               .help = "To remove a controller: its node id."},
    [MQ_DRY_RUN] = {"dry-run", .help = "To add or remove a controller: only say what would be done."},
    [MQ_HUMAN] = {"human-readable", .help = "With --replication: times as ages."},
    [MQ_JSON] = {"json", .help = "Print JSON."},
    [MQ_REPLICATION] = {"replication", .help = "How far each voter and observer has the metadata log."},
    [MQ_STATUS] = {"status", .help = "The leader, its epoch, voters and observers."},
    [MQ_ADD] = {"add-controller"},
    [MQ_DESCRIBE] = {"describe"},
    [MQ_REMOVE] = {"remove-controller"},
};

typedef const struct describe_quorum_response_topics_partitions *partition_ptr;
typedef const struct describe_quorum_response_replica_state *replica_ptr;

static int check_describe(struct tool *t)
{
    if (given(t, MQ_STATUS) == given(t, MQ_REPLICATION))
        return fail_set(&t->fail, -EINVAL, "%s",
                        given(t, MQ_STATUS)
                            ? "Only one of --status or --replication should be specified with describe "
                              "sub-command"
                            : "One of --status or --replication must be specified with describe sub-command");
    if (given(t, MQ_HUMAN) && !given(t, MQ_REPLICATION))
        return fail_set(&t->fail, -EINVAL, "The option --human-readable is only supported along with --replication");
    return 0;
}

static int quorum_check(struct tool *t)
{
    static const int actions[] = {MQ_ADD, MQ_DESCRIBE, MQ_REMOVE, -1};
    static const struct option_rule rules[] = {{MQ_STATUS, 2}, {MQ_REPLICATION, 2}, {MQ_HUMAN, 2},  {MQ_JSON, 2},
                                               {MQ_ID, 4},     {MQ_DIRECTORY, 4},   {MQ_DRY_RUN, 5}};
    struct quorum_tool *x = container_of(t, struct quorum_tool, tool);

    for (int i = 0; !t->native && t->word_count == 1 && actions[i] >= 0; i++)
        t->found[actions[i]].count += str_equal(t->words[0], str_of(options[actions[i]].name));
    if (t->native && (given(t, MQ_STATUS) || given(t, MQ_REPLICATION)))
        t->found[MQ_DESCRIBE].count = 1;
    x->action = only_one(t, actions);
    if (x->action < 0)
        return wrong_words(t, "one of describe, add-controller, remove-controller is expected");
    if (given(t, MQ_SERVER) && given(t, MQ_CONTROLLER))
        return wrong_words(t, "argument --bootstrap-controller: not allowed with argument --bootstrap-server");
    TRY(check_rules(t, actions, x->action, rules, array_count(rules)));
    if (x->action == MQ_ADD)
        return quorum_check_add(x);
    return x->action == MQ_REMOVE ? quorum_check_remove(x) : check_describe(t);
}

/* ---- status -----------------------------------------------------------------------------------
 */

static void print_node(struct quorum_tool *x, const struct describe_quorum_response *r, replica_ptr s,
                       bool with_endpoints)
{
    struct text *out = &x->tool.cli->out;
    char id[UUID_TEXT_BYTES];
    bool first = true;

    text_printf(out, "{\"id\": %d", s->replica_id);
    if (!uuid_is_zero(s->replica_directory_id))
        text_printf(out, ", \"directoryId\": \"%s\"", uuid_text(s->replica_directory_id, id));
    for (int32_t i = 0; with_endpoints && i < r->nodes_count; i++) {
        if (r->nodes[i].node_id != s->replica_id || r->nodes[i].listeners_count == 0)
            continue;
        text_printf(out, ", \"endpoints\": [");
        for (int32_t j = 0; j < r->nodes[i].listeners_count; j++) {
            const struct describe_quorum_response_nodes_listeners *l = &r->nodes[i].listeners[j];
            bool ipv6 = l->host.n > 0 && memchr(l->host.p, ':', (size_t)l->host.n) != NULL;
            text_printf(out, "%s\"%.*s://%s%.*s%s:%u\"", first ? "" : ", ", STR_ARG(l->name), ipv6 ? "[" : "",
                        STR_ARG(l->host), ipv6 ? "]" : "", l->port);
            first = false;
        }
        text_printf(out, "]");
    }
    text_printf(out, "}");
}

/* Before one value of the status: Kafka's title, or the name in JSON. */
static void print_name(struct quorum_tool *x, const char *title, const char *key)
{
    if (given(&x->tool, MQ_JSON))
        text_printf(&x->tool.cli->out, ",\n  \"%s\": ", key);
    else
        text_printf(&x->tool.cli->out, "%-24s", title);
}

static void print_number(struct quorum_tool *x, const char *title, const char *key, int64_t value)
{
    print_name(x, title, key);
    text_printf(&x->tool.cli->out, given(&x->tool, MQ_JSON) ? "%lld" : "%lld\n", (long long)value);
}

static void print_nodes(struct quorum_tool *x, const struct describe_quorum_response *r, replica_ptr nodes,
                        int32_t count, const char *title, const char *key, bool with_endpoints)
{
    print_name(x, title, key);
    text_printf(&x->tool.cli->out, "[");
    for (int32_t i = 0; i < count; i++) {
        text_printf(&x->tool.cli->out, "%s", i == 0 ? "" : ", ");
        print_node(x, r, &nodes[i], with_endpoints);
    }
    text_printf(&x->tool.cli->out, given(&x->tool, MQ_JSON) ? "]" : "]\n");
}

static replica_ptr leader_of(partition_ptr p)
{
    for (int32_t i = 0; i < p->current_voters_count; i++) {
        if (p->current_voters[i].replica_id == p->leader_id)
            return &p->current_voters[i];
    }
    return NULL;
}

static void print_status(struct quorum_tool *x, const struct describe_quorum_response *r, partition_ptr p)
{
    const struct describe_cluster_response *c = admin_describe_cluster_answer(&x->cluster, 0);
    struct text *out = &x->tool.cli->out;
    replica_ptr leader = leader_of(p), last = NULL;
    int64_t lag = 0, lag_ms = 0;

    for (int32_t i = 0; i < p->current_voters_count; i++) { /* the voter that is furthest behind */
        if (last == NULL || p->current_voters[i].log_end_offset < last->log_end_offset)
            last = &p->current_voters[i];
    }
    if (leader != NULL && last != NULL) {
        lag = leader->log_end_offset - last->log_end_offset;
        if (last != leader)
            lag_ms = last->last_caught_up_timestamp < 0 || leader->last_caught_up_timestamp < 0
                         ? -1
                         : leader->last_caught_up_timestamp - last->last_caught_up_timestamp;
    }
    if (given(&x->tool, MQ_JSON)) {
        text_printf(out, "{\n  \"cluster_id\": ");
        text_add_json(out, c->cluster_id);
    } else {
        text_printf(out, "%-24s%.*s\n", "ClusterId:", STR_ARG(c->cluster_id));
    }
    print_number(x, "LeaderId:", "leader_id", p->leader_id);
    print_number(x, "LeaderEpoch:", "leader_epoch", p->leader_epoch);
    print_number(x, "HighWatermark:", "high_watermark", p->high_watermark);
    print_number(x, "MaxFollowerLag:", "max_follower_lag", lag);
    print_number(x, "MaxFollowerLagTimeMs:", "max_follower_lag_time_ms", lag_ms);
    print_nodes(x, r, p->current_voters, p->current_voters_count, "CurrentVoters:", "current_voters", true);
    print_nodes(x, r, p->observers, p->observers_count, "CurrentObservers:", "current_observers", false);
    if (given(&x->tool, MQ_JSON))
        text_printf(out, "\n}\n");
}

/* ---- replication --------------------------------------------------------------------------------
 */

static struct str time_text(struct quorum_tool *x, int64_t ms)
{
    if (!given(&x->tool, MQ_HUMAN) || ms < 0)
        return arena_printf(&x->tool.arena, "%lld", (long long)ms);
    return arena_printf(&x->tool.arena, "%lld ms ago", (long long)(io_wall_ms(x->tool.io) - ms));
}

static void replication_row(struct quorum_tool *x, replica_ptr s, replica_ptr leader, const char *status)
{
    struct arena *a = &x->tool.arena;
    char id[UUID_TEXT_BYTES];
    int64_t lag = leader == NULL ? 0 : leader->log_end_offset - s->log_end_offset;

    table_row(&x->table, (struct str[]){arena_printf(a, "%d", s->replica_id),
                                        arena_printf(a, "%s", uuid_text(s->replica_directory_id, id)),
                                        arena_printf(a, "%lld", (long long)s->log_end_offset),
                                        arena_printf(a, "%lld", (long long)lag), time_text(x, s->last_fetch_timestamp),
                                        time_text(x, s->last_caught_up_timestamp), str_of(status)});
}

static void print_replication(struct quorum_tool *x, partition_ptr p)
{
    static const struct column columns[] = {
        {"NodeId", .grows = true, .key = "node_id", .number = true},
        {"DirectoryId", .grows = true, .key = "directory_id"},
        {"LogEndOffset", .grows = true, .key = "log_end_offset", .number = true},
        {"Lag", .grows = true, .key = "lag", .number = true},
        {"LastFetchTimestamp", .grows = true, .key = "last_fetch_timestamp", .number = true},
        {"LastCaughtUpTimestamp", .grows = true, .key = "last_caught_up_timestamp", .number = true},
        {"Status", .grows = true, .key = "status"},
    };
    replica_ptr leader = leader_of(p);

    table_begin(&x->table, &x->tool.arena, columns, array_count(columns));
    if (leader != NULL)
        replication_row(x, leader, leader, "Leader");
    for (int32_t i = 0; i < p->current_voters_count; i++) {
        if (&p->current_voters[i] != leader)
            replication_row(x, &p->current_voters[i], leader, "Follower");
    }
    for (int32_t i = 0; i < p->observers_count; i++)
        replication_row(x, &p->observers[i], leader, "Observer");
    if (given(&x->tool, MQ_JSON))
        table_json(&x->table, &x->tool.cli->out);
    else if (x->tool.native)
        table_show(&x->table, &x->tool);
    else
        table_print(&x->table, "\t", "\t", true, &x->tool.cli->out);
}

/* ---- the flow
 * ------------------------------------------------------------------------------------- */

static void make_ask(struct quorum_tool *x)
{
    describe_quorum_request_init(&x->ask);
    describe_quorum_request_topics_init(&x->topic);
    describe_quorum_request_topics_partitions_init(&x->partition);
    x->ask.topics = &x->topic;
    x->ask.topics_count = 1;
    x->topic.topic_name = STR("__cluster_metadata");
    x->topic.partitions = &x->partition;
    x->topic.partitions_count = 1;
    describe_cluster_request_init(&x->ask_cluster);
    x->ask_cluster.endpoint_type = given(&x->tool, MQ_CONTROLLER) ? 2 : 1;
}

static int print(struct quorum_tool *x)
{
    const struct describe_quorum_response *r = admin_describe_quorum_answer(&x->tool.call, 0);

    if (r->error_code != KERR_NONE)
        return answer_fails(&x->tool, r->error_code, r->error_message);
    if (r->topics_count != 1 || r->topics[0].partitions_count != 1)
        return fail_set(&x->tool.fail, -EPROTO,
                        "the answer to DescribeQuorum does not have the one partition that was asked for");
    partition_ptr p = &r->topics[0].partitions[0];
    if (p->error_code != KERR_NONE)
        return answer_fails(&x->tool, p->error_code, p->error_message);
    if (given(&x->tool, MQ_STATUS))
        print_status(x, r, p);
    else
        print_replication(x, p);
    return 0;
}

static void describe_run(struct flow *f)
{
    struct quorum_tool *x = container_of(f, struct quorum_tool, tool.work);

    FLOW_BEGIN(f);
    make_ask(x);
    FLOW_WAIT(f, "quorum", admin_describe_quorum(x->tool.admin, &x->tool.call, &x->ask, &f->op));
    if (f->result < 0)
        f->result = call_trouble(&x->tool, &x->tool.call);
    if (f->result == 0 && given(&x->tool, MQ_STATUS)) {
        FLOW_WAIT(f, "cluster", admin_describe_cluster(x->tool.admin, &x->cluster, &x->ask_cluster, &f->op));
        if (f->result < 0)
            f->result = call_trouble(&x->tool, &x->cluster);
    }
    if (f->result == 0)
        f->result = print(x);
    FLOW_END(f);
    flow_done(f, f->result);
}

static void quorum_run(struct flow *f)
{
    struct quorum_tool *x = container_of(f, struct quorum_tool, tool.work);

    f->run = x->action == MQ_ADD ? quorum_add_run : x->action == MQ_REMOVE ? quorum_remove_run : describe_run;
    f->run(f);
}

static void quorum_tool_end(struct tool *t)
{
    struct quorum_tool *x = container_of(t, struct quorum_tool, tool);

    admin_call_release(&x->cluster);
    config_free(x->load.config);
    text_deinit(&x->directory_text);
    free(x->settings_path);
    free(x->directory_path);
}

#define COMMON                                                                                                      \
    .options = options, .option_count = MQ_OPTIONS, .state_bytes = sizeof(struct quorum_tool), .server = MQ_SERVER, \
    .controller = MQ_CONTROLLER, .config = MQ_COMMAND_CONFIG, .old_config = -1, .check = quorum_check,              \
    .run = quorum_run, .end = quorum_tool_end

const struct tool_info kafka_metadata_quorum = {
    .program = "kafka-metadata-quorum.sh",
    .usage = "(-b | --bootstrap-controller) HOST:PORT describe --status\n"
             "(-b | --bootstrap-controller) HOST:PORT describe --replication [--human-readable]\n"
             "-b HOST:PORT --command-config FILE add-controller [--dry-run]\n"
             "-b HOST:PORT remove-controller -i ID -d DIRECTORY-ID [--dry-run]",
    .purpose = "The quorum of controllers that keeps the cluster's metadata: how it is, and "
               "controllers that join and "
               "leave it.",
    .commands = "describe add-controller remove-controller",
    .words_max = 1,
    COMMON,
};

static const struct tool_action quorum_actions[] = {
    {"status", MQ_STATUS, "The leader, its epoch, voters and observers."},
    {"voters", MQ_REPLICATION, "How far each voter and observer has the metadata log."},
    {"add", MQ_ADD, "A controller joins: --command-config FILE."},
    {"remove", MQ_REMOVE, "A controller leaves: -i ID -d DIRECTORY-ID."},
};

const struct tool_info millrace_quorum = {
    .program = "millrace quorum",
    .usage = "ACTION [OPTION]...",
    .purpose = "The quorum of controllers that keeps the cluster's metadata. Without -b the broker "
               "on 127.0.0.1:9092 is "
               "asked. A controller that joins is formatted with --no-initial-controllers, "
               "started, and then added; one "
               "that leaves is removed, and then stopped.",
    .actions = quorum_actions,
    .action_count = array_count(quorum_actions),
    .names = -1,
    .words_max = ARG_VALUES_MAX,
    COMMON,
};
