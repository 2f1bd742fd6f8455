/* kafka-producer-perf-test.sh: how many records a second a producer gets in, and how long each takes. */
#include "cli/perf_producer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct arg_option options[PP_OPTIONS] = {
    [PP_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn. Or bootstrap.servers, as a property."},
    [PP_TOPIC] = {"topic", .has_value = true, .value = "TOPIC", .help = "Where the records go."},
    [PP_RECORDS] = {"num-records", .has_value = true, .value = "N", .help = "How many."},
    [PP_SIZE] = {"record-size", .has_value = true, .value = "BYTES",
                 .help = "Values of so many random capital letters."},
    [PP_FILE] = {"payload-file", .has_value = true, .value = "FILE", .help = "Values from a file, in random order."},
    [PP_MONOTONIC] = {"payload-monotonic", .help = "Values are 0, 1, 2 ..."},
    [PP_DELIMITER] = {"payload-delimiter", .has_value = true, .value = "TEXT",
                      .help = "Between the values of --payload-file; a new line (\\n) by default."},
    [PP_THROUGHPUT] = {"throughput", .has_value = true, .value = "RATE",
                       .help = "Records a second; -1: as many as go in."},
    [PP_OLD_PROPERTY] = {"producer-props", .has_value = true, .value = "NAME=VALUE...", .help = NULL},
    [PP_PROPERTY] = {"command-property", .has_value = true, .value = "NAME=VALUE...",
                     .help = "Settings of the producer: acks=1 linger.ms=10 ..."},
    [PP_OLD_CONFIG] = {"producer.config", .has_value = true, .value = "FILE", .help = NULL},
    [PP_CONFIG] = {"command-config", .has_value = true, .value = "FILE", .help = "A file of the producer's settings."},
    [PP_METRICS] = {"print-metrics", .help = "Print what the producer has counted, at the end."},
    [PP_TRANSACTIONAL_ID] = {"transactional-id", .has_value = true, .value = "ID", .help = NULL},
    [PP_TRANSACTION_MS] = {"transaction-duration-ms", .has_value = true, .value = "MS", .help = NULL},
    [PP_WARMUP] = {"warmup-records", .has_value = true, .value = "N",
                   .help = "A second summary leaves out the first N records."},
    [PP_INTERVAL] = {"reporting-interval", .has_value = true, .value = "MS",
                     .help = "How often to print a line; 5000 by default."},
};

/* ---- words ------------------------------------------------------------------------------------ */

static int refuse(struct tool *t, const char *words)
{
    t->usage_is_wrong = true;
    return fail_set(&t->fail, -EINVAL, "%s", words);
}

static int take_throughput(struct perf_producer *x)
{
    struct tool *t = &x->tool;
    char *word = str_dup(value_of(t, PP_THROUGHPUT)), *end;

    x->rate = strtod(word, &end);
    bool wrong = end == word || *end != '\0' || x->rate != x->rate;
    free(word);
    if (wrong)
        return wrong_words(t, "--throughput %.*s: a number is expected", STR_ARG(value_of(t, PP_THROUGHPUT)));
    return 0;
}

static int take_numbers(struct perf_producer *x)
{
    struct tool *t = &x->tool;

    x->interval_ms = 5000;
    TRY(number_of(t, PP_RECORDS, INT64_MIN, INT64_MAX, &x->records));
    if (x->records <= 0)
        return refuse(t, "--num-records should be greater than zero.");
    if (given(t, PP_WARMUP))
        TRY(number_of(t, PP_WARMUP, INT64_MIN, INT64_MAX, &x->warmup));
    if (x->warmup >= x->records)
        return refuse(t, "The value for --warmup-records must be strictly fewer than the number of records in the "
                         "test, --num-records.");
    if (given(t, PP_SIZE))
        TRY(number_of(t, PP_SIZE, INT32_MIN, INT32_MAX, &x->size));
    if (given(t, PP_SIZE) && x->size <= 0)
        return refuse(t, "--record-size should be greater than zero.");
    if (given(t, PP_INTERVAL))
        TRY(number_of(t, PP_INTERVAL, INT64_MIN, INT64_MAX, &x->interval_ms));
    if (x->interval_ms <= 0)
        return refuse(t, "--reporting-interval should be greater than zero.");
    return take_throughput(x);
}

