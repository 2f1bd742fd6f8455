/* controller/internal.h - what the files of room controller share. */
#pragma once

#include "controller/controller.h"

#define NO_LEADER (-1)

/* Levels of metadata.version that switch something on. */
enum {
    METADATA_VERSION_ISR_SHRINK_WITHOUT_EPOCH = 12,
    METADATA_VERSION_TRANSACTIONS = 13,
    METADATA_VERSION_DIRECTORIES = 17,
    METADATA_VERSION_CORDONED = 30,
};

/* Protocol numbers of resources that have settings (ConfigResource.Type). */
enum config_resource {
    CONFIG_RESOURCE_TOPIC = 2,
    CONFIG_RESOURCE_BROKER = 4,
    CONFIG_RESOURCE_BROKER_LOGGER = 8,
    CONFIG_RESOURCE_CLIENT_METRICS = 16,
    CONFIG_RESOURCE_GROUP = 32,
};

/* What the controller knows of a broker beyond the image: not replicated, made anew at a claim. */
struct session {
    struct list node;
    int32_t id;
    int64_t epoch;
    int64_t contact_ms;          /* monotonic; of the last heartbeat or registration */
    int64_t given_ms;            /* that it lasts longer: this process stood still since then */
    int64_t spoke_ms;            /* monotonic; of the last sign of life that is neither */
    int64_t metadata_offset;     /* that it reported last; -1 = none yet */
    int64_t registration_offset; /* of its RegisterBrokerRecord */
    int64_t shutdown_offset;     /* at which its controlled shutdown began */
    bool gone;                   /* controller_broker_gone was believed once */
    uint32_t silences;           /* it was fenced for; none of them long after the one before */
    int64_t silenced_ms;         /* monotonic; by the last one */
    int64_t held_until_ms;       /* monotonic; not taken back before, where nothing needs it */
};

struct controller {
    struct controller_settings settings;
    struct controller_log log;
    struct prng *prng;
    bool active;
    int32_t epoch;
    const struct image *latest; /* NULL while not active */
    int64_t end;                /* behind the last offset that we know of */
    int64_t appended_ms;        /* monotonic; of the last append */
    int64_t silence_since_ms;   /* monotonic; what was not heard before that counts for nothing */
    int64_t balance_due_ms, unclean_due_ms; /* monotonic: next elections; INT64_MAX = never */
    int64_t balance_interval_ms, unclean_interval_ms;
    struct parking parking;
    struct list refused; /* calls that came while not active */
    struct list sessions;
    struct controller_elections elections; /* since the start */
    struct arena scratch; /* of one decision */
    bool deciding;        /* `scratch` is in use */
};

/* ---- tally.c: what a request names more than once ---- */
struct named {
    struct str name; /* null where an id stands for it */
    struct uuid id;
    int8_t type;     /* of a resource; else 0 */
    int32_t partition;
};
struct tally {
    struct tally_row *rows;
    int32_t count;
};
/* Room for `count`; then tally_add in the order of the request, then tally_sort, then ask. */
void tally_make(struct tally *t, struct arena *arena, int32_t count);
void tally_add(struct tally *t, struct named named);
void tally_sort(struct tally *t);
/* Where the request has it first; -1. */
int32_t tally_first(const struct tally *t, struct named named);
/* It was added, and more than once. */
bool tally_is_repeated(const struct tally *t, struct named named);
/* What the request first repeats; NULL. */
const struct named *tally_second(const struct tally *t);

