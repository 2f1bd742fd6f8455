"""What an operator meets: starting, stopping, listeners, settings, words when something is wrong, metrics."""
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from functools import wraps
from pathlib import Path

import kcat
from checks import check, equal, wait_equal, wait_for
from scenario import Skip, scenario
from server import CLUSTER_ID, PROPERTIES, STOP_TIMEOUT_S, free_port

REFUSAL_TIMEOUT_S = 60
KCAT = ["kcat", "-m", "60"]  # it gives up asking for metadata after five seconds, else
# Under a sanitizer everything takes longer, and so on a machine that builds at the same time.
SLACK = float(os.environ.get("MILLRACE_INTEROP_SLACK", 1))


def ours(function):
    """About our executable and its words: there is nothing to compare with Kafka."""
    @scenario
    @wraps(function)
    def run(ctx):
        if ctx.is_kafka:
            raise Skip("it is about our executable")
        function(ctx)
    return run


def batch_bytes(segment):
    """Bytes of a segment without the space that is allocated behind its batches."""
    return len(segment.read_bytes().rstrip(b"\0"))


def start_process(ctx, args, env=None):
    """The executable with these words; its standard output until the line `ready`."""
    log = open(ctx.directory / "process.log", "a")
    process = ctx.spawn([str(ctx.server_class.binary), *map(str, args)], stdout=subprocess.PIPE, stderr=log, cwd=ctx.directory,
                        env=os.environ | (env or {}))
    line = process.stdout.readline()
    check("the server says that it is ready", line.startswith("ready "), line + (ctx.directory / "process.log").read_text())
    return process, line


def end(process):
    process.send_signal(signal.SIGTERM)
    equal("exit code after SIGTERM", process.wait(STOP_TIMEOUT_S), 0)


def run(ctx, *args, env=None):
    return subprocess.run([str(ctx.server_class.binary), *map(str, args)], capture_output=True, text=True, cwd=ctx.directory,
                          timeout=REFUSAL_TIMEOUT_S * SLACK, env=os.environ | (env or {}))


def refused(ctx, args, *words, code=1, env=None):
    """The words must be in what the program says before it ends with `code`."""
    done = run(ctx, *args, env=env)
    equal(f"exit code of {' '.join(map(str, args))} ({done.stdout}{done.stderr})", done.returncode, code)
    for word in words:
        check(f"the refusal says {word!r}", word in done.stderr, done.stderr)
    return done.stderr


def new_server(ctx, properties=(), prepare=None):
    """A server with its files, not started."""
    server = ctx.server_class(ctx.directory / f"made{len(list(ctx.directory.glob('made*')))}", properties, prepare)
    ctx._servers.append(server)
    return server


def properties_file(ctx, name, **values):
    port, controller = free_port(), free_port()
    text = PROPERTIES | {
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "log.dirs": ctx.directory / f"{name}-data",
    } | {k.replace("__", "."): v for k, v in values.items()}
    path = ctx.directory / f"{name}.properties"
    path.write_text("".join(f"{k}={v}\n" for k, v in text.items()))
    return path, port


# ---- life


@ours
def journal_is_drained_offline(ctx):
    """What only the journal holds after kill -9 comes into the segments by `storage drain`, and not while a server runs."""
    server = new_server(ctx, {"num.partitions": 1, "log.dirs": ctx.directory / "one"}).start()
    directory = ctx.directory / "one"
    journal = directory / "millrace.journal"
    sent = 0

    def send():
        nonlocal sent
        kcat.produce(server, "t", [("key", f"value {sent}")])
        sent += 1

    send()
    wait_for("two chunks", lambda: len(list(journal.glob("[0-9]*.0*"))) >= 2)
    send()
    refused(ctx, ["storage", "drain", directory], "is in use by another process")
    for _ in range(20):
        send()
    server.kill()
    segment, = (directory / "t-0").glob("*.log")
    before = batch_bytes(segment)
    done = run(ctx, "storage", "drain", directory)
    equal(f"drain ({done.stderr})", done.returncode, 0)
    check("what it says", re.match(r"Drained the journal of \S+: [1-9]\d* bytes written to 1 segment of 1 partition", done.stdout), done.stdout)
    check("the journal is gone", not journal.exists())
    check("the segment has grown", batch_bytes(segment) > before, f"{before} {batch_bytes(segment)}")
    check("drained again", "has no journal" in run(ctx, "storage", "drain", directory).stdout)
    server.start()
    equal("records", kcat.pairs(kcat.consume(server, "t")), [("key", f"value {n}") for n in range(sent)])
    server.stop()
    check("no journal after a clean stop", not journal.exists())


