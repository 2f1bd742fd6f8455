"""The memory budget: what the whole process may take, whatever its clients do."""
import struct
import threading
import time
from contextlib import ExitStack

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from checks import check, equal
from confluent import QUIET, create
from hostile import FETCH, SLACK, connect, frame, serves, string
from scenario import Skip, scenario

MIB = 1 << 20
TIMEOUT_S = 100 * SLACK
PARTITIONS, RECORDS, VALUE = 1000, 30_000, b"v" * 4000  # 120 MB and as much again: more than there may be memory for


class Watch:
    """The most memory that the server had, and what it says that it had."""

    def __init__(self, server):
        self.server, self.most = server, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, self.now())

    def now(self):
        with open(f"/proc/{self.server.process.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))

    def end(self):
        self.over.set()
        self.thread.join()


def write(server, topic):
    acked = []
    producer = Producer({"bootstrap.servers": server.bootstrap, "linger.ms": 20, "queue.buffering.max.kbytes": 64 << 10,
                         "message.timeout.ms": 120_000} | QUIET)

    def delivered(error, message):
        acked.append(error)

    for i in range(RECORDS):
        while True:
            try:
                producer.produce(topic, VALUE, partition=i % PARTITIONS, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
        if i % 100 == 0:
            producer.poll(0)
    producer.flush(TIMEOUT_S)
    return acked


def catch_up(server, topic, group, counts):
    """Read everything from the start."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "enable.auto.commit": False,
                         "enable.partition.eof": True, "queued.max.messages.kbytes": 8192} | QUIET)
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    deadline = time.monotonic() + TIMEOUT_S
    while counts.get(group, 0) < RECORDS and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.5):
            if message.error() is None:
                counts[group] = counts.get(group, 0) + 1
            elif message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
    consumer.close()


def fetch_all(topic):
    """A request for 50 MB of all partitions, from their starts."""
    return frame(FETCH, 4, struct.pack(">iiiibi", -1, 0, 1, 50_000_000, 0, 1) + string(topic) + struct.pack(">i", PARTITIONS)
                 + b"".join(struct.pack(">iqi", p, 0, 1_000_000) for p in range(PARTITIONS)))


@scenario
def budget_holds(ctx):
    """A thousand partitions are written, five consumers catch up, forty ask for everything and do not read it, twenty announce
    requests that they never send: the process stays inside millrace.memory.bytes, and everybody else is served."""
    if ctx.is_kafka:
        raise Skip("it is about our budget")
    budget = 256 * MIB
    server = ctx.server({"millrace.memory.bytes": budget, "millrace.durability": "relaxed"})
    create(server, "t", PARTITIONS)
    watch, counts = Watch(server), {}
    with ExitStack() as stack:
        stack.callback(watch.end)
        for _ in range(20):
            stack.enter_context(connect(server)).sendall(struct.pack(">i", 100_000_000))
        acked = write(server, "t")
        equal("records that were acknowledged", (len(acked), [e for e in acked if e]), (RECORDS, []))
        for _ in range(40):
            stack.enter_context(connect(server)).sendall(fetch_all("t"))
        readers = [threading.Thread(target=catch_up, args=(server, "t", f"g{i}", counts)) for i in range(5)]
        for thread in readers:
            thread.start()
        acked = write(server, "t")
        equal("records that were acknowledged beside the readers", (len(acked), [e for e in acked if e]), (RECORDS, []))
        for thread in readers:
            thread.join()
        check("each has read all of them", len(counts) == 5 and min(counts.values()) >= RECORDS, str(counts))
        serves(server)
    check("the process stays inside its budget", watch.most <= budget * SLACK, f"{watch.most / MIB:.0f} MiB of {budget / MIB:.0f}")
    server.stop()