/* One decision: records that are to be appended together, and the image that they start from. */
struct decision {
    struct controller *c;
    const struct controller_call *call; /* NULL for the controller's own */
    const struct image *image;
    const struct metadata_version *version;
    struct bytes *framed;
    uint32_t count, capacity;
    int64_t now_ms, wall_ms;
    uint64_t stripe; /* where the placement of new partitions begins; 0 = not drawn */
    struct config *broker; /* effective_broker's; NULL = not asked yet */
    struct tally metrics;  /* topic_name.c: names of topics as metrics have them */
    uint32_t collisions_asked;
    struct str why;      /* what is decided is decided so; null = not said */
    bool tell_why;       /* that is news by itself */
    bool in_order;       /* a broker that stops wants it: nothing that follows is bad news */
    bool bad;            /* it is bad news by itself */
    struct noted *noted; /* news.c: partitions that change */
    uint32_t noted_count, noted_capacity;
};

/* ---- records.c ---- */
void decision_begin(struct decision *d, struct controller *c, const struct controller_call *call,
                    int64_t now_ms);
void decision_end(struct decision *d);
/* Add a record; `record` is not needed afterwards. */
void decision_add(struct decision *d, const struct message *message, int16_t version,
                  const void *record);
void decision_add_framed(struct decision *d, struct bytes framed);
/* Add, leave out, the records of another part: forget those behind the first `count`. */
void decision_cut(struct decision *d, uint32_t count);
/* Apply to `latest` by the strict checks, then append (K2). KERR_NONE also when there is nothing to
 * append; NOT_CONTROLLER when the log has another leader: then nothing has changed, and the
 * controller has resigned. */
enum kerr decision_commit(struct decision *d);
/* Offset that the record added next will have. */
int64_t decision_next_offset(const struct decision *d);

/* ---- news.c ---- */
/* The reason of what is decided from here on; `tell`: it is news by itself, of a broker or of many partitions. */
void decide_because(struct decision *d, bool tell, const char *format, ...) PRINTF(3, 4);
/* The record that was added last changes this partition. */
void news_note(struct decision *d, struct uuid topic, int32_t partition);
/* Only what the first `records` change is news still. */
void news_cut(struct decision *d, uint32_t records);
/* A broker of another cluster wants to be registered, and is refused. */
void news_of_stranger(struct controller *c, int32_t broker_id, struct str cluster_id);
/* The decision is in the log, and c->latest holds it. */
void news_tell(struct decision *d, const struct image *before);

/* An API's decision: fill in the response, add records. What it returns instead of KERR_NONE is
 * the answer to the whole request, and drops the records. */
typedef enum kerr decide(struct decision *d, const void *request, void *response);

decide decide_create_topics;             /* create_topics.c */
decide decide_delete_topics;             /* delete_topics.c */
decide decide_create_partitions;         /* create_partitions.c */
decide decide_incremental_alter_configs; /* alter_configs.c */
decide decide_alter_configs;
decide decide_broker_registration; /* registration.c */
decide decide_controller_registration;
decide decide_unregister_broker;
decide decide_broker_heartbeat;        /* heartbeat.c */
decide decide_allocate_producer_ids;   /* producer_ids.c */
decide decide_assign_replicas_to_dirs; /* assign_dirs.c */
decide decide_alter_partition;         /* alter_partition.c */
decide decide_alter_partition_reassignments; /* reassign.c */
decide decide_list_partition_reassignments;  /* list_reassignments.c */
decide decide_elect_leaders;                 /* elect_leaders.c */
decide decide_update_features;               /* update_features.c */

bool decision_may(const struct decision *d, enum acl_operation operation,
                  enum acl_resource resource, struct str name);

/* ---- session.c ---- */
struct session *session_find(const struct controller *c, int32_t id);
/* The broker's session, begun now where there is none. */
struct session *session_begin(struct controller *c, int32_t id, int64_t epoch, int64_t now_ms);
void session_end(struct controller *c, int32_t id);
void sessions_end_all(struct controller *c);
bool session_is_valid(const struct controller *c, const struct session *s, int64_t now_ms);
/* Lowest offset that an active broker has reported; INT64_MAX when there is no active broker. */
int64_t sessions_lowest_offset(const struct controller *c);
/* Fence brokers whose session has ended. */
void sessions_expire(struct controller *c, int64_t now_ms);
/* Its session has ended, or might as well have, and why: fenced. False when the log refuses it. */
enum session_end { SESSION_TIMED_OUT, SESSION_REFUSED, SESSION_SILENT };
bool session_fence(struct controller *c, const struct image_broker *b, enum session_end end, int64_t now_ms);
/* When the next session ends, if no heartbeat comes; INT64_MAX. */
int64_t sessions_due_ms(const struct controller *c);

