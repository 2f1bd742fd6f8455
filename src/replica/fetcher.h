/* replica/fetcher.h - the follower's side: for each broker that leads what this shard follows a fetcher, which asks it
 * for what is new (internal).
 *
 *   role ─► fetcher_take_role ─► READY ─ Fetch ─ answer ─► appended: UNSTABLE ─ stable ─► READY ─ the next Fetch
 *              HELD ◄─ throttle ─► ▲                  ├─── diverges ─► CUT ───────────────┤
 *                                  │                  ├─── out of range ─► LOST ─ ListOffsets ─► CUT or READY
 *                                  └─ its timer ─ WAITS ◄─ error
 *
 *   F1  A Fetch names a partition's end, and only while all of it is stable: whoever leads takes the fetch offset for
 *       what this node has on stable storage.
 *   F2  One Fetch of a fetcher is under way. The next one leaves when everything in its answer is stable: one answer,
 *       one commit. What is not stable in time (a disk that is full) does not hold up the others: they go on.
 *   F3  Only what is READY is in the leader's session: about anything else it would answer at once, always.
 *   F4  An answer counts for a partition while nothing of it has changed since it was asked for.
 *   F5  A Fetch costs what has changed. Nothing here goes through all partitions, but where a session begins; before
 *       each, through those that are throttled.
 *   F6  A session ends with this node's registration: a leader takes into the ISR only whom it has heard of under the
 *       one in force (KIP-903), and of what does not move a session says nothing.
 *
 * Rules: KIP-73, 101, 227, 279, 595, 903; interop of the replica fetcher.
 */
#pragma once

#include "client/client.h"
#include "protocol/fetch.h"
#include "protocol/list_offsets.h"
#include "replica/internal.h"

/* What was appended is given so long to become stable before the others go on without it (F2). */
#define FETCHER_STABLE_WAIT_NS (500 * INT64_C(1000000))

enum following_state {
    FOLLOWING_READY,
    FOLLOWING_UNSTABLE, /* what it has must become stable before more is asked for */
    FOLLOWING_HELD,     /* too much was fetched lately of what is throttled (fetcher_throttle.c) */
    FOLLOWING_WAITS,    /* after an error */
    FOLLOWING_LOST,     /* its end is outside of the leader's log: the leader is asked where that begins and ends */
    FOLLOWING_CUT,      /* its log is being cut */
    FOLLOWING_FENCED,   /* the leader has a newer epoch: until metadata says it, too */
};

/* A partition that is followed, or that the leader's session has yet to forget. */
struct following {
    struct map_node node;  /* in fetcher.by_id */
    struct list all;       /* in fetcher.all */
    struct list changed;   /* in fetcher.changed: the next Fetch tells of it */
    struct list lost;      /* in fetcher.lost or fetcher.asking */
    struct list throttled; /* in fetcher.throttled */
    struct fetcher *fetcher;
    struct replica *replica; /* NULL: it is not followed any more */
    struct uuid topic_id;
    int32_t partition;
    int32_t leader_epoch;  /* that it is followed under */
    enum following_state state;
    bool told;             /* the session has it */
    bool asked;            /* and as it is now (F4) */
    int64_t told_start;    /* the log start that the leader knows */
    uint64_t round;        /* UNSTABLE: waited for in this round; see fetcher.round */
    bool begins;           /* LOST: the leader's start is asked for, not its end */
    bool in_offsets;       /* by the call that is under way */
    uint32_t attempts;     /* that have failed since one did not */
    int64_t lag;           /* records behind the leader's high watermark; -1 it has not said yet */
    struct io_timer timer; /* while it WAITS */
};

/* A session with one leader (KIP-227). */
struct fetcher {
    struct list node;      /* in replicas.fetchers */
    struct replicas *set;
    int32_t leader;
    bool known;            /* the image says where it is */
    struct map by_id;      /* struct following */
    struct list all;       /* the same, those that had records last at the end */
    struct list changed;
    struct list throttled; /* the topic's settings name this broker's replica */
    uint32_t ready;        /* how many are READY */
    uint32_t away;         /* how many are LOST or CUT: they will be READY soon */
    bool rests;            /* nothing was, when it looked last */

