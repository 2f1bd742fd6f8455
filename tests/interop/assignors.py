"""Our assignors against the Java client's: the same groups through several rebalances, in which members come and go."""
import random
import struct
import subprocess
from collections import Counter

from checks import check, equal
from scenario import scenario
from server import HERE

PROGRAM = HERE.parents[1] / "build/asan/tests/assignor_groups"
GROUPS = 500  # of each assignor
ROUNDS = 6
JAVA_WRONG_MAX = 0.005  # of the rebalances of sticky assignors
RACKS = ["a", "b", "c"]


class Group:
    """A group that is rebalanced again and again.  What members had is what Java gave them."""

    def __init__(self, assignor, seed):
        self.assignor = assignor
        self.random = random.Random(f"{assignor} {seed}")
        self.uniform = self.random.random() < 0.5
        self.with_racks = self.random.random() < 0.3
        self.named = 0
        self.generation = 0
        self.topics = {}
        self.members = []
        for _ in range(self.random.randint(1, 5)):
            self.new_topic()
        for _ in range(self.random.randint(1, 6) if self.random.random() < 0.9 else self.random.randint(10, 40)):
            self.join()

    def name(self, kind):
        self.named += 1
        return f"{kind}{self.random.randrange(1000)}-{self.named}"

    def partition(self):
        """The racks of its replicas; None: a broker without rack."""
        if not self.with_racks:
            return [None]
        return self.random.sample(RACKS + [None], self.random.randint(1, 3))

    def new_topic(self):
        self.topics[self.name("t")] = [self.partition() for _ in range(self.random.choice([1, 2, 3, 4, 4, 8, 12]))]

    def wish(self):
        names = list(self.topics)
        if self.uniform:
            return names
        return self.random.sample(names, self.random.randint(1, len(names)))

    def join(self):
        instance = self.name("i") if self.random.random() < 0.2 else None
        rack = self.random.choice(RACKS + [None]) if self.with_racks else None
        self.members.append({"id": self.name(self.random.choice(["consumer-", "rdkafka-", "\u00e9", "kgo-"])),
                             "instance": instance, "rack": rack, "topics": self.wish(), "owned": [], "generation": -1,
                             "version": self.random.choice([2, 3])})

    def claim_twice(self):
        """A member thinks that it has what another one has."""
        one, other = self.random.sample(self.members, 2)
        one["owned"] = one["owned"] + other["owned"][:1]

    def change(self):
        """What happens before the next rebalance."""
        roll = self.random.random
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            self.join()
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            if len(self.members) > 1:
                self.members.remove(self.random.choice(self.members))
        if roll() < 0.2:
            grown = self.topics[self.random.choice(list(self.topics))]
            grown += [self.partition() for _ in range(self.random.randint(1, 4))]
        if roll() < 0.2:
            self.new_topic()
        if roll() < 0.1 and len(self.topics) > 1:
            del self.topics[self.random.choice(list(self.topics))]
        for member in self.members:
            if self.uniform:
                member["topics"] = list(self.topics)
            elif roll() < 0.1 or not set(member["topics"]) & set(self.topics):
                member["topics"] = self.wish()
        if roll() < 0.1 and len(self.members) > 1:
            self.claim_twice()

    def assigned(self, assignment):
        """The next generation: a member that does not hear of it still has what it had."""
        self.generation += 1
        for member in self.members:
            if self.random.random() > 0.05:
                member["owned"] = assignment[member["id"]]
                member["generation"] = self.generation

    def as_json(self):
        return {"assignor": self.assignor, "topics": self.topics, "members": self.members}

    def as_text(self, metadata):
        lines = [f"group {self.assignor}"]
        for name, partitions in self.topics.items():
            racks = ";".join(",".join(rack or "-" for rack in racks) for racks in partitions)
            lines.append(f"topic {name} {len(partitions)} {racks if self.with_racks else ''}")
        for member in self.members:
            lines.append(f"member {member['id']} {member['instance'] or '-'} {metadata[member['id']]}")
        return "\n".join(lines + ["end\n"])


