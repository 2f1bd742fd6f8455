/* AlterPartition: what a leader may propose, and what becomes of it. */
#include "world.h"

#include <stdio.h>

#include "protocol/alter_partition.h"
#include "protocol/incremental_alter_configs.h"

static void set_topic(struct world *w, const char *topic, const char *name, const char *value)
{
    struct incremental_alter_configs_request_resources_configs c;
    struct incremental_alter_configs_request_resources r;
    struct incremental_alter_configs_request m;
    struct incremental_alter_configs_response a;

    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_response_init(&a);
    incremental_alter_configs_request_resources_init(&r);
    incremental_alter_configs_request_resources_configs_init(&c);
    c.name = str_of(name);
    c.value = str_of(value);
    r.resource_type = 2;
    r.resource_name = str_of(topic);
    r.configs = &c;
    r.configs_count = 1;
    m.resources = &r;
    m.resources_count = 1;
    CHECK_EQ(world_ask(w, API_INCREMENTAL_ALTER_CONFIGS, 1, &m, &a), KERR_NONE);
    CHECK_EQ(a.responses[0].error_code, KERR_NONE);
    text_clear(&w->records);
}

/* Brokers 1, 2 and 3 with topic orders; 1 leads. */
static void begin(struct world *w)
{
    world_begin(w, true);
    for (int32_t id = 1; id <= 3; id++)
        (void)world_broker(w, id);
    world_create_on(w, "orders", (int32_t[]){1, 2, 3}, 3);
}

static enum kerr propose(struct world *w, const int32_t *isr, int32_t count)
{
    struct proposal p = world_proposal(w, "orders", 0, isr, count);

    return world_propose(w, &p);
}

#define ONE ((int32_t[]){1})
#define ONE_TWO ((int32_t[]){1, 2})
#define ALL ((int32_t[]){1, 2, 3})

