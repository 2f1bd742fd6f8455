/* What io_epoll does beyond the conformance suite: the life of its loops, signals, and what only a
 * real kernel has: other processes, cold pages. */
#define _GNU_SOURCE
#include "io_epoll/inside.h"

#include "../io/conformance.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- run and stop ---------------------------------------------------------------------- */

struct starts {
    struct io_epoll_world *world;
    atomic_uint times[4];
    pthread_t threads[4];
};

/* The last shard waits for the others to have started, then stops all. */
static void note_start(struct io *io, void *arg)
{
    struct starts *s = arg;
    uint32_t last = io_shard_count(io) - 1;

    s->threads[io_shard(io)] = pthread_self();
    atomic_fetch_add(&s->times[io_shard(io)], 1);
    if (io_shard(io) == last) {
        for (uint32_t i = 0; i < last; i++) {
            while (atomic_load(&s->times[i]) == 0)
                sched_yield();
        }
        io_epoll_stop(s->world);
    }
}

TEST(io_epoll_run, starts_each_shard_once_on_a_thread_of_its_own_and_ends_at_stop)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct starts s = {.world = NULL};

        CHECK_EQ(io_epoll_new(shards, NULL, &s.world), 0);
        CHECK_EQ(io_epoll_run(s.world, note_start, &s), 0);
        CHECK(pthread_equal(s.threads[0], pthread_self()));
        for (uint32_t i = 0; i < shards; i++) {
            CHECK_EQ(s.times[i], 1);
            for (uint32_t k = 0; k < i; k++)
                CHECK(!pthread_equal(s.threads[i], s.threads[k]));
        }
        io_epoll_free(s.world);
    }
}

/* A shard that sleeps without a timer is woken by a stop. */
static void stop_fire(struct io_timer *t)
{
    io_epoll_stop(shard_of(t->io)->world);
}

static void set_stop(struct io *io, void *arg)
{
    if (io_shard(io) == 0)
        io_timer_set(io, arg, io_now_ns(io) + 10000000, stop_fire);
}

TEST(io_epoll_stop, wakes_shards_that_sleep)
{
    struct io_epoll_world *world;
    struct io_timer timer = {.io = NULL};

    CHECK_EQ(io_epoll_new(4, NULL, &world), 0);
    CHECK_EQ(io_epoll_run(world, set_stop, &timer), 0);
    io_epoll_free(world);
}

TEST(io_epoll_free, of_a_world_that_never_ran)
{
    struct io_epoll_world *world;

    CHECK_EQ(io_epoll_new(3, NULL, &world), 0);
    io_epoll_free(world);
    io_epoll_free(NULL);
}

/* What is open and what waits is given back (the leak checker of ASan looks on). */
TEST(io_epoll_free, closes_what_is_open)
{
    static struct probe accept, recv, server_recv, connect;
    static struct io_timer timer;
    struct trial w;
    struct pair pair;
    struct io_socket *s;
    char got[2];
    struct io_address named;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    (void)file_new(&w, "open");
    START(&w, &accept, io_accept(pair.listener, &s, NULL, &accept.op));
    START(&w, &recv, io_recv(pair.client, &got[0], 1, &recv.op));
    START(&w, &server_recv, io_recv(pair.server, &got[1], 1, &server_recv.op));
    trial_turns(&w, 3);
    named = pair.address;
    strcpy(named.host, "localhost");
    START(&w, &connect, io_connect(w.io, &named, NULL, &s, &connect.op));
    io_timer_set(w.io, &timer, io_now_ns(w.io) + 1000000000, stop_fire);
    world_close(w.world);
    CHECK_EQ(accept.times + recv.times + server_recv.times + connect.times, 0);
    timer = (struct io_timer){.io = NULL};
}

/* ---- signals --------------------------------------------------------------------------- */

struct signals {
    struct io_epoll_world *world;
    uint32_t term, interrupt;
    uint32_t shard;
};

static void on_signal(struct io *io, int signal, void *arg)
{
    struct signals *s = arg;

    s->term += signal == SIGTERM;
    s->interrupt += signal == SIGINT;
    s->shard = io_shard(io);
    if (signal == SIGTERM)
        kill(getpid(), SIGINT); /* another one, later */
    else
        io_epoll_stop(s->world);
}

static void raise_term(struct io *io, void *arg)
{
    if (io_shard(io) == io_shard_count(io) - 1)
        kill(getpid(), SIGTERM);
}

