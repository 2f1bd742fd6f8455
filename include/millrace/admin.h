/* millrace/admin.h - libmillrace: what an operator asks of a Kafka cluster.
 *
 *     struct mr_admin *a = mr_admin_open(settings, NULL, &e);
 *     struct mr_new_topic t = {.name = "orders", .partitions = 12, .replication_factor = 3};
 *     struct mr_answer *r = mr_create_topics(a, &t, 1, NULL);
 *     int rc = mr_answer_wait(r, -1, &e);                   negative: no answer, and why
 *     const struct mr_outcome *rows = mr_outcomes(r, &n);   one row for each topic, with its own error
 *     mr_answer_free(r);
 *     mr_admin_close(a, &e);
 *
 * L1 to L7 of client.h hold, and besides:
 *
 *   A1  A call copies what it is given, returns at once and never fails: how it went is in its answer. NULL is an
 *       answer, too (there was no memory for another): every function here accepts it.
 *   A2  An answer ends by its limit (mr_how.timeout_ms). Whoever asked waits for it with mr_answer_wait; or is told by
 *       mr_how.done, and waits for nothing.
 *   A3  What was asked goes where it belongs (the controller, leaders, coordinators, every broker), and is asked again
 *       while a broker says "not now", or is gone, as long as doing it twice is doing it once.
 *   A4  mr_answer_wait tells of trouble: nobody has answered. What brokers answer is in the rows, an error of one topic
 *       in the row of that topic. After trouble the rows are those of the brokers that have answered.
 *   A5  Rows are in the order in which brokers answered. They, and all that they name, live until mr_answer_free, also
 *       when the admin is closed. Before the end, and for another kind of rows than the call gives, there are none.
 *
 * Numbers of enums are Kafka's: what a newer broker says that has no name here is still told. Groups and transactions
 * are in admin_groups.h, access is in admin_access.h; this header includes both.
 */
#ifndef MILLRACE_ADMIN_H
#define MILLRACE_ADMIN_H

#include <millrace/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the handle, and answers ------------------------------------------------------------------ */

struct mr_admin;
struct mr_answer;

/* Settings of Kafka's Admin client. Connects with the first call. `loop` NULL: the I/O thread. NULL on failure. */
MR_API struct mr_admin *mr_admin_open(const struct mr_settings *s, struct mr_loop *loop, struct mr_error *e);
/* What is still asked ends with MR_CLOSED, soon; then the connections are closed. Not in a hook. Accepts NULL. */
MR_API int mr_admin_close(struct mr_admin *a, struct mr_error *e);
MR_API void mr_admin_health(struct mr_admin *a, struct mr_health *out);

/* How something is asked. Zeroed, and NULL, is how most want it. */
struct mr_how {
    int64_t timeout_ms;     /* until the answer; 0 = default.api.timeout.ms; -1 = as long as it takes */
    int32_t validate_only;  /* 1: say how it would go, and change nothing: topics, partitions, settings, quotas */
    int32_t unused;         /* 0 */
    void (*done)(void *ctx, struct mr_answer *r); /* it has ended: once, later (L5). It may be freed in here. Not after
                                                     fork(): an answer that is MR_FORKED has ended at once */
    void *ctx;
};

/* Wait for the end. 0: all is well; n > 0: so many rows have an error; negative: trouble (A4). MR_TIMED_OUT when it has
 * not ended by timeout_ms: it goes on. */
MR_API int mr_answer_wait(struct mr_answer *r, int64_t timeout_ms, struct mr_error *e);
/* Gives up what has not ended; `done` is not called then. Accepts NULL. Nobody waits for it meanwhile. */
MR_API void mr_answer_free(struct mr_answer *r);

/* How it went with one thing that was asked for: what most calls that change something give. */
struct mr_outcome {
    const char *name;       /* of the topic, the group, the resource, the user ... */
    int32_t kind;           /* enum mr_resource of settings, else 0 */
    int32_t partition;      /* -1 = it is not about one */
    int64_t number;         /* what the call says, else -1 */
    struct mr_error error;  /* code MR_OK = it is done */
};
MR_API const struct mr_outcome *mr_outcomes(const struct mr_answer *r, uint32_t *count);

