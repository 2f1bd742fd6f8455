/* Going through a log's batches once: the scan after a stop that was not clean, and every smaller
 * need to read what is there (missing side files, producers behind their snapshot).
 *
 * Rule: interop 1.10. A batch is good when its size, magic and checksum are; offsets ascend. At the
 * first bad one the log ends, and the segments behind it go.
 */
#include <stdio.h>
#include <stdlib.h>

#include "log/recover.h"
#include "log/scan.h"

/* ---- the files of a segment ---------------------------------------------------------------- */

static const char *const segment_suffixes[] = {".log", ".index", ".timeindex", ".txnindex",
                                               ".snapshot"};

struct remove_files {
    struct flow flow;
    struct log *log;
    int64_t base;
    uint32_t i;
    char path[LOG_PATH_BYTES];
};

static void remove_files_run(struct flow *f)
{
    struct remove_files *r = container_of(f, struct remove_files, flow);

    FLOW_BEGIN(f);
    for (r->i = 0; r->i < array_count(segment_suffixes); r->i++) {
        log_file_path(r->log, r->base, segment_suffixes[r->i], r->path);
        FLOW_WAIT(f, "remove a segment", io_remove(r->log->io, r->path, &f->op));
        if (f->result < 0 && f->result != -ENOENT)
            goto failed;
    }
    FLOW_END(f);
    flow_done(f, 0);
    free(r);
    return;
failed:
    flow_done(f, f->result);
    free(r);
}

void segment_remove_files(struct log *log, int64_t base, struct op *op)
{
    struct remove_files *r = calloc(1, sizeof(*r));

    ASSERT(r != NULL);
    r->log = log;
    r->base = base;
    flow_start(&r->flow, remove_files_run, op);
}

/* ---- the pass ------------------------------------------------------------------------------ */

struct passing {
    struct flow flow, part;
    struct log *log;
    struct pass pass;
    struct fail *fail;
    uint32_t i;
    struct segment *segment, *held;
    struct scan scan;
    struct batch batch;
    int rc;
    int64_t end; /* of the batches that were seen */
    struct segment_save *save;
    bool cut;
    struct text text;
    char name[40];
};

static enum pass_mode mode_of(const struct passing *p)
{
    const struct log *log = p->log;
    enum pass_mode mode = p->pass.modes == NULL ? PASS_SKIP : (enum pass_mode)p->pass.modes[p->i];
    bool last = p->i + 1 == log->segment_count;

    if (mode != PASS_SKIP)
        return mode;
    if (p->pass.epochs || last)
        return PASS_READ;
    return log->segments[p->i + 1]->base > p->pass.producers_from ? PASS_READ : PASS_SKIP;
}

/* The scan begins inside of this segment; NULL: at its first byte. */
static const struct scan_point *point_in(const struct passing *p)
{
    const struct scan_point *point = p->pass.point;

    return point != NULL && mode_of(p) == PASS_REBUILD && p->segment->base == point->base ? point : NULL;
}

/* What side files have of batches behind the point is forgotten only. */
static void rebuild_behind(struct segment *s, const struct scan_point *point)
{
    for (int i = 0; i < SIDES; i++) {
        text_deinit(&s->side[i].pending);
        s->side[i].reset = s->side[i].reset || s->side[i].written_bytes > point->side_bytes[i];
        s->side[i].written_bytes = point->side_bytes[i];
    }
    s->max_timestamp_ms = point->max_timestamp_ms;
    s->max_timestamp_offset = point->max_timestamp_offset;
    s->last_time_entry_ms = point->last_time_entry_ms;
    s->bytes_since_entry = point->bytes_since_entry;
    s->timestamps_known = true;
}

/* Forget what the side files say: the batches will say it again. */
static void rebuild_begin(struct segment *s)
{
    for (int i = 0; i < SIDES; i++) {
        text_deinit(&s->side[i].pending);
        s->side[i].reset = s->side[i].reset || s->side[i].written_bytes > 0;
        s->side[i].written_bytes = 0;
    }
    s->max_timestamp_ms = -1;
    s->max_timestamp_offset = -1;
    s->first_timestamp_ms = -1;
    s->last_time_entry_ms = -1;
    s->bytes_since_entry = 0;
    s->timestamps_known = true;
}

