/* Listeners: NAME://HOST:PORT. */
#include "config/internal.h"

static const struct {
    const char *name;
    enum security_protocol protocol;
} protocols[] = {
    {"PLAINTEXT", PLAINTEXT},
    {"SSL", SSL},
    {"SASL_PLAINTEXT", SASL_PLAINTEXT},
    {"SASL_SSL", SASL_SSL},
};

static int protocol_parse(struct str name, enum security_protocol *out, struct fail *f)
{
    for (size_t i = 0; i < array_count(protocols); i++) {
        if (str_equal_nocase(name, str_of(protocols[i].name))) {
            *out = protocols[i].protocol;
            return 0;
        }
    }
    return fail_set(f, -EINVAL,
                    "listener.security.protocol.map: unknown protocol \"%.*s\"; there are "
                    "PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL",
                    STR_ARG(name));
}

/* Find the protocol of a listener's name in NAME:PROTOCOL,NAME:PROTOCOL... All pairs must make
 * sense; of two for one name the last counts. */
static int protocol_of(struct str map, struct str name, enum security_protocol *out, struct fail *f)
{
    struct str pair;
    bool found = false;

    while (str_cut(&map, ',', &pair)) {
        enum security_protocol protocol = PLAINTEXT;
        int32_t colon = pair.n;
        while (colon > 0 && pair.p[colon - 1] != ':')
            colon--;
        if (colon == 0)
            return fail_set(f, -EINVAL,
                            "listener.security.protocol.map: \"%.*s\" is not NAME:PROTOCOL",
                            STR_ARG(pair));
        struct str left = str_trim((struct str){pair.p, colon - 1});
        struct str right = str_trim((struct str){pair.p + colon, pair.n - colon});
        TRY(protocol_parse(right, &protocol, f));
        if (!str_equal_nocase(left, name))
            continue;
        *out = protocol;
        found = true;
    }
    if (found)
        return 0;
    return fail_set(f, -EINVAL,
                    "listener %.*s has no security protocol; add %.*s:PLAINTEXT (or SSL, "
                    "SASL_PLAINTEXT, SASL_SSL) to listener.security.protocol.map",
                    STR_ARG(name), STR_ARG(name));
}

static int not_a_listener(struct fail *f, struct str value)
{
    return fail_set(f, -EINVAL, "\"%.*s\" is not NAME://HOST:PORT", STR_ARG(value));
}

static int listener_parse(struct str value, struct str map, struct listener *out, struct fail *f)
{
    struct listener l = {0};
    int32_t n = 0;

    while (n + 2 < value.n &&
           !(value.p[n] == ':' && value.p[n + 1] == '/' && value.p[n + 2] == '/'))
        n++;
    if (n == 0 || n + 3 >= value.n) /* no name, or no address */
        return not_a_listener(f, value);
    if ((size_t)n >= sizeof l.name)
        return fail_set(f, -EINVAL, "the name of listener %.*s is longer than %zu letters",
                        STR_ARG(value), sizeof l.name - 1);
    for (int32_t i = 0; i < n; i++) {
        char c = value.p[i];
        l.name[i] = c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
    }
    struct str address = {value.p + n + 3, value.n - n - 3}, host;
    if (address_parse(address, &host, &l.port) < 0)
        return not_a_listener(f, value);
    memcpy(l.host, host.p, (size_t)host.n);
    TRY(protocol_of(map, str_of(l.name), &l.protocol, f));
    *out = l;
    return 0;
}

int listeners_parse(struct str value, struct str protocol_map, struct listener *out, uint32_t max,
                    struct fail *f)
{
    struct str part;
    uint32_t count = 0;

    while (str_cut(&value, ',', &part)) {
        if (count == max)
            return fail_set(f, -EINVAL, "more than %u listeners", max);
        TRY(listener_parse(str_trim(part), protocol_map, &out[count], f));
        count++;
    }
    return (int)count;
}

static bool is_ipv6(const struct listener *l)
{
    return strchr(l->host, ':') != NULL;
}

static bool is_ipv4(const struct listener *l)
{
    return l->host[0] != '\0' && l->host[strspn(l->host, "0123456789.")] == '\0';
}

/* No two listeners of one name or, where `ports` says so, of one port; but the port may be the same
 * when one is on an IPv4 address and the other on an IPv6 address. */
