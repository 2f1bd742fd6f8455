#include "admin/api.h"

#include <errno.h>
#include <stdlib.h>

struct admin {
    struct io *io;
    struct client *client;
    struct admin_options options;
    struct op closed, *parent;
};

/* ---- life ------------------------------------------------------------------------------------- */

int admin_options_read(const struct config *c, struct admin_options *out, struct fail *f)
{
    struct admin_options o = {0};

    TRY(client_settings_read(c, &o.client, f));
    o.api_timeout_ms = config_i64(c, ADMIN_DEFAULT_API_TIMEOUT_MS);
    o.retries = (uint32_t)config_i64(c, ADMIN_RETRIES);
    o.unreachable_ms = o.api_timeout_ms;
    *out = o;
    return 0;
}

struct admin *admin_new(struct io *io, struct telemetry *t, const struct admin_options *options, struct fail *f)
{
    struct admin *a = calloc(1, sizeof(*a));

    ASSERT(a != NULL);
    a->io = io;
    a->options = *options;
    a->client = client_new(io, t, &options->client, f);
    if (a->client == NULL) {
        free(a);
        return NULL;
    }
    return a;
}

static void admin_closed(struct op *op, int64_t result)
{
    struct admin *a = container_of(op, struct admin, closed);
    struct op *parent = a->parent;

    free(a);
    parent->done(parent, result);
}

void admin_close(struct admin *a, struct op *op)
{
    a->parent = op;
    op_init(&a->closed, admin_closed);
    client_close(a->client, &a->closed);
}

struct client *admin_client(struct admin *a)
{
    return a->client;
}

bool admin_asks_controllers(const struct admin *a)
{
    return a->options.client.bootstrap_controllers;
}

/* ---- one part ----------------------------------------------------------------------------------- */

static int64_t remaining_ms(const struct admin_call *call)
{
    int64_t left_ns = call->deadline_ns - io_now_ns(call->admin->io);

    return left_ns <= 0 ? 0 : left_ns / 1000000;
}

/* Whether the request may go out once more after trouble (A2), and it would make a difference. */
static bool may_repeat(const struct admin_part *p)
{
    switch (p->trouble) {
    case ERR_VERSION:
    case ERR_LIMIT:
    case ERR_CORRUPT:
    case ERR_CLOSED:
    case -ECANCELED:
    case -EINVAL:
    case -ENOENT: /* the node is not one of the cluster */
        return false;
    default:
        return !p->wire.sent || p->call->api->repeatable;
    }
}

static void part_done(struct op *op, int64_t result)
{
    struct admin_part *p = container_of(op, struct admin_part, wire.op);
    struct admin_call *call = p->call;

    p->trouble = result < 0 ? (int)result : 0;
    p->version = p->wire.version;
    p->node_id = p->wire.node_id;
    p->response = result < 0 ? NULL : p->wire.response;
    if (result < 0)
        p->again = may_repeat(p);
    else
        p->again = admin_not_now(call->api, p->response);
    if (--call->under_way == 0)
        flow_continue(&call->flow.op, 0);
}

static void part_ask(struct admin_part *p)
{
    struct admin_call *call = p->call;
    int64_t left_ms = remaining_ms(call), request_ms = call->admin->options.client.request_timeout_ms;

    p->asked = true;
    op_init(&p->wire.op, part_done);
    p->wire.api_key = call->api->key;
    p->wire.version_low = call->api->version_low;
    p->wire.version_high = call->api->version_high;
    p->wire.request = p->request;
    p->wire.timeout_ms = left_ms < request_ms ? left_ms : request_ms;
    if (p->wire.timeout_ms < 1)
        p->wire.timeout_ms = 1; /* 0 would be the default */
    client_send(call->admin->client, &p->wire);
}

static void part_free(struct admin_part *p)
{
    client_call_release(&p->wire);
    free(p);
}

/* ---- a round ------------------------------------------------------------------------------------ */

