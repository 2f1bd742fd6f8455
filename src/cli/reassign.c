/* kafka-reassign-partitions.sh: options, and what every action begins with. */
#include "cli/reassign.h"

#include "log/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (64 << 20)
#define TIMEOUT_MS 10000
#define LIST_TIMEOUT_MS 60000

static const struct arg_option options[RP_OPTIONS] = {
    [RP_ADDITIONAL] = {"additional", .help = "execute: although others are moving, or to change their throttle."},
    [RP_CONTROLLER] = {"bootstrap-controller", .has_value = true, .value = "HOST:PORT,...",
                       .help = "cancel: ask a controller instead, by its own listener."},
    [RP_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [RP_BROKERS] = {"broker-list", .has_value = true, .value = "ID,...",
                    .help = "generate: the brokers that are to hold the topics."},
    [RP_CANCEL] = {"cancel", .help = "The partitions of the file go back to where they were."},
    [RP_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [RP_NO_RACKS] = {"disable-rack-aware", .help = "generate: racks do not matter."},
    [RP_SAME_FACTOR] = {"disallow-replication-factor-change",
                        .help = "execute: refuse to give a partition more or fewer replicas than it has."},
    [RP_EXECUTE] = {"execute", .help = "Begin to move partitions to where the file says. Prints where they are."},
    [RP_GENERATE] = {"generate",
                     .help = "Propose how topics could lie on the brokers of --broker-list. Nothing is done."},
    [RP_LIST] = {"list", .help = "What is being moved."},
    [RP_PRESERVE] = {"preserve-throttles", .help = "verify, cancel: leave throttles as they are."},
    [RP_FILE] = {"reassignment-json-file", .has_value = true, .value = "FILE",
                 .help = "Where partitions are to be: {\"version\": 1, \"partitions\": "
                         "[{\"topic\": \"orders\", \"partition\": "
                         "0, \"replicas\": [1, 2], \"log_dirs\": [\"any\", \"/data\"]}]}; log_dirs "
                         "may be missing."},
    [RP_DIRS_THROTTLE] = {"replica-alter-log-dirs-throttle", .has_value = true, .value = "BYTES/S",
                          .help = "execute: how fast replicas move between the directories of a broker."},
    [RP_THROTTLE] = {"throttle", .has_value = true, .value = "BYTES/S",
                     .help = "execute: how fast partitions move between brokers, for each broker. "
                             "--verify removes it when "
                             "all is done."},
    [RP_TIMEOUT] = {"timeout", .has_value = true, .value = "MS",
                    .help = "execute, cancel: how long a move to a log directory may take to begin (10000)."},
    [RP_TOPICS_FILE] = {"topics-to-move-json-file", .has_value = true, .value = "FILE",
                        .help = "generate: {\"version\": 1, \"topics\": [{\"topic\": \"orders\"}]}"},
    [RP_VERIFY] = {"verify", .help = "Say how far the moves of the file are; when none is left, remove throttles."},
};

static const int actions[] = {RP_GENERATE, RP_EXECUTE, RP_VERIFY, RP_CANCEL, RP_LIST, -1};
enum { FOR_GENERATE = 1, FOR_EXECUTE = 2, FOR_VERIFY = 4, FOR_CANCEL = 8 };

static const struct option_rule rules[] = {
    {RP_ADDITIONAL, FOR_EXECUTE},
    {RP_BROKERS, FOR_GENERATE},
    {RP_NO_RACKS, FOR_GENERATE},
    {RP_SAME_FACTOR, FOR_EXECUTE},
    {RP_PRESERVE, FOR_VERIFY | FOR_CANCEL},
    {RP_FILE, FOR_EXECUTE | FOR_VERIFY | FOR_CANCEL},
    {RP_DIRS_THROTTLE, FOR_EXECUTE},
    {RP_THROTTLE, FOR_EXECUTE},
    {RP_TIMEOUT, FOR_EXECUTE | FOR_CANCEL},
    {RP_TOPICS_FILE, FOR_GENERATE},
};

int terse_fails(struct reassign *x, int error, const char *format, ...)
{
    va_list args;

    x->terse = true;
    va_start(args, format);
    vsnprintf(x->tool.fail.text, sizeof(x->tool.fail.text), format, args);
    va_end(args);
    return x->tool.fail.error = error;
}

static int reassign_check(struct tool *t)
{
    struct reassign *x = container_of(t, struct reassign, tool);

    x->asked.arena = x->current.arena = x->now.arena = &t->arena;
    x->throttle = x->dirs_throttle = -1;
    x->timeout_ms = TIMEOUT_MS;
    x->action = only_one(t, actions);
    if (x->action < 0)
        return wrong_words(t, "Command must include exactly one action: %.*s", STR_ARG(names_of(t, actions)));
    if (given(t, RP_SERVER) && given(t, RP_CONTROLLER))
        return wrong_words(t, "Please don't specify both --bootstrap-server and --bootstrap-controller");
    if (!given(t, RP_SERVER) && !given(t, RP_CONTROLLER))
        return wrong_words(t, "Please specify either --bootstrap-server or --bootstrap-controller");
    if (x->action == RP_GENERATE) {
        TRY(needs(t, RP_TOPICS_FILE));
        TRY(needs(t, RP_BROKERS));
    } else if (x->action != RP_LIST) {
        TRY(needs(t, RP_FILE));
    }
    TRY(check_rules(t, actions, x->action, rules, array_count(rules)));
    if (given(t, RP_THROTTLE))
        TRY(number_of(t, RP_THROTTLE, -1, INT64_MAX, &x->throttle));
    if (given(t, RP_DIRS_THROTTLE))
        TRY(number_of(t, RP_DIRS_THROTTLE, -1, INT64_MAX, &x->dirs_throttle));
    if (given(t, RP_TIMEOUT))
        TRY(number_of(t, RP_TIMEOUT, 0, INT32_MAX, &x->timeout_ms));
    if (given(t, RP_CONTROLLER) && x->action != RP_CANCEL)
        return fail_set(&t->fail, -EINVAL, "The --bootstrap-controller option is not supported with these action.");
    return 0;
}

/* ---- what moves now ---------------------------------------------------------------------------
 */

moving_ptr reassign_moving(const struct reassign *x, struct str topic, int32_t partition)
{
    return moving_find(admin_list_partition_reassignments_answer(&x->moving, 0), topic, partition);
}

uint32_t reassign_moving_count(const struct reassign *x)
{
    const struct list_partition_reassignments_response *r = admin_list_partition_reassignments_answer(&x->moving, 0);
    uint32_t count = 0;

    for (int32_t t = 0; t < r->topics_count; t++)
        count += (uint32_t)r->topics[t].partitions_count;
    return count;
}

struct throttles *reassign_throttles(struct reassign *x)
{
    x->throttles = (struct throttles){
        .tool = &x->tool,
        .rate = x->throttle,
        .dirs_rate = x->dirs_throttle,
        .moving = admin_list_partition_reassignments_answer(&x->moving, 0),
        .nodes = admin_describe_cluster_answer(&x->nodes, 0),
        .asked = &x->asked,
        .current = &x->current,
        .targets = x->targets,
        .target_count = x->target_count,
    };
    return &x->throttles;
}

/* ---- the flow ---------------------------------------------------------------------------------
 */

static int take_file(struct reassign *x, int64_t result)
{
    struct tool *t = &x->tool;

    if (result < 0)
        return fail_set(&t->fail, (int)result, "Unable to read file %s: %s", x->path, error_text((int)result));
    if (x->action == RP_GENERATE)
        return 0; /* read when the topics are known */
    TRY(placements_read(&x->asked, text_str(&x->file), true, &t->fail));
    placements_sort(&x->asked);
    return x->action == RP_EXECUTE ? reassign_check_asked(x) : 0;
}

static int moving_answer(struct reassign *x)
{
    const struct list_partition_reassignments_response *r = admin_list_partition_reassignments_answer(&x->moving, 0);

    return r->error_code == KERR_NONE ? 0 : answer_fails(&x->tool, r->error_code, r->error_message);
}

static int nodes_answer(struct reassign *x)
{
    const struct describe_cluster_response *r = admin_describe_cluster_answer(&x->nodes, 0);

    return r->error_code == KERR_NONE ? 0 : answer_fails(&x->tool, r->error_code, r->error_message);
}

static void make_asks(struct reassign *x)
{
    list_partition_reassignments_request_init(&x->ask_moving);
    x->ask_moving.timeout_ms = LIST_TIMEOUT_MS;
    x->ask_moving.topics_count = -1;
    describe_cluster_request_init(&x->ask_nodes);
    x->ask_nodes.endpoint_type = given(&x->tool, RP_CONTROLLER) ? 2 : 1;
    metadata_request_init(&x->ask_topics);
    x->ask_topics.topics_count = -1;
    x->ask_topics.allow_auto_topic_creation = false;
}

static void begin_run(struct flow *f)
{
    struct reassign *x = container_of(f, struct reassign, part);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    if (x->action != RP_LIST) {
        x->path = str_dup(value_of(t, x->action == RP_GENERATE ? RP_TOPICS_FILE : RP_FILE));
        FLOW_WAIT(f, "file", file_read_all(t->io, x->path, FILE_BYTES_MAX, &x->file, &f->op));
        f->result = take_file(x, f->result);
        if (f->result < 0)
            goto failed;
    }
    make_asks(x);
    FLOW_WAIT(f, "moving", admin_list_partition_reassignments(t->admin, &x->moving, &x->ask_moving, &f->op));
    f->result = f->result < 0 ? call_trouble(t, &x->moving) : moving_answer(x);
    if (f->result < 0)
        goto failed;
    FLOW_WAIT(f, "nodes", admin_describe_cluster(t->admin, &x->nodes, &x->ask_nodes, &f->op));
    f->result = f->result < 0 ? call_trouble(t, &x->nodes) : nodes_answer(x);
    if (f->result == 0 && !given(t, RP_CONTROLLER)) { /* controllers tell of no topics */
        FLOW_WAIT(f, "topics", admin_metadata(t->admin, &x->topics, &x->ask_topics, &f->op));
        f->result = f->result < 0 ? call_trouble(t, &x->topics) : 0;
        if (f->result == 0)
            placements_take(&x->current, admin_metadata_answer(&x->topics, 0));
    }
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* The action's own flow, which goes on in the place of reassign_run; NULL: all is said. */
static void (*action_run(const struct reassign *x))(struct flow *)
{
    switch (x->action) {
    case RP_GENERATE:
        return reassign_generate_run;
    case RP_EXECUTE:
        return reassign_execute_run;
    case RP_VERIFY:
        return reassign_verify_run;
    case RP_CANCEL:
        return reassign_cancel_run;
    default:
        return NULL;
    }
}

static void reassign_run(struct flow *f)
{
    struct reassign *x = container_of(f, struct reassign, tool.work);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "begin", flow_start(&x->part, begin_run, &f->op));
    FLOW_END(f);
    if (f->result == 0 && action_run(x) != NULL) {
        f->line = 0;
        f->run = action_run(x);
        f->run(f);
        return;
    }
    if (f->result == 0)
        reassign_list(x);
    flow_done(f, f->result);
}

static void reassign_end(struct tool *t)
{
    struct reassign *x = container_of(t, struct reassign, tool);

    admin_call_release(&x->moving);
    admin_call_release(&x->nodes);
    admin_call_release(&x->topics);
    text_deinit(&x->file);
    free(x->path);
}

static void reassign_complain(struct tool *t)
{
    text_printf(&t->cli->out, "%s%s\n", container_of(t, struct reassign, tool)->terse ? "" : "Error: ", t->fail.text);
}

const struct tool_info kafka_reassign_partitions = {
    .program = "kafka-reassign-partitions.sh",
    .usage = "-b HOST:PORT --generate --topics-to-move-json-file FILE --broker-list ID,...\n"
             "-b HOST:PORT --execute --reassignment-json-file FILE [--throttle BYTES/S]\n"
             "-b HOST:PORT --verify --reassignment-json-file FILE [--preserve-throttles]\n"
             "-b HOST:PORT --cancel --reassignment-json-file FILE [--preserve-throttles]\n"
             "-b HOST:PORT --list",
    .purpose = "Move partitions to other brokers, or to other log directories: propose, begin, "
               "follow, cancel.",
    .options = options,
    .option_count = RP_OPTIONS,
    .state_bytes = sizeof(struct reassign),
    .server = RP_SERVER,
    .controller = RP_CONTROLLER,
    .config = RP_COMMAND_CONFIG,
    .old_config = -1,
    .check = reassign_check,
    .run = reassign_run,
    .end = reassign_end,
    .complain = reassign_complain,
};
