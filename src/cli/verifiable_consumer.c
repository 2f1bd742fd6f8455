/* kafka-verifiable-consumer.sh: a member of a group that says as lines of JSON what it is given, reads and commits. */
#include "cli/load.h"

#include <errno.h>

enum {
    VC_SERVER,
    VC_TOPIC,
    VC_PROTOCOL,
    VC_REMOTE_ASSIGNOR,
    VC_GROUP,
    VC_INSTANCE,
    VC_MAX,
    VC_SESSION,
    VC_VERBOSE,
    VC_AUTOCOMMIT,
    VC_RESET,
    VC_STRATEGY,
    VC_OLD_CONFIG,
    VC_CONFIG,
    VC_OPTIONS
};

static const struct arg_option options[VC_OPTIONS] = {
    [VC_SERVER] = {"bootstrap-server", .letter = 'b', .has_value = true, .value = "HOST:PORT,...",
                   .help = "The broker to ask; several are tried in turn."},
    [VC_TOPIC] = {"topic", .has_value = true, .value = "TOPIC", .help = "What is read."},
    [VC_PROTOCOL] = {"group-protocol", .has_value = true, .value = "PROTOCOL", .help = "classic, the default."},
    [VC_REMOTE_ASSIGNOR] = {"group-remote-assignor", .has_value = true, .value = "NAME", .help = NULL},
    [VC_GROUP] = {"group-id", .has_value = true, .value = "GROUP", .help = "The group that it is a member of."},
    [VC_INSTANCE] = {"group-instance-id", .has_value = true, .value = "ID", .help = "A member of this fixed name."},
    [VC_MAX] = {"max-messages", .has_value = true, .value = "N",
                .help = "So many records; -1, the default: until it is interrupted."},
    [VC_SESSION] = {"session-timeout", .has_value = true, .value = "MS",
                    .help = "After so long without a heartbeat it is a member no more."},
    [VC_VERBOSE] = {"verbose", .help = "Print each record, too."},
    [VC_AUTOCOMMIT] = {"enable-autocommit", .help = "Let the consumer commit, without an event."},
    [VC_RESET] = {"reset-policy", .has_value = true, .value = "WHERE",
                  .help = "Where to begin without a committed offset: earliest (the default), latest or none."},
    [VC_STRATEGY] = {"assignment-strategy", .has_value = true, .value = "NAME,...",
                     .help = "range (the default), roundrobin, sticky, cooperative-sticky, or Kafka's classes."},
    [VC_OLD_CONFIG] = {"consumer.config", .has_value = true, .value = "FILE", .help = NULL},
    [VC_CONFIG] = {"command-config", .has_value = true, .value = "FILE", .help = "A file of the consumer's settings."},
};

struct verifiable_consumer {
    struct tool tool;
    struct output output;
    struct drain drain;
    int64_t max;
    uint64_t consumed;
    struct consumer_call commit;
    struct consumer_offset offset;
    bool committing, ending;
    bool begun; /* startup_complete was said */
    int64_t result;
};

/* ---- words ------------------------------------------------------------------------------------ */

static int verifiable_consumer_check(struct tool *t)
{
    struct verifiable_consumer *x = container_of(t, struct verifiable_consumer, tool);

    x->max = -1;
    TRY(needs(t, VC_TOPIC));
    TRY(needs(t, VC_GROUP));
    TRY(one_spelling(t, VC_CONFIG, VC_OLD_CONFIG));
    if (given(t, VC_MAX))
        TRY(number_of(t, VC_MAX, INT32_MIN, INT32_MAX, &x->max));
    return 0;
}

static int take_settings(struct tool *t)
{
    static const struct {
        int option;
        const char *name, *otherwise; /* whatever the file says; NULL = as the file says */
    } rows[] = {
        {VC_GROUP, "group.id", NULL},
        {VC_INSTANCE, "group.instance.id", NULL},
        {VC_PROTOCOL, "group.protocol", "classic"},
        {VC_SESSION, "session.timeout.ms", NULL},
        {VC_RESET, "auto.offset.reset", "earliest"},
        {VC_STRATEGY, "partition.assignment.strategy", "range"},
    };

    for (size_t i = 0; i < array_count(rows); i++) {
        if (given(t, rows[i].option))
            TRY(setting_force(t, rows[i].name, value_of(t, rows[i].option)));
        else if (rows[i].otherwise != NULL)
            TRY(setting_force(t, rows[i].name, str_of(rows[i].otherwise)));
    }
    return setting_force(t, "enable.auto.commit", given(t, VC_AUTOCOMMIT) ? STR("true") : STR("false"));
}

