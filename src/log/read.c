/* Reading: spans of memory, or of a segment file. */
#include <stdlib.h>

#include "log/scan.h"
#include "log/state.h"

/* Headers lie close together where batches are small; larger batches have an index entry each. */
#define HEADS_CHUNK_BYTES (16U * 1024)

/* What one span keeps alive. */
struct log_hold {
    struct log_hold *next;
    struct tail_block *block;
    struct segment *segment;
};

void log_spans_release(struct log_spans *spans)
{
    struct log_hold *hold = spans->holds;

    while (hold != NULL) {
        struct log_hold *next = hold->next; /* the arena may be gone with the last one */
        if (hold->block != NULL)
            tail_block_read_end(hold->block);
        if (hold->segment != NULL)
            segment_unuse(hold->segment);
        hold = next;
    }
    *spans = (struct log_spans){0};
}

/* ---- from memory --------------------------------------------------------------------------- */

/* The furthest batch start that page notes show behind `end`, within the limits: every batch before
 * it is wholly below `limit`. */
static struct tail_at skip_pages(const struct tail *t, struct tail_at end, uint64_t stream_max,
                                 int64_t limit)
{
    struct tail_at best = end;

    for (uint32_t i = end.block; i < t->count; i++) {
        const struct tail_block *b = t->blocks[t->first + i];
        for (uint32_t page = 0; page < b->capacity / TAIL_PAGE_BYTES; page++) {
            const struct tail_start *start = &b->starts[page];
            if (start->at == TAIL_NONE || (i == end.block && start->at < end.at))
                continue;
            if (start->base_offset > limit || b->stream + start->at > stream_max)
                return best;
            best = (struct tail_at){i, start->at};
        }
    }
    return best;
}

static struct tail_at find_end(const struct tail *t, struct tail_at end, uint64_t stream_max,
                               int64_t limit)
{
    end = skip_pages(t, end, stream_max, limit);
    while (!tail_is_end(t, end)) {
        struct batch head = tail_head(t, end);
        if (head.last_offset >= limit)
            break;
        if (tail_stream_at(t, end) + (uint64_t)head.bytes.n > stream_max)
            break;
        end = tail_forward(t, end, (uint32_t)head.bytes.n);
    }
    return end;
}

/* Spans of [from, end). Without memory for them nothing is given: the reader comes again. */
static void give_memory(struct log *log, const struct log_read *r, struct tail_at from,
                        struct tail_at end, struct log_spans *out)
{
    const struct tail *t = &log->tail;
    uint32_t count = end.block - from.block + (tail_is_end(t, end) ? 0 : 1);
    struct io_span *spans = arena_take_array(r->arena, count, sizeof(*spans));
    struct log_hold *holds = arena_take_array(r->arena, count, sizeof(*holds));
    struct log_spans given = {.spans = spans};

    if (spans == NULL || holds == NULL)
        return;
    for (uint32_t i = from.block; i < from.block + count; i++) {
        struct tail_block *b = t->blocks[t->first + i];
        uint32_t start = i == from.block ? from.at : b->from;
        uint32_t stop = i == end.block ? end.at : b->used;
        if (stop == start)
            continue;
        spans[given.count] = (struct io_span){.p = b->p + start, .n = stop - start};
        tail_block_read(b);
        holds[given.count] = (struct log_hold){.next = given.holds, .block = b};
        given.holds = &holds[given.count];
        given.count++;
        given.total_bytes += stop - start;
    }
    *out = given;
}

static bool read_memory(struct log *log, const struct log_read *r, struct log_spans *out)
{
    const struct tail *t = &log->tail;
    struct tail_at from, end;
    struct batch first;

    *out = (struct log_spans){0};
    if (r->offset >= log->end || r->offset >= r->limit)
        return true;
    if (r->offset < tail_first_offset(log))
        return false;
    from = tail_find(t, r->offset);
    if (tail_is_end(t, from))
        return true;
    first = tail_head(t, from);
    if (first.last_offset >= r->limit)
        return true;
    if ((uint32_t)first.bytes.n > r->max_bytes && !r->first_whole)
        return true;
    end = tail_forward(t, from, (uint32_t)first.bytes.n);
    end = find_end(t, end, tail_stream_at(t, from) + r->max_bytes, r->limit);
    give_memory(log, r, from, end, out);
    return true;
}

