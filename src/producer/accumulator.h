/* producer/accumulator.h - records become batches: no io, no clock, no lock. Private to this room.
 *
 *   topic ── waiting: records that wait until its partitions are known, in order (offset delta = partition asked for)
 *     └── partition ── unacked ◄── queue ◄── open
 *              sent, by sequence     closed    being filled
 *
 *   A1  The batches of a partition stand in the order of their records: unacked, queue, open.
 *   A2  Memory of live batches and of free blocks together is at most buffer.memory, save for the one block by which
 *       waiting records get moving, and the halves of a batch while it is being split.
 *   A3  While records of a topic wait, all of its new records wait behind them; those that fail do so until all of the
 *       topic that have a place were told of.
 */
#pragma once

#include "producer/lane.h"
#include "producer/producer.h"

/* ---- memory (memory.c) ----------------------------------------------------------------------- */

struct memory {
    uint64_t limit_bytes;
    uint64_t used_bytes;  /* of live batches */
    uint64_t held_bytes;  /* with free blocks */
    uint32_t block_bytes; /* of a batch of batch.size, all in all */
    struct list free;     /* blocks, by their first bytes */
};

void block_init(struct memory *m, uint64_t limit_bytes, uint32_t block_bytes);
void block_deinit(struct memory *m); /* nothing is in use any more */
/* NULL beyond the limit, or without memory. `beyond`: the limit may be passed. */
void *block_take(struct memory *m, uint64_t bytes, bool beyond);
void block_give(struct memory *m, void *block, uint64_t bytes);
/* The block of `from` bytes, maybe at another place, with its first `to` bytes only: so many are given back. */
void *block_cut(struct memory *m, void *block, uint64_t from, uint64_t to);
/* Batches of batch.size take so much from now on. */
void block_resize(struct memory *m, uint32_t block_bytes);

/* ---- batches (batch.c) ------------------------------------------------------------------------ */

/* Who flushes waits for all batches that were made before. */
struct flush_group {
    struct list node; /* of accumulator.groups, oldest first; the last one collects */
    struct list ops;
    uint32_t batches; /* alive */
};

/* What is wrong with a batch, and who says so. */
enum batch_why {
    WHY_NONE,
    WHY_BROKER,    /* its answer: `code` */
    WHY_LATE,      /* delivery.timeout.ms */
    WHY_CLOSED,    /* the deadline of a close */
    WHY_SEQUENCE,  /* in doubt, and its sequence means nothing any more */
    WHY_TOPIC,     /* the topic's error: `code` */
    WHY_PARTITION, /* there is no such partition */
    WHY_FATAL,     /* the producer's error: `code` */
};

/* One batch, in one piece of memory:
 *
 *   [ this struct | header, records ───► | free | ◄─── tags ]
 */
struct producer_batch {
    struct list node;                  /* of waiting, queue, unacked, or of those to be told of */
    struct producer_topic *topic;
    struct producer_partition *part;   /* NULL while it waits */
    struct flush_group *group;
    uint32_t n;                        /* bytes of header and records */
    uint32_t limit;                    /* that `n` may be */
    uint32_t memory_bytes;             /* all in all */
    int32_t count;
    int64_t base_timestamp_ms, max_timestamp_ms;
    int64_t created_ms;
    bool has_tags;
    bool alone;                        /* of one record that is larger than a block */
    bool packed;                       /* compressed, or found not worth it */
    bool sealed;                       /* its header is written */
    enum codec codec;
    int32_t wanted;                    /* waiting and alone: the partition asked for */
    int32_t placed;                    /* waiting: so many of its records have their partition */
    uint32_t plain_bytes;              /* header and records before compression */

    struct batch_fate fate;            /* lane.h */
    enum batch_why why;
    char *detail;                      /* the broker's words; NULL */
};

static inline uint8_t *batch_bytes(struct producer_batch *b)
{
    return (uint8_t *)(b + 1);
}
static inline uint64_t *batch_tags_end(struct producer_batch *b)
{
    return (uint64_t *)(void *)((uint8_t *)b + b->memory_bytes);
}

