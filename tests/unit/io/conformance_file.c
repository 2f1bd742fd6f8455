/* Files. */
#include "conformance.h"

#include <stdlib.h>

static int64_t open_file(struct trial *w, const char *name, uint32_t flags, struct io_file **out)
{
    return RUN(w, io_open(w->io, path(w, name), flags, out, op));
}

static int64_t size_of_file(struct trial *w, struct io_file *file)
{
    return RUN(w, io_size(file, op));
}

/* ---- open ------------------------------------------------------------------------------ */

TEST(io_open, what_is_not_there_is_not_opened)
{
    struct trial w;
    struct io_file *file = UNTOUCHED;

    trial_open(&w, 1);
    CHECK_EQ(open_file(&w, "nothing", IO_READ, &file), -ENOENT);
    CHECK_EQ(open_file(&w, "nothing", IO_WRITE, &file), -ENOENT);
    CHECK_EQ(open_file(&w, "no/dir", IO_WRITE | IO_CREATE, &file), -ENOENT);
    CHECK(file == UNTOUCHED);
    trial_close(&w);
}

TEST(io_open, create_keeps_what_is_there_and_exclusive_refuses_it)
{
    struct trial w;
    struct io_file *file = NULL, *other = UNTOUCHED;
    char got[4] = {0};

    trial_open(&w, 1);
    file = file_new(&w, "a");
    file_write(&w, file, 0, "abc", 3);
    file_close(&w, file);

    CHECK_EQ(open_file(&w, "a", IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &other), -EEXIST);
    CHECK(other == UNTOUCHED);
    CHECK_EQ(open_file(&w, "a", IO_WRITE | IO_CREATE, &file), 0);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 3, op)), 3);
    CHECK_TEXT(got, "abc");
    file_close(&w, file);
    CHECK_EQ(open_file(&w, "b", IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &file), 0);
    CHECK_EQ(size_of_file(&w, file), 0);
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_open, truncate_empties)
{
    struct trial w;
    struct io_file *file;

    trial_open(&w, 1);
    file = file_new(&w, "a");
    file_write(&w, file, 0, "abc", 3);
    file_close(&w, file);
    CHECK_EQ(open_file(&w, "a", IO_WRITE | IO_TRUNCATE, &file), 0);
    CHECK_EQ(size_of_file(&w, file), 0);
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_open, a_directory_is_not_written_to)
{
    struct trial w;
    struct io_file *file = UNTOUCHED;

    trial_open(&w, 1);
    CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "dir"), op)), 0);
    CHECK_EQ(open_file(&w, "dir", IO_WRITE, &file), -EISDIR);
    CHECK(file == UNTOUCHED);
    trial_close(&w);
}

TEST(io_open, the_same_file_twice_shows_the_same_bytes)
{
    struct trial w;
    struct io_file *a, *b;
    char got[6] = {0};

    trial_open(&w, 1);
    a = file_new(&w, "a");
    CHECK_EQ(open_file(&w, "a", IO_READ, &b), 0);
    file_write(&w, a, 0, "hello", 5);
    CHECK_EQ(RUN(&w, io_read(b, 0, got, 5, op)), 5);
    CHECK_TEXT(got, "hello");
    CHECK_EQ(size_of_file(&w, b), 5);
    file_close(&w, a);
    file_close(&w, b);
    trial_close(&w);
}

/* I2: paths are copied. */
TEST(io_open, the_path_may_change_after_the_call)
{
    struct trial w;
    struct probe p = {.times = 0};
    struct io_file *file = NULL;
    char name[PATH_BYTES];

    trial_open(&w, 1);
    strcpy(name, path(&w, "right"));
    START(&w, &p, io_open(w.io, name, IO_WRITE | IO_CREATE, &file, &p.op));
    memset(name, 'x', strlen(name));
    CHECK_EQ(probe_wait(&p), 0);
    file_close(&w, file);
    CHECK_EQ(open_file(&w, "right", IO_READ, &file), 0);
    file_close(&w, file);
    trial_close(&w);
}

/* ---- read and write -------------------------------------------------------------------- */

TEST(io_read, gives_less_only_at_the_end_of_the_file)
{
    struct trial w;
    struct io_file *file;
    uint8_t got[16];

    trial_open(&w, 1);
    file = file_new(&w, "a");
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 16, op)), 0);
    file_write(&w, file, 0, "0123456789", 10);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 10, op)), 10);
    CHECK_BYTES(got, 10, "0123456789", 10);
    CHECK_EQ(RUN(&w, io_read(file, 7, got, 16, op)), 3);
    CHECK_BYTES(got, 3, "789", 3);
    CHECK_EQ(RUN(&w, io_read(file, 10, got, 16, op)), 0);
    CHECK_EQ(RUN(&w, io_read(file, 1000000, got, 16, op)), 0);
    CHECK_EQ(RUN(&w, io_read(file, 3, got, 0, op)), 0);
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_write, bytes_behind_the_end_leave_zeros_between)
{
    static const uint8_t zeros[5000];
    struct trial w;
    struct io_file *file;
    uint8_t got[5003];

    trial_open(&w, 1);
    file = file_new(&w, "a");
    file_write(&w, file, 5000, "end", 3);
    CHECK_EQ(size_of_file(&w, file), 5003);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, sizeof(got), op)), 5003);
    CHECK_BYTES(got, 5000, zeros, 5000);
    CHECK_BYTES(got + 5000, 3, "end", 3);
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_write, replaces_in_the_middle_and_nothing_else)
{
    struct trial w;
    struct io_file *file;
    char got[11] = {0};

    trial_open(&w, 1);
    file = file_new(&w, "a");
    file_write(&w, file, 0, "0123456789", 10);
    file_write(&w, file, 4, "xy", 2);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 10, op)), 10);
    CHECK_TEXT(got, "0123xy6789");
    CHECK_EQ(size_of_file(&w, file), 10);
    file_close(&w, file);
    trial_close(&w);
}

