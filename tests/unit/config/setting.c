#include "check.h"
#include "config/config.h"

static const struct config_table *const tables[] = {&broker_settings, &topic_settings,
                                                    &group_settings,
                                                    &client_metrics_settings,
                                                    &producer_settings,
                                                    &consumer_settings,
                                                    &admin_settings};

static bool is_described(const struct config_table *table)
{
    return table == &topic_settings || table == &group_settings || table == &client_metrics_settings;
}

TEST(setting, every_default_passes_its_own_check)
{
    for (size_t t_ = 0; t_ < array_count(tables); t_++) {
        for (uint32_t i = 0; i < tables[t_]->count; i++) {
            const struct setting *s = &tables[t_]->settings[i];
            struct fail f = {0};
            if (s->default_text != NULL && setting_check(s, str_of(s->default_text), &f) < 0)
                check_fail(__FILE__, __LINE__, "%s: %s", tables[t_]->what, f.text);
        }
    }
}

TEST(setting, defaults_are_written_as_set_values_would_be)
{
    for (size_t t_ = 0; t_ < array_count(tables); t_++) {
        for (uint32_t i = 0; i < tables[t_]->count; i++) {
            const struct setting *s = &tables[t_]->settings[i];
            struct config *c = config_new(tables[t_]);
            if (s->default_text != NULL && s->mode != SETTING_READ_ONLY) {
                CHECK_EQ(config_set(c, CONFIG_DYNAMIC_BROKER, str_of(s->name),
                                    str_of(s->default_text), NULL),
                         0);
                CHECK_TEXT(config_text(c, i), s->default_text);
            }
            config_free(c);
        }
    }
}

TEST(setting, is_found_by_its_name_and_its_id)
{
    for (size_t t_ = 0; t_ < array_count(tables); t_++) {
        for (uint32_t i = 0; i < tables[t_]->count; i++)
            CHECK_EQ(setting_find(tables[t_], str_of(tables[t_]->settings[i].name)), i);
    }
    CHECK_EQ(setting_find(&broker_settings, STR("log.segment.bytes")), BROKER_LOG_SEGMENT_BYTES);
    CHECK_EQ(setting_find(&topic_settings, STR("retention.ms")), TOPIC_RETENTION_MS);
    CHECK_EQ(setting_find(&group_settings, STR("share.isolation.level")),
             GROUP_SHARE_ISOLATION_LEVEL);
    CHECK_EQ(setting_find(&broker_settings, STR("log.segment")), -1);
    CHECK_EQ(setting_find(&broker_settings, STR("")), -1);
    CHECK_EQ(setting_find(&broker_settings, STR("zzz")), -1);
}

TEST(setting, that_acts_or_that_brokers_describe_has_a_line_of_help)
{
    uint32_t acting = 0;

    for (size_t t_ = 0; t_ < array_count(tables); t_++) {
        for (uint32_t i = 0; i < tables[t_]->count; i++) {
            const struct setting *s = &tables[t_]->settings[i];
            CHECK(s->help != NULL || (!s->acts && !is_described(tables[t_])));
            acting += s->acts;
        }
    }
    CHECK(acting > 80);
    CHECK(broker_settings.settings[BROKER_LISTENERS].acts);
    CHECK(!broker_settings.settings[BROKER_SSL_KEYSTORE_LOCATION].acts);
}

/* What a value becomes, or the words that refuse it. */
static void check_value(const char *name, const char *value, const char *expected)
{
    struct fail f = {0};
    struct config *c = config_new(&broker_settings);

    if (config_set(c, CONFIG_STATIC_BROKER, str_of(name), str_of(value), &f) < 0)
        CHECK_TEXT(f.text, expected);
    else
        CHECK_TEXT(config_text(c, (uint32_t)setting_find(&broker_settings, str_of(name))),
                   expected);
    config_free(c);
}

