"""Checks of data on a real worker: what is measured, what is said, what is kept, and that nothing bad gets through."""

import gzip
import json
import unittest

from cluster import EXAMPLES, Cluster, wait_until

HEAD = "id,age,name\n"
GOOD = HEAD + "".join(f"{i},{20 + i % 50},person {i}\n" for i in range(500))
# Two ids stand twice, three ages cannot be, a tenth of the names is missing.
BAD = HEAD + "".join(f"{i % 498},{999 if i < 3 else 30},{'' if i % 10 == 0 else 'Jeanne'}\n" for i in range(500))

DAG = """
name: checked
params: {file: {type: string}, min: {type: integer, default: 1}}
tasks:
  - id: ingest
    env: {FILE: "${{ params.file }}"}
    run: cp "$FILE" "rows.csv"; echo 7 > n
    outputs:
      artifacts: [{name: rows, path: rows.csv}]
      metrics: {n: {file: n}}
  - id: quality
    check:
      metric: {expr: tasks.ingest.outputs.n >= params.min}
      data:
        from: ingest.rows
        rows: {min: 100}
        columns:
          id: {unique: true, type: integer}
          age: {min: 0, max: 120, median: {min: 20, max: 60}}
          name: {nulls: 0.01}
  - {id: publish, depends_on: [quality], run: "true", env: {ROWS: "${{ tasks.quality.outputs.rows }}"}}
"""


class DataChecks(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.cluster.start_scheduler()
        self.cluster.start_worker("w1")

    def run_dag(self, text: str, file: bytes | str, **params: object) -> dict[str, dict]:
        """The task instances when all is over."""
        path = self.cluster.directory / "source"
        path.write_bytes(file if isinstance(file, bytes) else file.encode())
        self.last = self.cluster.submit(text, file=str(path), **params)
        wait_until("the run to end", lambda: self.cluster.run(self.last), lambda run: run["state"] in ("success", "failed"))
        return self.cluster.tasks(self.last)

    def test_good_rows_pass_and_leave_their_figures(self) -> None:
        tasks = self.run_dag(DAG, GOOD)
        self.assertEqual({name: task["state"] for name, task in tasks.items()},
                         dict.fromkeys(("ingest", "quality", "publish"), "success"))
        values = self.cluster.values(self.last, "quality")
        figures = values.pop("figures")
        self.assertEqual(values, {"rows": 500, "age_min": 20, "age_max": 69, "age_median": 44.5, "name_nulls": 0})
        self.assertEqual([source["source"] for source in figures["sources"]], ["ingest.rows"])
        self.assertEqual(len(figures["sources"][0]["sha256"]), 64)
        self.assertIn({"source": "ingest.rows", "holds": True, "text": "rows 500 (at least 100)", "metric": "rows",
                       "value": 500, "min": 100}, figures["measured"])

    def test_bad_rows_are_told_by_figure_and_line_and_never_by_value(self) -> None:
        tasks = self.run_dag(DAG, BAD)
        self.assertEqual((tasks["quality"]["state"], tasks["quality"]["reason"]), ("failed", "check_failed"))
        self.assertEqual(tasks["publish"]["state"], "upstream_failed")
        message = tasks["quality"]["message"]
        self.assertIn("3 of 8 expectations fail: ingest.rows: id: 2 values were there before, the first in line 500",
                      message)
        self.assertIn("max of age 999 is over 120 (3 values are, the first in line 2)", message)
        self.assertIn("nulls of name 0.1 is over 0.01", message)
        log = self.cluster.log(self.last, "quality")
        self.assertIn("ok    ingest.rows: rows 500 (at least 100)", log)
        self.assertIn("SHA-256", log)
        self.assertNotIn("Jeanne", log + message)

    def test_gzip_is_unpacked_whatever_the_name(self) -> None:
        self.assertEqual(self.run_dag(DAG, gzip.compress(GOOD.encode()))["quality"]["state"], "success")

    def test_what_is_no_table_is_told_with_its_line(self) -> None:
        tasks = self.run_dag(DAG, GOOD + "1,2\n")
        self.assertEqual(tasks["quality"]["message"],
                         "ingest.rows: it is no csv: line 502: the row has 2 fields, and the first one has 3")

    def test_a_false_condition_reads_nothing(self) -> None:
        tasks = self.run_dag(DAG, "no table\n\"", min=8)
        self.assertEqual(tasks["quality"]["reason"], "check_failed")
        self.assertIn("tasks.ingest.outputs.n is 7", tasks["quality"]["message"])

    def test_an_output_that_breaks_its_schema_is_never_read(self) -> None:
        dag = DAG.replace("path: rows.csv}", "path: rows.csv, schema: {columns: {name: {nulls: 0}}}}")
        tasks = self.run_dag(dag, BAD)
        self.assertEqual((tasks["ingest"]["state"], tasks["ingest"]["reason"]), ("failed", "invalid_output"))
        self.assertEqual(tasks["ingest"]["message"], "output 'rows': nulls of name 0.1 is over 0")
        self.assertEqual(tasks["quality"]["state"], "upstream_failed")


class Drift(unittest.TestCase):
    def test_the_baseline_is_the_version_that_passed_last(self) -> None:
        cluster = Cluster.of(self)

        def run(source: str, code: int) -> dict[str, dict]:
            cluster.chappe("run", str(EXAMPLES / "quality.yaml"), "--param", f"source={source}", code=code)
            shown = json.loads(cluster.chappe("show", "latest", "--output", "json").stdout)
            return {task["name"]: task for task in shown["tasks"]}

        first = run("good", 0)["check"]  # There is no baseline yet.
        self.assertEqual(first["state"], "success")
        run("good", 0)
        message = run("shifted", 3)["check"]["message"]
        self.assertIn("ingest.rows against asset:income@champion: psi of age", message)
        self.assertIn("; 2000 values against 2000 in 10 cells", message)
        self.assertEqual(run("broken", 3)["check"]["reason"], "check_failed")
        self.assertEqual(run("renamed", 3)["ingest"]["reason"], "invalid_output")
        self.assertEqual(run("good", 0)["publish"]["state"], "success")  # What failed is no baseline.

    def test_the_example_tests_itself(self) -> None:
        said = Cluster.of(self).chappe("test", str(EXAMPLES / "quality.yaml")).stdout
        self.assertIn("5 passed, 0 failed", said)
