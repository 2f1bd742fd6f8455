/* tests/bench/bench.h - a load generator that costs little, so that what is measured is the broker.
 *
 *   options.c   the command line
 *   load.c      the order of things, JSON at the end
 *   wire.c      sockets, frames, one call at a time
 *   ask.c       what is asked before the load begins; how long a broker takes to be there (again)
 *   pattern.c   the one batch that is sent again and again, with its times and key renewed
 *   produce.c   the producer: one thread, many connections, closed or open loop (producer.h)
 *   answers.c   its answers: what they must say
 *   slot.c      its requests, encoded once
 *   consume.c   consumers: a thread and a connection each, at the tail or from the beginning
 *   measure.c   clocks, CPU time, histogram
 *
 * Whatever goes wrong (a connection that ends, an error code, an offset that is not the next one, a
 * batch that is not what was sent) ends the program with words and exit code 1: figures of a run
 * that lost something are worth nothing.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"
#include "protocol/protocol.h"
#include "record/record.h"

#define PARTITIONS_MAX 4096
#define CONNECTIONS_MAX 4096
#define GROUPS_MAX 64
#define WINDOW_MAX 4096
#define CONFIGS_MAX 16              /* settings of the topic */
#define BATCH_BYTES_MAX (1 << 20)   /* a broker's message.max.bytes is a little more */
#define FRAME_BYTES_MAX (128 << 20) /* of a response: a Fetch asks for 50 MiB at most */
#define STAMP_BYTES 8               /* at the start of a batch's first value: see pattern.c */
#define KEY_BYTES 16

/* What to do: the command line. */
struct plan {
    const char *host;
    const char *topic;
    const char *config; /* of the topic: KEY=VALUE,... */
    const char *codec;
    int64_t port;
    int64_t partitions;
    int64_t connections;   /* of the producer */
    int64_t groups;        /* each consumes everything */
    int64_t consumers;     /* connections of a group; 0 = nobody consumes */
    int64_t window;        /* requests in flight per connection */
    int64_t acks;          /* 1 or -1 */
    int64_t record_bytes;  /* of the value; no headers */
    int64_t batch_bytes;   /* at most, uncompressed, where two records fit; 0 = one record */
    int64_t keys;          /* different ones; 0 = records without a key */
    int64_t rate;          /* requests a second, open loop; 0 = closed loop */
    int64_t lag_bytes_max; /* closed loop: the producer waits when a group is this far behind */
    int64_t bytes_max;     /* ends the measurement before its time; 0 = no limit */
    int64_t read_bytes;    /* produce nothing: consume these bytes of a topic that exists */
    int64_t until_killed;  /* 1 = a lost connection is the expected end */
    int64_t baseline_ns;   /* before the load: what the machine does without it */
    int64_t warmup_ns;     /* load that is not counted */
    int64_t measure_ns;
    int64_t broker_pid;    /* whose CPU time is read; 0 = nobody's */
    int64_t wait_ready_ns; /* put no load on the broker, only wait for it; -1 = do put */
    int64_t wait_acks_ns;  /* likewise, until each partition has acknowledged a record */
};

/* ---- options.c ----------------------------------------------------------------------------- */

void plan_parse(int argc, char **argv, struct plan *plan);

/* ---- measure.c ---------------------------------------------------------------------------- */

int64_t clock_ns(void); /* monotonic */
int64_t clock_wall_ms(void);

/* Print "PROGRAM: ..." and end the program. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* CPU time so far, in seconds. */
struct cpu {
    double broker;        /* user and system */
    double broker_system; /* to a hundredth of a second */
    double client;        /* this program */
    double machine;       /* everything that ran, interrupts included */
};
struct cpu cpu_now(int64_t broker_pid);

/* Durations in buckets of less than 1 % of their value. */
#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    int64_t longest_ns;
};
void histogram_add(struct histogram *h, int64_t ns);
void histogram_merge(struct histogram *h, const struct histogram *other);

/* The duration that `share` (0..1) of all do not exceed, in ns; 0 when there are none. */
int64_t histogram_quantile(const struct histogram *h, double share);

/* ---- wire.c ------------------------------------------------------------------------------- */

/* Connected and without delay, or -errno. */
int wire_connect(const struct plan *plan);

/* Bytes of the last frame read; grows. */
struct frame {
    uint8_t *p;
    size_t capacity;
    struct bytes body; /* behind the response's header */
};