TEST(io_epoll_on_signal, both_signals_come_to_shard_0)
{
    struct signals s = {.shard = UINT32_MAX};
    sigset_t before;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK_EQ(io_epoll_new(3, NULL, &s.world), 0);
    CHECK_EQ(io_epoll_on_signal(s.world, on_signal, &s), 0);
    CHECK_EQ(io_epoll_run(s.world, raise_term, NULL), 0);
    CHECK_EQ(s.term, 1);
    CHECK_EQ(s.interrupt, 1);
    CHECK_EQ(s.shard, 0);
    io_epoll_free(s.world);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the pool -------------------------------------------------------------------------- */

static void wait_for_flag(void *arg)
{
    atomic_bool *flag = arg;

    while (!atomic_load(flag))
        usleep(100);
}

/* Work that never ends holds up neither files, nor syncs, nor names. */
TEST(io_epoll_pool, lanes_do_not_wait_for_each_other)
{
    enum { N = 8 };
    struct trial w;
    struct probe works[N] = {{.times = 0}};
    atomic_bool flag = false;
    struct io_address address;
    struct io_socket *s;

    trial_open(&w, 1);
    for (uint32_t i = 0; i < N; i++)
        START(&w, &works[i], io_offload(w.io, wait_for_flag, &flag, &works[i].op));
    struct io_file *file = file_new(&w, "a");
    file_write(&w, file, 0, "abc", 3);
    CHECK_EQ(RUN(&w, io_sync(file, op)), 0);
    CHECK_EQ(RUN(&w, io_sync_dir(w.io, w.world->directory, op)), 0);
    file_close(&w, file);
    struct io_listener *l = listener_new(&w, &address);
    strcpy(address.host, "localhost");
    CHECK_EQ(RUN(&w, io_connect(w.io, &address, NULL, &s, op)), 0);
    socket_close(&w, s);
    listener_close(&w, l);
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(works[i].times, 0);
    probe_cancel(&works[N - 1]); /* waits behind the others */
    CHECK_EQ(probe_wait(&works[N - 1]), -ECANCELED);
    atomic_store(&flag, true);
    for (uint32_t i = 0; i < N - 1; i++)
        CHECK_EQ(probe_wait(&works[i]), 0);
    trial_close(&w);
}

/* ---- files ----------------------------------------------------------------------------- */

TEST(io_epoll_file, modes_are_as_said)
{
    struct trial w;
    struct io_file *file;
    struct stat status;
    mode_t mask = umask(022);

    trial_open(&w, 1);
    file_close(&w, file_new(&w, "plain"));
    CHECK_EQ(
        RUN(&w, io_open(w.io, path(&w, "secret"), IO_WRITE | IO_CREATE | IO_PRIVATE, &file, op)),
        0);
    file_close(&w, file);
    CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "dir"), op)), 0);
    CHECK_EQ(stat(path(&w, "plain"), &status), 0);
    CHECK_EQ(status.st_mode & 07777, 0644);
    CHECK_EQ(stat(path(&w, "secret"), &status), 0);
    CHECK_EQ(status.st_mode & 07777, 0600);
    CHECK_EQ(stat(path(&w, "dir"), &status), 0);
    CHECK_EQ(status.st_mode & 07777, 0755);
    CHECK_EQ(RUN(&w, io_chmod(w.io, path(&w, "plain"), 0440, op)), 0);
    CHECK_EQ(stat(path(&w, "plain"), &status), 0);
    CHECK_EQ(status.st_mode & 07777, 0440);
    umask(mask);
    trial_close(&w);
}

