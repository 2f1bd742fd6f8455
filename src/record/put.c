#include "record/record.h"

/* Most lengths and deltas are below 64: one byte. */
static inline uint8_t *put_small(uint8_t *p, uint64_t zigzag)
{
    if (LIKELY(zigzag < 0x80)) {
        *p = (uint8_t)zigzag;
        return p + 1;
    }
    if (LIKELY(zigzag < 0x4000)) {
        p[0] = (uint8_t)(zigzag | 0x80);
        p[1] = (uint8_t)(zigzag >> 7);
        return p + 2;
    }
    return put_uvarint(p, zigzag);
}

static inline uint32_t size_of(uint64_t zigzag)
{
    return LIKELY(zigzag < 0x80) ? 1 : LIKELY(zigzag < 0x4000) ? 2 : uvarint_size_64(zigzag);
}

/* Length and bytes; n < 0 is null. */
static inline uint8_t *put_nullable(uint8_t *p, struct bytes b)
{
    if (b.n <= 0) {
        *p = b.n == 0 ? 0 : 1;
        return p + 1;
    }
    p = put_small(p, zigzag_32(b.n));
    memcpy(p, b.p, (size_t)b.n);
    return p + b.n;
}

static inline uint32_t size_nullable(struct bytes b)
{
    return b.n <= 0 ? 1 : size_of(zigzag_32(b.n)) + (uint32_t)b.n;
}

/* All but the headers, which take `headers_bytes`. */
static inline uint8_t *put_front(uint8_t *p, int32_t offset_delta, int64_t timestamp_delta_ms, struct bytes key,
                                 struct bytes value, uint32_t headers_bytes, int32_t header_count)
{
    uint64_t time = zigzag_64(timestamp_delta_ms);
    uint32_t offset = zigzag_32(offset_delta), count = zigzag_32(header_count);
    uint32_t body = 1 + size_of(time) + size_of(offset) + size_nullable(key) + size_nullable(value) + size_of(count) +
                    headers_bytes;

    ASSERT(body <= INT32_MAX);
    p = put_small(p, zigzag_32((int32_t)body));
    *p++ = 0; /* attributes */
    p = put_small(p, time);
    p = put_small(p, offset);
    p = put_nullable(p, key);
    p = put_nullable(p, value);
    return put_small(p, count);
}

uint8_t *record_put(uint8_t *p, int32_t offset_delta, int64_t timestamp_delta_ms, struct bytes key, struct bytes value,
                    const struct record_header *headers, int32_t header_count)
{
    uint32_t n = 0;

    for (int32_t i = 0; i < header_count; i++)
        n += size_nullable(bytes_of_str(headers[i].key)) + size_nullable(headers[i].value);
    p = put_front(p, offset_delta, timestamp_delta_ms, key, value, n, header_count);
    for (int32_t i = 0; i < header_count; i++) {
        p = put_nullable(p, bytes_of_str(headers[i].key));
        p = put_nullable(p, headers[i].value);
    }
    return p;
}

uint8_t *record_put_raw(uint8_t *p, int32_t offset_delta, int64_t timestamp_delta_ms, struct bytes key,
                        struct bytes value, struct bytes headers, int32_t header_count)
{
    uint32_t n = headers.n > 0 ? (uint32_t)headers.n : 0;

    p = put_front(p, offset_delta, timestamp_delta_ms, key, value, n, header_count);
    if (n > 0)
        memcpy(p, headers.p, n);
    return p + n;
}
