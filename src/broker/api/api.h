/* broker/api/api.h - the handlers, one per API and file (internal). What each may do: request.h. */
#pragma once

#include "broker/request.h"

void alter_configs_handle(struct request *r);
void alter_replica_log_dirs_handle(struct request *r);
void api_versions_handle(struct request *r);
void control_handle(struct request *r); /* of control.c: what the controller decides for nodes */
void create_partitions_handle(struct request *r);
void create_topics_handle(struct request *r);
void delete_groups_handle(struct request *r);
void delete_records_handle(struct request *r);
void delete_topics_handle(struct request *r);
void describe_cluster_handle(struct request *r);
void describe_configs_handle(struct request *r);
void describe_groups_handle(struct request *r);
void describe_log_dirs_handle(struct request *r);
void describe_topic_partitions_handle(struct request *r);
void elect_leaders_handle(struct request *r);
void envelope_handle(struct request *r);
void fetch_handle(struct request *r);
void fetch_cancel(struct request *r);
void find_coordinator_handle(struct request *r);
void heartbeat_handle(struct request *r);
void incremental_alter_configs_handle(struct request *r);
void init_producer_id_handle(struct request *r);
void join_group_handle(struct request *r);
void join_group_cancel(struct request *r);
void leave_group_handle(struct request *r);
void list_groups_handle(struct request *r);
void list_offsets_handle(struct request *r);
void metadata_handle(struct request *r);
void offset_commit_handle(struct request *r);
void offset_delete_handle(struct request *r);
void offset_fetch_handle(struct request *r);
void offset_for_leader_epoch_handle(struct request *r);
void produce_handle(struct request *r);
void produce_cancel(struct request *r);
void quorum_request_handle(struct request *r); /* of quorum.c: what the metadata quorum answers */
void sync_group_handle(struct request *r);
void sync_group_cancel(struct request *r);
