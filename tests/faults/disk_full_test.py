"""A disk without space: the scheduler says so, loses nothing, and goes on by itself when there is some again."""

import os
import unittest
from pathlib import Path

import machine
import processes  # noqa: F401  # It makes the end-to-end tests' modules known.
from cluster import PATIENCE, Answer, Cluster, Gate, wait_until
from end_state import EndState

DAG = """
name: full
tasks:
  - id: small
    foreach: {sequence: {count: 300}}
    env: {NUMBER: "${{ item }}"}
    run: |
      if [ "$NUMBER" -lt 2 ]; then %s; fi
      %s
    infra_retry: {limit: 50, backoff: {initial: 100ms, factor: 1}}
"""
LEAVE_A_NUMBER = """echo "$NUMBER" > number
    outputs: {values: {number: {json: number, path: $}}}"""


class DiskFull(unittest.TestCase):
    def fill(self, disk: Path, left: int) -> Path:
        """All of the disk but so many bytes."""
        stone = disk / "stone"
        with stone.open("ab") as file:
            while (left_now := self.free(disk)) > left:
                file.write(bytes(min(left_now - left, 1 << 20)))
                file.flush()
        return stone

    def free(self, disk: Path) -> int:
        status = os.statvfs(disk)
        return status.f_bavail * status.f_frsize

    def start(self, **options: str) -> None:
        self.cluster = Cluster.of(self, lease=f"{6 * PATIENCE}s", **options)

    def test_a_scheduler_stops_taking_work_and_goes_on_when_there_is_space(self) -> None:
        self.start()
        self.cluster.object_store = f"file://{self.cluster.directory}/objects"
        machine.small_disk(self.cluster.state, 48)
        scheduler = self.cluster.start_scheduler()
        worker = self.cluster.start_worker("w1", "--work-dir", str(self.cluster.directory / "work"))
        gate = Gate(self.cluster)
        run = self.cluster.submit(DAG % (gate.wait_for_it, LEAVE_A_NUMBER))
        gate.reached()
        stone = self.fill(self.cluster.state, 1 << 20)
        wait_until("the scheduler to notice", scheduler.said, lambda said: "is full but for" in said)
        before = self.cluster.run(run)["counts"]
        gate.open()
        with self.assertRaises(Answer) as refused:
            self.cluster.submit("{name: other, tasks: [{id: one, run: exit 0}]}")
        self.assertEqual(refused.exception.status, 503)
        self.assertIn("free", refused.exception.problem)
        self.assertEqual(self.cluster.run(run)["counts"], before, "nothing goes on, and reading works")
        stone.unlink()
        self.cluster.wait_for_run(run, "success")
        self.cluster.wait_for_run(self.cluster.submit("{name: other, tasks: [{id: one, run: exit 0}]}"), "success")
        self.assertTrue(scheduler.running())
        self.assertEqual((worker.stop(), scheduler.stop()), (0, 0))
        self.assertEqual(EndState(self.cluster.state, run, self.cluster.directory / "objects").problems, [])

    def test_a_scheduler_that_finds_no_space_waits_for_it(self) -> None:
        self.start()
        machine.small_disk(self.cluster.state, 48)
        self.cluster.start_scheduler().stop()
        stone = self.fill(self.cluster.state, 0)
        scheduler = self.cluster.start_scheduler(wait=False)
        wait_until("the scheduler to say so", scheduler.said, lambda said: "waiting for it" in said)
        stone.unlink()
        wait_until("the scheduler to be ready", lambda: self.cluster._is_ready(scheduler))

    def test_a_worker_whose_disk_is_full_fails_no_task_for_good(self) -> None:
        self.start()
        work = self.cluster.directory / "work"
        machine.small_disk(work, 16)
        self.cluster.start_scheduler()
        self.cluster.start_worker("w1", "--work-dir", str(work))
        gate = Gate(self.cluster)
        run = self.cluster.submit(DAG % (gate.wait_for_it, "exit 0"))
        gate.reached()
        stone = self.fill(work, 0)
        gate.open()

        def full() -> dict[str, int]:
            self.fill(work, 0)  # What ends leaves room that is enough for what is small.
            return self.cluster.run(run)["counts"]

        wait_until("an attempt to fail for it", full, lambda counts: counts.get("up_for_retry", 0) > 0)
        stone.unlink()
        self.cluster.wait_for_run(run, "success")


if __name__ == "__main__":
    unittest.main()
