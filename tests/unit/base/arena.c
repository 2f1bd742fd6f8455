#include "check.h"

#include <stdalign.h>

TEST(arena, memory_is_zeroed_aligned_and_apart)
{
    struct arena a;
    uint8_t *taken[300];
    size_t size[300];
    struct prng g;

    arena_init(&a, 0);
    prng_init(&g, 1);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < array_count(taken); i++) {
            size[i] = prng_below(&g, i % 50 == 0 ? 300000 : 200);
            taken[i] = arena_take(&a, size[i]);
            CHECK(taken[i] != NULL);
            CHECK_EQ((uintptr_t)taken[i] % alignof(max_align_t), 0);
            for (size_t at = 0; at < size[i]; at++)
                CHECK_EQ(taken[i][at], 0);
            memset(taken[i], (int)(i % 255 + 1), size[i]);
        }
        for (size_t i = 0; i < array_count(taken); i++) {
            for (size_t at = 0; at < size[i]; at++)
                CHECK_EQ(taken[i][at], i % 255 + 1);
        }
        arena_reset(&a);
    }
    arena_deinit(&a);
}

/* Text is packed; what follows it is aligned again, also where a block is about to end. */
TEST(arena, text_and_memory_mix)
{
    struct arena a;
    struct prng g;

    arena_init(&a, 0);
    prng_init(&g, 2);
    for (int i = 0; i < 20000; i++) {
        size_t size = prng_below(&g, 100);
        uint8_t *p = arena_take_raw(&a, size);
        CHECK_EQ((uintptr_t)p % alignof(max_align_t), 0);
        CHECK(p + size <= a.end);
        memset(p, 1, size);
        struct str text = {"0123456789", (int32_t)prng_below(&g, 11)};
        CHECK(str_equal(arena_str(&a, text), text));
        if (i % 1000 == 0)
            arena_reset(&a);
    }
    arena_deinit(&a);
}

TEST(arena, takes_nothing_beyond_its_limit)
{
    struct arena a;
    size_t total = 0;

    arena_init(&a, 100000);
    CHECK(arena_take(&a, 100001) == NULL);
    CHECK(arena_take(&a, SIZE_MAX) == NULL);
    CHECK(arena_take(&a, SIZE_MAX - 40) == NULL);
    CHECK_EQ(a.taken_bytes, 0);
    while (arena_take(&a, 1000) != NULL) {
        total += 1000;
        CHECK(a.taken_bytes <= 100000);
    }
    CHECK(total > 90000);
    CHECK(arena_take(&a, 1000) == NULL);
    arena_reset(&a);
    CHECK(a.taken_bytes <= 4096);
    CHECK(arena_take(&a, 90000) != NULL);
    arena_deinit(&a);
    CHECK_EQ(a.taken_bytes, 0);
    CHECK_EQ(a.limit_bytes, 100000);
}

/* A block is never larger than what the limit leaves, so the last bytes can be had too. */
TEST(arena, small_limit_is_usable)
{
    struct arena a;

    arena_init(&a, 256);
    CHECK(arena_take(&a, 100) != NULL);
    CHECK(arena_take(&a, 50) != NULL);
    CHECK(arena_take(&a, 200) == NULL);
    CHECK_EQ(a.taken_bytes, 256);
    arena_deinit(&a);
}

TEST(arena, array_that_overflows_is_null)
{
    struct arena a = {0};
    uint32_t *numbers;

    CHECK(arena_take_array(&a, SIZE_MAX / 4 + 2, 4) == NULL);
    CHECK(arena_take_array(&a, (size_t)1 << 32, (size_t)1 << 32) == NULL);
    numbers = arena_take_array(&a, 1000, sizeof(*numbers));
    CHECK(numbers != NULL);
    numbers[999] = 1;
    CHECK(arena_take_array(&a, 0, 8) != NULL);
    arena_deinit(&a);
}

TEST(arena, zeroed_one_may_be_reset_and_ended)
{
    struct arena a = {0};

    arena_reset(&a);
    arena_deinit(&a);
    CHECK(arena_take(&a, 0) != NULL);
    arena_deinit(&a);
    arena_deinit(&a);
}

TEST(arena, copies_text)
{
    char source[] = "orders";
    uint8_t raw[] = {0, 1, 2};
    struct arena a = {0};
    struct str s = arena_str(&a, STR(source));
    struct bytes b = arena_bytes(&a, (struct bytes){raw, 3});

    source[0] = 'x';
    raw[1] = 9;
    CHECK_TEXT(s, "orders");
    CHECK_BYTES(b.p, (size_t)b.n, "\0\1\2", 3);
    CHECK(str_is_null(arena_str(&a, STR_NULL)));
    CHECK_EQ(arena_bytes(&a, BYTES_NULL).n, -1);
    CHECK_EQ(arena_str(&a, STR("")).n, 0);
    CHECK(arena_str(&a, STR("")).p != NULL);
    CHECK_TEXT(arena_printf(&a, "%s-%d", "orders", 7), "orders-7");
    CHECK_EQ(arena_printf(&a, "%200000d", 7).n, 200000);
    arena_deinit(&a);
}

TEST(arena, copies_beyond_the_limit_are_null)
{
    char large[200] = {0};
    struct arena a;

    arena_init(&a, 100);
    CHECK(str_is_null(arena_str(&a, (struct str){large, 200})));
    CHECK_EQ(arena_bytes(&a, (struct bytes){(uint8_t *)large, 200}).n, -1);
    CHECK(str_is_null(arena_printf(&a, "%200d", 1)));
    CHECK_TEXT(arena_str(&a, STR("small")), "small");
    arena_deinit(&a);
}
