"""Compacted topics: what the cleaner leaves, as clients, DumpLogSegments and Kafka see it."""
import re

from checks import check, equal, segment_sizes, wait_equal, wait_for
from files import DUMP, copy_of
from scenario import scenario
from server import KafkaServer

MIB = 1024 * 1024
CLEANER = {"log.cleaner.backoff.ms": 100, "log.cleaner.min.cleanable.ratio": 0.01, "log.initial.task.delay.ms": 100}
KEYS, DELETED = 50, 10  # the last keys are deleted

# What compaction leaves is not consecutive; anything else that the tool notices is trouble.
TROUBLE = re.compile(r"mismatch|out of order|isvalid: false|exception|corrupt|could not|failed", re.IGNORECASE)


def partition_dir(server, name):
    return next(d / name for d in server.log_dirs if (d / name).is_dir())


def log_bytes(server, name):
    return sum(segment_sizes(server, name).values())


class Keyed:
    """A topic, and what was sent to it by offset."""

    def __init__(self, ctx, server, topic, **configs):
        self.java, self.topic, self.sent = ctx.java, topic, {}
        self.java.create(server, topic, cleanup_policy="compact", segment_bytes=MIB, **configs)

    def send(self, name, records):
        for sent, (key, value) in zip(self.java.send(self.topic, [{"key": k, "value": v} for k, v in records], name=name), records,
                                      strict=True):
            self.sent[sent["offset"]] = (key, value)

    def newest(self):
        return {key: (offset, value) for offset, (key, value) in sorted(self.sent.items())}

    def check_read(self, server, when):
        """Every record is at its offset, and the newest one of each key is there; returns how many there are."""
        records = self.java.read(server, self.topic)
        offsets = [r["offset"] for r in records]
        equal(f"order {when}", offsets, sorted(set(offsets)))
        equal(f"records {when}", [(r["key"], r["value"]) for r in records], [self.sent[o] for o in offsets])
        missing = [k for k, (offset, value) in self.newest().items() if value is not None and offset not in set(offsets)]
        equal(f"keys without their newest value {when}", missing, [])
        return len(records)

    def tombstones(self, server):
        return [r["offset"] for r in self.java.read(server, self.topic) if r["value"] is None]


