#!/usr/bin/env python3
"""Cut the power of a broker that works, again and again, and hold what it has then against what it had acknowledged.

    power_cuts.py [--binary build/release/bin/millrace] [--cuts 100] [--file-system ext4|xfs]... [--seed N]

Per file system: a loop device of its own; idempotent producers write with acks=all all the time, topics are made and offsets
committed. At a random moment the broker is killed, its file system is shut down without a flush and mounted again, and the broker starts on
what is left. Whatever was acknowledged must be there, at its offset, once. Then a control: the same with millrace.durability=relaxed,
which acknowledges before the disk has it and must be seen to lose records, else cuts prove nothing.

A cut is one test; the last line is `N passed, N failed`. Needs root and loop devices; without them it says so and tests nothing.
"""
import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))
sys.path.insert(0, str(HERE))

import run as interop  # noqa: E402
from disk import CannotCut, Disk, own_mounts  # noqa: E402
from server import MillraceServer  # noqa: E402

PARTITIONS = 6
PRODUCERS = 3
UNACKED_MAX = 100      # records of a producer that wait for an answer
VALUE_BYTES_MAX = 4000
PAUSE_S = 0.001        # of a producer after each record: the image must not fill up
LOAD_S = (0.05, 0.35)  # between the first answer after a start and the cut
CUTS_PER_IMAGE = 25    # then all is read, and a new file system begins
CONTROL_CUTS_MAX = 20
TIMEOUT_S = 60         # the disk of a busy machine may take seconds for one sync
FLUSH_S = 30           # at the end, also when there is no broker any more
QUIET = {"log_level": 0, "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 20}


class Lost(Exception):
    """The broker broke a promise; the message says which."""


class Writer:
    """A producer on a thread, and what it was told."""

    def __init__(self, bootstrap, number, idempotent):
        from confluent_kafka import Producer
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": idempotent, "acks": "all", "linger.ms": 1,
                                  "retry.backoff.ms": 10, "message.timeout.ms": 200_000} | QUIET)
        self.number, self.count = number, 0
        self.acked = {}        # (partition, offset) -> value
        self.errors = []
        self.stopping = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        draw = random.Random(self.number)
        while not self.stopping:
            if len(self.producer) < UNACKED_MAX:
                partition = draw.randrange(PARTITIONS)
                value = f"{self.number}-{partition}-{self.count}-".ljust(draw.randrange(20, VALUE_BYTES_MAX), "x")
                self.count += 1
                try:
                    self.producer.produce("records", value, partition=partition,
                                          on_delivery=lambda error, m, v=value: self.told(error, m, v))
                except Exception as e:  # a fatal error: this producer takes no more
                    self.errors.append(str(e))
                    return
                self.producer.poll(PAUSE_S)
            else:
                self.producer.poll(0.002)
        self.producer.flush(FLUSH_S)

    def told(self, error, message, value):
        if error:
            self.errors.append(str(error))
        else:
            self.acked[message.partition(), message.offset()] = value

    def stop(self):
        self.stopping = True
        self.thread.join()


class Admin:
    """Topics and commits that were acknowledged."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.topics, self.committed = [], -1
        self.reconnect()

    def reconnect(self):
        """A new client: librdkafka's may wait for ever for a coordinator that was decommissioned while it was away."""
        from confluent_kafka.admin import AdminClient
        self.client = AdminClient({"bootstrap.servers": self.bootstrap} | QUIET)

    @staticmethod
    def of_group(ask):
        """What a coordinator answers when it has loaded the group: librdkafka passes on that it has not."""
        from confluent_kafka import KafkaError, KafkaException
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                answer = ask()["group"].result(TIMEOUT_S)
                error = next((p.error for p in answer.topic_partitions if p.error), None)
            except KafkaException as e:
                error = e.args[0]
            if error is None:
                return answer
            if error.code() not in (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.NOT_COORDINATOR) or time.monotonic() > deadline:
                raise KafkaException(error)
            time.sleep(0.02)

    def act(self):
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
        from confluent_kafka.admin import NewTopic
        name = f"topic-{len(self.topics)}"
        self.client.create_topics([NewTopic(name, 1, 1)], operation_timeout=TIMEOUT_S)[name].result(TIMEOUT_S)
        self.topics.append(name)
        to = self.committed + 1
        group = ConsumerGroupTopicPartitions("group", [TopicPartition("records", 0, to)])
        self.of_group(lambda: self.client.alter_consumer_group_offsets([group]))
        self.committed = to

    def look(self):
        from confluent_kafka import ConsumerGroupTopicPartitions
        there = self.client.list_topics(timeout=TIMEOUT_S).topics
        missing = [name for name in self.topics if name not in there]
        if missing:
            raise Lost(f"topics that were created and are gone: {missing}")
        answer = self.of_group(lambda: self.client.list_consumer_group_offsets([ConsumerGroupTopicPartitions("group")]))
        found = {(p.topic, p.partition): p.offset for p in answer.topic_partitions}
        if found.get(("records", 0), -1) != self.committed:
            raise Lost(f"offset {self.committed} was committed, and {found} is there")


