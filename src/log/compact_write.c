/* The segment that replaces a group, while it is not the log's. */
#include <stdio.h>
#include <stdlib.h>

#include "log/compact.h"

static const char *const side_suffixes[SIDES] = {".index", ".timeindex", ".txnindex"};

static void cleaned_path(struct compacting *c, const char *suffix)
{
    log_file_path(c->log, c->cleaned->base, suffix, c->path);
    snprintf(c->path + strlen(c->path), sizeof(".cleaned"), ".cleaned");
}

/* ---- begin --------------------------------------------------------------------------------- */

struct cleaned_opening {
    struct op op;
    struct compacting *c;
    struct op *parent;
};

static void opened(struct op *op, int64_t result)
{
    struct cleaned_opening *x = container_of(op, struct cleaned_opening, op);
    struct segment *s = x->c->cleaned;
    struct op *parent = x->parent;

    s->file_state = result < 0 ? FILE_CLOSED : FILE_OPEN;
    if (result < 0) {
        log_fail(x->c->log, result, "make a compacted segment");
    } else {
        s->memory->files_open++;
        s->users++; /* until it is the log's, or abandoned */
    }
    free(x);
    parent->done(parent, result);
}

void cleaned_begin(struct compacting *c, struct op *op)
{
    struct cleaned_opening *x = calloc(1, sizeof(*x));
    struct segment *s = segment_new(c->log, c->group[0].base);

    ASSERT(x != NULL);
    s->timestamps_known = s->rolled = s->closed = s->named = true;
    s->file_state = FILE_OPENING;
    c->cleaned = s;
    text_clear(&c->buffer);
    x->c = c;
    x->parent = op;
    op_init(&x->op, opened);
    cleaned_path(c, ".log");
    io_open(c->log->io, c->path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &s->file, &x->op);
}

/* ---- batches ------------------------------------------------------------------------------- */

int cleaned_note(struct compacting *c, size_t n)
{
    struct segment *s = c->cleaned;
    struct batch b;

    if (n == 0)
        return 0;
    TRY(batch_read((struct bytes){(const uint8_t *)c->buffer.p + c->buffer.n - n, (int32_t)n}, &b,
                   NULL));
    /* A batch that is made anew may be larger than it was: then a group may be a little too large.
     */
    if (s->size_bytes + n > SEGMENT_BYTES_LIMIT)
        return ERR_LIMIT;
    index_apply(s, &b, s->size_bytes, c->log->settings.index_interval_bytes);
    s->size_bytes += n;
    return 0;
}

void cleaned_note_aborted(struct compacting *c, const struct compaction_aborted *aborted)
{
    struct txn_completed t = {
        .producer_id = aborted->producer_id,
        .first_offset = aborted->first_offset,
        .last_offset = aborted->last_offset,
        .last_stable_offset = aborted->last_stable_offset,
        .aborted = true,
    };

    txn_index_apply(c->cleaned, &t);
}

struct cleaned_flushing {
    struct op op;
    struct compacting *c;
    struct op *parent;
};

static void flushed(struct op *op, int64_t result)
{
    struct cleaned_flushing *x = container_of(op, struct cleaned_flushing, op);
    struct compacting *c = x->c;
    struct op *parent = x->parent;

    if (result < 0)
        log_fail(c->log, result, "write a compacted segment");
    c->cleaned->drained_bytes += c->buffer.n;
    c->cleaned->whole_bytes = c->cleaned->drained_bytes;
    text_clear(&c->buffer);
    free(x);
    parent->done(parent, result);
}

void cleaned_flush(struct compacting *c, struct op *op)
{
    struct cleaned_flushing *x;

    if (c->buffer.n == 0) {
        io_complete(c->log->io, op, 0);
        return;
    }
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->c = c;
    x->parent = op;
    op_init(&x->op, flushed);
    c->piece = bytes_of_str(text_str(&c->buffer));
    io_write(c->cleaned->file, c->cleaned->drained_bytes, &c->piece, 1, &x->op);
}

/* ---- the end ------------------------------------------------------------------------------- */

static bool side_is_wanted(const struct compacting *c)
{
    return c->side != SIDE_TXN || c->cleaned->side[SIDE_TXN].pending.n > 0;
}

static void finish_run(struct flow *f)
{
    struct compacting *c = container_of(f, struct compacting, part);
    struct io *io = c->log->io;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "write a compacted segment", cleaned_flush(c, &f->op));
    FLOW_TRY(f, "sync a compacted segment", io_sync(c->cleaned->file, &f->op));
    index_apply_last(c->cleaned);
    for (c->side = 0; c->side < SIDES; c->side++) {
        if (!side_is_wanted(c))
            continue;
        cleaned_path(c, side_suffixes[c->side]);
        c->piece = bytes_of_str(text_str(&c->cleaned->side[c->side].pending));
        FLOW_TRY(f, "make an index",
                 io_open(io, c->path, IO_WRITE | IO_CREATE | IO_TRUNCATE, &c->file, &f->op));
        if (c->piece.n > 0)
            FLOW_TRY(f, "write an index", io_write(c->file, 0, &c->piece, 1, &f->op));
        FLOW_TRY(f, "sync an index", io_sync(c->file, &f->op));
        FLOW_TRY(f, "close an index", io_close(c->file, &f->op));
    }
    FLOW_TRY(f, "sync the directory", io_sync_dir(io, c->log->path, &f->op));
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed: /* files stay open: the directory is offline */
    log_fail(c->log, f->result, f->step);
    flow_done(f, f->result);
}

void cleaned_finish(struct compacting *c, struct op *op)
{
    flow_start(&c->part, finish_run, op);
}

/* ---- undone -------------------------------------------------------------------------------- */

/* What a power cut brings back is removed at the next start. */
static void abandon_run(struct flow *f)
{
    struct compacting *c = container_of(f, struct compacting, part);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(c->log->io, &f->op));
    if (!log_is_failed(c->log)) {
        cleaned_path(c, ".log");
        FLOW_WAIT(f, "remove a compacted segment", io_remove(c->log->io, c->path, &f->op));
        for (c->side = 0; c->side < SIDES; c->side++) {
            cleaned_path(c, side_suffixes[c->side]);
            FLOW_WAIT(f, "remove an index", io_remove(c->log->io, c->path, &f->op));
        }
    }
    if (c->cleaned->users > 0) { /* its file came to be open */
        segment_unuse(c->cleaned);
        FLOW_WAIT(f, "close a compacted segment", segment_close_file(c->cleaned, &f->op));
    }
    FLOW_END(f);
    segment_drop(c->cleaned);
    c->cleaned = NULL;
    flow_done(f, 0);
}

void cleaned_abandon(struct compacting *c, struct op *op)
{
    flow_start(&c->part, abandon_run, op);
}
