/* A log's life, and what it says about itself. */
#include <stdlib.h>

#include "log/journal.h"
#include "log/state.h"

void ops_complete_all(struct io *io, struct list *ops, int64_t result)
{
    while (!list_empty(ops)) {
        struct op *op = container_of(list_take_head(ops), struct op, node);
        io_complete(io, op, result);
    }
}

/* ---- trouble ------------------------------------------------------------------------------- */

void log_fail(struct log *log, int64_t error, const char *what)
{
    struct log_dir *dir = log->dir;
    struct fail why = {0};

    if (!log->failed) {
        log->failed = true;
        if (log->opened)
            worker_wake(log); /* ends what waits */
        if (log->user.journal != NULL)
            journal_look(log->user.journal);
    }
    if (error == ERR_OFFLINE)
        return;
    fail_set(&why, (int)error, "cannot %s of %s-%d: %s", what, log->topic, log->partition,
             error_text((int)error));
    log_dir_fail(dir, log->io, log->telemetry, &why);
}

bool log_is_failed(struct log *log)
{
    if (!log->failed && !log_dir_is_online(log->dir))
        log_fail(log, ERR_OFFLINE, "use it");
    return log->failed;
}

int log_shut_error(const struct log *log)
{
    return log->closing ? ERR_CLOSED : -ERANGE;
}

/* ---- segments ------------------------------------------------------------------------------ */

uint32_t log_segment_index(const struct log *log, int64_t offset)
{
    uint32_t low = 0, high = log->segment_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? 0 : low - 1;
}

struct segment *log_last_segment(const struct log *log)
{
    ASSERT(log->segment_count > 0);
    return log->segments[log->segment_count - 1];
}

void log_segments_add(struct log *log, struct segment *s)
{
    ASSERT(log->segment_count == 0 || log_last_segment(log)->base < s->base);
    if (log->segment_count == log->segment_capacity) {
        log->segment_capacity = log->segment_capacity == 0 ? 2 : log->segment_capacity * 2;
        log->segments = realloc(log->segments, log->segment_capacity * sizeof(struct segment *));
        ASSERT(log->segments != NULL);
    }
    log->segments[log->segment_count++] = s;
}

void log_segments_remove(struct log *log, uint32_t index)
{
    struct segment *s = log->segments[index];

    ASSERT(index < log->segment_count);
    log->size_bytes -= s->size_bytes;
    log->segment_count--;
    memmove(log->segments + index, log->segments + index + 1,
            (log->segment_count - index) * sizeof(struct segment *));
    segment_drop(s);
}

void log_segments_replace(struct log *log, uint32_t index, uint32_t count, struct segment *s)
{
    struct segment *first = log->segments[index];

    ASSERT(count > 0 && index + count < log->segment_count); /* never the one that is written to */
    ASSERT(first->base == s->base);
    while (count-- > 1)
        log_segments_remove(log, index + count);
    log->size_bytes += s->size_bytes;
    log->size_bytes -= first->size_bytes;
    log->segments[index] = s;
    log->layout++;
    segment_drop(first);
}

/* ---- the end ------------------------------------------------------------------------------- */

void log_free(struct log *log)
{
    io_timer_clear(&log->sync_timer);
    io_timer_clear(&log->place_timer);
    if (log->user.journal != NULL)
        journal_leave(log->user.journal, log);
    drain_write_end(log);
    scan_point_leave(log);
    text_deinit(&log->point.snapshot);
    tail_deinit(&log->tail);
    while (log->segment_count > 0)
        log_segments_remove(log, log->segment_count - 1);
    free(log->segments);
    epochs_deinit(&log->epochs);
    producers_deinit(&log->producers);
    text_deinit(&log->epochs_text);
    free(log->topic);
    free(log->path);
    free(log);
}

/* ---- questions ----------------------------------------------------------------------------- */

int64_t log_first_segment(const struct log *log)
{
    return log->segments[0]->base;
}

uint32_t log_segment_count(const struct log *log)
{
    return log->segment_count;
}

int64_t log_start(const struct log *log)
{
    return log->start;
}

int64_t log_drained(const struct log *log)
{
    return log->drained;
}

int64_t log_stable(const struct log *log)
{
    return log->stable;
}

int64_t log_end(const struct log *log)
{
    return log->end;
}

struct uuid log_topic_id(const struct log *log)
{
    return log->topic_id;
}

uint64_t log_size_bytes(const struct log *log)
{
    return log->size_bytes;
}

/* The scan after a crash must begin in a segment whose side files are not durable, so in the last one at least: the
 * next one may begin at its end. */
int64_t log_recovery_point(const struct log *log)
{
    int64_t point = log->recovery_point, end = log->end;

#ifdef MUTANT_LOG_POINT_AT_END
    return point;
#endif
    for (uint32_t i = log->segment_count; i-- > 0 && !log->segments[i]->closed; end = log->segments[i]->base) {
        if (end - 1 < point && log->segments[i]->size_bytes > 0)
            point = end - 1;
    }
    return point;
}

int64_t log_first_dirty(const struct log *log)
{
    return log->first_dirty;
}

void log_set_settings(struct log *log, const struct log_settings *settings)
{
    log->settings = *settings;
    log->producers.expiration_ms = settings->producer_expiration_ms;
    /* It may not be journalled any more. An epoch that was noted is no reason to wake: it waits for its first batch,
     * so that a start does not sync a file of each partition. */
    if (!log->closing && log->drained < log->end && worker_has_work(log))
        worker_wake(log);
}

int64_t log_max_timestamp_ms(const struct log *log)
{
    int64_t max = -1;

    for (uint32_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i]->max_timestamp_ms > max)
            max = log->segments[i]->max_timestamp_ms;
    }
    return max;
}

void log_expire_producers(struct log *log)
{
    producers_expire(&log->producers, io_wall_ms(log->io));
}

struct epoch_end log_epoch_end(const struct log *log, int32_t epoch)
{
    return epochs_end(&log->epochs, epoch, log->end);
}

int32_t log_latest_epoch(const struct log *log)
{
    return epochs_latest(&log->epochs);
}

int32_t log_epoch_at(const struct log *log, int64_t offset)
{
    return epochs_at(&log->epochs, offset);
}

int64_t log_epoch_start(const struct log *log, int32_t epoch)
{
    return epochs_start(&log->epochs, epoch);
}

int64_t log_last_stable_offset(struct log *log, int64_t high_watermark)
{
    int64_t first = producers_first_unstable(&log->producers, high_watermark);

    if (first < 0 || first >= high_watermark)
        return high_watermark;
    return first < log->start ? log->start : first;
}

bool log_never_aborted(const struct log *log)
{
    return !log->aborts;
}

uint32_t log_producers(const struct log *log, struct log_producer *out, uint32_t max)
{
    uint32_t count = 0;

    MAP_EACH (node, &log->producers.by_id) {
        const struct producer *x = container_of(node, struct producer, node);
        if (count < max) {
            out[count] = (struct log_producer){
                .producer_id = x->id,
                .last_timestamp_ms = x->last_timestamp_ms,
                .transaction_start = x->transaction_start,
                .last_sequence =
                    x->batch_count == 0 ? -1 : x->batches[x->batch_count - 1].last_sequence,
                .coordinator_epoch = x->coordinator_epoch,
                .epoch = x->epoch,
            };
        }
        count++;
    }
    return count;
}
