/* journal_lab.h - journals made by hand, for tests of their readers. */
#pragma once

#include "lab.h"
#include "log/journal_format.h"

#define HAND_CHUNKS 3
#define HAND_CHUNK_BYTES (8U * JOURNAL_PAGE_BYTES)

/* A journal of a few small chunks in memory; commits go one behind the other, from chunk to chunk. */
struct hand {
    uint8_t chunks[HAND_CHUNKS][HAND_CHUNK_BYTES];
    uint32_t chunk, at; /* where the next commit goes */
    struct uuid id;
    uint64_t sequence;  /* of the last commit */
    uint64_t oldest;
    uint8_t commit[HAND_CHUNK_BYTES];
    uint32_t length, count;
    uint32_t last_at;   /* of the last commit, in its chunk */
};

void hand_init(struct hand *h, uint8_t id); /* zeros; ids differ by `id` */
/* An entry of partition `partition` of the topic id {0, ..., 9}. `text` NULL = none. */
void hand_add(struct hand *h, enum journal_entry_kind kind, int32_t partition, int64_t base, uint64_t position,
              const void *bytes, size_t n);
/* Begins the next chunk when this one is full; round again to the first. */
void hand_commit(struct hand *h);
/* One APPEND of `text` in a commit of its own. */
void hand_append(struct hand *h, int32_t partition, int64_t base, uint64_t position, const char *text);
int hand_find(const struct hand *h, struct journal_commits *out, struct fail *f);
