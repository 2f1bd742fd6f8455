/* Groups: their coordinators live on several shards, and requests reach them from any. */
#include "lab.h"

#include <stdio.h>

#include "protocol/describe_groups.h"
#include "protocol/find_coordinator.h"
#include "protocol/join_group.h"
#include "protocol/list_groups.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_fetch.h"

static struct lab lab;
static struct client c;
static struct uuid topic;

static const struct find_coordinator_response_coordinators *find(const char *group)
{
    struct find_coordinator_request m;
    struct str key = str_of(group);

    find_coordinator_request_init(&m);
    m.coordinator_keys = &key;
    m.coordinator_keys_count = 1;
    const struct find_coordinator_response *a = client_ask(&c, API_FIND_COORDINATOR, 4, &m);
    CHECK_EQ(a->coordinators_count, 1);
    return &a->coordinators[0];
}

/* The groups' topic has been made, and its partitions serve. */
static void wait_for_coordinators(void)
{
    struct list_groups_request m;

    list_groups_request_init(&m);
    for (;;) {
        const struct list_groups_response *a = client_ask(&c, API_LIST_GROUPS, 4, &m);
        if (a->error_code == KERR_NONE)
            return;
        CHECK_EQ(a->error_code, KERR_COORDINATOR_LOAD_IN_PROGRESS);
        lab_pass(&lab, MS);
    }
}

static void begin(uint32_t shards, const char *join_delay_ms)
{
    lab_init(&lab, 60 + shards, NULL, shards);
    lab_set(&lab, "offsets.topic.num.partitions", "8");
    lab_set(&lab, "group.initial.rebalance.delay.ms", join_delay_ms);
    CHECK_EQ(lab_start(&lab), 0);
    client_open(&lab, &c, 9092);
    topic = lab_topic(&lab, &c, "t", 2);
    const struct find_coordinator_response_coordinators *found = find("g0");
    CHECK_EQ(found->error_code, KERR_NONE);
    CHECK_EQ(found->node_id, 1);
    CHECK_TEXT(found->host, "broker");
    CHECK_EQ(found->port, 9092);
    wait_for_coordinators();
}

static void end(void)
{
    client_end(&c);
    CHECK_EQ(lab_stop(&lab), 0);
    lab_deinit(&lab);
}

static struct str group_name(struct client *client, int n)
{
    return arena_printf(&client->arena, "g%d", n);
}

static void commit(int group, int64_t offset)
{
    struct offset_commit_request m;
    struct offset_commit_request_topics t;
    struct offset_commit_request_topics_partitions p;

    offset_commit_request_init(&m);
    offset_commit_request_topics_init(&t);
    offset_commit_request_topics_partitions_init(&p);
    p.committed_offset = offset;
    t.topic_id = topic;
    t.partitions = &p;
    t.partitions_count = 1;
    m.group_id = group_name(&c, group);
    m.topics = &t;
    m.topics_count = 1;
    const struct offset_commit_response *a = client_ask(&c, API_OFFSET_COMMIT, 10, &m);
    CHECK_EQ(a->topics[0].partitions[0].error_code, KERR_NONE);
}

#define GROUPS 20

static void check_commits(void)
{
    struct offset_fetch_request m;
    struct offset_fetch_request_groups g[GROUPS];

    offset_fetch_request_init(&m);
    for (int i = 0; i < GROUPS; i++) {
        offset_fetch_request_groups_init(&g[i]);
        g[i].group_id = group_name(&c, i);
        g[i].topics_count = -1;
    }
    m.groups = g;
    m.groups_count = GROUPS;
    const struct offset_fetch_response *a = client_ask(&c, API_OFFSET_FETCH, 10, &m);
    CHECK_EQ(a->groups_count, GROUPS);
    for (int i = 0; i < GROUPS; i++) {
        CHECK_EQ(a->groups[i].error_code, KERR_NONE);
        CHECK_TEXT(a->groups[i].group_id, group_name(&c, i).p);
        CHECK_EQ(a->groups[i].topics_count, 1);
        CHECK_EQ(a->groups[i].topics[0].partitions[0].committed_offset, 100 + i);
    }
}

