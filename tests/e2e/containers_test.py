"""Tasks in containers, by a real Podman with runc: what they find, what bounds them, how they end, and that nothing is
left of them."""

import json
import os
import signal
import subprocess
import unittest
from typing import Any

import podman
from cluster import EXAMPLES, Cluster, wait_until
from podman import IMAGE, Podman


@unittest.skipIf(podman.missing(), f"SKIPPED: {podman.missing()}: no task was run in a container")
class Containers(unittest.TestCase):
    def setUp(self) -> None:
        self.podman = Podman.of(self, "httpd", "wget")
        self.cluster = Cluster.of(self)

    def start(self, name: str = "w1", *options: str) -> Any:
        return self.cluster.start_worker(name, "--container-socket", str(self.podman.socket), *options)

    def start_all(self, lease: str = "") -> Any:
        self.cluster.lease = lease
        self.cluster.start_scheduler()
        return self.start()

    def submit(self, *tasks: str, head: str = "") -> str:
        lines = "\n".join(f"  - {task}" for task in tasks)
        return self.cluster.submit(f"name: boxed\nimage: {IMAGE}\n{head}\ntasks:\n{lines}\n")

    def end_of(self, run: str, task: str = "a") -> dict[str, Any]:
        wait_until("the run to end", lambda: self.cluster.run(run)["state"], lambda state: state in ("success", "failed"))
        return self.cluster.tasks(run)[task]

    def chappe(self, *words: str) -> str:
        return self.cluster.chappe("--state-dir", str(self.cluster.state), *words).stdout

    def expect_nothing_left(self) -> None:
        wait_until("containers to be gone", self.podman.containers, lambda left: left == [])

    # ---- What a task finds, and what it leaves ----

    def test_inputs_outputs_logs_and_the_digest(self) -> None:
        self.start_all()
        run = self.cluster.submit(f"""
            name: boxed
            image: {IMAGE}
            params: {{year: 2026, word: {{type: string, secret: true}}}}
            tasks:
              - id: make
                env: {{YEAR: "${{{{ params.year }}}}", WORD: "${{{{ params.word }}}}"}}
                run: |
                  echo "in $PWD as $CHAPPE_TASK of $YEAR, $WORD"
                  echo complaint >&2
                  grep -q '"year":2026' "$CHAPPE_PARAMS" || cat "$CHAPPE_PARAMS"
                  echo 42 > out.txt
                  touch /tmp/x "$TMPDIR/y" "$HOME/z"
                outputs:
                  artifacts: [{{name: out, path: out.txt, asset: {{uri: boxed/out, name: out}}}}]
                  values: {{n: {{file: out.txt}}}}
              - id: read
                command: [/bin/cat, in/out.txt]
                inputs: {{artifacts: [{{name: out, from: make.out, path: in/out.txt}}]}}
              - {{id: bare, image: "", run: "[ ! -d /chappe ]"}}
            """, word="hush-hush")
        self.cluster.wait_for_run(run, "success")
        log = self.cluster.log(run, "make")
        self.assertIn("in /chappe/work as make of 2026, ***\n", log)
        self.assertIn("complaint\n", log)
        self.assertEqual(self.cluster.log(run, "read"), "42\n")
        self.assertEqual(self.cluster.values(run, "make"), {"n": "42"})
        digest = self.podman.image_digest()
        self.assertIn("sha256:", digest)
        tasks = self.cluster.tasks(run)
        self.assertEqual({name: task["image"] for name, task in tasks.items()},
                         {"make": digest, "read": digest, "bare": None})
        self.assertGreater(tasks["make"]["cpu_seconds"], 0)
        (version,) = self.cluster.assets("out")
        lineage = self.cluster.get(f"/api/v1/assets/{version['id']}/lineage")
        attempts = [node for node in lineage["nodes"] if node["kind"] == "attempt"]
        self.assertEqual([node["image"] for node in attempts if node["task"] == "make"], [digest])
        self.assertIn(digest, self.chappe("lineage", "out"))
        self.assertIn(digest, self.chappe("show", run, "make"))
        self.expect_nothing_left()

    def test_a_log_is_told_while_it_is_written(self) -> None:
        self.start_all()
        run = self.submit('{id: a, run: "echo first; while [ ! -e go ]; do sleep 0.05; done"}')
        wait_until("its first line", lambda: "first\n" in self.cluster.log(run, "a"))
        self.assertEqual(len(self.podman.running()), 1)
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")

    def test_a_flood_is_kept_whole(self) -> None:
        self.start_all()
        run = self.submit('{id: a, run: "yes | head -c 20000000"}')
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.log(run, "a"), "y\n" * 10_000_000)

    def test_the_example_runs(self) -> None:
        self.cluster.environment["CHAPPE_CONTAINER_SOCKET"] = str(self.podman.socket)
        self.cluster.chappe("run", str(EXAMPLES / "containers.yaml"), "--param", f"image={IMAGE}")
        run = json.loads(self.cluster.chappe("show", "latest", "--output", "json").stdout)
        self.assertEqual({task["name"]: task["state"] for task in run["tasks"]},
                         dict.fromkeys(["count", "size", "ask", "look"], "success"))
        self.expect_nothing_left()

    # ---- What bounds it ----

    def test_it_is_closed_unless_the_dag_opens_it(self) -> None:
        self.start_all()
        look = "id -u; cat /proc/self/status; touch /etc/x 2>/dev/null && echo wrote; cat /proc/net/dev; true"
        run = self.submit(
            f'{{id: closed, run: "{look}"}}',
            f'{{id: open, run: "{look}", container: {{user: "1000:1000", network: host, read_only: false}}}}',
            '{id: named, run: "id -u; cat $CHAPPE_PARAMS > mine", container: {user: worker},'
            ' outputs: {artifacts: [{name: mine, path: mine}]}}',
        )
        self.cluster.wait_for_run(run, "success")
        closed, opened = self.cluster.log(run, "closed"), self.cluster.log(run, "open")
        self.assertTrue(closed.startswith("0\n"))
        self.assertRegex(closed, r"CapEff:\s+0{16}\n")
        self.assertRegex(closed, r"CapBnd:\s+0{16}\n")
        self.assertRegex(closed, r"NoNewPrivs:\s+1\n")
        self.assertNotIn("wrote", closed)
        devices = [line.split(":")[0].strip() for line in closed.splitlines() if ":" in line and "face" not in line]
        self.assertEqual([each for each in devices if each.startswith(("eth", "ens", "enp", "veth"))], [])
        self.assertTrue(opened.startswith("1000\n"))
        with open("/proc/net/dev") as host:
            for line in host.readlines()[2:]:
                self.assertIn(line.split(":")[0].strip() + ":", opened)
        self.assertEqual(self.cluster.log(run, "named"), "1234\n")

    def test_memory_that_it_outgrows_ends_it_as_oom(self) -> None:
        self.start_all()
        run = self.submit("{id: a, run: 'x=$(yes | head -c 200000000); echo $x', resources: {memory: 32Mi}}")
        task = self.end_of(run)
        self.assertEqual((task["reason"], task["exit_code"]), ("oom", 137))
        self.assertIn("32 MiB", task["message"])
        self.assertGreater(task["peak_memory_bytes"], 20 << 20)

    def test_killed_by_its_own_hand_is_no_oom(self) -> None:
        self.start_all()
        run = self.submit("{id: a, command: [/bin/sh, -c, 'sh -c \"kill -9 \\$\\$\"; exit 137'], resources: {memory: 32Mi}}")
        self.assertEqual(self.end_of(run)["reason"], "signal")

    def test_processes_are_bounded(self) -> None:
        self.start_all()
        run = self.submit(
            '{id: a, run: "i=0; while [ $i -lt 20000 ]; do sleep 60 & i=$((i+1)); done", kill_grace: 1s}'
        )
        task = self.end_of(run)
        self.assertEqual(task["state"], "failed")
        self.assertIn("fork", self.cluster.log(run, "a"))
        self.expect_nothing_left()

    # ---- How it ends ----

    def test_exit_codes_are_its_own(self) -> None:
        self.start_all()
        run = self.submit('{id: a, run: "exit 7"}', "{id: b, command: [/bin/sh, -c, 'exit 0']}")
        task = self.end_of(run)
        self.assertEqual((task["reason"], task["exit_code"]), ("exit_code", 7))
        self.assertEqual(self.cluster.tasks(run)["b"]["state"], "success")
        self.expect_nothing_left()

    def test_a_program_that_fails_is_not_taken_for_a_missing_one(self) -> None:
        self.start_all()
        run = self.submit(
            "{id: make, run: 'mkdir kit; printf \"#!/bin/sh\\nexit 1\\n\" > kit/tool; chmod 755 kit/tool',"
            " outputs: {artifacts: [{name: kit, path: kit}]}}",
            "{id: own, command: [./kit/tool, '1'], inputs: {artifacts: [{name: kit, from: make.kit, path: kit}]}}",
            "{id: of_image, command: [sh, -c, 'exit 1']}",
            "{id: no_tool, command: [./kit/other]}",
        )
        self.end_of(run, "make")
        reasons = {name: task["reason"] for name, task in self.cluster.tasks(run).items()}
        self.assertEqual(reasons, {"make": None, "own": "exit_code", "of_image": "exit_code", "no_tool": "launch_failed"})

    def test_what_cannot_be_launched_says_why(self) -> None:
        self.start_all()
        run = self.submit(
            "{id: image, run: 'true', image: 'localhost/none:1', container: {pull: never}}",
            "{id: program, command: [no-such-program]}",
            "{id: path, command: [/no/such]}",
            "{id: not_pulled, run: 'true', image: 'localhost:1/none:1'}",
            "{id: found, run: 'no-such-program'}",
        )
        self.end_of(run, "found")
        tasks = self.cluster.tasks(run)
        self.assertEqual(
            {name: task["reason"] for name, task in tasks.items()},
            dict.fromkeys(["image", "program", "path", "not_pulled"], "launch_failed") | {"found": "exit_code"},
        )
        self.assertIn("'localhost/none:1' is not on this machine", tasks["image"]["message"])
        self.assertIn("'no-such-program'", tasks["program"]["message"])
        self.assertIn("has no such program", tasks["path"]["message"])
        self.assertIn("pull image 'localhost:1/none:1'", tasks["not_pulled"]["message"])
        self.assertEqual(tasks["found"]["exit_code"], 127)
        self.expect_nothing_left()

    def test_a_runtime_that_is_gone_fails_the_launch(self) -> None:
        self.start_all()
        run = self.submit('{id: a, run: "true"}')
        self.cluster.wait_for_run(run, "success")
        self.podman.stop()
        run = self.submit('{id: a, run: "true"}')
        task = self.end_of(run)
        self.assertEqual(task["reason"], "launch_failed")
        self.assertIn(f"the container runtime at {self.podman.socket} does not answer", task["message"])

    def test_a_cancel_asks_and_then_kills(self) -> None:
        self.start_all()
        run = self.submit(
            "{id: polite, run: \"trap 'echo bye; exit 0' TERM; echo here; while true; do sleep 0.05; done\"}",
            "{id: deaf, run: \"trap '' TERM; echo here; while true; do sleep 0.05; done\", kill_grace: 500ms}",
        )
        for task in ("polite", "deaf"):
            wait_until(f"{task} to run", lambda task=task: "here\n" in self.cluster.log(run, task))
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        self.assertEqual(self.cluster.states(run), {"polite": "cancelled", "deaf": "cancelled"})
        self.assertIn("bye\n", self.cluster.log(run, "polite"))
        self.expect_nothing_left()

    def test_a_timeout_ends_it(self) -> None:
        self.start_all()
        run = self.submit("{id: a, run: 'sleep 60', timeout: 300ms, kill_grace: 0s}")
        self.assertEqual(self.end_of(run)["reason"], "timeout")
        self.expect_nothing_left()

    def test_a_paused_container_is_killed_all_the_same(self) -> None:
        self.start_all()
        run = self.submit("{id: a, run: 'echo here; sleep 60', kill_grace: 0s}")
        wait_until("it to run", lambda: "here\n" in self.cluster.log(run, "a"))
        (container,) = self.podman.running()
        self.assertEqual(self.podman.call("POST", f"/containers/{container['Id']}/pause")[0], 204)
        self.cluster.post(f"/api/v1/runs/{run}/cancel")
        self.cluster.wait_for_run(run, "cancelled")
        self.expect_nothing_left()

    def test_one_that_somebody_else_removes_has_failed(self) -> None:
        self.start_all()
        run = self.submit("{id: a, run: 'if [ $CHAPPE_ATTEMPT = 1 ]; then echo here; sleep 60; fi', retries: 1}")
        wait_until("it to run", lambda: "here\n" in self.cluster.log(run, "a"))
        (container,) = self.podman.running()
        self.podman.call("DELETE", f"/containers/{container['Id']}?force=true")
        self.cluster.wait_for_run(run, "success")
        first, second = self.cluster.attempts(run, "a")
        self.assertIn(first[2], ("signal", "lost_worker"), "as far as anybody could see")
        self.assertEqual(second, (2, "success", None))

    # ---- Workers that die ----

    def test_a_killed_worker_takes_its_containers_with_it(self) -> None:
        worker = self.start_all()
        run = self.submit("{id: a, run: 'echo here; [ $CHAPPE_ATTEMPT = 2 ] || sleep 60'}")
        wait_until("it to run", self.podman.running)
        worker.kill()
        self.expect_nothing_left()  # Its keeper saw to that, with no other worker there.
        self.start()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.attempts(run, "a"), [(1, "failed", "lost_worker"), (2, "success", None)])

    def test_orphans_are_removed_at_the_next_start(self) -> None:
        worker = self.start_all()
        run = self.submit("{id: a, run: 'echo here; [ $CHAPPE_ATTEMPT = 2 ] || sleep 60'}")
        wait_until("it to run", self.podman.running)
        keepers = subprocess.run(["ps", "-o", "pid=", "--ppid", str(worker.process.pid)], capture_output=True, text=True)
        for pid in keepers.stdout.split():
            with open(f"/proc/{pid}/comm") as name:
                if name.read().strip() == "chappe-keeper":
                    worker.process.send_signal(signal.SIGSTOP)  # It must not see to anything itself.
                    os.kill(int(pid), signal.SIGKILL)
        worker.kill()
        self.assertEqual(len(self.podman.running()), 1)
        again = self.start()
        self.cluster.wait_for_run(run, "success")
        self.assertIn("removed 1 containers that an earlier worker left", again.said())
        self.expect_nothing_left()

    def test_a_worker_that_hangs_loses_its_containers_with_its_lease(self) -> None:
        worker = self.start_all(lease="2s")
        run = self.submit("{id: a, run: 'sleep 60'}", head="defaults: {infra_retry: {limit: 0}, kill_grace: 0s}")
        wait_until("it to run", self.podman.running)
        worker.process.send_signal(signal.SIGSTOP)
        wait_until("it to be killed", self.podman.running, lambda left: left == [])
        worker.process.send_signal(signal.SIGCONT)
        self.assertEqual(self.end_of(run)["reason"], "lost_worker")

    def test_a_worker_that_drains_leaves_nothing(self) -> None:
        worker = self.start_all()
        run = self.submit("{id: a, run: 'echo here; sleep 1'}")
        wait_until("it to run", self.podman.running)
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(self.end_of(run)["state"], "success")
        self.assertEqual(self.podman.containers(), [])

    # ---- Which worker ----

    def test_a_worker_without_containers_gets_none_and_explain_says_so(self) -> None:
        self.cluster.start_scheduler()
        bare = self.cluster.start_worker("bare", "--container-socket", "none")
        run = self.submit('{id: a, run: "true"}')
        wait_until("the reason", lambda: self.cluster.get(f"/api/v1/runs/{run}/explain")["tasks"][0]["waits_for"],
                   lambda why: "bare runs no containers" in why)
        self.assertIn("containers: none", bare.said())
        self.start("w2")
        self.cluster.wait_for_run(run, "success")
        workers = {each["name"]: each["executors"] for each in self.cluster.get("/api/v1/workers")["items"]}
        self.assertEqual(workers, {"bare": ["process"], "w2": ["process", "container"]})

    def test_the_socket_is_found_through_docker_host(self) -> None:
        self.cluster.start_scheduler()
        worker = self.cluster.start_worker(environment={"DOCKER_HOST": f"unix://{self.podman.socket}"})
        run = self.submit('{id: a, run: "true"}')
        self.cluster.wait_for_run(run, "success")
        self.assertIn("Podman Engine", worker.said())

    def test_a_socket_that_was_named_must_answer(self) -> None:
        self.cluster.start_scheduler()
        worker = self.cluster.start_worker("w1", "--container-socket", "/nowhere.sock")
        self.assertEqual(worker.process.wait(30), 75)
        self.assertIn("no container runtime answers at /nowhere.sock", worker.said())


if __name__ == "__main__":
    unittest.main()
