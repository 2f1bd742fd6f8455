/* Settings that must fit each other: what Kafka asks when a node starts, in our own words. */
#include "config/internal.h"

static bool is_set(const struct config *c, uint32_t id)
{
    return config_source(c, id) != CONFIG_DEFAULT;
}

/* ---- ids, directories, required settings --------------------------------------------------- */

static int check_required(const struct config *c, struct fail *f)
{
    for (uint32_t id = 0; id < broker_settings.count; id++) {
        const struct setting *s = &broker_settings.settings[id];
        if (!s->required || is_set(c, id) || id == BROKER_NODE_ID)
            continue;
        return fail_set(f, -EINVAL, "%s is not set, and it has no default; it says: %s", s->name,
                        s->help);
    }
    return 0;
}

static int check_ids(const struct config *c, struct fail *f)
{
    int64_t node_id = config_i64(c, BROKER_NODE_ID), broker_id = config_i64(c, BROKER_BROKER_ID);

    if (config_node_id(c) < 0)
        return fail_set(f, -EINVAL,
                        "node.id is not set; give this node a number of 0 or more that "
                        "no other node of the cluster has");
    if (node_id != INT64_MIN && is_set(c, BROKER_BROKER_ID) && node_id != broker_id)
        return fail_set(f, -EINVAL,
                        "node.id is %" PRId64 " and broker.id is %" PRId64
                        "; they are one thing: set node.id only",
                        node_id, broker_id);
    return 0;
}

/* ---- listeners ----------------------------------------------------------------------------- */

struct endpoints {
    struct listener listeners[LISTENERS_MAX];
    struct listener advertised[LISTENERS_MAX]; /* without those of controllers */
    int listener_count, advertised_count;
};

static const struct listener *find_named(const struct listener *l, int count, struct str name)
{
    for (int i = 0; i < count; i++) {
        if (str_equal_nocase(str_of(l[i].name), name))
            return &l[i];
    }
    return NULL;
}

static int read_endpoints(const struct config *c, struct endpoints *e, struct fail *f)
{
    struct listener all[LISTENERS_MAX];

    e->listener_count = config_listeners(c, e->listeners, LISTENERS_MAX, f);
    TRY(e->listener_count);
    int count = config_advertised_listeners(c, all, LISTENERS_MAX, f);
    TRY(count);
    e->advertised_count = 0;
    for (int i = 0; i < count; i++) {
        if (strcmp(all[i].host, "0.0.0.0") == 0 && is_set(c, BROKER_ADVERTISED_LISTENERS))
            return fail_set(f, -EINVAL,
                            "advertised.listeners: nobody can connect to 0.0.0.0; name "
                            "an address of this machine that clients reach");
        if (!config_is_controller_listener(c, str_of(all[i].name)))
            e->advertised[e->advertised_count++] = all[i];
    }
    for (int i = 0; i < e->advertised_count; i++) {
        if (strcmp(e->advertised[i].host, "0.0.0.0") == 0)
            return fail_set(f, -EINVAL,
                            "listener %s is on 0.0.0.0, where nobody can connect to; set "
                            "advertised.listeners, or leave the host out",
                            e->advertised[i].name);
    }
    return 0;
}

/* The names by which this node reaches others must have a protocol here. */
static int check_names(const struct config *c, const struct endpoints *e, struct fail *f)
{
    struct str rest = config_str(c, BROKER_CONTROLLER_LISTENER_NAMES), name;
    enum security_protocol protocol;

    while (str_cut(&rest, ',', &name))
        TRY(config_listener_protocol(c, name, &protocol, f));
    if (is_set(c, BROKER_INTER_BROKER_LISTENER_NAME) &&
        is_set(c, BROKER_SECURITY_INTER_BROKER_PROTOCOL))
        return fail_set(f, -EINVAL,
                        "set inter.broker.listener.name or "
                        "security.inter.broker.protocol, not both");
    TRY(config_listener_protocol(c, config_inter_broker_listener(c), &protocol, f));
    if ((protocol == SASL_PLAINTEXT || protocol == SASL_SSL) &&
        !list_has(config_str(c, BROKER_SASL_ENABLED_MECHANISMS),
                  config_str(c, BROKER_SASL_MECHANISM_INTER_BROKER_PROTOCOL)))
        return fail_set(f, -EINVAL,
                        "sasl.mechanism.inter.broker.protocol is %.*s, which is not among "
                        "sasl.enabled.mechanisms",
                        STR_ARG(config_str(c, BROKER_SASL_MECHANISM_INTER_BROKER_PROTOCOL)));
    rest = config_str(c, BROKER_EARLY_START_LISTENERS);
    while (str_cut(&rest, ',', &name)) {
        if (find_named(e->listeners, e->listener_count, name) == NULL)
            return fail_set(f, -EINVAL, "early.start.listeners has %.*s, which listeners has not",
                            STR_ARG(name));
    }
    return 0;
}

