/* The start of a log: raised at once, in memory; segments that lie wholly below it are removed aside, one by
 * one, while appends go on.
 *
 *      [ segment 0 ][ segment 812 ][ segment 1650 ....]
 *                         ^ start: segment 0 goes; 812 stays, and what it has below the start is not served
 *
 * The last segment never goes: its name says where the log ends.
 */
#include <stdio.h>
#include <stdlib.h>

#include "log/delete.h"
#include "log/state.h"

struct trimming {
    struct flow flow;
    struct log *log;
    struct segment *held;
    struct text removed; /* names that files have now, each with its end */
    uint32_t i;
    char from[LOG_PATH_BYTES], to[LOG_PATH_BYTES + sizeof(".deleted")];
};

/* The .log goes first, for good: what a crash leaves of the others are orphans, which are removed at the next start. If it
 * came back without them, aborted records would count, and recovery would lack the producers as of its base. */
static const char *const suffixes[] = {".log", ".index", ".timeindex", ".txnindex", ".snapshot"};

static bool first_is_below(const struct log *log)
{
    return log->segment_count > 1 && log->segments[1]->base <= log->start;
}

/* A segment that is not closed yet is waited for: who closes it looks here again. */
bool trim_is_due(const struct log *log)
{
    return first_is_below(log) && log->segments[0]->closed;
}

/* Rule: Kafka's line for it. One that went by retention has had its own. */
static void say_why(const struct log *log)
{
    const struct segment *s = log->segments[0];
    char text[SEGMENT_TEXT_BYTES];

    if (s->retired)
        return;
    say(log->telemetry, LOG_INFO, "log",
        "[UnifiedLog partition=%s-%d, dir=%s] Deleting segments due to log start offset %lld breach: %s", log->topic,
        log->partition, log->dir->path, (long long)log->start, segment_text(s, text));
}

/* The name of the segment behind it is not durable yet: without it a power cut would leave no segment at all,
 * and the log would begin anew at 0. */
static bool next_lacks_a_name(const struct log *log)
{
#ifdef MUTANT_LOG_END_UNNAMED
    return false;
#endif
    return !log->segments[1]->named;
}

static void hold_next(struct trimming *t, struct op *op)
{
    t->held = t->log->segments[1];
    segment_use(t->held, op);
}

static void name_paths(struct trimming *t)
{
    log_file_path(t->log, t->log->segments[0]->base, suffixes[t->i], t->from);
    snprintf(t->to, sizeof(t->to), "%s.deleted", t->from);
}

static void forget_first(struct log *log)
{
    tail_forget(&log->tail, log->segments[0]);
    log_segments_remove(log, 0);
    log->layout++;
}

void trim_tell(struct log *log)
{
    if (!first_is_below(log))
        ops_complete_all(log->io, &log->start_waiters, 0);
}

static void trim_end(struct trimming *t, int64_t result)
{
    struct log *log = t->log;

    segment_release(&t->held);
    if (result >= 0)
        delete_files_later(log, &t->removed);
    text_deinit(&t->removed);
    if (result >= 0)
        trim_tell(log);
    flow_done(&t->flow, result);
    free(t);
}

/* Each segment is gone for good before the next one goes: else a power cut could bring one back behind a hole. */
static void trim_run(struct flow *f)
{
    struct trimming *t = container_of(f, struct trimming, flow);
    struct log *log = t->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    while (trim_is_due(log)) {
        if (next_lacks_a_name(log)) {
            FLOW_WAIT(f, "open the next segment", hold_next(t, &f->op));
            if (f->result < 0) {
                t->held = NULL;
                goto failed;
            }
            FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
            t->held->named = true;
            segment_release(&t->held);
        }
        say_why(log);
        for (t->i = 0; t->i < array_count(suffixes); t->i++) {
#ifndef MUTANT_LOG_START_UNSYNCED
            if (t->i == 1)
                FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
#endif
            name_paths(t);
            FLOW_WAIT(f, "rename a segment", io_rename(log->io, t->from, t->to, &f->op));
            if (f->result == -ENOENT)
                continue;
            if (f->result < 0)
                goto failed;
            text_add(&t->removed, t->to, strlen(t->to) + 1);
        }
        forget_first(log);
    }
    FLOW_END(f);
    trim_end(t, 0);
    return;
failed:
    trim_end(t, f->result);
}

void trim_start(struct log *log, struct op *op)
{
    struct trimming *t = calloc(1, sizeof(*t));

    ASSERT(t != NULL);
    t->log = log;
    flow_start(&t->flow, trim_run, op);
}

void log_raise_start(struct log *log, int64_t offset, struct op *op)
{
    bool failed = log_is_failed(log);

    ASSERT(offset <= log->stable); /* else a power cut could leave a start above the end */
    if (offset > log->start && !failed) {
        log->start = offset; /* at once: nothing below it is served any more */
        epochs_raise_start(&log->epochs, offset);
        if (epochs_are_dirty(&log->epochs))
            worker_wake(log);
        if (!log->alone) /* else the worker does, when its job has ended */
            side_wake(log);
    }
    if (op == NULL)
        return;
    if (first_is_below(log) && !failed)
        list_add_tail(&log->start_waiters, &op->node);
    else
        io_complete(log->io, op, failed ? ERR_OFFLINE : 0);
}
