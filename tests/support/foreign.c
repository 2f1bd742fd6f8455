#include "foreign.h"

#include <stdlib.h>

#include "protocol/api_versions.h"
#include "protocol/find_coordinator.h"
#include "protocol/metadata.h"
#include "protocol/protocol.h"

#define EVENTS_MAX 200000
#define INPUT_MAX 65536
#define ARENA_BYTES ((size_t)16 << 20)

/* ---- good answers ---------------------------------------------------------------------------------- */

/* All APIs, in all versions. */
static void good_versions(struct api_versions_response *m, struct arena *arena)
{
    m->api_keys = arena_take_array(arena, API_KEY_COUNT, sizeof *m->api_keys);
    m->api_keys_count = 0;
    for (int16_t key = 0; key < API_KEY_COUNT; key++) {
        if (api_find(key) == NULL)
            continue;
        struct api_versions_response_api_keys *k = &m->api_keys[m->api_keys_count++];
        api_versions_response_api_keys_init(k);
        k->api_key = key;
        k->min_version = api_find(key)->low;
        k->max_version = api_find(key)->high;
    }
}

static void good_metadata(struct metadata_response *m, struct arena *arena)
{
    struct metadata_response_brokers *b = arena_take(arena, sizeof *b);
    struct metadata_response_topics *t = arena_take(arena, sizeof *t);

    metadata_response_brokers_init(b);
    b->node_id = 1;
    b->host = STR("near");
    b->port = 9092;
    m->brokers = b;
    m->brokers_count = 1;
    m->controller_id = 1;
    metadata_response_topics_init(t);
    t->name = STR("t");
    t->topic_id = (struct uuid){.b = {1, 2, 3}};
    t->partitions = arena_take_array(arena, FOREIGN_PARTITIONS, sizeof *t->partitions);
    t->partitions_count = FOREIGN_PARTITIONS;
    for (int32_t i = 0; i < FOREIGN_PARTITIONS; i++) {
        metadata_response_topics_partitions_init(&t->partitions[i]);
        t->partitions[i].partition_index = i;
        t->partitions[i].leader_id = 1;
        t->partitions[i].leader_epoch = 3;
    }
    m->topics = t;
    m->topics_count = 1;
}

/* From version 4 on of many keys (KIP-699). */
static void good_coordinator(int16_t version, const struct find_coordinator_request *q,
                             struct find_coordinator_response *m, struct arena *arena)
{
    int32_t count = q->coordinator_keys_count > 0 ? q->coordinator_keys_count : 0;

    if (version < 4) {
        m->node_id = 1;
        m->host = STR("near");
        m->port = 9092;
        return;
    }
    m->coordinators = arena_take_array(arena, (size_t)count, sizeof *m->coordinators);
    m->coordinators_count = count;
    for (int32_t i = 0; i < count; i++) {
        find_coordinator_response_coordinators_init(&m->coordinators[i]);
        m->coordinators[i].key = q->coordinator_keys[i];
        m->coordinators[i].node_id = 1;
        m->coordinators[i].host = STR("near");
        m->coordinators[i].port = 9092;
    }
}

/* ---- the broker ------------------------------------------------------------------------------------- */

struct line {
    struct conn *conn;
    struct foreign *world;
};

struct request {
    struct conn_frame frame; /* first */
    struct answer answer;
    struct io_span span;
    struct text bytes;
};

static struct conn_frame *take(void *ctx)
{
    struct request *r = calloc(1, sizeof *r);

    ASSERT(r != NULL);
    return &r->frame;
}

static void released(struct answer *a) {}

static void give(void *ctx, struct conn_frame *frame)
{
    struct request *r = container_of(frame, struct request, frame);

    text_deinit(&r->bytes);
    free(r);
}

static uint8_t next_byte(struct foreign *f)
{
    if (f->rest.n == 0)
        return 0;
    f->rest.n--;
    return *f->rest.p++;
}

static struct bytes next_bytes(struct foreign *f)
{
    struct bytes piece = {f->rest.p, 0};

    if (f->rest.n < 2)
        return piece;
    int32_t n = get_u16(f->rest.p);
    piece.p += 2;
    piece.n = n < f->rest.n - 2 ? n : f->rest.n - 2;
    f->rest.p += 2 + piece.n;
    f->rest.n -= 2 + piece.n;
    return piece;
}

static void fill(struct foreign *f, const struct request_header *h, const void *request, void *response,
                 struct arena *arena)
{
    if (h->request_api_key == API_API_VERSIONS)
        good_versions(response, arena);
    else if (h->request_api_key == API_METADATA)
        good_metadata(response, arena);
    else if (h->request_api_key == API_FIND_COORDINATOR)
        good_coordinator(h->request_api_version, request, response, arena);
    else if (f->good != NULL)
        f->good(h->request_api_key, h->request_api_version, request, response, arena);
}

static void add_good(struct foreign *f, struct text *out, const struct request_header *h, struct bytes body)
{
    const struct api *api = api_find(h->request_api_key);
    struct arena arena;
    void *request, *response;

    arena_init(&arena, ARENA_BYTES);
    request = arena_take(&arena, message_struct_bytes(api->request));
    response = arena_take(&arena, message_struct_bytes(api->response));
    ASSERT(request != NULL && response != NULL);
    message_init(api->response, response);
    ASSERT(message_read(api->request, body, h->request_api_version, &arena, request) == body.n);
    fill(f, h, request, response, &arena);
    int64_t n = message_size(api->response, h->request_api_version, response);
    ASSERT(n >= 0);
    uint8_t *bytes = malloc((size_t)n + 1);
    message_write(api->response, h->request_api_version, response, bytes);
    text_add(out, bytes, (size_t)n);
    free(bytes);
    arena_deinit(&arena);
}

