"""Emit the headers: one per schema file, with the C structs and their functions."""

import schema

TYPES = {"bool": ("bool", 1), "i8": ("int8_t", 1), "i16": ("int16_t", 2), "u16": ("uint16_t", 2),
         "i32": ("int32_t", 4), "u32": ("uint32_t", 4), "i64": ("int64_t", 8), "f64": ("double", 8),
         "string": ("struct str", 8), "bytes": ("struct bytes", 8), "records": ("struct bytes", 8),
         "uuid": ("struct uuid", 1)}
LITERALS = {"-2147483648": "INT32_MIN", "2147483647": "INT32_MAX",
            "9223372036854775807": "INT64_MAX", "-9223372036854775808": "INT64_MIN"}


def ctype(f):
    return "struct " + f.struct.cname if f.base == "struct" else TYPES[f.base][0]


def alignment(s):
    return max([member[0] for member in members(s)], default=1)


def members(s):
    """(alignment, declaration) of a struct's members, widest first."""
    out = []
    for f in s.fields:
        note = "  /* %s */" % f.kind_text if f.kind_text else ""
        if f.array:
            out.append((8, "%s *%s;%s" % (ctype(f), f.name, note)))
            out.append((4, "int32_t %s_count;" % f.name))
        elif f.pointer():
            out.append((8, "%s *%s;%s" % (ctype(f), f.name, note)))
        elif f.base == "struct":
            out.append((alignment(f.struct), "%s %s;%s" % (ctype(f), f.name, note)))
        else:
            out.append((TYPES[f.base][1], "%s %s;%s" % (ctype(f), f.name, note)))
    if s.has_tags:
        out.append((8, "struct bytes unknown_tags;"))
    return sorted(out, key=lambda member: -member[0])


def check_members(s):
    names = [decl.split(";")[0].split()[-1].lstrip("*") for _, decl in members(s)]
    for name in names:
        if names.count(name) > 1:
            raise SystemExit("struct %s: two members are called %s" % (s.cname, name))


def defaults(s):
    """The designated initialisers of what is not zero by default."""
    out = []
    for f in s.fields:
        if f.array:
            if f.default == "null":
                out.append(".%s_count = -1" % f.name)
        elif f.pointer():
            if f.default != "null":
                out.append(".%s = (struct %s *)&%s_default" % (f.name, f.struct.cname, f.struct.cname))
        elif f.base == "struct":
            inner = defaults(f.struct)
            if inner:
                out.append(".%s = {%s}" % (f.name, ", ".join(inner)))
        elif f.base == "string" and f.default == "null":
            out.append(".%s = {NULL, -1}" % f.name)
        elif f.base == "records" or f.base == "bytes" and f.default == "null":
            out.append(".%s = {NULL, -1}" % f.name)
        elif f.default and f.default not in ("0", "false"):
            out.append(".%s = %s" % (f.name, LITERALS.get(f.default, f.default)))
    return out


STRUCT = """struct {c} {{
{members}
}};

extern const struct {c} {c}_default;

static inline void {c}_init(struct {c} *m) {{ *m = {c}_default; }}
"""

EMPTY = "    char nothing;  /* the message has no fields */"

FUNCTIONS = """extern const struct message {c}_message;

MUST static inline int {c}_read(struct bytes in, int16_t version, struct arena *arena,
    struct {c} *out)
{{
    return message_read(&{c}_message, in, version, arena, out);
}}

MUST static inline int64_t {c}_size(const struct {c} *m, int16_t version)
{{
    return message_size(&{c}_message, version, m);
}}

static inline void {c}_write(const struct {c} *m, int16_t version, uint8_t *out)
{{
    message_write(&{c}_message, version, m, out);
}}
"""

HOT_FUNCTIONS = """extern const struct message {c}_message;

/* Specialised by version; message_read and its kin come here. */
MUST int {c}_read(struct bytes in, int16_t version, struct arena *arena, struct {c} *out);
MUST int64_t {c}_size(const struct {c} *m, int16_t version);
void {c}_write(const struct {c} *m, int16_t version, uint8_t *out);
"""

PIECES = """
MUST static inline int {c}_measure(const struct {c} *m, int16_t version,
    struct message_extent *out)
{{
    return message_measure(&{c}_message, version, m, out);
}}

static inline void {c}_write_pieces(const struct {c} *m, int16_t version, uint8_t *head,
    struct message_cut *cuts)
{{
    message_write_pieces(&{c}_message, version, m, head, cuts);
}}
"""

HOT_PIECES = """MUST int {c}_measure(const struct {c} *m, int16_t version, struct message_extent *out);
void {c}_write_pieces(const struct {c} *m, int16_t version, uint8_t *head,
    struct message_cut *cuts);
"""

# the header of a request or response is read and written by hand: protocol/frame.h
HEADER_FUNCTIONS = "extern const struct message {c}_message; /* read and written by frame.h */\n"


def versions_text(m):
    text = "version %d" % m.low if m.low == m.high else "versions %d-%d" % (m.low, m.high)
    if m.flexible != m.NEVER:
        text += ", flexible from %d" % m.flexible
    return text


def header(file, hot):
    out = ["/* protocol/%s - generated from schema/%s; do not edit. */" % (file.header(), file.base),
           "#pragma once", "", '#include "protocol/message.h"', ""]
    for m in file.messages:
        out += ["/* ---- %s: %s ---- */" % (m.name, versions_text(m)), ""]
        for s in m.structs:
            check_members(s)
            lines = ["    " + decl for _, decl in members(s)] or [EMPTY]
            out.append(STRUCT.format(c=s.cname, members="\n".join(lines)))
        form = HEADER_FUNCTIONS if m.kind == "header" else \
            HOT_FUNCTIONS if m.cname in hot else FUNCTIONS
        out.append(form.format(c=m.cname))
        if any(f.base == "records" for s in m.structs for f in s.fields):
            out.append((HOT_PIECES if m.cname in hot else PIECES).format(c=m.cname))
    if not file.messages:
        out.append("/* withdrawn: the key stays reserved */")
    return "\n".join(out)


def emit(files, folder, hot, write):
    for f in files:
        write(folder, f.header(), header(f, hot))
