"""What brings the scheduler down again and again is left alone, and all else goes on."""

import contextlib
import signal
import sqlite3
import unittest
from pathlib import Path

import processes  # noqa: F401  # It makes the end-to-end tests' modules known.
from call_faults import library
from cluster import DEADLINE, PATIENCE, Answer, Cluster, Daemon, Gate, wait_until

STRIKES = 3
LISTED = """
name: listed
params: {list: {type: array, required: true}}
tasks:
  - {id: first, run: '%s'}
  - {id: each, depends_on: [first], foreach: {items: "${{ params.list }}"}, noop: true}
"""
GOOD = "{name: good_%d, tasks: [{id: one, noop: true}]}"


class Quarantine(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self, lease=f"{6 * PATIENCE}s")

    def tamper(self, change: str, *values: str) -> None:
        """As a bug of an earlier version might have left it. Nobody has the store open."""
        with contextlib.closing(sqlite3.connect(self.cluster.state / "chappe.db")) as store, store:
            self.assertEqual(store.execute(change, values).rowcount, 1)

    def crash(self, *options: str, environment: dict[str, str] | None = None) -> Daemon:
        """A life of the scheduler that ends by a broken invariant."""
        daemon = self.cluster.start_scheduler(*options, environment=environment, wait=False)
        self.assertEqual(daemon.process.wait(DEADLINE), -signal.SIGABRT, daemon.said())
        return daemon

    def assert_others_go_on(self) -> None:
        self.cluster.wait_for_run(self.cluster.submit(GOOD % 0), "success")

    def test_a_run_that_breaks_an_invariant_is_left_alone(self) -> None:
        self.cluster.start_scheduler()
        self.cluster.start_worker()
        gate = Gate(self.cluster)
        first, second = (self.cluster.submit(LISTED % gate.wait_for_it, list=[1, 2]) for _ in range(2))
        gate.reached()
        for _ in range(STRIKES):  # To be killed is no crash.
            self.cluster.daemons[0].kill()
            self.cluster.daemons[0] = self.cluster.start_scheduler()
            self.cluster.daemons.pop()
        self.cluster.daemons[0].kill()
        self.tamper("UPDATE runs SET params = ? WHERE id = ?", '{"list": 5}', second)
        gate.open()  # Where the first one ends, the second begins.
        for _ in range(STRIKES):
            daemon = self.crash()
            self.assertIn("broken invariant", daemon.said())
        daemon = self.cluster.start_scheduler()
        self.cluster.wait_for_run(first, "success")
        self.assert_others_go_on()
        seen = self.cluster.run(second)
        self.assertEqual((seen["state"], seen["message"]), ("queued", "left alone: it brought the scheduler down 3 times"))
        self.assertIn(f"run {second} is left alone", daemon.said())
        self.assertIn("\nchappe_left_alone 1\n", self.cluster.call("GET", "/metrics").decode())
        for verb in ("cancel", "explain"):
            with self.subTest(verb), self.assertRaises(Answer) as refused:
                self.cluster.call("GET" if verb == "explain" else "POST", f"/api/v1/runs/{second}/{verb}")
            self.assertIn("left alone", refused.exception.problem)
        with self.subTest("until the file of strikes is removed"):
            daemon.kill()
            (self.cluster.state / "left_alone.json").unlink()
            self.crash()

    def test_a_run_whose_rows_contradict_each_other_is_left_alone_at_once(self) -> None:
        scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        gate = Gate(self.cluster)
        run = self.cluster.submit(LISTED % gate.wait_for_it, list=[1, 2])
        gate.reached()
        behind = self.cluster.submit(LISTED % "exit 0", list=[1])
        scheduler.kill()
        self.tamper("UPDATE runs SET instances = 7 WHERE id = ?", run)
        scheduler = self.cluster.start_scheduler()
        self.assertIn("3 task instances, its row says 7: it is left alone", scheduler.said())
        self.cluster.wait_for_run(behind, "success")
        self.assert_others_go_on()
        scheduler.kill()
        self.cluster.start_scheduler()
        self.assert_others_go_on()

    def test_a_run_that_is_left_alone_is_not_started_once_more_by_the_one_that_waits_for_it(self) -> None:
        dags = self.cluster.directory / "dags"
        dags.mkdir()
        gate = Gate(self.cluster)
        (dags / "inner.yaml").write_text("{name: inner, tasks: [{id: one, run: '%s'}]}" % gate.wait_for_it)
        scheduler = self.cluster.start_scheduler("--dags", str(dags))
        self.cluster.start_worker()
        wait_until("the inner one", self.deployed)
        outer = self.cluster.submit("{name: outer, tasks: [{id: call, dag: {name: inner}}]}")
        gate.reached()
        scheduler.kill()
        self.tamper("UPDATE runs SET instances = 7 WHERE dag = ?", "inner")
        scheduler = self.cluster.start_scheduler("--dags", str(dags))
        self.assertIn("it is left alone", scheduler.said())
        self.assert_others_go_on()
        self.assertEqual(self.cluster.run(outer)["state"], "running")
        self.cluster.post(f"/api/v1/runs/{outer}/cancel", {})
        self.cluster.wait_for_run(outer, "cancelled")

    def test_a_file_that_brings_the_scheduler_down_is_read_again_when_it_changes(self) -> None:
        dags = self.cluster.directory / "dags"
        (dags / "inc").mkdir(parents=True)
        for number in range(20):
            (dags / f"good_{number}.yaml").write_text(GOOD % number)
        bad = dags / "bad.yaml"
        bad.write_text("{name: bad, include: [_poison.yaml], tasks: [{id: one, noop: true}]}")
        (dags / "_poison.yaml").write_text("labels: {a: b}")
        poison = {"LD_PRELOAD": library("poison")}
        for _ in range(STRIKES):
            self.crash("--dags", str(dags), environment=poison)
        self.cluster.start_scheduler("--dags", str(dags), environment=poison)
        wait_until("the good ones", self.deployed, lambda names: len(names) == 20)
        (complaint,) = wait_until("a complaint", lambda: self.cluster.get("/api/v1/dags")["complaints"])
        self.assertIn("bad.yaml is left alone: it brought the scheduler down 3 times; it is read again when it changes",
                      complaint["text"])
        bad.write_text("{name: bad, tasks: [{id: one, noop: true}]}")
        wait_until("the bad one that is good now", self.deployed, lambda names: "bad" in names)

    def deployed(self) -> set[str]:
        return {dag["name"] for dag in self.cluster.get("/api/v1/dags")["items"]}


if __name__ == "__main__":
    unittest.main()
