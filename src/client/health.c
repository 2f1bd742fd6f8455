/* How it goes, for people: one line when that changes, and client_health. */
#include "client/internal.h"

#include <stdio.h>

static void set_state(struct client *c, enum client_state state)
{
    if (c->state == state)
        return;
    c->state = state;
    c->state_since_ns = io_now_ns(c->io);
}

void health_wanted(struct client *c)
{
    if (c->state == CLIENT_IDLE)
        set_state(c, CLIENT_CONNECTING);
}

void health_up(struct client *c)
{
    if (c->reason[0] != '\0')
        say(c->telemetry, LOG_INFO, "client", "connected again");
    c->reason[0] = '\0';
    set_state(c, CLIENT_UP);
}

static bool some_link_is_ready(const struct client *c)
{
    LIST_EACH (node, &c->links) {
        if (container_of(node, struct client_link, node)->phase == LINK_READY)
            return true;
    }
    return false;
}

/* While another node answers, one that does not is no trouble of the whole. */
void health_failed(struct client *c, const struct client_link *l, int error)
{
    char reason[sizeof c->reason];

    if (some_link_is_ready(c))
        return;
    snprintf(reason, sizeof reason, "cannot connect to %.200s:%u: %s", l->address.host, l->address.port,
             error_text(error));
    if (c->reason[0] == '\0') /* once, not with every try */
        say(c->telemetry, LOG_WARN, "client", "%s; trying again", reason);
    memcpy(c->reason, reason, sizeof reason);
    set_state(c, CLIENT_CONNECTING);
}

void client_health(const struct client *c, struct client_health *out)
{
    *out = (struct client_health){.state = c->state, .since_ns = c->state_since_ns};
    memcpy(out->reason, c->reason, sizeof out->reason);
    if (c->state == CLIENT_UP)
        throttle_reason(c, out->reason, sizeof out->reason);
}
