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
    struct log *log;             /* NULL while it is opened or offline, and once it is closed or deleted */
    struct log_dir *dir;         /* NULL: in a directory that is not there */
    bool offline;                /* its directory has failed, or may be one that is not there: no log until a restart */
    struct move *move;           /* into another directory, under way; NULL none */
    struct log_dir *next_dir;    /* where it moves then; NULL nowhere */
    bool paused;                 /* the end of a move: nothing is appended */
    struct replication replication;
    struct config *settings;
    struct validate_rules rules; /* of `settings`, for replica_validate_rules */
    bool uncleanable;            /* the cleaner leaves it alone */
    bool internal;               /* coordinators are told of its leadership and commits */
    bool led;                    /* what they were told last */
    bool throttled[THROTTLE_FOLLOWER + 1]; /* as leader, as follower: the topic's settings name it */
    struct list committed_waits; /* by offset, smallest first */
    struct list stable_waits;
    struct list watches;
    struct list follower_watches;
    struct following *following; /* from another broker (fetcher.h); NULL: it leads, or nobody does */
    struct cut *cut;             /* its log is being cut for that (fetcher_cut.c); NULL mostly */

    /* what was over when it came: told in the next turn */
    struct list ready;           /* waits: the mark is there */
    struct list acknowledged;    /* the same, of acks=all */
    struct list refused;         /* waits: this node does not lead */
    struct list missed;          /* watches: the same */
    bool advanced;               /* the high watermark has moved */
    struct op turn;
    bool turning;
};

/* A partition directory that lay there when the broker started. */
struct existing {
    struct map_node node;        /* in replicas->existing_by_id */
    struct log_dir *dir;
    const struct log_found *found;
    struct existing *twin;       /* another directory of the same partition; NULL mostly */
    bool mapped;                 /* not the second of twins, nor one without a topic id */
    bool settled;                /* opened or set aside: it says nothing about what comes later */
    bool is_future;              /* a move into `dir` was under way */
};

