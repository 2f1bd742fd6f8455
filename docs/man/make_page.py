#!/usr/bin/env python3
"""Make millrace(1) from what the tools say of themselves.

    make_page.py MILLRACE OUT      MILLRACE: the executable, with its links of Kafka's names beside it

The page is every tool's --help, laid out as a page: so it cannot say anything else.
"""
import re
import subprocess
import sys
from pathlib import Path

INDENT = 30  # of the texts of options (src/cli/help.c)
NOT_OURS = {"kafka-run-class.sh", "kafka-server-start.sh"}  # they run what is said elsewhere


def ask(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def roff(text):
    """As text that troff takes for nothing else."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    return re.sub(r"^([.'])", r"\\&\1", text)


def verbatim(lines):
    return [".PP", ".nf", *(roff(line) for line in lines), ".fi"]


def entries(lines):
    """[(option, lines of its text)] of a block of options; None: it is laid out by hand."""
    found = []
    for line in lines:
        head, text = line[:INDENT].strip(), line[INDENT:].strip()
        if line.startswith(" " * INDENT) and found:
            found[-1][1].append(text)
        elif re.match(r"  \S", line) and line[INDENT - 2:INDENT] == "  ":
            found.append((head, [text]))
        elif re.match(r"  -", line):  # too long for a text beside it
            found.append((line.strip(), []))
        else:
            return None
    return found if all(text for _, text in found) else None


def block(lines):
    if lines[0].startswith("usage:"):
        return verbatim(line[7:] if index == 0 or line.startswith(" " * 7) else line for index, line in enumerate(lines))
    if not any(line.startswith(" ") for line in lines):
        return [".PP", *(roff(line) for line in lines)]
    parsed = entries(lines)
    if parsed is None:
        return verbatim(lines)
    return [word for option, text in parsed for word in (".TP", f".B {roff(option)}", *(roff(line) for line in text))]


def section(title, text):
    blocks = [part.splitlines() for part in re.split(r"\n\n+", text.strip("\n"))]
    return [f'.SS "{roff(title)}"', *(line for lines in blocks for line in block(lines))]


def commands(millrace):
    """The first words of `millrace`, as its completion knows them."""
    words = re.search(r"COMP_CWORD.*?words='(.*?)'", ask(millrace, "completion"), re.S)[1].split()
    silent = {"settings", "version", "completion", "storage", "log"}  # without a --help of one tool
    yield from ([word] for word in words if word not in silent)
    yield from (["log", "dump"], ["log", "verify"])
    for word in re.search(r"\{(.*?)\}", ask(millrace, "storage", "--help"))[1].split(","):
        yield ["storage", word]


def page(millrace):
    version = ask(millrace, "version").split()[1]
    overview = ask(millrace, "--help").split("\n\n", 1)[1]
    lines = [f'.TH MILLRACE 1 "" "millrace {version}" "User Commands"', ".SH NAME",
             "millrace \\- a streaming platform that speaks Kafka\\(aqs protocol", ".SH SYNOPSIS"]
    usage, rest = overview.split("\n\n", 1)
    lines += block(usage.splitlines()) + [".SH DESCRIPTION"] + verbatim(rest.rstrip("\n").splitlines())
    lines.append(".SH COMMANDS")
    for words in commands(millrace):
        lines += section("millrace " + " ".join(words), ask(millrace, *words, "--help"))
    lines.append(".SH TOOLS WITH THE NAMES OF KAFKA\\(aqS")
    for link in sorted(Path(millrace).parent.glob("kafka-*.sh")):
        if link.name not in NOT_OURS:
            lines += section(link.name, ask(link, "--help"))
    return "\n".join(lines + [".SH SEE ALSO", ".BR libmillrace (3)"]) + "\n"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(page(sys.argv[1]), encoding="utf-8")
