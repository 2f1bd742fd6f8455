/* log/log.h - one partition's commit log, and the directory that holds many.
 *
 * A log is a row of segments, each a file of record batches with sparse indexes beside it, exactly
 * as Kafka writes them. New batches are copied once into the *tail*, memory blocks aligned to the
 * segment file, and leave it by a *drain*: a write from the tail to the segment file.
 *
 * Small appends of durable logs become stable before that, by one commit for all logs of a
 * directory: the journal (journal.h). The segments get them later.
 *
 *        start              drained        stable         end
 *          |                   |              |            |
 *   [ segment 0 ][ segment 812 ][ segment 1650 ............]
 *    files alone hold it        | tail (memory), drain follows
 *
 *   L1  start <= stable <= end and drained <= end; none but `end` moves back, and `end` only by
 *       truncation. `stable` may be above `drained` (the journal has it) or below it (the sync is
 *       under way).
 *   L2  `stable` is what may be acknowledged: everything below it has left the process, and, when the
 *       log is durable, is on stable storage: in segments, or in the journal, which is brought into
 *       the segments before the log opens again.
 *   L3  Indexes, producer snapshots and checkpoints may lag the log, never lead it.
 *   L4  An epoch's start is durable before a batch of that epoch is.
 *   L5  Only the last segment is written to. Batches are never changed; compaction replaces
 *       segments by others.
 *   L6  A failed write or sync ends the directory: nothing is retried (log_dir.failed is called).
 *   L7  Only the last segment's file may be longer than the segment, with zeros behind it, or not durable: it is cut to
 *       its size, and durable with its name, before the next segment has a file, in a relaxed log too. So a power cut
 *       never leaves a hole. When the log is closed it is cut, too.
 *
 * One shard owns a log; nobody else touches it. A directory is opened by one shard (its home), which
 * also writes the directory's own files; the other shards only read the struct.
 */
#pragma once

#include "base/base.h"
#include "compaction/compaction.h"
#include "io/io.h"
#include "record/record.h"
#include "telemetry/telemetry.h"

/* ---- a log directory ----------------------------------------------------------------------- */

/* One line of a text checkpoint of version 0: TOPIC PARTITION OFFSET. */
struct checkpoint_entry {
    char *topic; /* owned by the list */
    int32_t partition;
    int64_t offset;
};
struct checkpoint {
    struct checkpoint_entry *entries;
    uint32_t count;
};
void checkpoint_free(struct checkpoint *c);
/* Text of a checkpoint file, and back. ERR_CORRUPT with `f` naming the line. */
void checkpoint_print(const struct checkpoint *c, struct text *out);
MUST int checkpoint_parse(struct str text, struct checkpoint *out, struct fail *f);
/* Append an entry; the topic is copied. */
void checkpoint_add(struct checkpoint *c, struct str topic, int32_t partition, int64_t offset);
/* Offset of a partition, or `otherwise`, in a list as checkpoint_parse gives it: sorted. */
int64_t checkpoint_find(const struct checkpoint *c, struct str topic, int32_t partition,
                        int64_t otherwise);

/* A partition directory found in a log directory. */
struct log_found {
    char *name;         /* of the directory */
    char *topic;
    int32_t partition;
    struct uuid topic_id; /* zero when partition.metadata is missing or unreadable */
    bool is_future;       /* NAME.<32 hex>-future: a move into this directory was under way (KIP-113) */
};

struct log_dir {
    const char *path;
    struct uuid directory_id;       /* from meta.properties, set by who read it */
    uint64_t journal_bytes;         /* of its journals together at most; may be set before a log is opened in it */
    bool clean;                     /* the marker was there: no scan is needed */
    int64_t broker_epoch;           /* from the marker; -1 unknown */
    struct checkpoint recovery_point, log_start, high_watermark, cleaner;
    struct log_found *found;        /* live partition directories, without __cluster_metadata-0; and future ones */
    uint32_t found_count;
    struct io *home;
    struct io_file *lock;
    struct journals *journals; /* private: journal.h */
    struct points_file *points; /* private: points_file.h */
    uint64_t point_bytes;      /* what a scan after a crash is to read at most: see LOG_POINT_BYTES; tests lower it */
    /* Called once, on the shard of `io`, where it happened, with what failed. */
    void (*failed)(struct log_dir *dir, struct io *io, const struct fail *why, void *ctx);
    void *failed_ctx;
    bool has_failed; /* private: `failed` has been called; set and read atomically */
    bool no_direct;      /* private, atomic: its file system knows no IO_DIRECT */
    uint32_t partitions; /* private, atomic: see log_dir_partitions */
    int64_t room;        /* private, atomic: see log_dir_set_room */
};

