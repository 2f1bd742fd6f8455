/* The broker registers: with whoever leads, until it is taken or time is up (KIP-631). */
#include "node/internal.h"

#include <stdlib.h>

#include "protocol/broker_registration.h"

struct registration {
    struct own_call own;
    struct broker_registration_request request;
    struct broker_registration_response response;
};

static void fill_listeners(struct registration *r)
{
    const struct node_options *o = &r->own.node->options;
    struct broker_registration_request *m = &r->request;

    m->listeners_count = (int32_t)o->advertised_count;
    m->listeners = arena_take_array(&r->own.arena, o->advertised_count, sizeof *m->listeners);
    for (uint32_t i = 0; i < o->advertised_count; i++) {
        broker_registration_request_listeners_init(&m->listeners[i]);
        m->listeners[i].name = str_of(o->advertised[i].name);
        m->listeners[i].host = str_of(o->advertised[i].host);
        m->listeners[i].port = o->advertised[i].port;
        m->listeners[i].security_protocol = (int16_t)o->advertised[i].protocol;
    }
}

static void fill_features(struct registration *r)
{
    struct broker_registration_request *m = &r->request;
    uint32_t n = node_feature_count();

    m->features_count = (int32_t)n;
    m->features = arena_take_array(&r->own.arena, n, sizeof *m->features);
    for (uint32_t i = 0; i < n; i++) {
        struct image_feature f = node_feature_at(i);
        broker_registration_request_features_init(&m->features[i]);
        m->features[i].name = f.name;
        m->features[i].min_supported_version = f.min;
        m->features[i].max_supported_version = f.max;
    }
}

static void fill_dirs(struct registration *r)
{
    const struct node_options *o = &r->own.node->options;
    struct broker_registration_request *m = &r->request;

    m->log_dirs = arena_take_array(&r->own.arena, o->dir_count, sizeof *m->log_dirs);
    for (uint32_t i = 0; i < o->dir_count; i++) {
        if (log_dir_is_online(o->dirs[i]))
            m->log_dirs[m->log_dirs_count++] = o->dirs[i]->directory_id;
    }
}

/* What no time changes. An older incarnation's session ends (DUPLICATE_BROKER_REGISTRATION), a controller in trouble
 * recovers. */
static bool is_final(enum kerr error)
{
    return error != KERR_NONE && !kerr_is_retriable((int16_t)error) && error != KERR_NOT_CONTROLLER &&
           error != KERR_DUPLICATE_BROKER_REGISTRATION && error != KERR_UNKNOWN_SERVER_ERROR;
}

/* Nodes that are started together come one after the other, and then elect: that is no news for so long. */
#define TOGETHER_MS 10000

static void say_unreachable(struct node *n)
{
    bool early = io_now_ns(n->io) - n->began_ns < TOGETHER_MS * INT64_C(1000000);
    int32_t leader, epoch;

    if (n->waits_said && early)
        return;
    quorum_leader(n->quorum, &leader, &epoch);
    if (early) {
        n->waits_said = true;
        say(n->telemetry, LOG_INFO, "node", "this broker waits for a controller to register with");
        return;
    }
    n->refusal = KERR_NOT_CONTROLLER;
    if (leader < 0)
        say(n->telemetry, LOG_WARN, "node",
            "this broker's registration waits: no active controller is known; see that a majority of the controllers "
            "(controller.quorum.voters, controller.quorum.bootstrap.servers) runs and can be reached. Trying on, up to "
            "initial.broker.registration.timeout.ms");
    else
        say(n->telemetry, LOG_WARN, "node",
            "this broker's registration waits: the active controller, node %" PRId32 ", does not answer; see that it "
            "can be reached. Trying on, up to initial.broker.registration.timeout.ms", leader);
}

static void say_why(struct node *n, enum kerr error)
{
    if (error == KERR_REQUEST_TIMED_OUT)
        error = KERR_NOT_CONTROLLER; /* as much is known of either */
    if (n->refusal == error)
        return;
    if (error == KERR_NOT_CONTROLLER) {
        say_unreachable(n);
        return;
    }
    n->refusal = error;
    say(n->telemetry, LOG_WARN, "node", "the controller does not register this broker yet: %s%s", kerr_name((int16_t)error),
        error == KERR_DUPLICATE_BROKER_REGISTRATION ? "; another process with its node.id was heard of shortly before" : "");
}

