/* How values are distributed, in little memory. */
#include "telemetry/internal.h"

#include <stdlib.h>

/* The octave of a value and its bucket there. Octave 0 holds 0..31, octave o > 0 holds
 * [32 << (o - 1), 64 << (o - 1)). */
static void place(uint64_t value, uint32_t *octave, uint32_t *bucket)
{
    if (value < OCTAVE_BUCKETS) {
        *octave = 0;
        *bucket = (uint32_t)value;
        return;
    }
    uint32_t highest_bit = 63 - (uint32_t)__builtin_clzll(value);
    *octave = highest_bit - OCTAVE_BITS + 1;
    *bucket = (uint32_t)(value >> (highest_bit - OCTAVE_BITS)) - OCTAVE_BUCKETS;
}

/* The middle of a bucket's values. */
static uint64_t middle(uint32_t octave, uint32_t bucket)
{
    if (octave == 0)
        return bucket;
    uint64_t low = (uint64_t)(OCTAVE_BUCKETS + bucket) << (octave - 1);
    return low + ((UINT64_C(1) << (octave - 1)) - 1) / 2;
}

static uint64_t *octave_get(struct histogram *h, uint32_t octave)
{
    if (h->octaves[octave] == NULL) {
        h->octaves[octave] = calloc(OCTAVE_BUCKETS, sizeof *h->octaves[octave]);
        ASSERT(h->octaves[octave] != NULL);
    }
    return h->octaves[octave];
}

void histogram_add(struct histogram *h, uint64_t value)
{
    uint32_t octave, bucket;

    place(value, &octave, &bucket);
    octave_get(h, octave)[bucket]++;
    h->count++;
    h->sum += value;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    for (uint32_t o = 0; o < OCTAVES; o++) {
        if (from->octaves[o] == NULL)
            continue;
        uint64_t *counts = octave_get(h, o);
        for (uint32_t b = 0; b < OCTAVE_BUCKETS; b++)
            counts[b] += from->octaves[o][b];
    }
    h->count += from->count;
    h->sum += from->sum;
}

uint64_t histogram_quantile(const struct histogram *h, uint32_t ppm)
{
    ASSERT(ppm <= 1000000);
    /* The place of the wanted value among all in order, 1-based; without overflow. */
    uint64_t rank = h->count / 1000000 * ppm + (h->count % 1000000 * ppm + 999999) / 1000000;
    uint64_t seen = 0;

    if (rank == 0)
        rank = 1;
    for (uint32_t o = 0; o < OCTAVES; o++) {
        for (uint32_t b = 0; b < OCTAVE_BUCKETS && h->octaves[o] != NULL; b++) {
            seen += h->octaves[o][b];
            if (seen >= rank)
                return middle(o, b);
        }
    }
    return 0;
}

void histogram_deinit(struct histogram *h)
{
    for (uint32_t o = 0; o < OCTAVES; o++)
        free(h->octaves[o]);
}
