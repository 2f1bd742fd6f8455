#include "config/config.h"

#include "check.h"

static void check_name(const char *variable, const char *expected)
{
    struct text name = {0};

    bool is_setting = config_env_name(str_of(variable), &name);
    CHECK_EQ(is_setting, expected != NULL);
    CHECK_TEXT(text_str(&name), expected == NULL ? "" : expected);
    text_deinit(&name);
}

TEST(env, names_become_settings)
{
    check_name("KAFKA_LOG_DIRS", "log.dirs");
    check_name("KAFKA_NODE_ID", "node.id");
    check_name("KAFKA_A__B", "a_b");
    check_name("KAFKA_A___B", "a-b");
    check_name("KAFKA_A____B", "a-.b");
    check_name("KAFKA_LISTENER_NAME_MY___NAME_SSL_KEY_PASSWORD",
               "listener.name.my-name.ssl.key.password");
    check_name("KAFKA_KAFKA_METRICS_REPORTERS", "kafka.metrics.reporters");
}

TEST(env, others_are_none)
{
    check_name("PATH", NULL);
    check_name("KAFKA_", NULL);
    check_name("KAFKA_HEAP_OPTS", NULL);
    check_name("KAFKA_VERSION", NULL);
    check_name("kafka_log_dirs", NULL);
}
