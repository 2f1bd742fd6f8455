/* raft/raft.h - KRaft consensus (KIP-595, 630, 853, 996) as a machine.
 *
 * Pure steps: an event with the time in it goes in, an outcome comes out. The outcome says what
 * must be durable before what is sent, in this order:
 *
 *   1. election state (`persist`)   2. control batches (`append`)   3. messages (`sends`), `reply`
 *
 *   F1  At most one leader per epoch.
 *   F2  The epoch never goes back.
 *   F3  At most one vote per epoch, and it is durable before anybody hears of it.
 *   F4  The high watermark never goes back, and a leader raises it only to offsets of its own epoch
 *       that a majority of the voters in force holds on stable storage.
 *   F5  A node that was leader when it stopped starts as Resigned, never as leader of the same
 *       epoch.
 *   F6  A voter fetches the next offset only when everything below it is stable in its own log: its
 *       fetch offset is its acknowledgement.
 *   F7  One change of the voters at a time, and none before the leader's own epoch has committed.
 *
 * Whoever runs the machine (room quorum) has the log, the snapshots and the connections; it reports
 * what happens to them. The machine knows of the log its end, the epoch of its last batch, and what
 * is stable.
 */
#pragma once

#include "base/base.h"
#include "protocol/protocol.h"
#include "record/record.h"

#define RAFT_VOTERS_MAX 16
#define RAFT_ENDPOINTS_MAX 4
#define RAFT_OBSERVERS_MAX 1024 /* that are remembered for DescribeQuorum */

struct raft_endpoint {
    char name[64], host[256];
    uint16_t port;
};

struct raft_voter {
    int32_t id;
    struct uuid directory_id; /* zero with a static quorum */
    struct raft_endpoint endpoints[RAFT_ENDPOINTS_MAX];
    uint32_t endpoint_count;
    int16_t kraft_version_min, kraft_version_max;
};

struct raft_voters {
    struct raft_voter voters[RAFT_VOTERS_MAX];
    uint32_t count;
    int16_t kraft_version; /* 0: a static quorum, 1: a dynamic one (KIP-853) */
    bool from_bootstrap;   /* read from the checkpoint of the format tool: not in the log yet */
};

/* A node with the directory of its metadata log. */
struct raft_key {
    int32_t id; /* -1 nobody */
    struct uuid directory_id; /* zero: not known, or a static quorum */
};

/* Whether the node with this directory is one of them; a static quorum asks for the id alone. */
bool raft_is_voter(const struct raft_voters *voters, int32_t node_id, struct uuid directory_id);
/* NULL when no voter has this id. */
const struct raft_voter *raft_voter_find(const struct raft_voters *voters, int32_t node_id);

/* What the quorum-state file holds. */
struct raft_election {
    int32_t epoch;
    int32_t leader_id; /* -1 none */
    int32_t voted_id;  /* -1 none */
    struct uuid voted_directory_id;
};

enum raft_role {
    RAFT_UNATTACHED,
    RAFT_PROSPECTIVE, /* asks for pre-votes (KIP-996) */
    RAFT_CANDIDATE,
    RAFT_LEADER,
    RAFT_FOLLOWER,    /* also an observer that knows the leader */
    RAFT_RESIGNED,
};

struct raft_snapshot_id {
    int64_t end_offset; /* exclusive */
    int32_t epoch;      /* of the record before it */
};

/* ---- what goes between nodes --------------------------------------------------------------- */

enum raft_rpc {
    RAFT_VOTE,  /* pre-votes too */
    RAFT_BEGIN, /* BeginQuorumEpoch */
    RAFT_END,   /* EndQuorumEpoch */
    RAFT_FETCH, /* and FetchSnapshot: only its epoch is the machine's business */
};

