"""A metadata quorum of Kafka's controllers and ours: each follows the other, and what one has decided the other keeps. Each
adds and removes the other."""
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from checks import check, equal, wait_equal, wait_for
from cluster import REPLICATED, wait_in_sync
from scenario import Skip, scenario
from server import CLUSTER_ID, START_TIMEOUT_S, KafkaServer, MillraceServer, ServerError
from tools import TOPICS

FEATURES = "org.apache.kafka.tools.FeatureCommand"
QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand"
KAFKA, A, B = 1, 2, 3  # node ids
PATIENCE_S = 150  # for what is asked with a tool, a JVM each time
NEWER_FEATURES = {"eligible.leader.replicas.version": "1", "group.version": "1", "kraft.version": "1", "share.version": "1",
                  "streams.version": "1", "transaction.version": "2"}  # than 3.9, as of 4.3


def format_with_ours(server):
    done = subprocess.run([MillraceServer.binary, "storage", "format", "-t", CLUSTER_ID, "-c", str(server.config)],
                          capture_output=True, text=True, timeout=START_TIMEOUT_S)
    if done.returncode != 0:
        raise ServerError(f"storage format ended with {done.returncode}: {done.stdout}{done.stderr}")


def new_nodes(ctx):
    """{id: server}, formatted and not started: a controller of Kafka, and two nodes of ours that are brokers, too."""
    nodes = {i: (KafkaServer if i == KAFKA else MillraceServer)(ctx.directory / f"node{i}", prepare=lambda server: None)
             for i in (KAFKA, A, B)}
    ctx._servers += nodes.values()
    voters = ",".join(f"{i}@127.0.0.1:{server.controller_port}" for i, server in nodes.items())
    for i, server in nodes.items():
        properties = {"node.id": i, "controller.quorum.voters": voters}
        if i == KAFKA:
            properties |= {"process.roles": "controller", "listeners": "CONTROLLER://127.0.0.1:{controller_port}"}
        server.write_properties(properties)
        format_with_ours(server)
    return nodes


class Cluster:
    def __init__(self, ctx, nodes):
        self.ctx, self.nodes, self.topics = ctx, nodes, []

    def ask(self, node, *args):
        return self.ctx.tool(QUORUM, "--bootstrap-server", self.nodes[node].bootstrap, "describe", *args)

    def leader(self, node):
        return int(re.search(r"LeaderId:\s+(-?\d+)", self.ask(node, "--status"))[1])

    def lags(self, node):
        """{id: lag} of the voters."""
        rows = [line.split("\t") for line in self.ask(node, "--replication").splitlines()[1:]]
        return {int(row[0]): int(row[3]) for row in rows}

    def voters(self, node):
        """{id: directory id}; none of them is known while the quorum is static."""
        found = re.search(r"CurrentVoters:\s+(\[.*\])", self.ask(node, "--status"))[1]
        return {voter["id"]: voter.get("directoryId") for voter in json.loads(found)}

    def remove(self, node, gone):
        self.ctx.tool(QUORUM, "--bootstrap-server", self.nodes[node].bootstrap, "remove-controller", "--controller-id", gone,
                      "--controller-directory-id", self.voters(node)[gone])
        equal("voters that are left", sorted(self.voters(node)), sorted(self.nodes.keys() - {gone}))

    def add(self, node, new):
        """One that has caught up; until the leader has seen that, it is to be asked again. Who was asked may have run out of
        time, and have done it."""
        wait_for("the new voter is taken", lambda: re.search("Added controller|DuplicateVoter", self.ctx.tool(
            QUORUM, "--bootstrap-server", self.nodes[node].bootstrap, "--command-config", self.nodes[new].config,
            "add-controller", ok=False)), PATIENCE_S)
        equal("voters with the new one", sorted(self.voters(node)), sorted(self.nodes))

    def upgrade(self, node):
        """kraft.version 0 to 1; until all voters have reported that they support it, it is refused."""
        wait_for("a dynamic quorum", lambda: "was upgraded to 1" in self.ctx.tool(
            FEATURES, "--bootstrap-server", self.nodes[node].bootstrap, "upgrade", "--feature", "kraft.version=1", ok=False), PATIENCE_S)
        check("all directories are known", all(self.voters(node).values()))

    def create(self, node):
        """The tool asks again where a leader has ended in between, which may have done it."""
        topic = f"t{len(self.topics) + 1}"
        self.ctx.tool(TOPICS, "--bootstrap-server", self.nodes[node].bootstrap, "--create", "--if-not-exists", "--topic", topic)
        self.topics.append(topic)

    def has_all(self, node):
        """The broker may have to hear of the last one yet."""
        wait_equal("topics", lambda: sorted(self.ctx.tool(TOPICS, "--bootstrap-server", self.nodes[node].bootstrap, "--list").split()),
                   sorted(self.topics), PATIENCE_S)


def no_faults(nodes):
    faults = [line for line in nodes[KAFKA].log_text().splitlines() if "Encountered" in line and "fault" in line]
    equal("faults of Kafka's controller", faults, [])


def let_kafka_lead(cluster, nodes):
    """It and A are left, and A lacks a topic; B is down then. Who leads later is not sure: a JVM that stands still for seconds
    leads no more."""
    nodes[A].kill()
    cluster.create(B)
    nodes[B].kill()
    at = len(nodes[A].log_text())
    nodes[A].start()
    leaders = map(int, re.findall(r"node (\d) leads the quorum", nodes[A].log_text(at)))
    equal("the first leader of the two", [leader for leader in leaders if leader != B][:1], [KAFKA])


def start_all(nodes):
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(lambda server: server.start(), nodes.values()))


