/* A log as the histories need it: records, and where epochs begin. */
#include "cluster.h"

/* Begins anew what contradicts it. */
static void begin_epoch(struct model_log *log, int32_t epoch)
{
    while (log->start_count > 0) {
        const struct replication_end *last = &log->starts[log->start_count - 1];
        if (last->epoch < epoch && last->end_offset < log->end)
            break;
        log->start_count--;
    }
    ASSERT(log->start_count < EPOCHS);
    log->starts[log->start_count++] = (struct replication_end){epoch, log->end};
}

void log_note(struct model_log *log, int32_t epoch)
{
    if (log_last_epoch(log) != epoch)
        begin_epoch(log, epoch);
}

void log_add(struct model_log *log, int32_t epoch, uint32_t value)
{
    ASSERT(log->end < RECORDS);
    log_note(log, epoch);
    log->epoch[log->end] = epoch;
    log->value[log->end++] = value;
}

void log_cut(struct model_log *log, int64_t end)
{
    ASSERT(end >= 0 && end <= log->end);
    log->end = end;
    log->stable = log->stable < end ? log->stable : end;
    while (log->start_count > 0 && log->starts[log->start_count - 1].end_offset >= end)
        log->start_count--;
}

struct replication_end log_end_of_epoch(const struct model_log *log, int32_t epoch)
{
    uint32_t next = 0;

    if (epoch < 0 || log->start_count == 0 || epoch > log->starts[log->start_count - 1].epoch)
        return (struct replication_end){-1, -1};
    while (next < log->start_count && log->starts[next].epoch <= epoch)
        next++;
    if (next == 0)
        return (struct replication_end){epoch, log->starts[0].end_offset};
    return (struct replication_end){log->starts[next - 1].epoch,
                                    next == log->start_count ? log->end : log->starts[next].end_offset};
}

int32_t log_last_epoch(const struct model_log *log)
{
    return log->start_count == 0 ? -1 : log->starts[log->start_count - 1].epoch;
}
