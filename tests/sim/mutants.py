#!/usr/bin/env python3
"""Bring back famous bugs, one at a time, and see that the tests notice.

    tests/sim/mutants.py [NAME...]     all mutants when none is named; --list tells them

A mutant is a switch in the sources, -DMUTANT_NAME. Only the files that have the switch are compiled anew and linked before
the libraries of a build without any. Then seeds of the simulated node, or cluster, are played until one breaks; the mutants that
cannot show there (what they do wrong needs a file to be looked at) are given to a unit test. Some of those are given to the seeds
of a cluster as well. A mutant that somebody does not notice who is to notice it fails.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "sim"
SEEDS = 2000
UNIT_SECONDS_MAX = 600
SIM = "tests/sim_node"
CLUSTER = "tests/sim_node --cluster"
FETCH = "tests/unit_broker broker_fetch*"
FOLLOWERS = "tests/unit_broker broker_followers*"
FOLLOW = "tests/unit_replica follow*"
THROTTLE = "tests/unit_replica throttle*"
CONSUMER = "tests/unit_consumer"
CONTROLLER = "tests/unit_controller"
JOURNAL = "tests/unit_log journal*"  # the tests of that name
LANE = "tests/unit_producer lane*"
SENDER = "tests/unit_producer sender*"
NODE = "tests/unit_node_apart"
METADATA = "tests/unit_client client_metadata*"
RAFT = "tests/unit_raft"
QUORUM = "tests/unit_quorum quorum_nodes*"
POINTS = "tests/unit_log log_points*"
REPLICATION = "tests/unit_replication replication_histories*"

DRAINS = "tests/unit_log log_crash*"

# What each one does, and who is asked to notice it.
MUTANTS = {
    "LOG_ACK_BEFORE_SYNC": ("a durable log acknowledges what is only written", SIM),
    "LOG_STABLE_AT_APPEND": ("a batch is acknowledged when it is in memory", SIM),
    "LOG_RETRIED_SYNC": ("a sync that failed is tried again", JOURNAL),  # what it loses, the journal mostly has
    "LOG_SYNCS_AT_ONCE": ("two syncs of a file at once, of which one is told of the trouble", "tests/unit_log segment_sync*"),
    "LOG_DEDUPE_FOUR": ("four batches of a producer are remembered, not five", SIM),
    "LOG_SNAPSHOT_NEWEST": ("of a producer's batches a snapshot has the newest alone", "tests/unit_log producers*"),
    "LOG_NO_CRC": ("recovery believes a torn batch", SIM),
    "LOG_INDEX_AHEAD": ("index entries are written before their batches", "tests/unit_log log_index*"),
    "LOG_CLEAN_MARKER_EARLY": ("the clean marker stands while logs are open", "tests/unit_log log_dir*"),
    "LOG_EPOCH_AFTER_DATA": ("an epoch's start is saved after its first batch", "tests/unit_log"),
    "LOG_NAME_NOT_SYNCED": ("a new partition's directory may vanish in a power cut", SIM),
    "LOG_END_UNNAMED": ("the last segment goes before the next one is there", DRAINS),
    "LOG_POINT_AT_END": ("recovery passes over a segment whose indexes are not durable", DRAINS),
    "LOG_START_UNSYNCED": ("a removed segment may come back behind a hole", DRAINS),
    "LOG_NEXT_BEFORE_CUT": ("a segment gets a file while the one before is longer than its batches", DRAINS),
    "LOG_NEXT_BEFORE_NAME": ("a segment gets a file while the one before may vanish", DRAINS),
    "LOG_PAGE_UNEQUAL": ("a drain overwrites what is drained of its first page with other bytes", DRAINS),
    "LOG_ACK_UNPLACED": ("a batch is acknowledged that may find no space in its segment", "tests/unit_log log_place*"),
    "LOG_POINT_UNLISTED": ("a log changes before its scan point is told", POINTS),
    "LOG_OLD_CHECKPOINT": ("a recovery point of before a log was cut is believed", DRAINS),
    "LOG_POINT_STAYS": ("a log is cut, and its scan point is believed", POINTS),
    "LOG_POINT_OUTRUN": ("a log is written to faster than its scan points follow", POINTS),
    "LOG_POINT_UNSYNCED": ("a scan point is told before its batches are durable", POINTS),
    "LOG_POINT_SIDES_LAZY": ("a scan point is told before its side files are durable", POINTS),
    "LOG_ID_UNREAD": ("a partition whose id cannot be read is set aside", "tests/unit_log journal_replay*"),
    "JOURNAL_ACK_EARLY": ("a commit is acknowledged before it is durable", JOURNAL),
    "JOURNAL_DRAINED_EARLY": ("a segment leaves the journal before it is durable", JOURNAL),
    "JOURNAL_NOT_REPLAYED": ("journals are removed at a start, not replayed", SIM),
    "JOURNAL_RECYCLED_EARLY": ("a chunk is used again before segments hold its bytes", JOURNAL),
    "JOURNAL_KEEPS_DELETED": ("a journal without room waits for a log that is deleted, and that for the journal",
                              "tests/unit_log journal_full*"),
    "LOG_COMPACTS_ANY_OFFSET": ("compaction believes the offset of any batch", "tests/unit_log log_compact*"),
    "LOG_DRAINS_WHAT_GOES": ("a deletion that the journal waits for needs space", "tests/unit_log journal_full*"),
    "LOG_FORGETS_UNDRAINED": ("the journal forgets a log that it has begun to wait for", "tests/unit_log journal_full*"),
    "JOURNAL_HOLE_UNNOTICED": ("a commit that is missing is not missed", JOURNAL),
    "JOURNAL_NO_RESET": ("the journal does not know of truncations", JOURNAL),
    "JOURNAL_FOLDER_BEFORE_SYNC": ("journals are removed before segments are durable", JOURNAL),
    "LOG_SWAP_NOT_SYNCED": ("compacted segments replace others in any order of names", "tests/unit_log"),
    "COMPACTION_FIRST_STAYS": ("the cleaner keeps the first record of a key", "tests/unit_compaction"),
    "COMPACTION_TOMBSTONE_AT_ONCE": ("a tombstone goes before its horizon", "tests/unit_compaction"),
    "REPLICATION_PLAIN_ISR": ("a replica that is about to be in sync does not count for the mark", REPLICATION),
    "REPLICATION_SHRINKS_EARLY": ("a replica that is proposed to leave does not count any more", REPLICATION),
    "REPLICATION_MARK_OF_FEW": ("the mark moves while too few are in sync", "tests/unit_replication"),
    "REPLICATION_ACKS_OF_FEW": ("acks=all is answered while too few are in sync", "tests/unit_replication"),
    "REPLICATION_STALE_BROKER": ("a Fetch of an older process of the broker counts", REPLICATION),
    "REPLICATION_EPOCH_UNASKED": ("a follower's last record is compared, but not its leader epoch (KIP-320, first try)",
                                  REPLICATION),
    "REPLICATION_JOINS_EARLY": ("a replica joins the ISR before it has what older leaders left", REPLICATION),
    "REPLICATION_SURE_OF_DOUBT": ("a proposal that may be in force is taken back", REPLICATION),
    "REPLICATION_NEWS_VOIDS": ("metadata of an epoch that is known voids what was proposed in it", REPLICATION),
    "REPLICATION_MEMBERS_UNKNOWN": ("who is taken out of the ISR and has all is not asked for again",
                                    "tests/unit_replication replication_leader*"),
    "REPLICATION_CUT_TO_MARK": ("a follower cuts its log to its mark (before KIP-101)", REPLICATION),
    "REPLICATION_CUT_UNLIKE": ("a follower believes that it knows the leader's epoch (before KIP-279)", REPLICATION),
    "REPLICA_BELIEVES_LATE_FETCHES": ("an older Fetch that comes late says for good what a follower has", FOLLOWERS),
    "REPLICA_QUIET_LAGS": ("a record in a quiet partition makes its followers lag", "tests/unit_replica replica_l*"),
    "REPLICA_REFUSES_APPENDED": ("what acks=1 has appended is said to be nowhere when the leader changes",
                                 "tests/unit_replica wait*"),
    "QUORUM_VOTE_UNWRITTEN": ("others hear of a vote that is not on disk", QUORUM),
    "QUORUM_FETCH_UNSTABLE": ("a voter asks for the next offset before all below it is durable", QUORUM),
    "QUORUM_DELIVERS_UNCOMMITTED": ("what no majority has is delivered", QUORUM),
    "QUORUM_CUTS_DELIVERED": ("a log is cut below what was delivered", "tests/unit_quorum"),
    "QUORUM_SNAPSHOT_CUT": ("a snapshot without its footer is taken for a whole one", "tests/unit_quorum"),
    "QUORUM_VOTERS_STAY": ("voters that are cut off the log stay in force", QUORUM),
    "QUORUM_CLAIMS_EARLY": ("a leader claims before all of the log was delivered", QUORUM),
    "IMAGE_EPOCH_STAYS": ("a leader that comes back has its old epoch", SIM),
    "CONTROLLER_ANSWER_BEFORE_COMMIT": ("the controller answers what is not durable yet", SIM),
    "CONTROLLER_FENCED_JOINS": ("a fenced broker comes into the ISR", CONTROLLER),
    "CONTROLLER_OFFLINE_JOINS": ("a replica comes into the ISR whose directory has failed", CONTROLLER),
    "CONTROLLER_ANY_INCARNATION": ("a broker comes into the ISR that has died since it was in sync", CONTROLLER),
    "CONTROLLER_OLD_PROPOSAL": ("an ISR is changed that its leader does not know", CONTROLLER),
    "CONTROLLER_OLD_LEADER_STAYS": ("a leader stays that is in sync no more", CONTROLLER),
    "CONTROLLER_REASSIGNS_EARLY": ("replicas go before the new ones are in sync", CONTROLLER),
    "CONTROLLER_DEAD_STAYS_ELIGIBLE": ("a broker that died is eligible with what it has left", CONTROLLER),
    "CONTROLLER_UNCLEAN_KEEPS_SEAT": ("the last one in sync stays so when it starts again without having stopped in order",
                                      CONTROLLER),
    "CONTROLLER_LEAVES_EARLY": ("a broker stops before all have seen that it leads nothing", CONTROLLER),
    "BROKER_ACKS_ONE_AT_ONCE": ("acks=1 is answered when the batch is in memory", SIM),
    "BROKER_DELETES_BEFORE_DURABLE": ("DeleteRecords is answered before the start is durable", SIM),
    "BROKER_READS_PAST_WATERMARK": ("readers see what is not durable yet", SIM),
    "BROKER_FETCH_MISSES_MOVES": ("a fetch session does not look again at what has moved", CLUSTER),
    "BROKER_FETCH_TELLS_ONCE": ("a fetch session forgets records that the client has not taken", FETCH),
    "BROKER_START_TAKES_MARKER": ("a start that comes to nothing leaves a clean directory unclean", "tests/unit_broker broker_limits*"),
    "BROKER_FETCH_DIVERGING_COUNTS": ("what a follower asks for counts where its log is another", FOLLOWERS),
    "BROKER_PUBLISH_AT_ONCE": ("a shard opens a directory that another has yet to set aside", SIM),
    "BROKER_FAILED_DIR_GOES_ON": ("nobody hears of a log directory that has failed", "tests/unit_broker"),
    "FETCHER_BEFORE_STABLE": ("a follower acknowledges what is not stable", FOLLOW),
    "FETCHER_OLD_ANSWER": ("a follower appends what it asked for under an older epoch", FOLLOW),
    "FETCHER_AWAY_WAITS": ("a partition that begins anew waits for a Fetch of others that have nothing new", FOLLOW),
    "FETCHER_KEEPS_SESSION": ("a session goes on when its follower has registered again", FOLLOW),
    "FETCHER_DROPS_PARTITIONS": ("a session that begins anew forgets what it followed", FOLLOW),
    "FETCHER_KEEPS_ASKING": ("what an error was said of stays in the session", FOLLOW),
    "FETCHER_WAITS_FOR_ALL": ("a partition whose disk is full holds up all that its leader leads", FOLLOW),
    "FETCHER_ROLE_BESIDE_CUT": ("a replica takes another role while its log is being cut", FOLLOW),
    "FETCHER_ANY_EPOCH": ("batches of an epoch that the follower has not heard of are appended", FOLLOW),
    "THROTTLE_HOLDS_THE_ISR": ("a follower in the ISR is held by its own throttle", THROTTLE),
    "THROTTLE_LEADER_HOLDS_ISR": ("a leader holds back what the high watermark waits for", "tests/unit_broker broker_throttle*"),
    "THROTTLE_FOR_EVER": ("what a throttle holds back is not begun again", THROTTLE),
    "NETWORK_UNORDERED": ("answers leave as they come", SIM),
    "COORDINATOR_FORGETS_THE_LAST": ("a coordinator loads all but the last batch", SIM),
    "ANSWER_BEFORE_COMMIT": ("a commit is answered before it is durable", SIM),
    "GENERATION_STAYS": ("a rebalance keeps the generation", SIM),
    "PRODUCER_FORGETS_SEQUENCE": ("a batch goes again under another sequence", SIM),
    "PRODUCER_BUMPS_IN_DOUBT": ("what may be in the log goes again in a new epoch", LANE),
    "PRODUCER_EPOCH_STAYS": ("sequences begin anew in the same epoch", LANE),
    "PRODUCER_TWO_STRANGERS": ("two batches are on their way to a broker that does not know their producer", LANE),
    "PRODUCER_RETRIES_AT_ONCE": ("a batch goes again while others are on their way", "tests/unit_producer"),
    "PRODUCER_SURE_OF_DOUBT": ("what is in doubt is said to be nowhere", LANE),
    "PRODUCER_TELLS_OUT_OF_ORDER": ("a batch is told of before an older one that is in doubt", LANE),
    "PRODUCER_BELIEVES_OLD_LEADER": ("one that leads no more is believed not to have appended", LANE),
    "PRODUCER_HALVES_ALIKE": ("both halves of a batch have its sequence", "tests/unit_producer"),
    "PRODUCER_OVERTAKES_WAITING": ("a record goes before those that wait for their partitions", "tests/unit_producer"),
    "PRODUCER_GAP_STAYS": ("a batch that fails leaves its sequence to nobody", SENDER),
    "PRODUCER_SIX_UNKNOWN": ("more batches are on their way than a broker remembers", LANE),
    "PRODUCER_FORGETS_PLACED": ("what waits in vain is told of before older records that are being sent", SENDER),
    "CLIENT_STALE_EPOCH": ("metadata of a broker that lags is believed", METADATA),
    "CLIENT_OLD_HINT": ("an older leader that an answer names is believed", METADATA),
    "CLIENT_KEEPS_COORDINATOR": ("one that says that it coordinates no more is asked again", "tests/unit_client"),
    "CLIENT_SENDS_TWICE": ("what may have been carried out is sent again", "tests/unit_client"),
    "ASSIGNOR_OLD_CLAIMS": ("what a member owned generations ago is believed", "tests/unit_assignor"),
    "CONSUMER_CHECKS_ONCE": ("a leader that was asked is believed when it leads no more", CONSUMER),
    "CONSUMER_ANY_GENERATION": ("a commit that was refused goes again in the next generation", CONSUMER),
    "CONSUMER_COMMITS_OVERTAKE": ("a commit is sent before the one before it is known", CONSUMER),
    "CONSUMER_RESETS_EARLY": ("a log start that moves takes with it what was fetched before", CONSUMER),
    "CONSUMER_CUT_IS_DONE": ("what was handed out and not done is committed where the log is cut", CONSUMER),
    "CONSUMER_ABORTED_STAYS": ("a transaction behind an aborted one is hidden, too", CONSUMER),
    "CONSUMER_READS_REVOKED": ("records come while the partition is given up", CONSUMER),
    "CONSUMER_SAME_NAME": ("another topic of the name is read on where the first one was", CONSUMER),
    "CONSUMER_STALE_FETCH": ("what was asked for before a seek is handed out after it", CONSUMER),
    "CONSUMER_COMMITS_HANDED_OUT": ("what was merely handed out is committed", CONSUMER),
    "CONSUMER_RELEASED_IS_DONE": ("what was released undone counts as done", CONSUMER),
    "CONSUMER_OLD_HEARTBEAT": ("an answer to an older generation's heartbeat is believed", CONSUMER),
    "CONSUMER_NO_TRUNCATION": ("a new leader's shorter log is not noticed", CONSUMER),
    "CONSUMER_EAGER_KEEPS": ("an eager member joins with what it owns", CONSUMER),
    "CONSUMER_NEVER_DOUBTS": ("a commit whose answer was lost is forgotten", CONSUMER),
    "RAFT_VOTE_NOT_PERSISTED": ("a vote is told before it is durable", RAFT),
    "RAFT_VOTES_TWICE": ("two candidates of an epoch get a node's vote", RAFT),
    "RAFT_LOG_NOT_COMPARED": ("a candidate whose log is behind gets votes", RAFT),
    "RAFT_PRE_VOTE_RAISES": ("asking for pre-votes begins an epoch", RAFT),
    "RAFT_PRE_VOTE_BESIDE_LEADER": ("who hears its leader wishes another one well", RAFT),
    "RAFT_OLD_VOTES_COUNT": ("an answer of an older epoch counts as a vote", RAFT),
    "RAFT_COMMITS_OLD_EPOCH": ("a leader commits before one offset of its own epoch is held", RAFT),
    "NODE_GONE_BY_SILENCE": ("a broker that cannot be reached for a second is fenced", NODE + " gone*"),
    "NODE_LATE_IS_SILENT": ("a controller that stood still itself fences who was not heard meanwhile", NODE + " silence*"),
    "NODE_SESSIONS_END_ASLEEP": ("a controller that stood still itself ends the sessions of who was not heard meanwhile",
                                 NODE + " silence*"),
    "CONTROLLER_ALL_ARE_SILENT": ("a controller that hears nobody fences all", CONTROLLER),
    "RAFT_REFUSED_IS_LOST": ("where nobody listens any more, the leader is waited for all the same", RAFT),
    "RAFT_OLD_WATERMARK": ("a follower takes an older leader's high watermark for its log's", RAFT),
    "RAFT_COUNTS_UNSTABLE": ("a leader counts what only its memory has", RAFT),
    "RAFT_LEADS_AGAIN": ("a leader that starts again leads the same epoch", RAFT),
    "RAFT_NO_CHECK_QUORUM": ("a leader that nobody fetches from leads on", RAFT),
    "RAFT_TWO_CHANGES": ("the voters change while a change is not committed", RAFT),
    "RAFT_CHANGES_EARLY": ("a new leader changes the voters before it has committed anything", RAFT),
    "RAFT_REMOVED_COUNTS": ("a leader that removed itself counts itself", RAFT),
    "RAFT_REMOVED_LEADS_ON": ("a leader that removed itself does not resign", RAFT),
    "RAFT_REMOVED_GIVES_UP": ("who is removed, perhaps, does not stand, and nobody can win", RAFT),
    "OLD_GENERATION_COMMITS": ("a commit of an old generation is accepted", SIM),
    "NODE_REPEATS_ALL": ("a request that may have been carried out goes to the controller again", NODE),
    "NODE_WAITS_FOR_OLD_CONTROLLER": ("what a controller has that leads no more is waited for", NODE),
    "NODE_BEAT_SAYS_LOADED": ("a broker says it has metadata that its clients cannot see", NODE),
    "NODE_UNFENCED_BEFORE_LOGS": ("a broker is unfenced while its logs load", NODE),
    "NODE_SNAPSHOT_MISSES_LAST": ("a snapshot of the metadata misses the last records below its end",
                                  "tests/unit_node node*"),
    "NODE_ANSWER_BEFORE_VISIBLE": ("a topic is created before this node shows it", "tests/unit_node"),
    "NODE_PROPOSAL_SURE_OF_DOUBT": ("a proposal in doubt is said not to have been made", NODE),
    "QUORUM_LEADER_WITHOUT_ADDRESS": ("a node that knows the leader's id alone does not learn its address",
                                      "tests/unit_quorum quorum_nodes*"),
    "NODE_STAYS_REPLACED": ("a broker that its last incarnation has replaced leaves it at that", NODE + " rival*"),
    "NODE_NO_BROKER_EPOCHS": ("an ISR is proposed without broker epochs", NODE),
}

# These a cluster's seeds notice, too: the first of those that are played.
IN_A_CLUSTER = {
    "BROKER_FETCH_DIVERGING_COUNTS": 1001,
    "BROKER_READS_PAST_WATERMARK": 1,
    "CONTROLLER_ANSWER_BEFORE_COMMIT": 1001,
    "CONTROLLER_UNCLEAN_KEEPS_SEAT": 1,
    "COORDINATOR_FORGETS_THE_LAST": 1,
    "FETCHER_BEFORE_STABLE": 1,
    "FETCHER_DROPS_PARTITIONS": 1,
    "FETCHER_OLD_ANSWER": 1,
    "FETCHER_ROLE_BESIDE_CUT": 2001,
    "IMAGE_EPOCH_STAYS": 1,
    "LOG_ACK_BEFORE_SYNC": 1,
    "LOG_STABLE_AT_APPEND": 1,
    "NODE_SNAPSHOT_MISSES_LAST": 1,
    "QUORUM_CLAIMS_EARLY": 1,
    "QUORUM_DELIVERS_UNCOMMITTED": 1,
    "QUORUM_VOTE_UNWRITTEN": 1,
    "RAFT_LEADS_AGAIN": 2001,
    "RAFT_LOG_NOT_COMPARED": 1001,
    "RAFT_PRE_VOTE_RAISES": 1,
    "RAFT_VOTE_NOT_PERSISTED": 1,
    "RAFT_VOTES_TWICE": 1,
    "REPLICATION_CUT_TO_MARK": 1001,
    "REPLICATION_CUT_UNLIKE": 1,
    "REPLICATION_EPOCH_UNASKED": 1,
    "REPLICATION_PLAIN_ISR": 1,
    "REPLICATION_SHRINKS_EARLY": 1001,
    "REPLICATION_STALE_BROKER": 3001,
}
CLUSTER_SEEDS = 400


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **more)


def must(command, what, cwd=BUILD):
    done = run(command, cwd=cwd)
    if done.returncode != 0:
        print(done.stdout[-4000:])
        sys.exit(f"mutants: {what} failed")
    return done.stdout


def build():
    must(["tools/build", "sim", *sorted({program.split()[0] for _, program in MUTANTS.values()})], "the build without a mutant", cwd=ROOT)
    must(["tests/sim_node", "--cluster", "--seeds", "1..5", "--once"], "playing seeds without a mutant")


def sources_of(name):
    """Files that have the switch; where a header has it, all files of its room."""
    found = set()
    for path in (ROOT / "src").rglob("*.[ch]"):
        if not re.search(rf"\bMUTANT_{name}\b", path.read_text(encoding="utf-8")):
            continue
        found.update(path.parent.glob("*.c") if path.suffix == ".h" else [path])
    return sorted(found)


def compile_with(name, commands):
    objects = []
    for source in sources_of(name):
        command = commands[source.resolve()]
        out = BUILD / "mutant" / name / (source.parent.name + "_" + source.stem + ".o")
        out.parent.mkdir(parents=True, exist_ok=True)
        words = shlex.split(command)
        words[words.index("-o") + 1] = str(out)
        for flag, count in (("-MD", 1), ("-MQ", 2), ("-MF", 2)):
            if flag in words:
                del words[words.index(flag):words.index(flag) + count]
        must([*words, f"-DMUTANT_{name}"], f"compiling {source.name} with {name}")
        objects.append(str(out))
    if not objects:
        sys.exit(f"mutants: no file has the switch MUTANT_{name}")
    return objects


def link_with(name, program, objects):
    """The program's own link, with the mutant's objects before all others: the libraries' are then not asked for."""
    lines = must(["ninja", "-t", "commands", program], "asking for commands").splitlines()
    words = shlex.split(lines[-1])
    at = words.index("-o")
    out = str(BUILD / "mutant" / name / Path(program).name)
    must([*words[:at], "-o", out, *objects, *words[at + 2:]], f"linking {name}")
    return out


