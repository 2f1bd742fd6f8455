/* quorum/internal.h - what the files of this room share. */
#pragma once

#include "client/client.h"
#include "quorum/quorum.h"

struct fetch_request;

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

/* Voters that came into force with the batch that ends at `end` (0: from settings, or a snapshot). */
struct voters_entry {
    int64_t end;
    struct raft_voters voters;
};

/* The request for the leader's log; one at a time. */
struct fetch_loop {
    struct client_call call;
    struct fetch_request *request; /* with its one topic and partition */
    struct quorum_event event;     /* its answer */
    struct raft_answer answer;     /* what of it the machine is to hear */
    struct io_timer timer;         /* back-off */
    struct flow cut;
    int64_t cut_at, result;
    int32_t to, epoch;             /* who was asked, in which epoch */
    bool busy;                     /* until its answer was taken */
    uint32_t failures;             /* in a row */
    uint32_t turn;                 /* of those that are asked where no leader is known */
};

/* Where the leader is, as others have said: the voters may not tell, or not any more. */
struct leader_hint {
    int32_t id, epoch;
    struct raft_endpoint endpoint;
};

#define BOOTSTRAP_SERVERS_MAX 32

struct quorum_meter {
    struct quorum_numbers numbers;
    struct quorum_waiting {
        int64_t end, appended_ns;
    } waiting[64];         /* this leader's batches that are not committed, in order */
    uint32_t waiting_count;
    int64_t stood_ns;      /* while electing: when this node has begun to ask for votes */
    bool electing;
};

struct quorum {
    struct io *io;
    struct telemetry *telemetry;
    struct log_dir *dir;
    struct quorum_listener listener;
    char *path; /* LOGDIR/__cluster_metadata-0 */
    int32_t node_id;
    struct uuid directory_id;
    char cluster_id[64];
    struct raft_voter self;
    bool can_vote, auto_join;
    int64_t fetch_timeout_ms, request_timeout_ms, retry_backoff_ms;
    uint32_t fetch_bytes_max, snapshot_fetch_bytes_max;
    int64_t snapshot_bytes, snapshot_interval_ms;
    int64_t retention_bytes, retention_ms;

    struct log *log;
    struct raft *raft;
    struct raft_election election; /* as it is, or is about to be, on disk */
    struct raft_voters voters;     /* in force */
    int64_t high_watermark;        /* -1 unknown */
    int64_t delivered;             /* the listener has everything below it */
    int32_t end_epoch;             /* of the last batch, or of the snapshot before it; 0 when empty */
    int64_t caught_up;     /* high watermark that the listener was told of; -1 none */
    int64_t epoch_start;   /* of the last epoch that this node has begun */
    int32_t claimed_epoch; /* that the listener was told to claim; -1 none */
    int32_t told_leader, told_epoch; /* the listener; -1 none */
    uint64_t leaders;      /* that it was told of */
    struct quorum_meter meter;
    int32_t left_epoch;    /* whose leader has said last that it leaves; -1 none */
    bool begun;            /* the machine has been started */
    bool accepts;          /* leader, and its epoch has begun in the log */
    bool failed;           /* a write, sync or read has failed: nothing more happens */

    struct gate gate; /* flows below, requests in both directions, and `begin` */
    struct op begin;

    struct list events;      /* struct quorum_event, in order */
    bool draining;
    bool held;               /* something is being carried out: events wait */
    struct quorum_event *carrying; /* for whom */
    struct raft_outcome outcome;
    struct flow act;         /* carries it out */
    struct text vote;        /* text of quorum-state that is being written */
    struct quorum_event tick, log_moved, start;
    struct io_timer tick_timer, soon;
    int64_t told_end, told_stable; /* what the machine knows of the log */
    struct voters_entry *history;  /* oldest first; the last one is in force */
    uint32_t history_count;
    bool voters_changed;           /* and the machine does not know */

    struct flow deliver;
    bool delivering;
    bool cutting;    /* the log is being cut or begun anew: nobody may read it */
    uint32_t cuts;   /* how often it was */
    uint32_t read_cuts; /* when what is delivered was read */
    struct log_read read;
    struct arena read_arena;
    struct text batches;

    struct snapshot_files snapshots;
    uint64_t bytes_since_snapshot;  /* delivered */
    int64_t snapshot_taken_ns;      /* monotonic, or the start of the process */
    struct snapshot_write *writing; /* NULL when none is being written */

