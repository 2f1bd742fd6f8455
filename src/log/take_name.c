/* A log that was made under another name takes its own: a replica has moved into its directory (KIP-113). */
#include <stdio.h>
#include <stdlib.h>

#include "log/state.h"

struct renaming {
    struct job job;
    char path[LOG_PATH_BYTES];
};

/* Files that are open stay so. */
static void take_path(struct log *log, const char *path)
{
    char file[LOG_PATH_BYTES];

    free(log->path);
    log->path = str_dup(str_of(path));
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct segment *s = log->segments[i];
        log_file_path(log, s->base, ".log", file);
        free(s->path);
        s->path = str_dup(str_of(file));
    }
}

static void take_name_run(struct flow *f)
{
    struct renaming *r = container_of(f, struct renaming, job.flow);
    struct log *log = r->job.log;

    FLOW_BEGIN(f);
    snprintf(r->path, sizeof(r->path), "%s/%s-%d", log->dir->path, log->topic, log->partition);
    FLOW_TRY(f, "rename the directory", io_rename(log->io, log->path, r->path, &f->op));
    FLOW_TRY(f, "sync the log directory", io_sync_dir(log->io, log->dir->path, &f->op));
    take_path(log, r->path);
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    log_fail(log, f->result, f->step);
    flow_done(f, f->result);
}

void log_take_name(struct log *log, struct op *op)
{
    struct renaming *r = calloc(1, sizeof(*r));

    ASSERT(r != NULL);
    ASSERT(!log->closing);
    log_job_add(log, &r->job, take_name_run, op);
}
