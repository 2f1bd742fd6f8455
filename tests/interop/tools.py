"""Kafka's own console tools, each run as the process that an operator runs; what they print is checked."""
import json
import re

from checks import check, equal, wait_for
from scenario import scenario
from server import CLUSTER_ID

TOPICS = "org.apache.kafka.tools.TopicCommand"
GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
CONFIGS = "kafka.admin.ConfigCommand"
PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand"
CLUSTER = "org.apache.kafka.tools.ClusterTool"
ELECTION = "org.apache.kafka.tools.LeaderElectionCommand"
REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
API_VERSIONS = "org.apache.kafka.tools.BrokerApiVersionsCommand"


def tool_of(ctx, server):
    return lambda main_class, *args, **kwargs: ctx.tool(main_class, "--bootstrap-server", server.bootstrap, *args, **kwargs)


def table(text):
    """The rows of a printed table, by the names of its first line; no cell has a space in it."""
    lines = [line for line in text.splitlines() if line.strip()]
    header = next(i for i, line in enumerate(lines) if line.startswith("GROUP"))
    names = re.split(r"\s{2,}|(?<=ID)\s(?=HOST)", lines[header].strip())
    return [dict(zip(names, line.split(), strict=True)) for line in lines[header + 1:]]


@scenario
def topics(ctx):
    """TopicCommand: create, list, describe, alter, delete; the errors; after kill -9."""
    server = ctx.server()
    tool = tool_of(ctx, server)
    equal("create", tool(TOPICS, "--create", "--topic", "first", "--partitions", 2, "--config", "retention.ms=1000").strip(),
          "Created topic first.")
    check("create again", "Topic 'first' already exists" in tool(TOPICS, "--create", "--topic", "first", ok=False))
    tool(TOPICS, "--create", "--topic", "second", "--replica-assignment", "1,1,1")
    tool(TOPICS, "--alter", "--topic", "first", "--partitions", 3)
    server.kill_restart()
    equal("list", tool(TOPICS, "--list").split(), ["first", "second"])

    def expect(topic, partitions, configs):
        lines = tool(TOPICS, "--describe", "--topic", topic).splitlines()
        check("first line", re.fullmatch(rf"Topic: {topic}\tTopicId: [\w-]{{22}}\tPartitionCount: {partitions}\t"
                                         rf"ReplicationFactor: 1\tConfigs: {configs}", lines[0]), lines[0])
        equal("partitions", [line.strip() for line in lines[1:]],
              [f"Topic: {topic}\tPartition: {p}\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr:" for p in range(partitions)])

    expect("first", 3, "min.insync.replicas=1,retention.ms=1000")
    expect("second", 3, "min.insync.replicas=1")
    tool(TOPICS, "--delete", "--topic", "first")
    server.kill_restart()
    equal("list after delete", tool(TOPICS, "--list").split(), ["second"])
    check("describe what is gone", "Topic 'first' does not exist" in tool(TOPICS, "--describe", "--topic", "first", ok=False))


@scenario
def produce_and_consume(ctx):
    """ConsoleProducer and ConsoleConsumer with keys and headers, through kill -9; GetOffsetShell; a group that resumes."""
    server = ctx.server()
    tool = tool_of(ctx, server)
    tool(TOPICS, "--create", "--topic", "lines", "--partitions", 1)
    sent = [(f"h:{i}", f"k{i}", f"value {i}") for i in range(500)]
    for part, codec in [(sent[:250], "zstd"), (sent[250:], "lz4")]:
        tool(PRODUCER, "--topic", "lines", "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true",
             "--compression-codec", codec, "--request-timeout-ms", 30_000, stdin="".join(f"{h}\t{k}\t{v}\n" for h, k, v in part))
        server.kill_restart()

    def consume(*args):
        text = tool(CONSUMER, "--topic", "lines", *args, "--formatter-property", "print.key=true", "--formatter-property",
                    "print.headers=true", "--formatter-property", "print.offset=true", "--formatter-property", "print.partition=true")
        return [line.split("\t") for line in text.splitlines()]

    expected = [["Partition:0", f"Offset:{i}", h, k, v] for i, (h, k, v) in enumerate(sent)]
    equal("all lines", consume("--from-beginning", "--max-messages", 500), expected)
    equal("from offset 490", consume("--partition", 0, "--offset", 490, "--max-messages", 10), expected[490:])
    equal("first of a group", consume("--group", "readers", "--from-beginning", "--max-messages", 100), expected[:100])
    server.kill_restart()
    equal("the group goes on", consume("--group", "readers", "--max-messages", 400), expected[100:])
    equal("last offsets", tool(OFFSETS, "--topic", "lines").split(), ["lines:0:500"])
    equal("first offsets", tool(OFFSETS, "--topic", "lines", "--time", -2).split(), ["lines:0:0"])