/* All numbers of pieces, empty ones among them. */
TEST(io_write, pieces_stand_one_after_another)
{
    static uint8_t bytes[64 * 64], got[64 * 64];
    struct trial w;
    struct io_file *file;
    struct bytes pieces[IO_PIECES_MAX];

    trial_open(&w, 1);
    file = file_new(&w, "a");
    pattern_fill(bytes, 0, sizeof(bytes));
    for (uint32_t count = 1; count <= IO_PIECES_MAX; count++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < count; i++) {
            int32_t piece = (int32_t)(i * 7 % 11 == 3 ? 0 : i % 64);
            pieces[i] = (struct bytes){bytes + n, piece};
            n += (uint32_t)piece;
        }
        CHECK_EQ(RUN(&w, io_write(file, count * 10, pieces, count, op)), n);
        CHECK_EQ(RUN(&w, io_read(file, count * 10, got, n, op)), n);
        CHECK(pattern_is(got, 0, n));
    }
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_write, large_ones_are_written_and_read_whole)
{
    enum { N = 3 * 1024 * 1024 + 17 };
    struct trial w;
    struct io_file *file;
    uint8_t *bytes = malloc(N), *got = malloc(N);

    trial_open(&w, 1);
    file = file_new(&w, "large");
    pattern_fill(bytes, 0, N);
    struct bytes pieces[] = {{bytes, 1}, {bytes + 1, N - 2}, {bytes + N - 1, 1}};
    CHECK_EQ(RUN(&w, io_write(file, 5, pieces, 3, op)), N);
    CHECK_EQ(RUN(&w, io_read(file, 5, got, N, op)), N);
    CHECK(pattern_is(got, 0, N));
    CHECK_EQ(RUN(&w, io_read(file, 1000005, got, N, op)), N - 1000000);
    CHECK(pattern_is(got, 1000000, N - 1000000));
    file_close(&w, file);
    free(bytes);
    free(got);
    trial_close(&w);
}

TEST(io_write, a_file_open_for_reading_refuses_it)
{
    struct trial w;
    struct io_file *file;
    struct bytes piece = {(const uint8_t *)"x", 1};

    trial_open(&w, 1);
    file_close(&w, file_new(&w, "a"));
    CHECK_EQ(open_file(&w, "a", IO_READ, &file), 0);
    CHECK_EQ(RUN(&w, io_write(file, 0, &piece, 1, op)), -EBADF);
    file_close(&w, file);
    trial_close(&w);
}

/* I4 leaves the order open, I1 does not leave the number open. */
TEST(io_write, many_at_once_complete_once_each)
{
    enum { N = 200, BYTES = 300 };
    static uint8_t bytes[N * BYTES], got[N * BYTES];
    static struct bytes pieces[N];
    static struct probe probes[N];
    struct trial w;
    struct io_file *file;

    trial_open(&w, 1);
    file = file_new(&w, "a");
    pattern_fill(bytes, 0, sizeof(bytes));
    for (uint32_t i = 0; i < N; i++) {
        pieces[i] = (struct bytes){bytes + i * BYTES, BYTES};
        probes[i] = (struct probe){.times = 0};
        START(&w, &probes[i], io_write(file, i * BYTES, &pieces[i], 1, &probes[i].op));
    }
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(probe_wait(&probes[i]), BYTES);
    for (uint32_t i = 0; i < N; i++)
        START(&w, &probes[i], io_read(file, i * BYTES, got + i * BYTES, BYTES, &probes[i].op));
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(probe_wait(&probes[i]), BYTES);
    CHECK(pattern_is(got, 0, sizeof(got)));
    file_close(&w, file);
    trial_close(&w);
}

/* ---- the whole file -------------------------------------------------------------------- */

