"""The files that the server leaves: Kafka's DumpLogSegments accepts each of them, after a clean stop and after kill -9,
and real Kafka starts on a copy, finds everything, and has nothing to repair; then the server starts on what Kafka left."""
import json
import os
import re
import shutil
import subprocess

from checks import check, equal, offsets_contiguous, wait_for
from scenario import Skip, scenario
from server import KafkaServer, MillraceServer, ServerError

DUMP = "org.apache.kafka.tools.DumpLogSegments"
TROUBLE = re.compile(r"mismatch|non-consecutive|out of order|isvalid: false|exception|corrupt|could not|failed", re.IGNORECASE)

REPAIR = re.compile(r"Attempting recovery|Recovering unflushed|stray|found invalid|could not find|sanity|corrupt|truncat| ERROR ",
                    re.IGNORECASE)
# A machine that is busy makes Kafka's controller slow, which it tells with ERROR.
LATE = re.compile(r"Exceptionally slow controller event|[Hh]eartbeat")
EVERY_START = re.compile(r"partition=__cluster_metadata-0,.* Recovering unflushed segment")  # Kafka trusts no marker for this one


def fill(ctx, server, tag):
    """Records in every codec, several segments, groups with and without members, topics deleted and grown."""
    java = ctx.java
    if tag == "first":
        java.create(server, "codecs", partitions=2)
        java.create(server, "rolled", segment_bytes=1024 * 1024, index_interval_bytes=256)
        java.create(server, "compacted", cleanup_policy="compact")
        java.create(server, "stamped", message_timestamp_type="LogAppendTime", compression_type="zstd")
        java.create(server, "empty")
        java.create(server, "gone")
    java.admin(server, "createPartitions", topics={"empty": {"count": 2 if tag == "first" else 3}})
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        name = java.producer(server, f"{tag}-{codec}", compression_type=codec, linger_ms=5, batch_size=8000)
        java.send("codecs", [{"partition": i % 2, "key": str(i), "value": f"{tag} {codec} {i}" + "." * (i % 200),
                              "headers": [["h", str(i)]]} for i in range(300)], name=name)
        java.send("stamped", [{"value": f"{tag} {codec} {i}"} for i in range(20)], name=name)
    java.send("rolled", [{"key": str(i), "value": f"{tag} {i} " + "r" * 1000} for i in range(3000)], name=f"{tag}-none")
    java.send("compacted", [{"key": str(i % 10), "value": f"{tag} {i}"} for i in range(50)], name=f"{tag}-none")
    if tag == "first":
        java.send("gone", [{"value": "x"}], name="first-none")
        java.admin(server, "deleteTopics", names=["gone"])
    java.consumer(server, f"{tag}-member", topics=["codecs"], group_id="readers")
    wait_for("the member's assignment", lambda: len(java("consumer.assignment", name=f"{tag}-member")) == 2)
    java("consumer.commit", name=f"{tag}-member", offsets=[["codecs", 0, 7, tag], ["codecs", 1, 8]])
    java("consumer.close", name=f"{tag}-member")
    java.admin(server, "alterConsumerGroupOffsets", group="manual", offsets=[["rolled", 0, 9, tag]])
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        java("producer.close", name=f"{tag}-{codec}")


# Settings of topics that Kafka 4.4 has and 4.3.1 does not know: only these are left out where the two are compared.
SINCE_4_4 = {"errors.deadletterqueue.group.enable", "max.decompressed.message.bytes", "remote.copy.lag.bytes", "remote.copy.lag.ms"}


def everything(ctx, server):
    """What clients see: all records, offsets, topics and their settings."""
    java = ctx.java
    topics = java.admin(server, "listTopics")
    settings = java.admin(server, "describeConfigs", resources=[["TOPIC", t] for t in sorted(topics)])
    return {"topics": topics, "records": {t: java.read(server, t) for t in sorted(topics)},
            "committed": java.admin(server, "listConsumerGroupOffsets", groups=["readers", "manual"]),
            "groups": java.admin(server, "listGroups"),
            "settings": {t: {k: v for k, v in of_topic.items() if k not in SINCE_4_4} for t, of_topic in settings.items()}}


