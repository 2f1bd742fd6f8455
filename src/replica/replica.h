/* replica/replica.h - a partition at work: its log, its replication, and who waits for them.
 *
 *   produce ─► replica_append ─► log tail … stable moves … high watermark moves ─► waiter ready
 *   fetch   ─► log_read_* up to high watermark or last stable offset; else replica_watch
 *   image   ─► replicas_apply: opens, leads, follows, deletes
 *
 * A shard owns the replicas whose (topic id, partition) hash to it; nobody else touches them.
 */
#pragma once

#include "base/base.h"
#include "config/config.h"
#include "image/image.h"
#include "io/io.h"
#include "log/log.h"
#include "record/record.h"
#include "replication/replication.h"
#include "telemetry/telemetry.h"

/* Which of `shard_count` shards owns a partition. */
uint32_t replica_shard(struct uuid topic_id, int32_t partition, uint32_t shard_count);

struct replica;

/* All replicas of a shard. */
struct replicas;

/* Bytes that throttles count (KIP-73), of all shards of the broker together: zeroed before the first set is made. */
enum replica_throttle { THROTTLE_LEADER, THROTTLE_FOLLOWER, THROTTLE_MOVES, THROTTLES };
struct replica_copied {
    uint64_t bytes[THROTTLES]; /* atomic */
};

struct replicas_options {
    struct io *io;
    struct telemetry *telemetry;
    struct log_dir **dirs;      /* open; shared by the shards, read only; outlive the set */
    uint32_t dir_count;
    bool dirs_missing;          /* besides these there are some that could not be opened */
    struct log_memory *memory;  /* the shard's */
    struct replica_copied *copied; /* shared by the shards; outlives the set */
    const struct config *broker;/* static broker settings (immutable) */
    int32_t node_id;
    /* Connections to other brokers, the shard's: a told one (client.h); which brokers there are, and where, is told it
     * here from the images, by their `listener` (inter.broker.listener.name). Outlives the set. NULL: nobody is
     * followed. */
    struct client *brokers;
    struct str listener;
    /* A leader proposes another ISR (AlterPartition): ask the controller, and tell replica_proposed. A later proposal
     * of the same replica replaces it; one that is void by then is answered all the same, or not. */
    void (*propose)(void *ctx, struct replica *r, const struct replication_proposal *proposal);
    /* A replica of an internal topic began or ceased to lead (coordinators load and resign),
     * after its log is ready. */
    void (*leading)(void *ctx, struct replica *r, bool leads);
    /* The high watermark of a replica that leads an internal topic moved. */
    void (*committed)(void *ctx, struct replica *r);
    /* A replica lies in `directory`, or moves there, and metadata names another one. */
    void (*placed)(void *ctx, struct replica *r, struct uuid directory);
    /* Make durable what replicas_checkpoint says of log starts; completes with 0, or trouble: asked again then. */
    void (*save_starts)(void *ctx, struct op *op);
    void *ctx;
};
struct replicas *replicas_new(const struct replicas_options *o);

/* One of replicas_remove, replicas_apply and replicas_close at a time; images stay until it
 * completes. */

/* Delete what `after` no longer gives to this node. `before` NULL at first: then partition
 * directories that metadata does not know become `-stray`. When there are several shards all
 * must have done this before one begins replicas_apply: a topic that is made anew bears the old
 * one's name, and may belong to another shard. */
void replicas_remove(struct replicas *rs, const struct image *before, const struct image *after,
                     struct op *op);

/* Make the shard's replicas what `after` says: all of replicas_remove, then open logs (existing
 * directories found by topic id, else placed into the directory that metadata names, or the one
 * with the fewest partitions), lead, follow, take settings. A log that cannot be opened takes its directory offline.
 * Completes when done; with the first trouble, and then the rest is done all the same. */
void replicas_apply(struct replicas *rs, const struct image *before, const struct image *after,
                    struct op *op);
/* Close all logs cleanly (waiters are answered NOT_LEADER_OR_FOLLOWER). A directory that is online afterwards may be
 * marked clean. */
void replicas_close(struct replicas *rs, struct op *op);
void replicas_free(struct replicas *rs);

/* Lines for the directory's checkpoint files of this shard's replicas in `dir`; appended to the
 * lists, of which any may be NULL. `closing`: all logs are about to be closed cleanly, so that nothing below their ends
 * needs recovery then. */
void replicas_checkpoint(const struct replicas *rs, const struct log_dir *dir, bool closing,
                         struct checkpoint *recovery_point, struct checkpoint *log_start,
                         struct checkpoint *high_watermark);

