/* broker/fetch_set.h - the partitions that a reader follows: of one Fetch, or of a fetch session (internal).
 *
 *   connection's shard (home)                    shard of the partition
 *   fetch_session.c  sessions        ─ touched ─►  fetch_look.c   due ◄── its mark has moved ── quiet
 *   fetch_set.c      items             a pass        looks at what is due, reads                 (watches)
 *   api/fetch.c      one Fetch       ◄─ results ─
 *
 *   F1  On its partition's shard an item is due or quiet. Due: the next pass looks at it. Quiet: there was nothing to
 *       read and nothing new to tell; it watches its replica, and what moves that makes it due. So a pass costs what
 *       the due items cost, however many are followed.
 *   F2  Every field says which shard writes it. Home writes its fields only while no pass is under way, the other
 *       shards read them only in a pass.
 *   F3  What a pass has read belongs to the request and not to the item: the next Fetch may begin while the answer
 *       before it is still being sent.
 *   F4  A session belongs to its connection and ends with it (KIP-227 lets a client come back on another
 *       connection; clients start over when they lose one). So it needs no shard but that of the connection.
 */
#pragma once

#include "broker/scatter.h"
#include "protocol/fetch.h"

struct fetch_pass;
struct fetch_result;
struct fetch_side;

struct fetch_item {
    /* ---- home's */
    struct map_node node;       /* in set->index, of a session */
    struct list in_set, in_side;
    struct fetch_set *set;
    struct fetch_side *side;    /* NULL: it is refused, and no other shard knows it */
    struct str name;            /* of the topic; what was asked where there is no such topic */
    struct uuid topic_id;
    int32_t partition;
    enum kerr refused;          /* at home: unknown, not authorized */
    bool doubtful;              /* it is to be resolved anew by the next Fetch: its last answer was an error */
    bool leaving;               /* the next pass lets go of it, and home frees it then */
    int64_t offset;
    int32_t leader_epoch, last_epoch, bytes_max; /* as asked; -1 = not given */
    int64_t asked_log_start;    /* a follower's own */
    int64_t told_high_watermark, told_log_start; /* by the last answer; -2 = nothing */
    /* ---- the side's */
    struct list due;            /* in side->due */
    struct replica_watch watch;
    enum kerr error;            /* as it was seen by the last look */
    int64_t high_watermark, last_stable_offset, log_start;
    struct epoch_end diverging; /* epoch -1 = none */
    int32_t preferred;          /* the consumer is to read from this replica; -1 = from us */
    struct fetch_result *result; /* of the pass that has just ended, with something to send; else NULL */
    struct fetch_item *next_seen; /* by that pass */
};

/* What a set has on one shard. */
struct fetch_side {
    struct fetch_set *set;
    struct broker_shard *shard;
    /* ---- home's */
    struct list items;
    uint32_t received;          /* wakes that have arrived */
    struct io_message leave;    /* to the side and back, when the set ends */
    /* ---- the side's */
    struct list due;
    uint32_t posted;            /* wakes sent */
    bool armed;                 /* the pass has found too little: what moves tells home */
    bool moved;                 /* something became due while a pass was under way */
    int64_t heard_ms;           /* when the last Fetch came here (io_now_ms) */
    struct io_message wake;
};

/* Home's, all of it. */
struct fetch_set {
    struct broker_shard *home;
    struct fetch_side *sides;   /* by shard */
    struct arena *arena;        /* of the one request that it is for; NULL: a session's, each item is allocated */
    struct map index;           /* of a session: by topic and partition */
    struct list items;          /* in the order in which they came */
    struct list leaving;        /* those that the pass under way lets go of */
    uint32_t count;
    uint32_t doubtful, refused; /* how many of them are */
    bool by_id;                 /* topics are asked for by id (version 13 and later) */
    int8_t isolation;           /* of the last Fetch */
    int32_t reader;             /* broker that follows, or -1: the same for all Fetches of a session */
    bool by_rack;               /* consumers are sent to replicas in their rack, so followers are told at once when the
                                   high watermark moves */
    struct fetch_pass *pass;    /* of the Fetch that is under way; NULL */
    const struct authorizer *authorizer; /* under which the items were let in */

    struct list in_cache;       /* in shard->fetch_sessions, the longest unused first */
    struct fetch_set **owner;   /* the connection's pointer to its session */
    int32_t session_id, next_epoch;
    int64_t used_ns;
    uint64_t counted_bytes;     /* in the ledger */
    uint32_t sides_left;        /* while it ends */
};

