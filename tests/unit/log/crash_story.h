/* crash_story.h - a log in the simulator that is told of step by step, until the power goes, and what must hold then. */
#pragma once

#include "lab.h"
#include "simulator/simulator.h"

#define TOPIC "t"
#define BATCHES_MAX 200
#define POWER SIM_CRASH_POWER
#define KILL SIM_CRASH_KILL
#define AFTER SIM_CRASH_AFTER

/* A batch as it must be found. */
struct entry {
    struct text bytes;
    int64_t base, last;
    int32_t epoch;
    int64_t producer_id;
    int32_t last_sequence;
    int marker;
    int64_t timestamp_ms; /* of its first record; the others +1 each */
};

struct story {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    struct log *log;
    struct entry entries[BATCHES_MAX];
    uint32_t count;
    int64_t acknowledged;     /* everything below it must be there */
    int64_t started;          /* the start may be raised to here */
    int64_t checkpoint_start; /* that was told to be durable */
    uint64_t point_bytes;     /* how often scan points move; 0: as ever, here never */
    bool loses_points;        /* with each crash: then logs are scanned from their recovery points on, as by Kafka */
    bool forgets;             /* a power cut may take what was acknowledged: relaxed */
    bool saves_late;          /* no checkpoint is written after a truncation */
    bool point_is_old;        /* the recovery point in the checkpoint may be of before a truncation */
    int32_t next_sequence[3];
    uint32_t distinct; /* so that no two batches are alike */
    uint32_t scale;    /* how much larger batches and segments are than small ones */
};

#define SMALL 1
#define LARGE 160 /* a batch is worth a direct write */

/* Segments of 1,000 bytes times `scale`, an index entry for every 200. */
struct story *story_new(uint64_t seed, bool durable, uint32_t scale);
void story_free(struct story *s);
bool story_is_up(const struct story *s);

/* ---- steps; each does nothing once the node is down ---------------------------------------- */

void story_open(struct story *s);
/* A batch of `producer` (0 none, 1 idempotent, 2 transactional), or its marker: 1 commit, 2 abort. */
void story_append(struct story *s, int64_t producer, int32_t epoch, int marker);
void story_until_stable(struct story *s);
void story_begin_epoch(struct story *s, int32_t epoch);
void story_flush(struct story *s);
void story_save_checkpoints(struct story *s);
/* Cut at the base of the n-th batch from the end. */
void story_truncate(struct story *s, uint32_t n);
void story_raise_start(struct story *s, int64_t offset);
/* The oldest segments go until no more than `bytes` need stay; once that is told, they stay gone. */
void story_retain(struct story *s, int64_t bytes);
void story_close(struct story *s, bool clean);

/* ---- after a crash --------------------------------------------------------------------------- */

void story_lose_points(struct story *s); /* where it does */
void story_restart(struct story *s);     /* the node; the lab was ended */
void story_open_after_crash(struct story *s);
/* Forget what the crash took with it. */
void story_adopt(struct story *s);

/* ---- what must hold (crash_check.c) ------------------------------------------------------------ */

/* The log holds the first batches that were appended, whole, up to an end that is not below what
 * was acknowledged, and the states beside it say what they say. */
void story_check(struct story *s);
/* Power has taken all that lay below a start that was raised, too. */
bool story_has_lost_all(const struct story *s);
/* Whenever the power goes. L4: each batch that can be read lies in the epoch that the checkpoint tells. */
void story_check_epochs(struct story *s);
