"""The two brokers under load: ours, and real Kafka as its own scripts start it.

    formatted -> start -> stop -> [start -> stop]* -> end

Both get the same settings, one empty log directory and ports of their own.  What differs is said
where it differs: `Millrace.own`, and the flags of the JVM.
"""
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
INTEROP = HERE.parent / "interop"
sys.path.append(str(INTEROP))
from server import CACHE, CLUSTER_ID, free_port  # noqa: E402

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
LOAD_TIMEOUT_S = 120

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

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.data = self.directory / "data"
        self.config = self.directory / "server.properties"
        self.log = self.directory / "server.log"
        self.port, controller_port = free_port(), free_port()
        values = PROPERTIES | self.own | {
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller_port}",
            "log.dirs": self.data,
        }
        self.config.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        self.process = None
        self.format()

    def start(self):
        """-> seconds from before exec to the first Metadata answer that names a broker."""
        asking = subprocess.Popen([self.load_generator, "--port", str(self.port), "--wait-ready",
                                   str(START_TIMEOUT_S)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with self.log.open("a") as out:
            begun_ns = time.monotonic_ns()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd=self.directory)
        while asking.poll() is None:
            if self.process.poll() is not None:
                asking.kill()
                asking.communicate()
                raise BrokerError(f"it ended with {self.process.returncode} while it started")
            time.sleep(0.01)
        answer, why = asking.communicate()
        if asking.returncode != 0:
            raise BrokerError(why.strip())
        return (json.loads(answer)["ready_ns"] - begun_ns) / 1e9

    def load(self, options):
        """Run the load generator; -> its figures."""
        words = [w for key, value in options.items() for w in (f"--{key}", str(value))]
        try:
            done = subprocess.run([self.load_generator, "--port", str(self.port), "--pid", str(self.process.pid), *words],
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
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def run_tool(self, command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S)
        if done.returncode != 0:
            raise BrokerError(f"storage format ended with {done.returncode}: {done.stdout}{done.stderr}")


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
    template = None  # set by run.py: a formatted directory, kept for the whole run
    clean_exit_code = 143  # a JVM that ended in its shutdown hook after SIGTERM

    def format(self):
        if not self.template.exists():
            self.run_tool(["java", f"-Dlog4j2.configurationFile={INTEROP}/log4j2.xml", "-cp", f"{CACHE}/jars/*",
                           "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self.config)])
            shutil.copytree(self.data, self.template)
        elif not self.data.exists():
            shutil.copytree(self.template, self.data)

    def command(self):
        """kafka-server-start.sh and kafka-run-class.sh of the distribution; its log goes to stderr."""
        return ["java", "-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-XX:MaxInlineLevel=15",
                "-Djava.awt.headless=true",
                f"-Xlog:gc*:file={self.directory}/kafkaServer-gc.log:time,tags:filecount=10,filesize=100M",
                "-Dcom.sun.management.jmxremote", "-Dcom.sun.management.jmxremote.authenticate=false",
                "-Dcom.sun.management.jmxremote.ssl=false",
                f"-Dlog4j2.configurationFile={INTEROP}/log4j2.xml", "-Dlog.level=INFO",
                "-cp", f"{CACHE}/jars/*", "kafka.Kafka", str(self.config)]
