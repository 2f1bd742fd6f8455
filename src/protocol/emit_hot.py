"""Emit specialised functions for the messages that are met most.

One function per struct and distinct layout: versions whose bytes are alike share it. Fields of
fixed size that follow each other share one check of the bounds. What is rare (unknown tagged
fields, and every error while counting) is left to the tables, which know all.
"""

from emit_headers import LITERALS
from schema import LEAST

GET = {"i16": "get_i16({p})", "u16": "get_u16({p})", "i32": "get_i32({p})", "u32": "get_u32({p})",
       "i64": "get_i64({p})"}
PUT = {"i16": "put_u16({p}, (uint16_t){v});", "u16": "put_u16({p}, {v});",
       "i32": "put_u32({p}, (uint32_t){v});", "u32": "put_u32({p}, {v});",
       "i64": "put_u64({p}, (uint64_t){v});"}
SIZE_HEAD = "static int64_t %s(struct hot_sizing *s, const struct %s *m)"
WRITE_HEAD = "static uint8_t *%s(uint8_t *p, const struct %s *m%s)"
TAG_HEAD = "static int %s(struct reader *r, uint32_t tag, const void *context, void *out)"
BIG_KINDS = ("string", "bytes", "records", "struct")


def word(condition):
    return "true" if condition else "false"


def nullable(f, v):
    return f.null is not None and f.null[0] <= v <= f.null[1]


def fixed(f):
    return not f.array and f.base not in BIG_KINDS


def get_line(f, at, p):
    """Read a fixed scalar at `p` into `at`."""
    if f.base == "uuid":
        return "memcpy(%s.b, %s, 16);" % (at, p)
    if f.base == "bool":
        return "%s = *(%s) != 0;" % (at, p)
    if f.base == "i8":
        return "%s = (int8_t)*(%s);" % (at, p)
    return "%s = %s;" % (at, GET[f.base].format(p=p))


def put_line(f, at, p):
    if f.base == "uuid":
        return "memcpy(%s, %s.b, 16);" % (p, at)
    if f.base in ("bool", "i8"):
        return "*(%s) = (uint8_t)%s;" % (p, at)
    return PUT[f.base].format(p=p, v=at)


def element(f):
    """The same field as one element of its array."""
    class One:
        base, struct, array, name = f.base, f.struct, False, f.name
    return One


def offset(pointer, n):
    return "%s + %d" % (pointer, n) if n else pointer


