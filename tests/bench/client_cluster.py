#!/usr/bin/env python3
"""A cluster of brokers that only acknowledge: as many listeners as wanted, in one process, for clients with many connections.

    client_cluster.py BROKERS      prints their ports; at the end of its input how many records came

Partition P of every topic is led by broker P. It speaks what producers need, in old versions, and keeps nothing.
"""
import asyncio
import struct
import sys

API_VERSIONS, PRODUCE, METADATA, INIT_PRODUCER_ID, FETCH = 18, 0, 3, 22, 1
# librdkafka asks for a broker that knows Fetch v4 before it sends batches of magic 2.
VERSIONS = {PRODUCE: 3, FETCH: 4, METADATA: 1, API_VERSIONS: 0, INIT_PRODUCER_ID: 0}
UNSUPPORTED_VERSION = 35
COUNT_AT = 57  # in a batch: how many records


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return values if len(values) > 1 else values[0]

    def bytes(self, layout):
        n = self.take(layout)
        self.at += max(n, 0)
        return self.data[self.at - max(n, 0):self.at]


def string(b):
    return struct.pack(">h", len(b)) + b


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class Cluster:
    def __init__(self):
        self.ports = []
        self.records = 0
        self.producers = 0

    def answer(self, request):
        """-> the answer without its length; None: a request that nobody should send."""
        r = Reader(request)
        key, version, correlation = r.take("hhi")
        r.bytes("h")  # client id
        if key == API_VERSIONS:  # in a version that is not known it is answered in version 0
            body = self.versions(UNSUPPORTED_VERSION if version > VERSIONS[key] else 0)
        elif version != VERSIONS.get(key):
            return None
        elif key == METADATA:
            body = self.metadata(r)
        elif key == PRODUCE:
            body = self.produce(r)
        elif key == INIT_PRODUCER_ID:
            self.producers += 1
            body = struct.pack(">ihqh", 0, 0, self.producers, 0)
        else:
            return None
        return struct.pack(">i", correlation) + body

    def versions(self, error):
        return struct.pack(">h", error) + array([struct.pack(">hhh", key, version, version) for key, version in VERSIONS.items()])

    def metadata(self, r):
        topics = [r.bytes("h") for _ in range(max(r.take("i"), 0))]
        brokers = [struct.pack(">i", i) + string(b"127.0.0.1") + struct.pack(">ih", port, -1) for i, port in enumerate(self.ports)]
        one = struct.Struct(">hii")
        partitions = array([one.pack(0, i, i) + array([struct.pack(">i", i)]) * 2 for i in range(len(self.ports))])
        return array(brokers) + struct.pack(">i", 0) + array([struct.pack(">h", 0) + string(t) + b"\0" + partitions for t in topics])

    def produce(self, r):
        r.bytes("h")  # transactional id
        r.take("hi")  # acks, timeout
        topics = []
        for _ in range(r.take("i")):
            name, partitions = r.bytes("h"), []
            for _ in range(r.take("i")):
                index, batch = r.take("i"), r.bytes("i")
                self.records += struct.unpack_from(">i", batch, COUNT_AT)[0]
                partitions.append(struct.pack(">ihqq", index, 0, 0, -1))
            topics.append(string(name) + array(partitions))
        return array(topics) + struct.pack(">i", 0)

    async def serve(self, reader, writer):
        try:
            while True:
                n, = struct.unpack(">i", await reader.readexactly(4))
                answer = self.answer(await reader.readexactly(n))
                if answer is None:
                    break
                writer.write(struct.pack(">i", len(answer)) + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


async def main():
    cluster = Cluster()
    servers = [await asyncio.start_server(cluster.serve, "127.0.0.1", 0) for _ in range(int(sys.argv[1]))]
    cluster.ports = [s.sockets[0].getsockname()[1] for s in servers]
    print(*cluster.ports, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(cluster.records, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
