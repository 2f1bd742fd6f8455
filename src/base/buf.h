/* base/buf.h - bytes shared by reference count.
 *
 * A buffer belongs to the shard that made it: ref and unref happen there only, so the count is
 * not atomic. Freed with the last reference.
 */
#pragma once

#include <stdint.h>

struct buf {
    uint32_t refs;
    uint32_t capacity_bytes;
    uint32_t used_bytes;              /* for whoever fills it */
    void (*release)(struct buf *b);   /* NULL = free() */
    uint8_t *p;                       /* the bytes */
};

/* One reference; bytes not zeroed; NULL when the system has no memory. */
struct buf *buf_new(uint32_t capacity_bytes);
struct buf *buf_ref(struct buf *b);
void buf_unref(struct buf *b); /* accepts NULL */
