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

static struct bytes records_all(const struct records *r)
{
    const struct batch *b = r->batch;

    if (batch_codec(b) != CODEC_NONE && b->count > 0)
        return bytes_of_str(text_str(&r->plain));
    return (struct bytes){b->bytes.p + AT_RECORDS, b->bytes.n - AT_RECORDS};
}

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
    }
    records_rewind(&begun);
    *r = begun;
    return 0;
}

void records_rewind(struct records *r)
{
    struct bytes all = records_all(r);

    r->p = all.p;
    r->end = all.p + all.n;
    r->left = r->batch->count;
}

void records_end(struct records *r)
{
    text_deinit(&r->plain);
    *r = (struct records){0};
}

/* Nearly all numbers of a record have one byte or two. */
static inline bool is_short(const struct rd *r, uint32_t *value)
{
    if (UNLIKELY(r->p == r->end))
        return false;
    *value = r->p[0];
    if (LIKELY(*value < 0x80))
        return true;
    if (UNLIKELY(r->end - r->p < 2 || r->p[1] >= 0x80))
        return false;
    *value = (*value & 0x7f) | (uint32_t)r->p[1] << 7;
    return true;
}

static inline int32_t take_varint(struct rd *r)
{
    uint32_t value;

    if (UNLIKELY(!is_short(r, &value)))
        return rd_varint(r);
    r->p += value < 0x80 ? 1 : 2;
    return unzigzag_32(value);
}

static inline int64_t take_varlong(struct rd *r)
{
    uint32_t value;

    if (UNLIKELY(!is_short(r, &value)))
        return rd_varlong(r);
    r->p += value < 0x80 ? 1 : 2;
    return unzigzag_64(value);
}

/* A length and that many bytes; null for a negative length. */
static inline struct bytes take_nullable(struct rd *r)
{
    int32_t n = take_varint(r);
    struct bytes b = BYTES_NULL;

    if (n >= 0) {
        b.p = rd_take(r, (size_t)n);
        b.n = n;
    }
    return b;
}

static void take_header(struct rd *r, struct record_header *out)
{
    struct bytes key = take_nullable(r);

    out->value = take_nullable(r);
    out->key = str_of_bytes(key);
    if (key.n < 0)
        r->failed = true; /* a header must have a name, if an empty one */
}

/* Whether the rest of `body` is exactly `count` headers. */
static bool headers_fill(struct rd body, int32_t count)
{
    struct record_header header;

    if (count < 0)
        return false;
    while (count > 0 && !body.failed) {
        take_header(&body, &header);
        count--;
    }
    return !body.failed && body.p == body.end;
}

int records_next(struct records *r, struct record *out)
{
    const struct batch *batch = r->batch;
    struct rd all = {r->p, r->end, false};
    struct record record;
    struct rd body;
    int32_t n;

    if (r->left == 0)
        return r->p == r->end ? 0 : ERR_CORRUPT;
    n = take_varint(&all);
    if (n < 0)
        return ERR_CORRUPT;
    body.p = rd_take(&all, (size_t)n);
    if (body.p == NULL)
        return ERR_CORRUPT;
    body.end = body.p + n;
    body.failed = false;

    rd_take(&body, 1); /* attributes: none are defined, and all are ignored */
    record.timestamp_ms = take_varlong(&body);
    record.offset_delta = take_varint(&body);
    record.key = take_nullable(&body);
    record.value = take_nullable(&body);
    record.header_count = take_varint(&body);
    if (body.failed || !headers_fill(body, record.header_count))
        return ERR_CORRUPT;
    record.headers = (struct bytes){body.p, (int32_t)(body.end - body.p)};

    /* Unsigned: hostile numbers may wrap, as they do in Java. */
    record.offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)record.offset_delta);
    if ((batch->attributes & BATCH_LOG_APPEND_TIME) != 0)
        record.timestamp_ms = batch->max_timestamp_ms;
    else
        record.timestamp_ms =
            (int64_t)((uint64_t)batch->base_timestamp_ms + (uint64_t)record.timestamp_ms);
    r->p = all.p;
    r->left--;
    *out = record;
    return 1;
}

int record_header_next(struct bytes *rest, struct record_header *out)
{
    struct record_header header;
    struct rd r;

    if (rest->n <= 0)
        return 0;
    r = rd_of(rest->p, (size_t)rest->n);
    take_header(&r, &header);
    if (r.failed)
        return ERR_CORRUPT;
    rest->n -= (int32_t)(r.p - rest->p);
    rest->p = r.p;
    *out = header;
    return 1;
}
