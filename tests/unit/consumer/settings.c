/* Kafka's settings, read. */
#include "check.h"
#include "consumer/consumer.h"

#include <stdio.h>

static int read_with(const char *name, const char *value, struct consumer_settings *s, struct fail *f)
{
    static struct config *c; /* text of the settings is its own: until the next call */
    int rc;

    config_free(c);
    c = config_new(&consumer_settings);
    rc = config_set(c, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), STR("b1:9092"), f);
    if (rc == 0 && name != NULL)
        rc = config_set(c, CONFIG_STATIC_BROKER, str_of(name), str_of(value), f);
    if (rc == 0)
        rc = consumer_settings_read(c, s, f);
    if (name == NULL) {
        config_free(c);
        c = NULL;
    }
    return rc;
}

TEST(consumer_settings, defaults_are_kafkas)
{
    struct consumer_settings s;
    struct fail f = {0};

    CHECK_EQ(read_with(NULL, NULL, &s, &f), 0);
    CHECK(str_is_null(s.group_id));
    CHECK_EQ(s.auto_offset_reset, CONSUMER_RESET_LATEST);
    CHECK_EQ(s.assignor_count, 2);
    CHECK_TEXT(s.assignors[0], "range");
    CHECK_TEXT(s.assignors[1], "cooperative-sticky");
    CHECK_EQ(s.session_timeout_ms, 45000);
    CHECK_EQ(s.max_poll_interval_ms, 300000);
    CHECK_EQ(s.fetch_max_bytes, 52428800);
    CHECK(s.enable_auto_commit);
    CHECK(s.check_crcs);
    CHECK(!s.read_committed);
}

TEST(consumer_settings, assignors_go_by_short_names_too)
{
    struct consumer_settings s;
    struct fail f = {0};

    CHECK_EQ(read_with("partition.assignment.strategy",
                       "sticky, org.apache.kafka.clients.consumer.RoundRobinAssignor", &s, &f), 0);
    CHECK_EQ(s.assignor_count, 2);
    CHECK_TEXT(s.assignors[0], "sticky");
    CHECK_TEXT(s.assignors[1], "roundrobin");
    CHECK_EQ(read_with("partition.assignment.strategy", "com.example.Mine", &s, &f), -EINVAL);
    CHECK(strstr(f.text, "com.example.Mine") != NULL);
}

TEST(consumer_settings, reset_by_duration_is_iso_8601)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"PT1S", 1000}, {"PT1.5S", 1500}, {"P1D", 86400000}, {"P2DT3H4M5.006S", 183845006}, {"PT36H", 129600000},
    };
    static const char *const bad[] = {"P", "PT", "1S", "PT1", "PTS", "P1H", "PT1D", "PT1S1M", "P1DT"};
    struct consumer_settings s;
    struct fail f = {0};
    char value[60];

    for (uint32_t i = 0; i < array_count(good); i++) {
        snprintf(value, sizeof value, "by_duration:%s", good[i].text);
        CHECK_EQ(read_with("auto.offset.reset", value, &s, &f), 0);
        CHECK_EQ(s.auto_offset_reset, CONSUMER_RESET_BY_DURATION);
        CHECK_EQ(s.auto_offset_reset_ms, good[i].ms);
    }
    for (uint32_t i = 0; i < array_count(bad); i++) {
        snprintf(value, sizeof value, "by_duration:%s", bad[i]);
        CHECK_EQ(read_with("auto.offset.reset", value, &s, &f), -EINVAL);
    }
    CHECK_EQ(read_with("auto.offset.reset", "none", &s, &f), 0);
    CHECK_EQ(s.auto_offset_reset, CONSUMER_RESET_NONE);
}

TEST(consumer_settings, what_cannot_work_is_refused_with_words)
{
    struct consumer_settings s;
    struct fail f = {0};

    CHECK_EQ(read_with("heartbeat.interval.ms", "45000", &s, &f), -EINVAL);
    CHECK_TEXT(f.text, "heartbeat.interval.ms=45000 must be less than session.timeout.ms=45000");
    CHECK_EQ(read_with("group.protocol", "consumer", &s, &f), -EINVAL);
    CHECK_TEXT(f.text, "group.protocol=consumer is not built yet; classic is");
    CHECK_EQ(read_with("fetch.max.wait.ms", "60000", &s, &f), -EINVAL);
    read_with(NULL, NULL, &s, &f);
}
