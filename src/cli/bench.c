/* `millrace bench`: load on a running cluster, and what came of it. Words, topic, the order of things. */
#include "cli/bench.h"

#include <errno.h>

#define TIMEOUT_MS 60000
#define SECONDS_DEFAULT 10
#define SIZE_DEFAULT 1000
#define IN_FLIGHT_DEFAULT 10000
#define FILL_DEFAULT 1000000 /* records for `consume` to read */
#define STAMP_BYTES 16       /* whose record it is, and when it was due */

static const struct arg_option options[BENCH_OPTIONS] = {
    [BENCH_PRODUCE] = {"produce", .help = NULL},
    [BENCH_CONSUME] = {"consume", .help = NULL},
    [BENCH_BOTH] = {"both", .help = NULL},
    [BENCH_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                      .help = "The broker to ask; several are tried in turn."},
    [BENCH_COMMAND_CONFIG] = {"command-config", .has_value = true, .value = "FILE",
                              .help = "A file with settings of clients."},
    [BENCH_TOPIC] = {"topic", .has_value = true, .value = "TOPIC",
                     .help = "Use this one. One that is not there is made, and removed at the end."},
    [BENCH_RECORDS] = {"records", .has_value = true, .value = "N", .help = "End after so many, warm-up included."},
    [BENCH_SECONDS] = {"seconds", .has_value = true, .value = "S",
                       .help = "Make records for so long, behind the warm-up; 10 by default without --records."},
    [BENCH_WARMUP] = {"warmup", .has_value = true, .value = "S",
                      .help = "Leave out what is due in the first S seconds; 1 by default without --records."},
    [BENCH_SIZE] = {"size", .has_value = true, .value = "BYTES", .help = "Of a record's value; 1000 by default."},
    [BENCH_RATE] = {"rate", .has_value = true, .value = "N",
                    .help = "Records a second, each due at its time, however late its forerunners are (open loop)."},
    [BENCH_IN_FLIGHT] = {"in-flight", .has_value = true, .value = "N",
                         .help = "Without --rate: so many records may be on their way (closed loop); 10000 else."},
    [BENCH_PARTITIONS] = {"partitions", .has_value = true, .value = "N",
                          .help = "Of a topic that is made; 1 by default."},
    [BENCH_REPLICATION] = {"replication-factor", .has_value = true, .value = "N",
                           .help = "Of a topic that is made; the brokers' default otherwise."},
    [BENCH_CONFIG] = {"config", .has_value = true, .value = "NAME=VALUE", .help = "A setting of a topic that is made."},
    [BENCH_PRODUCER_PROPERTY] = {"producer-property", .has_value = true, .value = "NAME=VALUE",
                                 .help = "A setting of the producer: acks=1, batch.size=65536 ..."},
    [BENCH_CONSUMER_PROPERTY] = {"consumer-property", .has_value = true, .value = "NAME=VALUE",
                                 .help = "A setting of the consumer."},
    [BENCH_KEEP] = {"keep", .help = "Do not remove a topic that was made."},
    [BENCH_JSON] = {"json", .help = "Print JSON."},
};

/* ---- words ------------------------------------------------------------------------------------ */

static int take_numbers(struct bench *x)
{
    struct tool *t = &x->tool;
    const struct {
        int option;
        int64_t low, high, *out;
    } rows[] = {
        {BENCH_RECORDS, 1, INT64_MAX, &x->records},     {BENCH_SECONDS, 1, 1000000, &x->seconds},
        {BENCH_WARMUP, 0, 1000000, &x->warmup},         {BENCH_SIZE, STAMP_BYTES, 1 << 28, &x->size},
        {BENCH_RATE, 1, 1000000000, &x->rate},          {BENCH_IN_FLIGHT, 1, INT64_MAX, &x->in_flight},
        {BENCH_PARTITIONS, 1, 100000, &x->partitions},  {BENCH_REPLICATION, 1, INT16_MAX, &x->replication},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        *rows[i].out = -1;
        if (given(t, rows[i].option))
            TRY(number_of(t, rows[i].option, rows[i].low, rows[i].high, rows[i].out));
    }
    if (x->records < 0 && x->seconds < 0)
        x->seconds = SECONDS_DEFAULT;
    if (x->warmup < 0)
        x->warmup = x->records < 0;
    x->size = x->size < 0 ? SIZE_DEFAULT : x->size;
    x->partitions = x->partitions < 0 ? 1 : x->partitions;
    x->in_flight = x->in_flight < 0 ? IN_FLIGHT_DEFAULT : x->in_flight;
    return 0;
}

static int bench_check(struct tool *t)
{
    static const int modes[] = {BENCH_PRODUCE, BENCH_CONSUME, BENCH_BOTH, -1};
    struct bench *x = container_of(t, struct bench, tool);

    x->mode = only_one(t, modes);
    if (x->mode < 0)
        return wrong_words(t, "say what to do, once: produce, consume or both");
    if (x->mode == BENCH_CONSUME && (given(t, BENCH_RATE) || given(t, BENCH_WARMUP)))
        return wrong_words(t, "--rate and --warmup are not for consume");
    if (given(t, BENCH_RATE) && given(t, BENCH_IN_FLIGHT))
        return wrong_words(t, "--rate and --in-flight exclude each other: an open loop does not wait for answers");
    return take_numbers(x);
}

