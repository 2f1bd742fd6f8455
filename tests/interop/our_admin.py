"""Our admin client's calls that our broker does not answer, from tests/interop/admin_calls.c: ACLs, quotas and more."""
import subprocess
from pathlib import Path

from checks import check, equal, wait_for
from scenario import scenario
from server import KafkaServer

PROGRAM = Path(__file__).resolve().parents[2] / "build/asan/lib/admin_calls"
TIMEOUT_S = 120
ACLS = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true"}
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
"""


@scenario
def what_only_kafka_answers(ctx):
    """Of Kafka, whichever server is under test: ACLs, quotas, SCRAM users, elections, reassignments, groups of both protocols."""
    check("admin_calls is built", PROGRAM.exists(), "tools/build asan lib/admin_calls")
    server = ctx.server(ACLS, server_class=KafkaServer)
    ctx.java.create(server, "t")
    timing = {"classic": {"session_timeout_ms": 20_000}, "modern": {"session_timeout_ms": None, "heartbeat_interval_ms": None}}
    for group, protocol in (("classic", "classic"), ("modern", "consumer")):
        ctx.java.consumer(server, group, topics=["t"], group_id=group, group_protocol=protocol, **timing[group])
        wait_for(f"the assignment in {group}", lambda name=group: len(ctx.java("consumer.assignment", name=name)) == 1)
    done = subprocess.run([str(PROGRAM), server.bootstrap, "t"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    equal("how it ended", (done.returncode, done.stderr), (0, ""))
    equal("what it was told", sorted(done.stdout.splitlines()), sorted(EXPECTED.splitlines()))
