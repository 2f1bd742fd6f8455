/* inspect/inspect.h - what Kafka's files hold, read without a server: dump prints it, verify judges it.
 *
 *   files ─► reader (a window) ─► batches, entries, lines ─► rows ─► out, err ─► flush
 *
 *   N1  Nothing is written into a log directory, and nothing in it is believed: each length is checked
 *       against the file before it is used.
 *   N2  Memory is bounded whatever the size of a file: a window, one batch of at most
 *       INSPECT_BATCH_BYTES_MAX and its records of at most INSPECT_PLAIN_BYTES_MAX, the side files of one
 *       segment of at most INSPECT_SIDE_BYTES_MAX each, the journal of one shard.
 *   N3  What is damaged is said, and does not end the rest.
 *
 * Stands on: io, log, record, protocol, quorum. Runs on one shard; no server may own the files.
 */
#pragma once

#include "base/base.h"
#include "io/io.h"

#define INSPECT_BATCH_BYTES_MAX (128U << 20) /* no request that brings one may be larger than 100 MiB */
#define INSPECT_PLAIN_BYTES_MAX (1U << 30)   /* as a server decompresses at most */
#define INSPECT_SIDE_BYTES_MAX (64U << 20)   /* as a server reads at most */
#define INSPECT_PATH_BYTES 4096

/* Where lines go. */
struct inspect_output {
    struct text *out, *err; /* for standard output and standard error */
    /* Write both out and empty them; called every now and then. Negative: nobody reads them any more, so
     * the work ends. NULL: they stay and grow. */
    int (*flush)(void *ctx);
    void *ctx;
    bool progress; /* `err` is a terminal: say there how far the work is */
    bool closed;   /* private: flush has failed */
};

/* How keys and values of records are printed. */
enum inspect_decoder {
    DECODE_TEXT,         /* as UTF-8 */
    DECODE_OFFSETS,      /* records of __consumer_offsets */
    DECODE_TRANSACTIONS, /* of __transaction_state */
    DECODE_METADATA,     /* of __cluster_metadata and its snapshots */
    DECODE_SHARE,        /* of __share_group_state */
};

struct dump_options {
    const char *const *files;
    uint32_t file_count;
    uint64_t max_bytes;      /* of each .log to look at; UINT64_MAX all */
    enum inspect_decoder decoder;
    bool deep;               /* records too */
    bool contents;           /* their keys and values too; deep is set with it */
    bool skip_metadata;      /* of records: contents only */
    bool verify_only;        /* indexes: say only what is wrong */
    bool sanity_only;        /* indexes: what a start of Kafka would check */
    bool json;               /* a JSON object per line, in place of Kafka's text */
};

/* Print files, each by its name: segments, indexes, snapshots, checkpoints and the small files of a log
 * directory. The text is that of Kafka's DumpLogSegments where that tool prints the file. Completes with
 * the exit status: 0, or 1 when a file could not be read or is not what its name says; what was found
 * wrong in an index goes to `err` at the end and is no failure, as in Kafka. All that is pointed at lives
 * until then. */
void inspect_dump(struct io *io, const struct dump_options *o, struct inspect_output *output,
                  struct op *op);

struct verify_options {
    const char *dir;   /* the log directory */
    struct str topic;  /* only its partitions; null: all, and the metadata log */
    bool deep;         /* records too: decompressed, read, and decoded where their topic is an internal one */
};

/* Check a log directory whose server is down, and write nothing: names, segments (lengths, magic, checksums, ascending
 * offsets), indexes against them, journals, transaction indexes, producer snapshots, leader epochs, checkpoints, topic ids,
 * metadata snapshots. To `out`: a line for each trouble ("trouble FILE: ...") and each harmless oddity ("note FILE: ..."),
 * with positions, offsets and what will happen; then a summary. Completes with the exit status: 0 no trouble, 1 trouble,
 * 2 not checked (a server has the directory, it cannot be read); then `err` says why. */
void inspect_verify(struct io *io, const struct verify_options *o, struct inspect_output *output,
                    struct op *op);