def read_from(bootstrap, offsets):
    """(partition, offset) -> value of the topic as it is now, from an offset per partition on."""
    from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False,
                         "enable.partition.eof": True, "fetch.wait.max.ms": 10} | QUIET)
    consumer.assign([TopicPartition("records", p, offset) for p, offset in enumerate(offsets)])
    found, ended, deadline = {}, set(), time.monotonic() + TIMEOUT_S
    while len(ended) < PARTITIONS:
        if time.monotonic() > deadline:
            raise Lost(f"reading did not come to its end within {TIMEOUT_S} s")
        for message in consumer.consume(2000, 0.2):
            if message.error() is None:
                found[message.partition(), message.offset()] = message.value().decode()
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise KafkaException(message.error())
    consumer.close()
    return found


class Story:
    """One file system's life: a broker on it, its clients, and the cuts."""

    def __init__(self, directory, kind, binary, draw, durability):
        self.disk = Disk(directory, kind)
        self.draw, self.durable = draw, durability == "durable"
        MillraceServer.binary = binary
        self.server = MillraceServer(Path(directory) / "server", {
            "log.dirs": self.disk.path / "data", "auto.create.topics.enable": "false", "millrace.durability": durability,
            "log.segment.bytes": 1 << 20})
        self.writers = []
        self.checked = [0] * PARTITIONS  # below these offsets everything was compared

    def begin(self):
        from confluent_kafka.admin import NewTopic
        self.server.start()
        self.admin = Admin(self.server.bootstrap)
        self.admin.client.create_topics([NewTopic("records", PARTITIONS, 1)], operation_timeout=TIMEOUT_S)["records"].result(TIMEOUT_S)
        self.writers = [Writer(self.server.bootstrap, n, self.durable) for n in range(PRODUCERS)]

    def acked_count(self):
        return sum(len(w.acked) for w in self.writers)

    def cut(self):
        """Work, lose power, start again."""
        self.admin.act()
        enough, deadline = self.acked_count() + 1, time.monotonic() + TIMEOUT_S
        while self.acked_count() < enough:
            if time.monotonic() > deadline:
                raise Lost(f"no record was acknowledged for {TIMEOUT_S} s")
            time.sleep(0.002)
        time.sleep(self.draw.uniform(*LOAD_S))
        self.server.kill()
        self.disk.cut()
        self.server.start()
        self.admin.reconnect()

    def check(self, all_again=False):
        """Compare what was not compared yet, or everything."""
        start = [0] * PARTITIONS if all_again else self.checked
        acked = [dict(w.acked) for w in self.writers]  # before the read: what is acknowledged later need not be in it
        found = read_from(self.server.bootstrap, start)
        for writer, told in zip(self.writers, acked):
            if self.durable and writer.errors:
                raise Lost(f"producer {writer.number}: {writer.errors[0]}")
            wrong = [(at, value[:24], found.get(at, "nothing")[:24]) for at, value in told.items()
                     if at[1] >= start[at[0]] and found.get(at) != value]
            if wrong:
                raise Lost(f"{len(wrong)} of {len(told)} acknowledged records of producer {writer.number} are lost: "
                           "(partition, offset) {} was {!r}, and now is {!r}".format(*min(wrong)))
        if len(set(found.values())) != len(found) and self.durable:
            raise Lost(f"of {len(found)} records {len(found) - len(set(found.values()))} are there twice")
        self.checked = [max([start[p], *(o + 1 for q, o in found if q == p)]) for p in range(PARTITIONS)]
        self.admin.look()
        return sum(map(len, acked))

    def stop(self):
        """A clean stop and one more start: nothing else is there then."""
        for writer in self.writers:
            writer.stop()
        self.server.restart()
        self.admin.reconnect()
        acked = self.check(all_again=True)
        self.server.stop()
        return acked

    def end(self):
        for writer in self.writers:
            writer.stopping = True
        self.server.end()
        for writer in self.writers:
            writer.thread.join()
        self.disk.end()


