/* Connections between nodes, and what happens to them. */
#include "lab.h"

#include <stdlib.h>

/* Two nodes, a connection from the first to the second. */
struct wire {
    struct sim *sim;
    struct sim_node *a, *b;
    struct io_listener *listener;
    struct io_address address;
    struct io_socket *near, *far; /* of a, of b */
};

static void wire_connect(struct wire *w)
{
    struct call accept, connect;

    io_accept(w->listener, &w->far, NULL, call_begin(&accept));
    io_connect(sim_node_io(w->a, 0), &w->address, NULL, &w->near, call_begin(&connect));
    CHECK_EQ(call_wait(w->sim, &connect), 0);
    CHECK_EQ(call_wait(w->sim, &accept), 0);
}

static void wire_open(struct wire *w, uint64_t seed, const struct sim_options *options)
{
    *w = (struct wire){.sim = sim_new(seed, options), .address = {.host = "b", .port = 9092}};
    w->a = sim_node_new(w->sim, "a");
    w->b = sim_node_new(w->sim, "b");
    sim_node_start(w->a, 1);
    sim_node_start(w->b, 1);
    CHECK_EQ(
        DO(w->sim, io_listen(sim_node_io(w->b, 0), &w->address, NULL, &w->listener, NULL, op)), 0);
    wire_connect(w);
}

static int64_t send_bytes(struct wire *w, struct io_socket *s, const void *p, uint32_t n)
{
    struct io_span span = {.p = p, .n = n};

    return DO(w->sim, io_send(s, &span, 1, op));
}

static int64_t recv_bytes(struct wire *w, struct io_socket *s, void *p, uint32_t n)
{
    return DO(w->sim, io_recv(s, p, n, op));
}

static void run_for(struct wire *w, int64_t ns)
{
    sim_run_until(w->sim, sim_now_ns(w->sim) + ns);
}

TEST(net, nodes_reach_each_other_by_name_and_number)
{
    struct wire w;
    struct io_address peer;
    struct io_socket *s, *client;
    struct call accept;
    struct io_address by_number = {.port = 9092};

    wire_open(&w, 1, NULL);
    strcpy(by_number.host, sim_node_host(w.b));
    io_accept(w.listener, &s, &peer, call_begin(&accept));
    CHECK_EQ(DO(w.sim, io_connect(sim_node_io(w.a, 0), &by_number, NULL, &client, op)), 0);
    CHECK_EQ(call_wait(w.sim, &accept), 0);
    CHECK_TEXT(peer.host, sim_node_host(w.a));
    strcpy(by_number.host, "nobody");
    CHECK_EQ(DO(w.sim, io_connect(sim_node_io(w.a, 0), &by_number, NULL, &client, op)), -EHOSTUNREACH);
    strcpy(by_number.host, "localhost"); /* a itself: nobody listens there */
    CHECK_EQ(DO(w.sim, io_connect(sim_node_io(w.a, 0), &by_number, NULL, &client, op)), -ECONNREFUSED);
    sim_free(w.sim);
}

/* All bytes, in order, in pieces of many sizes. */
TEST(net, a_stream_is_cut_anywhere_and_stays_whole)
{
    enum { BYTES = 200000 };
    static uint8_t sent[BYTES];
    uint32_t pieces = 0, small = 0;

    for (uint32_t i = 0; i < BYTES; i++)
        sent[i] = (uint8_t)(i * 7 + (i >> 8));
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct wire w;
        struct call send;
        struct io_span span = {.p = sent, .n = BYTES};
        uint32_t got = 0;
        wire_open(&w, seed, NULL);
        io_send(w.near, &span, 1, call_begin(&send));
        while (got < BYTES) {
            static uint8_t into[5000];
            int64_t n = recv_bytes(&w, w.far, into, sizeof(into));
            CHECK(n > 0);
            CHECK_BYTES(into, (size_t)n, sent + got, (size_t)n);
            got += (uint32_t)n;
            pieces++;
            small += n < 100;
        }
        CHECK_EQ(call_wait(w.sim, &send), BYTES);
        sim_free(w.sim);
    }
    CHECK(pieces > 1000);
    CHECK(small > 5);
}

