"""Our consumer in groups with Java's, librdkafka's and franz-go's: they join, leave and die while records are written all
the time. On our broker and on real Kafka."""
import struct
import threading
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, TopicPartition

from checks import check, equal, wait_equal, wait_for
from confluent import QUIET, create
from confluent import producer as confluent_producer
from lines import committed
from members import KINDS
from scenario import Skip, scenario
from server import PROPERTIES, KafkaServer

PARTITIONS = 6
PAUSE_S = 0.02  # between two records of a partition
TIMEOUT_S = 60

# Who joins, one after the other: the first one leads. Who leaves then, and who dies after that; one of its kind comes back.
Case = namedtuple("Case", "assignor joins leaves dies")
EAGER = [
    Case("range", ["ours", "java", "rdkafka", "franz"], "java", "ours"),
    Case("roundrobin", ["rdkafka", "ours", "franz", "java"], "rdkafka", "ours"),
    Case("sticky", ["java", "ours", "franz", "ours-by-hand"], "java", "franz"),
]
COOPERATIVE = [
    Case("cooperative-sticky", ["franz", "ours", "java", "rdkafka"], "franz", "ours"),
    Case("cooperative-sticky", ["ours-by-hand", "rdkafka", "java", "ours"], "ours-by-hand", "java"),
]


class Traffic:
    """One record after the other to every partition, until it is stopped. The value of each is its offset."""

    def __init__(self, server, topic):
        self.topic = topic
        self.written = 0  # acknowledged in every partition
        self._counts, self._errors = [0] * PARTITIONS, []
        # One request at a time: of several, of which real Kafka refuses the first, it takes the second; see lines.sender.
        self._producer = confluent_producer(server, acks="all", enable_idempotence=True, max_in_flight_requests_per_connection=1)
        self.stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        number = 0
        while not self.stopping:
            for partition in range(PARTITIONS):
                self._producer.produce(self.topic, str(number), partition=partition, on_delivery=self._delivered)
            number += 1
            self._producer.poll(0)
            time.sleep(PAUSE_S)
        self._producer.flush(TIMEOUT_S)

    def _delivered(self, error, message):
        if error or message.offset() != int(message.value()):
            self._errors.append(f"{error} of {message.value()} at {message.offset()}")
        self._counts[message.partition()] += 1
        self.written = min(self._counts)

    def stop(self):
        """How many are in each partition."""
        self.stopping = True
        self._thread.join()
        equal("errors of the producer", self._errors, [])
        equal("records that were acknowledged", set(self._counts), {self.written})
        return self.written


