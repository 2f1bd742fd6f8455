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

/* "1,2 2,3" of all partitions. */
static void spread(struct lists *l, const struct place *places, uint32_t count, int32_t partitions, uint32_t replicas,
                   uint32_t start, uint32_t shift)
{
    CHECK_EQ(placements_spread(places, count, STR("t"), partitions, replicas, start, shift, &l->p, &l->fail), 0);
    for (uint32_t i = 0; i < l->p.count; i++)
        text_printf(&l->out, "%s%.*s", i == 0 ? "" : " ",
                    STR_ARG(ids_join(&l->arena, l->p.all[i].replicas, l->p.all[i].replica_count)));
}

/* The example of Kafka's own description: ten partitions of three replicas on five brokers, from
 * the first on. */
TEST(cli_placements, a_topic_is_spread_as_kafka_spreads_it)
{
    static const struct place places[] = {{0, STR_NULL}, {1, STR_NULL}, {2, STR_NULL}, {3, STR_NULL}, {4, STR_NULL}};
    struct lists l;

    begin(&l);
    spread(&l, places, 5, 10, 3, 0, 0);
    CHECK_TEXT(text_str(&l.out), "0,1,2 1,2,3 2,3,4 3,4,0 4,0,1 0,2,3 1,3,4 2,4,0 3,0,1 4,1,2");
    end(&l);
    begin(&l);
    spread(&l, places, 1, 2, 1, 0, 0);
    CHECK_TEXT(text_str(&l.out), "0 0");
    CHECK_EQ(placements_spread(places, 2, STR("t"), 1, 3, 0, 0, &l.p, &l.fail), -EINVAL);
    CHECK(strstr(l.fail.text, "replication factor of 3 cannot be reached because only 2 broker(s)") != NULL);
    CHECK_EQ(placements_spread(places, 0, STR("t"), 1, 1, 0, 0, &l.p, &l.fail), -EINVAL);
    end(&l);
}

/* Likewise: six brokers in three racks, of which each partition has one of each. */
TEST(cli_placements, racks_hold_one_replica_each)
{
    static const struct place places[] = {{0, {"r1", 2}}, {1, {"r3", 2}}, {2, {"r3", 2}},
                                          {3, {"r2", 2}}, {4, {"r2", 2}}, {5, {"r1", 2}}};
    struct lists l;

    begin(&l);
    spread(&l, places, 6, 6, 3, 0, 0);
    CHECK_TEXT(text_str(&l.out), "0,3,1 3,1,5 1,5,4 5,4,2 4,2,0 2,0,3");
    end(&l);
    begin(&l); /* more replicas than racks: all racks first */
    spread(&l, places, 6, 1, 4, 0, 0);
    CHECK_TEXT(text_str(&l.out), "0,3,1,5");
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
