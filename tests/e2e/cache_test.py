"""Results that are used again, with the real daemons: what ran is what is in a ledger that the tasks write themselves."""

import json
import unittest

from cluster import Cluster


class Cache(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        self.ledger = self.cluster.directory / "ledger"

    def dag(self, rows: int = 3) -> str:
        return f"""
            name: cached
            tasks:
              - id: fetch
                run: |
                  seq {rows} > rows
                  echo fetch >> {self.ledger}
                outputs: {{artifacts: [{{name: rows, path: rows}}]}}
              - id: fit
                cache: auto
                inputs: {{artifacts: [{{name: rows, from: fetch.rows, path: rows}}]}}
                run: |
                  wc -l < rows > n
                  cp rows model
                  echo fit >> {self.ledger}
                outputs: {{artifacts: [{{name: model, path: model}}], values: {{n: {{json: n}}}}}}
              - id: use
                inputs: {{artifacts: [{{name: model, from: fit.model, path: model}}]}}
                env: {{N: "${{{{ tasks.fit.outputs.n }}}}"}}
                run: test "$(wc -l < model)" -eq "$N"
            """

    def run_it(self, rows: int = 3, **body: object) -> str:
        run = self.cluster.post("/api/v1/runs", {"dag_yaml": self.dag(rows), **body})["id"]
        self.cluster.wait_for_run(run, "success")
        return run

    def ran(self, task: str) -> int:
        return self.ledger.read_text().split().count(task)

    def cache_of(self, run: str) -> dict[str, object]:
        (told,) = self.cluster.get(f"/api/v1/runs/{run}/explain?task=fit")["cache"]
        return told

    def test_a_run_of_the_same_uses_what_was_made_and_says_so(self) -> None:
        first = self.run_it()
        second = self.run_it()
        self.assertEqual((self.ran("fetch"), self.ran("fit")), (2, 1))
        made = self.cluster.task(first, "fit")["outputs"][0]
        used = self.cluster.task(second, "fit")["outputs"][0]
        self.assertEqual((used["object"], used["made_by_attempt"]), (made["object"], made["attempt"]))
        self.assertEqual(self.cluster.task(second, "use")["inputs"][0]["producer_attempt"], made["attempt"])
        told = self.cache_of(second)
        self.assertEqual((told["hit"], told["from_attempt"]), (True, made["attempt"]))
        self.run_it(rows=4)
        self.assertEqual(self.ran("fit"), 2)
        told = self.cluster.chappe("--state-dir", str(self.cluster.state), "explain", "latest", "fit").stdout
        self.assertIn("differs in inputs.rows", told)

    def test_results_outlive_the_scheduler_and_are_made_anew_when_asked_for(self) -> None:
        self.run_it()
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler()
        self.run_it()
        self.assertEqual(self.ran("fit"), 1)
        self.run_it(no_cache=True)
        self.assertEqual(self.ran("fit"), 2)
        run = self.run_it()
        self.assertEqual(self.ran("fit"), 2)
        self.cluster.post(f"/api/v1/runs/{run}/retry", {"tasks": ["fit"]})
        self.cluster.wait_for_run(run, "success")
        self.assertEqual(self.ran("fit"), 3)

    def test_a_result_whose_object_is_gone_is_made_again(self) -> None:
        first = self.run_it()
        key = self.cluster.task(first, "fit")["outputs"][0]["object"]
        (object_file,) = (self.cluster.state / "objects").rglob(key)
        object_file.unlink()
        second = self.run_it()
        self.assertEqual(self.ran("fit"), 2)
        self.assertIn("is gone", json.dumps(self.cache_of(second)))
        self.run_it()
        self.assertEqual(self.ran("fit"), 2)


if __name__ == "__main__":
    unittest.main()
