/* The client end of a connection: calls out in order, answers matched by correlation id.
 *
 *   CLOSED ─ a call ─► CONNECTING ─► OPEN ─ trouble, a call's timeout ─► CLOSING ─► CLOSED
 *     └──── back-off before the next try ─────────────────────────────────────────────┘
 *
 * A call's end may bring the next call or peer_close, at once: so it comes last, when the state is
 * whole again. Only a completion frees the peer, never peer_close itself.
 */
#include "network/network.h"

#include <stdlib.h>

#include "protocol/protocol.h"

#define LENGTH_BYTES 4
#define JITTER_PERCENT 20

enum peer_phase { PEER_CLOSED, PEER_CONNECTING, PEER_OPEN, PEER_CLOSING };

struct peer {
    struct io *io;
    struct telemetry *telemetry;
    struct peer_settings settings;
    char *client_id;
    struct io_socket *socket;
    enum peer_phase phase;

    struct list waiting;   /* struct peer_call: not sent yet, each with its time limit */
    struct list in_flight; /* sent, in order */
    uint32_t in_flight_count;
    int32_t next_correlation_id;

    struct op connect, send, receive, close;
    struct io_span span;
    struct buf *sending;   /* held: the answer may come before the send has completed */
    bool receiving;

    uint8_t length[LENGTH_BYTES];
    uint32_t got;          /* of the length, then of the frame */
    struct buf *frame;

    struct io_timer timer; /* CLOSED: the back-off; CONNECTING: its limit */
    int64_t backoff_ms;    /* of the next failure */
    int trouble;           /* why the connection ends */
    struct op *closed;     /* of peer_close */
};

static void advance(struct peer *p);

/* ---- calls end ------------------------------------------------------------------------------ */

static void call_end(struct peer_call *call, int64_t result)
{
    io_timer_clear(&call->timer);
    buf_unref(call->request);
    call->request = NULL;
    call->op.done(&call->op, result);
}

static void fail_all(struct list *calls, int error)
{
    struct list ended = LIST_INIT(ended);

    list_move_all(&ended, calls); /* an end may bring a new call */
    for (struct list *node; (node = list_take_head(&ended)) != NULL;)
        call_end(container_of(node, struct peer_call, node), error);
}

/* ---- connection ends ------------------------------------------------------------------------ */

static int64_t with_jitter(struct peer *p, int64_t ms)
{
    int64_t spread = ms * JITTER_PERCENT / 100;

    return ms - spread + (int64_t)prng_below(io_prng(p->io), (uint64_t)(2 * spread + 1));
}

static int64_t after_ms(const struct peer *p, int64_t ms)
{
    return io_now_ns(p->io) + ms * 1000000;
}

static void backoff_over(struct io_timer *t)
{
    advance(container_of(t, struct peer, timer));
}

static void back_off(struct peer *p)
{
    io_timer_set(p->io, &p->timer, after_ms(p, with_jitter(p, p->backoff_ms)), backoff_over);
    p->backoff_ms *= 2;
    if (p->backoff_ms > p->settings.backoff_max_ms)
        p->backoff_ms = p->settings.backoff_max_ms;
}

/* The end of peer_close: nothing is in flight any more. */
static void peer_free(struct peer *p)
{
    struct op *closed = p->closed;

    fail_all(&p->waiting, ERR_CLOSED);
    free(p->client_id);
    free(p);
    closed->done(closed, 0);
}

/* Whether the other node acted on what was sent is unknown: those calls end. Those that were not
 * sent wait for the next connection, unless the peer is closed for good. */
static void connection_ended(struct peer *p)
{
    bool last = p->closed != NULL; /* a call's end may close it: that has a completion of its own */

    p->phase = PEER_CLOSED;
    p->socket = NULL;
    p->got = 0;
    buf_unref(p->frame);
    p->frame = NULL;
    p->in_flight_count = 0;
    if (!last)
        back_off(p);
    fail_all(&p->in_flight, p->trouble);
    if (last)
        peer_free(p);
}

static void close_done(struct op *op, int64_t result)
{
    connection_ended(container_of(op, struct peer, close));
}

/* The socket's other operations complete before its close. */
static void hang_up(struct peer *p, int trouble)
{
    if (p->phase != PEER_OPEN)
        return;
    p->phase = PEER_CLOSING;
    p->trouble = trouble;
    op_init(&p->close, close_done);
    io_socket_close(p->socket, &p->close);
}

