/* Files past the page cache, and writes that are durable when they complete. */
#include "conformance.h"

#include <stdlib.h>

#define BLOCK IO_ALIGN_BYTES

static struct io_file *open_direct(struct trial *w, const char *name, uint32_t flags)
{
    struct io_file *file = NULL;

    CHECK_EQ(RUN(w, io_open(w->io, path(w, name), flags | IO_DIRECT, &file, op)), 0);
    return file;
}

static struct io_file *direct_new(struct trial *w, const char *name)
{
    return open_direct(w, name, IO_WRITE | IO_CREATE | IO_TRUNCATE);
}

/* Aligned memory with the pattern from `from` on. */
static uint8_t *pattern_new(uint64_t from, uint32_t n)
{
    uint8_t *p = io_aligned_new(n);

    CHECK(p != NULL);
    pattern_fill(p, from, n);
    return p;
}

/* The file as others see it, through the page cache. */
static void expect_pattern(struct trial *w, const char *name, uint32_t n)
{
    struct io_file *file;
    uint8_t *got = malloc(n);

    CHECK_EQ(RUN(w, io_open(w->io, path(w, name), IO_READ, &file, op)), 0);
    CHECK_EQ(RUN(w, io_size(file, op)), n);
    CHECK_EQ(RUN(w, io_read(file, 0, got, n, op)), n);
    CHECK(pattern_is(got, 0, n));
    file_close(w, file);
    free(got);
}

/* ---- memory ---------------------------------------------------------------------------- */

TEST(io_align, rounds_to_blocks)
{
    CHECK_EQ(io_align_up(0), 0);
    CHECK_EQ(io_align_up(1), BLOCK);
    CHECK_EQ(io_align_up(BLOCK), BLOCK);
    CHECK_EQ(io_align_down(2 * BLOCK - 1), BLOCK);
    CHECK(io_is_aligned(3 * BLOCK));
    CHECK(!io_is_aligned(BLOCK + 512));
    for (size_t n = 1; n < 100000; n = n * 3 + 1) {
        uint8_t *p = io_aligned_new(n);
        CHECK(io_is_aligned((uintptr_t)p));
        p[0] = p[io_align_up(n) - 1] = 1;
        free(p);
    }
}

/* ---- open ------------------------------------------------------------------------------ */

TEST(io_direct, only_a_file_that_asked_for_it_is_direct)
{
    struct trial w;
    struct io_file *file;

    trial_open(&w, 1);
    file = file_new(&w, "a");
    CHECK(!io_file_is_direct(file));
    file_close(&w, file);
    file = open_direct(&w, "a", IO_READ);
    (void)io_file_is_direct(file); /* the file system's choice */
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_direct, create_exclusive_and_truncate_mean_the_same)
{
    struct trial w;
    struct io_file *file, *other = UNTOUCHED;
    uint8_t *block = pattern_new(0, BLOCK);
    struct bytes piece = {block, BLOCK};

    trial_open(&w, 1);
    file = open_direct(&w, "a", IO_WRITE | IO_CREATE | IO_EXCLUSIVE);
    CHECK_EQ(RUN(&w, io_write(file, 0, &piece, 1, op)), BLOCK);
    file_close(&w, file);
    CHECK_EQ(RUN(&w, io_open(w.io, path(&w, "a"), IO_WRITE | IO_CREATE | IO_EXCLUSIVE | IO_DIRECT,
                             &other, op)),
             -EEXIST);
    CHECK_EQ(RUN(&w, io_open(w.io, path(&w, "b"), IO_READ | IO_DIRECT, &other, op)), -ENOENT);
    CHECK(other == UNTOUCHED);
    expect_pattern(&w, "a", BLOCK);
    file = open_direct(&w, "a", IO_WRITE | IO_TRUNCATE);
    CHECK_EQ(RUN(&w, io_size(file, op)), 0);
    file_close(&w, file);
    free(block);
    trial_close(&w);
}

static void never_done(struct op *op, int64_t result) {}

