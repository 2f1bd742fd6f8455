/* replication/replication.h - one partition's replication as a machine.
 *
 * Leader: how far each follower is durable, who belongs into the ISR, and so the high watermark.
 * Follower: how far the leader's mark counts here, where a log that diverges is cut. Pure steps:
 * time and facts come in, what moved and what is to be proposed comes out.
 *
 *   metadata ── replication_apply ──► role, epoch, replicas, ISR
 *   followers ─ replication_fetched ─► stable ends, caught up since ─┐
 *   clock ───── replication_tick ────────────────────────────────────┴► proposal of another ISR
 *   controller ─ replication_answered ─► that ISR is in force, or the old one again
 *
 *   W1  The high watermark is the smallest stable end among the *maximal* ISR (what is in force, and what a
 *       proposal under way would add) and whoever is about to join it. It never moves back while we lead, nor on a
 *       follower but by a cut.
 *   W2  It does not advance while the ISR in force is smaller than min(min.insync.replicas, replicas).
 *   W3  An acks=all answer needs high watermark > last offset, and the committed ISR >= min ISR.
 *   W4  A replica is proposed for the ISR only with the broker epoch of its own Fetch, when its stable end has
 *       reached the high watermark and the start of our epoch (KIP-903, KIP-966).
 *   W5  One proposal at a time; what it takes away counts until it is committed.
 *
 * Rules: KIP-73, 101, 279, 320, 497, 595, 903, 966.
 */
#pragma once

#include "base/base.h"
#include "protocol/protocol.h"

#define REPLICAS_MAX 32

struct replication_replica {
    int32_t id;
    bool in_isr;             /* in force */
    bool proposed;           /* the proposal under way adds it */
    bool joining;            /* of a follower outside: caught up, and may join; W1 waits for it */
    bool may_join;           /* its broker may, as it was known at its last Fetch or since */
    int64_t stable_end;      /* of this node: log_stable; of a follower: its fetch offset; -1 unknown */
    int64_t log_start;       /* of a follower, as its last Fetch said; -1 unknown */
    int64_t caught_up_ms;    /* when it last had all that there was; -1 never */
    int64_t fetched_ms;      /* its last Fetch; -1 never */
    int64_t end_at_fetch;    /* our log's end then */
    int64_t fetched_epoch;   /* broker epoch in its last Fetch; -1 none said */
};

enum replication_role { REPLICATION_NONE, REPLICATION_LEADER, REPLICATION_FOLLOWER };

enum replication_recovery { REPLICATION_RECOVERED = 0, REPLICATION_RECOVERING = 1 }; /* LeaderRecoveryState */

/* The ISR that a leader asks the controller for. */
struct replication_proposal {
    int32_t leader_epoch, partition_epoch;
    enum replication_recovery recovery;
    uint32_t count;
    int32_t ids[REPLICAS_MAX];
    int64_t broker_epochs[REPLICAS_MAX]; /* -1 unknown */
};

struct replication {
    int32_t node_id;
    int64_t broker_epoch;    /* own; -1 unknown */
    enum replication_role role;
    int32_t leader;          /* -1 none */
    int32_t leader_epoch;
    int32_t partition_epoch;
    bool ahead;              /* that is from an answer of the controller: its metadata has yet to come */
    int64_t high_watermark;
    int64_t epoch_start;     /* as leader: log end when it began to lead */
    int64_t lag_ms;          /* replica.lag.time.max.ms, as the last tick said */
    int32_t min_isr;
    enum replication_recovery recovery;
    bool proposing;          /* a proposal is with the controller, and is not answered yet */
    struct replication_proposal proposal; /* the last one */
    uint32_t count;
    struct replication_replica replicas[REPLICAS_MAX];
};

/* `high_watermark` from the checkpoint, clamped into [log start, log end] by the caller. */
void replication_init(struct replication *r, int32_t node_id, int64_t high_watermark);
/* The broker's own epoch, once it is registered. */
void replication_set_broker_epoch(struct replication *r, int64_t broker_epoch);

