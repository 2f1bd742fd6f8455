/* CreateTopics and DeleteTopics. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/create_topics.h"
#include "protocol/delete_topics.h"

static void expect(struct world *w, const char *name, int32_t partitions, int16_t factor,
                   enum kerr error, const char *message)
{
    enum kerr got;
    struct str words = world_create(w, name, partitions, factor, &got);

    CHECK_EQ(got, error);
    CHECK_TEXT(words, message);
}

/* ---- create ------------------------------------------------------------------------------------
 */

TEST(controller_topics, new_topic_is_written_as_kafka_writes_it)
{
    struct world w;
    struct create_topics_request_topics_configs configs[2];
    struct create_topics_request_topics topic;
    struct create_topics_request m;
    struct create_topics_response a;
    char id[UUID_TEXT_BYTES], expected[1200];

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    create_topics_request_init(&m);
    create_topics_request_topics_init(&topic);
    create_topics_response_init(&a);
    for (int i = 0; i < 2; i++)
        create_topics_request_topics_configs_init(&configs[i]);
    configs[0].name = STR("cleanup.policy");
    configs[0].value = STR("compact");
    configs[1].name = STR("min.insync.replicas");
    configs[1].value = STR("1");
    topic.name = STR("orders");
    topic.num_partitions = 2;
    topic.replication_factor = -1;
    topic.configs = configs;
    topic.configs_count = 2;
    m.topics = &topic;
    m.topics_count = 1;
    CHECK_EQ(world_ask(&w, API_CREATE_TOPICS, 7, &m, &a), KERR_NONE);
    CHECK_EQ(a.topics[0].error_code, KERR_NONE);
    CHECK(str_is_null(a.topics[0].error_message));
    CHECK_EQ(a.topics[0].num_partitions, 2);
    CHECK_EQ(a.topics[0].replication_factor, 1);
    uuid_text(a.topics[0].topic_id, id);
    snprintf(expected, sizeof(expected),
             "TopicRecord v0 {\"name\":\"orders\",\"topicId\":\"%s\"}\n"
             "ConfigRecord v0 "
             "{\"resourceType\":2,\"resourceName\":\"orders\",\"name\":\"cleanup.policy\","
             "\"value\":\"compact\"}\n"
             "ConfigRecord v0 "
             "{\"resourceType\":2,\"resourceName\":\"orders\",\"name\":\"min.insync.replicas\","
             "\"value\":\"1\"}\n"
             "ClearElrRecord v0 {\"topicName\":\"orders\"}\n"
             "PartitionRecord v2 "
             "{\"partitionId\":0,\"topicId\":\"%s\",\"replicas\":[1],\"isr\":[1],"
             "\"removingReplicas\":[],\"addingReplicas\":[],\"leader\":1,\"leaderEpoch\":0,"
             "\"partitionEpoch\":0,\"directories\":[\"AAAAAAAAAAAAAAAAAAAAAQ\"]}\n"
             "PartitionRecord v2 "
             "{\"partitionId\":1,\"topicId\":\"%s\",\"replicas\":[1],\"isr\":[1],"
             "\"removingReplicas\":[],\"addingReplicas\":[],\"leader\":1,\"leaderEpoch\":0,"
             "\"partitionEpoch\":0,\"directories\":[\"AAAAAAAAAAAAAAAAAAAAAQ\"]}\n",
             id, id, id);
    CHECK_TEXT(world_records(&w), expected);
    world_end(&w);
}

