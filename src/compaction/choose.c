/* Which segments become one, and which log is next. */
#include "compaction/compaction.h"

/* Rule: Kafka's groupSegmentsBySize. Offsets in a segment are 31 bits above its base; one without
 * batches takes none. */
static bool fits(const struct compaction_segment *s, int64_t base)
{
    return s->bytes == 0 || s->next_base - 1 - base <= INT32_MAX;
}

uint32_t compaction_group(const struct compaction_segment *segments, uint32_t count,
                          uint64_t segment_bytes_max, uint64_t index_bytes_max)
{
    struct compaction_segment sum = segments[0];
    uint32_t n = 1;

    for (; n < count; n++) {
        const struct compaction_segment *s = &segments[n];
        sum.bytes += s->bytes;
        sum.index_bytes += s->index_bytes;
        sum.time_index_bytes += s->time_index_bytes;
        if (sum.bytes > segment_bytes_max || sum.index_bytes > index_bytes_max ||
            sum.time_index_bytes > index_bytes_max || !fits(s, segments[0].base))
            break;
    }
    return n;
}

double compaction_ratio(const struct compaction_log *log)
{
    uint64_t all = log->clean_bytes + log->cleanable_bytes;

    return all == 0 ? 0 : (double)log->cleanable_bytes / (double)all;
}

static bool is_past_lag(const struct compaction_log *log, int64_t now_ms)
{
    return log->dirty_since_ms > 0 && log->cleanable_bytes > 0 && log->lag_max_ms < now_ms &&
           log->dirty_since_ms < now_ms - log->lag_max_ms;
}

bool compaction_is_due(const struct compaction_log *log, int64_t now_ms)
{
    return is_past_lag(log, now_ms) || compaction_ratio(log) > log->ratio_min;
}

bool compaction_before(const struct compaction_log *a, const struct compaction_log *b,
                       int64_t now_ms)
{
    bool late_a = is_past_lag(a, now_ms), late_b = is_past_lag(b, now_ms);

    if (late_a != late_b)
        return late_a;
    return compaction_ratio(a) > compaction_ratio(b);
}