/* What metadata says of the partition. */
struct replication_state {
    int32_t leader, leader_epoch, partition_epoch;
    const int32_t *replicas, *isr;
    int32_t replica_count, isr_count, min_isr;
    enum replication_recovery recovery;
};

struct replication_outcome {
    bool role_changed;      /* role or leader epoch: who waits is told NOT_LEADER_OR_FOLLOWER */
    bool became_leader;     /* epoch_start was set: begin the epoch in the log */
    bool became_follower;
    bool high_watermark_moved;
    bool went_back;         /* the follower says that it has less than before: it may be an older Fetch that comes late */
    bool isr_changed;       /* in force: acks=all waits look again (W3) */
    bool propose;           /* r->proposal is to be sent to the controller; one that was sent before is void */
};

/* Newer metadata (older or equal partition epochs are ignored, but for min_isr, a setting of the topic, which moves no
 * epoch; and but for the epoch that an answer has told before). A leader is among its replicas and its ISR. A proposal
 * of the old epoch is void. */
void replication_apply(struct replication *r, const struct replication_state *s, int64_t log_end,
                       int64_t log_stable, int64_t now_ms, struct replication_outcome *out);
/* The own log's stable end moved, forward. */
void replication_stable(struct replication *r, int64_t stable, struct replication_outcome *out);

/* ---- leader -------------------------------------------------------------------------------- */

/* May a batch be accepted now? KERR_NONE, NOT_LEADER_OR_FOLLOWER; with acks -1
 * NOT_ENOUGH_REPLICAS. */
enum kerr replication_can_append(const struct replication *r, int16_t acks);
/* The high watermark has passed what an acks=all request wrote: KERR_NONE, or NOT_ENOUGH_REPLICAS_AFTER_APPEND where
 * the ISR in force is too small by now (W3). */
enum kerr replication_acknowledge(const struct replication *r);
/* Is `leader_epoch` of a request current? -1 = not said. NONE, FENCED_LEADER_EPOCH,
 * UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER. */
enum kerr replication_check_leader(const struct replication *r, int32_t leader_epoch);
/* The same for who may also read from a follower (KIP-392), as long as there is a leader to follow. */
enum kerr replication_check_any(const struct replication *r, int32_t leader_epoch);

/* What metadata says of a follower's broker when it fetches. */
struct replication_broker {
    int64_t epoch;  /* -1: not registered */
    bool eligible;  /* neither fenced nor shutting down */
};

/* May follower `id` fetch? It says in which leader epoch it follows, and its broker epoch (-1 each: not said). NONE; what
 * replication_check_leader says; UNKNOWN_LEADER_EPOCH or NOT_LEADER_OR_FOLLOWER when it is no replica (it may know more
 * than we do) or its broker epoch is an old one. */
enum kerr replication_check_follower(const struct replication *r, int32_t id, int32_t leader_epoch,
                                     int64_t broker_epoch, const struct replication_broker *broker);

/* A follower's Fetch that fits our log: it holds everything below `offset` on stable storage. Not to be called for one
 * that diverges. `log_end` is our end before the answer is read. */
struct replication_fetch {
    int32_t id;
    int64_t broker_epoch; /* -1 not said */
    int64_t offset, log_start;
    int64_t log_end;
    int64_t now_ms;
    struct replication_broker broker;
};
/* Moves the mark; proposes to take the follower into the ISR (W4). */
void replication_fetched(struct replication *r, const struct replication_fetch *f, struct replication_outcome *out);

/* A follower that has everything asks for more, and is answered when there is some: that it did so last at `heard_ms`
 * is to be said before our end moves from `log_end`. Else it would count as not heard of since it caught up. */
void replication_heard(struct replication *r, int32_t id, int64_t log_end, int64_t heard_ms);

/* Who has fallen behind for longer than `lag_ms` (replica.lag.time.max.ms) leaves the ISR; a leader that recovers says
 * that it has. To be called every half of lag_ms, and when a leader begins. */
