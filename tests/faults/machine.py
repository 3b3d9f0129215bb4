"""A machine of the test's own: mounts and networks that nobody else sees. Skips aloud where that is not permitted."""

import ctypes
import os
import subprocess
import unittest
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000


def leave(kind: int, what: str) -> None:
    """This process, and what it starts from now on, has a `what` of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(kind) != 0:
        raise unittest.SkipTest(f"no {what} of our own: {os.strerror(ctypes.get_errno())}")


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest(f"{' '.join(command)}: {done.stderr.strip()}")


def small_disk(path: Path, mebibytes: int) -> None:
    """A disk of that size at the path, which becomes a directory; gone with this process."""
    leave(CLONE_NEWNS, "mounts")
    run("mount", "--make-rprivate", "/")
    path.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none", str(path))
