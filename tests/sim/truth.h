/* truth.h - what is known to be true of the nodes, from what their clients were told.
 *
 *   an acknowledgement, an answer ──► truth_* ──► agrees with all that was said before? else broken()
 *
 *   T1  An acknowledged record is at its offset for ever, and so is one that a reader has seen.
 *       In a compacted topic only the newest one of each key must still be there.
 *   T2  A record is at one offset at most: nobody here sends a record twice but idempotent producers.
 *   T3  Records of an idempotent producer stand in the order in which they were sent.
 *   T4  After a definite error a record is nowhere.
 *   T5  A high watermark is never below what was told or acknowledged before it was asked for. In a cluster a leader
 *       that is new may not know yet how far its followers are: then it holds in the end.
 *   T6  A record is always read with the same leader epoch, and epochs of a partition grow with its offsets. Batches
 *       that a later life of a sole node appended carry a later one.
 *   T7  A partition has one owner per generation of the group.
 *   T8  A committed offset is never below one acknowledged before it was asked for, and one that
 *       somebody has committed.
 *   T9  Once a generation is known to be whole, commits of an older one are refused.
 *   T10 A topic's id, its partitions and their leader epochs never go back; what the controller
 *       acknowledged stays.
 *   T11 Below a start that a client was told nothing is served, and the start never goes back; it is
 *       never above what a client asked for, where records are not deleted by size.
 * Of a world that may lose records (plan.lossy) T1 to T9 and T11 say nothing.
 *
 *   T12 A leader epoch of a partition has one leader, and so has an epoch of the quorum. One of those begins by a vote, or
 *       where the leader of the one before resigns; votes and epochs are on disk before anybody acts on them.
 *   T13 When a cluster has come to rest, all replicas of a partition hold the same batches; metadata logs hold the same
 *       at the same offset and epoch; snapshots of one offset tell the same.
 *   T14 Who has answered in a leader epoch takes no Fetch of a follower in an older one (KIP-320).
 */
#pragma once

#include "client.h"
#include "record/record.h"

#define TOPICS_MAX 64
#define PARTITIONS_MAX 6
#define START_UNKNOWN INT64_MAX

enum topic_state { TOPIC_COMING, TOPIC_LIVES, TOPIC_DYING, TOPIC_GONE };

/* One offset of a partition. */
struct slot {
    uint32_t producer; /* + 1; 0 = nobody has said */
    uint32_t n;        /* the producer's number of the record */
    uint32_t look;     /* in which it was read last */
    int32_t epoch;     /* of its batch, and one more; 0 = not read yet */
};

/* T12: by epoch, 0 = nobody has said. */
struct epoch_leaders {
    int32_t *leaders;
    int32_t count;
};

struct part {
    struct topic *topic;
    int32_t partition;
    struct slot *slots;
    int64_t slot_count, slot_capacity;
    int64_t told_end;         /* behind all records that a writer was told of, with acks=1 too, which promise nothing */
    int64_t floor;            /* T5: acknowledged or seen below it */
    int32_t leader_epoch;     /* newest seen in metadata */
    int32_t leader;           /* in it; -1 = none */
    struct epoch_leaders leaders;
    struct epoch_span {       /* T6: epochs of batches by the life that must have appended them */
        uint32_t life;
        int32_t low, high;
    } *spans;
    uint32_t span_count;
    int64_t start_low;        /* T11: a client was told of it */
    int64_t start_high;       /* T11: the most that it may be; START_UNKNOWN where that is the high watermark */
    int64_t committed, committed_max; /* T8: acknowledged; tried; -1 = none */
};

struct topic {
    char name[16];
    struct uuid id;           /* zero until it is known */
    enum topic_state state;
    bool lasting;             /* lives from start to end */
    bool compacted;           /* of each key the newest record stays */
    int32_t partition_count;  /* acknowledged and usable */
    struct part parts[PARTITIONS_MAX];
    int64_t retention_ms;     /* acknowledged; -1 = not set */
    bool retention_unsure;    /* a change is under way */
};

