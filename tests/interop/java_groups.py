"""Consumer groups of the Java client, classic protocol: members that join, leave and die; static members;
eager and cooperative assignors; committed offsets; all through restarts and kill -9 of the server."""
import time

from checks import check, equal, wait_equal, wait_for
from java_driver import JavaError
from scenario import scenario

RANGE = "org.apache.kafka.clients.consumer.RangeAssignor"
ROUND_ROBIN = "org.apache.kafka.clients.consumer.RoundRobinAssignor"
COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
MORTAL_MS = 10_000  # the session of a member that is to die: the others see that within a minute, and it outlasts a busy machine


class Group:
    """A group on topic `work` with six partitions, and what its members have seen."""

    def __init__(self, ctx, assignor, partitions=6, server=None):
        self.java = ctx.java
        self.server = server or ctx.server()
        self.partitions = partitions
        self.assignor = assignor
        self.members = []
        self.events = {}
        self.java.create(self.server, "work", partitions=partitions)
        self.java.producer(self.server)

    def join(self, name, **config):
        self.java.consumer(self.server, name, topics=["work"], group_id="crew", client_id=name,
                           partition_assignment_strategy=self.assignor, **config)
        self.members.append(name)
        self.events.setdefault(name, [])

    def leave(self, name, goodbye=True):
        self.take_events(name)
        self.java("consumer.close", name=name, leave=goodbye)
        self.members.remove(name)

    def assignment(self, name):
        return [p for _, p in self.java("consumer.assignment", name=name)]

    def take_events(self, name):
        self.events[name] += [(what, [p for _, p in partitions])
                              for what, partitions in self.java("consumer.events", name=name)]
        return self.events[name]

    def forget_events(self):
        for name in self.members:
            self.take_events(name)
            self.events[name].clear()

    def settle(self, sizes):
        """Wait until the members own `sizes` partitions (in order of joining), all partitions exactly once."""
        def settled():
            owned = [self.assignment(m) for m in self.members]
            return sorted(map(len, owned)) == sorted(sizes) and sorted(sum(owned, [])) == list(range(self.partitions))
        wait_for(f"{self.members} own {sizes} partitions; now {[self.assignment(m) for m in self.members]}", settled,
                 timeout_s=60)
        return {m: self.assignment(m) for m in self.members}

    def feed(self, tag, once=True):
        """One record to each partition; each must come to the member that owns the partition, and `once`, unless the
        group may just have rebalanced: nothing is committed, so a member that gets a partition reads it anew."""
        self.java.send("work", [{"partition": p, "value": f"{tag} {p}"} for p in range(self.partitions)])
        got = {m: [] for m in self.members}

        def all_came():
            for m in self.members:
                got[m] += [r for r in self.java("consumer.take", name=m) if r["value"].startswith(f"{tag} ")]
            return len({r["value"] for m in self.members for r in got[m]}) >= self.partitions

        wait_for(f"the records of {tag}", all_came)
        for m in self.members:
            values = [r["value"] for r in got[m]]
            equal(f"records of {tag} for {m}", sorted(values if once else set(values)),
                  sorted(f"{tag} {p}" for p in self.assignment(m)))

    def describe(self):
        return self.java.admin(self.server, "describeClassicGroups", groups=["crew"])["crew"]


@scenario
def eager(ctx):
    """Range assignor: three members join, one leaves, one dies; everyone gives everything up each time."""
    group = Group(ctx, RANGE)
    group.join("a")
    group.settle([6])
    group.feed("one")
    group.join("b")
    group.settle([3, 3])
    group.feed("two")
    group.join("c", session_timeout_ms=MORTAL_MS)
    owned = group.settle([2, 2, 2])
    group.feed("three")
    for name in "abc":
        check(f"{name} owns a range", owned[name][1] == owned[name][0] + 1, str(owned))
    check("a gave up everything before", ("revoked", list(range(6))) in group.take_events("a"), str(group.events))

    described = group.describe()
    equal("described", {k: described[k] for k in ("state", "protocol", "assignor", "coordinator")},
          {"state": "Stable", "protocol": "consumer", "assignor": "range", "coordinator": 1})
    equal("members", [(m["client"], m["assignment"], m["instance"]) for m in described["members"]],
          [(name, [f"work-{p}" for p in owned[name]], None) for name in "abc"])
    for m in described["members"]:
        check("member id begins with the client's", m["id"].startswith(m["client"] + "-"), m["id"])
        check("host", m["host"].endswith("127.0.0.1"), m["host"])

    group.leave("b")
    group.settle([3, 3])
    group.feed("four")
    started = time.monotonic()
    group.leave("c", goodbye=False)
    group.settle([6])
    check("the dead member was given its session timeout", time.monotonic() - started > 4)
    group.feed("five")
    group.leave("a")
    wait_equal("state without members", lambda: group.describe()["state"], "Empty")


