/* Sending: memory, files, both; what ends a send. */
#include "conformance.h"

#include <stdlib.h>

/* ---- memory ------------------------------------------------------------------------------ */

TEST(io_send, spans_leave_in_order_and_empty_ones_count_nothing)
{
    struct trial w;
    struct pair pair;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    struct io_span spans[] = {span_of("", 0),  span_of("ab", 2),  span_of("", 0),
                              span_of("c", 1), span_of("def", 3), {.n = 0}};
    CHECK_EQ(RUN(&w, io_send(pair.client, spans, 6, op)), 6);
    expect_text(&w, pair.server, "abcdef");
    CHECK_EQ(RUN(&w, io_send(pair.client, spans, 1, op)), 0);
    CHECK_EQ(RUN(&w, io_send(pair.client, spans, 0, op)), 0);
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_send, hundreds_of_spans_are_sent)
{
    enum { N = 500 };
    static uint8_t bytes[N], got[N];
    static struct io_span spans[N];
    struct trial w;
    struct pair pair;
    uint32_t n = 0;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    pattern_fill(bytes, 0, N);
    for (uint32_t i = 0; i < N; i++)
        spans[i] = span_of(bytes + i, 1);
    CHECK_EQ(RUN(&w, io_send(pair.client, spans, N, op)), N);
    while (n < N) {
        int64_t result = RUN(&w, io_recv(pair.server, got + n, N - n, op));
        CHECK(result > 0);
        n += (uint32_t)result;
    }
    CHECK(pattern_is(got, 0, N));
    pair_close(&w, &pair);
    trial_close(&w);
}

/* Receive `n` bytes of the pattern, from its `position`. */
static void expect_pattern(struct trial *w, struct io_socket *s, uint64_t position, uint64_t n)
{
    enum { BYTES = 100000 };
    uint8_t *got = malloc(BYTES);

    while (n > 0) {
        uint32_t ask = n < BYTES ? (uint32_t)n : BYTES;
        int64_t result = RUN(w, io_recv(s, got, ask, op));
        CHECK(result > 0);
        CHECK(result <= ask);
        CHECK(pattern_is(got, position, (uint32_t)result));
        position += (uint64_t)result;
        n -= (uint64_t)result;
    }
    free(got);
}

/* More than all buffers hold: the send completes only when the peer has taken enough. */
TEST(io_send, waits_for_a_peer_that_does_not_receive)
{
    enum { BYTES = 1 << 20 };
    struct trial w;
    struct pair pair;
    struct probe send = {.times = 0};

    trial_open(&w, 1);
    pair_open(&w, &pair);
    uint32_t count = (uint32_t)(w.world->socket_holds_bytes_max / BYTES + 2);
    uint8_t *bytes = malloc(BYTES);
    struct io_span *spans = calloc(count, sizeof(*spans));
    pattern_fill(bytes, 0, BYTES);
    for (uint32_t i = 0; i < count; i++)
        spans[i] = span_of(bytes, BYTES);

    START(&w, &send, io_send(pair.client, spans, count, &send.op));
    trial_sleep(&w, 50000000);
    CHECK_EQ(send.times, 0);
    for (uint32_t i = 0; i < count; i++)
        expect_pattern(&w, pair.server, 0, BYTES);
    CHECK_EQ(probe_wait(&send), (uint64_t)count * BYTES);
    free(bytes);
    free(spans);
    pair_close(&w, &pair);
    trial_close(&w);
}

/* Both ends send more than the buffers hold, and receive meanwhile. */
struct stream {
    struct probe recv; /* first */
    struct io_socket *from;
    uint8_t got[30000];
    uint64_t n, wanted;
};

static void stream_then(struct probe *p)
{
    struct stream *s = container_of(p, struct stream, recv);

    ASSERT(p->result > 0);
    ASSERT(pattern_is(s->got, s->n, (uint32_t)p->result));
    s->n += (uint64_t)p->result;
    if (s->n < s->wanted)
        START(p->w, p, io_recv(s->from, s->got, sizeof(s->got), &p->op));
}

static bool stream_is_over(void *arg)
{
    struct stream *s = arg;

    return s->n >= s->wanted;
}

TEST(io_send, in_both_directions_at_once)
{
    enum { N = 6 * 1024 * 1024 };
    static struct stream streams[2];
    struct trial w;
    struct pair pair;
    struct probe sends[2] = {{.times = 0}};
    uint8_t *bytes = malloc(N);

    trial_open(&w, 1);
    pair_open(&w, &pair);
    pattern_fill(bytes, 0, N);
    struct io_span span = span_of(bytes, N);
    struct io_socket *ends[] = {pair.client, pair.server};
    for (uint32_t i = 0; i < 2; i++) {
        streams[i] = (struct stream){.recv.then = stream_then, .from = ends[i], .wanted = N};
        START(&w, &streams[i].recv,
              io_recv(ends[i], streams[i].got, sizeof(streams[i].got), &streams[i].recv.op));
        START(&w, &sends[i], io_send(ends[i], &span, 1, &sends[i].op));
    }
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(trial_until(&w, stream_is_over, &streams[i]));
        CHECK_EQ(probe_wait(&sends[i]), N);
        CHECK_EQ(streams[i].n, N);
    }
    free(bytes);
    pair_close(&w, &pair);
    trial_close(&w);
}

