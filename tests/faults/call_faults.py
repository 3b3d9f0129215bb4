"""Faults at the n-th call of a daemon: what tests/support/faults/call_faults.cc, preloaded, is asked for."""

import dataclasses
import errno
import os
from pathlib import Path


def library(name: str) -> str:
    """One of tests/support/faults, built."""
    path = os.path.join(os.environ.get("CHAPPE_FAULTS", ""), f"lib{name}.so")
    if not os.access(path, os.R_OK):
        raise RuntimeError("set CHAPPE_FAULTS to the directory of the built libraries, such as build/dev/tests")
    return os.path.abspath(path)


@dataclasses.dataclass(frozen=True)
class Fault:
    """`action` at the `nth` call of these kinds, counted from the daemon's first instruction; see call_faults.cc."""

    action: str
    kinds: str
    nth: int
    error: int = errno.EIO

    def environment(self, told: Path) -> dict[str, str]:
        """For the daemon. `told` gets a line when it happens."""
        return {
            "LD_PRELOAD": library("call_faults"),
            "CHAPPE_CALL_FAULT": f"{self.action} {self.kinds} {self.nth} {self.error}",
            "CHAPPE_CALL_FAULT_TOLD": str(told),
        }

    def __str__(self) -> str:
        with_error = f" with {errno.errorcode[self.error]}" if self.action == "fail" else ""
        return f"{self.action} {self.kinds} {self.nth}{with_error}"


def lines(told: Path) -> list[str]:
    return told.read_text().splitlines() if told.exists() else []
