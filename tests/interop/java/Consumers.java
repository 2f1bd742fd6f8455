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
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Commands consumer.*, each on the thread of the consumer that it names, and read: a whole topic at once. */
final class Consumers {
    private static final long PATIENCE_S = 100; // a machine that is busy with other things, not a broker that is slow

    private final Map<String, Member> members = new HashMap<>();

    void addTo(Map<String, Driver.Command> commands) {
        commands.put("read", this::read);
        commands.put("consumer.open", this::open);
        commands.put("consumer.take", args -> member(args).take());
        commands.put("consumer.events", args -> member(args).takeEvents());
        commands.put("consumer.close", args -> {
            Member member = members.remove(args.get("name").asText());
            member.close(args.path("leave").asBoolean(true));
            return member.records; // that nobody has taken
        });
        on(commands, "assignment", (c, args) -> pairs(c.assignment()));
        commands.put("consumer.subscribe", args -> member(args).run(c -> {
            c.subscribe(Driver.strings(args.get("topics")), member(args));
            return null;
        }));
        on(commands, "unsubscribe", (c, args) -> {
            c.unsubscribe();
            return null;
        });
        on(commands, "commit", (c, args) -> {
            if (args.has("offsets"))
                c.commitSync(offsets(args.get("offsets")));
            else
                c.commitSync();
            return null;
        });
        on(commands, "committed", (c, args) -> {
            Map<String, Object> result = new LinkedHashMap<>();
            c.committed(new HashSet<>(Driver.partitions(args.get("partitions")))).forEach((p, o) -> result.put(p.toString(), committed(o)));
            return result;
        });
        on(commands, "position", (c, args) -> c.position(Driver.partition(args.get("partition"))));
        on(commands, "seek", (c, args) -> {
            c.seek(Driver.partition(args.get("partition")), args.get("offset").asLong());
            return null;
        });
        on(commands, "seekToBeginning", (c, args) -> {
            c.seekToBeginning(Driver.partitions(args.get("partitions")));
            return null;
        });
        on(commands, "seekToEnd", (c, args) -> {
            c.seekToEnd(Driver.partitions(args.get("partitions")));
            return null;
        });
        on(commands, "pause", (c, args) -> {
            c.pause(Driver.partitions(args.get("partitions")));
            return null;
        });
        on(commands, "resume", (c, args) -> {
            c.resume(Driver.partitions(args.get("partitions")));
            return null;
        });
        on(commands, "beginningOffsets", (c, args) -> named(c.beginningOffsets(Driver.partitions(args.get("partitions")))));
        on(commands, "endOffsets", (c, args) -> named(c.endOffsets(Driver.partitions(args.get("partitions")))));
        on(commands, "offsetsForTimes", (c, args) -> {
            Map<TopicPartition, Long> times = new LinkedHashMap<>();
            args.get("times").forEach(n -> times.put(Driver.partition(n), n.get(2).asLong()));
            Map<String, Object> result = new LinkedHashMap<>();
            c.offsetsForTimes(times).forEach((p, o) ->
                    result.put(p.toString(), o == null ? null : List.of(o.offset(), o.timestamp())));
            return result;
        });
        on(commands, "partitionsFor", (c, args) -> {
            List<Object> result = new ArrayList<>();
            c.partitionsFor(args.get("topic").asText()).stream().sorted(Comparator.comparing(p -> p.partition()))
                    .forEach(p -> result.add(List.of(p.partition(), p.leader().id(), p.leader().port())));
            return result;
        });
        on(commands, "groupMetadata", (c, args) -> {
            Map<String, Object> result = new LinkedHashMap<>();
            result.put("generation", c.groupMetadata().generationId());
            result.put("memberId", c.groupMetadata().memberId());
            result.put("instanceId", c.groupMetadata().groupInstanceId().orElse(null));
            return result;
        });
    }

    void closeAll() throws Exception {
        for (Member member : members.values())
            member.abandon();
        members.clear();
    }

    private interface Call {
        Object run(KafkaConsumer<byte[], byte[]> consumer, JsonNode args) throws Exception;
    }

    private void on(Map<String, Driver.Command> commands, String op, Call call) {
        commands.put("consumer." + op, args -> member(args).run(c -> call.run(c, args)));
    }

    private Member member(JsonNode args) {
        return members.get(args.get("name").asText());
    }

    /** topics: subscribe; assign: [["topic", 0], ...]; seek: [["topic", 0, offset], ...] before the first poll. */
    private Object open(JsonNode args) {
        Member member = new Member(newConsumer(args.get("config")));
        if (args.has("topics"))
            member.consumer.subscribe(Driver.strings(args.get("topics")), member);
        if (args.has("assign"))
            member.consumer.assign(Driver.partitions(args.get("assign")));
        args.path("seek").forEach(n -> member.consumer.seek(Driver.partition(n), n.get(2).asLong()));
        members.put(args.get("name").asText(), member);
        member.thread.start();
        return null;
    }