/* Loading is to be seen by those who wait for it. */
static void check_coordinators_are_told(void)
{
    struct text page = {0};

    lab_metrics(&lab, &page);
    CHECK(strstr(page.p, "\nkafka_server_group_coordinator_metrics_num_partitions{state=\"active\"} 8\n") != NULL);
    CHECK(strstr(page.p, "\nkafka_server_group_coordinator_metrics_num_partitions{state=\"loading\"} 0\n") != NULL);
    CHECK(strstr(page.p, "\nkafka_server_group_coordinator_metrics_num_partitions{state=\"failed\"} 0\n") != NULL);
    CHECK(strstr(page.p, "\nkafka_server_group_coordinator_metrics_partition_load_time_max ") != NULL);
    text_deinit(&page);
}

TEST(broker_groups, one_request_about_groups_of_all_shards)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        begin(shards, "0");
        for (int i = 0; i < GROUPS; i++)
            commit(i, 100 + i);
        check_commits();
        struct list_groups_request m;
        list_groups_request_init(&m);
        const struct list_groups_response *a = client_ask(&c, API_LIST_GROUPS, 4, &m);
        CHECK_EQ(a->groups_count, GROUPS);
        lab_kill(&lab);
        client_end(&c);
        CHECK_EQ(lab_start(&lab), 0);
        client_open(&lab, &c, 9092);
        wait_for_coordinators();
        check_coordinators_are_told();
        check_commits();
        end();
    }
}

static void send_join(struct client *client, struct str group)
{
    struct join_group_request m;
    struct join_group_request_protocols p;

    join_group_request_init(&m);
    join_group_request_protocols_init(&p);
    p.name = STR("range");
    p.metadata = bytes_of_str(STR("x"));
    m.group_id = group;
    m.session_timeout_ms = 30000;
    m.rebalance_timeout_ms = 60000;
    m.member_id = STR("");
    m.protocol_type = STR("consumer");
    m.protocols = &p;
    m.protocols_count = 1;
    client_post(client, API_JOIN_GROUP, 3, &m);
}

static int32_t members_of(struct str group)
{
    struct describe_groups_request m;

    describe_groups_request_init(&m);
    m.groups = &group;
    m.groups_count = 1;
    const struct describe_groups_response *a = client_ask(&c, API_DESCRIBE_GROUPS, 5, &m);
    CHECK_EQ(a->groups[0].error_code, KERR_NONE);
    return a->groups[0].members_count;
}

TEST(broker_groups, a_join_that_waits_ends_with_its_connection_and_with_the_broker)
{
    for (uint32_t shards = 1; shards <= 4; shards++) {
        struct client members[8];
        begin(shards, "3000");
        for (int i = 0; i < 8; i++) {
            client_open(&lab, &members[i], 9092);
            send_join(&members[i], group_name(&c, i));
        }
        lab_pass(&lab, 100 * MS);
        for (int i = 0; i < 4; i++) /* in the middle of its wait */
            client_end(&members[i]);
        lab_until_connections(&lab, 5);
        for (int i = 4; i < 6; i++) {
            const struct join_group_response *a = client_answer(&members[i], API_JOIN_GROUP, 3, 1);
            CHECK_EQ(a->error_code, KERR_NONE);
            CHECK_EQ(a->generation_id, 1);
        }
        lab_pass(&lab, SEC);
        CHECK_EQ(members_of(group_name(&c, 4)), 1);
        for (int i = 4; i < 8; i++)
            client_end(&members[i]);
        client_open(&lab, &members[0], 9092);
        send_join(&members[0], group_name(&c, 11)); /* waits when the broker stops */
        lab_pass(&lab, 50 * MS);
        int64_t began = sim_now_ns(lab.sim);
        CHECK_EQ(lab_stop(&lab), 0);
        CHECK(sim_now_ns(lab.sim) - began < SEC);
        UNTIL(&lab, !members[0].open);
        client_end(&members[0]);
        client_end(&c);
        lab_deinit(&lab);
    }
}

/* At any moment of a join, also while it is on its way between shards. */
TEST(broker_groups, a_client_that_goes_away_at_any_moment_leaves_nothing_behind)
{
    for (int64_t after_us = 0; after_us < 2500; after_us += 100) {
        struct client member;
        begin(3, "3000");
        client_open(&lab, &member, 9092);
        send_join(&member, group_name(&c, (int)(after_us / 100)));
        lab_pass(&lab, after_us * 1000);
        client_end(&member);
        lab_pass(&lab, (int64_t)(after_us % 7) * MS);
        end();
    }
}