/* Readers that do not take what they are sent would pin all memory: from here on they are sent from the file. */
static bool readers_hold_much(const struct log_memory *m)
{
    return m->read_bytes_max > 0 && m->read_bytes >= m->read_bytes_max;
}

bool log_read_tail(struct log *log, const struct log_read *r, struct log_spans *out)
{
    *out = (struct log_spans){0};
    if (r->offset < log->drained && r->offset < r->limit && readers_hold_much(log->memory))
        return false;
    return read_memory(log, r, out);
}

/* ---- from files ---------------------------------------------------------------------------- */

struct cold {
    struct flow flow;
    struct log *log;
    const struct log_read *r;
    struct log_spans *out;
    uint32_t generation, layout;
    struct segment *segment, *held;
    struct scan scan;
    struct batch batch, first;
    int rc;
    int64_t after;                /* offset that the next batch of the segment must be above */
    uint64_t start, end, end_max; /* of what is given, in the file */
};

static void cold_run(struct flow *f);

/* Other segments lie where it was read: what is sought is in one of them. */
static bool is_to_be_found_anew(const struct cold *c)
{
    return c->layout != c->log->layout && c->generation == c->log->generation &&
           c->r->offset >= c->log->start;
}

static void cold_end(struct cold *c, int64_t result)
{
    scan_deinit(&c->scan);
    segment_release(&c->held);
    if (result < 0 && result != -ENOMEM && is_to_be_found_anew(c)) {
        c->layout = c->log->layout;
        flow_start(&c->flow, cold_run, c->flow.parent);
        return;
    }
    if (result < 0 && result != -ENOMEM && c->generation != c->log->generation)
        result = -ERANGE; /* it was cut meanwhile */
    gate_leave(&c->log->gate);
    flow_done(&c->flow, result);
    free(c);
}

/* Truncated, or its segment removed or replaced: what was found means nothing. */
static bool is_stale(const struct cold *c)
{
    return c->generation != c->log->generation || c->segment->log == NULL;
}

/* The next one that has bytes in its file. The cleaner leaves empty ones in the middle. */
static bool next_segment(struct cold *c)
{
    const struct log *log = c->log;
    uint32_t next = log_segment_index(log, c->segment->base) + 1;

    while (next < log->segment_count && log->segments[next]->size_bytes == 0)
        next++;
    if (next >= log->segment_count || log->segments[next]->whole_bytes == 0)
        return false;
    c->segment = log->segments[next];
    return true;
}

/* Everything in the file of the segment is below the limit, and fits. */
static bool rest_is_wanted(const struct cold *c)
{
    const struct log *log = c->log;
    const struct segment *s = c->segment;
    uint32_t next = log_segment_index(log, s->base) + 1;
    int64_t below = next < log->segment_count && s->whole_bytes == s->size_bytes
                        ? log->segments[next]->base
                        : log->drained;

    return below <= c->r->limit && s->whole_bytes <= c->end_max;
}

/* The batches behind the furthest that an index knows to be wanted are looked at one by one. Its entry is held against
 * the batch: else a position that is wrong would give what lies behind the limit, or half a batch. */
static void jump(struct cold *c)
{
    struct index_place place = index_find_end(c->segment, c->end, c->end_max, c->r->limit);

    c->scan.position = c->end;
    if (place.last_offset >= 0 && place.position < c->segment->whole_bytes)
        scan_jump(&c->scan, place, c->end);
}

/* The first batch is found: false when it is not to be given. */
static bool take_first(struct cold *c)
{
    uint32_t n = (uint32_t)c->first.bytes.n;

    if (c->first.last_offset >= c->r->limit || (n > c->r->max_bytes && !c->r->first_whole))
        return false;
    c->end = c->start + n;
    c->end_max = c->start + c->r->max_bytes;
    if (rest_is_wanted(c)) {
        c->end = c->segment->whole_bytes;
        return true;
    }
    jump(c);
    return true;
}

static bool take_one_more(struct cold *c)
{
    c->end = c->scan.batch_position; /* up to here the index has vouched for, or the batches before have */
    if (c->batch.last_offset >= c->r->limit || c->scan.position > c->end_max)
        return false;
    c->end = c->scan.position;
    return true;
}

/* Where the next segment begins, or what is not in the file yet: all batches of the segment's file end below. */
static int64_t offsets_end(const struct cold *c)
{
    const struct log *log = c->log;
    uint32_t next = log_segment_index(log, c->segment->base) + 1;

    return next < log->segment_count ? log->segments[next]->base : log->end;
}

