#include "check.h"

TEST(uuid, text_is_kafkas)
{
    char text[UUID_TEXT_BYTES];
    struct uuid u = UUID_ZERO;

    CHECK_TEXT(uuid_text(u, text), "AAAAAAAAAAAAAAAAAAAAAA");
    CHECK(uuid_is_zero(u));
    u.b[15] = 1; /* the id of the metadata topic */
    CHECK_TEXT(uuid_text(u, text), "AAAAAAAAAAAAAAAAAAAAAQ");
    CHECK(!uuid_is_zero(u));
    memset(u.b, 0xff, sizeof(u.b));
    CHECK_TEXT(uuid_text(u, text), "_____________________w");
    for (uint8_t i = 0; i < 16; i++)
        u.b[i] = (uint8_t)(0x10 + i);
    CHECK_TEXT(uuid_text(u, text), "EBESExQVFhcYGRobHB0eHw");
}

TEST(uuid, text_round_trips)
{
    struct prng g;

    prng_init(&g, 13);
    for (int i = 0; i < 10000; i++) {
        char text[UUID_TEXT_BYTES];
        struct uuid u, back = UUID_ZERO;
        put_u64(u.b, prng_u64(&g));
        put_u64(u.b + 8, prng_u64(&g));
        CHECK_EQ(strlen(uuid_text(u, text)), 22);
        CHECK_EQ(uuid_parse(str_of(text), &back), 0);
        CHECK(uuid_equal(u, back));
        CHECK_EQ(uuid_compare(u, back), 0);
    }
}

TEST(uuid, anything_else_is_refused)
{
    const char *const texts[] = {"",
                                 "A",
                                 "AAAAAAAAAAAAAAAAAAAAA",
                                 "AAAAAAAAAAAAAAAAAAAAAAA",
                                 "AAAAAAAAAAAAAAAAAAAAAA==",
                                 "AAAAAAAAAAAAAAAAAAAA+A",
                                 "AAAAAAAAAAAAAAAAAAAA/A",
                                 "AAAAAAAAAAAAAAAAAAAA=A",
                                 "AAAAAAAAAAAAAAAAAAAA A",
                                 "AAAAAAAAAAAAAAAAAAAA\xc3\xa4",
                                 "00000000-0000-0000-0000-000000000000"};
    struct uuid u = {{7}};

    for (size_t i = 0; i < array_count(texts); i++)
        CHECK_EQ(uuid_parse(str_of(texts[i]), &u), -EINVAL);
    CHECK_EQ(uuid_parse(STR_NULL, &u), -EINVAL);
    CHECK_EQ(u.b[0], 7);
    /* Bits that 16 bytes have no place for are ignored. */
    CHECK_EQ(uuid_parse(STR("AAAAAAAAAAAAAAAAAAAAAf"), &u), 0);
    CHECK_EQ(u.b[15], 1);
}

TEST(uuid, random_ones_are_version_4_and_do_not_look_like_options)
{
    struct prng g;
    struct uuid before = UUID_ZERO;

    prng_init(&g, 14);
    for (int i = 0; i < 10000; i++) {
        char text[UUID_TEXT_BYTES];
        struct uuid u = uuid_random(&g);
        CHECK_EQ(u.b[6] >> 4, 4);
        CHECK_EQ(u.b[8] >> 6, 2);
        CHECK(uuid_text(u, text)[0] != '-');
        CHECK(!uuid_equal(u, before));
        CHECK(uuid_hash(u) != uuid_hash(before));
        before = u;
    }
}
