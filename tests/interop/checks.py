"""What the scenarios check with.  Every check says what it looked at and what it saw."""
import struct
import time
from collections import namedtuple
from pathlib import Path

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]  # in the order of the batch attribute


def check(what, condition, detail=""):
    if not condition:
        raise AssertionError(f"{what}{': ' if detail else ''}{detail}")


def equal(what, got, expected):
    if got != expected:
        raise AssertionError(f"{what}: got {_short(got)}, expected {_short(expected)}{_first_difference(got, expected)}")


def wait_for(what, condition, timeout_s=30, interval_s=0.05):
    """Wait until condition() is true (not None, not empty, not False) and return it."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        time.sleep(interval_s)


def wait_equal(what, get, expected, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while (got := get()) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(what, got, expected)


def offsets_contiguous(what, records, start=0):
    """Every partition of `records` (dicts with partition, offset) counts up from `start` without a gap."""
    by_partition = {}
    for record in records:
        by_partition.setdefault(record["partition"], []).append(record["offset"])
    for partition, offsets in by_partition.items():
        equal(f"{what}: offsets of partition {partition}", offsets, list(range(start, start + len(offsets))))


def loop_is_in_the_log(what, outcome, prefix, records):
    """What a producer loop says against what the log holds.  The loop sent PREFIX-PARTITION-NUMBER, numbers counting
    up from 0, as an idempotent producer with acks=all; `outcome` has acked {partition: [[number, offset], ...]},
    sent {partition: count} and errors.  Nothing lost, nothing twice, in order, each at the offset that was said."""
    equal(f"errors of {what}", outcome["errors"], [])
    for partition, count in sorted(outcome["sent"].items()):
        mine = [r for r in records if str(r["partition"]) == str(partition) and r["value"].startswith(prefix + "-")]
        equal(f"{what}: values in partition {partition}", [r["value"] for r in mine],
              [f"{prefix}-{partition}-{n}" for n in range(count)])
        acked = outcome["acked"].get(partition, [])
        equal(f"{what}: acknowledged in partition {partition}", sorted(n for n, _ in acked), list(range(count)))
        offsets = {int(r["value"].rsplit("-", 1)[1]): r["offset"] for r in mine}
        # librdkafka does not know where a batch is that it had to send again, and whose successor was acknowledged before it.
        said = {n: o for n, o in acked if o is not None}
        check(f"{what}: most offsets are said for partition {partition}", 2 * len(said) >= len(acked), f"{len(said)} of {len(acked)}")
        equal(f"{what}: offsets said for partition {partition}", said, {n: offsets[n] for n in said})


def segment_sizes(server, partition):
    """{base offset: bytes} of the segments of a partition; the server may remove some of them meanwhile."""
    sizes = {}
    for log in sorted(f for d in map(Path, server.log_dirs) for f in d.glob(f"{partition}/*.log")):
        try:
            sizes[int(log.stem)] = log.stat().st_size
        except FileNotFoundError:
            continue
    return sizes


Batch = namedtuple("Batch", "base_offset last_offset codec leader_epoch producer_id producer_epoch base_sequence count")


def batches(server, topic, partition):
    """The record batches of a partition as they lie in its segment files (after a stop)."""
    found = [d / f"{topic}-{partition}" for d in map(Path, server.log_dirs) if (d / f"{topic}-{partition}").is_dir()]
    equal(f"directories of {topic}-{partition}", len(found), 1)
    result = []
    for segment in sorted(found[0].glob("*.log")):
        data, position = segment.read_bytes(), 0
        while position < len(data):
            base, size, leader_epoch, magic, _crc, attributes, last_delta, _first_ts, _max_ts, pid, epoch, sequence, count = \
                struct.unpack_from(">qiibIhiqqqhii", data, position)
            equal(f"magic at {segment.name}:{position}", magic, 2)
            result.append(Batch(base, base + last_delta, CODECS[attributes & 7], leader_epoch, pid, epoch, sequence, count))
            position += 12 + size
        equal(f"end of the last batch in {segment}", position, len(data))
    return result


def _short(value, limit=300):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def _first_difference(got, expected):
    if isinstance(got, list) and isinstance(expected, list):
        for i, (a, b) in enumerate(zip(got, expected)):
            if a != b:
                return f"\n  first difference at {i}: got {_short(a)}, expected {_short(b)}"
        return f"\n  lengths: got {len(got)}, expected {len(expected)}"
    if isinstance(got, dict) and isinstance(expected, dict):
        for key in sorted(got.keys() | expected.keys(), key=str):
            if got.get(key) != expected.get(key) or (key in got) != (key in expected):
                return f"\n  first difference at {key!r}: got {_short(got.get(key))}, expected {_short(expected.get(key))}"
    return ""
