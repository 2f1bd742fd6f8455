/* Who coordinates what. */
#include "bench.h"

#include <stdio.h>

#include "protocol/find_coordinator.h"
#include "protocol/heartbeat.h"

static void beat(struct script_request *r, void *ctx)
{
    ((struct heartbeat_response *)r->response)->error_code = *(int16_t *)ctx;
}

#define GROUPS 5

struct groups {
    struct bench b;
    struct heartbeat_request m;
    int16_t error; /* that a heartbeat is answered with */
    char names[GROUPS][8];
    struct ask a[GROUPS];
};

static void groups_open(struct groups *g, uint32_t brokers)
{
    *g = (struct groups){0};
    bench_open(&g->b, brokers);
    script_on(g->b.script, 0, API_HEARTBEAT, beat, &g->error);
    heartbeat_request_init(&g->m);
}

static void groups_send(struct groups *g)
{
    for (int i = 0; i < GROUPS; i++) {
        snprintf(g->names[i], sizeof g->names[i], "g%d", i);
        g->a[i].call = (struct client_call){
            .api_key = API_HEARTBEAT, .request = &g->m, .target = {CLIENT_GROUP, .key = str_of(g->names[i])}};
        ask_send(&g->b, &g->a[i]);
    }
}

static void groups_end(struct groups *g, int64_t expected)
{
    for (int i = 0; i < GROUPS; i++) {
        CHECK_EQ(ask_end(&g->a[i]), expected);
        client_call_release(&g->a[i].call);
    }
}

TEST(client_coordinators, many_are_found_by_two_requests)
{
    struct groups g;

    groups_open(&g, 2);
    script_coordinator(g.b.script, 2, KERR_NONE);
    bench_start(&g.b);
    groups_send(&g);
    groups_end(&g, 0);
    CHECK_EQ(script_count(g.b.script, 0, API_FIND_COORDINATOR), 2); /* the first, and those that came meanwhile */
    CHECK_EQ(script_count(g.b.script, 2, API_HEARTBEAT), GROUPS);
    groups_send(&g);
    groups_end(&g, 0);
    CHECK_EQ(script_count(g.b.script, 0, API_FIND_COORDINATOR), 2);
    bench_end(&g.b);
}

TEST(client_coordinators, old_broker_is_asked_for_one_at_a_time)
{
    struct groups g;

    groups_open(&g, 1);
    script_versions(g.b.script, 0, API_FIND_COORDINATOR, 0, 3);
    bench_start(&g.b);
    groups_send(&g);
    groups_end(&g, 0);
    CHECK_EQ(script_count(g.b.script, 0, API_FIND_COORDINATOR), GROUPS);
    bench_end(&g.b);
}

TEST(client_coordinators, refusal_is_told_to_the_callers)
{
    struct groups g;

    groups_open(&g, 1);
    script_coordinator(g.b.script, 1, KERR_GROUP_AUTHORIZATION_FAILED);
    bench_start(&g.b);
    groups_send(&g);
    groups_end(&g, -EACCES);
    CHECK_EQ(g.a[0].call.lookup_error, KERR_GROUP_AUTHORIZATION_FAILED);
    script_coordinator(g.b.script, 1, KERR_NONE);
    groups_send(&g);
    groups_end(&g, 0);
    bench_end(&g.b);
}

TEST(client_coordinators, are_looked_for_while_somebody_waits)
{
    struct groups g;

    groups_open(&g, 1);
    script_coordinator(g.b.script, 1, KERR_COORDINATOR_NOT_AVAILABLE);
    bench_start(&g.b);
    groups_send(&g);
    script_pass(g.b.script, 10000);
    script_coordinator(g.b.script, 1, KERR_NONE);
    groups_end(&g, 0);
    CHECK(g.a[0].done_ns < INT64_C(11500000000));
    script_coordinator(g.b.script, 1, KERR_COORDINATOR_NOT_AVAILABLE);
    g.error = KERR_NOT_COORDINATOR;
    groups_send(&g);
    groups_end(&g, 0);
    groups_send(&g);
    groups_end(&g, -ETIMEDOUT);
    uint32_t asked = script_count(g.b.script, 0, API_FIND_COORDINATOR);
    script_pass(g.b.script, 60000);
    CHECK(script_count(g.b.script, 0, API_FIND_COORDINATOR) <= asked + 1);
    bench_end(&g.b);
}

TEST(client_coordinators, one_that_is_dead_is_looked_for_again)
{
    struct groups g;

    groups_open(&g, 2);
    bench_start(&g.b);
    groups_send(&g);
    groups_end(&g, 0);
    script_stop(g.b.script, 1);
    script_coordinator(g.b.script, 2, KERR_NONE);
    groups_send(&g);
    groups_end(&g, 0);
    CHECK_EQ(g.a[0].call.node_id, 2);
    bench_end(&g.b);
}

TEST(client_coordinators, share_groups_need_a_broker_that_knows_them)
{
    struct groups g;
    struct ask a = {.call = {.api_key = API_HEARTBEAT, .request = &g.m, .target = {CLIENT_SHARE, .key = {"k", 1}}}};

    groups_open(&g, 1);
    script_versions(g.b.script, 0, API_FIND_COORDINATOR, 0, 5);
    bench_start(&g.b);
    ask_send(&g.b, &a);
    CHECK_EQ(ask_end(&a), -EACCES);
    CHECK_EQ(a.call.lookup_error, KERR_UNSUPPORTED_VERSION);
    bench_end(&g.b);
}
