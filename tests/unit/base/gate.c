#include "check.h"

struct life {
    struct gate gate;
    int closed;
};

static void life_closed(struct gate *g)
{
    container_of(g, struct life, gate)->closed++;
}

TEST(gate, closes_at_once_when_nobody_is_inside)
{
    struct life l = {0};

    CHECK(gate_enter(&l.gate));
    gate_leave(&l.gate);
    CHECK_EQ(l.closed, 0);
    gate_close(&l.gate, life_closed);
    CHECK_EQ(l.closed, 1);
}

TEST(gate, closing_waits_for_the_last_one_and_lets_nobody_in)
{
    struct life l = {0};

    CHECK(gate_enter(&l.gate));
    CHECK(gate_enter(&l.gate));
    CHECK(!gate_is_closing(&l.gate));
    gate_close(&l.gate, life_closed);
    CHECK(gate_is_closing(&l.gate));
    CHECK(!gate_enter(&l.gate));
    gate_leave(&l.gate);
    CHECK_EQ(l.closed, 0);
    CHECK(!gate_enter(&l.gate));
    gate_leave(&l.gate);
    CHECK_EQ(l.closed, 1);
    CHECK(!gate_enter(&l.gate));
}

TEST(gate, is_open_again_when_it_is_reopened)
{
    struct life l = {0};

    CHECK(gate_enter(&l.gate));
    gate_close(&l.gate, life_closed);
    CHECK_ASSERTS(gate_reopen(&l.gate));
    gate_leave(&l.gate);
    gate_reopen(&l.gate);
    CHECK(gate_enter(&l.gate));
    gate_leave(&l.gate);
    CHECK_EQ(l.closed, 1);
    gate_close(&l.gate, life_closed);
    CHECK_EQ(l.closed, 2);
}

TEST(gate, leaving_unentered_or_closing_twice_is_a_bug)
{
    struct life l = {0};

    CHECK_ASSERTS(gate_leave(&l.gate));
    CHECK(gate_enter(&l.gate));
    gate_close(&l.gate, life_closed);
    CHECK_ASSERTS(gate_close(&l.gate, life_closed));
    gate_leave(&l.gate);
    CHECK_EQ(l.closed, 1);
}
