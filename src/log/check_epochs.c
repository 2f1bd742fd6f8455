/* Whether the file of leader epochs says what the batches say. Its digits have no checksum, and a follower is cut by
 * what it says; so the places that it names are looked at. */
#include <stdlib.h>

#include "log/recover.h"
#include "log/scan.h"

/* Older epochs are asked for by nobody who was away for less than so many leaders. */
#define EPOCHS_CHECKED 4

struct check_epochs {
    struct flow flow;
    struct log *log;
    bool *wrong;
    uint32_t i;      /* of the epoch; their count: the log's last batch */
    int64_t offset;  /* around which to look: the batch before, and the one that has it */
    struct segment *segment, *held;
    struct scan scan;
    struct batch batch;
    int rc;
};

static void check_end(struct check_epochs *c, int64_t result)
{
    scan_deinit(&c->scan);
    segment_release(&c->held);
    flow_done(&c->flow, result);
    free(c);
}

static bool next_place(struct check_epochs *c)
{
    const struct epochs *e = &c->log->epochs;

    while (c->i < e->count && e->entries[c->i].start <= c->log->segments[0]->base)
        c->i++;
    if (c->i > e->count || *c->wrong)
        return false;
    c->offset = c->i < e->count ? e->entries[c->i].start : c->log->end - 1;
    if (c->offset > c->log->end - 1) /* one without batches, which goes */
        c->offset = c->log->end - 1;
    c->i++;
    return true;
}

static void scan_begin(struct check_epochs *c)
{
    scan_deinit(&c->scan);
    scan_init(&c->scan, c->segment, 0, c->segment->size_bytes, false, SCAN_WINDOW_BYTES);
    scan_jump(&c->scan, index_find(c->segment, c->offset - 1), 0);
}

/* An epoch may start where no batch is any more, but not inside of one. */
static void take(struct check_epochs *c)
{
    const struct epochs *e = &c->log->epochs;
    const struct batch *b = &c->batch;

    *c->wrong = epochs_contradict(e, b) || epochs_at(e, b->base_offset) != epochs_at(e, b->last_offset);
}

/* To the segment that has `offset`, from the one that has what lies before. */
static bool next_segment(struct check_epochs *c)
{
    const struct log *log = c->log;
    uint32_t next = log_segment_index(log, c->segment->base) + 1;

    if (*c->wrong || next >= log->segment_count || log->segments[next]->base > c->offset)
        return false;
    c->segment = log->segments[next];
    return true;
}

static void check_run(struct flow *f)
{
    struct check_epochs *c = container_of(f, struct check_epochs, flow);

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "turn", io_yield(c->log->io, &f->op));
    while (next_place(c)) {
        c->segment = c->log->segments[log_segment_index(c->log, c->offset - 1)];
        do {
            FLOW_TRY(f, "open a segment", segment_use(c->segment, &f->op));
            c->held = c->segment;
            while (!index_covers(c->segment, c->offset - 1))
                FLOW_TRY(f, "read an index", index_load(c->segment, c->offset - 1, &f->op));
            scan_begin(c);
            while (!*c->wrong && (c->rc = scan_next(&c->scan, &c->batch)) > 0) {
                if (c->rc == SCAN_FILL)
                    FLOW_TRY(f, "read a segment", scan_fill(&c->scan, &f->op));
                else
                    take(c);
                if (c->rc == SCAN_BATCH && c->batch.last_offset >= c->offset)
                    break;
            }
            segment_release(&c->held);
        } while (next_segment(c));
    }
    FLOW_END(f);
    check_end(c, 0);
    return;
failed:
    check_end(c, f->result);
}

void log_check_epochs(struct log *log, bool *wrong, struct op *op)
{
    struct check_epochs *c;

    if (log->epochs.count == 0 || log->size_bytes == 0) {
        io_complete(log->io, op, 0);
        return;
    }
    c = calloc(1, sizeof(*c));
    ASSERT(c != NULL);
    c->log = log;
    c->wrong = wrong;
    c->i = log->epochs.count > EPOCHS_CHECKED ? log->epochs.count - EPOCHS_CHECKED : 0;
    flow_start(&c->flow, check_run, op);
}
