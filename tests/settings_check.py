#!/usr/bin/env python3
"""Does each setting that is marked as acting have an effect?

Usage: settings_check.py SOURCE_DIR

A row of src/config/*.tsv that is marked `acts` is read somewhere: its id stands in a source file outside of
src/config, or in one there that answers other rooms' questions (not in those that only compare settings with each
other), or it gives the default of a topic's or group's setting that acts. What producers, consumers and admins have in
common, src/client/settings.c reads by name. Those of clients all have a line of help: also why one does nothing.
"""

import pathlib
import re
import sys

ONLY_COMPARE = {"check.c", "order.c"}
CLIENTS = {"producer", "consumer", "admin"}


def read_table(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    for line in lines[1:]:
        cells = line.split("\t")
        yield dict(zip(header, cells + [""] * (len(header) - len(cells))))


def read_ids(src):
    ids = set()
    for path in src.rglob("*.[ch]"):
        if path.parent.name != "config" or (path.suffix == ".c" and path.name not in ONLY_COMPARE):
            ids |= set(re.findall(r"\b(?:BROKER|TOPIC|GROUP|CLIENT_METRICS|PRODUCER|CONSUMER|ADMIN)_[A-Z0-9_]+\b",
                                  path.read_text(encoding="utf-8")))
    return ids


def read_common_names(src):
    """The names in quotes of the file that reads the settings of all clients."""
    return set(re.findall(r'"([a-z][a-z.]+)"', (src / "client" / "settings.c").read_text(encoding="utf-8")))


def check(src):
    ids = read_ids(src)
    common = read_common_names(src)
    given = set()  # broker settings behind one of a topic or group that acts
    acting, problems = [], []
    for path in sorted((src / "config").glob("*.tsv")):
        for row in read_table(path):
            if path.stem in CLIENTS and not row["help"] and not row["name"].startswith("#"):
                problems.append(f"{path.name}: {row['name']} says neither what it does nor why it does nothing")
            if row["acts"] != "acts":
                continue
            acting.append((path, row))
            given |= {key.split("*")[0] for key in row.get("broker_keys", "").split(",")}
    for path, row in acting:
        identifier = path.stem.upper() + "_" + re.sub("[^A-Z0-9]", "_", row["name"].upper())
        known = identifier in ids or (path.stem == "broker" and row["name"] in given) \
            or (path.stem in CLIENTS and row["name"] in common)
        if not known:
            problems.append(f"{path.name}: {row['name']} is marked as acting, but nothing reads {identifier}")
        if not row["help"]:
            problems.append(f"{path.name}: {row['name']} is marked as acting, but has no line of help")
    return len(acting), problems


def main(source_dir):
    count, problems = check(pathlib.Path(source_dir) / "src")
    for problem in problems:
        print(f"FAILED {problem}", file=sys.stderr)
    if count == 0:
        problems.append("no setting acts")
    print(f"{count} settings act, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
