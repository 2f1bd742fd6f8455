/* log/opening.h - a log that is being opened: what the files open.c, open_names.c and open_batches.c share. */
#pragma once

#include "log/recover.h"

struct opening {
    struct flow flow, part;
    const struct log_open *o;
    struct log *log;
    struct log **out;
    struct fail *fail, own_fail;
    struct io_entries entries;
    struct text text;
    bool *missing;  /* per segment: side files are not as they should be */
    uint8_t *modes; /* per segment: enum pass_mode */
    bool clean;
    bool has_point; /* `point` is where the scan begins */
    struct scan_point point;
    bool fresh;   /* the directory was made */
    bool created; /* a segment was */
    bool rebuilds;
    bool epochs_wrong; /* as the pass has found */
    bool has_metadata, has_epochs;
    int64_t recovery_point;
    int64_t snapshots_upto; /* snapshots above it are not to be believed */
    struct pass pass;
    char path[LOG_PATH_BYTES];
};

/* A step ends, with the message that says what went wrong. */
void opening_step_end(struct opening *x, struct flow *f, int64_t result);

/* ---- open_names.c ---------------------------------------------------------------------------- */

/* The small files: to whom the log belongs, and its epochs. As x->part. */
void opening_read_names(struct opening *x, struct op *op);
/* What partition.metadata is to say; in x->text. */
struct bytes opening_metadata(struct opening *x);

/* ---- open_batches.c -------------------------------------------------------------------------- */

/* The batches: after a clean stop only the last one, else all that may have to be cut or rebuilt. There is a segment;
 * afterwards there may be none, where all lay below the promised start. As x->part. */
void opening_read_batches(struct opening *x, struct op *op);
