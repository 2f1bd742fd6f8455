/* consumer/consumer.h - reads partitions of a Kafka cluster: alone, or as a member of a group.
 *
 *   caller ── assign, subscribe, seek, commit ──► consumer ─ membership (pure) ─► coordinator
 *          ◄─ events: revoked, assigned, lost ───          ─ positions ─────────► leaders: ListOffsets, epochs
 *          ◄─ chunks of records, in place ───────          ─ fetcher ───────────► leaders or near replicas: Fetch
 *          ── done up to ────────────────────►             ─ commits ───────────► coordinator
 *
 *   U1  A consumer lives on one shard, with that shard's struct io. Nothing here is thread-safe but what a
 *       chunk's reader does: it touches that chunk alone.
 *   U2  Records of a partition are handed out in the order of their offsets, each once from where the position
 *       was put: nothing that was fetched before a seek, a revocation or a re-assignment is handed out after it.
 *   U3  What is committed is what the caller has said is done: an offset below which every record that was handed
 *       out since the position was put is done. Never what was merely handed out, and never back, save that the
 *       caller commits an offset of its own choice.
 *   U4  A partition is given up only after the caller was told (REVOKED), and had the time that the group grants;
 *       LOST says that it has an owner elsewhere already, perhaps.
 *   U5  Memory for records is bounded: see buffer_bytes.
 *   U6  Every call with an op completes exactly once, later, and by its time limit.
 */
#pragma once

#include "client/client.h"
#include "record/record.h"

struct consumer;

/* ---- errors --------------------------------------------------------------------------------- */

/* What the caller may do about an error. */
enum consumer_advice {
    CONSUMER_WAIT,      /* it passes, the consumer goes on by itself; or: ask again */
    CONSUMER_SEEK,      /* the partition stands still until its position is put anew */
    CONSUMER_REJOINED,  /* the partitions are shared out anew: what was to be committed is for their owners */
    CONSUMER_REPAIR,    /* somebody must change something: rights, settings, the topic */
    CONSUMER_GIVE_UP,   /* this consumer will do no more: close it */
};
struct consumer_error {
    int16_t code;   /* enum kerr; KERR_NONE when it was trouble */
    int trouble;    /* negative, base/error.h or errno; 0 when the cluster has answered `code` */
    bool definite;  /* nothing happened; false: it may have */
    enum consumer_advice advice;
    char text[240]; /* what, where, why */
};

/* ---- settings ------------------------------------------------------------------------------- */

#define CONSUMER_ASSIGNORS_MAX 8

enum consumer_reset { CONSUMER_RESET_LATEST, CONSUMER_RESET_EARLIEST, CONSUMER_RESET_NONE, CONSUMER_RESET_BY_DURATION };

/* Names are Kafka's, where it has one. Text is borrowed until consumer_new returns. */
struct consumer_settings {
    struct client_settings client;
    struct str group_id;                /* null: no group; only manual assignment, no commits */
    struct str group_instance_id;       /* null: a member of no fixed name (KIP-345) */
    struct str assignors[CONSUMER_ASSIGNORS_MAX]; /* partition.assignment.strategy, the preferred first: "range",
                                           "roundrobin", "sticky", "cooperative-sticky" */
    uint32_t assignor_count;
    int32_t session_timeout_ms;
    int32_t heartbeat_interval_ms;
    int32_t max_poll_interval_ms;       /* also how long a rebalance waits for this member */
    bool enable_auto_commit;
    int32_t auto_commit_interval_ms;
    enum consumer_reset auto_offset_reset;
    int64_t auto_offset_reset_ms;       /* of by_duration: so long before now (KIP-1106) */
    int32_t fetch_min_bytes, fetch_max_bytes, fetch_max_wait_ms;
    int32_t max_partition_fetch_bytes;  /* nothing is fetched of a partition of which half of it is ready */
    int64_t default_api_timeout_ms;
    bool read_committed;                /* isolation.level */
    bool check_crcs;
    bool exclude_internal_topics;       /* from subscriptions by pattern */
    int64_t buffer_bytes;               /* frames of answers in flight and held, chunks that the caller keeps included.
                                           Nothing is asked for that would not fit; what a broker may send beyond
                                           what it was asked for is one batch per fetch that is larger than asked */
    int32_t max_poll_records;           /* of a chunk */
    int64_t plain_bytes_max;            /* of one batch, decompressed: beyond it the batch counts as damaged */
    bool rebalance_wait;                /* REVOKED and ASSIGNED wait for consumer_consent */
};

/* Read them from a config over consumer_settings. Text is borrowed from `c`. -EINVAL, and `f` says what is wrong. */
MUST int consumer_settings_read(const struct config *c, struct consumer_settings *out, struct fail *f);

/* ---- life ----------------------------------------------------------------------------------- */

struct consumer_partition {
    struct str topic;
    int32_t partition;
};

