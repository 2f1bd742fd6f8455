/* protocol/wire.h - the only code that touches raw bytes of messages: private to this room.
 *
 * A reader stops at its first error: every take_* gives false then, and `error` says why. Nothing
 * is read behind `end`, and nothing is taken from the arena before the bytes were counted.
 */
#pragma once

#include "protocol/message.h"

#define STRING_BYTES_MAX INT16_MAX /* also where the length is compact: Kafka checks the same */

struct reader {
    const uint8_t *p, *end;
    struct arena *arena;
    int error;
};

static inline struct reader reader_of(struct bytes in, struct arena *arena)
{
    return (struct reader){in.p, in.n > 0 ? in.p + in.n : in.p, arena, 0};
}

static inline bool reader_fail(struct reader *r, int error)
{
    r->error = error;
    return false;
}

static inline bool take_check(struct reader *r, uint64_t n)
{
    if (UNLIKELY((uint64_t)(r->end - r->p) < n))
        return reader_fail(r, ERR_SHORT);
    return true;
}

bool take_uvarint_long(struct reader *r, uint32_t *out);

static inline bool take_uvarint(struct reader *r, uint32_t *out)
{
    if (LIKELY(r->p < r->end && *r->p < 0x80)) {
        *out = *r->p++;
        return true;
    }
    return take_uvarint_long(r, out);
}

/* A compact length: n + 1, 0 = null. */
static inline bool take_length_compact(struct reader *r, int32_t *n)
{
    uint32_t v;

    if (!take_uvarint(r, &v))
        return false;
    if (UNLIKELY(v > INT32_MAX))
        return reader_fail(r, ERR_CORRUPT);
    *n = (int32_t)v - 1;
    return true;
}

static inline bool take_length_16(struct reader *r, int32_t *n)
{
    if (!take_check(r, 2))
        return false;
    *n = get_i16(r->p);
    r->p += 2;
    return *n >= -1 || reader_fail(r, ERR_CORRUPT);
}

static inline bool take_length_32(struct reader *r, int32_t *n)
{
    if (!take_check(r, 4))
        return false;
    *n = get_i32(r->p);
    r->p += 4;
    return *n >= -1 || reader_fail(r, ERR_CORRUPT);
}

/* `n` bytes as a slice; n -1 = null, if that may be. */
static inline bool take_slice(struct reader *r, int32_t n, bool nullable, const uint8_t **p)
{
    if (UNLIKELY(n < 0)) {
        *p = NULL;
        return nullable || reader_fail(r, ERR_CORRUPT);
    }
    if (!take_check(r, (uint32_t)n))
        return false;
    *p = r->p;
    r->p += n;
    return true;
}

static inline bool take_string(struct reader *r, bool compact, bool nullable, struct str *out)
{
    int32_t n;
    const uint8_t *p;

    if (!(compact ? take_length_compact(r, &n) : take_length_16(r, &n)))
        return false;
    if (UNLIKELY(n > STRING_BYTES_MAX))
        return reader_fail(r, ERR_CORRUPT);
    if (!take_slice(r, n, nullable, &p))
        return false;
    *out = (struct str){(const char *)p, n};
    return true;
}

static inline bool take_bytes(struct reader *r, bool compact, bool nullable, struct bytes *out)
{
    int32_t n;
    const uint8_t *p;

    if (!(compact ? take_length_compact(r, &n) : take_length_32(r, &n)))
        return false;
    if (!take_slice(r, n, nullable, &p))
        return false;
    *out = (struct bytes){p, n};
    return true;
}

/* The count of an array whose elements take `least` bytes or more, and room for them: a count that
 * the rest of the input cannot hold is refused before anything is taken. The elements are not
 * zeroed: whoever reads one sets all of it. */
static inline bool take_array(struct reader *r, bool compact, bool nullable, uint32_t least,
                              size_t element_bytes, int32_t *count, void **elements)
{
    int32_t n;

    if (!(compact ? take_length_compact(r, &n) : take_length_32(r, &n)))
        return false;
    *count = n;
    *elements = NULL;
    if (n <= 0)
        return n == 0 || nullable || reader_fail(r, ERR_CORRUPT);
    if (!take_check(r, (uint64_t)n * least))
        return false;
    *elements = arena_take_raw(r->arena, (size_t)n * element_bytes); /* below 2^31 x 2^16 */
    return *elements != NULL || reader_fail(r, ERR_LIMIT);
}

/* What a struct's tagged fields are read by: the field of `tag`, whose bytes are all of `r`.
 * -> 1 read, 0 unknown to the version, negative as reader.error */
typedef int take_tag_function(struct reader *r, uint32_t tag, const void *context, void *out);

/* The tagged fields at a struct's end. Those that `take` does not know are kept in `unknown`. */
bool take_tags(struct reader *r, take_tag_function *take, const void *context, void *out,
               struct bytes *unknown);

/* ---- writing: the room was counted before, nothing is checked ---- */

static inline uint8_t *put_length(uint8_t *p, int32_t n, bool compact)
{
    n = n < 0 ? -1 : n;
    if (compact)
        return put_uvarint(p, (uint32_t)n + 1);
    put_u32(p, (uint32_t)n);
    return p + 4;
}

static inline uint8_t *put_data(uint8_t *p, const void *data, int32_t n)
{
    if (n <= 0)
        return p;
    memcpy(p, data, (size_t)n);
    return p + n;
}

static inline uint8_t *put_string(uint8_t *p, struct str s, bool compact)
{
    if (compact) {
        p = put_length(p, s.n, true);
    } else {
        put_u16(p, s.n < 0 ? UINT16_MAX : (uint16_t)s.n);
        p += 2;
    }
    return put_data(p, s.p, s.n);
}

static inline uint8_t *put_bytes(uint8_t *p, struct bytes b, bool compact)
{
    return put_data(put_length(p, b.n, compact), b.p, b.n);
}

static inline uint32_t length_size(int32_t n, bool compact)
{
    return compact ? uvarint_size_32((uint32_t)n + 1) : 4;
}

/* One tagged field of those kept raw; `tag` -1 when there is none left. */
struct raw_tag {
    int64_t tag;
    struct bytes all;  /* number, length and data */
    struct bytes rest; /* what follows */
};

/* Look at the first of `raw`. tag -2 when it makes no sense. */
struct raw_tag raw_tag_first(struct bytes raw);
