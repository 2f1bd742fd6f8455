/* Foreign bytes on a connection, at either end, in a simulated world.
 *
 *   data[0]   seed of the world: how the bytes are cut, how long they take
 *   data[1]   odd: the bytes answer the calls of a peer; even: they are what a client sends
 *   data[2]   frames in flight; which of them are answered at once
 */
#include "network/network.h"
#include "simulator/simulator.h"

#include <stdint.h>
#include <stdlib.h>

#include "protocol/protocol.h"

#define FRAME_BYTES_MAX 300
#define CALLS 3
#define EVENTS_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct sim *sim;
    struct io *io, *far_io;
    struct io_listener *listener;
    struct io_socket *accepted, *connected;
    struct bytes bytes;            /* what is sent */
    struct io_span span;

    /* the server end */
    struct conn *conn;
    struct list waiting;           /* struct frame */
    struct bytes expected;         /* what is left of the bytes */
    uint8_t choice;
    uint32_t frames, gives;
    bool gone;
};

struct frame {
    struct conn_frame frame; /* first */
    struct list node;
};

struct wait {
    struct op op;
    bool done;
};

static void wait_done(struct op *op, int64_t result)
{
    container_of(op, struct wait, op)->done = true;
}

static struct op *wait_begin(struct wait *w)
{
    *w = (struct wait){0};
    op_init(&w->op, wait_done);
    return &w->op;
}

/* Until `*flag`, or until nothing comes of it. */
static void run(struct world *w, const bool *flag)
{
    for (uint64_t end = sim_events(w->sim) + EVENTS_MAX; sim_events(w->sim) < end && !*flag;) {
        if (!sim_step(w->sim))
            return;
    }
}

static void world_open(struct world *w, uint64_t seed, bool connected)
{
    struct wait accept, connect, listening;
    struct io_address address = {.host = "", .port = 9092};

    w->sim = sim_new(seed, NULL);
    struct sim_node *near = sim_node_new(w->sim, "near"), *far = sim_node_new(w->sim, "far");
    sim_node_start(near, 1);
    sim_node_start(far, 1);
    w->io = sim_node_io(near, 0);
    w->far_io = sim_node_io(far, 0);
    io_listen(w->io, &address, NULL, &w->listener, NULL, wait_begin(&listening));
    run(w, &listening.done);
    ASSERT(listening.done);
    if (!connected)
        return;
    io_accept(w->listener, &w->accepted, NULL, wait_begin(&accept));
    strcpy(address.host, "near");
    io_connect(w->far_io, &address, NULL, &w->connected, wait_begin(&connect));
    run(w, &accept.done);
    run(w, &connect.done);
    ASSERT(accept.done && connect.done);
}

/* ---- the server end ------------------------------------------------------------------------- */

static struct conn_frame *take(void *ctx)
{
    struct frame *f = calloc(1, sizeof *f);

    ASSERT(f != NULL);
    return &f->frame;
}

/* It must be the next whole frame of the bytes. */
static void taken(void *ctx, struct conn_frame *frame)
{
    struct world *w = ctx;
    struct frame *f = container_of(frame, struct frame, frame);

    ASSERT(w->expected.n >= 4 && frame->bytes.n == get_i32(w->expected.p));
    ASSERT(frame->bytes.n > 0 && frame->bytes.n <= FRAME_BYTES_MAX);
    ASSERT(w->expected.n >= 4 + frame->bytes.n);
    ASSERT(memcmp(frame->bytes.p, w->expected.p + 4, (size_t)frame->bytes.n) == 0);
    w->expected.p += 4 + frame->bytes.n;
    w->expected.n -= 4 + frame->bytes.n;
    list_add_tail(&w->waiting, &f->node);
    if ((w->choice >> (w->frames++ % 8) & 1) == 0)
        return;
    list_remove(&f->node);
    conn_answer(frame, NULL);
}

static void give(void *ctx, struct conn_frame *frame)
{
    ((struct world *)ctx)->gives++;
    free(container_of(frame, struct frame, frame));
}

