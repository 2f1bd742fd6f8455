/* A call that its owner gives up ends soon, whatever it waits for. */
#include "bench.h"

static void cancel_and_check(struct bench *b)
{
    int64_t begin = bench_now_ms(b);

    admin_cancel(&b->call);
    admin_cancel(&b->call);
    CHECK(!b->wait.done); /* A1: later */
    CHECK_EQ(script_wait_end(b->script, &b->wait), -ECANCELED);
    CHECK(bench_now_ms(b) - begin < 100);
}

TEST(admin_cancel, while_an_answer_is_waited_for)
{
    struct describe_cluster_request m;
    struct bench b;

    bench_open(&b, 1, 60000);
    script_fault(b.script, 0, API_DESCRIBE_CLUSTER, SCRIPT_SILENT, 0);
    describe_cluster_request_init(&m);
    bench_begin(&b, API_DESCRIBE_CLUSTER, &m);
    script_pass(b.script, 1000);
    CHECK_EQ(script_count(b.script, 1, API_DESCRIBE_CLUSTER), 1);
    cancel_and_check(&b);
    CHECK_TEXT(b.call.fail.text, "DescribeCluster: given up by who asked");
    bench_end(&b);
}

static void answer_create(struct script_request *r, void *ctx) {}

TEST(admin_cancel, what_may_have_been_done_is_said)
{
    struct create_topics_request m;
    struct bench b;

    bench_open(&b, 1, 60000);
    script_on(b.script, 0, API_CREATE_TOPICS, answer_create, NULL);
    script_fault(b.script, 0, API_CREATE_TOPICS, SCRIPT_SILENT, 0);
    create_topics_request_init(&m);
    bench_begin(&b, API_CREATE_TOPICS, &m);
    script_pass(b.script, 1000);
    cancel_and_check(&b);
    CHECK_TEXT(b.call.fail.text, "CreateTopics: given up by who asked; it may have been carried out or not");
    bench_end(&b);
}

static void answer_not_now(struct script_request *r, void *ctx)
{
    struct create_topics_response *a = r->response;

    a->topics = arena_take_array(&r->arena, 1, sizeof *a->topics);
    a->topics_count = 1;
    create_topics_response_topics_init(&a->topics[0]);
    a->topics[0].name = STR("t");
    a->topics[0].error_code = KERR_NOT_CONTROLLER;
}

TEST(admin_cancel, in_the_pause_before_the_next_try)
{
    struct create_topics_request m;
    struct bench b;

    bench_open(&b, 1, 60000);
    script_on(b.script, 0, API_CREATE_TOPICS, answer_not_now, NULL);
    create_topics_request_init(&m);
    bench_begin(&b, API_CREATE_TOPICS, &m);
    while (!io_timer_is_set(&b.call.timer))
        CHECK(script_turn(b.script));
    uint32_t asked = script_count(b.script, 0, API_CREATE_TOPICS);
    cancel_and_check(&b);
    CHECK_EQ(script_count(b.script, 0, API_CREATE_TOPICS), asked);
    bench_end(&b);
}

TEST(admin_cancel, while_nobody_can_be_reached_for_metadata)
{
    struct list_groups_request m;
    struct bench b;

    bench_open(&b, 2, 60000);
    script_stop(b.script, 1);
    script_stop(b.script, 2);
    list_groups_request_init(&m);
    bench_begin(&b, API_LIST_GROUPS, &m);
    script_pass(b.script, 1000);
    cancel_and_check(&b);
    bench_end(&b);
}
