/* kafka-console-consumer.sh and `millrace consume`: their words. */
#include "cli/console_consumer.h"

static const struct arg_option options[] = {
    [CC_TOPIC] = {"topic", .has_value = true, .value = "TOPIC", .help = "The topic to read."},
    [CC_INCLUDE] = {"include", .has_value = true, .value = "PATTERN",
                    .help = "A regular expression of topics to read."},
    [CC_PARTITION] = {"partition", .has_value = true, .value = "N",
                      .help = "Read this partition alone, from its end unless --offset says otherwise."},
    [CC_OFFSET] = {"offset", .has_value = true, .value = "OFFSET",
                   .help = "With --partition: a number, earliest, or latest (default)."},
    [CC_FROM_BEGINNING] = {"from-beginning",
                           .help = "Begin with the first record that is there, where the group has committed nothing."},
    [CC_MAX_MESSAGES] = {"max-messages", .has_value = true, .value = "N", .help = "End after so many records."},
    [CC_TIMEOUT_MS] = {"timeout-ms", .has_value = true, .value = "MS",
                       .help = "End when no record has come for so long."},
    [CC_GROUP] = {"group", .has_value = true, .value = "GROUP",
                  .help = "Read as a member of this group: go on where it has committed, and commit what was printed."},
    [CC_ISOLATION_LEVEL] = {"isolation-level", .has_value = true, .value = "LEVEL",
                            .help = "read_committed: without records of transactions that were aborted. Default: "
                                    "read_uncommitted."},
    [CC_FORMATTER] =
        {"formatter", .has_value = true, .value = "CLASS",
         .help = "DefaultMessageFormatter (default), or the same with Logging or NoOp; of internal topics Offsets, "
                 "GroupMetadata or TransactionLog. Kafka's names with their package as well."},
    [CC_FORMATTER_PROPERTY] =
        {"formatter-property", .has_value = true, .value = "NAME=VALUE",
         .help = "How records are printed: print.timestamp, print.partition, print.offset, "
                 "print.delivery, print.epoch, print.headers, print.key, print.value (true or false); "
                 "key.separator, line.separator, headers.separator, null.literal; key.deserializer, "
                 "value.deserializer, headers.deserializer (of strings, bytes, short, integer, long, "
                 "UUID)."},
    [CC_PROPERTY] = {"property", .has_value = true},
    [CC_FORMATTER_CONFIG] = {"formatter-config", .has_value = true, .value = "FILE",
                             .help = "A file of such properties."},
    [CC_KEY_DESERIALIZER] = {"key-deserializer", .has_value = true, .value = "CLASS", .help = "As key.deserializer."},
    [CC_VALUE_DESERIALIZER] = {"value-deserializer", .has_value = true, .value = "CLASS",
                               .help = "As value.deserializer."},
    [CC_SKIP_ON_ERROR] = {"skip-message-on-error", .help = "Go on behind a record that cannot be printed."},
    [CC_SYSTEST_EVENTS] = {"enable-systest-events", .help = "Print shutdown_complete at the end."},
    [CC_JSON] = {"json", .help = "Print one JSON object a record; `millrace produce --json` takes it back."},
    [CC_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "Brokers to ask."},
    [CC_COMMAND_PROPERTY] = {"command-property", .has_value = true, .value = "NAME=VALUE",
                             .help = "A setting of the consumer."},
    [CC_CONSUMER_PROPERTY] = {"consumer-property", .has_value = true},
    [CC_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "A file of settings of the consumer."},
    [CC_CONSUMER_CONFIG] = {"consumer.config", .has_value = true},
};

/* ---- words ---------------------------------------------------------------------------------------------- */

static int check_offset(struct console_consumer *x)
{
    struct str offset = value_of(&x->tool, CC_OFFSET);

    x->offset = given(&x->tool, CC_FROM_BEGINNING) ? CONSUMER_BEGINNING : CONSUMER_END;
    if (str_is_null(offset) || str_equal_nocase(offset, STR("latest")))
        return 0;
    x->offset = CONSUMER_BEGINNING;
    if (str_equal_nocase(offset, STR("earliest")) || str_to_i64(offset, 0, INT64_MAX, &x->offset) == 0)
        return 0;
    return wrong_words(&x->tool,
                       "The provided offset value '%.*s' is incorrect. Valid values are 'earliest', 'latest', or a "
                       "non-negative long.",
                       STR_ARG(offset));
}

