/* io_epoll/file.c - files as a whole: on the pool, save what the inode answers at once. */
#include "io_epoll/inside.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* ---- what concerns the whole file ------------------------------------------------------ */

static void file_op_finish(struct op *op)
{
    file_hold(task_of(op)->object, -1);
}

struct task *file_op_begin(struct io_file *base, void (*run)(struct op *op), struct op *op)
{
    struct epoll_file *file = file_of(base);
    struct task *t = task_begin(shard_of(base->io), op);

    file_hold(file, 1);
    t->run = run;
    t->finish = file_op_finish;
    t->object = file;
    return t;
}

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
    file_of(base)->inside_bytes = 0;
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
