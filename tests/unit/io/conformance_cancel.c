/* io_cancel, of each kind of operation: it completes once, never inside io_cancel, with -ECANCELED
 * or with what really happened. */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>

/* The result of a cancelled operation is -ECANCELED or the result that it would have had. */
static bool canceled_or(struct probe *p, int64_t result)
{
    int64_t actual = probe_wait(p);

    return actual == -ECANCELED || actual == result;
}

TEST(io_cancel, of_what_is_not_in_flight_does_nothing)
{
    struct trial w;
    struct probe never = {.times = 0}, over = {.times = 0};

    trial_open(&w, 1);
    op_init(&never.op, NULL);
    never.w = &w;
    probe_cancel(&never);
    START(&w, &over, io_yield(w.io, &over.op));
    CHECK_EQ(probe_wait(&over), 0);
    probe_cancel(&over);
    trial_turns(&w, 5);
    CHECK_EQ(never.times, 0);
    CHECK_EQ(over.times, 1);
    trial_close(&w);
}

TEST(io_cancel, twice_completes_once)
{
    struct trial w;
    struct pair pair;
    struct probe recv = {.times = 0};
    char got;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    START(&w, &recv, io_recv(pair.client, &got, 1, &recv.op));
    trial_turns(&w, 2);
    probe_cancel(&recv);
    probe_cancel(&recv);
    CHECK_EQ(probe_wait(&recv), -ECANCELED);
    probe_cancel(&recv);
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_cancel, of_a_yield_lets_it_end)
{
    struct trial w;
    struct probe p = {.times = 0};

    trial_open(&w, 1);
    START(&w, &p, io_complete(w.io, &p.op, 7));
    probe_cancel(&p);
    CHECK(canceled_or(&p, 7));
    trial_close(&w);
}

TEST(io_cancel, of_an_accept_leaves_the_listener_good)
{
    struct trial w;
    struct io_address address;
    struct io_socket *client, *server = UNTOUCHED;
    struct probe accept = {.times = 0};

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &address);
    for (uint32_t turns = 0; turns < 4; turns++) {
        START(&w, &accept, io_accept(l, &server, NULL, &accept.op));
        trial_turns(&w, turns);
        probe_cancel(&accept);
        CHECK_EQ(probe_wait(&accept), -ECANCELED);
        CHECK(server == UNTOUCHED);
    }
    START(&w, &accept, io_accept(l, &server, NULL, &accept.op));
    CHECK_EQ(RUN(&w, io_connect(w.io, &address, NULL, &client, op)), 0);
    CHECK_EQ(probe_wait(&accept), 0);
    socket_close(&w, client);
    socket_close(&w, server);
    listener_close(&w, l);
    trial_close(&w);
}

/* No byte is lost: what comes after the cancellation is there for the next receive. */
TEST(io_cancel, of_a_receive_leaves_the_socket_good)
{
    struct trial w;
    struct pair pair;
    struct probe recv = {.times = 0};
    struct bytes lent;
    char got = 0;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    for (uint32_t turns = 0; turns < 4; turns++) {
        START(&w, &recv, io_recv(pair.client, &got, 1, &recv.op));
        trial_turns(&w, turns);
        probe_cancel(&recv);
        CHECK_EQ(probe_wait(&recv), -ECANCELED);
        START(&w, &recv, io_recv_lend(pair.client, &lent, &recv.op));
        trial_turns(&w, turns);
        probe_cancel(&recv);
        CHECK_EQ(probe_wait(&recv), -ECANCELED);
    }
    send_text(&w, pair.server, "all");
    expect_text(&w, pair.client, "all");
    pair_close(&w, &pair);
    trial_close(&w);
}