/* ---- events ------------------------------------------------------------------------------------ */

static struct text *event_begin(struct verifiable_consumer *x, const char *name)
{
    text_printf(&x->output.text, "{\"timestamp\":%lld,\"name\":\"%s\"", (long long)io_wall_ms(x->tool.io), name);
    return &x->output.text;
}

static void event_end(struct verifiable_consumer *x)
{
    text_printf(&x->output.text, "}\n");
    output_go(&x->output);
}

static void place_add(struct text *out, struct str topic, int32_t partition)
{
    text_printf(out, "\"topic\":");
    text_add_json(out, topic);
    text_printf(out, ",\"partition\":%d", partition);
}

static void partitions_event(struct verifiable_consumer *x, const char *name,
                             const struct consumer_partition *partitions, uint32_t count)
{
    struct text *out = event_begin(x, name);

    text_printf(out, ",\"partitions\":[");
    for (uint32_t i = 0; i < count; i++) {
        text_printf(out, "%s{", i == 0 ? "" : ",");
        place_add(out, partitions[i].topic, partitions[i].partition);
        text_printf(out, "}");
    }
    text_printf(out, "]");
    event_end(x);
}

static void shared(struct drain *d, const struct consumer_event *e)
{
    struct verifiable_consumer *x = container_of(d, struct verifiable_consumer, drain);

    partitions_event(x, e->kind == CONSUMER_ASSIGNED ? "partitions_assigned" : "partitions_revoked", e->partitions,
                     e->count);
}

static void record_event(struct verifiable_consumer *x, const struct consumer_chunk *k, const struct record *r)
{
    struct text *out = event_begin(x, "record_data");

    text_printf(out, ",\"key\":");
    text_add_json(out, str_of_bytes(r->key));
    text_printf(out, ",\"value\":");
    text_add_json(out, str_of_bytes(r->value));
    text_printf(out, ",");
    place_add(out, k->topic, k->partition);
    text_printf(out, ",\"offset\":%lld", (long long)r->offset);
    event_end(x);
}

/* ---- reading and committing ------------------------------------------------------------------------ */

static bool is_done(const struct verifiable_consumer *x)
{
    return x->ending || (x->max >= 0 && x->consumed >= (uint64_t)x->max);
}

static void look(struct verifiable_consumer *x)
{
    if (!x->committing && is_done(x))
        drain_end(&x->drain, 0);
    drain_hold(&x->drain, x->committing || output_is_full(&x->output));
}

static void committed(struct op *op, int64_t result)
{
    struct verifiable_consumer *x = container_of(op, struct verifiable_consumer, commit.op);
    struct text *out = event_begin(x, "offsets_committed");

    text_printf(out, ",\"offsets\":[{");
    place_add(out, x->offset.partition.topic, x->offset.partition.partition);
    text_printf(out, ",\"offset\":%lld}]", (long long)x->offset.offset);
    if (result < 0) {
        const struct consumer_error *e = x->commit.error.text[0] != '\0' ? &x->commit.error : &x->offset.error;
        text_printf(out, ",\"error\":");
        text_add_json(out, str_of(e->text[0] != '\0' ? e->text : error_text((int)result)));
    }
    text_printf(out, ",\"success\":%s", result < 0 ? "false" : "true");
    event_end(x);
    x->committing = false;
    look(x);
}

/* As Kafka's: what was read is committed before more is read. */
static void commit(struct verifiable_consumer *x, const struct consumer_chunk *k, int64_t next)
{
    x->committing = true;
    x->offset = (struct consumer_offset){
        .partition = {.topic = value_of(&x->tool, VC_TOPIC), .partition = k->partition},
        .offset = next,
        .leader_epoch = -1,
        .metadata = STR_NULL,
    };
    x->commit = (struct consumer_call){.offsets = &x->offset, .count = 1};
    op_init(&x->commit.op, committed);
    consumer_commit(x->drain.consumer, &x->commit);
}

