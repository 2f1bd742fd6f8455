/* Blocks of one size are kept; larger ones come from the system and go back to it. */
#include <stdlib.h>

#include "producer/accumulator.h"

void block_init(struct memory *m, uint64_t limit_bytes, uint32_t block_bytes)
{
    *m = (struct memory){.limit_bytes = limit_bytes, .block_bytes = block_bytes};
    list_init(&m->free);
}

/* A free block goes back to the system. */
static void drop_one(struct memory *m)
{
    free(list_take_head(&m->free));
    m->held_bytes -= m->block_bytes;
}

void block_deinit(struct memory *m)
{
    ASSERT(m->used_bytes == 0);
    while (!list_empty(&m->free))
        drop_one(m);
}

void block_resize(struct memory *m, uint32_t block_bytes)
{
    while (!list_empty(&m->free))
        drop_one(m);
    m->block_bytes = block_bytes;
}

void *block_take(struct memory *m, uint64_t bytes, bool beyond)
{
    void *block = NULL;

    if (!beyond && (bytes > m->limit_bytes || m->used_bytes > m->limit_bytes - bytes))
        return NULL;
    if (bytes == m->block_bytes)
        block = list_take_head(&m->free);
    if (block == NULL) {
        while (!list_empty(&m->free) && m->held_bytes + bytes > m->limit_bytes)
            drop_one(m);
        block = malloc(bytes);
        if (block == NULL)
            return NULL;
        m->held_bytes += bytes;
    }
    m->used_bytes += bytes;
    return block;
}

void block_give(struct memory *m, void *block, uint64_t bytes)
{
    struct list *node = block;

    m->used_bytes -= bytes;
    if (bytes == m->block_bytes && m->held_bytes <= m->limit_bytes) {
        list_add_head(&m->free, node); /* the one that is still in the cache is used next */
        return;
    }
    m->held_bytes -= bytes;
    free(block);
}

void *block_cut(struct memory *m, void *block, uint64_t from, uint64_t to)
{
    void *cut = realloc(block, to);

    m->used_bytes -= from - to;
    m->held_bytes -= from - to;
    return cut != NULL ? cut : block; /* less in any case: what is larger than it says is freed like any other */
}
