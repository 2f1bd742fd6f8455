"""What befalls a cluster, before all producers at once: nodes that are replaced one after the other, stand still, run
out of disk; the active controller's death; two nodes of five."""
import re
import shutil

import kcat
import our_producer
from checks import batches, check, equal, wait_equal, wait_for
from cli import ours
from cluster import (COMBINED, EACH_LEADS_ONE, LATE_DEATH, PARTITIONS, REPLICATED, Traffic, active_controller,
                     all_is_there, leaders, same_batches, wait_in_sync)
from cluster_tools import partitions
from confluent import read as confluent_read
from directories import SmallDisk
from franz import read as franz_read
from java_driver import JavaError
from scenario import Skip, scenario
from server import MillraceServer, free_port

TOPIC = "topic-A"


def new_cluster(ctx, roles=COMBINED, properties=(), **how):
    """Of ours or Kafka's, with a topic of which each of the first three leads a partition."""
    cluster = ctx.cluster(roles, REPLICATED | dict(properties), **how)
    ctx.java.create(cluster, TOPIC, replicas=EACH_LEADS_ONE)
    wait_equal("leaders", lambda: leaders(ctx.java, cluster, TOPIC), [1, 2, 3])
    return cluster


class Reader:
    """A member of a group that reads all, and commits what it has read."""

    def __init__(self, java, cluster):
        self.java, self.values, self.next, self.again = java, [], {}, 0
        java.consumer(cluster, "reader", topics=[TOPIC], group_id="readers", session_timeout_ms=10_000)

    def read(self):
        """How many records it has got. A commit that comes to nothing makes records come again, never from ahead."""
        for r in self.java("consumer.take", name="reader"):
            at = self.next.get(r["partition"], 0)
            check("nothing is passed over", r["offset"] <= at, f"{r} comes when {at} is next")
            self.again += r["offset"] < at
            if r["offset"] == at:
                self.values.append(r)
                self.next[r["partition"]] = at + 1
        try:
            self.java("consumer.commit", name="reader")
        except JavaError as e:
            check("the commit fails for the group's sake only",
                  e.name in ("CommitFailedException", "RebalanceInProgressException"), e)
        return len(self.values)

    def read_to_the_end(self, outcomes):
        total = sum(sum(o["sent"].values()) for o in outcomes.values())
        wait_for("the reader's end", lambda: self.read() >= total, timeout_s=60)
        equal("records that were read", len(self.values), total)


def all_read_the_same(java, cluster):
    expected = [(r["partition"], r["offset"], r["value"]) for r in java.read(cluster, TOPIC)]
    # franz takes one address, and learns the others.
    for name, records in [("librdkafka", confluent_read(cluster, TOPIC, PARTITIONS)),
                          ("franz-go", franz_read(cluster.nodes[0], TOPIC, PARTITIONS))]:
        equal(f"as {name} reads it", [(r["partition"], r["offset"], r["value"]) for r in records], expected)
    equal("as kcat reads it", sorted((r["partition"], r["offset"], r["payload"]) for r in kcat.consume(cluster, TOPIC)),
          expected)


@scenario
def one_after_the_other_is_replaced(ctx):
    """A rolling restart: no producer and no consumer meets an error, no record comes twice, and each leads again."""
    cluster = new_cluster(ctx)
    java = ctx.java
    with Traffic(ctx, cluster, TOPIC) as traffic:
        reader = Reader(java, cluster)
        for node in cluster.nodes:
            traffic.wait_acked(f"before node {node.node_id} is stopped")
            reader.read()
            node.stop()
            traffic.wait_acked(f"without node {node.node_id}")
            reader.read()
            node.start()
            wait_in_sync(java, cluster, TOPIC)
        traffic.wait_acked("at the end")
    outcomes = traffic.outcomes()
    reader.read_to_the_end(outcomes)
    all_is_there(java, cluster, TOPIC, outcomes)
    all_read_the_same(java, cluster)


@scenario
def nodes_stand_still(ctx):
    """A leader, then the active controller, is halted (SIGSTOP) until the others have taken over; when it goes on it
    does not believe that it still leads."""
    cluster = new_cluster(ctx, properties=LATE_DEATH)
    java = ctx.java
    with Traffic(ctx, cluster, TOPIC) as traffic:
        for choose in [lambda: cluster.node(wait_for("leaders", lambda: leaders(java, cluster, TOPIC))[0]),
                       lambda: active_controller(java, cluster)]:
            traffic.wait_acked("before a node stands still")
            node = choose()
            node.pause()
            try:
                wait_for("others to lead",
                         lambda: node.node_id not in (leaders(java, cluster, TOPIC) or [node.node_id]), timeout_s=90)
                traffic.wait_acked(f"while node {node.node_id} stands still")
            finally:
                node.resume()
            wait_in_sync(java, cluster, TOPIC)
        traffic.wait_acked("at the end")
    all_is_there(java, cluster, TOPIC, traffic.outcomes())


