/* The life of a console consumer. */
#include "cli/console_consumer.h"

#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>

#define CLOSE_MS 30000 /* as Kafka's consumer waits for its last commit */
#define HELD_MAX 4096  /* chunks that wait to be written */
#define FILE_BYTES_MAX (1 << 20)

/* A chunk whose records are printed, until the output has come so far. */
struct held {
    struct list node;
    struct consumer_chunk *chunk;
    int64_t done_to;
    uint64_t until; /* bytes of the output */
};

/* ---- the end -------------------------------------------------------------------------------------------- */

void consume_end(struct console_consumer *x, int status)
{
    if (x->ending)
        return;
    x->ending = true;
    x->tool.status = status;
    io_timer_clear(&x->quiet);
    io_timer_clear(&x->alive);
    io_complete(x->tool.io, x->ended, 0);
}

void consume_fail(struct console_consumer *x, const char *why)
{
    if (x->ending)
        return;
    if (x->tool.native)
        console_note(&x->tool, "%s: %s", x->tool.info->program, why);
    else
        console_note(&x->tool, "Error processing message, terminating consumer process: %s", why);
    consume_end(x, x->tool.native ? 1 : 0);
}

static void interrupted(struct cli *c)
{
    consume_end(c->tool, 0);
}

/* ---- what is done --------------------------------------------------------------------------------------- */

static void release_written(struct console_consumer *x)
{
    while (!list_empty(&x->held)) {
        struct held *h = container_of(x->held.next, struct held, node);
        if (h->until > x->out.written)
            return;
        list_remove(&h->node);
        consumer_chunk_release(h->chunk, h->done_to);
        free(h);
        x->held_count--;
    }
}

/* The chunk is printed up to `done_to`. */
static void hold(struct console_consumer *x, int64_t done_to)
{
    struct held *h = malloc(sizeof(*h));

    ASSERT(h != NULL);
    *h = (struct held){.chunk = x->chunk, .done_to = done_to, .until = output_end(&x->out)};
    x->chunk = NULL;
    list_add_tail(&x->held, &h->node);
    x->held_count++;
    release_written(x); /* nothing was printed: it need not wait */
}

/* What was not written is not done. */
static void release_rest(struct console_consumer *x)
{
    if (x->chunk != NULL)
        hold(x, x->chunk_done);
    release_written(x);
    for (struct list *node; (node = list_take_head(&x->held)) != NULL;) {
        struct held *h = container_of(node, struct held, node);
        consumer_chunk_release(h->chunk, h->chunk->first);
        free(h);
    }
}

/* ---- records -------------------------------------------------------------------------------------------- */

/* False: it is the end. */
static bool print_record(struct console_consumer *x, const struct record *r)
{
    struct consumer_chunk *k = x->chunk;
    const struct format_place where = {
        .topic = k->topic,
        .partition = k->partition,
        .leader_epoch = k->leader_epoch,
        .log_append_time = (k->attributes & BATCH_LOG_APPEND_TIME) != 0,
    };
    struct fail f = {0};

    x->messages++;
    x->chunk_done = r->offset + 1;
    if (format_record(&x->format, &where, r, &x->out.text, &x->tool.cli->err, &f) < 0) {
        console_note(&x->tool, "%s%.*s-%d, offset %lld: %s",
                     given(&x->tool, CC_SKIP_ON_ERROR) ? "Error processing message, skipping this message: "
                                                       : "Unknown error when running consumer: ",
                     STR_ARG(k->topic), k->partition, (long long)r->offset, f.text);
        if (!given(&x->tool, CC_SKIP_ON_ERROR)) {
            hold(x, r->offset);
            consume_end(x, 1);
            return false;
        }
    }
    if (x->messages == x->messages_max) {
        hold(x, r->offset + 1);
        consume_end(x, 0);
        return false;
    }
    return true;
}

