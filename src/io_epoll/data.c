/* io_epoll/data.c - the bytes of files: copied by the shard where the page cache has them, by AIO
 * where the file is past it, else read and written by the pool. */
#include "io_epoll/inside.h"

#include <linux/aio_abi.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* A read from the page cache is a copy: up to this many bytes (some 25 us) the shard makes it
 * itself, which is cheaper than to wake a thread. */
#define READ_INLINE_BYTES_MAX (256 * 1024)

/* So is a write to a place that the file has already. */
#define WRITE_INLINE_BYTES_MAX (64 * 1024)

/* It may wait nevertheless: for memory, for the file system's own log, for too many dirty pages. When one took so
 * long, the pool makes them for a while: the shard stops once, not again and again. */
#define WRITE_SLOW_NS 5000000
#define WRITE_BY_POOL_NS 1000000000

/* Read on until all is there, the end (result set) or trouble (-errno); with RWF_NOWAIT the
 * trouble is -EAGAIN where the disk is needed. A direct read ends within a block only at the end of
 * the file, and may not go on there. */
static int read_on(struct task *t, int flags)
{
    struct epoll_file *file = t->object;

    while (t->total < t->n) {
        struct iovec rest = {(uint8_t *)t->memory + t->total, t->n - t->total};
        ssize_t n = preadv2(file->fd, &rest, 1, (off_t)(t->position + t->total), flags);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        t->total += (uint64_t)n;
        if (n == 0 || (file->base.direct && !io_is_aligned((uint64_t)n)))
            break;
    }
    t->result = (int64_t)t->total;
    return 0;
}

/* By AIO, save what io_submit would itself wait for: files in the page cache, and writes that
 * lengthen the file. */
static void disk_add(struct op *op, enum lane_kind lane, bool inside)
{
    struct shard *s = op->owner;
    struct task *t = task_of(op);
    struct epoll_file *file = t->object;

    if (!file->base.direct || !inside || !aio_ready(s)) {
        pool_add(op, lane);
        return;
    }
    t->lane = (uint8_t)lane;
    aio_add(op);
}

static void read_run(struct op *op)
{
    struct task *t = task_of(op);
    int error = read_on(t, 0);

    if (error < 0)
        t->result = error;
}

void epoll_read(struct io_file *base, uint64_t position, void *into, uint32_t n, struct op *op)
{
    struct epoll_file *file = file_of(base);
    struct task *t = file_op_begin(base, read_run, op);

    t->position = position;
    t->memory = into;
    t->n = n;
    if (file->base.direct) {
        disk_add(op, LANE_READ, true);
        return;
    }
    if (n <= READ_INLINE_BYTES_MAX && !file->cache_unknown) {
        int error = read_on(t, RWF_NOWAIT);
        if (error == -EOPNOTSUPP)
            file->cache_unknown = true;
        else if (error != -EAGAIN) {
            task_list(op, error < 0 ? error : t->result);
            return;
        }
    }
    pool_add(op, LANE_READ); /* goes on behind what the cache has given */
}

bool file_is_cached(struct epoll_file *file, uint64_t position, uint32_t n)
{
    uint64_t ends[2] = {position, position + n - 1};
    uint8_t byte;

    for (uint32_t i = 0; i < 2 && !file->cache_unknown; i++) {
        struct iovec one = {&byte, 1};
        if (preadv2(file->fd, &one, 1, (off_t)ends[i], RWF_NOWAIT) >= 0)
            continue; /* 0: the file ends before; no disk is needed to find that out */
        if (errno == EAGAIN)
            return false;
        file->cache_unknown = errno == EOPNOTSUPP;
    }
    return true;
}

/* The pieces that are not written yet, the first of them cut. Returns their count. */
static uint32_t write_rest(const struct task *t, struct iovec rest[IO_PIECES_MAX])
{
    const struct bytes *pieces = t->memory;
    uint32_t count = 0;
    uint32_t offset = t->offset;

    for (uint32_t i = t->index; i < t->n; i++) {
        if ((uint32_t)pieces[i].n > offset)
            rest[count++] = (struct iovec){(void *)(uintptr_t)(pieces[i].p + offset),
                                           (uint32_t)pieces[i].n - offset};
        offset = 0;
    }
    return count;
}

static void write_advance(struct task *t, size_t n)
{
    const struct bytes *pieces = t->memory;

    t->total += n;
    while (t->index < t->n && n >= (uint32_t)pieces[t->index].n - t->offset) {
        n -= (uint32_t)pieces[t->index].n - t->offset;
        t->index++;
        t->offset = 0;
    }
    t->offset += (uint32_t)n;
}

