/* A transaction index that does not fit its segment is made again: the batches tell which transactions they end, by
 * the producers that were known where the segment begins. A Kafka broker does that at its start, when a sanity check
 * fails; here a read of it does. */
#include <stdlib.h>

#include "log/scan.h"
#include "log/state.h"

struct remaking {
    struct flow flow;
    struct log *log;
    struct segment *target, *held;
    struct producers producers;
    struct text text; /* a snapshot */
    struct scan scan;
    struct batch batch;
    uint32_t generation, layout;
    uint32_t i;
    int rc;
    struct text made;      /* entries */
    int64_t last_offset;   /* of the last batch that was looked at */
    struct op persisted;
    char path[LOG_PATH_BYTES];
};

bool txn_entries_are_sane(const struct segment *s, int64_t end, struct bytes entries)
{
    int64_t before = s->base - 1;

    if (entries.n % TXN_ENTRY_BYTES != 0)
        return false;
    for (int32_t at = 0; at < entries.n; at += TXN_ENTRY_BYTES) {
        const uint8_t *e = entries.p + at;
        int64_t first = get_i64(e + 10), last = get_i64(e + 18), stable = get_i64(e + 26);
        if (get_u16(e) != 0 || get_i64(e + 2) < 0 || first < 0 || first > last || stable < 0 || stable > last + 1)
            return false;
        if (last <= before || last >= end)
            return false;
        before = last;
    }
    return true;
}

static bool must_stop(const struct remaking *x)
{
    return x->log->closing || log_is_failed(x->log) || x->generation != x->log->generation ||
           x->layout != x->log->layout;
}

static struct segment *segment_now(const struct remaking *x)
{
    return x->log->segments[x->i];
}

/* ---- the producers where a segment begins -------------------------------------------------- */

static bool snapshot_in_memory(struct remaking *x)
{
    const struct text *t = &segment_now(x)->snapshot;

    text_clear(&x->text);
    text_add(&x->text, t->p, t->n);
    log_file_path(x->log, segment_now(x)->base, ".snapshot", x->path);
    return t->n > 0;
}

/* Nobody is known where the log begins, or more cannot be found out. */
static bool snapshot_is_good(struct remaking *x)
{
    if (x->text.n > 0 && producers_parse(&x->producers, bytes_of_str(text_str(&x->text)), 0) == 0)
        return true;
    producers_clear(&x->producers);
    return x->i == 0;
}

/* ---- the batches --------------------------------------------------------------------------- */

static void take_batch(struct remaking *x)
{
    struct txn_completed done;
    struct segment entry = {0};

    x->last_offset = x->batch.last_offset;
    if (!producers_apply(&x->producers, &x->batch, &done) || !done.aborted || x->held != x->target)
        return;
    txn_index_apply(&entry, &done);
    text_add(&x->made, entry.side[SIDE_TXN].pending.p, entry.side[SIDE_TXN].pending.n);
    text_deinit(&entry.side[SIDE_TXN].pending);
}

/* Nobody writes side files or drains, so that file, memory and what was scanned go together. */
static bool is_quiet(const struct log *log)
{
    return !log->siding && log->job == NULL;
}

/* What was ended behind the scanned batches waits in memory still. */
static void put_in_place(struct remaking *x)
{
    struct side_file *side = &x->target->side[SIDE_TXN];

    for (size_t at = 0; at + TXN_ENTRY_BYTES <= side->pending.n; at += TXN_ENTRY_BYTES) {
        const uint8_t *e = (const uint8_t *)side->pending.p + at;
        if (get_i64(e + 18) > x->last_offset)
            text_add(&x->made, e, TXN_ENTRY_BYTES);
    }
    text_deinit(&side->pending);
    side->pending = x->made;
    x->made = (struct text){0};
    side->written_bytes = 0;
    side->reset = true;
    say(x->log->telemetry, LOG_INFO, "log", "the transaction index of %s is made again", x->target->path);
}

static void remaking_free(struct op *op, int64_t result)
{
    free(container_of(op, struct remaking, persisted));
}

static void remaking_end(struct remaking *x, int64_t result)
{
    struct log *log = x->log;
    struct list waiters;

    scan_deinit(&x->scan);
    segment_release(&x->held);
    producers_deinit(&x->producers);
    text_deinit(&x->text);
    text_deinit(&x->made);
    log->txn_remaking = false;
    list_init(&waiters);
    list_move_all(&waiters, &log->txn_waiters);
    while (!list_empty(&waiters)) {
        struct op *op = container_of(waiters.next, struct op, node);
        list_remove(&op->node);
        io_complete(log->io, op, result);
    }
    if (result < 0) {
        free(x);
        return;
    }
    op_init(&x->persisted, remaking_free);
    reindex_persist(x->target, &x->persisted);
}

static void remaking_run(struct flow *f)
{
    struct remaking *x = container_of(f, struct remaking, flow);
    struct log *log = x->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    if (must_stop(x))
        goto gone;
    for (x->i = log_segment_index(log, x->target->base);; x->i--) {
        if (!snapshot_in_memory(x))
            FLOW_WAIT(f, "read producers", file_read_all(log->io, x->path, SMALL_FILE_BYTES_MAX, &x->text, &f->op));
        if (must_stop(x))
            goto gone;
        if (snapshot_is_good(x))
            break;
    }
    for (; log->segments[x->i]->base <= x->target->base; x->i++) {
        FLOW_TRY(f, "open a segment", segment_use(segment_now(x), &f->op));
        if (must_stop(x))
            goto gone;
        x->held = segment_now(x);
        scan_init(&x->scan, x->held, 0, x->held->whole_bytes, true, SCAN_WINDOW_BYTES);
        while (!must_stop(x)) {
            x->scan.end = x->held->whole_bytes;
            x->rc = scan_next(&x->scan, &x->batch);
            if (x->rc == SCAN_FILL)
                FLOW_TRY(f, "read a segment", scan_fill(&x->scan, &f->op));
            else if (x->rc == SCAN_BATCH)
                take_batch(x);
            else if (x->rc == SCAN_END && x->held == x->target && !is_quiet(log))
                FLOW_WAIT(f, "side files", log->siding ? side_wait(log, &f->op) : io_yield(log->io, &f->op));
            else
                break;
        }
        if (must_stop(x))
            goto gone;
        if (x->rc < 0) {
            f->result = x->rc;
            goto failed;
        }
        if (x->held == x->target)
            break;
        scan_deinit(&x->scan);
        segment_release(&x->held);
    }
    FLOW_END(f);
    put_in_place(x);
    remaking_end(x, 0);
    return;
gone:
    remaking_end(x, log_is_failed(log) ? ERR_OFFLINE : log->closing ? ERR_CLOSED : -ERANGE);
    return;
failed:
    say(log->telemetry, LOG_WARN, "log", "the transaction index of %s cannot be made again: %s", x->target->path,
        error_text((int)f->result));
    remaking_end(x, f->result);
}

void txn_index_remake(struct log *log, struct segment *s, struct op *op)
{
    struct remaking *x;

    list_add_tail(&log->txn_waiters, &op->node);
    if (log->txn_remaking)
        return;
    log->txn_remaking = true;
    x = calloc(1, sizeof(*x));
    ASSERT(x != NULL);
    x->log = log;
    x->target = s;
    x->generation = log->generation;
    x->layout = log->layout;
    x->last_offset = -1;
    producers_init(&x->producers, INT64_MAX);
    flow_start(&x->flow, remaking_run, NULL);
}
