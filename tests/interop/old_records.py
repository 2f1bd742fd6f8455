"""Old records go: Admin.deleteRecords and the tool for it, retention by time and by size.  Kafka 4.3.1 answers the same."""
import json
import time
from pathlib import Path

from checks import check, equal, offsets_contiguous, segment_sizes, wait_equal, wait_for
from scenario import scenario
from tools import tool_of

DELETE_RECORDS = "org.apache.kafka.tools.DeleteRecordsCommand"
HOUR_MS = 3600 * 1000
OFTEN = {"log.retention.check.interval.ms": 200, "log.initial.task.delay.ms": 100}


def offset(ctx, server, topic, partition=0, at="earliest"):
    return ctx.java.admin(server, "listOffsets", partitions=[[topic, partition, at]])[f"{topic}-{partition}"][0]


def delete(ctx, server, *partitions):
    """The low watermark of each partition, or the name of its error."""
    outcomes = ctx.java.admin(server, "deleteRecords", partitions=list(partitions))
    return {p: o["error"] if isinstance(o, dict) else o for p, o in outcomes.items()}


def files(server, topic, partition=0):
    return sorted(f.name for d in server.log_dirs for f in Path(d).glob(f"{topic}-{partition}/*"))


@scenario
def delete_records(ctx):
    """What lies below an offset is no longer served; the start stays where it is after kill -9 and after a restart."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "t", partitions=3)
    java.producer(server)
    for p in range(3):
        java.send("t", [{"partition": p, "value": f"{p} {i}"} for i in range(10)])
    equal("part of one", delete(ctx, server, ["t", 0, 4]), {"t-0": 4})
    equal("two at once", delete(ctx, server, ["t", 1, 7], ["t", 2, -1]), {"t-1": 7, "t-2": 10})
    equal("never back", delete(ctx, server, ["t", 1, 3]), {"t-1": 7})
    equal("values", sorted(r["value"] for r in java.read(server, "t")),
          sorted([f"0 {i}" for i in range(4, 10)] + [f"1 {i}" for i in range(7, 10)]))
    java.send("t", [{"partition": 2, "value": "after"}])
    if not ctx.is_kafka:  # Kafka writes its checkpoint once a minute: after kill -9 the start may be where it was
        server.kill_restart()
        equal("after kill -9", [offset(ctx, server, "t", p) for p in range(3)], [4, 7, 10])
    server.restart()
    equal("after a restart", [offset(ctx, server, "t", p) for p in range(3)], [4, 7, 10])
    equal("ends", [offset(ctx, server, "t", p, "latest") for p in range(3)], [10, 10, 11])
    equal("read", [(r["offset"], r["value"]) for r in java.read(server, "t") if r["partition"] == 2], [(10, "after")])


@scenario
def delete_records_refused(ctx):
    """What cannot be deleted, each with its error; nothing goes."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "t")
    java.create(server, "compacted", cleanup_policy="compact")
    java.create(server, "both", cleanup_policy="compact,delete")
    java.producer(server)
    java.send("t", [{"value": str(i)} for i in range(10)])
    java.send("both", [{"key": "k", "value": str(i)} for i in range(10)])
    java.admin(server, "alterConsumerGroupOffsets", group="g", offsets=[["t", 0, 1]])
    equal("errors", delete(ctx, server, ["t", 0, 11], ["compacted", 0, 0], ["both", 0, 5]),
          {"t-0": "OffsetOutOfRangeException", "compacted-0": "PolicyViolationException", "both-0": 5})
    equal("negative", delete(ctx, server, ["t", 0, -2]), {"t-0": "OffsetOutOfRangeException"})
    equal("internal", delete(ctx, server, ["__consumer_offsets", 0, -1]), {"__consumer_offsets-0": "InvalidTopicException"})
    equal("all are there", len(java.read(server, "t")), 10)


@scenario
def delete_records_tool(ctx):
    """kafka-delete-records.sh with its JSON file."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "t", partitions=2)
    java.producer(server)
    java.send("t", [{"partition": i % 2, "value": str(i)} for i in range(20)])
    plan = ctx.directory / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": "t", "partition": 0, "offset": 3},
                                                             {"topic": "t", "partition": 1, "offset": -1}]}))
    told = tool_of(ctx, server)(DELETE_RECORDS, "--offset-json-file", plan)
    check("both are told", "partition: t-0\tlow_watermark: 3" in told and "partition: t-1\tlow_watermark: 10" in told, told)
    equal("starts", [offset(ctx, server, "t", p) for p in range(2)], [3, 10])


@scenario
def retention_by_time(ctx):
    """Records older than retention.ms go, their files with them; the log goes on where it was, also after kill -9."""
    server = ctx.server(OFTEN)
    java = ctx.java
    old = int(time.time() * 1000) - 2 * HOUR_MS
    java.create(server, "short", retention_ms=HOUR_MS, file_delete_delay_ms=0)
    java.create(server, "long", retention_ms=24 * HOUR_MS)
    java.create(server, "compacted", retention_ms=HOUR_MS, cleanup_policy="compact")
    java.producer(server)
    for topic in ["short", "long", "compacted"]:
        java.send(topic, [{"key": str(i), "value": str(i), "timestamp": old} for i in range(100)])
    wait_equal("the start of what is too old", lambda: offset(ctx, server, "short"), 100)
    wait_equal("its segments", lambda: segment_sizes(server, "short-0"), {100: 0})
    wait_for("its other files are gone", lambda: not any(f.startswith(f"{0:020}.") for f in files(server, "short")))
    equal("what is not", [offset(ctx, server, t) for t in ["long", "compacted"]], [0, 0])
    wait_for("the reason is told", lambda: "due to log retention time 3600000ms breach based on the largest record timestamp in the segment"
             in server.log_text())
    server.kill_restart()
    equal("after kill -9", [offset(ctx, server, "short", at=at) for at in ["earliest", "latest"]], [100, 100])
    java.send("short", [{"value": "young"}])
    time.sleep(0.5)  # some more checks
    equal("it stays", [(r["offset"], r["value"]) for r in java.read(server, "short")], [(100, "young")])
    java.admin(server, "incrementalAlterConfigs", resource=["TOPIC", "long"], ops=[["SET", "retention.ms", "1000"]])
    wait_equal("a change of retention.ms acts", lambda: offset(ctx, server, "long"), 100)


@scenario
def retention_by_size(ctx):
    """The oldest segments go until retention.bytes are left, and no more."""
    server = ctx.server(OFTEN)
    java = ctx.java
    java.create(server, "t", segment_bytes=1 << 20, file_delete_delay_ms=0)
    java.producer(server, linger_ms=5)
    java.send("t", [{"value": f"{i} " + "v" * 1000} for i in range(6000)])
    server.restart()  # the newest records may be in the journal alone; a stop brings them into the segment
    before = segment_sizes(server, "t-0")
    check("several segments", len(before) > 4, str(before))
    java.admin(server, "incrementalAlterConfigs", resource=["TOPIC", "t"], ops=[["SET", "retention.bytes", str(2 << 20)]])
    stay = dict(before)
    for base in sorted(before):
        if sum(stay.values()) - before[base] < 2 << 20:
            break
        del stay[base]
    wait_equal("the segments that stay", lambda: segment_sizes(server, "t-0"), stay)
    first = min(stay)
    equal("the start", offset(ctx, server, "t"), first)
    read = java.read(server, "t")
    offsets_contiguous("what is left", read, start=first)
    equal("the last one", read[-1]["offset"], 5999)
    server.restart()
    equal("after a restart", (offset(ctx, server, "t"), segment_sizes(server, "t-0")), (first, stay))
