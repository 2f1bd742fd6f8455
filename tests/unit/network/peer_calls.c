/* Calls of other kinds: from the caller's memory, without answer, with a limit of their own, cancelled; and hooks. */
#include "peer_bench.h"

#include <stdlib.h>

#include "protocol/metadata.h"

/* ---- from where it lies ------------------------------------------------------------------------ */

/* A request in three pieces: its number, then two halves of the pattern. */
struct pieces {
    struct call call;
    struct io_span spans[4];
    uint8_t *bytes;
};

static void pieces_send(struct pieces *s, struct lab *lab, struct peer *peer, uint32_t number, uint32_t n)
{
    struct call *c = &s->call;

    s->bytes = malloc(n);
    put_u32(s->bytes, number);
    for (uint32_t i = 4; i < n; i++)
        s->bytes[i] = pattern(number, i);
    s->spans[1] = (struct io_span){.p = s->bytes, .n = 4};
    s->spans[2] = (struct io_span){.p = s->bytes + 4, .n = n / 2};
    s->spans[3] = (struct io_span){.p = s->bytes + 4 + n / 2, .n = n - 4 - n / 2};
    call_init(c, lab, peer, number);
    c->sending = true;
    peer_send_spans(peer, &c->call, s->spans, 4);
    c->sending = false;
}

/* The memory is gone when the call has ended. */
static void pieces_done(struct call *c)
{
    struct pieces *s = container_of(c, struct pieces, call);

    memset(s->spans, 0xdb, sizeof s->spans);
    free(s->bytes);
}

TEST(peer_calls, request_is_sent_from_its_pieces)
{
    struct world w;
    struct pieces s[3] = {{{{{0}}}}};

    world_open(&w, &settings_usual);
    for (uint32_t i = 0; i < 3; i++) {
        s[i].call.then = pieces_done;
        pieces_send(&s[i], &w.lab, w.peer, 1 + i, 5000 + i * 100000);
    }
    for (uint32_t i = 0; i < 3; i++) {
        UNTIL(&w.lab, s[i].call.done);
        CHECK_EQ(s[i].call.result, 0);
    }
    CHECK_TEXT(text_str(&w.node.asked), "1 2 3 ");
    CHECK_TEXT(w.node.client_id, "tester");
    world_end(&w);
}

/* Its caller still has to keep what is being sent. */
TEST(peer_calls, early_answer_waits_until_the_pieces_are_sent)
{
    struct world w;
    struct pieces s = {.call.then = pieces_done};

    world_open(&w, &settings_usual);
    pieces_send(&s, &w.lab, w.peer, 2, 24 << 20);
    UNTIL(&w.lab, w.node.line_count == 1 && node_line(&w.node)->in.n > 1000);
    struct asked a = {.header = {.request_api_key = API_METADATA, .request_api_version = 12}, .number = 2};
    node_line(&w.node)->deaf = true;
    line_answer(node_line(&w.node), &a, 0, 0);
    lab_pass(&w.lab, SEC);
    CHECK(!s.call.done);
    node_line(&w.node)->deaf = false;
    w.node.silent_from = 0; /* it has its answer */
    line_receive(node_line(&w.node));
    UNTIL(&w.lab, s.call.done);
    CHECK_EQ(s.call.result, 0);
    world_end(&w);
}

TEST(peer_calls, pieces_stay_until_the_connection_lets_go_of_them)
{
    struct world w;
    struct pieces s = {.call.then = pieces_done};

    world_open(&w, &settings_usual);
    w.node.deaf = true;
    pieces_send(&s, &w.lab, w.peer, 2, 24 << 20);
    lab_pass(&w.lab, SEC);
    peer_cancel(&s.call.call); /* too late to stop it: it is being sent */
    lab_pass(&w.lab, SEC);
    CHECK(!s.call.done);
    lab_pass(&w.lab, 9 * SEC);
    CHECK(s.call.done);
    CHECK_EQ(s.call.result, -ECANCELED);
    world_end(&w);
}

/* ---- no answer ----------------------------------------------------------------------------------- */

