/* inspect/dump.h - what the files of dump share (internal). */
#pragma once

#include "inspect/decode.h"
#include "inspect/rows.h"
#include "inspect/stored.h"

enum file_kind {
    FILE_LOG,
    FILE_CHECKPOINT, /* a metadata snapshot, or bootstrap.checkpoint */
    FILE_INDEX,
    FILE_TIME_INDEX,
    FILE_TXN_INDEX,
    FILE_SNAPSHOT,
    FILE_EPOCHS,
    FILE_OFFSETS,    /* recovery-point-offset-checkpoint and its like */
    FILE_PARTITION,  /* partition.metadata */
    FILE_META,       /* meta.properties */
    FILE_POINTS,     /* scan points */
    FILE_JSON,       /* quorum-state, the clean marker */
    FILE_UNKNOWN,
};

#define KAFKA_NUMBER_BYTES 40

struct dump {
    struct flow flow, part;
    struct io *io;
    const struct dump_options *o;
    struct inspect_output *output;
    uint32_t i;            /* file */
    const char *path;
    struct str name;       /* without directories, and without .deleted and the like */
    enum file_kind kind;
    int64_t base;          /* that a segment's files are named by */
    struct row row;
    struct reader reader;  /* the file */
    struct reader log;     /* the segment beside an index; not open when it is missing */
    struct stored_scan scan;
    struct stored stored;
    struct decoded decoded;
    int rc, zero;
    int64_t last_offset;   /* of the record before */
    uint64_t entry, entries;
    int64_t entry_offset, entry_timestamp_ms, previous_timestamp_ms;
    uint64_t entry_position;
    struct text small;     /* a small file */
    struct text gaps, mismatches, disorder, missing; /* of one file, for `later` */
    struct text later;     /* for standard error at the end */
    int64_t status;
    char beside[INSPECT_PATH_BYTES];
};

/* Each prints one file, as a part of `dump`. */
void dump_log_run(struct flow *f);
void dump_index_run(struct flow *f);
void dump_time_index_run(struct flow *f);
void dump_small_run(struct flow *f);

/* Something is wrong with the file: a line for standard error, and the exit status. */
void dump_trouble(struct dump *d, const char *format, ...) PRINTF(2, 3);
/* End a part whose last wait has failed. */
void dump_failed(struct dump *d);
/* Note for the end; a note beyond a limit is left out, and that is said. */
void dump_note(struct text *notes, const char *format, ...) PRINTF(2, 3);
/* Java's OptionalLong as text. */
const char *optional_text(int64_t value, char out[KAFKA_NUMBER_BYTES]);
/* A row's number that may be absent (below 0). */
void row_optional(struct row *r, const char *name, int64_t value);