/* "--command-property a=b c=d": the words behind the first one. */
static int take_words(struct tool *t)
{
    struct arg_found *found = &t->found[given(t, PP_PROPERTY) ? PP_PROPERTY : PP_OLD_PROPERTY];

    for (uint32_t i = 0; i < t->word_count; i++) {
        struct str word = t->words[i];
        if (found->count == 0 || memchr(word.p, '=', (size_t)word.n) == NULL)
            return wrong_words(t, "\"%.*s\" is no option", STR_ARG(word));
        if (found->count == ARG_VALUES_MAX)
            return wrong_words(t, "more than %d properties", ARG_VALUES_MAX);
        found->values[found->count++] = word;
    }
    return 0;
}

static int perf_producer_check(struct tool *t)
{
    static const int payloads[] = {PP_SIZE, PP_FILE, PP_MONOTONIC, -1};
    struct perf_producer *x = container_of(t, struct perf_producer, tool);

    TRY(needs(t, PP_TOPIC));
    TRY(needs(t, PP_RECORDS));
    TRY(needs(t, PP_THROUGHPUT));
    if (only_one(t, payloads) < 0)
        return wrong_words(t, "exactly one of --record-size, --payload-file and --payload-monotonic is needed");
    TRY(take_words(t));
    if (!given(t, PP_SERVER) && !given(t, PP_PROPERTY) && !given(t, PP_OLD_PROPERTY) && !given(t, PP_CONFIG) &&
        !given(t, PP_OLD_CONFIG))
        return wrong_words(t, "At least one of --bootstrap-server, --command-property, --producer-props, "
                              "--producer.config or --command-config must be specified.");
    TRY(one_spelling(t, PP_PROPERTY, PP_OLD_PROPERTY));
    TRY(one_spelling(t, PP_CONFIG, PP_OLD_CONFIG));
    if (given(t, PP_TRANSACTIONAL_ID) || given(t, PP_TRANSACTION_MS))
        return wrong_words(t, "transactions are not built yet for clients: --transactional-id and "
                              "--transaction-duration-ms cannot be used");
    return take_numbers(x);
}

/* ---- records --------------------------------------------------------------------------------------- */

/* Of a record, until it is acknowledged: when it was made, in ms since the beginning; whether it is behind the warm-up;
 * its bytes. */
#define TAG_STEADY (UINT64_C(1) << 31)

static void make(struct feed *f, uint64_t n, int64_t due_ns, struct producer_record *out)
{
    struct perf_producer *x = container_of(f, struct perf_producer, feed);
    int64_t age_ms = io_now_ms(f->io) - x->begin_ms;
    bool steady = x->warmup > 0 && n >= (uint64_t)x->warmup;

    if (steady && !x->is_steady) {
        x->is_steady = true;
        x->all.quiet = true;
        perf_stats_begin(&x->steady, x->begin_ms + age_ms);
    }
    out->value = perf_payload(x, n);
    out->tag = (uint64_t)age_ms << 32 | (steady ? TAG_STEADY : 0) | (uint64_t)out->value.n;
}

static void note(struct perf_producer *x, struct perf_stats *s, uint64_t tag, int64_t now_ms)
{
    int64_t ms = now_ms - x->begin_ms - (int64_t)(tag >> 32);

    perf_stats_record(s, ms, (uint32_t)tag & 0x7fffffff, now_ms, x->interval_ms, &x->output.text);
}

#define COMPLAINTS_MAX 20

static void complain_of(struct perf_producer *x, int64_t count, struct str words)
{
    if (x->complaints++ < COMPLAINTS_MAX)
        text_printf(&x->tool.cli->err, "%lld records failed: %.*s\n", (long long)count, STR_ARG(words));
    complaints_go(&x->tool);
}

static void acked(struct feed *f, const struct producer_ack *ack)
{
    struct perf_producer *x = container_of(f, struct perf_producer, feed);
    int64_t now_ms = io_now_ms(f->io);

    if (ack->error.code != KERR_NONE) {
        complain_of(x, ack->count, ack->error.text);
        return;
    }
    for (int32_t i = 0; i < ack->count; i++) {
        uint64_t tag = producer_ack_tag(ack, i);
        note(x, &x->all, tag, now_ms);
        if ((tag & TAG_STEADY) != 0)
            note(x, &x->steady, tag, now_ms);
    }
    output_go(&x->output);
}

static void refused(struct feed *f, const struct producer_record *r, int error)
{
    struct perf_producer *x = container_of(f, struct perf_producer, feed);
    char words[200];

    snprintf(words, sizeof(words), "a record of %d bytes: %s; max.request.size and buffer.memory are the limits",
             r->value.n, error_text(error));
    complain_of(x, 1, str_of(words));
}

/* ---- the flow ------------------------------------------------------------------------------------------ */

static void interrupted(struct cli *c)
{
    struct perf_producer *x = c->tool;

    feed_stop(&x->feed);
}

