#include "broker/forward.h"

static void call_ready(struct controller_call *call, enum kerr error)
{
    struct forward *f = container_of(call, struct forward, call);

    f->error = error;
    scatter_part_done(f->part);
}

/* On the home shard. */
static void part_forward(struct scatter_part *part)
{
    struct forward *f = part->items[0];
    const struct request *r = part->scatter->request;
    struct io *io = part->shard->io;

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
    node_forward(part->shard->broker->node, &f->call);
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

    whole->forward = (struct forward){
        .api_key = r->key,
        .api_version = r->version,
        .request = r->message,
        .response = r->response,
    };
    whole->failed = failed;
    forward_ask(r, &whole->forward, whole_joined);
}