/* I6, also where the file system has no direct access. */
TEST(io_direct, what_is_not_aligned_stops_the_process)
{
    static struct probe p;
    static struct io_file *file;
    static uint8_t *block;
    struct trial w;
    struct bytes crooked[] = {{NULL, 512}, {NULL, BLOCK}};

    trial_open(&w, 1);
    file = direct_new(&w, "a");
    block = pattern_new(0, 2 * BLOCK);
    op_init(&p.op, never_done);
    crooked[0].p = block;
    crooked[1].p = block + 512;
    CHECK_ASSERTS(io_read(file, 512, block, BLOCK, &p.op));
    CHECK_ASSERTS(io_read(file, 0, block + 1, BLOCK, &p.op));
    CHECK_ASSERTS(io_read(file, 0, block, BLOCK + 1, &p.op));
    CHECK_ASSERTS(io_write(file, 0, &crooked[0], 1, &p.op));
    CHECK_ASSERTS(io_write_durable(file, 0, &crooked[1], 1, &p.op));
    struct io_span span = {.file = file, .n = BLOCK};
    struct pair pair;
    pair_open(&w, &pair);
    CHECK_ASSERTS(io_send(pair.client, &span, 1, &p.op)); /* that is for the page cache */
    pair_close(&w, &pair);
    file_close(&w, file);
    free(block);
    trial_close(&w);
}

/* ---- read and write -------------------------------------------------------------------- */

TEST(io_direct, what_is_written_is_read_by_both_ways)
{
    enum { N = 5 * BLOCK };
    struct trial w;
    struct io_file *direct, *cached;
    uint8_t *bytes = pattern_new(0, N), *got = io_aligned_new(N);
    struct bytes piece = {bytes, N};

    trial_open(&w, 1);
    direct = direct_new(&w, "a");
    CHECK_EQ(RUN(&w, io_open(w.io, path(&w, "a"), IO_READ, &cached, op)), 0);
    CHECK_EQ(RUN(&w, io_write(direct, 0, &piece, 1, op)), N);
    CHECK_EQ(RUN(&w, io_read(cached, 0, got, N, op)), N); /* now it is in the cache */
    CHECK(pattern_is(got, 0, N));
    piece = (struct bytes){bytes + BLOCK, BLOCK};
    CHECK_EQ(RUN(&w, io_write_durable(direct, 0, &piece, 1, op)), BLOCK);
    CHECK_EQ(RUN(&w, io_read(cached, 0, got, N, op)), N);
    CHECK(pattern_is(got, BLOCK, BLOCK));
    CHECK(pattern_is(got + BLOCK, BLOCK, N - BLOCK));
    memset(got, 0, N);
    CHECK_EQ(RUN(&w, io_read(direct, 2 * BLOCK, got, 2 * BLOCK, op)), 2 * BLOCK);
    CHECK(pattern_is(got, 2 * BLOCK, 2 * BLOCK));
    file_close(&w, direct);
    file_close(&w, cached);
    free(bytes);
    free(got);
    trial_close(&w);
}

/* The end of a file need not be aligned, and a read over it gives what is there. */
TEST(io_direct, a_read_over_the_end_is_short)
{
    enum { N = 2 * BLOCK + 100 };
    struct trial w;
    struct io_file *file;
    uint8_t *bytes = pattern_new(0, N), *got = io_aligned_new(4 * BLOCK);

    trial_open(&w, 1);
    file = file_new(&w, "a");
    file_write(&w, file, 0, bytes, N);
    file_close(&w, file);
    file = open_direct(&w, "a", IO_READ);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 4 * BLOCK, op)), N);
    CHECK(pattern_is(got, 0, N));
    CHECK_EQ(RUN(&w, io_read(file, 2 * BLOCK, got, BLOCK, op)), 100);
    CHECK(pattern_is(got, 2 * BLOCK, 100));
    CHECK_EQ(RUN(&w, io_read(file, 3 * BLOCK, got, BLOCK, op)), 0);
    CHECK_EQ(RUN(&w, io_read(file, 1000 * BLOCK, got, BLOCK, op)), 0);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 0, op)), 0);
    file_close(&w, file);
    file = open_direct(&w, "a", IO_WRITE);
    CHECK_EQ(RUN(&w, io_truncate(file, 2 * BLOCK, op)), 0);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 4 * BLOCK, op)), 2 * BLOCK);
    file_close(&w, file);
    free(bytes);
    free(got);
    trial_close(&w);
}

