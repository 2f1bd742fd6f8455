"""Three nodes in network namespaces whose links are cut, one way and both, under traffic: nothing acknowledged is lost,
nothing comes twice."""
import json
import subprocess
from pathlib import Path

from checks import check, equal, wait_equal, wait_for
from cluster import LATE_DEATH, PARTITIONS, Traffic, active_controller, all_is_there
from cluster_faults import TOPIC, new_cluster
from network import CLIENTS, Network
from scenario import scenario

ALL = [3] * PARTITIONS


def in_sync(node):
    """Sizes of the ISRs as this node knows them: one that is cut off tells of the past. None when it does not tell."""
    done = subprocess.run(["kcat", "-b", node.bootstrap, "-L", "-J", "-t", TOPIC, "-m", "3"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        return None
    return [len(p["isrs"]) for topic in json.loads(done.stdout)["topics"] for p in topic["partitions"]] or None


def under_cuts(ctx, cuts):
    """Each of `cuts`, a name and a function of the network and the active controller's node id, until others have
    noticed and all producers have gone on but those that are named; then everything heals."""
    with Network(3) as network:
        cluster = new_cluster(ctx, properties=LATE_DEATH, adapt=network.adapt)
        java = ctx.java
        with Traffic(ctx, cluster, TOPIC) as traffic:
            for what, cut, *stuck in cuts:
                traffic.wait_acked(f"before the cut: {what}")
                active = active_controller(java, cluster).node_id
                cut(network, active)
                wait_for(f"an ISR to be smaller: {what}",
                         lambda: any(in_sync(n) not in (None, ALL) for n in cluster.nodes), timeout_s=60)
                traffic.wait_acked(f"during the cut: {what}", but=stuck)
                network.heal()
                wait_equal("replicas in sync, as each node knows",
                           lambda: [in_sync(n) for n in cluster.nodes], [ALL] * 3, timeout_s=90)
            traffic.wait_acked("at the end")
        all_is_there(java, cluster, TOPIC, traffic.outcomes())


def other(active):
    return active % 3 + 1


@scenario
def between_two(ctx):
    """The third reaches both: first one way, then both ways."""
    under_cuts(ctx, [
        ("a follower's words do not reach the active controller", lambda net, a: net.cut([other(a)], [a])),
        ("the active controller and a follower, both ways",
         lambda net, a: (net.cut([other(a)], [a]), net.cut([a], [other(a)]))),
    ])


@scenario
def one_apart(ctx):
    """The active controller: clients still reach it, the others do not; then it hears all and nobody hears it."""
    under_cuts(ctx, [
        # librdkafka may ask the island itself who leads, again and again.
        ("an island that clients reach",
         lambda net, a: (net.cut([a], net.places), net.cut(net.places, [a])), "rdkafka"),
        ("one that nobody hears", lambda net, a: net.cut([a], [*net.places, CLIENTS])),
    ])


@scenario
def nothing_stays_behind(ctx):
    """Of the network, also when the test fails."""
    def indexes(names):
        """Of links: no other one ever has the same."""
        found = {line.split(": ")[1].split("@")[0]: int(line.split(":")[0]) for line in
                 subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.splitlines()}
        return {found.get(name) for name in names}

    try:
        with Network(2) as network:
            names = [network.name(), network.name(1), network.name(2)]
            space = Path("/run/netns", network.name(1))
            had, inode = indexes(names), space.stat().st_ino
            check("there are links", None not in had, had)
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    equal("links that are still there", had & indexes(names), set())
    check("the namespace's name is gone", not space.exists() or space.stat().st_ino != inode)
