/* A call, from client_send to its end. Every way to the end goes through end(), once (C2). */
#include "client/internal.h"

#include <stdlib.h>

#define HEADER_BYTES_MAX 40000 /* of a request: a client id, and little more */

/* ---- ends --------------------------------------------------------------------------------------- */

static void end(struct client_call *call, int64_t result)
{
    struct client *c = call->client;

    call->phase = CALL_NONE;
    if (call->response == NULL)
        client_call_release(call); /* nothing of it is of use to anybody */
    c->call_count--;
    client_check_gone(c);
    call->op.done(&call->op, result);
}

static void call_ended(struct io_timer *timer)
{
    struct client_call *call = container_of(timer, struct client_call, timer);

    end(call, call->result);
}

void call_end_soon(struct client_call *call, int64_t result)
{
    if (list_linked(&call->node))
        list_remove(&call->node);
    call->phase = CALL_ENDING;
    call->result = result;
    io_timer_set(call->client->io, &call->timer, io_now_ns(call->client->io), call_ended);
}

static void waited_too_long(struct io_timer *timer)
{
    struct client_call *call = container_of(timer, struct client_call, timer);

    list_remove(&call->node);
    end(call, -ETIMEDOUT);
}

static void limit(struct client_call *call)
{
    io_timer_set(call->client->io, &call->timer, call->deadline_ns, waited_too_long);
}

/* ---- answers ------------------------------------------------------------------------------------ */

/* The coordinator, or the controller, says that it is not: the next call is to find the one that is. */
static void look_for_errors(struct client_call *call, const struct message *response)
{
    struct client *c = call->client;

    switch (call->target.kind) {
    case CLIENT_ANY:
    case CLIENT_NODE:
        return;
    case CLIENT_CONTROLLER:
        if (message_has_error(response, call->version, call->response, KERR_NOT_CONTROLLER)) {
            c->metadata.controller_doubtful = true;
            metadata_need(c);
        }
        return;
    case CLIENT_GROUP:
    case CLIENT_TRANSACTION:
    case CLIENT_SHARE:
#ifndef MUTANT_CLIENT_KEEPS_COORDINATOR
        if (message_has_error(response, call->version, call->response, KERR_NOT_COORDINATOR) ||
            message_has_error(response, call->version, call->response, KERR_COORDINATOR_NOT_AVAILABLE))
            coordinator_forget(c, &call->target);
#endif
        return;
    }
}

/* An arena holds at most a known multiple of the answer, whose length has a limit. */
static int take_answer(struct client_call *call)
{
    const struct message *response = api_find(call->api_key)->response;

    call->response = arena_take(&call->arena, message_struct_bytes(response));
    if (call->response == NULL)
        return -ENOMEM;
    int used = message_read(response, call->wire.body, call->version, &call->arena, call->response);
    if (used < 0) {
        call->response = NULL;
        return used == ERR_SHORT ? ERR_CORRUPT : used;
    }
    link_throttle(call->link, call->api_key, call->version, call->response);
    look_for_errors(call, response);
    return 0;
}

/* Nothing has left, and nobody has ended it: the next connection may take it. */
static bool may_wait_again(const struct client_call *call, int64_t result)
{
#ifdef MUTANT_CLIENT_SENDS_TWICE
    if (result == -ECONNRESET && call->client->closed == NULL && io_now_ns(call->client->io) < call->deadline_ns)
        return true;
#endif
    return result < 0 && !call->sent && result != -ECANCELED && call->client->closed == NULL &&
           io_now_ns(call->client->io) < call->deadline_ns;
}

static void wait_again(struct client_call *call)
{
    struct client_link *l = call->link;

    limit(call);
    if (l->retired) {
        call_place(call);
    } else {
        call->phase = CALL_WAITING;
        list_add_tail(&l->again, &call->node);
    }
    link_call_over(l);
}

/* What was sent to it may be lost with it. One whose answer cannot be read may have said that it is not the one to ask. */
static void node_failed(struct client_call *call)
{
    struct client *c = call->client;

    if (call->target.kind >= CLIENT_GROUP)
        coordinator_forget(c, &call->target);
    if (call->target.kind == CLIENT_CONTROLLER)
        c->metadata.controller_doubtful = true;
    if (call->link->role != LINK_BOOTSTRAP)
        metadata_need(c);
}

static void wire_done(struct op *op, int64_t result)
{
    struct client_call *call = container_of(op, struct client_call, wire.op);
    struct client_link *l = call->link;

    call->sent = call->wire.sent;
    if (may_wait_again(call, result)) {
        wait_again(call);
        return;
    }
    if (result == 0 && !call->no_answer)
        result = take_answer(call);
    if (result < 0 && result != -ECANCELED && result != ERR_CLOSED)
        node_failed(call);
    link_call_over(l);
    end(call, result);
}

/* ---- sending -------------------------------------------------------------------------------------- */

/* The head in pieces and the caller's records between them; spans[0] is the peer's. */
static uint32_t make_spans(struct io_span *spans, const uint8_t *head, const struct message_extent *e,
                           const struct message_cut *cuts)
{
    uint32_t count = 1, at = 0;

    for (uint32_t i = 0; i < e->cuts; i++) {
        ASSERT(cuts[i].records.p != NULL);
        spans[count++] = (struct io_span){.p = head + at, .n = cuts[i].at - at};
        spans[count++] = (struct io_span){.p = cuts[i].records.p, .n = (uint32_t)cuts[i].records.n};
        at = cuts[i].at;
    }
    if (e->head_bytes > at)
        spans[count++] = (struct io_span){.p = head + at, .n = (uint32_t)e->head_bytes - at};
    return count;
}