static int64_t take(struct drain *d, struct consumer_chunk *k)
{
    struct verifiable_consumer *x = container_of(d, struct verifiable_consumer, drain);
    int64_t first = -1, last = -1, count = 0;
    struct record r;
    int rc = 0;

    while (!is_done(x) && (rc = consumer_chunk_next(k, &r)) > 0) {
        first = count++ == 0 ? r.offset : first;
        last = r.offset;
        x->consumed++;
        if (given(&x->tool, VC_VERBOSE))
            record_event(x, k, &r);
    }
    if (rc < 0) {
        fail_set(&x->tool.fail, rc, "%.*s-%d at offset %lld: %s", STR_ARG(k->topic), k->partition, (long long)r.offset,
                 error_text(rc));
        drain_end(d, rc);
    }
    if (count == 0)
        return k->first;
    text_printf(event_begin(x, "records_consumed"), ",\"count\":%lld,\"partitions\":[{", (long long)count);
    place_add(&x->output.text, k->topic, k->partition);
    text_printf(&x->output.text, ",\"count\":%lld,\"minOffset\":%lld,\"maxOffset\":%lld}]", (long long)count,
                (long long)first, (long long)last);
    event_end(x);
    if (!given(&x->tool, VC_AUTOCOMMIT))
        commit(x, k, last + 1);
    look(x);
    return last + 1;
}

static void room(struct output *o)
{
    struct verifiable_consumer *x = container_of(o, struct verifiable_consumer, output);

    x->ending = x->ending || o->trouble < 0;
    if (x->begun)
        look(x);
}

static void interrupted(struct cli *c)
{
    struct verifiable_consumer *x = c->tool;

    event_begin(x, "shutdown_requested");
    event_end(x);
    x->ending = true;
    look(x);
}

/* ---- the flow ------------------------------------------------------------------------------------------ */

static int begin(struct verifiable_consumer *x)
{
    struct tool *t = &x->tool;
    struct str topic = value_of(t, VC_TOPIC);

    TRY(take_settings(t));
    TRY(drain_open(&x->drain, t, t->config));
    x->drain.take = take;
    x->drain.shared = shared;
    event_begin(x, "startup_complete");
    event_end(x);
    x->begun = true;
    t->cli->tool = x;
    t->cli->interrupt = interrupted;
    return consumer_subscribe(x->drain.consumer, &topic, 1, &t->fail);
}

/* What it still has is given up with its last commit. */
static void revoke_all(struct verifiable_consumer *x)
{
    uint32_t count;
    const struct consumer_partition *partitions = consumer_assignment(x->drain.consumer, &count);

    if (count > 0)
        partitions_event(x, "partitions_revoked", partitions, count);
}

static void verifiable_consumer_run(struct flow *f)
{
    struct verifiable_consumer *x = container_of(f, struct verifiable_consumer, tool.work);

    FLOW_BEGIN(f);
    output_init(&x->output, x->tool.cli, room);
    if ((x->result = begin(x)) == 0) {
        FLOW_WAIT(f, "records", drain_run(&x->drain, &f->op));
        x->result = f->result;
        revoke_all(x);
    }
    x->tool.cli->interrupt = NULL;
    FLOW_WAIT(f, "close", drain_close(&x->drain, x->tool.io, &f->op));
    if (x->begun) {
        event_begin(x, "shutdown_complete");
        event_end(x);
    }
    FLOW_WAIT(f, "output", output_flush(&x->output, &f->op));
    FLOW_END(f);
    flow_done(f, x->result);
}

static void verifiable_consumer_end(struct tool *t)
{
    output_deinit(&container_of(t, struct verifiable_consumer, tool)->output);
}

const struct tool_info kafka_verifiable_consumer = {
    .program = "kafka-verifiable-consumer.sh",
    .usage = "-b HOST:PORT --topic TOPIC --group-id GROUP [--max-messages N] [--enable-autocommit] [--verbose]",
    .purpose = "Read a topic as a member of a group, and print events as JSON: what the group gives and takes, what "
               "was read, what was committed.",
    .options = options,
    .option_count = VC_OPTIONS,
    .state_bytes = sizeof(struct verifiable_consumer),
    .server = VC_SERVER,
    .controller = -1,
    .config = VC_CONFIG,
    .old_config = VC_OLD_CONFIG,
    .streams = true,
    .settings = &consumer_settings,
    .property = -1,
    .old_property = -1,
    .check = verifiable_consumer_check,
    .run = verifiable_consumer_run,
    .end = verifiable_consumer_end,
};
