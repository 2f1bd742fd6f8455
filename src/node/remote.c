/* The active controller in another process: this node's own requests go to it as they are, those of clients in
 * Envelopes (KIP-590) that say who asks, and from where. In this file alone is known how. */
#include "node/internal.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "protocol/default_principal_data.h"

#define RECONNECT_MS 50     /* as a Kafka broker; who leads may be back in no time */
#define RETRY_MS 50
#define RETRY_MS_MAX 1000
#define ANSWER_BYTES_MAX (100u << 20)
#define PRINCIPAL_VERSION 0 /* of DefaultPrincipalData, which is said before it */
#define FOR_EVER_MS (INT64_C(365) * 24 * 3600 * 1000)

/* ---- connections ---------------------------------------------------------------------------------------------- */

/* One request at a time on a connection, as Kafka's brokers do it: what was not sent can safely go elsewhere. */
static struct client *connect_later(struct node *n, const char *what, int64_t request_timeout_ms)
{
    const struct config *s = n->options.settings;
    char id[48];
    struct fail f = {0};

    snprintf(id, sizeof id, "node-%" PRId32 "-to-controller-%s", n->options.node_id, what);
    struct client *c = client_new(n->io, n->telemetry, &(struct client_settings){
        .bootstrap_servers = STR_NULL,
        .client_id = str_of(id),
        .client_rack = STR_NULL,
        .request_timeout_ms = request_timeout_ms,
        .reconnect_backoff_ms = RECONNECT_MS,
        .reconnect_backoff_max_ms = RECONNECT_MS,
        .retry_backoff_ms = RETRY_MS,
        .retry_backoff_max_ms = RETRY_MS_MAX,
        .connection_setup_timeout_ms = config_i64(s, BROKER_SOCKET_CONNECTION_SETUP_TIMEOUT_MS),
        .connection_setup_timeout_max_ms = config_i64(s, BROKER_SOCKET_CONNECTION_SETUP_TIMEOUT_MAX_MS),
        .connections_max_idle_ms = config_i64(s, BROKER_CONNECTIONS_MAX_IDLE_MS),
        .metadata_max_age_ms = FOR_EVER_MS,
        .metadata_max_idle_ms = FOR_EVER_MS,
        .frame_bytes_max = ANSWER_BYTES_MAX,
        .in_flight_max = 1,
    }, &f);
    ASSERT(c != NULL);
    return c;
}

void remote_open(struct node *n)
{
    const struct config *s = n->options.settings;

    n->own_client = connect_later(n, "own", config_i64(s, BROKER_CONTROLLER_SOCKET_TIMEOUT_MS));
    n->forward_client = connect_later(n, "forwarding", config_i64(s, BROKER_REQUEST_TIMEOUT_MS));
}

void remote_close(struct node *n, enum ask_kind kind, struct op *op)
{
    client_close(kind == ASK_OWN ? n->own_client : n->forward_client, op);
}

/* ---- envelopes ------------------------------------------------------------------------------------------------ */

/* As Java's InetAddress has it: 4 or 16 bytes, and an IPv4 address also where it is written as a mapped one. */
static struct bytes address_bytes(struct arena *arena, struct str host)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t *bytes = arena_take(arena, 16);
    char text[64];

    snprintf(text, sizeof text, "%.*s", STR_ARG(host));
    text[strcspn(text, "%")] = '\0'; /* the zone of a link-local one */
    if (inet_pton(AF_INET6, text, bytes) == 1)
        return memcmp(bytes, mapped, sizeof mapped) == 0 ? (struct bytes){bytes + 12, 4} : (struct bytes){bytes, 16};
    if (inet_pton(AF_INET, text, bytes) != 1)
        memset(bytes, 0, 4); /* nobody says from where */
    return (struct bytes){bytes, 4};
}

static int wrap_principal(struct arena *arena, const struct principal *p, struct bytes *out)
{
    struct default_principal_data m;

    default_principal_data_init(&m);
    m.type = p->type;
    m.name = p->name;
    m.token_authenticated = p->token_authenticated;
    int64_t n = default_principal_data_size(&m, PRINCIPAL_VERSION);
    if (n < 0)
        return (int)n;
    uint8_t *bytes = arena_take_raw(arena, 2 + (size_t)n);
    put_u16(bytes, PRINCIPAL_VERSION);
    default_principal_data_write(&m, PRINCIPAL_VERSION, bytes + 2);
    *out = (struct bytes){bytes, (int32_t)n + 2};
    return 0;
}

/* The client's request, as it came: header and body. */
static int wrap_request(struct arena *arena, const struct controller_call *call, struct bytes *out)
{
    const struct message *message = api_find(call->api_key)->request;
    struct request_header header;

    request_header_init(&header);
    header.request_api_key = call->api_key;
    header.request_api_version = call->api_version;
    header.client_id = call->client_id;
    int64_t head = request_header_size(&header), body = message_size(message, call->api_version, call->request);
    if (head < 0 || body < 0)
        return (int)(head < 0 ? head : body);
    if (head + body > ANSWER_BYTES_MAX)
        return ERR_LIMIT;
    uint8_t *bytes = arena_take_raw(arena, (size_t)(head + body));
    request_header_write(&header, bytes);
    message_write(message, call->api_version, call->request, bytes + head);
    *out = (struct bytes){bytes, (int32_t)(head + body)};
    return 0;
}