struct lender {
    struct op op;
    struct bytes lent;
    const uint8_t *kept;
    char copy[8];
    bool over;
};

static void lender_done(struct op *op, int64_t result)
{
    struct lender *l = container_of(op, struct lender, op);

    ASSERT(result == 5);
    memcpy(l->copy, l->lent.p, 5);
    l->kept = l->lent.p;
    l->over = true;
}

TEST(net, lent_bytes_are_there_in_the_completion)
{
    struct wire w;
    struct lender l = {.over = false};

    wire_open(&w, 3, NULL);
    CHECK_EQ(send_bytes(&w, w.near, "hello", 5), 5);
    run_for(&w, SEC);
    op_init(&l.op, lender_done);
    io_recv_lend(w.far, &l.lent, &l.op);
    CHECK(l.lent.p != NULL); /* poisoned until it completes */
    while (!l.over)
        CHECK(sim_step(w.sim));
    CHECK_BYTES(l.copy, 5, "hello", 5);
    sim_free(w.sim);
}

TEST(net, a_cut_delays_until_it_heals)
{
    struct wire w;
    char into[8];
    struct call recv;

    wire_open(&w, 4, NULL);
    sim_net_cut(w.a, w.b);
    CHECK_EQ(send_bytes(&w, w.near, "one", 3), 3); /* into the kernel's buffer */
    io_recv(w.far, into, sizeof(into), call_begin(&recv));
    run_for(&w, 20 * SEC);
    CHECK(!recv.over);
    CHECK_EQ(send_bytes(&w, w.far, "back", 4), 4); /* the other way is open */
    CHECK(recv_bytes(&w, w.near, into, sizeof(into)) > 0);
    sim_net_heal(w.a, w.b);
    CHECK_EQ(call_wait(w.sim, &recv), 3);
    CHECK_BYTES(into, 3, "one", 3);
    sim_free(w.sim);
}

TEST(net, a_cut_that_lasts_ends_the_sender)
{
    struct wire w;
    char into[8];

    wire_open(&w, 5, NULL);
    sim_net_cut(w.a, w.b);
    CHECK_EQ(send_bytes(&w, w.near, "x", 1), 1);
    run_for(&w, 150 * SEC);
    CHECK_EQ(recv_bytes(&w, w.near, into, 1), -ETIMEDOUT);
    CHECK_EQ(send_bytes(&w, w.near, "y", 1), -ETIMEDOUT);
    sim_free(w.sim);
}

TEST(net, connecting_through_a_cut_waits_or_times_out)
{
    struct wire w;
    struct io_socket *s = NULL;
    struct call connect;

    wire_open(&w, 6, NULL);
    sim_net_cut(w.b, w.a); /* the answer's way is enough */
    CHECK_EQ(DO(w.sim, io_connect(sim_node_io(w.a, 0), &w.address, NULL, &s, op)), -ETIMEDOUT);
    CHECK(s == NULL); /* written only on success */
    io_connect(sim_node_io(w.a, 0), &w.address, NULL, &s, call_begin(&connect));
    run_for(&w, 2 * SEC);
    CHECK(!connect.over);
    sim_net_heal_all(w.sim);
    CHECK_EQ(call_wait(w.sim, &connect), 0);
    sim_free(w.sim);
}

TEST(net, a_reset_ends_both_sides)
{
    struct wire w;
    char into[8];

    wire_open(&w, 7, NULL);
    sim_net_reset(w.a, w.b);
    CHECK_EQ(recv_bytes(&w, w.near, into, 1), -ECONNRESET);
    CHECK_EQ(recv_bytes(&w, w.far, into, 1), -ECONNRESET);
    CHECK_EQ(DO(w.sim, io_socket_close(w.near, op)), 0);
    CHECK_EQ(DO(w.sim, io_socket_close(w.far, op)), 0);
    wire_connect(&w); /* the listener still stands */
    sim_free(w.sim);
}