def cut_often(kind, cuts, binary, seed, say):
    """-> how many passed, and words about the first that did not."""
    draw, passed, records = random.Random(f"{kind} {seed}"), 0, 0
    while passed < cuts:
        with tempfile.TemporaryDirectory(prefix="millrace-cuts-") as directory:
            story = Story(directory, kind, binary, draw, "durable")
            try:
                story.begin()
                for _ in range(min(CUTS_PER_IMAGE, cuts - passed)):
                    story.cut()
                    story.check()
                    passed += 1
                records += story.stop()
            except Exception as e:
                return passed, f"{kind}: cut {passed + 1}: {e!r}\n{story.server.log_text()[-3000:]}"
            finally:
                story.end()
        say(f"{kind}: {passed} of {cuts} cuts, {records} acknowledged records, none lost")
    return passed, None


def control(kind, binary, seed, say):
    """Words about what went wrong, or None: a broker that answers too early was seen to lose records."""
    with tempfile.TemporaryDirectory(prefix="millrace-cuts-") as directory:
        story = Story(directory, kind, binary, random.Random(f"control {kind} {seed}"), "relaxed")
        try:
            story.begin()
            for n in range(CONTROL_CUTS_MAX):
                story.cut()
                story.check()
        except Lost as e:
            say(f"{kind}: control, cut {n + 1}: {e}")
            return None
        except Exception as e:
            return f"{kind}: control: {e!r}\n{story.server.log_text()[-3000:]}"
        finally:
            story.end()
    return f"{kind}: control: {CONTROL_CUTS_MAX} cuts of a relaxed broker lost nothing: cuts do not reach the disk here"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=HERE.parents[1] / "build/release/bin/millrace")
    parser.add_argument("--cuts", type=int, default=100, help="per file system")
    parser.add_argument("--file-system", action="append", choices=["ext4", "xfs"], help="may be repeated; both when it is not given")
    parser.add_argument("--seed", default="1", help="draws the moments of the cuts")
    args = parser.parse_args()
    interop.enter_venv()
    kinds = args.file_system or ["ext4", "xfs"]
    if len(kinds) > 1:  # side by side, each in mounts of its own
        parts = [subprocess.Popen([sys.executable, __file__, "--binary", args.binary, "--cuts", str(args.cuts), "--seed", args.seed,
                                   "--file-system", kind], text=True, stdout=subprocess.PIPE) for kind in kinds]
        for part in parts:
            print(part.communicate()[0], end="", flush=True)
        return max(part.returncode for part in parts)
    say = lambda text: print(text, flush=True)  # noqa: E731
    try:
        own_mounts()
        passed, trouble = cut_often(kinds[0], args.cuts, args.binary.resolve(), args.seed, say)
        not_seen = None if trouble else control(kinds[0], args.binary.resolve(), args.seed, say)
    except CannotCut as e:
        say(f"{kinds[0]}: power cannot be cut here ({e}): nothing was tested")
        return 0
    for words in filter(None, [trouble, not_seen]):
        say(f"FAILED {words}")
    say(f"{passed + (trouble is None and not_seen is None)} passed, {int(trouble is not None) + int(not_seen is not None)} failed")
    return 1 if trouble or not_seen else 0


if __name__ == "__main__":
    sys.exit(main())
