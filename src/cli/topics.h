/* cli/topics.h - kafka-topics.sh and `millrace topic`: what its files share. */
#pragma once

#include "cli/tool.h"

enum topics_option {
    TOPICS_ALTER,
    TOPICS_AT_MIN_ISR,
    TOPICS_SERVER,
    TOPICS_COMMAND_CONFIG,
    TOPICS_CONFIG,
    TOPICS_CREATE,
    TOPICS_DELETE,
    TOPICS_DELETE_CONFIG,
    TOPICS_DESCRIBE,
    TOPICS_EXCLUDE_INTERNAL,
    TOPICS_IF_EXISTS,
    TOPICS_IF_NOT_EXISTS,
    TOPICS_JSON,
    TOPICS_LIST,
    TOPICS_PAGE,
    TOPICS_PARTITIONS,
    TOPICS_ASSIGNMENT,
    TOPICS_REPLICATION,
    TOPICS_TOPIC,
    TOPICS_TOPIC_ID,
    TOPICS_OVERRIDES,
    TOPICS_UNAVAILABLE,
    TOPICS_UNDER_MIN_ISR,
    TOPICS_UNDER_REPLICATED,
    TOPICS_OPTIONS,
};

struct topics {
    struct tool tool;
    int action;
    struct admin_call names, configs; /* Metadata of all topics; DescribeConfigs of those that are described */
    struct admin_call moving;         /* ListPartitionReassignments */
    struct metadata_request all;
    struct metadata_response_topics **chosen; /* sorted by name; in `names` */
    uint32_t chosen_count;

    struct create_topics_request create;
    struct create_partitions_request grow;
    struct delete_topics_request remove;
    struct describe_configs_request ask_configs;
    struct list_partition_reassignments_request ask_moving;
    struct describe_topic_partitions_request page;
    struct describe_topic_partitions_request_cursor cursor;
    struct str described; /* the topic whose first line was printed last */
    int32_t configs_at;
    bool more;
    struct table table;
};

/* From all topics those that the options name, into x->chosen. -EPROTO when one must exist and does not. */
MUST int topics_choose(struct topics *x);

/* topics_describe.c, topics_create.c: flows of x->tool.work. */
void topics_describe_run(struct flow *f);
void topics_create_run(struct flow *f);
void topics_alter_run(struct flow *f);
MUST int topics_check_create(struct topics *x);
