#include "base/base.h"

#include <stdlib.h>

struct buf *buf_new(uint32_t capacity_bytes)
{
    struct buf *b = malloc(sizeof(*b) + capacity_bytes);

    if (b == NULL)
        return NULL;
    *b = (struct buf){.refs = 1, .capacity_bytes = capacity_bytes, .p = (uint8_t *)(b + 1)};
    return b;
}

struct buf *buf_ref(struct buf *b)
{
    ASSERT(b->refs > 0);
    ASSERT(b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

void buf_unref(struct buf *b)
{
    if (b == NULL)
        return;
    ASSERT(b->refs > 0);
    if (--b->refs > 0)
        return;
    if (b->release != NULL)
        b->release(b);
    else
        free(b);
}