/* Its records have had no tags so far: they get zeros. */
void batch_tags_begin(struct producer_batch *b);

/* Room for a record of at most `bytes`, and for its tag if need be. */
static inline bool batch_has_room(struct producer_batch *b, uint64_t bytes, bool tag)
{
    uint64_t end = b->n + bytes, tags;

    if (LIKELY(!tag && !b->has_tags))
        return end <= b->limit;
    tags = ((uint64_t)(uint32_t)b->count + 1) * sizeof(uint64_t);
    return end <= b->limit && sizeof *b + end + tags <= b->memory_bytes;
}

/* Set the record's tag and count it; the bytes were written by the caller, up to `end`. */
static inline void batch_added(struct producer_batch *b, uint8_t *end, int64_t timestamp_ms, uint64_t tag)
{
    b->n = (uint32_t)(end - batch_bytes(b));
    if (timestamp_ms > b->max_timestamp_ms)
        b->max_timestamp_ms = timestamp_ms;
    if (UNLIKELY(tag != 0 || b->has_tags)) {
        if (!b->has_tags)
            batch_tags_begin(b);
        batch_tags_end(b)[-1 - b->count] = tag;
    }
    b->count++;
}

/* No record is added any more: the batch, maybe at another place, without the memory that it has no use for, if that is
 * more than an eighth. With records of which but a few fit, half of buffer.memory would hold nothing. */
struct producer_batch *batch_cut(struct producer_batch *b, struct memory *m);

/* Make it what is sent: compressed where that makes it smaller, header, checksum. `scratch` is emptied. */
void batch_seal(struct producer_batch *b, int level, struct text *scratch);

/* ---- topics and partitions --------------------------------------------------------------------- */

/* A broker that leads partitions. */
struct producer_node {
    int32_t id;
    bool near;                 /* in the rack that is preferred */
    bool stalled;              /* nothing could be sent to it for partitioner.availability.timeout.ms */
    int64_t ready_since_ms;    /* something waits for it since then; 0 = nothing */
    uint32_t calls;            /* on their way */
    struct produce_call *filling;
};

struct producer_partition {
    struct producer_batch *open; /* NULL none */
    struct producer_topic *topic;
    struct producer_node *node;  /* of its leader; NULL none */
    int32_t index;
    int32_t leader_epoch;        /* -1 not known */
    uint32_t queued;             /* batches in `queue` */
    struct list queue;
    struct list active;          /* node of accumulator.active, while it has any batch */
    struct lane lane;
    uint64_t filled;             /* the sender's: number of the request that its last batch went into */
};

struct producer_topic {
    struct accumulator *accumulator;
    struct map_node by_name;
    struct list node;            /* of accumulator.topics */
    struct list attention;       /* of accumulator.unwanted: it is to be kept fresh */
    struct str name;             /* owned */
    struct uuid id;
    int16_t error;               /* of the topic, by metadata */
    bool wanted;
    enum codec codec;
    int level;
    int32_t partition_count;     /* 0 = not known */
    int32_t part_count;          /* in `parts`; never falls */
    struct producer_partition **parts;

    struct producer_partition *sticky; /* where records without a key go; NULL = choose anew */
    uint64_t sticky_bytes;
    uint64_t *loads;             /* cumulated, of partitions that are available; NULL = all alike */
    int32_t *load_index;
    int32_t load_count;          /* 0 = all alike */
    int64_t loads_ms;            /* when they were counted */

    struct list waiting;         /* struct producer_batch */
    struct list waits;           /* node of accumulator.waiting */
    uint32_t batches;            /* alive */
    int64_t appended_ms;         /* when a record came last */
    uint32_t call_entry;         /* the sender's: where it is in the request that is being made */
    uint64_t call;               /* its number */
};

/* What the topic is compressed with (settings.c). */
void producer_settings_codec(const struct producer_settings *s, struct str topic, enum codec *codec, int *level);

/* ---- the accumulator --------------------------------------------------------------------------- */