TEST(controller_topics, answer_has_all_settings_with_their_sources)
{
    struct world w;
    struct create_topics_request_topics_configs config;
    struct create_topics_request_topics topic;
    struct create_topics_request m;
    struct create_topics_response a;
    struct fail f;
    int seen = 0;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    CHECK_EQ(config_set(w.settings, CONFIG_STATIC_BROKER, STR("log.retention.hours"), STR("2"), &f),
             0);
    create_topics_request_init(&m);
    create_topics_request_topics_init(&topic);
    create_topics_response_init(&a);
    create_topics_request_topics_configs_init(&config);
    config.name = STR("segment.bytes");
    config.value = STR("2000000");
    topic.name = STR("orders");
    topic.num_partitions = topic.replication_factor = -1;
    topic.configs = &config;
    topic.configs_count = 1;
    m.topics = &topic;
    m.topics_count = 1;
    m.validate_only = true;
    CHECK_EQ(world_ask(&w, API_CREATE_TOPICS, 7, &m, &a), KERR_NONE);
    for (int32_t i = 0; i < a.topics[0].configs_count; i++) {
        const struct create_topics_response_topics_configs *c = &a.topics[0].configs[i];
        if (str_equal(c->name, STR("segment.bytes"))) {
            CHECK_TEXT(c->value, "2000000");
            CHECK_EQ(c->config_source, CONFIG_TOPIC);
            seen++;
        }
        if (str_equal(c->name, STR("retention.ms"))) {
            CHECK_TEXT(c->value, "7200000");
            CHECK_EQ(c->config_source, CONFIG_STATIC_BROKER);
            seen++;
        }
        if (str_equal(c->name, STR("min.insync.replicas"))) { /* of the bootstrap records */
            CHECK_EQ(c->config_source, CONFIG_DYNAMIC_DEFAULT_BROKER);
            seen++;
        }
        if (str_equal(c->name, STR("cleanup.policy"))) {
            CHECK_EQ(c->config_source, CONFIG_DEFAULT);
            seen++;
        }
    }
    CHECK_EQ(seen, 4);
    CHECK_EQ(image_topic_count(controller_latest(w.c)), 0); /* only asked */
    CHECK_TEXT(world_records(&w), "");
    world_end(&w);
}

/* A name that comes twice is refused and answered once, where it comes first; also among very many. */
TEST(controller_topics, ten_thousand_names_are_told_apart)
{
    enum { NAMES = 10000, REPEATED = 6000 }; /* of the first 2,000, three each */
    struct create_topics_request_topics *topics = calloc(NAMES, sizeof(*topics));
    char(*names)[16] = calloc(NAMES, sizeof(*names));
    struct create_topics_request m;
    struct create_topics_response a;
    int32_t refused = 0, created = 0;
    struct world w;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    create_topics_request_init(&m);
    create_topics_response_init(&a);
    for (int i = 0; i < NAMES; i++) {
        create_topics_request_topics_init(&topics[i]);
        snprintf(names[i], sizeof(names[i]), "t.%d", i < REPEATED ? i % 2000 : i);
        topics[i].name = str_of(names[i]);
        topics[i].num_partitions = 1;
        topics[i].replication_factor = 1;
    }
    m.topics = topics;
    m.topics_count = NAMES;
    CHECK_EQ(world_ask(&w, API_CREATE_TOPICS, 7, &m, &a), KERR_NONE);
    CHECK_EQ(a.topics_count, 6000);
    for (int i = 0; i < 6000; i++) {
        CHECK(str_equal(a.topics[i].name, str_of(names[i < 2000 ? i : i + 4000])));
        created += a.topics[i].error_code == KERR_NONE;
        refused += str_equal(a.topics[i].error_message, STR("Duplicate topic name."));
    }
    CHECK_EQ(refused, 2000);
    CHECK_EQ(created, 4000);
    free(names);
    free(topics);
    world_end(&w);
}

/* Sorted names find what looking through them finds: `.` and `_` are one. */
TEST(controller_topics, collisions_are_found_among_many)
{
    enum { NAMES = 40 };
    struct create_topics_request_topics topics[NAMES];
    char names[NAMES][16];
    struct create_topics_request m;
    struct create_topics_response a;
    struct world w;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    expect(&w, "a.1", 1, 1, KERR_NONE, NULL);
    expect(&w, "a_39", 1, 1, KERR_NONE, NULL);
    create_topics_request_init(&m);
    create_topics_response_init(&a);
    for (int i = 0; i < NAMES; i++) {
        create_topics_request_topics_init(&topics[i]);
        snprintf(names[i], sizeof(names[i]), i % 2 == 0 ? "a.%d" : i == 39 ? "a.%d" : "a_%d", i);
        topics[i].name = str_of(names[i]);
        topics[i].num_partitions = 1;
        topics[i].replication_factor = 1;
    }
    m.topics = topics;
    m.topics_count = NAMES;
    CHECK_EQ(world_ask(&w, API_CREATE_TOPICS, 7, &m, &a), KERR_NONE);
    for (int i = 0; i < NAMES; i++) {
        bool collides = i == 1 || i == 39;
        CHECK_EQ(a.topics[i].error_code, collides ? KERR_INVALID_TOPIC_EXCEPTION : KERR_NONE);
    }
    CHECK_TEXT(a.topics[1].error_message, "Topic 'a_1' collides with existing topic: a.1");
    CHECK_TEXT(a.topics[39].error_message, "Topic 'a.39' collides with existing topic: a_39");
    world_end(&w);
}

