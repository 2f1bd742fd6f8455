#!/usr/bin/env python3
"""What the C client costs, beside librdkafka on the same work, and Kafka's Java clients on Kafka.

    client.py                    all parts, three rounds of `rate`
    client.py --part NAME...     only these
    client.py --list             the parts

`instructions`, `memory` and `many` are counts, which hold on a busy machine; `rate` wants a quiet one.
"""
import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

from brokers import RELEASE, BrokerError, Kafka, Millrace, build
from client_work import Work, count_instructions, hold, java_both, with_broker, with_cluster

PROGRAMS = ["tests/bench/client_ours", "tests/bench/client_rdkafka"]
OURS, RDKAFKA, JAVA = "millrace", "librdkafka", "kafka"

# records: of the smaller of two runs; what the difference of both comes to is divided by the difference of their records.
Counted = namedtuple("Counted", "title work settings records goal")
COUNTED = {
    "produce": Counted("produce, 100 bytes, batches of 16 KiB", "produce", {"batch.size": 16384}, 100_000, 400),
    "produce-large": Counted("produce, 100 bytes, batches of 64 KiB", "produce", {"batch.size": 65536}, 100_000, 400),
    "consume": Counted("consume, 100 bytes, batches of 16 KiB", "consume", {"check.crcs": "true"}, 100_000, 300),
}
PARTITIONS = 4

HELD_MB = 32
HELD_BYTES = [100, 1024, 6000]
HELD_GOAL = 1.25
# Room for all of it, and no wish to give up while the broker is silent.
HELD_SETTINGS = {
    OURS: {"buffer.memory": 256 << 20, "linger.ms": 5},
    RDKAFKA: {"queue.buffering.max.kbytes": 1 << 20, "queue.buffering.max.messages": 10_000_000, "linger.ms": 5},
}

MANY_BROKERS, MANY_PRODUCERS = 10, 50
MANY_RATES = {0: 500_000, 5000: 25_000}  # records a second: how many in all

RATE_BYTES = {100: 6_000_000, 1024: 1_500_000}  # of a record: how many in all
RATE_PARTITIONS = 4
# ConsumerPerformance does not check them, so nobody does.
RATE_SETTINGS = {"batch.size": 65536, "linger.ms": 5, "check.crcs": "false"}
RATE_RDKAFKA = {"queue.buffering.max.messages": 1_000_000}


def program(name):
    return RELEASE / PROGRAMS[0 if name == OURS else 1]


# ---- parts -----------------------------------------------------------------------------------------------------------

def instructions(args, root):
    """Instructions a record of the whole client process (callgrind), less what happens once."""
    results = {}
    for name, c in COUNTED.items():
        print(f"{c.title}")
        for library in [OURS, RDKAFKA]:
            work = Work(c.work, program(library), c.records, 100, PARTITIONS, c.settings)
            total, functions = count_instructions(root / f"{name}-{library}", work, program(OURS))
            goal = f", goal {c.goal}" if library == OURS else ""
            print(f"  {library:<12}{total:10,.0f} instructions a record{goal}", flush=True)
            if library == OURS:
                for n, function in functions[:args.top]:
                    print(f"  {n:22,.1f}   {function}")
            results.setdefault(name, {})[library] = {"instructions": total, "functions": functions}
    return results


