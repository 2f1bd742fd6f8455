/* A compacted segment takes the place of its group; done by `side`, beside drains and reads.
 *
 *   BASE.*.cleaned ─► BASE.*.swap ─┬─► memory: readers find the new one ─► old .log ─► .deleted
 *        (undone by a crash)       │   (finished after a crash)           ─► their other files
 *                                 commit                                  ─► BASE.log ─► the rest
 *
 * Each arrow is durable before the next: names may come to the disk in any order. .log.swap is made
 * last and goes first; while it is there, tidy.c knows what is replaced. Rule: interop of
 * LocalLog.replaceSegments, with more syncs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "log/compact.h"
#include "log/delete.h"

struct swapping {
    struct flow flow;
    struct log *log;
    struct compacting *c;
    struct segment *made; /* in use; the log's since the commit */
    uint32_t pass, i, suffix;
    struct text deleted; /* paths */
    char from[LOG_PATH_BYTES + sizeof(".deleted")], to[LOG_PATH_BYTES + sizeof(".deleted")];
};

static const char *const suffixes[] = {".txnindex", ".timeindex", ".index", ".log", ".snapshot"};
#define TXN_SUFFIX 0
#define LOG_SUFFIX 3 /* those before it are its side files */
#define SNAPSHOT_SUFFIX 4

/* The passes over names, in their order. */
static const struct {
    const char *before, *after; /* what is put behind BASE.SUFFIX */
    uint32_t first, last;       /* suffixes */
    bool old;                   /* the segments of the group, else the one that replaces them */
} passes[] = {
    {".cleaned", ".swap", 0, LOG_SUFFIX, false}, {"", ".deleted", LOG_SUFFIX, LOG_SUFFIX, true},
    {"", ".deleted", 0, SNAPSHOT_SUFFIX, true},  {".swap", "", LOG_SUFFIX, LOG_SUFFIX, false},
    {".swap", "", 0, LOG_SUFFIX - 1, false},
};
#define PASS_COMMIT 0

/* The .log files of the group are gone when their other files go. The producers as of its beginning
 * are still wanted. */
static bool is_meant(const struct swapping *x)
{
    if (!passes[x->pass].old || passes[x->pass].first == LOG_SUFFIX)
        return true;
    return x->suffix != LOG_SUFFIX && (x->suffix != SNAPSHOT_SUFFIX || x->i > 0);
}

/* Without aborted transactions there is no index of them; an old segment may lack more. */
static bool may_be_missing(const struct swapping *x)
{
    return x->suffix == TXN_SUFFIX || (passes[x->pass].old && x->suffix != LOG_SUFFIX);
}

static void take_names(struct swapping *x)
{
    const struct compacting *c = x->c;
    int64_t base = c->group[passes[x->pass].old ? x->i : 0].base;

    log_file_path(c->log, base, suffixes[x->suffix], x->from);
    snprintf(x->to, sizeof(x->to), "%s%s", x->from, passes[x->pass].after);
    snprintf(x->from + strlen(x->from), sizeof(".deleted"), "%s", passes[x->pass].before);
}

/* From here on readers find the new segment. Its index is all in memory until its files have their
 * names; its own file is open. */
static void swap_memory(struct swapping *x)
{
    struct compacting *c = x->c;
    struct log *log = c->log;
    uint32_t at = log_segment_index(log, c->group[0].base);

    x->made = c->cleaned;
    x->made->modified_ms = log->segments[at + c->group_count - 1]->modified_ms;
    c->cleaned = NULL;
    for (uint32_t i = 0; i < c->group_count; i++) {
        ASSERT(log->segments[at + i]->base == c->group[i].base);
        ASSERT(log->segments[at + i]->closed);
        tail_forget(&log->tail, log->segments[at + i]); /* what lay before was forgotten before */
    }
    log_segments_replace(log, at, c->group_count, x->made);
    trim_tell(log); /* what was to go from below the start may be in the new segment now */
}

static void settle_memory(struct swapping *x)
{
    for (int side = 0; side < SIDES; side++) {
        struct side_file *s = &x->made->side[side];
        s->written_bytes = s->pending.n;
        text_deinit(&s->pending);
    }
    delete_files_later(x->log, &x->deleted);
}

/* Whoever compacts is told; a swap that was called off is no trouble of the log's. */
static void swapping_end(struct swapping *x, int64_t result)
{
    struct log *log = x->log;

    segment_release(&x->made);
    text_deinit(&x->deleted);
    compact_swap_tell(log, result);
    flow_done(&x->flow, result == -ECANCELED ? 0 : result);
    free(x);
}

static void swap_run(struct flow *f)
{
    struct swapping *x = container_of(f, struct swapping, flow);
    struct log *log = x->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    if (!compact_goes_on(x->c)) {
        swapping_end(x, -ECANCELED);
        return;
    }
    for (x->pass = 0; x->pass < array_count(passes); x->pass++) {
        for (x->i = 0; x->i < (passes[x->pass].old ? x->c->group_count : 1); x->i++) {
            for (x->suffix = passes[x->pass].first; x->suffix <= passes[x->pass].last;
                 x->suffix++) {
                if (!is_meant(x))
                    continue;
                take_names(x);
                FLOW_WAIT(f, "rename a segment", io_rename(log->io, x->from, x->to, &f->op));
                if (f->result < 0 && !(f->result == -ENOENT && may_be_missing(x)))
                    goto failed;
                if (f->result >= 0 && passes[x->pass].old)
                    text_add(&x->deleted, x->to, strlen(x->to) + 1);
            }
        }
#ifdef MUTANT_LOG_SWAP_NOT_SYNCED
        if (x->pass + 1 < array_count(passes))
            FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
        else
#endif
            FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
        if (x->pass == PASS_COMMIT)
            swap_memory(x);
    }
    settle_memory(x);
    FLOW_END(f);
    swapping_end(x, 0);
    return;
failed:
    log_fail(log, f->result, f->step);
    swapping_end(x, f->result);
}

void compact_swap_start(struct log *log, struct op *op)
{
    struct swapping *x = calloc(1, sizeof(*x));

    ASSERT(x != NULL);
    x->log = log;
    x->c = log->swap;
    flow_start(&x->flow, swap_run, op);
}

void compact_swap_tell(struct log *log, int64_t result)
{
    struct op *op;

    if (log->swap == NULL)
        return;
    op = log->swap->swapped;
    log->swap = NULL;
    io_complete(log->io, op, result);
}

/* Asked of `side`: a job would wait for a moment when nothing is to be drained, which a busy log
 * never has. */
void compact_swap(struct compacting *c, struct op *op)
{
    struct log *log = c->log;

    ASSERT(log->swap == NULL);
    if (!compact_goes_on(c)) {
        io_complete(log->io, op, -ECANCELED);
        return;
    }
    c->swapped = op;
    log->swap = c;
    if (!log->alone) /* else the worker does, when its job has ended */
        side_wake(log);
}
