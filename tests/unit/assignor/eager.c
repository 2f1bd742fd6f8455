/* range and roundrobin: who gets what, case by case. */
#include "check.h"
#include "support.h"

TEST(range, gives_each_member_a_range_of_each_topic)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t2", 3, NULL);
    party_topic(&p, "t1", 5, NULL);
    party_member(&p, "b", "t1 t2");
    party_member(&p, "a", "t2 t1");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_RANGE), "b: t1/3,4 t2/2\n"
                                                 "a: t1/0,1,2 t2/0,1\n");
    party_deinit(&p);
}

TEST(range, shares_a_topic_among_those_that_want_it)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t1", 3, NULL);
    party_topic(&p, "t2", 2, NULL);
    party_topic(&p, "unknown", 0, NULL);
    party_topic(&p, "unwanted", 4, NULL);
    party_member(&p, "a", "t1 unknown nowhere");
    party_member(&p, "b", "t1 t2 t2");
    party_member(&p, "c", "");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_RANGE), "a: t1/0,1\n"
                                                 "b: t1/2 t2/0,1\n"
                                                 "c: \n");
    party_deinit(&p);
}

/* Static members come first, by their instance ids: a restart changes the member id, not the order.
 */
TEST(range, goes_by_instance_ids_first)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, NULL);
    party_member(&p, "a", "t");
    party_member(&p, "x", "t")->instance_id = STR("2");
    party_member(&p, "y", "t")->instance_id = STR("1");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_RANGE), "a: t/3\n"
                                                 "x: t/2\n"
                                                 "y: t/0,1\n");
    party_deinit(&p);
}

TEST(range, puts_partitions_into_the_members_racks)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, "r2|r1|r2|r1");
    party_member(&p, "a", "t")->subscription.rack_id = STR("r1");
    party_member(&p, "b", "t")->subscription.rack_id = STR("r2");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_RANGE), "a: t/1,3\n"
                                                 "b: t/0,2\n");
    party_deinit(&p);
}

/* Balance goes before racks: nobody is left with more because it is near. */
TEST(range, fills_up_across_racks)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, "r1|r1|r1|r2");
    party_member(&p, "a", "t")->subscription.rack_id = STR("r1");
    party_member(&p, "b", "t")->subscription.rack_id = STR("r3");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_RANGE), "a: t/0,1\n"
                                                 "b: t/2,3\n");
    p.members[1].subscription.rack_id = STR("r2");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_RANGE), "a: t/0,1\n"
                                                 "b: t/2,3\n");
    party_deinit(&p);
}

/* Topics with the same members and as many partitions are joined by partition: a member has the
 * same partitions of both, although only t1 alone would be best in other racks. */
TEST(range, keeps_equal_topics_together_across_racks)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t1", 4, "r2|r1|r2|r1");
    party_topic(&p, "t2", 4, "r2 r1|r1|r2|r2");
    party_topic(&p, "t3", 2, "r2|r1");
    party_member(&p, "a", "t1 t2 t3")->subscription.rack_id = STR("r1");
    party_member(&p, "b", "t1 t2 t3")->subscription.rack_id = STR("r2");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_RANGE), "a: t1/1,3 t2/1,3 t3/1\n"
                                                 "b: t1/0,2 t2/0,2 t3/0\n");
    party_deinit(&p);
}

/* When every partition has replicas in all racks, racks say nothing. */
TEST(range, does_not_look_at_racks_that_are_everywhere)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 3, "r1 r2|r2 r1|r1 r2 r1");
    party_member(&p, "a", "t")->subscription.rack_id = STR("r3");
    party_member(&p, "b", "t")->subscription.rack_id = STR("r1");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_RANGE), "a: t/0,1\n"
                                                 "b: t/2\n");
    party_deinit(&p);
}

TEST(roundrobin, deals_all_topics_in_one_circle)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t1", 3, NULL);
    party_topic(&p, "t2", 2, NULL);
    party_member(&p, "b", "t1 t2");
    party_member(&p, "a", "t1 t2");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_ROUNDROBIN), "b: t1/1 t2/0\n"
                                                      "a: t1/0,2 t2/1\n");
    party_deinit(&p);
}

TEST(roundrobin, passes_over_who_does_not_want_the_topic)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t0", 1, NULL);
    party_topic(&p, "t1", 2, NULL);
    party_topic(&p, "t2", 3, NULL);
    party_member(&p, "c0", "t0");
    party_member(&p, "c1", "t0 t1");
    party_member(&p, "c2", "t0 t1 t2");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_ROUNDROBIN), "c0: t0/0\n"
                                                      "c1: t1/0\n"
                                                      "c2: t1/1 t2/0,1,2\n");
    party_deinit(&p);
}

TEST(roundrobin, goes_by_instance_ids_first)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 3, NULL);
    party_member(&p, "a", "t");
    party_member(&p, "x", "t")->instance_id = STR("2");
    party_member(&p, "y", "t")->instance_id = STR("1");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_ROUNDROBIN), "a: t/2\n"
                                                      "x: t/1\n"
                                                      "y: t/0\n");
    party_deinit(&p);
}

/* Java compares by UTF-16: U+1F600 is written with surrogates there and comes before U+FF21. */
TEST(roundrobin, sorts_ids_as_java_does)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 3, NULL);
    party_member(&p, "\uff21", "t");
    party_member(&p, "\U0001f600", "t");
    party_member(&p, "z", "t");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_ROUNDROBIN), "\uff21: t/2\n"
                                                      "\U0001f600: t/1\n"
                                                      "z: t/0\n");
    party_deinit(&p);
}

TEST(assignor, takes_a_group_of_nobody_and_nothing)
{
    struct party p;

    party_init(&p);
    for (int i = 0; i < ASSIGNOR_COUNT; i++)
        CHECK_TEXT(party_assign(&p, (enum assignor)i), "");
    party_member(&p, "a", "");
    party_member(&p, "b", "nowhere");
    for (int i = 0; i < ASSIGNOR_COUNT; i++)
        CHECK_TEXT(party_assign(&p, (enum assignor)i), "a: \nb: \n");
    party_deinit(&p);
}
