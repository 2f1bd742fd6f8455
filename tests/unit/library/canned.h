/* canned.h - a broker on a real socket that answers what a test says: for calls that our own server does not serve.
 *
 * It is node 1, and leader, controller and coordinator of everything: ApiVersions, Metadata and FindCoordinator it
 * answers itself. One at a time.
 */
#pragma once

#include "lab.h"
#include "protocol/protocol.h"

struct canned_request {
    int16_t api_key, version;
    const void *message;   /* the API's request struct */
    void *response;        /* its response struct, initialised: to be filled */
    struct arena *arena;   /* for what it points to */
};
/* Called by the broker's thread. */
typedef void canned_handler(const struct canned_request *q);

/* `lab->address` is where it listens; the rest of `lab` is zeroed. */
void canned_start(struct lab *lab, canned_handler *handler);
void canned_stop(void); /* clients have closed their connections */
/* With an admin that asks it. */
struct mr_admin *canned_admin(struct lab *lab, canned_handler *handler);
void canned_end(struct lab *lab, struct mr_admin *a);
