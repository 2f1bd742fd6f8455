/* user_data.c - what the sticky assignors add to a subscription.
 *
 *   sticky, V1           [i32 count]{[i16 n][topic][i32 count][i32 partition]...}...[i32
 * generation] V0           the same without generation cooperative-sticky   [i32 generation]
 *
 * Rule: KIP-341, KIP-429; the Java client writes V1 and reads both.
 */
#include "assignor/claims.h"

#define ENTRY_BYTES_MIN 6

/* The rest of the input; what does not fit makes `ok` false, and zeros follow. */
struct rest {
    const uint8_t *p, *end;
    bool ok;
};

static const uint8_t *take(struct rest *r, uint64_t n)
{
    const uint8_t *p = r->p;

    if (!r->ok || n > (uint64_t)(r->end - r->p)) {
        r->ok = false;
        return NULL;
    }
    r->p += n;
    return p;
}

/* A count of elements that take `least` bytes or more. */
static int32_t take_count(struct rest *r, uint32_t least)
{
    const uint8_t *p = take(r, 4);
    int32_t n = p == NULL ? 0 : get_i32(p);

    if (n < 0 || (uint64_t)n * least > (uint64_t)(r->end - r->p)) {
        r->ok = false;
        return 0;
    }
    return n;
}

MUST static int take_entry(struct rest *r, struct arena *arena,
                           struct consumer_protocol_subscription_owned_partitions *out)
{
    const uint8_t *p = take(r, 2);
    int16_t n = p == NULL ? 0 : get_i16(p);

    if (n < 0) {
        r->ok = false;
        return 0;
    }
    p = take(r, (uint64_t)n);
    out->topic = (struct str){(const char *)p, n};
    out->partitions_count = take_count(r, 4);
    if (!r->ok)
        return 0;
    out->partitions =
        arena_take_array(arena, (size_t)out->partitions_count, sizeof(*out->partitions));
    if (out->partitions == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < out->partitions_count; i++)
        out->partitions[i] = get_i32(take(r, 4));
    return 0;
}

static int32_t known_generation(int32_t generation)
{
    return generation < 0 ? -1 : generation;
}

int sticky_user_data_read(struct bytes in, struct arena *arena, struct claim_list *out)
{
    struct rest r = {in.p, in.n > 0 ? in.p + in.n : in.p, true};
    struct consumer_protocol_subscription_owned_partitions *entries;
    int32_t count = take_count(&r, ENTRY_BYTES_MIN);
    const uint8_t *generation;

    *out = (struct claim_list){NULL, 0, -1};
    entries = arena_take_array(arena, (size_t)count, sizeof(*entries));
    if (entries == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < count && r.ok; i++)
        TRY(take_entry(&r, arena, &entries[i]));
    if (!r.ok)
        return 0;
    generation = take(&r, 4);
    *out = (struct claim_list){entries, count,
                               generation == NULL ? -1 : known_generation(get_i32(generation))};
    return 0;
}

int32_t cooperative_user_data_generation(struct bytes in)
{
    return in.n < 4 ? -1 : known_generation(get_i32(in.p));
}

static int64_t sticky_size(const struct consumer_protocol_assignment *owned)
{
    int64_t size = 8;

    for (int32_t i = 0; i < owned->assigned_partitions_count; i++) {
        const struct consumer_protocol_assignment_assigned_partitions *a =
            &owned->assigned_partitions[i];

        if (a->topic.n > INT16_MAX)
            return ERR_LIMIT;
        size += ENTRY_BYTES_MIN + a->topic.n + 4 * (int64_t)a->partitions_count;
    }
    return size > INT32_MAX ? ERR_LIMIT : size;
}

static void write_sticky(uint8_t *p, const struct consumer_protocol_assignment *owned,
                         int32_t generation)
{
    put_u32(p, (uint32_t)owned->assigned_partitions_count);
    p += 4;
    for (int32_t i = 0; i < owned->assigned_partitions_count; i++) {
        const struct consumer_protocol_assignment_assigned_partitions *a =
            &owned->assigned_partitions[i];

        put_u16(p, (uint16_t)a->topic.n);
        if (a->topic.n > 0)
            memcpy(p + 2, a->topic.p, (size_t)a->topic.n);
        p += 2 + a->topic.n;
        put_u32(p, (uint32_t)a->partitions_count);
        p += 4;
        for (int32_t k = 0; k < a->partitions_count; k++, p += 4)
            put_u32(p, (uint32_t)a->partitions[k]);
    }
    put_u32(p, (uint32_t)generation);
}

int assignor_user_data(enum assignor assignor, const struct consumer_protocol_assignment *owned,
                       int32_t generation, struct arena *arena, struct bytes *out)
{
    int64_t size = 4;
    uint8_t *p;

    if ((assignor != ASSIGNOR_STICKY || generation < 0) &&
        assignor != ASSIGNOR_COOPERATIVE_STICKY) {
        *out = BYTES_NULL;
        return 0;
    }
    if (assignor == ASSIGNOR_STICKY)
        size = sticky_size(owned);
    if (size < 0)
        return (int)size;
    p = arena_take_raw(arena, (size_t)size);
    if (p == NULL)
        return ERR_LIMIT;
    if (assignor == ASSIGNOR_STICKY)
        write_sticky(p, owned, generation);
    else
        put_u32(p, (uint32_t)generation);
    *out = (struct bytes){p, (int32_t)size};
    return 0;
}
