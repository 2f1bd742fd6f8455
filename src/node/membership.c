/* The broker registers, is unfenced, lives by heartbeats, and leaves; the controller registers
 * itself.
 *
 *   STARTING ─ registered, record seen ─► first image published: RECOVERY ─ unfenced ─► RUNNING
 *      RUNNING ─ node_leave ─► PENDING_CONTROLLED_SHUTDOWN
 *                              ─ the controller lets go, or time is up ─► SHUTTING_DOWN
 *
 * One call is with the controller at a time.
 */
#include "node/internal.h"

#include <stdlib.h>

#include "protocol/broker_heartbeat.h"
#include "protocol/broker_registration.h"
#include "protocol/controller_registration.h"

/* Before the broker runs it asks again as soon as the last answer is there; this is for when
 * nothing moves. */
#define STARTING_PULSE_MS 10
#define LEAVING_PULSE_MS 50
/* How long a controlled shutdown may take before the broker stops without the controller's word; as
 * long as Kafka waits. */
#define LEAVE_MS_MAX 300000

/* One request of ours to the controller, with all its memory. */
struct membership_call {
    struct node *node;
    struct arena arena;
    struct controller_call call;
    uint32_t offline; /* log directories that a heartbeat says have failed */
    union {
        struct broker_registration_request registration;
        struct broker_heartbeat_request heartbeat;
        struct controller_registration_request controller;
    } request;
    union {
        struct broker_registration_response registration;
        struct broker_heartbeat_response heartbeat;
        struct controller_registration_response controller;
    } response;
};

