"""Clients that others wrote, as further loads: Kafka's own ProducerPerformance and librdkafka.

They say how much they sent and how long it took; what it cost is measured here, around the whole of
them, a sync included: broker, and what the machine did beside broker and client.
"""
import json
import os
import re
import resource
import subprocess
import time

from brokers import CACHE, INTEROP, LOAD_TIMEOUT_S, BrokerError

BASELINE_S = 1
TICKS = os.sysconf("SC_CLK_TCK")
# ProducerPerformance is told how many, not how long.
JAVA_BULK_PER_S = 200_000  # so many records are sent for each of the row's seconds
STEADY = re.compile(r"^(\d+) steady state records sent, ([\d.]+) records/sec .* ([\d.]+) ms 50th, [\d.]+ ms 95th, ([\d.]+) ms 99th, "
                    r"([\d.]+) ms 99.9th", re.M)


def machine_cpu_s():
    """Everything that ran, interrupts included."""
    with open("/proc/stat") as f:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def client_cpu_s():
    """Of this process and of the children that have ended."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, [resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN]))


def run(broker, command):
    """-> output, broker CPU seconds, CPU seconds of the kernel for it, % of a core that the machine uses without load"""
    def other_cpu_s():
        return machine_cpu_s() - broker.cpu_s() - client_cpu_s()

    idle, began = other_cpu_s(), time.monotonic()
    time.sleep(BASELINE_S)
    idle = (other_cpu_s() - idle) / (time.monotonic() - began)

    cpu_s, other, began = broker.cpu_s(), other_cpu_s(), time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise BrokerError(f"{command[0]} was not done after {LOAD_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise BrokerError(f"{command[0]} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    os.sync()
    kernel_s = max(0, other_cpu_s() - other - idle * (time.monotonic() - began))
    return done.stdout, broker.cpu_s() - cpu_s, kernel_s, idle * 100


def figures(options, records, per_s, latency_ms, cpu_s, kernel_s, idle):
    """records: all that were sent, which is what the CPU was used for."""
    units = records / 1e6 if "rate" in options else records * options["record-bytes"] / 1e9
    return {"mb_per_s": per_s * options["record-bytes"] / 1e6, "cpu": (cpu_s + kernel_s) / units, "broker_cpu": cpu_s / units,
            "idle_cpu_beside": idle} | {f"ack_{q}_ms": ms for q, ms in zip(["p50", "p99", "p999"], latency_ms)}


def java_tool(name, *words):
    """A tool of the distribution, as its kafka-run-class.sh starts it."""
    return ["java", "-Xmx512M", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
            "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={INTEROP}/log4j2.xml",
            "-cp", f"{CACHE}/jars/*", f"org.apache.kafka.tools.{name}", *map(str, words)]


def java_load(broker, options):
    """kafka-producer-perf-test.sh of the distribution.  Its latencies are whole milliseconds, and from the time of
    sending: what waits before, because the client or the broker is busy, is not in them."""
    rate = options.get("rate", -1)
    count = options["seconds"] * (rate if rate > 0 else JAVA_BULK_PER_S)
    warmup = count // 2
    out, cpu_s, kernel_s, idle = run(broker, java_tool(
        "ProducerPerformance", "--topic", options["topic"], "--num-records", warmup + count, "--warmup-records", warmup,
        "--record-size", options["record-bytes"], "--throughput", rate, "--bootstrap-server", f"127.0.0.1:{broker.port}",
        "--command-property", f"acks={options['acks']}", f"batch.size={options['batch-bytes']}", f"linger.ms={0 if rate > 0 else 5}"))
    steady = STEADY.search(out)
    if not steady or int(steady[1]) != count:
        raise BrokerError(f"ProducerPerformance does not say that {count} records were sent after the warm-up: {out[-2000:]}")
    return figures(options, warmup + count, float(steady[2]), [float(ms) for ms in steady.groups()[2:]], cpu_s, kernel_s, idle)


def rdkafka_load(broker, options):
    words = [w for key, value in options.items() for w in (f"--{key}", str(value))]
    out, cpu_s, kernel_s, idle = run(broker, [broker.load_generator.with_name("rdkafka_load"), "--port", str(broker.port), *words])
    done = json.loads(out)
    latency_ms = [done["latency_us"][q] / 1e3 for q in ["p50", "p99", "p999"]]
    return figures(options, done["records_whole"], done["records"] / done["seconds"], latency_ms, cpu_s, kernel_s, idle)
