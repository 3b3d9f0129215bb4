"""kill -9, at bad moments: nothing is lost, nothing is visible twice, and the history says what happened."""

import hashlib
import subprocess
import unittest

from cluster import Cluster, Gate, wait_until


class Faults(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.worker = self.cluster.start_worker()

    def publishing(self, gate: Gate, retry: str = "") -> str:
        """A DAG whose task waits, then publishes a file; and one that reads it."""
        return f"""
            name: publishing
            tasks:
              - id: make
                {retry}
                run: |
                  echo "result" > result
                  {gate.wait_for_it}
                outputs: {{artifacts: [{{name: result, path: result, asset: {{uri: pub/result, name: result}}}}]}}
              - id: use
                depends_on: [make]
                inputs: {{artifacts: [{{name: result, asset: pub/result, path: result}}]}}
                run: grep -q result result
            """

    def expect_one_version(self) -> None:
        versions = self.cluster.assets("result")
        self.assertEqual([version["sha256"] for version in versions], [hashlib.sha256(b"result\n").hexdigest()])

    def test_a_killed_worker_costs_an_attempt_and_no_retry(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.publishing(gate))
        gate.reached()
        self.worker.kill()
        self.cluster.start_worker()  # At the same place: proof that the first one and its tasks are gone.
        gate.reached(times=2)
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.attempts(run, "make"), [(1, "failed", "lost_worker"), (2, "success", None)])
        self.expect_one_version()

    def test_runs_as_process_one_of_a_container(self) -> None:
        namespace = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
        if subprocess.run([*namespace, "true"], capture_output=True).returncode != 0:
            self.skipTest("skipped: no process namespaces for this user")
        cluster = Cluster.of(self)
        cluster.start_standalone(namespace)
        run = cluster.submit("{name: one, tasks: [{id: a, command: [/bin/true]}]}")
        cluster.wait_for_run(run, "success")

    def test_another_worker_takes_over_when_the_lease_has_run_out(self) -> None:
        cluster = Cluster.of(self, lease="2s")
        cluster.start_scheduler()
        first = cluster.start_worker("w1")
        gate = Gate(cluster)
        run = cluster.submit(self.publishing(gate))
        gate.reached()
        cluster.start_worker("w2")
        first.kill()
        gate.reached(times=2)
        gate.open()
        cluster.wait_for_run(run, "success")
        self.assertEqual(cluster.attempts(run, "make")[0], (1, "failed", "lost_worker"))

    def test_tasks_go_on_while_the_scheduler_is_dead(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.publishing(gate))
        gate.reached()
        self.scheduler.kill()
        gate.open()  # The task ends with nobody there to hear of it.
        self.cluster.start_scheduler()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.attempts(run, "make"), [(1, "success", None)], "its result was not lost")
        self.expect_one_version()

    def test_a_scheduler_that_was_killed_takes_its_running_tasks_back(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.publishing(gate))
        gate.reached()
        self.scheduler.kill()
        self.cluster.start_scheduler()
        self.cluster.wait_for_task(run, "make", "running")
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(gate.count(), 1, "it was started once")

    def test_everything_dies_at_once(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.publishing(gate))
        gate.reached()
        self.scheduler.kill()
        self.worker.kill()
        self.cluster.start_scheduler()
        self.cluster.start_worker()
        gate.reached(times=2)
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.expect_one_version()

    def test_many_kills_of_the_scheduler_lose_no_task(self) -> None:
        run = self.cluster.submit("""
            name: many
            tasks:
              - id: small
                foreach: {sequence: {start: 0, count: 300}}
                env: {NUMBER: "${{ item }}"}
                run: echo "$NUMBER" > number
                outputs: {values: {number: {json: number, path: $}}}
              - id: total
                depends_on: [small]
                check: {metric: {expr: sum(tasks.small.outputs.number) == 44850}}
            """)
        for done in (20, 80, 140, 200):
            wait_until(
                f"{done} successes", lambda: self.cluster.run(run)["counts"].get("success", 0), lambda n: n >= done
            )
            self.scheduler.kill()
            self.scheduler = self.cluster.start_scheduler()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.run(run)["counts"], {"success": 301})

    def test_a_worker_that_is_asked_to_stop_finishes_what_it_has(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(self.publishing(gate))
        gate.reached()
        self.worker.process.terminate()
        gate.open()
        self.assertEqual(self.worker.process.wait(60), 0)
        self.cluster.wait_for_task(run, "make", "success")
        self.assertEqual(len(self.cluster.attempts(run, "make")), 1)

    def test_a_worker_that_is_asked_to_stop_leaves_though_the_scheduler_is_dead(self) -> None:
        wait_until("the worker to join", lambda: self.cluster.get("/api/v1/workers")["items"])
        self.scheduler.kill()
        self.assertEqual(self.worker.stop(), 0)

    def test_a_scheduler_stops_cleanly_and_starts_again(self) -> None:
        self.assertEqual(self.scheduler.stop(), 0)
        self.cluster.start_scheduler()
        run = self.cluster.submit("{name: after, tasks: [{id: one, run: exit 0}]}")
        self.cluster.wait_for_run(run, "success")

    def test_a_second_scheduler_is_kept_out(self) -> None:
        second = self.cluster._start("second", ["scheduler", "--state-dir", str(self.cluster.state)])
        self.assertNotEqual(second.process.wait(60), 0)
        self.assertTrue(self.scheduler.running())


if __name__ == "__main__":
    unittest.main()
