/* simulator/file.c - the calls on files and names: when they take effect, and how they fail. */
#include "simulator/internal.h"

#include <stdlib.h>

#define POISON 0xdb

/* How long each kind takes, and what it may do to the disk. */
static const struct timing {
    int64_t base_ns, spread_ns;
    bool changes; /* a crash point */
    bool early;   /* may take effect long before it completes */
} timings[SIM_LISTEN] = {
    [SIM_OPEN] = {10000, 150000, true, true},          [SIM_CLOSE] = {1000, 20000, false, false},
    [SIM_READ] = {4000, 150000, false, false},         [SIM_WRITE] = {8000, 200000, true, true},
    [SIM_WRITE_DURABLE] = {80000, 600000, true, true}, [SIM_SYNC] = {80000, 3000000, true, true},
    [SIM_TRUNCATE] = {10000, 150000, true, true},      [SIM_ALLOCATE] = {20000, 300000, true, true},
    [SIM_SIZE] = {1000, 20000, false, false},          [SIM_LOCK] = {1000, 20000, false, false},
    [SIM_RENAME] = {10000, 150000, true, true},        [SIM_REMOVE] = {10000, 300000, true, true},
    [SIM_MKDIR] = {10000, 150000, true, true},         [SIM_RMDIR] = {10000, 150000, true, true},
    [SIM_SYNC_DIR] = {80000, 3000000, true, true},     [SIM_CHMOD] = {10000, 50000, true, true},
    [SIM_LIST] = {20000, 300000, false, false},        [SIM_SPACE] = {5000, 50000, false, false},
};

static struct sim_node *node_of(const struct request *r)
{
    return r->event.shard->life->node;
}

/* ---- effects ----------------------------------------------------------------------------- */

static int64_t write_pieces(struct request *r, uint64_t limit)
{
    const struct bytes *pieces = r->pieces;
    uint64_t at = r->position;

    if ((r->file->flags & IO_WRITE) == 0)
        return -EBADF;
    for (uint32_t i = 0; i < r->count && limit > 0; i++) {
        uint32_t n = (uint64_t)pieces[i].n < limit ? (uint32_t)pieces[i].n : (uint32_t)limit;
        TRY(sim_file_write(r->file->inode, at, pieces[i].p, n));
        at += n;
        limit -= n;
    }
    r->file->inode->modified_ms = sim_node_wall_ms(node_of(r));
    return (int64_t)(at - r->position);
}

static int64_t effect_lock(struct request *r)
{
    struct inode *i = r->file->inode;

    if (i->lock_owner != NULL && i->lock_owner != r->file)
        return -EAGAIN;
    i->lock_owner = r->file;
    return 0;
}

static int64_t effect_list(struct request *r)
{
    struct inode *dir;

    TRY(disk_find(node_of(r)->disk, r->path, &dir));
    TRY(sim_dir_list(dir, &r->answer.entries));
    return r->answer.entries.count;
}

static bool sync_lies(struct request *r)
{
    struct sim_node *node = node_of(r);
    bool lies = sim_chance(node->sim, node->sim->options.lying_sync_ppm);

    node->counters.lying_syncs += lies;
    return lies;
}

static int64_t effect_sync(struct request *r)
{
    if (!sync_lies(r))
        sim_file_sync(r->file->inode, r->seal);
    return 0;
}

static int64_t effect_write_durable(struct request *r)
{
    int64_t n = write_pieces(r, UINT64_MAX);

    if (n > 0 && !sync_lies(r))
        sim_file_make_durable(r->file->inode, r->position, (uint64_t)n);
    return n;
}

static int64_t effect_sync_dir(struct request *r)
{
    struct inode *dir;

    TRY(disk_find(node_of(r)->disk, r->path, &dir));
    if (!dir->is_dir)
        return -ENOTDIR;
    if (!sync_lies(r))
        sim_dir_sync(dir, r->position);
    return 0;
}

static int64_t effect_chmod(struct request *r)
{
    struct inode *i;

    TRY(disk_find(node_of(r)->disk, r->path, &i));
    i->mode = r->flags;
    return 0;
}

static int64_t effect_space(struct request *r)
{
    struct disk *d = node_of(r)->disk;
    struct inode *i;
    uint64_t free_pages = d->pages_total > d->pages_used ? d->pages_total - d->pages_used : 0;

    TRY(disk_find(d, r->path, &i));
    r->answer.space = (struct io_space){free_pages * PAGE_BYTES, d->pages_total * PAGE_BYTES};
    return 0;
}

static int64_t effect_open(struct request *r)
{
    struct sim_node *node = node_of(r);
    bool changed = false;

    return disk_open(node->disk, r->path, r->flags, sim_node_wall_ms(node), &r->answer.inode,
                     &changed);
}

