#include "shop.h"

#include <stdio.h>

#include "protocol/init_producer_id.h"

/* ---- the brokers -------------------------------------------------------------------------------------- */

static struct shop_log *log_of(struct shop *s, struct str topic, int32_t partition)
{
    struct shop_log *l;

    for (uint32_t i = 0; i < s->log_count; i++) {
        if (str_equal(str_of(s->logs[i].topic), topic) && s->logs[i].partition == partition)
            return &s->logs[i];
    }
    CHECK(s->log_count < SHOP_LOGS_MAX);
    l = &s->logs[s->log_count++];
    *l = (struct shop_log){.partition = partition, .producer_id = -1};
    snprintf(l->topic, sizeof l->topic, "%.*s", STR_ARG(topic));
    return l;
}

static int16_t check_sequence(const struct shop_log *l, const struct batch *b, int64_t *offset)
{
    const struct shop_batch *last = &l->known[l->known_count > 0 ? l->known_count - 1 : 0];

    if (b->producer_id < 0 || l->producer_id != b->producer_id)
        return KERR_NONE;
    if (b->producer_epoch < l->epoch)
        return KERR_INVALID_PRODUCER_EPOCH;
    if (b->producer_epoch > l->epoch)
        return b->base_sequence == 0 ? KERR_NONE : KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    for (uint32_t i = 0; i < l->known_count; i++) {
        if (b->base_sequence != l->known[i].sequence || b->count != l->known[i].count)
            continue;
        *offset = l->known[i].offset;
        return KERR_NONE;
    }
    if (b->base_sequence != sequence_add(last->sequence, last->count))
        return KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    return KERR_NONE;
}

static void remember(struct shop_log *l, const struct batch *b)
{
    if (l->producer_id != b->producer_id || l->epoch != b->producer_epoch)
        l->known_count = 0;
    l->producer_id = b->producer_id;
    l->epoch = b->producer_epoch;
    if (l->known_count == SHOP_REMEMBERED)
        memmove(l->known, l->known + 1, sizeof *l->known * --l->known_count);
    l->known[l->known_count++] = (struct shop_batch){b->base_sequence, b->count, l->end - b->count};
}

static void append_batch(struct shop_log *l, const struct batch *b)
{
    struct records records;
    struct record r;

    CHECK_EQ(records_begin(&records, b, 1 << 20), 0);
    while (records_next(&records, &r) == 1)
        text_printf(&l->values, "%s%.*s", l->values.n == 0 ? "" : " ", STR_ARG(str_of_bytes(r.value)));
    records_end(&records);
    l->end += b->count;
    remember(l, b);
}

void shop_forget(struct shop *s)
{
    for (uint32_t i = 0; i < s->log_count; i++) {
        struct shop_log *l = &s->logs[i];
        if (l->known_count > 1)
            l->known[0] = l->known[l->known_count - 1];
        l->known_count = l->known_count > 0;
    }
}

static bool take_plan(struct shop *s, int32_t partition, struct shop_plan *out)
{
    for (uint32_t i = 0; i < s->plan_count; i++) {
        if (s->plans[i].partition != partition)
            continue;
        *out = s->plans[i];
        memmove(&s->plans[i], &s->plans[i + 1], sizeof *s->plans * (--s->plan_count - i));
        return true;
    }
    return false;
}

/* -> the error code. */
static int16_t take_batch(struct shop *s, const struct script_topic *t,
                          const struct produce_request_topic_data_partition_data *in, int64_t *offset)
{
    struct shop_log *l = log_of(s, str_of(t->name), in->index);
    struct shop_plan plan = {.code = KERR_NONE};
    bool planned = take_plan(s, in->index, &plan);
    struct batch b;
    int16_t code;

    if (!uuid_equal(l->id, t->id)) {
        l->id = t->id;
        l->end = 0;
        l->producer_id = -1;
    }
    CHECK_EQ(batch_read(in->records, &b, NULL), in->records.n);
    CHECK(batch_crc_ok(&b));
    text_printf(&s->batches, "%d:%" PRId64 "/%d/%d x%d\n", in->index, b.producer_id, b.producer_epoch, b.base_sequence,
                b.count);
    if (planned && !plan.appended)
        return plan.code;
    *offset = -1;
    code = check_sequence(l, &b, offset);
    if (code != KERR_NONE)
        return code;
    if (*offset < 0) {
        append_batch(l, &b);
        *offset = l->end - b.count;
    }
    return plan.code;
}

