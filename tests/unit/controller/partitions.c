/* CreatePartitions. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/broker_heartbeat.h"
#include "protocol/create_partitions.h"

static struct str grow(struct world *w, const char *name, int32_t count, int32_t *by_hand,
                       int32_t hands, bool only_validate, enum kerr *error)
{
    struct create_partitions_request_topics_assignments list[3];
    struct create_partitions_request_topics topic;
    struct create_partitions_request m;
    struct create_partitions_response a;

    create_partitions_request_init(&m);
    create_partitions_request_topics_init(&topic);
    create_partitions_response_init(&a);
    topic.name = str_of(name);
    topic.count = count;
    topic.assignments_count = -1;
    for (int32_t i = 0; i < hands; i++) {
        create_partitions_request_topics_assignments_init(&list[i]);
        list[i].broker_ids = &by_hand[i];
        list[i].broker_ids_count = 1;
    }
    if (hands > 0) {
        topic.assignments = list;
        topic.assignments_count = hands;
    }
    m.topics = &topic;
    m.topics_count = 1;
    m.validate_only = only_validate;
    *error = world_ask(w, API_CREATE_PARTITIONS, 3, &m, &a);
    if (*error != KERR_NONE)
        return STR_NULL;
    *error = (enum kerr)a.results[0].error_code;
    return a.results[0].error_message;
}

TEST(controller_partitions, counts_must_grow)
{
    struct world w;
    enum kerr error;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    (void)world_create(&w, "a", 2, 1, &error);
    CHECK_TEXT(grow(&w, "a", 2, NULL, 0, false, &error), "Topic already has 2 partition(s).");
    CHECK_EQ(error, KERR_INVALID_PARTITIONS);
    CHECK_TEXT(grow(&w, "a", 1, NULL, 0, false, &error),
               "The topic a currently has 2 partition(s); 1 would not be an increase.");
    CHECK_EQ(error, KERR_INVALID_PARTITIONS);
    CHECK(str_is_null(grow(&w, "b", 1, NULL, 0, false, &error)));
    CHECK_EQ(error, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    (void)grow(&w, "a", 100000, NULL, 0, false, &error);
    CHECK_EQ(error, KERR_POLICY_VIOLATION);
    world_end(&w);
}

TEST(controller_partitions, new_ones_come_behind_the_old_ones)
{
    struct world w;
    enum kerr error;
    int32_t by_hand[] = {1, 1};

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    (void)world_create(&w, "a", 1, 1, &error);
    CHECK(str_is_null(grow(&w, "a", 3, NULL, 0, true, &error)));
    CHECK_EQ(error, KERR_NONE);
    CHECK_EQ(image_topic_find(controller_latest(w.c), STR("a"))->partition_count, 1);
    CHECK(str_is_null(grow(&w, "a", 3, NULL, 0, false, &error)));
    CHECK_EQ(image_topic_find(controller_latest(w.c), STR("a"))->partition_count, 3);
    CHECK_EQ(image_topic_find(controller_latest(w.c), STR("a"))->partitions[2].leader, 1);
    CHECK_TEXT(
        grow(&w, "a", 4, by_hand, 2, false, &error),
        "Attempted to add 1 additional partition(s), but only 2 assignment(s) were specified.");
    CHECK_EQ(error, KERR_INVALID_REPLICA_ASSIGNMENT);
    CHECK(str_is_null(grow(&w, "a", 5, by_hand, 2, false, &error)));
    CHECK_EQ(image_topic_find(controller_latest(w.c), STR("a"))->partition_count, 5);
    by_hand[0] = 9;
    CHECK_TEXT(
        grow(&w, "a", 6, by_hand, 1, false, &error),
        "The manual partition assignment includes broker 9, but no such broker is registered.");
    CHECK_EQ(image_topic_find(controller_latest(w.c), STR("a"))->partition_count, 5);
    world_end(&w);
}

TEST(controller_partitions, ten_thousand_names_are_told_apart)
{
    enum { NAMES = 10000 }; /* the last half repeats the first */
    struct create_partitions_request_topics *topics = calloc(NAMES, sizeof(*topics));
    char(*names)[16] = calloc(NAMES, sizeof(*names));
    struct create_partitions_request m;
    struct create_partitions_response a;
    struct world w;
    enum kerr error;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    (void)world_create(&w, "t5000", 1, 1, &error);
    create_partitions_request_init(&m);
    create_partitions_response_init(&a);
    for (int i = 0; i < NAMES; i++) {
        create_partitions_request_topics_init(&topics[i]);
        snprintf(names[i], sizeof(names[i]), "t%d", i % 5001);
        topics[i].name = str_of(names[i]);
        topics[i].count = 2;
        topics[i].assignments_count = -1;
    }
    m.topics = topics;
    m.topics_count = NAMES;
    CHECK_EQ(world_ask(&w, API_CREATE_PARTITIONS, 3, &m, &a), KERR_NONE);
    CHECK_EQ(a.results_count, 5001);
    for (int i = 0; i < 5000; i++) {
        bool repeated = i < NAMES - 5001;
        CHECK(str_equal(a.results[i].name, str_of(names[i])));
        CHECK_EQ(a.results[i].error_code,
                 repeated ? KERR_INVALID_REQUEST : KERR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    CHECK_EQ(a.results[5000].error_code, KERR_NONE);
    free(names);
    free(topics);
    world_end(&w);
}

/* Who fails leaves its leaderships to all others, not to its neighbour alone. */
TEST(controller_partitions, leaderships_of_one_broker_have_many_heirs)
{
    int32_t heirs[6] = {0}, led[6] = {0};
    const struct image_topic *topic;
    struct world w;
    enum kerr error;

    world_begin(&w, true);
    for (int32_t id = 1; id <= 5; id++)
        (void)world_broker(&w, id);
    (void)world_create(&w, "many", 100, 2, &error);
    CHECK_EQ(error, KERR_NONE);
    topic = image_topic_find(controller_latest(w.c), STR("many"));
    for (int32_t i = 0; i < 100; i++) {
        led[topic->partitions[i].replicas[0]]++;
        heirs[topic->partitions[i].replicas[1]] += topic->partitions[i].replicas[0] == 1;
    }
    for (int32_t id = 1; id <= 5; id++) {
        CHECK_EQ(led[id], 20);
        CHECK_EQ(heirs[id], id == 1 ? 0 : 5);
    }
    world_end(&w);
}

static void cordon(struct world *w, int32_t id, struct uuid *dirs, int32_t count)
{
    struct broker_heartbeat_request m;
    struct broker_heartbeat_response a;

    broker_heartbeat_request_init(&m);
    broker_heartbeat_response_init(&a);
    m.broker_id = id;
    m.broker_epoch = w->epochs[id];
    m.cordoned_log_dirs = dirs;
    m.cordoned_log_dirs_count = count;
    CHECK_EQ(world_ask(w, API_BROKER_HEARTBEAT, 2, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
}

/* KIP-1066: no new replicas where all directories are cordoned; those that are there stay. */
TEST(controller_partitions, cordoned_brokers_get_none)
{
    struct uuid dirs[] = {world_id(10), world_id(11)};
    struct world w;
    enum kerr error;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    (void)world_broker(&w, 2);
    (void)world_create(&w, "before", 1, 2, &error);
    cordon(&w, 1, dirs, 1);
    (void)world_create(&w, "one", 1, 2, &error); /* it has another directory */
    CHECK_EQ(error, KERR_NONE);
    cordon(&w, 1, dirs, 2);
    (void)world_create(&w, "two", 1, 2, &error);
    CHECK_EQ(error, KERR_INVALID_REPLICATION_FACTOR);
    (void)world_create(&w, "many", 10, 1, &error);
    CHECK_EQ(error, KERR_NONE);
    for (int32_t i = 0; i < 10; i++)
        CHECK_EQ(world_partition(&w, "many", i)->leader, 2);
    CHECK_EQ(world_partition(&w, "before", 0)->isr_count, 2);
    cordon(&w, 1, NULL, 0);
    (void)world_create(&w, "two", 1, 2, &error);
    CHECK_EQ(error, KERR_NONE);
    world_end(&w);
}
