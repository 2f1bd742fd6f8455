/* cli/why.h - `millrace why`: why a partition is as it is.
 *
 *   why.c ── partition, brokers, quorum ─► its replicas and the controllers, one after the other ─► causes ─► why_print.c
 */
#pragma once

#include "cli/tool.h"

enum {
    WHY_SERVER,
    WHY_COMMAND_CONFIG,
    WHY_JSON,
    WHY_NAME,
    WHY_PARTITION,
    WHY_OPTIONS,
};

#define WHY_NODES_MAX 64   /* 32 replicas, and as many controllers */
#define WHY_CAUSES_MAX 1024 /* eight of each shard of each node; what is more is left out */

struct why_node {
    int32_t id;
    struct str at;       /* HOST:PORT */
    bool is_replica, is_broker, is_fenced, is_controller;
    struct str unasked;  /* why it has told nothing; null: it has */
    bool keeps_none;     /* it was asked, and is none that remembers */
};

struct why_cause {
    int64_t ago_ms;
    int32_t node;
    struct str words;
};

struct why {
    struct tool tool;
    struct str topic;
    int32_t partition;

    struct describe_topic_partitions_request ask_partition;
    struct describe_topic_partitions_request_topics ask_topic;
    struct describe_topic_partitions_request_cursor ask_from;
    struct describe_cluster_request ask_cluster;
    struct describe_quorum_request ask_quorum;
    struct describe_quorum_request_topics quorum_topic;
    struct describe_quorum_request_topics_partitions quorum_partition;
    struct describe_configs_request ask_causes;
    struct describe_configs_request_resources resource;
    struct admin_call topics, cluster, quorum; /* their answers stay */

    const struct describe_topic_partitions_response_topics_partitions *p;
    struct why_node nodes[WHY_NODES_MAX];
    uint32_t count, at;
    struct text controllers;         /* HOST:PORT,... of those that are no brokers */
    struct admin *controllers_admin; /* asks them; NULL: there is none to be asked */
    struct str quorum_trouble;       /* why the controllers are not known; null: they are */
    struct why_cause *causes;        /* the oldest first */
    uint32_t cause_count;
    struct str key;                  /* under which a node tells its causes */
};

/* What was found, for eyes or as JSON. */
void why_print(struct why *x);