/* As a segment is filled: its place is reserved, and cut to size at the end. */
TEST(io_direct, reserved_space_is_written_in_place)
{
    enum { N = 64 * BLOCK };
    struct trial w;
    struct io_file *file;
    uint8_t *bytes = pattern_new(0, N), *got = io_aligned_new(N);

    trial_open(&w, 1);
    file = direct_new(&w, "a");
    CHECK_EQ(RUN(&w, io_allocate(file, 0, 2 * N, op)), 0);
    CHECK_EQ(RUN(&w, io_size(file, op)), 2 * N);
    for (uint32_t at = 0; at < N; at += 8 * BLOCK) {
        struct bytes piece = {bytes + at, 8 * BLOCK};
        if (at % (16 * BLOCK) == 0)
            CHECK_EQ(RUN(&w, io_write(file, at, &piece, 1, op)), 8 * BLOCK);
        else
            CHECK_EQ(RUN(&w, io_write_durable(file, at, &piece, 1, op)), 8 * BLOCK);
    }
    CHECK_EQ(RUN(&w, io_read(file, N, got, N, op)), N);
    for (uint32_t i = 0; i < N; i++)
        CHECK(got[i] == 0);
    CHECK_EQ(RUN(&w, io_truncate(file, N - 1000, op)), 0);
    CHECK_EQ(RUN(&w, io_sync(file, op)), 0);
    file_close(&w, file);
    expect_pattern(&w, "a", N - 1000);
    free(bytes);
    free(got);
    trial_close(&w);
}

static void pieces_in_order(bool durable)
{
    struct trial w;
    struct io_file *file;
    struct bytes pieces[IO_PIECES_MAX];
    uint8_t *bytes = pattern_new(0, IO_PIECES_MAX * 3 * BLOCK);

    trial_open(&w, 1);
    for (uint32_t count = 1; count <= IO_PIECES_MAX; count += count < 4 ? 1 : 12) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < count; i++) {
            pieces[i] = (struct bytes){bytes + n, (int32_t)((i + 1) % 4 * BLOCK)};
            n += (uint32_t)pieces[i].n;
        }
        file = direct_new(&w, "a");
        if (durable)
            CHECK_EQ(RUN(&w, io_write_durable(file, 0, pieces, count, op)), n);
        else
            CHECK_EQ(RUN(&w, io_write(file, 0, pieces, count, op)), n);
        file_close(&w, file);
        expect_pattern(&w, "a", n);
    }
    free(bytes);
    trial_close(&w);
}

TEST(io_direct, pieces_stand_one_after_another)
{
    pieces_in_order(false);
}

TEST(io_write_durable, pieces_stand_one_after_another)
{
    pieces_in_order(true);
}

TEST(io_direct, large_ones_are_written_and_read_whole)
{
    enum { N = 5 * 1024 * 1024 };
    struct trial w;
    struct io_file *file;
    uint8_t *bytes = pattern_new(0, N), *got = io_aligned_new(N);
    struct bytes pieces[] = {
        {bytes, BLOCK}, {bytes + BLOCK, N - 2 * BLOCK}, {bytes + N - BLOCK, BLOCK}};

    trial_open(&w, 1);
    file = direct_new(&w, "large");
    CHECK_EQ(RUN(&w, io_write(file, 0, pieces, 3, op)), N);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, N, op)), N);
    CHECK(pattern_is(got, 0, N));
    CHECK_EQ(RUN(&w, io_write_durable(file, N, pieces, 3, op)), N);
    CHECK_EQ(RUN(&w, io_read(file, N, got, N, op)), N);
    CHECK(pattern_is(got, 0, N));
    file_close(&w, file);
    free(bytes);
    free(got);
    trial_close(&w);
}

