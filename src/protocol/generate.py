"""Generate the C of the wire protocol from schema/.

    generate.py SCHEMA_FOLDER HEADER_FOLDER SOURCE_FOLDER
    generate.py --list SCHEMA_FOLDER

HEADER_FOLDER gets one header per schema file, and errors.h, api_keys.h and feature_ids.h;
SOURCE_FOLDER gets the .c files. A file that would not change is not touched. --list prints three
lines for the build: the files that are read, the headers, the sources.
"""

import glob
import os
import sys

import emit_facts
import emit_headers
import emit_hot
import emit_tables
import schema

# Messages with specialised functions: those of every produce, fetch, commit and heartbeat. Code
# costs about 10 kB a message, so what is rarer stays with the tables.
HOT = ("produce_request", "produce_response", "fetch_request", "fetch_response",
       "list_offsets_request", "list_offsets_response", "metadata_request", "metadata_response",
       "offset_commit_request", "offset_commit_response", "offset_fetch_request",
       "offset_fetch_response", "heartbeat_request", "heartbeat_response")


def write(folder, name, text):
    path = os.path.join(folder, name)
    try:
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                return
    except FileNotFoundError:
        pass
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.write(text)


def read(folder):
    files = schema.read_files(glob.glob(os.path.join(folder, "*.wire")))
    names = [f.header() for f in files]
    for name in names:
        if names.count(name) > 1:
            raise SystemExit("two schema files make " + name)
    return files


def print_lists(folder):
    files = read(folder)
    tables = [os.path.join(folder, name) for name in emit_facts.TABLES]
    print(*[f.path for f in files], *tables)
    print(*[f.header() for f in files], *emit_facts.HEADERS)
    print(*[emit_hot.source_name(f) for f in emit_hot.hot_files(files, HOT)], "hot_list.c",
          "message_tables.c", "fact_tables.c")


def generate(folder, headers, sources):
    files = read(folder)
    for each in (headers, sources):
        os.makedirs(each, exist_ok=True)
    emit_headers.emit(files, headers, HOT, write)
    emit_tables.emit(files, sources, HOT, write)
    emit_hot.emit(files, sources, HOT, write)
    emit_facts.emit(files, folder, headers, sources, write)


if __name__ == "__main__":
    words = sys.argv[1:]
    if len(words) == 2 and words[0] == "--list":
        print_lists(words[1])
    elif len(words) == 3:
        generate(*words)
    else:
        raise SystemExit(__doc__)
