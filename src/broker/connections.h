/* broker/connections.h - how many connections each address has, counted at home over all shards (internal). */
#pragma once

#include "broker/shard.h"

/* One connection on its way to being counted, and then counted. */
struct guest {
    struct io_message message;
    struct broker_shard *shard;
    char host[IO_HOST_MAX];
    bool admitted;
    bool gone;          /* the connection ended before the answer came */
    void (*answered)(struct guest *g);
    void *ctx;
};

/* Count a connection of `host`. `answered` is called later on this shard, once, unless guest_leave comes first:
 * g->admitted says whether its address may have it (max.connections.per.ip). A stop of the shard's sessions
 * waits for that (held_count). */
struct guest *guest_arrive(struct broker_shard *shard, const char *host,
                           void (*answered)(struct guest *g), void *ctx);
/* The connection has ended; frees `g`, now or when its answer has come. */
void guest_leave(struct guest *g);

void connections_init(struct broker *b);
void connections_deinit(struct broker *b);
