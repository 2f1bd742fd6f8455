#!/usr/bin/env python3
"""Run the interop tests: unmodified Kafka clients and tools against a server.

    run.py --server millrace [--binary build/release/bin/millrace] [--only NAME]... [--jobs N]
    run.py --server kafka        the same against real Kafka, which proves the tests

One line a test, `ok NAME (seconds)` or `FAILED NAME (seconds)` with the reason and the server's log,
and `N passed, N failed` at the end.  Sets up what it needs first (setup.sh).
"""
import argparse
import fnmatch
import importlib
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from environment import enter_venv

HERE = Path(__file__).resolve().parent
MODULES = ["kcat", "java_produce", "java_groups", "java_admin", "tools", "confluent", "franz", "crash", "files", "compaction",
           "golden", "mixed_quorum", "quorum_members", "both_ways", "old_records", "operations", "cli", "console", "directories", "hostile",
           "memory", "assignors", "our_producer", "peers", "our_consumer", "mixed_groups", "our_admin", "perf",
           "cluster", "cluster_tools", "cluster_faults", "cluster_kafka", "cluster_links"]
REASON_LINES_MAX, REASON_LINE_MAX = 30, 400  # of a failure, so that the list of results stays readable
SCENARIO_TIMEOUT_S = 600  # on a busy machine; on a quiet one the longest needs two minutes


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=["millrace", "kafka"], default="millrace")
    parser.add_argument("--binary", default=HERE.parents[1] / "build/release/bin/millrace", help="our executable")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="a scenario (kcat.codecs), a module (kcat) or a pattern; may be repeated")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="scenarios that run at a time")
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting of every server of ours; may be repeated (millrace.shards=3)")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--keep", action="store_true", help="keep the directories of tests that passed")
    parser.add_argument("--directory", help="where the servers run (default: a new temporary one)")
    return parser.parse_args()


def chosen(scenarios, only):
    def matches(name):
        return not only or any(fnmatch.fnmatch(name, p) or name.split(".")[0] == p for p in only)
    return [name for name in scenarios if matches(name)]


def run_one(name, function, directory, server_class, driver, print_line):
    from scenario import Context, Skip
    started = time.monotonic()
    context = Context(directory, server_class, driver)
    late = []

    def watchdog():
        late.append(True)
        context.end()
        driver.end()

    timer = threading.Timer(SCENARIO_TIMEOUT_S, watchdog)
    timer.start()
    reason = skipped = None
    try:
        function(context)
        if dead := context.server_died():
            reason = f"the server ended by itself, with {dead.process.returncode}"
    except Skip as e:
        skipped = e
    except Exception as e:
        where = traceback.extract_tb(e.__traceback__)
        frame = next((f for f in reversed(where) if f.name == function.__name__), where[-1])
        reason = f"{type(e).__name__}: {e}\n(at {Path(frame.filename).name}:{frame.lineno}: {frame.line})"
        if dead := context.server_died():
            reason = f"the server ended by itself, with {dead.process.returncode}; then {reason}"
    finally:
        timer.cancel()
        try:
            driver.reset()
        finally:
            context.end()
    if late:
        reason = f"not done after {SCENARIO_TIMEOUT_S} s; {reason}"
    seconds = time.monotonic() - started
    if skipped:
        print_line(f"skipped {name} ({skipped})")
    elif reason is None:
        print_line(f"ok {name} ({seconds:.1f})")
    else:
        lines = reason.splitlines()
        if len(lines) > REASON_LINES_MAX:
            lines[REASON_LINES_MAX - 10:-10] = ["..."]
        indented = "".join(f"\n    {line[:REASON_LINE_MAX]}" for line in lines)
        print_line(f"FAILED {name} ({seconds:.1f}){indented}\n    server log: {directory}/*/server.log")
    return "skipped" if skipped else "failed" if reason else "passed"


def main():
    args = parse_args()
    enter_venv()
    sys.path.insert(0, str(HERE))
    from java_driver import JavaDriver
    from scenario import SCENARIOS
    from server import KafkaServer, MillraceServer
    for module in MODULES:
        importlib.import_module(module)

    names = chosen(SCENARIOS, args.only)
    if args.list:
        print("\n".join(names))
        return 0
    if not names:
        sys.exit(f"no scenario matches {args.only}; --list prints them")
    server_class = KafkaServer if args.server == "kafka" else MillraceServer
    MillraceServer.binary = Path(args.binary).resolve()  # its tools are tested against real Kafka, too
    if server_class is MillraceServer:
        MillraceServer.overrides = args.override
        if not os.access(MillraceServer.binary, os.X_OK):
            sys.exit(f"{MillraceServer.binary} is not there: build it, or name it with --binary")
    root = Path(args.directory or tempfile.mkdtemp(prefix="millrace-interop-"))
    KafkaServer.templates = root / "formatted"

    todo, outcomes = queue.SimpleQueue(), []
    for name in names:
        todo.put(name)
    printing = threading.Lock()

    def print_line(text):
        with printing:
            print(text, flush=True)

    def worker(number):
        driver = JavaDriver(root / f"java-driver-{number}.log")
        try:
            while True:
                try:
                    name = todo.get_nowait()
                except queue.Empty:
                    return
                directory = root / name
                outcome = run_one(name, SCENARIOS[name], directory, server_class, driver, print_line)
                outcomes.append(outcome)
                if outcome != "failed" and not args.keep:
                    shutil.rmtree(directory)
        finally:
            driver.end()

    workers = [threading.Thread(target=worker, args=(n,)) for n in range(args.jobs)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    passed, failed, skipped = (outcomes.count(o) for o in ["passed", "failed", "skipped"])
    failed += len(names) - len(outcomes)  # a worker that broke says nothing of its scenario
    if not failed and not args.keep and not args.directory:
        shutil.rmtree(root)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
