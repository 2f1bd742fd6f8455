/* Going through the records of a batch.
 *
 *   varint length | attributes i8 | varlong timestamp delta | varint offset delta |
 *   varint key length, key | varint value length, value | varint header count, headers
 *
 * A header is: varint key length, key, varint value length, value. Signed varints, zigzag; a
 * negative length of a key or value is null.
 */
#include "record/record.h"
#include "record/layout.h"

int records_begin(struct records *r, const struct batch *batch, size_t limit_bytes)
{
    struct records begun = {.batch = batch};
    struct bytes stored = {batch->bytes.p + AT_RECORDS, batch->bytes.n - AT_RECORDS};
    enum codec codec = batch_codec(batch);

    if (codec >= CODEC_COUNT || batch->count < 0)
        return ERR_CORRUPT;
    if (codec != CODEC_NONE && batch->count > 0) {
        int error = decompress(codec, stored, limit_bytes, &begun.plain);

        if (error < 0) {
            text_deinit(&begun.plain);
            return error;
        }
        stored = bytes_of_str(text_str(&begun.plain));
    }
    begun.first = stored.p;
    begun.end = stored.p + stored.n;
    records_rewind(&begun);
    *r = begun;
    return 0;
}

void records_rewind(struct records *r)
{
    r->p = r->first;
    r->left = r->batch->count;
}

void records_share(struct records *r, const struct records *of)
{
    *r = (struct records){.batch = of->batch, .first = of->first, .end = of->end};
    records_rewind(r);
}

struct records_place records_place(const struct records *r)
{
    return (struct records_place){r->batch->count - r->left, (int32_t)(r->p - r->first)};
}

void records_go(struct records *r, struct records_place at)
{
    r->p = r->first + at.bytes;
    r->left = r->batch->count - at.number;
}

void records_end(struct records *r)
{
    text_deinit(&r->plain);
    *r = (struct records){0};
}

/* What follows says where it ends, or NULL when it is cut off by `end` or cannot be. Nearly all numbers of a record have
 * one byte or two; the others are read out of line, where they take no registers from those. */
__attribute__((noinline)) static const uint8_t *take_long_varint(const uint8_t *p, const uint8_t *end, int32_t *out)
{
    uint32_t value;

    p = get_uvarint_32(p, end, &value);
    if (p != NULL)
        *out = unzigzag_32(value);
    return p;
}

__attribute__((noinline)) static const uint8_t *take_long_varlong(const uint8_t *p, const uint8_t *end, int64_t *out)
{
    uint64_t value;

    p = get_uvarint_64(p, end, &value);
    if (p != NULL)
        *out = unzigzag_64(value);
    return p;
}

static inline bool is_short(const uint8_t *p, const uint8_t *end)
{
    return end - p >= 2 && p[1] < 0x80;
}

static inline const uint8_t *take_varint(const uint8_t *p, const uint8_t *end, int32_t *out)
{
    int32_t value;

    if (LIKELY(p < end && *p < 0x80)) {
        *out = unzigzag_32(*p);
        return p + 1;
    }
    if (LIKELY(is_short(p, end))) {
        *out = unzigzag_32((*p & 0x7fu) | (uint32_t)p[1] << 7);
        return p + 2;
    }
    p = take_long_varint(p, end, &value);
    if (p != NULL)
        *out = value;
    return p;
}

static inline const uint8_t *take_varlong(const uint8_t *p, const uint8_t *end, int64_t *out)
{
    int64_t value;

    if (LIKELY(p < end && *p < 0x80)) {
        *out = unzigzag_64(*p);
        return p + 1;
    }
    if (LIKELY(is_short(p, end))) {
        *out = unzigzag_64((*p & 0x7fu) | (uint32_t)p[1] << 7);
        return p + 2;
    }
    p = take_long_varlong(p, end, &value);
    if (p != NULL)
        *out = value;
    return p;
}

/* A length and that many bytes; null for a negative length. */
static inline const uint8_t *take_nullable(const uint8_t *p, const uint8_t *end, struct bytes *out)
{
    int32_t n;

    p = take_varint(p, end, &n);
    if (UNLIKELY(p == NULL || n > end - p))
        return NULL;
    if (n < 0) {
        *out = BYTES_NULL;
        return p;
    }
    *out = (struct bytes){p, n};
    return p + n;
}

static const uint8_t *take_header(const uint8_t *p, const uint8_t *end, struct record_header *out)
{
    struct bytes key;

    p = take_nullable(p, end, &key);
    if (p == NULL || key.n < 0)
        return NULL; /* a header must have a name, if an empty one */
    out->key = str_of_bytes(key);
    return take_nullable(p, end, &out->value);
}

/* Whether what is left is exactly `count` headers. */
__attribute__((noinline)) static bool headers_fill(const uint8_t *p, const uint8_t *end, int32_t count)
{
    struct record_header header;

    for (; count > 0 && p != NULL; count--)
        p = take_header(p, end, &header);
    return count == 0 && p == end;
}

int records_next(struct records *r, struct record *out)
{
    const struct batch *batch = r->batch;
    const uint8_t *p, *end;
    struct record record;
    int32_t n;

    if (r->left == 0)
        return r->p == r->end ? 0 : ERR_CORRUPT;
    p = take_varint(r->p, r->end, &n);
    if (UNLIKELY(p == NULL || n < 1 || n > r->end - p))
        return ERR_CORRUPT;
    end = p + n;
    p++; /* attributes: none are defined, and all are ignored */
    if (UNLIKELY((p = take_varlong(p, end, &record.timestamp_ms)) == NULL ||
                 (p = take_varint(p, end, &record.offset_delta)) == NULL ||
                 (p = take_nullable(p, end, &record.key)) == NULL ||
                 (p = take_nullable(p, end, &record.value)) == NULL ||
                 (p = take_varint(p, end, &record.header_count)) == NULL ||
                 (record.header_count == 0 ? p != end : !headers_fill(p, end, record.header_count))))
        return ERR_CORRUPT;
    record.headers = (struct bytes){p, (int32_t)(end - p)};

    /* Unsigned: hostile numbers may wrap, as they do in Java. */
    record.offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)record.offset_delta);
    if ((batch->attributes & BATCH_LOG_APPEND_TIME) != 0)
        record.timestamp_ms = batch->max_timestamp_ms;
    else
        record.timestamp_ms =
            (int64_t)((uint64_t)batch->base_timestamp_ms + (uint64_t)record.timestamp_ms);
    r->p = end;
    r->left--;
    *out = record;
    return 1;
}

int records_skip(struct records *r, int32_t count)
{
    const uint8_t *p = r->p;
    int32_t n;

    for (int32_t i = 0; i < count; i++) {
        if (i == r->left || (p = take_varint(p, r->end, &n)) == NULL || n < 1 || n > r->end - p)
            return ERR_CORRUPT;
        p += n;
    }
    r->p = p;
    r->left -= count;
    return 0;
}

int record_header_next(struct bytes *rest, struct record_header *out)
{
    struct record_header header;
    const uint8_t *p;

    if (rest->n <= 0)
        return 0;
    p = take_header(rest->p, rest->p + rest->n, &header);
    if (p == NULL)
        return ERR_CORRUPT;
    rest->n -= (int32_t)(p - rest->p);
    rest->p = p;
    *out = header;
    return 1;
}
