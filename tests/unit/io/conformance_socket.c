/* Sockets. */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- listen, connect, accept ----------------------------------------------------------- */

TEST(io_listen, port_zero_gives_each_listener_its_own)
{
    struct trial w;
    struct io_address a, b;

    trial_open(&w, 1);
    struct io_listener *first = listener_new(&w, &a), *second = listener_new(&w, &b);
    CHECK(a.port != b.port);
    CHECK_TEXT(a.host, w.world->host);
    listener_close(&w, first);
    listener_close(&w, second);
    trial_close(&w);
}

TEST(io_listen, a_port_has_one_listener_until_it_closes)
{
    struct trial w;
    struct io_address address;
    struct io_listener *other = UNTOUCHED;

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    CHECK_EQ(RUN(&w, io_listen(w.io, &address, NULL, &other, NULL, op)), -EADDRINUSE);
    CHECK(other == UNTOUCHED);
    listener_close(&w, l);
    CHECK_EQ(RUN(&w, io_listen(w.io, &address, NULL, &other, NULL, op)), 0);
    listener_close(&w, other);
    trial_close(&w);
}

TEST(io_listen, shared_listeners_share_a_port)
{
    static const struct io_listen_options shared = {.shared = true};
    struct trial w;
    struct io_address address = {.port = 0}, bound;
    struct io_listener *a, *b;

    trial_open(&w, 1);
    snprintf(address.host, sizeof(address.host), "%s", w.world->host);
    CHECK_EQ(RUN(&w, io_listen(w.io, &address, &shared, &a, &bound, op)), 0);
    CHECK_EQ(RUN(&w, io_listen(w.io, &bound, &shared, &b, NULL, op)), 0);
    listener_close(&w, a);
    listener_close(&w, b);
    trial_close(&w);
}

TEST(io_listen, an_empty_host_means_all_interfaces)
{
    struct trial w;
    struct io_address all = {.port = 0}, bound;
    struct io_listener *l;
    struct io_socket *client, *server;
    struct probe accept = {.times = 0};

    trial_open(&w, 1);
    CHECK_EQ(RUN(&w, io_listen(w.io, &all, NULL, &l, &bound, op)), 0);
    CHECK(bound.port != 0);
    snprintf(bound.host, sizeof(bound.host), "%s", w.world->host);
    START(&w, &accept, io_accept(l, &server, NULL, &accept.op));
    CHECK_EQ(RUN(&w, io_connect(w.io, &bound, NULL, &client, op)), 0);
    CHECK_EQ(probe_wait(&accept), 0);
    send_text(&w, client, "hello");
    expect_text(&w, server, "hello");
    socket_close(&w, client);
    socket_close(&w, server);
    listener_close(&w, l);
    trial_close(&w);
}

TEST(io_listen, a_name_is_resolved)
{
    struct trial w;
    struct io_address address = {.port = 0}, bound;
    struct io_listener *l;

    trial_open(&w, 1);
    snprintf(address.host, sizeof(address.host), "%s", w.world->host_name);
    CHECK_EQ(RUN(&w, io_listen(w.io, &address, NULL, &l, &bound, op)), 0);
    CHECK(bound.port != 0);
    listener_close(&w, l);
    trial_close(&w);
}

TEST(io_connect, is_refused_where_nobody_listens)
{
    struct trial w;
    struct io_address address;
    struct io_socket *s = UNTOUCHED;

    trial_open(&w, 1);
    listener_close(&w, listener_new(&w, &address));
    CHECK_EQ(RUN(&w, io_connect(w.io, &address, NULL, &s, op)), -ECONNREFUSED);
    CHECK(s == UNTOUCHED);
    trial_close(&w);
}

