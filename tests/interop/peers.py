"""Our client library (witness.c on its public header, with sanitizers) among brokers that move, fail and lie.

The same program and the same judgement against our broker or real Kafka (restarts, kill -9, and behind relay.py, which spoils
answers), franz-go's kfake and librdkafka's mock cluster (errors, moves, quotas, brokers that go and come on other ports).
"""
import os
import subprocess
import time
from pathlib import Path

from checks import check, equal, wait_for
from mock_cluster import MockCluster
from relay import FAULTS, Relay
from scenario import Skip, scenario
from server import CACHE, free_port

PROGRAM = Path(__file__).resolve().parents[2] / "build/asan/tests/witness"
SLACK = float(os.environ.get("MILLRACE_INTEROP_SLACK", 1))
TOPIC, PARTITIONS, RATE = "seen", 3, 400
END_S = 120  # a close, reading the rest, another close
LATE_MS = 8000 * SLACK  # beyond a limit, on a machine that stands still for seconds, too: what hangs is later
MEMORY_KB = 200_000     # with AddressSanitizer; without trouble it is 45,000
# Short limits, so that a test sees their end; records live long enough for all troubles.
REQUEST_TIMEOUT_S = 2
SETTINGS = [f"request.timeout.ms={1000 * REQUEST_TIMEOUT_S}", "delivery.timeout.ms=30000", "session.timeout.ms=6000", "heartbeat.interval.ms=500",
            "metadata.max.age.ms=5000", "reconnect.backoff.max.ms=300", "linger.ms=2", "batch.size=4000"]
PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 0, 1, 2, 3, 8, 9, 10
JOIN_GROUP, HEARTBEAT, SYNC_GROUP, API_VERSIONS, INIT_PRODUCER_ID, ANY = 11, 12, 14, 18, 22, -1
NOT_LEADER, REQUEST_TIMED_OUT, COORDINATOR_LOADING, NOT_COORDINATOR, NOT_ENOUGH_REPLICAS = 6, 7, 14, 16, 19
ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS, STORAGE_ERROR, SESSION_NOT_FOUND, COORDINATOR_AWAY = 22, 27, 56, 70, 15


class Witness:
    """The program at work, and what it said."""

    def __init__(self, ctx, bootstrap, *settings, read_ms=60000):
        check("witness is built", PROGRAM.exists(), "tools/build asan tests/witness")
        self.out, self.err = ctx.directory / "witness.out", ctx.directory / "witness.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = ctx.spawn([str(PROGRAM), bootstrap, TOPIC, str(PARTITIONS), str(RATE), str(read_ms),
                                      *SETTINGS, *settings], stdin=subprocess.PIPE, stdout=out, stderr=err,
                                     env=os.environ | {"ASAN_OPTIONS": "quarantine_size_mb=16"})

    def mark(self):
        """The number that comes next."""
        seen = len(self.lines("mark"))
        self.process.stdin.write("mark\n")
        self.process.stdin.flush()
        return int(wait_for("a mark", lambda: self.lines("mark")[seen:])[0][1])

    def wait_acked(self):
        """Until each partition has taken a record that is made from now on."""
        since = self.mark()
        for partition in map(str, range(PARTITIONS)):
            wait_for(f"partition {partition} takes records", lambda p=partition: self.mark() and any(
                f[2] == p and int(f[1]) >= since for f in self.lines("acked")), interval_s=0.2)

    def go_on(self, last_s=1):
        """The trouble is over: the number that comes next, and more than enough behind it."""
        since = self.mark()
        time.sleep(last_s)
        wait_for("enough after the trouble", lambda: self.mark() > since + RATE / 4)
        return since

    def lines(self, word):
        whole = self.out.read_text().rpartition("\n")[0]
        return [line.split(" ") for line in whole.splitlines() if line.startswith(word + " ")]

    def end(self):
        """No more records; it reads what it has written, and ends."""
        self.process.stdin.close()
        code = self.process.wait(END_S * max(1, SLACK))
        equal("exit code of the witness", (code, self.err.read_text()[-3000:]), (0, ""))
        self.sent = int(self.lines("sent")[0][1])
        self.acked = {int(n): (int(p), int(offset)) for _, n, p, offset in self.lines("acked")}
        self.failed = {int(f[1]): f for f in self.lines("failed")}
        self.read = [(int(p), int(offset), int(n)) for _, p, offset, n in self.lines("read")]
        return self


