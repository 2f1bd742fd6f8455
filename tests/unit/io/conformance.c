/* The suite's tools, and what holds of every operation: see conformance.h. */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>

char untouched_mark;

/* ---- trials ---------------------------------------------------------------------------- */

void trial_open(struct trial *w, uint32_t shard_count)
{
    *w = (struct trial){.world = world_open(shard_count)};
    w->io = w->world->io;
    CHECK_EQ(io_shard(w->io), 0);
    CHECK_EQ(io_shard_count(w->io), shard_count);
}

void trial_close(struct trial *w)
{
    trial_turns(w, 8);
    CHECK_EQ(w->in_flight, 0);
    world_close(w->world);
}

const char *path(struct trial *w, const char *name)
{
    char *result = w->paths[w->next_path++ % PATHS];

    int n = snprintf(result, PATH_BYTES, "%s/%s", w->world->directory, name);
    CHECK(n > 0);
    CHECK(n < PATH_BYTES);
    return result;
}

bool trial_until(struct trial *w, bool (*condition)(void *arg), void *arg)
{
    while (!condition(arg)) {
        if (!world_turn(w->world))
            return condition(arg);
    }
    return true;
}

/* A turn may have nothing to do; a yield makes sure that it has. */
void trial_turns(struct trial *w, uint32_t turns)
{
    for (uint32_t i = 0; i < turns; i++)
        CHECK_EQ(RUN(w, io_yield(w->io, op)), 0);
}

struct sleep {
    struct io_timer timer;
    bool over;
};

static void sleep_fire(struct io_timer *timer)
{
    container_of(timer, struct sleep, timer)->over = true;
}

static bool sleep_is_over(void *arg)
{
    return ((struct sleep *)arg)->over;
}

void trial_sleep(struct trial *w, int64_t ns)
{
    struct sleep sleep = {.over = false};

    io_timer_set(w->io, &sleep.timer, io_now_ns(w->io) + ns, sleep_fire);
    CHECK(trial_until(w, sleep_is_over, &sleep));
}

/* ---- probes ---------------------------------------------------------------------------- */

/* A failed check would leave by longjmp through the backend, so these are assertions. */
static void probe_done(struct op *op, int64_t result)
{
    struct probe *p = container_of(op, struct probe, op);

    ASSERT(!p->w->calling); /* I1: never inside a call */
    ASSERT(p->times == 0);  /* I1: once */
    p->times++;
    p->result = result;
    p->w->in_flight--;
    if (p->order != NULL)
        p->place = ++*p->order;
    if (p->then != NULL)
        p->then(p);
}

void probe_begin(struct trial *w, struct probe *p)
{
    op_init(&p->op, probe_done);
    p->w = w;
    p->times = 0;
    p->result = 0;
    p->place = 0;
    w->in_flight++;
    w->calling = true;
}

void probe_started(struct probe *p)
{
    p->w->calling = false;
    ASSERT(p->times == 0);
}

static bool probe_is_over(void *arg)
{
    return ((struct probe *)arg)->times != 0;
}

int64_t probe_wait(struct probe *p)
{
    CHECK(trial_until(p->w, probe_is_over, p));
    return p->result;
}

void probe_cancel(struct probe *p)
{
    p->w->calling = true;
    io_cancel(p->w->io, &p->op);
    p->w->calling = false;
}

/* ---- files and sockets ----------------------------------------------------------------- */

struct io_file *file_new(struct trial *w, const char *name)
{
    struct io_file *file = NULL;

    CHECK_EQ(RUN(w, io_open(w->io, path(w, name), IO_WRITE | IO_CREATE | IO_TRUNCATE, &file, op)),
             0);
    CHECK(file != NULL);
    return file;
}

void file_close(struct trial *w, struct io_file *file)
{
    CHECK_EQ(RUN(w, io_close(file, op)), 0);
}

void file_write(struct trial *w, struct io_file *file, uint64_t position, const void *p, uint32_t n)
{
    struct bytes piece = {p, (int32_t)n};

    CHECK_EQ(RUN(w, io_write(file, position, &piece, 1, op)), n);
}

void pattern_fill(uint8_t *p, uint64_t from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        p[i] = pattern(from + i);
}

bool pattern_is(const uint8_t *p, uint64_t from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (p[i] != pattern(from + i))
            return false;
    }
    return true;
}

struct io_listener *listener_new(struct trial *w, struct io_address *bound)
{
    struct io_address address = {.port = 0};
    struct io_listener *listener = NULL;

    snprintf(address.host, sizeof(address.host), "%s", w->world->host);
    CHECK_EQ(RUN(w, io_listen(w->io, &address, NULL, &listener, bound, op)), 0);
    CHECK(listener != NULL);
    CHECK(bound->port != 0);
    return listener;
}

void pair_open(struct trial *w, struct pair *pair)
{
    struct probe accept = {.times = 0}, connect = {.times = 0};

    *pair = (struct pair){.listener = NULL};
    pair->listener = listener_new(w, &pair->address);
    START(w, &accept, io_accept(pair->listener, &pair->server, &pair->peer, &accept.op));
    START(w, &connect, io_connect(w->io, &pair->address, NULL, &pair->client, &connect.op));
    CHECK_EQ(probe_wait(&connect), 0);
    CHECK_EQ(probe_wait(&accept), 0);
    CHECK(pair->client != NULL);
    CHECK(pair->server != NULL);
}

