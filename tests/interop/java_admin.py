"""Kafka's Admin client: topics, settings, offsets, groups, the cluster.  What is expected is what Kafka 4.3.1 answers."""
import time

from checks import check, equal, wait_equal, wait_for
from scenario import scenario
from server import CLUSTER_ID


def errors(outcomes):
    """What went wrong per item: the exception's name, or None where it went well."""
    return {item: (outcome or {}).get("error") for item, outcome in outcomes.items()}


def topic_settings(ctx, server, topic, synonyms=True):
    return ctx.java.admin(server, "describeConfigs", resources=[["TOPIC", topic]], synonyms=synonyms)[topic]


def overrides(settings):
    return {k: v["value"] for k, v in settings.items() if v["source"] == "DYNAMIC_TOPIC_CONFIG"}


def partitions_of(described):
    return [(p["partition"], p["leader"], p["replicas"], p["isr"]) for p in described["partitions"]]


@scenario
def create_topics(ctx):
    """Topics with partitions, settings, assignments and defaults; they are there after kill -9 as they were made."""
    server = ctx.server({"num.partitions": 3, "log.retention.hours": 100})
    made = ctx.java.admin(server, "createTopics", topics=[
        {"name": "plain", "partitions": 2, "replicationFactor": 1},
        {"name": "defaults"},
        {"name": "placed", "assignments": {"0": [1], "1": [1]}},
        {"name": "configured", "partitions": 1, "configs": {"retention.ms": "1000", "cleanup.policy": "compact,delete"}},
    ])
    equal("partitions", {name: (t["partitions"], t["replicationFactor"]) for name, t in made.items()},
          {"plain": (2, 1), "defaults": (3, 1), "placed": (2, 1), "configured": (1, 1)})
    equal("overrides", overrides(made["configured"]["configs"]), {"retention.ms": "1000", "cleanup.policy": "compact,delete"})
    retention = made["plain"]["configs"]["retention.ms"]
    equal("retention from the server's hours", (retention["value"], retention["source"]), ("360000000", "STATIC_BROKER_CONFIG"))
    check("all settings of 4.3 are told", len(made["plain"]["configs"]) >= 33, str(len(made["plain"]["configs"])))
    equal("four ids", len({t["id"] for t in made.values()}), 4)

    def compare(when):
        listed = ctx.java.admin(server, "listTopics")
        equal(f"topics {when}", listed, {name: t["id"] for name, t in made.items()})
        described = ctx.java.admin(server, "describeTopics", names=list(made))
        for name, topic in made.items():
            equal(f"{name} {when}", (described[name]["id"], described[name]["internal"], partitions_of(described[name])),
                  (topic["id"], False, [(p, 1, [1], [1]) for p in range(topic["partitions"])]))
        by_id = ctx.java.admin(server, "describeTopics", ids=[t["id"] for t in made.values()])
        equal(f"names by id {when}", {i: t["name"] for i, t in by_id.items()}, {t["id"]: name for name, t in made.items()})
        equal(f"overrides {when}", overrides(topic_settings(ctx, server, "configured")),
              {"retention.ms": "1000", "cleanup.policy": "compact,delete"})

    compare("at once")
    server.kill_restart()
    compare("after kill -9")
    server.restart()
    compare("after a restart")


