"""Several nodes: leaders, controllers and coordinators die under traffic, and nothing that was acknowledged is lost. Roles
apart, and brokers of ours and of Kafka side by side."""
from checks import batches, check, equal, loop_is_in_the_log, offsets_contiguous, wait_equal, wait_for
from confluent import Loop
from franz import Process
from java_driver import JavaError
from scenario import Skip, scenario
from server import KafkaServer, MillraceServer

COMBINED = ["broker,controller"] * 3
PARTITIONS = 3
EACH_LEADS_ONE = [[1, 2, 3], [2, 3, 1], [3, 1, 2]]  # replicas, the preferred leader first
ACKED = 200  # of each producer, before a node is killed and again while it is down
REPLICATED = {"default.replication.factor": 3, "min.insync.replicas": 2, "offsets.topic.replication.factor": 3,
              "replica.lag.time.max.ms": 5000}

# For nodes that fall silent under Traffic. While Java's producer waits for an old leader it sends newer batches to the
# new one. When the old ones had come there by replication, and time out later, the new leader remembers its last five
# batches only, and they are refused for ever. Those that time out before another leads keep their place before newer ones.
LATE_DEATH = {"broker.session.timeout.ms": 6000}


def in_sync(java, cluster, topic):
    """Sizes of the ISRs; a cluster that elects may not answer."""
    try:
        partitions = java.admin(cluster, "describeTopics", names=[topic])[topic]["partitions"]
    except (JavaError, KeyError, TypeError):
        return None
    return [len(p["isr"]) for p in partitions]


def leaders(java, cluster, topic):
    """The leader of each partition; None when one has none, or nobody can be asked."""
    try:
        partitions = java.admin(cluster, "describeTopics", names=[topic])[topic]["partitions"]
    except (JavaError, KeyError, TypeError):
        return None
    found = [p["leader"] for p in partitions]
    return found if -1 not in found else None


def active_controller(java, cluster):
    """Of the quorum, when it has one that answers."""
    def ask():
        try:
            return java.admin(cluster, "describeMetadataQuorum")["leader"]
        except JavaError:
            return None
    return cluster.node(wait_for("an active controller", ask, timeout_s=60))


def wait_in_sync(java, cluster, topic, replicas=3, partitions=PARTITIONS):
    wait_equal(f"replicas of {topic} in sync", lambda: in_sync(java, cluster, topic), [replicas] * partitions, timeout_s=60)


def same_batches(cluster, topic, nodes):
    """After a stop: the nodes' replicas hold the same, batch by batch."""
    for p in range(PARTITIONS):
        first, *others = [batches(n, topic, p) for n in nodes]
        check(f"{topic}-{p} has batches", first)
        for other in others:
            equal(f"batches of {topic}-{p} on all nodes", other, first)


class Traffic:
    """Java, librdkafka and franz-go, idempotent, with acks=all."""

    def __init__(self, ctx, cluster, topic):
        self.java = ctx.java
        # A leader that has yet to hear of a new topic may refuse a producer's first batch and take the second one, which costs
        # the order. Who reads has waited for all leaders.
        equal("records of the new topic", self.java.read(cluster, topic), [])
        self.java.producer(cluster, "java", delivery_timeout_ms=200_000, request_timeout_ms=2000, linger_ms=2)
        self.java("producer.loop", name="java", topic=topic, partitions=PARTITIONS, prefix="java")
        # A node that says nothing may stand still, or a cut link has silenced it. A leader that its followers do not
        # hear says REQUEST_TIMED_OUT, and librdkafka does not ask who leads then: so it asks now and then.
        self.rdkafka = Loop(cluster, topic, PARTITIONS, "rdkafka", message_timeout_ms=200_000,
                            request_timeout_ms=5000, socket_timeout_ms=6000, socket_connection_setup_timeout_ms=3000,
                            topic_metadata_refresh_interval_ms=2000)
        # franz takes one address, and learns the others.
        self.franz = Process(ctx, "franz", "loop", cluster.bootstrap.split(",")[0], topic, PARTITIONS, "franz")
        self.acked = {"java": lambda: self.java("producer.acked", name="java"), "rdkafka": self.rdkafka.acked_count,
                      "franz": lambda: max((line.get("count", 0) for line in self.franz.lines()), default=0)}

    def wait_acked(self, when, but=()):
        """Of all producers, `but` those that may be stuck for a while."""
        acked = {name: count for name, count in self.acked.items() if name not in but}
        enough = {name: count() + ACKED for name, count in acked.items()}
        for name, count in acked.items():
            wait_for(f"acknowledgements for {name} {when}", lambda: count() >= enough[name], timeout_s=90)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        """The thread must end, however it went; `outcomes` is for when it went well."""
        self.rdkafka_outcome = self.rdkafka.stop()

    def outcomes(self):
        return {"java": self.java("producer.stop", name="java"), "rdkafka": self.rdkafka_outcome, "franz": self.franz.stop()[-1]}