static int wrap(struct ask *a)
{
    if (a->wrapped)
        return 0;
    envelope_request_init(&a->envelope);
    TRY(wrap_request(&a->arena, a->call, &a->envelope.request_data));
    TRY(wrap_principal(&a->arena, a->call->principal, &a->envelope.request_principal));
    a->envelope.client_host_address = address_bytes(&a->arena, a->call->host);
    a->wrapped = true;
    return 0;
}

/* The answer in the envelope; its text and records stay in the caller's arena. */
static int unwrap(struct ask *a, struct bytes data)
{
    struct controller_call *call = a->call;
    const struct message *message = api_find(call->api_key)->response;
    struct bytes kept = arena_bytes(call->arena, data);
    int32_t correlation_id;
    int head;

    if (data.n < 0 || kept.n < 0)
        return ERR_CORRUPT;
    TRY(head = response_header_read(kept, call->api_key, call->api_version, &correlation_id));
    return message_read(message, (struct bytes){kept.p + head, kept.n - head}, call->api_version, call->arena,
                        call->response);
}

/* ---- answers -------------------------------------------------------------------------------------------------- */

static void own_answered(struct ask *a)
{
    struct own_call *c = container_of(a->call, struct own_call, call);

    memcpy(a->call->response, a->away.response, message_struct_bytes(api_find(a->call->api_key)->response));
    if (*c->error_code == KERR_NOT_CONTROLLER)
        ask_not_controller(a);
    else
        ask_end(a, (enum kerr)*c->error_code);
}

static void say_refused(struct ask *a, int16_t error)
{
    say(a->node_of->telemetry, LOG_ERROR, "node",
        "controller %" PRId32 " refuses a client's %s in an Envelope: %s%s", a->asked, api_name(a->call->api_key),
        kerr_name(error),
        error == KERR_CLUSTER_AUTHORIZATION_FAILED ? "; this broker needs CLUSTER_ACTION on the cluster there" : "");
}

static void envelope_answered(struct ask *a)
{
    const struct envelope_response *m = a->away.response;

    if (m->error_code == KERR_NOT_CONTROLLER) {
        ask_not_controller(a);
    } else if (m->error_code != KERR_NONE) {
        say_refused(a, m->error_code);
        ask_end(a, m->error_code == KERR_UNSUPPORTED_VERSION ? KERR_UNSUPPORTED_VERSION : KERR_UNKNOWN_SERVER_ERROR);
    } else if (unwrap(a, m->response_data) < 0) {
        ask_lost(a, true);
    } else if (message_has_error(api_find(a->call->api_key)->response, a->call->api_version, a->call->response,
                                 KERR_NOT_CONTROLLER)) {
        ask_not_controller(a);
    } else {
        ask_end(a, KERR_NONE);
    }
}

static void came_back(struct op *op, int64_t result)
{
    struct ask *a = container_of(op, struct ask, away.op);

    if (result == 0 && a->kind == ASK_OWN)
        own_answered(a);
    else if (result == 0)
        envelope_answered(a);
    else if (!a->away.sent && (result == ERR_VERSION || result == -EINVAL))
        ask_end(a, KERR_UNSUPPORTED_VERSION); /* that controller knows no such request, or not all that is in it */
    else
        ask_lost(a, a->away.sent);
}

/* ---- sending -------------------------------------------------------------------------------------------------- */

static void prepare_own(struct client_call *away)
{
    struct ask *a = container_of(away, struct ask, away);
    struct own_call *c = container_of(a->call, struct own_call, call);

    c->call.api_version = away->version;
    if (c->prepare != NULL)
        c->prepare(c);
}

static void go_out(struct ask *a, struct client *client, int16_t api_key, const void *request,
                   void (*prepare)(struct client_call *call))
{
    int64_t left_ns = a->deadline_ns - io_now_ns(a->node_of->io);

    client_call_release(&a->away); /* of an earlier try */
    a->away = (struct client_call){
        .target = {.kind = CLIENT_NODE, .node_id = a->asked, .key = STR_NULL},
        .api_key = api_key,
        .request = request,
        .prepare = prepare,
        .timeout_ms = left_ns > 1000000 ? left_ns / 1000000 : 1,
    };
    op_init(&a->away.op, came_back);
    client_send(client, &a->away);
}

void remote_send(struct ask *a, int32_t id, const struct raft_endpoint *at)
{
    struct client *client = a->kind == ASK_OWN ? a->node_of->own_client : a->node_of->forward_client;

    client_tell_node(client, id, str_of(at->host), at->port);
    if (a->kind == ASK_OWN)
        go_out(a, client, a->call->api_key, a->call->request, prepare_own);
    else if (wrap(a) == 0)
        go_out(a, client, API_ENVELOPE, &a->envelope, NULL);
    else
        ask_end_soon(a, KERR_INVALID_REQUEST);
}

void remote_cancel(struct ask *a)
{
    client_cancel(&a->away);
}

static void leave_all_but(struct client *c, int32_t leader)
{
    uint32_t count;
    const struct client_broker *told = client_brokers(c, &count);

    for (uint32_t i = count; i-- > 0;) {
        if (told[i].id != leader)
            client_forget_node(c, told[i].id);
    }
}

void remote_leave_all_but(struct node *n, int32_t leader)
{
    leave_all_but(n->own_client, leader);
    leave_all_but(n->forward_client, leader);
}
