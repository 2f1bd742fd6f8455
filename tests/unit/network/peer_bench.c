#include "peer_bench.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the other node ------------------------------------------------------------------------- */

static void line_send_done(struct op *op, int64_t result)
{
    struct line *line = container_of(op, struct line, send);

    line->sending = false;
    if (result >= 0)
        line_send_more(line);
}

void line_send_more(struct line *line)
{
    if (line->sending || line->out.n == 0 || line->closing)
        return;
    text_clear(&line->sent);
    text_add(&line->sent, line->out.p, line->out.n);
    text_clear(&line->out);
    line->sending = true;
    line->span = (struct io_span){.p = (const uint8_t *)line->sent.p, .n = (uint32_t)line->sent.n};
    op_init(&line->send, line_send_done);
    io_send(line->socket, &line->span, 1, &line->send);
}

static void line_closed(struct op *op, int64_t result)
{
    container_of(op, struct line, close)->closed = true;
}

void line_close(struct line *line)
{
    if (line->closing)
        return;
    line->closing = true;
    op_init(&line->close, line_closed);
    io_socket_close(line->socket, &line->close);
}

/* An answer: its header, then `number` and `n` bytes of its pattern. */
void line_answer(struct line *line, const struct asked *a, int32_t correlation_id, uint32_t n)
{
    int16_t key = a->header.request_api_key, version = a->header.request_api_version;
    uint32_t header = response_header_size(key, version);
    uint8_t *bytes = malloc(4 + header + 4 + (size_t)n);

    put_u32(bytes, header + 4 + n);
    response_header_write(key, version, correlation_id, bytes + 4);
    put_u32(bytes + 4 + header, a->number);
    for (uint32_t i = 0; i < n; i++)
        bytes[4 + header + 4 + i] = pattern(a->number, i);
    text_add(&line->out, bytes, 4 + header + 4 + (size_t)n);
    free(bytes);
    line_send_more(line);
}

void line_echo(struct line *line, const struct asked *a)
{
    line_answer(line, a, a->header.correlation_id, a->body_bytes % 1000);
}

static void line_parse(struct line *line)
{
    struct node *node = line->node;

    while (line->in.n - line->parsed >= 4) {
        const uint8_t *p = (const uint8_t *)line->in.p + line->parsed;
        uint32_t n = get_u32(p);
        struct asked a = {0};
        if (line->in.n - line->parsed < 4 + (size_t)n)
            return;
        int used = request_header_read((struct bytes){p + 4, (int32_t)n}, &a.header);
        ASSERT(used > 0);
        a.body_bytes = n - (uint32_t)used;
        a.number = a.body_bytes >= 4 ? get_u32(p + 4 + used) : 0;
        for (uint32_t i = 4; i < a.body_bytes; i++)
            ASSERT(p[4 + (uint32_t)used + i] == pattern(a.number, i));
        snprintf(node->client_id, sizeof node->client_id, "%.*s", STR_ARG(a.header.client_id));
        text_printf(&node->asked, "%u ", a.number);
        node->last = a;
        line->parsed += 4 + (size_t)n;
        if (node->asked_count++ >= node->silent_from)
            continue;
        if (node->answer != NULL)
            node->answer(line, &a);
        else
            line_echo(line, &a);
    }
}

void line_receive(struct line *line);

static void line_received(struct op *op, int64_t result)
{
    struct line *line = container_of(op, struct line, receive);

    line->receiving = false;
    if (result <= 0) {
        line->ended = true;
        return;
    }
    text_add(&line->in, line->bytes, (size_t)result);
    line_parse(line);
    line_receive(line);
}

void line_receive(struct line *line)
{
    if (line->closing || line->deaf || line->receiving)
        return;
    line->receiving = true;
    op_init(&line->receive, line_received);
    io_recv(line->socket, line->bytes, sizeof line->bytes, &line->receive);
}

static void node_accept(struct node *node);

static void node_accepted(struct op *op, int64_t result)
{
    struct node *node = container_of(op, struct node, accept);

    if (!node->listening)
        return;
    if (result == 0) {
        ASSERT(node->line_count < CONNECTIONS_MAX);
        struct line *line = calloc(1, sizeof *line);
        line->node = node;
        line->socket = node->accepted;
        line->deaf = node->deaf;
        node->lines[node->line_count++] = line;
        line_receive(line);
    }
    node_accept(node);
}