@scenario
def create_topics_refused(ctx):
    """Each wrong topic has its own error, and none of them comes to be; validateOnly makes nothing either."""
    server = ctx.server()
    ctx.java.create(server, "there")
    ctx.java.create(server, "dotted.name")
    wrong = [
        ({"name": "there"}, "TopicExistsException"),
        ({"name": "a space"}, "InvalidTopicException"),
        ({"name": ".."}, "InvalidTopicException"),
        ({"name": "."}, "InvalidTopicException"),
        ({"name": "x" * 250}, "InvalidTopicException"),
        ({"name": "dotted_name"}, "InvalidTopicException"),
        ({"name": "no-partitions", "partitions": 0}, "InvalidPartitionsException"),
        ({"name": "minus-partitions", "partitions": -5}, "InvalidPartitionsException"),
        ({"name": "two-replicas", "replicationFactor": 2}, "InvalidReplicationFactorException"),
        ({"name": "no-replicas", "replicationFactor": 0}, "InvalidReplicationFactorException"),
        ({"name": "no-number", "configs": {"retention.ms": "abc"}}, "InvalidConfigurationException"),
        ({"name": "unknown-config", "configs": {"no.such.config": "1"}}, "InvalidConfigurationException"),
        ({"name": "too-small", "configs": {"segment.bytes": "1"}}, "InvalidConfigurationException"),
        ({"name": "no-policy", "configs": {"cleanup.policy": "nonsense"}}, "InvalidConfigurationException"),
        ({"name": "no-isr", "configs": {"min.insync.replicas": "0"}}, "InvalidConfigurationException"),
        ({"name": "no-broker", "assignments": {"0": [9]}}, "InvalidReplicaAssignmentException"),
        ({"name": "a-gap", "assignments": {"0": [1], "2": [1]}}, "InvalidReplicaAssignmentException"),
        ({"name": "twice", "assignments": {"0": [1, 1]}}, "InvalidReplicaAssignmentException"),
        ({"name": "nowhere", "assignments": {"0": [1], "1": []}}, "InvalidReplicaAssignmentException"),
    ]
    expected = {topic["name"]: error for topic, error in wrong}
    topics = [topic for topic, _ in wrong] + [{"name": "fine", "partitions": 1}]
    for validate_only in [True, False]:
        outcome = ctx.java.admin(server, "createTopics", topics=topics, validateOnly=validate_only)
        equal(f"errors, validateOnly={validate_only}", errors(outcome), expected | {"fine": None})
        equal(f"topics, validateOnly={validate_only}", set(ctx.java.admin(server, "listTopics")),
              {"there", "dotted.name"} | (set() if validate_only else {"fine"}))
    for topic, error in wrong:  # alone, so that none hides behind another
        equal(f"{topic['name']} alone", errors(ctx.java.admin(server, "createTopics", topics=[topic])), {topic["name"]: error})


@scenario
def delete_topics(ctx):
    """By name and by id; the records are gone, a new topic of the same name is another one; also after kill -9."""
    server = ctx.server({"auto.create.topics.enable": "false"})
    java = ctx.java
    ids = {name: java.create(server, name) for name in ["by-name", "by-id", "stays"]}
    java.producer(server)
    for name in ids:
        java.send(name, [{"value": f"old {name}"}])
    equal("by name", java.admin(server, "deleteTopics", names=["by-name"]), {"by-name": None})
    equal("by id", java.admin(server, "deleteTopics", ids=[ids["by-id"]]), {ids["by-id"]: None})
    equal("what is not there", errors(java.admin(server, "deleteTopics", names=["missing", "by-name"])),
          {"missing": "UnknownTopicOrPartitionException", "by-name": "UnknownTopicOrPartitionException"})
    equal("ids that are not there", errors(java.admin(server, "deleteTopics", ids=[ids["by-id"]])),
          {ids["by-id"]: "UnknownTopicIdException"})
    server.kill_restart()
    equal("topics after kill -9", java.admin(server, "listTopics"), {"stays": ids["stays"]})
    equal("described", errors(java.admin(server, "describeTopics", names=["by-name"])),
          {"by-name": "UnknownTopicOrPartitionException"})
    check("a new id", java.create(server, "by-name") != ids["by-name"])
    java.producer(server, "new")
    java.send("by-name", [{"value": "new"}], name="new")
    for restart in [server.kill_restart, server.restart]:
        restart()
        equal("records of the new topic", [(r["offset"], r["value"]) for r in java.read(server, "by-name")], [(0, "new")])
        equal("records of the other", [r["value"] for r in java.read(server, "stays")], ["old stays"])