/* Whichever of its addresses is tried first, one that listens is found. */
TEST(io_connect, a_name_is_resolved)
{
    struct trial w;
    struct io_address address;
    struct io_socket *client, *server;

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    snprintf(address.host, sizeof(address.host), "%s", w.world->host_name);
    for (address.first = 0; address.first < 3; address.first++) {
        struct probe accept = {.times = 0};
        START(&w, &accept, io_accept(l, &server, NULL, &accept.op));
        CHECK_EQ(RUN(&w, io_connect(w.io, &address, NULL, &client, op)), 0);
        CHECK_EQ(probe_wait(&accept), 0);
        send_text(&w, server, "hello");
        expect_text(&w, client, "hello");
        socket_close(&w, client);
        socket_close(&w, server);
    }
    listener_close(&w, l);
    trial_close(&w);
}

TEST(io_accept, tells_the_peer)
{
    struct trial w;
    struct pair pair;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    CHECK_TEXT(pair.peer.host, w.world->host);
    CHECK(pair.peer.port != 0);
    CHECK(pair.peer.port != pair.address.port);
    pair_close(&w, &pair);
    trial_close(&w);
}

/* Connections wait for their accept, and what was sent meanwhile with them. */
TEST(io_accept, may_come_after_the_connections)
{
    enum { N = 5 };
    struct trial w;
    struct io_address address;
    struct io_socket *clients[N], *servers[N];
    char seen[N + 1] = {0};

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    for (uint32_t i = 0; i < N; i++) {
        char text[2] = {(char)('a' + i), '\0'};
        CHECK_EQ(RUN(&w, io_connect(w.io, &address, NULL, &clients[i], op)), 0);
        send_text(&w, clients[i], text);
    }
    for (uint32_t i = 0; i < N; i++) {
        char got = 0;
        CHECK_EQ(RUN(&w, io_accept(l, &servers[i], NULL, op)), 0);
        CHECK_EQ(RUN(&w, io_recv(servers[i], &got, 1, op)), 1);
        CHECK(got >= 'a' && got < 'a' + N);
        seen[got - 'a'] = got;
    }
    CHECK_TEXT(seen, "abcde");
    for (uint32_t i = 0; i < N; i++) {
        socket_close(&w, clients[i]);
        socket_close(&w, servers[i]);
    }
    listener_close(&w, l);
    trial_close(&w);
}

TEST(io_listener_close, ends_an_accept_first)
{
    struct trial w;
    struct io_address address;
    struct io_socket *s = UNTOUCHED;
    uint32_t order = 0;
    struct probe accept = {.order = &order}, close = {.order = &order};

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    START(&w, &accept, io_accept(l, &s, NULL, &accept.op));
    trial_turns(&w, 3);
    START(&w, &close, io_listener_close(l, &close.op));
    CHECK_EQ(probe_wait(&close), 0);
    CHECK_EQ(probe_wait(&accept), -ECANCELED);
    CHECK(accept.place < close.place);
    CHECK(s == UNTOUCHED);
    trial_close(&w);
}

/* Before the loop has looked at the accept even once. */
TEST(io_listener_close, ends_an_accept_that_has_just_begun)
{
    struct trial w;
    struct io_address address;
    struct io_socket *s = UNTOUCHED;
    uint32_t order = 0;
    struct probe accept = {.order = &order}, close = {.order = &order};

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    START(&w, &accept, io_accept(l, &s, NULL, &accept.op));
    START(&w, &close, io_listener_close(l, &close.op));
    CHECK_EQ(probe_wait(&close), 0);
    CHECK_EQ(probe_wait(&accept), -ECANCELED);
    CHECK(accept.place < close.place);
    trial_close(&w);
}

/* ---- receive --------------------------------------------------------------------------- */

