/* node/internal.h - what the files of this room share. */
#pragma once

#include "node/node.h"

#include <stdio.h>

#define METADATA_BATCH_BYTES_MAX (8u << 20) /* plain: what a KRaft leader puts into one batch */

/* A request that waits until its answer's records are visible on this node. */
struct answered {
    struct list node;
    struct node *node_of;
    struct op refusal; /* there is no controller to ask */
    int64_t offset; /* of the committed image when the controller answered */
    struct controller_call *call;
    void (*ready)(struct controller_call *call, enum kerr error);
    enum kerr error;
};

struct node {
    struct node_options options;
    struct io *io;
    struct telemetry *telemetry;
    struct quorum *quorum;
    struct controller *controller; /* NULL where the role is not asked for */
    struct flow start;
    struct op opened;
    struct text bootstrap;         /* framed records for an empty metadata log */
    struct quorum_open quorum_open;
    struct fail *fail;
    struct op *starting;           /* node_start's, until RUNNING */
    bool opening;                  /* the flow `start` runs: nothing may be closed yet */
    bool failed;

    /* loader.c */
    const struct image *loaded;    /* everything committed and delivered */
    struct image_edit *edit;       /* while batches are applied, and inside a snapshot */
    bool in_snapshot;
    struct raft_snapshot_id snapshot_id;

    /* publisher.c */
    const struct image *published; /* NULL before the first publication */
    const struct image *publishing;/* under way; NULL none */
    struct op publication;
    bool may_publish;              /* caught up once: the first image is whole */
    struct list answered;          /* struct answered, by offset */

    /* snapshots */
    struct op snapshot;
    bool snapshotting;

    /* membership.c */
    enum broker_state state;
    struct uuid incarnation;
    int64_t broker_epoch;          /* -1 not registered */
    bool controller_registered;
    bool calling;                  /* a registration or heartbeat is with the controller */
    struct io_timer pulse;         /* next heartbeat, or try to register */
    struct io_timer register_limit; /* initial.broker.registration.timeout.ms */
    bool unfenced;                 /* the controller said so; the image will too */
    struct op *left;               /* node_leave's */
    struct io_timer leave_limit;   /* of the controller's word */
    struct op resting;
    bool quiet;                    /* at rest, or only waiting for the publication under way */

    uint32_t offline_told;         /* failed directories that the controller has heard of */
    struct io_timer offline_limit; /* log.dir.failure.timeout.ms */

    /* assign.c */
    struct map assignments;        /* by partition */
    struct list unassigned;        /* the same, oldest first */
    struct assign_call *assigning; /* what is with the controller; NULL none */
    struct io_timer assign_again;

    struct io_timer tick;          /* of the controller */
    struct op *closing;            /* node_close's */
    struct op quorum_closed;
    int64_t closed_result;
    uint32_t forwarded;            /* calls that have not come back */
};

/* loader.c: what quorum tells. */
void loader_committed(void *ctx, struct bytes batches);
void loader_snapshot(void *ctx, struct raft_snapshot_id id);
/* Take a snapshot of `loaded` where one is due. */
void loader_snapshot_when_due(struct node *n);

/* publisher.c */
void publisher_advance(struct node *n);
/* Tell the caller when what it was answered is visible. */
void publisher_answer(struct node *n, struct controller_call *call, enum kerr error);
/* Nothing will be published any more: nobody waits for it. */
void publisher_answer_all(struct node *n);

/* membership.c: the start has begun; it may take so long until the broker is registered. */
void membership_begin(struct node *n);
/* Do what the broker's and controller's state ask for now. */
void membership_advance(struct node *n);
/* The node has failed: no more calls; who waits for it to leave need not wait. */
void membership_fail(struct node *n);
/* The last publication has ended. */
void membership_rest(struct node *n);

/* From here on (3.7-IV2) metadata knows directories. */
#define METADATA_VERSION_DIRECTORIES 17

/* offline.c: how many log directories have failed; the controller has heard of so many. */
uint32_t offline_count(const struct node *n);
void offline_told(struct node *n, uint32_t count);

/* assign.c */
void assign_init(struct node *n);
/* Tell the controller what waits to be told, if it can be. */
void assign_advance(struct node *n);
/* Nothing is told any more. */
void assign_stop(struct node *n);
void assign_deinit(struct node *n);

/* node.c */
void node_fail(struct node *n, const struct fail *why);
/* Have controller_tick called at the right time. */
void node_wind(struct node *n);