def judge_calls(w):
    """Every call in time; errors say what to do; memory stays small."""
    for fields in w.lines("overrun"):
        check(f"{' '.join(fields[1:-1])} ends by its limit", int(fields[-1]) <= LATE_MS, f"{fields[-1]} ms late")
    for fields in w.lines("failed"):
        check("a record that failed says what to do", int(fields[4]) > 0 and len(" ".join(fields[7:])) > 10, str(fields))
    for fields in w.lines("poll"):
        check("a poll that failed says what to do", int(fields[2]) > 0 and len(" ".join(fields[3:])) > 10, str(fields))
    equal("close of the producer", [f[2] for f in w.lines("closed") if f[1] == "producer"], ["0"])
    equal("close of the consumer", [f[2] for f in w.lines("closed") if f[1] == "consumer"], ["0"])
    equal("refused", w.lines("refused"), [])
    check("memory is bounded", 0 < int(w.lines("memory")[0][1]) < MEMORY_KB * max(1, SLACK), str(w.lines("memory")))


def judge(w, well_from, once=True):
    """Each record has one fate; what was acknowledged is there, where it was said, in order, and with `once` no record twice.
    What failed for sure is not there. From number `well_from` on nothing has failed."""
    judge_calls(w)
    equal("each has one fate", sorted([*w.acked, *w.failed]), list(range(w.sent)))
    check("enough after the trouble", w.sent > well_from + RATE / 4, f"{w.sent} were sent, {well_from} before its end")
    equal("failed after the trouble", [f for n, f in w.failed.items() if n >= well_from], [])
    log = {}
    for partition, offset, number in w.read:
        equal(f"what is at {partition}@{offset} when it is read again", log.setdefault((partition, offset), number), number)
    places = {}
    for place, number in sorted(log.items()):
        places.setdefault(number, []).append(place)
    lost = sorted(n for n in w.acked if n not in places)
    equal("acknowledged and lost", lost, [])
    elsewhere = [(n, place, places[n]) for n, place in w.acked.items() if place not in places[n]]
    equal("acknowledged for another offset", elsewhere[:5], [])
    equal("failed for sure, and there", [f for n, f in w.failed.items() if f[3] == "1" and n in places], [])
    if not once:
        return
    equal("there twice", {n: p for n, p in places.items() if len(p) > 1}, {})
    for partition in range(PARTITIONS):
        numbers = [number for (p, _), number in sorted(log.items()) if p == partition]
        equal(f"order in partition {partition}", numbers, sorted(numbers))


@scenario
def restarts(ctx):
    """Clean stops and kill -9 under it: nothing lost, nothing twice, all in order, every call in time."""
    server = ctx.server()
    ctx.java.create(server, TOPIC, partitions=PARTITIONS)
    w = Witness(ctx, server.bootstrap)
    wait_for("the first records", lambda: w.mark() > RATE / 4)
    for restart in [server.kill_restart, server.restart]:
        restart()
        time.sleep(0.3)
    well_from = w.go_on()
    judge(w.end(), well_from)


@scenario
def hostile_relay(ctx):
    """Answers are torn, delayed, cut off, garbled, or say huge lengths and counts."""
    port = free_port()
    server = ctx.server({"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"})
    with Relay(port, server.port, seed=7) as relay:
        ctx.java.create(server, TOPIC, partitions=PARTITIONS)
        w = Witness(ctx, f"127.0.0.1:{port}")
        wait_for("the first records", lambda: w.mark() > RATE / 4)
        relay.share = 0.15
        wait_for("each fault has struck twice", lambda: min(relay.done[f] for f in FAULTS) >= 2, timeout_s=120)
        relay.share = 0
        time.sleep(REQUEST_TIMEOUT_S + 0.5)  # what is silent now is noticed by then
        well_from = w.go_on()
        judge(w.end(), well_from)