TEST(io_recv, waits_for_what_comes_later)
{
    struct trial w;
    struct pair pair;
    struct probe recv = {.times = 0};
    char got[8] = {0};

    trial_open(&w, 1);
    pair_open(&w, &pair);
    START(&w, &recv, io_recv(pair.server, got, sizeof(got) - 1, &recv.op));
    trial_sleep(&w, 3000000);
    CHECK_EQ(recv.times, 0);
    send_text(&w, pair.client, "abc");
    CHECK(probe_wait(&recv) >= 1);
    CHECK_EQ(got[0], 'a');
    if (recv.result < 3)
        expect_text(&w, pair.server, &"abc"[recv.result]);
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_recv, gives_at_most_what_was_asked_for_and_keeps_the_rest)
{
    struct trial w;
    struct pair pair;
    char got[4] = "...";

    trial_open(&w, 1);
    pair_open(&w, &pair);
    send_text(&w, pair.client, "abcdef");
    CHECK_EQ(RUN(&w, io_recv(pair.server, got, 1, op)), 1);
    CHECK_TEXT(got, "a..");
    expect_text(&w, pair.server, "bc");
    expect_text(&w, pair.server, "def");
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_recv, in_both_directions_at_once)
{
    struct trial w;
    struct pair pair;
    struct probe client = {.times = 0}, server = {.times = 0};
    char a, b;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    START(&w, &client, io_recv(pair.client, &a, 1, &client.op));
    START(&w, &server, io_recv(pair.server, &b, 1, &server.op));
    send_text(&w, pair.client, "c");
    send_text(&w, pair.server, "s");
    CHECK_EQ(probe_wait(&client), 1);
    CHECK_EQ(probe_wait(&server), 1);
    CHECK_EQ(a, 's');
    CHECK_EQ(b, 'c');
    pair_close(&w, &pair);
    trial_close(&w);
}

/* What is lent is good in the completion, and is copied there. */
struct lender {
    struct probe probe; /* first */
    struct bytes lent;
    struct text *text;
};

static void lender_then(struct probe *p)
{
    struct lender *l = container_of(p, struct lender, probe);

    if (p->result <= 0)
        return;
    ASSERT(l->lent.n == p->result);
    text_add(l->text, l->lent.p, (size_t)l->lent.n);
}

TEST(io_recv_lend, lends_what_is_there_and_then_the_end)
{
    struct trial w;
    struct pair pair;
    struct text text = {0};
    struct lender l = {.probe.then = lender_then, .text = &text};

    trial_open(&w, 1);
    pair_open(&w, &pair);
    send_text(&w, pair.client, "hello");
    while (text.n < 5) {
        START(&w, &l.probe, io_recv_lend(pair.server, &l.lent, &l.probe.op));
        CHECK(probe_wait(&l.probe) > 0);
    }
    CHECK_TEXT(text_str(&text), "hello");

    START(&w, &l.probe, io_recv_lend(pair.server, &l.lent, &l.probe.op));
    trial_turns(&w, 5);
    CHECK_EQ(l.probe.times, 0);
    socket_close(&w, pair.client);
    pair.client = NULL;
    CHECK_EQ(probe_wait(&l.probe), 0);
    text_deinit(&text);
    pair_close(&w, &pair);
    trial_close(&w);
}

/* Two sockets of one shard are lent memory in one turn: neither sees the other's bytes. */
TEST(io_recv_lend, keeps_sockets_apart)
{
    enum { N = 8, ROUNDS = 50 };
    struct trial w;
    struct pair pairs[N];
    struct lender lenders[N];
    struct text texts[N] = {{0}};

    trial_open(&w, 1);
    for (uint32_t i = 0; i < N; i++) {
        pair_open(&w, &pairs[i]);
        lenders[i] = (struct lender){.probe.then = lender_then, .text = &texts[i]};
    }
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        for (uint32_t i = 0; i < N; i++) {
            char text[2] = {(char)('a' + i), '\0'};
            send_text(&w, pairs[i].client, text);
        }
        for (uint32_t i = 0; i < N; i++)
            START(&w, &lenders[i].probe,
                  io_recv_lend(pairs[i].server, &lenders[i].lent, &lenders[i].probe.op));
        for (uint32_t i = 0; i < N; i++) {
            CHECK_EQ(probe_wait(&lenders[i].probe), 1);
            CHECK_EQ(texts[i].n, round);
        }
    }
    for (uint32_t i = 0; i < N; i++) {
        for (uint32_t k = 0; k < ROUNDS; k++)
            CHECK_EQ(texts[i].p[k], 'a' + i);
        text_deinit(&texts[i]);
        pair_close(&w, &pairs[i]);
    }
    trial_close(&w);
}

