"""What a scenario is, and what it is given.

A scenario is a function of a Context; it passes when it returns.  Its name is MODULE.FUNCTION.
"""
import subprocess
from pathlib import Path

from server import JAVA, Cluster

SCENARIOS = {}  # name -> function, in the order of the modules
TOOL_TIMEOUT_S = 150  # its JVM starts while others build, and its client may wait for a minute


class Skip(Exception):
    """Raised by a scenario that makes no sense with this server; the message says why."""


def scenario(function):
    SCENARIOS[f"{function.__module__}.{function.__name__}"] = function
    return function


class Context:
    """One run of one scenario: its directory, its servers, the worker's Java driver."""

    def __init__(self, directory, server_class, java_driver):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.server_class = server_class
        self.is_kafka = server_class.__name__ == "KafkaServer"
        self._java_driver = java_driver
        self._servers = []
        self._processes = []

    def server(self, properties=(), prepare=None, server_class=None):
        """A fresh server, started."""
        server = (server_class or self.server_class)(self.directory / f"server{len(self._servers) + 1}", properties, prepare)
        self._servers.append(server)
        return server.start()

    def cluster(self, roles, properties=(), classes=None, **how):
        """Fresh nodes, started: one for each text of process.roles."""
        cluster = Cluster.make(self.directory, classes or [self.server_class] * len(roles), roles, properties, **how)
        self._servers += cluster.nodes
        return cluster.start()

    def hand_over(self, server, server_class=None):
        """What `server` has left goes to one of another class, started: its directories, its port, its settings. Their
        clients take it for the same."""
        successor = (server_class or self.server_class).successor(server)
        self._servers[self._servers.index(server)] = successor
        return successor.start()

    @property
    def java(self):
        return self._java_driver.started()

    def tool(self, main_class, *args, stdin=None, ok=True):
        """Run one of Kafka's console tools; returns its stdout, checks its exit code."""
        done = subprocess.run(JAVA + [main_class, *map(str, args)], input=stdin, capture_output=True, text=True,
                              timeout=TOOL_TIMEOUT_S)
        if ok and done.returncode != 0:
            raise AssertionError(f"{main_class.rsplit('.')[-1]} {' '.join(map(str, args))} ended with {done.returncode}:\n"
                                 f"{done.stdout}{done.stderr}")
        return done.stdout if ok else done.stdout + done.stderr

    def spawn(self, argv, **kwargs):
        """A client process that is ended with the scenario."""
        process = subprocess.Popen(argv, text=True, **kwargs)
        self._processes.append(process)
        return process

    def end(self):
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for server in self._servers:
            server.end()

    def server_died(self):
        """A server that ended although nobody stopped it, or None."""
        return next((s for s in self._servers if s.process and s.process.poll() is not None), None)
