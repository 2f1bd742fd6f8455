/* Closing a log, as a clean stop leaves it. */
#include <stdlib.h>

#include "log/state.h"

struct closing {
    struct job job;
    struct segment_save *save;
    struct text text;
    uint32_t i;
    int64_t rc;
    char name[40];
};

static void closing_end(struct closing *c, int64_t result)
{
    text_deinit(&c->text);
    flow_done(&c->job.flow, result);
}

static struct bytes snapshot_content(struct closing *c)
{
    snapshot_name(c->job.log->end, c->name);
    producers_print(&c->job.log->producers, &c->text);
    return bytes_of_str(text_str(&c->text));
}

static void readers_left(struct gate *g)
{
    struct log *log = container_of(g, struct log, gate);

    io_complete(log->io, &log->job->flow.op, 0);
}

/* What a clean stop leaves (interop: 1.11). Everything is drained and synced, older segments are
 * closed: a job begins like that. */
static void close_run(struct flow *f)
{
    struct closing *c = container_of(f, struct closing, job.flow);
    struct log *log = c->job.log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "wait for readers", gate_close(&log->gate, readers_left));
    if (!log_is_failed(log)) {
        index_apply_last(log_last_segment(log));
        FLOW_WAIT(f, "save indexes",
                  c->save = segment_save_start(log_last_segment(log), SAVE_FINAL, &f->op));
        segment_save_free(c->save);
        c->rc = f->result;
        if (c->rc >= 0 && log->end > log->snapshot_offset) {
            FLOW_WAIT(f, "save producers",
                      file_replace(log->io, log->path, c->name, snapshot_content(c), &f->op));
            c->rc = f->result;
        }
        if (c->rc < 0)
            log_fail(log, c->rc, f->step);
    }
    for (c->i = 0; c->i < log->segment_count; c->i++) {
        if (log->segments[c->i]->users > 0) /* spans are out: they close it */
            continue;
        FLOW_WAIT(f, "close a segment", segment_close_file(log->segments[c->i], &f->op));
        if (f->result < 0 && c->rc >= 0)
            c->rc = f->result;
    }
    FLOW_END(f);
    if (log->failed && c->rc >= 0)
        c->rc = ERR_OFFLINE;
    closing_end(c, c->rc < 0 ? c->rc : 0);
}

void log_close(struct log *log, struct op *op)
{
    struct closing *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    ASSERT(!log->closing);
    log->closing = log->leaving = true;
    c->job.no_appends = c->job.always = c->job.last = true;
    log_job_add(log, &c->job, close_run, op);
}
