/* The sparse index from timestamps to offsets.
 *
 *   .timeindex 12 bytes: i64 largest timestamp so far | i32 last offset of the batch that holds it - base
 */
#include <stdlib.h>

#include "log/state.h"

struct probe {
    struct flow flow;
    struct segment *segment;
    struct io_file *file;
    struct time_place *out;
    int64_t sought; /* timestamp */
    uint64_t low, high, middle;
    uint64_t entries;
    uint8_t entry[TIME_ENTRY_BYTES];
    int64_t rc;
    char path[LOG_PATH_BYTES];
};

static void probe_end(struct probe *p, int64_t result)
{
    segment_unuse(p->segment);
    flow_done(&p->flow, result);
    free(p);
}

static struct time_place place_of(const struct segment *s, const void *entry)
{
    return (struct time_place){get_i64(entry), s->base + get_u32((const uint8_t *)entry + 8)};
}

/* The last entry with a timestamp <= `sought` among those that wait in memory. */
static bool find_pending(struct probe *p)
{
    const struct text *pending = &p->segment->side[SIDE_TIME].pending;

    for (size_t n = pending->n; n > 0; n -= TIME_ENTRY_BYTES) {
        *p->out = place_of(p->segment, pending->p + n - TIME_ENTRY_BYTES);
        if (p->out->timestamp_ms <= p->sought)
            return true;
    }
    *p->out = (struct time_place){-1, -1};
    return false;
}

/* Later than all that the segment holds: it would only make all questions slow. */
static bool is_impossible(const struct probe *p)
{
    return p->segment->timestamps_known && get_i64(p->entry) > p->segment->max_timestamp_ms;
}

static void find_run(struct flow *f)
{
    struct probe *p = container_of(f, struct probe, flow);
    struct io *io = p->segment->io;

    FLOW_BEGIN(f);
    if (p->segment->index_doubted)
        *p->out = (struct time_place){-1, -1};
    if (p->segment->index_doubted || find_pending(p) || p->entries == 0) {
        FLOW_WAIT(f, "turn", io_yield(io, &f->op));
        probe_end(p, 0);
        return;
    }
    FLOW_TRY(f, "open a time index", io_open(io, p->path, IO_READ, &p->file, &f->op));
    p->high = p->entries;
    if (p->sought == INT64_MAX)
        p->low = p->entries - 1; /* only the last one is wanted */
    while (p->low < p->high) { /* below `low` all are <= sought */
        p->middle = p->low + (p->high - p->low) / 2;
        FLOW_TRY(
            f, "probe a time index",
            io_read(p->file, p->middle * TIME_ENTRY_BYTES, p->entry, TIME_ENTRY_BYTES, &f->op));
        if (f->result < TIME_ENTRY_BYTES || is_impossible(p))
            goto failed;
        if (get_i64(p->entry) <= p->sought) {
            p->low = p->middle + 1;
            *p->out = place_of(p->segment, p->entry);
        } else {
            p->high = p->middle;
        }
    }
    FLOW_WAIT(f, "close a time index", io_close(p->file, &f->op));
    probe_end(p, 0);
    return;
failed: /* a file that is gone or was cut is as one that is wrong */
    p->rc = f->result;
    if (p->file != NULL)
        FLOW_WAIT(f, "close a time index", io_close(p->file, &f->op));
    FLOW_END(f);
    *p->out = (struct time_place){-1, -1};
    if (p->rc >= 0 || p->rc == -ENOENT)
        index_doubt_because(p->segment, p->rc < 0 ? "the time index is gone" : "the time index was cut, or has times of no batch");
    probe_end(p, p->rc < 0 && p->rc != -ENOENT ? p->rc : 0);
}

void time_index_find(struct segment *s, int64_t timestamp_ms, struct time_place *out, struct op *op)
{
    struct probe *p = calloc(1, sizeof(*p));

    ASSERT(p != NULL);
    p->segment = s;
    p->out = out;
    p->sought = timestamp_ms;
    p->entries = s->side[SIDE_TIME].written_bytes / TIME_ENTRY_BYTES;
    log_file_path(s->log, s->base, ".timeindex", p->path);
    s->users++; /* with its file closed this keeps the struct alone */
    if (list_linked(&s->idle))
        list_remove(&s->idle);
    flow_start(&p->flow, find_run, op);
}
