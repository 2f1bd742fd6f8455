#!/usr/bin/env python3
"""The manual pages: groff finds nothing wrong with them, and they say what is true.

    man_check.py PAGE MILLRACE      PAGE: millrace(1), made by docs/man/make_page.py; MILLRACE: the executable

millrace(1) has every option that a tool's --help has; libmillrace(3) names no function or type that the headers have not.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAID_ELSEWHERE = {"kafka-run-class.sh": "\nDESCRIPTION\n", "kafka-server-start.sh": "\n   millrace server\n"}
LIBRARY_PAGE = ROOT / "docs" / "man" / "libmillrace.3"


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)


def groff(page, *words):
    return run("groff", "-man", "-ww", *words, page)


def warnings(page):
    return [f"{page.name}: {line}" for line in groff(page, "-Tutf8", "-z").stderr.splitlines()]


def missing_options(page, millrace):
    shown = groff(page, "-Tascii", "-P-cbou", "-rLL=200n", "-rHY=0").stdout
    for link in sorted(millrace.parent.glob("kafka-*.sh")):
        heading = SAID_ELSEWHERE.get(link.name, f"\n   {link.name}\n")
        told = re.split(r"\n   \S", shown.split(heading)[1])[0]
        for option in re.findall(r"^  (?:-\w, )?(--[\w-]+)", run(link, "--help").stdout, re.M):
            if option not in told:
                yield f"{page.name}: {option} of {link.name} is missing"


def unknown_names(page):
    headers = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "include" / "millrace").glob("*.h"))
    for name in sorted(set(re.findall(r"\b(?:mr_\w+|MR_\w+)", page.read_text(encoding="utf-8")))):
        if not re.search(rf"\b{name}\b", headers):
            yield f"{page.name}: {name} is in no header"


def main():
    page, millrace = Path(sys.argv[1]), Path(sys.argv[2])
    problems = [*warnings(page), *warnings(LIBRARY_PAGE), *missing_options(page, millrace), *unknown_names(LIBRARY_PAGE)]
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
