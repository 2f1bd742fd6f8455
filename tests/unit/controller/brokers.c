/* Brokers come, live and go. */
#include "world.h"

#include <stdio.h>

#include "protocol/assign_replicas_to_dirs.h"
#include "protocol/broker_heartbeat.h"
#include "protocol/broker_registration.h"
#include "protocol/controller_registration.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/unregister_broker.h"

#define BROKER_1_FEATURES                                                                     \
    "\"features\":[{\"name\":\"eligible.leader.replicas.version\",\"minSupportedVersion\":0," \
    "\"maxSupportedVersion\":1},{\"name\":\"group.version\",\"minSupportedVersion\":0,"       \
    "\"maxSupportedVersion\":1},{\"name\":\"kraft.version\",\"minSupportedVersion\":0,"       \
    "\"maxSupportedVersion\":1},{\"name\":\"metadata.version\",\"minSupportedVersion\":7,"    \
    "\"maxSupportedVersion\":30},{\"name\":\"share.version\",\"minSupportedVersion\":0,"      \
    "\"maxSupportedVersion\":1},{\"name\":\"streams.version\",\"minSupportedVersion\":0,"     \
    "\"maxSupportedVersion\":1},{\"name\":\"transaction.version\",\"minSupportedVersion\":0," \
    "\"maxSupportedVersion\":2}]"

/* ---- registration ------------------------------------------------------------------------------
 */

TEST(controller_brokers, registration_is_fenced_and_its_epoch_is_its_offset)
{
    struct world w;
    int64_t epoch;

    world_begin(&w, true);
    epoch = world_register(&w, 1, 15, -1, false);
    CHECK_EQ(epoch, 13); /* three control records and ten of the bootstrap are before it */
    CHECK_TEXT(world_records(&w),
               "RegisterBrokerRecord v4 {\"brokerId\":1,\"isMigratingZkBroker\":false,"
               "\"incarnationId\":\"DwAAAAAAAAAAAAAAAAAAAA\",\"brokerEpoch\":13,\"endPoints\":"
               "[{\"name\":\"PLAINTEXT\",\"host\":\"localhost\",\"port\":9092,\"securityProtocol\":"
               "0}]," BROKER_1_FEATURES
               ",\"rack\":null,\"fenced\":true,\"inControlledShutdown\":false,"
               "\"logDirs\":[\"CgAAAAAAAAAAAAAAAAAAAA\"]}\n");
    world_end(&w);
}

TEST(controller_brokers, same_incarnation_keeps_its_epoch)
{
    struct world w;
    int64_t epoch;

    world_begin(&w, true);
    epoch = world_broker(&w, 1);
    CHECK_EQ(world_register(&w, 1, 15, -1, true), epoch);
    CHECK(!image_broker_find(controller_latest(w.c), 1)->fenced);
    world_end(&w);
}

struct refusal {
    const char *what;
    enum kerr error;
};

static enum kerr try_register(struct world *w, const char *what)
{
    struct broker_registration_request_features f[2];
    struct uuid dirs[] = {world_id(90), world_id(91)};
    struct broker_registration_request m;
    struct broker_registration_response a;
    bool fits = strcmp(what, "features") != 0;

    broker_registration_request_init(&m);
    broker_registration_response_init(&a);
    for (int i = 0; i < 2; i++)
        broker_registration_request_features_init(&f[i]);
    f[0].name = STR("group.version");
    f[1].name = STR("metadata.version");
    f[1].min_supported_version = 7;
    f[1].max_supported_version = fits ? 30 : 29;
    m.broker_id = 9;
    m.cluster_id = strcmp(what, "cluster") == 0 ? STR("other") : STR("cluster");
    m.incarnation_id = world_id(97);
    m.features = f;
    m.features_count = 2;
    m.rack = STR_NULL;
    m.log_dirs = dirs;
    m.log_dirs_count = strcmp(what, "no directory") == 0 ? 0 : 2;
    if (strcmp(what, "reserved directory") == 0)
        dirs[0] = UUID_ZERO;
    if (strcmp(what, "same directory twice") == 0)
        dirs[1] = dirs[0];
    if (strcmp(what, "directory of another") == 0)
        dirs[1] = world_id(11);
    if (strcmp(what, "other directories") == 0) {
        dirs[0] = world_id(94);
        dirs[1] = world_id(95);
    }
    m.is_migrating_zk_broker = strcmp(what, "zookeeper") == 0;
    CHECK_EQ(world_ask(w, API_BROKER_REGISTRATION, 4, &m, &a), KERR_NONE);
    CHECK_EQ(a.broker_epoch == -1, a.error_code != KERR_NONE);
    return (enum kerr)a.error_code;
}

