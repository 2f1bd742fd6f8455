"""Read the protocol's schema files (schema/*.wire, schema/*.tsv) into plain objects.

The notation is described in README.md. Everything that can be wrong in a schema file is found
here, with file and line; the emitters may trust what they get.
"""

import os
import re

GUTTER = 8  # columns at the left of a field that hold its versions
NAMED_SCALARS = {"topic": "string", "group": "string", "txn": "string", "broker": "i32",
                 "producer": "i64"}
# least bytes of a scalar on the wire: (before compact lengths, with them)
LEAST = {"bool": (1, 1), "i8": (1, 1), "i16": (2, 2), "u16": (2, 2), "i32": (4, 4),
         "u32": (4, 4), "i64": (8, 8), "f64": (8, 8), "uuid": (16, 16),
         "string": (2, 1), "bytes": (4, 1), "records": (4, 1)}
RECORD_LOGS = ("metadata", "tiered", "group", "share", "transaction")


class SchemaError(Exception):
    pass


def camel(snake):
    """The name in JSON: group_id -> groupId."""
    words = snake.split("_")
    return words[0] + "".join(w[:1].upper() + w[1:] for w in words[1:])


def snake(pascal):
    """The C name of a message or struct: OffsetCommit -> offset_commit, KRaft -> kraft."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", pascal).lower()


def versions_of(text, outer):
    """A range as the notation writes it, relative to the range around it, as (low, high)."""
    if not text:
        return outer
    m = re.fullmatch(r"-(\d+)|(\d+)(\+|-(\d+))?", text)
    if not m:
        raise SchemaError("%r is not a version range" % text)
    if m.group(1):
        return outer[0], int(m.group(1))
    low = int(m.group(2))
    if m.group(3) == "+":
        return low, outer[1]
    return low, int(m.group(4) or low)


class Field:
    def __init__(self, name, array, base, versions):
        self.name = name
        self.json = camel(name)
        self.array = array
        self.base = base            # a key of LEAST, or "struct"
        self.struct = None          # of base "struct"
        self.low, self.high = versions
        self.null = None            # (low, high) where null is allowed
        self.default = ""
        self.tag = None
        self.lossy = self.rigid = self.key = False
        self.kind_text = ""         # as written, for the comment in the header

    def pointer(self):
        """A single struct that may be null is a pointer."""
        return self.base == "struct" and not self.array and self.null is not None

    def in_version(self, v):
        return self.low <= v <= self.high


class Struct:
    def __init__(self, cname, versions):
        self.cname = cname
        self.low, self.high = versions
        self.fields = []
        self.tagged = []            # fields by tag number
        self.has_tags = False       # may carry unknown tagged fields

    def least(self, message, version):
        """Fewest bytes that this struct takes in a version."""
        total = 0
        flexible = version >= message.flexible
        for f in self.fields:
            if not f.in_version(version) or f.tag is not None:
                continue
            if f.array:
                total += 1 if flexible else 4
            elif f.base != "struct":
                total += LEAST[f.base][flexible and not f.rigid]
            elif f.null and f.null[0] <= version <= f.null[1]:
                total += 1
            else:
                total += f.struct.least(message, version)
        return total + (1 if flexible else 0)


class Message:
    NEVER = 1 << 14                 # "flexible from" of a message that never is

    def __init__(self, name, kind, key, versions):
        self.name = name            # Kafka's, e.g. OffsetCommitRequest
        self.cname = snake(name)
        self.kind = kind            # request, response, header, data, metadata, group_key ...
        self.key = key
        self.low, self.high = versions
        self.flexible = self.NEVER
        self.unstable = False
        self.header_0 = False
        self.root = Struct(self.cname, versions)
        self.common = {}            # name -> Struct, used in several places
        self.structs = []           # all, each behind those it uses


class File:
    def __init__(self, path):
        self.path = path
        self.base = os.path.basename(path)
        self.word = self.name = self.place = ""
        self.key = None
        self.listeners = []
        self.messages = []

    def header(self):
        """The name of the generated header."""
        if self.word == "record" and self.place not in ("metadata", "tiered"):
            return snake(self.name) + "_record.h"
        return snake(self.name) + ".h"


class Reader:
    def __init__(self, path):
        self.file = File(path)
        self.message = None
        self.stack = []             # (struct, versions) per depth

    def read(self):
        with open(self.file.path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                line = line.split("#")[0].rstrip()
                if not line:
                    continue
                try:
                    self.line(line)
                except (SchemaError, IndexError, KeyError, ValueError) as e:
                    raise SystemExit("%s:%d: %s" % (self.file.path, number, e or "cannot read it"))
        for m in self.file.messages:
            finish(m)
        return self.file

    def line(self, line):
        word = line.split()[0]
        if line[0] == " " or re.match(r"[\d-]", line):
            self.field(line)
        elif word in ("api", "record", "data", "header"):
            self.heading(line, word)
        elif word in ("request", "response", "key", "value"):
            self.part(line, word)
        elif word == "struct":
            m = re.fullmatch(r"struct (\w+)(?: (\S+))?", line)
            owner = self.message
            versions = versions_of(m.group(2), (owner.low, owner.high))
            s = owner.common.get(m.group(1)) or Struct("", versions)
            s.low, s.high = versions
            s.cname = owner.cname + "_" + snake(m.group(1))
            owner.common[m.group(1)] = s
            self.stack = [(s, versions)]
        else:
            raise SchemaError("%r begins nothing that is known" % word)

    def heading(self, line, word):
        f = self.file
        m = re.fullmatch(r"api (\d+) (\w+)(?: on (.+)|, withdrawn)", line) if word == "api" else \
            re.fullmatch(r"(?:record (\d+)|data|header) (\w+) in (\w+)", line)
        if not m:
            raise SchemaError("not a heading: " + line)
        f.word, f.name = word, m.group(2)
        f.key = int(m.group(1)) if m.group(1) else None
        if word == "api":
            f.listeners = m.group(3).split(", ") if m.group(3) else []
        else:
            f.place = m.group(3)
        if word == "record" and f.place not in RECORD_LOGS:
            raise SchemaError("no log of records is called " + f.place)

    def part(self, line, word):
        f = self.file
        m = re.fullmatch(r"\w+ (\d+)(?:-(\d+))?(?:, flexible (\d+)\+)?(, unstable)?(, header 0)?",
                         line)
        if not m:
            raise SchemaError("not a part: " + line)
        versions = int(m.group(1)), int(m.group(2) or m.group(1))
        name, kind = f.name, f.word
        if f.word == "api":
            name, kind = f.name + word.capitalize(), word
        elif f.word == "record" and f.place in ("metadata", "tiered"):
            kind = f.place
        elif f.word == "record":
            name, kind = f.name + word.capitalize(), f.place + "_" + word
        message = Message(name, kind, f.key, versions)
        if m.group(3):
            message.flexible = int(m.group(3))
        message.unstable, message.header_0 = bool(m.group(4)), bool(m.group(5))
        f.messages.append(message)
        self.message = message
        self.stack = [(message.root, versions)]

    def field(self, line):
        gutter, rest = line[:GUTTER].strip(), line[GUTTER:]
        depth = (len(rest) - len(rest.lstrip())) // 2
        del self.stack[depth + 1:]
        struct, outer = self.stack[depth]
        words = rest.split()
        name, kind = words[0], words[1]
        m = re.fullmatch(r"(\[\])?(\{\}|\w*)(?:(\?)(\S*))?", kind)
        if not m:
            raise SchemaError("%r is not a kind" % kind)
        base = NAMED_SCALARS.get(m.group(2), m.group(2))
        f = Field(name, bool(m.group(1)), base, versions_of(gutter, outer))
        if m.group(3):
            f.null = versions_of(m.group(4), (f.low, f.high))
        self.marks(f, words[2:])
        f.kind_text = " ".join(filter(None, [gutter, *words[1:]]))
        if base not in LEAST:
            self.struct_of(f, base, struct)
        if any(g.name == name for g in struct.fields):
            raise SchemaError("%s is there twice" % name)
        struct.fields.append(f)
        self.stack.append((f.struct, (f.low, f.high)))

    def struct_of(self, f, base, owner):
        f.base = "struct"
        if base in ("", "{}"):
            f.struct = Struct(owner.cname + "_" + f.name, (f.low, f.high))
        else:
            f.struct = self.message.common.setdefault(
                base, Struct(self.message.cname + "_" + snake(base), (f.low, f.high)))

    def marks(self, f, words):
        while words:
            word = words.pop(0)
            if word == "=":
                f.default = words.pop(0)
            elif word == "tag":
                f.tag = int(words.pop(0))
            elif word in ("lossy", "key", "rigid"):
                setattr(f, word, True)
            elif word != "ref":
                raise SchemaError("no mark is called " + word)


def finish(message):
    """Order the structs, number the tags, and check what only the whole message can show."""
    seen = set()

    def visit(s):
        if s.cname in seen:
            return
        seen.add(s.cname)
        for f in s.fields:
            if f.struct:
                visit(f.struct)
        message.structs.append(s)

    visit(message.root)
    for s in message.structs:
        s.has_tags = message.flexible <= s.high
        tagged = sorted((f for f in s.fields if f.tag is not None), key=lambda f: f.tag)
        if [f.tag for f in tagged] != list(range(len(tagged))):
            raise SystemExit("%s: its tags are not 0, 1, 2 ..." % s.cname)
        s.tagged = tagged
        for f in s.fields:
            check_field(message, s, f)


def check_field(message, s, f):
    where = "%s.%s" % (s.cname, f.name)
    if f.tag is not None and f.low < message.flexible:
        raise SystemExit(where + ": tagged in a version that has no tags")
    if f.default == "null" and f.null is None:
        raise SystemExit(where + ": null by default, but may not be null")
    if f.default and f.default != "null" and f.base in ("string", "bytes", "records", "uuid"):
        raise SystemExit(where + ": such a default is not supported")
    if f.array and f.base == "struct":
        for v in range(max(f.low, message.low), f.high + 1):
            if f.struct.least(message, v) < 1:
                raise SystemExit("%s: an element takes no bytes in version %d" % (where, v))


def read_tsv(path):
    with open(path, encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f if line.strip() and line[0] != "#"]
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def read_files(paths):
    files = [Reader(p).read() for p in sorted(paths)]
    seen = {}
    for f in files:
        for m in f.messages:
            for s in m.structs:
                if s.cname in seen:
                    raise SystemExit("%s: struct %s is also in %s" % (
                        f.path, s.cname, seen[s.cname]))
                seen[s.cname] = f.path
    return files
