/* millrace/client.h - libmillrace: producers and consumers of Kafka clusters, in C and C++.
 *
 *     struct mr_error e;
 *     struct mr_settings *s = mr_settings_new();
 *     mr_set(s, "bootstrap.servers", "127.0.0.1:9092", &e);
 *     struct mr_producer *p = mr_producer_open(s, NULL, NULL, &e);
 *     struct mr_topic *t = mr_producer_topic(p, "greetings");
 *     struct mr_record r = {.topic = t, .partition = MR_ANY, .value = mr_text("hello"), .key = MR_NULL,
 *                           .timestamp_ms = MR_NOW};
 *     mr_produce(p, &r, 1000, &e);
 *     mr_producer_close(p, 10000, &e);
 *
 *   L1  Results: 0 or more as said; negative an enum mr_code, and then `e` says it in words. `e` may be NULL. On
 *       success `e` is not touched.
 *   L2  Every call with a timeout_ms ends by then. 0 = do not wait; -1 = as long as it takes.
 *   L3  A handle may be used by several threads at once, except while it is being closed. A chunk belongs to one
 *       thread at a time.
 *   L4  One thread of the process does the I/O of all handles that were opened without a loop; it begins with the
 *       first and ends with the last. With a loop of the caller nothing happens but inside of mr_loop_run
 *       and of calls that wait.
 *   L5  Hooks are called by the I/O thread (with a loop: inside mr_loop_run and calls that wait), without locks. They
 *       may call what does not wait (timeout 0). mr_poll's hook is called by the thread that polls.
 *   L6  After fork() the child's calls on handles of its parent fail with MR_FORKED and touch nothing.
 *   L7  Text that is returned is terminated by a zero and UTF-8, unless a length is beside it.
 *
 * Settings, with their names, defaults and meanings, are those of Kafka's clients. Versions are semantic: within one
 * MAJOR programs go on without being compiled anew; structs that callers fill begin zeroed.
 */
#ifndef MILLRACE_CLIENT_H
#define MILLRACE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MR_VERSION_MAJOR 0
#define MR_VERSION_MINOR 1
#define MR_VERSION_PATCH 0

#ifndef MR_API
#define MR_API __attribute__((visibility("default")))
#endif

/* "0.1.0": of the library that is linked. */
MR_API const char *mr_version(void);

/* ---- bytes ---------------------------------------------------------------------------------- */

/* n -1 = null, which Kafka tells apart from empty. */
struct mr_bytes {
    const void *p;
    int32_t n;
};

static inline struct mr_bytes mr_bytes(const void *p, int32_t n)
{
    struct mr_bytes b = {p, n};
    return b;
}
static inline struct mr_bytes mr_text(const char *text)
{
    return mr_bytes(text, text == NULL ? -1 : (int32_t)strlen(text));
}
#define MR_NULL (mr_bytes(NULL, -1))

/* ---- errors --------------------------------------------------------------------------------- */

enum mr_code {
    MR_OK = 0,
    MR_TIMED_OUT = -1,    /* the time of the call was up */
    MR_FULL = -2,         /* buffer.memory is taken; mr_produce with time, or hooks.room */
    MR_INVALID = -3,      /* an argument or a setting that cannot be; `text` says what is allowed */
    MR_TOO_LARGE = -4,    /* a record above max.request.size, or buffer.memory */
    MR_NOT_ASSIGNED = -5, /* the consumer does not have this partition */
    MR_BROKER = -6,       /* a broker has answered an error: `kafka_code` */
    MR_CONNECTION = -7,   /* no broker, or none that answers */
    MR_DAMAGED = -8,      /* bytes that are no record batch, or fail their checksum */
    MR_CLOSED = -9,       /* the handle is being closed, or has come to its end */
    MR_FORKED = -10,      /* a handle of the parent process */
    MR_MEMORY = -11,
    MR_SYSTEM = -12,      /* what else the system refuses; `text` says what */
};

