"""Calls from outside start runs: once a delivery, whatever happens to the scheduler, and only for who has the secret."""

import hashlib
import hmac
import json
import threading
import unittest
import urllib.error
import urllib.request
from typing import Any

from cluster import EXAMPLES, Cluster, wait_until

BUILD = """
name: build
params: {ref: {type: string, max_length: 20, default: main}}
triggers: [{webhook: push, mode: each, params: {ref: "${{ event.body.ref }}"}}]
concurrency: {max_runs: 100}
tasks: [{id: t, env: {REF: "${{ params.ref }}", EVENTS: "${{ to_json(run.events) }}"}, run: 'echo "$REF $EVENTS"'}]
"""


class Webhooks(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        self.deploy(BUILD)

    def chappe(self, *arguments: str, code: int = 0) -> str:
        return self.cluster.chappe(*arguments, "--state-dir", str(self.cluster.state), code=code).stdout

    def deploy(self, text: str) -> None:
        path = self.cluster.directory / "dag.yaml"
        path.write_text(text)
        self.chappe("deploy", str(path))

    def webhook(self, dag: str = "build") -> dict[str, str]:
        (listed,) = json.loads(self.chappe("webhooks", dag, "--output", "json"))["items"]
        return listed

    def call(self, body: Any, delivery: str = "", secret: str = "", sign: bool = True) -> tuple[int, dict[str, Any]]:
        """The status and the answer; -1 where there was none."""
        hook = self.webhook()
        secret = secret or hook["secret"]
        data = json.dumps(body).encode()
        try:
            url = self.cluster.url()
        except KeyError:
            return -1, {}  # Nobody serves now.
        request = urllib.request.Request(url + hook["path"], data=data, method="POST")
        if sign:
            digest = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
            request.add_header("X-Hub-Signature-256", f"sha256={digest}")
        else:
            request.add_header("Authorization", f"Bearer {secret}")
        if delivery:
            request.add_header("X-GitHub-Delivery", delivery)
        request.add_header("X-GitHub-Event", "push")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except (OSError, ValueError):
            return -1, {}

    def runs(self) -> list[dict[str, Any]]:
        return self.cluster.get("/api/v1/runs?limit=1000")["items"]

    def test_a_delivery_starts_one_run_and_the_second_time_is_told_of_it(self) -> None:
        status, told = self.call({"ref": "main"}, "d-1")
        self.assertEqual((status, told["state"]), (202, "started"))
        self.cluster.wait_for_run(told["run"], "success")
        self.assertEqual(self.call({"ref": "main"}, "d-1"), (200, {**told, "state": "duplicate"}))
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler()
        self.assertEqual(self.call({"ref": "main"}, "d-1", sign=False), (200, {**told, "state": "duplicate"}))
        self.assertEqual(len(self.runs()), 1)
        (event,) = self.cluster.get(f"/api/v1/runs/{told['run']}")["events"]
        self.assertEqual(event["detail"], {"kind": "webhook", "webhook": "push", "delivery": "d-1", "type": "push",
                                           "called_by": "webhook build/push", "body": {"ref": "main"}})
        self.assertTrue(self.cluster.log(told["run"], "t").startswith("main [{"))
        self.assertIn("started by    webhook push (delivery d-1)", self.chappe("show", told["run"]))

    def test_callers_that_ask_again_until_they_are_answered_get_one_run_each_though_the_scheduler_is_killed(self) -> None:
        hook = self.webhook()
        self.webhook = lambda dag="build": hook  # It stays the same, and nobody serves it now and then.
        told: dict[str, str] = {}

        def deliver(delivery: str) -> None:
            def once() -> bool:
                status, answer = self.call({"ref": delivery}, delivery)
                if status in (200, 202) and answer["run"]:
                    told[delivery] = answer["run"]
                return delivery in told

            wait_until(f"an answer to {delivery}", once)

        callers = [threading.Thread(target=deliver, args=(f"d-{number}",)) for number in range(24)]
        for number, caller in enumerate(callers):
            caller.start()
            if number % 6 == 5:
                self.scheduler.kill()
                self.scheduler = self.cluster.start_scheduler()
        for caller in callers:
            caller.join()
        self.assertEqual(len(told), 24)
        self.assertEqual(len(set(told.values())), 24)
        self.assertEqual({run["id"] for run in self.runs()}, set(told.values()))

    def test_who_has_not_the_secret_is_not_let_in_and_what_does_not_fit_is_told(self) -> None:
        self.assertEqual(self.call({"ref": "main"}, secret="0" * 64)[0], 401)
        self.assertEqual(self.call({"ref": "main"}, secret="0" * 64, sign=False)[0], 401)
        status, told = self.call({"ref": "x" * 21}, "d-1")
        self.assertEqual(status, 422)
        self.assertIn("ref", told["detail"])
        self.assertEqual(self.runs(), [])
        self.assertEqual(self.call({"ref": "x"}, "d-1")[0], 202, "it was not taken before")

    def test_the_example(self) -> None:
        self.chappe("deploy", str(EXAMPLES / "on_push.yaml"))
        secret = self.webhook("on_push")["secret"]
        self.assertNotEqual(secret, self.webhook("build")["secret"])
        self.assertIn("/api/v1/dags/on_push/webhooks/push", self.chappe("webhooks", "on_push"))
        self.webhook = lambda dag="on_push", hook=self.webhook("on_push"): hook
        status, told = self.call({"ref": "refs/heads/main", "after": "abc"}, "d-1")
        self.assertEqual(status, 202)
        self.cluster.wait_for_run(told["run"], "success")
        self.assertEqual(self.cluster.log(told["run"], "train"), "training with abc\n")


if __name__ == "__main__":
    unittest.main()