enum consumer_event_kind {
    CONSUMER_REVOKED,   /* these are to be given up: end what is under way, mark it done, commit */
    CONSUMER_ASSIGNED,  /* these are new; positions may be put before the consent */
    CONSUMER_LOST,      /* these are gone, without a last word; perhaps they were about to be revoked */
    CONSUMER_PARTITION_ERROR, /* one partition: no position, damaged batch, no right ... */
    CONSUMER_GROUP_ERROR,     /* of the membership; advice GIVE_UP or REPAIR: it has stopped */
};
struct consumer_event {
    enum consumer_event_kind kind;
    const struct consumer_partition *partitions;
    uint32_t count;
    int32_t generation;         /* of the group; -1 without */
    uint64_t consent;           /* consumer_consent is to say it; 0 = none is wanted */
    int64_t until_ns;           /* then it goes on without a consent; INT64_MAX = waits */
    struct consumer_error error; /* of the two ERROR kinds */
    int64_t offset;             /* PARTITION_ERROR: where; -1 = no offset */
};

/* Called from the loop, never inside a call of this header; each of them may call anything but consumer_close's
 * completion. */
struct consumer_hooks {
    /* All that the event names lives until this returns. */
    void (*event)(void *ctx, const struct consumer_event *e);
    /* consumer_take has something, after it had nothing, or after consumer_tell_again. */
    void (*ready)(void *ctx);
    void *ctx;
};

/* Starts nothing yet. Settings are copied; hooks are copied. NULL, and `f` says why. */
struct consumer *consumer_new(struct io *io, struct telemetry *t, const struct consumer_settings *settings,
                              const struct consumer_hooks *hooks, struct fail *f);

/* Commit what is done (with enable.auto.commit), leave the group (a member with a group.instance.id does not), close
 * connections; by `timeout_ms` in any case. Chunks that are still held stay valid, and are to be released before
 * or after. Other calls end with ERR_CLOSED. No hook is called any more. Completes with 0, or with the trouble of the
 * last commit; -EIO: it was refused, or left out because the group is joined anew. By then the consumer is freed. */
void consumer_close(struct consumer *c, int64_t timeout_ms, struct op *op);

/* ---- what is read ----------------------------------------------------------------------------- */

/* These partitions, and no group decides. Replaces what was assigned; a partition that stays keeps its position and
 * what was fetched. -EBUSY while subscribed, -EINVAL for a name that no topic can have or a negative number. */
MUST int consumer_assign(struct consumer *c, const struct consumer_partition *partitions, uint32_t count,
                         struct fail *f);

/* The group shares these topics out among its members. Replaces an older subscription. -EINVAL without a group,
 * -EBUSY while partitions were assigned by consumer_assign. */
MUST int consumer_subscribe(struct consumer *c, const struct str *topics, uint32_t count, struct fail *f);
/* Likewise all topics, also coming ones, for which `wants` is true. It must be a function of the name. */
MUST int consumer_subscribe_matching(struct consumer *c, bool (*wants)(void *ctx, struct str topic), void *ctx,
                                     struct fail *f);
/* Give everything up: REVOKED is told, what is done is committed (enable.auto.commit), the group is left. */
void consumer_unsubscribe(struct consumer *c);

/* The event of kind REVOKED or ASSIGNED that said `consent` is dealt with. One that is over (LOST has come, or its time
 * has) does not count. */
void consumer_consent(struct consumer *c, uint64_t consent);
/* The caller is alive: to be called at least every max.poll.interval.ms, else the group is left (as Kafka's poll()
 * does). */
void consumer_polled(struct consumer *c);
/* Join anew, that the leader may share out again (KIP-568). `reason` is told to the coordinator. */
void consumer_rejoin(struct consumer *c, struct str reason);

/* What is assigned now, in the order of names and numbers; valid until the next turn. */
const struct consumer_partition *consumer_assignment(const struct consumer *c, uint32_t *count);

/* All of these: -ENOENT when the partition is not assigned. */
MUST int consumer_pause(struct consumer *c, struct consumer_partition p);  /* keeps what was fetched */
MUST int consumer_resume(struct consumer *c, struct consumer_partition p);

#define CONSUMER_END (-1)       /* the same numbers as in ListOffsets */
#define CONSUMER_BEGINNING (-2)
/* Put the position: an offset, CONSUMER_BEGINNING or CONSUMER_END. `leader_epoch` is that of the record before it
 * where known (-1 not): then a truncated log is noticed (KIP-320). What counts as done begins there, too. */
MUST int consumer_seek(struct consumer *c, struct consumer_partition p, int64_t offset, int32_t leader_epoch);
/* Put it where the first record at or after `timestamp_ms` stands, or the end. */
MUST int consumer_seek_time(struct consumer *c, struct consumer_partition p, int64_t timestamp_ms);

struct consumer_place {
    int64_t position;       /* next offset to hand out; -1 = not known yet */
    int64_t done;           /* everything below it that was handed out is done; -1 = no position yet */
    int32_t leader_epoch;   /* of the last record below `done`; -1 = not known */
    int64_t committed;      /* by this consumer, or found; -1 = none known */
    int64_t high_watermark, last_stable_offset, log_start; /* of the last answer; -1 = none */
    bool paused;
    char why_not[240];      /* why nothing comes: "" when all is well */
};
MUST int consumer_place(const struct consumer *c, struct consumer_partition p, struct consumer_place *out);

