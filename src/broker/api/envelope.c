/* Envelope (key 58): a broker passes on what one of its clients asks of the controller (KIP-590).
 *
 *   Envelope ─► header, principal, address ─► the request inside, as if that client had asked here
 *            ◄─ header and body of its answer, which the broker relays byte for byte
 */
#include "broker/api/api.h"

#include <arpa/inet.h>

#include "broker/metrics.h"
#include "broker/session.h"
#include "protocol/default_principal_data.h"
#include "protocol/envelope.h"

#define PRINCIPAL_VERSION_BYTES 2

/* ---- what it says ------------------------------------------------------------------------------ */

static bool read_principal(struct request *r, struct bytes in, struct principal *out)
{
    struct default_principal_data data;
    int16_t version;
    struct bytes rest;

    if (in.n < PRINCIPAL_VERSION_BYTES)
        return false;
    version = get_i16(in.p);
    rest = (struct bytes){in.p + PRINCIPAL_VERSION_BYTES, in.n - PRINCIPAL_VERSION_BYTES};
    if (default_principal_data_read(rest, version, &r->arena, &data) != rest.n)
        return false;
    *out = (struct principal){
        .type = data.type,
        .name = data.name,
        .token_authenticated = data.token_authenticated,
    };
    return true;
}

/* The raw address, as text. */
static bool read_host(struct request *r, struct bytes in, struct str *out)
{
    char text[INET6_ADDRSTRLEN];
    int family = in.n == 4 ? AF_INET : AF_INET6;

    if (in.n != 4 && in.n != 16)
        return false;
    if (inet_ntop(family, in.p, text, sizeof text) == NULL)
        return false;
    *out = arena_str(&r->arena, str_of(text));
    return true;
}

/* Find the API of the request inside. An Envelope is none that may be in one. */
static enum kerr read_header(struct request *inner, struct bytes in)
{
    struct request_header header;
    int used = request_header_read(in, &header);

    if (used < 0)
        return KERR_UNSUPPORTED_VERSION;
    inner->key = header.request_api_key;
    inner->version = header.request_api_version;
    inner->correlation_id = header.correlation_id;
    inner->client_id = header.client_id;
    inner->body = (struct bytes){in.p + used, in.n - used};
    if (!api_find(inner->key)->forwardable)
        return KERR_INVALID_REQUEST;
    inner->api = broker_api_find(inner->key, LISTENER_CONTROLLER);
    if (inner->api == NULL || !api_has_version(api_find(inner->key), inner->version))
        return KERR_UNSUPPORTED_VERSION;
    return KERR_NONE;
}

/* In Kafka's order. What cannot be read of the request inside is an unsupported version, on which the broker closes its
 * client's connection; what is wrong with the envelope itself is an invalid request. */
static enum kerr open_envelope(struct request *r, struct request *inner)
{
    const struct envelope_request *m = r->message;
    struct principal *principal = arena_take(&r->arena, sizeof *principal);
    enum kerr error;

    if (!read_principal(r, m->request_principal, principal))
        return KERR_PRINCIPAL_DESERIALIZATION_FAILURE;
    inner->principal = principal;
    if (!read_host(r, m->client_host_address, &inner->host))
        return KERR_INVALID_REQUEST;
    error = read_header(inner, m->request_data);
    if (error != KERR_NONE)
        return error;
    request_prepare(inner);
    return request_decode(inner) ? KERR_NONE : KERR_UNSUPPORTED_VERSION;
}

/* ---- its answer -------------------------------------------------------------------------------- */

static enum kerr encode(struct request *r, const struct request *inner, struct bytes *out)
{
    uint32_t header = response_header_size(inner->key, inner->version);
    int64_t body = message_size(inner->response_message, inner->version, inner->response);
    uint8_t *p;

    if (body < 0 || body > INT32_MAX - (int64_t)header)
        return KERR_UNKNOWN_SERVER_ERROR;
    p = arena_take(&r->arena, header + (size_t)body);
    response_header_write(inner->key, inner->version, inner->correlation_id, p);
    message_write(inner->response_message, inner->version, inner->response, p + header);
    *out = (struct bytes){p, (int32_t)(header + body)};
    return KERR_NONE;
}

/* "Not the controller" is the envelope's own error, wherever the answer says it: the broker is to look for another one,
 * and its client is not to know. */
static void inner_answered(struct request *inner)
{
    struct request *r = inner->envelope;
    struct envelope_response *a = r->response;
    enum kerr error;

    if (inner->cancelled || r->cancelled) {
        request_answer_none(r);
        return;
    }
    if (message_has_error(inner->response_message, inner->version, inner->response, KERR_NOT_CONTROLLER))
        error = KERR_NOT_CONTROLLER;
    else
        error = encode(r, inner, &a->response_data);
    a->error_code = (int16_t)error;
    metrics_answered(inner, (uint64_t)(a->response_data.n > 0 ? a->response_data.n : 0));
    request_answer(r);
}

static struct request *inner_new(struct request *r)
{
    struct request *inner = arena_take(&r->arena, sizeof *inner);

    *inner = (struct request){
        .frame.received_ns = r->frame.received_ns,
        .session = r->session,
        .shard = r->shard,
        .begun = true,
        .envelope = r,
        .answered = inner_answered,
    };
    arena_init(&inner->arena, 0);
    inner->arena.ledger = &r->shard->ledger;
    list_init(&inner->scatters);
    r->inner = inner;
    return inner;
}

void envelope_handle(struct request *r)
{
    struct envelope_response *a = r->response;
    struct request *inner;
    enum kerr error;

    if (!request_authorize(r, ACL_CLUSTER_ACTION, RESOURCE_CLUSTER, STR("kafka-cluster"))) {
        a->error_code = KERR_CLUSTER_AUTHORIZATION_FAILED;
        request_answer(r);
        return;
    }
    inner = inner_new(r);
    error = open_envelope(r, inner);
    if (error != KERR_NONE) {
        a->error_code = (int16_t)error;
        request_answer(r);
        return;
    }
    metrics_begun(inner);
    inner->api->handle(inner);
}
