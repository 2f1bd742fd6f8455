/* IncrementalAlterConfigs and AlterConfigs. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/alter_configs.h"
#include "protocol/incremental_alter_configs.h"

enum { SET, DELETE, APPEND, SUBTRACT };
enum { TOPIC = 2, BROKER = 4, LOGGER = 8, METRICS = 16, GROUP = 32 };

static struct str alter(struct world *w, int8_t type, const char *resource, int8_t operation,
                        const char *name, const char *value, enum kerr *error)
{
    struct incremental_alter_configs_request_resources_configs c;
    struct incremental_alter_configs_request_resources r;
    struct incremental_alter_configs_request m;
    struct incremental_alter_configs_response a;

    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_request_resources_init(&r);
    incremental_alter_configs_request_resources_configs_init(&c);
    incremental_alter_configs_response_init(&a);
    c.name = str_of(name);
    c.value = str_of(value);
    c.config_operation = operation;
    r.resource_type = type;
    r.resource_name = str_of(resource);
    r.configs = &c;
    r.configs_count = 1;
    m.resources = &r;
    m.resources_count = 1;
    CHECK_EQ(world_ask(w, API_INCREMENTAL_ALTER_CONFIGS, 1, &m, &a), KERR_NONE);
    CHECK_EQ(a.responses_count, 1);
    CHECK_EQ(a.responses[0].resource_type, type);
    *error = (enum kerr)a.responses[0].error_code;
    return a.responses[0].error_message;
}

static void begin(struct world *w)
{
    enum kerr error;

    world_begin(w, true);
    (void)world_broker(w, 1);
    (void)world_create(w, "orders", 1, 1, &error);
    (void)world_records(w);
}

struct refused_change {
    int8_t type;
    const char *resource;
    int8_t operation;
    const char *name, *value;
    enum kerr error;
    const char *message; /* NULL = whatever words, ours */
};

TEST(controller_configs, changes_that_are_refused)
{
    static const struct refused_change cases[] = {
        {TOPIC, "orders", SET, "no.such", "1", KERR_INVALID_CONFIG,
         "Unknown topic config name: no.such"},
        {TOPIC, "orders", SET, "retention.ms", "soon", KERR_INVALID_CONFIG,
         "Invalid value soon for configuration retention.ms: Not a number of type LONG"},
        {TOPIC, "orders", SET, "cleanup.policy", "burn", KERR_INVALID_CONFIG, NULL},
        {TOPIC, "orders", SET, "retention.ms", NULL, KERR_INVALID_REQUEST,
         "Null value not supported for : retention.ms"},
        {TOPIC, "orders", APPEND, "retention.ms", "1", KERR_INVALID_CONFIG,
         "Can't APPEND to key retention.ms because its type is not LIST."},
        {TOPIC, "orders", SUBTRACT, "retention.ms", "1", KERR_INVALID_CONFIG,
         "Can't SUBTRACT to key retention.ms because its type is not LIST."},
        {TOPIC, "orders", 9, "retention.ms", "1", KERR_INVALID_REQUEST,
         "Unknown operation 9 on retention.ms."},
        {TOPIC, "", SET, "retention.ms", "1", KERR_INVALID_REQUEST,
         "Default topic resources are not allowed."},
        {TOPIC, "nothing", SET, "retention.ms", "1", KERR_UNKNOWN_TOPIC_OR_PARTITION,
         "The topic 'nothing' does not exist."},
        {BROKER, "x", SET, "log.retention.ms", "1", KERR_INVALID_REQUEST,
         "Unable to parse broker name as a base 10 number."},
        {BROKER, "-1", SET, "log.retention.ms", "1", KERR_INVALID_REQUEST,
         "Invalid negative broker ID."},
        {BROKER, "7", SET, "log.retention.ms", "1", KERR_BROKER_ID_NOT_REGISTERED,
         "No broker with id 7 found."},
        {BROKER, "", SET, "process.roles", "broker", KERR_INVALID_REQUEST,
         "Cannot update these configs dynamically: [process.roles]"},
        {BROKER, "1", SET, "log.retention.ms", "soon", KERR_INVALID_REQUEST, NULL},
        {BROKER, "1", SET, "min.insync.replicas", "1", KERR_INVALID_CONFIG,
         "Broker-level min.insync.replicas cannot be altered while ELR is enabled."},
        {BROKER, "", DELETE, "min.insync.replicas", NULL, KERR_INVALID_CONFIG,
         "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."},
        {LOGGER, "1", SET, "root", "INFO", KERR_INVALID_REQUEST,
         "Unexpected resource type BROKER_LOGGER."},
        {GROUP, "", SET, "share.auto.offset.reset", "earliest", KERR_INVALID_REQUEST,
         "Default group resources are not allowed."},
        {GROUP, "g", SET, "no.such", "1", KERR_INVALID_CONFIG,
         "Unknown group config name: no.such"},
        {GROUP, "g", SET, "consumer.session.timeout.ms", "1", KERR_INVALID_CONFIG,
         "consumer.session.timeout.ms must be greater than or equal to "
         "group.consumer.min.session.timeout.ms"},
        {METRICS, "", SET, "interval.ms", "100", KERR_INVALID_REQUEST,
         "Subscription name can't be empty"},
        {METRICS, "m", SET, "interval.ms", "99", KERR_INVALID_REQUEST,
         "Invalid value 99 for interval.ms, interval must be between 100 and 3600000 (1 hour)"},
        {METRICS, "m", SET, "match", "shoe_size=43", KERR_INVALID_CONFIG,
         "Illegal client matching pattern: shoe_size=43"},
        {METRICS, "m", SET, "no.such", "1", KERR_INVALID_REQUEST,
         "Unknown client metrics configuration: no.such"},
        {99, "x", SET, "a", "b", KERR_UNSUPPORTED_VERSION, "Unknown resource type 99."},
    };
    struct world w;

    begin(&w);
    for (size_t i = 0; i < array_count(cases); i++) {
        const struct refused_change *c = &cases[i];
        enum kerr error;
        struct str words = alter(&w, c->type, c->resource, c->operation, c->name, c->value, &error);
        CHECK_EQ(error, c->error);
        if (c->message != NULL)
            CHECK_TEXT(words, c->message);
    }
    CHECK_TEXT(world_records(&w), "");
    world_end(&w);
}

