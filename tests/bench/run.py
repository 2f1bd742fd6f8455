#!/usr/bin/env python3
"""Our broker and real Kafka under the same load, in turns, on this machine.

    run.py [--rounds N] [--row NAME]... [--binary PATH] [--json FILE]
    run.py --list          the rows and what they do

Each round measures each row on both, on fresh directories; who goes first changes from round to
round.  The table at the end has medians and, per round, how far millrace is ahead (above 1: it is
better).  README.md says what is measured and what is noise.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from brokers import BrokerError, Kafka, Millrace, build
from report import table
from rows import ROWS

SHORT = {"warmup": 1, "seconds": 2, "bytes-max": 300_000_000}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--row", action="append", metavar="NAME", choices=list(ROWS), help="only this one; may be repeated")
    parser.add_argument("--side", choices=["both", "kafka", "millrace"], default="both")
    parser.add_argument("--short", action="store_true", help="loads of two seconds: to see that a row works, not for figures")
    parser.add_argument("--binary", type=Path, help="our executable (default: the release build, built if need be)")
    parser.add_argument("--directory", type=Path, help="on the disk to measure (default: a new temporary one)")
    parser.add_argument("--json", type=Path, help="write everything that was measured there")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def shortened(row):
    options = {key: min(value, SHORT[key]) if key in SHORT and value else value for key, value in row.options.items()}
    if "log-bytes" in options:
        options |= {"log-bytes": 1_000_000_000, "seconds": row.options["seconds"]}
    return row._replace(options=options, prime=row.prime and row.prime | {"seconds": 1})


def measure(broker_class, name, row, round_number, root):
    """One row, one broker, one round; None when it failed."""
    directory = root / f"{name}-{round_number}-{broker_class.name}"
    broker = None
    began = time.monotonic()
    label = f"round {round_number}  {name:<13}  {broker_class.name:<8} "
    try:
        broker = row.make(broker_class, directory, row.properties)
        result = row.measure(broker, row)
    except (BrokerError, OSError, subprocess.TimeoutExpired) as e:
        logs = " ".join(map(str, directory.rglob("server.log")))
        print(f"{label} FAILED: {e}\n    its log: {logs}", flush=True)
        return None
    finally:
        if broker:
            broker.end()
        # The other's turn must not pay for what is still to be written back from this one.
        for data in [directory / "data", *directory.glob("*/data")]:
            shutil.rmtree(data, ignore_errors=True)
        os.sync()
    shown = ", ".join(f"{m.title} {result[m.key]:.{m.digits}f}" for m in row.metrics)
    print(f"{label} {shown}  ({time.monotonic() - began:.0f} s)", flush=True)
    shutil.rmtree(directory)
    return result


def main():
    args = parse_args()
    if args.list:
        for name, row in ROWS.items():
            print(f"{name:<14}{row.title}{'' if row.always else ' (only when named)'}\n              {row.what}")
        return 0
    sides = [s for s in [Kafka, Millrace] if args.side in ["both", s.name]]
    names = args.row or [name for name, row in ROWS.items() if row.always]
    build(sides, args.binary)
    root = Path(tempfile.mkdtemp(prefix="millrace-bench-", dir=args.directory))
    Kafka.template = root / "formatted"
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.2f}, data below {root}", flush=True)

    results = {name: [] for name in names}
    failed = 0
    for round_number in range(1, args.rounds + 1):
        for name in names:
            row = shortened(ROWS[name]) if args.short else ROWS[name]
            order = sides if round_number % 2 else sides[::-1]
            result = {side.name: measure(side, name, row, round_number, root) for side in order}
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
