/* config/config.h - settings with Kafka's names, from tables.
 *
 * A table (broker, topic, producer, ...) lists each setting once: name, type, default, what is valid, how
 * it may change. A `struct config` is a set of values over a table; it answers typed questions by
 * the setting's id (generated: BROKER_LOG_SEGMENT_BYTES for log.segment.bytes, TOPIC_RETENTION_MS
 * for retention.ms).
 */
#pragma once

#include "base/base.h"
#include "config/settings.h" /* generated: enum broker_setting, enum topic_setting, ... */

enum setting_type {
    SETTING_BOOLEAN,
    SETTING_STRING,
    SETTING_INT,
    SETTING_SHORT,
    SETTING_LONG,
    SETTING_DOUBLE,
    SETTING_LIST,     /* parts joined by commas */
    SETTING_CLASS,
    SETTING_PASSWORD, /* never printed */
};

enum setting_mode { SETTING_READ_ONLY, SETTING_PER_BROKER, SETTING_CLUSTER_WIDE };

/* A value as a number: `f64` of a double, `i64` of whole numbers (INT64_MIN = null) and
 * booleans. */
union setting_number {
    int64_t i64;
    double f64;
};

struct setting {
    const char *name;
    enum setting_type type;
    const char *default_text; /* NULL = null; see `required` */
    const char *valid;        /* as in the table: range:0.., one-of:a,b, ... ; NULL */
    enum setting_mode mode;
    bool required;
    bool internal;
    bool acts;                /* false: accepted, has no effect yet */
    const char *help;         /* one line of ours; NULL */
    const char *broker_keys;  /* of topic and group settings: which broker settings give the default */
    union setting_number default_number;
};

struct config_table {
    const char *what; /* "broker", "topic", ... */
    const struct setting *settings;
    uint32_t count;
};
extern const struct config_table broker_settings, topic_settings, group_settings,
    client_metrics_settings, producer_settings, consumer_settings, admin_settings;

/* Id of a setting in its table, or -1. */
int setting_find(const struct config_table *table, struct str name);
/* The known name nearest to an unknown one, or NULL when nothing is near: more than a quarter of
 * the letters would have to change. */
const char *setting_nearest(const struct config_table *table, struct str name);

/* Whether Kafka knows `name` although no table lists it: a broker setting for one listener
 * (listener.name.internal.ssl.keystore.location), or one that belongs to a plugin's prefix. Such a
 * name has no effect yet but is no mistake. */
bool setting_is_prefixed(struct str name);

/* The broker settings that give the default of a topic or group setting, first one first: the id
 * of number `index` in broker_settings, or -1 behind the last. A value of it times `*factor` is a
 * value of `s` (3600000 from hours to ms); a negative age stands for -1, without end. */
int setting_broker_key(const struct setting *s, uint32_t index, int64_t *factor);

/* Check one value: type and `valid`. -EINVAL with words that say what is allowed. Text is read as
 * Kafka's ConfigDef reads it: blanks around it do not count. A null value is -EINVAL. */
MUST int setting_check(const struct setting *s, struct str value, struct fail *f);

/* ---- values ----------------------------------------------------------------------------------- */

struct config;

/* Where a value comes from, as DescribeConfigs says it (numbers of the protocol). */
enum config_source {
    CONFIG_UNKNOWN = 0,
    CONFIG_TOPIC = 1,
    CONFIG_DYNAMIC_BROKER = 2,
    CONFIG_DYNAMIC_DEFAULT_BROKER = 3,
    CONFIG_STATIC_BROKER = 4,
    CONFIG_DEFAULT = 5,
    CONFIG_DYNAMIC_BROKER_LOGGER = 6,
    CONFIG_CLIENT_METRICS = 7,
    CONFIG_GROUP = 8,
};

struct config *config_new(const struct config_table *table);
void config_free(struct config *c);
struct config *config_copy(const struct config *c);
const struct config_table *config_table_of(const struct config *c);

/* Set by name, at a level; `value` null removes the level's value. -ENOENT unknown name, -EINVAL
 * bad value, or a dynamic level that the setting's mode does not allow; `f` says which. The value is
 * kept in the form in which Kafka shows it: `true` for TRUE, no blanks around parts of a list. */
MUST int config_set(struct config *c, enum config_source source, struct str name, struct str value,
                    struct fail *f);

/* All of these: `id` below the table's count; text lives until that value is set again.
 *
 * Text of the value in force (highest level that is set, else the default); null possible. */
struct str config_text(const struct config *c, uint32_t id);
/* Text at one level; null and false when it is not set there. */
bool config_text_at(const struct config *c, enum config_source source, uint32_t id,
                    struct str *out);
enum config_source config_source(const struct config *c, uint32_t id);

/* Typed values in force. The setting's type must fit. A null number gives `INT64_MIN`. */
int64_t config_i64(const struct config *c, uint32_t id);
bool config_bool(const struct config *c, uint32_t id);
double config_f64(const struct config *c, uint32_t id);
/* A number as Java's Double.toString writes it; read one as Double.parseDouble does, -EINVAL. */
void double_print(double d, struct text *out);
MUST int double_parse(struct str s, double *out);
struct str config_str(const struct config *c, uint32_t id);
/* Parts of a list: call with *rest = config_str(...) and str_cut(rest, ',', &part). */

/* ---- text files -------------------------------------------------------------------------------- */

