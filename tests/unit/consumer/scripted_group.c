/* A member and a coordinator that answers badly. */
#include "cluster.h"

#include "assignor/consumer_protocol.h"
#include "protocol/heartbeat.h"
#include "protocol/join_group.h"
#include "protocol/leave_group.h"
#include "protocol/sync_group.h"

struct group_script {
    struct cluster c;
    int32_t generation;
    int16_t join_error, sync_error, heartbeat_error; /* of the next one only */
    struct bytes assignment;   /* n < 0: t-0 */
    uint32_t joins, leaves;
};

static void join(struct script_request *r, void *ctx)
{
    const struct join_group_request *q = r->message;
    struct join_group_response *a = r->response;
    struct group_script *g = ctx;

    g->joins++;
    a->member_id = STR("m-1");
    a->error_code = g->join_error;
    g->join_error = KERR_NONE;
    if (q->member_id.n == 0 && a->error_code == KERR_NONE)
        a->error_code = KERR_MEMBER_ID_REQUIRED;
    if (a->error_code != KERR_NONE)
        return;
    a->generation_id = ++g->generation;
    a->protocol_type = CONSUMER_PROTOCOL_TYPE;
    a->protocol_name = STR("range");
    a->leader = STR("another");
}

static void sync(struct script_request *r, void *ctx)
{
    struct consumer_protocol_assignment_assigned_partitions t;
    struct consumer_protocol_assignment m;
    struct sync_group_response *a = r->response;
    struct group_script *g = ctx;
    int32_t zero = 0;

    a->error_code = g->sync_error;
    a->assignment = g->assignment;
    g->sync_error = KERR_NONE;
    if (g->assignment.n >= 0) {
        g->assignment = BYTES_NULL;
        return;
    }
    consumer_protocol_assignment_init(&m);
    consumer_protocol_assignment_assigned_partitions_init(&t);
    t.topic = STR("t");
    t.partitions = &zero;
    t.partitions_count = 1;
    m.assigned_partitions = &t;
    m.assigned_partitions_count = 1;
    CHECK_EQ(assignment_write(&m, 0, &r->arena, &a->assignment), 0);
}

static void heartbeat(struct script_request *r, void *ctx)
{
    struct heartbeat_response *a = r->response;
    struct group_script *g = ctx;

    a->error_code = g->heartbeat_error;
    g->heartbeat_error = KERR_NONE;
}

static void leave(struct script_request *r, void *ctx)
{
    ((struct group_script *)ctx)->leaves++;
}

static void begin(struct group_script *g)
{
    struct str topic = STR("t");

    *g = (struct group_script){.assignment = BYTES_NULL};
    cluster_open(&g->c, 2);
    script_on(g->c.script, 0, API_JOIN_GROUP, join, g);
    script_on(g->c.script, 0, API_SYNC_GROUP, sync, g);
    script_on(g->c.script, 0, API_HEARTBEAT, heartbeat, g);
    script_on(g->c.script, 0, API_LEAVE_GROUP, leave, g);
    g->c.settings.assignors[0] = STR("range");
    g->c.settings.assignor_count = 1;
    g->c.settings.session_timeout_ms = 3000;
    g->c.settings.heartbeat_interval_ms = 200;
    g->c.settings.max_poll_interval_ms = 300000;
    cluster_append(&g->c, 1, CODEC_NONE);
    cluster_begin(&g->c);
    CHECK_EQ(consumer_assign(g->c.consumer, NULL, 0, NULL), 0);
    CHECK_EQ(consumer_subscribe(g->c.consumer, &topic, 1, NULL), 0);
}

static int32_t generation_of(struct group_script *g)
{
    struct consumer_group_metadata m;

    consumer_group_metadata(g->c.consumer, &m);
    return m.generation;
}

TEST(consumer_scripted_group, member_joins_with_the_id_that_it_was_given_and_leaves_at_the_end)
{
    struct group_script g;

    begin(&g);
    READS(&g.c, "0");
    CHECK_EQ(g.joins, 2);
    cluster_end(&g.c);
    CHECK_EQ(g.leaves, 1);
}

