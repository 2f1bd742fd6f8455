#!/usr/bin/env python3
"""Where our broker's instructions and system calls go: counts, which a busy machine does not change.

    counts.py [--path NAME]... [--top 20] [--json FILE]
    counts.py --list      the paths

Each path runs twice: under callgrind (instructions of the process, a request or a MB) and under
strace (system calls).  Both slow the broker down, so more is waiting whenever it looks: work that is
done once for many requests is shared by more of them than in life.
"""
import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

from brokers import BrokerError, Millrace, build
from rows import BULK, DURABLE, ONE_RECORD

ATTACH_TIMEOUT_S = 20
TOP_SYSCALLS = 12

# written: load before what is counted.  unit: what counts are divided by.
Profiled = namedtuple("Profiled", "what written options unit")

SECONDS = {"baseline": 0, "warmup": 0, "seconds": 3}
SMALL = BULK | {"record-bytes": 100, "batch-bytes": 16384}
READ = {"consumers": 1, "partitions": 16}

PATHS = {
    "one-record": Profiled("one 100-byte record a request, 64 connections", None, ONE_RECORD | SECONDS, "request"),
    "durable": Profiled("the same, on a topic with flush.messages=1", None, ONE_RECORD | DURABLE | SECONDS, "request"),
    "paced": Profiled("1,000 such requests a second over 10 connections, one consumer", None,
                      ONE_RECORD | SECONDS | {"connections": 10, "window": 4096, "rate": 1000, "consumers": 1}, "request"),
    "small": Profiled("100-byte records in 16 KiB batches", None, SMALL | SECONDS, "request"),
    "bulk": Profiled("1 KiB records in 256 KiB batches", None, BULK | SECONDS, "request"),
    "fetch": Profiled("200 MB of 16 KiB batches read from the beginning by one consumer",
                      SMALL | SECONDS | {"bytes-max": 200_000_000, "seconds": 60}, SMALL | SECONDS | READ, "MB"),
}


class Callgrind:
    """Counts instructions from `begin` to `end`."""

    def __init__(self, directory):
        self.out = directory / "callgrind.out"

    def command(self, command):
        return ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={self.out}", *command]

    def begin(self, pid):
        self.control("on", pid)

    def end(self, pid):
        self.control("off", pid)

    def control(self, state, pid):
        done = subprocess.run(["callgrind_control", "-i", state, str(pid)], capture_output=True, text=True, timeout=ATTACH_TIMEOUT_S)
        if done.returncode != 0:
            raise BrokerError(f"callgrind_control: {done.stdout}{done.stderr}")

    def report(self, count, unit, top):
        """-> {"instructions": a unit, "functions": [[instructions a unit, name], ...]}"""
        total, functions = instructions_of(self.out)
        functions = sorted(([n / count, name] for name, n in functions.items()), reverse=True)
        print(f"  {total / count:12,.0f} instructions a {unit}")
        for instructions, name in functions[:top]:
            print(f"  {instructions:12,.0f}   {instructions * count / total * 100:5.1f} %  {name}")
        return {"instructions": total / count, "functions": functions}


def instructions_of(out):
    """What callgrind has written there. -> all instructions, {function: its own}"""
    done = subprocess.run(["callgrind_annotate", "--threshold=100", "--show=Ir", "--auto=no", out], capture_output=True, text=True, check=True)
    total, functions = 0, {}
    for line in done.stdout.splitlines():
        found = re.match(r"^ *([\d,]+) \( *[\d.]+%\)  (.*)", line)
        if not found:
            continue
        instructions = int(found[1].replace(",", ""))
        if "PROGRAM TOTALS" in found[2]:
            total = instructions
        else:
            name = short_name(found[2])
            functions[name] = functions.get(name, 0) + instructions
    return total, functions


def short_name(text):
    """`file:function [object]` -> `function (file or object)`, without the ends that the compiler and callgrind, for a
    function that calls itself, give a name."""
    where, function, binary = re.match(r"(.*?):(.+?)(?: \[(.*)\])?$", text).groups()
    function = re.sub(r"('\d+|\.(lto_priv|part|isra|constprop|cold)(\.\d+)*)+$", "", function)
    return f"{function} ({Path(where if where != '???' else binary or where).name})"


class Strace:
    """Counts system calls from `begin` to `end`."""

    def __init__(self, directory):
        self.out = directory / "strace.out"
        self.process = None

    def command(self, command):
        return command

    def begin(self, pid):
        self.process = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", self.out, "-p", str(pid)],
                                        stderr=subprocess.PIPE, text=True)
        # It says so when it has attached; until then calls are not counted.
        line = self.process.stderr.readline()
        if "attached" not in line:
            raise BrokerError(f"strace: {line}{self.process.stderr.read()}")

    def end(self, pid):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=ATTACH_TIMEOUT_S)

    def report(self, count, unit, top):
        """-> {"syscalls": a unit, "names": [[calls a unit, name], ...]}"""
        calls = [[int(n) / count, name] for n, name in re.findall(r"^ *(\d+) +(\w+)$", self.out.read_text(), re.M) if name != "total"]
        calls.sort(reverse=True)
        total = sum(n for n, _ in calls)
        print(f"  {total:12.3f} system calls a {unit}")
        for n, name in calls[:TOP_SYSCALLS]:
            print(f"  {n:12.3f}   {name}")
        return {"syscalls": total, "names": calls}


def run_path(name, tool_class, root, top):
    path = PATHS[name]
    directory = root / f"{name}-{tool_class.__name__.lower()}"
    broker = Millrace(directory)
    tool = tool_class(directory)
    plain_command = broker.command
    broker.command = lambda: tool.command(plain_command())
    try:
        broker.start()
        options = path.options
        if path.written:
            options = options | {"read-bytes": broker.load(path.written)["whole"]["produced_bytes"]}
        else:  # what happens once is over before counting begins
            broker.load(options | {"topic": "first", "seconds": 1})
        tool.begin(broker.process.pid)
        figures = broker.load(options)
        tool.end(broker.process.pid)
        broker.stop()
    finally:
        broker.end()
    count = figures["consumed_bytes"] / 1e6 if path.unit == "MB" else figures["whole"]["requests"]
    return tool.report(count, path.unit, top)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", action="append", metavar="NAME", choices=list(PATHS), help="only this one; may be repeated")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="functions to list")
    parser.add_argument("--binary", type=Path, help="our executable (default: the release build, built if need be)")
    parser.add_argument("--json", type=Path, help="write all counts there")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def main():
    args = parse_args()
    if args.list:
        for name, path in PATHS.items():
            print(f"{name:<12}{path.what}")
        return 0
    build([Millrace], args.binary)
    root = Path(tempfile.mkdtemp(prefix="millrace-profile-"))
    results = {}
    for name in args.path or PATHS:
        print(f"{name}: {PATHS[name].what}", flush=True)
        results[name] = {}
        for tool_class in [Callgrind, Strace]:
            results[name] |= run_path(name, tool_class, root, args.top)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