static bool batch_is_good(const struct passing *p, const struct batch *b)
{
    if (b->base_offset < p->end || b->base_offset < p->segment->base)
        return false;
    if (b->last_offset - p->segment->base > INT32_MAX)
        return false;
#ifdef MUTANT_LOG_NO_CRC
    return true;
#endif
    return batch_crc_ok(b);
}

/* What to do with what scan_next gave: true = go on. */
static bool take_batch(struct passing *p, enum pass_mode mode)
{
    const struct batch *b = &p->batch;
    struct log *log = p->log;
    uint32_t what = 0;

    if (p->rc < 0)
        return false;
    if (mode == PASS_REBUILD && !batch_is_good(p, b)) {
        p->rc = ERR_CORRUPT;
        p->scan.position = p->scan.batch_position;
        return false;
    }
    if (mode == PASS_REBUILD)
        what |= APPLY_INDEX;
    if ((p->pass.epochs || mode == PASS_REBUILD) && b->leader_epoch > epochs_latest(&log->epochs))
        what |= APPLY_EPOCHS;
    else if (mode == PASS_REBUILD && !p->pass.epochs && p->pass.epochs_wrong != NULL &&
             epochs_contradict(&log->epochs, b))
        *p->pass.epochs_wrong = true;
    if (b->last_offset >= p->pass.producers_from)
        what |= APPLY_PRODUCERS;
    log_apply(log, p->segment, b, p->scan.batch_position, what);
    p->end = b->last_offset + 1;
    return true;
}

static int64_t report_bad(struct passing *p)
{
    return fail_set(p->fail, p->rc, "%s: %s at byte %llu%s", p->segment->path, error_text(p->rc),
                    (unsigned long long)p->scan.position,
                    p->rc == ERR_VERSION ? "; batches of magic 0 and 1 cannot be read yet" : "");
}

/* May the log end here? Only where it was not known to be durable. */
static bool may_cut(const struct passing *p, enum pass_mode mode)
{
    if (mode != PASS_REBUILD || p->rc == ERR_VERSION)
        return false;
    return p->segment->base >= p->pass.cut_from || p->i + 1 == p->log->segment_count;
}

/* The file was longer than the log when the process ended (L7): nothing is lost. Zeros as far as was read. */
static bool is_unwritten(const struct passing *p)
{
    const struct scan *s = &p->scan;
    uint64_t end = s->window_position + s->window_bytes;

    for (uint64_t at = s->position; at >= s->window_position && at < end; at++) {
        if (s->window[at - s->window_position] != 0)
            return false;
    }
    return p->i + 1 == p->log->segment_count;
}

static void cut_here(struct passing *p)
{
    struct log *log = p->log;
    struct segment *s = p->segment;

    if (!is_unwritten(p))
        say(log->telemetry, LOG_WARN, "log",
            "%s: %s at byte %llu, behind offset %lld: the log ends here, %llu bytes and %u segments "
            "behind it are removed",
            s->path, error_text(p->rc), (unsigned long long)p->scan.position, (long long)(p->end - 1),
            (unsigned long long)(s->size_bytes - p->scan.position), log->segment_count - p->i - 1);
    log->size_bytes -= s->size_bytes - p->scan.position;
    segment_set_bytes(s, p->scan.position);
    s->rolled = s->closed = false;
    p->cut = true;
}

static void passing_end(struct passing *p, int64_t result)
{
    scan_deinit(&p->scan);
    segment_release(&p->held);
    text_deinit(&p->text);
    flow_done(&p->flow, result);
    free(p);
}

static void segment_begin(struct passing *p)
{
    const struct scan_point *point;

    p->segment = p->log->segments[p->i];
    point = point_in(p);
    if (p->end < p->segment->base)
        p->end = p->segment->base;
    if (point != NULL) {
        rebuild_behind(p->segment, point);
        p->end = point->offset;
    } else if (mode_of(p) == PASS_REBUILD) {
        rebuild_begin(p->segment);
    }
    scan_init(&p->scan, p->segment, point == NULL ? 0 : point->position, p->segment->size_bytes, true,
              SCAN_WINDOW_BYTES);
}

/* The producers as of the next segment, which nobody could tell any more once this one is deleted.
 */
static struct bytes snapshot_content(struct passing *p)
{
    struct log *log = p->log;
    int64_t base = log->segments[p->i + 1]->base;

    snapshot_name(base, p->name);
    log->snapshot_offset = base;
    text_clear(&p->text);
    producers_print(&log->producers, &p->text);
    return bytes_of_str(text_str(&p->text));
}

