/* How it goes, for people: one line when that changes, and client_health. A process may have several clients: a line says
 * by client.id whose it is. */
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

static void say_to_people(const struct client *c, enum log_level level, const char *what, const char *more)
{
    struct str id = c->settings.client_id;

    say(c->telemetry, level, "client", "%.*s%s%s%s", STR_ARG(id), id.n > 0 ? ": " : "", what, more);
}

void health_up(struct client *c)
{
    if (c->reason[0] != '\0')
        say_to_people(c, LOG_INFO, "connected again", "");
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
        say_to_people(c, LOG_WARN, reason, "; trying again");
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
