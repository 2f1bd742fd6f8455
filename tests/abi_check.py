#!/usr/bin/env python3
"""The binary interface of libmillrace: what the shared library exports, and how public structs lie in memory.

    tests/abi_check.py CC LIBRARY          compare with lib/abi.txt
    tests/abi_check.py CC LIBRARY --write  take what is there as the new truth (a change of MAJOR, or an addition)

Programs that were built against an older header of the same MAJOR must go on: lines may be added to abi.txt, none may
change or go.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = [ROOT / "include" / "millrace" / name for name in
           ("client.h", "admin.h", "admin_access.h", "admin_groups.h")]
TRUTH = ROOT / "lib" / "abi.txt"


def header_text():
    return re.sub(r"/\*.*?\*/", "", "".join(header.read_text(encoding="utf-8") for header in HEADERS), flags=re.S)


def declared(text):
    return sorted(set(re.findall(r"^MR_API\s[^;{]*?\b(mr_\w+)\(", text, re.M)))


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return sorted(line.split()[-1].split("@")[0] for line in lines.splitlines() if " T " in line)


def fields(body):
    """Names of a struct's fields: `int a, b;`, `char c[9];`, `void (*f)(int);`."""
    for declaration in filter(None, (part.strip() for part in body.split(";"))):
        function = re.match(r".*?\(\*(\w+)\)\(", declaration)
        if function:
            yield function[1]
            continue
        yield from (re.search(r"(\w+)(\[\w+\])?$", part.strip())[1] for part in declaration.split(","))


def layout(cc, text):
    structs = re.findall(r"^struct (\w+) \{(.*?)^\};", text, re.M | re.S)
    enums = re.findall(r"^enum \w+ \{(.*?)\};", text, re.M | re.S)
    lines = ['#include <stdio.h>', '#include "millrace/admin.h"', "int main(void) {"]
    for name, body in structs:
        lines.append(f'printf("struct {name} %zu\\n", sizeof(struct {name}));')
        lines += [f'printf("struct {name}.{field} %zu\\n", offsetof(struct {name}, {field}));' for field in fields(body)]
    for body in enums:
        lines += [f'printf("enum {name} %d\\n", {name});' for name in re.findall(r"^\s*(MR_\w+)|,\s*(MR_\w+)", body, re.M)
                  for name in name if name]
    lines.append("return 0; }")
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "probe.c", Path(folder) / "probe"
        source.write_text("\n".join(lines), encoding="utf-8")
        subprocess.run([cc, "-I", str(ROOT / "include"), str(source), "-o", str(program)], check=True)
        return subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.splitlines()


def main():
    cc, library = sys.argv[1:3]
    text = header_text()
    names = declared(text)
    if exported(library) != names:
        print("exported, but not in the header:", sorted(set(exported(library)) - set(names)))
        print("in the header, but not exported:", sorted(set(names) - set(exported(library))))
        return 1
    now = [f"function {name}" for name in names] + sorted(layout(cc, text))
    if "--write" in sys.argv:
        TRUTH.write_text("\n".join(now) + "\n", encoding="utf-8")
        return 0
    gone = sorted(set(TRUTH.read_text(encoding="utf-8").splitlines()) - set(now))
    for line in gone:
        print("changed or gone:", line)
    for line in sorted(set(now) - set(TRUTH.read_text(encoding="utf-8").splitlines())):
        print("new, and not in lib/abi.txt:", line)
        gone.append(line)
    return 1 if gone else 0


if __name__ == "__main__":
    sys.exit(main())
