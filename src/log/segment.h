/* log/segment.h - one segment: its files, its indexes, who uses them. Private to this room, as state.h.
 *
 *     BASE.log         batches; the last segment's file may be longer, with zeros behind them
 *     BASE.index, BASE.timeindex, BASE.txnindex      side files: some entries there, the newest in memory
 */
#pragma once

#include "log/log.h"
#include "log/producers.h"

#define LOG_PATH_BYTES 4096

#define INDEX_ENTRY_BYTES 8
#define TIME_ENTRY_BYTES 12
#define TXN_ENTRY_BYTES 34

/* Positions in indexes are 31 bits. */
#define SEGMENT_BYTES_LIMIT 0x7fffffffU

/* Index entries wait in memory until there are this many bytes of them: they may lag the log. */
#define SIDE_PENDING_BYTES 4096U

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
    struct list syncs;            /* ops of segment_sync; the first one's is under way */
    struct op sync_op;            /* of it */
    struct op *close_waiter;
    int64_t close_result;
    struct op op;                 /* open, close */
    struct index_chunk chunk;
};

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

/* ---- sync.c -------------------------------------------------------------------------------- */

/* Make what is in the .log file now durable. In use. Completes with 0. */
void segment_sync(struct segment *s, struct op *op);

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
