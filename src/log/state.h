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
#include "log/tail.h"

#define LOG_PATH_BYTES 4096
#define LOG_EPOCHS_NAME "leader-epoch-checkpoint"
#define LOG_METADATA_NAME "partition.metadata"
#define LOG_LOCK_NAME ".lock"

#define INDEX_ENTRY_BYTES 8
#define TIME_ENTRY_BYTES 12
#define TXN_ENTRY_BYTES 34

/* Positions in indexes are 31 bits. */
#define SEGMENT_BYTES_LIMIT 0x7fffffffU

/* One write of a drain: large enough for the disk, small enough that the next waits little. */
#define DRAIN_BYTES_MAX (4U << 20)

/* Index entries wait in memory until there are this many bytes of them: they may lag the log. */
#define SIDE_PENDING_BYTES 4096U

/* Side files that are at most this large are read whole at open. */
#define SMALL_FILE_BYTES_MAX (64U << 20)

enum file_state { FILE_CLOSED, FILE_OPENING, FILE_OPEN, FILE_CLOSING };

enum side { SIDE_INDEX, SIDE_TIME, SIDE_TXN, SIDES };

/* A file of fixed-size entries beside a segment: some in the file, the newest in memory. */
struct side_file {
    struct text pending;     /* entries that are not in the file yet, as they will be there */
    uint64_t written_bytes;  /* in the file */
    bool reset;              /* what is in the file beyond written_bytes is to be cut off */
};

/* A piece of a closed or long index, kept while the segment's file is open. */
struct index_chunk {
    uint8_t *bytes; /* NULL = none */
    uint32_t first; /* entry */
    uint32_t count;
};

struct segment {
    struct log *log;              /* NULL when the segment is no longer part of it */
    struct log_memory *memory;
    struct io *io;
    char *path;                   /* of the .log file */
    int64_t base;
    uint64_t size_bytes;          /* appended */
    uint64_t drained_bytes;       /* written to the file */
    uint64_t whole_bytes;         /* <= drained_bytes: up to the end of a batch */
    uint64_t file_bytes;          /* size of the file: >= drained_bytes, zeros behind them */
    uint64_t durable_bytes;       /* <= drained_bytes: surely on the disk; the name is another matter */
    uint64_t cached_bytes;        /* drained by way of the page cache up to here; 0 never */
    int64_t max_timestamp_ms;     /* -1 none; see timestamps_known */
    int64_t max_timestamp_offset; /* last offset of the batch that holds it */
    int64_t first_timestamp_ms;   /* largest of the first batch: for segment.ms; -1 none */
    int64_t created_ms;           /* monotonic */
    int64_t modified_ms;          /* wall clock of the last append, or of its file */
    int64_t jitter_ms;
    struct side_file side[SIDES];
    int64_t last_time_entry_ms;   /* of the time index; -1 none */
    uint32_t bytes_since_entry;
    bool timestamps_known;        /* a closed segment's are read when somebody asks */
    bool rolled;                  /* a later segment exists */
    bool closed;                  /* all its files are durable as they are; only read */
    bool named;                   /* its name in the directory is durable */
    bool retired;                 /* retention has said why it goes */
    struct text snapshot;         /* producers as of its base, not yet in a file; may be empty */
    bool index_doubted;           /* its indexes are not used until they are made again */
    bool index_remade;            /* that is under way, or was in vain */
    bool damage_said;

    enum file_state file_state;
    struct io_file *file;         /* of .log */
    struct io_file *direct;       /* the same past the page cache, for drains; NULL: not open */
    uint32_t users;               /* who needs the segment and its file */
    struct list idle;             /* in log_memory.files while open and without users */
    struct list waiters;          /* ops that wait for the file */
    struct op *close_waiter;
    int64_t close_result;
    struct op op;                 /* open, close */
    struct index_chunk chunk;
};

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

    struct gate gate;         /* reads that are under way */
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
    struct bytes pieces[IO_PIECES_MAX];
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
void log_free(struct log *log);
uint32_t log_segment_index(const struct log *log, int64_t offset); /* floor; 0 below the first */
struct segment *log_last_segment(const struct log *log);
void log_segments_add(struct log *log, struct segment *s);
void log_segments_remove(struct log *log, uint32_t index); /* forgets it; its users keep it */
/* `s` takes the place of `count` segments from `index` on, which are forgotten. */
void log_segments_replace(struct log *log, uint32_t index, uint32_t count, struct segment *s);
void ops_complete_all(struct io *io, struct list *ops, int64_t result);