static void set_state(struct node *n, enum broker_state state)
{
    n->state = state;
    n->options.state(n->options.ctx, state);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static struct membership_call *call_new(struct node *n, int16_t api_key, int16_t version,
                                        void (*ready)(struct controller_call *call,
                                                      enum kerr error))
{
    struct membership_call *c = calloc(1, sizeof *c);

    ASSERT(c != NULL);
    c->node = n;
    arena_init(&c->arena, 0);
    c->call = (struct controller_call){
        .api_key = api_key,
        .api_version = version,
        .request = &c->request,
        .response = &c->response,
        .arena = &c->arena,
        .principal = &principal_anonymous,
        .authorizer = &authorizer_allow_all,
        .now_ms = io_now_ms(n->io),
        .wall_ms = io_wall_ms(n->io),
        .ready = ready,
    };
    return c;
}

static void call_send(struct membership_call *c)
{
    struct node *n = c->node;

    n->calling = true;
    controller_handle(n->controller, &c->call);
    node_wind(n);
}

static void call_free(struct membership_call *c)
{
    c->node->calling = false;
    arena_deinit(&c->arena);
    free(c);
}

static void pulse_fired(struct io_timer *t)
{
    membership_advance(container_of(t, struct node, pulse));
}

static void pulse_in(struct node *n, int64_t ms)
{
    if (n->state == BROKER_SHUTTING_DOWN || n->failed)
        return;
    io_timer_set(n->io, &n->pulse, io_now_ns(n->io) + ms * 1000000, pulse_fired);
}

/* ---- registration ---------------------------------------------------------------------------- */

static void fill_listeners(struct membership_call *c)
{
    const struct node_options *o = &c->node->options;
    struct broker_registration_request *m = &c->request.registration;

    m->listeners_count = (int32_t)o->advertised_count;
    m->listeners = arena_take_array(&c->arena, o->advertised_count, sizeof *m->listeners);
    for (uint32_t i = 0; i < o->advertised_count; i++) {
        broker_registration_request_listeners_init(&m->listeners[i]);
        m->listeners[i].name = str_of(o->advertised[i].name);
        m->listeners[i].host = str_of(o->advertised[i].host);
        m->listeners[i].port = o->advertised[i].port;
        m->listeners[i].security_protocol = (int16_t)o->advertised[i].protocol;
    }
}

static void fill_features(struct membership_call *c)
{
    struct broker_registration_request *m = &c->request.registration;
    uint32_t n = node_feature_count();

    m->features_count = (int32_t)n;
    m->features = arena_take_array(&c->arena, n, sizeof *m->features);
    for (uint32_t i = 0; i < n; i++) {
        struct image_feature f = node_feature_at(i);
        broker_registration_request_features_init(&m->features[i]);
        m->features[i].name = f.name;
        m->features[i].min_supported_version = f.min;
        m->features[i].max_supported_version = f.max;
    }
}

static void fill_dirs(struct membership_call *c)
{
    const struct node_options *o = &c->node->options;
    struct broker_registration_request *m = &c->request.registration;

    m->log_dirs = arena_take_array(&c->arena, o->dir_count, sizeof *m->log_dirs);
    for (uint32_t i = 0; i < o->dir_count; i++) {
        if (log_dir_is_online(o->dirs[i]))
            m->log_dirs[m->log_dirs_count++] = o->dirs[i]->directory_id;
    }
}

static void registered(struct controller_call *call, enum kerr error)
{
    struct membership_call *c = container_of(call, struct membership_call, call);
    struct node *n = c->node;
    struct fail why = {0};

    if (error == KERR_NONE)
        error = (enum kerr)c->response.registration.error_code;
    if (error == KERR_NONE) {
        n->broker_epoch = c->response.registration.broker_epoch;
        io_timer_clear(&n->register_limit);
        assign_advance(n);
    } else if (!kerr_is_retriable((int16_t)error) && error != KERR_NOT_CONTROLLER) {
        fail_set(&why, -EINVAL,
                 "the controller refuses to register this broker: %s; another broker may have its "
                 "node.id, or the cluster may have features that this version does not know",
                 kerr_name((int16_t)error));
    }
    call_free(c);
    if (why.error < 0)
        node_fail(n, &why);
    else if (n->broker_epoch < 0)
        pulse_in(n, STARTING_PULSE_MS);
    else
        membership_advance(n);
}

static void register_limit_fired(struct io_timer *t)
{
    struct node *n = container_of(t, struct node, register_limit);
    struct fail why = {0};

    fail_set(&why, -ETIMEDOUT,
             "this broker could not register with the controller quorum within "
             "initial.broker.registration.timeout.ms (%" PRId64
             "): see that the controllers run and can be reached",
             config_i64(n->options.settings, BROKER_INITIAL_BROKER_REGISTRATION_TIMEOUT_MS));
    node_fail(n, &why);
}

void membership_begin(struct node *n)
{
    int64_t most_ms = config_i64(n->options.settings, BROKER_INITIAL_BROKER_REGISTRATION_TIMEOUT_MS);

    if (n->options.is_broker)
        io_timer_set(n->io, &n->register_limit, io_now_ns(n->io) + most_ms * 1000000,
                     register_limit_fired);
}

static void register_broker(struct node *n)
{
    const struct node_options *o = &n->options;
    struct membership_call *c = call_new(n, API_BROKER_REGISTRATION,
                                         broker_registration_request_message.high, registered);
    struct broker_registration_request *m = &c->request.registration;

    broker_registration_request_init(m);
    broker_registration_response_init(&c->response.registration);
    m->broker_id = o->node_id;
    m->cluster_id = o->cluster_id;
    m->incarnation_id = n->incarnation;
    m->rack = config_str(o->settings, BROKER_BROKER_RACK);
    m->previous_broker_epoch = o->previous_broker_epoch;
    fill_listeners(c);
    fill_features(c);
    fill_dirs(c);
    call_send(c);
}

/* ---- the controller registers itself (KIP-919) ----------------------------------------------- */

static void controller_registered(struct controller_call *call, enum kerr error)
{
    struct membership_call *c = container_of(call, struct membership_call, call);
    struct node *n = c->node;

    if (error == KERR_NONE)
        error = (enum kerr)c->response.controller.error_code;
    n->controller_registered = error == KERR_NONE;
    if (error != KERR_NONE)
        say(n->telemetry, LOG_WARN, "node", "the controller cannot register itself: %s",
            kerr_name((int16_t)error));
    call_free(c);
    if (n->controller_registered)
        membership_advance(n);
    else
        pulse_in(n, STARTING_PULSE_MS);
}

static bool needs_controller_registration(const struct node *n)
{
    const struct image_controller *c;

    if (n->controller_registered || n->controller == NULL || image_metadata_version(n->loaded) < 15)
        return false;
    c = image_controller_find(n->loaded, n->options.node_id);
    return c == NULL || !uuid_equal(c->incarnation, n->incarnation);
}

static void register_controller(struct node *n)
{
    const struct node_options *o = &n->options;
    struct membership_call *c =
        call_new(n, API_CONTROLLER_REGISTRATION, controller_registration_request_message.high,
                 controller_registered);
    struct controller_registration_request *m = &c->request.controller;

    controller_registration_request_init(m);
    controller_registration_response_init(&c->response.controller);
    m->controller_id = o->node_id;
    m->incarnation_id = n->incarnation;
    m->listeners_count = (int32_t)o->controller_listener_count;
    m->listeners = arena_take_array(&c->arena, o->controller_listener_count, sizeof *m->listeners);
    for (uint32_t i = 0; i < o->controller_listener_count; i++) {
        const struct listener *l = &o->controller_listeners[i];
        controller_registration_request_listeners_init(&m->listeners[i]);
        m->listeners[i].name = str_of(l->name);
        m->listeners[i].host = str_of(l->host);
        m->listeners[i].port = l->port;
        m->listeners[i].security_protocol = (int16_t)l->protocol;
    }
    m->features_count = (int32_t)node_feature_count();
    m->features = arena_take_array(&c->arena, node_feature_count(), sizeof *m->features);
    for (uint32_t i = 0; i < node_feature_count(); i++) {
        struct image_feature f = node_feature_at(i);
        controller_registration_request_features_init(&m->features[i]);
        m->features[i].name = f.name;
        m->features[i].min_supported_version = f.min;
        m->features[i].max_supported_version = f.max;
    }
    call_send(c);
}

/* ---- heartbeats ------------------------------------------------------------------------------ */

void membership_rest(struct node *n)
{
    struct op *op = n->left;

    n->left = NULL;
    op->done(op, 0);
}

/* In a turn of its own, because the controller may be at work below left(). */
static void rest(struct op *op, int64_t result)
{
    struct node *n = container_of(op, struct node, resting);

    n->quiet = true;
    io_timer_clear(&n->tick);
    io_timer_clear(&n->offline_limit);
    assign_stop(n);
    if (n->controller != NULL && controller_is_active(n->controller))
        controller_resign(n->controller);
    publisher_answer_all(n);
    if (n->publishing == NULL)
        membership_rest(n);
}

static void left(struct node *n)
{
    io_timer_clear(&n->pulse);
    io_timer_clear(&n->register_limit);
    io_timer_clear(&n->leave_limit);
    set_state(n, BROKER_SHUTTING_DOWN);
    op_init(&n->resting, rest);
    io_yield(n->io, &n->resting);
}

static void beat(struct controller_call *call, enum kerr error)
{
    struct membership_call *c = container_of(call, struct membership_call, call);
    struct node *n = c->node;
    struct broker_heartbeat_response *a = &c->response.heartbeat;
    bool ok = error == KERR_NONE && a->error_code == KERR_NONE;
    bool unfenced = ok && !a->is_fenced, may_stop = ok && a->should_shut_down;

    if (!ok && n->state != BROKER_SHUTTING_DOWN)
        say(n->telemetry, LOG_WARN, "node",
            "the controller does not take this broker's heartbeat: %s",
            kerr_name(error == KERR_NONE ? a->error_code : (int16_t)error));
    if (ok)
        offline_told(n, c->offline);
    call_free(c);
    if (n->state == BROKER_SHUTTING_DOWN)
        return;
    if (n->left != NULL) {
        if (may_stop)
            left(n);
        else
            pulse_in(n, LEAVING_PULSE_MS);
        return;
    }
    if (n->state == BROKER_RECOVERY && unfenced)
        n->unfenced = true;
    if (ok && n->offline_told < offline_count(n)) /* one failed meanwhile */
        membership_advance(n);
    else if (n->state == BROKER_RUNNING || !ok)
        pulse_in(n, n->state == BROKER_RUNNING
                        ? config_i64(n->options.settings, BROKER_BROKER_HEARTBEAT_INTERVAL_MS)
                        : STARTING_PULSE_MS);
    else
        membership_advance(n);
}

static void fill_offline(struct membership_call *c)
{
    const struct node_options *o = &c->node->options;
    struct broker_heartbeat_request *m = &c->request.heartbeat;

    m->offline_log_dirs = arena_take_array(&c->arena, o->dir_count, sizeof *m->offline_log_dirs);
    for (uint32_t i = 0; i < o->dir_count; i++) {
        if (!log_dir_is_online(o->dirs[i]))
            m->offline_log_dirs[m->offline_log_dirs_count++] = o->dirs[i]->directory_id;
    }
    c->offline = (uint32_t)m->offline_log_dirs_count;
}

static void send_heartbeat(struct node *n)
{
    struct membership_call *c =
        call_new(n, API_BROKER_HEARTBEAT, broker_heartbeat_request_message.high, beat);
    struct broker_heartbeat_request *m = &c->request.heartbeat;

    broker_heartbeat_request_init(m);
    broker_heartbeat_response_init(&c->response.heartbeat);
    m->broker_id = n->options.node_id;
    m->broker_epoch = n->broker_epoch;
    m->current_metadata_offset = n->published == NULL ? -1 : image_offset(n->published);
    m->want_fence = n->published == NULL;
    m->want_shut_down = n->left != NULL;
    fill_offline(c);
    call_send(c);
}

/* ---- what is next ---------------------------------------------------------------------------- */

/* The broker serves: it is unfenced, and its clients can see that. */
static void run(struct node *n)
{
    struct op *op = n->starting;

    set_state(n, BROKER_RUNNING);
    pulse_in(n, config_i64(n->options.settings, BROKER_BROKER_HEARTBEAT_INTERVAL_MS));
    n->starting = NULL;
    if (op != NULL)
        io_complete(n->io, op, 0);
}

static bool sees_itself_unfenced(const struct node *n)
{
    const struct image_broker *b =
        n->published == NULL ? NULL : image_broker_find(n->published, n->options.node_id);

    return b != NULL && b->epoch == n->broker_epoch && !b->fenced;
}

static bool sees_its_registration(const struct node *n)
{
    return image_offset(n->loaded) >= n->broker_epoch;
}

/* A controller that is no broker runs when its first image is shown. */
static void run_controller(struct node *n)
{
    if (n->state != BROKER_STARTING)
        return;
    n->may_publish = true;
    publisher_advance(n);
    if (n->published != NULL)
        run(n);
}

void membership_advance(struct node *n)
{
    if (n->calling || n->failed || n->state == BROKER_SHUTTING_DOWN || n->controller == NULL ||
        !controller_is_active(n->controller))
        return;
    if (needs_controller_registration(n)) {
        register_controller(n);
        return;
    }
    if (!n->options.is_broker) {
        run_controller(n);
        return;
    }
    if (n->broker_epoch < 0) {
        register_broker(n);
        return;
    }
    if (n->left != NULL) {
        send_heartbeat(n);
        return;
    }
    /* The first image that the shards get has this registration in it. */
    if (n->state == BROKER_STARTING && sees_its_registration(n)) {
        set_state(n, BROKER_RECOVERY);
        n->may_publish = true;
        publisher_advance(n);
        return;
    }
    if (n->state == BROKER_RECOVERY && n->published == NULL)
        return; /* the logs are loading */
    if (n->state == BROKER_RECOVERY && n->unfenced) {
        if (sees_itself_unfenced(n))
            run(n);
        return; /* the image that says so is on its way */
    }
    if (n->state == BROKER_STARTING)
        return; /* its record is on its way */
    if (n->state == BROKER_RECOVERY || !io_timer_is_set(&n->pulse))
        send_heartbeat(n);
}

void membership_fail(struct node *n)
{
    io_timer_clear(&n->pulse);
    io_timer_clear(&n->register_limit);
    io_timer_clear(&n->offline_limit);
    assign_stop(n);
    if (n->state == BROKER_PENDING_CONTROLLED_SHUTDOWN)
        left(n);
}

static void leave_limit_fired(struct io_timer *t)
{
    struct node *n = container_of(t, struct node, leave_limit);

    say(n->telemetry, LOG_WARN, "node",
        "the controller did not let this broker go in time: it stops all the same");
    left(n);
}

void node_leave(struct node *n, bool controlled, struct op *op)
{
    n->left = op;
    if (!controlled || n->failed || n->broker_epoch < 0) {
        left(n);
        return;
    }
    set_state(n, BROKER_PENDING_CONTROLLED_SHUTDOWN);
    io_timer_clear(&n->pulse);
    io_timer_set(n->io, &n->leave_limit, io_now_ns(n->io) + LEAVE_MS_MAX * INT64_C(1000000),
                 leave_limit_fired);
    membership_advance(n);
}
