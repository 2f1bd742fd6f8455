/* Direct files on io_epoll: who does the work, and what happens where the kernel does not. */
#define _GNU_SOURCE
#include "io_epoll/inside.h"

#include "../io/conformance.h"

#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK IO_ALIGN_BYTES
#define BLOCKS 256u

/* A direct file with room for BLOCKS, and as much memory. false: there is no AIO here. */
struct rig {
    struct trial w;
    struct io_file *file;
    uint8_t *bytes;
};

static bool rig_open(struct rig *r)
{
    trial_open(&r->w, 1);
    CHECK_EQ(RUN(&r->w, io_open(r->w.io, path(&r->w, "a"), IO_WRITE | IO_CREATE | IO_DIRECT,
                                &r->file, op)),
             0);
    CHECK_EQ(RUN(&r->w, io_allocate(r->file, 0, BLOCKS * BLOCK, op)), 0);
    r->bytes = io_aligned_new(BLOCKS * BLOCK);
    pattern_fill(r->bytes, 0, BLOCKS * BLOCK);
    return io_file_is_direct(r->file) && aio_ready(shard_of(r->w.io));
}

static void rig_close(struct rig *r)
{
    file_close(&r->w, r->file);
    trial_close(&r->w);
    free(r->bytes);
}

static struct bytes block_of(const struct rig *r, uint32_t i)
{
    return (struct bytes){r->bytes + i * BLOCK, BLOCK};
}

TEST(io_epoll_aio, serves_what_lies_within_the_file_and_the_pool_what_lengthens_it)
{
    struct rig r;
    struct probe p = {.times = 0};

    if (rig_open(&r)) {
        struct bytes piece = block_of(&r, 7);
        START(&r.w, &p, io_write_durable(r.file, 0, &piece, 1, &p.op));
        CHECK_EQ(task_of(&p.op)->state, TASK_PARKED);
        CHECK_EQ(probe_wait(&p), BLOCK);
        START(&r.w, &p, io_read(r.file, 0, r.bytes, BLOCK, &p.op));
        CHECK_EQ(task_of(&p.op)->state, TASK_PARKED);
        CHECK_EQ(probe_wait(&p), BLOCK);
        CHECK(pattern_is(r.bytes, 7 * BLOCK, BLOCK));
        START(&r.w, &p, io_write(r.file, BLOCKS * BLOCK, &piece, 1, &p.op));
        CHECK_EQ(task_of(&p.op)->state, TASK_POOL);
        CHECK_EQ(probe_wait(&p), BLOCK);
        START(&r.w, &p, io_write(r.file, BLOCKS * BLOCK, &piece, 1, &p.op));
        CHECK_EQ(task_of(&p.op)->state, TASK_PARKED); /* now it is within */
        CHECK_EQ(probe_wait(&p), BLOCK);
        CHECK_EQ(RUN(&r.w, io_truncate(r.file, BLOCK, op)), 0);
        START(&r.w, &p, io_write(r.file, BLOCK, &piece, 1, &p.op));
        CHECK_EQ(task_of(&p.op)->state, TASK_POOL);
        CHECK_EQ(probe_wait(&p), BLOCK);
    }
    rig_close(&r);
}

extern uint32_t interrupt_durable_writes; /* interrupt.c */

static uint32_t durable_writes(void)
{
    return __atomic_load_n(&interrupt_durable_writes, __ATOMIC_RELAXED);
}

/* What the kernel is asked for, by either way: nothing else shows that a write is durable. */
TEST(io_epoll_aio, a_durable_write_is_one_for_the_kernel_too)
{
    struct iovec vector[IO_PIECES_MAX];
    struct probe p = {.times = 0};
    struct iocb block;
    struct rig r;
    bool has_aio = rig_open(&r);
    struct bytes piece = block_of(&r, 1);
    struct io_file *plain = file_new(&r.w, "plain");

    START(&r.w, &p, io_write_durable(r.file, 2 * BLOCK, &piece, 1, &p.op));
    if (has_aio) {
        file_to_aio(&p.op, &block, vector);
        CHECK_EQ(block.aio_lio_opcode, IOCB_CMD_PWRITEV);
        CHECK_EQ(block.aio_rw_flags, RWF_DSYNC);
        CHECK_EQ(block.aio_offset, 2 * BLOCK);
    }
    CHECK_EQ(probe_wait(&p), BLOCK);
    START(&r.w, &p, io_write(r.file, 2 * BLOCK, &piece, 1, &p.op));
    if (has_aio) {
        file_to_aio(&p.op, &block, vector);
        CHECK_EQ(block.aio_rw_flags, 0);
    }
    CHECK_EQ(probe_wait(&p), BLOCK);

    uint32_t before = durable_writes();
    file_write(&r.w, plain, 0, "abc", 3);
    CHECK_EQ(durable_writes(), before);
    CHECK_EQ(RUN(&r.w, io_write_durable(plain, 0, &piece, 1, op)), BLOCK);
    CHECK(durable_writes() > before);
    before = durable_writes();
    CHECK_EQ(RUN(&r.w, io_write_durable(r.file, BLOCKS * BLOCK, &piece, 1, op)), BLOCK);
    CHECK(durable_writes() > before); /* it lengthens the file */
    file_close(&r.w, plain);
    rig_close(&r);
}

