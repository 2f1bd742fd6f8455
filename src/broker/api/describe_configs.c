/* DescribeConfigs (key 32): values in force, where they come from, and what would hold without
 * them.
 *
 *   topic, group     own value ► broker's dynamic ► dynamic default ► static ► default
 *   broker "N"       dynamic ► dynamic default ► static ► default
 *   broker ""        the dynamic defaults of the cluster alone
 *   client metrics   own value ► default
 *
 * Why a partition is as it is, is told under a setting's name, too: why_setting.c.
 */
#include "broker/api/api.h"
#include "broker/settings.h"
#include "broker/view.h"
#include "broker/why.h"
#include "protocol/describe_configs.h"

#include <stdlib.h>

struct describing {
    struct request *request;
    const struct describe_configs_request_resources *asked;
    struct str *keys; /* those asked for, sorted; NULL = all */
    struct describe_configs_response_results *out;
    const struct config_table *table;
    const struct config *values;
    enum config_source own; /* the level that the resource itself has */
    bool only_own;          /* broker "": nothing but what is set there */
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

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static void sort_keys(struct describing *d)
{
    size_t n = d->asked->configuration_keys_count > 0 ? (size_t)d->asked->configuration_keys_count : 0;

    if (n == 0)
        return;
    d->keys = arena_take_array(&d->request->arena, n, sizeof *d->keys);
    memcpy(d->keys, d->asked->configuration_keys, n * sizeof *d->keys);
    qsort(d->keys, n, sizeof *d->keys, compare_names);
}

static bool is_wanted(const struct describing *d, struct str name)
{
    return d->keys == NULL || bsearch(&name, d->keys, (size_t)d->asked->configuration_keys_count,
                                      sizeof *d->keys, compare_names) != NULL;
}

/* ---- synonyms
 * --------------------------------------------------------------------------------------- */

/* At most the own value, and three names at four levels. */
#define SYNONYMS_MAX 16

static void add_synonym(struct describing *d, struct describe_configs_response_results_configs *c,
                        struct str name, struct str value, enum config_source source)
{
    struct describe_configs_response_results_configs_synonyms *s;

    ASSERT(c->synonyms_count < SYNONYMS_MAX);
    s = &c->synonyms[c->synonyms_count++];
    describe_configs_response_results_configs_synonyms_init(s);
    s->name = name;
    s->value = c->is_sensitive ? STR_NULL : arena_str(&d->request->arena, value);
    s->source = (int8_t)source;
}

#define NAMES_MAX 3

/* Broker settings that say the same in different units, the finest first; the first column is asked
 * for, the others hold where those before are not set. */
static const uint32_t families[][NAMES_MAX] = {
    {BROKER_LOG_ROLL_MS, BROKER_LOG_ROLL_HOURS},
    {BROKER_LOG_ROLL_JITTER_MS, BROKER_LOG_ROLL_JITTER_HOURS},
    {BROKER_LOG_FLUSH_INTERVAL_MS, BROKER_LOG_FLUSH_SCHEDULER_INTERVAL_MS},
    {BROKER_LOG_RETENTION_MS, BROKER_LOG_RETENTION_MINUTES, BROKER_LOG_RETENTION_HOURS},
};

static bool is_in_family(const uint32_t family[NAMES_MAX], uint32_t id)
{
    /* The scheduler's interval is a setting of its own: it only serves as the other one's default.
     */
    if (id == BROKER_LOG_FLUSH_SCHEDULER_INTERVAL_MS)
        return false;
    return family[0] == id || family[1] == id || (family[2] != 0 && family[2] == id);
}

/* The settings whose values are shown for broker setting `id`. */
static uint32_t names_of(uint32_t id, uint32_t names[NAMES_MAX])
{
    for (size_t i = 0; i < array_count(families); i++) {
        if (!is_in_family(families[i], id))
            continue;
        memcpy(names, families[i], sizeof families[i]);
        return families[i][2] != 0 ? 3 : 2;
    }
    names[0] = id;
    return 1;
}

/* Level by level, as a Kafka broker lists them. What comes before the setting's own name is left
 * out: so the value of a coarser setting (hours) is told only behind a value of the finer one (ms).
 */
static void add_broker_synonyms(struct describing *d,
                                struct describe_configs_response_results_configs *c, uint32_t id)
{
    static const enum config_source levels[] = {
        CONFIG_DYNAMIC_BROKER, CONFIG_DYNAMIC_DEFAULT_BROKER, CONFIG_STATIC_BROKER, CONFIG_DEFAULT};
    uint32_t names[NAMES_MAX], count = names_of(id, names);
    bool reached = false;
    struct str value;