/* The bytes have come, but the receive was cancelled first: either it has them or the next. */
TEST(io_cancel, of_a_receive_that_is_ready_loses_nothing)
{
    struct trial w;
    struct pair pair;
    struct probe recv = {.times = 0};
    char got = 0;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    for (uint32_t i = 0; i < 20; i++) {
        send_text(&w, pair.server, "x");
        trial_sleep(&w, i % 2 == 0 ? 1 : 1000000);
        START(&w, &recv, io_recv(pair.client, &got, 1, &recv.op));
        probe_cancel(&recv);
        if (probe_wait(&recv) == -ECANCELED)
            expect_text(&w, pair.client, "x");
        else
            CHECK_EQ(recv.result, 1);
    }
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_cancel, of_a_send_that_waits)
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
        spans[i] = (struct io_span){.p = bytes, .n = BYTES};
    START(&w, &send, io_send(pair.client, spans, count, &send.op));
    trial_sleep(&w, 20000000);
    CHECK_EQ(send.times, 0);
    probe_cancel(&send);
    CHECK_EQ(probe_wait(&send), -ECANCELED);
    free(bytes);
    free(spans);
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_cancel, of_a_send_that_has_just_begun)
{
    struct trial w;
    struct pair pair;
    struct probe send = {.times = 0};
    struct io_span span = {.p = (const uint8_t *)"abc", .n = 3};

    trial_open(&w, 1);
    pair_open(&w, &pair);
    START(&w, &send, io_send(pair.client, &span, 1, &send.op));
    probe_cancel(&send);
    CHECK(canceled_or(&send, 3));
    pair_close(&w, &pair);
    trial_close(&w);
}

/* With a numeric host and with a name, at once and some turns later. */
TEST(io_cancel, of_a_connect)
{
    struct trial w;
    struct io_address numeric, named;
    struct probe connect = {.times = 0};

    trial_open(&w, 1);
    struct io_listener *l = listener_new(&w, &numeric);
    named = numeric;
    snprintf(named.host, sizeof(named.host), "%s", w.world->host_name);
    for (uint32_t i = 0; i < 20; i++) {
        struct io_socket *client = UNTOUCHED;
        START(&w, &connect, io_connect(w.io, i % 2 == 0 ? &numeric : &named, NULL, &client, &connect.op));
        trial_turns(&w, i / 4);
        probe_cancel(&connect);
        CHECK(canceled_or(&connect, 0));
        CHECK_EQ(client != UNTOUCHED, connect.result == 0);
        if (connect.result == 0)
            socket_close(&w, client);
    }
    listener_close(&w, l);
    trial_close(&w);
}

static void count_work(void *arg)
{
    volatile uint32_t spin = 0;

    while (spin < 100000)
        spin++;
    ++*(uint32_t *)arg;
}

/* Work that was cancelled before it began is never run. */
TEST(io_cancel, of_an_offload)
{
    enum { N = 40 };
    struct trial w;
    uint32_t runs[N] = {0};
    struct probe probes[N];

    trial_open(&w, 1);
    for (uint32_t i = 0; i < N; i++) {
        probes[i] = (struct probe){.times = 0};
        START(&w, &probes[i], io_offload(w.io, count_work, &runs[i], &probes[i].op));
    }
    for (uint32_t i = 0; i < N; i += 2)
        probe_cancel(&probes[i]);
    for (uint32_t i = 0; i < N; i++) {
        CHECK(canceled_or(&probes[i], 0));
        if (i % 2 == 1)
            CHECK_EQ(probes[i].result, 0);
    }
    trial_turns(&w, 5);
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(runs[i], probes[i].result == 0 ? 1 : 0);
    trial_close(&w);
}

/* ---- files ----------------------------------------------------------------------------- */

TEST(io_cancel, of_operations_on_a_file)
{
    enum { N = 60 };
    static uint8_t got[N];
    struct trial w;
    struct probe probes[N];
    struct bytes piece = {(const uint8_t *)"0123456789", 10};

    trial_open(&w, 1);
    struct io_file *file = file_new(&w, "a");
    file_write(&w, file, 0, "0123456789", 10);
    for (uint32_t i = 0; i < N; i++) {
        struct probe *p = &probes[i];
        *p = (struct probe){.times = 0};
        switch (i % 4) {
        case 0:
            START(&w, p, io_write(file, 0, &piece, 1, &p->op));
            break;
        case 1:
            START(&w, p, io_read(file, 0, &got[i], 1, &p->op));
            break;
        case 2:
            START(&w, p, io_sync(file, &p->op));
            break;
        default:
            START(&w, p, io_size(file, &p->op));
            break;
        }
    }
    for (uint32_t i = 0; i < N; i++) {
        if (i % 8 < 4)
            probe_cancel(&probes[i]);
    }
    static const int64_t results[] = {10, 1, 0, 10};
    for (uint32_t i = 0; i < N; i++) {
        CHECK(canceled_or(&probes[i], results[i % 4]));
        if (i % 8 >= 4)
            CHECK_EQ(probes[i].result, results[i % 4]);
    }
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_cancel, of_an_open_gives_a_file_or_none)
{
    enum { N = 20 };
    struct trial w;
    struct probe probes[N];
    struct io_file *files[N];

    trial_open(&w, 1);
    file_close(&w, file_new(&w, "a"));
    for (uint32_t i = 0; i < N; i++) {
        files[i] = UNTOUCHED;
        probes[i] = (struct probe){.times = 0};
        START(&w, &probes[i], io_open(w.io, path(&w, "a"), IO_READ, &files[i], &probes[i].op));
    }
    for (uint32_t i = 0; i < N; i++)
        probe_cancel(&probes[i]);
    for (uint32_t i = 0; i < N; i++) {
        CHECK(canceled_or(&probes[i], 0));
        CHECK_EQ(files[i] != UNTOUCHED, probes[i].result == 0);
        if (probes[i].result == 0)
            file_close(&w, files[i]);
    }
    trial_close(&w);
}

