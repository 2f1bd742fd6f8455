"""Several log directories: described by Kafka's tool; partitions that move between them; one that fails, on a disk that is really
full."""
import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

import kcat
from checks import check, equal, loop_is_in_the_log, wait_for
from operations import new_server, ours
from scenario import Skip, scenario
from tools import TOPICS, tool_of

LOG_DIRS = "org.apache.kafka.tools.LogDirsCommand"
PARTITIONS = 6


def described(tool, *args):
    """{directory: (error, {partition: size})} as kafka-log-dirs.sh prints it."""
    lines = tool(LOG_DIRS, "--describe", *args).splitlines()
    broker, = json.loads(next(line for line in lines if line.startswith("{")))["brokers"]
    equal("broker", broker["broker"], 1)
    return {Path(d["logDir"]): (d["error"], {int(p["partition"].rpartition("-")[2]): (p["size"], p["offsetLag"], p["isFuture"]) for p in d["partitions"]})
            for d in broker["logDirs"]}


def places(server, topic):
    """{partition: directory}"""
    return {int(path.name.rpartition("-")[2]): d for d in server.log_dirs for path in d.glob(f"{topic}-[0-9]*")}


@scenario
def log_dirs_are_described(ctx):
    """kafka-log-dirs.sh: what lies in each directory, with its size."""
    server = ctx.server()
    tool = tool_of(ctx, server)
    tool(TOPICS, "--create", "--topic", "t", "--partitions", PARTITIONS)
    for p in range(PARTITIONS):
        kcat.produce(server, "t", [("k", f"value {p}")], "-p", str(p))
    server.stop()  # so that what is written is in the segments
    server.start()
    expected = {d: (None, {p: ((d / f"t-{p}/00000000000000000000.log").stat().st_size, 0, False)
                           for p, place in places(server, "t").items() if place == d}) for d in server.log_dirs}
    equal("directories", described(tool, "--topic-list", "t"), expected)
    server.kill_restart()
    equal("directories after kill -9", described(tool, "--topic-list", "t"), expected)


BIG, BIG_BYTES = 1300, 100_000  # records, each: copied in a time in which it can be seen, and killed


def big_hash(server):
    """What the first records of the topic are, as kcat reads them."""
    done = subprocess.run(["kcat", "-b", server.bootstrap, "-C", "-q", "-t", "big", "-p", "0", "-o", "0", "-c", str(BIG), "-X",
                           "check.crcs=true", "-m", "60", "-f", "%o %T %s\n"], capture_output=True, timeout=150)
    equal("kcat's end", (done.returncode, done.stdout.count(b"\n")), (0, BIG))
    return hashlib.sha256(done.stdout).hexdigest()


def begin_move(ctx, server):
    """Ask the partition into the other directory until the copy is seen on its way: (from, to)."""
    def described():
        return {Path(d): p.get("big-0") for d, p in ctx.java.admin(server, "describeLogDirs").items()}

    for _ in range(20):
        place, = [d for d, replica in described().items() if replica and not replica[2]]
        to, = [d for d in server.log_dirs if d != place]
        equal("the answer", ctx.java.admin(server, "alterReplicaLogDirs", replicas=[["big", 0, str(to)]]), {"big-0-1": None})
        while True:
            have = described()
            if have[to] and have[to][2]:
                check("what is shown of it", have[place] and not have[place][2] and have[to][0] <= have[place][0] and have[to][1] >= 0, have)
                return place, to
            if have[to] and not have[place]:
                break  # it has come already
            time.sleep(0.002)
    raise AssertionError("20 moves, and none was seen on its way")


def wait_moved(ctx, server, place, to):
    def moved():
        have = ctx.java.admin(server, "describeLogDirs")
        described = "big-0" not in have[str(place)] and have[str(to)].get("big-0", [0, 0, True])[2] is False
        return described and (to / "big-0").is_dir() and not (place / "big-0").is_dir()
    wait_for(f"the partition to be in {to.name}", moved, timeout_s=60)