static void accept(struct world *w, int8_t type, const char *resource, int8_t operation,
                   const char *name, const char *value, const char *records)
{
    enum kerr error;
    struct str words = alter(w, type, resource, operation, name, value, &error);

    CHECK_TEXT(words, NULL);
    CHECK_EQ(error, KERR_NONE);
    CHECK_TEXT(world_records(w), records);
}

#define RECORD(type, resource, name, value)                                    \
    "ConfigRecord v0 {\"resourceType\":" #type ",\"resourceName\":\"" resource \
    "\",\"name\":\"" name "\",\"value\":" value "}\n"

TEST(controller_configs, changes_become_records)
{
    struct world w;

    begin(&w);
    accept(&w, TOPIC, "orders", SET, "retention.ms", "5",
           RECORD(2, "orders", "retention.ms", "\"5\""));
    accept(&w, TOPIC, "orders", SET, "retention.ms", "5", ""); /* no news */
    CHECK_EQ(config_i64(image_topic_find(controller_latest(w.c), STR("orders"))->config,
                        TOPIC_RETENTION_MS),
             5);
    accept(&w, TOPIC, "orders", APPEND, "cleanup.policy", "compact",
           RECORD(2, "orders", "cleanup.policy", "\"delete,compact\""));
    accept(&w, TOPIC, "orders", APPEND, "cleanup.policy", "compact", "");
    accept(&w, TOPIC, "orders", SUBTRACT, "cleanup.policy", "delete,nothing",
           RECORD(2, "orders", "cleanup.policy", "\"compact\""));
    accept(&w, TOPIC, "orders", DELETE, "retention.ms", NULL,
           RECORD(2, "orders", "retention.ms", "null"));
    accept(&w, TOPIC, "orders", DELETE, "retention.ms", NULL, "");
    accept(&w, BROKER, "", SET, "log.retention.ms", "9",
           RECORD(4, "", "log.retention.ms", "\"9\""));
    accept(&w, BROKER, "", SET, "log.retention.ms", "9",
           RECORD(4, "", "log.retention.ms", "\"9\""));
    accept(&w, BROKER, "1", SET, "some.plugin.name", "x",
           RECORD(4, "1", "some.plugin.name", "\"x\""));
    accept(&w, GROUP, "g", SET, "share.auto.offset.reset", "earliest",
           RECORD(32, "g", "share.auto.offset.reset", "\"earliest\""));
    accept(&w, METRICS, "m", APPEND, "metrics", "a.,b.", RECORD(16, "m", "metrics", "\"a.,b.\""));
    accept(&w, METRICS, "m", SET, "match", "client_id=x.*",
           RECORD(16, "m", "match", "\"client_id=x.*\""));
    world_end(&w);
}

