/* Settings of resources, checked before they become records. */
#include "controller/internal.h"

/* Client metrics subscriptions (KIP-714). */
#define INTERVAL_MS_MIN 100
#define INTERVAL_MS_MAX 3600000

static bool is_changed(const struct config_change *changes, uint32_t count, struct str name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (str_equal(changes[i].name, name))
            return true;
    }
    return false;
}

/* ---- topics and groups: all values together -----------------------------------------------------
 */

struct existing {
    struct config *config;
    enum config_source source;
    const struct config_change *changes;
    uint32_t count;
};

/* What is there already was checked when it came, or a newer node knows it. */
static void add_existing(void *ctx, struct str name, struct str value)
{
    struct existing *e = ctx;
    struct fail ignored = {0};

    if (!is_changed(e->changes, e->count, name))
        (void)!config_set(e->config, e->source, name, value, &ignored);
}

static struct verdict set_changes(struct decision *d, struct config *own, enum config_source source,
                                  const char *what, const struct config_change *changes,
                                  uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct fail f = {0};
        int rc;
        if (str_is_null(changes[i].value))
            continue;
        rc = config_set(own, source, changes[i].name, changes[i].value, &f);
        if (rc == -ENOENT)
            return refuse(d, KERR_INVALID_CONFIG, "Unknown %s config name: %.*s", what,
                          STR_ARG(changes[i].name));
        if (rc < 0)
            return refuse(d, KERR_INVALID_CONFIG, "%s", f.text);
    }
    return VERDICT_OK;
}

static struct verdict check_together(struct decision *d, const struct config *own)
{
    const struct config *broker = effective_broker(d);
    struct config *all = config_topic(broker, own);
    struct verdict v = VERDICT_OK;
    struct fail f = {0};

    if (config_check_topic(all, broker, &f) < 0)
        v = refuse(d, KERR_INVALID_CONFIG, "%s", f.text);
    config_free(all);
    return v;
}

static struct verdict check_topic(struct decision *d, struct str name,
                                  const struct config_change *changes, uint32_t count, bool created)
{
    struct existing e = {config_new(&topic_settings), CONFIG_TOPIC, changes, count};
    struct verdict v = VERDICT_OK;

    if (name.n == 0)
        v = refuse(d, KERR_INVALID_REQUEST, "Default topic resources are not allowed.");
    else
        v = check_topic_name(d, name);
    if (v.error == KERR_NONE) {
        image_config_each(d->image, CONFIG_RESOURCE_TOPIC, name, add_existing, &e);
        v = set_changes(d, e.config, CONFIG_TOPIC, "topic", changes, count);
    }
    if (v.error == KERR_NONE)
        v = check_together(d, e.config);
    if (v.error == KERR_NONE && !created && image_topic_find(d->image, name) == NULL)
        v = refuse(d, KERR_UNKNOWN_TOPIC_OR_PARTITION, "The topic '%.*s' does not exist.",
                   STR_ARG(name));
    config_free(e.config);
    return v;
}

static struct verdict check_group(struct decision *d, struct str name,
                                  const struct config_change *changes, uint32_t count)
{
    struct existing e = {NULL, CONFIG_GROUP, changes, count};
    struct fail f = {0};
    struct verdict v;

    if (name.n == 0)
        return refuse(d, KERR_INVALID_REQUEST, "Default group resources are not allowed.");
    e.config = config_new(&group_settings);
    image_config_each(d->image, CONFIG_RESOURCE_GROUP, name, add_existing, &e);
    v = set_changes(d, e.config, CONFIG_GROUP, "group", changes, count);
    if (v.error == KERR_NONE && config_check_group(e.config, effective_broker(d), &f) < 0)
        v = refuse(d, KERR_INVALID_CONFIG, "%s", f.text);
    config_free(e.config);
    return v;
}

/* ---- brokers -----------------------------------------------------------------------------------
 */

static struct verdict check_broker_name(struct decision *d, struct str name)
{
    int64_t id;

    if (name.n == 0)
        return VERDICT_OK;
    if (str_to_i64(name, INT32_MIN, INT32_MAX, &id) < 0)
        return refuse(d, KERR_INVALID_REQUEST, "Unable to parse broker name as a base 10 number.");
    if (id < 0)
        return refuse(d, KERR_INVALID_REQUEST, "Invalid negative broker ID.");
    return VERDICT_OK;
}

static bool broker_exists(const struct decision *d, struct str name)
{
    int64_t id = -1;

    if (name.n == 0)
        return true;
    (void)str_to_i64(name, 0, INT32_MAX, &id);
    return image_broker_find(d->image, (int32_t)id) != NULL ||
           image_controller_find(d->image, (int32_t)id) != NULL || id == d->c->settings.node_id;
}

static struct verdict check_mode(struct decision *d, struct str broker, const struct setting *s)
{
    if (s->mode == SETTING_READ_ONLY)
        return refuse(d, KERR_INVALID_REQUEST, "Cannot update these configs dynamically: [%s]",
                      s->name);
    if (s->mode == SETTING_PER_BROKER && broker.n == 0)
        return refuse(d, KERR_INVALID_REQUEST,
                      "Cannot update these configs at default cluster level, broker id must be "
                      "specified: [%s]",
                      s->name);
    return VERDICT_OK;
}

