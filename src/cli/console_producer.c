/* kafka-console-producer.sh and `millrace produce`: their words. */
#include "cli/console_producer.h"

static const struct arg_option options[] = {
    [CP_TOPIC] = {"topic", .has_value = true, .value = "TOPIC", .help = "The topic to write to."},
    [CP_SYNC] = {"sync",
                 .help = "Wait for the acknowledgement of each record before the next one; end at the first failure."},
    [CP_COMPRESSION_CODEC] = {"compression-codec", .has_value = true, .may_lack_value = true, .value = "CODEC",
                              .help = "none, gzip, snappy, lz4 or zstd; without a value gzip."},
    [CP_BATCH_SIZE] = {"batch-size", .has_value = true, .value = "BYTES", .help = "As the setting batch.size."},
    [CP_MAX_RETRIES] = {"message-send-max-retries", .has_value = true, .value = "N",
                        .help = "As the setting retries (default of kafka-console-producer.sh: 3)."},
    [CP_RETRY_BACKOFF_MS] = {"retry-backoff-ms", .has_value = true, .value = "MS",
                             .help = "As the setting retry.backoff.ms."},
    [CP_TIMEOUT] =
        {"timeout", .has_value = true, .value = "MS",
         .help = "How long a record may wait for others, as linger.ms (default of kafka-console-producer.sh: 1000)."},
    [CP_ACKS] = {"request-required-acks", .has_value = true, .value = "ACKS",
                 .help = "As the setting acks: all, -1, 0 or 1."},
    [CP_REQUEST_TIMEOUT_MS] = {"request-timeout-ms", .has_value = true, .value = "MS",
                               .help =
                                   "As the setting request.timeout.ms (default of kafka-console-producer.sh: 1500)."},
    [CP_METADATA_EXPIRY_MS] = {"metadata-expiry-ms", .has_value = true, .value = "MS",
                               .help = "As the setting metadata.max.age.ms."},
    [CP_MAX_BLOCK_MS] = {"max-block-ms", .has_value = true, .value = "MS", .help = "As the setting max.block.ms."},
    [CP_MAX_MEMORY_BYTES] = {"max-memory-bytes", .has_value = true, .value = "BYTES",
                             .help = "As the setting buffer.memory."},
    [CP_MAX_PARTITION_MEMORY_BYTES] = {"max-partition-memory-bytes", .has_value = true},
    [CP_LINE_READER] = {"line-reader", .has_value = true, .value = "CLASS",
                        .help = "LineMessageReader, the only one there is."},
    [CP_SOCKET_BUFFER_SIZE] = {"socket-buffer-size", .has_value = true, .value = "BYTES",
                               .help = "As the setting send.buffer.bytes."},
    [CP_READER_PROPERTY] =
        {"reader-property", .has_value = true, .value = "NAME=VALUE",
         .help = "How lines are read: parse.key, parse.headers, ignore.error (true or false); key.separator "
                 "(a tab), headers.delimiter (a tab), headers.separator (,), headers.key.separator (:), "
                 "null.marker. With all of it a line is h1:v1,h2:v2<TAB>key<TAB>value."},
    [CP_PROPERTY] = {"property", .has_value = true},
    [CP_READER_CONFIG] = {"reader-config", .has_value = true, .value = "FILE", .help = "A file of such properties."},
    [CP_JSON] =
        {"json",
         .help = "Lines are JSON objects, as `millrace consume --json` prints them: topic (unless --topic says it), "
                 "partition, timestamp, key, value, headers."},
    [CP_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "Brokers to ask."},
    [CP_COMMAND_PROPERTY] = {"command-property", .has_value = true, .value = "NAME=VALUE",
                             .help = "A setting of the producer."},
    [CP_PRODUCER_PROPERTY] = {"producer-property", .has_value = true},
    [CP_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                           .help = "A file of settings of the producer."},
    [CP_PRODUCER_CONFIG] = {"producer.config", .has_value = true},
};

int console_producer_check(struct tool *t)
{
    struct console_producer *x = container_of(t, struct console_producer, tool);

    arena_init(&x->reader_names, 0);
    arena_init(&x->arena, 0);
    if (!given(t, CP_TOPIC) && !given(t, CP_JSON))
        return needs(t, CP_TOPIC);
    if (t->found[CP_TOPIC].count > 1)
        return wrong_words(t, "one topic, please");
    TRY(one_spelling(t, CP_COMMAND_PROPERTY, CP_PRODUCER_PROPERTY));
    TRY(one_spelling(t, CP_COMMAND_CONFIG, CP_PRODUCER_CONFIG));
    TRY(one_spelling(t, CP_READER_PROPERTY, CP_PROPERTY));
    if (given(t, CP_LINE_READER) && !str_equal(value_of(t, CP_LINE_READER), STR("LineMessageReader")) &&
        !str_ends(value_of(t, CP_LINE_READER), STR(".LineMessageReader")))
        return wrong_words(t, "there is no reader %.*s here; there is LineMessageReader",
                           STR_ARG(value_of(t, CP_LINE_READER)));
    return 0;
}

