/* Deletion: what is no longer wanted is renamed at once and removed after file.delete.delay.ms, as
 * a JVM broker would do it; what is not removed when the process ends is removed at the next start.
 */
#include "log/delete.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- a directory with its files ------------------------------------------------------------ */

struct dir_removal {
    struct flow flow;
    struct io *io;
    struct io_entries entries;
    uint32_t i;
    char *dir;
    char path[LOG_PATH_BYTES];
};

static void dir_removal_end(struct dir_removal *r, int64_t result)
{
    io_entries_free(&r->entries);
    free(r->dir);
    flow_done(&r->flow, result);
    free(r);
}

static void dir_removal_run(struct flow *f)
{
    struct dir_removal *r = container_of(f, struct dir_removal, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "list", io_list(r->io, r->dir, &r->entries, &f->op));
    for (r->i = 0; r->i < r->entries.count; r->i++) {
        if (snprintf(r->path, sizeof(r->path), "%s/%s", r->dir, r->entries.entries[r->i].name) >=
            (int)sizeof(r->path))
            continue; /* then rmdir says that it is not empty */
        FLOW_TRY(f, "remove", io_remove(r->io, r->path, &f->op));
    }
    FLOW_TRY(f, "rmdir", io_rmdir(r->io, r->dir, &f->op));
    FLOW_END(f);
    dir_removal_end(r, 0);
    return;
failed:
    dir_removal_end(r, f->result);
}

void dir_remove(struct io *io, const char *dir, struct op *op)
{
    struct dir_removal *r = calloc(1, sizeof(*r));

    ASSERT(r != NULL);
    r->io = io;
    r->dir = str_dup(str_of(dir));
    flow_start(&r->flow, dir_removal_run, op);
}

/* ---- later --------------------------------------------------------------------------------- */

struct deletion {
    struct list node; /* in log_memory.deletions while it waits */
    struct io_timer timer;
    struct flow flow;
    struct io *io;
    struct text names; /* paths, each with its end */
    size_t at;
    char *dir;
};

static void deletion_free(struct deletion *d)
{
    text_deinit(&d->names);
    free(d->dir);
    free(d);
}

/* A file that is not there any more is no trouble; any other trouble is left to the next start. */
static void deletion_run(struct flow *f)
{
    struct deletion *d = container_of(f, struct deletion, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(d->io, &f->op));
    for (d->at = 0; d->at < d->names.n; d->at += strlen(d->names.p + d->at) + 1)
        FLOW_WAIT(f, "remove", io_remove(d->io, d->names.p + d->at, &f->op));
    if (d->dir != NULL)
        FLOW_WAIT(f, "remove the directory", dir_remove(d->io, d->dir, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    deletion_free(d);
}

static void deletion_fire(struct io_timer *t)
{
    struct deletion *d = container_of(t, struct deletion, timer);

    list_remove(&d->node);
    flow_start(&d->flow, deletion_run, NULL);
}

static struct deletion *deletion_new(struct log *log)
{
    struct deletion *d = calloc(1, sizeof(*d));

    ASSERT(d != NULL);
    d->io = log->io;
    list_add_tail(&log->memory->deletions, &d->node);
    io_timer_set(log->io, &d->timer,
                 io_now_ns(log->io) + log->settings.file_delete_delay_ms * 1000000, deletion_fire);
    return d;
}

void delete_files_later(struct log *log, const struct text *paths)
{
    struct deletion *d;

    if (paths->n == 0)
        return;
    d = deletion_new(log);
    text_add(&d->names, paths->p, paths->n);
}

void delete_dir_later(struct log *log, const char *dir)
{
    deletion_new(log)->dir = str_dup(str_of(dir));
}

void log_memory_deinit(struct log_memory *m)
{
    if (m->deletions.next == NULL) /* no log was ever opened */
        return;
    tail_spare_free(m);
    while (!list_empty(&m->deletions)) {
        struct deletion *d = container_of(list_take_head(&m->deletions), struct deletion, node);
        io_timer_clear(&d->timer);
        deletion_free(d);
    }
}

/* ---- a log --------------------------------------------------------------------------------- */

#define NAME_BYTES_MAX 255

struct deleting {
    struct job job;
    uint32_t i;
    char path[LOG_PATH_BYTES];
};

/* TOPIC-PARTITION.<32 hex>-delete; the topic is cut so that a name stays short enough. */
static void deleted_name(struct deleting *d)
{
    const struct log *log = d->job.log;
    char hex[33], ending[64];
    int n;

    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned)prng_below(io_prng(log->io), 256));
    n = snprintf(ending, sizeof(ending), "-%d.%s-delete", log->partition, hex);
    snprintf(d->path, sizeof(d->path), "%s/%.*s%s", log->dir->path, NAME_BYTES_MAX - n, log->topic,
             ending);
}

static void readers_left(struct gate *g)
{
    struct log *log = container_of(g, struct log, gate);

    io_complete(log->io, &log->job->flow.op, 0);
}

/* What they wait for may need batches in files that are not drained any more. */
static void end_waits(struct log *log)
{
    ops_complete_all(log->io, &log->epoch_waiters, ERR_CLOSED);
    ops_complete_all(log->io, &log->flush_waiters, ERR_CLOSED);
    ops_complete_all(log->io, &log->start_waiters, ERR_CLOSED);
}

static void delete_run(struct flow *f)
{
    struct deleting *d = container_of(f, struct deleting, job.flow);
    struct log *log = d->job.log;

    FLOW_BEGIN(f);
    end_waits(log);
    FLOW_WAIT(f, "wait for readers", gate_close(&log->gate, readers_left));
    if (log_is_failed(log)) {
        flow_done(f, ERR_OFFLINE);
        return;
    }
    ops_complete_all(log->io, &log->epoch_waiters, ERR_CLOSED);
    ops_complete_all(log->io, &log->flush_waiters, ERR_CLOSED);
    deleted_name(d);
    FLOW_TRY(f, "rename the directory", io_rename(log->io, log->path, d->path, &f->op));
    FLOW_TRY(f, "sync the log directory", io_sync_dir(log->io, log->dir->path, &f->op));
    delete_dir_later(log, d->path);
    /* Only now: what was not drained goes with the directory, or with nothing. A journal without room waits for this log, which
     * syncs nothing any more, and the log for the journal. */
    log_journal_gone(log);
    FLOW_TRY(f, "end its journalling", log_journal_forget(log, &f->op));
    FLOW_WAIT(f, "forget its scan point", scan_point_remove(log, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    log_fail(log, f->result, f->step);
    flow_done(f, f->result);
}

void log_delete(struct log *log, struct op *op)
{
    struct deleting *d = calloc(1, sizeof(*d));

    ASSERT(d != NULL);
    ASSERT(!log->closing);
    log->closing = true;
    d->job.no_appends = d->job.always = d->job.last = d->job.drops = true;
    log_job_add(log, &d->job, delete_run, op);
}
