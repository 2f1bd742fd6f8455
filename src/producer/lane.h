/* producer/lane.h - what of one partition may be sent next, and what an answer means: a machine. Private to this room.
 *
 *              ┌── answer that ends it, or deadline ──► done ─► told of, in order
 *   to send ─► on its way
 *      ▲         │ trouble, passing errors (in doubt, unless the answer says that nothing was appended)
 *      └─ quiet ─┘
 *
 *   S1  A batch gets its sequence when it is sent first, and keeps it as long as it may be in a log.
 *   S2  After trouble nothing is sent until nothing is on its way any more: then all go again, in order.
 *   S3  Until a broker has acknowledged a batch of the epoch, one batch is on its way: a broker takes any sequence
 *       from a producer that it does not know, so the second could shut out the first.
 *   S4  At most five batches are sent and not known: so many a broker remembers.
 *   S5  A batch that fails after it had a sequence leaves a gap. What is in doubt behind it is asked for until it is
 *       known; then the epoch is bumped, and the rest gets new sequences from 0 (KIP-360).
 *   S6  Done batches are told of in order, those that are known later than others keep them waiting.
 */
#pragma once

#include "base/base.h"

#define LANE_UNACKED_MAX 5u /* Kafka's brokers keep the last five batches of a producer */

struct producer_partition;
struct producer_batch;

/* Of a batch: what is known of it. */
struct batch_fate {
    int64_t producer_id;
    int32_t base_sequence;  /* -1 = has none (yet) */
    int16_t producer_epoch;
    int16_t code;           /* done: enum kerr */
    uint32_t attempts;      /* times that it was sent */
    bool on_its_way;
    bool left;              /* on its way: some byte of its request may have left (the sender notes it) */
    bool in_doubt;          /* a broker may have it although nobody said so */
    bool done;              /* acknowledged or failed */
    bool definite;          /* done, failed: no broker has it */
    bool told;              /* of by the hook; waits only for its request to end */
    int64_t base_offset, append_time_ms;
};

/* Of a partition. */
struct lane {
    struct list unacked;    /* batches that were sent, or are done, oldest first */
    uint32_t on_its_way;
    bool retrying;          /* S2 */
    bool known;             /* S3 */
    bool bump_due;          /* S5 */
    bool lost;              /* sequences mean nothing any more to the broker: what is in doubt stays so */
    int64_t retry_at_ms;    /* nothing is sent before */
    int64_t producer_id;    /* -1 none */
    int16_t producer_epoch;
    int32_t next_sequence;
};

/* Who we are for brokers. */
struct lane_identity {
    bool idempotent;
    int64_t producer_id;    /* -1 = not known (yet) */
    int16_t producer_epoch;
    bool wanted;            /* set by producer_lane_next: a (new) producer id is missing */
};

struct lane_rules {
    uint32_t retries;
    int64_t delivery_timeout_ms;
    int16_t acks;
    uint64_t *bumps;        /* counts epochs */
};

/* What came of a batch that was sent. */
struct lane_answer {
    int trouble;            /* < 0: there was no answer; then `sent` counts */
    bool sent;              /* some byte may have left */
    int16_t code;           /* enum kerr */
    int64_t base_offset, append_time_ms;
    struct str message;     /* the broker's; null */
    int64_t backoff_ms;     /* before it is sent again, if it is */
};

enum lane_verdict {
    LANE_DONE,  /* it is done, well or not */
    LANE_AGAIN, /* it will be sent again */
    LANE_SPLIT, /* it is too large: split it, then it is sent again */
};

void producer_lane_init(struct lane *l);

/* The batch to send next, or NULL: nothing now. The open batch is closed when it is its turn and it is due: until then
 * it goes on being filled. */
struct producer_batch *producer_lane_next(struct producer_partition *part, struct lane_identity *who,
                                          const struct lane_rules *rules, bool open_is_due, int64_t now_ms);
/* It is being sent: it has its sequence, and is in `unacked`. */
void producer_lane_sent(struct producer_partition *part, struct producer_batch *b, const struct lane_identity *who);
enum lane_verdict producer_lane_answered(struct producer_partition *part, struct producer_batch *b,
                                         const struct lane_rules *rules, const struct lane_answer *answer,
                                         int64_t now_ms);
/* What is older than delivery.timeout.ms fails; save what is on its way and has not left: the sender takes it back
 * first. Returns when the next one will, INT64_MAX never. */
int64_t producer_lane_expire(struct producer_partition *part, const struct lane_rules *rules, int64_t now_ms);
/* Everything fails: `why` (enum batch_why) and `code`; save what is on its way and has not left, if `but_unsent`. */
void producer_lane_fail(struct producer_partition *part, int why, int16_t code, bool but_unsent);
/* The topic was deleted and made again: its log knows nobody. */
void producer_lane_restart(struct producer_partition *part);
/* The oldest batch is done: it is to be told of. */
bool producer_lane_is_done(const struct producer_partition *part);
/* The oldest batch when it is done, taken out of the lane; NULL. Its memory stays while it is on its way. */
struct producer_batch *producer_lane_take(struct producer_partition *part);
/* Whether a code says that no broker has appended the batch. */
bool producer_lane_is_definite(int16_t code, int16_t acks);
