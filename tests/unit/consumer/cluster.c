#include "cluster.h"

#include <stdio.h>

#include "protocol/fetch.h"
#include "protocol/list_offsets.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_fetch.h"
#include "protocol/offset_for_leader_epoch.h"

static void *take(struct script_request *r, size_t bytes)
{
    void *p = arena_take(&r->arena, bytes);

    ASSERT(p != NULL);
    return p;
}

/* ---- the log ---------------------------------------------------------------------------------- */

static size_t append(struct cluster *c, struct batch_builder *b, int32_t count)
{
    size_t at = c->log.n;

    b->base_offset = c->end;
    b->leader_epoch = c->epoch;
    CHECK_EQ(batch_builder_finish(b, &c->log), 0);
    batch_builder_deinit(b);
    c->end += count;
    return at;
}

static void add_values(struct cluster *c, struct batch_builder *b, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        char value[24];
        int n = snprintf(value, sizeof value, "%d", (int)c->end + i);
        batch_builder_add(b, 1000, BYTES_NULL, (struct bytes){(uint8_t *)value, n}, NULL, 0);
    }
}

size_t cluster_append(struct cluster *c, int32_t count, enum codec codec)
{
    struct batch_builder b;

    batch_builder_init(&b);
    b.attributes = (uint16_t)codec;
    b.level = codec_level_default(codec);
    add_values(c, &b, count);
    return append(c, &b, count);
}

size_t cluster_append_sparse(struct cluster *c, int32_t count, int32_t step, enum codec codec)
{
    struct batch_builder b;

    batch_builder_init(&b);
    b.attributes = (uint16_t)codec;
    b.level = codec_level_default(codec);
    for (int32_t i = 0; i < count; i += step) {
        char value[24];
        int n = snprintf(value, sizeof value, "%d", (int)c->end + i);
        batch_builder_add_at(&b, i, 1000, BYTES_NULL, (struct bytes){(uint8_t *)value, n}, BYTES_NULL, 0);
    }
    b.last_offset_delta = count - 1;
    return append(c, &b, count);
}

void cluster_append_of(struct cluster *c, int64_t producer_id, int32_t count)
{
    struct batch_builder b;

    batch_builder_init(&b);
    b.attributes = BATCH_TRANSACTIONAL;
    b.producer_id = producer_id;
    b.producer_epoch = 0;
    b.base_sequence = 0;
    add_values(c, &b, count);
    append(c, &b, count);
}

void cluster_mark(struct cluster *c, int64_t producer_id, enum control_type type)
{
    static const uint8_t value[6] = {0};
    struct batch_builder b;

    batch_builder_init(&b);
    b.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
    b.producer_id = producer_id;
    b.producer_epoch = 0;
    batch_builder_add_control(&b, type, 1000, (struct bytes){value, sizeof value});
    append(c, &b, 1);
}

static struct bytes all_of(const struct cluster *c)
{
    return (struct bytes){(const uint8_t *)c->log.p, (int32_t)c->log.n};
}