/* ---- topics ------------------------------------------------------------------------------------ */

struct mr_setting {
    const char *name, *value;
};
struct mr_new_topic {
    const char *name;
    int32_t partitions;          /* 0 = num.partitions of the brokers */
    int32_t replication_factor;  /* 0 = default.replication.factor */
    const int32_t *replicas;     /* NULL = the controller chooses; else `replication_factor` node ids for each new
                                    partition in turn, the preferred leader first */
    uint32_t replica_count;      /* of node ids */
    uint32_t setting_count;
    const struct mr_setting *settings;
};
/* -> outcomes; `number`: its partitions. */
MR_API struct mr_answer *mr_create_topics(struct mr_admin *a, const struct mr_new_topic *topics, uint32_t count,
                                          const struct mr_how *how);
/* So that each topic has `partitions` of them; `replicas` are of those that are new. -> outcomes */
MR_API struct mr_answer *mr_create_partitions(struct mr_admin *a, const struct mr_new_topic *topics, uint32_t count,
                                              const struct mr_how *how);
/* -> outcomes */
MR_API struct mr_answer *mr_delete_topics(struct mr_admin *a, const char *const *names, uint32_t count,
                                          const struct mr_how *how);

struct mr_topic_partition {
    int32_t partition;
    int32_t leader;          /* -1 = none */
    int32_t leader_epoch;
    uint32_t replica_count, isr_count, offline_count;
    const int32_t *replicas, *isr, *offline; /* node ids */
};
struct mr_topic_description {
    const char *name;
    uint8_t id[16];          /* zeroes: not known */
    int32_t internal;        /* 1: of Kafka itself, as __consumer_offsets */
    uint32_t partition_count;
    const struct mr_topic_partition *partitions; /* in the order of their numbers */
    struct mr_error error;
};
/* `names` NULL: all topics. -> topics */
MR_API struct mr_answer *mr_describe_topics(struct mr_admin *a, const char *const *names, uint32_t count,
                                            const struct mr_how *how);
MR_API const struct mr_topic_description *mr_topics(const struct mr_answer *r, uint32_t *count);

/* ---- settings of topics, brokers, groups ------------------------------------------------------- */

enum mr_resource {
    MR_RESOURCE_TOPIC = 2,
    MR_RESOURCE_BROKER = 4,
    MR_RESOURCE_BROKER_LOGGER = 8,
    MR_RESOURCE_CLIENT_METRICS = 16,
    MR_RESOURCE_GROUP = 32,
};
enum mr_config_operation { MR_CONFIG_SET = 0, MR_CONFIG_DELETE = 1, MR_CONFIG_APPEND = 2, MR_CONFIG_SUBTRACT = 3 };

struct mr_config_change {
    int32_t resource;           /* enum mr_resource */
    int32_t operation;          /* enum mr_config_operation; APPEND and SUBTRACT: of lists */
    const char *resource_name;  /* a node's id in digits for a broker, "" = the default of all */
    const char *name, *value;   /* value NULL: of MR_CONFIG_DELETE */
};
/* Changes of one resource are made together, or none of them. -> outcomes, one for each resource */
MR_API struct mr_answer *mr_alter_configs(struct mr_admin *a, const struct mr_config_change *changes, uint32_t count,
                                          const struct mr_how *how);

