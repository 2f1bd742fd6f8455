"""Our consumer (c/our_consumer.c on libmillrace) alone, beside what other clients write: the same against our broker and
against real Kafka, with the same results.

A part is a function of (ctx, server); it names its topics and groups after itself, so parts may share a server."""
from checks import check, equal, wait_equal, wait_for
from java_groups import RANGE
from lines import T, OurConsumer, as_java, committed, numbered, send
from operations import scrape
from our_reads import by_hand, codecs, resets, sessions, transactions, transactions_of_before
from scenario import Skip, scenario
from server import KEEPS, KafkaServer, MillraceServer

CLOSE = 5  # an advice of client.h
# On Kafka most consumers find no room for a fetch session; the others have one. Its JVM may stand still without being fenced, after
# which leader epochs would be others.
SETTINGS = KEEPS | {"max.incremental.fetch.session.cache.slots": 2, "broker.session.timeout.ms": 10_000}


def commits(ctx, server):
    """A group from the beginning; what is done is committed and nothing else; the next member goes on there."""
    ctx.java.create(server, "kept", partitions=3)
    send(ctx, server, "kept", [
        {"partition": i % 3, "key": f"key {i}" if i % 4 else None, "value": f"välue \"{i}\"" if i % 5 else None,
         "timestamp": T + i, "headers": [["n", str(i)], ["null", None], ["empty", ""]][:i % 4]} for i in range(30)])
    one = OurConsumer(ctx, "kept-one", server, group_id="kept")
    one.ask("subscribe", "kept")
    equal("what is read", one.take(30), as_java(ctx, server, "kept"))
    one.ask("commit")
    equal("committed", ctx.java.admin(server, "listConsumerGroupOffsets", groups=["kept"])["kept"],
          {f"kept-{p}": [10, "", 0] for p in range(3)})
    for done in ["all", "none"]:
        one.ask("done", done)
        send(ctx, server, "kept", numbered(3, 3))
        one.take(3)
    one.ask("commit")
    one.close()
    equal("committed, with the last ones not done", committed(ctx, server, "kept"), {f"kept-{p}": 11 for p in range(3)})

    two = OurConsumer(ctx, "kept-two", server, group_id="kept", enable_auto_commit="true", auto_commit_interval_ms=60_000)
    two.ask("subscribe", "kept")
    equal("those that were not done", two.take_offsets(3), [(p, 11) for p in range(3)])
    two.close()
    equal("committed by the close", committed(ctx, server, "kept"), {f"kept-{p}": 12 for p in range(3)})

    three = OurConsumer(ctx, "kept-three", server, group_id="kept", loop="own")
    three.ask("subscribe", "kept")
    three.wait_owned([("kept", p) for p in range(3)])
    equal("what it finds committed", three.ask("committed", "kept", 0, "kept", 2)["offsets"],
          [["kept", 0, 12, 0], ["kept", 2, 12, 0]])
    send(ctx, server, "kept", numbered(3, 3))
    equal("what is new", three.take_offsets(3), [(p, 12) for p in range(3)])
    three.ask("commit", "kept", 1, 4)
    three.ask("unsubscribe")
    three.wait_owned([])
    wait_equal("what it has committed", lambda: committed(ctx, server, "kept"), {"kept-0": 12, "kept-1": 4, "kept-2": 12})
    three.close()


