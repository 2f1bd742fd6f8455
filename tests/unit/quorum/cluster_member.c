/* What a member of cluster.h is told, and what it answers others. */
#include "cluster.h"

#include "protocol/api_versions.h"
#include "protocol/describe_cluster.h"

#include <stdlib.h>

/* ---- the listener ------------------------------------------------------------------------ */

static void grow(int64_t **values, uint32_t count, uint32_t *capacity)
{
    if (count < *capacity)
        return;
    *capacity = *capacity == 0 ? 256 : *capacity * 2;
    *values = realloc(*values, *capacity * sizeof(**values));
    ASSERT(*values != NULL);
}

/* The next number of a member's state: the history has it there, or it is what the history goes on with. */
static void take_value(struct member *m, int64_t value)
{
    struct cluster *c = m->cluster;

    grow(&m->values, m->count, &m->capacity);
    m->values[m->count] = value;
    if (m->count < c->truth_count) {
        if (c->truth[m->count] != value)
            check_fail(__FILE__, __LINE__, "node %d delivers %d as number %u, others %d", m->id, (int)value, m->count,
                       (int)c->truth[m->count]);
    } else {
        grow(&c->truth, c->truth_count, &c->truth_capacity);
        c->truth[c->truth_count++] = value;
    }
    m->count++;
}

static void take_batch(struct member *m, const struct batch *b)
{
    struct records records = {0};
    struct record record;
    int64_t value;

    if (batch_is_control(b))
        return;
    CHECK_EQ(records_begin(&records, b, 1 << 20), 0);
    while (records_next(&records, &record) == 1) {
        CHECK_EQ(str_to_i64((struct str){(const char *)record.value.p + 3, record.value.n - 3}, 0, INT64_MAX, &value),
                 0);
        take_value(m, value);
    }
    records_end(&records);
}

static void on_committed(void *ctx, struct bytes batches)
{
    struct member *m = ctx;
    struct batch b;

    while (batch_next(&batches, &b) == 1) {
        CHECK(batch_crc_ok(&b));
        if (!m->from_snapshot) {
            CHECK(m->next == -1 || b.base_offset == m->next);
            m->next = b.last_offset + 1;
            m->last_epoch = b.leader_epoch;
        }
        take_batch(m, &b);
    }
    m->from_snapshot = false;
}

static void on_snapshot(void *ctx, struct raft_snapshot_id id)
{
    struct member *m = ctx;

    CHECK(m->next == -1 || id.end_offset > m->next);
    m->snapshots++;
    m->count = 0;
    m->from_snapshot = true;
    m->next = id.end_offset;
    m->last_epoch = id.epoch;
}

static void on_leader(void *ctx, int32_t leader_id, int32_t epoch)
{
    struct member *m = ctx;

    CHECK(epoch >= m->epoch);
    m->leader = leader_id;
    m->epoch = epoch;
}

static void on_claim(void *ctx, int32_t epoch)
{
    struct member *m = ctx;

    CHECK(epoch < (int32_t)array_count(m->cluster->claimed_by));
    CHECK_EQ(m->cluster->claimed_by[epoch], 0); /* F1 */
    CHECK_EQ(m->last_epoch, epoch);             /* all before its epoch was delivered, and what begins it */
    m->cluster->claimed_by[epoch] = m->id;
    m->claimed = epoch;
}

static void on_caught_up(void *ctx, int64_t high_watermark)
{
    struct member *m = ctx;

    CHECK(m->next == -1 || m->next >= high_watermark);
    CHECK(high_watermark > m->caught_up);
    m->caught_up = high_watermark;
}

static void on_fetched(void *ctx, int32_t replica_id)
{
    struct member *m = ctx;

    m->fetched_by_9 += replica_id == 9;
}

struct quorum_listener member_listener(struct member *m)
{
    return (struct quorum_listener){.committed = on_committed,
                                    .snapshot = on_snapshot,
                                    .leader = on_leader,
                                    .claim = on_claim,
                                    .caught_up = on_caught_up,
                                    .fetched = on_fetched,
                                    .ctx = m};
}

/* ---- the server -------------------------------------------------------------------------- */

struct connection {
    struct list node;
    struct member *member;
    struct conn *conn;
};

struct served {
    struct conn_frame frame; /* first */
    struct member *member;
    struct quorum_call call;
    struct arena arena;
    int32_t correlation_id;
    int16_t api_key, version;
    void *response;
    struct answer answer;
    struct io_span span;
    uint8_t *bytes;
};

static void released(struct answer *a)
{
    struct served *s = container_of(a, struct served, answer);

    free(s->bytes);
    s->bytes = NULL;
}

static void reply(struct served *s)
{
    const struct message *message = api_find(s->api_key)->response;
    uint32_t header = response_header_size(s->api_key, s->version);
    int64_t n = message_size(message, s->version, s->response);

    if (n < 0)
        check_fail(__FILE__, __LINE__, "the answer to %s v%d cannot be written: %s", api_name(s->api_key), s->version,
                   message_obstacle(message, s->version, s->response));
    s->bytes = malloc(4 + header + (size_t)n);
    ASSERT(s->bytes != NULL);
    put_u32(s->bytes, header + (uint32_t)n);
    response_header_write(s->api_key, s->version, s->correlation_id, s->bytes + 4);
    message_write(message, s->version, s->response, s->bytes + 4 + header);
    s->span = (struct io_span){.p = s->bytes, .n = 4 + header + (uint32_t)n};
    s->answer =
        (struct answer){.spans = &s->span, .span_count = 1, .total_bytes = s->span.n, .release = released};
    conn_answer(&s->frame, &s->answer);
}

