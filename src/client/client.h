/* client/client.h - a Kafka cluster as a client sees it: its brokers, who leads what, and a way to ask each.
 *
 *   producer, consumer, tools ── request, target ──► client ─ metadata, coordinators ─► link of one broker ─► peer
 *                             ◄── response, version ──      ◄─────── versions, answers ──────────────────────
 *
 *   C1  A client lives on one shard, with that shard's struct io. Nothing here is thread-safe.
 *   C2  Every call completes exactly once, later, and by its time limit.
 *   C3  A caller's request is sent at most once per client_send. Who asks again is the caller: only it knows
 *       whether that is safe. What the client needs for itself (metadata, versions, coordinators) it
 *       asks for until it has it, with back-off and jitter.
 *   C4  Metadata never goes back: of two answers about one topic id the one with the lower leader epoch
 *       does not count (KIP-320), and a topic of the same name with another id is another topic (KIP-516).
 */
#pragma once

#include "config/config.h"
#include "io/io.h"
#include "network/network.h"
#include "protocol/protocol.h"
#include "telemetry/telemetry.h"

struct client;

/* ---- settings ------------------------------------------------------------------------------- */

/* What the tables of producers, consumers and admins share. Names are Kafka's. */
struct client_settings {
    struct str bootstrap_servers;       /* HOST:PORT,...; every address of a name is tried. Null: the nodes are told
                                           by client_tell_node, and nobody is asked for metadata */
    bool bootstrap_controllers;         /* they are controllers: bootstrap.controllers (KIP-919) */
    bool bootstrap_canonical;           /* they are connected to by the canonical names of their addresses */
    struct io_connect_options connect;  /* `canonical` false */
    struct str client_id;
    struct str client_rack;             /* null or empty: none */
    bool check_cluster;                 /* metadata.cluster.check.enable: say whom a connection is meant for */
    int64_t request_timeout_ms;
    int64_t reconnect_backoff_ms, reconnect_backoff_max_ms;
    int64_t retry_backoff_ms, retry_backoff_max_ms;
    int64_t connection_setup_timeout_ms, connection_setup_timeout_max_ms;
    int64_t connections_max_idle_ms;    /* < 0 never */
    int64_t metadata_max_age_ms;
    int64_t metadata_max_idle_ms;       /* of a topic nobody wants any more */
    bool rebootstrap;                   /* metadata.recovery.strategy (KIP-899) */
    int64_t rebootstrap_trigger_ms;     /* KIP-1102 */
    bool auto_create_topics;            /* allow.auto.create.topics */
    uint32_t frame_bytes_max;           /* of an answer; a longer one ends its connection. 100 MiB when read: who
                                           lets brokers send more (fetch.max.bytes) raises it */
    uint32_t in_flight_max;             /* per broker: max.in.flight.requests.per.connection */
};

/* Set one, as a user has given it, in a config over one of those tables. -> 0; 1: it is taken, and has no effect yet,
 * which the user should hear. -ENOENT: there is none of that name, and `f` says the nearest; -EINVAL: `f` says what is
 * allowed. */
MUST int client_setting_set(struct config *c, struct str name, struct str value, struct fail *f);

/* Read them from a config over producer_settings, consumer_settings or admin_settings. Text is
 * borrowed from `c`. -EINVAL, and `f` says what is wrong and what is allowed. */
MUST int client_settings_read(const struct config *c, struct client_settings *out, struct fail *f);

/* ---- life ----------------------------------------------------------------------------------- */

/* Starts nothing yet: the first want or call connects. Settings are copied. NULL without memory, or -EINVAL's
 * words in `f` for bootstrap servers that cannot be read. */
struct client *client_new(struct io *io, struct telemetry *t, const struct client_settings *settings, struct fail *f);

/* Calls end with ERR_CLOSED; completes when all connections are gone, and frees it. */
void client_close(struct client *c, struct op *op);