/* What the caller may do now. */
enum mr_advice {
    MR_FINE,     /* nothing: no error */
    MR_RETRY,    /* the same call again, a little later; after an indefinite error it may be done twice */
    MR_SEEK,     /* put the partition's position anew; it stands still until then */
    MR_REJOINED, /* the partitions have another owner: forget what was to be committed */
    MR_REPAIR,   /* change something first: rights, a setting, the topic, the record */
    MR_CLOSE,    /* this handle will do no more: close it (of a close: it is gone), and open another one */
};

struct mr_error {
    int32_t code;        /* enum mr_code */
    int32_t kafka_code;  /* Kafka's error code with MR_BROKER, else 0 */
    int32_t advice;      /* enum mr_advice */
    int32_t definite;    /* 1: nothing has happened; 0: it may have */
    char text[240];      /* what, where, what to do */
};

/* "NOT_LEADER_OR_FOLLOWER". */
MR_API const char *mr_kafka_code_name(int32_t kafka_code);

/* ---- settings ------------------------------------------------------------------------------- */

struct mr_settings;

MR_API struct mr_settings *mr_settings_new(void);     /* NULL without memory */
MR_API void mr_settings_free(struct mr_settings *s);  /* accepts NULL */

/* One of Kafka's producer, consumer or admin settings, by name. Handles take from it what they know. 1: it is taken, and
 * has no effect here: mr_setting_help says why. MR_INVALID: a name that none of them has (`text` gives the nearest), or
 * a value that it cannot have. */
MR_API int mr_set(struct mr_settings *s, const char *name, const char *value, struct mr_error *e);
/* What a setting does, or why it does nothing here, in one line; NULL: there is none of that name. */
MR_API const char *mr_setting_help(const char *name);
/* All of a file of Java properties, as --command-config and --producer.config take them. -> how many have no effect. */
MR_API int mr_settings_read(struct mr_settings *s, const char *path, struct mr_error *e);

/* ---- a loop of the caller's ------------------------------------------------------------------ */

struct mr_loop;

MR_API struct mr_loop *mr_loop_new(struct mr_error *e);
/* Readable when mr_loop_run has something to do: for poll, epoll, libuv, ... */
MR_API int mr_loop_fd(const struct mr_loop *l);
/* Milliseconds until it has something to do in any case; -1 = nothing is due. */
MR_API int64_t mr_loop_due_ms(const struct mr_loop *l);
/* Do what is there to do; waits up to timeout_ms for it. By one thread at a time. */
MR_API int mr_loop_run(struct mr_loop *l, int64_t timeout_ms, struct mr_error *e);
/* All its handles are closed. Accepts NULL. */
MR_API void mr_loop_free(struct mr_loop *l);

/* ---- health ---------------------------------------------------------------------------------- */

enum mr_state { MR_IDLE, MR_CONNECTING, MR_JOINING, MR_UP, MR_FAILED };

struct mr_health {
    int32_t state;       /* enum mr_state */
    int64_t age_ms;      /* since it is so */
    char reason[256];    /* why it is not up, or that a broker's quota holds requests back; else empty */
};

/* ---- producer --------------------------------------------------------------------------------- */

struct mr_producer;
struct mr_topic; /* of one producer; lives as long as that */

/* Records of one batch have come to their end: all well, or all not. */
struct mr_ack {
    struct mr_topic *topic;
    const char *topic_name;
    int32_t partition;      /* -1: it failed before one was chosen */
    int32_t count;          /* records */
    int64_t base_offset;    /* of the first; -1 = not known (acks=0, an error) */
    int64_t append_time_ms; /* of a topic with LogAppendTime, else -1 */
    struct mr_error error;  /* code MR_OK = acknowledged */
    const void *tags;       /* for mr_ack_tag */
};
/* `tag` of the batch's record number i (0..count-1). */
MR_API uint64_t mr_ack_tag(const struct mr_ack *ack, int32_t i);

struct mr_producer_hooks {
    void *ctx;
    void (*acked)(void *ctx, const struct mr_ack *ack); /* once for each batch; a partition's in the order of its records */
    void (*room)(void *ctx);  /* after MR_FULL: there is room again */
    void (*fatal)(void *ctx, const struct mr_error *error); /* no record is taken any more. Once */
};

