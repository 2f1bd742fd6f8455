/* millrace/admin_groups.h - libmillrace: groups of all kinds, what they have committed, and transactions.
 *
 * A1 to A5 of admin.h hold.
 */
#ifndef MILLRACE_ADMIN_GROUPS_H
#define MILLRACE_ADMIN_GROUPS_H

#include <millrace/admin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- groups ------------------------------------------------------------------------------------ */

struct mr_group_member {
    const char *id, *instance_id, *client_id, *client_host; /* instance_id NULL: a dynamic member */
    uint32_t partition_count;
    const struct mr_partition *partitions; /* that it has now */
};
struct mr_group {
    const char *id;
    const char *type;            /* "Classic", "Consumer", "Share", "Streams"; "" when an old broker does not say */
    const char *state;           /* "Stable", "Empty" ... */
    const char *protocol_type;   /* of a classic group: "consumer" ... */
    const char *assignor;
    int32_t node;                /* that has answered: its coordinator */
    uint32_t member_count;
    const struct mr_group_member *members;
    struct mr_error error;
};
/* Of all brokers; without assignors and members. -> groups */
MR_API struct mr_answer *mr_list_groups(struct mr_admin *a, const struct mr_how *how);
/* Groups of consumers, of the classic protocol and the new one. -> groups */
MR_API struct mr_answer *mr_describe_groups(struct mr_admin *a, const char *const *ids, uint32_t count,
                                            const struct mr_how *how);
/* Share groups (KIP-932): `partitions` of a member are those that it reads, with others. -> groups */
MR_API struct mr_answer *mr_describe_share_groups(struct mr_admin *a, const char *const *ids, uint32_t count,
                                                  const struct mr_how *how);
MR_API const struct mr_group *mr_groups(const struct mr_answer *r, uint32_t *count);
/* -> outcomes */
MR_API struct mr_answer *mr_delete_groups(struct mr_admin *a, const char *const *ids, uint32_t count,
                                          const struct mr_how *how);

struct mr_group_leaver {
    const char *id, *instance_id; /* one of them is enough; the other is NULL */
};
/* These members (NULL: all that the group has, who are asked for first) are out of the group, as if they had left it;
 * `reason` (NULL: none) is told to whoever asks the broker. -> outcomes; `name`: the instance id, or the id. A refusal
 * of the whole is each row's error; where nobody was named, it is trouble */
MR_API struct mr_answer *mr_remove_group_members(struct mr_admin *a, const char *group,
                                                 const struct mr_group_leaver *members, uint32_t count,
                                                 const char *reason, const struct mr_how *how);

/* What the group has committed, of these partitions (NULL: of all that it has). -> offsets */
MR_API struct mr_answer *mr_list_group_offsets(struct mr_admin *a, const char *group,
                                               const struct mr_partition *partitions, uint32_t count,
                                               const struct mr_how *how);
/* Of a group without members. -> offsets */
MR_API struct mr_answer *mr_alter_group_offsets(struct mr_admin *a, const char *group, const struct mr_offset *offsets,
                                                uint32_t count, const struct mr_how *how);
/* -> outcomes; its error, if the group as a whole is refused, is each row's */
MR_API struct mr_answer *mr_delete_group_offsets(struct mr_admin *a, const char *group,
                                                 const struct mr_partition *partitions, uint32_t count,
                                                 const struct mr_how *how);

/* ---- share groups' offsets ----------------------------------------------------------------------- */

struct mr_share_offset {
    const char *topic;
    int32_t partition;
    int32_t leader_epoch;         /* -1 = not known */
    int64_t start_offset;         /* below it all is acknowledged or given up; -1 = none yet */
    int64_t lag;                  /* records from there to the end that are not acknowledged; -1 = not told */
    struct mr_error error;
};
/* Of these partitions (NULL: of all that the group has). -> share offsets */
MR_API struct mr_answer *mr_list_share_group_offsets(struct mr_admin *a, const char *group,
                                                     const struct mr_partition *partitions, uint32_t count,
                                                     const struct mr_how *how);
MR_API const struct mr_share_offset *mr_share_offsets(const struct mr_answer *r, uint32_t *count);
/* `offset` of each, of a group without members. -> outcomes */
MR_API struct mr_answer *mr_alter_share_group_offsets(struct mr_admin *a, const char *group,
                                                      const struct mr_offset *offsets, uint32_t count,
                                                      const struct mr_how *how);
/* Of whole topics. -> outcomes */
MR_API struct mr_answer *mr_delete_share_group_offsets(struct mr_admin *a, const char *group, const char *const *topics,
                                                       uint32_t count, const struct mr_how *how);

/* ---- streams groups ------------------------------------------------------------------------------- */