TEST(peer_calls, call_without_answer_ends_when_it_was_sent)
{
    struct world w;
    struct call c = {{{0}}}, next = {{{0}}};

    world_open(&w, &settings_usual);
    w.node.silent_from = 0;
    call_init(&c, &w.lab, w.peer, 1);
    c.no_answer = c.call.no_answer = true;
    peer_send(w.peer, &c.call, (struct bytes){(const uint8_t *)"\0\0\0\1", 4});
    UNTIL(&w.lab, c.done);
    CHECK_EQ(c.result, 0);
    UNTIL(&w.lab, w.node.asked_count == 1);
    w.node.silent_from = UINT32_MAX;
    call_send(&next, &w.lab, w.peer, 2, 8);
    UNTIL(&w.lab, next.done);
    CHECK_EQ(next.result, 0);
    CHECK_TEXT(text_str(&w.node.asked), "1 2 ");
    world_end(&w);
}

/* ---- limits, cancel --------------------------------------------------------------------------------- */

TEST(peer_calls, call_with_a_limit_of_its_own_ends_by_it)
{
    struct world w;
    struct call c = {{{0}}};

    world_open(&w, &settings_usual);
    w.node.silent_from = 0;
    call_init(&c, &w.lab, w.peer, 2);
    c.call.deadline_ns = io_now_ns(w.lab.far_io) + SEC;
    peer_send(w.peer, &c.call, (struct bytes){(const uint8_t *)"\0\0\0\2", 4});
    UNTIL(&w.lab, c.done);
    CHECK_EQ(c.result, -ETIMEDOUT);
    CHECK(c.done_ns >= SEC && c.done_ns < SEC + 50 * MS);
    world_end(&w);
}

TEST(peer_calls, answer_to_a_cancelled_call_is_dropped)
{
    struct world w;
    struct call c[3] = {{{{0}}}};

    world_open(&w, &settings_usual);
    w.node.silent_from = 0;
    for (uint32_t i = 0; i < 3; i++)
        call_send(&c[i], &w.lab, w.peer, 2 * i, 8);
    lab_pass(&w.lab, SEC);
    peer_cancel(&c[1].call);
    peer_cancel(&c[1].call);
    CHECK(!c[1].done);
    UNTIL(&w.lab, c[1].done);
    CHECK_EQ(c[1].result, -ECANCELED);
    for (int32_t i = 0; i < 3; i++) {
        struct asked a = {.header = {.request_api_key = API_METADATA, .request_api_version = 12},
                          .number = 2 * (uint32_t)i};
        line_answer(node_line(&w.node), &a, i, 8);
    }
    UNTIL(&w.lab, c[2].done);
    CHECK_EQ(c[0].result, 0);
    CHECK_EQ(c[2].result, 0);
    CHECK_EQ(w.node.line_count, 1);
    world_end(&w);
}

TEST(peer_calls, cancelled_call_that_was_not_sent_never_is)
{
    struct world w;
    struct call c[2] = {{{{0}}}};

    world_open(&w, &settings_usual);
    for (uint32_t i = 0; i < 2; i++)
        call_send(&c[i], &w.lab, w.peer, 2 * i, 8);
    peer_cancel(&c[0].call);
    UNTIL(&w.lab, c[0].done && c[1].done);
    CHECK_EQ(c[0].result, -ECANCELED);
    CHECK(!c[0].call.sent);
    CHECK_EQ(c[1].result, 0);
    CHECK_TEXT(text_str(&w.node.asked), "2 ");
    world_end(&w);
}

/* What was left in its place still has a limit. */
TEST(peer_calls, connection_ends_when_a_cancelled_call_is_never_answered)
{
    struct world w;
    struct call c = {{{0}}};

    world_open(&w, &settings_usual);
    w.node.silent_from = 0;
    call_send(&c, &w.lab, w.peer, 2, 8);
    lab_pass(&w.lab, SEC);
    peer_cancel(&c.call);
    lab_pass(&w.lab, 8 * SEC);
    CHECK(!node_line(&w.node)->ended);
    lab_pass(&w.lab, 2 * SEC);
    CHECK(node_line(&w.node)->ended);
    world_end(&w);
}

