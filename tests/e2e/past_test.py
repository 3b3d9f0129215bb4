"""Tasks that depend on their past, and deadlines, with a scheduler that is killed meanwhile."""

import json
import unittest

from cluster import PATIENCE, Cluster, wait_until


class Past(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        self.cluster.environment["CHAPPE_STATE_DIR"] = str(self.cluster.state)

    def restart(self) -> None:
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler()

    def explained(self, run: str) -> str:
        return self.cluster.chappe("explain", run).stdout

    def test_a_run_waits_for_the_one_before_until_somebody_has_seen_to_it(self) -> None:
        gate = self.cluster.directory / "gate"
        dag = f"""
            name: steps
            tasks:
              - {{id: first, run: "true"}}
              - {{id: step, depends_on: [first], depends_on_past: true, run: "test -e {gate}"}}
            """
        one = self.cluster.submit(dag)
        self.cluster.wait_for_run(one, "failed")
        # Another version of the DAG, whose runs go on from the same past.
        two = self.cluster.submit(dag.replace('"true"', '"exit 0"'))
        self.cluster.wait_for_task(two, "step", "waiting")
        told = self.explained(two)
        self.assertIn(f"its past: run {one}, where it is failed", told)
        self.assertIn("retry or mark it there", told)
        self.restart()
        wait_until("its past to be looked up again", lambda: self.explained(two), lambda text: one in text)
        gate.write_text("open")
        self.cluster.chappe("retry", one)  # It has a place, though max_runs is 1.
        self.cluster.wait_for_run(one, "success")
        self.cluster.wait_for_run(two, "success")

    def test_a_mark_will_do_as_well(self) -> None:
        dag = "{name: marks, tasks: [{id: t, depends_on_past: true, run: 'exit 3'}]}"
        one = self.cluster.submit(dag)
        self.cluster.wait_for_run(one, "failed")
        two = self.cluster.submit(dag)
        self.cluster.wait_for_task(two, "t", "waiting")
        self.cluster.chappe("mark", one, "t", "success")
        self.assertEqual(self.cluster.wait_for_task(two, "t", "failed")["exit_code"], 3)

    def test_a_backfill_from_the_newest_date_is_refused(self) -> None:
        path = self.cluster.directory / "dag.yaml"
        path.write_text("{name: daily, schedule: '@daily', tasks: [{id: t, depends_on_past: true, noop: {}}]}")
        self.cluster.chappe("deploy", str(path))
        span = ("--from", "2026-01-01", "--to", "2026-01-03")
        refused = self.cluster.chappe("backfill", "create", "daily", *span, "--order", "newest", code=2)
        self.assertIn("task 't' has depends_on_past", refused.stderr)
        self.cluster.chappe("backfill", "create", "daily", *span)
        wait_until("the backfill to end", lambda: json.loads(self.cluster.chappe("backfill", "show", "1", "--output", "json").stdout),
                   lambda seen: seen["state"] == "completed" and seen["runs"]["success"] == 3)

    def test_a_run_is_late_once_and_its_handler_hears_of_it(self) -> None:
        run = self.cluster.submit("""
            name: slow
            deadline: {reference: started, after: 1s}
            handlers: {late: {run: echo late}}
            tasks: [{id: t, wait: {for: 1h}}]
            """)
        self.cluster.wait_for_task(run, "on_late", "success")
        late_at = self.cluster.get(f"/api/v1/runs/{run}")["late_at"]
        self.assertIsNotNone(late_at)
        self.assertIn("late since", self.cluster.chappe("show", run).stdout)
        self.assertIn("late since", self.explained(run))
        self.restart()
        self.cluster.chappe("cancel", run)
        ended = self.cluster.wait_for_run(run, "cancelled")
        self.assertEqual(ended["late_at"], late_at)
        self.assertEqual(self.cluster.chappe("audit").stdout.count("run.late"), 1)

    def test_deadlines_end_a_run_and_a_task(self) -> None:
        cancelled = self.cluster.submit("""
            name: strict
            deadline: {after: 1s, action: cancel}
            tasks: [{id: t, run: sleep 600}]
            """)
        self.assertIn("its deadline, 1s after it was asked for", self.cluster.wait_for_run(cancelled, "cancelled")["message"])
        deadline = f"{2 * PATIENCE}s"  # Within which there is time for a second try.
        failed = self.cluster.submit(f"""
            name: tries
            tasks:
              - {{id: t, run: sleep 600, timeout: 500ms, retries: 1000, deadline: {deadline}}}
              - {{id: plain, run: echo done, deadline: 1h}}
            """)
        self.cluster.wait_for_run(failed, "failed")
        task = self.cluster.wait_for_task(failed, "t", "failed")
        self.assertEqual((task["reason"], task["message"]), ("timeout", f"its deadline, {deadline} after it was ready, has passed"))
        self.assertGreater(task["attempt_no"], 1)


if __name__ == "__main__":
    unittest.main()