/* Records are not copied: they go out from where the caller has them. */
static int encode(struct client_call *call, struct io_span **spans, uint32_t *count)
{
    const struct message *message = api_find(call->api_key)->request;
    struct message_extent e;
    int error = message_measure(message, call->version, call->request, &e);

    if (error < 0)
        return error;
    if (e.total_bytes > INT32_MAX - HEADER_BYTES_MAX)
        return ERR_LIMIT;
    arena_deinit(&call->arena); /* of an earlier try */
    uint8_t *head = arena_take_raw(&call->arena, (size_t)e.head_bytes);
    struct message_cut *cuts = arena_take_array(&call->arena, e.cuts, sizeof *cuts);
    *spans = arena_take_array(&call->arena, 2 * (size_t)e.cuts + 2, sizeof **spans);
    if (head == NULL || cuts == NULL || *spans == NULL)
        return -ENOMEM;
    message_write_pieces(message, call->version, call->request, head, cuts);
    *count = make_spans(*spans, head, &e, cuts);
    return 0;
}

void call_give(struct client_call *call)
{
    struct client_link *l = call->link;
    struct io_span *spans;
    uint32_t count;
    int version = link_choose_version(l, call);

    call->node_id = l->role == LINK_BOOTSTRAP ? -1 : l->id;
    if (version < 0) {
        call_end_soon(call, version);
        return;
    }
    call->version = (int16_t)version;
    if (call->prepare != NULL)
        call->prepare(call);
    int error = encode(call, &spans, &count);
    if (error < 0) {
        call_end_soon(call, error);
        return;
    }
    io_timer_clear(&call->timer);
    call->phase = CALL_GIVEN;
    call->wire.api_key = call->api_key;
    call->wire.api_version = call->version;
    call->wire.no_answer = call->no_answer;
    call->wire.deadline_ns = call->deadline_ns;
    op_init(&call->wire.op, wire_done);
    l->given++;
    peer_send_spans(l->peer, &call->wire, spans, count);
}

/* ---- targets --------------------------------------------------------------------------------------- */

/* NULL: it is not known yet, or `*error`. */
static struct client_link *controller_link(struct client *c)
{
    struct client_link *l = NULL;

    if (!c->metadata.controller_doubtful)
        l = broker_link(c, c->metadata.controller_id);
    if (l == NULL)
        metadata_need(c);
    return l;
}

/* A node that is not known may be new: one answer more is waited for. */
static struct client_link *node_link(struct client *c, struct client_call *call, int *error)
{
    struct client_link *l = broker_link(c, call->target.node_id);
    struct metadata *known = &c->metadata;

    if (l != NULL)
        return l;
    if (client_is_told(c)) {
        *error = -ENOENT;
    } else if (call->metadata_number == 0) {
        call->metadata_number = known->asking ? known->begun : known->begun + 1;
        metadata_need(c);
    } else if (known->answered >= call->metadata_number) {
        *error = -ENOENT;
    }
    return NULL;
}

static struct client_link *link_of(struct client *c, struct client_call *call, int *error)
{
    switch (call->target.kind) {
    case CLIENT_ANY:
        return any_link(c);
    case CLIENT_NODE:
        return node_link(c, call, error);
    case CLIENT_CONTROLLER:
        return controller_link(c);
    case CLIENT_GROUP:
    case CLIENT_TRANSACTION:
    case CLIENT_SHARE:
        return coordinator_link(c, call, error);
    }
    UNREACHABLE("a target of no kind");
}

void call_place(struct client_call *call)
{
    struct client *c = call->client;
    struct client_link *l;
    int error = 0;

    call->link = NULL;
    if (c->closed != NULL) {
        call_end_soon(call, ERR_CLOSED);
        return;
    }
    l = link_of(c, call, &error);
    if (error < 0) {
        call_end_soon(call, error);
    } else if (l != NULL) {
        link_enqueue(l, call);
    } else {
        call->phase = CALL_UNRESOLVED;
        list_add_tail(&c->unresolved, &call->node);
        health_wanted(c);
    }
}

void call_replace(struct client_call *call)
{
    list_remove(&call->node);
    call_place(call);
}

void calls_place_unresolved(struct client *c)
{
    struct list waited = LIST_INIT(waited);

    list_move_all(&waited, &c->unresolved);
    for (struct list *node; (node = list_take_head(&waited)) != NULL;)
        call_place(container_of(node, struct client_call, node));
}

/* ---- the caller's --------------------------------------------------------------------------------- */

void client_send(struct client *c, struct client_call *call)
{
    const struct api *api = api_find(call->api_key);
    int64_t timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : c->settings.request_timeout_ms;

    ASSERT(api != NULL && call->request != NULL && call->phase == CALL_NONE);
    ASSERT(!client_is_told(c) || call->target.kind == CLIENT_NODE);
    client_call_release(call);
    call->client = c;
    call->version = -1;
    call->node_id = -1;
    call->lookup_error = KERR_NONE;
    call->sent = false;
    call->metadata_number = 0;
    call->deadline_ns = after_ns(c, timeout_ms);
    c->call_count++;
    limit(call);
    call_place(call);
}

void client_cancel(struct client_call *call)
{
    switch ((enum call_phase)call->phase) {
    case CALL_UNRESOLVED:
    case CALL_WAITING:
        call_end_soon(call, -ECANCELED);
        return;
    case CALL_GIVEN:
        peer_cancel(&call->wire);
        return;
    case CALL_NONE:
    case CALL_ENDING:
        return;
    }
}

void client_call_release(struct client_call *call)
{
    ASSERT(call->phase == CALL_NONE);
    buf_unref(call->wire.answer);
    call->wire.answer = NULL;
    call->response = NULL;
    arena_deinit(&call->arena);
}
