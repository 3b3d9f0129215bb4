"""What Prometheus reads: checked by its own tool, and read by itself."""

import json
import re
import shutil
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request

from cluster import ROOT, Cluster, Daemon, free_port, wait_until

DAG = """
name: measured
tasks:
  - {id: good, run: "echo hello > out.txt", outputs: {artifacts: [{name: o, path: out.txt}]}}
  - {id: bad, run: "exit 3", allow_failure: true}
  - {id: late, depends_on: [good], run: "cat in.txt", inputs: {artifacts: [{name: o, from: good.o, path: in.txt}]}}
"""
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"


def value_of(text: str, metric: str) -> float:
    found = re.search(rf"^{re.escape(metric)} (\S+)$", text, re.M)
    if found is None:
        raise AssertionError(f"{metric} is not in:\n{text}")
    return float(found[1])


@unittest.skipIf(shutil.which("promtool") is None, "SKIPPED: no promtool: metrics were not checked")
class Metrics(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.worker_port = free_port()
        self.cluster.start_worker("w1", "--metrics-listen", f"127.0.0.1:{self.worker_port}")
        run = self.cluster.submit(DAG)
        self.cluster.wait_for_run(run, "success")

    def of_scheduler(self) -> str:
        return self.cluster.call("GET", "/metrics").decode()

    def of_worker(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.worker_port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def test_its_own_tool_finds_no_fault(self) -> None:
        for text in (self.of_scheduler(), self.of_worker()):
            told = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            self.assertEqual((told.returncode, told.stderr), (0, ""), text)

    def test_they_count_what_happened(self) -> None:
        text = self.of_scheduler()
        self.assertEqual(value_of(text, 'chappe_attempts_ended_total{reason="success"}'), 2)
        self.assertEqual(value_of(text, 'chappe_attempts_ended_total{reason="exit_code"}'), 1)
        self.assertEqual(value_of(text, 'chappe_runs_ended_total{dag="measured",state="success"}'), 1)
        self.assertEqual(value_of(text, 'chappe_workers{state="ready"}'), 1)
        self.assertEqual(value_of(text, 'chappe_tasks_waiting{reason="worker"}'), 0)
        self.assertGreater(value_of(text, "chappe_commit_seconds_count"), 0)
        worker = self.of_worker()
        self.assertEqual(value_of(worker, 'chappe_worker_attempts_ended_total{reason="success"}'), 2)
        self.assertEqual(value_of(worker, "chappe_worker_output_bytes_total"), len("hello\n"))
        self.assertGreater(value_of(worker, 'chappe_object_store_requests_total{operation="write",result="ok"}'), 0)

    def test_a_stranger_does_not_read_them(self) -> None:
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(self.cluster.url() + "/metrics", timeout=10)
        self.assertEqual(refused.exception.code, 401)

    def test_a_real_prometheus_scrapes_them_and_takes_the_alert_rules(self) -> None:
        directory = self.cluster.directory / "prometheus"
        directory.mkdir()
        api = urllib.parse.urlsplit(self.cluster.url())
        (directory / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
rule_files: [{RULES}]
scrape_configs:
  - job_name: chappe
    authorization: {{credentials_file: {self.cluster.state}/token}}
    static_configs: [{{targets: ["{api.netloc}"]}}]
  - job_name: chappe-worker
    static_configs: [{{targets: ["127.0.0.1:{self.worker_port}"]}}]
""")
        port = free_port()
        command = ["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
                   f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        prometheus = Daemon("prometheus", command, self.cluster.directory / "prometheus.log", {})
        self.addCleanup(prometheus.kill)

        def ask(query: str) -> list[dict[str, object]]:
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return json.load(answer)["data"]["result"]
            except OSError:
                return []

        wait_until("both to be scraped", lambda: ask("sum(up) == 2"))
        ended = wait_until("a sample", lambda: ask('chappe_runs_ended_total{dag="measured"}'))
        self.assertEqual(ended[0]["value"][1], "1")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/rules", timeout=10) as answer:
            groups = json.load(answer)["data"]["groups"]
        self.assertGreater(sum(len(group["rules"]) for group in groups), 5)


class AlertsAndDashboard(unittest.TestCase):
    @unittest.skipIf(shutil.which("promtool") is None, "SKIPPED: no promtool: alert rules were not checked")
    def test_the_rules_are_well_formed_and_their_tests_pass(self) -> None:
        for command in (["promtool", "check", "rules", str(RULES)],
                        ["promtool", "test", "rules", str(RULES.with_name("alerts_test.yaml"))]):
            told = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(told.returncode, 0, told.stdout + told.stderr)

    def test_rules_and_dashboard_name_metrics_that_there_are(self) -> None:
        cluster = Cluster.of(self)
        cluster.start_scheduler()
        port = free_port()
        cluster.start_worker("w1", "--metrics-listen", f"127.0.0.1:{port}")
        run = cluster.submit("{name: d, tasks: [{id: t, run: 'true', pool: p}]}")
        cluster.wait_for_run(run, "success")
        told = cluster.call("GET", "/metrics").decode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            told += answer.read().decode()
        known = set(re.findall(r"^(chappe_\w+)", told, re.M))
        dashboard = ROOT / "deploy" / "grafana" / "chappe.json"
        for file in (RULES, dashboard):
            named = set(re.findall(r"\bchappe_[a-z_]+", file.read_text()))
            self.assertTrue(named, file)
            self.assertEqual(named - known, set(), file)