TEST(controller_configs, new_min_isr_clears_eligible_replicas)
{
    struct world w;

    begin(&w);
    accept(&w, TOPIC, "orders", SET, "min.insync.replicas", "2",
           RECORD(2, "orders", "min.insync.replicas",
                  "\"2\"") "ClearElrRecord v0 {\"topicName\":\"orders\"}\n");
    accept(
        &w, BROKER, "", SET, "min.insync.replicas", "2",
        RECORD(4, "", "min.insync.replicas", "\"2\"") "ClearElrRecord v0 {\"topicName\":\"\"}\n");
    world_end(&w);
}

TEST(controller_configs, resource_named_twice_is_refused_and_answered_once)
{
    struct world w;
    struct incremental_alter_configs_request_resources r[3];
    struct incremental_alter_configs_request_resources_configs c[2];
    struct incremental_alter_configs_request m;
    struct incremental_alter_configs_response a;

    begin(&w);
    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_response_init(&a);
    for (int i = 0; i < 3; i++) {
        incremental_alter_configs_request_resources_init(&r[i]);
        r[i].resource_type = i == 2 ? BROKER : TOPIC;
        r[i].resource_name = i == 2 ? STR("") : STR("orders");
    }
    for (int i = 0; i < 2; i++) {
        incremental_alter_configs_request_resources_configs_init(&c[i]);
        c[i].name = STR("log.retention.ms");
        c[i].value = STR("1");
    }
    r[2].configs = c;
    r[2].configs_count = 2;
    m.resources = r;
    m.resources_count = 3;
    CHECK_EQ(world_ask(&w, API_INCREMENTAL_ALTER_CONFIGS, 1, &m, &a), KERR_NONE);
    CHECK_EQ(a.responses_count, 2);
    CHECK_TEXT(a.responses[0].error_message, "Each resource must appear at most once.");
    CHECK_TEXT(a.responses[1].error_message,
               "Error due to duplicate config keys : log.retention.ms");
    world_end(&w);
}

static void alter_all(struct world *w, const char *name, const char *value, bool only_validate)
{
    struct alter_configs_request_resources_configs c;
    struct alter_configs_request_resources r;
    struct alter_configs_request m;
    struct alter_configs_response a;

    alter_configs_request_init(&m);
    alter_configs_request_resources_init(&r);
    alter_configs_request_resources_configs_init(&c);
    alter_configs_response_init(&a);
    c.name = str_of(name);
    c.value = str_of(value);
    r.resource_type = TOPIC;
    r.resource_name = STR("orders");
    r.configs = &c;
    r.configs_count = 1;
    m.resources = &r;
    m.resources_count = 1;
    m.validate_only = only_validate;
    CHECK_EQ(world_ask(w, API_ALTER_CONFIGS, 2, &m, &a), KERR_NONE);
    CHECK_EQ(a.responses[0].error_code, KERR_NONE);
    CHECK(str_is_null(a.responses[0].error_message));
}

/* The older request says all settings: those that it does not name are removed. */
TEST(controller_configs, older_request_replaces_all_settings)
{
    struct world w;

    begin(&w);
    accept(&w, TOPIC, "orders", SET, "retention.ms", "5",
           RECORD(2, "orders", "retention.ms", "\"5\""));
    alter_all(&w, "segment.bytes", "2000000", true);
    CHECK_TEXT(world_records(&w), "");
    alter_all(&w, "segment.bytes", "2000000", false);
    CHECK_TEXT(world_records(&w), RECORD(2, "orders", "segment.bytes", "\"2000000\"")
                                      RECORD(2, "orders", "retention.ms", "null"));
    world_end(&w);
}