static void name_leader(struct script_request *r, struct produce_response *out,
                        struct produce_response_responses_partition_responses *pr, const struct script_partition *p)
{
    struct produce_response_node_endpoints *e = arena_take(&r->arena, sizeof *e);

    pr->current_leader.leader_id = p->leader;
    pr->current_leader.leader_epoch = p->epoch;
    produce_response_node_endpoints_init(e);
    e->node_id = p->leader;
    e->host = arena_printf(&r->arena, "b%d", p->leader);
    e->port = SCRIPT_PORT;
    out->node_endpoints = e;
    out->node_endpoints_count = 1;
}

static void answer_partition(struct shop *s, struct script_request *r, struct str topic,
                             const struct produce_request_topic_data_partition_data *in,
                             struct produce_response_responses_partition_responses *pr)
{
    struct script_topic *t = script_topic_find(s->script, topic);

    produce_response_responses_partition_responses_init(pr);
    pr->index = in->index;
    pr->base_offset = -1;
    if (t == NULL || in->index >= t->partition_count) {
        pr->error_code = KERR_UNKNOWN_TOPIC_OR_PARTITION;
    } else if (t->partitions[in->index].leader != r->broker) {
        pr->error_code = KERR_NOT_LEADER_OR_FOLLOWER;
        if (s->hints)
            name_leader(r, r->response, pr, &t->partitions[in->index]);
    } else {
        pr->error_code = take_batch(s, t, in, &pr->base_offset);
        if (pr->error_code == KERR_MESSAGE_TOO_LARGE)
            pr->error_message = STR("larger than max.message.bytes");
    }
}

static struct str name_of(struct shop *s, const struct script_request *r, const struct produce_request_topic_data *t)
{
    static const char *names[] = {"orders", "logs"};

    if (r->version < 13)
        return t->name;
    for (size_t i = 0; i < array_count(names); i++) {
        struct script_topic *known = script_topic_find(s->script, str_of(names[i]));
        if (known != NULL && uuid_equal(known->id, t->topic_id))
            return str_of(known->name);
    }
    return STR_NULL;
}

static void produce(struct script_request *r, void *ctx)
{
    struct shop *s = ctx;
    const struct produce_request *in = r->message;
    struct produce_response *out = r->response;
    int32_t count = in->topic_data_count;

    r->no_answer = in->acks == 0;
    out->throttle_time_ms = s->throttle_ms;
    out->responses = arena_take_array(&r->arena, (size_t)count, sizeof *out->responses);
    out->responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        const struct produce_request_topic_data *t = &in->topic_data[i];
        struct produce_response_responses *tr = &out->responses[i];
        struct str name = name_of(s, r, t);
        produce_response_responses_init(tr);
        tr->name = t->name;
        tr->topic_id = t->topic_id;
        tr->partition_responses_count = t->partition_data_count;
        tr->partition_responses = arena_take_array(&r->arena, (size_t)t->partition_data_count,
                                                   sizeof *tr->partition_responses);
        for (int32_t k = 0; k < t->partition_data_count; k++) {
            answer_partition(s, r, name, &t->partition_data[k], &tr->partition_responses[k]);
            if (str_is_null(name))
                tr->partition_responses[k].error_code = KERR_UNKNOWN_TOPIC_ID;
        }
    }
}

static void init_producer_id(struct script_request *r, void *ctx)
{
    struct shop *s = ctx;
    struct init_producer_id_response *out = r->response;

    out->error_code = s->init_error;
    s->init_error = KERR_NONE;
    if (out->error_code == KERR_NONE) {
        out->producer_id = s->next_id++;
        out->producer_epoch = 0;
    }
}

/* ---- the producer --------------------------------------------------------------------------------------- */

static void acked(void *ctx, const struct producer_ack *ack)
{
    struct shop *s = ctx;

    CHECK(!s->locked);
    s->told += (uint32_t)ack->count;
    text_printf(&s->acks, "%.*s-%d", STR_ARG(ack->topic_name), ack->partition);
    if (ack->error.code == KERR_NONE) {
        s->acked += (uint32_t)ack->count;
        CHECK_EQ(ack->error.advice, PRODUCER_FINE);
        text_printf(&s->acks, " @%" PRId64 " x%d\n", ack->base_offset, ack->count);
        return;
    }
    text_printf(&s->acks, " x%d %s %s\n", ack->count, kerr_name(ack->error.code),
                ack->error.definite ? "definite" : "indefinite");
    text_printf(&s->errors, "%.*s\n", STR_ARG(ack->error.text));
}

