/* log/state.h - what the files of this room share; nobody else includes it.
 *
 *     log ──► segments (ascending) ──► side files: .index .timeindex .txnindex
 *      ├────► tail       blocks of memory over the end of the segment files        tail.h
 *      ├────► epochs, producers   states beside the log: apply, truncate, save, load
 *      └────► worker     the one flow that changes what is below the tail: drains, then jobs
 *                side    a second flow, off the ack path: index entries, closing rolled segments
 *                sync    a third: makes drained bytes durable
 *
 * Who may change what: log_append changes memory only. Files of the last segment are written by the
 * worker (.log) and by `side` (the rest). A job (truncate, restart, ...) runs inside the worker when
 * everything is drained and `side` and `sync` rest, so it is alone.
 */
#pragma once

#include "log/epochs.h"
#include "log/log.h"
#include "log/points.h"
#include "log/producers.h"
#include "log/segment.h"
#include "log/tail.h"

#define LOG_EPOCHS_NAME "leader-epoch-checkpoint"
#define LOG_METADATA_NAME "partition.metadata"
#define LOG_LOCK_NAME ".lock"

/* One write of a drain: large enough for the disk, small enough that the next waits little. */
#define DRAIN_BYTES_MAX (4U << 20)

/* Side files that are at most this large are read whole at open. */
#define SMALL_FILE_BYTES_MAX (64U << 20)

/* A place in the log: the batches below `offset` end at `position` of the segment `base`. */
struct log_mark {
    int64_t base;
    uint64_t position;
    int64_t offset;
};

/* What a log and its journal know of each other (journal.h). */
struct journal_user {
    struct journal *journal; /* NULL: it has none */
    struct list ready;       /* in journal.ready: it has bytes to commit */
    struct list committing;  /* its bytes are in the commit that is written */
    struct list live;        /* its segments may lack what the journal holds */
    struct list undrained;   /* in log_memory.undrained: memory alone holds what the journal holds too */
    struct log_mark done;    /* below it all is in the journal, or was durable in segments when this was set */
    struct log_mark next;    /* `done` once the commit that is written is durable */
    uint64_t first;          /* while live: the first commit whose bytes segments may lack */
    uint64_t first_later;    /* the same once what is settled now is durable; 0 none */
    uint64_t last;           /* newest commit with bytes of the log; 0 none */
    int64_t settle_to;
    bool settling;           /* up to settle_to all is to be durable in segments */
    bool gone;               /* its directory is deleted, durably: nothing of it is needed */
    bool drain_soon;         /* memory is wanted */
};

/* Where a scan of the log may begin, and the next such place (scan_point.c). */
struct point_user {
    struct scan_point noted;  /* as the file says it, or is to say before the log changes */
    struct scan_point saying; /* what the file is to say now */
    bool listed;              /* the file speaks of the log as it is now */
    bool is_large;            /* counted in the shard's share: there is much behind the point */
    bool is_taking;           /* `next` waits for what is below it to be durable */
    struct scan_point next;
    struct text snapshot;     /* producers as of `next` */
    struct op op;
    struct op *parent;
};

/* A whole operation on the log that needs it alone: everything is drained and durable when it
 * begins, and nothing else changes files until it ends. */
struct job {
    struct flow flow;
    struct log *log;
    struct list node;     /* in log.jobs */
    struct op *op;        /* the caller's */
    void (*run)(struct flow *f);
    bool no_appends;      /* until it has ended */
    bool always;          /* runs also when the log has failed */
    bool drops;           /* nothing is drained for it: what memory alone has goes with the log */
    bool last;            /* the log ends with it */
};

struct log {
    struct io *io;
    struct telemetry *telemetry;
    struct log_dir *dir;
    struct log_memory *memory;
    char *topic;
    char *path; /* of its directory */
    int32_t partition;
    struct uuid topic_id;
    struct log_settings settings;
    bool is_metadata;
    void (*stable_moved)(void *ctx);
    void *ctx;

    int64_t start, drained, stable, end;
    int64_t synced;         /* below it the segment files are durable */
    int64_t recovery_point;
    int64_t first_dirty;      /* <= end; may be below `start` */
    uint64_t size_bytes;

    struct segment **segments; /* ascending by base; the last one is written to */
    uint32_t segment_count, segment_capacity;

