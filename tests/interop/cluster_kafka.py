"""Ours among Kafka's: a broker of ours under a controller of Kafka, beside its brokers; a voter of ours beside two
controllers of Kafka."""
import re

from checks import check, equal, wait_equal, wait_for
from cli import ours
from cluster import LATE_DEATH, PARTITIONS, REPLICATED, Traffic, all_is_there, leaders, same_batches, wait_in_sync
from cluster_faults import TOPIC, new_cluster
from scenario import Skip, scenario
from server import KafkaServer, MillraceServer, NextKafkaServer
from tools import ELECTION, QUORUM, TOPICS

OURS = 3  # node id


def both_kinds(ctx):
    if ctx.is_kafka:
        raise Skip("it is about ours beside Kafka's")


def segments(node, partition):
    """{name: bytes} of the segment files of a replica; of a node that is stopped."""
    directory, = [d / f"{TOPIC}-{partition}" for d in node.log_dirs if (d / f"{TOPIC}-{partition}").is_dir()]
    return {path.name: path.read_bytes() for path in directory.glob("*.log")}


def among_kafkas(ctx, *kafkas):
    """A broker of ours follows, is in the ISR, leads after an election and when others die, all under load; in the end
    the three have the same files."""
    both_kinds(ctx)
    # JVMs on a busy machine may say nothing for seconds; here only the dead are to lose what they lead.
    cluster = new_cluster(ctx, ["broker,controller", "broker", "broker"], classes=[*kafkas, MillraceServer],
                          properties=LATE_DEATH)
    java = ctx.java
    first, second, ours = cluster.nodes
    with Traffic(ctx, cluster, TOPIC) as traffic:
        traffic.wait_acked("with all")
        wait_in_sync(java, cluster, TOPIC)  # else another one leads for it
        second.kill()
        wait_equal("leaders", lambda: leaders(java, cluster, TOPIC), [1, OURS, OURS], timeout_s=60)
        traffic.wait_acked("when ours leads for the dead one")
        second.start()
        wait_in_sync(java, cluster, TOPIC)
        ours.kill()
        traffic.wait_acked("without ours")
        ours.start()
        wait_in_sync(java, cluster, TOPIC)
        ctx.tool(ELECTION, "--bootstrap-server", first.bootstrap, "--election-type", "preferred",
                 "--all-topic-partitions")
        wait_equal("leaders after the election", lambda: leaders(java, cluster, TOPIC), [1, 2, OURS], timeout_s=60)
        traffic.wait_acked("after the election")
    outcomes = traffic.outcomes()
    all_is_there(java, cluster, TOPIC, outcomes)
    wait_in_sync(java, cluster, TOPIC)
    for node in [ours, second, first]:
        node.stop()
    same_batches(cluster, TOPIC, cluster.nodes)
    for p in range(PARTITIONS):
        expected = segments(first, p)
        for node in [second, ours]:
            got = segments(node, p)
            check(f"files of {TOPIC}-{p} are equal on nodes 1 and {node.node_id}", got == expected,
                  [[(name, len(data)) for name, data in files.items()] for files in (got, expected)])


@scenario
def a_broker_among_kafkas(ctx):
    """Of 4.3.1."""
    among_kafkas(ctx, KafkaServer, KafkaServer)


@scenario
def a_broker_between_two_releases(ctx):
    """A controller of Kafka 4.3.1, with a broker of 4.4.0."""
    among_kafkas(ctx, KafkaServer, NextKafkaServer)


@scenario
def a_broker_among_the_next_kafkas(ctx):
    """All else is of 4.4.0, and so is the metadata's version."""
    among_kafkas(ctx, NextKafkaServer, NextKafkaServer)


class Quorum:
    """As Kafka's tool tells of it, asked of a broker."""

    def __init__(self, ctx, broker):
        self.ctx, self.broker, self.topics = ctx, broker, []

    def describe(self, what, ok=True):
        return self.ctx.tool(QUORUM, "--bootstrap-server", self.broker.bootstrap, "describe", what, ok=ok)

    def leader(self):
        """None as long as none answers."""
        found = re.search(r"LeaderId:\s+(\d+)", self.describe("--status", ok=False))
        return int(found[1]) if found else None

    def wait_lag(self, node_id):
        """Until it lacks nothing: who begins has to find its leader first."""
        wait_equal(f"what node {node_id} lacks", lambda: self.lag(node_id), 0, timeout_s=90)

    def replicas(self):
        """{id: (lag, what it is)}"""
        rows = [line.split("\t") for line in self.describe("--replication").splitlines()[1:]]
        return {int(row[0]): (int(row[3]), row[6].strip()) for row in rows}

    def status(self):
        return {node_id: what for node_id, (_, what) in self.replicas().items()}

    def lag(self, node_id):
        return self.replicas()[node_id][0]

    def create(self):
        topic = f"t{len(self.topics) + 1}"
        self.ctx.tool(TOPICS, "--bootstrap-server", self.broker.bootstrap, "--create", "--topic", topic)
        self.topics.append(topic)

    def has_all(self):
        """The broker may hear of a topic later than who has made it."""
        wait_equal("topics", lambda: sorted(self.ctx.tool(TOPICS, "--bootstrap-server", self.broker.bootstrap, "--list").split()),
                   sorted(self.topics), timeout_s=60)