@scenario
def create_partitions(ctx):
    """A topic grows, with and without assignments; wrong wishes have their errors; old records stay where they are."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "grow")
    java.producer(server)
    java.send("grow", [{"value": "old"}])

    def grow(wish, **options):
        return errors(java.admin(server, "createPartitions", topics={"grow": wish}, **options))["grow"]

    def count():
        return len(java.admin(server, "describeTopics", names=["grow"])["grow"]["partitions"])

    equal("as many as there are", grow({"count": 1}), "InvalidPartitionsException")
    equal("a broker that is not there", grow({"count": 2, "assignments": [[9]]}), "InvalidReplicaAssignmentException")
    equal("too few assignments", grow({"count": 3, "assignments": [[1]]}), "InvalidReplicaAssignmentException")
    equal("a topic that is not there", errors(java.admin(server, "createPartitions", topics={"missing": {"count": 2}})),
          {"missing": "UnknownTopicOrPartitionException"})
    equal("only validated", grow({"count": 5}, validateOnly=True), None)
    equal("partitions", count(), 1)
    equal("assigned", grow({"count": 3, "assignments": [[1], [1]]}), None)
    equal("counted", grow({"count": 4}), None)
    equal("fewer", grow({"count": 2}), "InvalidPartitionsException")
    server.kill_restart()
    equal("partitions after kill -9", count(), 4)
    java.producer(server, "new")
    equal("offsets", [s["offset"] for s in java.send("grow", [{"partition": p, "value": f"to {p}"} for p in range(4)], name="new")],
          [1, 0, 0, 0])
    server.restart()
    equal("records", [r["value"] for r in java.read(server, "grow")], ["old", "to 0", "to 1", "to 2", "to 3"])


@scenario
def many_partitions(ctx):
    """A topic of 120 partitions over both log directories: described, written, read, after kill -9."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "wide", partitions=120)
    described = java.admin(server, "describeTopics", names=["wide"])["wide"]
    equal("partitions", partitions_of(described), [(p, 1, [1], [1]) for p in range(120)])
    java.producer(server)
    java.send("wide", [{"partition": p, "value": str(p)} for p in range(120)])
    server.kill_restart()
    equal("records", [(r["partition"], r["offset"], r["value"]) for r in java.read(server, "wide")],
          [(p, 0, str(p)) for p in range(120)])
    in_directory = [len(list(d.glob("wide-*"))) for d in server.log_dirs]
    equal("partitions on disk", sum(in_directory), 120)
    check("both directories are used alike", min(in_directory) >= 50, str(in_directory))


@scenario
def topic_settings_described(ctx):
    """Values, sources, types and synonyms of a topic's settings."""
    server = ctx.server({"log.segment.bytes": 2097152})
    ctx.java.create(server, "set", cleanup_policy="compact,delete", retention_ms=1000)
    settings = topic_settings(ctx, server, "set")
    check("all settings of 4.3 are told", len(settings) >= 33, str(len(settings)))

    def expect(name, value, source, kind, synonyms):
        equal(name, settings[name], {"value": value, "source": source, "type": kind, "readOnly": False, "sensitive": False,
                                     "synonyms": synonyms})

    expect("cleanup.policy", "compact,delete", "DYNAMIC_TOPIC_CONFIG", "LIST",
           [["cleanup.policy", "compact,delete", "DYNAMIC_TOPIC_CONFIG"], ["log.cleanup.policy", "delete", "DEFAULT_CONFIG"]])
    expect("retention.ms", "1000", "DYNAMIC_TOPIC_CONFIG", "LONG", [["retention.ms", "1000", "DYNAMIC_TOPIC_CONFIG"]])
    expect("segment.bytes", "2097152", "STATIC_BROKER_CONFIG", "INT",
           [["log.segment.bytes", "2097152", "STATIC_BROKER_CONFIG"], ["log.segment.bytes", "1073741824", "DEFAULT_CONFIG"]])
    expect("compression.type", "producer", "DEFAULT_CONFIG", "STRING", [["compression.type", "producer", "DEFAULT_CONFIG"]])
    expect("flush.messages", "9223372036854775807", "DEFAULT_CONFIG", "LONG",
           [["log.flush.interval.messages", "9223372036854775807", "DEFAULT_CONFIG"]])
    expect("min.insync.replicas", "1", "DYNAMIC_DEFAULT_BROKER_CONFIG", "INT",
           [["min.insync.replicas", "1", "DYNAMIC_DEFAULT_BROKER_CONFIG"], ["min.insync.replicas", "1", "DEFAULT_CONFIG"]])
    expect("preallocate", "false", "DEFAULT_CONFIG", "BOOLEAN", [["log.preallocate", "false", "DEFAULT_CONFIG"]])
    expect("min.cleanable.dirty.ratio", "0.5", "DEFAULT_CONFIG", "DOUBLE",
           [["log.cleaner.min.cleanable.ratio", "0.5", "DEFAULT_CONFIG"]])
    equal("without synonyms", topic_settings(ctx, server, "set", synonyms=False)["retention.ms"]["synonyms"], [])
    documented = ctx.java.admin(server, "describeConfigs", resources=[["TOPIC", "set"]], documentation=True)["set"]
    check("every setting is documented", all(s["documentation"] for s in documented.values()))
    equal("a topic that is not there", errors(ctx.java.admin(server, "describeConfigs", resources=[["TOPIC", "missing"]])),
          {"missing": "UnknownTopicOrPartitionException"})