/* Send a request and wait for its answer (blocking socket). Response and `body` live until the next
 * call with the same frame and arena. False when the connection ended. */
bool wire_call(int fd, enum api_key key, int16_t version, const void *request, struct frame *frame,
               struct arena *arena, void *response);

/* ---- ask.c --------------------------------------------------------------------------------- */

/* Versions agreed with the broker: the highest that both know. */
struct versions {
    int16_t produce, fetch, metadata, create_topics;
};

/* Everything before the load: versions, the topic, a leader that serves each partition. */
void ask_prepare(const struct plan *plan, struct versions *versions, struct uuid *topic_id);

/* Wait until a Metadata answer names a broker; -> the time of that answer (clock_ns). */
int64_t ask_wait_ready(const struct plan *plan);

/* When the broker acknowledged again (clock_ns), and which offset each partition gave. */
struct acks {
    int64_t first_ns, last_ns;
    int64_t offsets[PARTITIONS_MAX];
};

struct pattern;

/* Try until each partition has acknowledged one batch of the pattern. */
void ask_wait_acks(const struct plan *plan, const struct pattern *pattern, struct acks *acks);

/* ---- pattern.c ---------------------------------------------------------------------------- */

#define PREFIX_BYTES_MAX 128

/* A batch is a prefix, which changes, and the rest, which does not. */
struct pattern {
    uint8_t prefix[PREFIX_BYTES_MAX]; /* the header, and the first record up to its stamp */
    uint32_t prefix_bytes;
    uint32_t key_at, stamp_at; /* in the prefix; 0 = there is none */
    struct bytes rest;
    int32_t bytes;       /* of the whole batch */
    int32_t plain_bytes; /* before it was compressed */
    int32_t count;       /* records in the batch */
    uint32_t rest_crc;   /* see pattern.c */
    uint32_t shift[32];
};
void pattern_init(struct pattern *p, const struct plan *plan);

/* The prefix of a batch whose records have the time `now_ms`, whose stamp is `intended_ns` and
 * whose key is the one of number `key`. `prefix` has room for prefix_bytes. */
void pattern_stamp(const struct pattern *p, int64_t now_ms, int64_t intended_ns, uint64_t key,
                   uint8_t *prefix);

/* ---- load.c ------------------------------------------------------------------------------- */

/* Counters at a moment. */
struct sample {
    int64_t at_ns;
    struct cpu cpu;
    uint64_t requests, acked_bytes, consumed_bytes;
};

struct load {
    struct plan plan;
    struct versions versions;
    struct uuid topic_id;
    struct pattern pattern;
    struct histogram latency;  /* to the acknowledgement */
    struct histogram received; /* to a consumer's receipt */
    struct sample begin, end;  /* of the measurement */
    double idle_cpu;           /* CPU seconds a second beside broker and client, before the load */
    uint64_t requests;         /* acknowledged */
    uint64_t sent_bytes, acked_bytes; /* of batches */
    uint64_t lag_bytes_longest;
    int64_t ends[PARTITIONS_MAX];                /* offset behind what was acknowledged */
    _Atomic uint64_t consumed_bytes[GROUPS_MAX]; /* by each group */
    _Atomic int64_t counted_from_ns;             /* requests that are due in this time count; */
    _Atomic int64_t counted_to_ns;               /* from 0 to 0 until the measurement begins */
    atomic_bool crc_checked; /* consumers look at checksums: only while warming up */
    atomic_bool done;        /* consumers end */
};

/* Whether a request that was due at `intended_ns` is part of the measurement. */
static inline bool load_counts(struct load *load, int64_t intended_ns)
{
    return intended_ns >= atomic_load_explicit(&load->counted_from_ns, memory_order_relaxed) &&
           intended_ns < atomic_load_explicit(&load->counted_to_ns, memory_order_relaxed);
}

/* What all groups have consumed together, and the one that is furthest behind. */
uint64_t load_consumed(struct load *load);
uint64_t load_consumed_least(struct load *load);

struct sample load_sample(struct load *load);

/* ---- produce.c ---------------------------------------------------------------------------- */

/* Warm up, measure, wait for the last answers. */
void produce(struct load *load);

/* ---- consume.c ---------------------------------------------------------------------------- */

struct consumers;
struct consumers *consumers_start(struct load *load);

/* Wait until every group has everything that was acknowledged. */
void consumers_await(struct consumers *consumers);

/* End the threads; dies when something was consumed that was not acknowledged. */
void consumers_end(struct consumers *consumers);
