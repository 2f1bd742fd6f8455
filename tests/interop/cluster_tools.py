"""Tools of a cluster, ours beside Kafka's on the same three brokers: elections, reassignments, the quorum's voters."""
import json
import os
import re
import signal
import subprocess
import time

from checks import check, equal, loop_is_in_the_log, wait_equal, wait_for
from cli import CLASSES, Pair, essence, ours
from scenario import TOOL_TIMEOUT_S, Skip, scenario
from server import CLUSTER_ID, JAVA, Cluster, MillraceServer

COMBINED = ["broker,controller"] * 3
# A broker that a busy machine holds up keeps what it leads: none of these brokers is fenced but the dead and those that stop.
PROPERTIES = {"default.replication.factor": 2, "min.insync.replicas": 1, "offsets.topic.replication.factor": 3,
              "replica.lag.time.max.ms": 15_000, "auto.leader.rebalance.enable": "false",
              "broker.session.timeout.ms": 15_000, "millrace.broker.silence.ms": 10_000}


def plan(ctx, name, topic, replicas, log_dirs=None):
    """A file that says where the partitions of a topic are to be."""
    partitions = [{"topic": topic, "partition": i, "replicas": r} for i, r in enumerate(replicas)]
    if log_dirs:
        partitions = [p | {"log_dirs": d} for p, d in zip(partitions, log_dirs)]
    path = ctx.directory / name
    path.write_text(json.dumps({"version": 1, "partitions": partitions}))
    return path


