/* inspect/verify.h - what the files of verify share (internal). */
#pragma once

#include "inspect/decode.h"
#include "inspect/rows.h"
#include "inspect/stored.h"
#include "log/epochs.h"
#include "log/journal_format.h"
#include "log/log.h"
#include "log/producers.h"

#define VERIFY_NAME_BYTES 600 /* DIRECTORY/FILE, of at most 255 bytes each */

/* A file of fixed-size entries beside a segment, and how far the batches have come in it. */
struct side_check {
    struct text content;
    bool missing;
    uint64_t at, entries;
};

/* Bytes that a journal holds of a segment. */
struct journal_span {
    int64_t base;
    uint64_t position, bytes;
};

/* What the journals hold of one partition and its segments may lack. */
struct journal_rest {
    struct uuid topic_id;
    int32_t partition;
    struct journal_span *spans; /* in the order in which they are brought into the segments */
    uint32_t count, at;         /* those before it were held against their segments */
    int64_t end;                /* of the log, then; -1 unknown */
    bool seen;                  /* its directory is there */
};

/* One partition's directory, or the metadata log's. */
struct verify_log {
    char name[300];
    struct str topic;
    int32_t partition;
    bool is_metadata;
    struct epochs epochs;
    bool has_epochs, epochs_said;
    struct producers producers;
    bool producers_known;    /* from the log's first batch on, or from a snapshot there */
    int64_t first_base;
    int64_t base, next_base; /* of the segment; next_base -1: it is the last one */
    int64_t end;             /* behind the last good batch */
    uint32_t segments;
    struct side_check index, time, txn;
    struct text expected;    /* of the segment's .txnindex, as the batches say */
};

struct verify {
    struct flow flow, part, segment;
    struct io *io;
    const struct verify_options *o;
    struct inspect_output *output;
    struct io_file *lock;
    struct io_entries root, entries;
    uint32_t i, j;
    bool clean;
    bool journalled; /* there is a folder of journals */
    struct io_entries folder;
    struct journal_line *lines;
    uint32_t line_count;
    struct text chunks[JOURNAL_CHUNKS_MAX];
    struct journal_rest *rests;
    uint32_t rest_count;
    struct journal_rest *rest; /* of the partition that is looked at; NULL */
    struct checkpoint recovery_point, log_start, high_watermark;
    struct verify_log log;
    struct text small;
    struct reader reader;
    struct stored_scan scan;
    struct stored stored;
    struct decoded decoded;
    int rc, zero;
    bool header_seen, footer_seen; /* of a metadata snapshot */
    int64_t log_end;
    struct uuid topic_id;          /* of the topic whose partition was looked at last */
    char topic_of_id[300];
    const char *file;              /* its name under the directory, for lines */
    uint32_t file_lines;
    uint64_t troubles, notes, partitions, segments, batches, records, bytes;
    char file_name[VERIFY_NAME_BYTES], path[INSPECT_PATH_BYTES];
};

/* ---- verify.c ------------------------------------------------------------------------------ */

/* A line about v->file; beyond a number of lines of one file they are only counted. */
void verify_trouble(struct verify *v, const char *format, ...) PRINTF(2, 3);
void verify_note(struct verify *v, const char *format, ...) PRINTF(2, 3);
/* Trouble after a clean stop; what a killed server leaves otherwise. */
void verify_unless_killed(struct verify *v, const char *format, ...) PRINTF(2, 3);
/* The file that is looked at from here on, in `log`'s directory (NULL: in the log directory). v->path is set too. */
void verify_file(struct verify *v, const char *name);

/* ---- verify_journal.c: what journals hold, and what comes of it ----------------------------- */
void verify_journal_run(struct flow *f); /* a part of verify: commits, and what they say of each partition */
void journal_find(struct verify *v);     /* v->rest, of the partition whose topic id is known now */
/* The partition's next segment, which has `size_bytes` without the journal. */
void journal_segment(struct verify *v, int64_t base, uint64_t size_bytes);
int64_t journal_end(struct verify *v);   /* all segments were told: where the log ends when the journal is in them */
void journal_check_dropped(struct verify *v);
void journal_deinit(struct verify *v);

/* ---- verify_log.c: a partition's directory, as a part of verify ---------------------------- */
void verify_log_run(struct flow *f);

/* ---- verify_segment.c: one segment, or one metadata snapshot -------------------------------- */
void verify_segment_run(struct flow *f);
void verify_checkpoint_run(struct flow *f);

/* ---- verify_sides.c: indexes against the batches -------------------------------------------- */
void sides_begin(struct verify *v);
void sides_batch(struct verify *v);  /* v->stored is the next good batch */
void sides_end(struct verify *v);
void sides_deinit(struct verify_log *log);
/* Position of the next index entry behind `position`; 0 when there is none. */
uint64_t sides_next_position(const struct verify *v, uint64_t position);
