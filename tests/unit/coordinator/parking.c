#include "rig.h"

static void park(struct parking *p, struct waiter *w, struct text *trace, const char *name,
                 int64_t offset)
{
    *w = (struct waiter){.parked.ready = waiter_ready, .trace = trace, .name = name};
    parking_add(p, &w->parked, offset);
}

TEST(parking, answers_leave_in_order_up_to_the_mark)
{
    struct parking p;
    struct waiter w[4];
    struct text trace = {0};

    parking_init(&p);
    park(&p, &w[0], &trace, "a", 1);
    park(&p, &w[1], &trace, "b", 3);
    park(&p, &w[2], &trace, "c", 3);
    park(&p, &w[3], &trace, "d", 4);
    CHECK(parking_would_wait(&p, 1));
    parking_advance(&p, 0);
    CHECK_TEXT(text_str(&trace), "");
    parking_advance(&p, 3);
    CHECK_TEXT(text_str(&trace), "a b c ");
    CHECK(!parking_would_wait(&p, 3));
    parking_advance(&p, 2); /* the mark does not go back */
    CHECK_EQ(p.committed, 3);
    parking_fail(&p, KERR_NOT_COORDINATOR);
    CHECK_TEXT(text_str(&trace), "a b c d!NOT_COORDINATOR ");
    text_deinit(&trace);
}

TEST(parking, what_is_committed_already_waits_for_the_next_call)
{
    struct parking p;
    struct waiter w;
    struct text trace = {0};

    parking_init(&p);
    parking_advance(&p, 7);
    park(&p, &w, &trace, "a", 5);
    CHECK_TEXT(text_str(&trace), "");
    parking_advance(&p, 7);
    CHECK_TEXT(text_str(&trace), "a ");
    text_deinit(&trace);
}

struct again {
    struct parked parked;
    struct parking *parking;
    int times;
};

static void again_ready(struct parked *parked, enum kerr error)
{
    struct again *a = container_of(parked, struct again, parked);

    if (++a->times < 3)
        parking_add(a->parking, parked, 2);
}

TEST(parking, an_answer_may_park_another)
{
    struct parking p;
    struct again a = {.parked.ready = again_ready, .parking = &p};

    parking_init(&p);
    parking_add(&p, &a.parked, 1);
    parking_advance(&p, 1);
    CHECK_EQ(a.times, 1);
    parking_advance(&p, 2);
    CHECK_EQ(a.times, 3);
}

TEST(parking, who_parks_anew_does_not_fail_again)
{
    struct parking p;
    struct again a = {.parked.ready = again_ready, .parking = &p};

    parking_init(&p);
    parking_add(&p, &a.parked, 1);
    parking_fail(&p, KERR_NOT_COORDINATOR);
    CHECK_EQ(a.times, 1);
    CHECK(!list_empty(&p.waiting));
}

TEST(parking, offsets_do_not_go_back)
{
    struct parking p;
    struct waiter w[2];
    struct text trace = {0};

    parking_init(&p);
    park(&p, &w[0], &trace, "a", 2);
    CHECK_ASSERTS(park(&p, &w[1], &trace, "b", 1));
    text_deinit(&trace);
}
