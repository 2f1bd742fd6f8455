/* quorum/internal.h - what the files of this room share. */
#pragma once

#include "quorum/quorum.h"

#define METADATA_TOPIC "__cluster_metadata"
#define METADATA_DIR METADATA_TOPIC "-0"
/* The well-known topic id, (0, 1). */
#define METADATA_TOPIC_ID ((struct uuid){{[15] = 1}})

#define SNAPSHOT_SUFFIX ".checkpoint"
#define SNAPSHOT_BYTES_MAX INT32_MAX /* one `struct bytes` */

/* A whole snapshot in memory, checked. */
struct snapshot {
    struct text content;
    int64_t last_timestamp_ms; /* of the last record that it contains */
    struct raft_voters voters; /* kraft_version 0: none in it */
    bool has_voters;           /* a Voters record was there */
    bool has_records;          /* data records, not only control ones */
};

/* A snapshot file on disk. */
struct snapshot_file {
    struct raft_snapshot_id id;
    uint64_t size_bytes;
    int64_t modified_ms; /* wall clock */
};

struct snapshot_files {
    struct snapshot_file *files; /* by offset, oldest first */
    uint32_t count;
};

struct quorum {
    struct io *io;
    struct telemetry *telemetry;
    struct log_dir *dir;
    struct quorum_listener listener;
    char *path; /* LOGDIR/__cluster_metadata-0 */
    int32_t node_id;
    struct uuid directory_id;
    int64_t snapshot_bytes, snapshot_interval_ms;
    int64_t retention_bytes, retention_ms;

    struct log *log;
    struct raft *raft;
    struct raft_election election; /* as it is, or is about to be, on disk */
    struct raft_voters voters;     /* in force */
    int64_t high_watermark;        /* -1 unknown */
    int64_t delivered;             /* the listener has everything below it */
    int32_t start_epoch;   /* of the last batch, or of the snapshot before it, at the start */
    int64_t caught_up;     /* high watermark that the listener was told of; -1 none */
    int32_t claimed_epoch; /* that the listener was told to claim; -1 none */
    bool begun;            /* the machine has been started */
    bool accepts;          /* leader, and its epoch has begun in the log */
    bool failed;           /* a write, sync or read has failed: nothing more happens */

    struct gate gate; /* flows below, and `begin` */
    struct op begin;
    struct flow act; /* carries out `outcome` */
    bool acting;
    struct raft_outcome outcome;
    struct text vote; /* text of quorum-state that is being written */
    struct flow deliver;
    bool delivering;
    struct log_read read;
    struct arena read_arena;
    struct text batches;

    struct snapshot_files snapshots;
    uint64_t bytes_since_snapshot;  /* delivered */
    int64_t snapshot_taken_ns;      /* monotonic, or the start of the process */
    struct snapshot_write *writing; /* NULL when none is being written */

    struct op log_closed;
    struct op *close_op;
};

/* A file operation or read has failed: end the directory (Q4). */
void quorum_fail(struct quorum *q, int error, const char *what);

/* ---- open.c, quorum.c -------------------------------------------------------------------- */

void quorum_free(struct quorum *q);
/* Take part: the first step of the machine. */
void quorum_begin(struct quorum *q);
/* log_open.stable_moved */
void quorum_stable_moved(void *ctx);

/* ---- deliver.c --------------------------------------------------------------------------- */

/* Set up `read` for whole batches from `offset` on. */
void quorum_read_from(struct quorum *q, int64_t offset, int64_t limit);

/* Hand over what is committed, unless that is going on; then claim and caught_up. */
void quorum_deliver(struct quorum *q);

/* ---- election.c: quorum-state ------------------------------------------------------------ */

void election_print(const struct raft_election *election, const struct raft_voters *voters,
                    struct text *out);
MUST int election_parse(struct str text, struct raft_election *out, struct fail *f);

/* ---- control.c: KRaft's control batches -------------------------------------------------- */

/* Add the batch that begins an epoch: LeaderChange, with `append_voters` KRaftVersion and Voters.
 */
MUST int control_leader_change(const struct raft_voters *voters, int32_t leader_id,
                               bool append_voters, int64_t base_offset, int32_t epoch,
                               int64_t wall_ms, struct text *out);

/* Add a snapshot's first and last batch. Voters with kraft_version 1 only. */
MUST int control_snapshot_header(const struct raft_voters *voters, int64_t last_timestamp_ms,
                                 int64_t base_offset, int32_t epoch, int64_t wall_ms,
                                 struct text *out);
MUST int control_snapshot_footer(int64_t base_offset, int32_t epoch, int64_t wall_ms,
                                 struct text *out);

/* What one control batch says. */
struct control_seen {
    bool header, footer, voters, kraft_version;
    int64_t last_timestamp_ms; /* with header */
};
/* Read a control batch; voters and kraft.version in it go to `voters`. ERR_CORRUPT, ERR_VERSION,
 * ERR_LIMIT. */
MUST int control_read(const struct batch *batch, struct raft_voters *voters,
                      struct control_seen *seen, struct fail *f);

/* ---- snapshot.c: content ----------------------------------------------------------------- */

/* Build a whole snapshot file of framed records. */
MUST int metadata_snapshot_build(struct raft_snapshot_id id, const struct raft_voters *voters,
                                 int64_t last_timestamp_ms, int64_t wall_ms,
                                 const struct bytes *framed, uint32_t count, struct text *out);

/* Check a file's content from header to footer and note what is in it. `out->content` is what is
 * checked. */
MUST int metadata_snapshot_check(struct snapshot *out, struct fail *f);
void metadata_snapshot_deinit(struct snapshot *s);

/* Append the data batches of a checked snapshot to `out`: control batches left out. */
void metadata_snapshot_data_batches(const struct snapshot *s, struct text *out);

/* Add a data batch of framed records as the controller's batches are: key null, one time for all.
 */
MUST int framed_batch(const struct bytes *framed, uint32_t count, int64_t base_offset,
                      int32_t epoch, int64_t wall_ms, struct text *out);

/* ---- snapshot_file.c: names, writing, ending --------------------------------------------- */

void metadata_snapshot_name(struct raft_snapshot_id id, char out[64]);

/* Those in a listing, sorted; the caller frees `out->files`. */
void metadata_snapshot_files_of(const struct io_entries *entries, struct snapshot_files *out);

static inline bool snapshot_is_bootstrap(struct raft_snapshot_id id)
{
    return id.end_offset == 0 && id.epoch == 0;
}

/* Write a new file of mode 0400 as a snapshot is: PATH.part, sync, rename, sync of `dir`. */
struct snapshot_put {
    struct io *io;
    const char *dir;
    char path[4096], part[4096];
    struct bytes content;
    struct io_file *file;
    int64_t result;
    struct flow flow;
};
void metadata_snapshot_put(struct snapshot_put *p, struct io *io, const char *dir, const char *name,
                           struct bytes content, struct op *op);

/* ---- bootstrap.c, format.c --------------------------------------------------------------- */

#define BOOTSTRAP_FILE "bootstrap.checkpoint"
#define BOOTSTRAP_FEATURES_MAX FEATURE_COUNT

struct bootstrap {
    struct text framed[BOOTSTRAP_FEATURES_MAX];
    uint32_t count;
};

void bootstrap_features(const int16_t levels[FEATURE_COUNT], struct bootstrap *out);
void bootstrap_deinit(struct bootstrap *b);

/* Whether the voters stand in the log instead of the settings (KIP-853). */
bool format_is_dynamic(const struct format_options *o);
