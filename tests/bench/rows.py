"""The rows of the table: what is loaded, and what it comes to.

A row's `measure(broker, row)` gets a broker that is formatted and not started, and returns figures;
its metrics pick from them.  A figure of CPU is in the row's unit: seconds per GB (10^9 bytes)
through, per GB before compression, or microseconds per request.
"""
import json
import os
import subprocess
import time
from collections import namedtuple

from brokers import LOAD_TIMEOUT_S, BrokerError
from clients import java_load, rdkafka_load
from clusters import Cluster

SETTLE_S = 3
IDLE_S = 5
READ_BYTES = 1 << 20
RECOVER_RATE_MB = 200
RECOVER_TIMEOUT_S = 300

# better: +1 the more the better, -1 the less, 0 neither (no ratio).  goal: how many times better than Kafka we want to
# be; None where nothing was set.
Metric = namedtuple("Metric", "key title better digits goal")
# what: for --list.  prime: load before the measurement, for the JVM's compiler.  always: without --row as well.
# make: what is measured, of a side's class, a directory and properties.
Row = namedtuple("Row", "title what options prime metrics measure unit properties always make",
                 defaults=("request", {}, True, lambda side, directory, properties: side(directory, properties)))

GB, PLAIN_GB, REQUEST = "gb", "plain_gb", "request"
CPU_TITLES = {GB: "CPU s/GB", PLAIN_GB: "CPU s/GB uncompressed", REQUEST: "CPU us/request"}
CPU_DIGITS = {GB: 2, PLAIN_GB: 2, REQUEST: 1}


def cpu_metrics(unit, goal=None):
    title, digits = CPU_TITLES[unit], CPU_DIGITS[unit]
    return [Metric("cpu", f"{title}, kernel too", -1, digits, goal), Metric("broker_cpu", f"{title}, broker", -1, digits, None)]


def throughput(key, title, goal=None):
    return Metric(key, title, +1, 0, goal)


def latency(prefix, title, p50=None, p99=None, p999=None, only=("p50", "p99", "p999")):
    goals = {"p50": p50, "p99": p99, "p999": p999}
    names = {"p50": "p50", "p99": "p99", "p999": "p99.9"}
    return [Metric(f"{prefix}_{q}_ms", f"{title} {names[q]} ms", -1, 3, goals[q]) for q in only]


# ---- figures ---------------------------------------------------------------------------------------------------------

def units(load, unit):
    """How many of the row's units a part of a load's figures has."""
    through = load["consumed_bytes"] or load["produced_bytes"]
    return {GB: through / 1e9, PLAIN_GB: through / 1e9 * load.get("plain_per_byte", 1), REQUEST: load["requests"] / 1e6}[unit]


def figures(load, unit):
    """What a run of the load generator comes to."""
    whole = load["whole"] | {"plain_per_byte": load["plain_per_byte"]}
    through = load["consumed_bytes"] or load["produced_bytes"]
    broker = load["broker_cpu_s"] / units(load, unit)
    # What the kernel did is counted over the whole load and the sync behind it, less what the machine does anyway.
    kernel = max(0, whole["other_cpu_s"] - whole["idle_cpu"] * whole["seconds"]) / units(whole, unit)
    result = {
        "mb_per_s": through / load["seconds"] / 1e6,
        "plain_mb_per_s": through * load["plain_per_byte"] / load["seconds"] / 1e6,
        "requests_per_s": load["requests"] / load["seconds"],
        "cpu": broker + kernel,
        "broker_cpu": broker,
        "idle_cpu_beside": whole["idle_cpu"] * 100,
        "load": load,
    }
    for prefix, name in [("ack", "latency_us"), ("received", "received_us")]:
        result |= {f"{prefix}_{q}_ms": load[name][q] / 1e3 for q in ["p50", "p99", "p999"]}
    return result


# ---- measure ---------------------------------------------------------------------------------------------------------

def prime(broker, row):
    if row.prime:
        broker.load(row.prime | {"topic": "prime"})


def measure_load(broker, row):
    broker.start()
    prime(broker, row)
    result = figures(broker.load(row.options), row.unit)
    result["data_mb"] = broker.data_mb()
    broker.stop()
    return result


def measure_start(broker, row):
    empty_s = broker.start()
    time.sleep(SETTLE_S)
    cpu_s, began = broker.cpu_s(), time.monotonic()
    time.sleep(IDLE_S)
    idle = (broker.cpu_s() - cpu_s) / (time.monotonic() - began)
    memory = broker.memory_mb()
    broker.load(row.options)
    broker.stop()
    again_s = broker.start()
    broker.stop()
    return {"empty_ms": empty_s * 1e3, "again_ms": again_s * 1e3, "pss_mb": memory["pss"], "rss_mb": memory["rss"],
            "idle_cpu": idle * 100}


