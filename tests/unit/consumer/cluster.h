/* cluster.h - scripted brokers that have one log, "t"-0, and a consumer that reads it. */
#pragma once

#include "consumer/consumer.h"
#include "script.h"

struct late {
    struct io_timer timer;
    struct script_request *request;
};

struct cluster {
    struct script *script;
    struct consumer_settings settings;
    struct consumer *consumer;
    struct text events, read;      /* read: values, joined by blanks */

    struct text log;               /* of t-0: batches */
    int64_t start, end;
    int32_t epoch;                 /* of the next batch */
    int16_t (*judge)(struct cluster *c, const struct script_request *r); /* an error of a Fetch; NULL */
    int64_t aborted_producer, aborted_first; /* -1 none */
    int64_t epoch_end;             /* OffsetForLeaderEpoch's answer: end, and the epoch */
    int32_t epoch_found;
    int32_t hint_leader, hint_epoch; /* with fetch_error */
    int16_t fetch_error, top_error;  /* of the next Fetch only */
    int32_t prefer;                /* preferred read replica that broker 1 names; -1 none */
    int32_t session_id;            /* that is given; 0 none */
    struct text fetches;           /* a line for each Fetch */
    bool park;                     /* the next Fetch is held */
    struct script_request *parked;
    struct late empty[3];          /* by broker: an answer without records, which comes late */
    bool ending;
    int16_t offsets_error;         /* of the next OffsetFetch only */
    int64_t committed;
    int16_t commit_error;          /* of the next OffsetCommit only */
    uint32_t commits;
};

void cluster_open(struct cluster *c, uint32_t brokers);
void cluster_open_in(struct cluster *c, struct script *script); /* in that world, which cluster_end frees */
void cluster_begin(struct cluster *c); /* the consumer, assigned t-0 */
void cluster_end(struct cluster *c);

/* A batch of `count` records "FIRST" ...; returns where it lies in the log. */
size_t cluster_append(struct cluster *c, int32_t count, enum codec codec);
/* What compaction has left of a batch: every `step`th of `count` records. */
size_t cluster_append_sparse(struct cluster *c, int32_t count, int32_t step, enum codec codec);
/* The same, of a transaction; and its end. */
void cluster_append_of(struct cluster *c, int64_t producer_id, int32_t count);
void cluster_mark(struct cluster *c, int64_t producer_id, enum control_type type);
void cluster_cut_log(struct cluster *c, int64_t end); /* drop batches from that offset on */

/* Read what is there now, done. */
void cluster_take(struct cluster *c);
bool cluster_has(const struct cluster *c, const char *event);
struct consumer_place cluster_place(struct cluster *c);

/* Take until `text` was read; fails when something else was. */
#define READS(c, text)                                                             \
    do {                                                                           \
        text_clear(&(c)->read);                                                    \
        SCRIPT_UNTIL((c)->script, (cluster_take(c), (c)->read.n >= strlen(text))); \
        CHECK_TEXT(text_str(&(c)->read), text);                                    \
    } while (0)
