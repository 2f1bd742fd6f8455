#include "config/config.h"

#include "check.h"

#include <stdio.h>

static void set(struct config *c, enum config_source source, const char *name, const char *value)
{
    struct fail f = {0};

    if (config_set(c, source, str_of(name), str_of(value), &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
}

TEST(config, nothing_set_gives_the_defaults)
{
    struct config *c = config_new(&broker_settings);

    CHECK_EQ(config_i64(c, BROKER_NUM_PARTITIONS), 1);
    CHECK_EQ(config_i64(c, BROKER_LOG_FLUSH_INTERVAL_MESSAGES), INT64_MAX);
    CHECK_EQ(config_i64(c, BROKER_LOG_ROLL_MS), INT64_MIN); /* null */
    CHECK_EQ(config_i64(c, BROKER_NODE_ID), INT64_MIN);     /* required */
    CHECK(config_bool(c, BROKER_AUTO_CREATE_TOPICS_ENABLE));
    CHECK(!config_bool(c, BROKER_UNCLEAN_LEADER_ELECTION_ENABLE));
    CHECK(config_f64(c, BROKER_LOG_CLEANER_MIN_CLEANABLE_RATIO) == 0.5);
    CHECK_TEXT(config_str(c, BROKER_LOG_DIRS), NULL);
    CHECK_TEXT(config_str(c, BROKER_CONFIG_PROVIDERS), "");
    CHECK_TEXT(config_text(c, BROKER_NUM_PARTITIONS), "1");
    CHECK_EQ(config_source(c, BROKER_NUM_PARTITIONS), CONFIG_DEFAULT);
    config_free(c);
}

TEST(config, the_nearest_level_wins)
{
    struct config *c = config_new(&broker_settings);
    uint32_t id = BROKER_MESSAGE_MAX_BYTES;

    set(c, CONFIG_DYNAMIC_BROKER, "message.max.bytes", "30");
    set(c, CONFIG_STATIC_BROKER, "message.max.bytes", "10");
    set(c, CONFIG_DYNAMIC_DEFAULT_BROKER, "message.max.bytes", "20");
    CHECK_EQ(config_i64(c, id), 30);
    CHECK_EQ(config_source(c, id), CONFIG_DYNAMIC_BROKER);

    set(c, CONFIG_DYNAMIC_BROKER, "message.max.bytes", NULL);
    CHECK_EQ(config_i64(c, id), 20);
    CHECK_EQ(config_source(c, id), CONFIG_DYNAMIC_DEFAULT_BROKER);

    set(c, CONFIG_DYNAMIC_DEFAULT_BROKER, "message.max.bytes", NULL);
    CHECK_EQ(config_i64(c, id), 10);
    set(c, CONFIG_STATIC_BROKER, "message.max.bytes", NULL);
    set(c, CONFIG_STATIC_BROKER, "message.max.bytes", NULL); /* what is not there goes silently */
    CHECK_EQ(config_i64(c, id), 1048588);
    config_free(c);
}

TEST(config, each_level_can_be_asked)
{
    struct config *c = config_new(&broker_settings);
    struct str text;

    set(c, CONFIG_STATIC_BROKER, "num.io.threads", "4");
    CHECK(config_text_at(c, CONFIG_STATIC_BROKER, BROKER_NUM_IO_THREADS, &text));
    CHECK_TEXT(text, "4");
    CHECK(!config_text_at(c, CONFIG_DYNAMIC_BROKER, BROKER_NUM_IO_THREADS, &text));
    CHECK_TEXT(text, NULL);
    CHECK(config_text_at(c, CONFIG_DEFAULT, BROKER_NUM_IO_THREADS, &text));
    CHECK_TEXT(text, "8");
    CHECK(config_text_at(c, CONFIG_DEFAULT, BROKER_LOG_DIRS, &text)); /* its default is null */
    CHECK_TEXT(text, NULL);
    CHECK(!config_text_at(c, CONFIG_DEFAULT, BROKER_NODE_ID, &text)); /* has none */
    config_free(c);
}

TEST(config, a_copy_stands_alone)
{
    struct config *c = config_new(&broker_settings);

    set(c, CONFIG_STATIC_BROKER, "broker.rack", "a");
    set(c, CONFIG_STATIC_BROKER, "num.partitions", "3");
    struct config *copy = config_copy(c);
    set(c, CONFIG_STATIC_BROKER, "broker.rack", "b");
    config_free(c);
    CHECK_TEXT(config_str(copy, BROKER_BROKER_RACK), "a");
    CHECK_EQ(config_i64(copy, BROKER_NUM_PARTITIONS), 3);
    config_free(copy);
    config_free(NULL);
}

TEST(config, a_refused_value_changes_nothing)
{
    struct config *c = config_new(&broker_settings);
    struct fail f = {0};

    set(c, CONFIG_STATIC_BROKER, "num.partitions", "3");
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("num.partitions"), STR("0"), &f), -EINVAL);
    CHECK_TEXT(f.text, "Invalid value 0 for configuration num.partitions: Value must be at least 1");
    CHECK_EQ(config_i64(c, BROKER_NUM_PARTITIONS), 3);
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("num.partition"), STR("1"), &f), -ENOENT);
    CHECK_TEXT(f.text, "unknown broker setting: num.partition");
    config_free(c);
}

