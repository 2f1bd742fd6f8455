/* The server end of a connection: frames in, answers out in order.
 *
 *   reading:  length (4 bytes) ─► frame buffer of that size ─► filled ─► handed out ─► length …
 *   sending:  frames in `order`; those at its head that are answered are sent in one call
 *
 * The session may answer, close and pause inside each of its callbacks. So whatever calls it keeps
 * its flag set (`receiving`, `sending`, `ending`) until it has returned, and nothing is begun twice;
 * the connection is freed in a turn of its own.
 */
#include "network/network.h"

#include <stdlib.h>

#define LENGTH_BYTES 4

/* Of one io_send. Enough for a pipelined burst of small answers; an answer with more spans is sent
 * alone from its own array, so that an idle connection is not charged for it. */
#define SEND_SPANS_MAX 32

#define IDLE_MS_MAX (INT64_C(100) * 365 * 24 * 3600 * 1000) /* more is never; fits in ns */

struct conn {
    struct io *io;
    struct telemetry *telemetry;
    struct io_socket *socket;
    struct conn_limits limits;
    const struct conn_handler *handler;
    void *ctx;

    /* reading */
    struct op receive;
    struct bytes lent;
    uint8_t length[LENGTH_BYTES];
    uint32_t length_got;
    struct buf *frame;      /* being filled; NULL between frames */
    uint32_t frame_bytes;
    uint32_t granted_bytes; /* of them: memory that is counted, and may be received into */
    struct buf *rest;       /* received, but not to be looked at yet (N3); NULL mostly */
    uint32_t rest_at;
    struct ledger_wait memory; /* for the next frame */
    bool receiving, taking, paused, started;

    /* answering */
    struct list order;      /* struct conn_frame, as they came, until they are given back */
    uint32_t in_flight;     /* how many */
    uint32_t unanswered;    /* of them */
    uint64_t unsent_bytes;
    struct op send;
    struct io_span spans[SEND_SPANS_MAX];
    uint32_t sending_frames; /* at the head of `order`: what is being sent */
    bool sending;

    /* closing */
    struct op close;
    struct io_timer idle;
    int64_t last_active_ns;
    const char *why;
    bool closing, socket_closed, told, ending;
};

static void receive_more(struct conn *c);
static void send_more(struct conn *c);
static void end_when_quiet(struct conn *c);

/* ---- idle ----------------------------------------------------------------------------------- */

static void idle_fired(struct io_timer *t)
{
    struct conn *c = container_of(t, struct conn, idle);
    int64_t idle_ns = c->limits.idle_ms * 1000000;
    int64_t due_ns = c->last_active_ns + idle_ns;

    if (c->unanswered > 0) /* a parked fetch is no idleness */
        due_ns = io_now_ns(c->io) + idle_ns;
    if (due_ns > io_now_ns(c->io)) {
        io_timer_set(c->io, &c->idle, due_ns, idle_fired);
        return;
    }
    conn_close(c, "it was idle for connections.max.idle.ms");
}