def batches_end(content):
    """Where the batches of a segment end: behind them a killed server leaves zeros, space that it had allocated."""
    at = 0
    while at + 12 <= len(content) and (length := int.from_bytes(content[at + 8:at + 12], "big")) > 0:
        at += 12 + length
    return at


def without_reserve(ctx, server):
    """A copy of the log directories without these zeros, on which Kafka's tool fails, as it does with Kafka's preallocate."""
    copies = []
    for d in server.log_dirs:
        copies.append(ctx.directory / "without-reserve" / d.name)
        shutil.copytree(d, copies[-1])
    for log in [f for d in copies for f in d.rglob("*.log")]:
        content = log.read_bytes()
        end = batches_end(content)
        check(f"behind the batches of {log} are zeros", not content[end:].strip(b"\0"))
        os.truncate(log, end)
    return copies


def dump_all(ctx, log_dirs, when):
    """Run DumpLogSegments over every file that it knows; count what it found per partition."""
    partitions = [p for d in log_dirs for p in sorted(d.iterdir()) if p.is_dir() and not p.name.endswith("-delete")]
    found = {}

    def dump(what, files, *options):
        text = ctx.tool(DUMP, *options, "--files", ",".join(map(str, files)))
        trouble = [line for line in text.splitlines() if TROUBLE.search(line.split("payload:")[0].split("key:")[0])]
        equal(f"trouble in {what} {when}", trouble[:5], [])
        return text

    user = [p for p in partitions if not p.name.startswith("__")]
    logs = [f for p in user for f in sorted(p.glob("*.log"))]
    for part in re.split(r"^Dumping ", dump("the logs", logs, "--deep-iteration", "--print-data-log"), flags=re.M)[1:]:
        name = part.splitlines()[0].rsplit("/", 2)[-2]
        found[name] = found.get(name, 0) + len(re.findall(r"^\| offset: ", part, flags=re.M))
    indexes = []
    for f in (f for p in partitions for kind in ["*.index", "*.timeindex"] for f in sorted(p.glob(kind))):
        if f.with_suffix(".log").stat().st_size > 0:
            indexes.append(f)
        else:  # DumpLogSegments fails on the index that Kafka itself preallocates for a log without a batch
            check(f"{f} {when} has no entry", not f.read_bytes().strip(b"\0"))
    dump("the indexes", indexes)
    dump("the indexes, sanity", [f for f in indexes if f.suffix == ".index"], "--index-sanity-check")
    snapshots = [f for p in partitions for f in sorted(p.glob("*.snapshot"))]
    if snapshots:
        dump("the producer snapshots", snapshots)
    metadata = next(p for p in partitions if p.name == "__cluster_metadata-0")
    text = dump("the metadata log", [*sorted(metadata.glob("*.log")), *sorted(metadata.glob("*.checkpoint"))],
                "--cluster-metadata-decoder")
    check(f"the metadata log has the topics {when}", all(f'"name":"{t}"' in text for t in ["codecs", "rolled", "empty", "gone"]))
    text = dump("the offsets", [f for p in partitions if p.name.startswith("__consumer_offsets-") for f in p.glob("*.log")],
                "--offsets-decoder")
    check(f"the offsets have both groups {when}", all(f'"group":"{g}"' in text for g in ["readers", "manual"]))
    return found


def records_per_partition(state, partitions):
    counts = {f"{t}-{p}": 0 for t, n in partitions.items() for p in range(n)}
    for topic, records in state["records"].items():
        for r in records:
            counts[f"{topic}-{r['partition']}"] += 1
    return counts