@scenario
def alter_topic_settings(ctx):
    """SET, DELETE, APPEND, SUBTRACT; wrong ones are refused whole; settings act and survive kill -9."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "set", cleanup_policy="compact,delete", retention_ms=1000)
    resource = ["TOPIC", "set"]

    def alter(*ops, **options):
        java.admin(server, "incrementalAlterConfigs", resource=resource, ops=ops, **options)

    def expect(expected):
        wait_equal("overrides", lambda: overrides(topic_settings(ctx, server, "set")), expected)

    def refused(error, *ops, resource=resource):
        java.fails(error, "admin.incrementalAlterConfigs", bootstrap=server.bootstrap, resource=resource, ops=ops)

    alter(["SET", "retention.ms", "5"], ["DELETE", "cleanup.policy"])
    expect({"retention.ms": "5"})
    alter(["APPEND", "cleanup.policy", "compact"])
    expect({"retention.ms": "5", "cleanup.policy": "delete,compact"})
    alter(["SUBTRACT", "cleanup.policy", "delete"])
    expect({"retention.ms": "5", "cleanup.policy": "compact"})
    alter(["SET", "retention.ms", "77"], validateOnly=True)
    alter(["DELETE", "never.heard.of"])
    refused("InvalidConfigurationException", ["APPEND", "retention.ms", "6"])
    refused("InvalidConfigurationException", ["SET", "never.heard.of", "6"])
    refused("InvalidConfigurationException", ["SET", "retention.ms", "many"])
    refused("InvalidConfigurationException", ["SET", "segment.bytes", "100"])
    refused("InvalidConfigurationException", ["APPEND", "cleanup.policy", "nonsense"])
    refused("InvalidConfigurationException", ["SET", "retention.bytes", "1000"], ["SET", "retention.ms", "many"])
    refused("UnknownTopicOrPartitionException", ["SET", "retention.ms", "6"], resource=["TOPIC", "missing"])
    server.kill_restart()
    expect({"retention.ms": "5", "cleanup.policy": "compact"})

    # It acts: a compacted topic takes no null key; after the change it does.
    java.producer(server)
    equal("null key, compacted", java.send("set", [{"value": "x"}])[0].get("error"), "InvalidRecordException")
    alter(["DELETE", "cleanup.policy"], ["SET", "retention.ms", "-1"], ["SET", "max.message.bytes", "1500"])
    expect({"retention.ms": "-1", "max.message.bytes": "1500"})
    wait_equal("null key, not compacted", lambda: java.send("set", [{"value": "x"}])[0].get("error"), None)
    equal("too large", java.send("set", [{"value": "x" * 2000}])[0].get("error"), "RecordTooLargeException")
    server.restart()
    expect({"retention.ms": "-1", "max.message.bytes": "1500"})
    equal("too large after a restart", java.send("set", [{"value": "x" * 2000}])[0].get("error"), "RecordTooLargeException")


@scenario
def broker_settings(ctx):
    """A broker's settings: static and default ones; dynamic ones for all brokers and for one, and what topics see of them."""
    server = ctx.server({"log.retention.hours": 100})
    java = ctx.java
    java.create(server, "topic")

    def broker():
        return java.admin(server, "describeConfigs", resources=[["BROKER", "1"]], synonyms=True)["1"]

    def expect(settings, name, value, source, read_only, synonyms):
        s = settings[name]
        equal(name, (s["value"], s["source"], s["readOnly"], s["synonyms"]), (value, source, read_only, synonyms))

    settings = broker()
    expect(settings, "node.id", "1", "STATIC_BROKER_CONFIG", True, [["node.id", "1", "STATIC_BROKER_CONFIG"]])
    expect(settings, "log.retention.hours", "100", "STATIC_BROKER_CONFIG", True,
           [["log.retention.hours", "100", "STATIC_BROKER_CONFIG"], ["log.retention.hours", "168", "DEFAULT_CONFIG"]])
    expect(settings, "num.partitions", "1", "DEFAULT_CONFIG", True, [["num.partitions", "1", "DEFAULT_CONFIG"]])
    expect(settings, "message.max.bytes", "1048588", "DEFAULT_CONFIG", False, [["message.max.bytes", "1048588", "DEFAULT_CONFIG"]])
    password = settings["ssl.keystore.password"]
    equal("a password", (password["value"], password["sensitive"], password["type"]), (None, True, "PASSWORD"))

    def alter(broker_name, *ops):
        java.admin(server, "incrementalAlterConfigs", resource=["BROKER", broker_name], ops=ops)

    alter("", ["SET", "message.max.bytes", "2000000"])
    alter("1", ["SET", "message.max.bytes", "3000000"])
    synonyms = [["message.max.bytes", "3000000", "DYNAMIC_BROKER_CONFIG"],
                ["message.max.bytes", "2000000", "DYNAMIC_DEFAULT_BROKER_CONFIG"],
                ["message.max.bytes", "1048588", "DEFAULT_CONFIG"]]

    def max_bytes():
        setting = topic_settings(ctx, server, "topic")["max.message.bytes"]
        return setting["value"], setting["source"], setting["synonyms"]

    wait_equal("as the topic sees it", max_bytes, ("3000000", "DYNAMIC_BROKER_CONFIG", synonyms))
    java.producer(server, max_request_size=4_000_000)
    equal("a large record", java.send("topic", [{"value": "x" * 2_500_000}])[0].get("error"), None)
    server.kill_restart()
    expect(broker(), "message.max.bytes", "3000000", "DYNAMIC_BROKER_CONFIG", False, synonyms)
    equal("for all brokers", java.admin(server, "describeConfigs", resources=[["BROKER", ""]])[""]["message.max.bytes"]["value"],
          "2000000")
    alter("1", ["DELETE", "message.max.bytes"])
    wait_equal("without the broker's own", max_bytes, ("2000000", "DYNAMIC_DEFAULT_BROKER_CONFIG", synonyms[1:]))
    equal("a large record now", java.send("topic", [{"value": "x" * 2_500_000}])[0].get("error"), "RecordTooLargeException")

    for name, ops in [("1", [["SET", "node.id", "3"]]), ("", [["SET", "log.retention.ms", "many"]])]:
        java.fails("InvalidRequestException", "admin.incrementalAlterConfigs", bootstrap=server.bootstrap,
                   resource=["BROKER", name], ops=ops)