static int check_numbers(struct console_consumer *x)
{
    struct tool *t = &x->tool;

    x->partition = x->messages_max = x->timeout_ms = -1;
    if (given(t, CC_PARTITION))
        TRY(number_of(t, CC_PARTITION, 0, INT32_MAX, &x->partition));
    if (given(t, CC_MAX_MESSAGES))
        TRY(number_of(t, CC_MAX_MESSAGES, -1, INT32_MAX, &x->messages_max));
    if (given(t, CC_TIMEOUT_MS))
        TRY(number_of(t, CC_TIMEOUT_MS, INT64_MIN, INT64_MAX / 1000000 / 2, &x->timeout_ms));
    if (x->timeout_ms < 0)
        x->timeout_ms = -1;
    return check_offset(x);
}

int console_consumer_check(struct tool *t)
{
    struct console_consumer *x = container_of(t, struct console_consumer, tool);

    arena_init(&x->formatter_names, 0);
    if (given(t, CC_TOPIC) == given(t, CC_INCLUDE))
        return wrong_words(t, "Exactly one of the following arguments is required: [topic], [include]");
    if (t->found[CC_TOPIC].count > 1)
        return wrong_words(t, "one topic, or --include with a pattern of several");
    if (given(t, CC_PARTITION) && !given(t, CC_TOPIC))
        return wrong_words(t, "The topic is required when partition is specified.");
    if (given(t, CC_PARTITION) && given(t, CC_FROM_BEGINNING) && given(t, CC_OFFSET))
        return wrong_words(t, "Options from-beginning and offset cannot be specified together.");
    if (!given(t, CC_PARTITION) && given(t, CC_OFFSET))
        return wrong_words(t, "The partition is required when offset is specified.");
    if (given(t, CC_GROUP) && given(t, CC_PARTITION))
        return wrong_words(t, "Options group and partition cannot be specified together.");
    TRY(one_spelling(t, CC_COMMAND_PROPERTY, CC_CONSUMER_PROPERTY));
    TRY(one_spelling(t, CC_COMMAND_CONFIG, CC_CONSUMER_CONFIG));
    TRY(one_spelling(t, CC_FORMATTER_PROPERTY, CC_PROPERTY));
    return check_numbers(x);
}

/* ---- settings ------------------------------------------------------------------------------------------- */

static int prepare_reset(struct console_consumer *x)
{
    struct tool *t = &x->tool;
    bool said = config_source(t->config, CONSUMER_AUTO_OFFSET_RESET) != CONFIG_DEFAULT;
    struct str reset = config_str(t->config, CONSUMER_AUTO_OFFSET_RESET);

    if (said && given(t, CC_FROM_BEGINNING) && !str_equal(reset, STR("earliest")))
        return fail_set(&t->fail, -EINVAL,
                        "Can't simultaneously specify --from-beginning and 'auto.offset.reset=%.*s', please "
                        "remove one option",
                        STR_ARG(reset));
    return setting_default(t, "auto.offset.reset", given(t, CC_FROM_BEGINNING) ? "earliest" : "latest");
}

/* Of --group, or of the settings: where both say it, they say the same. */
static int prepare_group(struct console_consumer *x)
{
    struct tool *t = &x->tool;
    bool said = config_source(t->config, CONSUMER_GROUP_ID) != CONFIG_DEFAULT;
    struct str group = config_str(t->config, CONSUMER_GROUP_ID);

    if (said && given(t, CC_GROUP) && !str_equal(group, value_of(t, CC_GROUP)))
        return wrong_words(
            t,
            "The group ids provided in different places (directly using '--group', via '--command-property', or "
            "via '--command-config') do not match. Detected group ids: '%.*s', '%.*s'",
            STR_ARG(value_of(t, CC_GROUP)), STR_ARG(group));
    if (said && given(t, CC_PARTITION))
        return wrong_words(t, "Options group and partition cannot be specified together.");
    return setting_merge(t, CC_GROUP, "group.id", NULL);
}

