#include "broker/forward.h"

#include "broker/session.h"

/* ---- on the home shard ------------------------------------------------------------------------- */

static void tell_when_rested(struct broker *b)
{
    struct op *op = b->forwards_rested;

    if (op == NULL || b->forwards > 0)
        return;
    b->forwards_rested = NULL;
    io_yield(b->shards[0].io, op);
}

void forward_rest(struct broker *b, struct op *op)
{
    b->forwards_refused = true;
    b->forwards_rested = op;
    tell_when_rested(b);
}

static void call_ready(struct controller_call *call, enum kerr error)
{
    struct forward *f = container_of(call, struct forward, call);
    struct scatter_part *part = f->part;
    struct broker *b = part->shard->broker;

    f->error = error;
    b->forwards--;
    scatter_part_done(part);
    tell_when_rested(b);
}

void forward_part(struct scatter_part *part, struct forward *f)
{
    const struct request *r = part->scatter->request;
    struct broker *b = part->shard->broker;
    struct io *io = part->shard->io;

    if (b->forwards_refused) {
        f->error = KERR_NOT_CONTROLLER;
        scatter_part_done(part);
        return;
    }
    b->forwards++;
    f->part = part;
    f->call = (struct controller_call){
        .api_key = f->api_key,
        .api_version = f->api_version,
        .request = f->request,
        .response = f->response,
        .arena = &part->arena,
        .principal = request_principal(r),
        .authorizer = part->shard->authorizer,
        .client_id = r->client_id,
        .host = request_host(r),
        .now_ms = io_now_ms(io),
        .wall_ms = io_wall_ms(io),
        .ready = call_ready,
    };
    if (request_listener(r)->kind == LISTENER_CONTROLLER)
        node_control(b->node, &f->call);
    else
        node_forward(b->node, &f->call);
}

static void part_forward(struct scatter_part *part)
{
    forward_part(part, part->items[0]);
}

/* ---- on the request's shard -------------------------------------------------------------------- */

struct forward forward_of(struct request *r)
{
    return (struct forward){
        .api_key = r->key,
        .api_version = r->version,
        .request = r->message,
        .response = r->response,
    };
}

void forward_ask(struct request *r, struct forward *f, void (*joined)(struct scatter *s))
{
    struct scatter *s = scatter_new(r, part_forward, joined);

    s->state = f;
    scatter_add(s, 0, f);
    scatter_run(s);
}

struct forward_request {
    struct forward forward;
    void (*failed)(struct request *r, enum kerr error);
};

static void whole_joined(struct scatter *s)
{
    struct forward_request *whole = container_of(s->state, struct forward_request, forward);

    if (whole->forward.error != KERR_NONE)
        whole->failed(s->request, whole->forward.error);
    request_answer(s->request);
}

void forward_whole(struct request *r, void (*failed)(struct request *r, enum kerr error))
{
    struct forward_request *whole = arena_take(&r->arena, sizeof *whole);

    whole->forward = forward_of(r);
    whole->failed = failed;
    forward_ask(r, &whole->forward, whole_joined);
}