static int check_distinct(const struct listener *l, int count, bool ports, struct fail *f)
{
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < i; j++) {
            if (strcmp(l[i].name, l[j].name) == 0)
                return fail_set(f, -EINVAL, "two listeners are named %s", l[i].name);
            if ((is_ipv4(&l[i]) && is_ipv6(&l[j])) || (is_ipv6(&l[i]) && is_ipv4(&l[j])))
                continue;
            if (ports && l[i].port != 0 && l[i].port == l[j].port)
                return fail_set(f, -EINVAL, "listeners %s and %s have the same port, %u", l[j].name,
                                l[i].name, l[i].port);
        }
    }
    return count;
}

bool config_is_controller_listener(const struct config *c, struct str name)
{
    struct str rest = config_str(c, BROKER_CONTROLLER_LISTENER_NAMES), part;

    while (str_cut(&rest, ',', &part)) {
        if (str_equal_nocase(part, name))
            return true;
    }
    return false;
}

static bool is_secured(struct str name)
{
    return str_equal_nocase(name, STR("SSL")) || str_equal_nocase(name, STR("SASL_SSL")) ||
           str_equal_nocase(name, STR("SASL_PLAINTEXT"));
}

/* Whether a listener, or one of the controllers, has the name of a protocol with TLS or SASL. */
static bool any_secured(const struct config *c)
{
    struct str rest = config_str(c, BROKER_LISTENERS), part, name;

    while (str_cut(&rest, ',', &part)) {
        if (str_cut(&part, ':', &name) && is_secured(name))
            return true;
    }
    rest = config_str(c, BROKER_CONTROLLER_LISTENER_NAMES);
    while (str_cut(&rest, ',', &part)) {
        if (is_secured(part))
            return true;
    }
    return false;
}

/* The protocol map in force. Rule: KIP-631: as long as the map is not set, controllers' listeners
 * are PLAINTEXT, unless something here is secured; then silence would open a hole. */
static void protocol_map(const struct config *c, struct text *out)
{
    struct str rest = config_str(c, BROKER_CONTROLLER_LISTENER_NAMES), part;

    text_add_str(out, config_str(c, BROKER_LISTENER_SECURITY_PROTOCOL_MAP));
    if (config_source(c, BROKER_LISTENER_SECURITY_PROTOCOL_MAP) != CONFIG_DEFAULT || any_secured(c))
        return;
    while (str_cut(&rest, ',', &part))
        text_printf(out, ",%.*s:PLAINTEXT", STR_ARG(part));
}

static int parse_with_map(const struct config *c, uint32_t id, bool ports, struct listener *out,
                          uint32_t max, struct fail *f)
{
    struct text map = {0};

    protocol_map(c, &map);
    int count = listeners_parse(config_str(c, id), text_str(&map), out, max, f);
    text_deinit(&map);
    if (count >= 0)
        count = check_distinct(out, count, ports, f);
    if (count < 0 && f != NULL)
        return fail_wrap(f, "%s", broker_settings.settings[id].name);
    return count;
}

int config_listeners(const struct config *c, struct listener *out, uint32_t max, struct fail *f)
{
    return parse_with_map(c, BROKER_LISTENERS, true, out, max, f);
}

int config_advertised_listeners(const struct config *c, struct listener *out, uint32_t max,
                                struct fail *f)
{
    int kept = 0;

    if (!str_is_null(config_str(c, BROKER_ADVERTISED_LISTENERS)))
        return parse_with_map(c, BROKER_ADVERTISED_LISTENERS, false, out, max, f);
    int count = config_listeners(c, out, max, f);
    TRY(count);
    for (int i = 0; i < count; i++) {
        if (!config_is_controller_listener(c, str_of(out[i].name)))
            out[kept++] = out[i];
    }
    return kept;
}

int config_listener_protocol(const struct config *c, struct str name, enum security_protocol *out,
                             struct fail *f)
{
    struct text map = {0};

    protocol_map(c, &map);
    int error = protocol_of(text_str(&map), name, out, f);
    text_deinit(&map);
    return error;
}

struct str config_inter_broker_listener(const struct config *c)
{
    struct str name = config_str(c, BROKER_INTER_BROKER_LISTENER_NAME);

    return str_is_null(name) ? config_str(c, BROKER_SECURITY_INTER_BROKER_PROTOCOL) : name;
}
