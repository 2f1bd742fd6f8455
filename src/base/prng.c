#include "base/base.h"

static uint64_t rotate_left(uint64_t v, int bits)
{
    return (v << bits) | (v >> (64 - bits));
}

/* splitmix64: spreads any seed, zero included, over a state that is never all zero. */
static uint64_t seed_next(uint64_t *seed)
{
    uint64_t v = *seed += 0x9e3779b97f4a7c15;

    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
    v = (v ^ (v >> 27)) * 0x94d049bb133111eb;
    return v ^ (v >> 31);
}

void prng_init(struct prng *g, uint64_t seed)
{
    for (size_t i = 0; i < array_count(g->s); i++)
        g->s[i] = seed_next(&seed);
}

/* xoshiro256++ of Blackman and Vigna, "Scrambled linear pseudorandom number generators". */
uint64_t prng_u64(struct prng *g)
{
    uint64_t *s = g->s;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *g, uint64_t bound)
{
    uint64_t uneven, v;

    ASSERT(bound > 0);
    uneven = -bound % bound; /* 2^64 modulo bound: so many values would come once too often */
    do
        v = prng_u64(g);
    while (v < uneven);
    return v % bound;
}

bool prng_chance(struct prng *g, uint32_t ppm)
{
    return prng_below(g, 1000000) < ppm;
}
