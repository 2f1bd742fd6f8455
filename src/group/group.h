/* group/group.h - consumer groups (classic protocol) and committed offsets: one coordinator partition of
 * __consumer_offsets as a machine over room coordinator.
 *
 *      Empty ─join─► PreparingRebalance ─all joined, or timer─► CompletingRebalance ─sync of leader─► Stable
 *        ▲                   ▲───────────── join, leave, session end ──────────────────┘
 *        └── last member gone                                             Dead: removed
 *
 *   G1  A group's records are written before its answers leave (C2 of coordinator).
 *   G2  Generations only grow; one assignment per generation.
 *   G3  An offset commit is accepted from a member of the current generation, or from nobody's group
 *       (empty, generation -1).
 *
 * No clock: `now_ms` is monotonic, `wall_ms` is what records carry; timers are a deadline that
 * the owner asks for (group_deadline_ms) and group_tick.
 */
#pragma once

#include "base/base.h"
#include "coordinator/coordinator.h"
#include "image/image.h"
#include "protocol/protocol.h"
#include "telemetry/telemetry.h"

struct group_settings {
    int64_t session_timeout_min_ms, session_timeout_max_ms;
    int64_t initial_rebalance_delay_ms;
    int32_t size_max;
    int32_t offset_metadata_max;          /* offset.metadata.max.bytes */
    int64_t offsets_retention_ms, retention_check_interval_ms;
    int64_t commit_timeout_ms;
};

struct group_partition;

struct group_partition *group_partition_new(int32_t partition, const struct group_settings *settings,
                                            const struct coordinator_log *log, struct telemetry *t,
                                            struct prng *prng);
/* After group_partition_unload; no load runs. */
void group_partition_free(struct group_partition *p);
/* Leadership is lost: everything that waits is answered NOT_COORDINATOR. Freed when the load, if one runs, has completed. */
void group_partition_unload(struct group_partition *p);
/* Load, then serve. */
void group_partition_load(struct group_partition *p, int64_t now_ms, int64_t wall_ms, struct op *op);
void group_partition_committed(struct group_partition *p, int64_t high_watermark);
void group_partition_marker(struct group_partition *p, int64_t producer_id, bool commit, int64_t wall_ms);

int64_t group_deadline_ms(const struct group_partition *p); /* INT64_MAX: none */
void group_tick(struct group_partition *p, int64_t now_ms, int64_t wall_ms);
/* Topics are gone: their offsets are removed. */
void group_topics_deleted(struct group_partition *p, const struct uuid *ids, const struct str *names, uint32_t count,
                          int64_t now_ms, int64_t wall_ms);

/* One request to the coordinator. An answer whose commit takes longer than commit_timeout_ms is indefinite: it leaves
 * with COORDINATOR_NOT_AVAILABLE, and what it asked for may yet come to be. Embedded by the caller; lives until `ready`. */
struct group_call {
    int16_t api_key, api_version;
    const void *request;      /* generated struct; for batched APIs (DescribeGroups, DeleteGroups, OffsetFetch
                                 v8+, ListGroups): only the groups of this partition */
    void *response;           /* generated struct, initialised; filled before ready */
    struct arena *arena;
    struct str client_id, client_host;
    int64_t now_ms, wall_ms;
    const struct image *image;/* topic names and ids for OffsetCommit and OffsetFetch v10 */
    int32_t authorized_operations; /* for DescribeGroups, when asked */
    /* May the asker touch this topic's offsets? NULL: all. Topics that are refused are answered one by one with
     * TOPIC_AUTHORIZATION_FAILED (OffsetCommit, OffsetDelete), or left out (OffsetFetch of all topics). */
    bool (*topic_allowed)(const struct group_call *call, struct str topic);
    void (*ready)(struct group_call *call); /* the response holds the error codes; later, never inside group_handle */
    struct parked parked;     /* private */
    struct list node;         /* private */
    void *waiter;             /* private */
    int64_t parked_ms;        /* private */
};

/* JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch, OffsetDelete, DescribeGroups,
 * ListGroups, DeleteGroups, TxnOffsetCommit. */
void group_handle(struct group_partition *p, struct group_call *call);
/* The caller's connection is gone: a waiting join or sync is forgotten; `ready` is not called any more when true. */
bool group_cancel(struct group_partition *p, struct group_call *call);

/* Which partition of __consumer_offsets holds a group: abs(javaHash) % count. */
int32_t group_partition_of(struct str group_id, int32_t partition_count);
