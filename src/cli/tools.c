/* The tools that ask a cluster, by name. */
#include "cli/tool.h"

static const struct {
    const char *name;
    const struct tool_info *info;
    const char *class; /* Kafka's */
} tools[] = {
    {"kafka-topics.sh", &kafka_topics, "org.apache.kafka.tools.TopicCommand"},
    {"topic", &millrace_topic, NULL},
    {"kafka-configs.sh", &kafka_configs, "kafka.admin.ConfigCommand"},
    {"config", &millrace_config, NULL},
    {"kafka-consumer-groups.sh", &kafka_consumer_groups, "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"},
    {"group", &millrace_group, NULL},
    {"kafka-get-offsets.sh", &kafka_get_offsets, "org.apache.kafka.tools.GetOffsetShell"},
    {"offset", &millrace_offset, NULL},
    {"kafka-delete-records.sh", &kafka_delete_records, "org.apache.kafka.tools.DeleteRecordsCommand"},
    {"kafka-cluster.sh", &kafka_cluster, "org.apache.kafka.tools.ClusterTool"},
    {"cluster", &millrace_cluster, NULL},
    {"kafka-broker-api-versions.sh", &kafka_broker_api_versions, "org.apache.kafka.tools.BrokerApiVersionsCommand"},
    {"kafka-log-dirs.sh", &kafka_log_dirs, "org.apache.kafka.tools.LogDirsCommand"},
    {"log-dirs", &millrace_log_dirs, NULL},
    {"kafka-features.sh", &kafka_features, "org.apache.kafka.tools.FeatureCommand"},
    {"kafka-metadata-quorum.sh", &kafka_metadata_quorum, "org.apache.kafka.tools.MetadataQuorumCommand"},
    {"quorum", &millrace_quorum, NULL},
    {"kafka-leader-election.sh", &kafka_leader_election, "org.apache.kafka.tools.LeaderElectionCommand"},
    {"kafka-reassign-partitions.sh", &kafka_reassign_partitions,
     "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"},
    {"kafka-producer-perf-test.sh", &kafka_producer_perf_test, "org.apache.kafka.tools.ProducerPerformance"},
    {"kafka-consumer-perf-test.sh", &kafka_consumer_perf_test, "org.apache.kafka.tools.ConsumerPerformance"},
    {"kafka-verifiable-producer.sh", &kafka_verifiable_producer, "org.apache.kafka.tools.VerifiableProducer"},
    {"kafka-verifiable-consumer.sh", &kafka_verifiable_consumer, "org.apache.kafka.tools.VerifiableConsumer"},
    {"bench", &millrace_bench, NULL},
    {"kafka-groups.sh", &kafka_groups, "org.apache.kafka.tools.GroupsCommand"},
    {"kafka-console-producer.sh", &kafka_console_producer, "org.apache.kafka.tools.ConsoleProducer"},
    {"produce", &millrace_produce, NULL},
    {"kafka-console-consumer.sh", &kafka_console_consumer, "org.apache.kafka.tools.consumer.ConsoleConsumer"},
    {"consume", &millrace_consume, NULL},
    {"why", &millrace_why, NULL},
};

static const struct tool_info *find(const char *name)
{
    for (size_t i = 0; i < array_count(tools); i++) {
        if (strcmp(tools[i].name, name) == 0)
            return tools[i].info;
    }
    return NULL;
}

bool cluster_tool_is(const char *name)
{
    return find(name) != NULL;
}

bool cluster_tool_streams(const char *name)
{
    return find(name)->streams;
}

void cluster_tool_run(struct cli *c, struct op *op)
{
    const struct tool_info *info = find(c->argv[0]);

    ASSERT(info != NULL);
    tool_run(c, info, op);
}

const char *tool_of_class(const char *name)
{
    for (size_t i = 0; i < array_count(tools); i++) {
        if (tools[i].class != NULL && strcmp(tools[i].class, name) == 0)
            return tools[i].name;
    }
    return NULL;
}

/* Commands that ask no cluster; where a file is wanted, the shell completes its name. */
static const struct {
    const char *name, *words;
} others[] = {
    {"server", "--override -daemon --help --version"},
    {"storage", "format info random-uuid version-mapping feature-dependencies drain --help"},
    {"log", "dump verify --help"},
    {"settings", ""},
    {"version", ""},
    {"completion", ""},
};

void completion_print(struct text *out)
{
    text_printf(out, "# Completion of millrace's words for bash: `millrace completion > FILE`, then source FILE.\n");
    for (size_t i = 0; i < array_count(tools); i++) {
        if (tools[i].class != NULL)
            tool_completion(tools[i].info, tools[i].name, out);
    }
    text_printf(out, "_millrace() {\n"
                     "    local words=\n"
                     "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
                     "        words='");
    for (size_t i = 0; i < array_count(others); i++)
        text_printf(out, i == 0 ? "%s" : " %s", others[i].name);
    for (size_t i = 0; i < array_count(tools); i++) {
        if (tools[i].class == NULL)
            text_printf(out, " %s", tools[i].name);
    }
    text_printf(out, "'\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < array_count(tools); i++) {
        if (tools[i].class != NULL)
            continue;
        text_printf(out, "        %s) words='", tools[i].name);
        tool_words_print(tools[i].info, out);
        text_printf(out, "' ;;\n");
    }
    for (size_t i = 0; i < array_count(others); i++) {
        if (others[i].words[0] != '\0')
            text_printf(out, "        %s) words='%s' ;;\n", others[i].name, others[i].words);
    }
    text_printf(out, "        esac\n"
                     "    fi\n"
                     "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
                     "}\n"
                     "complete -o default -F _millrace millrace\n");
}