/* A killed process leaves its peers an end or a reset; new connections are refused. */
TEST(net, a_kill_ends_connections)
{
    uint32_t ends = 0, resets = 0;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct wire w;
        char into[8];
        struct io_socket *s;
        wire_open(&w, seed, NULL);
        sim_node_kill(w.b);
        int64_t result = recv_bytes(&w, w.near, into, 1);
        CHECK(result == 0 || result == -ECONNRESET);
        ends += result == 0;
        resets += result < 0;
        CHECK_EQ(DO(w.sim, io_connect(sim_node_io(w.a, 0), &w.address, NULL, &s, op)), -ECONNREFUSED);
        sim_free(w.sim);
    }
    CHECK(ends > 0);
    CHECK(resets > 0);
}

/* A machine without power says nothing; when it is back it resets what it does not know. */
TEST(net, a_power_cut_is_silent_until_the_machine_is_back)
{
    struct wire w;
    char into[8];
    struct call recv;

    wire_open(&w, 8, NULL);
    sim_node_power_cut(w.b);
    io_recv(w.near, into, 1, call_begin(&recv));
    run_for(&w, 30 * SEC);
    CHECK(!recv.over);
    CHECK_EQ(send_bytes(&w, w.near, "x", 1), 1);
    run_for(&w, SEC);
    sim_node_start(w.b, 1);
    CHECK_EQ(call_wait(w.sim, &recv), -ECONNRESET);
    sim_free(w.sim);
}

/* Who only listens to a dead machine waits for ever: keepalive is the program's business. */
TEST(net, a_half_open_connection_stays_so)
{
    struct wire w;
    char into[8];
    struct call recv;

    wire_open(&w, 9, NULL);
    sim_node_power_cut(w.b);
    sim_node_start(w.b, 1);
    io_recv(w.near, into, 1, call_begin(&recv));
    run_for(&w, 3600 * SEC);
    CHECK(!recv.over);
    io_cancel(sim_node_io(w.a, 0), &recv.op);
    CHECK_EQ(call_wait(w.sim, &recv), -ECANCELED);
    sim_free(w.sim);
}

TEST(net, closing_with_unread_bytes_is_a_reset)
{
    struct wire w;
    char into[8];

    wire_open(&w, 10, NULL);
    CHECK_EQ(send_bytes(&w, w.near, "x", 1), 1);
    run_for(&w, SEC);
    CHECK_EQ(DO(w.sim, io_socket_close(w.far, op)), 0);
    CHECK_EQ(recv_bytes(&w, w.near, into, 1), -ECONNRESET);
    sim_free(w.sim);
}

/* Two connections overtake each other; within one, nothing does. */
TEST(net, connections_are_not_ordered_among_each_other)
{
    uint32_t overtaken = 0;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct wire w;
        struct io_socket *first_far;
        char into[2];
        struct call first, second;
        wire_open(&w, seed, NULL);
        struct io_socket *first_near = w.near;
        first_far = w.far;
        wire_connect(&w);
        io_recv(first_far, into, 1, call_begin(&first));
        io_recv(w.far, into + 1, 1, call_begin(&second));
        CHECK_EQ(send_bytes(&w, first_near, "1", 1), 1);
        CHECK_EQ(send_bytes(&w, w.near, "2", 1), 1);
        CHECK_EQ(call_wait(w.sim, &second), 1);
        overtaken += !first.over;
        sim_free(w.sim);
    }
    CHECK(overtaken > 0);
    CHECK(overtaken < 40);
}

static int64_t byte_takes_ns(struct wire *w)
{
    int64_t began_ns = sim_now_ns(w->sim);
    char into;

    CHECK_EQ(send_bytes(w, w->near, "x", 1), 1);
    CHECK_EQ(recv_bytes(w, w->far, &into, 1), 1);
    return sim_now_ns(w->sim) - began_ns;
}

