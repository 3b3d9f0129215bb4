"""Settings from a file: what holds, where it is from, and what changes while the scheduler runs."""

import json
import signal
import subprocess
import unittest

from cluster import Cluster, Gate, chappe_binary, wait_until


class Configuration(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.file = self.cluster.directory / "chappe.yaml"
        self.environment = {"CHAPPE_CONFIG": str(self.file)}

    def start(self, text: str) -> None:
        self.file.write_text(text)
        self.scheduler = self.cluster.start_scheduler(environment=self.environment)

    def reload(self, text: str, news: str) -> None:
        self.file.write_text(text)
        before = self.scheduler.said().count(news)
        self.scheduler.process.send_signal(signal.SIGHUP)
        wait_until(news, lambda: self.scheduler.said().count(news) > before)

    def test_a_pool_grows_while_the_scheduler_runs(self) -> None:
        self.start("scheduler: {pool: {db: 1}}")
        self.cluster.start_worker("w1", "--cpus", "4")
        gate = Gate(self.cluster)
        run = self.cluster.submit(f"""
name: pooled
tasks: [{{id: t, pool: db, foreach: {{items: [a, b]}}, run: "{gate.wait_for_it}"}}]
""")
        gate.reached()
        self.assertEqual(gate.count(), 1)
        shown = self.cluster.chappe("workers", "--state-dir", str(self.cluster.state)).stdout
        self.assertRegex(shown, r"POOL +SLOTS +TAKEN +WAITING\ndb +1 +1 +1\n")
        self.reload("scheduler: {pool: {db: 2}, lease: 30s}", "as their files say now")
        gate.reached(2)
        self.assertIn("scheduler.lease changes at the next start", self.scheduler.said())
        gate.open()
        self.cluster.wait_for_run(run, "success")

    def test_a_file_with_a_mistake_changes_nothing(self) -> None:
        self.start("scheduler: {pool: {db: 1}}")
        self.reload("scheduler: {pol: {db: 2}}", "settings stay as they are")
        self.assertIn(f"{self.file}:1:13: there is no setting 'pol'; did you mean 'pool'?", self.scheduler.said())
        self.reload("scheduler: {pool: {db: none}}", "settings stay as they are")
        self.assertTrue(self.scheduler.running())

    def test_a_worker_is_let_in_while_the_scheduler_runs(self) -> None:
        self.start("")
        made = self.cluster.chappe("worker-key", "new", "--directory", str(self.cluster.directory)).stdout
        key = self.cluster.directory / "new.key"
        worker = self.cluster.start_worker("w1", "--key-file", str(key))
        wait_until("it to be refused", lambda: "does not know this worker's key" in worker.said())
        with (self.cluster.state / "keys" / "authorized_workers").open("a") as file:
            file.write(made)
        self.reload("", "as their files say now")
        self.cluster.wait_for_run(self.cluster.submit("{name: d, tasks: [{id: t, run: 'true'}]}"), "success")

    def test_it_says_what_holds_and_where_it_is_from(self) -> None:
        self.file.write_text("object_store: file:///files\nscheduler:\n  listen: 127.0.0.1:1\nworker: {name: filed}\n")
        self.cluster.environment |= self.environment | {"CHAPPE_WORKER_NAME": "environed"}
        told = self.cluster.chappe("config", "show", "--origin", "--output", "json", "--object-store", "file:///given")
        origins = {item["setting"]: (item["value"], item["origin"]) for item in json.loads(told.stdout)["items"]}
        self.assertEqual(origins["object_store"], ("file:///given", "option"))
        self.assertEqual(origins["scheduler.listen"], ("127.0.0.1:1", f"{self.file}:3"))
        self.assertEqual(origins["worker.name"], ("environed", "CHAPPE_WORKER_NAME"))
        self.assertEqual(origins["scheduler.lease"], ("", "default"))

    def test_a_mistake_in_the_file_keeps_a_daemon_from_starting(self) -> None:
        self.file.write_text("worker: {nmae: w}\nstandalone: {worker_listen: x}\n")
        command = [chappe_binary(), "--config", str(self.file), "worker"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(told.returncode, 2)
        self.assertEqual(
            told.stderr,
            f"chappe: {self.file}:1:10: there is no setting 'nmae'; did you mean 'name'?\n"
            f"chappe: {self.file}:2:14: 'worker_listen' belongs in the section 'scheduler'\n",
        )
