/* Settings of which one must not be above another: a broker's, and a group's within its broker's.
 */
#include "config/internal.h"

struct order {
    uint16_t low, high;
    bool strict; /* nor equal */
};

#define WITHIN(id, min, max) \
    {min, id, false},        \
    {                        \
        id, max, false       \
    }

static const struct order orders[] = {
    {BROKER_REPLICA_FETCH_WAIT_MAX_MS, BROKER_REPLICA_SOCKET_TIMEOUT_MS, false},
    {BROKER_REPLICA_FETCH_WAIT_MAX_MS, BROKER_REPLICA_LAG_TIME_MAX_MS, false},

    WITHIN(BROKER_GROUP_CONSUMER_SESSION_TIMEOUT_MS, BROKER_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS,
           BROKER_GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS),
    WITHIN(BROKER_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS,
           BROKER_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
           BROKER_GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS),
    WITHIN(BROKER_GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS,
           BROKER_GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS,
           BROKER_GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS),
    {BROKER_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS, BROKER_GROUP_CONSUMER_SESSION_TIMEOUT_MS, true},

    WITHIN(BROKER_GROUP_SHARE_SESSION_TIMEOUT_MS, BROKER_GROUP_SHARE_MIN_SESSION_TIMEOUT_MS,
           BROKER_GROUP_SHARE_MAX_SESSION_TIMEOUT_MS),
    WITHIN(BROKER_GROUP_SHARE_HEARTBEAT_INTERVAL_MS, BROKER_GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS,
           BROKER_GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS),
    WITHIN(BROKER_GROUP_SHARE_ASSIGNMENT_INTERVAL_MS, BROKER_GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS,
           BROKER_GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS),
    {BROKER_GROUP_SHARE_HEARTBEAT_INTERVAL_MS, BROKER_GROUP_SHARE_SESSION_TIMEOUT_MS, true},
    WITHIN(BROKER_GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS,
           BROKER_GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS,
           BROKER_GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS),
    WITHIN(BROKER_GROUP_SHARE_RECORD_LOCK_DURATION_MS,
           BROKER_GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS,
           BROKER_GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS),
    WITHIN(BROKER_GROUP_SHARE_DELIVERY_COUNT_LIMIT, BROKER_GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT,
           BROKER_GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT),

    WITHIN(BROKER_GROUP_STREAMS_SESSION_TIMEOUT_MS, BROKER_GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS,
           BROKER_GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS),
    WITHIN(BROKER_GROUP_STREAMS_HEARTBEAT_INTERVAL_MS,
           BROKER_GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS,
           BROKER_GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS),
    WITHIN(BROKER_GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS,
           BROKER_GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS,
           BROKER_GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS),
    {BROKER_GROUP_STREAMS_HEARTBEAT_INTERVAL_MS, BROKER_GROUP_STREAMS_SESSION_TIMEOUT_MS, true},
    {BROKER_GROUP_STREAMS_NUM_STANDBY_REPLICAS, BROKER_GROUP_STREAMS_MAX_STANDBY_REPLICAS, false},
    {BROKER_GROUP_STREAMS_NUM_WARMUP_REPLICAS, BROKER_GROUP_STREAMS_MAX_WARMUP_REPLICAS, false},
    {BROKER_GROUP_STREAMS_MIN_TASK_OFFSET_INTERVAL_MS, BROKER_GROUP_STREAMS_TASK_OFFSET_INTERVAL_MS,
     false},
};

int check_orders(const struct config *c, struct fail *f)
{
    for (size_t i = 0; i < array_count(orders); i++) {
        const struct order *o = &orders[i];
        int64_t low = config_i64(c, o->low), high = config_i64(c, o->high);
        if (low < high || (low == high && !o->strict))
            continue;
        return fail_set(f, -EINVAL, "%s is %" PRId64 ", it must be %s %s, which is %" PRId64,
                        broker_settings.settings[o->low].name, low, o->strict ? "below" : "at most",
                        broker_settings.settings[o->high].name, high);
    }
    return 0;
}

/* ---- groups ------------------------------------------------------------------------------------
 */

/* The value in force of a whole number: the group's own, else the broker's behind it. */
static int64_t group_i64(const struct config *own, const struct config *broker, uint32_t id)
{
    int64_t factor;
    int key = setting_broker_key(&group_settings.settings[id], 0, &factor);

    if (config_source(own, id) != CONFIG_DEFAULT || key < 0)
        return config_i64(own, id);
    return config_i64(broker, (uint32_t)key) * factor;
}

/* The broker setting that bounds group.KIND.NAME or group.KIND.num.NAME: group.KIND.min.NAME or
 * group.KIND.max.NAME; -1 = it has no such bound. */
static int bound_of(struct str key, const char *which)
{
    struct text name = {0};
    struct str group, kind;

    (void)str_cut(&key, '.', &group);
    (void)str_cut(&key, '.', &kind);
    if (str_starts(key, STR("num.")))
        key = (struct str){key.p + 4, key.n - 4};
    text_printf(&name, "%.*s.%.*s.%s.%.*s", STR_ARG(group), STR_ARG(kind), which, STR_ARG(key));
    int id = setting_find(&broker_settings, text_str(&name));
    text_deinit(&name);
    return id;
}

static int check_bounds(const struct config *own, const struct config *broker, uint32_t id,
                        struct fail *f)
{
    const struct setting *s = &group_settings.settings[id];
    int64_t factor, value;
    int key = setting_broker_key(s, 0, &factor);

    if (key < 0 || s->type != SETTING_INT || config_source(own, id) == CONFIG_DEFAULT)
        return 0;
    int low = bound_of(str_of(broker_settings.settings[key].name), "min");
    int high = bound_of(str_of(broker_settings.settings[key].name), "max");
    value = config_i64(own, id);
    if (low >= 0 && value < config_i64(broker, (uint32_t)low))
        return fail_set(f, -EINVAL, "%s must be greater than or equal to %s", s->name,
                        broker_settings.settings[low].name);
    if (high >= 0 && value > config_i64(broker, (uint32_t)high))
        return fail_set(f, -EINVAL, "%s must be less than or equal to %s", s->name,
                        broker_settings.settings[high].name);
    return 0;
}

int config_check_group(const struct config *own, const struct config *broker, struct fail *f)
{
    static const uint32_t sessions[][2] = {
        {GROUP_CONSUMER_SESSION_TIMEOUT_MS, GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS},
        {GROUP_SHARE_SESSION_TIMEOUT_MS, GROUP_SHARE_HEARTBEAT_INTERVAL_MS},
        {GROUP_STREAMS_SESSION_TIMEOUT_MS, GROUP_STREAMS_HEARTBEAT_INTERVAL_MS},
    };

    for (uint32_t id = 0; id < group_settings.count; id++)
        TRY(check_bounds(own, broker, id, f));
    for (size_t i = 0; i < array_count(sessions); i++) {
        uint32_t session = sessions[i][0], heartbeat = sessions[i][1];
        if (group_i64(own, broker, session) <= group_i64(own, broker, heartbeat))
            return fail_set(f, -EINVAL, "%s must be greater than %s",
                            group_settings.settings[session].name,
                            group_settings.settings[heartbeat].name);
    }
    return 0;
}