def drop_cache(broker):
    """Nothing of the data is in the page cache: written back first, else it would stay."""
    os.sync()
    for file in broker.data_files():
        try:
            fd = os.open(file, os.O_RDONLY)
        except FileNotFoundError:  # it replaces small files, by others of another name
            continue
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def disk_mb_per_s(broker):
    """How fast this process reads the same files, cold, one after the other."""
    drop_cache(broker)
    began, total = time.monotonic(), 0
    for file in sorted(broker.data_files()):
        with file.open("rb", buffering=0) as f:
            while chunk := f.read(READ_BYTES):
                total += len(chunk)
    return total / (time.monotonic() - began) / 1e6


def measure_cold(broker, row):
    """Write, drop the page cache, read from the beginning."""
    broker.start()
    prime(broker, row)
    consumers = {"consumers": row.options["consumers"]}
    written = broker.load(row.options | {"consumers": 0, "baseline": 0})
    drop_cache(broker)
    read = broker.load(row.options | consumers | {"read-bytes": written["whole"]["produced_bytes"]})
    result = figures(read, row.unit)
    broker.stop()
    result["disk_mb_per_s"] = disk_mb_per_s(broker)
    return result


def load_until_killed(broker, row):
    """Load until the log has the row's size, kill -9; -> how far each partition was acknowledged."""
    options = {key: value for key, value in row.options.items() if key != "log-bytes"}
    loading = subprocess.Popen(broker.load_command(options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + RECOVER_TIMEOUT_S
        while broker.data_mb() < row.options["log-bytes"] / 1e6:
            if loading.poll() is not None:
                raise BrokerError(f"the load ended by itself: {loading.stderr.read().strip()}")
            if time.monotonic() > deadline:
                raise BrokerError(f"the log was not large enough after {RECOVER_TIMEOUT_S} s")
            time.sleep(0.2)
        broker.kill()
        answer, why = loading.communicate(timeout=LOAD_TIMEOUT_S)
    finally:
        loading.kill()
        loading.communicate()
    if loading.returncode != 0:
        raise BrokerError(why.strip())
    return json.loads(answer)["ends"]


def measure_recover(broker, row):
    """kill -9 under load, then the time until it acknowledges again; what it had acknowledged must be there."""
    broker.start()
    ends = load_until_killed(broker, row)
    again = broker.start_until({"wait-acks": LOAD_TIMEOUT_S, "partitions": row.options["partitions"], "record-bytes": 100,
                                "batch-bytes": 0})
    lost = [(p, end, offset) for p, (end, offset) in enumerate(zip(ends, again["offsets"])) if offset < end]
    if lost:
        raise BrokerError(f"partitions {lost} (number, acknowledged up to, continued at) lost what was acknowledged")
    broker.stop()
    return {"first_ack_s": again["first_ack_ns"], "last_ack_s": again["last_ack_ns"]}


def measure_client(client):
    def measure(broker, row):
        broker.start()
        prime(broker, row)
        result = client(broker, row.options)
        broker.stop()
        return result
    return measure


def measure_cluster(cluster, row):
    """librdkafka on three nodes, which all lead; what is primed is the topic that is measured."""
    cluster.start()
    cluster.create(row.options["topic"], row.options["partitions"])
    rdkafka_load(cluster, row.options | row.prime)
    result = rdkafka_load(cluster, row.options)
    cluster.stop()
    return result


# ---- loads -----------------------------------------------------------------------------------------------------------

QUIET = {"baseline": 1}
# 256 KiB batches of 1 KiB records: 4 connections, 4 partitions and 4 requests in flight each.
BULK = QUIET | {"partitions": 16, "connections": 4, "window": 4, "record-bytes": 1024, "batch-bytes": 262144, "acks": 1,
                "warmup": 2, "seconds": 5, "bytes-max": 4_000_000_000}
ONE_RECORD = QUIET | {"partitions": 16, "connections": 64, "window": 1, "record-bytes": 100, "batch-bytes": 0, "acks": -1,
                      "warmup": 3, "seconds": 5}
PACED = {"connections": 10, "window": 4096, "consumers": 1, "warmup": 1, "seconds": 10}
# Many small batches make the JVM's compiler see the whole path soon.
PRIME = {"partitions": 16, "connections": 8, "window": 4, "record-bytes": 100, "batch-bytes": 4000, "warmup": 0, "seconds": 3}
# At 1,000/s the JVM would need minutes to warm up, so it does before, at full speed.
PRIME_ONE = ONE_RECORD | {"baseline": 0, "warmup": 0, "seconds": 3}
DURABLE = {"config": "flush.messages=1"}
SEGMENTS = {"config": "segment.bytes=33554432,retention.bytes=67108864,file.delete.delay.ms=1000"}
CLEAN_OFTEN = {"log.retention.check.interval.ms": 1000, "log.initial.task.delay.ms": 1000}


def compressed(codec, goal):
    return Row(f"pass-through of {codec} batches", f"bulk with text, compressed once, by the client, with {codec}",
               BULK | {"codec": codec}, PRIME | {"codec": codec},
               [throughput("plain_mb_per_s", "MB/s uncompressed"), *cpu_metrics(PLAIN_GB, goal)], measure_load, PLAIN_GB)


def paced(rate, p999):
    return Row(f"{rate:,} records/s, end to end", f"{rate:,} one-record requests a second over 10 connections, open loop; one consumer",
               ONE_RECORD | PACED | {"rate": rate}, PRIME_ONE | {"consumers": 1},
               [*latency("received", "received", 3, 3, p999), *latency("ack", "acknowledged"), *cpu_metrics(REQUEST, 8)], measure_load)


def durable(partitions, producers, rate, p99):
    return Row(f"durable acks, {partitions} partitions, {producers} producers",
               "as one-record, on a topic with flush.messages=1: an answer waits for the disk",
               ONE_RECORD | DURABLE | {"partitions": partitions, "connections": producers}, PRIME_ONE,
               [throughput("requests_per_s", "acks/s", rate), *latency("ack", "acknowledged", p99=p99), *cpu_metrics(REQUEST)],
               measure_load)


def recover(gigabytes, goal, always):
    return Row(f"start after kill -9 under load, {gigabytes} GB", f"{RECOVER_RATE_MB} MB/s in 256 KiB batches until the log has "
               f"{gigabytes} GB; kill -9, start; time from exec to the first and to every partition's first acknowledgement",
               {key: value for key, value in BULK.items() if key not in ["baseline", "bytes-max"]}
               | {"rate": RECOVER_RATE_MB * 1_000_000 // 262144, "window": 64, "until-killed": 1, "warmup": 0, "seconds": 3600,
                  "log-bytes": gigabytes * 10 ** 9}, None,
               [Metric("first_ack_s", "first acknowledgement s", -1, 3, goal), Metric("last_ack_s", "last partition's s", -1, 3, None)],
               measure_recover, always=always)


CLIENT_BULK = {"topic": "prime", "partitions": 16, "acks": 1, "record-bytes": 1024, "batch-bytes": 262144, "seconds": 8}
CLIENT_PACED = {"topic": "prime", "partitions": 16, "acks": -1, "record-bytes": 100, "batch-bytes": 16384, "rate": 1000,
                "seconds": 10}
# At 1,000/s three JVMs need more than the two processors that such a machine has: a latency would say only that they do not keep up.
REPLICATED_PACED = CLIENT_PACED | {"rate": 300, "seconds": 20}
CLIENT_BULK_METRICS = [throughput("mb_per_s", "MB/s"), *cpu_metrics(GB)]
CLIENT_PACED_METRICS = [*latency("ack", "acknowledged"), *cpu_metrics(REQUEST)]

ROWS = {
    "start": Row("start and idle", "time to the first Metadata answer, empty and after a clean stop with 100 MB; memory and CPU idle",
                 BULK | {"baseline": 0, "warmup": 0, "bytes-max": 100_000_000}, None,
                 [Metric("empty_ms", "start, empty directory, ms", -1, 0, 100),
                  Metric("again_ms", "start after a clean stop, ms", -1, 0, None),
                  Metric("pss_mb", "idle memory, PSS MB", -1, 1, 24), Metric("rss_mb", "idle memory, RSS MB", -1, 1, None),
                  Metric("idle_cpu", "idle CPU, % of a core", -1, 2, 15)], measure_start),
    "recover": recover(4, 60, True),
    "recover-large": recover(10, 60, False),
    "bulk": Row("bulk produce, acks=1", "1 KiB records, 256 KiB batches, 16 partitions, 4 connections with 4 requests in flight",
                BULK, PRIME, [throughput("mb_per_s", "MB/s"), *cpu_metrics(GB, 5)], measure_load, GB),
    "bulk-all": Row("bulk produce, acks=all", "the same with acks=all", BULK | {"acks": -1}, PRIME,
                    [throughput("mb_per_s", "MB/s"), *cpu_metrics(GB)], measure_load, GB),
    "tail": Row("produce with tail consume 1:1", "bulk, and two connections that fetch all of it at once; per GB through",
                BULK | {"consumers": 2}, PRIME | {"consumers": 2},
                [throughput("mb_per_s", "MB/s", 1.8), *cpu_metrics(GB, 3.5)], measure_load, GB),
    "small": Row("100-byte records in 16 KiB batches", "16 partitions, 4 connections with 4 requests in flight; a request is a batch",
                 BULK | {"record-bytes": 100, "batch-bytes": 16384}, PRIME,
                 [throughput("requests_per_s", "batches/s"), *cpu_metrics(REQUEST, 6)], measure_load),
    "one-record": Row("one 100-byte record a request", "64 connections, one request in flight each, acks=all",
                      ONE_RECORD, None, [throughput("requests_per_s", "requests/s"), *cpu_metrics(REQUEST, 2.5)], measure_load),
    "keyed": Row("keyed, 20,000 records/s", "50 producers, each to 100 partitions as the key says, one record a request, open loop",
                 ONE_RECORD | {"partitions": 100, "connections": 50, "keys": 100_000, "window": 5, "rate": 20000, "warmup": 1,
                               "seconds": 10},
                 PRIME_ONE, [*latency("ack", "acknowledged", p99=4, p999=4), *cpu_metrics(REQUEST, 5)], measure_load),
    "latency": paced(1000, 4),
    "latency-5k": paced(5000, 4),
    "segments": Row("100 MB/s over 32 MiB segments with retention", "16 KiB batches at a fixed rate, 8 partitions that keep 64 MiB each",
                    BULK | SEGMENTS | {"partitions": 8, "connections": 8, "window": 64, "batch-bytes": 16384, "rate": 6104, "warmup": 3,
                                       "seconds": 15},
                    PRIME, [*latency("ack", "acknowledged", p99=50, p999=20), *cpu_metrics(GB, 10),
                            Metric("data_mb", "data on the disk MB", 0, 0, None)], measure_load, GB, CLEAN_OFTEN),
    "durable-16": durable(16, 64, 8, 6),
    "durable-256": durable(256, 256, 9, 10),
    "zstd": compressed("zstd", 12),
    "lz4": compressed("lz4", 8),
    "gzip": compressed("gzip", 20),
    "fan-out": Row("fan-out to 5 groups", "bulk, and five readers of everything, at the tail; per GB read",
                   BULK | {"consumers": 1, "groups": 5}, PRIME | {"consumers": 1},
                   [throughput("mb_per_s", "MB/s read"), *cpu_metrics(GB, 4)], measure_load, GB),
    "cold": Row("cold catch-up, 2 GB", "bulk, then the page cache is dropped and two connections read from the beginning",
                BULK | {"consumers": 2, "warmup": 0, "seconds": 60, "bytes-max": 2_000_000_000}, PRIME | {"consumers": 2},
                [throughput("mb_per_s", "MB/s read"), throughput("disk_mb_per_s", "MB/s of the disk")._replace(better=0),
                 *cpu_metrics(GB, 3)], measure_cold, GB),
    "java-bulk": Row("Kafka's own producer, bulk", "kafka-producer-perf-test.sh: 1 KiB records, batch.size 256 KiB, acks=1",
                     CLIENT_BULK, PRIME, CLIENT_BULK_METRICS, measure_client(java_load), GB),
    "java-paced": Row("Kafka's own producer, 1,000 records/s", "kafka-producer-perf-test.sh: 100-byte records, acks=all; its own figures, in whole ms",
                      CLIENT_PACED, PRIME, CLIENT_PACED_METRICS, measure_client(java_load)),
    "rdkafka-bulk": Row("librdkafka, bulk", "rdkafka_load: 1 KiB records, batch.size 256 KiB, acks=1",
                        CLIENT_BULK, PRIME, CLIENT_BULK_METRICS, measure_client(rdkafka_load), GB),
    "replicated": Row("replicated produce, three nodes", "librdkafka as in rdkafka-bulk, acks=all: three replicas, two in sync at least; "
                      "CPU of all three nodes", CLIENT_BULK | {"acks": -1}, {"seconds": 3},
                      [throughput("mb_per_s", "MB/s"), *cpu_metrics(GB, 4)], measure_cluster, GB, make=Cluster),
    "replicated-paced": Row("replicated, 300 records/s, three nodes", "the same with 100-byte records, linger.ms=0", REPLICATED_PACED,
                            {"seconds": 10, "rate": 0}, [*latency("ack", "acknowledged", p99=5), *cpu_metrics(REQUEST)],
                            measure_cluster, make=Cluster),
    "rdkafka-paced": Row("librdkafka, 1,000 records/s", "rdkafka_load: 100-byte records, acks=all, linger.ms=0",
                         CLIENT_PACED, PRIME, CLIENT_PACED_METRICS, measure_client(rdkafka_load)),
}