@scenario
def settings_refused(ctx):
    """What is wrong with a setting is said in Kafka's words: scripts look for them."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "t")

    def refused(error, resource, *ops):
        return java.fails(error, "admin.incrementalAlterConfigs", bootstrap=server.bootstrap, resource=resource, ops=ops)

    topic, group = ["TOPIC", "t"], ["GROUP", "g"]
    for resource, name, value, words in [
        (topic, "retention.ms", "many", "Not a number of type LONG"),
        (topic, "segment.bytes", "2147483648", "Not a number of type INT"),
        (topic, "retention.ms", "-2", "Value must be at least -1"),
        (topic, "compression.lz4.level", "18", "Value must be no more than 17"),
        (topic, "compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1"),
        (topic, "min.cleanable.dirty.ratio", "x", "Not a number of type DOUBLE"),
        (topic, "preallocate", "yes", "Expected value to be either true or false"),
        (topic, "compression.type", "GZIP", "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"),
        (topic, "cleanup.policy", "nonsense", "String must be one of: compact, delete"),
        (group, "consumer.session.timeout.ms", "x", "Not a number of type INT"),
    ]:
        message = refused("InvalidConfigurationException", resource, ["SET", name, value])
        expected = f"InvalidConfigurationException: Invalid value {value} for configuration {name}: {words}"
        check(f"{name}={value}", message.startswith(expected), f"{message}, expected {expected}")
    for error, resource, ops, words in [
        ("InvalidConfigurationException", topic, [["SET", "cleanup.policy", "delete,"]],
         "Configuration 'cleanup.policy' values must not be empty."),
        ("InvalidConfigurationException", topic, [["SET", "no.such", "1"]], "Unknown topic config name: no.such"),
        ("InvalidConfigurationException", topic, [["SET", "min.compaction.lag.ms", "9"], ["SET", "max.compaction.lag.ms", "8"]],
         "conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (8)"),
        ("InvalidConfigurationException", topic, [["SET", "remote.storage.enable", "true"]],
         "Tiered Storage functionality is disabled in the broker."),
        ("InvalidConfigurationException", topic, [["APPEND", "retention.ms", "1"]],
         "Can't APPEND to key retention.ms because its type is not LIST."),
        ("UnknownTopicOrPartitionException", ["TOPIC", "missing"], [["SET", "retention.ms", "1"]], "The topic 'missing' does not exist."),
        ("InvalidConfigurationException", group, [["SET", "consumer.session.timeout.ms", "1"]],
         "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"),
        ("InvalidConfigurationException", group, [["SET", "no.such", "1"]], "Unknown group config name: no.such"),
        ("InvalidRequestException", ["BROKER", "1"], [["SET", "node.id", "3"]], "Cannot update these configs dynamically: [node.id]"),
        ("InvalidRequestException", ["BROKER", ""], [["SET", "log.retention.ms", "x"]],
         "Invalid value x for configuration log.retention.ms: Not a number of type LONG"),
        ("InvalidRequestException", ["CLIENT_METRICS", "m"], [["SET", "interval.ms", "1"]],
         "Invalid value 1 for interval.ms, interval must be between 100 and 3600000 (1 hour)"),
    ]:
        message = refused(error, resource, *ops)
        check(str(ops), message.startswith(f"{error}: {words}"), f"{message}, expected {words}")


@scenario
def other_settings_described(ctx):
    """Settings of groups, of subscriptions to clients' metrics, and of brokers in several units; unknown ones are shown."""
    server = ctx.server({"log.retention.minutes": 50, "log.roll.hours": 3, "group.consumer.session.timeout.ms": 46000})
    java = ctx.java
    java.create(server, "t")

    def describe(kind, name):
        return java.admin(server, "describeConfigs", resources=[[kind, name]], synonyms=True)[name]

    def alter(kind, name, *ops):
        java.admin(server, "incrementalAlterConfigs", resource=[kind, name], ops=ops)

    def expect(settings, name, value, source, synonyms):
        equal(name, [settings[name][k] for k in ["value", "source", "synonyms"]], [value, source, synonyms])

    alter("GROUP", "g", ["SET", "consumer.session.timeout.ms", "47000"])
    alter("CLIENT_METRICS", "m", ["SET", "interval.ms", "1000"], ["SET", "metrics", "a,b"])
    alter("BROKER", "", ["SET", "log.retention.ms", "77"], ["SET", "no.such.default", "5"])
    alter("BROKER", "1", ["SET", "no.such", "5"])
    behind = [["group.consumer.session.timeout.ms", "46000", "STATIC_BROKER_CONFIG"],
              ["group.consumer.session.timeout.ms", "45000", "DEFAULT_CONFIG"]]
    wait_equal("the last change is seen", lambda: "no.such" in describe("BROKER", "1"), True)
    for restart in [None, server.kill_restart]:
        if restart:
            restart()
        expect(describe("GROUP", "g"), "consumer.session.timeout.ms", "47000", "DYNAMIC_GROUP_CONFIG",
               [["consumer.session.timeout.ms", "47000", "DYNAMIC_GROUP_CONFIG"], *behind])
        expect(describe("GROUP", "other"), "consumer.session.timeout.ms", "46000", "STATIC_BROKER_CONFIG", behind)
        expect(describe("GROUP", "other"), "share.isolation.level", "read_uncommitted", "DEFAULT_CONFIG",
               [["share.isolation.level", "read_uncommitted", "DEFAULT_CONFIG"]])
        metrics = describe("CLIENT_METRICS", "m")
        expect(metrics, "interval.ms", "1000", "DYNAMIC_CLIENT_METRICS_CONFIG", [["interval.ms", "1000", "DYNAMIC_CLIENT_METRICS_CONFIG"]])
        expect(metrics, "metrics", "a,b", "DYNAMIC_CLIENT_METRICS_CONFIG", [["metrics", "a,b", "DYNAMIC_CLIENT_METRICS_CONFIG"]])
        expect(metrics, "match", "", "DEFAULT_CONFIG", [])
        expect(describe("CLIENT_METRICS", "none"), "interval.ms", "300000", "DEFAULT_CONFIG", [])
        # A coarser setting is told behind a finer one, but does not show up in its place.
        broker, retention = describe("BROKER", "1"), [["log.retention.ms", "77", "DYNAMIC_DEFAULT_BROKER_CONFIG"],
                                                      ["log.retention.minutes", "50", "STATIC_BROKER_CONFIG"],
                                                      ["log.retention.hours", "168", "DEFAULT_CONFIG"]]
        expect(broker, "log.retention.ms", "77", "DYNAMIC_DEFAULT_BROKER_CONFIG", retention)
        expect(describe("TOPIC", "t"), "retention.ms", "77", "DYNAMIC_DEFAULT_BROKER_CONFIG", retention)
        expect(describe("TOPIC", "t"), "segment.ms", "10800000", "DEFAULT_CONFIG", [])
        expect(broker, "broker.id", "1", "STATIC_BROKER_CONFIG", [["broker.id", "1", "STATIC_BROKER_CONFIG"], ["broker.id", "-1", "DEFAULT_CONFIG"]])
        unknown = broker["no.such"]
        equal("an unknown one", (unknown["value"], unknown["source"], unknown["sensitive"]), (None, "DYNAMIC_BROKER_CONFIG", True))
        equal("of all brokers", set(describe("BROKER", "")), {"log.retention.ms", "min.insync.replicas", "no.such.default"})
    for kind, words in [("GROUP", "Group name must not be empty"), ("CLIENT_METRICS", "Client metrics subscription name must not be empty")]:
        equal(f"{kind} without a name", describe(kind, ""), {"error": "InvalidRequestException", "message": words})