    for (size_t i = 0; i < array_count(levels); i++) {
        for (uint32_t n = 0; n < count; n++) {
            if (!config_text_at(d->request->shard->settings, levels[i], names[n], &value) ||
                str_is_null(value))
                continue;
            reached |= names[n] == id;
            if (reached && (!d->only_own || levels[i] == d->own))
                add_synonym(d, c, str_of(broker_settings.settings[names[n]].name), value,
                            levels[i]);
        }
    }
}

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
        return;
    }
    if (config_text_at(d->values, d->own, id, &value))
        add_synonym(d, c, str_of(s->name), value, d->own);
    key = setting_broker_key(s, 0, &factor);
    if (key >= 0)
        add_broker_synonyms(d, c, (uint32_t)key);
    else if (d->own == CONFIG_GROUP && s->default_text != NULL)
        add_synonym(d, c, str_of(s->name), str_of(s->default_text), CONFIG_DEFAULT);
}

/* ---- values
 * ------------------------------------------------------------------------------------------- */

/* Where a value comes from is where its first synonym does: so Kafka's tools show both. */
static void settle_source(const struct describing *d,
                          struct describe_configs_response_results_configs *c)
{
    c->config_source = c->synonyms_count > 0 ? c->synonyms[0].source : (int8_t)CONFIG_DEFAULT;
    if (!d->synonyms)
        c->synonyms_count = 0;
}

static void answer_setting(struct describing *d, uint32_t id)
{
    const struct setting *s = &d->table->settings[id];
    struct describe_configs_response_results_configs *c = &d->out->configs[d->out->configs_count++];
    struct str value = config_text(d->values, id);

    if (d->only_own)
        (void)config_text_at(d->values, d->own, id, &value);
    describe_configs_response_results_configs_init(c);
    c->name = str_of(s->name);
    c->is_sensitive = s->type == SETTING_PASSWORD;
    c->value = c->is_sensitive ? STR_NULL : arena_str(&d->request->arena, value);
    c->read_only = d->table == &broker_settings && s->mode == SETTING_READ_ONLY;
    c->config_type = type_of(s->type);
    if (d->documentation)
        c->documentation = str_of(s->help);
    add_synonyms(d, c, id);
    settle_source(d, c);
}

/* Room for the settings of the table and `others`. */
static void answer_settings(struct describing *d, uint32_t others)
{
    struct str value;

    d->out->configs =
        arena_take_array(&d->request->arena, d->table->count + others, sizeof *d->out->configs);
    for (uint32_t id = 0; id < d->table->count; id++) {
        const struct setting *s = &d->table->settings[id];
        if (s->internal || !is_wanted(d, str_of(s->name)))
            continue;
        if (d->only_own && !config_text_at(d->values, d->own, id, &value))
            continue;
        answer_setting(d, id);
    }
}

/* ---- dynamic settings of a broker that no table has
 * -------------------------------------------------- */

static void count_unknown(void *ctx, struct str name, struct str value)
{
    uint32_t *count = ctx;

    (void)value;
    *count += setting_find(&broker_settings, name) < 0;
}

/* Somebody's plugin may know it, or its name is mistyped: it is shown, so that it can be removed.
 * Its value may be a secret. */
static void answer_unknown(struct describing *d, struct str name, enum config_source source)
{
    struct describe_configs_response_results_configs *c;

    if (setting_find(&broker_settings, name) >= 0 || !is_wanted(d, name))
        return;
    c = &d->out->configs[d->out->configs_count++];
    describe_configs_response_results_configs_init(c);
    c->name = arena_str(&d->request->arena, name);
    c->value = STR_NULL;
    c->is_sensitive = true;
    c->read_only = true;
    c->synonyms = arena_take_array(&d->request->arena, SYNONYMS_MAX, sizeof *c->synonyms);
    add_synonym(d, c, c->name, STR_NULL, source);
    settle_source(d, c);
}

