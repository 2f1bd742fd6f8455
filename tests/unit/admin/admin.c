/* Calls of an operator before scripted brokers: whom they reach, what is repeated, when they end. */
#include "bench.h"

/* ---- leaders ------------------------------------------------------------------------------------ */

/* Partitions 0 .. count-1 of each topic. */
static void make_list(struct bench *b, struct list_offsets_request *m, const char *const *topics, int32_t topic_count,
                      int32_t count)
{
    list_offsets_request_init(m);
    m->topics = arena_take_array(&b->arena, (size_t)topic_count, sizeof(*m->topics));
    m->topics_count = topic_count;
    for (int32_t t = 0; t < topic_count; t++) {
        list_offsets_request_topics_init(&m->topics[t]);
        m->topics[t].name = str_of(topics[t]);
        m->topics[t].partitions = arena_take_array(&b->arena, (size_t)count, sizeof(*m->topics[t].partitions));
        m->topics[t].partitions_count = count;
        for (int32_t p = 0; p < count; p++) {
            list_offsets_request_topics_partitions_init(&m->topics[t].partitions[p]);
            m->topics[t].partitions[p].partition_index = p;
        }
    }
}

/* Each partition's offset is 100 times its number; one that this broker does not lead is refused. */
static void answer_list(struct script_request *r, void *ctx)
{
    const struct list_offsets_request *q = r->message;
    struct list_offsets_response *a = r->response;

    a->topics = arena_take_array(&r->arena, (size_t)q->topics_count, sizeof(*a->topics));
    a->topics_count = q->topics_count;
    for (int32_t t = 0; t < q->topics_count; t++) {
        const struct script_topic *topic = script_topic_find(r->script, q->topics[t].name);
        list_offsets_response_topics_init(&a->topics[t]);
        a->topics[t].name = q->topics[t].name;
        a->topics[t].partitions_count = q->topics[t].partitions_count;
        a->topics[t].partitions =
            arena_take_array(&r->arena, (size_t)q->topics[t].partitions_count, sizeof(*a->topics[t].partitions));
        for (int32_t p = 0; p < q->topics[t].partitions_count; p++) {
            struct list_offsets_response_topics_partitions *out = &a->topics[t].partitions[p];
            int32_t index = q->topics[t].partitions[p].partition_index;
            list_offsets_response_topics_partitions_init(out);
            out->partition_index = index;
            out->offset = 100 * index;
            if (topic->partitions[index].leader != r->broker)
                out->error_code = KERR_NOT_LEADER_OR_FOLLOWER;
        }
    }
}

/* All answers in one text: "TOPIC-PARTITION=OFFSET" or "=ERROR", sorted by how they came. */
static struct str listed(struct bench *b)
{
    struct str s = STR("");

    for (uint32_t i = 0; i < b->call.part_count; i++) {
        const struct list_offsets_response *a = admin_list_offsets_answer(&b->call, i);
        s = arena_printf(&b->arena, "%.*s[%d]", STR_ARG(s), b->call.parts[i]->node_id);
        for (int32_t t = 0; a != NULL && t < a->topics_count; t++) {
            for (int32_t p = 0; p < a->topics[t].partitions_count; p++) {
                const struct list_offsets_response_topics_partitions *x = &a->topics[t].partitions[p];
                if (x->error_code == KERR_NONE)
                    s = arena_printf(&b->arena, "%.*s %.*s-%d=%lld", STR_ARG(s), STR_ARG(a->topics[t].name),
                                     x->partition_index, (long long)x->offset);
                else
                    s = arena_printf(&b->arena, "%.*s %.*s-%d=%s", STR_ARG(s), STR_ARG(a->topics[t].name),
                                     x->partition_index, kerr_name(x->error_code));
            }
        }
        s = arena_printf(&b->arena, "%.*s\n", STR_ARG(s));
    }
    return s;
}

TEST(admin, partitions_go_to_their_leaders_and_unknown_ones_are_answered_here)
{
    static const char *const topics[] = {"nosuch", "orders"};
    struct list_offsets_request m;
    struct bench b;

    bench_open(&b, 3, 60000);
    script_topic(b.script, "orders", 4);
    script_on(b.script, 0, API_LIST_OFFSETS, answer_list, NULL);
    make_list(&b, &m, topics, 2, 5);
    CHECK_EQ(bench_ask(&b, API_LIST_OFFSETS, &m), 0);
    CHECK_TEXT(listed(&b), "[-1] nosuch-0=UNKNOWN_TOPIC_OR_PARTITION nosuch-1=UNKNOWN_TOPIC_OR_PARTITION "
                           "nosuch-2=UNKNOWN_TOPIC_OR_PARTITION nosuch-3=UNKNOWN_TOPIC_OR_PARTITION "
                           "nosuch-4=UNKNOWN_TOPIC_OR_PARTITION orders-4=UNKNOWN_TOPIC_OR_PARTITION\n"
                           "[1] orders-0=0 orders-3=300\n"
                           "[2] orders-1=100\n"
                           "[3] orders-2=200\n");
    CHECK_EQ(script_count(b.script, 0, API_LIST_OFFSETS), 3);
    bench_end(&b);
}

