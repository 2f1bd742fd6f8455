#include "check.h"

/* Values that the authors' reference programs print. */
TEST(prng, is_xoshiro256_plus_plus_seeded_by_splitmix64)
{
    struct prng g;

    prng_init(&g, 1234567);
    CHECK_EQ(g.s[0], 6457827717110365317);
    CHECK_EQ(g.s[1], 3203168211198807973);
    g = (struct prng){{1, 2, 3, 4}};
    CHECK_EQ(prng_u64(&g), 41943041);
    CHECK_EQ(prng_u64(&g), 58720359);
    CHECK_EQ(prng_u64(&g), 3588806011781223);
    CHECK_EQ(prng_u64(&g), 3591011842654386);
}

TEST(prng, seed_is_the_whole_history)
{
    struct prng a, b, c;

    prng_init(&a, 9);
    prng_init(&b, 9);
    prng_init(&c, 10);
    for (int i = 0; i < 100; i++) {
        uint64_t v = prng_u64(&a);
        CHECK_EQ(v, prng_u64(&b));
        CHECK(v != prng_u64(&c));
    }
}

TEST(prng, below_stays_below_and_is_even)
{
    uint32_t seen[10] = {0};
    struct prng g;

    prng_init(&g, 0);
    for (int i = 0; i < 100000; i++) {
        uint64_t v = prng_below(&g, 10);
        CHECK(v < 10);
        seen[v]++;
    }
    for (int i = 0; i < 10; i++) {
        CHECK(seen[i] > 9500);
        CHECK(seen[i] < 10500);
    }
    CHECK_EQ(prng_below(&g, 1), 0);
    /* A bound that a plain remainder would favour the lower half of. */
    uint32_t low = 0;
    for (int i = 0; i < 10000; i++)
        low += prng_below(&g, (uint64_t)3 << 62) < ((uint64_t)1 << 62);
    CHECK(low > 3000 && low < 3670);
    CHECK_ASSERTS(prng_below(&g, 0));
}

TEST(prng, chance_is_in_a_million)
{
    uint32_t hits = 0;
    struct prng g;

    prng_init(&g, 11);
    for (int i = 0; i < 100000; i++) {
        hits += prng_chance(&g, 250000);
        CHECK(!prng_chance(&g, 0));
        CHECK(prng_chance(&g, 1000000));
    }
    CHECK(hits > 24000);
    CHECK(hits < 26000);
}