TEST(io_epoll_aio, what_was_not_submitted_can_be_cancelled)
{
    struct rig r;
    struct probe p = {.times = 0}, other = {.times = 0};

    if (rig_open(&r)) {
        struct bytes piece = block_of(&r, 3);
        START(&r.w, &p, io_write_durable(r.file, 0, &piece, 1, &p.op));
        START(&r.w, &other, io_write_durable(r.file, BLOCK, &piece, 1, &other.op));
        probe_cancel(&p);
        CHECK_EQ(probe_wait(&p), -ECANCELED);
        CHECK_EQ(probe_wait(&other), BLOCK);
        CHECK_EQ(RUN(&r.w, io_read(r.file, 0, r.bytes, 2 * BLOCK, op)), 2 * BLOCK);
        CHECK_EQ(r.bytes[1], 0);
        CHECK(pattern_is(r.bytes + BLOCK, 3 * BLOCK, BLOCK));
    }
    rig_close(&r);
}

/* After io_epoll_free the memory is its owner's again: no read of the kernel's comes later. */
TEST(io_epoll_aio, nothing_is_in_flight_when_the_world_is_gone)
{
    enum { N = 64, BYTES = 256 * 1024 }; /* for a disk some ten milliseconds */
    static struct probe probes[N];
    struct rig r;
    uint8_t *into = io_aligned_new(N * BYTES);

    for (uint32_t turns = 0; turns < 3; turns++) {
        (void)rig_open(&r);
        memset(into, 0x55, N * BYTES);
        struct bytes whole = {into, N * BYTES};
        CHECK_EQ(RUN(&r.w, io_write(r.file, 0, &whole, 1, op)), N * BYTES);
        memset(into, 0, N * BYTES);
        for (uint32_t i = 0; i < N; i++) {
            probes[i] = (struct probe){.times = 0};
            START(&r.w, &probes[i],
                  io_read(r.file, i * BYTES, into + i * BYTES, BYTES, &probes[i].op));
        }
        for (uint32_t i = 0; i < turns; i++)
            world_turn(r.w.world);
        world_close(r.w.world);
        memset(into, 0xaa, N * BYTES);
        usleep(20000);
        for (uint32_t i = 0; i < N * BYTES; i += 512)
            CHECK(into[i] == 0xaa);
        free(r.bytes);
    }
    free(into);
}

/* The kernel writes up to the limit and says how much; the pool is told why there is no more. */
TEST(io_epoll_aio, the_pool_goes_on_with_what_is_left_over)
{
    struct rlimit before, low;
    struct rig r;

    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = (struct rlimit){.rlim_cur = 6 * BLOCK, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    bool has_aio = rig_open(&r);
    if (has_aio) {
        struct bytes pieces[] = {{r.bytes, 3 * BLOCK}, {r.bytes + 3 * BLOCK, 5 * BLOCK}};
        CHECK_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
        int64_t result = RUN(&r.w, io_write(r.file, 0, pieces, 2, op));
        CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
        CHECK_EQ(result, -EFBIG);
        CHECK_EQ(RUN(&r.w, io_read(r.file, 0, r.bytes, 8 * BLOCK, op)), 8 * BLOCK);
        CHECK(pattern_is(r.bytes, 0, 6 * BLOCK));
        CHECK_EQ(r.bytes[6 * BLOCK + 1], 0);
    }
    rig_close(&r);
    signal(SIGXFSZ, SIG_DFL);
}

/* ---- a kernel that does not ------------------------------------------------------------- */

/* From now on, and in what is executed, `call` says `error`. */
static bool forbid(uint32_t call, uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {(unsigned short)array_count(filter), filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Run the suite's tests of direct files again, under that rule. */
static void suite_without(uint32_t call, uint32_t error)
{
    enum { NO_SECCOMP = 77 };
    int status = -1;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL)
            _exit(126);
        if (!forbid(call, error))
            _exit(NO_SECCOMP);
        execl("/proc/self/exe", "unit_io_epoll", "io_direct*", (char *)NULL);
        _exit(127);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NO_SECCOMP);
}

TEST(io_epoll_aio, where_it_is_forbidden_the_pool_serves)
{
    suite_without(SYS_io_setup, EPERM);
}

TEST(io_epoll_aio, where_its_queues_are_full_the_pool_serves)
{
    suite_without(SYS_io_submit, EAGAIN);
}
