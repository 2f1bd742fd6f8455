/* kafka-verifiable-producer.sh: increasing numbers as records; for each a line of JSON says what became of it. */
#include "cli/load.h"

#include <errno.h>
#include <stdio.h>

enum {
    VP_SERVER,
    VP_TOPIC,
    VP_MAX,
    VP_THROUGHPUT,
    VP_ACKS,
    VP_OLD_CONFIG,
    VP_CONFIG,
    VP_CREATE_TIME,
    VP_PREFIX,
    VP_KEYS,
    VP_OPTIONS
};

static const struct arg_option options[VP_OPTIONS] = {
    [VP_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [VP_TOPIC] = {"topic", .has_value = true, .value = "TOPIC", .help = "Where the records go."},
    [VP_MAX] = {"max-messages", .has_value = true, .value = "N",
                .help = "So many records; -1, the default: until it is interrupted."},
    [VP_THROUGHPUT] = {"throughput", .has_value = true, .value = "RATE",
                       .help = "Records a second; -1, the default: as many as go in."},
    [VP_ACKS] = {"acks", .has_value = true, .value = "N", .help = "-1 (the default), 0 or 1."},
    [VP_OLD_CONFIG] = {"producer.config", .has_value = true, .value = "FILE", .help = NULL},
    [VP_CONFIG] = {"command-config", .has_value = true, .value = "FILE", .help = "A file of the producer's settings."},
    [VP_CREATE_TIME] = {"message-create-time", .has_value = true, .value = "MS",
                        .help = "Timestamps begin there, in ms since 1970, and go on with the clock."},
    [VP_PREFIX] = {"value-prefix", .has_value = true, .value = "N", .help = "Values are N.0, N.1, N.2 ..."},
    [VP_KEYS] = {"repeating-keys", .has_value = true, .value = "N", .help = "Keys are 0, 1 ... N-1, and again."},
};

/* Records that may be unacknowledged: their lines come all at once, where a broker was away. */
#define IN_FLIGHT_MAX 20000

struct verifiable_producer {
    struct tool tool;
    struct output output;
    struct feed feed;
    int64_t max, throughput, create_time_ms, prefix, keys;
    int64_t begin_ms;
    bool begun; /* startup_complete was said */
    char key[32], value[64];
    int64_t result;
};

/* ---- words ------------------------------------------------------------------------------------ */

static int verifiable_producer_check(struct tool *t)
{
    struct verifiable_producer *x = container_of(t, struct verifiable_producer, tool);

    x->max = x->throughput = x->create_time_ms = -1;
    TRY(needs(t, VP_TOPIC));
    TRY(one_spelling(t, VP_CONFIG, VP_OLD_CONFIG));
    if (given(t, VP_MAX))
        TRY(number_of(t, VP_MAX, INT32_MIN, INT32_MAX, &x->max));
    if (given(t, VP_THROUGHPUT))
        TRY(number_of(t, VP_THROUGHPUT, INT32_MIN, INT32_MAX, &x->throughput));
    if (given(t, VP_CREATE_TIME))
        TRY(number_of(t, VP_CREATE_TIME, -1, INT64_MAX / 2, &x->create_time_ms));
    if (given(t, VP_PREFIX))
        TRY(number_of(t, VP_PREFIX, INT32_MIN, INT32_MAX, &x->prefix));
    if (given(t, VP_KEYS))
        TRY(number_of(t, VP_KEYS, 1, INT32_MAX, &x->keys));
    if (given(t, VP_ACKS) && !str_equal(value_of(t, VP_ACKS), STR("0")) && !str_equal(value_of(t, VP_ACKS), STR("1")) &&
        !str_equal(value_of(t, VP_ACKS), STR("-1")))
        return wrong_words(t, "--acks %.*s: -1, 0 or 1 is expected", STR_ARG(value_of(t, VP_ACKS)));
    return 0;
}

/* ---- records and events -------------------------------------------------------------------------- */

static struct str key_of(struct verifiable_producer *x, uint64_t n)
{
    if (x->keys == 0)
        return STR_NULL;
    return (struct str){x->key, snprintf(x->key, sizeof(x->key), "%lld", (long long)(n % (uint64_t)x->keys))};
}

static struct str value_of_record(struct verifiable_producer *x, uint64_t n)
{
    int length = given(&x->tool, VP_PREFIX)
                     ? snprintf(x->value, sizeof(x->value), "%lld.%llu", (long long)x->prefix, (unsigned long long)n)
                     : snprintf(x->value, sizeof(x->value), "%llu", (unsigned long long)n);

    return (struct str){x->value, length};
}

static struct bytes bytes_of(struct str s)
{
    return (struct bytes){(const uint8_t *)s.p, s.n};
}

/* Its tag says its number. */
static void make(struct feed *f, uint64_t n, int64_t due_ns, struct producer_record *out)
{
    struct verifiable_producer *x = container_of(f, struct verifiable_producer, feed);

    out->key = bytes_of(key_of(x, n));
    out->value = bytes_of(value_of_record(x, n));
    out->tag = n + 1;
    if (x->create_time_ms >= 0)
        out->timestamp_ms = x->create_time_ms + io_now_ms(f->io) - x->begin_ms;
    if (output_is_full(&x->output))
        feed_hold(f, true);
}

static struct text *event_begin(struct verifiable_producer *x, const char *name)
{
    text_printf(&x->output.text, "{\"timestamp\":%lld,\"name\":\"%s\"", (long long)io_wall_ms(x->tool.io), name);
    return &x->output.text;
}

static void record_event(struct verifiable_producer *x, const char *name, uint64_t tag)
{
    struct text *out = event_begin(x, name);

    text_printf(out, ",\"key\":");
    text_add_json(out, key_of(x, tag - 1));
    text_printf(out, ",\"value\":");
    text_add_json(out, value_of_record(x, tag - 1));
}

static void error_event(struct verifiable_producer *x, uint64_t tag, const char *error, struct str words)
{
    struct text *out = &x->output.text;

    record_event(x, "producer_send_error", tag);
    text_printf(out, ",\"topic\":");
    text_add_json(out, x->feed.topic);
    text_printf(out, ",\"exception\":\"%s\",\"message\":", error);
    text_add_json(out, words);
    text_printf(out, "}\n");
}

static void acked(struct feed *f, const struct producer_ack *ack)
{
    struct verifiable_producer *x = container_of(f, struct verifiable_producer, feed);
    struct text *out = &x->output.text;

    for (int32_t i = 0; i < ack->count; i++) {
        uint64_t tag = producer_ack_tag(ack, i);
        if (ack->error.code != KERR_NONE) {
            error_event(x, tag, kerr_name(ack->error.code), ack->error.text);
            continue;
        }
        record_event(x, "producer_send_success", tag);
        text_printf(out, ",\"offset\":%lld,\"topic\":", (long long)(ack->base_offset < 0 ? -1 : ack->base_offset + i));
        text_add_json(out, x->feed.topic);
        text_printf(out, ",\"partition\":%d}\n", ack->partition);
    }
    output_go(&x->output);
}

static void refused(struct feed *f, const struct producer_record *r, int error)
{
    struct verifiable_producer *x = container_of(f, struct verifiable_producer, feed);

    error_event(x, r->tag, "RECORD_REFUSED", str_of(error_text(error)));
    output_go(&x->output);
}

/* ---- the flow ------------------------------------------------------------------------------------------ */

static void room(struct output *o)
{
    struct verifiable_producer *x = container_of(o, struct verifiable_producer, output);

    if (o->trouble < 0)
        feed_stop(&x->feed);
    else
        feed_hold(&x->feed, false);
}

static void interrupted(struct cli *c)
{
    struct verifiable_producer *x = c->tool;

    feed_stop(&x->feed);
}

static const char *acks_of(const struct tool *t)
{
    if (!given(t, VP_ACKS) || str_equal(value_of(t, VP_ACKS), STR("-1")))
        return "-1";
    return str_equal(value_of(t, VP_ACKS), STR("0")) ? "0" : "1";
}

static int begin(struct verifiable_producer *x)
{
    struct tool *t = &x->tool;

    TRY(setting_default(t, "acks", acks_of(t)));
    TRY(setting_default(t, "retries", "0")); /* what failed once is to be seen */
    TRY(feed_open(&x->feed, t, t->config));
    x->feed.topic = value_of(t, VP_TOPIC);
    x->feed.rate = (double)x->throughput;
    x->feed.limit = x->max < 0 ? UINT64_MAX : (uint64_t)x->max;
    x->feed.in_flight_max = IN_FLIGHT_MAX;
    x->feed.make = make;
    x->feed.acked = acked;
    x->feed.refused = refused;
    x->begin_ms = io_now_ms(t->io);
    t->cli->tool = x;
    t->cli->interrupt = interrupted;
    text_printf(event_begin(x, "startup_complete"), "}\n");
    output_go(&x->output);
    x->begun = true;
    return 0;
}

static void print_end(struct verifiable_producer *x)
{
    struct text *out = &x->output.text;
    int64_t ms = io_now_ms(x->tool.io) - x->begin_ms;
    unsigned long long acknowledged = x->feed.acknowledged;

    text_printf(event_begin(x, "shutdown_complete"), "}\n");
    event_begin(x, "tool_data");
    text_printf(out, ",\"sent\":%llu,\"acked\":%llu,\"target_throughput\":%lld,\"avg_throughput\":%.3f}\n",
                (unsigned long long)x->feed.made, acknowledged, (long long)x->throughput,
                1000.0 * (double)acknowledged / (double)(ms > 0 ? ms : 1));
}

static void verifiable_producer_run(struct flow *f)
{
    struct verifiable_producer *x = container_of(f, struct verifiable_producer, tool.work);

    FLOW_BEGIN(f);
    output_init(&x->output, x->tool.cli, room);
    if ((x->result = begin(x)) == 0) {
        FLOW_WAIT(f, "records", feed_run(&x->feed, &f->op));
        x->result = f->result;
    }
    x->tool.cli->interrupt = NULL;
    FLOW_WAIT(f, "close", feed_close(&x->feed, x->tool.io, &f->op));
    if (x->begun)
        print_end(x);
    FLOW_WAIT(f, "output", output_flush(&x->output, &f->op));
    FLOW_END(f);
    flow_done(f, x->result);
}

static void verifiable_producer_end(struct tool *t)
{
    output_deinit(&container_of(t, struct verifiable_producer, tool)->output);
}

const struct tool_info kafka_verifiable_producer = {
    .program = "kafka-verifiable-producer.sh",
    .usage = "-b HOST:PORT --topic TOPIC [--max-messages N] [--throughput RATE]",
    .purpose = "Produce increasing numbers, and print an event as JSON for each: what was acknowledged, and where; "
               "what was not, and why. Nothing is sent twice unless settings say so (retries).",
    .options = options,
    .option_count = VP_OPTIONS,
    .state_bytes = sizeof(struct verifiable_producer),
    .server = VP_SERVER,
    .controller = -1,
    .config = VP_CONFIG,
    .old_config = VP_OLD_CONFIG,
    .streams = true,
    .settings = &producer_settings,
    .property = -1,
    .old_property = -1,
    .check = verifiable_producer_check,
    .run = verifiable_producer_run,
    .end = verifiable_producer_end,
};
