"""A siege of both ports by slow and silent peers; tests/faults/slow_peers.py makes one of any size."""

import unittest

import processes
from sanitizers import memory_bound
from slow_peers import siege

GROWTH_MAX = memory_bound(64 * processes.MIB)


class SlowPeers(unittest.TestCase):
    def test_thousands_of_slow_and_silent_peers_keep_nobody_out_and_take_little_memory(self) -> None:
        before, amid, size = siege(dripping=200, silent=1_000, times=50)  # Which fails where an answer or a run does not come.
        self.assertLess(amid.memory - before.memory, GROWTH_MAX, size)


if __name__ == "__main__":
    unittest.main()
