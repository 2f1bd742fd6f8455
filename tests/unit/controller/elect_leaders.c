/* Elections that are asked for, and those from time to time. */
#include "world.h"

#include "protocol/alter_partition.h"
#include "protocol/elect_leaders.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/update_features.h"

enum { PREFERRED, UNCLEAN };

static void set_unclean(struct world *w, const char *topic)
{
    struct incremental_alter_configs_request_resources_configs c;
    struct incremental_alter_configs_request_resources r;
    struct incremental_alter_configs_request m;
    struct incremental_alter_configs_response a;

    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_response_init(&a);
    incremental_alter_configs_request_resources_init(&r);
    incremental_alter_configs_request_resources_configs_init(&c);
    c.name = STR("unclean.leader.election.enable");
    c.value = STR("true");
    r.resource_type = 2;
    r.resource_name = str_of(topic);
    r.configs = &c;
    r.configs_count = 1;
    m.resources = &r;
    m.resources_count = 1;
    CHECK_EQ(world_ask(w, API_INCREMENTAL_ALTER_CONFIGS, 1, &m, &a), KERR_NONE);
}

static enum kerr elect_partition(struct world *w, const char *topic, int32_t partition, int8_t type)
{
    struct elect_leaders_request m;
    struct elect_leaders_request_topic_partitions t;
    struct elect_leaders_response a;

    elect_leaders_request_init(&m);
    elect_leaders_request_topic_partitions_init(&t);
    elect_leaders_response_init(&a);
    t.topic = str_of(topic);
    t.partitions = &partition;
    t.partitions_count = 1;
    m.election_type = type;
    m.topic_partitions = &t;
    m.topic_partitions_count = 1;
    CHECK_EQ(world_ask(w, API_ELECT_LEADERS, 2, &m, &a), KERR_NONE);
    CHECK_EQ(a.replica_election_results_count, 1);
    CHECK_EQ(a.replica_election_results[0].partition_result_count, 1);
    CHECK_EQ(a.replica_election_results[0].partition_result[0].partition_id, partition);
    return (enum kerr)a.replica_election_results[0].partition_result[0].error_code;
}

static void restart(struct world *w, int32_t id, bool in_order)
{
    int64_t known = in_order ? image_broker_find(controller_latest(w->c), id)->epoch : -1;

    w->epochs[id] = world_register(w, id, (uint8_t)w->end, known, true); /* never the same */
}

static void unfence(struct world *w, int32_t id)
{
    CHECK_EQ(world_beat(w, id, w->epochs[id], false, false), KERR_NONE);
}

/* Broker 1 was away, and is in sync again: 2 leads orders. */
static void begin(struct world *w)
{
    struct proposal p;

    world_begin(w, true);
    for (int32_t id = 1; id <= 3; id++)
        (void)world_broker(w, id);
    world_create_on(w, "orders", (int32_t[]){1, 2, 3}, 3);
    restart(w, 1, true);
    unfence(w, 1);
    CHECK_TEXT(world_show(w, "orders"), "2@1.1 on 1 2 3 isr 2 3");
    CHECK_EQ(elect_partition(w, "orders", 0, PREFERRED), KERR_PREFERRED_LEADER_NOT_AVAILABLE);
    p = world_proposal(w, "orders", 0, (int32_t[]){2, 3, 1}, 3);
    CHECK_EQ(world_propose(w, &p), KERR_NONE);
}