@scenario
def a_voter_beside_kafkas(ctx):
    """Who lacks what a majority has cannot lead: so ours must be elected when a leader of Kafka dies and the other one
    was away. It serves Kafka's broker as active controller, until it dies itself; then it follows."""
    both_kinds(ctx)
    roles = ["controller", "controller", "controller", "broker"]
    # Who lives and is late, as JVMs on a busy machine may be by seconds, is to keep what it has: a leader its followers, the
    # broker its session, also with a controller that has just begun.
    cluster = ctx.cluster(roles, {"controller.quorum.fetch.timeout.ms": 6000, "broker.session.timeout.ms": 20_000},
                          classes=[KafkaServer, KafkaServer, MillraceServer, KafkaServer])
    quorum = Quorum(ctx, cluster.node(4))
    quorum.create()
    leader = cluster.node(wait_for("a leader", quorum.leader))
    if leader.node_id == OURS:  # whoever was first; then one of Kafka's shall lead
        leader.kill()
        leader = cluster.node(wait_for("one of Kafka's to lead", quorum.leader, timeout_s=60))
        cluster.node(OURS).start()
        quorum.wait_lag(OURS)
    kafka = cluster.node(3 - leader.node_id)

    kafka.kill()
    quorum.create()  # needs the vote of ours
    leader.kill()
    kafka.start()  # it lacks a topic, and must vote for ours
    wait_equal("the active controller", quorum.leader, OURS, timeout_s=90)
    quorum.create()
    leader.start()
    wait_equal("replicas", quorum.status, {1: "Follower", 2: "Follower", OURS: "Leader", 4: "Observer"}, timeout_s=90)
    quorum.has_all()

    cluster.node(OURS).kill()
    quorum.create()
    check("one of Kafka's leads", wait_for("a leader", quorum.leader) in (1, 2))
    cluster.node(OURS).start()
    quorum.wait_lag(OURS)
    equal("what ours is", quorum.status()[OURS], "Follower")
    quorum.has_all()
    for node in [leader, kafka]:
        faults = [line for line in node.log_text().splitlines() if "Encountered" in line and "fault" in line]
        equal(f"faults of Kafka's controller {node.node_id}", faults, [])


@scenario
def why_among_kafkas(ctx):
    """millrace why where a broker of Kafka has led, under its controller: what ours has seen it tells, what only Kafka's
    know is named."""
    both_kinds(ctx)
    cluster = ctx.cluster(["controller", "broker", "broker"], REPLICATED | LATE_DEATH | {
        "default.replication.factor": 2, "min.insync.replicas": 1, "offsets.topic.replication.factor": 2},
        classes=[KafkaServer, KafkaServer, MillraceServer])
    theirs, asked = cluster.node(2), cluster.node(OURS).bootstrap
    ctx.java.create(cluster, "t", replicas=[[2, OURS]])

    def why():
        status, out, _ = ours("millrace", "why", "partition", "t-0", "-b", asked)
        return "\n" + out if status == 0 else ""

    def wait_told(when, *words):
        """Nodes that are late tell nothing, or of the past: what is said in one answer counts."""
        wait_equal(f"words that are missing {when}", lambda: [w for said in [why()] for w in words if w not in said], [], timeout_s=60)

    wait_told("when it is led", "\nt-0 is led by broker 2 in epoch 0. ", "\nNo node that was asked knows of a change.\n",
              f"\nBroker 2 ({theirs.bootstrap}) knows nothing of it: it keeps no causes, ",
              f"\nController 1 ({cluster.node(1).controller}) knows nothing of it: it keeps no causes, ")
    theirs.kill()
    wait_told("when ours leads", "\nt-0 is led by broker 3 in epoch 1. ",
              "why leaders moved while it was the active controller, its own log may say")
    theirs.start()
    wait_told("when it is back", "its ISR is [2,3]", " 3     broker 2 joins the ISR [3]: it has all up to offset 0, our end is 0\n")
