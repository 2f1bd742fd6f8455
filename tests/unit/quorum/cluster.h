/* Several quorums, each on a simulated machine of its own, with connections between them.
 *
 * What they deliver are numbers. Each member is a state machine: the list of the numbers in the order in which they
 * were committed. All along it is checked that
 *
 *   - each list is the beginning of one and the same history (nothing that was delivered is lost, or another
 *     elsewhere), also after kills and power cuts, also behind a snapshot
 *   - batches come in order of their offsets, without a gap
 *   - an epoch is claimed by one node, once
 */
#pragma once

#include "check.h"
#include "client/client.h"
#include "io/io.h"
#include "log/log.h"
#include "network/network.h"
#include "quorum/quorum.h"
#include "simulator/simulator.h"
#include "telemetry/telemetry.h"

#define MEMBERS_MAX 6
#define CLUSTER_ID "bWlsbHJhY2Vnb2xkZW40NA"
#define CLUSTER_PORT 9093

enum member_phase { MEMBER_DOWN, MEMBER_STARTING, MEMBER_UP, MEMBER_STOPPING };

struct member {
    struct cluster *cluster;
    struct text asked;       /* lines that say why it has asked for votes, or who belongs to another cluster */
    int32_t id; /* 1, 2, ... */
    struct uuid directory_id;
    struct sim_node *node;
    struct io *io;
    enum member_phase phase;
    bool can_vote, auto_join;
    bool bootstrap;          /* knows bootstrap servers, and no voters */
    bool stranger;           /* was formatted for another cluster */
    struct quorum_open options;
    struct telemetry_sink sink;
    struct telemetry *telemetry;
    struct log_memory memory;
    struct log_dir *dir;
    struct quorum *q;
    struct fail fail;
    int64_t opened;          /* result of the start */
    bool failed;             /* its directory is offline */
    int64_t retention_bytes;
    uint32_t segment_bytes;
    struct raft_voter endpoint; /* that it says of itself */

    int64_t *values;         /* its state */
    uint32_t count, capacity;
    int64_t next;            /* offset that comes next; -1 any */
    int32_t last_epoch;      /* of what was delivered last */
    bool from_snapshot;
    uint32_t snapshots;      /* that it was told of */
    int32_t leader, epoch, claimed;
    int64_t caught_up;
    uint32_t fetched_by_9;   /* so often a Fetch of that replica was told of */

    struct io_listener *listener;
    struct io_socket *socket;
    struct op accept;
    bool accepting;
    struct list connections;
    struct flow flow;
    bool clean;
    struct op snapshot_op;
    bool snapshotting;
    int64_t snapshot_result;
};

struct cluster {
    struct sim *sim;
    struct member members[MEMBERS_MAX];
    uint32_t count;
    struct raft_voters voters; /* the first ones */
    bool dynamic;
    int64_t next_value;
    int64_t *truth;            /* the history */
    uint32_t truth_count, truth_capacity;
    int32_t claimed_by[4096];  /* by epoch; 0 nobody */
    uint32_t served[100];      /* requests, by API */
    /* NULL; else changes what a member has answered before it leaves. */
    void (*twist)(struct member *m, int16_t api_key, void *response, struct arena *arena);
};

/* The first `voters` of `count` members are voters; nobody runs yet. With `dynamic` they stand in 0-0 checkpoints. */
void cluster_init(struct cluster *c, uint64_t seed, const struct sim_options *options, uint32_t count, uint32_t voters,
                  bool dynamic);
/* Stops who runs. */
void cluster_end(struct cluster *c);

struct member *cluster_member(struct cluster *c, int32_t id);
void member_start(struct member *m);
/* As a clean stop, or after a kill or power cut of its machine: what is left of the process is taken away. */
void member_stop(struct member *m);
void member_kill(struct member *m);
void member_power_cut(struct member *m);
void cluster_start(struct cluster *c); /* all */

/* Whether the process is there and its directory well. */
bool member_is_well(const struct member *m);
/* The one that accepts records: NULL. */
struct member *cluster_leader(struct cluster *c);

/* Let time pass. */
void cluster_pass(struct cluster *c, int64_t ms);
/* Until it holds; the test fails after `ms` of virtual time. */
#define CLUSTER_UNTIL(c, ms, condition)                                                   \
    do {                                                                                  \
        int64_t end_ns_ = sim_now_ns((c)->sim) + (int64_t)(ms) * 1000000;                 \
        while (!(condition)) {                                                            \
            if (sim_now_ns((c)->sim) > end_ns_ || !sim_step((c)->sim))                    \
                check_fail(__FILE__, __LINE__, "it never comes to: %s", #condition);      \
        }                                                                                 \
    } while (0)

/* Append one new number; true when the member took it. */
bool member_append(struct member *m);
/* Write a snapshot of its state; false where it may not. */
bool member_snapshot(struct member *m);
/* All that run have the whole history, and `count` numbers at least are in it. */
bool cluster_agrees(struct cluster *c, uint32_t count);
/* Append at whoever leads until `count` more are committed everywhere. */
void cluster_commit(struct cluster *c, uint32_t count);
/* Cut `m` off from all others, or let it back. */
void member_cut_off(struct member *m, bool cut);

/* A request that a test makes of a member, as an administrator: its answer is there when `done`. */
struct asked {
    struct quorum_call call;
    struct arena arena;
    bool done;
};
void member_ask(struct member *m, struct asked *a, int16_t api_key, int16_t version, const void *request);
void asked_end(struct asked *a);

/* Between cluster.c and cluster_member.c. */
struct quorum_listener member_listener(struct member *m);
void member_accept(struct member *m);
void member_close_connections(struct member *m);