/* A line that was drawn while the world was wild would be bad for as long as its connection lives. */
TEST(net, bad_lines_are_mended_when_the_world_calms)
{
    struct sim_options options = {.outlier_ppm = 1};
    struct io_socket *near, *far;
    struct wire w;

    wire_open(&w, 12, &options);
    while (byte_takes_ns(&w) < 2 * MS)
        wire_connect(&w);
    near = w.near;
    far = w.far;
    sim_calm(w.sim);
    CHECK(byte_takes_ns(&w) < MS);
    for (int i = 0; i < 40; i++) {
        wire_connect(&w);
        CHECK(byte_takes_ns(&w) < MS);
    }
    w.near = near;
    w.far = far;
    CHECK(byte_takes_ns(&w) < MS);
    sim_free(w.sim);
}

TEST(net, random_resets_are_counted)
{
    struct sim_options options = {.fail_ppm[SIM_SEND] = 500000};
    struct wire w;
    uint32_t failed = 0;
    char into;

    wire_open(&w, 11, &options);
    for (int i = 0; i < 20; i++) {
        int64_t result = send_bytes(&w, w.near, "x", 1);
        CHECK(result == 1 || result == -ECONNRESET);
        if (result == 1)
            continue;
        failed++;
        CHECK_EQ(send_bytes(&w, w.near, "x", 1), -ECONNRESET); /* and so it stays */
        while ((result = recv_bytes(&w, w.far, &into, 1)) == 1)
            ;
        CHECK_EQ(result, -ECONNRESET);
        CHECK_EQ(DO(w.sim, io_socket_close(w.near, op)), 0);
        CHECK_EQ(DO(w.sim, io_socket_close(w.far, op)), 0);
        wire_connect(&w);
    }
    CHECK(failed > 0);
    CHECK_EQ(sim_node_counters(w.a)->failed[SIM_SEND], failed);
    sim_calm(w.sim);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(send_bytes(&w, w.near, "x", 1), 1);
    sim_free(w.sim);
}

struct listener {
    const struct sim_node *from, *to;
    uint32_t sends;
    char first[8];
};

static void hear(void *arg, struct sim_node *from, struct sim_node *to, struct bytes first)
{
    struct listener *l = arg;

    *l = (struct listener){.from = from, .to = to, .sends = l->sends + 1};
    memcpy(l->first, first.p, (size_t)first.n);
}

/* Also of one that goes in many pieces, and of one that does not arrive. */
TEST(net, who_overhears_is_told_of_each_send_once)
{
    static uint8_t big[1 << 20];
    struct io_span spans[] = {{.p = (const uint8_t *)"head", .n = 4}, {.p = big, .n = sizeof big}};
    struct listener l = {0};
    struct call send;
    struct wire w;

    wire_open(&w, 12, NULL);
    sim_net_overhear(w.sim, hear, &l);
    sim_net_cut(w.b, w.a);
    CHECK_EQ(send_bytes(&w, w.far, "lost", 4), 4);
    CHECK_EQ(l.sends, 1);
    CHECK(l.from == w.b && l.to == w.a);
    io_send(w.near, spans, 2, call_begin(&send));
    for (uint32_t got = 0; got < 4 + sizeof big;) {
        static uint8_t into[5000];
        got += (uint32_t)recv_bytes(&w, w.far, into, sizeof into);
    }
    CHECK_EQ(call_wait(w.sim, &send), 4 + (int64_t)sizeof big);
    CHECK_EQ(l.sends, 2);
    CHECK(l.from == w.a && l.to == w.b);
    CHECK_BYTES(l.first, 4, "head", 4);
    sim_net_overhear(w.sim, NULL, NULL);
    CHECK_EQ(send_bytes(&w, w.near, "!", 1), 1);
    CHECK_EQ(l.sends, 2);
    sim_free(w.sim);
}
