/* broker/shard.h - what one shard of the broker owns (internal to this room). */
#pragma once

#include "broker/broker.h"
#include "group/group.h"
#include "image/image.h"
#include "log/log.h"
#include "node/node.h"
#include "replica/replica.h"
#include "security/security.h"

struct client;   /* client/client.h */
struct groups;   /* broker/groups.h */
struct metrics;  /* broker/metrics.h */
struct checkpoints; /* broker/checkpoint.h */

/* Memory that a shard borrows from others; see memory.c. */
struct loan {
    struct io_message message;  /* to `lender` and back, about `bytes` */
    uint32_t lender;
    uint64_t bytes;
    uint64_t *borrowed;         /* per shard; their sum: */
    uint64_t borrowed_bytes;
    uint32_t asked;             /* shards of this round */
    struct io_timer timer;
    struct op serve;
    bool under_way, stopped;
};

struct broker_shard {
    struct broker *broker;
    struct io *io;
    uint32_t index;
    struct telemetry *telemetry;
    struct replicas *replicas;
    struct ledger ledger;           /* of all memory that grows with what clients send */
    struct loan loan;
    struct log_memory log_memory;
    struct groups *groups;
    const struct image *image; /* what clients of this shard may see; never NULL once listening */
    int16_t kraft_version;     /* of the quorum, as of then */
    const struct config *settings;  /* broker settings in force (static + dynamic) at `image` */
    const struct authorizer *authorizer;
    struct metrics *metrics;
    struct client *brokers;         /* connections to other brokers; see peers.h */
    struct list proposals;          /* of other ISRs, with the controller */
    bool proposals_refused;         /* no more of them: the replicas are about to be closed */
    struct op *proposals_ended;
    struct io_timer isr_timer;
    struct cleaner *cleaner;        /* NULL: log.cleaner.enable is false, or it does not run */
    struct list sessions;
    struct list listeners;          /* struct broker_listener */
    struct list fetch_sessions;     /* struct fetch_set, the longest unused first */
    int64_t fetch_session_count;
    struct io_address bound;        /* scratch of listening */
    struct producer_id_block producer_ids; /* left of this shard's block */
    uint32_t sessions_of[LISTENER_CONTROLLER + 1]; /* by kind of listener, each of which has its limits */
    uint32_t partitions_at_start;   /* for the line that says so */
    uint32_t held_count;            /* requests whose spans are not yet released, and guests that are
                                       being counted */
    bool resting;                   /* the broker stops: no request of a client begins any more */
    struct op *rested;              /* waits for answers that are under way */
    struct io_timer rest_limit;
    struct op *sessions_closed;     /* waits for the end of the last session of the kind `closing` */
    uint8_t closing;
    int64_t accept_due_ns[LISTENER_CONTROLLER + 1]; /* monotonic: max.connection.creation.rate, see accept.c */
};

/* What all shards share and nobody changes after the start. */
struct broker {
    struct broker_options options;
    struct broker_shard *shards;
    uint32_t shard_count;
    int32_t node_id;
    char cluster_id[64];
    struct node *node;              /* home shard only; NULL before the start has come to it, and once it is closed */
    uint32_t forwards;              /* home shard: requests that wait for the controller */
    bool forwards_refused;          /* no more of them: see forward_rest */
    struct op *forwards_rested;
    char **paths;                   /* of the log directories */
    struct log_dir **dirs;          /* NULL where it is not open yet */
    uint32_t dir_count, metadata_dir;
    char **missing;                 /* paths of those that could not be opened at the start: offline */
    uint32_t missing_count;
    struct listener *controller_listeners;
    struct listener *listeners;     /* bound, real ports; broker and controller ones */
    uint32_t listener_count;
    struct listener *advertised;
    uint32_t advertised_count;
    struct checkpoints *checkpoints; /* home shard only */
    struct replica_copied copied;   /* by all shards */
    bool failed;                    /* home shard: `fatal` was called */
    struct map connections;         /* home shard: how many each address has; see connections.c */
    struct life *life;              /* private to start.c and stop.c */
};

/* The shard that owns a partition. */
static inline uint32_t shard_of(const struct broker *b, struct uuid topic_id, int32_t partition)
{
    return replica_shard(topic_id, partition, b->shard_count);
}
