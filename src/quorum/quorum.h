/* quorum/quorum.h - runs raft's outcomes: the metadata log, votes on disk, snapshots, voters.
 *
 *   controller ─ append ─► [ raft ] ─► metadata log ─ stable ─► high watermark ─► committed
 *                             │                                                   (in order)
 *                             └─► quorum-state
 *
 * One per process, on the home shard (0). Owns LOGDIR/__cluster_metadata-0: log, quorum-state,
 * snapshots (NNN-EEE.checkpoint).
 *
 *   Q1  The election state is durable before a batch of its epoch is appended.
 *   Q2  `committed` hands over each offset once, in order, and only below the high watermark.
 *   Q3  A snapshot is renamed into place only when all of it, footer included, is on stable
 *       storage; the log is cut only below one that is in place.
 *   Q4  A failed write or sync ends the log directory (log.h, L6): nothing is retried.
 *   Q5  What was delivered is never cut off the log.
 *
 *   other nodes ── quorum_handle ─► raft ─ sends ─► a client (room client) whose nodes are the voters
 *   A follower, and an observer (a broker, or a controller that is no voter yet), fetches the log from the leader.
 */
#pragma once

#include "base/base.h"
#include "io/io.h"
#include "log/log.h"
#include "raft/raft.h"
#include "telemetry/telemetry.h"

struct quorum;

struct quorum_listener {
    /* Committed data batches (and control batches), in order, each byte range once. */
    void (*committed)(void *ctx, struct bytes batches);
    /* Drop the state; the snapshot's batches follow by `committed`, then it goes on at `id`.
     * Also called at start when a snapshot is there. */
    void (*snapshot)(void *ctx, struct raft_snapshot_id id);
    /* Leader or epoch changed. `leader_id` -1 unknown. When it is this node, everything up to the
     * log's end has to be committed and delivered before the controller may claim: `claim` follows.
     */
    void (*leader)(void *ctx, int32_t leader_id, int32_t epoch);
    /* This node leads `epoch`, and all records before its epoch's start were delivered by
     * `committed`. */
    void (*claim)(void *ctx, int32_t epoch);
    /* The high watermark is known and everything below it was delivered (first time after start,
     * then whenever it moves). */
    void (*caught_up)(void *ctx, int64_t high_watermark);
    /* This node leads, and a Fetch of this replica came. NULL: nobody wants to know. */
    void (*fetched)(void *ctx, int32_t replica_id);
    void *ctx;
};

struct quorum_open {
    struct io *io;
    struct telemetry *telemetry;
    struct log_dir *dir; /* metadata.log.dir */
    struct log_memory *memory;
    struct str cluster_id;
    int32_t node_id;
    struct uuid directory_id;
    bool can_vote;                    /* has the controller's role: a voter, or may become one */
    struct raft_voters static_voters; /* count 0: dynamic, from the 0-0 checkpoint or the log */
    struct raft_voter self;           /* own endpoints (real ports) and range of kraft.version; no endpoints
                                         without the controller's role */
    struct str bootstrap_servers;     /* controller.quorum.bootstrap.servers; empty: static_voters */
    bool auto_join;                   /* controller.quorum.auto.join.enable */
    int64_t election_timeout_ms, election_backoff_max_ms, fetch_timeout_ms;
    int64_t request_timeout_ms, retry_backoff_ms; /* controller.quorum.* */
    uint32_t fetch_bytes_max;                     /* controller.quorum.fetch.max.bytes */
    uint32_t snapshot_fetch_bytes_max;            /* controller.quorum.fetch.snapshot.max.bytes */
    int64_t snapshot_bytes,
        snapshot_interval_ms; /* metadata.log.max.record.bytes.between.snapshots, ... */
    int64_t retention_bytes, retention_ms; /* metadata.max.retention.*; -1 no limit */
    uint32_t segment_bytes;                /* metadata.log.segment.bytes; 0 = 1 GiB */
    int64_t segment_ms;                    /* metadata.log.segment.ms; 0 = 7 days */
    struct quorum_listener listener;
};

/* Open log and election state, deliver the newest snapshot, start elections. `snapshot` and
 * `committed` (of the snapshot) may be called before this completes, with `*out` not yet written;
 * everything else is called only after it. `dir->directory_id` is not looked at.
 *
 * Fails  ERR_CORRUPT  quorum-state, a snapshot or the log is damaged, or they do not fit together
 *        -ENOTSUP     no voters are known, and there is nobody to ask
 *        and whatever files fail with; `f` says it in words. `o` lives until completion. */
void quorum_open(const struct quorum_open *o, struct quorum **out, struct fail *f, struct op *op);

/* Append framed records (count >= 1) as one batch in `epoch`; synchronous. 0 and the last record's
 * offset. ERR_FENCED: not the leader of `epoch`, or closing; ERR_LIMIT: more than
 * QUORUM_BATCH_BYTES_MAX; what log_append_stamped fails with. */
