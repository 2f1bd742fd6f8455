/* log/journal_internal.h - what the files of the journal share. */
#pragma once

#include "log/journal.h"
#include "log/state.h"

#define JOURNAL_CHUNKS 16U /* of a journal */
#define JOURNAL_CHUNK_BYTES_MIN (2 * JOURNAL_PAGE_BYTES)
/* One commit: enough for hundreds of small appends, little enough that the next waits for a fraction of a
 * millisecond. */
#define JOURNAL_COMMIT_BYTES_MAX (256U * 1024)
/* Logs that drain side by side for a chunk that is to be used again: their syncs hold up others. */
#define JOURNAL_SETTLES_MAX 4U
/* After the disk was full: when to try again to make a chunk. */
#define JOURNAL_RETRY_MS 10000

struct journal_chunk {
    struct io_file *file;
    uint32_t used_bytes;
    uint64_t last; /* newest commit in it; 0: it is free */
};

struct journal {
    struct log_dir *dir;
    struct io *io;
    struct telemetry *telemetry;
    struct gate gate;           /* flows that run */
    struct op *closed;
    bool failed;

    struct journal_line line;   /* as meta has it */
    struct journal_chunk chunks[JOURNAL_CHUNKS];
    struct journal_chunk *active; /* NULL: none yet */

    struct list ready, live;    /* struct log by user.ready, user.live */
    struct list notes;          /* struct journal_note_op */
    struct flow commit;
    bool is_committing;
    struct list committing;     /* logs and notes of the commit that is written */
    struct list committing_notes;
    uint8_t *buffer;            /* of it: aligned, JOURNAL_COMMIT_BYTES_MAX at most */
    uint32_t length, entry_count;
    struct bytes piece;
    uint64_t sequence;          /* of the newest commit that was begun */
    uint64_t oldest;            /* that may matter: for the next commit */
    uint64_t oldest_written;    /* in the commit that is written */
    uint64_t oldest_durable;

    struct flow making;
    bool is_making;
    int64_t make_after_ms;      /* monotonic */
    struct io_file *file;
    int64_t rc;
    struct bytes zeros[IO_PIECES_MAX];
    uint32_t zero_count;
    uint64_t zeroed;
    char path[LOG_PATH_BYTES];

    struct flow reclaim;
    bool is_reclaiming;
    bool must_commit;           /* also without entries, and in the last free chunk */
    uint32_t settling;          /* logs that were asked */
    uint64_t target;            /* nothing up to this commit is to matter */
    struct op *look;            /* of the reclaim flow, while it waits */
    struct op *committed;       /* the same */
    uint32_t i;
};

/* A note that waits for its commit. */
struct journal_note_op {
    struct list node;
    struct journal_entry entry;
    struct op *op;
};

/* ---- journal_chunk.c ------------------------------------------------------------------------- */

void journal_make_chunk(struct journal *j); /* one more, when there is none free */
void journal_reclaim(struct journal *j);    /* when half of what may be is used */
uint32_t journal_free_chunks(const struct journal *j);
/* The next chunk to write to; NULL when none is free. */
struct journal_chunk *journal_next_chunk(struct journal *j);

/* ---- journal.c ------------------------------------------------------------------------------- */

void journal_wake(struct journal *j);
bool journal_is_full(const struct journal *j); /* an append may not find room */
/* Nothing can be written any more: the directory ends. */
void journal_fail(struct journal *j, int64_t error, const char *what);
bool journal_is_failed(struct journal *j);
/* On its shard: when its flows have ended, close its files and free it. */
void journal_close(struct journal *j, struct op *op);

/* ---- journal_meta.c -------------------------------------------------------------------------- */

/* Have meta say `line`, by the directory's home shard, which makes the folder first. Completes when it is durable. */
void journal_announce(struct journal *j, const struct journal_line *line, struct op *op);

/* ---- journal_log.c: what a journal asks of a log ------------------------------------------------ */

/* Bytes that the log would add to a commit now, with entries; 0: nothing, or not now. */
uint32_t log_commit_bytes(struct log *log);
/* Write them at `p`; returns what is behind. */
uint8_t *log_commit_put(struct log *log, uint8_t *p, uint64_t sequence, uint32_t *entry_count);
/* The commit with them is durable. */
void log_commit_done(struct log *log);
/* Make durable in segments what the journal holds of the log by now; journal_look is called then. */
void log_settle(struct log *log);