@scenario
def cooperative(ctx):
    """Cooperative-sticky: only what moves is given up, the rest is kept and goes on."""
    group = Group(ctx, COOPERATIVE)
    group.join("a")
    group.settle([6])
    group.feed("one")
    group.join("b", session_timeout_ms=MORTAL_MS)
    owned = group.settle([3, 3])
    group.feed("two")
    revoked = [p for what, ps in group.take_events("a") if what == "revoked" for p in ps]
    equal("a gave up just what b owns", sorted(revoked), owned["b"])
    equal("a was never given more than it had", [e for e in group.events["a"] if e[0] == "assigned" and e[1]],
          [("assigned", list(range(6)))])

    group.forget_events()
    group.join("c")
    now = group.settle([2, 2, 2])
    group.feed("three")
    for name in "ab":
        check(f"{name} kept what it has", set(now[name]) < set(owned[name]), f"{owned} -> {now}")
        equal(f"{name} gave up one", [e for e in group.take_events(name) if e[1]],
              [("revoked", sorted(set(owned[name]) - set(now[name])))])
    equal("assignor", group.describe()["assignor"], "cooperative-sticky")

    group.leave("b", goodbye=False)
    after = group.settle([3, 3])
    for name in "ac":
        check(f"{name} kept what it had", set(now[name]) < set(after[name]), f"{now} -> {after}")
    group.feed("four")


@scenario
def from_eager_to_cooperative(ctx):
    """Members with [cooperative-sticky, range] and range alone: the protocol that all know is chosen."""
    group = Group(ctx, f"{COOPERATIVE},{RANGE}")
    group.join("a")
    group.settle([6])
    equal("alone", group.describe()["assignor"], "cooperative-sticky")
    group.assignor = RANGE
    group.join("b")
    group.settle([3, 3])
    equal("with one that knows only range", group.describe()["assignor"], "range")
    group.feed("mixed")
    # One with no protocol in common is turned away; the others go on.
    ctx.java.consumer(group.server, "stranger", topics=["work"], group_id="crew", partition_assignment_strategy=ROUND_ROBIN)
    try:
        wait_for("the stranger's error", lambda: ctx.java("consumer.take", name="stranger"))
    except JavaError as e:
        equal("error", e.name, "InconsistentGroupProtocolException")
    else:
        raise AssertionError("a member without a common protocol got records")
    group.feed("still")


@scenario
def static_members(ctx):
    """group.instance.id: a member that returns within its session gets its partitions back without a rebalance."""
    group = Group(ctx, RANGE)
    group.join("a", group_instance_id="ia")
    group.settle([6])
    group.join("b", group_instance_id="ib")
    owned = group.settle([3, 3])
    generation = ctx.java("consumer.groupMetadata", name="a")["generation"]
    old_member = ctx.java("consumer.groupMetadata", name="b")
    group.forget_events()

    group.leave("b", goodbye=False)
    group.join("b", group_instance_id="ib")
    equal("after b came back", group.settle([3, 3]), owned)
    new_member = ctx.java("consumer.groupMetadata", name="b")
    equal("generation", (new_member["generation"], ctx.java("consumer.groupMetadata", name="a")["generation"]),
          (generation, generation))
    check("b has a new member id", new_member["memberId"] != old_member["memberId"])
    equal("a noticed nothing", group.take_events("a"), [])
    group.feed("back")

    group.server.kill_restart()
    wait_equal("after kill -9", lambda: {m: group.assignment(m) for m in "ab"}, owned)
    group.feed("killed", once=False)  # while it starts Kafka may make members join again
    equal("instances", [(m["client"], m["instance"]) for m in group.describe()["members"]], [("a", "ia"), ("b", "ib")])

    # A second one with the same instance id takes the place; the first is fenced.
    ctx.java.consumer(group.server, "usurper", topics=["work"], group_id="crew", group_instance_id="ib",
                      partition_assignment_strategy=RANGE)
    wait_equal("the usurper's partitions", lambda: group.assignment("usurper"), owned["b"])

    def fenced():
        try:
            ctx.java("consumer.take", name="b")
        except JavaError as e:
            return e.name

    wait_equal("the fenced member", fenced, "FencedInstanceIdException")
    group.members.remove("b")
    ctx.java.admin(group.server, "removeMembers", group="crew", instances=["ib"])
    wait_equal("members after the removal", lambda: [m["instance"] for m in group.describe()["members"]][:1], ["ia"])


@scenario
def members_outlive_the_server(ctx):
    """The server is stopped and killed under a group: the members stay, and keep what they have."""
    group = Group(ctx, COOPERATIVE)
    group.join("a")
    group.settle([6])
    group.join("b")
    owned = group.settle([3, 3])
    group.feed("before")
    before = {m: ctx.java("consumer.groupMetadata", name=m) for m in "ab"}
    group.forget_events()
    for i, restart in enumerate([group.server.kill_restart, group.server.restart, group.server.kill_restart]):
        restart()
        group.feed(f"restart {i}")
        equal(f"assignment after restart {i}", group.settle([3, 3]), owned)
        for m in "ab":
            now = ctx.java("consumer.groupMetadata", name=m)
            equal(f"member id of {m} after restart {i}", now["memberId"], before[m]["memberId"])
            # While it starts Kafka may make a member join again, which counts one up and moves nothing.
            check(f"generation of {m} after restart {i}", now["generation"] >= before[m]["generation"], str(now))
            equal(f"what {m} lost or got in restart {i}", [e for e in group.take_events(m) if e[1]], [])


