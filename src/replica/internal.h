/* replica/internal.h - what the files of this room share. */
#pragma once

#include "replica/replica.h"

struct replica {
    struct map_node node;        /* in replicas->by_id */
    struct replicas *set;
    char *topic;                 /* owned */
    struct uuid topic_id;
    int32_t partition;
    uint32_t holds;              /* replica_hold, +1 while it is in the set */
    struct log *log;             /* NULL while it is opened, and once it is closed or deleted */
    struct log_dir *dir;
    struct replication replication;
    struct config *settings;
    struct validate_rules rules; /* of `settings`, for replica_validate_rules */
    bool uncleanable;            /* the cleaner leaves it alone */
    bool internal;               /* coordinators are told of its leadership and commits */
    bool led;                    /* what they were told last */
    struct list committed_waits; /* by offset, smallest first */
    struct list stable_waits;
    struct list watches;

    /* what was over when it came: told in the next turn */
    struct list ready;           /* waits: the mark is there */
    struct list refused;         /* waits: this node does not lead */
    struct list missed;          /* watches: the same */
    struct op turn;
    bool turning;
};

/* A partition directory that lay there when the broker started. */
struct existing {
    struct map_node node;        /* in replicas->existing_by_id */
    struct log_dir *dir;
    const struct log_found *found;
    const struct existing *twin; /* another directory of the same partition; NULL mostly */
    bool mapped;                 /* not the second of twins, nor one without a topic id */
    bool settled;                /* opened or set aside: it says nothing about what comes later */
};

struct replicas {
    struct replicas_options options;
    const struct config *broker;
    const struct image *image;   /* applied last; NULL before the first */
    struct map by_id;            /* struct replica */
    uint32_t *per_dir;           /* replicas in each directory */
    struct existing *existing;   /* those that hash to this shard */
    uint32_t existing_count;
    struct map existing_by_id;
    bool applying;               /* one at a time */
    bool passes_stopped;
    int64_t trouble;             /* of a log that could not be opened: its directory is not clean */
};

bool replica_leads(const struct replica *r);

/* Settings in force of a topic, and what the log and the validation need of them. */
struct config *settings_of(const struct replicas *rs, const struct image_topic *topic);
/* `policy` (delete, compact) is one of the topic's cleanup.policy, which may be empty. */
bool cleanup_has(const struct config *topic, struct str policy);
struct log_settings log_settings_of(const struct config *topic, const struct config *broker);
void validate_rules_of(const struct config *topic, struct validate_rules *out);

/* The marks may have moved: tell who is ready. Called from the loop only. */
void waits_advance(struct replica *r, bool high_watermark_moved);
/* All that wait are told `error`; all that watch are told. */
void waits_fail(struct replica *r, enum kerr error);

uint64_t replica_hash(struct uuid topic_id, int32_t partition);

/* log_open's callback. */
void replica_stable_moved(void *ctx);

/* One thing to be done for one replica (work.c), on behalf of replicas_apply or replicas_close. */
enum work_kind {
    WORK_OPEN,   /* make the log ready, then take the role that the image says */
    WORK_CHANGE, /* take the role and settings that the image says */
    WORK_DELETE, /* no longer ours */
    WORK_STRAY,  /* a directory that the metadata does not know: set aside as NAME.<hex>-stray */
    WORK_CLOSE,  /* the broker stops */
};

struct work {
    struct list node;
    struct flow flow;
    struct apply *apply;
    enum work_kind kind;
    struct replica *replica;        /* held; NULL for WORK_STRAY */
    struct existing *existing;      /* what is opened or set aside; NULL: a new log */
    char *from, *to;                /* paths of a stray directory */
    struct log_open open;
    struct log *log;
    struct fail fail;
};
void work_start(struct work *w);
void work_finished(struct work *w, int64_t result);
const struct image *work_image(const struct work *w);
struct replicas *work_set(const struct work *w);

/* Also one whose log is not open (yet). */
struct replica *replica_lookup(const struct replicas *rs, struct uuid topic_id, int32_t partition);

/* NULL when none lay there, or it is settled. */
struct existing *existing_find(const struct replicas *rs, struct uuid topic_id, int32_t partition);
void existing_settle(struct replicas *rs, struct existing *e);

/* Take the settings and the role that metadata gives; who waits is told. */
void replica_take_role(struct replica *r, const struct image_topic *topic);
