/* client/internal.h - what the files of this room share.
 *
 *   call.c          a call from client_send to its end
 *   link.c          one connection to one node; versions.c what is said first on it
 *   any.c           which node is asked when any will do; bootstrap, and bootstrap again
 *   metadata.c      what is asked for, and when; taking.c what answers change of what is known: topics.c, brokers.c
 *   coordinators.c  who coordinates what
 *   throttle.c      a broker's quota is exceeded: its connection is silent for a while
 *   health.c        how it goes
 *   client.c        life, watches
 *
 * A call stands in one list: of those without a target (client.unresolved), or of its link (waiting, again), or it is
 * the peer's. No function here runs a caller's completion but call_ended and wire_done (call.c), which are called from
 * the loop; `prepare` is the one thing of a caller that runs inside.
 */
#pragma once

#include "client/client.h"

/* ---- links ------------------------------------------------------------------------------------ */

enum link_role {
    LINK_DATA,
    LINK_COORDINATOR, /* a fetch that waits must not hold up heartbeats: answers come in order */
    LINK_BOOTSTRAP,   /* id: index of the bootstrap server */
};

enum link_phase { LINK_DOWN, LINK_CONNECTING, LINK_ASKING, LINK_READY };

/* A node's versions of one API; high < low: it has none. */
struct link_version {
    int16_t low, high;
};

struct client_link {
    struct client *client;
    struct list node;         /* in client.links */
    int32_t id;
    uint8_t role;             /* enum link_role */
    uint8_t phase;            /* enum link_phase */
    int64_t since_ns;         /* when it began to connect */
    bool retired;             /* takes no more calls, and goes when it has none */
    bool closing;
    struct io_address address;
    struct peer *peer;        /* NULL when it is gone */
    struct list waiting;      /* struct client_call, in order */
    struct list again;        /* that were given and not sent; before `waiting` when the connection has ended */
    uint32_t given;           /* calls that the peer has */
    int64_t used_ns;          /* when the last one ended */
    struct io_timer idle;
    int64_t throttled_until_ns; /* before which the peer is given nothing; 0 or past: it is */
    struct io_timer throttle;
    struct op closed;

    struct peer_call ask;     /* ApiVersions */
    int16_t ask_version;
    struct link_version versions[API_KEY_COUNT];
};

/* Find it, or make it, without connecting. */
struct client_link *link_find(const struct client *c, enum link_role role, int32_t id);
struct client_link *link_get(struct client *c, enum link_role role, int32_t id, const struct io_address *address);
void link_set_address(struct client_link *l, const struct io_address *address);
/* Let `call` wait for it, and connect. */
void link_enqueue(struct client_link *l, struct client_call *call);
/* Give the peer what it can take. */
void link_pump(struct client_link *l);
/* Likewise, where what held it back is over; with nothing to do it is idle from now on. */
void link_go_on(struct client_link *l);
/* No more calls; those that wait are placed anew (of CLIENT_NODE end with -ENOENT). Freed later. */
void link_retire(struct client_link *l);
/* A call that was given has ended, or waits again. May free the link. */
void link_call_over(struct client_link *l);
int64_t link_backoff_until_ns(const struct client_link *l);

/* throttle.c: an answer that the link's node gave in `version`; it may ask for silence. */
void link_throttle(struct client_link *l, int16_t api_key, int16_t version, const void *response);
void link_throttle_ends(struct client_link *l);
bool link_is_throttled(const struct client_link *l);
void throttle_reason(const struct client *c, char *out, size_t out_bytes);

/* versions.c: ask for the versions; ends with link_ready, or the connection ends. */
void link_ask_versions(struct client_link *l);
void link_ready(struct client_link *l);
/* The highest that both sides and the caller know; ERR_VERSION. */
int link_choose_version(const struct client_link *l, const struct client_call *call);

/* ---- calls ------------------------------------------------------------------------------------ */

enum call_phase {
    CALL_NONE,
    CALL_UNRESOLVED, /* in client.unresolved */
    CALL_WAITING,    /* in its link's `waiting` or `again` */
    CALL_GIVEN,      /* the peer has it */
    CALL_ENDING,     /* ends in a turn of its own */
};

/* Find its link, or let it wait for whatever is missing. */
void call_place(struct client_call *call);
/* Take it from where it waits and place it anew. */
void call_replace(struct client_call *call);
void calls_place_unresolved(struct client *c);
/* It is in no list: encode and give it to the peer of its link. */
void call_give(struct client_call *call);
/* End it in a later turn; it is taken out of its list. */
void call_end_soon(struct client_call *call, int64_t result);

/* ---- metadata --------------------------------------------------------------------------------- */

struct topic {
    struct client_topic shown;          /* first */
    struct map_node by_name, by_id;
    struct client_partition *partitions; /* of `shown`; with the numbers behind them in one piece */
    int32_t *epochs;                     /* the highest leader epoch seen of each partition (C4), of `epochs_id` */
    int32_t epoch_count;
    struct uuid epochs_id;
    uint32_t wants;
    uint64_t seen;                       /* number of the newest answer that had it */
    bool asked;                          /* an answer has come, or is asked for */
    int64_t unwanted_ns;                 /* since when nobody wants it */
};

struct metadata {
    struct map topics, topics_by_id;
    struct broker_block *block;         /* `brokers` with their text, and those that were replaced in this turn */
    struct client_broker *brokers;
    uint32_t broker_count;
    char *cluster_id;                   /* NULL until known */
    int32_t controller_id;
    bool controller_doubtful;           /* it said that it is not, or is not there */
    bool known;                         /* an answer has come */
    int32_t feature_levels[FEATURE_COUNT]; /* finalized; -1 */
    int64_t features_epoch;