void pair_close(struct trial *w, struct pair *pair)
{
    if (pair->client != NULL)
        socket_close(w, pair->client);
    if (pair->server != NULL)
        socket_close(w, pair->server);
    if (pair->listener != NULL)
        listener_close(w, pair->listener);
    *pair = (struct pair){.listener = NULL};
}

void socket_close(struct trial *w, struct io_socket *s)
{
    CHECK_EQ(RUN(w, io_socket_close(s, op)), 0);
}

void listener_close(struct trial *w, struct io_listener *l)
{
    CHECK_EQ(RUN(w, io_listener_close(l, op)), 0);
}

void send_text(struct trial *w, struct io_socket *s, const char *text)
{
    struct io_span span = {.p = (const uint8_t *)text, .n = (uint32_t)strlen(text)};

    CHECK_EQ(RUN(w, io_send(s, &span, 1, op)), span.n);
}

void expect_text(struct trial *w, struct io_socket *s, const char *text)
{
    char got[256];
    uint32_t n = 0, wanted = (uint32_t)strlen(text);

    CHECK(wanted < sizeof(got));
    while (n < wanted) {
        int64_t result = RUN(w, io_recv(s, got + n, wanted - n, op));
        CHECK(result > 0);
        n += (uint32_t)result;
    }
    got[n] = '\0';
    CHECK_TEXT(got, text);
}

/* ---- turns ----------------------------------------------------------------------------- */

TEST(io_turn, complete_gives_its_result_later)
{
    struct trial w;
    struct probe a = {.times = 0}, b = {.times = 0};

    trial_open(&w, 1);
    START(&w, &a, io_complete(w.io, &a.op, 42));
    START(&w, &b, io_complete(w.io, &b.op, -EIO));
    CHECK_EQ(probe_wait(&a), 42);
    CHECK_EQ(probe_wait(&b), -EIO);
    trial_close(&w);
}

/* An operation may be started again in its own completion. */
struct chain {
    struct probe probe; /* first */
    uint32_t left;
};

static void chain_next(struct probe *p)
{
    struct chain *chain = container_of(p, struct chain, probe);

    if (chain->left == 0)
        return;
    chain->left--;
    START(p->w, p, io_yield(p->w->io, &p->op));
}

static bool chain_is_over(void *arg)
{
    struct chain *chain = arg;

    return chain->left == 0 && chain->probe.times == 1;
}

TEST(io_turn, yields_in_a_chain_let_others_run)
{
    struct trial w;
    struct chain chain = {.probe.then = chain_next, .left = 1000};
    struct io_file *file;

    trial_open(&w, 1);
    START(&w, &chain.probe, io_yield(w.io, &chain.probe.op));
    file = file_new(&w, "beside");
    file_write(&w, file, 0, "x", 1);
    trial_sleep(&w, 1000000);
    file_close(&w, file);
    CHECK(trial_until(&w, chain_is_over, &chain));
    trial_close(&w);
}

TEST(io_turn, many_operations_complete_once_each)
{
    enum { N = 1000 };
    static struct probe probes[N];
    struct trial w;

    trial_open(&w, 1);
    for (uint32_t i = 0; i < N; i++) {
        probes[i] = (struct probe){.times = 0};
        START(&w, &probes[i], io_complete(w.io, &probes[i].op, i));
    }
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(probe_wait(&probes[i]), i);
    trial_close(&w);
}

/* ---- chance ---------------------------------------------------------------------------- */

TEST(io_chance, draws_differ)
{
    struct trial w;

    trial_open(&w, 1);
    uint64_t a = prng_u64(io_prng(w.io));
    CHECK(prng_u64(io_prng(w.io)) != a);
    trial_close(&w);
}

TEST(io_chance, secret_bytes_fill_all_that_was_asked_for_and_no_more)
{
    static const uint8_t zeros[64];
    uint8_t a[64] = {0}, b[64] = {0};
    struct trial w;

    trial_open(&w, 1);
    io_random_bytes(w.io, a, 48);
    io_random_bytes(w.io, b, 48);
    CHECK(memcmp(a, b, 48) != 0);
    CHECK(memcmp(a, zeros, 16) != 0);
    CHECK(memcmp(a + 16, zeros, 16) != 0);
    CHECK(memcmp(a + 32, zeros, 16) != 0);
    CHECK_BYTES(a + 48, 16, zeros, 16);
    io_random_bytes(w.io, a, 0);
    trial_close(&w);
}

/* ---- offload --------------------------------------------------------------------------- */

struct sum {
    uint64_t upto, result;
};

static void sum_work(void *arg)
{
    struct sum *sum = arg;

    sum->result = 0;
    for (uint64_t i = 1; i <= sum->upto; i++)
        sum->result += i;
}

TEST(io_offload, work_is_done_when_it_completes)
{
    struct trial w;
    struct sum sums[20];
    struct probe probes[20];

    trial_open(&w, 1);
    for (uint32_t i = 0; i < 20; i++) {
        sums[i] = (struct sum){.upto = 1000 * i};
        probes[i] = (struct probe){.times = 0};
        START(&w, &probes[i], io_offload(w.io, sum_work, &sums[i], &probes[i].op));
    }
    for (uint32_t i = 0; i < 20; i++) {
        CHECK_EQ(probe_wait(&probes[i]), 0);
        CHECK_EQ(sums[i].result, sums[i].upto * (sums[i].upto + 1) / 2);
    }
    trial_close(&w);
}
