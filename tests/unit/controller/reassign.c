/* Reassignments (KIP-455). */
#include "world.h"

#include <stdio.h>

#include "protocol/alter_partition_reassignments.h"
#include "protocol/create_partitions.h"
#include "protocol/list_partition_reassignments.h"

/* Brokers 1 to 5 with topic orders on 1, 2 and 3. */
static void begin(struct world *w)
{
    world_begin(w, true);
    for (int32_t id = 1; id <= 5; id++)
        (void)world_broker(w, id);
    world_create_on(w, "orders", (int32_t[]){1, 2, 3}, 3);
}

/* `target` NULL = cancel. The answer's words; `*error`. */
static struct str reassign(struct world *w, const char *topic, int32_t partition,
                           const int32_t *target, int32_t count, bool same_factor,
                           enum kerr *error)
{
    struct alter_partition_reassignments_request m;
    struct alter_partition_reassignments_request_topics t;
    struct alter_partition_reassignments_request_topics_partitions part;
    struct alter_partition_reassignments_response a;

    alter_partition_reassignments_request_init(&m);
    alter_partition_reassignments_request_topics_init(&t);
    alter_partition_reassignments_request_topics_partitions_init(&part);
    alter_partition_reassignments_response_init(&a);
    m.allow_replication_factor_change = !same_factor;
    m.topics = &t;
    m.topics_count = 1;
    t.name = str_of(topic);
    t.partitions = &part;
    t.partitions_count = 1;
    part.partition_index = partition;
    part.replicas = (int32_t *)(uintptr_t)target;
    part.replicas_count = target == NULL ? -1 : count;
    *error = world_ask(w, API_ALTER_PARTITION_REASSIGNMENTS, 1, &m, &a);
    CHECK_EQ(*error, KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
    CHECK_EQ(a.allow_replication_factor_change, !same_factor);
    CHECK_EQ(a.responses_count, 1);
    *error = (enum kerr)a.responses[0].partitions[0].error_code;
    return a.responses[0].partitions[0].error_message;
}

static void move_to(struct world *w, const int32_t *target, int32_t count)
{
    enum kerr error;

    (void)reassign(w, "orders", 0, target, count, false, &error);
    CHECK_EQ(error, KERR_NONE);
}

static enum kerr propose(struct world *w, const int32_t *isr, int32_t count)
{
    struct proposal p = world_proposal(w, "orders", 0, isr, count);

    return world_propose(w, &p);
}

/* "orders-0 4 1 +4 -2" for each. */
static struct str listed(struct world *w, const char *topic, int32_t partition)
{
    struct list_partition_reassignments_request m;
    struct list_partition_reassignments_request_topics t;
    struct list_partition_reassignments_response a;
    struct text out = {0};
    struct str copy;

