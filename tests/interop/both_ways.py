"""Kafka and the server under test take turns on the same directories, under the eyes of clients that stay: after Kafka's clean stop and
its kill -9, with transactions of every kind, producers that go on, and compaction cut off at each of its steps; then Kafka starts again
and has nothing to repair."""
import re
import shutil

from checks import batches, check, equal, segment_sizes, wait_equal, wait_for
from compaction import CLEANER, MIB, Keyed, dump, log_bytes, partition_dir
from compaction import fill as fill_keyed
from files import EVERY_START, REPAIR
from scenario import Skip, scenario
from server import KafkaServer, NextKafkaServer

ISOLATIONS = ["read_uncommitted", "read_committed"]
LONG_MS = 600_000  # no transaction runs out of time here
STORAGE = re.compile(r"\((org\.apache\.)?kafka\.(log|storage)\b")  # who says it: on a busy machine others complain of heartbeats
PARTITIONS = {"tx": 2, "plain": 2}


def nothing_to_repair(kafka, log, when):
    """Kafka believed what it found, without a scan."""
    for d in kafka.log_dirs:
        check(f"Kafka skipped the recovery of {d.name} {when}",
              re.search(rf"Skipping recovery of \d+ logs from {d} since clean shutdown file", log))
    equal(f"repairs by Kafka {when}", [line for line in log.splitlines() if STORAGE.search(line) and REPAIR.search(line)
                                       and not EVERY_START.search(line)], [])