/* A batch's offsets are not under its checksum: one that is elsewhere in the log would send its readers there. */
static int check_offsets(struct cold *c)
{
    if (c->scan.batch_position == 0)
        c->after = c->segment->base - 1; /* also when an index has been wrong */
    if (c->batch.base_offset <= c->after || c->batch.last_offset >= offsets_end(c)) {
        c->scan.position = c->scan.batch_position;
        return ERR_CORRUPT;
    }
    c->after = c->batch.last_offset;
    return SCAN_BATCH;
}

/* The first batch by the one behind it. Of those that follow, none is looked at that need not be. */
static bool is_out_of_place(const struct cold *c)
{
    return c->rc == SCAN_BATCH && c->batch.base_offset <= c->first.last_offset;
}

/* Said once per segment: whoever reads it comes again and again. */
static int64_t say_damage(struct cold *c, uint64_t position, int error)
{
    struct segment *s = c->segment;

    if (!s->damage_said)
        say(c->log->telemetry, LOG_ERROR, "log",
            "%s: at byte %llu is no batch of offsets %lld to %lld: %s; reads of offset %lld fail, other partitions are "
            "served. Stop the server and run `millrace log verify` to see all that is damaged",
            s->path, (unsigned long long)position, (long long)s->base, (long long)offsets_end(c) - 1, error_text(error),
            (long long)c->r->offset);
    s->damage_said = true;
    return error;
}

static int64_t give_file(struct cold *c)
{
    struct io_span *span = arena_take(c->r->arena, sizeof(*span));
    struct log_hold *hold = arena_take(c->r->arena, sizeof(*hold));

    if (span == NULL || hold == NULL)
        return -ENOMEM;
    *span = (struct io_span){
        .file = c->segment->file, .position = c->start, .n = (uint32_t)(c->end - c->start)};
    *hold = (struct log_hold){.segment = c->held};
    c->held = NULL; /* the hold has it now */
    *c->out = (struct log_spans){span, 1, span->n, hold};
    return span->n;
}

static int64_t give_tail(struct cold *c)
{
    struct log_read r = *c->r;
    int64_t first = tail_first_offset(c->log);

    if (r.offset < first)
        r.offset = first; /* no batch of the files reaches so far: a gap */
    (void)read_memory(c->log, &r, c->out); /* it lies above the files */
    return c->out->total_bytes;
}

/* The file may be shorter than it was: sending from it would break the connection, and all else on it. */
static int64_t finish(struct cold *c, int64_t file_bytes)
{
    if (is_stale(c))
        return -ERANGE;
    return (uint64_t)file_bytes < c->end ? say_damage(c, c->start, ERR_SHORT) : give_file(c);
}

static void search_begin(struct cold *c)
{
    c->after = c->segment->base - 1;
    scan_init(&c->scan, c->segment, 0, c->segment->whole_bytes, false, HEADS_CHUNK_BYTES);
    scan_jump(&c->scan, index_find(c->segment, c->r->offset), 0);
}

static void cold_run(struct flow *f)
{
    struct cold *c = container_of(f, struct cold, flow);

    FLOW_BEGIN(f);
    c->segment = c->log->segments[log_segment_index(c->log, c->r->offset)];
    do {
        FLOW_TRY(f, "open a segment", segment_use(c->segment, &f->op));
        c->held = c->segment;
        while (!is_stale(c) && !index_covers(c->segment, c->r->offset))
            FLOW_TRY(f, "read an index", index_load(c->segment, c->r->offset, &f->op));
        if (is_stale(c)) {
            cold_end(c, -ERANGE);
            return;
        }
        search_begin(c);
        while ((c->rc = scan_next(&c->scan, &c->batch)) > 0) {
            if (c->rc == SCAN_FILL)
                FLOW_WAIT(f, "read a segment", scan_fill(&c->scan, &f->op));
            if (is_stale(c))
                break;
            if (c->rc == SCAN_FILL && f->result < 0)
                c->rc = (int)f->result;
            else if (c->rc == SCAN_BATCH)
                c->rc = check_offsets(c);
            if (c->rc < 0 || (c->rc == SCAN_BATCH && c->batch.last_offset >= c->r->offset))
                break;
        }
        if (is_stale(c) || c->rc < 0) {
            cold_end(c, is_stale(c) ? -ERANGE : say_damage(c, c->scan.position, c->rc));
            return;
        }
        reindex_if_doubted(c->segment);
        if (c->rc == SCAN_BATCH)
            break;
        scan_deinit(&c->scan);
        segment_release(&c->held);
    } while (next_segment(c));
    if (c->rc == SCAN_END) {
        cold_end(c, give_tail(c));
        return;
    }
    c->first = c->batch;
    c->start = c->scan.batch_position;
    while ((c->rc = scan_next(&c->scan, &c->batch)) == SCAN_FILL) {
        FLOW_WAIT(f, "read a segment", scan_fill(&c->scan, &f->op));
        if (f->result < 0)
            break; /* that is for who reads there */
    }
    if (is_stale(c) || is_out_of_place(c)) {
        cold_end(c, is_stale(c) ? -ERANGE : say_damage(c, c->start, ERR_CORRUPT));
        return;
    }
    if (!take_first(c)) {
        cold_end(c, 0);
        return;
    }
    while (c->end < c->segment->whole_bytes && (c->rc = scan_next(&c->scan, &c->batch)) > 0) {
        if (c->rc == SCAN_FILL)
            FLOW_WAIT(f, "read a segment", scan_fill(&c->scan, &f->op));
        if (c->rc == SCAN_FILL ? f->result < 0 : !take_one_more(c))
            break; /* what is wrong behind is said to who reads it */
    }
    FLOW_TRY(f, "size", io_size(c->held->file, &f->op));
    FLOW_END(f);
    cold_end(c, finish(c, f->result));
    return;
failed:
    cold_end(c, f->result);
}