def text_files(server, clean, when):
    """The small files, in the form that Kafka parses."""
    for d in server.log_dirs:
        equal(f"clean shutdown marker of {d.name} {when}", (d / ".kafka_cleanshutdown").exists(), clean)
        properties = dict(line.split("=", 1) for line in (d / "meta.properties").read_text().splitlines() if "=" in line)
        equal(f"meta.properties {when}", (properties["version"], properties["node.id"], set(properties)),
              ("1", "1", {"version", "node.id", "cluster.id", "directory.id"}))
        for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint", "log-start-offset-checkpoint"]:
            if (d / name).exists() or clean:
                checkpoint(d / name, 3, when)
        for partition in [p for p in d.iterdir() if p.is_dir()]:
            check(f"{partition.name} {when} is a name that Kafka knows",
                  re.fullmatch(r"[\w.-]+-\d+(\.[0-9a-f]{32}-delete)?", partition.name))
            if (partition / "leader-epoch-checkpoint").exists():
                checkpoint(partition / "leader-epoch-checkpoint", 2, when)
            check(f"partition.metadata of {partition.name} {when}",
                  re.fullmatch(r"version: 0\ntopic_id: [\w-]{22}", (partition / "partition.metadata").read_text().rstrip("\n")))


def checkpoint(path, columns, when):
    text = path.read_text()
    if not text:
        return  # a file without entries may be empty
    version, count, *entries = text.removesuffix("\n").split("\n")
    equal(f"{path.name} {when}: version and count", (version, int(count)), ("0", len(entries)))
    check(f"{path.name} {when}: entries", all(len(e.split(" ")) == columns for e in entries), text)


def copy_of(other):
    """Prepares a server with a copy of another's log directories."""
    return lambda new: shutil.copytree(other.directory / "data", new.directory / "data", symlinks=True)


PARTITIONS_FIRST = {"codecs": 2, "rolled": 1, "compacted": 1, "stamped": 1, "empty": 2}
PARTITIONS_SECOND = PARTITIONS_FIRST | {"empty": 3}


@scenario
def dump_log_segments(ctx):
    """DumpLogSegments and the small files: after a clean stop, after kill -9, after recovery and a stop."""
    server = ctx.server()
    fill(ctx, server, "first")
    before = everything(ctx, server)
    server.stop()
    text_files(server, clean=True, when="after a clean stop")
    equal("records on disk after a clean stop", dump_all(ctx, server.log_dirs, "after a clean stop"),
          records_per_partition(before, PARTITIONS_FIRST))

    server.start()
    fill(ctx, server, "second")
    before = everything(ctx, server)
    server.kill()
    server.drain()
    text_files(server, clean=False, when="after kill -9")
    equal("records on disk after kill -9", dump_all(ctx, without_reserve(ctx, server), "after kill -9"), records_per_partition(before, PARTITIONS_SECOND))

    server.start()
    equal("what clients see after kill -9", everything(ctx, server), before)
    server.stop()
    text_files(server, clean=True, when="after recovery")
    equal("records on disk after recovery", dump_all(ctx, server.log_dirs, "after recovery"), records_per_partition(before, PARTITIONS_SECOND))


@scenario
def kafka_recovers(ctx):
    """Kafka starts on a copy of a directory whose server was killed, and recovers all that was acknowledged; with a
    journal it does not start, so that it cannot overlook what only lies there."""
    server = ctx.server()
    fill(ctx, server, "first")
    before = everything(ctx, server)
    server.kill()
    if any((d / "millrace.journal").exists() for d in server.log_dirs):
        try:
            ctx.server(prepare=copy_of(server), server_class=KafkaServer)
            raise AssertionError("Kafka started beside a journal")
        except ServerError:
            pass
    else:
        check("the journal was in use", ctx.is_kafka)
    server.drain()
    kafka = ctx.server(prepare=copy_of(server), server_class=KafkaServer)
    equal("as Kafka sees it", everything(ctx, kafka), before)
    kafka.stop()


