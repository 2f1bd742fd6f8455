"""Several log directories: described by Kafka's tool; one that fails, on a disk that is really full."""
import json
import os
import subprocess
from pathlib import Path

import kcat
from checks import check, equal, wait_for
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


def try_produce(server, partition, value):
    """Whether it was acknowledged within three seconds."""
    done = subprocess.run(["kcat", "-b", server.bootstrap, "-P", "-t", "t", "-p", str(partition), "-X", "acks=all",
                           "-X", "message.timeout.ms=3000"], input=value, text=True, capture_output=True)
    return done.returncode == 0


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
            equal(f"partition {p} takes records", try_produce(server, p, "refused?"), d != disk.directory)
        disk.empty()
        wait_for("words", lambda: "has room again" in server.log_text())
        for p in place:
            check(f"partition {p} takes records", try_produce(server, p, "later"))
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
        for p, d in place.items():
            if d == disk.directory:
                try_produce(server, p, big)
        wait_for("words", lambda: f"log directory {disk.directory} is offline" in server.log_text())
        for p, d in place.items():
            equal(f"partition {p} takes records", try_produce(server, p, "after"), d != disk.directory)
        shown = described(tool_of(ctx, server), "--topic-list", "t")
        check("the failed one is shown", "KafkaStorageException" in (shown[disk.directory][0] or ""), str(shown[disk.directory]))
        server.kill()
        disk.empty()
        server.start()
        for p in place:
            check(f"partition {p} takes records", try_produce(server, p, "later"))
        have = read_all(server)
        for p in place:
            equal(f"value {p}", have.count(f"value {p}"), 1)
        equal("later", have.count("later"), PARTITIONS)
        server.stop()
