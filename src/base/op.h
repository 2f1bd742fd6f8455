/* base/op.h - an operation in flight.
 *
 * The one shape of waiting: whoever starts something that ends later passes a `struct op` that
 * lives in its own struct. `done` runs exactly once, on the same shard, never inside the call that
 * started it, also when it was cancelled (then `result` is -ECANCELED or what really happened).
 *
 *   result   >= 0 what the operation says it gives (bytes, count, 0); < 0 trouble
 *
 * The private part is for the one who carries the operation out (an io backend, a log); the one
 * who waits never looks at it.
 */
#pragma once

#include <stdint.h>

#include "base/list.h"

struct op {
    void (*done)(struct op *op, int64_t result);

    struct list node;      /* private from here on */
    void *owner;
    uint64_t word[10];
};

static inline void op_init(struct op *op, void (*done)(struct op *op, int64_t result))
{
    *op = (struct op){.done = done};
}
