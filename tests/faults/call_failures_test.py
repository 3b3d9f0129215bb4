"""A sample of the calls that can fail: `scripts/call-failures` is the whole of them."""

import unittest

from call_failures import FailingChain, count, failures
from sanitizers import setting

STEPS = {"open": 83, "connect": 3, "write": 97, "sync": 29, "rename": 37, "send": 79, "malloc": 9973}
if setting("CHAPPE_SANITIZE"):
    del STEPS["malloc"]  # A sanitizer has its own.


class CallFailures(unittest.TestCase):
    def walk(self, victim: str) -> None:
        chain = FailingChain(victim, failures(STEPS), instances=600)
        self.addCleanup(chain.close)
        chain.go_on(count(STEPS))
        if "malloc" in STEPS:  # What else fails here may end no worker.
            self.assertGreater(sum(times for outcome, times in chain.outcomes.items() if "ended" in outcome), 0)
        self.assertGreater(sum(times for outcome, times in chain.outcomes.items() if "went on" in outcome), 0)

    def test_a_scheduler_survives_calls_that_fail_or_asks_to_be_started_again(self) -> None:
        self.walk("scheduler")

    def test_workers_survive_calls_that_fail_or_ask_to_be_started_again(self) -> None:
        self.walk("worker")


if __name__ == "__main__":
    unittest.main()
