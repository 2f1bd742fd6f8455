"""The server under test: our broker, or real Kafka as the oracle.

    formatted -> start -> [kill -9 -> start]* -> stop

A server has a directory of its own with server.properties, server.log and its log directories, and
keeps its ports for life, so that clients find it again after a restart.
"""
import base64
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("MILLRACE_INTEROP_CACHE", Path.home() / ".cache/millrace/interop"))
CLUSTER_ID = "bWlsbHJhY2VpbnRlcm9wMQ"

# JVMs are guests here: they yield to whatever else builds on this machine, and start quickly.
JVM = ["nice", "-n", "10", "java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
       f"-Dlog4j2.configurationFile={HERE}/log4j2.xml"]
JAVA = JVM + [f"-XX:SharedArchiveFile={CACHE}/tools.jsa", "-cp", f"{CACHE}/jars/*:{CACHE}/java"]

START_TIMEOUT_S = 120  # a JVM, while others build
STOP_TIMEOUT_S = 60  # likewise

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.num.partitions": 4,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 2,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 2,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    # After kill -9 Kafka refuses the next incarnation until the old one's session has ended.
    "broker.session.timeout.ms": 2000,
    "broker.heartbeat.interval.ms": 250,
}

KEEPS = {"log.retention.ms": -1}  # for records of 2023, which retention would remove half a minute after a start

_ports_given = set()
_ports_lock = threading.Lock()


def free_port():
    """A port below the ephemeral range: while the server is down no outgoing connection of a client
    can take it (or meet itself on it)."""
    with _ports_lock:
        while True:
            port = random.randrange(20000, 32000)
            if port in _ports_given:
                continue
            with socket.socket() as s:
                try:
                    s.bind(("127.0.0.1", port))
                except OSError:
                    continue
            _ports_given.add(port)
            return port


def directory_id(node_id):
    """Of the metadata's directory of one who is there from the start: like all such ids, 16 bytes."""
    return base64.urlsafe_b64encode(b"first voter    " + bytes([node_id])).decode().rstrip("=")


class ServerError(Exception):
    pass


