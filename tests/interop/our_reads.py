"""What our consumer reads, and from where: parts of the scenarios in our_consumer.py."""
import time

from checks import CODECS, check, equal, wait_equal
from confluent import producer as confluent_producer
from franz import franz
from lines import OurConsumer, as_java, committed, in_order, numbered, send, sender, T

BEGINNING, END = -2, -1
SEEK, NOT_ASSIGNED = 2, -5  # advice and code of client.h


def by_hand(ctx, server):
    """assign, pause, resume, seek by offset and by time, offsets by time; commits without membership."""
    java = ctx.java
    java.create(server, "hand", partitions=2)
    send(ctx, server, "hand", numbered(20, 2))
    c = OurConsumer(ctx, "hand", server, loop="own", group_id="hand")
    c.ask("assign", "hand", 0, "hand", 1)
    equal("all", c.take(20), as_java(ctx, server, "hand"))
    c.ask("pause", "hand", 0)
    send(ctx, server, "hand", numbered(2, 2, 20))
    equal("while one is paused", c.take_offsets(1), [(1, 10)])
    place = c.ask("place", "hand", 0)
    equal("place of the paused one", (place["position"], place["paused"]), (10, 1))
    c.ask("resume", "hand", 0)
    equal("then", c.take_offsets(1), [(0, 10)])
    c.ask("seek", "hand", 0, 4)
    equal("from 4", c.take_offsets(7), [(0, o) for o in range(4, 11)])
    c.ask("seek", "hand", 1, BEGINNING)
    equal("from the beginning", c.take_offsets(11), [(1, o) for o in range(11)])
    c.ask("seek-time", "hand", 1, T + 45)  # records of partition 1 are at T + 10, 30, 50 ...
    equal("from a time", c.take_offsets(9), [(1, o) for o in range(2, 11)])
    c.ask("seek-time", "hand", 1, T + 1000)
    c.wait_position("hand", 1, 11)
    c.ask("seek", "hand", 0, END)
    c.wait_position("hand", 0, 11)
    send(ctx, server, "hand", numbered(2, 2, 22))
    equal("behind the end", c.take_offsets(2), [(0, 11), (1, 11)])
    equal("offsets", c.ask("offsets", "hand", 0, BEGINNING, "hand", 0, END, "hand", 1, T + 45, "hand", 1, T + 1000)["offsets"],
          [["hand", 0, 0, -1], ["hand", 0, 12, -1], ["hand", 1, 2, T + 50], ["hand", 1, -1, -1]])

    c.ask("commit", "hand", 1, 5)
    equal("committed without a group", committed(ctx, server, "hand"), {"hand-1": 5})
    c.ask("assign", "hand", 1)
    equal("seek of what is not assigned", c.answer("seek", "hand", 0, 0)["code"], NOT_ASSIGNED)
    c.ask("assign")
    c.ask("assign", "hand", 1)
    equal("from the commit", c.take_offsets(7), [(1, o) for o in range(5, 12)])
    c.ask("commit")
    equal("committed what is done", committed(ctx, server, "hand"), {"hand-1": 12})
    c.close()


