"""kill -9, again and again, while clients of three kinds write with acks=all: nothing acknowledged is lost, nothing
is there twice, and each producer's records are in the order in which it sent them."""
from checks import check, equal, loop_is_in_the_log, offsets_contiguous, wait_for
from confluent import Loop
from confluent import read as confluent_read
from franz import Process
from franz import read as franz_read
from scenario import scenario

PARTITIONS = 3
KILLS = 6
ACKED_BETWEEN_KILLS = 300  # from each producer, so that every kill hits three busy ones


@scenario
def three_producers(ctx):
    """Java, librdkafka and franz-go, idempotent, through six kill -9; what each was told is what the log holds."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "stream", partitions=PARTITIONS)

    java.producer(server, "java", delivery_timeout_ms=100_000, request_timeout_ms=5000, linger_ms=2, compression_type="snappy")
    java("producer.loop", name="java", topic="stream", partitions=PARTITIONS, prefix="java")
    rdkafka = Loop(server, "stream", PARTITIONS, "rdkafka")
    franz = Process(ctx, "franz", "loop", server.bootstrap, "stream", PARTITIONS, "franz")
    try:
        acked = {"java": lambda: java("producer.acked", name="java"), "rdkafka": rdkafka.acked_count,
                 "franz": lambda: max((line.get("count", 0) for line in franz.lines()), default=0)}
        for kill in range(KILLS):
            enough = {name: count() + ACKED_BETWEEN_KILLS for name, count in acked.items()}
            for name, count in acked.items():
                wait_for(f"acknowledgements for {name} before kill {kill + 1}", lambda: count() >= enough[name], timeout_s=60)
            server.kill_restart()
    finally:
        rdkafka_outcome = rdkafka.stop()
    outcomes = {"java": java("producer.stop", name="java"), "rdkafka": rdkafka_outcome, "franz": franz.stop()[-1]}

    for last in [None, server.kill_restart, server.restart]:
        if last:
            last()
        records = java.read(server, "stream")
        offsets_contiguous("stream", records)
        equal("records in the log", len(records), sum(sum(o["sent"].values()) for o in outcomes.values()))
        for name, outcome in outcomes.items():
            loop_is_in_the_log(name, outcome, name, records)
    slim = [(r["partition"], r["offset"], r["value"]) for r in records]
    for name, read in [("librdkafka", confluent_read), ("franz-go", franz_read)]:
        equal(f"as {name} reads it", [(r["partition"], r["offset"], r["value"]) for r in read(server, "stream", PARTITIONS)], slim)


@scenario
def not_idempotent(ctx):
    """Without idempotence a record may come twice, but none that was acknowledged may be missing or moved."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "stream", partitions=2)
    for name, acks in [("one", "1"), ("all", "all")]:
        java.producer(server, name, acks=acks, enable_idempotence="false", delivery_timeout_ms=100_000, request_timeout_ms=5000)
        java("producer.loop", name=name, topic="stream", partitions=2, prefix=name)
    for _ in range(4):
        for name in ["one", "all"]:
            enough = java("producer.acked", name=name) + 300
            wait_for(f"acknowledgements of {name}", lambda: java("producer.acked", name=name) >= enough, timeout_s=60)
        server.kill_restart()
    outcomes = {name: java("producer.stop", name=name) for name in ["one", "all"]}
    server.kill_restart()
    records = java.read(server, "stream")
    offsets_contiguous("stream", records)
    at = {(r["partition"], r["offset"]): r["value"] for r in records}
    for name, outcome in outcomes.items():
        equal(f"errors of {name}", outcome["errors"], [])
        for partition, acked in outcome["acked"].items():
            check(f"{name} got acknowledgements", len(acked) >= 300)
            wrong = [(n, o, at.get((int(partition), o))) for n, o in acked if at.get((int(partition), o)) != f"{name}-{partition}-{n}"]
            equal(f"acknowledged by {name} in partition {partition} and not where it was said", wrong, [])


@scenario
def groups_and_topics(ctx):
    """What the metadata log and the coordinator acknowledged survives a kill right after the answer."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "committed", partitions=2)
    ids = {}
    for i in range(6):
        ids[f"t{i}"] = java.create(server, f"t{i}", partitions=i + 1, retention_ms=1000 + i)
        java.admin(server, "alterConsumerGroupOffsets", group=f"g{i}", offsets=[["committed", 0, i, f"round {i}"]])
        java.admin(server, "alterConsumerGroupOffsets", group="same", offsets=[["committed", 1, i]])
        if i % 2:
            equal(f"delete t{i - 1}", java.admin(server, "deleteTopics", names=[f"t{i - 1}"]), {f"t{i - 1}": None})
            del ids[f"t{i - 1}"]
        server.kill_restart()
        listed = java.admin(server, "listTopics")
        equal(f"topics after kill {i + 1}", {k: v for k, v in listed.items() if k != "committed"}, ids)
        described = java.admin(server, "describeConfigs", resources=[["TOPIC", t] for t in ids])
        equal(f"settings after kill {i + 1}", {t: c["retention.ms"]["value"] for t, c in described.items()},
              {t: str(1000 + int(t[1:])) for t in ids})
        groups = [f"g{j}" for j in range(i + 1)]
        offsets = java.admin(server, "listConsumerGroupOffsets", groups=[*groups, "same"])
        equal(f"offsets after kill {i + 1}", offsets, {f"g{j}": {"committed-0": [j, f"round {j}", None]} for j in range(i + 1)}
              | {"same": {"committed-1": [i, "", None]}})
