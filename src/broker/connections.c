/* Connections of each address, over all shards.
 *
 *   shard                        home
 *   guest_arrive ── message ──►  counted, or too many
 *   answered     ◄── message ──
 *   guest_leave  ── message ──►  counted off
 *
 * Shards share nothing and the kernel spreads connections over them, so only one place can count exactly.
 */
#include "broker/connections.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/session.h"

/* At home: one address. */
struct source {
    struct map_node node;
    uint32_t count;
    char host[];
};

static bool source_equal(const struct map_node *node, const void *key)
{
    return strcmp(container_of(node, const struct source, node)->host, key) == 0;
}

void connections_init(struct broker *b)
{
    map_init(&b->connections, source_equal);
}

void connections_deinit(struct broker *b)
{
    MAP_EACH(node, &b->connections)
        free(container_of(node, struct source, node));
    map_deinit(&b->connections);
}

/* ---- at home --------------------------------------------------------------------------------- */

/* max.connections.per.ip.overrides: HOST:COUNT, ...; a host is an address here, names are not looked up. */
static int64_t most_of(const struct config *c, const char *host)
{
    struct str rest = config_str(c, BROKER_MAX_CONNECTIONS_PER_IP_OVERRIDES), pair;

    while (str_cut(&rest, ',', &pair)) {
        int32_t colon = pair.n;
        int64_t count;
        while (colon > 0 && pair.p[colon - 1] != ':')
            colon--;
        if (colon == 0 || !str_equal_nocase(str_trim((struct str){pair.p, colon - 1}), str_of(host)))
            continue;
        struct str digits = str_trim((struct str){pair.p + colon, pair.n - colon});
        if (str_to_i64(digits, INT32_MIN, INT32_MAX, &count) == 0)
            return count;
    }
    return config_i64(c, BROKER_MAX_CONNECTIONS_PER_IP);
}

static struct source *source_find(struct broker *b, const char *host)
{
    struct map_node *node = map_find(&b->connections, str_hash(str_of(host)), host);

    return node == NULL ? NULL : container_of(node, struct source, node);
}

static bool count_on(struct broker *b, const char *host)
{
    struct source *s = source_find(b, host);
    int64_t most = most_of(b->shards[0].settings, host);

    if ((s == NULL ? 0 : (int64_t)s->count) >= most)
        return false;
    if (s == NULL) {
        size_t n = strlen(host) + 1;
        s = calloc(1, sizeof *s + n);
        ASSERT(s != NULL);
        memcpy(s->host, host, n);
        map_add(&b->connections, &s->node, str_hash(str_of(host)));
    }
    s->count++;
    return true;
}

static void count_off(struct broker *b, const char *host)
{
    struct source *s = source_find(b, host);

    ASSERT(s != NULL && s->count > 0);
    if (--s->count > 0)
        return;
    map_remove(&b->connections, &s->node);
    free(s);
}

static void left_home(struct io *io, struct io_message *m)
{
    struct guest *g = container_of(m, struct guest, message);

    count_off(g->shard->broker, g->host);
    free(g);
}

/* ---- on the connection's shard --------------------------------------------------------------- */

static void leave_now(struct guest *g)
{
    if (!g->admitted) {
        free(g);
        return;
    }
    g->message.run = left_home;
    io_post(g->shard->io, 0, &g->message);
}

static void answer_arrived(struct io *io, struct io_message *m)
{
    struct guest *g = container_of(m, struct guest, message);
    struct broker_shard *shard = g->shard;

    g->message.run = NULL;
    if (g->gone)
        leave_now(g);
    else
        g->answered(g);
    shard_unhold(shard);
}

static void arrived_home(struct io *io, struct io_message *m)
{
    struct guest *g = container_of(m, struct guest, message);
    struct broker *b = g->shard->broker;

    g->admitted = count_on(b, g->host);
    if (!g->admitted)
        say(b->shards[0].telemetry, LOG_INFO, "broker",
            "Rejected connection from %s, address already has the configured maximum of %" PRId64
            " connections (max.connections.per.ip)",
            g->host, most_of(b->shards[0].settings, g->host));
    g->message.run = answer_arrived;
    io_post(io, g->shard->index, &g->message);
}

struct guest *guest_arrive(struct broker_shard *shard, const char *host,
                           void (*answered)(struct guest *g), void *ctx)
{
    struct guest *g = calloc(1, sizeof *g);

    ASSERT(g != NULL);
    g->shard = shard;
    snprintf(g->host, sizeof g->host, "%s", host);
    g->answered = answered;
    g->ctx = ctx;
    shard->held_count++;
    g->message.run = arrived_home;
    io_post(shard->io, 0, &g->message);
    return g;
}

void guest_leave(struct guest *g)
{
    if (g->message.run != NULL)
        g->gone = true; /* its answer is on the way */
    else
        leave_now(g);
}