class Emitter:
    def __init__(self, message):
        self.m = message
        self.out = []
        self.done = {}              # (what, struct, layout) -> function name
        self.layouts = {}           # (struct, version) -> layout
        self.with_records = {s.cname for s in message.structs if self.has_records(s)}

    def has_records(self, s):
        return any(f.base == "records" or f.struct and self.has_records(f.struct) for f in s.fields)

    def layout(self, s, v):
        """What the bytes of a struct depend on; equal layouts share functions."""
        key = s.cname, v
        if key not in self.layouts:
            self.layouts[key] = (v >= self.m.flexible,) + tuple(
                (nullable(f, v), self.layout(f.struct, v) if f.struct else None)
                if f.in_version(v) else None for f in s.fields)
        return self.layouts[key]

    def function(self, what, s, v, body):
        """The name of the function that does `what`; emitted when first asked for. `v` None: the
        same in all versions."""
        key = what, s.cname, v is not None and self.layout(s, v)
        if key not in self.done:
            self.done[key] = "%s_%s" % (s.cname, what) + ("" if v is None else "_%d" % v)
            self.out += body(self.done[key], s, v) + [""]  # after those it asked for
        return self.done[key]

    def flexible(self, v):
        return v >= self.m.flexible

    def runs(self, s, v):
        """The untagged fields of a version: lists of fixed ones, and single others."""
        run = []
        for f in s.fields:
            if not f.in_version(v) or f.tag is not None:
                continue
            if f.base == "f64" or f.pointer():
                raise SystemExit("%s.%s: not supported in hot messages" % (s.cname, f.name))
            if fixed(f):
                run.append(f)
                continue
            if run:
                yield run
            run = []
            yield f
        if run:
            yield run

    def known_tags(self, s, v):
        return [f for f in s.tagged if f.in_version(v)]

    # ---- reading ----

    def read_run(self, run, fail):
        total = sum(LEAST[f.base][0] for f in run)
        lines, at = ["if (!take_check(r, %d))" % total, "    " + fail], 0
        for f in run:
            lines.append(get_line(f, "o->" + f.name, offset("r->p", at)))
            at += LEAST[f.base][0]
        return lines + ["r->p += %d;" % total]

    def read_one(self, s, f, v):
        """The call that reads one field of variable size."""
        if f.array:
            return self.array_function("read", s, f, v, self.read_array) + "(r, o)"
        if f.base == "struct":
            return "%s(r, &o->%s)" % (self.function("read", f.struct, v, self.read_struct), f.name)
        take = "take_string" if f.base == "string" else "take_bytes"
        compact = self.flexible(v) and not f.rigid
        return "%s(r, %s, %s, &o->%s)" % (take, word(compact), word(nullable(f, v)), f.name)

    def read_array(self, name, s, f, v):
        flexible = self.flexible(v)
        least = f.struct.least(self.m, v) if f.struct else LEAST[f.base][flexible]
        one = element(f)
        at = "o->%s[i]" % f.name
        lines = ["static bool %s(struct reader *r, struct %s *o)" % (name, s.cname), "{",
                 "    void *elements;", "",
                 "    if (!take_array(r, %s, %s, %d, sizeof(*o->%s), &o->%s_count, &elements))" % (
                     word(flexible), word(nullable(f, v)), least, f.name, f.name),
                 "        return false;", "    o->%s = elements;" % f.name]
        if fixed(one):  # the count was checked against all of their bytes
            lines += ["    for (int32_t i = 0; i < o->%s_count; i++) {" % f.name,
                      "        " + get_line(one, at, "r->p"), "        r->p += %d;" % least, "    }"]
        else:
            if f.struct:
                call = "%s(r, &%s)" % (self.function("read", f.struct, v, self.read_struct), at)
            else:
                take = "take_string" if f.base == "string" else "take_bytes"
                call = "%s(r, %s, false, &%s)" % (take, word(flexible), at)
            lines += ["    for (int32_t i = 0; i < o->%s_count; i++) {" % f.name,
                      "        if (!%s)" % call, "            return false;", "    }"]
        return lines + ["    return true;", "}"]

    def read_struct(self, name, s, v):
        body = ["    *o = %s_default;" % s.cname]
        for part in self.runs(s, v):
            if isinstance(part, list):
                body += ["    " + line for line in self.read_run(part, "return false;")]
            else:
                body += ["    if (!%s)" % self.read_one(s, part, v), "        return false;"]
        if not self.flexible(v):
            body.append("    return true;")
        else:
            take = "no_tag"
            if self.known_tags(s, v):
                take = self.function("tag", s, v, self.read_tag)
            body.append("    return take_tags_quick(r, %s, o, &o->unknown_tags);" % take)
        return ["static bool %s(struct reader *r, struct %s *o)" % (name, s.cname), "{", *body, "}"]

    def read_tag(self, name, s, v):
        cases = []
        for f in self.known_tags(s, v):
            cases.append("    case %d:" % f.tag)
            if fixed(f):
                cases += ["        " + line for line in self.read_run([f], "break;")]
                cases.append("        return 1;")
            else:
                cases += ["        if (!%s)" % self.read_one(s, f, v), "            break;",
                          "        return 1;"]
        return [TAG_HEAD % name, "{", "    struct %s *o = out;" % s.cname, "", "    switch (tag) {", *cases,
                "    default:", "        return 0;", "    }", "    return r->error;", "}"]

    # ---- counting ----

    def is_default(self, f, at):
        """An expression: the field has its default."""
        if f.array:
            return "%s_count %s 0" % (at, "<" if f.default == "null" else "==")
        if f.base == "struct":
            return "%s(&%s)" % (self.function("is_default", f.struct, None, self.default_struct), at)
        if f.base in BIG_KINDS:
            null = f.default == "null" or f.base == "records"
            return "%s.n %s 0" % (at, "<" if null else "==")
        if f.base == "uuid":
            return "uuid_is_zero(%s)" % at
        default = {"": "0", "true": "true", "false": "0"}.get(f.default, f.default)
        return "%s == %s" % (at, LITERALS.get(default, default))

    def default_struct(self, name, s, v):
        tests = [self.is_default(f, "m->" + f.name) for f in s.fields]
        if s.has_tags:
            tests.append("m->unknown_tags.n <= 0")
        return ["static bool %s(const struct %s *m)" % (name, s.cname), "{",
                "    return " + " &&\n           ".join(tests) + ";", "}"]

    def array_function(self, what, s, f, v, body):
        """The name of the function for one array of a struct."""
        return self.function("%s_%s" % (what, f.name), s, v, lambda n, t, w: body(n, t, f, w))

    def size_one(self, s, f, v, at, sizing="s"):
        compact = word(self.flexible(v) and not f.rigid)
        if f.array:
            return "%s(%s, m)" % (self.array_function("size", s, f, v, self.size_array), sizing)
        if fixed(f):
            return str(LEAST[f.base][0])
        if f.base == "struct":
            name = self.function("size", f.struct, v, self.size_struct)
            return "%s(%s, &%s)" % (name, sizing, at)
        return "hot_%s_size(%s, %s, %s, %s)" % (f.base, sizing, at, compact, word(nullable(f, v)))

    def size_array(self, name, s, f, v):
        flexible = word(self.flexible(v))
        count = "m->%s_count" % f.name
        lines = [SIZE_HEAD % (name, s.cname), "{",
                 "    int64_t size = hot_count_size(s, %s, %s, %s);" % (
                     count, flexible, word(nullable(f, v))), ""]
        one = element(f)
        if fixed(one):
            return lines + ["    return size + (%s > 0 ? (int64_t)%s * %d : 0);" % (
                count, count, LEAST[f.base][0]), "}"]
        at = "m->%s[i]" % f.name
        if f.struct:
            call = "%s(s, &%s)" % (self.function("size", f.struct, v, self.size_struct), at)
        else:
            call = "hot_%s_size(s, %s, %s, false)" % (f.base, at, flexible)
        return lines + ["    for (int32_t i = 0; i < %s; i++)" % count, "        size += %s;" % call,
                        "    return size;", "}"]

    def size_struct(self, name, s, v):
        constant, body = 0, []
        for f in s.fields:
            if not f.in_version(v):
                if not f.lossy:
                    body.append("    s->odd |= !(%s);" % self.is_default(f, "m->" + f.name))
            elif f.tag is None and fixed(f):
                constant += LEAST[f.base][0]
            elif f.tag is None:
                body.append("    size += %s;" % self.size_one(s, f, v, "m->" + f.name))
        if self.flexible(v):
            constant, body = self.size_tags(s, v, constant, body)
        elif s.has_tags:
            body.append("    s->odd |= m->unknown_tags.n > 0;")
        return [SIZE_HEAD % (name, s.cname), "{",
                "    int64_t size = %d;" % constant, "", *body, "    return size;", "}"]

    def size_tags(self, s, v, constant, body):
        body += ["    if (UNLIKELY(m->unknown_tags.n > 0))",
                 "        return size + hot_tags_size(s, &%s_layout, %d, m);" % (s.cname, v)]
        for f in self.known_tags(s, v):
            at = "m->" + f.name
            body += ["    if (!(%s))" % self.is_default(f, at),
                     "        size += hot_tag_size(%s);" % self.size_one(s, f, v, at)]
        body.append("    size += 1; /* how many tagged fields */")
        return constant, body

    # ---- writing ----

    def pieces(self, s):
        """Structs with records pass on where to note the cuts."""
        if s.cname in self.with_records:
            return ", struct hot_pieces *pieces", ", pieces"
        return "", ""

    def write_one(self, s, f, v, at):
        compact = word(self.flexible(v) and not f.rigid)
        if f.array:
            name = self.array_function("write", s, f, v, self.write_array)
            return "%s(p, m%s)" % (name, self.pieces(s)[1])
        return self.write_plain(f, v, at, compact)

    def write_plain(self, f, v, at, compact):
        if f.base == "struct":
            return "%s(p, &%s%s)" % (self.function("write", f.struct, v, self.write_struct), at,
                                     self.pieces(f.struct)[1])
        if f.base == "records":
            return "hot_put_records(p, %s, %s, pieces)" % (at, compact)
        if f.base == "bytes":
            return "put_bytes(p, %s, %s)" % (at, compact)
        return "put_string(p, %s, %s)" % (at, compact)

    def write_array(self, name, s, f, v):
        flexible = word(self.flexible(v))
        one, at, count = element(f), "m->%s[i]" % f.name, "m->%s_count" % f.name
        lines = [WRITE_HEAD % (name, s.cname, self.pieces(s)[0]),
                 "{", "    p = put_length(p, %s, %s);" % (count, flexible),
                 "    for (int32_t i = 0; i < %s; i++) {" % count]
        if fixed(one):
            lines += ["        " + put_line(one, at, "p"), "        p += %d;" % LEAST[f.base][0]]
        else:
            lines.append("        p = %s;" % self.write_plain(one, v, at, flexible))
        return lines + ["    }", "    return p;", "}"]

    def write_run(self, run):
        lines, at = [], 0
        for f in run:
            lines.append("    " + put_line(f, "m->" + f.name, offset("p", at)))
            at += LEAST[f.base][0]
        return lines + ["    p += %d;" % at]

    def write_struct(self, name, s, v):
        body = []
        for part in self.runs(s, v):
            if isinstance(part, list):
                body += self.write_run(part)
            else:
                body.append("    p = %s;" % self.write_one(s, part, v, "m->" + part.name))
        if self.flexible(v):
            body += self.write_tags(s, v)
        else:
            body.append("    return p;")
        return [WRITE_HEAD % (name, s.cname, self.pieces(s)[0]),
                "{", *body, "}"]

    def write_tags(self, s, v):
        lines = ["    if (UNLIKELY(m->unknown_tags.n > 0))",
                 "        return tags_write(&%s_layout, %d, m, p);" % (s.cname, v)]
        tags = self.known_tags(s, v)
        if not tags:
            return lines + ["    *p++ = 0; /* no tagged fields */", "    return p;"]
        lines += ["    uint8_t *count = p++;", "", "    *count = 0;"]
        for f in tags:
            at = "m->" + f.name
            lines += ["    if (!(%s)) {" % self.is_default(f, at), "        ++*count;",
                      "        *p++ = %d;" % f.tag]
            if fixed(f):
                size = LEAST[f.base][0]
                lines += ["        *p++ = %d;" % size, "        " + put_line(f, at, "p"),
                          "        p += %d;" % size]
            else:
                size = self.size_one(s, f, v, at, "&(struct hot_sizing){0}")
                lines += ["        p = hot_put_size(p, %s);" % size,
                          "        p = %s;" % self.write_one(s, f, v, at)]
            lines.append("    }")
        return lines + ["    return p;"]

    # ---- the public functions ----

    def switch(self, what, body, call, fallback):
        """One case per layout of the root."""
        cases, names = {}, {}
        for v in range(self.m.low, self.m.high + 1):
            name = self.function(what, self.m.root, v, body)
            cases.setdefault(name, []).append(v)
        lines = ["    switch (version) {"]
        for name, versions in cases.items():
            lines += ["    case %d:" % v for v in versions]
            lines += ["        %s" % (call % name), "        break;"]
        return lines + ["    default:", *["        " + f for f in fallback], "    }"]

    def public(self):
        c = self.m.cname
        lines = ["int %s_read(struct bytes in, int16_t version, struct arena *arena, struct %s *out)" % (c, c),
                 "{", "    struct reader r = reader_of(in, arena);", "    bool whole;", "",
                 *self.switch("read", self.read_struct, "whole = %s(&r, out);",
                              ["%s_init(out);" % c, "return ERR_VERSION;"]),
                 "    if (whole)", "        return (int)(r.p - in.p);", "    %s_init(out);" % c,
                 "    return r.error;", "}", ""]
        lines += self.public_measure(c)
        lines += self.public_write(c)
        return lines

    def public_measure(self, c):
        """Whatever is odd is counted by the tables, which name the error."""
        cases = self.switch("size", self.size_struct, "total = %s(&s, m);", ["return ERR_VERSION;"])
        head = ["    struct hot_sizing s = {0};", "    int64_t total;", ""]
        lines = ["int64_t %s_size(const struct %s *m, int16_t version)" % (c, c), "{", *head, *cases,
                 "    if (s.odd || total > INT32_MAX)",
                 "        return tables_size(&%s_message, version, m);" % c,
                 "    return total;", "}", ""]
        if c in self.with_records:
            lines += ["int %s_measure(const struct %s *m, int16_t version, struct message_extent *out)" % (c, c),
                      "{", *head, *cases, "    if (s.odd || total > INT32_MAX)",
                      "        return tables_measure(&%s_message, version, m, out);" % c,
                      "    *out = (struct message_extent){total, total - s.records_bytes, s.cuts};",
                      "    return 0;", "}", ""]
        return lines

    def public_write(self, c):
        pieces = c in self.with_records
        call = "end = %s(out, m, NULL);" if pieces else "end = %s(out, m);"
        bad = ['UNREACHABLE("a version that was not sized");']
        lines = ["void %s_write(const struct %s *m, int16_t version, uint8_t *out)" % (c, c), "{",
                 "    uint8_t *end;", "",
                 *self.switch("write", self.write_struct, call, bad), "    (void)end;", "}", ""]
        if pieces:
            lines += ["void %s_write_pieces(const struct %s *m, int16_t version, uint8_t *head," % (c, c),
                      "    struct message_cut *cuts)", "{",
                      "    struct hot_pieces pieces = {head, cuts};", "    uint8_t *end;", "",
                      *self.switch("write", self.write_struct, "end = %s(head, m, &pieces);", bad),
                      "    (void)end;", "}", ""]
        return lines

    def emit(self):
        public = self.public()
        layouts = ["extern const struct message_layout %s_layout;" % s.cname
                   for s in self.m.structs if s.has_tags]
        return layouts + [""] + self.out + public


