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
                             STR("{\"partitions\": [{\"topic\": \"o\\u0041\", \"partition\": 1, \"replicas\": [3, 1], \"log_dirs\": "
                                 "[\"any\", \"/d\"], \"x\": {}}, {\"replicas\": [2], \"topic\": \"a\", \"partition\": 0}]}"),
                             true, &l.fail),
             0);
    placements_sort(&l.p);
    placements_print(&l.p, &l.out);
    CHECK_TEXT(text_str(&l.out),
               "{\"version\":1,\"partitions\":[{\"topic\":\"a\",\"partition\":0,\"replicas\":[2],\"log_dirs\":[\"any\"]},"
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
        {"{\"partitions\": [{\"topic\": \"t\", \"partition\": 0, \"replicas\": [5000000000]}]}", "not a valid JSON", true},
        {"{\"partitions\": [{\"topic\": \"t\", \"partition\": 0, \"replicas\": [1], \"log_dirs\": []}]}",
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

/* The example of Kafka's own description: ten partitions of three replicas on five brokers, from the first on. */
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
    CHECK_TEXT(str_of(l.fail.text), "Replication factor: 3 larger than available brokers: 2.");
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
