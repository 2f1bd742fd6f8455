/* kafka-configs.sh and `millrace config`: options, checks, alter. */
#include "cli/configs.h"

#include "log/log.h"

#include <errno.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (1 << 20)

/* IncrementalAlterConfigs' operations. */
enum { OPERATION_SET = 0, OPERATION_DELETE = 1 };

static const struct arg_option options[CONFIGS_OPTIONS] = {
    [CONFIGS_ADD] = {"add-config", .has_value = true, .value = "K=V,...",
                     .help =
                         "Settings to set. A value with commas stands in brackets: cleanup.policy=[compact,delete]. "
                         "`millrace settings` lists them."},
    [CONFIGS_ADD_FILE] = {"add-config-file", .has_value = true, .value = "FILE",
                          .help = "A properties file with settings to set."},
    [CONFIGS_ALL] = {"all", .help = "Describe all settings, those with default values and of server.properties too."},
    [CONFIGS_ALTER] = {"alter", .help = "Change settings."},
    [CONFIGS_CONTROLLER] = {"bootstrap-controller", .has_value = true, .value = "HOST:PORT,...",
                            .help = "Ask a controller instead, by its own listener."},
    [CONFIGS_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                        .help = "The broker to ask; several are tried in turn."},
    [CONFIGS_BROKER] = {"broker", .has_value = true, .value = "ID", .help = "The broker with this id."},
    [CONFIGS_BROKER_DEFAULTS] = {"broker-defaults",
                                 .help = "What holds for all brokers that have no value of their own."},
    [CONFIGS_BROKER_LOGGER] = {"broker-logger", .has_value = true, .value = "ID",
                               .help = "The log levels of the broker with this id."},
    [CONFIGS_CLIENT] = {"client", .has_value = true, .value = "ID", .help = "Quotas of the client with this id."},
    [CONFIGS_CLIENT_DEFAULTS] = {"client-defaults", .help = "Quotas of clients that have none of their own."},
    [CONFIGS_CLIENT_METRICS] = {"client-metrics", .has_value = true, .value = "NAME",
                                .help = "A subscription to metrics of clients (KIP-714)."},
    [CONFIGS_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                                .help = "Settings of an admin client: request.timeout.ms, default.api.timeout.ms ..."},
    [CONFIGS_DELETE] = {"delete-config", .has_value = true, .value = "K,...",
                        .help = "Settings to remove, so that the default holds."},
    [CONFIGS_DESCRIBE] = {"describe", .help = "Show settings."},
    [CONFIGS_ENTITY_DEFAULT] = {"entity-default",
                                .help = "With --entity-type: the type's default, as --broker-defaults."},
    [CONFIGS_ENTITY_NAME] = {"entity-name", .has_value = true, .value = "NAME",
                             .help = "With --entity-type: whose settings."},
    [CONFIGS_ENTITY_TYPE] =
        {"entity-type", .has_value = true, .value = "TYPE",
         .help = "topics, brokers, broker-loggers, groups, client-metrics, users, clients or ips. Alone: all of "
                 "the type (describe)."},
    [CONFIGS_GROUP] = {"group", .has_value = true, .value = "ID", .help = "The group with this id."},
    [CONFIGS_IP] = {"ip", .has_value = true, .value = "ADDRESS", .help = "Quotas of connections from this address."},
    [CONFIGS_IP_DEFAULTS] = {"ip-defaults", .help = "Quotas of addresses that have none of their own."},
    [CONFIGS_JSON] = {"json", .help = "Describe as JSON."},
    [CONFIGS_TOPIC] = {"topic", .has_value = true, .value = "NAME", .help = "The topic of this name."},
    [CONFIGS_USER] = {"user", .has_value = true, .value = "NAME", .help = "Quotas of the user of this name."},
    [CONFIGS_USER_DEFAULTS] = {"user-defaults", .help = "Quotas of users that have none of their own."},
};

static const int actions[] = {CONFIGS_DESCRIBE, CONFIGS_ALTER, -1};
enum { FOR_DESCRIBE = 1, FOR_ALTER = 2 };

