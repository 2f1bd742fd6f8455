/* log/producers.h - what a log knows of its idempotent and transactional producers (KIP-98).
 *
 *   P1  A producer's entry is the effect of all its batches below `end`, and of nothing else.
 *   P2  `open` holds the transactions without a marker, `unreplicated` those whose marker the high
 *       watermark has not passed; both by first offset.
 */
#pragma once

#include "log/log.h"

#ifdef MUTANT_LOG_DEDUPE_FOUR
#define PRODUCER_BATCHES 4
#else
#define PRODUCER_BATCHES 5 /* a client has at most five requests in flight */
#endif

struct producer_batch {
    int64_t last_offset;
    int64_t timestamp_ms;
    int32_t last_sequence;
    int32_t offset_delta; /* last offset - first offset */
};

struct producer {
    struct map_node node;
    int64_t id;
    int64_t last_timestamp_ms;
    int64_t transaction_start; /* -1 none */
    int32_t coordinator_epoch; /* -1 none */
    int16_t epoch;             /* -1 none */
    uint8_t batch_count;
    struct producer_batch batches[PRODUCER_BATCHES]; /* oldest first */
};

/* A transaction that is open, or ended and not yet replicated. */
struct transaction {
    int64_t first_offset;
    int64_t last_offset; /* of the marker; -1 open */
    int64_t producer_id;
};

struct transactions {
    struct transaction *entries; /* ascending by first offset */
    uint32_t count, capacity;
};

/* A transaction that a marker has just ended. */
struct txn_completed {
    int64_t producer_id, first_offset, last_offset;
    int64_t last_stable_offset; /* after it */
    bool aborted;
};

struct producers {
    struct map by_id;
    struct transactions open, unreplicated;
    int64_t expiration_ms;
};

void producers_init(struct producers *p, int64_t expiration_ms);
void producers_deinit(struct producers *p);
void producers_clear(struct producers *p);

/* May this batch of a client be appended? KERR_NONE; `*duplicate` is then non-NULL for one of the
 * producer's last batches. */
enum kerr producers_check(const struct producers *p, const struct batch *b,
                          const struct producer_batch **duplicate);

/* Learn a batch that is in the log. True when it ended a transaction: then `*done` says which. */
bool producers_apply(struct producers *p, const struct batch *b, struct txn_completed *done);

/* Whether `b` is what the log has to remember its producer by: the last batch of data, or, when there
 * is none of the producer's epoch, a marker of that epoch. */
bool producers_last_is(const struct producers *p, const struct batch *b);

/* Become what `from` remembers of batches below `offset`; to go on from there with those behind it. */
void producers_copy_below(struct producers *to, const struct producers *from, int64_t offset);

/* Forget those that have been silent for `expiration_ms` by the wall clock, but none with an open transaction. */
void producers_expire(struct producers *p, int64_t now_ms);

/* First offset of the oldest transaction that is open or not below `high_watermark`; -1 none. */
int64_t producers_first_unstable(struct producers *p, int64_t high_watermark);

/* ---- snapshot files, version 1 ------------------------------------------------------------- */

void producers_print(const struct producers *p, struct text *out);
/* Replaces what is there; entries that have expired at `now_ms` are left out. ERR_CORRUPT. */
MUST int producers_parse(struct producers *p, struct bytes in, int64_t now_ms);
