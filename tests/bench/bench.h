/* tests/bench/bench.h - a load generator that costs little, so that what is measured is the broker.
 *
 *   load.c      options, the order of things, JSON at the end
 *   wire.c      sockets, frames, what is asked before the load begins
 *   pattern.c   the one batch that is sent again and again, with its time renewed
 *   produce.c   the producer: one thread, many connections, closed or open loop
 *   consume.c   consumers: a thread and a connection each, at the tail of what is produced
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
#define WINDOW_MAX 4096
#define BATCH_BYTES_MAX (1 << 20)   /* a broker's message.max.bytes is a little more */
#define FRAME_BYTES_MAX (128 << 20) /* of a response: a Fetch asks for 50 MiB at most */

/* What to do: the command line. */
struct plan {
    const char *host;
    const char *topic;
    int64_t port;
    int64_t partitions;
    int64_t connections;   /* of the producer */
    int64_t consumers;     /* connections that fetch; 0 = nobody consumes */
    int64_t window;        /* requests in flight per connection */
    int64_t acks;          /* 1 or -1 */
    int64_t record_bytes;  /* of the value; no key, no headers */
    int64_t batch_bytes;   /* at most, when more than one record fits; 0 = one record */
    int64_t rate;          /* requests a second, open loop; 0 = closed loop */
    int64_t lag_bytes_max; /* the producer waits when consumers are this far behind */
    int64_t bytes_max;     /* ends the measurement before its time; 0 = no limit */
    int64_t warmup_ns;     /* load that is not counted */
    int64_t measure_ns;
    int64_t broker_pid;    /* whose CPU time is read; 0 = nobody's */
    int64_t wait_ready_ns; /* put no load on the broker, only wait for it; -1 = do put */
};

/* Versions agreed with the broker: the highest that both know. */
struct versions {
    int16_t produce, fetch, metadata, create_topics;
};

/* ---- measure.c ---------------------------------------------------------------------------- */

int64_t clock_ns(void); /* monotonic */
int64_t clock_wall_ms(void);

/* Print "bench_load: ..." and end the program. */
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

/* Everything before the load: versions, the topic, a leader for each partition. */
void wire_prepare(const struct plan *plan, struct versions *versions, struct uuid *topic_id);

/* Wait until a Metadata answer names a broker; -> the time of that answer (clock_ns). */
int64_t wire_wait_ready(const struct plan *plan);

/* ---- pattern.c ---------------------------------------------------------------------------- */

struct pattern {
    uint8_t header[BATCH_HEADER_BYTES];
    struct bytes records; /* what stands behind the header */
    int32_t bytes;        /* header and records */
    int32_t count;        /* records in the batch */
    uint32_t records_crc; /* see pattern.c */
    uint32_t shift[32];
};
void pattern_init(struct pattern *p, const struct plan *plan);

/* The header of a batch whose records have the time `now_ms`. */
void pattern_stamp(const struct pattern *p, int64_t now_ms, uint8_t header[BATCH_HEADER_BYTES]);

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
    struct histogram latency;
    struct sample begin, end;         /* of the measurement */
    uint64_t requests;                /* acknowledged */
    uint64_t sent_bytes, acked_bytes; /* of batches */
    uint64_t lag_bytes_longest;
    _Atomic uint64_t consumed_bytes;
    atomic_bool crc_checked; /* consumers look at checksums: only while warming up */
    atomic_bool done;        /* consumers end */
};

/* ---- produce.c ---------------------------------------------------------------------------- */

/* Warm up, measure, wait for the last answers. */
void produce(struct load *load);

/* ---- consume.c ---------------------------------------------------------------------------- */

struct consumers;
struct consumers *consumers_start(struct load *load);

/* Wait until everything acknowledged was consumed, then end the threads. */
void consumers_finish(struct consumers *consumers);