/* After a stop that was not clean a start reads what logs have behind their scan points (points.h): all logs of the
 * directory together about so much, or, where more than 32 of them are written to, as much as 4 MiB of each. A log
 * that is written to faster than points can follow waits for them at three times that. */
#define LOG_POINT_BYTES (UINT64_C(128) << 20)

/* What a sub-directory of a log directory is, by its name (interop: 1.4). */
enum log_dir_kind {
    LOG_DIR_LIVE,   /* a partition: `topic` and `partition` are set */
    LOG_DIR_DELETE, /* one that is being deleted */
    LOG_DIR_FUTURE, /* one that moves here: the same */
    LOG_DIR_OTHER,  /* a stray one, the metadata log, the journals, tiered storage's */
    LOG_DIR_BAD,    /* none that Kafka knows: it does not start */
};
enum log_dir_kind log_dir_kind(struct str name, struct str *topic, int32_t *partition);

/* Take the lock (-EAGAIN: another process has it), make the directory when it is missing, remember
 * and delete the clean marker, read checkpoints, bring what journals hold into the segments, list the
 * partitions, finish deletions (-delete directories) that were pending. A sub-directory that is no partition is an error, as in Kafka.
 * `path` and `f` live until `op` completes; `*out` until log_dir_close. */
void log_dir_open(struct io *io, struct telemetry *t, const char *path, struct log_dir **out,
                  struct fail *f, struct op *op);

/* Write the directory's checkpoints atomically (each: .tmp, sync, rename, sync directory). Any may be
 * NULL: not written. Home shard only; one at a time. ERR_OFFLINE when the directory has failed. */
void log_dir_checkpoint(struct log_dir *dir, const struct checkpoint *recovery_point,
                        const struct checkpoint *log_start,
                        const struct checkpoint *high_watermark, struct op *op);

/* The same for cleaner-offset-checkpoint: where each compacted log is dirty from. It may be written
 * while the others are. */
void log_dir_checkpoint_cleaner(struct log_dir *dir, const struct checkpoint *cleaner,
                                struct op *op);

/* A write or sync in the directory has failed: it is offline from now on (L6), on every shard. Says so, with
 * `why`, and calls `failed`, the first time. */
void log_dir_fail(struct log_dir *dir, struct io *io, struct telemetry *t, const struct fail *why);

/* False once log_dir_fail was called, by whatever shard. */
bool log_dir_is_online(const struct log_dir *dir);

/* So many bytes may be appended to the directory's logs from now on, by any shard; log_append refuses what is more, with
 * KAFKA_STORAGE_ERROR, before anything is changed. INT64_MAX, as after the opening: without a limit. Batches that have
 * their offsets already are taken in any case: who sent them has admitted them. */
void log_dir_set_room(struct log_dir *dir, int64_t bytes);
int64_t log_dir_room(const struct log_dir *dir); /* what is left of it */
/* Whoever appends stamped batches of his own accord takes their room. False: there is none, and none was taken. */
bool log_dir_take_room(struct log_dir *dir, int64_t bytes);

/* How many partitions the shards have placed into it, `more` counted in (1, 0, -1): a new one goes where the fewest
 * are. */
uint32_t log_dir_partitions(struct log_dir *dir, int more);

/* All its logs are closed. With `clean` the marker is written last, with `broker_epoch`. */
void log_dir_close(struct log_dir *dir, bool clean, int64_t broker_epoch, struct op *op);

/* What journals held when they were brought into the segments. */
struct journal_replayed {
    bool found;          /* there was a folder of journals */
    uint32_t partitions; /* that lacked something */
    uint32_t segments;   /* that were written to */
    uint64_t commits;
    uint64_t bytes;
};

/* Offline: bring what lies in the journals of the directory `path` into its segments and remove them, so that a JVM
 * broker, or whoever reads the files, finds everything. What log_dir_open does first. Nothing else is changed.
 * -EAGAIN: another process has the directory. All parameters live until `op` completes. */