TEST(controller_topics, names_are_checked)
{
    static const struct {
        const char *name;
        enum kerr error;
        const char *message;
    } cases[] = {
        {"", KERR_INVALID_TOPIC_EXCEPTION,
         "Topic name is invalid: the empty string is not allowed"},
        {".", KERR_INVALID_TOPIC_EXCEPTION, "Topic name is invalid: '.' is not allowed"},
        {"..", KERR_INVALID_TOPIC_EXCEPTION, "Topic name is invalid: '..' is not allowed"},
        {"a b", KERR_INVALID_TOPIC_EXCEPTION,
         "Topic name is invalid: 'a b' contains one or more characters other than ASCII "
         "alphanumerics, '.', '_' and '-'"},
        {"my.topic_a", KERR_TOPIC_ALREADY_EXISTS, "Topic 'my.topic_a' already exists."},
        {"my_topic.a", KERR_INVALID_TOPIC_EXCEPTION,
         "Topic 'my_topic.a' collides with existing topic: my.topic_a"},
        {"__cluster_metadata", KERR_INVALID_REQUEST,
         "Creation of internal topic __cluster_metadata is prohibited."},
        {"my-topic-a", KERR_NONE, NULL},
    };
    struct world w;
    char longest[251], expected[400];

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    expect(&w, "my.topic_a", 1, 1, KERR_NONE, NULL);
    for (size_t i = 0; i < array_count(cases); i++)
        expect(&w, cases[i].name, 1, 1, cases[i].error, cases[i].message);
    memset(longest, 'x', 250);
    longest[250] = 0;
    snprintf(expected, sizeof(expected),
             "Topic name is invalid: the length of '%s' is longer than the max allowed length 249",
             longest);
    expect(&w, longest, 1, 1, KERR_INVALID_TOPIC_EXCEPTION, expected);
    longest[249] = 0;
    expect(&w, longest, 1, 1, KERR_NONE, NULL);
    world_end(&w);
}

TEST(controller_topics, numbers_are_checked)
{
    struct world w;

    world_begin(&w, true);
    expect(&w, "a", 1, 1, KERR_INVALID_REPLICATION_FACTOR,
           "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or have "
           "all their log directories cordoned.");
    (void)world_broker(&w, 1);
    expect(&w, "a", 1, 3, KERR_INVALID_REPLICATION_FACTOR,
           "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot "
           "be reached because only 1 broker(s) are registered.");
    expect(&w, "a", 1, 0, KERR_INVALID_REPLICATION_FACTOR,
           "Replication factor must be larger than 0, or -1 to use the default value.");
    expect(&w, "a", 0, 1, KERR_INVALID_PARTITIONS,
           "Number of partitions was set to an invalid non-positive value.");
    expect(&w, "a", -2, 1, KERR_INVALID_PARTITIONS,
           "Number of partitions was set to an invalid non-positive value.");
    expect(&w, "a", 2147483647, 1, KERR_POLICY_VIOLATION, NULL);
    expect(
        &w, "a", 1, 32767, KERR_INVALID_REPLICATION_FACTOR,
        "Unable to replicate the partition 32767 time(s): The target replication factor of 32767 "
        "cannot be reached because only 1 broker(s) are registered.");
    CHECK_EQ(image_topic_count(controller_latest(w.c)), 0);
    world_end(&w);
}

