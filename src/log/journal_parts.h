/* log/journal_parts.h - what a journal's commits say of each partition. No I/O. */
#pragma once

#include "log/journal_format.h"

/* Bytes that belong at `position` of the segment `base`; they lie in the journal's chunk. */
struct journal_piece {
    int64_t base;
    uint64_t position;
    struct bytes bytes;
};

struct journal_part {
    struct map_node node;          /* in journal_parts.by_id */
    struct uuid topic_id;
    int32_t partition;
    int64_t drained_base;          /* below (base, position) the segments alone hold it */
    uint64_t drained_position;
    struct journal_piece *pieces;  /* in the order of their commits */
    uint32_t count, capacity;
};

/* Zeroed it is ready. */
struct journal_parts {
    struct map by_id;
};

/* Read the entries of all commits; what is left of a partition has to be written. ERR_CORRUPT. */
MUST int journal_parts_take(struct journal_parts *parts, const struct journal_commits *commits, struct fail *f);
void journal_parts_free(struct journal_parts *parts);
