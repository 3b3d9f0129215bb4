"""Tasks in containers, by a real Docker: what containers_test.py holds Podman to, as far as the two may differ."""

import unittest

import docker
from cluster import Cluster, wait_until
from docker import Docker
from podman import IMAGE


@unittest.skipIf(docker.missing(), f"SKIPPED: {docker.missing()}: no task was run by Docker")
class InDocker(unittest.TestCase):
    def setUp(self) -> None:
        self.docker = Docker.of(self)
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.worker = self.cluster.start_worker("w1", "--container-socket", str(self.docker.socket))

    def expect_nothing_left(self) -> None:
        wait_until("containers to be gone", self.docker.containers, lambda left: left == [])

    def test_tasks_find_leave_and_may_what_they_should(self) -> None:
        self.assertIn("containers: Docker ", wait_until("its log", self.worker.said, lambda said: "containers:" in said))
        run = self.cluster.submit(f"""
            name: boxed
            image: {IMAGE}
            defaults: {{retry: {{limit: 0}}}}
            tasks:
              - id: make
                run: |
                  echo "in $PWD"; echo complaint >&2; echo 42 > out.txt
                  touch /etc/x 2>/dev/null && echo wrote; cat /proc/self/status
                outputs: {{artifacts: [{{name: out, path: out.txt}}], values: {{n: {{file: out.txt}}}}}}
              - id: read
                command: [/bin/cat, in/out.txt]
                container: {{user: "1000:1000"}}
                inputs: {{artifacts: [{{name: out, from: make.out, path: in/out.txt}}]}}
              - {{id: greedy, run: 'x=$(yes | head -c 200000000); echo $x', resources: {{memory: 32Mi}}}}
              - {{id: killed, run: "kill -9 $$"}}
              - {{id: nowhere, image: "localhost/none:1", container: {{pull: never}}, run: "true"}}
            """)
        self.cluster.wait_for_run(run, "failed")
        tasks = self.cluster.tasks(run)
        self.assertEqual({name: task["reason"] for name, task in tasks.items()},
                         {"make": None, "read": None, "greedy": "oom", "killed": "signal", "nowhere": "launch_failed"})
        log = self.cluster.log(run, "make")
        self.assertIn("in /chappe/work\n", log)
        self.assertIn("complaint\n", log)
        self.assertNotIn("wrote", log)
        self.assertRegex(log, r"CapEff:\s+0{16}\n")
        self.assertRegex(log, r"NoNewPrivs:\s+1\n")
        self.assertEqual((self.cluster.log(run, "read"), self.cluster.values(run, "make")), ("42\n", {"n": "42"}))
        self.assertEqual(tasks["make"]["image"], self.docker.image_digest())
        self.expect_nothing_left()

    def test_nothing_outlives_a_cancel_or_a_worker_that_is_killed(self) -> None:
        task = f"name: boxed\nimage: {IMAGE}\ntasks: [{{id: a, run: 'trap \"\" TERM; echo up; sleep 1000; sleep 1000', kill_grace: 1s}}]"
        run = self.cluster.submit(task)
        wait_until("its first line", lambda: "up\n" in self.cluster.log(run, "a"))
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        self.expect_nothing_left()
        self.cluster.submit(task)
        wait_until("another", self.docker.running, lambda running: len(running) == 1)
        self.worker.kill()
        self.expect_nothing_left()


if __name__ == "__main__":
    unittest.main()