struct replicas {
    struct replicas_options options;
    const struct config *broker;
    const struct image *image;   /* applied last; NULL before the first */
    int64_t broker_epoch;        /* of this node's registration in it; -1 none */
    struct map by_id;            /* struct replica */
    struct existing *existing;   /* those that hash to this shard */
    uint32_t existing_count;
    uint32_t futures;            /* how many of them are */
    struct map existing_by_id;
    bool applying;               /* one at a time */
    bool passes_stopped;
    uint32_t offline_count;
    uint32_t asides;             /* moves, and logs of failed directories that are being closed */
    struct apply *asides_waiter; /* replicas_close, waiting for them */
    uint32_t moves;              /* that copy */
    struct list fetchers;        /* struct fetcher: one for each broker that is, or was, followed */
    bool fetchers_closed;
    struct throttle throttles[THROTTLES];
    struct list preferred;       /* struct preferred (place.c), oldest first */
    uint32_t preferred_count;
    struct replicas_isr_counts isr_counts;
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
/* The high watermark has moved, inside a call of somebody else's: who waits is told in a later turn. */
void waits_advance_later(struct replica *r);
/* Something was appended at `end_before`: followers are told. */
void waits_end_moved(struct replica *r, int64_t end_before);
/* A follower's Fetch may have come late, behind one of another session, which says nothing more of what does not move:
 * followers' sessions say it again. */
void waits_look_again(struct replica *r);
/* It leads no more: who waits for the high watermark, or watches, is told. */
void waits_refuse(struct replica *r);
/* The log goes, and others may have what it has: who waits for it to become stable is told REQUEST_TIMED_OUT. */
void waits_end(struct replica *r);
/* The log's directory has failed: all that wait or watch are told. */
void waits_fail(struct replica *r);

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
bool work_is_first(const struct work *w); /* of the set's first image: what it names may lie there already */
/* replicas_close may end: nothing is done aside any more. */
void apply_go_on(struct apply *a);
struct replicas *work_set(const struct work *w);

/* Also one whose log is not open (yet). */
struct replica *replica_lookup(const struct replicas *rs, struct uuid topic_id, int32_t partition);

/* NULL when none lay there, or it is settled. */
struct existing *existing_find(const struct replicas *rs, struct uuid topic_id, int32_t partition);
void existing_settle(struct replicas *rs, struct existing *e);
/* `by` is found instead of `e` from now on. */
void existing_replace(struct replicas *rs, struct existing *e, struct existing *by);
/* A move of the partition that was under way; NULL mostly. */
struct existing *existing_future(const struct replicas *rs, struct uuid topic_id, int32_t partition);

/* Take the settings and the role that metadata gives; who waits is told. */
void replica_take_role(struct replica *r, const struct image_topic *topic);
/* Coordinators of internal topics are told when leadership begins, ends, or begins anew in another epoch. */
void replica_tell_leading(struct replica *r, bool leads);

/* place.c: choose the directory of a replica that is to be opened. Afterwards it is offline where that one has failed,
 * or may be one that is not there. */
void replica_place(struct work *w, const struct image_partition *p);
/* It has more replicas than the machine takes, as only another controller than ours makes it: offline until a restart. */
void replica_refuse(struct replica *r, int32_t replica_count);
void replica_unplace(struct replica *r);
/* It lies in its directory now: tell who asked, where the metadata says something else. */
void replica_tell_placed(struct replica *r, const struct image_partition *p);

/* Directory that the metadata names for this node's replica; zero where it knows none. */
struct uuid replica_assigned_to(const struct replicas *rs, const struct image_partition *p);
void preferred_free(struct replicas *rs);

/* move.c: go on with a move that a start has found under way. */
void replica_move_on(struct replica *r, const struct existing *e);
/* Where it moves, while r->move is there. */
struct log_dir *move_target(const struct replica *r);
/* The move ends soon; the replica may have moved. `keeps`: the next start goes on with it. */
void move_cancel(struct replica *r, bool keeps);
/* As move_cancel; completes when it has ended. Another may begin before `op` is told. */
void move_end(struct replica *r, bool keeps, struct op *op);
void moves_dir_failed(struct replica *r, const struct log_dir *dir);
/* The log that is about to be the replica's, in `dir`, so that its start is saved there; NULL mostly. */
const struct log *move_named(const struct replica *r, const struct log_dir *dir);

/* offline.c: something is done beside replicas_apply that replicas_close waits for. */
void aside_begun(struct replicas *rs);
void aside_ended(struct replicas *rs);

/* offline.c: from now on there is no log. One that is open is closed aside; whoever waits is told
 * KAFKA_STORAGE_ERROR. */
void replica_go_offline(struct replica *r);

/* ---- throttle.c ------------------------------------------------------------------------------- */

/* New settings: is it throttled? */
void replica_take_throttles(struct replica *r);
/* In how many milliseconds to ask again, before which nothing more is to be copied; 0: go on. */
int64_t replicas_throttle_ms(struct replicas *rs, enum replica_throttle which);

/* ---- leader.c --------------------------------------------------------------------------------- */

/* What the machine tells, but for a change of the role: who waits is told, the controller asked. From the loop only. */
void replica_told(struct replica *r, const struct replication_outcome *out);
/* It leads, in a new epoch that the log knows. */
void leader_begin(struct replica *r);
/* rs->image is there, in place of `before` (may be NULL): what leaders believe of brokers that have changed. */
void leaders_see_brokers(struct replicas *rs, const struct image *before);

/* ---- isr.c ------------------------------------------------------------------------------------ */

/* Before a step of the machine that may change a leader's ISR, and after it: says who has come and gone, and why. */
struct isr_before {
    bool leads, proposing;
    int32_t leader_epoch;
    uint32_t count;
    int32_t ids[REPLICAS_MAX];
    struct replication_proposal proposal; /* while `proposing` */
};
void isr_before(const struct replica *r, struct isr_before *out);
void isr_after(struct replica *r, const struct isr_before *before);

/* ---- fetcher.c, for the files that know nothing of fetchers otherwise ------------------------- */

/* Follow whom the replication machine names, or nobody. Its log is not being cut. */
void fetcher_take_role(struct replica *r);
/* Nothing more is asked for, appended or cut. What is being cut ends later: see cut_wait. */
void fetcher_leave(struct replica *r);
/* The log's stable end has moved; its start, by retention. */
void fetcher_stable_moved(struct replica *r);
void fetcher_start_moved(struct replica *r);
/* fetcher_cut.c: completes when r->cut is over. Another may have begun. One at a time. */
void cut_wait(struct replica *r, struct op *op);
/* The replica is to move to `dir` when its log has been cut. */
void cut_then_move(struct replica *r, struct log_dir *dir);

/* fetcher_nodes.c: tell the shard's client which brokers there are, and where. */
void fetchers_tell_nodes(struct replicas *rs, const struct image *before, const struct image *after);
/* An image was applied: those that begin may begin. */
void fetchers_go_on(struct replicas *rs);
/* Nothing is asked any more; what is under way ends soon, as something aside. */
void fetchers_close(struct replicas *rs);
void fetchers_free(struct replicas *rs);
/* The broker can be asked: the image says where it listens. */
bool fetcher_node_is_known(const struct replicas *rs, int32_t id);
