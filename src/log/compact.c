/* Compaction of one log, from top to bottom: learn the keys of the dirty segments, then write all
 * segments anew, group by group. What stays is decided in room compaction. */
#include "log/compact.h"

#include <stdlib.h>

#define CHUNK_BYTES_MIN 4096
#define CHUNK_BYTES_MAX (16U << 20)
#define RATE_UNLIMITED 1e15 /* bytes a second */

/* A job that cuts waits for us, and what we would ask of `side` would wait for the job. */
static bool is_wanted(const struct compacting *c)
{
    struct log *log = c->log;

    return !c->how->cancelled && !log->closing && log->busy == 0 && !log_is_failed(log) &&
           c->generation == log->generation;
}

bool compact_goes_on(const struct compacting *c)
{
    return is_wanted(c) && c->log->start < c->lowest_end;
}

/* ---- the rate ------------------------------------------------------------------------------ */

static void spend(struct compacting *c, int64_t bytes)
{
    int64_t now_ns = io_now_ns(c->log->io);
    double rate = c->how->bytes_per_second, ns;

    if (!(rate < RATE_UNLIMITED))
        return;
    ns = (double)bytes / (rate < 1 ? 1 : rate) * 1e9;
    if (c->due_ns < now_ns)
        c->due_ns = now_ns;
    c->due_ns += ns < 1e15 ? (int64_t)ns : (int64_t)1e15;
}

static bool must_nap(const struct compacting *c)
{
    return c->due_ns > io_now_ns(c->log->io) && compact_goes_on(c);
}

static void nap_over(struct io_timer *t)
{
    struct compacting *c = container_of(t, struct compacting, timer);

    c->part.op.done(&c->part.op, 0);
}

static void nap(struct compacting *c)
{
    int64_t until_ns = io_now_ns(c->log->io) + COMPACT_NAP_NS;

    io_timer_set(c->log->io, &c->timer, c->due_ns < until_ns ? c->due_ns : until_ns, nap_over);
}

/* ---- one segment --------------------------------------------------------------------------- */

static uint32_t chunk_bytes(const struct compacting *c)
{
    uint32_t half = c->how->buffer_bytes / 2; /* for reading; the other half for writing */

    if (half < CHUNK_BYTES_MIN)
        return CHUNK_BYTES_MIN;
    return half > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : half;
}

/* Where the segment behind the current one begins: there is one, as none of them is written to. */
static int64_t next_base(const struct compacting *c)
{
    const struct log *log = c->log;

    return log->segments[log_segment_index(log, c->segment->base) + 1]->base;
}

static void ask_for_aborted(struct compacting *c, struct op *op)
{
    int64_t from = c->segment->base;

    if (!c->filtering && from < c->first_dirty)
        from = c->first_dirty;
    log_aborted_between(c->log, from, next_base(c), &c->arena, &c->aborted, op);
}

static void take_aborted(struct compacting *c, uint32_t count)
{
    struct compaction_aborted *all = calloc(count + 1, sizeof(*all));

    ASSERT(all != NULL);
    for (uint32_t i = 0; i < count; i++) {
        const struct log_aborted *a = &c->aborted[i];
        all[i] = (struct compaction_aborted){a->producer_id, a->first_offset, a->last_offset,
                                             a->last_stable_offset};
    }
    compaction_add_aborted(c->decisions, all, count);
    free(all);
    arena_reset(&c->arena);
}

static int learn_batch(struct compacting *c)
{
    int rc;

    if (c->batch.last_offset < c->first_dirty)
        return 0;
    rc = compaction_learn(c->decisions, &c->batch);
    c->full = rc == COMPACTION_FULL;
    return rc < 0 ? rc : 0;
}

/* Rule: the last batch of a producer stays for its sequences, that of the range for its offset. */
static bool keeps_empty(const struct compacting *c)
{
    return producers_last_is(&c->log->producers, &c->batch) ||
           c->batch.last_offset + 1 == c->first_uncleanable;
}

static int filter_batch(struct compacting *c)
{
    struct compaction_aborted aborted;
    size_t before = c->buffer.n;
    bool is_set = false;

    TRY(compaction_filter(c->decisions, &c->batch, keeps_empty(c), &c->buffer, &aborted, &is_set));
    if (is_set)
        cleaned_note_aborted(c, &aborted);
    return cleaned_note(c, c->buffer.n - before);
}

static bool is_in_place(const struct compacting *c)
{
#ifdef MUTANT_LOG_COMPACTS_ANY_OFFSET
    return true;
#endif
    return c->batch.base_offset >= c->next_offset && c->batch.last_offset < c->end_offset;
}

static int take_batch(struct compacting *c)
{
    c->turn_bytes += (uint32_t)c->batch.bytes.n;
    if (!batch_crc_ok(&c->batch) || !is_in_place(c))
        return ERR_CORRUPT;
    c->next_offset = c->batch.last_offset + 1;
    return c->filtering ? filter_batch(c) : learn_batch(c);
}

