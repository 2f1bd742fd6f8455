/* library/lock.h - a lock that is held for moments, and waiting for what others change under it.
 *
 * What pthreads offer for any use costs three times as much as taking and leaving a lock that is free, which a producer
 * does for each record. This one is a number that a futex waits on:
 *
 *     FREE ─ take ─► TAKEN ─ leave ─► FREE          nobody was in the way: no system call
 *                      └─ somebody else takes ─► WANTED ─ leave ─► FREE, and one who sleeps is woken
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

enum { LOCK_FREE, LOCK_TAKEN, LOCK_WANTED };

/* Zeroed = free. */
struct lock {
    atomic_uint state;
};

void lock_take_slowly(struct lock *l);
void lock_wake(struct lock *l);

static inline void lock_take(struct lock *l)
{
    unsigned free = LOCK_FREE;

    if (UNLIKELY(!atomic_compare_exchange_strong_explicit(&l->state, &free, LOCK_TAKEN, memory_order_acquire,
                                                          memory_order_relaxed)))
        lock_take_slowly(l);
}

static inline void lock_leave(struct lock *l)
{
    if (UNLIKELY(atomic_exchange_explicit(&l->state, LOCK_FREE, memory_order_release) == LOCK_WANTED))
        lock_wake(l);
}

/* Something that threads wait for. Zeroed at first. Used with one lock, which is held in both calls. */
struct changed {
    atomic_uint count;
    uint32_t waiting;
};

/* Everybody who waits looks again. */
void changed_tell(struct changed *c);
/* Wait, without the lock, up to the time of clock_ms; -1 = as long as it takes. False: it is over. True also without
 * a reason. */
bool changed_wait(struct changed *c, struct lock *l, int64_t until_ms);