static void ask_all(struct admin_call *call)
{
    call->under_way = 1; /* this loop */
    for (uint32_t i = 0; i < call->part_count; i++) {
        if (!call->parts[i]->asked) {
            call->under_way++;
            part_ask(call->parts[i]);
        }
    }
    if (--call->under_way == 0)
        io_complete(call->admin->io, &call->flow.op, 0);
}

static bool any_again(const struct admin_call *call)
{
    for (uint32_t i = 0; i < call->part_count && !call->gave_up; i++) {
        if (call->parts[i]->again)
            return true;
    }
    return false;
}

/* Parts that are to be asked again go out, and what their requests make now comes in. */
static void renew_parts(struct admin_call *call)
{
    uint32_t count = call->part_count, kept = 0;
    struct admin_part **old = call->parts;

    call->parts = NULL;
    call->part_count = call->part_capacity = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct admin_part *p = old[i];
        if (!p->again) {
            old[kept++] = p;
            continue;
        }
        /* Partitions may have another leader by now; who was asked because he is himself stays so. */
        bool same_node = p->wire.target.kind == CLIENT_NODE && (call->to_node || call->api->route != ROUTE_LEADERS);
        admin_split(call, p->request, same_node ? p->wire.target.node_id : -1, p->key);
        part_free(p);
    }
    call->parts = realloc(call->parts, (call->part_count + kept + 1) * sizeof(*call->parts));
    ASSERT(call->parts != NULL);
    memmove(call->parts + kept, call->parts, call->part_count * sizeof(*call->parts));
    memcpy(call->parts, old, kept * sizeof(*old));
    call->part_count += kept;
    call->part_capacity = call->part_count + 1;
    free(old);
}

static void pause_over(struct io_timer *timer)
{
    struct admin_call *call = container_of(timer, struct admin_call, timer);

    flow_continue(&call->flow.op, 0);
}

static void give_up(struct admin_call *call)
{
    call->gave_up = true;
    for (uint32_t i = 0; i < call->part_count; i++) {
        if (call->parts[i]->asked && call->parts[i]->response == NULL && call->parts[i]->trouble == 0)
            client_cancel(&call->parts[i]->wire);
    }
}

/* Nobody can be reached: it would be so at the deadline, too. */
static void patience_over(struct io_timer *timer)
{
    struct admin_call *call = container_of(timer, struct admin_call, patience);
    struct client_health health;

    client_health(call->admin->client, &health);
    if (health.state != CLIENT_UP)
        give_up(call);
}

void admin_cancel(struct admin_call *call)
{
    if (call->cancelled)
        return;
    call->cancelled = true;
    if (call->updating) {
        client_update_cancel(call->admin->client, &call->flow.op);
    } else if (io_timer_is_set(&call->timer)) {
        io_timer_clear(&call->timer);
        io_complete(call->admin->io, &call->flow.op, 0);
    }
    give_up(call);
}

/* ---- metadata ------------------------------------------------------------------------------------ */

static void want_topics(struct admin_call *call, bool want)
{
    const struct admin_list *topics = &call->api->request.list;
    const void *start = shape_start(&call->api->request_outer, call->request);

    if (call->api->route != ROUTE_LEADERS || (call->topics_wanted != 0) == want)
        return;
    call->topics_wanted = want;
    for (int32_t i = 0; i < list_count(topics, start); i++) {
        struct str name = *element_name(topics, list_element(topics, start, i));
        if (want)
            client_want(call->admin->client, name);
        else
            client_unwant(call->admin->client, name);
    }
}

enum lack { LACKS_NOTHING, LACKS_NEW_TOPICS, LACKS_ALL };

/* What of the metadata must come before it is known whom to ask. */
static enum lack lack_of(const struct admin_call *call)
{
    enum lack lack = LACKS_NOTHING;
    const struct admin_list *topics = &call->api->request.list;
    const void *start = shape_start(&call->api->request_outer, call->request);
    uint32_t count;

