#include "base/base.h"

bool gate_enter(struct gate *g)
{
    if (g->closing)
        return false;
    ASSERT(g->inside < UINT32_MAX);
    g->inside++;
    return true;
}

void gate_leave(struct gate *g)
{
    ASSERT(g->inside > 0);
    g->inside--;
    if (g->closing && g->inside == 0)
        g->closed(g); /* the object may be gone now */
}

void gate_close(struct gate *g, void (*closed)(struct gate *g))
{
    ASSERT(!g->closing);
    ASSERT(closed != NULL);
    g->closing = true;
    g->closed = closed;
    if (g->inside == 0)
        closed(g);
}

void gate_reopen(struct gate *g)
{
    ASSERT(g->closing && g->inside == 0);
    g->closing = false;
}
