/* Cutting a log: at its end, or wholly. Each is a job: it has the log alone. */
#include <stdio.h>
#include <stdlib.h>

#include "log/recover.h"
#include "log/scan.h"

struct cutting {
    struct job job;
    int64_t offset;
    struct segment *segment, *held;
    struct scan scan;
    struct batch batch;
    int rc;
    uint64_t position;
    enum side side;
    struct text text;
    struct io_entries entries;
    struct segment_save *save;
    struct pass pass;
    struct fail fail;
    struct producers producers; /* that a log begins anew with */
    struct bytes content;
    char name[40];
    char path[LOG_PATH_BYTES];
};

static void readers_left(struct gate *g)
{
    struct log *log = container_of(g, struct log, gate);

    io_complete(log->io, &log->job->flow.op, 0);
}

/* What they find means nothing from here on, so they end soon. One that opened the file of a segment would make it anew
 * when that was removed, and after a restart the log would go on behind a hole. */
static void send_readers_away(struct log *log)
{
    log->generation++;
    gate_close(&log->gate, readers_left);
}

static void cutting_end(struct cutting *c, int64_t result)
{
    if (gate_is_closing(&c->job.log->gate))
        gate_reopen(&c->job.log->gate);
    scan_deinit(&c->scan);
    segment_release(&c->held);
    text_deinit(&c->text);
    io_entries_free(&c->entries);
    producers_deinit(&c->producers);
    if (result < 0)
        log_fail(c->job.log, result, c->job.flow.step);
    flow_done(&c->job.flow, result);
}

static struct cutting *cutting_new(int64_t offset)
{
    struct cutting *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    producers_init(&c->producers, 0);
    c->offset = offset;
    return c;
}

static void set_end(struct log *log, int64_t end)
{
    log->end = end;
    log->drained = end;
    log->synced = end;
    if (log->stable > end)
        log->stable = end;
    if (log->recovery_point > end)
        log->recovery_point = end;
    if (log->first_dirty > end)
        log->first_dirty = end; /* what comes there next was never compacted */
    log_journal_reset(log);
}

/* The newest of the snapshots that are left. */
static int64_t newest_snapshot(const struct io_entries *entries, int64_t at_most)
{
    int64_t newest = 0, offset;
    struct str suffix;

    for (uint32_t i = 0; i < entries->count; i++) {
        if (name_parse(entries->entries[i].name, &offset, &suffix) &&
            str_equal(suffix, STR(".snapshot")) && offset <= at_most && offset > newest)
            newest = offset;
    }
    return newest;
}

/* ---- truncate ------------------------------------------------------------------------------ */

static const struct {
    const char *suffix;
    uint32_t entry_bytes;
} sides[SIDES] = {
    [SIDE_INDEX] = {".index", INDEX_ENTRY_BYTES},
    [SIDE_TIME] = {".timeindex", TIME_ENTRY_BYTES},
    [SIDE_TXN] = {".txnindex", TXN_ENTRY_BYTES},
};

/* The last segment may have been closed, or be held open by readers: another struct takes its
 * place, which writes to a file of its own. Answers that are still on their way from the old one end where they are:
 * what they would go on with is cut off, or written anew. */
static void replace_last_segment(struct cutting *c)
{
    struct log *log = c->job.log;
    struct segment *old = log_last_segment(log), *s = segment_new(log, old->base);

    segment_set_bytes(s, old->size_bytes);
    s->first_timestamp_ms = old->first_timestamp_ms;
    s->named = true;
    s->timestamps_known = true;
    for (int i = 0; i < SIDES; i++) {
        s->side[i] = old->side[i];
        old->side[i].pending = (struct text){0};
    }
    log->segments[log->segment_count - 1] = s;
    if (old->file_state == FILE_OPEN)
        io_withdraw(old->file);
    segment_drop(old);
    c->segment = s;
}

static int64_t entry_offset(const struct segment *s, enum side side, const uint8_t *entry)
{
    switch (side) {
    case SIDE_INDEX:
        return s->base + get_u32(entry);
    case SIDE_TIME:
        return s->base + get_u32(entry + 8);
    default:
        return get_i64(entry + 18);
    }
}

/* What was read of the side file and what waited in memory, without what lies above the cut, waits
 * now to be written anew. */
