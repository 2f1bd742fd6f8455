/* The client end of a connection, against a node that does what a test says. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/protocol.h"

/* ---- the other node ------------------------------------------------------------------------- */

#define CONNECTIONS_MAX 64
#define ASKED_MAX 4096

struct node;

/* A request that has come. */
struct asked {
    struct request_header header;
    uint32_t number; /* the first four bytes of its body */
    uint32_t body_bytes;
};

struct line {
    struct node *node;
    struct io_socket *socket;
    struct op receive, send, close;
    struct text in, out;
    size_t parsed;
    struct text sent;
    struct io_span span;
    bool sending, receiving, ended, closing, closed, deaf;
    uint8_t bytes[16384];
};

struct node {
    struct lab *lab;
    struct io_socket *accepted;
    struct op accept;
    bool listening;
    struct line *lines[CONNECTIONS_MAX];
    uint32_t line_count;
    struct text asked;              /* "number " of each */
    uint32_t asked_count;
    struct asked last;
    char client_id[100];
    uint32_t silent_from;           /* requests from this count on are not answered */
    bool deaf;                      /* accepts, but reads nothing */
    /* Answer `a`, which came on `line`; NULL: node_echo. */
    void (*answer)(struct line *line, const struct asked *a);
    void *ctx;
};

static void line_send_more(struct line *line);

static void line_send_done(struct op *op, int64_t result)
{
    struct line *line = container_of(op, struct line, send);

    line->sending = false;
    if (result >= 0)
        line_send_more(line);
}

static void line_send_more(struct line *line)
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

static void line_close(struct line *line)
{
    if (line->closing)
        return;
    line->closing = true;
    op_init(&line->close, line_closed);
    io_socket_close(line->socket, &line->close);
}

/* An answer: its header, then `number` and `n` bytes of its pattern. */
static void line_answer(struct line *line, const struct asked *a, int32_t correlation_id,
                        uint32_t n)
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

static void line_echo(struct line *line, const struct asked *a)
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

static void line_receive(struct line *line);

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

static void line_receive(struct line *line)
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

static void node_init(struct node *node, struct lab *lab)
{
    *node = (struct node){.lab = lab, .silent_from = UINT32_MAX};
}

static void node_listen(struct node *node)
{
    lab_listen(node->lab);
    node->listening = true;
    node_accept(node);
}

static struct line *node_line(struct node *node)
{
    return node->lines[node->line_count - 1];
}

static void node_end(struct node *node)
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

struct call {
    struct peer_call call;
    struct peer *peer;
    uint32_t number;
    bool done;
    int64_t result;
    int64_t done_ns;
    struct lab *lab;
    void (*then)(struct call *c);
    void *ctx;
    bool sending; /* the call into peer_send is under way */
};

static void call_done(struct op *op, int64_t result)
{
    struct call *c = container_of(op, struct call, call.op);

    ASSERT(!c->done);
    ASSERT(!c->sending);
    c->done = true;
    c->result = result;
    c->done_ns = c->lab->sim == NULL ? 0 : sim_now_ns(c->lab->sim);
    ASSERT(result <= 0);
    ASSERT((result == 0) == (c->call.answer != NULL));
    if (result == 0) {
        ASSERT(c->call.sent);
        ASSERT(c->call.body.n >= 4 && get_u32(c->call.body.p) == c->number);
        for (int32_t i = 4; i < c->call.body.n; i++)
            ASSERT(c->call.body.p[i] == pattern(c->number, (uint64_t)i - 4));
        buf_unref(c->call.answer);
    }
    if (c->then != NULL)
        c->then(c);
}

static void call_send(struct call *c, struct lab *lab, struct peer *peer, uint32_t number,
                      uint32_t n)
{
    uint8_t *body = malloc(n + 1);

    *c = (struct call){.lab = lab, .peer = peer, .number = number, .then = c->then, .ctx = c->ctx};
    op_init(&c->call.op, call_done);
    c->call.api_key = number % 2 == 0 ? API_METADATA : API_API_VERSIONS;
    c->call.api_version = number % 2 == 0 ? 12 : 3;
    ASSERT(n >= 4);
    put_u32(body, number);
    for (uint32_t i = 4; i < n; i++)
        body[i] = pattern(number, i);
    c->sending = true;
    peer_send(peer, &c->call, (struct bytes){body, (int32_t)n});
    c->sending = false;
    free(body); /* it was copied */
}