class Story:
    """A server's life under both hands: who was told what, and what must be seen of it."""

    def __init__(self, ctx, kafka_class):
        self.ctx, self.java, self.kafka_class = ctx, ctx.java, kafka_class
        self.committed, self.plain = [], {0: [], 1: []}  # values of tx that read_committed must show; values of plain
        self.hidden = 0  # of the last of `committed`: behind an open transaction
        self.server = ctx.server(server_class=kafka_class)

    def transactional(self, name):
        self.java.producer(self.server, name, transactional_id=name, transaction_timeout_ms=LONG_MS, linger_ms=5)
        self.java("producer.init", name=name)

    def transact(self, name, outcome, tag, offsets=()):
        """A transaction over both partitions, which ends with `outcome`, or stays open."""
        self.java.transaction(self.server, name, offsets, group="in-transactions")
        values = [f"{name} {tag} {i} " + "t" * 900 for i in range(40)]
        sent = self.java.send("tx", [{"partition": i % 2, "key": tag, "value": v} for i, v in enumerate(values)], name=name)
        equal(f"records of {name} {tag}", [s.get("error") for s in sent], [None] * len(values))
        if outcome:
            self.java(f"producer.{outcome}", name=name)
            self.wait_marked(f"{name} {tag}", {p: max(s["offset"] for s in sent if s["partition"] == p) for p in range(2)}, 1)
        if outcome == "commit":
            self.committed += values
            for topic, partition, offset in offsets:
                self.wait_committed(f"{topic}-{partition}", offset)
        return values

    def ends(self):
        """Of the partitions of tx, what is open and the markers among it."""
        outcome = self.java.admin(self.server, "listOffsets", partitions=[["tx", p, "latest"] for p in range(PARTITIONS["tx"])])
        return [outcome[f"tx-{p}"][0] for p in range(PARTITIONS["tx"])]

    def wait_marked(self, what, last, markers):
        """Brokers answer when an end is decided, and write it to the partitions after that."""
        wait_equal(f"ends of tx with the markers of {what}", self.ends, [last[p] + 1 + markers for p in range(PARTITIONS["tx"])])

    def wait_committed(self, partition, offset):
        """Likewise, the offsets of a transaction."""
        wait_equal(f"the offset for {partition} that a transaction has committed",
                   lambda: (self.java.admin(self.server, "listConsumerGroupOffsets", groups=["in-transactions"])["in-transactions"]
                            .get(partition) or [None])[0], offset)

    def produce(self, tag):
        """The same idempotent producer goes on; each record comes where the last one ended."""
        values = [f"{tag} {i}" for i in range(20)]
        sent = self.java.send("plain", [{"partition": i % 2, "value": v} for i, v in enumerate(values)], name="idempotent")
        for i, v in enumerate(values):
            equal(f"offset of {v}", sent[i].get("offset", sent[i]), len(self.plain[i % 2]))
            self.plain[i % 2].append(v)

    def begin(self):
        java = self.java
        for topic, n in PARTITIONS.items():
            java.create(self.server, topic, partitions=n, segment_bytes=MIB, index_interval_bytes=1024)
        for name in ["steady", "other", "open-commit", "open-abort"]:
            self.transactional(name)
        java.producer(self.server, "idempotent", linger_ms=5)
        java.producer(self.server, "filler", linger_ms=5)
        self.produce("Kafka's first")
        for i in range(12):
            self.transact("steady", "abort" if i % 3 == 1 else "commit", f"{i}", offsets=[["plain", 0, i]])
            self.transact("other", "commit" if i % 2 else "abort", f"{i}")
            filler = [f"filler {i} {k} " + "f" * 900 for k in range(200)]  # so that there are several segments
            java.send("tx", [{"partition": k % 2, "value": v} for k, v in enumerate(filler)], name="filler")
            self.committed += filler
        java.admin(self.server, "alterConsumerGroupOffsets", group="outside", offsets=[["plain", 0, 3, "Kafka"], ["plain", 1, 4]])
        java.consumer(self.server, "member", topics=["plain"], group_id="members")
        wait_for("the member's assignment", lambda: len(java("consumer.assignment", name="member")) == 2)
        java("consumer.commit", name="member", offsets=[["plain", 0, 7, "by a member"]])
        java("consumer.close", name="member")

    def leave_open(self):
        """Two transactions that stay open, with committed and aborted ones behind them."""
        self.open_values = {name: self.transact(name, None, "open", offsets=[["plain", 1, 11 if name == "open-commit" else 12]])
                            for name in ["open-commit", "open-abort"]}
        self.hidden = len(self.transact("steady", "commit", "behind"))
        self.transact("other", "abort", "behind")
        self.transact("steady", "abort", "behind it")

    def seen(self):
        """What clients see, in full."""
        java, server = self.java, self.server
        def ends(spec, isolation):
            outcome = java.admin(server, "listOffsets", isolation=isolation,
                                 partitions=[[t, p, spec] for t, n in PARTITIONS.items() for p in range(n)])
            return {p: o[0] if isinstance(o, list) else o for p, o in outcome.items()}  # without epochs: each start has its own

        return {"topics": java.admin(server, "listTopics", internal=True),
                "records": {f"{t}, {i}": java.read(server, t, i) for t in PARTITIONS for i in ISOLATIONS},
                "ends": {f"{spec}, {i}": ends(spec, i) for spec in ["earliest", "latest"] for i in ISOLATIONS},
                "committed": java.admin(server, "listConsumerGroupOffsets", groups=["in-transactions", "outside", "members"])}

    def check_values(self, when):
        """Not only as before, but as it must be."""
        for i in ISOLATIONS:
            read = [r["value"] for r in self.java.read(self.server, "plain", i)]
            equal(f"plain, {i}, {when}", read, self.plain[0] + self.plain[1])
        read = [r["value"] for r in self.java.read(self.server, "tx", "read_committed")]
        shown = self.committed[:len(self.committed) - self.hidden]
        equal(f"tx, read_committed, {when}", sorted(read), sorted(shown))

    def end_open(self):
        """The transactions that were open all the time come to their ends."""
        last = [end - 1 for end in self.ends()]
        self.java("producer.commit", name="open-commit")
        self.java("producer.abort", name="open-abort")
        self.committed += self.open_values["open-commit"]
        self.hidden = 0
        self.wait_marked("the open ones", last, 2)
        self.wait_committed("plain-1", 11)

    def hand_to(self, server_class, when, expected):
        """To the next hand, which must show the same; returns what it logged meanwhile."""
        at = len(self.server.log_text())
        self.server = self.ctx.hand_over(self.server, server_class)
        equal(when, self.seen(), expected)
        return self.server.log_text(at)

    def hand_back(self, when, expected):
        """To Kafka, which must not find a thing to do at its start."""
        log = self.hand_to(self.kafka_class, when, expected)
        nothing_to_repair(self.server, log, when)


def one_producer(server, what):
    """Partition after partition the batches of the idempotent producer are those of one epoch, in one unbroken sequence."""
    for p in range(PARTITIONS["plain"]):
        found = batches(server, "plain", p)
        equal(f"producers of plain-{p} {what}", len({(b.producer_id, b.producer_epoch) for b in found}), 1)
        expected = 0
        for b in found:
            equal(f"sequence at offset {b.base_offset} of plain-{p} {what}", b.base_sequence, expected)
            expected += b.count


