/* replication/replication.h - one partition's replication as a machine.
 *
 * Leader: who is in the ISR, how far each replica is durable, and so the high watermark. Pure
 * steps: time and facts come in, what moved comes out.
 *
 *   W1  The high watermark is the smallest stable end among the ISR. It never moves back while we
 *       lead.
 *   W2  It does not advance while the ISR is smaller than min(min.insync.replicas, replicas).
 *   W3  An acks=all answer needs high watermark > last offset, and the committed ISR >= min ISR.
 */
#pragma once

#include "base/base.h"
#include "protocol/protocol.h"

#define REPLICAS_MAX 32

struct replication_replica {
    int32_t id;
    bool in_isr;
    int64_t stable_end; /* of this node: log_stable; of a follower: its fetch offset */
    int64_t caught_up_ms;
};

enum replication_role { REPLICATION_NONE, REPLICATION_LEADER, REPLICATION_FOLLOWER };

struct replication {
    int32_t node_id;
    enum replication_role role;
    int32_t leader;          /* -1 none */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int64_t high_watermark;
    int64_t epoch_start;     /* as leader: log end when it began to lead */
    int32_t min_isr;
    uint32_t count;
    struct replication_replica replicas[REPLICAS_MAX];
};

/* `high_watermark` from the checkpoint, clamped into [log start, log end] by the caller. */
void replication_init(struct replication *r, int32_t node_id, int64_t high_watermark);

/* What metadata says of the partition. */
struct replication_state {
    int32_t leader, leader_epoch, partition_epoch;
    const int32_t *replicas, *isr;
    int32_t replica_count, isr_count, min_isr;
};

struct replication_outcome {
    bool role_changed;      /* role or leader epoch: who waits is told NOT_LEADER_OR_FOLLOWER */
    bool became_leader;     /* epoch_start was set: begin the epoch in the log */
    bool became_follower;
    bool high_watermark_moved;
};

/* Newer metadata (older or equal partition epochs are ignored, but for min_isr: a setting of the
 * topic, which moves no epoch). A leader is among its replicas and its ISR. */
void replication_apply(struct replication *r, const struct replication_state *s, int64_t log_end,
                       int64_t log_stable, int64_t now_ms, struct replication_outcome *out);
/* The own log's stable end moved, forward. */
void replication_stable(struct replication *r, int64_t stable, struct replication_outcome *out);
/* May a batch be accepted now? KERR_NONE, NOT_LEADER_OR_FOLLOWER; with acks -1
 * NOT_ENOUGH_REPLICAS. */
enum kerr replication_can_append(const struct replication *r, int16_t acks);
/* Is `leader_epoch` of a request current? -1 = not said. NONE, FENCED_LEADER_EPOCH,
 * UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER. */
enum kerr replication_check_leader(const struct replication *r, int32_t leader_epoch);