/* ---- segment.c ----------------------------------------------------------------------------- */

/* `path` is the log's directory. Timestamps unknown, nothing in it. */
struct segment *segment_new(struct log *log, int64_t base);
/* Its file has `n` bytes, and they are durable. */
void segment_set_bytes(struct segment *s, uint64_t n);
/* "LogSegment(baseOffset=0, size=..., ...)", as Kafka's log lines name it; in `out`. */
#define SEGMENT_TEXT_BYTES 200
const char *segment_text(const struct segment *s, char out[SEGMENT_TEXT_BYTES]);
/* The log lets go of it: freed at once or with its last user. */
void segment_drop(struct segment *s);
/* Write DIR/<20 digits><suffix> for any offset of the log. */
void log_file_path(const struct log *log, int64_t offset, const char *suffix,
                   char out[LOG_PATH_BYTES]);

/* Make sure that the file is open and stays so until segment_unuse. Completes with 0. */
void segment_use(struct segment *s, struct op *op);
void segment_unuse(struct segment *s);
void segment_hold(struct segment *s); /* one more user of an open file */
void segment_keep(struct segment *s); /* one more user, whatever its file is: the struct stays until segment_unuse */
void segment_release(struct segment **held); /* unuse and set to NULL; accepts NULL inside */
/* Close the file if it is open; nobody uses it. Completes with 0. */
void segment_close_file(struct segment *s, struct op *op);

/* The descriptor for drains, which is open: nothing is drained any more. */
void segment_close_direct(struct segment *s, struct op *op);

/* Read up to `n` bytes at `position`: of the file below whole_bytes, else of the tail. In use. */
void segment_read(struct segment *s, uint64_t position, void *into, uint32_t n, struct op *op);

/* Write what is pending in side files of `s`, as far as its batches are in the file. */
enum save {
    SAVE_READY,
    SAVE_SYNCED, /* and everything in the files is durable */
    SAVE_FINAL,  /* the same, their sizes are exact, and both indexes are there */
};
struct segment_save;
struct segment_save *segment_save_start(struct segment *s, enum save how, struct op *op);
/* Enough entries wait, and their log bytes are in the file. */
bool segment_save_is_due(const struct segment *s);
void segment_save_free(struct segment_save *save);

/* ---- index.c ------------------------------------------------------------------------------- */

/* Note an appended batch at `position`; size_bytes of the segment is still without it. */
void index_apply(struct segment *s, const struct batch *b, uint64_t position,
                 uint32_t interval_bytes);
void index_apply_last(struct segment *s); /* the last entry of a time index (interop: roll, close) */
bool index_is_full(const struct segment *s, uint32_t index_bytes);
uint64_t index_entries(const struct segment *s, enum side side);

/* True when what is in memory answers for `offset`; else index_load first. */
bool index_covers(const struct segment *s, int64_t offset);
void index_load(struct segment *s, int64_t offset, struct op *op);
/* Where an index says that a batch begins, and ends. It is to be held against the segment: scan_jump. */
struct index_place {
    uint64_t position;
    int64_t last_offset; /* -1: the beginning of the segment, which needs no index */
};
/* A batch whose last offset is <= `offset`, or the beginning. */
struct index_place index_find(const struct segment *s, int64_t offset);
/* The furthest batch known to begin in (after, at_most] before which all offsets are below `limit`;
 * last_offset is -1 when none is known. */
struct index_place index_find_end(const struct segment *s, uint64_t after, uint64_t at_most, int64_t limit);
/* An entry of the offset index is wrong: say so, and use neither index of the segment any more. */
void index_doubt(struct segment *s, uint64_t position, int64_t last_offset);
/* As index_doubt, when a file is missing or too short, or an entry of the time index is wrong. */
void index_doubt_because(struct segment *s, const char *why);
/* Forget the entries of both indexes; nobody writes them meanwhile. Fewer are right, too. */
void index_forget(struct segment *s);

/* ---- time_index.c -------------------------------------------------------------------------- */

/* The batch from which to look for what is later than `timestamp_ms`: the last entry of the time index that is
 * not later. It is to be held against that batch. */
struct time_place {
    int64_t timestamp_ms;
    int64_t offset; /* -1: there is none */
};
/* Completes with 0. */
void time_index_find(struct segment *s, int64_t timestamp_ms, struct time_place *out, struct op *op);
/* Make max_timestamp known. Completes with 0. */
void segment_load_timestamps(struct segment *s, struct op *op);

/* ---- reindex.c ----------------------------------------------------------------------------- */

