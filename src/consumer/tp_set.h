/* consumer/tp_set.h - sets of partitions: sorted by topic and number, without repeats, immutable. */
#pragma once

#include "consumer/consumer.h"

struct tp_set {
    struct consumer_partition *items; /* one block, with its text; NULL = empty */
    uint32_t count;
};

int tp_compare(struct consumer_partition a, struct consumer_partition b); /* as qsort wants it */
uint64_t tp_hash(struct consumer_partition p);

/* Of `count` partitions in any order; text is copied. */
struct tp_set tp_set_of(const struct consumer_partition *partitions, uint32_t count);
void tp_set_free(struct tp_set *s); /* leaves it empty */

bool tp_set_has(const struct tp_set *s, struct consumer_partition p);
bool tp_set_equal(const struct tp_set *a, const struct tp_set *b);
/* What is in `a` and, `in_b` true: also in `b`; false: not in `b`. */
struct tp_set tp_set_cut(const struct tp_set *a, const struct tp_set *b, bool in_b);