/* Directories are locked by their process: one that is the same proves that the old one is dead. Others do
 * not: then its session has to end first. */
TEST(controller_brokers, new_incarnation_replaces_a_living_one_only_by_its_directories)
{
    struct world w;
    int64_t epoch;

    world_begin(&w, true);
    epoch = world_broker(&w, 9);
    CHECK_EQ(try_register(&w, "other directories"), KERR_DUPLICATE_BROKER_REGISTRATION);
    CHECK(world_register(&w, 9, 98, epoch, false) > epoch); /* one of two: the other has failed */
    CHECK(image_broker_find(controller_latest(w.c), 9)->fenced);
    world_end(&w);

    world_begin(&w, true);
    epoch = world_broker(&w, 9);
    w.now_ms += 9000;
    CHECK_EQ(try_register(&w, "other directories"), KERR_UNSUPPORTED_VERSION); /* refused for its features only */
    world_end(&w);
}

/* As at the end of its session, but now; once, because a registration that lives on shows that it was wrong. */
TEST(controller_brokers, one_whose_process_is_gone_is_fenced_at_once)
{
    struct world w;
    int64_t epoch;

    world_begin(&w, true);
    epoch = world_broker(&w, 1);
    (void)world_broker(&w, 2);
    world_create_on(&w, "t", (const int32_t[]){1, 2}, 2);
    (void)world_records(&w);
    CHECK_EQ(controller_broker_heard_ms(w.c, 1, epoch), w.now_ms);
    CHECK_EQ(controller_broker_heard_ms(w.c, 1, epoch + 1), -1);
    CHECK_EQ(controller_broker_heard_ms(w.c, 7, epoch), -1);
    controller_broker_gone(w.c, 1, epoch + 1, w.now_ms);
    CHECK_TEXT(world_records(&w), "");
    controller_broker_gone(w.c, 1, epoch, w.now_ms);
    world_commit(&w);
    CHECK(image_broker_find(controller_latest(w.c), 1)->fenced);
    CHECK_EQ(world_partition(&w, "t", 0)->leader, 2);
    CHECK_EQ(world_partition(&w, "t", 0)->leader_epoch, 1);
    CHECK_EQ(controller_broker_heard_ms(w.c, 1, epoch), -1);

    CHECK_EQ(world_beat(&w, 1, epoch, false, false), KERR_NONE);
    CHECK(!image_broker_find(controller_latest(w.c), 1)->fenced);
    controller_broker_gone(w.c, 1, epoch, w.now_ms);
    CHECK(!image_broker_find(controller_latest(w.c), 1)->fenced);
    controller_resign(w.c);
    CHECK_EQ(controller_broker_heard_ms(w.c, 2, w.epochs[2]), -1);
    controller_broker_gone(w.c, 2, w.epochs[2], w.now_ms);
    world_end(&w);
}

TEST(controller_brokers, registrations_that_are_refused)
{
    static const struct refusal cases[] = {
        {"cluster", KERR_INCONSISTENT_CLUSTER_ID},
        {"zookeeper", KERR_BROKER_ID_NOT_REGISTERED},
        {"no directory", KERR_INVALID_REGISTRATION},
        {"reserved directory", KERR_INVALID_REGISTRATION},
        {"same directory twice", KERR_INVALID_REGISTRATION},
        {"directory of another", KERR_INVALID_REGISTRATION},
        {"features", KERR_UNSUPPORTED_VERSION},
        {"group.version too low", KERR_UNSUPPORTED_VERSION},
    };
    struct world w;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    for (size_t i = 0; i < array_count(cases); i++)
        CHECK_EQ(try_register(&w, cases[i].what), cases[i].error);
    CHECK_TEXT(world_records(&w), "");
    world_end(&w);
}

/* The level of the quorum counts, though no record tells it. */
TEST(controller_brokers, kraft_version_must_be_supported)
{
    struct world w;

    world_begin_at(&w, 30); /* no other feature */
    CHECK_EQ(try_register(&w, "fits"), KERR_NONE);
    w.now_ms += 9000;
    w.kraft_version = 1;
    CHECK_EQ(try_register(&w, "fits"), KERR_UNSUPPORTED_VERSION); /* it names group and metadata alone */
    world_end(&w);
}