class Server:
    """Common to both: directory, properties, process.  `prepare` fills the log directories instead
    of formatting them (for a test that starts on a data set)."""

    node_id = 1
    host = "127.0.0.1"
    run_in = []  # words before the command, for a process that lives elsewhere

    def __init__(self, directory, properties=(), prepare=None):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.log_dirs = [self.directory / "data/a", self.directory / "data/b"]
        self.log = self.directory / "server.log"
        self.config = self.directory / "server.properties"
        self.port, self.controller_port, self.metrics_port = free_port(), free_port(), free_port()
        self.process = None
        self.starts = 0
        self.write_properties(dict(properties))
        if prepare:
            prepare(self)
        else:
            self.format()

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"

    @property
    def controller(self):
        return f"{self.host}:{self.controller_port}"

    @classmethod
    def successor(cls, other):
        """A server on what `other`, which is down, has left."""
        assert other.process is None
        server = cls.__new__(cls)
        server.__dict__.update(other.__dict__)
        return server

    def fill(self, value):
        """What the nodes of a cluster have of their own: {node_id}, and ports."""
        return str(value).format(node_id=self.node_id, controller_port=self.controller_port, metrics_port=self.metrics_port)

    def write_properties(self, properties):
        self.advertised = properties.get("advertised.listeners", f"PLAINTEXT://{self.bootstrap}")
        values = PROPERTIES | {
            "controller.quorum.voters": f"1@{self.controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{self.controller}",
            "log.dirs": ",".join(map(str, self.log_dirs)),
        } | {k: v if v is None else self.fill(v) for k, v in properties.items()}
        self.config.write_text("".join(f"{k}={v}\n" for k, v in values.items() if v is not None))

    def start(self):
        assert self.process is None
        seen = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("a") as out:
            self.process = subprocess.Popen(self.run_in + self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd=self.directory)
        self.starts += 1
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready(self.log_text(seen)):
            if self.process.poll() is not None:
                rc, self.process = self.process.returncode, None
                raise ServerError(f"the server ended with {rc} while it started")
            if time.monotonic() > deadline:
                raise ServerError(f"the server was not ready after {START_TIMEOUT_S} s")
            time.sleep(0.005)
        return self

    def stop(self):
        """Stop cleanly: SIGTERM, and the exit code that says so."""
        process = self._take_process()
        process.send_signal(signal.SIGTERM)
        try:
            rc = process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ServerError(f"the server was still there {STOP_TIMEOUT_S} s after SIGTERM") from None
        if rc != self.clean_exit_code:
            raise ServerError(f"the server ended with {rc} after SIGTERM, not {self.clean_exit_code}")

    def kill(self):
        """kill -9."""
        process = self._take_process()
        process.kill()
        process.wait()

    def pause(self):
        """SIGSTOP: to the others it is silent, and it does not know."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def wait_ended(self):
        """It must end by itself; the exit code."""
        process, self.process = self.process, None
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ServerError(f"the server had not ended by itself after {STOP_TIMEOUT_S} s") from None

    def drain(self):
        """Bring what lies beside the segments into them, after kill -9: so that others find it."""

    def restart(self):
        self.stop()
        self.start()

    def kill_restart(self):
        self.kill()
        self.start()

    def end(self):
        """However the test went: no process stays behind."""
        process, self.process = self.process, None
        if process and process.poll() is None:
            process.kill()
            process.wait()

    def _take_process(self):
        process, self.process = self.process, None
        if process is None:
            raise ServerError("the server is not running")
        if process.poll() is not None:
            raise ServerError(f"the server ended by itself, with {process.returncode}")
        return process

    def log_text(self, start=0):
        with self.log.open(errors="replace") as f:
            f.seek(start)
            return f.read()


class MillraceServer(Server):
    binary = None  # set by run.py
    overrides = []  # likewise: settings over the file's, each KEY=VALUE
    clean_exit_code = 0

    def format(self, *words):
        done = subprocess.run([self.binary, "storage", "format", "-t", CLUSTER_ID, "-c", str(self.config), *words],
                              capture_output=True, text=True, timeout=START_TIMEOUT_S)
        if done.returncode != 0:
            raise ServerError(f"storage format ended with {done.returncode}: {done.stdout}{done.stderr}")

    def drain(self):
        for d in self.log_dirs:
            done = subprocess.run([self.binary, "storage", "drain", str(d)], capture_output=True, text=True,
                                  timeout=START_TIMEOUT_S)
            if done.returncode != 0 or (d / "millrace.journal").exists():
                raise ServerError(f"storage drain ended with {done.returncode}: {done.stdout}{done.stderr}")

    def command(self):
        return [self.binary, "server", str(self.config), *(word for o in self.overrides for word in ("--override", o))]

    def is_ready(self, text):
        return any(line.startswith("ready ") and self.advertised in line for line in text.splitlines())


class KafkaServer(Server):
    clean_exit_code = 143  # a JVM that ended in its shutdown hook after SIGTERM
    java = JAVA
    version = "4.3.1"
    templates = None  # set by run.py: where formatted pairs of directories are kept for all tests
    _template_lock = threading.Lock()

    def format(self):
        """Formatting costs a JVM start, so do it once; nothing in a fresh directory knows its ports."""
        template = self.templates / f"{self.version}-{self.node_id}"
        with KafkaServer._template_lock:
            if not template.exists():
                done = subprocess.run(self.java + ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c",
                                              str(self.config)],
                                      capture_output=True, text=True, timeout=START_TIMEOUT_S)
                if done.returncode != 0:
                    raise ServerError(f"storage format ended with {done.returncode}: {done.stdout}{done.stderr}")
                shutil.copytree(self.directory / "data", template)
            else:
                shutil.copytree(template, self.directory / "data")

    def command(self):
        return self.java + ["-Dlog.level=INFO"] + ["kafka.Kafka", str(self.config)]

    def is_ready(self, text):
        return "Kafka Server started" in text


class Cluster:
    """Several nodes, numbered from 1; clients are told of all brokers.  Has what they want of a server."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.bootstrap = ",".join(n.bootstrap for n in nodes if "broker" in n.roles)

    @staticmethod
    def make(directory, classes, roles, properties, initial=False, adapt=None):
        """Nodes that are formatted and not started: of a class and with a text of process.roles each. With `initial` the
        controllers are the first voters of a dynamic quorum (nodes of ours only). `adapt` may change a node before it
        has settings."""
        nodes = []
        for i, (server_class, role) in enumerate(zip(classes, roles)):
            node = server_class(directory / f"node{i + 1}", prepare=lambda _: None)
            node.node_id, node.roles = i + 1, role
            if adapt:
                adapt(node)
            nodes.append(node)
        controllers = [n for n in nodes if "controller" in n.roles]
        if initial:
            quorum = {"controller.quorum.voters": None,
                      "controller.quorum.bootstrap.servers": ",".join(n.controller for n in controllers)}
            voters = ",".join(f"{n.node_id}@{n.controller}:{directory_id(n.node_id)}" for n in controllers)
        else:
            quorum = {"controller.quorum.voters": ",".join(f"{n.node_id}@{n.controller}" for n in controllers)}
        for node in nodes:
            listeners = {"broker": f"PLAINTEXT://{node.bootstrap}",
                         "controller": f"CONTROLLER://{node.controller}"}
            node.write_properties({
                "process.roles": node.roles,
                "node.id": node.node_id,
                "listeners": ",".join(listeners[role] for role in node.roles.split(",")),
            } | quorum | dict(properties))
            if "broker" not in node.roles:
                node.advertised = listeners["controller"]
            if not initial:
                node.format()
            elif node in controllers:
                node.format("--initial-controllers", voters)
            else:
                node.format("--no-initial-controllers")
        return Cluster(nodes)

    def node(self, node_id):
        return self.nodes[node_id - 1]

    def start(self):
        """All at once: none is ready before there is a quorum."""
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(n.start) for n in self.nodes]:
                done.result()
        return self


class NextKafkaServer(KafkaServer):
    """The release after the one that is the oracle."""
    java = JVM + ["-cp", f"{CACHE}/next/*"]
    version = "4.4.0"