enum mr_streams_role { MR_STREAMS_ACTIVE, MR_STREAMS_STANDBY, MR_STREAMS_WARMUP };
struct mr_streams_task {
    const char *subtopology;
    int32_t partition;
    int32_t role;                 /* enum mr_streams_role */
};
struct mr_streams_member {
    const char *id, *instance_id, *client_id, *client_host, *process_id;
    const char *rack;             /* NULL: none; so may instance_id be */
    int32_t epoch, topology_epoch;
    uint32_t task_count;
    int32_t classic;              /* 1: of the classic protocol, while the group changes over */
    const struct mr_streams_task *tasks; /* that it has now */
};
struct mr_streams_subtopology {
    const char *id;
    uint32_t topic_count;
    int32_t unused;
    const char *const *topics;    /* that it reads: sources, then repartition sources */
};
struct mr_streams_group {
    const char *id, *state;       /* "Stable", "NotReady" ... */
    int32_t epoch, assignment_epoch;
    int32_t topology_epoch;       /* -1 = no topology is known */
    int32_t node;                 /* that has answered: its coordinator */
    uint32_t subtopology_count, member_count;
    const struct mr_streams_subtopology *subtopologies;
    const struct mr_streams_member *members;
    struct mr_error error;
};
/* KIP-1071. -> streams groups */
MR_API struct mr_answer *mr_describe_streams_groups(struct mr_admin *a, const char *const *ids, uint32_t count,
                                                    const struct mr_how *how);
MR_API const struct mr_streams_group *mr_streams_groups(const struct mr_answer *r, uint32_t *count);

/* ---- transactions --------------------------------------------------------------------------------- */

struct mr_transaction {
    const char *id;               /* transactional.id */
    const char *state;            /* "Ongoing", "PrepareCommit", "CompleteAbort" ... */
    int64_t producer_id;
    int32_t producer_epoch;       /* -1 = not told (of mr_list_transactions) */
    int32_t node;                 /* that has answered: its coordinator */
    int64_t timeout_ms, start_ms; /* start_ms since 1970; -1 = not told, or none is open */
    uint32_t partition_count;
    int32_t unused;
    const struct mr_partition *partitions; /* that are part of it */
    struct mr_error error;
};
/* Zeroed: all transactions. */
struct mr_transaction_filter {
    uint32_t state_count, producer_id_count; /* 0 = of any */
    const char *const *states;
    const int64_t *producer_ids;
    int64_t longer_than_ms;       /* open for more than that; 0 = all. A broker before Kafka 3.8 cannot: MR_INVALID */
    const char *pattern;          /* RE2 that ids fit; NULL = any. Likewise before 4.1 */
};
/* Of all brokers; `filter` NULL: all. -> transactions */
MR_API struct mr_answer *mr_list_transactions(struct mr_admin *a, const struct mr_transaction_filter *filter,
                                              const struct mr_how *how);
/* -> transactions */
MR_API struct mr_answer *mr_describe_transactions(struct mr_admin *a, const char *const *ids, uint32_t count,
                                                  const struct mr_how *how);
MR_API const struct mr_transaction *mr_transactions(const struct mr_answer *r, uint32_t *count);

/* A producer of which a partition's leader remembers something. */
struct mr_producer_state {
    const char *topic;
    int32_t partition;
    int32_t last_sequence;         /* -1 = none */
    int64_t producer_id;
    int32_t producer_epoch;
    int32_t coordinator_epoch;     /* -1 = it has ended no transaction here */
    int64_t last_timestamp_ms;     /* of its last batch, since 1970; -1 = none */
    int64_t transaction_start;     /* first offset of its open transaction; -1 = none is open */
    struct mr_error error;         /* of the partition, which then has no other row */
};
/* -> producer states */
MR_API struct mr_answer *mr_describe_producers(struct mr_admin *a, const struct mr_partition *partitions,
                                               uint32_t count, const struct mr_how *how);
MR_API const struct mr_producer_state *mr_producer_states(const struct mr_answer *r, uint32_t *count);

/* End a transaction that hangs, in one partition: `of` as mr_describe_producers tells of it. Right only where no
 * coordinator knows of that transaction any more (KIP-664): readers go on as if it had been aborted. -> outcomes */
MR_API struct mr_answer *mr_abort_transaction(struct mr_admin *a, const struct mr_producer_state *of,
                                              const struct mr_how *how);
/* Whoever produces under this transactional.id is fenced, and its open transaction aborted. -> outcomes: one; `number`:
 * the producer id */
MR_API struct mr_answer *mr_fence_producer(struct mr_admin *a, const char *transactional_id, const struct mr_how *how);

#ifdef __cplusplus
}
#endif
#endif
