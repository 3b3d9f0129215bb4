"""A short look at damaged stores: `python3 tests/faults/damage.py` is the long one."""

import unittest

import processes  # noqa: F401  # It makes the end-to-end tests' modules known.
from cluster import Cluster
from damage import Damage


class DamagedStores(unittest.TestCase):
    def test_a_scheduler_says_so_or_goes_on_and_never_crashes(self) -> None:
        damage = Damage(Cluster.of(self))
        damage.do(40, seed=1)
        self.assertEqual(damage.crashes, [])
        self.assertGreater(damage.outcomes["says so and stops"], 0)
        self.assertGreater(damage.outcomes["goes on as before"], 0)


if __name__ == "__main__":
    unittest.main()
