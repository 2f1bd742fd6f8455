/* The life of a console producer. */
#include "cli/console_producer.h"

#include "log/log.h"

#include <stdio.h>

#define LINE_BYTES_MAX (256u << 20) /* max.request.size is rarely more than some MiB */
#define FILE_BYTES_MAX (1 << 20)
#define CLOSE_MARGIN_MS 1000 /* every record is told of by its delivery.timeout.ms */

/* ---- input ---------------------------------------------------------------------------------------------- */

static void wake(struct console_producer *x)
{
    struct op *op = x->waiting;

    x->waiting = NULL;
    if (op != NULL)
        io_complete(x->tool.io, op, 0);
}

static void interrupted(struct cli *c)
{
    struct console_producer *x = c->tool;

    x->interrupted = true;
    wake(x);
}

static void read_done(struct op *op, int64_t result)
{
    struct console_producer *x = container_of(op, struct console_producer, read_op);

    x->reading = false;
    if (result > 0)
        text_add(&x->in, x->piece, (size_t)result);
    else
        x->at_end = true;
    if (result < 0) {
        x->failed = true;
        console_note(&x->tool, "%s: cannot read standard input: %s", x->tool.info->program, error_text((int)result));
    }
    wake(x);
}

/* More bytes behind those that are no whole line yet. */
static void read_more(struct console_producer *x, struct op *op)
{
    if (x->at > 0) {
        x->in.n -= x->at;
        memmove(x->in.p, x->in.p + x->at, x->in.n);
        x->looked -= x->at;
        x->at = 0;
    }
    x->waiting = op;
    x->reading = true;
    op_init(&x->read_op, read_done);
    x->tool.cli->streams->read(x->tool.cli, x->piece, sizeof(x->piece), &x->read_op);
}

/* A line ends with LF, CR or CR LF, as where Java reads lines; the last one with the input. */
static bool next_line(struct console_producer *x, struct str *out)
{
    const char *p = x->in.p;

    if (x->skip_lf && x->at < x->in.n) {
        x->skip_lf = false;
        if (p[x->at] == '\n')
            x->at++;
    }
    if (x->looked < x->at)
        x->looked = x->at;
    for (; x->looked < x->in.n; x->looked++) {
        char c = p[x->looked];
        if (c != '\n' && c != '\r')
            continue;
        *out = (struct str){p + x->at, (int32_t)(x->looked - x->at)};
        x->skip_lf = c == '\r';
        x->at = ++x->looked;
        return true;
    }
    if (!x->at_end || x->at == x->in.n)
        return false;
    *out = (struct str){p + x->at, (int32_t)(x->in.n - x->at)};
    x->at = x->in.n;
    return true;
}

/* As Kafka's: before each line, where somebody types it and sees it. */
static void prompt(struct console_producer *x)
{
    if (!x->tool.cli->in_is_terminal || !x->tool.cli->out_is_terminal)
        return;
    text_add(&x->prompt.text, ">", 1);
    output_go(&x->prompt);
}

/* ---- records -------------------------------------------------------------------------------------------- */

static int fail(struct console_producer *x, const struct fail *f)
{
    x->failed = true;
    console_note(&x->tool, "%s: %s", x->tool.info->program, f->text);
    return f->error;
}

static int parse(struct console_producer *x, struct str line)
{
    struct fail f = {0};

    x->line_number++;
    if (!given(&x->tool, CP_JSON)) {
        if (line_read(&x->rules, line, x->line_number, &x->record, &f) == 0) {
            x->record.topic = value_of(&x->tool, CP_TOPIC);
            return 0;
        }
        return fail(x, &f);
    }
    arena_reset(&x->arena);
    if (record_json_read(line, &x->arena, &x->record, &f) < 0) {
        (void)fail_wrap(&f, "line %lld", (long long)x->line_number);
        return fail(x, &f);
    }
    if (given(&x->tool, CP_TOPIC))
        x->record.topic = value_of(&x->tool, CP_TOPIC);
    if (x->record.topic.n > 0)
        return 0;
    fail_set(&f, -EINVAL, "line %lld names no topic, nor do the words", (long long)x->line_number);
    return fail(x, &f);
}

static void say_failed(struct console_producer *x, int64_t count, struct str topic, struct str why)
{
    x->records_failed += count;
    if (count == 1)
        console_note(&x->tool, "Error when sending message to topic %.*s: %.*s", STR_ARG(topic), STR_ARG(why));
    else
        console_note(&x->tool, "Error when sending %lld messages to topic %.*s: %.*s", (long long)count, STR_ARG(topic),
                     STR_ARG(why));
}

/* -EAGAIN: there is no room now; else the record is taken, or what is wrong is said. */
static int append(struct console_producer *x)
{
    const struct console_record *r = &x->record;
    const struct producer_record record = {
        .topic = producer_topic(x->producer, r->topic),
        .partition = r->partition,
        .header_count = r->header_count,
        .key = r->key,
        .value = r->value,
        .headers = r->headers,
        .timestamp_ms = r->timestamp_ms,
    };
    char why[160];

    ASSERT(record.topic != NULL);
    int rc = producer_append(x->producer, &record, io_now_ms(x->tool.io), io_wall_ms(x->tool.io));
    if (rc == 0 || rc == -EAGAIN)
        return rc;
    if (rc == ERR_LIMIT)
        snprintf(why, sizeof(why), "line %lld is larger than max.request.size or buffer.memory allow",
                 (long long)x->line_number);
    else if (rc == -ERANGE)
        snprintf(why, sizeof(why), "line %lld names partition %d, which the topic has not", (long long)x->line_number,
                 r->partition);
    else
        snprintf(why, sizeof(why), "line %lld: %s", (long long)x->line_number, error_text(rc));
    say_failed(x, 1, r->topic, str_of(why));
    return 0;
}