/* ---- files ------------------------------------------------------------------------------- */

TEST(io_send, files_and_memory_alternate)
{
    struct trial w;
    struct pair pair;
    struct io_file *a, *b;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    a = file_new(&w, "a");
    b = file_new(&w, "b");
    file_write(&w, a, 0, "0123456789", 10);
    file_write(&w, b, 0, "ABCDEF", 6);
    struct io_span spans[] = {
        span_of("<", 1), {.file = a, .position = 3, .n = 4}, {.file = b, .position = 0, .n = 2},
        span_of("|", 1), {.file = a, .position = 0, .n = 0}, {.file = b, .position = 5, .n = 1},
        span_of(">", 1),
    };
    CHECK_EQ(RUN(&w, io_send(pair.client, spans, 7, op)), 10);
    expect_text(&w, pair.server, "<3456AB|F>");
    file_close(&w, a);
    file_close(&w, b);
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_send, a_large_range_of_a_file)
{
    enum { N = 5 * 1024 * 1024 + 123 };
    static struct stream stream;
    struct trial w;
    struct pair pair;
    struct io_file *file;
    struct probe send = {.times = 0};
    uint8_t *bytes = malloc(N);

    trial_open(&w, 1);
    pair_open(&w, &pair);
    file = file_new(&w, "large");
    pattern_fill(bytes, 0, N);
    file_write(&w, file, 77, bytes, N);
    struct io_span span = {.file = file, .position = 77, .n = N};
    stream = (struct stream){.recv.then = stream_then, .from = pair.server, .wanted = N};
    START(&w, &stream.recv, io_recv(pair.server, stream.got, sizeof(stream.got), &stream.recv.op));
    START(&w, &send, io_send(pair.client, &span, 1, &send.op));
    CHECK(trial_until(&w, stream_is_over, &stream));
    CHECK_EQ(probe_wait(&send), N);
    free(bytes);
    file_close(&w, file);
    pair_close(&w, &pair);
    trial_close(&w);
}

TEST(io_send, a_file_that_is_shorter_than_said_is_trouble)
{
    struct trial w;
    struct pair pair;
    struct io_file *file;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    file = file_new(&w, "short");
    file_write(&w, file, 0, "0123456789", 10);
    struct io_span spans[] = {{.file = file, .position = 5, .n = 6}};
    CHECK_EQ(RUN(&w, io_send(pair.client, spans, 1, op)), -EIO);
    file_close(&w, file);
    pair_close(&w, &pair);
    trial_close(&w);
}

/* Of a send that waits for its peer, and of one that comes later; another handle of the file serves on. */
TEST(io_withdraw, ends_sends_from_the_file)
{
    enum { BYTES = 1 << 20 };
    struct trial w;
    struct pair pair, other;
    struct probe send = {.times = 0};

    trial_open(&w, 1);
    pair_open(&w, &pair);
    pair_open(&w, &other);
    uint32_t count = (uint32_t)(w.world->socket_holds_bytes_max / BYTES + 2);
    uint8_t *bytes = calloc(1, BYTES);
    struct io_file *file = file_new(&w, "a"), *again = NULL;
    struct io_span *spans = calloc(count, sizeof(*spans));

    file_write(&w, file, 0, bytes, BYTES);
    CHECK_EQ(RUN(&w, io_open(w.io, path(&w, "a"), IO_READ, &again, op)), 0);
    for (uint32_t i = 0; i < count; i++)
        spans[i] = (struct io_span){.file = file, .n = BYTES};
    START(&w, &send, io_send(pair.client, spans, count, &send.op));
    trial_sleep(&w, 20000000);
    CHECK_EQ(send.times, 0);
    CHECK(!io_is_withdrawn(file));
    io_withdraw(file);
    CHECK(io_is_withdrawn(file));
    while (send.times == 0)
        (void)RUN(&w, io_recv(pair.server, bytes, BYTES, op));
    CHECK_EQ(probe_wait(&send), -ESTALE);
    spans[0].n = 1;
    CHECK_EQ(RUN(&w, io_send(other.client, spans, 1, op)), -ESTALE);
    pair_close(&w, &other);
    pair_open(&w, &other);
    spans[0].file = again;
    CHECK_EQ(RUN(&w, io_send(other.client, spans, 1, op)), 1);
    free(bytes);
    free(spans);
    pair_close(&w, &pair);
    pair_close(&w, &other);
    file_close(&w, file);
    file_close(&w, again);
    trial_close(&w);
}
