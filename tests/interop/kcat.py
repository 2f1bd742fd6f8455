"""kcat (librdkafka): produce, consume, metadata, offsets by time, consumer groups."""
import json
import subprocess
import time

from checks import CODECS, batches, check, equal, offsets_contiguous, wait_equal, wait_for
from scenario import scenario

TIMEOUT_S = 120


def kcat(server, *args, stdin=""):
    # -m: it gives a request for metadata five seconds, and then gives up.
    done = subprocess.run(["kcat", "-b", server.bootstrap, "-m", str(TIMEOUT_S // 2), *args], input=stdin, capture_output=True, text=True,
                          timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise AssertionError(f"kcat {' '.join(args)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def produce(server, topic, records, *args, idempotent=True):
    """Send (key, value) pairs; kcat returns when all are acknowledged. One that is not idempotent may send some twice, when
    the broker is taken for silent after it has written them."""
    text = "".join(f"{key}\t{value}\n" for key, value in records)
    kcat(server, "-P", "-t", topic, "-K", "\t", "-X", f"enable.idempotence={str(idempotent).lower()}", *args, stdin=text)


def consume(server, topic, *args):
    """Every record up to the end, as kcat's JSON."""
    return json_lines(kcat(server, "-C", "-q", "-t", topic, "-e", "-J", "-X", "fetch.wait.max.ms=10",
                           *(args or ["-o", "beginning"])))


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def pairs(records):
    return [(r["key"], r["payload"]) for r in records]


def of_partition(records, partition):
    return [r for r in records if r["partition"] == partition]


@scenario
def codecs(ctx):
    """Every codec through restart and kill -9, and the batches on disk carry the codec that was sent."""
    server = ctx.server()
    sent = {}
    for codec in CODECS:
        sent[codec] = [(f"key-{i % 17}", f"{codec} value {i} " + "x" * (i % 300)) for i in range(500)]
        produce(server, f"codec-{codec}", sent[codec], "-z", codec, "-H", f"codec={codec}", "-H", "empty=")

    def read_back(when):
        for codec in CODECS:
            records = consume(server, f"codec-{codec}")
            equal(f"{codec} {when}", pairs(records), sent[codec])
            offsets_contiguous(f"{codec} {when}", records)
            equal(f"headers of {codec} {when}", {tuple(r["headers"]) for r in records}, {("codec", codec, "empty", "")})

    read_back("at once")
    server.kill_restart()
    read_back("after kill -9")
    server.restart()
    read_back("after a restart")
    server.stop()
    for codec in CODECS:
        equal(f"codecs in the segment of {codec}", {b.codec for b in batches(server, f"codec-{codec}", 0)}, {codec})


@scenario
def partitions(ctx):
    """Keys choose partitions, -p names one; each partition keeps the order; kill -9 between the sends."""
    server = ctx.server({"num.partitions": 3})
    sent = [(f"k{i % 10}", str(i)) for i in range(300)]
    produce(server, "many", sent[:150])
    server.kill_restart()
    produce(server, "many", sent[150:])
    records = consume(server, "many")
    offsets_contiguous("many", records)
    equal("records", sorted(pairs(records)), sorted(sent))
    for key in {k for k, _ in sent}:
        mine = [r for r in records if r["key"] == key]
        equal(f"partitions of {key}", len({r["partition"] for r in mine}), 1)
        equal(f"order of {key}", [r["payload"] for r in mine], [v for k, v in sent if k == key])
    check("keys spread over partitions", len({r["partition"] for r in records}) > 1)

    before = {p: len(of_partition(records, p)) for p in range(3)}
    produce(server, "many", [("a", "one"), ("b", "two")], "-p", "2")
    equal("from an offset on", pairs(consume(server, "many", "-p", "2", "-o", str(before[2]))), [("a", "one"), ("b", "two")])
    equal("the last three", pairs(consume(server, "many", "-p", "2", "-o", "-3"))[1:], [("a", "one"), ("b", "two")])
    equal("at the end there is nothing", consume(server, "many", "-p", "2", "-o", "end"), [])


@scenario
def nulls_and_sizes(ctx):
    """Null keys and values, empty ones, one byte, and the largest record that the defaults allow."""
    server = ctx.server()
    kcat(server, "-P", "-t", "nulls", stdin="no key\n")
    kcat(server, "-P", "-t", "nulls", "-K", "\t", "-Z", stdin="\tvalue of a null key\nnull value\t\n")
    kcat(server, "-P", "-t", "nulls", "-k", "fixed key", "-p", "0", stdin="x\n")
    equal("nulls", pairs(consume(server, "nulls")),
          [(None, "no key"), (None, "value of a null key"), ("null value", None), ("fixed key", "x")])

    for codec in CODECS:
        produce(server, "large", [("big", "y" * 990_000)], "-z", codec, "-X", "message.max.bytes=1000000")
    server.kill_restart()
    large = consume(server, "large", "-o", "beginning")
    equal("large records", [len(r["payload"]) for r in large], [990_000] * len(CODECS))
    check("their bytes", all(set(r["payload"]) == {"y"} for r in large))


@scenario
def acks(ctx):
    """acks=0, 1 and all end up in the log; a record that is too large is refused."""
    server = ctx.server()
    sent = [(level, str(i)) for level in ["0", "1", "all"] for i in range(50)]
    for level in ["1", "all", "0"]:  # 0 comes last: nobody says when a topic that is new does not take records yet
        produce(server, "acks", [r for r in sent if r[0] == level], "-X", f"acks={level}", idempotent=level == "all")
    # kcat does not wait for what it sends with acks=0, so the log may get that part later
    wait_equal("number of records", lambda: len(consume(server, "acks")), len(sent))
    for level in ["0", "1", "all"]:
        equal(f"records of acks={level}", [r for r in pairs(consume(server, "acks")) if r[0] == level],
              [r for r in sent if r[0] == level])

    done = subprocess.run(["kcat", "-b", server.bootstrap, "-P", "-t", "acks", "-X", "message.max.bytes=3000000", "-D", "\f"],
                          input="z" * 2_000_000, capture_output=True, text=True, timeout=TIMEOUT_S)
    check("kcat says that the record is too large", "too large" in done.stderr.lower(), done.stderr)
    equal("records after the refusal", len(consume(server, "acks")), len(sent))


@scenario
def timestamps(ctx):
    """-Q: the first offset at or after a time; the special times for start and end."""
    server = ctx.server()
    for i in range(5):
        produce(server, "times", [(f"{i}.{j}", "v") for j in range(3)])
        time.sleep(0.02)
    server.kill_restart()
    records = consume(server, "times")
    equal("timestamp types", {r["tstype"] for r in records}, {"create"})
    stamps = [r["ts"] for r in records]
    check("timestamps are now", abs(stamps[-1] / 1000 - time.time()) < 600, str(stamps))

    def query(timestamp):
        answer = kcat(server, "-Q", "-t", f"times:0:{timestamp}").strip()
        check(f"answer to -Q {timestamp}", answer.startswith("times [0] offset "), answer)
        return int(answer.split()[-1])

    for stamp in {*stamps, *(s + 1 for s in stamps), stamps[0] - 1}:
        first = next((r["offset"] for r in records if r["ts"] >= stamp), -1)
        equal(f"first offset at {stamp} of {stamps}", query(stamp), first)
    equal("start", query(-2), 0)
    equal("end", query(-1), 15)
    consumed = consume(server, "times", "-o", f"s@{stamps[6]}", "-o", f"e@{stamps[9]}")
    equal("between two times", [r["offset"] for r in consumed],
          [r["offset"] for r in records if stamps[6] <= r["ts"] < stamps[9]])


@scenario
def metadata(ctx):
    """-L: the broker, the topics, their partitions; before and after a restart; a topic that is not there."""
    server = ctx.server({"num.partitions": 2})
    produce(server, "alpha", [("k", "v")])
    produce(server, "beta", [("k", "v")])
    server.restart()
    listing = json.loads(kcat(server, "-L", "-J"))
    equal("brokers", listing["brokers"], [{"id": 1, "name": server.bootstrap}])
    equal("controller", listing["controllerid"], 1)
    equal("asked broker", listing["originating_broker"]["name"], f"{server.bootstrap}/1")
    partition = {"leader": 1, "replicas": [{"id": 1}], "isrs": [{"id": 1}]}
    expected = [{"topic": t, "partitions": [{"partition": p} | partition for p in range(2)]} for t in ("alpha", "beta")]
    equal("topics", sorted(listing["topics"], key=lambda t: t["topic"]), expected)
    one = json.loads(kcat(server, "-L", "-J", "-t", "beta"))
    equal("one topic", [t["topic"] for t in one["topics"]], ["beta"])
    missing = json.loads(kcat(server, "-L", "-J", "-t", "missing", "-X", "allow.auto.create.topics=false"))
    equal("unknown topic", [(t["topic"], t.get("error")) for t in missing["topics"]],
          [("missing", "Broker: Unknown topic or partition")])


def group_args(server, group, *topics, session_ms=45_000):
    return ["kcat", "-b", server.bootstrap, "-G", group, "-J", "-u", "-X", "auto.offset.reset=earliest",
            "-X", f"session.timeout.ms={session_ms}", "-X", "heartbeat.interval.ms=200", *topics]


@scenario
def group_resumes(ctx):
    """A group of one reads, commits, leaves; after restart and kill -9 it goes on where it was."""
    server = ctx.server({"num.partitions": 2})
    total = []
    for round_number in range(4):
        sent = [(f"k{i}", f"round {round_number} {i}") for i in range(40)]
        produce(server, "work", sent)
        total += sent
        # -c 40: leave after these; what an earlier round committed must not come again
        records = json_lines(kcat(server, *group_args(server, "crew", "work")[3:], "-c", "40"))
        equal(f"records of round {round_number}", sorted(pairs(records)), sorted(sent))
        server.kill_restart() if round_number % 2 else server.restart()
    equal("a new group reads everything", sorted(pairs(json_lines(kcat(server, *group_args(server, "other", "work")[3:],
                                                                        "-c", "160")))), sorted(total))


@scenario
def group_member_dies(ctx):
    """Two members share the partitions; one is killed (kill -9, no goodbye), the other takes over."""
    server = ctx.server({"num.partitions": 4})
    produce(server, "work", [(f"k{i}", str(i)) for i in range(100)])

    def member(number, **how):
        out = open(ctx.directory / f"member{number}.out", "w")
        return ctx.spawn(group_args(server, "crew", "work", **how), stdout=out, stderr=subprocess.DEVNULL)

    def read(number):
        text = (ctx.directory / f"member{number}.out").read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    first = member(1)
    wait_equal("the first member reads all", lambda: sorted(int(r["payload"]) for r in read(1)), list(range(100)))
    second = member(2, session_ms=10_000)  # it is to die

    def shared():
        """Feed all partitions until both members have received something new, the second one of all that it owns."""
        seen = len(read(1))
        for p in range(4):
            produce(server, "work", [("shared", f"to {p}")], "-p", str(p))
        time.sleep(0.3)
        return len({r["partition"] for r in read(2)}) >= 2 and len(read(1)) > seen

    wait_for("both members get records", shared)
    theirs = {r["partition"] for r in read(2)}
    equal("partitions of the second member", len(theirs), 2)

    second.kill()
    second.wait()
    for p in range(4):
        produce(server, "work", [("after", str(p))], "-p", str(p))
    wait_for("the first member takes over", lambda: {r["partition"] for r in read(1) if r["key"] == "after"} == {0, 1, 2, 3},
             timeout_s=60)
    check("the first member is alive", first.poll() is None)
    equal("records after the death came once",
          sorted(r["payload"] for r in read(1) + read(2) if r["key"] == "after"), ["0", "1", "2", "3"])