/* ---- records -------------------------------------------------------------------------------- */

/* Some records of one partition, in place. `private` fields stand in chunk.h of the room. */
struct consumer_chunk {
    struct str topic;       /* all of these live as long as the chunk */
    int32_t partition;
    int64_t first;          /* position before it: no record is below */
    int64_t next;           /* and behind it: offset of the last record + 1 at least */
    int32_t leader_epoch;   /* of its last batch; -1 = not known */
    uint32_t bytes;         /* as they came; of a batch in several chunks the first one has them all */
    uint16_t attributes;    /* of its first batch: codec, LogAppendTime */
};

/* The next chunk: of the partitions that have something, each in turn. NULL: nothing there. A chunk has one compressed
 * batch, or some uncompressed ones, or a part of a batch: max_poll_records at most. The caller owes one
 * consumer_chunk_release, in any order, also after the partition is gone or the consumer is closed. */
struct consumer_chunk *consumer_take(struct consumer *c);

/* Who has not taken all, and has nothing left of what it took, waits for `ready` again. */
void consumer_tell_again(struct consumer *c);

/* The next record: 1, or 0 = no more. Slices live until the release. A compressed chunk is decompressed by
 * the first call (on the calling thread, U1). -ENOMEM; ERR_CORRUPT or ERR_LIMIT for a damaged batch: `out->offset` is
 * where, and what follows in this chunk cannot be read. */
MUST int consumer_chunk_next(struct consumer_chunk *k, struct record *out);
/* Back to the first record; nothing is decompressed twice. */
void consumer_chunk_rewind(struct consumer_chunk *k);

/* Records of the chunk below `offset` are done, the others not yet. */
void consumer_chunk_done(struct consumer_chunk *k, int64_t offset);
/* Let go of it; records below `done_to` are done (k->next: all, k->first: none). Records that are released undone hold
 * the commits of their partition there until it is sought or given to somebody else. */
void consumer_chunk_release(struct consumer_chunk *k, int64_t done_to);

/* ---- committed offsets -------------------------------------------------------------------------- */

struct consumer_offset {
    struct consumer_partition partition;
    int64_t offset;         /* -1 = none */
    int32_t leader_epoch;   /* -1 = not known */
    struct str metadata;    /* null possible */
    int64_t timestamp_ms;   /* consumer_offsets_for only: asked for, then that of the record */
    struct consumer_error error; /* of this partition */
};

/* Embedded by the caller; zeroed, `op` initialised. Lives until `op` completes, and the array with it. */
struct consumer_call {
    struct op op;           /* 0 = all is well; -EIO = look at the errors, of each partition and `error`; trouble */
    struct consumer_offset *offsets; /* answers are written here */
    uint32_t count;
    int64_t timeout_ms;     /* 0 = default.api.timeout.ms */
    struct consumer_error error; /* of the whole call */

    struct consumer *consumer; /* private */
};

/* Commit these offsets for the group. With `count` 0: all that is done and not committed. Retried while
 * its generation stands; commits of this consumer take effect in the order of the calls. One whose generation has
 * ended says REJOINED, and is definite unless an answer to an earlier try was lost. So does one of all that is done
 * while a lost commit of this generation may take effect late, and the group is joined anew for that. */
void consumer_commit(struct consumer *c, struct consumer_call *call);
/* What the group has committed for these partitions. Waits for transactions that may still change it. */
void consumer_committed(struct consumer *c, struct consumer_call *call);
/* Offsets by time: the first record at or after timestamp_ms, CONSUMER_BEGINNING, CONSUMER_END (read_committed: the
 * last stable offset) or another number of ListOffsets; offset -1 where there is none. Any partition of any topic. */
void consumer_offsets_for(struct consumer *c, struct consumer_call *call);
/* Let the call end early: -ECANCELED, or as it ends. */
void consumer_call_cancel(struct consumer_call *call);

/* ---- how it goes -------------------------------------------------------------------------------- */

/* As TxnOffsetCommit wants it (KIP-447); text lives until the next turn. member_id empty outside a generation. */
struct consumer_group_metadata {
    struct str group_id, member_id, group_instance_id;
    int32_t generation; /* -1 = none */
};
void consumer_group_metadata(const struct consumer *c, struct consumer_group_metadata *out);

enum consumer_state {
    CONSUMER_IDLE,      /* nothing is to be read */
    CONSUMER_JOINING,   /* the group is being shared out, or its coordinator is looked for */
    CONSUMER_READING,
    CONSUMER_FAILED,    /* GROUP_ERROR has said why */
};
struct consumer_health {
    enum consumer_state state;
    struct client_health cluster;
    uint32_t assigned, paused, without_position, without_leader, in_error;
    uint32_t fetches_in_flight;
    uint64_t buffered_bytes; /* counted against buffer_bytes */
    char reason[256];       /* why nothing comes: "" when it may come any time */
};
void consumer_health(const struct consumer *c, struct consumer_health *out);
