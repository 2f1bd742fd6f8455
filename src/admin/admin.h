/* admin/admin.h - what an operator asks of a cluster: one typed call per API, sent where it belongs.
 *
 *   tools ── request ──► admin ── part ──► client ──► any broker, the controller, a named node
 *                          │  ├─ part ──► client ──► the leader of these partitions, the coordinator of this group,
 *                          │  └─ part                each broker
 *        ◄── parts with their answers ◄── repeated while an answer says "not now" and repeating it is safe
 *
 *   A1  A call completes exactly once, later, and by default.api.timeout.ms.
 *   A2  A request that may have been carried out is sent again only when doing it twice is doing it once. An answer
 *       that says "not now" (NOT_CONTROLLER, COORDINATOR_LOAD_IN_PROGRESS ...) promises that nothing was done.
 *   A3  Every partition or group of a request is in exactly one part. Those that nobody leads are answered here, with
 *       the error that a broker would give.
 *   A4  What is wrong inside an answer (an error of one topic) is data: the caller's. Only trouble is a result.
 *
 * Stands on client, which finds and holds the connections. One shard owns an admin.
 */
#pragma once

#include "client/client.h"
#include "protocol/add_raft_voter.h"
#include "protocol/alter_client_quotas.h"
#include "protocol/alter_configs.h"
#include "protocol/alter_partition_reassignments.h"
#include "protocol/alter_replica_log_dirs.h"
#include "protocol/alter_share_group_offsets.h"
#include "protocol/alter_user_scram_credentials.h"
#include "protocol/api_versions.h"
#include "protocol/consumer_group_describe.h"
#include "protocol/create_acls.h"
#include "protocol/create_delegation_token.h"
#include "protocol/create_partitions.h"
#include "protocol/create_topics.h"
#include "protocol/delete_acls.h"
#include "protocol/delete_groups.h"
#include "protocol/delete_records.h"
#include "protocol/delete_share_group_offsets.h"
#include "protocol/delete_topics.h"
#include "protocol/describe_acls.h"
#include "protocol/describe_client_quotas.h"
#include "protocol/describe_cluster.h"
#include "protocol/describe_configs.h"
#include "protocol/describe_delegation_token.h"
#include "protocol/describe_groups.h"
#include "protocol/describe_log_dirs.h"
#include "protocol/describe_producers.h"
#include "protocol/describe_quorum.h"
#include "protocol/describe_share_group_offsets.h"
#include "protocol/describe_topic_partitions.h"
#include "protocol/describe_transactions.h"
#include "protocol/describe_user_scram_credentials.h"
#include "protocol/elect_leaders.h"
#include "protocol/expire_delegation_token.h"
#include "protocol/incremental_alter_configs.h"
#include "protocol/init_producer_id.h"
#include "protocol/leave_group.h"
#include "protocol/list_config_resources.h"
#include "protocol/list_groups.h"
#include "protocol/list_offsets.h"
#include "protocol/list_partition_reassignments.h"
#include "protocol/list_transactions.h"
#include "protocol/metadata.h"
#include "protocol/offset_commit.h"
#include "protocol/offset_delete.h"
#include "protocol/offset_fetch.h"
#include "protocol/offset_for_leader_epoch.h"
#include "protocol/remove_raft_voter.h"
#include "protocol/renew_delegation_token.h"
#include "protocol/share_group_describe.h"
#include "protocol/streams_group_describe.h"
#include "protocol/unregister_broker.h"
#include "protocol/unregister_controller.h"
#include "protocol/update_features.h"
#include "protocol/write_txn_markers.h"

struct admin;

/* ---- settings and life -------------------------------------------------------------------- */

struct admin_options {
    struct client_settings client;
    int64_t api_timeout_ms;     /* default.api.timeout.ms: of a call, repetitions included */
    uint32_t retries;           /* a call asks no more often than once and so many times again */
    int64_t unreachable_ms;     /* a call ends sooner, after this, while no broker at all can be reached */
};

/* Read them from a config over admin_settings; text is borrowed from `c`. unreachable_ms is then as api_timeout_ms.
 * -EINVAL, and `f` says what is wrong. */