/* ---- fetch_set.c ------------------------------------------------------------------------------ */

void fetch_set_init(struct fetch_set *set, struct request *r, struct arena *arena);
/* Broker id of the follower that asks, or -1. */
int32_t fetch_reader(const struct request *r);
/* Follow what the request asks for, and no longer what it forgets; all that is touched goes into the scatter. */
void fetch_set_update(struct fetch_set *set, struct request *r, struct scatter *scatter);
/* The pass is over: what was leaving is gone. */
void fetch_set_left(struct fetch_set *set);
/* Nothing of the set is under way: every side lets go, then it is freed. For sessions. */
void fetch_set_end(struct fetch_set *set);

/* ---- fetch_session.c -------------------------------------------------------------------------- */

/* A fetch session's slots are max.incremental.fetch.session.cache.slots, shared equally by the shards. One that was
 * not used for so long makes room for a new one. */
#define FETCH_SESSION_IDLE_MS 120000
/* A session with more partitions is not granted: its Fetch is answered as one without. */
#define FETCH_SESSION_PARTITIONS_MAX 20000

/* The set that the request is about, by its session id and epoch: the session's, or a new one for this request or for
 * a new session. NULL: `*error` is the answer. */
struct fetch_set *fetch_session_find(struct request *r, enum kerr *error);
/* Its answer is being made: counts the epoch on. Session id for the answer, 0 none. */
int32_t fetch_session_answered(struct fetch_set *set);
/* The connection has ended, or its client has ended the session. Accepts NULL. */
void fetch_session_end(struct fetch_set *set);

/* ---- fetch_look.c: on the partitions' shards -------------------------------------------------- */

/* What a pass has read of one partition. Of the part's arena, until it is released. */
struct fetch_result {
    struct list node;           /* in fetch_part.results */
    struct fetch_item *item;    /* valid while its Fetch is not answered */
    struct scatter_part *part;
    struct replica *replica;    /* held */
    bool throttled;             /* a follower's: what is sent counts for the leader's throttle */
    struct log_read read;
    struct log_spans spans;
    struct log_aborted *aborted;
    int64_t aborted_count;      /* -1 = none are told (read_uncommitted) */
    struct op op;
};

struct fetch_part {
    struct list results;
    struct fetch_item *seen, **seen_end; /* looked at, and still due: in order, by next_seen */
    uint32_t reading;           /* reads that have not ended, +1 while they are begun */
    uint64_t bytes, reserved_bytes; /* read; room for what is being read */
    bool failed;                /* one item has an error, or diverges: answer at once */
    bool full;                  /* something was left unread for want of room */
    bool again;                 /* something has moved meanwhile, and nobody was told */
    int64_t held_ms;            /* in which something is looked at again that the throttle holds back; 0 nothing */
};

/* What a pass needs to know of its Fetch; the scatter's state. Home's. */
struct fetch_pass {
    struct fetch_set *set;
    uint64_t min_bytes, max_bytes;
    int8_t isolation;
    int64_t reader_epoch;       /* of a broker that follows: its broker epoch, -1 not said */
    struct str rack;            /* of a consumer; empty, or null = not said */
    bool may_follow;            /* we may be read although we follow: by consumers that say their rack */
    bool first;                 /* what the request touches is taken in */
    bool last;                  /* the Fetch is answered after this one */
    bool alone;                 /* the set is for this request, and ends with it */
};

/* fetch_admit.c: NONE, or the partition's error. Where the reader's log is another one (KIP-320, KIP-595)
 * item->diverging says so; else what it asks for counts as what it has, if it follows. */
enum kerr fetch_admit(const struct fetch_pass *pass, struct fetch_item *item, struct replica *replica);
/* Which replica in the reader's rack a consumer should read from instead of this leader (KIP-392); -1 this one. */
int32_t fetch_preferred(const struct scatter_part *part, const struct fetch_item *item, const struct replica *replica);

/* Look at what is due; scatter_part_done. */
void fetch_look(struct scatter_part *part);
/* Let go of what was read; of a set for one request, of its items too. scatter_part_done. */
void fetch_release(struct scatter_part *part);
/* Let go of all items of the side. */
void fetch_side_leave(struct fetch_side *side);
/* A wake has come home (api/fetch.c). */
void fetch_woken(struct fetch_side *side);
