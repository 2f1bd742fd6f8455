/* What the active controller decides, with one error for the whole request. For the nodes of its cluster:
 * AlterPartition (key 56), BrokerRegistration (62), BrokerHeartbeat (63), AllocateProducerIds (67),
 * ControllerRegistration (70), AssignReplicasToDirs (73). For administrators: AlterPartitionReassignments (45),
 * ListPartitionReassignments (46), UpdateFeatures (57), UnregisterBroker (64).
 */
#include "broker/api/api.h"

#include <stddef.h>

#include "broker/beats.h"
#include "broker/forward.h"
#include "protocol/allocate_producer_ids.h"
#include "protocol/alter_partition.h"
#include "protocol/alter_partition_reassignments.h"
#include "protocol/assign_replicas_to_dirs.h"
#include "protocol/broker_heartbeat.h"
#include "protocol/broker_registration.h"
#include "protocol/controller_registration.h"
#include "protocol/list_partition_reassignments.h"
#include "protocol/unregister_broker.h"
#include "protocol/update_features.h"

static size_t error_code_of(int16_t key)
{
    switch (key) {
    case API_ALTER_PARTITION:
        return offsetof(struct alter_partition_response, error_code);
    case API_ALTER_PARTITION_REASSIGNMENTS:
        return offsetof(struct alter_partition_reassignments_response, error_code);
    case API_LIST_PARTITION_REASSIGNMENTS:
        return offsetof(struct list_partition_reassignments_response, error_code);
    case API_UPDATE_FEATURES:
        return offsetof(struct update_features_response, error_code);
    case API_BROKER_REGISTRATION:
        return offsetof(struct broker_registration_response, error_code);
    case API_BROKER_HEARTBEAT:
        return offsetof(struct broker_heartbeat_response, error_code);
    case API_UNREGISTER_BROKER:
        return offsetof(struct unregister_broker_response, error_code);
    case API_ALLOCATE_PRODUCER_IDS:
        return offsetof(struct allocate_producer_ids_response, error_code);
    case API_CONTROLLER_REGISTRATION:
        return offsetof(struct controller_registration_response, error_code);
    case API_ASSIGN_REPLICAS_TO_DIRS:
        return offsetof(struct assign_replicas_to_dirs_response, error_code);
    default:
        UNREACHABLE("an API of another file");
    }
}

static void failed(struct request *r, enum kerr error)
{
    int16_t code = (int16_t)error;

    memcpy((char *)r->response + error_code_of(r->key), &code, sizeof code);
}

void control_handle(struct request *r)
{
    if (r->key == API_BROKER_HEARTBEAT)
        beats_note(r);
    forward_whole(r, failed);
}
