"""Three nodes of one side, each broker and controller, on one machine; what they are asked is asked by our own tools."""
import re
import subprocess
import time

from brokers import BrokerError, Millrace, free_port

NODES = (1, 2, 3)
# What a cluster of three needs; all else is each side's default.  Leaders stay where they are put.
PROPERTIES = {
    "offsets.topic.replication.factor": 3,
    "transaction.state.log.replication.factor": 3,
    "transaction.state.log.min.isr": 2,
    "share.coordinator.state.topic.replication.factor": 3,
    "share.coordinator.state.topic.min.isr": 2,
    "default.replication.factor": 3,
    "min.insync.replicas": 2,
    "auto.leader.rebalance.enable": "false",
}
ASK_AGAIN_S = 0.2
WAIT_S = 180  # three JVMs start at once, and may have to share
STOP_TIMEOUT_S = 10


class Cluster:
    def __init__(self, broker_class, directory, properties=()):
        self.name = broker_class.name
        ports = {node: (free_port(), free_port()) for node in NODES}
        self.nodes = {node: broker_class(directory / f"{node}", PROPERTIES | dict(properties), node, ports) for node in NODES}
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port, _ in ports.values())

    @property
    def port(self):
        """Where a client begins; it hears of the others."""
        return self.nodes[NODES[0]].port

    @property
    def load_generator(self):
        return self.nodes[NODES[0]].load_generator

    def start(self):
        for broker in self.nodes.values():
            broker.launch()
        self.wait("all brokers to be there", lambda: self.brokers() == list(NODES))

    def stop(self):
        """Side by side: the last one alone has no quorum to leave, and is ended."""
        for broker in self.nodes.values():
            broker.process.terminate()
        for broker in self.nodes.values():
            try:
                broker.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                broker.kill()
            broker.process = None

    def end(self):
        for broker in self.nodes.values():
            broker.end()

    def tool(self, name, *words):
        """One of Kafka's tools, as ours."""
        return self.nodes[NODES[0]].run_tool([f"{name}.sh", "--bootstrap-server", self.bootstrap, *words], Millrace.binary)

    def wait(self, what, is_so):
        """A cluster that elects may not answer: it is asked again."""
        deadline = time.monotonic() + WAIT_S
        while True:
            why = ""
            try:
                if is_so():
                    return
            except BrokerError as e:
                why = f": {e}"
            for broker in self.nodes.values():
                if broker.process and broker.process.poll() is not None:
                    raise BrokerError(f"node {broker.node} ended with {broker.process.returncode}")
            if time.monotonic() > deadline:
                raise BrokerError(f"{WAIT_S} s were not enough for {what}{why}")
            time.sleep(ASK_AGAIN_S)

    def brokers(self):
        """Those that are not fenced."""
        out = self.tool("kafka-broker-api-versions")
        return sorted(int(id) for id in re.findall(r"\(id: (\d+) rack: \S+ isFenced: false\)", out))

    def create(self, topic, partitions):
        """Three replicas, each node the first of as many; all in sync."""
        assignment = ",".join(":".join(str(NODES[(p + i) % len(NODES)]) for i in range(len(NODES))) for p in range(partitions))
        self.tool("kafka-topics", "--create", "--topic", topic, "--replica-assignment", assignment, "--config", "min.insync.replicas=2")
        self.wait_in_sync(topic)

    def partitions(self, topic):
        """-> leader and ISR of each"""
        found = re.findall(r"Partition: \d+\s+Leader: (\S+)\s+Replicas: \S+\s+Isr: (\S*)", self.tool(
            "kafka-topics", "--describe", "--topic", topic))
        return [(int(leader) if leader.isdigit() else None, isr.split(",")) for leader, isr in found]

    def wait_in_sync(self, topic):
        def is_so():
            found = self.partitions(topic)
            return found and all(leader and len(isr) == len(NODES) for leader, isr in found)
        self.wait(f"all replicas of {topic} to be in sync", is_so)

    def controller(self):
        return int(re.search(r"^LeaderId:\s+(\d+)", self.tool("kafka-metadata-quorum", "describe", "--status"), re.M)[1])

    def start_again(self, node, topic):
        """All is as it was before, but for leaders."""
        if self.nodes[node].process is None:
            self.nodes[node].launch()
        self.wait("all brokers to be there", lambda: self.brokers() == list(NODES))
        self.wait_in_sync(topic)

    def cpu_s(self):
        return sum(broker.cpu_s() for broker in self.nodes.values())
