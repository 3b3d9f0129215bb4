"""A short walk through the kill matrix: `scripts/kill-matrix` is the long one."""

import unittest

from chain import Chain
from kill_matrix import kills


class KillMatrix(unittest.TestCase):
    def walk(self, victim: str, deaths: int) -> None:
        chain = Chain(victim, kills(victim, seed=deaths), instances=1_000)
        self.addCleanup(chain.close)
        chain.go_on(deaths)
        self.assertEqual(chain.outcomes.total(), deaths)
        self.assertGreater(len(chain.outcomes), 6, "it died at calls of several kinds, before and after them")

    def test_a_scheduler_killed_at_any_call_loses_nothing_and_commits_nothing_twice(self) -> None:
        self.walk("scheduler", 150)

    def test_workers_killed_at_any_call_lose_nothing_and_publish_nothing_twice(self) -> None:
        self.walk("worker", 100)


if __name__ == "__main__":
    unittest.main()