    struct client *client; /* connections to the other nodes */
    int32_t nodes[RAFT_VOTERS_MAX + 1]; /* that it was told of, bootstrap servers apart */
    uint32_t node_count, bootstrap_count;
    struct leader_hint hint;
    struct list sends;     /* struct quorum_send: one for each node that was sent something */
    struct fetch_loop fetch;
    struct snapshot_fetch *fetching; /* NULL when no snapshot is fetched */
    struct quorum_stranger *asking;  /* NULL when no node of another cluster is asked for its id */
    int32_t strangers[RAFT_VOTERS_MAX + BOOTSTRAP_SERVERS_MAX]; /* that were asked */
    uint32_t stranger_count;
    char obstacle[400];              /* what was said of the last one; empty: there was none */
    struct voter_update *update;     /* NULL when this node asks for nothing of the voters */
    int64_t update_due_ms;           /* before which it does not ask again */
    int32_t updated_epoch;

    struct list parked;    /* struct quorum_call: fetches that wait for more */
    struct list changes;   /* struct quorum_call: a change that waits to be committed */
    struct voter_probe *probe; /* NULL when no voter is being looked at */
    uint32_t calls;        /* not answered */
    int64_t served_end, served_high_watermark; /* that the parked ones were told of */

    struct flow close;
    struct op *sends_over; /* told when `sends` is empty */
    struct op *close_op;
};

/* A file operation or read has failed: end the directory (Q4). */
void quorum_fail(struct quorum *q, int error, const char *what);

/* Closing, or failed: the machine hears nothing any more. */
static inline bool quorum_is_over(const struct quorum *q)
{
    return q->failed || gate_is_closing(&q->gate);
}

/* ---- open.c, quorum.c -------------------------------------------------------------------- */

void quorum_free(struct quorum *q);

/* ---- step.c: the machine, and what it says ------------------------------------------------ */

/* In its turn `begin` runs, and ends with quorum_step, or with nothing more to come. */
void quorum_post(struct quorum *q, struct quorum_event *e);
/* From a `begin` or `then`: before all others. */
void quorum_post_first(struct quorum *q, struct quorum_event *e);
/* Give the machine an event and carry out what it says, then run e->then. The last thing that a `begin` or `then`
 * does. */
void quorum_step(struct quorum *q, struct quorum_event *e, const struct raft_event *event);
/* Events wait from now on, until quorum_release. */
void quorum_hold(struct quorum *q);
void quorum_release(struct quorum *q);

/* Take part: the first step of the machine. */
void quorum_begin(struct quorum *q);
/* The log has grown, become stable or has other voters: the machine is to hear of it. */
void quorum_log_moved(struct quorum *q);
void quorum_log_moved_first(struct quorum *q);
/* log_open.stable_moved */
void quorum_stable_moved(void *ctx);

/* ---- meter.c ------------------------------------------------------------------------------ */

/* Records from `base_offset` on were appended: by this leader; by one that follows. */
void quorum_meter_appended(struct quorum *q, int64_t base_offset);
void quorum_meter_fetched(struct quorum *q, int64_t base_offset);
/* The high watermark has moved. */
void quorum_meter_committed(struct quorum *q);
/* This node's role is `role` now. */
void quorum_meter_role(struct quorum *q, enum raft_role role);
/* This node knows a leader, which may be itself. */
void quorum_meter_elected(struct quorum *q);

/* ---- voters.c ----------------------------------------------------------------------------- */

/* Drop what is known of voters: these are in force. */
void quorum_voters_set(struct quorum *q, const struct raft_voters *voters);
/* `voters` are in force from the batch on that ends at `end`. */
void quorum_voters_push(struct quorum *q, const struct raft_voters *voters, int64_t end);
/* The log was cut to end at `end`. */
void quorum_voters_cut(struct quorum *q, int64_t end);

/* ---- nodes.c: who can be asked ------------------------------------------------------------- */

MUST int quorum_nodes_open(struct quorum *q, struct str bootstrap_servers, struct fail *f);
/* Voters or leader have changed: tell the client. */
void quorum_nodes_update(struct quorum *q);
/* Another node says where the leader of `epoch` is. */
void quorum_nodes_hint(struct quorum *q, int32_t leader_id, int32_t epoch, struct str host, int64_t port);
/* One to be asked where no leader is known, another one each time; -1 nobody. */
int32_t quorum_nodes_any(const struct quorum *q, uint32_t turn);
/* Where a node listens: by the listener's name, null for its first one. NULL: not known. */
const struct raft_endpoint *quorum_nodes_endpoint(const struct quorum *q, int32_t node_id, struct str listener);
/* The endpoint of a voter by which other nodes reach it; NULL when it has none that can be asked. */
const struct raft_endpoint *quorum_voter_endpoint(const struct quorum *q, const struct raft_voter *voter);

/* ---- stranger.c ---------------------------------------------------------------------------- */

/* A node says that it belongs to another cluster: say so, with both ids, once of each node. */
void quorum_stranger_found(struct quorum *q, int32_t id);
void quorum_stranger_cancel(struct quorum *q);

/* ---- sends.c: Vote, BeginQuorumEpoch, EndQuorumEpoch ---------------------------------------- */

