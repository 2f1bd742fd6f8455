#include "check.h"

#include <stdlib.h>

/* Bit by bit, from the definition. */
static uint32_t crc32c_by_bits(const uint8_t *p, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void check_both(const void *p, size_t n, uint32_t expected)
{
    CHECK_EQ(crc32c(0, p, n), expected);
    CHECK_EQ(crc32c_portable(0, p, n), expected);
}

TEST(crc32c, has_the_known_values)
{
    uint8_t bytes[32];

    check_both("", 0, 0);
    check_both("a", 1, 0xc1d04330);
    check_both("123456789", 9, 0xe3069283);
    /* RFC 3720 appendix B.4 */
    memset(bytes, 0, sizeof(bytes));
    check_both(bytes, sizeof(bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    check_both(bytes, sizeof(bytes), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    check_both(bytes, sizeof(bytes), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    check_both(bytes, sizeof(bytes), 0x113fdb5c);
}

/* Every length up to beyond two rounds of the three lanes, at every alignment in turn. */
TEST(crc32c, hardware_and_tables_and_definition_agree)
{
    enum { SIZE = 2 * 3 * 512 + 64 };
    uint8_t *bytes = malloc(SIZE + 8);
    struct prng g;

    prng_init(&g, 1);
    for (size_t i = 0; i < SIZE + 8; i++)
        bytes[i] = (uint8_t)prng_u64(&g);
    for (size_t n = 0; n <= SIZE; n++)
        check_both(bytes + n % 8, n, crc32c_by_bits(bytes + n % 8, n));
    free(bytes);
}

TEST(crc32c, continues_over_pieces)
{
    enum { SIZE = 10000 };
    uint8_t *bytes = malloc(SIZE);
    struct prng g;
    uint32_t whole;

    prng_init(&g, 2);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)prng_u64(&g);
    whole = crc32c_by_bits(bytes, SIZE);
    for (int round = 0; round < 200; round++) {
        uint32_t fast = 0, portable = 0;
        for (size_t at = 0; at < SIZE;) {
            size_t n = 1 + prng_below(&g, 3000);
            n = n < SIZE - at ? n : SIZE - at;
            fast = crc32c(fast, bytes + at, n);
            portable = crc32c_portable(portable, bytes + at, n);
            at += n;
        }
        CHECK_EQ(fast, whole);
        CHECK_EQ(portable, whole);
    }
    free(bytes);
}