/* Java properties: comments, continued lines, escapes, `=`, `:` or blank as separator, CRLF.
 * 1 = a pair (valid until the next call), 0 = end, -EINVAL with `f` naming the line. */
struct properties {
    struct str rest;
    uint32_t line;
    struct text key, value;
};
void properties_begin(struct properties *p, struct str content);
MUST int properties_next(struct properties *p, struct str *key, struct str *value, struct fail *f);
void properties_end(struct properties *p);

/* Replace ${env:X} and ${file:PATH:KEY} / ${file:PATH}; `look` gives the text for a source ("env")
 * and a name (all behind the first colon). It appends to `out` and returns 0; -ENOTSUP for a source
 * that it does not know: then, and where there is no colon, the text stays as it is, as in Kafka.
 * What was put in is not looked at again. Any other trouble of `look` is returned, `f` names the
 * reference. `out` is appended to, also in part on failure. */
MUST int config_expand(struct str value, int (*look)(void *ctx, struct str source, struct str name,
                                                     struct text *out),
                       void *ctx, struct text *out, struct fail *f);

/* The environment variable's setting: KAFKA_LOG_DIRS -> log.dirs, ___ -> -, __ -> _ (as in Kafka's
 * container image). False for names that do not begin with KAFKA_ or are its own options
 * (KAFKA_HEAP_OPTS, ...). */
bool config_env_name(struct str variable, struct text *name);

/* ---- listeners ---------------------------------------------------------------------------------- */

enum security_protocol { PLAINTEXT = 0, SSL = 1, SASL_PLAINTEXT = 2, SASL_SSL = 3 };

struct listener {
    char name[64];
    char host[256]; /* empty = all interfaces */
    uint16_t port;
    enum security_protocol protocol;
};
#define LISTENERS_MAX 16

/* `listeners`, `advertised.listeners` with listener.security.protocol.map; IPv6 in brackets.
 * -> count; -EINVAL. */
MUST int listeners_parse(struct str value, struct str protocol_map, struct listener *out,
                         uint32_t max, struct fail *f);

/* The listeners that this node opens, with the protocol map in force: where the map was not set and
 * nothing uses TLS or SASL, the controllers' listeners are PLAINTEXT. -> count; -EINVAL. */
MUST int config_listeners(const struct config *c, struct listener *out, uint32_t max,
                          struct fail *f);
/* What clients and brokers are told: advertised.listeners, else listeners without those of
 * controllers. A host that is empty still is to be filled in. -> count; -EINVAL. */
MUST int config_advertised_listeners(const struct config *c, struct listener *out, uint32_t max,
                                     struct fail *f);
/* Whether `name` is one of controller.listener.names. */
bool config_is_controller_listener(const struct config *c, struct str name);
/* The security protocol of a listener's name, of a listener here or elsewhere. -EINVAL. */
MUST int config_listener_protocol(const struct config *c, struct str name,
                                  enum security_protocol *out, struct fail *f);
/* Name of the listener that brokers use among each other. */
struct str config_inter_broker_listener(const struct config *c);

/* One of controller.quorum.voters: ID@HOST:PORT. */
struct quorum_voter {
    int32_t id;
    uint16_t port;
    char host[256];
};
#define QUORUM_VOTERS_MAX 32
/* -> count; -EINVAL. */
MUST int quorum_voters_parse(struct str value, struct quorum_voter *out, uint32_t max,
                             struct fail *f);

/* HOST:PORT or [IPV6]:PORT into a terminated host and a port. -EINVAL. */
MUST int host_port_parse(struct str value, char host[256], uint16_t *port);

/* ---- the broker's settings together ---------------------------------------------------------- */

/* node.id, else broker.id; -1 when neither is set. */
int32_t config_node_id(const struct config *c);
/* log.dirs, else log.dir: a list. */
struct str config_log_dirs(const struct config *c);
/* Whether process.roles has "broker" or "controller". */
bool config_has_role(const struct config *c, struct str role);

/* Let a file that says nothing of roles be one whole node: where process.roles is not set, set it,
 * the node's id, the controllers' listener (on loopback) and the voters; what the file has
 * stays. In any file, of node.id and broker.id the one that is not set is set to the other. */
MUST int config_fill_one_node(struct config *c, struct fail *f);

/* Check settings against each other as Kafka does at start (roles, voters, listeners,
 * inter.broker.listener.name, node.id, log.dirs ...), on a broker table. */
MUST int config_check_broker(const struct config *c, struct fail *f);

/* The settings of one topic: values of the topic over those of the broker (broker_keys with their
 * units) over the defaults. `topic` may be NULL. The result is a new config over topic_settings. */
struct config *config_topic(const struct config *broker, const struct config *topic);

/* Check the settings of one topic (a result of config_topic) against each other and the broker's,
 * as Kafka does when a topic is created or altered. */
MUST int config_check_topic(const struct config *topic, const struct config *broker,
                            struct fail *f);

/* Check a group's own settings (at level CONFIG_GROUP of a group table) against the bounds that the
 * broker sets and each other, as Kafka does when they are altered. */
MUST int config_check_group(const struct config *own, const struct config *broker, struct fail *f);

/* Whether an answer to acks>=1 waits for stable storage: flush.messages 1 = it does, larger = it
 * does not, set nowhere = as millrace.durability says. `topic` is a result of config_topic. */
bool config_durable(const struct config *topic, const struct config *broker);
