/* A request to the active controller, wherever it is, until it is answered.
 *
 *   WAITING ─ a leader ─► HERE ── committed ──────────────► ANSWERED ─ visible here ─► end
 *      ▲                  AWAY ── its answer ────────────────────────────────────────► end
 *      └── not the controller; lost, and safe to repeat ──┘    lost otherwise, late ─► REQUEST_TIMED_OUT
 *
 * A caller's `ready` runs from the loop alone: where an answer is known at once, it is told in a later turn.
 */
#include "node/internal.h"

#include <stdlib.h>

#define OLD_CONTROLLER_MS 1000 /* an answer of one that leads no more is on its way, or will not come */

/* ---- ends ----------------------------------------------------------------------------------------------------- */

void ask_end(struct ask *a, enum kerr error)
{
    list_remove(&a->node);
    io_timer_clear(&a->timer);
    a->node_of->ask_count--;
    a->ready(a->call, error); /* its memory may go with it, and what it points at lies in `away` */
    client_call_release(&a->away);
    arena_deinit(&a->arena);
    free(a);
}

static void ending(struct io_timer *t)
{
    struct ask *a = container_of(t, struct ask, timer);

    ask_end(a, a->error);
}

void ask_end_soon(struct ask *a, enum kerr error)
{
    a->phase = ASK_ENDING;
    a->error = error;
    io_timer_set(a->node_of->io, &a->timer, io_now_ns(a->node_of->io), ending);
}

/* ---- where to ------------------------------------------------------------------------------------------------- */

static bool may_ask(const struct ask *a)
{
    const struct node *n = a->node_of;

    return !n->failed && !n->closing && (a->kind == ASK_CONTROL || !n->quiet);
}

static struct own_call *own_of(const struct ask *a)
{
    return a->kind == ASK_OWN ? container_of(a->call, struct own_call, call) : NULL;
}

static void here_ready(struct controller_call *call, enum kerr error)
{
    struct ask *a = call->forwarder;

    if (a->kind == ASK_OWN && error == KERR_NONE)
        error = (enum kerr)*own_of(a)->error_code;
    if (error == KERR_NOT_CONTROLLER) {
        ask_not_controller(a);
    } else if (a->kind == ASK_CLIENT) {
        a->error = error;
        publisher_answer(a);
    } else {
        ask_end(a, error);
    }
}

/* To the controller in this process. */
static void send_here(struct ask *a)
{
    struct node *n = a->node_of;
    struct controller_call *call = a->call;

    a->phase = ASK_HERE;
    call->now_ms = io_now_ms(n->io);
    call->wall_ms = io_wall_ms(n->io);
    call->forwarder = a;
    call->ready = here_ready;
    if (a->kind == ASK_OWN) {
        call->api_version = api_find(call->api_key)->high;
        if (own_of(a)->prepare != NULL)
            own_of(a)->prepare(own_of(a));
    }
    controller_handle(n->controller, call);
    node_wind_soon(n);
}

static void place(struct ask *a);

static void try_again(struct io_timer *t)
{
    struct ask *a = container_of(t, struct ask, timer);

    if (io_now_ns(a->node_of->io) >= a->deadline_ns)
        ask_end(a, KERR_REQUEST_TIMED_OUT);
    else
        place(a);
}

static void wait_for_next_try(struct ask *a)
{
    struct node *n = a->node_of;
    int64_t at_ns = io_now_ns(n->io);

    if (a->tries > 0)
        at_ns += ask_backoff_ms(n, a->tries) * 1000000;
    a->tries++;
    a->phase = ASK_WAITING;
    io_timer_set(n->io, &a->timer, at_ns < a->deadline_ns ? at_ns : a->deadline_ns, try_again);
}

static void place(struct ask *a)
{
    struct node *n = a->node_of;
    struct raft_endpoint at;
    int32_t leader, epoch;

    if (a->tried) /* and something may be in it */
        message_init(api_find(a->call->api_key)->response, a->call->response);
    if (n->controller != NULL && controller_is_active(n->controller)) {
        if (quorum_handles(a->call->api_key)) { /* it was to go to another node's quorum, and now this one leads */
            ask_end_soon(a, KERR_NOT_CONTROLLER);
            return;
        }
        a->tried = true;
        send_here(a);
        return;
    }
    if (a->kind == ASK_CONTROL) {
        ask_end_soon(a, KERR_NOT_CONTROLLER);
        return;
    }
    quorum_leader(n->quorum, &leader, &epoch);
    if (leader >= 0 && leader != n->options.node_id && quorum_leader_endpoint(n->quorum, &at)) {
        a->tried = true;
        a->phase = ASK_AWAY;
        a->asked = leader;
        remote_send(a, leader, &at);
        return;
    }
    if (a->tries == 0)
        a->tries = 1; /* nobody is there to be asked once more at once */
    wait_for_next_try(a);
}

/* ---- once more? ----------------------------------------------------------------------------------------------- */

void ask_not_controller(struct ask *a)
{
    if (may_ask(a) && a->kind != ASK_CONTROL)
        wait_for_next_try(a);
    else
        ask_end_soon(a, KERR_NOT_CONTROLLER);
}