def static_members(ctx, server):
    """group.instance.id: it is killed and comes back within its session, and Java beside it notices nothing. Another one
    of its name fences it."""
    java = ctx.java
    java.create(server, "fixed", partitions=4)
    ours = {"group_id": "fixed", "session_timeout_ms": 60_000, "group_instance_id": "ours",
            "partition_assignment_strategy": "range"}
    everything = {("fixed", p) for p in range(4)}

    def javas():
        return {tuple(p) for p in java("consumer.assignment", name="fixed-java")}

    def instances():
        return {m["instance"]: m["assignment"] for m in
                java.admin(server, "describeClassicGroups", groups=["fixed"])["fixed"]["members"]}

    one = OurConsumer(ctx, "fixed-one", server, **ours)
    one.ask("subscribe", "fixed")
    one.wait_owned(everything)
    java.consumer(server, "fixed-java", topics=["fixed"], group_id="fixed", group_instance_id="java", session_timeout_ms=60_000,
                  partition_assignment_strategy=RANGE)
    one.wait("half is Java's", lambda: len(one.owned()) == 2)
    wait_equal("Java's half", javas, everything - one.owned())
    mine, before = one.owned(), java("consumer.groupMetadata", name="fixed-java")
    java("consumer.events", name="fixed-java")
    one.kill()
    two = OurConsumer(ctx, "fixed-two", server, **ours)
    two.ask("subscribe", "fixed")
    two.wait_owned(mine)
    send(ctx, server, "fixed", numbered(4, 4))
    equal("records of its partitions", {("fixed", r["partition"]) for r in two.take(2)}, mine)
    two.close()  # which does not leave
    equal("members after the close", set(instances()), {"ours", "java"})
    three = OurConsumer(ctx, "fixed-three", server, **ours)
    three.ask("subscribe", "fixed")
    three.wait_owned(mine)
    equal("nothing was committed", three.take_offsets(2), sorted((p, 0) for _, p in mine))
    equal("what Java has noticed", java("consumer.events", name="fixed-java"), [])
    equal("Java's generation", java("consumer.groupMetadata", name="fixed-java"), before)

    usurper = OurConsumer(ctx, "fixed-usurper", server, **ours)
    usurper.ask("subscribe", "fixed")
    usurper.wait_owned(mine)
    fenced = three.error()
    equal("the fenced one", (fenced["of"], fenced["kafka"], fenced["advice"]), ("group", "FENCED_INSTANCE_ID", CLOSE))
    equal("what it has yet", three.owned(), set())
    three.close()
    usurper.take(2)
    usurper.close()
    java("consumer.close", name="fixed-java")


def made_again(ctx, server):
    """A topic that is deleted and made again while a group reads it, twice: the new one is read from its beginning."""
    java = ctx.java
    c = OurConsumer(ctx, "again", server, group_id="again", enable_auto_commit="true", auto_commit_interval_ms=100)
    ids = set()
    for partitions, count in [(2, 10), (3, 6), (1, 5)]:
        ids.add(java.create(server, "again", partitions=partitions))
        send(ctx, server, "again", numbered(count, partitions))
        if len(ids) == 1:
            c.ask("subscribe", "again")
        equal(f"the topic with {partitions} partitions", c.take(count), as_java(ctx, server, "again"))
        c.wait_owned([("again", p) for p in range(partitions)])
        wait_equal("commits", lambda: committed(ctx, server, "again"),
                   {f"again-{p}": len(range(p, count, partitions)) for p in range(partitions)})
        equal("delete", java.admin(server, "deleteTopics", names=["again"]), {"again": None})
    equal("topics of one name", len(ids), 3)
    c.close()


def pattern(ctx, server):
    """A subscription by pattern: a topic that comes, one that grows, one that goes, and others that do not fit."""
    java = ctx.java
    for name in ["fits-a", "other"]:
        java.create(server, name, partitions=2)
    c = OurConsumer(ctx, "pattern", server, group_id="pattern", partition_assignment_strategy="cooperative-sticky")
    c.ask("match", "fits-")
    c.wait_owned([("fits-a", 0), ("fits-a", 1)])
    java.create(server, "fits-b", partitions=2)
    send(ctx, server, "fits-b", numbered(2, 2))
    send(ctx, server, "other", numbered(2, 2))
    equal("of the one that came", {r["topic"] for r in c.take(2)}, {"fits-b"})
    java.admin(server, "createPartitions", topics={"fits-a": {"count": 3}})
    c.wait_owned([("fits-a", 0), ("fits-a", 1), ("fits-a", 2), ("fits-b", 0), ("fits-b", 1)])
    send(ctx, server, "fits-a", numbered(3, 3))
    equal("of the one that grew", c.take_offsets(3), [(p, 0) for p in range(3)])
    java.admin(server, "deleteTopics", names=["fits-a"])
    c.wait_owned([("fits-b", 0), ("fits-b", 1)])
    equal("cooperative: nothing that stays is given up", {tuple(p) for line in c.said("revoked") for p in line["revoked"]} &
          {("fits-b", 0), ("fits-b", 1)}, set())
    c.close()


