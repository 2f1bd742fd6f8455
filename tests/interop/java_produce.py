"""The Java producer, and the Java consumer without a group."""
import re
import time
from pathlib import Path

from checks import CODECS, batches, check, equal, loop_is_in_the_log, offsets_contiguous, wait_equal, wait_for
from java_driver import JavaError
from scenario import scenario

HEADERS = [["a", "1"], ["empty", ""], ["null", None], ["a", "again"], ["ключ", "значение"]]


def values(records):
    return [r["value"] for r in records]


@scenario
def codecs(ctx):
    """Every codec with keys, nulls, headers and timestamps: the same records, through restart and kill -9."""
    server = ctx.server()
    now = int(time.time() * 1000)
    expected = {}
    for codec in CODECS:
        ctx.java.create(server, codec, partitions=2)
        ctx.java.producer(server, codec, compression_type=codec, linger_ms=20)
        records = [{"partition": i % 2, "timestamp": now - 1000 + i, "key": None if i % 5 == 0 else f"k{i}",
                    "value": None if i % 7 == 0 else f"{codec} {i} " + "ü" * (i % 50), "headers": HEADERS if i % 3 == 0 else []}
                   for i in range(400)]
        sent = ctx.java.send(codec, records, name=codec)
        expected[codec] = [{"topic": codec, "offset": i // 2, "timestampType": "CreateTime"} | r for i, r in enumerate(records)]
        equal(f"answers for {codec}", sent, [{k: r[k] for k in ("partition", "offset", "timestamp")} for r in expected[codec]])
        expected[codec].sort(key=lambda r: (r["partition"], r["offset"]))

    def read_back(when):
        for codec in CODECS:
            equal(f"{codec} {when}", ctx.java.read(server, codec), expected[codec])
            equal(f"{codec} {when}, read committed", ctx.java.read(server, codec, "read_committed"), expected[codec])

    read_back("at once")
    server.kill_restart()
    read_back("after kill -9")
    server.restart()
    read_back("after a restart")
    server.stop()
    for codec in CODECS:
        for partition in range(2):
            on_disk = batches(server, codec, partition)
            equal(f"codecs on disk of {codec}-{partition}", {b.codec for b in on_disk}, {codec})
            equal(f"records on disk of {codec}-{partition}", sum(b.count for b in on_disk), 200)
            check("they have a producer id", all(b.producer_id >= 0 for b in on_disk), str(on_disk))
            check("batches have a leader epoch", all(b.leader_epoch >= 0 for b in on_disk), str(on_disk))


@scenario
def codec_of_the_topic(ctx):
    """A topic's compression.type other than `producer`: the broker recompresses, whatever came."""
    server = ctx.server()
    wanted = {"uncompressed": "none", "gzip": "gzip", "snappy": "snappy", "lz4": "lz4", "zstd": "zstd"}
    for setting in wanted:
        ctx.java.create(server, setting, compression_type=setting)
    records = [{"key": str(i), "value": "z" * i, "headers": HEADERS} for i in range(200)]
    for codec in CODECS:
        ctx.java.producer(server, codec, compression_type=codec, linger_ms=20)
        for setting in wanted:
            ctx.java.send(setting, records, name=codec)
    for setting in wanted:
        got = ctx.java.read(server, setting)
        equal(f"records of {setting}", [(r["key"], r["value"], r["headers"]) for r in got],
              [(r["key"], r["value"], r["headers"]) for r in records] * len(CODECS))
        offsets_contiguous(setting, got)
    server.stop()
    for setting, codec in wanted.items():
        equal(f"codecs on disk of {setting}", {b.codec for b in batches(server, setting, 0)}, {codec})


@scenario
def log_append_time(ctx):
    """message.timestamp.type=LogAppendTime: the broker's clock, said to the producer and kept through kill -9."""
    server = ctx.server()
    ctx.java.create(server, "stamped", message_timestamp_type="LogAppendTime")
    for codec in ["none", "zstd"]:
        ctx.java.producer(server, codec, compression_type=codec, linger_ms=20)
        sent = ctx.java.send("stamped", [{"value": str(i), "timestamp": 1000 + i} for i in range(20)], name=codec)
        check("the stamps are the broker's", all(abs(s["timestamp"] / 1000 - time.time()) < 60 for s in sent), str(sent))
    before = ctx.java.read(server, "stamped")
    equal("types", {r["timestampType"] for r in before}, {"LogAppendTime"})
    equal("stamps of the last batch", [r["timestamp"] for r in before[20:]], [s["timestamp"] for s in sent])
    server.kill_restart()
    equal("after kill -9", ctx.java.read(server, "stamped"), before)


@scenario
def refused(ctx):
    """What the broker must not take, the error of each, and that nothing of it is in the log."""
    server = ctx.server({"auto.create.topics.enable": "false"})
    java = ctx.java
    java.create(server, "small", max_message_bytes=2000)
    java.create(server, "compacted", cleanup_policy="compact")
    java.create(server, "strict", message_timestamp_before_max_ms=200_000, message_timestamp_after_max_ms=200_000)
    java.producer(server)
    now = int(time.time() * 1000)

    def outcome(topic, record):
        return java.send(topic, [record])[0].get("error")

    equal("larger than max.message.bytes", outcome("small", {"value": "x" * 3000}), "RecordTooLargeException")
    equal("null key, compacted topic", outcome("compacted", {"value": "x"}), "InvalidRecordException")
    equal("too old", outcome("strict", {"value": "x", "timestamp": now - 1_000_000}), "InvalidTimestampException")
    equal("too far ahead", outcome("strict", {"value": "x", "timestamp": now + 1_000_000}), "InvalidTimestampException")
    for topic in ["small", "compacted", "strict"]:
        equal(f"an acceptable record for {topic}", outcome(topic, {"key": "k", "value": topic}), None)
        equal(f"records of {topic}", [(r["offset"], r["value"]) for r in java.read(server, topic)], [(0, topic)])

    java.producer(server, "hasty", max_block_ms=1000)
    equal("topic that is not there", java.send("missing", [{"value": "x"}], name="hasty")[0]["error"], "TimeoutException")
    check("it was not created", "missing" not in java.admin(server, "listTopics"))


@scenario
def idempotent_through_restarts(ctx):
    """One producer with acks=all sends on while the server is stopped and killed in turn."""
    server = ctx.server()
    ctx.java.create(server, "stream", partitions=3)
    ctx.java.producer(server, delivery_timeout_ms=100_000, request_timeout_ms=5000, compression_type="lz4")
    ctx.java("producer.loop", name="producer", topic="stream", partitions=3, prefix="j")
    for i in range(6):
        enough = ctx.java("producer.acked", name="producer") + 300
        wait_for("acknowledgements", lambda: ctx.java("producer.acked", name="producer") >= enough, timeout_s=60)
        server.kill_restart() if i % 2 else server.restart()
    outcome = ctx.java("producer.stop", name="producer")
    records = ctx.java.read(server, "stream")
    loop_is_in_the_log("the loop", outcome, "j", records)
    offsets_contiguous("stream", records)
    server.kill_restart()
    equal("after one more kill -9", ctx.java.read(server, "stream"), records)


@scenario
def producer_ids(ctx):
    """Every producer gets an id of its own, also after restarts."""
    server = ctx.server()
    ctx.java.create(server, "ids")
    for i in range(6):
        ctx.java.producer(server, f"p{i}")
        ctx.java.send("ids", [{"value": str(i)}], name=f"p{i}")
        if i % 2:
            server.kill_restart() if i % 4 == 1 else server.restart()
    equal("values", values(ctx.java.read(server, "ids")), [str(i) for i in range(6)])
    server.stop()
    ids = [b.producer_id for b in batches(server, "ids", 0)]
    equal("different ids", len(set(ids)), 6)
    check("valid ids", all(i >= 0 for i in ids), str(ids))


@scenario
def segments(ctx):
    """A log of several segments: read whole and from every hundredth offset, before and after kill -9."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "rolled", segment_bytes=1024 * 1024)
    java.producer(server, linger_ms=5, batch_size=16_000)
    count = 5000
    java.send("rolled", [{"key": str(i), "value": f"{i}-" + "s" * 1000} for i in range(count)])
    server.kill_restart()

    def read_back(when):
        records = java.read(server, "rolled")
        equal(f"keys {when}", [r["key"] for r in records], [str(i) for i in range(count)])
        offsets_contiguous(f"rolled {when}", records)
        java.consumer(server, when, assign=[["rolled", 0]], max_poll_records=1, fetch_max_wait_ms=10)
        for offset in range(0, count, 500):
            # Paused, so that nothing of before the seek comes after it.
            java("consumer.pause", name=when, partitions=[["rolled", 0]])
            java("consumer.take", name=when)
            java("consumer.seek", name=when, partition=["rolled", 0], offset=offset)
            java("consumer.resume", name=when, partitions=[["rolled", 0]])
            first = wait_for(f"a record after seek to {offset} {when}", lambda: java("consumer.take", name=when))[0]
            equal(f"first record after seek to {offset} {when}", first["offset"], offset)
            check(f"its value {when}", first["value"].startswith(f"{offset}-"), first["value"][:20])

    read_back("after kill -9")
    server.restart()
    read_back("after a restart")
    server.stop()
    segment_files = [f for d in server.log_dirs for f in d.glob("rolled-0/*.log")]
    check("there are several segments", len(segment_files) >= 5, str(segment_files))
    check("none is too large", all(f.stat().st_size <= 1024 * 1024 for f in segment_files))


@scenario
def assign_and_seek(ctx):
    """Manual assignment: positions, seeks, first and last offsets, offsets by time, pause and resume."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "seek", partitions=2)
    java.producer(server, linger_ms=5)
    base = int(time.time() * 1000) - 100_000
    java.send("seek", [{"partition": 0, "timestamp": base + 10 * i, "value": str(i)} for i in range(100)])
    p0, p1 = ["seek", 0], ["seek", 1]
    java.consumer(server, assign=[p0, p1])

    def received(expected, what):
        got = []

        def enough():
            got.extend(java("consumer.take", name="consumer"))
            return len(got) >= len(expected)

        wait_for(what, enough)
        equal(what, values(got), expected)

    everything = [str(i) for i in range(100)]
    received(everything, "from the beginning")
    equal("position", java("consumer.position", name="consumer", partition=p0), 100)
    equal("position of an empty partition", java("consumer.position", name="consumer", partition=p1), 0)
    java("consumer.seek", name="consumer", partition=p0, offset=95)
    received(everything[95:], "after a seek to 95")
    java("consumer.seekToBeginning", name="consumer", partitions=[p0])
    received(everything, "after a seek to the beginning")
    java("consumer.seekToEnd", name="consumer", partitions=[p0])
    equal("position at the end", java("consumer.position", name="consumer", partition=p0), 100)
    server.kill_restart()
    equal("first offsets", java("consumer.beginningOffsets", name="consumer", partitions=[p0, p1]), {"seek-0": 0, "seek-1": 0})
    equal("last offsets", java("consumer.endOffsets", name="consumer", partitions=[p0, p1]), {"seek-0": 100, "seek-1": 0})

    def at(timestamp):
        return java("consumer.offsetsForTimes", name="consumer", times=[[*p0, timestamp], [*p1, timestamp]])

    equal("by an exact time", at(base + 500), {"seek-0": [50, base + 500], "seek-1": None})
    equal("by a time in between", at(base + 501), {"seek-0": [51, base + 510], "seek-1": None})
    equal("by a time before all", at(0), {"seek-0": [0, base], "seek-1": None})
    equal("by a time after all", at(base + 10_000), {"seek-0": None, "seek-1": None})

    java("consumer.pause", name="consumer", partitions=[p0])
    java.send("seek", [{"partition": 0, "value": "paused"}])
    java.send("seek", [{"partition": 1, "value": "not paused"}])
    received(["not paused"], "while partition 0 is paused")
    java("consumer.resume", name="consumer", partitions=[p0])
    received(["paused"], "after resume")
    equal("partitions", java("consumer.partitionsFor", name="consumer", topic="seek"),
          [[0, 1, server.port], [1, 1, server.port]])


@scenario
def out_of_range(ctx):
    """A position outside the log: the error without a reset policy, the reset with one."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "short")
    java.producer(server)
    java.send("short", [{"value": str(i)} for i in range(5)])
    for policy, expected in [("earliest", 0), ("latest", 5)]:
        java.consumer(server, policy, assign=[["short", 0]], auto_offset_reset=policy)
        java("consumer.seek", name=policy, partition=["short", 0], offset=1000)
        if policy == "earliest":
            got = wait_for("records after the reset", lambda: java("consumer.take", name=policy))
            equal("first record after the reset", got[0]["offset"], 0)
        else:
            wait_equal("position after the reset", lambda: java("consumer.position", name=policy, partition=["short", 0]), 5)
    java.consumer(server, "none", assign=[["short", 0]], seek=[["short", 0, 1000]], auto_offset_reset="none")
    try:
        got = wait_for("the error", lambda: java("consumer.take", name="none"))
    except JavaError as e:
        equal("error", e.name, "OffsetOutOfRangeException")
    else:
        raise AssertionError(f"a consumer without a reset policy read outside the log: {got}")


@scenario
def small_fetches(ctx):
    """Fetch limits below one batch: the first batch is given whole, so that a consumer always gets on."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "big", partitions=3)
    java.producer(server, linger_ms=20)
    sent = [{"partition": i % 3, "value": f"{i} " + "b" * 20_000} for i in range(60)]
    java.send("big", sent)
    limited = java.read(server, "big", fetch_max_bytes=1000, max_partition_fetch_bytes=500)
    equal("records", sorted(values(limited)), sorted(r["value"] for r in sent))
    offsets_contiguous("big", limited)
    patient = java.read(server, "big", fetch_min_bytes=100_000, fetch_max_wait_ms=200)
    equal("with fetch.min.bytes", patient, limited)


@scenario
def long_poll(ctx):
    """A fetch that waits is answered when a record arrives, not when its time is up."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "wait")
    java.producer(server)
    java.consumer(server, assign=[["wait", 0]], fetch_max_wait_ms=120_000, request_timeout_ms=150_000)
    java("consumer.position", name="consumer", partition=["wait", 0])
    time.sleep(0.5)
    waited = []
    for i in range(3):
        started = time.monotonic()
        java.send("wait", [{"value": str(i)}])
        got = wait_for("the record", lambda: java("consumer.take", name="consumer"), interval_s=0.01)
        equal("value", values(got), [str(i)])
        waited.append(time.monotonic() - started)
    check("the waiting fetches were answered at once, but for what held up this machine", sorted(waited)[1] < 3, str(waited))


@scenario
def partitions(ctx):
    """100,000 random keys: Kafka's producer chooses the partitions that ours chooses (which a unit test holds to the number)."""
    test = Path(__file__).resolve().parent.parent / "unit" / "producer" / "partitioner.c"
    ours = re.search(r"CHECK_EQ\(sum, 0x([0-9a-f]+)u\)", test.read_text(encoding="utf-8"))
    equal("the partitions, as one number", ctx.java("partitions"), ours[1])