TEST(consumer_scripted_group, what_passes_is_tried_again)
{
    static const int16_t codes[] = {KERR_COORDINATOR_LOAD_IN_PROGRESS, KERR_NOT_COORDINATOR, KERR_UNKNOWN_MEMBER_ID,
                                    KERR_REBALANCE_IN_PROGRESS, KERR_UNKNOWN_SERVER_ERROR};
    struct group_script g;

    begin(&g);
    READS(&g.c, "0");
    for (uint32_t i = 0; i < array_count(codes); i++) {
        int32_t before = g.generation;
        g.join_error = g.sync_error = codes[i];
        consumer_rejoin(g.c.consumer, STR("test"));
        SCRIPT_UNTIL(g.c.script, g.generation > before && generation_of(&g) == g.generation);
    }
    cluster_append(&g.c, 1, CODEC_NONE);
    SCRIPT_UNTIL(g.c.script, (cluster_take(&g.c), g.c.read.n >= 3));
    cluster_end(&g.c);
}

/* It is the same generation as long as nobody says otherwise. */
TEST(consumer_scripted_group, heartbeats_that_fail_cost_nothing_while_nobody_says_that_all_is_lost)
{
    static const enum script_fault faults[] = {SCRIPT_GARBAGE, SCRIPT_CUT, SCRIPT_SHORT};
    struct group_script g;
    int32_t before;

    begin(&g);
    READS(&g.c, "0");
    before = g.generation;
    for (uint32_t i = 0; i < array_count(faults); i++) {
        script_fault(g.c.script, 1, API_HEARTBEAT, faults[i], 1);
        script_pass(g.c.script, 1000);
    }
    g.heartbeat_error = KERR_NOT_COORDINATOR;
    script_coordinator(g.c.script, 2, KERR_NONE);
    script_pass(g.c.script, 1000);
    CHECK(script_count(g.c.script, 2, API_HEARTBEAT) > 0);
    CHECK_EQ(generation_of(&g), before);
    g.heartbeat_error = KERR_ILLEGAL_GENERATION;
    SCRIPT_UNTIL(g.c.script, generation_of(&g) > before);
    cluster_end(&g.c);
}

TEST(consumer_scripted_group, assignment_that_cannot_be_read_is_asked_for_anew)
{
    static const uint8_t bad[] = {0, 0, 0x7f, 0xff, 0xff, 0xff, 1, 2};
    struct group_script g;

    begin(&g);
    g.assignment = (struct bytes){bad, sizeof bad};
    READS(&g.c, "0");
    CHECK_EQ(g.generation, 2);
    cluster_end(&g.c);
}

TEST(consumer_scripted_group, answers_of_garbage_end_in_another_try)
{
    static const int16_t keys[] = {API_JOIN_GROUP, API_SYNC_GROUP, API_OFFSET_FETCH, API_FIND_COORDINATOR};
    static const enum script_fault faults[] = {SCRIPT_GARBAGE, SCRIPT_SHORT, SCRIPT_CUT_AFTER};
    struct group_script g;

    begin(&g);
    for (uint32_t i = 0; i < array_count(keys); i++) {
        for (uint32_t k = 0; k < array_count(faults); k++)
            script_fault(g.c.script, 0, keys[i], faults[k], 2);
    }
    READS(&g.c, "0");
    cluster_end(&g.c);
}

TEST(consumer_scripted_group, group_that_refuses_is_told_once)
{
    struct consumer_health h;
    struct group_script g;

    begin(&g);
    READS(&g.c, "0");
    text_clear(&g.c.events);
    g.heartbeat_error = KERR_GROUP_AUTHORIZATION_FAILED;
    script_pass(g.c.script, 3000);
    CHECK(cluster_has(&g.c, "GROUP_AUTHORIZATION_FAILED at -1: group g: the membership has ended"));
    consumer_health(g.c.consumer, &h);
    CHECK_EQ(h.state, CONSUMER_FAILED);
    CHECK_EQ(h.assigned, 0);
    cluster_end(&g.c);
}
