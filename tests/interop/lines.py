"""Programs that say what happens to them as lines of JSON; and our consumer (c/our_consumer.c), which is one of them."""
import json
import subprocess
import threading
import time

from checks import check, equal
from server import HERE

OUR_CONSUMER = HERE.parents[1] / "build/asan/tests/interop/c/our_consumer"
TIMEOUT_S = 60  # more than a call of our_consumer may take
T = 1_700_000_000_000
QUICK = {"auto_offset_reset": "earliest", "enable_auto_commit": "false", "fetch_max_wait_ms": 50, "session_timeout_ms": 45_000,
         "heartbeat_interval_ms": 100, "metadata_max_age_ms": 500, "reconnect_backoff_max_ms": 100, "retry_backoff_max_ms": 100,
         "allow_auto_create_topics": "false"}


class Lines:
    """A process, and all lines that it has said; those who wait are woken by each."""

    def __init__(self, ctx, name, argv):
        self.name = name
        self.errors_path = ctx.directory / f"{name}.err"
        with self.errors_path.open("w") as err:
            self.process = ctx.spawn([*map(str, argv)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err)
        self._said = {}  # the first key of a line -> all such lines
        self._owned = set()
        self._ended = False
        self._news = threading.Condition(threading.RLock())
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # kill -9 has cut it
            with self._news:
                self._hear(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _hear(self, line):
        self._said.setdefault(next(iter(line)), []).append(line)
        for what, owns in [("assigned", True), ("revoked", False), ("lost", False)]:
            these = {tuple(p) if isinstance(p, list) else p for p in line.get(what, [])}
            self._owned = self._owned | these if owns else self._owned - these

    def said(self, kind, since=0):
        """The lines of a kind, which is their first key."""
        with self._news:
            return self._said.get(kind, [])[since:]

    def count(self, kind):
        with self._news:
            return len(self._said.get(kind, []))

    def owned(self):
        with self._news:
            return set(self._owned)

    def wait(self, what, condition, timeout_s=TIMEOUT_S):
        """Until condition() is true: it is asked anew whenever a line has come. Returns what it gave."""
        deadline = time.monotonic() + timeout_s
        with self._news:
            while not (value := condition()):
                left = deadline - time.monotonic()
                check(f"{self.name} is there, for {what}", not self._ended, self.errors_path.read_text()[-2000:])
                check(f"{self.name}: {what} within {timeout_s} s", left > 0,
                      f"owns {sorted(self._owned)}, said last { {kind: lines[-1] for kind, lines in self._said.items()} }")
                self._news.wait(left)
        return value

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self):
        """The end of its stdin tells it to stop, which it does well."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self._reader.join(TIMEOUT_S)
        equal(f"exit code of {self.name}", self.process.wait(TIMEOUT_S), 0)

    def kill(self):
        """kill -9; what it has said is there."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self._reader.join(TIMEOUT_S)


class OurConsumer(Lines):
    """Partitions are (topic, number); records are as java.read gives them."""

    def __init__(self, ctx, name, server, **settings):
        check("our_consumer is built", OUR_CONSUMER.exists(), "tools/build asan tests/interop/c/our_consumer")
        words = [f"{k.replace('_', '.')}={v}" for k, v in (QUICK | settings).items()]
        super().__init__(ctx, name, [OUR_CONSUMER, server.bootstrap, *words])
        self._answered = self._taken = 0

    def answer(self, *words):
        """What it answers to a command, an error's code and text among it."""
        self.write(" ".join(map(str, words)))
        self._answered += 1
        self.wait(f"its answer to {words}", lambda: self.count("answer") >= self._answered)
        answer = self.said("answer")[self._answered - 1]
        equal(f"what {self.name} answers to", answer["answer"], words[0])
        return answer

    def ask(self, *words):
        """The same, and all must be well."""
        answer = self.answer(*words)
        check(f"{self.name}: {words}", answer["code"] == 0, str(answer))
        return answer

    def take(self, count):
        """The next `count` records, in the order of partitions and offsets. What comes beyond them fails the next take,
        or the close."""
        self.wait(f"{count} records behind {self._taken}", lambda: self.count("record") >= self._taken + count)
        taken = [line["record"] for line in self.said("record", self._taken)]
        self._taken += len(taken)
        equal(f"records that came to {self.name}", len(taken), count)
        return in_order(taken)

    def take_offsets(self, count):
        return [(r["partition"], r["offset"]) for r in self.take(count)]

    def error(self, number=1):
        """What it has told of as its error number ..., from 1 on."""
        self.wait(f"error {number}", lambda: self.count("error") >= number)
        return self.said("error")[number - 1]["error"]

    def wait_owned(self, partitions):
        self.wait(f"{sorted(partitions)} are assigned", lambda: self.owned() == set(partitions))

    def wait_position(self, topic, partition, position):
        """Where it stands is found by asking: nothing is said when a position is known."""
        deadline = time.monotonic() + TIMEOUT_S
        while (place := self.ask("place", topic, partition))["position"] != position and time.monotonic() < deadline:
            time.sleep(0.02)
        equal(f"position of {self.name} in {topic}-{partition}; {place}", place["position"], position)

    def close(self):
        """It commits what is done with enable.auto.commit, leaves, and nothing came that was not taken."""
        self.ask("close")
        self.stop()
        equal(f"records that {self.name} was not to read", self.said("record", self._taken), [])


def in_order(records):
    return sorted(records, key=lambda r: (r["topic"], r["partition"], r["offset"]))


def as_java(ctx, server, topic, **config):
    """The records of a topic as Java reads them, in the form of ours."""
    return [{k: v for k, v in r.items() if k != "timestampType"} for r in ctx.java.read(server, topic, **config)]


def sender(ctx, server, name, **config):
    """A Java producer with one request at a time: of several, of which real Kafka refuses the first because a topic has just been
    made, the second is taken, and then the first never is."""
    return ctx.java.producer(server, name, max_in_flight_requests_per_connection=1, **config)


def send(ctx, server, topic, records, **config):
    """With a producer of its own, which does not know the topic from before."""
    name = sender(ctx, server, f"{topic}-sender", **config)
    answers = ctx.java.send(topic, records, name=name)
    check(f"sent to {topic}", not any("error" in a for a in answers), str(answers))
    ctx.java("producer.close", name=name)


def numbered(count, partitions, since=0):
    """Records whose values are numbers, to each partition in turn, ten milliseconds apart."""
    return [{"partition": i % partitions, "value": str(i), "timestamp": T + 10 * i} for i in range(since, since + count)]


def committed(ctx, server, group):
    answer = ctx.java.admin(server, "listConsumerGroupOffsets", groups=[group])[group]
    return {partition: at[0] for partition, at in answer.items()}