static void room(void *ctx)
{
    struct shop *s = ctx;

    CHECK(!s->locked);
    s->rooms++;
}

static void lock(void *ctx)
{
    struct shop *s = ctx;

    CHECK(!s->locked);
    s->locked = true;
}

static void unlock(void *ctx)
{
    struct shop *s = ctx;

    CHECK(s->locked);
    s->locked = false;
}

static void fatal(void *ctx, const struct producer_error *error)
{
    struct shop *s = ctx;

    CHECK(!s->locked);
    s->fatals++;
    text_printf(&s->errors, "fatal: %.*s\n", STR_ARG(error->text));
}

void shop_open(struct shop *s, uint32_t brokers)
{
    shop_open_in(s, script_new(1, brokers));
}

void shop_open_in(struct shop *s, struct script *script)
{
    struct config *c = config_new(&producer_settings);
    struct fail f = {0};

    *s = (struct shop){.script = script, .next_id = 100};
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), script_bootstrap(s->script), &f), 0);
    CHECK_EQ(client_settings_read(c, &s->client_settings, &f), 0);
    CHECK_EQ(producer_settings_read(c, &s->settings, &f), 0);
    config_free(c);
    s->client_settings.bootstrap_servers = script_bootstrap(s->script);
    s->client_settings.client_id = STR("shop");
    s->hooks = (struct producer_hooks){.acked = acked, .room = room, .fatal = fatal, .lock = lock, .unlock = unlock};
    script_on(s->script, 0, API_PRODUCE, produce, s);
    script_on(s->script, 0, API_INIT_PRODUCER_ID, init_producer_id, s);
}

void shop_start(struct shop *s)
{
    struct fail f = {0};

    s->client = client_new(script_io(s->script), script_telemetry(s->script), &s->client_settings, &f);
    CHECK(s->client != NULL);
    s->producer = producer_new(script_io(s->script), s->client, &s->settings, &s->hooks, s, &f);
    if (s->producer == NULL)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

int64_t shop_close(struct shop *s, int64_t timeout_ms)
{
    struct script_wait w;

    producer_close(s->producer, timeout_ms, script_wait_begin(&w));
    CHECK(!w.done);
    return script_wait_end(s->script, &w);
}

void shop_end(struct shop *s)
{
    struct script_wait w;

    client_close(s->client, script_wait_begin(&w));
    CHECK_EQ(script_wait_end(s->script, &w), 0);
    CHECK_EQ(sim_node_in_flight(script_machine(s->script)), 0);
    script_free(s->script);
    for (uint32_t i = 0; i < s->log_count; i++)
        text_deinit(&s->logs[i].values);
    text_deinit(&s->batches);
    text_deinit(&s->acks);
    text_deinit(&s->errors);
}

int shop_append(struct shop *s, const char *topic, int32_t partition, const char *value)
{
    return shop_append_tagged(s, topic, partition, value, 0);
}

int shop_append_tagged(struct shop *s, const char *topic, int32_t partition, const char *value, uint64_t tag)
{
    struct producer_record r = {
        .topic = producer_topic(s->producer, str_of(topic)),
        .partition = partition,
        .key = BYTES_NULL,
        .value = bytes_of_str(str_of(value)),
        .timestamp_ms = -1,
        .tag = tag,
    };
    struct io *io = script_io(s->script);
    int rc;

    lock(s);
    rc = producer_append(s->producer, &r, io_now_ms(io), io_wall_ms(io));
    unlock(s);
    return rc;
}

void shop_add(struct shop *s, const char *topic, int32_t partition, const char *value)
{
    CHECK_EQ(shop_append(s, topic, partition, value), 0);
}

void shop_plan(struct shop *s, int32_t partition, int16_t code, bool appended)
{
    CHECK(s->plan_count < SHOP_PLANS_MAX);
    s->plans[s->plan_count++] = (struct shop_plan){partition, code, appended};
}

const char *shop_values(struct shop *s, const char *topic, int32_t partition)
{
    struct shop_log *l = log_of(s, str_of(topic), partition);

    return l->values.n == 0 ? "" : l->values.p;
}