#define MR_ANY (-1)
#define MR_NOW (-1)

struct mr_header {
    struct mr_bytes key;    /* text, not null */
    struct mr_bytes value;
};

struct mr_record {
    struct mr_topic *topic;
    int32_t partition;      /* MR_ANY: by the key as Kafka's own producer, or sticky without one */
    int32_t header_count;
    struct mr_bytes key, value;
    const struct mr_header *headers;
    int64_t timestamp_ms;   /* since 1970; MR_NOW */
    uint64_t tag;           /* comes back with the acknowledgement; 0 = none */
};

/* Idempotent and acks=all unless settings say otherwise. Connects in the background. `loop` NULL: the I/O thread.
 * NULL on failure. */
MR_API struct mr_producer *mr_producer_open(const struct mr_settings *s, const struct mr_producer_hooks *hooks,
                                            struct mr_loop *loop, struct mr_error *e);
MR_API struct mr_topic *mr_producer_topic(struct mr_producer *p, const char *name); /* NULL without memory */

/* Take one record: its bytes are copied, and acknowledged by delivery.timeout.ms. When buffer.memory is taken it
 * waits up to timeout_ms for room: with 0 it never waits. */
MR_API int mr_produce(struct mr_producer *p, const struct mr_record *r, int64_t timeout_ms, struct mr_error *e);
/* All records that were taken before have come to their end. The acknowledgements say how. */
MR_API int mr_producer_flush(struct mr_producer *p, int64_t timeout_ms, struct mr_error *e);
/* Sends what is there, waits for its end, frees. What is not acknowledged by timeout_ms fails, and is told to `acked`;
 * then the result is MR_TIMED_OUT. The handle is gone in any case. Accepts NULL. */
MR_API int mr_producer_close(struct mr_producer *p, int64_t timeout_ms, struct mr_error *e);
MR_API void mr_producer_health(struct mr_producer *p, struct mr_health *out);

/* ---- consumer --------------------------------------------------------------------------------- */

struct mr_consumer;
struct mr_chunk;

struct mr_partition {
    const char *topic;
    int32_t partition;
};

enum mr_event_kind {
    MR_REVOKED,         /* these are to be given up: what is done is committed after the hook */
    MR_ASSIGNED,        /* these are new; the hook may seek */
    MR_LOST,            /* these are gone, and may have another owner already */
    MR_PARTITION_ERROR, /* one partition has a trouble: `error` */
    MR_GROUP_ERROR,     /* the membership has: `error` */
};
struct mr_event {
    int32_t kind;       /* enum mr_event_kind */
    uint32_t count;
    const struct mr_partition *partitions;
    struct mr_error error;
};
struct mr_consumer_hooks {
    void *ctx;
    void (*event)(void *ctx, struct mr_consumer *c, const struct mr_event *event); /* inside mr_poll */
    void (*ready)(void *ctx); /* mr_poll has something, after it had nothing */
};

MR_API struct mr_consumer *mr_consumer_open(const struct mr_settings *s, const struct mr_consumer_hooks *hooks,
                                            struct mr_loop *loop, struct mr_error *e);
/* Commits what is done (enable.auto.commit), leaves the group, frees. Release the chunks before. Accepts NULL. */
MR_API int mr_consumer_close(struct mr_consumer *c, int64_t timeout_ms, struct mr_error *e);

/* The group (group.id) shares these topics out. Replaces what was subscribed. */
MR_API int mr_subscribe(struct mr_consumer *c, const char *const *topics, uint32_t count, struct mr_error *e);
/* Likewise all topics, also coming ones, for which `wants` is true; it is called by the I/O thread. */
MR_API int mr_subscribe_matching(struct mr_consumer *c, bool (*wants)(void *ctx, const char *topic), void *ctx,
                                 struct mr_error *e);
MR_API int mr_unsubscribe(struct mr_consumer *c, struct mr_error *e);
/* These partitions, without a group. */
MR_API int mr_assign(struct mr_consumer *c, const struct mr_partition *partitions, uint32_t count, struct mr_error *e);