void replication_tick(struct replication *r, int64_t log_end, int64_t lag_ms, int64_t now_ms,
                      struct replication_outcome *out);

/* The controller's answer to the proposal; `state` with KERR_NONE, of which epochs, ISR and recovery count.
 * INELIGIBLE_REPLICA and OPERATION_NOT_ATTEMPTED say that nothing was done: the old ISR stays, and a new proposal comes
 * with the next Fetch or tick. After other errors it may be in force: it stays open until metadata moves the epoch. An
 * answer to a proposal that is void changes nothing. */
void replication_answered(struct replication *r, const struct replication_proposal *proposal, enum kerr error,
                          const struct replication_state *state, struct replication_outcome *out);

/* What metadata says of a follower's broker has changed: the mark does not wait for one that may not join. */
void replication_broker_changed(struct replication *r, int32_t id, const struct replication_broker *broker,
                                struct replication_outcome *out);

bool replication_in_isr(const struct replication *r, int32_t id); /* in force */
/* Of a leader: the mark waits for replica `id`, or would when it gets what it asks for (W1). */
bool replication_counts(const struct replication *r, int32_t id);
uint32_t replication_isr_size(const struct replication *r);

/* ---- follower ------------------------------------------------------------------------------ */

/* An answer of the leader was appended (or there was nothing to append): its high watermark counts up to our end. */
void replication_follow(struct replication *r, int64_t leader_high_watermark, int64_t log_end,
                        struct replication_outcome *out);
/* The own log was cut to `end`, or begins anew there. */
void replication_cut(struct replication *r, int64_t end);
/* The own log starts at `start` now: the mark is not below it. Leaders, too. */
void replication_started(struct replication *r, int64_t start);

/* Where to cut a log whose leader says that its epoch `leader.epoch` ends at `leader.end_offset` (-1 undefined, each),
 * while our own log says of that epoch `own`. `*again`: what lies below the cut may diverge, too: ask once more.
 * Rule: KIP-279. */
struct replication_end {
    int32_t epoch;
    int64_t end_offset;
};
int64_t replication_truncation(const struct replication *r, struct replication_end leader, struct replication_end own,
                               int64_t log_end, bool *again);

/* ---- throttles ----------------------------------------------------------------------------- */

/* How fast some replicas are copied, and whether that is too fast (KIP-73): bytes per second since the oldest sample of
 * a window that moves. What is sent in one go is counted afterwards, so a rate is kept on average: after too much
 * comes a wait, of one window at most. */
#define THROTTLE_SAMPLES_MAX 64
#define THROTTLE_WAIT_MAX_MS 60000

struct throttle_rule {
    int64_t rate;           /* bytes per second; INT64_MAX = no limit */
    int64_t samples;        /* *.quota.window.num, > 0; more than THROTTLE_SAMPLES_MAX are that many longer ones */
    int64_t sample_seconds; /* *.quota.window.size.seconds, > 0 */
};

/* A broker's shards count bytes together and measure each for itself. Zeroed = nothing was measured yet. */
struct throttle {
    uint32_t first, count;
    struct {
        int64_t at_ms;
        uint64_t total; /* bytes before it */
    } samples[THROTTLE_SAMPLES_MAX];
};

/* `total` is how many bytes were copied so far, since ever; it never falls, nor does the time. Bytes count that were
 * added after the first call of a window. Returns in how many milliseconds to ask again, THROTTLE_WAIT_MAX_MS at
 * most, before which nothing more is to be copied; 0: go on. */
int64_t throttle_wait_ms(struct throttle *t, const struct throttle_rule *rule, uint64_t total, int64_t now_ms);
/* Bytes per second of the window. */
int64_t throttle_rate(struct throttle *t, const struct throttle_rule *rule, uint64_t total, int64_t now_ms);
/* Is `partition` of broker `id` in the list of *.replication.throttled.replicas? "*", or PARTITION:BROKER,... */
bool throttle_lists(struct str list, int32_t partition, int32_t id);