static void flip(struct foreign *f, struct text *bytes, uint32_t from)
{
    for (uint8_t n = next_byte(f); n > 0 && f->rest.n >= 3 && bytes->n > from; n--) {
        uint32_t place = get_u16(f->rest.p) % (uint32_t)(bytes->n - from);
        bytes->p[from + place] = (char)(bytes->p[from + place] ^ (char)f->rest.p[2]);
        f->rest.p += 3;
        f->rest.n -= 3;
    }
}

static void make_answer(struct request *r, struct foreign *f)
{
    struct request_header h;
    uint8_t head[16], how = next_byte(f) % 8;

    if (how == 3) {
        struct bytes raw = next_bytes(f);
        text_add(&r->bytes, raw.p, (size_t)raw.n);
        text_add(&r->bytes, "", 1);
        return;
    }
    int used = request_header_read(r->frame.bytes, &h);
    ASSERT(used > 0);
    uint32_t header = response_header_size(h.request_api_key, h.request_api_version);
    response_header_write(h.request_api_key, h.request_api_version, h.correlation_id, head + 4);
    text_add(&r->bytes, head, 4 + header);
    if (how >= 4 || (how == 2 && h.request_api_key == API_API_VERSIONS)) {
        add_good(f, &r->bytes, &h, (struct bytes){r->frame.bytes.p + used, r->frame.bytes.n - used});
    } else {
        struct bytes body = next_bytes(f);
        text_add(&r->bytes, body.p, (size_t)body.n);
    }
    if (how >= 4)
        flip(f, &r->bytes, 4 + header);
    put_u32(r->bytes.p, (uint32_t)r->bytes.n - 4);
}

static void asked(void *ctx, struct conn_frame *frame)
{
    struct line *line = ctx;
    struct request *r = container_of(frame, struct request, frame);

    if (line->world->rest.n == 0) {
        conn_close(line->conn, "nothing is left to say");
        conn_answer(frame, NULL);
        return;
    }
    make_answer(r, line->world);
    r->span = (struct io_span){.p = (uint8_t *)r->bytes.p, .n = (uint32_t)r->bytes.n};
    r->answer = (struct answer){&r->span, 1, r->bytes.n, released};
    conn_answer(frame, &r->answer);
}

static void closed(void *ctx, const char *why) {}

static void gone(void *ctx)
{
    free(ctx);
}

static const struct conn_handler handler = {take, asked, give, closed, gone};

static void accept_next(struct foreign *f);

static void accepted(struct op *op, int64_t result)
{
    struct foreign *f = container_of(op, struct foreign, accept);
    static const struct conn_limits limits = {.frame_bytes_max = 1 << 20, .in_flight_max = 10, .unsent_bytes_max = 1};

    if (result < 0)
        return;
    struct line *line = calloc(1, sizeof *line);
    ASSERT(line != NULL);
    line->world = f;
    line->conn = conn_new(f->io, f->telemetry, f->accepted, &limits, &handler, line);
    conn_start(line->conn);
    accept_next(f);
}

static void accept_next(struct foreign *f)
{
    op_init(&f->accept, accepted);
    io_accept(f->listener, &f->accepted, NULL, &f->accept);
}

/* ---- a world ------------------------------------------------------------------------------------------ */

static void wait_done(struct op *op, int64_t result)
{
    struct foreign_wait *w = container_of(op, struct foreign_wait, op);

    ASSERT(!w->done);
    w->done = true;
    w->result = result;
}

struct op *foreign_wait_begin(struct foreign_wait *w)
{
    *w = (struct foreign_wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

void foreign_wait_end(struct foreign *f, struct foreign_wait *w)
{
    for (uint64_t end = sim_events(f->sim) + EVENTS_MAX; sim_events(f->sim) < end && !w->done;) {
        if (!sim_step(f->sim))
            break;
    }
    ASSERT(w->done);
}

void foreign_pass(struct foreign *f, int64_t ms)
{
    sim_run_until(f->sim, sim_now_ns(f->sim) + ms * INT64_C(1000000));
}

bool foreign_open(struct foreign *f, const uint8_t *data, size_t size)
{
    struct io_address address = {.host = "", .port = 9092};
    struct sim_node *near, *far;
    struct foreign_wait wait;

    if (size < 2 || size > INPUT_MAX)
        return false;
    *f = (struct foreign){.rest = {data + 1, (int32_t)size - 1}};
    f->sim = sim_new(data[0], NULL);
    f->telemetry = telemetry_new(NULL);
    near = sim_node_new(f->sim, "near");
    far = sim_node_new(f->sim, "far");
    sim_node_start(near, 1);
    sim_node_start(far, 1);
    f->io = sim_node_io(near, 0);
    f->far_io = sim_node_io(far, 0);
    io_listen(f->io, &address, NULL, &f->listener, NULL, foreign_wait_begin(&wait));
    foreign_wait_end(f, &wait);
    accept_next(f);
    return true;
}

void foreign_close(struct foreign *f)
{
    struct foreign_wait wait;

    io_listener_close(f->listener, foreign_wait_begin(&wait));
    foreign_wait_end(f, &wait);
    foreign_pass(f, 5000); /* connections have heard that they ended */
    telemetry_free(f->telemetry);
    sim_free(f->sim);
}
