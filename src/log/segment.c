/* One segment: its files, who uses them, what waits to be written beside it. */
#include <stdio.h>
#include <stdlib.h>

#include "log/state.h"

static const char *const side_suffixes[SIDES] = {".index", ".timeindex", ".txnindex"};
static const uint32_t side_entry_bytes[SIDES] = {INDEX_ENTRY_BYTES, TIME_ENTRY_BYTES,
                                                 TXN_ENTRY_BYTES};

void log_file_path(const struct log *log, int64_t offset, const char *suffix,
                   char out[LOG_PATH_BYTES])
{
    int n = snprintf(out, LOG_PATH_BYTES, "%s/%020lld%s", log->path, (long long)offset, suffix);

    ASSERT(n > 0 && n < LOG_PATH_BYTES); /* log_open has refused longer paths */
}

struct segment *segment_new(struct log *log, int64_t base)
{
    struct segment *s = calloc(1, sizeof(*s));
    int64_t jitter_ms = log->settings.segment_jitter_ms; /* no more than the age itself, as in Kafka */
    char path[LOG_PATH_BYTES];

    ASSERT(s != NULL);
    if (jitter_ms > log->settings.segment_ms)
        jitter_ms = log->settings.segment_ms;
    log_file_path(log, base, ".log", path);
    s->path = str_dup(str_of(path));
    s->log = log;
    s->memory = log->memory;
    s->io = log->io;
    s->base = base;
    s->max_timestamp_ms = -1;
    s->max_timestamp_offset = -1;
    s->first_timestamp_ms = -1;
    s->last_time_entry_ms = -1;
    s->created_ms = io_now_ms(log->io);
    s->modified_ms = io_wall_ms(log->io);
    if (jitter_ms > 0)
        s->jitter_ms = (int64_t)prng_below(io_prng(log->io), (uint64_t)jitter_ms);
    list_init(&s->waiters);
    list_init(&s->syncs);
    return s;
}

void segment_set_bytes(struct segment *s, uint64_t n)
{
    s->size_bytes = s->drained_bytes = s->whole_bytes = s->file_bytes = s->durable_bytes = n;
}

static void segment_free(struct segment *s)
{
    ASSERT(s->file_state == FILE_CLOSED);
    for (int i = 0; i < SIDES; i++)
        text_deinit(&s->side[i].pending);
    text_deinit(&s->snapshot);
    free(s->chunk.bytes);
    free(s->path);
    free(s);
}

const char *segment_text(const struct segment *s, char out[SEGMENT_TEXT_BYTES])
{
    snprintf(out, SEGMENT_TEXT_BYTES,
             "LogSegment(baseOffset=%lld, size=%llu, lastModifiedTime=%lld, largestRecordTimestamp=%lld)",
             (long long)s->base, (unsigned long long)s->size_bytes, (long long)s->modified_ms,
             (long long)s->max_timestamp_ms);
    return out;
}

/* ---- the file ------------------------------------------------------------------------------ */

static void file_close_begin(struct segment *s);

/* The first one who waits goes on at once, as the last thing that happens here: it may end the
 * segment. */
static void file_open_done(struct op *op, int64_t result)
{
    struct segment *s = container_of(op, struct segment, op);
    struct op *first = container_of(list_take_head(&s->waiters), struct op, node);

    s->file_state = result < 0 ? FILE_CLOSED : FILE_OPEN;
    if (result >= 0)
        s->memory->files_open++;
    for (struct list *node = s->waiters.next; result < 0 && node != &s->waiters; node = node->next)
        s->users--;
    ops_complete_all(s->io, &s->waiters, result);
    if (result < 0)
        segment_unuse(s);
    first->done(first, result < 0 ? result : 0);
}

static void file_open_begin(struct segment *s)
{
    uint32_t flags = s->closed ? IO_READ : IO_WRITE | IO_CREATE;

    s->file_state = FILE_OPENING;
    op_init(&s->op, file_open_done);
    io_open(s->io, s->path, flags, &s->file, &s->op);
}

void segment_use(struct segment *s, struct op *op)
{
    s->users++;
    if (s->file_state == FILE_OPEN) {
        if (list_linked(&s->idle))
            list_remove(&s->idle);
        io_complete(s->io, op, 0);
        return;
    }
    list_add_tail(&s->waiters, &op->node);
    if (s->file_state == FILE_CLOSED)
        file_open_begin(s);
}