def all_is_there(java, cluster, topic, outcomes):
    records = java.read(cluster, topic)
    offsets_contiguous(topic, records)
    equal("records in the log", len(records), sum(sum(o["sent"].values()) for o in outcomes.values()))
    for name, outcome in outcomes.items():
        loop_is_in_the_log(name, outcome, name, records)


@scenario
def nodes_die_one_by_one(ctx):
    """Each node, leader of some partition and perhaps of the quorum, is killed and comes back; producers go on meanwhile."""
    cluster = ctx.cluster(COMBINED, REPLICATED)
    java = ctx.java
    java.create(cluster, "stream", partitions=PARTITIONS)
    with Traffic(ctx, cluster, "stream") as traffic:
        for node in cluster.nodes:
            traffic.wait_acked(f"before node {node.node_id} is killed")
            node.kill()
            traffic.wait_acked(f"without node {node.node_id}")
            node.start()
            wait_in_sync(java, cluster, "stream")
    outcomes = traffic.outcomes()
    all_is_there(java, cluster, "stream", outcomes)
    for node in cluster.nodes:
        node.restart()
        wait_in_sync(java, cluster, "stream")
    all_is_there(java, cluster, "stream", outcomes)
    for node in cluster.nodes[:2]:  # the last one has no quorum to leave
        node.stop()
    cluster.nodes[2].kill()
    cluster.nodes[2].drain()
    same_batches(cluster, "stream", cluster.nodes)


@scenario
def a_group_outlives_its_coordinator(ctx):
    """Committed offsets, and the group, are with another broker when the coordinator is killed."""
    cluster = ctx.cluster(COMBINED, REPLICATED)
    java = ctx.java
    java.create(cluster, "read", partitions=1)
    java.producer(cluster)
    for round_number in range(3):
        java.send("read", [{"value": f"{round_number}-{i}", "partition": 0} for i in range(50)])
        # Nobody is to be thrown out because it was late; of one whose leave was lost the next round waits for the end.
        java.consumer(cluster, "reader", topics=["read"], group_id="readers", session_timeout_ms=20_000)
        values = []

        def poll():
            values.extend(r["value"] for r in java("consumer.take", name="reader"))
            return len(values) >= 50
        wait_for("the records of this round", poll, timeout_s=90)
        equal("records since the commit", values, [f"{round_number}-{i}" for i in range(50)])
        java("consumer.commit", name="reader")
        java("consumer.close", name="reader")
        coordinator = java.admin(cluster, "describeConsumerGroups", groups=["readers"])["readers"]["coordinator"]
        cluster.node(coordinator).kill_restart()
        wait_in_sync(java, cluster, "__consumer_offsets", partitions=4)


@scenario
def roles_apart(ctx):
    """One controller and two brokers: the controller is killed and comes back, then a broker."""
    cluster = ctx.cluster(["controller", "broker", "broker"], REPLICATED | {
        "default.replication.factor": 2, "min.insync.replicas": 1, "offsets.topic.replication.factor": 2})
    java = ctx.java
    java.create(cluster, "stream", partitions=PARTITIONS)
    with Traffic(ctx, cluster, "stream") as traffic:
        traffic.wait_acked("before the controller is killed")
        cluster.node(1).kill_restart()
        java.create(cluster, "later", partitions=1)
        traffic.wait_acked("before a broker is killed")
        wait_in_sync(java, cluster, "stream", replicas=2)  # else nobody may lead for it
        cluster.node(2).kill()
        traffic.wait_acked("without it")
        cluster.node(2).start()
        wait_in_sync(java, cluster, "stream", replicas=2)
    outcomes = traffic.outcomes()
    all_is_there(java, cluster, "stream", outcomes)


@scenario
def beside_kafka(ctx):
    """A broker of Kafka and one of ours, and a controller of ours: each follows the other, and leads when it dies."""
    if ctx.is_kafka:
        raise Skip("it is about ours beside Kafka's")
    # A JVM on a busy machine may say nothing for seconds, and nobody else would lead while the other broker is down.
    cluster = ctx.cluster(["controller", "broker", "broker"], REPLICATED | LATE_DEATH | {
        "default.replication.factor": 2, "min.insync.replicas": 1, "offsets.topic.replication.factor": 2},
        classes=[MillraceServer, MillraceServer, KafkaServer])
    java = ctx.java
    java.create(cluster, "stream", partitions=PARTITIONS)
    with Traffic(ctx, cluster, "stream") as traffic:
        for node in cluster.nodes[1:]:
            traffic.wait_acked(f"before node {node.node_id} is killed")
            wait_in_sync(java, cluster, "stream", replicas=2)
            node.kill()
            traffic.wait_acked(f"without node {node.node_id}")
            node.start()
        wait_in_sync(java, cluster, "stream", replicas=2)
    outcomes = traffic.outcomes()
    all_is_there(java, cluster, "stream", outcomes)
    wait_in_sync(java, cluster, "stream", replicas=2)
    for node in cluster.nodes[1:]:
        node.stop()
    same_batches(cluster, "stream", cluster.nodes[1:])
