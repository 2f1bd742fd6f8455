"""The server starts on what Kafka left behind (golden/), and serves what Kafka served."""
import csv
import subprocess

from checks import check, equal, wait_equal
from scenario import Skip, scenario
from server import HERE

CLUSTER_ID = "bWlsbHJhY2Vnb2xkZW40NA"
DAY_MS = 86_400_000

# Nothing may change by itself: the records are old, and a transaction is open.
QUIET = {
    "log.retention.ms": -1,
    "log.cleaner.enable": "false",
    "offsets.retention.minutes": 2_000_000_000,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": DAY_MS,
    "transaction.remove.expired.transaction.cleanup.interval.ms": DAY_MS,
}


def table(version, name):
    with open(HERE / f"golden/kafka-{version}/{name}.tsv", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def row_of(record):
    """A record as the table writes it."""
    def text(value):
        return "null" if value is None else value
    return (record["topic"], str(record["partition"]), str(record["offset"]), str(record["timestamp"]), record["timestampType"],
            text(record["key"]), text(record["value"]), ";".join(f"{k}={text(v)}" for k, v in record["headers"]))


def compare(ctx, server, version, when):
    """Everything that the tables list, asked through the Java client."""
    java = ctx.java
    equal(f"cluster id {when}", java.admin(server, "describeCluster")["id"], CLUSTER_ID)

    topics = table(version, "topics")
    listed = java.admin(server, "listTopics", internal=True)
    equal(f"topics {when}", listed, {t["topic"]: t["id"] for t in topics})
    partitions = [[t["topic"], int(t["partition"])] for t in topics]

    def offsets(spec, isolation):
        outcome = java.admin(server, "listOffsets", partitions=[[*p, spec] for p in partitions], isolation=isolation)
        return {p: o[0] if isinstance(o, list) else o for p, o in outcome.items()}

    for column, spec, isolation in [("logStartOffset", "earliest", "read_uncommitted"), ("highWatermark", "latest", "read_uncommitted"),
                                    ("lastStableOffset", "latest", "read_committed")]:
        equal(f"{column} {when}", offsets(spec, isolation), {f"{t['topic']}-{t['partition']}": int(t[column]) for t in topics})

    records = table(version, "records")
    for isolation in ["read_uncommitted", "read_committed"]:
        for topic in sorted({t["topic"] for t in topics if not t["topic"].startswith("__")}):
            expected = [tuple(list(r.values())[1:]) for r in records if r["isolation"] == isolation and r["topic"] == topic]
            equal(f"{topic}, {isolation}, {when}", [row_of(r) for r in java.read(server, topic, isolation)], expected)

    groups = {}
    for row in table(version, "groups"):
        if row["type"] != "Share":
            groups.setdefault(row["group"], {})[f"{row['topic']}-{row['partition']}"] = \
                [int(row["offset"]), row["metadata"], int(row["leaderEpoch"]) if row["leaderEpoch"] else None]
    # A transaction's offsets count as soon as the group is loaded.
    wait_equal(f"groups {when}", lambda: java.admin(server, "listConsumerGroupOffsets", groups=sorted(groups)), groups)


def starts_on(ctx, version):
    def unpack(server):
        subprocess.run(["tar", "--zstd", "-xf", HERE / f"golden/kafka-{version}/data.tar.zst", "-C", server.directory], check=True)

    server = ctx.server(QUIET | {"controller.quorum.voters": None,
                                 "controller.quorum.bootstrap.servers": "127.0.0.1:{controller_port}"}, prepare=unpack)
    untouched = {path.relative_to(d): path.read_bytes() for d in server.log_dirs for topic in ["__transaction_state", "__share_group_state"]
                 for path in d.glob(f"{topic}-*/*.log")}
    equal("logs of coordinators that must stay as they are", len(untouched), 4)
    compare(ctx, server, version, "at once")
    server.kill_restart()
    compare(ctx, server, version, "after kill -9")
    server.restart()
    compare(ctx, server, version, "after a restart")

    # It is not only a museum: it takes records and commits, and they hold.
    java = ctx.java
    java.producer(server)
    equal("new offset", [s.get("offset") for s in java.send("orders", [{"partition": 1, "key": "k", "value": "new"}])], [100])
    equal("commit", java.admin(server, "alterConsumerGroupOffsets", group="manual", offsets=[["growing", 1, 2, "again"]]),
          {"growing-1": None})
    server.kill_restart()
    equal("the new record", [r["value"] for r in java.read(server, "orders") if r["partition"] == 1][-1:], ["new"])
    equal("the new commit", java.admin(server, "listConsumerGroupOffsets", groups=["manual"])["manual"],
          {"growing-1": [2, "again", None]})
    server.stop()
    if not ctx.is_kafka:  # its coordinators run, and write
        for d in server.log_dirs:
            for name, content in untouched.items():
                if (d / name).exists():
                    check(f"{name} is as it was", (d / name).read_bytes() == content)


@scenario
def kafka_4_3_1(ctx):
    """Both log directories of a 4.3.1 node."""
    starts_on(ctx, "4.3.1")


@scenario
def kafka_4_4_0(ctx):
    """Both log directories of a 4.4.0 node."""
    if ctx.is_kafka:
        raise Skip("4.3.1 does not start on what 4.4.0 formatted")
    starts_on(ctx, "4.4.0")
