#include "admin/api.h"

/* The array `field` of struct `owner`, with elements that have a name, an index, an error at these offsets. */
#define LIST_OF(owner, field, name, index, error)                                                                  \
    {                                                                                                              \
        offsetof(struct owner, field), offsetof(struct owner, field##_count), sizeof(*((struct owner *)0)->field), \
            name, index, error, NULL                                                                               \
    }
/* Likewise, of an answer whose elements are made here where nobody is to be asked (A3). */
#define LIST_MADE(owner, field, name, index, error)                                                    \
    {                                                                                                  \
        offsetof(struct owner, field), offsetof(struct owner, field##_count), sizeof(owner##_##field##_default), \
            name, index, error, &owner##_##field##_default                                             \
    }
#define AT(owner, field) offsetof(struct owner, field)

#define NO_SHAPE {.error_at = NOWHERE}
#define TOP_ERROR(api) {.error_at = AT(api##_response, error_code)}
#define ERRORS_OF(api, field) LIST_OF(api##_response, field, NOWHERE, NOWHERE, AT(api##_response_##field, error_code))
#define EACH_ERROR(api, field) {.error_at = NOWHERE, .list = ERRORS_OF(api, field)}
#define TOP_AND_EACH_ERROR(api, field) {.error_at = AT(api##_response, error_code), .list = ERRORS_OF(api, field)}
/* An error of the whole, at `top`, and one of each element of `field`.`inner_field`. */
#define INNER_ERRORS(top, api, field, inner_field)                                   \
    {                                                                                \
        .error_at = top, .list = LIST_OF(api##_response, field, NOWHERE, NOWHERE, NOWHERE), \
        .inner = LIST_OF(api##_response_##field, inner_field, NOWHERE, NOWHERE,      \
                         AT(api##_response_##field##_##inner_field, error_code))     \
    }
#define NAMES(owner, field) {.error_at = NOWHERE, .list = LIST_OF(owner, field, 0, NOWHERE, NOWHERE)}
#define RESOURCES(api)                                                                                          \
    .resource_type_at = AT(api##_request_resources, resource_type),                                             \
    .request = {.error_at = NOWHERE,                                                                            \
                .list = LIST_OF(api##_request, resources, AT(api##_request_resources, resource_name), NOWHERE, NOWHERE)}

/* Topics and their partitions, as a request and its answer name them: the field of a topic's name, of its partitions,
 * and the offset of a partition's index. */
#define ASKED(message, name, partitions, index_at)                                        \
    {                                                                                     \
        .error_at = NOWHERE,                                                              \
        .list = LIST_OF(message, topics, AT(message##_topics, name), NOWHERE, NOWHERE),   \
        .inner = LIST_OF(message##_topics, partitions, NOWHERE, index_at, NOWHERE)        \
    }
#define ANSWERED(message, name, index)                                                    \
    {                                                                                     \
        .error_at = NOWHERE,                                                              \
        .list = LIST_MADE(message, topics, AT(message##_topics, name), NOWHERE, NOWHERE), \
        .inner = LIST_MADE(message##_topics, partitions, NOWHERE,                         \
                           AT(message##_topics_partitions, index), AT(message##_topics_partitions, error_code)) \
    }
/* By the names that most have. */
#define ASKED_PARTITIONS(api) \
    ASKED(api##_request, name, partitions, AT(api##_request_topics_partitions, partition_index))
#define ANSWERED_PARTITIONS(api) ANSWERED(api##_response, name, partition_index)
#define ASKED_NUMBERS(message) ASKED(message, name, partition_indexes, 0)

#define TWICE_IS_ONCE .repeatable = true

static const struct admin_api apis[] = {
    /* ---- any broker ---- */
    {API_METADATA, ROUTE_ANY, TWICE_IS_ONCE, .version_low = 9, .request = NO_SHAPE, .response = NO_SHAPE},
    {API_API_VERSIONS, ROUTE_ANY, TWICE_IS_ONCE, .request = NO_SHAPE, .response = TOP_ERROR(api_versions)},
    {API_DESCRIBE_TOPIC_PARTITIONS, ROUTE_ANY, TWICE_IS_ONCE, .request = NO_SHAPE, .response = NO_SHAPE},
    {API_DESCRIBE_CLUSTER, ROUTE_ANY, TWICE_IS_ONCE, .request = NO_SHAPE, .response = TOP_ERROR(describe_cluster)},
    {API_DESCRIBE_CONFIGS, ROUTE_ANY, TWICE_IS_ONCE, RESOURCES(describe_configs),
     .response = EACH_ERROR(describe_configs, results)},
    {API_LIST_CONFIG_RESOURCES, ROUTE_ANY, TWICE_IS_ONCE, .version_low = 1, .request = NO_SHAPE,
     .response = TOP_ERROR(list_config_resources)},
    {API_DESCRIBE_QUORUM, ROUTE_ANY, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = INNER_ERRORS(AT(describe_quorum_response, error_code), describe_quorum, topics, partitions)},
    {API_DESCRIBE_CLIENT_QUOTAS, ROUTE_ANY, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = TOP_ERROR(describe_client_quotas)},
    {API_DESCRIBE_USER_SCRAM_CREDENTIALS, ROUTE_ANY, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = TOP_ERROR(describe_user_scram_credentials)},
    {API_DESCRIBE_ACLS, ROUTE_ANY, TWICE_IS_ONCE, .request = NO_SHAPE, .response = TOP_ERROR(describe_acls)},
    {API_DESCRIBE_DELEGATION_TOKEN, ROUTE_ANY, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = TOP_ERROR(describe_delegation_token)},

    /* ---- the controller ---- */
    {API_CREATE_TOPICS, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = EACH_ERROR(create_topics, topics)},
    {API_DELETE_TOPICS, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = EACH_ERROR(delete_topics, responses)},
    {API_CREATE_PARTITIONS, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = EACH_ERROR(create_partitions, results)},
    {API_ALTER_CONFIGS, ROUTE_CONTROLLER, TWICE_IS_ONCE, RESOURCES(alter_configs),
     .response = EACH_ERROR(alter_configs, responses)},
    {API_INCREMENTAL_ALTER_CONFIGS, ROUTE_CONTROLLER, RESOURCES(incremental_alter_configs),
     .response = EACH_ERROR(incremental_alter_configs, responses)},
    {API_ALTER_CLIENT_QUOTAS, ROUTE_CONTROLLER, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = EACH_ERROR(alter_client_quotas, entries)},
    {API_ALTER_USER_SCRAM_CREDENTIALS, ROUTE_CONTROLLER, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = EACH_ERROR(alter_user_scram_credentials, results)},
    {API_CREATE_ACLS, ROUTE_CONTROLLER, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = EACH_ERROR(create_acls, results)},
    {API_DELETE_ACLS, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = EACH_ERROR(delete_acls, filter_results)},
    {API_CREATE_DELEGATION_TOKEN, ROUTE_CONTROLLER, .request = NO_SHAPE,
     .response = TOP_ERROR(create_delegation_token)},
    {API_RENEW_DELEGATION_TOKEN, ROUTE_CONTROLLER, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = TOP_ERROR(renew_delegation_token)},
    {API_EXPIRE_DELEGATION_TOKEN, ROUTE_CONTROLLER, .request = NO_SHAPE,
     .response = TOP_ERROR(expire_delegation_token)},
    {API_ELECT_LEADERS, ROUTE_CONTROLLER, .request = NO_SHAPE,
     .response = INNER_ERRORS(AT(elect_leaders_response, error_code), elect_leaders, replica_election_results,
                              partition_result)},
    {API_ALTER_PARTITION_REASSIGNMENTS, ROUTE_CONTROLLER, .request = NO_SHAPE,
     .response = INNER_ERRORS(AT(alter_partition_reassignments_response, error_code), alter_partition_reassignments,
                              responses, partitions)},
    {API_LIST_PARTITION_REASSIGNMENTS, ROUTE_CONTROLLER, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = TOP_ERROR(list_partition_reassignments)},
    {API_UPDATE_FEATURES, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = TOP_ERROR(update_features)},
    {API_UNREGISTER_BROKER, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = TOP_ERROR(unregister_broker)},
    {API_UNREGISTER_CONTROLLER, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = TOP_ERROR(unregister_controller)},
    {API_ADD_RAFT_VOTER, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = TOP_ERROR(add_raft_voter)},
    {API_REMOVE_RAFT_VOTER, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = TOP_ERROR(remove_raft_voter)},

    /* ---- leaders ---- */
    {API_LIST_OFFSETS, ROUTE_LEADERS, TWICE_IS_ONCE, .request = ASKED_PARTITIONS(list_offsets),
     .response = ANSWERED_PARTITIONS(list_offsets)},
    {API_DELETE_RECORDS, ROUTE_LEADERS, TWICE_IS_ONCE, .request = ASKED_PARTITIONS(delete_records),
     .response = ANSWERED_PARTITIONS(delete_records)},
    {API_OFFSET_FOR_LEADER_EPOCH, ROUTE_LEADERS, TWICE_IS_ONCE,
     .request = ASKED(offset_for_leader_epoch_request, topic, partitions,
                      AT(offset_for_leader_epoch_request_topics_partitions, partition)),
     .response = ANSWERED(offset_for_leader_epoch_response, topic, partition)},
    {API_DESCRIBE_PRODUCERS, ROUTE_LEADERS, TWICE_IS_ONCE, .request = ASKED_NUMBERS(describe_producers_request),
     .response = ANSWERED_PARTITIONS(describe_producers)},
    {API_WRITE_TXN_MARKERS, ROUTE_LEADERS, TWICE_IS_ONCE,
     .request_outer = LIST_OF(write_txn_markers_request, markers, NOWHERE, NOWHERE, NOWHERE),
     .request = ASKED_NUMBERS(write_txn_markers_request_markers),
     .response_outer = LIST_MADE(write_txn_markers_response, markers, NOWHERE, NOWHERE, NOWHERE),
     .response = ANSWERED(write_txn_markers_response_markers, name, partition_index)},

    /* ---- coordinators of groups; offsets by topics' names, which version 10 has no more ---- */
    {API_DESCRIBE_GROUPS, ROUTE_GROUPS, TWICE_IS_ONCE, .request = NAMES(describe_groups_request, groups),
     .response = EACH_ERROR(describe_groups, groups)},
    {API_CONSUMER_GROUP_DESCRIBE, ROUTE_GROUPS, TWICE_IS_ONCE,
     .request = NAMES(consumer_group_describe_request, group_ids),
     .response = EACH_ERROR(consumer_group_describe, groups)},
    {API_SHARE_GROUP_DESCRIBE, ROUTE_GROUPS, TWICE_IS_ONCE, .request = NAMES(share_group_describe_request, group_ids),
     .response = EACH_ERROR(share_group_describe, groups)},
    {API_STREAMS_GROUP_DESCRIBE, ROUTE_GROUPS, TWICE_IS_ONCE,
     .request = NAMES(streams_group_describe_request, group_ids),
     .response = EACH_ERROR(streams_group_describe, groups)},
    {API_DELETE_GROUPS, ROUTE_GROUPS, .request = NAMES(delete_groups_request, groups_names),
     .response = EACH_ERROR(delete_groups, results)},
    {API_OFFSET_FETCH, ROUTE_GROUPS, TWICE_IS_ONCE, .version_low = 8, .version_high = 9,
     .request = {.error_at = NOWHERE, .list = LIST_OF(offset_fetch_request, groups,
                                                      AT(offset_fetch_request_groups, group_id), NOWHERE, NOWHERE)},
     .response = EACH_ERROR(offset_fetch, groups)},
    {API_DESCRIBE_SHARE_GROUP_OFFSETS, ROUTE_GROUPS, TWICE_IS_ONCE,
     .request = {.error_at = NOWHERE,
                 .list = LIST_OF(describe_share_group_offsets_request, groups,
                                 AT(describe_share_group_offsets_request_groups, group_id), NOWHERE, NOWHERE)},
     .response = EACH_ERROR(describe_share_group_offsets, groups)},
    {API_OFFSET_COMMIT, ROUTE_GROUP, TWICE_IS_ONCE, .version_high = 9, .key_at = AT(offset_commit_request, group_id),
     .request = NO_SHAPE, .response = INNER_ERRORS(NOWHERE, offset_commit, topics, partitions)},
    {API_OFFSET_DELETE, ROUTE_GROUP, TWICE_IS_ONCE, .key_at = AT(offset_delete_request, group_id),
     .request = NO_SHAPE, .response = TOP_ERROR(offset_delete)},
    {API_ALTER_SHARE_GROUP_OFFSETS, ROUTE_GROUP, TWICE_IS_ONCE,
     .key_at = AT(alter_share_group_offsets_request, group_id), .request = NO_SHAPE,
     .response = INNER_ERRORS(AT(alter_share_group_offsets_response, error_code), alter_share_group_offsets, responses,
                              partitions)},
    {API_DELETE_SHARE_GROUP_OFFSETS, ROUTE_GROUP, TWICE_IS_ONCE,
     .key_at = AT(delete_share_group_offsets_request, group_id), .request = NO_SHAPE,
     .response = TOP_AND_EACH_ERROR(delete_share_group_offsets, responses)},
    {API_LEAVE_GROUP, ROUTE_GROUP, .version_low = 3, .key_at = AT(leave_group_request, group_id), .request = NO_SHAPE,
     .response = TOP_AND_EACH_ERROR(leave_group, members)},

    /* ---- coordinators of transactions ---- */
    {API_DESCRIBE_TRANSACTIONS, ROUTE_TRANSACTIONS, TWICE_IS_ONCE,
     .request = NAMES(describe_transactions_request, transactional_ids),
     .response = EACH_ERROR(describe_transactions, transaction_states)},
    {API_INIT_PRODUCER_ID, ROUTE_TRANSACTION, TWICE_IS_ONCE, .key_at = AT(init_producer_id_request, transactional_id),
     .request = NO_SHAPE, .response = TOP_ERROR(init_producer_id)},

    /* ---- every broker ---- */
    {API_LIST_GROUPS, ROUTE_BROKERS, TWICE_IS_ONCE, .request = NO_SHAPE, .response = TOP_ERROR(list_groups)},
    {API_DESCRIBE_LOG_DIRS, ROUTE_BROKERS, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = TOP_ERROR(describe_log_dirs)},
    {API_LIST_TRANSACTIONS, ROUTE_BROKERS, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = TOP_ERROR(list_transactions)},

    /* ---- the broker that the caller names ---- */
    {API_ALTER_REPLICA_LOG_DIRS, ROUTE_NODE, TWICE_IS_ONCE, .request = NO_SHAPE,
     .response = INNER_ERRORS(NOWHERE, alter_replica_log_dirs, results, partitions)},
};

const struct admin_api *admin_api_find(int16_t key)
{
    for (size_t i = 0; i < array_count(apis); i++) {
        if (apis[i].key == key)
            return &apis[i];
    }
    return NULL;
}
