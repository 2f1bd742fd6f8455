/* A log directory while it is open: checkpoints, room, trouble; and its end. */
#include "log/dir.h"

#include <stdio.h>
#include <stdlib.h>

#include "log/journal.h"
#include "log/points_file.h"
#include "log/state.h"

const char *const checkpoint_names[CHECKPOINTS] = {
    [RECOVERY_POINT] = "recovery-point-offset-checkpoint",
    [LOG_START] = "log-start-offset-checkpoint",
    [HIGH_WATERMARK] = "replication-offset-checkpoint",
    [CLEANER] = "cleaner-offset-checkpoint",
};

struct checkpoint *checkpoint_of(struct log_dir *dir, int which)
{
    struct checkpoint *all[CHECKPOINTS] = {&dir->recovery_point, &dir->log_start,
                                           &dir->high_watermark, &dir->cleaner};
    return all[which];
}

void log_dir_free(struct log_dir *dir)
{
    for (int i = 0; i < CHECKPOINTS; i++)
        checkpoint_free(checkpoint_of(dir, i));
    for (uint32_t i = 0; i < dir->found_count; i++) {
        free(dir->found[i].name);
        free(dir->found[i].topic);
    }
    free(dir->found);
    points_file_free(dir->points);
    free((char *)(uintptr_t)dir->path); /* ours: made by log_dir_open */
    free(dir);
}

/* ---- checkpoints --------------------------------------------------------------------------- */

struct dir_saving {
    struct flow flow;
    struct log_dir *dir;
    const struct checkpoint *all[CHECKPOINTS];
    struct text text;
    uint32_t i;
};

static struct bytes checkpoint_content(struct dir_saving *x)
{
    text_clear(&x->text);
    checkpoint_print(x->all[x->i], &x->text);
    return bytes_of_str(text_str(&x->text));
}

static void dir_saving_end(struct dir_saving *x, int64_t result)
{
    text_deinit(&x->text);
    flow_done(&x->flow, result);
    free(x);
}

static void dir_save_run(struct flow *f)
{
    struct dir_saving *x = container_of(f, struct dir_saving, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(x->dir->home, &f->op));
    for (x->i = 0; x->i < CHECKPOINTS; x->i++) {
        if (x->all[x->i] == NULL)
            continue;
        FLOW_TRY(f, checkpoint_names[x->i],
                 file_replace(x->dir->home, x->dir->path, checkpoint_names[x->i],
                              checkpoint_content(x), &f->op));
    }
    FLOW_END(f);
    dir_saving_end(x, 0);
    return;
failed:
    dir_saving_end(x, f->result);
}

static void dir_save(struct log_dir *dir, const struct checkpoint *const all[CHECKPOINTS],
                     struct op *op)
{
    struct dir_saving *x;

    if (__atomic_load_n(&dir->has_failed, __ATOMIC_ACQUIRE)) {
        io_complete(dir->home, op, ERR_OFFLINE);
        return;
    }
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->dir = dir;
    memcpy(x->all, all, sizeof(x->all));
    flow_start(&x->flow, dir_save_run, op);
}

void log_dir_checkpoint(struct log_dir *dir, const struct checkpoint *recovery_point,
                        const struct checkpoint *log_start, const struct checkpoint *high_watermark,
                        struct op *op)
{
    const struct checkpoint *const all[CHECKPOINTS] = {
        [RECOVERY_POINT] = recovery_point,
        [LOG_START] = log_start,
        [HIGH_WATERMARK] = high_watermark,
    };

    dir_save(dir, all, op);
}

void log_dir_checkpoint_cleaner(struct log_dir *dir, const struct checkpoint *cleaner,
                                struct op *op)
{
    const struct checkpoint *const all[CHECKPOINTS] = {[CLEANER] = cleaner};

    dir_save(dir, all, op);
}

/* ---- close --------------------------------------------------------------------------------- */

struct dir_closing {
    struct flow flow;
    struct log_dir *dir;
    struct io *io;
    struct io_file *file;
    struct bytes piece;
    bool clean;
    int64_t rc;
    char text[64];
    char path[LOG_PATH_BYTES];
};

