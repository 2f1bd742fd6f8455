import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;

/** Commands admin.*: one per call of Kafka's Admin; what a call answers per item is a map from the item to its outcome. */
final class Admins {
    private final Map<String, Admin> admins = new HashMap<>();

    private interface Call {
        Object run(Admin admin, JsonNode args) throws Exception;
    }

    void addTo(Map<String, Driver.Command> commands) {
        Map<String, Call> calls = new HashMap<>();
        calls.put("createTopics", this::createTopics);
        calls.put("deleteTopics", this::deleteTopics);
        calls.put("createPartitions", this::createPartitions);
        calls.put("listTopics", (a, args) -> a.listTopics(new ListTopicsOptions().listInternal(args.path("internal").asBoolean()))
                .listings().get().stream().collect(Collectors.toMap(t -> t.name(), t -> t.topicId().toString())));
        calls.put("describeTopics", this::describeTopics);
        calls.put("describeConfigs", this::describeConfigs);
        calls.put("incrementalAlterConfigs", this::incrementalAlterConfigs);
        calls.put("listOffsets", this::listOffsets);
        calls.put("deleteRecords", this::deleteRecords);
        calls.put("alterReplicaLogDirs", this::alterReplicaLogDirs);
        calls.put("describeLogDirs", this::describeLogDirs);
        calls.put("listGroups", this::listGroups);
        calls.put("describeClassicGroups", (a, args) -> Driver.outcomes(
                a.describeClassicGroups(Driver.strings(args.get("groups"))).describedGroups(),
                g -> group(g.state().toString(), g.protocol(), g.protocolData(), g.coordinator(), g.members())));
        calls.put("describeConsumerGroups", (a, args) -> Driver.outcomes(
                a.describeConsumerGroups(Driver.strings(args.get("groups"))).describedGroups(),
                g -> group(g.groupState().toString(), g.type().toString(), g.partitionAssignor(), g.coordinator(), g.members())));
        calls.put("deleteConsumerGroups", (a, args) -> Driver.outcomes(
                a.deleteConsumerGroups(Driver.strings(args.get("groups"))).deletedGroups(), v -> null));
        calls.put("deleteConsumerGroupOffsets", this::deleteConsumerGroupOffsets);
        calls.put("alterConsumerGroupOffsets", this::alterConsumerGroupOffsets);
        calls.put("listConsumerGroupOffsets", this::listConsumerGroupOffsets);
        calls.put("removeMembers", (a, args) -> {
            a.removeMembersFromConsumerGroup(args.get("group").asText(), new RemoveMembersFromConsumerGroupOptions(
                    Driver.strings(args.get("instances")).stream().map(MemberToRemove::new).toList())).all().get();
            return null;
        });
        calls.put("describeCluster", this::describeCluster);
        calls.put("describeFeatures", this::describeFeatures);
        calls.put("describeMetadataQuorum", this::describeMetadataQuorum);
        calls.forEach((op, call) -> commands.put("admin." + op,
                args -> call.run(admins.computeIfAbsent(args.get("bootstrap").asText(), Admins::open), args)));
    }

    void closeAll() {
        admins.values().forEach(a -> a.close(Duration.ZERO));
        admins.clear();
    }

