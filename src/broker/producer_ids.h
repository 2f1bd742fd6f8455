/* broker/producer_ids.h - ids for idempotent producers (internal): each shard has a block of them. */
#pragma once

#include "broker/scatter.h"

/* Call `taken` with the next id, now or when the controller has given a block; -1 when it does not. */
void producer_id_take(struct request *r, void (*taken)(struct request *r, int64_t id));