static void registered(struct own_call *c, enum kerr error)
{
    struct registration *r = container_of(c, struct registration, own);
    struct node *n = c->node;
    struct fail why = {0};

    n->calling = false;
    if (error == KERR_NONE && r->response.broker_epoch < 0)
        error = KERR_UNKNOWN_SERVER_ERROR;
    if (error == KERR_NONE) {
        n->broker_epoch = r->response.broker_epoch;
        n->attempts = 0;
        n->refusal = KERR_NONE;
        io_timer_clear(&n->register_limit);
        n->heard_ns = io_now_ns(n->io);
        membership_pulse(n, 0); /* at once: it may be unfenced */
    } else if (n->failed || n->state == BROKER_SHUTTING_DOWN) {
        /* nobody asks any more */
    } else if (n->broker_epoch >= 0) { /* the one that is in force stays so */
        say_why(n, error);
        membership_pulse(n, ask_backoff_ms(n, ++n->attempts));
    } else if (error == KERR_INCONSISTENT_CLUSTER_ID) {
        fail_set(&why, -EINVAL,
                 "the controller refuses to register this broker: %s; the broker belongs to cluster %.*s "
                 "(meta.properties of its log directories), the controller to another one, as its log says: ask this "
                 "cluster's controllers, or format the broker for that cluster",
                 kerr_name((int16_t)error), STR_ARG(n->options.cluster_id));
    } else if (is_final(error)) {
        fail_set(&why, -EINVAL,
                 "the controller refuses to register this broker: %s; another broker may have its "
                 "node.id, or the cluster may have features that this version does not know",
                 kerr_name((int16_t)error));
    } else {
        say_why(n, error);
        membership_pulse(n, ask_backoff_ms(n, ++n->attempts));
    }
    arena_deinit(&c->arena);
    free(r);
    if (why.error < 0) {
        node_fail(n, &why);
        return;
    }
    assign_advance(n);
    membership_advance(n);
}

void register_broker(struct node *n)
{
    const struct node_options *o = &n->options;
    struct registration *r = calloc(1, sizeof *r);

    ASSERT(r != NULL);
    own_call_init(&r->own, n, API_BROKER_REGISTRATION, &r->request, &r->response, &r->response.error_code);
    r->own.done = registered;
    r->request.broker_id = o->node_id;
    r->request.cluster_id = o->cluster_id;
    r->request.incarnation_id = n->incarnation;
    r->request.rack = config_str(o->settings, BROKER_BROKER_RACK);
    r->request.previous_broker_epoch = o->previous_broker_epoch;
    fill_listeners(r);
    fill_features(r);
    fill_dirs(r);
    n->calling = true;
    own_call_send(&r->own);
}

/* ---- another process -------------------------------------------------------------------------------------------- */

static const struct log_dir *dir_in_common(const struct node *n, const struct image_broker *b)
{
    const struct node_options *o = &n->options;

    for (uint32_t i = 0; i < o->dir_count; i++) {
        for (int32_t j = 0; j < b->directory_count; j++) {
            if (log_dir_is_online(o->dirs[i]) && uuid_equal(b->directories[j], o->dirs[i]->directory_id))
                return o->dirs[i];
        }
    }
    return NULL;
}

static const struct image_broker *rival(const struct node *n)
{
    const struct image_broker *b = image_broker_find(n->loaded, n->options.node_id);

    if (b == NULL || b->epoch <= n->broker_epoch || uuid_equal(b->incarnation, n->incarnation))
        return NULL;
#ifdef MUTANT_NODE_STAYS_REPLACED
    return NULL;
#endif
    return b;
}

static void give_up(struct node *n, const struct log_dir *dir)
{
    struct fail why = {0};

    fail_set(&why, -EEXIST,
             "another process with node.id %d and a copy of the log directory %s registers again and again: a log "
             "directory must not be copied to a second broker; stop one of them", n->options.node_id, dir->path);
    node_fail(n, &why);
}

/* This process holds the locks of its directories. Who has registered with one of them since is dead, and the network
 * has delivered its request late; or it has a copy, and then one of both ends when it sees that the other one stays. */
bool register_again(struct node *n)
{
    const struct image_broker *b = rival(n);
    const struct log_dir *dir = b == NULL ? NULL : dir_in_common(n, b);
    char id[UUID_TEXT_BYTES];

    if (dir == NULL)
        return false;
    if (b->epoch != n->rival_epoch) {
        n->rival_times = uuid_equal(b->incarnation, n->rival) ? n->rival_times + 1 : 1;
        n->rival = b->incarnation;
        n->rival_epoch = b->epoch;
        io_timer_clear(&n->pulse);
        say(n->telemetry, LOG_WARN, "node",
            "another incarnation of this broker (%s) has registered with its log directory %s: a request that came "
            "late, or another process with a copy; this broker registers again",
            uuid_text(b->incarnation, id), dir->path);
    }
    if (n->rival_times > (n->starting != NULL ? RIVAL_TIMES_START_MAX : RIVAL_TIMES_MAX))
        give_up(n, dir);
    else if (!io_timer_is_set(&n->pulse))
        register_broker(n);
    return true;
}

/* ---- in time -------------------------------------------------------------------------------------------------- */

static void register_limit_fired(struct io_timer *t)
{
    struct node *n = container_of(t, struct node, register_limit);
    const char *obstacle = n->quorum == NULL ? NULL : quorum_obstacle(n->quorum);
    struct fail why = {0};

    fail_set(&why, -ETIMEDOUT,
             "this broker could not register with the controller quorum within "
             "initial.broker.registration.timeout.ms (%" PRId64 "): %s",
             config_i64(n->options.settings, BROKER_INITIAL_BROKER_REGISTRATION_TIMEOUT_MS),
             obstacle != NULL ? obstacle : "see that the controllers run and can be reached");
    node_fail(n, &why);
}

void register_limit(struct node *n)
{
    int64_t most_ms = config_i64(n->options.settings, BROKER_INITIAL_BROKER_REGISTRATION_TIMEOUT_MS);

    n->began_ns = io_now_ns(n->io);
    io_timer_set(n->io, &n->register_limit, io_now_ns(n->io) + most_ms * 1000000, register_limit_fired);
}
