/* broker/checkpoint.h - the log directories' checkpoint files, written from time to time, when somebody asks, and
 * at the end (internal). */
#pragma once

#include "broker/shard.h"

/* Begin to write, as Kafka: high watermarks at once and every replica.high.watermark.checkpoint.interval.ms, recovery
 * points after log.initial.task.delay.ms and every log.flush.offset.checkpoint.interval.ms, log starts the same by
 * log.flush.start.offset.checkpoint.interval.ms. An interval of 0 or less: once. */
struct checkpoints *checkpoints_start(struct broker *b);

/* Home shard: all log starts, as they are now on every shard, become durable; completes when they are. Who asks
 * while a write is under way shares the next one, so many that come together cost one or two writes. ERR_CLOSED
 * after checkpoints_stop; another trouble ends the directory. */
void checkpoints_save_starts(struct checkpoints *c, struct op *op);

/* Home shard: a log was compacted, so cleaner-offset-checkpoint is written soon. */
void checkpoints_save_cleaned(struct checkpoints *c);

/* No more timers. Completes when no write is under way; frees. */
void checkpoints_stop(struct checkpoints *c, struct op *op);

/* Lines of one directory, gathered from all shards. */
struct checkpoint_lines {
    struct checkpoint recovery_point, log_start, high_watermark, cleaner;
};
/* Gather for all directories (`lines` has dir_count of them; free each with checkpoint_lines_free). Every log is
 * about to be closed, so its recovery point will be its end. */
void checkpoint_gather_last(struct broker *b, struct checkpoint_lines *lines, struct op *op);
void checkpoint_lines_free(struct checkpoint_lines *lines);