/* Whose value it is: from the nearest to Kafka's own. */
enum mr_config_source {
    MR_SOURCE_TOPIC = 1,
    MR_SOURCE_BROKER = 2,
    MR_SOURCE_ALL_BROKERS = 3,
    MR_SOURCE_FILE = 4,
    MR_SOURCE_DEFAULT = 5,
    MR_SOURCE_BROKER_LOGGER = 6,
    MR_SOURCE_CLIENT_METRICS = 7,
    MR_SOURCE_GROUP = 8,
};
struct mr_config_entry {
    const char *name, *value;   /* value NULL: it has none, or it is a secret */
    int32_t source;             /* enum mr_config_source */
    int32_t read_only, sensitive;
    int32_t unused;
};
struct mr_config {
    int32_t resource;           /* enum mr_resource */
    uint32_t entry_count;
    const char *resource_name;
    const struct mr_config_entry *entries;
    struct mr_error error;
};
/* All settings of these; of each the first three fields are the question. -> configs */
MR_API struct mr_answer *mr_describe_configs(struct mr_admin *a, const struct mr_config *resources, uint32_t count,
                                             const struct mr_how *how);
MR_API const struct mr_config *mr_configs(const struct mr_answer *r, uint32_t *count);

/* Which resources have settings of their own, of these kinds (enum mr_resource; NULL: of all that the broker knows).
 * -> outcomes: `name` and `kind` */
MR_API struct mr_answer *mr_list_config_resources(struct mr_admin *a, const int32_t *kinds, uint32_t count,
                                                  const struct mr_how *how);

/* ---- the cluster ------------------------------------------------------------------------------- */

struct mr_node {
    int32_t id, port;
    const char *host, *rack;    /* rack NULL: none */
    int32_t fenced;             /* 1: it may not lead, because it does not answer the controller */
    int32_t unused;
};
struct mr_cluster {
    const char *id;
    int32_t controller;         /* -1 = none */
    uint32_t node_count;
    const struct mr_node *nodes;
    struct mr_error error;
};
/* Fenced brokers too. -> one cluster */
MR_API struct mr_answer *mr_describe_cluster(struct mr_admin *a, const struct mr_how *how);
MR_API const struct mr_cluster *mr_clusters(const struct mr_answer *r, uint32_t *count);

struct mr_quorum_replica {
    int32_t id;
    int32_t voter;              /* 0: an observer */
    uint8_t directory_id[16];
    int64_t end_offset;
    int64_t last_fetch_ms, last_caught_up_ms; /* since 1970; -1 = not known */
};
struct mr_quorum {
    int32_t leader, leader_epoch;
    int64_t high_watermark;
    uint32_t replica_count;
    const struct mr_quorum_replica *replicas; /* voters first */
    struct mr_error error;
};
/* -> one quorum */
MR_API struct mr_answer *mr_describe_quorum(struct mr_admin *a, const struct mr_how *how);
MR_API const struct mr_quorum *mr_quorums(const struct mr_answer *r, uint32_t *count);

struct mr_endpoint {
    const char *listener, *host; /* "CONTROLLER", "c4.example.org" */
    int32_t port;
    int32_t unused;
};
/* The controller `id`, whose metadata log is in the directory `directory_id`, has caught up and votes from now on
 * (KIP-853). -> outcomes: one, `number`: its id */
MR_API struct mr_answer *mr_add_voter(struct mr_admin *a, int32_t id, const uint8_t directory_id[16],
                                      const struct mr_endpoint *endpoints, uint32_t count, const struct mr_how *how);
/* -> outcomes: one */
MR_API struct mr_answer *mr_remove_voter(struct mr_admin *a, int32_t id, const uint8_t directory_id[16],
                                         const struct mr_how *how);
/* A node that is gone for good is forgotten: a broker that is down, a controller that is no voter (Kafka 4.4).
 * -> outcomes: one, `number`: its id */
MR_API struct mr_answer *mr_unregister_broker(struct mr_admin *a, int32_t id, const struct mr_how *how);
MR_API struct mr_answer *mr_unregister_controller(struct mr_admin *a, int32_t id, const struct mr_how *how);