@scenario
def each_follows_the_other(ctx):
    """Through kill -9 of each: who lacks what a majority has cannot lead, so it is known who must follow whom."""
    if ctx.is_kafka:
        raise Skip("needs nodes of both kinds")
    nodes = new_nodes(ctx)
    cluster = Cluster(ctx, nodes)
    start_all(nodes)
    cluster.create(A)

    let_kafka_lead(cluster, nodes)
    cluster.create(A)
    cluster.has_all(A)

    nodes[B].start()
    nodes[KAFKA].kill()
    cluster.create(B)
    check("one of ours leads", cluster.leader(B) in (A, B))
    nodes[KAFKA].start()
    wait_for("Kafka's controller follows", lambda: cluster.lags(B).get(KAFKA) == 0, PATIENCE_S)

    nodes[A].kill()
    cluster.create(B)  # needs Kafka's controller
    cluster.has_all(B)
    nodes[A].start()
    cluster.has_all(A)
    no_faults(nodes)


@scenario
def voters_come_and_go(ctx):
    """From static to dynamic, with a leader of ours; then each kind of leader removes a controller of the other, and adds it."""
    if ctx.is_kafka:
        raise Skip("needs nodes of both kinds")
    nodes = new_nodes(ctx)
    cluster = Cluster(ctx, nodes)
    start_all(nodes)
    nodes[KAFKA].kill()
    cluster.create(B)
    check("one of ours leads", cluster.leader(B) in (A, B))
    nodes[KAFKA].start()
    cluster.upgrade(B)
    cluster.remove(B, KAFKA)
    cluster.add(B, KAFKA)

    let_kafka_lead(cluster, nodes)
    nodes[B].start()
    cluster.remove(A, B)
    cluster.create(B)
    cluster.add(A, B)
    nodes[A].kill()
    cluster.create(B)  # needs it
    nodes[A].start()
    for node in (A, B):
        cluster.has_all(node)
    no_faults(nodes)


@scenario
def kafkas_leader_makes_the_quorum_dynamic(ctx):
    """From static to dynamic, with a leader of Kafka's: ours take what it writes of the voters, and go on under each other."""
    if ctx.is_kafka:
        raise Skip("needs nodes of both kinds")
    nodes = new_nodes(ctx)
    cluster = Cluster(ctx, nodes)
    start_all(nodes)
    let_kafka_lead(cluster, nodes)
    nodes[B].start()
    cluster.upgrade(A)
    voters = cluster.voters(A)
    nodes[KAFKA].kill()
    cluster.create(B)
    for node in (A, B):
        check("one of ours leads", cluster.leader(node) in (A, B))
        equal(f"voters, as node {node} has them", cluster.voters(node), voters)
    nodes[KAFKA].start()
    wait_for("Kafka's controller follows", lambda: cluster.lags(B).get(KAFKA) == 0, PATIENCE_S)
    for node in (A, B):
        nodes[node].restart()
        equal(f"voters after a restart of node {node}", cluster.voters(node), voters)
        cluster.has_all(node)
    no_faults(nodes)


class OlderServer(MillraceServer):
    """Formatted as a release of Kafka would have done it that knew static voters alone."""

    release = "3.9"

    def format(self, *words):
        super().format("--release-version", self.release, *words)


@scenario
def a_static_quorum_of_an_older_release(ctx):
    """It works at the level of that release; then Kafka's tool raises all features, by which its voters come into the
    log with the ids of their directories."""
    if ctx.is_kafka:
        raise Skip("it is about ours")
    cluster = ctx.cluster(["broker,controller"] * 3, REPLICATED, classes=[OlderServer] * 3)
    java, first = ctx.java, cluster.node(1)

    def features():
        described = ctx.tool(FEATURES, "--bootstrap-server", cluster.bootstrap, "describe")
        return dict(re.findall(r"Feature: (\S+)\s.*FinalizedVersionLevel: (\S+)", described))

    def voters():
        found = re.search(r"CurrentVoters:\s+(\[.*\])", ctx.tool(QUORUM, "--bootstrap-server", cluster.bootstrap, "describe", "--status"))[1]
        return {voter["id"]: voter.get("directoryId") for voter in json.loads(found)}

    wait_equal("features", features, dict.fromkeys(NEWER_FEATURES, "0") | {"metadata.version": "3.9-IV0"}, PATIENCE_S)
    java.create(cluster, "t", partitions=1)
    # The leader may hear of the topic between two requests: the second would be taken before the first.
    java.producer(cluster, max_in_flight_requests_per_connection=1)
    java.send("t", [{"partition": 0, "value": str(i)} for i in range(100)])
    first.kill_restart()
    wait_in_sync(java, cluster, "t", partitions=1)
    said = wait_for("all features are raised", lambda: (text := ctx.tool(
        FEATURES, "--bootstrap-server", cluster.bootstrap, "upgrade", "--release-version", "4.3", ok=False)) and "failed" not in text and text,
                    PATIENCE_S)
    for feature in ("kraft.version was upgraded to 1.", "metadata.version was upgraded to 30."):
        check(f"{feature} is said", feature in said, said)
    wait_equal("features", features, NEWER_FEATURES | {"metadata.version": "4.3-IV0"}, PATIENCE_S)
    java.send("t", [{"partition": 0, "value": str(i)} for i in range(100, 200)])
    directories = voters()
    equal("voters", sorted(directories), [1, 2, 3])
    check("all directories are known", all(directories.values()), str(directories))
    for node in cluster.nodes:
        node.restart()
    equal("voters after restarts", wait_for("voters", voters), directories)
    wait_in_sync(java, cluster, "t", partitions=1)
    equal("records", [r["value"] for r in java.read(cluster, "t")], [str(i) for i in range(200)])
