/* DescribeConfigs (key 32): values in force, where they come from, and what would hold without them.
 *
 *   topic, group   own value ► broker's dynamic ► dynamic default ► static ► default
 *   broker "N"     dynamic ► dynamic default ► static ► default
 *   broker ""      the dynamic defaults of the cluster alone
 */
#include "broker/api/api.h"
#include "broker/settings.h"
#include "broker/view.h"
#include "protocol/describe_configs.h"

struct describing {
    struct request *request;
    const struct describe_configs_request_resources *asked;
    struct describe_configs_response_results *out;
    const struct config_table *table;
    const struct config *values;
    enum config_source own; /* the level that the resource itself has */
    bool synonyms, documentation;
};

/* ConfigType of the protocol. */
static int8_t type_of(enum setting_type type)
{
    static const int8_t types[] = {
        [SETTING_BOOLEAN] = 1, [SETTING_STRING] = 2, [SETTING_INT] = 3,
        [SETTING_SHORT] = 4,   [SETTING_LONG] = 5,   [SETTING_DOUBLE] = 6,
        [SETTING_LIST] = 7,    [SETTING_CLASS] = 8,  [SETTING_PASSWORD] = 9,
    };

    return types[type];
}

static bool is_wanted(const struct describe_configs_request_resources *asked, const char *name)
{
    if (asked->configuration_keys_count < 0)
        return true;
    for (int32_t i = 0; i < asked->configuration_keys_count; i++) {
        if (str_equal(asked->configuration_keys[i], str_of(name)))
            return true;
    }
    return false;
}

/* ---- synonyms --------------------------------------------------------------------------------------- */

#define SYNONYMS_MAX 16

static void add_synonym(struct describing *d, struct describe_configs_response_results_configs *c,
                        const char *name, struct str value, enum config_source source)
{
    struct describe_configs_response_results_configs_synonyms *s = &c->synonyms[c->synonyms_count];

    if (c->synonyms_count == SYNONYMS_MAX)
        return;
    c->synonyms_count++;
    describe_configs_response_results_configs_synonyms_init(s);
    s->name = str_of(name);
    s->value = c->is_sensitive ? STR_NULL : arena_str(&d->request->arena, value);
    s->source = (int8_t)source;
}

/* The levels at which a broker setting is set. */
static void add_broker_levels(struct describing *d, struct describe_configs_response_results_configs *c,
                              uint32_t id)
{
    static const enum config_source levels[] = {CONFIG_DYNAMIC_BROKER,
                                                CONFIG_DYNAMIC_DEFAULT_BROKER,
                                                CONFIG_STATIC_BROKER};
    struct str value;

    for (size_t i = 0; i < array_count(levels); i++) {
        if (config_text_at(d->request->shard->settings, levels[i], id, &value))
            add_synonym(d, c, broker_settings.settings[id].name, value, levels[i]);
    }
}

static void add_default(struct describing *d, struct describe_configs_response_results_configs *c,
                        const struct setting *s)
{
    if (s->default_text != NULL && !s->required)
        add_synonym(d, c, s->name, str_of(s->default_text), CONFIG_DEFAULT);
}

/* Broker settings that say the same in different units, the finest first: each is a synonym of the others. */
static const int same[][3] = {
    {BROKER_LOG_ROLL_MS, BROKER_LOG_ROLL_HOURS, -1},
    {BROKER_LOG_ROLL_JITTER_MS, BROKER_LOG_ROLL_JITTER_HOURS, -1},
    {BROKER_LOG_FLUSH_INTERVAL_MS, BROKER_LOG_FLUSH_SCHEDULER_INTERVAL_MS, -1},
    {BROKER_LOG_RETENTION_MS, BROKER_LOG_RETENTION_MINUTES, BROKER_LOG_RETENTION_HOURS},
};

static void add_broker_synonyms(struct describing *d, struct describe_configs_response_results_configs *c,
                                uint32_t id)
{
    for (size_t i = 0; i < array_count(same); i++) {
        for (size_t k = 0; k < array_count(same[i]); k++) {
            if (same[i][k] != (int)id)
                continue;
            for (size_t m = 0; m < array_count(same[i]) && same[i][m] >= 0; m++)
                add_broker_levels(d, c, (uint32_t)same[i][m]);
            return;
        }
    }
    add_broker_levels(d, c, id);
}

/* As a Kafka broker lists them: the own value, the broker settings behind it, and the default of the first of those. */
static void add_synonyms(struct describing *d, struct describe_configs_response_results_configs *c,
                         uint32_t id)
{
    const struct setting *s = &d->table->settings[id];
    int64_t factor;
    struct str value;
    int key;

    c->synonyms = arena_take_array(&d->request->arena, SYNONYMS_MAX, sizeof *c->synonyms);
    if (d->table == &broker_settings) {
        add_broker_synonyms(d, c, id);
        add_default(d, c, s);
        return;
    }
    if (config_text_at(d->values, d->own, id, &value))
        add_synonym(d, c, s->name, value, d->own);
    for (uint32_t i = 0; (key = setting_broker_key(s, i, &factor)) >= 0; i++)
        add_broker_levels(d, c, (uint32_t)key);
    key = setting_broker_key(s, 0, &factor);
    if (key >= 0)
        add_default(d, c, &broker_settings.settings[key]);
}