void segment_hold(struct segment *s)
{
    ASSERT(s->file_state == FILE_OPEN);
    s->users++;
    if (list_linked(&s->idle))
        list_remove(&s->idle);
}

void segment_keep(struct segment *s)
{
    s->users++;
    if (list_linked(&s->idle))
        list_remove(&s->idle);
}

/* One of its descriptors is closed. */
static void file_close_done(struct op *op, int64_t result)
{
    struct segment *s = container_of(op, struct segment, op);
    struct op *waiter = s->close_waiter;
    struct io_file *direct = s->direct;

    s->memory->files_open--;
    if (result < 0 && s->log != NULL)
        log_fail(s->log, result, "close a segment");
    if (result < 0 && s->close_result >= 0)
        s->close_result = result;
    if (direct != NULL) {
        s->direct = NULL;
        op_init(&s->op, file_close_done);
        io_close(direct, &s->op);
        return;
    }
    s->file_state = FILE_CLOSED;
    s->close_waiter = NULL;
    result = s->close_result;
    if (!list_empty(&s->waiters))
        file_open_begin(s);
    else if (s->log == NULL && s->users == 0)
        segment_free(s);
    if (waiter != NULL)
        waiter->done(waiter, result);
}

static void file_close_begin(struct segment *s)
{
    struct io_file *file = s->file;

    if (list_linked(&s->idle))
        list_remove(&s->idle);
    free(s->chunk.bytes);
    s->chunk = (struct index_chunk){0};
    s->file = NULL;
    s->file_state = FILE_CLOSING;
    s->close_result = 0;
    op_init(&s->op, file_close_done);
    io_close(file, &s->op);
}

void segment_close_file(struct segment *s, struct op *op)
{
    ASSERT(s->users == 0);
    if (s->file_state == FILE_CLOSED) {
        io_complete(s->io, op, 0);
        return;
    }
    s->close_waiter = op;
    if (s->file_state == FILE_OPEN)
        file_close_begin(s);
}

void segment_close_direct(struct segment *s, struct op *op)
{
    struct io_file *direct = s->direct;

    s->direct = NULL;
    s->memory->files_open--;
    io_close(direct, op);
}

/* Descriptors are few: the ones that were idle for longest go first. */
static void files_shrink(struct log_memory *m)
{
    uint32_t max = m->files_max == 0 ? LOG_FILES_DEFAULT : m->files_max;

    if (m->files_open <= max || list_empty(&m->files))
        return;
    file_close_begin(container_of(m->files.next, struct segment, idle));
}

void segment_unuse(struct segment *s)
{
    ASSERT(s->users > 0);
    if (--s->users > 0)
        return;
    if (s->log == NULL) {
        if (s->file_state == FILE_OPEN)
            file_close_begin(s);
        else if (s->file_state == FILE_CLOSED)
            segment_free(s);
        return;
    }
    if (s->file_state != FILE_OPEN)
        return;
    list_add_tail(&s->memory->files, &s->idle);
    files_shrink(s->memory);
}

void segment_release(struct segment **held)
{
    struct segment *s = *held;

    *held = NULL;
    if (s != NULL)
        segment_unuse(s);
}

void segment_drop(struct segment *s)
{
    s->users++;
    s->log = NULL;
    segment_unuse(s);
}

void segment_read(struct segment *s, uint64_t position, void *into, uint32_t n, struct op *op)
{
    uint32_t copied = s->log == NULL ? 0 : tail_copy(&s->log->tail, s, position, n, into);

    if (copied > 0 || position >= s->whole_bytes) {
        io_complete(s->io, op, copied);
        return;
    }
    if (n > s->whole_bytes - position)
        n = (uint32_t)(s->whole_bytes - position);
    io_read(s->file, position, into, n, op);
}

/* ---- side files ---------------------------------------------------------------------------- */

struct segment_save {
    struct flow flow;
    struct segment *segment;
    struct io_file *file;
    struct text bytes; /* copied: an append may add to `pending` meanwhile */
    struct bytes piece;
    enum side side;
    enum save how;
    char path[LOG_PATH_BYTES];
};

/* The log bytes of this entry are in the file (L3). */
static bool entry_is_drained(const struct segment *s, enum side side, const uint8_t *entry)
{
#ifdef MUTANT_LOG_INDEX_AHEAD
    return true;
#endif
    switch (side) {
    case SIDE_INDEX:
        return get_u32(entry + 4) < s->whole_bytes;
    case SIDE_TIME:
        return s->base + get_i32(entry + 8) < s->log->drained;
    default:
        return get_i64(entry + 18) < s->log->drained;
    }
}