MUST int admin_options_read(const struct config *c, struct admin_options *out, struct fail *f);

/* Connects to nobody yet. NULL, and `f` says why. */
struct admin *admin_new(struct io *io, struct telemetry *t, const struct admin_options *options, struct fail *f);
/* No call is under way any more. Completes when all connections are gone, and frees it. */
void admin_close(struct admin *a, struct op *op);
/* What it stands on: names of brokers, the cluster's id. */
struct client *admin_client(struct admin *a);

/* ---- calls -------------------------------------------------------------------------------- */

/* One node's share of a call. */
struct admin_part {
    const void *request;   /* what was asked there: the API's request struct */
    const void *response;  /* the API's response struct; NULL after trouble */
    int16_t version;       /* of both */
    int32_t node_id;       /* who answered; -1 nobody: answered here (A3), or trouble */
    int trouble;           /* 0; else as client_send */

    struct client_call wire; /* private from here on */
    struct admin_call *call;
    struct str key;        /* the group's, or the transactional id */
    bool asked, again;
};

/* Zeroed by the caller; until it completes it stays, with the request and all that this names. */
struct admin_call {
    int32_t node_id;          /* with `to_node`: who is asked, instead of whom the API belongs to */
    bool to_node;
    int64_t timeout_ms;       /* 0 = default.api.timeout.ms */

    struct admin_part **parts; /* the answers, in the order of nodes asked; until admin_call_release */
    uint32_t part_count;
    struct fail fail;          /* after trouble: what, and what to do */
    bool indefinite;           /* after trouble: it may have been carried out */

    struct admin *admin;       /* private from here on */
    const struct admin_api *api;
    const void *request;
    struct flow flow;
    struct arena arena;
    struct io_timer timer, patience;
    int64_t deadline_ns;
    uint32_t under_way, attempt, topics_wanted, part_capacity;
    bool gave_up, cancelled, updating;
};

/* Let go of the answers. Accepts a zeroed one, and repeated calls; the call may then be used again. */
void admin_call_release(struct admin_call *call);

/* Ask. Completes with 0 when every part was answered; with the first trouble else (the parts that were answered are
 * there nevertheless), and `call->fail` says it in words. */
void admin_send(struct admin *a, struct admin_call *call, int16_t api_key, const void *request, struct op *op);

/* Ask that it end now: it completes with -ECANCELED, soon, and the parts that were answered are there. Until it has
 * completed. */
void admin_cancel(struct admin_call *call);

/* WriteTxnMarkers has one marker: its partitions are those that are split. AlterReplicaLogDirs names the broker
 * (`to_node`). InitProducerId names a transactional id: what it gives is the fence, not the producer.
 *
 * The typed form: admin_create_topics(a, &call, &request, op), and of part number `i` (below part_count)
 * admin_create_topics_answer(&call, i): NULL after trouble. */
