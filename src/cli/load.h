/* cli/load.h - what the tools share that put load on a cluster: records in at their time, records out as they come,
 * how long that takes.
 *
 *   feed.make ──► feed: is it due? is there room? ──► room producer ──► feed.acked, in the order of records
 *   room consumer ──► drain: a piece of work per turn ──► drain.take
 *
 * All is on the tool's shard, and nothing is allocated for a record: what must be known of it when it is acknowledged
 * is in its tag.
 */
#pragma once

#include "cli/output.h"
#include "cli/tool.h"
#include "consumer/consumer.h"
#include "producer/producer.h"

#define NS_PER_MS INT64_C(1000000)

/* Kafka's tools try for a minute or more to reach brokers that are not there; who waits knows sooner. */
#define LOAD_UNREACHABLE_MS 10000

/* ---- feed.c ----------------------------------------------------------------------------------- */

struct feed {
    /* The caller sets these, behind feed_open. */
    struct str topic;
    double rate;            /* records a second, each at its time; 0 or less: as fast as they are taken */
    uint64_t limit;         /* records; UINT64_MAX = until feed_stop */
    uint64_t in_flight_max; /* records that may be unacknowledged; 0 = as many as buffer.memory holds */
    /* Fill in record number `n` (key, value, time, tag), once each, in order. What it names stays until the next. */
    void (*make)(struct feed *f, uint64_t n, int64_t due_ns, struct producer_record *out);
    void (*acked)(struct feed *f, const struct producer_ack *ack);
    /* The record, which make has filled in, can never be sent (ERR_LIMIT: too large). */
    void (*refused)(struct feed *f, const struct producer_record *r, int error);

    uint64_t made, acknowledged, failed; /* records */
    int64_t begin_ns;                    /* when the first one is due */
    struct producer *producer;

    struct tool *tool; /* private from here on */
    struct io *io;
    struct client *client;
    struct producer_record record; /* the one that is to be taken next */
    bool pending;                  /* make has filled it in */
    bool held, stopped, finishing, over;
    struct io_timer timer, patience;
    struct op flushed;
    struct op *parent;
    struct flow closing;
};

/* A producer with the settings of `config` (over producer_settings). -EINVAL and t->fail; feed_close is due anyway. */
MUST int feed_open(struct feed *f, struct tool *t, const struct config *config);
/* Completes with 0 when all records were told of; with trouble, and t->fail, when the producer or its cluster cannot be
 * used at all. */
void feed_run(struct feed *f, struct op *op);
/* Make nothing for now; go on. */
void feed_hold(struct feed *f, bool held);
/* Make no more: feed_run completes when those that were made were told of. Before feed_run and again is right, too. */
void feed_stop(struct feed *f);
/* Completes with 0. What was not told of is told of no more. Of a zeroed one, too. */
void feed_close(struct feed *f, struct io *io, struct op *op);

/* ---- drain.c ------------------------------------------------------------------------------------ */

#define DRAIN_TICK_MS 100

struct drain {
    /* The caller sets these, behind drain_open. */
    /* Take what is wanted of a chunk; records below what is returned are done. */
    int64_t (*take)(struct drain *d, struct consumer_chunk *k);
    void (*tick)(struct drain *d); /* NULL; every DRAIN_TICK_MS */
    void (*shared)(struct drain *d, const struct consumer_event *e); /* NULL; partitions were given or taken */

    struct consumer *consumer;

    struct tool *tool; /* private from here on */
    struct io *io;
    bool held, over;
    bool looked; /* whether a broker can be reached at all */
    struct io_timer timer, ticker;
    int64_t begin_ns;
    struct op *parent;
};

/* A consumer with the settings of `config` (over consumer_settings). -EINVAL and t->fail; drain_close is due anyway. */
MUST int drain_open(struct drain *d, struct tool *t, const struct config *config);
/* Read what the consumer was told to, until drain_end: completes with that result; with trouble, and t->fail, where
 * nothing more can be read. */
void drain_run(struct drain *d, struct op *op);
/* Take nothing for now; go on. */
void drain_hold(struct drain *d, bool held);
/* The first one counts. Before drain_run it does nothing. */
void drain_end(struct drain *d, int64_t result);
/* Completes with 0, or the trouble of the last commit. Of a zeroed one, too. */
void drain_close(struct drain *d, struct io *io, struct op *op);

/* ---- load.c ---------------------------------------------------------------------------------- */

/* How long things took. */
struct latency {
    struct histogram *histogram; /* of room telemetry: quantiles to 1/32 */
    uint64_t count, sum, longest;
};
/* `name` is different for each of a tool. */
void latency_init(struct latency *l, struct telemetry *t, const char *name);
void latency_add(struct latency *l, int64_t value); /* below 0 counts as 0 */
/* The value that `ppm` millionths do not exceed; 0 where there is none. */
uint64_t latency_quantile(const struct latency *l, uint32_t ppm);

/* A number as Java's "%.Nf" has it: NaN and Infinity are words. */
void decimal_add(struct text *out, int digits, double value);

/* As the tools print what a client has counted: Kafka's names, with its client.id. */
struct metric {
    const char *name; /* GROUP:NAME */
    double value;
};
void metrics_add(struct text *out, const struct metric *metrics, uint32_t count, struct str client_id);

/* Set in t->config what the tool knows itself, whatever file and properties say. */
MUST int setting_force(struct tool *t, const char *name, struct str value);

/* What is in cli->err is written now. */
void complaints_go(struct tool *t);

/* Fill with capital letters that nothing but `random` decides. */
void letters_fill(struct prng *random, uint8_t *p, size_t n);

/* ---- dates.c ------------------------------------------------------------------------------------ */

/* A pattern of Java's SimpleDateFormat: -EINVAL and `f` where a letter has no meaning here. */
MUST int date_check(struct str pattern, struct fail *f);
/* Append `wall_ms` (since 1970) by such a pattern, in UTC. */
void date_add(struct text *out, struct str pattern, int64_t wall_ms);