TEST(setting, values_are_read_as_kafka_reads_them)
{
    check_value("delete.topic.enable", " TRUE\t", "true");
    check_value("delete.topic.enable", "False", "false");
    check_value("delete.topic.enable", "yes",
                "Invalid value yes for configuration delete.topic.enable: Expected value to be "
                "either true or false");
    check_value("num.partitions", " +007 ", "7");
    check_value("num.partitions", "", "Invalid value  for configuration num.partitions: Not a number of type INT");
    check_value("num.partitions", "+-1", "Invalid value +-1 for configuration num.partitions: Not a number of type INT");
    check_value("num.partitions", "2147483648",
                "Invalid value 2147483648 for configuration num.partitions: Not a number of type "
                "INT, which is -2147483648 to 2147483647");
    check_value("offsets.topic.replication.factor", "32768",
                "Invalid value 32768 for configuration offsets.topic.replication.factor: Not a "
                "number of type SHORT, which is -32768 to 32767");
    check_value("log.retention.bytes", "-9223372036854775808", "-9223372036854775808");
    check_value("log.retention.bytes", "9223372036854775808",
                "Invalid value 9223372036854775808 for configuration log.retention.bytes: Not a "
                "number of type LONG, which is -9223372036854775808 to 9223372036854775807");
    check_value("broker.rack", "  a rack \v", "a rack");
}

TEST(setting, lists_lose_blanks_and_repeated_parts)
{
    check_value("log.cleanup.policy", " compact \t,\n delete ", "compact,delete");
    check_value("log.cleanup.policy", "delete,compact,delete", "delete,compact");
    check_value("log.cleanup.policy", "", "");
    check_value("log.cleanup.policy", "delete,",
                "Configuration 'log.cleanup.policy' values must not be empty.");
    check_value("log.cleanup.policy", ",delete",
                "Configuration 'log.cleanup.policy' values must not be empty.");
    check_value("log.cleanup.policy", ",", "Configuration 'log.cleanup.policy' values must not be empty.");
    check_value("log.cleanup.policy", "delete,squash",
                "Invalid value squash for configuration log.cleanup.policy: String must be one of: "
                "compact, delete");
    check_value("log.dirs", "/a b,/c", "/a b,/c");
    check_value("log.dirs", "  ", "Configuration 'log.dirs' must not be empty.");
}

TEST(setting, numbers_with_a_fraction_are_written_as_java_writes_them)
{
    static const char *const cases[][2] = {
        {"0.5", "0.5"},
        {".5", "0.5"},
        {"5.", "5.0"},
        {"1", "1.0"},
        {"0.001", "0.001"},
        {"0.00099", "9.9E-4"},
        {"1e7", "1.0E7"},
        {"9999999", "9999999.0"},
        {"12345678.9", "1.23456789E7"},
        {"-0", "-0.0"},
        {"1e23", "1.0E23"},
        {"2.50f", "2.5"},
        {"-123.456D", "-123.456"},
        {"Infinity", "Infinity"},
        {"1.7976931348623157E308", "1.7976931348623157E308"},
    };

    for (size_t i = 0; i < array_count(cases); i++)
        check_value("log.cleaner.io.max.bytes.per.second", cases[i][0], cases[i][1]);
    static const char *const bad[] = {"x",   "",  "1e", "1.2.3", "--1",
                                      "1 2", ".", "e5", "inf",   "1ff"};
    for (size_t i = 0; i < array_count(bad); i++) {
        const struct setting *s =
            &broker_settings.settings[BROKER_LOG_CLEANER_IO_MAX_BYTES_PER_SECOND];
        CHECK_EQ(setting_check(s, str_of(bad[i]), NULL), -EINVAL);
    }
}

