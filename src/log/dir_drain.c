/* A log directory's journals are emptied while no server runs. */
#include <stdio.h>
#include <stdlib.h>

#include "log/journal_replay.h"
#include "log/state.h"

struct draining {
    struct flow flow;
    struct io *io;
    struct telemetry *telemetry;
    const char *path;
    struct journal_replayed *out;
    struct fail *fail;
    struct io_file *lock;
    int64_t rc;
    char lock_path[LOG_PATH_BYTES];
};

static void draining_end(struct draining *d, int64_t result)
{
    if (result < 0 && d->fail->error == 0)
        fail_set(d->fail, (int)result, "log directory %s: cannot %s: %s", d->path, d->flow.step,
                 error_text((int)result));
    flow_done(&d->flow, result);
    free(d);
}

static void drain_run(struct flow *f)
{
    struct draining *d = container_of(f, struct draining, flow);

    FLOW_BEGIN(f);
    FLOW_TRY(f, "open " LOG_LOCK_NAME, io_open(d->io, d->lock_path, IO_WRITE | IO_CREATE, &d->lock, &f->op));
    FLOW_WAIT(f, "lock it", io_lock(d->lock, &f->op));
    d->rc = f->result;
    if (d->rc == -EAGAIN)
        fail_set(d->fail, -EAGAIN, "log directory %s is in use by another process: stop it first", d->path);
    if (d->rc >= 0) {
        FLOW_WAIT(f, "bring its journals into the segments",
                  journal_replay(d->io, d->telemetry, d->path, NULL, d->out, d->fail, &f->op));
        d->rc = f->result;
    }
    FLOW_WAIT(f, "unlock it", io_close(d->lock, &f->op));
    FLOW_END(f);
    draining_end(d, d->rc);
    return;
failed:
    draining_end(d, f->result);
}

void log_dir_drain(struct io *io, struct telemetry *t, const char *path, struct journal_replayed *out,
                   struct fail *fail, struct op *op)
{
    struct draining *d;

    if (strlen(path) == 0 || strlen(path) >= LOG_PATH_BYTES / 2) {
        fail_set(fail, -ENAMETOOLONG, "log directory \"%.100s\": the path is empty or too long", path);
        io_complete(io, op, -ENAMETOOLONG);
        return;
    }
    d = calloc(1, sizeof(*d));
    ASSERT(d != NULL);
    d->io = io;
    d->telemetry = t;
    d->path = path;
    d->out = out;
    d->fail = fail;
    snprintf(d->lock_path, sizeof(d->lock_path), "%s/" LOG_LOCK_NAME, path);
    flow_start(&d->flow, drain_run, op);
}