/* The scan stays at a batch that it cannot read, and is behind one that it gave. */
static int64_t report_bad(struct compacting *c)
{
    uint64_t at = c->batch.bytes.p != NULL ? c->scan.batch_position : c->scan.position;

    return fail_set(c->fail, c->rc, "%s, the batch at byte %llu: %s%s", c->segment->path,
                    (unsigned long long)at, error_text(c->rc),
                    c->rc == ERR_VERSION ? "; batches of magic 0 and 1 are not compacted" : "");
}

static void walk_end(struct compacting *c, int64_t result)
{
    scan_deinit(&c->scan);
    segment_release(&c->held);
    flow_done(&c->part, result);
}

static void walk_run(struct flow *f)
{
    struct compacting *c = container_of(f, struct compacting, part);

    FLOW_BEGIN(f);
    c->next_offset = c->segment->base;
    c->end_offset = next_base(c); /* now: the log may start behind both after a wait */
    if (!log_never_aborted(c->log)) {
        FLOW_TRY(f, "read its aborted transactions", ask_for_aborted(c, &f->op));
        take_aborted(c, (uint32_t)f->result);
        if (!compact_goes_on(c))
            goto cancelled;
    }
    FLOW_TRY(f, "open a segment", segment_use(c->segment, &f->op));
    c->held = c->segment;
    scan_init(&c->scan, c->segment, 0, c->segment->size_bytes, true, chunk_bytes(c));
    while (!c->full) {
        if (!compact_goes_on(c))
            goto cancelled;
        c->batch = (struct batch){0};
        c->rc = scan_next(&c->scan, &c->batch);
        if (c->rc == SCAN_END)
            break;
        if (c->rc == SCAN_FILL) {
            FLOW_TRY(f, "read a segment", scan_fill(&c->scan, &f->op));
            spend(c, f->result);
        } else if (c->rc < 0 || (c->rc = take_batch(c)) < 0) {
            walk_end(c, report_bad(c));
            return;
        }
        if (c->buffer.n >= chunk_bytes(c)) {
            spend(c, (int64_t)c->buffer.n);
            FLOW_TRY(f, "write a compacted segment", cleaned_flush(c, &f->op));
        }
        while (must_nap(c))
            FLOW_WAIT(f, "keep to the rate", nap(c));
        if (c->turn_bytes >= COMPACT_TURN_BYTES) {
            c->turn_bytes = 0;
            FLOW_WAIT(f, "turn", io_yield(c->log->io, &f->op));
        }
    }
    if (!compact_goes_on(c)) /* the map is full, and there was a wait since */
        goto cancelled;
    FLOW_END(f);
    walk_end(c, 0);
    return;
cancelled:
    walk_end(c, -ECANCELED);
    return;
failed:
    if (!compact_goes_on(c))
        goto cancelled;
    fail_set(c->fail, (int)f->result, "%s: cannot %s: %s", c->log->path, f->step,
             error_text((int)f->result));
    walk_end(c, f->result);
}

/* ---- the passes ---------------------------------------------------------------------------- */

static bool next_dirty_segment(struct compacting *c)
{
    const struct log *log = c->log;

    if (c->full || c->from >= c->first_uncleanable)
        return false;
    c->segment = log->segments[log_segment_index(log, c->from)];
    c->from = c->lowest_end = next_base(c);
    return true;
}

static void begin_filter(struct compacting *c)
{
    compaction_begin_filter(c->decisions);
    c->filtering = true;
    c->full = false;
    c->from = c->log->segments[0]->base;
}

static struct compaction_segment size_of(const struct log *log, uint32_t i)
{
    const struct segment *s = log->segments[i];

    return (struct compaction_segment){
        .base = s->base,
        .next_base = log->segments[i + 1]->base,
        .bytes = s->size_bytes,
        .index_bytes = s->side[SIDE_INDEX].written_bytes,
        .time_index_bytes = s->side[SIDE_TIME].written_bytes,
    };
}

/* All segments below what was learned are written anew, also those that were compacted before: keys
 * in them may have got new values. */
static bool next_group(struct compacting *c)
{
    const struct log *log = c->log;
    uint32_t at = log_segment_index(log, c->from), count = 0;
    uint32_t limit = log->settings.segment_bytes;

    free(c->group);
    c->group = calloc(log->segment_count, sizeof(*c->group));
    ASSERT(c->group != NULL);
    if (c->from >= compaction_learned_end(c->decisions))
        return false;
    while (log->segments[at + count]->base < compaction_learned_end(c->decisions)) {
        c->group[count] = size_of(log, at + count);
        count++;
    }
    c->group_count =
        compaction_group(c->group, count, limit < SEGMENT_BYTES_LIMIT ? limit : SEGMENT_BYTES_LIMIT,
                         log->settings.index_bytes);
    c->from = c->group[c->group_count - 1].next_base;
    c->lowest_end = c->group[0].next_base;
    c->out->segments_before += c->group_count;
    c->out->segments_after++;
    return true;
}

