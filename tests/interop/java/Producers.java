import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Commands producer.*: send a list of records and wait, or send numbered records until told to stop; transactions. */
final class Producers {
    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(5);

    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
    private final Map<String, Loop> loops = new HashMap<>();

    void addTo(Map<String, Driver.Command> commands) {
        commands.put("producer.open", this::open);
        commands.put("producer.send", this::send);
        commands.put("producer.loop", this::loop);
        commands.put("producer.acked", args -> loops.get(args.get("name").asText()).ackedCount());
        commands.put("producer.stop", args -> loops.remove(args.get("name").asText()).stop());
        on(commands, "init", (p, args) -> p.initTransactions());
        on(commands, "begin", (p, args) -> p.beginTransaction());
        on(commands, "commit", (p, args) -> p.commitTransaction());
        on(commands, "abort", (p, args) -> p.abortTransaction());
        on(commands, "sendOffsets", (p, args) -> {
            try (var consumer = Consumers.newConsumer(args.get("config"))) { // which alone can tell what it knows of its group
                p.sendOffsetsToTransaction(Consumers.offsets(args.get("offsets")), consumer.groupMetadata());
            }
        });
        commands.put("producer.close", args -> {
            producers.remove(args.get("name").asText()).close(CLOSE_TIMEOUT);
            return null;
        });
    }

    private interface Call {
        void run(KafkaProducer<byte[], byte[]> producer, JsonNode args);
    }

    private void on(Map<String, Driver.Command> commands, String op, Call call) {
        commands.put("producer." + op, args -> {
            call.run(producers.get(args.get("name").asText()), args);
            return null;
        });
    }

    void closeAll() throws Exception {
        for (Loop loop : loops.values())
            loop.abandon();
        loops.clear();
        producers.values().forEach(p -> p.close(Duration.ZERO));
        producers.clear();
    }

    private Object open(JsonNode args) {
        producers.put(args.get("name").asText(), new KafkaProducer<>(Driver.properties(args.get("config")),
                new ByteArraySerializer(), new ByteArraySerializer()));
        return null;
    }

    /** records: [{partition, timestamp, key, value, headers: [[key, value], ...]}], each optional. */
    private Object send(JsonNode args) throws Exception {
        KafkaProducer<byte[], byte[]> producer = producers.get(args.get("name").asText());
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        for (JsonNode r : args.get("records")) {
            ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(args.get("topic").asText(),
                    r.hasNonNull("partition") ? r.get("partition").asInt() : null,
                    r.hasNonNull("timestamp") ? r.get("timestamp").asLong() : null,
                    Driver.bytes(r.get("key")), Driver.bytes(r.get("value")));
            if (r.has("headers"))
                r.get("headers").forEach(h -> record.headers().add(h.get(0).asText(), Driver.bytes(h.get(1))));
            futures.add(producer.send(record));
        }
        producer.flush();
        List<Object> results = new ArrayList<>();
        for (Future<RecordMetadata> future : futures) {
            try {
                RecordMetadata m = future.get();
                results.add(Map.of("partition", m.partition(), "offset", m.offset(), "timestamp", m.timestamp()));
            } catch (Exception e) {
                results.add(Driver.error(e));
            }
        }
        return results;
    }

    private Object loop(JsonNode args) {
        String name = args.get("name").asText();
        Loop loop = new Loop(producers.get(name), args.get("topic").asText(), args.get("partitions").asInt(),
                args.get("prefix").asText());
        loops.put(name, loop);
        loop.thread.start();
        return null;
    }

    /** Sends PREFIX-PARTITION-NUMBER to all partitions in turn, and remembers what was acknowledged. */
    private static final class Loop {
        private static final int IN_FLIGHT_MAX = 200; // enough for several batches, few enough to be killed in between
        private static final long PAUSE_MS = 1; // a stream over seconds, not a flood

        final Thread thread = new Thread(this::run, "producer-loop");
        private final KafkaProducer<byte[], byte[]> producer;
        private final String topic;
        private final int partitionCount;
        private final String prefix;
        private final Semaphore room = new Semaphore(IN_FLIGHT_MAX);
        private final Map<Integer, List<long[]>> acked = new TreeMap<>(); // partition -> [number, offset]
        private final Map<Integer, Long> sent = new TreeMap<>();
        private final List<Object> errors = new ArrayList<>();
        private volatile boolean stopping;

        Loop(KafkaProducer<byte[], byte[]> producer, String topic, int partitionCount, String prefix) {
            this.producer = producer;
            this.topic = topic;
            this.partitionCount = partitionCount;
            this.prefix = prefix;
        }

        private void run() {
            try {
                for (long i = 0; !stopping; i++) {
                    int partition = (int) (i % partitionCount);
                    long number = i / partitionCount;
                    room.acquire();
                    byte[] value = (prefix + "-" + partition + "-" + number).getBytes();
                    producer.send(new ProducerRecord<>(topic, partition, null, value),
                            (metadata, e) -> done(partition, number, metadata, e));
                    sent.put(partition, number + 1);
                    if (partition == 0)
                        Thread.sleep(PAUSE_MS);
                }
                producer.flush();
            } catch (Exception e) {
                synchronized (this) {
                    errors.add(Driver.error(e));
                }
            }
        }

        private synchronized void done(int partition, long number, RecordMetadata metadata, Exception e) {
            if (e == null)
                acked.computeIfAbsent(partition, p -> new ArrayList<>()).add(new long[] {number, metadata.offset()});
            else
                errors.add(Driver.error(e));
            room.release();
        }

        synchronized long ackedCount() {
            return acked.values().stream().mapToLong(List::size).sum();
        }

        Object stop() throws Exception {
            stopping = true;
            thread.join();
            Map<String, Object> result = new LinkedHashMap<>();
            result.put("acked", acked);
            result.put("sent", sent);
            result.put("errors", errors);
            return result;
        }

        void abandon() throws Exception {
            stopping = true;
            thread.interrupt();
            thread.join(1000);
        }
    }
}
