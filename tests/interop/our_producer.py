"""Our own producer, from tests/bench/producer_load.c: threads append, one shard sends. Java reads what it wrote."""
import subprocess
import time
from pathlib import Path

from checks import CODECS, batches, check, equal, offsets_contiguous, wait_for
from scenario import scenario

PROGRAM = Path(__file__).resolve().parents[2] / "build/asan/tests/bench/producer_load"
THREADS = 3
TIMEOUT_S = 120


def begin(ctx, server, topic, records, size, *settings):
    check("producer_load is built", PROGRAM.exists(), "tools/build asan tests/bench/producer_load")
    return ctx.spawn([str(PROGRAM), server.bootstrap, topic, str(records), str(size), str(THREADS), *settings],
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def end(process, records):
    said, _ = process.communicate(timeout=TIMEOUT_S)
    equal("how it ended", process.returncode, 0 if f"{records} acknowledged, 0 failed" in said else said)


def each_once_in_order(what, got, records, by_key):
    """Values are "THREAD NUMBER..."; of each thread, in each partition, in order; and all of them once."""
    last, seen = {}, 0
    for r in got:
        thread, number = map(int, r["value"].rstrip(".").split(" "))
        of = (thread, r["partition"])
        check(f"{what}: order", last.get(of, -1) < number, f"{number} of thread {thread} comes behind {last.get(of)}: {r}")
        if by_key:
            equal(f"{what}: key", r["key"], f"{thread}-{number % 1000}")
        last[of] = number
        seen += 1
    equal(f"{what}: records", seen, records)
    numbers = sorted(tuple(map(int, r["value"].rstrip(".").split(" "))) for r in got)
    equal(f"{what}: each once", numbers, [(t, n) for t in range(THREADS) for n in range(records // THREADS)])
    offsets_contiguous(what, got)


@scenario
def codecs(ctx):
    """Every codec: Java reads each record once, in order; keys are where Java's producer puts them."""
    server = ctx.server()
    for codec in CODECS:
        ctx.java.create(server, codec, partitions=5)
        end(begin(ctx, server, codec, 6000, 80, f"compression.type={codec}", "keys=1"), 6000)
        got = ctx.java.read(server, codec)
        each_once_in_order(codec, got, 6000, by_key=True)
        ours = {r["key"]: r["partition"] for r in got}
        ctx.java.producer(server, codec, compression_type=codec)
        keys = sorted(ours)[::7]
        java = ctx.java.send(codec, [{"key": key, "value": "java"} for key in keys], name=codec)
        equal(f"{codec}: partitions of keys", {k: r["partition"] for k, r in zip(keys, java)}, {k: ours[k] for k in keys})
    server.stop()
    for codec in CODECS:
        written = [b for p in range(5) for b in batches(server, codec, p) if b.count > 20]
        equal(f"codecs on disk of {codec}", {b.codec for b in written}, {codec})
        check("they have a producer id", all(b.producer_id >= 0 for b in written), str(written[:3]))


@scenario
def codec_by_topic(ctx):
    """millrace.topic.compression.type: the first pattern that fits a topic's name counts, others have compression.type."""
    server = ctx.server()
    expected = {"logs-web": "zstd", "logs-x": "none", "other": "lz4"}
    for topic in expected:
        ctx.java.create(server, topic)
        end(begin(ctx, server, topic, 300, 80, "compression.type=lz4", "millrace.topic.compression.type=logs-?:none,logs-*:zstd"), 300)
        equal(f"{topic} is read", len(ctx.java.read(server, topic)), 300)
    server.stop()
    for topic, codec in expected.items():
        equal(f"codecs on disk of {topic}", {b.codec for b in batches(server, topic, 0)}, {codec})


@scenario
def classes_of_acknowledgement(ctx):
    """acks 0, 1 and all; small buffers; records larger than a batch."""
    server = ctx.server()
    for name, records, size, settings in [
            ("none", 3000, 100, ["acks=0"]),
            ("one", 3000, 100, ["acks=1", "linger.ms=0"]),
            ("small", 3000, 100, ["buffer.memory=40000", "batch.size=2000"]),
            ("large", 60, 60_000, ["buffer.memory=300000"])]:
        ctx.java.create(server, name, partitions=2)
        end(begin(ctx, server, name, records, size, *settings), records)
        if "acks=0" in settings:  # sent is not arrived
            wait_for("the last record", lambda: len(ctx.java.read(server, name)) >= records)
        each_once_in_order(name, ctx.java.read(server, name), records, by_key=False)


@scenario
def through_restarts(ctx):
    """kill -9 and clean stops while it writes: each record once, in order. The second stop comes before the producer is back:
    what is in doubt since the kill must be known as there behind a clean stop, too."""
    server = ctx.server()
    ctx.java.create(server, "through", partitions=3)
    process = begin(ctx, server, "through", 300_000, 60, "linger.ms=0", "batch.size=1000", "buffer.memory=100000",
                    "request.timeout.ms=5000")
    met = 0
    for pause_s, restart in [(0.2, server.kill_restart), (0, server.restart), (0.2, server.kill_restart)]:
        time.sleep(pause_s)
        met += process.poll() is None  # how much is written by now is the machine's business
        restart()
    check("a restart while it is at work", met > 0, "all came too late")
    end(process, 300_000)
    each_once_in_order("through restarts", ctx.java.read(server, "through"), 300_000, by_key=False)