def take_turns(ctx, kafka_class):
    story = Story(ctx, kafka_class)
    java = ctx.java
    story.begin()
    story.leave_open()
    logs = sorted(partition_dir(story.server, "tx-0").glob("*.log"))
    check("segments, each with aborted transactions", len(logs) >= 2 and all(f.with_suffix(".txnindex").exists() for f in logs), logs)
    for ending in ["stop", "kill"]:
        story.check_values("as Kafka sees it")
        before = story.seen()
        getattr(story.server, ending)()
        garbled = sorted(partition_dir(story.server, "tx-0").glob("*.txnindex"))[0]
        good = garbled.read_bytes()
        garbled.write_bytes(b"\7" * len(good))
        story.hand_to(ctx.server_class, f"as we see it after Kafka's {ending}", before)
        story.check_values(f"after Kafka's {ending}")
        story.produce(f"ours after {ending}")
        java.admin(story.server, "alterConsumerGroupOffsets", group="outside",
                   offsets=[["plain", 0, len(story.plain[0]), f"ours, {ending}"]])
        before = story.seen()
        story.server.kill_restart()
        equal(f"after our kill -9, after Kafka's {ending}", story.seen(), before)
        story.produce(f"ours after {ending} and kill -9")
        before = story.seen()
        story.server.stop()
        equal(f"the transaction index that was garbled after Kafka's {ending}", garbled.read_bytes(), good)
        one_producer(story.server, f"after Kafka's {ending} and ours")
        story.hand_back(f"when we had it after Kafka's {ending}", before)
        story.produce(f"Kafka's after ours after {ending}")

    story.end_open()
    story.check_values("with all transactions ended")
    story.transact("open-commit", "commit", "goes on")
    before = story.seen()
    story.server.stop()
    story.hand_to(ctx.server_class, "at last", before)
    story.check_values("at last")
    story.server.stop()


@scenario
def transactions_4_3_1(ctx):
    """Idempotent and transactional producers across Kafka 4.3.1 and us: open, committed and aborted transactions, in several segments."""
    take_turns(ctx, KafkaServer)


@scenario
def transactions_4_4_0(ctx):
    """The same with Kafka 4.4.0."""
    if ctx.is_kafka:
        raise Skip("4.3.1 does not start on what 4.4.0 formatted")
    take_turns(ctx, NextKafkaServer)


# What a cleaner that is killed leaves, as names: of the segment that replaces others (.log, and its indexes), and of those.
CUT_OFF = {
    "written": {"log": ".cleaned", "indexes": ".cleaned", "old": ""},      # nothing is replaced: it is dropped
    "renaming": {"log": ".swap", "indexes": ".cleaned", "old": ""},        # likewise
    "renamed": {"log": ".swap", "indexes": ".swap", "old": ""},            # from here on the replacement counts
    "removing": {"log": ".swap", "indexes": ".swap", "old": ".deleted"},
    "named": {"log": "", "indexes": ".swap", "old": ".deleted"},
}


def files_of(directory, bases):
    return [f for f in sorted(directory.iterdir()) if f.name[:20].isdigit() and int(f.name[:20]) in bases and f.suffix != ".snapshot"
            and f.suffix != ".deleted"]


def cut_off(directory, cleaned, names):
    """Make of the partition `directory` and what the cleaner made of it what there was in between: the segments before the one with
    the transactions are replaced, that one is in the middle of it, the others wait. Returns the offset up to which all is replaced
    when what was begun is finished, and when it is dropped."""
    old, new = (sorted(int(f.stem) for f in d.glob("*.log")) for d in [directory, cleaned])
    begun, = [b for b in new if any(f.suffix == ".txnindex" for f in files_of(cleaned, {b}))]
    behind = new[new.index(begun) + 1]
    check(f"segments of {directory.name}", old[0] < begun < behind < old[-1], (old, new))
    for f in files_of(directory, {b for b in old if b < begun}):
        f.unlink()
    for f in files_of(cleaned, {b for b in new if b < begun}):
        shutil.copy2(f, directory)
    for f in files_of(directory, {b for b in old if begun <= b < behind}):
        f.rename(f.with_name(f.name + names["old"]))
    for f in files_of(cleaned, {begun}):
        shutil.copy2(f, directory / (f.name + names["log" if f.suffix == ".log" else "indexes"]))
    return behind, begun


