/* log/recover.h - what is done with a log's files before it is there, or when it is cut. Private, as state.h. */
#pragma once

#include "log/state.h"

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