def ask_seeds(program, *words, first=1, count=SEEDS):
    """-> whether a seed broke, and words about it."""
    done = run([program, *words, "--seeds", f"{first}..{first + count - 1}", "--jobs", "2", "--once", "--until-failure"])
    passed = re.search(r"^(\d+) passed, (\d+) failed", done.stdout, re.M)
    broke = re.search(r"^FAILED seed (\d+)[^:]*: (.*?)(; replay.*)?$", done.stdout, re.M)
    if done.returncode == 0 or broke is None:
        return False, f"{count} seeds notice nothing"
    return True, f"seed {broke[1]}, the {int(passed[1]) + 1}th: {broke[2][:110]}"


def ask_unit(program, *pattern):
    """One test that fails is enough: what comes behind it is not waited for."""
    unit = subprocess.Popen(["stdbuf", "-oL", program, *pattern], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors="replace")
    limit = threading.Timer(UNIT_SECONDS_MAX, unit.kill)
    began = time.monotonic()
    limit.start()
    failed = None
    for line in unit.stdout:
        failed = re.search(r"\[  FAILED  \] (\S+)", line)
        if failed is not None:
            unit.kill()
            break
    unit.stdout.close()
    status = unit.wait()
    limit.cancel()
    if failed is None and time.monotonic() - began >= UNIT_SECONDS_MAX:
        return False, f"its unit test comes to no end in {UNIT_SECONDS_MAX} s"
    if failed is None and status == 0:
        return False, "its unit test notices nothing"
    return True, f"{Path(program).name}: {failed[1] if failed else 'it ended badly'}"


