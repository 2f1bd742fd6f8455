/* Partitions and their replicas: JSON, and how a topic is spread over brokers. */
#include "cli/placements.h"

#include "check.h"

#include <errno.h>

struct lists {
    struct arena arena;
    struct placements p;
    struct fail fail;
    struct text out;
};

static void begin(struct lists *l)
{
    *l = (struct lists){0};
    arena_init(&l->arena, 0);
    l->p.arena = &l->arena;
}

static void end(struct lists *l)
{
    text_deinit(&l->out);
    arena_deinit(&l->arena);
}

TEST(cli_placements, json_is_read_and_printed_as_kafkas)
{
    struct lists l;

    begin(&l);
    CHECK_EQ(placements_read(&l.p,
                             STR("{\"partitions\": [{\"topic\": \"o\\u0041\", \"partition\": 1, "
                                 "\"replicas\": [3, 1], \"log_dirs\": "
                                 "[\"any\", \"/d\"], \"x\": {}}, {\"replicas\": [2], \"topic\": "
                                 "\"a\", \"partition\": 0}]}"),
                             true, &l.fail),
             0);
    placements_sort(&l.p);
    placements_print(&l.p, &l.out);
    CHECK_TEXT(text_str(&l.out),
               "{\"version\":1,\"partitions\":[{\"topic\":\"a\",\"partition\":0,\"replicas\":[2],\"log_"
               "dirs\":[\"any\"]},"
               "{\"topic\":\"oA\",\"partition\":1,\"replicas\":[3,1],\"log_dirs\":[\"any\",\"/d\"]}]}");
    CHECK_TEXT(placements_names(&l.p, ", "), "a-0, oA-1");
    CHECK(placements_find(&l.p, STR("oA"), 1) == &l.p.all[1]);
    CHECK(placements_find(&l.p, STR("oA"), 0) == NULL);
    CHECK(placements_twice(&l.p) == NULL);
    placements_add(&l.p, STR("a"), 0);
    placements_sort(&l.p);
    CHECK_TEXT(placements_twice(&l.p)->topic, "a");
    end(&l);
}

TEST(cli_placements, mistakes_of_json_are_said)
{
    static const struct {
        const char *text, *words;
        bool replicas;
    } all[] = {
        {"{\"partitions\": [", "not a valid JSON", true},
        {"[]", "not a valid JSON", true},
        {"", "not a valid JSON", false},
        {"{\"partitions\": [{\"topic\": \"t\", \"partition\": 0}]}", "not a valid JSON", true},
        {"{\"partitions\": [{\"topic\": \"t\", \"replicas\": [1]}]}", "not a valid JSON", true},
        {"{\"partitions\": [{\"topic\": \"t\", \"partition\": -1}]}", "not a valid JSON", false},
        {"{\"partitions\": [{\"topic\": \"t\", \"partition\": 0, \"replicas\": [5000000000]}]}", "not a valid JSON",
         true},
        {"{\"partitions\": [{\"topic\": \"t\", \"partition\": 0, \"replicas\": [1], \"log_dirs\": "
         "[]}]}",
         "is different from size of log dirs", true},
        {"{\"version\": 2, \"partitions\": []}", "Not supported version field value 2", true},
        {"{}", "missing \"partitions\" field", false},
    };

    for (size_t i = 0; i < array_count(all); i++) {
        struct lists l;
        begin(&l);
        CHECK_EQ(placements_read(&l.p, str_of(all[i].text), all[i].replicas, &l.fail), -EINVAL);
        CHECK(strstr(l.fail.text, all[i].words) != NULL);
        end(&l);
    }
}

/* How many of the partitions from `from` on a place leads, and holds. */
static void count(const struct lists *l, uint32_t from, uint32_t partitions, int32_t id, uint32_t *leads, uint32_t *holds)
{
    *leads = *holds = 0;
    for (uint32_t i = from; i < from + partitions; i++) {
        *leads += l->p.all[i].replicas[0] == id;
        *holds += ids_contain(l->p.all[i].replicas, l->p.all[i].replica_count, id);
    }
}

static uint32_t racks_of(const struct placement *p, const struct place *places, uint32_t place_count)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < place_count; i++) {
        bool known = false;
        for (uint32_t k = 0; k < i; k++)
            known |= str_equal(places[k].rack, places[i].rack) && ids_contain(p->replicas, p->replica_count, places[k].id);
        n += !known && ids_contain(p->replicas, p->replica_count, places[i].id);
    }
    return n;
}

