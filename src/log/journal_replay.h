/* log/journal_replay.h - after a stop that was not clean: what the journals of a log directory hold goes into the
 * segment files, then the journals go.
 *
 * It happens before any log is opened, at the level of files: the scan of each log from its recovery point does the
 * rest, as after any such stop. It can be killed anywhere and done again: bytes are written where they are already,
 * and the folder goes only when everything is durable.
 */
#pragma once

#include "log/journal_format.h"
#include "log/log.h"

/* Replay all journals of the log directory `dir`, of any number of shards, then remove them, and what else lies in
 * their folder. The directory's lock is held. `opening`: it is opened, so its partitions are known, and scan points
 * stay; NULL: nothing of the folder stays. Completes with 0, also when there is no folder.
 * Fails  ERR_CORRUPT  a journal has a hole or is missing, a segment lacks what lies below journalled bytes: nothing
 *                     is removed, and `f` says where and what to do
 *        ERR_VERSION, trouble of the disk */
void journal_replay(struct io *io, struct telemetry *t, const char *dir, const struct log_dir *opening,
                    struct journal_replayed *out, struct fail *f, struct op *op);

/* What stays of the folder. */
enum journal_keep { JOURNAL_KEEP_NOTHING, JOURNAL_KEEP_POINTS /* the scan points (points.h), if there are any */ };

/* Remove the folder of journals that hold nothing any more; no trouble when there is none. */
void journal_folder_remove(struct io *io, const char *dir, enum journal_keep keep, struct op *op);