def read_assignment(data):
    version, topics = struct.unpack_from(">hi", data)
    equal("version", version, 3)
    position, pairs = 6, []
    for _ in range(topics):
        size, = struct.unpack_from(">h", data, position)
        topic = data[position + 2:position + 2 + size].decode()
        count, = struct.unpack_from(">i", data, position + 2 + size)
        position += 6 + size
        pairs += [[topic, p] for p in struct.unpack_from(f">{count}i", data, position)]
        position += 4 * count
    return pairs


def ours(text):
    """What our program says to all groups: {id: [[topic, partition]...]} of each."""
    check("assignor_groups is built", PROGRAM.exists(), "tools/build asan tests/assignor_groups")
    done = subprocess.run(["nice", PROGRAM], input=text, capture_output=True, text=True, timeout=120)
    equal("exit of assignor_groups", (done.returncode, done.stderr), (0, ""))
    results, members = [], {}
    for line in done.stdout.splitlines():
        check("subscriptions are written as Java writes them", not line.startswith("rewritten"), line)
        if line == "end":
            results.append(members)
            members = {}
        else:
            name, assignment = line.split(" ")
            members[name] = read_assignment(bytes.fromhex(assignment))
    return results


def in_order(assignment):
    return {member: sorted(pairs) for member, pairs in assignment.items()}


def rebalances(java, assignor, groups, rounds):
    """Yield (group, Java's answer, our answer) of every rebalance."""
    all_groups = [Group(assignor, seed) for seed in range(groups)]
    for _ in range(rounds):
        answers = java("assign", groups=[g.as_json() for g in all_groups])
        mine = ours("".join(g.as_text(a["metadata"]) for g, a in zip(all_groups, answers)))
        equal("groups that were answered", len(mine), groups)
        for group, answer, our in zip(all_groups, answers, mine):
            yield group, answer.get("failure") or in_order(answer["assignment"]), in_order(our)
            group.assigned(answer.get("assignment", our))
            group.change()


def wrong(group, assignment):
    """What an assignment breaks, or None: everybody gets what it wants, and everything is given once."""
    owners = Counter()
    for member in group.members:
        for topic, partition in assignment[member["id"]]:
            owners[topic, partition] += 1
            if topic not in member["topics"]:
                return f"{member['id']} does not want {topic}"
    claimed = {tuple(pair) for member in group.members for pair in member["owned"]}
    for topic in {topic for member in group.members for topic in member["topics"]} & set(group.topics):
        for partition in range(len(group.topics[topic])):
            count = owners.pop((topic, partition), 0)
            may_be_withheld = group.assignor == "cooperative-sticky" and (topic, partition) in claimed
            if count != 1 and not (count == 0 and may_be_withheld):
                return f"{topic}-{partition} is given {count} times"
    return f"there are no {sorted(owners)}" if owners else None


def compare(ctx, assignor, java_wrong_max):
    """Ours is what Java's is, wherever Java's is an assignment: to a member that missed a generation and has unsubscribed
    from a topic since, its sticky assignors give partitions of that topic, or they fail."""
    java_wrong = 0
    for group, javas, our in rebalances(ctx.java, assignor, GROUPS, ROUNDS):
        equal(f"what is wrong with ours for {group.as_json()}", wrong(group, our), None)
        if isinstance(javas, str) or wrong(group, javas):
            java_wrong += 1
        else:
            equal(f"assignment of {group.as_json()}", our, javas)
    check("Java is mostly right", java_wrong <= java_wrong_max * GROUPS * ROUNDS, java_wrong)


@scenario
def range_assignor(ctx):
    """range: the same assignment, with racks and with equal topics, too."""
    compare(ctx, "range", 0)


@scenario
def roundrobin(ctx):
    """roundrobin: the same assignment."""
    compare(ctx, "roundrobin", 0)


@scenario
def sticky(ctx):
    """sticky: the same assignment from the same previous ones, which members send as user data."""
    compare(ctx, "sticky", JAVA_WRONG_MAX)


@scenario
def cooperative_sticky(ctx):
    """cooperative-sticky: the same assignment, and the same partitions withheld."""
    compare(ctx, "cooperative-sticky", JAVA_WRONG_MAX)