    struct journal_user user;
    struct point_user point;
    struct tail tail;
    struct epochs epochs;
    struct producers producers;
    int64_t snapshot_offset;  /* of the newest producer snapshot file; 0 none */
    bool aborts;              /* there may be entries in a .txnindex */

    struct gate gate;         /* reads that are under way; closed while segments are cut from its end */
    uint32_t generation;      /* counts truncations: positions from before it mean nothing */
    uint32_t layout;          /* counts segments that went from the start, or were replaced */
    bool opened;
    bool failed;
    bool closing;
    bool leaving;             /* it is closed, not deleted: files get their exact sizes */
    uint32_t busy;            /* jobs that forbid appends */
    bool alone;               /* a job runs or is about to: `side` rests */

    struct flow worker;
    struct flow drain;         /* of the worker */
    struct flow part;          /* of `drain`, or of the worker: write.c, place.c */
    bool working;
    struct segment *drain_segment;
    struct segment *drain_held, *sync_held, *side_held; /* in use by the flow of that name */
    bool drain_all;            /* and not only what the journal holds */
    bool drain_direct;         /* past the page cache */
    bool drain_durable;        /* no sync is needed behind it */
    uint32_t large_drains;     /* how many of the last ones were, less those that were not */
    bool is_bulk;              /* that has been many */
    uint8_t *drain_page;       /* the page that a direct drain does not write from a block; NULL: none yet */
    struct segment *cut_held;
    uint64_t drain_to_bytes;
    struct tail_mark drain_mark;
    struct op sync_op;         /* of the timer */
    bool sync_op_waits;
    struct bytes *pieces;      /* of a drain, IO_PIECES_MAX; NULL while the worker rests: a quarter of the struct, else */
    uint32_t piece_count;
    struct text epochs_text;
    uint32_t epochs_version;   /* that is being saved */
    struct op epochs_op;
    struct op *epochs_parent;
    struct list epoch_waiters; /* word[0] = the version that they wait for */
    struct list flush_waiters; /* word[0] = offset */
    struct list jobs;
    struct job *job;           /* the one that runs */

    struct flow place;
    bool placing;
    bool place_lacks;          /* the disk was full: appends are refused */
    struct segment *place_held;
    uint64_t place_to;
    struct list place_waiters; /* until an allocation has ended */
    struct io_timer place_timer;

    struct flow sync;
    bool syncing;
    struct segment *sync_segment;
    int64_t sync_to, sync_next;
    uint64_t sync_bytes;      /* that the sync of sync_segment covers */
    struct list sync_waiters; /* word[0] = offset */
    struct compacting *swap;     /* its new segment is to take the place of others, by `side` */
    struct list start_waiters; /* until no segment lies wholly below the start */
    struct io_timer sync_timer;

    struct flow side;
    bool siding;
    struct list side_waiters; /* wait until `side` rests */
    bool txn_remaking;        /* a transaction index is made again */
    struct list txn_waiters;  /* wait for that */
    struct segment *side_segment;
    struct segment_save *side_save;
    char side_name[40];
};

/* ---- log.c --------------------------------------------------------------------------------- */

void log_fail(struct log *log, int64_t error, const char *what);
bool log_is_failed(struct log *log);
/* Why nobody may enter the gate: ERR_CLOSED, or -ERANGE while it is cut. */
int log_shut_error(const struct log *log);
void log_free(struct log *log);
uint32_t log_segment_index(const struct log *log, int64_t offset); /* floor; 0 below the first */
struct segment *log_last_segment(const struct log *log);
void log_segments_add(struct log *log, struct segment *s);
void log_segments_remove(struct log *log, uint32_t index); /* forgets it; its users keep it */
/* `s` takes the place of `count` segments from `index` on, which are forgotten. */
void log_segments_replace(struct log *log, uint32_t index, uint32_t count, struct segment *s);
void ops_complete_all(struct io *io, struct list *ops, int64_t result);

/* ---- roll.c -------------------------------------------------------------------------------- */

/* Begin a new segment when a batch of `n` bytes does not go into the last one. */
void log_roll_if_due(struct log *log, const struct batch *b);
void log_roll(struct log *log, int64_t base); /* now; the last segment is not empty */
void side_wake(struct log *log);
void side_wait(struct log *log, struct op *op); /* until it rests */