    if (call->to_node)
        return LACKS_NOTHING;
    if (call->api->route == ROUTE_BROKERS) {
        (void)client_brokers(call->admin->client, &count);
        return count == 0 || str_is_null(client_cluster_id(call->admin->client)) ? LACKS_ALL : LACKS_NOTHING;
    }
    if (call->api->route != ROUTE_LEADERS)
        return LACKS_NOTHING;
    for (int32_t i = 0; i < list_count(topics, start); i++) {
        const struct client_topic *t =
            client_topic(call->admin->client, *element_name(topics, list_element(topics, start, i)));
        if (t == NULL)
            lack = LACKS_NEW_TOPICS;
        else if (t->error != KERR_NONE)
            return LACKS_ALL;
    }
    return lack;
}

static void update(struct admin_call *call, enum lack lack)
{
    int64_t left_ms = remaining_ms(call), patience_ms = call->admin->options.unreachable_ms;
    struct client_health health;

    client_health(call->admin->client, &health);
    if (health.state != CLIENT_UP && patience_ms < left_ms)
        left_ms = patience_ms;
    if (left_ms < 1)
        left_ms = 1;
    call->updating = true;
    if (lack == LACKS_NEW_TOPICS)
        client_learn(call->admin->client, left_ms, &call->flow.op);
    else
        client_update(call->admin->client, left_ms, &call->flow.op);
}

/* ---- the call -------------------------------------------------------------------------------------- */

static void call_ended(struct admin_call *call, int64_t result)
{
    io_timer_clear(&call->patience);
    want_topics(call, false);
    flow_done(&call->flow, result);
}

static void call_run(struct flow *f)
{
    struct admin_call *call = container_of(f, struct admin_call, flow);
    int64_t wait_ms;

    call->updating = false;
    FLOW_BEGIN(f);
    want_topics(call, true);
    if (lack_of(call) != LACKS_NOTHING)
        FLOW_TRY(f, "metadata", update(call, lack_of(call)));
    if (call->cancelled)
        goto failed;
    admin_split(call, call->request, call->to_node ? call->node_id : -1, STR_NULL);
    for (;;) {
        FLOW_WAIT(f, "answers", ask_all(call));
        wait_ms = client_backoff_ms(call->admin->client, ++call->attempt);
        if (!any_again(call) || call->attempt > call->admin->options.retries || wait_ms >= remaining_ms(call))
            break;
        FLOW_WAIT(
            f, "back-off",
            io_timer_set(call->admin->io, &call->timer, io_now_ns(call->admin->io) + wait_ms * 1000000, pause_over));
        if (call->cancelled)
            break;
        if (call->api->route == ROUTE_LEADERS)
            FLOW_TRY(f, "metadata again", update(call, LACKS_ALL));
        if (call->cancelled)
            break;
        renew_parts(call);
    }
    FLOW_END(f);
    call_ended(call, admin_outcome(call));
    return;
failed:
    call_ended(call, admin_explain(call, (int)f->result, false));
}

void admin_send(struct admin *a, struct admin_call *call, int16_t api_key, const void *request, struct op *op)
{
    int64_t timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : a->options.api_timeout_ms;

    ASSERT(call->parts == NULL);
    call->admin = a;
    call->api = admin_api_find(api_key);
    ASSERT(call->api != NULL && (call->to_node || call->api->route != ROUTE_NODE));
    ASSERT(shape_start(&call->api->request_outer, request) != NULL);
    call->request = request;
    call->fail = (struct fail){0};
    call->attempt = call->under_way = call->topics_wanted = 0;
    call->indefinite = call->gave_up = call->cancelled = call->updating = false;
    call->deadline_ns = io_now_ns(a->io) + timeout_ms * 1000000;
    arena_init(&call->arena, 0);
    if (a->options.unreachable_ms < timeout_ms)
        io_timer_set(a->io, &call->patience, io_now_ns(a->io) + a->options.unreachable_ms * 1000000, patience_over);
    flow_start(&call->flow, call_run, op);
}

void admin_call_release(struct admin_call *call)
{
    for (uint32_t i = 0; i < call->part_count; i++)
        part_free(call->parts[i]);
    free(call->parts);
    arena_deinit(&call->arena);
    call->parts = NULL;
    call->part_count = call->part_capacity = 0;
    call->arena = (struct arena){0};
}
