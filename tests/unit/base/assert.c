#include "check.h"

static int hook_runs;

static void count_and_leave(void)
{
    hook_runs++;
    check_assert_jump();
}

TEST(assert, true_conditions_pass)
{
    ASSERT(1 + 1 == 2);
}

TEST(assert, false_conditions_run_the_hook_once)
{
    hook_runs = 0;
    assert_hook = count_and_leave;
    if (sigsetjmp(check_assert_point, 0) == 0)
        UNREACHABLE("this is wanted");
    CHECK_EQ(hook_runs, 1);
    CHECK(assert_hook == NULL);
}

TEST(assert, container_is_found_from_its_member)
{
    struct outer {
        int before;
        struct list node;
    } outer = {0};

    CHECK(container_of(&outer.node, struct outer, node) == &outer);
}
