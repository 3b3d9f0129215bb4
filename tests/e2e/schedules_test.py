"""What starts runs by time: when it is due, and that each time makes one run whatever happens to the daemon."""

import json
import unittest

from cluster import Cluster


class Cron(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)

    def times(self, *arguments: str) -> list[str]:
        return self.cluster.chappe("cron", *arguments).stdout.splitlines()

    def test_prints_the_next_times_one_a_line(self) -> None:
        self.assertEqual(
            self.times("30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-03-28", "--count", "3"),
            ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
        )
        self.assertEqual(
            self.times("30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-10-25T02:00:00+02:00", "--count", "2",
                       "--dst", "gap=skip,fold=twice"),
            ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"],
        )
        shown = self.cluster.chappe("cron", "@yearly", "--from", "2027-01-01", "--count", "2", "--output", "json").stdout
        self.assertEqual(json.loads(shown), ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"])

    def test_says_what_is_wrong(self) -> None:
        for arguments, complaint in [
            (["0 0 30 2 *"], "never comes"),
            (["61 * * * *"], "the minute of the cron expression is 0 to 59"),
            (["@daily", "--timezone", "Europe/Pariss"], "did you mean 'Europe/Paris'?"),
            (["@daily", "--from", "noon"], "--from: 'noon' is no date or time"),
            (["@daily", "--dst", "gap=jump"], "'gap=jump' is none of gap=shift"),
        ]:
            refused = self.cluster.chappe("cron", *arguments, code=2)
            self.assertIn(complaint, refused.stderr)


if __name__ == "__main__":
    unittest.main()