void quorum_sends_go(struct quorum *q, const struct raft_outcome *out);
void quorum_sends_cancel(struct quorum *q);

/* ---- fetch_loop.c, fetch_take.c, snapshot_fetch.c ------------------------------------------- */

/* Send the next Fetch where one is due; let go of one that has no point any more. */
void quorum_fetch_kick(struct quorum *q);
void quorum_fetch_cancel(struct quorum *q);
void quorum_fetch_free(struct quorum *q);
/* Not again at once. */
void quorum_fetch_back_off(struct quorum *q);
/* How long to wait after so many failures in a row, and one more. */
int64_t quorum_fetch_back_off_ms(const struct quorum *q, uint32_t failures);
/* Its answer, in its turn. */
void quorum_fetch_take(struct quorum *q, struct quorum_event *e);
/* Let the machine hear f->answer, then go on. */
void quorum_fetch_tell(struct quorum *q);
/* Whether this node follows whom it has asked. */
bool quorum_fetch_is_followed(const struct quorum *q, int32_t to, int32_t epoch);
/* Fetch the snapshot from whom the answer came; false when it cannot be now. Fetches of the log wait until it ends. */
bool quorum_snapshot_fetch_begin(struct quorum *q, struct raft_snapshot_id id);
/* Let go of a request that has no point any more. */
void quorum_snapshot_fetch_kick(struct quorum *q);
void quorum_snapshot_fetch_cancel(struct quorum *q);

/* ---- epochs.c ------------------------------------------------------------------------------ */

/* Largest epoch <= `epoch` and where it ends; the log's end for an epoch that is newer than all. Rule: interop of
 * Kafka's RaftLog.endOffsetForEpoch. */
struct epoch_end quorum_epoch_end(const struct quorum *q, int32_t epoch);
/* The epoch of the record before `offset`, which is in the log, or where a snapshot ends; 0 for the log's beginning. */
int32_t quorum_epoch_before(const struct quorum *q, int64_t offset);
/* Whether a replica that ends at `offset`, with a record of `epoch`, can go on by a snapshot alone. */
bool quorum_needs_snapshot(const struct quorum *q, int64_t offset, int32_t epoch);

/* ---- serve.c, serve_vote.c, serve_fetch.c, serve_snapshot.c, describe.c, change.c ------------ */

/* `call` is answered: its response is complete. */
void quorum_call_answer(struct quorum_call *call);
/* Answer with an error of the whole request. */
void quorum_call_refuse(struct quorum_call *call, enum kerr error);
void quorum_call_event_over(struct quorum *q, struct quorum_event *e);
bool quorum_call_cluster_fits(const struct quorum *q, struct str cluster_id);
/* The leader's endpoint for an answer that names `leader_id`. */
const struct raft_endpoint *quorum_call_leader_endpoint(const struct quorum_call *call, int32_t leader_id);
static inline struct quorum_call *quorum_call_of(struct quorum_event *e)
{
    return container_of(e, struct quorum_call, event);
}

void quorum_serve_vote(struct quorum *q, struct quorum_event *e);
void quorum_serve_begin(struct quorum *q, struct quorum_event *e);
void quorum_serve_end(struct quorum *q, struct quorum_event *e);
void quorum_serve_fetch(struct quorum *q, struct quorum_event *e);
void quorum_serve_snapshot(struct quorum *q, struct quorum_event *e);
void quorum_serve_describe(struct quorum *q, struct quorum_event *e);
void quorum_serve_add_voter(struct quorum *q, struct quorum_event *e);
void quorum_serve_remove_voter(struct quorum *q, struct quorum_event *e);
void quorum_serve_update_voter(struct quorum *q, struct quorum_event *e);

/* Answer parked fetches, and changes of the voters, whose time has come. */
void quorum_serve_parked(struct quorum *q);
void quorum_serve_changes(struct quorum *q);
/* It closes: none of them waits any more. */
void quorum_serve_over(struct quorum *q);
void quorum_probe_cancel(struct quorum *q);

/* ---- join.c -------------------------------------------------------------------------------- */

/* Ask the leader for what is not as it should be of this node among the voters. */
void quorum_join_kick(struct quorum *q);
void quorum_join_cancel(struct quorum *q);

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
/* Add the batch that changes the voters: KRaftVersion and Voters. */
MUST int control_voters(const struct raft_voters *voters, int64_t base_offset, int32_t epoch, int64_t wall_ms,
                        struct text *out);

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

/* Note a snapshot that is in place; the newest. */
void metadata_snapshot_files_add(struct snapshot_files *files, struct snapshot_file file);
void metadata_snapshot_files_remove_first(struct snapshot_files *files);
/* NULL when it is not there. */
const struct snapshot_file *metadata_snapshot_find(const struct snapshot_files *files, struct raft_snapshot_id id);

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