@ours
def starts_and_stops_in_no_time(ctx):
    """Ready soon after the exec, gone soon after SIGTERM, also with clients that are connected and idle. A busy machine may
    hold up one of three; each of them waits for nothing."""
    def took(act):
        began = time.monotonic()
        act()
        return time.monotonic() - began

    servers = [new_server(ctx) for _ in range(3)]
    started = [took(server.start) for server in servers]
    check("a first start takes less than a second", min(started) < 1 * SLACK, str(started))
    server = servers[0]
    kcat.produce(server, "t", [("k", "v")])
    stopped = []
    for _ in range(3):
        consumer = ctx.spawn([*KCAT, "-b", server.bootstrap, "-C", "-t", "t", "-q", "-u"], stdout=subprocess.PIPE)
        equal("what the consumer reads", consumer.stdout.readline(), "v\n")
        stopped.append(took(server.stop))
        server.start()
    check("a stop takes less than a second", min(stopped) < 1 * SLACK, str(stopped))
    equal("what is there", [r["payload"] for r in kcat.consume(server, "t")], ["v"])


@ours
def stops_under_load(ctx):
    """SIGTERM while producers and consumers are at work: a clean stop all the same, and soon."""
    server = ctx.server()
    stopped = []
    for n in range(3):
        kcat.produce(server, "load", [("k", f"some-value-{n}")])
        feeder = ctx.spawn(["sh", "-c", f"yes some-value-{n} | kcat -b {server.bootstrap} -P -t load -X linger.ms=1"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        reader = ctx.spawn([*KCAT, "-b", server.bootstrap, "-C", "-t", "load", "-q", "-u"], stdout=subprocess.PIPE)
        check("records flow", reader.stdout.readline().startswith("some-value-"))
        began = time.monotonic()
        server.stop()
        stopped.append(time.monotonic() - began)
        os.killpg(feeder.pid, signal.SIGKILL)
        reader.kill()
        for d in server.log_dirs:
            check(f"{d} is marked clean", (d / ".kafka_cleanshutdown").exists())
        server.start()
    check("a stop takes less than three seconds", min(stopped) < 3 * SLACK, str(stopped))  # a busy machine may hold up one


@ours
def without_a_file(ctx):
    """`millrace server` alone makes its directory; port 0 takes any, and tells it."""
    data = ctx.directory / "data"
    args = ["server", "--override", f"log.dirs={data}", "--override", "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"]
    process, line = start_process(ctx, args)
    found = re.fullmatch(r"ready node=1 listeners=PLAINTEXT://127\.0\.0\.1:(\d+)\n", line)
    check("the line tells node and listener", found, line)
    bootstrap = f"127.0.0.1:{found[1]}"
    subprocess.run([*KCAT, "-b", bootstrap, "-P", "-t", "t"], input="hello\n", text=True, check=True, timeout=60)
    metadata = json.loads(subprocess.run([*KCAT, "-b", bootstrap, "-L", "-J"], capture_output=True, text=True, check=True).stdout)
    equal("brokers", metadata["brokers"], [{"id": 1, "name": bootstrap}])
    end(process)
    process, line = start_process(ctx, args)
    bootstrap = line.rsplit("/", 1)[1].strip()
    got = subprocess.run([*KCAT, "-b", bootstrap, "-C", "-t", "t", "-e", "-q"], capture_output=True, text=True, check=True).stdout
    equal("what is there after a restart on another port", got, "hello\n")
    end(process)


@ours
def clients_are_sent_back_to_their_own_listener(ctx):
    """Two listeners for clients with names of their own, with one and with several shards."""
    inner, outer = free_port(), free_port()
    for shards in [1, 3]:
        server = new_server(ctx, {
            "listeners": f"INNER://127.0.0.1:{inner},OUTER://0.0.0.0:{outer},CONTROLLER://127.0.0.1:{{controller_port}}",
            "advertised.listeners": f"INNER://127.0.0.1:{inner},OUTER://localhost:{outer}",
            "listener.security.protocol.map": "INNER:PLAINTEXT,OUTER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INNER",
            "millrace.shards": shards,
        })
        process, line = start_process(ctx, ["server", server.config])
        equal("the line `ready`", line, f"ready node=1 listeners=INNER://127.0.0.1:{inner},OUTER://localhost:{outer}\n")
        for port, name in [(inner, f"127.0.0.1:{inner}"), (outer, f"localhost:{outer}")]:
            for _ in range(8):  # connections that several shards accept
                told = subprocess.run([*KCAT, "-b", f"127.0.0.1:{port}", "-L", "-J"], capture_output=True, text=True, check=True)
                equal(f"brokers by port {port}", json.loads(told.stdout)["brokers"], [{"id": 1, "name": name}])
        subprocess.run([*KCAT, "-b", f"127.0.0.1:{inner}", "-P", "-t", "t"], input="a\nb\n", text=True, check=True, timeout=60)
        got = subprocess.run([*KCAT, "-b", f"127.0.0.1:{outer}", "-C", "-t", "t", "-e", "-q"], capture_output=True, text=True,
                             timeout=90, check=True).stdout
        equal("records by the other listener", got, "a\nb\n")
        end(process)


# ---- a start that is refused


@ours
def a_second_start_is_refused(ctx):
    """On the same directory, and on the same port: words that say what to do; the first one is not disturbed."""
    for shards in [1, 3]:
        server = new_server(ctx, {"millrace.shards": shards}).start()
        kcat.produce(server, "t", [("k", "v")])
        other, _ = properties_file(ctx, f"same-dir-{shards}", log__dirs=",".join(map(str, server.log_dirs)))
        refused(ctx, ["server", other], str(server.log_dirs[0]), "in use")
        other, _ = properties_file(ctx, f"same-port-{shards}", listeners=f"PLAINTEXT://{server.bootstrap},CONTROLLER://127.0.0.1:{free_port()}",
                                   millrace__shards=shards)
        equal("format", run(ctx, "storage", "format", "-t", CLUSTER_ID, "-c", other).returncode, 0)
        refused(ctx, ["server", other], f"cannot listen on PLAINTEXT://{server.bootstrap}", "listeners")
        equal("the first server's record", [r["payload"] for r in kcat.consume(server, "t")], ["v"])
        server.stop()


@ours
def directories_must_be_this_nodes(ctx):
    """Not formatted, of another node, of two clusters, not a directory at all."""
    fresh, _ = properties_file(ctx, "fresh")
    refused(ctx, ["server", fresh], "not every log directory is formatted", "storage format")

    server = new_server(ctx)
    meta = server.log_dirs[1] / "meta.properties"
    written = meta.read_text()
    meta.write_text(written.replace("node.id=1", "node.id=2"))
    refused(ctx, ["server", server.config], str(meta), "node 2", "node.id is 1")
    meta.write_text(written.replace(CLUSTER_ID, "b3RoZXJjbHVzdGVyMDAwMQ"))
    refused(ctx, ["server", server.config], str(meta), "b3RoZXJjbHVzdGVyMDAwMQ", CLUSTER_ID)
    meta.write_text("what is this")
    refused(ctx, ["server", server.config], str(meta))
    meta.write_text(written)
    shutil.rmtree(server.log_dirs[0])
    refused(ctx, ["server", server.config], "not every log directory is formatted")
    server.log_dirs[0].write_text("a file")
    refused(ctx, ["server", server.config], str(server.log_dirs[0]))


@ours
def formatting_twice_is_refused(ctx):
    """As Kafka's tool: once, or with --ignore-formatted."""
    config, _ = properties_file(ctx, "twice")
    equal("the first time", run(ctx, "storage", "format", "-t", CLUSTER_ID, "-c", config).returncode, 0)
    refused(ctx, ["storage", "format", "-t", CLUSTER_ID, "-c", config], "already formatted")
    equal("with --ignore-formatted", run(ctx, "storage", "format", "-t", CLUSTER_ID, "-c", config, "--ignore-formatted").returncode, 0)
    refused(ctx, ["storage", "format", "-t", "not a uuid", "-c", config], "not a uuid")


@ours
def a_broker_whose_quorum_is_not_there(ctx):
    """It waits as long as it is told to, and says what to look for."""
    config, _ = properties_file(ctx, "broker", process__roles="broker", listeners=f"PLAINTEXT://127.0.0.1:{free_port()}",
                                controller__quorum__voters=f"2@127.0.0.1:{free_port()}",
                                initial__broker__registration__timeout__ms="1000")
    equal("format", run(ctx, "storage", "format", "-t", CLUSTER_ID, "-c", config).returncode, 0)
    refused(ctx, ["server", config], "initial.broker.registration.timeout.ms", "the controllers run")


# ---- settings


@ours
def settings_are_explained(ctx):
    """A name that nobody knows is said and does no harm; a value that cannot be is refused with what can."""
    server = new_server(ctx)
    with server.config.open("a") as f:
        f.write("log.retention.hour=5\nno.such.thing.at.all=1\nbackground.threads=7\n")
    server.start()
    said = server.log_text()
    check("the nearest name is told", "log.retention.hour" in said and "did you mean log.retention.hours" in said, said)
    check("a name far from all is told", "no.such.thing.at.all" in said, said)
    check("a setting without effect is told", re.search(r"without effect yet: .*background\.threads", said), said)
    server.stop()
    for line, words in [
        ("log.segment.bytes=12", ["log.segment.bytes", "12"]),
        ("log.retention.ms=soon", ["log.retention.ms", "soon"]),
        ("compression.type=rar", ["compression.type", "rar", "zstd"]),
        ("listeners=PLAINTEXT//127.0.0.1:9092", ["listeners"]),
        ("listeners=WHAT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093", ["WHAT", "listener.security.protocol.map"]),
        ("process.roles=captain", ["process.roles", "captain"]),
        ("node.id=-3", ["node.id"]),
        ("millrace.metrics.listener=nonsense", ["millrace.metrics.listener", "HOST:PORT"]),
    ]:
        refused(ctx, ["server", server.config, "--override", line], *words)
    refused(ctx, ["server", server.config, "--override", "no-equals-sign"], "KEY=VALUE")
    refused(ctx, ["server", ctx.directory / "nothing-here"], "nothing-here", "No such file")
    refused(ctx, ["server", "--frobnicate"], "--frobnicate", code=2)
    refused(ctx, ["frobnicate"], "frobnicate", "--help", code=2)


@ours
def settings_come_from_four_places(ctx):
    """File, ${env:...} in it, KAFKA_ variables, --override: the later ones win."""
    server = new_server(ctx)
    with server.config.open("a") as f:
        f.write("num.partitions=${env:PARTITIONS}\n")

    def partitions_with(*overrides, **env):
        process, _ = start_process(ctx, ["server", server.config, *overrides], env)
        topic = f"t{time.monotonic_ns()}"
        subprocess.run([*KCAT, "-b", server.bootstrap, "-P", "-t", topic], input="x\n", text=True, check=True, timeout=60)
        told = json.loads(kcat.kcat(server, "-L", "-J", "-t", topic))
        end(process)
        return len(told["topics"][0]["partitions"])

    equal("from the file", partitions_with(PARTITIONS="3"), 3)
    equal("from the environment", partitions_with(PARTITIONS="3", KAFKA_NUM_PARTITIONS="4"), 4)
    equal("from an override", partitions_with("--override", "num.partitions=5", PARTITIONS="3", KAFKA_NUM_PARTITIONS="4"), 5)
    refused(ctx, ["server", server.config], "KAFKA_NUM_PARTITIONS", "many",
            env={"KAFKA_NUM_PARTITIONS": "many", "PARTITIONS": "1"})


@ours
def help_is_there(ctx):
    for args, words in [
        (["--help"], ["millrace server", "storage format"]),
        ([], ["usage"]),
        (["server", "--help"], ["--override", "SIGTERM"]),
        (["storage", "--help"], ["format", "random-uuid"]),
        (["settings", "segment"], ["log.segment.bytes", "default: 1073741824"]),
        (["version"], ["millrace "]),
    ]:
        done = run(ctx, *args)
        equal(f"exit code of {args}", done.returncode, 0)
        for word in words:
            check(f"{args} says {word!r}", word in done.stdout, done.stdout)


def processes_of(config):
    """Those that have been started with this file, and have not ended."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(config).encode() in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            pass  # it has ended meanwhile
    return found


@ours
def start_in_the_background(ctx):
    """kafka-server-start.sh -daemon returns at once, and the server serves; what it says is in LOG_DIR."""
    server = new_server(ctx)
    start = ctx.directory / "kafka-server-start.sh"
    start.symlink_to(server.binary)
    logs = ctx.directory / "logs-of-the-server"

    def words(*args):
        return subprocess.run([start, *map(str, args)], capture_output=True, text=True, cwd=ctx.directory, timeout=REFUSAL_TIMEOUT_S * SLACK,
                              env=os.environ | {"LOG_DIR": str(logs)})
    done = words("-daemon", server.config)
    equal("status, output", (done.returncode, done.stdout), (0, ""))  # what is wrong with settings is said here
    out = wait_for("ready", lambda: "ready node=1" in (text := (logs / "kafkaServer.out").read_text()) and text)
    pid, = processes_of(server.config)
    try:
        kcat.produce(server, "t", [("k", "one")])
        equal("its session", os.getsid(pid), pid)
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_for("its end", lambda: not processes_of(server.config))
    check("one log", out in (logs / "kafkaServer.out").read_text())
    logs.joinpath("kafkaServer.out").unlink()
    logs.rmdir()
    logs.write_text("a file is in the way")
    done = words("-daemon", server.config)
    check("why not", done.returncode == 1 and str(logs) in done.stderr and "LOG_DIR" in done.stderr, done.stderr)
    done = words("--version")
    check("version", done.returncode == 0 and re.fullmatch(r"4\.\d+\.\d+ \(millrace \S+\)\n", done.stdout), done.stdout)


# ---- what is there to be seen


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as page:
        equal("type of the page", page.headers.get_content_type(), "text/plain")
        lines = page.read().decode().splitlines()
    values = {}
    for line in lines:
        if line.startswith("#"):
            continue
        name, value = line.rsplit(" ", 1)
        check("every number is there once", name not in values, line)
        values[name] = float(value)
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    for name in values:
        base = re.sub(r"\{.*", "", name)
        check(f"{base} has a type", base in typed or re.sub(r"_(sum|count|bucket)$", "", base) in typed)
    return values


@ours
def metrics_tell_what_happened(ctx):
    """The page's numbers before and after known work, and after the topic is gone."""
    for shards in [1, 3]:
        port = free_port()
        server = new_server(ctx, {"millrace.metrics.listener": f"127.0.0.1:{port}", "millrace.shards": shards,
                                  "num.partitions": 3}).start()
        equal("state", scrape(port)["kafka_server_kafkaserver_brokerstate"], 3)
        kcat.produce(server, "t", [(f"k{i}", f"v{i}") for i in range(100)])
        equal("records read", len(kcat.consume(server, "t")), 100)
        got = scrape(port)
        equal("records", got['kafka_server_brokertopicmetrics_messagesin_total{topic="t"}'], 100)
        equal("ends", sum(got[f'kafka_log_log_logendoffset{{topic="t",partition="{p}"}}'] for p in range(3)), 100)
        check("bytes in", got['kafka_server_brokertopicmetrics_bytesin_total{topic="t"}'] > 400)
        check("bytes out", got['kafka_server_brokertopicmetrics_bytesout_total{topic="t"}'] > 400)
        equal("partitions", got["kafka_server_replicamanager_partitioncount"], 3)
        equal("leaders", got["kafka_server_replicamanager_leadercount"], 3)
        for api in ["Produce", "Fetch", "Metadata", "ApiVersions"]:
            check(f"{api} requests", got[f'kafka_network_requestmetrics_requests_total{{request="{api}"}}'] > 0)
        size = got['kafka_log_log_size{topic="t",partition="0"}']
        written = sum(batch_bytes(f) for d in server.log_dirs for f in Path(d).glob("t-0/*.log"))
        check("size of a log", size > 0 and size >= written, f"{size} {written}") # the newest may lie in the journal
        wait_for("connections are counted down", lambda: scrape(port)["kafka_server_socket_server_metrics_connection_count"] == 0)
        why = urllib.request.urlopen(f"http://127.0.0.1:{port}/why/t-2", timeout=60).read().decode()
        check("why a partition is as it is", why.startswith("Broker 1 leads in epoch 0; its replicas are [1], its ISR is [1].\n"), why)
        for path, code in [("/", 404), ("/metrics/x", 404), ("/why/t-3", 404), ("/why/t", 404), ("/why/-1", 404)]:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60)
                raise AssertionError(f"{path} was answered")
            except urllib.error.HTTPError as e:
                equal(f"status of {path}", e.code, code)
        server.stop()
    taken = free_port()
    server = new_server(ctx, {"millrace.metrics.listener": f"127.0.0.1:{taken}"})
    refused(ctx, ["server", server.config, "--override", f"millrace.metrics.listener=127.0.0.1:{server.port}"],
            "millrace.metrics.listener", str(server.port))


@ours
def directories_are_filled_alike(ctx):
    """Partitions go where the fewest are, with one shard and with several."""
    for shards in [1, 3]:
        server = new_server(ctx, {"millrace.shards": shards, "num.partitions": 24}).start()
        kcat.produce(server, "t", [(f"k{i}", "v") for i in range(200)])
        def count():
            return [len(list(Path(d).glob("t-*"))) for d in server.log_dirs]

        wait_equal("partitions in all", lambda: sum(count()), 24)  # each shard makes its own
        counts = count()
        check("both directories have about half", min(counts) >= 9, str(counts))
        server.kill_restart()
        equal("partitions after kill -9", count(), counts)
        equal("records", len(kcat.consume(server, "t")), 200)
        server.stop()