#define QUORUM_BATCH_BYTES_MAX (8 << 20) /* what a JVM voter takes */
MUST int quorum_append(struct quorum *q, int32_t epoch, const struct bytes *framed, uint32_t count,
                       int64_t *last_offset);

/* kraft.version from 0 to 1, as the leader of `epoch` (KIP-853): its voters stand in the log from now on, with the
 * directories that they have reported. Synchronous, as quorum_append: what is appended next lies behind it. NONE also when
 * that was done before. With `validate_only` nothing changes.
 *
 * NOT_CONTROLLER          not the leader of `epoch`, or closing
 * REQUEST_TIMED_OUT       not now: this leader has not committed yet, or another change is under way
 * INVALID_UPDATE_VERSION  not all voters have said that they support it (UpdateRaftVoter, once in each epoch) */
enum kerr quorum_upgrade(struct quorum *q, int32_t epoch, bool validate_only);

/* Write a snapshot: the listener's owner gives the framed records of its image at exactly
 * `id.end_offset` (a committed batch boundary; `id.epoch` is that of the record before it). They
 * are copied before this returns. One at a time (-EBUSY). -EEXIST when there is one at `id` or
 * behind it, -EINVAL for an id that is not in the log. Completes when it is durable; older ones and
 * the log below them may be gone then. */
void quorum_snapshot(struct quorum *q, struct raft_snapshot_id id, int64_t last_timestamp_ms,
                     const struct bytes *framed, uint32_t count, struct op *op);
/* Is a snapshot due (bytes or time since the last one)? */
bool quorum_snapshot_due(const struct quorum *q);

int64_t quorum_high_watermark(const struct quorum *q); /* -1 unknown */
int64_t quorum_end(const struct quorum *q);
void quorum_leader(const struct quorum *q, int32_t *leader_id, int32_t *epoch);
/* Why this node may not find its quorum, in words: nodes that it is to ask belong to another cluster. NULL: nothing of
 * that kind is known. */
const char *quorum_obstacle(const struct quorum *q);

/* This node in the quorum, as the election state and the log say it. */
struct quorum_state {
    enum raft_role role;
    bool is_voter;
    int32_t epoch, leader_id, voted_id; /* -1 none */
    int64_t high_watermark;             /* -1 unknown */
    int64_t end;
    int32_t end_epoch;
    uint32_t observers;                 /* that fetch from this node, the leader */
    bool voters_are_changing;           /* this node leads, and a change of the voters is under way */
    uint64_t leaders;                   /* that this node has learned of since its start; one again in another epoch counts again */
};
void quorum_state(const struct quorum *q, struct quorum_state *out);
const struct raft_voters *quorum_voters(const struct quorum *q);

/* What has happened here of late. */
struct quorum_numbers {
    struct recent commits_us;        /* batches of this leader, from when it has appended one until a majority has it */
    struct recent elections_us;      /* from when this node asks for votes until it knows a leader */
    struct recent appended, fetched; /* records, as the leader, and as one that follows or observes */
};
const struct quorum_numbers *quorum_numbers(const struct quorum *q);

/* Where the leader's first controller listener is; false when that is not known, or it is this node. */
bool quorum_leader_endpoint(const struct quorum *q, struct raft_endpoint *out);

/* ---- requests ---------------------------------------------------------------------------- */

/* Something that the machine is to hear of, in its turn. Private. */
struct quorum_event {
    struct list node;
    void (*begin)(struct quorum *q, struct quorum_event *e);
    /* What the machine has said is carried out; NULL: nothing more is done, it is closing or has failed. */
    void (*then)(struct quorum *q, struct quorum_event *e, const struct raft_outcome *out);
};

/* One request of another node, or of an administrator. Embedded by the caller; lives until `ready`. */
struct quorum_call {
    int16_t api_key, api_version;
    const void *request;  /* the generated struct of api_key; with what it points at it lives until `ready` */
    void *response;       /* initialised; filled in */
    struct arena *arena;  /* for what `response` points at */
    struct str listener;  /* that it came by: endpoints in answers are those of that name; null: the first */
    /* Called once, never inside quorum_handle, also when the quorum closes. */
    void (*ready)(struct quorum_call *call);
    struct quorum *quorum; /* private, from here on */
    struct quorum_event event;
    struct list node;     /* where it waits */
    struct io_timer timer;
    int64_t offset;       /* that it waits for */
    bool inside;
};

/* Vote, BeginQuorumEpoch, EndQuorumEpoch, Fetch (of the metadata log alone), FetchSnapshot, DescribeQuorum,
 * AddRaftVoter, RemoveRaftVoter, UpdateRaftVoter. At most QUORUM_CALLS_MAX wait at a time: what is more is answered
 * with BROKER_NOT_AVAILABLE. */
#define QUORUM_CALLS_MAX 4096 /* RAFT_OBSERVERS_MAX wait for records, each with a connection or two */
bool quorum_handles(int16_t api_key);
void quorum_handle(struct quorum *q, struct quorum_call *call);

