/* Which partition a record goes to, as Kafka's own producer has it (KIP-480, KIP-794). */
#include "producer/accumulator.h"

/* MurmurHash2, 32 bits, with the seed that Kafka uses: what clients of all languages agree on. */
static uint32_t murmur2(struct bytes b)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t n = (uint32_t)b.n, h = 0x9747b28c ^ n;
    const uint8_t *p = b.p;

    for (; n >= 4; p += 4, n -= 4) {
        uint32_t k = __builtin_bswap32(get_u32(p)) * m; /* little-endian */
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    if (n == 3)
        h ^= (uint32_t)p[2] << 16;
    if (n >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (n >= 1)
        h = (h ^ p[0]) * m;
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

int32_t producer_partition_of_key(struct bytes key, int32_t count)
{
    return (int32_t)(murmur2(key) & INT32_MAX) % count;
}

static bool is_available(const struct producer_partition *part)
{
    return part->node != NULL && !part->node->stalled;
}

/* Batches that wait to be sent. */
static uint64_t load_of(const struct producer_partition *part)
{
    return part->queued + (part->open != NULL);
}

/* Some available partition is led in the rack that is preferred: then only such ones count (KIP-1123). */
static bool any_is_near(const struct producer_topic *t)
{
    for (int32_t i = 0; i < t->partition_count && t->accumulator->settings.rack.n > 0; i++) {
        if (is_available(t->parts[i]) && t->parts[i]->node->near)
            return true;
    }
    return false;
}

/* Give each available partition a share of the numbers below the last of `loads`: the shorter its queue, the larger.
 * When all are available and alike, there is no table. */
static void count_loads(struct producer_topic *t, int64_t now_ms)
{
    uint64_t most = 0, least = UINT64_MAX, sum = 0;
    bool near = any_is_near(t);

    t->loads_ms = now_ms;
    t->load_count = 0;
    for (int32_t i = 0; i < t->partition_count; i++) {
        uint64_t load = load_of(t->parts[i]);
        if (!is_available(t->parts[i]) || (near && !t->parts[i]->node->near))
            continue;
        t->load_index[t->load_count++] = i;
        most = load > most ? load : most;
        least = load < least ? load : least;
    }
    if (most == least && t->load_count == t->partition_count) {
        t->load_count = 0;
        return;
    }
    for (int32_t i = 0; i < t->load_count; i++) {
        sum += most + 1 - load_of(t->parts[t->load_index[i]]);
        t->loads[i] = sum;
    }
}

/* The first of the table whose number is above `n`. */
static int32_t find_load(const struct producer_topic *t, uint64_t n)
{
    int32_t low = 0, high = t->load_count - 1;

    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (t->loads[middle] > n)
            high = middle;
        else
            low = middle + 1;
    }
    return t->load_index[low];
}

static bool may_have(const struct producer_partition *part, bool near)
{
    return part->node != NULL && (!near || part->node->near);
}

/* Without regard to loads: one that is available, any where none is. */
static int32_t choose_uniform(struct producer_topic *t, struct prng *g)
{
    uint64_t available = 0, n;
    bool near = any_is_near(t);

    for (int32_t i = 0; i < t->partition_count; i++)
        available += may_have(t->parts[i], near);
    if (available == 0 || available == (uint64_t)t->partition_count)
        return (int32_t)prng_below(g, (uint64_t)t->partition_count);
    n = prng_below(g, available);
    for (int32_t i = 0; i < t->partition_count; i++) {
        if (may_have(t->parts[i], near) && n-- == 0)
            return i;
    }
    UNREACHABLE("fewer partitions have a leader than were counted");
}

static struct producer_partition *choose_sticky(struct producer_topic *t, int64_t now_ms)
{
    struct accumulator *a = t->accumulator;
    int32_t index;

    /* Loads change with each batch; to count them anew once a millisecond is often enough for thousands. */
    if (a->settings.adaptive_partitioning && t->partition_count > 1 && t->loads_ms != now_ms)
        count_loads(t, now_ms);
    if (t->load_count > 0)
        index = find_load(t, prng_below(&a->prng, t->loads[t->load_count - 1]));
    else
        index = choose_uniform(t, &a->prng);
    t->sticky = t->parts[index];
    t->sticky_bytes = 0;
    return t->sticky;
}

struct producer_partition *partitioner_choose_anew(struct producer_topic *t, int32_t partition, struct bytes key,
                                                   int64_t now_ms)
{
    if (partition >= 0)
        return partition < t->partition_count ? t->parts[partition] : NULL;
    if (key.n >= 0 && !t->accumulator->settings.ignore_keys)
        return t->parts[producer_partition_of_key(key, t->partition_count)];
    return t->sticky != NULL ? t->sticky : choose_sticky(t, now_ms);
}
