/* raft/raft.h - KRaft consensus (KIP-595, 853, 996) as a machine.
 *
 * Pure steps: an event with the time in it goes in, an outcome comes out. The outcome says what
 * must be durable before what is sent, in this order:
 *
 *   1. election state (`persist`)   2. control batches (`append`)   3. messages (`send`)
 *
 *   F1  At most one leader per epoch.
 *   F2  The epoch never goes back.
 *   F3  At most one vote per epoch.
 *   F4  The high watermark never goes back, and rises only to offsets of the leader's own epoch.
 *   F5  A node that was leader when it stopped starts as Resigned, never as leader of the same
 *       epoch.
 *
 * Whoever runs the machine (room quorum) reports `RAFT_STABLE` when the log's stable offset moves.
 * So far nothing is heard from other nodes: a sole voter leads at once, any other waits.
 */
#pragma once

#include "base/base.h"
#include "protocol/protocol.h"
#include "record/record.h"

#define RAFT_VOTERS_MAX 16
#define RAFT_ENDPOINTS_MAX 4

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

/* Whether the node with this directory is one of them; a static quorum asks for the id alone. */
bool raft_is_voter(const struct raft_voters *voters, int32_t node_id, struct uuid directory_id);

/* What the quorum-state file holds. */
struct raft_election {
    int32_t epoch;
    int32_t leader_id; /* -1 none */
    int32_t voted_id;  /* -1 none */
    struct uuid voted_directory_id;
};

enum raft_role {
    RAFT_UNATTACHED,
    RAFT_PROSPECTIVE,
    RAFT_CANDIDATE,
    RAFT_LEADER,
    RAFT_FOLLOWER,
    RAFT_RESIGNED,
};

struct raft_snapshot_id {
    int64_t end_offset; /* exclusive */
    int32_t epoch;      /* of the record before it */
};

/* ---- events and outcomes ----------------------------------------------------------------- */

enum raft_event_type {
    RAFT_START,       /* once, first */
    RAFT_TICK,        /* time has reached `raft_deadline_ms` */
    RAFT_STABLE,      /* stable_offset: the own log is durable below it */
    RAFT_APPENDED,    /* end_offset: the leader's own log has grown */
    RAFT_VOTERS_READ, /* a voters record was read from or cut from the log: `voters` is in force */
    RAFT_STOP,        /* resign */
    /* Requests and answers of other nodes (vote, begin and end quorum epoch, fetch) join here. */
};

struct raft_event {
    enum raft_event_type type;
    int64_t now_ms;
    int64_t stable_offset, end_offset; /* of the own log */
    int32_t end_epoch;                 /* epoch of the last batch; 0 when empty */
    const struct raft_voters *voters;
};

struct raft_outcome {
    bool persist; /* write `election` durably before anything below */
    struct raft_election election;
    bool append_leader_change; /* begin `election.epoch` at the log's end and append LeaderChange */
    bool append_voters;        /* and KRaftVersion + Voters (dynamic quorum's first leader); they
                                  are in the log then: `from_bootstrap` is to be false */
    bool role_changed;
    enum raft_role role;
    bool high_watermark_moved;
    int64_t high_watermark;
    int64_t deadline_ms; /* when the next RAFT_TICK is due; INT64_MAX never */
};

struct raft;

struct raft_options {
    int32_t node_id;
    struct uuid directory_id;
    bool is_voter;
    struct raft_voters voters;
    struct raft_election election; /* from the file; epoch 0 and -1s when there is none */
    int32_t log_epoch;             /* of the last batch */
    int64_t election_timeout_ms, fetch_timeout_ms;
    uint64_t seed;
};
struct raft *raft_new(const struct raft_options *options);
void raft_free(struct raft *r); /* accepts NULL */
/* RAFT_START comes first (only RAFT_STOP may come before it). `out` is always written whole. */
void raft_step(struct raft *r, const struct raft_event *event, struct raft_outcome *out);
enum raft_role raft_role(const struct raft *r);
