/* A node with the controller's role tells the active controller where it is and what it can (KIP-919), once in each
 * life, and again when another incarnation has come after it: beside the broker's own calls, which do not wait for
 * it. */
#include "node/internal.h"

#include <stdlib.h>

#include "protocol/controller_registration.h"

#define METADATA_VERSION_CONTROLLERS 15 /* 3.7-IV0: from here on metadata knows controllers */

struct controller_registration {
    struct own_call own;
    struct controller_registration_request request;
    struct controller_registration_response response;
};

static void again(struct io_timer *t)
{
    register_controller_when_due(container_of(t, struct node, controller_again));
}

static void refused(struct node *n, enum kerr error)
{
    if (n->controller_refusal != error && !n->quiet && !n->failed)
        say(n->telemetry, LOG_WARN, "node", "the controller cannot register itself: %s; trying on",
            kerr_name((int16_t)error));
    n->controller_refusal = error;
    if (n->quiet || n->failed)
        return;
    io_timer_set(n->io, &n->controller_again,
                 io_now_ns(n->io) + ask_backoff_ms(n, ++n->controller_attempts) * 1000000, again);
}

static void registered(struct own_call *c, enum kerr error)
{
    struct controller_registration *r = container_of(c, struct controller_registration, own);
    struct node *n = c->node;

    n->controller_calling = false;
    n->controller_registered = error == KERR_NONE;
    if (n->controller_registered && n->controller_since_ns == 0)
        n->controller_since_ns = io_now_ns(n->io);
    arena_deinit(&c->arena);
    free(r);
    if (error != KERR_NONE)
        refused(n, error);
    else
        register_controller_when_due(n); /* another one may be in the metadata already */
}

static bool is_due(const struct node *n)
{
    const struct image_controller *c;

    if (n->controller == NULL || n->controller_registered || n->controller_calling || n->failed || n->quiet ||
        io_timer_is_set(&n->controller_again) || image_metadata_version(n->loaded) < METADATA_VERSION_CONTROLLERS)
        return false;
    c = image_controller_find(n->loaded, n->options.node_id);
    return c == NULL || !uuid_equal(c->incarnation, n->incarnation);
}

/* ---- another process -------------------------------------------------------------------------------------- */

/* A controller's start is over before another one that lives has noticed it. */
#define NEW_FOR_NS INT64_C(60000000000)

static uint32_t rival_times_max(const struct node *n)
{
    bool is_new = !n->options.is_broker && io_now_ns(n->io) - n->controller_since_ns < NEW_FOR_NS;

    return n->starting != NULL || is_new ? RIVAL_TIMES_START_MAX : RIVAL_TIMES_MAX;
}

static void replaced(struct node *n, struct uuid by)
{
    struct fail why = {0};
    char id[UUID_TEXT_BYTES];

    n->controller_in_force = n->controller_registered = false;
    n->controller_rival_times = uuid_equal(by, n->controller_rival) ? n->controller_rival_times + 1 : 1;
    n->controller_rival = by;
    say(n->telemetry, LOG_WARN, "node",
        "another incarnation of this controller (%s) has registered: a request that came late, or another process with "
        "its node.id; this controller registers again", uuid_text(by, id));
    if (n->controller_rival_times <= rival_times_max(n))
        return;
    fail_set(&why, -EEXIST,
             "another process with node.id %d registers as a controller again and again: both would vote as one, and "
             "the quorum could not rely on its votes; stop one of them, or format it anew with a node.id of its own",
             n->options.node_id);
    node_fail(n, &why);
}

/* Two processes with one node.id, or one with a copy of the other's directory, would vote as one voter. Nobody locks
 * what another machine has, but each sees in the metadata that the other one has registered after it. */
static void look_for_rival(struct node *n)
{
    const struct image_controller *c;

    if (n->controller == NULL || n->failed || n->quiet)
        return;
    c = image_controller_find(n->loaded, n->options.node_id);
    if (c != NULL && n->controller_in_force && !n->controller_calling && !uuid_equal(c->incarnation, n->incarnation))
        replaced(n, c->incarnation);
}

void controller_registration_seen(struct node *n, const struct image_controller *c)
{
    n->controller_in_force = n->controller_in_force || (c != NULL && uuid_equal(c->incarnation, n->incarnation));
}

/* ---- the call --------------------------------------------------------------------------------------------- */

static void fill(struct controller_registration *r)
{
    const struct node_options *o = &r->own.node->options;
    struct controller_registration_request *m = &r->request;

    m->listeners_count = (int32_t)o->controller_listener_count;
    m->listeners = arena_take_array(&r->own.arena, o->controller_listener_count, sizeof *m->listeners);
    for (uint32_t i = 0; i < o->controller_listener_count; i++) {
        const struct listener *l = &o->controller_listeners[i];
        controller_registration_request_listeners_init(&m->listeners[i]);
        m->listeners[i].name = str_of(l->name);
        m->listeners[i].host = controller_host(l);
        m->listeners[i].port = l->port;
        m->listeners[i].security_protocol = (int16_t)l->protocol;
    }
    m->features_count = (int32_t)node_feature_count();
    m->features = arena_take_array(&r->own.arena, node_feature_count(), sizeof *m->features);
    for (uint32_t i = 0; i < node_feature_count(); i++) {
        struct image_feature f = node_feature_at(i);
        controller_registration_request_features_init(&m->features[i]);
        m->features[i].name = f.name;
        m->features[i].min_supported_version = f.min;
        m->features[i].max_supported_version = f.max;
    }
}

void register_controller_when_due(struct node *n)
{
    struct controller_registration *r;

    look_for_rival(n);
    if (!is_due(n))
        return;
    r = calloc(1, sizeof *r);
    ASSERT(r != NULL);
    own_call_init(&r->own, n, API_CONTROLLER_REGISTRATION, &r->request, &r->response, &r->response.error_code);
    r->own.done = registered;
    r->request.controller_id = n->options.node_id;
    r->request.incarnation_id = n->incarnation;
    fill(r);
    n->controller_calling = true;
    own_call_send(&r->own);
}

void controller_registration_stop(struct node *n)
{
    io_timer_clear(&n->controller_again);
}
