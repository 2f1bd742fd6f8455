/* cli/metadata_quorum.h - kafka-metadata-quorum.sh and `millrace quorum`: the file that describes,
 * the one that changes. */
#pragma once

#include "cli/tool.h"

enum {
    MQ_CONTROLLER,
    MQ_SERVER,
    MQ_COMMAND_CONFIG,
    MQ_DIRECTORY,
    MQ_ID,
    MQ_DRY_RUN,
    MQ_HUMAN,
    MQ_JSON,
    MQ_REPLICATION,
    MQ_STATUS,
    MQ_ADD,
    MQ_DESCRIBE,
    MQ_REMOVE,
    MQ_OPTIONS,
};

struct quorum_tool {
    struct tool tool;
    int action; /* MQ_DESCRIBE, MQ_ADD, MQ_REMOVE */
    struct describe_quorum_request ask;
    struct describe_quorum_request_topics topic;
    struct describe_quorum_request_topics_partitions partition;
    struct describe_cluster_request ask_cluster;
    struct admin_call cluster;
    struct table table;

    struct raft_voter voter; /* that is added, or removed: its id and directory */
    struct settings_load load;
    char *settings_path, *directory_path;
    struct text directory_text; /* meta.properties */
    struct add_raft_voter_request add;
    struct add_raft_voter_request_listeners listeners[RAFT_ENDPOINTS_MAX];
    struct remove_raft_voter_request remove;
};

/* ---- quorum_voters.c --------------------------------------------------------------------------
 */

/* What the words say of the voter. */
MUST int quorum_check_add(struct quorum_tool *x);
MUST int quorum_check_remove(struct quorum_tool *x);
/* Flows of tool.work. */
void quorum_add_run(struct flow *f);
void quorum_remove_run(struct flow *f);
