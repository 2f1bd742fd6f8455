#include "config/config.h"

#include "check.h"

struct setup {
    struct config *broker, *own, *topic;
};

static struct setup setup(void)
{
    return (struct setup){config_new(&broker_settings), config_new(&topic_settings), NULL};
}

static void broker(struct setup *s, enum config_source source, const char *name, const char *value)
{
    CHECK_EQ(config_set(s->broker, source, str_of(name), str_of(value), NULL), 0);
}

static void derive(struct setup *s)
{
    config_free(s->topic);
    s->topic = config_topic(s->broker, s->own);
}

static void teardown(struct setup *s)
{
    config_free(s->broker);
    config_free(s->own);
    config_free(s->topic);
}

/* Else a topic would behave differently once a broker's default is written into its file. */
TEST(topic, defaults_are_those_of_the_broker)
{
    for (uint32_t id = 0; id < topic_settings.count; id++) {
        const struct setting *s = &topic_settings.settings[id];
        int64_t factor;
        int key = setting_broker_key(s, 0, &factor);
        uint32_t i = 0;
        /* The first key that is not null. */
        while (key >= 0 && broker_settings.settings[key].default_text == NULL)
            key = setting_broker_key(s, ++i, &factor);
        if (key < 0)
            continue;
        const struct setting *b = &broker_settings.settings[key];
        if (factor == 1)
            CHECK_TEXT(b->default_text, s->default_text);
        else
            CHECK_EQ(b->default_number.i64 * factor, s->default_number.i64);
    }
}

TEST(topic, keys_of_the_broker_are_told_in_order)
{
    const struct setting *s = &topic_settings.settings[TOPIC_RETENTION_MS];
    int64_t factor;

    CHECK_EQ(setting_broker_key(s, 0, &factor), BROKER_LOG_RETENTION_MS);
    CHECK_EQ(factor, 1);
    CHECK_EQ(setting_broker_key(s, 1, &factor), BROKER_LOG_RETENTION_MINUTES);
    CHECK_EQ(factor, 60000);
    CHECK_EQ(setting_broker_key(s, 2, &factor), BROKER_LOG_RETENTION_HOURS);
    CHECK_EQ(factor, 3600000);
    CHECK_EQ(setting_broker_key(s, 3, &factor), -1);
    CHECK_EQ(setting_broker_key(&topic_settings.settings[TOPIC_REMOTE_STORAGE_ENABLE], 0, &factor),
             -1);
}

TEST(topic, nothing_set_is_the_default)
{
    struct setup s = setup();

    s.topic = config_topic(s.broker, NULL);
    CHECK_EQ(config_i64(s.topic, TOPIC_RETENTION_MS), 604800000);
    CHECK_EQ(config_source(s.topic, TOPIC_RETENTION_MS), CONFIG_DEFAULT);
    teardown(&s);
}

TEST(topic, the_finest_unit_counts)
{
    struct setup s = setup();

    broker(&s, CONFIG_STATIC_BROKER, "log.retention.hours", "2");
    derive(&s);
    CHECK_EQ(config_i64(s.topic, TOPIC_RETENTION_MS), 7200000);
    CHECK_EQ(config_source(s.topic, TOPIC_RETENTION_MS), CONFIG_STATIC_BROKER);

    broker(&s, CONFIG_STATIC_BROKER, "log.retention.minutes", "3");
    derive(&s);
    CHECK_EQ(config_i64(s.topic, TOPIC_RETENTION_MS), 180000);

    broker(&s, CONFIG_DYNAMIC_DEFAULT_BROKER, "log.retention.ms", "50");
    derive(&s);
    CHECK_EQ(config_i64(s.topic, TOPIC_RETENTION_MS), 50);
    CHECK_EQ(config_source(s.topic, TOPIC_RETENTION_MS), CONFIG_DYNAMIC_DEFAULT_BROKER);
    teardown(&s);
}

TEST(topic, a_negative_retention_is_for_ever)
{
    struct setup s = setup();

    broker(&s, CONFIG_STATIC_BROKER, "log.retention.hours", "-7");
    derive(&s);
    CHECK_EQ(config_i64(s.topic, TOPIC_RETENTION_MS), -1);
    broker(&s, CONFIG_STATIC_BROKER, "log.retention.ms", "-5");
    derive(&s);
    CHECK_EQ(config_i64(s.topic, TOPIC_RETENTION_MS), -1);
    broker(&s, CONFIG_STATIC_BROKER, "compression.zstd.level", "-5"); /* no age: stays */
    derive(&s);
    CHECK_EQ(config_i64(s.topic, TOPIC_COMPRESSION_ZSTD_LEVEL), -5);
    broker(&s, CONFIG_STATIC_BROKER, "log.retention.hours", "2147483647");
    broker(&s, CONFIG_STATIC_BROKER, "log.retention.ms", NULL);
    derive(&s);
    CHECK_EQ(config_i64(s.topic, TOPIC_RETENTION_MS), INT64_C(2147483647) * 3600000);
    teardown(&s);
}