TEST(io_truncate, cuts_and_extends_with_zeros)
{
    struct trial w;
    struct io_file *file;
    uint8_t got[10];

    trial_open(&w, 1);
    file = file_new(&w, "a");
    file_write(&w, file, 0, "0123456789", 10);
    CHECK_EQ(RUN(&w, io_truncate(file, 4, op)), 0);
    CHECK_EQ(size_of_file(&w, file), 4);
    CHECK_EQ(RUN(&w, io_truncate(file, 8, op)), 0);
    CHECK_EQ(size_of_file(&w, file), 8);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 10, op)), 8);
    CHECK_BYTES(got, 8, "0123\0\0\0\0", 8);
    CHECK_EQ(RUN(&w, io_truncate(file, 0, op)), 0);
    CHECK_EQ(size_of_file(&w, file), 0);
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_allocate, extends_the_size_and_changes_no_byte)
{
    struct trial w;
    struct io_file *file;
    uint8_t got[4];

    trial_open(&w, 1);
    file = file_new(&w, "a");
    file_write(&w, file, 0, "0123", 4);
    CHECK_EQ(RUN(&w, io_allocate(file, 0, 65536, op)), 0);
    CHECK_EQ(size_of_file(&w, file), 65536);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 4, op)), 4);
    CHECK_BYTES(got, 4, "0123", 4);
    CHECK_EQ(RUN(&w, io_read(file, 65532, got, 4, op)), 4);
    CHECK_BYTES(got, 4, "\0\0\0\0", 4);
    CHECK_EQ(RUN(&w, io_allocate(file, 0, 4096, op)), 0); /* never shrinks */
    CHECK_EQ(size_of_file(&w, file), 65536);
    CHECK_EQ(RUN(&w, io_allocate(file, 65536, 4096, op)), 0);
    CHECK_EQ(size_of_file(&w, file), 65536 + 4096);
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_sync, completes_with_zero)
{
    struct trial w;
    struct io_file *file;

    trial_open(&w, 1);
    file = file_new(&w, "a");
    CHECK_EQ(RUN(&w, io_sync(file, op)), 0);
    file_write(&w, file, 0, "abc", 3);
    CHECK_EQ(RUN(&w, io_sync(file, op)), 0);
    file_close(&w, file);
    trial_close(&w);
}

/* Also between two opens of one process, so that one that starts twice finds out. */
TEST(io_lock, is_held_by_one_until_it_closes)
{
    struct trial w;
    struct io_file *a, *b;

    trial_open(&w, 1);
    a = file_new(&w, ".lock");
    CHECK_EQ(open_file(&w, ".lock", IO_WRITE, &b), 0);
    CHECK_EQ(RUN(&w, io_lock(a, op)), 0);
    CHECK_EQ(RUN(&w, io_lock(a, op)), 0); /* by the same open: it has it already */
    CHECK_EQ(RUN(&w, io_lock(b, op)), -EAGAIN);
    file_close(&w, a);
    CHECK_EQ(RUN(&w, io_lock(b, op)), 0);
    file_close(&w, b);
    trial_close(&w);
}

/* ---- a file and its name --------------------------------------------------------------- */

TEST(io_close, an_open_file_outlives_its_name)
{
    struct trial w;
    struct io_file *file, *other = NULL;
    char got[6] = {0};

    trial_open(&w, 1);
    file = file_new(&w, "a");
    file_write(&w, file, 0, "hello", 5);
    CHECK_EQ(RUN(&w, io_remove(w.io, path(&w, "a"), op)), 0);
    CHECK_EQ(open_file(&w, "a", IO_READ, &other), -ENOENT);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 5, op)), 5);
    CHECK_TEXT(got, "hello");
    file_write(&w, file, 5, "!", 1);
    file_close(&w, file);
    CHECK_EQ(open_file(&w, "a", IO_READ, &other), -ENOENT);
    trial_close(&w);
}

TEST(io_close, an_open_file_follows_its_new_name)
{
    struct trial w;
    struct io_file *file;
    char got[4] = {0};

    trial_open(&w, 1);
    file = file_new(&w, "a");
    CHECK_EQ(RUN(&w, io_rename(w.io, path(&w, "a"), path(&w, "b"), op)), 0);
    file_write(&w, file, 0, "abc", 3);
    file_close(&w, file);
    CHECK_EQ(open_file(&w, "b", IO_READ, &file), 0);
    CHECK_EQ(RUN(&w, io_read(file, 0, got, 3, op)), 3);
    CHECK_TEXT(got, "abc");
    file_close(&w, file);
    trial_close(&w);
}

TEST(io_close, hundreds_of_files_may_be_open)
{
    enum { N = 300 };
    static struct io_file *files[N];
    static struct probe probes[N];
    struct trial w;

    trial_open(&w, 1);
    for (uint32_t i = 0; i < N; i++) {
        char name[4] = {(char)('a' + i / 26), (char)('a' + i % 26), '\0'};
        probes[i] = (struct probe){.times = 0};
        START(&w, &probes[i],
              io_open(w.io, path(&w, name), IO_WRITE | IO_CREATE, &files[i], &probes[i].op));
    }
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(probe_wait(&probes[i]), 0);
    for (uint32_t i = 0; i < N; i++)
        START(&w, &probes[i], io_close(files[i], &probes[i].op));
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(probe_wait(&probes[i]), 0);
    trial_close(&w);
}