static void spread(struct lists *l, uint64_t seed, const struct place *places, uint32_t place_count, int32_t partitions,
                   uint32_t replicas)
{
    struct prng random;

    prng_init(&random, seed);
    l->p = (struct placements){.arena = &l->arena};
    CHECK_EQ(placements_spread(places, place_count, STR("t"), partitions, replicas, &random, &l->p, &l->fail), 0);
    CHECK_EQ(l->p.count, partitions);
    for (uint32_t i = 0; i < l->p.count; i++) {
        CHECK_EQ(l->p.all[i].partition, i);
        CHECK_EQ(l->p.all[i].replica_count, replicas);
        for (uint32_t k = 1; k < replicas; k++)
            CHECK(!ids_contain(l->p.all[i].replicas, k, l->p.all[i].replicas[k]));
    }
}

/* Every round each place leads one partition and holds as many as any; the next round in another order. */
TEST(cli_placements, a_topic_is_spread_in_rounds)
{
    static const struct place places[] = {{3, STR_NULL}, {1, STR_NULL}, {2, STR_NULL}, {0, STR_NULL}, {4, STR_NULL}};
    uint32_t leads, holds, firsts = 0, shuffled = 0;
    struct prng random;
    struct lists l;

    begin(&l);
    for (uint64_t seed = 0; seed < 40; seed++) {
        spread(&l, seed, places, 5, 25, 3);
        for (uint32_t round = 0; round < 25; round += 5) {
            for (int32_t id = 0; id < 5; id++) {
                count(&l, round, 5, id, &leads, &holds);
                CHECK_EQ(leads, 1);
                CHECK_EQ(holds, 3);
            }
        }
        for (uint32_t i = 0; i < 5; i++) { /* the first round: neighbours by id, one further each time */
            for (uint32_t k = 0; k < 3; k++)
                CHECK_EQ(l.p.all[i].replicas[k], (l.p.all[0].replicas[0] + (int32_t)(i + k)) % 5);
        }
        firsts |= 1u << l.p.all[0].replicas[0];
        shuffled += (l.p.all[5].replicas[0] + 1) % 5 != l.p.all[5].replicas[1];
    }
    CHECK_EQ(firsts, 31);
    CHECK(shuffled > 10);
    spread(&l, 1, places, 1, 2, 1);
    prng_init(&random, 1);
    CHECK_EQ(placements_spread(places, 2, STR("t"), 1, 3, &random, &l.p, &l.fail), -EINVAL);
    CHECK(strstr(l.fail.text, "replication factor of 3 cannot be reached because only 2 broker(s)") != NULL);
    CHECK_EQ(placements_spread(places, 0, STR("t"), 1, 1, &random, &l.p, &l.fail), -EINVAL);
    end(&l);
}

TEST(cli_placements, racks_hold_one_replica_each)
{
    static const struct place places[] = {{0, {"r1", 2}}, {1, {"r3", 2}}, {2, {"r3", 2}},
                                          {3, {"r2", 2}}, {4, {"r2", 2}}, {5, {"r1", 2}}};
    static const struct place uneven[] = {{0, {"a", 1}}, {1, {"a", 1}}, {2, {"a", 1}}, {3, {"b", 1}}};
    uint32_t leads, holds;
    struct lists l;

    begin(&l);
    for (uint64_t seed = 0; seed < 40; seed++) {
        spread(&l, seed, places, 6, 30, 3);
        for (uint32_t i = 0; i < 30; i++)
            CHECK_EQ(racks_of(&l.p.all[i], places, 6), 3);
        for (int32_t id = 0; id < 6; id++) {
            count(&l, 0, 6, id, &leads, &holds);
            CHECK_EQ(leads, 1);
            CHECK_EQ(holds, 3);
        }
        spread(&l, seed, places, 6, 30, 5); /* more replicas than racks: all racks first */
        for (uint32_t i = 0; i < 30; i++) {
            struct placement three = l.p.all[i];
            three.replica_count = 3;
            CHECK_EQ(racks_of(&three, places, 6), 3);
        }
        spread(&l, seed, uneven, 4, 20, 3); /* a rack that has given all is passed over */
        for (uint32_t i = 0; i < 20; i++)
            CHECK_EQ(racks_of(&l.p.all[i], uneven, 4), 2);
    }
    end(&l);
}

/* ---- few moves
 * ------------------------------------------------------------------------------------ */

