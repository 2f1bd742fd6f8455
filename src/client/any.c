/* Which node is asked when any will do: the bootstrap servers first, then the brokers that metadata names. */
#include "client/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- bootstrap servers ------------------------------------------------------------------------- */

static uint32_t count_parts(struct str list)
{
    struct str part;
    uint32_t n = 0;

    while (str_cut(&list, ',', &part))
        n++;
    return n;
}

/* In random order, so that many clients with the same list do not all begin with the same server. */
static void shuffle(struct client *c)
{
    for (uint32_t i = c->bootstrap_count; i > 1; i--) {
        uint32_t j = (uint32_t)prng_below(io_prng(c->io), i);
        struct io_address last = c->bootstrap[i - 1];
        c->bootstrap[i - 1] = c->bootstrap[j];
        c->bootstrap[j] = last;
    }
}

int bootstrap_parse(struct client *c, struct fail *f)
{
    struct str rest = c->settings.bootstrap_servers, part;

    if (client_is_told(c))
        return 0;
    c->bootstrap = calloc(count_parts(rest) + 1, sizeof *c->bootstrap);
    ASSERT(c->bootstrap != NULL);
    while (str_cut(&rest, ',', &part)) {
        struct io_address *a = &c->bootstrap[c->bootstrap_count];
        part = str_trim(part);
        if (host_port_parse(part, a->host, &a->port) < 0 || a->host[0] == '\0' || a->port == 0) {
            free(c->bootstrap);
            return fail_set(f, -EINVAL, "bootstrap.servers: \"%.*s\" is not HOST:PORT", STR_ARG(part));
        }
        c->bootstrap_count++;
    }
    if (c->bootstrap_count == 0) {
        free(c->bootstrap);
        return fail_set(f, -EINVAL, "bootstrap.servers is empty: it is HOST:PORT,... of some brokers");
    }
    shuffle(c);
    return 0;
}

static void retire_bootstrap_links(struct client *c)
{
    LIST_EACH (node, &c->links) {
        struct client_link *l = container_of(node, struct client_link, node);
        if (l->role == LINK_BOOTSTRAP)
            link_retire(l);
    }
}

void rebootstrap(struct client *c, const char *why)
{
    if (!c->settings.rebootstrap)
        return;
    if (!c->bootstrapping)
        say(c->telemetry, LOG_WARN, "client", "%s: asking the bootstrap servers again", why);
    c->bootstrapping = true;
    retire_bootstrap_links(c); /* where one of them has led here, another one may know better */
}

void bootstrapped(struct client *c)
{
    c->bootstrapping = false;
    retire_bootstrap_links(c);
}

/* ---- brokers ----------------------------------------------------------------------------------- */

static struct io_address address_of(const struct client_broker *b)
{
    struct io_address a = {.port = b->port};

    snprintf(a.host, sizeof a.host, "%.*s", STR_ARG(b->host));
    return a;
}

static struct client_link *link_of_broker(struct client *c, const struct client_broker *b)
{
    struct client_link *l = link_find(c, LINK_DATA, b->id);

    if (l != NULL)
        return l;
    struct io_address a = address_of(b);
    return link_get(c, LINK_DATA, b->id, &a);
}

struct client_link *broker_link(struct client *c, int32_t node_id)
{
    const struct client_broker *b = client_broker(c, node_id);

    return b == NULL ? NULL : link_of_broker(c, b);
}

/* ---- choice ------------------------------------------------------------------------------------ */

/* A connection that is being made is waited for, so that calls that come together do not connect to everybody; but not
 * one that nobody answers. */
#define CONNECTING_MS 500

enum { RANK_READY, RANK_CONNECTING, RANK_DOWN, RANK_SLOW, RANK_THROTTLED, RANK_BACKING_OFF, RANK_NONE };

struct choice {
    uint32_t index;
    int rank;
    int64_t cost; /* within the rank: calls, or until when it backs off, or is throttled */
};

static void consider(const struct client *c, struct choice *best, uint32_t index, const struct client_link *l)
{
    struct choice this = {index, RANK_DOWN, 0};

    if (l != NULL && link_is_throttled(l)) {
        this.rank = RANK_THROTTLED;
        this.cost = l->throttled_until_ns;
    } else if (l != NULL && l->phase == LINK_READY) {
        this.rank = RANK_READY;
        this.cost = l->given;
        if (!list_empty(&l->waiting))
            this.cost++;
    } else if (l != NULL && l->phase != LINK_DOWN && link_backoff_until_ns(l) <= io_now_ns(c->io)) {
        this.rank = io_now_ns(c->io) - l->since_ns < ms_to_ns(CONNECTING_MS) ? RANK_CONNECTING : RANK_SLOW;
    } else if (l != NULL && link_backoff_until_ns(l) > io_now_ns(c->io)) {
        this.rank = RANK_BACKING_OFF;
        this.cost = link_backoff_until_ns(l);
    }
    if (this.rank < best->rank || (this.rank == best->rank && this.cost < best->cost))
        *best = this;
}

static struct choice choose(struct client *c, enum link_role role, uint32_t count)
{
    struct choice best = {.rank = RANK_NONE};
    uint32_t first = count == 0 ? 0 : (uint32_t)prng_below(io_prng(c->io), count);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = (first + i) % count;
        int32_t id = role == LINK_DATA ? c->metadata.brokers[index].id : (int32_t)index;
        consider(c, &best, index, link_find(c, role, id));
    }
    return best;
}

struct client_link *any_link(struct client *c)
{
    struct choice best = choose(c, LINK_DATA, c->bootstrapping ? 0 : c->metadata.broker_count);

    /* Nobody there is connected, or may be tried now (KIP-899). */
    if (best.rank == RANK_BACKING_OFF)
        rebootstrap(c, "no broker that is known can be reached");
    if (!c->bootstrapping && best.rank != RANK_NONE)
        return link_of_broker(c, &c->metadata.brokers[best.index]);
    best = choose(c, LINK_BOOTSTRAP, c->bootstrap_count);
    return link_get(c, LINK_BOOTSTRAP, (int32_t)best.index, &c->bootstrap[best.index]);
}