static const struct peer_settings settings_usual = {
    .client_id = {"tester", 6},
    .backoff_ms = 100,
    .backoff_max_ms = 1000,
    .request_timeout_ms = 10000,
    .frame_bytes_max = 1 << 20,
    .in_flight_max = 5,
};

static struct peer *peer_of(struct lab *lab, const struct peer_settings *settings)
{
    struct peer_settings s = *settings;

    s.address = lab->address;
    return peer_new(lab->far_io, lab->telemetry, &s);
}

static void peer_end(struct lab *lab, struct peer *p)
{
    struct wait w;

    peer_close(p, wait_begin(&w));
    CHECK(!w.done);
    CHECK_EQ(wait_end(lab, &w), 0);
}

struct world {
    struct lab lab;
    struct node node;
    struct peer *peer;
};

static void world_open(struct world *w, const struct peer_settings *settings)
{
    lab_sim(&w->lab, 1, NULL);
    node_init(&w->node, &w->lab);
    node_listen(&w->node);
    w->peer = peer_of(&w->lab, settings);
}

static void world_end(struct world *w)
{
    if (w->peer != NULL)
        peer_end(&w->lab, w->peer);
    node_end(&w->node);
    lab_end(&w->lab);
}

/* ---- answers -------------------------------------------------------------------------------- */

TEST(peer, call_is_answered)
{
    struct world w;
    struct call c = {0};

    world_open(&w, &settings_usual);
    for (uint32_t i = 1; i <= 2; i++) {
        call_send(&c, &w.lab, w.peer, i, 400 + i);
        UNTIL(&w.lab, c.done);
        CHECK_EQ(c.result, 0);
        CHECK_EQ(c.call.body.n, 4 + (404 + (int)i - 4));
        CHECK_EQ(w.node.last.header.request_api_key, i == 2 ? API_METADATA : API_API_VERSIONS);
        CHECK_EQ(w.node.last.header.request_api_version, i == 2 ? 12 : 3);
        CHECK_TEXT(w.node.client_id, "tester");
    }
    CHECK_EQ(w.node.line_count, 1);
    world_end(&w);
}

TEST(peer, nothing_is_connected_before_there_is_something_to_send)
{
    struct world w;

    world_open(&w, &settings_usual);
    lab_pass(&w.lab, 60 * SEC);
    CHECK_EQ(w.node.line_count, 0);
    world_end(&w);
}

TEST(peer, calls_go_out_in_order_and_at_most_in_flight_max_wait_for_answers)
{
    struct world w;
    struct call c[12] = {{{{0}}}};

    world_open(&w, &settings_usual);
    w.node.silent_from = 0;
    for (uint32_t i = 0; i < 12; i++)
        call_send(&c[i], &w.lab, w.peer, i, 4 + i);
    lab_pass(&w.lab, 5 * SEC);
    CHECK_TEXT(text_str(&w.node.asked), "0 1 2 3 4 ");
    struct asked first = {.header = {.request_api_key = API_METADATA, .request_api_version = 12}};
    line_answer(node_line(&w.node), &first, 0, 0);
    lab_pass(&w.lab, SEC);
    CHECK(c[0].done);
    CHECK_TEXT(text_str(&w.node.asked), "0 1 2 3 4 5 ");
    peer_end(&w.lab, w.peer);
    w.peer = NULL;
    for (uint32_t i = 1; i < 12; i++) {
        CHECK_EQ(c[i].result, ERR_CLOSED);
        CHECK_EQ(c[i].call.sent, i < 6);
    }
    world_end(&w);
}

/* The other node may answer when it has seen enough: the request's memory must stay. */
static void answer_the_head(struct lab *lab, struct line *line)
{
    struct asked a = {.header = {.request_api_key = API_METADATA, .request_api_version = 12},
                      .number = 2};

    UNTIL(lab, line->in.n > 1000);
    line->deaf = true;
    line_answer(line, &a, 0, 0);
}

TEST(peer, answer_may_come_before_the_request_is_sent)
{
    struct world w;
    struct call c = {0}, next = {0};

    world_open(&w, &settings_usual);
    call_send(&c, &w.lab, w.peer, 2, 24 << 20);
    UNTIL(&w.lab, w.node.line_count == 1);
    answer_the_head(&w.lab, node_line(&w.node));
    UNTIL(&w.lab, c.done);
    CHECK_EQ(c.result, 0);
    call_send(&next, &w.lab, w.peer, 4, 4);
    lab_pass(&w.lab, SEC);
    CHECK(!next.done);
    node_line(&w.node)->deaf = false;
    line_receive(node_line(&w.node));
    lab_pass(&w.lab, 5 * SEC);
    CHECK(next.done); /* the rest has been sent, then this one; its answer comes second */
    world_end(&w);
}