    private static Admin open(String bootstrap) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        boolean alone = !bootstrap.contains(","); // else, where one stands still, another is to be asked soon
        properties.put("default.api.timeout.ms", alone ? "100000" : "20000");
        properties.put("request.timeout.ms", alone ? "100000" : "10000");
        properties.put("reconnect.backoff.max.ms", "200");
        return Admin.create(properties);
    }

    // --- topics ---------------------------------------------------------------------------------

    /** topics: [{name, partitions, replicationFactor, assignments: {"0": [1]}, configs: {...}}] */
    private Object createTopics(Admin admin, JsonNode args) throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        for (JsonNode t : args.get("topics")) {
            NewTopic topic;
            if (t.has("assignments")) {
                Map<Integer, List<Integer>> assignments = new TreeMap<>();
                t.get("assignments").properties().forEach(e -> assignments.put(Integer.valueOf(e.getKey()), ints(e.getValue())));
                topic = new NewTopic(t.get("name").asText(), assignments);
            } else {
                topic = new NewTopic(t.get("name").asText(),
                        t.hasNonNull("partitions") ? Optional.of(t.get("partitions").asInt()) : Optional.empty(),
                        t.hasNonNull("replicationFactor") ? Optional.of((short) t.get("replicationFactor").asInt()) : Optional.empty());
            }
            if (t.has("configs"))
                topic.configs(stringMap(t.get("configs")));
            topics.add(topic);
        }
        CreateTopicsResult result = admin.createTopics(topics,
                new CreateTopicsOptions().validateOnly(args.path("validateOnly").asBoolean()));
        Map<String, Object> outcomes = new LinkedHashMap<>();
        for (NewTopic t : topics) {
            try {
                result.values().get(t.name()).get();
                outcomes.put(t.name(), Map.of("id", result.topicId(t.name()).get().toString(),
                        "partitions", result.numPartitions(t.name()).get(),
                        "replicationFactor", result.replicationFactor(t.name()).get(),
                        "configs", configs(result.config(t.name()).get().entries(), false)));
            } catch (Exception e) {
                outcomes.put(t.name(), Driver.error(e));
            }
        }
        return outcomes;
    }

    private Object deleteTopics(Admin admin, JsonNode args) {
        if (args.has("ids"))
            return Driver.outcomes(admin.deleteTopics(TopicCollection.ofTopicIds(uuids(args.get("ids")))).topicIdValues(), v -> null);
        return Driver.outcomes(admin.deleteTopics(Driver.strings(args.get("names"))).topicNameValues(), v -> null);
    }

    /** topics: {name: {count, assignments: [[1], ...]}} */
    private Object createPartitions(Admin admin, JsonNode args) {
        Map<String, NewPartitions> wanted = new LinkedHashMap<>();
        args.get("topics").properties().forEach(e -> {
            int count = e.getValue().get("count").asInt();
            if (e.getValue().has("assignments")) {
                List<List<Integer>> assignments = new ArrayList<>();
                e.getValue().get("assignments").forEach(a -> assignments.add(ints(a)));
                wanted.put(e.getKey(), NewPartitions.increaseTo(count, assignments));
            } else {
                wanted.put(e.getKey(), NewPartitions.increaseTo(count));
            }
        });
        return Driver.outcomes(admin.createPartitions(wanted,
                new CreatePartitionsOptions().validateOnly(args.path("validateOnly").asBoolean())).values(), v -> null);
    }

    private Object describeTopics(Admin admin, JsonNode args) {
        if (args.has("ids"))
            return Driver.outcomes(admin.describeTopics(TopicCollection.ofTopicIds(uuids(args.get("ids")))).topicIdValues(),
                    Admins::topic);
        return Driver.outcomes(admin.describeTopics(Driver.strings(args.get("names"))).topicNameValues(), Admins::topic);
    }

    private static Object topic(TopicDescription t) {
        List<Object> partitions = new ArrayList<>();
        t.partitions().forEach(p -> partitions.add(Map.of("partition", p.partition(), "leader", p.leader() == null ? -1 : p.leader().id(),
                "replicas", ids(p.replicas()), "isr", ids(p.isr()))));
        return Map.of("name", t.name(), "id", t.topicId().toString(), "internal", t.isInternal(), "partitions", partitions);
    }

    // --- settings -------------------------------------------------------------------------------

    /** resources: [["TOPIC", "name"], ["BROKER", "1"]] */
    private Object describeConfigs(Admin admin, JsonNode args) {
        List<ConfigResource> resources = new ArrayList<>();
        args.get("resources").forEach(n -> resources.add(resource(n)));
        DescribeConfigsOptions options = new DescribeConfigsOptions().includeSynonyms(args.path("synonyms").asBoolean())
                .includeDocumentation(args.path("documentation").asBoolean());
        Map<String, Object> result = new LinkedHashMap<>();
        admin.describeConfigs(resources, options).values().forEach((resource, future) -> {
            try {
                result.put(resource.name(), configs(future.get().entries(), args.path("documentation").asBoolean()));
            } catch (Exception e) {
                result.put(resource.name(), Driver.error(e));
            }
        });
        return result;
    }

    private static Object configs(Collection<ConfigEntry> entries, boolean documentation) {
        Map<String, Object> result = new TreeMap<>();
        for (ConfigEntry e : entries) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("value", e.value());
            entry.put("source", e.source().toString());
            entry.put("type", String.valueOf(e.type())); // CreateTopics tells no types
            entry.put("readOnly", e.isReadOnly());
            entry.put("sensitive", e.isSensitive());
            entry.put("synonyms", e.synonyms().stream().map(s -> {
                List<Object> synonym = new ArrayList<>();
                synonym.add(s.name());
                synonym.add(s.value());
                synonym.add(s.source().toString());
                return synonym;
            }).toList());
            if (documentation)
                entry.put("documentation", e.documentation());
            result.put(e.name(), entry);
        }
        return result;
    }

    /** resource: ["TOPIC", "name"], ops: [["SET", "retention.ms", "1000"], ...] */
    private Object incrementalAlterConfigs(Admin admin, JsonNode args) throws Exception {
        List<AlterConfigOp> ops = new ArrayList<>();
        args.get("ops").forEach(n -> ops.add(new AlterConfigOp(
                new ConfigEntry(n.get(1).asText(), n.hasNonNull(2) ? n.get(2).asText() : null),
                AlterConfigOp.OpType.valueOf(n.get(0).asText()))));
        admin.incrementalAlterConfigs(Map.of(resource(args.get("resource")), ops),
                new AlterConfigsOptions().validateOnly(args.path("validateOnly").asBoolean())).all().get();
        return null;
    }

    // --- offsets --------------------------------------------------------------------------------

    /** partitions: [["topic", 0, "earliest" | "latest" | "max_timestamp" | a timestamp], ...] */
    private Object listOffsets(Admin admin, JsonNode args) throws Exception {
        Map<TopicPartition, OffsetSpec> specs = new LinkedHashMap<>();
        args.get("partitions").forEach(n -> specs.put(Driver.partition(n), switch (n.get(2).asText()) {
            case "earliest" -> OffsetSpec.earliest();
            case "latest" -> OffsetSpec.latest();
            case "max_timestamp" -> OffsetSpec.maxTimestamp();
            case "earliest_local" -> OffsetSpec.earliestLocal();
            default -> OffsetSpec.forTimestamp(n.get(2).asLong());
        }));
        ListOffsetsResult result = admin.listOffsets(specs, new ListOffsetsOptions(isolation(args)));
        Map<String, Object> outcomes = new LinkedHashMap<>();
        for (TopicPartition partition : specs.keySet()) {
            try {
                ListOffsetsResult.ListOffsetsResultInfo info = result.partitionResult(partition).get();
                List<Object> outcome = new ArrayList<>();
                outcome.add(info.offset());
                outcome.add(info.timestamp());
                outcome.add(info.leaderEpoch().orElse(null));
                outcomes.put(partition.toString(), outcome);
            } catch (Exception e) {
                outcomes.put(partition.toString(), Driver.error(e));
            }
        }
        return outcomes;
    }

    /** partitions: [["topic", 0, offset], ...]; -1 is the high watermark. Answers the low watermark of each. */
    private Object deleteRecords(Admin admin, JsonNode args) {
        Map<TopicPartition, RecordsToDelete> wanted = new LinkedHashMap<>();
        args.get("partitions").forEach(n -> wanted.put(Driver.partition(n), RecordsToDelete.beforeOffset(n.get(2).asLong())));
        return Driver.outcomes(admin.deleteRecords(wanted).lowWatermarks(), d -> d.lowWatermark());
    }

    /** replicas of broker 1: [["topic", 0, "/directory"], ...] */
    private Object alterReplicaLogDirs(Admin admin, JsonNode args) {
        Map<TopicPartitionReplica, String> wanted = new LinkedHashMap<>();
        args.get("replicas").forEach(n -> wanted.put(new TopicPartitionReplica(n.get(0).asText(), n.get(1).asInt(), 1), n.get(2).asText()));
        return Driver.outcomes(admin.alterReplicaLogDirs(wanted).values(), v -> null);
    }

    /** Of broker 1: {directory: {partition: [size, offset lag, is future]}} */
    private Object describeLogDirs(Admin admin, JsonNode args) throws Exception {
        Map<String, Object> result = new LinkedHashMap<>();
        admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).forEach((path, d) -> {
            Map<String, Object> replicas = new LinkedHashMap<>();
            d.replicaInfos().forEach((p, r) -> replicas.put(p.toString(), List.of(r.size(), r.offsetLag(), r.isFuture())));
            result.put(path, replicas);
        });
        return result;
    }

    static IsolationLevel isolation(JsonNode args) {
        return args.path("isolation").asText().equals("read_committed") ? IsolationLevel.READ_COMMITTED
                : IsolationLevel.READ_UNCOMMITTED;
    }

    // --- groups ---------------------------------------------------------------------------------

    private Object listGroups(Admin admin, JsonNode args) throws Exception {
        ListGroupsOptions options = new ListGroupsOptions();
        if (args.has("states"))
            options.inGroupStates(Driver.strings(args.get("states")).stream().map(GroupState::parse).collect(Collectors.toSet()));
        if (args.has("types"))
            options.withTypes(Driver.strings(args.get("types")).stream().map(GroupType::parse).collect(Collectors.toSet()));
        if (args.has("protocolTypes"))
            options.withProtocolTypes(Set.copyOf(Driver.strings(args.get("protocolTypes"))));
        Map<String, Object> result = new TreeMap<>();
        admin.listGroups(options).all().get().forEach(g -> result.put(g.groupId(), Map.of(
                "type", g.type().map(Object::toString).orElse(""), "protocol", g.protocol(),
                "state", g.groupState().map(Object::toString).orElse(""))));
        return result;
    }

    private static Object group(String state, String protocol, String assignor, Node coordinator, Collection<MemberDescription> members) {
        List<Object> list = new ArrayList<>();
        members.stream().sorted(Comparator.comparing(MemberDescription::clientId)).forEach(m -> {
            Map<String, Object> member = new LinkedHashMap<>();
            member.put("id", m.consumerId());
            member.put("instance", m.groupInstanceId().orElse(null));
            member.put("client", m.clientId());
            member.put("host", m.host());
            member.put("assignment", m.assignment().topicPartitions().stream().map(TopicPartition::toString).sorted().toList());
            list.add(member);
        });
        return Map.of("state", state, "protocol", protocol, "assignor", assignor, "coordinator", coordinator.id(), "members", list);
    }

    private Object deleteConsumerGroupOffsets(Admin admin, JsonNode args) {
        Set<TopicPartition> partitions = new HashSet<>(Driver.partitions(args.get("partitions")));
        var result = admin.deleteConsumerGroupOffsets(args.get("group").asText(), partitions);
        Map<TopicPartition, KafkaFuture<Void>> futures = new LinkedHashMap<>();
        partitions.forEach(p -> futures.put(p, result.partitionResult(p)));
        return Driver.outcomes(futures, v -> null);
    }

    private Object alterConsumerGroupOffsets(Admin admin, JsonNode args) {
        Map<TopicPartition, org.apache.kafka.clients.consumer.OffsetAndMetadata> offsets = Consumers.offsets(args.get("offsets"));
        var result = admin.alterConsumerGroupOffsets(args.get("group").asText(), offsets);
        Map<TopicPartition, KafkaFuture<Void>> futures = new LinkedHashMap<>();
        offsets.keySet().forEach(p -> futures.put(p, result.partitionResult(p)));
        return Driver.outcomes(futures, v -> null);
    }

    /** groups: [name, ...]; all partitions of each, or `partitions`: [["topic", 0], ...] */
    private Object listConsumerGroupOffsets(Admin admin, JsonNode args) {
        Map<String, ListConsumerGroupOffsetsSpec> specs = new LinkedHashMap<>();
        for (String group : Driver.strings(args.get("groups"))) {
            ListConsumerGroupOffsetsSpec spec = new ListConsumerGroupOffsetsSpec();
            specs.put(group, args.has("partitions") ? spec.topicPartitions(Driver.partitions(args.get("partitions"))) : spec);
        }
        var result = admin.listConsumerGroupOffsets(specs);
        Map<String, Object> outcomes = new LinkedHashMap<>();
        for (String group : specs.keySet()) {
            try {
                Map<String, Object> offsets = new TreeMap<>();
                result.partitionsToOffsetAndMetadata(group).get()
                        .forEach((p, o) -> offsets.put(p.toString(), Consumers.committed(o)));
                outcomes.put(group, offsets);
            } catch (Exception e) {
                outcomes.put(group, Driver.error(e));
            }
        }
        return outcomes;
    }

    // --- the cluster ----------------------------------------------------------------------------

    private Object describeCluster(Admin admin, JsonNode args) throws Exception {
        DescribeClusterResult result = admin.describeCluster();
        return Map.of("id", result.clusterId().get(), "controller", result.controller().get().id(),
                "nodes", result.nodes().get().stream().map(n -> List.of(n.id(), n.host(), n.port())).toList());
    }

    private Object describeFeatures(Admin admin, JsonNode args) throws Exception {
        FeatureMetadata features = admin.describeFeatures().featureMetadata().get();
        Map<String, Object> finalized = new TreeMap<>();
        features.finalizedFeatures().forEach((k, v) -> finalized.put(k, List.of(v.minVersionLevel(), v.maxVersionLevel())));
        Map<String, Object> supported = new TreeMap<>();
        features.supportedFeatures().forEach((k, v) -> supported.put(k, List.of(v.minVersion(), v.maxVersion())));
        return Map.of("finalized", finalized, "supported", supported, "epoch", features.finalizedFeaturesEpoch().orElse(-1L));
    }

    private Object describeMetadataQuorum(Admin admin, JsonNode args) throws Exception {
        QuorumInfo q = admin.describeMetadataQuorum().quorumInfo().get();
        return Map.of("leader", q.leaderId(), "epoch", q.leaderEpoch(), "highWatermark", q.highWatermark(),
                "voters", replicas(q.voters()), "observers", replicas(q.observers()));
    }

    private static List<Object> replicas(List<QuorumInfo.ReplicaState> replicas) {
        List<Object> result = new ArrayList<>();
        replicas.forEach(r -> result.add(Map.of("id", r.replicaId(), "end", r.logEndOffset())));
        return result;
    }

    // --- small conversions ----------------------------------------------------------------------

    private static ConfigResource resource(JsonNode pair) {
        return new ConfigResource(ConfigResource.Type.valueOf(pair.get(0).asText()), pair.get(1).asText());
    }

    private static Map<String, String> stringMap(JsonNode object) {
        Map<String, String> result = new LinkedHashMap<>();
        object.properties().forEach(e -> result.put(e.getKey(), e.getValue().asText()));
        return result;
    }

    private static List<Integer> ints(JsonNode array) {
        List<Integer> result = new ArrayList<>();
        array.forEach(n -> result.add(n.asInt()));
        return result;
    }

    private static List<Uuid> uuids(JsonNode array) {
        return Driver.strings(array).stream().map(Uuid::fromString).toList();
    }

    private static List<Integer> ids(List<Node> nodes) {
        return nodes.stream().map(Node::id).toList();
    }
}
