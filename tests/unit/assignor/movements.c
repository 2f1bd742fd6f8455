/* Moves that take others back. */
#include "assignor/movements.h"
#include "check.h"
#include "support.h"

enum { A, B, C };

/* A, B and C in the order of the view, and topics t with 3 partitions, u with 1, all of them A's.
 */
static void begin(struct party *p, struct view *v, struct movements *m)
{
    party_init(p);
    party_topic(p, "t", 3, NULL);
    party_topic(p, "u", 1, NULL);
    party_member(p, "a", "t u");
    party_member(p, "b", "t u");
    party_member(p, "c", "t u");
    CHECK_EQ(view_init(v, &p->group, &p->arena), 0);
    CHECK_EQ(movements_init(m, v), 0);
    for (int32_t i = 0; i < 4; i++)
        view_give(v, i, A);
}

static void end(struct party *p, struct movements *m)
{
    movements_deinit(m);
    party_deinit(p);
}

TEST(movements, take_one_back_instead_of_moving_another)
{
    struct party p;
    struct view v;
    struct movements m;

    begin(&p, &v, &m);
    CHECK_EQ(movements_choose(&m, 0, B), 0);
    CHECK_EQ(movements_move(&m, 0, B), 0);
    view_give(&v, 1, B);
    CHECK_EQ(movements_choose(&m, 1, A), 0);
    CHECK_EQ(movements_choose(&m, 1, C), 1); /* 0 did not come from there */
    view_give(&v, 3, B);
    CHECK_EQ(movements_choose(&m, 3, A), 3); /* another topic */
    end(&p, &m);
}

TEST(movements, of_one_partition_count_from_where_it_was_first)
{
    struct party p;
    struct view v;
    struct movements m;

    begin(&p, &v, &m);
    CHECK_EQ(movements_move(&m, 0, B), 0);
    CHECK_EQ(movements_move(&m, 0, C), 0);
    view_give(&v, 1, B);
    CHECK_EQ(movements_choose(&m, 1, A), 1);
    view_give(&v, 1, C);
    CHECK_EQ(movements_choose(&m, 1, A), 0);
    CHECK_EQ(movements_move(&m, 0, A), 0); /* back home: as if it had never gone */
    CHECK_EQ(movements_choose(&m, 1, A), 1);
    CHECK_EQ(v.members[A].size, 3);
    CHECK_EQ(v.members[C].size, 1);
    end(&p, &m);
}

/* Of several that could go back, the one that a Java leader's HashSet names first. */
TEST(movements, take_back_as_a_java_leader_does)
{
    struct party p;
    struct view v;
    struct movements m;

    begin(&p, &v, &m);
    CHECK_EQ(movements_move(&m, 1, B), 0);
    CHECK_EQ(movements_move(&m, 2, B), 0);
    view_give(&v, 0, B);
    CHECK_EQ(movements_choose(&m, 0, A), 2);
    CHECK_EQ(movements_move(&m, 2, A), 0);
    CHECK_EQ(movements_choose(&m, 0, A), 1);
    CHECK_EQ(movements_move(&m, 1, A), 0);
    CHECK_EQ(movements_choose(&m, 0, A), 0);
    end(&p, &m);
}
