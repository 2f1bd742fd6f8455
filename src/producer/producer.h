/* producer/producer.h - records in, batches out, one acknowledgement per batch.
 *
 *   producer_append ─► accumulator ─ batches, by node ─► sender ─ Produce ─► client ─► brokers
 *                        pure, under the caller's lock     │ on its shard, struct io
 *   hooks.acked  ◄───── in the order of the records ───────┘
 *
 *   P1  Every record that producer_append took is told of once, in an acknowledgement, by its delivery.timeout.ms (and
 *       by the deadline of a close). Acknowledgements of a partition come in the order of its records.
 *   P2  An error is definite (no broker has the records) or indefinite (one may have them).
 *   P3  Idempotent: a record is in its partition at most once, and in the order of appending. A batch in doubt is sent
 *       again under its own sequence; when it is given up, the partition's epoch is bumped before anything follows
 *       (KIP-360), and a batch that may be in the log is never sent under another sequence.
 *   P4  Memory for records is bounded by buffer.memory. producer_append never waits: it says that it is full.
 *   P5  Records are copied once, by producer_append, into the form in which they are sent.
 *
 * Threads: without `wake`, everything is called on the shard of `io`. With it, producer_topic, producer_append and
 * producer_partitions may be called by any thread that holds the caller's lock; the producer takes the same lock by
 * `lock` and `unlock` where it touches what they touch. All else, and every hook but `wake`, is on the shard, with
 * the lock not held.
 */
#pragma once

#include "client/client.h"
#include "record/record.h"

struct producer;
struct producer_topic; /* lives as long as its producer */

/* ---- settings ------------------------------------------------------------------------------- */

/* What a topic whose name fits `topic` (* = any letters, ? = one) is compressed with: millrace.topic.compression.type.
 * Every new topic is held against all of them. */
#define PRODUCER_COMPRESSIONS_MAX 64
struct producer_compression {
    struct str topic;
    enum codec codec;
    int level;
};

/* Names are Kafka's. */
struct producer_settings {
    int16_t acks;                        /* -1 all, 0, 1 */
    bool idempotence;                    /* enable.idempotence; needs acks -1 */
    uint32_t batch_size;                 /* bytes of a batch before compression; a larger record is one of its own */
    int64_t linger_ms;
    uint64_t buffer_memory;              /* bytes; >= 1 */
    uint32_t max_request_size;           /* bytes of records in a Produce; also of one record */
    uint32_t max_in_flight;              /* Produce requests per node; 1..5 with idempotence */
    uint32_t retries;                    /* per batch */
    int64_t request_timeout_ms;          /* also how long a broker waits for its replicas */
    int64_t delivery_timeout_ms;         /* from append to acknowledgement */
    int64_t metadata_max_idle_ms;        /* a topic without appends for so long is not kept fresh */
    enum codec codec;                    /* compression.type */
    int level;                           /* compression.TYPE.level */
    struct producer_compression compressions[PRODUCER_COMPRESSIONS_MAX]; /* before `codec`; the first that fits counts */
    uint32_t compression_count;
    bool adaptive_partitioning;          /* partitioner.adaptive.partitioning.enable (KIP-794) */
    int64_t availability_timeout_ms;     /* partitioner.availability.timeout.ms; 0 = off */
    bool ignore_keys;                    /* partitioner.ignore.keys */
    struct str rack;                     /* records without a key go rather to leaders in it: client.rack with
                                            partitioner.rack.aware (KIP-1123); empty or null: wherever they are */
};

/* What Kafka's producer has when nothing is set. */
void producer_settings_init(struct producer_settings *s);
/* Read them from a config over config's producer_settings; text is borrowed from `c`, and copied by producer_new. What
 * was not set gives way to what was, as in Kafka: acks=1 alone turns idempotence off, a long linger.ms raises
 * delivery.timeout.ms. -EINVAL, and `f` says what is wrong. */
MUST int producer_settings_read(const struct config *c, struct producer_settings *out, struct fail *f);

/* ---- what comes back ------------------------------------------------------------------------- */

enum producer_advice {
    PRODUCER_FINE,    /* no error */
    PRODUCER_RETRY,   /* the same records may go well later; of an indefinite error they may then be there twice */
    PRODUCER_GIVE_UP, /* these records, or this topic, will not do */
    PRODUCER_ABORT,   /* the producer has come to its end (fatal), or is closed */
};

struct producer_error {
    int16_t code;                 /* enum kerr; KERR_NONE = none */
    enum producer_advice advice;
    bool definite;                /* P2 */
    struct str text;              /* what, where, what to do; "" without an error. Valid during the hook */
};