/* ---- silence.c ---- */
/* When it was heard last, in whatever way (monotonic ms). */
int64_t session_heard_ms(const struct controller *c, const struct session *s);
/* It was fenced for its silence often lately, and no partition has to do without a leader or enough in its ISR for want
 * of it: it is not to be unfenced yet. */
bool session_is_held(struct decision *d, const struct session *s);
/* How long it is held back since it was fenced; 0 = it is not. */
int64_t session_hold_ms(const struct session *s);

/* ---- ids.c: lists of broker ids, each at most once; memory of the decision ---- */
struct ids {
    int32_t *p;
    int32_t n;
};
bool ids_have(const int32_t *p, int32_t n, int32_t id);
bool ids_have_all(struct ids ids, const int32_t *p, int32_t n);
bool ids_equal(struct ids a, const int32_t *p, int32_t n); /* in the same order */
struct ids ids_new(struct decision *d, int32_t capacity);
void ids_add(struct ids *ids, int32_t id);
struct ids ids_of(struct decision *d, const int32_t *p, int32_t n);
struct ids ids_without(struct decision *d, const int32_t *p, int32_t n, struct ids gone);

/* A change of brokers, and what follows from it for the partitions that they hold. NO_LEADER =
 * none. */
struct broker_change {
    int32_t leaves;          /* out of all ISRs and leaderships */
    int32_t joins;           /* may lead from now on */
    int32_t died;            /* its last incarnation did not stop in order (ELR, KIP-966) */
    const struct uuid *lost; /* leaves only what lies in these directories of its; NULL = all */
    int32_t lost_count;
};

/* ---- partition_change.c ---- */
enum election {
    ELECTION_ONLINE,    /* another leader only where the one that leads cannot */
    ELECTION_PREFERRED, /* the first replica where it can lead */
    ELECTION_UNCLEAN,   /* one that may lack records where no other can */
};

/* A partition that changes: begin, say what is wanted, end. */
struct partition_change {
    struct decision *d;
    const struct image_topic *topic;
    const struct image_partition *partition; /* as it is */
    struct broker_change cause;              /* nobody's, unless said */
    enum election election;                  /* at the beginning: what the topic allows */
    bool elr_on;
    struct ids isr, replicas, adding, removing; /* wanted; at the beginning as they are */
    int8_t recovery;
    struct ids elr; /* from here on: what follows */
    int32_t leader;
    bool unclean; /* the leader may lack records */
};
void partition_change_begin(struct partition_change *c, struct decision *d,
                            const struct image_topic *topic, const struct image_partition *p);
/* Adds the record; false when there is nothing to be said. */
bool partition_change_end(struct partition_change *c);
/* How many replicas it has, or will have when the reassignment that is under way has ended. */
int32_t replication_factor(const struct image_partition *p);

/* ---- election.c ---- */
bool broker_is_active(const struct image *i, int32_t id);
/* Whether a replica of the partition goes, by this change. */
bool is_leaving(const struct broker_change *cause, const struct image_partition *p, int32_t id);
/* It is a replica, its broker is active and its directory online. */
bool may_lead(const struct partition_change *c, int32_t id);
void elect(struct partition_change *c);

/* ---- broker_change.c ---- */
void decide_partition_changes(struct decision *d, const struct broker_change *change);