/* ---- receive -------------------------------------------------------------------------------- */

static void receive_more(struct peer *p);

/* The answer in `frame` belongs to the call at the head: a broker answers in order. */
static void take_answer(struct peer *p)
{
    struct peer_call *call = LIST_FIRST(&p->in_flight, struct peer_call, node);
    struct bytes frame = {p->frame->p, (int32_t)p->frame->used_bytes};
    int32_t correlation_id;
    int used;

    if (call == NULL) {
        hang_up(p, ERR_CORRUPT);
        return;
    }
    used = response_header_read(frame, call->api_key, call->api_version, &correlation_id);
    if (used < 0 || correlation_id != call->correlation_id) {
        hang_up(p, ERR_CORRUPT);
        return;
    }
    list_remove(&call->node);
    p->in_flight_count--;
    p->backoff_ms = p->settings.backoff_ms;
    call->answer = p->frame;
    call->body = (struct bytes){frame.p + used, frame.n - used};
    p->frame = NULL;
    p->got = 0;
    call_end(call, 0);
}

static void begin_frame(struct peer *p)
{
    int32_t n = get_i32(p->length);

    if (n <= 0 || (uint32_t)n > p->settings.frame_bytes_max) {
        hang_up(p, ERR_LIMIT);
        return;
    }
    p->frame = buf_new((uint32_t)n);
    if (p->frame == NULL) {
        hang_up(p, -ENOMEM);
        return;
    }
    p->frame->used_bytes = 0;
}

static void receive_done(struct op *op, int64_t result)
{
    struct peer *p = container_of(op, struct peer, receive);

    if (result <= 0) {
        p->receiving = false;
        hang_up(p, result == 0 ? -ECONNRESET : (int)result);
        return;
    }
    if (p->frame == NULL) {
        p->got += (uint32_t)result;
        if (p->got == LENGTH_BYTES)
            begin_frame(p);
    } else {
        p->frame->used_bytes += (uint32_t)result;
        if (p->frame->used_bytes == p->frame->capacity_bytes && p->phase == PEER_OPEN)
            take_answer(p);
    }
    p->receiving = false;
    advance(p);
}

static void receive_more(struct peer *p)
{
    p->receiving = true;
    op_init(&p->receive, receive_done);
    if (p->frame == NULL)
        io_recv(p->socket, p->length + p->got, LENGTH_BYTES - p->got, &p->receive);
    else
        io_recv(p->socket, p->frame->p + p->frame->used_bytes,
                p->frame->capacity_bytes - p->frame->used_bytes, &p->receive);
}

/* ---- send ----------------------------------------------------------------------------------- */

static void timed_out(struct io_timer *t)
{
    struct peer_call *call = container_of(t, struct peer_call, timer);

    if (call->sent) { /* its answer could still come and must not be taken for another's */
        hang_up(call->peer, -ETIMEDOUT);
        return;
    }
    list_remove(&call->node);
    call_end(call, -ETIMEDOUT);
}

static void limit(struct peer_call *call)
{
    struct peer *p = call->peer;

    io_timer_set(p->io, &call->timer, after_ms(p, p->settings.request_timeout_ms), timed_out);
}

static void send_done(struct op *op, int64_t result)
{
    struct peer *p = container_of(op, struct peer, send);

    buf_unref(p->sending);
    p->sending = NULL;
    if (result < 0)
        hang_up(p, (int)result);
    advance(p);
}

static void send_next(struct peer *p)
{
    struct peer_call *call = container_of(list_take_head(&p->waiting), struct peer_call, node);

    list_add_tail(&p->in_flight, &call->node);
    p->in_flight_count++;
    call->sent = true;
    p->sending = buf_ref(call->request);
    p->span = (struct io_span){.p = call->request->p, .n = call->request->used_bytes};
    limit(call);
    op_init(&p->send, send_done);
    io_send(p->socket, &p->span, 1, &p->send);
}

static void connect_failed(struct peer *p, int error)
{
    if (p->closed == NULL)
        say(p->telemetry, LOG_WARN, "network",
            "cannot connect to %s:%u: %s; trying again in about %" PRId64 " ms",
            p->settings.address.host, p->settings.address.port, error_text(error), p->backoff_ms);
    p->trouble = error;
    connection_ended(p);
}

