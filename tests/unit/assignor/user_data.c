/* What a member adds to its subscription. */
#include <stdlib.h>

#include "check.h"
#include "support.h"

static int32_t partitions[] = {3, 0};
static struct consumer_protocol_assignment_assigned_partitions assigned[] = {
    {{"t", 1}, partitions, 2}};
static const struct consumer_protocol_assignment owned = {assigned, {NULL, -1}, 1};

static void check_user_data(enum assignor assignor, int32_t generation, const void *expected,
                            size_t size)
{
    struct arena arena;
    struct bytes out;

    arena_init(&arena, 0);
    CHECK_EQ(assignor_user_data(assignor, &owned, generation, &arena, &out), 0);
    if (expected == NULL)
        CHECK_EQ(out.n, -1);
    else
        CHECK_BYTES(out.p, out.n, expected, size);
    arena_deinit(&arena);
}

TEST(user_data, of_eager_assignors_without_memory_is_null)
{
    check_user_data(ASSIGNOR_RANGE, 7, NULL, 0);
    check_user_data(ASSIGNOR_ROUNDROBIN, 7, NULL, 0);
}

TEST(user_data, of_sticky_is_the_last_assignment_and_its_generation)
{
    static const uint8_t v1[] = {0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 2, 0,
                                 0, 0, 3, 0, 0, 0, 0,   0, 0, 0, 7};

    check_user_data(ASSIGNOR_STICKY, 7, v1, sizeof(v1));
    check_user_data(ASSIGNOR_STICKY, -1, NULL, 0); /* there was none yet */
}

TEST(user_data, of_cooperative_sticky_is_the_generation)
{
    static const uint8_t seven[] = {0, 0, 0, 7}, none[] = {255, 255, 255, 255};

    check_user_data(ASSIGNOR_COOPERATIVE_STICKY, 7, seven, 4);
    check_user_data(ASSIGNOR_COOPERATIVE_STICKY, -1, none, 4);
}

TEST(user_data, beyond_limits_is_refused)
{
    struct arena arena;
    struct bytes out = {NULL, 5};
    char *name = calloc(1, 40000);
    struct consumer_protocol_assignment_assigned_partitions long_topic = {
        {name, 40000}, partitions, 2};
    const struct consumer_protocol_assignment too_long = {&long_topic, {NULL, -1}, 1};

    arena_init(&arena, 1);
    CHECK_EQ(assignor_user_data(ASSIGNOR_STICKY, &owned, 7, &arena, &out), ERR_LIMIT);
    arena_deinit(&arena);
    arena_init(&arena, 0);
    CHECK_EQ(assignor_user_data(ASSIGNOR_STICKY, &too_long, 7, &arena, &out), ERR_LIMIT);
    CHECK_EQ(out.n, 5);
    arena_deinit(&arena);
    free(name);
}