@scenario
def groups(ctx):
    """ConsumerGroupCommand: list, describe (offsets, members, state), reset and delete, with and without members."""
    server = ctx.server()
    tool = tool_of(ctx, server)
    java = ctx.java
    java.create(server, "t", partitions=2)
    java.producer(server)
    java.send("t", [{"partition": i % 2, "value": str(i)} for i in range(10)])
    java.consumer(server, "member", topics=["t"], group_id="crew", client_id="one")
    wait_for("the assignment", lambda: len(java("consumer.assignment", name="member")) == 2)
    java("consumer.commit", name="member", offsets=[["t", 0, 2], ["t", 1, 5]])
    server.kill_restart()

    equal("list", tool(GROUPS, "--list").split(), ["crew"])
    rows = table(tool(GROUPS, "--describe", "--group", "crew"))
    equal("offsets", [(r["GROUP"], r["TOPIC"], r["PARTITION"], r["CURRENT-OFFSET"], r["LOG-END-OFFSET"], r["LAG"]) for r in rows],
          [("crew", "t", "0", "2", "5", "3"), ("crew", "t", "1", "5", "5", "0")])
    check("members", all(r["CLIENT-ID"] == "one" and r["HOST"] == "/127.0.0.1" and r["CONSUMER-ID"].startswith("one-")
                         for r in rows), str(rows))
    equal("state", [(r["ASSIGNMENT-STRATEGY"], r["STATE"], r["#MEMBERS"]) for r in
                    table(tool(GROUPS, "--describe", "--group", "crew", "--state").replace("(1)", ""))], [("range", "Stable", "1")])
    equal("member", [(r["CLIENT-ID"], r["#PARTITIONS"]) for r in table(tool(GROUPS, "--describe", "--group", "crew", "--members"))],
          [("one", "2")])
    check("reset in use", "group 'crew' is inactive" in
          tool(GROUPS, "--reset-offsets", "--group", "crew", "--topic", "t", "--to-earliest", "--execute", ok=False))

    java("consumer.committed", name="member", partitions=[["t", 0]])  # it has found its coordinator again, and can say goodbye
    java("consumer.close", name="member")
    reset = table(tool(GROUPS, "--reset-offsets", "--group", "crew", "--topic", "t", "--shift-by", "-1", "--execute"))
    equal("reset", sorted((r["PARTITION"], r["NEW-OFFSET"]) for r in reset), [("0", "1"), ("1", "4")])
    server.kill_restart()
    rows = table(tool(GROUPS, "--describe", "--group", "crew"))
    equal("offsets after the reset", [(r["PARTITION"], r["CURRENT-OFFSET"], r["LAG"], r["CONSUMER-ID"]) for r in rows],
          [("0", "1", "4", "-"), ("1", "4", "1", "-")])
    tool(GROUPS, "--delete", "--group", "crew")
    equal("list after delete", tool(GROUPS, "--list").split(), [])


