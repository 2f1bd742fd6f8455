/* io_epoll/file.c - files: on the pool, save what the page cache or the inode answers at once. */
#include "io_epoll/inside.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* A read from the page cache is a copy: up to this many bytes (some 25 us) the shard makes it
 * itself, which is cheaper than to wake a thread. */
#define READ_INLINE_BYTES_MAX (256 * 1024)

static struct epoll_file *file_of(struct io_file *file)
{
    return container_of(file, struct epoll_file, base);
}

static void file_abandon(struct handle *h)
{
    struct epoll_file *file = container_of(h, struct epoll_file, handle);

    handle_remove(h);
    if (file->fd >= 0)
        close(file->fd);
    free(file);
}

/* ---- open and close -------------------------------------------------------------------- */

struct opening {
    struct epoll_file *file;
    char path[]; /* with a terminator */
};

static int open_flags(uint32_t flags)
{
    int result = O_CLOEXEC | O_NOCTTY;

    result |= flags & IO_WRITE ? O_RDWR : O_RDONLY;
    if (flags & IO_CREATE)
        result |= O_CREAT;
    if (flags & IO_EXCLUSIVE)
        result |= O_EXCL;
    if (flags & IO_TRUNCATE)
        result |= O_TRUNC;
    return result;
}

/* Is I6 enough for direct access to the file? A kernel before 6.1 does not tell: then it is. */
static bool alignment_is_enough(int fd)
{
    struct statx s;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &s) < 0 || !(s.stx_mask & STATX_DIOALIGN))
        return true;
    return s.stx_dio_offset_align != 0 && s.stx_dio_offset_align <= IO_ALIGN_BYTES &&
           s.stx_dio_mem_align <= IO_ALIGN_BYTES;
}

/* After the open, because one with O_DIRECT that is refused may have made the file already. */
static bool file_go_direct(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && alignment_is_enough(fd) && fcntl(fd, F_SETFL, flags | O_DIRECT) == 0;
}

static void open_run(struct op *op)
{
    struct task *t = task_of(op);
    struct opening *opening = t->object;
    mode_t mode = t->n & IO_PRIVATE ? 0600 : 0644;
    int fd;

    do {
        fd = open(opening->path, open_flags(t->n), mode);
    } while (fd < 0 && errno == EINTR);
    opening->file->fd = fd;
    t->result = fd < 0 ? -errno : 0;
    if (fd >= 0 && opening->file->base.aligned)
        opening->file->base.direct = file_go_direct(fd);
}

static void open_finish(struct op *op)
{
    struct task *t = task_of(op);
    struct opening *opening = t->object;
    struct io_file **out = t->memory;

    if (t->result == 0)
        *out = &opening->file->base;
    else
        file_abandon(&opening->file->handle);
    free(opening);
}

void epoll_open(struct io *io, const char *path, uint32_t flags, struct io_file **out,
                struct op *op)
{
    struct shard *s = shard_of(io);
    struct task *t = task_begin(s, op);
    size_t path_bytes = strlen(path) + 1;
    struct opening *opening = malloc(sizeof(*opening) + path_bytes);
    struct epoll_file *file = calloc(1, sizeof(*file));

    if (opening == NULL || file == NULL) {
        free(opening);
        free(file);
        task_list(op, -ENOMEM);
        return;
    }
    file->base.io = io;
    file->base.aligned = (flags & IO_DIRECT) != 0;
    file->fd = -1;
    handle_add(s, &file->handle, file_abandon);
    opening->file = file;
    memcpy(opening->path, path, path_bytes);

    t->run = open_run;
    t->finish = open_finish;
    t->object = opening;
    t->memory = out;
    t->n = flags;
    pool_add(op, LANE_FILE);
}

static void close_run(struct op *op)
{
    struct task *t = task_of(op);
    struct epoll_file *file = t->object;

    /* Linux has given the descriptor back whatever close says; EINTR is no trouble. */
    int failed = close(file->fd) < 0 && errno != EINTR ? -errno : 0;
    file->fd = -1;
    t->result = failed;
}

static void close_finish(struct op *op)
{
    struct epoll_file *file = task_of(op)->object;

    file_abandon(&file->handle); /* closes here what was cancelled before it ran */
}

void epoll_close(struct io_file *base, struct op *op)
{
    struct epoll_file *file = file_of(base);
    struct task *t = task_begin(shard_of(base->io), op);

    ASSERT(__atomic_load_n(&file->in_flight, __ATOMIC_ACQUIRE) == 0);
    t->run = close_run;
    t->finish = close_finish;
    t->object = file;
    pool_add(op, LANE_FILE);
}

