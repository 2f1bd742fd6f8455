"""confluent-kafka for Python (librdkafka): delivery reports, groups of two with rebalances, commits that hold."""
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ConfigSource, NewTopic

from checks import CODECS, batches, check, equal, wait_equal, wait_for
from scenario import scenario
from server import KEEPS

TIMEOUT_S = 60
WAITING_MAX = 70  # records of a loop that wait for an answer, in each partition
QUIET = {"log_level": 2, "reconnect.backoff.max.ms": 200}  # a server that is away is part of the tests


def producer(server, **config):
    return Producer({"bootstrap.servers": server.bootstrap, "linger.ms": 5} | QUIET
                    | {k.replace("_", "."): v for k, v in config.items()})


def create(server, name, partitions=1):
    admin = AdminClient({"bootstrap.servers": server.bootstrap} | QUIET)
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(TIMEOUT_S)


def read(server, topic, partitions):
    """Every record of a topic, sorted by partition and offset."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "reader", "enable.auto.commit": False,
                         "enable.partition.eof": True, "fetch.wait.max.ms": 10} | QUIET)
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    records, ended = [], set()
    deadline = time.monotonic() + TIMEOUT_S
    while len(ended) < partitions:
        check(f"reading {topic} comes to its end", time.monotonic() < deadline)
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            if message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
            ended.add(message.partition())
        else:
            records.append(record(message))
    consumer.close()
    return sorted(records, key=lambda r: (r["partition"], r["offset"]))


def record(message):
    return {"partition": message.partition(), "offset": message.offset(), "key": message.key(), "value": message.value().decode(),
            "timestamp": message.timestamp()[1], "headers": message.headers()}


class Loop:
    """A producer on a thread that sends PREFIX-PARTITION-NUMBER until it is stopped, and what was acknowledged."""

    def __init__(self, server, topic, partitions, prefix, **config):
        self.producer = producer(server, **{"enable_idempotence": True, "compression_type": "zstd", "message_timeout_ms": 100_000} | config)
        self.topic, self.partitions, self.prefix = topic, partitions, prefix
        self.acked, self.sent, self.errors, self.count = {}, {}, [], 0
        self.waiting = [0] * partitions
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)  # a scenario that fails may leave it
        self.thread.start()

    def run(self):
        try:
            self.send_on()
        except KafkaException as e:  # a fatal error: this producer takes no more
            self.errors.append(str(e))
        self.producer.flush(120)

    def send_on(self):
        """A partition that is held up does not hold up the others: librdkafka asks who leads of the node to which it has sent last,
        and if that is one that is cut off, and nothing goes to others, it asks it for ever."""
        while not self.stopping:
            for partition in range(self.partitions):
                if self.waiting[partition] < WAITING_MAX:
                    number = self.sent.get(str(partition), 0)
                    self.producer.produce(self.topic, f"{self.prefix}-{partition}-{number}", partition=partition,
                                          on_delivery=lambda error, m, n=number, p=partition: self.delivered(error, m, n, p))
                    self.sent[str(partition)] = number + 1
                    self.waiting[partition] += 1
            self.producer.poll(0.001)

    def delivered(self, error, message, number, partition):
        self.waiting[partition] -= 1
        if error:
            self.errors.append(str(error))
            return
        self.acked.setdefault(str(message.partition()), []).append([number, message.offset()])
        self.count += 1

    def acked_count(self):
        equal(f"errors of {self.prefix}", self.errors, [])
        return self.count

    def stop(self):
        self.stopping = True
        self.thread.join()
        return {"acked": self.acked, "sent": self.sent, "errors": self.errors}


class Member:
    """A group member on a thread: what it was assigned, and the records that it got and committed."""

    def __init__(self, server, topic, group, **config):
        self.consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                                  "enable.auto.commit": False, "session.timeout.ms": 45_000, "heartbeat.interval.ms": 200,
                                  "fetch.wait.max.ms": 50} | QUIET
                                 | {k.replace("_", "."): v for k, v in config.items()})
        self.records, self.events, self.owned = [], [], set()
        self.errors = []
        self.cooperative = config.get("partition_assignment_strategy") == "cooperative-sticky"
        self.stopping = False
        self.consumer.subscribe([topic], on_assign=self.on_assign, on_revoke=self.on_revoke)
        self.thread = threading.Thread(target=self.run, daemon=True)  # a scenario that fails may leave it
        self.thread.start()

    def on_assign(self, consumer, partitions):
        self.events.append(("assigned", sorted(p.partition for p in partitions)))
        self.owned |= {p.partition for p in partitions}

    def on_revoke(self, consumer, partitions):
        self.events.append(("revoked", sorted(p.partition for p in partitions)))
        self.owned -= {p.partition for p in partitions}

    def run(self):
        while not self.stopping:
            message = self.consumer.poll(0.1)
            if message is None:
                continue
            if message.error():
                self.errors.append(str(message.error()))
                continue
            self.records.append(record(message))
            try:
                self.consumer.commit(message, asynchronous=False)
            except KafkaException as e:
                self.errors.append(str(e))
        self.consumer.close()

    def stop(self):
        self.stopping = True
        self.thread.join()


@scenario
def deliveries(ctx):
    """Delivery reports with offsets for every codec; keys, headers, timestamps; through kill -9."""
    server = ctx.server(KEEPS)
    expected = {}
    for codec in CODECS:
        create(server, codec, 2)
        reports = []
        p = producer(server, compression_type=codec, acks="all", enable_idempotence=True)
        for i in range(300):
            p.produce(codec, f"{codec} {i}", key=None if i % 4 == 0 else f"k{i}", partition=i % 2, timestamp=1_700_000_000_000 + i,
                      headers=[("codec", codec), ("n", str(i))], on_delivery=lambda error, m: reports.append((error, m)))
        equal(f"left in the queue for {codec}", p.flush(TIMEOUT_S), 0)
        equal(f"errors for {codec}", [str(e) for e, _ in reports if e], [])
        expected[codec] = sorted(({"partition": i % 2, "offset": i // 2, "key": None if i % 4 == 0 else f"k{i}".encode(),
                                   "value": f"{codec} {i}", "timestamp": 1_700_000_000_000 + i,
                                   "headers": [("codec", codec.encode()), ("n", str(i).encode())]} for i in range(300)),
                                 key=lambda r: (r["partition"], r["offset"]))
        equal(f"reports for {codec}", sorted((m.partition(), m.offset(), m.value().decode()) for _, m in reports),
              [(r["partition"], r["offset"], r["value"]) for r in expected[codec]])
    for restart in [None, server.kill_restart, server.restart]:
        if restart:
            restart()
        for codec in CODECS:
            equal(f"records of {codec}", read(server, codec, 2), expected[codec])
    server.stop()
    for codec in CODECS:
        equal(f"codecs on disk of {codec}", {b.codec for b in batches(server, codec, 1)}, {codec})


def two_members(ctx, strategy):
    server = ctx.server()
    create(server, "work", 4)
    p = producer(server, acks="all", enable_idempotence=True)
    members, everyone = [], []
    sent = []

    def join():
        members.append(Member(server, "work", "crew", partition_assignment_strategy=strategy))
        everyone.append(members[-1])

    def settle(sizes):
        wait_for(f"members own {sizes}", lambda: sorted(len(m.owned) for m in members) == sorted(sizes)
                 and set().union(*(m.owned for m in members)) == set(range(4)), timeout_s=60)

    def feed(tag):
        for partition in range(4):
            p.produce("work", f"{tag} {partition}", partition=partition)
            sent.append(f"{tag} {partition}")
        equal("left in the queue", p.flush(TIMEOUT_S), 0)

    try:
        join()
        settle([4])
        feed("one")
        wait_equal("the first member's records", lambda: sorted(r["value"] for r in members[0].records), sorted(sent))
        join()
        settle([2, 2])
        if strategy == "cooperative-sticky":
            equal("the first gave up two", [len(ps) for what, ps in members[0].events if what == "revoked"], [2])
        else:
            check("the first gave up all", ("revoked", [0, 1, 2, 3]) in members[0].events, str(members[0].events))
        for tag, restart in [("two", None), ("killed", server.kill_restart), ("restarted", server.restart)]:
            if restart:
                restart()
            feed(tag)
            wait_equal(f"records after {tag}", lambda: {r["value"] for m in members for r in m.records}, set(sent), timeout_s=60)
        settle([2, 2])
        members.pop(0).stop()
        settle([4])
        feed("alone")
        wait_for("the last records", lambda: {f"alone {q}" for q in range(4)} <= {r["value"] for r in members[0].records})
    finally:
        for m in everyone:
            m.stop()
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "crew"} | QUIET)
    committed = consumer.committed([TopicPartition("work", q) for q in range(4)], timeout=TIMEOUT_S)
    equal("committed", [c.offset for c in committed], [len(sent) // 4] * 4)
    consumer.close()

    server.kill_restart()
    feed("late")
    late = Member(server, "work", "crew", partition_assignment_strategy=strategy)
    try:
        wait_for("the late member's records", lambda: len(late.records) >= 4)
        time.sleep(0.2)
        equal("the late member starts where the group ended", sorted(r["value"] for r in late.records),
              [f"late {q}" for q in range(4)])
    finally:
        late.stop()


@scenario
def eager_group(ctx):
    """Two members with the range assignor: join, share, server killed and restarted, one leaves, commits hold."""
    two_members(ctx, "range")


@scenario
def cooperative_group(ctx):
    """The same with cooperative-sticky."""
    two_members(ctx, "cooperative-sticky")


@scenario
def offsets(ctx):
    """Watermarks, offsets by time, metadata, and a consumer that starts from a stored offset."""
    server = ctx.server(KEEPS)
    create(server, "t", 2)
    p = producer(server, enable_idempotence=True)
    for i in range(10):
        p.produce("t", str(i), partition=0, timestamp=1_700_000_000_000 + 10 * i)
    equal("left in the queue", p.flush(TIMEOUT_S), 0)
    server.kill_restart()
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "g", "enable.auto.commit": False} | QUIET)
    equal("watermarks", consumer.get_watermark_offsets(TopicPartition("t", 0), timeout=TIMEOUT_S), (0, 10))
    equal("of the empty one", consumer.get_watermark_offsets(TopicPartition("t", 1), timeout=TIMEOUT_S), (0, 0))

    def at(timestamp):
        return [q.offset for q in consumer.offsets_for_times([TopicPartition("t", q, timestamp) for q in range(2)], timeout=TIMEOUT_S)]

    equal("by time", at(1_700_000_000_045), [5, -1])
    equal("after all", at(1_700_000_000_091), [-1, -1])
    topics = consumer.list_topics(timeout=TIMEOUT_S).topics
    equal("partitions", {q: (m.leader, m.replicas, m.isrs) for q, m in topics["t"].partitions.items()},
          {q: (1, [1], [1]) for q in range(2)})
    consumer.commit(offsets=[TopicPartition("t", 0, 7)], asynchronous=False)
    server.kill_restart()
    consumer.assign([TopicPartition("t", 0)])  # from the committed offset
    got = [wait_for("a record", lambda: consumer.poll(0.2)).offset() for _ in range(3)]
    equal("from the committed offset", got, [7, 8, 9])
    consumer.close()


@scenario
def admin(ctx):
    """librdkafka's own admin requests: create, describe settings, alter, add partitions, delete; groups."""
    server = ctx.server()
    client = AdminClient({"bootstrap.servers": server.bootstrap} | QUIET)
    client.create_topics([NewTopic("t", 1, 1, config={"retention.ms": "1000"})])["t"].result(TIMEOUT_S)
    try:
        client.create_topics([NewTopic("t", 1, 1)])["t"].result(TIMEOUT_S)
    except KafkaException as e:
        equal("error", e.args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS)
    else:
        raise AssertionError("a topic was created twice")
    resource = ConfigResource(ConfigResource.Type.TOPIC, "t")
    settings = client.describe_configs([resource])[resource].result(TIMEOUT_S)
    equal("retention.ms", settings["retention.ms"].value, "1000")
    equal("compression.type", settings["compression.type"].value, "producer")
    p = producer(server)
    p.produce("t", "x")
    p.flush(TIMEOUT_S)
    member = Member(server, "t", "crew", client_id="member")
    wait_for("its record", lambda: member.records)
    groups = client.list_consumer_groups().result(TIMEOUT_S)
    equal("groups", [(g.group_id, g.state.name) for g in groups.valid], [("crew", "STABLE")])
    described = client.describe_consumer_groups(["crew"])["crew"].result(TIMEOUT_S)
    equal("members", [(m.client_id, [q.partition for q in m.assignment.topic_partitions]) for m in described.members], [("member", [0])])
    member.stop()
    # Its goodbye is not waited for longer than five seconds.
    wait_equal("state without members", lambda: client.describe_consumer_groups(["crew"])["crew"].result(TIMEOUT_S).state.name, "EMPTY")
    client.delete_consumer_groups(["crew"])["crew"].result(TIMEOUT_S)
    equal("groups after delete", client.list_consumer_groups().result(TIMEOUT_S).valid, [])
    client.delete_topics(["t"])["t"].result(TIMEOUT_S)
    wait_for("the topic is gone", lambda: "t" not in client.list_topics(timeout=TIMEOUT_S).topics)


