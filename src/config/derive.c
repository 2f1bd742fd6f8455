/* The settings of one topic, from its own, the broker's and the defaults. */
#include "config/internal.h"

int setting_broker_key(const struct setting *s, uint32_t index, int64_t *factor)
{
    static const struct {
        const char *mark;
        int64_t factor;
    } units[] = {{"s", 1000}, {"min", 60000}, {"h", 3600000}};
    struct str rest = str_of(s->broker_keys), key, name;

    do {
        if (!str_cut(&rest, ',', &key))
            return -1;
    } while (index-- > 0);
    (void)str_cut(&key, '*', &name); /* `key` is then the unit's mark, or empty */
    *factor = 1;
    for (size_t i = 0; i < array_count(units); i++) {
        if (str_equal(key, str_of(units[i].mark)))
            *factor = units[i].factor;
    }
    int id = setting_find(&broker_settings, name);
    ASSERT(id >= 0);
    return id;
}

/* The broker setting that gives the default of `s`: the first of its keys that is set. -1 when all
 * are at their defaults, which is what the topic's own default says too. */
static int key_in_force(const struct config *broker, const struct setting *s, int64_t *factor)
{
    int key;

    for (uint32_t i = 0; (key = setting_broker_key(s, i, factor)) >= 0; i++) {
        if (config_source(broker, (uint32_t)key) != CONFIG_DEFAULT)
            return key;
    }
    return -1;
}

static void derive(struct config *out, const struct config *broker, uint32_t id)
{
    const struct setting *s = &topic_settings.settings[id];
    struct text value = {0}, canonical = {0};
    union setting_number number;
    int64_t factor;
    int key = key_in_force(broker, s, &factor);

    if (key < 0)
        return;
    if (factor > 1 || id == TOPIC_RETENTION_MS) {
        int64_t v = config_i64(broker, (uint32_t)key);
        text_printf(&value, "%" PRId64, v < 0 ? -1 : v * factor); /* an int of hours fits */
    } else {
        text_add_str(&value, config_text(broker, (uint32_t)key));
    }
    /* The topic's type is at least as wide as the broker's; its range is not asked: the broker's
     * rules were. */
    int error = setting_parse(s, text_str(&value), &canonical, &number, NULL);
    ASSERT(error == 0);
    config_put(out, config_source(broker, (uint32_t)key), id, text_str(&canonical), number);
    text_deinit(&value);
    text_deinit(&canonical);
}

struct config *config_topic(const struct config *broker, const struct config *topic)
{
    struct config *c = config_new(&topic_settings);
    struct str own;

    for (uint32_t id = 0; id < topic_settings.count; id++) {
        derive(c, broker, id);
        if (topic != NULL && config_text_at(topic, CONFIG_TOPIC, id, &own)) {
            int error =
                config_set(c, CONFIG_TOPIC, str_of(topic_settings.settings[id].name), own, NULL);
            ASSERT(error == 0); /* it was checked when it was set on `topic` */
        }
    }
    return c;
}

int config_check_topic(const struct config *topic, const struct config *broker, struct fail *f)
{
    int64_t least = config_i64(topic, TOPIC_MIN_COMPACTION_LAG_MS);
    int64_t most = config_i64(topic, TOPIC_MAX_COMPACTION_LAG_MS);

    if (least > most)
        return fail_set(f, -EINVAL,
                        "conflict topic config setting min.compaction.lag.ms (%" PRId64
                        ") > max.compaction.lag.ms (%" PRId64 ")",
                        least, most);
    if (config_bool(topic, TOPIC_REMOTE_STORAGE_ENABLE) &&
        !config_bool(broker, BROKER_REMOTE_LOG_STORAGE_SYSTEM_ENABLE))
        return fail_set(f, -EINVAL,
                        "Tiered Storage functionality is disabled in the broker. Topic cannot be "
                        "configured with remote log storage. (remote.log.storage.system.enable)");
    return 0;
}

bool config_durable(const struct config *topic, const struct config *broker)
{
    if (config_source(topic, TOPIC_FLUSH_MESSAGES) != CONFIG_DEFAULT)
        return config_i64(topic, TOPIC_FLUSH_MESSAGES) == 1;
    return str_equal(config_str(broker, BROKER_MILLRACE_DURABILITY), STR("durable"));
}
