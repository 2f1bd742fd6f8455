/* image/sorted.h - a sorted set of shared items of which cheap copies exist. Private to image.
 *
 *   struct sorted ──► root ──► [chunk | chunk | chunk ...]      each chunk: up to 64 items
 *
 * Copying a set counts one reference. Changing it afterwards copies the root (pointers to chunks)
 * and the one chunk that changes; roots and chunks that nobody shares change in place. With 10,000
 * items one change touches some 200 counters, and 200 slots of memory, not 10,000.
 *
 * Counts are atomic: sets are let go on any shard.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

/* Stands first in every item. */
struct shared {
    atomic_uint refs;
    void (*release)(struct shared *s);
};

void shared_init(struct shared *s, void (*release)(struct shared *s)); /* one reference */
struct shared *shared_ref(struct shared *s);
void shared_unref(struct shared *s); /* accepts NULL */

struct sorted_root;

struct sorted {
    struct sorted_root *root; /* NULL = empty */
};

/* <0, 0, >0: `key` stands before, at, behind `item`. */
typedef int sorted_compare(const void *key, const struct shared *item);

struct sorted sorted_copy(const struct sorted *s);
void sorted_deinit(struct sorted *s);

uint32_t sorted_count(const struct sorted *s);
struct shared *sorted_at(const struct sorted *s, uint32_t index);
struct shared *sorted_find(const struct sorted *s, sorted_compare *compare, const void *key);
/* Index of the first item that is not before `key`; the count when there is none. */
uint32_t sorted_lower(const struct sorted *s, sorted_compare *compare, const void *key);

/* Takes the caller's reference on `item`; replaces what equals `key`, the item's key. */
void sorted_put(struct sorted *s, sorted_compare *compare, const void *key, struct shared *item);
/* False when it is not there. */
bool sorted_remove(struct sorted *s, sorted_compare *compare, const void *key);

/* Memory that must be there: a node without memory stops. */
void *take_memory(size_t size_bytes);