void log_dir_drain(struct io *io, struct telemetry *t, const char *path, struct journal_replayed *out,
                   struct fail *f, struct op *op);

/* Replace a small file as Kafka does: NAME.tmp, sync, rename over NAME, sync the directory. For
 * meta.properties, quorum-state and the like. */
void file_replace(struct io *io, const char *dir, const char *name, struct bytes content,
                  struct op *op);
/* Read a whole small file (at most `limit_bytes`, else ERR_LIMIT); completes with its size. */
void file_read_all(struct io *io, const char *path, uint32_t limit_bytes, struct text *out,
                   struct op *op);

/* ---- a log ------------------------------------------------------------------------------------ */

struct log;

/* Settings of one log; may be changed while it is open. Names are Kafka's topic settings. */
struct log_settings {
    uint32_t segment_bytes;          /* segment.bytes */
    int64_t segment_ms;              /* segment.ms */
    int64_t segment_jitter_ms;       /* segment.jitter.ms: drawn once per segment below this */
    uint32_t index_bytes;            /* segment.index.bytes */
    uint32_t index_interval_bytes;   /* index.interval.bytes */
    int64_t retention_ms;            /* retention.ms; -1: for ever, also where cleanup.policy has no delete */
    int64_t retention_bytes;         /* retention.bytes; the same */
    int64_t file_delete_delay_ms;    /* file.delete.delay.ms */
    int64_t producer_expiration_ms;  /* producer.id.expiration.ms */
    bool preallocate;                /* preallocate: a segment gets segment_bytes at once */
    bool durable;                    /* flush.messages is 1: `stable` waits for the sync */
    int64_t sync_ms;                 /* flush.ms: otherwise the sync follows within this time; 0 and more
                                        than LOG_SYNC_MS_MAX are LOG_SYNC_MS_MAX */
};
/* How long, and how much of them, a relaxed log's newest records may be not on stable storage: each sync holds up the
 * writes beside it. Towards the end of a segment it is less, down to the least. */
#define LOG_SYNC_MS_MAX 5000
#define LOG_SYNC_BYTES_MAX (64U << 20)
#define LOG_SYNC_BYTES_MIN (1U << 20)

/* How much memory tails may take, shared by the logs of a shard. Zeroed but for `limit_bytes` it is
 * ready for log_open. */
struct log_memory {
    uint64_t used_bytes;
    uint64_t limit_bytes;   /* above it, drained blocks are dropped, oldest first, and others drained */
    uint64_t read_bytes;    /* of the blocks that readers hold */
    uint64_t read_bytes_max; /* beyond, what is in a file is read from there; 0 = no limit */
    struct ledger *ledger;  /* where used_bytes are counted, too; NULL */
    struct list cached;     /* drained blocks that are kept for readers, oldest first */
    struct list undrained;  /* private: logs that keep what the journal holds too, longest first */
    struct list files;      /* private: open segment files without users, oldest first */
    uint32_t files_open;    /* private */
    uint32_t files_max;     /* above it, idle files are closed, oldest first; 0 = the default */
    struct list deletions;  /* private: files that are to be removed later */
    struct list spare;      /* private: large blocks to be used again */
    uint32_t spare_count;
};
#define LOG_FILES_DEFAULT 2048

/* Drop caches until `bytes` less are used, or none is left. */
void log_memory_give(struct log_memory *memory, uint64_t bytes);

/* At the end of a shard, when its logs are closed and readers hold nothing: free what it keeps, forget
 * deletions that wait (the next start finishes them). */
void log_memory_deinit(struct log_memory *memory);

struct log_open {
    struct io *io;
    struct telemetry *telemetry;
    struct log_dir *dir;
    struct log_memory *memory;
    struct str topic;
    int32_t partition;
    struct uuid topic_id;
    const char *directory;    /* name of its directory; NULL: TOPIC-PARTITION */
    struct log_settings settings;
    int64_t recovery_point;   /* from the checkpoints; 0 when unknown */
    int64_t start_offset;     /* -1 when unknown */
    int64_t first_dirty;      /* from cleaner-offset-checkpoint; 0 when unknown */
    bool clean;               /* trust the files (but the tail's last batch is looked at) */
    bool is_metadata;         /* __cluster_metadata: no producers, always scanned (interop: as Kafka) */