class Group:
    """A group on a topic of its own, both named after the case."""

    def __init__(self, ctx, server, case):
        self.ctx, self.server, self.case = ctx, server, case
        self.name = f"{case.assignor}-led-by-{case.joins[0]}"
        self.assignor = case.assignor
        self.members = {}   # that are there
        self.all = []       # (kind, member), also those that have left or died
        self.dead = []
        create(server, self.name, PARTITIONS)
        self.traffic = Traffic(server, self.name)

    def __enter__(self):
        return self

    def __exit__(self, kind, e, trace):
        self.traffic.stopping = True
        for m in self.members.values():
            try:
                m.leave()
            except Exception:  # why it failed is known
                pass
        if e:
            raise AssertionError(f"{self.name}: {type(e).__name__}: {e}") from e

    def join(self, kind):
        name = f"{self.name}-{kind}-{len(self.all)}"
        self.members[kind] = KINDS[kind](self.ctx, name, self.server, self.name, self.name, self.assignor)
        self.all.append((kind, self.members[kind]))
        self.settle(f"{kind} has joined")

    def leave(self, kind):
        self.members.pop(kind).leave()
        self.settle(f"{kind} has left")

    def kill(self, kind):
        self.dead.append(self.members.pop(kind))
        self.dead[-1].kill()
        self.settle(f"{kind} has died")

    def settle(self, what):
        """Every partition has one owner, in equal shares, and each owner reads on in each of its partitions."""
        count = len(self.members)
        shares = sorted((PARTITIONS + i) // count for i in range(count))
        owned = {}

        def is_shared():
            owned.update({kind: m.owned() for kind, m in self.members.items()})
            return sorted(map(len, owned.values())) == shares and set().union(*owned.values()) == set(range(PARTITIONS))

        def all_read(since):
            return all(any(p == partition and o >= since for p, o in reversed(reads)) for kind, partitions in owned.items()
                       for reads in [self.members[kind].reads()] for partition in partitions)

        try:
            wait_for("the partitions are shared", is_shared, TIMEOUT_S)
            since = self.traffic.written
            wait_for(f"each owner reads behind {since}", lambda: is_shared() and all_read(since), TIMEOUT_S)
        except AssertionError as e:
            state = self.ctx.java.admin(self.server, "describeClassicGroups", groups=[self.name])[self.name]
            raise AssertionError(f"{what}: {e}; owned {owned}, {state}") from e

    def end(self):
        """No more records come; all are read and committed; all leave."""
        count = self.traffic.stop()
        everything = {(p, o) for p in range(PARTITIONS) for o in range(count)}

        def read():
            return {at for _, m in self.all for at in m.reads()}

        wait_for("everything is read", lambda: read() >= everything, TIMEOUT_S)
        equal("what was not written, and was read", read() - everything, set())
        # Of several that leave at once, others than ours may have their last commit refused.
        read_by = {p: kind for kind, m in self.members.items() for p in m.owned()}
        wait_for("what was read is committed", lambda: all(
            committed(self.ctx, self.server, self.name).get(f"{self.name}-{p}") == count for p, kind in read_by.items()
            if not kind.startswith("ours")), TIMEOUT_S)
        for kind in list(self.members):
            self.members.pop(kind).leave()
        wait_equal("committed", lambda: committed(self.ctx, self.server, self.name),
                   {f"{self.name}-{p}": count for p in range(PARTITIONS)})
        return count

    def check_history(self, count, once=True):
        """Commits never go back. Whoever begins to read begins where the group had committed, and goes on without a gap.
        And `once`: what ours had read when it gave a partition up, nobody reads again."""
        commits = commits_of(self.server, self.name)
        for partition, offsets in commits.items():
            equal(f"commits of partition {partition} that go back", [(a, b) for a, b in zip(offsets, offsets[1:]) if b < a], [])
        seen, all_runs = set(), []
        for kind, m in self.all:
            for partition, run in runs(m.reads()):
                check(f"{kind} begins where the group had committed", run[0] in [0, *commits[partition]],
                      f"partition {partition} from {run[0]}, committed {commits[partition]}")
                all_runs.append((partition, run[0], run[-1], kind, m))
                seen |= {(partition, o) for o in run}
        equal("records that came", len(seen), count * PARTITIONS)
        for partition, first, last, kind, m in all_runs:
            if once and kind.startswith("ours") and m not in self.dead:
                again = [run for run in all_runs if run[0] == partition and first < run[1] <= last]
                check(f"nobody reads partition {partition} again that {kind} has read from {first} to {last}", not again, again)


def runs(reads):
    """Offsets of one partition without a gap: [(partition, [offset, ...]), ...]."""
    found, last = [], {}
    for partition, offset in reads:
        run = last.get(partition)
        if run and offset == run[-1] + 1:
            run.append(offset)
        else:
            last[partition] = [offset]
            found.append((partition, last[partition]))
    return found


def commits_of(server, group):
    """{partition: [offset, ...]} that the group has committed, in that order: what is in __consumer_offsets."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "history", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "fetch.wait.max.ms": 10} | QUIET)
    places = [TopicPartition("__consumer_offsets", p, 0) for p in range(PROPERTIES["offsets.topic.num.partitions"])]
    ends = {p.partition: consumer.get_watermark_offsets(p, timeout=TIMEOUT_S)[1] for p in places}
    consumer.assign(places)
    result = {p: [] for p in range(PARTITIONS)}
    wait_for("the end of the commits", lambda: take_commits(consumer, group, result) or all(
        p.offset >= ends[p.partition] or ends[p.partition] == 0 for p in consumer.position(places)), TIMEOUT_S, interval_s=0)
    consumer.close()
    return result


def take_commits(consumer, group, result):
    for message in consumer.consume(1000, 0.1):
        check("reading __consumer_offsets", not message.error(), message.error())
        key, texts = message.key(), []
        version, position = struct.unpack_from(">h", key)[0], 2
        if version > 1 or message.value() is None:
            continue  # a group's members, or a commit that is gone
        for _ in range(2):
            size, = struct.unpack_from(">h", key, position)
            texts.append(key[position + 2:position + 2 + size].decode())
            position += 2 + size
        if texts == [group, group]:
            partition, = struct.unpack_from(">i", key, position)
            result[partition].append(struct.unpack_from(">hq", message.value())[1])


def play(ctx, server, case):
    with Group(ctx, server, case) as group:
        for kind in case.joins:
            group.join(kind)
        group.leave(case.leaves)
        group.kill(case.dies)
        group.join(case.dies)
        group.check_history(group.end())


def play_all(ctx, cases, **more):
    """Side by side, as they mostly wait."""
    server = ctx.server(**more)
    with ThreadPoolExecutor(len(cases)) as pool:
        for outcome in [pool.submit(play, ctx, server, case) for case in cases]:
            outcome.result()


@scenario
def eager(ctx):
    """range, roundrobin, sticky: everybody gives everything up at each change."""
    play_all(ctx, EAGER)


@scenario
def cooperative(ctx):
    """cooperative-sticky: only what moves is given up."""
    play_all(ctx, COOPERATIVE)


@scenario
def server_killed(ctx):
    """kill -9 of the server under a group of all kinds: it goes on, and what was committed is."""
    server = ctx.server()
    with Group(ctx, server, COOPERATIVE[0]) as group:
        for kind in group.case.joins:
            group.join(kind)
        server.kill_restart()
        group.settle("the server was killed")
        group.check_history(group.end(), once=False)


@scenario
def on_kafka(ctx):
    """All of them, coordinated by real Kafka."""
    if ctx.is_kafka:
        raise Skip("the others are on Kafka already")
    play_all(ctx, EAGER + COOPERATIVE, server_class=KafkaServer)
