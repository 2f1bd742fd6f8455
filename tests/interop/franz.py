"""franz-go (the Go program under go/): every codec, a cooperative group, static members, offsets by time."""
import json
import subprocess
import time

from checks import CODECS, batches, check, equal, wait_equal, wait_for
from scenario import scenario
from server import CACHE, KEEPS

TIMEOUT_S = 120


def franz(*args):
    done = subprocess.run([CACHE / "franz", *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise AssertionError(f"franz {' '.join(map(str, args))} ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def read(server, topic, partitions):
    return sorted((line["record"] for line in franz("read", server.bootstrap, topic, partitions)),
                  key=lambda r: (r["partition"], r["offset"]))


class Process:
    """A franz that runs until it is told to stop; its JSON lines are in a file."""

    def __init__(self, ctx, name, *args):
        self.path = ctx.directory / f"{name}.out"
        with self.path.open("w") as out, open(ctx.directory / f"{name}.err", "w") as err:
            self.process = ctx.spawn([CACHE / "franz", *map(str, args)], stdin=subprocess.PIPE, stdout=out, stderr=err)

    def lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def records(self):
        return [line["record"] for line in self.lines() if "record" in line]

    def owned(self):
        partitions = set()
        for line in self.lines():
            partitions |= set(line.get("assigned", []))
            partitions -= set(line.get("revoked", [])) | set(line.get("lost", []))
        return sorted(partitions)

    def stop(self):
        self.process.stdin.close()
        equal("exit code of franz", self.process.wait(TIMEOUT_S), 0)
        return self.lines()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


@scenario
def codecs(ctx):
    """Every codec with keys, headers and timestamps, through kill -9; the batches on disk carry the codec."""
    server = ctx.server(KEEPS)
    for codec in CODECS:
        ctx.java.create(server, codec, partitions=2)
        acked = franz("produce", server.bootstrap, codec, 2, codec, 200)
        equal(f"answers for {codec}", acked, [{"partition": i % 2, "offset": i // 2} for i in range(200)])
    expected = {codec: sorted(({"partition": i % 2, "offset": i // 2, "key": f"key {i}", "value": f"{codec} {i}",
                                "timestamp": 1_700_000_000_000 + i, "headers": [["codec", codec], ["null", None]]}
                               for i in range(200)), key=lambda r: (r["partition"], r["offset"])) for codec in CODECS}
    for restart in [None, server.kill_restart, server.restart]:
        if restart:
            restart()
        for codec in CODECS:
            equal(f"records of {codec}", read(server, codec, 2), expected[codec])
    server.stop()
    for codec in CODECS:
        equal(f"codecs on disk of {codec}", {b.codec for b in batches(server, codec, 0)}, {codec})


@scenario
def offsets(ctx):
    """ListOffsets: start, end, by time."""
    server = ctx.server(KEEPS)
    ctx.java.create(server, "t", partitions=2)
    franz("produce", server.bootstrap, "t", 2, "none", 9)
    server.kill_restart()
    first = 1_700_000_000_000

    def ask(timestamp):
        return franz("offsets", server.bootstrap, "t", 2, timestamp)

    equal("start", ask(-2), [{"0": [0, -1], "1": [0, -1]}])
    equal("end", ask(-1), [{"0": [5, -1], "1": [4, -1]}])
    equal("by time", ask(first + 3), [{"0": [2, first + 4], "1": [1, first + 3]}])
    equal("after all", ask(first + 8), [{"0": [4, first + 8], "1": [-1, -1]}])


@scenario
def cooperative_group(ctx):
    """Three members; one leaves, one is killed; the server is killed under them.  Every record comes, commits hold."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "work", partitions=6)
    java.producer(server)
    members, values = {}, []

    def join(name):
        members[name] = Process(ctx, name, "group", server.bootstrap, "work", "crew", "cooperative-sticky")

    def settle(sizes):
        def settled():
            owned = [m.owned() for m in members.values()]
            return sorted(map(len, owned)) == sorted(sizes) and sorted(sum(owned, [])) == list(range(6))
        wait_for(f"members own {sizes}", settled, timeout_s=60)

    def feed(tag):
        new = [f"{tag} {p}" for p in range(6)]
        java.send("work", [{"partition": p, "value": v} for p, v in enumerate(new)])
        values.extend(new)
        wait_for(f"records of {tag}", lambda: set(new) <= {r["value"] for m in members.values() for r in m.records()})

    join("a")
    settle([6])
    feed("one")
    join("b")
    settle([3, 3])
    kept = set(members["a"].owned())
    check("a kept half without giving it up", not any(kept & set(line.get("revoked", [])) for line in members["a"].lines()))
    join("c")
    settle([2, 2, 2])
    feed("three")
    server.kill_restart()
    feed("killed")
    settle([2, 2, 2])

    gone = members.pop("b")
    check("b said goodbye", {"left": True} in gone.stop())
    settle([3, 3])
    feed("left")
    dead = members.pop("c")
    dead.kill()
    settle([6])
    feed("dead")
    # Each record came to somebody; what was committed before the end did not come again.
    everyone = [*members.values(), gone, dead]
    equal("values", {r["value"] for m in everyone for r in m.records()}, set(values))
    check("a left", {"left": True} in members["a"].stop())
    committed = java.admin(server, "listConsumerGroupOffsets", groups=["crew"])["crew"]
    equal("committed", {p: c[0] for p, c in committed.items()}, {f"work-{p}": 5 for p in range(6)})
    late = Process(ctx, "late", "group", server.bootstrap, "work", "crew", "cooperative-sticky")
    members = {"late": late}
    settle([6])
    feed("late")
    equal("records of the late one", sorted(r["value"] for r in late.records()), [f"late {p}" for p in range(6)])


@scenario
def static_member(ctx):
    """A static member that is killed and comes back within its session: the other never notices."""
    server = ctx.server()
    ctx.java.create(server, "work", partitions=4)

    def join(name, instance):
        return Process(ctx, name, "group", server.bootstrap, "work", "crew", "cooperative-sticky", instance)

    a = join("a", "ia")
    wait_equal("a's partitions", a.owned, [0, 1, 2, 3])
    b = join("b", "ib")
    wait_for("both own two", lambda: len(a.owned()) == len(b.owned()) == 2)
    mine, theirs, events = a.owned(), b.owned(), len(a.lines())
    b.kill()
    again = join("again", "ib")
    wait_equal("partitions after it came back", again.owned, theirs)
    time.sleep(0.5)
    equal("events of a since", a.lines()[events:], [])
    equal("partitions of a", a.owned(), mine)
    equal("instances", sorted(m["instance"] for m in
                              ctx.java.admin(server, "describeClassicGroups", groups=["crew"])["crew"]["members"]), ["ia", "ib"])
    for member in [a, again]:
        member.stop()
