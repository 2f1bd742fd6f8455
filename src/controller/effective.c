/* Settings in force, from the file of this node and the records of the image. */
#include "controller/internal.h"

struct layer {
    struct config *config;
    enum config_source source;
};

/* A name or value that this version refuses stays a record without effect. */
static void add_setting(void *ctx, struct str name, struct str value)
{
    struct layer *layer = ctx;
    struct fail ignored = {0};

    (void)!config_set(layer->config, layer->source, name, value, &ignored);
}

const struct config *effective_broker(struct decision *d)
{
    struct str id = arena_printf(&d->c->scratch, "%d", d->c->settings.node_id);

    if (d->broker != NULL)
        return d->broker;
    d->broker = config_copy(d->c->settings.broker);
    struct layer all = {d->broker, CONFIG_DYNAMIC_DEFAULT_BROKER};
    struct layer own = {d->broker, CONFIG_DYNAMIC_BROKER};

    image_config_each(d->image, CONFIG_RESOURCE_BROKER, STR(""), add_setting, &all);
    image_config_each(d->image, CONFIG_RESOURCE_BROKER, id, add_setting, &own);
    return d->broker;
}

int32_t effective_min_isr(const struct decision *d, const struct config *broker,
                          const struct image_topic *t, int32_t replica_count)
{
    int64_t min = config_i64(broker, BROKER_MIN_INSYNC_REPLICAS);
    struct str own;

    if (t->config != NULL &&
        config_text_at(t->config, CONFIG_TOPIC, TOPIC_MIN_INSYNC_REPLICAS, &own))
        min = config_i64(t->config, TOPIC_MIN_INSYNC_REPLICAS);
    return min < replica_count ? (int32_t)min : replica_count;
}

bool effective_unclean(const struct config *broker, const struct image_topic *t)
{
    struct str own;

    if (t->config != NULL &&
        config_text_at(t->config, CONFIG_TOPIC, TOPIC_UNCLEAN_LEADER_ELECTION_ENABLE, &own))
        return config_bool(t->config, TOPIC_UNCLEAN_LEADER_ELECTION_ENABLE);
    return config_bool(broker, BROKER_UNCLEAN_LEADER_ELECTION_ENABLE);
}

bool elr_is_on(const struct image *i)
{
    return image_feature_level(i, STR("eligible.leader.replicas.version")) > 0;
}
