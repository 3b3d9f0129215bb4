"""Processes that stop and go on, and clocks that jump: no lease is lost for a clock, no zombie is believed."""

import os
import signal
import struct
import time
import unittest
from pathlib import Path

import processes
from call_faults import Fault, library
from cluster import PATIENCE, Cluster, Daemon, Gate, wait_until

HOUR = 3600
LEASE = 4.0 * PATIENCE


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


class Pauses(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self, lease=f"{LEASE:.0f}s")
        self.scheduler = self.cluster.start_scheduler()
        self.first = self.cluster.start_worker("w1")
        self.gate = Gate(self.cluster)
        self.run = self.cluster.submit(f"""
            name: paused
            tasks:
              - id: make
                run: |
                  echo "by attempt $CHAPPE_ATTEMPT" > result
                  {self.gate.wait_for_it}
                outputs: {{artifacts: [{{name: result, path: result, asset: {{uri: pub/result, name: result}}}}]}}
            """)
        self.gate.reached()

    def pause(self, pids: list[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.go_on, pids)

    def go_on(self, pids: list[int]) -> None:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue

    def expect_one_version_by(self, attempt: int) -> None:
        (version,) = self.cluster.assets("result")
        shown = self.cluster.state / "objects/assets/pub/result"
        self.assertEqual(shown.read_text(), f"by attempt {attempt}\n")

    def test_a_worker_that_sleeps_past_its_lease_is_not_believed_when_it_wakes(self) -> None:
        zombie = family(self.first.process.pid)
        self.pause(zombie)
        self.cluster.start_worker("w2")
        self.gate.reached(times=2)
        self.gate.open()
        self.cluster.wait_for_run(self.run, "success")
        self.go_on(zombie)
        after = self.cluster.submit("{name: after, tasks: [{id: one, foreach: {sequence: {count: 40}}, run: sleep 0.1}]}")
        self.cluster.wait_for_run(after, "success")
        ran_on = {self.cluster.task(after, f"one[{n}]")["attempts"][0]["worker"] for n in range(40)}
        self.assertEqual(len(ran_on), 2, "the one that slept works again")
        self.assertEqual(self.cluster.attempts(self.run, "make"), [(1, "failed", "lost_worker"), (2, "success", None)])
        self.expect_one_version_by(2)

    def test_tasks_end_by_themselves_where_their_worker_sleeps(self) -> None:
        """Its supervisors keep the lease: nothing runs on two workers at a time."""
        marks = processes.running_with(f"CHAPPE_RUN_ID={self.run}")
        self.assertNotEqual(marks, [])
        self.pause([self.first.process.pid])
        self.cluster.start_worker("w2")
        self.gate.reached(times=2)
        self.assertEqual([pid for pid in marks if Path(f"/proc/{pid}").exists()], [])
        self.gate.open()
        self.cluster.wait_for_run(self.run, "success")
        self.expect_one_version_by(2)

    def test_a_scheduler_that_sleeps_for_less_than_the_lease_loses_nothing(self) -> None:
        self.pause([self.scheduler.process.pid])
        self.stay_away_for(LEASE / 2)
        self.go_on([self.scheduler.process.pid])
        self.gate.open()
        self.cluster.wait_for_run(self.run, "success")
        self.assertEqual(self.cluster.attempts(self.run, "make"), [(1, "success", None)])
        self.expect_one_version_by(1)

    def test_a_scheduler_that_sleeps_past_the_lease_wakes_to_workers_that_gave_up(self) -> None:
        self.pause([self.scheduler.process.pid])
        self.stay_away_for(2 * LEASE)
        self.go_on([self.scheduler.process.pid])
        self.gate.reached(times=2)
        self.gate.open()
        self.cluster.wait_for_run(self.run, "success")
        self.assertEqual(self.cluster.attempts(self.run, "make"), [(1, "failed", "lost_worker"), (2, "success", None)])
        self.expect_one_version_by(2)

    def test_what_comes_after_a_long_silence_is_not_held_to_the_old_lease(self) -> None:
        self.gate.open()
        self.cluster.wait_for_run(self.run, "success")
        slow = Fault("slow", "tell", 30).environment(self.cluster.directory / "told")  # Between starts, supervisors act.
        self.cluster.start_worker("wide", "--cpus", "8", environment=slow)
        forty = "{name: forty, tasks: [{id: one, foreach: {sequence: {count: 40}}, run: sleep 0.1}]}"
        self.cluster.wait_for_run(self.cluster.submit(forty), "success")  # Their supervisors are there now.
        self.pause([self.scheduler.process.pid])
        self.stay_away_for(LEASE)
        self.go_on([self.scheduler.process.pid])
        run = self.cluster.submit(forty)
        self.cluster.wait_for_run(run, "success")
        attempts = [each for number in range(40) for each in self.cluster.task(run, f"one[{number}]")["attempts"]]
        # Some may have been sent into a connection that was gone. But none has started for nothing.
        self.assertEqual([each["message"] for each in attempts if each["reason"] == "lost_worker" and each["started_at"]], [])

    def stay_away_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)


class Clocks(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self, lease=f"{3 * PATIENCE}s")
        self.clock = self.cluster.directory / "clock"
        self.set_wrong_by(0)
        self.wrong = {"LD_PRELOAD": library("wall_clock"), "CHAPPE_WALL_CLOCK": str(self.clock)}
        self.start_scheduler()
        self.cluster.start_worker("w1", environment=self.wrong)

    def start_scheduler(self) -> Daemon:
        self.scheduler = self.cluster.start_scheduler(environment=self.wrong)
        return self.scheduler

    def set_wrong_by(self, seconds: int) -> None:
        """In place: it is mapped."""
        with self.clock.open("r+b" if self.clock.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def test_jumps_of_the_wall_clock_cost_no_attempt(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(f"""
            name: jumps
            tasks:
              - id: long
                run: {gate.wait_for_it}
                timeout: 5m
              - id: flaky
                run: test "$CHAPPE_ATTEMPT" = 4
                retry: {{limit: 5, backoff: {{initial: 300ms, factor: 1}}}}
            """)
        gate.reached()
        for wrong_by in (HOUR, -HOUR, 10 * 365 * 24 * HOUR, -10 * 365 * 24 * HOUR, 0):
            self.set_wrong_by(wrong_by)
            one = self.cluster.submit("{name: one, tasks: [{id: one, run: exit 0}]}")
            self.cluster.wait_for_run(one, "success", 15)
        self.cluster.wait_for_task(run, "flaky", "success")
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.attempts(run, "long"), [(1, "success", None)])

    def test_a_clock_that_was_set_back_while_the_scheduler_was_away_delays_no_retry(self) -> None:
        run = self.cluster.submit("""
            name: away
            tasks:
              - id: flaky
                run: test "$CHAPPE_ATTEMPT" = 2
                retry: {limit: 1, backoff: {initial: 2s, factor: 1, jitter: 0}}
            """)
        wait_until("the first attempt to fail", lambda: self.cluster.states(run)["flaky"], lambda s: s == "up_for_retry")
        self.scheduler.kill()
        self.set_wrong_by(-HOUR)
        self.start_scheduler()
        self.cluster.wait_for_run(run, "success", 20)


if __name__ == "__main__":
    unittest.main()