void cluster_cut_log(struct cluster *c, int64_t end)
{
    struct bytes rest = all_of(c);
    struct batch b;

    while (batch_next(&rest, &b) > 0 && b.base_offset < end)
        continue;
    c->log.n = (size_t)(b.bytes.p - (const uint8_t *)c->log.p);
    c->end = end;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static struct bytes from(const struct cluster *c, int64_t offset)
{
    struct bytes rest = all_of(c), before = rest;
    struct batch b;

    while (batch_next(&rest, &b) > 0 && b.last_offset < offset)
        before = rest;
    return before;
}

static void answer_partition(struct cluster *c, struct script_request *r,
                             const struct fetch_request_topics_partitions *q)
{
    struct fetch_response *a = r->response;
    struct fetch_response_responses *t = take(r, sizeof *t);
    struct fetch_response_responses_partitions *p = take(r, sizeof *p);
    struct bytes records = from(c, q->fetch_offset);
    uint8_t *copy = take(r, (size_t)records.n + 1);

    fetch_response_responses_init(t);
    fetch_response_responses_partitions_init(p);
    a->responses = t;
    a->responses_count = 1;
    t->topic = STR("t");
    t->topic_id = ((const struct fetch_request *)r->message)->topics->topic_id;
    t->partitions = p;
    t->partitions_count = 1;
    p->partition_index = q->partition;
    p->high_watermark = p->last_stable_offset = c->end;
    p->log_start_offset = c->start;
    p->error_code = c->fetch_error;
    if (c->fetch_error != KERR_NONE && c->hint_leader >= 0) {
        p->current_leader.leader_id = c->hint_leader;
        p->current_leader.leader_epoch = c->hint_epoch;
    }
    if (c->fetch_error == KERR_NONE && c->judge != NULL)
        p->error_code = c->judge(c, r);
    if (p->error_code == KERR_NONE && (q->fetch_offset > c->end || q->fetch_offset < c->start))
        p->error_code = KERR_OFFSET_OUT_OF_RANGE;
    c->fetch_error = KERR_NONE;
    if (r->broker == 1 && c->prefer >= 0) {
        p->preferred_read_replica = c->prefer;
        return;
    }
    if (c->aborted_first >= 0) {
        p->aborted_transactions = take(r, sizeof *p->aborted_transactions);
        fetch_response_responses_partitions_aborted_transactions_init(p->aborted_transactions);
        p->aborted_transactions->producer_id = c->aborted_producer;
        p->aborted_transactions->first_offset = c->aborted_first;
        p->aborted_transactions_count = 1;
    }
    if (records.n > 0)
        memcpy(copy, records.p, (size_t)records.n);
    if (p->error_code == KERR_NONE)
        p->records = (struct bytes){copy, records.n};
}

static bool has_something(const struct fetch_response *a)
{
    const struct fetch_response_responses_partitions *p = a->responses_count == 0 ? NULL : a->responses[0].partitions;

    return p != NULL && (p->records.n > 0 || p->error_code != KERR_NONE || p->preferred_read_replica >= 0);
}

static void reply_late(struct io_timer *t)
{
    struct late *late = container_of(t, struct late, timer);
    struct script_request *r = late->request;

    late->request = NULL;
    script_reply(r);
}

/* As a broker does, or the world would be busy with nothing. */
static void wait_a_little(struct cluster *c, struct script_request *r)
{
    struct io *io = script_io(c->script);

    if (c->ending || c->empty[r->broker].request != NULL)
        return; /* the consumer has hung up on that one */
    r->parked = true;
    c->empty[r->broker].request = r;
    io_timer_set(io, &c->empty[r->broker].timer, io_now_ns(io) + 20 * INT64_C(1000000), reply_late);
}

static void fetch(struct script_request *r, void *ctx)
{
    const struct fetch_request *q = r->message;
    struct fetch_response *a = r->response;
    struct cluster *c = ctx;

    text_printf(&c->fetches, "%d: session %d/%d:", r->broker, q->session_id, q->session_epoch);
    for (int32_t i = 0; i < q->topics_count; i++)
        text_printf(&c->fetches, " from %" PRId64, q->topics[i].partitions->fetch_offset);
    if (q->forgotten_topics_data_count > 0)
        text_printf(&c->fetches, " forget %d", q->forgotten_topics_data_count);
    text_printf(&c->fetches, "\n");
    a->session_id = c->session_id;
    a->error_code = c->top_error;
    c->top_error = KERR_NONE;
    if (a->error_code == KERR_NONE && q->topics_count > 0)
        answer_partition(c, r, q->topics[0].partitions);
    if (c->park) {
        c->park = false;
        c->parked = r;
        r->parked = true;
    } else if (a->error_code == KERR_NONE && !has_something(a)) {
        wait_a_little(c, r);
    }
}

static void list_offsets(struct script_request *r, void *ctx)
{
    const struct list_offsets_request *q = r->message;
    struct list_offsets_response *a = r->response;
    struct list_offsets_response_topics *t = take(r, sizeof *t);
    struct list_offsets_response_topics_partitions *p = take(r, sizeof *p);
    struct cluster *c = ctx;

    list_offsets_response_topics_init(t);
    list_offsets_response_topics_partitions_init(p);
    a->topics = t;
    a->topics_count = 1;
    t->name = STR("t");
    t->partitions = p;
    t->partitions_count = 1;
    p->offset = q->topics->partitions->timestamp == CONSUMER_END ? c->end : c->start;
    p->leader_epoch = 0;
}

static void epochs(struct script_request *r, void *ctx)
{
    struct offset_for_leader_epoch_response *a = r->response;
    struct offset_for_leader_epoch_response_topics *t = take(r, sizeof *t);
    struct offset_for_leader_epoch_response_topics_partitions *p = take(r, sizeof *p);
    struct cluster *c = ctx;

    offset_for_leader_epoch_response_topics_init(t);
    offset_for_leader_epoch_response_topics_partitions_init(p);
    a->topics = t;
    a->topics_count = 1;
    t->topic = STR("t");
    t->partitions = p;
    t->partitions_count = 1;
    p->leader_epoch = c->epoch_found;
    p->end_offset = c->epoch_end;
}

static void offset_fetch(struct script_request *r, void *ctx)
{
    struct offset_fetch_response *a = r->response;
    struct offset_fetch_response_groups *g = take(r, sizeof *g);
    struct offset_fetch_response_groups_topics *t = take(r, sizeof *t);
    struct offset_fetch_response_groups_topics_partitions *p = take(r, sizeof *p);
    struct cluster *c = ctx;

    offset_fetch_response_groups_init(g);
    offset_fetch_response_groups_topics_init(t);
    offset_fetch_response_groups_topics_partitions_init(p);
    a->groups = g;
    a->groups_count = 1;
    g->group_id = STR("g");
    g->topics = t;
    g->topics_count = 1;
    t->name = STR("t");
    t->partitions = p;
    t->partitions_count = 1;
    p->committed_offset = c->committed;
    p->metadata = STR("");
    p->error_code = c->offsets_error;
    c->offsets_error = KERR_NONE;
}

static void offset_commit(struct script_request *r, void *ctx)
{
    const struct offset_commit_request *q = r->message;
    struct offset_commit_response *a = r->response;
    struct offset_commit_response_topics *t = take(r, sizeof *t);
    struct offset_commit_response_topics_partitions *p = take(r, sizeof *p);
    struct cluster *c = ctx;

    offset_commit_response_topics_init(t);
    offset_commit_response_topics_partitions_init(p);
    a->topics = t;
    a->topics_count = 1;
    t->name = STR("t");
    t->partitions = p;
    t->partitions_count = 1;
    p->error_code = c->commit_error;
    if (c->commit_error == KERR_NONE)
        c->committed = q->topics->partitions->committed_offset;
    c->commit_error = KERR_NONE;
    c->commits++;
}

/* ---- the consumer ------------------------------------------------------------------------------ */

static void on_event(void *ctx, const struct consumer_event *e)
{
    struct cluster *c = ctx;

    text_printf(&c->events, "%s at %" PRId64 ": %s\n", kerr_name(e->error.code), e->offset, e->error.text);
}

static void on_ready(void *ctx) {}

void cluster_open(struct cluster *c, uint32_t brokers)
{
    cluster_open_in(c, script_new(1, brokers));
}

void cluster_open_in(struct cluster *c, struct script *script)
{
    *c = (struct cluster){.script = script, .aborted_first = -1, .prefer = -1, .committed = -1,
                          .hint_leader = -1};
    script_topic(c->script, "t", 1);
    script_on(c->script, 0, API_FETCH, fetch, c);
    script_on(c->script, 0, API_LIST_OFFSETS, list_offsets, c);
    script_on(c->script, 0, API_OFFSET_FOR_LEADER_EPOCH, epochs, c);
    script_on(c->script, 0, API_OFFSET_FETCH, offset_fetch, c);
    script_on(c->script, 0, API_OFFSET_COMMIT, offset_commit, c);
    script_versions(c->script, 0, API_OFFSET_FETCH, 8, 9);
    c->settings = (struct consumer_settings){
        .client = {
            .bootstrap_servers = script_bootstrap(c->script),
            .client_id = STR("test"),
            .client_rack = STR_NULL,
            .request_timeout_ms = 2000,
            .reconnect_backoff_ms = 20,
            .reconnect_backoff_max_ms = 100,
            .retry_backoff_ms = 20,
            .retry_backoff_max_ms = 100,
            .connection_setup_timeout_ms = 1000,
            .connection_setup_timeout_max_ms = 2000,
            .connections_max_idle_ms = 540000,
            .metadata_max_age_ms = 300000,
            .metadata_max_idle_ms = 300000,
            .frame_bytes_max = 16 << 20,
            .in_flight_max = 100,
        },
        .group_id = STR("g"),
        .group_instance_id = STR_NULL,
        .auto_offset_reset = CONSUMER_RESET_EARLIEST,
        .fetch_min_bytes = 1,
        .fetch_max_bytes = 1 << 20,
        .fetch_max_wait_ms = 100,
        .max_partition_fetch_bytes = 64 << 10,
        .default_api_timeout_ms = 10000,
        .check_crcs = true,
        .buffer_bytes = 1 << 20,
        .max_poll_records = 500,
        .plain_bytes_max = 1 << 20,
    };
}

void cluster_begin(struct cluster *c)
{
    struct consumer_hooks hooks = {.event = on_event, .ready = on_ready, .ctx = c};
    struct consumer_partition p = {STR("t"), 0};
    struct fail f = {0};

    c->consumer = consumer_new(script_io(c->script), script_telemetry(c->script), &c->settings, &hooks, &f);
    CHECK(c->consumer != NULL);
    CHECK_EQ(consumer_assign(c->consumer, &p, 1, &f), 0);
}

void cluster_end(struct cluster *c)
{
    int64_t until_ms = io_now_ms(script_io(c->script)) + 5000 + 3100; /* as much as a world that delays adds */
    struct script_wait w;

    consumer_close(c->consumer, 5000, script_wait_begin(&w));
    script_wait_end(c->script, &w);
    CHECK(io_now_ms(script_io(c->script)) < until_ms);
    c->ending = true;
    for (uint32_t i = 0; i < array_count(c->empty); i++)
        io_timer_clear(&c->empty[i].timer);
    script_free(c->script);
    text_deinit(&c->events);
    text_deinit(&c->read);
    text_deinit(&c->log);
    text_deinit(&c->fetches);
}

void cluster_take(struct cluster *c)
{
    struct consumer_chunk *k;
    struct record record;

    while ((k = consumer_take(c->consumer)) != NULL) {
        while (consumer_chunk_next(k, &record) > 0)
            text_printf(&c->read, "%s%.*s", c->read.n == 0 ? "" : " ", record.value.n, (const char *)record.value.p);
        consumer_chunk_release(k, k->next);
    }
}

bool cluster_has(const struct cluster *c, const char *event)
{
    return c->events.n > 0 && strstr(c->events.p, event) != NULL;
}

struct consumer_place cluster_place(struct cluster *c)
{
    struct consumer_place place;

    CHECK_EQ(consumer_place(c->consumer, (struct consumer_partition){STR("t"), 0}, &place), 0);
    return place;
}
