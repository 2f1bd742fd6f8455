/* The map of keys. */
#include <stdio.h>

#include "check.h"
#include "compaction/key_map.h"

static const uint8_t secret[COMPACTION_SECRET_BYTES] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                        8, 9, 10, 11, 12, 13, 14, 15};

#define EMPTY ((struct bytes){(const uint8_t *)"", 0})

static struct bytes key_of(char buffer[24], int n)
{
    return (struct bytes){(const uint8_t *)buffer, snprintf(buffer, 24, "key-%d", n)};
}

/* The vectors of SipHash's authors, of 128 bits: inputs 00 01 02 ... of the length that stands
 * first. */
TEST(compaction_map, hashes_as_siphash_says)
{
    static const struct {
        int32_t n;
        uint8_t expected[16];
    } vectors[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
    };
    uint8_t in[64];

    for (int i = 0; i < 64; i++)
        in[i] = (uint8_t)i;
    for (size_t i = 0; i < array_count(vectors); i++) {
        uint64_t out[2];
        key_hash(secret, (struct bytes){in, vectors[i].n}, out);
        CHECK_BYTES(out, sizeof(out), vectors[i].expected,
                    16); /* little-endian, as the machine's */
    }
}

TEST(compaction_map, knows_the_last_offset_of_each_key)
{
    struct key_map m;
    char buffer[24];

    CHECK_EQ(key_map_init(&m, 1000, 1 << 20, 0.9, secret), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++)
            CHECK(key_map_put(&m, key_of(buffer, i), round * 1000 + i));
    }
    CHECK_EQ(m.count, 1000);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(key_map_find(&m, key_of(buffer, i)), 2000 + i);
    CHECK_EQ(key_map_find(&m, key_of(buffer, 1000)), -1);
    CHECK_EQ(key_map_find(&m, EMPTY), -1);
    CHECK(key_map_put(&m, EMPTY, 0));
    CHECK_EQ(key_map_find(&m, EMPTY), 0);
    key_map_deinit(&m);
}

/* No more memory than allowed, nothing lost and nothing made up when it is used up. */
TEST(compaction_map, refuses_new_keys_when_it_is_full)
{
    struct key_map m;
    char buffer[24];
    int n = 0;

    CHECK_EQ(key_map_init(&m, 1 << 30, 1000 * KEY_MAP_SLOT_BYTES, 0.9, secret), 0);
    CHECK_EQ(m.slot_count, 1000);
    while (key_map_put(&m, key_of(buffer, n), n))
        n++;
    CHECK_EQ(n, 900);
    CHECK(key_map_put(&m, key_of(buffer, 5), 5000)); /* known already */
    CHECK_EQ(key_map_find(&m, key_of(buffer, 5)), 5000);
    CHECK_EQ(key_map_find(&m, key_of(buffer, 6)), 6);
    CHECK_EQ(key_map_find(&m, key_of(buffer, 900)), -1);
    key_map_deinit(&m);
}

/* Whatever an operator sets, there is a free slot, so that a search ends. */
TEST(compaction_map, takes_any_load_factor)
{
    const double loads[] = {0, -1, 1, 7, 0.0 / 0.0, 1e300};
    struct key_map m;
    char buffer[24];

    for (size_t i = 0; i < array_count(loads); i++) {
        CHECK_EQ(key_map_init(&m, 0, 0, loads[i], secret), 0);
        for (int n = 0; key_map_put(&m, key_of(buffer, n), n); n++)
            CHECK(n < 100);
        CHECK_EQ(key_map_find(&m, key_of(buffer, 100)), -1);
        key_map_deinit(&m);
    }
}
