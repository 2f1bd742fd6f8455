/* broker/request.h - one request, from its frame to its answer (internal to this room).
 *
 *   frame ─► header ─► API table ─► decode into the arena ─► handle(r) … request_answer(r)
 *     └─ Envelope: the request inside ─► the same way, with the principal and address that it names
 *
 * A handler finds `message` decoded and `response` initialised; it fills `response` (memory from
 * the arena, or living until the answer was sent) and calls request_answer once, now or later. It
 * runs on the shard of the connection, alone may touch the request and its arena, and reaches other
 * shards by scatter.
 */
#pragma once

#include "broker/shard.h"
#include "network/network.h"
#include "protocol/protocol.h"

struct session;
struct broker_listener;
struct request;

struct broker_api {
    int16_t key;
    uint8_t listeners; /* LISTENER_BROKER, LISTENER_CONTROLLER: where it is served */
    void (*handle)(struct request *r);
    /* The connection is gone while the request waits: end it soon (request_answer is still called).
     * NULL: it ends by itself in bounded time. */
    void (*cancel)(struct request *r);
};
extern const struct broker_api broker_apis[];
extern const uint32_t broker_api_count;
/* NULL when not served on that kind of listener. */
const struct broker_api *broker_api_find(int16_t key, uint8_t listener);

struct request {
    struct conn_frame frame;           /* first: conn hands it back by this address */
    struct session *session;
    struct broker_shard *shard;
    const struct broker_api *api;
    const struct message *request_message, *response_message;
    int16_t version;
    int16_t key;
    int32_t correlation_id;
    struct str client_id;
    struct bytes body;
    void *message, *response;          /* from the arena */
    struct arena arena;
    struct list node;                  /* in session->requests while not answered */
    struct list scatters;              /* of this request, to be freed with it */
    bool begun, cancelled;
    bool unsent;                       /* session.c: it has its answer, which has not left yet */
    bool held, given;                  /* session_holds; conn has given it back meanwhile */
    bool unsupported_version;          /* ApiVersions only: answer in version 0 */
    void *state;                       /* the handler's own, from the arena */
    struct request *inner;             /* of an Envelope: the request that it brought; see api/envelope.c */
    struct request *envelope;          /* of such a one: the Envelope */
    void (*answered)(struct request *r); /* likewise: takes the answer, also that there is none (`cancelled`) */
    const struct principal *principal; /* whom an inner one is for, and from where; NULL: the session's */
    struct str host;
    struct group_ask *asked;           /* of groups_ask_one */
    void *batch;                       /* the questions of a request about several groups */

    /* For answers with records by reference: spans for each `records` field with n > 0 and p NULL,
     * in wire order, and what lets go of them once sent. */
    const struct log_spans *const *records;
    uint32_t records_count;
    void (*sent)(struct request *r);   /* the answer was sent or dropped; NULL: nothing to do */
};

/* `key` and `version` are known, and exist: `response` is there, and what it and `message` are. */
void request_prepare(struct request *r);
/* Read `body` into `message`. False: it cannot be read. */
bool request_decode(struct request *r);

/* Encode `response` and hand it to the connection. */
void request_answer(struct request *r);
/* No answer is due (Produce with acks=0). */
void request_answer_none(struct request *r);
/* Free what the request holds; its memory stays for the next one (for session.c). */
void request_deinit(struct request *r);

/* The request cannot be understood or answered: close its connection. */
void request_drop(struct request *r, const char *why);

const struct principal *request_principal(const struct request *r);
struct str request_host(const struct request *r);          /* the peer's address */
const struct broker_listener *request_listener(const struct request *r);

static inline bool request_authorize(const struct request *r, enum acl_operation operation,
                                     enum acl_resource resource, struct str name)
{
    return authorize(r->shard->authorizer, request_principal(r), request_host(r), operation,
                     resource, name);
}
static inline int32_t request_authorized_operations(const struct request *r,
                                                    enum acl_resource resource, struct str name)
{
    return authorized_operations(r->shard->authorizer, request_principal(r), request_host(r),
                                 resource, name);
}