def resets(ctx, server):
    """auto.offset.reset: earliest, latest, none, by_duration; at the start, and when the start of the log passes a consumer."""
    java = ctx.java
    java.create(server, "resets")
    now = int(time.time() * 1000)
    send(ctx, server, "resets", [{"partition": 0, "value": str(i), "timestamp": now - (7_200_000 if i < 3 else 60_000) + i}
                                 for i in range(6)])
    consumers = {word: OurConsumer(ctx, f"resets-{word.split(':')[0]}", server, auto_offset_reset=word)
                 for word in ["earliest", "latest", "none", "by_duration:PT1H"]}
    earliest, latest, none, by_duration = consumers.values()
    for c in consumers.values():
        c.ask("assign", "resets", 0)
    equal("earliest", earliest.take_offsets(6), [(0, o) for o in range(6)])
    equal("by duration", by_duration.take_offsets(3), [(0, o) for o in range(3, 6)])
    latest.wait_position("resets", 0, 6)
    error = none.error()
    equal("none", (error["of"], error["advice"], error["partitions"]), ("partition", SEEK, [["resets", 0]]))
    none.ask("seek", "resets", 0, 4)
    equal("after its seek", none.take_offsets(2), [(0, 4), (0, 5)])
    send(ctx, server, "resets", numbered(1, 1))
    for word, c in consumers.items():
        equal(f"what comes next with {word}", c.take_offsets(1), [(0, 6)])

    equal("delete", java.admin(server, "deleteRecords", partitions=[["resets", 0, 5]]), {"resets-0": 5})
    for c in consumers.values():
        c.ask("seek", "resets", 0, 2)  # where it would be, had it been slower
    equal("earliest, passed by the start", earliest.take_offsets(2), [(0, 5), (0, 6)])
    equal("by duration, passed by the start", by_duration.take_offsets(2), [(0, 5), (0, 6)])
    latest.wait_position("resets", 0, 7)
    error = none.error(2)
    equal("none, passed by the start", (error["kafka"], error["advice"]), ("OFFSET_OUT_OF_RANGE", SEEK))
    none.ask("seek", "resets", 0, 5)
    equal("none, after its seek", none.take_offsets(2), [(0, 5), (0, 6)])
    earliest.ask("seek", "resets", 0, 100)  # behind the end
    equal("earliest, behind the end", earliest.take_offsets(2), [(0, 5), (0, 6)])
    for c in consumers.values():
        c.close()

    # A group that has committed what is no longer there; and one that is passed while it is paused.
    admin = OurConsumer(ctx, "resets-group", server, group_id="resets")
    java.admin(server, "alterConsumerGroupOffsets", group="resets", offsets=[["resets", 0, 1]])
    admin.ask("subscribe", "resets")
    equal("from the new start", admin.take_offsets(2), [(0, 5), (0, 6)])
    admin.ask("pause", "resets", 0)
    send(ctx, server, "resets", numbered(3, 1))
    equal("delete again", java.admin(server, "deleteRecords", partitions=[["resets", 0, 9]]), {"resets-0": 9})
    admin.ask("seek", "resets", 0, 7)
    admin.ask("resume", "resets", 0)
    equal("what is left", admin.take_offsets(1), [(0, 9)])
    admin.close()


def transactions(ctx, server):
    """read_committed: transactions of two Java producers, interleaved, committed, aborted and open; control batches."""
    java = ctx.java
    java.create(server, "txns", partitions=2)
    for name in "ab":
        sender(ctx, server, f"txns-{name}", transactional_id=f"txns-{name}")
        java("producer.init", name=f"txns-{name}")
    sender(ctx, server, "txns-plain")

    def write(name, *values):
        java.send("txns", [{"partition": p, "value": f"{v} {p}"} for v in values for p in range(2)], name=f"txns-{name}")

    def begin(*names):
        for name in names:
            java.transaction(server, f"txns-{name}")

    def end(name, how):
        java(f"producer.{how}", name=f"txns-{name}")

    committed_one = OurConsumer(ctx, "txns-committed", server, isolation_level="read_committed", group_id="txns")
    all_one = OurConsumer(ctx, "txns-all", server, loop="own")
    committed_one.ask("subscribe", "txns")
    all_one.ask("assign", "txns", 0, "txns", 1)
    begin("a")
    write("a", "good", "good too")
    end("a", "commit")
    begin("a", "b")
    write("a", "bad")
    write("b", "good b")
    write("plain", "plain")
    write("a", "worse")
    end("a", "abort")
    write("b", "good b too")
    end("b", "commit")
    begin("a")
    write("a", "open")
    write("plain", "behind the open one")

    def values(records):
        return [r["value"] for r in records if r["partition"] == 0]

    equal("everything", values(all_one.take(18)), [f"{v} 0" for v in [
        "good", "good too", "bad", "good b", "plain", "worse", "good b too", "open", "behind the open one"]])
    seen = committed_one.take(10)
    equal("committed", values(seen), [f"{v} 0" for v in ["good", "good too", "good b", "plain", "good b too"]])
    equal("as Java sees it", seen, as_java(ctx, server, "txns", isolation="read_committed"))
    end("a", "commit")
    seen += committed_one.take(4)
    equal("all, as Java sees it", in_order(seen), as_java(ctx, server, "txns", isolation="read_committed"))
    begin("b")
    write("b", "last and bad")
    end("b", "abort")
    all_one.take(2)

    def found():
        return {f"txns-{p}": o for _, p, o, _ in all_one.ask("offsets", "txns", 0, END, "txns", 1, END)["offsets"]}
    ends = {f"txns-{p}": 10 + 5 for p in range(2)}  # with the control batches, which Kafka writes after its answer to the producer
    wait_equal("ends behind the last control batch", found, ends)
    for partition, offset in ends.items():
        committed_one.wait_position("txns", partition[-1], offset)
    committed_one.ask("commit")
    equal("committed behind the last control batch", committed(ctx, server, "txns"), ends)
    for c in [committed_one, all_one]:
        c.close()
    for name in ["a", "b", "plain"]:
        java("producer.close", name=f"txns-{name}")


