/* The listeners of a start: each is bound on every shard, and its real port is known, before
 * clients are let in. */
#include "broker/start.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/everywhere.h"

static struct broker_listener *listener_new(struct broker_shard *shard, const struct listener *at)
{
    const struct config *c = shard->broker->options.settings;
    struct broker_listener *l = calloc(1, sizeof *l);

    ASSERT(l != NULL);
    l->shard = shard;
    l->bound = at;
    l->kind = config_is_controller_listener(c, str_of(at->name)) ? LISTENER_CONTROLLER
                                                                 : LISTENER_BROKER;
    list_add_tail(&shard->listeners, &l->node);
    return l;
}

static void listen_on(struct life *l, struct broker_shard *shard, struct op *op)
{
    const struct listener *at = &l->broker->listeners[l->listener];

    listener_open(listener_new(shard, at), &l->address,
                  shard->index == 0 ? &l->bound : &shard->bound, op);
}

/* Every shard but the first, which has found the port already. */
static void listen_other(struct broker_shard *shard, void *ctx, struct op *op)
{
    if (shard->index == 0)
        io_complete(shard->io, op, 0);
    else
        listen_on(ctx, shard, op);
}

static void begin_listener(struct life *l)
{
    const struct listener *at = &l->broker->listeners[l->listener];

    l->has_listeners = true;
    snprintf(l->address.host, sizeof l->address.host, "%s", at->host);
    l->address.port = at->port;
}

/* Shards share a port (SO_REUSEPORT), and the kernel would share it with another process that does
 * so, too: see first that it is free. */
static void begin_probe(struct life *l)
{
    io_listen(l->broker->shards[0].io, &l->address, NULL, &l->probe, &l->bound, &l->stage.op);
}

/* The real port is known: it is what is told to clients where the setting said 0. */
static void listens(struct life *l)
{
    struct broker *b = l->broker;
    struct listener *at = &b->listeners[l->listener];

    at->port = l->bound.port;
    l->address.port = l->bound.port;
    for (uint32_t i = 0; i < b->advertised_count; i++) {
        struct listener *told = &b->advertised[i];
        if (strcmp(told->name, at->name) == 0 && told->port == 0)
            told->port = at->port;
    }
}

static void listen_failed(struct life *l, int64_t rc)
{
    const struct listener *at = &l->broker->listeners[l->listener];

    fail_set(l->fail, (int)rc,
             "cannot listen on %s://%s:%u: %s; choose another port in listeners, or stop "
             "what uses it",
             at->name, at->host, at->port, error_text((int)rc));
}

static void listeners_run(struct flow *f)
{
    struct life *l = container_of(f, struct life, stage);
    struct broker *b = l->broker;

    FLOW_BEGIN(f);
    for (l->listener = 0; l->listener < b->listener_count; l->listener++) {
        begin_listener(l);
        if (b->shard_count > 1) {
            FLOW_TRY(f, "probe", begin_probe(l));
            l->address.port = l->bound.port;
            FLOW_WAIT(f, "end the probe", io_listener_close(l->probe, &f->op));
        }
        FLOW_TRY(f, "listen", listen_on(l, &b->shards[0], &f->op));
        listens(l);
        FLOW_TRY(f, "listen on every shard", everywhere(b, listen_other, l, &f->op));
    }
    FLOW_END(f);
    flow_done(f, 0);
    return;
failed:
    listen_failed(l, f->result);
    flow_done(f, f->result);
}

void start_listeners(struct life *l, struct op *op)
{
    flow_start(&l->stage, listeners_run, op);
}