static int64_t effect_truncate(struct request *r)
{
    sim_file_truncate(r->file->inode, r->n);
    r->file->inode->modified_ms = sim_node_wall_ms(node_of(r));
    return 0;
}

static int64_t effect(struct request *r)
{
    struct disk *d = node_of(r)->disk;

    switch (r->kind) {
    case SIM_OPEN:
        return effect_open(r);
    case SIM_CLOSE:
        return 0;
    case SIM_READ:
        return sim_file_read(r->file->inode, r->position, r->into, (uint32_t)r->n);
    case SIM_WRITE:
        return write_pieces(r, UINT64_MAX);
    case SIM_WRITE_DURABLE:
        return effect_write_durable(r);
    case SIM_SYNC:
        return effect_sync(r);
    case SIM_TRUNCATE:
        return effect_truncate(r);
    case SIM_ALLOCATE:
        return sim_file_allocate(r->file->inode, r->position, r->n);
    case SIM_SIZE:
        return (int64_t)r->file->inode->size_bytes;
    case SIM_LOCK:
        return effect_lock(r);
    case SIM_RENAME:
        return disk_rename(d, r->path, r->path_to);
    case SIM_REMOVE:
        return disk_remove(d, r->path);
    case SIM_MKDIR:
        return disk_mkdir(d, r->path, sim_node_wall_ms(node_of(r)));
    case SIM_RMDIR:
        return disk_rmdir(d, r->path);
    case SIM_SYNC_DIR:
        return effect_sync_dir(r);
    case SIM_CHMOD:
        return effect_chmod(r);
    case SIM_LIST:
        return effect_list(r);
    case SIM_SPACE:
        return effect_space(r);
    default:
        UNREACHABLE("not a disk operation");
    }
}

/* ---- faults and crash points ------------------------------------------------------------- */

static bool is_write(const struct request *r)
{
    return r->kind == SIM_WRITE || r->kind == SIM_WRITE_DURABLE;
}

static uint64_t write_bytes(const struct request *r)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < r->count; i++)
        total += (uint64_t)((const struct bytes *)r->pieces)[i].n;
    return total;
}

/* Bytes of a write that did not come to its end: any beginning of it. */
static void write_part(struct request *r)
{
    (void)write_pieces(r, sim_below(node_of(r)->sim, write_bytes(r) + 1));
}

/* The effect of what the process ends in: a durable write has not completed, so that a power cut
 * may still tear it. */
static int64_t effect_at_end(struct request *r)
{
    return is_write(r) ? write_pieces(r, UINT64_MAX) : effect(r);
}

static int fault_error(struct request *r)
{
    switch (r->kind) {
    case SIM_OPEN:
        return sim_below(node_of(r)->sim, 2) == 0 ? -EMFILE : -EIO;
    case SIM_WRITE:
    case SIM_WRITE_DURABLE:
    case SIM_ALLOCATE:
    case SIM_MKDIR:
        return sim_below(node_of(r)->sim, 2) == 0 ? -ENOSPC : -EIO;
    default:
        return -EIO;
    }
}

/* It works on what lies in the directory that fails. */
static bool is_doomed(const struct sim_node *node, const struct request *r)
{
    const char *path = r->file != NULL ? r->file->path : r->path;
    size_t n = node->fail_in_dir == NULL ? 0 : strlen(node->fail_in_dir);

    if (n == 0 || r->kind == SIM_CLOSE || strncmp(path, node->fail_in_dir, n) != 0)
        return false;
    return path[n] == '/' || path[n] == '\0';
}

/* 0, or the error that this operation is to end with. */
static int fault_draw(struct request *r)
{
    struct sim_node *node = node_of(r);

    node->counters.calls++;
    if (node->fail_in > 0 && --node->fail_in == 0)
        return node->fail_error;
    if (is_doomed(node, r))
        return -EIO;
    if (sim_chance(node->sim, node->sim->options.fail_ppm[r->kind]))
        return fault_error(r);
    return 0;
}

static void fault_effect(struct request *r)
{
    if (is_write(r))
        write_part(r);
    if (r->kind == SIM_WRITE_DURABLE)
        sim_file_durable_failed(r->file->inode, r->position, write_bytes(r));
    if (r->kind == SIM_SYNC)
        sim_file_sync_failed(r->file->inode, r->seal);
}

static bool is_change(struct request *r)
{
    struct inode *i;

    if (r->kind != SIM_OPEN)
        return timings[r->kind].changes;
    if (disk_find(node_of(r)->disk, r->path, &i) < 0)
        return (r->flags & IO_CREATE) != 0;
    return (r->flags & IO_TRUNCATE) != 0 && i->size_bytes > 0;
}