/* ---- settings -------------------------------------------------------------------------------------- */

static int take_properties(struct bench *x, int option, struct config *c)
{
    const struct arg_found *found = &x->tool.found[option];

    for (uint32_t i = 0; i < found->count; i++) {
        struct str name, value;
        pair_cut(found->values[i], &name, &value);
        TRY(client_setting_set(c, name, value, &x->tool.fail));
    }
    return config_set(c, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), value_of(&x->tool, BENCH_SERVER),
                      &x->tool.fail);
}

static int take_settings(struct bench *x)
{
    x->producer_config = config_new(&producer_settings);
    x->consumer_config = config_new(&consumer_settings);
    TRY(tool_file_take(&x->tool, x->producer_config));
    TRY(tool_file_take(&x->tool, x->consumer_config));
    TRY(take_properties(x, BENCH_PRODUCER_PROPERTY, x->producer_config));
    return take_properties(x, BENCH_CONSUMER_PROPERTY, x->consumer_config);
}

/* ---- the topic --------------------------------------------------------------------------------------- */

static int make_create(struct bench *x)
{
    struct tool *t = &x->tool;
    const struct arg_found *configs = &t->found[BENCH_CONFIG];
    struct create_topics_request_topics *topic = arena_take(&t->arena, sizeof(*topic));

    ASSERT(topic != NULL);
    create_topics_request_init(&x->create);
    create_topics_request_topics_init(topic);
    x->create.timeout_ms = TIMEOUT_MS;
    x->create.topics = topic;
    x->create.topics_count = 1;
    topic->name = x->topic;
    topic->num_partitions = (int32_t)x->partitions;
    topic->replication_factor = (int16_t)x->replication;
    topic->configs = arena_take_array(&t->arena, configs->count + 1, sizeof(*topic->configs));
    ASSERT(topic->configs != NULL);
    for (uint32_t i = 0; i < configs->count; i++) {
        struct create_topics_request_topics_configs *c = &topic->configs[topic->configs_count++];
        create_topics_request_topics_configs_init(c);
        pair_cut(configs->values[i], &c->name, &c->value);
    }
    return 0;
}

static int create_answer(struct bench *x)
{
    const struct create_topics_response *r = admin_create_topics_answer(&x->topic_call, 0);
    const struct create_topics_response_topics *topic = r->topics_count > 0 ? &r->topics[0] : NULL;

    if (topic == NULL)
        return fail_set(&x->tool.fail, -EPROTO, "the cluster does not say whether it has made the topic");
    if (topic->error_code == KERR_TOPIC_ALREADY_EXISTS)
        return 0;
    if (topic->error_code != KERR_NONE)
        return answer_fails(&x->tool, topic->error_code, topic->error_message);
    x->made = true;
    text_printf(&x->tool.cli->err, "made topic %.*s, %lld partition%s\n", STR_ARG(x->topic), (long long)x->partitions,
                x->partitions == 1 ? "" : "s");
    return 0;
}

static int topic_answer(struct bench *x)
{
    const struct metadata_response *m = admin_metadata_answer(&x->topic_call, 0);

    if (m->topics_count != 1)
        return fail_set(&x->tool.fail, -EPROTO, "the cluster does not say what the topic is like");
    if (m->topics[0].error_code != KERR_NONE)
        return answer_fails(&x->tool, m->topics[0].error_code, STR_NULL);
    x->partitions = m->topics[0].partitions_count;
    text_printf(&x->tool.cli->err, "topic %.*s is there already, and stays\n", STR_ARG(x->topic));
    return 0;
}

static void make_ask(struct bench *x)
{
    metadata_request_init(&x->ask);
    metadata_request_topics_init(&x->asked);
    x->asked.name = x->topic;
    x->ask.topics = &x->asked;
    x->ask.topics_count = 1;
    x->ask.allow_auto_topic_creation = false;
}

static void make_remove(struct bench *x)
{
    delete_topics_request_init(&x->remove);
    delete_topics_request_topics_init(&x->removed);
    x->removed.name = x->topic;
    x->remove.topics = &x->removed;
    x->remove.topics_count = 1;
    x->remove.timeout_ms = TIMEOUT_MS;
}

static void remove_answer(struct bench *x, int64_t result)
{
    const struct delete_topics_response *r = result < 0 ? NULL : admin_delete_topics_answer(&x->topic_call, 0);
    struct text *err = &x->tool.cli->err;

    if (r != NULL && r->responses_count == 1 && r->responses[0].error_code == KERR_NONE) {
        text_printf(err, "removed topic %.*s\n", STR_ARG(x->topic));
        return;
    }
    text_printf(err, "topic %.*s could not be removed%s%s\n", STR_ARG(x->topic), result < 0 ? ": " : "",
                result < 0 ? x->topic_call.fail.text : "");
    x->result = x->result == 0 ? 1 : x->result;
}