@scenario
def configs(ctx):
    """ConfigCommand on topics and brokers: alter, describe with synonyms, delete; after kill -9."""
    server = ctx.server()
    tool = tool_of(ctx, server)
    tool(TOPICS, "--create", "--topic", "t", "--config", "retention.ms=1000")
    topic = ["--entity-type", "topics", "--entity-name", "t"]
    equal("alter", tool(CONFIGS, "--alter", *topic, "--add-config", "max.message.bytes=5000,cleanup.policy=[compact,delete]").strip(),
          "Completed updating config for topic t.")
    tool(CONFIGS, "--alter", *topic, "--delete-config", "retention.ms")
    tool(CONFIGS, "--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.cleaner.threads=2")
    check("a wrong value", "Invalid value many for configuration retention.ms" in
          tool(CONFIGS, "--alter", *topic, "--add-config", "retention.ms=many", ok=False))
    server.kill_restart()
    equal("describe", [line.strip() for line in tool(CONFIGS, "--describe", *topic).splitlines()], [
        "Dynamic configs for topic t are:",
        "cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, "
        "DEFAULT_CONFIG:log.cleanup.policy=delete}",
        "max.message.bytes=5000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=5000, "
        "DEFAULT_CONFIG:message.max.bytes=1048588}"])
    brokers = tool(CONFIGS, "--describe", "--entity-type", "brokers", "--entity-default")
    check("the default of brokers", "  log.cleaner.threads=2 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:"
          "log.cleaner.threads=2}" in brokers.splitlines(), brokers)
    everything = tool(CONFIGS, "--describe", "--all", "--entity-type", "brokers", "--entity-name", "1")
    check("a static one", "  node.id=1 sensitive=false synonyms={STATIC_BROKER_CONFIG:node.id=1}" in everything.splitlines(),
          everything)


@scenario
def controllers(ctx):
    """Tools that ask the controller itself (--bootstrap-controller), and those that are sent to the wrong listener."""
    server = ctx.server()
    ctx.java.create(server, "t")
    controller = f"127.0.0.1:{server.controller_port}"
    tool = lambda main_class, *args, **kwargs: ctx.tool(main_class, "--bootstrap-controller", controller, *args, **kwargs)  # noqa: E731
    status = dict(line.split(":", 1) for line in tool(QUORUM, "describe", "--status").splitlines())
    equal("leader", status["LeaderId"].strip(), "1")
    equal("cluster id", ctx.tool(CLUSTER, "cluster-id", "--bootstrap-controller", controller).strip(), f"Cluster ID: {CLUSTER_ID}")
    rows = ctx.tool(CLUSTER, "list-endpoints", "--bootstrap-controller", controller).splitlines()
    equal("controllers", rows[1].split(), ["1", "127.0.0.1", str(server.controller_port), "null", "controller"])
    rows = ctx.tool(CLUSTER, "list-endpoints", "--bootstrap-server", server.bootstrap, "--include-fenced-brokers").splitlines()
    equal("brokers", rows[1].split(), ["1", "127.0.0.1", str(server.port), "null", "unfenced", "broker"])
    topic = ["--entity-type", "topics", "--entity-name", "t"]
    tool(CONFIGS, "--alter", *topic, "--add-config", "retention.ms=5")
    server.kill_restart()
    lines = ctx.tool(CONFIGS, "--bootstrap-server", server.bootstrap, "--describe", *topic).splitlines()
    equal("altered by the controller", lines[1].strip(), "retention.ms=5 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=5}")
    wrong = ctx.tool(CLUSTER, "cluster-id", "--bootstrap-controller", server.bootstrap, ok=False)
    check("a broker taken for a controller", "MismatchedEndpointTypeException: The request was sent to an endpoint of type BROKER, "
          "but we wanted an endpoint of type CONTROLLER" in wrong, wrong)
    wrong = ctx.tool(CLUSTER, "cluster-id", "--bootstrap-server", controller, ok=False)
    check("a controller taken for a broker", "UnsupportedVersionException: The node does not support METADATA" in wrong, wrong)