/* With ELR on the number is the cluster's, one for all brokers. */
static struct verdict check_min_isr(struct decision *d, struct str broker,
                                    const struct config_change *change)
{
    if (!elr_is_on(d->image) || !str_equal(change->name, STR("min.insync.replicas")))
        return VERDICT_OK;
    if (broker.n > 0)
        return refuse(d, KERR_INVALID_CONFIG,
                      "Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
    if (str_is_null(change->value))
        return refuse(d, KERR_INVALID_CONFIG,
                      "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
    return VERDICT_OK;
}

static struct verdict check_broker_change(struct decision *d, struct config *config,
                                          struct str broker, const struct config_change *change)
{
    enum config_source source =
        broker.n == 0 ? CONFIG_DYNAMIC_DEFAULT_BROKER : CONFIG_DYNAMIC_BROKER;
    int id = setting_find(&broker_settings, change->name);
    struct verdict v = check_min_isr(d, broker, change);
    struct fail f = {0};

    if (v.error != KERR_NONE || id < 0) /* unknown names are some plugin's */
        return v;
    v = check_mode(d, broker, &broker_settings.settings[id]);
    if (v.error != KERR_NONE || str_is_null(change->value))
        return v;
    if (config_set(config, source, change->name, change->value, &f) < 0)
        return refuse(d, KERR_INVALID_REQUEST, "%s", f.text);
    return VERDICT_OK;
}

static struct verdict check_broker(struct decision *d, struct str broker,
                                   const struct config_change *changes, uint32_t count)
{
    struct config *config;
    struct verdict v = check_broker_name(d, broker);

    if (v.error != KERR_NONE)
        return v;
    config = config_copy(effective_broker(d));
    for (uint32_t i = 0; v.error == KERR_NONE && i < count; i++)
        v = check_broker_change(d, config, broker, &changes[i]);
    config_free(config);
    if (v.error == KERR_NONE && !broker_exists(d, broker))
        v = refuse(d, KERR_BROKER_ID_NOT_REGISTERED, "No broker with id %.*s found.",
                   STR_ARG(broker));
    return v;
}

/* ---- client metrics ----------------------------------------------------------------------------
 */

static bool is_match_key(struct str key)
{
    static const char *const keys[] = {
        "client_instance_id",    "client_id",
        "client_software_name",  "client_software_version",
        "client_source_address", "client_source_port",
    };

    for (size_t i = 0; i < array_count(keys); i++) {
        if (str_equal(key, str_of(keys[i])))
            return true;
    }
    return false;
}

static struct verdict check_match(struct decision *d, struct str patterns)
{
    struct str pattern, rest, key;

    while (str_cut(&patterns, ',', &pattern)) {
        rest = str_trim(pattern);
        if (!str_cut(&rest, '=', &key) || rest.p == NULL || !is_match_key(str_trim(key)) ||
            str_trim(rest).n <= 0)
            return refuse(d, KERR_INVALID_CONFIG, "Illegal client matching pattern: %.*s",
                          STR_ARG(pattern));
    }
    return VERDICT_OK;
}

static struct verdict check_metrics_change(struct decision *d, const struct config_change *change)
{
    int64_t interval_ms;

    if (str_equal(change->name, STR("metrics")) || str_is_null(change->value))
        return VERDICT_OK;
    if (str_equal(change->name, STR("match")))
        return check_match(d, change->value);
    if (!str_equal(change->name, STR("interval.ms")))
        return refuse(d, KERR_INVALID_REQUEST, "Unknown client metrics configuration: %.*s",
                      STR_ARG(change->name));
    if (str_to_i64(change->value, INTERVAL_MS_MIN, INTERVAL_MS_MAX, &interval_ms) < 0)
        return refuse(d, KERR_INVALID_REQUEST,
                      "Invalid value %.*s for interval.ms, interval must be between 100 and "
                      "3600000 (1 hour)",
                      STR_ARG(change->value));
    return VERDICT_OK;
}

static struct verdict check_metrics(struct decision *d, struct str name,
                                    const struct config_change *changes, uint32_t count)
{
    struct verdict v = VERDICT_OK;

    if (name.n == 0)
        return refuse(d, KERR_INVALID_REQUEST, "Subscription name can't be empty");
    for (uint32_t i = 0; v.error == KERR_NONE && i < count; i++)
        v = check_metrics_change(d, &changes[i]);
    return v;
}

/* ---- which -------------------------------------------------------------------------------------
 */

struct verdict check_configs(struct decision *d, int8_t type, struct str resource,
                             const struct config_change *changes, uint32_t count, bool created)
{
    switch (type) {
    case CONFIG_RESOURCE_TOPIC:
        return check_topic(d, resource, changes, count, created);
    case CONFIG_RESOURCE_BROKER:
        return check_broker(d, resource, changes, count);
    case CONFIG_RESOURCE_GROUP:
        return check_group(d, resource, changes, count);
    case CONFIG_RESOURCE_CLIENT_METRICS:
        return check_metrics(d, resource, changes, count);
    }
    UNREACHABLE("only resources that may be altered are checked");
}

static const struct config_table *table_of(int8_t type)
{
    switch (type) {
    case CONFIG_RESOURCE_TOPIC:
        return &topic_settings;
    case CONFIG_RESOURCE_BROKER:
        return &broker_settings;
    case CONFIG_RESOURCE_GROUP:
        return &group_settings;
    }
    return NULL;
}

bool config_is_list(int8_t type, struct str name, struct str *value)
{
    const struct config_table *table = table_of(type);
    int id;

    *value = STR("");
    if (table == NULL) /* client metrics */
        return str_equal(name, STR("metrics")) || str_equal(name, STR("match"));
    id = setting_find(table, name);
    if (id < 0 || table->settings[id].type != SETTING_LIST)
        return false;
    if (table->settings[id].default_text != NULL)
        *value = str_of(table->settings[id].default_text);
    return true;
}