#define ADMIN_APIS(X)                                                                                   \
    X(add_raft_voter, API_ADD_RAFT_VOTER)                                                               \
    X(alter_client_quotas, API_ALTER_CLIENT_QUOTAS)                                                     \
    X(alter_configs, API_ALTER_CONFIGS)                                                                 \
    X(alter_partition_reassignments, API_ALTER_PARTITION_REASSIGNMENTS)                                 \
    X(alter_replica_log_dirs, API_ALTER_REPLICA_LOG_DIRS)                                               \
    X(alter_share_group_offsets, API_ALTER_SHARE_GROUP_OFFSETS)                                         \
    X(alter_user_scram_credentials, API_ALTER_USER_SCRAM_CREDENTIALS)                                   \
    X(api_versions, API_API_VERSIONS)                                                                   \
    X(consumer_group_describe, API_CONSUMER_GROUP_DESCRIBE)                                             \
    X(create_acls, API_CREATE_ACLS)                                                                     \
    X(create_delegation_token, API_CREATE_DELEGATION_TOKEN)                                             \
    X(create_partitions, API_CREATE_PARTITIONS)                                                         \
    X(create_topics, API_CREATE_TOPICS)                                                                 \
    X(delete_acls, API_DELETE_ACLS)                                                                     \
    X(delete_groups, API_DELETE_GROUPS)                                                                 \
    X(delete_records, API_DELETE_RECORDS)                                                               \
    X(delete_share_group_offsets, API_DELETE_SHARE_GROUP_OFFSETS)                                       \
    X(delete_topics, API_DELETE_TOPICS)                                                                 \
    X(describe_acls, API_DESCRIBE_ACLS)                                                                 \
    X(describe_client_quotas, API_DESCRIBE_CLIENT_QUOTAS)                                               \
    X(describe_cluster, API_DESCRIBE_CLUSTER)                                                           \
    X(describe_configs, API_DESCRIBE_CONFIGS)                                                           \
    X(describe_delegation_token, API_DESCRIBE_DELEGATION_TOKEN)                                         \
    X(describe_groups, API_DESCRIBE_GROUPS)                                                             \
    X(describe_log_dirs, API_DESCRIBE_LOG_DIRS)                                                         \
    X(describe_producers, API_DESCRIBE_PRODUCERS)                                                       \
    X(describe_quorum, API_DESCRIBE_QUORUM)                                                             \
    X(describe_share_group_offsets, API_DESCRIBE_SHARE_GROUP_OFFSETS)                                   \
    X(describe_topic_partitions, API_DESCRIBE_TOPIC_PARTITIONS)                                         \
    X(describe_transactions, API_DESCRIBE_TRANSACTIONS)                                                 \
    X(describe_user_scram_credentials, API_DESCRIBE_USER_SCRAM_CREDENTIALS)                             \
    X(elect_leaders, API_ELECT_LEADERS)                                                                 \
    X(expire_delegation_token, API_EXPIRE_DELEGATION_TOKEN)                                             \
    X(incremental_alter_configs, API_INCREMENTAL_ALTER_CONFIGS)                                         \
    X(init_producer_id, API_INIT_PRODUCER_ID)                                                           \
    X(leave_group, API_LEAVE_GROUP)                                                                     \
    X(list_config_resources, API_LIST_CONFIG_RESOURCES)                                                 \
    X(list_groups, API_LIST_GROUPS)                                                                     \
    X(list_offsets, API_LIST_OFFSETS)                                                                   \
    X(list_partition_reassignments, API_LIST_PARTITION_REASSIGNMENTS)                                   \
    X(list_transactions, API_LIST_TRANSACTIONS)                                                         \
    X(metadata, API_METADATA)                                                                           \
    X(offset_commit, API_OFFSET_COMMIT)                                                                 \
    X(offset_delete, API_OFFSET_DELETE)                                                                 \
    X(offset_fetch, API_OFFSET_FETCH)                                                                   \
    X(offset_for_leader_epoch, API_OFFSET_FOR_LEADER_EPOCH)                                             \
    X(remove_raft_voter, API_REMOVE_RAFT_VOTER)                                                         \
    X(renew_delegation_token, API_RENEW_DELEGATION_TOKEN)                                               \
    X(share_group_describe, API_SHARE_GROUP_DESCRIBE)                                                   \
    X(streams_group_describe, API_STREAMS_GROUP_DESCRIBE)                                               \
    X(unregister_broker, API_UNREGISTER_BROKER)                                                         \
    X(unregister_controller, API_UNREGISTER_CONTROLLER)                                                 \
    X(update_features, API_UPDATE_FEATURES)                                                             \
    X(write_txn_markers, API_WRITE_TXN_MARKERS)

#define ADMIN_TYPED(name, key)                                                                          \
    static inline void admin_##name(struct admin *a, struct admin_call *call,                           \
                                    const struct name##_request *request, struct op *op)                \
    {                                                                                                   \
        admin_send(a, call, key, request, op);                                                          \
    }                                                                                                   \
    static inline const struct name##_response *admin_##name##_answer(const struct admin_call *call, uint32_t i) \
    {                                                                                                   \
        ASSERT(call->api != NULL && i < call->part_count);                                              \
        return call->parts[i]->response;                                                                \
    }
ADMIN_APIS(ADMIN_TYPED)
#undef ADMIN_TYPED