static void node_accept(struct node *node)
{
    op_init(&node->accept, node_accepted);
    io_accept(node->lab->listener, &node->accepted, NULL, &node->accept);
}

void node_init(struct node *node, struct lab *lab)
{
    *node = (struct node){.lab = lab, .silent_from = UINT32_MAX};
}

void node_listen(struct node *node)
{
    lab_listen(node->lab);
    node->listening = true;
    node_accept(node);
}

struct line *node_line(struct node *node)
{
    return node->lines[node->line_count - 1];
}

void node_end(struct node *node)
{
    node->listening = false;
    lab_unlisten(node->lab);
    for (uint32_t i = 0; i < node->line_count; i++) {
        struct line *line = node->lines[i];
        line_close(line);
        UNTIL(node->lab, line->closed);
        text_deinit(&line->in);
        text_deinit(&line->out);
        text_deinit(&line->sent);
        free(line);
    }
    text_deinit(&node->asked);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void call_done(struct op *op, int64_t result)
{
    struct call *c = container_of(op, struct call, call.op);

    ASSERT(!c->done);
    ASSERT(!c->sending);
    c->done = true;
    c->result = result;
    c->done_ns = c->lab->sim == NULL ? 0 : sim_now_ns(c->lab->sim);
    ASSERT(result <= 0);
    ASSERT((result == 0 && !c->no_answer) == (c->call.answer != NULL));
    if (c->call.answer != NULL) {
        ASSERT(c->call.sent);
        ASSERT(c->call.body.n >= 4 && get_u32(c->call.body.p) == c->number);
        for (int32_t i = 4; i < c->call.body.n; i++)
            ASSERT(c->call.body.p[i] == pattern(c->number, (uint64_t)i - 4));
        buf_unref(c->call.answer);
    }
    if (c->then != NULL)
        c->then(c);
}

void call_init(struct call *c, struct lab *lab, struct peer *peer, uint32_t number)
{
    *c = (struct call){.lab = lab, .peer = peer, .number = number, .then = c->then, .ctx = c->ctx};
    op_init(&c->call.op, call_done);
    c->call.api_key = number % 2 == 0 ? API_METADATA : API_API_VERSIONS;
    c->call.api_version = number % 2 == 0 ? 12 : 3;
}

void call_send(struct call *c, struct lab *lab, struct peer *peer, uint32_t number, uint32_t n)
{
    uint8_t *body = malloc(n + 1);

    call_init(c, lab, peer, number);
    ASSERT(n >= 4);
    put_u32(body, number);
    for (uint32_t i = 4; i < n; i++)
        body[i] = pattern(number, i);
    c->sending = true;
    peer_send(peer, &c->call, (struct bytes){body, (int32_t)n});
    c->sending = false;
    free(body); /* it was copied */
}

const struct peer_settings settings_usual = {
    .client_id = {"tester", 6},
    .backoff_ms = 100,
    .backoff_max_ms = 1000,
    .request_timeout_ms = 10000,
    .frame_bytes_max = 1 << 20,
    .in_flight_max = 5,
};

struct peer *peer_of(struct lab *lab, const struct peer_settings *settings)
{
    struct peer_settings s = *settings;

    s.address = lab->address;
    return peer_new(lab->far_io, lab->telemetry, &s);
}

void peer_end(struct lab *lab, struct peer *p)
{
    struct wait w;

    peer_close(p, wait_begin(&w));
    CHECK(!w.done);
    CHECK_EQ(wait_end(lab, &w), 0);
}

void world_open(struct world *w, const struct peer_settings *settings)
{
    lab_sim(&w->lab, 1, NULL);
    node_init(&w->node, &w->lab);
    node_listen(&w->node);
    w->peer = peer_of(&w->lab, settings);
}

void world_end(struct world *w)
{
    if (w->peer != NULL)
        peer_end(&w->lab, w->peer);
    node_end(&w->node);
    lab_end(&w->lab);
}