/* Replicas of a partition are on different brokers, leaders go round. */
TEST(controller_topics, partitions_are_spread_over_brokers)
{
    struct world w;
    const struct image_topic *topic;
    int leads[4] = {0};

    world_begin(&w, true);
    for (int32_t id = 1; id <= 3; id++)
        (void)world_broker(&w, id);
    expect(&w, "a", 6, 2, KERR_NONE, NULL);
    topic = image_topic_find(controller_latest(w.c), STR("a"));
    for (int32_t i = 0; i < 6; i++) {
        const struct image_partition *p = &topic->partitions[i];
        CHECK_EQ(p->replica_count, 2);
        CHECK(p->replicas[0] != p->replicas[1]);
        CHECK_EQ(p->leader, p->replicas[0]);
        leads[p->leader]++;
    }
    for (int32_t id = 1; id <= 3; id++)
        CHECK_EQ(leads[id], 2);
    world_end(&w);
}

TEST(controller_topics, replicas_are_spread_over_racks)
{
    struct world w;
    const struct image_topic *topic;

    world_begin(&w, true);
    w.racks = true;
    for (int32_t id = 1; id <= 5; id++)
        (void)world_broker(&w, id);
    expect(&w, "a", 10, 2, KERR_NONE, NULL);
    topic = image_topic_find(controller_latest(w.c), STR("a"));
    for (int32_t i = 0; i < 10; i++)
        CHECK(topic->partitions[i].replicas[0] % 2 != topic->partitions[i].replicas[1] % 2);
    world_end(&w);
}

/* ---- assignments by hand -----------------------------------------------------------------------
 */

static struct str create_by_hand(struct world *w, const int32_t *index, const int32_t *broker,
                                 int32_t count, int32_t per_partition, enum kerr *error)
{
    struct create_topics_request_topics_assignments list[4];
    struct create_topics_request_topics topic;
    struct create_topics_request m;
    struct create_topics_response a;

    create_topics_request_init(&m);
    create_topics_request_topics_init(&topic);
    create_topics_response_init(&a);
    for (int32_t i = 0; i < count; i++) {
        create_topics_request_topics_assignments_init(&list[i]);
        list[i].partition_index = index[i];
        list[i].broker_ids = (int32_t *)(uintptr_t)&broker[i * per_partition];
        list[i].broker_ids_count = per_partition;
    }
    topic.name = STR("hand");
    topic.num_partitions = topic.replication_factor = -1;
    topic.assignments = list;
    topic.assignments_count = count;
    m.topics = &topic;
    m.topics_count = 1;
    CHECK_EQ(world_ask(w, API_CREATE_TOPICS, 7, &m, &a), KERR_NONE);
    *error = (enum kerr)a.topics[0].error_code;
    return a.topics[0].error_message;
}

TEST(controller_topics, assignments_by_hand_are_checked)
{
    static const struct {
        int32_t index[2], broker[4], count, per_partition;
        const char *message;
    } cases[] = {
        {{0, 0}, {1, 1}, 2, 1, "Found multiple manual partition assignments for partition 0"},
        {{0, 2}, {1, 1}, 2, 1, "partitions should be a consecutive 0-based integer sequence"},
        {{-1, 0}, {1, 1}, 2, 1, "partitions should be a consecutive 0-based integer sequence"},
        {{0},
         {7},
         1,
         1,
         "The manual partition assignment includes broker 7, but no such broker is "
         "registered."},
        {{0},
         {1, 1},
         1,
         2,
         "The manual partition assignment includes the broker 1 more than once."},
        {{0}, {1}, 1, 0, "The manual partition assignment includes an empty replica list."},
        {{0},
         {2},
         1,
         1,
         "All brokers specified in the manual partition assignment for partition 0 "
         "are fenced or in controlled shutdown."},
    };
    static const int32_t index[] = {1, 0}, brokers[] = {2, 1, 1, 2};
    struct world w;
    const struct image_topic *topic;
    enum kerr error;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    CHECK(world_register(&w, 2, 22, -1, true) > 0); /* fenced */
    for (size_t i = 0; i < array_count(cases); i++) {
        struct str words = create_by_hand(&w, cases[i].index, cases[i].broker, cases[i].count,
                                          cases[i].per_partition, &error);
        CHECK_TEXT(words, cases[i].message);
        CHECK_EQ(error, KERR_INVALID_REPLICA_ASSIGNMENT);
    }
    CHECK(str_is_null(create_by_hand(&w, index, brokers, 2, 2, &error)));
    topic = image_topic_find(controller_latest(w.c), STR("hand"));
    CHECK_EQ(topic->partitions[0].replicas[0], 1);
    CHECK_EQ(topic->partitions[1].replicas[0], 2);
    CHECK_EQ(topic->partitions[1].leader, 1); /* the one that is not fenced */
    CHECK_EQ(topic->partitions[1].isr_count, 1);
    world_end(&w);
}