/* A request of another node, as far as it is the machine's to decide. */
struct raft_request {
    enum raft_rpc rpc;
    struct raft_key from; /* candidate, leader, replica */
    struct raft_key to;   /* who is meant; id -1: not said */
    int32_t epoch;
    bool pre_vote;
    int32_t last_epoch;   /* VOTE: of the candidate's last batch */
    int64_t last_offset;  /* VOTE: the end of its log */
    const int32_t *preferred; /* END: who shall be next, best first */
    uint32_t preferred_count;
};

/* The machine's answer to one. */
struct raft_reply {
    enum kerr error; /* NONE, INVALID_REQUEST, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER,
                        BROKER_NOT_AVAILABLE (it is stopping), INVALID_VOTER_KEY. To a change also REQUEST_TIMED_OUT
                        (not now), UNSUPPORTED_VERSION, DUPLICATE_VOTER, VOTER_NOT_FOUND, INVALID_UPDATE_VERSION.
                        INVALID_REQUEST never to a Fetch: a JVM peer would end */
    int32_t leader_id, epoch; /* as known after the step */
    bool granted;             /* VOTE */
};

/* What another node has answered to one of ours; also top-level errors, and silence. */
struct raft_answer {
    enum raft_rpc rpc;
    int32_t from;
    int32_t sent_epoch;  /* of our request: an answer to an older one is looked at for its epoch only */
    bool pre_vote;
    bool lost;           /* no answer came: the rest says nothing */
    bool refused;        /* lost, FETCH: where the node listened nobody listens any more. A hint, no proof: a follower
                            stands soon, and pre-votes decide; others that hear the leader deny them */
    enum kerr error;
    int32_t leader_id, epoch;
    bool granted;
    /* FETCH that succeeded (records, divergence or a snapshot's id): restarts the fetch timer. */
    int64_t high_watermark; /* the leader's, after an answer with records (none, too): then all of the own log is in
                               the leader's; -1 unknown, or with divergence or a snapshot */
};

/* One message that the machine wants to have sent. What it holds is complete at the time of the step. */
struct raft_send {
    enum raft_rpc rpc; /* not FETCH: who runs the machine fetches by itself, from raft_source */
    struct raft_key to;
    int32_t epoch;
    bool pre_vote;
    int32_t last_epoch;
    int64_t last_offset;
};

/* ---- events and outcomes ----------------------------------------------------------------- */

enum raft_event_type {
    RAFT_EVENT_START,       /* once, first */
    RAFT_EVENT_TICK,        /* time has reached the deadline */
    RAFT_EVENT_STABLE,      /* stable_offset: the own log is durable below it */
    RAFT_EVENT_APPENDED,    /* the own log has grown to end_offset, its last batch is of end_epoch */
    RAFT_EVENT_TRUNCATED,   /* or was cut, never below the high watermark, or begun anew behind a snapshot: end_offset,
                               end_epoch, stable_offset */
    RAFT_EVENT_VOTERS,      /* a voters record was read from or cut from the log: `voters` is in force; its batch
                               ends at voters_end (0: from settings, or a snapshot). To a leader only its own ones,
                               once they are appended */
    RAFT_EVENT_REQUEST,     /* `request` came: the outcome has a reply */
    RAFT_EVENT_FETCHED,     /* a replica's Fetch fits our log (no divergence, no snapshot): `from` holds all below
                               fetch_offset. Not looked at when this node leads no more */
    RAFT_EVENT_ANSWER,      /* `answer` came */
    RAFT_EVENT_CHANGE,      /* `change` the voters: the outcome has a reply */
    RAFT_EVENT_STOP,        /* resign; messages of the outcome are the last ones */
};

enum raft_change_kind { RAFT_ADD_VOTER, RAFT_REMOVE_VOTER, RAFT_UPDATE_VOTER, RAFT_UPGRADE /* kraft.version 0 to 1 */ };

struct raft_change {
    enum raft_change_kind kind;
    struct raft_voter voter; /* REMOVE: id and directory */
    bool validate_only;      /* UPGRADE: say whether it could be, and leave all as it is */
};

