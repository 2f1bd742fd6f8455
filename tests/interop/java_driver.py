"""The Java clients: one long-lived JVM (java/Driver.java) that takes commands as JSON lines."""
import contextlib
import json
import subprocess
import threading

from server import JAVA

HEAP = "-Xmx2g"  # all that a scenario reads is one line of JSON


class JavaError(Exception):
    """The command failed in Java; `name` is the simple name of the exception's class."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name


class JavaDriver:
    def __init__(self, log):
        self._log = log
        self._process = None
        self._lock = threading.Lock()

    def started(self):
        if self._process is None:
            log = open(self._log, "a")
            self._process = subprocess.Popen(JAVA + [HEAP, "Driver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=log, text=True)
            log.close()
        return self

    def __call__(self, op, **args):
        """Run one command; returns its result or raises JavaError."""
        with self._lock:
            self._process.stdin.write(json.dumps({"op": op} | args) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise JavaError("DriverEnded", f"the driver ended during {op}; see {self._log}")
        answer = json.loads(line)
        if "error" in answer:
            raise JavaError(answer["error"], answer.get("message"))
        return answer["result"]

    def fails(self, error, op, **args):
        """Run a command that must fail with the exception named `error`."""
        try:
            result = self(op, **args)
        except JavaError as e:
            if e.name != error:
                raise AssertionError(f"{op} failed with {e}, expected {error}") from None
            return str(e)
        raise AssertionError(f"{op} gave {result!r}, expected {error}")

    # --- shorthands -----------------------------------------------------------------------------

    def producer(self, server, name="producer", **config):
        """Open a producer; configuration names have _ for . here."""
        self("producer.open", name=name, config=_config(server, {"acks": "all", "reconnect_backoff_max_ms": 100,
                                                                 "retry_backoff_max_ms": 100} | config))
        return name

    def send(self, topic, records, name="producer"):
        return self("producer.send", name=name, topic=topic, records=records)

    def transaction(self, server, name, offsets=(), group=None):
        """Begin a transaction of a producer that has a transactional.id and was initialised; [topic, partition, offset]
        triples of `offsets` are committed with it."""
        self("producer.begin", name=name)
        if offsets:
            self("producer.sendOffsets", name=name, offsets=list(offsets), config=_config(server, {"group_id": group}))

    def consumer(self, server, name="consumer", topics=None, assign=None, seek=(), **config):
        """Open a consumer that subscribes to topics, or to which [topic, partition] pairs are assigned (and which
        starts at the [topic, partition, offset] of `seek`). Its session outlasts a machine that stands still: one that is
        to die says a shorter one. It does not begin anew from its bootstrap servers while the server is away (KIP-899): it
        would lose sight of its topics, and join again."""
        chosen = {"topics": topics} if topics else {"assign": assign, "seek": list(seek)} if assign else {}
        defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": "false", "fetch_max_wait_ms": 50,
                    "session_timeout_ms": 45_000, "heartbeat_interval_ms": 100, "reconnect_backoff_max_ms": 100,
                    "retry_backoff_max_ms": 100, "metadata_max_age_ms": 1000, "metadata_recovery_strategy": "none"}
        self("consumer.open", name=name, config=_config(server, defaults | config), **chosen)
        return name

    def read(self, server, topic, isolation="read_uncommitted", **config):
        """Every record of a topic, sorted by partition and offset."""
        records = self("read", topic=topic, config=_config(server, {"isolation_level": isolation, "fetch_max_wait_ms": 10,
                                                                    "allow_auto_create_topics": "false"} | config))
        return sorted(records, key=lambda r: (r["partition"], r["offset"]))

    def admin(self, server, op, **args):
        return self(f"admin.{op}", bootstrap=server.bootstrap, **args)

    def create(self, server, name, partitions=1, replicas=None, **configs):
        """Create a topic; returns its id.  Configuration names have _ for . here; `replicas` are node ids, a list a partition."""
        topic = {"name": name, "partitions": partitions, "configs": {k.replace("_", "."): str(v) for k, v in configs.items()}}
        if replicas:
            topic["assignments"] = {str(p): nodes for p, nodes in enumerate(replicas)}
        outcome = self.admin(server, "createTopics", topics=[topic])[name]
        if "error" in outcome:
            raise AssertionError(f"creating {name}: {outcome}")
        return outcome["id"]

    def reset(self):
        """Forget every client of the last scenario."""
        if self._process is None:
            return
        try:
            self("reset")
        except (JavaError, OSError, ValueError):
            self.end()

    def end(self):
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):  # of a command that it did not take any more
                process.stdin.close()
            process.stdout.close()


def _config(server, config):
    return {"bootstrap.servers": server.bootstrap} | {k.replace("_", "."): str(v) for k, v in config.items() if v is not None}