TEST(setting, refusals_say_what_is_allowed)
{
    check_value("log.segment.bytes", "1000",
                "Invalid value 1000 for configuration log.segment.bytes: Value must be at least "
                "1048576");
    check_value("compression.zstd.level", "23",
                "Invalid value 23 for configuration compression.zstd.level: Value must be no more "
                "than 22");
    check_value("compression.gzip.level", "0",
                "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 "
                "and 9 or equal to -1");
    check_value("compression.gzip.level", "-1", "-1");
    check_value("compression.type", "GZIP",
                "Invalid value GZIP for configuration compression.type: String must be one of: "
                "uncompressed, zstd, lz4, snappy, gzip, producer");
    check_value("group.consumer.migration.policy", "disabled", "disabled");
    check_value("group.consumer.migration.policy", "off",
                "Invalid value off for configuration group.consumer.migration.policy: String must "
                "be one of (case insensitive): DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL");
    check_value("log.cleaner.min.cleanable.ratio", "1.01",
                "Invalid value 1.01 for configuration log.cleaner.min.cleanable.ratio: Value must "
                "be no more than 1");
    check_value("principal.builder.class", "",
                "Invalid value  for configuration principal.builder.class: The name of a class is "
                "missing");
    check_value("millrace.metrics.listener", "9404",
                "Invalid value 9404 for configuration millrace.metrics.listener: It must be "
                "HOST:PORT");
    check_value("millrace.metrics.listener", "127.0.0.1:9404", "127.0.0.1:9404");
    check_value("millrace.durability", "none",
                "Invalid value none for configuration millrace.durability: String must be one of: "
                "durable, relaxed");
}

TEST(setting, passwords_are_not_told)
{
    struct setting s = broker_settings.settings[BROKER_SSL_KEY_PASSWORD];
    struct fail f = {0};

    s.valid = "nonempty";
    CHECK_EQ(setting_check(&s, STR("secret"), &f), 0);
    CHECK_EQ(setting_check(&s, STR(""), &f), -EINVAL);
    CHECK_TEXT(f.text, "Invalid value [hidden] for configuration ssl.key.password: String must be "
                       "non-empty");
}

TEST(setting, long_bad_values_are_cut)
{
    char value[300];
    struct fail f = {0};

    memset(value, 'x', sizeof value);
    CHECK_EQ(setting_check(&broker_settings.settings[BROKER_NUM_PARTITIONS],
                           (struct str){value, sizeof value}, &f),
             -EINVAL);
    CHECK(strlen(f.text) < 200);
    CHECK(strstr(f.text, "xxx... for configuration num.partitions: Not a number") != NULL);
}

TEST(setting, names_behind_prefixes_are_known)
{
    CHECK(setting_is_prefixed(STR("listener.name.internal.ssl.keystore.location")));
    CHECK(setting_is_prefixed(STR("listener.name.external.scram-sha-256.sasl.jaas.config")));
    CHECK(setting_is_prefixed(STR("config.providers.env.class")));
    CHECK(setting_is_prefixed(STR("rsm.config.bucket")));
    CHECK(!setting_is_prefixed(STR("listener.name.internal.ssl.keystore.place")));
    CHECK(!setting_is_prefixed(STR("listener.name.internal")));
    CHECK(!setting_is_prefixed(STR("listener.name..ssl.keystore.location")));
    CHECK(!setting_is_prefixed(STR("log.dirs")));
}

TEST(setting, a_mistyped_name_is_guessed)
{
    CHECK_TEXT(setting_nearest(&broker_settings, STR("num.partitons")), "num.partitions");
    CHECK_TEXT(setting_nearest(&broker_settings, STR("log.dri")), "log.dir");
    CHECK_TEXT(setting_nearest(&broker_settings, STR("advertised.listener")),
               "advertised.listeners");
    CHECK_TEXT(setting_nearest(&topic_settings, STR("retention.bytse")), "retention.bytes");
    CHECK_TEXT(setting_nearest(&broker_settings, STR("zookeeper.connect")), NULL);
    CHECK_TEXT(setting_nearest(&broker_settings, STR("x")), NULL);
    CHECK_TEXT(setting_nearest(&broker_settings, STR("")), NULL);
}
