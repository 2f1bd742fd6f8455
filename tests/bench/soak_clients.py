"""The clients of the soak: for each topic a producer that knows all that it was told, and a follower.

A record has a number within its partition, counting up from 0, in its header `n`.  Everything else
of it follows from partition and number, so what the log holds can be checked without keeping it.
"""
import threading
import time
from array import array
from collections import namedtuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

VALUE_BYTES = 1000
TOMBSTONE_EVERY = 37  # records of a compacted topic
DELIVERY_TIMEOUT_S = 120
READ_TIMEOUT_S = 60
QUEUE_MAX = 5_000  # records of a producer that wait for a broker that is away; a reader must not be outrun by them
QUIET = {"log_level": 2, "reconnect.backoff.max.ms": 200}

# keys: of each partition; 0: the topic is not compacted and its records have no key.
Topic = namedtuple("Topic", "name partitions keys rate config")


class SoakError(Exception):
    pass


def key_of(topic, partition, n):
    return f"{partition}-{n * 7919 % topic.keys}" if topic.keys else None


def value_of(topic, partition, n):
    """None: a tombstone."""
    if topic.keys and n % TOMBSTONE_EVERY == 0:
        return None
    return f"{topic.name}-{partition}-{n} ".ljust(VALUE_BYTES, "x")


def number_of(message):
    return int(dict(message.headers())["n"])


def check_content(topic, message, n):
    key, value = message.key(), message.value()
    if (key and key.decode()) != key_of(topic, message.partition(), n) or \
            (value and value.decode()) != value_of(topic, message.partition(), n):
        raise SoakError(f"{topic.name}-{message.partition()} offset {message.offset()}: not what was sent as number {n}")


def create(bootstrap, topics):
    admin = AdminClient({"bootstrap.servers": bootstrap} | QUIET)
    for created in admin.create_topics([NewTopic(t.name, t.partitions, 1, config=t.config) for t in topics]).values():
        created.result(READ_TIMEOUT_S)


class Client:
    """A thread; what goes wrong in it is kept for whoever asks."""

    def __init__(self, topic):
        self.topic = topic
        self.error = None
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            self.work()
        except Exception as e:  # SoakError, KafkaException: told by check(), on the thread that decides
            self.error = e

    def check(self):
        if self.error:
            raise SoakError(f"{type(self).__name__} of {self.topic.name}: {self.error}")

    def stop(self):
        self.stopping = True
        self.thread.join()
        self.check()


class Sender(Client):
    """An idempotent producer at a fixed rate.  `offsets[partition][n]` is where record n was said to be; every report
    must be the next of its partition in number and, as nobody else writes there, in offset."""

    def __init__(self, bootstrap, topic):
        super().__init__(topic)
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5,
                                  "message.timeout.ms": DELIVERY_TIMEOUT_S * 1000} | QUIET)
        self.offsets = [array("q") for _ in range(topic.partitions)]
        self.sent = [0] * topic.partitions
        self.latencies_ms = []  # since take_latencies
        self.thread.start()

    def work(self):
        began, count = time.monotonic(), 0
        while not self.stopping:
            due = int((time.monotonic() - began) * self.topic.rate)
            while count < due and len(self.producer) < QUEUE_MAX:
                self.send(count % self.topic.partitions)
                count += 1
            if count < due:  # the broker is away: what could not be sent is not caught up with
                began = time.monotonic() - count / self.topic.rate
            self.producer.poll(0.01)
            if self.error:
                return
        if self.producer.flush(DELIVERY_TIMEOUT_S):
            raise SoakError("records are still not acknowledged")

    def send(self, partition):
        n, now = self.sent[partition], time.monotonic()
        self.producer.produce(self.topic.name, value_of(self.topic, partition, n), key_of(self.topic, partition, n), partition,
                              on_delivery=lambda error, m: self.reported(error, m, n, now), headers={"n": str(n)})
        self.sent[partition] = n + 1

    def reported(self, error, message, n, sent_at):
        if self.error:
            return
        if error:
            self.error = SoakError(f"record {n} was not delivered: {error}")
            return
        offsets = self.offsets[message.partition()]
        expected = offsets[-1] + 1 if offsets else 0
        if n != len(offsets) or message.offset() != expected:
            self.error = SoakError(f"partition {message.partition()}: record {n} was reported at offset {message.offset()}, when "
                                   f"record {len(offsets)} was to be at {expected}")
            return
        offsets.append(message.offset())
        self.latencies_ms.append((time.monotonic() - sent_at) * 1000)

    def take_latencies(self):
        taken, self.latencies_ms = self.latencies_ms, []
        return taken

    def acked(self):
        return sum(map(len, self.offsets))