/* Settings of plugins, of which a broker takes any number. */
TEST(controller_configs, ten_thousand_settings_are_told_apart)
{
    enum { NAMES = 10000, KEPT = 4000 };
    struct incremental_alter_configs_request_resources_configs *c = calloc(NAMES, sizeof(*c));
    struct alter_configs_request_resources_configs *kept = calloc(KEPT, sizeof(*kept));
    char(*names)[16] = calloc(NAMES, sizeof(*names));
    struct incremental_alter_configs_request_resources r;
    struct incremental_alter_configs_request m;
    struct incremental_alter_configs_response a;
    struct alter_configs_request_resources whole;
    struct alter_configs_request all;
    struct alter_configs_response all_answer;
    struct str value;
    struct world w;

    begin(&w);
    incremental_alter_configs_request_init(&m);
    incremental_alter_configs_request_resources_init(&r);
    incremental_alter_configs_response_init(&a);
    for (int i = 0; i < NAMES; i++) {
        incremental_alter_configs_request_resources_configs_init(&c[i]);
        snprintf(names[i], sizeof(names[i]), "plugin.%d", i);
        c[i].name = str_of(names[i]);
        c[i].value = STR("1");
    }
    r.resource_type = BROKER;
    r.resource_name = STR("1");
    r.configs = c;
    r.configs_count = NAMES;
    m.resources = &r;
    m.resources_count = 1;
    c[NAMES - 1].name = c[NAMES - 2].name;
    c[70].name = c[7].name; /* the first that repeats another is named */
    CHECK_EQ(world_ask(&w, API_INCREMENTAL_ALTER_CONFIGS, 1, &m, &a), KERR_NONE);
    CHECK_TEXT(a.responses[0].error_message, "Error due to duplicate config keys : plugin.7");
    c[NAMES - 1].name = str_of(names[NAMES - 1]);
    c[70].name = str_of(names[70]);
    CHECK_EQ(world_ask(&w, API_INCREMENTAL_ALTER_CONFIGS, 1, &m, &a), KERR_NONE);
    CHECK(str_is_null(a.responses[0].error_message));

    alter_configs_request_init(&all);
    alter_configs_request_resources_init(&whole);
    alter_configs_response_init(&all_answer);
    for (int i = 0; i < KEPT; i++) {
        alter_configs_request_resources_configs_init(&kept[i]);
        kept[i].name = str_of(names[i]);
        kept[i].value = STR("2");
    }
    whole.resource_type = BROKER;
    whole.resource_name = STR("1");
    whole.configs = kept;
    whole.configs_count = KEPT;
    all.resources = &whole;
    all.resources_count = 1;
    CHECK_EQ(world_ask(&w, API_ALTER_CONFIGS, 2, &all, &all_answer), KERR_NONE);
    CHECK(str_is_null(all_answer.responses[0].error_message));
    for (int i = 0; i < NAMES; i++)
        CHECK_EQ(image_config(controller_latest(w.c), BROKER, STR("1"), str_of(names[i]), &value),
                 i < KEPT);
    free(names);
    free(kept);
    free(c);
    world_end(&w);
}

/* Parts of a list: none twice, none that is there already, whatever their number. */
TEST(controller_configs, long_lists_are_joined_without_repetition)
{
    struct text parts = {0}, first = {0};
    struct world w;
    enum kerr error;
    struct str value;

    begin(&w);
    for (int i = 0; i < 10000; i++)
        text_printf(&parts, "%s%d", i > 0 ? "," : "", i % 5000);
    for (int i = 0; i < 3000; i++)
        text_printf(&first, "%s%d", i > 0 ? "," : "", i);
    (void)alter(&w, METRICS, "m", SET, "metrics", "3,,4", &error);
    CHECK_EQ(error, KERR_NONE);
    (void)alter(&w, METRICS, "m", APPEND, "metrics", parts.p, &error);
    CHECK_EQ(error, KERR_NONE);
    CHECK(image_config(controller_latest(w.c), METRICS, STR("m"), STR("metrics"), &value));
    CHECK_TEXT(((struct str){value.p, 12}), "3,4,0,1,2,5,");
    CHECK_EQ(value.n, (int32_t)parts.n / 2); /* each once */
    (void)alter(&w, METRICS, "m", SUBTRACT, "metrics", first.p, &error);
    CHECK_EQ(error, KERR_NONE);
    CHECK(image_config(controller_latest(w.c), METRICS, STR("m"), STR("metrics"), &value));
    CHECK_TEXT(((struct str){value.p, 10}), "3000,3001,");
    CHECK_EQ(value.n, 5 * 2000 - 1);
    (void)alter(&w, METRICS, "m", APPEND, "metrics", first.p, &error);
    CHECK_EQ(error, KERR_NONE);
    text_clear(&first);
    for (int i = 5000; i < 8000; i++)
        text_printf(&first, "%s%d", i > 5000 ? "," : "", i);
    CHECK_TEXT(alter(&w, METRICS, "m", APPEND, "metrics", first.p, &error),
               "The value of metrics would have 38889 bytes; 32767 are the most.");
    CHECK_EQ(error, KERR_INVALID_CONFIG);
    text_deinit(&parts);
    text_deinit(&first);
    world_end(&w);
}
