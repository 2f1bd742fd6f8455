/* What a client is told by its settings, and what is refused. */
#include "bench.h"

static void check(const struct config_table *table, const char *name, const char *value, const char *expected)
{
    struct config *c = config_new(table);
    struct client_settings s;
    struct fail f = {0};

    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), STR("b1:9092"), &f), 0);
    if (name != NULL && config_set(c, CONFIG_STATIC_BROKER, str_of(name), str_of(value), &f) < 0)
        check_fail(__FILE__, __LINE__, "%s", f.text);
    if (client_settings_read(c, &s, &f) == 0)
        f.text[0] = '\0';
    CHECK_TEXT(str_of(f.text), expected);
    config_free(c);
}

TEST(client_settings, defaults_are_those_of_the_tables)
{
    const struct config_table *tables[] = {&producer_settings, &consumer_settings, &admin_settings};

    for (size_t i = 0; i < array_count(tables); i++) {
        struct config *c = config_new(tables[i]);
        struct client_settings s;
        struct fail f = {0};
        CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("bootstrap.servers"), STR("b1:9092"), &f), 0);
        CHECK_EQ(client_settings_read(c, &s, &f), 0);
        CHECK_TEXT(s.bootstrap_servers, "b1:9092");
        CHECK_EQ(s.request_timeout_ms, 30000);
        CHECK_EQ(s.reconnect_backoff_max_ms, 1000);
        CHECK_EQ(s.connection_setup_timeout_ms, 10000);
        CHECK_EQ(s.metadata_max_age_ms, 300000);
        CHECK_EQ(s.metadata_max_idle_ms, i == 0 ? 300000 : 0);
        CHECK_EQ(s.connections_max_idle_ms, i == 2 ? 300000 : 540000);
        CHECK_EQ(s.auto_create_topics, i < 2);
        CHECK_EQ(s.in_flight_max, i == 0 ? 5 : 100);
        CHECK(s.rebootstrap && s.check_cluster && !s.bootstrap_controllers);
        config_free(c);
    }
}

/* Sizes of Kafka's defaults are not asked for: only what somebody has set. */
TEST(client_settings, connections_are_made_as_it_is_set)
{
    struct config *c = config_new(&producer_settings);
    struct client_settings s;
    struct fail f = {0};

    CHECK_EQ(client_setting_set(c, STR("bootstrap.servers"), STR("b1:9092"), &f), 0);
    CHECK_EQ(client_settings_read(c, &s, &f), 0);
    CHECK(!s.bootstrap_canonical && s.connect.send_buffer_bytes == 0 && s.connect.receive_buffer_bytes == 0);
    CHECK_EQ(client_setting_set(c, STR("send.buffer.bytes"), STR("131072"), &f), 0); /* the default, but set */
    CHECK_EQ(client_setting_set(c, STR("receive.buffer.bytes"), STR("-1"), &f), 0);
    CHECK_EQ(client_setting_set(c, STR("client.dns.lookup"), STR("resolve_canonical_bootstrap_servers_only"), &f), 0);
    CHECK_EQ(client_settings_read(c, &s, &f), 0);
    CHECK(s.bootstrap_canonical && s.connect.send_buffer_bytes == 131072 && s.connect.receive_buffer_bytes == 0);
    config_free(c);
}

TEST(client_settings, what_is_not_built_is_refused)
{
    check(&producer_settings, NULL, NULL, "");
    check(&producer_settings, "security.protocol", "plaintext", "");
    check(&consumer_settings, "security.protocol", "SASL_SSL",
          "security.protocol=SASL_SSL: TLS and SASL are not built yet for clients; PLAINTEXT is");
    check(&admin_settings, "bootstrap.controllers", "c1:9093",
          "bootstrap.servers and bootstrap.controllers are both set: one of them, please");
    check(&admin_settings, "bootstrap.servers", "",
          "bootstrap.servers is not set: it is HOST:PORT,... of some brokers");
}

TEST(client_settings, mistyped_name_is_told_the_nearest_and_one_without_effect_says_so)
{
    struct config *c = config_new(&producer_settings);
    struct fail f = {0};

    CHECK_EQ(client_setting_set(c, STR("request.timeout.ms"), STR("5000"), &f), 0);
    CHECK_EQ(config_i64(c, PRODUCER_REQUEST_TIMEOUT_MS), 5000);
    CHECK_EQ(client_setting_set(c, STR("ssl.keystore.type"), STR("PEM"), &f), 1);
    CHECK_EQ(client_setting_set(c, STR("request.timeout.ms"), STR("soon"), &f), -EINVAL);
    CHECK_EQ(client_setting_set(c, STR("request.timeoutms"), STR("5000"), &f), -ENOENT);
    CHECK_TEXT(str_of(f.text), "there is no producer setting request.timeoutms (did you mean request.timeout.ms?)");
    CHECK_EQ(client_setting_set(c, STR("zzz"), STR("1"), &f), -ENOENT);
    CHECK_TEXT(str_of(f.text), "there is no producer setting zzz");
    config_free(c);
}

TEST(client_settings, bootstrap_servers_must_be_addresses)
{
    static const char *const bad[] = {"b1", "b1:", ":9092", "b1:0", "b1:65536", "b1:9092,,b2:9092", "http://b1:9092"};

    for (size_t i = 0; i < array_count(bad); i++) {
        struct bench b;
        struct fail f = {0};
        bench_open(&b, 1);
        b.settings.bootstrap_servers = str_of(bad[i]);
        CHECK(client_new(script_io(b.script), script_telemetry(b.script), &b.settings, &f) == NULL);
        CHECK_EQ(f.error, -EINVAL);
        CHECK(str_starts(str_of(f.text), STR("bootstrap.servers: \"")));
        script_free(b.script);
    }
}