    /* `stable` has moved to log_stable(log). Called from the loop, never inside log_append. */
    void (*stable_moved)(void *ctx);
    void *ctx;
};

/* Open an existing log or make an empty one (directory, partition.metadata, leader epochs, first
 * segment). `o`, `out`, `f` live until completion. */
void log_open(const struct log_open *o, struct log **out, struct fail *f, struct op *op);

/* Drain and sync everything, write side files as a clean stop leaves them (indexes cut to size,
 * producer snapshot at `end`, leader epochs), close. Fails when anything could not be written:
 * then the directory must not be marked clean. No operation on the log may be in flight; no spans
 * may be out. Frees the log in any case. */
void log_close(struct log *log, struct op *op);

/* Give the log's directory the name TOPIC-PARTITION. Completes when that is durable. Nobody may read the log meanwhile;
 * appends may go on, and are drained after it. */
void log_take_name(struct log *log, struct op *op);

/* Rename the directory to NAME.<32 hex>-delete, close and free the log; the files are removed after
 * file_delete_delay_ms (or at the next start). Completes after the rename is durable. Spans that are
 * out keep their memory and files open. */
void log_delete(struct log *log, struct op *op);

int64_t log_start(const struct log *log);
int64_t log_first_segment(const struct log *log);   /* base offset of the first segment: <= log_start */
int64_t log_drained(const struct log *log);
int64_t log_stable(const struct log *log);
int64_t log_end(const struct log *log);
struct uuid log_topic_id(const struct log *log);
uint64_t log_size_bytes(const struct log *log);     /* of all segments, tail included */
uint32_t log_segment_count(const struct log *log);
int64_t log_recovery_point(const struct log *log);  /* for the checkpoint: all below is synced in segment files, and the
                                                       segments that end below have their side files */
void log_set_settings(struct log *log, const struct log_settings *settings);
int64_t log_max_timestamp_ms(const struct log *log); /* -1 when empty */

/* ---- append ------------------------------------------------------------------------------------- */

struct log_appended {
    int64_t base_offset;
    int64_t last_offset;
    int64_t append_time_ms; /* of a duplicate: the first one's timestamp */
    int64_t start_offset;   /* log_start, for the answer */
    bool duplicate;         /* one of the producer's last five batches: nothing was written (KIP-98) */
};

/* Append one validated batch (or a marker) as leader: producer sequence checked (five batches remembered; codes as
 * Kafka's ProducerAppendInfo: 45, 47, 48, 52), offsets assigned, leader epoch stamped, copied to the
 * tail. A synchronous step: accepted or refused. Acknowledge when log_stable passes last_offset.
 * Besides: KERR_RECORD_LIST_TOO_LARGE for a batch that no segment can hold, KERR_KAFKA_STORAGE_ERROR
 * when the directory is offline or has no room. */
enum kerr log_append(struct log *log, const struct batch *batch, int32_t leader_epoch,
                     int64_t now_ms, struct log_appended *out);

/* Append batches that have their offsets and epochs already: a follower's, or raft's. Offsets must
 * not go below log_end; gaps are allowed; a batch that is cut off at the end, as a fetch may leave it,
 * is left out. All or nothing: ERR_CORRUPT (checksums are looked at), ERR_VERSION, ERR_OFFLINE. */
MUST int log_append_stamped(struct log *log, struct bytes batches, int64_t now_ms);

/* Note that `epoch` starts at log_end, also when nothing is appended. It is durable before a batch of that
 * epoch is (L4), and after a clean close: a leader that stops before it has appended begins anew in
 * a later epoch, so nothing is lost with it. */
void log_note_epoch(struct log *log, int32_t epoch);

/* As log_note_epoch; completes when it is durable. */
void log_begin_epoch(struct log *log, int32_t epoch, struct op *op);

/* Ask that everything appended so far be drained and synced; completes when it is (whatever
 * settings.durable says), and the side files of rolled segments are durable. */
void log_flush(struct log *log, struct op *op);