@scenario
def one_that_hangs_again_and_again(ctx):
    """Fenced within a second each time, long before its session ends, and taken back at once twice; the third time it is held
    back, and who asks why is told so."""
    if ctx.is_kafka:
        raise Skip("Kafka waits for the session's end, and takes who hangs back at once")
    cluster = new_cluster(ctx, properties={"broker.session.timeout.ms": 60_000})
    java = ctx.java
    active = active_controller(java, cluster)
    hangs = next(n for n in cluster.nodes if n is not active)

    def why():
        status, out, _ = ours("millrace", "why", "partition", f"{TOPIC}-0", "-b", active.bootstrap)
        return out if status == 0 else ""

    def wait_back():
        """The controller's node is asked: the one that has hung tells of the past until it has heard of what came to pass."""
        wait_equal("replicas in sync", lambda: [isr for _, _, isr in partitions(active, TOPIC)], [[1, 2, 3]] * PARTITIONS, timeout_s=60)

    def hang():
        hangs.pause()
        try:
            wait_for("it is fenced", lambda: f"Broker {hangs.node_id} is fenced." in why(), timeout_s=60)
        finally:
            hangs.resume()
        return wait_for("why", why)

    times = 0
    while times < 3:
        wait_back()
        told, before = hang(), times
        # A busy machine may have made it silent besides.
        times = active.log_text().count(f"WARN controller: broker {hangs.node_id} is fenced: nothing has come of it for ")
        check("each silence is counted", times > before, told)
        equal(f"held back after {times} silences", f"so it was {times} times in a short time: it is taken back in "
              f"{5000 << max(0, times - 3)} ms" in told, times >= 3)
    wait_back()


@scenario
def a_controller_is_copied(ctx):
    """Two processes with one node.id and the same directory would vote as one: one of them ends, and says why; the quorum
    decides on."""
    if ctx.is_kafka:
        raise Skip("two of Kafka's controllers register again and again")
    cluster = ctx.cluster(["controller"] * 3 + ["broker"], {"offsets.topic.replication.factor": 1})
    copied = cluster.node(3)
    copied.stop()
    twin = MillraceServer.successor(copied)
    twin.directory = ctx.directory / "twin"
    shutil.copytree(copied.directory, twin.directory)
    twin.controller_port = free_port()
    twin.advertised = f"CONTROLLER://{twin.controller}"
    twin.log, twin.config = twin.directory / "server.log", twin.directory / "server.properties"
    twin.config.write_text(copied.config.read_text().replace(str(copied.directory), str(twin.directory))
                           .replace(copied.controller, twin.controller))
    ctx._servers.append(twin)
    copied.start()
    twin.start()
    ended = wait_for("one of both to end", lambda: [s for s in (copied, twin) if s.process.poll() is not None], timeout_s=60)
    equal("how many ended", len(ended), 1)
    check("its exit code says so", ended[0].wait_ended() != 0)
    check("it says why", "another process with node.id 3 registers as a controller again and again" in ended[0].log_text())
    ctx.java.create(cluster, "afterwards", partitions=1)


@scenario
def two_of_five_die(ctx):
    """A dynamic quorum of five, each a broker: the active controller and a leader are killed at once; topics can be
    made, all goes on; then two more, when these are back."""
    if ctx.is_kafka:
        raise Skip("nodes of Kafka are formatted with static voters here")
    cluster = ctx.cluster(["broker,controller"] * 5, REPLICATED | {
        "default.replication.factor": 5, "offsets.topic.replication.factor": 5}, initial=True)
    java = ctx.java
    java.create(cluster, TOPIC, replicas=[[(first + i) % 5 + 1 for i in range(5)] for first in range(PARTITIONS)])
    with Traffic(ctx, cluster, TOPIC) as traffic:
        for number in range(2):
            wait_in_sync(java, cluster, TOPIC, replicas=5)
            traffic.wait_acked("before two are killed")
            active = active_controller(java, cluster)
            leading = wait_for("leaders", lambda: leaders(java, cluster, TOPIC))
            others = [n for n in [*leading, 1, 2] if n and n > 0 and n != active.node_id]  # it may lead all
            dead = [active, cluster.node(others[0])]
            for node in dead:
                node.kill()
            java.create(cluster, f"made-by-three-{number}")
            traffic.wait_acked(f"without {[n.node_id for n in dead]}")
            for node in dead:
                node.start()
        wait_in_sync(java, cluster, TOPIC, replicas=5)
        traffic.wait_acked("at the end")
    all_is_there(java, cluster, TOPIC, traffic.outcomes())
    equal("topics", sorted(java.admin(cluster, "listTopics")), ["made-by-three-0", "made-by-three-1", TOPIC])