/* ---- trouble -------------------------------------------------------------------------------- */

TEST(peer, connects_again_with_growing_pauses_until_somebody_listens)
{
    struct lab lab;
    struct node node;
    struct call c = {0};
    struct peer_settings settings = settings_usual;
    uint32_t tries = 0;

    settings.request_timeout_ms = 60000;
    lab_sim(&lab, 1, NULL);
    node_init(&node, &lab);
    struct peer *p = peer_of(&lab, &settings);
    call_send(&c, &lab, p, 1, 4);
    lab_pass(&lab, 10 * SEC);
    CHECK(!c.done);
    CHECK(!c.call.sent);
    for (const char *at = lab.said.p; (at = strstr(at, "cannot connect to near:9092: ")); at++)
        tries++;
    /* 100 + 200 + 400 + 800 ms, then a second each, all +-20 % */
    CHECK(tries >= 10 && tries <= 15);
    node_listen(&node);
    UNTIL(&lab, c.done);
    CHECK_EQ(c.result, 0);
    peer_end(&lab, p);
    node_end(&node);
    lab_end(&lab);
}

TEST(peer, call_that_cannot_be_sent_in_time_ends_unsent)
{
    struct lab lab;
    struct call c[3] = {{{{0}}}};

    lab_sim(&lab, 1, NULL);
    struct peer *p = peer_of(&lab, &settings_usual);
    for (uint32_t i = 0; i < 3; i++) {
        call_send(&c[i], &lab, p, i, 4);
        lab_pass(&lab, SEC);
    }
    for (uint32_t i = 0; i < 3; i++) {
        UNTIL(&lab, c[i].done);
        CHECK_EQ(c[i].result, -ETIMEDOUT);
        CHECK(!c[i].call.sent);
        CHECK_EQ(c[i].done_ns / SEC, 10 + i);
    }
    peer_end(&lab, p);
    lab_end(&lab);
}

TEST(peer, connecting_has_a_limit)
{
    struct world w;
    struct call c = {0};

    world_open(&w, &settings_usual);
    sim_net_cut(w.lab.far, w.lab.near);
    call_send(&c, &w.lab, w.peer, 1, 4);
    lab_pass(&w.lab, 9 * SEC);
    CHECK_EQ(w.lab.said.n, 0);
    UNTIL(&w.lab, c.done);
    CHECK_EQ(c.result, -ETIMEDOUT);
    lab_pass(&w.lab, SEC);
    CHECK(strstr(w.lab.said.p, error_text(-ETIMEDOUT)) != NULL);
    sim_net_heal_all(w.lab.sim);
    call_send(&c, &w.lab, w.peer, 1, 4);
    UNTIL(&w.lab, c.done);
    CHECK_EQ(c.result, 0);
    world_end(&w);
}

TEST(peer, late_answer_ends_all_that_was_sent_and_the_rest_goes_on)
{
    struct world w;
    struct call c[7] = {{{{0}}}};

    world_open(&w, &settings_usual);
    w.node.silent_from = 0;
    call_send(&c[0], &w.lab, w.peer, 10, 4);
    lab_pass(&w.lab, 5 * SEC);
    for (uint32_t i = 1; i < 7; i++)
        call_send(&c[i], &w.lab, w.peer, 10 + i, 4);
    lab_pass(&w.lab, 4 * SEC);
    w.node.silent_from = UINT32_MAX;
    UNTIL(&w.lab, c[6].done);
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_EQ(c[i].result, -ETIMEDOUT);
        CHECK(c[i].call.sent);
        CHECK_EQ(c[i].done_ns / SEC, 10);
    }
    CHECK_EQ(c[5].result, 0);
    CHECK_EQ(c[6].result, 0);
    CHECK_EQ(w.node.line_count, 2);
    CHECK_TEXT(text_str(&w.node.asked), "10 11 12 13 14 15 16 ");
    world_end(&w);
}

