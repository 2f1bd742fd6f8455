/* See lab.h. */
#define _GNU_SOURCE
#include "lab.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "io_epoll/io_epoll.h"

/* ---- worlds --------------------------------------------------------------------------------- */

static void sink_write(struct telemetry_sink *sink, enum log_level level, const char *room,
                       const char *line)
{
    struct lab *lab = container_of(sink, struct lab, sink);

    text_printf(&lab->said, "%s\n", line);
}

static void lab_init(struct lab *lab)
{
    *lab = (struct lab){.sink = {.write = sink_write, .level = LOG_WARN}};
    lab->telemetry = telemetry_new(&lab->sink);
}

void lab_sim(struct lab *lab, uint64_t seed, const struct sim_options *options)
{
    lab_init(lab);
    lab->sim = sim_new(seed, options);
    lab->near = sim_node_new(lab->sim, "near");
    lab->far = sim_node_new(lab->sim, "far");
    sim_node_start(lab->near, 1);
    sim_node_start(lab->far, 1);
    lab->io = sim_node_io(lab->near, 0);
    lab->far_io = sim_node_io(lab->far, 0);
    snprintf(lab->directory, sizeof lab->directory, "/data");
    ASSERT(sim_disk_mkdir(lab->near, "/data") == 0);
    snprintf(lab->address.host, sizeof lab->address.host, "near");
    lab->address.port = 9092;
}

void lab_real(struct lab *lab)
{
    lab_init(lab);
    ASSERT(io_epoll_new(1, NULL, &lab->epoll) == 0);
    ASSERT(io_epoll_start(lab->epoll, NULL, NULL) == 0);
    lab->io = lab->far_io = io_epoll_shard(lab->epoll, 0);
    strcpy(lab->directory, "/tmp/millrace-network-XXXXXX");
    ASSERT(mkdtemp(lab->directory) != NULL);
    snprintf(lab->address.host, sizeof lab->address.host, "127.0.0.1");
}

void lab_listen(struct lab *lab)
{
    struct wait w;

    do {
        struct io_address any = {.port = lab->sim == NULL ? 0 : lab->address.port};
        if (lab->sim == NULL)
            any = lab->address;
        io_listen(lab->io, &any, NULL, &lab->listener, lab->sim == NULL ? &lab->address : NULL,
                  wait_begin(&w));
    } while (wait_end(lab, &w) < 0);
}

void lab_unlisten(struct lab *lab)
{
    struct wait w;

    if (lab->listener == NULL)
        return;
    io_listener_close(lab->listener, wait_begin(&w));
    CHECK_EQ(wait_end(lab, &w), 0);
    lab->listener = NULL;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    return remove(path);
}

