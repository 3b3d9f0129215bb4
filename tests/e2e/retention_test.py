"""Artifacts that go when they have been kept for as long as their DAG says, with the real daemons."""

import json
import unittest

from cluster import Answer, Cluster, wait_until


class Retention(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster.of(self)
        self.scheduler = self.cluster.start_scheduler()
        self.cluster.start_worker()
        self.objects = self.cluster.state / "objects" / "objects"

    def dag(self, retention: str, more: str = "") -> str:
        return f"""
            name: kept
            artifacts: {{retention: {{{retention}}}}}
            params: {{exit: {{type: integer, default: 0}}}}
            tasks:
              - id: make
                cache: {{scope: dag}}
                run: |
                  echo rows > rows
                  echo scratch > scratch
                  echo model > model
                outputs:
                  artifacts:
                    - {{name: rows, path: rows, retention: forever}}
                    - {{name: scratch, path: scratch}}
                    - {{name: model, path: model, asset: models/m}}
              - id: use
                inputs: {{artifacts: [{{name: scratch, from: make.scratch, path: scratch}}]}}
                env: {{EXIT: "${{{{ params.exit }}}}"}}
                run: exit $EXIT
            """

    def outputs(self, run: str) -> dict[str, dict[str, object]]:
        return {one["name"]: one for one in self.cluster.task(run, "make")["outputs"]}

    def wait_until_collected(self, run: str) -> dict[str, dict[str, object]]:
        return wait_until(f"{run} is collected", lambda: self.outputs(run), lambda all: all["scratch"]["collected_at"])

    def chappe(self, *arguments: str) -> str:
        return self.cluster.chappe("--state-dir", str(self.cluster.state), *arguments).stdout

    def is_there(self, output: dict[str, object]) -> bool:
        return (self.objects / str(output["object"])).exists()

    def test_what_is_due_goes_and_what_others_need_stays(self) -> None:
        run = self.cluster.submit(self.dag("on_success: 1s"))
        self.cluster.wait_for_run(run, "success")
        made = self.wait_until_collected(run)
        self.assertIsNone(made["rows"]["collected_at"])
        self.assertIsNone(made["model"]["collected_at"])
        wait_until("the object is gone", lambda: not self.is_there(made["scratch"]))
        self.assertTrue(self.is_there(made["rows"]) and self.is_there(made["model"]))
        shown = self.chappe("show", run, "make")
        self.assertIn("collected 20", shown)
        told = json.loads(self.chappe("lineage", "models/m", "--output", "json"))
        self.assertTrue(any(node["kind"] == "asset" for node in told["nodes"]))

        # A result that was collected is not used again, and says why.
        again = self.cluster.submit(self.dag("on_success: 1s"))
        self.cluster.wait_for_run(again, "success")
        (told,) = self.cluster.get(f"/api/v1/runs/{again}/explain?task=make")["cache"]
        self.assertFalse(told["hit"])
        self.assertIn("its retention had passed", told["told"])

        # Neither is what it left: a task that is run again by itself says what it lacks.
        self.cluster.post(f"/api/v1/runs/{run}/retry", {"tasks": ["use"]})
        self.cluster.wait_for_run(run, "failed")
        self.assertIn("make.scratch was collected at 20", self.cluster.task(run, "use")["message"])
        self.cluster.post(f"/api/v1/runs/{run}/retry", {"tasks": ["make", "use"]})
        self.cluster.wait_for_run(run, "success")

    def ask_to_run_again(self, run: str) -> str:
        """What is collected of a run changes its row: who asks at that moment is told to ask again."""
        try:
            self.cluster.post(f"/api/v1/runs/{run}/retry", {"tasks": ["use"]})
        except Answer as answer:
            self.assertIn("ask again", str(answer))
            return str(answer)
        return ""

    def test_the_newest_keep_theirs_and_a_result_that_is_used_again_stays(self) -> None:
        first = self.cluster.submit(self.dag("on_success: 1s, keep_last: 1"))
        self.cluster.wait_for_run(first, "success")
        second = self.cluster.submit(self.dag("on_success: 1s, keep_last: 1"))
        self.cluster.wait_for_run(second, "success")
        made = self.wait_until_collected(first)
        self.assertEqual(self.outputs(second)["scratch"]["object"], made["scratch"]["object"])
        self.assertIsNone(self.outputs(second)["scratch"]["collected_at"])
        self.assertTrue(self.is_there(made["scratch"]))
        wait_until("it runs again", lambda: self.ask_to_run_again(second), lambda told: told == "")
        self.cluster.wait_for_run(second, "success")

    def test_what_was_due_while_nobody_was_there_goes_at_the_next_start(self) -> None:
        run = self.cluster.submit(self.dag("on_failure: 1s"), exit=1)
        self.cluster.wait_for_run(run, "failed")
        self.scheduler.kill()
        self.scheduler = self.cluster.start_scheduler()
        made = self.wait_until_collected(run)
        wait_until("the object is gone", lambda: not self.is_there(made["scratch"]))


if __name__ == "__main__":
    unittest.main()
