/* io_epoll/name.c - what concerns names in directories: always on the pool. */
#include "io_epoll/inside.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void name_finish(struct op *op)
{
    free(task_of(op)->object);
}

/* An operation on a copy of `path` and, where it has two, of `to` behind it. */
static void name_op(struct io *io, const char *path, const char *to, void *out, uint32_t n,
                    enum lane_kind lane, void (*run)(struct op *op), struct op *op)
{
    struct task *t = task_begin(shard_of(io), op);
    size_t path_bytes = strlen(path) + 1;
    size_t to_bytes = to == NULL ? 0 : strlen(to) + 1;
    char *copy = malloc(path_bytes + to_bytes);

    if (copy == NULL) {
        task_list(op, -ENOMEM);
        return;
    }
    memcpy(copy, path, path_bytes);
    if (to != NULL)
        memcpy(copy + path_bytes, to, to_bytes);
    t->run = run;
    t->finish = name_finish;
    t->object = copy;
    t->memory = out;
    t->n = n;
    pool_add(op, lane);
}

static void rename_run(struct op *op)
{
    struct task *t = task_of(op);
    const char *from = t->object;

    t->result = rename(from, from + strlen(from) + 1) < 0 ? -errno : 0;
}

void epoll_rename(struct io *io, const char *from, const char *to, struct op *op)
{
    name_op(io, from, to, NULL, 0, LANE_FILE, rename_run, op);
}

static void remove_run(struct op *op)
{
    struct task *t = task_of(op);

    t->result = unlink(t->object) < 0 ? -errno : 0;
}

void epoll_remove(struct io *io, const char *path, struct op *op)
{
    name_op(io, path, NULL, NULL, 0, LANE_REMOVE, remove_run, op);
}

static void mkdir_run(struct op *op)
{
    struct task *t = task_of(op);

    t->result = mkdir(t->object, 0755) < 0 ? -errno : 0;
}

void epoll_mkdir(struct io *io, const char *path, struct op *op)
{
    name_op(io, path, NULL, NULL, 0, LANE_FILE, mkdir_run, op);
}

static void rmdir_run(struct op *op)
{
    struct task *t = task_of(op);

    t->result = rmdir(t->object) < 0 ? -errno : 0;
}

void epoll_rmdir(struct io *io, const char *path, struct op *op)
{
    name_op(io, path, NULL, NULL, 0, LANE_FILE, rmdir_run, op);
}

static void sync_dir_run(struct op *op)
{
    struct task *t = task_of(op);
    int fd = open(t->object, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        t->result = -errno;
        return;
    }
    t->result = fsync(fd) < 0 ? -errno : 0;
    close(fd);
}

void epoll_sync_dir(struct io *io, const char *path, struct op *op)
{
    name_op(io, path, NULL, NULL, 0, LANE_SYNC, sync_dir_run, op);
}

static void chmod_run(struct op *op)
{
    struct task *t = task_of(op);

    t->result = chmod(t->object, (mode_t)t->n) < 0 ? -errno : 0;
}

void epoll_chmod(struct io *io, const char *path, uint32_t mode, struct op *op)
{
    name_op(io, path, NULL, NULL, mode, LANE_FILE, chmod_run, op);
}

/* ---- a whole directory ----------------------------------------------------------------- */

struct listing {
    struct io_entries list;
    uint32_t capacity;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct io_entry *)a)->name, ((const struct io_entry *)b)->name);
}

static int entry_add(struct listing *listing, const char *name, const struct stat *status)
{
    if (listing->list.count == listing->capacity) {
        uint32_t capacity = listing->capacity == 0 ? 16 : listing->capacity * 2;
        struct io_entry *more =
            realloc(listing->list.entries, capacity * sizeof(*listing->list.entries));
        if (more == NULL)
            return -ENOMEM;
        listing->list.entries = more;
        listing->capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;

    bool is_dir = S_ISDIR(status->st_mode);
    listing->list.entries[listing->list.count++] = (struct io_entry){
        .name = copy,
        .size_bytes = is_dir ? 0 : (uint64_t)status->st_size,
        .modified_ms = status->st_mtim.tv_sec * (int64_t)1000 + status->st_mtim.tv_nsec / 1000000,
        .is_dir = is_dir,
    };
    return 0;
}

/* What a link points at is what counts; one that points nowhere is listed as itself. */
static int entry_stat(int dir_fd, const char *name, struct stat *out)
{
    if (fstatat(dir_fd, name, out, 0) == 0)
        return 0;
    if (errno == ENOENT && fstatat(dir_fd, name, out, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return -errno;
}

static int list_all(DIR *dir, struct listing *listing)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL)
            return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;

        struct stat status;
        int error = entry_stat(dirfd(dir), entry->d_name, &status);
        if (error == -ENOENT)
            continue; /* removed between the two looks */
        TRY(error);
        TRY(entry_add(listing, entry->d_name, &status));
    }
}

static void list_run(struct op *op)
{
    struct task *t = task_of(op);
    struct io_entries *out = t->memory;
    struct listing listing = {0};
    DIR *dir = opendir(t->object);

    if (dir == NULL) {
        t->result = -errno;
        return;
    }
    int error = list_all(dir, &listing);
    closedir(dir);
    if (error < 0) {
        io_entries_free(&listing.list);
        t->result = error;
        return;
    }
    if (listing.list.count > 1)
        qsort(listing.list.entries, listing.list.count, sizeof(*listing.list.entries),
              compare_names);
    /* Nobody looks at `out` before the completion. */
    *out = listing.list;
    t->result = listing.list.count;
}

void epoll_list(struct io *io, const char *path, struct io_entries *out, struct op *op)
{
    name_op(io, path, NULL, out, 0, LANE_FILE, list_run, op);
}

static void space_run(struct op *op)
{
    struct task *t = task_of(op);
    struct io_space *out = t->memory;
    struct statvfs status;

    if (statvfs(t->object, &status) < 0) {
        t->result = -errno;
        return;
    }
    /* What a process without privileges may still take: Java's getUsableSpace. */
    *out = (struct io_space){.free_bytes = (uint64_t)status.f_bavail * status.f_frsize,
                             .total_bytes = (uint64_t)status.f_blocks * status.f_frsize};
    t->result = 0;
}

void epoll_space(struct io *io, const char *path, struct io_space *out, struct op *op)
{
    name_op(io, path, NULL, out, 0, LANE_FILE, space_run, op);
}
