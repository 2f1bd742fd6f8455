#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/create_topics.h"
#include "protocol/delete_topics.h"
#include "protocol/fetch.h"
#include "protocol/produce.h"
#include "record/record.h"

/* ---- the world ------------------------------------------------------------------------------- */

static void sink_write(struct telemetry_sink *sink, enum log_level level, const char *room,
                       const char *line)
{
    struct lab *lab = container_of(sink, struct lab, sink);

    text_printf(&lab->said, "%s %s: %s\n", log_level_name(level), room, line);
}

void lab_set(struct lab *lab, const char *name, const char *value)
{
    struct fail f = {0};

    if (config_set(lab->settings, CONFIG_STATIC_BROKER, str_of(name), str_of(value), &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

void lab_init(struct lab *lab, uint64_t seed, const struct sim_options *options, uint32_t shards)
{
    *lab = (struct lab){.shards = shards, .sink = {.write = sink_write, .level = LOG_WARN}};
    lab->sim = sim_new(seed, options);
    lab->node = sim_node_new(lab->sim, "broker");
    lab->clients = sim_node_new(lab->sim, "clients");
    sim_node_start(lab->clients, 1);
    lab->settings = config_new(&broker_settings);
    lab_set(lab, "process.roles", "broker,controller");
    lab_set(lab, "node.id", "1");
    lab_set(lab, "listeners", "PLAINTEXT://:9092,CONTROLLER://:9093");
    lab_set(lab, "advertised.listeners", "PLAINTEXT://broker:9092");
    lab_set(lab, "controller.listener.names", "CONTROLLER");
    lab_set(lab, "controller.quorum.voters", "1@broker:9093");
    lab_set(lab, "log.dirs", "/data/a");
    lab_set(lab, "offsets.topic.num.partitions", "3");
    lab_set(lab, "offsets.topic.replication.factor", "1");
    lab_set(lab, "group.initial.rebalance.delay.ms", "0");
    lab_set(lab, "millrace.memory.bytes", "67108864");
}

void lab_deinit(struct lab *lab)
{
    if (lab->broker != NULL)
        lab_kill(lab);
    sim_free(lab->sim);
    config_free(lab->settings);
    text_deinit(&lab->said);
    text_deinit(&lab->ready);
}

void lab_pass(struct lab *lab, int64_t ns)
{
    sim_run_until(lab->sim, sim_now_ns(lab->sim) + ns);
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

/* ---- life ------------------------------------------------------------------------------------ */

static void ready(void *ctx, int32_t node_id, const char *listeners)
{
    struct lab *lab = ctx;

    text_clear(&lab->ready);
    text_printf(&lab->ready, "%d %s", node_id, listeners);
}

static void fatal(void *ctx, const struct fail *why)
{
    struct lab *lab = ctx;

    lab->fatal = *why;
}

void lab_begin(struct lab *lab, struct wait *w)
{
    ASSERT(lab->broker == NULL);
    if (!sim_node_is_up(lab->node))
        sim_node_start(lab->node, lab->shards);
    for (uint32_t i = 0; i < lab->shards; i++)
        lab->doors[i] = sim_node_io(lab->node, i);
    lab->options = (struct broker_options){
        .shards = lab->doors,
        .shard_count = lab->shards,
        .sink = &lab->sink,
        .settings = lab->settings,
        .format_empty = true,
        .software_version = STR("test"),
        .host_name = STR("machine"),
        .ready = ready,
        .fatal = fatal,
        .ctx = lab,
    };
    lab->fail = lab->fatal = (struct fail){0};
    broker_start(&lab->options, &lab->broker, &lab->fail, wait_begin(w));
}

int64_t lab_start(struct lab *lab)
{
    struct wait w;

    lab_begin(lab, &w);
    return wait_end(lab, &w);
}

static int64_t stop(struct lab *lab)
{
    struct wait w;

    broker_stop(lab->broker, wait_begin(&w));
    lab->broker = NULL;
    return wait_end(lab, &w);
}

int64_t lab_stop(struct lab *lab)
{
    int64_t result = stop(lab);

    sim_node_kill(lab->node);
    return result;
}

void lab_kill(struct lab *lab)
{
    if (sim_node_is_up(lab->node))
        sim_node_kill(lab->node);
    stop(lab);
}

void lab_metrics(struct lab *lab, struct text *out)
{
    struct wait w;

    text_clear(out);
    broker_metrics(lab->broker, out, wait_begin(&w));
    CHECK_EQ(wait_end(lab, &w), 0);
}

int64_t lab_why(struct lab *lab, const char *topic, int32_t partition, struct text *out)
{
    struct wait w;

    text_clear(out);
    broker_why(lab->broker, str_of(topic), partition, out, wait_begin(&w));
    return wait_end(lab, &w);
}

void lab_until_connections(struct lab *lab, int count)
{
    struct text page = {0};
    char line[80];

    snprintf(line, sizeof line, "\nkafka_server_socket_server_metrics_connection_count %d\n",
             count);
    for (int i = 0;; i++) {
        lab_metrics(lab, &page);
        if (strstr(page.p, line) != NULL)
            break;
        if (i == 100)
            check_fail(__FILE__, __LINE__, "after a second there are not %d connections", count);
        lab_pass(lab, 10 * MS);
    }
    text_deinit(&page);
}

char lab_dir_of(struct lab *lab, const char *topic, int32_t partition)
{
    for (char d = 'a'; d <= 'c'; d++) {
        struct text content = {0};
        char path[80];
        snprintf(path, sizeof path, "/data/%c/%s-%d/partition.metadata", d, topic, partition);
        int rc = sim_disk_get(lab->node, path, &content);
        text_deinit(&content);
        if (rc == 0)
            return d;
    }
    return 0;
}

/* ---- a client -------------------------------------------------------------------------------- */

static void receive_more(struct client *c);

static void received(struct op *op, int64_t result)
{
    struct client *c = container_of(op, struct client, receive);

    if (result <= 0) {
        c->open = false;
        return;
    }
    text_add(&c->in, c->lent.p, (size_t)result);
    receive_more(c);
}

static void receive_more(struct client *c)
{
    op_init(&c->receive, received);
    io_recv_lend(c->socket, &c->lent, &c->receive);
}

void client_open(struct lab *lab, struct client *c, uint16_t port)
{
    struct io_address at = {.port = port};
    struct wait w;

    *c = (struct client){.lab = lab, .open = true};
    arena_init(&c->arena, 0);
    snprintf(at.host, sizeof at.host, "%s", sim_node_host(lab->node));
    io_connect(sim_node_io(lab->clients, 0), &at, NULL, &c->socket, wait_begin(&w));
    CHECK_EQ(wait_end(lab, &w), 0);
    receive_more(c);
}

void client_end(struct client *c)
{
    struct wait w;

    io_socket_close(c->socket, wait_begin(&w));
    wait_end(c->lab, &w);
    text_deinit(&c->in);
    arena_deinit(&c->arena);
}

void client_send_bytes(struct client *c, struct bytes bytes)
{
    struct io_span span = {.p = bytes.p, .n = (uint32_t)bytes.n};
    struct wait w;

    io_send(c->socket, &span, 1, wait_begin(&w));
    wait_end(c->lab, &w);
}

void client_write(struct client *c, int16_t key, int16_t version, const void *request,
                  struct text *out)
{
    const struct api *api = api_find(key);
    struct request_header h = {
        .request_api_key = key,
        .request_api_version = version,
        .correlation_id = ++c->correlation,
        .client_id = STR("lab"),
    };
    int64_t body = message_size(api->request, version, request);
    int64_t header = request_header_size(&h);

    if (body < 0 || header < 0)
        check_fail(__FILE__, __LINE__, "%s version %d cannot be written: field %s", api->name,
                   version, message_obstacle(api->request, version, request));
    uint8_t *frame = malloc((size_t)(4 + header + body));
    put_u32(frame, (uint32_t)(header + body));
    request_header_write(&h, frame + 4);
    message_write(api->request, version, request, frame + 4 + header);
    text_add(out, frame, (size_t)(4 + header + body));
    free(frame);
}

void client_post(struct client *c, int16_t key, int16_t version, const void *request)
{
    struct text frame = {0};

    client_write(c, key, version, request, &frame);
    client_send_bytes(c, bytes_of_str(text_str(&frame)));
    text_deinit(&frame);
}

bool client_has_answer(const struct client *c)
{
    return c->in.n >= 4 && c->in.n >= 4 + (size_t)get_u32(c->in.p);
}

void *client_answer(struct client *c, int16_t key, int16_t version, int32_t correlation)
{
    const struct api *api = api_find(key);
    int32_t id;

    UNTIL(c->lab, client_has_answer(c) || !c->open);
    if (!client_has_answer(c))
        check_fail(__FILE__, __LINE__, "the connection was closed instead of an answer to %s: %.*s",
                   api->name, STR_ARG(text_str(&c->lab->said)));
    int32_t n = get_i32(c->in.p);
    struct bytes frame = arena_bytes(&c->arena, (struct bytes){(uint8_t *)c->in.p + 4, n});
    memmove(c->in.p, c->in.p + 4 + n, c->in.n - 4 - (size_t)n);
    c->in.n -= 4 + (size_t)n;
    int used = response_header_read(frame, key, version, &id);
    CHECK(used > 0);
    CHECK_EQ(id, correlation);
    void *answer = arena_take(&c->arena, message_struct_bytes(api->response));
    struct bytes body = {frame.p + used, frame.n - used};
    CHECK_EQ(message_read(api->response, body, version, &c->arena, answer), body.n);
    return answer;
}

void *client_ask(struct client *c, int16_t key, int16_t version, const void *request)
{
    client_post(c, key, version, request);
    return client_answer(c, key, version, c->correlation);
}

void client_until_closed(struct client *c)
{
    UNTIL(c->lab, !c->open);
    CHECK_EQ(c->in.n, 0);
}

/* ---- what is asked over and over ------------------------------------------------------------- */

void lab_topic_later(struct client *c, const char *name, int32_t partitions)
{
    struct create_topics_request m;
    struct create_topics_request_topics t;

    create_topics_request_init(&m);
    create_topics_request_topics_init(&t);
    t.name = str_of(name);
    t.num_partitions = partitions;
    t.replication_factor = 1;
    m.topics = &t;
    m.topics_count = 1;
    client_post(c, API_CREATE_TOPICS, 7, &m);
}

struct uuid lab_topic(struct lab *lab, struct client *c, const char *name, int32_t partitions)
{
    lab_topic_later(c, name, partitions);
    const struct create_topics_response *a = client_answer(c, API_CREATE_TOPICS, 7, c->correlation);
    CHECK_EQ(a->topics_count, 1);
    CHECK_EQ(a->topics[0].error_code, KERR_NONE);
    return a->topics[0].topic_id;
}

void lab_delete_topic_later(struct client *c, const char *name)
{
    struct delete_topics_request m;
    struct delete_topics_request_topics t;

    delete_topics_request_init(&m);
    delete_topics_request_topics_init(&t);
    t.name = str_of(name);
    m.topics = &t;
    m.topics_count = 1;
    client_post(c, API_DELETE_TOPICS, 6, &m);
}

void lab_delete_topic(struct lab *lab, struct client *c, const char *name)
{
    lab_delete_topic_later(c, name);
    const struct delete_topics_response *a = client_answer(c, API_DELETE_TOPICS, 6, c->correlation);
    CHECK_EQ(a->responses[0].error_code, KERR_NONE);
}

struct bytes batch_of(struct arena *arena, int32_t count)
{
    struct batch_builder b;
    struct text bytes = {0};
    char value[16];

    batch_builder_init(&b);
    for (int32_t i = 0; i < count; i++) {
        snprintf(value, sizeof value, "%d", i);
        batch_builder_add(&b, 1735689600000, BYTES_NULL, bytes_of_str(str_of(value)), NULL, 0);
    }
    CHECK_EQ(batch_builder_finish(&b, &bytes), 0);
    struct bytes copy = arena_bytes(arena, bytes_of_str(text_str(&bytes)));
    batch_builder_deinit(&b);
    text_deinit(&bytes);
    return copy;
}

const void *produce_of(struct arena *arena, struct uuid topic, int32_t partition, int16_t acks,
                       struct bytes batch)
{
    struct produce_request *m = arena_take(arena, sizeof *m);

    produce_request_init(m);
    m->acks = acks;
    m->timeout_ms = 30000;
    m->topic_data = arena_take(arena, sizeof *m->topic_data);
    m->topic_data_count = 1;
    produce_request_topic_data_init(m->topic_data);
    m->topic_data->topic_id = topic;
    m->topic_data->partition_data = arena_take(arena, sizeof *m->topic_data->partition_data);
    m->topic_data->partition_data_count = 1;
    produce_request_topic_data_partition_data_init(m->topic_data->partition_data);
    m->topic_data->partition_data->index = partition;
    m->topic_data->partition_data->records = batch;
    return m;
}

int64_t lab_produce(struct client *c, struct uuid topic, int32_t partition, int32_t count)
{
    const void *m = produce_of(&c->arena, topic, partition, -1, batch_of(&c->arena, count));
    const struct produce_response *a = client_ask(c, API_PRODUCE, PRODUCE_VERSION, m);

    CHECK_EQ(a->responses[0].partition_responses[0].error_code, KERR_NONE);
    return a->responses[0].partition_responses[0].base_offset;
}

const void *fetch_of(struct arena *arena, struct uuid topic, int32_t partition, int64_t at,
                     int32_t min_bytes, int32_t max_wait_ms)
{
    struct fetch_request *m = arena_take(arena, sizeof *m);

    fetch_request_init(m);
    m->min_bytes = min_bytes;
    m->max_wait_ms = max_wait_ms;
    m->topics = arena_take(arena, sizeof *m->topics);
    m->topics_count = 1;
    fetch_request_topics_init(m->topics);
    m->topics->topic_id = topic;
    m->topics->partitions = arena_take(arena, sizeof *m->topics->partitions);
    m->topics->partitions_count = 1;
    fetch_request_topics_partitions_init(m->topics->partitions);
    m->topics->partitions->partition = partition;
    m->topics->partitions->fetch_offset = at;
    m->topics->partitions->partition_max_bytes = 1 << 20;
    return m;
}

const struct fetch_response_responses_partitions *fetched(const void *answer)
{
    const struct fetch_response *a = answer;

    CHECK_EQ(a->error_code, KERR_NONE);
    CHECK_EQ(a->responses_count, 1);
    CHECK_EQ(a->responses[0].partitions_count, 1);
    return &a->responses[0].partitions[0];
}

int32_t records_in(struct bytes records)
{
    struct batch b;
    int32_t n = 0;

    while (batch_next(&records, &b) == 1)
        n += b.count;
    return n;
}