TEST(controller_elect_leaders, preferred_leader_leads_again)
{
    struct world w;

    begin(&w);
    CHECK_EQ(elect_partition(&w, "orders", 0, UNCLEAN), KERR_ELECTION_NOT_NEEDED);
    CHECK_EQ(elect_partition(&w, "orders", 0, PREFERRED), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@2.3 on 1 2 3 isr 2 3 1");
    CHECK_EQ(elect_partition(&w, "orders", 0, PREFERRED), KERR_ELECTION_NOT_NEEDED);
    CHECK_EQ(elect_partition(&w, "orders", 1, PREFERRED), KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_EQ(elect_partition(&w, "none", 0, PREFERRED), KERR_UNKNOWN_TOPIC_OR_PARTITION);
    world_end(&w);
}

TEST(controller_elect_leaders, type_must_be_known)
{
    struct elect_leaders_request m;
    struct elect_leaders_response a;
    struct world w;

    begin(&w);
    elect_leaders_request_init(&m);
    elect_leaders_response_init(&a);
    m.election_type = 2;
    m.topic_partitions_count = -1;
    CHECK_EQ(world_ask(&w, API_ELECT_LEADERS, 2, &m, &a), KERR_INVALID_REQUEST);
    world_end(&w);
}

/* No partition named: all; those that need no election are not told of. */
TEST(controller_elect_leaders, all_partitions)
{
    struct elect_leaders_request m;
    struct elect_leaders_response a;
    struct world w;

    begin(&w);
    world_create_on(&w, "others", (int32_t[]){3, 2}, 2);
    elect_leaders_request_init(&m);
    elect_leaders_response_init(&a);
    m.election_type = PREFERRED;
    m.topic_partitions_count = -1;
    CHECK_EQ(world_ask(&w, API_ELECT_LEADERS, 2, &m, &a), KERR_NONE);
    CHECK_EQ(a.replica_election_results_count, 2);
    CHECK_TEXT(a.replica_election_results[0].topic, "orders");
    CHECK_EQ(a.replica_election_results[0].partition_result_count, 1);
    CHECK_EQ(a.replica_election_results[0].partition_result[0].error_code, KERR_NONE);
    CHECK_EQ(a.replica_election_results[1].partition_result_count, 0);
    CHECK_TEXT(world_show(&w, "orders"), "1@2.3 on 1 2 3 isr 2 3 1");
    world_end(&w);
}

/* Only where there is no leader; the one that leads then is alone, and has to recover. */
TEST(controller_elect_leaders, unclean_leader_when_an_operator_wants_it)
{
    struct world w;

    begin(&w);
    world_create_on(&w, "lone", (int32_t[]){2, 3}, 2);
    struct proposal p = world_proposal(&w, "lone", 0, (int32_t[]){2}, 1);
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    restart(&w, 2, true);
    CHECK_TEXT(world_show(&w, "lone"), "-1@1.2 on 2 3 elr 2 last 2");
    CHECK_EQ(elect_partition(&w, "lone", 0, PREFERRED), KERR_PREFERRED_LEADER_NOT_AVAILABLE);
    CHECK_EQ(elect_partition(&w, "lone", 0, UNCLEAN), KERR_NONE);
    CHECK_TEXT(world_show(&w, "lone"), "3@2.3 on 2 3 isr 3 recovering");
    CHECK_EQ(controller_elections(w.c).unclean, 1);
    restart(&w, 3, false);
    CHECK_TEXT(world_show(&w, "lone"), "-1@3.4 on 2 3 last 3 recovering");
    CHECK_EQ(elect_partition(&w, "lone", 0, UNCLEAN), KERR_ELIGIBLE_LEADERS_NOT_AVAILABLE);
    world_end(&w);
}

/* Nobody is eligible any more then, but where nobody leads who was so still has all. */
TEST(controller_elect_leaders, who_was_eligible_leads_also_when_elr_was_switched_off)
{
    struct update_features_request m;
    struct update_features_request_feature_updates u;
    struct update_features_response a;
    struct world w;

    begin(&w);
    world_create_on(&w, "lone", (int32_t[]){2, 3}, 2);
    struct proposal p = world_proposal(&w, "lone", 0, (int32_t[]){2}, 1);
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    restart(&w, 2, true);
    update_features_request_init(&m);
    update_features_request_feature_updates_init(&u);
    update_features_response_init(&a);
    u.feature = STR("eligible.leader.replicas.version");
    u.upgrade_type = 2; /* safe downgrade */
    m.feature_updates = &u;
    m.feature_updates_count = 1;
    CHECK_EQ(world_ask(&w, API_UPDATE_FEATURES, 2, &m, &a), KERR_NONE);
    CHECK_EQ(a.error_code, KERR_NONE);
    restart(&w, 3, true);
    unfence(&w, 3);
    CHECK_TEXT(world_show(&w, "lone"), "-1@1.2 on 2 3 elr 2 last 2"); /* not 3 */
    unfence(&w, 2);
    CHECK_TEXT(world_show(&w, "lone"), "2@2.3 on 2 3 isr 2");
    p = world_proposal(&w, "lone", 0, (int32_t[]){2, 3}, 2);
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    p = world_proposal(&w, "lone", 0, (int32_t[]){2}, 1);
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    CHECK_TEXT(world_show(&w, "lone"), "2@2.5 on 2 3 isr 2"); /* and nobody becomes eligible anew */
    world_end(&w);
}

static void tick(struct world *w, int64_t forward_ms)
{
    w->now_ms += forward_ms;
    for (int32_t id = 1; id <= 3; id++) {
        if (!image_broker_find(controller_latest(w->c), id)->fenced)
            CHECK_EQ(world_beat(w, id, w->epochs[id], false, false), KERR_NONE);
    }
    world_commit(w);
}

TEST(controller_elect_leaders, preferred_leaders_come_back_by_themselves)
{
    struct world w;

    begin(&w);
    for (int i = 0; i < 59; i++)
        tick(&w, 5000);
    CHECK_TEXT(world_show(&w, "orders"), "2@1.2 on 1 2 3 isr 2 3 1");
    tick(&w, 5000); /* 300 seconds */
    CHECK_TEXT(world_show(&w, "orders"), "1@2.3 on 1 2 3 isr 2 3 1");
    world_end(&w);
}

TEST(controller_elect_leaders, unclean_ones_where_the_topic_allows_it)
{
    struct world w;

    begin(&w);
    world_create_on(&w, "lone", (int32_t[]){2, 3}, 2);
    world_create_on(&w, "safe", (int32_t[]){2, 3}, 2);
    for (int i = 0; i < 2; i++) {
        struct proposal p =
            world_proposal(&w, i == 0 ? "lone" : "safe", 0, (int32_t[]){2}, 1);
        CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    }
    restart(&w, 2, true);
    set_unclean(&w, "lone"); /* from the next round on */
    tick(&w, 5000);
    CHECK_TEXT(world_show(&w, "lone"), "-1@1.2 on 2 3 elr 2 last 2");
    for (int i = 0; i < 59; i++)
        tick(&w, 5000);
    CHECK_TEXT(world_show(&w, "lone"), "3@2.3 on 2 3 isr 3 recovering");
    CHECK_TEXT(world_show(&w, "safe"), "-1@1.2 on 2 3 elr 2 last 2");
    world_end(&w);
}

#define MANY 2500

/* Broker 2, which leads all partitions of the topic, takes broker 1 back into their ISRs. */
static void take_back(struct world *w, const char *topic)
{
    struct alter_partition_request_topics_partitions *parts =
        arena_take_array(&w->arena, MANY, sizeof(*parts));
    struct alter_partition_request_topics t;
    struct alter_partition_request m;
    struct alter_partition_response a;
    int32_t isr[] = {2, 1};

    alter_partition_request_init(&m);
    alter_partition_request_topics_init(&t);
    alter_partition_response_init(&a);
    for (int32_t i = 0; i < MANY; i++) {
        const struct image_partition *p = world_partition(w, topic, i);
        alter_partition_request_topics_partitions_init(&parts[i]);
        parts[i].partition_index = i;
        parts[i].leader_epoch = p->leader_epoch;
        parts[i].partition_epoch = p->partition_epoch;
        parts[i].new_isr = isr;
        parts[i].new_isr_count = 2;
    }
    t.topic_id = image_topic_find(controller_latest(w->c), str_of(topic))->id;
    t.partitions = parts;
    t.partitions_count = MANY;
    m.broker_id = 2;
    m.broker_epoch = w->epochs[2];
    m.topics = &t;
    m.topics_count = 1;
    CHECK_EQ(world_ask(w, API_ALTER_PARTITION, 2, &m, &a), KERR_NONE);
    for (int32_t i = 0; i < MANY; i++)
        CHECK_EQ(a.topics[0].partitions[i].error_code, KERR_NONE);
}

/* A round is bounded; the next one follows at once. */
TEST(controller_elect_leaders, many_in_rounds)
{
    struct world w;
    enum kerr error;
    int32_t wanted = 0;

    begin(&w);
    restart(&w, 3, true);
    (void)world_create(&w, "many", MANY, 2, &error); /* on 1 and 2 */
    CHECK_EQ(error, KERR_NONE);
    restart(&w, 1, true);
    unfence(&w, 1);
    take_back(&w, "many");
    for (int32_t i = 0; i < MANY; i++)
        wanted += world_partition(&w, "many", i)->replicas[0] == 1;
    CHECK(wanted > 1000); /* more than one round */
    for (int i = 0; i < 59; i++)
        tick(&w, 5000);
    w.now_ms += 5000;
    w.appends = 0;
    CHECK_EQ(controller_tick(w.c, w.now_ms), w.now_ms);
    CHECK_EQ(w.appends, 1);
    CHECK(controller_tick(w.c, w.now_ms) > w.now_ms);
    CHECK_EQ(w.appends, 2);
    for (int32_t i = 0; i < MANY; i++)
        CHECK_EQ(world_partition(&w, "many", i)->leader, world_partition(&w, "many", i)->replicas[0]);
    world_end(&w);
}
