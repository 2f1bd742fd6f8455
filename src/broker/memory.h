/* broker/memory.h - the memory budget of the process, shared by the shards (internal). */
#pragma once

#include "broker/shard.h"

/* Give each shard its share of millrace.memory.bytes. */
void memory_begin(struct broker *b);
/* No more lending: what is on the way comes back first (held_count). On each shard, before its sessions end. */
void memory_stop(struct broker_shard *shard);

/* The largest request that a shard can ever hold, with all that others would lend it. */
uint64_t memory_request_max(const struct broker *b);
/* The most that a batch may hold when it is unpacked: it is there three times for a moment, plain, made anew, and
 * packed, beside what is counted. */
size_t memory_plain_max(const struct broker *b);
/* How much a request of so many bytes may grow while it is decoded, as things are now. */
size_t memory_decode_max(const struct broker_shard *shard, uint64_t request_bytes);
