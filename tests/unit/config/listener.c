#include "config/config.h"

#include "check.h"

#define MAP "PLAINTEXT:PLAINTEXT,SSL:SSL,inner:SASL_SSL, EDGE : sasl_plaintext "

static void check_listeners(const char *value, const char *map, const char *expected)
{
    struct listener l[3];
    struct text out = {0};
    struct fail f = {0};

    int count = listeners_parse(str_of(value), str_of(map), l, array_count(l), &f);
    for (int i = 0; i < count; i++)
        text_printf(&out, "%s host=%s port=%u protocol=%d\n", l[i].name, l[i].host, l[i].port,
                    l[i].protocol);
    if (count < 0)
        text_printf(&out, "%s", f.text);
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

TEST(listener, has_a_name_a_host_and_a_port)
{
    check_listeners("PLAINTEXT://127.0.0.1:9092,SSL://host-1.example_x:0", MAP,
                    "PLAINTEXT host=127.0.0.1 port=9092 protocol=0\n"
                    "SSL host=host-1.example_x port=0 protocol=1\n");
    check_listeners("inner://a:1,edge://b:2", MAP,
                    "INNER host=a port=1 protocol=3\n"
                    "EDGE host=b port=2 protocol=2\n");
    check_listeners("", MAP, "");
}

TEST(listener, an_empty_host_is_all_interfaces)
{
    check_listeners("PLAINTEXT://:9092", MAP, "PLAINTEXT host= port=9092 protocol=0\n");
    check_listeners("PLAINTEXT://[]:65535", MAP, "PLAINTEXT host= port=65535 protocol=0\n");
}

TEST(listener, an_ipv6_address_may_have_brackets)
{
    check_listeners("PLAINTEXT://[::1]:9092,SSL://fe80::1%eth0:1", MAP,
                    "PLAINTEXT host=::1 port=9092 protocol=0\n"
                    "SSL host=fe80::1%eth0 port=1 protocol=1\n");
}

TEST(listener, the_last_protocol_of_a_name_counts)
{
    check_listeners("A://:1", "A:SSL,B:PLAINTEXT,a:PLAINTEXT", "A host= port=1 protocol=0\n");
}

TEST(listener, refusals_say_where_and_what_to_do)
{
    static const char *const bad[] = {
        "PLAINTEXT:9092",      "PLAINTEXT://host", "://a:1",           "PLAINTEXT://",
        "PLAINTEXT://a:65536", "PLAINTEXT://a:-1", "PLAINTEXT://a:+1", "PLAINTEXT://a/b:1",
        "PLAINTEXT://a:",      "PLAINTEXT://a b:1"};
    for (size_t i = 0; i < array_count(bad); i++) {
        struct text expected = {0};
        text_printf(&expected, "\"%s\" is not NAME://HOST:PORT", bad[i]);
        check_listeners(bad[i], MAP, expected.p);
        text_deinit(&expected);
    }
    check_listeners("OTHER://:1", MAP,
                    "listener OTHER has no security protocol; add OTHER:PLAINTEXT (or SSL, "
                    "SASL_PLAINTEXT, SASL_SSL) to listener.security.protocol.map");
    check_listeners(
        "PLAINTEXT://:1", "PLAINTEXT:PLAINTEXT,X:TLS",
        "listener.security.protocol.map: unknown protocol \"TLS\"; there are PLAINTEXT, "
        "SSL, SASL_PLAINTEXT and SASL_SSL");
    check_listeners("PLAINTEXT://:1", "PLAINTEXT",
                    "listener.security.protocol.map: \"PLAINTEXT\" is not NAME:PROTOCOL");
    check_listeners("PLAINTEXT://:1,PLAINTEXT://:2,PLAINTEXT://:3,PLAINTEXT://:4", MAP,
                    "more than 3 listeners");
}

TEST(listener, names_and_hosts_have_a_limit)
{
    struct listener l;
    struct text value = {0};
    struct fail f = {0};

    for (int i = 0; i < 64; i++)
        text_printf(&value, "N");
    text_printf(&value, "://a:1");
    CHECK_EQ(listeners_parse(text_str(&value), STR(MAP), &l, 1, &f), -EINVAL);
    CHECK(strstr(f.text, "longer than 63 letters") != NULL);
    text_clear(&value);
    text_printf(&value, "SSL://");
    for (int i = 0; i < 256; i++)
        text_printf(&value, "h");
    text_printf(&value, ":1");
    CHECK_EQ(listeners_parse(text_str(&value), STR(MAP), &l, 1, &f), -EINVAL);
    text_deinit(&value);
}

static struct config *broker_with(const char *const *pairs)
{
    struct config *c = config_new(&broker_settings);

    for (; *pairs != NULL; pairs += 2)
        CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, str_of(pairs[0]), str_of(pairs[1]), NULL), 0);
    return c;
}

