"""A relay between clients and one broker that means no good: it knows frames, and spoils some of the answers.

    client ── requests, as they come ──► relay ──► broker
    client ◄── answers, spoilt or not ── relay ◄── broker

Nothing is reordered, and nothing is made up that could be believed: an answer that is spoilt cannot be read, or does not come.
But Metadata may be told to say that clients begin again from their bootstrap servers (KIP-1102).
"""
import random
import socket
import struct
import threading
import time

HEAD_BYTES = 8  # length, correlation id
HUGE = b"\xff\xff\xff\xff\x07"  # a varint above two milliards; and two bytes of a large i32


def garbage(rng, frame):
    """The body is noise; the correlation id is right.  Its first number is not one that could be obeyed (a throttle time)."""
    kept = HEAD_BYTES + 1  # no tagged fields in the header, so that the body is looked at
    return frame[:kept] + (b"\xff" + rng.randbytes(len(frame)))[:len(frame) - kept]


def short(rng, frame):
    """The body ends early, and the length says so."""
    body = frame[4:4 + rng.randrange(4, max(5, len(frame) - 4))]
    return struct.pack(">i", len(body)) + body


def count(rng, frame):
    """Somewhere stands a count, or a length, that the rest cannot have; little comes behind it."""
    at = rng.randrange(HEAD_BYTES, HEAD_BYTES + max(1, (len(frame) - HEAD_BYTES) // 3))
    body = frame[4:at] + HUGE + frame[at:at + 8]
    return struct.pack(">i", len(body)) + body


def length(rng, frame):
    """A length that no frame has."""
    return struct.pack(">i", rng.choice([0x7fffffff, -1, 0, 101 << 20, -0x80000000, 3])) + frame[4:]


def correlation(rng, frame):
    """The answer to something else."""
    return frame[:4] + struct.pack(">i", rng.randrange(1 << 31)) + frame[8:]


def long(rng, frame):
    """A length that the limit allows, and the bytes never come."""
    return struct.pack(">i", 90 << 20) + frame[4:]


SPOILERS = [garbage, short, count, length, correlation, long]
FAULTS = [f.__name__ for f in SPOILERS] + ["cut", "cut_in_answer", "tear", "delay", "silence"]
SILENCE_S = 3

METADATA, METADATA_VERSION, REBOOTSTRAP_REQUIRED = 3, 13, 129  # the version that can say it


class Heads:
    """The heads of a connection's requests, as their bytes come."""

    def __init__(self):
        self._bytes = b""
        self.asked = {}  # correlation id -> API key, version; until it is answered

    def feed(self, piece):
        self._bytes += piece
        while len(self._bytes) >= 12:
            size, key, version, correlation = struct.unpack_from(">ihhi", self._bytes)
            if len(self._bytes) < 4 + size:
                return
            self.asked[correlation] = key, version
            self._bytes = self._bytes[4 + size:]

    def answered(self, frame):
        return self.asked.pop(struct.unpack_from(">i", frame, 4)[0], None)


def say_rebootstrap(frame):
    """The error of the whole is the last field, before no tagged ones."""
    return frame[:-3] + struct.pack(">hB", REBOOTSTRAP_REQUIRED, 0)


class Relay:
    """With `with`: it ends then.  Listens on `port`, for a broker on `to_port`.  `share` of the answers, and a tenth as many of the pieces of requests,
    go wrong while it is not 0; `done` counts how often each fault has struck.  So many Metadata answers as `rebootstraps` says send
    clients back to the bootstrap servers; `connections` counts those that came."""

    def __init__(self, port, to_port, seed):
        self.to_port, self.share, self.rebootstraps, self.connections = to_port, 0, 0, 0
        self.done = dict.fromkeys(FAULTS + ["cut_in_request"], 0)
        self._rng, self._lock = random.Random(seed), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port))
        self._sockets, self._ended = set(), False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sockets = list(self._sockets)
        for s in sockets:
            self._close(s)
        for thread in list(self._threads):
            thread.join(10)

    def _fault(self):
        """The next one, or None."""
        with self._lock:
            if self._rng.random() >= self.share:
                return None
            rarest = min(self.done[f] for f in FAULTS)  # each has its turn
            fault = self._rng.choice([f for f in FAULTS if self.done[f] <= rarest + 1])
            self.done[fault] += 1
            return fault

    def _accept(self):
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # the end
            try:
                broker = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                client.close()
                continue
            for s in (client, broker):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, broker}
            self.connections += 1
            heads = Heads()
            for work in (self._requests, self._answers):
                thread = threading.Thread(target=self._run, args=(work, client, broker, heads), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self, work, client, broker, heads):
        try:
            work(client, broker, heads)
        except OSError:
            pass  # either end has gone: so does the other
        self._close(client)
        self._close(broker)

    def _close(self, s):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()
        with self._lock:
            self._sockets.discard(s)

    def _requests(self, client, broker, heads):
        while piece := client.recv(65536):
            heads.feed(piece)
            if self._rng.random() < self.share / 10:
                self.done["cut_in_request"] += 1
                broker.sendall(piece[:len(piece) // 2])
                return
            broker.sendall(piece)

    def _answers(self, client, broker, heads):
        while head := self._exactly(broker, 4):
            frame = head + self._exactly(broker, struct.unpack(">i", head)[0])
            if heads.answered(frame) == (METADATA, METADATA_VERSION):
                with self._lock:
                    sends_back = self.rebootstraps > 0
                    self.rebootstraps -= sends_back
                frame = say_rebootstrap(frame) if sends_back else frame
            fault = self._fault()
            spoiler = next((s for s in SPOILERS if s.__name__ == fault), None)
            if spoiler:
                client.sendall(spoiler(self._rng, frame))
            elif fault == "cut":
                return
            elif fault == "cut_in_answer":
                client.sendall(frame[:self._rng.randrange(len(frame))])
                return
            elif fault == "tear":
                self._tear(client, frame)
            elif fault == "silence":
                until = time.monotonic() + SILENCE_S
                while not self._ended and time.monotonic() < until:
                    time.sleep(0.05)
                return
            else:
                if fault == "delay":
                    time.sleep(self._rng.random() / 2)
                client.sendall(frame)

    def _tear(self, client, frame):
        at = 0
        while at < len(frame):
            n = self._rng.randrange(1, 8) if at < 32 else self._rng.randrange(1, 4000)
            client.sendall(frame[at:at + n])
            at += n
            time.sleep(0.001)

    @staticmethod
    def _exactly(s, n):
        got = b""
        while len(got) < n:
            piece = s.recv(min(n - len(got), 1 << 20))
            if not piece:
                return b""
            got += piece
        return got
