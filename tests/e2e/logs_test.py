"""The lines of a log that somebody asks for, and when they were written: of attempts that are over, and of one at work."""

import re
import unittest
from datetime import datetime, timedelta, timezone

from cluster import Cluster, Gate, wait_until

STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (.*)")


class Logs(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.cluster.start_worker()

    def finished(self, script: str) -> str:
        run = self.cluster.submit(f"{{name: talks, tasks: [{{id: t, run: '{script}'}}]}}")
        self.cluster.wait_for_run(run, "success")
        return run

    def log(self, run: str, query: str = "") -> str:
        return self.cluster.call("GET", f"/api/v1/runs/{run}/tasks/t/attempts/latest/log?{query}").decode()

    def times(self, text: str) -> list[tuple[datetime, str]]:
        found = [STAMPED.fullmatch(line) for line in text.splitlines()]
        return [(datetime.fromisoformat(one[1]), one[2]) for one in found]

    def test_lines_have_the_times_at_which_they_were_written(self) -> None:
        began = datetime.now(timezone.utc)
        run = self.finished("echo one; sleep 1; printf tw; sleep 1; echo o; echo three")
        self.assertEqual(self.log(run), "one\ntwo\nthree\n", "the log itself stays as it was")
        (one, first), (two, second), (three, third) = self.times(self.log(run, "timestamps=1"))
        self.assertEqual([first, second, third], ["one", "two", "three"])
        self.assertLess(began - timedelta(seconds=1), one)
        self.assertGreaterEqual(two - one, timedelta(seconds=0.9))
        self.assertGreaterEqual(three - two, timedelta(seconds=0.9))
        self.assertLess(three, datetime.now(timezone.utc) + timedelta(seconds=1))

    def test_the_last_lines_and_those_since_a_time(self) -> None:
        run = self.finished("echo one; echo two; sleep 1; echo three; echo four")
        self.assertEqual(self.log(run, "tail=1"), "four\n")
        self.assertEqual(self.log(run, "tail=3"), "two\nthree\nfour\n")
        self.assertEqual(self.log(run, "tail=0"), "")
        self.assertEqual(self.log(run, "tail=1000000"), "one\ntwo\nthree\nfour\n")
        (one, _), *_ = self.times(self.log(run, "timestamps=1"))
        since = (one + timedelta(seconds=0.5)).isoformat().replace("+00:00", "Z")
        self.assertEqual(self.log(run, f"since={since}"), "three\nfour\n")
        self.assertEqual(self.log(run, f"since={since}&tail=1"), "four\n")
        self.assertEqual(self.log(run, "since=2999-01-01"), "")
        for wrong in ("tail=-1", "tail=1000001", "since=yesterday", "tail=1&offset=3"):
            with self.assertRaises(Exception, msg=wrong):
                self.log(run, wrong)

    def test_a_log_that_is_being_written_has_them_too(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(f"{{name: talks, tasks: [{{id: t, run: 'echo one; echo two; {gate.wait_for_it}; echo three'}}]}}")
        wait_until("two lines", lambda: self.log(run), lambda text: text == "one\ntwo\n")
        self.assertEqual(self.log(run, "tail=1"), "two\n")
        self.assertEqual([line for _, line in self.times(self.log(run, "timestamps=1"))], ["one", "two"])
        gate.open()
        followed = self.cluster.call("GET", f"/api/v1/runs/{run}/tasks/t/attempts/latest/log?follow=1&tail=1&timestamps=1")
        self.assertEqual(self.times(followed.decode())[-1][1], "three")

    def test_the_command_prints_times_of_here(self) -> None:
        run = self.finished("echo one; echo two")
        self.cluster.environment |= {"TZ": "Asia/Kathmandu", "CHAPPE_STATE_DIR": str(self.cluster.state)}
        shown = self.cluster.chappe("logs", run, "--timestamps", "--tail", "1").stdout
        self.assertRegex(shown, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+05:45 two\n$")
        self.assertEqual(self.cluster.chappe("logs", run, "--since", "10m").stdout, "one\ntwo\n")
        self.assertIn("neither a duration", self.cluster.chappe("logs", run, "--since", "noon", code=2).stderr)
        self.assertRegex(self.cluster.chappe("show", run).stdout, r"created +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+05:45")


if __name__ == "__main__":
    unittest.main()
