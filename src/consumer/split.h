/* consumer/split.h - one batch in several chunks, because it has more records than a poll may give.
 *
 *   the shard     split_new ─► split_take ─► chunk, split_take ─► chunk ...     split_unref
 *   any thread                                 └─ split_open ─► reads ─► split_mark
 *
 * The batch is decompressed once, by the first chunk that is read, on the thread that reads it; and each chunk begins
 * where the one before it has ended. Threads that read chunks of one batch at the same time wait for nothing: who comes
 * while another one decompresses does so, too, and who comes before the one in front of it passes over those records.
 */
#pragma once

#include <stdatomic.h>

#include "record/record.h"

struct split {
    uint32_t refs;          /* of the piece, and of chunks: the shard's */
    struct batch batch;
    size_t plain_max;
    int32_t number;         /* of the record that is taken next */
    bool sparse;            /* offsets are missing: where a chunk ends is looked up in the records, on the shard */
    struct records ahead;   /* sparse: has read number `number`; shares `records` */

    atomic_int state;       /* enum split_state */
    struct records records; /* READY: shared */
    atomic_uint_least64_t mark; /* where the furthest reader ended: number << 32 | bytes */
};

/* NULL: the batch has `max` records at most at `position` and behind it, or what it says cannot be true: it is one
 * chunk. */
struct split *split_new(const struct batch *b, int64_t position, int32_t max, size_t plain_max);
void split_unref(struct split *s);
/* The next records from `position` on, `*count` of them: at most `max`, or, once the batch has turned out to be damaged,
 * all that is left, so that it is told once. -> the offset behind them */
int64_t split_take(struct split *s, int64_t position, int32_t max, int32_t *count);

/* Begin to read at record `number`: 0, or as records_begin. */
MUST int split_open(struct split *s, int32_t number, struct records *out);
/* A chunk was read to its end. */
void split_mark(struct split *s, const struct records *r);