/* How it goes, for people and for health checks. */
enum client_state {
    CLIENT_IDLE,       /* nobody has asked for anything */
    CLIENT_CONNECTING, /* no broker has answered yet, or none answers any more */
    CLIENT_UP,
};
struct client_health {
    enum client_state state;
    int64_t since_ns;        /* io_now_ns when the state began */
    char reason[256];        /* "cannot connect to b1:9092: connection refused"; empty when up, but where a quota
                                holds requests back */
};
void client_health(const struct client *c, struct client_health *out);

/* ---- calls ---------------------------------------------------------------------------------- */

enum client_target_kind {
    CLIENT_ANY,         /* a broker with little in flight, connected ones first */
    CLIENT_NODE,        /* the node of `node_id` */
    CLIENT_CONTROLLER,  /* the broker (or controller) that Metadata or DescribeCluster names */
    CLIENT_GROUP,       /* the coordinator of group `key` */
    CLIENT_TRANSACTION, /* of transactional id `key` */
    CLIENT_SHARE,       /* of share partition key `key` (KIP-932) */
};
struct client_target {
    enum client_target_kind kind;
    int32_t node_id;
    struct str key;
};

/* One request and its answer. Embedded by the caller; zeroed, then the first block set. Until `op`
 * completes it stays, and so does all that it names: the request's arrays, text and records, which
 * are sent from where they lie. */
struct client_call {
    struct op op;               /* completes with 0: `response` is there; or trouble: see `sent` */
    struct client_target target;
    int16_t api_key;
    int16_t version_low;        /* of the versions that both sides know the highest in between is taken; */
    int16_t version_high;       /* 0 = the highest that the API has */
    const void *request;        /* the API's request struct, initialised */
    void (*prepare)(struct client_call *call); /* NULL; else called when `version` and `node_id` are known,
                                                  before encoding: may still change the request;
                                                  calls nothing of the client */
    int64_t timeout_ms;         /* from client_send to the answer; 0 = request.timeout.ms */
    bool no_answer;             /* Produce with acks=0: completes when it was sent */

    int16_t version;            /* that was sent; of a failure too, once known; -1 */
    int32_t node_id;            /* who was asked; -1 nobody, or one whose id is not known yet */
    int16_t lookup_error;       /* enum kerr: why the coordinator was refused, with -EACCES */
    bool sent;                  /* some byte may have left: after trouble the node may have acted (indefinite) */
    void *response;             /* the API's response struct; its text and records point into the answer */

    struct arena arena;         /* private from here on */
    struct peer_call wire;
    struct list node;
    struct io_timer timer;      /* of the limit, while it waits; then of its end */
    struct client *client;
    struct client_link *link;   /* that it waits for, or was given to */
    int64_t deadline_ns;
    uint64_t metadata_number;   /* of the request whose answer must name the node */
    int64_t result;
    uint8_t phase;
};

/* Send it when its target is known and connected. Trouble: -ETIMEDOUT, -ECONNRESET and the like, ERR_VERSION (the node
 * does not speak the API in these versions), -EINVAL (the request cannot be said in the version that was chosen),
 * ERR_CORRUPT, ERR_LIMIT, ERR_CLOSED, -ECANCELED, -ENOENT (no such node), -EACCES (`lookup_error`: there will be no
 * coordinator). To CLIENT_NODE a call ends, unsent, with the first try to connect that fails: the caller may know a
 * better one meanwhile. To other targets it goes on looking until its limit. Calls to one node are sent in the order of
 * client_send (those to a coordinator among themselves), and wait while it wants silence. A COORDINATOR or CONTROLLER
 * error inside the response makes the client look for it anew before the next call, and is the caller's to handle.
 * After trouble nothing is to be released. */
void client_send(struct client *c, struct client_call *call);
/* Ask that it end early: completes with -ECANCELED, or as it ends. */
void client_cancel(struct client_call *call);
/* Some byte of it may have left by now. Where none has, a cancelled call never leaves. */
static inline bool client_call_has_left(const struct client_call *call)
{
    return call->sent || call->wire.sent;
}
/* Let go of the answer. Accepts a zeroed one, and repeated calls. */
void client_call_release(struct client_call *call);

