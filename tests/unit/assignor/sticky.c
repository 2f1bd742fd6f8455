/* sticky and cooperative-sticky, case by case. */
#include "check.h"
#include "support.h"

TEST(sticky, keeps_what_a_member_had_when_one_leaves)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 6, NULL);
    party_had(&p, party_member(&p, "a", "t"), "t/0,3", 4);
    party_had(&p, party_member(&p, "c", "t"), "t/2,5", 4);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/0,1,3\n"
                                                  "c: t/2,4,5\n");
    party_deinit(&p);
}

TEST(sticky, takes_only_what_a_new_member_needs)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t1", 2, NULL);
    party_topic(&p, "t2", 4, NULL);
    party_had(&p, party_member(&p, "a", "t1 t2"), "t1/0 t2/0,1", 4);
    party_had(&p, party_member(&p, "b", "t1 t2"), "t1/1 t2/2,3", 4);
    party_member(&p, "c", "t1 t2");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t1/0 t2/0\n"
                                                  "b: t1/1 t2/2\n"
                                                  "c: t2/1,3\n");
    party_deinit(&p);
}

/* Two could keep one more than the others: the one that a Java leader's HashMap names first does. */
TEST(sticky, lets_keep_more_whom_a_java_leader_would)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, NULL);
    party_had(&p, party_member(&p, "a", "t"), "t/0,1", 4);
    party_had(&p, party_member(&p, "p", "t"), "t/2,3", 4);
    party_member(&p, "b", "t");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/0\n"
                                                  "p: t/2,3\n"
                                                  "b: t/1\n");
    party_deinit(&p);
}

/* Two claims: that of the newer generation counts, whoever is asked first. */
TEST(sticky, believes_the_newer_generation)
{
    for (int turn = 0; turn < 2; turn++) {
        struct party p;

        party_init(&p);
        party_topic(&p, "t", 2, NULL);
        party_had(&p, party_member(&p, turn == 0 ? "a" : "b", "t"), "t/0,1", 3);
        party_had(&p, party_member(&p, turn == 0 ? "b" : "a", "t"), "t/1", 4);
        CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY),
                   turn == 0 ? "a: t/0\nb: t/1\n" : "b: t/0\na: t/1\n");
        party_deinit(&p);
    }
}

/* Two claims of one generation cannot both be true: nobody keeps the partition for it. */
TEST(sticky, believes_nobody_when_two_of_a_generation_claim)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, NULL);
    party_had(&p, party_member(&p, "a", "t"), "t/0,1,2", 4);
    party_had(&p, party_member(&p, "b", "t"), "t/2,3", 4);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/0,1\n"
                                                  "b: t/2,3\n");
    party_deinit(&p);
}

/* A claim of a newer generation ends the dispute of two older ones, whoever is asked first. */
TEST(sticky, believes_the_newest_generation_against_two)
{
    static const char *const ids[] = {"a", "b", "c"};

    for (int newest = 0; newest < 3; newest++) {
        struct party p;

        party_init(&p);
        party_topic(&p, "t", 3, NULL);
        for (int i = 0; i < 3; i++)
            party_had(&p, party_member(&p, ids[i], "t"), "t/1", i == newest ? 5 : 4);
        CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), newest == 0   ? "a: t/1\nb: t/0\nc: t/2\n"
                                                      : newest == 1 ? "a: t/0\nb: t/1\nc: t/2\n"
                                                                    : "a: t/0\nb: t/2\nc: t/1\n");
        party_deinit(&p);
    }
}

/* Foreign claims: partitions that there are not, topics that nobody wants, the same one twice. */
TEST(sticky, ignores_claims_that_cannot_be)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 3, NULL);
    party_topic(&p, "other", 3, NULL);
    party_had(&p, party_member(&p, "a", "t"), "t/-1,3,2147483647 other/0 gone/1 t/2", 4);
    party_had(&p, party_member(&p, "b", "t"), "t/1,1 t/1", 4);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/0,2\n"
                                                  "b: t/1\n");
    party_deinit(&p);
}

