/* One drain: what was gathered in memory gets into the file of its segment.
 *
 *      file      |     page     |     page     |     page     |
 *      drained           ^              and now up to here ^
 *      direct    [ equal ][ from the blocks ...][ a copy, 0 0 0]
 *
 * A large drain goes past the page cache, straight from the blocks: a copy into the page cache costs more processor
 * than all else that is done with a large batch, and what is dirty there holds up syncs. It begins with the page that
 * the last drain ended in: what is drained of it is written once more with equal bytes, so that a cut in between
 * changes nothing. A small one is cheaper by way of the page cache, and need not wait for the disk.
 *
 * Readers have the file by another descriptor. The system throws pages of a direct write out of the page cache before
 * it completes; and what a reader takes of the last page, below what is drained, is the same before and after.
 */
#include <stdlib.h>

#include "log/state.h"

/* From here on a direct write costs less processor than a copy and what the system does with it later. */
#define DIRECT_BYTES_MIN (16U * 1024)

/* A log that is not durable changes its way only after so many drains that want it: where they take turns, each
 * change would wait for the pages of the other way. */
#define DRAINS_TO_CHANGE 8U

static bool is_wanted_direct(struct log *log, uint64_t n)
{
    bool large = n >= DIRECT_BYTES_MIN;

    if (log->settings.durable)
        return large;
    if (large && log->large_drains < DRAINS_TO_CHANGE)
        log->large_drains++;
    if (!large && log->large_drains > 0)
        log->large_drains--;
    if (log->large_drains == DRAINS_TO_CHANGE)
        log->is_bulk = true;
    if (log->large_drains == 0)
        log->is_bulk = false;
    return log->is_bulk;
}

/* Everything below it is durable, so that one durable write makes all of it so. */
static bool is_wanted_durable(const struct log *log)
{
    const struct segment *s = log->drain_segment;

#ifdef MUTANT_LOG_ACK_BEFORE_SYNC
    return false;
#endif
    return log->settings.durable && log->drain_all && s->durable_bytes == s->drained_bytes &&
           log->synced >= log->drained;
}

static void choose(struct log *log)
{
    const struct segment *s = log->drain_segment;
    bool known = __atomic_load_n(&log->dir->no_direct, __ATOMIC_RELAXED);

    log->drain_direct = !known && is_wanted_direct(log, log->drain_to_bytes - s->drained_bytes);
    log->drain_durable = log->drain_direct && is_wanted_durable(log);
}

/* ---- the descriptor ------------------------------------------------------------------------ */

static void open_direct(struct segment *s, struct op *op)
{
    io_open(s->io, s->path, IO_WRITE | IO_DIRECT, &s->direct, op);
}

/* Said once: all logs of the directory lie in the same file system. */
static void take_direct(struct log *log)
{
    struct segment *s = log->drain_segment;

    s->memory->files_open++;
    if (io_file_is_direct(s->direct))
        return;
    log->drain_direct = log->drain_durable = false;
    if (!__atomic_exchange_n(&log->dir->no_direct, true, __ATOMIC_RELAXED))
        say(log->telemetry, LOG_INFO, "log",
            "%s: its file system knows no direct access (O_DIRECT): large writes go through the page cache",
            log->dir->path);
}

/* ---- the write ----------------------------------------------------------------------------- */

/* Pages of the last drain may be dirty in the page cache: a direct write would wait for them on the shard. */
static bool is_cached(const struct segment *s)
{
    return s->cached_bytes > s->durable_bytes;
}

static void written_back(struct log *log)
{
    struct segment *s = log->drain_segment;

    s->durable_bytes = s->drained_bytes;
    log_segment_synced(log, s);
    log->drain_durable = is_wanted_durable(log);
}

static void read_head(struct log *log, struct op *op)
{
    struct segment *s = log->drain_segment;

    io_read(s->direct, io_align_down(s->drained_bytes), log->drain_page, IO_ALIGN_BYTES, op);
}

/* The file has what was drained. */
static int take_head(struct log *log, int64_t n)
{
    const struct segment *s = log->drain_segment;

    if ((uint64_t)n < s->drained_bytes - io_align_down(s->drained_bytes))
        return ERR_SHORT;
    tail_take_head(&log->tail, s, log->drain_page);
    return 0;
}

static void start_write(struct log *log, struct op *op)
{
    struct segment *s = log->drain_segment;
    uint64_t from = s->drained_bytes;

    if (!log->drain_direct) {
        io_write(s->file, from, log->pieces, log->piece_count, op);
        return;
    }
    log->piece_count = tail_align(log->pieces, log->piece_count, from, log->drain_to_bytes, log->drain_page);
    if (log->drain_durable)
        io_write_durable(s->direct, io_align_down(from), log->pieces, log->piece_count, op);
    else
        io_write(s->direct, io_align_down(from), log->pieces, log->piece_count, op);
}

static void written(struct log *log)
{
    struct segment *s = log->drain_segment;
    uint64_t end = log->drain_direct ? io_align_up(log->drain_to_bytes) : log->drain_to_bytes;

    if (end > s->file_bytes)
        s->file_bytes = end;
    if (log->drain_durable)
        s->durable_bytes = log->drain_to_bytes;
    if (!log->drain_direct)
        s->cached_bytes = log->drain_to_bytes;
}

static void write_run(struct flow *f)
{
    struct log *log = container_of(f, struct log, part);
    struct segment *s = log->drain_segment;

    FLOW_BEGIN(f);
    choose(log);
    if (log->drain_direct && s->direct == NULL) {
        FLOW_TRY(f, "open a segment", open_direct(s, &f->op));
        take_direct(log);
    }
    if (log->drain_direct && is_cached(s)) {
        FLOW_TRY(f, "write back a segment", segment_sync(s, &f->op));
        written_back(log);
    }
    if (log->drain_direct && log->drain_page == NULL) {
        log->drain_page = io_aligned_new(IO_ALIGN_BYTES);
        ASSERT(log->drain_page != NULL);
    }
    if (log->drain_direct && tail_lacks_head(&log->tail, s)) {
        FLOW_TRY(f, "read a segment", read_head(log, &f->op));
        f->result = take_head(log, f->result);
        if (f->result < 0)
            goto failed;
    }
    FLOW_TRY(f, "write a segment", start_write(log, &f->op));
    written(log);
    if (log->drain_durable && !s->named) {
        FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
        s->named = true;
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    flow_done(f, f->result);
}

void drain_write(struct log *log, struct op *op)
{
    flow_start(&log->part, write_run, op);
}

void drain_write_end(struct log *log)
{
    free(log->pieces);
    log->pieces = NULL;
    free(log->drain_page);
    log->drain_page = NULL;
}