/* A cancelled rename has happened or not, and its result says which. */
TEST(io_cancel, of_a_rename_tells_the_truth)
{
    struct trial w;
    struct probe rename = {.times = 0};
    struct io_file *file = NULL;

    trial_open(&w, 1);
    for (uint32_t i = 0; i < 10; i++) {
        file_close(&w, file_new(&w, "from"));
        START(&w, &rename, io_rename(w.io, path(&w, "from"), path(&w, "to"), &rename.op));
        trial_turns(&w, i / 3);
        probe_cancel(&rename);
        CHECK(canceled_or(&rename, 0));
        CHECK_EQ(RUN(&w, io_open(w.io, path(&w, "from"), IO_READ, &file, op)),
                 rename.result == 0 ? -ENOENT : 0);
        if (rename.result != 0)
            file_close(&w, file);
    }
    trial_close(&w);
}

TEST(io_cancel, does_not_keep_a_file_or_a_socket_from_closing)
{
    struct trial w;
    struct pair pair;
    struct probe p = {.times = 0};

    trial_open(&w, 1);
    struct io_file *file = file_new(&w, "a");
    START(&w, &p, io_close(file, &p.op));
    probe_cancel(&p);
    CHECK(canceled_or(&p, 0)); /* the file is closed in any case */

    pair_open(&w, &pair);
    START(&w, &p, io_socket_close(pair.client, &p.op));
    probe_cancel(&p);
    CHECK(canceled_or(&p, 0));
    pair.client = NULL;
    char got;
    CHECK_EQ(RUN(&w, io_recv(pair.server, &got, 1, op)), 0);

    START(&w, &p, io_listener_close(pair.listener, &p.op));
    probe_cancel(&p);
    CHECK(canceled_or(&p, 0));
    pair.listener = NULL;
    struct io_socket *s;
    CHECK_EQ(RUN(&w, io_connect(w.io, &pair.address, NULL, &s, op)), -ECONNREFUSED);
    pair_close(&w, &pair);
    trial_close(&w);
}

/* ---- from within ----------------------------------------------------------------------- */

struct ender {
    struct probe probe; /* first */
    struct probe *ends;
};

static void ender_then(struct probe *p)
{
    struct ender *e = container_of(p, struct ender, probe);

    probe_cancel(e->ends);
}

TEST(io_cancel, in_another_ones_completion)
{
    struct trial w;
    struct pair pair;
    struct probe recv = {.times = 0}, later = {.times = 0};
    char got;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    struct ender a = {.probe.then = ender_then, .ends = &recv};
    struct ender b = {.probe.then = ender_then, .ends = &later};
    START(&w, &recv, io_recv(pair.client, &got, 1, &recv.op));
    START(&w, &a.probe, io_yield(w.io, &a.probe.op));
    START(&w, &b.probe, io_yield(w.io, &b.probe.op));
    START(&w, &later, io_yield(w.io, &later.op)); /* in the same turn as b */
    CHECK_EQ(probe_wait(&recv), -ECANCELED);
    CHECK(canceled_or(&later, 0));
    CHECK_EQ(probe_wait(&b.probe), 0);
    pair_close(&w, &pair);
    trial_close(&w);
}
