/* Heartbeats: that this broker lives, how far it has come, which directories it has lost, whether it wants to go
 * (KIP-631). What is wrong is said once; they go on to whoever leads, because a broker that nobody hears serves on and
 * is unfenced as soon as somebody does. */
#include "node/internal.h"

#include <stdlib.h>

#include "protocol/broker_heartbeat.h"

#define LEAVING_AGAIN_MS 50 /* behind the first answer to who wants to go; as Kafka's brokers */

struct heartbeat {
    struct own_call own;
    struct broker_heartbeat_request request;
    struct broker_heartbeat_response response;
    bool leaving;     /* as it was said */
    uint32_t offline; /* log directories that it says have failed */
};

/* ---- what is said --------------------------------------------------------------------------------------------- */

static void fill_offline(struct heartbeat *h)
{
    const struct node_options *o = &h->own.node->options;
    struct broker_heartbeat_request *m = &h->request;

    m->offline_log_dirs_count = 0;
    for (uint32_t i = 0; i < o->dir_count; i++) {
        if (!log_dir_is_online(o->dirs[i]))
            m->offline_log_dirs[m->offline_log_dirs_count++] = o->dirs[i]->directory_id;
    }
    h->offline = (uint32_t)m->offline_log_dirs_count;
}

/* The offset is that of the image that clients see here: others wait for it before they stop. */
static void prepare(struct own_call *c)
{
    struct heartbeat *h = container_of(c, struct heartbeat, own);
    struct broker_heartbeat_request *m = &h->request;
    struct node *n = c->node;

    m->broker_epoch = n->broker_epoch;
    m->current_metadata_offset = n->published == NULL ? -1 : image_offset(n->published);
    m->want_fence = n->published == NULL;
#ifdef MUTANT_NODE_BEAT_SAYS_LOADED
    m->current_metadata_offset = image_offset(n->loaded);
#endif
#ifdef MUTANT_NODE_UNFENCED_BEFORE_LOGS
    m->want_fence = false;
#endif
    m->want_shut_down = n->left != NULL;
    h->leaving = m->want_shut_down;
    n->offered = !m->want_fence;
    fill_offline(h);
}

/* ---- what is answered ----------------------------------------------------------------------------------------- */

static void refused(struct node *n, enum kerr error)
{
    n->attempts++;
    if (n->refusal == error)
        return;
    n->refusal = error;
    if (error == KERR_REQUEST_TIMED_OUT || error == KERR_NOT_CONTROLLER)
        say(n->telemetry, LOG_WARN, "node",
            "no controller takes this broker's heartbeats: it goes on serving with what it knows; see that the "
            "controllers run and can be reached");
    else
        say(n->telemetry, LOG_WARN, "node", "the controller does not take this broker's heartbeats: %s%s",
            kerr_name((int16_t)error),
            error == KERR_STALE_BROKER_EPOCH || error == KERR_BROKER_ID_NOT_REGISTERED
                ? "; its registration is not the one in force: if no other process has its node.id, restart it" : "");
}

static void taken(struct node *n, const struct heartbeat *h)
{
    if (n->refusal != KERR_NONE)
        say(n->telemetry, LOG_INFO, "node", "the controller takes this broker's heartbeats again");
    n->refusal = KERR_NONE;
    n->attempts = 0;
    n->amended = false;
    n->heard_ns = io_now_ns(n->io);
    offline_told(n, h->offline);
}

/* 0: there is news already. */
static int64_t pace_ms(struct node *n, const struct heartbeat *h, bool ok)
{
    int64_t interval_ms = config_i64(n->options.settings, BROKER_BROKER_HEARTBEAT_INTERVAL_MS);

    if (n->left != NULL && !h->leaving)
        return 0;
    if (n->left != NULL)
        return n->leave_beats++ == 0 ? LEAVING_AGAIN_MS : interval_ms;
    if (ok && n->offline_told < offline_count(n)) /* one failed meanwhile */
        return 0;
    if (!ok && n->state != BROKER_RUNNING)
        return ask_backoff_ms(n, n->attempts);
    return interval_ms;
}

/* Who was not heard for a session is fenced, or will be by whoever leads next: there is nothing to wait for. */
static bool is_forgotten(const struct node *n)
{
    return io_now_ns(n->io) - n->heard_ns >
           config_i64(n->options.settings, BROKER_BROKER_SESSION_TIMEOUT_MS) * 1000000;
}

static void beat(struct own_call *c, enum kerr error)
{
    struct heartbeat *h = container_of(c, struct heartbeat, own);
    struct node *n = c->node;
    bool ok = error == KERR_NONE, lives = n->state != BROKER_SHUTTING_DOWN && !n->failed;
    bool may_go = ok && h->leaving && h->response.should_shut_down;

    n->calling = false;
    if (lives && ok)
        taken(n, h);
    else if (lives)
        refused(n, error);
    if (lives)
        membership_pulse(n, pace_ms(n, h, ok));
    arena_deinit(&c->arena);
    free(h);
    if (lives && n->left != NULL && (may_go || is_forgotten(n)))
        membership_left(n);
    else
        membership_advance(n);
}

void heartbeat_send(struct node *n)
{
    struct heartbeat *h = calloc(1, sizeof *h);

    ASSERT(h != NULL);
    own_call_init(&h->own, n, API_BROKER_HEARTBEAT, &h->request, &h->response, &h->response.error_code);
    h->own.prepare = prepare;
    h->own.done = beat;
    h->request.broker_id = n->options.node_id;
    h->request.offline_log_dirs = arena_take_array(&h->own.arena, n->options.dir_count,
                                                   sizeof *h->request.offline_log_dirs);
    n->calling = true;
    own_call_send(&h->own);
}
