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
    return b.n <= 0 ? 1 : uvarint_size_32(zigzag_32(b.n)) + (uint32_t)b.n;
}

/* A record that is being written: its length will stand at `p`, what it counts begins at `body`. */
struct frame {
    uint8_t *p, *body;
};

/* How many bytes the length takes depends on the length. Two do from 64 to 8191, and most records are seen to be in
 * between without counting each field. */
static inline bool takes_two_bytes(struct bytes key, struct bytes value, uint32_t headers_bytes)
{
    uint64_t least = 6 + headers_bytes + (uint32_t)(key.n > 0 ? key.n : 0) + (uint32_t)(value.n > 0 ? value.n : 0);

    return least >= 64 && least + RECORD_OVERHEAD_MAX < 8192;
}

static struct frame frame_begin(uint8_t *p, uint64_t time, uint64_t offset, struct bytes key, struct bytes value,
                                uint32_t headers_bytes, int32_t header_count)
{
    uint64_t body;

    if (takes_two_bytes(key, value, headers_bytes))
        return (struct frame){p, p + 2};
    body = 1 + uvarint_size_64(time) + uvarint_size_64(offset) + size_nullable(key) + size_nullable(value) +
           uvarint_size_32(zigzag_32(header_count)) + (uint64_t)headers_bytes;
    ASSERT(body <= INT32_MAX);
    return (struct frame){p, p + uvarint_size_32(zigzag_32((int32_t)body))};
}

static inline uint8_t *frame_end(struct frame f, uint8_t *end)
{
    uint8_t *body = put_small(f.p, zigzag_32((int32_t)(end - f.body)));

    ASSERT(body == f.body);
    return end;
}

__attribute__((always_inline)) static inline uint8_t *put_front(uint8_t *p, uint64_t time, uint64_t offset,
                                                                struct bytes key, struct bytes value,
                                                                int32_t header_count)
{
    *p++ = 0; /* attributes */
    p = put_small(p, time);
    p = put_small(p, offset);
    p = put_nullable(p, key);
    p = put_nullable(p, value);
    return put_small(p, zigzag_32(header_count));
}

/* Out of line: most records are small and have no headers, and then nothing is kept for the others. */
__attribute__((noinline)) static uint8_t *put_any(uint8_t *p, uint64_t time, uint64_t offset, struct bytes key,
                                                  struct bytes value, const struct record_header *headers,
                                                  int32_t header_count)
{
    struct frame f;
    uint32_t n = 0;

    for (int32_t i = 0; i < header_count; i++)
        n += size_nullable(bytes_of_str(headers[i].key)) + size_nullable(headers[i].value);
    f = frame_begin(p, time, offset, key, value, n, header_count);
    p = put_front(f.body, time, offset, key, value, header_count);
    for (int32_t i = 0; i < header_count; i++) {
        p = put_nullable(p, bytes_of_str(headers[i].key));
        p = put_nullable(p, headers[i].value);
    }
    return frame_end(f, p);
}

uint8_t *record_put(uint8_t *p, int32_t offset_delta, int64_t timestamp_delta_ms, struct bytes key, struct bytes value,
                    const struct record_header *headers, int32_t header_count)
{
    uint64_t time = zigzag_64(timestamp_delta_ms), offset = zigzag_32(offset_delta);

    if (UNLIKELY(header_count > 0 || !takes_two_bytes(key, value, 0)))
        return put_any(p, time, offset, key, value, headers, header_count);
    uint8_t *end = put_front(p + 2, time, offset, key, value, 0);
    uint32_t length = zigzag_32((int32_t)(end - p - 2));
    p[0] = (uint8_t)(length | 0x80);
    p[1] = (uint8_t)(length >> 7);
    return end;
}

uint8_t *record_put_raw(uint8_t *p, int32_t offset_delta, int64_t timestamp_delta_ms, struct bytes key,
                        struct bytes value, struct bytes headers, int32_t header_count)
{
    uint64_t time = zigzag_64(timestamp_delta_ms), offset = zigzag_32(offset_delta);
    uint32_t n = headers.n > 0 ? (uint32_t)headers.n : 0;
    struct frame f = frame_begin(p, time, offset, key, value, n, header_count);

    p = put_front(f.body, time, offset, key, value, header_count);
    if (n > 0)
        memcpy(p, headers.p, n);
    return frame_end(f, p + n);
}