struct raft_event {
    enum raft_event_type type;
    int64_t now_ms; /* monotonic */
    int64_t stable_offset, end_offset;
    int32_t end_epoch; /* epoch of the last batch, or of the snapshot before it; 0 when empty */
    const struct raft_voters *voters;
    int64_t voters_end;
    const struct raft_request *request;
    struct raft_key from; /* FETCHED */
    int64_t fetch_offset;
    const struct raft_answer *answer;
    const struct raft_change *change;
};

struct raft_outcome {
    bool persist; /* write `election` durably before anything below */
    struct raft_election election;
    bool append_leader_change; /* begin `election.epoch` at the log's end and append LeaderChange */
    bool append_voters;        /* append KRaftVersion + Voters, of raft_voters: behind LeaderChange (a dynamic
                                  quorum's first leader, or one whose endpoints have changed), or by itself (a
                                  change). They are in force at once; RAFT_EVENT_VOTERS follows as for any other */
    bool role_changed;
    enum raft_role role;
    bool high_watermark_moved;
    int64_t high_watermark;
    struct raft_reply reply;   /* REQUEST, CHANGE; leaves after 1 and 2. The answer to a change that is NONE leaves
                                  when the high watermark has passed the voters' batch */
    struct raft_send sends[RAFT_VOTERS_MAX];
    uint32_t send_count;
    int64_t deadline_ms; /* when the next RAFT_EVENT_TICK is due; INT64_MAX never */
};

struct raft;

struct raft_options {
    int32_t node_id;
    struct uuid directory_id;
    bool can_vote; /* has the controller's role: a voter, or may become one */
    struct raft_voters voters; /* static ones: with their endpoints */
    int64_t voters_end;        /* of the batch that they were read from; 0: from settings, or a snapshot */
    bool was_voter;            /* by an older record of voters, or a snapshot: the newest may not be committed yet */
    struct raft_voter self;    /* own endpoints and range of kraft.version, as others shall see them */
    struct raft_election election; /* from the file; epoch 0 and -1s when there is none */
    int32_t log_epoch;             /* of the last batch */
    int64_t election_timeout_ms, election_backoff_max_ms, fetch_timeout_ms, retry_backoff_ms;
    uint64_t seed;
};
struct raft *raft_new(const struct raft_options *options);
void raft_free(struct raft *r); /* accepts NULL */
/* RAFT_EVENT_START comes first (only STOP may come before it). `out` is always written whole. */
void raft_step(struct raft *r, const struct raft_event *event, struct raft_outcome *out);

/* ---- ask ---------------------------------------------------------------------------------- */

enum raft_role raft_role(const struct raft *r);
const struct raft_voters *raft_voters(const struct raft *r); /* in force */
const struct raft_election *raft_election(const struct raft *r);
int64_t raft_high_watermark(const struct raft *r); /* -1 unknown */

/* Whom to fetch from now. LEADER: `*leader` leads. ANY: nobody is known, ask a voter or a bootstrap server, another one
 * each time. NOBODY: this node leads, or stands for election. */
enum raft_source { RAFT_SOURCE_NOBODY, RAFT_SOURCE_LEADER, RAFT_SOURCE_ANY };
enum raft_source raft_source(const struct raft *r, int32_t *leader);

/* What a leader knows of a replica, for DescribeQuorum and for who shall be next. */
struct raft_replica {
    struct raft_key key;
    bool is_voter;
    int64_t end_offset;      /* -1 unknown */
    int64_t fetched_ms, caught_up_ms; /* monotonic; -1 never */
};
/* Voters first. Observers that were silent for five minutes are left out. -> how many were written. */
uint32_t raft_replicas(const struct raft *r, int64_t now_ms, struct raft_replica *out, uint32_t max);
uint32_t raft_observers(const struct raft *r, int64_t now_ms); /* how many of them are no voters; 0: it does not lead */
/* Voters by the end of their logs, the farthest first, without this node: EndQuorumEpoch's preferred candidates. */
uint32_t raft_successors(const struct raft *r, struct raft_key out[RAFT_VOTERS_MAX]);
