/* support.h - logs as texts of batches, for the tests of this room. */
#pragma once

#include "compaction/compaction.h"

struct test_record {
    const char *key;   /* NULL = none */
    const char *value; /* NULL = a tombstone */
};

struct test_batch {
    int64_t producer_id; /* 0 = none */
    int32_t sequence;
    bool transactional;
    int marker; /* 0 none, 1 commit, 2 abort */
    enum codec codec;
    bool log_append_time;
    int64_t timestamp_ms; /* of the first record, the others +1 each */
    const struct test_record *records;
    int32_t count;
};

/* Append the batch at `base_offset`; -> the next offset. */
int64_t add_batch(struct text *log, int64_t base_offset, const struct test_batch *b);

/* A batch of one record without a producer. */
int64_t add_one(struct text *log, int64_t base_offset, const char *key, const char *value);

/* One line a batch, and one a record:
 *
 *   base..last pid=P seq=S txn control zstd horizon=H max=T
 *     offset time key=value       ~ is null */
void dump(const struct text *log, struct text *out);

/* Both passes over `log`, which becomes what stays. `keep` says for a batch that its empty header
 * is to be kept; NULL = only the one that ends at first_uncleanable is. Returns where the log is
 * dirty from now on. */
int64_t compact(struct text *log, struct compaction_rules rules,
                const struct compaction_aborted *aborted, uint32_t aborted_count,
                bool (*keep)(void *ctx, const struct batch *b), void *ctx,
                struct compaction_counts *counts, struct text *aborted_kept);