/* Move a replica into another directory while it serves (AlterReplicaLogDirs): copied aside, and exchanged when both are
 * the same; a moment of NOT_LEADER_OR_FOLLOWER for producers. A move to somewhere else ends. NONE: under way, or it
 * lies there. KAFKA_STORAGE_ERROR: it is offline, or the directory is; REPLICA_NOT_AVAILABLE: it has no log yet;
 * INVALID_TOPIC_EXCEPTION: its name is too long for a future directory. */
enum kerr replica_move(struct replica *r, struct log_dir *dir);
/* A partition that is not here yet shall be made there when it comes: told to every shard, as it has no id. */
void replicas_prefer(struct replicas *rs, struct str topic, int32_t partition, struct log_dir *dir);
/* The copy of a replica that moves, and where it lies; NULL when it does not, or has yet to begin. */
const struct log *replica_future(const struct replica *r, const struct log_dir **dir);

/* The directory has failed (log_dir_is_online): its replicas go offline, each until a restart. */
void replicas_dir_failed(struct replicas *rs, const struct log_dir *dir);

/* NULL when there is none, or it has no log: replica_absence says why. */
struct replica *replica_find(const struct replicas *rs, struct uuid topic_id, int32_t partition);
/* KAFKA_STORAGE_ERROR when its directory has failed, NOT_LEADER_OR_FOLLOWER when it is not here (yet). */
enum kerr replica_absence(const struct replicas *rs, struct uuid topic_id, int32_t partition);
uint32_t replicas_offline(const struct replicas *rs); /* how many have no log because of a directory */
uint32_t replicas_count(const struct replicas *rs);
/* By how many records at most a replica that follows is behind its leader's high watermark, as it was told last. */
int64_t replicas_max_lag(const struct replicas *rs);
int64_t replica_lag(const struct replica *r); /* the same of one; 0 of one that does not follow */
/* Proposals of leaders here that are in force, and those that the controller refused, since the start. */
struct replicas_isr_counts {
    uint64_t shrinks, expands, failed;
};
struct replicas_isr_counts replicas_isr_counts(const struct replicas *rs);
void replicas_each(struct replicas *rs, void (*each)(void *ctx, struct replica *r), void *ctx);

/* New static or dynamic broker settings: those of all replicas are derived anew. */
void replicas_set_broker(struct replicas *rs, const struct config *broker);

/* Keep the struct while an operation is under way; its log may be gone by the end (replica_log
 * is NULL then). */
void replica_hold(struct replica *r);
void replica_release(struct replica *r);

struct str replica_topic(const struct replica *r);
struct uuid replica_topic_id(const struct replica *r);
int32_t replica_partition(const struct replica *r);
const struct log_dir *replica_dir(const struct replica *r); /* while it has a log */
struct log *replica_log(const struct replica *r); /* NULL once it is being closed or deleted */
const struct replication *replica_replication(const struct replica *r);
const struct config *replica_settings(const struct replica *r); /* topic settings in force */
int64_t replica_high_watermark(const struct replica *r);
int64_t replica_last_stable_offset(const struct replica *r);

/* The controller's answer to a proposal; `state` with KERR_NONE. */
void replica_proposed(struct replica *r, const struct replication_proposal *proposal, enum kerr error,
                      const struct replication_state *state);

/* ---- old records --------------------------------------------------------------------------- */

/* Go through all replicas, one after another: remove the segments that have outlived their topic's retention.ms
 * or retention.bytes (every log.retention.check.interval.ms). Completes when that is done; trouble with one is
 * said, and the others are gone through all the same. */
void replicas_retain(struct replicas *rs, struct op *op);
/* The same: forget producers that have been silent for producer.id.expiration.ms. */
void replicas_expire_producers(struct replicas *rs, struct op *op);
/* Both end soon, and are not begun again: before replicas_close, which wants them to have ended. */
void replicas_stop_passes(struct replicas *rs);

/* Compact the set's logs, one at a time, until cleaner_stop; settings are looked at each time. `cleaned` is called
 * when one was: then the directory's cleaner checkpoint is due. */
struct cleaner;
struct cleaner *cleaner_start(struct replicas *rs, void (*cleaned)(void *ctx, struct log_dir *dir), void *ctx);
/* What is under way ends early. Completes when nothing is; frees. Before replicas_close. */
void cleaner_stop(struct cleaner *c, struct op *op);
/* Lines of cleaner-offset-checkpoint, as replicas_checkpoint. */
void replicas_cleaner_checkpoint(const struct replicas *rs, const struct log_dir *dir, struct checkpoint *cleaner);
/* Its log could not be read by the cleaner, which has said so; it is left alone until the next start. */
bool replica_is_uncleanable(const struct replica *r);

