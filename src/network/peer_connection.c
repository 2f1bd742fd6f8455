/* The connection of a peer: made, received from, ended, and the pause before the next one. See internal.h. */
#include "network/internal.h"

#define JITTER_PERCENT 20

static int64_t with_jitter(struct peer *p, int64_t ms)
{
    int64_t spread = ms * JITTER_PERCENT / 100;

    return ms - spread + (int64_t)prng_below(io_prng(p->io), (uint64_t)(2 * spread + 1));
}

static int64_t doubled(int64_t ms, int64_t max_ms)
{
    return ms > max_ms / 2 ? max_ms : 2 * ms;
}

/* ---- ends ------------------------------------------------------------------------------------- */

static void back_off(struct peer *p)
{
    p->backoff_until_ns = peer_after_ns(p, with_jitter(p, p->backoff_ms));
    p->backoff_ms = doubled(p->backoff_ms, p->settings.backoff_max_ms);
}

/* Whether the other node acted on what was sent is unknown: those calls end. Those that were not
 * sent wait for the next connection, unless the peer is closed for good, or its owner wants to know each one. */
static void connection_ended(struct peer *p)
{
    const struct peer_hooks *hooks = p->settings.hooks;
    bool last = p->closed != NULL; /* a call's end may close it: that has a completion of its own */
    int trouble = p->trouble;

    p->phase = PEER_CLOSED;
    p->socket = NULL;
    p->length_got = 0;
    buf_unref(p->frame);
    p->frame = NULL;
    p->in_flight_count = 0;
    if (!last)
        back_off(p);
    peer_fail_all(&p->in_flight, trouble);
    if (last) {
        peer_free(p);
        return;
    }
    if (hooks != NULL) {
        peer_fail_all(&p->waiting, trouble);
        if (p->closed == NULL)
            hooks->closed(p->settings.ctx, trouble);
    }
    peer_advance(p);
}

static void close_done(struct op *op, int64_t result)
{
    connection_ended(container_of(op, struct peer, close));
}

void peer_hang_up(struct peer *p, int trouble)
{
    if (p->phase != PEER_OPEN)
        return;
    p->phase = PEER_CLOSING;
    p->trouble = trouble;
    op_init(&p->close, close_done);
    io_socket_close(p->socket, &p->close);
}

/* ---- connecting ------------------------------------------------------------------------------- */

static void connect_failed(struct peer *p, int error)
{
    if (p->closed == NULL && p->settings.hooks == NULL)
        say(p->telemetry, LOG_WARN, "network", "cannot connect to %s:%u: %s; trying again in about %" PRId64 " ms",
            p->settings.address.host, p->settings.address.port, error_text(error), p->backoff_ms);
    p->trouble = error;
    p->settings.address.first++; /* the next address of its name, should this one be silent (client.dns.lookup) */
    connection_ended(p);
}

static void connect_done(struct op *op, int64_t result)
{
    struct peer *p = container_of(op, struct peer, connect);
    bool in_time = io_timer_is_set(&p->timer);

    io_timer_clear(&p->timer);
    if (result < 0) {
        if (!in_time)
            p->setup_ms = doubled(p->setup_ms, p->settings.setup_timeout_max_ms);
        connect_failed(p, in_time ? (int)result : -ETIMEDOUT);
        return;
    }
    p->phase = PEER_OPEN;
    p->setup_ms = p->settings.setup_timeout_ms;
    if (p->closed != NULL)
        peer_hang_up(p, ERR_CLOSED);
    else if (p->settings.hooks != NULL)
        p->settings.hooks->opened(p->settings.ctx);
    peer_advance(p);
}

static void connect_timed_out(struct io_timer *t)
{
    struct peer *p = container_of(t, struct peer, timer);

    io_cancel(p->io, &p->connect);
}

static void backoff_over(struct io_timer *t)
{
    peer_advance(container_of(t, struct peer, timer));
}