static void take_side(struct cutting *c)
{
    struct side_file *x = &c->segment->side[c->side];
    uint32_t n = sides[c->side].entry_bytes;

    if (c->text.n > x->written_bytes)
        c->text.n = x->written_bytes;
    text_add(&c->text, x->pending.p, x->pending.n);
    text_deinit(&x->pending);
    for (size_t at = 0; at + n <= c->text.n; at += n) {
        const uint8_t *entry = (const uint8_t *)c->text.p + at;
        if (entry_offset(c->segment, c->side, entry) >= c->offset)
            break;
        text_add(&x->pending, entry, n);
    }
    x->written_bytes = 0;
    x->reset = true;
}

static void take_last_time_entry(struct segment *s)
{
    const struct text *pending = &s->side[SIDE_TIME].pending;

    if (pending->n < TIME_ENTRY_BYTES)
        return;
    const uint8_t *last = (const uint8_t *)pending->p + pending->n - TIME_ENTRY_BYTES;
    s->last_time_entry_ms = s->max_timestamp_ms = get_i64(last);
}

static bool has_side(const struct cutting *c)
{
    return c->segment->side[c->side].written_bytes > 0;
}

static void side_path(struct cutting *c)
{
    text_clear(&c->text);
    log_file_path(c->job.log, c->segment->base, sides[c->side].suffix, c->path);
}

/* A batch that stays. */
static void take_kept(struct cutting *c)
{
    struct segment *s = c->segment;

    c->position = c->scan.position;
    if (c->batch.count == 0 || c->batch.max_timestamp_ms <= s->max_timestamp_ms)
        return;
    s->max_timestamp_ms = c->batch.max_timestamp_ms;
    s->max_timestamp_offset = c->batch.last_offset;
}

static void scan_from_index(struct cutting *c)
{
    c->position = 0;
    scan_init(&c->scan, c->segment, 0, c->segment->size_bytes, false, SCAN_WINDOW_BYTES);
    scan_jump(&c->scan, index_find(c->segment, c->offset - 1), 0);
}

static void cut_memory(struct cutting *c)
{
    struct log *log = c->job.log;
    struct segment *s = c->segment;

    log->size_bytes -= s->size_bytes - c->position;
    segment_set_bytes(s, c->position); /* from here to the sync nothing is drained */
    if (c->position == 0)
        s->first_timestamp_ms = -1;
    set_end(log, c->offset);
}

/* Segments go from the end, each for good before the next and before the cut: else a power cut
 * could bring one back behind a hole. */
static void truncate_run(struct flow *f)
{
    struct cutting *c = container_of(f, struct cutting, job.flow);
    struct log *log = c->job.log;

    FLOW_BEGIN(f);
    if (c->offset < log->end) /* S3 */
        FLOW_TRY(f, "forget its scan point", scan_point_forget(log, &f->op));
    FLOW_WAIT(f, "wait for readers", send_readers_away(log));
    tail_clear(&log->tail);
    FLOW_TRY(f, "list it", io_list(log->io, log->path, &c->entries, &f->op));
    FLOW_TRY(f, "remove snapshots", snapshot_remove_above(log, &c->entries, c->offset, &f->op));
    log->snapshot_offset = newest_snapshot(&c->entries, c->offset);
    if (c->offset == log->end)
        goto cut;
    while (log->segment_count > 1 && log_last_segment(log)->base > c->offset) {
        FLOW_TRY(f, "remove a segment",
                 segment_remove_files(log, log_last_segment(log)->base, &f->op));
        FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
        log_segments_remove(log, log->segment_count - 1);
    }
    replace_last_segment(c);
    for (c->side = 0; c->side < SIDES; c->side++) {
        side_path(c);
        if (has_side(c))
            FLOW_TRY(f, "read an index",
                     file_read_all(log->io, c->path, SMALL_FILE_BYTES_MAX, &c->text, &f->op));
        take_side(c);
    }
    take_last_time_entry(c->segment);
    FLOW_TRY(f, "open a segment", segment_use(c->segment, &f->op));
    c->held = c->segment;
    scan_from_index(c);
    while ((c->rc = scan_next(&c->scan, &c->batch)) > 0) {
        if (c->rc == SCAN_FILL)
            FLOW_TRY(f, "read a segment", scan_fill(&c->scan, &f->op));
        else if (c->batch.last_offset < c->offset)
            take_kept(c);
        else
            break;
    }
    if (c->rc < 0) { /* batches that are to stay may lie behind it */
        f->result = c->rc;
        goto failed;
    }
    cut_memory(c);
    FLOW_TRY(f, "cut a segment", io_truncate(c->segment->file, c->position, &f->op));
    FLOW_TRY(f, "sync a segment", segment_sync(c->segment, &f->op));
    FLOW_WAIT(f, "save indexes", c->save = segment_save_start(c->segment, SAVE_FINAL, &f->op));
    segment_save_free(c->save);
    if (f->result < 0)
        goto failed;
    FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
cut: /* only now: epochs that nothing is left of are forgotten at the next start, if need be */
    epochs_truncate(&log->epochs, c->offset);
    if (epochs_are_dirty(&log->epochs))
        FLOW_TRY(f, "save leader epochs", epochs_save(log, &f->op));
    if (log->producers.by_id.count > 0 && c->segment != NULL) {
        FLOW_TRY(f, "read producers", snapshot_restore(log, &c->entries, c->offset, &f->op));
        c->pass = (struct pass){.producers_from = f->result, .cut_from = INT64_MAX};
        FLOW_TRY(f, "read its batches", log_pass(log, &c->pass, &c->fail, &f->op));
    }
    FLOW_END(f);
    cutting_end(c, 0);
    return;
failed:
    cutting_end(c, f->result);
}

