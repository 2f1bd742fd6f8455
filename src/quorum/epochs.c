/* Where epochs end in the log and in its snapshots, and what only a snapshot can bring on. */
#include "quorum/internal.h"

int32_t quorum_epoch_before(const struct quorum *q, int64_t offset)
{
    for (uint32_t i = 0; i < q->snapshots.count; i++) {
        if (q->snapshots.files[i].id.end_offset == offset)
            return q->snapshots.files[i].id.epoch;
    }
    int32_t epoch = offset > log_start(q->log) ? log_epoch_at(q->log, offset - 1) : -1;
    return epoch < 0 ? 0 : epoch;
}

struct epoch_end quorum_epoch_end(const struct quorum *q, int32_t epoch)
{
    struct epoch_end end = log_epoch_end(q->log, epoch);

    if (end.epoch < 0)
        return (struct epoch_end){q->end_epoch, log_end(q->log)};
    return end;
}

/* The oldest snapshot that the log can go on from. */
static const struct snapshot_file *first_snapshot(const struct quorum *q)
{
    for (uint32_t i = 0; i < q->snapshots.count; i++) {
        const struct snapshot_file *file = &q->snapshots.files[i];
        if (!snapshot_is_bootstrap(file->id) && file->id.end_offset >= log_start(q->log))
            return file;
    }
    return NULL;
}

/* Rule: interop of RaftLog.validateOffsetAndEpoch. */
bool quorum_needs_snapshot(const struct quorum *q, int64_t offset, int32_t epoch)
{
    const struct snapshot_file *first = first_snapshot(q);
    int64_t start = log_start(q->log);

    if (first == NULL)
        return false;
    if (offset == 0 || offset < start)
        return true;
    if (offset == start && first->id.end_offset == start && epoch != first->id.epoch)
        return true;
    return epoch < first->id.epoch; /* which of the epochs before it began where is not known any more */
}