/* ---- the order of things ------------------------------------------------------------------------------ */

static int begin(struct bench *x)
{
    struct tool *t = &x->tool;

    x->topic = value_of(t, BENCH_TOPIC);
    if (!given(t, BENCH_TOPIC))
        x->topic = arena_printf(&t->arena, "millrace-bench-%08x", (unsigned)prng_u64(io_prng(t->io)));
    TRY(take_settings(x));
    t->cli->tool = x;
    t->cli->interrupt = bench_interrupted;
    return make_create(x);
}

static uint64_t fill_limit(const struct bench *x)
{
    if (x->records > 0)
        return (uint64_t)x->records;
    return x->mode == BENCH_CONSUME ? FILL_DEFAULT : UINT64_MAX;
}

static void load_run(struct flow *f)
{
    struct bench *x = container_of(f, struct bench, load);

    FLOW_BEGIN(f);
    if (x->mode == BENCH_BOTH) {
        bench_drain_begin(x);
        FLOW_WAIT(f, "positions", bench_wait(x, &f->op));
    }
    if (!x->drain_over && (x->mode != BENCH_CONSUME || x->made)) {
        FLOW_WAIT(f, "records", bench_feed_run(x, fill_limit(x), &f->op));
        x->result = f->result;
        x->is_filled = true;
        bench_fed(x);
    }
    if (x->mode == BENCH_CONSUME && x->result == 0 && !x->interrupted) {
        bench_drain_begin(x);
        FLOW_WAIT(f, "positions", bench_wait(x, &f->op));
    }
    if (x->mode != BENCH_PRODUCE && x->result == 0 && !x->drain_over && x->ready)
        FLOW_WAIT(f, "received", bench_wait(x, &f->op));
    else
        FLOW_WAIT(f, "turn", io_yield(x->tool.io, &f->op));
    FLOW_END(f);
    x->result = x->result == 0 ? x->drain_result : x->result;
    flow_done(f, 0);
}

static void bench_run(struct flow *f)
{
    struct bench *x = container_of(f, struct bench, tool.work);
    struct tool *t = &x->tool;

    FLOW_BEGIN(f);
    if ((x->result = begin(x)) == 0 && (x->mode != BENCH_CONSUME || !given(t, BENCH_TOPIC))) {
        FLOW_WAIT(f, "create", admin_create_topics(t->admin, &x->topic_call, &x->create, &f->op));
        x->result = f->result < 0 ? call_trouble(t, &x->topic_call) : create_answer(x);
        admin_call_release(&x->topic_call);
    }
    if (x->result == 0 && !x->made) {
        make_ask(x);
        FLOW_WAIT(f, "topic", admin_metadata(t->admin, &x->topic_call, &x->ask, &f->op));
        x->result = f->result < 0 ? call_trouble(t, &x->topic_call) : topic_answer(x);
        admin_call_release(&x->topic_call);
    }
    complaints_go(t);
    if (x->result == 0 && (x->result = bench_open(x)) == 0) {
        bench_progress_begin(x);
        FLOW_WAIT(f, "load", flow_start(&x->load, load_run, &f->op));
        bench_progress_end(x);
        bench_print(x);
    }
    t->cli->interrupt = NULL;
    FLOW_WAIT(f, "producer", feed_close(&x->feed, t->io, &f->op));
    FLOW_WAIT(f, "consumer", drain_close(&x->drain, t->io, &f->op));
    if (x->made && !given(t, BENCH_KEEP)) {
        make_remove(x);
        FLOW_WAIT(f, "remove", admin_delete_topics(t->admin, &x->topic_call, &x->remove, &f->op));
        remove_answer(x, f->result);
        admin_call_release(&x->topic_call);
    }
    FLOW_END(f);
    flow_done(f, x->result);
}

static const struct tool_action actions[] = {
    {"produce", BENCH_PRODUCE, "Make records, and wait for their acknowledgements."},
    {"consume", BENCH_CONSUME,
     "Read all of TOPIC from its beginning; without --topic, records that are put into a new one first."},
    {"both", BENCH_BOTH, "Make records and read them at the same time: how long from one end to the other?"},
};

const struct tool_info millrace_bench = {
    .program = "millrace bench",
    .usage = "produce|consume|both [--rate N] [--seconds S] [--size BYTES] [--partitions N] [--json]",
    .purpose =
        "Load on a running cluster, and a table of what came of it: records and MB (10^6 bytes of values) a second, "
        "and how long records took, from the time at which each was due. Without --topic a topic is made, and removed "
        "at the end. Without -b the broker on 127.0.0.1:9092 is asked.",
    .options = options,
    .option_count = BENCH_OPTIONS,
    .words_max = ARG_VALUES_MAX,
    .actions = actions,
    .action_count = array_count(actions),
    .names = -1,
    .state_bytes = sizeof(struct bench),
    .server = BENCH_SERVER,
    .controller = -1,
    .config = BENCH_COMMAND_CONFIG,
    .old_config = -1,
    .streams = true,
    .check = bench_check,
    .run = bench_run,
    .end = bench_end,
};
