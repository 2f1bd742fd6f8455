#include "config/config.h"

#include "check.h"

/* What is set after a short file was filled in. */
static void check_filled(const char *file, const char *expected)
{
    static const uint16_t ids[] = {BROKER_PROCESS_ROLES, BROKER_NODE_ID, BROKER_LISTENERS,
                                   BROKER_CONTROLLER_LISTENER_NAMES,
                                   BROKER_CONTROLLER_QUORUM_VOTERS};
    struct config *c = config_new(&broker_settings);
    struct properties p;
    struct str key, value;
    struct fail f = {0};
    struct text out = {0};

    properties_begin(&p, str_of(file));
    while (properties_next(&p, &key, &value, &f) > 0)
        CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, key, value, &f), 0);
    properties_end(&p);
    CHECK_EQ(config_fill_one_node(c, &f), 0);
    if (config_check_broker(c, &f) < 0)
        text_printf(&out, "%s", f.text);
    for (size_t i = 0; i < array_count(ids) && f.error == 0; i++)
        text_printf(&out, "%.*s\n", STR_ARG(config_text(c, ids[i])));
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
    config_free(c);
}

TEST(one_node, an_empty_file_is_enough)
{
    check_filled("", "broker,controller\n1\nPLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093\n"
                     "CONTROLLER\n1@127.0.0.1:9093\n");
}

TEST(one_node, what_the_file_says_stays)
{
    check_filled("node.id=7\nlisteners=PLAINTEXT://127.0.0.1:9092,CTL://[::1]:19093\n"
                 "controller.listener.names=CTL\n",
                 "broker,controller\n7\nPLAINTEXT://127.0.0.1:9092,CTL://[::1]:19093\nCTL\n"
                 "7@[::1]:19093\n");
    check_filled("broker.id=3\n",
                 "broker,controller\n3\nPLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093\n"
                 "CONTROLLER\n3@127.0.0.1:9093\n");
}

TEST(one_node, port_0_anywhere_means_any_port_for_controllers)
{
    check_filled("listeners=PLAINTEXT://127.0.0.1:0",
                 "broker,controller\n1\nPLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0\n"
                 "CONTROLLER\n1@127.0.0.1:0\n");
}

TEST(one_node, a_file_with_roles_is_left_alone)
{
    check_filled("process.roles=broker\n",
                 "controller.listener.names is not set, and it has no default; it says: Names of "
                 "the listeners that controllers use; none of them serves clients.");
}

TEST(one_node, node_id_and_broker_id_stand_for_each_other)
{
    struct config *c = config_new(&broker_settings);

    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("process.roles"), STR("broker"), NULL), 0);
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("node.id"), STR("4"), NULL), 0);
    CHECK_EQ(config_fill_one_node(c, NULL), 0);
    CHECK_EQ(config_i64(c, BROKER_BROKER_ID), 4);
    CHECK_EQ(config_source(c, BROKER_BROKER_ID), CONFIG_STATIC_BROKER);
    config_free(c);
}

TEST(one_node, answers_what_the_node_is)
{
    struct config *c = config_new(&broker_settings);

    CHECK_EQ(config_node_id(c), -1);
    CHECK_TEXT(config_log_dirs(c), "/tmp/kafka-logs");
    CHECK(!config_has_role(c, STR("broker")));
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("log.dirs"), STR("/a,/b"), NULL), 0);
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("process.roles"), STR("controller"), NULL), 0);
    CHECK_TEXT(config_log_dirs(c), "/a,/b");
    CHECK(config_has_role(c, STR("controller")));
    CHECK(!config_has_role(c, STR("broker")));
    config_free(c);
}