struct producer_ack {
    struct producer_topic *topic;
    struct str topic_name;
    int32_t partition;            /* -1: none was chosen yet */
    int32_t count;                /* of records; >= 1 */
    int64_t base_offset;          /* of the first record; -1 not known (acks 0, DUPLICATE_SEQUENCE_NUMBER, an error) */
    int64_t append_time_ms;       /* with LogAppendTime; else -1 */
    struct producer_error error;
    const uint64_t *tags_end;     /* private; NULL = no record of the batch has a tag */
};

/* Tag of record `i` (0..count-1); 0 where none was given. */
static inline uint64_t producer_ack_tag(const struct producer_ack *a, int32_t i)
{
    return a->tags_end == NULL ? 0 : a->tags_end[-1 - i];
}

struct producer_hooks {
    /* In the hook producer_append may be called, and flush and close. */
    void (*acked)(void *ctx, const struct producer_ack *ack);
    /* NULL. After producer_append has said that it is full: there is room again. Once for all who were told. */
    void (*room)(void *ctx);
    /* NULL. The producer is fatal: it refuses records from now on, those it has fail. Once. */
    void (*fatal)(void *ctx, const struct producer_error *error);
    /* NULL: appends are made on the producer's shard. Else called by producer_append, with the lock held by its
     * caller: see that producer_run is called on the shard soon. Once until the next run, which may be another one than
     * that: who sends a message to the shard may be asked again while it is under way. */
    void (*wake)(void *ctx);
    void (*lock)(void *ctx), (*unlock)(void *ctx); /* NULL together */
};

/* ---- life ------------------------------------------------------------------------------------ */

/* `client` outlives it; settings and hooks are copied. NULL without memory, or for settings that do not fit each
 * other, which `f` names. */
struct producer *producer_new(struct io *io, struct client *client, const struct producer_settings *settings,
                              const struct producer_hooks *hooks, void *ctx, struct fail *f);

/* Take no more records, send those that are there, tell of each; what is not acknowledged after `timeout_ms` fails.
 * Completes with 0 when all were acknowledged well, -ETIMEDOUT when some failed for want of time, ERR_CLOSED where the
 * producer was fatal; then it is freed. Once. */
void producer_close(struct producer *p, int64_t timeout_ms, struct op *op);

/* The topic of that name; made when it is new. NULL without memory. */
struct producer_topic *producer_topic(struct producer *p, struct str name);
/* How many partitions it has; 0 = not known yet. */
int32_t producer_partitions(const struct producer_topic *t);

/* ---- records --------------------------------------------------------------------------------- */

/* Room library hands over the public struct mr_record as it is, which has the same members in the same places; hence
 * may_alias. */
struct producer_record {
    struct producer_topic *topic;
    int32_t partition;            /* -1 = the producer chooses: by the key as Kafka does, else sticky */
    int32_t header_count;
    struct bytes key, value;      /* null possible */
    const struct record_header *headers;
    int64_t timestamp_ms;         /* -1 = wall_ms of the append */
    uint64_t tag;                 /* comes back with the acknowledgement; 0 = none */
} __attribute__((may_alias));

/* Take one record. Its bytes are copied.
 *
 *   now_ms   a monotonic clock, that of io_now_ms
 *   wall_ms  milliseconds since 1970
 *
 * Fails  -EAGAIN      full (buffer.memory): hooks.room tells when to try again
 *        ERR_LIMIT    larger than max.request.size or than buffer.memory
 *        -ERANGE      the topic has no such partition, as far as is known: metadata is asked for anew
 *        -EINVAL      a timestamp below -1, a header without a key
 *        ERR_CLOSED   fatal, closing
 *        -ENOMEM
 * Cost   some 300 instructions for 100 bytes, all in all; one in about batch.size / 100 opens a batch */
MUST int producer_append(struct producer *p, const struct producer_record *r, int64_t now_ms, int64_t wall_ms);

/* Do what is due; for `wake`. */
void producer_run(struct producer *p);

/* Completes with 0 when all records appended before this call were acknowledged, or have failed. They do not wait for
 * linger.ms any more. */
void producer_flush(struct producer *p, struct op *op);

/* Bytes of buffer.memory that are taken, batches alive (open, waiting, sent and not told of), counts since it began. */
struct producer_stats {
    uint64_t memory_bytes;
    uint64_t batches;
    uint64_t records_acked, records_failed, batches_retried, epochs_bumped;
};
void producer_stats(struct producer *p, struct producer_stats *out);

/* The partition of a key as Kafka's own producer chooses it: murmur2 of the bytes, made positive, modulo `count`. */
int32_t producer_partition_of_key(struct bytes key, int32_t count);