def transactions_of_before(ctx, server):
    """What `transactions` has left, on a server that has its log now."""
    for isolation, count in [("read_committed", 14), ("read_uncommitted", 20)]:
        expected = as_java(ctx, server, "txns", isolation=isolation)
        equal(f"records with {isolation}", len(expected), count)
        c = OurConsumer(ctx, f"txns-before-{isolation}", server, isolation_level=isolation)
        c.ask("assign", "txns", 0, "txns", 1)
        equal(f"with {isolation}", c.take(len(expected)), expected)
        c.close()


def codecs(ctx, server):
    """Batches of every codec, as Java, librdkafka and franz-go make them, small and large."""
    for codec in CODECS:
        ctx.java.create(server, f"as-{codec}", partitions=2)
        records = numbered(60, 2) + [{"partition": 0, "key": "large", "value": f"{codec} " * 30_000}]
        send(ctx, server, f"as-{codec}", records, compression_type=codec, linger_ms=20)
        p = confluent_producer(server, compression_type=codec)
        for i in range(60):
            p.produce(f"as-{codec}", f"{codec} {i}", key=f"k{i}", partition=i % 2, headers=[("codec", codec), ("n", str(i))])
        equal(f"left in librdkafka's queue for {codec}", p.flush(60), 0)
        franz("produce", server.bootstrap, f"as-{codec}", 2, codec, 60)
    c = OurConsumer(ctx, "codecs", server)
    c.ask("assign", *(word for codec in CODECS for p in range(2) for word in (f"as-{codec}", p)))
    got = c.take(181 * len(CODECS))
    for codec in CODECS:
        equal(f"records of {codec}", [r for r in got if r["topic"] == f"as-{codec}"], as_java(ctx, server, f"as-{codec}"))
    c.close()


def sessions(ctx, server):
    """Thirty partitions of which few have something, while some are paused, sought, left out and taken back: with fetch
    sessions that bring only what has changed, each record comes once."""
    java = ctx.java
    java.create(server, "wide", partitions=30)
    name = sender(ctx, server, "wide")
    c = OurConsumer(ctx, "wide", server)
    ends = [0] * 30

    def write(partitions):
        java.send("wide", [{"partition": p, "value": f"{p} {ends[p]}"} for p in partitions], name=name)
        for p in partitions:
            ends[p] += 1
        return [(p, ends[p] - 1) for p in sorted(partitions)]

    def assign(partitions):
        c.ask("assign", *(word for p in partitions for word in ("wide", p)))

    assign(range(30))
    for i in range(8):
        new = write({i, (7 * i + 11) % 30, 29 - i})
        equal(f"round {i}", c.take_offsets(len(new)), new)
    c.ask("pause", "wide", 5)
    new = write([5, 6, 7])[1:]
    equal("beside the paused one", c.take_offsets(2), new)
    assign(range(0, 30, 2))  # 5 goes, with what is not read of it
    new = [at for at in write([8, 9, 20]) if at[0] != 9]
    equal("of those that are left", c.take_offsets(2), new)
    c.ask("seek", "wide", 8, 0)
    equal("sought", c.take_offsets(ends[8]), [(8, o) for o in range(ends[8])])
    assign(range(30))  # those that come back begin anew
    again = [(p, o) for p in range(1, 30, 2) for o in range(ends[p])]
    equal("those that are back", c.take_offsets(len(again)), again)
    new = write(range(30))
    equal("and the last", c.take_offsets(30), new)
    c.close()
    java("producer.close", name=name)
