/* Replicas in directories: what a broker tells, and who leads then (KIP-858). */
#include "world.h"

#include "protocol/assign_replicas_to_dirs.h"
#include "protocol/broker_heartbeat.h"

static const struct uuid lost = {{[15] = 2}};

/* Broker 1 says that partition 0 of the topic lies there. */
static void assign(struct world *w, int64_t epoch, const char *topic, struct uuid directory)
{
    struct assign_replicas_to_dirs_request_directories_topics_partitions partition;
    struct assign_replicas_to_dirs_request_directories_topics t;
    struct assign_replicas_to_dirs_request_directories dir;
    struct assign_replicas_to_dirs_request m;
    struct assign_replicas_to_dirs_response a;

    assign_replicas_to_dirs_request_init(&m);
    assign_replicas_to_dirs_response_init(&a);
    assign_replicas_to_dirs_request_directories_init(&dir);
    assign_replicas_to_dirs_request_directories_topics_init(&t);
    assign_replicas_to_dirs_request_directories_topics_partitions_init(&partition);
    m.broker_id = 1;
    m.broker_epoch = epoch;
    m.directories = &dir;
    m.directories_count = 1;
    dir.id = directory;
    dir.topics = &t;
    dir.topics_count = 1;
    t.topic_id = image_topic_find(controller_latest(w->c), str_of(topic))->id;
    t.partitions = &partition;
    t.partitions_count = 1;
    CHECK_EQ(world_ask(w, API_ASSIGN_REPLICAS_TO_DIRS, 0, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
    CHECK_EQ(a.directories[0].topics[0].partitions[0].error_code, KERR_NONE);
}

static void fail_dir(struct world *w, int64_t epoch, struct uuid directory)
{
    struct broker_heartbeat_request m;
    struct broker_heartbeat_response a;

    broker_heartbeat_request_init(&m);
    broker_heartbeat_response_init(&a);
    m.broker_id = 1;
    m.broker_epoch = epoch;
    m.offline_log_dirs = &directory;
    m.offline_log_dirs_count = 1;
    m.current_metadata_offset = w->end - 1;
    CHECK_EQ(world_ask(w, API_BROKER_HEARTBEAT, 2, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
}

static int32_t leader_of(const struct world *w, const char *topic)
{
    return image_topic_find(controller_latest(w->c), str_of(topic))->partitions[0].leader;
}

/* Broker 1 with directories 10 and 11, unfenced. */
static int64_t begin(struct world *w)
{
    world_begin(w, true);
    int64_t epoch = world_register(w, 1, 15, -1, true);
    CHECK_EQ(world_beat(w, 1, epoch, false, false), KERR_NONE);
    return epoch;
}

/* The directory failed before the controller knew what lay in it. */
TEST(controller_dirs, replica_said_to_lie_in_a_failed_one_leads_no_more)
{
    struct world w;
    enum kerr error;
    int64_t epoch = begin(&w);

    (void)world_create(&w, "orders", 1, 1, &error);
    fail_dir(&w, epoch, world_id(10));
    CHECK_EQ(leader_of(&w, "orders"), 1); /* it may lie in the other one */
    assign(&w, epoch, "orders", world_id(10));
    CHECK_EQ(leader_of(&w, "orders"), -1);
    world_end(&w);
}

TEST(controller_dirs, lost_replica_leads_again_where_it_is_found)
{
    struct world w;
    enum kerr error;
    int64_t epoch = begin(&w);

    (void)world_create(&w, "orders", 1, 1, &error);
    (void)world_create(&w, "others", 1, 1, &error);
    assign(&w, epoch, "others", world_id(11));
    assign(&w, epoch, "orders", lost);
    CHECK_EQ(leader_of(&w, "orders"), -1);
    CHECK_EQ(leader_of(&w, "others"), 1);
    assign(&w, epoch, "orders", world_id(11));
    CHECK_EQ(leader_of(&w, "orders"), 1);
    assign(&w, epoch, "orders", world_id(10)); /* moved: nothing changes but the place */
    CHECK_EQ(leader_of(&w, "orders"), 1);
    CHECK_EQ(image_topic_find(controller_latest(w.c), STR("orders"))->partitions[0].leader_epoch, 2);
    world_end(&w);
}

TEST(controller_dirs, fenced_broker_is_not_elected_by_telling_where_replicas_lie)
{
    struct world w;
    enum kerr error;
    int64_t epoch = begin(&w);

    (void)world_create(&w, "orders", 1, 1, &error);
    assign(&w, epoch, "orders", lost);
    CHECK_EQ(world_beat(&w, 1, epoch, true, false), KERR_NONE);
    assign(&w, epoch, "orders", world_id(10));
    CHECK_EQ(leader_of(&w, "orders"), -1);
    CHECK_EQ(world_beat(&w, 1, epoch, false, false), KERR_NONE);
    CHECK_EQ(leader_of(&w, "orders"), 1);
    world_end(&w);
}

/* Its leader has heard its Fetch of before, and not yet that the directory has failed. */
TEST(controller_dirs, replica_in_a_failed_one_does_not_come_into_the_isr)
{
    static const int32_t both[] = {2, 1};
    struct world w;
    struct proposal p;
    int64_t epoch = begin(&w);

    w.epochs[1] = epoch;
    (void)world_broker(&w, 2);
    world_create_on(&w, "orders", both, 2);
    assign(&w, epoch, "orders", world_id(10));
    fail_dir(&w, epoch, world_id(10));
    CHECK_TEXT(world_show(&w, "orders"), "2@0.2 on 2 1 isr 2");
    p = world_proposal(&w, "orders", 0, both, 2);
    CHECK_EQ(world_propose(&w, &p), KERR_INELIGIBLE_REPLICA);
    assign(&w, epoch, "orders", world_id(11));
    p = world_proposal(&w, "orders", 0, both, 2);
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    world_end(&w);
}
