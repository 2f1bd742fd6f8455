/* broker/forward.h - requests that the active controller decides (internal).
 *
 *   any shard ─ message ─► home shard ─ node_forward ─► controller … committed, published ─► joined
 *                                     └ node_control, for what came by a controller's listener: this node or none
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

/* The request as it is. */
struct forward forward_of(struct request *r);

/* On the home shard, for a part of whoever has one: ask the controller; ends the part. */
void forward_part(struct scatter_part *part, struct forward *f);

/* Ask the controller. `f` comes from the request's arena; `joined` finds it in scatter->state. */
void forward_ask(struct request *r, struct forward *f, void (*joined)(struct scatter *s));

/* The request as it is, answered with the controller's answer; `failed` sets an error in the response when there is
 * no controller to ask. */
void forward_whole(struct request *r, void (*failed)(struct request *r, enum kerr error));

/* Home shard: from now on who asks is told NOT_CONTROLLER, because the node is about to be closed. Completes when nobody
 * waits for it any more. */
void forward_rest(struct broker *b, struct op *op);
