#!/usr/bin/env python3
"""A broker under a steady load for a long time, with clean restarts and kill -9 in between.

    soak.py [--minutes 20] [--seed N] [--side millrace|kafka] [--no-compaction]

Three topics with 1 MiB segments: `kept` (delete, by size), `state` (compact) and `both`; each with an
idempotent producer and a reader at the tail.  Prints a line per window, and fails when something
acknowledged is lost, moved or there twice, when a key's last value is not, or when memory,
descriptors, latency or the disk grow.  --no-compaction: the broker has none, so `state` grows.
"""
import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

from brokers import BrokerError, Kafka, Millrace, build
from environment import enter_venv

WINDOWS = 40        # at most; and each at least
WINDOW_S_MIN = 5
STARTS_EVERY_S = (20, 150)  # one kill or restart to the next
SETTLED_S_MAX = 30  # a young broker's caches still fill
WINDOWS_TO_JUDGE = 6

MIB = 1 << 20
SMALL = {"segment.bytes": str(MIB), "file.delete.delay.ms": "1000"}
BY_SIZE = {"retention.bytes": str(8 * MIB)}
COMPACT = {"min.cleanable.dirty.ratio": "0.1", "delete.retention.ms": "10000"}
PROPERTIES = {"log.retention.check.interval.ms": 1000, "log.initial.task.delay.ms": 1000, "log.cleaner.backoff.ms": 1000,
              "offsets.topic.num.partitions": 4, "broker.session.timeout.ms": 2000, "broker.heartbeat.interval.ms": 250}

# What may not grow: the median of the last third of the settled windows against that of the first.
# always: also where nothing is compacted, so that data and the files that it is in do grow.
Bound = namedtuple("Bound", "title factor slack always")
BOUNDS = {"memory_mb": Bound("memory MB", 1.25, 8, True), "descriptors": Bound("descriptors", 1.2, 8, False),
          "p99_ms": Bound("p99 ms", 3, 5, True), "data_mb": Bound("data MB", 1.3, 16, False)}
COLUMNS = [("acks_per_s", "acks/s", 0), ("p50_ms", "p50 ms", 2), ("p99_ms", "p99 ms", 2), ("longest_ms", "longest ms", 1),
           ("memory_mb", "memory MB", 1), ("descriptors", "fds", 0), ("cpu", "CPU %", 1), ("data_mb", "data MB", 0)]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the times of kills and restarts")
    parser.add_argument("--rate", type=int, default=1500, metavar="N", help="records a second, of all topics together")
    parser.add_argument("--side", choices=["millrace", "kafka"], default="millrace")
    parser.add_argument("--binary", type=Path, help="our executable (default: the release build, built if need be)")
    parser.add_argument("--directory", type=Path, help="for the data (default: a new temporary one)")
    parser.add_argument("--no-compaction", action="store_true", help="compaction is not expected to act, retention is")
    return parser.parse_args()


def plan_of(seed, seconds):
    """-> [(second, "kill" | "restart")]; the last quiet time is long enough to look at."""
    rng, at, plan = random.Random(seed), 0, []
    while True:
        at += rng.uniform(*STARTS_EVERY_S)
        if at > seconds - STARTS_EVERY_S[0]:
            return plan
        plan.append((at, rng.choice(["kill", "restart"])))