@scenario
def list_offsets(ctx):
    """Earliest, latest, the largest timestamp, by timestamp; what is not there."""
    server = ctx.server()
    java = ctx.java
    java.create(server, "times", partitions=2)
    java.producer(server)
    base = int(time.time() * 1000) - 60_000
    stamps = [base, base + 30, base + 10, base + 40, base + 20]  # not in order
    for stamp in stamps:
        java.send("times", [{"partition": 0, "timestamp": stamp, "value": str(stamp)}])

    def ask(*specs, topic="times", partition=0):
        return [java.admin(server, "listOffsets", partitions=[[topic, partition, spec]])[f"{topic}-{partition}"] for spec in specs]

    for restart in [None, server.kill_restart, server.restart]:
        if restart:
            restart()
        equal("earliest and latest", [o[:2] for o in ask("earliest", "latest", "earliest_local")], [[0, -1], [5, -1], [0, -1]])
        equal("largest timestamp", ask("max_timestamp")[0][:2], [3, base + 40])
        equal("by timestamp", [o[:2] for o in ask(base - 5, base + 5, base + 30, base + 31, base + 41)],
              [[0, base], [1, base + 30], [1, base + 30], [3, base + 40], [-1, -1]])
        equal("of an empty partition", [o[:2] for o in ask("earliest", "latest", "max_timestamp", 0, partition=1)],
              [[0, -1], [0, -1], [-1, -1], [-1, -1]])
    together = java.admin(server, "listOffsets", partitions=[["times", 0, "latest"], ["times", 1, "latest"]],
                          isolation="read_committed")
    equal("read committed", {p: o[0] for p, o in together.items()}, {"times-0": 5, "times-1": 0})
    equal("a topic that is not there", ask("latest", topic="missing")[0]["error"], "UnknownTopicOrPartitionException")


