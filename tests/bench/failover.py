#!/usr/bin/env python3
"""How long producers wait when a node of three dies, stops, hangs: our cluster and Kafka's, in turns, on this machine.

    failover.py [--rounds N] [--trouble NAME]... [--settings default|tuned] [--client millrace|librdkafka] [--json FILE]
    failover.py --list       the troubles

In each round each side has a new cluster for each of the settings; who goes first changes from round to round.  Each
node is broker and controller; a topic of six partitions with three replicas each, acks=all, min.insync.replicas=2.  The
figures are the longest times in which nothing was acknowledged.  README.md says what is noise.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from brokers import RELEASE, BrokerError, Kafka, Millrace, build
from clusters import Cluster

PROGRAMS = {"millrace": "tests/bench/client_ours", "librdkafka": "tests/bench/client_rdkafka"}
PARTITIONS = 6
RATE = 100  # records a second to each partition: a gap is known to 10 ms
WARM_S = 2
QUIET_S = 1  # before the trouble: what a gap is without one
AFTER_S = 2  # behind the first acknowledgement of each partition
GAP_MAX_S = 60

# What a client can do to go on soon.  Their own defaults wait for 100 ms and more between tries, and for half a minute for
# a broker that says nothing.
CLIENT = {
    "millrace": {"linger.ms": 0, "retry.backoff.ms": 10, "retry.backoff.max.ms": 50, "reconnect.backoff.ms": 10,
                 "reconnect.backoff.max.ms": 50, "request.timeout.ms": 1000, "acks": "all"},
    "librdkafka": {"linger.ms": 0, "retry.backoff.ms": 10, "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 50, "socket.timeout.ms": 1000,
                   "request.timeout.ms": 1000, "acks": "all", "enable.idempotence": "true", "topic.metadata.refresh.fast.interval.ms": 10},
}
SETTINGS = {
    "default": {},
    # As short as a cluster in one place can have them: a fetch of the metadata log waits for up to 500 ms.
    "tuned": {"broker.session.timeout.ms": 1000, "broker.heartbeat.interval.ms": 100, "controller.quorum.fetch.timeout.ms": 1000,
              "controller.quorum.election.timeout.ms": 200, "controller.quorum.election.backoff.max.ms": 100,
              "controller.quorum.request.timeout.ms": 1000, "controller.quorum.retry.backoff.ms": 20},
}

# name: what is done, how, whether to the active controller, goal in ms
TROUBLES = {
    "kill": ("kill -9 of a leader that is not the active controller", "kill", False, 300),
    "stop": ("controlled shutdown of a leader that is not the active controller", "stop", False, 100),
    "hang": ("SIGSTOP of a leader that is not the active controller", "hang", False, 1500),
    "controller": ("kill -9 of the active controller, which also leads partitions", "kill", True, 700),
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--trouble", action="append", choices=list(TROUBLES), help="only this one; may be repeated")
    parser.add_argument("--settings", action="append", choices=list(SETTINGS), help="of the nodes (default: both)")
    parser.add_argument("--client", choices=list(PROGRAMS), default="millrace", help="whose producer, for both sides")
    parser.add_argument("--side", choices=["both", "kafka", "millrace"], default="both")
    parser.add_argument("--binary", type=Path, help="our executable (default: the release build, built if need be)")
    parser.add_argument("--directory", type=Path, help="on the disk to measure (default: a new temporary one)")
    parser.add_argument("--json", type=Path, help="write everything that was measured there")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


class Producer:
    """client_gaps.c, until the end of the block."""

    def __init__(self, cluster, client, topic):
        settings = [w for key, value in CLIENT[client].items() for w in ("--set", f"{key}={value}")]
        command = [RELEASE / PROGRAMS[client], "gaps", "--cluster", cluster.bootstrap, "--topic", topic,
                   "--partitions", PARTITIONS, "--rate", RATE, *settings]
        self.process = subprocess.Popen([str(w) for w in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.kill()
        self.process.communicate()

    def since_last(self):
        """-> what was acknowledged, and the longest time without"""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise BrokerError("the producer has ended") from None
        line = self.process.stdout.readline()
        if not line:
            raise BrokerError("the producer has ended")
        return json.loads(line)

    def until_all_acked(self):
        """-> the same over all of the time until each partition has acknowledged something for some time"""
        seen, deadline = [], time.monotonic() + GAP_MAX_S
        calm_since = None
        while calm_since is None or time.monotonic() - calm_since < AFTER_S:
            time.sleep(0.5)
            now = self.since_last()
            seen.append(now)
            calm = all(p["acked"] > 0 for p in now["partitions"])
            calm_since = (calm_since or time.monotonic()) if calm else None
            if time.monotonic() > deadline:
                raise BrokerError(f"{GAP_MAX_S} s after the trouble some partition takes nothing")
        return seen


def longest(reports):
    """A gap that a report cuts in two is whole in the later one: it ends with an acknowledgement."""
    return {"all_ms": max(r["all"]["gap_ms"] for r in reports),
            "partition_ms": [max(r["partitions"][p]["gap_ms"] for r in reports) for p in range(PARTITIONS)]}


def make(trouble, broker):
    if trouble == "kill":
        broker.kill()
    elif trouble == "stop":
        broker.process.send_signal(signal.SIGTERM)
    else:
        broker.process.send_signal(signal.SIGSTOP)


def mend(trouble, broker):
    if trouble == "stop":
        broker.process.wait(60)
        broker.process = None
    elif trouble == "hang":
        broker.process.send_signal(signal.SIGCONT)


def victim(cluster, topic, is_controller):
    """-> the node, and which partitions it leads"""
    controller = cluster.controller()
    leaders = [leader for leader, _ in cluster.partitions(topic)]
    node = controller if is_controller else max((n for n in cluster.nodes if n != controller), key=leaders.count)
    return node, [p for p, leader in enumerate(leaders) if leader == node]


def measure(cluster, name, round_number, client):
    _, trouble, is_controller, _ = TROUBLES[name]
    topic = f"{name}-{round_number}"
    cluster.create(topic, PARTITIONS)
    with Producer(cluster, client, topic) as producer:
        time.sleep(WARM_S)
        node, led = victim(cluster, topic, is_controller)
        producer.since_last()
        time.sleep(QUIET_S)
        quiet = longest([producer.since_last()])
        make(trouble, cluster.nodes[node])
        try:
            reports = producer.until_all_acked()
        finally:
            mend(trouble, cluster.nodes[node])
        cluster.start_again(node, topic)
    gaps = longest(reports)
    return gaps | {"led": led, "worst_ms": max(gaps["partition_ms"]), "led_ms": max((gaps["partition_ms"][p] for p in led), default=0),
                   "quiet_ms": max(quiet["partition_ms"])}


def round_of(side, settings, names, round_number, args, root):
    """A cluster of its own, so that the other side does not run meanwhile; None from where one failed on."""
    results = dict.fromkeys(names)
    directory = root / f"{side.name}-{settings}-{round_number}"
    cluster, name = None, "start"
    try:
        cluster = Cluster(side, directory, SETTINGS[settings])
        cluster.start()
        for name in names:
            r = results[name] = measure(cluster, name, round_number, args.client)
            label = f"round {round_number}  {settings:<8} {name:<11} {side.name:<9}"
            print(f"{label} {r['worst_ms']:8.0f} ms for the worst partition, {r['all_ms']:6.0f} ms for all, "
                  f"{r['quiet_ms']:4.0f} ms before", flush=True)
    except (BrokerError, OSError, subprocess.TimeoutExpired) as e:
        print(f"round {round_number}  {settings:<8} {name:<11} {side.name:<9} FAILED: {e}\n"
              f"    logs: {directory}/*/server.log", flush=True)
        return results
    finally:
        if cluster:
            cluster.end()
    shutil.rmtree(directory)
    return results


def line(title, rounds, key, goal):
    """Medians and worst of both sides, and how many times longer Kafka's producers wait."""
    of = {side: [r[side][key] for r in rounds if r.get(side)] for side in [Kafka.name, Millrace.name]}
    cells = "".join(f"{f'{statistics.median(v):,.0f} ({max(v):,.0f})' if v else '-':>18}" for v in of.values())
    ratios = [r[Kafka.name][key] / max(r[Millrace.name][key], 1) for r in rounds if r.get(Kafka.name) and r.get(Millrace.name)]
    ahead = f"{statistics.median(ratios):>8.1f} x ({' '.join(f'{x:.1f}' for x in ratios)})" if ratios else ""
    return f"  {title:<24}{cells}{goal:>8}   {ahead}"