/* ---- reading and writing --------------------------------------------------------------- */

static void file_op_finish(struct op *op)
{
    file_hold(task_of(op)->object, -1);
}

static struct task *file_op_begin(struct io_file *base, void (*run)(struct op *op), struct op *op)
{
    struct epoll_file *file = file_of(base);
    struct task *t = task_begin(shard_of(base->io), op);

    file_hold(file, 1);
    t->run = run;
    t->finish = file_op_finish;
    t->object = file;
    return t;
}

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
    if (n <= READ_INLINE_BYTES_MAX && !file->base.direct && !file->cache_unknown) {
        int error = read_on(t, RWF_NOWAIT);
        if (error == -EOPNOTSUPP)
            file->cache_unknown = true;
        else if (error != -EAGAIN) {
            task_list(op, error < 0 ? error : t->result);
            return;
        }
    }
    pool_add(op, LANE_FILE); /* goes on behind what the cache has given */
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

static struct task *write_begin(struct io_file *base, uint64_t position, const struct bytes *pieces,
                                uint32_t count, void (*run)(struct op *op), struct op *op)
{
    struct task *t = file_op_begin(base, run, op);

    t->position = position;
    t->memory = (void *)(uintptr_t)pieces;
    t->n = count;
    return t;
}

void epoll_write(struct io_file *base, uint64_t position, const struct bytes *pieces,
                 uint32_t count, struct op *op)
{
    write_begin(base, position, pieces, count, write_run, op);
    pool_add(op, LANE_FILE);
}

/* In the lane of the syncs: it waits for the disk as they do. */
void epoll_write_durable(struct io_file *base, uint64_t position, const struct bytes *pieces,
                         uint32_t count, struct op *op)
{
    write_begin(base, position, pieces, count, write_durable_run, op);
    pool_add(op, LANE_SYNC);
}

/* ---- what concerns the whole file ------------------------------------------------------ */

/* Not again after EINTR: a sync that failed has perhaps dropped what it should have written. */
static void sync_run(struct op *op)
{
    struct task *t = task_of(op);
    struct epoll_file *file = t->object;

    t->result = fdatasync(file->fd) < 0 ? -errno : 0;
}

void epoll_sync(struct io_file *base, struct op *op)
{
    file_op_begin(base, sync_run, op);
    pool_add(op, LANE_SYNC);
}

static void truncate_run(struct op *op)
{
    struct task *t = task_of(op);
    struct epoll_file *file = t->object;
    int failed;

    do {
        failed = ftruncate(file->fd, (off_t)t->position) < 0 ? -errno : 0;
    } while (failed == -EINTR);
    t->result = failed;
}

void epoll_truncate(struct io_file *base, uint64_t size_bytes, struct op *op)
{
    file_op_begin(base, truncate_run, op)->position = size_bytes;
    pool_add(op, LANE_FILE);
}

/* posix_fallocate, because it also works where the file system knows no fallocate. */
static void allocate_run(struct op *op)
{
    struct task *t = task_of(op);
    struct epoll_file *file = t->object;
    int error;

    do {
        error = posix_fallocate(file->fd, (off_t)t->position, (off_t)t->total);
    } while (error == EINTR);
    t->result = -error;
}

void epoll_allocate(struct io_file *base, uint64_t position, uint64_t n, struct op *op)
{
    struct task *t = file_op_begin(base, allocate_run, op);

    t->position = position;
    t->total = n;
    pool_add(op, LANE_FILE);
}

/* The inode of an open file is in memory. */
void epoll_size(struct io_file *base, struct op *op)
{
    struct stat status;

    file_op_begin(base, NULL, op);
    task_list(op, fstat(file_of(base)->fd, &status) < 0 ? -errno : status.st_size);
}

static void lock_run(struct op *op)
{
    struct task *t = task_of(op);
    struct epoll_file *file = t->object;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int failed;

    do {
        failed = fcntl(file->fd, F_OFD_SETLK, &whole) < 0 ? -errno : 0;
    } while (failed == -EINTR);
    t->result = failed == -EACCES ? -EAGAIN : failed;
}

void epoll_lock(struct io_file *base, struct op *op)
{
    file_op_begin(base, lock_run, op);
    pool_add(op, LANE_FILE);
}
