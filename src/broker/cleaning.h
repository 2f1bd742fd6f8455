/* broker/cleaning.h - compaction on every shard (internal). The work is replica/cleaner.c's. */
#pragma once

#include "broker/shard.h"

/* Begin, where log.cleaner.enable allows; what was compacted is noted by the checkpoints, which run. */
void cleaning_start(struct broker *b, struct op *op);
/* Before the checkpoints stop. Completes when no shard compacts any more. */
void cleaning_stop(struct broker *b, struct op *op);