/* The record says what changed, and only that. */
TEST(controller_alter_partition, isr_shrinks_and_grows)
{
    struct world w;
    char id[UUID_TEXT_BYTES], expected[300];

    begin(&w);
    uuid_text(image_topic_find(controller_latest(w.c), STR("orders"))->id, id);
    CHECK_EQ(propose(&w, ONE_TWO, 2), KERR_NONE);
    snprintf(expected, sizeof(expected),
             "PartitionChangeRecord v2 {\"partitionId\":0,\"topicId\":\"%s\",\"isr\":[1,2]}\n", id);
    CHECK_TEXT(world_records(&w), expected);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 1 2 3 isr 1 2");
    CHECK_EQ(propose(&w, ALL, 3), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.2 on 1 2 3 isr 1 2 3");
    (void)world_records(&w);
    CHECK_EQ(propose(&w, ALL, 3), KERR_NONE); /* it is so already */
    CHECK_TEXT(world_records(&w), "");
    world_end(&w);
}

struct row {
    const char *what;
    enum kerr error;
};

static void spoil(struct world *w, const char *what, struct proposal *p)
{
    if (strcmp(what, "sender unknown") == 0)
        p->sender = 9;
    if (strcmp(what, "sender's epoch old") == 0)
        p->sender_epoch--;
    if (strcmp(what, "topic") == 0)
        p->topic = world_id(200);
    if (strcmp(what, "partition") == 0)
        p->partition = 1;
    if (strcmp(what, "leader epoch ahead") == 0)
        p->leader_epoch++;
    if (strcmp(what, "partition epoch ahead") == 0)
        p->partition_epoch++;
    if (strcmp(what, "leader epoch old") == 0)
        p->leader_epoch--;
    if (strcmp(what, "partition epoch old") == 0)
        p->partition_epoch--;
    if (strcmp(what, "sender does not lead") == 0) {
        p->sender = 2;
        p->sender_epoch = w->epochs[2];
    }
    if (strcmp(what, "twice") == 0)
        p->isr[1] = 1;
    if (strcmp(what, "no replica") == 0)
        p->isr[1] = 4;
    if (strcmp(what, "without leader") == 0)
        p->isr[0] = 3;
    if (strcmp(what, "empty") == 0)
        p->count = 0;
    if (strcmp(what, "recovering") == 0)
        p->recovery = 1;
    if (strcmp(what, "recovery unknown") == 0)
        p->recovery = 2;
    if (strcmp(what, "member's epoch old") == 0)
        p->epochs[1]--;
    if (strcmp(what, "member's epoch not told") == 0)
        p->epochs[1] = -1;
}

TEST(controller_alter_partition, every_row)
{
    static const struct row rows[] = {
        {"sender unknown", KERR_STALE_BROKER_EPOCH},
        {"sender's epoch old", KERR_STALE_BROKER_EPOCH},
        {"topic", KERR_UNKNOWN_TOPIC_ID},
        {"partition", KERR_UNKNOWN_TOPIC_OR_PARTITION},
        {"leader epoch ahead", KERR_NOT_CONTROLLER},
        {"partition epoch ahead", KERR_NOT_CONTROLLER},
        {"leader epoch old", KERR_FENCED_LEADER_EPOCH},
        {"sender does not lead", KERR_INVALID_REQUEST},
        {"partition epoch old", KERR_INVALID_UPDATE_VERSION},
        {"twice", KERR_INVALID_REQUEST},
        {"no replica", KERR_INVALID_REQUEST},
        {"without leader", KERR_INVALID_REQUEST},
        {"empty", KERR_INVALID_REQUEST},
        {"recovering", KERR_INVALID_REQUEST},
        {"recovery unknown", KERR_INVALID_REQUEST},
        {"member's epoch old", KERR_INELIGIBLE_REPLICA},
    };
    struct world w;

    begin(&w);
    (void)world_broker(&w, 4);
    CHECK_EQ(propose(&w, ONE, 1), KERR_NONE);
    (void)world_records(&w);
    for (size_t i = 0; i < array_count(rows); i++) {
        struct proposal p = world_proposal(&w, "orders", 0, ONE_TWO, 2);
        enum kerr error;
        spoil(&w, rows[i].what, &p);
        error = world_propose(&w, &p);
        if (error != rows[i].error)
            check_fail(__FILE__, __LINE__, "%s: %s", rows[i].what, kerr_name((int16_t)error));
    }
    CHECK_TEXT(world_records(&w), "");
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 1 2 3 isr 1");
    world_end(&w);
}

TEST(controller_alter_partition, epoch_that_is_not_told_is_not_checked)
{
    struct world w;
    struct proposal p;

    begin(&w);
    CHECK_EQ(propose(&w, ONE, 1), KERR_NONE);
    p = world_proposal(&w, "orders", 0, ONE_TWO, 2);
    spoil(&w, "member's epoch not told", &p);
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    p = world_proposal(&w, "orders", 0, ALL, 3);
    p.version = 2; /* has none at all */
    CHECK_EQ(world_propose(&w, &p), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.3 on 1 2 3 isr 1 2 3");
    world_end(&w);
}

/* KIP-841: who is fenced, shuts down, has another incarnation by now or is gone does not come into the ISR. */
TEST(controller_alter_partition, only_living_brokers_come_into_the_isr)
{
    struct world w;
    struct proposal seen;
    int64_t epoch;

    begin(&w);
    CHECK_EQ(world_beat(&w, 2, w.epochs[2], true, false), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 1 2 3 isr 1 3");
    CHECK_EQ(propose(&w, ALL, 3), KERR_INELIGIBLE_REPLICA);
    CHECK_EQ(world_beat(&w, 2, w.epochs[2], false, false), KERR_NONE);
    seen = world_proposal(&w, "orders", 0, ALL, 3);
    epoch = world_register(&w, 2, 99, w.epochs[2], true);
    CHECK_EQ(world_beat(&w, 2, epoch, false, false), KERR_NONE);
    CHECK_EQ(world_propose(&w, &seen), KERR_INELIGIBLE_REPLICA); /* the leader has seen the old one */
    CHECK_EQ(propose(&w, ALL, 3), KERR_NONE);
    world_create_on(&w, "others", (int32_t[]){3}, 1);
    CHECK_EQ(world_beat(&w, 3, w.epochs[3], false, true), KERR_NONE); /* leads: shuts down in order */
    CHECK(!image_broker_find(controller_latest(w.c), 3)->fenced);
    CHECK_EQ(propose(&w, ALL, 3), KERR_INELIGIBLE_REPLICA);
    world_end(&w);
}

/* KIP-966: below min.insync.replicas who leaves the ISR stays eligible, until there are enough again. */
TEST(controller_alter_partition, who_leaves_a_small_isr_stays_eligible)
{
    struct world w;

    begin(&w);
    set_topic(&w, "orders", "min.insync.replicas", "2");
    CHECK_EQ(propose(&w, ONE_TWO, 2), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 1 2 3 isr 1 2");
    CHECK_EQ(propose(&w, ONE, 1), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.2 on 1 2 3 isr 1 elr 2");
    CHECK_EQ(world_beat(&w, 1, w.epochs[1], true, false), KERR_NONE); /* 2 has all that was committed */
    CHECK_TEXT(world_show(&w, "orders"), "2@1.3 on 1 2 3 isr 2 elr 1");
    CHECK_EQ(propose(&w, ((int32_t[]){2, 3}), 2), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "2@1.4 on 1 2 3 isr 2 3");
    world_end(&w);
}

/* A new number clears who is eligible by the old one; but who led a partition last that nobody leads now has all. */
TEST(controller_alter_partition, new_min_isr_leaves_the_last_leader)
{
    struct world w;

    begin(&w);
    world_create_on(&w, "led", (int32_t[]){1, 2, 3}, 3);
    set_topic(&w, "orders", "min.insync.replicas", "2");
    set_topic(&w, "led", "min.insync.replicas", "2");
    CHECK_EQ(world_beat(&w, 3, w.epochs[3], true, false), KERR_NONE);
    CHECK_EQ(world_beat(&w, 2, w.epochs[2], true, false), KERR_NONE);
    CHECK_EQ(world_beat(&w, 1, w.epochs[1], true, false), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "-1@1.3 on 1 2 3 elr 2 1 last 1");
    CHECK_EQ(world_beat(&w, 2, w.epochs[2], false, false), KERR_NONE);
    CHECK_TEXT(world_show(&w, "led"), "2@2.4 on 1 2 3 isr 2 elr 1");
    CHECK_EQ(world_beat(&w, 2, w.epochs[2], true, false), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "-1@3.5 on 1 2 3 elr 1 2 last 2");
    set_topic(&w, "orders", "min.insync.replicas", "1");
    CHECK_TEXT(world_show(&w, "orders"), "-1@3.7 on 1 2 3 elr 2 last 2");
    CHECK_EQ(world_beat(&w, 1, w.epochs[1], false, false), KERR_NONE); /* it may lack records now */
    CHECK_TEXT(world_show(&w, "orders"), "-1@3.7 on 1 2 3 elr 2 last 2");
    CHECK_EQ(world_beat(&w, 2, w.epochs[2], false, false), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "2@4.8 on 1 2 3 isr 2");
    world_end(&w);
}

/* An unclean leader stays alone until it has recovered. */
TEST(controller_alter_partition, leader_recovers_alone)
{
    struct world w;
    struct proposal p;
    int64_t epoch;

    begin(&w);
    set_topic(&w, "orders", "unclean.leader.election.enable", "true");
    CHECK_EQ(propose(&w, ONE, 1), KERR_NONE);
    epoch = world_register(&w, 1, 99, -1, true); /* killed: what it had may be lost */
    CHECK_TEXT(world_show(&w, "orders"), "2@1.2 on 1 2 3 isr 2 recovering");
    CHECK_EQ(world_beat(&w, 1, epoch, false, false), KERR_NONE);
    p = world_proposal(&w, "orders", 0, ((int32_t[]){2, 1}), 2);
    p.recovery = 1;
    CHECK_EQ(world_propose(&w, &p), KERR_INVALID_REQUEST);
    CHECK_EQ(propose(&w, ((int32_t[]){2}), 1), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "2@1.3 on 1 2 3 isr 2");
    CHECK_EQ(propose(&w, ((int32_t[]){2, 1}), 2), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "2@1.4 on 1 2 3 isr 2 1");
    world_end(&w);
}

/* One request, many partitions: each has its own answer, and what is refused changes nothing. */
TEST(controller_alter_partition, partitions_are_answered_one_by_one)
{
    struct alter_partition_request_topics_partitions parts[4];
    struct alter_partition_request_topics topic;
    struct alter_partition_request m;
    struct alter_partition_response a;
    int32_t isr[] = {1};
    struct world w;

    begin(&w);
    alter_partition_request_init(&m);
    alter_partition_request_topics_init(&topic);
    alter_partition_response_init(&a);
    for (int32_t i = 0; i < 4; i++) {
        alter_partition_request_topics_partitions_init(&parts[i]);
        parts[i].partition_index = i == 1 ? 7 : 0;
        parts[i].leader_epoch = parts[i].partition_epoch = 0;
        parts[i].new_isr = isr;
        parts[i].new_isr_count = 1;
    }
    topic.topic_id = image_topic_find(controller_latest(w.c), STR("orders"))->id;
    topic.partitions = parts;
    topic.partitions_count = 2;
    m.broker_id = 1;
    m.broker_epoch = w.epochs[1];
    m.topics = &topic;
    m.topics_count = 1;
    CHECK_EQ(world_ask(&w, API_ALTER_PARTITION, 2, &m, &a), KERR_NONE);
    CHECK_EQ(a.topics[0].partitions[0].error_code, KERR_NONE);
    CHECK_EQ(a.topics[0].partitions[1].error_code, KERR_UNKNOWN_TOPIC_OR_PARTITION);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 1 2 3 isr 1");
    topic.partitions_count = 4; /* partition 0 three times */
    parts[0].partition_epoch = parts[2].partition_epoch = parts[3].partition_epoch = 1;
    alter_partition_response_init(&a);
    CHECK_EQ(world_ask(&w, API_ALTER_PARTITION, 2, &m, &a), KERR_NONE);
    CHECK_EQ(a.topics[0].partitions[0].error_code, KERR_INVALID_REQUEST);
    CHECK_EQ(a.topics[0].partitions[3].error_code, KERR_INVALID_REQUEST);
    CHECK_TEXT(world_show(&w, "orders"), "1@0.1 on 1 2 3 isr 1");
    world_end(&w);
}

/* Before 3.6 brokers noticed a smaller ISR only by a new leader epoch (KAFKA-15021). */
TEST(controller_alter_partition, old_versions_count_a_leader_epoch_when_the_isr_shrinks)
{
    struct world w;

    world_begin_at(&w, 11);
    for (int32_t id = 1; id <= 3; id++)
        (void)world_broker(&w, id);
    world_create_on(&w, "orders", ALL, 3);
    CHECK_EQ(propose(&w, ONE_TWO, 2), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@1.1 on 1 2 3 isr 1 2");
    CHECK_EQ(propose(&w, ALL, 3), KERR_NONE);
    CHECK_TEXT(world_show(&w, "orders"), "1@1.2 on 1 2 3 isr 1 2 3");
    world_end(&w);
}
