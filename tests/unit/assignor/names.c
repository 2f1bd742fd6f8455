/* Names and rebalance protocols. */
#include "assignor/assignor.h"
#include "check.h"

TEST(assignor_names, are_kafkas)
{
    static const char *const names[] = {"range", "roundrobin", "sticky", "cooperative-sticky"};

    for (int i = 0; i < ASSIGNOR_COUNT; i++) {
        enum assignor found = ASSIGNOR_COUNT;

        CHECK_TEXT(assignor_name((enum assignor)i), names[i]);
        CHECK(assignor_find(str_of(names[i]), &found));
        CHECK_EQ(found, i);
    }
}

TEST(assignor_names, that_are_unknown_are_not_found)
{
    enum assignor found = ASSIGNOR_COUNT;

    CHECK(!assignor_find(STR("uniform"), &found));
    CHECK(!assignor_find(STR("Range"), &found));
    CHECK(!assignor_find(STR_NULL, &found));
    CHECK_EQ(found, ASSIGNOR_COUNT);
}

/* A member must follow what all its assignors can: the group may choose any of them. */
TEST(rebalance_protocol, is_the_strongest_that_all_support)
{
    const enum assignor defaults[] = {ASSIGNOR_RANGE, ASSIGNOR_COOPERATIVE_STICKY};
    const enum assignor cooperative[] = {ASSIGNOR_COOPERATIVE_STICKY};

    CHECK_EQ(rebalance_protocol_of(defaults, 2), REBALANCE_EAGER);
    CHECK_EQ(rebalance_protocol_of(cooperative, 1), REBALANCE_COOPERATIVE);
    CHECK(assignor_supports(ASSIGNOR_COOPERATIVE_STICKY, REBALANCE_EAGER));
    CHECK(!assignor_supports(ASSIGNOR_STICKY, REBALANCE_COOPERATIVE));
}