static int prepare_reader(struct console_producer *x)
{
    static const int spellings[] = {CP_PROPERTY, CP_READER_PROPERTY};
    struct tool *t = &x->tool;
    struct properties p;
    struct str name, value;
    int more;

    line_rules_init(&x->rules);
    properties_begin(&p, text_str(&x->reader_text));
    while ((more = properties_next(&p, &name, &value, &t->fail)) == 1)
        line_rules_set(&x->rules, name, arena_str(&x->reader_names, value));
    properties_end(&p);
    TRY(more);
    for (size_t s = 0; s < array_count(spellings); s++) {
        for (uint32_t i = 0; i < t->found[spellings[s]].count; i++) {
            pair_cut(t->found[spellings[s]].values[i], &name, &value);
            line_rules_set(&x->rules, name, value);
        }
    }
    return line_rules_check(&x->rules, &t->fail);
}

static int prepare_settings(struct tool *t)
{
    static const struct {
        int option;
        const char *name, *otherwise; /* of Kafka's tool, which has defaults of its own */
    } merged[] = {
        {CP_BATCH_SIZE, "batch.size", NULL},
        {CP_MAX_PARTITION_MEMORY_BYTES, "batch.size", NULL},
        {CP_MAX_RETRIES, "retries", "3"},
        {CP_RETRY_BACKOFF_MS, "retry.backoff.ms", NULL},
        {CP_TIMEOUT, "linger.ms", "1000"},
        {CP_ACKS, "acks", NULL},
        {CP_REQUEST_TIMEOUT_MS, "request.timeout.ms", "1500"},
        {CP_METADATA_EXPIRY_MS, "metadata.max.age.ms", NULL},
        {CP_MAX_BLOCK_MS, "max.block.ms", NULL},
        {CP_MAX_MEMORY_BYTES, "buffer.memory", NULL},
        {CP_SOCKET_BUFFER_SIZE, "send.buffer.bytes", NULL},
    };

    for (size_t i = 0; i < array_count(merged); i++)
        TRY(setting_merge(t, merged[i].option, merged[i].name, t->native ? NULL : merged[i].otherwise));
    if (given(t, CP_COMPRESSION_CODEC) && value_of(t, CP_COMPRESSION_CODEC).n == 0)
        return config_set(t->config, CONFIG_STATIC_BROKER, STR("compression.type"), STR("gzip"), &t->fail);
    return setting_merge(t, CP_COMPRESSION_CODEC, "compression.type", NULL);
}

int produce_prepare(struct console_producer *x)
{
    struct tool *t = &x->tool;

    TRY(prepare_reader(x));
    TRY(prepare_settings(t));
    TRY(setting_default(t, "client.id", t->native ? "millrace-produce" : "console-producer"));
    return producer_settings_read(t->config, &x->settings, &t->fail);
}

#define COMMON                                                                                            \
    .options = options, .option_count = CP_OPTIONS, .state_bytes = sizeof(struct console_producer),       \
    .server = CP_SERVER, .controller = -1, .config = CP_COMMAND_CONFIG, .old_config = CP_PRODUCER_CONFIG, \
    .streams = true, .settings = &producer_settings, .property = CP_COMMAND_PROPERTY,                     \
    .old_property = CP_PRODUCER_PROPERTY, .check = console_producer_check, .run = produce_run, .end = produce_free

const struct tool_info kafka_console_producer = {
    .program = "kafka-console-producer.sh",
    .usage = "--bootstrap-server HOST:PORT --topic TOPIC [OPTION]...",
    .purpose = "Write each line of standard input to a topic, as a record.",
    COMMON,
};

const struct tool_info millrace_produce = {
    .program = "millrace produce",
    .usage = "TOPIC [OPTION]...\n"
             "[TOPIC] --json [OPTION]...",
    .purpose =
        "Write each line of standard input to a topic, as a record. Without -b the broker on 127.0.0.1:9092 is asked.",
    .native = true,
    .names = CP_TOPIC,
    .words_max = ARG_VALUES_MAX,
    COMMON,
};
