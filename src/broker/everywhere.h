/* broker/everywhere.h - something that every shard does, started and joined on the home shard (internal). */
#pragma once

#include "broker/shard.h"

/* Run `run` on each shard; it completes its op there when it is done. `op` completes at home with 0, or with the
 * trouble of the first shard that had some. */
void everywhere(struct broker *b,
                void (*run)(struct broker_shard *shard, void *ctx, struct op *op), void *ctx,
                struct op *op);
