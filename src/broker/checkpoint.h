/* broker/checkpoint.h - the log directories' checkpoint files, written from time to time and at the end
 * (internal). */
#pragma once

#include "broker/shard.h"

struct checkpoints;

/* Begin to write: high watermarks every replica.high.watermark.checkpoint.interval.ms, recovery points and log
 * starts every log.flush.*.checkpoint.interval.ms. */
struct checkpoints *checkpoints_start(struct broker *b);
/* No more timers. Completes when no write is under way; frees. */
void checkpoints_stop(struct checkpoints *c, struct op *op);

/* Lines of one directory, gathered from all shards. */
struct checkpoint_lines {
    struct checkpoint recovery_point, log_start, high_watermark;
};
/* Gather for all directories (`lines` has dir_count of them; free each with checkpoint_lines_free). `closing`:
 * every log is about to be closed, so its recovery point will be its end. */
void checkpoint_gather(struct broker *b, bool closing, struct checkpoint_lines *lines, struct op *op);
void checkpoint_lines_free(struct checkpoint_lines *lines);
