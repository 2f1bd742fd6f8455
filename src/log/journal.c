#include "log/journal.h"

#include <stdlib.h>

#include "log/journal_internal.h"

/* ---- trouble ------------------------------------------------------------------------------- */

/* Everyone who waits is told. */
static void end_all(struct journal *j)
{
    struct list *node;

    while ((node = list_take_head(&j->notes)) != NULL || (node = list_take_head(&j->committing_notes)) != NULL) {
        struct journal_note_op *n = container_of(node, struct journal_note_op, node);
        io_complete(j->io, n->op, ERR_OFFLINE);
        free(n);
    }
    while ((node = list_take_head(&j->ready)) != NULL)
        worker_wake(container_of(node, struct log, user.ready));
    while ((node = list_take_head(&j->committing)) != NULL)
        worker_wake(container_of(node, struct log, user.committing));
    if (j->committed != NULL)
        io_complete(j->io, j->committed, ERR_OFFLINE);
    j->committed = NULL;
    j->must_commit = false;
    journal_look(j);
}

void journal_fail(struct journal *j, int64_t error, const char *what)
{
    struct fail why = {0};

    j->failed = true;
    fail_set(&why, (int)error, "cannot %s of %s/" JOURNAL_FOLDER_NAME ", shard %u: %s", what, j->dir->path,
             j->line.shard, error_text((int)error));
    log_dir_fail(j->dir, j->io, j->telemetry, &why);
    end_all(j);
}

bool journal_is_failed(struct journal *j)
{
    if (!j->failed && __atomic_load_n(&j->dir->has_failed, __ATOMIC_ACQUIRE)) {
        j->failed = true;
        end_all(j);
    }
    return j->failed;
}

/* ---- room ---------------------------------------------------------------------------------- */

/* The last page of a chunk is kept for the commit that lets chunks be used again: else a full journal stays full. */
static uint32_t room_in(const struct journal *j, const struct journal_chunk *c, uint32_t kept)
{
    return c->used_bytes + kept >= j->line.chunk_bytes ? 0 : j->line.chunk_bytes - c->used_bytes - kept;
}

static uint32_t buffer_bytes(const struct journal *j)
{
    return j->line.chunk_bytes < JOURNAL_COMMIT_BYTES_MAX ? j->line.chunk_bytes : JOURNAL_COMMIT_BYTES_MAX;
}

uint32_t journal_share_bytes(const struct journal *j)
{
    uint32_t most = j->line.chunk_bytes - JOURNAL_PAGE_BYTES - JOURNAL_HEADER_BYTES;

    return most < JOURNAL_APPEND_BYTES_MAX ? most : JOURNAL_APPEND_BYTES_MAX;
}

bool journal_is_full(const struct journal *j)
{
    if (j->line.chunk_count < 2) /* one is written to while the other becomes free */
        return true;
    if (journal_free_chunks(j) > 0)
        return false;
    return room_in(j, j->active, JOURNAL_PAGE_BYTES) < journal_share_bytes(j) + JOURNAL_HEADER_BYTES;
}

bool journal_has_room(struct journal *j)
{
    if (journal_is_failed(j))
        return false;
    if (!journal_is_full(j))
        return true;
    journal_make_chunk(j);
    journal_reclaim(j);
    return false;
}

/* ---- a commit ------------------------------------------------------------------------------ */

static void commit_begin(struct journal *j)
{
    j->length = JOURNAL_HEADER_BYTES;
    j->entry_count = 0;
    j->sequence++;
    j->oldest_written = j->oldest;
}

static void take_notes(struct journal *j, uint32_t limit)
{
    while (!list_empty(&j->notes) && j->length + JOURNAL_ENTRY_BYTES <= limit) {
        struct journal_note_op *n = container_of(list_take_head(&j->notes), struct journal_note_op, node);
        journal_entry_put(j->buffer + j->length, &n->entry);
        j->length += JOURNAL_ENTRY_BYTES;
        j->entry_count++;
        list_add_tail(&j->committing_notes, &n->node);
    }
}

static void take_logs(struct journal *j, uint32_t limit)
{
    LIST_EACH (node, &j->ready) {
        struct log *log = container_of(node, struct log, user.ready);
        uint32_t n = log_commit_bytes(log);
        if (n > 0 && j->length + n > limit)
            return; /* those behind it wait too: nobody is passed over for ever */
        list_remove(node);
        if (n == 0) {
            worker_wake(log);
            continue;
        }
        j->length = (uint32_t)(log_commit_put(log, j->buffer + j->length, j->sequence, &j->entry_count) - j->buffer);
        list_add_tail(&j->committing, &log->user.committing);
    }
}

static bool has_work(const struct journal *j)
{
    return !list_empty(&j->notes) || !list_empty(&j->ready) || j->must_commit;
}

/* Without room, logs drain and sync; notes wait for a free chunk. */
static void send_away(struct journal *j)
{
    struct list *node;

    while ((node = list_take_head(&j->ready)) != NULL)
        worker_wake(container_of(node, struct log, user.ready));
    journal_reclaim(j);
}