void peer_open(struct peer *p)
{
    if (io_now_ns(p->io) < p->backoff_until_ns) {
        if (!io_timer_is_set(&p->timer))
            io_timer_set(p->io, &p->timer, p->backoff_until_ns, backoff_over);
        return;
    }
    int64_t limit_ms = p->setup_ms > 0 ? with_jitter(p, p->setup_ms) : p->settings.request_timeout_ms;
    p->phase = PEER_CONNECTING;
    p->wanted = false;
    io_timer_set(p->io, &p->timer, peer_after_ns(p, limit_ms), connect_timed_out);
    op_init(&p->connect, connect_done);
    io_connect(p->io, &p->settings.address, &p->settings.connect, &p->socket, &p->connect);
}

/* ---- receiving -------------------------------------------------------------------------------- */

/* The four bytes of length are there: check them before memory is taken. */
static void begin_frame(struct peer *p)
{
    int32_t n = get_i32(p->length);

    p->length_got = 0;
    if (n <= 0 || (uint32_t)n > p->settings.frame_bytes_max) {
        peer_hang_up(p, ERR_LIMIT);
        return;
    }
    p->frame = buf_new((uint32_t)n);
    if (p->frame == NULL) {
        peer_hang_up(p, -ENOMEM);
        return;
    }
    p->frame->used_bytes = 0;
}

static void frame_grown(struct peer *p)
{
    struct buf *frame = p->frame;

    if (frame->used_bytes < frame->capacity_bytes)
        return;
    p->frame = NULL;
    peer_take_answer(p, frame);
}

/* Copy the next bytes of `in` to where they belong. Returns how many. */
static uint32_t take_some(struct peer *p, struct bytes in)
{
    bool in_length = p->frame == NULL;
    uint8_t *into = in_length ? p->length + p->length_got : p->frame->p + p->frame->used_bytes;
    uint32_t want = in_length ? LENGTH_BYTES - p->length_got : p->frame->capacity_bytes - p->frame->used_bytes;
    uint32_t n = (uint32_t)in.n < want ? (uint32_t)in.n : want;

    memcpy(into, in.p, n);
    if (in_length) {
        p->length_got += n;
        if (n == want)
            begin_frame(p);
    } else {
        p->frame->used_bytes += n;
        frame_grown(p);
    }
    return n;
}

static bool receive_ended(struct peer *p, int64_t result)
{
    if (result > 0)
        return false;
    p->receiving = false;
    peer_hang_up(p, result == 0 ? -ECONNRESET : (int)result);
    return true;
}

static void receive_lent_done(struct op *op, int64_t result)
{
    struct peer *p = container_of(op, struct peer, receive);
    uint32_t taken = 0;

    if (receive_ended(p, result))
        return;
    while (taken < (uint32_t)p->lent.n && p->phase == PEER_OPEN)
        taken += take_some(p, (struct bytes){p->lent.p + taken, p->lent.n - (int32_t)taken});
    p->receiving = false;
    peer_advance(p);
}

static void receive_frame_done(struct op *op, int64_t result)
{
    struct peer *p = container_of(op, struct peer, receive);

    if (receive_ended(p, result))
        return;
    p->frame->used_bytes += (uint32_t)result;
    if (p->phase == PEER_OPEN)
        frame_grown(p);
    p->receiving = false;
    peer_advance(p);
}

/* Between answers an idle connection holds no buffer; the rest of a large answer goes straight to its place. */
void peer_receive_more(struct peer *p)
{
    p->receiving = true;
    if (p->frame == NULL) {
        op_init(&p->receive, receive_lent_done);
        io_recv_lend(p->socket, &p->lent, &p->receive);
        return;
    }
    op_init(&p->receive, receive_frame_done);
    io_recv(p->socket, p->frame->p + p->frame->used_bytes, p->frame->capacity_bytes - p->frame->used_bytes,
            &p->receive);
}