@scenario
def cluster(ctx):
    """MetadataQuorumCommand, ClusterTool and BrokerApiVersionsCommand."""
    server = ctx.server()
    tool = tool_of(ctx, server)
    status = dict(line.split(":", 1) for line in tool(QUORUM, "describe", "--status").splitlines())
    equal("status", {k: v.strip() for k, v in status.items() if k in ("ClusterId", "LeaderId", "MaxFollowerLag")},
          {"ClusterId": CLUSTER_ID, "LeaderId": "1", "MaxFollowerLag": "0"})
    check("voters", f'"endpoints": ["CONTROLLER://127.0.0.1:{server.controller_port}"]' in status["CurrentVoters"], str(status))
    rows = tool(QUORUM, "describe", "--replication").splitlines()
    equal("columns", rows[0].split(), ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp",
                                       "LastCaughtUpTimestamp", "Status"])
    leader = rows[1].split()
    equal("the leader", (leader[0], leader[3], leader[6]), ("1", "0", "Leader"))
    check("its end", int(leader[2]) >= int(status["HighWatermark"]), f"{leader} {status}")
    equal("cluster id", ctx.tool(CLUSTER, "cluster-id", "--bootstrap-server", server.bootstrap).strip(), f"Cluster ID: {CLUSTER_ID}")

    patient = ctx.directory / "patient.properties"
    patient.write_text("request.timeout.ms=30000\n")
    usable = dict(re.findall(r"(\w+)\(\d+\): .*?\[usable: (\d+)\]", tool(API_VERSIONS, "--command-config", patient)))
    wanted = {"Produce": 13, "Fetch": 17, "ListOffsets": 10, "Metadata": 13, "OffsetCommit": 9, "OffsetFetch": 9,
              "FindCoordinator": 6, "JoinGroup": 9, "Heartbeat": 4, "LeaveGroup": 5, "SyncGroup": 5, "DescribeGroups": 6,
              "ListGroups": 5, "ApiVersions": 4, "CreateTopics": 7, "DeleteTopics": 6, "InitProducerId": 5,
              "OffsetForLeaderEpoch": 4, "DescribeConfigs": 4, "CreatePartitions": 3, "DeleteGroups": 2,
              "IncrementalAlterConfigs": 1, "OffsetDelete": 0, "DescribeCluster": 1, "DescribeTopicPartitions": 0,
              "DescribeQuorum": 2}
    missing = {api: usable.get(api) for api, version in wanted.items() if int(usable.get(api, -1)) < version}
    equal("APIs that are missing or older than 4.3", missing, {})


@scenario
def leaders_and_replicas(ctx):
    """LeaderElectionCommand and ReassignPartitionsCommand, as far as one broker can show them."""
    server = ctx.server()
    tool = tool_of(ctx, server)
    ctx.java.create(server, "t", partitions=2)
    elect = lambda *args: tool(ELECTION, *args, ok=False)  # noqa: E731
    text = elect("--election-type", "preferred", "--all-topic-partitions")
    equal("all partitions have their leader", text.strip(), "")
    text = elect("--election-type", "preferred", "--topic", "t", "--partition", 1)
    check("needless", "Valid replica already elected for partitions t-1" in text, text)
    text = elect("--election-type", "unclean", "--topic", "t", "--partition", 7)
    check("no such partition", "UnknownTopicOrPartitionException" in text, text)

    def plan(replicas):
        path = ctx.directory / "plan.json"
        path.write_text(json.dumps({"version": 1, "partitions": [{"topic": "t", "partition": 0, "replicas": replicas}]}))
        return ["--reassignment-json-file", path]

    text = tool(REASSIGN, *plan([1]), "--execute")
    check("to where it is", "Successfully started partition reassignment for t-0" in text, text)
    text = tool(REASSIGN, *plan([1]), "--verify")
    check("it is there", "Reassignment of partition t-0 is completed." in text, text)
    text = tool(REASSIGN, *plan([9]), "--execute", ok=False)
    check("to nowhere", "Unknown broker id 9" in text, text)
    equal("none is under way", tool(REASSIGN, "--list").strip(), "No partition reassignments found.")
    text = tool(REASSIGN, *plan([1]), "--cancel", "--preserve-throttles")
    check("nothing to cancel", "None of the specified partition reassignments are active." in text, text)
    server.kill_restart()
    lines = tool(TOPICS, "--describe", "--topic", "t").splitlines()
    check("after kill -9", lines[1].strip().startswith("Topic: t\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1"), str(lines))