@scenario
def commits(ctx):
    """Committed offsets with metadata: read back, through restart and kill -9, and resumed from."""
    group = Group(ctx, RANGE, partitions=2)
    java, server = ctx.java, group.server
    java.send("work", [{"partition": i % 2, "value": str(i)} for i in range(20)])
    group.join("a")
    group.settle([2])
    p0, p1 = ["work", 0], ["work", 1]
    equal("nothing committed", java("consumer.committed", name="a", partitions=[p0, p1]), {"work-0": None, "work-1": None})
    java("consumer.commit", name="a", offsets=[[*p0, 4, "four of zero", 0], [*p1, 7]])
    expected = {"work-0": [4, "four of zero", 0], "work-1": [7, "", None]}
    equal("committed", java("consumer.committed", name="a", partitions=[p0, p1]), expected)
    for restart in [server.kill_restart, server.restart]:
        restart()
        equal("committed after a restart", java("consumer.committed", name="a", partitions=[p0, p1]), expected)
        equal("as the admin sees it", java.admin(server, "listConsumerGroupOffsets", groups=["crew"])["crew"], expected)
    group.leave("a")
    server.kill_restart()

    group.join("b")
    seen = []

    def rest_came():
        seen.extend(java("consumer.take", name="b"))
        return len(seen) >= 9

    wait_for("the records after the committed offsets", rest_came)
    equal("offsets", sorted((r["partition"], r["offset"]) for r in seen),
          [(0, o) for o in range(4, 10)] + [(1, o) for o in range(7, 10)])
    java("consumer.commit", name="b")
    equal("committed positions", java("consumer.committed", name="b", partitions=[p0, p1]),
          {"work-0": [10, "", 0], "work-1": [10, "", 0]})

    # Someone who is not a member may not commit into a group that has members...
    java.consumer(server, "outsider", assign=[p0], group_id="crew")
    java.fails("CommitFailedException", "consumer.commit", name="outsider", offsets=[[*p0, 1]])
    equal("offset after the refusal", java("consumer.committed", name="b", partitions=[p0])["work-0"][0], 10)
    # ... but may, when there is none.
    group.leave("b")
    java("consumer.commit", name="outsider", offsets=[[*p0, 1, "outsider"]])
    server.kill_restart()
    equal("offset of the outsider", java("consumer.committed", name="outsider", partitions=[p0]), {"work-0": [1, "outsider", None]})


@scenario
def auto_commit(ctx):
    """enable.auto.commit: a clean close commits the position; the next member starts there."""
    group = Group(ctx, RANGE, partitions=2)
    for round_number in range(3):
        name = f"m{round_number}"
        group.join(name, enable_auto_commit="true", auto_commit_interval_ms=60_000)
        group.settle([2])
        group.feed(f"round {round_number}")
        group.leave(name)
        group.server.kill_restart()
        committed = ctx.java.admin(group.server, "listConsumerGroupOffsets", groups=["crew"])["crew"]
        equal(f"committed after round {round_number}", {p: c[:2] for p, c in committed.items()},
              {f"work-{p}": [round_number + 1, ""] for p in range(2)})


@scenario
def more_partitions(ctx):
    """A topic that grows under a group: the members get the new partitions; a topic that comes later, too."""
    group = Group(ctx, RANGE, partitions=2)
    group.join("a", metadata_max_age_ms=500)
    group.join("b", metadata_max_age_ms=500)
    group.settle([1, 1])
    ctx.java.admin(group.server, "createPartitions", topics={"work": {"count": 4}})
    group.partitions = 4
    group.settle([2, 2])
    # A producer learns of them with its next metadata; ask anew.
    ctx.java("producer.close", name="producer")
    ctx.java.producer(group.server)
    group.feed("grown")


@scenario
def many_groups(ctx):
    """Groups beside each other on several coordinator partitions do not disturb each other, also after kill -9."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "shared", partitions=2)
    java.producer(server)
    java.send("shared", [{"partition": i % 2, "value": str(i)} for i in range(10)])
    groups = [f"group-{i}" for i in range(8)] + ["группа", "空の", "a.b_c-d"]
    for i, name in enumerate(groups):
        java.consumer(server, name, topics=["shared"], group_id=name)
    for i, name in enumerate(groups):
        got = []
        wait_for(f"records of {name}", lambda: got.extend(java("consumer.take", name=name)) or len(got) >= 10)
        equal(f"records of {name}", sorted(int(r["value"]) for r in got), list(range(10)))
        java("consumer.commit", name=name, offsets=[["shared", 0, i % 5, name]])
        java("consumer.close", name=name)
    server.kill_restart()
    offsets = java.admin(server, "listConsumerGroupOffsets", groups=groups)
    equal("offsets", offsets, {name: {"shared-0": [i % 5, name, None]} for i, name in enumerate(groups)})
    listed = java.admin(server, "listGroups")
    equal("listed", listed, {name: {"type": "Classic", "protocol": "consumer", "state": "Empty"} for name in groups})
