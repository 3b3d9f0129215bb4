"""Tasks that misbehave: each is contained, ends whole with the right reason, and its neighbours and daemons do not care."""

import hashlib
import unittest

import processes
from processes import MIB
from cluster import DEADLINE, Cluster, Gate, wait_until
from sanitizers import memory_bound

LOG_MAX = 64 * MIB  # LogBounds in worker/app/attempt_log.h.
GROWTH_MAX = memory_bound(48 * MIB)


class HostileTasks(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.worker = self.cluster.start_worker("w1", "--cpus", "4")
        self.cluster.wait_for_run(self.cluster.submit("{name: warm_up, tasks: [{id: one, run: echo on}]}"), "success")

    def end_of(self, script: str, keys: str = "", seconds: float = DEADLINE) -> dict:
        """How a task with this script ended. Beside it a neighbour waits, then reads and writes, and must succeed."""
        gate = Gate(self.cluster, "neighbour")
        indented = script.replace("\n", "\n                  ")
        run = self.cluster.submit(f"""
            name: hostile
            tasks:
              - id: neighbour
                run: |
                  {gate.wait_for_it}
                  seq 10000 | sort -rn | head -1 > most
                outputs: {{values: {{most: {{json: most, path: $}}}}}}
              - id: hostile
                env: {{MARK: "{self.cluster.directory}/hostile"}}
                run: |
                  {indented}
                {keys}
            """)
        gate.reached()
        self.run = run
        wait_until("the hostile task to end", lambda: self.cluster.tasks(run)["hostile"],
                   lambda task: task["state"] in ("success", "failed"), seconds)
        gate.open()
        self.cluster.wait_for_task(run, "neighbour", "success")
        self.assertEqual(self.cluster.values(run, "neighbour"), {"most": 10000})
        self.assertEqual(len(self.cluster.attempts(run, "neighbour")), 1)
        self.assertEqual(processes.running_with(f"MARK={self.cluster.directory}/hostile"), [], "all of it is gone")
        self.expect_the_slot_to_be_free()
        return self.cluster.task(run, "hostile")["attempts"][0]

    def expect_the_slot_to_be_free(self) -> None:
        """All cores of the worker can be had again."""
        run = self.cluster.submit("{name: after, tasks: [{id: wide, run: exit 0, resources: {cpu: 4}}]}")
        self.cluster.wait_for_run(run, "success")

    def expect_flat_memory(self) -> None:
        for daemon in (self.scheduler, self.worker):
            self.assertLess(processes.memory_of(daemon.process.pid, "VmHWM"), self.memory[daemon.name] + GROWTH_MAX)

    def note_memory(self) -> None:
        self.memory = {each.name: processes.memory_of(each.process.pid) for each in (self.scheduler, self.worker)}

    def test_a_flood_of_output_is_cut_in_the_middle(self) -> None:
        self.note_memory()
        end = self.end_of("echo first; yes 'a line of the flood'", "timeout: 2s\n                kill_grace: 1s")
        self.assertEqual((end["state"], end["reason"]), ("failed", "timeout"))
        log = self.cluster.log(self.run, "hostile")
        self.assertTrue(log.startswith("first\na line of the flood\n"))
        self.assertLess(len(log), LOG_MAX + 1024)
        self.expect_flat_memory()

    def test_a_line_of_a_hundred_megabytes_is_a_log_like_any_other(self) -> None:
        self.note_memory()
        end = self.end_of("head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last")
        self.assertEqual(end["state"], "success")
        log = self.cluster.log(self.run, "hostile")
        self.assertTrue(log.startswith("xxxx") and log.endswith("xxxx\nlast\n"))
        self.assertLess(len(log), LOG_MAX + 1024)
        self.expect_flat_memory()

    def test_binary_output_is_kept_as_it_is(self) -> None:
        end = self.end_of("head -c 3000000 /dev/urandom > bytes; cat bytes; sha256sum < bytes | cut -c1-64 > sum\n"
                          "printf '\"%s\"' \"$(cat sum)\" > sum",
                          "outputs: {values: {sum: {json: sum, path: $}}}")
        self.assertEqual(end["state"], "success")
        kept = self.cluster.call("GET", f"/api/v1/runs/{self.run}/tasks/hostile/attempts/latest/log")
        self.assertEqual(hashlib.sha256(kept).hexdigest(), self.cluster.values(self.run, "hostile")["sum"])

    def test_a_task_that_ignores_sigterm_is_killed_when_its_grace_is_over(self) -> None:
        end = self.end_of("trap '' TERM\nwhile :; do sleep 0.05; done", "timeout: 1s\n                kill_grace: 1s")
        self.assertEqual((end["state"], end["reason"]), ("failed", "timeout"))

    def test_daemons_that_a_task_leaves_behind_die_with_it(self) -> None:
        daemon = ("import os, signal\n"
                  "if os.fork(): os._exit(0)\n"
                  "os.setsid()\n"
                  "if os.fork(): os._exit(0)\n"
                  "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                  "open('daemon', 'w').close()\n"
                  "signal.pause()")
        end = self.end_of(f"cat > daemon.py <<'END'\n{daemon}\nEND\n"
                          "python3 daemon.py\nuntil [ -e daemon ]; do sleep 0.02; done", "kill_grace: 100ms")
        self.assertEqual(end["state"], "success", "it ended well, its output was still held open")

    def test_a_fork_bomb_is_contained_and_ends_whole(self) -> None:
        self.need("processes by control groups")
        end = self.end_of("bomb() { bomb | bomb & }\nbomb\nwhile :; do sleep 0.05; done",
                          "timeout: 2s\n                kill_grace: 0s", seconds=2.5 * DEADLINE)
        # Its own shell may be the one that cannot fork any more.
        self.assertIn((end["state"], end["reason"]), (("failed", "timeout"), ("failed", "exit_code")))

    def test_a_task_that_outgrows_its_memory_is_killed_alone(self) -> None:
        self.need("memory by control groups")
        hog = "x = []\nwhile True: x.append(bytearray(1 << 20))"
        end = self.end_of(f"cat > hog.py <<'END'\n{hog}\nEND\npython3 hog.py", "resources: {memory: 64Mi}")
        self.assertEqual((end["state"], end["reason"]), ("failed", "oom"))
        self.assertIn("64 MiB", end["message"])

    def need(self, bounds: str) -> None:
        if bounds not in self.worker.said():
            self.skipTest(f"this machine does not bound {bounds}")


if __name__ == "__main__":
    unittest.main()
