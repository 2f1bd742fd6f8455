/* A broker's settings for one node that is alone: what a short file leaves open. */
#include "config/internal.h"

#define CONTROLLER_PORT 9093 /* where Kafka's own example has it */

int32_t config_node_id(const struct config *c)
{
    int64_t id = config_i64(c, BROKER_NODE_ID);

    if (id == INT64_MIN)
        id = config_i64(c, BROKER_BROKER_ID);
    return id < 0 ? -1 : (int32_t)id;
}

struct str config_log_dirs(const struct config *c)
{
    struct str dirs = config_str(c, BROKER_LOG_DIRS);

    return str_is_null(dirs) ? config_str(c, BROKER_LOG_DIR) : dirs;
}

bool config_has_role(const struct config *c, struct str role)
{
    return list_has(config_str(c, BROKER_PROCESS_ROLES), role);
}

static int set(struct config *c, uint32_t id, struct str value, struct fail *f)
{
    return config_set(c, CONFIG_STATIC_BROKER, str_of(broker_settings.settings[id].name), value, f);
}

/* Add a listener for controllers, on loopback: nobody else is to connect. Its port is the usual
 * one, or any when the file asks for any port elsewhere, so that such nodes can run side by side.
 */
static int add_controller_listener(struct config *c, struct fail *f)
{
    struct listener listeners[LISTENERS_MAX];
    struct text value = {0};
    uint16_t port = CONTROLLER_PORT;

    int count = config_listeners(c, listeners, LISTENERS_MAX, f);
    TRY(count);
    for (int i = 0; i < count; i++) {
        if (config_is_controller_listener(c, str_of(listeners[i].name)))
            return 0;
        if (listeners[i].port == 0)
            port = 0;
    }
    struct str names = config_str(c, BROKER_CONTROLLER_LISTENER_NAMES), first;
    (void)str_cut(&names, ',', &first);
    text_add_str(&value, config_str(c, BROKER_LISTENERS));
    text_printf(&value, ",%.*s://127.0.0.1:%u", STR_ARG(first), port);
    int error = set(c, BROKER_LISTENERS, text_str(&value), f);
    text_deinit(&value);
    return error;
}

/* The voters are this node, at the address of its controllers' listener. */
static int add_voter(struct config *c, struct fail *f)
{
    struct listener listeners[LISTENERS_MAX];
    struct text value = {0};

    int count = config_listeners(c, listeners, LISTENERS_MAX, f);
    TRY(count);
    for (int i = 0; i < count && value.n == 0; i++) {
        const struct listener *l = &listeners[i];
        if (!config_is_controller_listener(c, str_of(l->name)))
            continue;
        const char *host = l->host[0] == '\0' ? "localhost" : l->host;
        bool ipv6 = strchr(host, ':') != NULL;
        text_printf(&value, "%d@%s%s%s:%u", config_node_id(c), ipv6 ? "[" : "", host,
                    ipv6 ? "]" : "", l->port);
    }
    int error = set(c, BROKER_CONTROLLER_QUORUM_VOTERS, text_str(&value), f);
    text_deinit(&value);
    return error;
}

/* node.id and broker.id are two names of one number: tools ask for either. Where they differ, the
 * check of the whole says so. */
static int fill_node_id(struct config *c, struct fail *f)
{
    struct text id = {0};
    bool has_node_id = config_i64(c, BROKER_NODE_ID) != INT64_MIN;
    bool has_broker_id = config_source(c, BROKER_BROKER_ID) != CONFIG_DEFAULT;
    int error = 0;

    text_printf(&id, "%d", config_node_id(c));
    if (has_node_id != has_broker_id && config_node_id(c) >= 0)
        error = set(c, has_node_id ? BROKER_BROKER_ID : BROKER_NODE_ID, text_str(&id), f);
    text_deinit(&id);
    return error;
}

static int fill_roles(struct config *c, struct fail *f)
{
    if (!str_is_null(config_str(c, BROKER_PROCESS_ROLES)))
        return 0;
    TRY(set(c, BROKER_PROCESS_ROLES, STR("broker,controller"), f));
    if (config_node_id(c) < 0)
        TRY(set(c, BROKER_NODE_ID, STR("1"), f));
    if (str_is_null(config_str(c, BROKER_CONTROLLER_LISTENER_NAMES)))
        TRY(set(c, BROKER_CONTROLLER_LISTENER_NAMES, STR("CONTROLLER"), f));
    TRY(add_controller_listener(c, f));
    if (config_str(c, BROKER_CONTROLLER_QUORUM_VOTERS).n == 0 &&
        config_str(c, BROKER_CONTROLLER_QUORUM_BOOTSTRAP_SERVERS).n == 0)
        TRY(add_voter(c, f));
    return 0;
}

int config_fill_one_node(struct config *c, struct fail *f)
{
    TRY(fill_roles(c, f));
    return fill_node_id(c, f);
}
