import com.fasterxml.jackson.databind.JsonNode;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.RebalanceProtocol;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * The Java client's assignors, without a broker: members write their subscriptions, a leader reads them and assigns.
 *
 * <p>"assign" takes groups of {"assignor", "topics": {name: [racks of each partition's replicas]}, "members": [{"id",
 * "instance", "rack", "topics", "owned": [[topic, partition]...], "generation" (of what it owns; -1: it has had
 * nothing), "version" (of its subscription)}]}, and gives of each {"metadata": {id: hex}, "assignment": {id: [[topic,
 * partition]...]}}, or "failure" in place of the assignment.
 */
final class Assignors {
    void addTo(Map<String, Driver.Command> commands) {
        commands.put("assign", args -> {
            List<Object> results = new ArrayList<>();
            for (JsonNode group : args.get("groups"))
                results.add(assign(group));
            return results;
        });
    }

    private static ConsumerPartitionAssignor assignor(String name) {
        return switch (name) {
            case "range" -> new RangeAssignor();
            case "roundrobin" -> new RoundRobinAssignor();
            case "sticky" -> new StickyAssignor();
            case "cooperative-sticky" -> new CooperativeStickyAssignor();
            default -> throw new IllegalArgumentException(name);
        };
    }

    private static Object assign(JsonNode group) {
        Map<String, Object> metadata = new LinkedHashMap<>();
        Map<String, Subscription> subscriptions = new HashMap<>();
        for (JsonNode member : group.get("members")) {
            ByteBuffer written = subscription(group.get("assignor").asText(), member);
            byte[] bytes = new byte[written.remaining()];
            written.duplicate().get(bytes);
            metadata.put(member.get("id").asText(), HexFormat.of().formatHex(bytes));
            Subscription read = ConsumerProtocol.deserializeSubscription(written);
            read.setGroupInstanceId(optional(member.get("instance")));
            subscriptions.put(member.get("id").asText(), read);
        }
        Map<String, Object> answer = new LinkedHashMap<>(Map.of("metadata", metadata));
        try {
            Map<String, Object> assignment = new LinkedHashMap<>();
            assignor(group.get("assignor").asText())
                .assign(cluster(group.get("topics")), new GroupSubscription(subscriptions)).groupAssignment()
                .forEach((id, a) ->
                    assignment.put(id, a.partitions().stream().map(p -> List.of(p.topic(), p.partition())).toList()));
            answer.put("assignment", assignment);
        } catch (RuntimeException e) {
            answer.put("failure", e.toString());
        }
        return answer;
    }

    /** What a consumer sends when it joins: under the eager protocol it owns nothing then. */
    @SuppressWarnings("removal") // of the constructor: there is no other way to tell an assignor its generation
    private static ByteBuffer subscription(String assignorName, JsonNode member) {
        ConsumerPartitionAssignor assignor = assignor(assignorName);
        List<String> topics = Driver.strings(member.get("topics"));
        List<TopicPartition> owned = Driver.partitions(member.get("owned"));
        int generation = member.get("generation").asInt();
        if (generation >= 0)
            assignor.onAssignment(new Assignment(owned),
                new ConsumerGroupMetadata("group", generation, member.get("id").asText(), Optional.empty()));
        boolean cooperative = assignor.supportedProtocols().contains(RebalanceProtocol.COOPERATIVE);
        return ConsumerProtocol.serializeSubscription(
            new Subscription(topics, assignor.subscriptionUserData(Set.copyOf(topics)), cooperative ? owned : List.of(),
                generation, optional(member.get("rack"))),
            (short) member.get("version").asInt());
    }

    private static Optional<String> optional(JsonNode text) {
        return text == null || text.isNull() ? Optional.empty() : Optional.of(text.asText());
    }

    private static Cluster cluster(JsonNode topics) {
        List<PartitionInfo> partitions = new ArrayList<>();
        topics.properties().forEach(topic -> {
            for (int p = 0; p < topic.getValue().size(); p++) {
                Node[] replicas = new Node[topic.getValue().get(p).size()];
                for (int r = 0; r < replicas.length; r++)
                    replicas[r] = new Node(r, "localhost", 9092, topic.getValue().get(p).get(r).textValue());
                partitions.add(new PartitionInfo(topic.getKey(), p, Node.noNode(), replicas, replicas));
            }
        });
        return new Cluster("cluster", List.of(), partitions, new HashSet<>(), new HashSet<>());
    }
}
