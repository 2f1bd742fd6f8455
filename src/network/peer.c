/* The calls of a peer: out in order, answers matched by correlation id. See internal.h. */
#include "network/internal.h"

#include <stdlib.h>

#include "protocol/protocol.h"

/* ---- calls end -------------------------------------------------------------------------------- */

void peer_call_end(struct peer_call *call, int64_t result)
{
    io_timer_clear(&call->timer);
    buf_unref(call->request);
    call->request = NULL;
    call->op.done(&call->op, result);
}

void peer_fail_all(struct list *calls, int error)
{
    struct list ended = LIST_INIT(ended);

    list_move_all(&ended, calls); /* an end may bring a new call */
    for (struct list *node; (node = list_take_head(&ended)) != NULL;)
        peer_call_end(container_of(node, struct peer_call, node), error);
}

void peer_take_answer(struct peer *p, struct buf *frame)
{
    struct peer_call *call = LIST_FIRST(&p->in_flight, struct peer_call, node);
    struct bytes bytes = {frame->p, (int32_t)frame->used_bytes};
    int32_t correlation_id = -1;
    int used = -1;

    if (call != NULL)
        used = response_header_read(bytes, call->api_key, call->api_version, &correlation_id);
    if (used < 0 || correlation_id != call->correlation_id) {
        buf_unref(frame);
        peer_hang_up(p, ERR_CORRUPT);
        return;
    }
    list_remove(&call->node);
    p->in_flight_count--;
    p->backoff_ms = p->settings.backoff_ms;
    call->answer = frame;
    call->body = (struct bytes){bytes.p + used, bytes.n - used};
    if (p->sending != call) /* else its memory is still being sent */
        peer_call_end(call, 0);
}

/* ---- sending ---------------------------------------------------------------------------------- */

static void timed_out(struct io_timer *t)
{
    struct peer_call *call = container_of(t, struct peer_call, timer);

    if (call->sent) { /* its answer could still come and must not be taken for another's */
        peer_hang_up(call->peer, -ETIMEDOUT);
        return;
    }
    list_remove(&call->node);
    peer_call_end(call, -ETIMEDOUT);
}

static void limit(struct peer_call *call)
{
    struct peer *p = call->peer;
    int64_t at_ns = call->deadline_ns;

    if (at_ns == 0)
        at_ns = peer_after_ns(p, p->settings.request_timeout_ms);
    else if (io_timer_is_set(&call->timer))
        return;
    io_timer_set(p->io, &call->timer, at_ns, timed_out);
}

static void nobody_waits(struct op *op, int64_t result)
{
    struct peer_call *call = container_of(op, struct peer_call, op);

    buf_unref(call->answer);
    free(call);
}

/* Something of our own waits for the answer in the place of `call`. */
static void leave_in_place(struct peer_call *call)
{
    struct peer_call *left = calloc(1, sizeof *left);
    struct peer *p = call->peer;

    ASSERT(left != NULL);
    op_init(&left->op, nobody_waits);
    left->api_key = call->api_key;
    left->api_version = call->api_version;
    left->correlation_id = call->correlation_id;
    left->sent = true;
    left->peer = p;
    list_insert_before(&call->node, &left->node);
    list_remove(&call->node);
    io_timer_set(p->io, &left->timer, call->timer.node.key, timed_out);
    io_timer_clear(&call->timer);
}

/* `call` was kept until its memory was sent, or nothing more was to come. */
static void call_sent(struct peer *p, struct peer_call *call, bool well)
{
    if (call->answer != NULL || (call->no_answer && well)) {
        peer_call_end(call, 0);
    } else if (call->no_answer) {
        peer_call_end(call, p->trouble);
    } else if (call->abandoned) {
        leave_in_place(call);
        peer_call_end(call, -ECANCELED);
    }
}

static void send_done(struct op *op, int64_t result)
{
    struct peer *p = container_of(op, struct peer, send);
    struct peer_call *call = p->sending;

    buf_unref(p->copy);
    p->copy = NULL;
    p->sending = NULL;
    p->send_under_way = false;
    if (result < 0)
        peer_hang_up(p, (int)result);
    if (call != NULL)
        call_sent(p, call, result >= 0);
    peer_advance(p);
}

/* Length and header of a request whose body has so many bytes. */
static struct request_header header_of(const struct peer *p, const struct peer_call *call)
{
    struct request_header header;

    request_header_init(&header);
    header.request_api_key = call->api_key;
    header.request_api_version = call->api_version;
    header.correlation_id = call->correlation_id;
    header.client_id = str_of(p->client_id);
    return header;
}

/* Put the length and the header before the caller's spans. */
static void put_header(struct peer *p, struct peer_call *call)
{
    struct request_header header = header_of(p, call);
    int64_t header_bytes = request_header_size(&header), total = header_bytes;

    for (uint32_t i = 1; i < call->span_count; i++)
        total += call->spans[i].n;
    ASSERT(header_bytes > 0 && LENGTH_BYTES + header_bytes <= p->header->capacity_bytes);
    ASSERT(total <= INT32_MAX);
    put_u32(p->header->p, (uint32_t)total);
    request_header_write(&header, p->header->p + LENGTH_BYTES);
    call->spans[0] = (struct io_span){.p = p->header->p, .n = LENGTH_BYTES + (uint32_t)header_bytes};
}

