"""Containers beside a task's own, by a real Podman with runc: what they share with it, when they are ready, how they end, and
that nothing is left of them."""

import os
import signal
import unittest
from typing import Any

import podman
from cluster import Cluster, wait_until
from podman import IMAGE, Podman

# A web server that takes its time.
WEB = """{{name: web, image: "{image}", port: 8080, {more}
          command: [/bin/sh, -c, "echo waking up; sleep 0.5; echo $GREETING > /tmp/index.html; httpd -f -p 8080 -h /tmp"],
          env: {{GREETING: "${{{{ params.greeting }}}}"}}}}"""


def web(more: str = "") -> str:
    return WEB.format(image=IMAGE, more=more)


@unittest.skipIf(podman.missing(), f"SKIPPED: {podman.missing()}: no sidecar was run")
class Sidecars(unittest.TestCase):
    def setUp(self) -> None:
        self.podman = Podman.of(self, "httpd", "wget", "nc")
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.worker = self.start_worker()

    def start_worker(self, name: str = "w1") -> Any:
        return self.cluster.start_worker(name, "--container-socket", str(self.podman.socket), "--cpus", "2")

    def submit(self, run: str, *sidecars: str, more: str = "") -> str:
        listed = "\n".join(f"        - {each}" for each in sidecars)
        return self.cluster.submit(f"""
name: beside
image: {IMAGE}
params: {{greeting: hello}}
defaults: {{infra_retry: {{limit: 0}}}}
tasks:
  - id: a
    run: |
      {run}
    {more}
    sidecars:
{listed}
""")

    def end_of(self, run: str) -> dict[str, Any]:
        wait_until("the run to end", lambda: self.cluster.run(run)["state"], lambda state: state in ("success", "failed"))
        return self.cluster.tasks(run)["a"]

    def expect_nothing_left(self) -> None:
        wait_until("containers to be gone", self.podman.containers, lambda left: left == [])

    def test_they_share_the_network_are_ready_before_the_task_and_in_its_log(self) -> None:
        run = self.submit("wget -qO- http://127.0.0.1:8080/; ls /sys/class/net | wc -l",
                          web(), f'{{name: idle, image: "{IMAGE}", command: [sleep, "1000"]}}')
        task = self.end_of(run)
        self.assertEqual(task["state"], "success", task["message"])
        log = self.cluster.log(run, "a").splitlines()
        self.assertEqual(log, ["[web] waking up", "hello", "1"])
        digest = self.podman.image_digest()
        self.assertEqual((task["image"], task["sidecar_images"]), (digest, {"web": digest, "idle": digest}))
        shown = self.cluster.chappe("--state-dir", str(self.cluster.state), "show", run, "a").stdout
        self.assertRegex(shown, rf"web +{digest}")
        self.expect_nothing_left()

    def test_a_path_that_answers_makes_one_ready(self) -> None:
        run = self.submit("wget -qO- http://127.0.0.1:8080/up", web("ready: {http: /up},").replace(
            "httpd -f", "(sleep 1; echo late > /tmp/up) & httpd -f"), more="container: {network: bridge}")
        self.assertEqual((self.end_of(run)["state"], self.cluster.log(run, "a").splitlines()[-1]), ("success", "late"))
        self.expect_nothing_left()

    def test_with_the_machines_network_so_are_they(self) -> None:
        run = self.submit("wget -qO- http://127.0.0.1:8080/", web(), more="container: {network: host}")
        self.assertEqual((self.end_of(run)["state"], self.cluster.log(run, "a").splitlines()[-1]), ("success", "hello"))
        self.expect_nothing_left()

    def test_one_that_fails_before_it_is_ready_fails_the_launch_with_its_last_words(self) -> None:
        run = self.submit("echo never", f'{{name: db, image: "{IMAGE}", port: 5432, command: [sh, -c, "echo no disk; exit 3"]}}')
        task = self.end_of(run)
        self.assertEqual((task["state"], task["reason"]), ("failed", "launch_failed"))
        self.assertEqual(task["message"], "sidecar 'db': it ended with exit code 3 before it was ready: no disk")
        self.assertEqual(self.cluster.log(run, "a"), "[db] no disk\n")
        self.expect_nothing_left()

    def test_one_that_is_not_ready_in_time_fails_the_launch(self) -> None:
        run = self.submit("echo never", f'{{name: db, image: "{IMAGE}", port: 5432, ready_timeout: 1s, command: [sleep, "1000"]}}')
        task = self.end_of(run)
        self.assertEqual((task["reason"], task["message"]),
                         ("launch_failed", "sidecar 'db': it was not ready within its ready_timeout, 1s"))
        self.expect_nothing_left()

    def test_what_cannot_be_started_says_why(self) -> None:
        for sidecar, message in (
            ("image: localhost/none:1, container: {pull: never}", "image 'localhost/none:1' is not on this machine"),
            (f'image: "{IMAGE}", command: [/bin/none]', "sidecar 'db'"),
        ):
            with self.subTest(sidecar):
                run = self.submit("echo never", f"{{name: db, port: 1, {sidecar}}}")
                task = self.end_of(run)
                self.assertEqual(task["reason"], "launch_failed")
                self.assertIn(message, task["message"])
                self.assertEqual(self.cluster.log(run, "a").count("never"), 0)
        self.expect_nothing_left()

    def test_its_end_does_not_decide_the_attempt_and_leaves_the_network(self) -> None:
        run = self.submit("while wget -qO- http://127.0.0.1:8080/ 2>/dev/null; do sleep 0.1; done; cat /sys/class/net/*/address | wc -l",
                          web().replace("httpd -f -p 8080 -h /tmp", "httpd -p 8080 -h /tmp; sleep 2"), more="container: {network: bridge}")
        task = self.end_of(run)
        self.assertEqual(task["state"], "success", task["message"])
        log = self.cluster.log(run, "a").splitlines()
        self.assertIn("2", log)  # It has its own network still: lo, and the one to the world.
        self.assertRegex("\n".join(log), r"\[web\] \(it ended by itself, with exit code \d+\)")
        self.expect_nothing_left()

    def test_one_that_writes_much_leaves_the_task_its_log(self) -> None:
        flood = "yes | head -c 9000000; httpd -f -p 8080"
        run = self.submit("echo mine", f'{{name: loud, image: "{IMAGE}", port: 8080, command: [sh, -c, "{flood}"]}}')
        self.assertEqual(self.end_of(run)["state"], "success")
        log = self.cluster.log(run, "a")
        self.assertIn("mine\n", log)
        self.assertIn("[loud] (what follows is left out: 4 MiB of it are above)\n", log)
        self.assertEqual(log.count("[loud] y\n"), (4 << 20) // 2)

    def test_they_are_closed_and_ended_with_a_signal(self) -> None:
        command = ("trap 'echo bye; exit 0' TERM; grep -E 'CapEff|NoNewPrivs' /proc/self/status; touch /x 2>&1; "
                   "while true; do sleep 0.1; done")
        run = self.submit("sleep 1", f'{{name: shut, image: "{IMAGE}", command: [sh, -c, "{command}"]}}')
        self.assertEqual(self.end_of(run)["state"], "success")
        log = self.cluster.log(run, "a")
        self.assertRegex(log, r"\[shut\] CapEff:\s+0000000000000000\n\[shut\] NoNewPrivs:\s+1\n\[shut\] touch: /x: Read-only")
        self.assertTrue(log.endswith("[shut] bye\n"), log)
        self.expect_nothing_left()

    def test_a_cancel_ends_them_all_even_before_one_is_ready(self) -> None:
        for port in ("", "port: 5432, "):
            with self.subTest(port):
                run = self.submit("echo running; sleep 1000", f'{{name: db, image: "{IMAGE}", {port}command: [sleep, "1000"]}}')
                wait_until("them to run", self.podman.running, lambda running: len(running) == (2 if port else 3))
                self.cluster.post(f"/api/v1/runs/{run}/cancel")
                self.cluster.wait_for_run(run, "cancelled")
                self.expect_nothing_left()

    def test_a_killed_worker_takes_them_with_it(self) -> None:
        self.submit("sleep 1000", web())
        wait_until("them to run", self.podman.running, lambda running: len(running) == 3)
        os.kill(self.worker.process.pid, signal.SIGKILL)
        self.expect_nothing_left()

    def test_orphans_are_removed_at_the_next_start(self) -> None:
        self.submit("sleep 1000", web())
        wait_until("them to run", self.podman.running, lambda running: len(running) == 3)
        self.podman.stop()
        os.kill(self.worker.process.pid, signal.SIGKILL)
        self.worker.process.wait()
        self.podman.start()
        self.start_worker()
        self.expect_nothing_left()

    def test_what_they_need_counts_in_placement(self) -> None:
        run = self.submit("true", f'{{name: db, image: "{IMAGE}", command: [sleep, "9"], resources: {{cpu: 1500m}}}}')
        explained = wait_until("why it waits", lambda: self.cluster.chappe(
            "--state-dir", str(self.cluster.state), "explain", run).stdout, lambda said: "2.5" in said)
        self.assertIn("2.5", explained)


if __name__ == "__main__":
    unittest.main()