static void idle_watch(struct conn *c)
{
    bool watched = c->limits.idle_ms > 0 && c->limits.idle_ms <= IDLE_MS_MAX;

    if (watched && c->started && !c->closing)
        io_timer_set(c->io, &c->idle, c->last_active_ns + c->limits.idle_ms * 1000000, idle_fired);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* N3 */
static bool may_read(const struct conn *c)
{
    return !c->closing && !c->paused && c->in_flight < c->limits.in_flight_max &&
           c->unsent_bytes < c->limits.unsent_bytes_max && !list_linked(&c->memory.node);
}

/* Hand out the frame that is now whole. */
static void hand_out(struct conn *c)
{
    struct conn_frame *f = c->handler->take(c->ctx);

    if (f == NULL) {
        conn_close(c, "there is no memory for another request");
        return;
    }
    *f = (struct conn_frame){
        .conn = c,
        .buf = c->frame,
        .bytes = {c->frame->p, (int32_t)c->frame_bytes},
        .received_ns = io_now_ns(c->io),
    };
    c->frame = NULL;
    c->granted_bytes = 0; /* the frame has it now */
    c->length_got = 0;
    list_add_tail(&c->order, &f->node);
    c->in_flight++;
    c->unanswered++;
    c->handler->frame(c->ctx, f);
}

static enum ledger_use use_of(uint32_t frame_bytes)
{
    return frame_bytes <= LEDGER_SMALL_BYTES ? LEDGER_WORK : LEDGER_REQUESTS;
}

/* The frame is no more ours to fill, or never will be. */
static void drop_frame(struct conn *c)
{
    ledger_take_end(c->limits.ledger, &c->memory);
    ledger_return(c->limits.ledger, use_of(c->frame_bytes), c->granted_bytes);
    c->granted_bytes = 0;
    buf_unref(c->frame);
    c->frame = NULL;
}

/* The system gives memory to the pages that are written to, so the whole frame may be asked for at once. */
static void granted(struct conn *c, uint64_t bytes)
{
    c->granted_bytes += (uint32_t)bytes;
    if (c->granted_bytes == c->frame_bytes)
        ledger_take_end(c->limits.ledger, &c->memory);
    if (c->frame != NULL)
        return;
    c->frame = buf_new(c->frame_bytes);
    if (c->frame == NULL) {
        drop_frame(c);
        conn_close(c, "there is no memory for its request");
        return;
    }
    c->frame->used_bytes = 0;
}

static void memory_granted(struct ledger_wait *w)
{
    struct conn *c = container_of(w, struct conn, memory);

    granted(c, w->bytes);
    receive_more(c);
}

/* Memory for (more of) the frame; while it waits for that nothing is read (N3). */
static void take_memory(struct conn *c)
{
    struct ledger *l = c->limits.ledger;
    uint64_t bytes = c->frame_bytes - c->granted_bytes;

    if (use_of(c->frame_bytes) == LEDGER_WORK) {
        ledger_charge(l, LEDGER_WORK, bytes);
    } else {
        c->memory.granted = memory_granted;
        bytes = ledger_take(l, &c->memory, bytes);
    }
    if (bytes > 0)
        granted(c, bytes);
}

/* What was granted is filled. */
static void frame_filled(struct conn *c)
{
    if (c->granted_bytes == c->frame_bytes)
        hand_out(c);
    else
        take_memory(c);
}

/* The four bytes of length are there: check them before memory is taken (N1). */
static void begin_frame(struct conn *c)
{
    int32_t n = get_i32(c->length);

    if (n <= 0 || (uint32_t)n > c->limits.frame_bytes_max) {
        say(c->telemetry, LOG_WARN, "network",
            "a request of %d bytes was refused: 1 to %u (socket.request.max.bytes) are allowed; "
            "the peer may not speak the Kafka protocol, or may use TLS on a plain listener",
            (int)n, c->limits.frame_bytes_max);
        conn_close(c, "its request was larger than socket.request.max.bytes, or no request");
        return;
    }
    if (c->limits.memory_bytes_max > 0 && (uint32_t)n > c->limits.memory_bytes_max) {
        say(c->telemetry, LOG_WARN, "network",
            "a request of %d bytes was refused: millrace.memory.bytes leaves %" PRIu64
            " bytes for one; raise it, or lower socket.request.max.bytes",
            (int)n, c->limits.memory_bytes_max);
        conn_close(c, "its request was larger than millrace.memory.bytes allows");
        return;
    }
    c->frame_bytes = (uint32_t)n;
    take_memory(c);
}

/* Copy the next bytes of `in` to where they belong. Returns how many. */
static uint32_t take_some(struct conn *c, struct bytes in)
{
    bool in_length = c->frame == NULL;
    uint8_t *into = in_length ? c->length + c->length_got : c->frame->p + c->frame->used_bytes;
    uint32_t want = in_length ? LENGTH_BYTES - c->length_got
                              : c->granted_bytes - c->frame->used_bytes;
    uint32_t n = (uint32_t)in.n < want ? (uint32_t)in.n : want;

    memcpy(into, in.p, n);
    if (in_length) {
        c->length_got += n;
        if (n == want)
            begin_frame(c);
    } else {
        c->frame->used_bytes += n;
        if (n == want)
            frame_filled(c);
    }
    return n;
}

/* Take what has come, as far as that is allowed; several frames may be in it. What the session
 * answers at once leaves together afterwards. Returns how many bytes were taken. */
static uint32_t take_bytes(struct conn *c, struct bytes in)
{
    uint32_t taken = 0;

    c->taking = true;
    while (taken < (uint32_t)in.n && may_read(c))
        taken += take_some(c, (struct bytes){in.p + taken, in.n - (int32_t)taken});
    c->taking = false;
    return taken;
}

/* The bytes were lent, and may not be taken yet. They are not counted in the ledger: what waits for memory with
 * them would wait for itself. */
static void keep_rest(struct conn *c, struct bytes rest)
{
    if (rest.n == 0 || c->closing)
        return;
    c->rest = buf_new((uint32_t)rest.n);
    if (c->rest == NULL) {
        conn_close(c, "there is no memory for its request");
        return;
    }
    memcpy(c->rest->p, rest.p, (size_t)rest.n);
    c->rest_at = 0;
}

static void receive_ended(struct conn *c, int64_t result)
{
    if (result == 0)
        conn_close(c, "the peer closed it");
    else
        conn_close(c, error_text((int)result));
}

/* The end of each completion that brought bytes. */
static void received(struct conn *c)
{
    c->receiving = false; /* only now: the session was called, and may have wanted more */
    send_more(c);
    receive_more(c);
    end_when_quiet(c);
}

static void receive_lent_done(struct op *op, int64_t result)
{
    struct conn *c = container_of(op, struct conn, receive);

    if (result > 0) {
        c->last_active_ns = io_now_ns(c->io);
        uint32_t taken = take_bytes(c, c->lent);
        keep_rest(c, (struct bytes){c->lent.p + taken, c->lent.n - (int32_t)taken});
    } else {
        receive_ended(c, result);
    }
    received(c);
}

static void receive_frame_done(struct op *op, int64_t result)
{
    struct conn *c = container_of(op, struct conn, receive);

    if (result > 0) {
        c->last_active_ns = io_now_ns(c->io);
        c->frame->used_bytes += (uint32_t)result;
        c->taking = true;
        if (c->frame->used_bytes == c->granted_bytes && !c->closing)
            frame_filled(c);
        c->taking = false;
    } else {
        receive_ended(c, result);
    }
    received(c);
}

static void rest_turn_done(struct op *op, int64_t result)
{
    struct conn *c = container_of(op, struct conn, receive);
    struct bytes rest = {c->rest->p + c->rest_at, (int32_t)(c->rest->capacity_bytes - c->rest_at)};

    c->rest_at += take_bytes(c, rest);
    if (c->rest_at == c->rest->capacity_bytes) {
        buf_unref(c->rest);
        c->rest = NULL;
    }
    received(c);
}

/* Between frames an idle connection holds no buffer; the rest of a large frame goes straight to
 * its place. What was received before comes first, and in a turn of its own: frames are never
 * handed out inside conn_answer or conn_pause. */
static void receive_more(struct conn *c)
{
    if (c->receiving || !c->started || !may_read(c))
        return;
    c->receiving = true;
    if (c->rest != NULL) {
        op_init(&c->receive, rest_turn_done);
        io_yield(c->io, &c->receive);
        return;
    }
    if (c->frame == NULL) {
        op_init(&c->receive, receive_lent_done);
        io_recv_lend(c->socket, &c->lent, &c->receive);
        return;
    }
    op_init(&c->receive, receive_frame_done);
    io_recv(c->socket, c->frame->p + c->frame->used_bytes, c->granted_bytes - c->frame->used_bytes,
            &c->receive);
}

/* ---- answering ------------------------------------------------------------------------------ */

/* Give the frame back to the session. */
static void give_back(struct conn *c, struct conn_frame *f)
{
    list_remove(&f->node);
    c->in_flight--;
    if (f->answer != NULL) {
        c->unsent_bytes -= f->answer->total_bytes;
        f->answer->release(f->answer);
    }
    c->handler->give(c->ctx, f);
}

static void send_done(struct op *op, int64_t result)
{
    struct conn *c = container_of(op, struct conn, send);

    c->last_active_ns = io_now_ns(c->io);
    for (; c->sending_frames > 0; c->sending_frames--)
        give_back(c, container_of(c->order.next, struct conn_frame, node));
    if (result < 0)
        conn_close(c, error_text((int)result));
    c->sending = false; /* only now: the session was called, and may have answered more */
    send_more(c);
    receive_more(c);
    end_when_quiet(c);
}

/* Collect the spans of the answers at the head of the order, as many as go into one send. */
static const struct io_span *gather(struct conn *c, uint32_t *count)
{
    *count = 0;
    for (struct list *at = c->order.next; at != &c->order; at = at->next) {
        const struct conn_frame *f = container_of(at, struct conn_frame, node);
        if (!f->answered)
            break;
        if (*count + f->answer->span_count > SEND_SPANS_MAX) {
            if (c->sending_frames > 0)
                break;
            c->sending_frames = 1; /* alone, from its own array */
            *count = f->answer->span_count;
            return f->answer->spans;
        }
        memcpy(&c->spans[*count], f->answer->spans, f->answer->span_count * sizeof *c->spans);
        *count += f->answer->span_count;
        c->sending_frames++;
    }
    return c->spans;
}

/* Send what is answered at the head of the order (N2). */
static void send_more(struct conn *c)
{
    uint32_t count;

    if (c->sending || c->taking || c->closing)
        return;
    const struct io_span *spans = gather(c, &count);
    if (count == 0)
        return;
    c->sending = true;
    op_init(&c->send, send_done);
    io_send(c->socket, spans, count, &c->send);
}

void conn_answer(struct conn_frame *f, struct answer *a)
{
    struct conn *c = f->conn;

    ASSERT(!f->answered);
    ASSERT(a == NULL || a->span_count > 0);
    ledger_return(c->limits.ledger, use_of(f->buf->capacity_bytes), f->buf->capacity_bytes);
    buf_unref(f->buf);
    f->buf = NULL;
    f->answered = true;
    f->answer = a;
#ifdef MUTANT_NETWORK_UNORDERED
    if (!c->sending)
        list_remove(&f->node), list_add_head(&c->order, &f->node);
#endif
    c->unanswered--;
    if (a != NULL)
        c->unsent_bytes += a->total_bytes;
    if (c->closing) {
        end_when_quiet(c);
        return;
    }
    if (a == NULL)
        give_back(c, f); /* it sends nothing, so it need not wait for those before it */
    send_more(c);
    receive_more(c);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct conn *conn_new(struct io *io, struct telemetry *t, struct io_socket *socket,
                      const struct conn_limits *limits, const struct conn_handler *handler,
                      void *ctx)
{
    struct conn *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->io = io;
    c->telemetry = t;
    c->socket = socket;
    c->limits = *limits;
    c->handler = handler;
    c->ctx = ctx;
    c->last_active_ns = io_now_ns(io);
    list_init(&c->order);
    return c;
}

void conn_start(struct conn *c)
{
    c->started = true;
    idle_watch(c);
    receive_more(c);
}

void conn_set_limits(struct conn *c, const struct conn_limits *limits)
{
    ASSERT(limits->ledger == c->limits.ledger); /* it has counted what there is */
    c->limits = *limits;
    io_timer_clear(&c->idle);
    idle_watch(c);
    receive_more(c);
}

void conn_pause(struct conn *c, bool paused)
{
    c->paused = paused;
    receive_more(c);
}

bool conn_is_open(const struct conn *c)
{
    return !c->closing;
}

static void socket_close_done(struct op *op, int64_t result)
{
    struct conn *c = container_of(op, struct conn, close);

    c->socket_closed = true;
    end_when_quiet(c);
}

void conn_close(struct conn *c, const char *why)
{
    if (c->closing)
        return;
    c->closing = true;
    c->why = why;
    io_timer_clear(&c->idle);
    ledger_take_end(c->limits.ledger, &c->memory);
    op_init(&c->close, socket_close_done);
    io_socket_close(c->socket, &c->close);
}

static void tell_closed(struct conn *c)
{
    c->told = true;
    drop_frame(c);
    buf_unref(c->rest);
    c->rest = NULL;
    c->handler->closed(c->ctx, c->why);
}

static struct conn_frame *find_answered(const struct conn *c)
{
    LIST_EACH(it, &c->order) {
        struct conn_frame *f = container_of(it, struct conn_frame, node);
        if (f->answered)
            return f;
    }
    return NULL;
}

static void gone_turn_done(struct op *op, int64_t result)
{
    struct conn *c = container_of(op, struct conn, close);
    const struct conn_handler *handler = c->handler;
    void *ctx = c->ctx;

    free(c);
    handler->gone(ctx);
}

/* The socket is closed and nothing is in flight on it: tell the session once, drop what is
 * answered, and go when the last frame is back (N4): in a turn of its own, so that whoever gave the
 * last answer does not lose its session inside that call. */
static void end_when_quiet(struct conn *c)
{
    if (!c->socket_closed || c->receiving || c->sending || c->ending)
        return;
    c->ending = true; /* what is called below may answer frames, which comes back here */
    if (!c->told)
        tell_closed(c);
    for (struct conn_frame *f; (f = find_answered(c)) != NULL;)
        give_back(c, f);
    if (!list_empty(&c->order)) {
        c->ending = false;
        return;
    }
    op_init(&c->close, gone_turn_done);
    io_yield(c->io, &c->close);
}
