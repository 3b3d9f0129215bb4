"""A short walk through the kill matrix: `scripts/kill-matrix` is the long one."""

import unittest

from kill_matrix import Chain


class KillMatrix(unittest.TestCase):
    def walk(self, victim: str, kills: int) -> None:
        chain = Chain(victim, seed=kills, instances=1_000)
        self.addCleanup(chain.close)
        chain.go_on(kills)
        self.assertEqual(chain.kills.total(), kills)
        self.assertGreater(len(chain.kills), 6, "it died at calls of several kinds, before and after them")

    def test_a_scheduler_killed_at_any_call_loses_nothing_and_commits_nothing_twice(self) -> None:
        self.walk("scheduler", 200)

    def test_workers_killed_at_any_call_lose_nothing_and_publish_nothing_twice(self) -> None:
        self.walk("worker", 100)


if __name__ == "__main__":
    unittest.main()