static int take_format(struct console_consumer *x, struct str name, struct str value)
{
    return format_set(&x->format, name, value, &x->tool.fail);
}

static int prepare_format(struct console_consumer *x)
{
    static const int spellings[] = {CC_PROPERTY, CC_FORMATTER_PROPERTY};
    struct tool *t = &x->tool;
    struct properties p;
    struct str name, value;
    int more = 0, error = 0;

    format_init(&x->format);
    if (given(t, CC_FORMATTER))
        TRY(format_set_class(&x->format, value_of(t, CC_FORMATTER), &t->fail));
    if (given(t, CC_JSON))
        x->format.kind = FORMAT_JSON;
    properties_begin(&p, text_str(&x->formatter_text));
    while (error == 0 && (more = properties_next(&p, &name, &value, &t->fail)) == 1)
        error = take_format(x, name, arena_str(&x->formatter_names, value));
    properties_end(&p);
    TRY(error < 0 ? error : more);
    if (given(t, CC_KEY_DESERIALIZER))
        TRY(take_format(x, STR("key.deserializer"), value_of(t, CC_KEY_DESERIALIZER)));
    if (given(t, CC_VALUE_DESERIALIZER))
        TRY(take_format(x, STR("value.deserializer"), value_of(t, CC_VALUE_DESERIALIZER)));
    for (size_t s = 0; s < array_count(spellings); s++) {
        for (uint32_t i = 0; i < t->found[spellings[s]].count; i++) {
            pair_cut(t->found[spellings[s]].values[i], &name, &value);
            TRY(take_format(x, name, value));
        }
    }
    return 0;
}

int consume_prepare(struct console_consumer *x)
{
    struct tool *t = &x->tool;

    if (given(t, CC_INCLUDE))
        TRY(pattern_new(value_of(t, CC_INCLUDE), &x->pattern, &t->fail));
    TRY(prepare_reset(x));
    TRY(prepare_group(x));
    TRY(prepare_format(x));
    TRY(setting_default(t, "client.id", t->native ? "millrace-consume" : "console-consumer"));
    TRY(setting_merge(t, CC_ISOLATION_LEVEL, "isolation.level", NULL));
    return consumer_settings_read(t->config, &x->settings, &t->fail);
}

#define COMMON                                                                                            \
    .options = options, .option_count = CC_OPTIONS, .state_bytes = sizeof(struct console_consumer),       \
    .server = CC_SERVER, .controller = -1, .config = CC_COMMAND_CONFIG, .old_config = CC_CONSUMER_CONFIG, \
    .streams = true, .settings = &consumer_settings, .property = CC_COMMAND_PROPERTY,                     \
    .old_property = CC_CONSUMER_PROPERTY, .check = console_consumer_check, .run = consume_run, .end = consume_free

const struct tool_info kafka_console_consumer = {
    .program = "kafka-console-consumer.sh",
    .usage = "--bootstrap-server HOST:PORT --topic TOPIC [--group GROUP] [--from-beginning] [OPTION]...\n"
             "--bootstrap-server HOST:PORT --topic TOPIC --partition N [--offset OFFSET] [OPTION]...\n"
             "--bootstrap-server HOST:PORT --include PATTERN [OPTION]...",
    .purpose =
        "Print records of topics as they come, until it is interrupted (Ctrl-C), or as many as --max-messages says.",
    COMMON,
};

const struct tool_info millrace_consume = {
    .program = "millrace consume",
    .usage = "TOPIC [--group GROUP] [--from-beginning] [--json] [OPTION]...",
    .purpose = "Print records of a topic as they come, until it is interrupted (Ctrl-C). Without -b the broker on "
               "127.0.0.1:9092 "
               "is asked.",
    .native = true,
    .names = CC_TOPIC,
    .words_max = ARG_VALUES_MAX,
    COMMON,
};
