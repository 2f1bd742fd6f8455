"""A network of the test's own: nodes in network namespaces, joined by a bridge that this machine's clients reach, and
links that can be cut in one direction.

Packets that are cut go to a hardware address that nobody has: as on a real cable nobody is told. That needs no
firewall."""
import os
import subprocess

from scenario import Skip

NOWHERE = "02:00:00:00:00:ff"
CLIENTS = 254  # the bridge's own place


class Network:
    """Places 1 to `count`, one namespace each. Everything has the name mrK and lies in 10.231.K.0/24; the bridge says
    whose it is."""

    def __init__(self, count):
        self.places = range(1, count + 1)
        self.made = None
        remove_what_others_left()
        k, said = -1, "exists"
        while "exists" in said and k < 255:
            k += 1
            said = ip("link", "add", f"mr{k}", "address", self.hardware(CLIENTS), "type", "bridge")
        may(said)
        self.made = k
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise

    def make(self):
        bridge = self.name()
        must("link", "set", bridge, "alias", f"millrace-test {os.getpid()}")
        must("addr", "add", f"{self.address(CLIENTS)}/24", "dev", bridge)
        must("link", "set", bridge, "up")
        for place in self.places:
            space = self.name(place)
            may(ip("netns", "add", space))
            must("link", "add", space, "type", "veth", "peer", "name", "eth0", "address", self.hardware(place),
                 "netns", space)
            must("link", "set", space, "master", bridge, "up")
            must("-n", space, "link", "set", "lo", "up")
            must("-n", space, "addr", "add", f"{self.address(place)}/24", "dev", "eth0")
            must("-n", space, "link", "set", "eth0", "up")
        for place in self.places:
            self.set_link(CLIENTS, place, self.hardware(place))
        self.heal()

    def name(self, place=None):
        return f"mr{self.made}" + (f"n{place}" if place else "")

    def address(self, place):
        return f"10.231.{self.made}.{place}"

    @staticmethod
    def hardware(place):
        return f"02:00:00:00:01:{place:02x}"

    def adapt(self, node):
        """Put a node of a cluster in its place: for Cluster.make."""
        node.host = self.address(node.node_id)
        node.run_in = ["ip", "netns", "exec", self.name(node.node_id)]

    def set_link(self, source, target, hardware):
        space = [] if source == CLIENTS else ["-n", self.name(source)]
        device = self.name() if source == CLIENTS else "eth0"
        must(*space, "neigh", "replace", self.address(target), "lladdr", hardware, "nud", "permanent", "dev", device)

    def cut(self, sources, targets):
        """What the ones send does not come to the others; nobody is told. CLIENTS may be among the targets."""
        for source in sources:
            for target in targets:
                if source != target:
                    self.set_link(source, target, NOWHERE)

    def heal(self):
        for source in self.places:
            for target in [*self.places, CLIENTS]:
                if source != target:
                    self.set_link(source, target, self.hardware(target))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        remove(self.made, self.places)


def ip(*words):
    """What `ip` said when it failed, else nothing."""
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True)
    except FileNotFoundError:
        return "there is no ip here"
    return done.stderr.strip() or "no reason" if done.returncode != 0 else ""


def must(*words):
    if said := ip(*words):
        raise AssertionError(f"ip {' '.join(words)}: {said}")


def may(said):
    """Without the right to make links and namespaces there is nothing to test."""
    if said:
        raise Skip(f"no network may be made here: {said}")


def remove(k, places):
    """A namespace ends when the last process in it has; its links and its name are gone at once."""
    for place in places:
        ip("link", "del", f"mr{k}n{place}")
        ip("netns", "del", f"mr{k}n{place}")
    ip("link", "del", f"mr{k}")


def remove_what_others_left():
    """A test that was killed could not."""
    try:
        bridges = subprocess.run(["ip", "-o", "link", "show", "type", "bridge"], capture_output=True, text=True)
        names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout.split()
    except FileNotFoundError:
        return
    for line in bridges.stdout.splitlines():
        name, alias = line.split()[1].rstrip(":"), line.partition("alias millrace-test ")[2].split()
        if name.startswith("mr") and alias and not os.path.exists(f"/proc/{alias[0]}"):
            k = name.removeprefix("mr")
            remove(k, [n.partition("n")[2] for n in names if n.startswith(f"{name}n")])
