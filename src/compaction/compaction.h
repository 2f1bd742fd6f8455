/* compaction/compaction.h - what log compaction keeps of a log: decisions, without I/O.
 *
 *   pass 1   batches of the dirty part ─► compaction_learn  ─► the last offset of each key
 *   pass 2   all batches               ─► compaction_filter ─► as it is, made anew, emptied, gone
 *
 *   K1  The record with the last offset of its key stays; one that a later record of the key follows
 *       goes. A tombstone (a record without value) that is the last one stays until its delete
 *       horizon has passed (KIP-534).
 *   K2  A record that stays keeps its offset, and a batch its base and last offset, its producer
 *       fields and its codec.
 *   K3  Of a batch that loses all its records the caller may keep the header: the last batch of a
 *       producer, for its sequences, and the last one of the range.
 *   K4  Records of aborted transactions go. A marker stays as long as a batch of its transaction was
 *       met, and then until a delete horizon of its own has passed.
 *   K5  What was not learned (behind compaction_learned_end) stays whole.
 *
 * A batch goes through a pass once, batches in the order of the log. Rule: Kafka's Cleaner, 4.3.
 */
#pragma once

#include "base/base.h"
#include "record/record.h"

#define COMPACTION_SECRET_BYTES 16

/* What a batch may become when it is decompressed. Batches of compacted topics were decompressed
 * when they were produced, under a limit that is far lower; this one is for logs that others wrote.
 */
#define COMPACTION_PLAIN_BYTES_MAX ((size_t)256 << 20)

struct compaction_rules {
    int64_t first_dirty;         /* records from here on are learned */
    int64_t first_uncleanable;   /* > first_dirty: nothing behind it is given to a pass */
    int64_t now_ms;              /* wall clock */
    int64_t delete_retention_ms; /* delete.retention.ms */
    uint64_t map_bytes_max; /* of the key map: log.cleaner.dedupe.buffer.size, or a share of it */
    double load_factor;     /* log.cleaner.io.buffer.load.factor; brought into (0, 1) */
    uint8_t secret[COMPACTION_SECRET_BYTES]; /* random: keys that collide cannot be made up */
};

struct compaction_counts {
    uint64_t records_learned;
    uint64_t records_read, records_kept; /* of pass 2, without control records */
    uint64_t bytes_read, bytes_kept;     /* of whole batches */
    uint64_t without_key;                /* records that were dropped because they have no key */
    uint64_t keys;                       /* in the map */
    double map_used;                     /* part of the places that the map may take, 0 to 1 */
};

/* A transaction that an abort marker ended, as in a transaction index. */
struct compaction_aborted {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;        /* of the marker */
    int64_t last_stable_offset; /* after it */
};

struct compaction; /* one compaction of one log */

/* Ready for pass 1. NULL when there is no memory for the map. */
struct compaction *compaction_new(const struct compaction_rules *rules);
void compaction_free(struct compaction *c); /* accepts NULL */

/* Tell of aborted transactions, before the first batch that lies behind their first offset. One may
 * be told of again. */
void compaction_add_aborted(struct compaction *c, const struct compaction_aborted *aborted,
                            uint32_t count);

/* Pass 1. 0, or COMPACTION_FULL: the map holds no more keys, the pass ends here.
 * Fails  ERR_CORRUPT, ERR_LIMIT (COMPACTION_PLAIN_BYTES_MAX), -ENOMEM  of its records */
enum { COMPACTION_FULL = 1 };
MUST int compaction_learn(struct compaction *c, const struct batch *batch);

/* Begin pass 2, at the start of the log: pass 1 came to first_uncleanable, or the map was full. */
void compaction_begin_filter(struct compaction *c);

/* First offset that was not learned, known from then on: where the log is dirty from when pass 2
 * has come to its end. */
int64_t compaction_learned_end(const struct compaction *c);

/* What pass 2 does with a batch. */
enum compaction_fate {
    FATE_GONE,      /* nothing was appended to `out` */
    FATE_AS_IT_IS,  /* its bytes were */
    FATE_MADE_ANEW, /* a batch with some of its records, or with a delete horizon */
    FATE_EMPTIED,   /* a batch without records (K3) */
};

/* Pass 2: append to `out` what stays of `batch`; -> enum compaction_fate.
 *
 *   keep_empty  when no record stays, keep a batch without records (K3)
 *   aborted     NULL, or room for the transaction that this batch, an abort marker, ended and that is
 *               still to be found in the log's transaction index; `*aborted_is_set` says so
 * Fails  as compaction_learn; then `out` is as before */
MUST int compaction_filter(struct compaction *c, const struct batch *batch, bool keep_empty,
                           struct text *out, struct compaction_aborted *aborted,
                           bool *aborted_is_set);

struct compaction_counts compaction_counts(const struct compaction *c);

/* ---- which segments become one --------------------------------------------------------------- */

struct compaction_segment {
    int64_t base;
    int64_t next_base; /* of the segment behind it, or where cleaning ends */
    uint64_t bytes, index_bytes, time_index_bytes;
};

/* How many of `segments` (count > 0, ascending) go into one: as many as fit into a segment and its
 * indexes. */
uint32_t compaction_group(const struct compaction_segment *segments, uint32_t count,
                          uint64_t segment_bytes_max, uint64_t index_bytes_max);

/* ---- which log is next ----------------------------------------------------------------------- */

/* A log as the cleaner sees it. */
struct compaction_log {
    uint64_t clean_bytes;     /* below the first dirty offset */
    uint64_t cleanable_bytes; /* from there to the first uncleanable one */
    int64_t dirty_since_ms;   /* timestamp of the oldest dirty segment's first batch; -1 unknown, or
                                 nothing is dirty */
    double ratio_min;         /* min.cleanable.dirty.ratio */
    int64_t lag_max_ms;       /* max.compaction.lag.ms */
};

/* How dirty it is, 0 to 1. */
double compaction_ratio(const struct compaction_log *log);

/* Whether it is worth cleaning at `now_ms` (wall clock): dirtier than ratio_min, or dirty for
 * longer than lag_max_ms. */
bool compaction_is_due(const struct compaction_log *log, int64_t now_ms);

/* Whether `a` goes before `b`; both are due. Those past their lag first, then the dirtier one. */
bool compaction_before(const struct compaction_log *a, const struct compaction_log *b,
                       int64_t now_ms);
