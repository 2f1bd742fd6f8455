/* The leader's throttle: what followers outside of the ISR get, and when. */
#include "follow_lab.h"

#include "broker/shard.h"
#include "protocol/incremental_alter_configs.h"

enum { TOPIC = 2, BROKER = 4 };

static void set(int8_t type, const char *resource, const char *name, const char *value)
{
    struct incremental_alter_configs_request m;
    struct incremental_alter_configs_request_resources r;
    struct incremental_alter_configs_request_resources_configs c;

    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_request_resources_init(&r);
    incremental_alter_configs_request_resources_configs_init(&c);
    c.name = str_of(name);
    c.value = str_of(value);
    r.resource_type = type;
    r.resource_name = str_of(resource);
    r.configs = &c;
    r.configs_count = 1;
    m.resources = &r;
    m.resources_count = 1;
    const struct incremental_alter_configs_response *a =
        client_ask(&writer, API_INCREMENTAL_ALTER_CONFIGS, 1, &m);
    CHECK_EQ(a->responses[0].error_code, KERR_NONE);
}

static bool is_in_sync(int32_t id, int32_t partition)
{
    const struct image_partition *p = image_partition_find(follow_lab.broker->shards[0].image, topic, partition);
    bool in = false;

    for (int32_t i = 0; i < p->isr_count; i++)
        in = in || p->isr[i] == id;
    return in;
}

/* Of both partitions broker 3 has everything; broker 2 has nothing, and is not in sync. */
static void begin(uint32_t shards)
{
    follow_begin(shards);
    for (int32_t p = 0; p < 2; p++) {
        follow_produce(p, 3);
        while (is_in_sync(2, p) || !client_has_answer(&writer)) {
            for (int32_t all = 0; all <= p; all++)
                follow_ask(ASKS(.id = 3, .partition = all, .at = 3));
            lab_pass(&follow_lab, SEC);
        }
        follow_check_produced(0);
    }
    set(TOPIC, "t", "leader.replication.throttled.replicas", "1:2,0:1,0:3");
    set(BROKER, "1", "leader.replication.throttled.rate", "20");
}

static int32_t records_of(int32_t id, int32_t partition, int64_t at, int32_t max_wait_ms, int64_t *took_ms)
{
    int64_t began_ns = sim_now_ns(follow_lab.sim);
    const struct fetch_response_responses_partitions *a =
        follow_ask(ASKS(.id = id, .partition = partition, .at = at, .max_wait_ms = max_wait_ms));

    CHECK_EQ(a->error_code, KERR_NONE);
    CHECK_EQ(a->high_watermark, 3);
    *took_ms = (sim_now_ns(follow_lab.sim) - began_ns) / MS;
    return records_in(a->records);
}

TEST(broker_throttle, follower_that_is_not_in_sync_gets_no_more_than_the_rate)
{
    int64_t took_ms;

    for (uint32_t shards = 1; shards <= 3; shards++) {
        begin(shards);
        CHECK_EQ(records_of(2, 0, 0, 500, &took_ms), 3); /* the first ones, some hundred bytes, always come */
        CHECK(took_ms < 100);
        CHECK_EQ(records_of(2, 0, 0, 500, &took_ms), 0); /* then it waits, in vain */
        CHECK(took_ms >= 500);
        CHECK(took_ms < 600);
        CHECK_EQ(records_of(2, 1, 0, 500, &took_ms), 3); /* of another partition it does not */
        CHECK(took_ms < 100);
        CHECK_EQ(records_of(2, 0, 0, 60000, &took_ms), 3); /* until the rate is right again */
        CHECK(took_ms > 2000);
        CHECK(took_ms < 11000);
        CHECK_EQ(records_of(2, 0, 0, 500, &took_ms), 0);
        set(BROKER, "", "leader.replication.throttled.rate", "9223372036854775807");
        CHECK_EQ(records_of(2, 0, 0, 500, &took_ms), 0); /* that is the default, and the broker has its own */
        set(BROKER, "1", "leader.replication.throttled.rate", "1000000");
        CHECK_EQ(records_of(2, 0, 0, 500, &took_ms), 3);
        CHECK(took_ms < 100);
        follow_end();
    }
}

TEST(broker_throttle, follower_that_is_in_sync_is_never_held)
{
    int64_t took_ms;

    begin(1);
    for (int i = 0; i < 20; i++) /* it may ask again for what it has */
        CHECK_EQ(records_of(3, 0, 0, 500, &took_ms), 3);
    CHECK_EQ(records_of(2, 0, 0, 500, &took_ms), 0); /* but what it gets counts */
    follow_ask(ASKS(.id = 2, .at = 3));
    UNTIL(&follow_lab, is_in_sync(2, 0));
    CHECK_EQ(records_of(2, 0, 0, 500, &took_ms), 3);
    follow_end();
}

TEST(broker_throttle, rate_is_measured)
{
    struct text page = {0};
    int64_t took_ms;

    begin(1);
    CHECK_EQ(records_of(3, 0, 0, 500, &took_ms), 3);
    CHECK_EQ(records_of(3, 0, 0, 500, &took_ms), 3);
    lab_metrics(&follow_lab, &page);
    CHECK(strstr(page.p, "kafka_server_leaderreplication_byte_rate ") != NULL);
    CHECK(strstr(page.p, "kafka_server_leaderreplication_byte_rate 0\n") == NULL);
    CHECK(strstr(page.p, "kafka_server_followerreplication_byte_rate 0\n") != NULL);
    text_deinit(&page);
    follow_end();
}