TEST(controller_brokers, controller_registers)
{
    struct world w;
    struct controller_registration_request m;
    struct controller_registration_response a;
    struct controller_registration_request_listeners l;

    world_begin(&w, true);
    controller_registration_request_init(&m);
    controller_registration_response_init(&a);
    controller_registration_request_listeners_init(&l);
    l.name = STR("CONTROLLER");
    l.host = STR("h");
    l.port = 9093;
    m.controller_id = 1;
    m.incarnation_id = world_id(7);
    m.listeners = &l;
    m.listeners_count = 1;
    CHECK_EQ(world_ask(&w, API_CONTROLLER_REGISTRATION, 0, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
    CHECK_TEXT(
        world_records(&w),
        "RegisterControllerRecord v0 {\"controllerId\":1,\"incarnationId\":"
        "\"BwAAAAAAAAAAAAAAAAAAAA\",\"zkMigrationReady\":false,\"endPoints\":[{\"name\":"
        "\"CONTROLLER\",\"host\":\"h\",\"port\":9093,\"securityProtocol\":0}],\"features\":[]}\n");
    world_end(&w);
}

/* ---- heartbeats --------------------------------------------------------------------------------
 */

static struct broker_heartbeat_response beat(struct world *w, int64_t epoch, int64_t offset,
                                             bool want_fence, bool want_stop)
{
    struct broker_heartbeat_request m;
    struct broker_heartbeat_response a;

    broker_heartbeat_request_init(&m);
    broker_heartbeat_response_init(&a);
    m.broker_id = 1;
    m.broker_epoch = epoch;
    m.current_metadata_offset = offset;
    m.want_fence = want_fence;
    m.want_shut_down = want_stop;
    CHECK_EQ(world_ask(w, API_BROKER_HEARTBEAT, 2, &m, &a), KERR_NONE);
    return a;
}

TEST(controller_brokers, broker_is_unfenced_when_it_has_seen_itself)
{
    struct world w;
    struct broker_heartbeat_response a;
    int64_t epoch;

    world_begin(&w, true);
    epoch = world_register(&w, 1, 15, -1, true);
    (void)world_records(&w);
    a = beat(&w, epoch, epoch - 1, false, false);
    CHECK(a.is_fenced);
    CHECK(!a.is_caught_up);
    a = beat(&w, epoch, epoch, true, false);
    CHECK(a.is_fenced);
    CHECK(a.is_caught_up);
    CHECK_TEXT(world_records(&w), "");
    a = beat(&w, epoch, epoch, false, false);
    CHECK(!a.is_fenced);
    CHECK(!a.should_shut_down);
    CHECK_TEXT(world_records(&w), "BrokerRegistrationChangeRecord v0 "
                                  "{\"brokerId\":1,\"brokerEpoch\":13,\"fenced\":-1}\n");
    a = beat(&w, epoch + 1, epoch, false, false);
    CHECK_EQ(a.error_code, KERR_STALE_BROKER_EPOCH);
    world_end(&w);
}

TEST(controller_brokers, cordoned_directories_are_noted_once)
{
    struct world w;
    struct broker_heartbeat_request m;
    struct broker_heartbeat_response a;

    world_begin(&w, true);
    broker_heartbeat_request_init(&m);
    broker_heartbeat_response_init(&a);
    m.broker_id = 1;
    m.broker_epoch = world_register(&w, 1, 15, -1, true);
    m.want_fence = true;
    m.cordoned_log_dirs_count = 0;
    (void)world_records(&w);
    CHECK_EQ(world_ask(&w, API_BROKER_HEARTBEAT, 2, &m, &a), KERR_NONE);
    CHECK_TEXT(world_records(&w), "BrokerRegistrationChangeRecord v3 "
                                  "{\"brokerId\":1,\"brokerEpoch\":13,\"cordonedLogDirs\":[]}\n");
    CHECK_EQ(world_ask(&w, API_BROKER_HEARTBEAT, 2, &m, &a), KERR_NONE);
    CHECK_TEXT(world_records(&w), "");
    world_end(&w);
}

static void set_min_isr(struct world *w, const char *value)
{
    struct incremental_alter_configs_request_resources_configs c;
    struct incremental_alter_configs_request_resources r;
    struct incremental_alter_configs_request m;
    struct incremental_alter_configs_response a;

    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_response_init(&a);
    incremental_alter_configs_request_resources_init(&r);
    incremental_alter_configs_request_resources_configs_init(&c);
    c.name = STR("min.insync.replicas");
    c.value = str_of(value);
    r.resource_type = 4;
    r.resource_name = STR("");
    r.configs = &c;
    r.configs_count = 1;
    m.resources = &r;
    m.resources_count = 1;
    CHECK_EQ(world_ask(w, API_INCREMENTAL_ALTER_CONFIGS, 1, &m, &a), KERR_NONE);
    CHECK_EQ(a.responses[0].error_code, KERR_NONE);
}

/* The records of a controlled shutdown and of the next start of the only broker, as Kafka 4.3.1
 * writes them: the replica goes to the ELR, and leads again from there. */
TEST(controller_brokers, only_broker_stops_in_order_and_comes_back)
{
    struct world w;
    struct broker_heartbeat_response a;
    enum kerr error;
    int64_t epoch, next;
    char id[UUID_TEXT_BYTES], expected[1000];

    world_begin(&w, true);
    epoch = world_broker(&w, 1);
    (void)world_create(&w, "orders", 1, 1, &error);
    uuid_text(image_topic_find(controller_latest(w.c), STR("orders"))->id, id);
    (void)world_records(&w);
    a = beat(&w, epoch, w.end - 1, false, true);
    CHECK(!a.should_shut_down);
    snprintf(
        expected, sizeof(expected),
        "BrokerRegistrationChangeRecord v1 {\"brokerId\":1,\"brokerEpoch\":13,"
        "\"inControlledShutdown\":1}\n"
        "PartitionChangeRecord v2 {\"partitionId\":0,\"topicId\":\"%s\",\"isr\":[],\"leader\":-1,"
        "\"eligibleLeaderReplicas\":[1],\"lastKnownElr\":[1]}\n",
        id);
    CHECK_TEXT(world_records(&w), expected);
    a = beat(&w, epoch, w.end - 1, false, true);
    CHECK(a.should_shut_down);
    CHECK_TEXT(world_records(&w), "BrokerRegistrationChangeRecord v0 "
                                  "{\"brokerId\":1,\"brokerEpoch\":13,\"fenced\":1}\n");
    next = world_register(&w, 1, 77, epoch, true);
    CHECK(next > epoch);
    (void)world_records(&w);
    a = beat(&w, next, w.end - 1, false, false);
    CHECK(!a.is_fenced);
    snprintf(
        expected, sizeof(expected),
        "BrokerRegistrationChangeRecord v0 {\"brokerId\":1,\"brokerEpoch\":%" PRId64
        ",\"fenced\":-1}\n"
        "PartitionChangeRecord v2 {\"partitionId\":0,\"topicId\":\"%s\",\"isr\":[1],\"leader\":1,"
        "\"eligibleLeaderReplicas\":[],\"lastKnownElr\":[]}\n",
        next, id);
    CHECK_TEXT(world_records(&w), expected);
    world_end(&w);
}

/* After kill -9 the replica may have lost records: it leads again, in recovery, with a new epoch.
 */
TEST(controller_brokers, only_broker_dies_and_leads_again_in_recovery)
{
    struct world w;
    const struct image_partition *p;
    enum kerr error;
    int64_t epoch;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    (void)world_create(&w, "orders", 1, 1, &error);
    epoch = world_register(&w, 1, 77, -1, true);
    p = &image_topic_find(controller_latest(w.c), STR("orders"))->partitions[0];
    CHECK_EQ(p->leader, -1);
    CHECK_EQ(p->isr_count, 0);
    CHECK_EQ(p->elr_count, 0);
    CHECK_EQ(p->last_elr_count, 1);
    CHECK_EQ(world_beat(&w, 1, epoch, false, false), KERR_NONE);
    p = &image_topic_find(controller_latest(w.c), STR("orders"))->partitions[0];
    CHECK_EQ(p->leader, 1);
    CHECK_EQ(p->leader_epoch, 2);
    CHECK_EQ(p->isr_count, 1);
    CHECK_EQ(p->last_elr_count, 0);
    CHECK_EQ(p->recovery_state, 1);
    world_end(&w);
}

/* min.insync.replicas 2: who stops in order stays eligible; who then comes back without knowing its
 * epoch may have lost records, and is not. */
TEST(controller_brokers, eligible_replica_that_died_is_eligible_no_more)
{
    struct world w;
    const struct image_partition *p;
    enum kerr error;
    int64_t epoch;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    epoch = world_broker(&w, 2);
    (void)world_create(&w, "orders", 1, 2, &error);
    set_min_isr(&w, "2");
    CHECK_EQ(world_beat(&w, 2, epoch, true, false), KERR_NONE);
    p = &image_topic_find(controller_latest(w.c), STR("orders"))->partitions[0];
    CHECK_EQ(p->isr_count, 1);
    CHECK_EQ(p->elr_count, 1);
    CHECK_EQ(p->elr[0], 2);
    (void)world_register(&w, 2, 88, epoch, true);
    p = &image_topic_find(controller_latest(w.c), STR("orders"))->partitions[0];
    CHECK_EQ(p->elr_count, 1);
    (void)world_register(&w, 2, 89, -1, true);
    p = &image_topic_find(controller_latest(w.c), STR("orders"))->partitions[0];
    CHECK_EQ(p->elr_count, 0);
    CHECK_EQ(p->leader, 1);
    world_end(&w);
}

/* A broker may stop only when every other one has seen that it leads nothing any more. */
TEST(controller_brokers, broker_that_stops_waits_for_the_slowest)
{
    struct world w;
    struct broker_heartbeat_response a;
    enum kerr error;
    int64_t first, second, began;

    world_begin(&w, true);
    first = world_broker(&w, 1);
    second = world_broker(&w, 2);
    (void)world_create(&w, "orders", 2, 2, &error);
    began = w.end;
    a = beat(&w, first, w.end - 1, false, true);
    CHECK(!a.should_shut_down);
    CHECK(w.end > began);
    a = beat(&w, first, w.end - 1, false, true);
    CHECK(!a.should_shut_down); /* broker 2 has not told of having seen it */
    CHECK_EQ(world_beat(&w, 2, second, false, false), KERR_NONE);
    a = beat(&w, first, w.end - 1, false, true);
    CHECK(a.should_shut_down);
    CHECK(a.is_fenced);
    world_end(&w);
}

TEST(controller_brokers, silent_broker_is_fenced)
{
    struct world w;
    enum kerr error;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    (void)world_broker(&w, 2);
    (void)world_create(&w, "orders", 4, 2, &error);
    CHECK_EQ(error, KERR_NONE);
    w.now_ms += 5000;
    CHECK_EQ(world_beat(&w, 1, image_broker_find(controller_latest(w.c), 1)->epoch, false, false),
             KERR_NONE);
    w.now_ms += 4000;
    world_commit(&w);
    CHECK(image_broker_find(controller_latest(w.c), 2)->fenced);
    CHECK(!image_broker_find(controller_latest(w.c), 1)->fenced);
    for (int32_t i = 0; i < 4; i++) {
        const struct image_partition *p =
            &image_topic_find(controller_latest(w.c), STR("orders"))->partitions[i];
        CHECK_EQ(p->leader, 1);
        CHECK_EQ(p->isr_count, 1);
        CHECK_EQ(p->elr_count, 0); /* min.insync.replicas is 1 */
    }
    world_end(&w);
}

TEST(controller_brokers, unregistered_broker_leaves_all_isrs)
{
    struct world w;
    struct unregister_broker_request m;
    struct unregister_broker_response a;
    enum kerr error;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    (void)world_broker(&w, 2);
    (void)world_create(&w, "orders", 2, 2, &error);
    unregister_broker_request_init(&m);
    unregister_broker_response_init(&a);
    m.broker_id = 3;
    CHECK_EQ(world_ask(&w, API_UNREGISTER_BROKER, 0, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_BROKER_ID_NOT_REGISTERED);
    CHECK_TEXT(a.error_message, "Broker ID 3 is not currently registered");
    m.broker_id = 2;
    unregister_broker_response_init(&a);
    CHECK_EQ(world_ask(&w, API_UNREGISTER_BROKER, 0, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
    CHECK(image_broker_find(controller_latest(w.c), 2) == NULL);
    for (int32_t i = 0; i < 2; i++)
        CHECK_EQ(image_topic_find(controller_latest(w.c), STR("orders"))->partitions[i].isr_count,
                 1);
    world_end(&w);
}

/* What has become of it meanwhile nobody knows: it is not eligible with what it comes back with. */
TEST(controller_brokers, unregistered_broker_comes_back_as_one_that_died)
{
    struct world w;
    struct unregister_broker_request m;
    struct unregister_broker_response a;
    const struct image_partition *p;
    enum kerr error;

    world_begin(&w, true);
    (void)world_broker(&w, 1);
    (void)world_create(&w, "orders", 1, 1, &error);
    unregister_broker_request_init(&m);
    unregister_broker_response_init(&a);
    m.broker_id = 1;
    CHECK_EQ(world_ask(&w, API_UNREGISTER_BROKER, 0, &m, &a), KERR_NONE);
    (void)world_broker(&w, 1);
    p = &image_topic_find(controller_latest(w.c), STR("orders"))->partitions[0];
    CHECK_EQ(p->leader, 1);
    CHECK_EQ(p->recovery_state, 1);
    world_end(&w);
}

/* ---- directories -------------------------------------------------------------------------------
 */

TEST(controller_brokers, replicas_are_assigned_to_directories)
{
    struct world w;
    struct assign_replicas_to_dirs_request_directories_topics_partitions parts[2];
    struct assign_replicas_to_dirs_request_directories_topics topics[2];
    struct assign_replicas_to_dirs_request_directories dir;
    struct assign_replicas_to_dirs_request m;
    struct assign_replicas_to_dirs_response a;
    enum kerr error;

    world_begin(&w, true);
    assign_replicas_to_dirs_request_init(&m);
    assign_replicas_to_dirs_response_init(&a);
    assign_replicas_to_dirs_request_directories_init(&dir);
    for (int i = 0; i < 2; i++) {
        assign_replicas_to_dirs_request_directories_topics_init(&topics[i]);
        assign_replicas_to_dirs_request_directories_topics_partitions_init(&parts[i]);
        parts[i].partition_index = i;
        topics[i].partitions = parts;
        topics[i].partitions_count = 2;
    }
    m.broker_id = 1;
    m.broker_epoch = world_broker(&w, 1);
    (void)world_create(&w, "orders", 1, 1, &error);
    topics[0].topic_id = image_topic_find(controller_latest(w.c), STR("orders"))->id;
    topics[1].topic_id = world_id(200);
    dir.id = world_id(11);
    dir.topics = topics;
    dir.topics_count = 2;
    m.directories = &dir;
    m.directories_count = 1;
    CHECK_EQ(world_ask(&w, API_ASSIGN_REPLICAS_TO_DIRS, 0, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
    CHECK_EQ(a.directories[0].topics[0].partitions[0].error_code, KERR_NONE);
    CHECK_EQ(a.directories[0].topics[0].partitions[1].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(a.directories[0].topics[1].partitions[0].error_code, KERR_UNKNOWN_TOPIC_ID);
    CHECK(uuid_equal(
        image_topic_find(controller_latest(w.c), STR("orders"))->partitions[0].directories[0],
        dir.id));
    (void)world_records(&w);
    CHECK_EQ(world_ask(&w, API_ASSIGN_REPLICAS_TO_DIRS, 0, &m, &a), KERR_NONE);
    CHECK_TEXT(world_records(&w), ""); /* it lies there already */
    m.broker_epoch++;
    CHECK_EQ(world_ask(&w, API_ASSIGN_REPLICAS_TO_DIRS, 0, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_STALE_BROKER_EPOCH);
    world_end(&w);
}

TEST(controller_brokers, directory_that_fails_takes_its_replicas_along)
{
    struct world w;
    struct broker_heartbeat_request m;
    struct broker_heartbeat_response a;
    struct uuid lost[] = {world_id(10)};
    const struct image_topic *topic;
    enum kerr error;

    world_begin(&w, true);
    broker_heartbeat_request_init(&m);
    broker_heartbeat_response_init(&a);
    m.broker_id = 1;
    m.broker_epoch = world_register(&w, 1, 15, -1, false); /* one directory: all lies there */
    CHECK_EQ(world_beat(&w, 1, m.broker_epoch, false, false), KERR_NONE);
    (void)world_create(&w, "first", 1, 1, &error);
    CHECK(uuid_equal(
        image_topic_find(controller_latest(w.c), STR("first"))->partitions[0].directories[0],
        lost[0]));
    CHECK_EQ(world_register(&w, 1, 15, -1, true), m.broker_epoch); /* and a second one */
    (void)world_create(&w, "second", 1, 1, &error);
    m.offline_log_dirs = lost;
    m.offline_log_dirs_count = 1;
    m.current_metadata_offset = w.end - 1;
    CHECK_EQ(world_ask(&w, API_BROKER_HEARTBEAT, 2, &m, &a), KERR_NONE);
    CHECK_EQ(image_broker_find(controller_latest(w.c), 1)->directory_count, 1);
    topic = image_topic_find(controller_latest(w.c), STR("first"));
    CHECK_EQ(topic->partitions[0].leader, -1);
    topic = image_topic_find(controller_latest(w.c), STR("second"));
    CHECK_EQ(topic->partitions[0].leader, 1);
    world_end(&w);
}
