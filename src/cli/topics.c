/* kafka-topics.sh and `millrace topic`: options, names, list, delete. */
#include "cli/topics.h"

#include <errno.h>
#include <stdlib.h>

static const struct arg_option options[TOPICS_OPTIONS] = {
    [TOPICS_ALTER] = {"alter", .help = "Give topics more partitions. Their settings are kafka-configs.sh's to change."},
    [TOPICS_AT_MIN_ISR] = {"at-min-isr-partitions",
                           .help = "Describe only partitions with exactly min.insync.replicas replicas in sync."},
    [TOPICS_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                       .help = "The broker to ask; several are tried in turn."},
    [TOPICS_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                               .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [TOPICS_CONFIG] = {"config", .has_value = true, .value = "NAME=VALUE",
                       .help = "A setting of the new topic; may be repeated. `millrace settings` lists them."},
    [TOPICS_CREATE] = {"create", .help = "Create a topic."},
    [TOPICS_DELETE] = {"delete", .help = "Delete topics, with all their records."},
    [TOPICS_DELETE_CONFIG] = {"delete-config", .has_value = true, .value = "NAME"},
    [TOPICS_DESCRIBE] = {"describe",
                         .help = "Show partitions with their leaders and replicas, and settings that are not default."},
    [TOPICS_EXCLUDE_INTERNAL] = {"exclude-internal", .help = "Leave out Kafka's own topics, like __consumer_offsets."},
    [TOPICS_IF_EXISTS] = {"if-exists", .help = "A topic that is not there is no mistake (alter, delete, describe)."},
    [TOPICS_IF_NOT_EXISTS] = {"if-not-exists", .help = "A topic that is there already is no mistake (create)."},
    [TOPICS_JSON] = {"json", .help = "List and describe as JSON."},
    [TOPICS_LIST] = {"list", .help = "Print the names of topics, one a line."},
    [TOPICS_PAGE] = {"partition-size-limit-per-response", .has_value = true, .value = "N",
                     .help = "Describe: at most so many partitions in one answer of a broker (2000)."},
    [TOPICS_PARTITIONS] =
        {"partitions", .has_value = true, .value = "N",
         .help = "How many partitions the topic gets, or is to have (alter). More partitions change where keys "
                 "go. Default: the broker's num.partitions."},
    [TOPICS_ASSIGNMENT] = {"replica-assignment", .has_value = true, .value = "ID:ID,...",
                           .help = "Brokers of each partition: replicas parted by ':', partitions by ','."},
    [TOPICS_REPLICATION] =
        {"replication-factor", .has_value = true, .value = "N",
         .help = "How many replicas each partition gets. Default: the broker's default.replication.factor."},
    [TOPICS_TOPIC] =
        {"topic", .has_value = true, .value = "NAME",
         .help = "The topic. Except to create it may be a regular expression for whole names, or several with commas."},
    [TOPICS_TOPIC_ID] = {"topic-id", .has_value = true, .value = "ID", .help = "Describe the topic with this id."},
    [TOPICS_OVERRIDES] = {"topics-with-overrides", .help = "Describe only topics with settings that are not default."},
    [TOPICS_UNAVAILABLE] = {"unavailable-partitions", .help = "Describe only partitions without a leader that lives."},
    [TOPICS_UNDER_MIN_ISR] = {"under-min-isr-partitions",
                              .help = "Describe only partitions with fewer than min.insync.replicas replicas in sync."},
    [TOPICS_UNDER_REPLICATED] = {"under-replicated-partitions",
                                 .help = "Describe only partitions with replicas that are not in sync."},
};

static const int actions[] = {TOPICS_LIST, TOPICS_DESCRIBE, TOPICS_CREATE, TOPICS_ALTER, TOPICS_DELETE, -1};
enum { FOR_LIST = 1, FOR_DESCRIBE = 2, FOR_CREATE = 4, FOR_ALTER = 8, FOR_DELETE = 16 };

static const struct option_rule rules[] = {
    {TOPICS_PARTITIONS, FOR_CREATE | FOR_ALTER},
    {TOPICS_ASSIGNMENT, FOR_CREATE | FOR_ALTER},
    {TOPICS_REPLICATION, FOR_CREATE},
    {TOPICS_CONFIG, FOR_CREATE},
    {TOPICS_UNDER_REPLICATED, FOR_DESCRIBE},
    {TOPICS_UNDER_MIN_ISR, FOR_DESCRIBE},
    {TOPICS_AT_MIN_ISR, FOR_DESCRIBE},
    {TOPICS_UNAVAILABLE, FOR_DESCRIBE},
    {TOPICS_OVERRIDES, FOR_DESCRIBE},
    {TOPICS_TOPIC_ID, FOR_DESCRIBE},
    {TOPICS_PAGE, FOR_DESCRIBE},
    {TOPICS_IF_EXISTS, FOR_ALTER | FOR_DELETE | FOR_DESCRIBE},
    {TOPICS_IF_NOT_EXISTS, FOR_CREATE},
    {TOPICS_EXCLUDE_INTERNAL, FOR_LIST | FOR_DESCRIBE},
    {TOPICS_JSON, FOR_LIST | FOR_DESCRIBE},
};

static int topics_check(struct tool *t)
{
    struct topics *x = container_of(t, struct topics, tool);
    int64_t n;

    x->action = only_one(t, actions);
    if (x->action < 0)
        return wrong_words(
            t, "Command must include exactly one action: --list, --describe, --create, --alter or --delete");
    if (x->action == TOPICS_ALTER && given(t, TOPICS_CONFIG))
        return wrong_words(t,
                           "Option combination \"[config],[bootstrap-server]\" can't be used with option \"[alter]\" "
                           "(To alter topic configurations, the kafka-configs tool can be used.)");
    if (given(t, TOPICS_DELETE_CONFIG))
        return wrong_words(t,
                           "--delete-config is no more; kafka-configs.sh --alter --topic NAME --delete-config does it");
    TRY(check_rules(t, actions, x->action, rules, array_count(rules)));
    if (x->action != TOPICS_LIST && x->action != TOPICS_DESCRIBE)
        TRY(needs(t, TOPICS_TOPIC));
    if (x->action == TOPICS_ALTER)
        TRY(needs(t, TOPICS_PARTITIONS));
    if (given(t, TOPICS_PAGE))
        TRY(number_of(t, TOPICS_PAGE, 1, INT32_MAX, &n));
    if (x->action == TOPICS_CREATE || x->action == TOPICS_ALTER)
        return topics_check_create(x);
    return 0;
}

/* ---- names ------------------------------------------------------------------------------------ */

static int compare_names(const void *a, const void *b)
{
    return str_compare((*(struct metadata_response_topics *const *)a)->name,
                       (*(struct metadata_response_topics *const *)b)->name);
}

static bool is_chosen(struct topics *x, const struct metadata_response_topics *topic, struct pattern *const *patterns,
                      struct uuid id)
{
    struct tool *t = &x->tool;

    if (given(t, TOPICS_EXCLUDE_INTERNAL) && (topic->is_internal || topic_is_internal(topic->name)))
        return false;
    if (given(t, TOPICS_TOPIC_ID))
        return uuid_equal(topic->topic_id, id);
    for (uint32_t i = 0; i < t->found[TOPICS_TOPIC].count; i++) {
        if (pattern_matches(patterns[i], topic->name))
            return true;
    }
    return !given(t, TOPICS_TOPIC);
}

/* One that is named must be there, save with --if-exists. */
static int must_exist(struct topics *x)
{
    struct tool *t = &x->tool;

    if (x->chosen_count > 0 || given(t, TOPICS_IF_EXISTS) || x->action == TOPICS_LIST)
        return 0;
    if (given(t, TOPICS_TOPIC_ID))
        return fail_set(&t->fail, -EPROTO, "TopicId '%.*s' does not exist as expected",
                        STR_ARG(value_of(t, TOPICS_TOPIC_ID)));
    if (given(t, TOPICS_TOPIC))
        return fail_set(&t->fail, -EPROTO, "Topic '%.*s' does not exist as expected",
                        STR_ARG(value_of(t, TOPICS_TOPIC)));
    return 0;
}

int topics_choose(struct topics *x)
{
    struct tool *t = &x->tool;
    const struct metadata_response *m = admin_metadata_answer(&x->names, 0);
    struct pattern *patterns[ARG_VALUES_MAX] = {NULL};
    struct uuid id = UUID_ZERO;
    int error = 0;

    if (given(t, TOPICS_TOPIC_ID) && uuid_parse(value_of(t, TOPICS_TOPIC_ID), &id) < 0)
        return fail_set(&t->fail, -EINVAL, "%.*s is no topic id: 22 letters are expected",
                        STR_ARG(value_of(t, TOPICS_TOPIC_ID)));
    for (uint32_t i = 0; error == 0 && i < t->found[TOPICS_TOPIC].count; i++)
        error = pattern_new(t->found[TOPICS_TOPIC].values[i], &patterns[i], &t->fail);
    x->chosen = arena_take_array(&t->arena, (size_t)m->topics_count + 1, sizeof(*x->chosen));
    ASSERT(x->chosen != NULL);
    for (int32_t i = 0; error == 0 && i < m->topics_count; i++) {
        if (is_chosen(x, &m->topics[i], patterns, id))
            x->chosen[x->chosen_count++] = &m->topics[i];
    }
    for (uint32_t i = 0; i < t->found[TOPICS_TOPIC].count; i++)
        pattern_free(patterns[i]);
    TRY(error);
    qsort(x->chosen, x->chosen_count, sizeof(*x->chosen), compare_names);
    return must_exist(x);
}

/* ---- list, delete ----------------------------------------------------------------------------- */

static void list_print(struct topics *x)
{
    static const struct column columns[] = {{"TOPIC", .key = "topic"}};
    struct table table;

    table_begin(&table, &x->tool.arena, columns, array_count(columns));
    for (uint32_t i = 0; i < x->chosen_count; i++)
        table_row(&table, &x->chosen[i]->name);
    if (given(&x->tool, TOPICS_JSON))
        table_json(&table, &x->tool.cli->out);
    else
        table_print(&table, "", "", false, &x->tool.cli->out);
}

static void list_run(struct flow *f)
{
    struct topics *x = container_of(f, struct topics, tool.work);

    FLOW_BEGIN(f);
    metadata_request_init(&x->all);
    x->all.topics_count = -1;
    x->all.allow_auto_topic_creation = false;
    FLOW_WAIT(f, "names", admin_metadata(x->tool.admin, &x->names, &x->all, &f->op));
    if (f->result < 0)
        f->result = call_trouble(&x->tool, &x->names);
    else
        f->result = topics_choose(x);
    if (f->result == 0)
        list_print(x);
    FLOW_END(f);
    flow_done(f, f->result);
}

static void make_delete(struct topics *x)
{
    size_t n = x->chosen_count;

    delete_topics_request_init(&x->remove);
    x->remove.timeout_ms = 60000;
    x->remove.topics_count = (int32_t)n;
    x->remove.topics = arena_take_array(&x->tool.arena, n + 1, sizeof(*x->remove.topics));
    ASSERT(x->remove.topics != NULL);
    for (size_t i = 0; i < n; i++) {
        delete_topics_request_topics_init(&x->remove.topics[i]);
        x->remove.topics[i].name = x->chosen[i]->name;
    }
}

static int delete_answer(struct topics *x)
{
    const struct delete_topics_response *r = admin_delete_topics_answer(&x->tool.call, 0);

    for (int32_t i = 0; i < r->responses_count; i++) {
        if (r->responses[i].error_code != KERR_NONE)
            return answer_fails(&x->tool, r->responses[i].error_code, r->responses[i].error_message);
        if (x->tool.native)
            text_printf(&x->tool.cli->out, "Deleted topic %.*s.\n", STR_ARG(r->responses[i].name));
    }
    return 0;
}

static void delete_run(struct flow *f)
{
    struct topics *x = container_of(f, struct topics, tool.work);

    FLOW_BEGIN(f);
    metadata_request_init(&x->all);
    x->all.topics_count = -1;
    x->all.allow_auto_topic_creation = false;
    FLOW_WAIT(f, "names", admin_metadata(x->tool.admin, &x->names, &x->all, &f->op));
    if (f->result < 0)
        f->result = call_trouble(&x->tool, &x->names);
    else
        f->result = topics_choose(x);
    if (f->result == 0 && x->chosen_count > 0) {
        make_delete(x);
        FLOW_WAIT(f, "delete", admin_delete_topics(x->tool.admin, &x->tool.call, &x->remove, &f->op));
        f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : delete_answer(x);
    }
    FLOW_END(f);
    flow_done(f, f->result);
}

/* ---- the tool ---------------------------------------------------------------------------------- */

static void topics_run_action(struct flow *f)
{
    struct topics *x = container_of(f, struct topics, tool.work);

    switch (x->action) {
    case TOPICS_LIST:
        f->run = list_run;
        break;
    case TOPICS_DESCRIBE:
        f->run = topics_describe_run;
        break;
    case TOPICS_CREATE:
        f->run = topics_create_run;
        break;
    case TOPICS_ALTER:
        f->run = topics_alter_run;
        break;
    default:
        f->run = delete_run;
        break;
    }
    f->run(f);
}

static void topics_end(struct tool *t)
{
    struct topics *x = container_of(t, struct topics, tool);

    admin_call_release(&x->names);
    admin_call_release(&x->configs);
    admin_call_release(&x->moving);
}

static void topics_complain(struct tool *t)
{
    text_printf(&t->cli->out, "Error while executing topic command : %s\n", t->fail.text);
}

#define COMMON                                                                                                         \
    .options = options, .option_count = TOPICS_OPTIONS, .state_bytes = sizeof(struct topics), .server = TOPICS_SERVER, \
    .controller = -1, .config = TOPICS_COMMAND_CONFIG, .old_config = -1, .check = topics_check,                        \
    .run = topics_run_action, .end = topics_end, .complain = topics_complain

const struct tool_info kafka_topics = {
    .program = "kafka-topics.sh",
    .usage = "-b HOST:PORT --list [--topic PATTERN] [--exclude-internal]\n"
             "-b HOST:PORT --describe [--topic PATTERN | --topic-id ID] [FILTER]...\n"
             "-b HOST:PORT --create --topic NAME [--partitions N] [--replication-factor N] [--config K=V]...\n"
             "-b HOST:PORT --alter --topic PATTERN --partitions N\n"
             "-b HOST:PORT --delete --topic PATTERN",
    .purpose = "Topics of a cluster: what there is, and creating, growing and deleting them.",
    COMMON,
};

static const struct tool_action topic_actions[] = {
    {"list", TOPICS_LIST, "Names of topics."},
    {"describe", TOPICS_DESCRIBE, "Partitions with leaders and replicas, and settings."},
    {"create", TOPICS_CREATE, "A new topic."},
    {"alter", TOPICS_ALTER, "More partitions."},
    {"delete", TOPICS_DELETE, "Topics go, with all their records."},
};

const struct tool_info millrace_topic = {
    .program = "millrace topic",
    .usage = "ACTION [NAME]... [OPTION]...",
    .purpose = "Topics of a cluster. Without -b the broker on 127.0.0.1:9092 is asked. A NAME may be a regular "
               "expression, except "
               "to create.",
    .actions = topic_actions,
    .action_count = array_count(topic_actions),
    .names = TOPICS_TOPIC,
    .words_max = ARG_VALUES_MAX,
    COMMON,
};
