/* Snapshot files: their names, how one comes into place, and when old ones go. */
#include "quorum/internal.h"

#include <stdio.h>
#include <stdlib.h>

void metadata_snapshot_name(struct raft_snapshot_id id, char out[64])
{
    snprintf(out, 64, "%020" PRId64 "-%010" PRId32 SNAPSHOT_SUFFIX, id.end_offset, id.epoch);
}

bool metadata_snapshot_name_parse(struct str name, struct raft_snapshot_id *out)
{
    int64_t offset, epoch;

    if (name.n != 20 + 1 + 10 + (int32_t)sizeof(SNAPSHOT_SUFFIX) - 1 || name.p[20] != '-')
        return false;
    if (!str_ends(name, STR(SNAPSHOT_SUFFIX)))
        return false;
    if (str_to_i64((struct str){name.p, 20}, 0, INT64_MAX, &offset) < 0)
        return false;
    if (str_to_i64((struct str){name.p + 21, 10}, 0, INT32_MAX, &epoch) < 0)
        return false;
    *out = (struct raft_snapshot_id){.end_offset = offset, .epoch = (int32_t)epoch};
    return true;
}

static int compare_files(const void *a, const void *b)
{
    const struct snapshot_file *x = a, *y = b;

    if (x->id.end_offset != y->id.end_offset)
        return x->id.end_offset < y->id.end_offset ? -1 : 1;
    return (x->id.epoch > y->id.epoch) - (x->id.epoch < y->id.epoch);
}

void metadata_snapshot_files_of(const struct io_entries *entries, struct snapshot_files *out)
{
    out->files = calloc((size_t)entries->count + 1, sizeof(*out->files));
    ASSERT(out->files != NULL);
    out->count = 0;
    for (uint32_t i = 0; i < entries->count; i++) {
        const struct io_entry *e = &entries->entries[i];
        struct snapshot_file *file = &out->files[out->count];
        if (e->is_dir || !metadata_snapshot_name_parse(str_of(e->name), &file->id))
            continue;
        file->size_bytes = e->size_bytes;
        file->modified_ms = e->modified_ms;
        out->count++;
    }
    qsort(out->files, out->count, sizeof(*out->files), compare_files);
}

void metadata_snapshot_files_add(struct snapshot_files *files, struct snapshot_file file)
{
    files->files = realloc(files->files, ((size_t)files->count + 1) * sizeof(*files->files));
    ASSERT(files->files != NULL);
    files->files[files->count++] = file;
}

const struct snapshot_file *metadata_snapshot_find(const struct snapshot_files *files, struct raft_snapshot_id id)
{
    for (uint32_t i = 0; i < files->count; i++) {
        const struct snapshot_file *file = &files->files[i];
        if (file->id.end_offset == id.end_offset && file->id.epoch == id.epoch)
            return file;
    }
    return NULL;
}

void metadata_snapshot_files_remove_first(struct snapshot_files *files)
{
    ASSERT(files->count > 0);
    files->count--;
    memmove(files->files, files->files + 1, files->count * sizeof(*files->files));
}

/* ---- put --------------------------------------------------------------------------------- */

static void put_run(struct flow *f)
{
    struct snapshot_put *p = container_of(f, struct snapshot_put, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "create",
             io_open(p->io, p->part, IO_WRITE | IO_CREATE | IO_TRUNCATE, &p->file, &f->op));
    FLOW_TRY(f, "write", io_write(p->file, 0, &p->content, 1, &f->op));
    FLOW_TRY(f, "sync", io_sync(p->file, &f->op));
    FLOW_TRY(f, "close", (io_close(p->file, &f->op), p->file = NULL));
    FLOW_TRY(f, "make read-only", io_chmod(p->io, p->part, 0400, &f->op));
    FLOW_TRY(f, "rename", io_rename(p->io, p->part, p->path, &f->op));
    FLOW_TRY(f, "sync directory", io_sync_dir(p->io, p->dir, &f->op));
    flow_done(f, 0);
    return;
failed: /* the part stays: the next start removes it */
    p->result = f->result;
    if (p->file != NULL)
        FLOW_WAIT(f, "close", (io_close(p->file, &f->op), p->file = NULL));
    FLOW_END(f);
    flow_done(f, p->result);
}

void metadata_snapshot_put(struct snapshot_put *p, struct io *io, const char *dir, const char *name,
                           struct bytes content, struct op *op)
{
    *p = (struct snapshot_put){.io = io, .dir = dir, .content = content};
    snprintf(p->path, sizeof(p->path), "%s/%s", dir, name);
    /* NAME-<random>.checkpoint.part, as Kafka has it: whoever finds it may remove it. */
    snprintf(p->part, sizeof(p->part), "%s/%.*s-%" PRIu64 SNAPSHOT_SUFFIX ".part", dir,
             (int)(strlen(name) - strlen(SNAPSHOT_SUFFIX)), name, prng_u64(io_prng(io)));
    flow_start(&p->flow, put_run, op);
}

/* ---- a new snapshot ---------------------------------------------------------------------- */

struct snapshot_write {
    struct quorum *q;
    struct raft_snapshot_id id;
    struct text content;
    struct snapshot_put put;
    struct flow flow;
    struct op done;
    struct op *parent;
    char path[4096];
};

