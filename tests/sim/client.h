/* client.h - what all clients are made of: a machine of their own, a connection, requests. */
#pragma once

#include "network/network.h"
#include "protocol/protocol.h"
#include "world.h"

/* Embedded first in each client. */
struct client {
    struct world *world;
    struct sim_node *node;
    struct io *io;
    struct telemetry *telemetry;
    struct prng prng;      /* its own choices */
    char name[16];
    struct io_timer timer; /* of client_sleep */
    struct op *sleeper;
    bool stop;             /* asked to end */
    bool stopped;          /* nothing of it is under way */
};

/* One request at a time; embedded by the client. Zeroed before the first. */
struct rpc {
    struct peer_call call;
    struct client *client;
    struct op *waiter;
    struct arena arena;    /* of the answer */
    void *answer;
    int64_t began_ns;
    uint32_t life;         /* the newest of the nodes when it began */
    bool busy;
};

/* `cuttable`: the faults may cut it off. */
void client_init(struct client *c, struct world *w, const char *name, bool cuttable);
void client_deinit(struct client *c);
/* To any broker. */
struct peer *client_connect(struct client *c, int64_t timeout_ms, uint32_t in_flight_max);
/* From now on to another one, or to that one; of a connection on which nothing is on its way. */
void client_turn(struct client *c, struct peer *peer);
void client_turn_to(struct peer *peer, const struct server *s);

/* Complete `op` with 0 after a while. */
void client_sleep(struct client *c, int64_t ns, struct op *op);
uint64_t client_below(struct client *c, uint64_t bound);
static inline int64_t client_ms(struct client *c, uint64_t from, uint64_t to)
{
    return (int64_t)(from + client_below(c, to - from + 1)) * 1000000;
}
/* A version between the two, and of those that the API has. */
int16_t client_draw_version(struct client *c, int16_t key, int16_t low, int16_t high);

/* Ask. Completes with 0 when `r->answer` is there, or with trouble: then whether the node acted is
 * unknown if `r->call.sent`. */
void rpc_begin(struct rpc *r, struct client *c, struct peer *peer, int16_t key, int16_t version,
               const void *request, struct op *op);
void rpc_deinit(struct rpc *r);

/* Errors that say "not now": ask again. In a calm world they must not come. */
bool error_is_passing(int16_t error);
/* End the run unless `error` is passing and the world is not calm. */
void expect_passing(struct client *c, const char *what, int16_t error);