/* ---- values ------------------------------------------------------------------------------------------- */

static void answer_setting(struct describing *d, uint32_t id)
{
    const struct setting *s = &d->table->settings[id];
    struct describe_configs_response_results_configs *c = &d->out->configs[d->out->configs_count++];

    describe_configs_response_results_configs_init(c);
    c->name = str_of(s->name);
    c->is_sensitive = s->type == SETTING_PASSWORD;
    c->value = c->is_sensitive ? STR_NULL
                               : arena_str(&d->request->arena, config_text(d->values, id));
    c->config_source = (int8_t)config_source(d->values, id);
    c->read_only = d->table == &broker_settings && s->mode == SETTING_READ_ONLY;
    c->config_type = type_of(s->type);
    if (d->documentation)
        c->documentation = str_of(s->help);
    if (d->synonyms)
        add_synonyms(d, c, id);
}

static void answer_settings(struct describing *d, bool only_own)
{
    struct str value;

    d->out->configs = arena_take_array(&d->request->arena, d->table->count, sizeof *d->out->configs);
    for (uint32_t id = 0; id < d->table->count; id++) {
        const struct setting *s = &d->table->settings[id];
        if (s->internal || !is_wanted(d->asked, s->name))
            continue;
        if (only_own && !config_text_at(d->values, d->own, id, &value))
            continue;
        answer_setting(d, id);
    }
}

static void refuse(struct describing *d, enum kerr error, struct str message)
{
    d->out->error_code = (int16_t)error;
    d->out->error_message = message;
    d->out->configs_count = 0;
}

static void answer_topic(struct describing *d)
{
    struct request *r = d->request;
    struct str name = d->asked->resource_name;
    const struct image_topic *topic = image_topic_find(r->shard->image, name);

    if (!request_authorize(r, ACL_DESCRIBE_CONFIGS, RESOURCE_TOPIC, name)) {
        refuse(d, KERR_TOPIC_AUTHORIZATION_FAILED, STR_NULL);
        return;
    }
    if (!view_topic_name_is_valid(name)) {
        refuse(d, KERR_INVALID_TOPIC_EXCEPTION, STR("the name cannot be that of a topic"));
        return;
    }
    if (topic == NULL) {
        refuse(d, KERR_UNKNOWN_TOPIC_OR_PARTITION, STR_NULL);
        return;
    }
    struct config *values = config_topic(r->shard->settings, topic->config);
    d->table = &topic_settings;
    d->values = values;
    d->own = CONFIG_TOPIC;
    answer_settings(d, false);
    config_free(values);
}

static void answer_broker(struct describing *d)
{
    struct request *r = d->request;
    struct str name = d->asked->resource_name;
    int64_t id;

    if (!request_authorize(r, ACL_DESCRIBE_CONFIGS, RESOURCE_CLUSTER, STR("kafka-cluster"))) {
        refuse(d, KERR_CLUSTER_AUTHORIZATION_FAILED, STR_NULL);
        return;
    }
    d->table = &broker_settings;
    d->values = r->shard->settings;
    d->own = CONFIG_DYNAMIC_DEFAULT_BROKER;
    if (name.n <= 0) {
        answer_settings(d, true);
        return;
    }
    if (str_to_i64(name, 0, INT32_MAX, &id) < 0 || id != r->shard->broker->node_id) {
        refuse(d, KERR_INVALID_REQUEST,
               arena_printf(&r->arena, "this is broker %d: it does not know the settings of broker %.*s",
                            r->shard->broker->node_id, STR_ARG(name)));
        return;
    }
    answer_settings(d, false);
}

static void answer_group(struct describing *d)
{
    struct request *r = d->request;
    struct config *values;

    if (!request_authorize(r, ACL_DESCRIBE_CONFIGS, RESOURCE_GROUP, d->asked->resource_name)) {
        refuse(d, KERR_GROUP_AUTHORIZATION_FAILED, STR_NULL);
        return;
    }
    values = settings_of_group(r->shard, d->asked->resource_name);
    d->table = &group_settings;
    d->values = values;
    d->own = CONFIG_GROUP;
    answer_settings(d, false);
    config_free(values);
}

static void answer_resource(struct describing *d)
{
    switch (d->asked->resource_type) {
    case RESOURCE_TYPE_TOPIC:
        answer_topic(d);
        return;
    case RESOURCE_TYPE_BROKER:
        answer_broker(d);
        return;
    case RESOURCE_TYPE_GROUP:
        answer_group(d);
        return;
    default:
        refuse(d, KERR_INVALID_REQUEST, STR("this type of resource has no settings here"));
    }
}

void describe_configs_handle(struct request *r)
{
    const struct describe_configs_request *m = r->message;
    struct describe_configs_response *a = r->response;

    a->results_count = m->resources_count;
    a->results = arena_take_array(&r->arena, (size_t)m->resources_count, sizeof *a->results);
    for (int32_t i = 0; i < m->resources_count; i++) {
        struct describing d = {
            .request = r,
            .asked = &m->resources[i],
            .out = &a->results[i],
            .synonyms = m->include_synonyms,
            .documentation = m->include_documentation,
        };
        describe_configs_response_results_init(d.out);
        d.out->resource_type = d.asked->resource_type;
        d.out->resource_name = d.asked->resource_name;
        answer_resource(&d);
    }
    request_answer(r);
}
