/* log/journal.h - group commit for a whole log directory: many small appends become durable with one write.
 *
 *      logs with new bytes ─► ready ─► commit (one in flight, the next collects) ─► chunk, durable ─► `stable` moves
 *                                                                   │ half of the chunks are used
 *           segments durable ◄─ logs whose bytes lie in the oldest chunk drain and sync ─┘ ─► the chunk is used again
 *
 * It is a redo log in front of Kafka's scan: what it holds and segments may lack is brought into the segments before
 * any log opens (journal_replay.h); nothing ever reads it otherwise. One journal per directory and shard, made when
 * a log first wants it, off the way of acknowledgements: until its first chunk is there, or when all are full, logs
 * drain and sync as if there were none.
 *
 *   J1  An APPEND begins where the segment is durable or an earlier APPEND ends: what is replayed has no gap.
 *   J2  A chunk is used again only when a durable commit says that nothing of it matters (`oldest`); that is said
 *       only when all bytes in it are durable in segments, or their log is gone.
 *   J3  A segment is closed only after its DRAINED is durable; a log is truncated or closed only after its RESET is, and
 *       after a deletion no other gets its place before: nobody writes into such files again.
 *   J4  The meta file names a chunk before a commit is written to it.
 */
#pragma once

#include "log/journal_format.h"
#include "log/log.h"

struct journal;
struct journals; /* those of a directory */

/* What the journals of a directory take, those of all shards together, unless its owner says otherwise; and no more than
 * half of the memory for tails: what segments lack lies there too. */
#define JOURNAL_BYTES_DEFAULT (64U << 20)

/* An append that is not smaller is drained and synced at once: bytes are then written once, and one sync is little
 * beside them. */
#define JOURNAL_APPEND_BYTES_MAX (64U * 1024)

/* ---- of a directory, on its home shard ------------------------------------------------------- */

struct journals *journals_new(struct log_dir *dir);
/* All logs are closed. Close the journals of all shards; with `clean` remove their folder. Frees `j` in any case. */
void journals_close(struct journals *j, bool clean, struct op *op);

/* ---- of a shard ------------------------------------------------------------------------------ */

/* The shard's journal of a directory; made when it is missing, without I/O. */
struct journal *journal_of(struct log_dir *dir, struct io *io, struct telemetry *t, const struct log_memory *memory);

/* Small appends can be committed now. Makes the first chunk when there is none yet. */
bool journal_has_room(struct journal *j);
/* `log` has bytes that are to be committed. */
void journal_add(struct journal *j, struct log *log);
/* How much of one log fits a commit, entries included. */
uint32_t journal_share_bytes(const struct journal *j);

/* Say something of a log in a commit; completes when that is durable; ERR_OFFLINE. At once when the journal holds
 * nothing of the log. */
void journal_note(struct journal *j, const struct log *log, enum journal_entry_kind kind, int64_t base, struct op *op);

/* Bytes of the log that were to be settled are durable in segments, or it is gone: look again at what is full. */
void journal_look(struct journal *j);
/* The log ends: the journal knows it no more. */
void journal_leave(struct journal *j, struct log *log);