class Windows:
    """What the broker looked like in each window; one with a start in it, or in which the caches of a young broker
    fill, is shown but not judged."""

    def __init__(self, broker, senders, seconds):
        self.broker, self.senders = broker, senders
        self.length_s = max(WINDOW_S_MIN, seconds / WINDOWS)
        self.settled_s = min(SETTLED_S_MAX, seconds / 20)
        self.rows = []
        self.starts = []
        self.began = time.monotonic()
        print("  second" + "".join(f"{title:>12}" for _, title, _ in COLUMNS), flush=True)
        self.open()

    def open(self):
        self.opened, self.cpu_s = time.monotonic(), self.broker.cpu_s()
        self.acked = sum(s.acked() for s in self.senders)
        self.eventful = bool(self.starts) and self.opened - self.starts[-1] < self.settled_s

    def started(self):
        """A new process."""
        self.starts.append(time.monotonic())
        self.eventful, self.cpu_s = True, 0

    def is_over(self):
        return time.monotonic() - self.opened >= self.length_s

    def close(self):
        seconds = time.monotonic() - self.opened
        latencies = sorted(ms for s in self.senders for ms in s.take_latencies()) or [0.0]
        descriptors = len(os.listdir(f"/proc/{self.broker.process.pid}/fd"))
        row = {"acks_per_s": (sum(s.acked() for s in self.senders) - self.acked) / seconds,
               "p50_ms": latencies[len(latencies) // 2], "p99_ms": latencies[len(latencies) * 99 // 100], "longest_ms": latencies[-1],
               "memory_mb": self.broker.memory_mb()["rss"], "descriptors": descriptors,
               "cpu": (self.broker.cpu_s() - self.cpu_s) / seconds * 100, "data_mb": self.broker.data_mb()}
        print(f"{time.monotonic() - self.began:8.0f}" + "".join(f"{row[key]:>12,.{digits}f}" for key, _, digits in COLUMNS)
              + ("   not judged" if self.eventful else ""), flush=True)
        if not self.eventful:
            self.rows.append(row)
        self.open()

    def grown(self, compaction):
        """What has grown, in words; the first fifth, in which all fills, is not looked at."""
        rows = self.rows[len(self.rows) // 5:]
        if len(rows) < WINDOWS_TO_JUDGE:
            return [f"only {len(rows)} windows can be judged, {WINDOWS_TO_JUDGE} are needed: take more --minutes"]
        third, found = len(rows) // 3, []
        for key, bound in BOUNDS.items():
            if not bound.always and not compaction:
                continue
            first, last = (statistics.median(r[key] for r in part) for part in [rows[:third], rows[-third:]])
            print(f"{bound.title:<12} first third {first:10.2f}   last third {last:10.2f}")
            if last > first * bound.factor + bound.slack:
                found.append(f"{bound.title} has grown from {first:.2f} to {last:.2f}")
        return found


def soak(broker, topics, args):
    """Load, kills and restarts; -> senders, windows, what the followers have committed."""
    import soak_clients as clients
    bootstrap = f"127.0.0.1:{broker.port}"
    broker.start()
    clients.create(bootstrap, topics)
    senders = [clients.Sender(bootstrap, t) for t in topics]
    followers = [clients.Follower(bootstrap, t) for t in topics]
    seconds = args.minutes * 60
    windows = Windows(broker, senders, seconds)
    plan = plan_of(args.seed, seconds)
    while time.monotonic() - windows.began < seconds:
        for client in [*senders, *followers]:
            client.check()
        if broker.process.poll() is not None:
            raise BrokerError(f"it ended by itself, with {broker.process.returncode}")
        if plan and time.monotonic() - windows.began >= plan[0][0]:
            what = plan.pop(0)[1]
            asked = time.monotonic()
            (broker.kill if what == "kill" else broker.stop)()
            stop_s, start_s = time.monotonic() - asked, broker.start()
            windows.started()
            print(f"{time.monotonic() - windows.began:8.0f}   {what}: gone after {stop_s:.3f} s, ready again {start_s:.3f} s after the "
                  "start", flush=True)
        if windows.is_over():
            windows.close()
        time.sleep(0.05)
    for sender in senders:
        sender.stop()
    return senders, windows, [follower.finish(sender) for follower, sender in zip(followers, senders)]


def check_end(broker, senders, committed, compaction):
    """After one more kill -9: all of it, as it was acknowledged."""
    import soak_clients as clients
    broker.kill()
    broker.start()
    bootstrap = f"127.0.0.1:{broker.port}"
    for sender, ends in zip(senders, committed):
        topic = sender.topic
        records, lows = clients.check_log(bootstrap, sender)
        clients.check_committed(bootstrap, topic, ends)
        print(f"{topic.name:<8} {sender.acked():>9,} acknowledged, {records:>9,} in the log, from offsets {lows}")
        if not topic.keys and max(lows) == 0:
            raise clients.SoakError(f"{topic.name}: retention has taken nothing away")
        if compaction and topic.keys and records == sender.acked():
            raise clients.SoakError(f"{topic.name}: nothing was compacted (--no-compaction: the broker cannot)")
    broker.stop()


def main():
    args = parse_args()
    enter_venv()
    from soak_clients import KafkaException, SoakError, Topic
    kind = Millrace if args.side == "millrace" else Kafka
    build([kind], args.binary)
    topics = [Topic("kept", 4, 0, args.rate // 2, SMALL | BY_SIZE),
              Topic("state", 2, 500, args.rate // 4, SMALL | COMPACT | {"cleanup.policy": "compact"}),
              Topic("both", 2, 500, args.rate // 4, SMALL | COMPACT | BY_SIZE | {"cleanup.policy": "compact,delete"})]
    root = Path(tempfile.mkdtemp(prefix="millrace-soak-", dir=args.directory))
    Kafka.template = root / "formatted"
    print(f"seed {args.seed}, {args.minutes:g} minutes, data below {root}", flush=True)
    # The smallest budget: what fills a cache is full soon, and what grows beyond it is seen.
    own = {"millrace.memory.bytes": 64 * MIB} if kind is Millrace else {}
    broker = kind(root / kind.name, PROPERTIES | own)
    try:
        senders, windows, committed = soak(broker, topics, args)
        check_end(broker, senders, committed, not args.no_compaction)
        found = windows.grown(not args.no_compaction)
    except (BrokerError, SoakError, KafkaException) as e:
        found = [str(e)]
    finally:
        broker.end()
    if found:
        print("".join(f"FAILED: {what}\n" for what in found) + f"what is left is below {root}")
        return 1
    shutil.rmtree(root)
    print("ok: nothing lost, nothing twice, nothing moved, and nothing that was judged has grown")
    return 0


if __name__ == "__main__":
    sys.exit(main())
