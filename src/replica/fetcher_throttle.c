/* What the follower's throttle leaves out of a Fetch (KIP-73). */
#include "replica/fetcher.h"

void following_drop_throttle(struct following *p)
{
    if (list_linked(&p->throttled))
        list_remove(&p->throttled);
}

void following_take_throttle(struct following *p)
{
    following_drop_throttle(p);
    if (p->replica->throttled[THROTTLE_FOLLOWER])
        list_add_tail(&p->fetcher->throttled, &p->throttled);
    else if (p->state == FOLLOWING_HELD)
        following_begin(p);
}

/* Not one in the ISR; nor one that is about to join, for which the leader's high watermark may wait already: it has
 * what that one had passed. */
static bool may_be_held(const struct following *p)
{
#ifdef MUTANT_THROTTLE_HOLDS_THE_ISR
    return true;
#endif
    return p->lag != 0 && !replication_in_isr(&p->replica->replication, p->replica->set->options.node_id);
}

void fetcher_hold_back(struct fetcher *f)
{
    int64_t wait_ms = 0, until_ns;
    bool any = false;

    if (list_empty(&f->throttled))
        return;
    wait_ms = replicas_throttle_ms(f->set, THROTTLE_FOLLOWER);
    LIST_EACH(it, &f->throttled) {
        struct following *p = container_of(it, struct following, throttled);
        bool held = wait_ms > 0 && may_be_held(p);
        if (p->state == FOLLOWING_HELD && !held)
            following_begin(p);
        else if (p->state == FOLLOWING_READY && held)
            following_set_state(p, FOLLOWING_HELD);
        any |= p->state == FOLLOWING_HELD;
    }
#ifdef MUTANT_THROTTLE_FOR_EVER
    return;
#endif
    if (!any)
        return;
    until_ns = io_now_ns(fetcher_io(f)) + wait_ms * 1000000;
    fetcher_wake_at(f, until_ns);
    if (until_ns < f->wake_ns)
        f->wake_ns = until_ns;
}
