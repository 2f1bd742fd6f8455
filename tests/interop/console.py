"""Our console producer and consumer beside Kafka's: what one writes the other prints, the same columns, the same statuses; pipes and signals."""
import base64
import json
import re
import signal
import subprocess

from checks import check, equal
from cli import ours, tool_path
from scenario import TOOL_TIMEOUT_S, scenario
from server import JAVA

PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
PATIENT = ["--request-timeout-ms", 30_000]  # 1500 is the default, for a server that never stands still
SILENT = ["--timeout-ms", 15_000]  # long enough for a JVM to join a group, and read
NOTICE = re.compile(r"^Option --\S+ is deprecated.*\n", re.M)  # Kafka prints it among the records, we on standard error

# Without print.epoch: Kafka's console consumer loses it before its formatter sees it.
COLUMNS = [f"print.{name}=true" for name in ["timestamp", "partition", "offset", "delivery", "headers", "key"]]


def theirs(main_class, *args, stdin=None):
    done = subprocess.run(JAVA + [main_class, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
    return done.returncode, NOTICE.sub("", done.stdout), done.stderr


def objects(text):
    """Kafka prints the JSON of internal topics without ends of lines."""
    found, at = [], 0
    while at < len(text):
        value, at = json.JSONDecoder().raw_decode(text, at)
        found.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def properties(option, *pairs):
    return [word for pair in pairs for word in (option, pair)]


@scenario
def records(ctx):
    """Lines with keys and headers, written by each, printed by each with all columns; offsets, limits, formatters, mistakes."""
    server = ctx.server()
    ctx.java.create(server, "t")
    at = ["--bootstrap-server", server.bootstrap, "--topic", "t"]
    reader = properties("--reader-property", "parse.key=true", "parse.headers=true", "null.marker=N")
    lines = "a:1,b:x:y\tk\tv\nN\tN\tN\nh:N\tkey\t\nü:ö\tä\tß\n"
    for produce in [lambda: theirs(PRODUCER, *at, *PATIENT, *reader, stdin=lines),
                    lambda: ours("kafka-console-producer.sh", *at, *PATIENT, *reader, stdin=lines)]:
        equal("produce", produce()[::2], (0, ""))
    for words in [["--from-beginning", "--max-messages", 8, *properties("--formatter-property", *COLUMNS)],
                  ["--partition", 0, "--offset", 5, "--max-messages", 2, "--property", "print.key=true", "--property", "null.literal=~"],
                  ["--partition", 0, "--offset", "earliest", "--max-messages", 3,
                   *properties("--formatter-property", "print.value=false", "print.offset=true", "line.separator=|")],
                  ["--from-beginning", *SILENT, "--isolation-level", "read_committed"],
                  ["--partition", 0, "--offset", 9, "--timeout-ms", 1000, "--formatter", "org.apache.kafka.tools.consumer.NoOpMessageFormatter"],
                  ["--partition", 0, "--from-beginning", "--max-messages", 1, "--formatter-property", "key.separator=-",
                   *properties("--formatter-property", "print.key=true", "print.headers=true", "headers.separator=;")]]:
        want, got = theirs(CONSUMER, *at, *words), ours("kafka-console-consumer.sh", *at, *words)
        equal(f"{words}", got[:2], want[:2])
        last = lambda text: [line for line in text.splitlines() if line.startswith("Processed")]  # noqa: E731
        equal(f"{words}: the last word", last(got[2]), last(want[2]))
    for words in [["--offset", 3], ["--group", "g", "--partition", 0], ["--include", "x"], ["--partition", 0, "--offset", "-7"],
                  ["--from-beginning", "--command-property", "auto.offset.reset=latest"]]:
        equal(f"{words}: status", ours("kafka-console-consumer.sh", *at, *words)[0], theirs(CONSUMER, *at, *words)[0])
    status, _, said = theirs(PRODUCER, *at, *reader, stdin="no separator\n")
    mistake = ours("kafka-console-producer.sh", *at, *reader, stdin="no separator\n")
    equal("a line without a separator", (mistake[0], mistake[2].split(": ", 1)[1].strip() in said), (status, True))


@scenario
def groups(ctx):
    """A group: what was printed is committed, also by SIGINT; the next of either kind goes on there; a closed pipe."""
    server = ctx.server()
    ctx.java.create(server, "t", partitions=2)
    at = ["--bootstrap-server", server.bootstrap, "--topic", "t"]
    in_group = [*at, "--group", "g", "--from-beginning"]
    equal("produce", ours("kafka-console-producer.sh", *at, *PATIENT, "--sync", stdin="".join(f"{i}\n" for i in range(20)))[0], 0)
    seen = ours("kafka-console-consumer.sh", *in_group, "--max-messages", 5)[1].split()
    equal("the first five", len(seen), 5)
    seen += theirs(CONSUMER, *in_group, "--max-messages", 5)[1].split()
    process = ctx.spawn([tool_path("kafka-console-consumer.sh"), *in_group], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    seen += [process.stdout.readline().strip() for _ in range(10)]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=TOOL_TIMEOUT_S)
    equal("interrupted", (process.returncode, said), (130, "Processed a total of 10 messages\n"))
    equal("all, each once", sorted(map(int, seen)), list(range(20)))
    rows = ours("millrace", "group", "describe", "g", "-b", server.bootstrap, "--json")[1]
    equal("committed", sorted(r["lag"] for r in json.loads(rows)), [0, 0])
    for formatter in ["OffsetsMessageFormatter", "GroupMetadataMessageFormatter"]:
        words = ["--bootstrap-server", server.bootstrap, "--topic", "__consumer_offsets", "--from-beginning", *SILENT,
                 "--formatter", f"org.apache.kafka.tools.consumer.{formatter}"]
        lines = [json.loads(line) for line in ours("kafka-console-consumer.sh", *words)[1].splitlines()]
        check(f"{formatter}: some", len(lines) > 1)
        of_g = lambda found: [o for o in found if o["key"]["data"]["group"] == "g"]  # noqa: E731 - Kafka's consumer joins one of its own
        equal(formatter, of_g(lines), of_g(objects(theirs(CONSUMER, *words)[1])))
    many = "".join(f"{i:0100}\n" for i in range(20_000))  # more than a pipe holds
    equal("many", ours("kafka-console-producer.sh", *at, *PATIENT, stdin=many)[0], 0)
    done = subprocess.run(f"{tool_path('kafka-console-consumer.sh')} {' '.join(at)} --from-beginning | head -n 1", shell=True,
                          capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
    check("a closed pipe", done.stdout.count("\n") == 1 and done.stderr.startswith("Processed a total of "), done)


@scenario
def own_words(ctx):
    """millrace produce and consume: any bytes through JSON and back; lines that come while it runs; an end that is clean."""
    server = ctx.server()
    ctx.java.create(server, "t")
    boot = ["-b", server.bootstrap]
    raw = bytes(range(256))
    wanted = [{"value": "plain", "key": None, "headers": []}, {"value": {"base64": base64.b64encode(raw).decode()}, "key": "k\u00fc\n",
              "headers": [{"key": "h", "value": None}, {"key": "h", "value": "\U0001f600"}]}, {"value": None, "key": "", "headers": []}]
    for topic in ["t", "u"]:
        text = "".join(json.dumps(r) + "\n" for r in wanted)
        equal("produce", ours("millrace", "produce", topic, "--json", *boot, stdin=text), (0, "", ""))
        status, out, _ = ours("millrace", "consume", topic, "--json", *boot, "--from-beginning", "--max-messages", 3)
        got = [json.loads(line) for line in out.splitlines()]
        equal("records", (status, [{name: r[name] for name in ("value", "key", "headers")} for r in got]), (0, wanted))
    reader = ctx.spawn([tool_path("millrace"), "consume", "v", *boot, "--from-beginning"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    writer = ctx.spawn([tool_path("millrace"), "produce", "v", *boot], stdin=subprocess.PIPE)
    for line in ["first\n", "x" * 1000 + "\n"]:
        writer.stdin.write(line)
        writer.stdin.flush()
        equal("a line as it comes", reader.stdout.readline(), line)
    reader.send_signal(signal.SIGTERM)
    equal("ended", reader.wait(timeout=TOOL_TIMEOUT_S), 143)
    writer.send_signal(signal.SIGINT)
    equal("ended while it waits for input", writer.wait(timeout=TOOL_TIMEOUT_S), 130)
    status, _, said = ours("millrace", "produce", "t", "--json", *boot, stdin="{}\nnonsense\n")
    equal("nonsense", (status, said), (1, "millrace produce: line 2: this is no JSON object\n"))