    uint32_t want_all;
    bool need_all, need_new;            /* what the next request is to ask for */
    uint32_t wanted;                    /* topics that somebody wants */
    bool asking, asked_all_topics;      /* the request in flight; it is for every topic that there is */
    uint64_t begun, answered;           /* number of the newest request, and of the newest that was answered */
    uint32_t attempts;                  /* in a row without all that is wanted */
    uint64_t new_in;                    /* the request that names what was wanted for the first time last */
    bool failed;                        /* the last one was not answered at all */
    int64_t due_ns;                     /* before which there is no next one, but for new topics */
    int64_t ended_ns;                   /* when the last one ended */
    int64_t trying_since_ns;            /* without any answer; 0 = not */
    struct io_timer timer;              /* back-off, or age */
    struct client_call call;
    struct arena arena;                 /* of the request */
    struct list updates;                /* struct op of client_update: word[0] deadline, word[1] which request */
    struct io_timer update_timer;
};

void metadata_init(struct client *c);
void metadata_deinit(struct client *c);
void metadata_close(struct client *c);
/* Ask when that is due. */
void metadata_go(struct client *c);
/* Find out anew who leads, after the back-off. */
void metadata_need(struct client *c);

#define CLUSTER_ID_MAX 255 /* bytes; Kafka's have 22, and longer ones are not kept */

/* taking.c: what an answer says. ERR_CORRUPT: nothing was taken. `*complete`: nothing that is wanted is missing, or
 * without leader. */
struct metadata_response;
MUST int metadata_take(struct client *c, const struct metadata_response *m, int16_t version, bool *complete);

/* topics.c */
struct topic *topic_find(const struct client *c, struct str name);
struct topic *topic_get(struct client *c, struct str name);
static inline struct topic *topic_of_node(struct map_node *node)
{
    return container_of(node, struct topic, by_name);
}
void topic_drop(struct client *c, struct topic *t);
void topic_set_id(struct client *c, struct topic *t, struct uuid id);
void topics_init(struct client *c);
void topics_deinit(struct client *c);

/* brokers.c */
/* Callers look no more at brokers that were replaced. */
void brokers_forget_replaced(struct client *c);
/* Replace the brokers by these; their text is copied. */
void brokers_set(struct client *c, const struct client_broker *brokers, uint32_t count);
/* With this one new, or moved. */
void broker_put(struct client *c, const struct client_broker *b);
void cluster_id_set(struct client *c, struct str id);
void brokers_deinit(struct client *c);

/* ---- coordinators ----------------------------------------------------------------------------- */

#define COORDINATOR_TYPES 3 /* group, transaction, share: numbers of the protocol */

struct coordinators {
    struct map known;                   /* struct coordinator */
    struct finder {
        struct client *client;
        int8_t type;
        bool asking;
        bool one_key;                   /* the broker takes one at a time (before version 4) */
        uint32_t attempts;
        struct client_call call;
        struct arena arena;
        struct io_timer timer;
        struct list asked;              /* struct coordinator */
        struct list needed;
    } finders[COORDINATOR_TYPES];
};

void coordinators_init(struct client *c);
void coordinators_deinit(struct client *c);
void coordinators_close(struct client *c);
/* The link of the coordinator; NULL: it will be looked for, or 'error' < 0. */
struct client_link *coordinator_link(struct client *c, struct client_call *call, int *error);
/* It is no more, or cannot be reached. */
void coordinator_forget(struct client *c, const struct client_target *target);

/* ---- the client -------------------------------------------------------------------------------- */

struct client {
    struct io *io;
    struct telemetry *telemetry;
    struct client_settings settings;
    struct arena texts;                 /* of the settings */
    struct list links;
    struct list unresolved;             /* struct client_call */
    uint32_t call_count;                /* not completed yet, our own too */

    struct io_address *bootstrap;
    uint32_t bootstrap_count;
    bool bootstrapping;                 /* CLIENT_ANY is a bootstrap server */

    struct metadata metadata;
    struct coordinators coordinators;

    struct list watches;
    struct io_timer changed;            /* set: watches are told in a later turn */

    enum client_state state;
    int64_t state_since_ns;
    char reason[256];

    struct op *closed;                  /* of client_close */
    struct io_timer gone;
};

/* Its nodes come from client_tell_node, not from Metadata. */
static inline bool client_is_told(const struct client *c)
{
    return c->settings.bootstrap_servers.n < 0;
}

/* client.c */
void client_changed(struct client *c);
/* After client_close: is everything over? */
void client_check_gone(struct client *c);

/* any.c */
MUST int bootstrap_parse(struct client *c, struct fail *f);
struct client_link *any_link(struct client *c);
struct client_link *broker_link(struct client *c, int32_t node_id); /* NULL: not known */
/* What is known of brokers leads nowhere: ask the bootstrap servers again (KIP-899, KIP-1102). */
void rebootstrap(struct client *c, const char *why);
/* An answer came: bootstrap servers are not needed any more. */
void bootstrapped(struct client *c);

/* health.c */
void health_wanted(struct client *c);
void health_up(struct client *c);
void health_failed(struct client *c, const struct client_link *l, int error);

/* Settings may say for ever; that is a century here. */
static inline int64_t ms_to_ns(int64_t ms)
{
    int64_t most = INT64_C(100) * 365 * 24 * 3600 * 1000;

    return (ms < most ? ms : most) * 1000000;
}

static inline int64_t after_ns(const struct client *c, int64_t ms)
{
    return io_now_ns(c->io) + ms_to_ns(ms);
}
