"""How client.py runs its programs: brokers for them, callgrind around them, Java's in their place."""
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from brokers import LOAD_TIMEOUT_S, BrokerError, Millrace
from clients import java_tool
from counts import instructions_of

HERE = Path(__file__).resolve().parent
WORK_TIMEOUT_S = 600
JOIN_S = 3  # a Java consumer's start, and its group: then the producer begins
BATCH_HEADER_BYTES = 61
HELD_BATCH_BYTES = 16384


@dataclass
class Work:
    """What client_work.c is told."""
    name: str
    program: Path
    records: int
    record_bytes: int
    partitions: int
    settings: dict
    options: dict = field(default_factory=dict)

    def command(self, ports, topic):
        words = [self.program, self.name, "--cluster", ",".join(f"127.0.0.1:{port}" for port in ports), "--topic", topic,
                 "--records", self.records, "--record-bytes", self.record_bytes, "--partitions", self.partitions]
        for key, value in self.options.items():
            words += [f"--{key}", value]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value}"]
        return [str(w) for w in words]

    def create(self, broker, topic):
        """By our own tool, whichever broker it is."""
        broker.run_tool([Millrace.binary, "topic", "create", "--bootstrap-server", f"127.0.0.1:{broker.port}", "--topic", topic,
                         "--partitions", str(self.partitions)])

    def run(self, ports, topic, wrap=()):
        """-> its figures"""
        return json.loads(output([*wrap, *self.command(ports, topic)]))


def output(command):
    try:
        done = subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=WORK_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise BrokerError(f"{command[0]} was not done after {WORK_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise BrokerError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def with_broker(broker_class, directory, run, properties=()):
    """run(broker) with one that is started for it, and stopped behind it. -> what it returns"""
    broker = broker_class(directory, properties)
    try:
        broker.start()
        result = run(broker)
        broker.stop()
    finally:
        broker.end()
    shutil.rmtree(directory)
    return result


def with_cluster(count, run, records):
    """run(ports) with so many brokers that only acknowledge; so many records must come to them. -> what it returns"""
    cluster = subprocess.Popen([sys.executable, HERE / "client_cluster.py", str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    try:
        result = run([int(port) for port in cluster.stdout.readline().split()])
        came, _ = cluster.communicate(timeout=LOAD_TIMEOUT_S)
    finally:
        cluster.kill()
        cluster.communicate()
    if int(came) != records:
        raise BrokerError(f"{came.strip()} records came, not {records}")
    return result


# ---- instructions ------------------------------------------------------------------------------------------------------

def count_instructions(directory, work, writer):
    """Two runs, the second with three times the records: their difference. What is to be read is written by `writer`.
    -> instructions a record, [[instructions a record, function], ...]"""
    def run(broker):
        counts = []
        for times in [1, 3]:
            one = Work(work.name, work.program, work.records * times, work.record_bytes, work.partitions, work.settings)
            topic = f"of-{one.records}"
            one.create(broker, topic)
            if work.name == "consume":
                Work("produce", writer, one.records, one.record_bytes, one.partitions, {}).run([broker.port], topic)
            out = directory / f"callgrind.{times}"
            figures = one.run([broker.port], topic, ["valgrind", "--tool=callgrind", "--fair-sched=try", f"--callgrind-out-file={out}"])
            counts.append((figures["records"], *instructions_of(out)))
        return counts
    (few, few_total, few_functions), (more, more_total, more_functions) = with_broker(Millrace, directory, run)
    records = more - few
    functions = sorted(([(n - few_functions.get(name, 0)) / records, name] for name, n in more_functions.items()), reverse=True)
    return (more_total - few_total) / records, functions


# ---- memory ------------------------------------------------------------------------------------------------------------

def wire_bytes(records, record_bytes):
    """The least that the records take on the wire without compression, as one batch after the other of batch.size."""
    numbers = 7 if record_bytes < 64 else 9 if record_bytes < 8000 else 11
    one = record_bytes + numbers
    return records * one + records * one // HELD_BATCH_BYTES * BATCH_HEADER_BYTES


def hold(directory, work):
    """-> memory, as multiples of the bytes on the wire that the producer holds."""
    def run(broker):
        work.create(broker, "held")
        client = subprocess.Popen(work.command([broker.port], "held"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            warm = said(client, "warm")
            broker.process.send_signal(signal.SIGSTOP)
            go_on(client)
            held = said(client, "held")
            broker.process.send_signal(signal.SIGCONT)
            go_on(client)
            said(client, "acknowledged")
            if client.wait(LOAD_TIMEOUT_S) != 0:
                raise BrokerError(f"{work.program.name} ended with {client.returncode}")
        finally:
            broker.process.send_signal(signal.SIGCONT)
            client.kill()
            client.communicate()
        wire = wire_bytes(work.records, work.record_bytes)
        return {key: (held[key] - warm[key]) / wire for key in ["rss", "heap"]} | {"wire": wire}
    return with_broker(Millrace, directory, run)


def said(client, when):
    line = client.stdout.readline()
    if not line:
        raise BrokerError(f"it ended before it was {when}")
    figures = json.loads(line)
    assert figures["when"] == when
    return figures


def go_on(client):
    client.stdin.write("\n")
    client.stdin.flush()


# ---- Java --------------------------------------------------------------------------------------------------------------

def java_both(broker, work, topic):
    """kafka-producer-perf-test.sh and kafka-consumer-perf-test.sh at once; the consumer's own reports say how far it was when.
    -> figures as client_work.c prints them"""
    server = f"127.0.0.1:{broker.port}"
    consumer = subprocess.Popen(
        java_tool("ConsumerPerformance", "--bootstrap-server", server, "--topic", topic, "--num-records", work.records, "--timeout", 60_000,
             "--show-detailed-stats", "--reporting-interval", 250, "--hide-header"),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        time.sleep(JOIN_S)
        output(java_tool("ProducerPerformance", "--topic", topic, "--num-records", work.records, "--record-size", work.record_bytes,
                    "--throughput", -1, "--bootstrap-server", server, "--command-property",
                    *[f"{key}={value}" for key, value in work.settings.items() if key != "check.crcs"]))
        said_all, _ = consumer.communicate(timeout=WORK_TIMEOUT_S)
    finally:
        consumer.kill()
        consumer.communicate()
    return last_two_thirds(said_all, work.records)


def last_two_thirds(text, records):
    """time, thread, MB, MB/s, records, ...; the time as 2026-01-31 23:59:59:999."""
    seen = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) > 5 and cells[4].isdigit():
            at, _, ms = cells[0].rpartition(":")
            seen.append((time.mktime(time.strptime(at, "%Y-%m-%d %H:%M:%S")) + int(ms) / 1e3, int(cells[4])))
    counted = [(at, count) for at, count in seen if count >= records / 3]
    if len(counted) < 2:
        raise BrokerError(f"ConsumerPerformance reports too little: {text[-2000:]}")
    (from_s, from_count), (to_s, to_count) = counted[0], counted[-1]
    return {"records": to_count - from_count, "seconds": to_s - from_s}