/* Add partitions of topic t: "1,2 2,3". */
static void lay(struct lists *l, const char *text)
{
    struct str rest = str_of(text), one, id;
    int64_t n;

    while (str_cut(&rest, ' ', &one)) {
        int32_t *ids = arena_take_array(&l->arena, 8, sizeof(*ids));
        struct placement *p = placements_add(&l->p, STR("t"), (int32_t)l->p.count);
        p->replicas = ids;
        while (str_cut(&one, ',', &id)) {
            CHECK_EQ(str_to_i64(id, 0, 99, &n), 0);
            ids[p->replica_count++] = (int32_t)n;
        }
    }
}

/* "2:1,3" of those that move. */
static void print_moves(struct lists *l, const struct placements *moves)
{
    text_clear(&l->out);
    for (uint32_t i = 0; i < moves->count; i++)
        text_printf(&l->out, "%s%d:%.*s", i == 0 ? "" : " ", moves->all[i].partition,
                    STR_ARG(ids_join(&l->arena, moves->all[i].replicas, moves->all[i].replica_count)));
}

static void check_leave(const char *now, const struct place *places, uint32_t count, int32_t leaving,
                        const char *expected)
{
    struct lists l;
    struct placements moves;

    begin(&l);
    moves = (struct placements){.arena = &l.arena};
    lay(&l, now);
    CHECK_EQ(placements_leave(&l.p, places, count, leaving, &moves, &l.fail), 0);
    print_moves(&l, &moves);
    CHECK_TEXT(text_str(&l.out), expected);
    end(&l);
}

TEST(cli_placements, a_broker_that_leaves_gives_its_replicas_to_those_with_fewest)
{
    static const struct place three[] = {{1, STR_NULL}, {2, STR_NULL}, {3, STR_NULL}};
    static const struct place racks[] = {{1, {"a", 1}}, {2, {"b", 1}}, {3, {"a", 1}}, {5, {"b", 1}}};

    check_leave("1,2 2,3", three, 3, 4, "");
    check_leave("1,4 1,2 1,2", three, 3, 4, "0:1,3");
    check_leave("4,1 4,2 2,4", three, 3, 4, "0:3,1 1:1,2 2:2,3");
    check_leave("1,4 1,3 1,3", racks, 4, 4, "0:1,2"); /* 3 would be in the rack of 1 */
    check_leave("4", three, 3, 4, "0:1");
    check_leave("4,1 1,2 1,3", three, 3, 4, "0:2,1");
}

TEST(cli_placements, what_would_not_fit_without_a_broker_stays)
{
    static const struct place two[] = {{1, STR_NULL}, {2, STR_NULL}};
    struct lists l;
    struct placements moves;

    begin(&l);
    moves = (struct placements){.arena = &l.arena};
    lay(&l, "1 1,2,3");
    CHECK_EQ(placements_leave(&l.p, two, 2, 3, &moves, &l.fail), -EINVAL);
    CHECK(strstr(l.fail.text, "t-1 has 3 replicas, and without broker 3 ") != NULL);
    CHECK_EQ(moves.count, 0);
    end(&l);
}

static void check_balance(const char *now, const struct place *places, uint32_t count, const char *expected,
                          uint32_t copies)
{
    struct lists l;
    struct placements moves;

    begin(&l);
    moves = (struct placements){.arena = &l.arena};
    lay(&l, now);
    placements_balance(&l.p, places, count, &moves);
    print_moves(&l, &moves);
    CHECK_TEXT(text_str(&l.out), expected);
    CHECK_EQ(placements_copies(&l.p, &moves), copies);
    end(&l);
}

TEST(cli_placements, a_new_broker_gets_its_share_by_few_moves)
{
    static const struct place three[] = {{1, STR_NULL}, {2, STR_NULL}, {3, STR_NULL}};
    static const struct place racks[] = {{1, {"a", 1}}, {2, {"b", 1}}, {3, {"a", 1}}};

    check_balance("1,2 2,3 3,1", three, 3, "", 0);
    check_balance("1,2 2,1 1,2", three, 3, "0:3,1 1:2,3", 2);
    check_balance("1,2 1,2 2,3 3,1 3,2 1,3", three, 3, "0:2,1", 0); /* leaders alone */
    check_balance("1 1 1 1 1 1", three, 3, "0:2 1:3 2:2 3:3", 4);
    check_balance("1,2 1,2 1,2 1,2", racks, 3, "0:3,2 1:3,2 2:2,1", 2); /* 2, alone in its rack, keeps its replicas */
    check_balance("1,9 1,9", three, 3, "0:2,9", 1);                     /* nobody knows of 9: what it has stays */
}