static void marker_note(struct dir_closing *x, int64_t result)
{
    if (result < 0 && x->rc == 0)
        x->rc = result;
}

/* Without tmp and rename, as Kafka writes it; any error: no marker. */
static void dir_close_run(struct flow *f)
{
    struct dir_closing *x = container_of(f, struct dir_closing, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "close the journals", journals_close(x->dir->journals, x->clean, &f->op));
    marker_note(x, f->result);
    if (x->clean && x->rc == 0) {
        FLOW_WAIT(f, "open the marker",
                  io_open(x->io, x->path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &x->file, &f->op));
        marker_note(x, f->result);
        if (x->rc == 0) {
            FLOW_WAIT(f, "write the marker", io_write(x->file, 0, &x->piece, 1, &f->op));
            marker_note(x, f->result);
            if (x->rc == 0)
                FLOW_WAIT(f, "sync the marker", io_sync(x->file, &f->op));
            marker_note(x, f->result);
            FLOW_WAIT(f, "close the marker", io_close(x->file, &f->op));
            marker_note(x, f->result);
        }
        if (x->rc < 0)
            FLOW_WAIT(f, "remove the marker", io_remove(x->io, x->path, &f->op));
        else
            FLOW_WAIT(f, "sync the directory", io_sync_dir(x->io, x->dir->path, &f->op));
        marker_note(x, f->result);
    }
    FLOW_WAIT(f, "unlock", io_close(x->dir->lock, &f->op));
    FLOW_END(f);
    log_dir_free(x->dir);
    flow_done(f, x->rc);
    free(x);
}

void log_dir_close(struct log_dir *dir, bool clean, int64_t broker_epoch, struct op *op)
{
    struct dir_closing *x = calloc(1, sizeof(*x));
    int n;

    ASSERT(x != NULL);
    x->dir = dir;
    x->io = dir->home;
    x->clean = clean && log_dir_is_online(dir);
    n = snprintf(x->text, sizeof(x->text), "{\"version\":0,\"brokerEpoch\":%lld}",
                 (long long)broker_epoch);
    x->piece = (struct bytes){(const uint8_t *)x->text, n};
    snprintf(x->path, sizeof(x->path), "%s/%s", dir->path, MARKER_NAME);
    flow_start(&x->flow, dir_close_run, op);
}

uint32_t log_dir_partitions(struct log_dir *dir, int more)
{
    return __atomic_add_fetch(&dir->partitions, (uint32_t)more, __ATOMIC_RELAXED);
}

void log_dir_set_room(struct log_dir *dir, int64_t bytes)
{
    __atomic_store_n(&dir->room, bytes, __ATOMIC_RELAXED);
}

int64_t log_dir_room(const struct log_dir *dir)
{
    return __atomic_load_n(&dir->room, __ATOMIC_RELAXED);
}

bool log_dir_take_room(struct log_dir *dir, int64_t bytes)
{
    if (log_dir_room(dir) == INT64_MAX)
        return true;
    if (__atomic_sub_fetch(&dir->room, bytes, __ATOMIC_RELAXED) >= 0)
        return true;
    (void)__atomic_add_fetch(&dir->room, bytes, __ATOMIC_RELAXED);
    return false;
}

bool log_dir_is_online(const struct log_dir *dir)
{
    return !__atomic_load_n(&dir->has_failed, __ATOMIC_ACQUIRE);
}

void log_dir_fail(struct log_dir *dir, struct io *io, struct telemetry *t, const struct fail *why)
{
    struct fail f = {0};

    if (__atomic_exchange_n(&dir->has_failed, true, __ATOMIC_ACQ_REL))
        return;
    fail_set(&f, why->error, "log directory %s is offline: %s; check the disk, then restart", dir->path,
             why->text);
    say(t, LOG_ERROR, "log", "%s", f.text);
    if (dir->failed != NULL)
        dir->failed(dir, io, &f, dir->failed_ctx);
}
