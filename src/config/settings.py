#!/usr/bin/env python3
"""Make settings.h and settings.c from the tables of settings.

    settings.py OUT.h OUT.c TABLE.tsv...

A table's file name gives its name ("topic"), its enum ("enum topic_setting") and the prefix of its
ids (TOPIC_RETENTION_MS). Rows are sorted by name, so that a name is found by halving. README.md
says what the columns mean.
"""

import os
import re
import sys

COLUMNS = ["name", "type", "default", "valid", None, "internal", "acts", "help"]
TYPES = ["boolean", "string", "int", "short", "long", "double", "list", "class", "password"]
MODES = {"start": "READ_ONLY", "broker": "PER_BROKER", "cluster": "CLUSTER_WIDE"}
VALID = re.compile(r"(range:\S*\.\.\S*|or:\S+|one-of:\S+|one-of-nocase:\S+|list|list:\S+"
                   r"|nonempty|nonnull|rule:[a-z-]+)$")


def fail(path, number, what):
    sys.exit(f"{path}:{number}: {what}")


def read_table(path):
    rows = []
    with open(path, encoding="utf-8") as lines:
        header = next(lines).rstrip("\n").split("\t")
        extra = header[4] if len(header) == len(COLUMNS) else None
        if header != [column or extra for column in COLUMNS if column or extra] \
                or extra not in ("change", "broker_keys", None):
            fail(path, 1, "the columns are not those that settings.py knows")
        for number, line in enumerate(lines, 2):
            line = line.rstrip("\n")
            if line.startswith("#"):
                continue
            cells = line.split("\t")
            if len(cells) > len(header):
                fail(path, number, "too many columns")
            row = dict(zip(header, cells + [""] * (len(header) - len(cells))))
            check_row(path, number, row)
            rows.append(row)
    rows.sort(key=lambda row: row["name"].encode())
    for before, row in zip(rows, rows[1:]):
        if before["name"] == row["name"]:
            fail(path, 0, f"{row['name']} is there twice")
    return rows


def check_row(path, number, row):
    if not re.fullmatch(r"[a-z0-9.]+", row["name"]):
        fail(path, number, f"bad name {row['name']!r}")
    if row["type"] not in TYPES:
        fail(path, number, f"unknown type {row['type']!r}")
    if row.get("change", "start") not in MODES:
        fail(path, number, f"unknown change {row['change']!r}")
    if row["internal"] not in ("", "internal") or row["acts"] not in ("", "acts"):
        fail(path, number, "internal and acts are that word or nothing")
    if not row["help"] and (row["acts"] or "broker_keys" in row):
        fail(path, number, "a line of help is missing")
    if row["default"] == "required" and not row["help"]:
        fail(path, number, "whoever must set it wants to know what it is")
    for rule in row["valid"].split():
        if not VALID.match(rule):
            fail(path, number, f"unknown rule {rule!r}")
    if row["default"] == "":
        fail(path, number, "no default: required, null, \"\" or a value")


def literal(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if text else "NULL"


def default_number(row):
    value = row["default"]
    if row["type"] in ("int", "short", "long"):
        return ".i64 = " + ("INT64_MIN" if value in ("null", "required") else f"INT64_C({value})")
    if row["type"] == "boolean":
        return ".i64 = " + {"true": "1", "false": "0"}[value]
    if row["type"] == "double":
        return f".f64 = {float(value)!r}"
    return ".i64 = INT64_MIN"


def setting(row):
    default = {"required": "NULL", "null": "NULL", '""': '""'}.get(row["default"])
    flags = "".join(f", .{flag} = true" for flag, is_set in (
        ("required", row["default"] == "required"),
        ("internal", row["internal"]), ("acts", row["acts"])) if is_set)
    return (f'    {{.name = {literal(row["name"])}, .type = SETTING_{row["type"].upper()},\n'
            f'     .default_text = {default or literal(row["default"])},'
            f' .valid = {literal(row["valid"])},\n'
            f'     .mode = SETTING_{MODES[row.get("change", "start")]}{flags},\n'
            f'     .help = {literal(row["help"])},\n'
            f'     .broker_keys = {literal(row.get("broker_keys", ""))},\n'
            f'     .default_number = {{{default_number(row)}}}}},\n')


def main():
    header_path, source_path, *tables = sys.argv[1:]
    header = ["/* Made by settings.py from the tables beside it; do not edit. */\n#pragma once\n"]
    source = ['/* Made by settings.py from the tables beside it; do not edit. */\n'
              '#include "config/config.h"\n']
    for path in tables:
        what = os.path.splitext(os.path.basename(path))[0]
        rows = read_table(path)
        ids = [what.upper() + "_" + re.sub(r"[.-]", "_", row["name"]).upper() for row in rows]
        if len(set(ids)) != len(ids):
            fail(path, 0, "two names make the same id")
        header.append(f"\nenum {what}_setting {{\n"
                      + "".join(f"    {each},\n" for each in ids)
                      + f"    {what.upper()}_SETTINGS /* how many */\n}};\n")
        source.append(f"\nstatic const struct setting {what}_rows[{what.upper()}_SETTINGS] = {{\n"
                      + "".join(map(setting, rows)) + "};\n"
                      f"const struct config_table {what}_settings =\n"
                      f'    {{"{what}", {what}_rows, {what.upper()}_SETTINGS}};\n')
    with open(header_path, "w", encoding="utf-8") as out:
        out.write("".join(header))
    with open(source_path, "w", encoding="utf-8") as out:
        out.write("".join(source))


main()
