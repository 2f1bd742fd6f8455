/* cli/perf_producer.h - kafka-producer-perf-test.sh: what its files share. */
#pragma once

#include "cli/load.h"

enum perf_producer_option {
    PP_SERVER,
    PP_TOPIC,
    PP_RECORDS,
    PP_SIZE,
    PP_FILE,
    PP_MONOTONIC,
    PP_DELIMITER,
    PP_THROUGHPUT,
    PP_OLD_PROPERTY,
    PP_PROPERTY,
    PP_OLD_CONFIG,
    PP_CONFIG,
    PP_METRICS,
    PP_TRANSACTIONAL_ID,
    PP_TRANSACTION_MS,
    PP_WARMUP,
    PP_INTERVAL,
    PP_OPTIONS,
};

/* What has come back since the beginning, and since the last line about it. */
struct perf_stats {
    struct latency latency; /* in ms */
    uint64_t bytes;
    int64_t begin_ms;
    uint64_t window_count, window_bytes, window_sum, window_longest;
    int64_t window_begin_ms;
    bool steady; /* of what is behind the warm-up */
    bool quiet;  /* no lines meanwhile */
};

struct perf_producer {
    struct tool tool;
    struct output output;
    struct feed feed;
    int64_t records, warmup, size, interval_ms;
    double rate;
    char *path; /* of --payload-file */
    struct text file;
    struct str *values; /* in `file` */
    uint32_t value_count;
    uint8_t *letters;
    struct prng random;
    struct perf_stats all, steady;
    bool is_steady;
    int64_t begin_ms;
    uint64_t complaints;
    int64_t result;
};

#define PERF_PAYLOADS_MAX (256u << 20) /* bytes of --payload-file */

/* What reading the file ended with: its values. Negative: t->fail. */
MUST int perf_payloads_take(struct perf_producer *x, int read);
/* The value of record `n`; until the next one is asked for. */
struct bytes perf_payload(struct perf_producer *x, uint64_t n);

/* latency_init comes before. */
void perf_stats_begin(struct perf_stats *s, int64_t now_ms);
/* One record was acknowledged after `ms`; where an interval is over, its line goes to `out`. */
void perf_stats_record(struct perf_stats *s, int64_t ms, uint32_t bytes, int64_t now_ms, int64_t interval_ms,
                       struct text *out);
void perf_stats_total(const struct perf_stats *s, int64_t now_ms, struct text *out);