static int check_controller_listeners(const struct config *c, const struct endpoints *e,
                                      struct fail *f)
{
    struct str rest = config_str(c, BROKER_CONTROLLER_LISTENER_NAMES), name;

    while (str_cut(&rest, ',', &name)) {
        if (find_named(e->listeners, e->listener_count, name) == NULL)
            return fail_set(f, -EINVAL,
                            "controller.listener.names has %.*s, which listeners has not; a "
                            "controller listens on all of them",
                            STR_ARG(name));
    }
    if (config_has_role(c, STR("broker")))
        return 0;
    for (int i = 0; i < e->listener_count; i++) {
        if (!config_is_controller_listener(c, str_of(e->listeners[i].name)))
            return fail_set(f, -EINVAL,
                            "listeners has %s, which controller.listener.names has not; a node "
                            "that is no broker has none for clients",
                            e->listeners[i].name);
    }
    return 0;
}

static int check_broker_listeners(const struct config *c, const struct endpoints *e, struct fail *f)
{
    struct str inter = config_inter_broker_listener(c);

    if (e->advertised_count == 0)
        return fail_set(f, -EINVAL,
                        "there is no listener for clients: all are in "
                        "controller.listener.names");
    if (!config_has_role(c, STR("controller"))) {
        for (int i = 0; i < e->listener_count; i++) {
            if (config_is_controller_listener(c, str_of(e->listeners[i].name)))
                return fail_set(f, -EINVAL,
                                "listeners has %s, which controller.listener.names has; a node "
                                "that is no controller does not listen there",
                                e->listeners[i].name);
        }
    }
    for (int i = 0; i < e->advertised_count; i++) {
        if (find_named(e->listeners, e->listener_count, str_of(e->advertised[i].name)) == NULL)
            return fail_set(f, -EINVAL, "advertised.listeners has %s, which listeners has not",
                            e->advertised[i].name);
    }
    if (find_named(e->advertised, e->advertised_count, inter) == NULL)
        return fail_set(f, -EINVAL,
                        "brokers reach each other by listener %.*s, which is not advertised; set "
                        "inter.broker.listener.name to one that is, %s for one",
                        STR_ARG(inter), e->advertised[0].name);
    return 0;
}

/* ---- roles --------------------------------------------------------------------------------- */

static int check_quorum(const struct config *c, struct fail *f)
{
    struct quorum_voter voters[QUORUM_VOTERS_MAX];
    bool voter = false;

    int count = quorum_voters_parse(config_str(c, BROKER_CONTROLLER_QUORUM_VOTERS), voters,
                                    QUORUM_VOTERS_MAX, f);
    TRY(count);
    if (count == 0 && config_str(c, BROKER_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS).n == 0)
        return fail_set(f, -EINVAL,
                        "no controllers are named; set controller.quorum.bootstrap.servers "
                        "(HOST:PORT) or controller.quorum.voters (ID@HOST:PORT)");
    for (int i = 0; i < count; i++)
        voter |= voters[i].id == config_node_id(c);
    if (count == 0)
        return 0;
    if (config_has_role(c, STR("controller")) && !voter)
        return fail_set(f, -EINVAL,
                        "controller.quorum.voters has no voter %d, but this node is a controller",
                        config_node_id(c));
    if (!config_has_role(c, STR("controller")) && voter)
        return fail_set(f, -EINVAL,
                        "controller.quorum.voters has voter %d, but this node is no controller",
                        config_node_id(c));
    return 0;
}

static int check_roles(const struct config *c, struct fail *f)
{
    struct endpoints e;

    TRY(read_endpoints(c, &e, f));
    TRY(check_names(c, &e, f));
    TRY(check_quorum(c, f));
    if (config_bool(c, BROKER_CONTROLLER_QUORUM_AUTO_JOIN_ENABLE) &&
        !config_has_role(c, STR("controller")))
        return fail_set(f, -EINVAL,
                        "controller.quorum.auto.join.enable needs the role controller in "
                        "process.roles");
    if (config_has_role(c, STR("controller")))
        TRY(check_controller_listeners(c, &e, f));
    if (config_has_role(c, STR("broker")))
        TRY(check_broker_listeners(c, &e, f));
    return 0;
}

/* ---- the log ------------------------------------------------------------------------------- */