def theirs(tool, *args):
    done = subprocess.run(JAVA + [CLASSES[tool], *map(str, args)], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
    return done.returncode, done.stdout, done.stderr


def our_tool(tool, *args):
    return ours(f"kafka-{tool}.sh", *args)


def partitions(cluster, topic):
    """(leader, replicas, ISR sorted) of each partition, as our tool tells it; none while the broker does not know the topic."""
    _, out, _ = ours("millrace", "topic", "describe", topic, "-b", cluster.bootstrap, "--json")
    return [(p["leader"], p["replicas"], sorted(p["isr"])) for p in json.loads(out or "[]")]


def settings(cluster, *whose):
    """NAME=VALUE that are not default."""
    _, out, _ = ours("kafka-configs.sh", "--bootstrap-server", cluster.bootstrap, "--describe", *whose)
    return sorted(re.findall(r"^  (\S+=.*?) sensitive", out, re.M))


def wait_moved(cluster, topic, replicas):
    """Every broker says so: a tool may ask any."""
    for node in cluster.nodes:
        wait_equal(f"replicas of {topic}", lambda: [(r, isr) for _, r, isr in partitions(node, topic)],  # noqa: B023
                   [(r, sorted(r)) for r in replicas], timeout_s=60)


def wait_no_throttle(cluster, topic):
    """Each broker tells of its own settings, as far as it has heard."""
    whose = [["--topic", topic], *(["--broker", i] for i in (1, 2, 3))]
    wait_equal("no throttle is left", lambda: [settings(cluster, *w) for w in whose], [[]] * 4)


@scenario
def reassignments(ctx):
    """kafka-reassign-partitions.sh: the same words, the same effect and throttles; what moves is listed, verified, cancelled."""
    cluster = ctx.cluster(COMBINED, PROPERTIES)
    boot = ["--bootstrap-server", cluster.bootstrap]
    here, there = [[1, 2], [2, 3], [3, 1]], [[2, 3], [3, 1], [1, 2, 3]]
    ours("kafka-topics.sh", *boot, "--create", "--topic", "t", "--replica-assignment", ",".join(":".join(map(str, r)) for r in here))
    wait_moved(cluster, "t", here)
    ctx.java.producer(cluster)
    ctx.java.send("t", [{"partition": i % 3, "value": str(i)} for i in range(300)])
    back, forth = plan(ctx, "back.json", "t", here), plan(ctx, "forth.json", "t", there)
    seen = {}
    for name, run in (("Kafka's", theirs), ("ours", our_tool)):
        said = [run("reassign-partitions", *boot, "--execute", "--reassignment-json-file", forth, "--throttle", 10_000_000)]
        wait_moved(cluster, "t", there)
        said += [settings(cluster, "--topic", "t"), *(settings(cluster, "--broker", i) for i in (1, 2, 3))]
        said.append(run("reassign-partitions", *boot, "--verify", "--reassignment-json-file", forth))
        wait_no_throttle(cluster, "t")
        equal("to go back", our_tool("reassign-partitions", *boot, "--execute", "--reassignment-json-file", back)[0], 0)
        wait_moved(cluster, "t", here)
        seen[name] = [[s[0], *essence(s[1], True)] if isinstance(s, tuple) else s for s in said]
    for mine, kafkas in zip(seen["ours"], seen["Kafka's"], strict=True):
        equal("execute, throttles, verify", mine, kafkas)
    check("throttled", any("leader.replication.throttled.rate=" in s for s in seen["ours"][2]), str(seen["ours"][2]))
    equal("records", sorted(int(r["value"]) for r in ctx.java.read(cluster, "t")), list(range(300)))

    seen = []
    for name, run in (("a", theirs), ("b", our_tool)):  # each moves all replicas of node 1 to the other directory
        dirs = [[str(cluster.node(b).log_dirs[name == "b"]) if b == 1 else "any" for b in r] for r in here]
        moves = ["--reassignment-json-file", plan(ctx, f"dirs-{name}.json", "t", here, dirs)]
        our_tool("reassign-partitions", *boot, "--execute", "--reassignment-json-file", plan(ctx, "other.json", "t", here, [
            [d.replace("/data/" + name, "/data/" + ("b" if name == "a" else "a")) for d in one] for one in dirs]))
        wait_for("in the other directory", lambda: our_tool(
            "reassign-partitions", *boot, "--verify", "--reassignment-json-file", ctx.directory / "other.json")[1].count("completed successfully") == 2)
        said = essence(run("reassign-partitions", *boot, "--execute", *moves, "--replica-alter-log-dirs-throttle", 10_000_000)[1], True)
        wait_for("moved", lambda: our_tool("reassign-partitions", *boot, "--verify", *moves)[1].count("completed successfully") == 2)  # noqa: B023
        seen.append([line.replace("/data/" + name, "/data/x") for line in said if "log_dirs" not in line])
    equal("moves between directories", seen[1], seen[0])
    check("they began", any("Successfully started moving log directory to" in line for line in seen[0]), str(seen[0]))

    pair = Pair(cluster)
    run = lambda *args, **kwargs: pair.run("reassign-partitions", *args, **kwargs)  # noqa: E731
    for words in ["--list", f"--verify --reassignment-json-file {back}", f"--verify --preserve-throttles --reassignment-json-file {forth}",
                  f"--cancel --reassignment-json-file {back}"]:
        run(*words.split())
    for name, replicas, topic in (("unknown.json", [[9, 1]], "t"), ("none.json", [[1]], "nosuch"), ("many.json", [[1]] * 4, "t"),
                                  ("twice.json", [[1, 1]], "t"), ("empty.json", [[]], "t"), ("nothing.json", [], "t")):
        run("--execute", "--reassignment-json-file", plan(ctx, name, topic, replicas), ordered=False)
    run("--execute", "--disallow-replication-factor-change", "--reassignment-json-file", plan(ctx, "more.json", "t", [[1, 2, 3]]))
    for words in ["", "--list --execute", "--execute", "--generate", "--list --throttle 5", f"--verify --additional --reassignment-json-file {back}"]:
        run(*words.split(), words=False)


@scenario
def a_throttled_reassignment(ctx):
    """--throttle: what moves comes in drops while the partition serves on; another throttle acts at once; --verify takes it away."""
    cluster = ctx.cluster(COMBINED, PROPERTIES)
    boot = ["--bootstrap-server", cluster.bootstrap]
    ours("kafka-topics.sh", *boot, "--create", "--topic", "t", "--replica-assignment", "1:2")
    wait_moved(cluster, "t", [[1, 2]])
    status, out, err = ours("kafka-producer-perf-test.sh", *boot, "--topic", "t", "--num-records", 8000, "--record-size", 1000,
                            "--throughput", -1, "--command-property", "acks=all")
    equal("8 MB", (status, err), (0, ""))
    move = ["reassign-partitions", *boot, "--reassignment-json-file", plan(ctx, "forth.json", "t", [[2, 3]])]

    def size():
        _, out, _ = our_tool("log-dirs", *boot, "--describe", "--topic-list", "t", "--broker-list", "3")
        return sum(p["size"] for b in json.loads(out.splitlines()[2])["brokers"] for d in b["logDirs"] for p in d["partitions"])
    status, out, _ = theirs(*move, "--execute", "--throttle", 1000)
    check("execute", status == 0 and "The inter-broker throttle limit was set to 1000 B/s" in out, out)
    wait_for("the first megabyte", lambda: size() > 0)
    time.sleep(3)
    held = size()
    check("no more for eleven seconds", held < 4_000_000, held)
    check("it moves", "t-0: replicas: 2,3,1. adding: 3. removing: 1." in our_tool("reassign-partitions", *boot, "--list")[1])
    for words in ([], ["--under-replicated-partitions"]):  # one that is being added is not missing
        seen = [[re.sub(r"\tConfigs: .*", "", line) for line in run("topics", *boot, "--describe", "--topic", "t", *words)[1].splitlines()]
                for run in (our_tool, theirs)]
        equal(f"described while it moves {words}", *seen)
    check("what is added and removed", "Adding Replicas: 3\tRemoving Replicas: 1" in our_tool("topics", *boot, "--describe")[1])
    ctx.java.producer(cluster)
    ctx.java.send("t", [{"partition": 0, "value": "meanwhile"}])  # acks=all: of those in sync
    status, out, _ = theirs(*move, "--execute", "--additional", "--throttle", 100_000_000)
    equal("another throttle", status, 0)
    wait_moved(cluster, "t", [[2, 3]])
    status, out, _ = theirs(*move, "--verify")
    check("verify", status == 0 and "Clearing broker-level throttles on brokers 1,2,3" in out, out)
    wait_no_throttle(cluster, "t")
    equal("records", len(ctx.java.read(cluster, "t")), 8001)


@scenario
def a_reassignment_that_waits(ctx):
    """A broker that does not follow, nor is fenced: what moves to it is listed, refused a second time, and cancelled."""
    cluster = ctx.cluster(COMBINED, PROPERTIES | {"broker.session.timeout.ms": 60_000, "millrace.broker.silence.ms": 0})
    _, out, _ = our_tool("metadata-quorum", "--bootstrap-server", cluster.bootstrap, "describe", "--status")
    leader = int(re.search(r"LeaderId:\s+(\d)", out)[1])
    still = next(n for n in reversed(cluster.nodes) if n.node_id != leader)
    first, second = (n for n in cluster.nodes if n is not still)
    cluster.bootstrap = f"{first.bootstrap},{second.bootstrap}"
    boot = ["--bootstrap-server", cluster.bootstrap]
    here, there = [[first.node_id, second.node_id]], [[first.node_id, still.node_id]]
    ours("kafka-topics.sh", *boot, "--create", "--topic", "t", "--replica-assignment", f"{here[0][0]}:{here[0][1]}")
    wait_moved(cluster, "t", here)
    forth = ["--reassignment-json-file", plan(ctx, "forth.json", "t", there)]
    pair = Pair(cluster)
    run = lambda *args, **kwargs: pair.run("reassign-partitions", *args, **kwargs)  # noqa: E731
    still.process.send_signal(signal.SIGSTOP)
    try:
        for name, cancel in (("Kafka's", theirs), ("ours", our_tool)):
            equal("execute", our_tool("reassign-partitions", *boot, "--execute", *forth)[0], 0)
            if name == "ours":
                listed = run("--list")
                check("listed", f"t-0: replicas: {first.node_id},{still.node_id},{second.node_id}. adding: {still.node_id}. "
                      f"removing: {second.node_id}." in listed, listed)
                run("--verify", *forth)
                run("--execute", *forth)
            status, out, _ = cancel("reassign-partitions", *boot, "--cancel", "--preserve-throttles", *forth)
            equal(f"cancel by {name}", (status, essence(out, True)),
                  (0, ["Successfully cancelled partition reassignment for: t-0", "None of the specified partition moves are active."]))
            wait_equal("where it was", lambda: [r for _, r, _ in partitions(cluster, "t")], here)
    finally:
        os.kill(still.process.pid, signal.SIGCONT)


@scenario
def generated_plans(ctx):
    """What --generate proposes is spread as Kafka's tool spreads it: as evenly, and ready to be executed."""
    cluster = ctx.cluster(COMBINED, PROPERTIES)
    boot = ["--bootstrap-server", cluster.bootstrap]
    ours("kafka-topics.sh", *boot, "--create", "--topic", "t", "--replica-assignment", ",".join(["1:2"] * 9))
    wait_moved(cluster, "t", [[1, 2]] * 9)
    topics = ctx.directory / "topics.json"
    topics.write_text('{"version": 1, "topics": [{"topic": "t"}]}')
    words = [*boot, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2,3"]

    def shape(text):
        lines = [line for line in text.splitlines() if line]
        check("four lines", len(lines) == 4, text)
        now, proposed = (json.loads(line)["partitions"] for line in (lines[1], lines[3]))
        leaders = sorted(sum(p["replicas"][0] == b for p in proposed) for b in (1, 2, 3))
        replicas = sorted(sum(b in p["replicas"] for p in proposed) for b in (1, 2, 3))
        return lines[0], lines[1], lines[2], len(now), leaders, replicas, [list(p) for p in proposed]
    status, out, _ = our_tool("reassign-partitions", *words)
    equal("generate", (status, shape(out)), (0, shape(theirs("reassign-partitions", *words)[1])))
    proposed = ctx.directory / "proposed.json"
    proposed.write_text(out.splitlines()[-1])
    equal("execute", our_tool("reassign-partitions", *boot, "--execute", "--reassignment-json-file", proposed)[0], 0)
    wait_for("all of them moved", lambda: "still in progress" not in our_tool(
        "reassign-partitions", *boot, "--verify", "--reassignment-json-file", proposed)[1], timeout_s=60)
    pair = Pair(cluster)
    for bad in ("1,2,2", "7", "1"):
        pair.run("reassign-partitions", "--generate", "--topics-to-move-json-file", topics, "--broker-list", bad, words=bad != "1,2,2")
    topics.write_text('{"topics": [{"topic": "nosuch"}]}')
    pair.run("reassign-partitions", "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2")


@scenario
def elections(ctx):
    """kafka-leader-election.sh: preferred leaders of one partition, of a file's and of all; unclean ones; mistakes."""
    cluster = ctx.cluster(COMBINED, PROPERTIES)
    boot = ["--bootstrap-server", cluster.bootstrap]
    ours("kafka-topics.sh", *boot, "--create", "--topic", "t", "--replica-assignment", "1:2,2:1,1:3,3:1")
    wait_moved(cluster, "t", [[1, 2], [2, 1], [1, 3], [3, 1]])
    ways = {"--topic t --partition 0": [1, 2, 3, 3], "--all-topic-partitions": [1, 2, 1, 3]}
    some = ctx.directory / "some.json"
    some.write_text('{"partitions": [{"topic": "t", "partition": 2}, {"topic": "t", "partition": 1}]}')
    ways[f"--path-to-json-file {some}"] = [2, 2, 1, 3]
    for words, leaders in ways.items():
        said = []
        for run in (theirs, our_tool):
            cluster.node(1).restart()
            wait_equal("leaders after node 1 was away", lambda: [(p[0], len(p[2])) for p in partitions(cluster, "t")],
                       [(2, 2), (2, 2), (3, 2), (3, 2)], timeout_s=60)
            status, out, _ = run("leader-election", *boot, "--election-type", "preferred", *words.split())
            said.append((status, [", ".join(sorted(re.split(", | (?=t-)", line))) for line in essence(out, True)]))
            wait_equal(f"leaders after {words}", lambda: [p[0] for p in partitions(cluster, "t")], leaders)
        equal(words, said[1], said[0])
    pair = Pair(cluster)
    bad = ctx.directory / "bad.json"
    bad.write_text('{"partitions": [{"topic": "t", "partition": 0}, {"topic": "t", "partition": 0}]}')
    for words in ["--election-type preferred --topic t --partition 1", "--election-type UNCLEAN --topic t --partition 1",
                  "--election-type preferred --topic t --partition 9", "--election-type unclean --topic nosuch --partition 0",
                  "--election-type preferred", "--election-type preferred --topic t", "--election-type bogus --all-topic-partitions",
                  "--all-topic-partitions", f"--election-type preferred --path-to-json-file {bad}"]:
        pair.run("leader-election", *words.split())


@scenario
def balance_and_decommission(ctx):
    """millrace cluster: a broker that holds nothing gets its share; then it gives all back, is stopped and forgotten. Records
    that are written meanwhile are all there."""
    if ctx.is_kafka:
        raise Skip("that Kafka's cluster takes these requests the others show")
    cluster = ctx.cluster(COMBINED, PROPERTIES)
    boot = ["-b", cluster.bootstrap]
    ours("kafka-topics.sh", "--bootstrap-server", cluster.bootstrap, "--create", "--topic", "t", "--replica-assignment",
         ",".join(["1:2"] * 6))
    wait_moved(cluster, "t", [[1, 2]] * 6)
    status = lambda: {b["broker"]: (b["leaders"], b["replicas"], b["out_of_sync"], b["state"])  # noqa: E731
                      for b in json.loads(ours("millrace", "cluster", "status", *boot, "--json")[1] or "[]")}
    wait_equal("in the beginning", status, {1: (6, 6, 0, "alive"), 2: (0, 6, 0, "alive"), 3: (0, 0, 0, "alive")})
    java = ctx.java
    java.producer(cluster, "java", delivery_timeout_ms=100_000, linger_ms=2)
    java("producer.loop", name="java", topic="t", partitions=6, prefix="java")
    code, out, err = ours("millrace", "cluster", "balance", *boot, "--dry-run")
    check("what would move", code == 0 and "6 partitions to move, 4 replicas to copy." in out, out + err)
    equal("nothing moved", status()[3][1], 0)
    code, out, err = ours("millrace", "cluster", "balance", *boot, "--throttle", 50_000_000)
    check("balance", code == 0 and out.endswith("All of them have moved.\n"), out + err)
    wait_equal("balanced", status, {i: (2, 4, 0, "alive") for i in (1, 2, 3)})
    wait_no_throttle(cluster, "t")
    check("no more", "0 partitions to move" in ours("millrace", "cluster", "balance", *boot)[1])

    leaver = ctx.spawn([str(MillraceServer.binary), "cluster", "decommission", "3", *boot], stdout=subprocess.PIPE)
    said = []
    for line in leaver.stdout:
        said.append(line)
        if "Stop it" in line:
            break
    check("its vote is told of", "Its controller is a voter of the quorum" in "".join(said), said)
    wait_equal("nothing is left there", lambda: status().get(3), (0, 0, 0, "alive"))
    cluster.node(3).stop()
    said.append(leaver.stdout.read())
    equal("decommission", leaver.wait(TOOL_TIMEOUT_S), 0)
    check("unregistered", "Broker 3 is no longer registered." in said[-1], "".join(said))
    wait_equal("who is left", lambda: sorted(status()), [1, 2])
    outcome = java("producer.stop", name="java")
    loop_is_in_the_log("java", outcome, "java", java.read(cluster, "t"))
    code, _, err = ours("millrace", "cluster", "decommission", "2", *boot)
    check("two replicas do not fit on one broker", code == 1 and "start another broker" in err, err)


class Unformatted(MillraceServer):
    def format(self):
        pass


def format_dynamic(node, bootstrap, how):
    """A quorum whose voters are in its log (KIP-853): `how` says whether the node is the first of them. A node of
    Kafka's is formatted with ours, too."""
    text = re.sub(r"^controller\.quorum\.voters=.*$", f"controller.quorum.bootstrap.servers={bootstrap}", node.config.read_text(), flags=re.M)
    node.config.write_text(text)
    subprocess.run([MillraceServer.binary, "storage", "format", "-t", CLUSTER_ID, "-c", str(node.config), how], check=True, capture_output=True)


@scenario
def controllers_join_and_leave(ctx):
    """kafka-metadata-quorum.sh: ours and Kafka's add a controller each to a quorum of one, and remove one each; both describe alike."""
    if ctx.is_kafka:
        raise Skip("that Kafka's quorum takes these requests the others show")
    cluster = Cluster.make(ctx.directory, [Unformatted] * 3, COMBINED, PROPERTIES)
    ctx._servers += cluster.nodes
    first = f"127.0.0.1:{cluster.nodes[0].controller_port}"
    for node in cluster.nodes:
        format_dynamic(node, first, "--standalone" if node.node_id == 1 else "--no-initial-controllers")
    for node in cluster.nodes:
        node.start()
    boot = ["--bootstrap-server", cluster.bootstrap]

    def voters():
        _, out, _ = ours("millrace", "quorum", "voters", "-b", cluster.bootstrap, "--json")
        return sorted((v["node_id"], v["directory_id"]) for v in json.loads(out or "[]") if v["status"] != "Observer")
    directories = {n.node_id: re.search(r"directory\.id=(\S+)", (n.log_dirs[0] / "meta.properties").read_text())[1] for n in cluster.nodes}
    wait_equal("one voter", voters, [(1, directories[1])])
    status, out, err = our_tool("metadata-quorum", *boot, "--command-config", cluster.node(2).config, "add-controller")
    equal("add 2", (status, out, err), (0, f"Added controller 2 with directory id {directories[2]} and endpoints: "
                                           f"CONTROLLER://127.0.0.1:{cluster.node(2).controller_port}\n", ""))
    status, out, err = theirs("metadata-quorum", *boot, "--command-config", cluster.node(3).config, "add-controller")
    equal("add 3", (status, out), (0, f"Added controller 3 with directory id {directories[3]} and endpoints: "
                                      f"CONTROLLER://127.0.0.1:{cluster.node(3).controller_port}\n"))
    wait_equal("three voters", voters, sorted(directories.items()))
    pair = Pair(cluster)
    run = lambda *args, **kwargs: pair.run("metadata-quorum", *args, **kwargs)  # noqa: E731
    mask = lambda text: re.sub(r"\d{2,}|(HighWatermark|MaxFollowerLag\w*):.*", "N", text)  # noqa: E731
    equal("status", *(mask(tool("metadata-quorum", *boot, "describe", "--status")[1]).split() for tool in (our_tool, theirs)))

    def rows(text):
        """The log's end, lags and times move between two questions."""
        names, *lines = (line.split() for line in text.splitlines())
        return names, [(*line[:2], all(n.isdigit() for n in line[2:6]), *line[6:]) for line in lines]
    equal("replication", *(rows(tool("metadata-quorum", *boot, "describe", "--replication")[1]) for tool in (our_tool, theirs)))
    run("--command-config", cluster.node(2).config, "add-controller", "--dry-run")
    for words in (f"remove-controller -i 2 -d {directories[2]} --dry-run", f"remove-controller -i -2 -d {directories[2]}"):
        run(*words.split())
    for words in (f"remove-controller -i 2 -d {directories[3]}", "remove-controller -i 2 -d x",
                  f"--command-config {cluster.node(3).config} add-controller"):  # the last one is a voter already
        run(*words.split(), words=False)
    client = ctx.directory / "client.properties"
    client.write_text("request.timeout.ms=20000\n")
    run("--command-config", client, "add-controller")
    for tool, leaving in ((our_tool, 2), (theirs, 3)):
        status, out, err = tool("metadata-quorum", *boot, "remove-controller", "--controller-id", leaving,
                                "--controller-directory-id", directories[leaving])
        equal(f"remove {leaving}", (status, out), (0, f"Removed  KRaft controller {leaving} with directory id {directories[leaving]}\n"))
    wait_equal("who is left", voters, [(1, directories[1])])


@scenario
def several_brokers(ctx):
    """What tools say that ask several brokers: nodes, log directories, versions, features; a broker that is stopped and forgotten."""
    cluster = ctx.cluster(COMBINED, PROPERTIES)
    pair = Pair(cluster)
    boot = ["--bootstrap-server", cluster.bootstrap]
    ours("kafka-topics.sh", *boot, "--create", "--topic", "t", "--replica-assignment", "1:2,2:3,3:1")
    wait_moved(cluster, "t", [[1, 2], [2, 3], [3, 1]])

    def held(text):
        brokers = json.loads(text.splitlines()[2])["brokers"]
        return text.splitlines()[1], sorted((b["broker"], d["logDir"], sorted(p["partition"] for p in d["partitions"]))
                                            for b in brokers for d in b["logDirs"])
    for words in (["--describe", "--topic-list", "t"], ["--describe", "--topic-list", "t", "--broker-list", "3,1"]):
        mine, kafkas = our_tool("log-dirs", *boot, *words)[1], theirs("log-dirs", *boot, *words)[1]
        equal("log directories", held(mine)[1], held(kafkas)[1])
    nodes = lambda text: sorted(re.findall(r"^(\S+) \(id: (\d+) rack: (\S+)", text, re.M))  # noqa: E731
    equal("nodes", nodes(our_tool("broker-api-versions", *boot)[1]), nodes(theirs("broker-api-versions", *boot)[1]))
    cluster.node(3).stop()
    wait_for("broker 3 is fenced", lambda: "fenced" in our_tool("cluster", "list-endpoints", "--include-fenced-brokers", *boot)[1].replace("unfenced", ""))
    cluster.bootstrap = f"{cluster.node(1).bootstrap},{cluster.node(2).bootstrap}"
    for words in ("list-endpoints", "list-endpoints --include-fenced-brokers", "unregister --id 7"):
        pair.run("cluster", *words.split())
    equal("unregister", our_tool("cluster", "unregister", "--id", 3, "--bootstrap-server", cluster.bootstrap),
          (0, "Broker 3 is no longer registered.\n", ""))
    wait_for("broker 3 is forgotten", lambda: len(our_tool("cluster", "list-endpoints", "--include-fenced-brokers", "--bootstrap-server",
                                                           cluster.bootstrap)[1].splitlines()) == 3)


@scenario
def why_a_partition_is_as_it_is(ctx):
    """millrace why: a broker that leads is killed and comes back, then the controller is; who remembers says why, who cannot is named."""
    if ctx.is_kafka:
        raise Skip("it is about ours")
    cluster = ctx.cluster(["controller", "broker", "broker"], PROPERTIES | {"offsets.topic.replication.factor": 2})
    asked = cluster.node(3).bootstrap
    ours("kafka-topics.sh", "--bootstrap-server", asked, "--create", "--topic", "t", "--replica-assignment", "2:3")

    def why():
        status, out, _ = ours("millrace", "why", "partition", "t-0", "-b", asked, "--json")
        told = json.loads(out) if status == 0 else {"isr": [], "causes": [], "not_asked": []}
        return told | {"isr": sorted(told["isr"]), "not_asked": [n["node"] for n in told["not_asked"]]}

    def wait_told(what, expected, *said):
        """In one answer; a node that is late tells nothing, or of the past. `said`: a node, and words of a cause that it tells."""
        def missing():
            told.clear()
            told.update(why())
            return ([(key, told.get(key)) for key in expected if told.get(key) != expected[key]]
                    + [s for s in said if not any(c["node"] == s[0] and s[1] in c["words"] for c in told["causes"])])
        told = {}
        wait_equal(f"what is missing {what}", missing, [], timeout_s=60)
        return told

    wait_told("when nothing has happened", {"leader": 2, "causes": [], "not_asked": [], "troubled": []})
    cluster.node(2).kill()
    wait_told("when another leads", {"leader": 3, "isr": [3], "troubled": [{"broker": 2, "state": "fenced"}], "not_asked": [2]},
              (1, "is led by broker 3 in epoch 1, before by broker 2; its ISR is [3], before [2,3]: broker 2 is fenced: no heartbeat for "))
    cluster.node(2).start()
    told = wait_told("when it is back", {"isr": [2, 3]}, (3, "broker 2 joins the ISR [3]: it has all up to offset 0, our end is 0"),
                     (1, "its ISR is [2,3], before [3]: broker 3, which leads, asks for it"))
    equal("ages", [c["ago_ms"] for c in told["causes"]], sorted((c["ago_ms"] for c in told["causes"]), reverse=True))
    cluster.node(1).kill()

    def in_words():
        status, out, _ = ours("millrace", "why", "partition", "t-0", "-b", asked)
        return (status, [words for words in ["t-0 is led by broker 3 in epoch 1. Its replicas are [2,3], its ISR is [",
                                             "broker 2 joins the ISR [3]", "The controllers could not be asked: "] if words not in out])
    wait_equal("status, and words that are missing", in_words, (0, []), timeout_s=60)
    cluster.node(1).start()
    cluster.node(2).kill()
    cluster.node(3).kill()
    equal("nobody is there", ours("millrace", "why", "partition", "t-0", "-b", asked)[0], 1)