/* ---- several topics, settings ------------------------------------------------------------------
 */

TEST(controller_topics, one_refused_topic_does_not_keep_the_others_out)
{
    struct world w;
    struct create_topics_request_topics_configs bad[2];
    struct create_topics_request_topics topics[5];
    struct create_topics_request m;
    struct create_topics_response a;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    create_topics_request_init(&m);
    create_topics_response_init(&a);
    for (int i = 0; i < 5; i++) {
        create_topics_request_topics_init(&topics[i]);
        topics[i].num_partitions = topics[i].replication_factor = 1;
    }
    for (int i = 0; i < 2; i++)
        create_topics_request_topics_configs_init(&bad[i]);
    bad[0].name = STR("no.such.setting");
    bad[0].value = STR("1");
    bad[1].name = STR("retention.ms");
    bad[1].value = STR("soon");
    topics[0].name = STR("good");
    topics[1].name = topics[2].name = STR("twice");
    topics[3].name = STR("unknown");
    topics[3].configs = &bad[0];
    topics[3].configs_count = 1;
    topics[4].name = STR("wrong");
    topics[4].configs = &bad[1];
    topics[4].configs_count = 1;
    m.topics = topics;
    m.topics_count = 5;
    CHECK_EQ(world_ask(&w, API_CREATE_TOPICS, 7, &m, &a), KERR_NONE);
    CHECK_EQ(a.topics_count, 4);
    CHECK_EQ(a.topics[0].error_code, KERR_NONE);
    CHECK_EQ(a.topics[1].error_code, KERR_INVALID_REQUEST);
    CHECK_TEXT(a.topics[1].error_message, "Duplicate topic name.");
    CHECK_EQ(a.topics[2].error_code, KERR_INVALID_CONFIG);
    CHECK_TEXT(a.topics[2].error_message, "Unknown topic config name: no.such.setting");
    CHECK_EQ(a.topics[3].error_code, KERR_INVALID_CONFIG);
    CHECK(a.topics[3].error_message.n > 0);
    CHECK_EQ(image_topic_count(controller_latest(w.c)), 1);
    world_end(&w);
}

/* ---- delete ------------------------------------------------------------------------------------
 */

