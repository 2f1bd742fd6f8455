#!/usr/bin/env python3
"""Does tools/layers.py find what breaks the layers? Each story is a small tree of its own.

Usage: layers_check.py PATH_OF_LAYERS_PY
"""

import os
import shutil
import subprocess
import sys
import tempfile

GOOD = {
    "src/LAYERS": "# low to high\nbase:\nio:\nlog: io\nnode: log\n",
    "src/base/base.h": "",
    "src/io/io.h": '#include "base/base.h"\n',
    "src/log/log.c": '#include "log/log.h"\n#include "io/io.h"\n#include "own.h"\n#include <stdio.h>\n',
    "src/log/log.h": "#include <sys/types.h>\n",
    "src/log/own.h": "",
    "src/node/node.c": '#include "log/log.h"\n',
}

# Story, what differs from GOOD, lines that must be printed.
STORIES = [
    ("good tree passes", {}, []),
    ("room below that is not listed", {"src/io/a.c": '#include "log/log.h"\n'},
     ["src/io/a.c:1: src/LAYERS does not list log for io"]),
    ("room that is seen only through another", {"src/node/node.c": '\n#  include "io/io.h"\n'},
     ["src/node/node.c:2: src/LAYERS does not list io for node"]),
    ("base stands on nothing", {"src/base/base.h": '#include "io/io.h"\n'},
     ["src/base/base.h:1: base stands on nothing, and this is of io"]),
    ("unknown room", {"src/io/a.c": '#include "nowhere/x.h"\n'},
     ['src/io/a.c:1: "nowhere/x.h": src/LAYERS lists no room nowhere']),
    ("path out of the room", {"src/io/a.c": '#include "../log/log.h"\n'},
     ['src/io/a.c:1: "../log/log.h" is relative: write "ROOM/FILE"']),
    ("room between angles", {"src/io/a.c": "#include <log/log.h>\n"},
     ['src/io/a.c:1: <log/log.h> is a room: write "log/log.h"']),
    ("name that lies elsewhere", {"src/io/a.c": '#include "log.h"\n'},
     ['src/io/a.c:1: "log.h" is not beside the file: write "ROOM/log.h"']),
    ("in a folder of the room", {"src/io/deep/a.h": '#include "node/node.h"\n'},
     ["src/io/deep/a.h:1: src/LAYERS does not list node for io"]),
    ("folder that is not listed", {"src/stray/a.c": ""},
     ["src/stray: the folder is not listed in src/LAYERS"]),
    ("cycle", {"src/LAYERS": "base:\nio: node\nlog: io\nnode: log\n"},
     ["src/LAYERS: rooms stand on each other: io -> node -> log -> io"]),
    ("cycle through base", {"src/LAYERS": "base: io\nio:\nlog: io\nnode: log\n"},
     ["src/LAYERS: rooms stand on each other: base -> io -> base"]),
    ("name that is not a room", {"src/LAYERS": "base:\nio: disk\n"},
     ["src/LAYERS: io names disk, which is not listed"]),
    ("room listed twice", {"src/LAYERS": "base:\nio:\nio:\n"},
     ["src/LAYERS:3: io is listed twice"]),
    ("line without a colon", {"src/LAYERS": "base:\nio\n"},
     ['src/LAYERS:2: expected "room: the rooms below it"']),
]


def make_tree(root, layers, files):
    os.makedirs(os.path.join(root, "tools"))
    shutil.copy(layers, os.path.join(root, "tools"))
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)


def run(root, *words):
    return subprocess.run([sys.executable, os.path.join(root, "tools", "layers.py"), *words],
                          capture_output=True, text=True, check=False)


def check_story(layers, changes, expected):
    with tempfile.TemporaryDirectory() as root:
        make_tree(root, layers, GOOD | changes)
        ran = run(root, "check")
    printed = ran.stderr.splitlines()
    if printed != expected or ran.returncode != (1 if expected else 0):
        return f"exit status {ran.returncode}, printed {printed}, expected {expected}"
    return None


def check_closure(layers):
    with tempfile.TemporaryDirectory() as root:
        make_tree(root, layers, GOOD)
        whole, part = run(root, "closure").stdout, run(root, "closure", "log").stdout
    if whole != "base:\nio: base\nlog: base io\nnode: base io log\n":
        return f"all: {whole!r}"
    return None if part == "base:\nio: base\nlog: base io\n" else f"log: {part!r}"


def check_links(layers):
    """The folders show a room what it stands on and no more, also after LAYERS has changed."""
    with tempfile.TemporaryDirectory() as root:
        make_tree(root, layers, GOOD)
        build = os.path.join(root, "build")
        run(root, "links", build)
        log = os.path.join(build, "layers", "log")
        first = sorted(os.listdir(log))
        found = os.path.samefile(os.path.join(log, "io"), os.path.join(root, "src", "io"))
        with open(os.path.join(root, "src", "LAYERS"), "w", encoding="utf-8") as out:
            out.write("base:\nio:\nlog:\nnode: log\n")
        run(root, "links", build)
        second = sorted(os.listdir(log))
    if first != ["base", "io", "log"] or not found or second != ["base", "log"]:
        return f"before {first}, after {second}, link is right: {found}"
    return None


def main(layers):
    results = [(name, check_story(layers, *story)) for name, *story in STORIES]
    results.append(("closure is in order", check_closure(layers)))
    results.append(("links show no more", check_links(layers)))
    failed = [(name, problem) for name, problem in results if problem]
    for name, problem in failed:
        print(f"FAILED {name}: {problem}", file=sys.stderr)
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