ADAPTERS = """static int any_{c}_read(struct bytes in, int16_t version, struct arena *arena,
    void *out)
{{
    return {c}_read(in, version, arena, out);
}}

static int64_t any_{c}_size(const void *m, int16_t version)
{{
    return {c}_size(m, version);
}}

static void any_{c}_write(const void *m, int16_t version, uint8_t *out)
{{
    {c}_write(m, version, out);
}}
"""
PIECES_ADAPTERS = """static int any_{c}_measure(const void *m, int16_t version,
    struct message_extent *out)
{{
    return {c}_measure(m, version, out);
}}

static void any_{c}_write_pieces(const void *m, int16_t version, uint8_t *head,
    struct message_cut *cuts)
{{
    {c}_write_pieces(m, version, head, cuts);
}}
"""


def listed(files, hot):
    """The specialised messages, in the order of message_hot[]."""
    return [m for f in hot_files(files, hot) for m in f.messages if m.cname in hot]


def emit_list(files, messages, folder, write):
    out = ["/* hot_list.c - generated; do not edit. What is specialised. */", "",
           '#include "protocol/layout.h"']
    out += ['#include "protocol/%s"' % f.header() for f in files] + [""]
    rows = []
    for m in messages:
        records = m.cname in Emitter(m).with_records
        out.append(ADAPTERS.format(c=m.cname))
        if records:
            out.append(PIECES_ADAPTERS.format(c=m.cname))
        names = ["any_%s_%s" % (m.cname, w) for w in ("read", "size", "write")]
        names += ["any_%s_%s" % (m.cname, w) if records else "NULL"
                  for w in ("measure", "write_pieces")]
        rows.append("    {&%s_message, %s}," % (m.cname, ", ".join(names)))
    out += ["const struct message_hot message_hot[] = {", *rows, "};",
            "const int message_hot_count = (int)array_count(message_hot);", ""]
    write(folder, "hot_list.c", "\n".join(out))


def source_name(file):
    return "hot_" + file.header()[:-2] + ".c"


def hot_files(files, hot):
    return [f for f in files if any(m.cname in hot for m in f.messages)]


def emit(files, folder, hot, write):
    chosen = hot_files(files, hot)
    for f in chosen:
        out = ["/* %s - generated from schema/%s; do not edit. */" % (source_name(f), f.base), "",
               '#include "protocol/%s"' % f.header(), '#include "protocol/hot.h"', ""]
        for m in f.messages:
            if m.cname in hot:
                out += Emitter(m).emit()
        write(folder, source_name(f), "\n".join(out))
    emit_list(chosen, listed(files, hot), folder, write)