/* Cut the log so that log_end == offset (start <= offset <= end). Completes when durable; appends are
 * allowed again after it. A batch that holds `offset` in its middle goes as a whole. What readers were given of the last
 * segment's file and is not sent yet will not be (io_withdraw): their connections end. The directory's recovery-point
 * checkpoint may lie above the new end until it is written next: where scan points tell that the log was cut, it is not
 * believed. */
void log_truncate(struct log *log, int64_t offset, struct op *op);

/* Drop everything and begin anew, empty, at `offset` (after a snapshot was fetched). */
void log_restart_at(struct log *log, int64_t offset, struct op *op);

/* The same, with the producers that `source` remembers by batches below `offset`, which may be there no more: the
 * others come with the batches that are copied from it. */
void log_begin_copy(struct log *log, int64_t offset, const struct log *source, struct op *op);

/* Raise the start, at once, to `offset` <= log_stable; whole segments below it are removed (renamed, gone after
 * file_delete_delay_ms). Appends go on. Completes when that is durable; a start inside a segment
 * is durable with the directory's log-start checkpoint, which the caller writes. `op` may be NULL. */
void log_raise_start(struct log *log, int64_t offset, struct op *op);

/* Remove segments that have outlived retention.bytes or retention.ms, as a Kafka broker: oldest first, only what
 * `high_watermark` has passed and is stable, by the largest timestamp of a segment (the time of its last append where
 * its records have none; in the future: it stays). When all have outlived it, the last one is rolled first. Completes
 * when they are durably gone, with their count; ERR_CLOSED, or trouble in reading a time index. */
void log_retain(struct log *log, int64_t high_watermark, struct op *op);

/* ---- epochs ------------------------------------------------------------------------------------- */

struct epoch_end {
    int32_t epoch;      /* -1 undefined */
    int64_t end_offset; /* -1 undefined */
};

/* Rule: interop of KIP-101/279/320: largest epoch <= the asked one, and where the next one starts. */
struct epoch_end log_epoch_end(const struct log *log, int32_t epoch);
int32_t log_latest_epoch(const struct log *log);                     /* -1 when none */
int32_t log_epoch_at(const struct log *log, int64_t offset);         /* -1 unknown */
int64_t log_epoch_start(const struct log *log, int32_t epoch);       /* -1 unknown */

/* ---- read --------------------------------------------------------------------------------------- */

/* What to send for a read: memory of tail blocks or ranges of segment files, whole batches. */
struct log_spans {
    struct io_span *spans; /* from the arena that was given */
    uint32_t count;
    uint32_t total_bytes;
    struct log_hold *holds; /* private: what keeps blocks and files alive */
};

struct log_read {
    int64_t offset;      /* log_start <= offset <= log_end */
    int64_t limit;       /* only batches wholly below: high watermark, last stable offset or log_end */
    uint32_t max_bytes;  /* soft */
    bool first_whole;    /* give the first batch whole even when it is larger (KIP-74) */
    struct arena *arena; /* for the spans; lives until they are released */
};

/* Read from memory, now. False when the offset lies below the memory, or is in a file and readers hold too much
 * memory already (log_memory.read_bytes_max): use log_read_cold. The batch
 * that holds `offset` comes first. Nothing to read: true with 0 bytes. */
bool log_read_tail(struct log *log, const struct log_read *r, struct log_spans *out);

/* Read from wherever it is. Completes with the bytes; ERR_CORRUPT, -ERANGE (also while the log is cut). `r`, `out` live
 * until completion. */
void log_read_cold(struct log *log, const struct log_read *r, struct log_spans *out, struct op *op);

/* Every log_spans that was given must be released, also of a deleted log. Accepts zeroed. */
void log_spans_release(struct log_spans *spans);

/* Copy what a read gives into `out` (appended): for those who replay a log. Completes with bytes. */
void log_read_bytes(struct log *log, const struct log_read *r, struct text *out, struct op *op);

/* First record with timestamp >= `timestamp_ms` below `limit` (exact, not only its batch).
 * Completes with 1 found, 0 none. */
struct log_time_found {
    int64_t offset, timestamp_ms;
    int32_t leader_epoch;
};
void log_find_time(struct log *log, int64_t timestamp_ms, int64_t limit, struct log_time_found *out,
                   struct op *op);

/* The first record that has the largest timestamp below `limit` (ListOffsets -3). */
void log_find_max_time(struct log *log, int64_t limit, struct log_time_found *out, struct op *op);