/* In another process: may the file be locked as a JVM's FileLock does it? */
static bool others_may_lock(const char *name)
{
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(name, O_RDWR);
        _exit(fd >= 0 && fcntl(fd, F_SETLK, &whole) == 0 ? 0 : 1);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

TEST(io_epoll_file, a_lock_keeps_a_jvm_out_until_it_is_closed)
{
    struct trial w;

    trial_open(&w, 1);
    struct io_file *file = file_new(&w, ".lock");
    CHECK(others_may_lock(path(&w, ".lock")));
    CHECK_EQ(RUN(&w, io_lock(file, op)), 0);
    CHECK(!others_may_lock(path(&w, ".lock")));
    file_close(&w, file);
    CHECK(others_may_lock(path(&w, ".lock")));
    trial_close(&w);
}

TEST(io_epoll_file, links_are_listed_as_what_they_point_at)
{
    struct trial w;
    struct io_entries entries;

    trial_open(&w, 1);
    CHECK_EQ(RUN(&w, io_mkdir(w.io, path(&w, "dir"), op)), 0);
    CHECK_EQ(symlink("dir", path(&w, "link")), 0);
    CHECK_EQ(symlink("nowhere", path(&w, "lost")), 0);
    CHECK_EQ(RUN(&w, io_list(w.io, w.world->directory, &entries, op)), 3);
    CHECK_TEXT(entries.entries[1].name, "link");
    CHECK(entries.entries[1].is_dir);
    CHECK_TEXT(entries.entries[2].name, "lost");
    CHECK(!entries.entries[2].is_dir);
    io_entries_free(&entries);
    trial_close(&w);
}

/* ---- cold pages ------------------------------------------------------------------------ */

/* By mincore, because a read that may not wait starts to read ahead all the same. */
static bool is_resident(int fd, uint64_t position)
{
    uint64_t page = io_align_down(position);
    unsigned char resident = 0;
    void *p = mmap(NULL, IO_ALIGN_BYTES, PROT_READ, MAP_SHARED, fd, (off_t)page);

    CHECK(p != MAP_FAILED);
    CHECK_EQ(mincore(p, IO_ALIGN_BYTES, &resident), 0);
    munmap(p, IO_ALIGN_BYTES);
    return (resident & 1) != 0;
}

/* A file of the pattern whose first and last page are not in memory. false: this file system keeps
 * its pages in any case (tmpfs), there is nothing to be tested. */
static bool cold_file(struct trial *w, const char *name, uint32_t n, struct io_file **out)
{
    uint8_t *bytes = malloc(n);

    pattern_fill(bytes, 0, n);
    *out = file_new(w, name);
    file_write(w, *out, 0, bytes, n);
    free(bytes);
    CHECK_EQ(RUN(w, io_sync(*out, op)), 0);
    struct epoll_file *file = container_of(*out, struct epoll_file, base);
    CHECK_EQ(posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    return !is_resident(file->fd, 0) && !is_resident(file->fd, n - 1);
}

static void wait_run(struct op *op)
{
    wait_for_flag(task_of(op)->memory);
}

/* Give a lane work that ends when `flag` is set, more than it has threads. */
static void lane_block(struct trial *w, enum lane_kind kind, struct probe *probes, uint32_t count,
                       atomic_bool *flag)
{
    for (uint32_t i = 0; i < count; i++) {
        struct op *op = &probes[i].op;
        probe_begin(w, &probes[i]);
        struct task *t = task_begin(shard_of(w->io), op);
        t->run = wait_run;
        t->memory = flag;
        pool_add(op, kind);
        probe_started(&probes[i]);
    }
}

/* Who reads what is long past holds up no write and no sync. */
TEST(io_epoll_pool, cold_reads_hold_up_nothing_else)
{
    enum { N = 8, BYTES = 200000 };
    struct trial w;
    struct probe blocks[N] = {{.times = 0}}, read = {.times = 0};
    struct io_file *file, *cold;
    uint8_t *got = malloc(BYTES);
    struct bytes piece = {(const uint8_t *)"abc", 3};
    atomic_bool flag = false;

    trial_open(&w, 1);
    file = file_new(&w, "a");
    (void)cold_file(&w, "cold", BYTES, &cold);
    lane_block(&w, LANE_READ, blocks, N, &flag);
    START(&w, &read, io_read(cold, 0, got, BYTES, &read.op));
    bool is_behind_them = task_of(&read.op)->state == TASK_POOL;
    CHECK_EQ(RUN(&w, io_write(file, 0, &piece, 1, op)), 3);
    CHECK_EQ(RUN(&w, io_write_durable(file, 3, &piece, 1, op)), 3);
    CHECK_EQ(RUN(&w, io_sync(file, op)), 0);
    CHECK_EQ(RUN(&w, io_size(file, op)), 6);
    CHECK_EQ(blocks[0].times, 0);
    CHECK(!is_behind_them || read.times == 0);
    atomic_store(&flag, true);
    for (uint32_t i = 0; i < N; i++)
        CHECK_EQ(probe_wait(&blocks[i]), 0);
    CHECK_EQ(probe_wait(&read), BYTES);
    CHECK(pattern_is(got, 0, BYTES));
    file_close(&w, cold);
    file_close(&w, file);
    free(got);
    trial_close(&w);
}

/* Nor does what waits for the disk to write hold up a cold read. */
TEST(io_epoll_pool, cold_reads_wait_for_no_write)
{
    enum { N = 8, BYTES = 200000 };
    struct trial w;
    struct probe blocks[2 * N] = {{.times = 0}};
    struct io_file *cold;
    uint8_t *got = malloc(BYTES);
    atomic_bool flag = false;

    trial_open(&w, 1);
    (void)cold_file(&w, "cold", BYTES, &cold);
    lane_block(&w, LANE_FILE, blocks, N, &flag);
    lane_block(&w, LANE_SYNC, blocks + N, N, &flag);
    CHECK_EQ(RUN(&w, io_read(cold, 0, got, BYTES, op)), BYTES);
    CHECK(pattern_is(got, 0, BYTES));
    CHECK_EQ(blocks[0].times + blocks[N].times, 0);
    atomic_store(&flag, true);
    for (uint32_t i = 0; i < 2 * N; i++)
        CHECK_EQ(probe_wait(&blocks[i]), 0);
    file_close(&w, cold);
    free(got);
    trial_close(&w);
}

TEST(io_epoll_file, a_read_of_cold_pages_is_made_by_the_pool)
{
    enum { N = 200000 };
    struct trial w;
    struct io_file *file;
    struct probe read = {.times = 0};
    uint8_t *got = malloc(N);
    uint8_t byte;

    trial_open(&w, 1);
    if (cold_file(&w, "cold", N, &file)) {
        /* One page warm: the read begins on the shard and ends in the pool. */
        CHECK_EQ(pread(container_of(file, struct epoll_file, base)->fd, &byte, 1, 0), 1);
        START(&w, &read, io_read(file, 0, got, N, &read.op));
        CHECK_EQ(probe_wait(&read), N);
        CHECK(pattern_is(got, 0, N));
        START(&w, &read, io_read(file, 0, got, N, &read.op));
        CHECK_EQ(task_of(&read.op)->state, TASK_LISTED); /* now from the cache */
        CHECK_EQ(probe_wait(&read), N);
    }
    file_close(&w, file);
    free(got);
    trial_close(&w);
}

static void expect_file(struct trial *w, struct io_socket *s, uint32_t n)
{
    uint8_t *got = malloc(n);
    uint32_t at = 0;

    while (at < n) {
        int64_t result = RUN(w, io_recv(s, got + at, n - at, op));
        CHECK(result > 0);
        at += (uint32_t)result;
    }
    CHECK(pattern_is(got, 0, n));
    free(got);
}

/* To ask whether a page is there makes the kernel read it: when the shard stands still just then, it is. So some files
 * are sent, until one was found cold. */
TEST(io_epoll_socket, a_cold_file_is_warmed_by_the_pool_and_sent)
{
    enum { N = 1000003 };
    struct trial w;
    struct pair pair;
    struct io_file *file;
    struct probe send = {.times = 0};
    bool is_cold = true, was_warmed = false;

    trial_open(&w, 1);
    pair_open(&w, &pair);
    for (uint32_t i = 0; i < 10 && is_cold && !was_warmed; i++) {
        is_cold = cold_file(&w, "cold", N, &file);
        if (is_cold) {
            struct io_span span = {.file = file, .n = N};
            START(&w, &send, io_send(pair.client, &span, 1, &send.op));
            was_warmed = container_of(pair.client, struct epoll_socket, base)->warming ||
                         container_of(file, struct epoll_file, base)->cache_unknown;
            expect_file(&w, pair.server, N);
            CHECK_EQ(probe_wait(&send), N);
        }
        file_close(&w, file);
    }
    CHECK(was_warmed || !is_cold);
    pair_close(&w, &pair);
    trial_close(&w);
}

/* The file may be closed when the send has completed: so that waits for the pool. */
TEST(io_epoll_socket, a_send_that_warms_can_be_cancelled_and_closed)
{
    enum { N = 300000 };
    struct trial w;
    struct pair pair;
    struct io_file *file;
    uint32_t order = 0;
    struct probe send = {.order = &order}, close = {.order = &order};

    trial_open(&w, 1);
    for (uint32_t i = 0; i < 20; i++) {
        pair_open(&w, &pair);
        if (cold_file(&w, "cold", N, &file)) {
            struct io_span span = {.file = file, .n = N};
            START(&w, &send, io_send(pair.client, &span, 1, &send.op));
            if (i % 2 == 0)
                trial_turns(&w, i % 4);
            if (i % 3 == 0)
                probe_cancel(&send);
            START(&w, &close, io_socket_close(pair.client, &close.op));
            CHECK_EQ(probe_wait(&close), 0);
            CHECK_EQ(send.times, 1);
            CHECK(send.place < close.place);
            CHECK(send.result == -ECANCELED || send.result == N);
            pair.client = NULL;
        }
        file_close(&w, file);
        pair_close(&w, &pair);
    }
    trial_close(&w);
}

/* ---- what callers must not do ---------------------------------------------------------- */

TEST(io_epoll_bugs, stop_the_process)
{
    static struct probe first, second;
    struct trial w;
    struct pair pair;
    static char got[2];

    trial_open(&w, 1);
    pair_open(&w, &pair);
    START(&w, &first, io_recv(pair.client, &got[0], 1, &first.op));
    op_init(&second.op, first.op.done);
    CHECK_ASSERTS(io_recv(pair.client, &got[1], 1, &second.op)); /* two at once */

    struct io_file *file = file_new(&w, "a");
    START(&w, &second, io_sync(file, &second.op));
    struct probe close = {.times = 0};
    op_init(&close.op, first.op.done);
    CHECK_ASSERTS(io_close(file, &close.op)); /* with an operation in flight */
    CHECK_EQ(probe_wait(&second), 0);
    file_close(&w, file);
    probe_cancel(&first);
    CHECK_EQ(probe_wait(&first), -ECANCELED);
    pair_close(&w, &pair);
    trial_close(&w);
}
