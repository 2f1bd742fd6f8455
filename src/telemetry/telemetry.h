/* telemetry/telemetry.h - log lines, counters, gauges, histograms; Prometheus text.
 *
 * Nothing here reads a clock or opens a file: lines go to a sink that the world sets (main: standard
 * error; simulator: its trace), numbers are read by whoever serves them. One `struct telemetry` per
 * shard, so that nothing is locked; a scrape adds up the shards.
 */
#pragma once

#include "base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct telemetry;

/* Where lines go. `line` is one line without its end. */
struct telemetry_sink {
    void (*write)(struct telemetry_sink *sink, enum log_level level, const char *room,
                  const char *line);
    enum log_level level; /* lines below are not made */
};

/* `sink` outlives it; NULL = lines go nowhere. */
struct telemetry *telemetry_new(struct telemetry_sink *sink);
void telemetry_free(struct telemetry *t); /* with all its numbers; accepts NULL */

/* Say something to the operator: what, where, and what to do. `room` is the speaker's name.
 * At most TELEMETRY_LINE_MAX bytes; longer lines are cut with "...". Control bytes become '?', so
 * that text from outside makes no lines of its own. */
#define TELEMETRY_LINE_MAX 2000
const char *log_level_name(enum log_level level); /* "DEBUG", "INFO", "WARN", "ERROR" */
void say(struct telemetry *t, enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- causes ---------------------------------------------------------------------------------- */

/* Keep why a partition is as it is: the last few of each, and of all the last CAUSES_MAX, about a megabyte. `wall_ms`:
 * when. What does not fit CAUSE_BYTES_MAX is cut; control bytes become '?'. Accepts NULL. */
#define CAUSES_OF_ONE_MAX 8
#define CAUSES_MAX 4096
#define CAUSE_BYTES_MAX 500
void telemetry_cause(struct telemetry *t, struct str topic, int32_t partition, int64_t wall_ms, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The topic is gone: so are the causes of its partitions. */
void telemetry_causes_forget(struct telemetry *t, struct str topic);
/* Oldest first. */
void telemetry_causes_each(const struct telemetry *t, struct str topic, int32_t partition,
                           void (*each)(void *ctx, int64_t wall_ms, const char *words), void *ctx);

/* ---- numbers -------------------------------------------------------------------------------- */

/* A number under a name and labels, kept by the telemetry, found once and then used by pointer.
 *
 *   name    as Prometheus wants it; for what Kafka has too, the name that jmx_exporter's stock
 *           rules produce (kafka_server_brokertopicmetrics_messagesin_total, ...)
 *   labels  `topic="orders",partition="0"` or ""; values escaped by the caller (telemetry_label)
 *   help    one line; static
 */
struct counter { uint64_t value; };                       /* only grows */
struct gauge { int64_t value; };
struct histogram;                                         /* of durations or sizes, log-linear */

struct counter *telemetry_counter(struct telemetry *t, const char *name, const char *labels,
                                  const char *help);
struct gauge *telemetry_gauge(struct telemetry *t, const char *name, const char *labels,
                              const char *help);
/* A gauge of which the sum over the shards is the largest one; not below 0. */
struct gauge *telemetry_peak(struct telemetry *t, const char *name, const char *labels, const char *help);
/* A gauge that is divided by `unit`, a power of ten, when printed: 1000 for one in us that is printed as ms. */
struct gauge *telemetry_gauge_in(struct telemetry *t, const char *name, const char *labels, uint64_t unit, const char *help);
/* `unit` is what one is divided by when printed: 1000000000 for values in ns printed as s. It is a
 * power of ten. */
struct histogram *telemetry_histogram(struct telemetry *t, const char *name, const char *labels,
                                      uint64_t unit, const char *help);
void histogram_add(struct histogram *h, uint64_t value);
/* Value that `ppm` millionths of the values do not exceed, of all since the start (relative error
 * < 1/32); 0 when there is none. */
uint64_t histogram_quantile(const struct histogram *h, uint32_t ppm);

/* The last 30 to 60 s of something that has a size or takes time. All zero: nothing has happened. Times only grow. */
#define RECENT_SAMPLE_MS 30000
struct recent {
    int64_t sample; /* number of the one that is being taken; the last one was before it */
    struct recent_sample {
        uint64_t count, sum, max;
    } last, now;
};
struct recent_sum {
    uint64_t count, sum, max;
    int64_t ms; /* that it is about */
};
void recent_add(struct recent *r, int64_t now_ms, uint64_t value);
struct recent_sum recent_sum(const struct recent *r, int64_t now_ms);

/* Forget the numbers of a thing that is gone (a deleted topic): those whose labels are `labels`, or
 * begin with them and go on (the topic's partitions). Their pointers end here. */
void telemetry_forget(struct telemetry *t, const char *labels);

/* Forget one number, where there is one. Its pointer ends here. */
void telemetry_forget_one(struct telemetry *t, const char *name, const char *labels);

/* Forget a name with all its labels. Its pointers end here. */
void telemetry_forget_named(struct telemetry *t, const char *name);

/* Append `key="value"` with Prometheus escaping (and a comma before it when text is not empty). */
void telemetry_label(struct text *labels, const char *key, struct str value);

/* Add the numbers of `from` to those of `sum`. A scrape sends one `sum` from shard to shard, so
 * that each shard reads its own numbers. */
void telemetry_merge(struct telemetry *sum, const struct telemetry *from);

/* The sum over the shards (all read by the caller's thread) in Prometheus text format 0.0.4:
 * counters and gauges added up, of peaks the largest, histograms as summaries with quantiles 0.5, 0.75, 0.95, 0.98, 0.99,
 * 0.999, sum and count. Sorted by name, then labels. */
void telemetry_print(struct telemetry *const *shards, uint32_t count, struct text *out);
