/* New batches at the end. */
#include "log/state.h"

void log_apply(struct log *log, struct segment *s, const struct batch *b, uint64_t position,
               uint32_t what)
{
    struct txn_completed done;

    if (what & APPLY_EPOCHS)
        epochs_apply(&log->epochs, b);
    if (what & APPLY_INDEX)
        index_apply(s, b, position, log->settings.index_interval_bytes);
    if ((what & APPLY_PRODUCERS) == 0 || !producers_apply(&log->producers, b, &done))
        return;
    if ((what & APPLY_INDEX) == 0 || !done.aborted)
        return;
    txn_index_apply(s, &done);
    log->aborts = true;
}

/* `b` has its final offsets and epoch. */
static void append_one(struct log *log, const struct batch *b, int64_t now_ms)
{
    struct segment *s;
    uint64_t position;

    log_roll_if_due(log, b);
    s = log_last_segment(log);
    position = s->size_bytes;
    tail_append(log, s, b, b->base_offset, b->leader_epoch);
    s->modified_ms = now_ms;
    log->end = b->last_offset + 1;
    log->size_bytes += (uint64_t)b->bytes.n;
    log_apply(log, s, b, position, APPLY_ALL);
#ifdef MUTANT_LOG_STABLE_AT_APPEND
    log->stable = log->end;
#endif
}

enum kerr log_append(struct log *log, const struct batch *batch, int32_t leader_epoch,
                     int64_t now_ms, struct log_appended *out)
{
    const struct producer_batch *duplicate;
    struct batch b = *batch;

    ASSERT(!log->busy);
    ASSERT(!log->closing);
    if (log_is_failed(log))
        return KERR_KAFKA_STORAGE_ERROR;
    if ((uint32_t)b.bytes.n > log->settings.segment_bytes)
        return KERR_RECORD_LIST_TOO_LARGE;
    enum kerr error = producers_check(&log->producers, &b, &duplicate);
    if (error != KERR_NONE)
        return error;
    if (duplicate != NULL) {
        *out = (struct log_appended){
            .base_offset = duplicate->last_offset - duplicate->offset_delta,
            .last_offset = duplicate->last_offset,
            .append_time_ms = duplicate->timestamp_ms,
            .start_offset = log->start,
            .duplicate = true,
        };
        return KERR_NONE;
    }
    if (log->place_lacks || !log_dir_take_room(log->dir, b.bytes.n))
        return KERR_KAFKA_STORAGE_ERROR;
    b.base_offset = log->end;
    b.last_offset = log->end + b.last_offset_delta;
    b.leader_epoch = leader_epoch;
    append_one(log, &b, now_ms);
    log_stabilize(log);
    *out = (struct log_appended){
        .base_offset = b.base_offset,
        .last_offset = b.last_offset,
        .append_time_ms = -1,
        .start_offset = log->start,
    };
    return KERR_NONE;
}

/* All whole batches of `batches` are good and follow one another from `end` on. */
static int check_stamped(struct bytes batches, int64_t end)
{
    struct batch b;

    while (batches.n > 0) {
        int n = batch_read(batches, &b, NULL);
        if (n == ERR_SHORT)
            return 0;
        TRY(n);
        if (b.base_offset < end || !batch_crc_ok(&b))
            return ERR_CORRUPT;
        end = b.last_offset + 1;
        batches.p += n;
        batches.n -= n;
    }
    return 0;
}

int log_append_stamped(struct log *log, struct bytes batches, int64_t now_ms)
{
    struct batch b;

    ASSERT(!log->busy);
    ASSERT(!log->closing);
    if (log_is_failed(log))
        return ERR_OFFLINE;
    TRY(check_stamped(batches, log->end));
    while (batches.n > 0) {
        int n = batch_read(batches, &b, NULL);
        if (n == ERR_SHORT)
            break; /* a fetch may end in the middle of a batch */
        append_one(log, &b, now_ms);
        batches.p += n;
        batches.n -= n;
    }
    log_stabilize(log);
    return 0;
}
