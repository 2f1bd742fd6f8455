/* The settings that producers, consumers and admins have in common, read by name. */
#include "client/client.h"

#define FRAME_BYTES_MAX (100u << 20) /* of an answer: a fetch may bring 50 MiB and one large batch */
#define IN_FLIGHT_MAX 100            /* where no setting says it; a node that answers slowly is not buried */

int client_setting_set(struct config *c, struct str name, struct str value, struct fail *f)
{
    const struct config_table *table = config_table_of(c);
    int id = setting_find(table, name);
    const char *near = id < 0 ? setting_nearest(table, name) : NULL;

    if (id < 0)
        return fail_set(f, -ENOENT, "there is no %s setting %.*s%s%s%s", table->what, name.n > 200 ? 200 : name.n,
                        name.n > 0 ? name.p : "", near == NULL ? "" : " (did you mean ", near == NULL ? "" : near,
                        near == NULL ? "" : "?)");
    TRY(config_set(c, CONFIG_STATIC_BROKER, name, value, f));
    return table->settings[id].acts ? 0 : 1;
}

static int id_of(const struct config *c, const char *name)
{
    return setting_find(config_table_of(c), str_of(name));
}

/* Not every table has every one. */
static int64_t number(const struct config *c, const char *name, int64_t otherwise)
{
    int id = id_of(c, name);

    return id < 0 ? otherwise : config_i64(c, (uint32_t)id);
}

static bool is_on(const struct config *c, const char *name, bool otherwise)
{
    int id = id_of(c, name);

    return id < 0 ? otherwise : config_bool(c, (uint32_t)id);
}

static struct str word(const struct config *c, const char *name)
{
    int id = id_of(c, name);

    return id < 0 ? STR("") : config_str(c, (uint32_t)id);
}

/* What Kafka's defaults say of sockets is small for fast networks, and the system knows better: what is not set is left
 * to it. */
static int32_t size_when_set(const struct config *c, const char *name)
{
    int id = id_of(c, name);
    int64_t n = id < 0 || config_source(c, (uint32_t)id) == CONFIG_DEFAULT ? 0 : config_i64(c, (uint32_t)id);

    return n < 0 ? 0 : (int32_t)n;
}

static int read_bootstrap(const struct config *c, struct client_settings *s, struct fail *f)
{
    struct str controllers = word(c, "bootstrap.controllers");

    s->bootstrap_servers = word(c, "bootstrap.servers");
    if (s->bootstrap_servers.n > 0 && controllers.n > 0)
        return fail_set(f, -EINVAL, "bootstrap.servers and bootstrap.controllers are both set: one of them, please");
    s->bootstrap_controllers = controllers.n > 0;
    if (controllers.n > 0)
        s->bootstrap_servers = controllers;
    if (s->bootstrap_servers.n <= 0)
        return fail_set(f, -EINVAL, "bootstrap.servers is not set: it is HOST:PORT,... of some brokers");
    return 0;
}

int client_settings_read(const struct config *c, struct client_settings *out, struct fail *f)
{
    struct client_settings s = {
        .bootstrap_canonical =
            str_equal(word(c, "client.dns.lookup"), STR("resolve_canonical_bootstrap_servers_only")),
        .connect = {.send_buffer_bytes = size_when_set(c, "send.buffer.bytes"),
                    .receive_buffer_bytes = size_when_set(c, "receive.buffer.bytes")},
        .client_id = word(c, "client.id"),
        .client_rack = word(c, "client.rack"),
        .check_cluster = is_on(c, "metadata.cluster.check.enable", true),
        .request_timeout_ms = number(c, "request.timeout.ms", 30000),
        .reconnect_backoff_ms = number(c, "reconnect.backoff.ms", 50),
        .reconnect_backoff_max_ms = number(c, "reconnect.backoff.max.ms", 1000),
        .retry_backoff_ms = number(c, "retry.backoff.ms", 100),
        .retry_backoff_max_ms = number(c, "retry.backoff.max.ms", 1000),
        .connection_setup_timeout_ms = number(c, "socket.connection.setup.timeout.ms", 10000),
        .connection_setup_timeout_max_ms = number(c, "socket.connection.setup.timeout.max.ms", 30000),
        .connections_max_idle_ms = number(c, "connections.max.idle.ms", 540000),
        .metadata_max_age_ms = number(c, "metadata.max.age.ms", 300000),
        .metadata_max_idle_ms = number(c, "metadata.max.idle.ms", 0),
        .rebootstrap = str_equal_nocase(word(c, "metadata.recovery.strategy"), STR("rebootstrap")),
        .rebootstrap_trigger_ms = number(c, "metadata.recovery.rebootstrap.trigger.ms", 300000),
        .auto_create_topics = is_on(c, "allow.auto.create.topics", config_table_of(c) == &producer_settings),
        .frame_bytes_max = FRAME_BYTES_MAX,
        .in_flight_max = (uint32_t)number(c, "max.in.flight.requests.per.connection", IN_FLIGHT_MAX),
    };
    struct str protocol = word(c, "security.protocol");

    if (!str_equal_nocase(protocol, STR("PLAINTEXT")))
        return fail_set(f, -EINVAL, "security.protocol=%.*s: TLS and SASL are not built yet for clients; PLAINTEXT is",
                        STR_ARG(protocol));
    TRY(read_bootstrap(c, &s, f));
    *out = s;
    return 0;
}
