/* Which transactions were aborted between two offsets. */
#include <stdlib.h>

#include "log/state.h"

struct collecting {
    struct flow flow;
    struct log *log;
    int64_t from, to;
    struct arena *arena;
    struct log_aborted **out;
    uint32_t generation, layout;
    uint32_t i;
    struct segment *segment;
    struct text entries; /* of one segment: what is in its file, then what is pending */
    struct text pending;
    uint64_t in_file;
    struct text found; /* struct log_aborted */
    bool complete;
    char path[LOG_PATH_BYTES];
};

static void collect_run(struct flow *f);

/* Segments went or were replaced meanwhile: which ones were read, nobody can tell. */
static bool begins_anew(struct collecting *c)
{
    if (c->layout == c->log->layout || c->generation != c->log->generation)
        return false;
    text_clear(&c->found);
    c->complete = false;
    flow_start(&c->flow, collect_run, c->flow.parent);
    return true;
}

static void collecting_end(struct collecting *c, int64_t result)
{
    if (begins_anew(c))
        return;
    text_deinit(&c->entries);
    text_deinit(&c->pending);
    text_deinit(&c->found);
    gate_leave(&c->log->gate);
    flow_done(&c->flow, result);
    free(c);
}

/* Both parts as of now: what is pending may move to the file while that is being read. */
static bool segment_begin(struct collecting *c)
{
    const struct side_file *x;

    c->segment = c->log->segments[c->i];
    x = &c->segment->side[SIDE_TXN];
    c->in_file = x->written_bytes;
    text_clear(&c->entries);
    text_clear(&c->pending);
    text_add(&c->pending, x->pending.p, x->pending.n);
    log_file_path(c->log, c->segment->base, ".txnindex", c->path);
    return c->in_file > 0 || c->pending.n > 0;
}

/* The file is there, as long as it was, and says what can be of this segment. */
static bool file_is_sane(const struct collecting *c, int64_t result)
{
    const struct log *log = c->log;
    int64_t end = c->i + 1 < log->segment_count ? log->segments[c->i + 1]->base : log->end;

    if (c->in_file == 0)
        return true;
    if (result < 0 || c->entries.n < c->in_file)
        return false;
    return txn_entries_are_sane(c->segment, end, (struct bytes){(const uint8_t *)c->entries.p, (int32_t)c->in_file});
}

static void say_doubt(const struct collecting *c)
{
    say(c->log->telemetry, LOG_WARN, "log",
        "%s is missing, was cut, or does not fit its segment: it is made again from the batches", c->path);
}

/* Rule: interop 2.7. An entry whose last stable offset reaches `to` is the last that can matter. */
static void take_entries(struct collecting *c)
{
    if (c->entries.n > c->in_file)
        c->entries.n = c->in_file;
    text_add(&c->entries, c->pending.p, c->pending.n);
    for (size_t at = 0; at + TXN_ENTRY_BYTES <= c->entries.n; at += TXN_ENTRY_BYTES) {
        const uint8_t *e = (const uint8_t *)c->entries.p + at;
        struct log_aborted aborted = {get_i64(e + 2), get_i64(e + 10), get_i64(e + 18),
                                      get_i64(e + 26)};
        if (aborted.last_offset >= c->from && aborted.first_offset < c->to)
            text_add(&c->found, &aborted, sizeof(aborted));
        if (aborted.last_stable_offset >= c->to) {
            c->complete = true;
            return;
        }
    }
}

static int64_t give(struct collecting *c)
{
    size_t count = c->found.n / sizeof(struct log_aborted);
    struct log_aborted *out = arena_take_array(c->arena, count, sizeof(*out));

    if (out == NULL)
        return -ENOMEM;
    if (count > 0)
        memcpy(out, c->found.p, count * sizeof(*out));
    *c->out = out;
    return (int64_t)count;
}

static void collect_run(struct flow *f)
{
    struct collecting *c = container_of(f, struct collecting, flow);
    struct log *log = c->log;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(log->io, &f->op));
    c->layout = log->layout;
    for (c->i = log_segment_index(log, c->from); c->i < log->segment_count && !c->complete;
         c->i++) {
        if (!segment_begin(c))
            continue;
        if (c->in_file > 0)
            FLOW_WAIT(f, "read a transaction index",
                      file_read_all(log->io, c->path, SMALL_FILE_BYTES_MAX, &c->entries, &f->op));
        if (c->generation != log->generation || c->layout != log->layout) {
            collecting_end(c, -ERANGE);
            return;
        }
        if (c->in_file > 0 && f->result < 0 && f->result != -ENOENT && f->result != ERR_LIMIT)
            goto failed;
        if (!file_is_sane(c, f->result)) {
            say_doubt(c);
            FLOW_TRY(f, "make a transaction index again", txn_index_remake(log, c->segment, &f->op));
            c->i--; /* once more */
            continue;
        }
        take_entries(c);
    }
    FLOW_END(f);
    collecting_end(c, c->layout != log->layout ? -ERANGE : give(c));
    return;
failed:
    collecting_end(c, c->generation != log->generation ? -ERANGE : f->result);
}

void log_aborted_between(struct log *log, int64_t from, int64_t to, struct arena *arena,
                         struct log_aborted **out, struct op *op)
{
    struct collecting *c;

    if (!gate_enter(&log->gate)) {
        io_complete(log->io, op, log_shut_error(log));
        return;
    }
    c = calloc(1, sizeof(*c));
    ASSERT(c != NULL);
    c->log = log;
    c->from = from;
    c->to = to;
    c->arena = arena;
    c->out = out;
    c->generation = log->generation;
    flow_start(&c->flow, collect_run, op);
}
