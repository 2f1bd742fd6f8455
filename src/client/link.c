/* One connection to one node: calls wait for it, are sent in order, and end with it.
 *
 *   DOWN ─ a call waits ─► CONNECTING ─ connected ─► ASKING ─ versions ─► READY ─ trouble, idle ─► DOWN
 */
#include "client/internal.h"

#include <stdlib.h>

/* ---- the peer's word ---------------------------------------------------------------------------- */

static void opened(void *ctx)
{
    struct client_link *l = ctx;

    l->phase = LINK_ASKING;
    link_ask_versions(l);
}

static void connect_if_wanted(struct client_link *l)
{
    if (list_empty(&l->waiting) || l->phase != LINK_DOWN || l->closing)
        return;
    l->phase = LINK_CONNECTING;
    l->since_ns = io_now_ns(l->client->io);
    peer_connect(l->peer);
}

/* The node cannot be reached. Calls that want just this node end; others may find another. */
static void fail_waiting(struct client_link *l, int error)
{
    struct list waited = LIST_INIT(waited);

    list_move_all(&waited, &l->waiting);
    for (struct list *node; (node = waited.next) != &waited;) {
        struct client_call *call = container_of(node, struct client_call, node);
        if (call->target.kind == CLIENT_NODE) {
            call->node_id = l->id;
            call_end_soon(call, error);
            continue;
        }
        if (l->role == LINK_COORDINATOR)
            coordinator_forget(l->client, &call->target);
        if (call->target.kind == CLIENT_CONTROLLER)
            l->client->metadata.controller_doubtful = true;
        call_replace(call);
    }
}

static void close_when_empty(struct client_link *l);

static void closed(void *ctx, int error)
{
    struct client_link *l = ctx;
    bool was_ready = l->phase == LINK_READY;
    struct list first = LIST_INIT(first);

    l->phase = LINK_DOWN;
    io_timer_clear(&l->idle);
    link_throttle_ends(l); /* it was for this connection; who is still above a quota is told so again */
    list_move_all(&first, &l->again);
    list_move_all(&first, &l->waiting);
    list_move_all(&l->waiting, &first);
    if (!was_ready) {
        health_failed(l->client, l, error);
        if (l->role != LINK_BOOTSTRAP)
            metadata_need(l->client);
        fail_waiting(l, error);
    }
    connect_if_wanted(l);
    close_when_empty(l);
}

static const struct peer_hooks hooks = {opened, closed};

/* ---- end --------------------------------------------------------------------------------------- */

/* Calls that were cancelled may end after the peer has. */
static void free_when_over(struct client_link *l)
{
    struct client *c = l->client;

    if (l->peer != NULL || l->given > 0)
        return;
    list_remove(&l->node);
    free(l);
    client_check_gone(c);
}

static void peer_gone(struct op *op, int64_t result)
{
    struct client_link *l = container_of(op, struct client_link, closed);

    l->peer = NULL;
    free_when_over(l);
}

static void close_when_empty(struct client_link *l)
{
    bool quiet = l->given == 0 && list_empty(&l->waiting) && list_empty(&l->again);

    if (l->closing || !l->retired || (!quiet && l->client->closed == NULL))
        return;
    l->closing = true;
    io_timer_clear(&l->idle);
    link_throttle_ends(l);
    op_init(&l->closed, peer_gone);
    peer_close(l->peer, &l->closed);
}

void link_retire(struct client_link *l)
{
    struct client *c = l->client;
    struct list waited = LIST_INIT(waited);

    if (l->retired && c->closed == NULL)
        return;
    l->retired = true;
    list_move_all(&waited, &l->again);
    list_move_all(&waited, &l->waiting);
    for (struct list *node; (node = waited.next) != &waited;) {
        struct client_call *call = container_of(node, struct client_call, node);
        if (c->closed != NULL)
            call_end_soon(call, ERR_CLOSED);
        else
            call_replace(call);
    }
    close_when_empty(l);
}

/* ---- idle -------------------------------------------------------------------------------------- */