bool segment_save_is_due(const struct segment *s)
{
    for (enum side side = 0; side < SIDES; side++) {
        const struct text *pending = &s->side[side].pending;
        size_t n = SIDE_PENDING_BYTES / side_entry_bytes[side] * side_entry_bytes[side];
        if (pending->n < n)
            continue;
        if (entry_is_drained(s, side, (uint8_t *)pending->p + n - side_entry_bytes[side]))
            return true;
    }
    return false;
}

static void take_ready(struct segment_save *save)
{
    const struct segment *s = save->segment;
    const struct text *pending = &s->side[save->side].pending;
    size_t entry_bytes = side_entry_bytes[save->side], n = pending->n;

    while (n > 0 && !entry_is_drained(s, save->side, (uint8_t *)pending->p + n - entry_bytes))
        n -= entry_bytes;
    text_clear(&save->bytes);
    text_add(&save->bytes, pending->p, n);
    save->piece = (struct bytes){(uint8_t *)save->bytes.p, (int32_t)n};
}

static uint64_t side_size_bytes(const struct segment_save *save)
{
    return save->segment->side[save->side].written_bytes + (uint64_t)save->piece.n;
}

static bool side_is_due(const struct segment_save *save)
{
    const struct side_file *x = &save->segment->side[save->side];

    if (save->piece.n > 0 || x->reset)
        return true;
    if (save->how == SAVE_READY)
        return false;
    return x->written_bytes > 0 || (save->how == SAVE_FINAL && save->side != SIDE_TXN);
}

static void side_saved(struct segment_save *save)
{
    struct side_file *x = &save->segment->side[save->side];
    size_t n = (size_t)save->piece.n;

    if (n > 0)
        memmove(x->pending.p, x->pending.p + n, x->pending.n - n);
    x->pending.n -= n;
    x->written_bytes += n;
    x->reset = false;
    if (x->pending.n == 0)
        text_deinit(&x->pending);
}

static struct side_file *side_of(struct segment_save *save)
{
    return &save->segment->side[save->side];
}

static bool is_synced(const struct segment_save *save)
{
#ifdef MUTANT_LOG_POINT_SIDES_LAZY
    return save->how == SAVE_FINAL;
#endif
    return save->how != SAVE_READY;
}

/* After trouble the file stays open: the directory is offline, and nothing in it is touched again.
 */
static void segment_save_run(struct flow *f)
{
    struct segment_save *save = container_of(f, struct segment_save, flow);
    struct segment *s = save->segment;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(s->io, &f->op));
    if (save->how == SAVE_FINAL && s->index_doubted)
        index_forget(s);
    for (save->side = 0; save->side < SIDES; save->side++) {
        take_ready(save);
        if (!side_is_due(save))
            continue;
        log_file_path(s->log, s->base, side_suffixes[save->side], save->path);
        FLOW_TRY(f, "open an index",
                 io_open(s->io, save->path, IO_WRITE | IO_CREATE, &save->file, &f->op));
        if (save->piece.n > 0)
            FLOW_TRY(f, "write an index",
                     io_write(save->file, side_of(save)->written_bytes, &save->piece, 1, &f->op));
        if (save->how == SAVE_FINAL || side_of(save)->reset)
            FLOW_TRY(f, "cut an index", io_truncate(save->file, side_size_bytes(save), &f->op));
        if (is_synced(save))
            FLOW_TRY(f, "sync an index", io_sync(save->file, &f->op));
        FLOW_TRY(f, "close an index", io_close(save->file, &f->op));
        side_saved(save);
    }
    FLOW_END(f);
    segment_unuse(s);
    flow_done(f, 0);
    return;
failed:
    log_fail(s->log, f->result, f->step);
    segment_unuse(s);
    flow_done(f, f->result);
}

struct segment_save *segment_save_start(struct segment *s, enum save how, struct op *op)
{
    struct segment_save *save = calloc(1, sizeof(*save));

    ASSERT(save != NULL);
    save->segment = s;
    save->how = how;
    s->users++;
    if (list_linked(&s->idle))
        list_remove(&s->idle);
    flow_start(&save->flow, segment_save_run, op);
    return save;
}

void segment_save_free(struct segment_save *save)
{
    if (save == NULL)
        return;
    text_deinit(&save->bytes);
    free(save);
}