@scenario
def partition_moves_under_a_producer(ctx):
    """AlterReplicaLogDirs with the Java client while a producer writes and a consumer reads: the copy is described on its way, also when
    the server is killed in the middle of it, the move is brought to its end, and every record is where it was said."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "big", segment_bytes=16 << 20)
    ctx.tool("org.apache.kafka.tools.ProducerPerformance", "--topic", "big", "--num-records", BIG, "--record-size", BIG_BYTES,
             "--throughput", -1, "--producer-props", f"bootstrap.servers={server.bootstrap}", "acks=all", "compression.type=none")
    before = big_hash(server)
    java.producer(server, "loop", delivery_timeout_ms=100_000, request_timeout_ms=5000, linger_ms=2)
    java("producer.loop", name="loop", topic="big", partitions=1, prefix="loop")
    java.consumer(server, "reader", assign=[["big", 0]], seek=[["big", 0, BIG]])

    def more():
        enough = java("producer.acked", name="loop") + 300
        wait_for("acknowledgements", lambda: java("producer.acked", name="loop") >= enough, timeout_s=60)

    for killed in [False, True, False, True]:
        more()
        place, to = begin_move(ctx, server)
        if killed:
            server.kill_restart()
        wait_moved(ctx, server, place, to)
        more()
        equal("the first records", big_hash(server), before)
    outcome = java("producer.stop", name="loop")
    seen = []

    def read():
        seen.extend(java("consumer.take", name="reader"))
        return len(seen) >= outcome["sent"]["0"]

    wait_for("the reader's end", read, timeout_s=60)
    equal("offsets that were read", [r["offset"] for r in seen], list(range(BIG, BIG + len(seen))))
    loop_is_in_the_log("the producer", outcome, "loop", seen)
    server.kill_restart()
    equal("the first records after kill -9", big_hash(server), before)
    server.restart()
    equal("the first records after a stop", big_hash(server), before)
    equal("the end", java.admin(server, "listOffsets", partitions=[["big", 0, "latest"]])["big-0"][0], BIG + len(seen))


class SmallDisk:
    """A file system of its own at `directory`, which must not be there yet."""

    def __init__(self, directory, size):
        self.directory = directory
        directory.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Skip(f"no file system may be mounted here: {done.stderr.strip()}")

    def free(self):
        status = os.statvfs(self.directory)
        return status.f_bavail * status.f_frsize

    def fill(self, left=0):
        """By somebody else, until `left` bytes are free."""
        with open(self.directory / "filler", "wb", buffering=0) as filler:
            try:
                while self.free() > left:
                    filler.write(b"x" * 4096)
            except OSError:
                pass

    def empty(self):
        (self.directory / "filler").unlink()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", str(self.directory)], check=True)


def try_produce(server, partition, value, within_s=3):
    """Whether it was acknowledged in that time."""
    done = subprocess.run(["kcat", "-b", server.bootstrap, "-P", "-t", "t", "-p", str(partition), "-X", "acks=all",
                           "-X", f"message.timeout.ms={within_s * 1000}"], input=value, text=True, capture_output=True)
    return done.returncode == 0


def takes_records(server, partition, value, expected):
    """For one that refuses them three seconds are enough; one that takes them has the time of a busy machine."""
    equal(f"partition {partition} takes records", try_produce(server, partition, value, 60 if expected else 3), expected)


def on_small_disk(ctx, disk, properties):
    """A server with one directory on it; three topics' worth of acknowledged records; which partition lies where."""
    good = ctx.directory / "good"
    server = new_server(ctx, properties | {"log.dirs": f"{good},{disk.directory}", "num.partitions": PARTITIONS})
    server.log_dirs = [good, disk.directory]
    server.start()
    for p in range(PARTITIONS):
        kcat.produce(server, "t", [("k", f"value {p}")], "-p", str(p))
    return server, places(server, "t")


def read_all(server):
    return sorted(value for _, value in kcat.pairs(kcat.consume(server, "t")))


@ours
def full_disk_refuses_and_accepts_again(ctx):
    """One of two disks is full: its partitions refuse records, nothing fails, and they go on when there is space."""
    with SmallDisk(ctx.directory / "small", "96m") as disk:
        server, place = on_small_disk(ctx, disk, {})
        disk.fill(left=3 << 20)  # half of the floor: what is not refused still has room
        wait_for("words", lambda: "records are refused" in server.log_text())
        for p, d in place.items():
            takes_records(server, p, "refused?", d != disk.directory)
        disk.empty()
        wait_for("words", lambda: "has room again" in server.log_text())
        for p in place:
            takes_records(server, p, "later", True)
        healthy = sum(d != disk.directory for d in place.values())
        equal("records", read_all(server),
              sorted([f"value {p}" for p in place] + ["refused?"] * healthy + ["later"] * PARTITIONS))
        server.stop()


@ours
def disk_that_fails_takes_only_its_own_partitions(ctx):
    """Without that floor a write fails: the directory is offline, the other one serves on; after a restart all is there."""
    with SmallDisk(ctx.directory / "small", "96m") as disk:
        server, place = on_small_disk(ctx, disk, {"millrace.log.dir.free.bytes.min": 0})
        disk.fill()
        big = "x" * 900000  # more than what is left in any block

        def failed():
            for p, d in place.items():
                if d == disk.directory:
                    try_produce(server, p, big)
            return f"log directory {disk.directory} is offline" in server.log_text()

        wait_for("words", failed, timeout_s=60)
        for p, d in place.items():
            takes_records(server, p, "after", d != disk.directory)
        shown = described(tool_of(ctx, server), "--topic-list", "t")
        check("the failed one is shown", "KafkaStorageException" in (shown[disk.directory][0] or ""), str(shown[disk.directory]))
        server.kill()
        disk.empty()
        server.start()
        for p in place:
            takes_records(server, p, "later", True)
        have = read_all(server)
        for p in place:
            equal(f"value {p}", have.count(f"value {p}"), 1)
        equal("later", have.count("later"), PARTITIONS)
        server.stop()
