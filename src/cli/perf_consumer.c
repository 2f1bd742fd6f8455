/* kafka-consumer-perf-test.sh: how many records a second a member of a group reads. */
#include "cli/load.h"

#include <errno.h>

enum {
    PC_SERVER,
    PC_TOPIC,
    PC_INCLUDE,
    PC_GROUP,
    PC_FETCH_SIZE,
    PC_PROPERTY,
    PC_LATEST,
    PC_SOCKET_BUFFER,
    PC_OLD_CONFIG,
    PC_CONFIG,
    PC_METRICS,
    PC_DETAILED,
    PC_TIMEOUT,
    PC_MESSAGES,
    PC_RECORDS,
    PC_INTERVAL,
    PC_DATE_FORMAT,
    PC_HIDE_HEADER,
    PC_OPTIONS
};

static const struct arg_option options[PC_OPTIONS] = {
    [PC_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [PC_TOPIC] = {"topic", .has_value = true, .value = "TOPIC", .help = "What is read."},
    [PC_INCLUDE] = {"include", .has_value = true, .value = "PATTERN",
                    .help = "Or: all topics whose whole name fits this regular expression."},
    [PC_GROUP] = {"group", .has_value = true, .value = "GROUP",
                  .help = "The group that it is a member of; perf-consumer-NUMBER by default."},
    [PC_FETCH_SIZE] = {"fetch-size", .has_value = true, .value = "BYTES",
                       .help = "Of one partition in an answer, at most; 1048576 by default."},
    [PC_PROPERTY] = {"command-property", .has_value = true, .value = "NAME=VALUE", .help = "A consumer's setting."},
    [PC_LATEST] = {"from-latest", .help = "Where the group has committed nothing, begin at the end, not at the front."},
    [PC_SOCKET_BUFFER] = {"socket-buffer-size", .has_value = true, .value = "BYTES",
                          .help = "Has no effect: the system chooses the size of buffers."},
    [PC_OLD_CONFIG] = {"consumer.config", .has_value = true, .value = "FILE", .help = NULL},
    [PC_CONFIG] = {"command-config", .has_value = true, .value = "FILE", .help = "A file of the consumer's settings."},
    [PC_METRICS] = {"print-metrics", .help = "Print what the consumer has counted, at the end."},
    [PC_DETAILED] = {"show-detailed-stats", .help = "Print a line for each reporting interval, instead of one."},
    [PC_TIMEOUT] = {"timeout", .has_value = true, .may_lack_value = true, .value = "MS",
                    .help = "End when nothing has come for so long; 10000 by default."},
    [PC_MESSAGES] = {"messages", .has_value = true, .value = "N", .help = NULL},
    [PC_RECORDS] = {"num-records", .has_value = true, .value = "N", .help = "How many records."},
    [PC_INTERVAL] = {"reporting-interval", .has_value = true, .value = "MS",
                     .help = "Of --show-detailed-stats; 5000 by default."},
    [PC_DATE_FORMAT] = {"date-format", .has_value = true, .value = "PATTERN",
                        .help = "As Java's SimpleDateFormat has it; yyyy-MM-dd HH:mm:ss:SSS by default. In UTC."},
    [PC_HIDE_HEADER] = {"hide-header", .help = "Print no line of column names."},
};

struct progress {
    uint64_t records, bytes;
};

struct perf_consumer {
    struct tool tool;
    struct output output;
    struct drain drain;
    struct pattern *include;
    struct str date_format;
    int64_t records, timeout_ms, interval_ms;
    struct progress read, reported;
    int64_t begin_wall_ms, begin_ms, last_ms, reported_ms, end_ms; /* monotonic but the first */
    int64_t join_begin_ms, joining_ms, joining_since_report_ms;
    uint32_t assigned;
    bool timed_out;
    int64_t result;
};

#define MIB (1024.0 * 1024.0)

/* ---- words ------------------------------------------------------------------------------------ */

static int take_numbers(struct perf_consumer *x)
{
    struct tool *t = &x->tool;

    x->timeout_ms = 10000;
    x->interval_ms = 5000;
    TRY(number_of(t, given(t, PC_RECORDS) ? PC_RECORDS : PC_MESSAGES, INT64_MIN, INT64_MAX, &x->records));
    if (given(t, PC_TIMEOUT) && value_of(t, PC_TIMEOUT).n > 0)
        TRY(number_of(t, PC_TIMEOUT, INT64_MIN, INT64_MAX, &x->timeout_ms));
    if (given(t, PC_INTERVAL))
        TRY(number_of(t, PC_INTERVAL, 0, INT64_MAX, &x->interval_ms));
    if (x->interval_ms == 0)
        return fail_set(&t->fail, -EINVAL, "Reporting interval must be greater than 0.");
    return 0;
}

static int perf_consumer_check(struct tool *t)
{
    static const int topics[] = {PC_TOPIC, PC_INCLUDE, -1}, counts[] = {PC_MESSAGES, PC_RECORDS, -1};
    struct perf_consumer *x = container_of(t, struct perf_consumer, tool);

    if (only_one(t, topics) < 0)
        return wrong_words(t, "Command must include exactly one action: --topic, --include");
    if (only_one(t, counts) < 0)
        return wrong_words(t, "exactly one of --num-records and --messages is needed");
    TRY(one_spelling(t, PC_CONFIG, PC_OLD_CONFIG));
    TRY(one_spelling(t, PC_RECORDS, PC_MESSAGES));
    x->date_format = given(t, PC_DATE_FORMAT) ? value_of(t, PC_DATE_FORMAT) : STR("yyyy-MM-dd HH:mm:ss:SSS");
    TRY(date_check(x->date_format, &t->fail));
    TRY(take_numbers(x));
    return given(t, PC_INCLUDE) ? pattern_new(value_of(t, PC_INCLUDE), &x->include, &t->fail) : 0;
}

static int take_settings(struct tool *t)
{
    struct str group = arena_printf(&t->arena, "perf-consumer-%u", (unsigned)prng_below(io_prng(t->io), 100000));

    TRY(setting_force(t, "group.id", given(t, PC_GROUP) ? value_of(t, PC_GROUP) : group));
    TRY(setting_force(t, "max.partition.fetch.bytes",
                      given(t, PC_FETCH_SIZE) ? value_of(t, PC_FETCH_SIZE) : STR("1048576")));
    TRY(setting_force(t, "auto.offset.reset", given(t, PC_LATEST) ? STR("latest") : STR("earliest")));
    TRY(setting_force(t, "check.crcs", STR("false")));
    return setting_default(t, "client.id", "perf-consumer-client");
}

/* ---- lines --------------------------------------------------------------------------------------- */

static int64_t wall_ms_at(const struct perf_consumer *x, int64_t at_ms)
{
    return x->begin_wall_ms + at_ms - x->begin_ms;
}

static void number_add(struct text *out, double value)
{
    text_printf(out, ", ");
    decimal_add(out, 4, value);
}

static double per_second(double value, int64_t ms)
{
    return value / ((double)ms / 1000.0);
}

/* What came since the last line. */
static void report(struct perf_consumer *x, int64_t now_ms)
{
    struct text *out = &x->output.text;
    int64_t ms = now_ms - x->reported_ms, fetch_ms = ms - x->joining_since_report_ms;
    double mib = (double)(x->read.bytes - x->reported.bytes) / MIB;
    double records = (double)(x->read.records - x->reported.records);

    if (given(&x->tool, PC_DETAILED)) {
        date_add(out, x->date_format, wall_ms_at(x, now_ms));
        text_printf(out, ", 0");
        number_add(out, (double)x->read.bytes / MIB);
        number_add(out, per_second(mib, ms));
        text_printf(out, ", %llu", (unsigned long long)x->read.records);
        number_add(out, per_second(records, ms));
        text_printf(out, ", %lld, %lld", (long long)x->joining_since_report_ms, (long long)fetch_ms);
        number_add(out, fetch_ms <= 0 ? 0 : per_second(mib, fetch_ms));
        number_add(out, fetch_ms <= 0 ? 0 : per_second(records, fetch_ms));
        text_printf(out, "\n");
        output_go(&x->output);
    }
    x->joining_since_report_ms = 0;
    x->reported_ms = now_ms;
    x->reported = x->read;
}

static void print_header(struct perf_consumer *x)
{
    if (!given(&x->tool, PC_HIDE_HEADER))
        text_printf(&x->output.text,
                    "%s, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, "
                    "fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n",
                    given(&x->tool, PC_DETAILED) ? "time, threadId" : "start.time, end.time");
    output_go(&x->output);
}

static void print_end(struct perf_consumer *x)
{
    struct text *out = &x->output.text;
    int64_t ms = x->end_ms - x->begin_ms, fetch_ms = ms - x->joining_ms;
    double mib = (double)x->read.bytes / MIB, records = (double)x->read.records;
    const struct metric metrics[] = {
        {"consumer-fetch-manager-metrics:bytes-consumed-total", (double)x->read.bytes},
        {"consumer-fetch-manager-metrics:records-consumed-total", records},
    };

    if (!given(&x->tool, PC_DETAILED)) {
        date_add(out, x->date_format, x->begin_wall_ms);
        text_printf(out, ", ");
        date_add(out, x->date_format, wall_ms_at(x, x->end_ms));
        number_add(out, mib);
        number_add(out, per_second(mib, ms));
        text_printf(out, ", %llu", (unsigned long long)x->read.records);
        number_add(out, per_second(records, ms));
        text_printf(out, ", %lld, %lld", (long long)x->joining_ms, (long long)fetch_ms);
        number_add(out, per_second(mib, fetch_ms));
        number_add(out, per_second(records, fetch_ms));
        text_printf(out, "\n");
    }
    if (given(&x->tool, PC_METRICS))
        metrics_add(out, metrics, array_count(metrics), config_str(x->tool.config, CONSUMER_CLIENT_ID));
}

/* ---- reading --------------------------------------------------------------------------------------- */

static void shared(struct drain *d, const struct consumer_event *e)
{
    struct perf_consumer *x = container_of(d, struct perf_consumer, drain);
    int64_t now_ms = io_now_ms(x->tool.io);

    if (e->kind != CONSUMER_ASSIGNED) {
        x->assigned -= e->count < x->assigned ? e->count : x->assigned;
        x->join_begin_ms = x->assigned == 0 ? now_ms : x->join_begin_ms;
        return;
    }
    if (x->assigned == 0) {
        x->joining_ms += now_ms - x->join_begin_ms;
        x->joining_since_report_ms += now_ms - x->join_begin_ms;
    }
    x->assigned += e->count;
}

static int64_t take(struct drain *d, struct consumer_chunk *k)
{
    struct perf_consumer *x = container_of(d, struct perf_consumer, drain);
    int64_t now_ms = io_now_ms(x->tool.io), done = k->first;
    uint64_t limit = x->records < 0 ? 0 : (uint64_t)x->records;
    struct record r;
    int rc = 0;

    while (x->read.records < limit && (rc = consumer_chunk_next(k, &r)) > 0) {
        x->read.records++;
        x->read.bytes += (r.key.n > 0 ? (uint64_t)r.key.n : 0) + (r.value.n > 0 ? (uint64_t)r.value.n : 0);
        done = r.offset + 1;
    }
    x->last_ms = now_ms;
    if (rc < 0) {
        fail_set(&x->tool.fail, rc, "%.*s-%d at offset %lld: %s", STR_ARG(k->topic), k->partition, (long long)r.offset,
                 error_text(rc));
        drain_end(d, rc);
    }
    if (now_ms - x->reported_ms >= x->interval_ms)
        report(x, now_ms);
    if (x->read.records >= limit)
        drain_end(d, 0);
    return x->read.records < limit ? k->next : done;
}

static void tick(struct drain *d)
{
    struct perf_consumer *x = container_of(d, struct perf_consumer, drain);

    x->timed_out = io_now_ms(x->tool.io) - x->last_ms > x->timeout_ms;
    if (x->timed_out)
        drain_end(d, 0);
}

static void room(struct output *o)
{
    if (o->trouble < 0)
        drain_end(&container_of(o, struct perf_consumer, output)->drain, 0);
}

/* ---- the flow ------------------------------------------------------------------------------------------ */

static void interrupted(struct cli *c)
{
    struct perf_consumer *x = c->tool;

    drain_end(&x->drain, 0);
}

static bool wants(void *ctx, struct str topic)
{
    return pattern_matches(ctx, topic);
}

static int begin(struct perf_consumer *x)
{
    struct tool *t = &x->tool;
    struct str topic = value_of(t, PC_TOPIC);

    TRY(take_settings(t));
    TRY(drain_open(&x->drain, t, t->config));
    x->drain.take = take;
    x->drain.tick = tick;
    x->drain.shared = shared;
    print_header(x);
    t->cli->tool = x;
    t->cli->interrupt = interrupted;
    x->begin_wall_ms = io_wall_ms(t->io);
    x->begin_ms = x->last_ms = x->reported_ms = x->join_begin_ms = io_now_ms(t->io);
    if (given(t, PC_TOPIC))
        return consumer_subscribe(x->drain.consumer, &topic, 1, &t->fail);
    return consumer_subscribe_matching(x->drain.consumer, wants, x->include, &t->fail);
}

static void perf_consumer_run(struct flow *f)
{
    struct perf_consumer *x = container_of(f, struct perf_consumer, tool.work);

    FLOW_BEGIN(f);
    output_init(&x->output, x->tool.cli, room);
    if ((x->result = begin(x)) == 0) {
        FLOW_WAIT(f, "records", drain_run(&x->drain, &f->op));
        x->result = f->result;
        x->end_ms = io_now_ms(x->tool.io);
        if (x->timed_out)
            text_printf(&x->output.text,
                        "WARNING: Exiting before consuming the expected number of records: timeout (%lld ms) exceeded. "
                        "You can use the --timeout option to increase the timeout.\n",
                        (long long)x->timeout_ms);
    }
    x->tool.cli->interrupt = NULL;
    FLOW_WAIT(f, "close", drain_close(&x->drain, x->tool.io, &f->op));
    if (x->result == 0)
        print_end(x);
    FLOW_WAIT(f, "output", output_flush(&x->output, &f->op));
    FLOW_END(f);
    flow_done(f, x->result);
}

static void perf_consumer_end(struct tool *t)
{
    struct perf_consumer *x = container_of(t, struct perf_consumer, tool);

    output_deinit(&x->output);
    pattern_free(x->include);
}

const struct tool_info kafka_consumer_perf_test = {
    .program = "kafka-consumer-perf-test.sh",
    .usage = "-b HOST:PORT --topic TOPIC --num-records N [--group GROUP] [--command-property NAME=VALUE]...",
    .purpose = "Read records as a member of a group, and print how many came a second: with and without the time that "
               "joining the group took.",
    .options = options,
    .option_count = PC_OPTIONS,
    .state_bytes = sizeof(struct perf_consumer),
    .server = PC_SERVER,
    .controller = -1,
    .config = PC_CONFIG,
    .old_config = PC_OLD_CONFIG,
    .streams = true,
    .settings = &consumer_settings,
    .property = PC_PROPERTY,
    .old_property = -1,
    .check = perf_consumer_check,
    .run = perf_consumer_run,
    .end = perf_consumer_end,
};
