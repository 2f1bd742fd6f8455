/* Chunks: made when they are wanted, used again when nothing in them matters any more. */
#include <stdio.h>
#include <stdlib.h>

#include "log/journal_internal.h"

uint32_t journal_free_chunks(const struct journal *j)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < j->line.chunk_count; i++)
        count += j->chunks[i].last == 0 && &j->chunks[i] != j->active;
    return count;
}

struct journal_chunk *journal_next_chunk(struct journal *j)
{
    for (uint32_t i = 0; i < j->line.chunk_count; i++) {
        if (j->chunks[i].last == 0 && &j->chunks[i] != j->active)
            return &j->chunks[i];
    }
    return NULL;
}

/* ---- make ---------------------------------------------------------------------------------- */

static const uint8_t zeros[64 * 1024] __attribute__((aligned(IO_ALIGN_BYTES)));

static void chunk_path(struct journal *j)
{
    char name[JOURNAL_NAME_BYTES];
    int n = snprintf(j->path, sizeof(j->path), "%s/" JOURNAL_FOLDER_NAME "/%s", j->dir->path,
                     journal_chunk_name(j->line.shard, j->line.chunk_count, name));

    ASSERT(n > 0 && n < (int)sizeof(j->path)); /* log_dir_open has refused longer paths */
}

static const char *folder_path(struct journal *j)
{
    *strrchr(j->path, '/') = '\0';
    return j->path;
}

static void gather_zeros(struct journal *j)
{
    uint64_t left = j->line.chunk_bytes - j->zeroed;

    for (j->zero_count = 0; left > 0 && j->zero_count < IO_PIECES_MAX; j->zero_count++) {
        uint32_t n = left < sizeof(zeros) ? (uint32_t)left : (uint32_t)sizeof(zeros);
        j->zeros[j->zero_count] = (struct bytes){zeros, (int32_t)n};
        left -= n;
    }
}

static void more_chunks(struct journal *j, struct op *op)
{
    struct journal_line line = j->line;

    line.chunk_count++;
    journal_announce(j, &line, op);
}

static void chunk_made(struct journal *j)
{
    j->chunks[j->line.chunk_count++] = (struct journal_chunk){.file = j->file};
    j->file = NULL;
}

static void making_ended(struct journal *j, int64_t result)
{
    j->is_making = false;
    flow_done(&j->making, result);
    if (result >= 0 && j->line.chunk_count < 2)
        journal_make_chunk(j);
    if (result >= 0)
        journal_wake(j);
    gate_leave(&j->gate);
}

/* A full disk is no trouble yet: logs go on without. */
static bool disk_is_full(struct journal *j, int64_t result)
{
    if (result != -ENOSPC)
        return false;
    j->make_after_ms = io_now_ms(j->io) + JOURNAL_RETRY_MS;
    say(j->telemetry, LOG_WARN, "log",
        "%s: no space for a journal of %u bytes more: acknowledgements are slower without it; free some space",
        j->dir->path, j->line.chunk_bytes);
    return true;
}

/* Written once as a whole, so that a commit later changes bytes and nothing else of the file. */
static void making_run(struct flow *f)
{
    struct journal *j = container_of(f, struct journal, making);

    FLOW_BEGIN(f);
    if (j->line.chunk_count == 0)
        FLOW_TRY(f, "announce a journal", journal_announce(j, &j->line, &f->op));
    chunk_path(j);
    FLOW_TRY(f, "make a chunk",
             io_open(j->io, j->path, IO_WRITE | IO_CREATE | IO_TRUNCATE | IO_DIRECT, &j->file, &f->op));
    FLOW_WAIT(f, "allocate a chunk", io_allocate(j->file, 0, j->line.chunk_bytes, &f->op));
    if (disk_is_full(j, f->result)) {
        FLOW_TRY(f, "close a chunk", io_close(j->file, &f->op));
        FLOW_TRY(f, "remove a chunk", io_remove(j->io, j->path, &f->op));
        making_ended(j, -ENOSPC);
        return;
    }
    if (f->result < 0)
        goto failed;
    for (j->zeroed = 0; j->zeroed < j->line.chunk_bytes; j->zeroed += (uint64_t)f->result) {
        gather_zeros(j);
        FLOW_TRY(f, "zero a chunk", io_write(j->file, j->zeroed, j->zeros, j->zero_count, &f->op));
    }
    FLOW_TRY(f, "sync a chunk", io_sync(j->file, &f->op));
    FLOW_TRY(f, "sync the folder of journals", io_sync_dir(j->io, folder_path(j), &f->op));
    FLOW_TRY(f, "announce a chunk", more_chunks(j, &f->op));
    chunk_made(j);
    FLOW_END(f);
    making_ended(j, 0);
    return;
failed:
    journal_fail(j, f->result, f->step);
    making_ended(j, f->result);
}