/* Take effect now. The node may go down in it: then the request waits for its end anew. */
static void file_apply(struct request *r)
{
    struct sim_node *node = node_of(r);
    int error = fault_draw(r);

    if (error < 0) {
        node->counters.failed[r->kind]++;
        fault_effect(r);
        r->result = error;
        r->applied = true;
        return;
    }
    if (!is_change(r)) {
        r->result = effect(r);
        r->applied = true;
        return;
    }
    node->counters.changes++;
    if (node->crash_in == 0 || --node->crash_in > 0) {
        r->result = effect(r);
        r->applied = true;
        return;
    }
    r->applied = true; /* in the one or the other way */
    r->result = (node->crash_how & SIM_CRASH_AFTER) != 0 ? effect_at_end(r) : -ECANCELED;
    sim_node_crash(node, (node->crash_how & SIM_CRASH_POWER) != 0);
}

/* Its process ends while it is in flight: the kernel may have done it, or a part, or nothing. */
void sim_file_request_end(struct request *r)
{
    uint64_t chance = sim_below(node_of(r)->sim, 4);

    if (!r->applied && timings[r->kind].early && chance != 0) {
        if (chance == 1 && is_write(r))
            write_part(r);
        else if (chance >= 2)
            r->result = effect_at_end(r);
    } else if (!r->applied) {
        r->result = -ECANCELED;
    }
    if (r->kind == SIM_OPEN && r->result >= 0 && r->answer.inode != NULL)
        sim_inode_unref(r->answer.inode);
    r->answer.inode = NULL;
    r->applied = true;
}

/* ---- submission and completion ----------------------------------------------------------- */

static void file_run(struct sim *sim, struct event *e)
{
    struct request *r = container_of(e, struct request, event);
    struct life *life = r->event.shard->life;
    struct file *file = r->file;

    if (!r->applied && !r->aborted) {
        file_apply(r);
        if (event_is_set(&r->event))
            return; /* the node went down */
    }
    if (r->kind == SIM_OPEN && !r->aborted && r->result >= 0) {
        struct inode *inode = r->answer.inode;
        file = calloc(1, sizeof(*file));
        ASSERT(file != NULL);
        file->base.io = &r->event.shard->io;
        file->base.aligned = (r->flags & IO_DIRECT) != 0;
        file->base.direct = file->base.aligned && !sim->options.no_direct;
        file->inode = inode;
        file->path = str_dup(str_of(r->path));
        file->flags = r->flags;
        list_add_tail(&life->files, &file->in_life);
        r->answer.file = &file->base;
    }
    if (r->kind == SIM_CLOSE) {
        r->file = NULL;
        list_remove(&file->in_life);
        if (file->inode != NULL && file->inode->lock_owner == file)
            file->inode->lock_owner = NULL;
        sim_inode_unref(file->inode);
        free(file->path);
        free(file);
    }
    sim_request_done(r, r->result);
}

static struct request *disk_request(struct io *io, enum sim_kind kind, struct op *op)
{
    struct request *r = sim_request_new(io, kind, op);

    r->event.run = file_run;
    return r;
}

static struct request *file_request(struct io_file *f, enum sim_kind kind, struct op *op)
{
    struct file *file = (struct file *)f;
    struct request *r = disk_request(f->io, kind, op);

    ASSERT(!file->closing);
    r->file = file;
    file->in_flight++;
    return r;
}

/* All of the call is in `r`: off it goes. `bytes` are moved. */
static void submit(struct request *r, uint64_t bytes)
{
    struct sim_node *node = node_of(r);
    struct sim *sim = node->sim;
    const struct timing *t = &timings[r->kind];
    int64_t factor = sim->now_ns < node->slow_until_ns ? node->slow_factor : 1;

    if (r->event.shard->life->dead) {
        sim_request_end_life(r);
        return;
    }
    sim_event_at(sim, &r->event,
                 sim->now_ns +
                     factor * (sim_delay(sim, t->base_ns, t->spread_ns) + (int64_t)bytes));
    if (t->early && sim_below(sim, 4) == 0)
        file_apply(r);
}

void sim_life_close_files(struct life *life, bool forget)
{
    LIST_EACH (it, &life->files) {
        struct file *file = container_of(it, struct file, in_life);
        if (file->inode != NULL && file->inode->lock_owner == file)
            file->inode->lock_owner = NULL;
        sim_inode_unref(file->inode);
        file->inode = NULL;
        if (forget) {
            list_remove(&file->in_life);
            free(file->path);
            free(file);
        }
    }
}

/* ---- the calls --------------------------------------------------------------------------- */

