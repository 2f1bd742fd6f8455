"""Tools that put load on a cluster: ours and Kafka's print lines of one shape, and read what the other has written."""
import json
import re
import subprocess

from checks import check, equal
from cli import ours
from scenario import TOOL_TIMEOUT_S, scenario
from server import JAVA, MillraceServer

PACKAGE = "org.apache.kafka.tools."


def theirs(name, *args):
    """(exit status, stdout, stderr) of Kafka's tool."""
    done = subprocess.run(JAVA + [PACKAGE + name, *map(str, args)], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
    return done.returncode, done.stdout, done.stderr


def shape(line):
    """Without its numbers: what took no millisecond went at an infinite rate."""
    return re.sub(r"-?\d+", "0", re.sub(r"\bInfinity\b|\bNaN\b", "0.0", line))


def last_line(out):
    return out.strip().splitlines()[-1]


@scenario
def perf(ctx):
    """kafka-producer-perf-test.sh, kafka-consumer-perf-test.sh: the same lines; each counts what the other has produced."""
    server = ctx.server()
    ctx.java.create(server, "t", partitions=2)
    # However long a machine takes: no line of how far it is, no end before all have come.
    produce = ["--topic", "t", "--num-records", 500, "--record-size", 200, "--throughput", -1, "--warmup-records", 100,
               "--reporting-interval", 600_000]
    status, out, _ = ours("kafka-producer-perf-test.sh", "--bootstrap-server", server.bootstrap, *produce)
    kafka_status, kafka_out, _ = theirs("ProducerPerformance", "--bootstrap-server", server.bootstrap, *produce)
    equal("produce: status", (status, kafka_status), (0, 0))
    equal("produce: lines", [shape(line) for line in out.splitlines()], [shape(line) for line in kafka_out.splitlines()])
    check("all were sent", "\n500 records sent, " in out and "400 steady state records sent, " in out, out)

    consume = ["--bootstrap-server", server.bootstrap, "--topic", "t", "--num-records", 1000, "--timeout", 50_000]
    status, out, _ = ours("kafka-consumer-perf-test.sh", *consume)
    kafka_status, kafka_out, _ = theirs("ConsumerPerformance", *consume)
    equal("consume: status", (status, kafka_status), (0, 0))
    equal("consume: lines", [shape(line) for line in out.splitlines()], [shape(line) for line in kafka_out.splitlines()])
    fields = ("data.consumed.in.MB", 2), ("data.consumed.in.nMsg", 4)
    for name, at in fields:
        equal(name, last_line(out).split(", ")[at], last_line(kafka_out).split(", ")[at])

    for words in ["--topic t --num-records 5 --throughput -1", "--topic t --num-records 0 --throughput -1 --record-size 1"]:
        equal(words, *(run(name, "--bootstrap-server", server.bootstrap, *words.split())[0]
                       for run, name in ((ours, "kafka-producer-perf-test.sh"), (theirs, "ProducerPerformance"))))


def events(out):
    """Of each event the name and the fields in their order."""
    return [(event["name"], list(event)) for event in map(json.loads, out.splitlines())]


@scenario
def verifiable(ctx):
    """kafka-verifiable-producer.sh, kafka-verifiable-consumer.sh: the same events with the same fields."""
    server = ctx.server()
    ctx.java.create(server, "t")
    produce = ["--bootstrap-server", server.bootstrap, "--topic", "t", "--max-messages", 3, "--repeating-keys", 2, "--value-prefix", 9]
    status, out, _ = ours("kafka-verifiable-producer.sh", *produce)
    kafka_status, kafka_out, _ = theirs("VerifiableProducer", *produce)
    equal("produce: status", status, kafka_status)
    equal("produce: events", [(n, sorted(f)) for n, f in events(out)], [(n, sorted(f)) for n, f in events(kafka_out)])
    seen = [[(e["key"], e["value"], e["offset"]) for e in map(json.loads, o.splitlines()) if e["name"] == "producer_send_success"]
            for o in (out, kafka_out)]
    equal("records", [(key, value) for key, value, _ in seen[0]], [(key, value) for key, value, _ in seen[1]])
    equal("offsets", [offset for records in seen for _, _, offset in records], list(range(6)))

    read = {}
    for who, run, name in (("ours", ours, "kafka-verifiable-consumer.sh"), ("Kafka's", theirs, "VerifiableConsumer")):
        status, out, _ = run(name, "--bootstrap-server", server.bootstrap, "--topic", "t", "--group-id", f"g-{who[0]}", "--max-messages", 6,
                             "--verbose")
        equal(f"{who}: status", status, 0)
        read[who] = [json.loads(line) for line in out.splitlines()]
    for name in ("startup_complete", "partitions_assigned", "record_data", "records_consumed", "offsets_committed", "partitions_revoked",
                 "shutdown_complete"):
        first = [next((e for e in read[who] if e["name"] == name), None) for who in read]
        check(f"both say {name}", None not in first, str(read))
        equal(name, sorted(first[0]), sorted(first[1]))
    records = [[(e["key"], e["value"], e["partition"], e["offset"]) for e in read[who] if e["name"] == "record_data"] for who in read]
    equal("records read", *records)
    for who in read:
        committed = [e["offsets"][0]["offset"] for e in read[who] if e["name"] == "offsets_committed"]
        equal(f"{who}: committed", committed[-1], 6)


@scenario
def bench(ctx):
    """millrace bench: what it says it has done is so, and its topic is gone."""
    server = ctx.server()
    boot = ["--bootstrap-server", server.bootstrap]
    for words in (["produce", "--records", 2000], ["consume", "--records", 2000, "--size", 50],
                  ["both", "--rate", 500, "--seconds", 2, "--warmup", 0, "--partitions", 3]):
        done = subprocess.run([MillraceServer.binary, "bench", *map(str, words), *boot, "--json"],
                              capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
        equal(f"{words}: status", done.returncode, 0)
        rows = json.loads(done.stdout)
        if words[0] == "both":
            equal("both ends", rows[0]["records"], rows[1]["records"])
            late = 500 * rows[0]["max_ms"] / 1000  # so many records were due while it, or the server, stood still for the longest
            check("rate", 950 - late <= rows[0]["records"] <= 1050 + late, done.stdout)
            check("received after it was due", 0 <= rows[1]["p50_ms"] <= rows[1]["max_ms"], done.stdout)
        else:
            equal(f"{words}: records", rows[0]["records"], 2000)
        check("removed", "removed topic " in done.stderr, done.stderr)
    topics = ours("kafka-topics.sh", *boot, "--list", "--exclude-internal")[1]
    equal("topics left", topics, "")
