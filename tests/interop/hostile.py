"""Clients that are broken or mean no good, byte by byte: the broker goes on, serves the others, and stays small."""
import os
import random
import resource
import socket
import struct
import threading
import time
import zlib
from contextlib import ExitStack

from confluent_kafka.admin import AdminClient, NewTopic

import kcat
from checks import check, equal, wait_for
from scenario import Skip, scenario
from server import MillraceServer

# Sanitizers take several times the memory and time.
SLACK = float(os.environ.get("MILLRACE_INTEROP_SLACK", 1))
CLOSE_TIMEOUT_S = 60
SOON_S = 20  # two processes and some answers, on a machine that does other things, too
PRODUCE, FETCH, METADATA, API_VERSIONS = 0, 1, 3, 18


# ---- bytes


def frame(key, version, body=b"", correlation=1, flexible=False):
    head = struct.pack(">hhih", key, version, correlation, 3) + b"bad" + (b"\0" if flexible else b"")
    return struct.pack(">i", len(head) + len(body)) + head + body


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def connect(server, timeout_s=CLOSE_TIMEOUT_S):
    s = socket.create_connection(("127.0.0.1", server.port), timeout=timeout_s)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_to_end(s):
    """What the server sends until it closes; it must close."""
    got = b""
    try:
        while piece := s.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def read_answer(s):
    def exactly(n):
        got = b""
        while len(got) < n:
            piece = s.recv(n - len(got))
            check("the server answers", piece)
            got += piece
        return got
    return exactly(struct.unpack(">i", exactly(4))[0])


def api_ranges(server):
    """{key: (low, high)} of what the listener advertises."""
    with connect(server) as s:
        s.sendall(frame(API_VERSIONS, 0))
        answer = read_answer(s)
    error, count = struct.unpack_from(">hi", answer, 4)
    equal("error of ApiVersions", error, 0)
    return {key: (low, high) for key, low, high in (struct.unpack_from(">hhh", answer, 10 + 6 * i) for i in range(count))}


# ---- the server