void sim_io_open(struct io *io, const char *path, uint32_t flags, struct io_file **out,
                 struct op *op)
{
    struct request *r = disk_request(io, SIM_OPEN, op);

    sim_request_path(r, path, NULL);
    sim_request_out(r, out, sizeof(*out));
    r->flags = flags;
    submit(r, 0);
}

void sim_io_close(struct io_file *f, struct op *op)
{
    struct file *file = (struct file *)f;
    struct request *r;

    ASSERT(file->in_flight == 0); /* the contract of io_close */
    r = file_request(f, SIM_CLOSE, op);
    file->closing = true;
    submit(r, 0);
}

void sim_io_read(struct io_file *f, uint64_t position, void *into, uint32_t n, struct op *op)
{
    struct request *r = file_request(f, SIM_READ, op);

    memset(into, POISON, n < 64 ? n : 64);
    r->position = position;
    r->into = into;
    r->n = n;
    submit(r, n);
}

static void write_call(struct io_file *f, enum sim_kind kind, uint64_t position,
                       const struct bytes *pieces, uint32_t count, struct op *op)
{
    struct request *r = file_request(f, kind, op);
    uint64_t total = 0;

    for (uint32_t i = 0; i < count; i++)
        total += (uint64_t)pieces[i].n;
    r->position = position;
    r->pieces = pieces;
    r->count = count;
    submit(r, total);
}

void sim_io_write(struct io_file *f, uint64_t position, const struct bytes *pieces, uint32_t count,
                  struct op *op)
{
    write_call(f, SIM_WRITE, position, pieces, count, op);
}

void sim_io_write_durable(struct io_file *f, uint64_t position, const struct bytes *pieces,
                          uint32_t count, struct op *op)
{
    write_call(f, SIM_WRITE_DURABLE, position, pieces, count, op);
}

void sim_io_sync(struct io_file *f, struct op *op)
{
    struct request *r = file_request(f, SIM_SYNC, op);

    if (r->file->inode != NULL)
        r->seal = sim_file_seal(r->file->inode);
    submit(r, 0);
}

void sim_io_truncate(struct io_file *f, uint64_t size_bytes, struct op *op)
{
    struct request *r = file_request(f, SIM_TRUNCATE, op);

    r->n = size_bytes;
    submit(r, 0);
}

void sim_io_allocate(struct io_file *f, uint64_t position, uint64_t n, struct op *op)
{
    struct request *r = file_request(f, SIM_ALLOCATE, op);

    r->position = position;
    r->n = n;
    submit(r, 0);
}

void sim_io_size(struct io_file *f, struct op *op)
{
    submit(file_request(f, SIM_SIZE, op), 0);
}

void sim_io_lock(struct io_file *f, struct op *op)
{
    submit(file_request(f, SIM_LOCK, op), 0);
}

static void name_call(struct io *io, enum sim_kind kind, const char *path, struct op *op)
{
    struct request *r = disk_request(io, kind, op);

    sim_request_path(r, path, NULL);
    r->position = node_of(r)->disk->next_change;
    submit(r, 0);
}

void sim_io_rename(struct io *io, const char *from, const char *to, struct op *op)
{
    struct request *r = disk_request(io, SIM_RENAME, op);

    sim_request_path(r, from, to);
    submit(r, 0);
}

void sim_io_remove(struct io *io, const char *path, struct op *op)
{
    name_call(io, SIM_REMOVE, path, op);
}

void sim_io_mkdir(struct io *io, const char *path, struct op *op)
{
    name_call(io, SIM_MKDIR, path, op);
}

void sim_io_rmdir(struct io *io, const char *path, struct op *op)
{
    name_call(io, SIM_RMDIR, path, op);
}

void sim_io_sync_dir(struct io *io, const char *path, struct op *op)
{
    name_call(io, SIM_SYNC_DIR, path, op);
}

void sim_io_chmod(struct io *io, const char *path, uint32_t mode, struct op *op)
{
    struct request *r = disk_request(io, SIM_CHMOD, op);

    sim_request_path(r, path, NULL);
    r->flags = mode;
    submit(r, 0);
}

void sim_io_list(struct io *io, const char *path, struct io_entries *out, struct op *op)
{
    struct request *r = disk_request(io, SIM_LIST, op);

    sim_request_path(r, path, NULL);
    sim_request_out(r, out, sizeof(*out));
    submit(r, 0);
}

void sim_io_space(struct io *io, const char *path, struct io_space *out, struct op *op)
{
    struct request *r = disk_request(io, SIM_SPACE, op);

    sim_request_path(r, path, NULL);
    sim_request_out(r, out, sizeof(*out));
    submit(r, 0);
}