@scenario
def kafka_takes_over(ctx):
    """Kafka starts on a copy of a cleanly stopped directory without any repair, sees the same, and writes; then the
    server under test starts on what Kafka left, cleanly stopped and killed."""
    server = ctx.server()
    fill(ctx, server, "first")
    server.kill_restart()
    fill(ctx, server, "second")
    before = everything(ctx, server)
    server.stop()

    kafka = ctx.server(prepare=copy_of(server), server_class=KafkaServer)
    equal("as Kafka sees it", everything(ctx, kafka), before)
    log = kafka.log_text()
    for d in kafka.log_dirs:
        check(f"Kafka skipped the recovery of {d.name}", re.search(rf"Skipping recovery of \d+ logs from {d} since clean shutdown file", log))
    repairs = [line for line in log.splitlines() if REPAIR.search(line) and not EVERY_START.search(line) and not LATE.search(line)]
    equal("repairs in Kafka's log", repairs, [])

    java = ctx.java
    java.producer(kafka, "seam", compression_type="lz4")
    sent = java.send("codecs", [{"partition": p, "value": f"seam {p}"} for p in range(2)], name="seam")
    equal("offsets across the seam", [s["offset"] for s in sent],
          [len([r for r in before["records"]["codecs"] if r["partition"] == p]) for p in range(2)])
    java.consumer(kafka, "kafka-member", topics=["codecs"], group_id="readers")
    wait_for("the member's assignment", lambda: len(java("consumer.assignment", name="kafka-member")) == 2)
    java("consumer.commit", name="kafka-member", offsets=[["codecs", 0, 70, "Kafka"]])
    java("consumer.close", name="kafka-member")
    java.create(kafka, "made-by-kafka")
    java.send("made-by-kafka", [{"value": "x"}], name="seam")
    after = everything(ctx, kafka)
    check("Kafka added to it", after["committed"]["readers"]["codecs-0"] == [70, "Kafka", None] and "made-by-kafka" in after["topics"])

    for ending in [kafka.stop, kafka.kill]:
        if kafka.process is None:
            kafka.start()
        ending()
        back = ctx.server(prepare=copy_of(kafka))
        equal(f"back again after Kafka's {ending.__name__}", everything(ctx, back), after)
        for topic, records in after["records"].items():
            offsets_contiguous(topic, records)
        back.stop()


DUMPS = [  # options, which topics, which files
    ((), "*", ["*.log", "*.index", "*.timeindex", "*.txnindex", "*.snapshot", "*.checkpoint"]),
    (("--print-data-log",), "*", ["*.log", "*.checkpoint"]),
    (("--print-data-log", "--skip-record-metadata"), "*", ["*.log"]),
    (("--deep-iteration", "--max-bytes", "5000"), "*", ["*.log"]),
    (("--cluster-metadata-decoder",), "__cluster_metadata-*", ["*.log", "*.checkpoint"]),
    (("--offsets-decoder",), "__consumer_offsets-*", ["*.log"]),
    (("--verify-index-only",), "*", ["*.index", "*.timeindex"]),
    (("--index-sanity-check",), "*", ["*.index", "*.timeindex"]),
]


@scenario
def dump_equals_kafkas(ctx):
    """`millrace log dump` prints what Kafka's DumpLogSegments prints, line by line, of files of every kind."""
    if MillraceServer.binary is None:
        raise Skip("it needs the executable")
    server = ctx.server()
    fill(ctx, server, "first")
    server.restart()
    fill(ctx, server, "second")
    server.stop()
    for options, topics, patterns in DUMPS:
        files = [f for d in server.log_dirs for p in sorted(d.glob(topics)) if not p.name.endswith("-delete")
                 for pattern in patterns for f in sorted(p.glob(pattern))
                 if not pattern.endswith("index") or f.with_suffix(".log").stat().st_size > 0]
        check(f"files for {options}", files)
        ours = subprocess.run([MillraceServer.binary, "log", "dump", *options, *files], capture_output=True, text=True, timeout=60)
        equal(f"status of log dump {options}", (ours.returncode, re.findall("cannot|no batch", ours.stderr)), (0, []))
        kafkas = ctx.tool(DUMP, *options, "--files", ",".join(map(str, files)))
        equal(f"lines of log dump {options}", ours.stdout.splitlines(), kafkas.splitlines())
        as_json = subprocess.run([MillraceServer.binary, "log", "dump", "--json", *options, *files], capture_output=True, text=True,
                                 timeout=60)
        check(f"JSON of log dump {options}", all(json.loads(line)["file"] for line in as_json.stdout.splitlines()))