def memory(args, root):
    """What a producer takes for records that a silent broker (SIGSTOP) does not let go, beside their size on the wire."""
    results = {}
    print(f"{HELD_MB} MB on the wire, queued; memory above that of the idle producer, as a multiple")
    for record_bytes in HELD_BYTES:
        for library in [OURS, RDKAFKA]:
            work = Work("hold", program(library), HELD_MB * 1_000_000 // record_bytes, record_bytes, PARTITIONS, HELD_SETTINGS[library])
            held = hold(root / f"{record_bytes}-{library}", work)
            goal = f", goal {HELD_GOAL}" if library == OURS else ""
            print(f"  {library:<12}{record_bytes:>6} bytes a record: resident {held['rss']:.2f}, allocated {held['heap']:.2f}{goal}",
                  flush=True)
            results.setdefault(record_bytes, {})[library] = held
    return results


def many(args, root):
    """Fifty producers of one process, each to all of ten brokers, which only acknowledge: threads, switches of contexts, CPU."""
    results = {}
    for rate, records in MANY_RATES.items():
        how = f"{rate} a second" if rate else "as fast as they are taken"
        print(f"{records} records of 100 bytes by {MANY_PRODUCERS} producers to {MANY_BROKERS} brokers, {how}")
        for library in [OURS, RDKAFKA]:
            work = Work("many", program(library), records, 100, MANY_BROKERS, {}, {"producers": MANY_PRODUCERS, "rate": rate})
            f = with_cluster(MANY_BROKERS, lambda ports: work.run(ports, "many"), records + MANY_PRODUCERS)
            print(f"  {library:<12}{f['threads']:4} threads, {f['switches'] / records:8.4f} switches a record, "
                  f"{f['cpu_s'] / records * 1e6:8.2f} us of CPU a record", flush=True)
            results.setdefault(rate, {})[library] = f
    return results


def one_rate(library, record_bytes, records, root):
    settings = RATE_SETTINGS | (RATE_RDKAFKA if library == RDKAFKA else {})
    work = Work("both", program(library), records, record_bytes, RATE_PARTITIONS, settings)

    def run(broker):
        work.create(broker, "both")
        cpu_s = broker.cpu_s()
        figures = java_both(broker, work, "both") if library == JAVA else work.run([broker.port], "both")
        return {"records_per_s": figures["records"] / figures["seconds"], "broker_cpu_us": (broker.cpu_s() - cpu_s) / records * 1e6}
    return with_broker(Kafka if library == JAVA else Millrace, root, run, {"group.initial.rebalance.delay.ms": 0})


def rate(args, root):
    """Records a second through producer, broker and consumer at once, in turns: ours, librdkafka's on our broker, Kafka's own."""
    results = {record_bytes: {OURS: [], RDKAFKA: [], JAVA: []} for record_bytes in RATE_BYTES}
    for round_number in range(1, args.rounds + 1):
        for record_bytes, by_library in results.items():
            records = RATE_BYTES[record_bytes] // (10 if args.short else 1)
            for library in list(by_library)[::1 if round_number % 2 else -1]:
                figures = one_rate(library, record_bytes, records, root / f"{round_number}-{record_bytes}-{library}")
                print(f"round {round_number}  {record_bytes:>5} bytes  {library:<12}{figures['records_per_s']:12,.0f} records/s", flush=True)
                by_library[library].append(figures)
    print(f"medians of {args.rounds} rounds")
    for record_bytes, by_library in results.items():
        rates = {library: [f["records_per_s"] for f in rounds] for library, rounds in by_library.items()}
        for library, values in rates.items():
            print(f"  {record_bytes:>5} bytes  {library:<12}{statistics.median(values):12,.0f} records/s{ahead(rates[OURS], values)}")
    return results


def ahead(ours, theirs):
    if ours is theirs:
        return ""
    ratios = [x / y for x, y in zip(ours, theirs)]
    return f"   millrace ahead {statistics.median(ratios):.2f} x ({' '.join(f'{x:.2f}' for x in ratios)})"


PARTS = {part.__name__: part for part in [instructions, memory, many, rate]}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", metavar="NAME", choices=list(PARTS), help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of `rate`")
    parser.add_argument("--short", action="store_true", help="a tenth of the records in `rate`: to see that it works, not for figures")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="functions of ours to list in `instructions`")
    parser.add_argument("--binary", type=Path, help="our executable (default: the release build, built if need be)")
    parser.add_argument("--json", type=Path, help="write all that was measured there")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def main():
    args = parse_args()
    if args.list:
        for name, part in PARTS.items():
            print(f"{name:<14}{part.__doc__}")
        return 0
    names = args.part or list(PARTS)
    build([Millrace], args.binary, PROGRAMS, java="rate" in names)
    root = Path(tempfile.mkdtemp(prefix="millrace-client-"))
    Kafka.template = root / "formatted"
    results = {}
    for name in names:
        print(f"\n{name}: {PARTS[name].__doc__}", flush=True)
        (root / name).mkdir()
        try:
            results[name] = PARTS[name](args, root / name)
        except BrokerError as e:
            print(f"FAILED: {e}\nwhat it left is below {root}")
            return 1
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