static void take_segment_of_group(struct compacting *c)
{
    c->segment = c->log->segments[log_segment_index(c->log, c->group[c->i].base)];
}

static void compacting_end(struct compacting *c, int64_t result)
{
    struct log *log = c->log;

    c->out->counts = compaction_counts(c->decisions);
    if (result >= 0)
        log->first_dirty = compaction_learned_end(c->decisions);
    c->out->first_dirty = log->first_dirty;
    compaction_free(c->decisions);
    io_timer_clear(&c->timer);
    arena_deinit(&c->arena);
    text_deinit(&c->buffer);
    free(c->group);
    gate_leave(&log->gate);
    flow_done(&c->flow, result);
    free(c);
}

static void compact_run(struct flow *f)
{
    struct compacting *c = container_of(f, struct compacting, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(c->log->io, &f->op));
    if (!compact_goes_on(c))
        goto cancelled;
    while (next_dirty_segment(c))
        FLOW_TRY(f, "learn keys", flow_start(&c->part, walk_run, &f->op));
    begin_filter(c);
    while (next_group(c)) {
        FLOW_TRY(f, "make a compacted segment", cleaned_begin(c, &f->op));
        for (c->i = 0; c->i < c->group_count; c->i++) {
            if (!compact_goes_on(c))
                goto cancelled;
            take_segment_of_group(c);
            FLOW_TRY(f, "filter a segment", flow_start(&c->part, walk_run, &f->op));
        }
        FLOW_TRY(f, "finish a compacted segment", cleaned_finish(c, &f->op));
        FLOW_TRY(f, "replace segments", compact_swap(c, &f->op));
        if (!is_wanted(c))
            goto cancelled;
    }
    goto ended;
cancelled:
    f->result = -ECANCELED;
failed:
    c->result = f->result;
    if (c->result != -ECANCELED && c->fail->error == 0)
        fail_set(c->fail, (int)c->result, "%s: cannot %s: %s", c->log->path, f->step,
                 error_text((int)c->result));
    if (c->cleaned != NULL)
        FLOW_WAIT(f, "abandon a compacted segment", cleaned_abandon(c, &f->op));
ended:; /* before a brace */
    FLOW_END(f);
    compacting_end(c, c->result);
}

static struct compaction_rules rules_of(const struct compacting *c)
{
    struct compaction_rules rules = {
        .first_dirty = c->first_dirty,
        .first_uncleanable = c->first_uncleanable,
        .now_ms = io_wall_ms(c->log->io),
        .delete_retention_ms = c->how->delete_retention_ms,
        .map_bytes_max = c->how->map_bytes_max,
        .load_factor = c->how->load_factor,
    };

    io_random_bytes(c->log->io, rules.secret, sizeof(rules.secret));
    return rules;
}

/* The log may be another than the one that was measured: shorter, or with other segments. */
static int begin(struct compacting *c)
{
    struct log *log = c->log;

    if (!is_wanted(c))
        return -ECANCELED;
    c->first_dirty = c->from = log_first_dirty_now(log);
    c->first_uncleanable = log_first_untouchable(log, c->how->first_uncleanable);
    if (c->first_dirty >= c->first_uncleanable || !gate_enter(&log->gate))
        return -ECANCELED;
    return 0;
}

void log_compact(struct log *log, const struct log_compaction *how, struct log_compacted *out,
                 struct fail *fail, struct op *op)
{
    struct compacting *c = calloc(1, sizeof(*c));
    struct compaction_rules rules;
    int rc;

    ASSERT(c != NULL);
    *out = (struct log_compacted){.first_dirty = log->first_dirty};
    c->log = log;
    c->how = how;
    c->out = out;
    c->fail = fail == NULL ? &c->own_fail : fail;
    c->generation = log->generation;
    c->lowest_end = INT64_MAX;
    rc = begin(c);
    if (rc == 0) {
        rules = rules_of(c);
        c->decisions = compaction_new(&rules);
        if (c->decisions == NULL) {
            gate_leave(&log->gate);
            rc = fail_set(c->fail, -ENOMEM,
                          "%s: no memory for a map of %llu bytes; lower "
                          "log.cleaner.dedupe.buffer.size",
                          log->path, (unsigned long long)how->map_bytes_max);
        }
    }
    if (rc < 0) {
        io_complete(log->io, op, rc);
        free(c);
        return;
    }
    arena_init(&c->arena, 0);
    flow_start(&c->flow, compact_run, op);
}