void lab_end(struct lab *lab)
{
    lab_unlisten(lab);
    telemetry_free(lab->telemetry);
    text_deinit(&lab->said);
    if (lab->sim != NULL) {
        sim_free(lab->sim);
        return;
    }
    io_epoll_free(lab->epoll);
    nftw(lab->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

bool lab_turn(struct lab *lab)
{
    static int64_t patience_ns = 120 * SEC; /* of the whole program, on a busy machine */

    if (lab->sim != NULL)
        return sim_now_ns(lab->sim) < 3600 * SEC && sim_step(lab->sim);
    int64_t before_ns = io_now_ns(lab->io);
    io_epoll_turn(lab->epoll, 2 * MS);
    patience_ns -= io_now_ns(lab->io) - before_ns;
    return patience_ns > 0;
}

void lab_pass(struct lab *lab, int64_t ns)
{
    if (lab->sim != NULL) {
        sim_run_until(lab->sim, sim_now_ns(lab->sim) + ns);
        return;
    }
    for (int64_t end_ns = io_now_ns(lab->io) + ns; io_now_ns(lab->io) < end_ns;)
        io_epoll_turn(lab->epoll, 2 * MS);
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

struct io_file *lab_pattern_file(struct lab *lab)
{
    struct io_file *file = NULL;
    struct bytes piece = {malloc(PATTERN_FILE_BYTES), PATTERN_FILE_BYTES};
    struct wait w;
    char path[100];

    for (uint32_t i = 0; i < PATTERN_FILE_BYTES; i++)
        ((uint8_t *)(uintptr_t)piece.p)[i] = pattern(0, i);
    snprintf(path, sizeof path, "%s/pattern", lab->directory);
    do {
        io_open(lab->io, path, IO_WRITE | IO_CREATE, &file, wait_begin(&w));
    } while (wait_end(lab, &w) < 0);
    do {
        io_write(file, 0, &piece, 1, wait_begin(&w));
    } while (wait_end(lab, &w) < 0);
    free((void *)(uintptr_t)piece.p);
    return file;
}

/* ---- the host ------------------------------------------------------------------------------- */

const struct conn_limits limits_wide = {
    .frame_bytes_max = 64u << 20, .in_flight_max = 100, .unsent_bytes_max = 64u << 20};

static void park(struct host *h, struct taken *t)
{
    list_add_tail(&h->parked, &t->node);
    h->parked_count++;
}

static struct conn_frame *host_take(void *ctx)
{
    struct host *h = ctx;
    struct taken *t;

    ASSERT(!h->inside && !h->closed);
    if (h->refuse_take)
        return NULL;
    t = malloc(sizeof *t); /* not zeroed: conn fills the frame */
    memset(t, 0xdb, sizeof *t);
    t->host = h;
    t->spans = NULL;
    t->bytes = NULL;
    return &t->frame;
}

static void host_frame(void *ctx, struct conn_frame *frame)
{
    struct host *h = ctx;
    struct taken *t = container_of(frame, struct taken, frame);

    ASSERT(!h->inside && !h->closed && frame->conn == h->conn);
    h->frames++;
    ASSERT(h->frames - h->gives <= h->limits.in_flight_max);
    ASSERT(frame->bytes.n > 0);
    t->id = frame->bytes.n >= 4 ? get_u32(frame->bytes.p) : 0;
    for (int32_t i = 4; i < frame->bytes.n; i++) {
        if (frame->bytes.p[i] != pattern(t->id, (uint64_t)i))
            check_fail(__FILE__, __LINE__, "byte %d of frame %u is wrong", (int)i, t->id);
    }
    text_printf(&h->ids, "%u ", t->id);
    park(h, t);
    if (h->on_frame != NULL)
        h->on_frame(h, t);
}

static void host_give(void *ctx, struct conn_frame *frame)
{
    struct host *h = ctx;
    struct taken *t = container_of(frame, struct taken, frame);

    ASSERT(frame->answered && frame->buf == NULL);
    h->gives++;
    free(t->spans);
    free(t->bytes);
    memset(t, 0xdb, sizeof *t);
    free(t);
    if (h->on_give != NULL)
        h->on_give(h);
}

static void host_closed(void *ctx, const char *why)
{
    struct host *h = ctx;

    ASSERT(!h->inside && !h->closed);
    h->closed = true;
    snprintf(h->why, sizeof h->why, "%s", why);
    if (h->on_closed != NULL)
        h->on_closed(h);
}

static void host_gone(void *ctx)
{
    struct host *h = ctx;

    ASSERT(!h->inside && h->closed && !h->gone);
    ASSERT(h->frames == h->gives && list_empty(&h->parked));
    h->gone = true;
    h->conn = NULL;
}

static const struct conn_handler host_handler = {
    .take = host_take,
    .frame = host_frame,
    .give = host_give,
    .closed = host_closed,
    .gone = host_gone,
};

static void accept_done(struct op *op, int64_t result)
{
    struct host *h = container_of(op, struct host, accept);

    if (result == -ECANCELED)
        return;
    if (result < 0) {
        op_init(&h->accept, accept_done);
        io_accept(h->lab->listener, &h->socket, NULL, &h->accept);
        return;
    }
    h->conn = conn_new(h->lab->io, h->lab->telemetry, h->socket, &h->limits, &host_handler, h);
    ASSERT(h->conn != NULL);
    if (h->started)
        conn_start(h->conn);
}

void host_accept(struct host *h, struct lab *lab, const struct conn_limits *limits, bool start)
{
    *h = (struct host){.lab = lab, .limits = *limits, .started = start};
    list_init(&h->parked);
    op_init(&h->accept, accept_done);
    io_accept(lab->listener, &h->socket, NULL, &h->accept);
}

struct taken *host_first(struct host *h)
{
    return LIST_FIRST(&h->parked, struct taken, node);
}

struct taken *host_last(struct host *h)
{
    return LIST_LAST(&h->parked, struct taken, node);
}

static void released(struct answer *a)
{
    struct taken *t = container_of(a, struct taken, answer);

    ASSERT(t->frame.answer == a);
    t->host->releases++;
}

static void unpark(struct taken *t)
{
    list_remove(&t->node);
    t->host->parked_count--;
}

void host_answer_spans(struct taken *t, uint32_t n, uint32_t spans)
{
    struct host *h = t->host;
    uint32_t each = n / spans, at = 0;

    t->bytes = malloc(8 + n);
    t->spans = calloc(spans + 1, sizeof *t->spans);
    put_u32(t->bytes, 4 + n);
    put_u32(t->bytes + 4, t->id);
    for (uint32_t i = 0; i < n; i++)
        t->bytes[8 + i] = pattern(t->id, i);
    t->spans[0] = (struct io_span){.p = t->bytes, .n = 8};
    for (uint32_t i = 0; i < spans; i++) {
        uint32_t part = i + 1 == spans ? n - at : each;
        t->spans[1 + i] = (struct io_span){.p = t->bytes + 8 + at, .n = part};
        if (h->file != NULL && t->id == 0 && at + part <= PATTERN_FILE_BYTES) {
            t->spans[1 + i] = (struct io_span){.file = h->file, .position = at, .n = part};
            memset(t->bytes + 8 + at, 0xdb, part); /* it must come from the file */
        }
        at += part;
    }
    t->answer = (struct answer){
        .spans = t->spans, .span_count = spans + 1, .total_bytes = 8 + n, .release = released};
    unpark(t);
    h->answers++;
    bool outer = h->inside;
    h->inside = true; /* nothing but `give` may be called in there */
    conn_answer(&t->frame, &t->answer);
    h->inside = outer;
}

void host_answer(struct taken *t, uint32_t n)
{
    host_answer_spans(t, n, 1);
}

void host_answer_none(struct taken *t)
{
    struct host *h = t->host;
    bool outer = h->inside;

    unpark(t);
    h->inside = true;
    conn_answer(&t->frame, NULL);
    h->inside = outer;
}

void host_end(struct host *h)
{
    if (h->conn != NULL)
        conn_close(h->conn, "the test ends");
    while (!h->gone) {
        while (!list_empty(&h->parked))
            host_answer(host_first(h), 0);
        if (h->gone)
            break;
        CHECK(lab_turn(h->lab));
    }
    CHECK_EQ(h->frames, h->gives);
    CHECK_EQ(h->answers, h->releases);
    text_deinit(&h->ids);
}

/* ---- the guest ------------------------------------------------------------------------------ */

static void connect_done(struct op *op, int64_t result)
{
    struct guest *g = container_of(op, struct guest, connect);

    if (result == 0) {
        g->connected = true;
        return;
    }
    op_init(&g->connect, connect_done);
    io_connect(g->io, &g->lab->address, NULL, &g->socket, &g->connect);
}

void guest_connect(struct guest *g, struct lab *lab)
{
    *g = (struct guest){.lab = lab, .io = lab->far_io};
    op_init(&g->connect, connect_done);
    io_connect(g->io, &lab->address, NULL, &g->socket, &g->connect);
    UNTIL(lab, g->connected);
}

static void send_more(struct guest *g);

static void send_done(struct op *op, int64_t result)
{
    struct guest *g = container_of(op, struct guest, send);

    g->sending = false;
    if (result < 0) {
        g->send_result = result;
        return;
    }
    send_more(g);
}

static void send_more(struct guest *g)
{
    uint32_t n = (uint32_t)g->out.n;

    if (g->sending || n == 0 || g->send_result < 0 || g->socket == NULL)
        return;
    if (prng_chance(io_prng(g->io), g->cut_ppm))
        n = 1 + (uint32_t)prng_below(io_prng(g->io), n);
    text_clear(&g->sent);
    text_add(&g->sent, g->out.p, n);
    memmove(g->out.p, g->out.p + n, g->out.n - n);
    g->out.n -= n;
    g->sending = true;
    g->span = (struct io_span){.p = (const uint8_t *)g->sent.p, .n = n};
    op_init(&g->send, send_done);
    io_send(g->socket, &g->span, 1, &g->send);
}

void guest_send(struct guest *g, const void *p, size_t n)
{
    text_add(&g->out, p, n);
    send_more(g);
}

void guest_frame(struct guest *g, uint32_t id, uint32_t n)
{
    uint8_t *bytes = malloc(4 + (size_t)n);

    ASSERT(n >= 4);
    put_u32(bytes, n);
    put_u32(bytes + 4, id);
    for (uint32_t i = 4; i < n; i++)
        bytes[4 + i] = pattern(id, i);
    guest_send(g, bytes, 4 + (size_t)n);
    free(bytes);
}

/* Look at the answers that are whole. */
static void guest_parse(struct guest *g)
{
    while (g->in.n - g->parsed >= 4) {
        const uint8_t *p = (const uint8_t *)g->in.p + g->parsed;
        uint32_t n = get_u32(p);
        if (n < 4 || n > 64u << 20)
            check_fail(__FILE__, __LINE__, "an answer of %u bytes", n);
        if (g->in.n - g->parsed < 4 + (size_t)n)
            return;
        uint32_t id = get_u32(p + 4);
        for (uint32_t i = 0; i < n - 4; i++) {
            if (p[8 + i] != pattern(id, i))
                check_fail(__FILE__, __LINE__, "byte %u of answer %u is wrong", i, id);
        }
        text_printf(&g->ids, "%u ", id);
        g->answers++;
        g->parsed += 4 + (size_t)n;
    }
}

static void receive_done(struct op *op, int64_t result);

static uint8_t received[65536];

static void receive_more(struct guest *g)
{
    op_init(&g->receive, receive_done);
    io_recv(g->socket, received, sizeof received, &g->receive);
}

static void receive_done(struct op *op, int64_t result)
{
    struct guest *g = container_of(op, struct guest, receive);

    if (result <= 0) {
        g->ended = true;
        g->end_result = result;
        return;
    }
    text_add(&g->in, received, (size_t)result);
    guest_parse(g);
    receive_more(g);
}

void guest_read(struct guest *g)
{
    g->reading = true;
    receive_more(g);
}

void guest_end(struct guest *g)
{
    struct wait w;

    if (g->socket != NULL) {
        io_socket_close(g->socket, wait_begin(&w));
        g->socket = NULL;
        CHECK_EQ(wait_end(g->lab, &w), 0);
    }
    text_deinit(&g->out);
    text_deinit(&g->sent);
    text_deinit(&g->in);
    text_deinit(&g->ids);
}