static int begin(struct perf_producer *x)
{
    struct tool *t = &x->tool;

    TRY(setting_default(t, "client.id", "perf-producer-client"));
    TRY(feed_open(&x->feed, t, t->config));
    x->feed.topic = value_of(t, PP_TOPIC);
    x->feed.rate = x->rate;
    x->feed.limit = (uint64_t)x->records;
    x->feed.make = make;
    x->feed.acked = acked;
    x->feed.refused = refused;
    if (x->warmup > 0)
        text_printf(&x->output.text,
                    "Warmup first %lld records. Steady state results will print after the complete test summary.\n",
                    (long long)x->warmup);
    latency_init(&x->all.latency, t->telemetry, "all");
    latency_init(&x->steady.latency, t->telemetry, "steady");
    x->steady.steady = true;
    x->begin_ms = io_now_ms(t->io);
    perf_stats_begin(&x->all, x->begin_ms);
    t->cli->tool = x;
    t->cli->interrupt = interrupted;
    return 0;
}

static void print_end(struct perf_producer *x)
{
    struct producer_stats s;
    int64_t now_ms = io_now_ms(x->tool.io);

    perf_stats_total(&x->all, now_ms, &x->output.text);
    if (x->is_steady)
        perf_stats_total(&x->steady, now_ms, &x->output.text);
    if (x->complaints > COMPLAINTS_MAX)
        text_printf(&x->tool.cli->err, "and in %llu more batches\n",
                    (unsigned long long)(x->complaints - COMPLAINTS_MAX));
    if (!given(&x->tool, PP_METRICS))
        return;
    producer_stats(x->feed.producer, &s);
    double total = (double)config_i64(x->tool.config, PRODUCER_BUFFER_MEMORY);
    const struct metric metrics[] = {
        {"producer-metrics:buffer-available-bytes", total - (double)s.memory_bytes},
        {"producer-metrics:buffer-total-bytes", total},
        {"producer-metrics:record-error-total", (double)s.records_failed},
        {"producer-metrics:record-send-total", (double)(s.records_acked + s.records_failed)},
    };
    metrics_add(&x->output.text, metrics, array_count(metrics), config_str(x->tool.config, PRODUCER_CLIENT_ID));
}

static void perf_producer_run(struct flow *f)
{
    struct perf_producer *x = container_of(f, struct perf_producer, tool.work);

    FLOW_BEGIN(f);
    output_init(&x->output, x->tool.cli, NULL);
    if (given(&x->tool, PP_FILE)) {
        x->path = str_dup(value_of(&x->tool, PP_FILE));
        FLOW_WAIT(f, "payloads", file_read_all(x->tool.io, x->path, PERF_PAYLOADS_MAX, &x->file, &f->op));
        x->result = perf_payloads_take(x, (int)f->result);
    }
    if (x->result == 0 && (x->result = begin(x)) == 0) {
        output_go(&x->output);
        FLOW_WAIT(f, "records", feed_run(&x->feed, &f->op));
        x->result = f->result;
        if (x->result == 0)
            print_end(x);
    }
    x->tool.cli->interrupt = NULL;
    FLOW_WAIT(f, "close", feed_close(&x->feed, x->tool.io, &f->op));
    FLOW_WAIT(f, "output", output_flush(&x->output, &f->op));
    FLOW_END(f);
    flow_done(f, x->result);
}

static void perf_producer_end(struct tool *t)
{
    struct perf_producer *x = container_of(t, struct perf_producer, tool);

    output_deinit(&x->output);
    text_deinit(&x->file);
    free(x->path);
    free(x->values);
    free(x->letters);
}

const struct tool_info kafka_producer_perf_test = {
    .program = "kafka-producer-perf-test.sh",
    .usage = "-b HOST:PORT --topic TOPIC --num-records N --throughput RATE --record-size BYTES [--command-property "
             "NAME=VALUE...]",
    .purpose = "Produce records, as fast as it goes or at a rate, and print how many went in and how long they took: "
               "from the moment of sending, in whole milliseconds.",
    .options = options,
    .option_count = PP_OPTIONS,
    .words_max = ARG_VALUES_MAX,
    .state_bytes = sizeof(struct perf_producer),
    .server = PP_SERVER,
    .controller = -1,
    .config = PP_CONFIG,
    .old_config = PP_OLD_CONFIG,
    .offline = true,
    .streams = true,
    .settings = &producer_settings,
    .property = PP_PROPERTY,
    .old_property = PP_OLD_PROPERTY,
    .check = perf_producer_check,
    .run = perf_producer_run,
    .end = perf_producer_end,
};
