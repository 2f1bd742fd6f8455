#include "broker/settings.h"

#include <stdio.h>

struct taking {
    struct config *config;
    enum config_source source;
    struct telemetry *telemetry;
};

static void take(void *ctx, struct str name, struct str value)
{
    struct taking *t = ctx;
    struct fail fail = {0};

    if (config_set(t->config, t->source, name, value, &fail) < 0 && t->telemetry != NULL)
        say(t->telemetry, LOG_WARN, "broker", "a dynamic setting has no effect: %s", fail.text);
}

struct config *settings_of_broker(const struct broker *b, const struct image *image,
                                  struct telemetry *telemetry)
{
    struct config *c = config_copy(b->options.settings);
    struct taking defaults = {c, CONFIG_DYNAMIC_DEFAULT_BROKER, telemetry};
    struct taking own = {c, CONFIG_DYNAMIC_BROKER, telemetry};
    char id[16];

    snprintf(id, sizeof id, "%d", b->node_id);
    image_config_each(image, RESOURCE_TYPE_BROKER, STR(""), take, &defaults);
    image_config_each(image, RESOURCE_TYPE_BROKER, str_of(id), take, &own);
    return c;
}

/* The broker's settings that stand behind a group's. */
static void take_broker_values(const struct config *broker, struct config *out)
{
    for (uint32_t id = 0; id < group_settings.count; id++) {
        const struct setting *s = &group_settings.settings[id];
        int64_t factor;
        int key = setting_broker_key(s, 0, &factor);
        if (key < 0 || config_source(broker, (uint32_t)key) == CONFIG_DEFAULT)
            continue;
        int error = config_set(out, config_source(broker, (uint32_t)key), str_of(s->name),
                               config_text(broker, (uint32_t)key), NULL);
        ASSERT(error == 0 || error == -EINVAL); /* a value that the group's own range refuses has no effect */
    }
}

struct config *settings_of_group(const struct broker_shard *shard, struct str group_id)
{
    struct config *c = config_new(&group_settings);
    struct taking own = {c, CONFIG_GROUP, NULL};

    take_broker_values(shard->settings, c);
    image_config_each(shard->image, RESOURCE_TYPE_GROUP, group_id, take, &own);
    return c;
}

struct config *settings_of_client_metrics(const struct broker_shard *shard, struct str name)
{
    struct config *c = config_new(&client_metrics_settings);
    struct taking own = {c, CONFIG_CLIENT_METRICS, NULL};

    image_config_each(shard->image, RESOURCE_TYPE_CLIENT_METRICS, name, take, &own);
    return c;
}
