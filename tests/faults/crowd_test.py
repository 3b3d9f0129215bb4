"""Two thousand workers at once; tests/faults/crowd.py takes as many as the machine has descriptors for."""

import unittest

from crowd import storm
from cluster import PATIENCE
from sanitizers import memory_bound

WORKERS = 2000
WELCOME_MAX = 120.0  # Seconds. A handshake takes 2 ms of a core, both ends together.


class ManyWorkers(unittest.TestCase):
    def test_thousands_that_connect_at_once_are_all_welcome_and_come_back_after_a_kill(self) -> None:
        found = storm(WORKERS, WELCOME_MAX * PATIENCE)
        self.assertLess(found["MiB"], memory_bound(300))


if __name__ == "__main__":
    unittest.main()