static void answer_unknown_own(void *ctx, struct str name, struct str value)
{
    (void)value;
    answer_unknown(ctx, name, CONFIG_DYNAMIC_BROKER);
}

static void answer_unknown_default(void *ctx, struct str name, struct str value)
{
    struct describing *d = ctx;

    if (!d->only_own && image_config(d->request->shard->image, RESOURCE_TYPE_BROKER,
                                     d->asked->resource_name, name, &value))
        return; /* told at the level above */
    answer_unknown(d, name, CONFIG_DYNAMIC_DEFAULT_BROKER);
}

static void answer_broker_settings(struct describing *d)
{
    const struct image *image = d->request->shard->image;
    uint32_t unknown = 0;

    image_config_each(image, RESOURCE_TYPE_BROKER, STR(""), count_unknown, &unknown);
    image_config_each(image, RESOURCE_TYPE_BROKER, d->asked->resource_name, count_unknown,
                      &unknown);
    answer_settings(d, unknown);
    if (!d->only_own)
        image_config_each(image, RESOURCE_TYPE_BROKER, d->asked->resource_name, answer_unknown_own,
                          d);
    image_config_each(image, RESOURCE_TYPE_BROKER, STR(""), answer_unknown_default, d);
}

/* ---- resources
 * ---------------------------------------------------------------------------------------- */

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
        refuse(d, KERR_INVALID_TOPIC_EXCEPTION,
               STR("Topic name is invalid: it must be 1 to 249 of ASCII letters, digits, '.', '_' "
                   "and '-', "
                   "not '.' or '..'"));
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
    answer_settings(d, 0);
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
        d->only_own = true;
        answer_broker_settings(d);
        return;
    }
    if (str_to_i64(name, 0, INT32_MAX, &id) < 0 || id != r->shard->broker->node_id) {
        refuse(d, KERR_INVALID_REQUEST,
               arena_printf(&r->arena,
                            "Unexpected broker id, expected %d or empty string, but received %.*s",
                            r->shard->broker->node_id, STR_ARG(name)));
        return;
    }
    answer_broker_settings(d);
}

static void answer_group(struct describing *d)
{
    struct request *r = d->request;
    struct config *values;

    if (!request_authorize(r, ACL_DESCRIBE_CONFIGS, RESOURCE_GROUP, d->asked->resource_name)) {
        refuse(d, KERR_GROUP_AUTHORIZATION_FAILED, STR_NULL);
        return;
    }
    if (d->asked->resource_name.n <= 0) {
        refuse(d, KERR_INVALID_REQUEST, STR("Group name must not be empty"));
        return;
    }
    values = settings_of_group(r->shard, d->asked->resource_name);
    d->table = &group_settings;
    d->values = values;
    d->own = CONFIG_GROUP;
    answer_settings(d, 0);
    config_free(values);
}

/* A subscription of KIP-714; one that nobody made has the defaults. */
static void answer_client_metrics(struct describing *d)
{
    struct request *r = d->request;
    struct config *values;

    if (!request_authorize(r, ACL_DESCRIBE_CONFIGS, RESOURCE_CLUSTER, STR("kafka-cluster"))) {
        refuse(d, KERR_CLUSTER_AUTHORIZATION_FAILED, STR_NULL);
        return;
    }
    if (d->asked->resource_name.n <= 0) {
        refuse(d, KERR_INVALID_REQUEST, STR("Client metrics subscription name must not be empty"));
        return;
    }
    values = settings_of_client_metrics(r->shard, d->asked->resource_name);
    d->table = &client_metrics_settings;
    d->values = values;
    d->own = CONFIG_CLIENT_METRICS;
    answer_settings(d, 0);
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
    case RESOURCE_TYPE_CLIENT_METRICS:
        answer_client_metrics(d);
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
        sort_keys(&d);
        describe_configs_response_results_init(d.out);
        d.out->resource_type = d.asked->resource_type;
        d.out->resource_name = d.asked->resource_name;
        answer_resource(&d);
    }
    why_answer(r);
}
