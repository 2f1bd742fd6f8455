/* broker/broker.h - the broker: listeners, sessions, one file per API; and how a node starts and
 * stops.
 *
 *   io ─► conn ─► session ─► api/NAME.c ─► scatter over shards ─► replicas, groups, controller
 *      ◄─ answers in order ◄─────────────── joined ◄──────────────┘
 *
 *   B1  Every request has a principal and passes authorize().
 *   B2  What is not in the API table is neither served nor advertised.
 *   B3  A request is decided on the shards that own what it touches; they share nothing and are
 *       reached by scatter only.
 *   B4  Requests of a connection are decided in order. Only Produce overlaps with Produce: any
 *       other begins when those before it are answered (as a Kafka broker, which reads the next
 *       request only then).
 */
#pragma once

#include "base/base.h"
#include "config/config.h"
#include "io/io.h"
#include "telemetry/telemetry.h"

struct broker;

struct broker_options {
    struct io *const *shards;        /* one door per shard; [0] is the home shard */
    uint32_t shard_count;
    struct telemetry_sink *sink;     /* log lines, from every shard: must be safe for that */
    const struct config *settings;   /* broker table, static level; lives as long as the broker */
    bool format_empty;               /* format unformatted, empty directories (a local default) */
    struct str software_version;
    struct str host_name;            /* this machine's: what is told of a listener that is on all interfaces and is not
                                        advertised otherwise; empty: not known */
    /* The broker is running: `listeners` as "PLAINTEXT://127.0.0.1:9092,..." with real ports. */
    void (*ready)(void *ctx, int32_t node_id, const char *listeners);
    /* It cannot go on (a log directory failed, the quorum is lost for good). Stop the process. */
    void (*fatal)(void *ctx, const struct fail *why);
    void *ctx;
};

/* Start on the home shard: directories, logs, quorum, registration, listeners. Completes with 0
 * when ready was called. `f` lives until completion; after trouble the broker must still be
 * stopped. */
void broker_start(const struct broker_options *o, struct broker **out, struct fail *f,
                  struct op *op);

/* It is to stop while it starts: where the start waits for other nodes it ends at once, with -ECANCELED. Then, or when it
 * has completed otherwise, broker_stop is called as ever. Home shard, before the start has completed. */
void broker_start_cancel(struct broker *b);

/* All shards' metrics in Prometheus text, appended to `out`. Home shard. Completes with 0. */
void broker_metrics(struct broker *b, struct text *out, struct op *op);

/* Sentences that say where a partition's leader and ISR are, and what this node knows of why, appended to `out`. Home
 * shard. Completes with 0, or -ENOENT: the metadata knows no such partition; nothing is appended then. */
void broker_why(struct broker *b, struct str topic, int32_t partition, struct text *out, struct op *op);

/* Stop cleanly: no new connections, controlled shutdown, requests answered or dropped, logs closed,
 * clean markers. Completes with 0 when every directory is marked clean. Frees the broker. */
void broker_stop(struct broker *b, struct op *op);