/* Nor is a back-off waited for: a tool would be ten times as slow. */
TEST(admin, leaders_are_asked_for_once)
{
    static const char *const topics[] = {"orders"};
    struct list_offsets_request m;
    struct bench b;

    bench_open(&b, 3, 60000);
    script_topic(b.script, "orders", 3);
    script_on(b.script, 0, API_LIST_OFFSETS, answer_list, NULL);
    make_list(&b, &m, topics, 1, 3);
    CHECK_EQ(bench_ask(&b, API_LIST_OFFSETS, &m), 0);
    CHECK_TEXT(listed(&b), "[1] orders-0=0\n"
                           "[2] orders-1=100\n"
                           "[3] orders-2=200\n");
    CHECK_EQ(script_count(b.script, 0, API_METADATA), 1);
    bench_end(&b);
}

/* The metadata of the first answer is old when broker 2 is asked. */
static void move_then_list(struct script_request *r, void *ctx)
{
    bool *moved = ctx;

    if (!*moved && r->broker == 2) {
        *moved = true;
        script_move(r->script, "orders", 1, 3);
    }
    answer_list(r, NULL);
}

TEST(admin, part_whose_leader_has_moved_is_asked_again_alone)
{
    static const char *const topics[] = {"orders"};
    struct list_offsets_request m;
    bool moved = false;
    struct bench b;

    bench_open(&b, 3, 60000);
    script_topic(b.script, "orders", 3);
    script_on(b.script, 0, API_LIST_OFFSETS, move_then_list, &moved);
    make_list(&b, &m, topics, 1, 3);
    CHECK_EQ(bench_ask(&b, API_LIST_OFFSETS, &m), 0);
    CHECK_TEXT(listed(&b), "[1] orders-0=0\n[3] orders-2=200\n[3] orders-1=100\n");
    CHECK_EQ(script_count(b.script, 1, API_LIST_OFFSETS), 1);
    CHECK_EQ(script_count(b.script, 2, API_LIST_OFFSETS), 1);
    CHECK_EQ(script_count(b.script, 3, API_LIST_OFFSETS), 2);
    bench_end(&b);
}

/* ---- groups, brokers, nodes ----------------------------------------------------------------------- */

static void answer_groups(struct script_request *r, void *ctx)
{
    const struct describe_groups_request *q = r->message;
    struct describe_groups_response *a = r->response;
    int *loading = ctx;

    CHECK_EQ(q->groups_count, 1); /* one part a group */
    a->groups = arena_take_array(&r->arena, 1, sizeof(*a->groups));
    a->groups_count = 1;
    describe_groups_response_groups_init(&a->groups[0]);
    a->groups[0].group_id = q->groups[0];
    if (str_equal(q->groups[0], STR("late")) && (*loading)-- > 0)
        a->groups[0].error_code = KERR_COORDINATOR_LOAD_IN_PROGRESS;
}

TEST(admin, group_whose_coordinator_loads_is_asked_again)
{
    struct str names[] = {STR("early"), STR("late")};
    struct describe_groups_request m;
    int loading = 2;
    struct bench b;

    bench_open(&b, 2, 60000);
    script_on(b.script, 0, API_DESCRIBE_GROUPS, answer_groups, &loading);
    describe_groups_request_init(&m);
    m.groups = names;
    m.groups_count = 2;
    CHECK_EQ(bench_ask(&b, API_DESCRIBE_GROUPS, &m), 0);
    CHECK_EQ(b.call.part_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_EQ(admin_describe_groups_answer(&b.call, i)->groups[0].error_code, KERR_NONE);
        CHECK_EQ(b.call.parts[i]->node_id, 1);
    }
    CHECK_TEXT(admin_describe_groups_answer(&b.call, 1)->groups[0].group_id, "late");
    CHECK_EQ(script_count(b.script, 1, API_DESCRIBE_GROUPS), 4);
    bench_end(&b);
}

