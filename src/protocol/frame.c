/* frame.c - headers of requests and responses, prefixes of records. */

#include "protocol/frame.h"

#include "protocol/protocol.h"
#include "protocol/hot.h"

#define FIXED_BYTES 8 /* key, version, correlation id: the same in every request header */
#define METADATA_FRAME_VERSION 1

int request_header_version(int16_t api_key, int16_t api_version)
{
    const struct api *api = api_find(api_key);

    if (api == NULL)
        return ERR_VERSION;
    return api_version >= api->request->flexible ? 2 : 1;
}

int response_header_version(int16_t api_key, int16_t api_version)
{
    const struct api *api = api_find(api_key);

    if (api == NULL)
        return ERR_VERSION;
    if (api->response_header_0)
        return 0;
    return api_version >= api->response->flexible ? 1 : 0;
}

/* A request header knows no tags, so they are one slice, and no arena is needed. */
static bool take_header_end(struct reader *r, int header_version, struct request_header *h)
{
    if (!take_string(r, false, true, &h->client_id))
        return false;
    return header_version < 2 || take_tags(r, no_tag, NULL, NULL, &h->unknown_tags);
}

int request_header_read(struct bytes frame, struct request_header *out)
{
    struct request_header h = request_header_default;

    if (frame.n < FIXED_BYTES)
        return ERR_SHORT;
    h.request_api_key = get_i16(frame.p);
    h.request_api_version = get_i16(frame.p + 2);
    h.correlation_id = get_i32(frame.p + 4);
    h.client_id = STR_NULL;

    int header_version = request_header_version(h.request_api_key, h.request_api_version);
    if (header_version < 0)
        return header_version;

    struct reader r = reader_of((struct bytes){frame.p + FIXED_BYTES, frame.n - FIXED_BYTES}, NULL);
    bool whole = take_header_end(&r, header_version, &h);
    if (!whole) {
        const struct api *api = api_find(h.request_api_key);
        if (h.request_api_key != API_API_VERSIONS || api_has_version(api, h.request_api_version))
            return r.error;
        h.unknown_tags = (struct bytes){NULL, 0};
    }
    *out = h;
    return (int)(r.p - frame.p);
}

int64_t request_header_size(const struct request_header *h)
{
    int version = request_header_version(h->request_api_key, h->request_api_version);

    if (version < 0)
        return version;
    return message_size(&request_header_message, (int16_t)version, h);
}

void request_header_write(const struct request_header *h, uint8_t *out)
{
    int version = request_header_version(h->request_api_key, h->request_api_version);

    ASSERT(version > 0);
    message_write(&request_header_message, (int16_t)version, h, out);
}

uint32_t response_header_size(int16_t api_key, int16_t api_version)
{
    int version = response_header_version(api_key, api_version);

    ASSERT(version >= 0);
    return version == 0 ? 4 : 5;
}

void response_header_write(int16_t api_key, int16_t api_version, int32_t correlation_id,
                           uint8_t *out)
{
    put_u32(out, (uint32_t)correlation_id);
    if (response_header_size(api_key, api_version) > 4)
        out[4] = 0; /* no tagged fields */
}

int response_header_read(struct bytes frame, int16_t api_key, int16_t api_version,
                         int32_t *correlation_id)
{
    int version = response_header_version(api_key, api_version);
    struct bytes unknown = {NULL, 0};

    if (version < 0)
        return version;
    if (frame.n < 4)
        return ERR_SHORT;
    struct reader r = reader_of((struct bytes){frame.p + 4, frame.n - 4}, NULL);
    if (version > 0 && !take_tags(&r, no_tag, NULL, NULL, &unknown))
        return r.error;
    *correlation_id = get_i32(frame.p);
    return (int)(r.p - frame.p);
}

/* ---- records of the internal logs ---- */

/* Read all of `in` as out->message in out->version. */
static int read_framed(struct bytes in, struct arena *arena, struct message_framed *out)
{
    if (out->message == NULL || !message_has_version(out->message, out->version))
        return ERR_VERSION;
    void *value = arena_take(arena, message_struct_bytes(out->message));
    if (value == NULL)
        return ERR_LIMIT;
    int used = message_read(out->message, in, out->version, arena, value);
    if (used < 0)
        return used;
    if (used != in.n)
        return ERR_CORRUPT;
    out->value = value;
    return 0;
}

int message_metadata_read(struct bytes in, enum message_kind kind, struct arena *arena,
                          struct message_framed *out)
{
    struct reader r = reader_of(in, arena);
    uint32_t frame, type, version;

    ASSERT(kind == MESSAGE_METADATA || kind == MESSAGE_TIERED);
    *out = (struct message_framed){0};
    if (!take_uvarint(&r, &frame) || !take_uvarint(&r, &type) || !take_uvarint(&r, &version))
        return r.error;
    if (frame != METADATA_FRAME_VERSION || type > INT16_MAX || version > INT16_MAX)
        return ERR_VERSION;
    out->message = message_find(kind, (int16_t)type);
    out->version = (int16_t)version;
    return read_framed((struct bytes){r.p, (int32_t)(r.end - r.p)}, arena, out);
}

static uint32_t metadata_prefix_size(const struct message *message, int16_t version)
{
    return 1 + uvarint_size_32((uint32_t)message->key) + uvarint_size_32((uint32_t)version);
}

int64_t message_metadata_size(const struct message *message, int16_t version, const void *m)
{
    int64_t size = message_size(message, version, m);

    return size < 0 ? size : size + metadata_prefix_size(message, version);
}

void message_metadata_write(const struct message *message, int16_t version, const void *m,
                            uint8_t *out)
{
    out = put_uvarint(out, METADATA_FRAME_VERSION);
    out = put_uvarint(out, (uint64_t)message->key);
    out = put_uvarint(out, (uint64_t)version);
    message_write(message, version, m, out);
}

/* The number that leads a coordinator's key or value. */
static int take_lead(struct bytes in, int16_t *lead, struct bytes *body)
{
    if (in.n < 2)
        return ERR_SHORT;
    *lead = get_i16(in.p);
    *body = (struct bytes){in.p + 2, in.n - 2};
    return 0;
}

int message_key_read(struct bytes in, enum message_kind kind, struct arena *arena,
                     struct message_framed *out)
{
    struct bytes body;
    int16_t type;

    *out = (struct message_framed){0};
    TRY(take_lead(in, &type, &body));
    out->message = message_find(kind, type);
    return read_framed(body, arena, out);
}

int message_value_read(struct bytes in, enum message_kind kind, int16_t type, struct arena *arena,
                       struct message_framed *out)
{
    struct bytes body;
    int16_t version;

    *out = (struct message_framed){0};
    TRY(take_lead(in, &version, &body));
    out->message = message_find(kind, type);
    out->version = version;
    return read_framed(body, arena, out);
}

static bool is_key(const struct message *message)
{
    return message->kind == MESSAGE_GROUP_KEY || message->kind == MESSAGE_SHARE_KEY ||
           message->kind == MESSAGE_TRANSACTION_KEY;
}

int64_t message_coordinator_size(const struct message *message, int16_t version, const void *m)
{
    int64_t size = message_size(message, version, m);

    return size < 0 ? size : size + 2;
}

void message_coordinator_write(const struct message *message, int16_t version, const void *m,
                               uint8_t *out)
{
    put_u16(out, (uint16_t)(is_key(message) ? message->key : version));
    message_write(message, version, m, out + 2);
}
