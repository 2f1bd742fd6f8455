/* How the brokers of script.h serve: requests decoded, handled, answered, and what goes wrong with them. */
#include "script_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define ANY_API (-1)

/* ---- answers -------------------------------------------------------------------------------------- */

static void released(struct answer *a)
{
    struct script_request *r = container_of(a, struct script_request, answer);

    free(r->bytes);
    r->bytes = NULL;
}

/* The whole answer, then what the fault makes of it. */
static void encode(struct script_request *r, enum script_fault fault, int64_t argument)
{
    const struct message *m = api_find(r->api_key)->response;
    uint32_t header = response_header_size(r->api_key, r->version);
    int64_t n = message_size(m, r->version, r->response);

    if (n < 0)
        check_fail(__FILE__, __LINE__, "the answer to %s v%d cannot be written: %s", api_name(r->api_key), r->version,
                   message_obstacle(m, r->version, r->response));
    uint32_t total = header + (uint32_t)n;
    struct request_header asked;
    int used = request_header_read(r->frame.bytes, &asked);
    ASSERT(used > 0);
    r->bytes = malloc(4 + (size_t)total);
    response_header_write(r->api_key, r->version, asked.correlation_id + (fault == SCRIPT_CORRELATION), r->bytes + 4);
    message_write(m, r->version, r->response, r->bytes + 4 + header);
    if (fault == SCRIPT_GARBAGE) {
        for (int64_t i = 0; i < n; i++)
            r->bytes[4 + header + i] = (uint8_t)prng_u64(sim_prng(r->script->sim));
    }
    for (int64_t i = 0; fault == SCRIPT_FLIP && n > 0 && i < argument; i++)
        r->bytes[4 + header + prng_below(sim_prng(r->script->sim), (uint64_t)n)] ^= (uint8_t)(1u << i % 8);
    if (fault == SCRIPT_SHORT && argument > 0)
        total -= argument < n ? (uint32_t)argument : (uint32_t)n;
    put_u32(r->bytes, fault == SCRIPT_LENGTH ? (uint32_t)argument : total);
    r->span = (struct io_span){.p = r->bytes, .n = 4 + total};
    r->answer = (struct answer){.spans = &r->span, .span_count = 1, .total_bytes = 4 + total, .release = released};
}

static void answer_none(struct script_request *r)
{
    io_timer_clear(&r->timer);
    list_remove(&r->node);
    conn_answer(&r->frame, NULL);
}

static void answer_now(struct script_request *r, enum script_fault fault, int64_t argument)
{
    if (r->no_answer) {
        answer_none(r);
        return;
    }
    encode(r, fault, argument);
    list_remove(&r->node);
    conn_answer(&r->frame, &r->answer);
}

static void late_fired(struct io_timer *t)
{
    answer_now(container_of(t, struct script_request, timer), SCRIPT_NONE, 0);
}

static struct script_planned take_fault(struct script_request *r)
{
    struct script *s = r->script;

    LIST_EACH (node, &s->faults) {
        struct script_planned *f = container_of(node, struct script_planned, node);
        bool here = f->broker == 0 || f->broker == r->broker;
        if (here && (f->api_key == ANY_API || f->api_key == r->api_key)) {
            struct script_planned taken = *f;
            list_remove(node);
            free(f);
            return taken;
        }
    }
    return (struct script_planned){.fault = SCRIPT_NONE};
}

static void reply(struct script_request *r, const struct script_planned *f)
{
    switch (f->fault) {
    case SCRIPT_CUT:
    case SCRIPT_CUT_AFTER:
        conn_close(r->frame.conn, "the script says so");
        answer_none(r);
        return;
    case SCRIPT_SILENT:
        r->held = true;
        return;
    case SCRIPT_DELAY:
        r->held = true;
        io_timer_set(r->script->brokers[r->broker].io, &r->timer,
                     io_now_ns(r->script->brokers[r->broker].io) + f->argument * 1000000, late_fired);
        return;
    default:
        answer_now(r, f->fault, f->argument);
    }
}