/* The user data of another's assignor, or noise, is a member without a past. */
TEST(sticky, takes_unreadable_user_data_for_none)
{
    static const char *const noise[] = {"",
                                        "\0\0\0",
                                        "\0\0\0\1\0\1t\0\0\0\2\0\0\0\0",
                                        "\377\377\377\377\0\0\0\0",
                                        "\0\0\0\1\377\377\0\0\0\0",
                                        "\177\377\377\377\0\0\0\0",
                                        "\0\0\0\1\0\1t\177\377\377\377"};
    static const int32_t sizes[] = {0, 3, 15, 8, 10, 8, 11};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct party p;

        party_init(&p);
        party_topic(&p, "t", 2, NULL);
        party_member(&p, "a", "t")->subscription.user_data =
            (struct bytes){(const uint8_t *)noise[i], sizes[i]};
        party_had(&p, party_member(&p, "b", "t"), "t/0", 1);
        CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/1\n"
                                                      "b: t/0\n");
        party_deinit(&p);
    }
}

/* V0 has no generation: its claims count, but behind those of any generation. */
TEST(sticky, reads_user_data_without_generation)
{
    static const uint8_t v0[] = {0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2};
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, NULL);
    party_member(&p, "a", "t")->subscription.user_data = (struct bytes){v0, sizeof(v0)};
    party_had(&p, party_member(&p, "b", "t"), "t/2", 0);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/0,1\n"
                                                  "b: t/2,3\n");
    party_deinit(&p);
}

/* Members with a past do not go by what stands in the subscription: they have given that up. */
TEST(sticky, does_not_look_at_owned_partitions)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 2, NULL);
    party_owns(&p, party_member(&p, "b", "t"), "t/0", 4);
    party_member(&p, "a", "t");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "b: t/1\n"
                                                  "a: t/0\n");
    party_deinit(&p);
}

TEST(sticky, gives_nothing_to_who_wants_nothing)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 3, NULL);
    party_member(&p, "a", "");
    party_member(&p, "b", "t");
    party_member(&p, "c", "t t");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: \n"
                                                  "b: t/0,2\n"
                                                  "c: t/1\n");
    party_deinit(&p);
}

/* c can have nothing but t3, so a and b share the others. */
TEST(sticky, balances_different_subscriptions)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t1", 2, NULL);
    party_topic(&p, "t2", 2, NULL);
    party_topic(&p, "t3", 2, NULL);
    party_had(&p, party_member(&p, "a", "t1 t2 t3"), "t1/0,1 t2/0 t3/0", 2);
    party_had(&p, party_member(&p, "b", "t1 t2"), "t2/1", 2);
    party_had(&p, party_member(&p, "c", "t3"), "t3/1", 2);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t1/1 t2/0\n"
                                                  "b: t1/0 t2/1\n"
                                                  "c: t3/0,1\n");
    party_deinit(&p);
}

/* Who had it in an older generation gets it back when somebody has too much. */
TEST(sticky, gives_back_to_an_older_owner)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, NULL);
    party_topic(&p, "u", 1, NULL);
    party_had(&p, party_member(&p, "a", "t"), "t/0,1,2,3", 9);
    party_member(&p, "b", "t");
    party_had(&p, party_member(&p, "c", "t u"), "t/0", 8);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/2,3\n"
                                                  "b: t/1\n"
                                                  "c: t/0 u/0\n");
    party_deinit(&p);
}

TEST(sticky, moves_what_lies_in_another_rack)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, "r1|r2|r1|r2");
    party_had(&p, party_member(&p, "a", "t"), "t/0,1", 4);
    party_had(&p, party_member(&p, "b", "t"), "t/2,3", 4);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/0,1\n"
                                                  "b: t/2,3\n");
    p.members[0].subscription.rack_id = STR("r1");
    p.members[1].subscription.rack_id = STR("r2");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/0,2\n"
                                                  "b: t/1,3\n");
    party_deinit(&p);
}

/* Partitions that few members are near are dealt first: else b would have to take one of r1's. */
TEST(sticky, deals_first_what_few_members_are_near)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, "r1 r2|r1 r2|r1|r1");
    party_member(&p, "a", "t")->subscription.rack_id = STR("r1");
    party_member(&p, "b", "t")->subscription.rack_id = STR("r2");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_STICKY), "a: t/2,3\n"
                                                  "b: t/0,1\n");
    party_deinit(&p);
}

