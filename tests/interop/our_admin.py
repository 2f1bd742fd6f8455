"""Our admin client's calls that our broker does not answer, from tests/interop/admin_calls.c: ACLs, quotas, users, transactions."""
import subprocess
from pathlib import Path

from checks import check, equal, wait_for
from scenario import scenario
from server import JAVA, KafkaServer

PROGRAM = Path(__file__).resolve().parents[2] / "build/asan/lib/admin_calls"
TIMEOUT_S = 120
ACLS = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true"}
STILL = {"broker.session.timeout.ms": 60_000}  # its JVM may stand still for a while: it goes on leading
SHARE = "org.apache.kafka.tools.consumer.ConsoleShareConsumer"
EXPECTED = """\
create: or -1 ok
create: g -1 ok
create: t -1 INVALID_REQUEST
described: 2:or 4 User:alice from * may 3 3 ok
deleted: 2:or 4 User:alice from * may 3 3 ok
left: 3:g 3 User:bob from 10.0.0.1 may 3 2 ok
set: user=alice ok
set: client-id=<default> INVALID_REQUEST
of alice: user=alice producer_byte_rate 1000 ok
unset: user=alice ok
users: nobody 0 RESOURCE_NOT_FOUND
elect: t 0 ELECTION_NOT_NEEDED
elect: t 7 UNKNOWN_TOPIC_OR_PARTITION
reassign: t 0 ok
to nowhere: t 0 INVALID_REPLICA_ASSIGNMENT
cancel: t 0 NO_REASSIGNMENT_IN_PROGRESS
under way: 0
groups: classic Classic Stable range ok 1 has 1
groups: modern Consumer Stable uniform ok 1 has 1
groups: nosuch Classic Dead - GROUP_ID_NOT_FOUND 0
SCRAM set: carol -1 ok
SCRAM set: dave -1 ok
SCRAM set: nobody -1 RESOURCE_NOT_FOUND
SCRAM: carol 2 8192 ok
SCRAM: dave 1 4096 ok
SCRAM unset: carol -1 ok
SCRAM unset: dave -1 ok
token made: trouble: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
token renewed: trouble: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
token ended: trouble: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
tokens: trouble: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
tokens: 0
features: metadata.version 1 epoch yes
feature: share.version -1 ok
no feature: beauty -1 INVALID_UPDATE_VERSION
voter: 9 -1 UNSUPPORTED_VERSION
no voter: 9 -1 UNSUPPORTED_VERSION
broker gone: 77 -1 BROKER_ID_NOT_REGISTERED
move: t 0 LOG_DIR_NOT_FOUND
with settings: __consumer_offsets -1 ok
with settings: __transaction_state -1 ok
with settings: __share_group_state -1 ok
with settings: t -1 ok
leave: member ok
leave: ghost UNKNOWN_MEMBER_ID
leave all of static: fixed ok
leave all of modern: member ok
leave all: trouble: GROUP_ID_NOT_FOUND
share: shared Share 1 ok
share: nosuch Share 0 GROUP_ID_NOT_FOUND
share offsets: t-0 known ok
share set: trouble: NON_EMPTY_GROUP
share gone: trouble: NON_EMPTY_GROUP
streams: nosuch GROUP_ID_NOT_FOUND
transactions: tx Ongoing on 1 with 0 ok
ongoing: tx Ongoing on 1 with 0 ok
transaction: tx Ongoing on 1 with 1 ok
transaction: nosuch  on 1 with 0 TRANSACTIONAL_ID_NOT_FOUND
producers: t-0 sequence 0, transaction open
abort: t 0 ok
producers after: transaction none
fence: tx -1 ok
"""


@scenario
def what_only_kafka_answers(ctx):
    """Of Kafka, whichever server is under test: ACLs, quotas, users, tokens, elections, reassignments, features, groups of
    all protocols, transactions."""
    check("admin_calls is built", PROGRAM.exists(), "tools/build asan lib/admin_calls")
    server = ctx.server(ACLS | STILL, server_class=KafkaServer)
    ctx.java.create(server, "t")
    ctx.spawn(JAVA + [SHARE, "--bootstrap-server", server.bootstrap, "--topic", "t", "--group", "shared"],
              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ctx.java.producer(server, "tx", transactional_id="tx", transaction_timeout_ms=600_000)
    ctx.java("producer.init", name="tx")
    ctx.java.transaction(server, "tx")
    ctx.java.send("t", [{"partition": 0, "value": "v"}], name="tx")
    timing = {"classic": {"session_timeout_ms": 120_000}, "modern": {"session_timeout_ms": None, "heartbeat_interval_ms": None},
              "static": {"session_timeout_ms": 120_000, "group_instance_id": "fixed"}}
    for group, protocol in (("classic", "classic"), ("modern", "consumer"), ("static", "classic")):
        ctx.java.consumer(server, group, topics=["t"], group_id=group, group_protocol=protocol, **timing[group])
        wait_for(f"the assignment in {group}", lambda name=group: len(ctx.java("consumer.assignment", name=name)) == 1)
    # A member of the new protocol says that it has what it was assigned when it has it.
    wait_for("all groups are stable", lambda: {g for g, has in ctx.java.admin(server, "listGroups").items() if has["state"] == "Stable"}
             >= set(timing))
    # Made when the share consumer, a JVM of its own, has come so far: it is among those that are listed with their settings.
    wait_for("the topic of share groups", lambda: "__share_group_state" in ctx.java.admin(server, "listTopics", internal=True), 100)
    done = subprocess.run([str(PROGRAM), server.bootstrap, "t"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    equal("how it ended", (done.returncode, done.stderr), (0, ""))
    equal("what it was told", sorted(done.stdout.splitlines()), sorted(EXPECTED.splitlines()))
