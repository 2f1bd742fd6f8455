/* base/map.h - hash table with intrusive nodes. Order of iteration depends only on the hashes and
 * the history, never on addresses, so that the simulator repeats itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

struct map {
    struct map_node **slots; /* NULL while empty */
    size_t slot_count;       /* power of two */
    size_t count;
    bool (*equal)(const struct map_node *node, const void *key);
};

void map_init(struct map *m, bool (*equal)(const struct map_node *node, const void *key));
void map_deinit(struct map *m); /* the nodes are the caller's */

/* May be NULL. */
struct map_node *map_find(const struct map *m, uint64_t hash, const void *key);

/* The key must not be there. */
void map_add(struct map *m, struct map_node *node, uint64_t hash);
void map_remove(struct map *m, struct map_node *node);

/* Iterate: map_first, then map_next with the node before; the current one may be removed only
 * after map_next was asked. NULL at the end. */
struct map_node *map_first(const struct map *m);
struct map_node *map_next(const struct map *m, const struct map_node *node);

#define MAP_EACH(it, m)                                                              \
    for (struct map_node *it = map_first(m), *it##_next =                            \
             it == NULL ? NULL : map_next(m, it);                                    \
         it != NULL; it = it##_next, it##_next = it == NULL ? NULL : map_next(m, it))
