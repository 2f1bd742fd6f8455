"""Who comes into a metadata quorum, of Kafka's nodes and ours: a controller that joins by itself, and nodes without a log that
begin with the leader's snapshot."""
import json
import re
import shutil

from checks import check, equal, wait_equal, wait_for
from cluster import REPLICATED
from cluster_tools import Unformatted, format_dynamic
from mixed_quorum import PATIENCE_S, QUORUM
from scenario import Skip, scenario
from server import Cluster, KafkaServer, MillraceServer
from tools import TOPICS

COMBINED = "broker,controller"


def directory_of(node):
    return re.search(r"directory\.id=(\S+)", (node.log_dirs[0] / "meta.properties").read_text())[1]


def voters(ctx, node):
    """{id: directory id}"""
    found = re.search(r"CurrentVoters:\s+(\[.*\])", ctx.tool(QUORUM, "--bootstrap-server", node.bootstrap, "describe", "--status"))
    return {voter["id"]: voter.get("directoryId") for voter in json.loads(found[1])}


class UnformattedKafka(KafkaServer):
    def format(self):
        pass


def controllers_join(ctx, founder):
    """A quorum of one, of the class `founder`; one of each kind joins it, then each again with an empty directory."""
    cluster = Cluster.make(ctx.directory, [founder, Unformatted, UnformattedKafka], [COMBINED] * 3,
                           REPLICATED | {"controller.quorum.auto.join.enable": "true"})
    ctx._servers += cluster.nodes
    first, *others = cluster.nodes
    format_dynamic(first, first.controller, "--standalone")
    first.start()
    for node in others:
        format_dynamic(node, first.controller, "--no-initial-controllers")
        node.start()
    ids = lambda: {node.node_id: directory_of(node) for node in cluster.nodes}  # noqa: E731
    wait_equal("voters", lambda: voters(ctx, first), ids(), PATIENCE_S)
    for node in others:
        old = directory_of(node)
        node.stop()
        for directory in node.log_dirs:
            shutil.rmtree(directory)
        format_dynamic(node, first.controller, "--no-initial-controllers")
        node.start()
        check("its directory is another one", directory_of(node) != old)
        wait_equal(f"voters with the new node {node.node_id}", lambda: voters(ctx, first), ids(), PATIENCE_S)
    # The leader tells of a voter before a majority has that record; what comes behind it is answered when it has.
    ctx.java.create(first, "behind")
    first.kill()  # the others are a majority, and know it
    for node in others:
        ctx.tool(TOPICS, "--bootstrap-server", node.bootstrap, "--create", "--if-not-exists", "--topic", f"by-{node.node_id}")


@scenario
def ours_and_kafkas_join_ours(ctx):
    """controller.quorum.auto.join.enable, with a leader of ours."""
    if ctx.is_kafka:
        raise Skip("needs nodes of both kinds")
    controllers_join(ctx, Unformatted)


@scenario
def ours_and_kafkas_join_kafkas(ctx):
    """controller.quorum.auto.join.enable, with a leader of Kafka's."""
    if ctx.is_kafka:
        raise Skip("needs nodes of both kinds")
    controllers_join(ctx, UnformattedKafka)


SEGMENT_BYTES = 8 * 1024 * 1024  # the least that Kafka takes
WORDS = "1:1," * 8000  # of a topic's setting: 32,000 bytes in a record


def metadata_files(node, suffix):
    """The offsets in the names."""
    return sorted(int(re.split(r"[.-]", path.name)[0]) for path in (node.log_dirs[0] / "__cluster_metadata-0").glob(f"*{suffix}"))


@scenario
def who_has_nothing_begins_with_a_snapshot(ctx):
    """The leader, ours and then Kafka on its directory, has the beginning of its log no more: a broker of ours and one of
    Kafka's, without any log, get its snapshot (KIP-630), and what came after it."""
    if ctx.is_kafka:
        raise Skip("needs nodes of both kinds")
    cluster = Cluster.make(ctx.directory, [MillraceServer, MillraceServer, KafkaServer], [COMBINED, "broker", "broker"], {
        "metadata.log.segment.bytes": SEGMENT_BYTES, "metadata.log.max.record.bytes.between.snapshots": 4 * 1024 * 1024,
        "metadata.max.retention.bytes": 1024 * 1024})
    ctx._servers += cluster.nodes
    leader, *followers = cluster.nodes
    leader.start()
    ctx.java.create(leader, "before", partitions=1)
    for i in range(600):
        ctx.java.admin(leader, "incrementalAlterConfigs", resource=["TOPIC", "before"],
                       ops=[["SET", "follower.replication.throttled.replicas", f"{WORDS}0:{i}"]])
    wait_for("the log's beginning is gone", lambda: metadata_files(leader, ".log")[0] > 0, timeout_s=60)
    topics = ["before"]
    for turn in ("ours", "Kafka's"):
        topics.append(f"after-{len(topics)}")
        ctx.java.create(leader, topics[-1], partitions=1)
        for node in followers:
            node.start()
            wait_equal(f"topics of node {node.node_id}, from a leader of {turn}",
                       lambda: sorted(set(ctx.java.admin(node, "listTopics"))), sorted(topics), timeout_s=60)
            check(f"node {node.node_id} has a snapshot from a leader of {turn}", metadata_files(node, ".checkpoint")[-1] > 0)
            check(f"node {node.node_id} has no log of before it", metadata_files(node, ".log")[0] > 0)
            node.stop()
            shutil.rmtree(node.directory / "data")
            node.format()
        if turn == "ours":
            leader.stop()
            leader = ctx.hand_over(leader, KafkaServer)