void log_read_cold(struct log *log, const struct log_read *r, struct log_spans *out, struct op *op)
{
    struct cold *c;

    *out = (struct log_spans){0};
    if (r->offset < log->start || r->offset > log->end) {
        io_complete(log->io, op, -ERANGE);
        return;
    }
    if (r->offset >= r->limit || r->offset == log->end) {
        io_complete(log->io, op, 0);
        return;
    }
    if (!gate_enter(&log->gate)) {
        io_complete(log->io, op, log_shut_error(log));
        return;
    }
    c = calloc(1, sizeof(*c));
    ASSERT(c != NULL);
    c->log = log;
    c->r = r;
    c->out = out;
    c->generation = log->generation;
    c->layout = log->layout;
    flow_start(&c->flow, cold_run, op);
}

/* ---- copies -------------------------------------------------------------------------------- */

struct copying {
    struct flow flow;
    struct log *log;
    const struct log_read *r;
    struct text *out;
    struct log_spans spans;
    uint8_t *bytes;
    uint32_t i, got;
};

static void copying_end(struct copying *c, int64_t result)
{
    log_spans_release(&c->spans);
    free(c->bytes);
    flow_done(&c->flow, result);
    free(c);
}

static void copy_run(struct flow *f)
{
    struct copying *c = container_of(f, struct copying, flow);

    FLOW_BEGIN(f);
    if (log_read_tail(c->log, c->r, &c->spans))
        FLOW_WAIT(f, "turn", io_yield(c->log->io, &f->op));
    else
        FLOW_TRY(f, "read", log_read_cold(c->log, c->r, &c->spans, &f->op));
    for (c->i = 0; c->i < c->spans.count; c->i++) {
        if (c->spans.spans[c->i].p != NULL) {
            text_add(c->out, c->spans.spans[c->i].p, c->spans.spans[c->i].n);
            continue;
        }
        c->bytes = malloc(c->spans.spans[c->i].n);
        ASSERT(c->bytes != NULL);
        for (c->got = 0; c->got < c->spans.spans[c->i].n; c->got += (uint32_t)f->result) {
            FLOW_TRY(f, "read a segment",
                     io_read(c->spans.spans[c->i].file, c->spans.spans[c->i].position + c->got,
                             c->bytes + c->got, c->spans.spans[c->i].n - c->got, &f->op));
            if (f->result == 0) {
                copying_end(c, ERR_SHORT);
                return;
            }
        }
        text_add(c->out, c->bytes, c->spans.spans[c->i].n);
        free(c->bytes);
        c->bytes = NULL;
    }
    FLOW_END(f);
    copying_end(c, c->spans.total_bytes);
    return;
failed:
    copying_end(c, f->result);
}

void log_read_bytes(struct log *log, const struct log_read *r, struct text *out, struct op *op)
{
    struct copying *c = calloc(1, sizeof(*c));

    ASSERT(c != NULL);
    c->log = log;
    c->r = r;
    c->out = out;
    flow_start(&c->flow, copy_run, op);
}
