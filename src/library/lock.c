#define _GNU_SOURCE
#include "library/lock.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How often who finds it taken looks again before he sleeps: it is held for less than that takes, mostly. */
#define LOOKS 100

/* `*at` is still `seen`: sleep until somebody wakes, or until then (NULL = never) by the monotonic clock. */
static long sleep_on(atomic_uint *at, unsigned seen, const struct timespec *until)
{
    return syscall(SYS_futex, at, FUTEX_WAIT_BITSET_PRIVATE, seen, until, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void wake(atomic_uint *at, int count)
{
    syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void pause_a_moment(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

/* It is WANTED as long as somebody may sleep, so it is taken as that: one wake too many does no harm. */
void lock_take_slowly(struct lock *l)
{
    for (int i = 0; i < LOOKS; i++) {
        unsigned free = LOCK_FREE;
        if (atomic_load_explicit(&l->state, memory_order_relaxed) == LOCK_FREE &&
            atomic_compare_exchange_weak_explicit(&l->state, &free, LOCK_TAKEN, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
        pause_a_moment();
    }
    while (atomic_exchange_explicit(&l->state, LOCK_WANTED, memory_order_acquire) != LOCK_FREE)
        sleep_on(&l->state, LOCK_WANTED, NULL);
}

void lock_wake(struct lock *l)
{
    wake(&l->state, 1);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

void changed_tell(struct changed *c)
{
    if (c->waiting == 0)
        return;
    atomic_fetch_add_explicit(&c->count, 1, memory_order_relaxed);
    wake(&c->count, INT_MAX);
}

/* Whoever tells counts on, so a word between leaving the lock and sleeping is not lost. */
bool changed_wait(struct changed *c, struct lock *l, int64_t until_ms)
{
    unsigned seen = atomic_load_explicit(&c->count, memory_order_relaxed);
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

    c->waiting++;
    lock_leave(l);
    bool over = sleep_on(&c->count, seen, until_ms < 0 ? NULL : &until) < 0 && errno == ETIMEDOUT;
    lock_take(l);
    c->waiting--;
    return !over;
}