/* Records of x->chunk, until it is over or the output is full. */
static void print_chunk(struct console_consumer *x)
{
    struct consumer_chunk *k = x->chunk;
    struct record r;
    char why[400];
    int rc = 1;

    x->last_ns = io_now_ns(x->tool.io);
    while (!output_is_full(&x->out) && (rc = consumer_chunk_next(k, &r)) == 1) {
        if (!print_record(x, &r))
            return;
    }
    if (rc == 0)
        hold(x, k->next);
    if (rc >= 0)
        return;
    snprintf(why, sizeof(why), "%.*s-%d: the batch at offset %lld cannot be read: %s", STR_ARG(k->topic), k->partition,
             (long long)r.offset, error_text(rc));
    hold(x, r.offset);
    consume_fail(x, why);
}

static void pump(struct console_consumer *x)
{
    while (!x->ending && !output_is_full(&x->out) && x->held_count < HELD_MAX) {
        if (x->chunk == NULL) {
            x->chunk = consumer_take(x->consumer);
            if (x->chunk == NULL)
                break;
            x->chunk_done = x->chunk->first;
        }
        print_chunk(x);
    }
    output_go(&x->out);
    if (x->tool.cli->err.n > 0 && x->tool.cli->flush != NULL) /* of a LoggingMessageFormatter */
        (void)x->tool.cli->flush(x->tool.cli);
}

static void room(struct output *o)
{
    struct console_consumer *x = container_of(o, struct console_consumer, out);

    release_written(x);
    if (o->trouble < 0 && !x->ending) {
        if (o->trouble != -EPIPE) /* head has seen enough */
            console_note(&x->tool, "%s: cannot write: %s", x->tool.info->program, error_text(o->trouble));
        consume_end(x, o->trouble == -EPIPE ? 0 : 1);
    }
    if (x->consumer != NULL && !x->ending) {
        consumer_polled(x->consumer);
        pump(x);
    }
}

static void told_ready(void *ctx)
{
    struct console_consumer *x = ctx;

    consumer_polled(x->consumer);
    pump(x);
}

/* ---- events --------------------------------------------------------------------------------------------- */

static void told_event(void *ctx, const struct consumer_event *e)
{
    struct console_consumer *x = ctx;

    if (e->kind != CONSUMER_PARTITION_ERROR && e->kind != CONSUMER_GROUP_ERROR)
        return;
    if (e->error.advice != CONSUMER_WAIT && e->error.advice != CONSUMER_REJOINED) {
        consume_fail(x, e->error.text);
    } else if (strcmp(x->warned, e->error.text) != 0) {
        snprintf(x->warned, sizeof(x->warned), "%s", e->error.text);
        console_note(&x->tool, "%s: %s. Going on.", x->tool.info->program, e->error.text);
    }
}

static void quiet_over(struct io_timer *t)
{
    struct console_consumer *x = container_of(t, struct console_consumer, quiet);
    int64_t until_ns = x->last_ns + x->timeout_ms * 1000000;

    if (output_is_full(&x->out)) /* records have come, and wait */
        until_ns = io_now_ns(x->tool.io) + x->timeout_ms * 1000000;
    if (until_ns > io_now_ns(x->tool.io)) {
        io_timer_set(x->tool.io, &x->quiet, until_ns, quiet_over);
        return;
    }
    if (!x->tool.native)
        console_note(&x->tool, "Error processing message, terminating consumer process: "
                               "org.apache.kafka.common.errors.TimeoutException");
    consume_end(x, 0);
}

static int64_t alive_ms(const struct console_consumer *x)
{
    int64_t ms = x->settings.max_poll_interval_ms / 3;

    return ms > CONSOLE_PATIENCE_MS ? CONSOLE_PATIENCE_MS : ms < 1 ? 1 : ms;
}

/* The group is told that somebody reads, unless whoever reads us has stopped. */
static void alive_due(struct io_timer *t)
{
    struct console_consumer *x = container_of(t, struct console_consumer, alive);
    struct consumer_health h;

    if (!output_is_full(&x->out))
        consumer_polled(x->consumer);
    if (!x->told && x->messages == 0 && x->follow.client != NULL) {
        follow_complain(x);
    } else if (!x->told && x->messages == 0) {
        consumer_health(x->consumer, &h);
        console_say_unreachable(&x->tool, &h.cluster);
    }
    x->told = true;
    io_timer_set(x->tool.io, &x->alive, io_now_ns(x->tool.io) + alive_ms(x) * 1000000, alive_due);
}

