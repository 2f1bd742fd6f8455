/* What producers and consumers have in common: a loop, a client, a lock, and what a call may do where. */
#include <stdio.h>

#include "library/internal.h"

int handle_init(struct handle *h, struct mr_loop *given, struct mr_error *e)
{
    if (given != NULL && loop_is_forked(given))
        return error_set(e, MR_FORKED, MR_CLOSE, true, "the loop belongs to the parent process");
    int rc = loop_enter(given, &h->loop);
    if (rc < 0)
        return error_of_trouble(e, rc, "cannot begin to do I/O");
    return 0;
}

void handle_deinit(struct handle *h)
{
    loop_leave(h->loop);
}

int handle_is_forked(struct mr_error *e)
{
    return error_set(e, MR_FORKED, MR_CLOSE, true, "this handle belongs to the parent process: open one in the child");
}

int handle_may_not_wait(struct mr_error *e)
{
    return error_set(e, MR_INVALID, MR_REPAIR, true,
                     "a hook must not wait: it runs on the thread that would do what it waits for");
}

void health_of(const struct client_health *h, int64_t now_ns, struct mr_health *out)
{
    static const enum mr_state states[] = {
        [CLIENT_IDLE] = MR_IDLE, [CLIENT_CONNECTING] = MR_CONNECTING, [CLIENT_UP] = MR_UP};

    *out = (struct mr_health){.state = states[h->state], .age_ms = (now_ns - h->since_ns) / 1000000};
    snprintf(out->reason, sizeof out->reason, "%s", h->reason);
}