void script_reply(struct script_request *r)
{
    ASSERT(r->parked);
    r->parked = false;
    answer_now(r, SCRIPT_NONE, 0);
}

/* ---- requests ------------------------------------------------------------------------------------- */

static struct conn_frame *take(void *ctx)
{
    struct script_request *r = calloc(1, sizeof *r);

    ASSERT(r != NULL);
    return &r->frame;
}

static void decode(struct script_request *r)
{
    struct script_broker *b = &r->script->brokers[r->broker];
    struct request_header h;
    int used = request_header_read(r->frame.bytes, &h);

    if (used < 0)
        check_fail(__FILE__, __LINE__, "a request whose header cannot be read");
    r->api_key = h.request_api_key;
    r->version = h.request_api_version;
    snprintf(r->client_id, sizeof r->client_id, "%.*s", STR_ARG(h.client_id));
    text_printf(&r->script->log, "%d %s v%d\n", r->broker, api_name(r->api_key), r->version);
    b->counts[r->api_key]++;
    arena_init(&r->arena, 0);
    const struct api *api = api_find(r->api_key);
    bool offered = r->version >= b->low[r->api_key] && r->version <= b->high[r->api_key];
    if (!offered && r->api_key != API_API_VERSIONS)
        check_fail(__FILE__, __LINE__, "broker %d was asked %s v%d, which it did not offer", r->broker, api->name,
                   r->version);
    if (offered) {
        void *m = arena_take(&r->arena, message_struct_bytes(api->request));
        struct bytes body = {r->frame.bytes.p + used, r->frame.bytes.n - used};
        if (message_read(api->request, body, r->version, &r->arena, m) != body.n)
            check_fail(__FILE__, __LINE__, "a %s v%d that cannot be read", api->name, r->version);
        r->message = m;
    }
    r->response = arena_take(&r->arena, message_struct_bytes(api->response));
    message_init(api->response, r->response);
}

static void asked(void *ctx, struct conn_frame *frame)
{
    struct script_connection *c = ctx;
    struct script_request *r = container_of(frame, struct script_request, frame);

    r->script = c->broker->script;
    r->broker = c->broker->id;
    list_add_tail(&c->unanswered, &r->node);
    decode(r);
    struct script_planned fault = take_fault(r);
    if (fault.fault != SCRIPT_CUT) {
        struct script_rule rule = c->broker->rules[r->api_key];
        if (rule.handler == NULL)
            rule.handler = script_default(r->api_key);
        ASSERT(rule.handler != NULL);
        rule.handler(r, rule.ctx);
    }
    if (!r->parked)
        reply(r, &fault);
}

/* What a fault holds back is never answered now; what the test has parked, when the test says so, or at the end. */
void script_drop_held(struct script_connection *c)
{
    LIST_EACH (node, &c->unanswered) {
        struct script_request *r = container_of(node, struct script_request, node);
        if (r->held || c->broker->script->ending)
            answer_none(r);
    }
}

static void give(void *ctx, struct conn_frame *frame)
{
    struct script_request *r = container_of(frame, struct script_request, frame);

    io_timer_clear(&r->timer);
    arena_deinit(&r->arena);
    free(r);
}

static void closed(void *ctx, const char *why)
{
    struct script_connection *c = ctx;

    c->closed = true;
    script_drop_held(c);
}

static void gone(void *ctx)
{
    struct script_connection *c = ctx;

    list_remove(&c->node);
    free(c);
}

static const struct conn_handler handler = {take, asked, give, closed, gone};

void script_serve(struct script_broker *b, struct io_socket *socket)
{
    static const struct conn_limits limits = {
        .frame_bytes_max = 200u << 20, .in_flight_max = 1000, .unsent_bytes_max = 200u << 20};
    struct script_connection *c = calloc(1, sizeof *c);

    c->broker = b;
    list_init(&c->unanswered);
    c->conn = conn_new(b->io, b->script->telemetry, socket, &limits, &handler, c);
    list_add_tail(&b->connections, &c->node);
    b->connection_count++;
    conn_start(c->conn);
}