static void call_ready(struct quorum_call *call)
{
    struct served *s = container_of(call, struct served, call);
    struct cluster *c = s->member->cluster;

    if (c->twist != NULL)
        c->twist(s->member, s->api_key, s->response, &s->arena);
    reply(s);
}

static void serve_versions(struct served *s)
{
    struct api_versions_response *m = s->response;
    struct api_versions_response_api_keys *keys = arena_take_array(&s->arena, API_KEY_COUNT, sizeof(*keys));
    struct api_versions_response_supported_features *feature = arena_take(&s->arena, sizeof(*feature));

    ASSERT(keys != NULL && feature != NULL);
    m->api_keys = keys;
    for (int16_t key = 0; key < API_KEY_COUNT; key++) {
        const struct api *api = api_find(key);
        if (api == NULL || (key != API_API_VERSIONS && key != API_DESCRIBE_CLUSTER && !quorum_handles(key)))
            continue;
        api_versions_response_api_keys_init(&keys[m->api_keys_count]);
        keys[m->api_keys_count].api_key = key;
        keys[m->api_keys_count].min_version = api->low;
        keys[m->api_keys_count++].max_version = api->high;
    }
    api_versions_response_supported_features_init(feature);
    feature->name = STR("kraft.version");
    feature->max_version = 1;
    m->supported_features = feature;
    m->supported_features_count = s->version >= 4 ? 1 : 0;
    reply(s);
}

static void serve_cluster(struct served *s)
{
    struct describe_cluster_response *m = s->response;

    m->cluster_id = STR(CLUSTER_ID);
    reply(s);
}

static struct conn_frame *take(void *ctx)
{
    struct served *s = calloc(1, sizeof(*s));

    ASSERT(s != NULL);
    return &s->frame;
}

static void asked(void *ctx, struct conn_frame *frame)
{
    struct connection *c = ctx;
    struct served *s = container_of(frame, struct served, frame);
    struct request_header h;
    int used = request_header_read(frame->bytes, &h);

    if (c->member->phase != MEMBER_UP || c->member->q == NULL) {
        conn_close(c->conn, "stopping");
        conn_answer(frame, NULL);
        return;
    }
    CHECK(used > 0);
    s->member = c->member;
    s->api_key = h.request_api_key;
    s->version = h.request_api_version;
    s->correlation_id = h.correlation_id;
    c->member->cluster->served[s->api_key]++;
    arena_init(&s->arena, 0);
    const struct api *api = api_find(s->api_key);
    void *m = arena_take(&s->arena, message_struct_bytes(api->request));
    struct bytes body = {frame->bytes.p + used, frame->bytes.n - used};
    CHECK_EQ(message_read(api->request, body, s->version, &s->arena, m), body.n);
    s->response = arena_take(&s->arena, message_struct_bytes(api->response));
    message_init(api->response, s->response);
    if (s->api_key == API_API_VERSIONS) {
        serve_versions(s);
        return;
    }
    if (s->api_key == API_DESCRIBE_CLUSTER) {
        serve_cluster(s);
        return;
    }
    s->call = (struct quorum_call){.api_key = s->api_key,
                                   .api_version = s->version,
                                   .request = m,
                                   .response = s->response,
                                   .arena = &s->arena,
                                   .listener = STR("CONTROLLER"),
                                   .ready = call_ready};
    quorum_handle(c->member->q, &s->call);
}

static void give(void *ctx, struct conn_frame *frame)
{
    struct served *s = container_of(frame, struct served, frame);

    arena_deinit(&s->arena);
    free(s);
}

static void closed(void *ctx, const char *why)
{
}

static void gone(void *ctx)
{
    struct connection *c = ctx;

    list_remove(&c->node);
    free(c);
}

static void accepted(struct op *op, int64_t result)
{
    static const struct conn_handler handler = {take, asked, give, closed, gone};
    static const struct conn_limits limits = {
        .frame_bytes_max = 100 << 20, .in_flight_max = 100, .unsent_bytes_max = 100 << 20};
    struct member *m = container_of(op, struct member, accept);

    m->accepting = false;
    if (result >= 0) {
        struct connection *c = calloc(1, sizeof(*c));
        ASSERT(c != NULL);
        c->member = m;
        c->conn = conn_new(m->io, m->telemetry, m->socket, &limits, &handler, c);
        list_add_tail(&m->connections, &c->node);
        if (m->phase == MEMBER_UP)
            conn_start(c->conn);
        else
            conn_close(c->conn, "stopping");
    }
    if (m->phase == MEMBER_UP && sim_node_is_up(m->node))
        member_accept(m);
}

void member_accept(struct member *m)
{
    m->accepting = true;
    op_init(&m->accept, accepted);
    io_accept(m->listener, &m->socket, NULL, &m->accept);
}

void member_close_connections(struct member *m)
{
    LIST_EACH (node, &m->connections)
        conn_close(container_of(node, struct connection, node)->conn, "stopping");
}
