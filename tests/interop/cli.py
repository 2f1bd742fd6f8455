"""Our tools by Kafka's names beside the originals: the same words to both against one server; what they print and how they end is the same."""
import json
import os
import re
import subprocess

from checks import check, equal, wait_for
from scenario import TOOL_TIMEOUT_S, Skip, scenario
from server import CLUSTER_ID, JAVA, KafkaServer, MillraceServer

CLASSES = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "configs": "kafka.admin.ConfigCommand",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "groups": "org.apache.kafka.tools.GroupsCommand",
    "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
}

LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\S+ .*(ERROR|WARN) ")
STACK_LINE = re.compile(r"^(\t|Caused by: |java\.|org\.apache\.)")
EXCEPTION = re.compile(r"(java\.\S+Exception|org\.apache\.kafka\.common\.errors\.\w+): ")


def tool_path(name):
    path = MillraceServer.binary.parent / name
    if not path.exists():
        raise Skip(f"{path} is not built")
    return str(path)


def ours(name, *args, stdin=None):
    """(exit status, stdout, stderr) of our tool."""
    done = subprocess.run([tool_path(name), *map(str, args)], input=stdin, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
    return done.returncode, done.stdout, done.stderr


def essence(text, ordered):
    """Lines without Java's log lines, stack traces and names of exceptions, and without blanks at their ends."""
    lines = [EXCEPTION.sub("", line).rstrip() for line in text.splitlines() if not LOG_LINE.match(line) and not STACK_LINE.match(line)]
    lines = [line for line in lines if line]
    return lines if ordered else sorted(lines)


class Pair:
    """Runs both on the same words."""

    def __init__(self, server):
        self.server = server

    def run(self, tool, *args, ordered=True, words=True, bootstrap=True):
        """Compare stdout (unless not `words`) and exit statuses; returns our stdout."""
        where = ["--bootstrap-server", self.server.bootstrap] if bootstrap else []
        args = [*where, *map(str, args)] if tool in ("features", "metadata-quorum") else [*map(str, args), *where]
        theirs = subprocess.run(JAVA + [CLASSES[tool], *args], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
        status, out, err = ours(f"kafka-{tool}.sh", *args)
        what = f"{tool} {' '.join(args)}"
        if words:
            equal(what, essence(out, ordered), essence(theirs.stdout, ordered))
        check(f"{what}: exit status", status == theirs.returncode,
              f"ours {status}, Kafka's {theirs.returncode}\n{out}{err}\n{theirs.stdout}{theirs.stderr}")
        return out


@scenario
def topics(ctx):
    """kafka-topics.sh: what ours creates and alters, both describe alike; the same mistakes, the same filters."""
    pair = Pair(ctx.server())
    run = lambda *args, **kwargs: pair.run("topics", *args, **kwargs)  # noqa: E731
    boot = ["--bootstrap-server", pair.server.bootstrap]
    equal("create", ours("kafka-topics.sh", *boot, "--create", "--topic", "first", "--partitions", 2, "--config", "retention.ms=1000"),
          (0, "Created topic first.\n", ""))
    equal("assigned", ours("kafka-topics.sh", *boot, "--create", "--topic", "second", "--replica-assignment", "1,1,1")[0], 0)
    equal("alter", ours("kafka-topics.sh", *boot, "--alter", "--topic", "first", "--partitions", 3), (0, "", ""))
    for words in ["--list", "--list --topic f.*", "--list --exclude-internal", "--describe", "--describe --topic first",
                  "--describe --topic se.*,nosuch", "--describe --topics-with-overrides", "--describe --under-replicated-partitions",
                  "--describe --at-min-isr-partitions", "--describe --under-min-isr-partitions", "--describe --unavailable-partitions",
                  "--describe --partition-size-limit-per-response 1", "--describe --topic nosuch",
                  "--describe --topic nosuch --if-exists", "--create --topic first", "--create --topic first --if-not-exists",
                  "--create --topic bad --replication-factor 3", "--create --topic bad --config nosuch=1",
                  "--create --topic bad --config retention.ms=many", "--create --topic bad!", "--create --topic x --partitions 0",
                  "--create --topic bad --replica-assignment 1:1", "--alter --topic first --partitions 2",
                  "--alter --topic nosuch --partitions 2", "--alter --topic nosuch --partitions 2 --if-exists", "--delete --topic nosuch",
                  "--delete --topic nosuch --if-exists"]:
        run(*words.split(), ordered="--describe" not in words)
    for words in ["", "--list --create", "--create", "--alter --topic first", "--alter --topic first --config a=b", "--list --partitions 3",
                  "--list --nosuch"]:
        run(*words.split(), words=False)
    equal("delete", ours("kafka-topics.sh", *boot, "--delete", "--topic", "first"), (0, "", ""))
    equal("what is left", run("--list").split(), ["second"])


@scenario
def configs(ctx):
    """kafka-configs.sh: topics, brokers, their defaults, groups; by both spellings of whose they are."""
    pair = Pair(ctx.server())
    run = lambda *args, **kwargs: pair.run("configs", *args, **kwargs)  # noqa: E731
    boot = ["--bootstrap-server", pair.server.bootstrap]
    ctx.java.create(pair.server, "t")
    status, out, _ = ours("kafka-configs.sh", *boot, "--alter", "--topic", "t", "--add-config",
                          "max.message.bytes=5000,cleanup.policy=[compact,delete]")
    equal("alter", (status, out), (0, "Completed updating config for topic t.\n"))
    for words in ["--describe --topic t", "--describe --topic t --all", "--describe --entity-type topics --entity-name t",
                  "--alter --topic t --delete-config max.message.bytes", "--describe --topic t", "--describe --topic nosuch",
                  "--describe --broker 1", "--describe --broker 1 --all", "--describe --entity-type brokers", "--describe --broker 7",
                  "--alter --broker 1 --add-config log.cleaner.threads=2", "--describe --entity-type brokers --entity-name 1",
                  "--alter --broker-defaults --add-config log.cleaner.threads=2", "--describe --broker-defaults",
                  "--alter --broker-defaults --delete-config log.cleaner.threads",
                  "--alter --group g --add-config consumer.session.timeout.ms=50000", "--describe --group g", "--describe --group nosuch"]:
        run(*words.split())
    settings = ctx.directory / "more.properties"
    settings.write_text("# of a file\nretention.ms = 77\n")
    equal("file", ours("kafka-configs.sh", *boot, "--alter", "--topic", "t", "--add-config-file", settings)[0], 0)
    check("from the file", "  retention.ms=77 sensitive" in run("--describe", "--topic", "t"))
    controller = f"127.0.0.1:{pair.server.controller_port}"
    pair.run("configs", "--bootstrap-controller", controller, "--alter", "--topic", "t", "--add-config", "retention.ms=5", bootstrap=False)
    check("by the controller", "  retention.ms=5 sensitive" in run("--describe", "--topic", "t"))


@scenario
def config_mistakes(ctx):
    """kafka-configs.sh refuses what Kafka's refuses."""
    pair = Pair(ctx.server())
    ctx.java.create(pair.server, "t")
    for words in ["--alter --topic nosuch --add-config retention.ms=1", "--alter --topic t --add-config retention.ms=many",
                  "--alter --topic t", "--alter --topic t --add-config x", "--describe", "--describe --alter --topic t",
                  "--describe --entity-type nosuch", "--alter --broker x --add-config log.cleaner.threads=2"]:
        pair.run("configs", *words.split(), words=False)


def crew(ctx, server, protocol="classic"):
    """A group with one member and offsets of half of what there is."""
    java = ctx.java
    java.create(server, "t", partitions=3)
    java.create(server, "other")
    java.producer(server)
    java.send("t", [{"partition": i % 3, "value": str(i)} for i in range(12)])
    timing = {"session_timeout_ms": 60_000} if protocol == "classic" else {"session_timeout_ms": None, "heartbeat_interval_ms": None}
    java.consumer(server, "member", topics=["t"], group_id="crew", client_id="one", group_protocol=protocol, **timing)
    wait_for("the assignment", lambda: len(java("consumer.assignment", name="member")) == 3)
    java("consumer.commit", name="member", offsets=[["t", 0, 2], ["t", 1, 4]])
    return java


VIEWS = ["", "--verbose", "--members", "--members --verbose", "--state", "--state --verbose"]


@scenario
def consumer_groups(ctx):
    """kafka-consumer-groups.sh: lists and views of a group that is at work and of one that rests; delete, delete-offsets."""
    server = ctx.server()
    pair = Pair(server)
    run = lambda *args, **kwargs: pair.run("consumer-groups", *args, **kwargs)  # noqa: E731
    java = crew(ctx, server)
    for words in ["--list", "--list --state", "--list --type", "--list --state stable --type classic", "--list --state empty"]:
        run(*words.split(), ordered=False)
    for view in VIEWS:
        run("--describe", "--group", "crew", *view.split())
        run("--describe", "--all-groups", *view.split())
    run("--describe", "--group", "nosuch")
    status, _, _ = ours("kafka-consumer-groups.sh", "--bootstrap-server", server.bootstrap, "--delete", "--group", "crew")
    equal("delete in use", status, 0)
    check("still there", run("--list").split() == ["crew"])
    run("--delete-offsets", "--group", "crew", "--topic", "t", words=False)
    java("consumer.close", name="member")
    for view in VIEWS:
        run("--describe", "--group", "crew", *view.split())
    out = ours("kafka-consumer-groups.sh", "--bootstrap-server", server.bootstrap, "--delete-offsets", "--group", "crew", "--topic", "t:0")[1]
    check("offsets deleted", out.startswith("Request succeeded for deleting offsets from group crew.\n"), out)
    run("--describe", "--group", "crew")
    for words in ["", "--describe", "--list --group x", "--list --state bogus", "--describe --group crew --members --state",
                  "--reset-offsets --group crew --topic t", "--reset-offsets --group crew --to-earliest"]:
        run(*words.split(), words=False)
    out = ours("kafka-consumer-groups.sh", "--bootstrap-server", server.bootstrap, "--delete", "--group", "crew")[1]
    equal("delete", out, "Deletion of requested consumer groups ('crew') was successful.\n")
    equal("list", run("--list").split(), [])


@scenario
def consumer_protocol(ctx):
    """kafka-consumer-groups.sh on a group of the new protocol (KIP-848)."""
    server = ctx.server()
    if not ctx.is_kafka:
        raise Skip("our brokers do not serve the consumer protocol yet")
    pair = Pair(server)
    crew(ctx, server, "consumer")
    for view in VIEWS:
        pair.run("consumer-groups", "--describe", "--group", "crew", *view.split())
    pair.run("consumer-groups", "--list", "--state", "--type")
    pair.run("groups", "--list")


@scenario
def reset_offsets(ctx):
    """kafka-consumer-groups.sh --reset-offsets: all scopes and targets; what the plan says is committed."""
    server = ctx.server()
    pair = Pair(server)
    run = lambda *args: pair.run("consumer-groups", "--reset-offsets", *args, ordered=False)  # noqa: E731
    java = crew(ctx, server)
    run("--group", "crew", "--topic", "t", "--to-earliest", "--execute")  # it is at work
    java("consumer.close", name="member")
    plan = ctx.directory / "plan.csv"
    plan.write_text("t,0,1\nt,1,99\n")
    groups_plan = ctx.directory / "groups.csv"
    groups_plan.write_text("crew,t,0,3\ncrew,t,2,0\n")
    for words in ["--topic t --to-earliest", "--topic t --to-latest", "--topic t:0,1 --to-current", "--topic t:0,1 --shift-by -1",
                  "--topic t:0,1 --shift-by 100", "--topic t:2 --shift-by 1", "--topic t --to-offset 3", "--topic t --to-offset 999",
                  "--topic t --to-datetime 2020-01-01T00:00:00.000", "--topic t --to-datetime 2099-01-01T00:00:00.000",
                  "--topic t --by-duration P1D", "--topic t --topic other --to-latest", "--all-topics --to-latest", f"--from-file {plan}",
                  "--topic t:9 --to-earliest", "--topic other --to-datetime 2020-01-01T00:00:00.000"]:
        run("--group", "crew", *words.split(), "--dry-run")
        run("--group", "crew", *words.split(), "--dry-run", "--export")
    run("--group", "crew", "--from-file", groups_plan, "--dry-run")
    run("--all-groups", "--topic", "t", "--to-latest", "--dry-run", "--export")
    boot = ["--bootstrap-server", server.bootstrap]
    status, out, _ = ours("kafka-consumer-groups.sh", *boot, "--reset-offsets", "--group", "crew", "--group", "fresh", "--topic", "t:1,2",
                          "--to-offset", 2, "--execute", "--export")
    equal("execute", (status, sorted(out.split())), (0, ["crew,t,1,2", "crew,t,2,2", "fresh,t,1,2", "fresh,t,2,2"]))
    server.kill_restart()
    rows = [line.split()[:6] for line in pair.run("consumer-groups", "--describe", "--all-groups").splitlines() if line[:5] in ("crew ", "fresh")]
    equal("committed", rows, [["crew", "t", "0", "2", "4", "2"], ["crew", "t", "1", "2", "4", "2"], ["crew", "t", "2", "2", "4", "2"],
                              ["fresh", "t", "1", "2", "4", "2"], ["fresh", "t", "2", "2", "4", "2"]])


@scenario
def offsets_and_records(ctx):
    """kafka-get-offsets.sh with all ways to name partitions and times; kafka-delete-records.sh."""
    server = ctx.server()
    pair = Pair(server)
    run = lambda *args, **kwargs: pair.run("get-offsets", *args, **kwargs)  # noqa: E731
    java = ctx.java
    java.create(server, "t", partitions=12)
    java.create(server, "u")
    java.producer(server)
    java.send("t", [{"partition": i % 12, "value": str(i)} for i in range(30)])
    for words in ["", "--topic t", "--topic [tu] --partitions 0,2", "--topic-partitions t:1-3,u", "--topic-partitions :0",
                  "--topic-partitions t:10-,t:-1", "--topic t --time -2", "--topic t --time earliest", "--topic t --time max-timestamp",
                  "--topic t --time 1", "--topic t --time 99999999999999", "--topic t --time latest-tiered", "--topic t --time earliest-local",
                  "--exclude-internal-topics"]:
        run(*words.split())
    for words in ["--topic nosuch", "--topic t --time bogus", "--topic t --topic-partitions t:0"]:
        run(*words.split(), words=False)
    file = ctx.directory / "cut.json"
    file.write_text(json.dumps({"partitions": [{"topic": "t", "partition": 0, "offset": 2}, {"topic": "t", "partition": 1, "offset": -1}],
                                "version": 1}))
    pair.run("delete-records", "--offset-json-file", file, ordered=False)
    status, out, _ = ours("kafka-delete-records.sh", "--bootstrap-server", server.bootstrap, "--offset-json-file", file)
    equal("again", (status, sorted(out.splitlines()[2:])), (0, ["partition: t-0\tlow_watermark: 2", "partition: t-1\tlow_watermark: 3"]))
    file.write_text('{"partitions": [{"topic": "t", "partition": 0, "offset": 2000}, {"topic": "nosuch", "partition": 0, "offset": 1}]}')
    status, out, _ = ours("kafka-delete-records.sh", "--bootstrap-server", server.bootstrap, "--offset-json-file", file)
    check("refused", status == 0 and "partition: t-0\terror: OFFSET_OUT_OF_RANGE" in out and "nosuch-0\terror: UNKNOWN_TOPIC" in out, out)
    file.write_text('{"partitions": [')
    pair.run("delete-records", "--offset-json-file", file, words=False)
    equal("earliest", run("--topic", "t", "--time", -2, "--partitions", "0,1").split(), ["t:0:2", "t:1:3"])


@scenario
def cluster(ctx):
    """kafka-cluster.sh, -log-dirs.sh, -metadata-quorum.sh, -features.sh, -groups.sh, -broker-api-versions.sh."""
    server = ctx.server()
    pair = Pair(server)
    ctx.java.create(server, "t", partitions=2)
    controller = f"127.0.0.1:{server.controller_port}"
    run = pair.run
    for words in ["cluster-id", "list-endpoints", "list-endpoints --include-fenced-brokers"]:
        run("cluster", *words.split())
    for words in ["cluster-id", "list-endpoints"]:
        run("cluster", words, "--bootstrap-controller", controller, bootstrap=False)
    for words in ["", "cluster-id", "unregister"]:
        run("cluster", *words.split(), bootstrap=False, words=False)
    run("log-dirs", "--describe", "--broker-list", "1,2", words=False)

    def partitions(text):
        lines = text.splitlines()
        brokers = json.loads(lines[2])["brokers"]
        return lines[:2], sorted((b["broker"], d["logDir"], d["error"]) for b in brokers for d in b["logDirs"]), sorted(
            (p["partition"], p["size"], p["offsetLag"], p["isFuture"]) for b in brokers for d in b["logDirs"] for p in d["partitions"])
    boot = ["--bootstrap-server", server.bootstrap]
    for words in [["--describe"], ["--describe", "--topic-list", "t"], ["--describe", "--topic-list", "nosuch", "--broker-list", "1"]]:
        equal("log directories", partitions(ours("kafka-log-dirs.sh", *boot, *words)[1]),
              partitions(ctx.tool(CLASSES["log-dirs"], *boot, *words)))
    mask = lambda text: re.sub(r"\d{2,}|HighWatermark:.*", "N", text)  # noqa: E731
    for words in [["describe", "--status"], ["describe", "--replication"]]:
        theirs = ctx.tool(CLASSES["metadata-quorum"], *boot, *words)
        equal(" ".join(words), mask(ours("kafka-metadata-quorum.sh", *boot, *words)[1]).split(), mask(theirs).split())
    run("metadata-quorum", "describe", words=False)
    features = [re.sub(r"SupportedMaxVersion: .*(?=FinalizedVersionLevel)|Epoch: .*", "", line).rstrip()
                for line in ours("kafka-features.sh", *boot, "describe")[1].splitlines()]
    equal("features", features, [re.sub(r"SupportedMaxVersion: .*(?=FinalizedVersionLevel)|Epoch: .*", "", line).rstrip()
                                 for line in ctx.tool(CLASSES["features"], *boot, "describe").splitlines()])
    run("features", "version-mapping", bootstrap=False)
    run("features", "feature-dependencies", "--feature", "transaction.version=2", bootstrap=False)
    for words in ["upgrade --feature group.version=1 --dry-run", "downgrade --feature group.version=0 --dry-run",
                  "downgrade --feature group.version=7", "disable --feature share.version", "upgrade --feature share.version=1",
                  "upgrade --metadata 3.3-IV3", "downgrade --feature metadata.version=7 --dry-run"]:
        run("features", *words.split())
    run("groups", "--list")
    run("groups", "--list", "--group-type", "bogus", words=False)
    apis = lambda text: {m[1]: m[2] for m in re.finditer(r"^\t(\w+)\(\d+\): (\d+(?: to \d+)?) ", text, re.M)}  # noqa: E731
    known = apis(ctx.tool(CLASSES["broker-api-versions"], *boot))
    equal("APIs", {k: v for k, v in apis(ours("kafka-broker-api-versions.sh", *boot)[1]).items() if k in known}, known)


@scenario
def own_words(ctx):
    """millrace topic, group, offset, cluster, log-dirs, config: JSON that says what Kafka's tools say; statuses that tell."""
    server = ctx.server()
    boot = ["-b", server.bootstrap]

    def run(*args, status=0):
        done, out, err = ours("millrace", *args, *boot)
        equal(f"{' '.join(args)}: status", done, status)
        return json.loads(out) if "--json" in args else out + err

    run("topic", "create", "t", "--partitions", "2", "--config", "retention.ms=7")
    equal("list", run("topic", "list", "--json"), [{"topic": "t"}])
    equal("describe", [(p["partition"], p["leader"], p["replicas"], p["isr"]) for p in run("topic", "describe", "t", "--json")],
          [(0, 1, [1], [1]), (1, 1, [1], [1])])
    ctx.java.producer(server)
    ctx.java.send("t", [{"partition": 0, "value": "x"}] * 5)
    equal("offsets", run("offset", "list", "t", "--json"), [{"topic": "t", "partition": 0, "offset": 5}, {"topic": "t", "partition": 1, "offset": 0}])
    equal("reset", [(r["group"], r["partition"], r["new_offset"]) for r in
                    run("group", "reset", "crew", "--topic", "t", "--to-offset", "2", "--execute", "--json")], [("crew", 0, 2), ("crew", 1, 0)])
    equal("group", [(r["partition"], r["current_offset"], r["lag"], r["consumer_id"]) for r in run("group", "describe", "crew", "--json")],
          [(0, 2, 3, None), (1, 0, 0, None)])
    equal("groups", run("group", "list", "--json"), [{"group": "crew", "type": "Classic", "state": "Empty"}])
    equal("settings", [(r["name"], r["value"]) for r in run("config", "describe", "--topic", "t", "--json")], [("retention.ms", "7")])
    equal("nodes", [(r["id"], r["port"]) for r in run("cluster", "nodes", "--json")], [(1, server.port)])
    check("id", run("cluster", "id").startswith("Cluster ID: "))
    quorum = run("quorum", "status", "--json")
    equal("quorum", (quorum["cluster_id"], quorum["leader_id"], quorum["max_follower_lag"], [v["id"] for v in quorum["current_voters"]],
                     quorum["current_observers"]), (CLUSTER_ID, 1, 0, [1], []))
    equal("directories", {r["partition"] for r in run("log-dirs", "list", "--topic-list", "t", "--json")}, {0, 1})
    check("what is not there", "not found" in run("group", "describe", "nosuch", status=1))
    run("group", "delete", "nosuch", status=1)
    run("topic", "delete", "nosuch", status=1)
    run("group", "delete", "crew")
    run("topic", "delete", "t")
    equal("nothing", run("topic", "list", "--json", "--exclude-internal"), [])


@scenario
def quotas(ctx):
    """kafka-configs.sh: quotas of users, clients and addresses, and users' credentials, which our broker does not have: of Kafka."""
    pair = Pair(ctx.server({"broker.session.timeout.ms": 60_000}, server_class=KafkaServer))  # a JVM that may stand still for a while
    boot = ["--bootstrap-server", pair.server.bootstrap]

    def alter(what, *args):
        equal(what, ours("kafka-configs.sh", *boot, "--alter", *args), (0, f"Completed updating {what}.\n", ""))

    def told(words, *args):
        wait_for(f"{words} is told", lambda: words in ours("kafka-configs.sh", *boot, "--describe", *args)[1])

    alter("config for user alice", "--user", "alice", "--add-config", "producer_byte_rate=1000,consumer_byte_rate=2.5E7")
    alter("config for client c", "--user", "alice", "--client", "c", "--add-config", "request_percentage=12.5")
    alter("default config for clients in the cluster", "--entity-type", "clients", "--entity-default", "--add-config",
          "controller_mutation_rate=3")
    alter("config for ip 127.0.0.1", "--ip", "127.0.0.1", "--add-config", "connection_creation_rate=50")
    alter("config for user bob", "--user", "bob", "--add-config", "SCRAM-SHA-256=[iterations=8192,password=secret]")
    alter("config for user bob", "--user", "bob", "--add-config", "SCRAM-SHA-512=[password=secret]")
    told("SCRAM-SHA-512", "--user", "bob")
    for words in ["--user alice", "--user alice --client c", "--user bob", "--user nosuch", "--client-defaults", "--ip 127.0.0.1",
                  "--entity-type users", "--entity-type clients", "--entity-type ips", "--entity-type users --entity-type clients",
                  "--entity-type users --entity-name alice --entity-type clients", "--user-defaults"]:
        pair.run("configs", "--describe", *words.split(), ordered=False)
    for words in ["--user alice --add-config beauty=1", "--user alice --add-config producer_byte_rate=much",
                  "--user alice --delete-config controller_mutation_rate", "--client c --add-config SCRAM-SHA-256=[password=x]",
                  "--user bob --add-config SCRAM-SHA-256=[iterations=1,password=x]", "--ip 127.0.0.1 --add-config producer_byte_rate=1",
                  "--user bob --delete-config SCRAM-SHA-256,producer_byte_rate"]:
        pair.run("configs", "--alter", *words.split(), words=False)
    alter("config for user alice", "--user", "alice", "--delete-config", "producer_byte_rate")
    alter("config for user bob", "--user", "bob", "--delete-config", "SCRAM-SHA-256")
    wait_for("they are gone", lambda: ours("kafka-configs.sh", *boot, "--describe", "--entity-type", "users")[1].splitlines() == [
        "Quota configs for user-principal 'alice' are consumer_byte_rate=2.5E7",
        "SCRAM credential configs for user-principal 'bob' are SCRAM-SHA-512=iterations=4096"])


@scenario
def server_stop(ctx):
    """kafka-server-start.sh and kafka-server-stop.sh, which finds the server by its id and lets others be."""
    if ctx.is_kafka:
        raise Skip("the names are ours")
    server = ctx.server()
    server.stop()
    node = 1_000_000 + os.getpid()  # nobody else's on this machine
    text = re.sub(r"^node\.id=.*", f"node.id={node}", server.config.read_text(), flags=re.M)
    text = re.sub(r"^(controller\.quorum\.voters=)\d+@", rf"\g<1>{node}@", text, flags=re.M)
    text = re.sub(r"^log\.dirs?=.*", f"log.dirs={ctx.directory / 'other'}", text, flags=re.M)
    config = ctx.directory / "other.properties"
    config.write_text(text)
    equal("format", ours("kafka-storage.sh", "format", "-t", CLUSTER_ID, "-c", config)[0], 0)
    process = ctx.spawn([tool_path("kafka-server-start.sh"), config.name], cwd=ctx.directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    check("it serves", process.stdout.readline().startswith("ready "))
    equal("no such node", ours("kafka-server-stop.sh", f"--node-id={node}1"), (1, "No kafka server to stop\n", ""))
    equal("topics", ours("kafka-topics.sh", "--bootstrap-server", server.bootstrap, "--list"), (0, "", ""))
    equal("stop", ours("kafka-server-stop.sh", f"--node-id={node}"), (0, "", ""))
    equal("a clean end", process.wait(timeout=TOOL_TIMEOUT_S), 0)


@scenario
def completion(ctx):
    """bash completes commands, actions and options with what `millrace completion` prints."""
    if ctx.is_kafka:
        raise Skip("the words are ours")
    path = ctx.directory / "completion.bash"
    path.write_text(ours("millrace", "completion")[1])

    def words(*typed):
        """What bash offers for the last one."""
        script = f"""source {path}
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _millrace millrace "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
            printf '%s\\n' "${{COMPREPLY[@]}}"
            complete -p millrace kafka-topics.sh >&2"""
        done = subprocess.run(["bash", "-c", script, "bash", "millrace", *typed], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
        equal(f"status of bash {done.stderr}", done.returncode, 0)
        check("both are completed", len(done.stderr.splitlines()) == 2, done.stderr)
        return done.stdout.split()
    equal("a command", words("to"), ["topic"])
    equal("commands", sorted(set("topic produce consume group offset config cluster log bench server storage".split()) - set(words(""))), [])
    equal("an action", words("group", "res"), ["reset"])
    equal("an option", words("topic", "create", "orders", "--partitions"), ["--partitions"])
    equal("of files", [words("log", ""), words("storage", "f")], [["dump", "verify", "--help"], ["format", "feature-dependencies"]])
    equal("nothing fits", words("topic", "create", "nosuch"), [])
