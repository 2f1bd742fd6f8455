"""Emit what is not a message: API keys, error codes, features (headers, and fact_tables.c)."""

import os

from schema import read_tsv, snake

TABLES = ("errors.tsv", "apis.tsv", "features.tsv", "metadata-versions.tsv")
HEADERS = ("errors.h", "api_keys.h", "feature_ids.h")
TOP = "/* protocol/%s - generated from schema/%s; do not edit. */\n#pragma once\n\n"


def enum(name, members):
    return "enum %s {\n%s};\n" % (name, "".join("    %s,\n" % m for m in members))


def errors_h(rows):
    return TOP % ("errors.h", "errors.tsv") + "/* Answers of the protocol; never a trouble of ours. */\n" + \
        enum("kerr", ["KERR_%s = %s" % (r["name"], r["code"]) for r in rows])


def api_keys_h(apis):
    return TOP % ("api_keys.h", "NNN-NAME.wire") + \
        enum("api_key", ["API_%s = %d" % (snake(f.name).upper(), f.key) for f in apis] +
             ["API_KEY_COUNT"])


def feature_word(name):
    return "FEATURE_" + name.replace(".", "_").upper()


def feature_ids_h(names):
    return TOP % ("feature_ids.h", "features.tsv") + \
        enum("feature_id", [feature_word(n) for n in names] + ["FEATURE_COUNT"])


def yes(word):
    return "true" if word in ("yes", "latest") else "false"


def error_table(rows):
    low = int(rows[0]["code"])
    if [int(r["code"]) for r in rows] != list(range(low, low + len(rows))):
        raise SystemExit("errors.tsv: the codes have gaps or are out of order")
    return ["const int16_t kerr_low = %d;" % low,
            "const int16_t kerr_high = %d;" % (low + len(rows) - 1),
            "const struct kerr_row kerr_rows[] = {",
            *['    {"%s", %s, %s},' % (r["name"], yes(r["retriable"]), yes(r["refresh_metadata"]))
              for r in rows], "};", ""]


def api_table(apis, rows):
    more = {int(r["key"]): r for r in rows}
    out = ["const struct api api_rows[API_KEY_COUNT] = {"]
    for f in apis:
        if not f.messages:
            continue
        request, response = f.messages
        r = more.pop(f.key, None)
        if r is None or r["name"] != f.name:
            raise SystemExit("apis.tsv: no row for %d %s" % (f.key, f.name))
        low, _, high = r["offered"].partition("-")
        listeners = " | ".join("LISTENER_" + w.upper() for w in f.listeners)
        out.append('    [%d] = {"%s", &%s_message, &%s_message, %d, %d, %d, %s, %s, %s, %s, %s, %s},' % (
            f.key, f.name, request.cname, response.cname, f.key, request.low, request.high, low,
            high or low, listeners, yes(r["forwardable"]), yes(r["cluster_action"]),
            "true" if response.header_0 else "false"))
    if more:
        raise SystemExit("apis.tsv: no schema for %s" % ", ".join(r["name"] for r in more.values()))
    return out + ["};", ""]


def feature_tables(names, features, versions):
    level_of = {v["name"]: v["level"] for v in versions}
    out, rows = [], []
    for name in names:
        mine = [r for r in features if r["feature"] == name]
        word = feature_word(name).lower() + "_levels"
        out.append("static const struct feature_level %s[] = {" % word)
        for r in mine:
            since = level_of.get(r["since"], "0")
            needs = r["needs"].rpartition("=")[2] if r["needs"] != "-" else "0"
            out.append('    {"%s", %s, %s, %s, %s},' % (
                r["name"], r["level"], since, needs, yes(r["production"])))
        out += ["};", ""]
        latest = [r["level"] for r in mine if r["production"] == "latest"][0]
        rows.append('    {"%s", %s, %d, %s, %s},' % (
            name, word, len(mine), mine[0]["level"], latest))
    return out + ["const struct feature features[FEATURE_COUNT] = {", *rows, "};", ""]


def metadata_version_table(names, versions):
    tail = ("register_broker_record", "register_controller_record", "partition_change_record",
            "partition_record", "fetch_request", "list_offsets_request")
    out = ["const struct metadata_version metadata_version_rows[] = {"]
    for v in versions:
        defaults = ", ".join(v["level"] if n == "metadata.version" else v[n] for n in names)
        out.append('    {"%s", %s, %s, {%s}, %s},' % (
            v["name"], v["level"], yes(v["records_changed"]), defaults,
            ", ".join(v[c] for c in tail)))
    return out + ["};", "const int metadata_version_count = (int)array_count(metadata_version_rows);",
                  ""]


def emit(files, source, headers, sources, write):
    apis = [f for f in files if f.word == "api"]
    errors = read_tsv(os.path.join(source, "errors.tsv"))
    features = read_tsv(os.path.join(source, "features.tsv"))
    versions = read_tsv(os.path.join(source, "metadata-versions.tsv"))
    names = list(dict.fromkeys(r["feature"] for r in features))
    write(headers, "errors.h", errors_h(errors))
    write(headers, "api_keys.h", api_keys_h(apis))
    write(headers, "feature_ids.h", feature_ids_h(names))
    out = ["/* fact_tables.c - generated from schema/; do not edit. */", "",
           '#include "protocol/facts.h"', ""]
    out += ['#include "protocol/%s"' % f.header() for f in apis if f.messages] + [""]
    out += error_table(errors)
    out += api_table(apis, read_tsv(os.path.join(source, "apis.tsv")))
    out += feature_tables(names, features, versions)
    out += metadata_version_table(names, versions)
    write(sources, "fact_tables.c", "\n".join(out))
