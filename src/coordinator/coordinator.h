/* coordinator/coordinator.h - the runtime of replicated state machines.
 *
 * A coordinator partition is a log of records and the state that they make. One pattern serves the
 * controller, group, transaction and share coordinators:
 *
 *   request ──► decide: records ──► append (synchronous: accepted with offsets, or refused)
 *                                   └─► applied to the state at once
 *           answer parked at the end that it saw ── high watermark passes ──► answer leaves
 *
 *   C1  Accepted records are applied at once, in order, by the same apply that replays the log.
 *   C2  Every answer, reads included, waits until the end that it saw is committed.
 *   C3  There is no undo: a partition that loses its leadership is unloaded, and everything parked is
 *       answered with NOT_COORDINATOR.
 *   C4  Records of a transaction are pending until its marker (KIP-447).
 *
 * It does no I/O: the owner (room broker) gives it the log through `struct coordinator_log`.
 */
#pragma once

#include "base/base.h"
#include "protocol/protocol.h"
#include "record/record.h"

/* ---- answers that wait for commit -------------------------------------------------------------- */

/* One parked answer; embedded by who waits. */
struct parked {
    struct list node;
    int64_t offset; /* ready when the high watermark is >= this */
    void (*ready)(struct parked *p, enum kerr error);
};

/* FIFO by offset. Zeroed + list_init'ed by parking_init. */
struct parking {
    struct list waiting;
    int64_t committed; /* the high watermark that is known */
};
void parking_init(struct parking *p);
/* `ready` is never called inside; offsets come in non-decreasing order. */
void parking_add(struct parking *p, struct parked *answer, int64_t offset);
/* The high watermark is now `committed`: those that are ready are called, in order. */
void parking_advance(struct parking *p, int64_t committed);
/* All of them are answered with `error`. */
void parking_fail(struct parking *p, enum kerr error);
static inline bool parking_would_wait(const struct parking *p, int64_t offset)
{
    return offset > p->committed;
}

/* ---- one coordinator partition ------------------------------------------------------------------ */

/* The log below, as the owner offers it. */
struct coordinator_log {
    /* Append one built batch (a batch_builder, finished by the callee with the log's leader epoch).
     * Synchronous. KERR_NONE and the log's end after it. */
    enum kerr (*append)(void *log, struct batch_builder *batch, int64_t *end);
    int64_t (*end)(void *log);
    int64_t (*start)(void *log);
    int64_t (*high_watermark)(void *log);
    /* Append to `out` the batches from `offset` on, below the high watermark, about `max_bytes` whole batches.
     * Completes with the bytes. */
    void (*read)(void *log, int64_t offset, uint32_t max_bytes, struct text *out, struct op *op);
    void *log;
};

/* What the records mean. */
struct coordinator_machine {
    /* Apply one record. `value` null = tombstone. Unknown record types are skipped with a warning by
     * the machine; a known type with a version that is too new is an error and the partition does
     * not load. */
    int (*apply)(void *state, struct bytes key, struct bytes value, int64_t timestamp_ms,
                 struct fail *f);
    /* Loading has ended: set timers, drop what has expired. */
    void (*loaded)(void *state, int64_t now_ms);
    /* Both may be NULL. A record of an open transaction was read or written: it waits for the marker (C4). */
    void (*held)(void *state, int64_t producer_id, struct bytes key, struct bytes value);
    /* The marker came, after `apply` of what it commits. Also for a producer of whom nothing is held. */
    void (*decided)(void *state, int64_t producer_id, bool commit);
};

enum coordinator_state { COORDINATOR_LOADING, COORDINATOR_ACTIVE, COORDINATOR_FAILED };

struct coordinator {
    const struct coordinator_machine *machine;
    void *state;
    struct coordinator_log log;
    struct parking parking;
    enum coordinator_state phase;
    /* While `apply` or `held` runs: the record's offset in the log. Held records are applied behind younger ones,
     * so a machine that lets the youngest win has to compare. */
    int64_t offset;
    struct fail fail; /* why the phase is FAILED */
    /* private */
    struct map pending; /* batches of open transactions, by producer id */
    struct flow load;
    struct text chunk;  /* load: bytes of the log; append: a copy of the batch */
    int64_t next;       /* load: next offset */
    int64_t read_limit; /* load: the high watermark when a read began, behind which it reads nothing */
    int64_t now_ms;     /* of the load's start */
    bool unloading;
    bool waits_for_commit; /* load: for the high watermark to reach the end */
};

void coordinator_init(struct coordinator *c, const struct coordinator_machine *machine, void *state,
                      const struct coordinator_log *log);
/* Replay the log from its start to its end, which the high watermark has to reach first: what an older leader
 * wrote is never lost sight of. Completes with 0 (ACTIVE) or trouble (FAILED; c->fail); -ECANCELED when it is
 * unloaded meanwhile. */
void coordinator_load(struct coordinator *c, int64_t now_ms, struct op *op);

/* May requests be decided now? KERR_NONE, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR. */
enum kerr coordinator_check(const struct coordinator *c);

/* Append the records collected in `batch` and apply each at once (C1); those of a batch with BATCH_TRANSACTIONAL
 * are held (C4). With KERR_NONE, `*end` is what answers wait for. An empty batch gives the current end. The
 * builder is empty afterwards, also when the log refuses: then nothing happened. Not of a compressed batch. */
enum kerr coordinator_append(struct coordinator *c, struct batch_builder *batch, int64_t now_ms,
                             int64_t *end);
/* Park an answer at the current end (C2). */
void coordinator_park(struct coordinator *c, struct parked *answer);
/* The high watermark moved. Calls `ready` of answers; also goes on with a load that waits for it. */
void coordinator_committed(struct coordinator *c, int64_t high_watermark);
/* A transaction's marker was applied to the log: its records are applied, or dropped. */
void coordinator_marker(struct coordinator *c, int64_t producer_id, bool commit, int64_t now_ms);
/* Leadership is lost: everything parked is answered with NOT_COORDINATOR; not usable any more. */
void coordinator_unload(struct coordinator *c);
void coordinator_deinit(struct coordinator *c);