void journal_make_chunk(struct journal *j)
{
    if (j->is_making || j->failed || j->line.chunk_count == JOURNAL_CHUNKS || io_now_ms(j->io) < j->make_after_ms)
        return;
    if (!gate_enter(&j->gate))
        return;
    j->is_making = true;
    flow_start(&j->making, making_run, NULL);
}

/* ---- use again ----------------------------------------------------------------------------- */

/* Late: what is drained for one chunk is then drained for many. */
static bool reclaim_is_due(const struct journal *j)
{
    uint32_t used = j->line.chunk_count - journal_free_chunks(j);

    return used >= 2 && (used * 2 > JOURNAL_CHUNKS || journal_is_full(j));
}

/* The newest commit of the chunk that was written first. */
static uint64_t oldest_chunk_last(const struct journal *j)
{
    uint64_t oldest = UINT64_MAX;

    for (uint32_t i = 0; i < j->line.chunk_count; i++) {
        const struct journal_chunk *c = &j->chunks[i];
        if (c != j->active && c->last != 0 && c->last < oldest)
            oldest = c->last;
    }
    return oldest;
}

/* The first commit that a log still needs; else the next one. */
static uint64_t first_needed(const struct journal *j)
{
    uint64_t first = j->sequence + 1;

#ifdef MUTANT_JOURNAL_RECYCLED_EARLY
    return j->target + 1;
#endif
    LIST_EACH (node, &j->live) {
        const struct log *log = container_of(node, struct log, user.live);
        if (log->user.first < first)
            first = log->user.first;
    }
    return first;
}

/* Ask some of the logs that need what is to go. False: none does any more. */
static bool settle_some(struct journal *j)
{
    bool needed = false;

#ifdef MUTANT_JOURNAL_RECYCLED_EARLY
    return false;
#endif
    LIST_EACH (node, &j->live) {
        struct log *log = container_of(node, struct log, user.live);
        if (log->user.first > j->target)
            continue;
        needed = true;
        if (log->user.settling)
            continue;
        if (j->settling == JOURNAL_SETTLES_MAX)
            break;
        j->settling++;
        log_settle(log);
    }
    return needed;
}

static bool reclaim_goes_on(struct journal *j)
{
    return !journal_is_failed(j) && !gate_is_closing(&j->gate) && reclaim_is_due(j);
}

static void wait_look(struct journal *j, struct op *op)
{
    j->look = op;
}

/* J2: only now the journal may say it. */
static void commit_oldest(struct journal *j, struct op *op)
{
    j->oldest = first_needed(j);
    j->committed = op;
    j->must_commit = true;
    journal_wake(j);
}

static void reclaim_run(struct flow *f)
{
    struct journal *j = container_of(f, struct journal, reclaim);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(j->io, &f->op));
    while (reclaim_goes_on(j)) {
        j->target = oldest_chunk_last(j);
        while (reclaim_goes_on(j) && settle_some(j))
            FLOW_WAIT(f, "wait for logs", wait_look(j, &f->op));
        if (reclaim_goes_on(j))
            FLOW_WAIT(f, "commit what is needed", commit_oldest(j, &f->op));
    }
    FLOW_END(f);
    j->is_reclaiming = false;
    flow_done(f, 0);
    journal_wake(j); /* notes may have waited for a free chunk */
    gate_leave(&j->gate);
}

void journal_reclaim(struct journal *j)
{
    if (j->is_reclaiming || !reclaim_is_due(j) || !gate_enter(&j->gate))
        return;
    j->is_reclaiming = true;
    flow_start(&j->reclaim, reclaim_run, NULL);
}

void journal_look(struct journal *j)
{
    struct op *op = j->look;

    j->look = NULL;
    if (op != NULL)
        io_complete(j->io, op, 0);
}