    static KafkaConsumer<byte[], byte[]> newConsumer(JsonNode config) {
        return new KafkaConsumer<>(Driver.properties(config), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Every record from the start to the end of all partitions of a topic; the end is that of the isolation level. */
    private Object read(JsonNode args) throws Exception {
        List<Object> records = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = newConsumer(args.get("config"))) {
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_S);
            List<TopicPartition> partitions = new ArrayList<>();
            while (partitions.isEmpty()) { // a broker may not have heard of it yet
                if (System.nanoTime() > deadline)
                    throw new IllegalStateException("there is no such topic");
                consumer.partitionsFor(args.get("topic").asText())
                        .forEach(p -> partitions.add(new TopicPartition(p.topic(), p.partition())));
                if (partitions.isEmpty())
                    Thread.sleep(50);
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (!partitions.stream().allMatch(p -> consumer.position(p) >= ends.get(p))) {
                if (System.nanoTime() > deadline)
                    throw new IllegalStateException("the end is not reached; ends " + ends + ", read " + records.size());
                consumer.poll(Duration.ofMillis(50)).forEach(r -> {
                    if (r.offset() < ends.get(new TopicPartition(r.topic(), r.partition())))
                        records.add(record(r));
                });
            }
        }
        return records;
    }

    static Map<String, Object> record(ConsumerRecord<byte[], byte[]> r) {
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("topic", r.topic());
        result.put("partition", r.partition());
        result.put("offset", r.offset());
        result.put("timestamp", r.timestamp());
        result.put("timestampType", r.timestampType().toString());
        result.put("key", Driver.text(r.key()));
        result.put("value", Driver.text(r.value()));
        List<Object> headers = new ArrayList<>();
        for (Header h : r.headers()) {
            List<String> pair = new ArrayList<>();
            pair.add(h.key());
            pair.add(Driver.text(h.value()));
            headers.add(pair);
        }
        result.put("headers", headers);
        return result;
    }

    static List<Object> committed(OffsetAndMetadata o) {
        if (o == null)
            return null;
        List<Object> result = new ArrayList<>();
        result.add(o.offset());
        result.add(o.metadata());
        result.add(o.leaderEpoch().orElse(null));
        return result;
    }

    /** [["topic", 0, offset, "metadata", leaderEpoch], ...]; the last two may be missing. */
    static Map<TopicPartition, OffsetAndMetadata> offsets(JsonNode array) {
        Map<TopicPartition, OffsetAndMetadata> result = new LinkedHashMap<>();
        array.forEach(n -> result.put(Driver.partition(n), new OffsetAndMetadata(n.get(2).asLong(),
                n.hasNonNull(4) ? Optional.of(n.get(4).asInt()) : Optional.empty(),
                n.hasNonNull(3) ? n.get(3).asText() : "")));
        return result;
    }

    private static List<Object> pairs(Collection<TopicPartition> partitions) {
        List<Object> result = new ArrayList<>();
        partitions.stream().sorted(Comparator.comparing(TopicPartition::topic).thenComparing(TopicPartition::partition))
                .forEach(p -> result.add(List.of(p.topic(), p.partition())));
        return result;
    }

    private static Map<String, Object> named(Map<TopicPartition, Long> offsets) {
        Map<String, Object> result = new LinkedHashMap<>();
        offsets.forEach((p, o) -> result.put(p.toString(), o));
        return result;
    }

    /** One consumer with its thread, which polls and runs the commands in between. */
    private static final class Member implements ConsumerRebalanceListener {
        private static final Duration POLL = Duration.ofMillis(20);

        final KafkaConsumer<byte[], byte[]> consumer;
        final Thread thread = new Thread(this::loop, "consumer");
        private final Queue<Runnable> calls = new ConcurrentLinkedQueue<>();
        private final List<Object> records = new ArrayList<>();
        private final List<Object> events = new ArrayList<>();
        private Exception failure;
        private volatile boolean stopping;
        private volatile boolean leave = true;

        Member(KafkaConsumer<byte[], byte[]> consumer) {
            this.consumer = consumer;
        }

        private void loop() {
            while (!stopping) {
                for (Runnable call; (call = calls.poll()) != null; )
                    call.run();
                try {
                    if (consumer.subscription().isEmpty() && consumer.assignment().isEmpty())
                        Thread.sleep(POLL.toMillis());
                    else
                        for (ConsumerRecord<byte[], byte[]> r : consumer.poll(POLL))
                            synchronized (this) {
                                records.add(record(r));
                            }
                } catch (Exception e) {
                    synchronized (this) {
                        failure = e;
                    }
                    stopping = true;
                }
            }
            consumer.close(CloseOptions.timeout(Duration.ofSeconds(leave ? PATIENCE_S : 0)).withGroupMembershipOperation(leave
                    ? CloseOptions.GroupMembershipOperation.LEAVE_GROUP
                    : CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP));
        }

        Object run(Driver.ThrowingFunction<KafkaConsumer<byte[], byte[]>, Object> call) throws Exception {
            checkFailure();
            CompletableFuture<Object> result = new CompletableFuture<>();
            calls.add(() -> {
                try {
                    result.complete(call.apply(consumer));
                } catch (Exception e) {
                    result.completeExceptionally(e);
                }
            });
            return result.get(PATIENCE_S, TimeUnit.SECONDS);
        }

        /** The records since the last take; fails as poll() failed. */
        Object take() throws Exception {
            checkFailure();
            synchronized (this) {
                List<Object> taken = new ArrayList<>(records);
                records.clear();
                return taken;
            }
        }

        synchronized Object takeEvents() {
            List<Object> taken = new ArrayList<>(events);
            events.clear();
            return taken;
        }

        private synchronized void checkFailure() throws Exception {
            if (failure != null)
                throw failure;
        }

        void close(boolean leaveGroup) throws Exception {
            leave = leaveGroup;
            stopping = true;
            thread.join();
        }

        void abandon() throws Exception {
            leave = false;
            stopping = true;
            thread.join(2000);
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            event("assigned", partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            event("revoked", partitions);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            event("lost", partitions);
        }

        private synchronized void event(String what, Collection<TopicPartition> partitions) {
            events.add(List.of(what, pairs(partitions)));
        }
    }
}