/* ---- the flow ------------------------------------------------------------------------------------------- */

static int choose_partitions(struct console_consumer *x)
{
    struct str topic = value_of(&x->tool, CC_TOPIC);
    struct consumer_partition p = {topic, (int32_t)x->partition};

    if (x->partition >= 0) {
        TRY(consumer_assign(x->consumer, &p, 1, &x->tool.fail));
        return consumer_seek(x->consumer, p, x->offset, -1);
    }
    if (str_is_null(x->settings.group_id))
        return follow_begin(x);
    if (x->pattern != NULL)
        return consumer_subscribe_matching(x->consumer, consume_wants, x, &x->tool.fail);
    return consumer_subscribe(x->consumer, &topic, 1, &x->tool.fail);
}

static int make(struct console_consumer *x)
{
    const struct consumer_hooks hooks = {.event = told_event, .ready = told_ready, .ctx = x};

    TRY(consume_prepare(x));
    x->consumer = consumer_new(x->tool.io, x->tool.telemetry, &x->settings, &hooks, &x->tool.fail);
    if (x->consumer == NULL)
        return x->tool.fail.error;
    return 0;
}

static void begin(struct console_consumer *x, struct op *op)
{
    struct io *io = x->tool.io;
    int rc;

    x->ended = op;
    x->last_ns = io_now_ns(io);
    x->tool.cli->tool = x;
    x->tool.cli->interrupt = interrupted;
    if (x->timeout_ms >= 0)
        io_timer_set(io, &x->quiet, x->last_ns + x->timeout_ms * 1000000, quiet_over);
    io_timer_set(io, &x->alive, x->last_ns + alive_ms(x) * 1000000, alive_due);
    rc = choose_partitions(x);
    if (rc < 0)
        consume_fail(x, x->tool.fail.error < 0 ? x->tool.fail.text : error_text(rc));
    else if (x->messages_max >= 0 && x->messages_max == x->messages)
        consume_end(x, 0);
}

static void read_formatter_config(struct console_consumer *x, struct op *op)
{
    struct str path = value_of(&x->tool, CC_FORMATTER_CONFIG);

    if (str_is_null(path))
        io_yield(x->tool.io, op);
    else
        file_read_all(x->tool.io, path.p, FILE_BYTES_MAX, &x->formatter_text, op); /* the end of a word: terminated */
}

void consume_run(struct flow *f)
{
    struct console_consumer *x = container_of(f, struct console_consumer, tool.work);

    FLOW_BEGIN(f);
    list_init(&x->held);
    output_init(&x->out, x->tool.cli, room);
    FLOW_WAIT(f, "formatter", read_formatter_config(x, &f->op));
    if (f->result < 0)
        fail_set(&x->tool.fail, (int)f->result, "--formatter-config: %s", error_text((int)f->result));
    if (f->result < 0 || make(x) < 0) {
        flow_done(f, x->tool.fail.error);
        return;
    }
    FLOW_WAIT(f, "records", begin(x, &f->op));
    FLOW_WAIT(f, "output", output_flush(&x->out, &f->op));
    release_rest(x);
    if (x->follow.client != NULL) {
        client_unwatch(&x->follow.watch);
        FLOW_WAIT(f, "metadata", client_close(x->follow.client, &f->op));
    }
    FLOW_WAIT(f, "close", consumer_close(x->consumer, CLOSE_MS, &f->op));
    x->consumer = NULL;
    if (f->result < 0)
        console_note(&x->tool, "%s: the last commit: %s", x->tool.info->program, error_text((int)f->result));
    console_note(&x->tool, "Processed a total of %lld messages", (long long)x->messages);
    if (given(&x->tool, CC_SYSTEST_EVENTS)) {
        text_printf(&x->out.text, "shutdown_complete\n");
        FLOW_WAIT(f, "last word", output_flush(&x->out, &f->op));
    }
    FLOW_END(f);
    flow_done(f, x->tool.status);
}

void consume_free(struct tool *t)
{
    struct console_consumer *x = container_of(t, struct console_consumer, tool);

    output_deinit(&x->out);
    pattern_free(x->pattern);
    text_deinit(&x->formatter_text);
    arena_deinit(&x->formatter_names);
}
