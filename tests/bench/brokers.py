"""The two brokers under load: ours, and real Kafka as its own scripts start it.

    formatted -> start -> [stop | kill -> start]* -> end

Both get the same settings, one empty log directory and ports of their own.  What differs is said
where it differs: `Millrace.own`, and the flags of the JVM.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INTEROP = HERE.parent / "interop"
RELEASE = ROOT / "build/release"
TARGETS = ["tests/bench/bench_load", "tests/bench/rdkafka_load"]  # targets, and where they are, of the release build
sys.path.append(str(INTEROP))
from server import CACHE, CLUSTER_ID, free_port  # noqa: E402

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
LOAD_TIMEOUT_S = 180

# What a node of one needs; all else is each broker's default, so Kafka's.
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
}


class BrokerError(Exception):
    pass


class Broker:
    name = None
    load_generator = None  # set by run.py
    own = {}

    def __init__(self, directory, properties=(), node=1, ports=None):
        """properties: a row's own, for both brokers.  ports: of a cluster's nodes, a broker's and a controller's each."""
        ports = ports or {node: (free_port(), free_port())}
        self.node = node
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.data = self.directory / "data"
        self.config = self.directory / "server.properties"
        self.log = self.directory / "server.log"
        self.port, controller_port = ports[node]
        values = PROPERTIES | self.own | {
            "node.id": node,
            "controller.quorum.voters": ",".join(f"{id}@127.0.0.1:{controller}" for id, (_, controller) in ports.items()),
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller_port}",
            "log.dirs": self.data,
        } | dict(properties)
        self.config.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        self.process = None
        self.format()

    def start(self):
        """-> seconds from before exec to the first Metadata answer that names a broker."""
        return self.start_until({"wait-ready": START_TIMEOUT_S})["ready_ns"]

    def launch(self):
        with self.log.open("a") as out:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd=self.directory)

    def start_until(self, options):
        """Start, and wait for what the load generator sees with these options: it runs before the broker does.
        -> its answer; what ends in _ns is seconds from before exec."""
        asking = subprocess.Popen(self.load_command(options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        begun_ns = time.monotonic_ns()
        self.launch()
        while asking.poll() is None:
            if self.process.poll() is not None:
                asking.kill()
                asking.communicate()
                raise BrokerError(f"it ended with {self.process.returncode} while it started")
            time.sleep(0.01)
        answer, why = asking.communicate()
        if asking.returncode != 0:
            raise BrokerError(why.strip())
        return {key: (value - begun_ns) / 1e9 if key.endswith("_ns") else value
                for key, value in json.loads(answer).items()}

    def load_command(self, options):
        words = [w for key, value in options.items() for w in (f"--{key}", str(value))]
        return [self.load_generator, "--port", str(self.port), *words]

    def load(self, options):
        """Run the load generator; -> its figures."""
        try:
            done = subprocess.run(self.load_command({"pid": self.process.pid} | options),
                                  capture_output=True, text=True, timeout=LOAD_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise BrokerError(f"the load was not done after {LOAD_TIMEOUT_S} s") from None
        if done.returncode != 0:
            raise BrokerError(done.stderr.strip() or f"the load generator ended with {done.returncode}")
        return json.loads(done.stdout)

    def cpu_s(self):
        """CPU time so far, user and system: the kernel's clock of a process."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def memory_mb(self):
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return {key.lower(): int(re.search(rf"^{key}: +(\d+) kB", text, re.M)[1]) * 1024 / 1e6 for key in ["Pss", "Rss"]}

    def data_files(self):
        return [f for f in self.data.rglob("*") if f.is_file()]

    def data_mb(self):
        """What the data takes on the disk."""
        total = 0
        for file in self.data_files():
            try:
                total += file.stat().st_blocks * 512
            except FileNotFoundError:  # retention is at work
                pass
        return total / 1e6

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        """SIGTERM, and a clean end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            rc = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise BrokerError(f"it was still there {STOP_TIMEOUT_S} s after SIGTERM") from None
        if rc != self.clean_exit_code:
            raise BrokerError(f"it ended with {rc} after SIGTERM, not {self.clean_exit_code}")
        self.process = None

    def end(self):
        """No process stays behind, however it went."""
        if self.process:
            self.kill()

    def run_tool(self, command, executable=None):
        """executable: what is run, when the first word is only the name that it is called by."""
        done = subprocess.run(command, executable=executable, capture_output=True, text=True, timeout=START_TIMEOUT_S)
        if done.returncode != 0:
            raise BrokerError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout


class Millrace(Broker):
    name = "millrace"
    binary = None  # set by run.py
    clean_exit_code = 0
    # As Kafka by default: an answer waits for the page cache, not for the disk.
    own = {"millrace.durability": "relaxed"}

    def format(self):
        self.run_tool([self.binary, "storage", "format", "-t", CLUSTER_ID, "-c", str(self.config)])

    def command(self):
        return [self.binary, "server", str(self.config)]


class Kafka(Broker):
    name = "kafka"
    template = None  # set by run.py: a formatted directory for each node, kept for the whole run
    clean_exit_code = 143  # a JVM that ended in its shutdown hook after SIGTERM

    def format(self):
        template = self.template.with_name(f"{self.template.name}-{self.node}")
        if not template.exists():
            self.run_tool(["java", f"-Dlog4j2.configurationFile={INTEROP}/log4j2.xml", "-cp", f"{CACHE}/jars/*",
                           "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self.config)])
            shutil.copytree(self.data, template)
        elif not self.data.exists():
            shutil.copytree(template, self.data)

    def command(self):
        """kafka-server-start.sh and kafka-run-class.sh of the distribution; its log goes to stderr."""
        return ["java", *os.environ.get("KAFKA_HEAP_OPTS", "-Xmx1G -Xms1G").split(), "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15",
                "-Djava.awt.headless=true",
                f"-Xlog:gc*:file={self.directory}/kafkaServer-gc.log:time,tags:filecount=10,filesize=100M",
                "-Dcom.sun.management.jmxremote", "-Dcom.sun.management.jmxremote.authenticate=false",
                "-Dcom.sun.management.jmxremote.ssl=false",
                f"-Dlog4j2.configurationFile={INTEROP}/log4j2.xml", "-Dlog.level=INFO",
                "-cp", f"{CACHE}/jars/*", "kafka.Kafka", str(self.config)]


def build(sides, binary, targets=TARGETS, java=True):
    """Load generators, and our executable when none was named, from the release build; Kafka from its jars."""
    subprocess.run([ROOT / "tools/setup", "bench"], check=True, stdout=sys.stderr)
    ninja = RELEASE / "build.ninja"
    if ninja.exists() and not all(target in ninja.read_text() for target in targets):
        subprocess.run(["meson", "setup", "--reconfigure", RELEASE], check=True, stdout=sys.stderr)
    targets = [TARGETS[0], *targets] + (["bin/millrace"] if Millrace in sides and not binary else [])
    subprocess.run([ROOT / "tools/build", "release", *dict.fromkeys(targets)], check=True, stdout=sys.stderr)
    Broker.load_generator = RELEASE / TARGETS[0]
    Millrace.binary = (binary or RELEASE / "bin/millrace").resolve()
    if java:
        subprocess.run([INTEROP / "setup.sh"], check=True)
