"""A file system on a loop device whose power can be cut.

    Disk(directory, "ext4") ─ mount ─► disk.path ─ cut ─► unmounted, what was not durable is gone ─ mount ─► ...

The cut is FS_IOC_SHUTDOWN without a flush of the journal: from then on nothing more reaches the image, dirty pages and metadata
that the file system has not written are dropped. The process that used it must be dead before: a sync that is under way while
the file system goes down may report success although it had none.
"""
import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
IMAGE_BYTES = 1 << 30  # sparse; XFS wants at least 300 MB
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}
CLONE_NEWNS = 0x00020000


class CannotCut(Exception):
    """This machine does not allow it; the message says why."""


def own_mounts():
    """Mount in a namespace of our own: nobody else sees these file systems, and they go with the process."""
    if os.geteuid() != 0:
        raise CannotCut("only root may mount")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise CannotCut(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    run(["mount", "--make-rprivate", "/"])


def run(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotCut(f"there is no {command[0]}") from None
    if done.returncode != 0:
        raise CannotCut(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


class Disk:
    def __init__(self, directory, kind):
        self.image = Path(directory) / f"{kind}.image"
        self.path = Path(directory) / kind
        self.path.mkdir()
        self.mounted = False
        with self.image.open("wb") as f:
            f.truncate(IMAGE_BYTES)
        run([*MAKE[kind], self.image])
        self.mount()

    def mount(self):
        run(["mount", "-o", "loop", self.image, self.path])
        self.mounted = True

    def cut(self):
        """Off and on again."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        except OSError as e:
            raise CannotCut(f"FS_IOC_SHUTDOWN: {e.strerror}") from None
        finally:
            os.close(fd)
        self.unmount()
        self.mount()

    def unmount(self):
        run(["umount", self.path])
        self.mounted = False

    def end(self):
        if self.mounted:
            self.unmount()
        self.image.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