TEST(admin, call_that_is_never_answered_in_earnest_ends_by_its_limit)
{
    struct str names[] = {STR("late")};
    struct describe_groups_request m;
    int loading = INT32_MAX;
    struct bench b;

    bench_open(&b, 1, 60000);
    script_on(b.script, 0, API_DESCRIBE_GROUPS, answer_groups, &loading);
    describe_groups_request_init(&m);
    m.groups = names;
    m.groups_count = 1;
    b.call.timeout_ms = 5000;
    int64_t begin = bench_now_ms(&b);
    CHECK_EQ(bench_ask(&b, API_DESCRIBE_GROUPS, &m), 0);
    CHECK_EQ(admin_describe_groups_answer(&b.call, 0)->groups[0].error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    CHECK(bench_now_ms(&b) - begin <= 5000);
    CHECK(bench_now_ms(&b) - begin > 3000);
    bench_end(&b);
}

/* What nobody could answer in earnest within so many tries is answered as it is. */
TEST(admin, retries_bound_how_often_a_call_is_asked_again)
{
    struct str names[] = {STR("late")};
    struct describe_groups_request m;
    int loading = INT32_MAX;
    struct bench b;

    bench_open_set(&b, 1, 60000, "retries", "2");
    script_on(b.script, 0, API_DESCRIBE_GROUPS, answer_groups, &loading);
    describe_groups_request_init(&m);
    m.groups = names;
    m.groups_count = 1;
    CHECK_EQ(bench_ask(&b, API_DESCRIBE_GROUPS, &m), 0);
    CHECK_EQ(admin_describe_groups_answer(&b.call, 0)->groups[0].error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
    CHECK_EQ(script_count(b.script, 1, API_DESCRIBE_GROUPS), 3);
    bench_end(&b);
}

static void answer_nothing(struct script_request *r, void *ctx) {}

TEST(admin, every_broker_is_asked_for_its_groups)
{
    struct list_groups_request m;
    struct bench b;

    bench_open(&b, 3, 60000);
    script_on(b.script, 0, API_LIST_GROUPS, answer_nothing, NULL);
    list_groups_request_init(&m);
    CHECK_EQ(bench_ask(&b, API_LIST_GROUPS, &m), 0);
    CHECK_EQ(b.call.part_count, 3);
    for (int32_t id = 1; id <= 3; id++)
        CHECK_EQ(script_count(b.script, id, API_LIST_GROUPS), 1);
    bench_end(&b);
}

TEST(admin, named_node_is_asked_and_one_that_is_not_there_is_said)
{
    struct describe_configs_request m;
    struct bench b;

    bench_open(&b, 3, 60000);
    script_on(b.script, 0, API_DESCRIBE_CONFIGS, answer_nothing, NULL);
    describe_configs_request_init(&m);
    b.call.to_node = true;
    b.call.node_id = 2;
    CHECK_EQ(bench_ask(&b, API_DESCRIBE_CONFIGS, &m), 0);
    CHECK_EQ(script_count(b.script, 2, API_DESCRIBE_CONFIGS), 1);
    admin_call_release(&b.call);
    b.call.node_id = 9;
    CHECK_EQ(bench_ask(&b, API_DESCRIBE_CONFIGS, &m), -ENOENT);
    CHECK_TEXT(b.call.fail.text, "DescribeConfigs: there is no such node in the cluster");
    bench_end(&b);
}

/* ---- what may be repeated ------------------------------------------------------------------------- */

struct creation {
    int16_t errors[2];
    int asked;
};

static void answer_create(struct script_request *r, void *ctx)
{
    struct create_topics_response *a = r->response;
    struct creation *c = ctx;

    a->topics = arena_take_array(&r->arena, 2, sizeof(*a->topics));
    a->topics_count = 2;
    for (int i = 0; i < 2; i++) {
        create_topics_response_topics_init(&a->topics[i]);
        a->topics[i].name = STR("t");
        a->topics[i].error_code = c->asked == 0 ? c->errors[i] : KERR_NONE;
    }
    c->asked++;
}

TEST(admin, creation_that_nobody_has_begun_is_asked_for_again)
{
    struct creation c = {.errors = {KERR_NOT_CONTROLLER, KERR_NOT_CONTROLLER}};
    struct create_topics_request m;
    struct bench b;

    bench_open(&b, 2, 60000);
    script_on(b.script, 0, API_CREATE_TOPICS, answer_create, &c);
    create_topics_request_init(&m);
    CHECK_EQ(bench_ask(&b, API_CREATE_TOPICS, &m), 0);
    CHECK_EQ(c.asked, 2);
    CHECK_EQ(admin_create_topics_answer(&b.call, 0)->topics[1].error_code, KERR_NONE);
    bench_end(&b);
}

TEST(admin, creation_that_is_done_in_part_is_the_callers)
{
    struct creation c = {.errors = {KERR_NONE, KERR_NOT_CONTROLLER}};
    struct create_topics_request m;
    struct bench b;

    bench_open(&b, 2, 60000);
    script_on(b.script, 0, API_CREATE_TOPICS, answer_create, &c);
    create_topics_request_init(&m);
    CHECK_EQ(bench_ask(&b, API_CREATE_TOPICS, &m), 0);
    CHECK_EQ(c.asked, 1);
    CHECK_EQ(admin_create_topics_answer(&b.call, 0)->topics[1].error_code, KERR_NOT_CONTROLLER);
    bench_end(&b);
}

TEST(admin, creation_whose_answer_is_lost_is_not_sent_twice)
{
    struct creation c = {0};
    struct create_topics_request m;
    struct bench b;

    bench_open(&b, 1, 60000);
    script_on(b.script, 0, API_CREATE_TOPICS, answer_create, &c);
    script_fault(b.script, 0, API_CREATE_TOPICS, SCRIPT_CUT_AFTER, 0);
    create_topics_request_init(&m);
    CHECK(bench_ask(&b, API_CREATE_TOPICS, &m) < 0);
    CHECK_EQ(c.asked, 1);
    CHECK(strstr(b.call.fail.text, "it may have been carried out or not") != NULL);
    bench_end(&b);
}

TEST(admin, question_whose_answer_is_lost_is_asked_again)
{
    struct describe_cluster_request m;
    struct bench b;

    bench_open(&b, 1, 60000);
    script_fault(b.script, 0, API_DESCRIBE_CLUSTER, SCRIPT_CUT_AFTER, 0);
    describe_cluster_request_init(&m);
    CHECK_EQ(bench_ask(&b, API_DESCRIBE_CLUSTER, &m), 0);
    CHECK_EQ(admin_describe_cluster_answer(&b.call, 0)->brokers_count, 1);
    CHECK_EQ(script_count(b.script, 1, API_DESCRIBE_CLUSTER), 2);
    bench_end(&b);
}

/* ---- nobody there --------------------------------------------------------------------------------- */

TEST(admin, nobody_to_ask_is_said_after_a_while_and_not_at_the_limit)
{
    struct describe_cluster_request m;
    struct list_groups_request groups;
    struct bench b;

    bench_open(&b, 2, 10000);
    script_stop(b.script, 1);
    script_stop(b.script, 2);
    describe_cluster_request_init(&m);
    int64_t begin = bench_now_ms(&b);
    CHECK(bench_ask(&b, API_DESCRIBE_CLUSTER, &m) < 0);
    CHECK(bench_now_ms(&b) - begin >= 10000);
    CHECK(bench_now_ms(&b) - begin < 11000);
    CHECK(strstr(b.call.fail.text, "cannot connect to b") != NULL);
    CHECK(strstr(b.call.fail.text, "is the broker up") != NULL);
    admin_call_release(&b.call);
    list_groups_request_init(&groups); /* one that wants metadata first */
    begin = bench_now_ms(&b);
    CHECK(bench_ask(&b, API_LIST_GROUPS, &groups) < 0);
    CHECK(bench_now_ms(&b) - begin < 11000);
    bench_end(&b);
}

TEST(admin, broker_that_comes_back_in_time_is_asked)
{
    struct describe_cluster_request m;
    struct bench b;

    bench_open(&b, 1, 10000);
    script_stop(b.script, 1);
    describe_cluster_request_init(&m);
    admin_describe_cluster(b.admin, &b.call, &m, script_wait_begin(&b.wait));
    script_pass(b.script, 5000);
    script_start(b.script, 1);
    CHECK_EQ(script_wait_end(b.script, &b.wait), 0);
    bench_end(&b);
}

TEST(admin, api_that_a_broker_has_not_got_is_said_at_once)
{
    struct update_features_request m;
    struct bench b;

    bench_open(&b, 1, 10000);
    update_features_request_init(&m);
    int64_t begin = bench_now_ms(&b);
    CHECK_EQ(bench_ask(&b, API_UPDATE_FEATURES, &m), ERR_VERSION);
    CHECK(bench_now_ms(&b) - begin < 1000);
    CHECK_TEXT(b.call.fail.text, "The node does not support UpdateFeatures in a version that is known here");
    bench_end(&b);
}
