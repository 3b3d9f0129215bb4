"""What starts runs besides time and people: each event starts one run, whatever happens to the daemon."""

import json
import unittest

from cluster import Cluster, wait_until

SOURCE = """
name: source
tasks:
  - id: t
    run: date +%s%N > rows
    outputs: {artifacts: [{name: rows, path: rows, asset: bronze/rows}]}
"""
EACH = """
name: each
params: {version: {type: integer, required: true}}
triggers: [{asset: bronze/rows, mode: each, params: {version: "${{ event.version }}"}}]
tasks: [{id: t, noop: true}]
"""
COLLAPSE = """
name: collapse
triggers: [{dag: source}]
tasks: [{id: t, env: {EVENTS: "${{ to_json(run.events) }}"}, run: 'echo "$EVENTS"; sleep 0.3'}]
"""


class Triggers(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()

    def chappe(self, *arguments: str, code: int = 0):
        return self.cluster.chappe(*arguments, "--state-dir", str(self.cluster.state), code=code)

    def deploy(self, *texts: str) -> str:
        files = []
        for number, text in enumerate(texts):
            path = self.cluster.directory / f"dag{number}.yaml"
            path.write_text(text)
            files.append(str(path))
        return self.chappe("deploy", *files).stdout

    def runs(self, dag: str) -> list[dict]:
        listed = json.loads(self.chappe("runs", "--limit", "1000", "--output", "json").stdout)["items"]
        return [self.cluster.get(f"/api/v1/runs/{run['id']}") for run in listed if run["dag"] == dag]

    def taken(self, dag: str, what: str) -> list:
        """What the events of all runs of the DAG name, in order."""
        return sorted(event["detail"][what] for run in self.runs(dag) for event in run["events"])

    def dag(self, name: str) -> dict:
        return self.cluster.get(f"/api/v1/dags/{name}")

    def test_each_version_and_each_end_is_taken_once_though_the_scheduler_is_killed_again_and_again(self) -> None:
        told = self.deploy(SOURCE, EACH, COLLAPSE)
        self.assertIn("each: new, starts on asset bronze/rows", told)
        self.assertIn("source starts collapse (dag source)\nsource starts each (asset bronze/rows)\n", told)
        started = 0
        for kill in range(4):
            for _ in range(4):
                self.chappe("trigger", "source")
                started += 1
            before = started - 4
            wait_until("some events", lambda: len(self.taken("each", "version")), lambda count: count > before)
            self.scheduler.kill()
            self.scheduler = self.cluster.start_scheduler()
        wait_until("all versions", lambda: len(self.taken("each", "version")), lambda count: count == started)
        self.assertEqual(self.taken("each", "version"), list(range(1, started + 1)), "each once")
        self.assertEqual(sorted(run["params"]["version"] for run in self.runs("each")), list(range(1, started + 1)))
        sources = sorted(run["id"] for run in self.runs("source"))
        wait_until("all ends", lambda: self.taken("collapse", "run"), lambda taken: taken == sources)
        self.assertLessEqual(len(self.runs("collapse")), started, "several collapse into one")

    def test_the_reason_why_a_dag_has_not_started_is_told(self) -> None:
        self.deploy(SOURCE, "{name: both, triggers: [{asset: {all: [bronze/rows, bronze/prices]}}], tasks: [{id: t, noop: true}]}")
        self.assertIn("both waits for asset bronze/rows and asset bronze/prices\n", self.chappe("dags").stdout)
        self.chappe("trigger", "source", "--wait")
        waits = "asset bronze/prices; there is asset bronze/rows"
        wait_until("the event", lambda: self.dag("both")["waits_for"], lambda text: text == waits)
        self.assertEqual(self.runs("both"), [])

    def test_a_run_shows_what_started_it(self) -> None:
        self.deploy(SOURCE, EACH)
        self.chappe("trigger", "source", "--wait")
        wait_until("the run", lambda: self.runs("each"))
        shown = self.chappe("show", self.runs("each")[0]["id"]).stdout
        self.assertIn("started by    asset bronze/rows (version 1)", shown)


if __name__ == "__main__":
    unittest.main()