/* Wait up to timeout_ms for records, and call `hooks.event` for what else happens. 1: `*out` is a chunk, of one
 * partition, with max.poll.records at most; 0: nothing came. At least every max.poll.interval.ms, or
 * the group takes the consumer for dead. */
MR_API int mr_poll(struct mr_consumer *c, int64_t timeout_ms, struct mr_chunk **out, struct mr_error *e);

/* A record in place: its bytes live until the chunk is released. */
struct mr_read {
    int64_t offset, timestamp_ms;
    struct mr_bytes key, value;
    int32_t header_count;
    const void *headers; /* for mr_read_header */
};
MR_API const char *mr_chunk_topic(const struct mr_chunk *k);
MR_API int32_t mr_chunk_partition(const struct mr_chunk *k);
/* The next record: 1; 0 = no more. MR_DAMAGED: what follows in this chunk cannot be read; `r->offset` is where. */
MR_API int mr_chunk_next(struct mr_chunk *k, struct mr_read *r, struct mr_error *e);
/* Header number i (0..header_count-1). */
MR_API struct mr_header mr_read_header(const struct mr_read *r, int32_t i);
/* Let go of it. Records below `done_to` are done: they may be committed. */
MR_API void mr_chunk_release(struct mr_chunk *k, int64_t done_to);
#define MR_DONE_ALL INT64_MAX
#define MR_DONE_NONE (-1)

struct mr_offset {
    const char *topic;
    int32_t partition;
    int64_t offset;         /* -1 = none */
    int64_t timestamp_ms;   /* mr_offsets_for_times: asked for, then that of the record */
    struct mr_error error;  /* of this partition */
};
/* Commit all that is done. */
MR_API int mr_commit(struct mr_consumer *c, int64_t timeout_ms, struct mr_error *e);
/* Commit these. MR_BROKER: look at their errors. */
MR_API int mr_commit_offsets(struct mr_consumer *c, struct mr_offset *offsets, uint32_t count, int64_t timeout_ms,
                             struct mr_error *e);
/* What the group has committed. */
MR_API int mr_committed(struct mr_consumer *c, struct mr_offset *offsets, uint32_t count, int64_t timeout_ms,
                        struct mr_error *e);
/* The first record at or after timestamp_ms, or MR_BEGINNING, or MR_END, of any partitions. */
MR_API int mr_offsets_for_times(struct mr_consumer *c, struct mr_offset *offsets, uint32_t count, int64_t timeout_ms,
                                struct mr_error *e);
#define MR_END (-1)
#define MR_BEGINNING (-2)

/* An offset, MR_BEGINNING or MR_END. Nothing that was read before comes after it. */
MR_API int mr_seek(struct mr_consumer *c, struct mr_partition p, int64_t offset, struct mr_error *e);
MR_API int mr_seek_time(struct mr_consumer *c, struct mr_partition p, int64_t timestamp_ms, struct mr_error *e);
MR_API int mr_pause(struct mr_consumer *c, struct mr_partition p, struct mr_error *e);
MR_API int mr_resume(struct mr_consumer *c, struct mr_partition p, struct mr_error *e);

struct mr_place {
    int64_t position;       /* next offset to come; -1 = not known yet */
    int64_t committed;      /* -1 = none known */
    int64_t high_watermark, log_start; /* as last told; -1 = not yet */
    int32_t paused;
    char why_not[240];       /* why nothing comes; empty when all is well */
};
MR_API int mr_place(struct mr_consumer *c, struct mr_partition p, struct mr_place *out, struct mr_error *e);
/* What is assigned: an array of `*count`, to be freed with mr_partitions_free. */
MR_API int mr_assignment(struct mr_consumer *c, struct mr_partition **out, uint32_t *count, struct mr_error *e);
MR_API void mr_partitions_free(struct mr_partition *partitions);
MR_API void mr_consumer_health(struct mr_consumer *c, struct mr_health *out);

#ifdef __cplusplus
}
#endif
#endif
