/* broker/forward.h - requests that the active controller decides (internal).
 *
 *   any shard ─ message ─► home shard ─ node_forward ─► controller … committed, published ─► joined
 */
#pragma once

#include "broker/scatter.h"
#include "controller/controller.h"

struct forward {
    int16_t api_key, api_version;
    const void *request; /* decoded */
    void *response;      /* initialised; filled */
    enum kerr error;     /* the whole request failed so; `response` says nothing then */
    struct controller_call call;
    struct scatter_part *part;
};

/* Ask the controller. `f` comes from the request's arena; `joined` finds it in scatter->state. */
void forward_ask(struct request *r, struct forward *f, void (*joined)(struct scatter *s));

/* The request as it is, answered with the controller's answer; `failed` sets an error in the response when there is
 * no controller to ask. */
void forward_whole(struct request *r, void (*failed)(struct request *r, enum kerr error));