/* Fence a broker: partition changes, then its BrokerRegistrationChangeRecord. */
void decide_fence(struct decision *d, const struct image_broker *b);
void decide_unfence(struct decision *d, const struct image_broker *b);
void add_broker_change(struct decision *d, const struct image_broker *b, int8_t fenced,
                       int8_t in_controlled_shutdown);

/* ---- effective.c: settings in force ---- */
/* The broker's settings with the dynamic ones of the image; the decision's, made once. */
const struct config *effective_broker(struct decision *d);
/* min.insync.replicas of a topic, at most its number of replicas; unclean election allowed? */
int32_t effective_min_isr(const struct decision *d, const struct config *broker,
                          const struct image_topic *t, int32_t replica_count);
bool effective_unclean(const struct config *broker, const struct image_topic *t);
bool elr_is_on(const struct image *i);

/* ---- placement.c ---- */
/* Answers carry a code and words; words NULL = none. */
struct verdict {
    enum kerr error;
    struct str message;
};
#define VERDICT_OK ((struct verdict){KERR_NONE, STR_NULL})
struct verdict refuse(struct decision *d, enum kerr error, const char *format, ...) PRINTF(3, 4);

/* What a leader can follow (room replication). */
#define REPLICAS_PER_PARTITION_MAX 32
struct verdict check_replica_count(struct decision *d, int32_t count);
/* Whether there are brokers for `factor` replicas. The message of a refusal is Kafka's. */
struct verdict check_factor(struct decision *d, int32_t factor);
/* Replicas for partition number `partition`, into an array of `factor`, which was checked. */
void place_replicas(struct decision *d, int32_t partition, int32_t factor, int32_t *replicas);
/* Check an assignment given by hand. `factor` 0 = this is the first. */
struct verdict check_assignment(struct decision *d, const int32_t *replicas, int32_t count,
                                int32_t factor);
/* Where a new replica lies: the broker's only directory, else not assigned yet. */
struct uuid default_directory(const struct decision *d, int32_t broker);
/* Add the PartitionRecord of a new partition. False when none of its replicas is active. */
bool add_partition(struct decision *d, struct uuid topic, int32_t partition,
                   const int32_t *replicas, int32_t count);

/* ---- topic_name.c ---- */
struct verdict check_topic_name(struct decision *d, struct str name);
/* A topic that differs from `name` only in . and _; NULL. */
const struct image_topic *find_colliding_topic(struct decision *d, struct str name);

/* ---- config_check.c ---- */
/* One change of a setting; value null = remove. */
struct config_change {
    struct str name, value;
};
/* Check the settings that a resource will have after `changes`. `created`: the topic is made by
 * this decision, so that it need not be there yet. */
struct verdict check_configs(struct decision *d, int8_t type, struct str resource,
                             const struct config_change *changes, uint32_t count, bool created);
/* A list: parts can be appended. `*value` is its default. */
bool config_is_list(int8_t type, struct str name, struct str *value);

/* ConfigRecords for `changes`, and ClearElrRecord where min.insync.replicas changes. */
void add_configs(struct decision *d, int8_t type, struct str resource,
                 const struct config_change *changes, uint32_t count);

/* ---- clear_elr.c ---- */
/* Of a topic, or of all when its name is empty. */
void add_clear_elr(struct decision *d, struct str topic);

/* ---- activation.c ---- */
void decide_activation(struct decision *d);
void decide_no_op(struct decision *d);
/* With ELR on the cluster must have a min.insync.replicas that does not depend on one node's file. */
void add_cluster_min_isr(struct decision *d);

/* ---- elect_leaders.c ---- */
/* Adds the record of an election; false where nobody else would lead. */
bool elect_again(struct decision *d, const struct image_topic *topic,
                 const struct image_partition *p, enum election election);

/* ---- balance.c: elections from time to time ---- */
void balance_begin(struct controller *c, int64_t now_ms);
int64_t balance_due_ms(const struct controller *c);
void balance_tick(struct controller *c, int64_t now_ms);