def fill(keyed, tag, count, names):
    """A third of the batches from each producer; values of one kilobyte, so that a segment takes a thousand of them."""
    for start in range(0, count, 500):
        keyed.send(names[start // 500 % len(names)],
                   [(f"k{i % KEYS}", f"{tag} {i} " + "v" * 1000) for i in range(start, start + 500)])


def dump(ctx, server, name, when):
    directory = partition_dir(server, name)
    logs = sorted(directory.glob("*.log"))
    for what, files, options in [("the logs", logs, ["--deep-iteration", "--print-data-log"]),
                                 ("the indexes", [f for f in [*directory.glob("*.index"), *directory.glob("*.timeindex")]
                                                  if f.with_suffix(".log").stat().st_size > 0], [])]:
        text = ctx.tool(DUMP, *options, "--files", ",".join(map(str, files)))
        trouble = [line[:300] for line in text.splitlines() if TROUBLE.search(line.split("payload:")[0].split("key:")[0])]
        equal(f"trouble in {what} {when}", trouble[:5], [])
    left = [f.name for f in directory.iterdir() if f.suffix in (".cleaned", ".swap")]
    equal(f"names of a swap {when}", left, [])


@scenario
def newest_values_stay(ctx):
    """Keys written again and again by idempotent producers in three codecs: of each the newest value stays at its offset,
    deleted keys vanish; after kill -9 too. DumpLogSegments accepts the files; Kafka starts on them and goes on."""
    server = ctx.server(CLEANER)
    java = ctx.java
    names = [java.producer(server, f"p-{codec}", compression_type=codec, linger_ms=5) for codec in ["none", "zstd", "lz4"]]
    keyed = Keyed(ctx, server, "c", delete_retention_ms=0)
    for i in range(3):
        fill(keyed, f"round {i}", 3000, names[:1])
        fill(keyed, f"small {i}", 1000, names[1:])
    keyed.send(names[0], [(f"k{k}", None) for k in range(KEYS - DELETED, KEYS)])
    before = len(keyed.sent)
    wait_for("the log to shrink", lambda: log_bytes(server, "c-0") < 3 * MIB, timeout_s=60)
    # Files are small, too, while the newest records lie in the journal alone and the cleaner has not come to the others.
    wait_for("records to be fewer", lambda: keyed.check_read(server, "after compaction") < before / 2, timeout_s=60)
    server.kill_restart()
    keyed.check_read(server, "after kill -9")

    # Deletions go in two steps, each of which needs something new behind them.
    live = [f"k{k}" for k in range(KEYS - DELETED)]

    def nudge():
        keyed.send(names[0], [(live[i % len(live)], f"nudge {i} " + "n" * 1000) for i in range(1200)])
        return not keyed.tombstones(server)

    wait_for("the deletions to vanish", nudge, timeout_s=60)
    keyed.check_read(server, "without deletions")
    server.stop()
    dump(ctx, server, "c-0", "after a clean stop")
    check("the cleaner's checkpoint", any(re.search(r"^c 0 [1-9]\d*$", (d / "cleaner-offset-checkpoint").read_text(), re.M)
                                          for d in server.log_dirs if (d / "cleaner-offset-checkpoint").exists()))
    kafka = ctx.server(CLEANER, prepare=copy_of(server), server_class=KafkaServer)
    keyed.check_read(kafka, "as Kafka sees it")
    java.producer(kafka, "kafka", linger_ms=5)
    fill(keyed, "kafka", 2500, ["kafka"])
    wait_for("Kafka's cleaner", lambda: log_bytes(kafka, "c-0") < 2 * MIB, timeout_s=60)
    keyed.check_read(kafka, "compacted by Kafka")
    kafka.stop()
    back = ctx.server(CLEANER, prepare=copy_of(kafka))
    keyed.check_read(back, "back again")
    java.producer(back, "back", linger_ms=5)
    fill(keyed, "back", 2500, ["back"])
    wait_for("the log to shrink again", lambda: log_bytes(back, "c-0") < 2 * MIB, timeout_s=60)
    keyed.check_read(back, "compacted again")


@scenario
def a_consumer_reads_through(ctx):
    """A consumer that reads while the log is compacted sees the newest value of each key, in order, and comes to the end."""
    server = ctx.server(CLEANER)
    java = ctx.java
    java.producer(server, "p", linger_ms=5)
    keyed = Keyed(ctx, server, "c")
    java.consumer(server, "reader", assign=[["c", 0]], seek=[["c", 0, 0]], max_partition_fetch_bytes=20000, max_poll_records=100)
    seen = []

    def read():
        seen.extend(java("consumer.take", name="reader"))
        return bool(seen) and seen[-1]["offset"] == max(keyed.sent)

    for i in range(6):
        fill(keyed, f"round {i}", 2000, ["p"])
        for _ in range(5):
            read()
    wait_for("the end", read, timeout_s=60)
    offsets = [r["offset"] for r in seen]
    equal("order", offsets, sorted(set(offsets)))
    equal("records", [(r["key"], r["value"]) for r in seen], [keyed.sent[o] for o in offsets])
    last = {r["key"]: r["offset"] for r in seen}
    equal("the newest of each key", last, {k: offset for k, (offset, _) in keyed.newest().items()})
    wait_for("the log to be compacted to its end", lambda: log_bytes(server, "c-0") < 4 * MIB, timeout_s=60)


@scenario
def committed_offsets_are_compacted(ctx):
    """__consumer_offsets is compacted as well; groups find their newest commits after that and kill -9."""
    server = ctx.server(CLEANER | {"offsets.topic.num.partitions": 1, "offsets.topic.segment.bytes": MIB})
    java = ctx.java
    java.create(server, "t")
    java.consumer(server, "committer", assign=[["t", 0]], group_id="g")
    for i in range(700):
        java("consumer.commit", name="committer", offsets=[["t", 0, i, f"{i} " + "m" * 4000]])
    wait_for("the offsets to be compacted", lambda: log_bytes(server, "__consumer_offsets-0") < 1.5 * MIB, timeout_s=60)
    for _ in range(2):
        committed = java.admin(server, "listConsumerGroupOffsets", groups=["g"])["g"]["t-0"]
        equal("the commit", (committed[0], committed[1]), (699, "699 " + "m" * 4000))
        server.kill_restart()


@scenario
def records_without_a_key(ctx):
    """A topic that becomes compacted loses its records without a key, and refuses new ones."""
    server = ctx.server(CLEANER)
    java = ctx.java
    java.create(server, "late", segment_bytes=MIB)
    java.producer(server, "p", linger_ms=5)
    java.send("late", [{"value": f"{i} " + "x" * 1000} for i in range(2500)], name="p")
    java.send("late", [{"key": "k", "value": f"{i} " + "x" * 1000} for i in range(2500)], name="p")
    java.admin(server, "incrementalAlterConfigs", resource=["TOPIC", "late"], ops=[["SET", "cleanup.policy", "compact"]])
    wait_for("the log to shrink", lambda: log_bytes(server, "late-0") < 2 * MIB, timeout_s=60)
    # The cleaner goes from segment to segment, and the last one with such records may come after it has shrunk.
    wait_equal("keys", lambda: {r["key"] for r in java.read(server, "late")}, {"k"})
    records = java.read(server, "late")
    equal("the newest", (records[-1]["offset"], records[-1]["value"][:4]), (4999, "2499"))
    equal("a new one", java.send("late", [{"value": "x"}], name="p")[0]["error"], "InvalidRecordException")