/* ---- start.c ------------------------------------------------------------------------------- */

/* The first segment lies wholly below the start and may go; what makes it go, for `side`. */
bool trim_is_due(const struct log *log);
void trim_start(struct log *log, struct op *op);
/* No segment may lie below the start any more: then who waits for that is told. */
void trim_tell(struct log *log);

/* ---- compact_swap.c ------------------------------------------------------------------------ */

/* Carry out log->swap. Completes with 0 also when it was called off. */
void compact_swap_start(struct log *log, struct op *op);
/* Complete what waits for log->swap, if anything does: nothing will come of it, or all has. */
void compact_swap_tell(struct log *log, int64_t result);

/* ---- worker.c ------------------------------------------------------------------------------ */

void worker_wake(struct log *log);
bool worker_has_work(struct log *log);
/* The log is deleted next: what memory alone has goes with it. */
bool log_is_going(const struct log *log);
/* And nothing of it is written any more. */
bool log_is_dropped(const struct log *log);
/* Queue a job; it is embedded first in its owner's struct, from malloc, and freed when it has
 * ended. `run` ends with flow_done(f, result); `op` is completed with it. */
void log_job_add(struct log *log, struct job *job, void (*run)(struct flow *f), struct op *op);

/* ---- drain.c ------------------------------------------------------------------------------- */

/* What memory alone has, or the journal too, is to be drained now. */
bool log_has_undrained(struct log *log);
/* The same, or epochs or a scan point are to be noted. What is to be drained is log->drain_segment: NULL nothing. */
bool drain_is_due(struct log *log);
/* Drain of it what one write takes; what is to be noted is noted before. Where it has no place yet, that is waited for,
 * and nothing is drained: by then something else may be due. */
void drain_start(struct log *log, struct op *op);
/* What is drained is to be synced before it counts as stable. */
bool log_sync_is_due(const struct log *log);
/* More is in the files, or durable there: tell whom it concerns. */
void log_files_changed(struct log *log);
void stable_advance(struct log *log);
void epochs_save(struct log *log, struct op *op); /* replace the file */

/* ---- write.c ------------------------------------------------------------------------------- */

/* Write log->pieces, which were gathered for log->drain_segment: in use, its file open. Completes with 0. */
void drain_write(struct log *log, struct op *op);
void drain_write_end(struct log *log); /* the worker rests: give back memory */

/* ---- place.c ------------------------------------------------------------------------------- */

/* All of it is in its file, which has no more, is durable and has its name for good. */
bool segment_is_final(const struct segment *s);
/* A segment that gets no more bytes has a file that is longer, or not durable. */
bool log_cut_is_due(struct log *log);
void log_cut(struct log *log, struct op *op); /* by the worker: to its size, durably, its name too */
/* All segments but the last are final. */
bool log_is_cut(const struct log *log);

/* Begin to allocate what is short or soon will be. */
void log_place_soon(struct log *log);
/* The same; completes when it has ended. On a full disk that is when there is space again, or a job comes. */
void log_place_wait(struct log *log, struct op *op);
void log_place_tell(struct log *log); /* a job has come */
/* A segment was rolled while its file grew: its size is not known yet. */
bool log_places_old(const struct log *log);
/* All that was appended has its place: it may be acknowledged. */
bool log_has_place(const struct log *log);
/* A drain up to there must wait; not for a job, which is not to wait for a disk that is full. */
bool log_lacks_place(const struct log *log, const struct segment *s, uint64_t to_bytes);

/* ---- sync.c --------------------------------------------------------------------------------- */

void log_sync(struct log *log, struct op *op); /* everything that is drained now becomes durable */
void log_sync_soon(struct log *log);           /* log_sync for nobody in particular */
void log_sync_later(struct log *log);          /* the same in time, when something drained waits for it */
void log_recovery_point_advance(struct log *log);
/* More of `s` has become durable otherwise. */
void log_segment_synced(struct log *log, const struct segment *s);
/* Complete those ops whose word[0] is at or below `reached`. */
void log_complete_upto(struct list *waiters, int64_t reached);

/* ---- journal_log.c ------------------------------------------------------------------------- */