class Follower(Client):
    """Reads at the tail, through all restarts, and commits.  Nothing comes twice, nothing out of order; and nothing is
    missing, save what a cleaner may have taken away before it came by."""

    def __init__(self, bootstrap, topic):
        super().__init__(topic)
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"follow-{topic.name}", "enable.auto.commit": True,
                                  "auto.commit.interval.ms": 1000, "auto.offset.reset": "error", "fetch.wait.max.ms": 100} | QUIET)
        self.consumer.assign([TopicPartition(topic.name, p, 0) for p in range(topic.partitions)])
        self.last = [(-1, -1)] * topic.partitions  # number and offset
        self.seen = [0] * topic.partitions
        self.thread.start()

    def work(self):
        while not self.stopping:
            for message in self.consumer.consume(1000, 0.1):
                if message.error() is None:
                    self.take(message)
                elif not message.error().retriable() and message.error().code() not in AWAY:
                    raise KafkaException(message.error())

    def take(self, message):
        p, n = message.partition(), number_of(message)
        last_n, last_offset = self.last[p]
        if message.offset() <= last_offset or n <= last_n:
            raise SoakError(f"partition {p}: record {n} at {message.offset()} came after record {last_n} at {last_offset}")
        if not self.topic.keys and n != last_n + 1:
            raise SoakError(f"partition {p}: record {n} came after record {last_n}")
        check_content(self.topic, message, n)
        self.last[p] = (n, message.offset())
        self.seen[p] += 1

    def finish(self, sender):
        """Wait for the end of each partition, and commit it; -> committed offsets."""
        ends = [offsets[-1] for offsets in sender.offsets]
        deadline = time.monotonic() + READ_TIMEOUT_S
        while [offset for _, offset in self.last] != ends:
            self.check()
            if time.monotonic() > deadline:
                raise SoakError(f"{self.topic.name}: the follower is at {self.last} and the ends are {ends}")
            time.sleep(0.1)
        self.stop()
        if not self.topic.keys and self.seen != sender.sent:
            raise SoakError(f"{self.topic.name}: {sender.sent} were sent and {self.seen} seen")
        committed = [end + 1 for end in ends]
        self.consumer.commit(offsets=[TopicPartition(self.topic.name, p, offset) for p, offset in enumerate(committed)],
                             asynchronous=False)
        self.consumer.close()
        return committed


# A broker that is down is no error of a consumer: it will be back.
AWAY = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._RESOLVE}


# ---- what is in the log at the end -----------------------------------------------------------------------------------

def check_log(bootstrap, sender):
    """Read a topic from its beginning and hold it against what its producer was told; -> records, low watermarks."""
    topic = sender.topic
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "check", "enable.auto.commit": False,
                         "enable.partition.eof": True, "fetch.wait.max.ms": 10} | QUIET)
    lows = []
    for p in range(topic.partitions):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic.name, p), timeout=READ_TIMEOUT_S)
        if high != sender.offsets[p][-1] + 1:
            raise SoakError(f"{topic.name}-{p} ends at {high}; {sender.offsets[p][-1]} was acknowledged last")
        lows.append(low)
    consumer.assign([TopicPartition(topic.name, p, OFFSET_BEGINNING) for p in range(topic.partitions)])
    numbers = [array("q") for _ in range(topic.partitions)]
    ended, deadline = set(), time.monotonic() + READ_TIMEOUT_S
    while len(ended) < topic.partitions:
        if time.monotonic() > deadline:
            raise SoakError(f"{topic.name} cannot be read to its end")
        for message in consumer.consume(1000, 0.2):
            if message.error() is None:
                check_record(sender, message, numbers[message.partition()])
                deadline = time.monotonic() + READ_TIMEOUT_S
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise KafkaException(message.error())
    consumer.close()
    for p in range(topic.partitions):
        (check_last_values if topic.keys else check_whole)(topic, p, sender, numbers[p], lows[p])
    return sum(map(len, numbers)), lows


def check_record(sender, message, numbers):
    p, n = message.partition(), number_of(message)
    if numbers and n <= numbers[-1]:
        raise SoakError(f"{sender.topic.name}-{p}: record {n} stands behind record {numbers[-1]}")
    if sender.offsets[p][n] != message.offset():
        raise SoakError(f"{sender.topic.name}-{p}: record {n} is at {message.offset()}; {sender.offsets[p][n]} was said")
    check_content(sender.topic, message, n)
    numbers.append(n)


def check_whole(topic, p, sender, numbers, low):
    """Everything from the low watermark on."""
    if len(numbers) != len(sender.offsets[p]) - low:
        raise SoakError(f"{topic.name}-{p}: {len(numbers)} records from {low} on; {len(sender.offsets[p])} were acknowledged")


def check_last_values(topic, p, sender, numbers, low):
    """The last record of every key, unless that is a tombstone, which may be gone."""
    last = {key_of(topic, p, n): n for n in range(len(sender.offsets[p]))}
    there = {key_of(topic, p, n): n for n in numbers}
    for key, n in last.items():
        if there.get(key) != n and not (key not in there and value_of(topic, p, n) is None):
            raise SoakError(f"{topic.name}-{p}: key {key} was last written by record {n}; the log's last is {there.get(key)}")


def check_committed(bootstrap, topic, expected):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"follow-{topic.name}"} | QUIET)
    committed = consumer.committed([TopicPartition(topic.name, p) for p in range(topic.partitions)], timeout=READ_TIMEOUT_S)
    consumer.close()
    if [c.offset for c in committed] != expected:
        raise SoakError(f"{topic.name}: {expected} were committed; after kill -9 it is {[c.offset for c in committed]}")