void log_truncate(struct log *log, int64_t offset, struct op *op)
{
    struct cutting *c = cutting_new(offset);

    ASSERT(offset >= log->start);
    ASSERT(offset <= log->end);
    c->job.no_appends = true;
    log_job_add(log, &c->job, truncate_run, op);
}

/* ---- begin anew ---------------------------------------------------------------------------- */

static void restart_memory(struct cutting *c)
{
    struct log *log = c->job.log;

    tail_clear(&log->tail);
    epochs_clear(&log->epochs);
    producers_copy_below(&log->producers, &c->producers, c->offset);
    log->snapshot_offset = 0;
    log->aborts = false;
}

static void restart_positions(struct cutting *c)
{
    struct log *log = c->job.log;

    c->segment = segment_new(log, c->offset);
    c->segment->timestamps_known = true;
    log_segments_add(log, c->segment);
    log->start = log->end = log->drained = log->synced = c->offset;
    log->stable = log->recovery_point = log->first_dirty = c->offset;
    log_journal_reset(log);
}

static bool knows_producers(const struct cutting *c)
{
    return c->job.log->producers.by_id.count > 0;
}

static struct bytes snapshot_content(struct cutting *c)
{
    struct log *log = c->job.log;

    text_clear(&c->text);
    producers_print(&log->producers, &c->text);
    snapshot_name(c->offset, c->name);
    log->snapshot_offset = c->offset;
    return bytes_of_str(text_str(&c->text));
}

static void restart_run(struct flow *f)
{
    struct cutting *c = container_of(f, struct cutting, job.flow);
    struct log *log = c->job.log;

    FLOW_BEGIN(f);
    FLOW_TRY(f, "forget its scan point", scan_point_forget(log, &f->op));
    FLOW_WAIT(f, "wait for readers", send_readers_away(log));
    restart_memory(c);
    FLOW_TRY(f, "save leader epochs", epochs_save(log, &f->op));
    FLOW_TRY(f, "list it", io_list(log->io, log->path, &c->entries, &f->op));
    FLOW_TRY(f, "remove snapshots", snapshot_remove_above(log, &c->entries, -1, &f->op));
    while (log->segment_count > 0) { /* what a crash leaves is a log's beginning, without a hole */
        FLOW_TRY(f, "remove a segment",
                 segment_remove_files(log, log_last_segment(log)->base, &f->op));
        FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
        log_segments_remove(log, log->segment_count - 1);
    }
    restart_positions(c);
    if (knows_producers(c)) {
        c->content = snapshot_content(c);
        FLOW_TRY(f, "save producers", file_replace(log->io, log->path, c->name, c->content, &f->op));
    }
    FLOW_TRY(f, "make a segment", segment_create_files(c->segment, &f->op));
    FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
    c->segment->named = true;
    FLOW_END(f);
    cutting_end(c, 0);
    return;
failed:
    cutting_end(c, f->result);
}

void log_begin_copy(struct log *log, int64_t offset, const struct log *source, struct op *op)
{
    struct cutting *c = cutting_new(offset);

    ASSERT(offset >= 0);
    if (source != NULL)
        producers_copy_below(&c->producers, &source->producers, offset);
    c->job.no_appends = true;
    log_job_add(log, &c->job, restart_run, op);
}

void log_restart_at(struct log *log, int64_t offset, struct op *op)
{
    log_begin_copy(log, offset, NULL, op);
}