@scenario
def alter_all_settings(ctx):
    """The older AlterConfigs, which many clients still send: what the request does not name is removed."""
    server = ctx.server()
    client = AdminClient({"bootstrap.servers": server.bootstrap} | QUIET)
    client.create_topics([NewTopic("t", 1, 1, config={"retention.ms": "1000", "max.message.bytes": "5000"})])["t"].result(TIMEOUT_S)

    def own():
        resource = ConfigResource(ConfigResource.Type.TOPIC, "t")
        settings = client.describe_configs([resource])[resource].result(TIMEOUT_S)
        return {name: s.value for name, s in settings.items() if s.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value}

    def alter(topic, settings, **options):
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config=settings)
        try:
            client.alter_configs([resource], **options)[resource].result(TIMEOUT_S)
        except KafkaException as e:
            return e.args[0].code(), e.args[0].str()
        return None

    equal("made", own(), {"retention.ms": "1000", "max.message.bytes": "5000"})
    equal("validate", alter("t", {"retention.ms": "3"}, validate_only=True), None)
    equal("a wrong value", alter("t", {"retention.ms": "many"}),
          (KafkaError.INVALID_CONFIG, "Invalid value many for configuration retention.ms: Not a number of type LONG"))
    equal("a topic that is not there", alter("missing", {"retention.ms": "3"}),
          (KafkaError.UNKNOWN_TOPIC_OR_PART, "The topic 'missing' does not exist."))
    equal("nothing has changed", own(), {"retention.ms": "1000", "max.message.bytes": "5000"})
    equal("alter", alter("t", {"retention.ms": "2000", "cleanup.policy": "compact"}), None)
    wait_equal("one is removed", own, {"retention.ms": "2000", "cleanup.policy": "compact"})
    server.kill_restart()
    equal("after kill -9", own(), {"retention.ms": "2000", "cleanup.policy": "compact"})
    equal("alter to nothing", alter("t", {}), None)
    wait_equal("all are removed", own, {})
