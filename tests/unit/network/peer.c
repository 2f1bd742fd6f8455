/* The client end of a connection, against a node that does what a test says. */
#include "peer_bench.h"

#include <stdio.h>
#include <stdlib.h>

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
    struct peer_settings settings = settings_usual;

    settings.request_timeout_ms = 120000; /* a machine that stands still is no reason to give up */
    lab_real(&lab);
    node_init(&node, &lab);
    node_listen(&node);
    struct peer *p = peer_of(&lab, &settings);
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