def try_in_cluster(name, commands):
    program, *words = CLUSTER.split()
    linked = link_with(name, program, compile_with(name, commands))
    return ask_seeds(linked, *words, first=IN_A_CLUSTER[name], count=CLUSTER_SEEDS)


def try_one(name, commands):
    program, *pattern = MUTANTS[name][1].split()
    linked = link_with(name, program, compile_with(name, commands))
    return ask_seeds(linked, *pattern) if program == SIM else ask_unit(linked, *pattern)


def main():
    if "--list" in sys.argv:
        for name, (what, program) in MUTANTS.items():
            print(f"{name:<34} {what} ({program})")
        return 0
    wanted = sys.argv[1:] or list(MUTANTS)
    for name in wanted:
        if name not in MUTANTS:
            sys.exit(f"mutants: there is no {name}; --list tells them")
    began = time.monotonic()
    build()
    listed = json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8"))
    commands = {Path(BUILD, entry["file"]).resolve(): entry["command"] for entry in listed
                if "src/lib" in entry["output"]}
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    count = {True: 0, False: 0}

    def tell(name, ask=try_one):
        at = time.monotonic()
        caught, words = ask(name, commands)
        count[caught] += 1
        print(f"{'caught' if caught else 'MISSED'}  {name:<32} {time.monotonic() - at:5.1f} s  {words}",
              flush=True)

    plays = [name for name in wanted if MUTANTS[name][1] in (SIM, CLUSTER)]
    for name in plays:  # on both processors
        tell(name)
    for name in wanted:
        if name in IN_A_CLUSTER:
            tell(name, try_in_cluster)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(tell, [name for name in wanted if name not in plays]))
    passed, failed = count[True], count[False]
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
