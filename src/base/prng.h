/* base/prng.h - xoshiro256++: a random number generator whose seed is its whole history.
 * Not for secrets. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t s[4];
};

void prng_init(struct prng *g, uint64_t seed);
uint64_t prng_u64(struct prng *g);

/* Uniform in [0, bound); bound > 0. */
uint64_t prng_below(struct prng *g, uint64_t bound);

/* True with probability `ppm` in a million. */
bool prng_chance(struct prng *g, uint32_t ppm);