/* Ages that may be given in several units: whichever counts is held against the topic's rule. */
static int check_topic_defaults(const struct config *c, struct fail *f)
{
    static const uint16_t ids[] = {TOPIC_RETENTION_MS, TOPIC_SEGMENT_MS, TOPIC_SEGMENT_JITTER_MS};
    struct config *defaults = config_topic(c, NULL);
    int error = 0;

    for (size_t i = 0; i < array_count(ids) && error == 0; i++) {
        const struct setting *s = &topic_settings.settings[ids[i]];
        int64_t v = config_i64(defaults, ids[i]);
        /* No record would ever be kept. */
        if (ids[i] == TOPIC_RETENTION_MS && v == 0)
            error = fail_set(f, -EINVAL,
                             "log.retention.ms (or .minutes, .hours) is 0; it must be "
                             "1 or more, or -1 for ever");
        if (error == 0 && setting_check(s, config_text(defaults, ids[i]), f) < 0)
            error = f == NULL ? -EINVAL
                              : fail_wrap(f, "log.roll and log.retention settings, as a topic's");
    }
    config_free(defaults);
    return error;
}

static int check_log(const struct config *c, struct fail *f)
{
    struct str rest = config_str(c, BROKER_CORDONED_LOG_DIRS), dir;
    bool all = list_has(rest, STR("*"));

    TRY(check_topic_defaults(c, f));
    if (all && rest.n > 1)
        return fail_set(f, -EINVAL, "cordoned.log.dirs has * and more; * is all of them");
    while (!all && str_cut(&rest, ',', &dir)) {
        if (!list_has(config_log_dirs(c), dir))
            return fail_set(f, -EINVAL, "cordoned.log.dirs has %.*s, which log.dirs has not",
                            STR_ARG(dir));
    }
    int64_t threads = config_i64(c, BROKER_LOG_CLEANER_THREADS);
    if (threads == 0 || config_i64(c, BROKER_LOG_CLEANER_DEDUPE_BUFFER_SIZE) / threads <= 1 << 20)
        return fail_set(f, -EINVAL,
                        "log.cleaner.dedupe.buffer.size must be above 1 MiB for each of "
                        "log.cleaner.threads, of which there is at least one");
    return 0;
}

/* ---- connections --------------------------------------------------------------------------- */

static int check_overrides(struct str overrides, struct fail *f)
{
    struct str rest = overrides, pair;

    while (str_cut(&rest, ',', &pair)) {
        int32_t colon = pair.n;
        int64_t count;
        while (colon > 0 && pair.p[colon - 1] != ':')
            colon--;
        struct str host = str_trim((struct str){pair.p, colon - 1});
        struct str digits = str_trim((struct str){pair.p + colon, pair.n - colon});
        if (colon <= 1 || !is_host(host) || str_to_i64(digits, INT32_MIN, INT32_MAX, &count) < 0)
            return fail_set(f, -EINVAL,
                            "max.connections.per.ip.overrides: \"%.*s\" is not HOST:COUNT",
                            STR_ARG(pair));
    }
    return 0;
}

static int check_connections(const struct config *c, struct fail *f)
{
    struct str overrides = config_str(c, BROKER_MAX_CONNECTIONS_PER_IP_OVERRIDES);
    int64_t queued = config_i64(c, BROKER_QUEUED_MAX_REQUEST_BYTES);
    int64_t largest = config_i64(c, BROKER_SOCKET_REQUEST_MAX_BYTES);
    int64_t idle_ms = config_i64(c, BROKER_CONNECTIONS_MAX_IDLE_MS);

    if (queued > 0 && queued < largest)
        return fail_set(f, -EINVAL,
                        "queued.max.request.bytes is %" PRId64 ", it must hold one request: "
                        "socket.request.max.bytes is %" PRId64,
                        queued, largest);
    if (config_i64(c, BROKER_MAX_CONNECTIONS_PER_IP) == 0 && overrides.n == 0)
        return fail_set(f, -EINVAL,
                        "max.connections.per.ip is 0 and "
                        "max.connections.per.ip.overrides is empty: nobody could "
                        "connect");
    TRY(check_overrides(overrides, f));
    if (idle_ms >= 0 && idle_ms <= config_i64(c, BROKER_CONNECTION_FAILED_AUTHENTICATION_DELAY_MS))
        return fail_set(f, -EINVAL,
                        "connections.max.idle.ms is %" PRId64 ", it must be above "
                        "connection.failed.authentication.delay.ms, so that the answer to a "
                        "failed authentication can leave",
                        idle_ms);
    return 0;
}

int config_check_broker(const struct config *c, struct fail *f)
{
    TRY(check_required(c, f));
    TRY(check_ids(c, f));
    TRY(check_roles(c, f));
    TRY(check_log(c, f));
    TRY(check_orders(c, f));
    TRY(check_connections(c, f));
    if (!list_has(config_str(c, BROKER_GROUP_COORDINATOR_REBALANCE_PROTOCOLS), STR("classic")))
        return fail_set(f, -EINVAL,
                        "group.coordinator.rebalance.protocols must have classic: it is the "
                        "protocol that every client speaks");
    return 0;
}