/* More than any queue of a backend holds; reads and writes of both kinds in one file. */
TEST(io_direct, many_at_once_complete_once_each)
{
    enum { N = 600 };
    static struct bytes pieces[N];
    static struct probe probes[N];
    struct trial w;
    struct io_file *file;
    uint8_t *bytes = pattern_new(0, N * BLOCK), *got = io_aligned_new(N * BLOCK);

    trial_open(&w, 1);
    file = direct_new(&w, "a");
    CHECK_EQ(RUN(&w, io_allocate(file, 0, N * BLOCK, op)), 0);
    for (uint32_t round = 0; round < 2; round++) { /* the second one writes in place */
        for (uint32_t i = 0; i < N; i++) {
            pieces[i] = (struct bytes){bytes + i * BLOCK, BLOCK};
            probes[i] = (struct probe){.times = 0};
            if (i % 8 != 0)
                START(&w, &probes[i], io_write(file, i * BLOCK, &pieces[i], 1, &probes[i].op));
            else
                START(&w, &probes[i],
                      io_write_durable(file, i * BLOCK, &pieces[i], 1, &probes[i].op));
        }
        for (uint32_t i = 0; i < N; i++)
            CHECK_EQ(probe_wait(&probes[i]), BLOCK);
    }
    for (uint32_t i = 0; i < N; i++)
        START(&w, &probes[i], io_read(file, i * BLOCK, got + i * BLOCK, BLOCK, &probes[i].op));
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(probe_wait(&probes[i]), BLOCK);
    CHECK(pattern_is(got, 0, N * BLOCK));
    file_close(&w, file);
    free(bytes);
    free(got);
    trial_close(&w);
}

/* The ones that have not begun end at once; the others as they end; the file can be closed then. */
TEST(io_direct, cancelled_ones_complete_once_and_let_the_file_close)
{
    enum { N = 300 };
    static struct probe probes[N];
    struct trial w;
    struct io_file *file;
    uint8_t *bytes = pattern_new(0, N * BLOCK);
    struct bytes piece = {bytes, BLOCK};

    trial_open(&w, 1);
    file = direct_new(&w, "a");
    CHECK_EQ(RUN(&w, io_allocate(file, 0, N * BLOCK, op)), 0);
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < N; i++) {
            probes[i] = (struct probe){.times = 0};
            if (i % 2 == 0)
                START(&w, &probes[i], io_write_durable(file, i * BLOCK, &piece, 1, &probes[i].op));
            else
                START(&w, &probes[i],
                      io_read(file, i * BLOCK, bytes + i * BLOCK, BLOCK, &probes[i].op));
        }
        trial_turns(&w, round);
        for (uint32_t i = 0; i < N; i++)
            probe_cancel(&probes[i]);
        for (uint32_t i = 0; i < N; i++) {
            int64_t result = probe_wait(&probes[i]);
            CHECK(result == BLOCK || result == -ECANCELED);
        }
    }
    file_close(&w, file);
    free(bytes);
    trial_close(&w);
}

/* ---- durable writes of any file -------------------------------------------------------- */

TEST(io_write_durable, writes_as_a_write_does)
{
    struct trial w;
    struct io_file *file;
    struct bytes pieces[] = {{(const uint8_t *)"he", 2}, {NULL, 0}, {(const uint8_t *)"llo", 3}};
    char got[9] = {0};

    trial_open(&w, 1);
    file = file_new(&w, "a");
    CHECK_EQ(RUN(&w, io_write_durable(file, 3, pieces, 3, op)), 5);
    CHECK_EQ(RUN(&w, io_size(file, op)), 8);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 9, op)), 8);
    CHECK_BYTES(got, 8, "\0\0\0hello", 8);
    CHECK_EQ(RUN(&w, io_write_durable(file, 3, &pieces[1], 1, op)), 0);
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_write_durable, a_file_open_for_reading_refuses_it)
{
    struct trial w;
    struct io_file *file;
    uint8_t *block = pattern_new(0, BLOCK);
    struct bytes piece = {block, BLOCK};

    trial_open(&w, 1);
    file_close(&w, file_new(&w, "a"));
    CHECK_EQ(RUN(&w, io_open(w.io, path(&w, "a"), IO_READ, &file, op)), 0);
    CHECK_EQ(RUN(&w, io_write_durable(file, 0, &piece, 1, op)), -EBADF);
    file_close(&w, file);
    file = open_direct(&w, "a", IO_READ);
    CHECK_EQ(RUN(&w, io_write_durable(file, 0, &piece, 1, op)), -EBADF);
    CHECK_EQ(RUN(&w, io_write(file, 0, &piece, 1, op)), -EBADF);
    file_close(&w, file);
    free(block);
    trial_close(&w);
}
