/* Blocks of producer ids: each is asked for when it is needed (AllocateProducerIds). */
#include "node/internal.h"

#include <stdlib.h>

#include "protocol/allocate_producer_ids.h"

struct allocation {
    struct own_call own;
    struct allocate_producer_ids_request request;
    struct allocate_producer_ids_response response;
    struct producer_id_block *out;
    struct op *op;
};

static void allocated(struct own_call *c, enum kerr error)
{
    struct allocation *a = container_of(c, struct allocation, own);
    struct op *op = a->op;
    int64_t result = -EAGAIN; /* whoever asks may ask again */

    if (error == KERR_NONE && a->response.producer_id_start >= 0 && a->response.producer_id_len > 0) {
        a->out->first = a->response.producer_id_start;
        a->out->count = a->response.producer_id_len;
        result = 0;
    }
    arena_deinit(&c->arena);
    free(a);
    op->done(op, result);
}

void node_allocate_producer_ids(struct node *n, struct producer_id_block *out, struct op *op)
{
    struct allocation *a = calloc(1, sizeof *a);

    ASSERT(a != NULL);
    own_call_init(&a->own, n, API_ALLOCATE_PRODUCER_IDS, &a->request, &a->response, &a->response.error_code);
    a->out = out;
    a->op = op;
    a->own.done = allocated;
    a->request.broker_id = n->options.node_id;
    a->request.broker_epoch = n->broker_epoch;
    own_call_send(&a->own);
}
