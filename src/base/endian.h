/* base/endian.h - big-endian numbers and varints, as the Kafka protocol writes them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}

static inline uint32_t get_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static inline uint64_t get_u64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

static inline int16_t get_i16(const void *p) { return (int16_t)get_u16(p); }
static inline int32_t get_i32(const void *p) { return (int32_t)get_u32(p); }
static inline int64_t get_i64(const void *p) { return (int64_t)get_u64(p); }

static inline void put_u16(void *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, 2);
}

static inline void put_u32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}

static inline void put_u64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}

static inline uint32_t zigzag_32(int32_t v) { return ((uint32_t)v << 1) ^ (uint32_t)(v >> 31); }
static inline uint64_t zigzag_64(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int32_t unzigzag_32(uint32_t v) { return (int32_t)(v >> 1) ^ -(int32_t)(v & 1); }
static inline int64_t unzigzag_64(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

/* Bytes that an unsigned varint takes: 1 to 5, 1 to 10. */
static inline uint32_t uvarint_size_32(uint32_t v)
{
    return (uint32_t)(38 - __builtin_clz(v | 1)) / 7;
}

static inline uint32_t uvarint_size_64(uint64_t v)
{
    return (uint32_t)(70 - __builtin_clzll(v | 1)) / 7;
}

/* Write an unsigned varint at `p`; returns the first byte behind it. */
uint8_t *put_uvarint(uint8_t *p, uint64_t v);

/* Read an unsigned varint of at most 32 or 64 bits from [p, end). Returns the first byte behind
 * it, or NULL when it is cut, too long or does not fit. */
const uint8_t *get_uvarint_32(const uint8_t *p, const uint8_t *end, uint32_t *out);
const uint8_t *get_uvarint_64(const uint8_t *p, const uint8_t *end, uint64_t *out);

/* A reader for small formats of our own: after its first error it yields zeros, so the code is
 * the layout and there is one check at the end. */
struct rd {
    const uint8_t *p, *end;
    bool failed;
};

static inline struct rd rd_of(const void *p, size_t n)
{
    return (struct rd){(const uint8_t *)p, (const uint8_t *)p + n, false};
}

static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
    if (r->failed || (size_t)(r->end - r->p) < n) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p += n;
    return at;
}

static inline int8_t rd_i8(struct rd *r)
{
    const uint8_t *p = rd_take(r, 1);
    return p == NULL ? 0 : (int8_t)*p;
}

static inline int16_t rd_i16(struct rd *r)
{
    const uint8_t *p = rd_take(r, 2);
    return p == NULL ? 0 : get_i16(p);
}

static inline int32_t rd_i32(struct rd *r)
{
    const uint8_t *p = rd_take(r, 4);
    return p == NULL ? 0 : get_i32(p);
}

static inline int64_t rd_i64(struct rd *r)
{
    const uint8_t *p = rd_take(r, 8);
    return p == NULL ? 0 : get_i64(p);
}

static inline uint32_t rd_uvarint(struct rd *r)
{
    uint32_t v = 0;
    const uint8_t *p = r->failed ? NULL : get_uvarint_32(r->p, r->end, &v);
    if (p == NULL) {
        r->failed = true;
        return 0;
    }
    r->p = p;
    return v;
}

static inline int64_t rd_varlong(struct rd *r)
{
    uint64_t v = 0;
    const uint8_t *p = r->failed ? NULL : get_uvarint_64(r->p, r->end, &v);
    if (p == NULL) {
        r->failed = true;
        return 0;
    }
    r->p = p;
    return unzigzag_64(v);
}

static inline int32_t rd_varint(struct rd *r)
{
    return unzigzag_32(rd_uvarint(r));
}
