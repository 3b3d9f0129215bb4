"""Checks of data on a real worker: what is measured, what is said, what is kept, and that nothing bad gets through."""

import gzip
import json
import shutil
import subprocess
import unittest

from cluster import EXAMPLES, Cluster

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
        self.cluster = Cluster(self)
        self.cluster.start_scheduler()
        self.cluster.start_worker("w1")

    def run_dag(self, text: str, file: bytes | str, **params: object) -> dict[str, dict]:
        path = self.cluster.directory / "source"
        path.write_bytes(file if isinstance(file, bytes) else file.encode())
        self.last = self.cluster.submit(text, file=str(path), **params)
        self.cluster.wait_end(self.last)
        return {task["id"]: task for task in self.cluster.show(self.last)["tasks"]}

    def test_good_rows_pass_and_leave_their_figures(self) -> None:
        tasks = self.run_dag(DAG, GOOD)
        self.assertEqual({name: task["state"] for name, task in tasks.items()},
                         dict.fromkeys(("ingest", "quality", "publish"), "success"))
        shown = json.dumps(self.cluster.show(self.last))
        for figure in ("age_max", "age_median", "name_nulls"):
            self.assertIn(figure, shown)

    def test_bad_rows_are_told_by_figure_and_line_and_never_by_value(self) -> None:
        tasks = self.run_dag(DAG, BAD)
        self.assertEqual((tasks["quality"]["state"], tasks["quality"]["reason"]), ("failed", "check_failed"))
        self.assertEqual(tasks["publish"]["state"], "upstream_failed")
        message = tasks["quality"]["message"]
        self.assertIn("3 of 8 expectations fail: ingest.rows: id: 2 values were there before, the first in line 500",
                      message)
        self.assertIn("max of age 999 is over 120 (3 values are, the first in line 2)", message)
        self.assertIn("nulls of name 0.1 is over 0.01", message)
        log = self.cluster.chappe("--state-dir", str(self.cluster.state), "logs", self.last, "quality").stdout
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
        cluster = Cluster(self)
        file = str(EXAMPLES / "quality.yaml")
        home = ("--state-dir", str(cluster.state))

        def run(source: str, code: int) -> dict:
            out = cluster.chappe(*home, "run", file, "--param", f"source={source}", "--output", "json", code=code).stdout
            return json.loads(out)

        run("good", 0)   # There is no baseline yet.
        run("good", 0)
        text = json.dumps(run("shifted", 3))
        self.assertIn("psi of age", text)
        self.assertIn("ingest.rows against asset:income@champion", text)
        run("good", 0)   # What failed is no baseline.


@unittest.skipUnless(shutil.which("Rscript"), "R is not installed")
class BesideR(unittest.TestCase):
    def test_the_test_of_kolmogorov_and_smirnov_is_rs(self) -> None:
        script = "a <- ((0:299*7919) %% 1000)/10; b <- ((0:249*6007) %% 997)/12+5; cat(ks.test(a, b, exact=FALSE)$p.value)"
        said = subprocess.run(["Rscript", "-e", script], check=True, capture_output=True, text=True).stdout
        self.assertAlmostEqual(float(said), 0.031576515865046055, places=6)