@scenario
def groups(ctx):
    """Groups listed, filtered, described, deleted; their offsets set, listed, deleted; in use and not; after kill -9."""
    server = ctx.server()
    java = ctx.java
    admin = lambda op, **args: java.admin(server, op, **args)  # noqa: E731
    java.create(server, "t", partitions=3)
    java.producer(server)
    java.send("t", [{"partition": p, "value": str(p)} for p in range(3)])

    equal("no groups", admin("listGroups"), {})
    for op in ["describeClassicGroups", "describeConsumerGroups", "deleteConsumerGroups"]:
        equal(f"{op} of none", errors(admin(op, groups=["none"])), {"none": "GroupIdNotFoundException"})
    equal("offsets of none", admin("listConsumerGroupOffsets", groups=["none"]), {"none": {}})
    equal("delete offsets of none", errors(admin("deleteConsumerGroupOffsets", group="none", partitions=[["t", 0]])),
          {"t-0": "GroupIdNotFoundException"})

    set_outcome = admin("alterConsumerGroupOffsets", group="set", offsets=[["t", 0, 5, "by hand"], ["t", 1, 6], ["missing", 0, 3]])
    equal("set offsets", errors(set_outcome), {"t-0": None, "t-1": None, "missing-0": "UnknownTopicOrPartitionException"})
    java.consumer(server, "member", topics=["t"], group_id="used", client_id="member")
    wait_for("the member's records", lambda: len(java("consumer.assignment", name="member")) == 3)
    java("consumer.commit", name="member", offsets=[["t", 0, 1], ["t", 1, 1]])

    expected = {"set": {"type": "Classic", "protocol": "", "state": "Empty"},
                "used": {"type": "Classic", "protocol": "consumer", "state": "Stable"}}
    offsets = {"set": {"t-0": [5, "by hand", None], "t-1": [6, "", None]}, "used": {"t-0": [1, "", None], "t-1": [1, "", None]}}
    for restart in [None, server.kill_restart]:
        if restart:
            restart()
        wait_equal("groups", lambda: admin("listGroups"), expected)
        equal("stable ones", set(admin("listGroups", states=["Stable"])), {"used"})
        equal("empty ones", set(admin("listGroups", states=["Empty"])), {"set"})
        equal("dead ones", admin("listGroups", states=["Dead"]), {})
        equal("classic ones", set(admin("listGroups", types=["Classic"])), {"set", "used"})
        equal("of the consumer protocol type", set(admin("listGroups", protocolTypes=["consumer"])), {"used"})
        equal("offsets", admin("listConsumerGroupOffsets", groups=["set", "used"]), offsets)
    equal("offsets of chosen partitions", admin("listConsumerGroupOffsets", groups=["set"], partitions=[["t", 1], ["t", 2]]),
          {"set": {"t-1": [6, "", None], "t-2": None}})
    described = admin("describeConsumerGroups", groups=["set", "used"])
    equal("the empty one", described["set"],
          {"state": "Empty", "protocol": "Classic", "assignor": "", "coordinator": 1, "members": []})
    used = described["used"]
    equal("the used one", (used["state"], used["protocol"], used["assignor"], [m["assignment"] for m in used["members"]]),
          ("Stable", "Classic", "range", [["t-0", "t-1", "t-2"]]))

    # What a member uses cannot be taken from it.
    equal("set offsets of a group in use", errors(admin("alterConsumerGroupOffsets", group="used", offsets=[["t", 0, 0]])),
          {"t-0": "UnknownMemberIdException"})
    equal("delete a subscribed topic's offset", errors(admin("deleteConsumerGroupOffsets", group="used", partitions=[["t", 0]])),
          {"t-0": "GroupSubscribedToTopicException"})
    equal("delete a group in use", errors(admin("deleteConsumerGroups", groups=["used"])), {"used": "GroupNotEmptyException"})
    equal("offsets are as they were", admin("listConsumerGroupOffsets", groups=["set", "used"]), offsets)

    java("consumer.committed", name="member", partitions=[["t", 0]])  # it has found its coordinator again, and can say goodbye
    java("consumer.close", name="member")
    equal("delete an offset", admin("deleteConsumerGroupOffsets", group="used", partitions=[["t", 0], ["t", 2]]),
          {"t-0": None, "t-2": None})
    equal("delete a group", admin("deleteConsumerGroups", groups=["set"]), {"set": None})
    server.kill_restart()
    wait_equal("groups after kill -9", lambda: admin("listGroups"), {"used": expected["used"] | {"state": "Empty"}})
    equal("offsets after kill -9", admin("listConsumerGroupOffsets", groups=["set", "used"]),
          {"set": {}, "used": {"t-1": [1, "", None]}})
    java.admin(server, "deleteTopics", names=["t"])
    wait_equal("offsets of a deleted topic", lambda: admin("listConsumerGroupOffsets", groups=["used"]), {"used": {}})


