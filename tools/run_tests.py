#!/usr/bin/env python3
"""Run the tests, part by part, and count them.

    ./test [PART...]      all parts when none is named

Every part prints what it does and lines `N passed, N failed`; those are added up. The last line is the sum. The exit
status is 0 when nothing failed and every part that was asked for ran.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNT = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed\b")
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}
FUZZ_SECONDS = 10
FAILURE = re.compile(r"^(FAILED|\[  FAILED  \]) [^\s\d]")  # a line that names what has failed
LINES_MAX = 400  # of a part that has failed
FAILURES_MAX = 20  # that are told again at the end
SIM_SEEDS = 2000
CLUSTER_SEEDS = 3000
JOBS = 2  # programs at a time, where they do not disturb each other
LONGEST = "unit_log"  # begins first
CHECKS = ["man_check", "abi_check", "examples_check"]  # of what a build makes beside programs
POWER_CUTS = 100  # per file system


class Sum:
    """What passed and failed so far, and what failed in words."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.trouble = []
        self.counting = threading.Lock()

    def run_all(self, commands):
        """Run quiet programs, {name: command}, some at a time."""
        with ThreadPoolExecutor(JOBS) as pool:
            list(pool.map(lambda named: self.run(*named), commands.items()))

    def run(self, name, command, quiet=True, timeout=1500):
        """Run one program. Without a line that counts, its exit status is one test. Lines are shown as they come, of a
        quiet one when it has failed."""
        began = time.monotonic()
        lines, status = run_program(command, timeout, (lambda _: None) if quiet else show)
        passed = failed = 0
        for line in lines:
            if match := COUNT.match(line):
                passed, failed = passed + int(match[1]), failed + int(match[2])
        if passed + failed == 0:
            passed, failed = (1, 0) if status == 0 else (0, 1)
        elif status != 0 and failed == 0:
            failed += 1
        with self.counting:
            self.passed += passed
            self.failed += failed
            if failed and quiet:
                for line in lines if len(lines) <= LINES_MAX else lines[:LINES_MAX // 2] + ["..."] + lines[-LINES_MAX // 2:]:
                    show(line)
            seconds = time.monotonic() - began
            print(f"  {name:<28} {passed:>6} passed {failed:>4} failed  {seconds:6.1f} s", flush=True)
            if failed:
                self.trouble.append(name)
                self.trouble += failures(lines)


def failures(lines):
    """What has failed by name, and the first words of why."""
    found = []
    for line, after in zip(lines, [*lines[1:], ""]):
        if FAILURE.match(line):
            found += ["  " + line] + (["  " + after] if after.startswith("    ") else [])
    return found[:FAILURES_MAX]


def show(line):
    print("    " + line, flush=True)


def run_program(command, timeout, each):
    """Its lines, of which `each` is told, and its exit status; -1 when it had to be ended, with all that it had started."""
    program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", env={**os.environ, **SANITIZERS}, start_new_session=True)
    late = threading.Event()

    def end():
        late.set()
        os.killpg(program.pid, signal.SIGKILL)

    timer = threading.Timer(timeout, end)
    timer.start()
    lines = []
    for line in program.stdout:
        lines.append(line.rstrip("\n"))
        each(lines[-1])
    status = program.wait()
    timer.cancel()
    if late.is_set():
        lines.append(f"no end after {timeout} s")
        each(lines[-1])
        return lines, -1
    return lines, status


def build(flavour, *targets):
    print(f"building {flavour} ...", flush=True)
    done = subprocess.run(["tools/build", flavour, *targets], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout[-6000:])
        sys.exit(f"the {flavour} build failed")


def programs(flavour, prefix):
    folder = ROOT / "build" / flavour / "tests"
    return sorted(p for p in folder.glob(prefix + "*") if p.is_file() and os.access(p, os.X_OK))


def part_unit(total):
    """Unit tests of every room under ASan and UBSan; the vectors in the debug build; the layers."""
    total.run("layers", ["tools/layers.py", "check"])
    total.run("layers_check", [sys.executable, "tests/layers_check.py", "tools/layers.py"])
    total.run("settings_check", [sys.executable, "tests/settings_check.py", "."])
    build("asan")
    commands = {p.name: [str(p)] for p in programs("asan", "unit_")}
    for name in CHECKS:
        commands[name] = ["meson", "test", "-C", "build/asan", "--no-rebuild", "--print-errorlogs", "--logbase", name, name]
    total.run_all({name: commands[name] for name in sorted(commands, key=lambda name: name != LONGEST)})


def part_vectors(total):
    """The program that checks codecs against files of vectors, as its users build it."""
    build("debug", "tests/wire_vectors", "tests/unit_protocol")
    total.run("unit_protocol (debug)", ["build/debug/tests/unit_protocol"])


def part_sim(total):
    """A whole node, and a cluster, and their clients in the simulator: many seeds, each played twice."""
    build("sim", "tests/sim_node")
    total.run("sim_node", ["build/sim/tests/sim_node", "--seeds", f"1..{SIM_SEEDS}", "--jobs", "2"])
    total.run("sim_node --cluster", ["build/sim/tests/sim_node", "--cluster", "--seeds", f"1..{CLUSTER_SEEDS}",
                                     "--jobs", "2"])


def part_mutants(total):
    """Famous bugs, brought back one by one: each must be caught."""
    total.run("mutants", [sys.executable, "tests/sim/mutants.py"], quiet=False, timeout=2400)


def part_fuzz(total):
    """Every decoder of foreign bytes for some seconds, under the sanitizers."""
    build("fuzz")
    commands = {}
    for program in programs("fuzz", "fuzz_"):
        seeds = ROOT / "tests" / "fuzz" / "seeds" / program.name.removeprefix("fuzz_")
        corpus = ROOT / "build" / "fuzz" / "corpus" / program.name
        corpus.mkdir(parents=True, exist_ok=True)
        folders = [str(corpus)] + ([str(seeds)] if seeds.is_dir() else [])
        commands[program.name] = [str(program), f"-max_total_time={FUZZ_SECONDS}", "-timeout=60", "-rss_limit_mb=2048",
                                  "-print_final_stats=0", *folders]
    total.run_all(commands)


def part_interop(total):
    """Real clients against the real executable, restarts and kill -9 included."""
    build("release")
    build("asan", "tests/assignor_groups", "tests/bench/producer_load", "tests/witness",
          "tests/interop/c/our_consumer", "lib/admin_calls")
    total.run("interop set-up", ["tests/interop/setup.sh"], timeout=2400)
    total.run("interop", [sys.executable, "tests/interop/run.py", "--server", "millrace", "--binary",
                          "build/release/bin/millrace", "--jobs", "2"], quiet=False, timeout=3600)


def part_power(total):
    """Power cuts on real file systems, under load: what was acknowledged is there."""
    build("release", "bin/millrace")
    total.run("power cuts", [sys.executable, "tests/crash/power_cuts.py", "--cuts", str(POWER_CUTS)], quiet=False)


def part_races(total):
    """Real clients against three shards under ThreadSanitizer."""
    build("tsan", "bin/millrace")
    total.run("races", [sys.executable, "tests/interop/run.py", "--server", "millrace", "--binary",
                        "build/tsan/bin/millrace", "--override", "millrace.shards=3", "--only",
                        "kcat", "--only", "franz", "--only", "confluent", "--only", "crash"],
              quiet=False)


PARTS = {name.removeprefix("part_"): run for name, run in list(globals().items())
         if name.startswith("part_")}


def main():
    wanted = sys.argv[1:] or list(PARTS)
    if any(word in ("-h", "--help") for word in wanted):
        print(__doc__)
        for name, run in PARTS.items():
            print(f"    {name:<10} {run.__doc__.splitlines()[0]}")
        return 0
    for name in wanted:
        if name not in PARTS:
            sys.exit(f"./test: there is no part {name}; there are {', '.join(PARTS)}")
    total = Sum()
    began = time.monotonic()
    for name in wanted:
        print(f"\n== {name}: {PARTS[name].__doc__.splitlines()[0]}", flush=True)
        PARTS[name](total)
    print(f"\n{(time.monotonic() - began) / 60:.1f} minutes")
    if total.trouble:
        print("failed:\n" + "\n".join("  " + line for line in total.trouble))
    print(f"{total.passed} passed, {total.failed} failed")
    return 0 if total.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
