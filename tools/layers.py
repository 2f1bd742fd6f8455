#!/usr/bin/env python3
"""Keep src/LAYERS true: who may include and link whom.

    layers.py check             every include in src/ is allowed, every folder listed, no cycle
    layers.py closure [ROOM...] "ROOM: DEP DEP ..." a line, each room after those it stands on;
                                with names, only these rooms and what they stand on
    layers.py links BUILD_DIR   make BUILD_DIR/layers/ROOM/DEP -> src/DEP for what ROOM may see,
                                and the same in BUILD_DIR/layers-generated for generated headers

DEP is everything that ROOM stands on, also through others; a room that compiles against
BUILD_DIR/layers/ROOM finds nothing else. What it sees only through others it must not include
itself: that is what `check` finds.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SRC = os.path.join(ROOT, "src")
LAYERS = os.path.join(SRC, "LAYERS")
EVERYONE = "base"  # what every room may use without naming it
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


class Broken(Exception):
    """LAYERS itself makes no sense."""


def read_layers():
    """Room -> the rooms that it names, in the order of the file."""
    rooms = {}
    with open(LAYERS, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.split("#", 1)[0].strip()
            if not line:
                continue
            room, colon, named = line.partition(":")
            room = room.strip()
            if not colon or not re.fullmatch(r"[a-z][a-z0-9_]*", room):
                raise Broken(f'src/LAYERS:{number}: expected "room: the rooms below it"')
            if room in rooms:
                raise Broken(f"src/LAYERS:{number}: {room} is listed twice")
            rooms[room] = named.split()
    for room, named in rooms.items():
        for other in named:
            if other not in rooms:
                raise Broken(f"src/LAYERS: {room} names {other}, which is not listed")
    if EVERYONE not in rooms:
        raise Broken(f"src/LAYERS: {EVERYONE} is not listed")
    return rooms


def closures(rooms):
    """Room -> all that it stands on, lowest first; the keys are in the same order."""
    done = {}

    def visit(room, path):
        if room in done:
            return
        if room in path:
            cycle = " -> ".join(path[path.index(room):] + [room])
            raise Broken(f"src/LAYERS: rooms stand on each other: {cycle}")
        below = []
        for other in ([] if room == EVERYONE else [EVERYONE]) + rooms[room]:
            visit(other, path + [room])
            for each in done[other] + [other]:
                if each not in below:
                    below.append(each)
        done[room] = below

    for room in rooms:
        visit(room, [])
    return done


def source_files(room):
    for folder, folders, files in os.walk(os.path.join(SRC, room)):
        folders.sort()
        for name in sorted(files):
            if name.endswith((".c", ".h", ".inc")):
                yield os.path.join(folder, name)


def include_problem(rooms, room, path, quoted, angled):
    """What is wrong with one include of a file of `room`; None when nothing is."""
    target = quoted or angled
    first = target.split("/", 1)[0]
    if "/" not in target:
        if quoted and not os.path.exists(os.path.join(os.path.dirname(path), target)):
            return f'"{target}" is not beside the file: write "ROOM/{target}"'
        return None
    if first in (".", ".."):
        return f'"{target}" is relative: write "ROOM/FILE"'
    if angled:
        return f'<{target}> is a room: write "{target}"' if first in rooms else None
    if first not in rooms:
        return f'"{target}": src/LAYERS lists no room {first}'
    if first in (room, EVERYONE) or first in rooms[room]:
        return None
    if room == EVERYONE:
        return f"{EVERYONE} stands on nothing, and this is of {first}"
    return f"src/LAYERS does not list {first} for {room}"


def check(rooms):
    problems = []
    closures(rooms)
    for name in sorted(os.listdir(SRC)):
        if os.path.isdir(os.path.join(SRC, name)) and name not in rooms:
            problems.append(f"src/{name}: the folder is not listed in src/LAYERS")
    for room in rooms:
        for path in source_files(room):
            with open(path, encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    match = INCLUDE.match(line)
                    problem = match and include_problem(rooms, room, path, *match.groups())
                    if problem:
                        where = os.path.relpath(path, ROOT)
                        problems.append(f"{where}:{number}: {problem}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def make_links(folder, wanted):
    """Make `folder` hold exactly the links `wanted`: name -> target."""
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name not in wanted or os.readlink(path) != wanted[name]:
            os.unlink(path)
    for name, target in wanted.items():
        if not os.path.islink(os.path.join(folder, name)):
            os.symlink(target, os.path.join(folder, name))


def links(rooms, build_dir):
    build_dir = os.path.abspath(build_dir)
    for room, below in closures(rooms).items():
        seen = below + [room]
        make_links(os.path.join(build_dir, "layers", room),
                   {other: os.path.join(SRC, other) for other in seen})
        make_links(os.path.join(build_dir, "layers-generated", room),
                   {other: os.path.join(build_dir, "src", other) for other in seen})
    return 0


def closure(rooms, only):
    below = closures(rooms)
    for room in only:
        if room not in rooms:
            raise Broken(f"src/LAYERS: {room} is not listed")
    for room in below:
        if not only or any(room == each or room in below[each] for each in only):
            print(f"{room}: {' '.join(below[room])}".rstrip())
    return 0


def main(words):
    try:
        if words == ["check"]:
            return check(read_layers())
        if words[:1] == ["closure"]:
            return closure(read_layers(), words[1:])
        if len(words) == 2 and words[0] == "links":
            return links(read_layers(), words[1])
    except Broken as broken:
        print(broken, file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
