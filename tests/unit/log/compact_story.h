/* compact_story.h - a log of keyed records in the simulator, and what must hold of it however often
 * it was compacted. */
#pragma once

#include "lab.h"
#include "simulator/simulator.h"

#define STORY_RECORDS_MAX 4000
#define STORY_KEYS 7
#define STORY_PRODUCERS 3 /* 0 none, 1 idempotent, 2 transactional */

struct story_record {
    int key, value; /* value -1 = a tombstone */
    int producer;
    int transaction; /* 0 none */
    bool last_of_batch, marker;
};

struct keyed_story {
    struct sim *sim;
    struct sim_node *node;
    struct lab lab;
    struct log *log;
    struct prng g;
    struct story_record records[STORY_RECORDS_MAX]; /* by offset */
    bool aborted[STORY_RECORDS_MAX];                /* by transaction */
    int transactions, open;                         /* so far; the one that is open */
    int64_t open_first;
    int32_t next_sequence[STORY_PRODUCERS];
    int64_t acknowledged;
    int64_t started;       /* the start was raised to here */
    int64_t compacted_to;  /* records from here on must all be there */
    int64_t tombstones_to; /* below it tombstones may be gone */
    int64_t first_dirty;   /* that was saved */
    int64_t retention_ms;
    bool may_fail; /* operations of the disk do */
};

struct keyed_story *keyed_new(uint64_t seed);
void keyed_free(struct keyed_story *s);
bool keyed_is_up(const struct keyed_story *s);
void keyed_open(struct keyed_story *s);
void keyed_close(struct keyed_story *s, bool clean);
void keyed_restart(struct keyed_story *s);

/* Steps; each does nothing when the node is down. */
void keyed_append(struct keyed_story *s, int batches);
void keyed_end_transaction(struct keyed_story *s, bool commit);
void keyed_until_stable(struct keyed_story *s);
void keyed_flush(struct keyed_story *s); /* until rolled segments are closed, too */

struct keyed_run {
    struct log_compaction how;
    struct log_compacted done;
    struct log_dirt dirt;
    struct fail fail;
    struct wait wait;
};
/* Measure; false when there is nothing to do. */
bool keyed_measure(struct keyed_story *s, struct keyed_run *run);
/* Begin to compact what was measured. */
void keyed_compact_measured(struct keyed_story *s, struct keyed_run *run);
/* Both. */
bool keyed_compact_begin(struct keyed_story *s, struct keyed_run *run);
/* Measure and compact; `meanwhile` (may be NULL) is called again and again until it has ended. Its
 * result; 0 when nothing was to be done. */
int64_t keyed_compact(struct keyed_story *s, void (*meanwhile)(struct keyed_story *s));

/* What must hold. */
void keyed_check(struct keyed_story *s);
void keyed_check_names(struct keyed_story *s);
/* Cut it at the end of the batch that `offset` is in, or behind. Older values of what goes may be gone already. */
void keyed_cut(struct keyed_story *s, int64_t offset);
/* Forget what a crash took with it. */
void keyed_adopt(struct keyed_story *s);
/* Read somewhere, ask for a time: what comes must be true. */
void keyed_look(struct keyed_story *s);