/* Resign, wait for what is in flight, close the log cleanly, free. The listener is not called any
 * more. Completes with 0 when the directory may be marked clean. */
void quorum_close(struct quorum *q, struct op *op);

/* ---- formatting -------------------------------------------------------------------------- */

/* What `storage format` and a server with an empty directory write when nothing else is asked for:
 * 4.3-IV0, so that nodes of 4.3 and 4.4 can take over. */
#define FORMAT_METADATA_VERSION 30

struct image_feature_level {
    struct str name;
    int16_t level;
};

struct format_options {
    struct str cluster_id;
    int32_t node_id;
    const char *const *dirs; /* all log dirs; the metadata dir is dirs[metadata_dir] */
    uint32_t dir_count, metadata_dir;
    int16_t metadata_version; /* a level that metadata_version_find knows */
    const struct image_feature_level
        *features; /* levels asked for by name; the others get the default
                      of metadata_version. Not metadata.version itself */
    uint32_t feature_count;
    bool ignore_formatted;
    bool standalone; /* dynamic quorum, this node the only voter: initial_voters holds it,
                        with its endpoints; a zero directory id is drawn here */
    struct raft_voters initial_voters; /* --initial-controllers; count 0 none */
    bool no_initial_controllers;       /* dynamic quorum whose voters are not known here */
    const struct bytes *extra_framed;  /* SCRAM records and so on */
    uint32_t extra_count;
};

/* Append a metadata record with its frame (1, type, version, all uvarints), as `extra_framed` and
 * quorum_append take it. It must be one that can be written: message_size does not fail. */
struct message;
void quorum_frame(const struct message *message, int16_t version, const void *m, struct text *out);

/* The level of every feature. -EINVAL: unknown feature or level, a level that needs another, or a
 * kraft.version that does not go with the quorum; `f` as Kafka's tool says it. */
MUST int format_features(const struct format_options *o, int16_t levels[FEATURE_COUNT],
                         struct fail *f);

/* Write meta.properties and bootstrap files into each directory that has no meta.properties yet, as
 * Kafka's tool does: up to level 30 as 4.3 (bootstrap.checkpoint in every directory), above as 4.4
 * (all of it in the 0-0 checkpoint of the metadata directory). Directories are made where they are
 * missing. `out` receives the lines that Kafka's tool prints; salts and keys in them are hidden.
 *
 * Fails  -EEXIST  formatted already (without ignore_formatted)
 *        -EINVAL  as format_features; another cluster id or node id stands in a directory
 * `o` and what it points at live until completion. */
void quorum_format(struct io *io, const struct format_options *o, struct text *out, struct fail *f,
                   struct op *op);

/* The record batches that a controller which finds an empty log writes first: of 4.3's
 * bootstrap.checkpoint, else of 4.4's 0-0 checkpoint, else metadata.version alone at
 * FORMAT_METADATA_VERSION, as Kafka. Data batches only. `dir` is the metadata log directory (not
 * the partition's). Completes with 0; ERR_CORRUPT. `dir`, `out`, `f` live until completion. */
void quorum_bootstrap(struct io *io, const char *dir, struct text *out, struct fail *f,
                      struct op *op);

/* Format directories as a broker does by itself (`millrace server` without FILE): at
 * FORMAT_METADATA_VERSION, features at its defaults. The voters are those of
 * controller.quorum.voters; where there are none, this node is the only one of a dynamic quorum.
 * Directories that are formatted already are left as they are. `dirs` and its texts, `cluster_id`,
 * `out`, `f` live until completion. */
struct config;
void quorum_format_default(struct io *io, const struct config *settings, const char *const *dirs,
                           uint32_t dir_count, uint32_t metadata_dir, struct str cluster_id,
                           int32_t node_id, struct text *out, struct fail *f, struct op *op);

/* This node as a voter of a dynamic quorum: its controller's listener as it is advertised, else as
 * it listens ("localhost" for all interfaces). The directory id stays zero. -EINVAL. */
MUST int quorum_own_voter(const struct config *settings, int32_t node_id, struct raft_voter *out,
                          struct fail *f);

/* NNN-EEE.checkpoint: the end offset and epoch of a metadata snapshot by its file's name. False for another
 * name. */
bool metadata_snapshot_name_parse(struct str name, struct raft_snapshot_id *out);

/* meta.properties of a directory. */
struct meta_properties {
    char cluster_id[64];
    int32_t node_id;          /* -1 when absent, which only version 0 may be */
    struct uuid directory_id; /* zero when absent */
    int32_t version;          /* 0, 1 */
};
MUST int meta_properties_parse(struct str text, struct meta_properties *out, struct fail *f);
/* As Kafka writes it: two lines of comment, the second with the time, then four values. */
void meta_properties_print(const struct meta_properties *m, int64_t wall_ms, struct text *out);