struct accumulator {
    struct producer_settings settings;
    struct memory memory;
    struct prng prng;
    struct map topics_by_name;
    struct list topics;
    struct list active;          /* partitions that have batches; those that were served last are last */
    struct list waiting;         /* topics with records that wait for their partitions */
    struct list unwanted;        /* topics that the sender is to want */
    struct list groups;          /* struct flush_group */
    uint64_t batches;            /* alive */
    bool refuses;                /* fatal, or closing */
    bool doubtful;               /* an append asked for a partition that is not known: there may be more by now */
    bool tagged;                 /* some record has had a tag: batches have room for them */
    bool full;                   /* an append was refused: batches go without linger.ms, and room is to be told */
    uint64_t missed_bytes;       /* full: the most that one of those appends needed */
    int64_t timer_ms;            /* when the sender looks again by itself; INT64_MAX never */
    bool woken;                  /* the sender will look soon */
    void (*wake)(struct accumulator *a); /* called when it is to look sooner */
};

/* Settings are those of `producer_new`, their text included. -ENOMEM. */
MUST int accumulator_init(struct accumulator *a, const struct producer_settings *s, uint64_t seed);
/* Frees everything; no batch is alive. */
void accumulator_deinit(struct accumulator *a);

/* NULL without memory. */
struct producer_topic *accumulator_topic(struct accumulator *a, struct str name);
MUST int accumulator_append(struct accumulator *a, const struct producer_record *r, int64_t now_ms, int64_t wall_ms);

/* The topic has so many partitions: places what has waited. Where memory is missing for that, call it again when there
 * is some. 0 or -ENOMEM. `failed` gets batches of records that asked for a partition which is not there. What waits and
 * has failed stays where it is, and all behind it. */
MUST int accumulator_partitions(struct producer_topic *t, int32_t count);
void accumulator_place(struct producer_topic *t, int64_t now_ms, struct list *failed);

/* A batch without records that is counted as alive. NULL: full. `bytes` that it may have, a tag included (0 =
 * batch.size, with tags). */
struct producer_batch *accumulator_batch(struct producer_topic *t, uint32_t bytes, int64_t now_ms, bool beyond,
                                         struct flush_group *group);
/* The batch is at its end: in no list, known to nobody. */
void accumulator_free(struct accumulator *a, struct producer_batch *b);
/* Close the open batch; accepts a partition without one. */
void accumulator_close_open(struct producer_partition *part);
/* Likewise because a record had no room in it: it keeps the memory that it needs. There is one. */
void accumulator_close_full(struct producer_partition *part);
/* Two batches of half its records each, in its place in the list; the batch is freed. -ENOMEM: nothing has changed. */
MUST int accumulator_split(struct accumulator *a, struct producer_batch *b);

/* Batches made before now are a group of their own: `op` waits for them. -ENOMEM. */
MUST int accumulator_flush(struct accumulator *a, struct op *op);
/* Groups all of whose batches are gone, oldest first: their ops are moved to `done`. */
void accumulator_flushed(struct accumulator *a, struct list *done);

/* The open batch is due: by linger.ms, by a flush, or because memory is short. */
bool accumulator_is_due(const struct accumulator *a, const struct producer_batch *b, int64_t now_ms);

/* ---- where records go (partitioner.c) ------------------------------------------------------------ */

struct producer_partition *partitioner_choose_anew(struct producer_topic *t, int32_t partition, struct bytes key,
                                                   int64_t now_ms);
/* NULL: the topic has no partition `partition`. Partitions are known. */
static inline struct producer_partition *partitioner_choose(struct producer_topic *t, int32_t partition, struct bytes key,
                                                            int64_t now_ms)
{
    if (LIKELY(partition < 0 && key.n < 0 && t->sticky != NULL))
        return t->sticky;
    return partitioner_choose_anew(t, partition, key, now_ms);
}
/* So many bytes went to `part`; `closed`: it has no open batch now. */
static inline void partitioner_added(struct producer_topic *t, struct producer_partition *part, uint64_t bytes,
                                     bool closed)
{
    if (part != t->sticky)
        return;
    t->sticky_bytes += bytes;
    if (t->sticky_bytes >= (closed ? 1u : 2u) * (uint64_t)t->accumulator->settings.batch_size)
        t->sticky = NULL;
}
