#include "base/base.h"

#include <stdlib.h>

#define HEAP_CAPACITY_MIN 16

void heap_init(struct heap *h)
{
    *h = (struct heap){0};
}

void heap_deinit(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

static bool node_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->sequence < b->sequence;
}

static void place(struct heap *h, struct heap_node *node, size_t position)
{
    h->nodes[position] = node;
    node->position = position;
}

/* Put `node` at the free `position` or above it. */
static void sift_up(struct heap *h, struct heap_node *node, size_t position)
{
    while (position > 1 && node_before(node, h->nodes[position / 2])) {
        place(h, h->nodes[position / 2], position);
        position /= 2;
    }
    place(h, node, position);
}

/* Put `node` at the free `position` or below it. */
static void sift_down(struct heap *h, struct heap_node *node, size_t position)
{
    while (2 * position <= h->count) {
        size_t child = 2 * position;
        if (child < h->count && node_before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (!node_before(h->nodes[child], node))
            break;
        place(h, h->nodes[child], position);
        position = child;
    }
    place(h, node, position);
}

void heap_add(struct heap *h, struct heap_node *node, int64_t key)
{
    ASSERT(node->position == 0);
    if (h->count + 1 >= h->capacity) { /* position 0 stays empty */
        size_t capacity = h->capacity == 0 ? HEAP_CAPACITY_MIN : 2 * h->capacity;
        h->nodes = realloc(h->nodes, capacity * sizeof(*h->nodes));
        ASSERT(h->nodes != NULL);
        h->capacity = capacity;
    }
    node->key = key;
    node->sequence = h->next_sequence++;
    h->count++;
    sift_up(h, node, h->count);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    size_t position = node->position;
    struct heap_node *last = h->nodes[h->count];

    ASSERT(position > 0);
    ASSERT(position <= h->count);
    ASSERT(h->nodes[position] == node);
    h->count--;
    node->position = 0;
    if (last == node)
        return;
    if (position > 1 && node_before(last, h->nodes[position / 2]))
        sift_up(h, last, position);
    else
        sift_down(h, last, position);
}