/* ---- producers and transactions -------------------------------------------------------------------- */

/* First offset of the oldest transaction that is open, or whose marker is not below
 * `high_watermark`; `high_watermark` when there is none (LSO, KIP-98). */
int64_t log_last_stable_offset(struct log *log, int64_t high_watermark);

struct log_aborted {
    int64_t producer_id, first_offset, last_offset;
    int64_t last_stable_offset; /* after the marker */
};
/* Aborted transactions that overlap [from, to): for read_committed answers. From the segments'
 * transaction indexes. Completes with the count; `*out` from `arena`. */
void log_aborted_between(struct log *log, int64_t from, int64_t to, struct arena *arena,
                         struct log_aborted **out, struct op *op);
/* True when no abort marker is in the log: log_aborted_between need not be asked. */
bool log_never_aborted(const struct log *log);

/* What is known of a producer: DescribeProducers, and who checks a transaction. */
struct log_producer {
    int64_t producer_id, last_timestamp_ms, transaction_start; /* -1 no open transaction */
    int32_t last_sequence, coordinator_epoch;
    int16_t epoch;
};
uint32_t log_producers(const struct log *log, struct log_producer *out, uint32_t max);

/* Forget producers that have been silent for producer_expiration_ms (to be called every
 * producer.id.expiration.check.interval.ms: appends do not look at it, as in Kafka). */
void log_expire_producers(struct log *log);

/* ---- compaction ------------------------------------------------------------------------------- */

/* From where on the log was never compacted. Kept in the directory's cleaner-offset-checkpoint, which
 * may lag (then some of the log is compacted once more). */
int64_t log_first_dirty(const struct log *log);

struct log_dirt_rules {
    int64_t stable_end; /* last stable offset: nothing at or behind it is compacted */
    int64_t lag_min_ms; /* min.compaction.lag.ms */
    int64_t wall_ms;
    bool since;         /* dirty_since_ms is wanted: may cost a read for each dirty segment */
};
struct log_dirt {
    int64_t first_dirty;       /* >= log_start */
    int64_t first_uncleanable; /* >= first_dirty; whole segments below it can be compacted */
    uint64_t clean_bytes, cleanable_bytes;
    int64_t dirty_since_ms;    /* -1 unknown */
};
/* Measure what there is to compact. `rules`, `out` live until completion. ERR_CLOSED, -ERANGE while it is cut, read
 * errors. Rule: LogCleanerManager. */
void log_measure_dirt(struct log *log, const struct log_dirt_rules *rules, struct log_dirt *out,
                      struct op *op);

struct log_compaction {
    int64_t first_uncleanable;   /* from log_measure_dirt, but <= the last stable offset of now */
    int64_t delete_retention_ms; /* delete.retention.ms */
    uint64_t map_bytes_max;      /* log.cleaner.dedupe.buffer.size, this shard's part */
    double load_factor;          /* log.cleaner.io.buffer.load.factor */
    uint32_t buffer_bytes;       /* log.cleaner.io.buffer.size: what is read and written at once */
    double bytes_per_second;     /* log.cleaner.io.max.bytes.per.second: read and written */
    bool cancelled;              /* set it at any time: ends soon, with -ECANCELED */
};
struct log_compacted {
    struct compaction_counts counts;
    int64_t first_dirty;         /* from now on */
    uint32_t segments_before, segments_after;
};
/* Compact closed segments below first_uncleanable: of each key the last record stays. The log may have been cut since
 * it was measured: what is closed of it now counts. Appends and reads go on; each group of segments is replaced at once
 * and for good, so that what was done stays also when it ends early. One at a time for a log. `how`, `out`, `f` live
 * until completion.
 *
 * Fails  -ECANCELED   asked to, the log is being closed, deleted or cut, or nothing is left to compact
 *        ERR_CORRUPT, ERR_VERSION, ERR_LIMIT, read errors  this log cannot be compacted: `f` says where
 *        -ENOMEM      for the key map
 *        write errors the directory is offline (L6)
 * Memory the map, and twice buffer_bytes or the largest batch, and the indexes of one segment
 * Rule   Kafka's Cleaner; interop of .cleaned and .swap files */
void log_compact(struct log *log, const struct log_compaction *how, struct log_compacted *out,
                 struct fail *f, struct op *op);