@scenario
def sent_back_to_bootstrap(ctx):
    """The broker says REBOOTSTRAP_REQUIRED (KIP-1102): the clients ask the bootstrap servers again, and nothing is lost or waits
    for long."""
    first, then = free_port(), free_port()
    server = ctx.server({"advertised.listeners": f"PLAINTEXT://127.0.0.1:{then}"})
    with Relay(first, server.port, seed=1) as bootstrap, Relay(then, server.port, seed=2) as broker:
        ctx.java.create(server, TOPIC, partitions=PARTITIONS)
        w = Witness(ctx, f"127.0.0.1:{first}", "metadata.max.age.ms=300")
        wait_for("the first records", lambda: w.mark() > RATE / 4)
        for _ in range(3):
            before = bootstrap.connections
            broker.rebootstraps = 1
            # He may have asked it before, for a reason of his own.
            wait_for("an answer sends somebody to the bootstrap server", lambda: broker.rebootstraps == 0)
            wait_for("somebody asks it", lambda seen=before: bootstrap.connections > seen)
        well_from = w.go_on()
        judge(w.end(), well_from)


# ---- kfake


class Kfake:
    """The Go program under kfake/; what its commands are stands there. Its ports are not among those that connections take: one that
    a broker has left is there for it when it comes back."""

    def __init__(self, ctx, brokers):
        program = CACHE / "kfake"
        if not program.exists():
            raise Skip("kfake wants a newer Go than there is")
        ports = [str(free_port()) for _ in range(brokers)]
        self.process = ctx.spawn([str(program), TOPIC, str(PARTITIONS), *ports], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=open(ctx.directory / "kfake.err", "w"))
        ready = self.process.stdout.readline().split()
        equal("kfake", ready[:1], ["ready"])
        self.bootstrap = ready[1]

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        equal(f"kfake's answer to {words}", self.process.stdout.readline(), "ok\n")


def asks_neither(ctx):
    if ctx.is_kafka:
        raise Skip("it asks neither server")


@scenario
def kfake_errors(ctx):
    """Errors of each API, cut connections, slow answers; a quota that asks for silence (KIP-219)."""
    asks_neither(ctx)
    kfake = Kfake(ctx, 3)
    for api in [API_VERSIONS, METADATA, INIT_PRODUCER_ID, FIND_COORDINATOR]:
        kfake("cut", api, 1)
    kfake("fail", INIT_PRODUCER_ID, 1, COORDINATOR_LOADING)
    kfake("fail", FIND_COORDINATOR, 2, COORDINATOR_AWAY)
    w = Witness(ctx, kfake.bootstrap)
    wait_for("the first records", lambda: w.mark() > RATE / 4)
    for api, code in [(PRODUCE, NOT_LEADER), (PRODUCE, STORAGE_ERROR), (FETCH, SESSION_NOT_FOUND), (OFFSET_COMMIT, COORDINATOR_LOADING),
                      (OFFSET_COMMIT, NOT_COORDINATOR), (HEARTBEAT, REBALANCE_IN_PROGRESS), (JOIN_GROUP, COORDINATOR_LOADING),
                      (SYNC_GROUP, NOT_COORDINATOR), (HEARTBEAT, ILLEGAL_GENERATION)]:
        kfake("fail", api, 2, code)
        kfake("cut", api, 1)
        time.sleep(0.25)
    for api in [PRODUCE, FETCH, HEARTBEAT]:
        kfake("slow", api, 1, 700)
    time.sleep(1)
    kfake("fail", PRODUCE, 3, NOT_ENOUGH_REPLICAS, 3000)  # for so long it has time to say why
    wait_for("the health says why it is silent", lambda: w.mark() and any(f[-1] == "exceeded" for f in w.lines("health")))
    w.wait_acked()
    well_from = w.go_on()
    judge(w.end(), well_from)