def table(results, names):
    for settings, troubles in results.items():
        print(f"\n{settings + ' settings, ms':<26}{'kafka':>18}{'millrace':>18}{'goal':>8}   millrace ahead: median (rounds)")
        for name in names:
            what, _, _, goal = TROUBLES[name]
            print(f"{what}  [{name}]")
            print(line("worst partition", troubles[name], "worst_ms", goal))
            print(line("no partition at all", troubles[name], "all_ms", ""))
    print("\nmedian (worst) of the rounds")


def main():
    args = parse_args()
    if args.list:
        for name, (what, _, _, goal) in TROUBLES.items():
            print(f"{name:<12}{what}; goal {goal} ms")
        return 0
    sides = [s for s in [Kafka, Millrace] if args.side in ["both", s.name]]
    names = args.trouble or list(TROUBLES)
    build([*sides, Millrace], args.binary, [PROGRAMS[args.client]], java=Kafka in sides)
    root = Path(tempfile.mkdtemp(prefix="millrace-failover-", dir=args.directory))
    Kafka.template = root / "formatted"
    print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.2f}, data below {root}", flush=True)
    settings_names = args.settings or list(SETTINGS)
    results = {settings: {name: [] for name in names} for settings in settings_names}
    for round_number in range(1, args.rounds + 1):
        order = sides if round_number % 2 else sides[::-1]
        for settings in settings_names:
            found = {side.name: round_of(side, settings, names, round_number, args, root) for side in order}
            for name in names:
                results[settings][name].append({side: r[name] for side, r in found.items()})
    table(results, names)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    if any(None in r.values() for troubles in results.values() for rounds in troubles.values() for r in rounds):
        return 1
    shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