static void misbehave(const void *bytes, size_t n, int error)
{
    struct world w;
    struct call c = {0};
    struct peer_settings settings = settings_usual;

    settings.frame_bytes_max = 100;
    world_open(&w, &settings);
    w.node.silent_from = 0;
    call_send(&c, &w.lab, w.peer, 2, 4);
    UNTIL(&w.lab, w.node.asked_count == 1);
    text_add(&node_line(&w.node)->out, bytes, n);
    line_send_more(node_line(&w.node));
    UNTIL(&w.lab, c.done);
    CHECK_EQ(c.result, error);
    CHECK(c.call.sent);
    UNTIL(&w.lab, node_line(&w.node)->ended); /* it hangs up */
    w.node.silent_from = UINT32_MAX;
    call_send(&c, &w.lab, w.peer, 4, 4);
    UNTIL(&w.lab, c.done);
    CHECK_EQ(c.result, 0);
    world_end(&w);
}

TEST(peer, answer_that_makes_no_sense_ends_the_connection)
{
    misbehave("\0\0\0\0", 4, ERR_LIMIT);
    misbehave("\xff\xff\xff\xff", 4, ERR_LIMIT);
    misbehave("\0\0\0\x65", 4, ERR_LIMIT);
    misbehave("\x7f\xff\xff\xff", 4, ERR_LIMIT);
    misbehave("\0\0\0\1_", 5, ERR_CORRUPT);                      /* shorter than a header */
    misbehave("\0\0\0\4\0\0\0\0", 8, ERR_CORRUPT);               /* no tags */
    misbehave("\0\0\0\x05\0\0\0\x07\0", 9, ERR_CORRUPT);         /* another's */
    misbehave("\0\0\0\x05\0\0\0\0\x01", 9, ERR_CORRUPT);         /* a tag that is not there */
}

TEST(peer, bytes_that_nobody_asked_for_end_the_connection)
{
    struct world w;
    struct call c = {0};

    world_open(&w, &settings_usual);
    call_send(&c, &w.lab, w.peer, 2, 4);
    UNTIL(&w.lab, c.done);
    text_add(&node_line(&w.node)->out, "\0\0\0\x05\0\0\0\1\0", 9);
    line_send_more(node_line(&w.node));
    UNTIL(&w.lab, node_line(&w.node)->ended);
    world_end(&w);
}

TEST(peer, other_end_closes_and_unsent_calls_take_the_next_connection)
{
    struct world w;
    struct call c[6] = {{{{0}}}};
    struct peer_settings settings = settings_usual;

    settings.in_flight_max = 2;
    world_open(&w, &settings);
    w.node.silent_from = 0;
    for (uint32_t i = 0; i < 6; i++)
        call_send(&c[i], &w.lab, w.peer, i, 4);
    UNTIL(&w.lab, w.node.asked_count == 2);
    w.node.silent_from = UINT32_MAX;
    line_close(node_line(&w.node));
    for (uint32_t i = 0; i < 6; i++) {
        UNTIL(&w.lab, c[i].done);
        CHECK_EQ(c[i].result, i < 2 ? -ECONNRESET : 0);
    }
    CHECK_EQ(w.node.line_count, 2);
    world_end(&w);
}

static void send_again(struct call *c)
{
    uint32_t *tries = c->ctx;

    if (c->result < 0 && ++*tries < 6)
        call_send(c, c->lab, c->peer, c->number, 4);
}

static void hang_up_at_once(struct line *line, const struct asked *a)
{
    line_close(line);
}

TEST(peer, call_that_is_sent_again_where_it_ended_waits_for_the_back_off)
{
    struct world w;
    uint32_t tries = 0;
    struct call c = {.then = send_again, .ctx = &tries};

    world_open(&w, &settings_usual);
    w.node.answer = hang_up_at_once;
    call_send(&c, &w.lab, w.peer, 2, 4);
    UNTIL(&w.lab, tries == 6);
    CHECK_EQ(w.node.line_count, 6);
    /* 100, 200, 400, 800, 1000 ms, each +-20 % */
    CHECK(c.done_ns > 2000 * MS && c.done_ns < 3010 * MS);
    world_end(&w);
}