def leader_of_each(java, cluster, topics):
    """Of topics with one partition, as one node knows them at one moment; -1 when it has none."""
    try:
        described = java.admin(cluster, "describeTopics", names=list(topics))
        return {topic: described[topic]["partitions"][0]["leader"] for topic in topics}
    except (JavaError, KeyError, TypeError):
        return None


@scenario
def who_lacks_records_may_lead(ctx):
    """unclean.leader.election.enable: the replica that is left lacks records, and leads; who had them gives them up. Another
    topic waits for its leader, and loses none."""
    cluster = ctx.cluster(["broker,controller", "broker", "broker"], REPLICATED | {"min.insync.replicas": 1})
    java, leader, behind = ctx.java, cluster.node(2), cluster.node(3)
    topics = {"loses": "true", "waits": "false"}

    def send(name, *topics):
        java.producer(cluster, name)
        for topic in topics:
            java.send(topic, [{"partition": 0, "value": f"{name} {i}"} for i in range(10)], name=name)

    for topic, unclean in topics.items():
        java.create(cluster, topic, replicas=[[2, 3]], unclean_leader_election_enable=unclean)
        wait_in_sync(java, cluster, topic, replicas=2, partitions=1)
    send("both have", *topics)
    behind.stop()
    for topic in topics:
        wait_in_sync(java, cluster, topic, replicas=1, partitions=1)
    send("one has", *topics)
    leader.kill()
    behind.start()
    wait_equal("who leads", lambda: leader_of_each(java, cluster, topics), {"loses": 3, "waits": -1}, timeout_s=60)
    send("later", "loses")
    leader.start()
    for topic in topics:
        wait_in_sync(java, cluster, topic, replicas=2, partitions=1)
    for topic, names in (("loses", ["both have", "later"]), ("waits", ["both have", "one has"])):
        equal(topic, [r["value"] for r in java.read(cluster, topic)], [f"{name} {i}" for name in names for i in range(10)])
    for node in (leader, behind):
        node.stop()
    for topic in topics:
        equal(f"batches of {topic}", batches(leader, topic, 0), batches(behind, topic, 0))


@scenario
def our_producer_through_deaths(ctx):
    """Our own producer: each node is killed while it writes; each record is there once, in order."""
    cluster = new_cluster(ctx)
    java = ctx.java
    records = 300_000
    process = our_producer.begin(ctx, cluster, TOPIC, records, 60, "linger.ms=0", "batch.size=500",
                                 "buffer.memory=100000", "request.timeout.ms=5000")

    def written():
        """Told by our tool: until a JVM on a busy machine answers, all may be written."""
        _, out, _ = ours("kafka-get-offsets.sh", "--bootstrap-server", cluster.bootstrap, "--topic", TOPIC)
        return sum(map(int, re.findall(r":(\d+)$", out, re.M)))

    met = 0
    for node in cluster.nodes:
        before = written()
        wait_for("more records", lambda: process.poll() is not None or written() > before, timeout_s=60)
        met += process.poll() is None  # how much is written by now is the machine's business
        node.kill_restart()
        wait_in_sync(java, cluster, TOPIC)
    check("a death while it is at work", met > 0, "all came too late")
    our_producer.end(process, records)
    our_producer.each_once_in_order("through deaths", java.read(cluster, TOPIC), records, by_key=False)


@scenario
def a_disk_is_full(ctx):
    """The disk of a node fills up: it ends, as one whose directories have all failed must; the others lead; with room
    again it follows."""
    if ctx.is_kafka:
        raise Skip("Kafka's answer to a full disk is tested elsewhere")
    with SmallDisk(ctx.directory / "small", "96m") as disk:
        def adapt(node):
            if node.node_id == 2:
                node.log_dirs = [disk.directory]
        cluster = new_cluster(ctx, properties={"millrace.log.dir.free.bytes.min": 0}, adapt=adapt)
        java = ctx.java
        with Traffic(ctx, cluster, TOPIC) as traffic:
            traffic.wait_acked("before the disk is full")
            disk.fill()
            check("its exit code says so", cluster.node(2).wait_ended() != 0)
            traffic.wait_acked("without node 2")
            wait_for("others to lead", lambda: 2 not in (leaders(java, cluster, TOPIC) or [2]), timeout_s=60)
            disk.empty()
            cluster.node(2).start()
            wait_in_sync(java, cluster, TOPIC)
            traffic.wait_acked("at the end")
        all_is_there(java, cluster, TOPIC, traffic.outcomes())
        wait_in_sync(java, cluster, TOPIC)
        for node in cluster.nodes[:2]:
            node.stop()
        same_batches(cluster, TOPIC, cluster.nodes[:2])