@scenario
def cluster(ctx):
    """The cluster's id, nodes, features and quorum; the quorum's end moves with every change and never back."""
    server = ctx.server()
    java = ctx.java
    expected = {"id": CLUSTER_ID, "controller": 1, "nodes": [[1, "127.0.0.1", server.port]]}
    equal("cluster", java.admin(server, "describeCluster"), expected)
    features = java.admin(server, "describeFeatures")
    level = {"eligible.leader.replicas.version": 1, "group.version": 1, "metadata.version": 30, "share.version": 1,
             "streams.version": 1, "transaction.version": 2}
    if not ctx.is_kafka and "metadata.version" in features["finalized"]:
        level["metadata.version"] = features["finalized"]["metadata.version"][0]
        check("metadata.version is one of 4.3 or 4.4", 30 <= level["metadata.version"] <= 33, str(features["finalized"]))
    equal("finalized features", features["finalized"], {name: [n, n] for name, n in level.items()})
    for name, n in level.items():
        low, high = features["supported"][name]
        check(f"support of {name}", low <= n <= high, str(features["supported"]))
    check("epoch of the features", features["epoch"] > 0)

    def quorum():
        q = java.admin(server, "describeMetadataQuorum")
        equal("leader and voters", (q["leader"], [v["id"] for v in q["voters"]], q["observers"]), (1, [1], []))
        check("the end is not below the high watermark", q["voters"][0]["end"] >= q["highWatermark"] > 0, str(q))
        return q

    before = quorum()
    java.create(server, "change")
    changed = quorum()
    check("a change moves the high watermark", changed["highWatermark"] > before["highWatermark"])
    for restart in [server.kill_restart, server.restart]:
        restart()
        after = quorum()
        check("not back after a restart", after["highWatermark"] >= changed["highWatermark"] and after["epoch"] > changed["epoch"],
              f"{changed} -> {after}")
        changed = after
        equal("cluster after a restart", java.admin(server, "describeCluster"), expected)
        check("features after a restart", java.admin(server, "describeFeatures")["finalized"] == features["finalized"])