/* Make doubted indexes again from the segment, aside. Begins at once, once; nothing to do: nothing. */
void reindex_if_doubted(struct segment *s);
/* What waits beside the segment's indexes is written, as a job. */
void reindex_persist(struct segment *s, struct op *op);

/* ---- txn_index.c --------------------------------------------------------------------------- */

void txn_index_apply(struct segment *s, const struct txn_completed *t);

/* ---- txn_remake.c -------------------------------------------------------------------------- */

/* Entries of a segment's file say what can be: none ends outside of [base, end), and they ascend. */
bool txn_entries_are_sane(const struct segment *s, int64_t end, struct bytes entries);
/* Make the transaction index of a segment again from the batches. One of a log at a time: completes when one has been
 * made, not always this one. -ERANGE when segments went or were cut meanwhile, ERR_CORRUPT, ERR_VERSION, ERR_SHORT when
 * batches cannot be read. Whoever calls it is in the log's gate. */
void txn_index_remake(struct log *log, struct segment *s, struct op *op);

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
/* The log is deleted next: nothing of it is written any more. */
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

/* ---- dir.c --------------------------------------------------------------------------------- */

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

/* ---- snapshot.c ---------------------------------------------------------------------------- */

/* A name in a log's directory: <digits><suffix>. False for another. */
bool name_parse(const char *name, int64_t *offset, struct str *suffix);
/* Replace the producers by the newest good snapshot of `entries` at or below `at_most`. Completes
 * with its offset, which is where to replay from; with the first segment's base when there is none
 * (then nothing is known). Bad snapshots are removed. `entries` lives until completion. */
void snapshot_restore(struct log *log, const struct io_entries *entries, int64_t at_most,
                      struct op *op);
/* Remove snapshots in `entries` above `above`. */
void snapshot_remove_above(struct log *log, const struct io_entries *entries, int64_t above,
                           struct op *op);
/* Remove those that belong to no segment, but not the newest two (interop: 1.7). */
void snapshot_remove_strays(struct log *log, const struct io_entries *entries, struct op *op);

/* ---- tidy.c -------------------------------------------------------------------------------- */

/* Finish or undo what a crash left half done in a log's directory (interop: 1.8). Completes with how
 * many names were changed: list again when it is not 0. */
void log_tidy(struct log *log, const struct io_entries *entries, struct op *op);

/* ---- load.c -------------------------------------------------------------------------------- */

/* Make a segment of each .log file in `entries`; the last one is written to. `missing[i]` (one per
 * segment, from malloc) says that its side files are not as a clean stop leaves them. */
void log_collect(struct log *log, const struct io_entries *entries, bool **missing);
/* After a clean stop: look at the last segment's ends. Completes with the log's end; ERR_CORRUPT
 * when the segment has to be rebuilt. */
void log_check_last(struct log *log, struct op *op);
/* The same for the end that a scan point had, of the segment that it names. */
void log_check_point(struct log *log, struct segment *s, const struct scan_point *point, struct op *op);
/* Make the empty files of the only segment. */
void segment_create_files(struct segment *s, struct op *op);

/* ---- check_epochs.c ------------------------------------------------------------------------ */

/* Hold the newest epochs against the batches where they start, and the last one. `*wrong` is set when they do not fit.
 * Completes with 0. */
void log_check_epochs(struct log *log, bool *wrong, struct op *op);

/* ---- recover.c ----------------------------------------------------------------------------- */

enum pass_mode { PASS_SKIP, PASS_READ, PASS_REBUILD };

/* Go through the batches of the log once, ascending, and apply them to what needs it. */
struct pass {
    const uint8_t *modes;        /* one per segment; NULL = read what producers_from needs */
    int64_t producers_from;      /* apply producers to batches that end at or above it */
    int64_t cut_from;            /* a bad batch in a segment at or above this base cuts the log */
    bool epochs;                 /* learn epochs also where nothing is rebuilt */
    const struct scan_point *point; /* in the segment that it names, the batches from there on; may be NULL */
    bool *epochs_wrong;          /* set when a batch that is rebuilt is of another epoch than they say; may be NULL */
};
/* Completes with the log's end. After a cut the segments behind it and their files are gone.
 * ERR_CORRUPT, ERR_VERSION; `fail` says where. */
void log_pass(struct log *log, const struct pass *pass, struct fail *fail, struct op *op);

/* Remove all files of a segment. Missing ones are no trouble. */
void segment_remove_files(struct log *log, int64_t base, struct op *op);
