/* broker/session.h - a connection of a client: who it is, and its requests in order (internal). */
#pragma once

#include "broker/request.h"

struct beats;
struct fetch_set;

/* A listening socket of a shard. Every shard accepts for itself (SO_REUSEPORT when there are
 * several), so that the kernel spreads the connections. */
struct broker_listener {
    struct list node;             /* in shard->listeners */
    struct broker_shard *shard;
    const struct listener *bound; /* name, protocol, host, real port */
    uint8_t kind;                 /* LISTENER_BROKER or LISTENER_CONTROLLER */
    struct io_listener *socket;
    struct io_socket *accepted;   /* the last connection, and who it is */
    struct io_address peer;
    struct op op, close;
    struct op *waiter;
    struct io_timer again;
    bool accepting, closing;
    bool full;                    /* not accepting, because of max.connections */
};

/* ---- accept.c ---- */
struct io_listen_options listener_options(const struct broker *b);
/* Listen on `address` (port 0: any; `bound` tells). Completes when listening; connections wait in
 * the kernel until listeners_accept. */
void listener_open(struct broker_listener *l, const struct io_address *address,
                   struct io_address *bound, struct op *op);
/* Those of a kind (LISTENER_BROKER, LISTENER_CONTROLLER) let in whoever has come and comes. */
void listeners_accept(struct broker_shard *shard, uint8_t kind);
/* Stop accepting; completes when the socket is closed. */
void listener_close(struct broker_listener *l, struct op *op);

/* A connection has ended, or settings have changed: accept where the limits had stopped it. */
void listeners_accept_again(struct broker_shard *shard);

/* ---- session.c ---- */
/* For the connection that the listener has accepted last. */
void session_open(struct broker_listener *l);
void session_close(struct session *s, const char *why);
/* A request of the session has its answer (`a` may be NULL): for room-internal request.c. */
void session_answered(struct request *r, struct answer *a);
const struct principal *session_principal(const struct session *s);
struct str session_host(const struct session *s);
const struct broker_listener *session_listener(const struct session *s);
struct fetch_set **session_fetch(struct session *s); /* its fetch session; NULL none */
struct beats *session_beats(struct session *s);
/* No request of the shard's clients begins any more; other brokers that follow go on, because what clients have written
 * waits for them, and so do the nodes that this one is a controller for. Completes when what has begun, and ends by
 * itself, is answered and the answers have left, or after a second: an idempotent producer that loses the answers to
 * several batches cannot send them again to a broker that starts anew, because a snapshot knows only the last one (as
 * Kafka's). Then the clients' connections are closed, so that they look for another leader at once. */
void sessions_rest(struct broker_shard *shard, struct op *op);
/* Close all sessions of a shard that came by a kind of listener, when it accepts no more; completes when the last one is
 * gone. */
void sessions_close(struct broker_shard *shard, uint8_t kind, struct op *op);

/* A request whose answer was sent from what other shards hold: it stays until session_released. */
void session_holds(struct request *r);
void session_released(struct request *r);
/* One of the shard's held_count has ended: who waits for the last session may go on. */
void shard_unhold(struct broker_shard *shard);
