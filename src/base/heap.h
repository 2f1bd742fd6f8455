/* base/heap.h - intrusive binary min-heap by (key, sequence): equal keys leave in the order in
 * which they came. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    uint64_t sequence;
    size_t position; /* 1-based; 0 = not in a heap */
};

struct heap {
    struct heap_node **nodes;
    size_t count, capacity;
    uint64_t next_sequence;
};

void heap_init(struct heap *h);
void heap_deinit(struct heap *h);
void heap_add(struct heap *h, struct heap_node *node, int64_t key);
void heap_remove(struct heap *h, struct heap_node *node);

/* Smallest, or NULL. */
static inline struct heap_node *heap_first(const struct heap *h)
{
    return h->count == 0 ? NULL : h->nodes[1];
}
