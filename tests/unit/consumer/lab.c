#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/create_partitions.h"
#include "protocol/create_topics.h"
#include "protocol/delete_topics.h"
#include "protocol/produce.h"

/* ---- the world ------------------------------------------------------------------------------- */

static void set(struct lab *lab, const char *name, const char *value)
{
    struct fail f = {0};

    if (config_set(lab->settings, CONFIG_STATIC_BROKER, str_of(name), str_of(value), &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

static void wait_done(struct op *op, int64_t result)
{
    struct wait *w = container_of(op, struct wait, op);

    ASSERT(!w->done);
    w->done = true;
    w->result = result;
}

struct op *wait_begin(struct wait *w)
{
    *w = (struct wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

int64_t wait_end(struct lab *lab, struct wait *w)
{
    UNTIL(lab, w->done);
    return w->result;
}

void lab_pass(struct lab *lab, int64_t ns)
{
    sim_run_until(lab->sim, sim_now_ns(lab->sim) + ns);
}

static void ready(void *ctx, int32_t node_id, const char *listeners) {}

static void fatal(void *ctx, const struct fail *why)
{
    struct lab *lab = ctx;

    if (sim_node_is_up(lab->node)) /* else it was killed */
        check_fail(__FILE__, __LINE__, "the broker ends: %s", why->text);
}

void lab_start(struct lab *lab)
{
    struct wait w;

    sim_node_start(lab->node, 1);
    lab->doors[0] = sim_node_io(lab->node, 0);
    lab->options = (struct broker_options){
        .shards = lab->doors,
        .shard_count = 1,
        .settings = lab->settings,
        .format_empty = true,
        .software_version = STR("test"),
        .ready = ready,
        .fatal = fatal,
        .ctx = lab,
    };
    broker_start(&lab->options, &lab->broker, &lab->fail, wait_begin(&w));
    if (wait_end(lab, &w) < 0)
        check_fail(__FILE__, __LINE__, "the broker does not start: %s", lab->fail.text);
}

void lab_kill(struct lab *lab)
{
    struct wait w;

    sim_node_kill(lab->node);
    broker_stop(lab->broker, wait_begin(&w));
    lab->broker = NULL;
    wait_end(lab, &w);
}

static struct client_settings client_for(struct lab *lab)
{
    return (struct client_settings){
        .bootstrap_servers = STR("broker:9092"),
        .client_id = STR("test"),
        .client_rack = STR_NULL,
        .request_timeout_ms = 5000,
        .reconnect_backoff_ms = 20,
        .reconnect_backoff_max_ms = 200,
        .retry_backoff_ms = 20,
        .retry_backoff_max_ms = 200,
        .connection_setup_timeout_ms = 1000,
        .connection_setup_timeout_max_ms = 3000,
        .connections_max_idle_ms = 540000,
        .metadata_max_age_ms = 300000,
        .metadata_max_idle_ms = 300000,
        .rebootstrap = true,
        .rebootstrap_trigger_ms = 300000,
        .frame_bytes_max = 16 << 20,
        .in_flight_max = 100,
    };
}

void lab_open(struct lab *lab, uint64_t seed)
{
    struct client_settings s = client_for(lab);
    struct fail f = {0};

    *lab = (struct lab){.sim = sim_new(seed, NULL)};
    lab->telemetry = telemetry_new(NULL);
    lab->node = sim_node_new(lab->sim, "broker");
    lab->machine = sim_node_new(lab->sim, "clients");
    sim_node_start(lab->machine, 1);
    lab->io = sim_node_io(lab->machine, 0);
    lab->settings = config_new(&broker_settings);
    set(lab, "process.roles", "broker,controller");
    set(lab, "node.id", "1");
    set(lab, "listeners", "PLAINTEXT://:9092,CONTROLLER://:9093");
    set(lab, "advertised.listeners", "PLAINTEXT://broker:9092");
    set(lab, "controller.listener.names", "CONTROLLER");
    set(lab, "controller.quorum.voters", "1@broker:9093");
    set(lab, "log.dirs", "/data/a");
    set(lab, "offsets.topic.num.partitions", "3");
    set(lab, "offsets.topic.replication.factor", "1");
    set(lab, "group.initial.rebalance.delay.ms", "0");
    set(lab, "group.min.session.timeout.ms", "100");
    set(lab, "auto.create.topics.enable", "false");
    set(lab, "millrace.memory.bytes", "67108864");
    lab_start(lab);
    lab->client = client_new(lab->io, lab->telemetry, &s, &f);
    CHECK(lab->client != NULL);
}

void lab_end(struct lab *lab)
{
    struct wait w;

    client_close(lab->client, wait_begin(&w));
    wait_end(lab, &w);
    lab_kill(lab);
    sim_free(lab->sim);
    telemetry_free(lab->telemetry);
    config_free(lab->settings);
}

/* ---- what the test asks of the broker ---------------------------------------------------------- */

struct asked {
    struct client_call call;
    bool done;
    int64_t result;
};

static void asked_done(struct op *op, int64_t result)
{
    struct asked *a = container_of(op, struct asked, call.op);

    a->done = true;
    a->result = result;
}

/* Ask until there is an answer; the caller releases it. */
static void ask_any(struct lab *lab, struct asked *a, int16_t key, const void *request)
{
    *a = (struct asked){.call = {.target = {.kind = CLIENT_ANY}, .api_key = key, .request = request}};
    op_init(&a->call.op, asked_done);
    client_send(lab->client, &a->call);
    UNTIL(lab, a->done);
    CHECK_EQ(a->result, 0);
}

void lab_topic(struct lab *lab, const char *name, int32_t partitions)
{
    struct create_topics_request q;
    struct create_topics_request_topics t;
    struct asked a;

    create_topics_request_init(&q);
    create_topics_request_topics_init(&t);
    t.name = str_of(name);
    t.num_partitions = partitions;
    t.replication_factor = 1;
    q.topics = &t;
    q.topics_count = 1;
    q.timeout_ms = 5000;
    ask_any(lab, &a, API_CREATE_TOPICS, &q);
    CHECK_EQ(((struct create_topics_response *)a.call.response)->topics[0].error_code, 0);
    client_call_release(&a.call);
}

void lab_grow_topic(struct lab *lab, const char *name, int32_t partitions)
{
    struct create_partitions_request q;
    struct create_partitions_request_topics t;
    struct asked a;

    create_partitions_request_init(&q);
    create_partitions_request_topics_init(&t);
    t.name = str_of(name);
    t.count = partitions;
    t.assignments_count = -1;
    q.topics = &t;
    q.topics_count = 1;
    q.timeout_ms = 5000;
    ask_any(lab, &a, API_CREATE_PARTITIONS, &q);
    CHECK_EQ(((struct create_partitions_response *)a.call.response)->results[0].error_code, 0);
    client_call_release(&a.call);
}

void lab_delete_topic(struct lab *lab, const char *name)
{
    struct delete_topics_request q;
    struct delete_topics_request_topics t;
    struct asked a;

    delete_topics_request_init(&q);
    delete_topics_request_topics_init(&t);
    t.name = str_of(name);
    q.topics = &t;
    q.topics_count = 1;
    q.timeout_ms = 5000;
    ask_any(lab, &a, API_DELETE_TOPICS, &q);
    CHECK_EQ(((struct delete_topics_response *)a.call.response)->responses[0].error_code, 0);
    client_call_release(&a.call);
}

int64_t lab_produce(struct lab *lab, const char *topic, int32_t partition, int32_t first, int32_t count,
                    enum codec codec)
{
    struct produce_request q;
    struct produce_request_topic_data t;
    struct produce_request_topic_data_partition_data p;
    const struct produce_response *answer;
    struct batch_builder b;
    struct text batch = {0};
    struct asked a;
    int64_t base;

    batch_builder_init(&b);
    b.attributes = (uint16_t)codec;
    b.level = codec_level_default(codec);
    for (int32_t i = 0; i < count; i++) {
        char value[16];
        int n = snprintf(value, sizeof value, "%d", first + i);
        batch_builder_add(&b, 1000 + first + i, BYTES_NULL, (struct bytes){(uint8_t *)value, n}, NULL, 0);
    }
    CHECK_EQ(batch_builder_finish(&b, &batch), 0);
    produce_request_init(&q);
    produce_request_topic_data_init(&t);
    produce_request_topic_data_partition_data_init(&p);
    p.index = partition;
    p.records = (struct bytes){(uint8_t *)batch.p, (int32_t)batch.n};
    t.name = str_of(topic);
    t.partition_data = &p;
    t.partition_data_count = 1;
    q.acks = -1;
    q.timeout_ms = 5000;
    q.topic_data = &t;
    q.topic_data_count = 1;
    a = (struct asked){.call = {.target = {.kind = CLIENT_ANY}, .api_key = API_PRODUCE, .version_high = 12,
                                .request = &q}};
    op_init(&a.call.op, asked_done);
    client_send(lab->client, &a.call);
    UNTIL(lab, a.done);
    CHECK_EQ(a.result, 0);
    answer = a.call.response;
    CHECK_EQ(answer->responses[0].partition_responses[0].error_code, 0);
    base = answer->responses[0].partition_responses[0].base_offset;
    client_call_release(&a.call);
    batch_builder_deinit(&b);
    text_deinit(&batch);
    return base;
}

/* ---- a consumer --------------------------------------------------------------------------------- */

static void on_event(void *ctx, const struct consumer_event *e)
{
    static const char *const kinds[] = {"revoked", "assigned", "lost", "error", "group error"};
    struct reader *r = ctx;

    r->consent = e->consent;
    text_printf(&r->events, "%s", kinds[e->kind]);
    for (uint32_t i = 0; i < e->count; i++)
        text_printf(&r->events, " %.*s-%d", STR_ARG(e->partitions[i].topic), e->partitions[i].partition);
    if (e->kind == CONSUMER_PARTITION_ERROR || e->kind == CONSUMER_GROUP_ERROR)
        text_printf(&r->events, " %s", kerr_name(e->error.code));
    text_printf(&r->events, "\n");
}

static void on_ready(void *ctx)
{
    ((struct reader *)ctx)->ready++;
}

struct consumer_settings reader_settings(struct lab *lab)
{
    return (struct consumer_settings){
        .client = client_for(lab),
        .group_id = STR("g"),
        .group_instance_id = STR_NULL,
        .assignors = {STR("range")},
        .assignor_count = 1,
        .session_timeout_ms = 3000,
        .heartbeat_interval_ms = 300,
        .max_poll_interval_ms = 300000,
        .auto_commit_interval_ms = 1000,
        .auto_offset_reset = CONSUMER_RESET_EARLIEST,
        .fetch_min_bytes = 1,
        .fetch_max_bytes = 1 << 20,
        .fetch_max_wait_ms = 100,
        .max_partition_fetch_bytes = 64 << 10,
        .default_api_timeout_ms = 10000,
        .check_crcs = true,
        .exclude_internal_topics = true,
        .buffer_bytes = 1 << 20,
        .max_poll_records = 500,
        .plain_bytes_max = 1 << 20,
    };
}

void reader_open(struct reader *r, struct lab *lab, const struct consumer_settings *settings)
{
    struct consumer_hooks hooks = {.event = on_event, .ready = on_ready, .ctx = r};
    struct fail f = {0};

    *r = (struct reader){.lab = lab};
    r->consumer = consumer_new(lab->io, lab->telemetry, settings, &hooks, &f);
    if (r->consumer == NULL)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

int64_t reader_close(struct reader *r)
{
    struct wait w;

    consumer_close(r->consumer, 5000, wait_begin(&w));
    wait_end(r->lab, &w);
    r->consumer = NULL;
    text_deinit(&r->events);
    return w.result;
}

void reader_assign(struct reader *r, const char *topic, int32_t partition)
{
    struct consumer_partition p = {str_of(topic), partition};

    CHECK_EQ(consumer_assign(r->consumer, &p, 1, NULL), 0);
}

static uint32_t take_one(struct reader *r, struct text *out)
{
    struct consumer_chunk *k = consumer_take(r->consumer);
    struct record record;
    uint32_t n = 0;

    if (k == NULL)
        return 0;
    while (consumer_chunk_next(k, &record) > 0) {
        CHECK(record.offset >= k->first && record.offset < k->next);
        if (out != NULL)
            text_printf(out, "%s%.*s", out->n == 0 ? "" : " ", record.value.n, (const char *)record.value.p);
        n++;
    }
    consumer_chunk_release(k, k->next);
    return n;
}

void reader_read(struct reader *r, uint32_t count, struct text *out)
{
    uint32_t n = 0;

    text_clear(out);
    while (n < count) {
        uint32_t more = take_one(r, out);
        n += more;
        if (more == 0)
            UNTIL(r->lab, (consumer_polled(r->consumer), more = take_one(r, out)) > 0);
        else
            continue;
        n += more;
    }
}

uint32_t reader_drain(struct reader *r, int64_t ns)
{
    int64_t end_ns = sim_now_ns(r->lab->sim) + ns;
    uint32_t n = 0;

    while (sim_now_ns(r->lab->sim) < end_ns) {
        lab_pass(r->lab, 5 * MS);
        consumer_polled(r->consumer);
        n += take_one(r, NULL);
    }
    return n;
}

struct asking {
    struct consumer_call call;
    bool done;
    int64_t result;
};

static void asking_done(struct op *op, int64_t result)
{
    struct asking *a = container_of(op, struct asking, call.op);

    a->done = true;
    a->result = result;
}

/* Begin it by `begin`, wait, and give back what was written. */
static int64_t ask_consumer(struct reader *r, struct consumer_call *call,
                            void (*begin)(struct consumer *c, struct consumer_call *call))
{
    struct asking a = {.call = *call};

    op_init(&a.call.op, asking_done);
    begin(r->consumer, &a.call);
    UNTIL(r->lab, a.done);
    *call = a.call;
    return a.result;
}

int64_t reader_commit(struct reader *r, struct consumer_call *call)
{
    struct consumer_call all = {0};

    return ask_consumer(r, call == NULL ? &all : call, consumer_commit);
}

int64_t reader_times(struct reader *r, struct consumer_call *call)
{
    return ask_consumer(r, call, consumer_offsets_for);
}

int64_t reader_committed(struct reader *r, const char *topic, int32_t partition)
{
    struct consumer_offset o = {.partition = {str_of(topic), partition}};
    struct consumer_call call = {.offsets = &o, .count = 1};

    CHECK_EQ(ask_consumer(r, &call, consumer_committed), 0);
    return o.offset;
}

struct consumer_place reader_place(struct reader *r, const char *topic, int32_t partition)
{
    struct consumer_place place;

    CHECK_EQ(consumer_place(r->consumer, (struct consumer_partition){str_of(topic), partition}, &place), 0);
    return place;
}

bool reader_has(const struct reader *r, const char *event)
{
    return r->events.n > 0 && strstr(r->events.p, event) != NULL;
}