static void write_on(struct task *t, int flags)
{
    struct epoll_file *file = t->object;
    struct iovec rest[IO_PIECES_MAX];
    uint32_t count;

    while ((count = write_rest(t, rest)) > 0) {
        ssize_t n = pwritev2(file->fd, rest, (int)count, (off_t)(t->position + t->total), flags);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* 0 of some bytes: no file system may say so, but a loop must end */
            t->result = n < 0 ? -errno : -EIO;
            return;
        }
        write_advance(t, (size_t)n);
    }
    t->result = (int64_t)t->total;
}

static void write_run(struct op *op)
{
    write_on(task_of(op), 0);
}

static void write_durable_run(struct op *op)
{
    write_on(task_of(op), RWF_DSYNC);
}

/* Another handle may have cut the file meanwhile: then io_submit waits, and all is well but that. */
static bool ends_inside(struct epoll_file *file, uint64_t end)
{
    struct stat status;

    if (end > file->inside_bytes && fstat(file->fd, &status) == 0)
        file->inside_bytes = (uint64_t)status.st_size;
    return end <= file->inside_bytes;
}

/* Only where nothing else is under way on the file: a write waits for an allocation, and may for a sync. */
static bool is_brief(struct shard *s, struct epoll_file *file, uint64_t position, uint64_t end)
{
    return end - position <= WRITE_INLINE_BYTES_MAX && s->io.now_ns >= s->pool_writes_until_ns &&
           __atomic_load_n(&file->in_flight, __ATOMIC_RELAXED) == 1 && ends_inside(file, end);
}

static void write_now(struct shard *s, struct op *op)
{
    int64_t began_ns = clock_ns(), ended_ns;

    write_on(task_of(op), 0);
    ended_ns = clock_ns();
    if (ended_ns - began_ns >= WRITE_SLOW_NS)
        s->pool_writes_until_ns = ended_ns + WRITE_BY_POOL_NS;
    task_list(op, task_of(op)->result);
}

static void write_start(struct io_file *base, uint64_t position, const struct bytes *pieces,
                        uint32_t count, void (*run)(struct op *op), enum lane_kind lane,
                        struct op *op)
{
    struct task *t = file_op_begin(base, run, op);
    uint64_t end = position;

    for (uint32_t i = 0; i < count; i++)
        end += (uint64_t)pieces[i].n;
    t->position = position;
    t->memory = (void *)(uintptr_t)pieces;
    t->n = count;
    if (!base->direct && lane == LANE_FILE && is_brief(shard_of(base->io), file_of(base), position, end))
        write_now(shard_of(base->io), op);
    else
        disk_add(op, lane, base->direct && ends_inside(file_of(base), end));
}

void epoll_write(struct io_file *base, uint64_t position, const struct bytes *pieces,
                 uint32_t count, struct op *op)
{
    write_start(base, position, pieces, count, write_run, LANE_FILE, op);
}

/* In the lane of the syncs: it waits for the disk as they do. */
void epoll_write_durable(struct io_file *base, uint64_t position, const struct bytes *pieces,
                         uint32_t count, struct op *op)
{
    write_start(base, position, pieces, count, write_durable_run, LANE_SYNC, op);
}

/* ---- the same for the kernel ------------------------------------------------------------ */

void file_to_aio(struct op *op, struct iocb *out, struct iovec pieces[IO_PIECES_MAX])
{
    const struct task *t = task_of(op);
    const struct epoll_file *file = t->object;

    *out = (struct iocb){
        .aio_fildes = (uint32_t)file->fd,
        .aio_buf = (uintptr_t)pieces,
        .aio_offset = (int64_t)t->position,
        .aio_rw_flags = t->run == write_durable_run ? RWF_DSYNC : 0,
    };
    if (t->run == read_run) {
        out->aio_lio_opcode = IOCB_CMD_PREADV;
        out->aio_nbytes = 1;
        pieces[0] = (struct iovec){t->memory, t->n};
    } else {
        out->aio_lio_opcode = IOCB_CMD_PWRITEV;
        out->aio_nbytes = write_rest(t, pieces);
    }
}

bool file_from_aio(struct op *op, int64_t result)
{
    struct task *t = task_of(op);

    if (result < 0) {
        t->result = result;
        return true;
    }
    if (t->run != read_run) {
        write_advance(t, (size_t)result);
        t->result = (int64_t)t->total;
        return t->index == t->n;
    }
    t->total += (uint64_t)result;
    t->result = (int64_t)t->total;
    return t->total == t->n || result == 0 || !io_is_aligned((uint64_t)result);
}