static void send_next(struct peer *p)
{
    struct peer_call *call = container_of(list_take_head(&p->waiting), struct peer_call, node);
    const struct io_span *spans = &p->span;
    uint32_t count = 1;

    if (!call->no_answer) {
        list_add_tail(&p->in_flight, &call->node);
        p->in_flight_count++;
    }
    call->sent = true;
    if (call->request == NULL || call->no_answer)
        p->sending = call;
    if (call->request != NULL) {
        p->copy = buf_ref(call->request);
        p->span = (struct io_span){.p = p->copy->p, .n = p->copy->used_bytes};
    } else {
        put_header(p, call);
        spans = call->spans;
        count = call->span_count;
    }
    limit(call);
    p->send_under_way = true;
    op_init(&p->send, send_done);
    io_send(p->socket, spans, count, &p->send);
}

void peer_advance(struct peer *p)
{
    bool wants = p->wanted || !list_empty(&p->waiting);

    if (p->phase == PEER_CLOSED && wants && p->closed == NULL)
        peer_open(p);
    if (p->phase != PEER_OPEN)
        return;
    if (!p->send_under_way && !list_empty(&p->waiting) && p->in_flight_count < p->settings.in_flight_max)
        send_next(p);
    if (!p->receiving)
        peer_receive_more(p);
}

/* The whole request: length, header, body. */
static struct buf *request_new(const struct peer *p, const struct peer_call *call, struct bytes body)
{
    struct request_header header = header_of(p, call);
    uint32_t body_bytes = body.n < 0 ? 0 : (uint32_t)body.n; /* null is empty */
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

/* Make `call` one of `p`. false: it is closed, and the call will end. */
static bool begin(struct peer *p, struct peer_call *call)
{
    call->peer = p;
    call->sent = false;
    call->abandoned = false;
    call->answer = NULL;
    call->body = (struct bytes){0};
    call->timer = (struct io_timer){0};
    call->request = NULL;
    call->spans = NULL;
    if (p->closed != NULL) {
        io_complete(p->io, &call->op, ERR_CLOSED);
        return false;
    }
    call->correlation_id = p->next_correlation_id;
    p->next_correlation_id = p->next_correlation_id == INT32_MAX ? 0 : p->next_correlation_id + 1;
    return true;
}

static void enqueue(struct peer *p, struct peer_call *call)
{
    list_add_tail(&p->waiting, &call->node);
    limit(call);
    peer_advance(p);
}

void peer_send(struct peer *p, struct peer_call *call, struct bytes body)
{
    if (!begin(p, call))
        return;
    call->request = request_new(p, call, body);
    enqueue(p, call);
}

void peer_send_spans(struct peer *p, struct peer_call *call, struct io_span *spans, uint32_t count)
{
    ASSERT(count >= 1);
    if (!begin(p, call))
        return;
    call->spans = spans;
    call->span_count = count;
    enqueue(p, call);
}

void peer_cancel(struct peer_call *call)
{
    struct peer *p = call->peer;

    if (p->sending == call) {
        call->abandoned = true;
        return;
    }
    if (!list_linked(&call->node))
        return; /* it ends already */
    if (call->sent)
        leave_in_place(call);
    else
        list_remove(&call->node);
    io_timer_clear(&call->timer);
    buf_unref(call->request);
    call->request = NULL;
    io_complete(p->io, &call->op, -ECANCELED);
}

/* ---- life ------------------------------------------------------------------------------------- */

struct peer *peer_new(struct io *io, struct telemetry *t, const struct peer_settings *settings)
{
    struct peer *p = calloc(1, sizeof *p);
    struct request_header header;

    ASSERT(settings->in_flight_max > 0);
    if (p == NULL)
        return NULL;
    request_header_init(&header); /* of the longest form: tags, and the client id */
    header.request_api_version = INT16_MAX;
    header.client_id = settings->client_id;
    p->header = buf_new(LENGTH_BYTES + (uint32_t)request_header_size(&header));
    if (p->header == NULL) {
        free(p);
        return NULL;
    }
    p->io = io;
    p->telemetry = t;
    p->settings = *settings;
    p->client_id = str_dup(settings->client_id);
    p->backoff_ms = settings->backoff_ms;
    p->setup_ms = settings->setup_timeout_ms;
    list_init(&p->waiting);
    list_init(&p->in_flight);
    return p;
}

void peer_free(struct peer *p)
{
    struct op *closed = p->closed;

    peer_fail_all(&p->waiting, ERR_CLOSED);
    buf_unref(p->header);
    free(p->client_id);
    free(p);
    closed->done(closed, 0);
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
        peer_hang_up(p, ERR_CLOSED);
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

void peer_connect(struct peer *p)
{
    if (p->phase != PEER_CLOSED && p->phase != PEER_CLOSING)
        return;
    p->wanted = true;
    peer_advance(p);
}

void peer_drop(struct peer *p, int error)
{
    if (p->phase == PEER_CONNECTING)
        io_cancel(p->io, &p->connect);
    peer_hang_up(p, error);
}

void peer_set_address(struct peer *p, const struct io_address *address)
{
    p->settings.address = *address;
}

int64_t peer_backoff_until_ns(const struct peer *p)
{
    return p->backoff_until_ns;
}