/* Doing it twice is doing it once. This node's own requests are all of that kind. */
static bool may_repeat(const struct ask *a)
{
    if (a->kind == ASK_OWN)
        return true;
#ifdef MUTANT_NODE_REPEATS_ALL
    return true;
#endif
    switch (a->call->api_key) {
    case API_DESCRIBE_QUORUM:
    case API_LIST_PARTITION_REASSIGNMENTS:
    case API_ALTER_CONFIGS:
    case API_ALTER_CLIENT_QUOTAS:
    case API_ALTER_USER_SCRAM_CREDENTIALS:
    case API_CREATE_ACLS:
    case API_RENEW_DELEGATION_TOKEN:
        return true;
    default:
        return false;
    }
}

void ask_lost(struct ask *a, bool may_have_acted)
{
    if (may_have_acted && !may_repeat(a))
        ask_end_soon(a, KERR_REQUEST_TIMED_OUT);
    else
        ask_not_controller(a);
}

static void waited_long_enough(struct io_timer *t)
{
    remote_cancel(container_of(t, struct ask, timer));
}

/* Another one leads. What the old one has of ours, and may not be repeated, it may still answer. */
static void leave_old_controller(struct ask *a)
{
#ifdef MUTANT_NODE_WAITS_FOR_OLD_CONTROLLER
    return;
#endif
    if (may_repeat(a) || !client_call_has_left(&a->away)) {
        a->tries = 0;
        remote_cancel(a);
    } else if (!io_timer_is_set(&a->timer)) {
        io_timer_set(a->node_of->io, &a->timer, io_now_ns(a->node_of->io) + OLD_CONTROLLER_MS * INT64_C(1000000),
                     waited_long_enough);
    }
}

void ask_go_on(struct node *n)
{
    int32_t leader, epoch;

    quorum_leader(n->quorum, &leader, &epoch);
    LIST_EACH (it, &n->asks) {
        struct ask *a = container_of(it, struct ask, node);
        if (a->phase == ASK_WAITING) {
            a->tries = 0;
            io_timer_set(n->io, &a->timer, io_now_ns(n->io), try_again);
        } else if (a->phase == ASK_AWAY && leader >= 0 && a->asked != leader) {
            leave_old_controller(a);
        }
    }
    if (leader >= 0)
        remote_leave_all_but(n, leader);
}

/* Those that the controller here has come back from it. */
void ask_stop(struct node *n)
{
    LIST_EACH (it, &n->asks) {
        struct ask *a = container_of(it, struct ask, node);
        if (may_ask(a))
            continue;
        if (a->phase == ASK_WAITING)
            ask_end_soon(a, KERR_NOT_CONTROLLER);
        else if (a->phase == ASK_AWAY)
            remote_cancel(a);
    }
}

bool ask_has_here(const struct node *n)
{
    LIST_EACH (it, &n->asks) {
        const struct ask *a = container_of(it, const struct ask, node);
        if (a->phase == ASK_HERE && a->kind != ASK_CONTROL)
            return true;
    }
    return false;
}

int64_t ask_backoff_ms(struct node *n, uint32_t attempt)
{
    return client_backoff_ms(n->own_client, attempt);
}

/* ---- asking --------------------------------------------------------------------------------------------------- */

void ask_controller(struct node *n, enum ask_kind kind, struct controller_call *call, int64_t limit_ms)
{
    struct ask *a = calloc(1, sizeof *a);

    ASSERT(a != NULL);
    a->node_of = n;
    a->kind = kind;
    a->call = call;
    a->ready = call->ready;
    a->deadline_ns = io_now_ns(n->io) + limit_ms * 1000000;
    list_add_tail(&n->asks, &a->node);
    n->ask_count++;
    if (may_ask(a))
        place(a);
    else
        ask_end_soon(a, KERR_NOT_CONTROLLER);
}

void node_forward(struct node *n, struct controller_call *call)
{
    ask_controller(n, ASK_CLIENT, call, config_i64(n->options.settings, BROKER_REQUEST_TIMEOUT_MS));
}

void node_control(struct node *n, struct controller_call *call)
{
    ask_controller(n, ASK_CONTROL, call, 0);
}

/* ---- requests of this node's own ------------------------------------------------------------------------------ */

void own_call_init(struct own_call *c, struct node *n, int16_t api_key, void *request, void *response,
                   const int16_t *error_code)
{
    const struct api *api = api_find(api_key);

    *c = (struct own_call){.node = n, .error_code = error_code};
    arena_init(&c->arena, 0);
    message_init(api->request, request);
    message_init(api->response, response);
    c->call = (struct controller_call){
        .api_key = api_key,
        .request = request,
        .response = response,
        .arena = &c->arena,
        .principal = &principal_anonymous,
        .authorizer = &authorizer_allow_all,
    };
}

static void own_ready(struct controller_call *call, enum kerr error)
{
    struct own_call *c = container_of(call, struct own_call, call);

    c->done(c, error);
}

void own_call_send(struct own_call *c)
{
    const struct config *s = c->node->options.settings;
    int64_t limit_ms = config_i64(s, BROKER_CONTROLLER_SOCKET_TIMEOUT_MS),
            half_ms = config_i64(s, BROKER_BROKER_SESSION_TIMEOUT_MS) / 2;

    c->call.ready = own_ready;
    ask_controller(c->node, ASK_OWN, &c->call, limit_ms < half_ms ? limit_ms : half_ms);
}