TEST(peer, good_answer_makes_the_next_back_off_short)
{
    struct world w;
    uint32_t tries = 0;
    struct call c = {.then = send_again, .ctx = &tries};

    world_open(&w, &settings_usual);
    w.node.answer = hang_up_at_once;
    call_send(&c, &w.lab, w.peer, 2, 4);
    UNTIL(&w.lab, tries == 5);
    w.node.answer = NULL;
    UNTIL(&w.lab, c.done && c.result == 0);
    line_close(node_line(&w.node));
    lab_pass(&w.lab, SEC);
    int64_t begin_ns = sim_now_ns(w.lab.sim);
    w.node.answer = hang_up_at_once;
    c.then = NULL;
    call_send(&c, &w.lab, w.peer, 2, 4);
    UNTIL(&w.lab, c.done);
    w.node.answer = NULL;
    call_send(&c, &w.lab, w.peer, 4, 4);
    UNTIL(&w.lab, c.done);
    CHECK(c.done_ns - begin_ns < 300 * MS);
    world_end(&w);
}

TEST(peer, other_node_loses_its_power)
{
    struct world w;
    struct call c = {0};

    world_open(&w, &settings_usual);
    call_send(&c, &w.lab, w.peer, 2, 4);
    UNTIL(&w.lab, c.done);
    sim_node_power_cut(w.lab.near);
    w.node.listening = false;
    call_send(&c, &w.lab, w.peer, 4, 4);
    UNTIL(&w.lab, c.done);
    CHECK_EQ(c.result, -ETIMEDOUT);
    CHECK(c.call.sent);
    world_end(&w);
}

/* ---- the end -------------------------------------------------------------------------------- */

enum moment { UNUSED, BACKING_OFF, CONNECTING, CONNECTED, SENDING, ASKED, HANGING_UP, MOMENTS };

TEST(peer, close_at_any_moment_ends_every_call)
{
    for (int m = 0; m < MOMENTS; m++) {
        struct world w;
        struct call c[8] = {{{{0}}}};
        struct wait closed;
        uint32_t count = m == UNUSED ? 0 : 8;
        world_open(&w, &settings_usual);
        w.node.silent_from = 0;
        if (m == BACKING_OFF) {
            w.node.listening = false;
            lab_unlisten(&w.lab);
        }
        for (uint32_t i = 0; i < count; i++)
            call_send(&c[i], &w.lab, w.peer, i, m == SENDING ? 24 << 20 : 4);
        if (m == BACKING_OFF)
            lab_pass(&w.lab, 5 * SEC);
        if (m == CONNECTED)
            UNTIL(&w.lab, w.node.line_count == 1);
        if (m == SENDING) {
            w.node.deaf = true;
            lab_pass(&w.lab, SEC);
        }
        if (m >= ASKED)
            UNTIL(&w.lab, w.node.asked_count == 5);
        if (m == HANGING_UP) {
            text_add(&node_line(&w.node)->out, "\0\0\0\0", 4);
            line_send_more(node_line(&w.node));
            UNTIL(&w.lab, sim_node_counters(w.lab.near)->done[SIM_SEND] == 1);
            lab_pass(&w.lab, MS / 2);
        }
        peer_close(w.peer, wait_begin(&closed));
        for (uint32_t i = 0; i < count; i++)
            CHECK(!c[i].done || m == HANGING_UP);
        CHECK_EQ(wait_end(&w.lab, &closed), 0);
        w.peer = NULL;
        for (uint32_t i = 0; i < count; i++) {
            CHECK(c[i].done);
            CHECK(c[i].result == ERR_CLOSED || (m == HANGING_UP && c[i].result == ERR_LIMIT));
        }
        CHECK(w.lab.said.n == 0 || m == BACKING_OFF); /* no complaint about what was wanted */
        world_end(&w);
    }
}

struct closing {
    struct wait wait;
    struct call *again;
};

static void close_there(struct call *c)
{
    struct closing *closing = c->ctx;

    c->then = NULL;
    peer_close(c->peer, wait_begin(&closing->wait));
    call_send(closing->again, c->lab, c->peer, 8, 4);
}

TEST(peer, close_where_a_call_ends_ends_the_others_too)
{
    for (int way = 0; way < 3; way++) {
        struct world w;
        struct call again = {0}, other = {0};
        struct closing closing = {.again = &again};
        struct call c = {.then = close_there, .ctx = &closing};
        struct peer_settings settings = settings_usual;
        settings.in_flight_max = 1 + (uint32_t)way;
        world_open(&w, &settings);
        if (way > 0)
            w.node.answer = hang_up_at_once;
        call_send(&c, &w.lab, w.peer, 2, 4);
        call_send(&other, &w.lab, w.peer, 4, 4);
        UNTIL(&w.lab, closing.wait.done);
        w.peer = NULL;
        UNTIL(&w.lab, again.done); /* its memory is the caller's: it outlives the peer */
        CHECK_EQ(c.result, way == 0 ? 0 : -ECONNRESET);
        CHECK(other.done && again.done);
        CHECK(other.result < 0);
        CHECK_EQ(again.result, ERR_CLOSED);
        CHECK(!again.call.sent);
        world_end(&w);
    }
}

