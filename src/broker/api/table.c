/* The APIs that this broker serves: nothing else is advertised. */
#include "broker/api/api.h"

#define BROKER LISTENER_BROKER
#define CONTROLLER LISTENER_CONTROLLER

const struct broker_api broker_apis[] = {
    {API_PRODUCE, BROKER, produce_handle, produce_cancel},
    {API_FETCH, BROKER, fetch_handle, fetch_cancel},
    {API_FETCH, CONTROLLER, quorum_request_handle, NULL}, /* of the metadata log */
    {API_LIST_OFFSETS, BROKER, list_offsets_handle, NULL},
    {API_METADATA, BROKER, metadata_handle, NULL},
    {API_OFFSET_COMMIT, BROKER, offset_commit_handle, NULL},
    {API_OFFSET_FETCH, BROKER, offset_fetch_handle, NULL},
    {API_FIND_COORDINATOR, BROKER, find_coordinator_handle, NULL},
    {API_JOIN_GROUP, BROKER, join_group_handle, join_group_cancel},
    {API_HEARTBEAT, BROKER, heartbeat_handle, NULL},
    {API_LEAVE_GROUP, BROKER, leave_group_handle, NULL},
    {API_SYNC_GROUP, BROKER, sync_group_handle, sync_group_cancel},
    {API_DESCRIBE_GROUPS, BROKER, describe_groups_handle, NULL},
    {API_LIST_GROUPS, BROKER, list_groups_handle, NULL},
    {API_API_VERSIONS, BROKER | CONTROLLER, api_versions_handle, NULL},
    {API_CREATE_TOPICS, BROKER | CONTROLLER, create_topics_handle, NULL},
    {API_DELETE_TOPICS, BROKER | CONTROLLER, delete_topics_handle, NULL},
    {API_DELETE_RECORDS, BROKER, delete_records_handle, NULL},
    {API_INIT_PRODUCER_ID, BROKER, init_producer_id_handle, NULL},
    {API_OFFSET_FOR_LEADER_EPOCH, BROKER, offset_for_leader_epoch_handle, NULL},
    {API_DESCRIBE_CONFIGS, BROKER | CONTROLLER, describe_configs_handle, NULL},
    {API_ALTER_CONFIGS, BROKER | CONTROLLER, alter_configs_handle, NULL},
    {API_ALTER_REPLICA_LOG_DIRS, BROKER, alter_replica_log_dirs_handle, NULL},
    {API_DESCRIBE_LOG_DIRS, BROKER, describe_log_dirs_handle, NULL},
    {API_CREATE_PARTITIONS, BROKER | CONTROLLER, create_partitions_handle, NULL},
    {API_DELETE_GROUPS, BROKER, delete_groups_handle, NULL},
    {API_ELECT_LEADERS, BROKER | CONTROLLER, elect_leaders_handle, NULL},
    {API_INCREMENTAL_ALTER_CONFIGS, BROKER | CONTROLLER, incremental_alter_configs_handle, NULL},
    {API_ALTER_PARTITION_REASSIGNMENTS, BROKER | CONTROLLER, control_handle, NULL},
    {API_LIST_PARTITION_REASSIGNMENTS, BROKER | CONTROLLER, control_handle, NULL},
    {API_OFFSET_DELETE, BROKER, offset_delete_handle, NULL},
    {API_VOTE, CONTROLLER, quorum_request_handle, NULL},
    {API_BEGIN_QUORUM_EPOCH, CONTROLLER, quorum_request_handle, NULL},
    {API_END_QUORUM_EPOCH, CONTROLLER, quorum_request_handle, NULL},
    {API_DESCRIBE_QUORUM, BROKER | CONTROLLER, quorum_request_handle, NULL},
    {API_ALTER_PARTITION, CONTROLLER, control_handle, NULL},
    {API_UPDATE_FEATURES, BROKER | CONTROLLER, control_handle, NULL},
    {API_ENVELOPE, CONTROLLER, envelope_handle, NULL},
    {API_FETCH_SNAPSHOT, CONTROLLER, quorum_request_handle, NULL},
    {API_DESCRIBE_CLUSTER, BROKER | CONTROLLER, describe_cluster_handle, NULL},
    {API_BROKER_REGISTRATION, CONTROLLER, control_handle, NULL},
    {API_BROKER_HEARTBEAT, CONTROLLER, control_handle, NULL},
    {API_UNREGISTER_BROKER, BROKER | CONTROLLER, control_handle, NULL},
    {API_ALLOCATE_PRODUCER_IDS, CONTROLLER, control_handle, NULL},
    {API_CONTROLLER_REGISTRATION, CONTROLLER, control_handle, NULL},
    {API_ASSIGN_REPLICAS_TO_DIRS, CONTROLLER, control_handle, NULL},
    {API_DESCRIBE_TOPIC_PARTITIONS, BROKER, describe_topic_partitions_handle, NULL},
    {API_ADD_RAFT_VOTER, BROKER | CONTROLLER, quorum_request_handle, NULL},
    {API_REMOVE_RAFT_VOTER, BROKER | CONTROLLER, quorum_request_handle, NULL},
    {API_UPDATE_RAFT_VOTER, CONTROLLER, quorum_request_handle, NULL},
};
const uint32_t broker_api_count = array_count(broker_apis);

const struct broker_api *broker_api_find(int16_t key, uint8_t listener)
{
    for (uint32_t i = 0; i < broker_api_count; i++) {
        if (broker_apis[i].key == key && (broker_apis[i].listeners & listener) != 0)
            return &broker_apis[i];
    }
    return NULL;
}