TEST(config, a_level_that_the_mode_forbids_is_refused)
{
    struct config *c = config_new(&broker_settings);
    struct fail f = {0};

    CHECK_EQ(config_set(c, CONFIG_DYNAMIC_BROKER, STR("log.dirs"), STR("/a"), &f), -EINVAL);
    CHECK_TEXT(f.text, "log.dirs cannot change while a broker runs; set it in the broker's file");
    CHECK_EQ(config_set(c, CONFIG_DYNAMIC_DEFAULT_BROKER, STR("listeners"), STR("SSL://:1"), &f),
             -EINVAL);
    CHECK_TEXT(f.text, "listeners cannot be set for all brokers at once; name the broker");
    set(c, CONFIG_DYNAMIC_BROKER, "listeners", "SSL://:1");
    set(c, CONFIG_DYNAMIC_DEFAULT_BROKER, "log.retention.ms", "5");
    config_free(c);
}

TEST(config, many_values_in_any_order)
{
    struct prng g;
    struct config *c = config_new(&broker_settings);
    int64_t model[BROKER_SETTINGS];

    prng_init(&g, 11);
    for (uint32_t i = 0; i < BROKER_SETTINGS; i++)
        model[i] = broker_settings.settings[i].default_number.i64;
    for (int i = 0; i < 5000; i++) {
        uint32_t id = (uint32_t)prng_below(&g, BROKER_SETTINGS);
        const struct setting *s = &broker_settings.settings[id];
        if (s->type != SETTING_INT || (s->valid != NULL && strcmp(s->valid, "range:1..") != 0))
            continue;
        bool remove = prng_chance(&g, 300000);
        char text[24];
        int64_t value = 1 + (int64_t)prng_below(&g, 1000);
        snprintf(text, sizeof text, "%" PRId64, value);
        set(c, CONFIG_STATIC_BROKER, s->name, remove ? NULL : text);
        model[id] = remove ? s->default_number.i64 : value;
        for (uint32_t j = 0; j < BROKER_SETTINGS; j++) {
            if (broker_settings.settings[j].type == SETTING_INT)
                CHECK_EQ(config_i64(c, j), model[j]);
        }
    }
    config_free(c);
}

TEST(config, a_question_of_the_wrong_type_is_a_bug)
{
    struct config *c = config_new(&broker_settings);

    CHECK_ASSERTS((void)config_i64(c, BROKER_LOG_DIRS));
    CHECK_ASSERTS((void)config_bool(c, BROKER_NUM_PARTITIONS));
    CHECK_ASSERTS((void)config_str(c, BROKER_NUM_PARTITIONS));
    config_free(c);
}