static void send_there(struct call *c)
{
    call_send(c->ctx, c->lab, c->peer, 6, 4);
}

TEST(peer, call_sent_where_peer_close_ends_another_is_refused)
{
    struct world w;
    struct call again = {0};
    struct call c = {.then = send_there, .ctx = &again};

    world_open(&w, &settings_usual);
    w.node.silent_from = 0;
    call_send(&c, &w.lab, w.peer, 2, 4);
    lab_pass(&w.lab, SEC);
    peer_end(&w.lab, w.peer);
    w.peer = NULL;
    UNTIL(&w.lab, again.done);
    CHECK_EQ(c.result, ERR_CLOSED);
    CHECK_EQ(again.result, ERR_CLOSED);
    world_end(&w);
}

/* ---- any history ---------------------------------------------------------------------------- */

static void any_answer(struct line *line, const struct asked *a)
{
    struct prng *g = line->node->ctx;

    if (prng_below(g, 30) == 0)
        line_close(line);
    else if (prng_below(g, 60) == 0)
        line_answer(line, a, a->header.correlation_id + 1, 0);
    else if (prng_below(g, 20) > 0)
        line_echo(line, a);
}

#define CALLS 60

TEST(peer, any_history_ends_every_call_once)
{
    uint32_t good = 0, bad = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct lab lab;
        struct node node;
        static struct call calls[CALLS];
        struct sim_options options = sim_options_swarm(seed);
        struct peer_settings settings = settings_usual;
        struct wait closed;
        lab_sim(&lab, seed, &options);
        struct prng *g = sim_prng(lab.sim);
        settings.in_flight_max = 1 + (uint32_t)prng_below(g, 6);
        settings.request_timeout_ms = 50 + (int64_t)prng_below(g, 2000);
        settings.backoff_ms = (int64_t)prng_below(g, 50);
        settings.backoff_max_ms = 50;
        node_init(&node, &lab);
        node.ctx = g;
        node.answer = any_answer;
        node_listen(&node);
        struct peer *p = peer_of(&lab, &settings);
        for (uint32_t i = 0; i < CALLS && node.line_count < CONNECTIONS_MAX - 10; i++) {
            calls[i] = (struct call){0};
            call_send(&calls[i], &lab, p, i, 4 + (uint32_t)prng_below(g, 5000));
            lab_pass(&lab, (int64_t)prng_below(g, 10 * MS));
            if (prng_below(g, 50) == 0)
                sim_net_reset(lab.near, lab.far);
        }
        if (prng_below(g, 2) == 0)
            lab_pass(&lab, 3 * SEC);
        peer_close(p, wait_begin(&closed));
        CHECK_EQ(wait_end(&lab, &closed), 0);
        for (uint32_t i = 0; i < CALLS; i++) {
            if (calls[i].peer != p)
                continue;
            CHECK(calls[i].done);
            good += calls[i].result == 0;
            bad += calls[i].result < 0;
            calls[i].peer = NULL;
        }
        node_end(&node);
        lab_end(&lab);
    }
    CHECK(good > 2000);
    CHECK(bad > 500);
}

TEST(peer, calls_pass_a_real_socket)
{
    struct lab lab;
    struct node node;
    struct call c[40] = {{{{0}}}};

    lab_real(&lab);
    node_init(&node, &lab);
    node_listen(&node);
    struct peer *p = peer_of(&lab, &settings_usual);
    for (uint32_t i = 0; i < 40; i++)
        call_send(&c[i], &lab, p, i, i == 7 ? 3 << 20 : 4 + i);
    for (uint32_t i = 0; i < 40; i++) {
        UNTIL(&lab, c[i].done);
        CHECK_EQ(c[i].result, 0);
    }
    CHECK_EQ(node.line_count, 1);
    peer_end(&lab, p);
    node_end(&node);
    lab_end(&lab);
}
