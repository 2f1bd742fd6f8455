/* cli/bench.h - `millrace bench`: what its files share. */
#pragma once

#include "cli/load.h"

enum bench_option {
    BENCH_PRODUCE,
    BENCH_CONSUME,
    BENCH_BOTH,
    BENCH_SERVER,
    BENCH_COMMAND_CONFIG,
    BENCH_TOPIC,
    BENCH_RECORDS,
    BENCH_SECONDS,
    BENCH_WARMUP,
    BENCH_SIZE,
    BENCH_RATE,
    BENCH_IN_FLIGHT,
    BENCH_PARTITIONS,
    BENCH_REPLICATION,
    BENCH_CONFIG,
    BENCH_PRODUCER_PROPERTY,
    BENCH_CONSUMER_PROPERTY,
    BENCH_KEEP,
    BENCH_JSON,
    BENCH_OPTIONS,
};

/* What has come to one end, the warm-up left out. */
struct bench_end {
    struct latency latency; /* in us, from the time at which a record was due */
    uint64_t records, bytes;
    int64_t begin_ns, last_ns;
};

struct bench {
    struct tool tool;
    int mode; /* BENCH_PRODUCE ... */
    struct str topic;
    bool made;      /* the topic is ours, to be removed */
    bool is_filled; /* consume: records were put there for it */
    int64_t records, seconds, warmup, size, rate, in_flight, partitions, replication; /* -1 = not given */
    struct config *producer_config, *consumer_config;
    struct admin_call topic_call;
    struct create_topics_request create;
    struct delete_topics_request remove;
    struct delete_topics_request_topics removed;
    struct metadata_request ask;
    struct metadata_request_topics asked;

    struct feed feed;
    struct drain drain;
    struct op drained;
    struct op *waiter;             /* of the flow: for `ready`, or for the end of the drain */
    struct consumer_partition *parts;
    int64_t *ends;                 /* of the partitions, when they were first seen; -1 = not yet */
    bool ready, fed, drain_over, interrupted;
    int64_t drain_result;
    uint64_t run;                  /* marks the records of this run */
    uint64_t received;             /* of them, warm-up included */
    uint8_t *value;
    struct prng random;
    struct bench_end acknowledged, arrived;
    char first_error[300];         /* of records that failed */
    int64_t last_ns;               /* something came */
    struct io_timer stop, progress;
    uint64_t shown_records;
    bool shown;                    /* a line of progress stands on the terminal */
    struct flow load;
    int64_t result;
};

/* bench_load.c */
MUST int bench_open(struct bench *x);
void bench_feed_run(struct bench *x, uint64_t limit, struct op *op);
/* Begin to read; x->ready, or its end, completes what bench_wait gets. */
void bench_drain_begin(struct bench *x);
void bench_wait(struct bench *x, struct op *op);
/* All was made: the drain ends when it has seen it. */
void bench_fed(struct bench *x);
void bench_interrupted(struct cli *c);
void bench_end(struct tool *t);

/* bench_print.c */
void bench_print(struct bench *x);
void bench_progress_begin(struct bench *x);
void bench_progress_end(struct bench *x);
