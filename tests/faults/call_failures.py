"""The n-th write, sync, rename, open, connect, send or allocation of a daemon fails: the first, the second, the third ...

The daemon goes on, or says why it cannot and ends with an exit code that asks for a restart; it never hangs, dies by a
signal (out of memory may abort), or leaves a wrong state. `scripts/call-failures` starts this.
"""

import argparse
import errno
import signal
import sys
import time
from collections.abc import Iterator, Mapping

from call_faults import Fault, lines
from chain import Chain, Life, play_to_the_end
from cluster import PATIENCE
from end_state import EndState

LAST = {  # By kind: where the calls of a start are long over.
    "open": 300, "connect": 3, "write": 400, "sync": 100, "rename": 60, "send": 200, "malloc": 40_000,
}
ERRORS = {
    "open": (errno.EMFILE, errno.EIO), "connect": (errno.ECONNREFUSED,), "write": (errno.ENOSPC, errno.EIO),
    "sync": (errno.EIO,), "rename": (errno.ENOSPC,), "send": (errno.ECONNRESET,), "malloc": (errno.ENOMEM,),
}
RESTART, NOT_STARTED, CONFIGURATION = 75, 1, 2
AFTERMATH = 0.15 if PATIENCE == 1 else 3.0  # Seconds that a daemon is watched after its fault. A sanitizer looks for leaks at its end.
REACH_MAX = 2.0 * PATIENCE  # Seconds for the fault to come; beyond it there is no such call.


class FailingLife(Life):
    """Under a call that fails."""

    def __init__(self, *parts) -> None:
        super().__init__(*parts)
        self.begun = time.monotonic()
        self.struck = 0.0

    def outcome(self) -> str:
        code = self.daemon.process.poll()
        told = lines(self.told)
        now = time.monotonic()
        if code is None:
            if not told:
                return f"{self.fault.kinds}: was not reached" if now > self.begun + REACH_MAX else ""
            self.struck = self.struck or now
            return f"{self.fault.kinds}: went on" if now > self.struck + AFTERMATH else ""
        aborted = code == -signal.SIGABRT and self.fault.kinds == "malloc"
        if not told or not (code in (RESTART, NOT_STARTED, CONFIGURATION) or aborted):
            raise AssertionError(f"{self.fault}: ended with {code}:\n{self.daemon.said()[-3000:]}")
        return f"{self.fault.kinds}: ended with {code}"


class FailingChain(Chain):
    life = FailingLife

    def expect_each_task_to_have_run_once(self, found: EndState) -> None:
        """What is sent over a connection that then fails may be run and not be heard of: once more, then."""


def failures(step: Mapping[str, int]) -> Iterator[Fault]:
    """Each kind's calls 1, 1 + step, 1 + 2 * step ... with each of its errors; the kinds in turns."""
    walks = [walk(kind, error, step[kind]) for kind in step for error in ERRORS[kind]]
    while walks:
        for each in list(walks):
            fault = next(each, None)
            if fault is None:
                walks.remove(each)
            else:
                yield fault


def walk(kind: str, error: int, step: int) -> Iterator[Fault]:
    for nth in range(1, LAST[kind] + 1, step):
        yield Fault("fail", kind, nth, error)


def count(step: Mapping[str, int]) -> int:
    return sum(1 for _ in failures(step))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--victim", choices=("scheduler", "worker"), default="scheduler")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--kinds", default=",".join(LAST), help="some of " + ", ".join(LAST))
    parser.add_argument("--malloc-step", type=int, default=7)
    options = parser.parse_args()
    step = {kind: options.malloc_step if kind == "malloc" else 1 for kind in options.kinds.split(",")}
    chain = FailingChain(options.victim, failures(step), 1_000)
    play_to_the_end(chain, count(step), options.minutes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
