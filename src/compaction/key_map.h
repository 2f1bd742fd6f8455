/* compaction/key_map.h - the last offset of each key, in a table of fixed size.
 *
 * A key is known by 128 bits of a hash under a secret (SipHash-2-4-128), not by its bytes: 24 bytes
 * a key whatever its length. Two keys that share them would cost one of them its records; without
 * the secret nobody can look for such a pair, and by chance 2^32 keys hold one with a probability
 * of 2^-65.
 */
#pragma once

#include "compaction/compaction.h"

#define KEY_MAP_SLOT_BYTES 24

struct key_slot {
    uint64_t hash[2];
    uint64_t offset_plus_one; /* 0 = free */
};

struct key_map {
    struct key_slot *slots;
    uint64_t slot_count;
    uint64_t count, count_max; /* keys */
    uint8_t secret[COMPACTION_SECRET_BYTES];
};

/* Room for `keys_expected` keys, but no more than `bytes_max` take. -ENOMEM. */
MUST int key_map_init(struct key_map *m, uint64_t keys_expected, uint64_t bytes_max,
                      double load_factor, const uint8_t secret[COMPACTION_SECRET_BYTES]);
void key_map_deinit(struct key_map *m);

/* `key` was last seen at `offset` (>= 0). False when it is new and there is no room. */
bool key_map_put(struct key_map *m, struct bytes key, int64_t offset);

/* -1 = never seen. */
int64_t key_map_find(const struct key_map *m, struct bytes key);

/* SipHash-2-4 with 128 bits of output (Aumasson and Bernstein). */
void key_hash(const uint8_t secret[COMPACTION_SECRET_BYTES], struct bytes key, uint64_t out[2]);
