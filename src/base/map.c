#include "base/base.h"

#include <stdlib.h>

#define MAP_SLOTS_MIN 8

void map_init(struct map *m, bool (*equal)(const struct map_node *node, const void *key))
{
    *m = (struct map){.equal = equal};
}

void map_deinit(struct map *m)
{
    free(m->slots);
    *m = (struct map){.equal = m->equal};
}

static size_t slot_of(const struct map *m, uint64_t hash)
{
    /* Every bit of the hash reaches the top bits of the product, so that a hash may be as simple
     * as a number or a shifted one (Knuth, TAOCP 6.4: multiplicative hashing by the golden ratio).
     */
    return (size_t)(hash * 0x9e3779b97f4a7c15 >> (64 - __builtin_ctzll(m->slot_count)));
}

struct map_node *map_find(const struct map *m, uint64_t hash, const void *key)
{
    if (m->count == 0)
        return NULL;
    for (struct map_node *node = m->slots[slot_of(m, hash)]; node != NULL; node = node->next) {
        if (node->hash == hash && m->equal(node, key))
            return node;
    }
    return NULL;
}

static void map_grow(struct map *m)
{
    struct map_node **old_slots = m->slots;
    size_t old_count = m->slot_count;

    m->slot_count = old_count == 0 ? MAP_SLOTS_MIN : 2 * old_count;
    m->slots = calloc(m->slot_count, sizeof(struct map_node *));
    ASSERT(m->slots != NULL);
    for (size_t i = 0; i < old_count; i++) {
        struct map_node *next;
        for (struct map_node *node = old_slots[i]; node != NULL; node = next) {
            struct map_node **slot = &m->slots[slot_of(m, node->hash)];
            next = node->next;
            node->next = *slot;
            *slot = node;
        }
    }
    free(old_slots);
}

void map_add(struct map *m, struct map_node *node, uint64_t hash)
{
    struct map_node **slot;

    if (m->count == m->slot_count)
        map_grow(m);
    slot = &m->slots[slot_of(m, hash)];
    node->hash = hash;
    node->next = *slot;
    *slot = node;
    m->count++;
}

void map_remove(struct map *m, struct map_node *node)
{
    struct map_node **link;

    ASSERT(m->count > 0);
    link = &m->slots[slot_of(m, node->hash)];
    while (*link != node) {
        ASSERT(*link != NULL); /* else the node is not in this map */
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    m->count--;
}

static struct map_node *first_from(const struct map *m, size_t slot)
{
    for (; slot < m->slot_count; slot++) {
        if (m->slots[slot] != NULL)
            return m->slots[slot];
    }
    return NULL;
}

struct map_node *map_first(const struct map *m)
{
    return m->count == 0 ? NULL : first_from(m, 0);
}

struct map_node *map_next(const struct map *m, const struct map_node *node)
{
    return node->next != NULL ? node->next : first_from(m, slot_of(m, node->hash) + 1);
}