/* Whether the oldest snapshot, and the log below the next one, may go: by size or by age. Two must
 * be there, so that the newest always stays. Rule: as Kafka's metadata.max.retention.* */
static bool oldest_may_go(const struct quorum *q)
{
    uint64_t total_bytes = log_size_bytes(q->log);

    if (q->snapshots.count < 2)
        return false;
    if (q->snapshots.files[1].id.end_offset > log_stable(q->log))
        return false; /* a follower's log may be behind what is committed: with the next snapshot */
    for (uint32_t i = 0; i < q->snapshots.count; i++)
        total_bytes += q->snapshots.files[i].size_bytes;
    if (q->retention_bytes >= 0 && total_bytes > (uint64_t)q->retention_bytes)
        return true;
    int64_t age_ms = io_wall_ms(q->io) - q->snapshots.files[0].modified_ms;
    return q->retention_ms >= 0 && age_ms > q->retention_ms;
}

static void snapshot_write_run(struct flow *f)
{
    struct snapshot_write *w = container_of(f, struct snapshot_write, flow);
    struct quorum *q = w->q;
    char name[64];

    FLOW_BEGIN(f);
    metadata_snapshot_name(w->id, name);
    FLOW_TRY(f, "write a snapshot",
             metadata_snapshot_put(&w->put, q->io, q->path, name,
                                   bytes_of_str(text_str(&w->content)), &f->op));
    metadata_snapshot_files_add(&q->snapshots, (struct snapshot_file){.id = w->id,
                                                                      .size_bytes = w->content.n,
                                                                      .modified_ms = io_wall_ms(q->io)});
    say(q->telemetry, LOG_INFO, "quorum", "wrote snapshot %s, %zu bytes", w->put.path,
        w->content.n);
    while (oldest_may_go(q)) {
        /* Q3: first the log begins at the next snapshot, then the one before it may go. */
        FLOW_TRY(f, "raise the log's start",
                 log_raise_start(q->log, q->snapshots.files[1].id.end_offset, &f->op));
        metadata_snapshot_name(q->snapshots.files[0].id, name);
        snprintf(w->path, sizeof(w->path), "%s/%s", q->path, name);
        FLOW_TRY(f, "remove a snapshot", io_remove(q->io, w->path, &f->op));
        metadata_snapshot_files_remove_first(&q->snapshots);
    }
    FLOW_TRY(f, "sync the directory", io_sync_dir(q->io, q->path, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    quorum_fail(q, (int)f->result, f->step);
    flow_done(f, f->result);
}

static void snapshot_write_done(struct op *op, int64_t result)
{
    struct snapshot_write *w = container_of(op, struct snapshot_write, done);
    struct quorum *q = w->q;
    struct op *parent = w->parent;

    q->writing = NULL;
    text_deinit(&w->content);
    free(w);
    parent->done(parent, result);
    gate_leave(&q->gate);
}

/* 0 when a snapshot may be written at `id`. */
static int check_id(const struct quorum *q, struct raft_snapshot_id id)
{
    if (q->writing != NULL || q->fetching != NULL || q->cutting)
        return -EBUSY;
    if (q->snapshots.count > 0 &&
        q->snapshots.files[q->snapshots.count - 1].id.end_offset >= id.end_offset)
        return -EEXIST;
    if (id.end_offset > q->delivered || id.end_offset <= log_start(q->log))
        return -EINVAL;
    if (log_epoch_at(q->log, id.end_offset - 1) != id.epoch)
        return -EINVAL;
    return 0;
}

void quorum_snapshot(struct quorum *q, struct raft_snapshot_id id, int64_t last_timestamp_ms,
                     const struct bytes *framed, uint32_t count, struct op *op)
{
    int error = check_id(q, id);
    struct text content = {0};

    if (error == 0)
        error = metadata_snapshot_build(id, &q->voters, last_timestamp_ms, io_wall_ms(q->io),
                                        framed, count, &content);
    if (error == 0 && content.n > SNAPSHOT_BYTES_MAX)
        error = ERR_LIMIT;
    if (error == 0 && (q->failed || !gate_enter(&q->gate)))
        error = ERR_CLOSED;
    if (error < 0) {
        text_deinit(&content);
        io_complete(q->io, op, error);
        return;
    }
    struct snapshot_write *w = calloc(1, sizeof(*w));
    ASSERT(w != NULL);
    w->q = q;
    w->id = id;
    w->content = content;
    w->parent = op;
    op_init(&w->done, snapshot_write_done);
    q->writing = w;
    q->bytes_since_snapshot = 0;
    q->snapshot_taken_ns = io_now_ns(q->io);
    flow_start(&w->flow, snapshot_write_run, &w->done);
}

/* Only when there is something new: an idle cluster writes no snapshots. */
bool quorum_snapshot_due(const struct quorum *q)
{
    if (q->failed || q->writing != NULL || q->bytes_since_snapshot == 0)
        return false;
    if (q->bytes_since_snapshot >= (uint64_t)q->snapshot_bytes)
        return true;
    int64_t age_ms = (io_now_ns(q->io) - q->snapshot_taken_ns) / 1000000;
    return q->snapshot_interval_ms > 0 && age_ms >= q->snapshot_interval_ms;
}