    int32_t session_id, session_epoch; /* epoch 0: the next Fetch is a full one */
    int64_t broker_epoch;  /* of this node, under which the session was told what it knows */
    bool busy;             /* `call` is under way */
    bool prepared;         /* and was put together */
    bool renews;           /* and is cancelled, because the leader is another process now */
    struct client_call call;
    struct fetch_request request;
    struct arena arena;    /* of `request` */

    uint32_t unstable;     /* that the next Fetch waits for */
    uint64_t round;        /* counts Fetches, and waits for stability that were given up */
    int64_t stable_by_ns;  /* how long it waits */
    int64_t retry_ns;      /* before which nothing is asked */
    uint32_t attempts;
    int64_t wake_ns;       /* when the next partition that WAITS or is HELD is READY again, or some time before that */
    struct io_timer timer;

    struct list lost;      /* partitions to ask ListOffsets for; `asking` those that `offsets` asks for */
    struct list asking;
    bool offsets_busy;
    struct client_call offsets;
    struct list_offsets_request offsets_request;
    struct arena offsets_arena;

    struct counter *bytes_in;
};

/* ---- fetcher.c ------------------------------------------------------------------------------- */

void following_set_state(struct following *p, enum following_state state);
/* The leader is to be told of it with the next Fetch; what it was asked for still counts. */
void following_changed(struct following *p);
/* From now on its log is at rest, and ends where it is to be fetched from. */
void following_begin(struct following *p);
/* Later; the more often it has failed, the later, up to replica.fetch.backoff.ms. */
void following_wait(struct following *p);
struct following *following_find(const struct fetcher *f, struct uuid topic_id, int32_t partition);
void following_free(struct following *p); /* nobody follows it, and the session does not know it */
/* The wait before try number `attempts`, in nanoseconds. */
int64_t fetcher_backoff_ns(const struct fetcher *f, uint32_t attempts);
void fetcher_pump(struct fetcher *f);
struct io *fetcher_io(const struct fetcher *f);
/* Of the image's metadata.version; NULL before there is one. */
const struct metadata_version *fetcher_version(const struct fetcher *f);

/* ---- fetcher_throttle.c ---------------------------------------------------------------------- */

/* The settings, or whom it follows, have changed. */
void following_take_throttle(struct following *p);
void following_drop_throttle(struct following *p);
/* Before a Fetch is made: what is throttled and not in sync is held, or goes on. */
void fetcher_hold_back(struct fetcher *f);
void fetcher_wake_at(struct fetcher *f, int64_t at_ns);

/* ---- fetcher_session.c ----------------------------------------------------------------------- */

/* Send a Fetch of what is ready. */
void fetcher_send(struct fetcher *f);
/* The next Fetch is a full one. `forgotten`: the leader has no session any more. */
void session_break(struct fetcher *f, bool forgotten);
void session_go_on(struct fetcher *f, const struct fetch_response *a);

/* ---- fetcher_answer.c ------------------------------------------------------------------------ */

/* The call has ended: client_call.op's done. */
void fetcher_answered(struct op *op, int64_t result);
/* Append sound batches, `records.n` > 0, that begin at the log's end; the partition is UNSTABLE then, or WAITS. */
void following_append(struct following *p, struct bytes records);

/* ---- fetcher_offsets.c ----------------------------------------------------------------------- */

/* Its end is outside of the leader's log: find out what is to be done. */
void following_lose(struct following *p);
void offsets_pump(struct fetcher *f);

/* ---- fetcher_cut.c --------------------------------------------------------------------------- */

/* The log is cut, so that it ends at `offset`: within [start, end], or anywhere, where it begins `anew`, empty. Then
 * `records`, which are copied, are appended; none: n = 0. */
void following_cut(struct following *p, int64_t offset, bool anew, struct bytes records);
