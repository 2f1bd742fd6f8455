#!/usr/bin/env python3
"""The examples do what their comments say, against a real server; and a program links with the static library alone.

    tests/examples_check.py CC BUILD [FLAG...]   flags of the compiler that the build was made with
"""
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ["-lz", "-llz4", "-lzstd", "-lsnappy", "-lcrypto", "-lpthread", "-lm"]
WAIT_S = 120
IDLE_S = 20  # before the first record a group forms, and the machine may be busy


def run(words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=WAIT_S, check=False, **more)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def expect(what, got, wanted):
    if got != wanted:
        raise SystemExit(f"{what}: {got!r} instead of {wanted!r}")


def check(build, cc, flags, folder, address):
    lib = build / "lib"
    lines = "".join(f"line {i}\n" for i in range(1000))
    expect("produce", run([lib / "example_produce", address, "t"], input=lines).stdout, "1000 records, 0 failed\n")
    static = Path(folder) / "static"
    run([cc, *flags, "-I", ROOT / "include", ROOT / "examples" / "produce.c", "-o", static, lib / "libmillrace.a", *LIBRARIES])
    expect("produce, linked statically", run([static, address, "t"], input=lines).stdout, "1000 records, 0 failed\n")
    expect("loop", run([lib / "example_loop", address, "t", "7"]).stdout, "all are written\n")
    count = 2007
    if (lib / "example_cpp").exists():
        expect("C++", run([lib / "example_cpp", address, "t"]).stdout, "written\n")
        count += 1
    got = run([lib / "example_consume", address, "g", "t", IDLE_S])
    expect("consume", len(got.stdout.splitlines()), count)
    expect("the first line", got.stdout.splitlines()[0], "t-0@0 line 0")
    expect("admin", run([lib / "example_admin", address, "made"]).stdout,
           "made has 3 partitions\n" + "".join(f"{i}: 1 of 1 replicas in sync\n" for i in range(3)) + "retention.ms=7200000\n")
    expect("consume again", run([lib / "example_consume", address, "g", "t", "3"]).stdout, "")


def main():
    cc, build, flags = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [str(build / "bin" / "millrace"), "server", "--override", f"log.dirs={folder}/data",
             "--override", "group.initial.rebalance.delay.ms=0", "--override",
             "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            address = server.stdout.readline().split("PLAINTEXT://")[1].split(",")[0].strip()
            check(build, cc, flags, folder, address)
        finally:
            server.terminate()
            server.wait(WAIT_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
