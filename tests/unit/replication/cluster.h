/* cluster.h - one partition as a whole: brokers with their machines and logs, a controller, letters between them.
 *
 *   broker ── FETCH ──► leader ── ANSWER ──► broker
 *   leader ── PROPOSAL ──► controller ── DECISION ──► leader
 *   controller ── news, one after another, late ──► every broker
 *
 * Letters come late, in any order, or not at all. A crash loses what is not stable; a broker may also lose its disk,
 * while others are in sync, and then the controller learns of it (nothing else would be safe).
 */
#pragma once

#include "check.h"
#include "replication/replication.h"

#define BROKERS 5
#define RECORDS 256
#define EPOCHS 128
#define NEWS 1024
#define LETTERS 64
#define LAG_MS 1000

#define MUST_BE(c, condition)                                                                             \
    do {                                                                                                  \
        if (!(condition))                                                                                 \
            check_fail(__FILE__, __LINE__, "seed %llu: %s", (unsigned long long)(c)->seed, #condition);    \
    } while (0)

struct model_log {
    int32_t epoch[RECORDS];
    uint32_t value[RECORDS];
    int64_t end, stable;
    struct replication_end starts[EPOCHS]; /* of epochs; end_offset is where it begins */
    uint32_t start_count;
};

/* What the controller says, as of one change. */
struct news {
    int32_t leader, leader_epoch, partition_epoch, min_isr;
    int32_t replicas[BROKERS], isr[BROKERS];
    int32_t replica_count, isr_count;
    enum replication_recovery recovery;
    struct replication_broker brokers[BROKERS + 1];
};

enum letter_kind { FETCH, ANSWER, PROPOSAL, DECISION };

struct letter {
    enum letter_kind kind;
    int32_t from, to;      /* 0: the controller */
    uint32_t from_life, to_life;
    uint32_t number;       /* of a FETCH, and of its ANSWER */
    int32_t leader_epoch;
    int64_t broker_epoch, offset;
    int32_t last_epoch;
    enum kerr error;
    int64_t high_watermark;
    struct replication_end diverging;
    uint32_t count;        /* records from `offset` on */
    int32_t epochs[8];
    uint32_t values[8];
    struct replication_proposal proposal;
    struct news state;     /* of a DECISION */
};

struct broker {
    bool up;
    uint32_t life;         /* counts its processes */
    int64_t epoch;         /* of its registration */
    uint32_t registered;   /* the news that told of it */
    uint32_t seen;         /* the newest that it has applied */
    struct replication r;
    struct model_log log;
    int64_t saved_mark;    /* checkpoint of the high watermark */
    uint32_t number;       /* of its last FETCH */
    bool asked;            /* and it is not answered */
    struct {
        int64_t end;
        uint32_t value;
    } waits[RECORDS];      /* acks=all, by offset */
    uint32_t wait_count;
    int64_t mark;          /* as the last check saw it */
    int32_t mark_epoch;    /* as leader in that epoch; -1 */
};

struct cluster {
    uint64_t seed;
    struct prng g;
    int64_t now_ms;
    int32_t broker_count;
    bool old_fetch;        /* Fetch before version 15 says no broker epoch */
    bool unclean;          /* leaders may be elected from outside the ISR */
    struct news news[NEWS];
    uint32_t news_count;
    int64_t broker_epochs; /* the last that was given */
    struct broker brokers[BROKERS + 1]; /* by id, from 1 */
    struct letter letters[LETTERS];
    uint32_t letter_count;
    uint32_t values;       /* the last that was made */
    uint32_t committed[RECORDS];
    int64_t committed_end;
    /* what has happened: a history in which nothing does tests nothing */
    uint32_t acked, elections, expansions, shrinks, cuts, unclean_elections, refused, rolled_back;
};

static inline uint32_t below(struct cluster *c, uint32_t n)
{
    return (uint32_t)prng_below(&c->g, n);
}

/* ---- cluster_log.c ---------------------------------------------------------------------------- */

void log_add(struct model_log *log, int32_t epoch, uint32_t value);
void log_note(struct model_log *log, int32_t epoch);
void log_cut(struct model_log *log, int64_t end);
/* Interop of KIP-101: largest epoch known up to the asked one, and where the next one begins. */
struct replication_end log_end_of_epoch(const struct model_log *log, int32_t epoch);
/* Also one without records: a follower that led in it names it, and so the leader that does not know it is asked. */
int32_t log_last_epoch(const struct model_log *log);

/* ---- cluster_controller.c --------------------------------------------------------------------- */

void controller_begin(struct cluster *c);
const struct news *controller_now(const struct cluster *c);
/* A new process of broker `id`: not in the ISR, not leading, fenced. */
void controller_register(struct cluster *c, int32_t id);
void controller_fence(struct cluster *c, int32_t id);
void controller_unfence(struct cluster *c, int32_t id);
/* Another leader from the ISR, where there is one. */
void controller_elect(struct cluster *c);
void controller_elect_unclean(struct cluster *c);
void controller_reassign(struct cluster *c);
void controller_proposed(struct cluster *c, const struct letter *l);

/* ---- cluster.c -------------------------------------------------------------------------------- */

void letter_post(struct cluster *c, struct letter *l);
void letter_deliver(struct cluster *c, uint32_t i);
void broker_start(struct cluster *c, int32_t id);
void broker_crash(struct cluster *c, int32_t id, bool disk_is_lost);
void broker_learn(struct cluster *c, int32_t id, uint32_t up_to);
void broker_append(struct cluster *c, int32_t id);
void broker_settle(struct cluster *c, int32_t id, int64_t stable);
void broker_fetch(struct cluster *c, int32_t id);
void broker_tick(struct cluster *c, int32_t id);
void broker_propose(struct cluster *c, int32_t id);