/* The version that a call to `node_id` would take, -1 when not known (yet). */
int16_t client_version(const struct client *c, int32_t node_id, int16_t api_key);
/* Until when (io_now_ns) calls to `node_id` wait, because it has said that a quota is exceeded (KIP-219); 0 or past:
 * they do not. Half a minute at a time at most. */
int64_t client_throttled_until_ns(const struct client *c, int32_t node_id);
/* The node's finalized level of a feature as ApiVersions said, -1 when not known. */
int16_t client_feature(const struct client *c, struct str feature);

/* Milliseconds to wait before try number `attempt` (1 = the first repetition): retry.backoff.ms, doubling, with
 * jitter of a fifth, up to retry.backoff.max.ms (KIP-580). */
int64_t client_backoff_ms(struct client *c, uint32_t attempt);

/* ---- metadata ------------------------------------------------------------------------------- */

struct client_broker {
    int32_t id;
    uint16_t port;
    struct str host, rack; /* rack may be null */
};
struct client_partition {
    int32_t leader;        /* -1 = none */
    int32_t leader_epoch;  /* -1 = not known */
    const int32_t *replicas, *isr, *offline;
    int32_t replica_count, isr_count, offline_count;
};
struct client_topic {
    struct str name;
    struct uuid id;        /* zero before v10 */
    int16_t error;         /* of the topic: UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED ...; then it has
                              no partitions */
    bool internal;
    const struct client_partition *partitions; /* by index */
    int32_t partition_count;
    int64_t updated_ns;
};

/* Topics that the client is to know and keep fresh; counted, so several users may want one. */
void client_want(struct client *c, struct str topic);
void client_unwant(struct client *c, struct str topic);
/* All topics (pattern subscriptions, tools); counted. */
void client_want_all(struct client *c);
void client_unwant_all(struct client *c);

/* What is known; NULL = not asked yet or not answered yet. Valid until the next turn. */
const struct client_topic *client_topic(const struct client *c, struct str name);
const struct client_topic *client_topic_of_id(const struct client *c, struct uuid id);
/* All known topics, in no order: start with NULL. */
const struct client_topic *client_topic_next(const struct client *c, const struct client_topic *t);
const struct client_broker *client_broker(const struct client *c, int32_t id);
const struct client_broker *client_brokers(const struct client *c, uint32_t *count);
struct str client_cluster_id(const struct client *c); /* null until known */
int32_t client_controller_id(const struct client *c); /* -1 */

/* What is known is doubtful (NOT_LEADER_OR_FOLLOWER, a leader that is gone): ask anew, after the
 * back-off. */
void client_refresh(struct client *c);
/* An answer named the new leader (KIP-951): take it where the epoch is newer. `host` null: the node is known. `port` as
 * the answer has it: what cannot be one counts as no host. */
void client_hint(struct client *c, struct str topic, int32_t partition, int32_t leader, int32_t leader_epoch,
                 struct str host, int32_t port);

/* For nodes of a cluster among themselves, which know each other from the cluster's own records: a node that can be
 * asked by CLIENT_NODE from now on, or has moved. Only of a client without bootstrap servers. */
void client_tell_node(struct client *c, int32_t id, struct str host, uint16_t port);
/* It is no more: its calls end with -ENOENT. Accepts one that is not known. */
void client_forget_node(struct client *c, int32_t id);

/* Told once per turn in which something of the metadata has changed, or was confirmed. */
struct client_watch {
    void (*changed)(struct client_watch *w);
    struct list node; /* private */
};
void client_watch(struct client *c, struct client_watch *w);
void client_unwatch(struct client_watch *w);

/* Completes when an answer newer than this call has come, or with trouble after `timeout_ms`. */
void client_update(struct client *c, int64_t timeout_ms, struct op *op);
/* Likewise, but for topics that were wanted for the first time: their own request, which is under way or next, is what
 * is waited for. Without such topics it is client_update. */
void client_learn(struct client *c, int64_t timeout_ms, struct op *op);
/* Ask that it end early: completes with -ECANCELED, or as it ends. */
void client_update_cancel(struct client *c, struct op *op);
