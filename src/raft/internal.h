/* raft/internal.h - what the files of this room share.
 *
 *   raft.c      a step, what is due to be sent, when the next tick is
 *   events.c    which event goes where; the start
 *   follow.c    the roles that wait for a leader: Unattached, Follower; what others say of who leads
 *   elect.c     Prospective and Candidate; the answer to Vote
 *   lead.c      Leader and Resigned; the high watermark, check-quorum
 *   replicas.c  what is known of voters and observers
 *   voters.c    the voters in force     change.c  how they change
 */
#pragma once

#include "raft/raft.h"

#define NEVER INT64_MAX
#define LAST_EPOCH (INT32_MAX - 1) /* whoever could bring a quorum to the last number of all would end its elections */

/* What a leader knows of one replica. */
struct progress {
    struct raft_key key;
    int64_t end_offset; /* -1 unknown */
    int64_t fetched_ms, caught_up_ms; /* -1 never */
    int64_t seen_end; /* the leader's end at the last fetch */
};

/* What this node has to do with a voter in force; this node is one of them, and never sends to itself. */
struct peer {
    struct progress progress;
    bool in_flight;         /* a request is on its way: an answer or its loss will come */
    bool answered, granted; /* as P, C, R: to what the role asks */
    int64_t due_ms;         /* when it is to be asked (P, C, R), or told who leads (L) */
    int64_t alive_ms;       /* L: of the last fetch; until the first one, of when it was begun to be waited for */
};

struct raft {
    int32_t node_id;
    struct uuid directory_id;
    bool can_vote;
    bool started, stopped;
    int64_t election_timeout_ms, election_backoff_max_ms, fetch_timeout_ms, retry_backoff_ms;
    struct raft_voter self;
    struct prng prng;

    int64_t now_ms; /* of the event */
    enum raft_role role;
    struct raft_election election;
    int64_t timer_ms; /* when the role has waited long enough; not of a Leader */
    int32_t log_epoch;      /* of the last batch of the own log */
    int64_t end_offset;     /* of the own log */
    int64_t stable_offset;  /* of the own log: what this node's own vote for an offset is */
    int64_t high_watermark; /* -1 unknown */

    struct raft_voters voters; /* in force */
    int64_t voters_end;        /* of the batch that holds them; -1 while it is not appended yet */
    bool was_voter;            /* by older ones */
    struct peer peers[RAFT_VOTERS_MAX]; /* in the order of `voters` */

    /* Follower */
    bool has_fetched;              /* from this leader, in this epoch */
    bool leader_ended;             /* it has said so: it leads this epoch no more, whatever else comes of it */
    bool leader_lost;              /* observer: it is silent; others are asked */
    int64_t leader_high_watermark; /* -1 unknown */

    /* Leader; the progress of replicas outlives it, for whoever shall be next */
    int64_t epoch_start; /* where the epoch's first batch lies; else -1 */
    struct progress *observers; /* RAFT_OBSERVERS_MAX; NULL without the controller's role */
    uint32_t observer_count;
    struct raft_voter reported[RAFT_VOTERS_MAX]; /* static quorum: what its voters say of themselves, in the order of
                                                    `voters`; no endpoints: nothing yet */
};

/* ---- raft.c ------------------------------------------------------------------------------ */

/* All moves that change the election, and all that change the role, go through these: F1, F2, F3. */
void raft_elect(struct raft *r, struct raft_election next, struct raft_outcome *out);
void raft_become(struct raft *r, enum raft_role role, struct raft_outcome *out);
/* Now, and `ms` to twice that later. */
int64_t raft_draw(struct raft *r, int64_t ms);

/* ---- events.c ---------------------------------------------------------------------------- */

void raft_on_event(struct raft *r, const struct raft_event *event, struct raft_outcome *out);

/* ---- follow.c ---------------------------------------------------------------------------- */

void raft_unattach(struct raft *r, int32_t epoch, struct raft_outcome *out);
/* Another node says who leads (-1: it does not know): move where that is news. */
void raft_adopt(struct raft *r, int32_t epoch, int32_t leader_id, struct raft_outcome *out);
/* Stand for election no more: back to the leader that is known, or to wait for one. */
void raft_fall_back(struct raft *r, struct raft_outcome *out);
void raft_answer_begin(struct raft *r, const struct raft_request *q, struct raft_outcome *out);
void raft_answer_end(struct raft *r, const struct raft_request *q, struct raft_outcome *out);
void raft_fetch_answered(struct raft *r, const struct raft_answer *a, struct raft_outcome *out);
/* The own log has grown, or more of it is known to be committed. */
void raft_follow_high_watermark(struct raft *r, struct raft_outcome *out);

/* ---- elect.c ----------------------------------------------------------------------------- */

/* Ask for pre-votes; a sole voter leads at once. */
void raft_stand(struct raft *r, struct raft_outcome *out);
bool raft_may_stand(const struct raft *r);
/* The time of a Prospective or a Candidate is over. */
void raft_election_timeout(struct raft *r, struct raft_outcome *out);
void raft_answer_vote(struct raft *r, const struct raft_request *q, struct raft_outcome *out);
void raft_vote_answered(struct raft *r, const struct raft_answer *a, struct raft_outcome *out);

/* ---- lead.c ------------------------------------------------------------------------------ */

void raft_lead(struct raft *r, struct raft_outcome *out);
void raft_resign(struct raft *r, struct raft_outcome *out);
void raft_advance_high_watermark(struct raft *r, struct raft_outcome *out);
void raft_on_fetched(struct raft *r, const struct raft_event *event, struct raft_outcome *out);
/* When too few voters will have fetched for too long; NEVER when this node is a majority. */
int64_t raft_quorum_lost_ms(const struct raft *r);
/* Why this node does not serve as leader of `epoch` (-1: any). NONE when it does. */
enum kerr raft_leader_error(const struct raft *r, int32_t epoch);

/* ---- replicas.c -------------------------------------------------------------------------- */

bool raft_same_key(struct raft_key a, struct raft_key b); /* a zero directory is any */
bool raft_is_self(const struct raft *r, uint32_t voter);  /* index of a voter in force */
bool raft_self_votes(const struct raft *r);               /* this node is a voter in force */
bool raft_is_sole_voter(const struct raft *r);
struct peer *raft_peer(struct raft *r, int32_t node_id); /* another voter; NULL when it is none */
/* Nobody has been asked: the role has changed. */
void raft_peers_reset(struct raft *r);
void raft_progress_reset(struct raft *r);
/* What is known of a replica that fetches: a voter (`*peer` too), or an observer. */
struct progress *raft_progress_get(struct raft *r, struct raft_key key, struct peer **peer);
const struct progress *raft_observer_find(const struct raft *r, struct raft_key key);
/* The largest value that a majority of the voters has reached. */
int64_t raft_majority(const int64_t *values, uint32_t count);

/* ---- voters.c, change.c ------------------------------------------------------------------ */

/* Others are voters now: what is known of those that stay is kept. */
void raft_voters_set(struct raft *r, const struct raft_voters *voters);
void raft_on_voters(struct raft *r, const struct raft_event *event, struct raft_outcome *out);
/* Endpoints and versions are the same. */
bool raft_voter_same(const struct raft_voter *v, const struct raft_voter *now);
/* Whether a new leader has to write the voters into the log; they have this node as it is now. */
bool raft_refresh_voters(struct raft *r);
void raft_on_change(struct raft *r, const struct raft_change *change, struct raft_outcome *out);