    list_partition_reassignments_request_init(&m);
    list_partition_reassignments_request_topics_init(&t);
    list_partition_reassignments_response_init(&a);
    m.topics_count = -1;
    if (topic != NULL) {
        t.name = str_of(topic);
        t.partition_indexes = &partition;
        t.partition_indexes_count = 1;
        m.topics = &t;
        m.topics_count = 1;
    }
    CHECK_EQ(world_ask(w, API_LIST_PARTITION_REASSIGNMENTS, 0, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
    for (int32_t i = 0; i < a.topics_count; i++) {
        for (int32_t n = 0; n < a.topics[i].partitions_count; n++) {
            const struct list_partition_reassignments_response_topics_partitions *p =
                &a.topics[i].partitions[n];
            text_printf(&out, "%.*s-%d", STR_ARG(a.topics[i].name), p->partition_index);
            for (int32_t r = 0; r < p->replicas_count; r++)
                text_printf(&out, " %d", p->replicas[r]);
            for (int32_t r = 0; r < p->adding_replicas_count; r++)
                text_printf(&out, " +%d", p->adding_replicas[r]);
            for (int32_t r = 0; r < p->removing_replicas_count; r++)
                text_printf(&out, " -%d", p->removing_replicas[r]);
        }
    }
    copy = arena_str(&w->arena, text_str(&out));
    text_deinit(&out);
    return copy;
}

#define TARGET ((int32_t[]){3, 4, 5})

TEST(controller_reassign, replicas_are_added_then_others_removed)
{
    struct world w;

    begin(&w);
    CHECK_TEXT(listed(&w, NULL, 0), "");
    move_to(&w, TARGET, 3);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 3 4 5 1 2 isr 1 2 3 adding 4 5 removing 1 2");
    CHECK_TEXT(listed(&w, NULL, 0), "orders-0 3 4 5 1 2 +4 +5 -1 -2");
    CHECK_TEXT(listed(&w, "orders", 0), "orders-0 3 4 5 1 2 +4 +5 -1 -2");
    CHECK_TEXT(listed(&w, "orders", 1), "");
    CHECK_TEXT(listed(&w, "others", 0), "");
    CHECK_EQ(propose(&w, ((int32_t[]){1, 2, 3, 4}), 4), KERR_NONE); /* 5 is not in sync yet */
    CHECK_TEXT(world_show(&w, "orders"), "1@0.2 on 3 4 5 1 2 isr 1 2 3 4 adding 4 5 removing 1 2");
    CHECK_EQ(propose(&w, ((int32_t[]){1, 2, 3, 4, 5}), 5), KERR_NEW_LEADER_ELECTED);
    CHECK_TEXT(world_show(&w, "orders"), "3@1.3 on 3 4 5 isr 3 4 5");
    CHECK_TEXT(listed(&w, NULL, 0), "");
    world_end(&w);
}

/* The leader stays where it is one of the new replicas, in a new epoch: those that are none any more are not
 * fetched for. */
TEST(controller_reassign, end_is_a_new_leader_epoch)
{
    struct world w;
    char id[UUID_TEXT_BYTES], expected[600];

    begin(&w);
    uuid_text(image_topic_find(controller_latest(w.c), STR("orders"))->id, id);
    move_to(&w, ((int32_t[]){4, 1, 2}), 3);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 4 1 2 3 isr 1 2 3 adding 4 removing 3");
    (void)world_records(&w);
    CHECK_EQ(propose(&w, ((int32_t[]){1, 2, 3, 4}), 4), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@1.2 on 4 1 2 isr 1 2 4");
    snprintf(expected, sizeof(expected),
             "PartitionChangeRecord v2 {\"partitionId\":0,\"topicId\":\"%s\",\"isr\":[1,2,4],"
             "\"leader\":1,\"replicas\":[4,1,2],\"removingReplicas\":[],\"addingReplicas\":[],"
             "\"directories\":[\"AAAAAAAAAAAAAAAAAAAAAQ\",\"AAAAAAAAAAAAAAAAAAAAAQ\","
             "\"AAAAAAAAAAAAAAAAAAAAAQ\"]}\n",
             id);
    CHECK_TEXT(world_records(&w), expected);
    world_end(&w);
}

TEST(controller_reassign, fewer_replicas_at_once_when_all_that_stay_are_in_sync)
{
    struct world w;

    begin(&w);
    CHECK_EQ(propose(&w, ((int32_t[]){1, 2}), 2), KERR_NONE);
    move_to(&w, ((int32_t[]){2, 3}), 2); /* 3 is behind: 1 must not go yet */
    CHECK_TEXT(world_show(&w, "orders"), "1@0.2 on 2 3 1 isr 1 2 removing 1");
    CHECK_EQ(propose(&w, ((int32_t[]){1, 2, 3}), 3), KERR_NEW_LEADER_ELECTED);
    CHECK_TEXT(world_show(&w, "orders"), "2@1.3 on 2 3 isr 2 3");
    move_to(&w, ((int32_t[]){3}), 1);
    CHECK_TEXT(world_show(&w, "orders"), "3@2.4 on 3 isr 3");
    world_end(&w);
}

TEST(controller_reassign, another_order_is_no_reassignment)
{
    struct world w;

    begin(&w);
    move_to(&w, ((int32_t[]){3, 2, 1}), 3);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 3 2 1 isr 1 2 3");
    CHECK_TEXT(listed(&w, NULL, 0), "");
    (void)world_records(&w);
    move_to(&w, ((int32_t[]){3, 2, 1}), 3); /* it is so already */
    CHECK_TEXT(world_records(&w), "");
    world_end(&w);
}

TEST(controller_reassign, more_replicas)
{
    struct world w;
    enum kerr error;

    begin(&w);
    CHECK_TEXT(reassign(&w, "orders", 0, ((int32_t[]){1, 2, 3, 4}), 4, true, &error),
               "The replication factor is changed from 3 to 4");
    CHECK_EQ(error, KERR_INVALID_REPLICATION_FACTOR);
    move_to(&w, ((int32_t[]){1, 2, 3, 4}), 4);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 1 2 3 4 isr 1 2 3 adding 4");
    (void)reassign(&w, "orders", 0, ((int32_t[]){1, 2, 3, 5}), 4, true, &error); /* it will be four */
    CHECK_EQ(error, KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.2 on 1 2 3 5 4 isr 1 2 3 adding 5 removing 4");
    CHECK_EQ(propose(&w, ((int32_t[]){1, 2, 3, 5}), 4), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@1.3 on 1 2 3 5 isr 1 2 3 5");
    world_end(&w);
}

TEST(controller_reassign, cancelled_it_is_as_before)
{
    struct world w;
    enum kerr error;

    begin(&w);
    CHECK_TEXT(reassign(&w, "orders", 0, NULL, 0, false, &error),
               "No partition reassignment is in progress.");
    CHECK_EQ(error, KERR_NO_REASSIGNMENT_IN_PROGRESS);
    move_to(&w, TARGET, 3);
    CHECK_EQ(propose(&w, ((int32_t[]){1, 2, 3, 4}), 4), KERR_NONE);
    (void)reassign(&w, "orders", 0, NULL, 0, false, &error);
    CHECK_EQ(error, KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@1.3 on 3 1 2 isr 1 2 3");
    world_end(&w);
}

/* Asking for what was before is another way to cancel. Kafka would wait for 4 and 5 for ever. */
TEST(controller_reassign, back_by_hand)
{
    struct world w;

    begin(&w);
    move_to(&w, TARGET, 3);
    move_to(&w, ((int32_t[]){1, 2, 3}), 3);
    CHECK_TEXT(world_show(&w, "orders"), "1@1.2 on 1 2 3 isr 1 2 3");
    world_end(&w);
}

/* What the first one adds and the second one wants is being added still. */
TEST(controller_reassign, second_one_takes_over)
{
    struct world w;

    begin(&w);
    move_to(&w, TARGET, 3);
    move_to(&w, ((int32_t[]){1, 2, 4}), 3);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.2 on 1 2 4 3 5 isr 1 2 3 adding 4 removing 3 5");
    CHECK_EQ(propose(&w, ((int32_t[]){1, 2, 3, 4}), 4), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@1.3 on 1 2 4 isr 1 2 4");
    world_end(&w);
}

/* Were replicas that go counted, which is what Kafka does, the new partition would have more of them for good. */
TEST(controller_reassign, partition_that_comes_meanwhile_has_as_many_replicas_as_there_will_be)
{
    struct create_partitions_request_topics topic;
    struct create_partitions_request m;
    struct create_partitions_response a;
    struct world w;

    begin(&w);
    move_to(&w, TARGET, 3);
    create_partitions_request_init(&m);
    create_partitions_response_init(&a);
    create_partitions_request_topics_init(&topic);
    topic.name = STR("orders");
    topic.count = 2;
    topic.assignments_count = -1;
    m.topics = &topic;
    m.topics_count = 1;
    CHECK_EQ(world_ask(&w, API_CREATE_PARTITIONS, 3, &m, &a), KERR_NONE);
    CHECK_EQ(a.results[0].error_code, KERR_NONE);
    CHECK_EQ(world_partition(&w, "orders", 1)->replica_count, 3);
    world_end(&w);
}

/* When only replicas that were added have all records, there is no way back without losing some. */
TEST(controller_reassign, no_way_back_that_loses_records)
{
    struct world w;
    enum kerr error;

    begin(&w);
    world_create_on(&w, "lone", (int32_t[]){1}, 1);
    (void)reassign(&w, "lone", 0, ((int32_t[]){4, 5}), 2, false, &error);
    struct proposal p = world_proposal(&w, "lone", 0, ((int32_t[]){1, 4}), 2);
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    (void)world_register(&w, 1, 99, -1, true); /* dies */
    CHECK_TEXT(world_show(&w, "lone"), "4@1.3 on 4 5 1 isr 4 adding 4 5 removing 1");
    CHECK_TEXT(reassign(&w, "lone", 0, NULL, 0, false, &error),
               "Unable to revert partition assignment for lone:0 because it would require an "
               "unclean leader election.");
    CHECK_EQ(error, KERR_INVALID_REPLICA_ASSIGNMENT);
    p = world_proposal(&w, "lone", 0, ((int32_t[]){4, 5}), 2);
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    CHECK_TEXT(world_show(&w, "lone"), "4@2.4 on 4 5 isr 4 5");
    world_end(&w);
}

/* A new replica that dies holds it up, an old one does not. */
TEST(controller_reassign, death_in_the_middle)
{
    struct world w;

    begin(&w);
    move_to(&w, TARGET, 3);
    CHECK_EQ(propose(&w, ((int32_t[]){1, 2, 3, 4}), 4), KERR_NONE);
    (void)world_register(&w, 4, 99, -1, true);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.3 on 3 4 5 1 2 isr 1 2 3 adding 4 5 removing 1 2");
    (void)world_register(&w, 1, 98, -1, true); /* the leader; it is being removed */
    CHECK_TEXT(world_show(&w, "orders"), "3@1.4 on 3 4 5 1 2 isr 2 3 adding 4 5 removing 1 2");
    CHECK_EQ(world_beat(&w, 4, image_broker_find(controller_latest(w.c), 4)->epoch, false, false),
             KERR_NONE);
    CHECK_EQ(propose(&w, ((int32_t[]){3, 4, 5}), 3), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "3@2.5 on 3 4 5 isr 3 4 5");
    world_end(&w);
}

TEST(controller_reassign, what_cannot_be)
{
    struct world w;
    enum kerr error;

    begin(&w);
    (void)world_records(&w);
    CHECK_TEXT(reassign(&w, "none", 0, TARGET, 3, false, &error),
               "Unable to find a topic named none.");
    CHECK_EQ(error, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_TEXT(reassign(&w, "orders", 7, TARGET, 3, false, &error),
               "Unable to find partition orders:7.");
    CHECK_EQ(error, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_TEXT(reassign(&w, "orders", 0, TARGET, 0, false, &error),
               "The manual partition assignment includes an empty replica list.");
    CHECK_EQ(error, KERR_INVALID_REPLICA_ASSIGNMENT);
    CHECK_TEXT(reassign(&w, "orders", 0, ((int32_t[]){1, 9}), 2, false, &error),
               "The manual partition assignment includes broker 9, but no such broker is "
               "registered.");
    CHECK_EQ(error, KERR_INVALID_REPLICA_ASSIGNMENT);
    CHECK_TEXT(reassign(&w, "orders", 0, ((int32_t[]){1, 1}), 2, false, &error),
               "The manual partition assignment includes the broker 1 more than once.");
    CHECK_EQ(error, KERR_INVALID_REPLICA_ASSIGNMENT);
    CHECK_TEXT(world_records(&w), "");
    world_end(&w);
}

/* More replicas than a leader can follow are refused, also those that would be there only meanwhile. */
TEST(controller_reassign, replicas_are_bounded)
{
    struct world w;
    int32_t ids[33];
    enum kerr error;

    world_begin(&w, true);
    for (int32_t id = 1; id <= 33; id++) {
        (void)world_broker(&w, id);
        ids[id - 1] = id;
    }
    CHECK_TEXT(world_create(&w, "wide", 1, 33, &error),
               "Unable to replicate the partition 33 time(s): A partition has at most 32 replicas, "
               "also while it is reassigned; it would have 33.");
    CHECK_EQ(error, KERR_INVALID_REPLICATION_FACTOR);
    world_create_on(&w, "wide", ids, 32);
    (void)reassign(&w, "wide", 0, ids, 33, false, &error);
    CHECK_EQ(error, KERR_INVALID_REPLICATION_FACTOR);
    (void)reassign(&w, "wide", 0, ids + 1, 32, false, &error);
    CHECK_EQ(error, KERR_INVALID_REPLICATION_FACTOR);
    (void)reassign(&w, "wide", 0, ids, 16, false, &error);
    CHECK_EQ(error, KERR_NONE);
    world_end(&w);
}