/* What was appended is to become stable: by the journal, or by a drain. */
void log_stabilize(struct log *log);
/* Small appends become stable by commits now; the segments get them later. */
bool log_uses_journal(struct log *log);
/* Bytes that the log would add to a commit now, with entries; 0: nothing, or not now. */
uint32_t log_commit_bytes(struct log *log);
/* Up to where the worker may drain `s` now; s->drained_bytes when it should not. `*all`: not only what the journal
 * holds. */
uint64_t log_drain_limit(struct log *log, const struct segment *s, bool *all);
/* Up to where the journal holds `s`; at least s->drained_bytes. */
uint64_t log_journaled_bytes(const struct log *log, const struct segment *s);
/* Everything drained is in the journal or durable in segments. */
bool log_is_covered(const struct log *log);
/* Segments have got more; they are durable up to log->synced. */
void log_journal_written(struct log *log);
void log_journal_synced(struct log *log);
void log_settle_sync(struct log *log);
/* Positions have changed: the journal holds nothing. */
void log_journal_reset(struct log *log);
/* Before a job that ends the log or changes what there is, when all is durable in segments, or when it was deleted: the
 * journal forgets the log. Completes when that is durable. */
void log_journal_forget(struct log *log, struct op *op);
/* The directory is deleted, durably: the journal keeps nothing for it, that what it is told of next has room. */
void log_journal_gone(struct log *log);
/* The segments before `s` are to be closed: nothing of them is written again. Completes when that is durable. */
void log_journal_drained(struct log *log, const struct segment *s, struct op *op);

/* ---- scan_point.c -------------------------------------------------------------------------- */

/* A log has been opened; all is durable as a clean stop leaves it: that is its point, which is not in the file yet. */
void scan_point_settle(struct log *log);
/* The log was appended to, and the file does not speak of it yet (S1): then that is done first. */
bool scan_point_is_unlisted(const struct log *log);
void scan_point_list(struct log *log, struct op *op);
/* Before the end is cut, or side files are made anew: the file says that there is no point. Completes when that is
 * durable. Nothing else of the log is under way. */
void scan_point_forget(struct log *log, struct op *op);
void scan_point_remove(struct log *log, struct op *op); /* the directory is no longer the partition's; nothing fails */
void scan_point_leave(struct log *log);                 /* the log ends */
/* The next point is known and waits for what lies below it to be drained. */
bool scan_point_waits(const struct log *log);
/* It lags so far behind that drains wait until `side` rests. */
bool scan_point_lags(const struct log *log);
/* The point is to move, and what lies below the next one is in the files; `side` calls scan_point_take then. */
bool scan_point_is_due(struct log *log);
void scan_point_take(struct log *log, struct op *op);
/* The segment before `next` is closed, and the producers as of `next` are saved: the point moves there. */
void scan_point_pass(struct log *log, const struct segment *next, struct op *op);

/* ---- append.c ------------------------------------------------------------------------------ */

/* The states beside the log learn a batch: the one way for leader, follower and recovery.
 * `s` holds the batch at `position`. */
enum apply { APPLY_INDEX = 1, APPLY_EPOCHS = 2, APPLY_PRODUCERS = 4, APPLY_ALL = 7 };
void log_apply(struct log *log, struct segment *s, const struct batch *b, uint64_t position,
               uint32_t what);

/* ---- dir_names.c --------------------------------------------------------------------------- */

/* Whether a name in a log directory is that of a live partition: TOPIC-PARTITION. */
bool log_dir_is_partition(struct str name, int32_t *partition);
/* The topic id in a partition.metadata; false when there is none. */
bool partition_metadata_parse(struct str content, struct uuid *topic_id);

/* ---- topic_ids.c ---------------------------------------------------------------------------- */

/* Set the topic ids of partition directories in `dir`, by their names; those that tell none keep what they have.
 * Completes with 0, or trouble of the disk. */
void topic_ids_read(struct io *io, const char *dir, struct log_found *found, uint32_t count, struct op *op);

/* ---- file.c -------------------------------------------------------------------------------- */

void snapshot_name(int64_t offset, char out[40]);
/* Open, read up to `n` bytes, close. Completes with the count. */
void file_read_at(struct io *io, const char *path, uint64_t position, void *into, uint32_t n,
                  struct op *op);
