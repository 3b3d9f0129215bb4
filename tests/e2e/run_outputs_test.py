"""What runs publish, and the places that they share, with the real daemons: as people and programs see it."""

import json
import unittest

from cluster import Cluster, Gate, wait_until

TRAIN = """
name: train
params: {rate: {type: number, default: 0.5}, key: {type: string, secret: true}}
outputs:
  values: {auc: "${{ tasks.fit.outputs.auc }}", note: "${{ tasks.note.outputs.text }}"}
  artifacts: {model: fit.model}
tasks:
  - id: fit
    env: {RATE: "${{ params.rate }}", KEY: "${{ params.key }}"}
    run: |
      test "${KEY:-hidden}" = hidden
      echo "$RATE" > auc.json
      echo "a model of $RATE" > model.txt
    outputs: {values: {auc: {json: auc.json}}, artifacts: [{name: model, path: model.txt}]}
  - {id: note, when: "${{ params.rate > 1 }}", run: echo hi > text, outputs: {values: {text: {file: text}}}}
"""

ABOVE = """
name: above
tasks:
  - {id: train, dag: {name: train, params: {rate: 0.75}, outputs: {auc: auc}, artifacts: {model: model}}}
  - id: use
    depends_on: [train]
    env: {AUC: "${{ tasks.train.outputs.auc }}"}
    inputs: {artifacts: [{name: model, from: train.model, path: in/model.txt}]}
    run: test "$AUC $(cat in/model.txt)" = "0.75 a model of 0.75"
"""

SHARED = """
name: {name}
params: {{site: {{type: string, required: true}}}}
concurrency: {{group: "site_${{{{ params.site }}}}"}}
tasks: [{{id: a, run: '{run}'}}]
"""


class RunOutputs(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)

    def file(self, text: str, name: str = "dag.yaml") -> str:
        path = self.cluster.directory / name
        path.write_text(text)
        return str(path)

    def test_a_run_on_one_machine_prints_what_it_publishes(self) -> None:
        told = self.cluster.chappe("run", self.file(TRAIN), "--param", "rate=0.25", "--param", "key=hidden").stdout
        self.assertIn("\nOutputs\n  auc = 0.25\n  model is model of fit: 16 B, sha256 ", told)
        self.assertIn("  note is absent: tasks.note.outputs.text is absent\n", told)
        shown = self.cluster.chappe("show", "latest").stdout
        self.assertIn("  auc = 0.25\n", shown)
        outputs = json.loads(self.cluster.chappe("show", "latest", "--output", "json").stdout)["outputs"]
        self.assertEqual(outputs["values"], {"auc": 0.25})
        model = outputs["artifacts"]["model"]
        self.assertEqual((model["task"], model["size_bytes"]), ("fit", 16))
        self.assertEqual(list(outputs["absent"]), ["note"])
        self.assertNotIn("hidden", json.dumps(outputs))

    def test_a_dag_above_takes_them_by_name(self) -> None:
        scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        run = self.cluster.submit(TRAIN)
        self.cluster.wait_for_run(run, "success")
        scheduler.kill()
        self.cluster.start_scheduler()
        self.assertEqual(self.cluster.run(run)["outputs"]["values"], {"auc": 0.5})
        above = self.cluster.submit(ABOVE)
        self.cluster.wait_for_run(above, "success")
        self.assertIsNone(self.cluster.run(above)["outputs"])

    def test_runs_of_two_dags_share_the_places_of_a_group(self) -> None:
        scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        gate = Gate(self.cluster)
        first = self.cluster.submit(SHARED.format(name="first", run=gate.wait_for_it), site="north")
        gate.reached()
        second = self.cluster.submit(SHARED.format(name="second", run="true"), site="north")
        other = self.cluster.submit(SHARED.format(name="second", run="true"), site="south")
        self.cluster.wait_for_run(other, "success")
        shown = self.cluster.run(second)
        self.assertEqual((shown["state"], shown["group"]), ("queued", "site_north"))
        options = ("--state-dir", str(self.cluster.state))
        waits = f"a place in group 'site_north': run {first} of first has one; max_runs of second is 1"
        self.assertIn(waits, self.cluster.chappe("explain", second, *options).stdout)
        scheduler.kill()
        self.cluster.start_scheduler()
        wait_until("it waits still", lambda: self.cluster.chappe("explain", second, *options).stdout,
                   lambda told: waits in told)
        self.assertRegex(self.cluster.chappe("show", second, *options).stdout, r"(?m)^group +site_north$")
        gate.open()
        self.cluster.wait_for_run(first, "success")
        self.cluster.wait_for_run(second, "success")

    def test_a_group_without_a_name_is_refused(self) -> None:
        file = self.file(SHARED.format(name="first", run="true").replace("site_$", "$"))
        refused = self.cluster.chappe("run", file, "--param", "site=", code=2)
        self.assertIn("concurrency.group: it is empty, and a group needs a name", refused.stderr)


if __name__ == "__main__":
    unittest.main()