def rss_bytes(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def serves(server):
    """Somebody else is served well, and soon."""
    began = time.monotonic()
    kcat.produce(server, "others", [("k", "v")])
    check("the others' record is there", kcat.consume(server, "others", "-o", "-1"))
    took = time.monotonic() - began
    check("the others are served soon", took < SOON_S * SLACK, f"{took:.1f} s")


class Grows:
    """Inside it the server's memory grows by no more than so much (ours: a JVM's tells nothing)."""

    def __init__(self, server, limit_bytes):
        self.server = server
        self.limit = limit_bytes * SLACK if isinstance(server, MillraceServer) else 1 << 40

    def __enter__(self):
        self.before = self.most = rss_bytes(self.server)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.over.wait(0.02):
            self.most = max(self.most, rss_bytes(self.server))

    def __exit__(self, kind, *_):
        self.over.set()
        self.thread.join()
        if kind is None:
            check("the server stays small", self.most - self.before <= self.limit,
                  f"grew by {(self.most - self.before) >> 20} MiB, {int(self.limit) >> 20} are allowed")


def batch(records, attributes=0, count=1):
    """A record batch around `records` as they are."""
    body = struct.pack(">hiqqqhii", attributes, count - 1, 0, 0, -1, -1, -1, count) + records
    return struct.pack(">qiibI", 0, 9 + len(body), -1, 2, crc32c(body)) + body


def produce_body(topic, partition, records, acks=-1):
    return (struct.pack(">hhii", -1, acks, 10000, 1) + string(topic) + struct.pack(">iii", 1, partition, len(records)) + records)


def crc32c(data, table=[]):
    if not table:
        for i in range(256):
            for _ in range(8):
                i = (i >> 1) ^ (0x82F63B78 if i & 1 else 0)
            table.append(i)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# ---- scenarios


@scenario
def impossible_lengths(ctx):
    """A length that no request has ends the connection before memory is taken."""
    server = ctx.server()
    with Grows(server, 8 << 20):
        for length in [0, -1, -2 ** 31, 2 ** 31 - 1, 104857601]:
            with connect(server) as s:
                s.sendall(struct.pack(">i", length))
                if length > 0:
                    s.sendall(b"x" * 100)
                equal(f"answer to a request of {length} bytes", read_to_end(s), b"")
        for length in range(1, 8):  # too short for a header
            with connect(server) as s:
                s.sendall(struct.pack(">i", length) + b"\0" * length)
                equal(f"answer to a header of {length} bytes", read_to_end(s), b"")
    serves(server)


@scenario
def other_protocols(ctx):
    """TLS, HTTP, SSH and noise on a plain port."""
    server = ctx.server()
    hello = bytes.fromhex("16030100a5010000a10303") + os.urandom(32) + bytes(130)
    for first in [hello, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\xff" * 100]:
        with connect(server) as s:
            s.sendall(first)
            equal(f"answer to {first[:10]}", read_to_end(s), b"")
    noise = random.Random(4711)
    for _ in range(300):
        with connect(server) as s:
            try:
                s.sendall(noise.randbytes(noise.randrange(1, 2000)))
                s.shutdown(socket.SHUT_WR)
            except OSError:  # it was quicker to close
                continue
            read_to_end(s)
    serves(server)


@scenario
def bodies_that_cannot_be(ctx):
    """Every API in every version, and versions around them, with bodies that are cut off, empty, or all of one byte:
    each connection comes to its end."""
    if ctx.is_kafka:
        raise Skip("it keeps some of these connections open and says nothing")
    server = ctx.server()
    noise = random.Random(12)
    ranges = api_ranges(server)
    bodies = [b"", b"\0", b"\0\0\0", b"\0" * 11, b"\0" * 64, b"\1" * 40, b"\x7f" * 30, b"\xff" * 64, noise.randbytes(50)]
    with Grows(server, 64 << 20):
        for key, (low, high) in ranges.items():
            for version in range(low - 1, high + 3):
                for body in bodies:
                    with connect(server) as s:
                        s.sendall(frame(key, version, body, flexible=noise.random() < 0.5))
                        s.shutdown(socket.SHUT_WR)
                        read_to_end(s)
        for key in [-1, -2 ** 15, 2 ** 15 - 1, 4, 5, 6, 7, 77, 200, *set(range(100)) - set(ranges)]:
            with connect(server) as s:
                s.sendall(frame(key, 0, b"\0" * 20))
                equal(f"answer to API {key}", read_to_end(s), b"")
    serves(server)


@scenario
def counts_that_lie(ctx):
    """An array whose count is larger than what follows, and large arrays of next to nothing."""
    if ctx.is_kafka:
        raise Skip("it keeps the connection open and says nothing")
    server = ctx.server()
    with Grows(server, 300 << 20):
        for count in [2 ** 31 - 1, 10 ** 6, -2]:
            with connect(server) as s:
                s.sendall(frame(METADATA, 1, struct.pack(">i", count) + b"\0" * 100))
                equal(f"answer to {count} topics in 100 bytes", read_to_end(s), b"")
        # Well-formed, 40 MB: as many elements as fit.
        empty = struct.pack(">h", 0)
        with connect(server, 60) as s:
            body = struct.pack(">i", 20_000_000) + empty * 20_000_000
            try:
                s.sendall(frame(METADATA, 1, body))
                read_to_end(s)
            except (BrokenPipeError, ConnectionResetError):
                pass
        # A Fetch of 100,000 partitions that nobody has is answered.
        partition = struct.pack(">iqi", 7, 0, 100)
        body = struct.pack(">iiiibi", -1, 0, 0, 1000, 0, 1) + string("nobody") + struct.pack(">i", 100_000) + partition * 100_000
        with connect(server, 60) as s:
            s.sendall(frame(FETCH, 4, body))
            check("the answer has all of them", len(read_answer(s)) > 100_000 * 20)
    serves(server)


@scenario
def slow_senders(ctx):
    """Hundreds of connections that announce the largest request there may be, and send it a byte at a time."""
    if ctx.is_kafka:
        raise Skip("it takes all of the memory at once, 100 MB each")
    server = ctx.server()
    with ExitStack() as stack, Grows(server, 64 << 20):
        slow = [stack.enter_context(connect(server)) for _ in range(300)]
        for s in slow:
            s.sendall(struct.pack(">i", 104857600))
        for _ in range(20):
            for s in slow:
                s.sendall(b"\0")
        serves(server)
    serves(server)


@scenario
def half_open(ctx):
    """Connections that are reset or shut in the middle of a request, or while an answer is on its way."""
    server = ctx.server()
    kcat.produce(server, "t", [(f"k{i}", "x" * 1000) for i in range(1000)])
    whole = frame(PRODUCE, 3, produce_body("t", 0, batch(b"\x18\0\0\0\1\x0cvalues\0")))
    fetch = frame(FETCH, 4, struct.pack(">iiiibi", -1, 5000, 10_000_000, 10_000_000, 0, 1) + string("t")
                  + struct.pack(">iiqi", 1, 0, 0, 1_000_000))
    dice = random.Random(99)
    for i in range(400):
        s = connect(server)
        data = whole * 3 + fetch if i % 2 else fetch
        s.sendall(data[:dice.randrange(1, len(data) + 1)])
        if i % 3:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close is a reset
        if i % 5 == 0:
            time.sleep(0.002)
        s.close()
    serves(server)
    server.restart()
    serves(server)


@scenario
def nobody_reads_the_answers(ctx):
    """A client that asks for megabytes again and again and never reads: it is not read either."""
    server = ctx.server()
    kcat.produce(server, "t", [(f"k{i}", "x" * 5000) for i in range(2000)])
    fetch = frame(FETCH, 4, struct.pack(">iiiibi", -1, 0, 1, 10_000_000, 0, 1) + string("t") + struct.pack(">iiqi", 1, 0, 0, 10_000_000))
    metadata = frame(METADATA, 1, struct.pack(">i", -1))
    with ExitStack() as stack, Grows(server, 100 << 20):
        for ask in [fetch, metadata]:
            for _ in range(20):
                s = stack.enter_context(connect(server, 0.2))
                try:
                    for _ in range(20):
                        s.sendall(ask * 1000)
                except TimeoutError:  # it waits, as it should
                    pass
        serves(server)
    serves(server)


@scenario
def bombs(ctx):
    """A few hundred kilobytes that unpack to hundreds of megabytes, where the broker has to look inside: it stops
    unpacking at max.decompressed.message.bytes."""
    server = ctx.server({"max.decompressed.message.bytes": 64 << 20})
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    for name, config in [("compacted", {"cleanup.policy": "compact"}), ("recoded", {"compression.type": "lz4"})]:
        admin.create_topics([NewTopic(name, 1, 1, config=config)])[name].result(60)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    megabyte = b"\0" * (1 << 20)
    packed = b"".join(packer.compress(megabyte) for _ in range(600)) + packer.flush()
    bomb = batch(packed, attributes=1, count=1000)
    check("the bomb fits into a batch", len(bomb) < 1_000_000, str(len(bomb)))
    with Grows(server, 250 << 20):
        for topic in ["compacted", "recoded"]:
            for _ in range(3):
                with connect(server, 60) as s:
                    s.sendall(frame(PRODUCE, 3, produce_body(topic, 0, bomb)))
                    answer = read_answer(s)
                at = 4 + 4 + 2 + len(topic) + 4 + 4
                check(f"the bomb is refused for {topic}", struct.unpack_from(">h", answer, at)[0] != 0, answer.hex())
        serves(server)


@scenario
def thousands_of_connections(ctx):
    """They cost little while they are idle, the others are served, and nothing is left when they go."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 3000
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * count)), hard))
    server = ctx.server()
    serves(server)
    descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    for _ in range(2):
        with ExitStack() as stack, Grows(server, 12_000 * count):
            many = [stack.enter_context(connect(server)) for _ in range(count)]
            for s in many:
                s.sendall(frame(API_VERSIONS, 0))
            for s in many:
                check("each is answered", len(read_answer(s)) > 100)
            serves(server)
        wait_for("the server has closed them all", lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) <= descriptors + 5)
    serves(server)
    server.restart()
    serves(server)


@scenario
def a_flood_of_large_requests(ctx):
    """One connection sends large requests without end, faster than they are answered: it is slowed down."""
    server = ctx.server()
    kcat.produce(server, "t", [("k", "v")])
    body = frame(PRODUCE, 3, produce_body("t", 0, batch(b"\x18\0\0\0\1\x0cvalues\0") + b"\0" * 20_000_000))
    poll = frame(FETCH, 4, struct.pack(">iiiibi", -1, 3000, 10_000_000, 10_000_000, 0, 1) + string("others") + struct.pack(">iiqi", 1, 0, 0, 1000))
    serves(server)
    with ExitStack() as stack, Grows(server, 250 << 20):
        for _ in range(5):
            s = stack.enter_context(connect(server, 0.5))
            try:
                s.sendall(poll)  # what comes behind it waits
                for _ in range(20):
                    s.sendall(body)
            except TimeoutError:
                pass
        serves(server)
    serves(server)