def outlives_the_server(ctx, server):
    """kill -9 of the server under a group: its member goes on where it was, and its commits are there."""
    ctx.java.create(server, "outlives", partitions=2)
    send(ctx, server, "outlives", numbered(10, 2))
    c = OurConsumer(ctx, "outlives", server, group_id="outlives", session_timeout_ms=120_000)
    c.ask("subscribe", "outlives")
    c.take(10)
    c.ask("commit")
    server.kill_restart()
    send(ctx, server, "outlives", numbered(4, 2, 10))
    equal("what is new", c.take_offsets(4), [(p, o) for p in range(2) for o in [5, 6]])
    c.ask("commit")
    equal("committed", committed(ctx, server, "outlives"), {"outlives-0": 7, "outlives-1": 7})
    c.close()


GROUPS = [commits, static_members, made_again, pattern, outlives_the_server]
READING = [by_hand, resets, codecs, sessions]


def play(ctx, parts, **more):
    server = ctx.server(SETTINGS, **more)
    for part in parts:
        try:
            part(ctx, server)
        except Exception as e:
            raise AssertionError(f"{part.__name__}: {type(e).__name__}: {e}") from e
    return server


@scenario
def groups(ctx):
    """Commits, static members, patterns, a topic made again, a server that is killed."""
    play(ctx, GROUPS)


@scenario
def reading(ctx):
    """By hand; where it begins; codecs; fetch sessions."""
    play(ctx, READING)


def bytes_out(node, topic):
    """What this node has sent to consumers."""
    return scrape(node.metrics_port).get(f'kafka_server_brokertopicmetrics_bytesout_total{{topic="{topic}"}}', 0)


@scenario
def nearest_replica(ctx):
    """client.rack: it reads from the follower in its rack (KIP-392), from the leader as soon as that is dead, and from the
    follower again when it is back; each record comes once, in order."""
    if ctx.is_kafka:
        raise Skip("which node sends what is seen in our metrics")
    # A node that stands still for a moment goes on leading, and following: what each has sent is compared.
    cluster = ctx.cluster(["broker,controller"] * 3, KEEPS | {
        "broker.session.timeout.ms": 60_000, "millrace.broker.silence.ms": 0,
        "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector", "broker.rack": "rack-{node_id}",
        "millrace.metrics.listener": "127.0.0.1:{metrics_port}", "offsets.topic.replication.factor": 3})
    leader, near, far = cluster.nodes
    ctx.java.create(cluster, "near", replicas=[[1, 2, 3]])

    def in_sync():
        topic = ctx.java.admin(cluster, "describeTopics", names=["near"])["near"]
        return sorted(topic["partitions"][0]["isr"]) if "partitions" in topic else topic
    wait_equal("in sync", in_sync, [1, 2, 3])
    send(ctx, cluster, "near", numbered(50, 1))
    c = OurConsumer(ctx, "near", cluster, client_rack="rack-2")
    c.ask("assign", "near", 0)
    equal("all", c.take(50), as_java(ctx, cluster, "near"))
    read_by_java = bytes_out(leader, "near")  # Java says no rack
    check("Java read from the leader", read_by_java > 0)
    for i in range(10):
        send(ctx, cluster, "near", numbered(5, 1, 50 + 5 * i))
        equal("what is new", c.take_offsets(5), [(0, 50 + 5 * i + o) for o in range(5)])
    equal("from the leader, and from the other follower", (bytes_out(leader, "near"), bytes_out(far, "near")), (read_by_java, 0))
    check("from the near one", bytes_out(near, "near") > 0)

    near.kill()
    send(ctx, cluster, "near", numbered(50, 1, 100))
    equal("while it is dead", c.take_offsets(50), [(0, o) for o in range(100, 150)])
    check("from the leader", bytes_out(leader, "near") > read_by_java)
    near.start()
    wait_equal("in sync", in_sync, [1, 2, 3], timeout_s=60)
    sent = 150

    def is_near_again():
        nonlocal sent
        send(ctx, cluster, "near", numbered(1, 1, sent))
        equal("one more", c.take_offsets(1), [(0, sent)])
        sent += 1
        return bytes_out(near, "near") > 0
    wait_for("the near one is asked again", is_near_again, timeout_s=60)
    c.ask("seek", "near", 0, 0)
    equal("all once more", c.take(sent), as_java(ctx, cluster, "near"))
    c.close()


@scenario
def on_kafka(ctx):
    """All of that on real Kafka, of which it is a client as much; and transactions, which then lie in our log."""
    if ctx.is_kafka:
        raise Skip("the others are on Kafka already")
    server = play(ctx, [*READING, transactions, *GROUPS], server_class=KafkaServer)
    server.stop()
    transactions_of_before(ctx, ctx.hand_over(server, MillraceServer))