enum mr_feature_change { MR_FEATURE_UPGRADE = 1, MR_FEATURE_DOWNGRADE = 2, MR_FEATURE_UNSAFE_DOWNGRADE = 3 };
struct mr_feature {
    const char *name;             /* "metadata.version" ... */
    int32_t level;                /* of the cluster; 0 = it is off */
    int32_t change;               /* to update: enum mr_feature_change; else 0 */
    int32_t min_level, max_level; /* that the broker can have who has answered */
    int64_t epoch;                /* of all levels of the cluster; -1 = not known */
};
/* -> features */
MR_API struct mr_answer *mr_describe_features(struct mr_admin *a, const struct mr_how *how);
/* Set the `level` of each `name`, level 0 to turn it off: all of them, or none. -> outcomes; `number`: the level. A
 * refusal of the whole is each row's error */
MR_API struct mr_answer *mr_update_features(struct mr_admin *a, const struct mr_feature *wanted, uint32_t count,
                                            const struct mr_how *how);
MR_API const struct mr_feature *mr_features(const struct mr_answer *r, uint32_t *count);

struct mr_log_dir_replica {
    const char *topic;
    int32_t partition;
    int32_t future;             /* 1: a copy on its way into this directory */
    int64_t size_bytes, lag;    /* lag: offsets behind what it is a copy of, or the high watermark */
};
struct mr_log_dir {
    int32_t node;
    uint32_t replica_count;
    const char *path;
    int64_t total_bytes, usable_bytes; /* -1 = not told */
    const struct mr_log_dir_replica *replicas;
    struct mr_error error;
};
/* Every broker's. -> log dirs */
MR_API struct mr_answer *mr_describe_log_dirs(struct mr_admin *a, const struct mr_how *how);
MR_API const struct mr_log_dir *mr_log_dirs(const struct mr_answer *r, uint32_t *count);

struct mr_replica_dir {
    const char *topic;
    int32_t partition;
    int32_t unused;
    const char *path;             /* one of the broker's log.dirs */
};
/* The broker `node` moves its replicas of these partitions into these directories, in its own time (KIP-113).
 * -> outcomes */
MR_API struct mr_answer *mr_alter_replica_log_dirs(struct mr_admin *a, int32_t node,
                                                   const struct mr_replica_dir *wanted, uint32_t count,
                                                   const struct mr_how *how);

/* ---- partitions -------------------------------------------------------------------------------- */

enum mr_election { MR_ELECT_PREFERRED = 0, MR_ELECT_UNCLEAN = 1 };
/* `partitions` NULL: all. ELECTION_NOT_NEEDED is an error of the row. -> outcomes */
MR_API struct mr_answer *mr_elect_leaders(struct mr_admin *a, int32_t election, const struct mr_partition *partitions,
                                          uint32_t count, const struct mr_how *how);

struct mr_reassignment {
    const char *topic;
    int32_t partition;
    uint32_t replica_count, adding_count, removing_count;
    const int32_t *replicas, *adding, *removing; /* node ids; to alter: `replicas` NULL = cancel what is under way */
};
/* -> outcomes */
MR_API struct mr_answer *mr_alter_partition_reassignments(struct mr_admin *a, const struct mr_reassignment *wanted,
                                                          uint32_t count, const struct mr_how *how);
/* What is under way. -> reassignments */
MR_API struct mr_answer *mr_list_partition_reassignments(struct mr_admin *a, const struct mr_how *how);
MR_API const struct mr_reassignment *mr_reassignments(const struct mr_answer *r, uint32_t *count);

/* `offset` MR_BEGINNING, MR_END, or what `timestamp_ms` says when it is >= 0: the first record at or after it.
 * -> offsets */
MR_API struct mr_answer *mr_list_offsets(struct mr_admin *a, const struct mr_offset *wanted, uint32_t count,
                                         const struct mr_how *how);
/* Those below `offset` go (MR_END: all that are committed). -> outcomes; `number`: the new start of the log */
MR_API struct mr_answer *mr_delete_records(struct mr_admin *a, const struct mr_offset *below, uint32_t count,
                                           const struct mr_how *how);

MR_API const struct mr_offset *mr_offsets(const struct mr_answer *r, uint32_t *count);

#ifdef __cplusplus
}
#endif

#include <millrace/admin_access.h>
#include <millrace/admin_groups.h>

#endif
