import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;

/**
 * Kafka's Java clients behind a pipe, because a JVM is slow to start.
 *
 * <p>Each line on stdin is a command, {"op": "producer.send", ...}; each is answered with one line on
 * stdout: {"result": ...}, or {"error": simple name of the exception, "message": ...}.  Commands run one
 * at a time; producers that loop and consumers have threads of their own and are known by a name.
 */
public final class Driver {
    static final ObjectMapper JSON = new ObjectMapper();

    interface Command {
        Object run(JsonNode args) throws Exception;
    }

    public static void main(String[] argv) throws Exception {
        PrintStream answers = System.out;
        System.setOut(System.err); // nothing but answers on stdout
        Producers producers = new Producers();
        Consumers consumers = new Consumers();
        Admins admins = new Admins();
        Map<String, Command> commands = new HashMap<>();
        producers.addTo(commands);
        consumers.addTo(commands);
        admins.addTo(commands);
        new Assignors().addTo(commands);
        commands.put("partitions", args -> new Partitions().checksum());
        commands.put("reset", args -> {
            producers.closeAll();
            consumers.closeAll();
            admins.closeAll();
            return null;
        });

        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            Map<String, Object> answer = new LinkedHashMap<>();
            try {
                JsonNode args = JSON.readTree(line);
                Command command = commands.get(args.get("op").asText());
                if (command == null)
                    throw new IllegalArgumentException("no such command: " + args.get("op"));
                answer.put("result", command.run(args));
            } catch (Throwable e) {
                answer = error(e);
            }
            answers.println(JSON.writeValueAsString(answer));
            answers.flush();
        }
        System.exit(0); // whatever clients are still open
    }

    static Map<String, Object> error(Throwable e) {
        while ((e instanceof ExecutionException || e instanceof CompletionException) && e.getCause() != null)
            e = e.getCause();
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("error", e.getClass().getSimpleName());
        answer.put("message", e.getMessage());
        return answer;
    }

    /** The value of every future, or the error in its place. */
    static <K, V> Map<String, Object> outcomes(Map<K, KafkaFuture<V>> futures, ThrowingFunction<V, Object> value) {
        Map<String, Object> result = new LinkedHashMap<>();
        futures.forEach((key, future) -> {
            try {
                result.put(key.toString(), value.apply(future.get()));
            } catch (Exception e) {
                result.put(key.toString(), error(e));
            }
        });
        return result;
    }

    interface ThrowingFunction<A, B> {
        B apply(A a) throws Exception;
    }

    static Properties properties(JsonNode config) {
        Properties properties = new Properties();
        config.properties().forEach(e -> properties.put(e.getKey(), e.getValue().asText()));
        return properties;
    }

    static byte[] bytes(JsonNode node) {
        return node == null || node.isNull() ? null : node.asText().getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    static List<String> strings(JsonNode array) {
        List<String> result = new ArrayList<>();
        array.forEach(n -> result.add(n.asText()));
        return result;
    }

    /** [["topic", 0], ...] */
    static List<TopicPartition> partitions(JsonNode array) {
        List<TopicPartition> result = new ArrayList<>();
        array.forEach(n -> result.add(partition(n)));
        return result;
    }

    static TopicPartition partition(JsonNode pair) {
        return new TopicPartition(pair.get(0).asText(), pair.get(1).asInt());
    }
}