/* A record on its way: what its producer knows. */
enum sent_state { SENT_OPEN, SENT_ACKED, SENT_NEVER };
struct sent {
    struct part *part;
    int64_t offset;           /* -1 = not known */
    uint32_t life;            /* acknowledged in the life in which it was asked for; 0 = not so */
    uint8_t state;
    bool late;                /* meant for an older topic of that name */
};
struct history {              /* of one producer */
    struct sent *records;
    uint32_t count, capacity;
    bool idempotent;
};

struct owner {
    int32_t generation;
    const struct part *part;
    char member[64];
};

struct truth {
    struct world *world;
    struct topic *topics[TOPICS_MAX];
    uint32_t topic_count;
    struct history histories[PRODUCERS_MAX];
    struct epoch_leaders quorum;
    struct owner *owners;
    uint32_t owner_count, owner_capacity;
    uint32_t look;            /* counts the verifier's */
    int32_t generation;       /* newest of which a member has its assignment */
    uint64_t acked, read, committed; /* counts, for the trace */
};

struct truth *truth_new(struct world *w);
void truth_free(struct truth *t);

/* ---- records (check_log.c) -------------------------------------------------------------------- */

/* The value of a record, which tells whose it is. */
#define RECORD_BYTES_MIN 24
#define RECORD_BYTES_MAX 900
uint32_t record_bytes(uint32_t producer, uint32_t n, uint32_t bytes_max);
void record_fill(uint32_t producer, uint32_t n, uint32_t bytes, uint8_t *out);

/* The key of a record in a compacted topic: few, so that values follow one another. */
#define RECORD_KEYS 5
uint32_t record_key(uint32_t producer, uint32_t n);

uint32_t truth_sends(struct truth *t, uint32_t producer, struct part *part); /* -> its number */
void truth_acked(struct truth *t, uint32_t producer, uint32_t first, int32_t count,
                 int64_t base_offset, uint32_t life);
void truth_never(struct truth *t, uint32_t producer, uint32_t first, int32_t count);

/* A whole batch that a reader was given; records below `from` are not his. */
void truth_batch(struct truth *t, struct part *part, const struct batch *batch, int64_t from);
void truth_record(struct truth *t, struct part *part, const struct record *r); /* one record of a batch that is not told */
void truth_high_watermark(struct truth *t, struct part *part, int64_t high_watermark, int64_t floor);
/* Every record from `from`, the start, to `end` has been read: what is missing, and in what order it stands. */
void truth_whole(struct truth *t, struct part *part, int64_t from, int64_t end);
/* T11: a partition was read at `offset` and said that it starts at `start` (-1: it did not say), after it was known that
 * it starts at `low` at least. */
void truth_start(struct truth *t, struct part *part, int64_t offset, int64_t start, int64_t low);
void truth_orders(struct truth *t);

/* ---- topics (check_topic.c) --------------------------------------------------------------------- */

struct topic *truth_topic_new(struct truth *t, const char *name, int32_t partitions);
struct topic *truth_topic_find(struct truth *t, struct str name); /* not gone; NULL */
struct topic *truth_topic_by_id(struct truth *t, struct uuid id);
void truth_metadata(struct truth *t, struct client *asked, const void *response);

/* T12: `leader` leads `epoch` of what `of` names. */
void truth_epoch_leader(struct truth *t, struct epoch_leaders *e, int32_t epoch, int32_t leader, const char *of);

/* ---- disks of a cluster (check_disks.c) --------------------------------------------------------- */

void truth_quorum(struct truth *t); /* T12, at any time */
void truth_restart(struct truth *t, const struct server *s); /* T12, of a node that is down */
void truth_disks(struct truth *t);  /* T13, when all nodes have been stopped cleanly */

/* ---- groups (check_group.c) --------------------------------------------------------------------- */

void truth_owns(struct truth *t, int32_t generation, const struct part *part, struct str member);
/* Somebody was told of the record there; with acks=1, too, where that promises nothing. */
void truth_told(struct part *part, int64_t offset);
void truth_commit_tried(struct truth *t, struct part *part, int64_t offset);
void truth_commit_acked(struct truth *t, struct part *part, int64_t offset, int32_t generation,
                        int32_t generation_known);
void truth_committed(struct truth *t, struct part *part, int64_t offset, int64_t floor);