/* False: nothing to commit, or no room for it. */
static bool commit_build(struct journal *j)
{
    if (j->buffer == NULL)
        j->buffer = io_aligned_new(buffer_bytes(j));
    ASSERT(j->buffer != NULL);
    while (has_work(j)) {
        uint32_t kept = j->must_commit ? 0 : JOURNAL_PAGE_BYTES;
        uint32_t limit = j->active == NULL ? 0 : room_in(j, j->active, kept);
        if (limit > buffer_bytes(j))
            limit = buffer_bytes(j);
        commit_begin(j);
        if (limit > 0) {
            take_notes(j, limit);
            take_logs(j, limit);
        }
        if (j->entry_count > 0 || (j->must_commit && limit > 0))
            return true;
        j->sequence--;
        if (!has_work(j))
            return false;
        struct journal_chunk *next = journal_next_chunk(j);
        if (next == NULL) {
            send_away(j);
            return false;
        }
        j->active = next;
    }
    return false;
}

static void commit_seal(struct journal *j)
{
    uint32_t n = journal_commit_seal(j->buffer, j->length, j->line.id, j->sequence, j->oldest_written, j->entry_count);

    j->piece = (struct bytes){j->buffer, (int32_t)n};
}

static void free_chunks(struct journal *j)
{
    for (uint32_t i = 0; i < j->line.chunk_count; i++) {
        struct journal_chunk *c = &j->chunks[i];
        if (c == j->active || c->last == 0 || c->last >= j->oldest_durable)
            continue;
        c->last = 0;
        c->used_bytes = 0;
    }
}

/* Durable: who is in it may go on. */
static void commit_done(struct journal *j)
{
    struct list *node;
    struct op *op;

    j->active->used_bytes += (uint32_t)j->piece.n;
    j->active->last = j->sequence;
    j->oldest_durable = j->oldest_written;
    free_chunks(j);
    if (j->must_commit && j->oldest_durable == j->oldest) {
        j->must_commit = false;
        io_complete(j->io, j->committed, 0);
        j->committed = NULL;
    }
    while ((node = list_take_head(&j->committing_notes)) != NULL) {
        struct journal_note_op *n = container_of(node, struct journal_note_op, node);
        op = n->op;
        free(n);
        io_complete(j->io, op, 0);
    }
    while ((node = list_take_head(&j->committing)) != NULL)
        log_commit_done(container_of(node, struct log, user.committing));
    if (journal_free_chunks(j) == 0 && j->active->used_bytes * 2 >= j->line.chunk_bytes)
        journal_make_chunk(j);
    journal_reclaim(j);
}

static void write_commit(struct journal *j, struct op *op)
{
#ifdef MUTANT_JOURNAL_ACK_EARLY
    io_write(j->active->file, j->active->used_bytes, &j->piece, 1, op);
    return;
#endif
    io_write_durable(j->active->file, j->active->used_bytes, &j->piece, 1, op);
}

/* What comes in one turn of the loop goes with one commit; what comes while it is written, with the next. */
static void commit_run(struct flow *f)
{
    struct journal *j = container_of(f, struct journal, commit);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(j->io, &f->op));
    while (!journal_is_failed(j) && commit_build(j)) {
        commit_seal(j);
        FLOW_TRY(f, "write a commit", write_commit(j, &f->op));
        commit_done(j);
    }
    FLOW_END(f);
    j->is_committing = false;
    flow_done(f, 0);
    gate_leave(&j->gate);
    return;
failed:
    j->is_committing = false;
    journal_fail(j, f->result, f->step);
    flow_done(f, f->result);
    gate_leave(&j->gate);
}

void journal_wake(struct journal *j)
{
    if (j->is_committing || j->line.chunk_count == 0 || !gate_enter(&j->gate))
        return;
    j->is_committing = true;
    flow_start(&j->commit, commit_run, NULL);
}

void journal_add(struct journal *j, struct log *log)
{
    if (list_linked(&log->user.ready) || j->failed)
        return;
    list_add_tail(&j->ready, &log->user.ready);
    journal_wake(j);
}

void journal_note(struct journal *j, const struct log *log, enum journal_entry_kind kind, int64_t base, struct op *op)
{
    struct journal_note_op *n;

    if (log->user.last == 0 || log->user.last < j->oldest_durable || journal_is_failed(j)) {
        io_complete(j->io, op, j->failed ? ERR_OFFLINE : 0);
        return;
    }
    n = calloc(1, sizeof(*n));
    ASSERT(n != NULL);
    n->op = op;
    n->entry = (struct journal_entry){
        .kind = kind, .topic_id = log->topic_id, .partition = log->partition, .base = base};
    list_add_tail(&j->notes, &n->node);
    journal_wake(j);
}

void journal_leave(struct journal *j, struct log *log)
{
    struct journal_user *u = &log->user;

    if (list_linked(&u->ready))
        list_remove(&u->ready);
    if (list_linked(&u->committing))
        list_remove(&u->committing);
    if (list_linked(&u->live))
        list_remove(&u->live);
    if (list_linked(&u->undrained))
        list_remove(&u->undrained);
    if (u->settling)
        j->settling--;
    journal_look(j);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void close_files_run(struct flow *f)
{
    struct journal *j = container_of(f, struct journal, commit);
    struct op *op;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(j->io, &f->op));
    for (j->i = 0; j->i < j->line.chunk_count; j->i++)
        FLOW_WAIT(f, "close a chunk", io_close(j->chunks[j->i].file, &f->op));
    FLOW_END(f);
    op = j->closed;
    free(j->buffer);
    free(j);
    op->done(op, 0);
}

static void flows_ended(struct gate *g)
{
    flow_start(&container_of(g, struct journal, gate)->commit, close_files_run, NULL);
}

void journal_close(struct journal *j, struct op *op)
{
    ASSERT(list_empty(&j->ready));
    ASSERT(list_empty(&j->live));
    j->closed = op;
    gate_close(&j->gate, flows_ended);
    journal_look(j);
}
