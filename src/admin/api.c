#include "admin/api.h"

/* The array `field` of struct `owner`, with elements that have a name, an index, an error at these offsets. */
#define LIST_OF(owner, field, name, index, error)                                                                  \
    {                                                                                                              \
        offsetof(struct owner, field), offsetof(struct owner, field##_count), sizeof(*((struct owner *)0)->field), \
            name, index, error, NULL                                                                               \
    }
#define AT(owner, field) offsetof(struct owner, field)
#define NO_LIST                                  \
    {                                            \
        0, 0, 0, NOWHERE, NOWHERE, NOWHERE, NULL \
    }

#define NO_SHAPE                  \
    {                             \
        NOWHERE, NO_LIST, NO_LIST \
    }
#define TOP_ERROR(api)                                   \
    {                                                    \
        AT(api##_response, error_code), NO_LIST, NO_LIST \
    }
#define EACH_ERROR(api, field)                                                                                     \
    {                                                                                                              \
        NOWHERE, LIST_OF(api##_response, field, NOWHERE, NOWHERE, AT(api##_response_##field, error_code)), NO_LIST \
    }

/* Topics and their partitions, as a request and its answer name them. */
#define PARTITIONS(message, error)                                                                                  \
    {                                                                                                               \
        NOWHERE, LIST_OF(message, topics, AT(message##_topics, name), NOWHERE, NOWHERE),                            \
            LIST_OF(message##_topics, partitions, NOWHERE, AT(message##_topics_partitions, partition_index), error) \
    }
#define ANSWERED_PARTITIONS(api)                                                                            \
    {                                                                                                       \
        NOWHERE,                                                                                            \
            {AT(api##_response, topics),                                                                    \
             AT(api##_response, topics_count),                                                              \
             sizeof(struct api##_response_topics),                                                          \
             AT(api##_response_topics, name),                                                               \
             NOWHERE,                                                                                       \
             NOWHERE,                                                                                       \
             &api##_response_topics_default},                                                               \
        {                                                                                                   \
            AT(api##_response_topics, partitions), AT(api##_response_topics, partitions_count),             \
                sizeof(struct api##_response_topics_partitions), NOWHERE,                                   \
                AT(api##_response_topics_partitions, partition_index),                                      \
                AT(api##_response_topics_partitions, error_code), &api##_response_topics_partitions_default \
        }                                                                                                   \
    }

#define READS .repeatable = true

static const struct admin_api apis[] = {
    /* ---- any broker ---- */
    {API_METADATA, ROUTE_ANY, READS, .version_low = 9, .request = NO_SHAPE, .response = {NOWHERE, NO_LIST, NO_LIST}},
    {API_API_VERSIONS, ROUTE_ANY, READS, .request = NO_SHAPE, .response = TOP_ERROR(api_versions)},
    {API_DESCRIBE_TOPIC_PARTITIONS, ROUTE_ANY, READS, .request = NO_SHAPE, .response = NO_SHAPE},
    {API_DESCRIBE_CLUSTER, ROUTE_ANY, READS, .request = NO_SHAPE, .response = TOP_ERROR(describe_cluster)},
    {API_DESCRIBE_CONFIGS, ROUTE_ANY, READS, .request = NO_SHAPE, .response = EACH_ERROR(describe_configs, results)},
    {API_LIST_CONFIG_RESOURCES, ROUTE_ANY, READS, .version_low = 1, .request = NO_SHAPE,
     .response = TOP_ERROR(list_config_resources)},
    {API_DESCRIBE_QUORUM, ROUTE_ANY, READS, .request = NO_SHAPE,
     .response = {AT(describe_quorum_response, error_code),
                  LIST_OF(describe_quorum_response, topics, NOWHERE, NOWHERE, NOWHERE),
                  LIST_OF(describe_quorum_response_topics, partitions, NOWHERE, NOWHERE,
                          AT(describe_quorum_response_topics_partitions, error_code))}},
    {API_DESCRIBE_CLIENT_QUOTAS, ROUTE_ANY, READS, .request = NO_SHAPE, .response = TOP_ERROR(describe_client_quotas)},
    {API_DESCRIBE_USER_SCRAM_CREDENTIALS, ROUTE_ANY, READS, .request = NO_SHAPE,
     .response = TOP_ERROR(describe_user_scram_credentials)},

    /* ---- the controller ---- */
    {API_CREATE_TOPICS, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = EACH_ERROR(create_topics, topics)},
    {API_DELETE_TOPICS, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = EACH_ERROR(delete_topics, responses)},
    {API_CREATE_PARTITIONS, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = EACH_ERROR(create_partitions, results)},
    {API_INCREMENTAL_ALTER_CONFIGS, ROUTE_CONTROLLER, .request = NO_SHAPE,
     .response = EACH_ERROR(incremental_alter_configs, responses)},
    {API_ALTER_CLIENT_QUOTAS, ROUTE_CONTROLLER, READS, .request = NO_SHAPE,
     .response = EACH_ERROR(alter_client_quotas, entries)},
    {API_ALTER_USER_SCRAM_CREDENTIALS, ROUTE_CONTROLLER, READS, .request = NO_SHAPE,
     .response = EACH_ERROR(alter_user_scram_credentials, results)},
    {API_UPDATE_FEATURES, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = TOP_ERROR(update_features)},
    {API_UNREGISTER_BROKER, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = TOP_ERROR(unregister_broker)},
    {API_ADD_RAFT_VOTER, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = TOP_ERROR(add_raft_voter)},
    {API_REMOVE_RAFT_VOTER, ROUTE_CONTROLLER, .request = NO_SHAPE, .response = TOP_ERROR(remove_raft_voter)},

    /* ---- leaders ---- */
    {API_LIST_OFFSETS, ROUTE_LEADERS, READS, .request = PARTITIONS(list_offsets_request, NOWHERE),
     .response = ANSWERED_PARTITIONS(list_offsets)},
    {API_DELETE_RECORDS, ROUTE_LEADERS, READS, .request = PARTITIONS(delete_records_request, NOWHERE),
     .response = ANSWERED_PARTITIONS(delete_records)},

    /* ---- coordinators; offsets by topics' names, which version 10 has no more ---- */
    {API_DESCRIBE_GROUPS, ROUTE_GROUPS, READS,
     .request = {NOWHERE, LIST_OF(describe_groups_request, groups, 0, NOWHERE, NOWHERE), NO_LIST},
     .response = EACH_ERROR(describe_groups, groups)},
    {API_CONSUMER_GROUP_DESCRIBE, ROUTE_GROUPS, READS,
     .request = {NOWHERE, LIST_OF(consumer_group_describe_request, group_ids, 0, NOWHERE, NOWHERE), NO_LIST},
     .response = EACH_ERROR(consumer_group_describe, groups)},
    {API_DELETE_GROUPS, ROUTE_GROUPS,
     .request = {NOWHERE, LIST_OF(delete_groups_request, groups_names, 0, NOWHERE, NOWHERE), NO_LIST},
     .response = EACH_ERROR(delete_groups, results)},
    {API_OFFSET_FETCH, ROUTE_GROUPS, READS, .version_low = 8, .version_high = 9,
     .request = {NOWHERE,
                 LIST_OF(offset_fetch_request, groups, AT(offset_fetch_request_groups, group_id), NOWHERE, NOWHERE),
                 NO_LIST},
     .response = EACH_ERROR(offset_fetch, groups)},
    {API_OFFSET_COMMIT, ROUTE_GROUP, READS, .version_high = 9, .group_at = AT(offset_commit_request, group_id),
     .request = NO_SHAPE,
     .response = PARTITIONS(offset_commit_response, AT(offset_commit_response_topics_partitions, error_code))},
    {API_OFFSET_DELETE, ROUTE_GROUP, READS, .group_at = AT(offset_delete_request, group_id), .request = NO_SHAPE,
     .response = {AT(offset_delete_response, error_code), NO_LIST, NO_LIST}},

    /* ---- every broker ---- */
    {API_LIST_GROUPS, ROUTE_BROKERS, READS, .request = NO_SHAPE, .response = TOP_ERROR(list_groups)},
    {API_DESCRIBE_LOG_DIRS, ROUTE_BROKERS, READS, .request = NO_SHAPE, .response = TOP_ERROR(describe_log_dirs)},
};

const struct admin_api *admin_api_find(int16_t key)
{
    for (size_t i = 0; i < array_count(apis); i++) {
        if (apis[i].key == key)
            return &apis[i];
    }
    return NULL;
}