static void told_acked(void *ctx, const struct producer_ack *ack)
{
    if (ack->error.code != KERR_NONE)
        say_failed(ctx, ack->count, ack->topic_name, ack->error.text);
}

static void told_room(void *ctx)
{
    struct console_producer *x = ctx;

    if (!x->reading)
        wake(x);
}

static void told_fatal(void *ctx, const struct producer_error *error)
{
    struct console_producer *x = ctx;

    x->failed = true;
    console_note(&x->tool, "%s: %.*s", x->tool.info->program, STR_ARG(error->text));
    wake(x);
}

/* ---- the flow ------------------------------------------------------------------------------------------- */

static void patience_over(struct io_timer *t)
{
    struct console_producer *x = container_of(t, struct console_producer, patience);
    struct client_health h;

    client_health(x->client, &h);
    if (h.state != CLIENT_IDLE) /* before the first record nobody is asked */
        console_say_unreachable(&x->tool, &h);
    else
        io_timer_set(x->tool.io, t, io_now_ns(x->tool.io) + CONSOLE_PATIENCE_MS * 1000000ll, patience_over);
}

static int make(struct console_producer *x)
{
    const struct producer_hooks hooks = {.acked = told_acked, .room = told_room, .fatal = told_fatal};
    struct client_settings client;
    struct io *io = x->tool.io;

    TRY(produce_prepare(x));
    TRY(client_settings_read(x->tool.config, &client, &x->tool.fail));
    x->client = client_new(io, x->tool.telemetry, &client, &x->tool.fail);
    if (x->client == NULL)
        return x->tool.fail.error;
    x->producer = producer_new(io, x->client, &x->settings, &hooks, x, &x->tool.fail);
    if (x->producer == NULL)
        return x->tool.fail.error;
    io_timer_set(io, &x->patience, io_now_ns(io) + CONSOLE_PATIENCE_MS * 1000000ll, patience_over);
    x->tool.cli->tool = x;
    x->tool.cli->interrupt = interrupted;
    return 0;
}

static bool goes_on(const struct console_producer *x)
{
    return !x->interrupted && !x->failed && !(given(&x->tool, CP_SYNC) && x->records_failed > 0);
}

static void read_reader_config(struct console_producer *x, struct op *op)
{
    struct str path = value_of(&x->tool, CP_READER_CONFIG);

    if (str_is_null(path))
        io_yield(x->tool.io, op);
    else
        file_read_all(x->tool.io, path.p, FILE_BYTES_MAX, &x->reader_text, op); /* the end of a word: terminated */
}

/* A line that has no end in sight. */
static bool is_too_long(struct console_producer *x)
{
    struct fail f = {0};

    if (x->in.n - x->at <= LINE_BYTES_MAX)
        return false;
    fail_set(&f, ERR_LIMIT, "line %lld is longer than %u MiB", (long long)x->line_number + 1, LINE_BYTES_MAX >> 20);
    (void)fail(x, &f);
    return true;
}

void produce_run(struct flow *f)
{
    struct console_producer *x = container_of(f, struct console_producer, tool.work);
    struct str line;

    FLOW_BEGIN(f);
    output_init(&x->prompt, x->tool.cli, NULL);
    FLOW_WAIT(f, "reader", read_reader_config(x, &f->op));
    if (f->result < 0)
        fail_set(&x->tool.fail, (int)f->result, "--reader-config: %s", error_text((int)f->result));
    if (f->result < 0 || make(x) < 0)
        goto failed;
    prompt(x);
    while (goes_on(x)) {
        if (!next_line(x, &line)) {
            if (x->at_end || is_too_long(x))
                break;
            FLOW_WAIT(f, "input", read_more(x, &f->op));
            continue;
        }
        if (parse(x, line) < 0)
            break;
        while (append(x) == -EAGAIN && goes_on(x))
            FLOW_WAIT(f, "room", x->waiting = &f->op);
        if (given(&x->tool, CP_SYNC))
            FLOW_WAIT(f, "acknowledgement", producer_flush(x->producer, &f->op));
        prompt(x);
    }
    FLOW_WAIT(f, "last records",
              producer_close(x->producer, x->settings.delivery_timeout_ms + CLOSE_MARGIN_MS, &f->op));
    io_timer_clear(&x->patience);
    FLOW_WAIT(f, "connections", client_close(x->client, &f->op));
    FLOW_WAIT(f, "prompt", output_flush(&x->prompt, &f->op));
    if (x->failed || (x->records_failed > 0 && (x->tool.native || given(&x->tool, CP_SYNC))))
        x->tool.status = 1;
    flow_done(f, x->tool.status);
    return;
failed:
    if (x->client != NULL)
        FLOW_WAIT(f, "no connections", client_close(x->client, &f->op));
    FLOW_END(f);
    flow_done(f, x->tool.fail.error);
}

void produce_free(struct tool *t)
{
    struct console_producer *x = container_of(t, struct console_producer, tool);

    output_deinit(&x->prompt);
    text_deinit(&x->in);
    text_deinit(&x->reader_text);
    arena_deinit(&x->reader_names);
    arena_deinit(&x->arena);
}
