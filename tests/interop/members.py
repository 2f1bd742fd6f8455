"""Members of four kinds in one consumer group, behind one face: what each owns, and what it has read.

Each commits what it has read, often, and before it gives a partition up. Ours does that whatever happens. Others may have
that commit refused, where the group is being shared out by then: so cooperative ones read some records again."""
import threading
import time

from confluent_kafka import Consumer, KafkaException

from checks import check, equal
from confluent import QUIET
from lines import Lines, OurConsumer
from server import CACHE

JAVA = {"range": "Range", "roundrobin": "RoundRobin", "sticky": "Sticky", "cooperative-sticky": "CooperativeSticky"}
COMMIT_S = 0.1
SESSION_MS = 10_000  # who stands still for so long has read what it cannot commit, and counts as dead


class Ours(OurConsumer):
    def __init__(self, ctx, name, server, topic, group, assignor, **settings):
        settings = {"enable_auto_commit": "true", "auto_commit_interval_ms": int(1000 * COMMIT_S)} | settings
        super().__init__(ctx, name, server, group_id=group, session_timeout_ms=SESSION_MS, client_id=name,
                         partition_assignment_strategy=assignor, **settings)
        self.ask("subscribe", topic)

    def owned(self):
        return {p for _, p in super().owned()}

    def reads(self):
        """(partition, offset), in the order in which they came."""
        return [(line["record"]["partition"], line["record"]["offset"]) for line in self.said("record")]

    def leave(self):
        self.ask("close")
        self.stop()
        equal(f"what {self.name} had trouble with", self.said("error"), [])


class OursByHand(Ours):
    """It runs in a loop of the program's, and commits in the hook only, as programs with enable.auto.commit=false do."""

    def __init__(self, *args):
        super().__init__(*args, enable_auto_commit="false", loop="own", commit="revoked")

    def leave(self):
        self.ask("unsubscribe")
        self.wait("it has nothing any more", lambda: not self.owned())
        super().leave()


class Java:
    def __init__(self, ctx, name, server, topic, group, assignor):
        self.java, self.name, self._reads = ctx.java, name, []
        self.java.consumer(server, name, topics=[topic], group_id=group, client_id=name, session_timeout_ms=SESSION_MS,
                           enable_auto_commit="true", auto_commit_interval_ms=int(1000 * COMMIT_S),
                           partition_assignment_strategy=f"org.apache.kafka.clients.consumer.{JAVA[assignor]}Assignor")

    def owned(self):
        return {p for _, p in self.java("consumer.assignment", name=self.name)}

    def reads(self):
        self._reads += [(r["partition"], r["offset"]) for r in self.java("consumer.take", name=self.name)]
        return self._reads

    def leave(self, goodbye=True):
        last = self.java("consumer.close", name=self.name, leave=goodbye)
        self._reads += [(r["partition"], r["offset"]) for r in last]
        self.reads = lambda: self._reads

    def kill(self):
        self.leave(goodbye=False)


class Franz(Lines):
    def __init__(self, ctx, name, server, topic, group, assignor):
        super().__init__(ctx, name, [CACHE / "franz", "group", server.bootstrap, topic, group, assignor])

    def reads(self):
        return [(line["record"]["partition"], line["record"]["offset"]) for line in self.said("record")]

    def leave(self):
        self.stop()


class Rdkafka:
    def __init__(self, ctx, name, server, topic, group, assignor):
        self._owned, self._reads = set(), []
        self._stopping = False
        self._consumer = Consumer({
            "bootstrap.servers": server.bootstrap, "group.id": group, "client.id": name, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, "session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 100, "fetch.wait.max.ms": 50,
            "partition.assignment.strategy": assignor} | QUIET)
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _assigned(self, _, partitions):
        self._owned |= {p.partition for p in partitions}

    def _revoked(self, _, partitions):
        self._commit()
        self._owned -= {p.partition for p in partitions}

    def _commit(self):
        try:
            self._consumer.commit(asynchronous=False)
        except KafkaException:  # there is nothing, or not while the group is being shared out
            pass

    def _run(self):
        due = 0
        while not self._stopping:
            message = self._consumer.poll(COMMIT_S / 2)
            if message and not message.error():
                self._reads.append((message.partition(), message.offset()))
            if time.monotonic() > due:
                self._commit()
                due = time.monotonic() + COMMIT_S
        self._commit()
        self._consumer.close()

    def owned(self):
        return set(self._owned)

    def reads(self):
        return self._reads[:]

    def leave(self):
        self._stopping = True
        self._thread.join(60)
        check("librdkafka's consumer has closed", not self._thread.is_alive())


KINDS = {"ours": Ours, "ours-by-hand": OursByHand, "java": Java, "franz": Franz, "rdkafka": Rdkafka}
