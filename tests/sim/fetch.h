/* fetch.h - one Fetch over several partitions, held against the truth. */
#pragma once

#include "truth.h"

#define FETCH_PARTITIONS_MAX 24 /* of a reader; more are read by others */

struct fetch_slot {
    struct part *part;
    int64_t position;       /* next offset to read; moves on, also over records that are gone */
    int64_t from;           /* where it has read from on without a gap */
    bool is_lost;           /* its position was below the start */
    int64_t floor;          /* of the high watermark when it was asked */
    int64_t start_low;      /* T11: the start was known to be this at least when it was asked */
    int64_t high_watermark; /* of the last answer; -1 = none yet */
    int64_t told;           /* the position that the fetch session knows, if it knows the slot */
    bool is_told;
};

struct fetcher {
    struct rpc rpc;
    struct peer *peer;
    struct op op;
    struct op *waiter;
    struct fetch_slot slots[FETCH_PARTITIONS_MAX];
    uint32_t count;
    int16_t version;
    bool in_session;        /* it keeps a fetch session (KIP-227), from version 7 on; drawn with the version */
    bool any_replica;       /* it asks whoever has a replica: one may be behind where another was read */
    int32_t session_id, session_epoch;
    int32_t max_wait_ms, min_bytes, partition_bytes_max;
    uint64_t records;       /* read so far */
};

/* Ask once for everything in `slots`, and for the starts of those whose records are gone. Completes with 0 when an answer was
 * taken, also one that says "not now"; or with trouble. */
void fetch_once(struct fetcher *f, struct client *c, struct peer *peer, struct op *op);
/* Draw how it asks from now on: version, with a session or without. */
void fetch_draw(struct fetcher *f, struct client *c);
/* Partitions whose topics go away are dropped from the slots. */
void fetch_drop_dying(struct fetcher *f);
void fetch_drop_all(struct fetcher *f);