static const struct option_rule rules[] = {
    {CONFIGS_ALL, FOR_DESCRIBE},   {CONFIGS_JSON, FOR_DESCRIBE}, {CONFIGS_ADD, FOR_ALTER},
    {CONFIGS_ADD_FILE, FOR_ALTER}, {CONFIGS_DELETE, FOR_ALTER},
};

static int check_alter(struct configs *x)
{
    struct tool *t = &x->tool;

    if (!given(t, CONFIGS_ADD) && !given(t, CONFIGS_ADD_FILE) && !given(t, CONFIGS_DELETE))
        return wrong_words(
            t, "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter");
    if (given(t, CONFIGS_ADD) && given(t, CONFIGS_ADD_FILE))
        return wrong_words(t, "Only one of --add-config or --add-config-file must be specified.");
    if (str_is_null(x->named[0].name) || (x->named_count == 2 && str_is_null(x->named[1].name)))
        return wrong_words(t, "An entity-name or default entity must be specified with --alter of %s",
                           x->named[0].type->plural);
    return configs_changes(x);
}

static int configs_check(struct tool *t)
{
    struct configs *x = container_of(t, struct configs, tool);

    x->action = only_one(t, actions);
    if (x->action < 0)
        return wrong_words(t, "Command must include exactly one action: --describe, --alter");
    TRY(check_rules(t, actions, x->action, rules, array_count(rules)));
    if (given(t, CONFIGS_SERVER) && given(t, CONFIGS_CONTROLLER))
        return wrong_words(t, "Only one of --bootstrap-server or --bootstrap-controller can be specified.");
    if (!given(t, CONFIGS_SERVER) && !given(t, CONFIGS_CONTROLLER))
        return wrong_words(t, "Either --bootstrap-server or --bootstrap-controller must be specified.");
    TRY(configs_entities(x));
    if (given(t, CONFIGS_CONTROLLER) && str_is_null(x->named[0].name))
        return wrong_words(t, "controllers do not list %s: name one", x->named[0].type->plural);
    return x->action == CONFIGS_ALTER ? check_alter(x) : 0;
}

/* ---- alter ------------------------------------------------------------------------------------ */

static void make_alter(struct configs *x)
{
    struct incremental_alter_configs_request_resources *r = &x->alter_one;

    incremental_alter_configs_request_init(&x->alter);
    incremental_alter_configs_request_resources_init(r);
    x->alter.resources = r;
    x->alter.resources_count = 1;
    r->resource_type = (int8_t)x->named[0].type->resource;
    r->resource_name = x->named[0].name;
    r->configs = arena_take_array(&x->tool.arena, x->change_count + 1, sizeof(*r->configs));
    ASSERT(r->configs != NULL);
    for (uint32_t i = 0; i < x->change_count; i++) {
        struct incremental_alter_configs_request_resources_configs *c = &r->configs[r->configs_count++];
        incremental_alter_configs_request_resources_configs_init(c);
        c->name = x->changes[i].name;
        c->value = x->changes[i].value;
        c->config_operation = str_is_null(c->value) ? OPERATION_DELETE : OPERATION_SET;
    }
}

void configs_say_altered(struct configs *x)
{
    const struct entity *e = &x->named[0];

    if (e->name.n == 0)
        text_printf(&x->tool.cli->out, "Completed updating default config for %s in the cluster.\n", e->type->plural);
    else
        text_printf(&x->tool.cli->out, "Completed updating config for %s %.*s.\n", e->type->singular, STR_ARG(e->name));
}

static int alter_answer(struct configs *x)
{
    struct tool *t = &x->tool;
    const struct incremental_alter_configs_response *r = admin_incremental_alter_configs_answer(&t->call, 0);

    for (int32_t i = 0; i < r->responses_count; i++) {
        if (r->responses[i].error_code != KERR_NONE)
            return answer_fails(t, r->responses[i].error_code, r->responses[i].error_message);
    }
    configs_say_altered(x);
    return 0;
}