TEST(controller_topics, topics_are_deleted_by_name_or_id)
{
    struct world w;
    struct delete_topics_request_topics targets[7];
    struct delete_topics_request m;
    struct delete_topics_response a;
    struct uuid b_id;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    expect(&w, "a", 1, 1, KERR_NONE, NULL);
    expect(&w, "b", 1, 1, KERR_NONE, NULL);
    expect(&w, "c", 1, 1, KERR_NONE, NULL);
    b_id = image_topic_find(controller_latest(w.c), STR("b"))->id;
    (void)world_records(&w);
    delete_topics_request_init(&m);
    delete_topics_response_init(&a);
    for (int i = 0; i < 7; i++)
        delete_topics_request_topics_init(&targets[i]);
    targets[0].name = STR("a");
    targets[1].topic_id = b_id;
    targets[2].name = STR("nothing");
    targets[3].topic_id = world_id(250);
    targets[4].name = STR("c");
    targets[4].topic_id = world_id(251);
    targets[6].name = STR("b"); /* whose id is there already */
    m.topics = targets;
    m.topics_count = 7;
    CHECK_EQ(world_ask(&w, API_DELETE_TOPICS, 6, &m, &a), KERR_NONE);
    CHECK_EQ(a.responses_count, 7);
    CHECK_EQ(a.responses[0].error_code, KERR_NONE);
    CHECK_EQ(a.responses[1].error_code, KERR_NONE);
    CHECK_TEXT(a.responses[1].name, "b");
    CHECK_EQ(a.responses[2].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(a.responses[3].error_code, KERR_UNKNOWN_TOPIC_ID);
    CHECK_TEXT(a.responses[4].error_message, "You may not specify both topic name and topic id.");
    CHECK_TEXT(a.responses[5].error_message, "Neither topic name nor id were specified.");
    CHECK_TEXT(a.responses[6].error_message,
               "The provided topic name maps to an ID that was already supplied.");
    CHECK_EQ(image_topic_count(controller_latest(w.c)), 1);
    world_end(&w);
}

TEST(controller_topics, older_clients_delete_by_name)
{
    struct world w;
    struct str names[] = {STR("a"), STR("a"), STR("b")};
    struct delete_topics_request m;
    struct delete_topics_response a;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    expect(&w, "a", 1, 1, KERR_NONE, NULL);
    expect(&w, "b", 1, 1, KERR_NONE, NULL);
    delete_topics_request_init(&m);
    delete_topics_response_init(&a);
    m.topic_names = names;
    m.topic_names_count = 3;
    CHECK_EQ(world_ask(&w, API_DELETE_TOPICS, 5, &m, &a), KERR_NONE);
    CHECK_EQ(a.responses_count, 2);
    CHECK_TEXT(a.responses[0].error_message, "Duplicate topic name.");
    CHECK_EQ(a.responses[1].error_code, KERR_NONE);
    CHECK(image_topic_find(controller_latest(w.c), STR("a")) != NULL);
    CHECK(image_topic_find(controller_latest(w.c), STR("b")) == NULL);
    world_end(&w);
}

TEST(controller_topics, ten_thousand_deletions_are_told_apart)
{
    enum { NAMES = 10000 }; /* the last thousand repeats the first */
    struct delete_topics_request_topics *targets = calloc(NAMES, sizeof(*targets));
    char(*names)[16] = calloc(NAMES, sizeof(*names));
    struct delete_topics_request m;
    struct delete_topics_response a;
    struct world w;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    expect(&w, "t8999", 1, 1, KERR_NONE, NULL);
    delete_topics_request_init(&m);
    delete_topics_response_init(&a);
    for (int i = 0; i < NAMES; i++) {
        delete_topics_request_topics_init(&targets[i]);
        snprintf(names[i], sizeof(names[i]), "t%d", i % 9000);
        targets[i].name = str_of(names[i]);
    }
    m.topics = targets;
    m.topics_count = NAMES;
    CHECK_EQ(world_ask(&w, API_DELETE_TOPICS, 6, &m, &a), KERR_NONE);
    CHECK_EQ(a.responses_count, 9000);
    for (int i = 0; i < 8999; i++)
        CHECK_EQ(a.responses[i].error_code,
                 i < 1000 ? KERR_INVALID_REQUEST : KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(a.responses[8999].error_code, KERR_NONE);
    free(names);
    free(targets);
    world_end(&w);
}

TEST(controller_topics, deletion_may_be_switched_off)
{
    struct world w;
    struct delete_topics_request_topics target;
    struct delete_topics_request m;
    struct delete_topics_response a;
    struct fail f;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    expect(&w, "a", 1, 1, KERR_NONE, NULL);
    CHECK_EQ(
        config_set(w.settings, CONFIG_STATIC_BROKER, STR("delete.topic.enable"), STR("false"), &f),
        0);
    delete_topics_request_init(&m);
    delete_topics_response_init(&a);
    delete_topics_request_topics_init(&target);
    target.name = STR("a");
    m.topics = &target;
    m.topics_count = 1;
    CHECK_EQ(world_ask(&w, API_DELETE_TOPICS, 6, &m, &a), KERR_TOPIC_DELETION_DISABLED);
    m.topic_names = &target.name;
    m.topic_names_count = 1;
    CHECK_EQ(world_ask(&w, API_DELETE_TOPICS, 2, &m, &a), KERR_INVALID_REQUEST);
    CHECK_EQ(image_topic_count(controller_latest(w.c)), 1);
    world_end(&w);
}
