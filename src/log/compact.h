/* log/compact.h - what the files of one compaction share.
 *
 *   compact.c        the two passes over closed segments, group by group
 *   compact_write.c  a group's one new segment: BASE.log.cleaned and its side files
 *   compact_swap.c   it takes the place of the group: drains and readers go on
 */
#pragma once

#include "log/scan.h"
#include "log/state.h"

/* Batches and bytes between two turns of the loop: some milliseconds of work at most. */
#define COMPACT_TURN_BYTES (64U * 1024)

/* A throttled compaction looks this often whether it is still wanted. */
#define COMPACT_NAP_NS 100000000

struct compacting {
    struct flow flow, part;
    struct log *log;
    const struct log_compaction *how;
    struct log_compacted *out;
    struct fail *fail, own_fail;
    struct compaction *decisions;
    uint32_t generation;
    bool filtering; /* pass 2 */
    bool full;      /* the map was: pass 1 is over */
    int64_t first_dirty;
    int64_t first_uncleanable; /* of the log as it is: it may have been cut since it was measured */
    int64_t from;       /* offset in the next segment of the pass */
    int64_t lowest_end; /* of the lowest segment in use: the log must not start behind it */
    int64_t result;

    /* one segment */
    struct segment *segment, *held;
    struct scan scan;
    struct batch batch;
    int64_t next_offset, end_offset; /* its batches ascend, and are in the segment: no checksum covers their offsets */
    int rc;
    uint32_t turn_bytes; /* read since the last turn */
    struct arena arena;
    struct log_aborted *aborted;

    /* the rate */
    int64_t due_ns; /* monotonic: no I/O before it */
    struct io_timer timer;

    /* a group and what replaces it */
    struct compaction_segment *group; /* the segments that are left; the first ones are the group */
    uint32_t group_count, i;
    struct op *swapped;      /* waits until log->swap is done */
    struct segment *cleaned; /* not the log's yet; its index entries are all in memory */
    struct text buffer;      /* batches behind whole_bytes */
    struct bytes piece;
    struct io_file *file; /* of a side file */
    enum side side;
    char path[LOG_PATH_BYTES + sizeof(".cleaned")];
};

/* False when the compaction must not go on: cancelled, or the log ends, failed or was cut. */
bool compact_goes_on(const struct compacting *c);

/* From where on it is dirty: log->first_dirty, or its start. */
int64_t log_first_dirty_now(const struct log *log);

/* Base of the first segment that may not be touched, whatever its records say: that which holds `end`, is
 * written to, or is not wholly durable yet. */
int64_t log_first_untouchable(const struct log *log, int64_t end);

/* ---- compact_write.c ----------------------------------------------------------------------- */

/* Make the empty file that the group's batches go to. */
void cleaned_begin(struct compacting *c, struct op *op);
/* `n` bytes at the end of `buffer` are a batch, or nothing. */
int cleaned_note(struct compacting *c, size_t n);
void cleaned_note_aborted(struct compacting *c, const struct compaction_aborted *aborted);
/* Write the buffer. */
void cleaned_flush(struct compacting *c, struct op *op);
/* Flush, write the side files, make all of them and their names durable. */
void cleaned_finish(struct compacting *c, struct op *op);
/* Close and remove what was begun and did not come into the log. */
void cleaned_abandon(struct compacting *c, struct op *op);

/* ---- compact_swap.c ------------------------------------------------------------------------ */

/* Ask for it. Completes with 0 when the new segment is the log's, and all names are durable;
 * -ECANCELED when it must not be any more: then nothing was changed. */
void compact_swap(struct compacting *c, struct op *op);