TEST(listener, advertised_ones_are_those_for_clients)
{
    struct listener l[LISTENERS_MAX];
    struct config *c =
        broker_with((const char *const[]){"listeners", "PLAINTEXT://:9092,CONTROLLER://:9093",
                                          "controller.listener.names", "CONTROLLER", NULL});

    CHECK_EQ(config_listeners(c, l, LISTENERS_MAX, NULL), 2);
    CHECK_EQ(l[1].protocol, PLAINTEXT); /* the map was not set */
    CHECK_EQ(config_advertised_listeners(c, l, LISTENERS_MAX, NULL), 1);
    CHECK_TEXT(l[0].name, "PLAINTEXT");
    CHECK(config_is_controller_listener(c, STR("controller")));
    CHECK(!config_is_controller_listener(c, STR("PLAINTEXT")));
    CHECK_TEXT(config_inter_broker_listener(c), "PLAINTEXT");
    CHECK_EQ(config_set(c, CONFIG_STATIC_BROKER, STR("advertised.listeners"),
                        STR("PLAINTEXT://example.org:19092"), NULL),
             0);
    CHECK_EQ(config_advertised_listeners(c, l, LISTENERS_MAX, NULL), 1);
    CHECK_TEXT(l[0].host, "example.org");
    CHECK_EQ(l[0].port, 19092);
    config_free(c);
}

TEST(listener, controllers_get_no_protocol_by_silence_beside_tls)
{
    struct listener l[LISTENERS_MAX];
    struct fail f = {0};
    struct config *c =
        broker_with((const char *const[]){"listeners", "SSL://:9092,CONTROLLER://:9093",
                                          "controller.listener.names", "CONTROLLER", NULL});

    CHECK_EQ(config_listeners(c, l, LISTENERS_MAX, &f), -EINVAL);
    CHECK(str_starts(str_of(f.text), STR("listeners: listener CONTROLLER has no security")));
    config_free(c);
}

static void check_voters(const char *value, const char *expected)
{
    struct quorum_voter v[3];
    struct text out = {0};
    struct fail f = {0};

    int count = quorum_voters_parse(str_of(value), v, array_count(v), &f);
    for (int i = 0; i < count; i++)
        text_printf(&out, "%d %s %u\n", v[i].id, v[i].host, v[i].port);
    if (count < 0)
        text_printf(&out, "%s", f.text);
    CHECK_TEXT(text_str(&out), expected);
    text_deinit(&out);
}

TEST(listener, voters_have_an_id_a_host_and_a_port)
{
    check_voters("1@a:1,2@[::1]:2, 3@:3", "1 a 1\n2 ::1 2\n3 localhost 3\n");
    check_voters("", "");
    check_voters("a:1", "is not ID@HOST:PORT at \"a:1\"");
    check_voters("1@a", "is not ID@HOST:PORT at \"1@a\"");
    check_voters("-1@a:1", "has a voter whose id is no number of 0 or more, at \"-1@a:1\"");
    check_voters("@a:1", "has a voter whose id is no number of 0 or more, at \"@a:1\"");
    check_voters("1@a:1,1@b:2", "has voter 1 twice");
    check_voters("1@0.0.0.0:1", "has a voter at 0.0.0.0, where nobody can connect to");
    check_voters("1@a:1,2@a:2,3@a:3,4@a:4", "has more than 3 voters");
    check_voters("1@a:1,,2@a:2", "is not ID@HOST:PORT at \"\"");
}

TEST(listener, a_host_with_port_alone)
{
    char host[256] = "untouched";
    uint16_t port = 7;

    CHECK_EQ(host_port_parse(STR(":1"), host, &port), -EINVAL);
    CHECK_EQ(host_port_parse(STR("a"), host, &port), -EINVAL);
    CHECK_EQ(host_port_parse(STR(""), host, &port), -EINVAL);
    CHECK_TEXT(host, "untouched");
    CHECK_EQ(port, 7);
    CHECK_EQ(host_port_parse(STR("[::1]:9404"), host, &port), 0);
    CHECK_TEXT(host, "::1");
    CHECK_EQ(port, 9404);
}