TEST(io_recv, the_end_comes_behind_the_bytes_and_stays)
{
    struct trial w;
    struct pair pair;
    char got;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    send_text(&w, pair.client, "last words");
    socket_close(&w, pair.client);
    pair.client = NULL;
    trial_sleep(&w, 2000000);
    expect_text(&w, pair.server, "last words");
    CHECK_EQ(RUN(&w, io_recv(pair.server, &got, 1, op)), 0);
    CHECK_EQ(RUN(&w, io_recv(pair.server, &got, 1, op)), 0);
    pair_close(&w, &pair);
    trial_close(&w);
}

/* ---- close ----------------------------------------------------------------------------- */

TEST(io_socket_close, ends_what_is_in_flight_first)
{
    enum { BYTES = 1 << 20 };
    struct trial w;
    struct pair pair;
    uint32_t order = 0;
    struct probe recv = {.order = &order}, send = {.order = &order}, close = {.order = &order};
    char got;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    uint32_t count = (uint32_t)(w.world->socket_holds_bytes_max / BYTES + 2);
    uint8_t *bytes = calloc(1, BYTES);
    struct io_span *spans = calloc(count, sizeof(*spans));
    for (uint32_t i = 0; i < count; i++)
        spans[i] = span_of(bytes, BYTES);

    START(&w, &recv, io_recv(pair.client, &got, 1, &recv.op));
    START(&w, &send, io_send(pair.client, spans, count, &send.op));
    trial_sleep(&w, 20000000);
    START(&w, &close, io_socket_close(pair.client, &close.op));
    CHECK_EQ(probe_wait(&close), 0);
    CHECK_EQ(recv.times, 1);
    CHECK_EQ(send.times, 1);
    CHECK_EQ(recv.result, -ECANCELED);
    CHECK_EQ(send.result, -ECANCELED);
    CHECK(recv.place < close.place);
    CHECK(send.place < close.place);
    free(bytes);
    free(spans);
    pair.client = NULL;
    pair_close(&w, &pair);
    trial_close(&w);
}

/* Right after the calls, before any of them has been looked at. */
TEST(io_socket_close, ends_what_has_just_begun)
{
    struct trial w;
    struct pair pair;
    uint32_t order = 0;
    struct probe recv = {.order = &order}, send = {.order = &order}, close = {.order = &order};
    char got;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    struct io_span span = span_of("abc", 3);
    START(&w, &recv, io_recv(pair.client, &got, 1, &recv.op));
    START(&w, &send, io_send(pair.client, &span, 1, &send.op));
    START(&w, &close, io_socket_close(pair.client, &close.op));
    CHECK_EQ(probe_wait(&close), 0);
    CHECK_EQ(recv.times, 1);
    CHECK_EQ(send.times, 1);
    CHECK_EQ(recv.result, -ECANCELED);
    CHECK(send.result == 3 || send.result == -ECANCELED);
    CHECK(recv.place < close.place);
    CHECK(send.place < close.place);
    pair.client = NULL;
    pair_close(&w, &pair);
    trial_close(&w);
}

/* From a completion: the place where real code closes. */
struct closer {
    struct probe recv, send, close;
    struct io_socket *socket;
    char got;
    struct io_span span;
};