def cleaned_to(server, topic):
    """The offset that the cleaner has come to, as it says after each turn; or None."""
    texts = [path.read_text() for d in server.log_dirs for path in d.glob("cleaner-offset-checkpoint")]
    return next((int(found[1]) for text in texts if (found := re.search(rf"^{topic} 0 (\d+)$", text, re.M))), None)


def newest(records):
    return {key: value for key, value in ((r["key"], r["value"]) for r in records) if value is not None}


@scenario
def compaction_is_cut_off(ctx):
    """Kafka's cleaner is killed at each of its steps: what it had done is finished or dropped as Kafka itself would, and Kafka has
    nothing to do when it is back. In the topics are tombstones, and committed and aborted transactions."""
    java = ctx.java
    no_cleaner = {"log.cleaner.enable": "false"}
    server = ctx.server(no_cleaner, server_class=KafkaServer)

    def read(server):
        return {f"{t}, {i}": java.read(server, t, i) for t in topics for i in ISOLATIONS}

    def ends(server, isolation):
        outcome = java.admin(server, "listOffsets", partitions=[[t, 0, "latest"] for t in topics], isolation=isolation)
        return {t: outcome[f"{t}-0"][0] for t in topics}

    java.producer(server, "p", linger_ms=5)
    java.producer(server, "t", linger_ms=5, transactional_id="t")
    java("producer.init", name="t")
    topics = {t: Keyed(ctx, server, t, delete_retention_ms=LONG_MS) for t in CUT_OFF}
    for keyed in topics.values():
        fill_keyed(keyed, "round", 2000, ["p"])
        for outcome in ["commit", "abort"]:
            java.transaction(server, "t")
            keyed.send("t", [(f"k{k}", f"{outcome} {k}") for k in range(10)])
            java(f"producer.{outcome}", name="t")
        keyed.send("p", [(f"k{k}", None) for k in range(20, 25)])
        fill_keyed(keyed, "next", 1500, ["p"])
    # Brokers answer when an end is decided, and write it to the partitions after that.
    wait_for("the ends of all transactions", lambda: ends(server, "read_committed") == ends(server, "read_uncommitted"))
    uncleaned = read(server)
    server.stop()
    data, earlier, later = (server.directory / name for name in ["data", "uncleaned", "cleaned"])
    shutil.copytree(data, earlier)

    server.write_properties(CLEANER)
    server.start()
    for t in topics:
        wait_for(f"{t} to be compacted up to its last segment",
                 lambda t=t: cleaned_to(server, t) == max(segment_sizes(server, f"{t}-0")), timeout_s=60)
        check(f"{t} has shrunk", log_bytes(server, f"{t}-0") < 2 * MIB)
    cleaned = read(server)
    server.stop()
    data.rename(later)
    earlier.rename(data)
    for d in server.log_dirs:
        (d / ".kafka_cleanshutdown").unlink()
    expected = {}
    for t, names in CUT_OFF.items():
        d = partition_dir(server, f"{t}-0")
        finished, dropped = cut_off(d, later / d.parent.name / d.name, names)
        border = dropped if names["indexes"] == ".cleaned" else finished
        for what in [f"{t}, {i}" for i in ISOLATIONS]:
            expected[what] = [r for r in cleaned[what] if r["offset"] < border] + [r for r in uncleaned[what] if r["offset"] >= border]

    server.write_properties(no_cleaner)
    server = ctx.hand_over(server)
    equal("what is there", read(server), expected)
    java.producer(server, "q", linger_ms=5)
    for t, keyed in topics.items():
        keyed.send("q", [("k1", f"{t} goes on")])
    expected = read(server)
    server.kill_restart()
    equal("after kill -9", read(server), expected)
    server.stop()
    for t in ["renaming", "named"]:
        dump(ctx, server, f"{t}-0", "when we had it")
    at = len(server.log_text())
    server = ctx.hand_over(server, KafkaServer)
    nothing_to_repair(server, server.log_text(at), "when we had it")
    equal("as Kafka sees it", read(server), expected)
    server.stop()

    server.write_properties(CLEANER)
    server = ctx.hand_over(server)
    for t, keyed in topics.items():
        fill_keyed(keyed, "last", 1500, ["q"])
        wait_for(f"{t} to shrink again", lambda t=t: log_bytes(server, f"{t}-0") < 2 * MIB, timeout_s=60)
        records = java.read(server, t, "read_committed")
        equal(f"the newest of {t}", newest(records), {k: v for k, (_, v) in keyed.newest().items() if v is not None})
    server.stop()
