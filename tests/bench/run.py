#!/usr/bin/env python3
"""Our broker and real Kafka under the same load, in turns, on this machine.

    run.py [--rounds N] [--row NAME]... [--binary PATH]
    run.py --list          the rows and what they do

Each round measures each row on both, on fresh directories; who goes first changes from round to
round.  The table at the end has medians and, per round, how far millrace is ahead (above 1: it is
better).  README.md says what is measured and what is noise.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

from brokers import INTEROP, Broker, BrokerError, Kafka, Millrace

ROOT = Path(__file__).resolve().parents[2]
LOAD_GENERATOR = "tests/bench/bench_load"  # a target, and where it is, of build/release

SETTLE_S = 3
IDLE_S = 5

# better: +1 the more the better, -1 the less, 0 neither (no ratio).
Metric = namedtuple("Metric", "key title better digits")
Row = namedtuple("Row", "title options prime metrics measure")

# 256 KiB batches of 1 KiB records: 4 connections, 4 partitions and 4 requests in flight each.
BULK = {"partitions": 16, "connections": 4, "window": 4, "record-bytes": 1024, "batch-bytes": 262144,
        "warmup": 3, "seconds": 5, "bytes-max": 4_000_000_000}
ONE_RECORD = {"partitions": 16, "connections": 64, "window": 1, "record-bytes": 100, "batch-bytes": 0, "acks": -1}
# Before a measurement, for the JVM's compiler: many small batches make it see the whole path soon.
PRIME = {"partitions": 16, "connections": 8, "window": 4, "record-bytes": 100, "batch-bytes": 4000,
         "warmup": 0, "seconds": 3}

BULK_METRICS = [Metric("mb_per_s", "MB/s", +1, 0), Metric("cpu_s_per_gb", "broker CPU s/GB", -1, 2),
                Metric("other_cpu_s_per_gb", "all other CPU s/GB", 0, 2)]
ONE_RECORD_METRICS = [Metric("requests_per_s", "requests/s", +1, 0),
                      Metric("cpu_s_per_m", "broker CPU s/million", -1, 2)]
LATENCY_METRICS = [Metric("p50_ms", "p50 ms", -1, 3), Metric("p99_ms", "p99 ms", -1, 3),
                   Metric("p999_ms", "p99.9 ms", -1, 3), Metric("cpu_s_per_m", "broker CPU s/million", -1, 1)]
START_METRICS = [Metric("empty_ms", "start, empty directory, ms", -1, 0),
                 Metric("again_ms", "start after a clean stop, ms", -1, 0),
                 Metric("pss_mb", "idle memory, PSS MB", -1, 1), Metric("rss_mb", "idle memory, RSS MB", -1, 1),
                 Metric("idle_cpu", "idle CPU, % of a core", -1, 2)]


def figures(load):
    """What a run of the load generator comes to."""
    whole = load["whole"]
    through = load["consumed_bytes"] or load["produced_bytes"]
    return {
        "mb_per_s": through / load["seconds"] / 1e6,
        "cpu_s_per_gb": load["broker_cpu_s"] / (through / 1e9),
        "other_cpu_s_per_gb": whole["other_cpu_s"] / (whole["produced_bytes"] / 1e9),
        "requests_per_s": load["requests"] / load["seconds"],
        "cpu_s_per_m": load["broker_cpu_s"] / (load["requests"] / 1e6),
        "p50_ms": load["latency_us"]["p50"] / 1e3,
        "p99_ms": load["latency_us"]["p99"] / 1e3,
        "p999_ms": load["latency_us"]["p999"] / 1e3,
        "load": load,
    }


def measure_load(broker, row):
    broker.start()
    if row.prime:
        broker.load(row.prime | {"topic": "prime"})
    result = figures(broker.load(row.options))
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


ROWS = {
    "start": Row("start and idle", BULK | {"warmup": 0, "bytes-max": 100_000_000}, None, START_METRICS, measure_start),
    "one-record": Row("one 100-byte record a request, 64 connections", ONE_RECORD | {"warmup": 4, "seconds": 5}, None,
                      ONE_RECORD_METRICS, measure_load),
    # At 1,000/s the JVM would need minutes to warm up, so it does before at full speed.
    "latency": Row("1,000 records/s, open loop, 10 connections",
                   ONE_RECORD | {"connections": 10, "rate": 1000, "window": 4096, "warmup": 1, "seconds": 10},
                   ONE_RECORD | {"warmup": 0, "seconds": 3}, LATENCY_METRICS, measure_load),
    "bulk": Row("bulk produce, acks=1", BULK | {"acks": 1}, PRIME, BULK_METRICS, measure_load),
    "bulk-all": Row("bulk produce, acks=all", BULK | {"acks": -1}, PRIME, BULK_METRICS, measure_load),
    "tail": Row("produce with tail consume 1:1", BULK | {"acks": 1, "consumers": 2}, PRIME | {"consumers": 2},
                BULK_METRICS, measure_load),
}


def measure(broker_class, name, round_number, root):
    """One row, one broker, one round; None when it failed."""
    row = ROWS[name]
    directory = root / f"{name}-{round_number}-{broker_class.name}"
    broker = None
    began = time.monotonic()
    label = f"round {round_number}  {name:<10}  {broker_class.name:<8} "
    try:
        broker = broker_class(directory)
        result = row.measure(broker, row)
    except (BrokerError, OSError, subprocess.TimeoutExpired) as e:
        print(f"{label} FAILED: {e}\n    its log: {directory}/server.log", flush=True)
        return None
    finally:
        if broker:
            broker.end()
        # The other's turn must not pay for what is still to be written back from this one.
        shutil.rmtree(directory / "data", ignore_errors=True)
        os.sync()
    shown = ", ".join(f"{m.title} {result[m.key]:.{m.digits}f}" for m in row.metrics)
    print(f"{label} {shown}  ({time.monotonic() - began:.0f} s)", flush=True)
    shutil.rmtree(directory)
    return result


def ratio(metric, kafka, millrace):
    """How many times better millrace is; None when nothing can be said."""
    better, worse = (millrace, kafka) if metric.better > 0 else (kafka, millrace)
    return better / worse if metric.better and worse > 0 else None


def table(names, results):
    print(f"\n{'':<30}{'kafka':>12}{'millrace':>12}   millrace ahead: median (rounds)")
    for name in names:
        row = ROWS[name]
        print(row.title)
        for m in row.metrics:
            cells = []
            for side in [Kafka.name, Millrace.name]:
                values = [r[side][m.key] for r in results[name] if r.get(side)]
                cells.append(f"{statistics.median(values):,.{m.digits}f}" if values else "-")
            ratios = [x for r in results[name] if r.get(Kafka.name) and r.get(Millrace.name)
                      if (x := ratio(m, r[Kafka.name][m.key], r[Millrace.name][m.key])) is not None]
            ahead = ""
            if ratios:
                ahead = f"   {statistics.median(ratios):>6.2f} x ({' '.join(f'{x:.2f}' for x in ratios)})"
            print(f"  {m.title:<28}{cells[0]:>12}{cells[1]:>12}{ahead}")


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--row", action="append", metavar="NAME", choices=list(ROWS), help="only this one; may be repeated")
    parser.add_argument("--side", choices=["both", "kafka", "millrace"], default="both")
    parser.add_argument("--binary", type=Path, help="our executable (default: the release build, built if need be)")
    parser.add_argument("--load", type=Path, help="the load generator (default: that of the release build)")
    parser.add_argument("--directory", type=Path, help="on the disk to measure (default: a new temporary one)")
    parser.add_argument("--json", type=Path, help="write everything that was measured there")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def build(args, sides):
    """What is not named comes from the release build."""
    targets = [] if args.load else [LOAD_GENERATOR]
    if Millrace in sides and not args.binary:
        targets.append("bin/millrace")
    if targets:
        subprocess.run([ROOT / "tools/build", "release", *targets], check=True, stdout=sys.stderr)
    Broker.load_generator = (args.load or ROOT / "build/release" / LOAD_GENERATOR).resolve()
    Millrace.binary = (args.binary or ROOT / "build/release/bin/millrace").resolve()
    if Kafka in sides:
        subprocess.run([INTEROP / "setup.sh"], check=True)


def main():
    args = parse_args()
    if args.list:
        for name, row in ROWS.items():
            print(f"{name:<12}{row.title}")
        return 0
    sides = [s for s in [Kafka, Millrace] if args.side in ["both", s.name]]
    names = args.row or list(ROWS)
    build(args, sides)
    root = Path(tempfile.mkdtemp(prefix="millrace-bench-", dir=args.directory))
    Kafka.template = root / "formatted"
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.2f}, data below {root}", flush=True)

    results = {name: [] for name in names}
    failed = 0
    for round_number in range(1, args.rounds + 1):
        for name in names:
            order = sides if round_number % 2 else sides[::-1]
            result = {side.name: measure(side, name, round_number, root) for side in order}
            failed += list(result.values()).count(None)
            results[name].append(result)
    table(names, results)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    if failed:
        print(f"\n{failed} measurements failed; what they left is below {root}")
        return 1
    shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
