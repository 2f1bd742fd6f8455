#include "protocol/wire.h"

bool take_uvarint_long(struct reader *r, uint32_t *out)
{
    const uint8_t *p = get_uvarint_32(r->p, r->end, out);

    /* Five bytes are enough for any number that fits, so with as many left it was not a cut. */
    if (p == NULL)
        return reader_fail(r, r->end - r->p >= 5 ? ERR_CORRUPT : ERR_SHORT);
    r->p = p;
    return true;
}

/* Add the raw tag [from, r->p) to `unknown`: a longer slice where it follows the one before, a copy
 * where a known tag stands between. A struct knows few tags, so there are few copies. */
static bool keep_unknown(struct reader *r, const uint8_t *from, struct bytes *unknown)
{
    int32_t n = (int32_t)(r->p - from);

    if (unknown->n <= 0) {
        *unknown = (struct bytes){from, n};
        return true;
    }
    if (unknown->p + unknown->n == from) {
        unknown->n += n;
        return true;
    }
    uint8_t *both = arena_take_raw(r->arena, (size_t)unknown->n + (size_t)n);
    if (both == NULL)
        return reader_fail(r, ERR_LIMIT);
    memcpy(both, unknown->p, (size_t)unknown->n);
    memcpy(both + unknown->n, from, (size_t)n);
    *unknown = (struct bytes){both, unknown->n + n};
    return true;
}

static bool take_tag(struct reader *r, int64_t *last, take_tag_function *take, const void *context,
                     void *out, struct bytes *unknown)
{
    const uint8_t *from = r->p;
    uint32_t tag, size;

    if (!take_uvarint(r, &tag))
        return false;
    if (tag <= *last)
        return reader_fail(r, ERR_CORRUPT);
    *last = tag;
    if (!take_uvarint(r, &size) || !take_check(r, size))
        return false;

    const uint8_t *end = r->end;
    const uint8_t *field_end = r->p + size;
    r->end = field_end;
    int known = take(r, tag, context, out);
    r->end = end;
    if (known < 0) /* the field is cut by its own length, not by the end of the input */
        return reader_fail(r, known == ERR_SHORT ? ERR_CORRUPT : known);
    if (known > 0)
        return r->p == field_end || reader_fail(r, ERR_CORRUPT);
    r->p = field_end;
    return keep_unknown(r, from, unknown);
}

bool take_tags(struct reader *r, take_tag_function *take, const void *context, void *out,
               struct bytes *unknown)
{
    uint32_t count;
    int64_t last = -1;

    if (!take_uvarint(r, &count))
        return false;
    while (count-- > 0) {
        if (!take_tag(r, &last, take, context, out, unknown))
            return false;
    }
    return true;
}

struct raw_tag raw_tag_first(struct bytes raw)
{
    uint32_t tag, size;

    if (raw.n <= 0)
        return (struct raw_tag){.tag = -1};
    const uint8_t *end = raw.p + raw.n;
    const uint8_t *p = get_uvarint_32(raw.p, end, &tag);
    if (p != NULL)
        p = get_uvarint_32(p, end, &size);
    if (p == NULL || (size_t)(end - p) < size)
        return (struct raw_tag){.tag = -2};
    p += size;
    return (struct raw_tag){tag, {raw.p, (int32_t)(p - raw.p)}, {p, (int32_t)(end - p)}};
}
