"""Services stay up while those that depend on them run, and objects that nobody here made are read as they are."""

import hashlib
import os
import signal
import textwrap
import unittest

import podman
from cluster import Cluster, Gate, wait_until
from podman import IMAGE, Podman

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ("/health", "/pid") else 404)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["CHAPPE_SERVICE_PORT"])), Handler).serve_forever()
"""


def scores(gate: str = "", service: str = "{ready: {http: /health}}", more: str = "", consumer: str = "") -> str:
    server = textwrap.indent(SERVER, " " * 8)
    return f"""
name: scores
tasks:
  - id: model
    service: {service}
    shell: python3
    {more}
    run: |
{server}
  - id: score
    depends_on: [model]
    foreach: {{items: [a, b]}}
    env: {{MODEL: "http://${{{{ tasks.model.outputs.address }}}}"}}
    {consumer}
    run: |
      python3 -c 'import os, urllib.request as u; print("pid", u.urlopen(os.environ["MODEL"] + "/pid").read().decode())'
      {gate}
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Services(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.worker = self.cluster.start_worker("w1", "--cpus", "4")

    def pid(self, run: str, name: str) -> int:
        """What the service told this instance of itself."""
        wait_until(f"{name} tells", lambda: self.cluster.log(run, name), lambda log: "pid " in log)
        return int(self.cluster.log(run, name).split("pid ")[1].split()[0])

    def test_is_up_for_those_that_depend_on_it_and_no_longer(self) -> None:
        run = self.cluster.submit(scores())
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(set(self.cluster.states(run).values()), {"success"})
        pids = {self.pid(run, name) for name in ("score[a]", "score[b]")}
        self.assertEqual(len(pids), 1)
        wait_until("the service ends", lambda: is_alive(pids.copy().pop()), lambda alive: not alive)
        self.assertRegex(self.cluster.values(run, "model")["address"], r"^127\.0\.0\.1:\d+$")
        end = self.cluster.task(run, "model")
        self.assertEqual(end["attempts"][0]["message"], "stopped: all that depend on it have ended")

    def test_stays_up_for_a_service_that_stands_on_it(self) -> None:
        base = "\n  - id: base\n    service: {}\n    shell: python3\n    run: |\n" + textwrap.indent(SERVER, " " * 8)
        address = "${{ tasks.base.outputs.address }}"
        run = self.cluster.submit(scores(more=f'depends_on: [base]\n    env: {{BASE: "{address}"}}') + base)
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(set(self.cluster.states(run).values()), {"success"})

    def test_survives_a_new_scheduler_and_is_explained_while_it_is_up(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(scores(gate.wait_for_it))
        gate.reached(2)
        explained = self.cluster.chappe("explain", run, "--state-dir", str(self.cluster.state)).stdout
        shown = self.cluster.chappe("show", run, "--state-dir", str(self.cluster.state)).stdout
        self.assertRegex(shown, r"model +running \(ready\)")
        self.assertIn("those that depend on it to end: score[a] (running)", explained)
        self.scheduler.kill()
        self.cluster.start_scheduler()
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(len(self.cluster.attempts(run, "model")), 1)

    def test_is_started_anew_for_those_that_have_not_begun(self) -> None:
        gate = Gate(self.cluster)
        text = scores(gate.wait_for_it, more="retries: 1").replace("{items: [a, b]}", "{items: [a, b], max_parallel: 1}")
        run = self.cluster.submit(text)
        gate.reached(1)
        first = self.pid(run, "score[a]")
        os.kill(first, signal.SIGKILL)
        wait_until("it runs again", lambda: self.cluster.attempts(run, "model"), lambda attempts: len(attempts) == 2)
        gate.open()
        self.cluster.wait_for_run(run, "success")
        self.assertNotEqual(self.pid(run, "score[b]"), first)
        self.assertEqual(sorted(reason or "" for _, _, reason in self.cluster.attempts(run, "model")), ["", "signal"])

    def test_fails_in_time_where_it_never_is_ready(self) -> None:
        run = self.cluster.submit(scores(service="{ready: {http: /never}, ready_timeout: 1s}"))
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(self.cluster.attempts(run, "model")[0][2], "timeout")
        self.assertEqual(self.cluster.states(run)["score[a]"], "upstream_failed")

    def test_is_stopped_with_its_run(self) -> None:
        gate = Gate(self.cluster)
        run = self.cluster.submit(scores(gate.wait_for_it))
        gate.reached(2)
        pid = self.pid(run, "score[a]")
        self.cluster.chappe("cancel", run, "--state-dir", str(self.cluster.state))
        self.cluster.wait_for_run(run, "cancelled")
        wait_until("the service ends", lambda: is_alive(pid), lambda alive: not alive)

    def test_comes_back_for_who_is_run_again(self) -> None:
        run = self.cluster.submit(scores())
        self.cluster.wait_for_run(run, "success")
        before = self.pid(run, "score[a]")
        self.cluster.chappe("retry", run, "score[a]", "--state-dir", str(self.cluster.state))
        self.cluster.wait_for_run(run, "success")
        self.assertNotEqual(self.pid(run, "score[a]"), before)


class Objects(unittest.TestCase):
    """Of the store in a directory: what lies beneath objects/."""

    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.cluster.start_worker("w1", "--cpus", "4")
        self.drop = self.cluster.state / "objects" / "objects" / "in"
        self.drop.mkdir(parents=True, exist_ok=True)

    def test_are_read_each_by_an_item_and_recorded_as_they_were(self) -> None:
        for name in ("a.csv", "b.csv"):
            (self.drop / name).write_text(f"text of {name}\n")
        run = self.cluster.submit("""
            name: parse
            tasks:
              - id: parse
                foreach: {s3_list: in/}
                inputs: {artifacts: [{name: raw, s3: "${{ item.key }}", path: raw.csv},
                                     {name: more, s3: in/none, path: more, optional: true}]}
                run: test ! -e more; cp raw.csv out
                outputs: {artifacts: [{name: out, path: out, asset: "parsed/${{ item.key }}"}]}
            """)
        self.cluster.wait_for_run(run, "success")
        inputs = self.cluster.task(run, "parse[in/a.csv]")["inputs"]
        self.assertEqual([each["name"] for each in inputs], ["raw"])
        self.assertEqual(inputs[0]["s3"], str(self.drop / "a.csv"))
        content = hashlib.sha256(b"text of a.csv\n").hexdigest()
        self.assertEqual(inputs[0]["sha256"], content)
        state = ("--state-dir", str(self.cluster.state))
        above = self.cluster.chappe("lineage", "parsed/in/a.csv", *state).stdout
        self.assertRegex(above, rf"└─ {self.drop}/a\.csv +14 B sha256:{content[:12]}")
        below = self.cluster.chappe("lineage", str(self.drop / "a.csv"), *state).stdout
        self.assertIn("parsed/in/a.csv version", below)
        self.assertNotIn("b.csv", below)

    def test_fail_the_attempt_where_they_are_not_there(self) -> None:
        run = self.cluster.submit("""
            name: parse
            tasks: [{id: parse, inputs: {artifacts: [{name: raw, s3: in/none, path: raw}]}, run: cat raw}]
            """)
        self.cluster.wait_for_run(run, "failed")
        self.assertEqual(self.cluster.attempts(run, "parse")[0][2], "artifact_io")


@unittest.skipIf(podman.missing(), f"SKIPPED: {podman.missing()}: no service was run in a container")
class InContainers(unittest.TestCase):
    """As processes have them: the machine's network is theirs."""

    def setUp(self) -> None:
        self.podman = Podman.of(self, "httpd", "wget")
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.worker = self.cluster.start_worker("w1", "--cpus", "4", "--container-socket", str(self.podman.socket))

    def served(self, service: str, *askers: str) -> str:
        """`askers`: the beginnings of tasks."""
        ask = """depends_on: [web], env: {WEB: "http://${{ tasks.web.outputs.address }}/up"}, run: 'wget -qO- "$WEB"'"""
        listed = "\n".join(f"  - {{{asker}, {ask}}}" for asker in askers)
        return self.cluster.submit(f"""
name: served
image: {IMAGE}
defaults: {{container: {{network: host}}}}
tasks:
  - id: web
    service: {service}
    run: sleep 0.5; echo served > up; touch ready; exec httpd -f -p "$CHAPPE_SERVICE_PORT"
{listed}
""")

    def test_a_container_serves_processes_and_containers_and_is_removed_after_them(self) -> None:
        for service in ("{ready: {http: /up}}", "{ready: {file: ready}}", "{}"):
            with self.subTest(service):
                run = self.served(service, "id: boxed", 'id: bare, image: ""')
                self.cluster.wait_for_run(run, "success")
                self.assertEqual({self.cluster.log(run, name) for name in ("boxed", "bare")}, {"served\n"})
                self.assertEqual(self.cluster.task(run, "web")["attempts"][0]["message"],
                                 "stopped: all that depend on it have ended")
                wait_until("containers to be gone", self.podman.containers, lambda left: left == [])


if __name__ == "__main__":
    unittest.main()