@scenario
def verify_finds_damage(ctx):
    """`millrace log verify`: what we and Kafka leave is clean, also after kill -9, with the ends that journals give; a bit that is flipped afterwards is found, and
    the server that starts on it serves everything else."""
    if MillraceServer.binary is None:
        raise Skip("it needs the executable")

    def verify(d, *options):
        done = subprocess.run([MillraceServer.binary, "log", "verify", *options, d], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout.splitlines(), done.stderr

    server = ctx.server()
    fill(ctx, server, "first")
    status, _, err = verify(server.log_dirs[0])
    check("verify of a directory in use", status == 2 and "in use" in err, err)
    server.kill()
    ends = {}
    for d in server.log_dirs:
        status, lines, err = verify(d, "--deep")
        equal(f"verify of {d.name} after kill -9", (status, [x for x in lines if x.startswith("trouble")], err), (0, [], ""))
        ends |= dict(re.findall(r"^note (\S+): ends at offset \d+ in its segments, and at (\d+) with what the journal holds$",
                                "\n".join(lines), re.M))
    check("the journals held something", ends)
    server.start()
    told = ctx.java.admin(server, "listOffsets", partitions=[[*p.rsplit("-", 1), "latest"] for p in ends])
    equal("ends as verify told them", {p: int(end) for p, end in ends.items()}, {p: told[p][0] for p in ends})
    before = everything(ctx, server)
    server.stop()
    kafka = ctx.server(prepare=copy_of(server), server_class=KafkaServer)
    everything(ctx, kafka)
    kafka.stop()
    for d in [*server.log_dirs, *kafka.log_dirs]:
        status, lines, err = verify(d, "--deep")
        equal(f"verify of {d} after a clean stop", (status, [x for x in lines if x.startswith("trouble")], err), (0, [], ""))

    # A header in the middle of a rolled segment, and an index of another one.
    rolled = next(p for d in server.log_dirs for p in d.glob("rolled-0"))
    logs = sorted(rolled.glob("*.log"))
    damaged, position = logs[1], index_positions(logs[1].with_suffix(".index"))[2]
    flip(damaged, position + 8)
    index = logs[0].with_suffix(".index")
    index.write_bytes(b"\7" * index.stat().st_size)
    status, lines, _ = verify(rolled.parent)
    check("the damage is found", status == 1 and any(f"{damaged.name}: bytes {position} to " in x for x in lines)
          and any(f"{logs[0].name}: .index: " in x for x in lines), lines)

    server.start()
    after = {t: ctx.java.read(server, t) for t in before["records"] if t != "rolled"}
    equal("the other topics", after, {t: r for t, r in before["records"].items() if t != "rolled"})

    def read(*args):
        """With kcat, which gives up asking for metadata after five seconds unless told otherwise."""
        return subprocess.run(["kcat", "-m", "60", "-b", server.bootstrap, "-C", "-t", "rolled", "-p", "0", *args],
                              capture_output=True, text=True, timeout=150).stdout.splitlines()

    equal("records before the damage", read("-o", "beginning", "-c", str(int(logs[1].stem)), "-f", "%s\n"),
          [r["value"] for r in before["records"]["rolled"][:int(logs[1].stem)]])
    equal("records behind it", read("-o", logs[2].stem, "-e", "-f", "%s\n"),
          [r["value"] for r in before["records"]["rolled"][int(logs[2].stem):]])
    read("-o", logs[1].stem, "-e", "-X", "check.crcs=true", "-f", "%o\n")
    wait_for("the server's log to name the damage", lambda: f"{damaged}: at byte {position}" in server.log_text())
    wait_for("and the index", lambda: f"the indexes of {logs[0]} are damaged" in server.log_text())
    server.kill()  # a clean stop is not what is shown here


def index_positions(path):
    content = path.read_bytes()
    return [int.from_bytes(content[i + 4:i + 8], "big") for i in range(0, len(content), 8)]


def flip(path, at, bit=0x80):
    content = bytearray(path.read_bytes())
    content[at] ^= bit
    path.write_bytes(content)
