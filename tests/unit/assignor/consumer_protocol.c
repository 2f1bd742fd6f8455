/* Subscriptions and assignments as bytes. */
#include <stdlib.h>

#include "assignor/consumer_protocol.h"
#include "check.h"

#define ARENA_BYTES 65536

static struct str topics[] = {{"pears", 5}, {"apples", 6}};
static int32_t pears[] = {2, 0, 2};
static int32_t apples[] = {7};
static struct consumer_protocol_subscription_owned_partitions owned[] = {
    {{"pears", 5}, pears, 3}, {{"apples", 6}, apples, 1}};

static struct consumer_protocol_subscription fruit(void)
{
    struct consumer_protocol_subscription s;

    consumer_protocol_subscription_init(&s);
    s.topics = topics;
    s.topics_count = 2;
    s.owned_partitions = owned;
    s.owned_partitions_count = 2;
    s.generation_id = 5;
    s.rack_id = STR("r1");
    s.user_data = (struct bytes){(const uint8_t *)"u", 1};
    return s;
}

static const uint8_t fruit_bytes[] = {
    0, 3,                                                               /* version */
    0, 0, 0,   2,   0,   6,   'a', 'p', 'p', 'l', 'e', 's',             /* topics */
    0, 5, 'p', 'e', 'a', 'r', 's',                                      /**/
    0, 0, 0,   1,   'u',                                                /* user data */
    0, 0, 0,   2,   0,   6,   'a', 'p', 'p', 'l', 'e', 's',             /* owned partitions */
    0, 0, 0,   1,   0,   0,   0,   7,                                   /**/
    0, 5, 'p', 'e', 'a', 'r', 's',                                      /**/
    0, 0, 0,   3,   0,   0,   0,   0,   0,   0,   0,   2,   0, 0, 0, 2, /**/
    0, 0, 0,   5,                                                       /* generation */
    0, 2, 'r', '1',                                                     /* rack */
};

static struct bytes copy_of(struct arena *arena, const uint8_t *p, size_t n)
{
    return arena_bytes(arena, (struct bytes){p, (int32_t)n});
}

TEST(subscription, is_written_in_order)
{
    struct consumer_protocol_subscription s = fruit();
    struct arena arena;
    struct bytes out;

    arena_init(&arena, ARENA_BYTES);
    CHECK_EQ(subscription_write(&s, 3, &arena, &out), 0);
    CHECK_BYTES(out.p, out.n, fruit_bytes, sizeof(fruit_bytes));
    CHECK_TEXT(topics[0], "pears"); /* the caller's stay as they are */
    CHECK_EQ(pears[0], 2);
    arena_deinit(&arena);
}

TEST(subscription, comes_back_in_every_version)
{
    struct consumer_protocol_subscription s = fruit(), back;
    struct arena arena;
    struct bytes out;

    arena_init(&arena, ARENA_BYTES);
    for (int16_t version = 0; version <= CONSUMER_PROTOCOL_VERSION; version++) {
        CHECK_EQ(subscription_write(&s, version, &arena, &out), 0);
        CHECK_EQ(get_i16(out.p), version);
        CHECK_EQ(subscription_read(out, &arena, &back), 0);
        CHECK_EQ(back.topics_count, 2);
        CHECK_TEXT(back.topics[1], "pears");
        CHECK_EQ(back.owned_partitions_count, version >= 1 ? 2 : 0);
        CHECK_EQ(back.generation_id, version >= 2 ? 5 : -1);
        CHECK_TEXT(back.rack_id, version >= 3 ? "r1" : NULL);
    }
    arena_deinit(&arena);
}

