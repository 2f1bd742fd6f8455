"""Emit the tables that say what each field is on the wire: message_tables.c."""

import emit_hot
import schema
from emit_headers import defaults

KINDS = {"bool": "FIELD_BOOL", "i8": "FIELD_I8", "i16": "FIELD_I16", "u16": "FIELD_U16",
         "i32": "FIELD_I32", "u32": "FIELD_U32", "i64": "FIELD_I64", "f64": "FIELD_F64",
         "string": "FIELD_STRING", "bytes": "FIELD_BYTES", "records": "FIELD_RECORDS",
         "uuid": "FIELD_UUID", "struct": "FIELD_STRUCT"}
MESSAGE_KINDS = ("request", "response", "header", "data", "metadata", "tiered", "group_key",
                 "group_value", "share_key", "share_value", "transaction_key",
                 "transaction_value")


def flags(f):
    names = []
    if f.array:
        names.append("FIELD_ARRAY")
    if f.pointer():
        names.append("FIELD_POINTER")
    if f.lossy:
        names.append("FIELD_LOSSY")
    if f.rigid:
        names.append("FIELD_RIGID")
    return " | ".join(names) or "0"


def field_row(s, f):
    at = "offsetof(struct %s, %s)" % (s.cname, f.name)
    count = "offsetof(struct %s, %s_count)" % (s.cname, f.name) if f.array else "0"
    null = "%d, %d" % f.null if f.null else "1, 0"
    return '    {"%s", %s, %s, %s, %s, %s, %d, %d, %s, %d},' % (
        f.json, "&%s_layout" % f.struct.cname if f.struct else "NULL", at, count, KINDS[f.base],
        flags(f), f.low, f.high, null, -1 if f.tag is None else f.tag)


def struct_tables(m, s, hot):
    c = s.cname
    inner = defaults(s)
    private = "" if m.cname in hot and s.has_tags else "static "
    out = ["const struct %s %s_default = {%s};" % (c, c, ", ".join(inner) or "0")]
    if s.fields:
        out.append("static const struct message_field %s_fields[] = {" % c)
        out += [field_row(s, f) for f in s.fields] + ["};"]
    if s.tagged:
        out.append("static const uint8_t %s_tags[] = {%s};" % (
            c, ", ".join(str(s.fields.index(f)) for f in s.tagged)))
    least = [min(s.least(m, v), 255) for v in range(m.low, m.high + 1)]
    out.append("static const uint8_t %s_least[] = {%s};" % (c, ", ".join(map(str, least))))
    out += ["%sconst struct message_layout %s_layout = {" % (private, c),
            "    %s, &%s_default, %s, %s_least," % (
                c + "_fields" if s.fields else "NULL", c, c + "_tags" if s.tagged else "NULL", c),
            "    sizeof(struct %s), %s, %d, %d, %s};" % (
                c, "offsetof(struct %s, unknown_tags)" % c if s.has_tags else "FIELD_NOWHERE",
                len(s.fields), len(s.tagged), "true" if s.tagged or s.has_tags else "false"), ""]
    return out


def message_table(m, hot):
    """hot: the specialised messages, in order."""
    return ['const struct message %s_message = {"%s", &%s_layout, MESSAGE_%s, %s, %d, %d, %s, %s, %s};' % (
        m.cname, m.name, m.cname, m.kind.upper(), -1 if m.key is None else m.key, m.low, m.high,
        "MESSAGE_NEVER_FLEXIBLE" if m.flexible == m.NEVER else m.flexible,
        "true" if m.unstable else "false",
        "&message_hot[%d]" % hot.index(m.cname) if m.cname in hot else "NULL"), ""]


def lists(messages):
    out = ["const struct message *const message_list[] = {"]
    out += ["    &%s_message," % m.cname for m in messages]
    out += ["};", "const int message_count = (int)array_count(message_list);", ""]
    rows = []
    for kind in MESSAGE_KINDS:
        by_key = {m.key: m for m in messages if m.kind == kind and m.key is not None}
        if not by_key:
            continue
        out.append("static const struct message *const %s_by_key[] = {" % kind)
        out += ["    [%d] = &%s_message," % (k, by_key[k].cname) for k in sorted(by_key)]
        out.append("};")
        rows.append("    [MESSAGE_%s] = {%s_by_key, array_count(%s_by_key)}," % (
            kind.upper(), kind, kind))
    out += ["", "const struct message_index message_indexes[MESSAGE_KIND_COUNT] = {", *rows, "};", ""]
    return out


def emit(files, folder, hot, write):
    messages = [m for f in files for m in f.messages]
    out = ["/* message_tables.c - generated from schema/; do not edit. */", "",
           '#include "protocol/layout.h"', ""]
    out += ['#include "protocol/%s"' % f.header() for f in files if f.messages] + [""]
    for m in messages:
        for s in m.structs:
            out += struct_tables(m, s, hot)
        out += message_table(m, [h.cname for h in emit_hot.listed(files, hot)])
    out += lists(messages)
    write(folder, "message_tables.c", "\n".join(out))