static void connect_done(struct op *op, int64_t result)
{
    struct peer *p = container_of(op, struct peer, connect);
    bool in_time = io_timer_is_set(&p->timer);

    io_timer_clear(&p->timer);
    if (result < 0) {
        connect_failed(p, in_time ? (int)result : -ETIMEDOUT);
        return;
    }
    p->phase = PEER_OPEN;
    if (p->closed != NULL)
        hang_up(p, ERR_CLOSED);
    advance(p);
}

static void connect_timed_out(struct io_timer *t)
{
    struct peer *p = container_of(t, struct peer, timer);

    io_cancel(p->io, &p->connect);
}

static void connect(struct peer *p)
{
    p->phase = PEER_CONNECTING;
    io_timer_set(p->io, &p->timer, after_ms(p, p->settings.request_timeout_ms), connect_timed_out);
    op_init(&p->connect, connect_done);
    io_connect(p->io, &p->settings.address, &p->socket, &p->connect);
}

/* Do what can be done now. */
static void advance(struct peer *p)
{
    if (p->phase == PEER_CLOSED && !list_empty(&p->waiting) && !io_timer_is_set(&p->timer))
        connect(p);
    if (p->phase != PEER_OPEN)
        return;
    if (p->sending == NULL && !list_empty(&p->waiting) &&
        p->in_flight_count < p->settings.in_flight_max)
        send_next(p);
    if (!p->receiving)
        receive_more(p);
}

/* The whole request: length, header, body. */
static struct buf *request_new(const struct peer *p, const struct peer_call *call,
                               struct bytes body)
{
    struct request_header header;
    uint32_t body_bytes = body.n < 0 ? 0 : (uint32_t)body.n; /* null is empty */

    request_header_init(&header);
    header.request_api_key = call->api_key;
    header.request_api_version = call->api_version;
    header.correlation_id = call->correlation_id;
    header.client_id = str_of(p->client_id);
    int64_t header_bytes = request_header_size(&header);
    ASSERT(header_bytes > 0);
    struct buf *b = buf_new(LENGTH_BYTES + (uint32_t)header_bytes + body_bytes);
    ASSERT(b != NULL);
    put_u32(b->p, (uint32_t)header_bytes + body_bytes);
    request_header_write(&header, b->p + LENGTH_BYTES);
    if (body_bytes > 0)
        memcpy(b->p + LENGTH_BYTES + header_bytes, body.p, body_bytes);
    b->used_bytes = b->capacity_bytes;
    return b;
}

void peer_send(struct peer *p, struct peer_call *call, struct bytes body)
{
    call->peer = p;
    call->sent = false;
    call->answer = NULL;
    call->body = (struct bytes){0};
    call->timer = (struct io_timer){0};
    call->request = NULL;
    if (p->closed != NULL) {
        io_complete(p->io, &call->op, ERR_CLOSED);
        return;
    }
    call->correlation_id = p->next_correlation_id;
    p->next_correlation_id = p->next_correlation_id == INT32_MAX ? 0 : p->next_correlation_id + 1;
    call->request = request_new(p, call, body);
    list_add_tail(&p->waiting, &call->node);
    limit(call);
    advance(p);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct peer *peer_new(struct io *io, struct telemetry *t, const struct peer_settings *settings)
{
    struct peer *p = calloc(1, sizeof *p);

    ASSERT(p != NULL);
    ASSERT(settings->in_flight_max > 0);
    p->io = io;
    p->telemetry = t;
    p->settings = *settings;
    p->client_id = str_dup(settings->client_id);
    p->backoff_ms = settings->backoff_ms;
    list_init(&p->waiting);
    list_init(&p->in_flight);
    return p;
}

static void closed_idle(struct op *op, int64_t result)
{
    peer_free(container_of(op, struct peer, close));
}

void peer_close(struct peer *p, struct op *op)
{
    ASSERT(p->closed == NULL);
    p->closed = op;
    switch (p->phase) {
    case PEER_OPEN:
        hang_up(p, ERR_CLOSED);
        return;
    case PEER_CONNECTING:
        io_cancel(p->io, &p->connect);
        return;
    case PEER_CLOSING:
        return; /* its end frees the peer */
    case PEER_CLOSED:
        io_timer_clear(&p->timer);
        op_init(&p->close, closed_idle);
        io_yield(p->io, &p->close);
    }
}
