/* The place of a segment on the disk: the file of the last segment may be longer than what was drained, and has zeros
 * there. It gets its exact size when the segment ends and when the log is closed.
 *
 * A file with zeros behind its batches is one where a scan ends, ours and Kafka's: so a segment is cut for good before
 * the next one gets a file (L7).
 */
#include "log/state.h"

static bool is_to_be_cut(const struct log *log, const struct segment *s)
{
    return (s->rolled || log->leaving) && s->drained_bytes == s->size_bytes && s->file_bytes > s->size_bytes;
}

/* The oldest one. */
static struct segment *next_to_cut(const struct log *log)
{
    struct segment *found = NULL;

    for (uint32_t i = log->segment_count; i-- > 0 && !log->segments[i]->closed;) {
        if (is_to_be_cut(log, log->segments[i]))
            found = log->segments[i];
    }
    return found;
}

bool log_cut_is_due(struct log *log)
{
    return !log_is_failed(log) && next_to_cut(log) != NULL;
}

bool log_is_cut(const struct log *log)
{
    for (uint32_t i = log->segment_count - 1; i-- > 0 && !log->segments[i]->closed;) {
        const struct segment *s = log->segments[i];
        if (s->drained_bytes < s->size_bytes || s->file_bytes > s->size_bytes)
            return false;
    }
    return true;
}

static void use_next_to_cut(struct log *log, struct op *op)
{
    log->cut_held = next_to_cut(log);
    segment_use(log->cut_held, op);
}

static void cut_run(struct flow *f)
{
    struct log *log = container_of(f, struct log, part);
    struct segment *s = log->cut_held;

    FLOW_BEGIN(f);
    FLOW_WAIT(f, "open a segment", use_next_to_cut(log, &f->op));
    if (f->result < 0) {
        log->cut_held = NULL;
        goto failed;
    }
    FLOW_TRY(f, "cut a segment", io_truncate(s->file, s->size_bytes, &f->op));
#ifndef MUTANT_JOURNAL_DRAINED_EARLY
    FLOW_TRY(f, "sync a segment", io_sync(s->file, &f->op));
#endif
    s->file_bytes = s->size_bytes;
    s->durable_bytes = s->size_bytes;
    log_segment_synced(log, s);
    FLOW_END(f);
    segment_release(&log->cut_held);
    flow_done(f, 0);
    return;
failed:
    segment_release(&log->cut_held);
    flow_done(f, f->result);
}

void log_cut(struct log *log, struct op *op)
{
    flow_start(&log->part, cut_run, op);
}