/* Whoever comes after us may add fields behind ours. */
TEST(subscription, of_a_newer_version_is_read_as_our_newest)
{
    struct consumer_protocol_subscription s;
    struct arena arena;
    uint8_t newer[sizeof(fruit_bytes) + 3] = {0};

    memcpy(newer, fruit_bytes, sizeof(fruit_bytes));
    arena_init(&arena, ARENA_BYTES);
    newer[1] = 9;
    CHECK_EQ(subscription_read(copy_of(&arena, newer, sizeof(newer)), &arena, &s), 0);
    CHECK_EQ(s.owned_partitions_count, 2);
    CHECK_EQ(s.owned_partitions[1].partitions_count, 3);
    CHECK_TEXT(s.rack_id, "r1");
    newer[0] = 0x80;
    CHECK_EQ(subscription_read(copy_of(&arena, newer, sizeof(newer)), &arena, &s), ERR_VERSION);
    arena_deinit(&arena);
}

TEST(subscription, cut_off_anywhere_is_refused)
{
    struct consumer_protocol_subscription s = {.generation_id = 77};
    struct arena arena;

    arena_init(&arena, 0);
    for (size_t n = 0; n < sizeof(fruit_bytes); n++) {
        CHECK_EQ(subscription_read(copy_of(&arena, fruit_bytes, n), &arena, &s), ERR_SHORT);
        CHECK_EQ(s.generation_id, 77);
    }
    CHECK_EQ(subscription_read(BYTES_NULL, &arena, &s), ERR_SHORT);
    arena_deinit(&arena);
}

TEST(subscription, without_rack_and_generation_says_so)
{
    static const uint8_t bytes[] = {0, 3, 0, 0, 0,    0,    0xff, 0xff, 0xff, 0xff,
                                    0, 0, 0, 0, 0xff, 0xff, 0xff, 0xf0, 0,    0};
    struct consumer_protocol_subscription s;
    struct arena arena;

    arena_init(&arena, ARENA_BYTES);
    CHECK_EQ(subscription_read((struct bytes){bytes, sizeof(bytes)}, &arena, &s), 0);
    CHECK(str_is_null(s.rack_id));
    CHECK_EQ(s.generation_id, -1);
    arena_deinit(&arena);
}

TEST(assignment, comes_back)
{
    struct consumer_protocol_assignment_assigned_partitions assigned = {STR("pears"), pears, 3};
    struct consumer_protocol_assignment a = {&assigned, BYTES_NULL, 1}, back;
    static const uint8_t expected[] = {0,   0,   0, 0, 0, 1, 0, 5,    'p',  'e',  'a',
                                       'r', 's', 0, 0, 0, 3, 0, 0,    0,    2,    0,
                                       0,   0,   0, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff};
    struct arena arena;
    struct bytes out;

    arena_init(&arena, ARENA_BYTES);
    CHECK_EQ(assignment_write(&a, 0, &arena, &out), 0);
    CHECK_BYTES(out.p, out.n, expected, sizeof(expected));
    CHECK_EQ(assignment_read(out, &arena, &back), 0);
    CHECK_EQ(back.assigned_partitions_count, 1);
    CHECK_EQ(back.assigned_partitions[0].partitions[0], 2);
    out.n--;
    CHECK_EQ(assignment_read(out, &arena, &back), ERR_SHORT);
    arena_deinit(&arena);
}

TEST(subscription, beyond_the_arenas_limit_is_refused)
{
    struct consumer_protocol_subscription s = fruit();
    struct arena arena;
    struct bytes out;
    char *name = calloc(1, 40000);
    struct str long_name = {name, 40000};

    arena_init(&arena, 1);
    CHECK_EQ(subscription_read((struct bytes){fruit_bytes, sizeof(fruit_bytes)}, &arena, &s),
             ERR_LIMIT);
    s = fruit();
    CHECK_EQ(subscription_write(&s, 3, &arena, &out), ERR_LIMIT);
    arena_deinit(&arena);
    arena_init(&arena, 0);
    s.topics = &long_name;
    s.topics_count = 1;
    CHECK_EQ(subscription_write(&s, 3, &arena, &out), ERR_LIMIT);
    arena_deinit(&arena);
    free(name);
}
