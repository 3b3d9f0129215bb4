"""What /proc tells of a daemon and of what tasks left running."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

MIB = 1 << 20


def memory_of(pid: int, what: str = "VmRSS") -> int:
    """Bytes; VmHWM: the most it ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {what} in /proc/{pid}/status")


def cpu_of(pid: int) -> float:
    """Seconds, user and system."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def running_with(mark: str) -> list[int]:
    """Processes whose environment or command line holds the text."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            said = (each / "environ").read_bytes() + (each / "cmdline").read_bytes()
        except OSError:
            continue  # It ended while we looked, or is not ours.
        if mark.encode() in said:
            found.append(int(each.name))
    return found
