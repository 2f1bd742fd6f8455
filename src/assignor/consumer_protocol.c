/* consumer_protocol.c - subscriptions and assignments with their leading version. */
#include "assignor/consumer_protocol.h"
#include "assignor/sort.h"

#define VERSION_BYTES 2

/* Read `message` behind its version into `out`. */
MUST static int read_versioned(const struct message *message, struct bytes in, struct arena *arena,
                               void *out)
{
    int16_t version;
    int used;

    if (in.n < VERSION_BYTES)
        return ERR_SHORT;
    version = get_i16(in.p);
    if (version < 0)
        return ERR_VERSION;
    if (version > CONSUMER_PROTOCOL_VERSION)
        version = CONSUMER_PROTOCOL_VERSION;
    used = message_read(message, (struct bytes){in.p + VERSION_BYTES, in.n - VERSION_BYTES},
                        version, arena, out);
    return used < 0 ? used : 0;
}

MUST static int write_versioned(const struct message *message, const void *m, int16_t version,
                                struct arena *arena, struct bytes *out)
{
    int64_t size = message_size(message, version, m);
    uint8_t *p;

    if (size < 0)
        return (int)size;
    if (size > INT32_MAX - VERSION_BYTES)
        return ERR_LIMIT;
    p = arena_take_raw(arena, (size_t)size + VERSION_BYTES);
    if (p == NULL)
        return ERR_LIMIT;
    put_u16(p, (uint16_t)version);
    message_write(message, version, m, p + VERSION_BYTES);
    *out = (struct bytes){p, (int32_t)size + VERSION_BYTES};
    return 0;
}

int subscription_read(struct bytes in, struct arena *arena,
                      struct consumer_protocol_subscription *out)
{
    struct consumer_protocol_subscription s;

    TRY(read_versioned(&consumer_protocol_subscription_message, in, arena, &s));
    if (s.rack_id.n == 0)
        s.rack_id = STR_NULL;
    if (s.generation_id < 0)
        s.generation_id = -1;
    *out = s;
    return 0;
}

int assignment_read(struct bytes in, struct arena *arena, struct consumer_protocol_assignment *out)
{
    struct consumer_protocol_assignment a;

    TRY(read_versioned(&consumer_protocol_assignment_message, in, arena, &a));
    *out = a;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static int compare_owned(const void *a, const void *b)
{
    const struct consumer_protocol_subscription_owned_partitions *x = a, *y = b;

    return str_compare(x->topic, y->topic);
}

/* A sorted copy of `count` elements; NULL beyond the arena's limit. */
static void *sorted_copy(const void *from, int32_t count, size_t element_bytes,
                         int (*compare)(const void *, const void *), struct arena *arena)
{
    void *copy = arena_take_array(arena, (size_t)count, element_bytes);

    if (copy == NULL || count == 0)
        return copy;
    memcpy(copy, from, (size_t)count * element_bytes);
    qsort(copy, (size_t)count, element_bytes, compare);
    return copy;
}

int subscription_write(const struct consumer_protocol_subscription *subscription, int16_t version,
                       struct arena *arena, struct bytes *out)
{
    struct consumer_protocol_subscription s = *subscription;

    s.topics = sorted_copy(s.topics, s.topics_count, sizeof(*s.topics), compare_names, arena);
    s.owned_partitions = sorted_copy(s.owned_partitions, s.owned_partitions_count,
                                     sizeof(*s.owned_partitions), compare_owned, arena);
    if (s.topics == NULL || s.owned_partitions == NULL)
        return ERR_LIMIT;
    for (int32_t i = 0; i < s.owned_partitions_count; i++) {
        struct consumer_protocol_subscription_owned_partitions *o = &s.owned_partitions[i];

        o->partitions = sorted_copy(o->partitions, o->partitions_count, sizeof(*o->partitions),
                                    sort_compare_i32, arena);
        if (o->partitions == NULL)
            return ERR_LIMIT;
    }
    return write_versioned(&consumer_protocol_subscription_message, &s, version, arena, out);
}

int assignment_write(const struct consumer_protocol_assignment *assignment, int16_t version,
                     struct arena *arena, struct bytes *out)
{
    return write_versioned(&consumer_protocol_assignment_message, assignment, version, arena, out);
}