static void answer_waiting(struct world *w)
{
    for (struct list *node; (node = list_take_head(&w->waiting)) != NULL;)
        conn_answer(&container_of(node, struct frame, node)->frame, NULL);
}

static void closed(void *ctx, const char *why)
{
    answer_waiting(ctx);
}

static void gone(void *ctx)
{
    ((struct world *)ctx)->gone = true;
}

static const struct conn_handler handler = {take, taken, give, closed, gone};

/* No whole and good frame is left: all of them were handed out. */
static bool is_exhausted(struct bytes rest)
{
    if (rest.n < 4)
        return true;
    int32_t n = get_i32(rest.p);
    return n <= 0 || n > FRAME_BYTES_MAX || rest.n < 4 + n;
}

static void server_end(struct world *w)
{
    struct conn_limits limits = {.frame_bytes_max = FRAME_BYTES_MAX,
                                 .in_flight_max = 1 + w->choice % 5,
                                 .unsent_bytes_max = 1};
    struct telemetry *t = telemetry_new(NULL);
    struct wait send, close;

    list_init(&w->waiting);
    w->expected = w->bytes;
    w->conn = conn_new(w->io, t, w->accepted, &limits, &handler, w);
    conn_start(w->conn);
    w->span = (struct io_span){.p = w->bytes.p, .n = (uint32_t)w->bytes.n};
    io_send(w->connected, &w->span, 1, wait_begin(&send));
    while (run(w, &w->gone), !w->gone && !list_empty(&w->waiting))
        answer_waiting(w);
    io_socket_close(w->connected, wait_begin(&close));
    run(w, &close.done);
    run(w, &w->gone);
    ASSERT(w->gone && w->frames == w->gives);
    ASSERT(is_exhausted(w->expected));
    telemetry_free(t);
}

/* ---- the client end -------------------------------------------------------------------------- */

struct call {
    struct peer_call call;
    bool done;
};

static void call_done(struct op *op, int64_t result)
{
    struct call *c = container_of(op, struct call, call.op);

    ASSERT(!c->done);
    ASSERT((result == 0) == (c->call.answer != NULL));
    c->done = true;
    buf_unref(c->call.answer);
}

/* The calls are sent to a node that reads nothing and sends the bytes. */
static void client_end(struct world *w)
{
    struct peer_settings settings = {.address = {.host = "near", .port = 9092},
                                     .client_id = STR("fuzz"),
                                     .backoff_ms = 1,
                                     .backoff_max_ms = 1,
                                     .request_timeout_ms = 1000,
                                     .frame_bytes_max = FRAME_BYTES_MAX,
                                     .in_flight_max = 1 + w->choice % CALLS};
    struct telemetry *t = telemetry_new(NULL);
    struct peer *p = peer_new(w->far_io, t, &settings);
    struct call calls[CALLS] = {0};
    struct wait accept, send, close;

    io_accept(w->listener, &w->accepted, NULL, wait_begin(&accept));
    for (int i = 0; i < CALLS; i++) {
        op_init(&calls[i].call.op, call_done);
        calls[i].call.api_key = i % 2 == 0 ? API_METADATA : API_API_VERSIONS;
        calls[i].call.api_version = i % 2 == 0 ? 12 : 0;
        peer_send(p, &calls[i].call, BYTES_NULL);
    }
    run(w, &accept.done);
    ASSERT(accept.done);
    w->span = (struct io_span){.p = w->bytes.p, .n = (uint32_t)w->bytes.n};
    io_send(w->accepted, &w->span, 1, wait_begin(&send));
    run(w, &calls[0].done);
    peer_close(p, wait_begin(&close));
    run(w, &close.done);
    ASSERT(close.done);
    for (int i = 0; i < CALLS; i++)
        ASSERT(calls[i].done);
    telemetry_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};

    if (size < 4 || size > 65536)
        return 0;
    bool client = data[1] % 2 == 1;
    w.choice = data[2];
    w.bytes = (struct bytes){data + 3, (int32_t)size - 3};
    world_open(&w, data[0], !client);
    if (client)
        client_end(&w);
    else
        server_end(&w);
    sim_free(w.sim);
    return 0;
}