/* Raise the start of a partition for a client (DeleteRecords): records below `offset` are no longer served.
 * `*low_watermark` is the start then; it is durable with the directory's log-start checkpoint, which the caller
 * writes. NOT_LEADER_OR_FOLLOWER, POLICY_VIOLATION (compacted, and nothing is deleted), OFFSET_OUT_OF_RANGE
 * (above the high watermark). */
#define DELETE_TO_HIGH_WATERMARK (-1)
enum kerr replica_delete_records(struct replica *r, int64_t offset, int64_t *low_watermark);

/* ---- produce -------------------------------------------------------------------------------- */

struct replica_appended {
    int64_t base_offset, last_offset, append_time_ms, log_start_offset;
    bool duplicate;
};

/* Append a validated batch as leader. NOT_LEADER_OR_FOLLOWER also of one that is held but
 * withdrawn, NOT_ENOUGH_REPLICAS, and what log_append says. */
enum kerr replica_append(struct replica *r, const struct batch *batch, int16_t acks,
                         struct replica_appended *out);

/* Rules of validation that the topic's settings give, as of now. */
void replica_validate_rules(const struct replica *r, int16_t produce_version,
                            struct validate_rules *out);

/* Waits until an append is committed. Embedded by the request. */
struct replica_wait {
    struct list node;
    int64_t offset; /* ready when the mark is >= this */
    void (*ready)(struct replica_wait *w, enum kerr error);
};
/* acks=all: until the high watermark passes, then NOT_ENOUGH_REPLICAS_AFTER_APPEND where too few are in sync by now.
 * acks=1: until the log's stable end passes `offset`, also when leadership ends meanwhile (Kafka would have answered at
 * the append); REQUEST_TIMED_OUT when the log goes. Ready with NOT_LEADER_OR_FOLLOWER when leadership
 * was lost before, and with acks=all when it ends. `ready` is never called inside. */
void replica_wait_committed(struct replica *r, struct replica_wait *w, int64_t offset);
void replica_wait_stable(struct replica *r, struct replica_wait *w, int64_t offset);
void replica_wait_cancel(struct replica_wait *w); /* accepts one that is not waiting */

/* ---- fetch ---------------------------------------------------------------------------------- */

enum isolation { READ_UNCOMMITTED = 0, READ_COMMITTED = 1 };

/* A reader that found too little: told once when the mark of its isolation moves, or leadership
 * is lost or was before. Never told inside replica_watch.
 *
 * A broker that follows is told once when the log's end moves. When only the high watermark does it is told so, and
 * goes on watching: inside that it calls nothing here. */
struct replica_watch {
    struct list node;
    bool any_role;           /* a consumer that may read from one that follows, too: told when the role changes */
    bool follower;
    int32_t follower_id;
    const int64_t *heard_ms; /* when the follower last asked (io_now_ms); read when the end moves */
    bool only_mark;          /* set for a follower that is told: there is nothing to read */
    void (*moved)(struct replica_watch *w);
};
void replica_watch(struct replica *r, struct replica_watch *w);
void replica_watch_cancel(struct replica_watch *w); /* accepts one that does not watch */

/* ---- followers ------------------------------------------------------------------------------- */

/* A Fetch of another broker that follows. */
struct replica_follower {
    int32_t id;
    int64_t broker_epoch;       /* -1 not said */
    int32_t leader_epoch;       /* -1 not said */
    int64_t offset, log_start;
};
/* May it fetch? NONE, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH. */
enum kerr replica_check_follower(const struct replica *r, const struct replica_follower *f);
/* It was let in, and does not diverge: it holds everything below its offset on stable storage. `log_end` is where our
 * log ended before the answer is read. Moves the high watermark (who waits for it is told in a later turn), proposes to
 * take it into the ISR. */
void replica_fetched(struct replica *r, const struct replica_follower *f, int64_t log_end);
/* Every half of replica.lag.time.max.ms: who has fallen behind leaves the ISR. */
void replicas_check_isr(struct replicas *rs);

/* ---- throttles ------------------------------------------------------------------------------- */

/* The partition's leader is in leader.replication.throttled.replicas: what followers get of it counts. */
bool replica_is_throttled(const struct replica *r);
/* In how many milliseconds to look again, before which the follower gets nothing of it; 0: it may have some. Never for
 * one that the high watermark waits for. */
int64_t replica_held_ms(struct replica *r, int32_t follower);
/* So much has been copied for a throttled replica. */
void replicas_copied(struct replicas *rs, enum replica_throttle which, uint64_t bytes);
/* Bytes per second lately, as this shard has measured it. */
int64_t replicas_copy_rate(struct replicas *rs, enum replica_throttle which);