/* A partition that changes its owner is given to nobody for a round, then to the new one. */
TEST(cooperative_sticky, withholds_what_must_be_given_up_first)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, NULL);
    party_owns(&p, party_member(&p, "a", "t"), "t/0,1,2,3", 1);
    party_member(&p, "b", "t");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_COOPERATIVE_STICKY), "a: t/0,1\n"
                                                              "b: \n");
    party_next(&p, ASSIGNOR_COOPERATIVE_STICKY, 2);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_COOPERATIVE_STICKY), "a: t/0,1\n"
                                                              "b: t/2,3\n");
    party_deinit(&p);
}

TEST(cooperative_sticky, withholds_with_different_subscriptions)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 4, NULL);
    party_topic(&p, "u", 1, NULL);
    party_owns(&p, party_member(&p, "a", "t u"), "t/0,1,2,3", 1);
    party_member(&p, "b", "t");
    CHECK_TEXT(party_assign(&p, ASSIGNOR_COOPERATIVE_STICKY), "a: t/2,3 u/0\n"
                                                              "b: \n");
    party_next(&p, ASSIGNOR_COOPERATIVE_STICKY, 2);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_COOPERATIVE_STICKY), "a: t/2,3 u/0\n"
                                                              "b: t/0,1\n");
    party_deinit(&p);
}

/* What two claim is given to neither before both have given it up. */
TEST(cooperative_sticky, withholds_what_two_claim)
{
    struct party p;

    party_init(&p);
    party_topic(&p, "t", 2, NULL);
    party_owns(&p, party_member(&p, "a", "t"), "t/0,1", 1);
    party_owns(&p, party_member(&p, "b", "t"), "t/1", 1);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_COOPERATIVE_STICKY), "a: t/0\n"
                                                              "b: \n");
    party_next(&p, ASSIGNOR_COOPERATIVE_STICKY, 2);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_COOPERATIVE_STICKY), "a: t/0\n"
                                                              "b: t/1\n");
    party_deinit(&p);
}

/* A member with an older subscription says its generation in the user data. */
TEST(cooperative_sticky, finds_the_generation_in_user_data)
{
    struct party p;
    struct consumer_protocol_assignment none = {.user_data = BYTES_NULL};

    party_init(&p);
    party_topic(&p, "t", 2, NULL);
    party_owns(&p, party_member(&p, "a", "t"), "t/0,1", -1);
    party_owns(&p, party_member(&p, "b", "t"), "t/1", 2);
    CHECK_TEXT(party_assign(&p, ASSIGNOR_COOPERATIVE_STICKY), "a: t/0\n"
                                                              "b: t/1\n");
    CHECK_EQ(assignor_user_data(ASSIGNOR_COOPERATIVE_STICKY, &none, 3, &p.arena,
                                &p.members[0].subscription.user_data),
             0);
    p.members[1].subscription.generation_id = 3;
    CHECK_TEXT(party_assign(&p, ASSIGNOR_COOPERATIVE_STICKY), "a: t/0\n"
                                                              "b: \n");
    party_deinit(&p);
}

/* Without room there is ERR_LIMIT, wherever it ends. */
TEST(sticky, says_when_the_arena_is_too_small)
{
    struct party p;
    struct consumer_protocol_assignment *out;

    party_init(&p);
    party_topic(&p, "t", 300, "r1|r2|r1|r2");
    party_topic(&p, "u", 300, NULL);
    party_had(&p, party_member(&p, "a", "t u"), "t/0,1,2,3 u/5", 4);
    p.members[0].subscription.rack_id = STR("r1");
    party_had(&p, party_member(&p, "b", "t"), "t/7", 4);
    for (int i = 0; i < ASSIGNOR_COUNT; i++) {
        size_t limit = 1;
        int error = ERR_LIMIT;

        for (; error == ERR_LIMIT && limit < 1 << 20; limit += 1000) {
            struct arena arena;

            arena_init(&arena, limit);
            error = assignor_assign((enum assignor)i, &p.group, &arena, &out);
            arena_deinit(&arena);
        }
        CHECK_EQ(error, 0);
        CHECK(limit > 10000);
    }
    party_deinit(&p);
}