/* ---- hooks ------------------------------------------------------------------------------------------ */

struct owner {
    struct world w;
    struct call first, second;
    uint32_t opened, closed;
    int error;
    int64_t closed_ns;
    bool send;
};

static void opened(void *ctx)
{
    struct owner *o = ctx;

    o->opened++;
    if (!o->send)
        return;
    call_send(&o->first, &o->w.lab, o->w.peer, 1, 8);
    call_send(&o->second, &o->w.lab, o->w.peer, 2, 8);
}

static void closed(void *ctx, int error)
{
    struct owner *o = ctx;

    CHECK(!o->send || (o->first.done && o->second.done));
    o->closed++;
    o->error = error;
    o->closed_ns = sim_now_ns(o->w.lab.sim);
}

static void owner_open(struct owner *o, const struct peer_settings *base)
{
    static const struct peer_hooks hooks = {opened, closed};
    struct peer_settings s = *base;

    *o = (struct owner){.send = true};
    s.hooks = &hooks;
    s.ctx = o;
    world_open(&o->w, &s);
}

TEST(peer_calls, owner_is_told_of_each_connection_and_its_calls_end_with_it)
{
    struct owner o;

    owner_open(&o, &settings_usual);
    o.w.node.silent_from = 1; /* the second is not answered */
    lab_pass(&o.w.lab, SEC);
    CHECK_EQ(o.opened, 0);
    peer_connect(o.w.peer);
    peer_connect(o.w.peer);
    UNTIL(&o.w.lab, o.first.done);
    CHECK_EQ(o.first.result, 0);
    CHECK_EQ(o.opened, 1);
    lab_pass(&o.w.lab, SEC);
    CHECK(!o.second.done);
    line_close(node_line(&o.w.node));
    UNTIL(&o.w.lab, o.closed == 1);
    CHECK_EQ(o.error, -ECONNRESET);
    CHECK_EQ(o.second.result, -ECONNRESET);
    lab_pass(&o.w.lab, 10 * SEC);
    CHECK_EQ(o.opened, 1); /* nobody has asked for another one */
    o.w.node.silent_from = UINT32_MAX;
    peer_connect(o.w.peer);
    UNTIL(&o.w.lab, o.opened == 2 && o.second.done);
    CHECK_EQ(o.second.result, 0);
    peer_drop(o.w.peer, ERR_VERSION);
    UNTIL(&o.w.lab, o.closed == 2);
    CHECK_EQ(o.error, ERR_VERSION);
    world_end(&o.w);
    CHECK_EQ(o.closed, 2);
}

/* KIP-601 */
TEST(peer_calls, limit_of_connecting_grows_while_it_is_too_short)
{
    struct owner o;
    struct peer_settings s = settings_usual;
    int64_t took_ms[5];

    s.setup_timeout_ms = 1000;
    s.setup_timeout_max_ms = 4000;
    owner_open(&o, &s);
    o.send = false;
    sim_net_cut(o.w.lab.near, o.w.lab.far);
    for (uint32_t i = 0; i < 5; i++) {
        lab_pass(&o.w.lab, 2 * SEC); /* the back-off is over */
        int64_t began_ns = sim_now_ns(o.w.lab.sim);
        peer_connect(o.w.peer);
        UNTIL(&o.w.lab, o.closed == i + 1);
        CHECK_EQ(o.error, -ETIMEDOUT);
        took_ms[i] = (o.closed_ns - began_ns) / MS;
    }
    for (uint32_t i = 0; i < 5; i++) {
        int64_t expected = i < 2 ? 1000 << i : 4000;
        CHECK(took_ms[i] >= expected * 8 / 10 && took_ms[i] <= expected * 12 / 10 + 1);
    }
    sim_net_heal_all(o.w.lab.sim);
    lab_pass(&o.w.lab, 2 * SEC);
    peer_connect(o.w.peer);
    UNTIL(&o.w.lab, o.opened == 1);
    world_end(&o.w);
}
