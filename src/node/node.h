/* node/node.h - this process as a member of the cluster.
 *
 * Ties quorum, controller and image together: feeds committed batches to the loader, publishes
 * images in order, registers the broker, sends heartbeats, takes part in controlled shutdown,
 * forwards requests to the active controller.
 *
 *   quorum.committed ─► loader ─► image n+1 ─► publish: every shard applies it and replies
 *                                              └─► then it is visible to clients, and is the
 *                                                  offset that heartbeats report
 *   P1  One publication at a time, in order.
 *   P2  An image is visible to clients only after every shard has applied it.
 */
#pragma once

#include "base/base.h"
#include "config/config.h"
#include "controller/controller.h"
#include "image/image.h"
#include "io/io.h"
#include "quorum/quorum.h"
#include "replication/replication.h"
#include "telemetry/telemetry.h"

struct node;

enum broker_state { /* numbers of Kafka's BrokerState metric */
    BROKER_NOT_RUNNING = 0,
    BROKER_STARTING = 1,
    BROKER_RECOVERY = 2,
    BROKER_RUNNING = 3,
    BROKER_PENDING_CONTROLLED_SHUTDOWN = 6,
    BROKER_SHUTTING_DOWN = 7,
};

struct node_options {
    struct io *io;                       /* home shard */
    struct telemetry *telemetry;
    const struct config *settings;       /* broker table, static level */
    struct str cluster_id;
    int32_t node_id;
    bool is_broker, is_controller;
    struct log_dir **dirs;               /* all log dirs; directory_id set */
    uint32_t dir_count, metadata_dir;
    struct log_memory *memory;
    const struct listener *advertised;   /* real ports */
    uint32_t advertised_count;
    const struct listener *controller_listeners;
    uint32_t controller_listener_count;
    int64_t previous_broker_epoch;       /* -1 unknown */

    /* Apply `image` on every shard (replicas, coordinators, settings); complete `op` when all have
     * replied. `before` NULL at first. */
    void (*publish)(void *ctx, const struct image *before, const struct image *after,
                    struct op *op);
    /* The quorum is open: other nodes may be answered, so controller listeners are to accept. Before the node is
     * registered or anything is published. NULL: nobody wants to know. */
    void (*open)(void *ctx);
    /* The broker is unfenced and serves, or the node failed for good (`why`). */
    void (*state)(void *ctx, enum broker_state state);
    void (*fatal)(void *ctx, const struct fail *why);
    void *ctx;
};

/* Open the quorum, elect, load, register, publish the first image, be unfenced. Completes when
 * RUNNING. */
void node_start(const struct node_options *o, struct node **out, struct fail *f, struct op *op);

/* The image that clients may see on the home shard; other shards keep the one of their publication.
 */
const struct image *node_image(const struct node *n);
struct controller *node_controller(struct node *n);
struct quorum *node_quorum(struct node *n);
int64_t node_broker_epoch(const struct node *n);

/* Hand a client's request to the active controller: in this process, or by Envelope (KIP-590) to another. Where there
 * is none, or it has changed, another is looked for, up to request.timeout.ms. call->ready as in controller.h; an
 * answer from another process comes when its controller has committed it, and may be ahead of node_image. Home shard
 * only. */
void node_forward(struct node *n, struct controller_call *call);
/* The same for a request that came to this node as a controller: KERR_NOT_CONTROLLER where it is not the active one.
 * Its answer comes when it is committed, and may be ahead of node_image. Goes on until node_close completes, so that a
 * node that leaves decides for the others as long as it can. */
void node_control(struct node *n, struct controller_call *call);

/* A connection that heartbeats of the broker have come by, to this node as a controller, has ended. Where this one is the
 * active controller and the broker listens no more, it is fenced at once; a controlled shutdown is past that. Home
 * shard. */
void node_heartbeats_ended(struct node *n, int32_t broker_id, int64_t broker_epoch);

/* A block of producer ids for this broker (AllocateProducerIds). Completes with 0. */
struct producer_id_block {
    int64_t first;
    int32_t count;
};
void node_allocate_producer_ids(struct node *n, struct producer_id_block *out, struct op *op);

/* A log directory other than the metadata log's has failed (log_dir_is_online): the controller is told at once by a
 * heartbeat, and moves the leaderships of its replicas (KIP-858). Where it cannot be told within
 * log.dir.failure.timeout.ms the node fails. Home shard. */
void node_dir_failed(struct node *n);

/* A replica of this broker lies in `directory`, while the metadata names another one or none: tell the controller by
 * AssignReplicasToDirs, until it has taken it. What is said last of a partition holds. Home shard. */
void node_assign(struct node *n, struct uuid topic_id, int32_t partition, struct uuid directory);

/* A leader's proposal of another ISR (AlterPartition). Embedded by who proposes; lives until `done`. What is
 * proposed is sent with the next request, one of which is on its way at a time; trouble with the request as a whole is
 * tried again, also with another controller, until the proposal is withdrawn. */
struct node_proposal {
    struct list node; /* private */
    struct uuid topic_id;
    int32_t partition;
    struct replication_proposal proposal;
    /* Once, never inside: the partition's own error, and with KERR_NONE what is in force now: leader, epochs, ISR and
     * recovery, nothing else of `state`; `isr` is valid during the call. What a controller with older metadata says,
     * or one in trouble, is not told: then the proposal is sent again. */
    void (*done)(struct node_proposal *p, enum kerr error, const struct replication_state *state);
    bool waits, tried, withdrawn; /* private */
};
void node_propose(struct node *n, struct node_proposal *p);
/* It ends later: with KERR_OPERATION_NOT_ATTEMPTED where it was never sent, else as it ends, or with
 * KERR_REQUEST_TIMED_OUT: the controller may have taken it. So do all that are left when the node leaves. */
void node_withdraw(struct node *n, struct node_proposal *p);

/* The node cannot go on, because something that it stands on has failed (a log directory): its
 * start ends with `why`, or else `fatal` is called. */
void node_give_up(struct node *n, const struct fail *why);

/* Come to rest: no more heartbeats or publications; whoever waits for the controller is answered. `controlled`: first
 * leave leaderships and wait for the controller's word (bounded: five minutes, and no longer than a session without an
 * answer); without it at once, for a broker that does not run. Completes when nothing is being published, so that the
 * logs may be closed. Also after node_start failed. */
void node_leave(struct node *n, bool controlled, struct op *op);
/* After node_leave, and when all that was forwarded is answered: close quorum and controller; free.
 * Completes with 0 when the metadata directory may be marked clean. */
void node_close(struct node *n, struct op *op);

/* Feature ranges that this program supports: what a broker registers and ApiVersions tells. Sorted
 * by name. */
uint32_t node_feature_count(void);
struct image_feature node_feature_at(uint32_t index);