@scenario
def kfake_moves(ctx):
    """Leaders and coordinators move; every broker goes and comes on another port; all at once, too."""
    asks_neither(ctx)
    kfake = Kfake(ctx, 3)
    w = Witness(ctx, kfake.bootstrap)
    wait_for("the first records", lambda: w.mark() > RATE / 4)
    for node in [0, 1, 2]:
        kfake("remove", node)
        kfake("shuffle")
        time.sleep(0.3)
        kfake("rehash")
        kfake("add", node, free_port())
        time.sleep(0.3)
    # All that it knows of are gone; one is again where the bootstrap servers say that it is (KIP-899).
    kfake("remove", 0)
    time.sleep(0.3)
    kfake("add", 0, kfake.bootstrap.split(",")[0].rpartition(":")[2])
    for node in [1, 2]:
        kfake("remove", node)
    time.sleep(0.5)
    well_from = w.go_on(1.5)
    judge(w.end(), well_from)


@scenario
def kfake_recreated_topic(ctx):
    """The topic is deleted and made again under another id, in the middle: what comes after belongs to the new one."""
    asks_neither(ctx)
    kfake = Kfake(ctx, 2)
    w = Witness(ctx, kfake.bootstrap, read_ms=15000)  # what was in the old one may be missed for so long
    wait_for("the first records", lambda: w.mark() > RATE / 4)
    kfake("recreate")
    w.wait_acked()
    well_from = w.go_on(2)
    w.end()
    judge_calls(w)
    after = {n: place for n, place in w.acked.items() if n >= well_from}
    equal("acknowledged after it", sorted(after), list(range(well_from, w.sent)))
    read = {n: (p, offset) for p, offset, n in w.read if n >= well_from}
    equal("read of what was acknowledged after it", read, after)


# ---- librdkafka's mock cluster

MOCK_SETTINGS = ["session.timeout.ms=1500"]  # a rebalance takes a second less there, whoever has joined


@scenario
def mock_errors(ctx):
    """Errors of each API, leaders, coordinators, brokers that are down or slow; leader hints (KIP-951)."""
    asks_neither(ctx)
    with MockCluster(3, TOPIC, PARTITIONS) as mock:
        mock.fail(INIT_PRODUCER_ID, COORDINATOR_LOADING)
        # The mock takes what is out of order, and what it has already, which a late answer would have sent again.
        w = Witness(ctx, mock.bootstrap, *MOCK_SETTINGS, "max.in.flight.requests.per.connection=1", "request.timeout.ms=20000")
        wait_for("the first records", lambda: w.mark() > RATE / 4)
        for api, code in [(PRODUCE, NOT_LEADER), (PRODUCE, NOT_ENOUGH_REPLICAS), (FETCH, SESSION_NOT_FOUND), (LIST_OFFSETS, NOT_LEADER),
                          (OFFSET_FETCH, COORDINATOR_LOADING), (OFFSET_COMMIT, NOT_COORDINATOR), (HEARTBEAT, REBALANCE_IN_PROGRESS),
                          (JOIN_GROUP, COORDINATOR_LOADING), (SYNC_GROUP, REBALANCE_IN_PROGRESS), (METADATA, REQUEST_TIMED_OUT)]:
            mock.fail(api, code, 0, code)
            time.sleep(0.15)
        for broker in [1, 2, 3]:
            for partition in range(PARTITIONS):
                mock.partition_set_leader(TOPIC, partition, broker)
            mock.coordinator_set("group", "witness", broker)
            time.sleep(0.4)
        well_from = w.go_on()
        judge(w.end(), well_from)


@scenario
def mock_brokers_down(ctx):
    """One broker after another is down, then slow, then all are down.  The mock knows no sequences: what was in doubt may be there
    twice."""
    asks_neither(ctx)
    with MockCluster(3, TOPIC, PARTITIONS) as mock:
        w = Witness(ctx, mock.bootstrap, *MOCK_SETTINGS)
        wait_for("the first records", lambda: w.mark() > RATE / 4)
        for brokers in [[1], [2], [3], [1, 2, 3]]:
            for broker in brokers:
                mock.broker_set_down(broker)
            time.sleep(0.5)
            for broker in brokers:
                mock.broker_set_up(broker)
            time.sleep(0.3)
        mock.broker_set_rtt(1, 400)
        time.sleep(1)
        mock.broker_set_rtt(1, 0)
        time.sleep(1)
        well_from = w.go_on()
        judge(w.end(), well_from, once=False)