static void part_end(struct passing *p, int64_t result)
{
    if (result < 0 && p->fail->error == 0)
        fail_set(p->fail, (int)result, "%s: cannot %s: %s", p->log->path, p->part.step,
                 error_text((int)result));
    flow_done(&p->part, result);
}

/* All of the segment lay below the point, so it is durable. */
static bool is_as_noted(const struct passing *p)
{
    const struct scan_point *point = point_in(p);

    return point != NULL && !p->cut && p->segment->size_bytes == point->position;
}

/* The point stays where it is: what side files get behind it need not be durable. */
static enum save how_to_save(const struct passing *p)
{
    return point_in(p) != NULL && !p->segment->rolled ? SAVE_READY : SAVE_FINAL;
}

static bool is_named(const struct passing *p)
{
    const struct scan_point *point = point_in(p);

    return point != NULL && point->position > 0;
}

/* A rebuilt segment has its last size and is durable, and so are its side files: what was found may
 * have been in the page cache only, and will be told to others as stable.
 *
 * After a cut, segments go from the end, each for good before the next and before the cut: else a
 * power cut could bring one back behind a hole. */
static void rebuild_end_run(struct flow *f)
{
    struct passing *p = container_of(f, struct passing, part);
    struct log *log = p->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    while (p->cut && p->i + 1 < log->segment_count) {
        FLOW_TRY(f, "remove a segment",
                 segment_remove_files(log, log_last_segment(log)->base, &f->op));
        FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
        log_segments_remove(log, log->segment_count - 1);
    }
    if (p->cut)
        FLOW_TRY(f, "close a segment", segment_close_file(p->segment, &f->op));
    if (p->segment->rolled)
        index_apply_last(p->segment);
    FLOW_TRY(f, "open a segment", segment_use(p->segment, &f->op));
    p->held = p->segment;
    if (p->cut)
        FLOW_TRY(f, "cut a segment", io_truncate(p->segment->file, p->segment->size_bytes, &f->op));
    if (!is_as_noted(p))
        FLOW_TRY(f, "sync a segment", segment_sync(p->segment, &f->op));
    log->drained = p->end; /* its entries may be written (L3) */
    FLOW_WAIT(f, "save indexes", p->save = segment_save_start(p->segment, how_to_save(p), &f->op));
    segment_save_free(p->save);
    if (f->result < 0)
        goto failed;
    segment_release(&p->held);
    if (p->segment->rolled)
        FLOW_TRY(f, "save producers",
                 file_replace(log->io, log->path, p->name, snapshot_content(p), &f->op));
    else if (!is_named(p))
        FLOW_TRY(f, "sync the directory", io_sync_dir(log->io, log->path, &f->op));
    FLOW_END(f);
    part_end(p, 0);
    return;
failed:
    part_end(p, f->result);
}

static void pass_run(struct flow *f)
{
    struct passing *p = container_of(f, struct passing, flow);
    struct log *log = p->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    for (p->i = 0; p->i < log->segment_count; p->i++) {
        if (mode_of(p) == PASS_SKIP)
            continue;
        segment_begin(p);
        FLOW_TRY(f, "open a segment", segment_use(p->segment, &f->op));
        p->held = p->segment;
        for (;;) {
            p->rc = scan_next(&p->scan, &p->batch);
            if (p->rc == SCAN_END)
                break;
            if (p->rc == SCAN_FILL) {
                FLOW_TRY(f, "read a segment", scan_fill(&p->scan, &f->op));
                continue;
            }
            if (take_batch(p, mode_of(p)))
                continue;
            if (!may_cut(p, mode_of(p))) {
                passing_end(p, report_bad(p));
                return;
            }
            cut_here(p);
            break;
        }
        scan_deinit(&p->scan);
        segment_release(&p->held);
        if (mode_of(p) == PASS_REBUILD)
            FLOW_TRY(f, "rebuild a segment", flow_start(&p->part, rebuild_end_run, &f->op));
    }
    FLOW_END(f);
    passing_end(p, p->end);
    return;
failed:
    if (p->fail->error == 0)
        fail_set(p->fail, (int)f->result, "%s: cannot %s: %s", log->path, f->step,
                 error_text((int)f->result));
    passing_end(p, f->result);
}

void log_pass(struct log *log, const struct pass *pass, struct fail *fail, struct op *op)
{
    struct passing *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    p->log = log;
    p->pass = *pass;
    p->fail = fail;
    flow_start(&p->flow, pass_run, op);
}