void configs_alter_run(struct flow *f)
{
    struct configs *x = container_of(f, struct configs, tool.work);

    FLOW_BEGIN(f);
    if (given(&x->tool, CONFIGS_ADD_FILE)) {
        x->file_path = str_dup(value_of(&x->tool, CONFIGS_ADD_FILE));
        FLOW_WAIT(f, "file", file_read_all(x->tool.io, x->file_path, FILE_BYTES_MAX, &x->file, &f->op));
        if (f->result < 0) {
            fail_set(&x->tool.fail, (int)f->result, "Unable to read file %s: %s", x->file_path,
                     error_text((int)f->result));
            goto failed;
        }
        if (x->file.n > 0 && (f->result = configs_changes(x)) < 0)
            goto failed;
    }
    if (x->named[0].type->resource == RESOURCE_QUOTA) {
        f->line = 0;
        f->run = configs_quotas_alter_run;
        f->run(f);
        return;
    }
    make_alter(x);
    FLOW_WAIT(f, "alter", admin_incremental_alter_configs(x->tool.admin, &x->tool.call, &x->alter, &f->op));
    f->result = f->result < 0 ? call_trouble(&x->tool, &x->tool.call) : alter_answer(x);
    FLOW_END(f);
failed:
    flow_done(f, f->result);
}

/* ---- the tool --------------------------------------------------------------------------------- */

static void configs_run(struct flow *f)
{
    struct configs *x = container_of(f, struct configs, tool.work);

    if (x->action == CONFIGS_ALTER)
        f->run = configs_alter_run;
    else
        f->run = x->named[0].type->resource == RESOURCE_QUOTA ? configs_quotas_describe_run : configs_describe_run;
    f->run(f);
}

static void configs_end(struct tool *t)
{
    struct configs *x = container_of(t, struct configs, tool);

    admin_call_release(&x->names);
    admin_call_release(&x->more_names);
    text_deinit(&x->file);
    free(x->file_path);
}

static void configs_complain(struct tool *t)
{
    text_printf(&t->cli->err, "Error while executing config command with args '");
    for (int i = 1; i < t->cli->argc; i++)
        text_printf(&t->cli->err, "%s%s", i == 1 ? "" : " ", t->cli->argv[i]);
    text_printf(&t->cli->err, "'\n%s\n", t->fail.text);
}

#define COMMON                                                                                                      \
    .options = options, .option_count = CONFIGS_OPTIONS, .state_bytes = sizeof(struct configs),                     \
    .server = CONFIGS_SERVER, .controller = CONFIGS_CONTROLLER, .config = CONFIGS_COMMAND_CONFIG, .old_config = -1, \
    .check = configs_check, .run = configs_run, .end = configs_end, .complain = configs_complain

const struct tool_info kafka_configs = {
    .program = "kafka-configs.sh",
    .usage = "-b HOST:PORT --describe (--topic NAME | --broker ID | --entity-type TYPE ...) [--all]\n"
             "-b HOST:PORT --alter (--topic NAME | ...) [--add-config K=V,...] [--delete-config K,...]",
    .purpose = "Settings of topics, brokers, groups and subscriptions to clients' metrics, while the cluster runs.",
    COMMON,
};

static const struct tool_action config_actions[] = {
    {"describe", CONFIGS_DESCRIBE, "Show settings."},
    {"alter", CONFIGS_ALTER, "Change settings."},
};

const struct tool_info millrace_config = {
    .program = "millrace config",
    .usage = "describe (--topic NAME | --broker ID | --group ID | --entity-type TYPE ...) [--all] [--json]\n"
             "alter (--topic NAME | ...) [--add-config K=V,...] [--delete-config K,...]",
    .purpose = "Settings, while the cluster runs. Without -b the broker on 127.0.0.1:9092 is asked.",
    .actions = config_actions,
    .action_count = array_count(config_actions),
    .names = -1,
    .words_max = ARG_VALUES_MAX,
    COMMON,
};
