"""Tasks that wait for data and for people, with a scheduler that is killed meanwhile."""

import http.server
import threading
import unittest
from typing import Any

from cluster import EXAMPLES, Answer, Cluster, wait_until


class Site:
    """A web server of the test: 404 until it is opened."""

    def __init__(self, test: unittest.TestCase) -> None:
        site = self
        self.status = 404
        self.asked = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked += 1
                self.send_response(site.status)
                self.send_header("ETag", '"v1"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_port}/data"


class Waits(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.files = self.cluster.directory / "in"
        self.files.mkdir()
        self.options = ("--wait-files", str(self.files))
        self.scheduler = self.cluster.start_scheduler(*self.options)
        self.cluster.start_worker()
        self.cluster.environment["CHAPPE_STATE_DIR"] = str(self.cluster.state)

    def restart(self) -> None:
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler(*self.options)

    def test_a_person_and_an_asset_after_a_kill(self) -> None:
        run = self.cluster.submit("""
            name: consumer
            tasks:
              - {id: source, wait: {asset: bronze/source}}
              - id: approve
                human: {prompt: "Go on?", form: {decision: {enum: [yes, no]}, factor: {type: number, default: 1.5}}}
              - id: use
                depends_on: [source, approve]
                inputs: {artifacts: [{name: data, path: data, asset: bronze/source}]}
                env:
                  DECISION: "${{ tasks.approve.outputs.decision }} ${{ tasks.approve.outputs.factor }}"
                  VERSION: "${{ tasks.source.outputs.version }}"
                run: echo "$(cat data) $DECISION $VERSION"
            """)
        self.cluster.wait_for_task(run, "source", "waiting")
        self.restart()
        self.assertEqual([one["task"] for one in self.cluster.get("/api/v1/questions")["items"]], ["approve"])
        self.assertIn("bronze/source", self.cluster.chappe("explain", run).stdout)
        self.assertIn("Go on?", self.cluster.chappe("human").stdout)
        self.cluster.chappe("human", "complete", run, "approve", "--set", "decision=maybe", code=2)
        self.cluster.chappe("human", "complete", run, "approve", "--set", "decision=yes", "--set", "factor=2")
        self.restart()
        self.cluster.chappe("human", "complete", run, "approve", "--set", "decision=yes", "--set", "factor=2")
        producer = self.cluster.submit("""
            name: producer
            tasks:
              - id: publish
                run: echo fresh > out
                outputs: {artifacts: [{name: out, path: out, asset: bronze/source}]}
            """)
        self.cluster.wait_for_run(producer, "success")
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.log(run, "use"), "fresh yes 2 1\n")
        self.cluster.chappe("human", "complete", run, "approve", "--set", "decision=no", code=1)
        self.assertIn("task.answer", self.cluster.chappe("audit").stdout)

    def test_objects_files_and_urls(self) -> None:
        site = Site(self)
        run = self.cluster.submit(f"""
            name: outside
            tasks:
              - {{id: key, wait: {{s3: in/day.csv, every: 1s}}}}
              - {{id: any, wait: {{s3: out/, every: 1s}}}}
              - {{id: file, wait: {{file: {self.files}/ready, every: 1s}}}}
              - {{id: url, wait: {{http: "{site.url}", every: 1s}}}}
              - {{id: astray, wait: {{file: /etc/hostname}}, allow_failure: true}}
              - {{id: cloud, wait: {{http: "http://169.254.169.254/latest/meta-data"}}, allow_failure: true}}
            """)
        self.assertIn("--wait-files", self.cluster.wait_for_task(run, "astray", "failed")["message"])
        self.assertIn("metadata", self.cluster.wait_for_task(run, "cloud", "failed")["message"])
        wait_until("a look at the site", lambda: site.asked)
        self.restart()
        wait_until("why it is not there", lambda: self.cluster.chappe("explain", run, "url").stdout, lambda t: "404" in t)
        for place, text in (("objects/objects/in/day.csv", "a;b"), ("objects/objects/out/1", "c")):
            (self.cluster.state / place).parent.mkdir(parents=True, exist_ok=True)
            (self.cluster.state / place).write_text(text)
        (self.files / "ready").write_text("d")
        site.status = 200
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.values(run, "key")["key"], "in/day.csv")
        self.assertEqual(self.cluster.values(run, "any")["key"], "out/1")
        self.assertEqual(self.cluster.values(run, "file")["size"], 1)
        self.assertEqual(self.cluster.values(run, "url")["etag"], '"v1"')

    def test_a_late_source_runs_the_estimate(self) -> None:
        self.cluster.chappe("run", str(EXAMPLES / "late_source.yaml"))
        expected = {"source": "skipped", "compute": "skipped", "estimate": "success", "publish": "success"}
        self.assertEqual(self.cluster.states("latest"), expected)
        self.assertIn("is late", self.scheduler.said())

    def test_approval(self) -> None:
        run = self.cluster.submit((EXAMPLES / "approval.yaml").read_text())
        self.cluster.wait_for_task(run, "approve", "waiting")
        with self.assertRaises(Answer) as refused:
            self.cluster.post(f"/api/v1/runs/{run}/tasks/approve/answer", {"answers": {"decison": "yes"}})
        self.assertIn("decision", str(refused.exception))
        self.cluster.post(f"/api/v1/runs/{run}/tasks/approve/answer", {"answers": {"decision": "yes"}})
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.cluster.log(run, "publish"), "published, says admin\n")


if __name__ == "__main__":
    unittest.main()