static void closer_then(struct probe *p)
{
    struct closer *c = container_of(p, struct closer, recv);

    START(p->w, &c->send, io_send(c->socket, &c->span, 1, &c->send.op));
    START(p->w, p, io_recv(c->socket, &c->got, 1, &p->op));
    p->then = NULL;
    START(p->w, &c->close, io_socket_close(c->socket, &c->close.op));
}

TEST(io_socket_close, in_a_completion)
{
    struct trial w;
    struct pair pair;
    uint32_t order = 0;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    struct closer c = {.recv = {.order = &order, .then = closer_then},
                       .send = {.order = &order},
                       .close = {.order = &order},
                       .socket = pair.server,
                       .span = span_of("bye", 3)};
    START(&w, &c.recv, io_recv(pair.server, &c.got, 1, &c.recv.op));
    send_text(&w, pair.client, "x");
    while (c.close.times == 0)
        CHECK(world_turn(w.world));
    CHECK_EQ(c.close.result, 0);
    CHECK_EQ(c.recv.result, -ECANCELED);
    CHECK(c.send.result == 3 || c.send.result == -ECANCELED);
    CHECK(c.send.place < c.close.place);
    CHECK(c.recv.place < c.close.place);
    pair.server = NULL;
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_socket_close, a_peer_that_goes_on_sending_is_told)
{
    struct trial w;
    struct pair pair;
    int64_t result = 0;
    struct io_span span = span_of("abc", 3);

    trial_open(&w, 1);
    pair_open(&w, &pair);
    socket_close(&w, pair.server);
    pair.server = NULL;
    for (uint32_t i = 0; i < 10000 && result >= 0; i++) {
        result = RUN(&w, io_send(pair.client, &span, 1, op));
        trial_sleep(&w, 1000000);
    }
    CHECK(result == -EPIPE || result == -ECONNRESET);
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_socket_close, wakes_a_peer_that_waits_to_send)
{
    enum { BYTES = 1 << 20 };
    struct trial w;
    struct pair pair;
    struct probe send = {.times = 0};

    trial_open(&w, 1);
    pair_open(&w, &pair);
    uint32_t count = (uint32_t)(w.world->socket_holds_bytes_max / BYTES + 2);
    uint8_t *bytes = calloc(1, BYTES);
    struct io_span *spans = calloc(count, sizeof(*spans));
    for (uint32_t i = 0; i < count; i++)
        spans[i] = span_of(bytes, BYTES);
    START(&w, &send, io_send(pair.client, spans, count, &send.op));
    trial_sleep(&w, 20000000);
    CHECK_EQ(send.times, 0);
    socket_close(&w, pair.server);
    pair.server = NULL;
    CHECK(probe_wait(&send) < 0);
    CHECK(send.result == -EPIPE || send.result == -ECONNRESET);
    free(bytes);
    free(spans);
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_socket_close, a_listener_may_close_before_its_connections)
{
    struct trial w;
    struct pair pair;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    listener_close(&w, pair.listener);
    pair.listener = NULL;
    send_text(&w, pair.client, "still");
    expect_text(&w, pair.server, "still");
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_connect, hundreds_at_once)
{
    enum { N = 200 };
    static struct probe connects[N];
    static struct io_socket *clients[N], *servers[N];
    struct trial w;
    struct io_address address;

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    for (uint32_t i = 0; i < N; i++) {
        connects[i] = (struct probe){.times = 0};
        START(&w, &connects[i], io_connect(w.io, &address, NULL, &clients[i], &connects[i].op));
    }
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(RUN(&w, io_accept(l, &servers[i], NULL, op)), 0);
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(probe_wait(&connects[i]), 0);
    for (uint32_t i = 0; i < N; i++)
        send_text(&w, clients[i], "hello");
    for (uint32_t i = 0; i < N; i++)
        expect_text(&w, servers[i], "hello");
    for (uint32_t i = 0; i < N; i++) {
        socket_close(&w, clients[i]);
        socket_close(&w, servers[i]);
    }
    listener_close(&w, l);
    trial_close(&w);
}