static void idle_fired(struct io_timer *timer)
{
    struct client_link *l = container_of(timer, struct client_link, idle);
    int64_t due_ns = l->used_ns + ms_to_ns(l->client->settings.connections_max_idle_ms);

    if (l->given > 0 || !list_empty(&l->waiting))
        return; /* the end of the last one sets it again */
    if (due_ns > io_now_ns(l->client->io))
        io_timer_set(l->client->io, &l->idle, due_ns, idle_fired);
    else
        link_retire(l);
}

static void watch_idle(struct client_link *l)
{
    int64_t idle_ms = l->client->settings.connections_max_idle_ms;

    l->used_ns = io_now_ns(l->client->io);
    if (idle_ms >= 0 && l->phase == LINK_READY && l->given == 0 && !l->closing && !io_timer_is_set(&l->idle))
        io_timer_set(l->client->io, &l->idle, after_ns(l->client, idle_ms), idle_fired);
}

/* ---- calls -------------------------------------------------------------------------------------- */

static bool may_give(const struct client_link *l)
{
    return l->phase == LINK_READY && l->given < l->client->settings.in_flight_max && list_empty(&l->again) &&
           !link_is_throttled(l);
}

void link_pump(struct client_link *l)
{
    while (may_give(l)) {
        struct list *node = list_take_head(&l->waiting);
        if (node == NULL)
            return;
        call_give(container_of(node, struct client_call, node));
    }
}

void link_go_on(struct client_link *l)
{
    link_pump(l);
    watch_idle(l);
}

void link_ready(struct client_link *l)
{
    l->phase = LINK_READY;
    health_up(l->client);
    link_go_on(l);
}

void link_call_over(struct client_link *l)
{
    l->given--;
    if (l->closing) {
        free_when_over(l);
        return;
    }
    link_go_on(l);
    close_when_empty(l);
}

void link_enqueue(struct client_link *l, struct client_call *call)
{
    ASSERT(!l->retired);
    call->link = l;
    call->phase = CALL_WAITING;
    list_add_tail(&l->waiting, &call->node);
    health_wanted(l->client);
    link_pump(l);
    connect_if_wanted(l);
}

/* ---- life --------------------------------------------------------------------------------------- */

struct client_link *link_find(const struct client *c, enum link_role role, int32_t id)
{
    LIST_EACH (node, &c->links) {
        struct client_link *l = container_of(node, struct client_link, node);
        if (l->id == id && l->role == role && !l->retired)
            return l;
    }
    return NULL;
}

struct client_link *link_get(struct client *c, enum link_role role, int32_t id, const struct io_address *address)
{
    struct client_link *l = link_find(c, role, id);
    const struct client_settings *s = &c->settings;

    if (l != NULL)
        return l;
    l = calloc(1, sizeof *l);
    ASSERT(l != NULL);
    l->client = c;
    l->id = id;
    l->role = (uint8_t)role;
    l->address = *address;
    list_init(&l->waiting);
    list_init(&l->again);
    struct peer_settings settings = {
        .address = *address,
        .connect = s->connect,
        .client_id = s->client_id,
        .backoff_ms = s->reconnect_backoff_ms,
        .backoff_max_ms = s->reconnect_backoff_max_ms,
        .request_timeout_ms = s->request_timeout_ms,
        .setup_timeout_ms = s->connection_setup_timeout_ms,
        .setup_timeout_max_ms = s->connection_setup_timeout_max_ms,
        .frame_bytes_max = s->frame_bytes_max,
        .in_flight_max = s->in_flight_max,
        .hooks = &hooks,
        .ctx = l,
    };
    settings.connect.canonical = role == LINK_BOOTSTRAP && s->bootstrap_canonical;
    l->peer = peer_new(c->io, c->telemetry, &settings);
    ASSERT(l->peer != NULL);
    list_add_tail(&c->links, &l->node);
    return l;
}

void link_set_address(struct client_link *l, const struct io_address *address)
{
    l->address = *address;
    peer_set_address(l->peer, address);
}

int64_t link_backoff_until_ns(const struct client_link *l)
{
    return peer_backoff_until_ns(l->peer);
}