TEST(topic, its_own_value_wins)
{
    struct setup s = setup();
    struct str text;

    broker(&s, CONFIG_STATIC_BROKER, "log.segment.bytes", "2000000");
    broker(&s, CONFIG_STATIC_BROKER, "log.cleanup.policy", "compact");
    CHECK_EQ(config_set(s.own, CONFIG_TOPIC, STR("segment.bytes"), STR("3000000"), NULL), 0);
    derive(&s);
    CHECK_EQ(config_i64(s.topic, TOPIC_SEGMENT_BYTES), 3000000);
    CHECK_EQ(config_source(s.topic, TOPIC_SEGMENT_BYTES), CONFIG_TOPIC);
    CHECK(config_text_at(s.topic, CONFIG_STATIC_BROKER, TOPIC_SEGMENT_BYTES, &text));
    CHECK_TEXT(text, "2000000");
    CHECK_TEXT(config_str(s.topic, TOPIC_CLEANUP_POLICY), "compact");
    teardown(&s);
}

TEST(topic, durability_is_the_topics_then_the_brokers)
{
    struct setup s = setup();

    derive(&s);
    CHECK(config_durable(s.topic, s.broker));
    broker(&s, CONFIG_STATIC_BROKER, "millrace.durability", "relaxed");
    CHECK(!config_durable(s.topic, s.broker));
    broker(&s, CONFIG_STATIC_BROKER, "log.flush.interval.messages", "1");
    derive(&s);
    CHECK(config_durable(s.topic, s.broker));
    CHECK_EQ(config_set(s.own, CONFIG_TOPIC, STR("flush.messages"), STR("2"), NULL), 0);
    derive(&s);
    CHECK(!config_durable(s.topic, s.broker));
    teardown(&s);
}

TEST(topic, lags_must_fit_each_other)
{
    struct setup s = setup();
    struct fail f = {0};

    broker(&s, CONFIG_STATIC_BROKER, "log.cleaner.max.compaction.lag.ms", "5");
    CHECK_EQ(config_set(s.own, CONFIG_TOPIC, STR("min.compaction.lag.ms"), STR("10"), NULL), 0);
    derive(&s);
    CHECK_EQ(config_check_topic(s.topic, s.broker, &f), -EINVAL);
    CHECK_TEXT(f.text, "conflict topic config setting min.compaction.lag.ms (10) > "
                       "max.compaction.lag.ms (5)");
    teardown(&s);
}

/* The words that refuse a group's settings, or "". */
static void check_group(const char *broker_setting, const char *broker_value, const char *name,
                        const char *value, const char *expected)
{
    struct config *b = config_new(&broker_settings), *own = config_new(&group_settings);
    struct fail f = {0};

    if (broker_setting != NULL)
        CHECK_EQ(config_set(b, CONFIG_STATIC_BROKER, str_of(broker_setting), str_of(broker_value),
                            NULL),
                 0);
    CHECK_EQ(config_set(own, CONFIG_GROUP, str_of(name), str_of(value), NULL), 0);
    CHECK_EQ(config_check_group(own, b, &f), expected[0] == '\0' ? 0 : -EINVAL);
    CHECK_TEXT(f.text, expected);
    config_free(own);
    config_free(b);
}

TEST(group, settings_keep_within_the_broker_s_bounds)
{
    check_group(NULL, NULL, "consumer.session.timeout.ms", "50000", "");
    check_group(NULL, NULL, "consumer.session.timeout.ms", "1",
                "consumer.session.timeout.ms must be greater than or equal to "
                "group.consumer.min.session.timeout.ms");
    check_group("group.consumer.max.session.timeout.ms", "49999", "consumer.session.timeout.ms",
                "50000",
                "consumer.session.timeout.ms must be less than or equal to "
                "group.consumer.max.session.timeout.ms");
    check_group("group.share.session.timeout.ms", "12000", "share.heartbeat.interval.ms", "12000",
                "share.session.timeout.ms must be greater than share.heartbeat.interval.ms");
    check_group(NULL, NULL, "streams.num.standby.replicas", "3",
                "streams.num.standby.replicas must be less than or equal to "
                "group.streams.max.standby.replicas");
    check_group(NULL, NULL, "share.auto.offset.reset", "earliest", "");
}
