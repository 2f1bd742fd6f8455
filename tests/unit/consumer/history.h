/* history.h - a log and a coordinator that go through a random history, and what they have seen of a member. */
#pragma once

#include "cluster.h"

#define BROKERS 2
#define EPOCHS_MAX 256
#define HELD_MAX 4
#define CALLS 4

struct question {
    struct consumer_call call;
    struct consumer_offset offset;
    struct history *history;
    bool open;
    int64_t began_ms;
};

struct history {
    struct cluster c;       /* first */
    struct prng g;
    bool calm;
    bool lies;              /* answers are changed on their way: what is read and committed means nothing */

    /* The log: where each leader epoch begins, and what may have moved a position. */
    struct { int32_t epoch; int64_t start; } epochs[EPOCHS_MAX];
    uint32_t epoch_count;
    uint32_t losses;        /* of records that may have been read: truncations, another topic of the name */
    int64_t start_before, start_most; /* since something was read last, the log began at these offsets */
    int64_t committed_before; /* for the topic that there was */

    /* The coordinator. */
    int32_t coordinator, generation, ids;
    char member_id[16];     /* "" = none is known */
    bool joined, given;
    int64_t floor;          /* the newest commit; one below needs a loss */
    uint32_t commits_back;

    /* The consumer. */
    bool owned, fresh;      /* fresh: nothing was read since it was assigned */
    int64_t next;           /* record that is expected */
    uint32_t jumps_back;    /* each needs a loss */
    int64_t done_max;       /* that may be committed */
    struct consumer_chunk *held[HELD_MAX];
    uint32_t held_count;
    struct question questions[CALLS];
    uint64_t read, jumps, commits, refusals;
};

static inline uint64_t below(struct history *h, uint64_t n)
{
    return prng_below(&h->g, n);
}

static inline struct script_partition *partition_of(struct history *h)
{
    return script_topic_find(h->c.script, STR("t"))->partitions;
}

/* Below `offset` all is done, or was never there for this member. */
static inline void history_may_commit(struct history *h, int64_t offset)
{
    if (offset > h->done_max)
        h->done_max = offset;
}

/* The brokers of `h->c.script` serve it from now on. */
void history_serve(struct history *h);
/* Another leader; by an unclean election, which loses the end of the log, now and then. */
void history_move_leader(struct history *h);
/* The start of the log moves. */
void history_raise_start(struct history *h);
/* Another topic of the name. */
void history_make_anew(struct history *h);
